/**
 * What cannot be undone is done on pages only by who may, and who writes the name once more: policies are retired, kept
 * content is erased. What is refused changes nothing, and says what to do.
 */
import t from 'tap';
import { KEEPER_CHARS_MAX, PARTING_CHARS_MAX } from '../../src/admin/erasures.ts';
import { ask, tokenFor, type Answered } from '../helpers/admin.ts';
import { visit, type Visitor } from '../helpers/console.ts';
import { blocking, freshFolder, openHouse, until, watching, type House } from '../helpers/house.ts';
import { meetKeeper } from '../helpers/keepers.ts';

t.setTimeout(300_000);

const entriesOf = async (house: House, kind: string): Promise<readonly Readonly<Record<string, unknown>>[]> => (await ask(house.adminUrl, `/api/v1/audit?kind=${kind}`, { token: house.token })).body.entries;

t.test('a policy that nobody is under is retired by who writes its name, and the log says who', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const admin = await visit(house.adminUrl, house.token);
  await house.api('PUT', '/spare', blocking('Heron', 'spare'));
  t.match((await admin.get('/policies/spare')).text, /No tenant is under it.*action="\/policies\/spare\/retire"/s);
  for (const confirm of ['', 'Spare', 'acme', 'spare/../acme']) t.match(await admin.post('/policies/spare/retire', { parent: '1', confirm }), { status: 400, text: /write its name, spare.*nothing was changed/ });
  t.match(await admin.post('/policies/spare/retire', { parent: '7', confirm: 'spare' }), { status: 409, text: /newest revision of spare is 1/ });
  t.equal((await house.api('GET', '/spare')).body.number, 1);
  t.match(await admin.post('/policies/spare/retire', { parent: '1', confirm: ' spare ', comment: 'not needed' }), { status: 303, headers: { location: '/policies/spare' } });
  t.match((await house.api('GET', '/spare')).body, { number: 2, source: null, comment: 'not needed' });
  t.match((await entriesOf(house, 'policy_change'))[0], { change: 'retire', policy_id: 'spare', revision: 2, author: 'admin' });
  const shown = (await admin.get('/policies/spare')).text;
  t.match(shown, /It retires the policy, and has no text/);
  t.notMatch(shown, /\/retire"/, 'once');
  t.equal((await admin.post('/policies/spare/retire', { parent: '2', confirm: 'spare' })).status, 404);
});

t.test('a policy stays while a tenant is under it and no file stands behind it', async (t) => {
  const tenants = [{ id: 'default', policy: 'acme', upstream: 'local' }];
  const house = await openHouse(t, { config: { tenants }, files: { 'acme.yaml': blocking('Fileword') } });
  const admin = await visit(house.adminUrl, house.token);
  await house.api('PUT', '/acme', blocking('Heron'));
  t.match((await admin.get('/policies/acme')).text, /The file <code>[^<]*acme\.yaml<\/code> counts from then on, for <code>default<\/code> too/);
  t.equal(await house.chat('Heron'), 400);
  t.equal((await admin.post('/policies/acme/retire', { parent: '1', confirm: 'acme' })).status, 303);
  t.same([await house.chat('Heron'), await house.chat('Fileword')], [200, 400], 'the file counts again');
  const dir = freshFolder(t);
  const before = await openHouse(t, { dir, config: { tenants }, files: { 'acme.yaml': blocking('Fileword') } });
  await before.api('PUT', '/lone', blocking('Heron', 'lone'));
  await before.app.close();
  const stored = await openHouse(t, { dir, config: { tenants: [{ ...tenants[0], policy: 'lone' }] } });
  const other = await visit(stored.adminUrl, stored.token);
  const shown = (await other.get('/policies/lone')).text;
  t.match(shown, /It decides for <code>default<\/code>\. Give them another policy first/);
  t.notMatch(shown, /\/retire"/);
  t.match(await other.post('/policies/lone/retire', { parent: '1', confirm: 'lone' }), { status: 409, text: /1 tenants are under policy lone/ });
  t.equal(await stored.chat('Heron'), 400);
  const reader = await visit(stored.adminUrl, await tokenFor(stored.adminUrl, stored.token, 'reads', ['auditor']));
  t.notMatch((await reader.get('/policies/lone')).text, /Retire/);
  t.equal((await reader.post('/policies/lone/retire', { parent: '1', confirm: 'lone' })).status, 403);
});

t.test('a policy stays while another has it as its shadow or canary', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const admin = await visit(house.adminUrl, house.token);
  await house.api('PUT', '/beside', blocking('Heron', 'beside'));
  await house.api('PUT', '/acme', `${blocking('Fileword')}shadow: beside\n`);
  t.match(await admin.post('/policies/beside/retire', { parent: '1', confirm: 'beside' }), { status: 409, text: /shadow or canary of acme/ });
  await house.api('PUT', '/acme?parent=1', `${blocking('Fileword')}canary: { policy: beside, share: 5% }\n`);
  t.match(await admin.post('/policies/beside/retire', { parent: '1', confirm: 'beside' }), { status: 409, text: /shadow or canary of acme/ });
  await house.api('PUT', '/acme?parent=2', blocking('Fileword'));
  t.equal((await admin.post('/policies/beside/retire', { parent: '1', confirm: 'beside' })).status, 303);
});

async function keeping(t: Parameters<typeof openHouse>[0]): Promise<{ readonly house: House; readonly admin: Visitor; readonly requests: readonly string[] }> {
  const house = await openHouse(t, { config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }] }, files: { 'acme.yaml': blocking('Fileword') } });
  for (const session of ['s-1', 's-1', 's-2']) await house.chat('hello', { 'x-weir-session-id': session });
  await until(async () => (await entriesOf(house, 'exchange')).length === 3, 'the exchanges');
  return { house, admin: await visit(house.adminUrl, house.token), requests: (await entriesOf(house, 'exchange')).map((entry) => String(entry['request_id'])) };
}

t.test('kept content is erased for who names its tenant twice and one thing of it', async (t) => {
  const { house, admin, requests } = await keeping(t);
  t.match(await admin.get('/audit/erasures'), { status: 200, text: /Nothing was erased\..*Erase it for good/s });
  const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ of: 'default', scope: 'request_id', value: requests[0]!, confirm: '' }, /two names differ/], [{ of: 'default', scope: 'request_id', value: requests[0]!, confirm: 'Default' }, /two names differ/],
    [{ of: 'default', scope: 'request_id', value: '', confirm: 'default' }, /Say which/], [{ of: 'default', scope: 'all', value: 's-1', confirm: 'default' }, /choose one/],
    [{ of: '', scope: 'all', value: '', confirm: '' }, /Name a tenant/], [{ of: 'default', scope: 'everything', value: 'x', confirm: 'default' }, /choose what/], [{ of: '../etc', scope: 'all', value: '', confirm: '../etc' }, /Name a tenant/],
    [{ of: 'default', scope: 'before', value: 'yesterday', confirm: 'default' }, /./],
  ];
  for (const [fields, text] of wrong) t.match(await admin.post('/audit/erasures', fields), { status: 400, text }, JSON.stringify(fields));
  t.same(await entriesOf(house, 'erasure'), [], 'nothing was erased');
  t.match(await admin.post('/audit/erasures', { of: 'default', scope: 'session_id', value: 's-1', confirm: 'default' }), { status: 200, text: /role="status">The keys of 2 exchanges are destroyed/ });
  t.match((await admin.get('/audit/erasures')).text, /<td>admin<\/td><td>default<\/td><td>session <code>s-1<\/code><\/td><td class="number">2<\/td>/);
  t.match(await admin.post('/audit/erasures', { of: 'default', scope: 'all', value: '', confirm: 'default' }), { status: 200, text: /The keys of 1 exchange are destroyed/ });
  await until(async () => /In every process.*all of the tenant.*<span class="badge a-allow">nobody<\/span>.*session <code>s-1<\/code>/s.test((await admin.get('/audit/erasures?tenant=default')).text), 'every process has carried it out');
  t.match((await admin.get('/audit/erasures?tenant=nobody')).text, /Nothing was erased of this tenant/);
  t.equal((await entriesOf(house, 'erasure')).length, 2);
});

t.test('a process that is gone with what it kept is waited for no more', async (t) => {
  const { house, admin } = await keeping(t);
  await meetKeeper(house.dir, 'folder-1', 'eu/gone');
  await meetKeeper(house.dir, 'folder-2', 'eu/here', 0);
  await admin.post('/audit/erasures', { of: 'default', scope: 'session_id', value: 's-1', confirm: 'default' });
  const page = '/audit/erasures?tenant=default';
  t.match((await admin.get(page)).text, /A process is gone for good.*<option value="folder-1">eu\/gone, seen/s);
  const say = (keeper: string, reason: string) => admin.post('/audit/erasures/gone', { tenant: 'default', keeper, reason });
  const wrong: readonly (readonly [string, string, number, RegExp])[] = [
    ['folder-1', '', 400, /reason is a text/], ['folder-1', 'x'.repeat(PARTING_CHARS_MAX + 1), 400, /at most 1000/], ['', 'why', 400, /keeper is a text/], ['x'.repeat(KEEPER_CHARS_MAX + 1), 'why', 400, /at most 300/],
    ['x'.repeat(KEEPER_CHARS_MAX), 'why', 404, /no such process/], ['folder-2', 'why', 409, /seen in the last ten minutes/],
  ];
  for (const [keeper, reason, status, text] of wrong) t.match(await say(keeper, reason), { status, text }, String(text));
  t.same(await entriesOf(house, 'keeper_gone'), [], 'nothing was said');
  const reason = `its disk is gone${'.'.repeat(PARTING_CHARS_MAX - 16)}`;
  t.match(await say('folder-1', reason), { status: 200, text: /wait for it no more.*gone: <code>eu\/gone<\/code>/s });
  t.notMatch((await admin.get(page)).text, /value="folder-1"/);
  t.match(await entriesOf(house, 'keeper_gone'), [{ author: 'admin', keeper: 'folder-1', log: 'eu/gone', waiting: 1, reason }]);
  const auditor = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'looks', ['auditor']));
  t.notMatch((await auditor.get(page)).text, /A process is gone/);
  t.equal((await auditor.post('/audit/erasures/gone', { tenant: 'default', keeper: 'folder-2', reason: 'x' })).status, 403);
});

t.test('erasing is for admins', async (t) => {
  const { house } = await keeping(t);
  const auditor = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'looks', ['auditor']));
  t.notMatch((await auditor.get('/audit/erasures')).text, /Erase it/);
  t.equal((await auditor.post('/audit/erasures', { of: 'default', scope: 'all', confirm: 'default' })).status, 403);
  t.same(await entriesOf(house, 'erasure'), []);
});

const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '\u202Egnp.exe\u202C', '\u001B[31mred', '</pre><script>alert(2)</script>', '\u2028\u200B', '&lt;b&gt;', 'x'.repeat(3_000)];

t.test('what callers and people wrote is shown in reviews, comparisons and erasures, and does nothing', async (t) => {
  const house = await openHouse(t, {
    config: { review: { double_blind_percent: 0 }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }] }, files: { 'acme.yaml': watching('Fileword') },
  });
  const admin = await visit(house.adminUrl, house.token);
  const isHarmless = ({ status, text }: Answered, what: string): void => {
    t.ok(status < 500, `${what}: ${status}`);
    t.notMatch(text, /<script(?! src="\/assets\/)|<img/i, what);
    t.notMatch(text.replace(/<(?:textarea|input)[\s\S]*?>(?:[\s\S]*?<\/textarea>)?/g, ''), /[\u202A-\u202E\u2028\u001B\u200B]/, what);
  };
  for (const text of HOSTILE) await house.chat(`an Egret ${text}`);
  const items = async (): Promise<readonly { readonly review_id: string }[]> => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items;
  await until(async () => (await items()).length === HOSTILE.length, 'the items');
  for (const [index, { review_id: id }] of (await items()).entries()) {
    const written = HOSTILE[index]!;
    const open = await admin.get(`/review/${id}?open=1`);
    t.match(open.text, /<details open>.*an <mark title=\"\w+\">Egret<span class=\"sr\"> \(\w+\)<\/span><\/mark> /s);
    isHarmless(open, `the text of ${id}`);
    const { fence } = (await ask(house.adminUrl, `/api/v1/reviews/${id}/claim`, { method: 'POST', token: house.token })).body;
    isHarmless(await admin.post(`/review/${id}/verdict`, { fence: String(fence), resolution: 'allow', categories: written, notes: written }), 'a verdict');
    await ask(house.adminUrl, `/api/v1/reviews/${id}/verdict`, { method: 'POST', token: house.token, body: { fence, resolution: 'allow', notes: written } });
    isHarmless(await admin.get(`/review/${id}`), 'its notes');
    isHarmless(await admin.get(`/review?status=${encodeURIComponent(written.slice(0, 100))}`), 'a filter');
    isHarmless(await admin.post('/audit/erasures', { of: 'default', scope: 'session_id', value: written.slice(0, 300), confirm: 'default' }), 'an erasure');
    isHarmless(await admin.post('/audit/erasures', { of: written.slice(0, 100), scope: written.slice(0, 100), value: written.slice(0, 300), confirm: written.slice(0, 100) }), 'a wrong erasure');
    isHarmless(await admin.get('/audit/erasures'), 'erasures');
    isHarmless(await admin.post('/playground/compare', { left: 'acme', right: 'acme', direction: 'output', tenant: written.slice(0, 60), text: `${written} ana@example.com` }), 'a comparison');
    isHarmless(await admin.get(`/playground/compare?left=${encodeURIComponent(written.slice(0, 60))}&left_revision=${encodeURIComponent(written.slice(0, 60))}`), 'its form');
    isHarmless(await admin.post('/me', { not: written.slice(0, 60), minutes: written.slice(0, 60), items: '<b>' }), 'settings');
    isHarmless(await admin.post('/policies/acme/retire', { parent: written.slice(0, 20), confirm: written }), 'a retirement');
    isHarmless(await admin.get(`/?since=${encodeURIComponent(written.slice(0, 60))}&tenant=${encodeURIComponent(written.slice(0, 60))}&direction=x&live=%3Cb%3E`), 'the overview');
    for (const path of ['/review', '/policies/acme/beside', '/classifiers/none', '/me', '/']) isHarmless(await admin.get(path), path);
  }
});
