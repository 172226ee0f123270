/**
 * One record of many decisions: what a connection's events were decided, put together for its one closing entry. The
 * action is the one that did most; names are listed once, and counted as the single records count them. Bounded, however
 * many events there are. Pure.
 */
import type { DecisionRecord, RecordedFacts, ShadowRecord } from '../contract/exchange.ts';
import { ACTION_WEIGHT, type Unread } from '../contract/screening.ts';

/** A client can name as many fields as it likes. */
const NAMES_MAX = 1_000;

type ClassifierLine = DecisionRecord['classifier_results'][number];

export class RecordTally {
  #action: DecisionRecord['action'] = 'allow';
  #any = false;
  #escalated = false;
  #nothing = true;
  #redactions = 0;
  #latencyMs = 0;
  /** Of the only decision; of several there are none. */
  #facts: RecordedFacts | undefined;
  #shadow: ShadowRecord | undefined;
  readonly #rules = new Set<string>();
  readonly #degraded = new Set<string>();
  readonly #screened = new Set<string>();
  readonly #opaque = new Map<string, Unread>();
  readonly #results = new Map<string, ClassifierLine>();

  add({ action, escalated, triggered_rules, classifier_results, coverage, degraded, redactions, latency_ms, facts, shadow }: DecisionRecord): void {
    if (shadow !== undefined) this.#shadow = this.#shadow === undefined ? shadow : joined(this.#shadow, shadow);
    this.#facts = this.#any ? undefined : facts;
    this.#any = true;
    this.#escalated ||= action === 'escalate' || escalated === true;
    if (ACTION_WEIGHT[action] > ACTION_WEIGHT[this.#action]) this.#action = action;
    for (const rule of triggered_rules) this.#rules.add(rule);
    for (const rule of degraded) this.#degraded.add(rule);
    for (const carrier of coverage.screened) if (this.#screened.size < NAMES_MAX) this.#screened.add(carrier);
    for (const part of coverage.opaque) if (this.#opaque.size < NAMES_MAX) this.#opaque.set(`${part.kind} ${part.carrier}`, part);
    for (const line of classifier_results) this.#addResult(line);
    this.#nothing &&= coverage.nothing_to_screen === true;
    this.#redactions += redactions;
    this.#latencyMs += latency_ms;
  }

  /** Undefined when nothing was added. */
  record(): DecisionRecord | undefined {
    if (!this.#any) return undefined;
    return {
      action: this.#action,
      triggered_rules: [...this.#rules],
      classifier_results: [...this.#results.values()],
      coverage: { screened: [...this.#screened], exempt: [], opaque: [...this.#opaque.values()], ...(this.#nothing ? { nothing_to_screen: true } : {}) },
      degraded: [...this.#degraded],
      redactions: this.#redactions,
      latency_ms: this.#latencyMs,
      ...(this.#escalated && this.#action !== 'escalate' ? { escalated: true } : {}),
      ...(this.#facts === undefined ? {} : { facts: this.#facts }),
      ...(this.#shadow === undefined ? {} : { shadow: this.#shadow }),
    };
  }

  #addResult(line: ClassifierLine): void {
    const key = `${line.classifier_id}.${line.category}`;
    const known = this.#results.get(key);
    if (known === undefined) return void this.#results.set(key, line);
    const score = Math.max(known.score ?? -1, line.score ?? -1);
    this.#results.set(key, { ...known, ...line, count: known.count + line.count, ...(score < 0 ? {} : { score }), unknown: known.unknown ?? line.unknown });
  }
}

function joined(before: ShadowRecord, { policy, action, triggered_rules: rules, degraded }: ShadowRecord): ShadowRecord {
  return {
    policy,
    action: ACTION_WEIGHT[action] > ACTION_WEIGHT[before.action] ? action : before.action,
    triggered_rules: [...new Set([...before.triggered_rules, ...rules])],
    degraded: [...new Set([...before.degraded, ...degraded])],
  };
}
