/**
 * Two tenants in one Weir: whatever a tenant-viewer of one asks of any route, in any order and with any values, no answer
 * holds a name of the other. What is not theirs and what nobody has are told apart by nothing.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { ADMIN_ROUTES } from '../../src/admin/server.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask, tokenFor, type Answered } from '../helpers/admin.ts';
import { blocking, openHouse, until } from '../helpers/house.ts';
import { runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

const [OURS, THEIRS] = ['tenant-heron', 'tenant-osprey'];

t.test('no answer to a tenant-viewer holds what is of another tenant', async (t) => {
  const [ourKey, theirKey] = [generateKey(), generateKey()];
  const tenants = [
    { id: OURS, policy: 'policy-heron', upstream: 'local', keys: [{ id: 'key-heron', sha256: keyDigest(ourKey) }] },
    { id: THEIRS, policy: 'policy-osprey', upstream: 'local', product: 'product-osprey', keys: [{ id: 'key-osprey', sha256: keyDigest(theirKey) }] },
  ];
  const house = await openHouse(t, { config: { tenants }, files: { 'heron.yaml': blocking('x', 'policy-heron'), 'osprey.yaml': blocking('y', 'policy-osprey') } });
  const { adminUrl, token: admin } = house;
  for (const policy of ['policy-heron', 'policy-osprey']) {
    t.equal((await house.api('PUT', `/${policy}?comment=first-${policy}`, blocking('word', policy))).status, 201);
    t.equal((await house.api('PUT', `/${policy}?parent=1&comment=second-${policy}`, blocking('other', policy))).status, 200);
  }
  for (const [tenant] of [[OURS], [THEIRS]]) await ask(adminUrl, `/api/v1/tenants/${tenant}/keys`, { method: 'POST', token: admin, body: { name: `made-${tenant}` } });
  for (const key of [ourKey, theirKey]) for (let i = 0; i < 3; i++) t.equal(await house.chat('hello', { authorization: `Bearer ${key}` }), 200);
  const viewer = await tokenFor(adminUrl, admin, 'viewer-of-heron', ['tenant-viewer'], [OURS]);
  await tokenFor(adminUrl, admin, 'viewer-of-osprey', ['tenant-viewer'], [THEIRS]);
  await until(async () => (await ask(adminUrl, '/api/v1/audit?kind=exchange', { token: admin })).body.entries.length === 6, 'the entries on disk');
  const { entries } = (await ask(adminUrl, '/api/v1/audit?limit=1000', { token: admin })).body as { readonly entries: readonly Record<string, unknown>[] };
  const theirs = entries.filter((entry) => entry['tenant_id'] === THEIRS && entry['kind'] === 'exchange');
  t.equal(theirs.length, 3);
  const secrets = [/osprey/, ...theirs.map(({ request_id: id }) => new RegExp(String(id)))];
  const leak = ({ text }: Answered, asked: string): string | undefined => secrets.map((secret) => (secret.test(text.replaceAll(asked, '')) ? String(secret) : undefined)).find((found) => found !== undefined);

  const whole = await ask(adminUrl, '/api/v1/audit?limit=1000', { token: admin });
  t.ok(leak(whole, ''), 'an admin sees them, so the test could find them');
  t.match((await ask(adminUrl, '/api/v1/audit', { token: viewer })).body.entries.map((entry: Record<string, unknown>) => entry['tenant_id']), [OURS, OURS, OURS], 'and a viewer sees their own');
  t.same((await ask(adminUrl, '/api/v1/tenants', { token: viewer })).body.tenants.map(({ id }: { id: string }) => id), [OURS]);
  t.same((await ask(adminUrl, '/api/v1/policies', { token: viewer })).body.policies.map(({ policy, from }: Record<string, string>) => [policy, from]), [['policy-heron', 'store'], ['policy-heron', 'file']]);

  const ids = ['policy-heron', 'policy-osprey', OURS, THEIRS, 'key-heron', 'key-osprey', 'none', ...entries.map(({ index }) => String(index)), ...theirs.map(({ request_id: id }) => String(id)), randomUUID()];
  const value = fc.constantFrom(...ids, '0', '1', '2', '1000', '-1', '', '%00', '*', 'exchange', 'policy_change', 'access_change', 'key_change', 'admin', '2030-01-01T00:00:00Z', '1970-01-01T00:00:00Z');
  const request = fc.record({ route: fc.constantFrom(...ADMIN_ROUTES.filter(({ access }) => access !== 'open')), names: fc.array(value, { minLength: 3, maxLength: 3 }), query: fc.array(value, { minLength: 8, maxLength: 8 }), given: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), stray: fc.option(fc.tuple(fc.constantFrom('tenant', 'policy', 'id', 'tenants', 'as'), value), { nil: undefined }) });
  let reached = 0;
  await fc.assert(fc.asyncProperty(request, async ({ route, names, query, given, stray }) => {
    let at = 0;
    const path = route.path.replaceAll(/:\w+/g, () => encodeURIComponent(names[at++]!));
    const asked = Object.keys(route.query ?? {}).filter((_, i) => given[i % 8]).map((key, i) => `${key}=${encodeURIComponent(query[i % 8]!)}`);
    const full = `${path}?${[...asked, ...(stray === undefined ? [] : [`${stray[0]}=${encodeURIComponent(stray[1])}`])].join('&')}`.replace(/\?$/, '');
    const answer = await ask(adminUrl, full, { method: route.method, token: viewer, ...(route.body === undefined ? {} : { body: { tenant: THEIRS, roles: ['admin'], text: 'x' } }) });
    if (answer.status === 200) reached += 1;
    // A refusal may repeat what was asked for: it is no news to who asked.
    const known = answer.status >= 400 ? [...names, ...query, ...(stray ?? [])] : [];
    const found = secrets.find((secret) => secret.test(known.reduce((text, name) => (name === '' ? text : text.replaceAll(name, '')), answer.text)));
    if (found !== undefined) throw new Error(`${route.method} ${full} answers ${answer.status} with ${String(found)}`);
  }), { numRuns: runs(400), seed });
  t.ok(reached > 5, `${reached} requests were answered with something`);

  for (const rest of ['', '/history', '/diff', '?revision=1']) {
    const [other, nobody] = [await ask(adminUrl, `/api/v1/policies/policy-osprey${rest}`, { token: viewer }), await ask(adminUrl, `/api/v1/policies/policy-nobody${rest}`, { token: viewer })];
    t.same([other.status, other.text.replaceAll('osprey', 'nobody')], [404, nobody.text], `policies${rest}`);
  }
  const [other, nobody] = [await ask(adminUrl, `/api/v1/audit/${String(theirs[0]!['index'])}`, { token: viewer }), await ask(adminUrl, '/api/v1/audit/999999', { token: viewer })];
  t.same([other.status, other.text.replace(/\d+/, 'N')], [404, nobody.text.replace(/\d+/, 'N')]);
});
