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
import { blocking, openHouse, until, watching } from '../helpers/house.ts';
import { runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

const [OURS, THEIRS] = ['tenant-heron', 'tenant-osprey'];

t.test('no answer to a tenant-viewer holds what is of another tenant', async (t) => {
  const [ourKey, theirKey] = [generateKey(), generateKey()];
  const tenants = [
    { id: OURS, policy: 'policy-heron', upstream: 'local', data: { content: 'original' }, keys: [{ id: 'key-heron', sha256: keyDigest(ourKey) }] },
    { id: THEIRS, policy: 'policy-osprey', upstream: 'local', product: 'product-osprey', data: { content: 'original' }, keys: [{ id: 'key-osprey', sha256: keyDigest(theirKey) }] },
  ];
  const house = await openHouse(t, { config: { tenants, review: { sample: { percent: 100 }, double_blind_percent: 0, capacity: { tenant_open_max: 2 } } }, files: { 'heron.yaml': blocking('x', 'policy-heron'), 'osprey.yaml': blocking('y', 'policy-osprey') } });
  const { adminUrl, token: admin } = house;
  for (const policy of ['policy-heron', 'policy-osprey']) {
    t.equal((await house.api('PUT', `/${policy}?comment=first-${policy}`, watching('word', policy))).status, 201);
    t.equal((await house.api('PUT', `/${policy}?parent=1&comment=second-${policy}`, watching('other', policy))).status, 200);
  }
  for (const [tenant] of [[OURS], [THEIRS]]) await ask(adminUrl, `/api/v1/tenants/${tenant}/keys`, { method: 'POST', token: admin, body: { name: `made-${tenant}` } });
  for (const key of [ourKey, theirKey]) for (let i = 0; i < 3; i++) t.equal(await house.chat('hello Egret', { authorization: `Bearer ${key}` }), 200);
  const viewer = await tokenFor(adminUrl, admin, 'viewer-of-heron', ['tenant-viewer'], [OURS]);
  await tokenFor(adminUrl, admin, 'viewer-of-osprey', ['tenant-viewer'], [THEIRS]);
  await until(async () => (await ask(adminUrl, '/api/v1/audit?kind=exchange', { token: admin })).body.entries.length === 6, 'the entries on disk');
  const { entries } = (await ask(adminUrl, '/api/v1/audit?limit=1000', { token: admin })).body as { readonly entries: readonly Record<string, unknown>[] };
  const theirs = entries.filter((entry) => entry['tenant_id'] === THEIRS && entry['kind'] === 'exchange');
  t.equal(theirs.length, 3);
  const secrets = [/osprey/, ...theirs.map(({ request_id: id }) => new RegExp(String(id)))];
  const leak = ({ text }: Answered, asked: string): string | undefined => secrets.map((secret) => (secret.test(text.replaceAll(asked, '')) ? String(secret) : undefined)).find((found) => found !== undefined);

  const reviewsOf = async (token: string): Promise<readonly Record<string, any>[]> => (await ask(adminUrl, '/api/v1/reviews?limit=1000', { token })).body.items;
  await until(async () => (await ask(adminUrl, '/api/v1/queue', { token: admin })).body.counts.reduce((sum: number, { name, count }: Record<string, any>) => sum + (name === 'batched' || name === 'sample_full' || name === 'sample' ? count : 0), 0) >= 8, 'the queue');
  const all = await reviewsOf(admin);
  const theirReviews = all.filter((item) => item['tenant_id'] === THEIRS).map((item) => String(item['review_id']));
  t.ok(theirReviews.length >= 2 && (await reviewsOf(viewer)).length >= 2);
  t.same((await reviewsOf(viewer)).filter((item) => item['tenant_id'] !== OURS), []);
  for (const path of ['/api/v1/queue', '/api/v1/overrides']) t.equal(leak(await ask(adminUrl, path, { token: viewer }), ''), undefined, path);
  t.ok(leak(await ask(adminUrl, '/api/v1/queue', { token: admin }), ''), 'an admin sees more');

  const whole = await ask(adminUrl, '/api/v1/audit?limit=1000', { token: admin });
  t.ok(leak(whole, ''), 'an admin sees them, so the test could find them');
  t.match((await ask(adminUrl, '/api/v1/audit', { token: viewer })).body.entries.map((entry: Record<string, unknown>) => entry['tenant_id']), [OURS, OURS, OURS], 'and a viewer sees their own');
  t.same((await ask(adminUrl, '/api/v1/decisions', { token: viewer })).body.decisions.map((decision: Record<string, unknown>) => decision['tenant_id']), [OURS, OURS, OURS], 'of decisions too');
  t.match((await ask(adminUrl, '/api/v1/decisions/counts', { token: viewer })).body.counts.find(({ measure }: { readonly measure: string }) => measure === 'exchanges'), { total: 3 });
  t.same((await ask(adminUrl, '/api/v1/tenants', { token: viewer })).body.tenants.map(({ id }: { id: string }) => id), [OURS]);
  t.same((await ask(adminUrl, '/api/v1/policies', { token: viewer })).body.policies.map(({ policy, from }: Record<string, string>) => [policy, from]), [['policy-heron', 'store'], ['policy-heron', 'file']]);

  const ids = ['policy-heron', 'policy-osprey', OURS, THEIRS, 'key-heron', 'key-osprey', 'none', ...entries.map(({ index }) => String(index)), ...theirs.map(({ request_id: id }) => String(id)), ...all.map((item) => String(item['review_id'])), randomUUID()];
  const value = fc.constantFrom(...ids, '0', '1', '2', '1000', '-1', '', '%00', '*', 'exchange', 'policy_change', 'access_change', 'key_change', 'admin', '2030-01-01T00:00:00Z', '1970-01-01T00:00:00Z');
  const request = fc.record({ route: fc.oneof(fc.constantFrom(...ADMIN_ROUTES.filter(({ access }) => access !== 'open')), fc.constantFrom(...ADMIN_ROUTES.filter(({ access }) => access !== 'open' && access.includes('tenant-viewer')))), names: fc.array(fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...ids) }, { weight: 1, arbitrary: value }), { minLength: 3, maxLength: 3 }), query: fc.array(value, { minLength: 8, maxLength: 8 }), given: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), stray: fc.option(fc.tuple(fc.constantFrom('tenant', 'policy', 'id', 'tenants', 'as'), value), { nil: undefined }) });
  let reached = 0;
  await fc.assert(fc.asyncProperty(request, async ({ route, names, query, given, stray }) => {
    let at = 0;
    const path = route.path.replaceAll(/:\w+/g, () => encodeURIComponent(names[at++]!));
    const asked = Object.keys(route.query ?? {}).filter((_, i) => given[i % 8]).map((key, i) => `${key}=${encodeURIComponent(query[i % 8]!)}`);
    const full = `${path}?${[...asked, ...(stray === undefined ? [] : [`${stray[0]}=${encodeURIComponent(stray[1])}`])].join('&')}`.replace(/\?$/, '');
    const answer = await ask(adminUrl, full, { method: route.method, token: viewer, ...(route.body === undefined ? {} : { body: { tenant: THEIRS, roles: ['admin'], text: 'x', request_id: names[0], reason: 'x', like: names[1], resolution: 'allow', fence: 1 } }) });
    if (answer.status === 200) reached += 1;
    // A refusal may repeat what was asked for: it is no news to who asked.
    const known = answer.status >= 400 ? [...names, ...query, ...(stray ?? [])] : [];
    const found = secrets.find((secret) => secret.test(known.reduce((text, name) => (name === '' ? text : text.replaceAll(name, '')), answer.text)));
    if (found !== undefined) throw new Error(`${route.method} ${full} answers ${answer.status} with ${String(found)}`);
  }), { numRuns: runs(800), seed });
  t.ok(reached > 5, `${reached} requests were answered with something`);

  for (const rest of ['', '/history', '/diff', '?revision=1']) {
    const [other, nobody] = [await ask(adminUrl, `/api/v1/policies/policy-osprey${rest}`, { token: viewer }), await ask(adminUrl, `/api/v1/policies/policy-nobody${rest}`, { token: viewer })];
    t.same([other.status, other.text.replaceAll('osprey', 'nobody')], [404, nobody.text], `policies${rest}`);
  }
  for (const [method, path, body] of [['GET', '', undefined], ['POST', '/appeal', { reason: 'x' }]] as const) {
    const answers = await Promise.all([theirReviews[0]!, 'rev_nobody'].map(async (id) => ({ id, ...await ask(adminUrl, `/api/v1/reviews/${id}${path}`, { method, token: viewer, ...(body === undefined ? {} : { body }) }) })));
    t.same(answers.map(({ id, status, text }) => [status, text.replaceAll(id, 'X')]), [[404, answers[1]!.text.replaceAll('rev_nobody', 'X')], [404, answers[1]!.text.replaceAll('rev_nobody', 'X')]], `reviews${path}`);
  }
  const [other, nobody] = [await ask(adminUrl, `/api/v1/audit/${String(theirs[0]!['index'])}`, { token: viewer }), await ask(adminUrl, '/api/v1/audit/999999', { token: viewer })];
  t.same([other.status, other.text.replace(/\d+/, 'N')], [404, nobody.text.replace(/\d+/, 'N')]);
});
