/**
 * What is learnt of one exchange after it was let go on: verdicts on scores that nobody waited for. The first that blocks
 * or replaces acts: what still runs is cut, and the session is barred. What was found without a score for it, because the
 * policy fails closed, is cut and bars nobody: the fault is ours. A redaction comes too late and an escalation cuts
 * nothing: both are flagged. Guarantees that `settled` resolves within the policy's late deadline after the last `watch`.
 */
import type { LateAct, LateRecord } from '../contract/exchange.ts';
import type { Policy, PolicyDecision } from '../contract/policy.ts';
import { ACTION_WEIGHT, type Action, type Direction } from '../contract/screening.ts';
import type { LateVerdict, LateVerdicts } from './output.ts';
import { ResultTally } from './results.ts';

export interface AfterwardsOptions {
  readonly policy: Policy;
  /** Bars the session; false where there is none to bar. */
  bar(): boolean;
  /** Tells that something was found: once for each verdict that does more than all before. */
  tell(record: LateRecord): void;
}

export class Afterwards implements LateVerdicts {
  readonly #options: AfterwardsOptions;
  readonly #closing = new AbortController();
  readonly #startMs = performance.now();
  readonly #tally = new ResultTally();
  readonly #rules = new Set<string>();
  readonly #degraded = new Set<string>();
  /** Verdicts to come. */
  #pending = 0;
  #worst: Action = 'allow';
  #direction: Direction = 'input';
  #acted: readonly LateAct[] = [];
  #latencyMs = 0;
  #violation: PolicyDecision | undefined;
  /** Ends what still runs; false when nothing does. */
  #cut: (decision: PolicyDecision) => boolean = () => false;
  /** Resolves when no verdict is to come; made anew by `watch`. */
  #settled: PromiseWithResolvers<void> | undefined;

  constructor(options: AfterwardsOptions) {
    this.#options = options;
  }

  /** Aborted when nobody wants to know any more. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** What is to be cut, from now on. */
  onViolation(cut: (decision: PolicyDecision) => boolean): void {
    this.#cut = cut;
  }

  /** The decision that acted. */
  get violation(): PolicyDecision | undefined {
    return this.#violation;
  }

  get pending(): boolean {
    return this.#pending > 0 && !this.signal.aborted;
  }

  watch(direction: Direction, verdict: Promise<LateVerdict>): void {
    if (this.signal.aborted) return;
    this.#pending += 1;
    this.#settled ??= Promise.withResolvers();
    void verdict.then((one) => this.#take(direction, one)).finally(() => {
      this.#pending -= 1;
      if (this.#pending === 0) this.#settle();
    });
  }

  /** No verdict is to come, or none is wanted. */
  settled(): Promise<void> {
    return this.#settled?.promise ?? Promise.resolve();
  }

  /** What is not known by now is not waited for. */
  close(): void {
    this.#closing.abort();
    this.#settle();
  }

  get record(): LateRecord {
    return {
      direction: this.#direction,
      action: this.#worst,
      triggered_rules: [...this.#rules],
      classifier_results: this.#tally.summary(),
      degraded: [...this.#degraded],
      acted: this.#acted,
      latency_ms: this.#latencyMs,
    };
  }

  #settle(): void {
    this.#settled?.resolve();
    this.#settled = undefined;
  }

  #take(direction: Direction, { decision, results, isNews }: LateVerdict): void {
    if (this.signal.aborted) return;
    this.#latencyMs = performance.now() - this.#startMs;
    this.#tally.add(results);
    for (const rule of decision.degraded) this.#degraded.add(rule);
    if (!isNews) return;
    for (const rule of decision.triggered_rules) this.#rules.add(rule);
    if (ACTION_WEIGHT[decision.action] <= ACTION_WEIGHT[this.#worst]) return;
    this.#worst = decision.action;
    this.#direction = direction;
    if (decision.action === 'block' || decision.action === 'replace') this.#act(decision);
    else if (decision.action !== 'warn') this.#acted = ['flagged'];
    if (this.#acted.length > 0) this.#options.tell(this.record);
  }

  /** Once: after it nothing more is wanted. */
  #act(decision: PolicyDecision): void {
    this.#violation = decision;
    const missed = decision.rule !== undefined && decision.degraded.includes(decision.rule.id);
    const acts: LateAct[] = [];
    if (this.#cut(decision)) acts.push('cut');
    if (!missed && this.#options.policy.screening?.barSessionMs !== undefined && this.#options.bar()) acts.push('barred');
    this.#acted = acts.length === 0 ? ['flagged'] : acts;
    this.close();
  }
}
