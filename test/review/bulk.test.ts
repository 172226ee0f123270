/**
 * One verdict over many items: over SQLite and a real Postgres what is decided and what is left out, over the API with
 * its limit and its entries, and in a terminal.
 */
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { review } from '../../src/cli/review.ts';
import { WeirError } from '../../src/contract/errors.ts';
import { BULK_ITEMS_MAX, resolveAll, type BulkVerdict } from '../../src/review/bulk.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { visit } from '../helpers/console.ts';
import { openHouse, until, watching, type House } from '../helpers/house.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();
const verdict: BulkVerdict = { resolution: 'block', categories: ['hate'], notes: 'all of one campaign', reviewer: { id: 'ana' }, now: at(10), until: at(70) };

function item(id: string, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: ['b', 'a'], classifier_results: [],
    action: 'escalate', double_blind: false, created_at: at(0), due_at: at(60), hold_until: null, hold_then: null, ...more,
  };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  const opened = async (t: Test): Promise<SqlReviewStore> => new SqlReviewStore((await place(t)).database!());

  t.test(`${name}: alike is of one tenant, direction, origin, severity and rules, whatever the policy's revision`, { skip }, async (t) => {
    const store = await opened(t);
    await store.add(item('a'));
    await store.add(item('b', { triggered_rules: ['a', 'b'], policy: 'p@2', due_at: at(30) }));
    for (const [id, more] of [['t', { tenant_id: 'other' }], ['d', { direction: 'output' }], ['o', { origin: 'uncertain' }], ['s', { severity: 'high' }], ['r', { triggered_rules: ['a'] }], ['n', { near_rules: ['c'] }]] as const) await store.add(item(id, more as Partial<NewReviewItem>));
    const ids = async (limit = 10) => (await store.alike('rev_a', limit)).map(({ review_id: id }) => id);
    t.same(await ids(), ['rev_b', 'rev_a'], 'the most urgent first');
    t.same(await ids(1), ['rev_b']);
    await resolveAll(store, ['rev_a'], verdict, async () => undefined);
    t.same(await ids(), ['rev_b'], 'what is decided waits no more, and still tells what is alike');
    t.same(await store.alike('rev_none', 10), []);
  });

  t.test(`${name}: what one may decide is decided, each by itself; the rest is left out and said`, { skip }, async (t) => {
    const store = await opened(t);
    for (const id of ['a', 'b', 'mine', 'hers', 'gone', 'before']) await store.add(item(id));
    await store.add(item('blind', { double_blind: true }));
    await store.add(item('foreign', { tenant_id: 'other' }));
    await store.claim('rev_mine', { id: 'ana' }, at(1), at(70));
    const hers = await store.claim('rev_hers', { id: 'bob' }, at(1), at(70)) as Claim;
    const gone = await store.claim('rev_gone', { id: 'bob' }, at(1), at(70)) as Claim;
    await store.decide('rev_gone', gone.fence, { reviewer_id: 'bob', resolution: 'allow', categories: [], notes: '', created_at: at(2) }, standingOf);
    await resolveAll(store, ['rev_before'], verdict, async () => undefined);
    await store.reopen('rev_before', at(99));
    const told: string[] = [];
    const results = await resolveAll(store, ['rev_a', 'rev_blind', 'rev_hers', 'rev_mine', 'rev_gone', 'rev_before', 'rev_none', 'rev_foreign', 'rev_b', 'rev_a'], { ...verdict, reviewer: { id: 'ana', tenants: ['acme'] } }, async ({ review_id: id }) => void told.push(id));
    t.same(results.map(({ review_id: id, outcome }) => [id.slice(4), outcome]), [['a', 'resolved'], ['blind', 'double_blind'], ['hers', 'claimed'], ['mine', 'resolved'], ['gone', 'claimed'], ['before', 'decided'], ['none', 'none'], ['foreign', 'none'], ['b', 'resolved']]);
    t.same(told, ['rev_a', 'rev_mine', 'rev_b']);
    t.match(await store.verdicts('rev_a'), [{ reviewer_id: 'ana', resolution: 'block', categories: ['hate'], notes: 'all of one campaign' }]);
    t.match([await store.item('rev_blind'), await store.item('rev_hers')], [{ status: 'pending', reviewer_id: null }, { status: 'in_review', reviewer_id: 'bob' }]);
    t.match(await store.decide('rev_hers', hers.fence, { reviewer_id: 'bob', resolution: 'allow', categories: [], notes: '', created_at: at(20) }, standingOf), { resolution: 'allow' }, 'hers is not touched');
  });

  t.test(`${name}: two at once over the same items: each is decided once`, { skip }, async (t) => {
    const open = (await place(t)).database!;
    const [one, other] = [new SqlReviewStore(open()), new SqlReviewStore(open())];
    const ids = Array.from({ length: 30 }, (_, i) => `rev_${i}`);
    for (const id of ids) await one.add(item(id.slice(4)));
    const both = await Promise.all([resolveAll(one, ids, verdict, async () => undefined), resolveAll(other, [...ids].reverse(), { ...verdict, reviewer: { id: 'bob' }, resolution: 'allow' }, async () => undefined)]);
    t.equal(both.flat().filter(({ outcome }) => outcome === 'resolved').length, 30);
    t.ok(both.flat().every(({ outcome }) => outcome === 'resolved' || outcome === 'claimed'));
    for (const id of ids) t.equal((await one.verdicts(id)).length, 1);
  });

  t.test(`${name}: where the store fails, what came before stands and what comes after is said not to be reached`, { skip }, async (t) => {
    const store = await opened(t);
    for (const id of ['a', 'b', 'c']) await store.add(item(id));
    let decisions = 0;
    const failing = { item: store.item.bind(store), claim: store.claim.bind(store), decide: (...args: Parameters<SqlReviewStore['decide']>) => (++decisions === 2 ? Promise.reject(new WeirError('store_unavailable')) : store.decide(...args)) };
    t.same((await resolveAll(failing, ['rev_a', 'rev_b', 'rev_c'], verdict, async () => undefined)).map(({ outcome }) => outcome), ['resolved', 'not_reached', 'not_reached']);
    t.match([await store.item('rev_a'), await store.item('rev_c')], [{ status: 'resolved' }, { status: 'pending' }]);
    await t.rejects(resolveAll(store, ['rev_c'], verdict, async () => { throw new TypeError('a fault of ours'); }), TypeError);
  });
}

async function furnished(t: Test, count: number): Promise<{ readonly house: House; readonly ids: readonly string[] }> {
  const house = await openHouse(t, { config: { review: { double_blind_percent: 0 } }, files: { 'acme.yaml': watching('Fileword') } });
  for (let i = 0; i < count; i++) t.equal(await house.chat('an Egret'), 200);
  const items = async (): Promise<readonly { readonly review_id: string }[]> => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items;
  await until(async () => (await items()).length === count, 'the items');
  return { house, ids: (await items()).map(({ review_id: id }) => id) };
}

const post = (house: House, body: object, token = house.token) => ask(house.adminUrl, '/api/v1/reviews/resolve', { method: 'POST', token, body });

t.test('over the API: each with its entry, its result and its undoing; its limit', async (t) => {
  const { house, ids } = await furnished(t, 4);
  t.equal((await ask(house.adminUrl, `/api/v1/reviews/${ids[0]}`, { token: house.token })).body.alike, 3);
  const bob = await tokenFor(house.adminUrl, house.token, 'bob', ['reviewer']);
  await ask(house.adminUrl, `/api/v1/reviews/${ids[3]}/claim`, { method: 'POST', token: bob });
  for (const body of [{}, { resolution: 'allow' }, { resolution: 'allow', ids: [] }, { resolution: 'allow', ids: [1] }, { resolution: 'allow', ids: ['a'], like: 'a' }, { resolution: 'no', like: ids[0] }, { resolution: 'allow', ids: 'a' }]) t.equal((await post(house, body)).status, 400, JSON.stringify(body));
  t.equal((await post(house, { resolution: 'allow', like: 'rev_none' })).status, 404);
  const names = (count: number) => Array.from({ length: count }, (_, i) => `rev_${i}`);
  t.match(await post(house, { resolution: 'allow', ids: names(BULK_ITEMS_MAX) }), { status: 200, body: { resolved: 0, more: false } }, 'within');
  t.match(await post(house, { resolution: 'allow', ids: names(BULK_ITEMS_MAX + 1) }), { status: 400, body: { error: { message: /201 ids, the limit is 200/ } } }, 'beyond');
  const { body } = await post(house, { resolution: 'block', like: ids[0], categories: ['hate'], notes: 'a secret note' });
  t.same([body.resolved, body.more], [3, false]);
  t.match(body.results.find(({ review_id: id }: Record<string, string>) => id === ids[3]), { outcome: 'claimed', resolution: null });
  const { body: { entries } } = await ask(house.adminUrl, '/api/v1/audit?kind=review', { token: house.token });
  t.same(entries.map(({ review_id: id }: Record<string, string>) => id).sort(), ids.slice(0, 3).sort());
  t.notMatch(JSON.stringify(entries), /secret note/);
  const viewer = await tokenFor(house.adminUrl, house.token, 'viewer', ['tenant-viewer'], ['default']);
  t.equal((await post(house, { resolution: 'allow', ids }, viewer)).status, 403);
  t.match(await ask(house.adminUrl, `/api/v1/reviews/${ids[0]}/appeal`, { method: 'POST', token: viewer, body: { reason: 'a mistake' } }), { body: { status: 'pending', round: 2 } });
});

t.test('more alike than the limit: the most urgent first, and that there are more', async (t) => {
  const { house, ids } = await furnished(t, 1);
  await house.app.close();
  const database = openSqliteDatabase(join(house.dir, 'data/weir.db'));
  t.teardown(() => database.close());
  const store = new SqlReviewStore(database);
  const { status: _, ...first } = (await store.item(ids[0]!))!;
  for (let i = 0; i < BULK_ITEMS_MAX; i++) await store.add({ ...first, review_id: `rev_${i}`, request_id: `r${i}`, due_at: '2020-01-01T00:00:00.000Z' });
  const lines: string[] = [];
  const io = { stdout: (text: string) => void lines.push(text), stderr: (text: string) => void lines.push(text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  const call = (...args: readonly string[]) => review.run([...args, '--config', join(house.dir, 'weir.yaml')], io);
  t.equal(await call('resolve', '--all-like', ids[0]!, 'allow', '--notes', 'seen', '--json'), 0);
  const { results, more } = JSON.parse(lines[0]!) as { readonly results: readonly { readonly review_id: string }[]; readonly more: boolean };
  t.same([results.length, more], [BULK_ITEMS_MAX, true]);
  t.notOk(results.some(({ review_id: id }) => id === ids[0]), 'it is the least urgent');
  t.match(lines[1], /more are alike/);
  t.equal(await call('resolve', '--all-like', ids[0]!, 'allow'), 0);
  t.match(lines[2], /^id +came to\nrev_\S+ +allow\n$/);
  t.equal(await call('resolve', '--all-like', ids[0]!, 'allow'), 0);
  t.match(lines[3], /nothing alike waits/);
  t.equal(await call('resolve', '--all-like', 'rev_none', 'allow'), 1);
  await t.rejects(call('resolve', '--all-like', ids[0]!), { message: /takes one item and allow/ });
  await t.rejects(call('resolve', '--all-like', ids[0]!, 'rev_1', 'allow'), { message: /takes one item/ });
});

t.test('on the console: with the verdict on one', async (t) => {
  const { house, ids } = await furnished(t, 3);
  const visitor = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'ana', ['reviewer']));
  const { headers } = await visitor.post(`/review/${ids[0]}/claim`, {});
  const { text } = await visitor.get(String(headers['location']));
  t.match(text, /And 2 alike that wait/);
  const fence = /name="fence" value="(\d+)"/.exec(text)![1]!;
  const done = await visitor.post(`/review/${ids[0]}/verdict`, { fence, resolution: 'allow', alike: 'all', notes: 'seen' });
  t.equal(done.status, 200);
  t.match(done.text, /3 items are decided\./);
  t.match((await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.waiting, { low: 0 });
});
