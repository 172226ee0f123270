/**
 * What requests say of who sends them, through the real proxy: context headers and their limits, that they make a policy
 * stricter and nothing else, that none goes upstream; shadow and canary as clients and records see them.
 */
import t, { type Test } from 'tap';
import { requirePolicy } from '../../src/policy/parse.ts';
import { CONTEXT_VALUE_CHARS_MAX, readCallerContext } from '../../src/proxy/caller.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { answer } from '../helpers/framed.ts';
import { testPii } from '../helpers/pii.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { chatRequest, rawRequest } from '../helpers/raw.ts';
import { open, SocketUpstream } from '../helpers/sockets.ts';
import { CHAT_ANSWER, chatEvents, events, json } from '../helpers/upstream.ts';

const CONTEXT = { headers: ['surface', 'age'], trusted: ['user-trust'] };
const POLICY = `policy: main
rules:
  - { id: friends, priority: 1, direction: input, when: { context: user-trust, eq: friend }, action: allow }
  - { id: adults, priority: 2, direction: input, when: { context: age, gte: 18 }, action: allow }
  - { id: kids, priority: 3, when: { all: [ { context: surface, eq: kids }, { score: pii.EMAIL, gte: 0.5 } ] }, action: block }
  - { id: mail, priority: 4, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }
`;
const NEXT = 'policy: next\npatterns: [ { id: word, literal: [Bluebird] } ]\nrules:\n  - { id: word, when: { score: patterns.word, gte: 0.5 }, action: block }\n  - { id: mail, when: { score: pii.EMAIL, gte: 0.5 }, action: block }\n';

const compiled = (policy: string, shadow?: string): ScreeningPlan =>
  compilePlan(requirePolicy(policy, 'p.yaml'), [testPii()], { file: 'p.yaml', hashKey: Buffer.alloc(32, 9), ...(shadow === undefined ? {} : { shadow: requirePolicy(shadow, 's.yaml') }) });
const main = compiled(POLICY);

async function start(t: Test, options: ProxyOptions = {}): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER), plan: main, tenants: [{ context: CONTEXT }], ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

const said = (content: string, more: object = {}): object => ({ model: 'm', messages: [{ role: 'user', content }], ...more });
const MAIL = said('write to ana@example.com');

t.test('a header can make a decision stricter and nothing else, unless the tenant trusts it', async (t) => {
  const proxy = await start(t);
  for (const [fields, action, rules] of [
    [[], 'redact', ['mail']],
    [['X-Weir-Context-Surface: kids'], 'block', ['kids', 'mail']],
    [['x-weir-context-surface: web'], 'redact', ['mail']],
    [['x-weir-context-age: 30'], 'redact', ['mail', 'adults']],
    [['x-weir-context-age: 30', 'x-weir-context-surface: kids'], 'redact', ['mail', 'adults']],
    [['x-weir-context-user-trust: friend'], 'allow', ['friends']],
    [['x-weir-context-user-trust: friend', 'x-weir-context-surface: kids'], 'allow', ['friends']],
    [['x-weir-context-tenant: other', 'x-weir-context-unnamed: kids', 'x-weir-context-: kids'], 'redact', ['mail']],
  ] as const) {
    const before = proxy.records.length;
    const { headers, status } = await rawRequest(proxy.port, chatRequest(MAIL, fields));
    t.equal(headers['x-weir-action'], action, fields.join());
    t.equal(status, action === 'block' ? 400 : 200);
    t.match((await proxy.record(before + 1)).input, { action, triggered_rules: rules }, fields.join());
  }
  const redacted = proxy.upstream.received.filter(({ body }) => !body.includes('ana@example.com')).length;
  t.equal(redacted, proxy.upstream.received.length - 2, 'all but those that are trusted');
  t.notOk(proxy.upstream.received.some(({ rawHeaders }) => rawHeaders.some((field) => /weir/i.test(field))), 'none goes upstream');
  t.match(proxy.records[1]?.input?.facts, { context: { 'age': null, 'surface': null, 'user-trust': null }, claims: { surface: 'kids' } });
  t.match(proxy.records[5]?.input?.facts, { context: { 'user-trust': 'friend' }, claims: undefined });
});

t.test('answers too, streamed or not', async (t) => {
  for (const stream of [false, true]) {
    const body = { ...CHAT_ANSWER, choices: [{ index: 0, message: { role: 'assistant', content: 'ask ana@example.com' }, finish_reason: 'stop' }] };
    const proxy = await start(t, { script: stream ? events(chatEvents(['ask ana@', 'example.com'])) : json(200, body) });
    const plain = await rawRequest(proxy.port, chatRequest(said('hello', { stream })));
    t.match(plain.body.toString(), '[EMAIL]');
    const kids = await rawRequest(proxy.port, chatRequest(said('hello', { stream }), ['x-weir-context-surface: kids']));
    t.match(kids.body.toString(), 'content_filter');
    t.notMatch(kids.body.toString(), 'example.com');
    t.match((await proxy.record(2)).output, { action: 'block', triggered_rules: ['kids', 'mail'], facts: { claims: { surface: 'kids' } } });
  }
});

t.test('an earlier turn is redacted, although with the claim it would be blocked', async (t) => {
  const proxy = await start(t);
  const talk = { model: 'm', messages: [{ role: 'user', content: 'write to ana@example.com' }, { role: 'assistant', content: 'done' }, { role: 'user', content: 'thanks' }] };
  t.equal((await rawRequest(proxy.port, chatRequest(talk, ['x-weir-context-surface: kids']))).status, 200);
  t.match(proxy.upstream.received[0]!.body.toString(), '[EMAIL]');
});

t.test('what is no value is refused, with its limits', async (t) => {
  const proxy = await start(t);
  const ask = async (...fields: readonly string[]) => rawRequest(proxy.port, chatRequest(said('hello'), fields));
  t.equal((await ask(`x-weir-context-surface: ${'k'.repeat(CONTEXT_VALUE_CHARS_MAX)}`)).status, 200);
  for (const fields of [[`x-weir-context-surface: ${'k'.repeat(CONTEXT_VALUE_CHARS_MAX + 1)}`], ['x-weir-context-surface:  '], ['x-weir-context-surface: kids', 'X-Weir-Context-Surface: web'], ['x-weir-context-user-trust: fri\u00e9nd']]) {
    const { status, body } = await ask(...fields);
    t.equal(status, 400);
    t.match(body.toString(), /"bad_request"/);
    t.match(body.toString(), /x-weir-context-(?:surface|user-trust)/);
    t.notMatch(body.toString(), /kkk|friend/, 'no value in the message');
  }
  t.equal((await ask('x-weir-context-other: ')).status, 200, 'a header that the tenant does not name is nobody\'s business');
  t.equal(proxy.upstream.received.length, 2);
});

t.test('values are read as true, false, numbers and text', async (t) => {
  const read = (value: string) => readCallerContext(['X-Weir-Context-Surface', value], { context: CONTEXT }).claims?.surface;
  for (const [value, expected] of [['true', true], ['false', false], ['True', 'True'], ['18', 18], ['-0.5', -0.5], ['007', '007'], ['1e3', '1e3'], ['.5', '.5'], ['123456789012345', 123456789012345], ['1234567890123456', '1234567890123456'], [' kids ', 'kids'], ['null', 'null']] as const) t.equal(read(value), expected, value);
  t.same(readCallerContext(['x-weir-context-surface', 'kids'], { context: undefined }), { trusted: {} }, 'a tenant that allows none');
  t.same(readCallerContext(['x-weir-context-user-trust', 'friend'], { context: CONTEXT }), { trusted: { 'user-trust': 'friend' } });
});

t.test('a shadow is recorded in both directions and changes nothing', async (t) => {
  const script = events(chatEvents(['the Blue', 'bird of ana@example.com']));
  const [alone, proxy] = [await start(t, { script }), await start(t, { script, plan: compiled(POLICY, NEXT) })];
  const request = chatRequest(said('about Bluebird', { stream: true }));
  const [plain, shadowed] = [await rawRequest(alone.port, request), await rawRequest(proxy.port, request)];
  t.equal(shadowed.body.toString(), plain.body.toString());
  t.match(plain.body.toString(), '[EMAIL]');
  const record = await proxy.record();
  t.match(record, { policy: /^main@/, outcome: 'completed', input: { action: 'allow', triggered_rules: [], shadow: { policy: /^next@/, action: 'block', triggered_rules: ['word'], degraded: [] } }, output: { action: 'redact', triggered_rules: ['mail'], shadow: { action: 'block', triggered_rules: ['word'] } } });
  t.notOk(JSON.stringify(record).includes('Bluebird'));
  t.notOk(Object.hasOwn((await alone.record()).input!, 'shadow'));
});

t.test('a canary decides for its sessions, and headers and records say so', async (t) => {
  const plan = main.forTenant({ failMode: 'closed', hashKey: Buffer.alloc(32, 9), canary: { plan: compiled(NEXT), share: 0.5 } });
  const key = 'weir_made-up-key';
  const proxy = await start(t, { plan, tenants: [{ id: 'acme', context: CONTEXT, keys: [{ id: 'k1', sha256: keyDigest(key), expires_at: undefined }] }] });
  const policyOf = async (body: object, ...fields: readonly string[]): Promise<string> => {
    const before = proxy.records.length;
    const { headers } = await rawRequest(proxy.port, chatRequest(body, [`authorization: Bearer ${key}`, ...fields]));
    const record = await proxy.record(before + 1);
    t.equal(record.policy, headers['x-weir-policy']);
    t.equal(record.input?.action, record.policy?.startsWith('next@') ? 'block' : 'redact');
    return headers['x-weir-policy']!.split('@')[0]!;
  };
  const bySession = [];
  for (let i = 0; i < 24; i += 1) bySession.push(await policyOf(MAIL, `x-weir-session-id: s-${i}`));
  t.same([...new Set(bySession)].sort(), ['main', 'next']);
  for (let i = 0; i < 24; i += 1) t.equal(await policyOf({ ...MAIL, user: `u-${i}` }, `x-weir-session-id: s-${i}`, 'x-weir-context-surface: web'), bySession[i], 'the same session, whoever speaks and whatever is claimed');
  const byUser = [];
  for (let i = 0; i < 24; i += 1) byUser.push(await policyOf({ ...MAIL, user: `u-${i}` }));
  t.same([...new Set(byUser)].sort(), ['main', 'next']);
  t.equal(new Set([await policyOf(MAIL), await policyOf(MAIL), await policyOf(MAIL), await policyOf(MAIL)]).size, 1, 'requests of one key are on one side');
});

t.test('on a WebSocket the headers of the handshake count, for the canary too', async (t) => {
  const upstream = new SocketUpstream();
  const url = await upstream.listen();
  t.teardown(() => upstream.close());
  const plan = compiled(POLICY, NEXT).forTenant({ failMode: 'closed', hashKey: Buffer.alloc(32, 9), canary: { plan: compiled(NEXT), share: 0.5 } });
  const proxy = await start(t, { plan, upstreamUrl: url });
  const talk = async (headers: Record<string, string>) => {
    const before = proxy.records.length;
    const client = await open(`ws://127.0.0.1:${proxy.port}/v1/realtime?model=gpt-realtime`, { headers });
    const end = await upstream.end();
    client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'write to ana@example.com' }] } });
    client.send({ type: 'response.create' });
    await end.take(1);
    end.send(...answer(['ask ana@example.com']));
    await client.take(1);
    client.ws.close();
    return proxy.record(before + 1);
  };
  const [inMain, inNext] = ['main', 'next'].map((id) => Array.from({ length: 64 }, (_, i) => `s-${i}`).find((sessionId) => (plan.canary!.takes({ sessionId, requestId: 'r' }) ? 'next' : 'main') === id)!);
  t.match(await talk({ 'x-weir-session-id': inMain! }), { policy: /^main@/, input: { action: 'redact', triggered_rules: ['mail'], shadow: { action: 'block', triggered_rules: ['mail'] } } });
  t.match(await talk({ 'x-weir-session-id': inMain!, 'x-weir-context-surface': 'kids' }), { policy: /^main@/, input: { action: 'block', triggered_rules: ['kids', 'mail'] } });
  t.match(await talk({ 'x-weir-session-id': inNext! }), { policy: /^next@/, input: { action: 'block', triggered_rules: ['mail'] } });
});
