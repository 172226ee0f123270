/**
 * Answers of a provider that speaks Anthropic's Messages API, made from a description: whole, or as the events of a
 * stream, cut as asked. And what a client makes of such events.
 */
import { cutsOf } from './runs.ts';
import { events, json, type ReceivedRequest, type Script } from './upstream.ts';

export type Block =
  | { readonly type: 'text'; readonly text: string; readonly citations?: readonly object[] }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  /** `input` as JSON text. */
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: string }
  /** Comes whole in the event that opens it. */
  | { readonly type: 'web_search_tool_result'; readonly tool_use_id: string; readonly content: readonly object[] };

export interface MessageAnswer {
  readonly blocks: readonly Block[];
  readonly stop?: string;
  readonly cut?: (text: string) => readonly string[];
}

export const MESSAGE_USAGE = { input_tokens: 7, cache_creation_input_tokens: 2, cache_read_input_tokens: 3, output_tokens: 11 };
const ENVELOPE = { id: 'msg_made_up', type: 'message', role: 'assistant', model: 'claude-made-up-1' } as const;

/** The frame of an event, as Anthropic writes it. */
export const named = (event: { readonly type: string; readonly [name: string]: unknown }): string => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

export function wholeMessage({ blocks, stop = 'end_turn' }: MessageAnswer): object {
  const content = blocks.map((block) => (block.type === 'tool_use' ? { ...block, input: JSON.parse(block.input) as unknown } : block));
  return { ...ENVELOPE, content, stop_reason: stop, stop_sequence: null, stop_details: null, usage: MESSAGE_USAGE };
}

/** The events of the same, a ping among them. */
export function messageEvents({ blocks, stop = 'end_turn', cut = (text) => cutsOf(text, text.length) }: MessageAnswer): string[] {
  const { output_tokens: _, ...input } = MESSAGE_USAGE;
  return [
    named({ type: 'message_start', message: { ...ENVELOPE, content: [], stop_reason: null, stop_sequence: null, stop_details: null, usage: { ...input, output_tokens: 1 } } }),
    named({ type: 'ping' }),
    ...blocks.flatMap((block, index) => [
      named({ type: 'content_block_start', index, content_block: opened(block) }),
      ...deltasOf(block, cut).map((delta) => named({ type: 'content_block_delta', index, delta })),
      named({ type: 'content_block_stop', index }),
    ]),
    named({ type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null, stop_details: null }, usage: { output_tokens: MESSAGE_USAGE.output_tokens } }),
    named({ type: 'message_stop' }),
  ];
}

function opened(block: Block): object {
  switch (block.type) {
    case 'text': return { type: 'text', text: '' };
    case 'thinking': return { type: 'thinking', thinking: '', signature: '' };
    case 'tool_use': return { type: 'tool_use', id: block.id, name: block.name, input: {} };
    default: return block;
  }
}

function deltasOf(block: Block, cut: (text: string) => readonly string[]): object[] {
  switch (block.type) {
    case 'text': return [...cut(block.text).map((text) => ({ type: 'text_delta', text })), ...(block.citations ?? []).map((citation) => ({ type: 'citations_delta', citation }))];
    case 'thinking': return [...cut(block.thinking).map((thinking) => ({ type: 'thinking_delta', thinking })), { type: 'signature_delta', signature: block.signature }];
    case 'tool_use': return [{ type: 'input_json_delta', partial_json: '' }, ...cut(block.input).map((partial) => ({ type: 'input_json_delta', partial_json: partial }))];
    default: return [];
  }
}

/** Answers as the request wants it. */
export function sayingMessage(answer: MessageAnswer): Script {
  return (socket, request) => {
    const { stream } = JSON.parse(request.body.toString()) as { readonly stream?: boolean };
    return (stream === true ? events(messageEvents(answer)) : json(200, wholeMessage(answer), { 'request-id': 'req_made_up' }))(socket, request);
  };
}

/** Calls the tool first, answers once its result is there. */
export function callingTool(call: MessageAnswer, answer: MessageAnswer): Script {
  const hasResult = (request: ReceivedRequest): boolean => request.body.includes('"tool_result"');
  return (socket, request) => sayingMessage(hasResult(request) ? answer : call)(socket, request);
}

/** A stream as a client reads it; every rule of the wire that it breaks is a fault. */
export interface ReadStream {
  /** Texts of the blocks in order, whatever they are. */
  readonly blocks: readonly string[];
  readonly stop: string | undefined;
  readonly faults: readonly string[];
}

interface StreamEvent {
  readonly type: string;
  readonly index?: number;
  readonly content_block?: Readonly<Record<string, unknown>>;
  readonly delta?: Readonly<Record<string, unknown>>;
  readonly message?: { readonly content: readonly { readonly text?: string }[] };
}

export function readStream(bytes: Buffer): ReadStream {
  const blocks: string[] = [];
  const faults: string[] = [];
  const phases: string[] = [];
  let open: number | undefined;
  let stop: string | undefined;
  const fault = (what: string): void => void faults.push(what);
  for (const frame of bytes.toString().split('\n\n').slice(0, -1)) {
    const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? [];
    if (data === undefined) {
      fault(`no event: ${frame}`);
      continue;
    }
    const { type, index = -1, content_block: block = {}, delta = {}, message } = JSON.parse(data) as StreamEvent;
    if (type !== name) fault(`${name} is a ${type}`);
    if (phases.at(-1) === 'message_stop') fault(`${type} after the end`);
    if (type !== 'ping') phases.push(type);
    if (type === 'message_start') blocks.push(...message!.content.map(({ text }) => text ?? ''));
    else if (type === 'content_block_start') {
      if (open !== undefined || index !== blocks.length) fault(`block ${index} opens`);
      open = index;
      blocks.push(String(block.text ?? block.thinking ?? ''));
    } else if (type === 'content_block_delta') {
      if (open !== index) fault(`a delta of ${index} while ${open} is open`);
      blocks[index] += String(delta.text ?? delta.thinking ?? delta.partial_json ?? '');
    } else if (type === 'content_block_stop') {
      if (open !== index) fault(`block ${index} ends while ${open} is open`);
      open = undefined;
    } else if (type === 'message_delta') {
      if (open !== undefined) fault(`the message ends while ${open} is open`);
      stop = String(delta.stop_reason);
    }
  }
  if (phases[0] !== 'message_start' || phases.filter((type) => type === 'message_start').length !== 1) fault('one message begins');
  if (phases.at(-1) !== 'message_stop' || phases.at(-2) !== 'message_delta') fault('the message ends');
  return { blocks, stop, faults };
}
