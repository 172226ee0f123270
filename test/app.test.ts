/**
 * The whole house, in-process, over real sockets: what `start` connects is connected. Details are tested where they are.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createApp, type App, type Started } from '../src/app.ts';
import { verifyLog } from '../src/audit/verify.ts';
import type { Io } from '../src/cli/command.ts';
import { start } from '../src/cli/start.ts';

const POLICY = `policy: demo
default_action: allow
patterns:
  - { id: codename, label: CODENAME, literal: [Bluebird] }
rules:
  - { id: codename, priority: 1, direction: input, when: { score: patterns.codename, gte: 1 }, action: block }
  - { id: pii, priority: 2, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }
`;
const ANSWER = { id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'ask ana@example.com' }, finish_reason: 'stop' }] };

interface House extends Started {
  readonly app: App;
  readonly dir: string;
  readonly log: string[];
  readonly bodies: string[];
}

async function openHouse(t: Test, more: Record<string, unknown> = {}): Promise<House> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-app-'));
  writeFileSync(join(dir, 'demo.yaml'), POLICY);
  const bodies: string[] = [];
  const upstream = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(ANSWER));
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const config = {
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['demo.yaml'], upstreams: { local: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1` } },
    tenants: [{ id: 'default', policy: 'demo', upstream: 'local', audit: { durability: 'strict' } }], ...more,
  };
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify(config));
  const log: string[] = [];
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, log: { write: (line) => void log.push(line) }, watchIntervalMs: 20 });
  t.teardown(async () => {
    await app.close();
    upstream.closeAllConnections();
    upstream.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { ...(await app.start()), app, dir, log, bodies };
}

function chat(house: House, content: string): Promise<Response> {
  return fetch(`${house.proxyUrl}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
}

t.test('a prompt and its answer go through, redacted, recorded, counted and logged', async (t) => {
  const house = await openHouse(t);
  const response = await chat(house, 'I am bob@example.com');
  t.equal(response.status, 200);
  t.equal(((await response.json()) as typeof ANSWER).choices[0].message.content, 'ask [EMAIL]');
  t.match(house.bodies, [/I am \[EMAIL\]/]);
  t.equal((await chat(house, 'tell me about Bluebird')).status, 400);
  t.equal(house.bodies.length, 1, 'a blocked prompt does not reach the upstream');

  const id = response.headers.get('x-weir-request-id');
  const metrics = await (await fetch(`${house.adminUrl}/metrics`)).text();
  t.match(metrics, 'weir_exchanges_total{tenant="default",action="redact",outcome="completed"} 1');
  t.match(metrics, 'weir_exchanges_total{tenant="default",action="block",outcome="blocked"} 1');
  t.match(metrics, `weir_config_info{hash="${house.snapshot.hash}"} 1`);
  t.ok(house.log.some((line) => line.includes('"exchange"') && line.includes(id!)));
  t.notMatch(house.log.join(''), /bob@|ana@|Bluebird|sk-made-up/);

  await house.app.close();
  const audit = join(house.dir, 'data/audit');
  const segments = readdirSync(audit).filter((name) => name.endsWith('.jsonl')).map((name) => ({ name, bytes: readFileSync(join(audit, name)) }));
  t.match(verifyLog(segments), { entries: 2, damage: undefined, tornBytes: 0 });
  t.match(JSON.parse(segments[0].bytes.toString().split('\n')[0]), { request_id: id, outcome: 'completed', origin: /^weir\// });
  t.notMatch(segments[0].bytes.toString(), /bob@|ana@|Bluebird|sk-made-up/);
  await t.rejects(fetch(`${house.proxyUrl}/weir/healthz`), 'nothing listens any more');
});

t.test('the screening service decides as traffic is decided', async (t) => {
  const house = await openHouse(t);
  const ask = (body: unknown) => fetch(`${house.proxyUrl}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const response = await ask({ direction: 'output', content: 'ask ana@example.com' });
  t.equal(response.status, 200);
  t.match(await response.json(), { action: 'redact', triggered_rules: ['pii'], modified_content: 'ask [EMAIL]', policy: /^demo@/ });
  for (const wrong of [{ direction: 'output' }, { direction: 'output', content: 'x', surprise: 1 }, { direction: 'output', content: 'x', policy_set_id: 'laxer' }]) {
    const refused = await ask(wrong);
    t.match([refused.status, await refused.json()], [400, { error: { code: 'invalid_request' } }]);
  }
});

t.test('the admin port: health and metrics are open, status asks for the token, which is stored as a digest only', async (t) => {
  const house = await openHouse(t);
  const admin = (path: string, token?: string) => fetch(`${house.adminUrl}${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  t.match(await (await admin('/api/v1/health')).json(), { status: 'ok' });
  t.equal((await admin('/api/v1/status')).status, 401);
  t.equal((await admin('/api/v1/status', 'weir_admin_wrong')).status, 401);
  t.match(await (await admin('/api/v1/status', house.adminToken)).json(), { config: { hash: house.snapshot.hash }, policies: [/^demo@/], classifiers: [/^pii@/], audit_head: { index: -1 } });
  t.equal((await admin('/nothing')).status, 404);
  const file = join(house.dir, 'data/admin.json');
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.notMatch(readFileSync(file, 'utf8'), house.adminToken);
  await house.app.close();
  const again = createApp({ config: join(house.dir, 'weir.yaml'), env: {}, log: { write: () => undefined } });
  t.equal((await again.start()).adminToken, undefined, 'shown on the first start only');
  await again.close();
});

t.test('a new policy takes effect while it runs; one that does not compile changes nothing and is told', async (t) => {
  const house = await openHouse(t, { telemetry: { metrics: { prometheus: true }, log_level: 'info' } });
  const policy = join(house.dir, 'demo.yaml');
  const until = async (status: number): Promise<boolean> => {
    for (let i = 0; i < 150; i++) if ((await chat(house, 'about Heron')).status === status) return true; else await delay(20);
    return false;
  };
  t.ok(await until(200));
  writeFileSync(policy, POLICY.replace('[Bluebird]', '[Heron]'));
  t.ok(await until(400), 'the new policy blocks');
  writeFileSync(policy, POLICY.replace('literal: [Bluebird]', "regex: '(a+'"));
  for (let i = 0; i < 150 && !house.log.some((line) => line.includes('refused')); i++) await delay(20);
  t.match(house.log.filter((line) => line.includes('refused')), [/"level":"error"/]);
  t.equal((await chat(house, 'about Heron')).status, 400, 'the old policy stays');
  t.match(await (await fetch(`${house.adminUrl}/metrics`)).text(), 'weir_config_last_reload_success 0');
});

t.test('what cannot start says why and leaves nothing open', async (t) => {
  const house = await openHouse(t);
  const taken = Number(new URL(house.proxyUrl).port);
  const dir = mkdtempSync(join(tmpdir(), 'weir-app-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'demo.yaml'), POLICY);
  const config = (more: object): string => {
    const file = join(dir, 'weir.yaml');
    writeFileSync(file, JSON.stringify({ data_dir: 'data', proxy: { port: taken }, admin: { port: 0 }, policies: ['demo.yaml'], upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'default', policy: 'demo', upstream: 'local' }], telemetry: { log_level: 'silent' }, ...more }));
    return file;
  };
  let out = '';
  let err = '';
  const stop = new AbortController();
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), env: {}, isTerminal: false, columns: 80, color: false, stopSignal: () => stop.signal } as unknown as Io;
  t.equal(await start.run(['--config', config({})], io), 1);
  t.match(err, new RegExp(`port ${taken} is taken; stop what listens there`));
  await t.rejects(start.run(['--config', config({ classifiers: [{ id: 'x', plugin: 'no-such-plugin' }] })], io), { name: 'ConfigError', message: /there is no plugin no-such-plugin/ });

  const running = start.run(['--json', '--config', config({ proxy: { port: 0 } })], io);
  while (out === '') await delay(10);
  t.match(JSON.parse(out), { proxy_url: /^http:\/\/127\.0\.0\.1:\d+$/, admin_url: /^http/, warnings: 0 });
  t.equal((await fetch(`${JSON.parse(out).proxy_url}/weir/readyz`)).status, 200);
  stop.abort();
  t.equal(await running, 0);
});
