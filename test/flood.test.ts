/**
 * Many at once who cost more than they should: clients that never read, that send their request a byte at a time, that
 * read nothing and leave. Weir runs as a process of its own; its memory stays bounded, what it holds open is given up,
 * and others hardly notice.
 */
import { existsSync } from 'node:fs';
import t from 'tap';
import { startWeir } from './helpers/process.ts';
import { runs } from './helpers/runs.ts';
import { HELLO, HELLO_STREAM, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { CHAT_ANSWER, SSE_HEAD, ScriptedUpstream, chunk, json, pause, until, type Script } from './helpers/upstream.ts';

/** Nothing is looked for: what is measured here is what waits. */
const POLICY = 'policy: p\ndefault_action: allow\nrules: []\n';
const NO_MEMORY = existsSync('/proc/self/status') ? false : 'no /proc here';

async function provider(t: { teardown(work: () => Promise<void>): void }, script: Script): Promise<{ readonly upstream: ScriptedUpstream; readonly url: string }> {
  const upstream = new ScriptedUpstream(script);
  t.teardown(() => upstream.close());
  return { upstream, url: await upstream.listen() };
}

/** 200 with `WEIR_TEST_RUNS=2`. */
const CLIENTS = runs(100);
const ANSWER_BYTES = 20_000_000;
/** What a client that does not read may cost: what both connections have in hand, and what V8 has not yet swept up. */
const MEMORY_PER_CLIENT = 2_000_000;

t.test('clients that never read a long answer: the upstreams wait, memory stays, all is closed in the end', { skip: NO_MEMORY, timeout: 200_000 }, async (t) => {
  // Mostly padding, which nobody reads: what it costs is what waits, and not what is looked for in it.
  const event = chunk(`data: ${JSON.stringify({ id: 'c1', choices: [{ index: 0, delta: { content: 'all work and no play ' } }], obfuscation: 'x'.repeat(30_000) })}\n\n`);
  let sent = 0;
  const flood: Script = async (socket) => {
    socket.write(SSE_HEAD);
    for (let bytes = 0; bytes < ANSWER_BYTES && !socket.destroyed; bytes += event.length) {
      sent += event.length;
      if (!socket.write(event)) await new Promise<void>((resolve) => { socket.once('drain', resolve).once('close', resolve); });
    }
    await new Promise(() => {});
  };
  const { upstream, url } = await provider(t, flood);
  const weir = await startWeir(t, url, POLICY, { proxy: { port: 0, timeouts: { client_idle_ms: 3000 } }, classifiers: [] }, ['--max-old-space-size=192', '--max-semi-space-size=4']);
  upstream.script = json(200, CHAT_ANSWER);
  for (let i = 0; i < 20; i++) await rawRequest(weir.port, chatRequest(HELLO));
  const before = weir.rss();
  upstream.script = flood;
  const clients = Array.from({ length: CLIENTS }, () => {
    const client = new RawClient(weir.port).send(chatRequest(HELLO_STREAM));
    client.socket.pause();
    return client;
  });
  let most = 0;
  const watch = setInterval(() => { most = Math.max(most, weir.rss()); }, 50);
  t.teardown(() => clearInterval(watch));
  const served = upstream.received.length + CLIENTS;
  await until(() => upstream.received.length === served, 90_000, 'all are served');
  for (let last = -1; sent !== last; await pause(500)) last = sent;
  const startMs = performance.now();
  t.equal((await rawRequest(weir.port, 'GET /weir/healthz HTTP/1.1\r\nHost: a\r\n\r\n', 20_000)).status, 200);
  t.comment(`${Math.round((most - before) / 1e6)} MB more than the ${Math.round(before / 1e6)} MB before, ${Math.round(sent / 1e6)} MB of ${CLIENTS * ANSWER_BYTES / 1e6} sent, a health check took ${Math.round(performance.now() - startMs)} ms`);
  t.ok(sent < CLIENTS * ANSWER_BYTES / 2, 'the upstreams wait');
  t.ok(most - before < CLIENTS * MEMORY_PER_CLIENT, `at most ${MEMORY_PER_CLIENT / 1000} KB for each`);
  await until(() => upstream.openAnswers === 0, 60_000, 'all answers are given up once client_idle_ms is over');
  clearInterval(watch);
  t.equal(upstream.connections, 0, 'no connection to the upstream is left');
  for (const client of clients) client.leave();
  upstream.script = json(200, CHAT_ANSWER);
  t.equal((await rawRequest(weir.port, chatRequest(HELLO))).status, 200, 'and the next one is served');
});

const SLOW = 150;

t.test('300 clients that send a byte now and then: each is closed in time, and others hardly notice', { timeout: 60_000 }, async (t) => {
  const { url } = await provider(t, json(200, CHAT_ANSWER));
  const weir = await startWeir(t, url, POLICY, { proxy: { port: 0, timeouts: { headers_ms: 1500, request_ms: 1500 } }, classifiers: [] });
  const ask = async (): Promise<number> => {
    const startMs = performance.now();
    t.equal((await rawRequest(weir.port, chatRequest(HELLO), 20_000)).status, 200);
    return performance.now() - startMs;
  };
  const times = async (count: number): Promise<number[]> => {
    const all: number[] = [];
    for (let i = 0; i < count; i++) all.push(await ask());
    return all.sort((a, b) => a - b);
  };
  const calm = await times(30);
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n';
  const startMs = performance.now();
  const clients = Array.from({ length: 2 * SLOW }, (_, i) => new RawClient(weir.port).send(i % 2 === 0 ? head : chatRequest(HELLO).subarray(0, -40)));
  const ended: number[] = [];
  for (const client of clients) void client.closed.then(() => ended.push(performance.now() - startMs));
  const trickle = setInterval(() => clients.forEach((client, i) => { if (!client.socket.destroyed) client.send(i % 2 === 0 ? 'X-A: b\r\n' : ' '); }), 200);
  t.teardown(() => clearInterval(trickle));
  const busy = await times(60);
  await until(() => ended.length === clients.length, 20_000, 'all are closed');
  clearInterval(trickle);
  const last = Math.max(...ended);
  const p95 = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length * 0.95)];
  t.comment(`closed after ${Math.round(last)} ms at most; a request took ${Math.round(p95(calm))} ms before and ${Math.round(p95(busy))} ms meanwhile (95th percentile)`);
  t.ok(last < 1500 + 1000 + 2500, 'within the limit and a second for looking, and the time an answer may take to be read');
  t.ok(clients.every((client) => /^HTTP\/1\.1 408 /.test(client.bytes.toString()) || client.bytes.length === 0), 'each is told, or was no longer there to be told');
  t.ok(clients.filter((client) => client.bytes.length > 0).length > SLOW, 'most are told');
  t.ok(p95(busy) < p95(calm) * 10 + 250, 'others are served');
});
