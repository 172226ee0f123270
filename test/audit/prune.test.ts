/**
 * Retention of the audit log: what passed it goes, whole segments from the beginning, and what stays is verified as
 * before, from the first entry that stays on. Cut short anywhere, it leaves a log that opens and verifies.
 */
import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { acceptLoss } from '../../src/audit/acceptance.ts';
import { checkLog } from '../../src/audit/check.ts';
import { readCheckpoints } from '../../src/audit/checkpoint.ts';
import { openAuditLog, type AuditLog } from '../../src/audit/log.ts';
import { Outbox } from '../../src/audit/outbox.ts';
import { proveConsistency, proveEntry } from '../../src/audit/proof.ts';
import { proofFault } from '../../src/audit/proof-check.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { rotateKey } from '../../src/audit/rotation.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, segmentsOf } from '../helpers/audit.ts';
import { NOWHERE, openCollector } from '../helpers/shipping.ts';

t.setTimeout(300_000);

const DAY = 86_400_000;
const BEGAN = Date.parse('2030-01-01T00:00:00Z');
const at = (day: number): number => BEGAN + day * DAY;

/** One entry a day, each in a segment of its own, of the tenant of that day. */
async function daily(dir: string, tenants: readonly string[], from = 0): Promise<void> {
  for (const [i, tenant_id] of tenants.entries()) {
    const log = await openAuditLog(logOptions(dir, { clock: () => at(from + i), segmentBytesMax: 1 }));
    await log.append({ ...exchangeRecord(`request-${from + i}`), tenant_id }, 'strict');
    await log.close();
  }
}

/** Entries and checkpoints until `day`, then whatever `work` does with the log. */
async function onDay<T>(dir: string, day: number, work: (log: AuditLog) => Promise<T>): Promise<T> {
  const log = await openAuditLog(logOptions(dir, { clock: () => at(day), segmentBytesMax: 1 }));
  try {
    return await work(log);
  } finally {
    await log.close();
  }
}

const prune = (dir: string, day: number, days: number | undefined, tenants: Readonly<Record<string, number>> = {}) => onDay(dir, day, (log) => pruneLog(log, dir, { days, tenants }, at(day)));
const ours = async (dir: string) => checkLog({ dir, keys: await publishedKeys(dir), threads: 1 });
const newestNote = (dir: string) => readCheckpoints(readFileSync(join(dir, 'checkpoints'))).checkpoints.at(-1)!;

async function sound(t: Test, dir: string, want: { readonly first: number; readonly entries: number }): Promise<void> {
  const { damage, first, entries } = await ours(dir);
  t.same([damage, first, entries], [undefined, want.first, want.entries]);
}

t.test('what passed its retention goes, and the rest verifies from there on', async (t) => {
  const dir = logFolder(t);
  await daily(dir, Array.from({ length: 10 }, () => 'acme'));
  const [before, notes, kept] = [linesOf(dir), readCheckpoints(readFileSync(join(dir, 'checkpoints'))).checkpoints, newestNote(dir)];
  t.equal(await prune(dir, 9, undefined), undefined, 'without a retention all stays');
  t.equal(await prune(dir, 9, 30), undefined, 'nothing is so old');
  t.match(await prune(dir, 9, 4), { first: 6, entries: 6, segments: 6 }, 'of days 0 to 9 those up to day 5 are four days old');
  await sound(t, dir, { first: 6, entries: 11 });
  t.same(linesOf(dir).slice(0, 4), before.slice(6));
  t.match(JSON.parse(linesOf(dir).at(-1)!), { kind: 'pruned', index: 10, first: 6, from: 0, newest: new Date(at(5)).toISOString(), rotations: [] });
  const left = readCheckpoints(readFileSync(join(dir, 'checkpoints'))).checkpoints;
  t.ok(left.length < notes.length && left.every(({ size }) => size >= 6), 'checkpoints of what is gone go with it');
  await daily(dir, ['acme', 'acme'], 10);
  await sound(t, dir, { first: 6, entries: 13 });
  rmSync(join(dir, 'edge.json'));
  await daily(dir, ['acme'], 12);
  t.match(await prune(dir, 13, 4), { first: 11, entries: 5 }, 'and again, with the entry of the first time');
  await sound(t, dir, { first: 11, entries: 15 });
  t.equal(await prune(dir, 13, 4), undefined);

  const keys = await publishedKeys(dir);
  t.match(await checkLog({ dir, keys, since: newestNote(dir), threads: 1 }), { damage: undefined });
  t.match(await checkLog({ dir, keys, since: kept, threads: 1 }), { damage: { segment: 'the kept checkpoint', reason: 'it covers 10 entries, and those before entry 11 were pruned, so the log cannot be held against it any more' } });
});

t.test('a segment stays while any tenant in it wants it, and all after it', async (t) => {
  const dir = logFolder(t);
  await daily(dir, ['short', 'short', 'long', 'short', 'other', 'short']);
  t.equal(await prune(dir, 100, undefined, { long: 50 }), undefined, 'entries of nobody who says something stay');
  t.match(await prune(dir, 100, undefined, { short: 10 }), { first: 2 }, 'long says nothing, and there is no general word');
  t.equal(await prune(dir, 100, 10, { long: 365 }), undefined);
  t.match(await prune(dir, 100, 10, { long: 90 }), { first: 6 });
  await sound(t, dir, { first: 6, entries: 8 });
});

t.test('proofs: of what stays they hold, of what went the error says so', async (t) => {
  const dir = logFolder(t);
  await daily(dir, Array.from({ length: 13 }, () => 'acme'));
  const old = newestNote(dir);
  t.match(await prune(dir, 13, 4), { first: 8 }, 'some segments in one go');
  await prune(dir, 13, 4);
  await daily(dir, ['acme', 'acme'], 14);
  const [now, keys] = [newestNote(dir), await publishedKeys(dir)];
  const { first } = await ours(dir);
  t.equal(first, 10);
  for (let index = first; index < now.size; index++) t.equal(proofFault(await proveEntry(dir, index, now), keys), undefined, `entry ${index}`);
  await t.rejects(proveEntry(dir, 3, now), { name: 'RangeError', message: 'entry 3 was pruned: the log begins at entry 10, as entry 14 says' });
  t.equal(await proveEntry(dir, { requestId: 'request-3' }, now), undefined);
  t.ok(await proveConsistency(dir, old, now), 'from a checkpoint that covers what went and more');
  await t.rejects(proveConsistency(dir, { ...old, size: 5 }, { ...now, size: 6 }), { message: /those before entry 10 were pruned/ });
});

t.test('who trusts the first key follows rotations that are gone', async (t) => {
  const dir = logFolder(t);
  await daily(dir, ['acme']);
  const [first] = await publishedKeys(dir);
  await rotateKey(logOptions(dir, { clock: () => at(1), segmentBytesMax: 1 }));
  await daily(dir, ['acme', 'acme'], 2);
  await prune(dir, 10, 5);
  t.notOk(linesOf(dir).some((line) => line.includes('"kind":"key_rotation"')), 'the entry is gone');
  t.match(await checkLog({ dir, keys: [first!], threads: 1 }), { damage: undefined, first: 3 });
  await daily(dir, ['acme', 'acme'], 11);
  await prune(dir, 30, 5);
  t.match(await checkLog({ dir, keys: [first!], threads: 1 }), { damage: undefined }, 'nor after the next pruning');
});

t.test('a cut is not passed off for a pruning', async (t) => {
  const dir = logFolder(t);
  await daily(dir, Array.from({ length: 8 }, () => 'acme'));
  const copy = (): string => {
    const to = logFolder(t);
    cpSync(join(dir, '..'), join(to, '..'), { recursive: true });
    return to;
  };
  const whole = copy();
  await prune(dir, 8, 5);
  await sound(t, dir, { first: 4, entries: 9 });
  const spoilt: readonly (readonly [string, (to: string) => void])[] = [
    ['without its proof', (to) => rmSync(join(to, 'pruned'))],
    ['another beginning', (to) => writeFileSync(join(to, 'pruned'), readFileSync(join(to, 'pruned'), 'utf8').replace('\\"first\\":4', '\\"first\\":5'))],
    ['no proof', (to) => writeFileSync(join(to, 'pruned'), '{}')],
    ['another edge', (to) => writeFileSync(join(to, 'pruned'), readFileSync(join(to, 'pruned'), 'utf8').replace(/\\"edge\\":\[\\"./, (text) => text.slice(0, -1) + (text.endsWith('a') ? 'b' : 'a')))],
    ['one more segment gone', (to) => rmSync(join(to, segmentsOf(to)[0]!))],
  ];
  for (const [name, spoil] of spoilt) {
    const to = copy();
    spoil(to);
    t.ok((await ours(to)).damage, name);
    await t.rejects(openAuditLog(logOptions(to)), { code: 'audit_unavailable' }, `${name}: does not open`);
  }
  const cut = copy();
  cpSync(join(whole, segmentsOf(whole)[0]!), join(cut, segmentsOf(whole)[0]!));
  await sound(t, cut, { first: 4, entries: 9 });
  await onDay(cut, 9, (log) => pruneLog(log, cut, { tenants: {} }, at(9)));
  t.notOk(existsSync(join(cut, '000000000000.jsonl')), 'what a pruning left is removed the next time');
});

t.test('cut short after any step, the log opens, verifies and is pruned the next time', async (t) => {
  const begin = logFolder(t);
  await daily(begin, Array.from({ length: 8 }, () => 'acme'));
  const done = logFolder(t);
  cpSync(join(begin, '..'), join(done, '..'), { recursive: true });
  await onDay(done, 8, (log) => pruneLog(log, done, { days: 5, tenants: {} }, at(8)));
  // The entry is appended; then the file is there; then segments go one by one; then the checkpoints.
  const steps = [['entry'], ['entry', 'pruned'], ...[1, 2, 3, 4].map((gone) => ['entry', 'pruned', ...segmentsOf(begin).slice(0, gone)])];
  for (const step of steps) {
    const dir = logFolder(t);
    cpSync(join(begin, '..'), join(dir, '..'), { recursive: true });
    const fresh = segmentsOf(done).filter((name) => !segmentsOf(begin).includes(name));
    for (const name of fresh) cpSync(join(done, name), join(dir, name));
    appendFileSync(join(dir, 'checkpoints'), readCheckpoints(readFileSync(join(done, 'checkpoints'))).checkpoints.filter(({ size }) => size > 8).map(({ note }) => `${note}\n`).join(''));
    if (step.includes('pruned')) cpSync(join(done, 'pruned'), join(dir, 'pruned'));
    for (const name of step.slice(2)) rmSync(join(dir, name));
    t.equal((await ours(dir)).damage, undefined, step.join(', '));
    await prune(dir, 9, 5);
    const { damage, first } = await ours(dir);
    t.same([damage, segmentsOf(dir)[0]], [undefined, `${String(first).padStart(12, '0')}.jsonl`]);
    t.ok(first >= 4);
  }
});

t.test('a loss in a pruned log is accepted as in any other; a lost beginning is not', async (t) => {
  const begin = logFolder(t);
  await daily(begin, Array.from({ length: 8 }, () => 'acme'));
  await prune(begin, 8, 5);
  const copy = (): string => {
    const to = logFolder(t);
    cpSync(join(begin, '..'), join(to, '..'), { recursive: true });
    return to;
  };
  for (const lost of [6, 5]) {
    const dir = copy();
    rmSync(join(dir, segmentsOf(dir)[lost - 4]!));
    t.match(await acceptLoss(logOptions(dir), false), { kept: lost, count: 9 - lost }, 'with the entry that says what was pruned');
    const { damage, first, losses } = await ours(dir);
    t.match([damage, first, losses], [undefined, 4, [{ index: lost }]]);
    await daily(dir, ['acme', 'acme'], 20);
    t.match(await prune(dir, 40, 5), { from: undefined, first: lost + 2 });
    t.equal((await ours(dir)).damage, undefined);
  }
  for (const lose of [(dir: string) => rmSync(join(dir, 'pruned')), (dir: string) => writeFileSync(join(dir, 'pruned'), '{}'), (dir: string) => rmSync(join(dir, segmentsOf(dir)[0]!))]) {
    const dir = copy();
    lose(dir);
    const before = linesOf(dir);
    await t.rejects(acceptLoss(logOptions(dir), false), { code: 'audit_unavailable', message: /the beginning of the audit log is lost, and 00000000000\d\.jsonl is there; put what is missing back/ });
    t.same(linesOf(dir), before, 'nothing was cut');
  }
});

t.test('what is shipped goes when it is there, and shipping goes on over a pruning', async (t) => {
  const dir = logFolder(t);
  await daily(dir, Array.from({ length: 8 }, () => 'acme'));
  const desk = openCollector(join(dir, '../origins'));
  t.teardown(() => desk.collector.close());
  const outbox = new Outbox(dir, { entriesMax: 1, checkpointsMax: 2, bytes: 2_000 });
  const sender = { log: 'test/one', author: 'tester' };
  let position = NOWHERE;
  const ship = async (until: number): Promise<void> => {
    const size = linesOf(dir).map((line) => (JSON.parse(line) as { readonly index: number }).index + 1).at(-1)!;
    for (let batch = await outbox.next(position, size); batch !== undefined && position.entries < until; batch = await outbox.next(position, size)) {
      position = await desk.collector.take(sender, batch);
      if (position.entries === batch.from + batch.entries.length) outbox.sent(batch);
    }
  };
  const shipped = (day: number, days: number) => onDay(dir, day, (log) => pruneLog(log, dir, { days, tenants: {} }, at(day), { before: position.entries }));
  t.equal(await shipped(8, 1), undefined, 'nothing is there yet');
  await ship(5);
  t.match(await shipped(8, 1), { first: 5 }, 'those that are there go');
  await ship(Infinity);
  await daily(dir, ['acme', 'acme'], 9);
  await ship(Infinity);
  t.ok((await shipped(20, 1))!.first > 8);
  await daily(dir, ['acme'], 21);
  await ship(Infinity);
  const copy = join(dir, '../origins', readdirSync(join(dir, '../origins'))[0]!);
  const { damage, first, entries } = await ours(dir);
  t.match(await ours(copy), { damage: undefined, first: 0, entries }, 'the copy has all');
  t.same([damage, linesOf(copy).slice(first)], [undefined, linesOf(dir)]);
  await t.rejects(new Outbox(dir).next(NOWHERE, entries), { message: /^the log begins with entry \d+, and those from 0 on passed their retention before they were shipped$/ });
});

t.test('appends go on meanwhile, and each is there', async (t) => {
  const dir = logFolder(t);
  await daily(dir, Array.from({ length: 6 }, () => 'acme'));
  const log = await openAuditLog(logOptions(dir, { clock: () => at(6), segmentBytesMax: 600 }));
  let isPruning = true;
  const ids: string[] = [];
  const append = async (lane: number): Promise<void> => {
    for (let i = 0; isPruning || i < 20; i++) {
      const id = `while-${lane}-${i}`;
      await log.append(exchangeRecord(id), i % 3 === 0 ? 'relaxed' : 'strict');
      ids.push(id);
    }
  };
  const appending = Promise.all([0, 1, 2].map(append));
  for (const days of [4, 3, 2, 1]) t.ok(await pruneLog(log, dir, { days, tenants: {} }, at(6)));
  isPruning = false;
  await appending;
  await log.close();
  const { damage, first } = await ours(dir);
  t.same([damage, first], [undefined, 6]);
  const have = new Set(linesOf(dir).map((line) => (JSON.parse(line) as { readonly request_id?: string }).request_id));
  t.same(ids.filter((id) => !have.has(id)), [], `${ids.length} entries`);
});

t.test('any retentions of any tenants: no entry goes before its time', async (t) => {
  const names = ['a', 'b', 'c'];
  await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 6 }), fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }), fc.dictionary(fc.constantFrom(...names), fc.integer({ min: 1, max: 8 })), fc.integer({ min: 0, max: 12 }), async (tenants, days, own, today) => {
    const dir = logFolder(t);
    await daily(dir, tenants);
    await prune(dir, today, days, own);
    const { damage, first } = await ours(dir);
    const gone = tenants.slice(0, first);
    const next = tenants.slice(0, -1)[first]; // the newest segment stays
    const hasPassed = (tenant: string, day: number): boolean => day + (own[tenant] ?? days ?? Infinity) <= today;
    return damage === undefined && gone.every(hasPassed) && (next === undefined || !hasPassed(next, first));
  }), { numRuns: 25 });
});
