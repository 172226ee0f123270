/** How often people judge otherwise: what is a false positive of which rule, and what an interval says. */
import fc from 'fast-check';
import t from 'tap';
import { retroactiveActionOf, type Resolution } from '../../src/contract/review.ts';
import { ACTIONS } from '../../src/contract/screening.ts';
import { overridesOf, type Outcome } from '../../src/review/overrides.ts';
import { wilson } from '../../src/risk/intervals.ts';
import { runs, seed } from '../helpers/runs.ts';

const outcome = (more: Partial<Outcome>): Outcome => ({ policy: 'p@1', triggered_rules: [], near_rules: [], origin: 'escalate', action: 'escalate', resolution: 'allow', count: 1, ...more });

t.test('what is to be taken back', async (t) => {
  for (const [action, resolution, prior, hold, expected] of [
    ['allow', 'block', null, null, 'withdraw'], ['warn', 'block', null, null, 'withdraw'], ['escalate', 'block', null, null, 'withdraw'], ['allow', 'allow', null, null, undefined],
    ['block', 'allow', null, null, 'reinstate'], ['replace', 'allow', null, null, 'reinstate'], ['redact', 'allow', null, null, 'reinstate'], ['redact', 'block', null, null, undefined], ['block', 'block', null, null, undefined],
    ['block', 'escalate_legal', null, null, undefined], ['allow', 'allow', 'block', null, 'reinstate'], ['allow', 'block', 'block', null, undefined], ['block', 'block', 'allow', null, 'withdraw'], ['block', 'allow', 'escalate_legal', null, 'reinstate'],
    ['escalate', 'allow', null, 'block', 'reinstate'], ['block', 'block', null, 'timeout', undefined],
  ] as const) t.equal(retroactiveActionOf({ action, hold_outcome: hold }, resolution, prior), expected, `${action}, then ${prior}, then ${resolution}`);
});

t.test('of what waited for a person: what they said in time, or else what was done then', async (t) => {
  const held = (hold_outcome: string | null, hold_then: 'allow' | 'block', resolution: Resolution) => retroactiveActionOf({ action: 'escalate', hold_outcome, hold_then }, resolution, null);
  t.same([held('allow', 'block', 'allow'), held('block', 'allow', 'block')], [undefined, undefined], 'it was done as they said');
  t.same([held('timeout', 'block', 'allow'), held('timeout', 'block', 'block'), held('timeout', 'allow', 'block'), held(null, 'block', 'allow')], ['reinstate', undefined, 'withdraw', 'reinstate']);
});

t.test('by rule, over revisions; what is passed on was not judged', async (t) => {
  const { rules, all, sample } = overridesOf([
    outcome({ triggered_rules: ['hate'], count: 3 }), outcome({ policy: 'p@2', triggered_rules: ['hate'], resolution: 'block', count: 9 }), outcome({ triggered_rules: ['hate'], resolution: 'escalate_legal', count: 100 }),
    outcome({ policy: 'q@1', triggered_rules: ['hate'] }), outcome({ origin: 'uncertain', near_rules: ['spam'], action: 'allow', resolution: 'block', count: 2 }), outcome({ origin: 'uncertain', near_rules: ['hate'], triggered_rules: ['hate'], action: 'block', resolution: 'block' }),
    outcome({ origin: 'sample', action: 'allow', count: 98 }), outcome({ origin: 'sample', action: 'allow', resolution: 'block', count: 2 }), outcome({ origin: 'sample', action: 'block', resolution: 'allow', count: 1 }),
  ]);
  t.match(rules, [
    { policy: 'p', rule: 'hate', false_positives: { judged: 13, of: 3 }, near_misses: null },
    { policy: 'q', rule: 'hate', false_positives: { judged: 1, of: 1 }, near_misses: null },
    { policy: 'p', rule: 'spam', false_positives: null, near_misses: { judged: 2, of: 2 } },
  ]);
  t.match(all, { judged: 3 + 9 + 1 + 2 + 1 + 98 + 2 + 1, of: 9 + 2 + 2 + 1 });
  t.match(sample, { withdraw: { judged: 100, of: 2, rate: 0.02 }, reinstate: { judged: 1, of: 1 } });
  t.same(overridesOf([]), { rules: [], all: null, sample: { withdraw: null, reinstate: null } });
});

t.test('the interval is that of the literature', async (t) => {
  const { low, high } = wilson(2, 200);
  t.ok(Math.abs(low - 0.0027) < 0.0001 && Math.abs(high - 0.0357) < 0.0001, `${low} ${high}`);
  fc.assert(fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (judged, share) => {
    const of = Math.round(judged * share);
    const one = wilson(of, judged);
    return one.low >= 0 && one.high <= 1 && one.low <= of / judged + 1e-12 && one.high >= of / judged - 1e-12 && one.low < one.high;
  }), { numRuns: runs(300), seed });
});

t.test('property: every judged item counts once in all, and once for each of its rules', async () => {
  const row = fc.record({ policy: fc.constantFrom('p@1', 'p@2', 'q@1'), triggered_rules: fc.subarray(['a', 'b']), near_rules: fc.subarray(['b', 'c']), origin: fc.constantFrom('escalate', 'uncertain', 'sample', 'appeal'), action: fc.constantFrom(...ACTIONS), resolution: fc.constantFrom<Resolution>('allow', 'block', 'escalate_legal'), count: fc.integer({ min: 1, max: 50 }) });
  fc.assert(fc.property(fc.array(row as fc.Arbitrary<Outcome>), (outcomes) => {
    const { rules, all, sample } = overridesOf(outcomes);
    const judged = outcomes.filter(({ resolution }) => resolution !== 'escalate_legal');
    const sum = (of: readonly Outcome[]): number => of.reduce((total, { count }) => total + count, 0);
    const fired = rules.reduce((total, { false_positives: rate }) => total + (rate?.judged ?? 0), 0);
    return (all?.judged ?? 0) === sum(judged) && fired === judged.reduce((total, { triggered_rules: own, count }) => total + own.length * count, 0)
      && (sample.withdraw?.judged ?? 0) + (sample.reinstate?.judged ?? 0) === sum(judged.filter(({ origin }) => origin === 'sample'));
  }), { numRuns: runs(300), seed });
});
