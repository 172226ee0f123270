/**
 * A Weir with everybody around it, for the way from what got through to a model that finds it: a process of its own, a
 * provider that can be made to wait, tenants that send traffic with a known share of violations, people who label and
 * review what they are given by its text alone, and the commands as processes beside it.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { PLANTED_CATEGORY, wantsTheCode } from '../../src/cli/demo/traffic.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { ask, tokenFor } from './admin.ts';
import { openProvider } from './held.ts';
import { freshFolder, KEY } from './house.ts';
import { runWeir } from './process.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const run = promisify(execFile);
const OPEN_AT_ONCE = 16;

export interface LoopPlace {
  readonly dir: string;
  api(method: string, path: string, body?: object, token?: string): Promise<{ readonly status: number; readonly body: any }>;
  /** The answer's status; of many in their order. */
  send(tenant: string, text: string): Promise<number>;
  sendAll(tenant: string, texts: readonly string[]): Promise<readonly number[]>;
  /** Of all scores that these texts get, digit for digit. */
  scores(tenant: string, texts: readonly string[]): Promise<string>;
  /** Ends the process in good order and starts it again, with this over its configuration. */
  restart(config?: object): Promise<void>;
  /** `weir …` as a process, with this configuration; what it printed. */
  weirSays(...args: readonly string[]): Promise<string>;
  json(...args: readonly string[]): Promise<any>;
  /** Labels what the campaigns drew until there is nothing left for anybody; how many labels that were. */
  label(people: readonly string[]): Promise<number>;
  /** Decides what waits in the review queue; how many items that were. */
  review(person: string): Promise<number>;
  /** Answers of the provider to prompts with the word Slowly wait until this is called; how many do. */
  goOn(): void;
  waiting(): number;
}

export async function openLoop(t: Test, { tenants, policy, config = {} }: { readonly tenants: Readonly<Record<string, object>>; readonly policy: string; readonly config?: object }): Promise<LoopPlace> {
  const dir = freshFolder(t);
  const waiting: (() => void)[] = [];
  let isSlow = true;
  const provider = await openProvider(t, (body, res) => {
    const answer = (): void => void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'Somebody from the shop will call you.' }, finish_reason: 'stop' }] }));
    if (isSlow && body.includes('Slowly')) waiting.push(answer);
    else answer();
  });
  mkdirSync(join(dir, 'data'));
  writeFileSync(join(dir, 'data/hash.key'), KEY);
  writeFileSync(join(dir, 'shop.yaml'), policy);
  const keyOf = (tenant: string): string => `wk-made-up-${tenant}`;
  const configure = (more: object): void => writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['shop.yaml'], upstreams: { local: { url: provider.url } }, telemetry: { log_level: 'warn' }, screening: { deadline_ms: 10_000 },
    tenants: Object.entries(tenants).map(([id, of]) => ({ id, policy: 'shop', upstream: 'local', keys: [{ id: 'k', sha256: keyDigest(keyOf(id)) }], ...of })), ...config, ...more,
  }));
  configure({});
  let weir = await runWeir(t, dir);
  const admin = weir.adminToken!;
  const api: LoopPlace['api'] = (method, path, body, token = admin) => ask(weir.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  const post = (tenant: string, path: string, body: object): Promise<Response> => fetch(`http://127.0.0.1:${weir.port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${keyOf(tenant)}` }, body: JSON.stringify(body) });
  const send: LoopPlace['send'] = async (tenant, text) => {
    const response = await post(tenant, '/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: text }] });
    await response.arrayBuffer();
    return response.status;
  };
  const weirSays: LoopPlace['weirSays'] = async (...args) => (await run(process.execPath, [MAIN, ...args, '--config', join(dir, 'weir.yaml')], { cwd: dir, maxBuffer: 1 << 26 })).stdout;
  const tokens = new Map<string, string>();
  const tokenOf = async (person: string): Promise<string> => {
    if (!tokens.has(person)) tokens.set(person, await tokenFor(weir.adminUrl, admin, person, ['reviewer']));
    return tokens.get(person)!;
  };
  return {
    dir, api, send, weirSays,
    async restart(more = {}) {
      await weir.stop();
      configure(more);
      weir = await runWeir(t, dir);
    },
    json: async (...args) => JSON.parse(await weirSays(...args, '--json')),
    waiting: () => waiting.length,
    goOn() {
      isSlow = false;
      waiting.splice(0).forEach((answer) => answer());
    },
    async sendAll(tenant, texts) {
      const statuses: number[] = [];
      let at = 0;
      await Promise.all(Array.from({ length: OPEN_AT_ONCE }, async () => {
        for (let mine = at++; mine < texts.length; mine = at++) statuses[mine] = await send(tenant, texts[mine]!);
      }));
      return statuses;
    },
    async scores(tenant, texts) {
      const told: unknown[] = [];
      for (const content of texts) {
        const { classifier_results: results } = (await (await post(tenant, '/weir/v1/screen', { tenant_id: tenant, direction: 'input', content, content_type: 'text' })).json()) as { readonly classifier_results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number }[] };
        told.push(results.map(({ classifier_id: id, category, score }) => [id, category, score]));
      }
      return createHash('sha256').update(JSON.stringify(told)).digest('hex');
    },
    async label(people) {
      let labels = 0;
      await Promise.all(people.map(async (person) => {
        const token = await tokenOf(person);
        for (let next = await api('POST', 'risk/next', {}, token); next.body.state === 'there'; next = await api('POST', 'risk/next', {}, token)) {
          const { annotation, texts } = next.body;
          const { status, body } = await api('POST', `risk/annotations/${annotation.annotation_id}/label`, wantsTheCode(texts.at(-1).text) ? { label: 'violation', category: PLANTED_CATEGORY } : { label: 'safe' }, token);
          if (status !== 200) throw new Error(`no label: ${JSON.stringify(body)}`);
          labels++;
        }
      }));
      return labels;
    },
    async review(person) {
      const token = await tokenOf(person);
      let items = 0;
      for (let next = await api('POST', 'reviews/next', undefined, token); next.status === 200 && next.body.item !== null; next = await api('POST', 'reviews/next', undefined, token)) {
        const { item: { review_id: id }, fence } = next.body;
        const { body: { texts: { texts } } } = await api('GET', `reviews/${id}/content`, undefined, token);
        const { status, body } = await api('POST', `reviews/${id}/verdict`, { fence, ...(wantsTheCode(texts.at(-1).text) ? { resolution: 'block', categories: [PLANTED_CATEGORY] } : { resolution: 'allow' }) }, token);
        if (status !== 200) throw new Error(`no verdict: ${JSON.stringify(body)}`);
        items++;
      }
      return items;
    },
  };
}
