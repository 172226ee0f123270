/**
 * Objections: over SQLite and a real Postgres what they do and how many may be, and in a running Weir over both ports:
 * to a verdict, to what waits, and to what nobody ever looked at; of others' requests there is nothing.
 */
import t, { type Test } from 'tap';
import type { Resolution } from '../../src/contract/review.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlAppealStore } from '../../src/store/review-appeals.ts';
import { SqlReviewIntake } from '../../src/store/review-intake.ts';
import { SqlNoticeStore } from '../../src/store/review-notices.ts';
import { SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { openHouse, until, watching } from '../helpers/house.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();

function item(id: string, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: ['rule'], classifier_results: [],
    action: 'escalate', double_blind: false, created_at: at(0), due_at: at(60), hold_until: null, hold_then: null, ...more,
  };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  const opened = async (t: Test) => {
    const open = (await place(t)).database!;
    const store = new SqlReviewStore(open());
    const decide = async (id: string, reviewer: string, resolution: Resolution) => {
      const { fence } = await store.claim(id, { id: reviewer }, at(1), at(999)) as Claim;
      await store.decide(id, fence, { reviewer_id: reviewer, resolution, categories: [], notes: '', created_at: at(1) }, standingOf);
    };
    return { open, store, decide, appeals: new SqlAppealStore(open()) };
  };
  const appeal = (author: string, seconds = 2) => ({ author, reason: `said by ${author}`, created_at: at(seconds) });

  t.test(`${name}: what was decided waits again; what waits keeps what is said, of each once in a round`, { skip }, async (t) => {
    const { store, decide, appeals } = await opened(t);
    await store.add(item('a'));
    const whose = { review_id: 'rev_a', tenant_id: 'acme' };
    t.equal(await appeals.object(whose, appeal('early'), at(90), 10), 'waiting');
    await decide('rev_a', 'ana', 'block');
    t.equal(await appeals.object(whose, appeal('tenant'), at(90), 10), 'reopened');
    t.match(await store.item('rev_a'), { status: 'pending', round: 2, origin: 'appeal', due_at: at(90), resolution: null });
    t.same([await appeals.object(whose, appeal('tenant', 3), at(95), 10), await appeals.object(whose, appeal('user', 4), at(95), 10)], ['waiting', 'waiting']);
    t.same((await appeals.of('rev_a')).map(({ round, author, reason }) => [round, author, reason]), [[1, 'early', 'said by early'], [2, 'tenant', 'said by tenant'], [2, 'user', 'said by user']]);
    t.equal(await store.claim('rev_a', { id: 'ana' }, at(5), at(60)), 'decided', 'others decide');
    t.same((await store.alike('rev_a', 10)).map(({ review_id: id }) => id), ['rev_a'], 'it is looked at by itself');
  });

  t.test(`${name}: so many of a tenant in an hour: within, and beyond`, { skip }, async (t) => {
    const { store, appeals } = await opened(t);
    for (const id of ['a', 'b', 'c', 'd']) await store.add(item(id));
    const object = (id: string, tenant = 'acme', seconds = 2) => appeals.object({ review_id: `rev_${id}`, tenant_id: tenant }, appeal('user', seconds), at(90), 2);
    t.same([await object('a'), await object('b'), await object('c')], ['waiting', 'waiting', 'beyond']);
    t.same(await appeals.of('rev_c'), [], 'and nothing came of it');
    t.equal(await appeals.enter(item('new', { origin: 'appeal' }), appeal('user'), 2), 'beyond');
    t.equal(await store.item('rev_new'), undefined);
    t.same([await object('d', 'other'), await object('c', 'acme', 3602)], ['waiting', 'waiting'], 'another tenant, and another hour');
  });

  t.test(`${name}: what stood by another item stands for itself, and its verdict is what is objected to`, { skip }, async (t) => {
    const { open, store, decide, appeals } = await opened(t);
    const intake = new SqlReviewIntake(open());
    for (const id of ['head', 'one', 'two']) await intake.admit(item(id), [], { openMax: 1, tenantOpenMax: 1 });
    t.equal(await appeals.enter(item('one', { origin: 'appeal' }), appeal('user'), 10), 'entered', 'however full it is');
    t.equal(await appeals.enter(item('one', { origin: 'appeal' }), appeal('user'), 10), 'known');
    t.match(await store.item('rev_head'), { batched: 1 });
    t.same((await intake.batched('rev_head')).map(({ request_id: id }) => id), ['req two']);
    await decide('rev_head', 'ana', 'block');
    t.equal(await appeals.enter(item('two', { origin: 'appeal' }), appeal('user'), 10), 'entered');
    await decide('rev_two', 'bob', 'allow');
    await decide('rev_one', 'bob', 'allow');
    const notices = (await new SqlNoticeStore(open()).claimDue(at(9), at(99), 10)).map(({ notice: { request_id: id, retroactive_action: back } }) => [id, back]);
    t.same(new Map(notices as [string, string][]), new Map<string, string | null>([['req head', 'withdraw'], ['req two', 'reinstate'], ['req one', null]]), 'the tenant had been told to withdraw it');
  });

  t.test(`${name}: many at once: one opens it, and none is lost`, { skip }, async (t) => {
    const { open, store, decide } = await opened(t);
    await store.add(item('a'));
    await decide('rev_a', 'ana', 'block');
    const stores = Array.from({ length: 4 }, () => new SqlAppealStore(open()));
    const outcomes = await Promise.all(Array.from({ length: 12 }, (_, i) => stores[i % 4]!.object({ review_id: 'rev_a', tenant_id: 'acme' }, appeal(`user ${i}`), at(90), 100)));
    t.equal(outcomes.filter((one) => one === 'reopened').length, 1);
    t.match(await store.item('rev_a'), { round: 2, status: 'pending' });
    t.equal((await stores[0]!.of('rev_a')).length, 12);
  });
}

t.test('over both ports: reopened, waiting, entered; of others there is nothing', async (t) => {
  const [ours, theirs] = [generateKey(), generateKey()];
  const house = await openHouse(t, {
    config: { review: { double_blind_percent: 0, appeals_per_hour_max: 10 }, tenants: [{ id: 'heron', policy: 'acme', upstream: 'local', keys: [{ id: 'k', sha256: keyDigest(ours) }] }, { id: 'osprey', policy: 'acme', upstream: 'local', keys: [{ id: 'k', sha256: keyDigest(theirs) }] }] },
    files: { 'acme.yaml': watching('Fileword') },
  });
  const chat = async (text: string, key = ours): Promise<string> => {
    const answer = await ask(`http://127.0.0.1:${house.port}`, '/v1/chat/completions', { method: 'POST', token: key, body: { model: 'm', messages: [{ role: 'user', content: text }] } });
    return String(answer.headers['x-weir-request-id']);
  };
  const [seen, blocked, foreign] = [await chat('an Egret'), await chat('Fileword'), await chat('Fileword', theirs)];
  const call = (method: string, path: string, token: string, body?: object) => ask(house.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  await until(async () => (await call('GET', 'reviews', house.token)).body.items.length === 1, 'the item');
  await until(async () => (await call('GET', 'audit?kind=exchange', house.token)).body.entries.length === 3, 'the entries');
  const [viewer, reviewer, second] = await Promise.all([['viewer', ['tenant-viewer'], ['heron']], ['ana', ['reviewer'], []], ['bob', ['reviewer'], []]].map(([name, roles, tenants]) => tokenFor(house.adminUrl, house.token, name as string, roles as string[], tenants as string[]))) as [string, string, string];
  const object = (requestId: string, more: object = {}, token = viewer) => call('POST', 'appeals', token, { request_id: requestId, reason: 'meant otherwise', ...more });
  const proxied = (requestId: string, key = ours, more: object = {}) => ask(`http://127.0.0.1:${house.port}`, '/weir/v1/appeals', { method: 'POST', token: key, body: { request_id: requestId, reason: 'a user says so', ...more } });

  t.match(await object(seen), { status: 200, body: { outcome: 'waiting', review: { request_id: seen, status: 'pending', appeals: [{ author: 'viewer', reason: 'meant otherwise', round: 1 }] } } });
  const claim = (await call('POST', `reviews/rev_${seen}.input/claim`, reviewer)).body;
  await call('POST', `reviews/rev_${seen}.input/verdict`, reviewer, { fence: claim.fence, resolution: 'block' });
  t.match(await proxied(seen), { status: 200, body: { outcome: 'reopened', review_id: `rev_${seen}.input`, status: 'pending' } }, 'with the key of the tenant');
  t.equal((await call('POST', `reviews/rev_${seen}.input/claim`, reviewer)).status, 409, 'others decide');
  t.match((await call('GET', `reviews/rev_${seen}.input`, second)).body.appeals, [{ author: 'viewer' }, { author: 'tenant heron, key k', reason: 'a user says so', round: 2 }]);

  const { body } = await object(blocked);
  t.match(body, { outcome: 'entered', review: { request_id: blocked, origin: 'appeal', action: 'block', triggered_rules: ['word'], direction: 'input' } }, 'nobody had looked at it');
  const { fence } = (await call('POST', `reviews/rev_${blocked}.input/claim`, second)).body;
  t.match((await call('POST', `reviews/rev_${blocked}.input/verdict`, second, { fence, resolution: 'allow' })).body, { status: 'resolved' });
  t.match((await object(blocked, { direction: 'input' })).body, { outcome: 'reopened' });

  for (const requestId of [foreign, 'none']) {
    t.same([(await object(requestId)).status, (await proxied(requestId)).body.error.code], [404, 'unknown_request'], requestId);
    t.same((await object(requestId)).text.replaceAll(requestId, 'X'), (await object('nobody')).text.replaceAll('nobody', 'X'), 'told apart by nothing');
  }
  t.equal((await object(blocked, { direction: 'output' })).status, 404, 'there was no answer');
  for (const bad of [{ reason: '' }, { reason: 'x'.repeat(4001) }, { reason: 1 }, { direction: 'both' }, { request_id: '' }, { request_id: 'x'.repeat(201) }]) t.same([(await object(seen, bad)).status, (await proxied(seen, ours, bad)).status], [400, 400], JSON.stringify(bad).slice(0, 40));
  t.equal((await object(seen, {}, reviewer)).status, 403, 'it is for tenants and admins');
  t.equal((await proxied(seen, generateKey())).status, 401);
  t.equal((await object(seen, { reason: 'x'.repeat(4000) })).status, 200, 'the longest reason; and the fifth objection');
  t.equal((await call('POST', 'appeals', house.token, { request_id: seen, reason: 'again' })).status, 200);
  for (let i = 0; i < 2; i++) t.equal((await proxied('none')).status, 404, 'what callers ask for in vain counts as well');
  t.match([await object(seen), await proxied(seen)], [{ status: 429, body: { error: { code: 'too_many_appeals' } } }, { status: 429, body: { error: { code: 'rate_limited' } } }]);
  t.equal((await call('POST', 'appeals', house.token, { request_id: foreign, reason: 'of another tenant' })).status, 200);
  const { entries } = (await call('GET', 'audit?kind=review', house.token)).body;
  t.equal(entries.filter(({ change }: Record<string, string>) => change === 'appeal').length, 7);
  t.notMatch(JSON.stringify(entries), /meant otherwise|a user says/, 'what was written is not there');
});
