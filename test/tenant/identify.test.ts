/** Who is the tenant: one credential source, looked up by digest and nothing else. */
import fc from 'fast-check';
import t from 'tap';
import type { TenantConfig } from '../../src/config/schema.ts';
import { WeirError } from '../../src/contract/errors.ts';
import { createDirectory, identify } from '../../src/tenant/identify.ts';
import { keyDigest } from '../../src/tenant/keys.ts';

const NOW = Date.parse('2030-01-01T00:00:00Z');
const key = (id: string, secret: string, expires_at?: string): TenantConfig['keys'][number] => ({ id, sha256: keyDigest(secret), expires_at });
const tenant = (id: string, keys: readonly TenantConfig['keys'][number][]): TenantConfig => ({ id, policy: 'p', upstream: 'u', keys, fail_mode: 'closed', audit: {} }) as unknown as TenantConfig;

const keyed = createDirectory([
  tenant('acme', [key('a1', 'weir_acme-made-up'), key('a2', 'weir_acme-expired', '2029-12-31T23:59:59Z'), key('a3', 'weir_acme-lasting', '2030-01-01T00:00:01Z')]),
  tenant('other', [key('o1', 'weir_other-made-up')]),
]);
const sidecar = createDirectory([tenant('only', [])]);

/** `tenant/key`, or the code of the refusal. */
function who(directory: typeof keyed, fields: readonly string[], query = ''): string {
  try {
    const identified = identify(fields, query, directory, NOW);
    return `${identified.tenant.id}/${identified.keyId ?? ''}`;
  } catch (error) {
    if (error instanceof WeirError) return error.code;
    throw error;
  }
}

const CASES: readonly (readonly [what: string, fields: readonly string[], expected: string])[] = [
  ['bearer', ['Authorization', 'Bearer weir_acme-made-up'], 'acme/a1'],
  ['another tenant', ['authorization', 'Bearer weir_other-made-up'], 'other/o1'],
  ['scheme in lower case', ['authorization', 'bearer weir_acme-made-up'], 'acme/a1'],
  ['x-api-key', ['X-Api-Key', 'weir_acme-made-up'], 'acme/a1'],
  ['api-key', ['api-key', 'weir_acme-made-up'], 'acme/a1'],
  ['x-goog-api-key', ['x-goog-api-key', 'weir_other-made-up'], 'other/o1'],
  ['not yet expired', ['api-key', 'weir_acme-lasting'], 'acme/a3'],
  ['expired', ['api-key', 'weir_acme-expired'], 'invalid_api_key'],
  ['none', ['accept', '*/*'], 'missing_api_key'],
  ['two fields', ['authorization', 'Bearer weir_acme-made-up', 'x-api-key', 'weir_acme-made-up'], 'two_credentials'],
  ['two fields, one empty', ['authorization', '', 'x-api-key', 'weir_acme-made-up'], 'two_credentials'],
  ['extra spaces', ['authorization', 'Bearer  weir_acme-made-up'], 'invalid_api_key'],
  ['no scheme', ['authorization', 'weir_acme-made-up'], 'invalid_api_key'],
  ['another scheme', ['authorization', 'Basic weir_acme-made-up'], 'invalid_api_key'],
  ['a stored digest is no key', ['authorization', `Bearer ${keyDigest('weir_acme-made-up')}`], 'invalid_api_key'],
  ['all but one character', ['authorization', 'Bearer weir_acme-made-u'], 'invalid_api_key'],
  ['one character more', ['authorization', 'Bearer weir_acme-made-upp'], 'invalid_api_key'],
  ['prototype name', ['api-key', '__proto__'], 'invalid_api_key'],
];

t.test('a tenant with keys is found by its key', (t) => {
  for (const [what, fields, expected] of CASES) t.equal(who(keyed, fields), expected, what);
  t.end();
});

t.test('keys in the query string are refused, whatever else there is', (t) => {
  for (const query of ['?key=a', '?a=b&api_key=c', '?api-key=c', '?access_token=c', '?API_KEY=c']) t.equal(who(keyed, ['api-key', 'weir_acme-made-up'], query), 'bad_request', query);
  t.equal(who(keyed, ['api-key', 'weir_acme-made-up'], '?monkey=a&beta=true'), 'acme/a1');
  t.end();
});

t.test('the only tenant without keys takes any one credential, or none', (t) => {
  t.equal(who(sidecar, []), 'only/');
  t.equal(who(sidecar, ['authorization', 'Bearer sk-made-up']), 'only/');
  t.equal(who(sidecar, ['authorization', 'Bearer sk-made-up', 'api-key', 'sk-made-up']), 'two_credentials');
  t.end();
});

t.test('no other key opens anything', (t) => {
  const right = new Set(['weir_acme-made-up', 'weir_acme-lasting', 'weir_other-made-up']);
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...right).chain((secret) => fc.nat(secret.length).map((at) => secret.slice(0, at)))), (secret) => {
    fc.pre(!right.has(secret));
    return who(keyed, ['api-key', secret]) === 'invalid_api_key';
  }));
  t.end();
});
