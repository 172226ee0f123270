/**
 * Rules that all but decided: those that would have held had scores been a little higher, or would not have had they
 * been a little lower. Thresholds are moved, by so much at most and never more than half way to where a score can go, so
 * that nothing found is near nothing, and a certain 1 is near no threshold. Pure; told from what the log holds.
 *
 * A rule counts only where it matters: it comes before the one that decided and acts otherwise, or it decided itself.
 */
import type { DecisionRecord, ExchangeRecord } from '../contract/exchange.ts';
import type { Condition, Facts, OperatorValue, Policy, Rule } from '../contract/policy.ts';
import type { Direction } from '../contract/screening.ts';
import { recordedDecisions } from './recorded.ts';
import { readsRole, viewsByRole } from './roles.ts';
import { withClaims } from './stricter.ts';
import { withTimeOfDay } from './time.ts';
import { askedTypes, contextTruth, FALSE, greatest, knownScores, least, opposite, scoreTruth, TRUE, type Known, type ScoreLeaf, type Truth } from './truth.ts';

/** How far from a threshold a score is uncertain: this much below it, and this much above. */
export interface Band {
  readonly below: number;
  readonly above: number;
}

/** The ids of the rules that all but decided one direction of an exchange, or decided barely, in their order. */
export function nearRules(policy: Policy, record: ExchangeRecord, direction: Direction, band: Band): readonly string[] {
  const decision = decidedOn(record, direction);
  const read = decision && recordedDecisions({ ...record, [direction]: decision, late: undefined }).find((one) => one.direction === direction)?.facts;
  if (decision === undefined || read === undefined) return [];
  const facts = withTimeOfDay(read.facts, policy);
  const seen = new Seen(read.claims === undefined ? [facts] : [facts, withClaims(facts, read.claims)]);
  const considered = policy.rules.filter((rule) => rule.enabled && (rule.direction === 'both' || rule.direction === direction) && rule.action !== 'warn');
  const decided = considered.findIndex(({ id }) => decision.triggered_rules.includes(id));
  return considered.filter((rule, index) => {
    if (decision.triggered_rules.includes(rule.id)) return isTrue(rule, seen) && !isTrue(rule, seen, band, -1);
    return (decided < 0 || index < decided) && rule.action !== decision.action && isTrue(rule, seen, band, 1) && !isTrue(rule, seen);
  }).map(({ id }) => id);
}

/** The decision on all scores together, those that were heard late with the others. */
function decidedOn(record: ExchangeRecord, direction: Direction): DecisionRecord | undefined {
  const { [direction]: decision, late } = record;
  if (decision?.facts === undefined || late?.direction !== direction) return decision;
  const heard = new Set(late.classifier_results.map(({ classifier_id: id }) => id));
  const all = [...(decision.facts.results ?? decision.classifier_results).filter(({ classifier_id: id, score }) => score !== undefined || !heard.has(id)), ...late.classifier_results];
  const { deferred: _, ...facts } = decision.facts;
  return { ...decision, triggered_rules: [...decision.triggered_rules, ...late.triggered_rules], classifier_results: all, facts: { ...facts, results: all } };
}

const AS_IT_IS: Band = { below: 0, above: 0 };

/** Facts as a rule sees them, with what is known under the scores that were asked for: rules ask for the same ones. */
interface View {
  readonly facts: Facts;
  readonly known: Map<string, Known>;
}

/** All that a decision was made on: without and with what the caller claims. */
class Seen {
  readonly #all: readonly Facts[];
  /** To rules that ask neither who said it nor what type it is of. */
  readonly #whole: readonly View[];

  constructor(all: readonly Facts[]) {
    this.#all = all;
    this.#whole = all.map((facts) => ({ facts: { ...facts, roles: undefined }, known: new Map() }));
  }

  viewsFor(when: Condition): readonly View[] {
    const [asked, byRole] = [askedTypes(when), readsRole(when)];
    if (asked.length === 0 && !byRole) return this.#whole;
    return this.#all.flatMap((facts) => viewsByRole(byRole ? facts : { ...facts, roles: undefined }, asked)).map((view) => ({ facts: view.facts, known: new Map() }));
  }
}

function isTrue({ when }: Rule, seen: Seen, band = AS_IT_IS, toward: Toward = 1): boolean {
  return seen.viewsFor(when).some((view) => movedTruth(when, view, band, toward) === TRUE);
}

/** 1: thresholds move so that more holds; -1: so that less does. */
type Toward = 1 | -1;

function movedTruth(condition: Condition, view: View, band: Band, toward: Toward): Truth {
  switch (condition.kind) {
    case 'all':
      return condition.of.reduce<Truth>((truth, part) => least(truth, movedTruth(part, view, band, toward)), TRUE);
    case 'any':
      return condition.of.reduce<Truth>((truth, part) => greatest(truth, movedTruth(part, view, band, toward)), FALSE);
    case 'not':
      return opposite(movedTruth(condition.of, view, band, toward === 1 ? -1 : 1));
    case 'score':
      return scoreTruth({ ...condition, value: movedValue(condition, band, toward) }, knownUnder(condition, view));
    case 'context':
      return contextTruth(condition, view.facts);
  }
}

function knownUnder({ classifier, category }: ScoreLeaf, { facts, known }: View): Known {
  const name = `${classifier}.${category}`;
  let found = known.get(name);
  if (found === undefined) known.set(name, (found = knownScores(facts, classifier, category)));
  return found;
}

function movedValue({ operator, value }: ScoreLeaf, { below, above }: Band, toward: Toward): OperatorValue {
  const down = (threshold: number): number => exact(Math.max(threshold - below, threshold / 2));
  const up = (threshold: number): number => exact(Math.min(threshold + above, (threshold + 1) / 2));
  const [lower, higher] = toward === 1 ? [down, up] : [up, down];
  if (operator === 'gt' || operator === 'gte') return lower(value as number);
  if (operator === 'lt' || operator === 'lte') return higher(value as number);
  if (operator !== 'between') return value;
  const [low, high] = value as readonly [number, number];
  return [lower(low), higher(high)];
}

/** 0.8 - 0.1 is 0.7. */
function exact(threshold: number): number {
  return Math.round(threshold * 1e12) / 1e12;
}
