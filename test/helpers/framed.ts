/** Runs the events of a WebSocket's upstream through the frame guard, and accumulates what a client would. */
import { realtime } from '../../src/dialect/realtime.ts';
import type { SocketReader } from '../../src/dialect/socket.ts';
import { createFrameGuard, type FrameGuard, type FrameGuardOptions } from '../../src/stream/frames.ts';
import type { OutputPlan } from '../../src/screen/output.ts';
import type { ScreeningPlan } from '../../src/screen/plan.ts';

export const PASS_ALL = { image: 'pass', audio: 'pass', video: 'pass', file: 'pass', remote_url: 'pass', reference: 'pass', encrypted: 'pass', tokens: 'pass', background: 'pass' } as const;

export interface Framing extends Partial<Omit<FrameGuardOptions, 'plan' | 'reader'>> {
  readonly reader?: SocketReader;
  readonly output?: OutputPlan;
}

/** A guard, and what it gave out. */
export class Framed {
  readonly guard: FrameGuard;
  readonly frames: string[] = [];
  readonly toUpstream: any[] = [];
  readonly refused: string[] = [];
  readonly ended: (number | undefined)[] = [];
  reason: string | undefined;

  constructor(plan: ScreeningPlan, options: Framing = {}) {
    this.guard = createFrameGuard({
      plan: options.output ?? plan.forOutput({}),
      opaque: PASS_ALL,
      bytesMax: 1 << 26,
      onFrame: (frame) => void this.frames.push(frame.toString()),
      onUpstream: (frame) => void this.toUpstream.push(JSON.parse(frame.toString())),
      onRefused: (kind) => void this.refused.push(kind),
      onAnswerEnd: (tokens) => void this.ended.push(tokens),
      onDone: (reason) => { this.reason = reason; },
      ...options,
      reader: options.reader ?? realtime.createReader(),
    });
  }

  feed(...events: readonly (object | string)[]): this {
    for (const event of events) this.guard.feed(Buffer.from(typeof event === 'string' ? event : JSON.stringify(event)));
    return this;
  }

  end(reason = ''): this {
    this.guard.end(reason);
    return this;
  }

  get events(): any[] {
    return this.frames.map((frame) => JSON.parse(frame));
  }

  get types(): string[] {
    return this.events.map(({ type }) => type);
  }

  /** Every text that a client puts together, by item and channel; and every copy of it, each under the event that says it. */
  get texts(): Record<string, string> {
    const texts: Record<string, string> = {};
    for (const event of this.events) {
      const at = `${event.item_id}/${event.content_index ?? ''}`;
      if (typeof event.delta === 'string' && !/audio\.delta$/.test(event.type)) texts[at] = (texts[at] ?? '') + event.delta;
    }
    return texts;
  }
}

const AT = { event_id: 'event_1', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0 };

/** The events of one answer with one text, as OpenAI sends them: `deltas` are the cuts of the text. */
export function answer(deltas: readonly string[], options: { response?: string; item?: string; spoken?: boolean; before?: boolean } = {}): any[] {
  const { response = 'resp_1', item = 'item_1', spoken = false } = options;
  const text = deltas.join('');
  const at = { ...AT, response_id: response, item_id: item };
  const name = spoken ? 'output_audio_transcript' : 'output_text';
  const field = spoken ? 'transcript' : 'text';
  const part = { type: spoken ? 'audio' : 'text', [field]: text };
  const whole = { id: item, object: 'realtime.item', type: 'message', status: 'completed', role: 'assistant', content: [{ type: spoken ? 'output_audio' : 'output_text', [field]: text }] };
  return [
    { type: 'response.created', event_id: 'event_0', response: { object: 'realtime.response', id: response, status: 'in_progress', output: [] } },
    { type: 'response.output_item.added', event_id: 'event_0', response_id: response, output_index: 0, item: { ...whole, status: 'in_progress', content: [] } },
    { type: 'conversation.item.added', event_id: 'event_0', previous_item_id: null, item: { ...whole, status: 'in_progress', content: [] } },
    { ...at, type: 'response.content_part.added', part: { ...part, [field]: '' } },
    ...deltas.map((delta) => ({ ...at, type: `response.${name}.delta`, delta })),
    { ...at, type: `response.${name}.done`, [field]: text },
    { ...at, type: 'response.content_part.done', part },
    { type: 'conversation.item.done', event_id: 'event_0', previous_item_id: null, item: whole },
    { type: 'response.output_item.done', event_id: 'event_0', response_id: response, output_index: 0, item: whole },
    { type: 'response.done', event_id: 'event_0', response: { object: 'realtime.response', id: response, status: 'completed', output: [whole], usage: { total_tokens: 9, input_tokens: 4, output_tokens: 5 } } },
  ];
}
