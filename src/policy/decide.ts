/**
 * The decision: which rule of a policy decides about these facts. Pure and total: the same facts give the same decision,
 * and no facts make it throw.
 *
 * Rules are tried in order of priority. The first that is true decides. The first that is unknown decides too when it
 * fails closed (block), and is skipped and listed when it fails open. A rule that is unknown only because classifiers are
 * heard later is skipped, and not listed: it is tried again with their scores. If none decides, the policy's default does.
 * A policy is compiled once to closures over numbered leaves: a leaf that many rules share is evaluated once per
 * decision, and evaluating one allocates nothing. An index by direction, name and threshold tells which rules these
 * scores could make true or unknown at all; the others are not tried.
 */
import type { Condition, FailMode, Facts, Hold, Policy, PolicyDecision, Rule } from '../contract/policy.ts';
import type { ClassifierResult, ContentType, Direction } from '../contract/screening.ts';
import { readsRole, viewsByRole } from './roles.ts';
import { withTimeOfDay } from './time.ts';
import { FALSE, TRUE, UNKNOWN, askedTypes, compileContext, compileScore, factsFor, greatest, knownScores, least, leastScore, opposite, satisfies, truthOf, type ContextLeaf, type Known, type ScoreLeaf, type Truth } from './truth.ts';

/** `tenantFailMode` holds for rules and policies that do not say. */
export function decide(policy: Policy, facts: Facts, tenantFailMode: FailMode): PolicyDecision {
  facts = withTimeOfDay(facts, policy);
  const program = programOf(policy);
  const run = new Run(program, facts);
  const degraded: string[] = [];
  const rules = program.rules[facts.direction];
  const matters = mattering(program, facts);
  for (let at = 0; at < rules.length; at++) {
    if (matters[at] === 0) continue;
    const { rule, asked } = rules[at];
    const truth = tryRule(rules[at], program, run);
    if (truth === TRUE) return { action: rule.action, rule, ...heldBy(rule.when, asked, facts), triggered_rules: [rule.id], degraded };
    if (truth === UNKNOWN) {
      degraded.push(rule.id);
      if (failModeOf(rule, policy, tenantFailMode) === 'closed') return { action: 'block', rule, matched: [], triggered_rules: [rule.id], degraded };
    }
  }
  return { action: policy.defaultAction, matched: [], triggered_rules: [], degraded };
}

/** False where the rule is unknown, and would be known if those that are heard later had found nothing: then it is for them to decide it. */
function tryRule({ asked, byRole, evaluate }: CompiledRule, program: Program, run: Run): Truth {
  const { facts } = run;
  if (byRole && facts.roles !== undefined) {
    const views = viewsByRole(facts, asked);
    const truth = views.reduce<Truth>((most, view) => greatest(most, evaluate(new Run(program, view.facts))), FALSE);
    const waits = truth === UNKNOWN && facts.deferred !== undefined && views.every((view) => evaluate(new Run(program, { ...view.facts, deferred: undefined })) !== UNKNOWN);
    return waits ? FALSE : truth;
  }
  const seen = asked.length === 0 ? facts : factsFor(asked, facts);
  const truth = evaluate(seen === facts ? run : new Run(program, seen));
  const waits = truth === UNKNOWN && seen.deferred !== undefined && evaluate(new Run(program, { ...seen, deferred: undefined })) !== UNKNOWN;
  return waits ? FALSE : truth;
}

/** How a decision waits for a person; undefined where it waits for nobody. */
export function holdOf({ action, rule }: Pick<PolicyDecision, 'action' | 'rule'>): Hold | undefined {
  return action === 'escalate' ? rule?.hold : undefined;
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
  /** It asks who said it. */
  readonly byRole: boolean;
  readonly evaluate: Evaluate;
}

interface Program {
  readonly rules: Readonly<Record<Direction, readonly CompiledRule[]>>;
  readonly index: Readonly<Record<Direction, RuleIndex>>;
  /** Slots by classifier and category. */
  readonly slotsOf: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly leaves: readonly Leaf[];
  /** The distinct `classifier.category` that the leaves read. */
  readonly slots: readonly { readonly classifier: string; readonly category: string }[];
}

/** Positions of rules in one direction. */
interface RuleIndex {
  /** 1 for each rule that may hold whatever the scores are. */
  readonly always: Uint8Array;
  /** By slot: the rules that can be other than false only where one of their slots has so high a score, or a missing one. Lowest first. */
  readonly bySlot: readonly (readonly Threshold[])[];
}

interface Threshold {
  readonly at: number;
  readonly score: number;
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
  const enabled = policy.rules.filter((rule) => rule.enabled);
  const uses = leafUses(enabled.map(({ when }) => when));
  const slotIndex = new Map<string, number>();

  const slotOf = (leaf: ScoreLeaf): number =>
    indexOf(slotIndex, `${leaf.classifier}.${leaf.category}`, () => slots.push({ classifier: leaf.classifier, category: leaf.category }) - 1);

  const compileLeaf = (leaf: ScoreLeaf | ContextLeaf): Leaf => {
    if (leaf.kind === 'context') {
      const test = compileContext(leaf);
      return (run) => test(run.facts);
    }
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
        const key = JSON.stringify(condition);
        if (uses.get(key) === 1) return compileLeaf(condition);
        const leaf = indexOf(leafIndex, key, () => leaves.push(compileLeaf(condition)) - 1);
        return (run) => run.truthOf(leaf);
      }
    }
  };

  const compiled = enabled.map((rule): CompiledRule => ({ rule, asked: askedTypes(rule.when), byRole: readsRole(rule.when), evaluate: compileCondition(rule.when) }));
  const facing = (direction: Direction) => compiled.filter(({ rule }) => rule.direction === direction || rule.direction === 'both');
  const rules = { input: facing('input'), output: facing('output') };
  const indexed = (facingRules: readonly CompiledRule[]): RuleIndex => {
    const bySlot: Threshold[][] = slots.map(() => []);
    const always = new Uint8Array(facingRules.length);
    facingRules.forEach(({ rule, asked }, at) => {
      // To a rule that asks for content types, scores may be missing that are known to others.
      const needed = asked.length > 0 ? undefined : neededScores(rule.when);
      if (needed === undefined) always[at] = 1;
      else for (const { leaf, score } of needed) bySlot[slotOf(leaf)].push({ at, score });
    });
    for (const thresholds of bySlot) thresholds.sort((a, b) => a.score - b.score);
    return { always, bySlot };
  };
  const slotsOf = new Map<string, Map<string, number>>();
  slots.forEach(({ classifier, category }, slot) => slotsOf.set(classifier, (slotsOf.get(classifier) ?? new Map<string, number>()).set(category, slot)));
  return { rules, index: { input: indexed(rules.input), output: indexed(rules.output) }, slotsOf, leaves, slots };
}

interface NeededScore {
  readonly leaf: ScoreLeaf;
  readonly score: number;
}

/** Scores of which one must be reached, or missing, for the condition to be other than false; undefined where none is needed. */
function neededScores(condition: Condition): readonly NeededScore[] | undefined {
  switch (condition.kind) {
    case 'score': {
      const score = leastScore(condition);
      return score === undefined ? undefined : [{ leaf: condition, score }];
    }
    case 'any': {
      const needed = condition.of.map(neededScores);
      return needed.every((scores) => scores !== undefined) ? needed.flat() : undefined;
    }
    case 'all': {
      const needed = condition.of.map(neededScores).filter((scores) => scores !== undefined);
      return needed.sort((a, b) => a.length - b.length)[0];
    }
    case 'not':
    case 'context': return undefined;
  }
}

/** 1 for each rule that these facts could make other than false. Looks at each result and each classifier once. */
function mattering({ index, slots, slotsOf }: Program, facts: Facts): Uint8Array {
  const { always, bySlot } = index[facts.direction];
  const highs = new Float64Array(slots.length);
  const raise = (own: ReadonlyMap<string, number> | undefined, { category, named }: ClassifierResult, score: number): void => {
    for (const slot of [own?.get(category), named === true ? undefined : own?.get('*')]) if (slot !== undefined && score > highs[slot]) highs[slot] = score;
  };
  for (const result of facts.results) {
    const score = 'unknown' in result || !facts.classifiers.has(result.classifier_id) ? Infinity : result.score;
    raise(slotsOf.get(result.classifier_id), result, score);
    raise(slotsOf.get('*'), result, score);
  }
  for (const [classifier, named] of slotsOf) {
    if (isMissing(classifier, facts)) for (const slot of named.values()) highs[slot] = Infinity;
  }
  const matters = always.slice();
  for (let slot = 0; slot < bySlot.length; slot++) {
    const thresholds = bySlot[slot];
    for (let i = 0; i < thresholds.length && thresholds[i].score <= highs[slot]; i++) matters[thresholds[i].at] = 1;
  }
  return matters;
}

/** Whether a score of the classifier, or of any where it is `*`, may be missing whatever the results are. */
function isMissing(classifier: string, { classifiers, deferred }: Facts): boolean {
  if (classifier !== '*') return classifiers.get(classifier) !== 'ok' || deferred?.has(classifier) === true;
  return classifiers.size === 0 || (deferred?.size ?? 0) > 0 || [...classifiers.values()].some((status) => status !== 'ok');
}

function indexOf(index: Map<string, number>, key: string, create: () => number): number {
  let found = index.get(key);
  if (found === undefined) index.set(key, (found = create()));
  return found;
}

/** How often each leaf stands in these conditions: the truth of one that stands there once is not kept. */
function leafUses(conditions: readonly Condition[]): ReadonlyMap<string, number> {
  const uses = new Map<string, number>();
  const count = (condition: Condition): void => {
    if (condition.kind === 'all' || condition.kind === 'any') return condition.of.forEach(count);
    if (condition.kind === 'not') return count(condition.of);
    const key = JSON.stringify(condition);
    uses.set(key, (uses.get(key) ?? 0) + 1);
  };
  conditions.forEach(count);
  return uses;
}

// Most conditions have two branches, and those are spared the loop.

function allOf(branches: readonly Evaluate[]): Evaluate {
  const [first, second] = branches as readonly [Evaluate, Evaluate];
  if (branches.length === 2) {
    return (run) => {
      const truth = first(run);
      return truth === FALSE ? FALSE : least(truth, second(run));
    };
  }
  return (run) => {
    let truth: Truth = TRUE;
    for (let i = 0; i < branches.length && truth !== FALSE; i++) truth = least(truth, branches[i](run));
    return truth;
  };
}

function anyOf(branches: readonly Evaluate[]): Evaluate {
  const [first, second] = branches as readonly [Evaluate, Evaluate];
  if (branches.length === 2) {
    return (run) => {
      const truth = first(run);
      return truth === TRUE ? TRUE : greatest(truth, second(run));
    };
  }
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

/** What makes a true condition true, and about whose texts it is where it asks that. */
function heldBy(when: Condition, asked: readonly ContentType[], facts: Facts): Pick<PolicyDecision, 'matched' | 'roles'> {
  if (facts.roles === undefined || !readsRole(when)) return { matched: matchedBy(when, factsFor(asked, facts)) };
  const held = viewsByRole(facts, asked).filter((view) => truthOf(when, view.facts) === TRUE);
  return { matched: held.flatMap((view) => matchedBy(when, view.facts)), roles: held.map(({ role }) => role) };
}

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
