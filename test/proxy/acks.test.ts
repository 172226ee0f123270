/** An upstream that waits for acknowledgements gets a connection for each request, where that helps and as long as it does. */
import t from 'tap';
import { AckWatch } from '../../src/proxy/acks.ts';
import { ProxyUnderTest } from '../helpers/proxy.ts';
import { CHAT_ANSWER, head, pause, type Script } from '../helpers/upstream.ts';

t.test('four waits in a row, and no fewer', async (t) => {
  const watch = new AckWatch();
  for (const gapMs of [40, 41, 44, 2, 40, 40, 40, 29, 71, 40, 40, 40]) {
    watch.note(gapMs, false, 0);
    t.notOk(watch.isApart, String(gapMs));
  }
  watch.note(40, true, 0);
  t.notOk(watch.isApart, 'one that went apart says nothing about the others');
  watch.note(40, false, 0);
  t.ok(watch.isApart);
  for (const gapMs of [40, 40, 40, 1, 40, 40, 40, 1]) watch.note(gapMs, true, 0);
  t.ok(watch.isApart, 'it helps');
});

t.test('where it does not help it is given up, and tried again much later', async (t) => {
  const watch = new AckWatch();
  const wait = (apart: boolean, nowMs: number): void => { for (let i = 0; i < 4; i++) watch.note(40, apart, nowMs); };
  wait(false, 0);
  wait(true, 1_000);
  t.notOk(watch.isApart);
  wait(false, 600_999);
  t.notOk(watch.isApart);
  watch.note(40, false, 601_000);
  t.ok(watch.isApart);
});

/** Writes the body so long after the head where `waits` says so of the connection's n-th request, from 1. */
function late(waits: (nth: number) => boolean): Script {
  const requests = new WeakMap<object, number>();
  const body = JSON.stringify(CHAT_ANSWER);
  return async (socket) => {
    const nth = (requests.get(socket) ?? 0) + 1;
    requests.set(socket, nth);
    socket.write(head(200, { 'content-type': 'application/json', 'content-length': String(body.length) }));
    if (waits(nth)) await pause(42);
    socket.write(body);
  };
}

for (const [name, waits, apart] of [['used connections wait', (nth: number) => nth > 1, true], ['all wait', () => true, false], ['none waits', () => false, false]] as const) {
  t.test(name, async (t) => {
    const proxy = await ProxyUnderTest.start({ script: late(waits) });
    t.teardown(() => proxy.close());
    const ask = async (): Promise<void> => {
      const response = await fetch(`http://127.0.0.1:${proxy.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }) });
      t.equal(response.status, 200);
      t.same(await response.json(), CHAT_ANSWER);
    };
    const closing = (): number => proxy.upstream.received.filter(({ headers }) => headers['connection'] === 'close').length;
    // A machine at work may be late now and then.
    for (let i = 0; i < 60 && (i < 12 || (apart && closing() < 5)); i++) await ask();
    if (apart) t.ok(closing() >= 5, 'each request has its own connection in the end');
    else t.ok(closing() <= 4 * 2, 'connections are used again');
  });
}
