/**
 * Nothing leaks: made-up keys, prompts, answers and user ids, each there once, go through a real process on every kind
 * of endpoint, whole and streamed, allowed, redacted, blocked, failed; and over the admin API. Afterwards every sink is
 * searched for them: log, files, Redis, Postgres, metrics, API, traces, what upstreams and classifiers received, errors.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { OUTCOMES } from '../src/contract/exchange.ts';
import { ADMIN_ROUTES } from '../src/admin/server.ts';
import { generateKey, keyDigest } from '../src/tenant/keys.ts';
import { ask, cookiesOf, tokenFor } from './helpers/admin.ts';
import { linesOf } from './helpers/audit.ts';
import { Canaries } from './helpers/canaries.ts';
import { ClassifierServer, raw } from './helpers/classifier-server.ts';
import { FAMILIES, MODES, SILENT, startFamilyUpstream, type FamilyUpstream } from './helpers/families.ts';
import { until } from './helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './helpers/postgres.ts';
import { runWeir, type WeirProcess } from './helpers/process.ts';
import { freePort, REDIS_MISSING, startRedis } from './helpers/redis-server.ts';
import { filesIn, postgresRows, startCollector, watchRedis } from './helpers/sinks.ts';
import { open, SocketUpstream } from './helpers/sockets.ts';

t.setTimeout(280_000);

/** With `late` the vendor is heard after the fact, and what it says ends the answer. */
const policy = (id: string, style: string, late = false): string => `policy: ${id}
${late ? 'screening: { mode: hybrid }\n' : ''}default_action: allow
on_unknown: open
patterns:
  - { id: word, label: WORD, literal: [Bluebird] }
rules:
  - { id: word, priority: 1, direction: both, when: { score: patterns.word, gte: 1 }, action: block }
  - { id: vendor, priority: 2, direction: input, when: { score: vendor.toxic, gte: 0.9 }, action: ${late ? 'block' : 'warn'} }
  - { id: who, priority: 3, direction: both, when: { context: user, eq: nobody }, action: warn }
  - { id: note, priority: 4, direction: input, when: { context: note, eq: nothing }, action: warn }
  - { id: in, priority: 5, direction: input, when: { score: pii.*, gte: 0.5 }, action: redact, redact: { style: ${style} } }
  - { id: out, priority: 6, direction: output, when: { score: pii.*, gte: 0.5 }, action: redact }
`;

interface Caller {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Fails with what is around each find. */
function clean(t: Test, canaries: Canaries, sink: string | Buffer, what: string, names?: readonly string[]): void {
  t.same(canaries.show(sink.toString('latin1'), canaries.in(sink, names)), [], what);
}

class Traffic {
  /** Answers with an error of ours, and answers to callers whose text is none of theirs. */
  readonly refusals: string[] = [];
  count = 0;
  readonly #weir: WeirProcess;
  readonly #canaries: Canaries;
  readonly #user: string;

  constructor(weir: WeirProcess, canaries: Canaries, user: string) {
    [this.#weir, this.#canaries, this.#user] = [weir, canaries, user];
  }

  /** Every family in every way. */
  async all(caller: Caller, prompt: string, mail: string): Promise<void> {
    const texts = [`${prompt} hello`, `${prompt} of ${mail}@example.com`, `${prompt} Bluebird`];
    for (const family of FAMILIES) {
      for (const stream of family.streams ? [false, true] : [false]) {
        for (const text of family.body === undefined ? [''] : texts) await this.send(caller, family.method, family.path, made(family.body?.(text, this.#user), stream));
        for (const mode of MODES) await this.send({ ...caller, headers: { ...caller.headers, 'x-mode': mode } }, family.method, family.path, made(family.body?.(texts[1]!, this.#user), stream));
      }
    }
  }

  async send({ headers }: Caller, method: string, path: string, body: string | FormData | undefined, fields: Readonly<Record<string, string>> = {}): Promise<Response> {
    this.count++;
    const type = typeof body === 'string' ? { 'content-type': 'application/json' } : undefined;
    const response = await fetch(`http://127.0.0.1:${this.#weir.port}${path}`, { method, body, headers: { ...type, ...headers, ...fields } });
    const text = await response.text().catch(() => '');
    const isOurs = response.status >= 400 && !text.includes('too many requests');
    if (isOurs) this.refusals.push(`${method} ${path} ${response.status} ${JSON.stringify([...response.headers])} ${text}`);
    return response;
  }

  /** What a caller does wrong, with something in it that is nobody's business. */
  async mistakes(caller: Caller, prompt: string, key: string): Promise<void> {
    const chat = '/v1/chat/completions';
    const bodies = [`{"model":"m","messages":[{"role":"user","content":"${prompt}`, `{"model":"m","messages":"${prompt}"}`, `{"messages":[],"${prompt}":{"${prompt}":1},"${prompt}":2}`, `"${prompt}"`, JSON.stringify({ model: 'm', api_base: `https://${prompt}.example.com`, messages: [{ role: prompt, content: [{ type: prompt, [prompt]: prompt }] }] })];
    const [sentence, forged] = [`${prompt} ${prompt}`, '\u001b[31m\r\n{"level":"error"}\u2028\u202e'];
    for (const more of [{ model: sentence }, { model: forged, user: forged, conversation: forged, [forged]: forged }, { model: 'm', user: sentence }, { model: 'm', conversation: sentence }, { model: 'm', previous_response_id: sentence }, { model: 'm', tools: [{ type: sentence, name: sentence, function: { name: sentence, parameters: { properties: { [sentence]: {} } } } }] }]) {
      await this.send(caller, 'POST', '/v1/responses', JSON.stringify({ input: 'hello', ...more }));
      await this.send(caller, 'POST', chat, JSON.stringify({ messages: [{ role: 'user', content: 'hello' }], ...more }));
    }
    for (const path of [chat, '/v1/responses', '/v1/messages', '/v1/embeddings', '/weir/v1/screen']) for (const body of bodies) await this.send(caller, 'POST', path, body);
    const stranger = this.#canaries.make('wrong key');
    await this.send({ name: 'stranger', headers: { authorization: `Bearer ${stranger}` } }, 'POST', chat, bodies[0]);
    await this.send({ name: 'stranger', headers: { authorization: `Bearer ${key}`, 'x-api-key': stranger } }, 'POST', chat, bodies[0]);
    for (const query of [`?api_key=${key}`, `?key=${key}`, `?access_token=${stranger}`]) await this.send({ name: 'stranger', headers: {} }, 'POST', `${chat}${query}`, bodies[0]);
    for (const path of [`/v1/unknown/${prompt}`, `/v1/%2e%2e/${key}`, `/${prompt}?${prompt}=${prompt}`]) await this.send(caller, 'POST', path, '{}');
    const good = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: prompt }] });
    const odd = [{ 'x-weir-context-note': `${prompt} ${prompt}` }, { 'x-weir-context-other': prompt }, { 'x-weir-session-id': prompt.repeat(9) }, { 'x-weir-session-id': sentence }, { traceparent: `00-${prompt}-01` }, { 'user-agent': prompt }, { 'content-type': `text/${prompt}` }, { 'content-encoding': prompt }, { 'x-http-method-override': prompt }, { referer: `https://app.example.com/?q=${prompt}` }, { cookie: `a=${prompt}` }];
    for (const fields of odd) await this.send(caller, 'POST', chat, good, fields as unknown as Record<string, string>);
    for (const method of ['PUT', 'DELETE', 'PATCH']) await this.send(caller, method, chat, good);
    this.count++;
    const leaving = new AbortController();
    const left = fetch(`http://127.0.0.1:${this.#weir.port}${chat}`, { method: 'POST', signal: leaving.signal, headers: { 'content-type': 'application/json', 'x-mode': SILENT, ...caller.headers }, body: good }).catch(() => undefined);
    setTimeout(() => leaving.abort(), 1000);
    await left;
  }
}

function made(body: object | FormData | undefined, stream: boolean): string | FormData | undefined {
  return body === undefined || body instanceof FormData ? body : JSON.stringify({ ...body, ...(stream ? { stream } : {}) });
}

/** A classifier that says back what it was asked, in all the wrong places. */
async function startVendor(t: Test): Promise<ClassifierServer> {
  const vendor = await ClassifierServer.start(t);
  let asked = 0;
  vendor.answer = ({ body }: { readonly body: Buffer }) => {
    const { content } = JSON.parse(body.toString()) as { readonly content: string };
    const results = [{ classifier_id: 'vendor', category: 'toxic', score: 0.95, label: content, spans: [] }];
    return [{ results }, raw(`no: ${content}`, 500), { results: [{ ...results[0], category: content }] }, raw(`{"results":[{"${content}`), { results }][asked++ % 5];
  };
  return vendor;
}

/** Uses the whole admin API; what comes back to others than who asked for a secret. */
async function administer(weir: WeirProcess, canaries: Canaries, admin: string, tenants: readonly string[]): Promise<{ readonly answers: string[]; readonly keys: readonly string[]; readonly tokens: readonly (string | undefined)[] }> {
  const answers: string[] = [];
  const call = async (path: string, asked: Parameters<typeof ask>[2]): Promise<Awaited<ReturnType<typeof ask>>> => ask(weir.adminUrl, path, asked);
  const viewer = canaries.watch('viewer token', await tokenFor(weir.adminUrl, admin, 'viewer', ['tenant-viewer'], [tenants[0]!]));
  const brief = canaries.watch('revoked token', await tokenFor(weir.adminUrl, admin, 'brief', ['auditor']));
  const keys: string[] = [];
  for (const tenant of tenants) {
    const { body } = await call(`/api/v1/tenants/${tenant}/keys`, { method: 'POST', token: admin, body: { name: 'made' } });
    keys.push(canaries.watch(`key of the store of ${tenant}`, (body as { readonly key: string }).key));
  }
  const session = await call('/api/v1/session', { method: 'POST', body: { token: viewer } });
  canaries.watch('session cookie', cookiesOf(session).replace(/^[^=]*=/, ''));
  const [explained, wrong] = [canaries.make('explained text'), canaries.make('wrong admin token')];
  const source = policy('p', 'label');
  await call('/api/v1/policies/p', { method: 'PUT', token: admin, body: source, headers: { 'content-type': 'application/yaml' } });
  await call('/api/v1/policies/p', { method: 'PUT', token: admin, body: `policy: p\n  ${explained}`, headers: { 'content-type': 'application/yaml' } });
  await call('/api/v1/policies/p/explain', { method: 'POST', token: admin, body: { text: `${explained} ${explained}@example.com`, context: { user: explained } } });
  await call('/api/v1/policies/p/test', { method: 'POST', token: admin, body: { cases: [{ name: 'a', text: explained, direction: 'input', expect: { action: 'block' } }] } });
  for (const body of [`{"text":"${explained}`, { text: [explained] }, { [explained]: 1 }]) await call('/api/v1/policies/p/explain', { method: 'POST', token: admin, body });
  for (const asked of [{ token: wrong }, { cookie: `weir_session=${wrong}` }, { method: 'POST', body: { token: wrong } }, { token: keys[0]! }]) answers.push((await call('/api/v1/session', asked)).text);
  answers.push((await call(`/api/v1/status?token=${wrong}`, {})).text, (await call(`/api/v1/${wrong}`, { token: admin })).text);
  const [listed] = [(await call('/api/v1/tokens', { token: admin })).body as { readonly tokens: readonly { readonly id?: string; readonly token_id?: string; readonly name: string }[] }];
  const { id, token_id: tokenId } = listed.tokens.find(({ name }) => name === 'brief')!;
  answers.push((await call(`/api/v1/tokens/${id ?? tokenId}`, { method: 'DELETE', token: admin })).text, (await call('/api/v1/session', { token: brief })).text);
  return { answers, keys, tokens: [admin, viewer, undefined] };
}

/** What every route tells that changes nothing, to everybody. */
async function readAll(weir: WeirProcess, tokens: readonly (string | undefined)[], tenant: string): Promise<string[]> {
  const answers: string[] = [];
  for (const token of tokens) {
    for (const { path } of ADMIN_ROUTES.filter(({ method }) => method === 'GET')) {
      const full = path.replace(':tenant', tenant).replace(':index', '3').replace(':id', 'p');
      for (const query of ['', '?limit=1000']) answers.push(`${full}${query} ${(await ask(weir.adminUrl, full + query, { token })).text}`);
    }
  }
  return answers;
}

interface House {
  readonly canaries: Canaries;
  readonly weir: WeirProcess;
  readonly traffic: Traffic;
  readonly dir: string;
  readonly upstreams: readonly FamilyUpstream[];
  readonly vendor: ClassifierServer;
  readonly otlp: readonly Buffer[];
  /** Of the admin API: what came back so far, and who may ask. */
  readonly answers: readonly string[];
  readonly tokens: readonly (string | undefined)[];
  readonly tenant: string;
}

/** Ends the process and searches everything that every kind of house has. */
async function searched(t: Test, { canaries, weir, traffic, dir, upstreams, vendor, otlp, tenant, tokens, ...house }: House): Promise<void> {
  const answers = [...house.answers, ...(await readAll(weir, tokens, tenant))];
  // Every request has one entry and is counted once; the last of them may end a little later.
  const read = (): readonly { readonly kind: string; readonly outcome?: string; readonly input?: { readonly action: string } }[] => linesOf(join(dir, 'audit')).map((line) => JSON.parse(line));
  const counted = async (): Promise<number> => [...(await ask(weir.adminUrl, '/metrics')).text.matchAll(/^weir_exchanges_total\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  await until(async () => read().filter(({ kind }) => kind === 'exchange').length >= traffic.count && (await counted()) >= traffic.count, 'an entry of every request');
  t.equal(await counted(), traffic.count, 'requests are counted once');
  const metrics = (await ask(weir.adminUrl, '/metrics')).text;
  await until(() => ['weir.screen_input', 'weir_exchanges_total'].every((name) => otlp.some((body) => body.includes(name))), 'telemetry');
  await weir.stop();
  t.ok(traffic.count > 100 && traffic.refusals.length > 50 && answers.length > 50, `${traffic.count} requests, ${traffic.refusals.length} refusals, ${answers.length} answers of the API`);
  t.ok(weir.log.length > traffic.count, `${weir.log.length} lines of the log`);
  const records = read().filter(({ kind }) => kind === 'exchange');
  t.equal(records.length, traffic.count, 'and recorded once');
  t.same([...new Set(records.flatMap(({ outcome }) => outcome ?? []))].sort(), OUTCOMES.filter((outcome) => outcome !== 'failed').sort(), 'exchanges ended in every way, but for faults of ours');
  for (const action of ['allow', 'redact', 'block']) t.ok(records.some(({ input }) => input?.action === action), `a prompt that was decided on with ${action}`);
  t.same(weir.log.filter((line) => /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/.test(line) || typeof JSON.parse(line) !== 'object'), [], 'a line of the log is one object, whatever is in it');
  t.match(metrics, /weir_redactions_total\{[^}]*\} [1-9]/);
  const secrets = canaries.except('prompt', 'answer', 'mail', 'user', 'explained text');
  clean(t, canaries, weir.said().replace(tokens[0]!, ''), 'stdout');
  clean(t, canaries, weir.log.join('\n'), 'log');
  for (const [path, bytes] of filesIn(dir)) clean(t, canaries, bytes, path);
  clean(t, canaries, metrics, 'metrics');
  for (const answer of answers) clean(t, canaries, answer, answer.slice(0, 60));
  for (const refusal of traffic.refusals) clean(t, canaries, refusal.replace(/^\S+ \S+/, ''), refusal.slice(0, 60).replaceAll(/[a-z0-9]{20,}/g, '…'));
  clean(t, canaries, Buffer.concat(otlp), 'traces and metrics that were sent');
  clean(t, canaries, vendor.received.map(({ rawHeaders, path, body }) => `${path} ${rawHeaders.join(' ')} ${body.toString()}`).join('\n'), 'what a classifier was asked', secrets);
  for (const [i, { received }] of upstreams.entries()) {
    const own = [`key of upstream ${i}`, 'prompt', 'answer', 'user', 'mail'];
    const found = canaries.in(received.join('\n'));
    t.same(found.filter((name) => !own.includes(name)), [], 'what an upstream received');
    t.ok(found.includes('prompt') && found.includes('user') && found.includes(own[0]!), 'which had to receive something');
  }
}

t.test('each form of a secret would be found', async (t) => {
  const canaries = new Canaries();
  const secret = canaries.make('one');
  canaries.make('other');
  const forms = [secret, `a${secret}b`, secret.toUpperCase(), secret.slice(7, 30), `weir_${secret}`, ...['base64', 'base64url', 'hex', 'utf16le'].flatMap((encoding) => ['', 'x', 'xy'].map((before) => (encoding === 'utf16le' ? Buffer.from(before + secret, encoding) : Buffer.from(before + secret).toString(encoding as 'hex')))),
    [...secret].map((char) => `%${char.charCodeAt(0).toString(16)}`).join(''), [...secret].map((char) => `\\u00${char.charCodeAt(0).toString(16).toUpperCase()}`).join('')];
  for (const form of forms) t.same(canaries.in(form), ['one'], String(form));
  t.same(canaries.in(`nothing of it, ${secret.slice(0, 9)} is too short`), []);
});

t.test('several tenants, with Redis and Postgres: every sink', { skip: POSTGRES_MISSING || REDIS_MISSING }, async (t) => {
  const [canaries, dir, port] = [new Canaries(), folder(t), await freePort()];
  await startRedis(t, port);
  const redis = await watchRedis(t, port);
  const postgres = await openPostgresSchema(t);
  const [prompt, answer, mail, user] = ['prompt', 'answer', 'mail', 'user'].map((name) => canaries.make(name)) as [string, string, string, string];
  const [own, callerKey] = [[canaries.make('key of upstream 0'), canaries.make('key of upstream 1')], canaries.watch('key of a caller', generateKey())];
  const upstreams = [await startFamilyUpstream(t, `${answer} of ${answer}@example.com`), await startFamilyUpstream(t, `${answer} of ${answer}@example.com`)];
  const sockets = new SocketUpstream((end) => end.ws.on('message', () => end.send({ type: 'response.output_text.delta', event_id: 'e', response_id: 'r', item_id: 'i', output_index: 0, content_index: 0, delta: `${answer} of ${answer}@example.com ` })));
  t.teardown(() => sockets.close());
  const [vendor, collector] = [await startVendor(t), await startCollector(t)];
  const tenants = ['heron', 'osprey', 'plover'];
  configure(dir, {
    redis: { url: `redis://127.0.0.1:${port}` }, store: { url: '${STORE_URL}' }, audit: { durability: 'strict' }, ...telemetry(collector.url, 'protobuf'), notifications: { webhook: { url: `${collector.url}/hook`, secret: '${HOOK_SECRET}' } },
    upstreams: { one: { url: upstreams[0]!.url, api_key: '${FIRST_KEY}' }, two: { url: upstreams[1]!.url, api_key: '${SECOND_KEY}', provider: 'anthropic' }, sockets: { url: await sockets.listen(), api_key: '${FIRST_KEY}' } },
    tenants: tenants.map((id, i) => ({ id, policy: ['reversible', 'hashed', 'p'][i], upstream: ['one', 'two', 'sockets'][i], require_key: true, context: { headers: ['note'] }, limits: { requests_per_minute: 100_000, tokens_per_minute: 100_000_000 }, ...(i === 0 ? { keys: [{ id: 'k', sha256: keyDigest(callerKey) }] } : {}) })),
    classifiers: [{ id: 'pii', plugin: 'pii' }, { id: 'vendor', plugin: 'http', url: `${vendor.origin}/classify`, categories: ['toxic'], breaker: { failures: 1000 } }],
  });
  const weir = await runWeir(t, dir, [], { STORE_URL: postgres, FIRST_KEY: own[0]!, SECOND_KEY: own[1]!, HOOK_SECRET: canaries.make('secret of the webhook') });
  const admin = canaries.watch('admin token', weir.adminToken!);
  const traffic = new Traffic(weir, canaries, user);
  const { answers, keys, tokens } = await administer(weir, canaries, admin, tenants);
  const heron = { name: 'heron', headers: { authorization: `Bearer ${callerKey}`, 'x-weir-session-id': 'made-up-session' } };
  await traffic.all(heron, prompt, mail);
  await traffic.all({ name: 'osprey', headers: { 'x-api-key': keys[1]! } }, prompt, mail);
  await traffic.mistakes(heron, prompt, callerKey);
  traffic.count++;
  const client = await open(`ws://127.0.0.1:${weir.port}/v1/realtime?model=m`, { headers: { authorization: `Bearer ${keys[2]!}` } });
  client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: `${prompt} of ${mail}@example.com` }] } });
  await client.take(1);
  client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: `${prompt} Bluebird` }] } }, `{"type":"${prompt}`);
  await delay(300);
  client.ws.close();
  const shared = await redis.all();
  const rows = await postgresRows(postgres);
  await searched(t, { canaries, weir, traffic, dir: join(dir, 'data'), upstreams, vendor, otlp: collector.received, answers, tokens, tenant: tenants[0]! });
  t.ok(shared.length > 10_000 && rows.includes('tenant_keys'), `${shared.length} characters of Redis, ${rows.length} of Postgres`);
  clean(t, canaries, shared, 'Redis');
  clean(t, canaries, rows, 'Postgres');
  t.ok(collector.received.some((body) => body.includes('late_violation')), 'the webhook was told');
  t.same(canaries.in(sockets.requests.map(({ rawHeaders, url }) => `${url} ${rawHeaders.join(' ')}`).join('\n'), canaries.except('key of upstream 0')), [], 'the head of a WebSocket');
});

t.test('one tenant with SQLite, whose callers bring their own keys', async (t) => {
  const [canaries, dir] = [new Canaries(), folder(t)];
  const [prompt, answer, mail, user] = ['prompt', 'answer', 'mail', 'user'].map((name) => canaries.make(name)) as [string, string, string, string];
  const own = canaries.make('key of upstream 0'); // the caller's, which goes through
  const upstreams = [await startFamilyUpstream(t, `${answer} of ${answer}@example.com`)];
  const [vendor, collector] = [await startVendor(t), await startCollector(t)];
  configure(dir, {
    ...telemetry(collector.url, 'json'), upstreams: { one: { url: upstreams[0]!.url } }, tenants: [{ id: 'only', policy: 'reversible', upstream: 'one' }],
    classifiers: [{ id: 'pii', plugin: 'pii' }, { id: 'vendor', plugin: 'http', url: `${vendor.origin}/classify`, categories: ['toxic'], breaker: { failures: 1000 } }],
  });
  const weir = await runWeir(t, dir);
  const admin = canaries.watch('admin token', weir.adminToken!);
  const traffic = new Traffic(weir, canaries, user);
  const caller = { name: 'only', headers: { authorization: `Bearer ${own}` } };
  await traffic.all(caller, prompt, mail);
  await traffic.mistakes(caller, prompt, own);
  const { answers, tokens } = await administer(weir, canaries, admin, ['only']);
  await searched(t, { canaries, weir, traffic, dir: join(dir, 'data'), upstreams, vendor, otlp: collector.received, answers, tokens, tenant: 'only' });
});

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-leaks-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function telemetry(url: string, encoding: 'protobuf' | 'json'): object {
  return { telemetry: { log_level: 'debug', otlp_encoding: encoding, traces: { exporter: 'otlp', endpoint: `${url}/v1/traces` }, metrics: { otlp_endpoint: `${url}/v1/metrics`, interval_ms: 1000 } } };
}

function configure(dir: string, config: object): void {
  for (const [id, style] of [['reversible', 'pseudonym'], ['hashed', 'hash'], ['p', 'label']] as const) writeFileSync(join(dir, `${id}.yaml`), policy(id, style, id === 'hashed'));
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['reversible.yaml', 'hashed.yaml', 'p.yaml'], ...config }));
}
