/** Runs an answer through the guard as the proxy does, cut as asked, and accumulates what a client would. */
import type { AnswerWitness } from '../../src/contract/content.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { createGuard, type GuardSummary } from '../../src/stream/guard.ts';
import type { ScreeningPlan } from '../../src/screen/plan.ts';
import type { Dialect, RequestReading } from '../../src/dialect/dialect.ts';
import { randomOf } from './runs.ts';

export interface Guarded {
  readonly bytes: Buffer;
  readonly blocked: boolean;
  readonly summary: GuardSummary;
  /** What had been given out after each chunk. */
  prefix(chunk: number): Buffer;
}

export const STREAM_REQUEST: RequestReading = { segments: [], opaque: [], stream: true, parameters: {} };

export function guarded(plan: ScreeningPlan, chunks: readonly Buffer[], options: { status?: number; mediaType?: string; request?: RequestReading; dialect?: Dialect; witness?: AnswerWitness } = {}): Guarded {
  const out: Buffer[] = [];
  const counts: number[] = [];
  let blocked: boolean | undefined;
  const guard = createGuard({
    dialect: options.dialect ?? openaiChat,
    request: options.request ?? STREAM_REQUEST,
    plan: plan.forOutput({}),
    requestId: 'r',
    status: options.status ?? 200,
    mediaType: options.mediaType ?? 'text/event-stream',
    limits: { eventBytesMax: 1 << 22, responseBytesMax: 1 << 26 },
    witness: options.witness,
    onBytes: (bytes) => out.push(Buffer.from(bytes)),
    onDone: (end) => { blocked = end.blocked; },
  });
  for (const chunk of chunks) {
    guard.feed(chunk);
    counts.push(out.length);
  }
  guard.end();
  if (blocked === undefined) throw new Error('the guard did not end');
  return { bytes: Buffer.concat(out), blocked, summary: guard.summary(), prefix: (chunk) => Buffer.concat(out.slice(0, counts[chunk])) };
}

export function cutBytes(bytes: Buffer, seed: number, meanBytes: number): Buffer[] {
  const random = randomOf(seed);
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = Math.max(1, Math.round(-Math.log(1 - random()) * meanBytes));
    out.push(bytes.subarray(at, at + size));
    at += size;
  }
  return out;
}

/** Data payloads of a stream, `[DONE]` left out. */
export function eventsOf(bytes: Buffer): any[] {
  return bytes.toString('utf8').replace(/\r\n/g, '\n').split('\n\n')
    .map((frame) => frame.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart()).join('\n'))
    .filter((data) => data !== '' && data !== '[DONE]')
    .map((data) => JSON.parse(data));
}

/** Each channel's text as a client accumulates it. */
export function accumulated(bytes: Buffer): Record<string, string> {
  const texts: Record<string, string> = {};
  const add = (key: string, text: unknown): void => { if (typeof text === 'string') texts[key] = (texts[key] ?? '') + text; };
  for (const event of eventsOf(bytes)) {
    for (const choice of event.choices ?? []) {
      const delta = choice.delta ?? {};
      for (const field of ['content', 'refusal', 'reasoning', 'reasoning_content']) add(`${choice.index}/${field}`, delta[field]);
      for (const call of delta.tool_calls ?? []) add(`${choice.index}/${call.index}/arguments`, call.function?.arguments);
      add(`${choice.index}/function_call`, delta.function_call?.arguments);
    }
  }
  return texts;
}
