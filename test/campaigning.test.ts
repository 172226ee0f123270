/**
 * Residual-risk campaigns in a running Weir: what is drawn stands in the audit log with its probability, is kept apart,
 * becomes a task once whatever restarts and replays, is labelled by people who cannot tell what they are tried with, and
 * becomes an estimate; whoever falls below the agreement is paused, and others label anew.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkContent } from '../src/audit/content-check.ts';
import { ask, tokenFor } from './helpers/admin.ts';
import { openProvider } from './helpers/held.ts';
import { openHouse, until, type House } from './helpers/house.ts';

t.setTimeout(300_000);

const ALL = { id: 'all', probability_percent: 100 };
const files = { 'acme.yaml': 'policy: acme\nrules:\n  - { id: eggs, direction: output, when: { score: patterns.egret, gte: 1 }, action: block }\npatterns:\n  - { id: egret, label: BIRD, literal: [Egret] }\n' };
const config = (risk: object, data: object = { campaigns: true }) => ({ risk, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', product: 'Help centre', data }] });
const callOf = (house: House) => async (method: string, path: string, body?: object, token = house.token) => ask(house.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
const drawn = async (house: House, id = 'q'): Promise<number> => (await callOf(house)('GET', `risk/campaigns/${id}`)).body.total?.drawn ?? 0;

t.test('drawn, kept apart, labelled, estimated, and there again after a restart', async (t) => {
  const risk = { campaigns: [{ id: 'q', strata: [ALL], calibration_percent: 0, double_blind_percent: 0 }], annotation: { batch_items: 3 } };
  const house = await openHouse(t, { config: config(risk), files });
  const call = callOf(house);
  for (let i = 0; i < 4; i++) t.equal(await house.chat(`hello ${i}`), 200);
  await until(async () => (await drawn(house)) === 4, 'four tasks');
  const { body: { entries } } = await call('GET', 'audit?kind=exchange');
  t.match(entries[0].samples, [{ campaign: 'q', direction: 'output', stratum: 'all', probability: 1, decision: 'passed', modality: 'text' }]);
  t.match(entries[0].sample_content, { output: /^[0-9a-f]{64}$/ });
  t.equal(entries[0].content, undefined, 'the tenant keeps no content otherwise');
  t.ok(readdirSync(join(house.dir, 'data/content/default')).every((name) => /^\d{4}-\d\d-\d\d\+campaigns\.(keys|content)$/.test(name)), 'in files of their own');

  const ana = await tokenFor(house.adminUrl, house.token, 'ana', ['reviewer']);
  const first = (await call('POST', 'risk/next', undefined, ana)).body;
  t.match(first, { state: 'there', left: 3, annotation: { campaign: 'q', direction: 'output', modality: 'text' }, texts: [{ text: 'fine' }] });
  t.notMatch(JSON.stringify(first), /default|stratum|probability|request/, 'nothing tells where it comes from');
  const label = (id: string, body: object, token = ana) => call('POST', `risk/annotations/${id}/label`, body, token);
  t.match((await label(first.annotation.annotation_id, { label: 'violation' })).body, { error: { code: 'invalid_request' } });
  t.match((await label(first.annotation.annotation_id, { label: 'violation', category: 'made.up' })).body, { error: { code: 'invalid_request' } });
  t.equal((await label(first.annotation.annotation_id, { label: 'violation', category: 'toxicity.hate', confidence: 'low' })).status, 200);
  t.match(await label(first.annotation.annotation_id, { label: 'safe' }), { status: 409, body: { error: { code: 'already_decided' } } });
  const second = (await call('POST', 'risk/next', undefined, ana)).body;
  t.equal((await label(second.annotation.annotation_id, { label: 'safe' }, await tokenFor(house.adminUrl, house.token, 'bob', ['reviewer']))).status, 404, 'it is hers');
  t.equal((await label(second.annotation.annotation_id, { label: 'safe' })).status, 200);
  const third = (await call('POST', 'risk/next', undefined, ana)).body;
  t.equal((await call('POST', `risk/annotations/${third.annotation.annotation_id}/skip`, { reason: 'unreadable' }, ana)).status, 200);
  t.match((await call('GET', 'risk/campaigns/q')).body, {
    total: { drawn: 4, labelled: 2, waiting: 1, missing: 1, violations: 1, rate: 0.5 }, claim: { below: 0.02, state: 'contradicted', labels_needed: 236 }, corrected: { correction: 'no_information', rate: null },
    products: [{ name: 'Help centre', drawn: 4 }], categories: [{ name: 'toxicity.hate', violations: 1 }], agreement: null,
  });
  t.match((await call('GET', 'risk/campaigns')).body, { campaigns: [{ id: 'q', state: 'running', drawn: 4, labelled: 2, strata: [{ id: 'all', probability: 1 }] }] });
  t.match((await call('GET', 'risk/me', undefined, ana)).body, { state: 'active', labels_today: 2, violations_today: 1, open: 0 });

  const changes = (await call('GET', 'audit?kind=campaign')).body.entries;
  t.match(changes, [{ change: 'in_force', author: 'weir', campaign: 'q', definition: { strata: [ALL] }, tenants: [{ id: 'default', product: 'Help centre' }], seed_commitment: /^[0-9a-f]{64}$/ }]);

  const report = (await call('GET', 'risk/campaigns/q/report')).body;
  t.match(report, { format: 'weir-risk-report/1', campaign: 'q', version: null, findings: {
    population: { counted: 4, uncounted_drawn: 0 }, design: [{ stratum: 'all', probability: 1, population: 4, drawn: 4 }], sample: { drawn: 4, labelled: 2, waiting: 1, missing: { unreadable: 1 } }, estimates: { total: { rate: 0.5 } }, deviations: [],
  }, basis: [{ checkpoint: /\n4|\n5|\n\d/ }] });
  t.notMatch(JSON.stringify(report), /fine|hello|\bana\b/, 'no text and no name of a person');
  t.match(await call('POST', 'risk/campaigns/q/report', {}), { status: 200, body: { version: 1, author: 'admin', from: null } });
  t.match(await call('GET', 'risk/campaigns/q/reports'), { body: { reports: [{ version: 1 }], corrections: [] } });
  t.match((await call('GET', 'audit?kind=campaign')).body.entries[0], { change: 'reported', version: 1 });
  for (const [method, path, body, status] of [['GET', 'risk/campaigns/q/report?version=2', undefined, 404], ['GET', 'risk/campaigns/none/report', undefined, 404], ['GET', 'risk/campaigns/q/report?from=2030-02-31', undefined, 400], ['GET', 'risk/campaigns/q/report?from=2030-02-02&until=2030-02-02', undefined, 400], ['GET', 'risk/campaigns/q/report?format=note', undefined, 400], ['POST', 'risk/campaigns/q/report', { to: 'x' }, 400], ['POST', 'risk/campaigns/none/report', {}, 404], ['POST', 'risk/campaigns/q/corrections', { reason: ' ' }, 400], ['POST', 'risk/campaigns/q/corrections', { reason: 'x'.repeat(1_001) }, 400], ['POST', 'risk/campaigns/q/corrections', { reason: 'x'.repeat(1_000) }, 200], ['POST', 'risk/campaigns/none/corrections', { reason: 'x' }, 404]] as const) t.equal((await call(method, path, body)).status, status, `${method} ${path}`);
  t.equal((await call('POST', 'risk/campaigns/q/report', {}, ana)).status, 403, 'not for who labels');

  await house.app.close();
  const again = await openHouse(t, { dir: house.dir, config: config(risk) });
  t.equal(await again.chat('hello again'), 200);
  await until(async () => (await drawn(again)) === 5, 'five tasks, and none twice');
  t.match((await callOf(again)('GET', 'risk/campaigns/q')).body.total, { drawn: 5, labelled: 2 });
  await until(async () => (await checkContent(join(house.dir, 'data/audit'), join(house.dir, 'data/content'))).missing === 0, 'content that is written after its entry');
  t.match(await checkContent(join(house.dir, 'data/audit'), join(house.dir, 'data/content')), { sound: 5, missing: 0, altered: 0 });

  await until(async () => /weir_risk_texts\{campaign="q",outcome="violation"\} 1\n/.test(await again.metrics()), 'the metrics');
  t.match(await again.metrics(), /weir_risk_claim\{campaign="q",state="contradicted"\} 1\n/);
  t.match((await callOf(again)('POST', 'tenants/default/erasures', { all: true })).body, { destroyed: 5 }, 'an erasure takes it too');
  t.match((await callOf(again)('POST', 'risk/next', undefined, ana)).body, { state: 'none' }, 'what is erased cannot be labelled');
  t.match((await callOf(again)('GET', 'risk/campaigns/q')).body.total, { drawn: 5, labelled: 2, missing: 3, waiting: 0 }, 'and counts as missing');
});

t.test('what is blocked is drawn where a campaign says so, as it came', async (t) => {
  const house = await openHouse(t, { config: config({ campaigns: [{ id: 'q', directions: ['input'], decisions: ['blocked'], strata: [ALL], calibration_percent: 0 }] }), files: { 'acme.yaml': files['acme.yaml'].replace('direction: output', 'direction: input') } });
  t.equal(await house.chat('have you seen an Egret?'), 400);
  t.equal(await house.chat('hello'), 200);
  await until(async () => (await drawn(house)) === 1, 'the task');
  t.match((await callOf(house)('POST', 'risk/next')).body, { texts: [{ text: 'have you seen an Egret?', role: 'user' }] });
});

t.test('a tenant that takes no part is not drawn, and nothing of it is kept', async (t) => {
  const house = await openHouse(t, { config: config({ campaigns: [{ id: 'q', strata: [ALL] }] }, {}), files });
  t.equal(await house.chat('hello'), 200);
  await until(async () => (await callOf(house)('GET', 'audit?kind=exchange')).body.entries.length === 1, 'the entry');
  t.equal((await callOf(house)('GET', 'audit?kind=exchange')).body.entries[0].samples, undefined);
  t.equal(readdirSync(join(house.dir, 'data')).includes('content'), false);
});

t.test('a tenant that withdraws: what is open is not drawn, what was drawn is erased, labels stay as counts', async (t) => {
  const held: (() => void)[] = [];
  let isSlow = false;
  const provider = await openProvider(t, (_body, res) => {
    const answer = (): void => void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'fine' }, finish_reason: 'stop' }] }));
    if (isSlow) held.push(answer);
    else answer();
  });
  const withCampaigns = (campaigns: boolean) => ({ ...config({ campaigns: [{ id: 'q', strata: [ALL], calibration_percent: 0, double_blind_percent: 0 }] }, { campaigns }), upstreams: { local: { url: provider.url } } });
  const house = await openHouse(t, { config: withCampaigns(true), files });
  const call = callOf(house);
  for (let i = 0; i < 3; i++) t.equal(await house.chat(`hello ${i}`), 200);
  await until(async () => (await drawn(house)) === 3, 'the tasks');
  const first = (await call('POST', 'risk/next')).body;
  t.equal((await call('POST', `risk/annotations/${first.annotation.annotation_id}/label`, { label: 'safe' })).status, 200);
  isSlow = true;
  const open = house.chat('still open');
  await until(() => held.length === 1, 'the open exchange');
  const written = JSON.parse(readFileSync(join(house.dir, 'weir.yaml'), 'utf8'));
  writeFileSync(join(house.dir, 'weir.yaml'), JSON.stringify({ ...written, ...withCampaigns(false) }));
  const entries = async (kind: string): Promise<any[]> => (await call('GET', `audit?kind=${kind}`)).body.entries;
  await until(async () => (await entries('erasure')).length === 1, 'what was drawn is erased');
  t.match(await entries('erasure'), [{ author: 'withdrawal from campaigns', tenant_id: 'default', destroyed: 3 }]);
  held[0]!();
  t.equal(await open, 200);
  await until(async () => (await entries('exchange')).length === 4, 'its entry');
  t.equal((await entries('exchange'))[0].samples, undefined, 'what was open is not drawn');
  t.match((await call('POST', 'risk/next')).body, { state: 'none', texts: [] });
  t.match((await call('GET', 'risk/campaigns/q')).body.total, { drawn: 3, labelled: 1, missing: 2, waiting: 0 });
  writeFileSync(join(house.dir, 'weir.yaml'), JSON.stringify({ ...written, ...withCampaigns(true) }));
  isSlow = false;
  await until(async () => (await house.chat('with them again')) === 200 && (await drawn(house)) > 3, 'drawn again');
  t.match((await call('POST', 'risk/next')).body, { state: 'there', texts: [{ text: 'fine' }] }, 'what comes now is read');
});

t.test('who falls below the agreement is paused between two batches, and others label anew', async (t) => {
  const risk = { campaigns: [{ id: 'q', strata: [ALL], calibration_percent: 50, double_blind_percent: 0 }], annotation: { batch_items: 10, calibration_checks_min: 5 } };
  const house = await openHouse(t, { config: config(risk), files });
  const call = callOf(house);
  const items = Array.from({ length: 60 }, (_, i) => ({ text: `a known text ${i}`, label: 'violation', category: 'toxicity.hate' }));
  t.same((await call('POST', 'risk/calibration', { items })).body, { added: 60, known: 0 });
  t.same((await call('POST', 'risk/calibration', { items })).body, { added: 0, known: 60 }, 'an item is known by its text');
  for (let i = 0; i < 30; i++) await house.chat(`hello ${i}`);
  await until(async () => (await drawn(house)) === 30, 'the tasks');
  const [ana, bob] = await Promise.all(['ana', 'bob'].map((name) => tokenFor(house.adminUrl, house.token, name, ['reviewer']))) as [string, string];
  const shapes = new Set<string>();
  const seen = new Set<string>();
  let state = '';
  let labelled = 0;
  for (let i = 0; i < 80 && state !== 'paused'; i++) {
    const { body } = await call('POST', 'risk/next', undefined, ana);
    state = body.state;
    if (state !== 'there') break;
    shapes.add(JSON.stringify({ ...body, left: 0, done: 0, annotation: { ...body.annotation, annotation_id: '', batch_id: '', claimed_until: '' }, texts: body.texts.map((one: object) => ({ ...one, text: '' })) }));
    if (body.texts[0].text !== 'fine') {
      t.notOk(seen.has(body.texts[0].text), 'never twice to one person');
      seen.add(body.texts[0].text);
    }
    const { status, text } = await call('POST', `risk/annotations/${body.annotation.annotation_id}/label`, { label: 'safe' }, ana);
    t.same([status, text], [200, '{"done":true}']);
    labelled++;
  }
  t.equal(state, 'paused', 'she calls everything safe');
  t.equal(shapes.size, 1, 'known and unknown differ in nothing but their text');
  t.ok(seen.size >= 2 && labelled > seen.size, `${seen.size} known of ${labelled}`);
  const { body: { annotators } } = await call('GET', 'risk/annotators');
  t.match(annotators, [{ annotator_id: 'ana', state: 'paused', calibration: { agreement: 0, state: 'paused' }, changed_by: 'calibration' }]);
  t.match((await call('GET', 'risk/campaigns/q')).body.total, { drawn: 30, labelled: 0, waiting: 30 }, 'nothing of hers counts');
  const { body: { entries } } = await call('GET', 'audit?kind=annotation');
  t.match(entries[0], { change: 'paused', annotator_id: 'ana', author: 'calibration', agreement: 0, flagged: labelled - seen.size, requeued: labelled - seen.size });
  t.match((await call('POST', 'risk/next', undefined, bob)).body, { state: 'there' }, 'others are given them');
  t.match((await call('POST', 'risk/next', undefined, ana)).body, { state: 'paused', annotation: null, texts: [] });
  t.equal((await call('POST', 'risk/annotators/ana/resume', { reason: 'trained' }, ana)).status, 403, 'not by herself');
  t.match((await call('POST', 'risk/annotators/ana/resume', { reason: 'trained' })).body, { state: 'active' });
  t.match((await call('GET', 'risk/annotators')).body.annotators[0], { state: 'active', calibration: { n: 0, agreement: null } });
});

t.test('limits of a day: within, and beyond', async (t) => {
  const house = await openHouse(t, { config: config({ campaigns: [{ id: 'q', strata: [ALL], calibration_percent: 0, double_blind_percent: 0 }], annotation: { daily_max: 3, violations_daily_max: 2, batch_items: 1 } }), files });
  const call = callOf(house);
  for (let i = 0; i < 8; i++) await house.chat(`hello ${i}`);
  await until(async () => (await drawn(house)) === 8, 'the tasks');
  const [ana, bob] = await Promise.all(['ana', 'bob'].map((name) => tokenFor(house.adminUrl, house.token, name, ['reviewer']))) as [string, string];
  const one = async (token: string, body: object): Promise<string> => {
    const { body: { state, annotation } } = await call('POST', 'risk/next', undefined, token);
    if (annotation !== null) await call('POST', `risk/annotations/${annotation.annotation_id}/label`, body, token);
    return state;
  };
  const violation = { label: 'violation', category: 'toxicity.hate' };
  t.same([await one(ana, { label: 'safe' }), await one(ana, { label: 'safe' }), await one(ana, { label: 'safe' }), await one(ana, { label: 'safe' })], ['there', 'there', 'there', 'daily_limit']);
  t.same([await one(bob, violation), await one(bob, violation), await one(bob, violation)], ['there', 'there', 'exposure_limit']);
});

t.test('tenants see estimates of their own alone', async (t) => {
  const KEY = (id: string) => ({ id: `k-${id}`, sha256: 'ab'.repeat(31) + (id === 'one' ? '01' : '02') });
  const house = await openHouse(t, { config: { risk: { campaigns: [{ id: 'q', strata: [ALL] }, { id: 'other-only', tenants: ['two'], strata: [ALL] }] }, tenants: ['one', 'two'].map((id) => ({ id, policy: 'acme', upstream: 'local', keys: [KEY(id)], data: { campaigns: true } })) }, files });
  const viewer = await tokenFor(house.adminUrl, house.token, 'viewer', ['tenant-viewer'], ['one']);
  const call = callOf(house);
  const rows = ['one', 'two', 'two'].map((tenant, i) => ({
    annotation_id: `ann_${i}`, task_id: `task_${i}`, campaign: 'q', tenant_id: tenant, product: '', request_id: `r${i}`, started_at: '2030-01-01T00:00:00.000Z', direction: 'output', modality: 'text', stratum: 'all', inclusion_probability: 1,
    automated_filter_result: 'passed', human_label: 'safe', violation_category: null, confidence_tier: 'high', annotator_id: 'ana', annotator_calibration: null, calibration_seed: false, batch_id: 'b', status: 'labelled', wanted: 1, created_at: '2030-01-01T00:00:00.000Z', labelled_at: `2030-01-01T00:00:0${i}.000Z`,
  }));
  t.same((await call('POST', 'risk/labels', { format: 'jsonl', data: rows.map((row) => JSON.stringify(row)).join('\n') })).body, { added: 3, known: 0 });
  t.match((await call('GET', 'risk/campaigns/q')).body.total, { drawn: 3 });
  const seen = (await call('GET', 'risk/campaigns/q', undefined, viewer)).body;
  t.match(seen, { total: { drawn: 1 }, tenants: [{ name: 'one' }], agreement: null });
  t.notMatch(JSON.stringify(seen), /"two"/);
  t.same((await call('GET', 'risk/campaigns', undefined, viewer)).body.campaigns.map(({ id }: { id: string }) => id), ['q']);
  t.equal((await call('GET', 'risk/campaigns/other-only', undefined, viewer)).status, 404);
  for (const format of ['jsonl', 'csv', 'label-studio']) {
    const { body } = await call('GET', `risk/labels?format=${format}`);
    t.equal(body.rows, 3);
    t.same((await call('POST', 'risk/labels', { format, data: body.data })).body, { added: 0, known: 3 }, `${format} comes back the same`);
  }
  t.match((await call('POST', 'risk/labels', { format: 'jsonl', data: '{}' })).body, { error: { code: 'invalid_labels' } });
});
