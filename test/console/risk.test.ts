/**
 * The pages about residual risk of a running Weir: the answer with its interval, its number and its dates, the claim in words,
 * parts, the course, near misses and what a claim would take; for whom they are; that names which others wrote do nothing; and
 * in a real browser, narrow and wide, light and dark, by keyboard. With WEIR_TEST_SCREENSHOTS it leaves pictures there.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ask, tokenFor } from '../helpers/admin.ts';
import { barriers, NO_BROWSER, openBrowser, openWindow, overflow } from '../helpers/browser.ts';
import { logIn, shots } from '../helpers/console-walk.ts';
import { visit } from '../helpers/console.ts';
import { openHouse, until, type House } from '../helpers/house.ts';

t.setTimeout(600_000);

const DAY_MS = 86_400_000;
const HOSTILE = '<img src=x onerror=alert(1)>\u202Egnp';
const isoOf = (ms: number): string => new Date(ms).toISOString();

interface Label {
  readonly at: number;
  readonly label: 'safe' | 'violation';
  readonly tenant?: string;
  readonly category?: string;
  readonly campaign?: string;
  readonly stratum?: string;
  readonly probability?: number;
}

let made = 0;

/** Labels as an import brings them. */
async function taken(house: House, labels: readonly Label[]): Promise<void> {
  const rows = labels.map(({ at, label, tenant = 'default', category = 'toxicity.hate', campaign = 'q', stratum = 'all', probability = 1 }) => {
    const id = `${++made}`;
    return JSON.stringify({
      annotation_id: `ann_${id}`, task_id: `task_${id}`, campaign, tenant_id: tenant, product: tenant === 'default' ? 'Help centre' : HOSTILE, request_id: `r${id}`, started_at: isoOf(at), direction: 'output', modality: 'text', stratum, inclusion_probability: probability,
      automated_filter_result: 'passed', human_label: label, violation_category: label === 'violation' ? category : null, confidence_tier: 'high', annotator_id: 'ana', annotator_calibration: null, calibration_seed: false, batch_id: 'b', status: 'labelled', wanted: 1, created_at: isoOf(at), labelled_at: isoOf(at + 60_000),
    });
  });
  for (let from = 0; from < rows.length; from += 5_000) {
    const { status, text } = await ask(house.adminUrl, '/api/v1/risk/labels', { method: 'POST', token: house.token, body: { format: 'jsonl', data: rows.slice(from, from + 5_000).join('\n') } });
    if (status !== 200) throw new Error(text);
  }
}

/** Of so many days, of each so many, of which every so many is a violation. */
function days(count: number, perDay: number, every: number, more: Partial<Label> = {}): readonly Label[] {
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  let n = 0;
  return Array.from({ length: count }, (_, day) => Array.from({ length: perDay }, (_, i): Label => ({ at: today - (count - day) * DAY_MS + i * 1_000, label: n++ % every === every - 1 ? 'violation' : 'safe', ...more }))).flat();
}

const campaigns = [
  { id: 'q', decisions: ['passed'], strata: [{ id: 'all', probability_percent: 100 }], double_blind_percent: 0 },
  { id: 'weighted', strata: [{ id: 'often', score_from: 0.5, probability_percent: 50 }, { id: 'rare', probability_percent: 1 }], claim: { below_percent: 5, confidence_percent: 90 } },
  { id: 'empty', strata: [{ id: 'all', probability_percent: 1 }], precision_percent: 0.5, from: '2030-01-01T00:00:00Z' },
];
const tenant = (id: string, more: object = {}) => ({ id, policy: 'acme', upstream: 'local', product: 'Help centre', data: { campaigns: true }, ...more });
const open = (t: Test, tenants: readonly object[] = [tenant('default')]): Promise<House> => openHouse(t, { config: { risk: { campaigns }, tenants }, files: { 'acme.yaml': 'policy: acme\nrules: []\n' } });

t.test('the answer, with its interval, its number and its dates, and what it rests on', async (t) => {
  const house = await open(t, ['default', 'other'].map((id, i) => tenant(id, { keys: [{ id: `of-${id}`, sha256: `${'ab'.repeat(31)}0${i}` }] })));
  const labels = days(20, 40, 160);
  await taken(house, labels);
  await taken(house, days(3, 30, 10, { campaign: 'weighted', stratum: 'often', probability: 0.5 }));
  await taken(house, days(3, 30, 1_000, { campaign: 'weighted', stratum: 'rare', probability: 0.01, tenant: 'other' }));
  const admin = await visit(house.adminUrl, house.token);
  const [from, to] = [isoOf(labels[0]!.at).slice(0, 10), isoOf(labels.at(-1)!.at).slice(0, 10)];
  const { body: status } = await ask(house.adminUrl, '/api/v1/risk/campaigns/q', { token: house.token });
  t.match(status, { confidence: 0.95, drawn_between: { from: isoOf(labels[0]!.at) }, claim: { below: 0.02, state: 'met', sequential: { good: 0.01, decision: 'good' } } });

  const { text: all } = await admin.get('/risk');
  t.match(all, new RegExp(`<a href="/risk/q" data-open>q</a>.*<strong>0.625 %</strong> <span class="quiet">0.229–1.38 %, n 800, drawn ${from} to ${to}</span>.*below 2 %:</span> <span class="badge a-allow">shown</span>.*800 of 523`, 's'));
  t.match(all, /<a href="\/risk\/empty" data-open>empty<\/a>.*no label yet.*within 0.5 %:.*not reached yet/s);
  t.match((await admin.get('/risk?live=1')).text, /id="fresh" data-live="10000"/);

  await until(async () => (await admin.get('/risk/q')).text.includes('Nothing has just risen'), 'the course of what was imported');
  const { text } = await admin.get('/risk/q');
  t.match(text, /Of answers that passed, <strong>0.625 %<\/strong> violate/);
  t.match(text, new RegExp(`0.229–1.38 % at 95 %, n 800 labelled with 5 violations, drawn ${from} to ${to} \\(UTC\\)`));
  t.match(text, new RegExp(`At one-sided 95 % the rate is below, if the number of labels was fixed before the first. The interval that holds however often one looks ${status.claim.met_under_peeking ? 'shows it too' : 'does not show it yet'}.`));
  t.match(text, /while labels come in<\/th><td class="number">0.625 %<\/td>/);
  t.match(text, /a sequential test may be looked at after every label.*it is: the test has shown it/s);
  t.match(text, /no correction for annotators’ errors/);
  t.match(text, /By category, among everything.*<code>toxicity.hate<\/code><\/th><td class="number">0.625 %/s);
  t.match(text, new RegExp(`<th scope="row">${from}</th>`));
  t.match(text, /Nothing has just risen beyond chance/);
  await until(async () => /No violation is labelled whose entry is in the audit log/.test((await admin.get('/risk/q')).text), 'that an import has no entries');
  t.match(text, /<th scope="row" class="number">5<\/th><td class="number">523<\/td><td class="number">0<\/td><td class="number">0<\/td>/, 'what the claim takes with the violations there are');
  t.match(text, /<th scope="row" class="number">12<\/th><td class="number">[\d,]+<\/td><td class="number">\d+<\/td><td class="number">\d+<\/td>/, 'and with seven more, in days');
  const other = (await admin.get('/risk/q?below=0.5&confidence=99')).text;
  t.match(other, /below 0.5 %:<\/span> <span class="badge a-other">too few labels to show it<\/span> at one-sided 99 %/);
  for (const wrong of ['below=0', 'below=100', 'below=x', 'confidence=-1']) t.match((await admin.get(`/risk/q?${wrong}`)).text, /Below and confidence are numbers above 0 and below 100/, wrong);
  t.match((await admin.get('/risk/q?below=0.0000001')).text, /role="alert">below .* takes more than 100000000 labels/);
  t.match((await admin.get('/risk/q?by=week')).text, /Rate by week in which texts were drawn/);

  const weighted = (await admin.get('/risk/weighted')).text;
  t.match(weighted, /By stratum.*<code>often<\/code>.*<code>rare<\/code>/s);
  t.match(weighted, / at 90 %, n 180 labelled/);
  t.notMatch(weighted, /sequential test/, 'drawn with several probabilities');
  t.notMatch(weighted, /<img/, 'names do nothing');
  t.match(weighted, /&lt;img src=x onerror=alert\(1\)&gt;⟨202E⟩gnp/);
  t.match((await admin.get('/risk/empty')).text, /Nothing is labelled yet/);
  t.equal((await admin.get('/risk/none')).status, 404);

  const viewer = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'theirs', ['tenant-viewer'], ['other']));
  const theirs = (await viewer.get('/risk/weighted')).text;
  t.match(theirs, /n 90 labelled/);
  t.notMatch(theirs, /<code>often<\/code>|labels a day/, 'nothing of others');
  const reviewer = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'ana', ['reviewer']));
  t.equal((await reviewer.get('/risk')).status, 403);
});

t.test('what has risen is told, and of whom', async (t) => {
  const house = await open(t);
  await taken(house, days(14, 60, 100));
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  await taken(house, Array.from({ length: 60 }, (_, i): Label => ({ at: today + i, label: i % 4 === 0 ? 'violation' : 'safe', category: 'toxicity.violence' })));
  const admin = await visit(house.adminUrl, house.token);
  await until(async () => (await admin.get('/risk/q')).text.includes('▲ risen'), 'the rise');
  const { text } = await admin.get('/risk/q');
  t.match(text, /Just risen beyond chance, in the day of.*The whole.*25 %, where 0.952 % is usual.*category <code>toxicity.violence<\/code>/s);
  t.match(text, /▲ risen<\/th><td class="number">25 %/);
  const { body } = await ask(house.adminUrl, '/api/v1/risk/campaigns/q/course?by=day', { token: house.token });
  t.match(body, { by: 'day', looked_at: isoOf(today).slice(0, 10), change: { before: { labelled: 480 } } });
  t.same(body.series.filter(({ is_spike: isSpike }: { is_spike: boolean }) => isSpike).map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`), ['all ', 'tenant default', 'category toxicity.violence']);
});

t.test('near misses come from the log: what was scored, by which classifier, under which policy', async (t) => {
  const house = await open(t);
  for (const text of ['hello', 'what is the weather', 'you are an idiot and I hate you']) await house.chat(text);
  const next = async (): Promise<any> => (await ask(house.adminUrl, '/api/v1/risk/next', { method: 'POST', token: house.token })).body;
  await until(async () => (await next()).state === 'there', 'a text');
  await until(async () => (await ask(house.adminUrl, '/api/v1/risk/campaigns/q', { token: house.token })).body.total.drawn === 3, 'three texts');
  for (let i = 0; i < 3; i++) {
    const { annotation: { annotation_id: id } } = await next();
    const body = i === 0 ? { label: 'violation', category: 'toxicity.hate' } : { label: 'safe' };
    t.equal((await ask(house.adminUrl, `/api/v1/risk/annotations/${id}/label`, { method: 'POST', token: house.token, body })).status, 200);
  }
  let misses: any;
  await until(async () => (misses = (await ask(house.adminUrl, '/api/v1/risk/campaigns/q/near-misses', { token: house.token })).body).violations === 1 && misses.safe === 2, 'the entries');
  t.match(misses, { not_found: 0, categories: [{ category: 'toxicity.hate', violations: 1, nearest: [{ texts: 1 }] }] });
  const group = (dimension: string): any[] => misses.groups.filter((one: { dimension: string }) => one.dimension === dimension);
  t.match(group('model'), [{ name: 'm', violations: { of: 1, share: 1 }, safe: { of: 2, share: 1 }, ratio: 1, stands_out: false }]);
  t.match(group('policy'), [{ name: /^acme@/ }]);
  t.equal(group('score').reduce((sum, { safe }) => sum + safe.of, 0), 2, 'each text is in one band');
  t.match((await (await visit(house.adminUrl, house.token)).get('/risk/q')).text, /Which classifier came nearest.*Highest score.*Policy/s);
});

t.test('in a browser, by keyboard', { skip: NO_BROWSER }, async (t) => {
  const house = await open(t);
  await taken(house, days(40, 40, 90));
  await taken(house, days(40, 15, 60, { tenant: 'other', category: 'toxicity.illicit' }));
  await taken(house, days(3, 30, 10, { campaign: 'weighted', stratum: 'often', probability: 0.5 }));
  await taken(house, days(3, 30, 25, { campaign: 'weighted', stratum: 'rare', probability: 0.01, tenant: 'other' }));
  // Each window labels one more.
  let labelled = 2_200;
  for (const [width, scheme] of [[360, 'dark'], [360, 'light'], [1280, 'light'], [1280, 'dark']] as const) await t.test(`${scheme} at ${width} pixels`, async (t) => {
    const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width, scheme });
    await logIn(page, house.token);
    const look = async (name: string): Promise<void> => {
      t.same(await barriers(page), [], `${name}: nothing keeps people out`);
      t.equal(await overflow(page), 0, `${name}: it is not wider than the window`);
      if (shots !== undefined) await page.screenshot({ path: join(shots, `risk-${width}-${scheme}-${name}.png`), fullPage: true });
    };
    await page.keyboard.press('g');
    await Promise.all([page.waitForURL('**/risk'), page.keyboard.press('i')]);
    await look('all');
    await page.keyboard.press('j');
    await Promise.all([page.waitForURL('**/risk/q'), page.keyboard.press('Enter')]);
    await until(async () => (await page.reload()) !== null && (await page.locator('svg.chart').count()) === 1, 'the course');
    await look('campaign');
    await page.locator('#f-below').focus();
    await page.locator('#f-below').fill('1');
    await Promise.all([page.waitForURL('**below=1**'), page.keyboard.press('Enter')]);
    t.equal(await page.locator('#f-below').inputValue(), '1');
    await Promise.all([page.waitForURL('**live=1**'), page.keyboard.press('f')]);
    const n = async (): Promise<string> => page.locator('.answer .lead').first().innerText();
    const labels = (): string => `n ${labelled.toLocaleString('en')} labelled`;
    t.match(await n(), labels());
    await taken(house, [{ at: Date.now(), label: 'violation' }]);
    labelled++;
    await until(async () => (await n()).includes(labels()), 'the newest number');
    await page.goto('/risk/weighted');
    await look('weighted');
    t.same(complaints, []);
  });
});
