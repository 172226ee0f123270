/**
 * What of a streamed response has left for the client, as it left, and the ends that go on from there: the next number,
 * the items that are open, a response that says what came. Also responses and messages of our own. Pure.
 */
import { ERROR_CODES, type ErrorCode } from '../contract/errors.ts';
import { asList } from './openai.ts';
import { isObject, type JsonObject } from './walk.ts';

/** Clients dispatch on the type in the data; the name of the event is the same. */
export function namedFrame(event: JsonObject & { readonly type: string }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

interface SentPart {
  content: JsonObject;
  text: string;
  /** Its text is complete for the client; the part may not be. */
  ended: boolean;
  done: boolean;
}

interface SentItem {
  item: JsonObject;
  done: boolean;
  readonly content: Map<number, SentPart>;
  readonly summary: Map<number, SentPart>;
}

type UnnumberedEvent = JsonObject & { readonly type: string };

export class SentResponse {
  readonly #items = new Map<number, SentItem>();
  /** The response as the newest event that told of it has it. */
  #response: JsonObject | undefined;
  /** The number of the next event; undefined where the server numbers none. */
  #next: number | undefined = 0;
  #ended = false;

  take(event: unknown): void {
    if (!isObject(event)) return;
    const { sequence_number: number, type } = event;
    if (typeof number === 'number') this.#next = number + 1;
    else if (this.#next === 0) this.#next = undefined;
    if (isObject(event.response)) this.#response = event.response;
    switch (type) {
      case 'response.completed': case 'response.incomplete': case 'response.failed': this.#ended = true; break;
      case 'response.output_item.added': case 'response.output_item.done': this.#takeItem(event, type === 'response.output_item.done'); break;
      default: this.#takePart(event);
    }
  }

  #takeItem({ output_index: index, item }: JsonObject, done: boolean): void {
    if (typeof index === 'number' && isObject(item)) this.#items.set(index, { item, done, content: new Map(), summary: new Map() });
  }

  #takePart(event: JsonObject): void {
    const open = this.#items.get(event.output_index as number);
    const [list, index] = typeof event.summary_index === 'number' ? ['summary', event.summary_index] as const : ['content', event.content_index] as const;
    if (open === undefined || typeof index !== 'number') return;
    const known = open[list].get(index);
    if (isObject(event.part)) open[list].set(index, { content: event.part, text: textIn(event.part), ended: false, done: String(event.type).endsWith('.done') });
    else if (known === undefined) return;
    else if (typeof event.delta === 'string') known.text += event.delta;
    else if (isObject(event.annotation)) known.content = { ...known.content, annotations: [...asList(known.content.annotations), event.annotation] };
    else if (TEXT_END.test(String(event.type))) Object.assign(known, { text: textIn(event), ended: true });
  }

  /** The bytes that end the stream here; none where it has ended. `known`: of a response whose first event never left. */
  end(known: { readonly id?: string; readonly model?: string }, message: string | undefined): Buffer {
    if (this.#ended) return Buffer.alloc(0);
    this.#ended = true;
    const out: UnnumberedEvent[] = [];
    if (this.#response === undefined) {
      this.#response = answerOf({ id: known.id ?? 'resp_blocked', created_at: 0, model: known.model ?? '' }, 'in_progress', []);
      out.push({ type: 'response.created', response: this.#response });
    }
    const output = this.#closeItems(out);
    const cutCall = output.length < this.#items.size;
    if (message !== undefined) {
      const item = messageItem(`msg_${String(this.#response.id)}`, message);
      output.push(item);
      out.push(...messageEvents(item, Math.max(-1, ...this.#items.keys()) + 1, message));
    }
    // Half a call is no call: it is not in the answer, and the answer is not whole.
    const status = message === undefined || cutCall ? 'incomplete' : 'completed';
    const details = status === 'incomplete' ? { reason: 'content_filter' } : null;
    out.push({ type: `response.${status}`, response: { ...this.#response, status, incomplete_details: details, output } });
    return Buffer.from(out.map((event) => this.#numbered(event)).join(''));
  }

  /** Ends messages and reasoning that are open; calls stay as they are, since what a client takes for finished it runs. */
  #closeItems(out: UnnumberedEvent[]): JsonObject[] {
    const output: JsonObject[] = [];
    for (const [index, open] of [...this.#items].sort(([a], [b]) => a - b)) {
      if (!open.done && open.item.type !== 'message' && open.item.type !== 'reasoning') continue;
      output.push(open.done ? open.item : closeItem(open, index, out));
    }
    return output;
  }

  /** An error inside the stream, in both forms: some clients know the flat one, others the nested. */
  error(code: ErrorCode, message: string): Buffer {
    const error = { type: ERROR_CODES[code].type, code, message, param: null };
    return Buffer.from(this.#numbered({ ...error, type: 'error', error }));
  }

  #numbered(event: UnnumberedEvent): string {
    if (this.#next === undefined) return namedFrame(event);
    const numbered = namedFrame({ ...event, sequence_number: this.#next });
    this.#next += 1;
    return numbered;
  }
}

const TEXT_END = /(?:_text|refusal)\.done$/;

function textIn({ text, refusal }: JsonObject): string {
  return typeof text === 'string' ? text : typeof refusal === 'string' ? refusal : '';
}

/** The events that end an item, and the item as it then is. */
function closeItem({ item, content, summary }: SentItem, output_index: number, out: UnnumberedEvent[]): JsonObject {
  const about = { item_id: item.id, output_index };
  const summaries = closeParts(summary, about, 'summary_index', 'response.reasoning_summary_part', out);
  const parts = closeParts(content, about, 'content_index', 'response.content_part', out);
  const closed = { ...item, status: 'incomplete', ...(summary.size > 0 ? { summary: summaries } : {}), ...(content.size > 0 ? { content: parts } : {}) };
  out.push({ type: 'response.output_item.done', output_index, item: closed });
  return closed;
}

/** How the event is called that ends the text of a part, and its field. */
const TEXT_ENDS: ReadonlyMap<unknown, readonly [type: string, field: string]> = new Map([
  ['output_text', ['response.output_text.done', 'text']], ['refusal', ['response.refusal.done', 'refusal']], ['reasoning_text', ['response.reasoning_text.done', 'text']], ['summary_text', ['response.reasoning_summary_text.done', 'text']],
]);

function closeParts(parts: ReadonlyMap<number, SentPart>, about: JsonObject, indexName: string, type: string, out: UnnumberedEvent[]): readonly JsonObject[] {
  return [...parts].sort(([a], [b]) => a - b).map(([index, { content, text, ended, done }]) => {
    if (done) return content;
    const at = { ...about, [indexName]: index };
    const end = TEXT_ENDS.get(content.type);
    const part = end === undefined ? content : { ...content, [end[1]]: text };
    if (end !== undefined && !ended) out.push({ type: end[0], ...at, [end[1]]: text, ...(content.type === 'output_text' ? { logprobs: [] } : {}) });
    out.push({ type: `${type}.done`, ...at, part });
    return part;
  });
}

// Responses and messages of our own.

export function messageItem(id: string, text: string): JsonObject {
  return { id, type: 'message', status: 'completed', role: 'assistant', content: [textPart(text)] };
}

function textPart(text: string): JsonObject {
  return { type: 'output_text', annotations: [], logprobs: [], text };
}

/** The events of a message that is there at once. */
export function messageEvents(item: JsonObject, output_index: number, text: string): readonly UnnumberedEvent[] {
  const about = { item_id: item.id, output_index, content_index: 0 };
  return [
    { type: 'response.output_item.added', output_index, item: { ...item, status: 'in_progress', content: [] } },
    { type: 'response.content_part.added', ...about, part: textPart('') },
    { type: 'response.output_text.delta', ...about, delta: text, logprobs: [] },
    { type: 'response.output_text.done', ...about, text, logprobs: [] },
    { type: 'response.content_part.done', ...about, part: textPart(text) },
    { type: 'response.output_item.done', output_index, item },
  ];
}

/** A response that says nothing of the request. */
export function answerOf(head: { readonly id: unknown; readonly created_at: unknown; readonly model: unknown }, status: string, output: readonly JsonObject[]): JsonObject {
  return {
    ...head, object: 'response', status, background: false, error: null, incomplete_details: null, instructions: null, max_output_tokens: null, output, parallel_tool_calls: true, previous_response_id: null,
    reasoning: { effort: null, summary: null }, store: false, temperature: null, text: { format: { type: 'text' } }, tool_choice: 'auto', tools: [], top_p: null, truncation: 'disabled', usage: null, metadata: {},
  };
}

/** In place of a whole response that the policy blocked. Of the blocked one it keeps what is no text. */
export function blockedResponse(response: JsonObject, message: string | undefined): JsonObject {
  const { id = 'resp_blocked', created_at = 0, model = '', usage = null } = response;
  if (message !== undefined) return { ...answerOf({ id, created_at, model }, 'completed', [messageItem(`msg_${String(id)}`, message)]), usage };
  return { ...answerOf({ id, created_at, model }, 'incomplete', []), incomplete_details: { reason: 'content_filter' }, usage };
}
