/**
 * The grpc classifier against servers in processes of their own: misbehaving, slow, frozen, killed, lost, and the real
 * `weir classifier serve`; through the ensemble as the proxy asks it, and through the proxy itself. What is missing is
 * unknown with its reason, never a score, and nothing needs a restart here to work again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import createGrpc from '../../plugins/grpc/index.ts';
import { CLASSIFY, requestMessage } from '../../plugins/grpc/wire.ts';
import { createApp } from '../../src/app.ts';
import type { ClassifierResult, ScreeningRequest } from '../../src/contract/screening.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { serveClassifier, startMisbehaving, type ServerProcess } from '../helpers/grpc.ts';
import { CHAT_ANSWER, json, pause, ScriptedUpstream } from '../helpers/upstream.ts';
import { readingsOf } from '../../src/screen/readings.ts';

/** Time for a busy machine to start a process, to find a server again, to answer at all. */
const PATIENCE_MS = 20_000;

interface Asked {
  readonly said: string;
  readonly tookMs: number;
  readonly results: readonly ClassifierResult[];
}

type Ask = (content: string, more?: Partial<ScreeningRequest>) => Promise<Asked>;

/** Asks as the proxy does, with a breaker that never opens unless the test says so. */
async function asking(t: Test, options: Record<string, unknown>, deadlineMs = PATIENCE_MS, settings = {}): Promise<Ask> {
  const classifier = createGrpc({ id: 'ours', categories: ['toxic', 'rude'], ...options });
  classifier.validate?.();
  await classifier.provision?.();
  t.teardown(() => classifier.close?.());
  const ensemble = new Ensemble({ classifiers: [{ classifier, settings: { retry: false, breaker: { failures: 1_000_000, openMs: 1 }, ...settings } }], deadlineMs });
  return async (content, more = {}) => {
    const startMs = performance.now();
    const results = await ensemble.ask({ request_id: 'r', tenant_id: 't', direction: 'input', content, content_type: 'text', created_at: '2026-01-01T00:00:00Z', ...more });
    return { said: results.map(wordsOf).join(', '), tookMs: performance.now() - startMs, results };
  };
}

function wordsOf(result: ClassifierResult): string {
  return `${result.category} ${'unknown' in result ? result.reason : result.score}`;
}

async function until(ask: Ask, wanted: string, content = 'score 0.9'): Promise<Asked> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const asked = await ask(content);
    if (asked.said === wanted) return asked;
    if (performance.now() > end) throw new Error(`never ${wanted}; last ${asked.said}`);
    await pause(10);
  }
}

const FINE = 'toxic 0.9, rude 0';
const NOTHING = (reason: string): string => `toxic ${reason}, rude ${reason}`;

t.test('options are read strictly', async (t) => {
  const base = { id: 'ours', address: '127.0.0.1:50051', categories: ['toxic'] };
  const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ adress: 'x' }, /^adress: unknown option; known are address, /], [{ address: undefined }, /^address: missing/], [{ address: 'http://127.0.0.1:50051' }, /^address: expected host:port/],
    [{ address: '127.0.0.1' }, /^address: expected/], [{ address: 'x:0' }, /^address/], [{ address: 'x:65536' }, /^address/], [{ address: 50051 }, /^address: expected text, got a number/],
    [{ categories: undefined }, /^categories: missing/], [{ categories: [] }, /^categories/], [{ categories: ['a', 'a'] }, /^categories: a stands there twice/],
    [{ directions: ['inward'] }, /^directions/], [{ content_types: ['video'] }, /^content_types/], [{ languages: 'en' }, /^languages/], [{ needs_context: 1 }, /^needs_context/],
    [{ message_bytes_max: 1023 }, /^message_bytes_max: expected a whole number from 1024/], [{ message_bytes_max: 67_108_865 }, /^message_bytes_max/], [{ message_bytes_max: '4 MiB' }, /^message_bytes_max/],
    [{ tls: 'yes' }, /^tls: expected true, or the files/], [{ tls: { cert: 'a' } }, /^tls: cert and key go together/], [{ tls: { ca: 7 } }, /^tls\.ca: expected the path/], [{ tls: { cafile: 'a' } }, /^tls\.cafile: unknown option/],
    [{ metadata: ['a'] }, /^metadata: expected names/], [{ metadata: { 'X-Key': 'a' } }, /^metadata\.X-Key: a name is lower case/], [{ metadata: { 'grpc-timeout': '1S' } }, /^metadata\.grpc-timeout/], [{ metadata: { 'x-bin': 'a' } }, /^metadata\.x-bin/], [{ metadata: { x: 'a\nb' } }, /^metadata\.x: expected printable/], [{ metadata: { x: 7 } }, /^metadata\.x/],
  ];
  for (const [options, message] of wrong) t.throws(() => createGrpc({ ...base, ...options }), { message });
  for (const address of ['[::1]:50051', 'localhost:1', 'unix:/run/c.sock', 'dns:classifier:50051']) t.ok(createGrpc({ ...base, address }), address);
  t.equal(createGrpc({ ...base, version: '2026-11' }).version, '2026-11');
  t.match(createGrpc({ ...base, message_bytes_max: 67_108_864 }), { version: '1.0.0', cost: 'slow', idempotent: true, contentTypes: ['text'], directions: ['input', 'output'], languages: ['*'], needsContext: false });
  await t.rejects(createGrpc({ ...base, tls: { ca: '/nonexistent/ca.pem' } }).provision!(), { message: 'tls.ca: the file cannot be read (ENOENT)' });
});

t.test('whatever a server answers is a score that it may give, or unknown with its reason', async (t) => {
  const server = await startMisbehaving(t);
  const ask = await asking(t, { address: server.address });
  await until(ask, FINE);
  const plays: readonly (readonly [play: string, said: string])[] = [
    ['score 0', 'toxic 0, rude 0'], ['score 1', 'toxic 1, rude 0'], ['score NaN', NOTHING('error')], ['score Infinity', NOTHING('error')], ['score 1.7', NOTHING('error')], ['score -0.1', NOTHING('error')],
    ['unknown 1', 'toxic timeout, rude 0'], ['unknown 2', 'toxic unavailable, rude 0'], ['unknown 3', 'toxic error, rude 0'], ['unknown 4', 'toxic unsupported, rude 0'], ['unknown 0', 'toxic error, rude 0'], ['unknown 77', 'toxic error, rude 0'],
    ['neither', NOTHING('error')], ['short', 'toxic 0.9, rude error'], ['undeclared', NOTHING('error')], ['twice', NOTHING('error')], ['many 1001', NOTHING('error')],
    ['span 0-8', FINE], ['span 0-9', NOTHING('error')], ['span 3-3', NOTHING('error')], ['span 5-4', NOTHING('error')],
    ['garbage', NOTHING('error')], ['frame', NOTHING('error')], ['empty', NOTHING('error')], ['huge 1', NOTHING('error')], ['huge 5', NOTHING('unavailable')], ['bomb 5', NOTHING('unavailable')], ['bomb 64', NOTHING('unavailable')],
    ['status 14', NOTHING('unavailable')], ['status 8', NOTHING('unavailable')], ['status 4', NOTHING('timeout')], ['status 1', NOTHING('unavailable')], ['status 12', NOTHING('error')], ['status 13', NOTHING('error')], ['status 0', NOTHING('error')], ['status 99', NOTHING('error')],
    ['web', NOTHING('unavailable')], ['reset', NOTHING('error')],
  ];
  for (const [play, said] of plays) {
    t.equal((await ask(play)).said, said, play);
    t.equal((await ask('score 0.9')).said, FINE, `fine after ${play}`);
  }
  await ask('drop');
  await until(ask, FINE);
  t.match((await ask('span 0-8')).results[0], { classifier_id: 'ours', category: 'toxic', label: 'toxic', spans: [{ start: 0, end: 8 }] });
});

t.test('a call carries the request, and headers from the configuration', async (t) => {
  const server = await startMisbehaving(t);
  const ask = await asking(t, { address: server.address, metadata: { authorization: 'Bearer made-up', 'x-empty': '' } });
  const label = async (content: string, more: Partial<ScreeningRequest> = {}): Promise<unknown> => (await ask(content, more)).results.map((result) => ('label' in result ? result.label : result.reason))[0];
  t.equal(await label('header authorization'), 'Bearer made-up');
  t.equal(await label('header x-empty'), 'absent');
  const context = { role: 'user', 'a key': 'half \ud800', turns: 3, trusted: false };
  t.equal(await label('context role', { context }), '{"text":"user","value":"text"}');
  t.equal(await label('context a key', { context }), '{"text":"half \ufffd","value":"text"}');
  t.equal(await label('context turns', { context }), '{"number":3,"value":"number"}');
  t.equal(await label('context trusted', { context }), '{"flag":false,"value":"flag"}');
  t.equal(await label('context other', { context }), 'null');
  t.equal(await label('length \ud83d\udc4b \ud800'), '11', 'as many code units there as here');
});

t.test('79 and 81 of 80: in time is a score, late is unknown at the deadline', async (t) => {
  const server = await startMisbehaving(t);
  const warm = await asking(t, { address: server.address });
  await until(warm, FINE);
  // The same with wider margins, so that a busy machine does not blur which came first.
  const ask = await asking(t, { address: server.address }, 2_000);
  const [early, late] = await Promise.all([ask('slow 500'), ask('slow 5000')]);
  t.equal(early.said, FINE);
  t.equal(late.said, NOTHING('timeout'));
  t.ok(late.tookMs >= 1_990 && late.tookMs < 4_900, `unknown after ${late.tookMs} ms`);
  t.equal((await ask('score 0.9')).said, FINE);
});

t.test('a call that nobody waits for any more is cancelled at the server', async (t) => {
  const server = await startMisbehaving(t);
  const ask = await asking(t, { address: server.address });
  await until(ask, FINE);
  const stop = new AbortController();
  const classifier = createGrpc({ id: 'ours', address: server.address, categories: ['toxic'] });
  await classifier.provision!();
  t.teardown(() => classifier.close!());
  const request: ScreeningRequest = { request_id: 'r', tenant_id: 't', direction: 'input', content: 'hang', content_type: 'text', created_at: '' };
  const hanging = classifier.classify!(request, stop.signal, readingsOf(request));
  setTimeout(() => stop.abort(), 300);
  t.match(await hanging, [{ unknown: true, reason: 'timeout' }]);
  t.match(await classifier.classify!({ ...request, content: 'score 0.9' }, AbortSignal.abort(), readingsOf(request)), [{ reason: 'timeout' }], 'and none is begun');
  await until(async () => ({ ...(await ask('cancelled')), said: String((await ask('cancelled')).results.map((result) => ('label' in result ? result.label : ''))[0]) }), '1 cancelled');
});

t.test('messages are bounded, both ways, to the byte', async (t) => {
  const server = await startMisbehaving(t);
  const ask = await asking(t, { address: server.address, message_bytes_max: 4096 });
  await until(ask, FINE);
  t.equal((await ask('bytes 4096')).said, FINE);
  t.equal((await ask('bytes 4097')).said, NOTHING('unavailable'));
  const sent = (content: string): number => CLASSIFY.requestSerialize(requestMessage({ request_id: 'r', tenant_id: 't', direction: 'input', content, content_type: 'text', created_at: '' }, ['toxic', 'rude'])).length;
  const most = `score 0.9${' '.repeat(4096 - sent(`score 0.9${' '.repeat(1000)}`) + 1000)}`;
  t.equal(sent(most), 4096);
  t.equal((await ask(most)).said, FINE);
  t.equal((await ask(`${most} `)).said, NOTHING('unsupported'), 'a text too long is not sent at all');
});

t.test('encrypted, with an authority of our own; a server that cannot prove its name gets nothing', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-grpc-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = (name: string, text: string): string => (writeFileSync(join(dir, name), text), join(dir, name));
  const [own, other] = [makeCertificate(), makeCertificate()];
  const ca = file('own.pem', own.cert);
  const server = await startMisbehaving(t, 0, [ca, file('own.key', own.key)]);
  await until(await asking(t, { address: server.address, tls: { ca } }), FINE);
  const lied = await asking(t, { address: server.address, tls: { ca: file('other.pem', other.cert) } });
  t.equal((await lied('score 0.9')).said, NOTHING('unavailable'));
  t.equal((await (await asking(t, { address: server.address, tls: true }))('score 0.9')).said, NOTHING('unavailable'), 'the authorities of Node do not know it');
  t.equal((await (await asking(t, { address: server.address }))('score 0.9')).said, NOTHING('unavailable'), 'nor does it speak without');
});

t.test('absent at first, killed, and there again: found each time by itself', async (t) => {
  const first = await startMisbehaving(t);
  const ask = await asking(t, { address: first.address });
  await until(ask, FINE);
  let running = first;
  for (let round = 0; round < 2; round += 1) {
    running.kill('SIGKILL');
    await running.ended;
    await until(ask, NOTHING('unavailable'));
    t.ok((await ask('score 0.9')).tookMs < 5_000, 'a server that is not there does not cost the deadline');
    running = await startMisbehaving(t, first.port);
    await until(ask, FINE);
  }
});

t.test('frozen: unknown by the deadline, fine after the thaw; frozen before it was ever reached, too', async (t) => {
  const server = await startMisbehaving(t);
  const early = await asking(t, { address: server.address }, 400);
  await until(early, FINE);
  server.kill('SIGSTOP');
  const late = await asking(t, { address: server.address }, 400);
  for (let i = 0; i < 6; i += 1) {
    const [a, b] = await Promise.all([early('score 0.9'), late('score 0.9')]);
    t.same([a.said, b.said], [NOTHING('timeout'), NOTHING('timeout')]);
  }
  server.kill('SIGCONT');
  await until(early, FINE);
  await until(late, FINE);
});

/** Accepts connections and says nothing on them; `open` are those that nobody has closed. */
async function listenSilently(t: Test): Promise<{ readonly server: Server; readonly port: number; readonly open: Set<Socket>; accepted: number }> {
  const open = new Set<Socket>();
  const silent = { server: createServer(), port: 0, open, accepted: 0 };
  silent.server.on('connection', (socket: Socket) => {
    silent.accepted += 1;
    open.add(socket.on('error', () => {}).on('close', () => open.delete(socket)).resume());
  });
  await new Promise<void>((resolve) => silent.server.listen(0, '127.0.0.1', resolve));
  silent.port = (silent.server.address() as AddressInfo).port;
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    silent.server.close();
  });
  return silent;
}

t.test('a connection that was accepted and never answered is given up for a new one, and closed', async (t) => {
  const silent = await listenSilently(t);
  const ask = await asking(t, { address: `127.0.0.1:${silent.port}` }, 200);
  const end = performance.now() + PATIENCE_MS;
  while (silent.accepted < 2 && performance.now() < end) t.equal((await ask('score 0.9')).said, NOTHING('timeout'));
  t.equal(silent.accepted, 2);
  t.ok(silent.open.size <= 1, 'the one before is closed');
  // The last one stays as it is, while the address belongs to somebody who answers.
  silent.server.close();
  await startMisbehaving(t, silent.port);
  await until(ask, FINE);
});

t.test('a connection that was lost without a word is replaced', async (t) => {
  const server = await startMisbehaving(t);
  const sockets: Socket[] = [];
  const relay = createServer((socket) => {
    const onward = connect(server.port, '127.0.0.1').on('error', () => {});
    sockets.push(socket.on('error', () => {}).on('close', () => onward.destroy()));
    socket.on('data', (bytes) => onward.write(bytes));
    onward.on('data', (bytes) => socket.write(bytes));
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  const ask = await asking(t, { address: `127.0.0.1:${(relay.address() as AddressInfo).port}` }, 300);
  await until(ask, FINE);
  t.equal(sockets.length, 1);
  sockets[0].removeAllListeners('data');
  t.equal((await ask('score 0.9')).said, NOTHING('timeout'));
  await until(ask, FINE);
  t.equal(sockets.length, 2);
  const closed = performance.now() + PATIENCE_MS;
  while (!sockets[0].destroyed && performance.now() < closed) await pause(10);
  t.ok(sockets[0].destroyed, 'the lost one is closed');
});

// Through the proxy, with the real service.

interface Proxied {
  chat(tenant: 'careful' | 'lenient', content: string): Promise<{ readonly status: number; readonly degraded: string | null }>;
  readonly forwarded: () => number;
}

async function proxied(t: Test, address: string): Promise<Proxied> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-grpc-app-'));
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\ndefault_action: allow\nrules:\n  - { id: mail, priority: 1, direction: input, when: { score: remote.EMAIL, gte: 0.5 }, action: block }\n');
  const upstream = new ScriptedUpstream(json(200, CHAT_ANSWER));
  const keys = { careful: generateKey(), lenient: generateKey() };
  const tenant = (id: keyof typeof keys, failMode: string) => ({ id, policy: 'p', upstream: 'local', fail_mode: failMode, keys: [{ id: 'k', sha256: keyDigest(keys[id]) }] });
  const app = createApp({
    config: {
      dir,
      config: {
        data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: await upstream.listen() } }, tenants: [tenant('careful', 'closed'), tenant('lenient', 'open')],
        classifiers: [{ id: 'remote', plugin: 'grpc', address, categories: ['EMAIL'], breaker: { failures: 3, open_ms: 200 } }], screening: { deadline_ms: 500, cache: { entries_max: 0 } }, telemetry: { log_level: 'silent' },
      },
    },
    env: {},
  });
  t.teardown(async () => {
    await app.close();
    await upstream.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const { proxyUrl } = await app.start();
  return {
    async chat(tenant, content) {
      const response = await fetch(`${proxyUrl}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${keys[tenant]}` }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
      await response.arrayBuffer();
      return { status: response.status, degraded: response.headers.get('x-weir-degraded') };
    },
    forwarded: () => upstream.received.length,
  };
}

async function untilStatus(ask: () => Promise<{ readonly status: number; readonly degraded: string | null }>, wanted: { readonly status: number; readonly degraded: unknown }): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const { status, degraded } = await ask();
    if (status === wanted.status && (degraded === null) === (wanted.degraded === null)) return;
    if (performance.now() > end) throw new Error(`never ${wanted.status}; last ${status} ${degraded}`);
    await pause(20);
  }
}

t.test('weir classifier serve behind the proxy: each tenant has its fail mode while it is killed and frozen', async (t) => {
  let service: ServerProcess = await serveClassifier(t, ['pii']);
  const house = await proxied(t, service.address);
  const states: readonly (readonly [name: string, stop: () => Promise<void>, start: () => Promise<void>])[] = [
    ['killed', async () => { service.kill('SIGKILL'); await service.ended; }, async () => { service = await serveClassifier(t, ['pii', '--port', String(service.port)]); }],
    ['frozen', async () => service.kill('SIGSTOP'), async () => service.kill('SIGCONT')],
  ];
  for (const [name, stop, start] of states) {
    await untilStatus(() => house.chat('careful', 'hello'), { status: 200, degraded: null });
    t.same(await house.chat('careful', 'write to ana@example.com'), { status: 400, degraded: null });
    t.same(await house.chat('lenient', 'write to ana@example.com'), { status: 400, degraded: null });
    await stop();
    const before = house.forwarded();
    for (let i = 0; i < 4; i += 1) {
      t.match(await house.chat('careful', 'hello'), { status: 400, degraded: 'mail' }, `${name}: closed blocks`);
      t.match(await house.chat('lenient', 'hello'), { status: 200, degraded: 'mail' }, `${name}: open lets through, flagged`);
    }
    t.equal(house.forwarded() - before, 4, 'exactly those of the lenient tenant');
    await start();
  }
  await untilStatus(() => house.chat('careful', 'hello'), { status: 200, degraded: null });
  t.equal((await house.chat('lenient', 'write to ana@example.com')).status, 400);
});
