/**
 * Pseudonyms from the prompt's side: what is issued, that a session keeps it and no other sees it, that it is sealed
 * wherever it lies, with a real Redis and without one; and, over sockets, that the upstream reads tokens and the client
 * reads its own values.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createApp } from '../../src/app.ts';
import { literalTokens, Pseudonyms, PSEUDONYMS_MAX, PseudonymVault, VALUE_CHARS_MAX, type PseudonymSession, type SharedText } from '../../src/screen/pseudonyms.ts';
import { screenOnce } from '../../src/screen/service.ts';
import { openRedis } from '../../src/store/redis.ts';
import { RedisText } from '../../src/store/shared-text.ts';
import { accumulated } from '../helpers/guarded.ts';
import { planOf } from '../helpers/plans.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';
import { pause } from '../helpers/upstream.ts';

const POLICY = `policy: reversible
default_action: allow
rules:
  - { id: pii, direction: input, when: { score: pii.*, gte: 0.5 }, action: redact, redact: { style: pseudonym } }
`;
const NONE: ReadonlySet<string> = new Set();

t.test('one value, one token; numbers by label, in the order of what is seen', async (t) => {
  const pseudonyms = new Pseudonyms();
  t.equal(pseudonyms.tokenOf('EMAIL', 'ana@example.com'), '⟨EMAIL_1⟩');
  t.equal(pseudonyms.tokenOf('PHONE', '212 555 0123'), '⟨PHONE_1⟩');
  t.equal(pseudonyms.tokenOf('EMAIL', 'ben@example.com'), '⟨EMAIL_2⟩');
  t.equal(pseudonyms.tokenOf('EMAIL', 'ana@example.com'), '⟨EMAIL_1⟩');
  t.equal(pseudonyms.tokenOf('PHONE', 'ana@example.com'), '⟨EMAIL_1⟩', 'whatever found it');
  t.equal(pseudonyms.tokenOf('EMAIL', 'Ana@example.com'), '⟨EMAIL_3⟩', 'what is restored is exact');
  t.equal(pseudonyms.tokenOf('straße ⟨1⟩', 'v'), '⟨STRASSE_1__1⟩');
  t.equal(pseudonyms.tokenOf('日本', 'w'), '⟨X__1⟩');
  t.equal(pseudonyms.tokenOf('A'.repeat(60), 'u'), `⟨${'A'.repeat(24)}_1⟩`);
  for (const [, value] of pseudonyms.all) t.equal(pseudonyms.valueOf(pseudonyms.tokenOf('', value)!), value, 'each can be read back');
});

t.test('there is a limit to what is kept', async (t) => {
  const pseudonyms = new Pseudonyms();
  t.equal(pseudonyms.tokenOf('EMAIL', 'x'.repeat(VALUE_CHARS_MAX + 1)), undefined);
  for (let i = 0; i < PSEUDONYMS_MAX; i += 1) pseudonyms.tokenOf('EMAIL', `${i}@example.com`);
  t.equal(pseudonyms.tokenOf('EMAIL', 'one.more@example.com'), undefined);
  t.equal(pseudonyms.tokenOf('EMAIL', '7@example.com'), '⟨EMAIL_8⟩');
});

t.test('a token that the prompt says itself is neither issued nor restored', async (t) => {
  const literal = literalTokens([{ content: 'what are ⟨email_1⟩ and [EMAIL\\_3]?' }, { content: '{"a":"\\u27e8PHONE_1\\u27E9"}', json: true }]);
  t.same([...literal].sort(), ['EMAIL_1', 'EMAIL_3', 'PHONE_1']);
  const pseudonyms = new Pseudonyms(literal, [['EMAIL_1', 'ana@example.com']]);
  t.equal(pseudonyms.valueOf('⟨EMAIL_1⟩'), undefined);
  t.equal(pseudonyms.tokenOf('EMAIL', 'ana@example.com'), '⟨EMAIL_2⟩', 'a value whose token it was gets another');
  t.equal(pseudonyms.tokenOf('EMAIL', 'ben@example.com'), '⟨EMAIL_4⟩');
  t.equal(pseudonyms.tokenOf('PHONE', '212 555 0123'), '⟨PHONE_2⟩');
  t.equal(pseudonyms.valueOf('<email_2>'), 'ana@example.com');
  const later = new Pseudonyms(NONE, pseudonyms.all);
  t.equal(later.tokenOf('EMAIL', 'ana@example.com'), '⟨EMAIL_2⟩', 'and keeps it');
});

t.test('a screening by itself shows what would be sent, in text and in JSON', async (t) => {
  const plan = planOf(POLICY);
  const request = { request_id: 'r', tenant_id: 't', direction: 'input', content: 'ana@example.com, ⟨EMAIL_1⟩, ben@example.org, ana@example.com', content_type: 'text', created_at: '' } as const;
  t.equal((await screenOnce(request, plan, new Date(0))).modified_content, '⟨EMAIL_2⟩, ⟨EMAIL_1⟩, ⟨EMAIL_3⟩, ⟨EMAIL_2⟩');
  const segment = { path: 'a', carrier: 'a', contentType: 'text', content: '{"a":"ana\\u0040example.com","card":4111111111111111}', json: true, history: false } as const;
  const screened = await plan.screen([segment], 'input', {});
  const pseudonyms = new Pseudonyms();
  const edits = plan.edits(screened.segments[0].results, plan.decide(screened, 'input', {}), segment, pseudonyms);
  t.same(edits.map(({ text }) => text), ['⟨EMAIL_1⟩', '"⟨CREDIT_CARD_1⟩"']);
  t.same(pseudonyms.all, [['EMAIL_1', 'ana@example.com'], ['CREDIT_CARD_1', '4111111111111111']], 'a value as it reads');
  t.equal(planOf('policy: none\nrules: []\n').pseudonymKey, undefined);
});

// Sessions.

const session = (sessionId: string, tenantId = 'acme', key = KEY): PseudonymSession => ({ tenantId, sessionId, key });
const KEY = randomBytes(32);
const issue = (vault: PseudonymVault, whose: PseudonymSession, ...values: string[]): Promise<readonly (string | undefined)[]> =>
  vault.use(whose, NONE, (pseudonyms) => values.map((value) => pseudonyms.tokenOf('EMAIL', value))).then(({ result }) => result);
const read = (vault: PseudonymVault, whose: PseudonymSession, token: string): Promise<string | undefined> =>
  vault.use(whose, NONE, (pseudonyms) => pseudonyms.valueOf(token)).then(({ result }) => result);

t.test('a session keeps its tokens; another session, tenant or key does not see them', async (t) => {
  const vault = new PseudonymVault();
  t.same(await issue(vault, session('s'), 'ana@example.com', 'ben@example.com'), ['⟨EMAIL_1⟩', '⟨EMAIL_2⟩']);
  t.same(await issue(vault, session('s'), 'cy@example.com', 'ben@example.com'), ['⟨EMAIL_3⟩', '⟨EMAIL_2⟩']);
  t.equal(await read(vault, session('s'), '⟨EMAIL_1⟩'), 'ana@example.com');
  for (const other of [session('s2'), session('s', 'other'), session('s', 'acme', randomBytes(32))]) t.equal(await read(vault, other, '⟨EMAIL_1⟩'), undefined);
  t.same(await issue(vault, session('s2'), 'dee@example.com'), ['⟨EMAIL_1⟩']);
  t.equal(await read(vault, session('s'), '⟨EMAIL_1⟩'), 'ana@example.com');
});

t.test('sessions expire, and the least recently used make room', async (t) => {
  let nowMs = 0;
  const vault = new PseudonymVault({ ttlMs: 1000, bytesMax: 800, clock: () => nowMs });
  await issue(vault, session('old'), 'ana@example.com');
  nowMs = 999;
  t.equal(await read(vault, session('old'), '⟨EMAIL_1⟩'), 'ana@example.com');
  nowMs = 1998;
  t.equal(await read(vault, session('old'), '⟨EMAIL_1⟩'), 'ana@example.com', 'use keeps it');
  nowMs = 2998;
  t.equal(await read(vault, session('old'), '⟨EMAIL_1⟩'), undefined);
  await issue(vault, session('first'), 'a'.repeat(200));
  await issue(vault, session('second'), 'b'.repeat(200));
  t.ok(await read(vault, session('first'), '⟨EMAIL_1⟩'));
  await issue(vault, session('third'), 'c'.repeat(200));
  t.same(await Promise.all(['first', 'second', 'third'].map(async (id) => (await read(vault, session(id), '⟨EMAIL_1⟩')) !== undefined)), [true, false, true]);
});

/** A shared text whose every write is lost to a replica that was faster, `times` times. */
function contested(times: number, rival: () => Promise<unknown>, under: SharedText): SharedText {
  let left = times;
  return {
    read: (key, ttlMs) => under.read(key, ttlMs),
    replace: async (key, former, next, ttlMs) => {
      if (left-- > 0) await rival();
      return under.replace(key, former, next, ttlMs);
    },
  };
}

/** Asks again for up to three seconds: a busy machine may answer later than the door waits. */
async function steady<R extends { readonly ok: boolean }>(ask: () => Promise<R>): Promise<R> {
  const endMs = performance.now() + 3_000;
  for (;;) {
    const reply = await ask();
    if (reply.ok || performance.now() > endMs) return reply;
    await pause(50);
  }
}

async function redisOf(t: Test): Promise<{ readonly call: <V>(name: string, args: readonly (string | number)[]) => Promise<V>; readonly shared: SharedText; readonly impatient: SharedText; readonly stop: () => void }> {
  const port = await freePort();
  const server = await startRedis(t, port);
  const door = await openRedis(`redis://127.0.0.1:${port}`);
  t.teardown(() => door.close());
  const impatient = new RedisText(() => door);
  return {
    call: async <V>(name: string, args: readonly (string | number)[]) => ((await steady(() => door.call<V>(name, args))) as { value: V }).value,
    shared: { read: (...args) => steady(() => impatient.read(...args)), replace: (...args) => steady(() => impatient.replace(...args)) },
    impatient,
    stop: () => void server.kill('SIGKILL'),
  };
}

t.test('replicas share a session through Redis, which reads neither values nor the name of the session', { skip: REDIS_MISSING }, async (t) => {
  const { call, shared } = await redisOf(t);
  const [here, there] = [new PseudonymVault({ shared, ttlMs: 60_000 }), new PseudonymVault({ shared, ttlMs: 60_000 })];
  t.same(await issue(here, session('made-up-session'), 'ana@example.com'), ['⟨EMAIL_1⟩']);
  t.same(await issue(there, session('made-up-session'), 'ben@example.com', 'ana@example.com'), ['⟨EMAIL_2⟩', '⟨EMAIL_1⟩']);
  t.equal(await read(here, session('made-up-session'), '⟨EMAIL_2⟩'), 'ben@example.com');
  t.equal(await read(there, session('made-up-session', 'acme', randomBytes(32)), '⟨EMAIL_1⟩'), undefined);
  const keys = await call<string[]>('KEYS', ['*pseudonyms*']);
  t.match(keys, [/^\{acme\}:pseudonyms:[\w-]{43}$/]);
  const [key] = keys;
  const sealed = await call<string>('GET', [key]);
  t.notMatch(Buffer.from(sealed, 'base64').toString('latin1'), /ana|example|EMAIL/);
  const leftMs = await call<number>('PTTL', [key]);
  t.ok(leftMs > 50_000 && leftMs <= 60_000, `${leftMs} ms left`);
  await call('PEXPIRE', [key, 5_000]);
  await read(here, session('made-up-session'), '⟨EMAIL_1⟩');
  t.ok((await call<number>('PTTL', [key])) > 50_000, 'use keeps it');
  await issue(here, session('another'), 'cy@example.com');
  const other = (await call<string[]>('KEYS', ['*pseudonyms*'])).find((name) => name !== key)!;
  t.equal(await read(new PseudonymVault({ shared }), session('another'), '⟨EMAIL_1⟩'), 'cy@example.com');
  await call('SET', [other, sealed]);
  t.equal(await read(new PseudonymVault({ shared }), session('another'), '⟨EMAIL_1⟩'), undefined, "one session's mapping in the place of another's says nothing");
  await call('SET', [key, `${sealed.slice(0, -8)}AAAAAAA=`]);
  t.equal(await read(new PseudonymVault({ shared }), session('made-up-session'), '⟨EMAIL_1⟩'), undefined, 'what was altered says nothing');
});

t.test('of two replicas that issue at once, one gives way', { skip: REDIS_MISSING }, async (t) => {
  const { shared } = await redisOf(t);
  const rival = new PseudonymVault({ shared });
  let n = 0;
  const vault = new PseudonymVault({ shared: contested(3, () => issue(rival, session('s'), `rival${++n}@example.com`), shared) });
  t.same(await issue(vault, session('s'), 'ana@example.com'), ['⟨EMAIL_4⟩']);
  t.equal(await read(rival, session('s'), '⟨EMAIL_4⟩'), 'ana@example.com');
  t.equal(await read(vault, session('s'), '⟨EMAIL_1⟩'), 'rival1@example.com');
  const many = await Promise.all(Array.from({ length: 24 }, (_, i) => issue(i % 2 ? rival : vault, session('many'), `${i % 12}@example.com`)));
  t.ok(many.flat().every((token) => /^⟨EMAIL_\d+⟩$/.test(token!)));
  const values = await Promise.all(many.map(([token]) => read(new PseudonymVault({ shared }), session('many'), token!)));
  t.ok(values.filter((value, i) => value !== undefined && value !== `${i % 12}@example.com`).length === 0, 'no token stands for two values');
});

t.test('Redis dies: the session goes on in this process', { skip: REDIS_MISSING }, async (t) => {
  const { impatient, stop } = await redisOf(t);
  const vault = new PseudonymVault({ shared: impatient });
  await issue(vault, session('s'), 'ana@example.com');
  stop();
  t.same(await issue(vault, session('s'), 'ben@example.com', 'ana@example.com'), ['⟨EMAIL_2⟩', '⟨EMAIL_1⟩']);
  t.equal(await read(vault, session('s'), '⟨EMAIL_2⟩'), 'ben@example.com');
});

// Over sockets.

/** An upstream that says back what the newest turn said, and keeps what it was sent. */
async function openHouse(t: Test): Promise<{ readonly url: string; readonly sent: string[]; readonly dir: string; readonly log: string[] }> {
  const sent: string[] = [];
  const upstream = createServer((req: IncomingMessage, res: ServerResponse) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { stream?: boolean; messages: { content: string }[] };
      sent.push(body.messages.map(({ content }) => content).join('|'));
      const content = body.messages.at(-1)!.content;
      const choice = (field: 'delta' | 'message', value: object, finish: string | null): object => ({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, [field]: value, finish_reason: finish }] });
      if (body.stream !== true) return void res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(choice('message', { role: 'assistant', content }, 'stop')));
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const piece of [...[...content].map((c) => ({ content: c })), {}]) res.write(`data: ${JSON.stringify(choice('delta', piece, 'content' in piece ? null : 'stop'))}\n\n`);
      res.end('data: [DONE]\n\n');
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const dir = mkdtempSync(join(tmpdir(), 'weir-pseudonyms-'));
  writeFileSync(join(dir, 'reversible.yaml'), POLICY);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['reversible.yaml'], upstreams: { local: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1` } },
    tenants: [{ id: 'default', policy: 'reversible', upstream: 'local', audit: { durability: 'strict' } }], telemetry: { log_level: 'debug', traces: { exporter: 'console' } },
  }));
  const log: string[] = [];
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, log: { write: (line) => void log.push(line) }, print: (line) => void log.push(line) });
  t.teardown(async () => {
    await app.close();
    upstream.closeAllConnections();
    upstream.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const { proxyUrl } = await app.start();
  return { url: `${proxyUrl}/v1/chat/completions`, sent, dir, log };
}

t.test('the upstream reads tokens, the client its own values; whole and streamed, turn after turn', async (t) => {
  const { url, sent, dir, log } = await openHouse(t);
  const ask = (contents: readonly string[], more: { stream?: boolean; session?: string } = {}): Promise<Response> => fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up', ...(more.session === undefined ? {} : { 'x-weir-session-id': more.session }) },
    body: JSON.stringify({ model: 'm', stream: more.stream, messages: contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content })) }),
  });
  const whole = async (response: Promise<Response>): Promise<string> => ((await (await response).json()) as { choices: [{ message: { content: string } }] }).choices[0].message.content;
  const streamed = async (response: Promise<Response>): Promise<string> => accumulated(Buffer.from(await (await response).arrayBuffer()))['0/content'];

  const turn = 'I am ana@example.com, not ben@example.com; see [EMAIL_2].';
  t.equal(await whole(ask([turn])), turn);
  t.equal(sent.pop(), 'I am ⟨EMAIL_1⟩, not ⟨EMAIL_3⟩; see [EMAIL_2].');
  t.equal(await streamed(ask([turn], { stream: true })), turn);
  t.equal(await whole(ask([turn, 'Hello ana@example.com', 'and cy@example.com, ana@example.com?'])), 'and cy@example.com, ana@example.com?');
  t.equal(sent.pop(), 'I am ⟨EMAIL_1⟩, not ⟨EMAIL_3⟩; see [EMAIL_2].|Hello ⟨EMAIL_1⟩|and ⟨EMAIL_4⟩, ⟨EMAIL_1⟩?', 'earlier turns keep their numbers');
  await whole(ask([turn, 'Hello ana@example.com', 'And now?']));
  t.equal(sent.pop(), 'I am ⟨EMAIL_1⟩, not ⟨EMAIL_3⟩; see [EMAIL_2].|Hello ⟨EMAIL_1⟩|And now?', 'also when the newest turn has nothing to hide');

  await whole(ask(['first dee@example.com'], { session: 's1' }));
  await whole(ask(['first eve@example.com'], { session: 's2' }));
  t.equal(await streamed(ask(['now fay@example.com and dee@example.com'], { session: 's1', stream: true })), 'now fay@example.com and dee@example.com');
  t.equal(sent.pop(), 'now ⟨EMAIL_2⟩ and ⟨EMAIL_1⟩', 'the session keeps its tokens without its history');
  t.equal(await streamed(ask(['say <EMAIL_1>'], { session: 's2', stream: true })), 'say <EMAIL_1>', 'what the user types is not restored');
  t.equal((await ask(['x'], { session: 'y'.repeat(257) })).status, 400);

  const audit = readdirSync(join(dir, 'data/audit')).map((name) => readFileSync(join(dir, 'data/audit', name), 'utf8')).join('');
  t.match(audit, '"session_id":"s1"');
  t.match(log.join(''), /decide_input[\s\S]*trace [0-9a-f]{32}/);
  t.notMatch(audit + log.join(''), /@example|EMAIL_\d/, 'neither values nor tokens are recorded');
});

t.test('style pseudonym is for rules on input', async (t) => {
  t.throws(() => planOf(POLICY.replace('direction: input', 'direction: both').replace('reversible', 'both')), /belongs to rules on input.*write direction: input/);
});
