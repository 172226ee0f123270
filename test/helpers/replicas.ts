/**
 * Several Weirs that share a Redis and perhaps a store, each a process of its own with its own data folder, beside one
 * upstream that always answers: what distribution promises between processes is seen between processes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { keyDigest } from '../../src/tenant/keys.ts';
import { blocking, freshFolder, KEY } from './house.ts';
import { runWeir, type WeirProcess } from './process.ts';

export interface Replica extends Pick<WeirProcess, 'log' | 'kill'> {
  readonly dir: string;
  /** The status of one chat with this text. */
  chat(text: string, key?: string): Promise<number>;
  /** Stores a policy; the status. */
  put(policy: string, parent: number, source: string): Promise<number>;
  metrics(): Promise<string>;
}

export interface ReplicaOptions {
  /** Of an earlier process, which has ended; default: a folder of its own. */
  readonly dir?: string;
  /** Over the smallest configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Policy files by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Whose policy nobody has. */
export const ORPHAN_KEY = 'wk-made-up-orphan';
const TENANT_KEY = 'wk-made-up-acme';
/** Rates so high that they refuse nothing: with them each request asks Redis. */
const LIMITS = { requests_per_minute: 6_000_000 };
const TENANT = { id: 'acme', policy: 'acme', upstream: 'local', limits: LIMITS, keys: [{ id: 'k', sha256: keyDigest(TENANT_KEY) }] };
/** A control plane knows that there is no such policy, and does not start with it; a proxy waits for it. */
const ORPHAN = { id: 'orphan', policy: 'nobodys', upstream: 'local', limits: LIMITS, keys: [{ id: 'k', sha256: keyDigest(ORPHAN_KEY) }] };
const ANSWER = JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'fine' }, finish_reason: 'stop' }] });

/** Provider of all replicas of a test; its URL. */
export async function openProvider(t: Test): Promise<string> {
  const provider = createServer((req, res) => void req.resume().on('end', () => res.writeHead(200, { 'content-type': 'application/json' }).end(ANSWER)));
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    provider.closeAllConnections();
    provider.close();
  });
  return `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`;
}

export async function startReplica(t: Test, upstreamUrl: string, { dir = freshFolder(t), config = {}, files = {} }: ReplicaOptions): Promise<Replica> {
  mkdirSync(join(dir, 'data'), { recursive: true });
  mkdirSync(join(dir, 'policies'), { recursive: true });
  writeFileSync(join(dir, 'data/hash.key'), KEY);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, 'policies', name), text);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['policies'], upstreams: { local: { url: upstreamUrl } }, tenants: [TENANT], ...config }));
  const { port, adminUrl, adminToken, log, kill } = await runWeir(t, dir);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  return {
    dir, log, kill,
    chat: (text, key = TENANT_KEY) => chat(agent, port, text, key),
    put: async (policy, parent, source) => {
      const response = await fetch(`${adminUrl}/api/v1/policies/${policy}?parent=${parent}`, { method: 'PUT', body: source, headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' } });
      await response.arrayBuffer();
      return response.status;
    },
    metrics: async () => (await fetch(`${adminUrl}/metrics`)).text(),
  };
}

/** The control plane, with a store of its own and a policy file. */
export function startControl(t: Test, upstreamUrl: string, redisPort: number, config: object = {}): Promise<Replica> {
  return startReplica(t, upstreamUrl, { config: { redis: { url: `redis://127.0.0.1:${redisPort}` }, ...config }, files: { 'acme.yaml': blocking('Fileword') } });
}

/** A proxy that has nothing but Redis. */
export function startProxy(t: Test, upstreamUrl: string, redisPort: number, dir?: string): Promise<Replica> {
  return startReplica(t, upstreamUrl, { dir, config: { roles: ['proxy'], redis: { url: `redis://127.0.0.1:${redisPort}` }, tenants: [TENANT, ORPHAN] } });
}

function chat(agent: Agent, port: number, text: string, key: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` } }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode!)).once('error', reject);
    });
    sent.once('error', reject).end(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }));
  });
}
