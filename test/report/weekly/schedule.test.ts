/**
 * Weekly reports that are due, over SQLite and Postgres: once for each tenant though several processes look at the same time,
 * over a crash and a restart; what was missed is made up for; a webhook that fails is tried again and then given up, and keeps
 * nobody else waiting; and a whole Weir writes and sends its own, signed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { WeeklyOutcome } from '../../../src/contract/weekly.ts';
import { signatureOf } from '../../../src/notify/webhook.ts';
import { writeReport } from '../../../src/report/weekly/folder.ts';
import { WeeklySchedule, type ScheduleOptions, type WeeklyNotice, type WeeklySettings } from '../../../src/report/weekly/schedule.ts';
import { weekAt } from '../../../src/report/weekly/weeks.ts';
import type { StoreDatabase } from '../../../src/store/sql.ts';
import { openSqliteDatabase } from '../../../src/store/sqlite.ts';
import { SqlWeeklyRuns } from '../../../src/store/weekly-reports.ts';
import { ask } from '../../helpers/admin.ts';
import { freshFolder, openHouse, until } from '../../helpers/house.ts';
import { STORE_DRIVERS } from '../../helpers/stores.ts';
import { HOUR_MS, MONDAY_MS, plant, reportsOver, tenant, WEEK_MS } from '../../helpers/weekly.ts';

t.setTimeout(300_000);

const TENANTS = Array.from({ length: 12 }, (_, i) => `t${i}`);
const DUE = { day: 1, hour: 6 };
const START_MS = MONDAY_MS + WEEK_MS + 7 * HOUR_MS;

interface Fleet {
  /** `tenant week` of what was written and sent, in order. */
  readonly written: string[];
  readonly sent: string[];
  readonly told: string[];
  nowMs: number;
  fault: string | undefined;
  crash: boolean;
  process(database: StoreDatabase, owner: string, more?: Partial<WeeklySettings>, options?: Partial<ScheduleOptions>): WeeklySchedule;
}

function fleet(): Fleet {
  const all: Fleet = {
    written: [], sent: [], told: [], nowMs: START_MS, fault: undefined, crash: false,
    process: (database, owner, more = {}, options = {}) => new WeeklySchedule({
      runs: new SqlWeeklyRuns(database), owner, now: () => new Date(all.nowMs), reports: reportsOver(database, { tenants: TENANTS.map((id) => tenant(id)), nowMs: all.nowMs }),
      settings: () => ({ due: DUE, tenants: TENANTS, forms: ['json', 'csv'], directory: '/nowhere', isSent: true, ...more }),
      write: async (_, { tenant_id: id, week }, files) => {
        if (all.crash) throw Object.assign(new Error('no space left'), { code: 'ENOSPC', syscall: 'write' });
        all.written.push(`${id} ${week} ${files.map(([ending]) => ending).join(',')}`);
      },
      send: async (notice: WeeklyNotice) => { if (all.fault === undefined) all.sent.push(notice.notice_id); return all.fault; },
      tell: ({ tenant_id: id }, outcome: WeeklyOutcome, detail) => void all.told.push(`${id} ${outcome} ${detail}`), ...options,
    } satisfies ScheduleOptions),
  };
  return all;
}

for (const { name, skip, place } of STORE_DRIVERS.filter(({ lasts }) => lasts)) {
  t.test(`${name}: several at once deliver each report once`, { skip }, async (t) => {
    const at = await place(t);
    await plant(at.database!(), TENANTS.map((id) => ({ at_ms: MONDAY_MS, tenant_id: id, input: {} })));
    const all = fleet();
    const processes = ['a', 'b', 'c'].map((owner) => all.process(at.database!(), owner));
    for (let round = 0; round < 2; round++) await Promise.all(processes.map((one) => one.look()));
    const week = weekAt(MONDAY_MS).week;
    t.same([...all.written].sort(), TENANTS.map((id) => `${id} ${week} json,csv`).sort());
    t.same([...all.sent].sort(), TENANTS.map((id) => `${id}.${week}`).sort());
    t.equal(all.told.filter((line) => line.includes(' delivered ')).length, TENANTS.length);
    const fresh = all.process(at.database!(), 'd');
    await fresh.look();
    t.equal(all.sent.length, TENANTS.length, 'nor after a restart');
    all.nowMs += 3 * WEEK_MS;
    await all.process(at.database!(), 'e').look();
    t.same([...new Set(all.sent.map((id) => id.slice(-8)))].sort(), ['2030-W05', '2030-W06', '2030-W07', '2030-W08'], 'three weeks later what was missed is made up for');
    t.equal(all.sent.length, 4 * TENANTS.length);
    const runs = new SqlWeeklyRuns(at.database!());
    t.ok((await runs.ofWeek('2030-W06')).every(({ state, written_at: written, sent_at: sent, findings_sha256: sha }) => state === 'done' && written !== null && sent !== null && sha.length === 64));
    for (const one of [...processes, fresh]) await one.close();
  });

  t.test(`${name}: what a process left is taken up when its time is over`, { skip }, async (t) => {
    const at = await place(t);
    const runs = new SqlWeeklyRuns(at.database!());
    const iso = (ms: number): string => new Date(ms).toISOString();
    const claim = (owner: string, nowMs: number) => runs.claim({ tenantId: 't0', week: '2030-W05', owner, now: iso(nowMs), until: iso(nowMs + 60_000) });
    t.match(await claim('gone', START_MS), { attempts: 1, owner: 'gone' });
    t.equal(await claim('next', START_MS + 59_000), undefined, 'not before');
    t.equal(await runs.note({ tenant_id: 't0', week: '2030-W05', owner: 'gone' }, { written_at: iso(START_MS) }), true);
    t.match(await claim('next', START_MS + 60_000), { attempts: 2, owner: 'next', written_at: iso(START_MS) }, 'and what was done is known');
    t.equal(await runs.note({ tenant_id: 't0', week: '2030-W05', owner: 'gone' }, { state: 'done' }), false, 'who lost it ends nothing');
    t.equal(await runs.note({ tenant_id: 't0', week: '2030-W05', owner: 'next' }, { state: 'done', ended_at: iso(START_MS) }), true);
    t.equal(await claim('late', START_MS + WEEK_MS), undefined, 'what ended is never begun again');
    const both = await Promise.all(['x', 'y'].map((owner) => runs.claim({ tenantId: 't1', week: '2030-W05', owner, now: iso(START_MS), until: iso(START_MS + 1) })));
    t.equal(both.filter((one) => one !== undefined).length, 1, 'of two at once one has it');
  });

  t.test(`${name}: a webhook that fails keeps nothing back, and is given up in the end`, { skip }, async (t) => {
    const at = await place(t);
    const all = fleet();
    all.fault = 'answered 500';
    const one = all.process(at.database!(), 'a', {}, { delaysMs: [60_000, 60_000] });
    await one.look();
    t.equal(all.written.length, TENANTS.length, 'all are written');
    t.equal(all.told.filter((line) => line.includes('put_off the webhook: answered 500')).length, 1, 'and one alone was sent in vain');
    all.nowMs += WEEK_MS; // another week begins, and what is left of this one is not forgotten
    for (let round = 0; round < 10 * TENANTS.length && all.told.filter((line) => line.includes('given_up')).length < 2 * TENANTS.length; round++) {
      all.nowMs += 61_000;
      await one.look();
    }
    t.equal(all.told.filter((line) => line.includes('given_up the webhook: answered 500')).length, 2 * TENANTS.length);
    t.equal(all.written.filter((line) => line.includes('2030-W05')).length, TENANTS.length, 'what was written is not written again');
    const alone = fleet();
    alone.fault = 'cannot be reached';
    const elsewhere = (await place(t)).database!();
    const sends = alone.process(elsewhere, 'a', { directory: undefined });
    await sends.look();
    t.same(alone.told.map((line) => line.split(' ')[1]), ['put_off'], 'where it only sends, the others wait for the receiver');
    alone.fault = undefined;
    alone.nowMs += 61_000;
    await sends.look();
    t.equal(alone.sent.length, TENANTS.length);
    const other = await place(t);
    const mended = fleet();
    mended.crash = true;
    const two = mended.process(other.database!(), 'a', { isSent: false });
    await two.look();
    t.ok(mended.told.every((line) => /put_off write failed with ENOSPC$/.test(line)) && mended.told.length === TENANTS.length);
    mended.crash = false;
    await two.look();
    t.equal(mended.written.length, 0, 'not at once');
    mended.nowMs += 61_000;
    await two.look();
    t.equal(mended.written.length, TENANTS.length);
  });
}

t.test('a whole Weir writes and sends its own, and tells what it cannot', async (t) => {
  const SECRET = 'made-up-secret-0123456789';
  const got: { readonly body: string; readonly signature: string }[] = [];
  let isAway = true;
  const receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => { body += part.toString(); }).on('end', () => {
      if (isAway) return void response.writeHead(500).end();
      got.push({ body, signature: String(request.headers['weir-signature']) });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { receiver.close(); receiver.closeAllConnections(); });
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: { 'acme.yaml': 'policy: acme\nrules: []\n' }, config: { reports: { weekly: { directory: 'reports', formats: ['html', 'json', 'csv', 'dsa'], webhook: { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/reports`, secret: SECRET } } } } });
  const due = await ask(house.adminUrl, '/api/v1/reports?tenant=default', { token: house.token });
  t.equal(due.status, 200);
  const folder = join(dir, 'reports/default');
  await until(() => existsSync(folder) && readdirSync(folder).some((file) => file.endsWith('.note')), 'the files');
  const files = readdirSync(folder).sort();
  t.same(files.map((file) => file.replace(/^default-\d{4}-W\d\d\./, '')), ['csv', 'dsa-6-own-initiative.csv', 'dsa-7-complaints.csv', 'dsa-8-automated-means.csv', 'dsa-notes.csv', 'html', 'json', 'note']);
  t.same([...new Set([...files.map((file) => statSync(join(folder, file)).mode & 0o777), statSync(folder).mode & 0o777])], [0o600, 0o700], 'for nobody else');
  const listed = async (): Promise<any> => (await ask(house.adminUrl, '/api/v1/reports?tenant=default', { token: house.token })).body.weeks.find(({ due: run }: { due: object | null }) => run !== null);
  await until(async () => (await listed()).due.state === 'waiting', 'the webhook failed');
  t.match(await listed(), { due: { written_at: String, sent_at: null, detail: /the webhook: answered 500/ } });
  await until(() => house.log.some((line) => /"weekly report"/.test(line) && /"put_off"/.test(line)), 'the log');
  t.match(await house.metrics(), /weir_weekly_reports_total\{outcome="put_off"[^}]*\} 1\b/);
  await until(async () => (await ask(house.adminUrl, '/api/v1/health/parts', { token: house.token })).text.includes('weekly reports'), 'health');
  isAway = false;
  await house.app.close();
  const stored = join(dir, 'data/weir.db');
  const database = openSqliteDatabase(stored);
  await database.query('update weekly_reports set next_at = $1', new Date(0).toISOString());
  await database.close();
  const again = await openHouse(t, { dir, files: { 'acme.yaml': 'policy: acme\nrules: []\n' }, config: { reports: { weekly: { directory: 'reports', webhook: { url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/reports`, secret: SECRET } } } } });
  await until(() => got.length === 1, 'the report');
  const { body, signature } = got[0]!;
  const [, seconds] = /^t=(\d+),/.exec(signature)!;
  t.equal(signature, `t=${seconds},v1=${signatureOf(SECRET, Number(seconds), body)}`);
  t.match(JSON.parse(body), { event: 'weekly_report', tenant_id: 'default', notice_id: /^default\.\d{4}-W\d\d$/, report: { format: 'weir-weekly-report/1' } });
  await until(async () => (await ask(again.adminUrl, '/api/v1/reports?tenant=default', { token: again.token })).body.weeks.some(({ due: run }: { due: { state: string } | null }) => run?.state === 'done'), 'it is done');
});

t.test('a folder takes no name that leads out of it', async (t) => {
  const dir = freshFolder(t);
  for (const tenantId of ['../x', 'a/b', '.hidden', '', 'a\0']) await t.rejects(writeReport(dir, { tenantId, name: '2030-W05' }, [['json', 'x']]), { message: /no name that a file can have/ }, JSON.stringify(tenantId));
  mkdirSync(join(dir, 'acme'));
  writeFileSync(join(dir, 'acme/acme-2030-W05.json'), 'older');
  t.same(await writeReport(dir, { tenantId: 'acme', name: '2030-W05' }, [['json', 'newer']]), [join(dir, 'acme/acme-2030-W05.json')]);
  t.equal(readFileSync(join(dir, 'acme/acme-2030-W05.json'), 'utf8'), 'newer');
  t.same(readdirSync(join(dir, 'acme')), ['acme-2030-W05.json'], 'and nothing unfinished is left');
});
