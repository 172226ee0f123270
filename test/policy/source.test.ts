/**
 * Which stored revision is held and when it is asked for again: by example, and as a model in which answers and
 * messages arrive in any order. And the seal of what others could have written.
 */
import fc from 'fast-check';
import t from 'tap';
import type { PolicyRevision } from '../../src/contract/policy.ts';
import { PolicySeal, sourceHash } from '../../src/policy/seal.ts';
import { ABSENT_MS, FRESH_MS, pinnedNumber, policyKey, policyOfKey, PolicySource, RETRY_MS, RETRY_SOON_MS, SPREAD_MS, type PolicyReply } from '../../src/policy/source.ts';
import { runs, seed } from '../helpers/runs.ts';

function revision(number: number, policy = 'acme', sha256 = `sha ${number}`): PolicyRevision {
  return { policy, number, parent: number - 1, source: 'text', sha256, author: 'admin', comment: '', created_at: '' };
}

const found = (number: number, origin: 'redis' | 'store' = 'redis', sha256?: string): PolicyReply => ({ kind: 'found', revision: revision(number, 'acme', sha256), origin });

/** A source that follows `acme`, whose random numbers are all one half. */
function following(key = 'acme') {
  const source = new PolicySource(() => 0.5);
  source.follow([key]);
  const ask = (reply: PolicyReply, nowMs: number): boolean => source.answer(source.due(nowMs)[0]!, reply, nowMs);
  return { source, ask, state: () => source.states()[0]! };
}

t.test('asked at once, once, and again when it is no longer fresh', async (t) => {
  const { source, ask, state } = following();
  const [question] = source.due(0);
  t.same(question, { key: 'acme', leastNumber: 0, generation: 0 });
  t.same(source.due(0), [], 'one question at a time');
  t.ok(source.answer(question!, found(1), 5));
  t.match(state(), { revision: { number: 1 }, origin: 'redis', confirmedMs: 5, last: 'found' });
  t.notOk(source.answer(question!, found(2), 5), 'a second reply to it is none');
  t.same([source.due(5 + FRESH_MS - 1), source.due(5 + FRESH_MS).length], [[], 1]);
  source.follow(['acme']);
  t.equal(state().revision?.number, 1, 'followed already');
  source.keep(new Set());
  t.notOk(source.answer({ ...question! }, found(3), 9), 'followed no more');
  t.notOk(ask === undefined);
});

t.test('no answer, and an answer that there is none', async (t) => {
  for (const [kind, pauseMs] of [['failed', RETRY_SOON_MS], ['absent', ABSENT_MS], ['none', ABSENT_MS]] as const) {
    const { source, ask, state } = following();
    t.notOk(ask({ kind }, 0));
    t.match(state(), { revision: undefined, last: kind });
    t.same([source.due(pauseMs - 1).length, source.due(pauseMs).length], [0, 1], kind);
    const held = following();
    held.ask(found(3), 0);
    held.source.suspectAll(100);
    t.notOk(held.ask({ kind }, 100 + SPREAD_MS));
    t.match(held.state(), { revision: { number: 3 }, confirmedMs: 0, last: 'failed' }, 'what is held stays, unconfirmed');
  }
});

t.test('never an older one, nor two of one number', async (t) => {
  const { source, ask, state } = following();
  t.ok(ask(found(3), 0));
  const later = (reply: PolicyReply, nowMs: number): boolean => (source.suspectAll(nowMs), ask(reply, nowMs + SPREAD_MS));
  t.notOk(later(found(2), 1000));
  t.notOk(later(found(2, 'store'), 3000));
  t.notOk(later(found(3, 'redis', 'another text'), 5000));
  t.match(state(), { revision: { number: 3, sha256: 'sha 3' }, confirmedMs: 0, last: 'failed' });
  t.notOk(later(found(3, 'store'), 7000), 'the same is no change');
  t.match(state(), { origin: 'store', confirmedMs: 7000 + SPREAD_MS, last: 'found' });
});

t.test('what was told of is waited for, unless the store says otherwise', async (t) => {
  const { source, ask, state } = following();
  ask(found(3), 0);
  source.invalidate('acme', 5, 100);
  source.invalidate('acme', 4, 100);
  source.invalidate('stranger', 9, 100);
  t.notOk(ask(found(4), 100), 'Redis is behind');
  t.equal(state().revision?.number, 3);
  t.ok(ask(found(4, 'store'), 100 + RETRY_MS));
  t.equal(state().revision?.number, 4);
  t.same(source.due(100 + RETRY_MS), []);
});

t.test('when somebody answers again, those without an answer are asked sooner, and at once what is known to be old', async (t) => {
  const { source, ask } = following();
  ask(found(3), 0);
  source.suspectAll(0);
  source.retry(0);
  t.same(source.due(SPREAD_MS / 2 - 1), [], 'who was answered waits for its time');
  ask({ kind: 'failed' }, SPREAD_MS);
  source.retry(SPREAD_MS);
  t.same([source.due(SPREAD_MS * 1.5 - 1).length, source.due(SPREAD_MS * 1.5).length], [0, 1]);
  source.answer({ key: 'acme', leastNumber: 3, generation: 1 }, { kind: 'failed' }, SPREAD_MS * 2);
  source.invalidate('acme', 4, SPREAD_MS * 2);
  t.notOk(ask({ kind: 'failed' }, SPREAD_MS * 2));
  source.retry(SPREAD_MS * 2);
  t.equal(source.due(SPREAD_MS * 2).length, 1);

  const fresh = new PolicySource(() => 0.5);
  fresh.follow(['a']);
  fresh.answer(fresh.due(0)[0]!, { kind: 'failed' }, 0);
  fresh.retry(0);
  t.equal(fresh.due(RETRY_SOON_MS).length, 1, 'never later than it was due');
});

t.test('a reply that was asked for before the policy changed is not taken', async (t) => {
  const { source, state } = following();
  const [before] = source.due(0);
  source.invalidate('acme', 1, 1);
  t.notOk(source.answer(before!, found(1), 2), 'it may be from before');
  t.equal(state().revision, undefined);
  const [after] = source.due(2);
  t.ok(source.answer(after!, found(1), 3));
});

t.test('copies of an earlier run', async (t) => {
  const { source, ask, state } = following();
  source.restore('stranger', revision(1), 0);
  source.restore('acme', revision(2), -500);
  t.match(state(), { revision: { number: 2 }, origin: 'disk', confirmedMs: -500, last: undefined });
  t.equal(source.confirmedMs('acme'), -500);
  t.ok(ask(found(3), 0));
  source.restore('acme', revision(9), 0);
  t.equal(state().revision?.number, 3, 'too late');
  t.equal(source.confirmedMs('stranger'), undefined);
});

t.test('one that stays at its revision is asked for until it is there', async (t) => {
  const { source, ask } = following('acme@2');
  source.suspectAll(0);
  t.ok(ask(found(2), SPREAD_MS));
  source.suspectAll(1000);
  t.same([source.due(1e12), source.confirmedMs('acme@2'), source.keys], [[], undefined, ['acme@2']]);
  t.same([policyKey('a'), policyKey('a', 7), policyOfKey('a@7'), policyOfKey('a'), pinnedNumber('a'), pinnedNumber('a@7')], ['a', 'a@7', 'a', 'a', undefined, 7]);
});

t.test('a thousand that are due at once are asked once each, and not at one time again', async (t) => {
  let state = 1;
  const source = new PolicySource(() => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647);
  const keys = Array.from({ length: 1000 }, (_, i) => `p${i}`);
  source.follow(keys);
  const questions = source.due(0);
  t.same([new Set(questions.map(({ key }) => key)).size, questions.length, source.due(0).length], [1000, 1000, 0]);
  for (const question of questions) source.answer(question, { kind: 'found', revision: revision(1, question.key), origin: 'redis' }, 0);
  const perSecond = Array.from({ length: 13 }, (_, i) => source.due(54_000 + i * 1000).length);
  t.equal(perSecond.reduce((sum, one) => sum + one, 0), 1000, 'all within a tenth of the time');
  t.ok(Math.max(...perSecond) < 250, `spread: ${perSecond.join(' ')}`);
  source.suspectAll(70_000);
});

t.test('model: whatever is late and whatever comes in whichever order, nothing stale is taken for new, and the newest is reached', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('change' as const), told: fc.boolean() }) },
    { weight: 4, arbitrary: fc.constant({ do: 'ask' as const }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('reply' as const), pick: fc.nat(5), fails: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('hear' as const), pick: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.constant({ do: 'suspect' as const }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3000) }) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { source, state } = following();
    let nowMs = 0;
    let newest = 1;
    /** The highest number that a message has told of. */
    let heard = 0;
    /** What the server read when it was asked; on its way back. */
    const replies: { question: ReturnType<PolicySource['due']>[number]; number: number }[] = [];
    const messages: number[] = [];
    const check = (): void => {
      const { revision: held, confirmedMs, last } = state();
      if (last === 'found' && confirmedMs === nowMs && held!.number < heard) throw new Error(`${held!.number} was taken for new after ${heard} was told of`);
      if ((held?.number ?? 0) > newest) throw new Error('held what there is not');
    };
    let before = 0;
    for (const one of steps) {
      nowMs++; // so that what was confirmed now was confirmed by this step
      if (one.do === 'change') { newest++; if (one.told) messages.push(newest); }
      else if (one.do === 'ask') for (const question of source.due(nowMs)) replies.push({ question, number: newest });
      else if (one.do === 'wait') nowMs += one.ms;
      else if (one.do === 'suspect') source.suspectAll(nowMs);
      else if (one.do === 'hear' && messages.length > 0) {
        const [number] = messages.splice(one.pick % messages.length, 1);
        heard = Math.max(heard, number!);
        source.invalidate('acme', number!, nowMs);
      } else if (one.do === 'reply' && replies.length > 0) {
        const [{ question, number }] = replies.splice(one.pick % replies.length, 1) as typeof replies;
        source.answer(question!, one.fails ? { kind: 'failed' } : found(number!), nowMs);
        check();
      }
      const held = state().revision?.number ?? 0;
      if (held < before) throw new Error('it went back');
      before = held;
    }
    for (const { question, number } of replies) source.answer(question, found(number), nowMs);
    source.invalidate('acme', newest, nowMs);
    for (const question of source.due(nowMs + RETRY_MS)) source.answer(question, found(newest), nowMs + RETRY_MS);
    return heard > newest || state().revision?.number === newest;
  }), { numRuns: runs(2000), seed });
});

t.test('a seal opens for its policy and its key alone, and not when a character changed', async (t) => {
  const seal = new PolicySeal(Buffer.alloc(32, 1));
  const sealed = { revision: { ...revision(7), source: 'ünï 🙂' }, confirmedMs: 5 };
  const text = seal.close(sealed);
  t.same(seal.open(text, 'acme'), sealed);
  t.same([seal.open(text, 'other'), seal.open('', 'acme'), seal.open(`${text} `, 'acme'), new PolicySeal(Buffer.alloc(32, 2)).open(text, 'acme')], [undefined, undefined, undefined, undefined]);
  fc.assert(fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => text[at] === character || seal.open(text.slice(0, at) + character + text.slice(at + 1), 'acme') === undefined), { numRuns: runs(300), seed });
  t.equal(sourceHash(null), sourceHash(''));
  t.match(sourceHash('x'), /^[0-9a-f]{64}$/);
});
