/** `weir risk plan` over real traffic: what is proposed is counted in the log, and what is pasted draws it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { load } from 'js-yaml';
import t from 'tap';
import { check } from '../../src/cli/check.ts';
import type { Io } from '../../src/cli/command.ts';
import { risk } from '../../src/cli/risk.ts';
import { loadConfig } from '../../src/config/load.ts';
import { populationOf } from '../../src/population.ts';
import { plannedCampaign } from '../../src/risk/proposal.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { linesOf } from '../helpers/audit.ts';
import { openHouse, until } from '../helpers/house.ts';

t.setTimeout(300_000);

async function call(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await risk.run(args, io), out, err };
}

const POLICY = 'policy: acme\npatterns:\n  - { id: egret, label: BIRD, literal: [fine] }\nrules:\n  - { id: look, direction: output, when: { score: patterns.egret, gte: 1 }, action: warn }\n';
const WEEK_MS = 7 * 86_400_000;

t.test('a campaign for the traffic that there is', async (t) => {
  const house = await openHouse(t, { config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }] }, files: { 'acme.yaml': POLICY } });
  const config = ['--config', join(house.dir, 'weir.yaml')];
  t.match(await call('plan', ...config), { code: 0, out: /^labels of equal weight[\s\S]*\nno traffic is recorded yet/ });
  t.equal(JSON.parse((await call('plan', '--json', ...config)).out).proposal, null);
  for (let i = 0; i < 30; i++) await house.chat(`hello ${i}`);
  const exchanges = (): any[] => linesOf(join(house.dir, 'data/audit')).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'exchange');
  await until(() => exchanges().length === 30, 'the entries');

  const { code, out } = await call('plan', '--labels-per-week', '500', '--json', ...config);
  t.equal(code, 0);
  const { proposal } = JSON.parse(out);
  t.match(proposal.traffic, { exchanges: 30, is_part: false, uncovered_per_week: 0 });
  const counted = proposal.traffic.strata.reduce((sum: number, { per_week: texts }: any) => sum + texts, 0);
  t.ok(Math.abs(counted - 30 * (WEEK_MS / 3_600_000)) < 1, `within an hour of a start a week is foreseen from an hour: ${counted}`);
  t.match(proposal.outlook, [{ rate: 0.005 }, { rate: 0.01 }, { rate: 0.015 }]);
  t.ok(Math.abs(proposal.labels_per_week - 500) < 10 && proposal.days_at_least === Math.ceil((149 * proposal.design_effect / proposal.labels_per_week) * 7));
  const text = (await call('plan', '--tenant', 'default', ...config)).out;
  t.match(text, /from 30 exchanges since \S+Z: some \d+ labels a week/);
  t.match(text, /if the rate is 0\.5 %: \d+ labels, \d+ days, in four of five cases\n/);
  t.match(text, /\nrisk:\n  campaigns:\n    - id: new-campaign\n      tenants: \[default\]\n      strata:\n/);

  const written = JSON.parse(readFileSync(join(house.dir, 'weir.yaml'), 'utf8'));
  const pasted = { ...written, ...(load(text.slice(text.indexOf('\nrisk:'))) as object), tenants: [{ ...written.tenants[0], data: { campaigns: true } }] };
  writeFileSync(join(house.dir, 'pasted.yaml'), JSON.stringify(pasted));
  t.same((await loadConfig(join(house.dir, 'pasted.yaml'), {})).warnings, [], 'as it was printed');

  t.match((await ask(house.adminUrl, '/api/v1/risk/proposal?labels_per_week=500', { token: house.token })).body, { campaign: proposal.campaign, labels_per_week: proposal.labels_per_week, traffic: { exchanges: 30 } }, 'the same over the API');
  t.match(await call('plan', '--tenant', 'nobody', ...config), { code: 1, err: /there is no tenant nobody/ });
  for (const wrong of [['--labels-per-week', '0'], ['--labels-per-week', '1000001'], ['--errors', '51'], ['--below', '0']]) await t.rejects(call('plan', ...wrong, ...config), { name: 'UsageError' }, wrong.join(' '));
  t.match(await call('plan', '--precision', '1', ...config), { code: 0, out: /^\d+ labels for a rate near 2 % to within 1 % at 95 %\n$/ });
});

t.test('weir check says what a campaign lacks: people, and labels within its dates', async (t) => {
  const house = await openHouse(t, { config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { campaigns: true } }] }, files: { 'acme.yaml': POLICY } });
  const written = JSON.parse(readFileSync(join(house.dir, 'weir.yaml'), 'utf8'));
  const examine = async (campaign: object): Promise<{ readonly code: number; readonly out: string }> => {
    writeFileSync(join(house.dir, 'checked.yaml'), JSON.stringify({ ...written, risk: { campaigns: [{ id: 'q', strata: [{ id: 'all', probability_percent: 1 }], ...campaign }] } }));
    let out = '';
    const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (out += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
    return { code: await check.run([join(house.dir, 'checked.yaml')], io), out };
  };
  t.match(await examine({}), { code: 0, out: /\ncampaign q: no traffic of it is recorded yet\n  it lacks: nobody has the role reviewer/ });
  await tokenFor(house.adminUrl, house.token, 'ana', ['reviewer']);
  for (let i = 0; i < 20; i++) await house.chat(`hello ${i}`);
  await until(() => linesOf(join(house.dir, 'data/audit')).filter((line) => line.includes('"kind":"exchange"')).length === 20, 'the entries');
  // 20 within the first hour are foreseen as 3,360 a week, of which 1 % are 33.6: 149 take 31.04 days.
  t.match((await examine({})).out, /\ncampaign q: recent traffic makes some 34 labels a week, and its claim takes 32 days at least\n$/);
  t.match((await examine({ from: '2100-01-01T00:00:00Z', until: '2100-02-02T00:00:00Z' })).out, /takes 32 days at least\n$/, '32 days are enough');
  t.match((await examine({ from: '2100-01-01T00:00:00Z', until: '2100-02-01T00:00:00Z' })).out, /it lacks: with the traffic of now some 149 labels come of it until 2100-02-01T00:00:00Z, and a rate below 2 % takes 149 of equal weight at least; raise its probabilities/, '31 are not');
  t.match((await examine({ precision_percent: 1 })).out, /campaign q: recent traffic makes some 34 labels a week\n$/, 'without a claim');
  t.notMatch((await examine({ until: '2020-01-01T00:00:00Z' })).out, /campaign q:/, 'what is over lacks nothing');
  const told = JSON.parse(await (async () => {
    let out = '';
    await check.run([join(house.dir, 'checked.yaml'), '--json'], { stdout: (text: string) => void (out += text), stderr: () => undefined, stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io);
    return out;
  })());
  t.same(told.campaigns, []);
});

t.test('of a busy log the newest part is read, and what was counted makes up for the rest', async (t) => {
  const house = await openHouse(t, { config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }] }, files: { 'acme.yaml': POLICY } });
  for (let i = 0; i < 20; i++) await house.chat(`hello ${i}`);
  const dir = join(house.dir, 'data/audit');
  await until(() => linesOf(dir).filter((line) => line.includes('"kind":"exchange"')).length === 20, 'the entries');
  const { config: { tenants } } = await loadConfig(join(house.dir, 'weir.yaml'), {});
  const of = (entriesMax: number, counted?: () => Promise<number | undefined>) => populationOf(plannedCampaign('q'), { logs: [dir], tenants, nowMs: Date.now(), entriesMax, ...(counted === undefined ? {} : { counted }) });
  const total = ({ strata }: Awaited<ReturnType<typeof of>>): number => strata.reduce((sum, { per_week: texts }) => sum + texts, 0);
  const whole = await of(1_000);
  t.match(whole, { exchanges: 20, is_part: false });
  const part = await of(10);
  t.match(part, { is_part: true, exchanges: 10 });
  t.equal(Math.round(total(await of(10, async () => 70_000))), 70_000, 'as many as were counted');
  t.equal(total(await of(10, async () => undefined)), total(part), 'where nobody counts, by its time');
  t.equal(total(await of(1_000, async () => 70_000)), total(whole), 'what is whole needs no counts');
  t.match(await populationOf({ ...plannedCampaign('q'), strata: [{ id: 'none', decisions: ['redacted'] }] }, { logs: [dir], tenants, nowMs: Date.now() }), { strata: [{ per_week: 0 }], uncovered_per_week: total(whole) });
  t.match(await populationOf(plannedCampaign('q', ['other']), { logs: [dir], tenants, nowMs: Date.now() }), { exchanges: 0 }, 'of the campaign’s tenants alone');
  const lately = linesOf(dir).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'exchange').map(({ started_at: at }) => Date.parse(at));
  t.match(await populationOf(plannedCampaign('q'), { logs: [dir], tenants, nowMs: lately[5]! + WEEK_MS }), { is_part: false, exchanges: lately.filter((at) => at >= lately[5]!).length, strata: [{}, {}, {}] }, 'what is older than a week is left out');
  t.equal(total(await populationOf(plannedCampaign('q'), { logs: [dir], tenants, nowMs: lately[5]! + WEEK_MS })), lately.filter((at) => at >= lately[5]!).length, 'and a week that is whole is told as it was');
  t.match(await populationOf(plannedCampaign('q'), { logs: [], tenants, nowMs: Date.now() }), { exchanges: 0, since: null });
});
