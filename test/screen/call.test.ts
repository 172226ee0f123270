/**
 * One classifier's calls: whatever it does is an answer or an unknown by the deadline; places, the line before them, the
 * breaker and the second attempt. Deadlines under test are short, those that only must not pass are long.
 */
import t from 'tap';
import { CHANNELS, type BreakerChanged, type HealthChanged } from '../../src/contract/channels.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import { LABEL_CHARS_MAX, RESULTS_MAX, SPANS_MAX } from '../../src/screen/answer.ts';
import { ClassifierCalls, WAITING_PER_CALL, type CallSettings } from '../../src/screen/call.ts';
import { calls, classifierOf, deferred, requestOf, said, scored, until } from '../helpers/classifiers.ts';

const LONG_MS = 60_000;

function doorOf(classify: (...args: never[]) => unknown, settings: CallSettings = {}, more: Partial<Classifier> = {}, clock?: () => number): ClassifierCalls {
  return new ClassifierCalls(classifierOf('c', classify as never, more), settings, clock);
}

async function ask(door: ClassifierCalls, deadlineMs = LONG_MS, signal?: AbortSignal): Promise<unknown> {
  const results = await door.ask(requestOf('some text'), { deadlineAtMs: performance.now() + deadlineMs, signal });
  return said(results)[0];
}

const unhandled: unknown[] = [];
process.on('unhandledRejection', (reason) => void unhandled.push(reason));

const answers: readonly (readonly [name: string, answer: unknown])[] = [
  ['nothing', undefined], ['null', null], ['a number', 7], ['text', '[]'], ['an object', {}], ['no results but null', [null]],
  ['NaN', [scored('c', NaN)]], ['1.7', [scored('c', 1.7)]], ['-0.1', [scored('c', -0.1)]], ['Infinity', [scored('c', Infinity)]], ['a score as text', [{ ...scored('c', 0.5), score: '0.5' }]],
  ['no score', [{ ...scored('c', 0.5), score: undefined }]], ['another category', [scored('c', 0.5, { category: 'other' })]], ['another classifier', [scored('d', 0.5)]],
  ['a span that ends too late', [scored('c', 0.5, { spans: [{ start: 0, end: 10 }] })]], ['an empty span', [scored('c', 0.5, { spans: [{ start: 3, end: 3 }] })]],
  ['a backward span', [scored('c', 0.5, { spans: [{ start: 3, end: 2 }] })]], ['half a character', [scored('c', 0.5, { spans: [{ start: 0.5, end: 2 }] })]], ['a negative span', [scored('c', 0.5, { spans: [{ start: -1, end: 2 }] })]],
  ['a span that is none', [scored('c', 0.5, { spans: [null] as never })]], ['no spans', [scored('c', 0.5, { spans: undefined as never })]],
  ['a long label', [scored('c', 0.5, { label: 'x'.repeat(LABEL_CHARS_MAX + 1) })]], ['no label', [scored('c', 0.5, { label: '' })]], ['a label with a line end', [scored('c', 0.5, { label: 'A\nB' })]], ['a label with brackets', [scored('c', 0.5, { label: 'A]' })]],
  ['the same twice', [scored('c', 0.5), scored('c', 0.5)]], ['known and unknown', [scored('c', 0.5), { classifier_id: 'c', category: 'toxic', unknown: true, reason: 'error', latency_ms: 0 }]],
  ['a reason of its own', [{ classifier_id: 'c', category: 'toxic', unknown: true, reason: 'tired', latency_ms: 0 }]], ['unknown of a kind', [{ ...scored('c', 0.5), unknown: 'yes' }]],
  ['a list that is too long', Array.from({ length: RESULTS_MAX + 1 }, (_, i) => scored('c', i / 2_000))],
  ['too many spans', [scored('c', 0.5, { spans: Array.from({ length: SPANS_MAX + 1 }, () => ({ start: 0, end: 1 })) })]],
  ['a getter that throws', [{ ...scored('c', 0.5), get score(): number { throw new Error('no'); } }]],
  ['a list that throws', new Proxy([], { get: () => { throw new Error('no'); } })],
];

t.test('what is no answer is unknown', async (t) => {
  for (const [name, answer] of answers) {
    t.equal(await ask(doorOf(() => answer)), 'error', name);
    t.equal(await ask(doorOf(async () => answer)), 'error', `${name}, later`);
  }
});

t.test('what is an answer, at its limits, and nothing besides it', async (t) => {
  const spans = Array.from({ length: SPANS_MAX }, () => ({ start: 0, end: 9 }));
  const many = Array.from({ length: RESULTS_MAX }, (_, i) => scored('c', i / 2_000));
  for (const answer of [[], [scored('c', 0)], [scored('c', 1, { label: 'x'.repeat(LABEL_CHARS_MAX), spans })], many, [scored('c', 0.5), scored('c', 0.5, { label: 'OTHER' })]]) {
    const results = await doorOf(() => answer).ask(requestOf('some text'), { deadlineAtMs: performance.now() + LONG_MS });
    t.equal(results.length, answer.length);
    t.ok(results.every((result) => 'score' in result));
  }
  const [result] = await doorOf(() => [{ ...scored('c', 0.5), content: 'some text', latency_ms: 'soon', spans: [{ start: 0, end: 1, note: 'x' }] }]).ask(requestOf('some text'), { deadlineAtMs: performance.now() + LONG_MS });
  t.same(Object.keys(result!).sort(), ['category', 'classifier_id', 'label', 'latency_ms', 'score', 'spans']);
  t.equal(typeof result!.latency_ms, 'number', 'the latency is the host\'s own measure');
  t.same((result as { spans: unknown }).spans, [{ start: 0, end: 1 }]);
});

t.test('an answer that says why there is none is passed on', async (t) => {
  const unknown = { classifier_id: 'c', category: 'toxic', unknown: true, reason: 'unsupported', latency_ms: 0 };
  t.equal(await ask(doorOf(() => [unknown])), 'unsupported');
});

t.test('what throws, now or later, costs its own scores alone', async (t) => {
  const late = deferred<never>();
  t.equal(await ask(doorOf(() => { throw new Error('at once'); })), 'error');
  t.equal(await ask(doorOf(() => { throw { action: 'block' }; })), 'error', 'a verdict is a value, never thrown');
  t.equal(await ask(doorOf(async () => { throw undefined; })), 'error');
  t.equal(await ask(doorOf(() => ({ then() { throw new Error('no promise'); } }))), 'error');
  t.equal(await ask(doorOf(() => ({ then(resolve: (value: unknown) => void, reject: (error: unknown) => void) { resolve([scored('c', 0.25)]); resolve([scored('c', 0.75)]); reject(new Error('twice')); } }))), 0.25, 'the first call back counts');
  t.equal(await ask(doorOf(() => late.promise), 20), 'timeout');
  late.reject(new Error('after the deadline'));
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.same(unhandled, []);
});

t.test('the deadline: its own timer ends the wait, tells the classifier, and what comes later is counted and ignored', async (t) => {
  const answer = deferred<unknown>();
  const told = calls();
  t.teardown(() => told.end());
  let aborted = false;
  const door = doorOf((_request: never, signal: AbortSignal) => {
    signal.addEventListener('abort', () => { aborted = true; });
    return answer.promise;
  });
  const started = performance.now();
  t.equal(await ask(door, 60), 'timeout');
  t.ok(performance.now() - started > 50);
  t.ok(aborted);
  answer.resolve([scored('c', 0.9)]);
  await until(() => told.told.length === 2);
  t.same(told.outcomes(), ['timeout', 'late']);
  t.equal(await ask(doorOf(() => [], { deadlineMs: 60_000 }), 0), 'timeout', 'no time left: it is not asked');
});

t.test('its own deadline is within the common one', async (t) => {
  const started = performance.now();
  t.equal(await ask(doorOf(() => new Promise(() => {}), { deadlineMs: 30 })), 'timeout');
  t.ok(performance.now() - started < LONG_MS / 2);
  t.equal(await ask(doorOf(() => new Promise(() => {}), { deadlineMs: LONG_MS }), 30), 'timeout');
});

t.test('an answer after the deadline is late even where no timer could fire', async (t) => {
  const answer = [scored('c', 0.9)];
  const ways: readonly (readonly [name: string, inTime: unknown, classify: (pass: () => void) => unknown])[] = [
    ['at once', 0.9, (pass) => (pass(), answer)],
    ['in a promise', 0.9, async (pass) => (await null, pass(), answer)],
    ['an error', 'error', (pass) => { pass(); throw new Error('late'); }],
    ['a rejection', 'error', async (pass) => { await null; pass(); throw new Error('late'); }],
  ];
  for (const [name, inTime, classify] of ways) {
    for (const [tookMs, expected] of [[79, inTime], [80, inTime], [81, 'timeout']] as const) {
      let now = 1_000;
      const door = doorOf(() => classify(() => { now += tookMs; }), {}, {}, () => now);
      t.same(said(await door.ask(requestOf('x'), { deadlineAtMs: 1_080 })), [expected], `${name}, after ${tookMs} ms of 80`);
    }
  }
});

t.test('a client that leaves ends the wait, and says nothing about the classifier', async (t) => {
  const client = new AbortController();
  const door = doorOf(() => new Promise(() => {}), { breaker: { failures: 1, openMs: LONG_MS }, concurrency: 1 });
  const asked = [ask(door, LONG_MS, client.signal), ask(door, LONG_MS, client.signal)];
  client.abort();
  t.same(await Promise.all(asked), ['unavailable', 'unavailable'], 'the one that runs and the one that waits');
  t.equal(await ask(door, LONG_MS, client.signal), 'unavailable');
  const again = ask(door, 20);
  t.equal(await again, 'timeout', 'the breaker is closed');
});

t.test('so many at once, so many in the line, first come first served; one more is unavailable', async (t) => {
  const open: ((value: unknown) => void)[] = [];
  let most = 0;
  let running = 0;
  const door = doorOf(async () => {
    most = Math.max(most, running += 1);
    await new Promise((resolve) => open.push(resolve));
    running -= 1;
    return [scored('c', 0.5)];
  }, { concurrency: 2 });
  const order: number[] = [];
  const places = 2 + 2 * WAITING_PER_CALL;
  const asked = Array.from({ length: places }, (_, i) => ask(door).then((value) => (order.push(i), value)));
  t.equal(await ask(door), 'unavailable', 'beyond the line');
  while (open.length > 0 || order.length < places) {
    open.shift()?.(undefined);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(new Set(await Promise.all(asked)), new Set([0.5]));
  t.equal(most, 2);
  t.same(order, order.toSorted((a, b) => a - b));
});

t.test('waiting is inside the deadline, and who gives up gives up the place in the line', async (t) => {
  const first = deferred<unknown>();
  let asked = 0;
  const door = doorOf(() => ((asked += 1) === 1 ? first.promise : [scored('c', 0.5)]), { concurrency: 1 });
  const running = ask(door);
  t.equal(await ask(door, 20), 'timeout');
  const waiting = ask(door);
  first.resolve([scored('c', 0.25)]);
  t.same(await Promise.all([running, waiting]), [0.25, 0.5]);
  t.equal(asked, 2, 'the one that gave up was never put to it');
});

t.test('a place is free again however its call ended', async (t) => {
  let mode = 'throw';
  const door = doorOf(() => {
    if (mode === 'throw') throw new Error('no');
    return mode === 'hang' ? new Promise(() => {}) : [scored('c', 0.5)];
  }, { concurrency: 1, breaker: { failures: 100, openMs: 1 } });
  t.equal(await ask(door), 'error');
  mode = 'hang';
  t.equal(await ask(door, 10), 'timeout');
  mode = 'answer';
  t.equal(await ask(door), 0.5);
});

t.test('asked again once, where it does no harm and there is time', async (t) => {
  const attempts = async (settings: CallSettings, more: Partial<Classifier>, fault: () => unknown, deadlineMs = LONG_MS): Promise<readonly [unknown, number]> => {
    let count = 0;
    const door = doorOf(() => ((count += 1) === 1 ? fault() : [scored('c', 0.5)]), settings, more);
    return [await ask(door, deadlineMs), count];
  };
  const boom = (): never => { throw new Error('reset'); };
  const unavailable = () => [{ classifier_id: 'c', category: 'toxic', unknown: true, reason: 'unavailable', latency_ms: 0 }];
  t.same(await attempts({}, { idempotent: true }, boom), [0.5, 2]);
  t.same(await attempts({}, { idempotent: true }, unavailable), [0.5, 2], 'an answer that it could not be reached is a failure too');
  t.same(await attempts({}, { idempotent: true }, () => []), [undefined, 1], 'an empty answer is one');
  t.same(await attempts({}, {}, boom), ['error', 1], 'not idempotent');
  t.same(await attempts({ retry: false }, { idempotent: true }, boom), ['error', 1], 'not wanted');
  t.same(await attempts({}, { idempotent: true }, () => new Promise(() => {}), 20), ['timeout', 1], 'not after a timeout');
  let now = 0;
  let count = 0;
  const slow = doorOf(() => { count += 1; now += 50; throw new Error('slow'); }, {}, { idempotent: true }, () => now);
  t.same(said(await slow.ask(requestOf('x'), { deadlineAtMs: 80 })), ['error']);
  t.equal(count, 1, 'what failed slowly would not be done in time');
});

t.test('after so many failures it is left alone, then one text tries it', async (t) => {
  let now = 0;
  let works = false;
  let asked = 0;
  const gate = deferred<unknown>();
  const door = doorOf(() => {
    asked += 1;
    if (!works) throw new Error('down');
    return gate.promise;
  }, { breaker: { failures: 3, openMs: 1_000 } }, { idempotent: true }, () => now);
  const put = async (): Promise<unknown> => said(await door.ask(requestOf('x'), { deadlineAtMs: now + LONG_MS }))[0];
  const states: string[] = [];
  const health: boolean[] = [];
  const onBreaker = (message: unknown): void => void states.push((message as BreakerChanged).state);
  const onHealth = (message: unknown): void => void health.push((message as HealthChanged).healthy);
  CHANNELS.breakerChanged.subscribe(onBreaker);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => (CHANNELS.breakerChanged.unsubscribe(onBreaker), CHANNELS.healthChanged.unsubscribe(onHealth)));

  t.same([await put(), await put(), await put(), await put()], ['error', 'error', 'error', 'unavailable']);
  t.equal(asked, 6, 'each failure was two attempts, and the fourth was not made');
  now = 1_000;
  t.equal(await put(), 'error');
  t.equal(asked, 7, 'a probe is one attempt');
  t.equal(await put(), 'unavailable');
  now = 2_000;
  works = true;
  const probe = put();
  t.equal(await put(), 'unavailable', 'one probe at a time');
  gate.resolve([scored('c', 0.5)]);
  t.equal(await probe, 0.5);
  t.equal(await put(), 0.5);
  t.same(states, ['open', 'half_open', 'open', 'half_open', 'closed']);
  t.same(health, [false, true], 'a bad spell is told once, and its end');
});

t.test('a classifier that hangs opens the breaker too', async (t) => {
  const door = doorOf(() => new Promise(() => {}), { breaker: { failures: 2, openMs: LONG_MS } });
  t.same([await ask(door, 10), await ask(door, 10), await ask(door, 10)], ['timeout', 'timeout', 'unavailable']);
});

t.test('a timeout after less than half of the usual time is not held against it', async (t) => {
  const door = (settings: CallSettings = {}): ClassifierCalls => doorOf(() => new Promise(() => {}), { ...settings, breaker: { failures: 1, openMs: LONG_MS } });
  const left = async (one: ClassifierCalls, leftMs: number, usualMs: number): Promise<boolean> => {
    await one.ask(requestOf('x'), { deadlineAtMs: performance.now() + leftMs, usualMs });
    return said(await one.ask(requestOf('x'), { deadlineAtMs: performance.now() + 1, usualMs: LONG_MS }))[0] === 'timeout';
  };
  t.ok(await left(door(), 20, LONG_MS), 'it came late to it');
  t.notOk(await left(door(), 40, 40), 'it had its time');
  t.notOk(await left(door({ deadlineMs: 20 }), 40, LONG_MS), 'it had its own time');
});

t.test('nothing was left unhandled', async (t) => t.same(unhandled, []));
