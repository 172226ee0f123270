/**
 * A whole Weir in this process with a data folder that several share or not, for tests of stored policies: its proxy,
 * its API, its log lines, and an upstream that always answers.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { createApp, type App } from '../../src/app.ts';
import { CHANNELS, type PoliciesHeld, type PolicyHeld } from '../../src/contract/channels.ts';

export interface HouseOptions {
  /** Default: a folder of its own. */
  readonly dir?: string;
  /** Over the smallest configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Policy files by name. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface House {
  readonly app: App;
  readonly dir: string;
  readonly log: readonly string[];
  /** The status of one chat with this text. */
  chat(text: string, headers?: Readonly<Record<string, string>>): Promise<number>;
  /** The error code of the same. */
  code(text: string): Promise<string | undefined>;
  api(method: string, path: string, body?: string, type?: string, token?: string): Promise<{ readonly status: number; readonly body: any }>;
  metrics(): Promise<string>;
  /** Its token holds for later houses in the same folder. */
  readonly token: string;
  readonly adminUrl: string;
  /** Of the proxy. */
  readonly port: number;
}

const ANSWER = JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'fine' }, finish_reason: 'stop' }] });
/** Replicas that read each other's seals have one key. */
export const KEY = Buffer.alloc(32, 7);
const tokens = new Map<string, string>();

export function freshFolder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-house-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function openHouse(t: Test, { dir = freshFolder(t), config = {}, files = {} }: HouseOptions = {}): Promise<House> {
  mkdirSync(join(dir, 'data'), { recursive: true });
  mkdirSync(join(dir, 'policies'), { recursive: true });
  writeFileSync(join(dir, 'data/hash.key'), KEY);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, 'policies', name), text);
  const upstream = createServer((req, res) => void req.resume().on('end', () => res.writeHead(200, { 'content-type': 'application/json' }).end(ANSWER)));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['policies'], upstreams: { local: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1` } },
    tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }], ...config,
  }));
  const log: string[] = [];
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, log: { write: (line) => void log.push(line) }, watchIntervalMs: 20 });
  t.teardown(async () => {
    await app.close();
    upstream.closeAllConnections();
    upstream.close();
  });
  const { proxyUrl, adminUrl, adminToken } = await app.start();
  if (adminToken !== undefined) tokens.set(dir, adminToken);
  const token = tokens.get(dir)!;
  const ask = (text: string, headers = {}): Promise<Response> => fetch(`${proxyUrl}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up', ...headers }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }) });
  return {
    app, dir, log, token, adminUrl, port: Number(new URL(proxyUrl).port),
    chat: async (text, headers) => {
      const response = await ask(text, headers);
      await response.arrayBuffer();
      return response.status;
    },
    code: async (text) => ((await (await ask(text)).json()) as { error?: { code: string } }).error?.code,
    api: async (method, path, body, type = 'application/yaml', given = token) => {
      const response = await fetch(`${adminUrl}/api/v1/policies${path}`, { method, body, headers: { authorization: `Bearer ${given}`, ...(body === undefined ? {} : { 'content-type': type }) } });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
    },
    metrics: async () => (await fetch(`${adminUrl}/metrics`)).text(),
  };
}

/** Blocks prompts with this word. */
export function blocking(word: string, id = 'acme'): string {
  return `policy: ${id}\npatterns:\n  - { id: word, label: WORD, literal: [${word}] }\nrules:\n  - { id: word, priority: 1, direction: input, when: { score: patterns.word, gte: 1 }, action: block }\n`;
}

/** The same, and lets people look at what says Egret. */
export function watching(word: string, id = 'acme'): string {
  return `${blocking(word, id).replace('patterns:\n', 'patterns:\n  - { id: seen, label: SEEN, literal: [Egret] }\n')}  - { id: look, priority: 5, direction: input, when: { score: patterns.seen, gte: 1 }, action: escalate, severity: low }\n`;
}

/** How long it took. Throws after `withinMs`. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, withinMs = 25_000): Promise<number> {
  const startMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startMs > withinMs) throw new Error(`${what} did not happen within ${withinMs / 1_000} s`);
    await delay(10);
  }
  return performance.now() - startMs;
}

/** Waits until a house tells that it holds such a policy. Houses of one process share the channel, and so their metrics. */
export async function held(t: Test, matches: (policy: PolicyHeld) => boolean, what: string): Promise<void> {
  let seen = false;
  const onHeld = (message: unknown): void => { seen ||= (message as PoliciesHeld).policies.some(matches); };
  CHANNELS.policiesHeld.subscribe(onHeld);
  t.teardown(() => CHANNELS.policiesHeld.unsubscribe(onHeld));
  await until(() => seen, what);
}

/** The control plane, with its store and a policy file. */
export function control(t: Test, port: number): Promise<House> {
  return openHouse(t, { config: { redis: { url: `redis://127.0.0.1:${port}` } }, files: { 'acme.yaml': blocking('Fileword') } });
}

/** A proxy that has nothing but Redis. */
export function proxy(t: Test, port: number, dir?: string, more: object = {}): Promise<House> {
  return openHouse(t, { dir, config: { roles: ['proxy'], redis: { url: `redis://127.0.0.1:${port}` }, ...more } });
}

/** The same, which has its policy: one that blocks this word. */
export async function readyProxy(t: Test, port: number, word: string, dir?: string): Promise<House> {
  const house = await proxy(t, port, dir);
  await until(blocks(house, word), 'the policy');
  return house;
}

export function blocks(house: { chat(text: string): Promise<number> }, word: string): () => Promise<boolean> {
  return async () => (await house.chat(word)) === 400;
}
