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
import { readScreeningRequest, screenOnce } from '../../src/screen/service.ts';

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
    edits: () => [{ start: 2, end: 5, text: '[EMAIL]' }],
    forOutput: () => t.fail('not asked for') as never,
  } as Partial<ScreeningPlan> as ScreeningPlan;
}

const rule = (more: Partial<Rule>): Rule => ({ id: 'r', ...more }) as Rule;
const request = readScreeningRequest({ ...minimal, content: 'a bcd e', user_id: 'u', session_id: 's', context: { tenant: 'forged', surface: 'kids' } }, defaults);

t.test('passes one segment and the context, in which the caller cannot forge facts', async (t) => {
  const seen: { segments?: readonly Segment[]; context?: Context; direction?: Direction } = {};
  const decision = await screenOnce(request, planThat({}, seen), new Date(1));
  t.match(seen, { direction: 'input', segments: [{ content: 'a bcd e', history: false }], context: { tenant: 'acme', surface: 'kids', user: 'u', session: 's', direction: 'input', content_type: 'text' } });
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
