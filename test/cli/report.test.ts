/**
 * `weir report`: beside a running Weir and without one, told in short, as JSON, and written with its signature; held against it
 * again, and found out where a byte was altered; wrong calls say what to do.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { report } from '../../src/cli/report.ts';
import { weekAt } from '../../src/report/weekly/weeks.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask } from '../helpers/admin.ts';
import { blocking, openHouse, until } from '../helpers/house.ts';

t.setTimeout(300_000);

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await report.run([...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

t.test('told, written and verified', async (t) => {
  const [key, other] = [generateKey(), generateKey()];
  const tenants = [['acme', key], ['bravo', other]].map(([id, secret]) => ({ id, policy: 'acme', upstream: 'local', keys: [{ id: `of-${id}`, sha256: keyDigest(secret!) }] }));
  const house = await openHouse(t, { config: { tenants }, files: { 'acme.yaml': blocking('Bluebird') } });
  for (const text of ['hello', 'of Bluebird']) await house.chat(text, { authorization: `Bearer ${key}` });
  const { week } = weekAt(Date.now());
  await until(async () => (await ask(house.adminUrl, `/api/v1/reports?tenant=acme`, { token: house.token })).body.weeks[0].exchanges === 2, 'the exchanges are counted');
  t.match(await call(house.dir, 'weekly', '--tenant', 'acme', '--week', week), { code: 0, err: '', out: /^acme, \d{4}-W\d\d, so far until .*: 2 exchanges \(before: 0\); allow 1, block 1\navailability 100 %; reviews: 0 opened.*\njudged otherwise: not measured\nresidual risk: not measured\n$/ });
  const json = JSON.parse((await call(house.dir, 'weekly', '--tenant', 'acme', '--week', week, '--json')).out);
  t.match(json, { format: 'weir-weekly-report/1', findings: { volume: { exchanges: { total: 2 } } } });
  const api = (await ask(house.adminUrl, `/api/v1/reports/weekly?tenant=acme&week=${week}`, { token: house.token })).body;
  t.same(json.findings, api.findings, 'the API finds the same');
  const lines = (await call(house.dir, 'weekly', '--all', '--week', week, '--json')).out.trimEnd().split('\n').map((line) => JSON.parse(line));
  t.same(lines.map(({ tenant_id: id, findings }) => [id, findings.volume.exchanges.total]), [['acme', 2], ['bravo', 0]]);

  await house.app.close();
  const out = join(house.dir, 'kept');
  const written = await call(house.dir, 'weekly', '--tenant', 'acme', '--week', week, '--out', out, '--format', 'csv,json,dsa,html');
  t.match(written, { code: 0, err: '' }, 'without a Weir that runs');
  const folder = join(out, 'acme');
  t.same(readdirSync(folder).sort(), ['csv', 'dsa-6-own-initiative.csv', 'dsa-7-complaints.csv', 'dsa-8-automated-means.csv', 'dsa-notes.csv', 'html', 'json', 'note'].map((ending) => `acme-${week}.${ending}`));
  t.equal(statSync(join(folder, `acme-${week}.json`)).mode & 0o777, 0o600);
  for (const ending of ['json', 'note', 'dsa-notes.csv']) t.match(await call(house.dir, 'verify', join(folder, `acme-${week}.${ending}`)), { code: 0, out: /^acme-\d{4}-W\d\d: signed by \S+; csv, dsa-6-own-initiative\.csv, .*html, json are what was signed\n$/ });
  t.match(JSON.parse((await call(house.dir, 'verify', join(folder, `acme-${week}`), '--json')).out), { ok: true, faults: [] });
  const csv = join(folder, `acme-${week}.csv`);
  writeFileSync(csv, readFileSync(csv, 'utf8').replace('exchanges,,count,2', 'exchanges,,count,1'));
  t.match(await call(house.dir, 'verify', csv), { code: 1, out: 'NOT SOUND: csv is not what was signed\n' });
  t.match(await call(house.dir, 'weekly', '--tenant', 'acmee', '--week', week), { code: 1, err: /nothing is known of a tenant "acmee"; did you mean acme\?/ });
  t.match(await call(house.dir, 'weekly', '--tenant', 'bravo', '--from', '2020-01-01', '--until', '2020-01-02'), { code: 0, out: /^bravo, 2020-01-01T.*: 0 exchanges \(before: 0\); nothing came/ });
  await t.rejects(call(house.dir, 'weekly'), { message: /which tenant is missing/ });
});

t.test('wrong calls say what to do', async (t) => {
  for (const [args, message] of [
    [['wekly'], /unknown verb "wekly"; did you mean weekly\?/], [['weekly', '--week', '2030-W60'], /"2030-W60" is no week of ISO 8601/], [['weekly', '--week', '2999-W01'], /has not begun/],
    [['weekly', '--from', '2020-01-01'], /from and until go together/], [['weekly', '--from', '2020-01-01T00:30Z', '--until', '2020-01-02'], /no whole hour/], [['weekly', '--week', '2020-W01', '--from', '2020-01-01'], /not both/],
    [['weekly', '--all', '--tenant', 'x'], /--all, or --tenant/], [['weekly', '--format', 'pdf'], /html, json, csv, dsa.*not "pdf"/], [['verify'], /which report is missing/], [['verify', '/nowhere/x.json'], /\/nowhere\/x\.note cannot be read/],
  ] as const) await t.rejects(call('/nowhere', ...args), { message }, args.join(' '));
});
