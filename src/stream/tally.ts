/**
 * Counts what the screening of one answer did: rules, results, carriers, how much waited. Keeps no content. `record` is
 * the output part of the exchange's closing entry.
 */
import type { DecisionRecord } from '../contract/exchange.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import { ResultTally } from '../screen/results.ts';

export class Tally {
  readonly carriers = new Set<string>();
  readonly results = new ResultTally();
  heldCharsMax = 0;
  heldMsTotal = 0;
  #worst: PolicyDecision;
  readonly #rules = new Set<string>();
  readonly #degraded = new Set<string>();

  constructor(initial: PolicyDecision) {
    this.#worst = initial;
    this.decided(initial);
  }

  /** The decision that did most to the answer. */
  get worst(): PolicyDecision {
    return this.#worst;
  }

  decided(decision: PolicyDecision): void {
    for (const rule of decision.triggered_rules) this.#rules.add(rule);
    for (const rule of decision.degraded) this.#degraded.add(rule);
    if (WEIGHT[decision.action] > WEIGHT[this.#worst.action]) this.#worst = decision;
  }

  held(chars: number): void {
    if (chars > this.heldCharsMax) this.heldCharsMax = chars;
  }

  /** `redactions`: replacements made in all channels. */
  record(redactions: number): DecisionRecord {
    return {
      action: this.#worst.action,
      triggered_rules: [...this.#rules],
      classifier_results: this.results.summary(),
      coverage: { screened: [...this.carriers].sort(), exempt: [], opaque: [] },
      degraded: [...this.#degraded],
      redactions,
      latency_ms: 0,
    };
  }
}

const WEIGHT = { allow: 0, warn: 1, escalate: 2, redact: 3, replace: 4, block: 5 } as const;
