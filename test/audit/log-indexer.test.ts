/**
 * An audit log brought into the store: whatever was cut short on the way, in the store or in the log, its rows are in the
 * end those of the log. The log is a real one, in several segments, written, cut, restored and pruned as it may be.
 */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { LogFollower } from '../../src/audit/follow.ts';
import { LogIndexer } from '../../src/audit/log-indexer.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { WeirError } from '../../src/contract/errors.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { SqlDecisionStore } from '../../src/store/sql-decisions.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, segmentsOf } from '../helpers/audit.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

/** Small segments, so that there are several. */
const SMALL = { segmentBytesMax: 4_000 } as const;

function openStore(t: Test, dir: string): StoreDatabase {
  const database = openSqliteDatabase(join(dir, '../store/decisions.db'));
  t.teardown(() => database.close());
  return database;
}

async function append(dir: string, ids: readonly string[]): Promise<void> {
  const log = await openAuditLog(logOptions(dir, ids.length > 100 ? {} : SMALL));
  // A segment ends between two groups: one by one there are several.
  for (const id of ids) await log.append(id.startsWith('-') ? { kind: 'lost', count: 1 } : exchangeRecord(id), ids.length > 100 ? 'relaxed' : 'strict');
  await log.close();
}

const names = (prefix: string, count: number): readonly string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

async function indexAll(indexer: LogIndexer): Promise<void> {
  for (let i = 0; i < 10_000; i++) if (!(await indexer.step()).more) return;
  throw new Error('it does not end');
}

/** Of the log: request ids of exchanges by index; of the store: the same. */
function inLog(dir: string): readonly (readonly [number, string])[] {
  return linesOf(dir).map((line) => JSON.parse(line) as { readonly kind: string; readonly index: number; readonly request_id: string }).filter(({ kind }) => kind === 'exchange').map(({ index, request_id: id }) => [index, id] as const);
}

async function inStore(database: StoreDatabase): Promise<readonly (readonly [number, string])[]> {
  const store = new SqlDecisionStore(database);
  const { rows } = await store.search({ limit: 100_000 });
  const { totals } = await store.counts({ span: 'hour', fromMs: 0, untilMs: 2 ** 42, stepMs: 3_600_000 });
  assert.equal(totals.find(({ measure }) => measure === 'exchanges')?.total ?? 0, rows.length, 'counts are those of the rows');
  return rows.map(({ index, request_id: id }) => [index, id] as const).sort(([a], [b]) => a - b);
}

t.test('entries from any one on, oldest first, as they are in the files', async (t) => {
  const dir = logFolder(t);
  await append(dir, names('request ', 60));
  const all = linesOf(dir).map((line) => (JSON.parse(line) as { readonly index: number }).index);
  t.ok(segmentsOf(dir).length > 5);
  for (const max of [1, 3, 1_000]) {
    for (const from of [0, 1, 17, 59]) {
      const follower = new LogFollower(dir);
      const found: number[] = [];
      for (let at = from; ;) {
        const { entries, next, more } = await follower.read(at, max);
        found.push(...entries.map(({ index }) => index));
        at = next;
        if (!more) break;
      }
      t.same(found, all.slice(from), `${from} by ${max}`);
    }
  }
  t.same(await new LogFollower(dir).read(60, 5), { entries: [], next: 60, more: false });
  t.same(await new LogFollower(join(dir, 'none')).read(0, 5), { entries: [], next: 0, more: false });
  const last = join(dir, segmentsOf(dir).at(-1)!);
  appendFileSync(last, '{"index":60,"kind":"exchange"');
  t.same((await new LogFollower(dir).read(60, 5)).entries, [], 'an unfinished line is none yet');
  rmSync(join(dir, segmentsOf(dir)[0]!));
  const begun = await new LogFollower(dir).read(0, 1);
  t.equal(begun.entries[0]!.index, Number.parseInt(segmentsOf(dir)[0]!, 10), 'what passed its retention is stepped over');
});

t.test('an entry longer than what is read at once', async (t) => {
  const dir = logFolder(t);
  const log = await openAuditLog(logOptions(dir));
  await log.append({ ...exchangeRecord('long'), model: 'x'.repeat(3_000_000) }, 'strict');
  await log.append(exchangeRecord('short'), 'strict');
  await log.close();
  const { entries } = await new LogFollower(dir).read(0, 10);
  t.same(entries.map((entry) => entry['request_id']), ['long', 'short']);
  t.same((await new LogFollower(dir).read(1, 10)).entries.map((entry) => entry['request_id']), ['short']);
});

t.test('a log that is there is indexed, goes on over restarts, and counts once', async (t) => {
  const dir = logFolder(t);
  await append(dir, ['a', '-', 'b', ...names('c', 1_200)]);
  const database = openStore(t, dir);
  const store = new SqlDecisionStore(database);
  const indexer = new LogIndexer({ dir, shipped: false }, store);
  t.same(await indexer.step(), { taken: 256, more: true }, 'a batch at a time');
  await indexAll(new LogIndexer({ dir, shipped: false }, store));
  await indexAll(indexer);
  t.same(await inStore(database), inLog(dir));
  await append(dir, names('d', 40));
  await Promise.all(Array.from({ length: 3 }, () => indexAll(new LogIndexer({ dir, shipped: false }, store))));
  t.same(await inStore(database), inLog(dir), 'three at once count once');
  t.match((await store.search({ limit: 1, logName: 'test/one' })).rows, [{ log: 'test/one', request_id: 'd39' }]);
});

t.test('what the log lost is taken back: it was cut short, or restored from an older copy and went on', async (t) => {
  for (const [kept, more] of [[40, 0], [40, 3], [40, 90], [0, 5], [99, 1]] as const) {
    const dir = logFolder(t);
    await append(dir, names('first ', kept));
    const copy = logFolder(t);
    if (kept > 0) for (const part of ['audit', 'keys']) cpSync(join(dir, '..', part), join(copy, '..', part), { recursive: true });
    await append(dir, names('lost ', 60));
    const database = openStore(t, dir);
    const store = new SqlDecisionStore(database);
    await indexAll(new LogIndexer({ dir, shipped: false }, store));
    t.equal((await inStore(database)).length, kept + 60);
    rmSync(dir, { recursive: true });
    if (kept > 0) cpSync(copy, dir, { recursive: true });
    await append(dir, names('other ', more));
    await indexAll(new LogIndexer({ dir, shipped: false }, store));
    await indexAll(new LogIndexer({ dir, shipped: false }, store));
    t.same(await inStore(database), inLog(dir), `${kept} and ${more}`);
  }
});

t.test('the copy of a log that is behind takes nothing back', async (t) => {
  const dir = logFolder(t);
  await append(dir, names('first ', 20));
  cpSync(dir, `${dir}-copy`, { recursive: true });
  t.teardown(() => rmSync(`${dir}-copy`, { recursive: true }));
  await append(dir, names('second ', 20));
  const database = openStore(t, dir);
  const store = new SqlDecisionStore(database);
  await indexAll(new LogIndexer({ dir, shipped: false }, store));
  await indexAll(new LogIndexer({ dir: `${dir}-copy`, name: 'test/one', shipped: true }, store));
  t.same(await inStore(database), inLog(dir), 'and it is the same log, whichever way it comes');
});

t.test('entries that passed their retention before they were indexed are left out; what is no exchange, or half of one, too', async (t) => {
  const dir = logFolder(t);
  await append(dir, names('request ', 60));
  for (const name of segmentsOf(dir).slice(0, 2)) rmSync(join(dir, name));
  const last = join(dir, segmentsOf(dir).at(-1)!);
  const lines = readFileSync(last, 'utf8').split('\n');
  const strange = lines.slice(0, -1).map((line, i) => (i === 0 ? JSON.stringify({ ...JSON.parse(line), input: { action: 'block' } }) : line));
  writeFileSync(last, strange.map((line) => `${line}\n`).join(''));
  const database = openStore(t, dir);
  const indexer = new LogIndexer({ dir, shipped: false }, new SqlDecisionStore(database));
  await indexAll(indexer);
  t.same(await inStore(database), inLog(dir).filter(([index]) => index !== (JSON.parse(strange[0]!) as { readonly index: number }).index));
  t.equal(indexer.next, 60);
});

t.test('whenever the store fails, before or after it did its work, the rows are in the end those of the log', async (t) => {
  await fc.assert(fc.asyncProperty(fc.integer(), fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 5 }), async (chance, growth) => {
    const dir = logFolder(t);
    const database = openSqliteDatabase(join(dir, '../store/decisions.db'));
    const random = randomOf(chance);
    const failing: StoreDatabase = {
      query: async (sql, ...values) => {
        if (random() < 0.1) throw new WeirError('store_unavailable');
        return database.query(sql, ...values);
      },
      transaction: async (work) => {
        if (random() < 0.15) throw new WeirError('store_unavailable', 'failed');
        const done = await database.transaction(async (query) => work(async (sql, ...values) => {
          if (random() < 0.02) throw new WeirError('store_unavailable', 'in the middle');
          return query(sql, ...values);
        }));
        if (random() < 0.15) throw new WeirError('store_unavailable', 'failed but done');
        return done;
      },
      close: async () => {},
    };
    let indexer = new LogIndexer({ dir, shipped: false }, new SqlDecisionStore(failing));
    const copy = join(dir, '../older');
    await append(dir, ['first']);
    cpSync(dir, copy, { recursive: true });
    let round = 0;
    for (const count of growth) {
      await append(dir, names(`${round++} `, count));
      if (random() < 0.5) indexer = new LogIndexer({ dir, shipped: false }, new SqlDecisionStore(failing));
      for (let i = 0; i < 30; i++) await indexer.step().catch(() => undefined);
      if (random() < 0.4) {
        // Stopped, and started with an older copy, which goes on with other entries.
        rmSync(dir, { recursive: true });
        cpSync(copy, dir, { recursive: true });
        await append(dir, names(`other ${round} `, Math.floor(random() * 20)));
        indexer = new LogIndexer({ dir, shipped: false }, new SqlDecisionStore(failing));
      }
      rmSync(copy, { recursive: true });
      cpSync(dir, copy, { recursive: true });
    }
    const sound = new LogIndexer({ dir, shipped: false }, new SqlDecisionStore(database));
    await indexAll(sound);
    assert.deepEqual(await inStore(database), inLog(dir));
    await database.close();
  }), { seed, numRuns: runs(25) });
});
