/**
 * The decision: which rule of a policy decides about these facts. Pure and total: the same facts give the same decision,
 * and no facts make it throw.
 *
 * Rules are tried in order of priority. The first that is true decides. The first that is unknown decides too when it
 * fails closed (block), and is skipped and listed when it fails open. If none decides, the policy's default does.
 * A policy is compiled once to closures over numbered leaves: a leaf that many rules share is evaluated once per
 * decision, and evaluating one allocates nothing.
 */
import type { Condition, FailMode, Facts, Policy, PolicyDecision, Rule } from '../contract/policy.ts';
import type { Action, ClassifierResult, ContentType, Direction } from '../contract/screening.ts';
import { FALSE, TRUE, UNKNOWN, askedTypes, compileScore, contextTruth, factsFor, greatest, knownScores, least, opposite, satisfies, truthOf, type ContextLeaf, type Known, type ScoreLeaf, type Truth } from './truth.ts';

/** `tenantFailMode` holds for rules and policies that do not say. */
export function decide(policy: Policy, facts: Facts, tenantFailMode: FailMode): PolicyDecision {
  const program = programOf(policy);
  const run = new Run(program, facts);
  const degraded: string[] = [];
  for (const { rule, asked, evaluate } of program.rules[facts.direction]) {
    const seen = asked.length === 0 ? facts : factsFor(asked, facts);
    const truth = evaluate(seen === facts ? run : new Run(program, seen));
    if (truth === TRUE) return { action: actionOf(rule), rule, matched: matchedBy(rule.when, seen), triggered_rules: [rule.id], degraded };
    if (truth === UNKNOWN) {
      degraded.push(rule.id);
      if (failModeOf(rule, policy, tenantFailMode) === 'closed') return { action: 'block', rule, matched: [], triggered_rules: [rule.id], degraded };
    }
  }
  return { action: policy.defaultAction, matched: [], triggered_rules: [], degraded };
}

/** What a rule that is true does. Nobody waits for a person yet, so a hold ends at once. */
export function actionOf(rule: Rule): Action {
  return rule.hold ? rule.hold.then : rule.action;
}

export function failModeOf(rule: Rule, policy: Policy, tenantFailMode: FailMode): FailMode {
  return rule.onUnknown ?? policy.onUnknown ?? tenantFailMode;
}

// The program: a policy compiled.

type Evaluate = (run: Run) => Truth;

type Leaf = (run: Run) => Truth;

interface CompiledRule {
  readonly rule: Rule;
  /** Content types that the rule names. */
  readonly asked: readonly ContentType[];
  readonly evaluate: Evaluate;
}

interface Program {
  readonly rules: Readonly<Record<Direction, readonly CompiledRule[]>>;
  readonly leaves: readonly Leaf[];
  /** The distinct `classifier.category` that the leaves read. */
  readonly slots: readonly { readonly classifier: string; readonly category: string }[];
}

const programs = new WeakMap<Policy, Program>();

function programOf(policy: Policy): Program {
  let program = programs.get(policy);
  if (!program) programs.set(policy, (program = compile(policy)));
  return program;
}

function compile(policy: Policy): Program {
  const leaves: Leaf[] = [];
  const slots: { readonly classifier: string; readonly category: string }[] = [];
  const leafIndex = new Map<string, number>();
  const slotIndex = new Map<string, number>();

  const slotOf = (leaf: ScoreLeaf): number =>
    indexOf(slotIndex, `${leaf.classifier}.${leaf.category}`, () => slots.push({ classifier: leaf.classifier, category: leaf.category }) - 1);

  const compileLeaf = (leaf: ScoreLeaf | ContextLeaf): Leaf => {
    if (leaf.kind === 'context') return (run) => contextTruth(leaf, run.facts);
    const slot = slotOf(leaf);
    const test = compileScore(leaf);
    return (run) => test(run.knownAt(slot));
  };

  const compileCondition = (condition: Condition): Evaluate => {
    switch (condition.kind) {
      case 'all':
        return allOf(condition.of.map(compileCondition));
      case 'any':
        return anyOf(condition.of.map(compileCondition));
      case 'not': {
        const evaluate = compileCondition(condition.of);
        return (run) => opposite(evaluate(run));
      }
      case 'score':
      case 'context': {
        const leaf = indexOf(leafIndex, JSON.stringify(condition), () => leaves.push(compileLeaf(condition)) - 1);
        return (run) => run.truthOf(leaf);
      }
    }
  };

  const compiled = policy.rules.filter((rule) => rule.enabled).map((rule): CompiledRule => ({ rule, asked: askedTypes(rule.when), evaluate: compileCondition(rule.when) }));
  const facing = (direction: Direction) => compiled.filter(({ rule }) => rule.direction === direction || rule.direction === 'both');
  return { rules: { input: facing('input'), output: facing('output') }, leaves, slots };
}

function indexOf(index: Map<string, number>, key: string, create: () => number): number {
  let found = index.get(key);
  if (found === undefined) index.set(key, (found = create()));
  return found;
}

function allOf(branches: readonly Evaluate[]): Evaluate {
  return (run) => {
    let truth: Truth = TRUE;
    for (let i = 0; i < branches.length && truth !== FALSE; i++) truth = least(truth, branches[i](run));
    return truth;
  };
}

function anyOf(branches: readonly Evaluate[]): Evaluate {
  return (run) => {
    let truth: Truth = FALSE;
    for (let i = 0; i < branches.length && truth !== TRUE; i++) truth = greatest(truth, branches[i](run));
    return truth;
  };
}

/** One decision being made. */
class Run {
  readonly #program: Program;
  readonly facts: Facts;
  /** Truth + 1 per leaf; 0 where it was not asked yet. */
  readonly #truths: Uint8Array;
  /** Per slot; filled when first asked, since most rules never come to be tried. */
  readonly #known: (Known | undefined)[];

  constructor(program: Program, facts: Facts) {
    this.#program = program;
    this.facts = facts;
    this.#truths = new Uint8Array(program.leaves.length);
    this.#known = new Array(program.slots.length);
  }

  truthOf(index: number): Truth {
    const before = this.#truths[index];
    if (before !== 0) return (before - 1) as Truth;
    const truth = this.#program.leaves[index](this);
    this.#truths[index] = truth + 1;
    return truth;
  }

  knownAt(slot: number): Known {
    const known = this.#known[slot];
    if (known !== undefined) return known;
    const { classifier, category } = this.#program.slots[slot];
    return (this.#known[slot] = knownScores(this.facts, classifier, category));
  }
}

// What a redaction uses.

/**
 * Results that make score leaves of a true condition true, in the order of the facts: through every branch that is true
 * itself, so that nothing is missed when one match would have been enough, and not through `not`, where a match speaks
 * against the rule.
 */
export function matchedBy(condition: Condition, facts: Facts): readonly ClassifierResult[] {
  const matched = new Set<ClassifierResult>();
  const collect = (part: Condition): void => {
    if (part.kind === 'score') facts.results.filter((result) => satisfies(part, result)).forEach((result) => matched.add(result));
    if (part.kind === 'all') part.of.forEach(collect);
    if (part.kind === 'any') part.of.filter((branch) => truthOf(branch, facts) === TRUE).forEach(collect);
  };
  collect(condition);
  return facts.results.filter((result) => matched.has(result));
}
