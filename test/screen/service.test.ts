/**
 * The screening service: what it refuses, what it fills in, and that its decision is the plan's.
 */
import t from 'tap';
import { WeirError } from '../../src/contract/errors.ts';
import type { Segment } from '../../src/contract/exchange.ts';
import type { Policy, PolicyDecision, Rule } from '../../src/contract/policy.ts';
import type { Context, Direction } from '../../src/contract/screening.ts';
import type { ScreeningPlan } from '../../src/screen/plan.ts';
import { applyEdits } from '../../src/text/edits.ts';
import { answerScreening, BATCH_MAX, readScreeningRequest, screenOnce, type ServiceAnswer } from '../../src/screen/service.ts';
import { SOURCES_CHARS_MAX, SOURCE_BREAK } from '../../src/screen/sources.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';
import { ProxyUnderTest } from '../helpers/proxy.ts';

const defaults = { requestId: 'id-1', tenantId: 'acme', now: new Date(0) };
const minimal = { direction: 'input', content: 'hello' };

t.test('fills in what may be left out', async (t) => {
  t.same(readScreeningRequest(minimal, defaults), { ...minimal, request_id: 'id-1', tenant_id: 'acme', content_type: 'text', created_at: '1970-01-01T00:00:00.000Z' });
  const whole = { ...minimal, request_id: 'r', tenant_id: 'acme', content_type: 'image', user_id: 'u', session_id: 's', context: { a: 1, b: true, c: 'x' }, policy_set_id: 'p', created_at: '2026-01-01T00:00:00Z' };
  t.same(readScreeningRequest(whole, defaults), whole);
});

t.test('refuses what it does not know, without quoting it', async (t) => {
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [null, /not a JSON object/], [[], /not a JSON object/], ['text', /not a JSON object/],
    [{ direction: 'input' }, /content is missing/], [{ content: 'x' }, /direction is missing/],
    [{ ...minimal, direction: 'inward' }, /neither input nor output/], [{ ...minimal, content: 5 }, /content is not a string/],
    [{ ...minimal, content_type: 'video' }, /not one of text, image, audio/], [{ ...minimal, tenant_id: 'other' }, /not the tenant of the credential/],
    [{ ...minimal, secretText: 1 }, /unknown field/], [{ ...minimal, ['__proto__']: 1, constructor: 'x' }, /unknown field/],
    [{ ...minimal, user_id: '' }, /user_id is empty/], [{ ...minimal, user_id: 'u'.repeat(257) }, /longer than 256/],
    [{ ...minimal, context: [] }, /context is not an object/], [{ ...minimal, context: { a: { b: 1 } } }, /neither string, number nor boolean/],
    [{ ...minimal, context: { sources: 5 } }, /neither a text nor a list of texts/], [{ ...minimal, context: { sources: ['a', 5] } }, /neither a text nor a list of texts/],
    [{ ...minimal, context: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 1])) }, /more than 64 keys/],
  ];
  for (const [value, message] of wrong) {
    t.throws(() => readScreeningRequest(value, defaults), { code: 'invalid_request', message });
    try {
      readScreeningRequest(value, defaults);
    } catch (error) {
      t.notMatch((error as WeirError).message, /secretText|inward/);
    }
  }
});

t.test('sources are one text, or a list that becomes one, within their limit', async (t) => {
  const sourcesOf = (sources: unknown) => readScreeningRequest({ ...minimal, context: { sources, surface: 'kids' } }, defaults).context;
  t.same(sourcesOf('one'), { sources: 'one', surface: 'kids' });
  t.same(sourcesOf(['one', 'two']), { sources: `one${SOURCE_BREAK}two`, surface: 'kids' });
  t.equal(String(sourcesOf('x'.repeat(SOURCES_CHARS_MAX))!.sources).length, SOURCES_CHARS_MAX);
  const rest = SOURCES_CHARS_MAX - SOURCE_BREAK.length - 1;
  t.equal(String(sourcesOf(['x'.repeat(rest), 'y'])!.sources).length, SOURCES_CHARS_MAX);
  for (const sources of ['x'.repeat(SOURCES_CHARS_MAX + 1), ['x'.repeat(rest), 'yy']]) t.throws(() => sourcesOf(sources), { code: 'invalid_request', message: /more than 65536 characters/ });
});

/** A plan that finds `[2, 5)` and decides as told. */
function planThat(decision: Partial<PolicyDecision>, seen: { segments?: readonly Segment[]; context?: Context; direction?: Direction } = {}): ScreeningPlan {
  const found = { classifier_id: 'pii', category: 'EMAIL', score: 1, label: 'EMAIL', spans: [{ start: 2, end: 5 }], latency_ms: 0 };
  return {
    policy: { message: 'policy message' } as Policy,
    policyName: 'demo@1',
    async screen(segments, direction, context) {
      Object.assign(seen, { segments, direction, context });
      return { segments: segments.map((segment) => ({ segment, results: [found] })), classifiers: new Map([['pii', 'ok']]), latencyMs: 1.25 };
    },
    decide: () => ({ action: 'allow', matched: [], triggered_rules: [], degraded: [], ...decision }),
    recordFacts: () => ({ classifiers: ['pii'], content_types: ['text'] }),
    edits: () => [{ start: 2, end: 5, text: '[EMAIL]' }],
    forOutput: () => t.fail('not asked for') as never,
  } as Partial<ScreeningPlan> as ScreeningPlan;
}

const rule = (more: Partial<Rule>): Rule => ({ id: 'r', ...more }) as Rule;
const request = readScreeningRequest({ ...minimal, content: 'a bcd e', user_id: 'u', session_id: 's', context: { tenant: 'forged', surface: 'kids' } }, defaults);

t.test('passes one segment and the context, in which the caller cannot forge facts', async (t) => {
  const seen: { segments?: readonly Segment[]; context?: Context; direction?: Direction } = {};
  const decision = await screenOnce(request, planThat({}, seen), new Date(1));
  t.match(seen, { direction: 'input', segments: [{ content: 'a bcd e', history: false }], context: { tenant: 'acme', surface: 'kids', user: 'u', session: 's', direction: 'input', content_type: 'text', time: '1970-01-01T00:00:00.001Z' } });
  t.match(decision, { request_id: 'id-1', action: 'allow', policy: 'demo@1', decision_latency_ms: 1.25, created_at: '1970-01-01T00:00:00.001Z', classifier_results: [{ category: 'EMAIL' }] });
  t.notOk('modified_content' in decision || 'degraded' in decision);
});

t.test('an image or a recording that nobody judged is opaque, with what nobody could say of it; nothing at all is told', async (t) => {
  const missing = { classifier_id: 'pii', category: 'EMAIL', unknown: true, reason: 'unsupported', latency_ms: 0 } as const;
  const blind = (judged: boolean): ScreeningPlan => ({ ...planThat({ action: 'redact', rule: rule({}) }), screen: async (segments) => ({ segments: segments.map((segment) => ({ segment, results: [], unsupported: [missing], judged })), classifiers: new Map(), latencyMs: 0 }) });
  for (const content_type of ['image', 'audio'] as const) {
    const asked = readScreeningRequest({ ...minimal, content: 'QUJD', content_type }, defaults);
    const unread = await screenOnce(asked, blind(false), new Date(1));
    t.match(unread, { action: 'redact', classifier_results: [missing], coverage: { screened: [], opaque: [{ carrier: 'content', kind: content_type, treatment: 'pass' }], nothing_to_screen: true } });
    t.notOk('modified_content' in unread, 'there is no text to redact');
    t.same((await screenOnce(asked, blind(true), new Date(1))).coverage, { screened: ['content'], exempt: [], opaque: [] });
  }
  const empty = await screenOnce({ ...request, content: '' }, planThat({}), new Date(1));
  t.match(empty, { classifier_results: [], coverage: { screened: [], opaque: [], nothing_to_screen: true } });
  t.same((await screenOnce({ ...request, content: ' \n' }, planThat({}), new Date(1))).coverage, { screened: ['content'], exempt: [], opaque: [], nothing_to_screen: true });
  t.same((await screenOnce(request, planThat({}), new Date(1))).coverage, { screened: ['content'], exempt: [], opaque: [] });
});

t.test('redacts, replaces, or leaves the text alone', async (t) => {
  const decide = async (decision: Partial<PolicyDecision>) => screenOnce(request, planThat(decision), new Date(1));
  t.match(await decide({ action: 'redact', rule: rule({}), triggered_rules: ['r'], degraded: ['x'] }), { action: 'redact', modified_content: 'a [EMAIL] e', triggered_rules: ['r'], degraded: ['x'] });
  t.match(await decide({ action: 'replace', rule: rule({ message: 'own' }) }), { modified_content: 'own' });
  t.match(await decide({ action: 'replace', rule: rule({}) }), { modified_content: 'policy message' });
  t.match(await decide({ action: 'escalate', rule: rule({}) }), { action: 'escalate' });
});

t.test('edits are applied in place', async (t) => {
  t.equal(applyEdits('abc', []), 'abc');
  t.equal(applyEdits('abcdef', [{ start: 0, end: 1, text: 'X' }, { start: 3, end: 3, text: '-' }, { start: 5, end: 6, text: '' }]), 'Xbc-de');
});

// Batches.

const redacting = planOf(REDACT_PII);
const answer = (body: unknown): Promise<ServiceAnswer> => answerScreening(body, defaults, (policyId) => {
  if (policyId !== undefined) throw new WeirError('invalid_request', 'policy_set_id is not the policy of the tenant');
  return redacting;
});

t.test('a batch is answered in its order, and a bad item spoils no other', async (t) => {
  const { body, records } = await answer({ requests: [
    { direction: 'output', content: 'ask ana@example.com' }, { direction: 'output' }, { direction: 'input', content: 'fine', request_id: 'mine' }, 'text', { ...minimal, policy_set_id: 'laxer' }, { ...minimal, secretText: 'x' },
  ] });
  t.match(body, { decisions: [
    { request_id: 'id-1-0', action: 'redact', modified_content: 'ask [EMAIL]' }, { error: { code: 'invalid_request', type: 'invalid_request_error', param: null, message: /content is missing/ } },
    { request_id: 'mine', action: 'allow' }, { error: { message: /not a JSON object/ } }, { error: { message: /policy_set_id/ } }, { error: { message: /unknown field/ } },
  ] });
  t.notMatch(JSON.stringify(body), /secretText/);
  t.match(records, [{ direction: 'output', policy: redacting.policyName, record: { action: 'redact', triggered_rules: ['pii'], redactions: 1 } }, { direction: 'input', record: { action: 'allow', redactions: 0 } }]);
  t.equal(records.length, 2, 'what was refused decided nothing');
  t.notMatch(JSON.stringify(records), /ana@/);
});

t.test('a batch says what it is, and has a limit', async (t) => {
  const { body } = await answer({ requests: Array.from({ length: BATCH_MAX }, () => minimal) });
  t.equal((body as { decisions: unknown[] }).decisions.length, BATCH_MAX);
  for (const [wrong, message] of [[{ requests: Array.from({ length: BATCH_MAX + 1 }, () => minimal) }, /a batch of 101 requests, the limit is 100/], [{ requests: [] }, /not a list with anything in it/], [{ requests: {} }, /not a list/], [{ requests: [minimal], direction: 'input' }, /no field but requests/]] as const) {
    await t.rejects(answer(wrong), { code: 'invalid_request', message });
  }
});

t.test('a fault of ours is no item of a batch', async (t) => {
  const broken = { ...planThat({}), screen: () => Promise.reject(new TypeError('a fault')) } as unknown as ScreeningPlan;
  await t.rejects(answerScreening({ requests: [minimal] }, defaults, () => broken), { name: 'TypeError' });
});

t.test('over HTTP: the closing entry holds what was decided of all of them', async (t) => {
  const proxy = await ProxyUnderTest.start({ plan: redacting });
  t.teardown(() => proxy.close());
  const ask = (body: unknown) => fetch(`http://127.0.0.1:${proxy.port}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const batch = await ask({ requests: [{ direction: 'output', content: 'ask ana@example.com' }, minimal, { direction: 'output', content: 'bob@example.com and ana@example.com' }] });
  t.equal(batch.headers.get('x-weir-policy'), redacting.policyName);
  t.match(await batch.json(), { decisions: [{ action: 'redact' }, { action: 'allow' }, { action: 'redact' }] });
  t.match(await proxy.record(), { route: '/weir/v1/screen', outcome: 'completed', policy: redacting.policyName, input: { action: 'allow' }, output: { action: 'redact', redactions: 3, classifier_results: [{ classifier_id: 'pii', category: 'EMAIL', score: 1, count: 3 }] } });
  t.match([(await ask({ requests: [] })).status, (await proxy.record(2)).error_code], [400, 'invalid_request']);
  t.match(await (await ask({ direction: 'output', content: 'ask ana@example.com' })).json(), { action: 'redact', modified_content: 'ask [EMAIL]' });
  t.match(await proxy.record(3), { output: { action: 'redact', redactions: 1 } });
});
