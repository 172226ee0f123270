/**
 * One request to each family of endpoints with a text of the test's in it, and an upstream that answers all of them with
 * another: whole or as a stream, well or in one of the ways in which upstreams fail.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { messageEvents, wholeMessage } from './anthropic.ts';
import { framesOf, responseEvents, wholeResponse } from './responses.ts';
import { chatEvents } from './upstream.ts';

export interface Family {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly streams: boolean;
  /** JSON, or the fields of a form. */
  body?(text: string, user: string): object | FormData;
}

const chat = (text: string, user: string): object => ({ model: 'm', user, messages: [{ role: 'user', content: text }] });
const message = (text: string, user: string): object => ({ model: 'm', max_tokens: 9, metadata: { user_id: user }, messages: [{ role: 'user', content: text }] });
const response = (text: string, user: string): object => ({ model: 'm', safety_identifier: user, input: text });

function form(text: string, user: string): FormData {
  const fields = new FormData();
  for (const [name, value] of [['model', 'm'], ['prompt', text], ['user', user]] as const) fields.set(name, value);
  fields.set('file', new Blob(['made up']), 'a.wav');
  return fields;
}

export const FAMILIES: readonly Family[] = [
  { method: 'POST', path: '/v1/chat/completions', streams: true, body: chat },
  { method: 'POST', path: '/v1/completions', streams: true, body: (prompt, user) => ({ model: 'm', prompt, user }) },
  { method: 'POST', path: '/v1/responses', streams: true, body: response },
  { method: 'GET', path: '/v1/responses/resp_made_up', streams: false },
  { method: 'POST', path: '/v1/conversations', streams: false, body: (text) => ({ items: [{ type: 'message', role: 'user', content: text }] }) },
  { method: 'POST', path: '/v1/embeddings', streams: false, body: (input, user) => ({ model: 'm', input, user }) },
  { method: 'POST', path: '/v1/images/generations', streams: false, body: (prompt, user) => ({ model: 'm', prompt, user }) },
  { method: 'POST', path: '/v1/audio/speech', streams: false, body: (input) => ({ model: 'm', voice: 'v', input }) },
  { method: 'POST', path: '/v1/audio/transcriptions', streams: false, body: form },
  { method: 'POST', path: '/v1/moderations', streams: false, body: (input) => ({ input }) },
  { method: 'POST', path: '/openai/deployments/d/chat/completions?api-version=2024-10-21', streams: true, body: chat },
  { method: 'POST', path: '/openai/v1/responses', streams: true, body: response },
  { method: 'POST', path: '/v1/messages', streams: true, body: message },
  { method: 'POST', path: '/v1/messages/count_tokens', streams: false, body: message },
  { method: 'GET', path: '/v1/models', streams: false },
  { method: 'POST', path: '/weir/v1/screen', streams: false, body: (content, user) => ({ direction: 'input', content, user_id: user, session_id: 's', context: { note: 'a-name', documents: content } }) },
];

/** How the upstream behaves, as `x-mode` of a request says; absent: well. */
export const MODES = ['refuses', 'breaks', 'garbles', 'cuts'] as const;
/** And one that never answers. */
export const SILENT = 'is silent';

export interface FamilyUpstream {
  readonly url: string;
  /** Head and body of each request, as text. */
  readonly received: string[];
}

/** `text` is in every answer of every kind. */
export async function startFamilyUpstream(t: Test, text: string): Promise<FamilyUpstream> {
  const received: string[] = [];
  const server = createServer((request, answer) => {
    const parts: Buffer[] = [];
    request.on('error', () => undefined).on('data', (part: Buffer) => void parts.push(part)).on('end', () => {
      const body = Buffer.concat(parts).toString();
      received.push(`${request.method} ${request.url} ${request.rawHeaders.join(' ')} ${body}`);
      answerTo(request, answer, body, text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, received };
}

function answerTo({ url = '', headers }: IncomingMessage, answer: ServerResponse, body: string, text: string): void {
  const { 'x-mode': mode } = headers;
  const json = { 'content-type': 'application/json' };
  if (mode === SILENT) return;
  if (mode === 'breaks') return void answer.destroy();
  if (mode === 'refuses') return void answer.writeHead(429, json).end(JSON.stringify({ error: { message: `too many requests: ${text}, asked with ${body}`, type: 'requests', code: 'rate_limit_exceeded' } }));
  if (mode === 'garbles') return void answer.writeHead(200, json).end(`{"choices":[{"message":{"content":"${text}`);
  const events = body.includes('"stream":true') ? eventsOf(url, text) : undefined;
  if (events === undefined) return void answer.writeHead(200, json).end(mode === 'cuts' ? wholeOf(url, text).slice(0, -5) : wholeOf(url, text));
  answer.writeHead(200, { 'content-type': 'text/event-stream' });
  if (mode !== 'cuts') return void answer.end(events.join(''));
  answer.write(events.slice(0, -3).join(''), () => setTimeout(() => answer.destroy(), 20));
}

function eventsOf(url: string, text: string): readonly string[] | undefined {
  const cut = (whole: string): readonly string[] => whole.match(/.{1,7}/gsu) ?? [];
  if (url.includes('/messages')) return messageEvents({ blocks: [{ type: 'text', text }] });
  if (url.includes('/responses')) return framesOf(responseEvents({ items: [{ message: [{ text }] }], cut }));
  if (url.includes('chat/completions')) return chatEvents(cut(text));
  return url.endsWith('/completions') ? [...cut(text).map((piece) => `data: ${JSON.stringify({ id: 'c', object: 'text_completion', created: 1, model: 'm', choices: [{ index: 0, text: piece, finish_reason: null }] })}\n\n`), 'data: [DONE]\n\n'] : undefined;
}

function wholeOf(url: string, text: string): string {
  if (url.includes('/count_tokens')) return JSON.stringify({ input_tokens: 7 });
  if (url.includes('/messages')) return JSON.stringify(wholeMessage({ blocks: [{ type: 'text', text }] }));
  if (url.includes('/responses')) return JSON.stringify(wholeResponse({ items: [{ message: [{ text }] }] }));
  if (url.includes('/embeddings')) return JSON.stringify({ object: 'list', data: [{ object: 'embedding', index: 0, embedding: [0.5] }], model: 'm' });
  if (url.includes('/images')) return JSON.stringify({ created: 1, data: [{ revised_prompt: text, url: 'https://images.example.com/a.png' }] });
  if (url.includes('/audio')) return JSON.stringify({ text });
  if (url.includes('/conversations')) return JSON.stringify({ id: 'conv_made_up', object: 'conversation', created_at: 1, metadata: { note: text } });
  if (url.includes('/models')) return JSON.stringify({ object: 'list', data: [{ id: 'm', object: 'model', owned_by: 'made-up' }] });
  return JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, text, message: { role: 'assistant', content: text }, finish_reason: 'stop' }] });
}
