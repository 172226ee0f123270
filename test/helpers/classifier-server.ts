/**
 * A service that scores texts, on loopback, for the plugins that call one: it answers what a test gives it, keeps what
 * it received, and misbehaves byte by byte. The classifier is asked as the host asks it, with its checks and deadline.
 */
import { readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { createApp } from '../../src/app.ts';
import { readWithEnvironment } from '../../src/config/environment.ts';
import type { Classifier, CreateClassifier } from '../../src/contract/classifier.ts';
import type { ClassifierResult, ScreeningDecision, ScreeningRequest, UnknownReason } from '../../src/contract/screening.ts';
import { ClassifierCalls } from '../../src/screen/call.ts';
import { CHAT_ANSWER, chunk, head, json, ScriptedUpstream, type ReceivedRequest, type Script } from './upstream.ts';

export class ClassifierServer {
  /** What it answers next: a value as JSON, or a script. */
  answer: unknown;
  readonly origin: string;
  readonly #server: ScriptedUpstream;

  private constructor(server: ScriptedUpstream, origin: string) {
    this.#server = server;
    this.origin = origin;
  }

  static async start(t: Test): Promise<ClassifierServer> {
    const scripted = new ScriptedUpstream(async (socket, request) => {
      const answer = typeof server.answer === 'function' ? await (server.answer as (request: ReceivedRequest) => unknown)(request) : server.answer;
      await (answer instanceof Raw ? answer.script : json(200, answer))(socket, request);
    });
    const server = new ClassifierServer(scripted, new URL(await scripted.listen()).origin);
    t.teardown(() => scripted.close());
    return server;
  }

  get received(): readonly ReceivedRequest[] {
    return this.#server.received;
  }

  /** The body received last, or the last but so many. */
  body(before = 0): Record<string, unknown> {
    return JSON.parse(this.#server.received.at(-1 - before)!.body.toString()) as Record<string, unknown>;
  }

  get connections(): number {
    return this.#server.connections;
  }
}

/** An answer that is written to the socket by hand. */
export class Raw {
  readonly script: Script;

  constructor(script: Script) {
    this.script = script;
  }
}

export const raw = (text: string, status = 200, fields: Readonly<Record<string, string>> = {}): Raw =>
  new Raw((socket) => void socket.write(head(status, { 'content-length': String(Buffer.byteLength(text)), ...fields }) + text));

/** Ways to answer wrongly that no service may get away with, and what is told of each. */
export const FAULTS: Readonly<Record<string, readonly [answer: Raw, reason: UnknownReason]>> = {
  'nothing at all': [raw(''), 'error'],
  'a page': [raw('<html>busy</html>'), 'error'],
  'JSON that breaks off': [raw('{"results":['), 'error'],
  'a list of nothing': [raw('[null]'), 'error'],
  'a number': [raw('0'), 'error'],
  'text that is not UTF-8': [new Raw((socket) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-length': '4' })), Buffer.from([0x22, 0xff, 0xfe, 0x22])]))), 'error'],
  'a redirect': [raw('{}', 302, { location: '/elsewhere' }), 'error'],
  'a refusal': [raw('{"error":"no"}', 401), 'error'],
  'too many requests': [raw('{}', 429), 'unavailable'],
  'a failure of its own': [raw('{}', 500), 'unavailable'],
  'an answer without end and beyond the limit': [new Raw((socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk(Buffer.alloc(65_536, 0x20))));
    };
    socket.write(head(200, { 'transfer-encoding': 'chunked' }));
    socket.on('drain', more);
    more();
  }), 'error'],
  'a head beyond the limit': [new Raw((socket) => void socket.write(`HTTP/1.1 200 Fine\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`)), 'error'],
  'something that is not HTTP': [new Raw((socket) => void socket.write('SSH-2.0-made-up\r\n\r\n')), 'error'],
  'a connection that is dropped': [new Raw((socket) => void socket.destroy()), 'unavailable'],
  'a connection that is reset amid the answer': [new Raw((socket) => {
    socket.write(`${head(200, { 'content-length': '900' })}{"results":`, () => socket.resetAndDestroy());
  }), 'unavailable'],
};

/** Ways never to answer. */
export const SILENCES: Readonly<Record<string, Raw>> = {
  'no answer': new Raw(() => {}),
  'a head alone': new Raw((socket) => void socket.write(head(200, { 'content-length': '10' }))),
  'a byte now and then': new Raw((socket) => {
    socket.write(head(200, { 'content-length': '100000' }));
    const timer = setInterval(() => socket.write(' '), 10);
    socket.on('close', () => clearInterval(timer));
  }),
};

export function textRequest(content: string, more: Partial<ScreeningRequest> = {}): ScreeningRequest {
  return { request_id: 'r1', tenant_id: 'default', direction: 'input', content, content_type: 'text', created_at: '2026-01-01T00:00:00Z', ...more };
}

/** Asks as the host does; by default with a deadline that no test reaches. */
export function ask(classifier: Classifier, request: ScreeningRequest | string, deadlineMs = 20_000): Promise<readonly ClassifierResult[]> {
  const asked = typeof request === 'string' ? textRequest(request) : request;
  return new ClassifierCalls(classifier).ask(asked, { deadlineAtMs: performance.now() + deadlineMs });
}

/** `category: score`, or the reason why there is none. */
export function scores(results: readonly ClassifierResult[]): Record<string, number | UnknownReason> {
  return Object.fromEntries(results.map((result) => [result.category, 'unknown' in result ? result.reason : result.score]));
}

/** Tells for each fault what the classifier's first category says, with a service that answers well before and after. */
export async function checkFaults(t: Test, server: ClassifierServer, classifier: Classifier, well: unknown): Promise<void> {
  const [category] = classifier.categories;
  for (const [name, [answer, reason]] of Object.entries(FAULTS)) {
    server.answer = answer;
    t.equal(scores(await ask(classifier, 'made up'))[category.id], reason, name);
  }
  for (const [name, answer] of Object.entries(SILENCES)) {
    server.answer = answer;
    const started = performance.now();
    t.equal(scores(await ask(classifier, 'made up', 150))[category.id], 'timeout', name);
    t.ok(performance.now() - started < 5_000, `${name}: the deadline holds`);
  }
  server.answer = well;
  t.type(scores(await ask(classifier, 'made up'))[category.id], 'number', 'it is used again at once');
}

export interface HouseOptions {
  readonly policy: string;
  /** As the configuration has them. */
  readonly classifiers: readonly object[];
  readonly deadlineMs: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface House {
  readonly upstream: ScriptedUpstream;
  readonly log: readonly string[];
  chat(content: string): Promise<Response>;
  screen(content: string): Promise<ScreeningDecision>;
  close(): Promise<void>;
}

/** The whole proxy, with these classifiers as the configuration has them, in front of an upstream that says "fine". */
export async function openHouse(t: Test, { policy, classifiers, deadlineMs, env = {} }: HouseOptions): Promise<House> {
  const upstream = new ScriptedUpstream(json(200, CHAT_ANSWER));
  const config = {
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['policy.yaml'], upstreams: { local: { url: await upstream.listen() } },
    tenants: [{ id: 'default', policy: /^policy: (.*)$/m.exec(policy)![1], upstream: 'local' }], classifiers, screening: { deadline_ms: deadlineMs, overload_ms: 60_000 },
  };
  const dir = t.testdir({ 'policy.yaml': policy, 'weir.yaml': JSON.stringify(config) });
  const log: string[] = [];
  const app = createApp({ config: `${dir}/weir.yaml`, env, log: { write: (line) => void log.push(line) }, watchIntervalMs: 0 });
  const { proxyUrl } = await app.start();
  const headers = { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' };
  const post = (path: string, body: object): Promise<Response> => fetch(proxyUrl + path, { method: 'POST', headers, body: JSON.stringify(body) });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= app.close().then(() => upstream.close()));
  t.teardown(close);
  return {
    upstream,
    log,
    chat: (content) => post('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content }] }),
    screen: async (content) => (await post('/weir/v1/screen', { content, direction: 'input' })).json() as Promise<ScreeningDecision>,
    close,
  };
}

/** Holds a plugin's README and its options together: every example makes a classifier, every option is in the table, and no other. */
export async function checkReadme(t: Test, plugin: string, create: CreateClassifier): Promise<void> {
  const text = readFileSync(new URL(`../../plugins/${plugin}/README.md`, import.meta.url), 'utf8');
  const examples = [...text.matchAll(/```yaml\n(.*?)```/gs)].flatMap(([, yaml]) => {
    const { value, issues } = readWithEnvironment(yaml, 'README.md', { VENDOR_KEY: 'made-up', OPENAI_API_KEY: 'made-up', CONTENT_SAFETY_KEY: 'made-up' });
    t.same(issues, []);
    return (value as { readonly classifiers: readonly ({ readonly id: string; readonly plugin: string } & Record<string, unknown>)[] }).classifiers.filter((entry) => entry.plugin === plugin);
  });
  t.ok(examples.length > 0);
  const known = new Set<string>();
  for (const { plugin: _, deadline_ms: __, ...entry } of examples) {
    await create(entry).close?.();
    try {
      create({ ...entry, made_up: true });
    } catch (error) {
      for (const option of (error as Error).message.replace(/^made_up: unknown option; known are /, '').split(', ')) known.add(option);
    }
  }
  const table = text.slice(text.indexOf('| option |'));
  const listed = [...table.slice(0, table.indexOf('\n\n')).matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => [...cell.matchAll(/`(\w+)`/g)].map(([, option]) => option));
  t.same([...listed].sort(), [...known].sort(), 'options');
}
