/**
 * Counts what the screening of one answer did: rules, results, carriers, how much waited. Keeps no content. `record` is
 * the output part of the exchange's closing entry.
 */
import type { DecisionRecord, OpaquePart } from '../contract/exchange.ts';
import { carrierName } from '../contract/names.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import { ACTION_WEIGHT, type Treatment, type Unread } from '../contract/screening.ts';
import type { OutputPlan } from '../screen/output.ts';
import { ResultTally } from '../screen/results.ts';

export class Tally {
  readonly carriers = new Set<string>();
  /** What nothing read, by carrier and kind. */
  readonly #opaque = new Map<string, Unread>();
  readonly results = new ResultTally();
  /** Characters of all texts that were read. */
  textChars = 0;
  heldCharsMax = 0;
  heldMsTotal = 0;
  #worst: PolicyDecision;
  #blocking: PolicyDecision;
  /** That what waited for a person does not go on. */
  #refusal: PolicyDecision | undefined;
  readonly #rules = new Set<string>();
  readonly #degraded = new Set<string>();
  readonly #shadowed: OutputPlan['shadowed'];

  constructor({ initial, shadowed }: Pick<OutputPlan, 'initial' | 'shadowed'>) {
    this.#shadowed = shadowed;
    this.#worst = this.#blocking = initial;
    this.decided(initial);
  }

  /** The decision that did most to the answer. */
  get worst(): PolicyDecision {
    return this.#refusal ?? this.#worst;
  }

  /** The newest decision that blocked, or the first of all. */
  get blocking(): PolicyDecision {
    return this.#blocking;
  }

  decided(decision: PolicyDecision): void {
    if (decision.action === 'block' || decision.action === 'replace') this.#blocking = decision;
    for (const rule of decision.triggered_rules) this.#rules.add(rule);
    for (const rule of decision.degraded) this.#degraded.add(rule);
    if (ACTION_WEIGHT[decision.action] > ACTION_WEIGHT[this.#worst.action]) this.#worst = decision;
  }

  /** What came of a wait is no decision of the policy, which stays what it was. */
  refused(decision: PolicyDecision): void {
    this.#refusal = this.#blocking = decision;
  }

  unread({ carrier, kind }: OpaquePart, treatment: Treatment): void {
    const name = carrierName(carrier);
    this.#opaque.set(`${kind} ${name}`, { carrier: name, kind, treatment });
  }

  held(chars: number): void {
    if (chars > this.heldCharsMax) this.heldCharsMax = chars;
  }

  /** `redactions`: replacements made in all channels; `whole`: the answer was read to its end. */
  record(redactions: number, whole: boolean): DecisionRecord {
    return {
      action: this.#worst.action,
      triggered_rules: [...this.#rules],
      classifier_results: this.results.summary(),
      coverage: { screened: [...new Set([...this.carriers].map(carrierName))].sort(), exempt: [], opaque: [...this.#opaque.values()], ...(whole && this.carriers.size === 0 ? { nothing_to_screen: true } : {}) },
      degraded: [...this.#degraded],
      redactions,
      latency_ms: 0,
      ...(this.#shadowed === undefined ? {} : { shadow: this.#shadowed() }),
    };
  }
}
