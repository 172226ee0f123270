/**
 * Retention of the copies of shipped logs: what passed it goes there, on the word of who keeps the copy, whatever becomes
 * of the log itself; what stays verifies, shipping goes on from where it was, and a cut is not passed off for a pruning.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { Collector } from '../../src/audit/collector.ts';
import { pruneCopies } from '../../src/audit/copy-retention.ts';
import { copyLog } from '../../src/audit/copy.ts';
import { openAuditLog, type AuditLog } from '../../src/audit/log.ts';
import { Outbox } from '../../src/audit/outbox.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { keeperKeys } from '../../src/audit/pruned.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { rotateKey } from '../../src/audit/rotation.ts';
import type { ShipBatch } from '../../src/audit/shipment.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, segmentsOf } from '../helpers/audit.ts';
import { runs } from '../helpers/runs.ts';
import { shipAll, type Desk } from '../helpers/shipping.ts';

t.setTimeout(600_000);

const DAY = 86_400_000;
const LOG = 'test/one';
const QUESTION = { from: 0, segment: 0, entries: [], checkpoints: [], rest: [] } as const;
const sender = { log: LOG, author: 'tester' };

/** One entry a day, each in a segment of its own. */
async function daily(dir: string, from: number, tenants: readonly string[]): Promise<void> {
  for (const [i, tenant_id] of tenants.entries()) {
    const log = await openAuditLog(logOptions(dir, { clock: () => (from + i) * DAY, segmentBytesMax: 1 }));
    await log.append({ ...exchangeRecord(`request-${from + i}`), tenant_id }, 'strict');
    await log.close();
  }
}

const days = (count: number): string[] => Array.from({ length: count }, () => 'acme');

/** Who keeps copies: a log of its own, and a collector that can be opened anew. */
class Keeper implements Desk {
  collector: Collector;
  readonly records = [];
  readonly log: AuditLog;
  readonly dir: string;
  day = 0;

  private constructor(dir: string, log: AuditLog) {
    this.dir = dir;
    this.log = log;
    this.collector = this.#open();
  }

  static async open(t?: Test): Promise<Keeper> {
    const dir = logFolder(t ?? KEPT);
    const log = await openAuditLog(logOptions(dir, { origin: 'keeper/one', clock: () => 1_767_322_800_000 }));
    const keeper = new Keeper(dir, log);
    (t ?? KEPT).teardown(() => keeper.close());
    return keeper;
  }

  get copy(): string {
    return this.collector.dirOf(LOG);
  }

  #open(): Collector {
    return new Collector({ dir: join(this.dir, '../origins'), audit: (record) => this.log.append(record, 'strict'), clock: () => this.day * DAY });
  }

  async reopen(): Promise<void> {
    await this.collector.close();
    this.collector = this.#open();
  }

  async close(): Promise<void> {
    await this.collector.close();
    await this.log.close();
  }

  /** Returns how many entries went. */
  async prune(day: number, kept: number | undefined, tenants: Readonly<Record<string, number>> = {}): Promise<number> {
    let count = 0;
    const keeper = { vouch: (record: Parameters<AuditLog['appendProven']>[0]) => this.log.appendProven(record), keys: () => publishedKeys(this.dir) };
    await pruneCopies({ collector: this.collector, keeper, retention: () => ({ days: kept, tenants }), now: () => day * DAY, pruned: (_log, { entries }) => void (count += entries), pause: async () => true });
    return count;
  }

  async ship(dir: string): Promise<void> {
    await shipAll(dir, sizeOf(dir), this, LOG);
  }

  /** By the key of the log, which is not taken from the copy. */
  async check(dir: string) {
    return checkLog({ dir: this.copy, keys: await publishedKeys(dir), keepers: await publishedKeys(this.dir), threads: 1 });
  }
}

const KEPT = t;
const sizeOf = (dir: string): number => (JSON.parse(linesOf(dir).at(-1)!) as { index: number }).index + 1;

t.test('what passed its retention goes from the copy, and shipping goes on from where it was', async (t) => {
  const [dir, keeper] = [logFolder(t), await Keeper.open(t)];
  await daily(dir, 0, days(10));
  await keeper.ship(dir);
  t.equal(await keeper.prune(9, undefined), 0, 'without a retention all stays');
  t.equal(await keeper.prune(9, 30), 0, 'nothing is so old');
  t.equal(await keeper.prune(9, 4), 6, 'of days 0 to 9 those up to day 5 are four days old');
  t.match(await keeper.check(dir), { damage: undefined, first: 6, entries: 10, pruned: { keeper: 'keeper/one' } });
  t.same(linesOf(keeper.copy), linesOf(dir).slice(6), 'the rest is the log, byte for byte');
  t.match(linesOf(keeper.dir).map((line) => JSON.parse(line)).at(-1), { kind: 'pruned_copy', log: LOG, first: 6, from: 0, rotations: [] });
  t.equal(await keeper.prune(9, 4), 0);
  await daily(dir, 10, days(3));
  await keeper.ship(dir);
  t.same(linesOf(keeper.copy), linesOf(dir).slice(6));
  await keeper.reopen();
  t.match(await keeper.collector.list(), [{ log: LOG, entries: 13 }]);
  t.equal(await keeper.prune(14, 4), 5, 'and again, after a restart');
  await daily(dir, 13, days(2));
  await keeper.ship(dir);
  t.match(await keeper.check(dir), { damage: undefined, first: 11, entries: 15 });
  t.equal(await keeper.prune(1_000, 4), 3, 'all but the newest segment');
  await keeper.reopen();
  await daily(dir, 15, days(1));
  await keeper.ship(dir);
  t.match(await keeper.check(dir), { damage: undefined, first: 14, entries: 16 });
});

t.test('a tenant that wants its entries kept has them kept, with all after it', async (t) => {
  const [dir, keeper] = [logFolder(t), await Keeper.open(t)];
  await daily(dir, 0, ['short', 'short', 'long', 'short', 'other', 'short']);
  await keeper.ship(dir);
  t.equal(await keeper.prune(100, undefined, { long: 50 }), 0, 'entries of nobody who says something stay');
  t.equal(await keeper.prune(100, 10, { long: 365 }), 2);
  t.equal(await keeper.prune(100, 10, { long: 90 }), 3);
  t.match(await keeper.check(dir), { damage: undefined, first: 5 });
});

t.test('a copy that ends between its segments keeps the last entry, to which the next is chained', async (t) => {
  const [dir, keeper] = [logFolder(t), await Keeper.open(t)];
  await daily(dir, 0, days(4));
  const outbox = new Outbox(dir);
  let position = await keeper.collector.take(sender, { ...QUESTION, size: 4 });
  while (position.entries < 3) position = await keeper.collector.take(sender, (await outbox.next(position, 4))!);
  await keeper.collector.close();
  writeFileSync(join(keeper.copy, '000000000003.jsonl'), ''); // as a crash leaves it before the first entry of a segment is written
  await keeper.reopen();
  t.equal(await keeper.prune(100, 1), 2);
  t.match(await keeper.collector.take(sender, { ...QUESTION, size: 4 }), { entries: 3, hash: position.hash });
  rmSync(join(keeper.copy, '000000000003.jsonl'));
  await keeper.reopen();
  await keeper.ship(dir);
  t.match(await keeper.check(dir), { damage: undefined, first: 2, entries: 4 });
});

t.test('what is sent again of what is gone changes nothing', async (t) => {
  const [dir, keeper] = [logFolder(t), await Keeper.open(t)];
  await daily(dir, 0, days(8));
  const batches: ShipBatch[] = [];
  const outbox = new Outbox(dir);
  for (let position = await keeper.collector.take(sender, { ...QUESTION, size: 8 }); position.entries < 8;) {
    const batch = (await outbox.next(position, 8))!;
    batches.push(batch);
    position = await keeper.collector.take(sender, batch);
  }
  await keeper.prune(8, 4);
  const before = linesOf(keeper.copy);
  for (const batch of batches) t.match(await keeper.collector.take(sender, batch), { entries: 8, signed: 8 }, `entry ${batch.from}`);
  t.same([linesOf(keeper.copy), segmentsOf(keeper.copy)[0]], [before, '000000000005.jsonl']);
});

t.test('a cut is not passed off for a pruning', async (t) => {
  const [dir, keeper, other] = [logFolder(t), await Keeper.open(t), await Keeper.open(t)];
  await daily(dir, 0, days(8));
  await rotateKey(logOptions(dir, { clock: () => 8 * DAY, segmentBytesMax: 1 }));
  await daily(dir, 9, days(2));
  for (const one of [keeper, other]) {
    await one.ship(dir);
    await one.prune(9, 4);
    await one.collector.close();
  }
  const [first] = await publishedKeys(dir);
  t.match(await checkLog({ dir: keeper.copy, keys: [first!], keepers: await keeperKeys(keeper.copy), threads: 1 }), { damage: undefined }, 'the key that was pinned first, and the keeper’s, are enough');
  const keys = await publishedKeys(dir);
  const faultOf = async (copy: string, keepers = keyOf) => (await checkLog({ dir: copy, keys, keepers, threads: 1 })).damage?.reason;
  const keyOf = await publishedKeys(keeper.dir);
  t.equal(await faultOf(keeper.copy), undefined);
  t.match(await faultOf(keeper.copy, []), /no key of a keeper counts/);
  t.match(await faultOf(keeper.copy, await publishedKeys(other.dir)), /signed with none of the keys that count/);
  const spoilt: readonly (readonly [string, (copy: string) => void])[] = [
    ['without its proof', (copy) => rmSync(join(copy, 'pruned'))],
    ['another beginning', (copy) => writeFileSync(join(copy, 'pruned'), readFileSync(join(copy, 'pruned'), 'utf8').replace(/\\"first\\":\d/, '\\"first\\":7'))],
    ['another log', (copy) => writeFileSync(join(copy, 'pruned'), readFileSync(join(copy, 'pruned'), 'utf8').replace('\\"log\\":\\"test/one', '\\"log\\":\\"test/two'))],
    ['as its own', (copy) => writeFileSync(join(copy, 'pruned'), readFileSync(join(copy, 'pruned'), 'utf8').replace('pruned_copy', 'pruned'))],
    ['one more segment gone', (copy) => rmSync(join(copy, segmentsOf(copy)[0]!))],
    ['the word of another keeper', (copy) => cpSync(join(other.copy, 'pruned'), join(copy, 'pruned'))],
  ];
  for (const [name, spoil] of spoilt) {
    const copy = join(logFolder(t), encodeURIComponent(LOG));
    cpSync(keeper.copy, copy, { recursive: true });
    spoil(copy);
    t.ok(await faultOf(copy), name);
    if (name !== 'another log') await t.rejects(new Collector({ dir: join(copy, '..'), audit: async () => {}, clock: Date.now }).take(sender, { ...QUESTION, size: 11 }), { code: 'audit_unavailable' }, `${name}: nothing is taken`);
  }
  // A keeper's word is for copies: nobody cuts a log itself with it.
  const own = logFolder(t);
  cpSync(keeper.copy, own, { recursive: true });
  cpSync(join(dir, '../keys'), join(own, '../keys'), { recursive: true });
  await t.rejects(openAuditLog(logOptions(own)), { code: 'audit_unavailable', message: /no key of a keeper counts/ });
  const verify = async (...more: readonly string[]) => promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'audit', 'verify', '--dir', keeper.copy, ...more]).then(({ stdout }) => stdout, ({ stdout }: { stdout: string }) => `failed: ${stdout}`);
  const [keyFile, keeperFile] = [join(dir, 'key.pub'), join(keeper.dir, 'key.pub')];
  t.match(await verify('--key', keyFile, '--keeper', keeperFile), /^(?!failed)[^]*sound; [^]*as entry \d+ of the log keeper\/one, whose copy this is, of /);
  t.match(await verify(), /^(?!failed)[^]*sound; /, 'by the keys beside it');
  t.match(await verify('--key', keyFile), /^failed: [^]*DAMAGED at pruned line 1, entry \d+: the keeper of a copy removed what was before, and no key of a keeper counts/);
  t.equal((await copyLog(keeper.copy, join(logFolder(t), 'copy'), () => {}))!.damage, undefined, 'a backup of it holds');
});

t.test('a copy that cannot be pruned is told of, and keeps no other from its turn', async (t) => {
  const [dir, keeper] = [logFolder(t), await Keeper.open(t)];
  await daily(dir, 0, days(6));
  await keeper.ship(dir);
  await keeper.collector.close();
  const bad = join(keeper.dir, '../origins', encodeURIComponent('test/aaa'));
  cpSync(keeper.copy, bad, { recursive: true });
  const file = join(bad, segmentsOf(bad)[1]!);
  writeFileSync(file, readFileSync(file, 'utf8').replace('request-1', 'request-9'));
  await keeper.reopen();
  await t.rejects(keeper.prune(9, 4), { name: 'RangeError', message: '1 of them, test/aaa: RangeError' });
  t.match(await keeper.check(dir), { damage: undefined, first: 5 });
  t.equal(segmentsOf(bad).length, 6, 'nothing of it is gone');
});

t.test('batches are taken while copies are pruned', async (t) => {
  const [dir, keeper] = [logFolder(t), await Keeper.open(t)];
  await daily(dir, 0, days(12));
  let isOver = false;
  const pruning = (async () => {
    let gone = 0;
    for (let kept = 11; !isOver || kept > 2; kept = Math.max(2, kept - 1)) {
      gone += await keeper.prune(12, kept);
      await delay(1);
    }
    return gone;
  })();
  await keeper.ship(dir);
  await daily(dir, 12, days(2));
  await keeper.ship(dir);
  isOver = true;
  t.equal((await pruning) + (await keeper.prune(12, 2)), 11);
  t.same(linesOf(keeper.copy), linesOf(dir).slice(11));
  t.match(await keeper.check(dir), { damage: undefined, first: 11, entries: 14 });
});

t.test('whatever happens in whatever order, the copy verifies and has all that has to stay', async (t) => {
  const step = fc.oneof(fc.constantFrom('write', 'write', 'ship', 'reopen'), fc.integer({ min: 1, max: 9 }).map((kept) => ['copy', kept] as const), fc.integer({ min: 1, max: 9 }).map((kept) => ['log', kept] as const));
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
    const [dir, keeper] = [logFolder(t), await Keeper.open()];
    let [day, shipped] = [0, 0];
    const all = new Map<number, string>();
    const note = (): void => linesOf(dir).forEach((line) => all.set((JSON.parse(line) as { index: number }).index, line));
    const write = async (): Promise<void> => daily(dir, day++, days(1)).then(note);
    const ship = async (): Promise<void> => keeper.ship(dir).then(() => void (shipped = sizeOf(dir)));
    await write();
    let least = 0;
    for (const one of [...steps, 'write', 'ship'] as const) {
      if (one === 'write') await write();
      else if (one === 'ship') await ship();
      else if (one === 'reopen') await keeper.reopen();
      else if (one[0] === 'copy') least = Math.max(least, (await keeper.prune(day, one[1])) === 0 ? 0 : day - one[1]);
      else {
        const log = await openAuditLog(logOptions(dir, { clock: () => day * DAY, segmentBytesMax: 1 }));
        await pruneLog(log, dir, { days: one[1], tenants: {} }, day * DAY, { before: shipped });
        await log.close();
        note();
      }
    }
    const { damage, first, entries } = await keeper.check(dir);
    const lines = linesOf(keeper.copy);
    const isWhole = damage === undefined && entries === all.size && lines.length === entries - first && lines.every((line, i) => line === all.get(first + i));
    const isOld = [...all].filter(([index]) => index < first).every(([, line]) => Date.parse((JSON.parse(line) as { time: string }).time) <= least * DAY);
    await keeper.close();
    return isWhole && isOld;
  }), { numRuns: runs(25) });
  t.pass('all hold');
});

t.test('no copy, nothing to do', async (t) => {
  const keeper = await Keeper.open(t);
  t.equal(await keeper.prune(100, 1), 0);
  t.notOk(existsSync(join(keeper.dir, '../origins')));
});
