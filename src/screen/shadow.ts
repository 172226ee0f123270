/**
 * A policy that decides beside the one that is enforced, on the same scores: nothing is asked for it, nothing waits for
 * it, and nothing comes of what it says but a record. Its own patterns are looked for in the same pass, under a name that
 * no rule can write, and are its alone. Pure.
 */
import type { SegmentResults, ShadowRecord } from '../contract/exchange.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import { ACTION_WEIGHT, type Action, type ClassifierResult, type ScoredResult } from '../contract/screening.ts';
import { isScored, merged } from './results.ts';

/** `classifier_id` of a policy's own patterns. */
export const POLICY_PATTERNS = 'patterns';
/** And of its shadow's, until the shadow sees them. No classifier can be called so. */
export const SHADOW_PATTERNS = 'patterns (shadow)';

/** What patterns found: what the enforced policy sees, and what its shadow alone does. */
export function splitFound<T extends ClassifierResult>(found: readonly T[]): { readonly own: readonly T[]; readonly observed: readonly T[] } {
  return found.some(isObserved) ? { own: found.filter((result) => !isObserved(result)), observed: found.filter(isObserved) } : { own: found, observed: [] };
}

function isObserved({ classifier_id: id }: ClassifierResult): boolean {
  return id === SHADOW_PATTERNS;
}

/** The results of a text as the shadow sees them: its own patterns in place of the policy's. */
export function shadowSees({ results, observed = [] }: Pick<SegmentResults, 'results' | 'observed'>): readonly ClassifierResult[] {
  return [...results.filter(({ classifier_id: id }) => id !== POLICY_PATTERNS), ...observed.map((result) => ({ ...result, classifier_id: POLICY_PATTERNS }))];
}

/** What the shadow says of one answer: asked whenever the policy is, and the decision that would have done most counts. */
export class ShadowAnswer {
  readonly #policy: string;
  readonly #decide: (results: readonly ClassifierResult[]) => PolicyDecision;
  readonly #rules = new Set<string>();
  readonly #degraded = new Set<string>();
  #action: Action = 'allow';

  /** `policy`: `id@revision`. */
  constructor(policy: string, decide: (results: readonly ClassifierResult[]) => PolicyDecision) {
    this.#policy = policy;
    this.#decide = decide;
    this.meets();
  }

  /** Asked on no text at all: something that is no text was met, or nothing was yet. */
  meets(): void {
    this.decide([]);
  }

  open(): ShadowText {
    return new ShadowText(this);
  }

  decide(results: readonly ClassifierResult[]): PolicyDecision {
    const decision = this.#decide(results);
    if (ACTION_WEIGHT[decision.action] > ACTION_WEIGHT[this.#action]) this.#action = decision.action;
    for (const rule of decision.triggered_rules) this.#rules.add(rule);
    for (const rule of decision.degraded) this.#degraded.add(rule);
    return decision;
  }

  record(): ShadowRecord {
    return { policy: this.#policy, action: this.#action, triggered_rules: [...this.#rules], degraded: [...this.#degraded] };
  }
}

/** One text of the answer. Results add up over it, as they do for the policy that is enforced. */
export class ShadowText {
  readonly #answer: ShadowAnswer;
  #results: ScoredResult[] = [];
  /** The shadow would have let nothing more of it leave. */
  #ended = false;

  constructor(answer: ShadowAnswer) {
    this.#answer = answer;
  }

  /** `found` by all patterns; `scores` of a window, where there is one. */
  take(found: readonly ScoredResult[], scores: readonly ClassifierResult[]): void {
    if (this.#ended) return;
    const { own, observed } = splitFound(found);
    const seen = shadowSees({ results: [...own, ...scores], observed });
    this.#results = merged(this.#results, seen.filter(isScored));
    const { action } = this.#answer.decide([...this.#results, ...seen.filter((result) => !isScored(result))]);
    this.#ended = action === 'block' || action === 'replace';
  }
}
