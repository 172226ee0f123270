/**
 * Decisions as the audit log holds them, made ready to be decided again: the facts of one direction of an exchange, and
 * for every part of a condition whether the log tells it. What the log does not hold is never guessed: a condition that
 * depends on it has no answer. Pure.
 *
 * The log keeps the highest score of each category and how many places scored. So `gte` is always told, and `lt` only
 * where one place scored; a score of a pattern only to policies that have the same pattern.
 */
import type { DecisionRecord, ExchangeRecord, RecordedFacts } from '../contract/exchange.ts';
import type { Condition, FailMode, Facts, Policy, PolicyDecision, PolicyPattern } from '../contract/policy.ts';
import { DIRECTIONS, type Action, type ClassifierResult, type Context, type ContextValue, type Direction } from '../contract/screening.ts';
import { failModeOf } from './decide.ts';
import { PATTERNS_CLASSIFIER } from './parse.ts';
import { readsRole, ROLE, viewsByRole } from './roles.ts';
import { decideWithClaims, withClaims } from './stricter.ts';
import { TIME, TIME_HOUR, TIME_WEEKDAY, withTimeOfDay } from './time.ts';
import { CONTENT_TYPE, FALSE, TRUE, UNKNOWN, askedTypes, contextTruth, greatest, knownScores, least, opposite, scoreTruth, type ContextLeaf, type ScoreLeaf, type Truth } from './truth.ts';

// Writing.

/** Text of a context value that is recorded: names are short, content is not. */
const VALUE_CHARS_MAX = 64;
/** A user's id is often a person's address. */
const NEVER_RECORDED: ReadonlySet<string> = new Set(['user', 'sources', 'text_before']);

export interface DecidedWith {
  /** Where not all of the facts' classifiers were asked. */
  readonly asked?: readonly string[];
  /** Scores of those, as `classifier.category`, that were not. */
  readonly unread?: readonly string[];
  readonly claims?: Context;
}

/** What a record keeps of the facts besides scores. */
export function recordFacts(policy: Policy, facts: Facts, { asked = [...facts.classifiers.keys()], unread = [], claims = {} }: DecidedWith = {}): RecordedFacts {
  const context: Record<string, ContextValue | null> = {};
  const claimed: Record<string, ContextValue> = {};
  for (const key of contextKeys(policy)) {
    // The roles of several texts are no value of one.
    if (key === ROLE && facts.roles !== undefined) continue;
    if (Object.hasOwn(claims, key)) {
      if (String(claims[key]).length > VALUE_CHARS_MAX) continue;
      claimed[key] = claims[key]!;
    }
    if (!Object.hasOwn(facts.context, key)) context[key] = null;
    else if (!NEVER_RECORDED.has(key) && String(facts.context[key]).length <= VALUE_CHARS_MAX) context[key] = facts.context[key]!;
  }
  return {
    classifiers: asked,
    ...(unread.length === 0 ? {} : { unread }),
    content_types: facts.contentTypes ?? [],
    ...(Object.keys(context).length === 0 ? {} : { context }),
    ...(Object.keys(claimed).length === 0 ? {} : { claims: claimed }),
    ...(facts.deferred === undefined ? {} : { deferred: [...facts.deferred] }),
  };
}

const keysOf = new WeakMap<Policy, readonly string[]>();

/** What the rules of a policy read of the context, but for what the record says anyway. */
function contextKeys(policy: Policy): readonly string[] {
  let keys = keysOf.get(policy);
  if (keys === undefined) keysOf.set(policy, (keys = [...new Set(policy.rules.flatMap(({ when }) => keysRead(when)))].filter((key) => !ALWAYS_RECORDED.has(key)).sort()));
  return keys;
}

/** Whether a rule reads this context value. */
export function readsContext(policy: Policy, key: string): boolean {
  return contextKeys(policy).includes(key);
}

function keysRead(condition: Condition): readonly string[] {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.flatMap(keysRead);
  if (condition.kind === 'not') return keysRead(condition.of);
  return condition.kind === 'context' ? [condition.key] : [];
}

const ALWAYS_RECORDED: ReadonlySet<string> = new Set(['direction', 'tenant', 'request_id', CONTENT_TYPE, TIME, TIME_HOUR, TIME_WEEKDAY]);

// Reading.

/** One direction of an exchange that a policy decided. */
export interface RecordedDecision {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly time: string;
  /** `id@revision` of the policy that decided. */
  readonly policy: string;
  readonly direction: Direction;
  readonly action: Action;
  readonly rules: readonly string[];
  /** Absent in a record of several decisions, and in one that was written before facts were. */
  readonly facts?: RecordedFactsRead;
}

export interface RecordedFactsRead {
  readonly facts: Facts;
  /** Scores that nobody was asked for, as `classifier.category`. */
  readonly unread: ReadonlySet<string>;
  /** The categories of which more places scored than the one whose score is recorded. */
  readonly several: ReadonlySet<string>;
  /** The scores are those of several texts, each of which was decided by itself; nobody knows which is whose. */
  readonly mixed: boolean;
  /** Context keys that are known to have been absent. */
  readonly absent: ReadonlySet<string>;
  /** What the caller claimed: it was decided without and with it. */
  readonly claims?: Context;
}

/** Of each direction that has a record. */
export function recordedDecisions(record: ExchangeRecord): readonly RecordedDecision[] {
  const { policy } = record;
  if (policy === undefined) return [];
  return DIRECTIONS.flatMap((direction) => {
    const decision = record[direction];
    return decision === undefined ? [] : [readDecision(record, policy, direction, decision)];
  });
}

function readDecision(record: ExchangeRecord, policy: string, direction: Direction, { action, triggered_rules: rules, facts, classifier_results: results }: DecisionRecord): RecordedDecision {
  const { request_id, tenant_id, started_at: time } = record;
  const read = { request_id, tenant_id, time, policy, direction, action, rules };
  return facts === undefined ? read : { ...read, facts: readFacts(record, direction, facts, facts.results ?? results) };
}

function readFacts(record: ExchangeRecord, direction: Direction, recorded: RecordedFacts, lines: DecisionRecord['classifier_results']): RecordedFactsRead {
  const results = readResults(lines);
  return {
    facts: {
      direction,
      results,
      classifiers: new Map(recorded.classifiers.map((id) => [id, 'ok'])),
      ...(recorded.deferred === undefined ? {} : { deferred: new Set(recorded.deferred) }),
      context: contextOf(record, direction, recorded),
      contentTypes: recorded.content_types,
      ...(recorded.roles === undefined ? {} : { roles: recorded.roles.map(({ role, content_types: contentTypes, results: own }) => ({ role, contentTypes, results: readResults(own) })) }),
    },
    unread: new Set(recorded.unread),
    several: new Set(lines.filter(({ count }) => count > 1).map(({ classifier_id, category }) => `${classifier_id}.${category}`)),
    mixed: (recorded.texts ?? 1) > 1 && results.length > 0,
    absent: new Set([...Object.entries(recorded.context ?? {}).flatMap(([key, value]) => (value === null ? [key] : [])), ...(isOwn(record) ? [] : ['endpoint', 'stream', 'session', 'model'])]),
    ...(recorded.claims === undefined ? {} : { claims: recorded.claims }),
  };
}

function readResults(lines: DecisionRecord['classifier_results']): readonly ClassifierResult[] {
  return lines.flatMap(({ classifier_id, category, score, unknown, named }): ClassifierResult[] => {
    const own = { classifier_id, category, latency_ms: 0, ...(named === true ? { named } : {}) };
    return [...(score === undefined ? [] : [{ ...own, score, label: category, spans: [] }]), ...(unknown === undefined ? [] : [{ ...own, unknown: true as const, reason: unknown }])];
  });
}

/** What the screening service is told, it is told in its body. */
function isOwn({ route }: ExchangeRecord): boolean {
  return route.startsWith('/weir/');
}

function contextOf(record: ExchangeRecord, direction: Direction, { context = {} }: RecordedFacts): Context {
  const { request_id, tenant_id: tenant, session_id: session, route: endpoint, model, stream, started_at: time } = record;
  const values: Readonly<Record<string, ContextValue | null | undefined>> = { ...(isOwn(record) ? {} : { endpoint, stream, session, model, ...(direction === 'output' ? { [ROLE]: 'assistant' } : {}) }), ...context, request_id, tenant, direction, time };
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, ContextValue] => entry[1] !== undefined && entry[1] !== null));
}

// Deciding again.

/** Why a recorded exchange cannot be decided by a policy. */
export const GAPS = ['no facts', 'several texts', 'score', 'pattern', 'context', 'other decision'] as const;
export type Gap = (typeof GAPS)[number];

export interface Redecided {
  readonly decision?: PolicyDecision;
  /** Present where there is no decision. */
  readonly gap?: Gap;
}

/**
 * What `policy` decides on a recorded exchange. `recordedBy`: the policies whose patterns are known. Where the policy is
 * the very one that decided, its decision is held against the recorded one.
 */
export function redecide(policy: Policy, recorded: RecordedDecision, recordedBy: readonly Policy[], failMode: FailMode): Redecided {
  if (recorded.facts === undefined) return { gap: 'no facts' };
  if (recorded.facts.mixed) return { gap: 'several texts' };
  const facts = withTimeOfDay(recorded.facts.facts, policy);
  const known = new Known(policy, recorded, recorded.facts, recordedBy);
  const { claims } = recorded.facts;
  for (const given of claims === undefined ? [facts] : [facts, withClaims(facts, claims)]) {
    const gap = gapOf(policy, given, known, failMode);
    if (gap !== undefined) return { gap };
  }
  const decision = decideWithClaims(policy, facts, failMode, claims);
  return recorded.policy === nameOf(policy) && decision.action !== recorded.action ? { gap: 'other decision' } : { decision };
}

/** What keeps the rules from being told that come before the one that decides. */
function gapOf(policy: Policy, facts: Facts, known: Known, failMode: FailMode): Gap | undefined {
  for (const rule of policy.rules) {
    if (!rule.enabled || (rule.direction !== 'both' && rule.direction !== facts.direction)) continue;
    const byRole = readsRole(rule.when);
    if (byRole && !known.tellsRole()) return 'context';
    known.gap = undefined;
    const views = viewsByRole(byRole ? facts : { ...facts, roles: undefined }, askedTypes(rule.when));
    const truth = views.reduce<Truth>((most, view) => greatest(most, known.truthOf(rule.when, view.facts)), FALSE);
    if (truth === TRUE) return undefined;
    if (truth === FALSE) continue;
    if (known.gap !== undefined) return known.gap;
    if (failModeOf(rule, policy, failMode) === 'closed' && facts.deferred === undefined) return undefined;
  }
  return undefined;
}

function nameOf({ id, revision }: Policy): string {
  return `${id}@${revision}`;
}

/** A condition in Kleene's logic, in which what the log does not tell is unknown. */
class Known {
  /** What a condition that came out unknown may be unknown for. */
  gap: Gap | undefined;
  readonly #policy: Policy;
  readonly #direction: Direction;
  readonly #read: RecordedFactsRead;
  /** The policy that decided, where it is known. */
  readonly #author: Policy | undefined;

  constructor(policy: Policy, { policy: author, direction }: RecordedDecision, read: RecordedFactsRead, recordedBy: readonly Policy[]) {
    this.#policy = policy;
    this.#direction = direction;
    this.#read = read;
    this.#author = recordedBy.find((one) => nameOf(one) === author);
  }

  truthOf(condition: Condition, facts: Facts): Truth {
    switch (condition.kind) {
      case 'all':
        return condition.of.reduce<Truth>((truth, part) => least(truth, this.truthOf(part, facts)), TRUE);
      case 'any':
        return condition.of.reduce<Truth>((truth, part) => greatest(truth, this.truthOf(part, facts)), FALSE);
      case 'not':
        return opposite(this.truthOf(condition.of, facts));
      case 'score': {
        const truth = scoreTruth(condition, knownScores(facts, condition.classifier, condition.category));
        const gap = this.#scoreGap(condition, truth);
        return gap === undefined ? truth : this.#open(gap);
      }
      case 'context':
        return this.#tellsContext(condition, facts) ? contextTruth(condition, facts) : this.#open('context');
    }
  }

  /** Who said it is known, or that nobody is said to have. */
  tellsRole(): boolean {
    const { facts: { context, roles }, absent } = this.#read;
    return roles !== undefined || Object.hasOwn(context, ROLE) || absent.has(ROLE);
  }

  #open(gap: Gap): Truth {
    this.gap ??= gap;
    return UNKNOWN;
  }

  #scoreGap(leaf: ScoreLeaf, truth: Truth): Gap | undefined {
    const { facts: { classifiers, contentTypes = [], results }, several, unread } = this.#read;
    if (leaf.classifier === '*' ? [...unread].some((score) => score.endsWith(`.${leaf.category}`)) : unread.has(`${leaf.classifier}.${leaf.category}`)) return 'score';
    if (leaf.classifier === PATTERNS_CLASSIFIER || leaf.classifier === '*') {
      if (!this.#samePatterns(leaf.category)) return 'pattern';
    }
    if (this.#author !== this.#policy && leaf.classifier !== '*' && !classifiers.has(leaf.classifier)) return 'score';
    // On an answer only those were asked that the author's rules read.
    if (this.#author !== this.#policy && leaf.classifier === '*' && this.#direction === 'output') return 'score';
    // Who reads what is not recorded.
    if (contentTypes.some((type) => type !== 'text')) return 'score';
    const exact = leaf.operator === 'gt' || leaf.operator === 'gte' || leaf.operator === 'exists' || truth === TRUE;
    const lower = results.some(({ classifier_id: id, category, named }) => (leaf.classifier === '*' || leaf.classifier === id) && (leaf.category === '*' ? named !== true : leaf.category === category) && several.has(`${id}.${category}`));
    return exact || !lower ? undefined : 'score';
  }

  /** The patterns of the policy under this category are those that were looked for. */
  #samePatterns(category: string): boolean {
    if (this.#author === undefined) return false;
    if (this.#author === this.#policy) return true;
    const under = ({ patterns, allowHosts = [] }: Policy): string => JSON.stringify([patterns.filter((pattern) => category === '*' || categoryOf(pattern) === category), allowHosts]);
    return under(this.#author) === under(this.#policy);
  }

  #tellsContext({ key }: ContextLeaf, facts: Facts): boolean {
    return ALWAYS_RECORDED.has(key) || key === ROLE || Object.hasOwn(facts.context, key) || this.#read.absent.has(key);
  }
}

function categoryOf({ id, category = id }: PolicyPattern): string {
  return category;
}
