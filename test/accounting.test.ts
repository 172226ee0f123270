/**
 * Requests in = entries of the audit log = counts of the metrics = rows of the store, while everything breaks: callers leave at
 * any byte or send what is no request, the provider fails in every way, Redis is frozen, the store goes away, the disk takes
 * nothing, the configuration changes, the process is told to stop and killed. Callers, the provider and nginx count for
 * themselves. All are equal, or the difference is a counted reason. `WEIR_TEST_RUNS` multiplies the requests.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ExchangeRecord } from '../src/contract/exchange.ts';
import { keyDigest } from '../src/tenant/keys.ts';
import { segmentsOf } from './helpers/audit.ts';
import { OTHERS, PATIENT, RUDE, UNLUCKY, type Call, type Note, type Place } from './helpers/callers.ts';
import { CLICKHOUSE_MISSING, startClickHouse } from './helpers/clickhouse.ts';
import { freshFolder, until } from './helpers/house.ts';
import { counted, entriesOf, expected, measured, readMetric, reckon, storedOf, total, type End } from './helpers/ledger.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './helpers/postgres.ts';
import { runWeir, type WeirProcess } from './helpers/process.ts';
import { freePort, REDIS_MISSING, startRedis } from './helpers/redis-server.ts';
import { randomOf, runs, seed } from './helpers/runs.ts';
import { SocketUpstream } from './helpers/sockets.ts';
import { NGINX_MISSING, openRelay, openWitness, startFront, type Arrived } from './helpers/witness.ts';

t.setTimeout(3_000_000);

const KEYS = { acme: 'wk-made-up-acme', loose: 'wk-made-up-loose', tight: 'wk-made-up-tight', closed: 'wk-made-up-closed', talk: 'wk-made-up-talk' } as const;
const POLICY = `policy: p
patterns: [{ id: bird, label: BIRD, literal: [Bluebird] }]
rules:
  - { id: bird, priority: 1, direction: both, when: { score: patterns.bird, gte: 1 }, action: block }
  - { id: personal, priority: 2, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }
`;
const CLOSED = 'policy: closed\non_unknown: closed\nrules:\n  - { id: toxic, priority: 1, direction: input, when: { score: dead.toxic, gte: 0.5 }, action: block }\n';
const CALLERS = 12;

/** Where decisions are, and how it is taken away and brought back; `undefined`: it cannot be. */
interface Engine {
  readonly name: string;
  readonly skip: string | false;
  open(t: Test): Promise<{ readonly config: object; cut(): Promise<void> | void; join(): Promise<void> | void }>;
}

const ENGINES: readonly Engine[] = [
  { name: 'sqlite', skip: false, open: async () => ({ config: {}, cut: () => {}, join: () => {} }) },
  {
    name: 'postgres',
    skip: POSTGRES_MISSING,
    async open(t) {
      const url = new URL(await openPostgresSchema(t));
      const relay = await openRelay(t, url.hostname, Number(url.port));
      url.host = `127.0.0.1:${relay.port}`;
      return { config: { store: { url: url.href } }, ...relay };
    },
  },
  {
    name: 'clickhouse',
    skip: CLICKHOUSE_MISSING,
    async open(t) {
      const clickhouse = await startClickHouse(t);
      // One after the other: callers go on while it starts.
      let last: Promise<void> = Promise.resolve();
      const next = (step: () => Promise<void>): Promise<void> => (last = last.then(step));
      return { config: { analytics: { url: clickhouse.url, database: clickhouse.database() } }, cut: () => next(clickhouse.kill), join: () => next(clickhouse.start) };
    },
  },
];

/** One data folder over several processes of Weir, and all that was ever sent there. */
class House {
  readonly dir: string;
  readonly place: Place;
  readonly arrived: Arrived;
  readonly sinceMs = Date.now();
  readonly #t: Test;
  readonly #write: (more?: object) => void;
  weir!: WeirProcess;
  adminToken = '';
  #n = 0;
  readonly notes: Note[] = [];
  /** Of notes: have an entry for certain. */
  certain = 0;
  /** Entries of requests of which callers cannot know: found after a kill. */
  surprises = 0;
  /** Requests of which nobody can tell whether they have one. */
  readonly unsure: Note[] = [];
  /** What of it was there before the process began. */
  #entriesBefore = 0;
  #turnedAway = 0;

  constructor(t: Test, dir: string, place: Place, arrived: Arrived, write: (more?: object) => void) {
    this.#t = t;
    this.dir = dir;
    this.place = place;
    this.arrived = arrived;
    this.#write = write;
  }

  async start(): Promise<void> {
    this.weir = await runWeir(this.#t, this.dir);
    this.adminToken = this.weir.adminToken ?? this.adminToken;
    this.#entriesBefore = entriesOf(this.dir).length;
    this.#turnedAway = 0;
  }

  /** A change that is taken, or one that is not. */
  configure(isValid: boolean): void {
    this.#write(isValid ? { screening: { deadline_ms: 60 + (this.#n % 20) } } : { screening: { deadline_ms: 'soon' } });
  }

  metrics(): Promise<string> {
    return fetch(`${this.weir.adminUrl}/metrics`).then((answer) => answer.text());
  }

  /** Makes these calls, a few at a time; `at` is run once when so many are done. Ends early once `isOver`. */
  async send(calls: readonly Call[], at: Readonly<Record<number, () => void | Promise<void>>> = {}, isOver = (): boolean => false): Promise<readonly Note[]> {
    const notes: Note[] = [];
    const left = [...calls];
    let done = 0;
    const caller = async (): Promise<void> => {
      for (let call = left.shift(); call !== undefined && !isOver(); call = left.shift()) {
        notes.push(...(await call(this.place, this.#n++)));
        await at[++done]?.();
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    this.notes.push(...notes);
    return notes;
  }

  /** Entries of this process so far. */
  entries(): readonly ExchangeRecord[] {
    return entriesOf(this.dir).slice(this.#entriesBefore);
  }

  /** What must be there after these requests: waits for it, and says where it is not. */
  async settle(t: Test, what: string, notes: readonly Note[], end: End = 'none'): Promise<void> {
    const { certain, unsure } = reckon(notes, end);
    this.certain += certain.length;
    this.unsure.push(...unsure);
    const mostly = (): number => this.certain + this.surprises;
    if (end === 'killed') {
      const surprises = entriesOf(this.dir).length - mostly();
      t.ok(surprises >= 0 && surprises <= unsure.length, `${what}: ${surprises} of ${unsure.length} that were under way have an entry`);
      this.surprises += surprises;
    } else await until(() => entriesOf(this.dir).length >= mostly(), `${what}: the last entry`).catch(() => {});
    if (end === 'none') await until(async () => readMetric(await this.metrics(), 'weir_open_exchanges')[''] === 0, 'the end of all').catch(() => {});
    const entries = entriesOf(this.dir);
    t.equal(entries.length, mostly(), `${what}: an entry for each of ${certain.length} requests`);
    const byId = Map.groupBy(entries, ({ request_id: id }) => id);
    t.equal(byId.size, entries.length, `${what}: each id once`);
    t.same(certain.filter(({ id }) => id !== undefined && !byId.has(id)), [], `${what}: every answer has its entry`);
    t.same(certain.filter(({ id, status, isWhole }) => isWhole && id !== undefined && byId.get(id)![0]!.status !== status), [], `${what}: with the status that its caller saw`);
    if (end === 'none') await this.#compareMetrics(t, what, notes);
  }

  async #compareMetrics(t: Test, what: string, notes: readonly Note[]): Promise<void> {
    const away = notes.filter(({ becomes }) => becomes === 'turned_away');
    this.#turnedAway += away.length;
    const text = await this.metrics();
    t.same(measured(text), expected(this.entries()), `${what}: metrics by outcome, fault and code`);
    t.equal(total(readMetric(text, 'weir_exchanges_total')), this.entries().length, `${what}: exchanges`);
    t.equal(total(readMetric(text, 'weir_answers_total')), this.entries().length, `${what}: answers`);
    t.equal(total(readMetric(text, 'weir_turned_away_total')), this.#turnedAway, `${what}: what was no request, ${JSON.stringify(readMetric(text, 'weir_turned_away_total', 'code'))}`);
    t.same(counted(readMetric(text, 'weir_audit_lost_total', 'kind')), {}, `${what}: nothing is lost`);
  }
}

async function openHouse(t: Test, store: object): Promise<{ readonly house: House; readonly redis: { kill(signal: NodeJS.Signals): boolean }; readonly front: Awaited<ReturnType<typeof startFront>> | undefined }> {
  const dir = freshFolder(t);
  const redisPort = await freePort();
  const redis = await startRedis(t, redisPort);
  const { url, arrived } = await openWitness(t);
  const sockets = new SocketUpstream((end) => end.ws.on('message', () => end.send({ type: 'response.created', response: { id: 'r' } })));
  t.teardown(() => sockets.close());
  const [port, adminPort, frontPort, deadPort, socketsUrl] = [await freePort(), await freePort(), await freePort(), await freePort(), await sockets.listen()];
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'policies/p.yaml'), POLICY);
  writeFileSync(join(dir, 'policies/closed.yaml'), CLOSED);
  const tenant = (id: keyof typeof KEYS, more: object = {}): object => ({ id, policy: 'p', upstream: 'local', keys: [{ id: 'k', sha256: keyDigest(KEYS[id]) }], ...more });
  const write = (more: object = {}): void => writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', admin: { port: adminPort }, policies: ['policies'], telemetry: { log_level: 'silent' }, audit: { durability: 'strict' }, redis: { url: `redis://127.0.0.1:${redisPort}` }, ...store,
    proxy: { port, timeouts: { request_ms: 1_500, headers_ms: 1_000, drain_ms: 10_000 }, limits: { body_bytes_max: 20_000 } },
    upstreams: { local: { url, api_key: 'made-up', timeouts: { headers_ms: 800, idle_ms: 800 } }, sockets: { url: socketsUrl, api_key: 'made-up' } },
    classifiers: [{ id: 'pii', plugin: 'pii' }, { id: 'dead', plugin: 'http', url: `http://127.0.0.1:${deadPort}/`, categories: ['toxic'] }],
    tenants: [tenant('acme'), tenant('loose', { audit: { durability: 'relaxed' } }), tenant('tight', { limits: { requests_per_minute: 6 } }), tenant('closed', { policy: 'closed' }), tenant('talk', { upstream: 'sockets' })],
    ...more,
  }));
  write();
  const front = NGINX_MISSING ? undefined : await startFront(t, dir, frontPort, port);
  return { house: new House(t, dir, { port, frontPort: front && frontPort, keys: KEYS, random: randomOf(seed) }, arrived, write), redis, front };
}

/** Each call so often, in an order that the seed decides. */
function shuffled(calls: readonly Call[], times: number, random: () => number): readonly Call[] {
  return Array.from({ length: times }, () => calls).flat().map((call) => ({ call, at: random() })).sort((a, b) => a.at - b.at).map(({ call }) => call);
}

const weirCommand = (house: House, ...args: readonly string[]): { readonly status: number | null; readonly stdout: string } =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../src/main.ts'), ...args, '--config', join(house.dir, 'weir.yaml')], { encoding: 'utf8', maxBuffer: 2 ** 28 });

/** The disk takes nothing more of the log, as when it is full: no file of this process may grow past what the newest segment has. */
function fillDisk({ dir, weir }: House): void {
  const audit = join(dir, 'data/audit');
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(weir.pid), `--fsize=${statSync(join(audit, segmentsOf(audit).at(-1)!)).size}`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

for (const engine of ENGINES) {
  t.test(`requests, entries, counts and rows over ${engine.name}`, { skip: engine.skip || REDIS_MISSING, timeout: 2_900_000 }, async (t) => {
    const store = await engine.open(t);
    const { house, redis, front } = await openHouse(t, store.config);
    const { place: { random } } = house;
    await house.start();

    const all = shuffled([...PATIENT, ...UNLUCKY, ...RUDE, ...OTHERS], runs(2), random);
    const at = (share: number): number => Math.floor(all.length * share);
    const chaos = await house.send(all, {
      [at(0.1)]: () => void redis.kill('SIGSTOP'), [at(0.2)]: () => house.configure(true), [at(0.3)]: () => store.cut(), [at(0.4)]: () => house.configure(false),
      [at(0.5)]: () => void redis.kill('SIGCONT'), [at(0.6)]: () => store.join(), [at(0.7)]: () => house.configure(true), [at(0.8)]: async () => { await store.cut(); await store.join(); },
    });
    await house.settle(t, 'chaos', chaos);

    for (let kill = 0; kill < runs(1); kill++) {
      let isKilled = false;
      const doomed = shuffled([...PATIENT, ...UNLUCKY, ...RUDE], 1, random);
      const notes = await house.send(doomed, { [Math.floor((0.25 + random() / 2) * doomed.length)]: () => { isKilled = true; return house.weir.kill(); } }, () => isKilled);
      await house.settle(t, 'killed', notes, 'killed');
      await house.start();
      await house.settle(t, 'after the kill', await house.send(shuffled([...PATIENT, ...UNLUCKY], 1, random)));
    }

    fillDisk(house);
    const before = house.entries().length;
    const unwritten = (await house.send(shuffled(PATIENT, 1, random))).filter(({ becomes }) => becomes === 'exchange');
    await until(async () => readMetric(await house.metrics(), 'weir_open_exchanges')[''] === 0, 'the end of all');
    const full = await house.metrics();
    t.equal(house.entries().length, before, 'a full disk: no entry');
    t.same(counted(readMetric(full, 'weir_audit_lost_total', 'kind')), { exchange: unwritten.length }, 'and each is counted as lost');
    t.equal(total(readMetric(full, 'weir_exchanges_total')), before + unwritten.length, 'and as an exchange');
    t.ok((readMetric(full, 'weir_errors_total', 'code')['audit_unavailable'] ?? 0) >= unwritten.length / 2, 'strict tenants are refused');
    await house.weir.stop();
    await house.start();

    let stopped: Promise<void> | undefined;
    const late = shuffled([...PATIENT, ...UNLUCKY], 1, random);
    const drained = await house.send(late, { [Math.floor(late.length / 3)]: () => { stopped = house.weir.stop(); } }, () => stopped !== undefined);
    await stopped;
    await house.settle(t, 'told to stop', drained, 'stopped');

    await house.start();
    await house.settle(t, 'in the end', await house.send(shuffled(PATIENT, 1, random)));
    await compareStore(t, house);
    compareWitnesses(t, house, unwritten, front?.());
    await house.weir.stop();
    t.equal(weirCommand(house, 'audit', 'verify').status, 0, 'the log verifies');
    const exported = weirCommand(house, 'audit', 'export', '--json', '--kind', 'exchange').stdout.trimEnd().split('\n');
    t.equal(exported.length, house.certain + house.surprises, 'and is exported whole');
    t.comment(`${house.notes.length} requests and what was none, ${exported.length} entries, of which ${house.surprises} were under way at a kill; seed ${seed}`);
  });
}

/** Rows and counts of the store are those of the log. */
async function compareStore(t: Test, house: House): Promise<void> {
  const entries = entriesOf(house.dir);
  const read = (): ReturnType<typeof storedOf> => storedOf(house.weir.adminUrl, house.adminToken, house.sinceMs);
  await until(async () => (await read()).ids.length >= entries.length, 'the last row').catch(() => {});
  const { ids, counts, outcomes } = await read();
  t.same([...ids].sort(), entries.map(({ request_id: id }) => id).sort(), 'a row for each entry');
  t.equal(counts, entries.length, 'and all are in the counts');
  t.same(outcomes, expected(entries).outcomes, 'by outcome');
}

/** What the provider and nginx saw agrees with what was recorded. */
function compareWitnesses(t: Test, house: House, unwritten: readonly Note[], seen: readonly { readonly status: number; readonly id: string | undefined }[] | undefined): void {
  const entries = entriesOf(house.dir);
  const { arrived } = house;
  t.same([...arrived].filter(([, times]) => times !== 1), [], 'nothing reached the provider twice');
  const reached = new Set(entries.filter(({ upstream_status: status, session_id: id }) => status !== undefined && id !== undefined && id !== 'other').map(({ session_id: id }) => Number(id!.slice(2))));
  const asked = new Map(house.notes.map((note) => [note.n, note]));
  const bySocket = (n: number): boolean => asked.get(n)?.kind.startsWith('socket') === true;
  t.same([...reached].filter((n) => !arrived.has(n) && !bySocket(n)), [], 'what has an answer of the provider reached it');
  t.same([...arrived.keys()].filter((n) => !asked.has(n)), [], 'and nothing that nobody sent');
  t.same([...arrived.keys()].filter((n) => /blocked$|closed|no key|two/.test(asked.get(n)!.kind) && asked.get(n)!.kind !== 'answer blocked'), [], 'nor what was refused');
  if (seen === undefined) return;
  const known = new Set([...entries.map(({ request_id: id }) => id), ...[...unwritten, ...house.unsure].map(({ id }) => id)]);
  t.equal(seen.length, house.notes.filter(({ kind }) => kind.startsWith('nginx')).length, 'nginx saw what was sent through it');
  t.same(seen.filter(({ id }) => id !== undefined && !known.has(id)), [], 'and every answer that it saw is recorded, or lost to the full disk or the kill');
}
