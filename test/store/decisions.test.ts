/**
 * What was decided, over SQLite, a real Postgres and ClickHouse's engine: every search finds what a walk over all rows finds, page by page and
 * however little one search may look at; counts are those of the rows through batches, replays, rivals and what is taken
 * back; retention removes what is old and no more; and every statement of a page goes along an index.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { ACTIONS, strongest, type Action } from '../../src/contract/screening.ts';
import { countsOf, decisionId, decisionRow, partsOf, placeOf, requestKey, rulesOf, stepMs, stepOf, type DecisionDetail, type DecisionRow, type ExchangeEntry } from '../../src/store/decision-rows.ts';
import { SPAN_MS, type DecisionQuestion, type DecisionStore, type LogPosition, type Span } from '../../src/store/decisions.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { SqlReviewStore } from '../../src/store/reviews.ts';
import type { SqlQuery, StoreDatabase } from '../../src/store/sql.ts';
import { SqlDecisionStore } from '../../src/store/sql-decisions.ts';
import { fillDecisions, fillReviews } from '../bench/decisions-fill.ts';
import { runs, seed } from '../helpers/runs.ts';
import { openPostgresSchema } from '../helpers/postgres.ts';
import { DECISION_DRIVERS } from '../helpers/decision-stores.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const START_MS = Date.UTC(2030, 0, 1, 11, 58);
const LOGS = [{ log: 'own+1', name: 'own', shipped: false }, { log: 'far+2', name: 'far', shipped: true }] as const;

/** Few names, so that searches meet. */
const detail: fc.Arbitrary<DecisionDetail> = fc.record({
  action: fc.constantFrom<Action>('allow', 'allow', 'allow', ...ACTIONS), rules: fc.uniqueArray(fc.constantFrom('a', 'b', 'ü|1'), { maxLength: 2 }), found: fc.uniqueArray(fc.constantFrom('pii.EMAIL', 'x.y'), { maxLength: 2 }),
  unknown: fc.uniqueArray(fc.constantFrom('x timeout', 'x error'), { maxLength: 1 }), degraded: fc.constant([]), latency_ms: fc.integer({ min: 0, max: 500 }),
});
const made = fc.record({
  afterMs: fc.integer({ min: 0, max: 40_000 }), id: fc.uuid(), tenant: fc.constantFrom('acme', 'bravo', 'cörp'), policy: fc.constantFrom('p', 'q', ''), revision: fc.constantFrom('1', '2'), outcome: fc.constantFrom('completed', 'blocked', 'failed'),
  first: fc.option(fc.integer({ min: 0, max: 900 })), detail: fc.record({ input: detail, output: detail, late: detail }, { requiredKeys: [] }), isDegraded: fc.boolean(), isPartial: fc.boolean(),
});
type Made = typeof made extends fc.Arbitrary<infer T> ? T : never;

function rowsOf(all: readonly Made[], at: LogPosition, from = 0): readonly DecisionRow[] {
  let atMs = START_MS;
  return all.map((one, i) => {
    atMs += one.afterMs;
    return {
      decision_id: decisionId(at.logId, from + i), at_ms: atMs, mark: i, request_id: one.id, tenant_id: one.tenant, shipped: at.shipped, session_id: null, policy_id: one.policy, policy_revision: one.policy === '' ? '' : one.revision, model: 'm', route: '/v1/x', outcome: one.outcome, error_code: null, status: 200,
      action: strongest(partsOf(one).map(([, { action }]) => action)) ?? null, is_partial: one.isPartial, is_degraded: one.isDegraded, started_ms: atMs - 7, duration_ms: one.afterMs / 3, first_byte_ms: one.first, detail: one.detail,
    };
  });
}

/** As the port promises, the long way. */
function isFound(row: DecisionRow, { requestId, tenants, ownOnly, logName, action, rule, category, policy, sinceMs = -Infinity, untilMs = Infinity }: Partial<DecisionQuestion>): boolean {
  const parts = partsOf(row).map(([, one]) => one);
  return (requestId === undefined || row.request_id.startsWith(requestId.toLowerCase())) && (tenants === undefined || tenants.includes(row.tenant_id)) && (ownOnly !== true || !row.shipped) && (logName === undefined || logName === (row.shipped ? 'far' : 'own'))
    && (action === undefined || parts.some((one) => one.action === action)) && (rule === undefined || rulesOf(row).includes(rule)) && (category === undefined || parts.some(({ found }) => found.includes(category)))
    && (policy === undefined || row.policy_id === policy || `${row.policy_id}@${row.policy_revision}` === policy) && row.at_ms >= sinceMs && row.at_ms < untilMs;
}

const newestFirst = (rows: readonly DecisionRow[]): readonly number[] => [...rows].sort((a, b) => b.at_ms - a.at_ms || b.decision_id - a.decision_id).map(({ decision_id: id }) => id);

const question = fc.record({
  tenants: fc.uniqueArray(fc.constantFrom('acme', 'bravo', 'cörp', 'nobody'), { minLength: 0, maxLength: 3 }), ownOnly: fc.boolean(), logName: fc.constantFrom('own', 'far', 'none'), action: fc.constantFrom(...ACTIONS), rule: fc.constantFrom('a', 'b', 'ü|1', 'none'),
  category: fc.constantFrom('pii.EMAIL', 'x.y'), policy: fc.constantFrom('p', 'q', 'p@1', 'q@2', 'none'), sinceMs: fc.integer({ min: START_MS, max: START_MS + 400_000 }), untilMs: fc.integer({ min: START_MS, max: START_MS + 900_000 }),
}, { requiredKeys: [] });

/** Of the rows, by the long way. */
function countedOf(rows: readonly DecisionRow[], span: Span, tenants: readonly string[] | undefined, ownOnly: boolean): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  const bucketOf = (ms: number): number => Math.floor(ms / SPAN_MS[span]) * SPAN_MS[span];
  for (const row of rows) if ((tenants === undefined || tenants.includes(row.tenant_id)) && !(ownOnly && row.shipped)) for (const { direction, measure, name } of [...countsOf(row), ...(['series'] as const).map(() => ({ direction: 'series', measure: bucketOf(row.at_ms), name: row.action ?? 'none' }))]) sums[`${direction} ${measure} ${name}`] = (sums[`${direction} ${measure} ${name}`] ?? 0) + 1;
  return sums;
}

async function countsIn(store: DecisionStore, span: Span, tenants: readonly string[] | undefined, ownOnly: boolean): Promise<Readonly<Record<string, number>>> {
  const fromMs = Math.floor(START_MS / SPAN_MS.hour) * SPAN_MS.hour;
  const { totals, series } = await store.counts({ span, tenants, ownOnly, fromMs, untilMs: fromMs + 24 * SPAN_MS.hour, stepMs: SPAN_MS[span] });
  return Object.fromEntries([...totals.map(({ direction, measure, name, total }) => [`${direction} ${measure} ${name}`, total] as const), ...series.map(({ fromMs: at, action, total }) => [`series ${at} ${action}`, total] as const)]);
}

t.test('ids, keys and steps', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 13 }), fc.integer({ min: 0, max: 2 ** 39 - 1 }), (logId, index) => {
    const id = decisionId(logId, index);
    return Number.isSafeInteger(id) && placeOf(id).logId === logId && placeOf(id).index === index;
  }), { seed, numRuns: runs(300) });
  fc.assert(fc.property(fc.double({ min: 0.02, max: 3_600_000, noNaN: true }), (ms) => Math.abs(stepMs(stepOf(ms)) - ms) <= 0.1 * ms), { seed, numRuns: runs(500) });
  t.same([0, -1, Number.NaN].map(stepOf), ['0', '0', '0']);
  t.ok(Number.isSafeInteger(requestKey('any text at all')));
  const entry = { kind: 'exchange', index: 3, time: 'never', hash: 'f'.repeat(64), request_id: 'a\0b', tenant_id: 'acme', route: '/x', outcome: 'completed', status: 200, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 1 } as unknown as ExchangeEntry;
  const part = { action: 'redact', triggered_rules: ['r'], classifier_results: [{ classifier_id: 'pii', category: 'EMAIL', score: 1, count: 1 }], coverage: { screened: [], exempt: [{ carrier: 'x', rule: 'e' }], opaque: [] }, degraded: [], redactions: 3, latency_ms: 1 } as const;
  const counted = countsOf(decisionRow({ ...entry, policy: 'p@7', outcome: 'refused', error_code: 'screening_failed', status: 503, input: part, output: { ...part, action: 'allow', classifier_results: [], coverage: { screened: [], exempt: [], opaque: [{ carrier: 'y', kind: 'image' }] }, redactions: 5_000 } } as unknown as ExchangeEntry, 1, false)).map(({ direction, measure, name }) => `${direction} ${measure} ${name}`);
  for (const one of [' route /x', ' status 503', ' error screening_failed', ' policy p@7', ' fault weir', ' acted redact pii.EMAIL', 'input uncovered exempt', 'output uncovered opaque', 'input redactions 3', 'output redactions 1000']) t.ok(counted.includes(one), one);
  t.ok(countsOf(decisionRow({ ...entry, outcome: 'toString' } as unknown as ExchangeEntry, 1, false)).some(({ measure, name }) => measure === 'fault' && name === 'none'), 'an end that no Weir writes is nobody’s fault');
  t.notOk(countsOf(decisionRow(entry, 1, false)).some(({ measure }) => measure === 'acted'), 'where nothing was done');
  t.match(decisionRow(entry, 1, false), { request_id: 'a\uFFFDb', at_ms: 0, action: null, policy_id: '', detail: {} }, 'what no store would take is written otherwise');
});

for (const { name, skip, open } of DECISION_DRIVERS) {
  t.test(`${name}: a search finds what a walk over all finds`, { skip }, async (t) => {
    const stores = await open(t);
    await fc.assert(fc.asyncProperty(fc.array(made, { maxLength: 40 }), fc.array(made, { maxLength: 20 }), fc.array(question, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 30 }), async (own, far, questions, limit, lookedMax) => {
      await stores.empty();
      const store = stores.store({ lookedMax });
      const all: DecisionRow[] = [];
      for (const [i, some] of [own, far].entries()) {
        const at = await store.position(LOGS[i]!);
        const rows = rowsOf(some, at);
        all.push(...rows);
        if ((await store.take(at, rows, rows.length, 'h')) === undefined) throw new Error('it was not taken');
      }
      const ids: Partial<DecisionQuestion>[] = all.slice(0, 2).flatMap(({ request_id: id }) => [id, id.slice(0, 5), id.slice(0, 9).toUpperCase(), id.slice(0, 20)].map((requestId) => ({ requestId })));
      for (const asked of [...questions, ...ids]) {
        const found: number[] = [];
        let pages = 0;
        for (let before: DecisionQuestion['before']; ;) {
          const page = await store.search({ ...asked, before, limit });
          found.push(...page.rows.map(({ decision_id: id }) => id));
          if (page.rows.length > limit || page.looked > lookedMax + 3 || pages++ > 1_000) throw new Error('it looks at more than it may');
          if (page.next === undefined) break;
          before = page.next;
        }
        assert.deepEqual(found, newestFirst(all.filter((row) => isFound(row, asked))), JSON.stringify(asked));
      }
    }), { seed, numRuns: runs(name === 'sqlite' ? 60 : 12) });
    const { rows: [row] } = await stores.store().search({ limit: 1 });
    if (row !== undefined) t.match(row, { log: row.shipped ? 'far' : 'own', index: placeOf(row.decision_id).index });
  });

  t.test(`${name}: counts are those of the rows, whatever happens`, { skip }, async (t) => {
    const stores = await open(t);
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), rows: fc.array(made, { maxLength: 12 }) }) }, { weight: 1, arbitrary: fc.record({ kind: fc.constant('again' as const), rows: fc.array(made, { maxLength: 5 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('rivals' as const), rows: fc.array(made, { minLength: 1, maxLength: 5 }) }) }, { weight: 2, arbitrary: fc.record({ kind: fc.constant('back' as const), to: fc.double({ min: 0, max: 1, noNaN: true }), limit: fc.integer({ min: 1, max: 5 }) }) },
    );
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 0, max: 1 }), step), { maxLength: 12 }), async (steps) => {
      await stores.empty();
      const store = stores.store();
      const held: DecisionRow[][] = [[], []];
      for (const [i, one] of steps) {
        const at = await store.position(LOGS[i]!);
        if (at.next !== held[i]!.length) throw new Error(`the log stands at ${at.next}, and ${held[i]!.length} were taken`);
        if (one.kind === 'back') {
          const to = Math.floor(one.to * at.next);
          while ((await store.takeBack(at, to, 'h', one.limit)) === one.limit);
          held[i]!.length = to;
        } else if (one.kind === 'again') {
          const stale = { ...at, next: at.next - 1 };
          assert.equal(await store.take(stale, rowsOf(one.rows, at, stale.next), stale.next + one.rows.length, 'h'), undefined, 'who is late takes nothing');
        } else {
          const rows = rowsOf(one.rows, at, at.next);
          const taken = await Promise.all(Array.from({ length: one.kind === 'rivals' ? 3 : 1 }, () => store.take(at, rows, at.next + rows.length, 'h')));
          if (rows.length > 0) assert.ok(stores.database === undefined ? taken.some((position) => position !== undefined) : taken.filter((position) => position !== undefined).length === 1, 'one of those that come together; where nothing is added twice, at least one');
          held[i]!.push(...rows);
        }
      }
      const all = held.flat();
      for (const span of ['minute', 'hour'] as const) for (const tenants of [undefined, ['acme'], ['bravo', 'nobody']]) for (const ownOnly of [false, true]) assert.deepEqual(await countsIn(store, span, tenants, ownOnly), countedOf(all, span, tenants, ownOnly), `${span} ${tenants} ${ownOnly}`);
      assert.deepEqual((await store.search({ limit: 1_000 })).rows.map(({ decision_id: id }) => id), newestFirst(all));
      if (stores.database !== undefined) assert.equal((await stores.database.query('select 1 from decision_labels l where not exists (select 1 from decisions d where d.decision_id = l.decision_id)')).length, 0, 'no label of nothing');
    }), { seed, numRuns: runs(name === 'sqlite' ? 40 : 10) });
  });

  t.test(`${name}: whatever a shipped log says, it is taken or left out`, { skip }, async (t) => {
    const store = (await open(t)).store();
    const decision = { action: 'block', triggered_rules: ['r'], classifier_results: [{ classifier_id: 'x', category: 'y', score: 0.9, count: 1 }, { classifier_id: 'x', category: 'z', unknown: 'timeout', count: 1 }], coverage: { screened: [], exempt: [], opaque: [] }, degraded: ['r'], redactions: 0, latency_ms: 1 };
    const whole = { kind: 'exchange', index: 0, time: '2030-01-01T00:00:00.000Z', hash: 'f'.repeat(64), request_id: 'abc', tenant_id: 'acme', session_id: 's', policy: 'p@1', model: 'm', route: '/x', outcome: 'completed', error_code: 'x', status: 200, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 1, time_to_first_byte_ms: 1, input: decision, output: decision, late: { ...decision, direction: 'input', acted: [] } };
    const strange = fc.oneof(fc.constantFrom(null, -1, 1e300, 2 ** 60, 1.5, '', '\0', 'x'.repeat(5_000), '\uD800', [], {}, true, '__proto__', '|', 'a|b', '2030-13-45'), fc.string(), fc.jsonValue());
    const places = [...Object.keys(whole).filter((key) => key !== 'index'), ...Object.keys(decision).map((key) => `input.${key}`), ...['classifier_id', 'category', 'score', 'unknown'].map((key) => `input.classifier_results.0.${key}`), 'input.triggered_rules.0', 'input.degraded.0'];
    let at = await store.position(LOGS[1]);
    let taken = 0;
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...places), strange), { minLength: 1, maxLength: 2 }), async (changes) => {
      const entry = JSON.parse(JSON.stringify({ ...whole, index: at.next })) as Record<string, any>;
      for (const [place, value] of changes) {
        const steps = place.split('.');
        const last = steps.pop()!;
        const holder = steps.reduce<Record<string, any> | undefined>((object, step) => object?.[step], entry);
        if (typeof holder === 'object' && holder !== null) holder[last] = value;
      }
      let row: DecisionRow;
      try {
        row = decisionRow(entry as unknown as ExchangeEntry, at.logId, true);
      } catch (error) {
        assert.ok(error instanceof TypeError, String(error));
        return;
      }
      taken++;
      at = (await store.take(at, [row], at.next + 1, 'h'))!;
      assert.ok(at);
    }), { seed, numRuns: runs(name === 'sqlite' ? 400 : 200) });
    t.ok(taken > 20, `${taken} were taken`);
    t.equal((await store.counts({ span: 'hour', fromMs: 0, untilMs: 2 ** 43, stepMs: 3_600_000 })).totals.find(({ measure }) => measure === 'exchanges')?.total, taken);
  });

  t.test(`${name}: two that index other logs at once lose nothing`, { skip }, async (t) => {
    const opened = await open(t);
    const stores = await Promise.all(LOGS.map(async (log) => ({ store: opened.store(), at: await opened.store().position({ ...log, shipped: false }) })));
    const batch = fc.sample(fc.array(made, { minLength: 20, maxLength: 20 }), { seed, numRuns: 10 });
    await Promise.all(stores.map(async ({ store, at }) => {
      let position = at;
      for (const some of batch) position = (await store.take(position, rowsOf(some, position, position.next), position.next + some.length, 'h'))!;
    }));
    const all = stores.flatMap(({ at }) => batch.flatMap((some, i) => rowsOf(some, at, i * 20)));
    t.strictSame(await countsIn(stores[0]!.store, 'hour', undefined, false), countedOf(all, 'hour', undefined, false));
  });

  t.test(`${name}: what is old goes, a bounded number at a time`, { skip }, async (t) => {
    const { store: openStore, database } = await open(t);
    const store = openStore();
    const at = await store.position(LOGS[0]);
    const rows = rowsOf(fc.sample(made, { seed, numRuns: 60 }).map((one) => ({ ...one, afterMs: 60_000 })), at);
    await store.take(at, rows, rows.length, 'h');
    const tenants: string[] = [];
    for (let tenant = await store.tenantAfter(''); tenant !== undefined; tenant = await store.tenantAfter(tenant)) tenants.push(tenant);
    t.same(tenants, [...new Set(rows.map(({ tenant_id: id }) => id))].sort());
    const cutMs = START_MS + 30 * 60_000;
    const old = rows.filter(({ tenant_id: id, at_ms: ms }) => id === tenants[0] && ms < cutMs);
    let removed = 0;
    for (let count = 3; count === 3; removed += count) {
      count = await store.drop(tenants[0]!, cutMs, 3);
      t.ok(count <= 3 || database === undefined);
    }
    t.equal(removed, old.length);
    t.same((await store.search({ limit: 500 })).rows.map(({ decision_id: id }) => id), newestFirst(rows.filter((row) => !old.includes(row))));
    t.strictSame(await countsIn(store, 'hour', undefined, false), countedOf(rows, 'hour', undefined, false), 'counts stay');
    const gone = await store.dropCounts('', 'minute', cutMs, 5);
    t.ok(database === undefined ? gone >= 5 : gone === 5, 'until they go by themselves');
    while (await store.dropCounts('', 'minute', cutMs, 100) > 0);
    const kept = rows.filter(({ at_ms: ms }) => ms >= cutMs);
    t.strictSame(await countsIn(store, 'minute', undefined, false), countedOf(kept, 'minute', undefined, false));
    t.strictSame(await countsIn(store, 'hour', tenants, false), countedOf(rows, 'hour', undefined, false), 'those of each tenant stay');
    t.same(await store.take(at, rows, rows.length, 'h'), undefined, 'what was taken and has gone does not come again');
  });
}

for (const { name, skip, place } of STORE_DRIVERS.filter(({ lasts }) => lasts)) {
  const fresh = async (t: Test): Promise<StoreDatabase> => (await place(t)).database!();

  t.test(`${name}: every statement of a page goes along an index`, { skip }, async (t) => {
    const { database, fill } = await filling(t, name === 'postgres', fresh);
    const untilMs = START_MS;
    await fillDecisions({ query: fill, kind: name as 'sqlite', decisions: 100_000, untilMs, progress: () => {}, sliceDigits: 4, countedTenants: 3 });
    await fillReviews(fill, 20_000, 10_000, untilMs);
    if (name === 'postgres') for (const table of ['decisions', 'decision_labels', 'decision_counts', 'review_items', 'review_verdicts']) await fill(`analyze ${table}`);
    const asked: { readonly sql: string; readonly values: readonly (string | number | null)[] }[] = [];
    const noting = (query: SqlQuery): SqlQuery => (sql, ...values) => { asked.push({ sql, values }); return query(sql, ...values); };
    const watched: StoreDatabase = { query: noting(database.query), transaction: (work) => database.transaction((query) => work(noting(query))), close: async () => {} };
    const [store, reviews] = [new SqlDecisionStore(watched), new SqlReviewStore(watched)];
    const [{ request_id: requestId }] = (await store.search({ limit: 1 })).rows as unknown as readonly [DecisionRow];
    const questions: readonly Partial<DecisionQuestion>[] = [
      {}, { tenants: ['tenant-3'] }, { tenants: ['tenant-3', 'tenant-4'], ownOnly: true }, { rule: 'rule-7' }, { category: 'pii.CATEGORY-6' }, { action: 'block' }, { action: 'allow' }, { policy: 'policy-9' }, { policy: 'policy-9@1', rule: 'rule-7' }, { tenants: ['tenant-3'], rule: 'rule-7' },
      { tenants: ['tenant-3'], policy: 'policy-50' }, { rule: 'rule-7', category: 'pii.CATEGORY-6', action: 'redact' }, { requestId }, { requestId: requestId.slice(0, 6) }, { requestId: 'no id at all' }, { logName: 'bench', tenants: ['tenant-3'] }, { action: 'allow', ownOnly: true, tenants: ['tenant-5'] },
    ];
    for (const one of questions) for (const times of [{}, { sinceMs: untilMs - 7 * 86_400_000, untilMs: untilMs - 86_400_000 }]) await store.search({ limit: 50, ...one, ...times });
    for (const tenants of [undefined, ['tenant-1']]) for (const span of ['minute', 'hour'] as const) await store.counts({ span, tenants, fromMs: untilMs - 24 * 3_600_000, untilMs, stepMs: 3_600_000 });
    await store.marks(1, 90_000, 5);
    await store.tenantAfter('tenant-3');
    for (const one of [{}, { statuses: ['pending'] as const }, { severity: 'high' as const }, { tenants: ['tenant-3'] }, { statuses: ['pending'] as const, severity: 'high' as const }]) await reviews.items({ limit: 50, ...one });
    await reviews.depth();
    await reviews.claimNext({ id: 'ana' }, new Date(untilMs).toISOString(), new Date(untilMs + 1).toISOString());
    const wrong = asked.map(({ sql }) => sql).filter((sql) => !/^\s*(?:select|update|insert)/.test(sql));
    t.same(wrong, []);
    for (const { sql, values } of asked) { // nobody has decided anything: a walk over no verdicts is no walk
      const plan = await planOf(database, name, sql, values);
      t.notMatch(plan, /SCAN (?!decision_logs|review_verdicts|known|\(|\d+-ROW|CONSTANT)(?!review_items USING INDEX review_items_by_time$)/, `${sql}\n${plan}`);
      if (!/request_key|group by|min\(|update/.test(sql)) t.notMatch(plan, /TEMP B-TREE FOR ORDER BY/, sql);
    }
    t.ok(asked.length > 2 * questions.length);
  });
}

/** A database, and statements to fill it with, which may take their time. */
async function filling(t: Test, isPostgres: boolean, fresh: (t: Test) => Promise<StoreDatabase>): Promise<{ readonly database: StoreDatabase; readonly fill: SqlQuery }> {
  if (!isPostgres) {
    const database = await fresh(t);
    return { database, fill: database.query };
  }
  const url = await openPostgresSchema(t);
  const database = new PostgresDatabase(url);
  await database.query('select 1');
  const client = new Client({ connectionString: url });
  await client.connect();
  t.teardown(async () => {
    await client.end();
    await database.close();
  });
  return { database, fill: async (sql, ...values) => (await client.query(sql, [...values])).rows };
}

async function planOf(database: StoreDatabase, kind: string, sql: string, values: readonly (string | number | null)[]): Promise<string> {
  if (kind === 'sqlite') return (await database.query<{ readonly detail: string }>(`explain query plan ${sql}`, ...values)).map(({ detail }) => detail).join('\n');
  const [plan] = await database.query<{ readonly 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(`explain (format json) ${sql}`, ...values);
  return scansOf(plan!['QUERY PLAN'][0]!.Plan).join('\n');
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** In the words of SQLite. A sort of few rows is none of a table's. */
function scansOf({ 'Node Type': type, 'Relation Name': relation, Plans: plans = [] }: PlanNode): readonly string[] {
  return [`${type === 'Seq Scan' ? 'SCAN' : type} ${relation ?? ''}`, ...plans.flatMap(scansOf)];
}
