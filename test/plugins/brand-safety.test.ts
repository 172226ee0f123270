/**
 * The brand-safety classifier through its public face: its options are read strictly, competitors are patterns that the
 * engine finds as whole words, texts on and off the topics, the voice of answers, and hostile texts. Measured on texts of
 * its own and, where there are rows, on harmless ones of others.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import createBrandSafety from '../../plugins/brand-safety/index.ts';
import { ALIASES_MAX, COMPETITORS_MAX, EXAMPLE_CHARS_MAX, EXAMPLES_MAX, NAME_CHARS_MAX, TOPICS_MAX } from '../../plugins/brand-safety/options.ts';
import type { ClassifierResult, Direction, ScreeningRequest } from '../../src/contract/screening.ts';
import { readRawRows } from '../../src/learn/dataset.ts';
import { compilePatterns, scanText } from '../../src/match/set.ts';
import { readingsOf } from '../../src/screen/readings.ts';

const DATA = process.env.WEIR_TEST_DATA === undefined ? undefined : join(process.env.WEIR_TEST_DATA, 'data');
const NO_ROWS = DATA !== undefined && existsSync(join(DATA, 'toxicity')) ? false : 'WEIR_TEST_DATA names no folder with rows';

function make(options: Readonly<Record<string, unknown>>) {
  return createBrandSafety({ id: 'brand', ...options });
}

function ask(options: Readonly<Record<string, unknown>>, content: string, direction: Direction = 'output'): ReadonlyMap<string, ClassifierResult> {
  const request: ScreeningRequest = { request_id: 'r', tenant_id: 'default', direction, content, content_type: 'text', created_at: '2026-01-01T00:00:00Z' };
  const results = make(options).classify!(request, new AbortController().signal, readingsOf(request)) as readonly ClassifierResult[];
  return new Map(results.map((result) => [result.category, result]));
}

function score(options: Readonly<Record<string, unknown>>, content: string, category: string): number {
  const result = ask(options, content).get(category);
  return result !== undefined && 'score' in result ? result.score : NaN;
}

const GARDEN = {
  topics: [
    { id: 'plants', examples: ['How often do I water my tomatoes?', 'Which roses grow in the shade?', 'My basil has yellow leaves', 'When do I prune an apple tree?', 'What fertiliser is good for a lawn?', 'Are these seeds organic?', 'How deep do I plant tulip bulbs?', 'Slugs eat my lettuce'] },
    { id: 'orders', examples: ['Where is my order?', 'I want to return a parcel', 'Do you ship to Norway?', 'My delivery arrived damaged', 'How do I pay by invoice?', 'Can I get a refund?', 'I forgot my account password', 'Is there a discount code?'] },
  ],
};

t.test('declares what is configured, and nothing else', async (t) => {
  t.same(make({}).categories.map(({ id }) => id), ['tone']);
  t.same(make({ competitors: ['Acme'], ...GARDEN }).categories.map(({ id }) => id), ['competitor', 'off_topic', 'tone']);
  const lone = make({ competitors: ['Acme'], tone: false });
  t.same(lone.categories.map(({ id }) => id), ['competitor']);
  t.equal(lone.classify, undefined);
  t.equal(make({}).patterns, undefined);
});

t.test('options are refused with their place', async (t) => {
  const wrong: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ competitor: [] }, /^competitor: unknown option; known are competitors, topics, tone/],
    [{ competitors: 'Acme' }, /^competitors: expected a list, got text/],
    [{ competitors: [5] }, /^competitors\[0\]: expected a name or \{ name, aliases \}, got a number/],
    [{ competitors: [{ name: 'Acme', alias: [] }] }, /^competitors\[0\]\.alias: unknown option/],
    [{ competitors: [{ aliases: ['x'] }] }, /^competitors\[0\]\.aliases\[0\]: expected a name of two characters/],
    [{ competitors: [{}] }, /^competitors\[0\]\.name: expected a name, got nothing/],
    [{ competitors: ['--'] }, /^competitors\[0\]: expected a name of two characters or more/],
    [{ competitors: ['a'.repeat(NAME_CHARS_MAX + 1)] }, /at most 100 characters, this one 101/],
    [{ competitors: Array.from({ length: COMPETITORS_MAX + 1 }, () => 'Acme') }, /^competitors: at most 1000 entries, got 1001/],
    [{ competitors: [{ name: 'Acme', aliases: Array.from({ length: ALIASES_MAX + 1 }, () => 'Acme') }] }, /^competitors\[0\]\.aliases: at most 50/],
    [{ topics: ['garden'] }, /^topics\[0\]: expected \{ id, examples \}, got text/],
    [{ topics: [{ id: 'a b', examples: ['x'] }] }, /^topics\[0\]\.id: expected text of up to 64/],
    [{ topics: [{ id: 'a' }] }, /^topics\[0\]\.examples: missing/],
    [{ topics: [{ id: 'a', examples: [7] }] }, /^topics\[0\]\.examples\[0\]: expected text, got a number/],
    [{ topics: [{ id: 'a', examples: ['x'.repeat(EXAMPLE_CHARS_MAX + 1)] }] }, /at most 4000 characters, this one 4001/],
    [{ topics: [{ id: 'a', examples: Array.from({ length: EXAMPLES_MAX + 1 }, () => 'x') }] }, /at most 500 entries/],
    [{ topics: Array.from({ length: TOPICS_MAX + 1 }, (_, at) => ({ id: `t${at}`, examples: ['x'] })) }, /^topics: at most 100/],
    [{ topics: [{ id: 'a', examples: ['x'] }, { id: 'a', examples: ['y'] }] }, /^topics: a stands there twice/],
    [{ tone: 'yes' }, /^tone: expected true or false, got text/],
    [{ tone: false }, /nothing to judge/],
  ];
  for (const [options, message] of wrong) t.throws(() => make(options), { message }, JSON.stringify(options).slice(0, 60));
  t.doesNotThrow(() => make({ competitors: ['a'.repeat(NAME_CHARS_MAX)], topics: [{ id: 'a', examples: ['x'.repeat(EXAMPLE_CHARS_MAX)] }] }));
});

t.test('competitors are found as whole words, by the engine', async (t) => {
  const { patterns = [] } = make({ competitors: [{ name: 'Acme Tools', aliases: ['AcmeTools', 'ACT', 'C++ Corp.', 'Ünal & Söhne'] }, 'Borealis'] });
  const set = compilePatterns(patterns.map((definition) => ({ classifier: 'brand', definition, holds: true })));
  const found = (text: string): readonly string[] => scanText(set, text).map(({ start, end }) => text.slice(start, end));
  t.same(found('Buy it from acme  tools or from ACME-TOOLS.'), ['acme  tools', 'ACME-TOOLS']);
  t.same(found('acmetools is cheaper, ACT is too; we act at once, in fact'), ['acmetools', 'ACT']);
  t.same(found('Ask C++ Corp. or Ünal & Söhne; borealis’s offer, not boreali or borealistic'), ['C++ Corp.', 'Ünal & Söhne', 'borealis']);
});

t.test('texts on a topic score below those on none', async (t) => {
  const on = ['How much water does a tomato plant need?', 'My roses have brown leaves, what now?', 'Which seeds can I plant in April?', 'The parcel never arrived', 'I would like my money back for a damaged delivery', 'Do you deliver to Denmark and how do I pay?', 'How do I get rid of slugs in the lawn?', 'What is the best fertilizer for apple trees?', 'Can I change the password of my account?', 'Are tulips poisonous for cats?', 'Pruning lavender in autumn or spring?', 'Has order 4711 been shipped yet?'];
  const off = ['Who won the football world cup in 1998?', 'Write a python script that sorts a list of numbers', 'Is the stock market going to crash?', 'Tell me a joke about a priest and a rabbit', 'What do you think of the prime minister?', 'Solve the quadratic equation for x', 'Recommend a horror movie on a streaming service', 'How do I treat a fever of a small child?', 'Translate this sentence to French: the sky is blue', 'Which laptop has the best graphics card?', 'Explain quantum mechanics', 'Plan a weekend trip to Lisbon with museums'];
  const right = [...on.filter((text) => score(GARDEN, text, 'off_topic') < 0.5), ...off.filter((text) => score(GARDEN, text, 'off_topic') >= 0.5)];
  t.comment(`${right.length} of ${on.length + off.length}`);
  t.ok(right.length >= 22, `${right.length} of 24`);
  for (const small of ['Thanks!', 'Yes, please.', 'ok', '', '42', 'Hello, can you help me?']) t.equal(score(GARDEN, small, 'off_topic'), 0, small);
});

t.test('the voice of an answer', async (t) => {
  const rude = [
    'That is a stupid question and you are wasting my time.', 'Are you kidding? I already told you how this works.', 'You are clearly too slow to understand this.', 'Shut up and read the manual.', 'Figure it out yourself, it is not my problem.',
    'Even a child could do this.', 'I don’t care about your order.', 'How many times do I have to explain this?', 'Let me dumb it down for you.', 'You’re such an idiot.', 'lol nah bro idk, gonna check tho', 'What is wrong with you?',
    'I’m sick of your complaints.', 'Nobody asked for your opinion.', 'It is not that hard, you obviously did not read it.', 'Listen, buddy, I’m warning you.',
  ];
  const civil = [
    'I am sorry that your order is late. I have asked the carrier and will write to you tomorrow.', 'The film is about a rude and stupid king who insults his guests.', 'If it does not work, please restart the device; it is not difficult to reset.', 'You are right, thank you for telling us!', 'As I said above, the price includes tax.',
    'Sure! Here are three ideas for the party 🎉', 'You can do it yourself with a small screwdriver.', 'Children grow up quickly; buy one size larger.', 'That is not our usual procedure, but I will ask.', 'Please do not share your password with anyone.', 'I cannot help with that request.',
    'The manual says to shut the valve before you open the lid.', 'Your question is a good one: the answer depends on the model.', 'Albert Einstein published this in 1905.', 'The team was useless in the first half and lost.', 'I do not know what you mean; could you explain it again?',
  ];
  const missed = rude.filter((text) => !(score({}, text, 'tone') >= 0.5));
  const wrong = civil.filter((text) => score({}, text, 'tone') >= 0.5);
  t.same(missed, []);
  t.same(wrong, []);
  const result = ask({}, 'Well. Shut up and read the manual.').get('tone')!;
  t.ok('spans' in result);
  if ('spans' in result) t.same(result.spans, [{ start: 6, end: 13 }]);
  t.equal(ask({}, 'Shut up, you idiot', 'input').size, 0, 'how users speak is not judged');
});

t.test('what is in another language is unknown, not 0', async (t) => {
  const german = 'Ich möchte gerne wissen, wie das Wetter in den nächsten Tagen wird und ob wir auf dem See fahren können, weil es nicht mehr so kalt ist.';
  t.match(ask(GARDEN, german).get('tone'), { unknown: true, reason: 'unsupported' });
  t.match(ask(GARDEN, german).get('off_topic'), { unknown: true, reason: 'unsupported' });
});

t.test('hostile texts: long, broken, repeated', async (t) => {
  const texts = ['you are '.repeat(125_000), '\ud800\udc00\ud800 you are stupid \udfff', '!'.repeat(200_000), 'a'.repeat(1_000_000), `${'you are so '.repeat(1)}${'really '.repeat(50_000)}stupid`];
  for (const text of texts) {
    const begun = performance.now();
    for (const result of ask(GARDEN, text).values()) {
      if (!('score' in result)) continue;
      t.ok(result.score >= 0 && result.score <= 1);
      t.ok(result.spans.length <= 50 && result.spans.every(({ start, end }) => start >= 0 && start < end && end <= text.length));
    }
    t.ok(performance.now() - begun < 20_000, `${Math.round(performance.now() - begun)} ms`);
  }
});

t.test('harmless texts of others keep their tone', { skip: NO_ROWS }, async (t) => {
  const rows = (await readRawRows(DATA!, 'toxicity', 'train')).map(({ row }) => row).filter(({ source }) => source === 'gpteacher-toolformer' || source === 'gpteacher-codegen' || source === 'coco-captions').filter((_, at) => at % 4 === 0);
  const brand = make({});
  const flagged = rows.filter(({ text }) => {
    const [result] = brand.classify!({ request_id: 'r', tenant_id: 'd', direction: 'output', content: String(text), content_type: 'text', created_at: '' }, new AbortController().signal, readingsOf({ content: String(text), content_type: 'text' })) as readonly ClassifierResult[];
    return 'score' in result && result.score >= 0.5;
  });
  t.ok(rows.length > 3000);
  t.ok(flagged.length <= 0.002 * rows.length, `${flagged.length} of ${rows.length}`);
});
