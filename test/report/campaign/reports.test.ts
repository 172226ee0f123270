/**
 * Reports over SQLite and a real Postgres: the same findings from both, to the byte; the same report as long as nothing
 * changed, the next with what did and why; what stands in a page is what stands in the JSON; a byte that is flipped, a log that
 * was altered, counts that are not those of the log are found.
 */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { canonicalJson } from '../../../src/audit/entry.ts';
import { publishedKeys } from '../../../src/audit/recovery.ts';
import { checkSeal, readDocument, sha256Of, type ReportDocument } from '../../../src/report/campaign/document.ts';
import { recount } from '../../../src/report/campaign/recount.ts';
import { WAITING_MAX } from '../../../src/report/campaign/reports.ts';
import { PostgresDatabase } from '../../../src/store/postgres.ts';
import { SqlRiskReports } from '../../../src/store/risk-reports.ts';
import type { StoreDatabase } from '../../../src/store/sql.ts';
import { openSqliteDatabase } from '../../../src/store/sqlite.ts';
import { campaigns } from '../../helpers/campaigns.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../../helpers/postgres.ts';
import { openCampaign, type Campaign } from '../../helpers/reports.ts';

t.setTimeout(300_000);

const WHOLE = { from: null, until: null };
const [Q] = campaigns({ id: 'q', directions: ['input', 'output'], strata: [{ id: 'high', score_from: 0.7, probability_percent: 80 }, { id: 'rest', probability_percent: 20 }] }) as [ReturnType<typeof campaigns>[number]];
const folder = (t: Test): string => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-reports-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};
const drivers: readonly { readonly name: string; readonly skip: string | false; readonly open: (t: Test) => Promise<StoreDatabase> }[] = [
  { name: 'sqlite', skip: false, open: async (t) => openSqliteDatabase(join(folder(t), 'weir.db')) },
  { name: 'postgres', skip: POSTGRES_MISSING, open: async (t) => new PostgresDatabase(await openPostgresSchema(t)) },
];
const opened = async (t: Test, open: (t: Test) => Promise<StoreDatabase>): Promise<Campaign & { readonly database: StoreDatabase }> => {
  const database = await open(t);
  t.teardown(() => database.close());
  const campaign = await openCampaign(t, database, Q);
  await campaign.declare(Q, '2030-01-01T00:00:00.000Z');
  await campaign.serve(500);
  await campaign.label('ana', 20);
  return { ...campaign, database };
};
const findingsBy = new Map<string, string>();

for (const { name, skip, open } of drivers) {
  t.test(`${name}: issued once, again when something changed, and kept as it was signed`, { skip }, async (t) => {
    const { reports, written, serve, log } = await opened(t, open);
    const first = (await reports.issue('q', WHOLE, 'ana'))!;
    const document = readDocument(first.document)!;
    // Keys are made anew for each log.
    findingsBy.set(name, canonicalJson({ ...document.findings, plans: document.findings.plans.map((one) => ({ ...one, logs: [] })) }));
    t.match(document, { version: 1, changes: null, software: { version: '1.2.3' }, findings: { deviations: [], population: { counted: 1000, uncounted_drawn: 0 }, question: { declared_at: '2030-01-01T00:00:00.000Z' } } });
    t.match(document.findings.design.map(({ stratum, population, probability }) => [stratum, probability, population]), [['high', 0.8, 150], ['rest', 0.2, 850]], 'inputs have no score, so all of them are in the rest');
    t.equal(document.basis.length, 1);
    t.equal((await reports.issue('q', WHOLE, 'bob'))?.version, 1, 'nothing changed');
    await log.append({ kind: 'lost', count: 1 }, 'strict');
    t.equal((await reports.issue('q', WHOLE, 'bob'))?.sha256, first.sha256, 'another checkpoint is no other finding');
    t.equal(await reports.correct('q', 'ana', 'the guide was misread'), true);
    const second = (await reports.issue('q', WHOLE, 'bob'))!;
    t.match(readDocument(second.document), { version: 2, changes: { version: 1, sha256: first.sha256, differences: [{ what: 'corrections', was: 0, is: 1 }] }, findings: { corrections: [{ author: 'ana', reason: 'the guide was misread' }] } });
    await serve(10, 500);
    const third = readDocument((await reports.issue('q', WHOLE, 'bob'))!.document)!;
    t.ok(third.changes!.differences.some(({ what, was, is }) => what === 'population, counted' && was === 1000 && is === 1020));
    t.equal((await reports.issue('q', { from: '2030-01-10', until: '2030-01-12' }, 'bob'))?.version, 4, 'other days are another report, under the next number');
    t.same((await reports.issued('q')).map(({ version, from }) => [version, from]), [[4, '2030-01-10'], [3, null], [2, null], [1, null]]);
    t.same(await reports.read('q', 1), first);
    t.same(written.map(({ change, version }) => [change, version]), [['reported', 1], ['corrected', undefined], ['reported', 2], ['reported', 3], ['reported', 4]]);
    t.equal(written[0]!.report_sha256, sha256Of(first.document));
    t.equal(await reports.draft('other', WHOLE), undefined);
    t.equal(await reports.issue('other', WHOLE, 'ana'), undefined);
    t.equal(await reports.correct('other', 'ana', 'x'), false);
    t.equal(await reports.read('q', 9), undefined);
  });

  t.test(`${name}: of some days only`, { skip }, async (t) => {
    const { reports } = await opened(t, open);
    const of = async (from: string | null, until: string | null): Promise<ReportDocument> => (await reports.draft('q', { from, until }))!.document;
    const [all, first, rest, none] = [await of(null, null), await of('2030-01-10', '2030-01-12'), await of('2030-01-12', null), await of(null, '2030-01-10')];
    const sizes = [all, first, rest, none].map(({ findings: { population, sample } }) => [population.counted, sample.drawn]);
    t.same([sizes[0]![0], sizes[1]![0], sizes[2]![0], sizes[3]![0]], [1000, 400, 600, 0]);
    t.equal(sizes[1]![1]! + sizes[2]![1]!, sizes[0]![1]);
    t.same([first.findings.period.first, first.findings.period.last], ['2030-01-10T00:00:00.000Z', '2030-01-11T00:00:00.000Z']);
    t.same([all, first, rest].map(({ findings }) => findings.deviations), [[], [], []]);
    t.match(none.findings.estimates.total, { drawn: 0, rate: null });
  });

  t.test(`${name}: pages of any length give the same`, { skip }, async (t) => {
    const { reports, database } = await opened(t, open);
    const store = new SqlRiskReports(database);
    const whole = (await store.page('q', WHOLE, undefined, 10_000)).tasks;
    for (const limit of [1, 7, whole.length - 1, whole.length]) {
      const tasks = [];
      for (let after: readonly [string, string] | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
        const read = await store.page('q', WHOLE, after, limit);
        tasks.push(...read.tasks);
        after = read.next;
      }
      t.same(tasks, whole, `pages of ${limit}`);
    }
    t.equal(whole.length, (await reports.draft('q', WHOLE))!.document.findings.sample.drawn);
  });
}

t.test('the same findings from either store', { skip: POSTGRES_MISSING }, async (t) => {
  t.equal(findingsBy.get('sqlite'), findingsBy.get('postgres'));
  t.match(findingsBy.get('sqlite'), /"rate":0\.\d{6}/);
});

t.test('the same data, the same bytes', async (t) => {
  const { reports } = await opened(t, drivers[0]!.open);
  const [one, two] = [(await reports.draft('q', WHOLE))!, (await reports.draft('q', WHOLE))!];
  t.equal(one.json, two.json);
  t.equal(one.html, two.html);
  t.equal(one.note, two.note);
});

t.test('a flipped byte is found, wherever it is', async (t) => {
  const { reports, dir } = await opened(t, drivers[0]!.open);
  const kept = (await reports.issue('q', WHOLE, 'ana'))!;
  const [json, html, keys] = [Buffer.from(kept.document), Buffer.from(kept.page), await publishedKeys(dir)];
  t.match(checkSeal({ json, html, note: kept.note, keys }), { faults: [], document: { campaign: 'q' } });
  t.same(checkSeal({ json, note: kept.note, keys }).faults, [], 'without the page that is not looked at');
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const other = Buffer.from(bytes);
    other[at] = other[at]! ^ 1;
    return other;
  };
  for (let at = 0; at < json.length; at += 53) if (checkSeal({ json: flipped(json, at), html, note: kept.note, keys }).faults.length === 0) t.fail(`byte ${at} of the JSON`);
  for (let at = 0; at < html.length; at += 211) if (checkSeal({ json, html: flipped(html, at), note: kept.note, keys }).faults.length === 0) t.fail(`byte ${at} of the page`);
  const note = Buffer.from(kept.note);
  for (let at = 0; at < note.length; at++) if (checkSeal({ json, html, note: flipped(note, at).toString('latin1'), keys }).faults.length === 0) t.fail(`byte ${at} of the note`);
  const draft = (await reports.draft('q', WHOLE))!;
  t.match(checkSeal({ json, html, note: draft.note, keys }).faults, [/JSON is not what was signed/, /page is not/, /of another report/], 'the note of a draft is none of it');
  t.match(checkSeal({ json, html, note: kept.note, keys: [] }).faults, [/by none of the keys that count/]);
  t.match(checkSeal({ json, html, note: readDocument(kept.document)!.basis[0]!.checkpoint, keys }).faults, [/none of a report/], 'a checkpoint is no note of a report');
  t.match(checkSeal({ json, html, note: 'nothing', keys }).faults, [/none of a report/]);
});

t.test('held against the log: its checkpoint, and its counts', async (t) => {
  const { reports, dir, serve, log } = await opened(t, drivers[0]!.open);
  const kept = (await reports.issue('q', WHOLE, 'ana'))!;
  const [{ basis: [basis] }, keys] = [readDocument(kept.document)!, await publishedKeys(dir)];
  const sound = { log: basis!.log, faults: [], unchecked: [] };
  t.same(await recount(dir, 'q', WHOLE, basis!, keys), sound);
  await serve(20, 500);
  await log.append({ kind: 'lost', count: 1 }, 'strict');
  await log.flush();
  t.same(await recount(dir, 'q', WHOLE, basis!, keys), sound, 'also when the log went on');
  t.match((await recount(dir, 'q', WHOLE, { ...basis!, counts: basis!.counts.map((one) => ({ ...one, total: one.total + 1 })) }, keys)).faults, [/comes out otherwise/]);
  t.match((await recount(dir, 'q', WHOLE, { ...basis!, head: 'f'.repeat(64) }, keys)).faults, [/another than the report names/]);
  t.match((await recount(dir, 'q', WHOLE, basis!, [])).faults, [/key/]);
  t.match((await recount(dir, 'q', WHOLE, { ...basis!, checkpoint: '' }, keys)).unchecked, [/no checkpoint/]);

  const altered = join(folder(t), 'audit');
  await cp(dir, altered, { recursive: true, filter: (from) => !from.endsWith('.lock') });
  const [segment] = readdirSync(altered).filter((one) => one.endsWith('.jsonl')) as [string];
  const text = readFileSync(join(altered, segment), 'utf8');
  writeFileSync(join(altered, segment), text.replace('"stratum":"rest"', '"stratum":"high"'));
  t.ok((await recount(altered, 'q', WHOLE, basis!, keys)).faults.length > 0, 'an entry that was altered');
  writeFileSync(join(altered, segment), text.split('\n').slice(0, 100).join('\n') + '\n');
  t.match((await recount(altered, 'q', WHOLE, basis!, keys)).faults, [/entries are missing at the end/], 'a log that was cut short');
  appendFileSync(join(altered, segment), 'nothing\n');
  t.ok((await recount(altered, 'q', WHOLE, basis!, keys)).faults.length > 0);
});

t.test('as many wait as may, and one more does not', async (t) => {
  const { reports } = await opened(t, drivers[0]!.open);
  const asked = Array.from({ length: WAITING_MAX + 2 }, () => reports.draft('q', WHOLE).then(() => 'made', (error: { readonly code?: string }) => error.code));
  t.same((await Promise.all(asked)).sort(), [...Array.from({ length: WAITING_MAX + 1 }, () => 'made'), 'overloaded'].sort());
  t.ok(await reports.draft('q', WHOLE), 'and later again');
});
