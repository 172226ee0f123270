/**
 * Requests that wait for a person in a running Weir: nothing of them goes on before a verdict, the time, or the end of
 * the client, each of which ends the wait once; and the record says which it was.
 */
import { join } from 'node:path';
import t from 'tap';
import { checkContent } from '../src/audit/content-check.ts';
import { ask, tokenFor } from './helpers/admin.ts';
import { holding, openHeld as open, waiting } from './helpers/held.ts';
import { until } from './helpers/house.ts';
import { open as openSocket, SocketUpstream } from './helpers/sockets.ts';

t.setTimeout(300_000);

t.test('a prompt that waits goes on when a person lets it, and the record says so', async (t) => {
  const house = await open(t, holding('block'));
  const answer = house.send('have you seen an Egret?');
  const item = await waiting(house);
  t.match(item, { direction: 'input', status: 'pending', holding: true, hold_then: 'block', hold_outcome: null, released: null, triggered_rules: ['ask'] });
  t.same(house.provider.prompts, [], 'nothing has left');
  t.match((await ask(house.adminUrl, `/api/v1/reviews/${item.review_id}/content`, { method: 'GET', token: house.token })).body, { state: 'there', texts: { texts: [{ text: 'have you seen an Egret?', spans: [{ start: 17, end: 22, label: 'EGRET' }] }] } }, 'the person sees what it is about, and where');
  t.match((await ask(house.adminUrl, `/api/v1/reviews/${item.review_id}`, { method: 'GET', token: house.token })).body.rules, [{ rule_id: 'ask', action: 'escalate', condition: 'patterns.egret ≥ 1' }]);
  const startMs = performance.now();
  t.match(await house.decide(item.review_id, 'allow'), { status: 200, body: { resolution: 'allow', hold_outcome: 'allow', released: true, holding: false } });
  const { status, headers } = await answer;
  t.comment(`released ${(performance.now() - startMs).toFixed(0)} ms after the verdict was asked for`);
  t.equal(status, 200);
  t.equal(headers.get('x-weir-action'), 'escalate');
  t.equal(house.provider.prompts.length, 1);
  await until(async () => (await house.entries()).length === 1, 'the entry');
  const [entry] = await house.entries();
  t.match(entry, { outcome: 'completed', input: { action: 'escalate', triggered_rules: ['ask'], hold: { review_id: item.review_id, rule: 'ask', for_ms: 60_000, then: 'block', ended_by: 'verdict', resolution: 'allow', action: 'allow' } } });
  t.ok(entry.input.hold.held_ms > 0);
  t.equal((await house.items()).length, 1, 'and the closed exchange is no second item');
  t.match((await ask(house.adminUrl, `/api/v1/reviews/${item.review_id}/content`, { method: 'GET', token: house.token })).body, { state: 'there' });
  const metrics = await house.metrics();
  t.match(metrics, /^weir_person_waits_total\{[^}]*ended_by="verdict"[^}]*\} 1$/m);
  t.match(metrics, /^weir_waiting_for_people(?:\{[^}]*\})? 0$/m);
});

t.test('what is kept while a prompt waits, and again when it has closed, is read once, verifies, and is erased whole', async (t) => {
  const house = await open(t, holding('block'));
  const answer = house.send('have you seen an Egret?');
  const item = await waiting(house);
  await house.decide(item.review_id, 'allow');
  t.equal((await answer).status, 200);
  await until(async () => (await house.entries()).length === 1, 'the entry');
  const content = (): Promise<{ readonly body: any }> => ask(house.adminUrl, `/api/v1/reviews/${item.review_id}/content`, { method: 'GET', token: house.token });
  t.match((await content()).body, { state: 'there', texts: { texts: [{ text: 'have you seen an Egret?' }], cut: 0 } });
  t.equal((await content()).body.texts.texts.length, 1);
  const check = () => checkContent(join(house.dir, 'data/audit'), join(house.dir, 'data/content'));
  t.match((await house.entries())[0].content, { input: /^[0-9a-f]{64}$/, others: [{ input: /^[0-9a-f]{64}$/ }] }, 'both stand in the entry');
  t.match(await check(), { sound: 3, erased: 0, missing: 0, altered: 0 }, 'the prompt twice, the answer once');
  await ask(house.adminUrl, '/api/v1/tenants/default/erasures', { method: 'POST', token: house.token, body: { request_id: item.request_id } });
  t.same((await content()).body, { state: 'erased' });
  t.match(await check(), { sound: 0, erased: 3, missing: 0, altered: 0 });
});

for (const resolution of ['block', 'escalate_legal']) {
  t.test(`${resolution} answers in the dialect of the caller`, async (t) => {
    const house = await open(t, holding('allow'));
    const answer = house.send('an Egret');
    await house.decide((await waiting(house)).review_id, resolution);
    const { status, text, headers } = await answer;
    t.equal(status, 400);
    t.match(JSON.parse(text), { error: { code: 'content_filter', type: 'invalid_request_error' } });
    t.equal(headers.get('x-should-retry'), 'false');
    t.notMatch(text, /Egret/);
    t.same(house.provider.prompts, []);
    await until(async () => (await house.entries()).length === 1, 'the entry');
    t.match((await house.entries())[0], { outcome: 'blocked', error_code: 'content_filter', input: { action: 'escalate', hold: { ended_by: 'verdict', resolution, action: 'block' } } });
  });
}

t.test('when nobody comes the rule’s `then` is taken, and a verdict after that lets nothing go and says so', async (t) => {
  for (const [then, status] of [['block', 400], ['allow', 200], ['warn', 200], ['redact', 200]] as const) {
    const house = await open(t, holding(then, '1s'));
    const startMs = performance.now();
    const answer = await house.send('an Egret');
    const tookMs = performance.now() - startMs;
    t.equal(answer.status, status, then);
    t.ok(tookMs >= 990, `it has waited, ${tookMs.toFixed(0)} ms`);
    t.equal(house.provider.prompts.length, status === 200 ? 1 : 0);
    if (then === 'redact') t.match(house.provider.prompts[0], /an \[EGRET\]/);
    if (then === 'allow') t.match(house.provider.prompts[0], /an Egret/);
    const [item] = await house.items();
    t.match(item, { holding: false, hold_outcome: 'timeout', status: 'pending' });
    t.match((await house.decide(item.review_id, 'allow')).body, { resolution: 'allow', hold_outcome: 'timeout', released: false });
    await until(async () => (await house.entries()).length === 1, 'the entry');
    t.match((await house.entries())[0], { input: { hold: { ended_by: 'timeout', action: then } } });
  }
});

t.test('a client that leaves: nothing is sent, the item stays without a countdown, and the same again finds it', async (t) => {
  const house = await open(t, holding('block'));
  const leaving = new AbortController();
  const lost = house.send('an Egret', leaving.signal);
  const { review_id: id } = await waiting(house);
  leaving.abort();
  await t.rejects(lost);
  await until(async () => (await house.items())[0].hold_outcome === 'client_left', 'its end');
  t.match((await house.items())[0], { review_id: id, status: 'pending', holding: false });
  t.same(house.provider.prompts, []);
  await until(async () => (await house.entries()).length === 1, 'the entry');
  t.match((await house.entries())[0], { outcome: 'client_left', input: { hold: { ended_by: 'client_left', review_id: id } } });
  const again = house.send('an Egret');
  t.match(await waiting(house), { review_id: id });
  t.equal((await house.items()).length, 1);
  await house.decide(id, 'allow');
  t.equal((await again).status, 200);
  t.equal(house.provider.prompts.length, 1);
});

t.test('no more than may wait at once: what is beyond takes its `then`, and is looked at after', async (t) => {
  const house = await open(t, holding('block'), { config: { review: { holds_max: 1, double_blind_percent: 0 } } });
  const first = house.send('an Egret');
  const { review_id: id } = await waiting(house);
  t.equal((await house.send('another Egret')).status, 400, 'just beyond');
  await until(async () => (await house.items()).length === 2, 'the second item');
  t.match((await house.items()).map(({ hold_until: until }) => until !== null), [true, false]);
  await until(async () => (await house.entries()).length === 1, 'the entry');
  t.match((await house.entries())[0], { input: { hold: { ended_by: 'too_many', action: 'block' }, degraded: [] } });
  await house.decide(id, 'allow');
  t.equal((await first).status, 200, 'just within');
});
t.test('an answer waits as well', async (t) => {
  const house = await open(t, holding('block'), { answer: 'a Heron, I think' });
  const answer = house.send('what is it?');
  const item = await waiting(house);
  t.match(item, { direction: 'output', triggered_rules: ['told'] });
  t.match((await ask(house.adminUrl, `/api/v1/reviews/${item.review_id}/content`, { method: 'GET', token: house.token })).body, { state: 'there', texts: { texts: [{ text: 'a Heron, I think' }] } });
  await house.decide(item.review_id, 'allow');
  const { status, text } = await answer;
  t.equal(status, 200);
  t.match(text, /a Heron, I think/);
  await until(async () => (await house.entries()).length === 1, 'the entry');
  t.match((await house.entries())[0], { outcome: 'completed', output: { action: 'escalate', hold: { ended_by: 'verdict', action: 'allow' } } });
});

t.test('a stop lets what waits wait on for its time, and then a prompt is answered with 503, to be sent elsewhere', async (t) => {
  const house = await open(t, holding('block'), { config: { proxy: { port: 0, timeouts: { drain_ms: 700 } } } });
  const answer = house.send('an Egret');
  await waiting(house);
  const startMs = performance.now();
  const closing = house.app.close();
  const { status, text, headers } = await answer;
  t.ok(performance.now() - startMs > 600, 'it had its time');
  t.equal(status, 503);
  t.match(JSON.parse(text), { error: { code: 'draining' } });
  t.equal(headers.get('retry-after'), '1');
  await closing;
  t.same(house.provider.prompts, []);
});

t.test('a stop with an answer that waits ends as well', async (t) => {
  const house = await open(t, holding('block'), { answer: 'a Heron', config: { proxy: { port: 0, timeouts: { drain_ms: 300 } } } });
  const answer = house.send('what is it?');
  await waiting(house);
  const closing = house.app.close();
  t.equal((await answer).status, 503);
  await closing;
});

t.test('another policy meanwhile changes nothing about what waits', async (t) => {
  const house = await open(t, holding('block', '3s'));
  const answer = house.send('an Egret');
  const { review_id: id } = await waiting(house);
  t.equal((await house.api('PUT', '/acme?parent=0', 'policy: acme\nrules: []\n')).status, 201);
  t.equal((await house.send('another Egret')).status, 200, 'new requests follow it');
  t.match((await house.items()).find(({ review_id }) => review_id === id), { holding: true });
  t.equal((await answer).status, 400, 'its own `then`, at its time');
});

t.test('strict durability: the entry is there when the answer is', async (t) => {
  const house = await open(t, holding('block'), { config: { audit: { durability: 'strict' } } });
  const answer = house.send('an Egret');
  await house.decide((await waiting(house)).review_id, 'block');
  t.equal((await answer).status, 400);
  t.match(await house.entries(), [{ outcome: 'blocked', input: { hold: { ended_by: 'verdict', resolution: 'block' } } }]);
});

t.test('the screening service answers at once, and says what would wait', async (t) => {
  const house = await open(t, holding('block'));
  const screen = async (body: object): Promise<any> => (await fetch(`http://127.0.0.1:${house.port}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify(body) })).json();
  const one = await screen({ direction: 'input', content: 'an Egret' });
  t.match(one, { action: 'escalate', hold: { for_ms: 60_000, then: 'block' }, review_queue_id: /^rev_.*\.input$/ });
  await until(async () => (await house.items()).length === 1, 'the item');
  t.match(await house.items(), [{ review_id: one.review_queue_id, holding: false, hold_until: null, hold_then: null }]);
  const { decisions } = await screen({ requests: [{ direction: 'input', content: 'an Egret' }, { direction: 'input', content: 'nothing' }, { direction: 'sideways', content: 'x' }] });
  t.match(decisions, [{ action: 'escalate', review_queue_id: /^rev_/ }, { action: 'allow', review_queue_id: undefined, hold: undefined }, { error: { code: 'invalid_request' } }]);
});

t.test('critical items: one of two stops what waits, and neither sees the other', async (t) => {
  const house = await open(t, holding('allow').replaceAll('severity: low', 'severity: critical'));
  const [ana, bob] = await Promise.all(['ana', 'bob'].map((name) => tokenFor(house.adminUrl, house.token, name, ['reviewer']))) as [string, string];
  const first = house.send('an Egret');
  const { review_id: id } = await waiting(house);
  t.match((await house.decide(id, 'allow', ana)).body, { status: 'pending', holding: true, hold_outcome: null, released: null });
  t.match((await house.decide(id, 'allow', bob)).body, { status: 'resolved', released: true });
  t.equal((await first).status, 200);
  const second = house.send('another Egret');
  const { review_id: other } = await waiting(house);
  t.match((await house.decide(other, 'block', ana)).body, { status: 'pending', holding: true, hold_outcome: null }, 'she stopped it, and the other is not to know');
  t.equal((await second).status, 400);
  t.match((await house.decide(other, 'allow', bob)).body, { status: 'pending', hold_outcome: null });
});

t.test('an earlier turn that a person let go is not held again, where the policy acts on earlier turns', async (t) => {
  for (const history of ['latest', 'all']) {
    const house = await open(t, holding('block', '60s', `history: ${history}\n`));
    const talk = async (turns: readonly string[], session = 's1'): Promise<number> => {
      const messages = turns.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));
      const response = await fetch(`http://127.0.0.1:${house.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up', 'x-weir-session-id': session }, body: JSON.stringify({ model: 'm', messages }) });
      await response.arrayBuffer();
      return response.status;
    };
    const first = talk(['an Egret']);
    await house.decide((await waiting(house)).review_id, 'allow');
    t.equal(await first, 200);
    t.equal(await talk(['an Egret', 'fine', 'and then?']), 200, history);
    t.equal((await house.items()).length, 1, 'nobody was asked again');
    const fresh = talk(['an Egret', 'fine', 'another Egret']);
    await house.decide((await waiting(house)).review_id, 'block');
    t.equal(await fresh, 400, 'what is new waits');
    if (history === 'latest') continue;
    const elsewhere = talk(['an Egret', 'fine', 'and then?'], 's2');
    await house.decide((await waiting(house)).review_id, 'block');
    t.equal(await elsewhere, 400, 'and so does another session');
  }
});

t.test('on a WebSocket one event of the client waits, what follows waits behind it, and the connection goes on', async (t) => {
  const upstream = new SocketUpstream();
  const url = await upstream.listen();
  t.teardown(() => upstream.close());
  const house = await open(t, holding('block'), { config: { upstreams: { local: { url } }, proxy: { port: 0, timeouts: { socket_idle_ms: 300 } } } });
  const says = (text: string): string => JSON.stringify({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] } });
  const connected = () => openSocket(`ws://127.0.0.1:${house.port}/v1/realtime?model=gpt-realtime`, { headers: { authorization: 'Bearer sk-made-up' } });
  const client = await connected();
  client.ws.send(says('an Egret'));
  client.ws.send(says('and this'));
  const { review_id: id } = await waiting(house);
  const heldMs = Date.now();
  await until(() => Date.now() - heldMs > 600, 'longer than a connection may be idle');
  t.equal(client.closed, undefined);
  t.same(upstream.ends[0]!.frames, [], 'nothing has left');
  await house.decide(id, 'allow');
  await until(() => upstream.ends[0]!.frames.length === 2, 'both');
  t.match(upstream.ends[0]!.frames, [/an Egret/, /and this/]);
  client.ws.send(says('another Egret'));
  await until(() => client.frames.length > 0, 'the answer');
  t.match(JSON.parse(client.frames[0]!), { type: 'error', error: { code: 'content_filter' } }, 'a connection waits once; then `then` is taken');
  client.ws.close();
  await until(async () => (await house.entries()).length === 1, 'the entry');
  t.match((await house.entries())[0], { input: { hold: { review_id: id, ended_by: 'verdict', action: 'allow' } } });

  const leaving = await connected();
  leaving.ws.send(says('a third Egret'));
  const { review_id: third } = await waiting(house);
  leaving.ws.terminate();
  await until(async () => (await house.items()).some((item) => item.review_id === third && item.hold_outcome === 'client_left'), 'its end');
  t.equal(upstream.ends[1]!.frames.length, 0);
});
