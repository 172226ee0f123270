/**
 * OpenAI's own SDKs, two majors of them, against the whole proxy: one scripted provider, reached directly and through
 * Weir, so that a test can ask both and compare. The provider answers from a description of an answer, whole or as a
 * stream of small pieces, whichever the request wants. All texts are made up.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import OpenAI4 from 'openai-4';
import type { Test } from 'tap';
import { createApp } from '../../src/app.ts';
import { CHANNELS, type ExchangeClosed } from '../../src/contract/channels.ts';
import { cutsOf } from './runs.ts';
import { ScriptedUpstream, SSE_HEAD, LAST_CHUNK, chunk, events, json, until, type ReceivedRequest, type Script } from './upstream.ts';

// The SDKs.

export interface Sdk {
  readonly name: string;
  /** The client class, for its error classes. */
  readonly OpenAI: typeof OpenAI;
  connect(baseUrl: string, maxRetries?: number): SdkClient;
}

export interface SdkClient {
  readonly client: OpenAI;
  readonly chat: OpenAI['chat']['completions'];
  /** Where `stream` and `runTools` stand: under `beta` in 4.x. */
  readonly helpers: Pick<OpenAI['chat']['completions'], 'stream' | 'runTools'>;
}

const settings = (baseURL: string, maxRetries: number) => ({ baseURL, maxRetries, apiKey: 'sk-made-up', timeout: 10_000 });

/** 4.x is typed as 7.x: what the tests call behaves alike, which is what they check. */
export const SDKS: readonly Sdk[] = [
  {
    name: 'openai 7',
    OpenAI,
    connect(baseUrl, maxRetries = 0) {
      const client = new OpenAI(settings(baseUrl, maxRetries));
      return { client, chat: client.chat.completions, helpers: client.chat.completions };
    },
  },
  {
    name: 'openai 4',
    OpenAI: OpenAI4 as unknown as typeof OpenAI,
    connect(baseUrl, maxRetries = 0) {
      const client = new OpenAI4(settings(baseUrl, maxRetries));
      return {
        client: client as unknown as OpenAI,
        chat: client.chat.completions as unknown as OpenAI['chat']['completions'],
        helpers: client.beta.chat.completions as unknown as OpenAI['chat']['completions'],
      };
    },
  },
];

// The house.

export const POLICIES = {
  empty: 'policy: p\ndefault_action: allow\nrules: []\n',
  redact: 'policy: p\ndefault_action: allow\nrules:\n  - { id: pii, priority: 1, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }\n',
  pseudonym: 'policy: p\ndefault_action: allow\nrules:\n  - { id: pii, priority: 1, direction: input, when: { score: pii.*, gte: 0.5 }, action: redact, redact: { style: pseudonym } }\n',
  block: 'policy: p\ndefault_action: allow\npatterns:\n  - { id: codename, label: CODENAME, literal: [Bluebird] }\n  - { id: ticket, label: TICKET, regex: "TCK-[0-9]{4,8}" }\nrules:\n  - { id: codename, priority: 1, direction: both, when: { score: patterns.*, gte: 1 }, action: block }\n',
} as const;

export class SdkHouse {
  readonly upstream = new ScriptedUpstream(() => {});
  /** Every exchange of this house that has closed, in order. */
  readonly closed: ExchangeClosed['record'][] = [];
  directUrl = '';
  weirUrl = '';

  /** The real app, its provider and nothing else; closed when `t` ends. `policy`: the name of one, or its text, with the id `p`. */
  static async open(t: Test, policy: string, more: { readonly upstream?: object; readonly proxy?: object; readonly tenant?: object } = {}): Promise<SdkHouse> {
    const house = new SdkHouse();
    const dir = mkdtempSync(join(tmpdir(), 'weir-sdk-'));
    const tenantId = `t-${dir.slice(-6).toLowerCase()}`;
    writeFileSync(join(dir, 'policy.yaml'), POLICIES[policy as keyof typeof POLICIES] ?? policy);
    house.directUrl = await house.upstream.listen();
    const app = createApp({
      config: {
        dir,
        config: {
          data_dir: 'data', proxy: { port: 0, timeouts: { drain_ms: 1000 }, ...more.proxy }, admin: { port: 0 }, policies: ['policy.yaml'], upstreams: { local: { url: house.directUrl, ...more.upstream } },
          tenants: [{ id: tenantId, policy: 'p', upstream: 'local', ...more.tenant }], telemetry: { log_level: 'silent' },
        },
      },
      env: {},
      log: { write: () => undefined },
    });
    const note = (message: unknown): void => {
      const { record } = message as ExchangeClosed;
      if (record.tenant_id === tenantId) house.closed.push(record);
    };
    CHANNELS.exchangeClosed.subscribe(note);
    t.teardown(async () => {
      await house.upstream.close();
      await app.close();
      CHANNELS.exchangeClosed.unsubscribe(note);
      rmSync(dir, { recursive: true, force: true });
    });
    house.weirUrl = `${(await app.start()).proxyUrl}/v1`;
    return house;
  }

  /** The closing entries of the next calls, once `count` are there; they are written after the client has its answer. */
  async takeClosed(count: number): Promise<ExchangeClosed['record'][]> {
    await until(() => this.closed.length >= count, 20_000, `${count} closing entries`);
    return this.closed.splice(0);
  }
}

export interface BothWays<T> {
  readonly direct: T;
  readonly through: T;
  readonly sentDirect: readonly ReceivedRequest[];
  readonly sentThrough: readonly ReceivedRequest[];
}

/** The same call without and with Weir in between, and what reached the provider each time. */
export async function askBothWays<T>(house: SdkHouse, sdk: Sdk, call: (sdk: SdkClient) => Promise<T>, maxRetries = 0): Promise<BothWays<T>> {
  const { received } = house.upstream;
  received.length = 0;
  const direct = await call(sdk.connect(house.directUrl, maxRetries));
  const sentDirect = received.splice(0);
  const through = await call(sdk.connect(house.weirUrl, maxRetries));
  return { direct, through, sentDirect, sentThrough: received.splice(0) };
}

/** Fields that each hop writes itself. */
const HOP: ReadonlySet<string> = new Set(['host', 'connection', 'keep-alive', 'accept-encoding', 'content-length', 'transfer-encoding']);

/** A request without what belongs to its hop. */
export function endToEnd({ method, path, headers, body }: ReceivedRequest): unknown {
  const fields = Object.entries(headers).filter(([name]) => !HOP.has(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  return { method, path, fields, body: body.toString() };
}

// What comes of a call.

/** An error as an application sees it. */
export function errorFacts(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { thrown: error };
  const { status, code, type, param, error: body, headers, message } = error as InstanceType<typeof OpenAI.APIError>;
  const field = (name: string): unknown => (headers instanceof Headers ? headers.get(name) : (headers as Record<string, string> | undefined)?.[name]) ?? undefined;
  return { kind: error.constructor.name, status, code, type, param, body, message, retryAfter: field('retry-after'), requestId: field('x-request-id'), custom: field('x-made-up') };
}

/** The error a call ends with; fails when there is none. */
export async function errorOf(call: PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const nothing = Symbol();
  const error = await Promise.resolve(call).then(() => nothing, (thrown: unknown) => thrown);
  if (error === nothing) throw new Error('the call succeeded');
  return error as InstanceType<typeof OpenAI.APIError>;
}

const STREAM_EVENTS = [
  'connect', 'chunk', 'content', 'content.delta', 'content.done', 'refusal.delta', 'refusal.done', 'tool_calls.function.arguments.delta', 'tool_calls.function.arguments.done',
  'logprobs.content.delta', 'logprobs.content.done', 'logprobs.refusal.delta', 'logprobs.refusal.done', 'message', 'chatCompletion', 'finalContent', 'finalMessage', 'finalChatCompletion',
  'functionCall', 'finalFunctionCall', 'functionCallResult', 'functionToolCall', 'finalFunctionToolCall', 'functionToolCallResult', 'totalUsage', 'error', 'abort', 'end',
] as const;

type StreamEvents = { on(name: string, listener: (...values: unknown[]) => void): unknown };

/** Every event a helper emits from now on, with copies of its values. */
export function recordEvents(stream: object): unknown[] {
  const seen: unknown[] = [];
  for (const name of STREAM_EVENTS) (stream as StreamEvents).on(name, (...values) => void seen.push([name, ...values.map((value) => structuredClone(value))]));
  return seen;
}

type Chunk = OpenAI.ChatCompletionChunk;

export async function chunksOf(stream: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const one of stream) chunks.push(one);
  return chunks;
}

/** The texts of a raw stream by choice and channel, however they were cut, with finish reasons and usage. */
export function gather(chunks: readonly Chunk[]): Record<string, unknown> {
  const texts: Record<string, unknown> = {};
  const add = (key: string, value: unknown): void => {
    if (typeof value === 'string') texts[key] = `${(texts[key] as string | undefined) ?? ''}${value}`;
    else if (Array.isArray(value)) for (const element of value) add(`${key}/${element.index}`, element);
    else if (value !== null && typeof value === 'object') for (const [name, member] of Object.entries(value)) if (name !== 'index') add(`${key}/${name}`, member);
  };
  for (const { choices, usage } of chunks) {
    for (const choice of choices) {
      add(`${choice.index}`, choice.delta);
      if (choice.finish_reason !== null) texts[`${choice.index}/finish`] = [...((texts[`${choice.index}/finish`] as string[] | undefined) ?? []), choice.finish_reason];
    }
    if (usage) texts.usage = usage;
  }
  return texts;
}

// The provider.

interface Call {
  readonly name: string;
  readonly arguments: string;
}

export interface Choice {
  readonly content?: string;
  readonly refusal?: string;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly (Call & { readonly id: string })[];
  readonly function_call?: Call;
  readonly finish?: string;
}

export interface Answer {
  readonly choices: readonly Choice[];
  readonly logprobs?: boolean;
  /** Usage so far in every chunk, as vLLM does when asked to. */
  readonly usageInEveryChunk?: boolean;
  /** How texts are cut into deltas. */
  readonly cut?: (text: string) => readonly string[];
}

export const USAGE = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };
const ENVELOPE = { id: 'chatcmpl-made-up', created: 1_700_000_000, model: 'made-up-1', system_fingerprint: 'fp_made_up' };
const REQUEST_ID = { 'x-request-id': 'req_made_up' };

interface Wish {
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly messages?: readonly { readonly role: string }[];
}

export const wishOf = (request: ReceivedRequest): Wish => JSON.parse(request.body.toString()) as Wish;

/** Answers as the request wants it. */
export function answering(answer: Answer): Script {
  return (socket, request) => {
    const wish = wishOf(request);
    if (wish.stream !== true) return json(200, wholeAnswer(answer), REQUEST_ID)(socket, request);
    return events(streamEvents(answer, wish.stream_options?.include_usage === true))(socket, request);
  };
}

/** Calls the tool first, answers once its result is there. */
export function callingTools(call: Answer, answer: Answer): Script {
  return (socket, request) => answering(wishOf(request).messages?.some(({ role }) => role === 'tool') === true ? answer : call)(socket, request);
}

/** Streams these pieces of content, then does as told: no end of its own. */
export function beginning(pieces: readonly string[], then: Script): Script {
  return (socket, request) => {
    const open = streamEvents({ choices: [{ content: pieces.join('') }], cut: () => pieces }, false).slice(0, pieces.length + 1);
    socket.write(SSE_HEAD + open.map((event) => chunk(event).toString()).join(''));
    return then(socket, request);
  };
}

export const endOfBody: Script = (socket) => void socket.write(LAST_CHUNK);

function wholeAnswer(answer: Answer): unknown {
  const choices = answer.choices.map(({ finish = 'stop', tool_calls, ...message }, index) => ({
    index,
    message: { role: 'assistant', content: null, refusal: null, ...message, ...(tool_calls && { tool_calls: tool_calls.map(({ id, ...call }) => ({ id, type: 'function', function: call })) }) },
    logprobs: answer.logprobs === true ? { content: cut(answer, message.content ?? '').map(token), refusal: null } : null,
    finish_reason: finish,
  }));
  return { ...ENVELOPE, object: 'chat.completion', choices, usage: USAGE };
}

const cut = (answer: Answer, text: string): readonly string[] => (answer.cut ?? ((whole: string) => cutsOf(whole, whole.length)))(text);
const token = (text: string) => ({ token: text, logprob: -0.25, bytes: [...Buffer.from(text)], top_logprobs: [] });

/** The events of a streamed answer; choices take turns. */
export function streamEvents(answer: Answer, usage: boolean): string[] {
  const event = (choices: readonly unknown[], usageSoFar: unknown): string =>
    `data: ${JSON.stringify({ ...ENVELOPE, object: 'chat.completion.chunk', choices, ...(usage || answer.usageInEveryChunk ? { usage: usageSoFar } : {}) })}\n\n`;
  const soFar = answer.usageInEveryChunk === true ? USAGE : null;
  const turns = answer.choices.map((choice, index) => choiceDeltas(answer, choice).map((part) => ({ index, logprobs: null, finish_reason: null, ...part })));
  const out: string[] = [];
  for (let turn = 0; turns.some((parts) => turn < parts.length); turn++) {
    for (const parts of turns) if (turn < parts.length) out.push(event([parts[turn]], soFar));
  }
  if (usage) out.push(event([], USAGE));
  return [...out, 'data: [DONE]\n\n'];
}

function choiceDeltas(answer: Answer, { content, refusal, reasoning_content: reasoning, tool_calls: calls = [], function_call: call, finish = 'stop' }: Choice): object[] {
  const pieces = (text: string | undefined, delta: (piece: string) => object): object[] => (text === undefined ? [] : cut(answer, text).map((piece) => ({ delta: delta(piece) })));
  const withTokens = (text: string | undefined): object[] =>
    (text === undefined ? [] : cut(answer, text).map((piece) => ({ delta: { content: piece }, ...(answer.logprobs === true ? { logprobs: { content: [token(piece)], refusal: null } } : {}) })));
  return [
    { delta: { role: 'assistant', content: content === undefined ? null : '', refusal: null } },
    ...pieces(reasoning, (piece) => ({ reasoning_content: piece })),
    ...withTokens(content),
    ...pieces(refusal, (piece) => ({ refusal: piece })),
    ...calls.flatMap(({ id, name, arguments: text }, index) => [
      { delta: { tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] } },
      ...pieces(text, (piece) => ({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
    ...(call === undefined ? [] : [{ delta: { function_call: { name: call.name, arguments: '' } } }, ...pieces(call.arguments, (piece) => ({ function_call: { arguments: piece } }))]),
    { delta: {}, finish_reason: finish },
  ];
}
