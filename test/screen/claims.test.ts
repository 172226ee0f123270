/**
 * Plans under what callers claim: on random policies, with prompts and with answers in any cut, nothing leaves with a
 * claim that does not leave without it; and no classifier hears of one.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Segment } from '../../src/contract/exchange.ts';
import type { Context, ScreeningRequest } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { joinedEdits } from '../../src/screen/redaction.ts';
import { applyEdits, type TextEdit } from '../../src/text/edits.ts';
import { classifierOf, scored } from '../helpers/classifiers.ts';
import { accumulated, cutBytes, guarded } from '../helpers/guarded.ts';
import { testPii } from '../helpers/pii.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

const pii = testPii();
const planOf = (policy: string): ScreeningPlan => compilePlan(requirePolicy(policy, 'p.yaml'), [pii], { file: 'p.yaml', hashKey: Buffer.alloc(32, 5) });
const text = (content: string): Segment => ({ path: 'a', carrier: 'a', contentType: 'text', content, history: false });

/** What leaves of a prompt; undefined where nothing does. */
async function prompted(plan: ScreeningPlan, content: string): Promise<string | undefined> {
  const screened = await plan.screen([text(content)], 'input', {});
  const decision = plan.decide(screened, 'input', {});
  if (decision.action === 'block' || decision.action === 'replace') return undefined;
  return applyEdits(content, plan.edits(screened.segments[0]!.results, decision, text(content)));
}

function answered(plan: ScreeningPlan, content: string, cutSeed: number): string | undefined {
  const chat = cutsOf(content, cutSeed).map((piece) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: piece }, finish_reason: null }] })}\n\n`);
  const { bytes, blocked } = guarded(plan, cutBytes(Buffer.from(`${chat.join('')}data: [DONE]\n\n`), cutSeed, 50));
  return blocked ? undefined : accumulated(bytes)['0/content'] ?? '';
}

const REDACTED = `policy: p
rules:
  - { id: kids, priority: 1, when: { all: [ { context: surface, eq: kids }, { score: pii.CREDIT_CARD, gte: 0.5 } ] }, action: redact, redact: { style: mask, keep_last: 4 } }
  - { id: friend, priority: 2, when: { context: trust, eq: friend }, action: allow }
  - { id: strict, priority: 3, when: { context: surface, eq: strict }, action: escalate }
  - { id: mail, priority: 4, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }
`;
const SAID = 'write to ana@example.com or pay with 4111 1111 1111 1111 today';

t.test('the redactions of both decisions are made, in prompts and in answers', async (t) => {
  const plan = planOf(REDACTED);
  for (const [claims, expected] of [
    [undefined, 'write to [EMAIL] or pay with 4111 1111 1111 1111 today'],
    [{ surface: 'web' }, 'write to [EMAIL] or pay with 4111 1111 1111 1111 today'],
    [{ surface: 'kids' }, 'write to [EMAIL] or pay with **** **** **** 1111 today'],
    [{ surface: 'strict' }, 'write to [EMAIL] or pay with 4111 1111 1111 1111 today'],
    [{ trust: 'friend' }, 'write to [EMAIL] or pay with 4111 1111 1111 1111 today'],
  ] as const satisfies readonly (readonly [Context | undefined, string])[]) {
    const under = claims === undefined ? plan : plan.withClaims(claims);
    t.equal(await prompted(under, SAID), expected, JSON.stringify(claims));
    t.equal(answered(under, SAID, 3), expected, JSON.stringify(claims));
  }
  const strict = plan.withClaims({ surface: 'strict' });
  const screened = await strict.screen([text(SAID)], 'input', {});
  t.match(strict.decide(screened, 'input', {}), { action: 'escalate', triggered_rules: ['strict', 'mail'] });
  t.match(strict.recordFacts(screened, 'input', {}), { context: { surface: null, trust: null }, claims: { surface: 'strict' } });
  t.match(guarded(strict, [Buffer.from(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'x ana@example.com' } }] })}\n\n`)]).summary.decision, { triggered_rules: ['strict', 'mail'], redactions: 1 });
});

t.test('classifiers hear of no claim', async (t) => {
  const asked: ScreeningRequest[] = [];
  const judge = classifierOf('judge', (request) => {
    asked.push(request);
    return [scored('judge', request.context?.surface === 'web' ? 0 : 0.9)];
  });
  const plan = compilePlan(requirePolicy('policy: p\nrules: [ { id: r, when: { score: judge.toxic, gte: 0.5 }, action: block } ]', 'p.yaml'), [judge], { file: 'p.yaml', deadlineMs: 60_000 }).withClaims({ surface: 'web' });
  t.equal(plan.decide(await plan.screen([text('x')], 'input', { user: 'u' }), 'input', { user: 'u' }).action, 'block');
  await plan.forOutput({ user: 'u' }).scoring!.open()({ start: 0, end: 1, text: 'x', before: '' });
  t.same(asked.map(({ context }) => context?.surface), [undefined, undefined]);
});

const anyContext = fc.record({ context: fc.constantFrom('surface', 'trust'), eq: fc.constantFrom('a', 'b') });
const anyScore = fc.record({ score: fc.constantFrom('pii.EMAIL', 'pii.CREDIT_CARD', 'patterns.word', 'pii.*'), gte: fc.constant(0.5) });
const anyWhen = fc.oneof(anyScore, fc.record({ all: fc.tuple(anyContext, anyScore) }), fc.record({ all: fc.tuple(fc.record({ not: anyContext }), anyScore) }), fc.record({ any: fc.tuple(anyContext, anyScore) }));
const anyRule = fc.oneof(
  fc.record({ when: anyWhen, action: fc.constantFrom('allow', 'warn', 'replace', 'block', 'escalate') }),
  fc.record({ when: anyWhen, action: fc.constant('redact'), redact: fc.constantFrom({ style: 'label' }, { style: 'hash' }, { style: 'mask' }, { style: 'mask', keep_last: 8 }) }),
);
const anyPolicy = fc.array(anyRule, { minLength: 1, maxLength: 5 }).map((rules) => JSON.stringify({
  policy: 'p', message: 'no', patterns: [{ id: 'word', regex: 'example.com or [a-z]{1,20}' }, { id: 'other', literal: ['pay'] }], rules: rules.map((rule, i) => ({ ...rule, id: `r${i}` })),
}));

/** Every stretch of three characters that leaves of the secrets. */
function shown(said: string): ReadonlySet<string> {
  const stretches = ['ana@example.com', '4111 1111 1111 1111'].flatMap((secret) => Array.from({ length: secret.length - 2 }, (_, i) => secret.slice(i, i + 3)));
  return new Set(stretches.filter((stretch) => said.includes(stretch)));
}

t.test('on random policies no claim lets anything out', async (t) => {
  let [stricter, all] = [0, 0];
  await fc.assert(fc.asyncProperty(anyPolicy, fc.record({ surface: fc.constantFrom('a', 'b', 'c'), trust: fc.constantFrom('a', 'b', 'c') }), fc.integer(), async (policy, claims, cutSeed) => {
    const plan = planOf(policy);
    const under = plan.withClaims(claims);
    for (const [without, withThem] of [[await prompted(plan, SAID), await prompted(under, SAID)], [answered(plan, SAID, cutSeed), answered(under, SAID, cutSeed)]]) {
      all += 1;
      if (withThem !== without) stricter += 1;
      if (withThem === undefined) continue;
      if (without === undefined || [...shown(withThem)].some((stretch) => !shown(without).has(stretch))) return false;
    }
    return true;
  }), { numRuns: runs(150), seed });
  t.comment(`claims changed ${stricter} of ${all}`);
  t.ok(stricter > 0);
});

t.test('two lists of replacements become one: both are covered, and what stands there the first say', async () => {
  const LENGTH = 24;
  const anyEdits = fc.array(fc.tuple(fc.integer({ min: 0, max: LENGTH - 1 }), fc.integer({ min: 1, max: 6 })), { maxLength: 4 }).map((spans) => {
    const edits: TextEdit[] = [];
    for (const [start, chars] of [...spans].sort((a, b) => a[0] - b[0])) if (start >= (edits.at(-1)?.end ?? 0)) edits.push({ start, end: Math.min(LENGTH, start + chars), text: '' });
    return edits;
  });
  const covers = (edits: readonly TextEdit[], at: number): boolean => edits.some(({ start, end }) => start <= at && at < end);
  fc.assert(fc.property(anyEdits, anyEdits, (a, b) => {
    const [first, second] = [a.map((edit, i) => ({ ...edit, text: `a${i}` })), b.map((edit, i) => ({ ...edit, text: `b${i}` }))];
    const joined = joinedEdits(first, second);
    const sound = joined.every(({ start }, i) => i === 0 || start >= joined[i - 1]!.end);
    const whole = Array.from({ length: LENGTH }, (_, at) => covers(joined, at) === (covers(first, at) || covers(second, at))).every(Boolean);
    const said = joined.every(({ start, end, text: what }) => {
      const inside = first.find((edit) => edit.start < end && edit.end > start);
      return what === (inside ?? second.find((edit) => edit.start >= start)!).text;
    });
    return sound && whole && said;
  }), { numRuns: runs(2000), seed });
});
