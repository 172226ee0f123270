/**
 * Keeps the stored keys of this process as the store has them: looks at the number of the newest change several times a
 * second, hears of changes through Redis where there is one, and holds the last known keys in memory and in a copy.
 *
 * Guarantees: no request waits for it; a change counts within a second wherever the store, or Redis, answers; where
 * neither does, the last known keys count, and that is told; nothing without our seal counts. Every change of a key is
 * handed to the audit log by a process that has the store, whoever made it; after a crash perhaps twice.
 */
import { PartHealth } from '../contract/part-health.ts';
import type { KeyChange, KeyStore } from '../store/keys.ts';
import type { RedisDoor } from '../store/redis.ts';
import { SealedCopies } from '../store/sealed-copies.ts';
import { readDocumentMessage, RedisDocuments, SHARED_KEYS } from '../store/shared-documents.ts';
import { KeySeal } from './key-seal.ts';
import { sharedOf, StoredKeys } from './stored-keys.ts';

/** Between two looks, with jitter: a change counts within a second though a look fails or is late. */
const LOOK_MS = 350;
/** The same where Redis is all there is: it tells of changes by itself, and a call that this process is late for counts as its silence. */
const LOOK_REDIS_MS = 750;
/** Between two looks at what Redis has. */
const SHARE_MS = 3_500;
/** How long a start waits for the first answer. */
const START_MS = 2_500;
/** A change that a process claimed for its audit log, and did not write in this time, is another's to write. */
const CLAIM_MS = 30_000;
/** Between two looks for changes that were claimed and not written. */
const UNWRITTEN_MS = 10_000;
/** The one copy. */
const COPY = 'all';

export interface KeyWatchOptions {
  readonly dataDir: string;
  /** Seals what is shared, and the copy. */
  readonly key: Buffer;
  /** Absent where the store is that of another process. */
  readonly store: KeyStore | undefined;
  /** A store that is as near as a copy needs none. */
  readonly storeIsLocal: boolean;
  /** The connection as it is now; undefined when none is configured. */
  readonly redis: () => RedisDoor | undefined;
  /** Tenants of the configuration. */
  readonly tenants: () => readonly string[];
  /** Resolves when the change is in the audit log, on disk. */
  readonly audit: (change: KeyChange) => Promise<void>;
  readonly clock?: () => number;
}

export class KeyWatch {
  readonly keys = new StoredKeys();
  readonly #options: Required<KeyWatchOptions>;
  readonly #seal: KeySeal;
  readonly #copies: SealedCopies;
  readonly #shared: RedisDocuments;
  readonly #health = new PartHealth('tenant keys');
  #timer: NodeJS.Timeout | undefined;
  /** The look under way. */
  #looking: Promise<void> | undefined;
  #recording: Promise<void> = Promise.resolve();
  /** Head up to which changes were handed to the audit log. */
  #recordedHead = -1;
  #recordDueMs = -Infinity;
  #shareDueMs = -Infinity;
  /** Head that Redis had, when it last said so. */
  #sharedHead = 0;
  /** Head at the last copy. */
  #copiedHead = 0;
  #closed = false;

  constructor(options: KeyWatchOptions) {
    this.#options = { clock: Date.now, ...options };
    this.#seal = new KeySeal(options.key);
    this.#copies = new SealedCopies(options.dataDir, 'tenant-keys');
    this.#shared = new RedisDocuments(options.redis, SHARED_KEYS);
  }

  /** Resolves when the keys are known, or nobody answers. */
  async start(): Promise<void> {
    const copy = this.#options.storeIsLocal ? undefined : await this.#copies.read(COPY);
    if (copy !== undefined) this.keys.take(this.#seal.open(copy, '') ?? []);
    this.#copiedHead = this.keys.head;
    const late = new Promise<void>((resolve) => void setTimeout(resolve, START_MS).unref());
    await Promise.race([this.catchUp(), late]);
    this.#schedule();
  }

  /** A message on the channel of keys; without a text it is heard from now on, and some may have been missed. */
  heard(text?: string): void {
    const told = text === undefined ? undefined : readDocumentMessage(text);
    if (text === undefined || (told !== undefined && told.number > this.keys.head)) void this.catchUp();
  }

  /** Looks now. After it, what was changed before it counts here, if somebody answered. Never rejects. */
  async catchUp(): Promise<void> {
    await this.#looking; // it may have asked before the change
    await (this.#looking ??= this.#look().finally(() => void (this.#looking = undefined)));
  }

  /** Resolves when the changes that no audit log had are in one, or another process is about to write them. Never rejects. */
  record(): Promise<void> {
    return (this.#recording = this.#recording.then(() => this.#record()).catch(() => {}));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
    await this.#recording;
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.catchUp().then(() => this.#schedule()), (this.#options.store === undefined ? LOOK_REDIS_MS : LOOK_MS) * (0.8 + 0.4 * Math.random())).unref();
  }

  async #look(): Promise<void> {
    const { store, storeIsLocal, redis } = this.#options;
    const told = store !== undefined && (await this.#readStore(store));
    const heard = !told && redis() !== undefined && (await this.#readShared());
    if (this.#closed) return;
    if (!storeIsLocal && this.keys.head > this.#copiedHead) {
      this.#copiedHead = this.keys.head;
      await this.#copies.write(COPY, this.#seal.close({ tenant: '', keys: this.keys.all }));
    }
    if (told) await this.#share();
    if (told && (this.keys.head > this.#recordedHead || this.#options.clock() >= this.#recordDueMs)) void this.record();
    if (store !== undefined ? told : heard || redis() === undefined) this.#health.well(() => 'keys of tenants are confirmed again');
    else this.#health.ill(`${store === undefined ? 'redis does' : 'the store does'} not answer; the ${this.keys.all.length} stored keys that were known last count`);
  }

  async #readStore(store: KeyStore): Promise<boolean> {
    try {
      const head = await store.head();
      if (head > this.keys.head) this.keys.take((await store.changedSince(this.keys.head)).map(sharedOf));
      return true;
    } catch {
      return false;
    }
  }

  /** What others put there. */
  async #readShared(): Promise<boolean> {
    const tenants = this.#options.tenants();
    const numbers = await this.#shared.numbers(tenants);
    if (!numbers.ok) return false;
    const known = this.#numbers();
    for (const [tenant, number] of numbers.value) {
      if (number <= (known.get(tenant) ?? 0)) continue;
      const text = await this.#shared.read(tenant);
      if (!text.ok) return false;
      const keys = text.value === undefined ? undefined : this.#seal.open(text.value, tenant);
      if (keys !== undefined) this.keys.take(keys.filter(({ tenant_id: of }) => of === tenant));
    }
    return true;
  }

  /** Brings to Redis what it does not have; at once what is new here, or did not arrive. */
  async #share(): Promise<void> {
    const { head } = this.keys;
    if (this.#options.redis()?.admits !== true || (head === this.#sharedHead && this.#options.clock() < this.#shareDueMs)) return;
    this.#sharedHead = -1;
    const known = this.#numbers();
    const numbers = await this.#shared.numbers([...known.keys()]);
    if (!numbers.ok) return;
    for (const [tenant, number] of known) {
      if (number <= (numbers.value.get(tenant) ?? 0)) continue;
      if (!(await this.#shared.write(tenant, number, this.#seal.close({ tenant, keys: this.keys.all.filter(({ tenant_id }) => tenant_id === tenant) })))) return;
    }
    this.#sharedHead = head;
    this.#shareDueMs = this.#options.clock() + SHARE_MS;
  }

  /** Of each tenant, its newest change. */
  #numbers(): ReadonlyMap<string, number> {
    const numbers = new Map<string, number>();
    for (const { tenant_id, change } of this.keys.all) numbers.set(tenant_id, Math.max(change, numbers.get(tenant_id) ?? 0));
    return numbers;
  }

  async #record(): Promise<void> {
    const { store, audit, clock } = this.#options;
    if (store === undefined) return;
    const head = this.keys.head;
    for (;;) {
      const claimed = await store.claimChanges(new Date(clock()).toISOString(), new Date(clock() - CLAIM_MS).toISOString());
      if (claimed.length === 0) break;
      for (const change of claimed) await audit(change);
      await store.settleChanges(claimed.map(({ number }) => number), new Date(clock()).toISOString());
    }
    this.#recordedHead = head;
    this.#recordDueMs = clock() + UNWRITTEN_MS;
  }
}
