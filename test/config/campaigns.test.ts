/** What `weir check` says of campaigns: each finding with its place and what to do, and nothing of a campaign that is sound. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NAMES_TAKEN } from '../../src/config/risk.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError, type ConfigIssue } from '../../src/contract/errors.ts';
import { freshFolder } from '../helpers/house.ts';

const TENANTS = '  - { id: one, policy: main, upstream: up, product: Help centre, data: { campaigns: true }, require_key: true }\n  - { id: two, policy: main, upstream: up, require_key: true }\n';

async function issuesOf(t: Test, campaign: string, more = '', tenants = TENANTS, id = 'q'): Promise<readonly ConfigIssue[]> {
  const dir = freshFolder(t);
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'policies/main.yaml'), 'policy: main\nrules: []\n');
  writeFileSync(join(dir, 'weir.yaml'), `${more}upstreams: { up: { url: https://api.example.com/v1 } }\ntenants:\n${tenants}risk:\n  campaigns:\n    - id: ${id}\n${campaign.replaceAll(/^/gm, '      ')}\n`);
  try {
    return (await loadConfig(join(dir, 'weir.yaml'), {})).warnings;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.issues;
  }
}

const REST = '{ id: rest, probability_percent: 1 }';
const POSTGRES = 'store: { url: "postgres://127.0.0.1/made-up" }\n';

t.test('a campaign has no name that the console has taken', async (t) => {
  for (const id of NAMES_TAKEN) t.match((await issuesOf(t, `strata: [ ${REST} ]`, '', TENANTS, id)).filter(({ severity }) => severity === 'error'), [{ path: 'risk.campaigns[0].id', message: /the console has a page of this name/ }], id);
  t.same((await issuesOf(t, `strata: [ ${REST} ]`, '', TENANTS, `${NAMES_TAKEN[0]}-1`)).filter(({ severity }) => severity === 'error'), []);
});

t.test('a sound campaign has no finding', async (t) => {
  t.same(await issuesOf(t, `strata: [ ${REST} ]`), []);
  t.same(await issuesOf(t, `strata: [ { id: doubtful, score_from: 0.3, probability_percent: 20 }, { id: unscored, unknown: true, probability_percent: 50 }, ${REST} ]`), []);
  t.same(await issuesOf(t, 'strata: [ { id: low, score_below: 0.5, probability_percent: 1 }, { id: high, score_from: 0.5, probability_percent: 20 } ]'), [], 'two that fill the whole');
  t.same(await issuesOf(t, `strata: [ { id: a, unknown: true, probability_percent: 1 }, { id: b, unknown: false, probability_percent: 1 } ]\ndecisions: [blocked]`), []);
  t.same(await issuesOf(t, 'strata: [ { id: a, tenants: [one], probability_percent: 1 } ]'), [], 'the only one that takes part');
  t.same(await issuesOf(t, `strata: [ ${REST} ]\nfrom: 2030-01-01T00:00:00Z\nuntil: 2030-04-01T00:00:00Z`), [], 'as long as its texts are kept');
  t.same(await issuesOf(t, `strata: [ ${REST} ]`, `${POSTGRES}audit: { master_key_file: ./shared.key }\n`), []);
  t.same(await issuesOf(t, 'strata: [ { id: some, classifiers: [pii], score_from: 0.5, probability_percent: 9 }, { id: any, score_from: 0.5, probability_percent: 5 }, { id: none, score_below: 0.5, probability_percent: 1 } ]'), [], 'the score of some is no higher than that of all');
});

const FOUND: readonly (readonly [campaign: string, line: number, column: number, path: string, message: RegExp, suggestion: RegExp, severity?: string, more?: string])[] = [
  [`strata: [ ${REST} ]\ntenants: [onee]`, 9, 17, 'risk.campaigns[0].tenants[0]', /no tenant onee/, /did you mean one/, 'error'],
  [`strata: [ ${REST} ]\ntenants: [two, one]`, 9, 17, 'risk.campaigns[0].tenants[0]', /tenant two takes no part/, /data\.campaigns: true/],
  [`strata: [ ${REST} ]\nproducts: [Help center]`, 9, 18, 'risk.campaigns[0].products[0]', /no tenant has the product Help center/, /did you mean Help centre/],
  ['strata: [ { id: a, classifiers: [toxicty], score_from: 0.5, probability_percent: 1 } ]', 8, 40, 'risk.campaigns[0].strata[0].classifiers[0]', /no classifier toxicty/, /did you mean toxicity/, 'error'],
  [`strata: [ { id: a, classifiers: [toxicity], probability_percent: 1 }, ${REST} ]`, 8, 39, 'risk.campaigns[0].strata[0].classifiers', /names classifiers and reads no score/, /add score_from/],
  [`strata: [ ${REST}, { id: doubtful, score_from: 0.3, probability_percent: 20 } ]`, 8, 61, 'risk.campaigns[0].strata[1].id', /doubtful is never reached: what fits it is taken by rest/, /put doubtful above rest/],
  [`strata: [ { id: low, score_below: 0.6, probability_percent: 1 }, { id: high, score_from: 0.4, probability_percent: 1 }, { id: middle, score_from: 0.5, score_below: 0.7, probability_percent: 9 } ]`, 8, 133, 'risk.campaigns[0].strata[2].id', /middle is never reached: what fits it is taken by low/, /put middle above low/],
  [`strata: [ { id: stopped, decisions: [blocked], probability_percent: 1 }, ${REST} ]`, 8, 23, 'risk.campaigns[0].strata[0].id', /nothing of campaign q fits stratum stopped/, /decisions/],
  [`strata: [ { id: a, tenants: [two], probability_percent: 1 }, ${REST} ]`, 8, 23, 'risk.campaigns[0].strata[0].id', /nothing of campaign q fits stratum a/, /tenants/],
  ['strata: [ { id: doubtful, score_from: 0.3, probability_percent: 20 } ]', 8, 15, 'risk.campaigns[0].strata', /in no stratum and never drawn: a text of tenant one that passed; the highest score from 0 to below 0\.3/, /a last stratum without conditions/],
  ['strata: [ { id: a, modalities: [text], probability_percent: 20 } ]', 8, 15, 'risk.campaigns[0].strata', /never drawn: an image of tenant one that passed/, /last stratum/],
  ['strata: [ { id: a, unknown: false, probability_percent: 20 } ]', 8, 15, 'risk.campaigns[0].strata', /never drawn: .*one missing/, /last stratum/],
  [`strata: [ ${REST} ]\nfrom: 2030-01-01T00:00:00Z\nuntil: 2030-04-01T00:00:01Z\nkeep_days: 90`, 11, 18, 'risk.campaigns[0].keep_days', /takes 91 days, and what is drawn first is gone after 90/, /set keep_days: 121/],
  [`strata: [ ${REST} ]\nmodalities: [image, audio]`, 9, 19, 'risk.campaigns[0].modalities', /nothing is kept that people could label/, /add text/],
  [`strata: [ ${REST} ]`, 8, 11, 'risk.campaigns[0].id', /this process has no store/, /store\.url/, 'warning', 'roles: [proxy]\n'],
  [`strata: [ ${REST} ]`, 8, 11, 'risk.campaigns[0].id', /other processes of the store cannot read it/, /audit\.master_key/, 'warning', POSTGRES],
];

for (const [campaign, line, column, path, message, suggestion, severity = 'warning', more = ''] of FOUND) {
  t.test(`${campaign.replaceAll('\n', '; ')} ${more.trim()}`, async (t) => {
    const issues = await issuesOf(t, campaign, more);
    const found = issues.find((issue) => issue.path === path && message.test(issue.message));
    t.match(found, { line, column, suggestion, severity }, JSON.stringify(issues.map(({ message: text, path: at, line: row, column: col }) => [text, at, row, col])));
  });
}

t.test('a campaign for which nobody is left', async (t) => {
  const found = { path: 'risk.campaigns[0].id', message: /nobody takes part in campaign q/, suggestion: /data\.campaigns: true/, severity: 'warning' };
  t.match(await issuesOf(t, `strata: [ ${REST} ]`, '', TENANTS.replace('campaigns: true', 'campaigns: false')), [found]);
  t.equal((await issuesOf(t, `strata: [ ${REST} ]\ntenants: [two]`)).length, 1, 'one cause, one finding');
});

t.test('more kinds than can be looked through are not judged', async (t) => {
  const strata = Array.from({ length: 12 }, (_, i) => `{ id: s${i}, classifiers: [${['pii', 'toxicity', 'jailbreak', 'grounding', 'brand-safety', 'prompt-injection'].filter((_, bit) => (i + 1) & (1 << (bit % 4))).join(', ')}], score_from: 0.${i + 1}, probability_percent: 1 }`);
  t.same(await issuesOf(t, `strata: [ ${strata.join(', ')} ]`), []);
});
