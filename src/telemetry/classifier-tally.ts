/**
 * How classifiers have done in this process: how questions ended, how long the newest answers took, and whether each is
 * asked. Kept in memory, bounded, from the channels that metrics are made of; a restart begins anew. Names are those of the
 * configuration, so they are few; more than a bound are not kept.
 */
import { CALL_OUTCOMES, listen, type BreakerState, type CallOutcome, type ClassifierCalled } from '../contract/channels.ts';

/** Newest latencies of each classifier. */
export const SAMPLES_MAX = 4_096;
const CLASSIFIERS_MAX = 200;

export interface ClassifierFigures {
  readonly state: BreakerState;
  readonly outcomes: Readonly<Record<CallOutcome, number>>;
  /** Of the newest answers that somebody was asked for; null where there are none. */
  readonly latencyMs: { readonly n: number; readonly p50: number; readonly p95: number; readonly p99: number } | null;
}

export class ClassifierTally {
  readonly since: Date;
  readonly #calls = new Map<string, { readonly outcomes: Record<CallOutcome, number>; readonly samples: Float64Array; taken: number }>();
  readonly #states = new Map<string, BreakerState>();
  readonly #unsubscribe: () => void;

  constructor(since: Date) {
    this.since = since;
    this.#unsubscribe = listen({ classifierCalled: (call) => this.#called(call), breakerChanged: ({ classifier, state }) => { this.#states.set(classifier, state); } });
  }

  close(): void {
    this.#unsubscribe();
  }

  of(classifier: string): ClassifierFigures {
    const calls = this.#calls.get(classifier);
    return { state: this.#states.get(classifier) ?? 'closed', outcomes: { ...(calls?.outcomes ?? noOutcomes()) }, latencyMs: calls === undefined ? null : quantiles(calls.samples.slice(0, Math.min(calls.taken, SAMPLES_MAX))) };
  }

  #called({ classifier, outcome, startMs, endMs }: ClassifierCalled): void {
    let calls = this.#calls.get(classifier);
    if (calls === undefined) {
      if (this.#calls.size >= CLASSIFIERS_MAX) return;
      this.#calls.set(classifier, (calls = { outcomes: noOutcomes(), samples: new Float64Array(SAMPLES_MAX), taken: 0 }));
    }
    calls.outcomes[outcome] += 1;
    // Nobody was asked for what was remembered, and a late answer was told as its timeout before.
    if (outcome === 'cached' || outcome === 'late' || outcome === 'unsupported') return;
    calls.samples[calls.taken++ % SAMPLES_MAX] = endMs - startMs;
  }
}

function noOutcomes(): Record<CallOutcome, number> {
  return Object.fromEntries(CALL_OUTCOMES.map((outcome) => [outcome, 0])) as Record<CallOutcome, number>;
}

function quantiles(samples: Float64Array): ClassifierFigures['latencyMs'] {
  if (samples.length === 0) return null;
  const sorted = samples.sort();
  const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!;
  return { n: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
