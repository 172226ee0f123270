/**
 * Brings stored policies to this process and keeps them new: asks Redis, then the store, holds the last good copy in
 * memory and on disk, hears of changes by messages and, where one was lost, by looking at the numbers of all.
 *
 * Guarantees: no request waits for it; a text without our seal, or that cannot be a policy here, never counts, and what
 * counted before stays; nothing that counted is dropped because somebody does not answer. Each change of state is told
 * once. Which revision is held and when to ask again is decided in policy/source.
 */
import { join, parse, resolve } from 'node:path';
import type { Config } from './config/schema.ts';
import type { StoredPolicies, WrittenPolicy } from './config/snapshot.ts';
import { CHANNELS } from './contract/channels.ts';
import { PartHealth } from './contract/part-health.ts';
import type { Policy, PolicyRevision } from './contract/policy.ts';
import { PolicySeal } from './policy/seal.ts';
import { pinnedNumber, policyKey, policyOfKey, PolicySource, type PolicyQuestion, type PolicyReply } from './policy/source.ts';
import type { DecisionPlace } from './store/decisions.ts';
import type { PolicyPut, PolicyStore, PutReply } from './store/policies.ts';
import { SealedCopies } from './store/sealed-copies.ts';
import { PostgresDatabase, PostgresPolicyStore } from './store/postgres.ts';
import { RedisMessages } from './store/redis-messages.ts';
import type { RedisDoor } from './store/redis.ts';
import { readDocumentMessage, RedisDocuments, SHARED_POLICIES } from './store/shared-documents.ts';
import type { StoreDatabase } from './store/sql.ts';
import { openSqlite, openSqliteDatabase } from './store/sqlite.ts';

/** Between two looks at what is due. */
const TURN_MS = 100;
/** Between two looks at the numbers of all: below 5 s with its jitter, so that a lost message costs no more. */
const POLL_MS = 3_500;
/** Without Redis nobody sends messages, and when it comes back there may be much to hear. */
const POLL_ALONE_MS = 500;
const QUESTIONS_AT_ONCE = 16;
/** How long a start waits for the answers; those of Redis take 25 ms, those of a store 2 s. */
const START_MS = 5_000;
/** How long it waits for a Redis that does not answer at once, where nothing else is known of a policy. */
const START_AGAIN_MS = 2_000;
/** How long who changed a policy waits until it counts here. */
const APPLY_MS = 2_000;
/** A copy on disk says when it was confirmed; it is written again after this time, though nothing changed. */
const COPY_MS = 600_000;
/** At most so often the state is told to metrics. */
const TELL_MS = 1_000;

export interface DistributionOptions {
  /** Seals what is shared, and copies. */
  readonly key: Buffer;
  /** The connection as it is now. */
  readonly redis: () => RedisDoor | undefined;
  /** The policy that a revision is here; undefined when it cannot be one. */
  readonly judge: (revision: PolicyRevision & { readonly source: string }, place: string, config: Config) => Promise<Policy | undefined>;
  /** What counts has changed. */
  readonly onChange: () => void;
  /** Messages about something else, over the same connection; without a text it hears from now on. */
  readonly others?: readonly { readonly channel: string; readonly onMessage: (text?: string) => void }[];
  readonly clock?: () => number;
  readonly random?: () => number;
}

/** What counts of a key; without `written` the policy is retired. */
interface Counted {
  readonly number: number;
  readonly written: WrittenPolicy | undefined;
}

export class PolicyDistribution {
  /** Absent where this process has none: a proxy beside a SQLite store of another process. */
  readonly store: PolicyStore | undefined;
  readonly #options: Required<Omit<DistributionOptions, 'others'>> & Pick<DistributionOptions, 'others'>;
  readonly #source: PolicySource;
  readonly #seal: PolicySeal;
  readonly #copies: SealedCopies;
  readonly #shared: RedisDocuments;
  /** A store of this process alone is its own copy. */
  readonly #storeIsLocal: boolean;
  #config: Config;
  #messages: RedisMessages | undefined;
  #redisUrl: string | undefined;
  readonly #counted = new Map<string, Counted>();
  /** The number of the revision that cannot be a policy here, by key; judged again under another configuration. */
  readonly #unusable = new Map<string, number>();
  /** What Redis, or a copy, holds under these keys bears no seal of ours. */
  readonly #unsealed = new Set<string>();
  /** When the copy of each key was written. */
  readonly #copiedMs = new Map<string, number>();
  readonly #queue: PolicyQuestion[] = [];
  #asking = 0;
  /** Told at each answer. */
  #answered = Promise.withResolvers<void>();
  /** Judging and counting, one after the other. */
  #counting: Promise<void> = Promise.resolve();
  #polling = false;
  #pollDueMs = -Infinity;
  #toldMs = -Infinity;
  readonly #health = new PartHealth('policies');
  /** Redis took calls at the last turn. */
  #admitted = true;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Throws when a SQLite store cannot be opened. */
  constructor(config: Config, options: DistributionOptions) {
    this.#options = { clock: Date.now, random: Math.random, ...options };
    this.#config = config;
    this.#source = new PolicySource(this.#options.random);
    this.#seal = new PolicySeal(options.key);
    this.#copies = new SealedCopies(config.data_dir, 'policies');
    this.#shared = new RedisDocuments(options.redis, SHARED_POLICIES);
    const { store, isLocal } = openStore(config);
    this.store = store;
    this.#storeIsLocal = isLocal;
  }

  /** What counts for this configuration, asked for now. Call it before the configuration is adopted; it may still be refused. */
  async follow(config: Config, written: ReadonlyMap<string, Policy>): Promise<StoredPolicies> {
    this.#unusable.clear();
    for (let before = -1, keys = this.#wanted(config, written); keys.size !== before; keys = this.#wanted(config, written)) {
      before = keys.size;
      await this.#bring(keys, config);
    }
    return this.current();
  }

  /** This configuration runs from now on. */
  adopt(config: Config, written: ReadonlyMap<string, WrittenPolicy>): void {
    this.#config = config;
    this.#source.keep(this.#wanted(config, new Map([...written].map(([id, { policy }]) => [id, policy]))));
    this.#hear(config.redis?.url);
    if (this.#timer === undefined) this.#schedule();
  }

  current(): StoredPolicies {
    const policies = [...this.#counted].flatMap(([key, { written }]) => (written === undefined ? [] : [[key, written] as const]));
    const undecided = this.#isAlone ? [] : this.#source.states().filter(({ revision, last }) => revision === undefined && last !== 'absent').map(({ key }) => key);
    return { policies: new Map(policies), undecided: new Set(undecided) };
  }

  /** Nobody could say for `maxMs` that the policy is the newest. Never true of a policy of a file. */
  isExpired(key: string, maxMs: number): boolean {
    const confirmedMs = this.#counted.has(key) ? this.#source.confirmedMs(key) : undefined;
    return confirmedMs !== undefined && this.#options.clock() - confirmedMs > maxMs;
  }

  /** Stores a change, tells everybody, and waits until it counts here. Rejects as the store does. */
  async put(change: PolicyPut): Promise<PutReply> {
    const { policy } = change;
    const known = await this.#shared.numbers([policy]);
    const elsewhere = known.ok ? known.value.get(policy) ?? 0 : 0;
    // Redis never knows more than the store, unless it serves another store too.
    if (elsewhere > change.parent) return { ok: false, current: elsewhere };
    const reply = await this.store!.put(change);
    if (reply.ok) await this.#publish(reply.revision);
    return reply;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#messages?.close();
    this.#answered.resolve();
    await this.#counting;
    await this.store?.close();
  }

  // What is wanted.

  /** Nobody but files. */
  get #isAlone(): boolean {
    return this.store === undefined && this.#options.redis() === undefined;
  }

  #wanted(config: Config, written: ReadonlyMap<string, Policy>): ReadonlySet<string> {
    return wantedKeys(config, (key) => this.#counted.get(key)?.written?.policy ?? written.get(key));
  }

  async #bring(keys: ReadonlySet<string>, config: Config): Promise<void> {
    const fresh = [...keys].filter((key) => !this.#source.keys.includes(key));
    this.#source.follow(fresh);
    for (const key of fresh) await this.#restore(key);
    const startedMs = performance.now();
    const untold = (): boolean => this.#source.states().some(({ key, last, revision }) => keys.has(key) && performance.now() - startedMs < (
      last === undefined ? START_MS : last === 'failed' && revision === undefined && this.#options.redis() !== undefined ? START_AGAIN_MS : 0
    ));
    while (untold() && !this.#closed) {
      this.#ask();
      await Promise.race([this.#answered.promise, pause(TURN_MS)]);
    }
    await this.#count(config);
  }

  async #restore(key: string): Promise<void> {
    const text = await this.#copies.read(key);
    const sealed = text === undefined ? undefined : this.#seal.open(text, policyOfKey(key));
    if (sealed !== undefined && matches(key, sealed.revision)) this.#source.restore(key, sealed.revision, sealed.confirmedMs);
    else if (text !== undefined) this.#unsealed.add(`copy of ${key}`);
  }

  // Asking.

  #schedule(): void {
    this.#timer = setTimeout(() => {
      const admits = this.#options.redis()?.admits === true;
      if (admits && !this.#admitted) {
        this.#source.retry(this.#options.clock());
        this.#pollDueMs = -Infinity;
      }
      this.#admitted = admits;
      if (this.#options.clock() >= this.#pollDueMs) void this.#poll();
      this.#ask();
      this.#tell();
      this.#schedule();
    }, TURN_MS).unref();
  }

  #ask(): void {
    if (this.#isAlone) {
      for (const question of this.#source.due(this.#options.clock())) this.#take(question, { kind: 'absent' });
      return;
    }
    this.#queue.push(...this.#source.due(this.#options.clock()));
    while (this.#asking < QUESTIONS_AT_ONCE && this.#queue.length > 0) {
      const question = this.#queue.shift()!;
      this.#asking++;
      void this.#reply(question).then((reply) => {
        this.#asking--;
        this.#take(question, reply);
        if (this.#queue.length > 0) this.#ask();
      });
    }
  }

  #take(question: PolicyQuestion, reply: PolicyReply): void {
    const changed = this.#source.answer(question, reply, this.#options.clock());
    if (reply.kind === 'found') this.#copy(question.key, changed);
    this.#answered.resolve();
    this.#answered = Promise.withResolvers();
    if (changed && this.#timer !== undefined) void this.#count(this.#config);
  }

  /** Redis first: it is the nearer one. Never rejects. */
  async #reply({ key, leastNumber }: PolicyQuestion): Promise<PolicyReply> {
    const policy = policyOfKey(key);
    const cached = await this.#shared.read(key);
    if (cached.ok && cached.value !== undefined) {
      const revision = this.#seal.open(cached.value, policy)?.revision;
      const sound = revision !== undefined && matches(key, revision);
      if (sound) this.#unsealed.delete(key);
      else this.#unsealed.add(key);
      if (sound && revision.number >= leastNumber) return { kind: 'found', revision, origin: 'redis' };
    }
    if (this.store === undefined) return { kind: cached.ok && cached.value === undefined ? 'none' : 'failed' };
    const stored = await this.store.get(policy, pinnedNumber(key)).then((revision) => ({ revision }), () => undefined);
    if (stored === undefined) return { kind: 'failed' };
    if (stored.revision === undefined) return { kind: 'absent' };
    if (cached.ok) await this.#share(key, stored.revision);
    return { kind: 'found', revision: stored.revision, origin: 'store' };
  }

  /** What Redis did not take, the next look at the numbers brings again. */
  async #share(key: string, revision: PolicyRevision): Promise<void> {
    const sealed = this.#seal.close({ revision, confirmedMs: this.#options.clock() });
    if (pinnedNumber(key) !== undefined) await this.#shared.writePinned(key, sealed);
    else if (await this.#shared.write(key, revision.number, sealed)) this.#unsealed.delete(key);
    else if (this.#redisUrl !== undefined) this.#pollDueMs = Math.min(this.#pollDueMs, this.#options.clock() + POLL_ALONE_MS);
  }

  // Hearing of changes.

  #hear(url: string | undefined): void {
    if (url === this.#redisUrl) return;
    this.#redisUrl = url;
    const { others = [] } = this.#options;
    this.#messages?.close();
    this.#messages = url === undefined || this.#closed ? undefined : new RedisMessages(url, [SHARED_POLICIES.channel, ...others.map(({ channel }) => channel)], {
      onHearing: () => {
        for (const { onMessage } of others) onMessage();
        this.#source.suspectAll(this.#options.clock());
        void this.#poll();
      },
      onMessage: (text, channel) => {
        const other = others.find((one) => one.channel === channel);
        if (other !== undefined) return other.onMessage(text);
        const told = readDocumentMessage(text);
        if (told === undefined) return;
        this.#source.invalidate(told.id, told.number, this.#options.clock());
        this.#ask();
      },
    });
  }

  /** Looks for changes of which no message came, and brings to Redis what it does not have. Never rejects. */
  async #poll(): Promise<void> {
    if (this.#polling || this.#closed) return;
    this.#polling = true;
    const pauseMs = this.#redisUrl === undefined ? POLL_ALONE_MS : POLL_MS;
    this.#pollDueMs = this.#options.clock() + pauseMs * (0.9 + 0.2 * this.#options.random());
    const heads = await this.store?.heads().catch(() => undefined);
    const followed = this.#source.keys.filter((key) => pinnedNumber(key) === undefined);
    const numbers = await this.#shared.numbers([...new Set([...followed, ...(heads?.keys() ?? [])])]);
    for (const id of followed) this.#source.invalidate(id, Math.max(heads?.get(id) ?? 0, numbers.ok ? numbers.value.get(id) ?? 0 : 0), this.#options.clock());
    this.#ask();
    if (!numbers.ok) this.#pollDueMs = Math.min(this.#pollDueMs, this.#options.clock() + POLL_ALONE_MS);
    if (numbers.ok) for (const [id, number] of heads ?? []) if (number > (numbers.value.get(id) ?? 0)) await this.#shareNewest(id);
    this.#polling = false;
  }

  async #shareNewest(id: string): Promise<void> {
    const revision = await this.store!.get(id).catch(() => undefined);
    if (revision !== undefined && !this.#closed) await this.#share(id, revision);
  }

  async #publish(revision: PolicyRevision): Promise<void> {
    const { policy, number } = revision;
    await this.#share(policy, revision);
    this.#source.invalidate(policy, number, this.#options.clock());
    const counts = (): boolean => !this.#source.keys.includes(policy) || (this.#counted.get(policy)?.number ?? 0) >= number || (this.#unusable.get(policy) ?? 0) >= number;
    const end = performance.now() + APPLY_MS;
    while (!counts() && !this.#closed && performance.now() < end) {
      this.#ask();
      await Promise.race([this.#answered.promise, pause(TURN_MS)]);
      await this.#counting;
    }
    await this.#counting;
  }

  // What counts.

  /** Judges what is held and does not count yet. */
  #count(config: Config): Promise<void> {
    return (this.#counting = this.#counting.then(async () => {
      let changed = false;
      const states = this.#source.states();
      for (const { key, revision } of states) if (revision !== undefined) changed = (await this.#countOne(key, revision, config)) || changed;
      const followed = new Set(states.map(({ key }) => key));
      for (const key of this.#counted.keys()) if (!followed.has(key)) this.#counted.delete(key);
      if (changed && this.#timer !== undefined && !this.#closed) this.#options.onChange();
    }));
  }

  async #countOne(key: string, revision: PolicyRevision, config: Config): Promise<boolean> {
    const { policy: id, number, source } = revision;
    if (this.#counted.get(key)?.number === number || this.#unusable.get(key) === number) return false;
    const file = `store:${id}@${number}`;
    const policy = source === null ? undefined : await this.#options.judge({ ...revision, source }, file, config);
    if (source !== null && policy === undefined) {
      this.#unusable.set(key, number);
      return false;
    }
    this.#unusable.delete(key);
    this.#counted.set(key, { number, written: policy && { policy, file } });
    return true;
  }

  /** Of what was found just now. */
  #copy(key: string, changed: boolean): void {
    const state = this.#source.states().find((one) => one.key === key);
    if (state?.revision === undefined || (state.origin === 'store' && this.#storeIsLocal)) return;
    const nowMs = this.#options.clock();
    if (!changed && nowMs - (this.#copiedMs.get(key) ?? -Infinity) < COPY_MS) return;
    this.#copiedMs.set(key, nowMs);
    this.#unsealed.delete(`copy of ${key}`);
    void this.#copies.write(key, this.#seal.close({ revision: state.revision, confirmedMs: nowMs }));
  }

  // Telling.

  #tell(): void {
    const states = this.#source.states();
    const failed = states.filter(({ last }) => last === 'failed').length;
    const faults = [
      ...(failed > 0 ? [['unconfirmed', `${failed} of ${states.length} policies cannot be confirmed, the last good ones count`] as const] : []),
      ...(this.#unsealed.size > 0 ? [['unsealed', `refused without our seal: ${[...this.#unsealed].slice(0, 3).join(', ')}`] as const] : []),
      ...(this.#unusable.size > 0 ? [['unusable', `cannot be used here: ${[...this.#unusable].slice(0, 3).map(([key, number]) => `${policyOfKey(key)}@${number}`).join(', ')}`] as const] : []),
    ];
    if (faults.length > 0) this.#health.ill(faults.map(([, detail]) => detail).join('; '), faults.map(([kind]) => kind));
    else this.#health.well(() => 'all policies are confirmed again');
    if (performance.now() - this.#toldMs < TELL_MS || !CHANNELS.policiesHeld.hasSubscribers) return;
    this.#toldMs = performance.now();
    const policies = states.flatMap(({ key, revision, origin }) => (revision === undefined ? [] : [{ policy: key, origin: origin!, revision: revision.number, confirmedMs: this.#source.confirmedMs(key) }]));
    CHANNELS.policiesHeld.publish({ policies });
  }
}

/** Keys of the policies of tenants, and of those that they name. */
export function wantedKeys({ tenants }: Pick<Config, 'tenants'>, policyOf: (key: string) => Policy | undefined): ReadonlySet<string> {
  const keys = new Set(tenants.map((tenant) => policyKey(tenant.policy, tenant.policy_revision)));
  // A set is walked to its end, with what is added on the way.
  for (const key of keys) for (const other of [policyOf(key)?.shadow, policyOf(key)?.canary?.policy]) if (other !== undefined) keys.add(other);
  return keys;
}

function matches(key: string, { policy, number }: PolicyRevision): boolean {
  return policy === policyOfKey(key) && (pinnedNumber(key) ?? number) === number;
}

/** A SQLite store is that of the control plane. */
function openStore({ store: { url }, roles, data_dir: dataDir }: Config): { readonly store: PolicyStore | undefined; readonly isLocal: boolean } {
  if (!url.startsWith('sqlite:')) return { store: new PostgresPolicyStore(url), isLocal: false };
  return { store: roles.includes('control') ? openSqlite(sqliteFile(url, dataDir)) : undefined, isLocal: true };
}

/** The same store, for the other ports; undefined where this process has none. */
export function openDatabase({ store: { url }, roles, data_dir: dataDir }: Config): StoreDatabase | undefined {
  if (!url.startsWith('sqlite:')) return new PostgresDatabase(url);
  return roles.includes('control') ? openSqliteDatabase(sqliteFile(url, dataDir)) : undefined;
}

/** What was decided has a file of its own beside the embedded store: it is large, and made again from the audit log. */
export function decisionPlace({ store: { url }, analytics, roles, data_dir: dataDir }: Config): DecisionPlace | undefined {
  if (analytics !== undefined) return { kind: 'clickhouse', url: analytics.url, database: analytics.database, passwordFile: analytics.password_file, ttlDays: analytics.ttl_days };
  if (!url.startsWith('sqlite:')) return { kind: 'postgres', url };
  const { dir, name, ext } = parse(sqliteFile(url, dataDir));
  return roles.includes('control') ? { kind: 'sqlite', file: join(dir, `${name}-decisions${ext}`) } : undefined;
}

export function sqliteFile(url: string, dataDir: string): string {
  return resolve(dataDir, decodeURIComponent(url.slice('sqlite:'.length)));
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(done, ms));
}
