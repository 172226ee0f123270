/**
 * Content kept by the whole Weir: as it came or as it went on, streamed or not, never without being asked for, found by
 * nobody in clear, and erased while the log verifies; also when the process is killed.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { checkContent } from '../../src/audit/content-check.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { ContentVault } from '../../src/audit/vault.ts';
import type { Direction } from '../../src/contract/screening.ts';
import { linesOf } from '../helpers/audit.ts';
import { freshFolder, openHouse, until, type House } from '../helpers/house.ts';
import { runWeir } from '../helpers/process.ts';

const POLICY = `policy: acme
patterns:
  - { id: word, label: WORD, literal: [Bluebird] }
  - { id: never, label: NEVER, literal: [Heron] }
rules:
  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: block }
  - { id: word, priority: 2, direction: both, when: { score: patterns.word, gte: 1 }, action: redact }
`;
const PARTS = ['canary-said Blue', 'bird and ', 'more'];

/** Says `PARTS`, whole or streamed; asked for Heron it says that as well. */
async function upstreamOf(t: Test): Promise<string> {
  const server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => void (body += chunk.toString())).on('end', () => {
      const { stream, messages } = JSON.parse(body) as { stream?: boolean; messages: { content: string }[] };
      const parts = [...PARTS, ...(messages.at(-1)!.content.includes('bad') ? [' Her', 'on'] : [])];
      if (stream !== true) return res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: parts.join('') }, finish_reason: 'stop' }] }));
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = (delta: object, finish_reason: string | null = null): void => void res.write(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`);
      for (const content of parts) chunk({ content });
      chunk({}, 'stop');
      return res.end('data: [DONE]\n\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

const configOf = (url: string, data: object): object => ({ upstreams: { local: { url } }, tenants: [{ id: 'acme', policy: 'acme', upstream: 'local', data }], classifiers: [] });

async function keeping(t: Test, data: object): Promise<House> {
  return openHouse(t, { config: configOf(await upstreamOf(t), data) as Record<string, unknown>, files: { 'acme.yaml': POLICY } });
}

async function ask(port: number, texts: readonly string[], more: object = {}, headers = {}): Promise<string> {
  const messages = texts.map((content) => ({ role: 'user', content }));
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ model: 'm', messages, ...more }) });
  await response.text();
  return response.headers.get('x-weir-request-id')!;
}

function vaultIn(dir: string): ContentVault {
  return new ContentVault({ dir: join(dir, 'data/content'), keyFile: join(dir, 'data/keys/content.key'), clock: Date.now, audit: async () => {} });
}

async function entryOf(dir: string, id: string): Promise<any> {
  const find = (): any => linesOf(join(dir, 'data/audit')).map((line) => JSON.parse(line)).find(({ request_id }) => request_id === id);
  await until(() => find() !== undefined, 'the entry');
  return find();
}

/** What is kept, once it is on disk. */
async function kept(dir: string, id: string, direction: Direction): Promise<readonly string[] | string> {
  const { content, started_at: startedAt } = await entryOf(dir, id);
  const vault = vaultIn(dir);
  const read = () => vault.read({ tenantId: 'acme', requestId: id, startedAt }, direction);
  if (content?.[direction] !== undefined) await until(async () => (await read()).state !== 'absent', 'the content');
  const found = await read();
  return found.state === 'there' ? found.texts.texts.map(({ text }) => text) : found.state;
}

function filesWith(dir: string, ...needles: string[]): string[] {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => needles.some((needle) => readFileSync(file).includes(needle)));
}

t.test('nothing is kept that nobody asked for', async (t) => {
  const { dir, port } = await keeping(t, {});
  const id = await ask(port, ['hello']);
  t.equal((await entryOf(dir, id)).content, undefined);
  t.notOk(readdirSync(join(dir, 'data')).includes('content'));
});

t.test('as it came: what was judged, blocked or not', async (t) => {
  const { dir, port } = await keeping(t, { content: 'original' });
  for (const stream of [false, true]) {
    const id = await ask(port, ['canary-earlier', 'canary-asked Bluebird'], { stream });
    t.same(await kept(dir, id, 'input'), ['canary-earlier', 'canary-asked Bluebird']);
    t.same(await kept(dir, id, 'output'), ['canary-said Bluebird and more']);
    t.match((await entryOf(dir, id)).content, { input: /^[0-9a-f]{64}$/, output: /^[0-9a-f]{64}$/ });
    const bad = await ask(port, ['bad'], { stream });
    t.same(await kept(dir, bad, 'output'), ['canary-said Bluebird and more Heron'], 'what was blocked');
  }
  const blocked = await ask(port, ['canary-asked Heron']);
  t.same([await kept(dir, blocked, 'input'), await kept(dir, blocked, 'output')], [['canary-asked Heron'], 'absent']);
  t.same(filesWith(dir, 'canary-', Buffer.from('canary-').toString('base64').slice(0, 8)), []);
});

t.test('as it went on: without what the policy took out', async (t) => {
  const { dir, port } = await keeping(t, { content: 'redacted' });
  for (const stream of [false, true]) {
    const id = await ask(port, ['Bluebird earlier', 'canary-asked Bluebird'], { stream });
    t.same(await kept(dir, id, 'input'), ['[WORD] earlier', 'canary-asked [WORD]']);
    t.same(await kept(dir, id, 'output'), ['canary-said [WORD] and more']);
    const bad = await ask(port, ['bad'], { stream });
    t.same(await kept(dir, bad, 'output'), stream ? ['canary-said [WORD] and more '] : 'absent', 'what had left');
  }
  const blocked = await ask(port, ['canary-asked Heron']);
  t.same([await kept(dir, blocked, 'input'), await kept(dir, blocked, 'output')], ['absent', 'absent']);
});

t.test('a running Weir erases a session, an exchange, all of a tenant, and says so in its log', async (t) => {
  const { dir, port, adminUrl, token } = await keeping(t, { content: 'original' });
  const erase = async (body: unknown): Promise<{ readonly status: number; readonly body: any }> => {
    const response = await fetch(`${adminUrl}/api/v1/tenants/acme/erasures`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const ids = [await ask(port, ['canary-asked one'], {}, { 'x-weir-session-id': 's' }), await ask(port, ['canary-asked two']), await ask(port, ['canary-asked three'])];
  for (const id of ids) await kept(dir, id, 'input');
  for (const body of [{}, [], 'x', { request_id: ids[0], all: true }, { request_id: ids[0], session_id: 's' }, { before: '2030-02-30' }, { request_id: '' }, { all: false }, { tenant: 'acme' }]) t.equal((await erase(body)).status, 400, JSON.stringify(body));
  t.same((await erase({ session_id: 's' })).body, { number: 1, destroyed: 1, gone: 0 });
  t.same((await erase({ request_id: ids[1] })).body, { number: 2, destroyed: 1, gone: 0 });
  const vault = vaultIn(dir);
  const states = () => Promise.all(ids.map(async (requestId) => (await vault.read({ tenantId: 'acme', requestId }, 'input')).state));
  t.same(await states(), ['erased', 'erased', 'there']);
  t.same((await erase({ all: true })).body, { number: 3, destroyed: 1, gone: 2 });
  t.same(await states(), ['erased', 'erased', 'erased']);
  const audit = join(dir, 'data/audit');
  t.match(linesOf(audit).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'erasure'), [{ author: 'admin', tenant_id: 'acme', session_id: 's', destroyed: 1 }, { request_id: ids[1] }, { destroyed: 1, gone: 2 }]);
  t.equal((await checkLog({ dir: audit, keys: await publishedKeys(audit), threads: 1 })).damage, undefined);
  t.same(filesWith(dir, 'canary-'), []);
});

t.test('no more than the limit, the newest of a prompt and the first of an answer', async (t) => {
  const { dir, port } = await keeping(t, { content: 'original' });
  const id = await ask(port, ['a'.repeat(200_000), 'b'.repeat(100_000), `${'c'.repeat(100_000)}!`]);
  const texts = await kept(dir, id, 'input') as readonly string[];
  t.same(texts.map(({ length }) => length), [100_000, 100_001]);
  const one = await ask(port, [`${'a'.repeat(300_000)}!`]);
  t.match((await kept(dir, one, 'input') as readonly string[])[0], /^a{262143}!$/);
});

t.test('a killed process: the log is sound, what is there is read, nothing else', async (t) => {
  const dir = freshFolder(t);
  writeFileSync(join(dir, 'p.yaml'), POLICY);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], telemetry: { log_level: 'silent' }, audit: { durability: 'strict' }, ...configOf(await upstreamOf(t), { content: 'original' }) }));
  const audit = join(dir, 'data/audit');
  const answered: string[] = [];
  const folder = join(dir, 'data/content/acme');
  const isWritten = (): boolean => existsSync(folder) && readdirSync(folder).some((name) => name.endsWith('.keys') && statSync(join(folder, name)).size > 0);
  for (let round = 0; round < 3; round++) {
    const weir = await runWeir(t, dir);
    let isKilled = false;
    const client = async (): Promise<void> => {
      for (let i = 0; !isKilled; i++) {
        const id = await ask(weir.port, [`canary-asked ${round}`], { stream: i % 2 === 0 }).catch(() => undefined);
        if (id !== undefined) answered.push(id);
        // Once before anything of it is on disk, as a rule; then after.
        if (answered.length > 40 * (round + 1) && (round === 0 || isWritten()) && !isKilled) {
          isKilled = true;
          await weir.kill();
        }
      }
    };
    await Promise.all([client(), client(), client()]);
    t.equal((await checkLog({ dir: audit, keys: await publishedKeys(audit), threads: 1 })).damage, undefined);
  }
  const { sound, altered, missing } = await checkContent(audit, join(dir, 'data/content'));
  t.equal(altered, 0);
  t.ok(sound > 0, `${sound} texts are there, ${missing} were lost with their process`);
  const states = new Set(await Promise.all(answered.slice(0, 30).map(async (id) => (await vaultIn(dir).read({ tenantId: 'acme', requestId: id }, 'input')).state)));
  t.same([...states].filter((state) => state !== 'there' && state !== 'absent'), []);
  t.same(filesWith(dir, 'canary-'), []);
});
