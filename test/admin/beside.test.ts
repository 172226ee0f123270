/** A shadow and a canary in a running Weir: what the records tell of them over the API, and side by side on the page. */
import t from 'tap';
import { ask, tokenFor } from '../helpers/admin.ts';
import { visit } from '../helpers/console.ts';
import { blocking, openHouse, until } from '../helpers/house.ts';

t.setTimeout(300_000);

t.test('what the shadow would have decided stands beside what was decided', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': `${blocking('Heron')}shadow: stricter\n`, 'stricter.yaml': blocking('Egret', 'stricter') } });
  for (const text of ['a Heron', 'an Egret', 'nothing', 'nothing']) await house.chat(text);
  const read = async () => (await ask(house.adminUrl, '/api/v1/policies/acme/beside', { token: house.token })).body;
  await until(async () => (await read()).exchanges === 4, 'the records');
  const found = await read();
  t.match(found, { policy: /^acme@/, shadow_of: 'stricter', canary_of: null, canary: null, shadow: [{ shadow: /^stricter@/ }] });
  const cells = Object.fromEntries(found.shadow[0].actions.map(({ action, shadow_action: other, count }: Record<string, unknown>) => [`${String(action)} ${String(other)}`, count]));
  t.match(cells, { 'block allow': 1, 'allow block': 1 });
  t.equal(found.shadow[0].decisions - found.shadow[0].same, 2);
  const admin = await visit(house.adminUrl, house.token);
  const { text } = await admin.get('/policies/acme/beside');
  t.match(text, /they agree [\d,]+ times.*a-block">block<\/span><\/td><td><span class="badge a-allow">allow<\/span> <span class="quiet">differs.*href="\/exchanges\?request_id=/s);
  t.match((await admin.get('/policies/acme')).text, /href="\/policies\/acme\/beside"/);
  t.match(await admin.get('/policies/stricter/beside'), { status: 200, text: /It has none\. With/ });
  t.match(await admin.get('/policies/nobody/beside'), { status: 404, text: /no policy nobody counts here/ });
  t.match((await ask(house.adminUrl, '/api/v1/policies/acme/beside?since=2100-01-01T00:00:00Z', { token: house.token })).body, { exchanges: 0, shadow: [] });
  t.match((await ask(house.adminUrl, '/api/v1/policies/acme/beside?limit=1', { token: house.token })).body, { exchanges: 1 });
  for (const [limit, status] of [[1, 200], [50_000, 200], [0, 400], [50_001, 400]] as const) t.equal((await ask(house.adminUrl, `/api/v1/policies/acme/beside?limit=${limit}`, { token: house.token })).status, status, `${limit}`);
  const viewer = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'theirs', ['tenant-viewer'], ['default']));
  t.equal((await viewer.get('/policies/acme/beside')).status, 403);
});

t.test('a canary has its own column, its interval, and both policies on the same records', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': `${blocking('Heron')}canary: { policy: bold, share: 50% }\n`, 'bold.yaml': blocking('Egret', 'bold') } });
  for (let i = 0; i < 40; i++) await house.chat('a Heron', { 'x-weir-session-id': `s-${i}` });
  const read = async () => (await ask(house.adminUrl, '/api/v1/policies/acme/beside', { token: house.token })).body;
  await until(async () => (await read()).exchanges === 40, 'the records');
  const { canary: { own, canary, again, configured_share: share } } = await read();
  t.same([share, own.policy, canary.policy, own.exchanges + canary.exchanges], [0.5, 'acme', 'bold', 40]);
  t.ok(own.exchanges > 0 && canary.exchanges > 0, `${own.exchanges} and ${canary.exchanges}`);
  t.same([own.acted.share, canary.acted.share], [1, 0], 'each decided by its own');
  t.equal(again.decisions, again.same + again.changed + again.not_comparable);
  t.match((await (await visit(house.adminUrl, house.token)).get('/policies/acme/beside')).text, /decides for 50\.0 % of sessions.*They act on different shares.*Both on the same records/s);
});
