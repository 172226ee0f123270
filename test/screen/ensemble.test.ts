/**
 * All classifiers of a text together: started at once, one deadline, each one's fault its own; who is not asked and why;
 * state over a reload; and texts that come in windows.
 */
import t from 'tap';
import type { Classifier, ClassifierFeed, Readings } from '../../src/contract/classifier.ts';
import type { ScreeningRequest } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { Ensemble, type EnsembleOptions } from '../../src/screen/ensemble.ts';
import { DelayGauge, LoopWatch } from '../../src/screen/overload.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { VerdictMemory } from '../../src/screen/cache.ts';
import { calls, classifierOf, deferred, requestOf, said, scored, until } from '../helpers/classifiers.ts';

function ensembleOf(classifiers: readonly Classifier[], more: Partial<EnsembleOptions> = {}): Ensemble {
  return new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), deadlineMs: 60_000, ...more });
}

t.test('all are asked before any has answered, and answer in their own order', async (t) => {
  const gates = [deferred<unknown>(), deferred<unknown>(), deferred<unknown>()];
  const asked: number[] = [];
  const ensemble = ensembleOf(gates.map((gate, i) => classifierOf(`c${i}`, () => (asked.push(i), gate.promise))));
  const answer = ensemble.ask(requestOf('x'));
  t.same(asked, [0, 1, 2]);
  for (const i of [2, 0, 1]) gates[i]!.resolve([scored(`c${i}`, i / 10)]);
  t.same((await answer).map((result) => [result.classifier_id, 'score' in result && result.score]), [['c0', 0], ['c1', 0.1], ['c2', 0.2]]);
});

t.test('the slow are asked before the fast, so that they work meanwhile', async (t) => {
  const asked: string[] = [];
  const ensemble = ensembleOf(['fast', 'slow'].map((cost) => classifierOf(cost, () => (asked.push(cost), [scored(cost, 0.5)]), { cost: cost as 'fast' | 'slow' })));
  t.same((await ensemble.ask(requestOf('x'))).map((result) => result.classifier_id), ['fast', 'slow']);
  t.same(asked, ['slow', 'fast']);
});

t.test('views and language are made once for all who are asked, and not where nobody wants them', async (t) => {
  const given: Readings[] = [];
  const content = 'w\u200bri\u200bte to me';
  const ensemble = ensembleOf(['a', 'b'].map((id) => classifierOf(id, (_request, _signal, readings) => (given.push(readings), [scored(id, 0.5)]), { contentTypes: ['text', 'image'] })));
  await ensemble.ask(requestOf(content));
  t.equal(given.length, 2);
  t.equal(given[0]!.views(), given[1]!.views(), 'the same list, not one like it');
  t.ok(given[0]!.views().some(({ text }) => text === 'write to me'));
  t.equal(given[0]!.language(), given[1]!.language());
  await ensemble.ask({ ...requestOf('aGVsbG8gd29ybGQ='), content_type: 'image' });
  t.same(given.slice(2).map((readings) => [readings.views(), readings.language()]), [[[], { tag: 'und', confidence: 0 }], [[], { tag: 'und', confidence: 0 }]]);
});

t.test('one deadline for all; each fault costs its own scores alone', async (t) => {
  const told = calls();
  t.teardown(() => told.end());
  const ensemble = ensembleOf([
    classifierOf('well', () => [scored('well', 0.25)]),
    classifierOf('hangs', () => new Promise(() => {}), { categories: [{ id: 'toxic', definition: '' }, { id: 'other', definition: '' }] }),
    classifierOf('throws', () => { throw new Error('no'); }),
    classifierOf('lies', async () => [scored('lies', 1.7)]),
  ], { deadlineMs: 1_000 });
  const started = performance.now();
  const results = await ensemble.ask(requestOf('x'));
  t.ok(performance.now() - started < 20_000);
  t.same(said(results), [0.25, 'timeout', 'timeout', 'error', 'error'], 'one unknown for each category');
  t.same(new Map(told.told.map(({ classifier, outcome }) => [classifier, outcome])), new Map([['well', 'ok'], ['throws', 'error'], ['lies', 'error'], ['hangs', 'timeout']]));
  t.ok(told.told.every(({ requestId, startMs, endMs }) => requestId === 'r' && endMs >= startMs));
  t.ok(results.every(({ latency_ms: latency }) => latency >= 0));
});

t.test('never later than the deadline and a little, with one that is frozen', async (t) => {
  const ensemble = ensembleOf([classifierOf('well', () => [scored('well', 0.25)]), classifierOf('frozen', () => new Promise(() => {}))], { deadlineMs: 400, classifiers: [
    { classifier: classifierOf('well', () => [scored('well', 0.25)]) },
    { classifier: classifierOf('frozen', () => new Promise(() => {})), settings: { breaker: { failures: 100_000, openMs: 1 } } },
  ] });
  const times: number[] = [];
  for (let i = 0; i < 9; i += 1) {
    const started = performance.now();
    t.same(said(await ensemble.ask(requestOf('x'))), [0.25, 'timeout']);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  t.comment(`median ${times[4]!.toFixed(1)} ms, worst ${times[8]!.toFixed(1)} ms of 400`);
  t.ok(times[4]! < 2_000);
});

t.test('who is not asked: another direction, another type, another language, whoever the caller leaves out', async (t) => {
  const asked: string[] = [];
  const classifier = (id: string, more: Partial<Classifier>): Classifier => classifierOf(id, () => (asked.push(id), [scored(id, 0.5)]), more);
  const ensemble = ensembleOf([classifier('in', { directions: ['input'] }), classifier('out', { directions: ['output'] }), classifier('eye', { contentTypes: ['image'] }), classifier('english', { languages: ['en-GB'] }), classifier('german', { languages: ['de', 'fr'] })]);
  const english = 'The quick brown fox jumps over the lazy dog, and then it was not there when we came to look for it.';
  t.same(said(await ensemble.ask(requestOf(english))), [0.5, 'unsupported', 'unsupported', 0.5, 'unsupported']);
  t.same(asked.splice(0), ['in', 'english']);
  t.same(said(await ensemble.ask(requestOf('zzz', { direction: 'output' }))), ['unsupported', 0.5, 'unsupported', 0.5, 0.5], 'a language that cannot be told excludes nobody');
  asked.splice(0);
  t.same(said(await ensemble.ask(requestOf(english), { only: ({ id }) => id === 'in' })), [0.5]);
  t.same(asked, ['in']);
  t.same(said(await ensemble.ask(requestOf('QUJD', { content_type: 'image' }), { only: ({ id }) => id === 'eye' })), [0.5]);
});

t.test('patterns are not asked', async (t) => {
  const { classify: _, ...patterns } = classifierOf('p', () => []);
  t.same(ensembleOf([patterns, classifierOf('c', () => [])]).classifiers.map(({ id }) => id), ['c']);
});

t.test('overloaded: the slow tier is unavailable, at once and counted; the fast tier is asked', async (t) => {
  const told = calls();
  t.teardown(() => told.end());
  let overloaded = true;
  let asked = 0;
  const ensemble = ensembleOf([classifierOf('slow', () => (asked += 1, [scored('slow', 0.5)])), classifierOf('fast', () => [scored('fast', 0.5)], { cost: 'fast' })], { overloaded: () => overloaded });
  t.same(said(await ensemble.ask(requestOf('x'))), ['unavailable', 0.5]);
  t.equal(asked, 0);
  t.same(told.outcomes('slow'), ['unavailable']);
  overloaded = false;
  t.same(said(await ensemble.ask(requestOf('x'))), [0.5, 0.5]);
});

t.test('a row of late ticks is overload, a few are not; it ends at half', async (t) => {
  const gauge = new DelayGauge(100);
  for (const lateMs of [100_000, 100_000, 100_000, 100_000]) t.notOk(gauge.tick(lateMs), 'a few turns, however long');
  for (let i = 0; i < 50; i += 1) gauge.tick(0);
  let ticks = 1;
  while (!gauge.tick(150)) ticks += 1;
  t.ok(gauge.overloaded && ticks > 4 && ticks < 20, `after ${ticks} ticks of 150 ms`);
  for (let i = 0; i < 50; i += 1) t.notOk(gauge.tick(60), 'not yet: between half and the limit');
  for (let i = 0; i < 50; i += 1) gauge.tick(40);
  t.notOk(gauge.overloaded);
  const at = new DelayGauge(100);
  for (let i = 0; i < 500; i += 1) at.tick(100);
  t.notOk(at.overloaded, 'at the limit');
  for (let i = 0; i < 500; i += 1) at.tick(101);
  t.ok(at.overloaded, 'above it');
});

t.test('the event loop of this process is watched', async (t) => {
  const watch = new LoopWatch(20);
  t.teardown(() => watch.close());
  t.notOk(watch.overloaded);
  const block = setInterval(() => {
    const end = performance.now() + 150;
    while (performance.now() < end);
  }, 1);
  await until(() => watch.overloaded);
  clearInterval(block);
  await until(() => !watch.overloaded);
  t.pass('and it is over when it is over');
});

t.test('over a reload, places and breaker stay with a classifier that stays', async (t) => {
  let works = false;
  const kept = classifierOf('kept', () => {
    if (!works) throw new Error('down');
    return [scored('kept', 0.5)];
  });
  const settings = { breaker: { failures: 1, openMs: 60_000 } };
  const before = new Ensemble({ classifiers: [{ classifier: kept, settings }] });
  t.same(said(await before.ask(requestOf('x'))), ['error']);
  works = true;
  const after = new Ensemble({ classifiers: [{ classifier: kept, settings }, { classifier: { ...kept, id: 'new', classify: () => [scored('new', 0.5)] }, settings }], former: before });
  t.same(said(await after.ask(requestOf('x'))), ['unavailable', 0.5], 'its breaker is still open');
  t.same(said(await new Ensemble({ classifiers: [{ classifier: kept, settings }] }).ask(requestOf('x'))), [0.5]);
});

t.test('what was said is remembered: by tenant, version, configuration, direction and text, and context where it matters', async (t) => {
  const told = calls();
  t.teardown(() => told.end());
  let asked = 0;
  let answer: unknown = [scored('c', 0.75, { spans: [{ start: 0, end: 1 }] })];
  const classifier = classifierOf('c', () => (asked += 1, answer));
  const memory = new VerdictMemory({ key: Buffer.alloc(32, 1) });
  const of = (more: Partial<Classifier> = {}, fingerprint?: string): Ensemble => new Ensemble({ classifiers: [{ classifier: { ...classifier, ...more }, fingerprint }], memory });
  const first = await of().ask(requestOf('some text'));
  t.same((await of().ask(requestOf('some text', { request_id: 'other', created_at: 'later', context: { surface: 'kids' } }))).map((result) => ({ ...result, latency_ms: 0 })), first.map((result) => ({ ...result, latency_ms: 0 })));
  t.equal(asked, 1);
  t.same(told.outcomes(), ['ok', 'cached']);
  await of().ask(requestOf('some text', { tenant_id: 'other' }));
  await of().ask(requestOf('some text', { direction: 'output' }));
  await of().ask(requestOf('some other text'));
  await of().ask(requestOf('some text', { context: { text_before: 'before' } }));
  await of({ version: '2' }).ask(requestOf('some text'));
  await of({}, 'configured otherwise').ask(requestOf('some text'));
  t.equal(asked, 7);
  const needs = { needsContext: true };
  const about = (context: Readonly<Record<string, string>>, more: Partial<ScreeningRequest> = {}) => of(needs).ask(requestOf('some text', { context, ...more }));
  await about({ surface: 'kids' });
  await about({ surface: 'kids', request_id: 'r2', time: 'now' }, { request_id: 'r2' });
  t.equal(asked, 8);
  await about({ surface: 'work' });
  t.equal(asked, 9);
  answer = 'garbage';
  await of().ask(requestOf('unknown'));
  answer = [scored('c', 0.5)];
  t.same(said(await of().ask(requestOf('unknown'))), [0.5], 'an unknown is asked again');
  t.same(said(await of().ask(requestOf('unknown'))), [0.5]);
  t.equal(asked, 11);
});

// Windows.

/** Scores how many different words a text has, in all of its windows; `read` is what it was given. */
function wordy(read: string[], id = 'r'): Classifier {
  return classifierOf(id, () => [scored(id, 0.1)], {
    cost: 'fast',
    stream(): ClassifierFeed {
      const seen = new Set<string>();
      return {
        feed(text) {
          read.push(text);
          if (text.includes('boom')) throw new Error('boom');
          for (const word of text.split(' ')) seen.add(word);
          return [scored(id, Math.min(1, seen.size / 10))];
        },
      };
    },
  });
}

t.test('a classifier that reads a text as it grows is given each window once, and each text its own feed', async (t) => {
  const read: string[] = [];
  const ensemble = ensembleOf([wordy(read), classifierOf('c', ({ content }) => [scored('c', content.length / 100)])]);
  const [one, two] = [ensemble.open(), ensemble.open()];
  t.same(said(await one.ask(requestOf('a b c', { direction: 'output' }))), [0.3, 0.05]);
  t.same(said(await two.ask(requestOf('a', { direction: 'output' }))), [0.1, 0.01]);
  t.same(said(await one.ask(requestOf('c d', { direction: 'output' }))), [0.4, 0.03], 'what it knows of the text it keeps');
  t.same(read, ['a b c', 'a', 'c d']);
  t.same(said(await ensemble.ask(requestOf('whole'))), [0.1, 0.05], 'a text that is all there is classified');
});

t.test('a feed that missed a window is given up: the rest is classified', async (t) => {
  const read: string[] = [];
  const feed = ensembleOf([wordy(read)]).open();
  t.same(said(await feed.ask(requestOf('a b c'))), [0.3]);
  t.same(said(await feed.ask(requestOf('boom'))), ['error']);
  t.same(said(await feed.ask(requestOf('d'))), [0.1]);
  t.same(read, ['a b c', 'boom']);
});

t.test('a feed that cannot tell of a window has read it all the same', async (t) => {
  let windows = 0;
  const short: Classifier = classifierOf('s', () => [], { cost: 'fast', stream: () => ({ feed: (text) => (windows += 1, text === 'short' ? [{ classifier_id: 's', category: 'toxic', unknown: true, reason: 'unsupported', latency_ms: 0 }] : [scored('s', windows / 10)]) }) });
  const feed = ensembleOf([short]).open();
  t.same([said(await feed.ask(requestOf('short'))), said(await feed.ask(requestOf('long enough')))], [['unsupported'], [0.2]]);
});

t.test('a feed is never given a window twice', async (t) => {
  const read: string[] = [];
  await ensembleOf([{ ...wordy(read), idempotent: true }]).open().ask(requestOf('boom'));
  t.same(read, ['boom']);
});

t.test('a prompt of many texts takes a few places at a time, the newest turn first', async (t) => {
  const asked: string[] = [];
  let [running, most] = [0, 0];
  const slow = classifierOf('c', async ({ content }) => {
    asked.push(content);
    most = Math.max(most, running += 1);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return [scored('c', 0.5)];
  });
  const plan = compilePlan(requirePolicy('policy: p\nrules: [ { id: r, when: { score: c.toxic, gte: 0.9 }, action: block } ]', 'p.yaml'), [slow], { file: 'p.yaml', deadlineMs: 60_000 });
  const { segments } = await plan.screen(Array.from({ length: 100 }, (_, i) => ({ path: 'm', carrier: 'm', contentType: 'text' as const, content: `turn ${i}`, history: i < 98 })), 'input', {});
  t.ok(segments.every(({ results }) => said(results)[0] === 0.5), 'all are answered');
  t.same(asked.slice(0, 3), ['turn 98', 'turn 99', 'turn 0']);
  t.equal(most, 16);
});

t.test('the plan feeds an answer\'s windows, so that it is read once', async (t) => {
  const read: string[] = [];
  const policy = requirePolicy('policy: p\nstream: { window: 40 }\nrules: [ { id: r, direction: output, when: { score: r.toxic, gte: 0.9 }, action: block } ]', 'p.yaml');
  const { scoring } = compilePlan(policy, [wordy(read)], { file: 'p.yaml' }).forOutput({});
  const score = scoring!.open();
  await score({ start: 0, end: 3, text: 'a b', before: '' });
  await score({ start: 3, end: 6, text: ' cd', before: 'a b' });
  t.same(read, ['a b', ' cd']);
});

t.test('letters that are disguised change no language, so they excuse no classifier', async (t) => {
  const ensemble = ensembleOf([classifierOf('english', () => [scored('english', 0.5)], { languages: ['en'] })]);
  const words = 'the quick brown fox jumps over the lazy dog and then it was not there when we came to look for it';
  const lookalikes: Readonly<Record<string, string>> = { a: 'а', c: 'с', e: 'е', o: 'о', p: 'р', x: 'х', y: 'у', i: 'і', s: 'ѕ', j: 'ј', h: 'һ', d: 'ԁ' };
  const disguises = [
    [...words].map((letter) => lookalikes[letter] ?? letter).join(''),
    [...words].join('\u200b'),
    [...words].join('\u2060'),
    words.replaceAll('e', 'e\u0301\u0300'),
  ];
  for (const disguise of disguises) t.same(said(await ensemble.ask(requestOf(disguise))), [0.5]);
  t.same(said(await ensemble.ask(requestOf('Это обычное предложение на русском языке, и в нём нет ничего скрытого.'))), ['unsupported']);
  t.same(said(await ensemble.ask(requestOf('Das ist ein ganz gewöhnlicher Satz, und es ist nichts darin verborgen, was nicht da wäre.'))), ['unsupported']);
});
