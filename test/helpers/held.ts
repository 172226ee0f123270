/**
 * A house whose policy holds prompts with Egret and answers with Heron, with the hands of a reviewer, and a provider that
 * tells what it was asked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { ask } from './admin.ts';
import { openHouse, until, type House, type HouseOptions } from './house.ts';

/** Holds prompts with Egret for as long as it says, and answers with Heron. */
export function holding(then: string, seconds = '60s', more = ''): string {
  return `policy: acme
patterns:
  - { id: egret, label: EGRET, literal: [Egret] }
  - { id: heron, label: HERON, literal: [Heron] }
rules:
  - { id: ask, priority: 5, direction: input, when: { score: patterns.egret, gte: 1 }, action: escalate, severity: low, hold: { for: ${seconds}, then: ${then} } }
  - { id: told, priority: 6, direction: output, when: { score: patterns.heron, gte: 1 }, action: escalate, severity: low, hold: { for: ${seconds}, then: ${then} } }
${more}`;
}

export interface Provider {
  readonly url: string;
  readonly prompts: string[];
}

/** A text, or what is done about a request. */
export type Answer = string | ((body: string, res: ServerResponse, req: IncomingMessage) => void);

export async function openProvider(t: Test, answer: Answer = 'fine'): Promise<Provider> {
  const prompts: string[] = [];
  const server: Server = createServer((req, res) => {
    let body = '';
    req.on('data', (part: Buffer) => { body += part.toString(); }).on('end', () => {
      prompts.push(body);
      if (typeof answer === 'function') return answer(body, res, req);
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: answer }, finish_reason: 'stop' }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, prompts };
}

export interface HeldHouse extends House {
  readonly provider: Provider;
  items(): Promise<any[]>;
  /** Claims the item and decides it. */
  decide(id: string, resolution: string, reviewer?: string): Promise<{ readonly status: number; readonly body: any }>;
  entries(): Promise<any[]>;
  send(content: string, signal?: AbortSignal): Promise<{ readonly status: number; readonly text: string; readonly headers: Headers }>;
}

export async function openHeld(t: Test, policy: string, { config = {}, answer }: Pick<HouseOptions, 'config'> & { readonly answer?: Answer } = {}): Promise<HeldHouse> {
  const provider = await openProvider(t, answer);
  const house = await openHouse(t, { files: { 'acme.yaml': policy }, config: {
    upstreams: { local: { url: provider.url } }, review: { double_blind_percent: 0 }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }], ...config,
  } });
  const call = async (method: string, path: string, token = house.token, body?: object) => ask(house.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  return {
    ...house, provider,
    items: async () => (await call('GET', 'reviews')).body.items,
    decide: async (id, resolution, reviewer = house.token) => {
      const claim = await call('POST', `reviews/${id}/claim`, reviewer);
      return call('POST', `reviews/${id}/verdict`, reviewer, { fence: claim.body.fence, resolution });
    },
    entries: async () => (await call('GET', 'audit?kind=exchange')).body.entries,
    send: async (content, signal) => {
      const response = await fetch(`http://127.0.0.1:${house.port}/v1/chat/completions`, { method: 'POST', signal, headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
      return { status: response.status, text: await response.text(), headers: response.headers };
    },
  };
}

/** The one item for which a request waits. */
export async function waiting(house: HeldHouse): Promise<any> {
  let item: any;
  await until(async () => { [item] = (await house.items()).filter(({ holding }) => holding); return item !== undefined; }, 'an item that is waited for');
  return item;
}
