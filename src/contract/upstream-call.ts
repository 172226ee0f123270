/**
 * One call of an upstream as it is told outside: what was asked for and what came, as numbers and names. Names are the
 * caller's, the configuration's or the upstream's own words; telemetry bounds each before it shows it. No texts.
 */
import type { AnswerFacts, AnswerUsage } from './answer.ts';

/** Upper bounds of the times between two chunks of an answer: 10 ms, and twice the one before. */
export const CHUNK_BOUNDS_SECONDS: readonly number[] = Object.freeze(Array.from({ length: 14 }, (_, i) => (10 * 2 ** i) / 1000));

/** How far apart the chunks of one streamed answer came. */
export interface ChunkGaps {
  /** By bound, and one more for what is beyond the last. */
  readonly counts: readonly number[];
  readonly count: number;
  readonly sumSeconds: number;
}

export interface UpstreamCall {
  /** `gen_ai.operation.name` of the endpoint. */
  readonly operation: string;
  readonly dialect: string;
  /** As configured. */
  readonly provider: string | undefined;
  readonly address: string;
  readonly port: number;
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly parameters: Readonly<Record<string, number | boolean>>;
  readonly serviceTier: string | undefined;
  /** Undefined: no answer came. */
  readonly status: number | undefined;
  readonly facts: AnswerFacts | undefined;
  readonly usage: AnswerUsage | undefined;
  /** From the request to the first bytes of the answer's body. */
  readonly firstChunkMs: number | undefined;
  /** Of a stream. */
  readonly gaps: ChunkGaps | undefined;
}
