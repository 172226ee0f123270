/**
 * Notices over real sockets and a real store: signed, sent again under one id until they are taken, over restarts and
 * after a process died with them, given up in the end, and in nobody's way.
 */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { CHANNELS, type HealthChanged, type ReviewTold } from '../../src/contract/channels.ts';
import type { ReviewNotice } from '../../src/contract/notification.ts';
import { postSigned, SIGNATURE_HEADER } from '../../src/notify/webhook.ts';
import { CLAIM_MS, Courier, GIVE_UP_MS, type CourierOptions } from '../../src/review/courier.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlNoticeStore } from '../../src/store/review-notices.ts';
import { SqlReviewStore, type Claim } from '../../src/store/reviews.ts';
import { randomOf, seed } from '../helpers/runs.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const SECRET = 'made-up-secret-1234';
const START_MS = Date.UTC(2030, 0, 1);

interface Receiver {
  readonly url: string;
  readonly got: { readonly headers: IncomingMessage['headers']; readonly notice: ReviewNotice; readonly text: string }[];
  answer: (res: ServerResponse) => void;
}

async function receive(t: Test): Promise<Receiver> {
  const receiver = { url: '', got: [] as Receiver['got'], answer: ((res) => res.writeHead(204).end()) as Receiver['answer'] };
  const server = createServer((req, res) => {
    let text = '';
    req.on('data', (part: Buffer) => { text += part.toString(); }).on('end', () => {
      receiver.got.push({ headers: req.headers, notice: JSON.parse(text) as ReviewNotice, text });
      receiver.answer(res);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weir`;
  return receiver;
}

function listen<T>(t: Test, channel: { subscribe(on: (message: unknown) => void): void; unsubscribe(on: (message: unknown) => void): void }): readonly T[] {
  const heard: T[] = [];
  const on = (message: unknown): void => void heard.push(message as T);
  channel.subscribe(on);
  t.teardown(() => channel.unsubscribe(on));
  return heard;
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  const opened = async (t: Test, urls: Readonly<Record<string, string>>) => {
    const open = (await place(t)).database!;
    const store = new SqlReviewStore(open());
    const clock = { nowMs: START_MS };
    const iso = (): string => new Date(clock.nowMs).toISOString();
    const courier = (more: Partial<CourierOptions> = {}) => new Courier({
      store: new SqlNoticeStore(open()), clock: () => clock.nowMs, random: randomOf(seed),
      send: async (notice, receiver, tenant) => {
        const url = urls[receiver === 'operator' ? 'operator' : tenant];
        if (url === undefined) return { end: 'none' };
        const detail = await postSigned({ url, secret: SECRET }, JSON.stringify(notice), { nowMs: clock.nowMs, timeoutMs: 400, signal: new AbortController().signal, headers: { 'idempotency-key': notice.notice_id } });
        return detail === undefined ? { end: 'taken' } : { end: 'failed', detail };
      },
      ...more,
    });
    const add = (id: string, tenant = 'acme', dueMs = 3_600_000) => store.add({ review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: tenant, direction: 'input', origin: 'escalate', severity: 'high', policy: 'p@1', triggered_rules: ['rule'], classifier_results: [], action: 'escalate', double_blind: false, created_at: iso(), due_at: new Date(clock.nowMs + dueMs).toISOString(), hold_until: null, hold_then: null });
    const resolve = async (id: string, tenant = 'acme') => {
      await add(id, tenant);
      const { fence } = await store.claim(`rev_${id}`, { id: 'ana' }, iso(), new Date(clock.nowMs + 1e6).toISOString()) as Claim;
      await store.decide(`rev_${id}`, fence, { reviewer_id: 'ana', resolution: 'block', categories: ['hate'], notes: 'a note', created_at: iso() }, standingOf);
    };
    return { courier, clock, add, resolve };
  };

  t.test(`${name}: signed, and taken once`, { skip }, async (t) => {
    const receiver = await receive(t);
    const told = listen<ReviewTold>(t, CHANNELS.reviewTold);
    const { courier, clock, resolve } = await opened(t, { acme: receiver.url });
    await resolve('a');
    t.equal(await courier().pass(), 1);
    t.equal(await courier().pass(), 0, 'and not again');
    const { headers, notice, text } = receiver.got[0]!;
    t.match(notice, { event: 'review_override', retroactive_action: 'withdraw', request_id: 'req a', categories: ['hate'] });
    const seconds = Math.floor(clock.nowMs / 1000);
    t.match(headers, { 'idempotency-key': 'rev_a.1.resolved', 'content-type': 'application/json', [SIGNATURE_HEADER]: `t=${seconds},v1=${createHmac('sha256', SECRET).update(`${seconds}.${text}`).digest('hex')}` });
    t.notMatch(text, /a note/);
    t.match(told, [{ kind: 'resolved', notice: { review_id: 'rev_a' } }, { kind: 'notice', receiver: 'tenant', outcome: 'taken' }]);
  });

  t.test(`${name}: refused, broken and unanswered it is sent again, later and later, over restarts, under one id`, { skip }, async (t) => {
    const receiver = await receive(t);
    const told = listen<ReviewTold>(t, CHANNELS.reviewTold);
    const health = listen<HealthChanged>(t, CHANNELS.healthChanged);
    const answers: Receiver['answer'][] = [(res) => res.writeHead(500).end('a secret of the receiver'), (res) => void res.destroy(), () => {}, (res) => res.writeHead(302, { location: '/elsewhere' }).end()];
    receiver.answer = (res) => (answers.shift() ?? ((one: ServerResponse) => void one.writeHead(200).end()))(res);
    const { courier, clock, resolve } = await opened(t, { acme: receiver.url });
    await resolve('a');
    const pauses: number[] = [];
    let before = clock.nowMs;
    let process = courier();
    for (let tries = 0; receiver.got.length < 5 && tries < 10_000; tries++) {
      const seen = receiver.got.length;
      if (tries % 12 === 11) process = courier(); // each holds connections of its own
      await process.pass();
      if (receiver.got.length > seen) { pauses.push(clock.nowMs - before); before = clock.nowMs; }
      clock.nowMs += 250;
    }
    t.equal(new Set(receiver.got.map(({ headers }) => headers['idempotency-key'])).size, 1);
    t.ok(pauses[2]! > pauses[1]! / 2 && pauses[4]! > pauses[1]! * 2, pauses.join());
    t.same(told.filter(({ kind }) => kind === 'resolved').length, 1, 'the verdict counts once');
    t.same(told.flatMap((one) => (one.kind === 'notice' ? [one.outcome] : [])), ['failed', 'failed', 'failed', 'failed', 'taken']);
    t.notMatch(JSON.stringify(health), /a secret/);
  });

  t.test(`${name}: a process that dies with a notice costs its claim's time; another sends it`, { skip }, async (t) => {
    const receiver = await receive(t);
    const { courier, clock, resolve } = await opened(t, { acme: receiver.url });
    await resolve('a');
    let died: (() => void) | undefined;
    void courier({ send: () => new Promise(() => died?.()) }).pass();
    await new Promise<void>((resolve) => { died = resolve; });
    t.equal(await courier().pass(), 0);
    clock.nowMs += CLAIM_MS + 1;
    t.equal(await courier().pass(), 1);
    t.equal(receiver.got.length, 1);
  });

  t.test(`${name}: what nobody takes is given up after its time, and not before; who does not answer is in nobody's way`, { skip }, async (t) => {
    const [dead, lively] = [await receive(t), await receive(t)];
    dead.answer = (res) => res.writeHead(503).end();
    const told = listen<ReviewTold>(t, CHANNELS.reviewTold);
    const { courier, clock, resolve } = await opened(t, { dead: dead.url, lively: lively.url });
    await resolve('a', 'dead');
    await resolve('b', 'lively');
    await resolve('c', 'nobody');
    t.equal(await courier().pass(), 1);
    t.equal(lively.got.length, 1);
    clock.nowMs = START_MS + GIVE_UP_MS;
    await courier().pass();
    t.notMatch(JSON.stringify(told), /given_up/, 'within');
    clock.nowMs += 3_600_001;
    await courier().pass();
    t.match(told.at(-1), { kind: 'notice', outcome: 'given_up' });
    const seen = dead.got.length;
    clock.nowMs += 86_400_000;
    await courier().pass();
    t.equal(dead.got.length, seen);
    t.notOk(told.some((one) => one.kind === 'notice' && one.receiver !== 'tenant'), 'who is not configured is no attempt');
  });

  t.test(`${name}: overdue: the tenant, the operator and the channel hear of it once, however many look`, { skip }, async (t) => {
    const [tenant, operator] = [await receive(t), await receive(t)];
    const told = listen<ReviewTold>(t, CHANNELS.reviewTold);
    const { courier, clock, add } = await opened(t, { acme: tenant.url, operator: operator.url });
    await add('a', 'acme', 60_000);
    const couriers = [courier(), courier(), courier()];
    const all = () => Promise.all(couriers.map((one) => one.pass()));
    clock.nowMs += 60_000;
    await all();
    t.equal(told.length, 0, 'in time');
    clock.nowMs += 1;
    for (let i = 0; i < 4; i++) await all();
    t.same([tenant.got.map(({ notice }) => notice.notice_id), operator.got.map(({ notice }) => notice.notice_id)], [['rev_a.1.overdue'], ['rev_a.1.overdue']]);
    t.equal(told.filter(({ kind }) => kind === 'overdue').length, 1);
    t.equal(told.filter(({ kind }) => kind === 'resolved').length, 0);
  });
}
