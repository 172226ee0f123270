/**
 * Wrong keys over the real proxy and against the directory itself: whatever they are, the answer is the same, nobody is
 * asked, and no more work is done for a key that is nearly right; and right keys reach their own tenant and no other.
 */
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { TenantConfig } from '../../src/config/schema.ts';
import { WeirError } from '../../src/contract/errors.ts';
import { KEY_SCOPES } from '../../src/store/keys.ts';
import { createDirectory, identify, isStillKnown, requireScope, type TenantDirectory } from '../../src/tenant/identify.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { TenantLimits } from '../../src/tenant/limits.ts';
import { StoredKeys, type SharedKey } from '../../src/tenant/stored-keys.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { chatRequest, HELLO, rawRequest } from '../helpers/raw.ts';
import { runs, seed } from '../helpers/runs.ts';
import { CHAT_ANSWER, json } from '../helpers/upstream.ts';

t.setTimeout(180_000);

const tenant = (id: string, keys: TenantConfig['keys'] = []): TenantConfig => ({ id, policy: id, upstream: 'local', keys, fail_mode: 'closed', audit: {}, require_key: true }) as unknown as TenantConfig;

let changes = 0;
const shared = (tenantId: string, keyId: string, key: string, more: Partial<SharedKey> = {}): SharedKey => ({ key_id: keyId, tenant_id: tenantId, sha256: keyDigest(key), scopes: KEY_SCOPES, requests_per_minute: null, tokens_per_minute: null, expires_at: null, change: ++changes, revoked: false, ...more });

function who(directory: TenantDirectory, key: string, nowMs = 0): string {
  try {
    const found = identify(['authorization', `Bearer ${key}`], '', directory, nowMs);
    return `${found.tenant.id}/${found.keyId}`;
  } catch (error) {
    if (error instanceof WeirError) return error.code;
    throw error;
  }
}

async function start(t: Test, options: ProxyOptions): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER), ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

const KEYS = { acme: generateKey(), bravo: generateKey() };

t.test('a wrong key is a 401 that says nothing, and reaches no counter and no upstream', async (t) => {
  let asked = 0;
  const limits = new TenantLimits({ redis: () => ({ admits: true, run: async () => { asked++; return { ok: false as const }; } }) });
  const proxy = await start(t, { limits: { header_bytes_max: 2 * 1024 * 1024 }, tenants: [{ id: 'acme', keys: [{ id: 'k', sha256: keyDigest(KEYS.acme), expires_at: undefined }], limits: { requests_per_minute: 1000 } as TenantConfig['limits'] }], tenantLimits: limits });
  const bodies = new Set<string>();
  const ask = async (key: string): Promise<number> => {
    const { status, body } = await rawRequest(proxy.port, chatRequest(HELLO, [`Authorization: Bearer ${key}`]));
    if (status === 401) bodies.add(body.toString().replaceAll(/"request_id":"[^"]*"/g, '').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, ''));
    return status;
  };
  const hostile = ["' or '1'='1", '"; drop table tenant_keys; --', '__proto__', 'constructor', 'hasOwnProperty', 'toString', '..%2f', '%00', '${KEY}', '{{7*7}}', 'a'.repeat(1024 * 1024), 'weir_', KEYS.acme.slice(0, -1), `${KEYS.acme}0`, KEYS.acme.toLowerCase(), keyDigest(KEYS.acme), 'k', 'acme', KEYS.bravo];
  for (const key of hostile) t.equal(await ask(key), 401, `${key.slice(0, 40)} (${key.length})`);
  await t.resolves(fc.assert(fc.asyncProperty(fc.string({ unit: fc.constantFrom(...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))), minLength: 1, maxLength: 300 }), async (key) => (await ask(key)) === 401), { numRuns: runs(60), seed }));
  for (const key of ['ключ', '\u0000', 'a b', '\u{1f511}', 'a\tb']) {
    const { status } = await rawRequest(proxy.port, chatRequest(HELLO, [`Authorization: Bearer ${Buffer.from(key).toString('latin1')}`]));
    t.ok(status === 401 || status === 400, `${JSON.stringify(key)}: ${status}`);
  }
  t.equal(bodies.size, 1, 'all of them got the same words');
  t.notMatch([...bodies][0], /sha256|digest|expired at|tenant "/);
  t.same([asked, proxy.upstream.received.length], [0, 0], 'nobody was asked');
  t.equal(await ask(KEYS.acme), 200);
  t.equal(asked, 1, 'a right one is counted');
});

t.test('how much of a wrong key is right changes neither the work nor the answer', async (t) => {
  let lookups = 0;
  const counting = new StoredKeys();
  counting.take([shared('acme', 'k1', KEYS.acme)]);
  const find = counting.find.bind(counting);
  counting.find = (digest) => {
    lookups++;
    t.equal(digest.length, 64);
    return find(digest);
  };
  const directory = createDirectory([tenant('acme')], counting);
  const near = Array.from({ length: KEYS.acme.length }, (_, right) => KEYS.acme.slice(0, right).padEnd(KEYS.acme.length, '~'));
  for (const key of near) t.equal(who(directory, key), 'invalid_api_key');
  t.equal(lookups, near.length, 'one look for each, by the whole digest');

  // Ten thousand of each, in turns; what is compared is what one of them took in the middle.
  const medianOf = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1]!;
  counting.find = find;
  const [far, close] = [near[5]!, near.at(-1)!];
  const times = { far: [] as number[], close: [] as number[] };
  for (let i = 0; i < 10_000; i++) {
    for (const [name, key] of i % 2 === 0 ? [['far', far], ['close', close]] as const : [['close', close], ['far', far]] as const) {
      const startNs = process.hrtime.bigint();
      who(directory, key);
      times[name].push(Number(process.hrtime.bigint() - startNs));
    }
  }
  const [slow, quick] = [medianOf(times.far), medianOf(times.close)];
  t.comment(`medians of 10,000: ${slow} ns with 5 right characters, ${quick} ns with all but one`);
  t.ok(slow / quick < 2 && quick / slow < 2, `${slow} and ${quick} ns`);
});

t.test('property: a key reaches the tenant that it was made for while it holds, and no other at any time', async (t) => {
  const tenants = ['acme', 'bravo', 'charlie'].map((id) => tenant(id));
  // Keys that share all but one character, so that nothing but the whole of a key tells them apart.
  const stem = generateKey().slice(0, -1);
  const alike = [...'0123456789ABCDEF'].map((last) => stem + last);
  const step = fc.record({ key: fc.nat(alike.length - 1), tenant: fc.nat(tenants.length - 1), act: fc.constantFrom('make', 'revoke', 'rotate', 'late') });
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const stored = new StoredKeys();
    const directory = createDirectory(tenants, stored);
    /** What each key opens, and whose it ever was. */
    const opens = new Map<string, string>();
    const owner = new Map<string, string>();
    const past: SharedKey[] = [];
    const put = (key: SharedKey): void => {
      past.push(key);
      stored.take([key]);
    };
    for (const { key: at, tenant: of, act } of steps) {
      const key = alike[at]!;
      const mine = owner.get(key) ?? tenants[of]!.id;
      if (act === 'make' && !owner.has(key)) {
        owner.set(key, mine);
        opens.set(key, mine);
        put(shared(mine, `key_${at}`, key));
      } else if ((act === 'revoke' || act === 'rotate') && opens.has(key)) {
        opens.delete(key);
        put(shared(mine, `key_${at}`, key, { revoked: true }));
      } else if (act === 'late') stored.take(past.toReversed()); // what was said before comes again, in another order
      for (const one of alike) {
        const found = who(directory, one);
        const wanted = opens.has(one) ? `${opens.get(one)}/key_${alike.indexOf(one)}` : 'invalid_api_key';
        if (found !== wanted) return false;
      }
    }
    return [...owner.keys()].every((one) => who(directory, keyDigest(one)) === 'invalid_api_key');
  }), { numRuns: runs(200), seed }));
});

t.test('a key of the store: expired, for some uses, of a tenant that is gone, and who came in with it', async (t) => {
  const stored = new StoredKeys();
  const until = Date.parse('2030-01-01T00:00:00Z');
  stored.take([
    shared('acme', 'lasting', KEYS.acme, { expires_at: '2030-01-01T00:00:00.000Z', scopes: ['models'], requests_per_minute: 7 }), shared('gone', 'gone', KEYS.bravo), shared('acme', 'odd', 'wk-odd-time', { expires_at: 'no time' }),
  ]);
  const directory = createDirectory([tenant('acme'), tenant('bravo')], stored);
  t.same([who(directory, KEYS.acme, until - 1), who(directory, KEYS.acme, until), who(directory, KEYS.bravo), who(directory, 'wk-odd-time')], ['acme/lasting', 'invalid_api_key', 'invalid_api_key', 'invalid_api_key']);
  const found = identify(['x-api-key', KEYS.acme], '', directory, 0);
  t.match(found.key, { limits: { requests_per_minute: 7 }, scopes: ['models'] });
  t.doesNotThrow(() => requireScope(found, 'models'));
  t.throws(() => requireScope(found, 'screening'), { code: 'key_scope', status: 403 });
  t.same([isStillKnown(directory, found, 0), isStillKnown(directory, found, until)], [true, false]);
  stored.take([shared('acme', 'lasting', KEYS.acme, { revoked: true })]);
  t.equal(isStillKnown(directory, found, 0), false);
  const open = createDirectory([{ ...tenant('only'), require_key: false }], stored);
  const anybody = identify([], '', open, 0);
  t.equal(isStillKnown(open, anybody, 0), true);
  stored.take([shared('only', 'first', 'wk-made-up-first')]);
  t.equal(isStillKnown(open, anybody, 0), false, 'the first key of the only tenant ends what is open without one');
  const both = createDirectory([tenant('acme', [{ id: 'of-the-file', sha256: keyDigest('wk-both'), expires_at: undefined }]), tenant('bravo')], stored);
  stored.take([shared('bravo', 'of-the-store', 'wk-both')]);
  t.equal(who(both, 'wk-both'), 'acme/of-the-file', 'the configuration counts');
});
