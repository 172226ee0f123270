/**
 * The scripted model: a small HTTP server that speaks enough of the chat completions API to stand behind the proxy. It
 * streams in pieces of one to four characters, with pauses, as models do. `seed` picks the scripted answer; a request
 * without one gets its prompt echoed, so that a visitor sees what arrived here. Not a mock of the proxy: the demo's
 * requests reach it through real sockets and the real path.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { DemoExchange } from './script.ts';

export interface DemoUpstreamOptions {
  readonly exchanges: readonly DemoExchange[];
  /** Between two pieces. */
  readonly pauseMs: number;
  /** A prompt arrived for the scripted exchange `seed`. */
  readonly onPrompt: (seed: number, prompt: string) => void;
  /** A piece of the answer left. */
  readonly onPiece: (seed: number, piece: string) => void;
}

export interface DemoUpstream {
  readonly url: string;
  close(): Promise<void>;
}

interface ChatRequest {
  readonly stream?: boolean;
  readonly seed?: number;
  readonly messages?: readonly { readonly content?: unknown }[];
}

export async function startUpstream(options: DemoUpstreamOptions): Promise<DemoUpstream> {
  const server = createServer((request, response) => void answer(options, request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, close: () => closeServer(server) };
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

async function answer(options: DemoUpstreamOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  const seed = body.seed ?? -1;
  const prompt = String(body.messages?.at(-1)?.content ?? '');
  options.onPrompt(seed, prompt);
  const exchange = options.exchanges[seed];
  const text = exchange?.answer.text ?? `What reached me: "${prompt}". Questions? Ask ana@example.com or call (202) 555-0143.`;
  if (body.stream === true) await streamAnswer(options, response, seed, text, exchange?.tool);
  else response.setHeader('content-type', 'application/json').end(wholeAnswer(text));
}

async function readBody(request: IncomingMessage): Promise<ChatRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as ChatRequest);
  return body;
}

const COMMON = { id: 'chatcmpl-demo', created: 1735689600, model: 'demo' } as const;

function wholeAnswer(text: string): string {
  return JSON.stringify({ ...COMMON, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }] });
}

async function streamAnswer(options: DemoUpstreamOptions, response: ServerResponse, seed: number, text: string, tool: string | undefined): Promise<void> {
  const send = (delta: object, finish: string | null = null): void =>
    void response.write(`data: ${JSON.stringify({ ...COMMON, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  response.setHeader('content-type', 'text/event-stream');
  send(tool === undefined ? { role: 'assistant', content: '' } : { role: 'assistant', tool_calls: [{ index: 0, id: 'call_demo', type: 'function', function: { name: tool, arguments: '' } }] });
  for (const piece of piecesOf(text)) {
    await pause(options.pauseMs);
    if (response.destroyed) return;
    send(tool === undefined ? { content: piece } : { tool_calls: [{ index: 0, function: { arguments: piece } }] });
    options.onPiece(seed, piece);
  }
  send({}, tool === undefined ? 'stop' : 'tool_calls');
  response.end('data: [DONE]\n\n');
}

/** Like a tokeniser: a space sticks to what follows, words fall into pieces, punctuation stands alone. */
export function piecesOf(text: string): readonly string[] {
  return text.match(/ ?[A-Za-z]{1,4}| ?\d{1,3}|[^]/g) ?? [];
}
