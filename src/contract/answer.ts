/**
 * What an upstream says of an answer besides its texts: how many tokens it took, and names of it. Read once, by the dialect,
 * for limits, records and telemetry alike. The strings are the upstream's own words: who shows them bounds them first.
 */

/** Counts of the whole answer. Input includes what was read from a cache and what was written to one. */
export interface AnswerUsage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly cacheReadTokens?: number;
  readonly cacheWriteTokens?: number;
  /** Part of the output. */
  readonly reasoningTokens?: number;
}

export interface AnswerFacts {
  readonly responseId?: string;
  readonly model?: string;
  readonly finishReasons: readonly string[];
  readonly serviceTier?: string;
  readonly fingerprint?: string;
}
