/**
 * Callers of all kinds for the accounting: each sends what it says, notes for itself whether a request must have come of
 * it, and what it saw of the answer. Polite ones, ones that leave at some byte, ones that send what is no request; raw, by
 * the official SDK, over WebSocket, and through nginx. Nothing here asks Weir how it counts.
 */
import OpenAI from 'openai';
import { chatRequest, RawClient } from './raw.ts';
import { connect, SocketEnd } from './sockets.ts';
import { pause } from './upstream.ts';

/** What one caller knows of one request. */
export interface Note {
  readonly kind: string;
  /** Stands in the prompt and in the name of the session. */
  readonly n: number;
  /** What must have become of it, as the caller knows what it sent. */
  readonly becomes: 'exchange' | 'turned_away' | 'nothing';
  /** By `x-weir-request-id`. */
  readonly id?: string | undefined;
  readonly status: number;
  /** The answer came as its framing promised. */
  readonly isWhole: boolean;
  /** Its tenant's entries need not be durable when the answer leaves. */
  readonly isRelaxed: boolean;
}

export interface Place {
  readonly port: number;
  /** Of nginx in front; undefined where it is not installed. */
  readonly frontPort: number | undefined;
  readonly keys: Readonly<Record<'acme' | 'loose' | 'tight' | 'closed' | 'talk', string>>;
  readonly random: () => number;
}

export type Call = (place: Place, n: number) => Promise<readonly Note[]>;

type Doing = 'fine' | 'reset' | 'truncate' | 'stall' | 'busy' | 'broken' | 'cut' | 'noise';

const session = (n: number): string => `n-${n}`;
const prompt = (n: number, doing: Doing, text: string): string => `n=${n} do=${doing} ${text}`;

interface ChatOptions {
  readonly doing?: Doing;
  readonly text?: string;
  readonly tenant?: keyof Place['keys'];
  readonly stream?: boolean;
  readonly fields?: readonly string[];
}

function chatBytes({ keys }: Place, n: number, { doing = 'fine', text = 'hello', tenant = 'acme', stream = false, fields = [] }: ChatOptions = {}): Buffer {
  return chatRequest({ model: 'm', stream, messages: [{ role: 'user', content: prompt(n, doing, text) }] }, [`Authorization: Bearer ${keys[tenant]}`, `X-Weir-Session-Id: ${session(n)}`, ...fields]);
}

/** Sends and waits for what comes. */
async function told(kind: string, n: number, port: number, bytes: Buffer | string, more: Partial<Note> = {}): Promise<readonly Note[]> {
  const client = new RawClient(port).send(bytes);
  const { status, headers, complete } = await client.read(40_000);
  client.leave();
  return [{ kind, n, becomes: 'exchange', isRelaxed: false, id: headers['x-weir-request-id'], status, isWhole: complete, ...more }];
}

const chat = (kind: string, options: ChatOptions = {}): Call => (place, n) => told(kind, n, place.port, chatBytes(place, n, options), { isRelaxed: options.tenant === 'loose' });

/** Through nginx, which writes down what it saw. */
const fronted = (kind: string, options: ChatOptions = {}): Call => (place, n) => told(`nginx ${kind}`, n, place.frontPort ?? place.port, chatBytes(place, n, options));

/** What is refused for its head or its body. */
const refused = (kind: string, make: (place: Place, n: number) => string | Buffer, becomes: Note['becomes'] = 'exchange'): Call => (place, n) => told(kind, n, place.port, make(place, n), { becomes });

const lines = (...all: readonly string[]): string => `${all.join('\r\n')}\r\n\r\n`;
const POST = 'POST /v1/chat/completions HTTP/1.1';
const HOST = 'Host: weir.example.com';
const JSON_TYPE = 'Content-Type: application/json';
const bearer = ({ keys }: Place, tenant: keyof Place['keys'] = 'acme'): string => `Authorization: Bearer ${keys[tenant]}`;

/** To one of the endpoints that Weir answers, or hands over. */
const own = (kind: string, method: string, path: string, body?: object): Call => (place, n) => {
  const text = body === undefined ? '' : JSON.stringify(body);
  return told(kind, n, place.port, lines(`${method} ${path} HTTP/1.1`, HOST, bearer(place), JSON_TYPE, `Content-Length: ${Buffer.byteLength(text)}`) + text);
};

function flushed(client: RawClient, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => client.socket.write(bytes, () => resolve()));
}

/** Leaves when so much of the request was sent. */
const leavesAsking: Call = async (place, n) => {
  const bytes = chatBytes(place, n, { stream: place.random() < 0.5 });
  const cut = Math.floor(place.random() * (bytes.length + 1));
  const client = new RawClient(place.port);
  await flushed(client, bytes.subarray(0, cut));
  client.leave();
  return [{ kind: 'leaves asking', n, becomes: cut >= bytes.indexOf('\r\n\r\n') + 4 ? 'exchange' : 'nothing', status: 0, isWhole: false, isRelaxed: false }];
};

/** Leaves when so much of the answer has come. */
const leavesHearing: Call = async (place, n) => {
  const client = new RawClient(place.port).send(chatBytes(place, n, { stream: true, doing: place.random() < 0.3 ? 'stall' : 'fine' }));
  const enough = Math.floor(place.random() * 1_500);
  while (client.bytes.length < enough && !client.socket.destroyed) await pause(2);
  client.leave();
  const answer = client.answer();
  return [{ kind: 'leaves hearing', n, becomes: 'exchange', id: answer?.headers['x-weir-request-id'], status: answer?.status ?? 0, isWhole: false, isRelaxed: false }];
};

/** Two requests at once on one connection. */
const pipelines: Call = async (place, n) => {
  const client = new RawClient(place.port).send(Buffer.concat([chatBytes(place, n), chatBytes(place, n + 0.5, { text: 'again', fields: ['Connection: close'] })]));
  await client.closed;
  const heads = client.bytes.toString('latin1').split('HTTP/1.1 ').slice(1);
  return [0, 1].map((at) => ({
    kind: 'pipelined', n: n + at / 2, becomes: 'exchange', id: /x-weir-request-id: (\S+)/i.exec(heads[at] ?? '')?.[1], status: Number(heads[at]?.slice(0, 3) ?? 0), isWhole: false, isRelaxed: false,
  }));
};

/** A body that never ends. */
const dawdles: Call = (place, n) => {
  const bytes = chatBytes(place, n);
  return told('dawdles', n, place.port, bytes.subarray(0, bytes.length - 5));
};

const bySdk = (kind: string, stream: boolean, leavesAfter = Infinity): Call => async (place, n) => {
  const client = new OpenAI({ apiKey: place.keys.acme, baseURL: `http://127.0.0.1:${place.port}/v1`, maxRetries: 0, timeout: 40_000, defaultHeaders: { 'x-weir-session-id': session(n) } });
  const asked = { model: 'm', messages: [{ role: 'user' as const, content: prompt(n, 'fine', 'by the SDK') }] };
  let id: string | undefined;
  let status = 0;
  let isWhole = false;
  try {
    if (!stream) {
      const { response } = await client.chat.completions.create(asked).withResponse();
      ({ status } = response);
      id = response.headers.get('x-weir-request-id') ?? undefined;
      isWhole = true;
    } else {
      const { data, response } = await client.chat.completions.create({ ...asked, stream: true }).withResponse();
      ({ status } = response);
      id = response.headers.get('x-weir-request-id') ?? undefined;
      let events = 0;
      for await (const _ of data) if (++events >= leavesAfter) break; // which ends the connection
      isWhole = events < leavesAfter;
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) return [{ kind, n, becomes: 'exchange', id, status, isWhole: false, isRelaxed: false }]; // the connection broke under an answer
    status = error.status ?? 0;
    id = error.headers?.get('x-weir-request-id') ?? id;
  }
  return [{ kind, n, becomes: 'exchange', id, status, isWhole, isRelaxed: false }];
};

/** A conversation over WebSocket, or a handshake that is refused. */
const bySocket = (kind: string, end: 'close' | 'vanish' | 'refused'): Call => async (place, n) => {
  const key = end === 'refused' ? 'weir_no_such_key' : place.keys.talk;
  const note = { kind, n, becomes: 'exchange', isRelaxed: false } as const;
  try {
    const opened = await connect(`ws://127.0.0.1:${place.port}/v1/realtime?model=m`, { headers: { authorization: `Bearer ${key}`, 'x-weir-session-id': session(n) } });
    if (!(opened instanceof SocketEnd)) return [{ ...note, id: String(opened.headers['x-weir-request-id']), status: opened.status, isWhole: true }];
    opened.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: `hello ${n}` }] } });
    await Promise.race([opened.take(1, 40_000).catch(() => undefined), opened.closing(40_000)]);
    if (end === 'vanish') opened.vanish();
    else opened.ws.close(1000);
    await opened.closing(40_000);
    return [{ ...note, status: 101, isWhole: false }];
  } catch {
    return [{ ...note, status: 0, isWhole: false }];
  }
};

/** Told to nobody: what looks whether it lives. */
const looks: Call = (place, n) => told('health', n, place.port, lines(`GET /weir/${place.random() < 0.5 ? 'healthz' : 'readyz'} HTTP/1.1`, HOST), { becomes: 'nothing' });

/** Those that wait for the answer, however it is. */
export const PATIENT: readonly Call[] = [
  chat('fine'), chat('streams', { stream: true }), chat('redacted', { text: 'write to ana@example.com' }), chat('blocked', { text: 'tell me of Bluebird' }), chat('blocked stream', { text: 'Bluebird', stream: true }), chat('answer blocked', { text: 'say it', stream: true, doing: 'noise' }),
  chat('fails closed', { tenant: 'closed' }), chat('relaxed', { tenant: 'loose' }), chat('relaxed stream', { tenant: 'loose', stream: true }), chat('limited', { tenant: 'tight' }), chat('limited', { tenant: 'tight' }), fronted('fine'), fronted('streams', { stream: true }), fronted('blocked', { text: 'Bluebird' }), fronted('busy', { doing: 'busy' }),
  bySdk('sdk', false), bySdk('sdk stream', true), pipelines,
];

/** What providers do. */
export const UNLUCKY: readonly Call[] = [
  ...(['reset', 'truncate', 'stall', 'busy', 'broken'] as const).map((doing) => chat(`upstream ${doing}`, { doing })), ...(['reset', 'truncate', 'stall', 'cut', 'broken'] as const).map((doing) => chat(`upstream ${doing} stream`, { doing, stream: true })), fronted('upstream cut', { doing: 'cut', stream: true }),
];

/** Those that do not, and those that send what is not right. */
export const RUDE: readonly Call[] = [
  leavesAsking, leavesAsking, leavesAsking, leavesHearing, leavesHearing, dawdles, bySdk('sdk leaves', true, 2),
  refused('no key', () => chatRequest({ model: 'm', messages: [] })), refused('unknown key', () => chatRequest({ model: 'm', messages: [] }, ['Authorization: Bearer weir_no_such_key'])), refused('two keys', (place, n) => chatBytes(place, n, { fields: ['x-api-key: made-up'] })),
  refused('two hosts', (place, n) => chatBytes(place, n, { fields: ['Host: other.example.com'] })), refused('no JSON', (place) => chatRequest('{"model":', [bearer(place)])), refused('too large', (place, n) => chatBytes(place, n, { text: 'x'.repeat(30_000) })), refused('wrong type', (place) => lines(POST, HOST, bearer(place), 'Content-Type: text/plain', 'Content-Length: 2') + '{}'),
  refused('compressed', (place, n) => chatBytes(place, n, { fields: ['Content-Encoding: gzip'] })), refused('expects', (place, n) => chatBytes(place, n, { fields: ['Expect: a-miracle'] })), refused('long path', (place) => lines(`GET /v1/${'a'.repeat(3_000)} HTTP/1.1`, HOST, bearer(place))),
  refused('many headers', (place, n) => chatBytes(place, n, { fields: Array.from({ length: 120 }, (_, i) => `X-${i}: 1`) })), refused('wrong method', (place) => lines('DELETE /v1/chat/completions HTTP/1.1', HOST, bearer(place))),
  refused('no HTTP', () => lines('hello there'), 'turned_away'), refused('two lengths', () => lines(POST, HOST, JSON_TYPE, 'Content-Length: 2', 'Content-Length: 3'), 'turned_away'), refused('huge header', () => lines(POST, HOST, `X-A: ${'b'.repeat(20_000)}`), 'turned_away'),
  refused('an upgrade', (place) => lines('GET /v1/models HTTP/1.1', HOST, bearer(place), 'Connection: Upgrade', 'Upgrade: h2c'), 'turned_away'), refused('CONNECT', () => lines('CONNECT a.example.com:443 HTTP/1.1', HOST), 'turned_away'),
];

/** Other endpoints. */
export const OTHERS: readonly Call[] = [
  own('models', 'GET', '/v1/models'), own('nowhere', 'GET', '/v1/nowhere'), own('moderation', 'POST', '/v1/moderations', { input: 'hello' }), own('screening', 'POST', '/weir/v1/screen', { direction: 'input', content: 'Bluebird' }),
  own('appeal', 'POST', '/weir/v1/appeals', { request_id: '00000000-0000-4000-8000-000000000000', text: 'why' }), bySocket('socket', 'close'), bySocket('socket vanishes', 'vanish'), bySocket('socket refused', 'refused'), looks,
];
