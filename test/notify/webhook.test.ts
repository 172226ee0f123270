/**
 * Notifications over real sockets: signed as documented, tried again when refused, bounded, never in anybody's way, and
 * without a word of content.
 */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { CHANNELS, type HealthChanged } from '../../src/contract/channels.ts';
import type { LateViolation } from '../../src/contract/notification.ts';
import { QUEUE_MAX, signatureOf, SIGNATURE_HEADER, Webhook, type WebhookOptions } from '../../src/notify/webhook.ts';
import { until } from '../helpers/upstream.ts';

const SECRET = 'made-up-secret-1234';
const found = (request_id = 'r1'): LateViolation => ({
  event: 'late_violation', request_id, tenant_id: 'acme', session_id: 's', policy: 'p@1', created_at: '2026-01-01T00:00:00.000Z',
  late: { direction: 'output', action: 'block', triggered_rules: ['bad'], classifier_results: [], degraded: [], acted: ['cut', 'barred'], latency_ms: 12 },
});

interface Receiver {
  readonly url: string;
  readonly got: { readonly headers: IncomingMessage['headers']; readonly body: string }[];
  /** How the next ones are answered; by default 204. */
  answer: (res: ServerResponse) => void;
}

async function receive(t: Test): Promise<Receiver> {
  const receiver: { url: string; got: Receiver['got']; answer: Receiver['answer'] } = { url: '', got: [], answer: (res) => res.writeHead(204).end() };
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      receiver.got.push({ headers: req.headers, body: Buffer.concat(chunks).toString() });
      receiver.answer(res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return receiver;
}

function open(t: Test, url: string | undefined, options: Partial<WebhookOptions> = {}): Webhook {
  const webhook = new Webhook({ settings: () => (url === undefined ? undefined : { url, secret: SECRET }), delaysMs: [1, 2, 3], closeMs: 50, ...options });
  t.teardown(() => webhook.close());
  return webhook;
}

const ids = ({ got }: Receiver): string[] => got.map(({ body }) => (JSON.parse(body) as LateViolation).request_id);

t.test('what arrives is what was found, and says who sent it and when', async (t) => {
  const receiver = await receive(t);
  const webhook = open(t, receiver.url, { clock: () => 1_700_000_000_999 });
  t.ok(webhook.notify(found()));
  await until(() => receiver.got.length === 1, 20_000, 'a notification');
  const { headers, body } = receiver.got[0]!;
  t.same(JSON.parse(body), found());
  t.match(headers, { 'content-type': 'application/json', [SIGNATURE_HEADER]: `t=1700000000,v1=${createHmac('sha256', SECRET).update(`1700000000.${body}`).digest('hex')}` });
  t.equal(signatureOf(SECRET, 1, 'a'), createHmac('sha256', SECRET).update('1.a').digest('hex'));
});

t.test('refused, broken or unanswered it is tried again, in order; a redirect is a refusal', async (t) => {
  const receiver = await receive(t);
  const answers: Receiver['answer'][] = [(res) => res.writeHead(500).end(), (res) => void res.destroy(), () => {}, (res) => res.writeHead(302, { location: '/elsewhere' }).end()];
  const healths: HealthChanged[] = [];
  const note = (message: unknown): void => void ((message as HealthChanged).part === 'webhook' && healths.push(message as HealthChanged));
  CHANNELS.healthChanged.subscribe(note);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(note));
  receiver.answer = (res) => (answers.shift() ?? ((one: ServerResponse) => void one.writeHead(200).end()))(res);
  const webhook = open(t, receiver.url, { delaysMs: [1, 2, 3, 4], timeoutMs: 300 });
  for (const id of ['a', 'b', 'c']) webhook.notify(found(id));
  await until(() => receiver.got.length >= 7, 20_000, 'seven attempts');
  t.same(ids(receiver), ['a', 'a', 'a', 'a', 'a', 'b', 'c']);
  t.same(healths, [], 'all were taken in the end');
});

t.test('what nobody takes is given up and told once, and told again when somebody does', async (t) => {
  const receiver = await receive(t);
  const healths: HealthChanged[] = [];
  const note = (message: unknown): void => void ((message as HealthChanged).part === 'webhook' && healths.push(message as HealthChanged));
  CHANNELS.healthChanged.subscribe(note);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(note));
  receiver.answer = (res) => res.writeHead(503).end('a secret of the receiver');
  const webhook = open(t, receiver.url, { delaysMs: [1] });
  webhook.notify(found('a'));
  webhook.notify(found('b'));
  await until(() => receiver.got.length === 4 && healths.length === 1, 20_000, 'two attempts each');
  t.match(healths, [{ healthy: false, detail: 'answered 503' }]);
  receiver.answer = (res) => res.writeHead(200).end();
  await until(() => webhook.notify(found('c')) && receiver.got.length >= 5, 20_000, 'the next');
  await until(() => healths.length === 2, 20_000, 'well again');
  t.match(healths[1], { healthy: true, detail: /2 were not taken/ });
});

t.test('the queue has a bound, and what is beyond it is refused at once', async (t) => {
  const receiver = await receive(t);
  receiver.answer = () => {};
  const webhook = open(t, receiver.url, { queueMax: 3 });
  t.same([1, 2, 3, 4].map((i) => webhook.notify(found(String(i)))), [true, true, true, false]);
  t.equal(QUEUE_MAX, 1_000);
});

t.test('nobody to tell; and nobody after the end, which waits for little', async (t) => {
  t.notOk(open(t, undefined).notify(found()));
  const receiver = await receive(t);
  const webhook = open(t, receiver.url, { closeMs: 20_000 });
  for (const id of ['a', 'b', 'c']) webhook.notify(found(id));
  await webhook.close();
  t.same(ids(receiver), ['a', 'b', 'c'], 'what waits is delivered');
  t.notOk(webhook.notify(found()));
  const gone = open(t, 'http://127.0.0.1:1/', { delaysMs: [60_000], closeMs: 20 });
  gone.notify(found());
  await gone.close();
  t.pass('an address that nobody listens at holds nothing up');
});
