/** Which sessions a canary takes: a stable share, by a keyed hash, whatever else changes. */
import t from 'tap';
import { ClassifierPool, ensureHashKey, loadRuntime } from '../../src/runtime.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { canaryOf, planUnder, type Caller } from '../../src/screen/canary.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { answerScreening } from '../../src/screen/service.ts';

const policy = requirePolicy('policy: main\n', 'p.yaml');
const other = compilePlan(requirePolicy('policy: next\ndefault_action: block\n', 'n.yaml'), [], { file: 'n.yaml' });
const ownOf = (byte: number) => ({ failMode: 'closed' as const, hashKey: Buffer.alloc(32, byte) });
const takenBy = (share: number, callers: readonly Caller[], byte = 1, by = policy): readonly Caller[] => callers.filter((caller) => canaryOf(by, { plan: other, share }, ownOf(byte)).takes(caller));
const SESSIONS = Array.from({ length: 4000 }, (_, i): Caller => ({ sessionId: `session-${i}`, requestId: 'r' }));

t.test('a share is a share, a larger one adds sessions, and all or none are all or none', async (t) => {
  t.equal(takenBy(0, SESSIONS).length, 0);
  t.equal(takenBy(1, SESSIONS).length, SESSIONS.length);
  const [some, more] = [takenBy(0.05, SESSIONS), takenBy(0.25, SESSIONS)];
  // Five standard deviations of the binomial distribution.
  for (const [share, { length }] of [[0.05, some], [0.25, more]] as const) t.ok(Math.abs(length - share * SESSIONS.length) < 5 * Math.sqrt(SESSIONS.length * share * (1 - share)), `${share}: ${length} of ${SESSIONS.length}`);
  t.ok(some.every((caller) => more.includes(caller)));
});

t.test('it is the session that counts, then the user, the key, the request', async (t) => {
  const half = (caller: Caller): boolean => takenBy(0.5, [caller]).length === 1;
  for (let i = 0; i < 40; i += 1) {
    const [id, rest] = [`id-${i}`, { requestId: `r-${i}` }];
    t.equal(half({ sessionId: id, userId: 'x', keyId: 'x', requestId: 'x' }), half({ sessionId: id, userId: undefined, ...rest }));
    t.equal(half({ userId: id, keyId: 'x', requestId: 'x' }), half({ userId: id, ...rest }));
    t.equal(half({ keyId: id, requestId: 'x' }), half({ keyId: id, ...rest }));
  }
  const chosen = (kind: 'sessionId' | 'userId' | 'keyId' | 'requestId') => takenBy(0.5, Array.from({ length: 64 }, (_, i) => ({ requestId: 'r', [kind]: `id-${i}` }))).map((caller) => caller[kind]).join();
  t.equal(new Set([chosen('sessionId'), chosen('userId'), chosen('keyId'), chosen('requestId')]).size, 4, 'a user is no session of the same name');
});

t.test('who has another key, or another policy, has other sessions', async (t) => {
  const ids = (callers: readonly Caller[]): string => callers.map(({ sessionId }) => sessionId).join();
  t.equal(ids(takenBy(0.1, SESSIONS)), ids(takenBy(0.1, SESSIONS)));
  t.not(ids(takenBy(0.1, SESSIONS)), ids(takenBy(0.1, SESSIONS, 2)));
  t.not(ids(takenBy(0.1, SESSIONS)), ids(takenBy(0.1, SESSIONS, 1, requirePolicy('policy: third\n', 'p.yaml'))));
  t.equal(ids(takenBy(0.1, SESSIONS)), ids(takenBy(0.1, SESSIONS, 1, requirePolicy('policy: main\ndescription: changed\n', 'p.yaml'))), 'a new revision keeps them');
});

t.test('from files: sessions stay where they are over restarts and reloads; the canary decides alone', async (t) => {
  const dir = t.testdir({ policies: {
    'main.yaml': 'policy: main\ncanary: { policy: next, share: 50% }\nshadow: next\n', 'next.yaml': 'policy: next\ndefault_action: block\nshadow: third\ncanary: { policy: third, share: 100% }\n', 'third.yaml': 'policy: third\n',
  } });
  const config = (more = {}) => ({ config: { data_dir: dir, upstreams: { u: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 't', policy: 'main', upstream: 'u', keys: [], ...more }] }, dir });
  ensureHashKey(dir);
  const sessions = SESSIONS.slice(0, 200);
  const plansOf = async (more = {}) => {
    const pool = new ClassifierPool();
    t.teardown(() => pool.close());
    const { plans } = await loadRuntime(config(more), {}, pool);
    const plan = plans.get('t')!;
    return { plan, under: sessions.map((caller) => planUnder(plan, caller).policy.id) };
  };
  const first = await plansOf();
  t.same([...new Set(first.under)].sort(), ['main', 'next']);
  t.same((await plansOf()).under, first.under);
  t.same((await plansOf({ fail_mode: 'open', product: 'changed' })).under, first.under);
  const { canary } = first.plan;
  t.ok(first.plan.shadowed);
  t.equal(canary?.plan.shadowed, undefined, 'without its own shadow');
  t.equal(canary?.plan.canary, undefined, 'and without its own canary');

  const at = first.under.indexOf('next');
  const defaults = { requestId: 'r', tenantId: 't', now: new Date(0) };
  const { body, records } = await answerScreening({ requests: [at, first.under.indexOf('main')].map((i) => ({ content: 'hello', direction: 'input', session_id: sessions[i]!.sessionId })) }, defaults, () => first.plan);
  t.match(body, { decisions: [{ action: 'block', policy: /^next@/ }, { action: 'allow', policy: /^main@/ }] }, 'the screening service too');
  t.match(records.map(({ record: { shadow } }) => shadow), [undefined, { policy: /^next@/, action: 'block' }]);
});
