/**
 * What comes into the queue of a running Weir without a rule that asks for it, with a classifier behind HTTP whose score
 * is what the prompt says: near misses, checks, and a queue that is full. Traffic is answered all the while.
 */
import t, { type Test } from 'tap';
import { ask, tokenFor } from '../helpers/admin.ts';
import { openHouse, until, type House } from '../helpers/house.ts';
import { json, ScriptedUpstream } from '../helpers/upstream.ts';

t.setTimeout(300_000);

const POLICY = 'policy: acme\nrules:\n  - { id: bad, priority: 10, direction: input, when: { score: vendor.bad, gte: 0.8 }, action: block }\n  - { id: ask, priority: 20, direction: input, when: { score: vendor.odd, gte: 0.8 }, action: escalate, severity: low }\n';

/** A prompt such as `0.75` has that score for bad, `odd 0.9` for odd. */
async function scoredHouse(t: Test, review: object, tenant: object = {}): Promise<House> {
  const scoring = new ScriptedUpstream((socket, request) => {
    const { content } = JSON.parse(request.body.toString()) as { readonly content: string };
    const score = Number(/\d(?:\.\d+)?/.exec(content)?.[0] ?? 0);
    return json(200, { results: ['bad', 'odd'].map((category) => ({ classifier_id: 'vendor', category, score: content.includes('odd') === (category === 'odd') ? score : 0, label: 'X', spans: [], latency_ms: 1 })) })(socket, request);
  });
  t.teardown(() => scoring.close());
  const url = new URL('/classify', await scoring.listen()).href;
  return openHouse(t, {
    config: { classifiers: [{ id: 'vendor', plugin: 'http', url, categories: ['bad', 'odd'] }], screening: { deadline_ms: 20_000 }, review: { double_blind_percent: 0, ...review }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', ...tenant }] },
    files: { 'acme.yaml': POLICY },
  });
}

const reviews = async (house: House, query = ''): Promise<readonly Record<string, any>[]> => (await ask(house.adminUrl, `/api/v1/reviews${query}`, { token: house.token })).body.items;
const queue = async (house: House, token = house.token): Promise<any> => (await ask(house.adminUrl, '/api/v1/queue', { token })).body;

t.test('what was nearly decided otherwise comes in, so many an hour', async (t) => {
  const house = await scoredHouse(t, { uncertain: { per_hour_max: 3 } });
  t.same(await Promise.all([house.chat('score 0.1'), house.chat('score 0.75'), house.chat('score 0.82'), house.chat('score 0.99')]), [200, 200, 400, 400]);
  await until(async () => (await reviews(house)).length === 2, 'the items');
  t.match([...await reviews(house)].sort((a, b) => (a['action'] < b['action'] ? -1 : 1)), [
    { origin: 'uncertain', severity: 'medium', action: 'allow', near_rules: ['bad'], triggered_rules: [], inclusion_probability: 1, covered: false },
    { origin: 'uncertain', action: 'block', near_rules: ['bad'], triggered_rules: ['bad'] },
  ]);
  for (const _ of ['third', 'fourth', 'fifth']) t.equal(await house.chat('score 0.75'), 200, 'traffic does not ask how full it is');
  await until(async () => (await queue(house)).counts.length === 2, 'what stayed out');
  const { counts, ...rest } = await queue(house);
  t.match(counts.map(({ name, count }: Record<string, unknown>) => [name, count]), [['uncertain', 3], ['uncertain_beyond', 2]]);
  t.same(rest, { open: [{ tenant_id: 'default', open: 3 }], capacity: { open_max: 10_000, tenant_open_max: 2_000 }, draws: ['uncertain'], without_content: [], sampled_this_week: 0, truncated: false });
});

t.test('a check: whatever was decided, covered for two; of who keeps no content nothing, and that is said', async (t) => {
  const house = await scoredHouse(t, { sample: { percent: 100 } }, { data: { content: 'original' } });
  t.same([await house.chat('score 0.1'), await house.chat('score 0.99')], [200, 400]);
  await until(async () => (await reviews(house)).length >= 3, 'both prompts and the answer');
  const items = await reviews(house);
  t.equal(items.length, 3);
  for (const item of items) t.match(item, { origin: 'sample', severity: 'low', double_blind: true, covered: true, action: null, classifier_results: [], triggered_rules: [] }, 'not even whether it was stopped');
  t.match((await ask(house.adminUrl, `/api/v1/reviews/${items.find(({ direction }) => direction === 'input')!['review_id']}/content`, { token: house.token })).body, { state: 'there' });
  await until(async () => (await queue(house)).sampled_this_week === 3, 'the number of the week');
  t.same((await queue(house)).without_content, []);

  const bare = await scoredHouse(t, { sample: { percent: 100 } });
  t.equal(await bare.chat('score 0.1'), 200);
  t.match(await queue(bare), { draws: ['sample'], without_content: ['default'] });
  t.match(await ask(bare.adminUrl, '/api/v1/status', { token: bare.token }), { body: { config: { warnings: 1 } } }, 'and weir check says so');
  await bare.app.close();
});

t.test('a full queue: items alike stand by one, and nothing is lost', async (t) => {
  const house = await scoredHouse(t, { capacity: { open_max: 100, tenant_open_max: 2 }, uncertain: {} });
  for (let i = 0; i < 5; i++) t.equal(await house.chat('odd 0.95'), 200);
  t.equal(await house.chat('score 0.75'), 200);
  const total = async (): Promise<number> => (await reviews(house)).reduce((sum, { batched }) => sum + 1 + batched, 0);
  await until(async () => (await queue(house)).counts.length === 2 && (await total()) === 5, 'all of them');
  const items = await reviews(house);
  t.equal(items.length, 2);
  const [head] = items.filter(({ batched }) => batched > 0);
  const { body } = await ask(house.adminUrl, `/api/v1/reviews/${head!['review_id']}`, { token: house.token });
  t.match(body, { batched: 3, batch: [{ direction: 'input' }, {}, {}] });
  const known = new Set([...items.map(({ request_id: id }) => id), ...body.batch.map(({ request_id: id }: Record<string, string>) => id)]);
  await until(async () => (await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token })).body.entries.filter(({ request_id: id }: Record<string, string>) => known.has(id)).length === 5, 'each of them in the log');
  t.match((await queue(house)).counts.map(({ name, count }: Record<string, unknown>) => [name, count]), [['batched', 3], ['uncertain_full', 1]]);
  const viewer = await tokenFor(house.adminUrl, house.token, 'viewer', ['tenant-viewer'], ['default']);
  t.match(await queue(house, viewer), { open: [{ tenant_id: 'default', open: 2 }], sampled_this_week: null });
});
