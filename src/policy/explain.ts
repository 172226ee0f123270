/**
 * The decision with its reasons: for every rule what became of it, for every leaf what was compared. Pure.
 *
 * A rule that asks who said it was tried once for each role; the trace is of the one that it holds about, else of one of
 * which it is not known, else of the first.
 *
 * INVARIANT: `explain(…).decision` is what `decide(…)` returns; each rule that was tried has the value decide saw.
 * The trace holds names, scores and context values, and no text of the exchange. It is made for people who ask and is
 * not on the path.
 */
import type { Condition, FailMode, Facts, OperatorValue, Policy, PolicyDecision, Rule } from '../contract/policy.ts';
import type { Action, ContentType, ContextValue } from '../contract/screening.ts';
import { decide, failModeOf, holdOf } from './decide.ts';
import { readsRole, viewsByRole } from './roles.ts';
import { withTimeOfDay } from './time.ts';
import { CONTENT_TYPE, FALSE, TRUE, UNKNOWN, askedTypes, knownScores, truthOf, type Truth } from './truth.ts';

export const RULE_STATES = ['true', 'false', 'unknown', 'not_reached', 'other_direction', 'disabled'] as const;
export type RuleState = (typeof RULE_STATES)[number];

/** `unread`: types of what is there that a classifier under the leaf does not read. */
export type Trace =
  | { readonly kind: 'all' | 'any' | 'not'; readonly value: TraceValue; readonly of: readonly Trace[] }
  | { readonly kind: 'score'; readonly value: TraceValue; readonly test: string; readonly scores: readonly number[]; readonly missing: boolean; readonly unread?: readonly ContentType[] }
  | { readonly kind: 'context'; readonly value: TraceValue; readonly test: string; readonly actual?: ContextValue };

export type TraceValue = 'true' | 'false' | 'unknown';

export interface RuleTrace {
  readonly rule: Rule;
  readonly state: RuleState;
  /** In words: why the rule decided, or why it did not. */
  readonly reason: string;
  /** Absent for a rule that was not tried. */
  readonly trace?: Trace;
}

export interface Explanation {
  readonly decision: PolicyDecision;
  readonly rules: readonly RuleTrace[];
}

export function explain(policy: Policy, facts: Facts, tenantFailMode: FailMode): Explanation {
  const decision = decide(policy, facts, tenantFailMode);
  facts = withTimeOfDay(facts, policy);
  let decided = false;
  const rules = policy.rules.map((rule): RuleTrace => {
    if (!rule.enabled) return { rule, state: 'disabled', reason: 'the rule is switched off' };
    if (rule.direction !== 'both' && rule.direction !== facts.direction) return { rule, state: 'other_direction', reason: `the rule looks at ${rule.direction}` };
    if (decided) return { rule, state: 'not_reached', reason: 'an earlier rule decided' };
    const asked = askedTypes(rule.when);
    const views = viewsByRole(readsRole(rule.when) ? facts : { ...facts, roles: undefined }, asked).map((view) => view.facts);
    const seen = views.reduce((most, view) => (truthOf(rule.when, view) > truthOf(rule.when, most) ? view : most));
    const trace = traceOf(rule.when, seen);
    const failMode = failModeOf(rule, policy, tenantFailMode);
    if (trace.value === 'unknown' && views.every((view) => waits(rule.when, view))) return { rule, state: 'unknown', reason: 'it waits for scores that are heard later', trace };
    decided = trace.value === 'true' || (trace.value === 'unknown' && failMode === 'closed');
    const missing = seen.classifiers === facts.classifiers ? 'a score is missing' : `a score is missing, since not every classifier reads ${asked.join(' and ')},`;
    return { rule, state: trace.value, reason: reasonOf(trace.value, failMode, missing), trace };
  });
  return { decision, rules };
}

/** What commands print with `--json`, and what the API answers. */
export interface ExplanationJson {
  /** `id@revision` */
  readonly policy: string;
  readonly action: Action;
  readonly triggered_rules: readonly string[];
  readonly degraded: readonly string[];
  /** How the decision would wait for a person. Nothing waits here. */
  readonly hold?: { readonly for_ms: number; readonly then: Action };
  readonly rules: readonly (Omit<RuleTrace, 'rule'> & { readonly rule: string; readonly action: Action })[];
}

export function explanationJson({ id, revision }: Pick<Policy, 'id' | 'revision'>, { decision, rules }: Explanation): ExplanationJson {
  const { action, triggered_rules, degraded } = decision;
  const hold = holdOf(decision);
  return { policy: `${id}@${revision}`, action, triggered_rules, degraded, ...(hold === undefined ? {} : { hold: { for_ms: hold.forMs, then: hold.then } }), rules: rules.map(({ rule, ...traced }) => ({ rule: rule.id, action: rule.action, ...traced })) };
}

/** Known if those that are heard later had found nothing: theirs to decide. */
function waits(when: Condition, facts: Facts): boolean {
  return facts.deferred !== undefined && truthOf(when, { ...facts, deferred: undefined }) !== UNKNOWN;
}

function reasonOf(value: TraceValue, failMode: FailMode, missing: string): string {
  if (value === 'true') return 'its condition holds';
  if (value === 'false') return 'its condition does not hold';
  return `${missing} and the rule fails ${failMode}`;
}

function traceOf(condition: Condition, facts: Facts): Trace {
  const value = nameOf(truthOf(condition, facts));
  switch (condition.kind) {
    case 'all':
    case 'any':
      return { kind: condition.kind, value, of: condition.of.map((branch) => traceOf(branch, facts)) };
    case 'not':
      return { kind: 'not', value, of: [traceOf(condition.of, facts)] };
    case 'score': {
      const { scores, unknown } = knownScores(facts, condition.classifier, condition.category);
      return { kind: 'score', value, test: `${condition.classifier}.${condition.category} ${condition.operator} ${formatValue(condition.value)}`, scores, missing: unknown, ...unreadBy(condition.classifier, facts) };
    }
    case 'context': {
      const actual = actualOf(condition.key, facts);
      return { kind: 'context', value, test: `${condition.key} ${condition.operator} ${formatValue(condition.value)}`, ...actual };
    }
  }
}

function unreadBy(classifier: string, { classifiers, contentTypes = [], reads }: Facts): { readonly unread?: readonly ContentType[] } {
  const ids = classifier === '*' ? [...classifiers.keys()] : [classifier];
  const unread = contentTypes.filter((type) => ids.some((id) => reads?.get(id)?.includes(type) === false));
  return unread.length === 0 ? {} : { unread };
}

function actualOf(key: string, { context, contentTypes }: Facts): { readonly actual?: ContextValue } {
  if (key === CONTENT_TYPE && contentTypes !== undefined) return { actual: contentTypes.join(', ') };
  return Object.hasOwn(context, key) ? { actual: context[key] } : {};
}

function nameOf(truth: Truth): TraceValue {
  return truth === TRUE ? 'true' : truth === FALSE ? 'false' : 'unknown';
}

function formatValue(value: OperatorValue): string {
  return Array.isArray(value) ? `${value[0]}–${value[1]}` : String(value);
}
