/**
 * The plan on arguments that a prompt carries, redacted as the stream would redact them, and JSON all the same; and on
 * what is no text: who is asked, and who owes no answer.
 */
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Segment } from '../../src/contract/exchange.ts';
import type { ContentType } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { Redactor } from '../../src/stream/redactor.ts';
import { JsonChannel, TextChannel } from '../../src/stream/channel.ts';
import { applyEdits, sliceEdited } from '../../src/text/edits.ts';
import { testPii } from '../helpers/pii.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';

const plan = planOf(REDACT_PII);

async function inPrompt(content: string, json: boolean): Promise<string> {
  const segment: Segment = { path: 'a', carrier: 'a', contentType: 'text', content, json, history: false };
  const screened = await plan.screen([segment], 'input', {});
  const decision = plan.decide(screened, 'input', {});
  return decision.action === 'redact' ? applyEdits(content, plan.edits(screened.segments[0]!.results, decision, segment)) : content;
}

function inStream(content: string): string {
  const output = plan.forOutput({});
  const judge = output.openChannel();
  const channel = new JsonChannel({ set: output.patterns, judge: (component, text) => judge.judge(component, text) });
  channel.feed(content);
  channel.close();
  return sliceEdited(content, 0, 0, content.length, channel.edits);
}

t.test('arguments of a prompt are written as those of an answer', async (t) => {
  const cases: readonly [string, string][] = [
    ['{"card": 4111111111111111, "n": 1}', '{"card": "[CREDIT_CARD]", "n": 1}'],
    ['{"card": -4111111111111111}', '{"card": "[CREDIT_CARD]"}'],
    ['{"mail":"ana\\u0040example.com"}', '{"mail":"[EMAIL]"}'],
    ['{"ana@example.com":true}', '{"[EMAIL]":true}'],
    ['{"a":"say \\"ana@example.com\\"","b":["10.1.2.3"]}', '{"a":"say \\"[EMAIL]\\"","b":["[IP_ADDRESS]"]}'],
    ['{"a":"nothing"}', '{"a":"nothing"}'],
  ];
  for (const [given, expected] of cases) {
    t.equal(await inPrompt(given, true), expected, given);
    t.equal(inStream(given), expected, given);
    t.doesNotThrow(() => JSON.parse(expected));
  }
});

t.test('plain text of a prompt is redacted as the redactor does', async (t) => {
  const output = plan.forOutput({});
  for (const text of ['write to ana@example.com, 4111 1111 1111 1111', 'nothing here', 'ana@example.com']) {
    const judge = output.openChannel();
    const redactor = new Redactor(output.patterns, (component, part) => judge.judge(component, part));
    t.equal(await inPrompt(text, false), redactor.feed(text) + redactor.flush());
  }
});

// What is no text.

const unheard: Classifier = {
  id: 'ear', version: '1', categories: [{ id: 'music', definition: 'made up' }], directions: ['input'], contentTypes: ['audio'], languages: ['*'], cost: 'slow', needsContext: false,
  classify: ({ content }) => (content === 'odd' ? [{ classifier_id: 'ear', category: 'music', unknown: true, reason: 'error', latency_ms: 1 }] : []),
};

function segmentOf(contentType: ContentType, content: string): Segment {
  return { path: 'a', carrier: 'a', contentType, content, history: false };
}

t.test('each content type goes to those that read it, and is unknown to the others', async (t) => {
  const heard = compilePlan(requirePolicy(REDACT_PII, 'p.yaml'), [testPii(), unheard], { file: 'p.yaml' });
  t.same((['text', 'image', 'audio'] as const).map((type) => heard.reads(type)), [false, false, true], 'patterns judge nothing but text');
  const encoded: Segment = { ...segmentOf('image', ''), get content(): string { throw new Error('nobody reads it'); } };
  const { segments } = await heard.screen([segmentOf('text', 'ana@example.com'), encoded, segmentOf('audio', 'QUJD'), segmentOf('audio', 'odd')], 'input', {});
  const [text, image, audio, odd] = segments.map(({ results, unsupported = [], judged }) => ({ found: results.map(({ category }) => category), unsupported: [...new Set(unsupported.map(({ classifier_id: id }) => id))], judged }));
  t.same(text, { found: ['EMAIL'], unsupported: ['ear'], judged: undefined });
  t.same(image, { found: [], unsupported: ['pii', 'ear'], judged: false });
  t.same(audio, { found: [], unsupported: ['pii'], judged: true });
  t.same(odd, { found: ['music'], unsupported: ['pii'], judged: false });
  t.ok(segments.flatMap(({ unsupported = [] }) => unsupported).every((result) => 'unknown' in result && result.reason === 'unsupported'));
  const { segments: [answered] } = await heard.screen([segmentOf('audio', 'QUJD')], 'output', {});
  t.match(answered, { judged: false, results: [{ classifier_id: 'ear', unknown: true, reason: 'unsupported' }] }, 'it reads it, but not in answers');
});

t.test('an answer that meets another content type is decided by it from then on', async (t) => {
  const rules = 'policy: p\nrules:\n  - { id: r, when: { all: [ { context: content_type, eq: audio }, { score: pii.EMAIL, gte: 0.5 } ] }, action: block }';
  const output = compilePlan(requirePolicy(rules, 'p.yaml'), [testPii()], { file: 'p.yaml', failMode: 'open' }).forOutput({});
  const channel = (): boolean => {
    const judge = output.openChannel();
    const scanned = new TextChannel({ set: output.patterns, judge: (component, text) => judge.judge(component, text) });
    return scanned.feed('ana@example.com is it') && scanned.close();
  };
  t.equal(output.initial.degraded.length, 0);
  t.ok(channel());
  t.match(output.meets('audio'), { action: 'allow', degraded: ['r'] });
  t.match(output.meets('audio'), { degraded: ['r'] });
  t.notOk(channel(), 'a match is a match');
});
