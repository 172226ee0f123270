/**
 * The pages of the console of a running Weir over HTTP: for whom each is, what they say to others, that a form without
 * the proof of its session changes nothing, and that what others wrote is shown and does nothing.
 */
import t from 'tap';
import { createPages } from '../../src/console/pages.ts';
import { NAV } from '../../src/console/layout.ts';
import { PEOPLE_ROLES, ROLES, type Role } from '../../src/contract/people.ts';
import { ADMIN_ROUTES } from '../../src/admin/server.ts';
import { NAMES_TAKEN } from '../../src/config/risk.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { sendForm, visit, type Visitor } from '../helpers/console.ts';
import { blocking, openHouse, until, watching, type House } from '../helpers/house.ts';
import { trainedModels } from '../helpers/models.ts';

t.setTimeout(300_000);

const { routes } = createPages({ hasProvider: false, keys: async () => [] });
const EVERYWHERE = ['open', 'people'];

async function furnished(t: Parameters<typeof openHouse>[0]): Promise<{ readonly house: House; readonly index: number; readonly review: string }> {
  const house = await openHouse(t, { config: { review: { double_blind_percent: 0 }, risk: { campaigns: [{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }] }] } }, files: { 'acme.yaml': watching('Fileword') } });
  await house.chat('Heron and Egret');
  await house.api('PUT', '/acme', blocking('Heron'));
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  await house.chat('Osprey');
  const exchanges = async (): Promise<readonly { readonly index: number }[]> => (await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token })).body.entries;
  await until(async () => (await exchanges()).length === 2, 'the exchanges on disk');
  const reviews = async (): Promise<readonly { readonly review_id: string }[]> => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items;
  await until(async () => (await reviews()).length === 1, 'the review');
  return { house, index: (await exchanges())[0]!.index, review: (await reviews())[0]!.review_id };
}

async function visitors(house: House): Promise<Readonly<Record<string, Visitor>>> {
  return Object.fromEntries(await Promise.all(PEOPLE_ROLES.map(async (role) => [role, await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, `a-${role}`, [role], role === 'tenant-viewer' ? ['default'] : []))] as const)));
}

t.test('each page stands on a route of the API', async (t) => {
  const known = [...EVERYWHERE, ...ADMIN_ROUTES.map(({ name }) => name)];
  t.same(routes.filter(({ needs }) => !known.includes(needs)), []);
  t.same(NAV.filter(({ path, needs }) => !routes.some((page) => page.method === 'GET' && page.path === path && (page.needs === needs || page.needs === 'people'))), [], 'and each way leads to one');
  t.equal(new Set(NAV.map(({ key }) => key)).size, NAV.length, 'by a key of its own');
});

t.test('no page lies where that of a campaign would', (t) => {
  const names = routes.flatMap(({ path }) => /^\/risk\/([a-z]+)/.exec(path)?.[1] ?? []);
  t.same([...new Set(names)].sort(), [...NAMES_TAKEN].sort());
  t.end();
});

t.test('each role gets the pages whose API it has', async (t) => {
  const { house, index, review } = await furnished(t);
  const trained = trainedModels(house.dir);
  t.teardown(() => trained.close());
  const paths: Readonly<Record<string, string>> = { '/exchanges/:index': `/exchanges/${index}`, '/policies/:id': '/policies/acme', '/policies/:id/diff': '/policies/acme/diff', '/classifiers/:id': '/classifiers/toxicity', '/policies/:id/beside': '/policies/acme/beside', '/policies/:id/edit': '/policies/acme/edit', '/new-policy': '/new-policy?id=other', '/tenants/:tenant': '/tenants/default', '/review/:id': `/review/${review}`, '/review/:id/wait': `/review/${review}/wait`, '/risk/:id': '/risk/q', '/risk/:id/report': '/risk/q/report', '/learn/:id': `/learn/${await trained.fresh()}`, '/learn/history/:id': '/learn/history/prompt-injection' };
  const all = await visitors(house);
  for (const { method, path, needs } of routes.filter((page) => page.method === 'GET' && page.needs !== 'open')) {
    const at = paths[path] ?? path;
    t.notMatch(at, /:/, `${path} is visited`);
    const access = needs === 'people' ? PEOPLE_ROLES : (ADMIN_ROUTES.find(({ name }) => name === needs)!.access as readonly Role[]);
    for (const role of PEOPLE_ROLES) {
      const { status, headers, text } = await all[role]!.get(at);
      const isHomeless = path === '/' && !['admin', 'auditor', 'tenant-viewer'].includes(role);
      t.equal(status, !access.includes(role) ? 403 : isHomeless ? 303 : 200, `${role} ${method} ${at}`);
      if (isHomeless) continue;
      t.match(headers['content-security-policy'], /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/);
      t.match(headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'same-origin', 'content-type': 'text/html; charset=utf-8' });
      t.notMatch(text, /<script(?! src=)|<style| style=| on\w+="/i, 'nothing is written into a page that runs');
      if (status === 200) t.match(text, /<footer><a href="\/api\/v1\//, 'where the same is as JSON');
    }
    const stranger = await ask(house.adminUrl, at, { headers: { accept: 'text/html' } });
    t.same([stranger.status, stranger.headers.location], [303, at === '/' ? '/login' : `/login?next=${encodeURIComponent(at)}`], 'who is not logged in is led to it');
  }
  const machine = await tokenFor(house.adminUrl, house.token, 'sidecar', ['shipper']);
  t.equal((await ask(house.adminUrl, '/policies', { token: machine })).status, 403, 'a machine has no pages');
  t.equal((await sendForm(house.adminUrl, '/login', { token: machine })).status, 401);
  t.equal(ROLES.length, PEOPLE_ROLES.length + 1);
});

t.test('a form without the proof of its session changes nothing', async (t) => {
  const { house } = await furnished(t);
  const admin = await visit(house.adminUrl, house.token);
  const forms: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['/policies/acme/edit', { text: blocking('Kite'), parent: '2', comment: '', do: 'store' }], ['/policies/acme/rollback', { revision: '1', parent: '2' }], ['/policies/acme/retire', { parent: '2', confirm: 'acme' }], ['/audit/erasures', { of: 'default', scope: 'all', confirm: 'default' }], ['/playground', { policy: 'acme', direction: 'input', text: 'Osprey' }],
    ['/tenants/default/keys', { name: 'x' }], ['/settings/tokens', { name: 'x', role: 'auditor' }], ['/settings/sessions/ses_0000000000000000/revoke', {}], ['/settings/tokens/tok_0000000000000000/revoke', {}], ['/tenants/default/keys/k/revoke', {}], ['/logout', {}],
    ['/audit/erasures/gone', { keeper: 'x', reason: 'x' }], ['/learn/rollback', { plugin: 'toxicity', confirm: 'toxicity' }], ['/learn/x/promote', { confirm: 'x' }], ['/learn/x/shadow', { share: '1' }], ['/learn/x/retire', { gone: 'x' }],
    ['/playground/compare', { left: 'acme', right: 'acme', text: 'x' }], ['/me', { cover: 'yes' }], ['/me/break', { take: 'true' }],
    ['/risk/q/report', {}], ['/risk/q/report/correct', { reason: 'x' }],
    ['/review/next', {}], ['/review/rev_x/claim', {}], ['/review/rev_x/verdict', { fence: '1', resolution: 'allow' }], ['/review/rev_x/release', { fence: '1' }], ['/review/rev_x/appeal', { reason: 'x' }], ['/appeals', { request_id: 'x', reason: 'x' }],
    ['/risk/annotate/next', {}], ['/risk/annotate/label', { annotation: 'x', label: 'safe' }], ['/risk/annotate/skip', { annotation: 'x', reason: 'unwilling' }], ['/risk/annotate/undo', {}], ['/risk/annotate/release', {}],
    ['/risk/disputes/next', {}], ['/risk/disputes/label', { annotation: 'x', label: 'safe' }], ['/risk/disputes/skip', { annotation: 'x', reason: 'unwilling' }], ['/risk/annotators/pause', { annotator: 'x', reason: 'x' }], ['/risk/annotators/resume', { annotator: 'x', reason: 'x' }],
    ['/risk/calibration/add', { text: 'x', label: 'safe' }], ['/risk/calibration/candidates/x', {}], ['/risk/calibration/items/x/text', {}], ['/risk/calibration/items/x/retire', {}],
  ];
  t.same(routes.filter(({ method, needs }) => method === 'POST' && needs !== 'open').map(({ path }) => path).length, forms.length, 'every form');
  const count = async (): Promise<number> => (await ask(house.adminUrl, '/api/v1/audit', { token: house.token })).body.entries.length as number;
  const before = await count();
  for (const [path, fields] of forms) {
    for (const csrf of ['', 'x', 'A'.repeat(43)]) t.match(await admin.post(path, { ...fields, csrf }), { status: 403, text: /not one that this session was given/ }, `${path} ${csrf}`);
    t.equal((await sendForm(house.adminUrl, path, fields, { cookie: admin.cookie })).status, 403, `${path} without the field`);
    for (const headers of [{ 'origin': 'https://evil.example', 'sec-fetch-site': 'cross-site' }, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }] as readonly Record<string, string>[]) t.equal((await admin.post(path, fields, headers)).status, 403, `${path} from elsewhere`);
    t.match(await sendForm(house.adminUrl, path, fields), { status: 303, headers: { location: /^\/login/ } }, 'nobody');
    t.equal((await admin.post(path, fields, { 'content-type': 'text/plain' })).status, 415, 'nor as what a page elsewhere may send unasked');
  }
  t.equal(await count(), before, 'nothing was written');
  t.match(await admin.get('/settings'), { status: 200 }, 'and the session goes on');
  t.equal((await admin.post('/logout', {})).status, 303);
  t.equal((await admin.get('/settings')).status, 303, 'until it ends');
});

t.test('the way in leads to where one wanted to go, and to no other house', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const { adminUrl, token } = house;
  const into = async (next: string): Promise<string> => String((await sendForm(adminUrl, '/login', { token, next })).headers.location);
  for (const next of ['/policies', '/exchanges?action=block&rule=a', '/exchanges/7?proof=1']) t.equal(await into(next), next);
  for (const next of ['', 'https://evil.example/', '//evil.example', '/\\evil.example', '/a\\b', 'javascript:alert(1)', '/x\r\nset-cookie: a=b', '/ü', '/login?next=/login', '/logout', '/api/v1/login', ` /policies`, `/${'x'.repeat(3_000)}`]) t.equal(await into(next), '/', next.slice(0, 40));
  t.match(await ask(adminUrl, '/login?next=%2Fpolicies%22%3E%3Cscript%3E'), { status: 200, text: /name="next" value="\/policies&quot;&gt;&lt;script&gt;"/ });
  const wrong = await sendForm(adminUrl, '/login', { token: `weir_admin_${'x'.repeat(43)}`, next: '/policies' });
  t.match(wrong, { status: 401, text: /role="alert".*opens nothing/s, headers: { 'set-cookie': undefined } });
  t.notMatch(wrong.text, /x{43}/, 'the token is in no page');
  const follow = (site: string) => ask(adminUrl, '/exchanges?rule=a&action=block', { headers: { 'accept': 'text/html', 'sec-fetch-site': site } });
  t.match(await follow('cross-site'), { status: 200, text: /http-equiv="refresh" content="0;url=\/exchanges\?rule=a&amp;action=block"/ }, 'a link of another site comes without the cookie, and once more with it');
  t.equal((await follow('same-origin')).status, 303, 'once');
  t.equal((await sendForm(adminUrl, '/login', { token }, { headers: { 'origin': 'https://evil.example', 'sec-fetch-site': 'cross-site' } })).status, 403, 'nobody is logged in from elsewhere');
});

const HOSTILE = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'onmouseover='alert(1)", '\u202Egnp.exe\u202C', '\u001B[31mred\u001B[0m', '&lt;b&gt;', '</textarea><script>alert(2)</script>', '\u2028\u2029\u0000\u200B', 'x'.repeat(100_000)];

t.test('what others wrote is shown, and does nothing', async (t) => {
  const { house } = await furnished(t);
  const admin = await visit(house.adminUrl, house.token);
  const isHarmless = (text: string, what: string): void => {
    t.notMatch(text, /<script(?! src="\/assets\/)|<img|onerror=alert\(1\)>(?!<)|\sonmouseover=|<\/textarea><script/i, what);
    t.notMatch(text.replace(/<(?:textarea|input)[\s\S]*?>(?:[\s\S]*?<\/textarea>)?/g, ''), /[\u202A-\u202E\u2066-\u2069\u001B\u0000\u200B\u2028]/, `${what}: nothing unseen`);
  };
  let parent = 2;
  for (const text of HOSTILE) {
    const name = encodeURIComponent(text).slice(0, 30);
    const comment = text.replaceAll('\u0000', '').slice(0, 900);
    const source = `policy: acme\n${text.length > 1_000 ? '#' : 'description:'} ${JSON.stringify(text)}\nrules:\n  - { id: word, priority: 1, direction: input, when: { score: pii.*, gte: 0.5 }, action: block }\n`;
    const stored = await admin.post('/policies/acme/edit', { text: source, parent: String(parent), comment, do: 'store' });
    t.equal(stored.status, 303, `${name} is stored`);
    parent += 1;
    for (const path of ['/policies', '/policies/acme', '/policies/acme/edit', '/policies/acme/diff']) {
      const answer = await admin.get(path);
      t.equal(answer.status, 200, `${name} ${path}`);
      isHarmless(answer.text, `${name} ${path}`);
    }
    t.equal((await house.api('GET', '/acme')).body.source, source, 'as it was written');
    const bad = await admin.post('/policies/acme/edit', { text: `${JSON.stringify(text)}: 1\npolicy: acme\n`, parent: String(parent), comment, do: 'store' });
    t.equal(bad.status, 422);
    isHarmless(bad.text, `${name} in a finding`);
    const tried = await admin.post('/playground', { policy: 'acme', direction: 'output', text: `${text} ana@example.com` });
    t.equal(tried.status, 200);
    isHarmless(tried.text, `${name} in the playground`);
    const query = encodeURIComponent(text.slice(0, 150));
    for (const path of [`/exchanges?request_id=${query}&tenant=${query}&rule=${query}&policy=${query}&action=${query}`, `/exchanges?since=${query}`, `/audit?kind=${query}&author=${query}`, `/audit?origin=${query}`, `/?tenant=${query}&hours=${query}`, `/playground?policy=${query}`, `/policies/acme/diff?from=${query}`, `/login?next=/${query}`, `/no-such-page-${query}`, `/new-policy?id=${query}`]) {
      const answer = await admin.get(path);
      t.ok(answer.status < 500, `${answer.status} ${path.slice(0, 60)}`);
      isHarmless(answer.text, path.slice(0, 60));
    }
  }
});

t.test('a policy is written, found wanting, stored, compared, and taken back', async (t) => {
  const { house } = await furnished(t);
  const admin = await visit(house.adminUrl, house.token);
  const wrong = await admin.post('/policies/acme/edit', { text: 'policy: acme\nrules:\n  - { id: a, when: { scor: 1 }, action: block }\n', parent: '2', comment: 'why', do: 'store' });
  t.match(wrong, { status: 422, text: /data-line="3">line 3, column \d+/ });
  t.match(wrong.text, /\{ scor: 1 \}/, 'the text is kept');
  t.match(wrong.text, /value="why"/);
  const cases = (word: string): string => `${blocking('Kite')}cases:\n  - { name: a kite is not let through, direction: input, text: a ${word} flies, expect: { action: block, rules: [word] } }\n`;
  t.match(await admin.post('/policies/acme/edit', { text: cases('Crow'), parent: '2', comment: '', do: 'store' }), { status: 422, text: /0 of 1 cases pass.*a kite is not let through.*name="insist"/s }, 'not with cases that fail');
  t.match(await admin.post('/policies/acme/edit', { text: cases('Kite'), parent: '2', comment: '', do: 'check' }), { status: 200, text: /1 of 1 cases pass/ });
  t.match(await admin.post('/policies/acme/edit', { text: cases('Kite').replaceAll('\n', '\r\n'), parent: '1', comment: '', do: 'store' }), { status: 409, text: /newest revision of acme is 2/ }, 'somebody was faster');
  t.match(await admin.post('/policies/acme/edit', { text: cases('Kite').replaceAll('\n', '\r\n'), parent: '2', comment: 'kites', do: 'store' }), { status: 303, headers: { location: '/policies/acme' } });
  t.equal((await house.api('GET', '/acme')).body.source, cases('Kite'), 'with the line ends that it had');
  t.match((await admin.get('/policies/acme')).text, /Revision 3, the newest.*kites/s);
  t.match((await admin.get('/policies/acme/diff?from=1&to=3')).text, /class="d-removed">-[^\n]*Heron[\s\S]*class="d-added">\+[^\n]*Kite/);
  t.match(await admin.post('/policies/acme/rollback', { revision: '1', parent: '3', comment: '' }), { status: 303 });
  t.match((await house.api('GET', '/acme')).body, { number: 4, comment: 'back to revision 1', author: 'admin' });
  t.match(await admin.post('/policies/acme/rollback', { revision: '1', parent: '3' }), { status: 409, text: /Not as it is now.*newest revision of acme is 4/s });
});

t.test('the playground shows what comes out, what was found and why', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': 'policy: acme\nrules:\n  - { id: pii-out, priority: 1, direction: output, when: { score: pii.*, gte: 0.5 }, action: redact }\n' } });
  const admin = await visit(house.adminUrl, house.token);
  const { status, text } = await admin.post('/playground', { tenant: 'default', policy: '', direction: 'output', text: '\nwrite to ana@example.com today' });
  t.equal(status, 200);
  t.match(text, /write to \[EMAIL\] today/);
  t.match(text, /<mark title="EMAIL">ana@example\.com/);
  t.match(text, /<code>pii\.EMAIL<\/code>.*<meter/s);
  t.match(text, /<strong>holds<\/strong>/);
  t.match(text, />\n\nwrite to/, 'the field has its first line end again');
  t.match(await admin.post('/playground', { tenant: '', policy: '', direction: 'input', text: 'x' }), { status: 400, text: /Choose a tenant or a policy/ });
});

t.test('an exchange is found, explained, and its entry verified', async (t) => {
  const { house, index } = await furnished(t);
  const admin = await visit(house.adminUrl, house.token);
  const rowsOf = async (query: string): Promise<number> => (await admin.get(`/exchanges${query}`)).text.match(/<tr data-row>/g)?.length ?? 0;
  const { body: { entries: [newest, oldest] } } = await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token });
  const { body: { next } } = await ask(house.adminUrl, '/api/v1/decisions?limit=1', { token: house.token });
  for (const [query, rows] of [['', 2], ['?action=block', 1], ['?action=redact', 0], ['?rule=word', 1], ['?rule=other', 0], ['?policy=acme', 2], ['?policy=acme%402', 1], ['?tenant=default', 2], ['?tenant=nobody', 0], [`?request_id=${newest.request_id}`, 1], ['?since=2000-01-01', 2], ['?until=2000-01-01T00:00', 0], [`?before=${next}`, 1], [`?request_id=${newest.request_id.slice(0, 6)}`, 1], ['?policy=acme%409', 0]] as const) t.equal(await rowsOf(query), rows, query);
  t.match(await admin.get('/exchanges?since=never'), { status: 400, text: /times such as/ });
  const shown = await admin.get(`/exchanges/${index}`);
  t.match(shown.text, /a-block">block.*<code>word<\/code>.*acme@2.*Verify that it is in the log/s);
  await until(async () => (await admin.get(`/exchanges/${index}?proof=1`)).text.includes('✓ Verified'), 'a checkpoint that covers it');
  t.match(shown.text, /<h3>Why<\/h3><ol class="trace">.*<code>patterns\.word gte 1<\/code>: 1\.000/s, 'rule by rule');
  t.match((await admin.get(`/exchanges/${oldest.index}`)).text, /Why.*does not hold/s, 'and what was decided by a file');
  for (const path of ['/policies/acme?revision=99999999999999', '/policies/acme/diff?from=99999999999&to=-1', '/exchanges?before=999999999999999', '/exchanges?before=99999999999999999999', '/audit?before=1e9', '/exchanges/99999999999999999']) t.ok((await admin.get(path)).status < 500, path);
  t.match(await admin.get('/exchanges/999999'), { status: 404, text: /Not here/ });
});

t.test('who objects to what was done has people look at it', async (t) => {
  const { house, index } = await furnished(t);
  const viewer = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'a-viewer', ['tenant-viewer'], ['default']));
  const { text } = await viewer.get(`/exchanges/${index}`);
  const requestId = /name="request_id" value="([^"]+)"/.exec(text)![1]!;
  const { status, headers } = await viewer.post('/appeals', { request_id: requestId, reason: 'a <b>bird</b>' });
  t.same([status, headers['location']], [303, `/review/rev_${requestId}.input`]);
  t.match((await viewer.get(String(headers['location']))).text, /somebody objected[\s\S]*<h2>Objections<\/h2>[\s\S]*a-viewer[\s\S]*a &lt;b&gt;bird/);
  t.equal((await viewer.post('/appeals', { request_id: 'none', reason: 'x' })).status, 404);
});

t.test('a tenant-viewer sees what is theirs', async (t) => {
  const tenants = ['acme', 'bravo'].map((id) => ({ id, policy: 'acme', upstream: 'local', keys: [{ id: `key-${id}`, sha256: (id === 'acme' ? 'ab' : 'cd').repeat(32) }] }));
  const house = await openHouse(t, { config: { tenants }, files: { 'acme.yaml': blocking('Fileword') } });
  const viewer = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'theirs', ['tenant-viewer'], ['acme']));
  t.notMatch((await viewer.get('/tenants')).text, /bravo/);
  t.match(await viewer.get('/tenants/acme'), { status: 200, text: /key-acme/ });
  t.match(await viewer.get('/tenants/bravo'), { status: 404, text: /there is no tenant bravo/ });
  t.notMatch((await viewer.get('/policies/acme')).text, /bravo|\/edit/);
  t.notMatch((await viewer.get('/tenants/acme')).text, /Revoke|Make it/, 'and no form that is not for them');
});

t.test('secrets are shown once, to who made them', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const admin = await visit(house.adminUrl, house.token);
  const made = await admin.post('/tenants/default/keys', { name: 'made', expires: '' });
  const [, key] = /<code class="secret">(weir_[\w-]+)<\/code>/.exec(made.text) ?? [];
  t.match(made, { status: 201, headers: { 'cache-control': 'no-store' } });
  t.ok(key);
  t.notMatch((await admin.get('/tenants/default')).text, key!);
  const [, id] = /keys\/([\w-]+)\/revoke/.exec((await admin.get('/tenants/default')).text) ?? [];
  t.equal((await admin.post(`/tenants/default/keys/${id}/revoke`, {})).status, 303);
  t.match((await admin.get('/tenants/default')).text, /<td>revoked<\/td>/);
  const token = await admin.post('/settings/tokens', { name: 'second', role: 'tenant-viewer', tenants: 'default' });
  t.match(token, { status: 201, text: /<code class="secret">weir_admin_/ });
  t.match(await admin.post('/settings/tokens', { name: 'second', role: 'auditor' }), { status: 409, text: /names stand in histories/ });
});

t.test('files of the console are kept for good under the name of what they are', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const login = await ask(house.adminUrl, '/login');
  const paths = [...login.text.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
  t.equal(paths.length, 3);
  for (const path of paths) t.match(await ask(house.adminUrl, path), { status: 200, headers: { 'cache-control': 'public, max-age=31536000, immutable', 'content-type': /^(?:text\/css|text\/javascript|image\/svg\+xml)/, 'x-content-type-options': 'nosniff' } }, path);
  t.match(await ask(house.adminUrl, '/nowhere', { headers: { accept: 'text/html' } }), { status: 404, text: /<h1>Not here/ });
  t.match(await ask(house.adminUrl, '/nowhere'), { status: 404, body: { error: { code: 'not_found' } } }, 'to who asks for no page');
});
