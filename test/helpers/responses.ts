/**
 * Responses as OpenAI's Responses API gives them, whole and as events, made from a description: every text in its deltas
 * and in all the places that repeat it. All texts are made up.
 */

export interface Part {
  readonly text?: string;
  readonly refusal?: string;
  readonly annotations?: readonly object[];
}

/** One of them: the item that it is. */
export interface Item {
  readonly message?: readonly Part[];
  readonly reasoning?: { readonly summary?: readonly string[]; readonly content?: readonly string[] };
  /** A call of a function, by its arguments. */
  readonly call?: string;
  readonly custom?: string;
  readonly mcp?: { readonly arguments: string; readonly output: string };
  readonly code?: string;
  readonly shell?: readonly string[];
  readonly printed?: readonly { readonly stdout: string; readonly stderr: string }[];
  readonly diff?: string;
}

export interface Answer {
  readonly items: readonly Item[];
  readonly logprobs?: boolean;
  readonly instructions?: string | readonly object[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly status?: 'completed' | 'incomplete' | 'failed';
  /** How texts are cut into deltas. */
  readonly cut?: (text: string) => readonly string[];
}

type Event = Record<string, any> & { readonly type: string };

export const USAGE = { input_tokens: 7, input_tokens_details: { cached_tokens: 0 }, output_tokens: 11, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 18 };

export const namedFrame = (event: Event): string => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
export const framesOf = (events: readonly Event[]): string[] => events.map(namedFrame);

export function responseOf(answer: Answer, status: string, output: readonly object[]): Record<string, any> {
  return {
    id: 'resp_made_up', object: 'response', created_at: 1_700_000_000, status, background: false, error: status === 'failed' ? { code: 'server_error', message: 'It broke' } : null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null, instructions: answer.instructions ?? null, max_output_tokens: null, model: 'made-up-1', output, parallel_tool_calls: true,
    previous_response_id: null, reasoning: { effort: null, summary: null }, store: true, temperature: 1, text: { format: { type: 'text' } }, tool_choice: 'auto',
    tools: [{ type: 'function', name: 'find', description: 'Finds', parameters: { type: 'object', properties: { what: { type: 'string' } } }, strict: false }], top_p: 1, truncation: 'disabled',
    usage: status === 'in_progress' ? null : USAGE, user: null, metadata: answer.metadata ?? {},
  };
}

/** The answer as one body. */
export function wholeResponse(answer: Answer): Record<string, any> {
  return responseOf(answer, answer.status ?? 'completed', answer.items.map((item, i) => itemOf(answer, item, i, 'completed')));
}

/** The events of the answer, numbered from 0. */
export function responseEvents(answer: Answer): Event[] {
  const begun = responseOf(answer, 'in_progress', []);
  const status = answer.status ?? 'completed';
  const done = answer.items.map((item, i) => itemOf(answer, item, i, status === 'completed' ? status : 'incomplete'));
  const events: Event[] = [{ type: 'response.created', response: begun }, { type: 'response.in_progress', response: begun }];
  answer.items.forEach((item, i) => {
    events.push({ type: 'response.output_item.added', output_index: i, item: begunItem(answer, item, i) });
    events.push(...bodyOf(answer, item, i));
    events.push({ type: 'response.output_item.done', output_index: i, item: done[i]! });
  });
  events.push({ type: `response.${status}`, response: responseOf(answer, status, done) });
  return events.map((event, i) => ({ ...event, sequence_number: i }));
}

const textPart = (answer: Answer, { text, refusal, annotations = [] }: Part): object =>
  (refusal !== undefined ? { type: 'refusal', refusal } : { type: 'output_text', annotations, logprobs: tokens(answer, text!), text });

const tokens = (answer: Answer, text: string): readonly object[] => (answer.logprobs === true && text !== '' ? [{ token: text, bytes: [...Buffer.from(text)], logprob: -0.5, top_logprobs: [] }] : []);

function itemOf(answer: Answer, item: Item, i: number, status: string): Record<string, any> {
  const common = { id: `item_${i}`, status };
  const call = { ...common, call_id: `call_${i}` };
  if (item.message !== undefined) return { ...common, type: 'message', role: 'assistant', content: item.message.map((part) => textPart(answer, part)) };
  if (item.reasoning !== undefined) {
    const { summary = [], content } = item.reasoning;
    return { ...common, type: 'reasoning', encrypted_content: 'gAAAAABmade-up_0123==', summary: summary.map((text) => ({ type: 'summary_text', text })), ...(content && { content: content.map((text) => ({ type: 'reasoning_text', text })) }) };
  }
  if (item.call !== undefined) return { ...call, type: 'function_call', name: 'find', arguments: item.call };
  if (item.custom !== undefined) return { ...call, type: 'custom_tool_call', name: 'query', input: item.custom };
  if (item.mcp !== undefined) return { ...common, type: 'mcp_call', server_label: 'wiki', name: 'ask', approval_request_id: null, error: null, ...item.mcp };
  if (item.code !== undefined) return { ...common, type: 'code_interpreter_call', container_id: 'cntr_1', code: item.code, outputs: null };
  if (item.shell !== undefined) return { ...call, type: 'shell_call', action: { commands: item.shell, timeout_ms: null, max_output_length: null }, environment: null };
  if (item.printed !== undefined) return { ...call, call_id: `call_${i - 1}`, type: 'shell_call_output', max_output_length: null, output: item.printed.map((one) => ({ ...one, outcome: { type: 'exit', exit_code: 0 } })) };
  return { ...call, type: 'apply_patch_call', operation: { type: 'create_file', path: 'notes.txt', diff: item.diff } };
}

/** The item as it is when it is added: nothing said yet. */
function begunItem(answer: Answer, item: Item, i: number): Record<string, any> {
  const empty: Item = item.message !== undefined ? { message: [] } : item.reasoning !== undefined ? { reasoning: item.reasoning.content === undefined ? {} : { content: [] } } : item.call !== undefined ? { call: '' } : item.custom !== undefined ? { custom: '' }
    : item.mcp !== undefined ? { mcp: { arguments: '', output: '' } } : item.code !== undefined ? { code: '' } : item.shell !== undefined ? { shell: [] } : item.printed !== undefined ? { printed: [] } : { diff: '' };
  return itemOf(answer, empty, i, 'in_progress');
}

function bodyOf(answer: Answer, item: Item, i: number): Event[] {
  const about = { item_id: `item_${i}`, output_index: i };
  const said = (type: string, text: string, field: string, at: object = about, extra: (fragment: string) => object = () => ({})): Event[] => [
    ...cut(answer, text).map((delta): Event => ({ type: `${type}.delta`, ...at, delta, ...extra(delta), obfuscation: padding(delta) })),
    { type: `${type}.done`, ...at, [field]: text, ...extra(text) },
  ];
  const part = (type: string, at: object, empty: object, full: object, text: Event[]): Event[] => [{ type: `${type}.added`, ...at, part: empty }, ...text, { type: `${type}.done`, ...at, part: full }];
  if (item.message !== undefined) {
    return item.message.flatMap((one, content_index) => {
      const at = { ...about, content_index };
      const text = one.refusal !== undefined ? said('response.refusal', one.refusal, 'refusal', at) : said('response.output_text', one.text!, 'text', at, (fragment) => ({ logprobs: tokens(answer, fragment) }));
      const cited = (one.annotations ?? []).map((annotation, annotation_index): Event => ({ type: 'response.output_text.annotation.added', ...at, annotation_index, annotation }));
      const empty = one.refusal !== undefined ? { refusal: '' } : { text: '' };
      return part('response.content_part', at, textPart(answer, empty), textPart(answer, one), [...text.slice(0, -1), ...cited, ...text.slice(-1)]);
    });
  }
  if (item.reasoning !== undefined) {
    const { summary = [], content = [] } = item.reasoning;
    return [
      ...summary.flatMap((text, summary_index) => {
        const at = { ...about, summary_index };
        return part('response.reasoning_summary_part', at, { type: 'summary_text', text: '' }, { type: 'summary_text', text }, said('response.reasoning_summary_text', text, 'text', at));
      }),
      ...content.flatMap((text, content_index) => {
        const at = { ...about, content_index };
        return part('response.content_part', at, { type: 'reasoning_text', text: '' }, { type: 'reasoning_text', text }, said('response.reasoning_text', text, 'text', at));
      }),
    ];
  }
  if (item.call !== undefined) return said('response.function_call_arguments', item.call, 'arguments').map((event) => (event.type.endsWith('.done') ? { ...event, name: 'find' } : event));
  if (item.custom !== undefined) return said('response.custom_tool_call_input', item.custom, 'input');
  if (item.mcp !== undefined) return [{ type: 'response.mcp_call.in_progress', ...about }, ...said('response.mcp_call_arguments', item.mcp.arguments, 'arguments'), { type: 'response.mcp_call.completed', ...about }];
  if (item.code !== undefined) return [{ type: 'response.code_interpreter_call.in_progress', ...about }, ...said('response.code_interpreter_call_code', item.code, 'code'), { type: 'response.code_interpreter_call.completed', ...about }];
  if (item.shell !== undefined) {
    return item.shell.flatMap((command, command_index): Event[] => {
      const at = { output_index: i, command_index };
      return [{ type: 'response.shell_call_command.added', ...at, command: '' }, ...said('response.shell_call_command', command, 'command', at)];
    });
  }
  if (item.printed !== undefined) {
    return item.printed.flatMap((one, command_index): Event[] => {
      const at = { ...about, command_index };
      const deltas = (['stdout', 'stderr'] as const).flatMap((field) => cut(answer, one[field]).map((fragment): Event => ({ type: 'response.shell_call_output_content.delta', ...at, delta: { [field]: fragment } })));
      return [...deltas, { type: 'response.shell_call_output_content.done', ...at, output: [{ ...one, outcome: { type: 'exit', exit_code: 0 } }] }];
    });
  }
  return said('response.apply_patch_call_operation_diff', item.diff!, 'diff');
}

const cut = (answer: Answer, text: string): readonly string[] => (answer.cut ?? ((whole: string) => [whole]))(text);

/** As OpenAI pads: the lengths of a delta and its padding add up to a multiple of 16. */
const padding = (delta: string): string => 'x'.repeat(16 - (delta.length % 16));

/** Every text of a stream by where it stands in the answer: as its deltas add up, and once for each other place that has it. */
export function textsOf(events: readonly Event[]): ReadonlyMap<string, { readonly deltas: string; readonly copies: readonly string[] }> {
  const found = new Map<string, { deltas: string; copies: string[] }>();
  const at = (key: string): { deltas: string; copies: string[] } => found.get(key) ?? found.set(key, { deltas: '', copies: [] }).get(key)!;
  const copy = (key: string, text: unknown): void => { if (typeof text === 'string' && text !== '') at(key).copies.push(text); };
  const takeItem = (item: Record<string, any>, o: number): void => {
    for (const [c, part] of (item.content ?? []).entries()) copy(`${o}.${c}`, part.text ?? part.refusal);
    for (const [s, part] of (item.summary ?? []).entries()) copy(`${o}.s${s}`, part.text);
    for (const [c, command] of (item.action?.commands ?? []).entries()) copy(`${o}.command${c}`, command);
    for (const [c, one] of (Array.isArray(item.output) ? item.output : []).entries()) for (const field of ['stdout', 'stderr']) copy(`${o}.${field}${c}`, one[field]);
    for (const field of ['arguments', 'input', 'code']) copy(`${o}`, item[field]);
    copy(`${o}`, item.operation?.diff);
  };
  for (const event of events) {
    const { output_index: o, content_index: c, summary_index: s, command_index: k } = event;
    const key = s !== undefined ? `${o}.s${s}` : c !== undefined ? `${o}.${c}` : k !== undefined ? `${o}.command${k}` : `${o}`;
    if (typeof event.delta === 'string') at(key).deltas += event.delta;
    else if (event.delta) for (const [field, text] of Object.entries(event.delta)) at(`${o}.${field}${k}`).deltas += text;
    for (const field of ['text', 'refusal', 'arguments', 'input', 'code', 'command', 'diff']) copy(key, event[field]);
    if (event.part) copy(key, event.part.text ?? event.part.refusal);
    if (event.output) for (const field of ['stdout', 'stderr']) copy(`${o}.${field}${k}`, event.output[0][field]);
    if (event.item && event.type.endsWith('.done')) takeItem(event.item, o);
    for (const [i, item] of (event.response?.output ?? []).entries()) takeItem(item, i);
  }
  return found;
}
