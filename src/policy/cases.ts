/**
 * Runs the cases of a policy: assumed scores through `decide`, texts through the stage that is given, which screens them
 * as an exchange would be. A case passes when the action, the rules that decided and, where it says so, the text are
 * those expected: the right action for the wrong reason fails. Pure but for the stage; a case knows nothing of another.
 */
import type { ConfigIssue } from '../contract/errors.ts';
import type { FailMode, Facts, Policy, PolicyCase, Rule } from '../contract/policy.ts';
import type { Action, ClassifierResult, Context, Direction, UnknownReason } from '../contract/screening.ts';
import { decide } from './decide.ts';
import { explain, type Explanation } from './explain.ts';
import { scoreNames } from './truth.ts';

export const CASE_STATES = ['PASS', 'FAIL', 'ERROR'] as const;
/** ERROR: the case could not be run. */
export type CaseState = (typeof CASE_STATES)[number];

/** What came of a text, on one way through. */
export interface CaseOutcome {
  /** In words: `whole`, `in pieces of 3 characters`. */
  readonly way: string;
  readonly action: Action;
  /** The rules that decided. */
  readonly rules: readonly string[];
  /** What comes out; absent where that cannot be told. */
  readonly text?: string;
}

/** A text screened; the first way is the plainest. */
export interface StagedCase {
  readonly facts: Facts;
  readonly outcomes: readonly [CaseOutcome, ...CaseOutcome[]];
}

/** Where a policy's cases are run. */
/** Whether only rules reach the category that name it. */
export type IsNamed = (classifier: string, category: string) => boolean;

export interface CaseStage {
  readonly policy: Policy;
  /** For rules and policies that do not say `on_unknown`. */
  readonly failMode: FailMode;
  readonly isNamed: IsNamed;
  /** `assumed`: results in place of those that their classifiers would give. */
  screen(text: string, direction: Direction, context: Context, assumed: readonly ClassifierResult[] | undefined): Promise<StagedCase>;
}

export interface CaseResult {
  readonly name: string;
  readonly state: CaseState;
  /** What differs from what was expected, or why the case could not be run. */
  readonly problems: readonly string[];
  /** The rules that decided. */
  readonly rules: readonly string[];
  /** Of a case that failed. */
  readonly explanation?: Explanation;
  readonly took_ms: number;
}

export interface CaseReport {
  readonly policy: string;
  readonly revision: string;
  readonly cases: readonly CaseResult[];
  /** Ids of the rules that are switched on and that no case makes decide; absent where not all cases were run. */
  readonly uncovered?: readonly string[];
}

export interface CaseOptions {
  /** Runs only these. */
  readonly only?: (entry: PolicyCase) => boolean;
  readonly onResult?: (result: CaseResult) => void;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** One policy's cases, or why they could not be run. */
export interface PolicyTest {
  /** Where the policy stands. */
  readonly file: string;
  readonly issues: readonly ConfigIssue[];
  readonly report?: CaseReport;
}

/** Something that whoever runs them must look at. `coverage`: a rule that no case makes decide is one. */
export function hasFindings(tests: readonly PolicyTest[], coverage = false): boolean {
  return tests.some(({ report }) => report === undefined || report.cases.some(({ state }) => state !== 'PASS') || (coverage && (report.uncovered ?? []).length > 0));
}

/** What commands print with `--json`, and what the API answers. */
export function testJson(tests: readonly PolicyTest[], coverage = false): object {
  return { ok: !hasFindings(tests, coverage), policies: tests.map(({ file, issues, report }) => ({ file, issues, ...(report === undefined ? {} : { ...report, cases: report.cases.map(caseJson) }) })) };
}

function caseJson({ explanation, ...result }: CaseResult): object {
  return { ...result, ...(explanation === undefined ? {} : { explanation: explanation.rules.map(({ rule, ...traced }) => ({ rule: rule.id, ...traced })) }) };
}

export async function runCases(stage: CaseStage, { only = () => true, onResult, clock }: CaseOptions): Promise<CaseReport> {
  const { policy } = stage;
  const all = policy.cases ?? [];
  const chosen = all.filter(only);
  const cases: CaseResult[] = [];
  for (const entry of chosen) {
    const startedMs = clock();
    const result = { ...(await runCase(stage, entry)), took_ms: clock() - startedMs };
    cases.push(result);
    onResult?.(result);
  }
  const report = { policy: policy.id, revision: policy.revision, cases };
  return chosen.length < all.length ? report : { ...report, uncovered: uncoveredRules(policy.rules, cases) };
}

type Untimed = Omit<CaseResult, 'took_ms'>;

async function runCase(stage: CaseStage, entry: PolicyCase): Promise<Untimed> {
  try {
    const { facts, outcomes } = entry.text === undefined ? assumedCase(stage, entry) : await stage.screen(entry.text, entry.direction, entry.context, assumedResults(entry.scores, stage.isNamed));
    const problems = outcomes.map((outcome, index) => problemsOf(outcome, entry.expect).map((problem) => (index === 0 ? problem : `${outcome.way}: ${problem}`)));
    // Where it fails as a whole, the other ways say the same again.
    const first = problems.find((found) => found.length > 0) ?? [];
    const { rules } = outcomes[0];
    if (first.length === 0) return { name: entry.name, state: 'PASS', problems: [], rules };
    return { name: entry.name, state: 'FAIL', problems: first, rules, explanation: explain(stage.policy, facts, stage.failMode) };
  } catch (error) {
    return { name: entry.name, state: 'ERROR', problems: [error instanceof Error ? error.message : String(error)], rules: [] };
  }
}

// Assumed scores.

function assumedCase({ policy, failMode, isNamed }: CaseStage, { scores = {}, direction, context }: PolicyCase): StagedCase {
  const facts = assumedFacts(policy, scores, direction, context, isNamed);
  const { action, triggered_rules: rules } = decide(policy, facts, failMode);
  return { facts, outcomes: [{ way: 'assumed', action, rules }] };
}

export type AssumedScores = NonNullable<PolicyCase['scores']>;

/** The facts when every classifier that the policy reads has answered: with these scores, and with nothing found besides. */
export function assumedFacts(policy: Policy, scores: AssumedScores, direction: Direction, context: Context, isNamed: IsNamed): Facts {
  const results = assumedResults(scores, isNamed);
  const asked = [...policy.rules.flatMap(({ when }) => scoreNames(when)), ...results.map(({ classifier_id: classifier }) => ({ classifier }))];
  const classifiers = new Map<string, 'ok' | UnknownReason>(asked.filter(({ classifier }) => classifier !== '*').map(({ classifier }) => [classifier, 'ok']));
  return { direction, results, classifiers, context: { direction, ...context }, contentTypes: [contentTypeOf(context)] };
}

const contentTypeOf = ({ content_type: type }: Context): 'text' | 'image' | 'audio' => (type === 'image' || type === 'audio' ? type : 'text');

export function assumedResults(scores: AssumedScores, isNamed: IsNamed): readonly ClassifierResult[];
export function assumedResults(scores: AssumedScores | undefined, isNamed: IsNamed): readonly ClassifierResult[] | undefined;
export function assumedResults(scores: AssumedScores | undefined, isNamed: IsNamed): readonly ClassifierResult[] | undefined {
  if (scores === undefined) return undefined;
  return Object.entries(scores).map(([name, score]): ClassifierResult => {
    const dot = name.indexOf('.');
    const [classifier, category] = [name.slice(0, dot), name.slice(dot + 1)];
    const result = { classifier_id: classifier, category, latency_ms: 0, ...(isNamed(classifier, category) ? { named: true as const } : {}) };
    return score === 'unknown' ? { ...result, unknown: true, reason: 'unavailable' } : { ...result, score, label: result.category, spans: [] };
  });
}

/** A screening's results, with the assumed results in place of what their classifiers said. */
export function withAssumed(results: readonly ClassifierResult[], assumed: readonly ClassifierResult[]): readonly ClassifierResult[] {
  const given = new Set(assumed.map(({ classifier_id: id }) => id));
  return [...results.filter(({ classifier_id: id }) => !given.has(id)), ...assumed];
}

// What was expected.

const QUOTED_CHARS_MAX = 80;

function problemsOf({ action, rules, text }: CaseOutcome, expect: PolicyCase['expect']): readonly string[] {
  const problems: string[] = [];
  if (action !== expect.action) problems.push(`action: expected ${expect.action}, got ${action}`);
  if (expect.rules !== undefined && !sameNames(expect.rules, rules)) problems.push(`rules: expected ${listed(expect.rules)}, got ${listed(rules)}`);
  if (expect.text !== undefined && text !== undefined && text !== expect.text) problems.push(`text: expected ${quoted(expect.text, text)}, got ${quoted(text, expect.text)}`);
  return problems;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return new Set([...a, ...b]).size === new Set(a).size && new Set(a).size === new Set(b).size;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

/** The part around the first character in which the two differ. */
function quoted(text: string, other: string): string {
  let at = 0;
  while (at < text.length && text[at] === other[at]) at++;
  const start = Math.max(0, Math.min(at - 30, text.length - QUOTED_CHARS_MAX));
  const part = text.slice(start, start + QUOTED_CHARS_MAX);
  return `${start > 0 ? '…' : ''}${JSON.stringify(part)}${start + part.length < text.length ? '…' : ''}`;
}

function uncoveredRules(rules: readonly Rule[], cases: readonly CaseResult[]): readonly string[] {
  const decided = new Set(cases.flatMap((one) => one.rules));
  return rules.filter(({ id, enabled }) => enabled && !decided.has(id)).map(({ id }) => id);
}
