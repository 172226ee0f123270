/** Keys and usage of tenants over the API of a running Weir: what counts when, who sees what, and what the audit log holds. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { keyDigest } from '../../src/tenant/keys.ts';
import { blocking, openHouse, until, type House } from '../helpers/house.ts';
import { runs, seed } from '../helpers/runs.ts';

t.setTimeout(180_000);

const FILE_KEY = 'wk-made-up-file';
const TENANTS = [
  { id: 'acme', policy: 'acme', upstream: 'local', require_key: true, keys: [{ id: 'from-file', sha256: keyDigest(FILE_KEY) }] },
  { id: 'bravo', policy: 'bravo', upstream: 'local', require_key: true },
];
const FILES = { 'acme.yaml': blocking('Heron'), 'bravo.yaml': blocking('Osprey', 'bravo') };

const twoTenants = (t: Test): Promise<House> => openHouse(t, { files: FILES, config: { tenants: TENANTS } });

interface Answer {
  readonly status: number;
  readonly body: any;
}

async function api({ adminUrl, token }: House, method: string, path: string, body?: unknown, given = token): Promise<Answer> {
  const response = await fetch(`${adminUrl}/api/v1${path}`, { method, headers: { authorization: `Bearer ${given}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  return { status: response.status, body: await response.json() };
}

async function make(house: House, tenant: string, wanted: object = {}): Promise<{ readonly key: string; readonly key_id: string }> {
  return (await api(house, 'POST', `/tenants/${tenant}/keys`, wanted)).body as { key: string; key_id: string };
}

const chat = (house: House, key: string, text = 'hello'): Promise<number> => house.chat(text, { authorization: `Bearer ${key}` });

function auditEntries({ dir }: House): readonly Readonly<Record<string, any>>[] {
  const folder = join(dir, 'data/audit');
  return readdirSync(folder).filter((name) => name.endsWith('.jsonl')).flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)).map((line) => JSON.parse(line) as Record<string, unknown>);
}

t.test('a key counts when it is made, until it is revoked, and each change is in the audit log without the key', async (t) => {
  const house = await twoTenants(t);
  t.equal(await chat(house, FILE_KEY), 200, 'a key of the file');
  const made = await api(house, 'POST', '/tenants/acme/keys', { name: 'backend', scopes: ['models'], requests_per_minute: 100, expires_at: '2999-01-01T00:00:00Z' });
  t.match(made, { status: 201, body: { key: /^weir_[0-9A-Za-z]{49}$/, key_id: /^key_[0-9a-f]{16}$/, tenant_id: 'acme', name: 'backend', scopes: ['models'], requests_per_minute: 100, tokens_per_minute: null, state: 'active', created_by: 'admin', expires_at: '2999-01-01T00:00:00.000Z' } });
  const { key, key_id: id } = made.body as { readonly key: string; readonly key_id: string };
  t.same([await chat(house, key), await chat(house, key, 'Heron'), await chat(house, key, 'Osprey')], [200, 400, 200], 'under the policy of its tenant');
  t.same([await chat(house, keyDigest(key)), await chat(house, id), await chat(house, key.slice(0, -1)), await chat(house, `${key}x`)], [401, 401, 401, 401], 'nothing but the key opens');

  const listed = await api(house, 'GET', '/tenants/acme/keys');
  t.match(listed, { status: 200, body: { tenant: 'acme', keys: [{ from: 'store', key_id: id, state: 'active' }, { from: 'file', key_id: 'from-file', state: 'active' }] } });
  t.notMatch(JSON.stringify(listed.body), new RegExp(`${key}|${keyDigest(key)}|${keyDigest(FILE_KEY)}`), 'no key and no digest');
  t.equal((await api(house, 'DELETE', `/tenants/bravo/keys/${id}`)).status, 404, 'it is of another tenant');
  t.match(await api(house, 'DELETE', '/tenants/acme/keys/from-file'), { status: 404, body: { error: { message: /in the configuration file/ } } });
  t.equal(await chat(house, key), 200);
  t.match(await api(house, 'DELETE', `/tenants/acme/keys/${id}`), { status: 200, body: { key_id: id, state: 'revoked', revoked_by: 'admin' } });
  t.equal(await chat(house, key), 401, 'when the answer is there it opens nothing any more');
  t.match(await api(house, 'DELETE', `/tenants/acme/keys/${id}`), { status: 200, body: { state: 'revoked' } }, 'again is the same');

  const changes = auditEntries(house).filter(({ kind }) => kind === 'key_change');
  t.match(changes, [{ change: 'create', number: 1, tenant_id: 'acme', key_id: id, author: 'admin' }, { change: 'revoke', number: 2, tenant_id: 'acme', key_id: id, author: 'admin' }]);
  t.equal(changes.length, 2);
  await until(() => auditEntries(house).some(({ kind, key_id }) => kind === 'exchange' && key_id === id), 'the entry of an exchange');
  const everything = readdirSync(join(house.dir, 'data'), { recursive: true, withFileTypes: true }).filter((file) => file.isFile()).map((file) => readFileSync(join(file.parentPath, file.name), 'latin1')).join('') + house.log.join('');
  t.notOk(everything.includes(key) || everything.includes(key.slice(5, 40)), 'the key is in no file and no log line');
});

t.test('what is asked for is checked', async (t) => {
  const house = await twoTenants(t);
  for (const [wanted, message] of [
    [{ names: 'x' }, /unknown key "names"/], [{ name: 7 }, /name is/], [{ name: 'a\nb' }, /name is/], [{ name: 'x'.repeat(101) }, /name is/], [{ scopes: [] }, /scopes is/], [{ scopes: ['all'] }, /scopes is/], [{ scopes: 'models' }, /scopes is/],
    [{ requests_per_minute: 0 }, /requests_per_minute is/], [{ requests_per_minute: 1.5 }, /requests_per_minute is/], [{ tokens_per_minute: '5' }, /tokens_per_minute is/], [{ expires_at: 'tomorrow' }, /expires_at is/], [{ expires_at: '2020-01-01T00:00:00Z' }, /has passed/], [[], /send an object/], ['x', /send an object/],
  ] as const) t.match(await api(house, 'POST', '/tenants/acme/keys', wanted), { status: 400, body: { error: { code: 'invalid_request', message } } }, JSON.stringify(wanted));
  for (const [method, path] of [['GET', '/tenants/nobody/keys'], ['POST', '/tenants/nobody/keys'], ['DELETE', '/tenants/nobody/keys/key_0'], ['GET', '/usage?tenant=nobody']] as const) t.equal((await api(house, method, path)).status, 404, path);
  for (const query of ['?from=yesterday', '?to=1', '?limit=0', '?tenants=acme']) t.equal((await api(house, 'GET', `/usage${query}`)).status, 400, query);
  t.equal((await api(house, 'GET', '/tenants/acme/keys', undefined, 'weir_admin_wrong')).status, 401);
});

t.test('a key of some uses is refused for the others', async (t) => {
  const house = await twoTenants(t);
  const proxyUrl = `http://127.0.0.1:${house.port}`;
  const ask = async (key: string, path: string, body?: unknown): Promise<readonly [number, string | undefined]> => {
    const response = await fetch(new URL(path, proxyUrl), { method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const answer = (await response.json().catch(() => ({}))) as { readonly error?: { readonly code?: string } };
    return [response.status, answer.error?.code];
  };
  const chatBody = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
  const routes = [['models', '/v1/chat/completions', chatBody], ['screening', '/weir/v1/screen', { direction: 'input', content: 'hello' }], ['screening', '/v1/moderations', { input: 'hello' }], ['pass_through', '/v1/models', undefined]] as const;
  for (const scope of ['models', 'pass_through', 'screening']) {
    const { key } = await make(house, 'acme', { scopes: [scope] });
    for (const [needed, path, body] of routes) t.same(await ask(key, path, body), needed === scope ? [200, undefined] : [403, 'key_scope'], `${scope} at ${path}`);
  }
});

t.test('the only tenant is open until it has its first key, and never again', async (t) => {
  const house = await openHouse(t, { files: FILES });
  t.same([await house.chat('hello'), await chat(house, 'sk-of-the-provider')], [200, 200], 'the sidecar case');
  const { key, key_id: id } = await make(house, 'default');
  t.same([await chat(house, 'sk-of-the-provider'), await chat(house, key)], [401, 200]);
  await api(house, 'DELETE', `/tenants/default/keys/${id}`);
  t.same([await chat(house, 'sk-of-the-provider'), await chat(house, key)], [401, 401], 'revoking the last key opens nothing');
});

t.test('require_key closes the only tenant before its first key', async (t) => {
  const house = await openHouse(t, { files: FILES, config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', require_key: true }] } });
  t.equal(await chat(house, 'sk-of-the-provider'), 401);
  t.equal(await chat(house, (await make(house, 'default')).key), 200);
});

t.test('a key of a tenant that is no longer configured opens nothing, also under its name for another', async (t) => {
  const house = await twoTenants(t);
  const { key } = await make(house, 'bravo');
  t.equal(await chat(house, key), 200);
  const file = join(house.dir, 'weir.yaml');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  writeFileSync(file, JSON.stringify({ ...config, tenants: TENANTS.slice(0, 1) }));
  await until(async () => (await chat(house, key)) === 401, 'the reload');
  t.equal(await chat(house, FILE_KEY), 200);
});

t.test('limits of a key', async (t) => {
  const house = await twoTenants(t);
  const { key } = await make(house, 'acme', { requests_per_minute: 2 });
  t.same([await chat(house, key), await chat(house, key), await chat(house, key), await chat(house, FILE_KEY)], [200, 200, 429, 200]);
});

t.test('usage: every request of a tenant is counted once, by key and hour', async (t) => {
  const house = await twoTenants(t);
  const [one, two] = [await make(house, 'acme'), await make(house, 'bravo', { requests_per_minute: 3 })];
  for (const text of ['hello', 'Heron', 'hello', 'Heron']) await chat(house, one.key, text);
  for (let i = 0; i < 5; i++) await chat(house, two.key);
  await chat(house, FILE_KEY);
  await chat(house, 'wk-made-up-nobodys');
  const rowsOf = async (query = ''): Promise<readonly Readonly<Record<string, any>>[]> => (await api(house, 'GET', `/usage${query}`)).body.rows;
  await until(async () => (await api(house, 'GET', '/usage')).body.total.requests >= 10, 'the last entry');
  const all = await api(house, 'GET', '/usage');
  t.match(all.body, { total: { requests: 10, blocked: 2, refused: 2 }, truncated: false }, 'a wrong key is of no tenant');
  const hour = all.body.rows[0].hour as string;
  t.match(hour, /^\d{4}-\d\d-\d\dT\d\d:00:00Z$/);
  const byKey = new Map((await rowsOf()).map((row) => [row['key_id'], row]));
  t.match(byKey.get(one.key_id), { tenant_id: 'acme', requests: 4, blocked: 2, refused: 0, redacted: 0, estimated: 2 });
  t.ok(byKey.get(one.key_id)!['prompt_tokens'] > 0 && byKey.get(one.key_id)!['completion_tokens'] >= 2, 'the upstream tells none, so they are reckoned');
  t.match(byKey.get(two.key_id), { tenant_id: 'bravo', requests: 5, refused: 2 });
  t.match(byKey.get('from-file'), { tenant_id: 'acme', requests: 1 });
  t.same((await rowsOf('?tenant=bravo')).map(({ key_id: id }) => id), [two.key_id]);
  t.same(await rowsOf(`?to=${hour}`), []);
  t.equal((await rowsOf(`?from=${hour}`)).length >= 3, true);
  t.match((await api(house, 'GET', '/usage?limit=1')).body, { truncated: true });
});

t.test('property: with two tenants nobody gets what is the other one\'s', async (t) => {
  const house = await twoTenants(t);
  const made = { acme: await make(house, 'acme', { name: 'of-acme' }), bravo: await make(house, 'bravo', { name: 'of-bravo' }) };
  await chat(house, made.acme.key);
  await chat(house, made.bravo.key);
  await until(async () => (await api(house, 'GET', '/usage')).body.total.requests >= 2, 'both entries');
  const viewer = async (tenant: string): Promise<string> => (await api(house, 'POST', '/tokens', { name: `viewer-${tenant}`, roles: ['tenant-viewer'], tenants: [tenant] })).body.token as string;
  const viewers = { acme: await viewer('acme'), bravo: await viewer('bravo') };
  const part = fc.constantFrom('acme', 'bravo', 'nobody', 'ACME', 'acme%20', '%61cme', 'acme%00', '..', '__proto__', 'constructor');
  const path = fc.oneof(
    part.map((tenant) => `/tenants/${tenant}/keys`),
    fc.tuple(part, fc.constantFrom(made.acme.key_id, made.bravo.key_id)).map(([tenant, id]) => `/tenants/${tenant}/keys/${id}`),
    fc.record({ tenant: fc.option(part), from: fc.option(fc.constantFrom('2000-01-01T00:00:00Z', '2999-01-01T00:00:00Z')), limit: fc.option(fc.integer({ min: 1, max: 5 })) }).map((query) => `/usage?${Object.entries(query).filter(([, value]) => value !== null).map(([key, value]) => `${key}=${value}`).join('&')}`),
    fc.constant('/tenants'),
  );
  await t.resolves(fc.assert(fc.asyncProperty(fc.constantFrom('acme', 'bravo'), fc.constantFrom('GET', 'POST', 'DELETE'), path, async (own, method, at) => {
    const other = own === 'acme' ? 'bravo' : 'acme';
    const answer = await api(house, method, at, undefined, viewers[own as 'acme']);
    const said = JSON.stringify(answer.body);
    if (method !== 'GET' && answer.status < 400) return false;
    return !said.includes(made[other as 'acme'].key_id) && !said.includes(`of-${other}`) && !said.includes(`"tenant_id":"${other}"`) && !said.includes(`"id":"${other}"`);
  }), { numRuns: runs(60), seed }));
  t.match((await api(house, 'GET', '/usage', undefined, viewers.acme)).body, { total: { requests: 1 } }, 'and each gets its own');
  t.match((await api(house, 'GET', '/tenants/bravo/keys', undefined, viewers.bravo)).body.keys, [{ key_id: made.bravo.key_id }]);
});
