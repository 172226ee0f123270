/**
 * Weekly reports of planted weeks, over SQLite, Postgres and ClickHouse: against a naive count of the same rows, the same bytes for the same
 * data, trends with what chance says of them, weeks that are empty, running, or partly beyond their retention, names that are
 * markup or formulas, and the calendar itself against a naive one.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { csvText } from '../../../src/report/weekly/csv.ts';
import { checkWeeklySeal, readWeeklyDocument } from '../../../src/report/weekly/document.ts';
import { trendsOf, type FoundIn } from '../../../src/report/weekly/trends.ts';
import { dueWeek, dueWeeks, readRange, readWeek, RANGE_HOURS_MAX, weekAt } from '../../../src/report/weekly/weeks.ts';
import { WEEKLY_WAITING_MAX } from '../../../src/report/weekly/weekly.ts';
import { readSigner } from '../../../src/audit/key.ts';
import { openAuditLog } from '../../../src/audit/log.ts';
import { ClickHouse } from '../../../src/store/clickhouse.ts';
import { ClickHouseDecisionStore } from '../../../src/store/clickhouse-decisions.ts';
import { CLICKHOUSE_MISSING, startClickHouse } from '../../helpers/clickhouse.ts';
import { freshFolder } from '../../helpers/house.ts';
import { runs, seed } from '../../helpers/runs.ts';
import { STORE_DRIVERS } from '../../helpers/stores.ts';
import { HOUR_MS, MONDAY_MS, plant, plantInto, readCsv, reportsOver, tenant, WEEK_MS, type Planted } from '../../helpers/weekly.ts';

t.setTimeout(300_000);

const WEEK = weekAt(MONDAY_MS);

t.test('weeks are those of the calendar', async (t) => {
  t.match([weekAt(Date.UTC(2026, 11, 31)).week, weekAt(Date.UTC(2027, 0, 3)).week, weekAt(Date.UTC(2027, 0, 4)).week, weekAt(Date.UTC(2024, 11, 30)).week], ['2026-W53', '2026-W53', '2027-W01', '2025-W01']);
  fc.assert(fc.property(fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) }), (ms) => {
    const { week, fromMs, untilMs } = weekAt(ms);
    // By the rule in words: of the year of its Thursday, the so-manieth of its Thursdays.
    const thursday = new Date(fromMs + 3 * 86_400_000);
    const before = Math.floor((thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / WEEK_MS) + 1;
    return fromMs <= ms && ms < untilMs && new Date(fromMs).getUTCDay() === 1 && week === `${thursday.getUTCFullYear()}-W${String(before).padStart(2, '0')}` && readWeek(week)?.fromMs === fromMs;
  }), { seed, numRuns: runs(2_000) });
  for (const wrong of ['2026-W54', '2025-W53', '2026-W00', '2026-46', 'x', '1969-W10']) t.equal(readWeek(wrong), undefined, wrong);
  t.match(readRange('2030-01-28', '2030-02-04'), { week: '2030-W05' }, 'a range that is a week is called so');
  t.match(readRange('2030-01-28T06:00Z', '2030-01-28T07:00:00.000Z'), { week: null });
  for (const [from, until, problem] of [['2030-02-30', '2030-03-01', /no whole hour/], ['2030-01-01T00:30Z', '2030-01-02', /no whole hour/], ['2030-01-02', '2030-01-02', /comes after/]] as const) t.match(readRange(from, until), problem);
  t.match(readRange('2030-01-01', '2030-02-01'), { untilMs: Date.UTC(2030, 1, 1) }, `${RANGE_HOURS_MAX} hours are taken`);
  t.match(readRange('2030-01-01', '2030-02-01T01:00Z'), /745 hours are too many/);
});

t.test('a week is due when its day and hour have come, and what was missed is made up for', async (t) => {
  const due = { day: 1, hour: 6 };
  t.equal(dueWeek(due, MONDAY_MS + 6 * HOUR_MS).week, weekAt(MONDAY_MS - WEEK_MS).week);
  t.equal(dueWeek(due, MONDAY_MS + 6 * HOUR_MS - 1).week, weekAt(MONDAY_MS - 2 * WEEK_MS).week, 'not a moment before');
  t.equal(dueWeek({ day: 0, hour: 23 }, MONDAY_MS + 6 * 24 * HOUR_MS + 23 * HOUR_MS).week, weekAt(MONDAY_MS - WEEK_MS).week, 'Sunday is the last day of a week');
  const now = MONDAY_MS + 7 * HOUR_MS;
  t.same(dueWeeks(due, now, undefined, 8).map(({ week }) => week), ['2030-W04'], 'what was never made is not made up for');
  t.same(dueWeeks(due, now, '2030-W02', 8).map(({ week }) => week), ['2030-W02', '2030-W03', '2030-W04']);
  t.same(dueWeeks(due, now, '2029-W01', 3).map(({ week }) => week), ['2030-W02', '2030-W03', '2030-W04']);
  t.same(dueWeeks(due, now, '2030-W04', 8).map(({ week }) => week), ['2030-W04']);
});

t.test('a rise is told beyond chance and unrest, and little is told to be little', async (t) => {
  const week = (exchanges: number, hits: number, from = 'x'): FoundIn => ({ from, exchanges, found: new Map([['a.b', hits]]) });
  const finding = (now: FoundIn, before: readonly FoundIn[]) => trendsOf(now, before, before[0])[0]!;
  const steady = [week(1_000, 20), week(1_000, 22), week(1_000, 19), week(1_000, 21)];
  t.match(finding(week(1_000, 60), steady), { finding: 'rose', before: 20, ratio: { value: 2.92683 } });
  t.match(finding(week(1_000, 2), steady), { finding: 'fell' });
  t.match(finding(week(1_000, 27), steady), { finding: 'no_change' });
  t.match(finding(week(1_000, 60), [week(1_000, 90), week(1_000, 2), week(1_000, 15), week(1_000, 5)]), { finding: 'varies' }, 'such weeks come by themselves');
  t.match(finding(week(1_000, 60), steady.slice(0, 3)), { finding: 'too_little' }, 'three weeks are not four');
  t.match(finding(week(1_000, 4), [week(1_000, 0), week(1_000, 0), week(1_000, 0), week(1_000, 0)]), { finding: 'too_little' }, 'four in all');
  t.match(finding(week(1_000, 12), [week(1_000, 0), week(1_000, 0), week(1_000, 0), week(1_000, 0)]), { finding: 'rose', ratio: { value: null, high: null } });
  t.match(finding(week(0, 0), steady), { finding: 'too_little', share: null, p: null });
  t.same(trendsOf(week(10, 0), [], undefined).map(({ before, finding: told }) => [before, told]), [[null, 'too_little']]);
  let told = 0;
  const random = mulberry(seed);
  const poisson = (mean: number): number => { let [k, p] = [0, random()]; for (const limit = Math.exp(-mean); p > limit; k++) p *= random(); return k; };
  const looks = 400;
  for (let i = 0; i < looks; i++) if (['rose', 'fell'].includes(finding(week(1_000, poisson(12)), Array.from({ length: 4 }, () => week(1_000, poisson(12)))).finding)) told++;
  t.ok(told / looks < 0.08, `where nothing changed ${told} of ${looks} looks tell something`);
});

t.test('CSV is read again as it was, and no cell begins a formula', async (t) => {
  fc.assert(fc.property(fc.array(fc.array(fc.string({ unit: 'grapheme' }), { minLength: 3, maxLength: 3 }), { minLength: 1, maxLength: 5 }), (rows) => {
    const read = readCsv(csvText(rows));
    assert.equal(read.length, rows.length);
    for (const [y, row] of rows.entries()) for (const [x, cell] of row.entries()) {
      const text = cell.replaceAll('\0', '\uFFFD').toWellFormed();
      assert.ok(read[y]![x] === text || read[y]![x] === `'${text}`);
      assert.doesNotMatch(read[y]![x]!, /^\s*[=+\-@|%]/);
    }
    return true;
  }), { seed, numRuns: runs(400) });
  t.equal(csvText([['=1+1', '+x', '-2', '@a', ' =x', '\tx', 'a"b', 'a,b', 'a\r\nb', 7, -7, null]]), `'=1+1,'+x,'-2,'@a,' =x,'\tx,"a""b","a,b","a\r\nb",7,-7,\r\n`);
});

/** Made up, and the same in each run. */
function mulberry(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const ODD = ['<script>alert(1)</script>', '=cmd|x', 'a","b', 'line\nbreak', 'ü|1'];

function plantedWeeks(): readonly Planted[] {
  const random = mulberry(5);
  return Array.from({ length: 600 }, (): Planted => {
    const at_ms = MONDAY_MS + (1 - Math.floor(random() * 6)) * WEEK_MS + Math.floor(random() * WEEK_MS);
    const [name, kind] = [ODD[Math.floor(random() * ODD.length)]!, random()];
    const more = { at_ms, tenant_id: random() < 0.8 ? 'acme' : 'other', route: random() < 0.7 ? '/v1/chat/completions' : name };
    if (kind < 0.3) return { ...more, action: 'block', outcome: 'blocked', status: 400, input: { action: 'block', rules: [name], found: [`x.${name}`], latency_ms: random() * 40 } };
    if (kind < 0.5) return { ...more, action: 'redact', is_partial: true, input: { exempt: 1 }, output: { action: 'redact', rules: ['r'], found: ['pii.EMAIL', `x.${name}`], redactions: Math.ceil(random() * 5), unknown: [`${name} timeout`] } };
    if (kind < 0.6) return { ...more, outcome: 'failed', status: 500, error_code: 'internal', is_degraded: true, input: { degraded: ['r'] } };
    return { ...more, input: { latency_ms: random() * 40 } };
  });
}

t.test('a report of decisions in ClickHouse is that of the same in SQLite', { skip: CLICKHOUSE_MISSING }, async (t) => {
  const database = (await STORE_DRIVERS.find(({ name }) => name === 'sqlite')!.place(t)).database!();
  const clickhouse = await startClickHouse(t);
  const door = new ClickHouse({ url: clickhouse.url, database: clickhouse.database() });
  t.teardown(() => door.close());
  const decisions = new ClickHouseDecisionStore(door);
  const rows = plantedWeeks();
  await plant(database, rows);
  await plantInto(decisions, rows);
  for (const week of [WEEK, weekAt(MONDAY_MS - WEEK_MS)]) {
    const [one, other] = await Promise.all([reportsOver(database).make('acme', week, 'all'), reportsOver(database, { decisions }).make('acme', week, 'all')]);
    t.ok(one!.document.findings.volume.exchanges.total > 0);
    t.same(other!.document, one!.document, week.week!);
  }
});

for (const { name, skip, place } of STORE_DRIVERS.filter(({ lasts }) => lasts)) {
  t.test(`${name}: what a naive count of the rows counts`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const rows = plantedWeeks();
    await plant(database, rows);
    const reports = reportsOver(database);
    const made = (await reports.make('acme', WEEK, 'all'))!;
    const { findings: found } = made.document;
    const within = (times: number) => rows.filter(({ tenant_id: id, at_ms: at }) => id === 'acme' && at >= WEEK.fromMs - times * WEEK_MS && at < WEEK.untilMs - times * WEEK_MS);
    const [now, before] = [within(0), within(1)];
    const count = (all: readonly Planted[], is: (row: Planted) => boolean): number => all.filter(is).length;
    const figure = (is: (row: Planted) => boolean) => ({ total: count(now, is), before: count(before, is) });
    t.same(found.volume.exchanges, figure(() => true));
    t.same(found.availability.failed, figure(({ outcome }) => outcome === 'failed'));
    t.equal(found.availability.share, Number((1 - count(now, ({ outcome }) => outcome === 'failed') / now.length).toPrecision(6)));
    t.same(found.coverage.partial, { ...figure(({ is_partial: is }) => is === true), share: Number((count(now, ({ is_partial: is }) => is === true) / now.length).toPrecision(6)) });
    t.same(found.actions.redacted_spans.output.total, now.reduce((sum, { output }) => sum + (output?.redactions ?? 0), 0));
    for (const one of found.violations) {
      const has = ({ input, output }: Planted): boolean => [input, output].some((part) => part?.found?.includes(one.category) === true);
      t.same([one.exchanges, one.before, ...one.weeks.map(({ found: hits }) => hits)], [count(now, has), count(before, has), ...[4, 3, 2, 1].map((times) => count(within(times), has))], one.category);
    }
    t.same(found.volume.routes.map(({ name: route, total }) => [route, total]).sort(), [...Map.groupBy(now, ({ route }) => route!)].map(([route, all]) => [route, all.length]).sort());
    t.same(found.volume.days.map(({ exchanges }) => exchanges), Array.from({ length: 7 }, (_, day) => count(now, ({ at_ms: at }) => Math.floor((at - WEEK.fromMs) / 86_400_000) === day)));
    const latencies = now.flatMap(({ input }) => (input === undefined ? [] : [input.latency_ms ?? 4])).sort((a, b) => a - b);
    const [screening] = found.latency;
    t.equal(screening!.n, latencies.length);
    for (const [key, share] of [['p50_ms', 0.5], ['p95_ms', 0.95], ['p99_ms', 0.99]] as const) t.ok(Math.abs(screening![key]! / latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))]! - 1) < 0.2, `${key} is within two steps`);
    t.match(found.period, { week: '2030-W05', is_over: true, missing: null, weeks_known: 4, before: { is_known: true } });

    t.same((await reports.make('acme', WEEK, 'all'))!.files, made.files, 'the same bytes');
    const later = (await reportsOver(database, { nowMs: MONDAY_MS + 2 * WEEK_MS }).make('acme', WEEK, 'all'))!;
    t.equal(later.document.findings_sha256, made.document.findings_sha256, 'made later, it finds the same');
    t.not(later.files['json'], made.files['json'], 'and says when it was made');
    const html = String(made.files['html']);
    t.notMatch(html, /<script/);
    t.ok(html.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
    t.ok(readCsv(String(made.files['csv'])).some((row) => row[4] === `'=cmd|x` && row[3] === 'route'));
    t.ok(readWeeklyDocument(String(made.files['json'])));

    const shipped = (await database.query<{ readonly n: unknown }>('select count(*) as n from decision_counts where shipped = 1'))[0];
    t.equal(Number(shipped?.n), 0);
    const empty = (await reports.make('acme', weekAt(MONDAY_MS - 100 * WEEK_MS), 'all'))!.document.findings;
    t.match(empty, { volume: { exchanges: { total: 0, before: 0 } }, violations: [], availability: { share: null }, overrides: { all: null }, residual_risk: null, latency: [{ n: 0, p50_ms: null }] }, 'of an empty week nothing is measured');
    t.ok(String((await reports.make('acme', weekAt(MONDAY_MS - 100 * WEEK_MS), 'all'))!.files['html']).includes('Nothing came'));
    t.equal(await reports.make('nobody', WEEK, 'all'), undefined, 'of a tenant of whom nobody knows');
    t.match((await reports.make('other', WEEK, 'all'))!.document.findings.tenant, { id: 'other', policy: null }, 'one that is not configured any more has its numbers');
  });

  t.test(`${name}: a week that runs, and one that is partly gone`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const every = (times: number): readonly Planted[] => Array.from({ length: 168 }, (_, hour) => ({ at_ms: MONDAY_MS - times * WEEK_MS + hour * HOUR_MS, input: {} }));
    await plant(database, [0, 1, 2, 3, 4].flatMap(every));
    const of = async (options: Parameters<typeof reportsOver>[1]) => (await reportsOver(database, options).make('acme', WEEK, 'all'))!;
    const running = await of({ nowMs: MONDAY_MS + 50.5 * HOUR_MS });
    t.match(running.document.findings, { period: { is_over: false, counted_until: new Date(MONDAY_MS + 51 * HOUR_MS).toISOString() }, volume: { exchanges: { total: 51, before: 51 } } }, 'the same hours of the week before');
    t.ok(String(running.files['html']).includes('so far'));
    t.match((await of({ nowMs: MONDAY_MS + WEEK_MS - 1 })).document.findings.period, { is_over: false, counted_until: new Date(MONDAY_MS + WEEK_MS).toISOString() }, 'its last hour is counted, and runs');
    t.equal((await of({ nowMs: MONDAY_MS + WEEK_MS })).document.findings.period.is_over, true);
    const days = (hoursKept: number) => ({ retention: { decision_counts_days: hoursKept / 24 }, nowMs: MONDAY_MS + WEEK_MS });
    const partly = await of(days(100));
    t.match(partly.document.findings, { period: { missing: { hours: 68, known_from: new Date(MONDAY_MS + 68 * HOUR_MS).toISOString() }, before: { is_known: false }, weeks_known: 0 }, volume: { exchanges: { total: 100, before: null } } });
    t.equal(partly.document.findings.volume.days.reduce((sum, { exchanges }) => sum + exchanges, 0), 100);
    t.ok(String(partly.files['html']).includes('68 hours are missing'));
    const own = await of({ tenants: [tenant('acme', { retention: { decision_counts_days: 10 } })], nowMs: MONDAY_MS + 30 * WEEK_MS });
    t.match(own.document.findings, { period: { missing: { hours: 168 } }, volume: { exchanges: { total: 0 } } }, 'all of it is gone, by the tenant’s own word');
    t.ok(String(own.files['html']).includes('The counts of this time are gone'));
    t.match((await of(days(24 * 7 * 3))).document.findings.period, { missing: null, before: { is_known: true }, weeks_known: 2 });
  });

  t.test(`${name}: signed, and found out`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    await plant(database, [{ at_ms: MONDAY_MS, input: {} }]);
    const dir = freshFolder(t);
    const log = await openAuditLog({ dir: `${dir}/audit`, keyFile: `${dir}/audit.key`, origin: 'main', clock: Date.now });
    t.teardown(() => log.close());
    const reports = reportsOver(database, { logs: async () => [`${dir}/audit`], signer: () => readSigner(`${dir}/audit.key`, 'main') });
    const { document, files: { note, ...files } } = (await reports.make('acme', WEEK, 'all'))!;
    const signer = (await readSigner(`${dir}/audit.key`, 'main'))!;
    t.match(document.basis, [{ log: `${signer.public.name}+${signer.public.id}` }]);
    const check = (some: object, keys = [signer.public]) => checkWeeklySeal({ files: { ...files, ...some }, note: String(note), keys });
    t.match(check({}), { faults: [], checked: Object.keys(files).sort() });
    for (const ending of Object.keys(files)) t.match(check({ [ending]: `${String(files[ending])} ` }).faults, [`${ending} is not what was signed`], ending);
    t.match(check({}, []).faults, [/by none of the keys/]);
    t.match(checkWeeklySeal({ files, note: 'x', keys: [] }).faults, [/none of a weekly report/]);
  });

  t.test(`${name}: who asks while too many wait is told so`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    await plant(database, [{ at_ms: MONDAY_MS, input: {} }]);
    const reports = reportsOver(database);
    const asked = Array.from({ length: WEEKLY_WAITING_MAX + 1 }, () => reports.make('acme', WEEK, 'all'));
    await t.rejects(reports.make('acme', WEEK, 'all'), { code: 'overloaded', message: /16 reports wait already/ });
    t.equal((await Promise.all(asked)).filter((one) => one !== undefined).length, WEEKLY_WAITING_MAX + 1);
    t.ok(await reports.make('acme', WEEK, 'all'), 'afterwards there is room');
  });
}
