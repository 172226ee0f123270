/**
 * `weir risk report` and `weir risk correct`, beside a running Weir and without one: written as JSON, page and note, verified
 * with the logs, found out where a byte was altered; wrong calls say what to do.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { risk } from '../../src/cli/risk.ts';
import { REASON_CHARS_MAX } from '../../src/report/campaign/reports.ts';
import { ask } from '../helpers/admin.ts';
import { openHouse, until } from '../helpers/house.ts';

t.setTimeout(300_000);

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await risk.run([...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

t.test('issued, kept, verified, corrected', async (t) => {
  const config = { risk: { campaigns: [{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }], double_blind_percent: 0, calibration_percent: 0 }] }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { campaigns: true } }] };
  const house = await openHouse(t, { config, files: { 'acme.yaml': 'policy: acme\nrules: []\n' } });
  for (let i = 0; i < 3; i++) t.equal(await house.chat(`hello ${i}`), 200);
  const api = async (method: string, path: string, body?: object): Promise<any> => (await ask(house.adminUrl, `/api/v1/${path}`, { method, token: house.token, ...(body === undefined ? {} : { body }) })).body;
  await until(async () => (await api('GET', 'risk/campaigns/q')).total.drawn === 3, 'the tasks');
  const { annotation: { annotation_id: id } } = await api('POST', 'risk/next');
  await api('POST', `risk/annotations/${id}/label`, { label: 'violation', category: 'toxicity.hate' });
  const out = join(house.dir, 'reports');
  mkdirSync(out);

  t.match(await call(house.dir, 'report', 'q'), { code: 0, out: /^q, a draft: 100 % \(.*\), 1 violations among n 1; 3 drawn, \d{4}-\d\d-\d\d to .*\nbelow 2 % at 95 %: contradicted\n$|^q, a draft: 100 %/ });
  t.match(JSON.parse((await call(house.dir, 'report', 'q', '--json')).out), { version: null, campaign: 'q' });
  t.equal((await api('GET', 'risk/campaigns/q/reports')).reports.length, 0, 'a look issues nothing');
  const issued = await call(house.dir, 'report', 'q', '--out', out);
  t.match(issued, { code: 0, out: /q-v1\.json\n.*q-v1\.html\n.*q-v1\.note\nq, report 1: / });
  t.same(readdirSync(out).sort(), ['q-v1.html', 'q-v1.json', 'q-v1.note']);
  t.equal(statSync(join(out, 'q-v1.json')).mode & 0o777, 0o600);
  t.match((await call(house.dir, 'report', 'q', '--out', join(house.dir, 'kept/mine.html'), '--format', 'html')).out, /mine\.html\n.*mine\.note\nq, report 1/, 'the same again, under another name');
  t.equal(readFileSync(join(house.dir, 'kept/mine.html'), 'utf8'), readFileSync(join(out, 'q-v1.html'), 'utf8'));
  await until(async () => (await api('GET', 'audit?kind=campaign')).entries[0]?.change === 'reported', 'the entry, by who runs');

  for (const name of ['q-v1', 'q-v1.json', 'q-v1.html', 'q-v1.note']) t.match(await call(house.dir, 'report', '--verify', join(out, name)), { code: 0, out: /^q-v1: signed by \S+; the JSON and the page are what was signed\nlog \S+: its checkpoint is one of this log, and what was counted comes out the same\n$/ });
  const checked = JSON.parse((await call(house.dir, 'report', '--verify', join(out, 'q-v1'), '--json')).out);
  t.match(checked, { ok: true, faults: [], page: true, logs: [{ faults: [], unchecked: [] }] });
  t.match(await call(house.dir, 'report', '--verify', join(out, 'q-v1'), '--key', join(house.dir, 'data/audit/key.pub')), { code: 0 });

  t.match(await call(house.dir, 'correct', 'q', '--reason', 'the guide was misread'), { code: 0, out: /recorded/ });
  t.match((await call(house.dir, 'report', 'q', '--out', out)).out, /q-v2\.json/);
  await house.app.close();
  t.match(await call(house.dir, 'report', '--verify', join(out, 'q-v2')), { code: 0 }, 'without a Weir that runs');
  t.match(await call(house.dir, 'report', 'q', '--out', out, '--draft'), { code: 0, out: /q-draft\.json/ });
  t.match(await call(house.dir, 'report', '--verify', join(out, 'q-draft')), { code: 0 });

  const json = readFileSync(join(out, 'q-v1.json'), 'utf8');
  writeFileSync(join(out, 'q-v1.json'), json.replace('"violations":1', '"violations":0'));
  t.match(await call(house.dir, 'report', '--verify', join(out, 'q-v1')), { code: 1, out: /NOT SOUND: the JSON is not what was signed/ });
  writeFileSync(join(out, 'q-v1.json'), json);
  writeFileSync(join(out, 'q-v1.html'), 'another page');
  t.match(await call(house.dir, 'report', '--verify', join(out, 'q-v1')), { code: 1, out: /NOT SOUND: the page is not what was signed/ });
  const [segment] = readdirSync(join(house.dir, 'data/audit')).filter((name) => name.endsWith('.jsonl')) as [string];
  const log = join(house.dir, 'data/audit', segment);
  writeFileSync(log, readFileSync(log, 'utf8').replace('"stratum":"all"', '"stratum":"one"'));
  t.match(await call(house.dir, 'report', '--verify', join(out, 'q-v2')), { code: 1, out: /NOT SOUND: log \S+: .*\(entry \d+\)/ }, 'an altered log');
  t.match(await call(house.dir, 'report', 'none'), { code: 1, err: /there is no campaign none/ });
  t.match(await call(house.dir, 'correct', 'none', '--reason', 'x'), { code: 1, err: /there is no campaign none/ });
});

t.test('wrong calls say what to do', async (t) => {
  for (const [args, message] of [
    [['report'], /which campaign is missing/], [['report', 'q', '--from', 'then'], /from is a day in UTC/], [['report', 'q', '--from', '2030-02-02', '--until', '2030-02-02'], /until is the first day that is not in the report/],
    [['report', 'q', '--format', 'pdf'], /json, html, note.*not "pdf"/], [['report', '--verify', '/nowhere/x.json'], /\/nowhere\/x\.json cannot be read/], [['correct', 'q'], /--reason takes/], [['correct'], /which campaign is missing/],
    [['correct', 'q', '--reason', 'x'.repeat(REASON_CHARS_MAX + 1)], /--reason takes 1 to 1000/],
  ] as const) await t.rejects(call('/nowhere', ...args), { message }, args.join(' ').slice(0, 60));
});
