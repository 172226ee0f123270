/**
 * What classifiers say of texts and images by the names of categories: the highest score of all judges, nothing where
 * nobody judged, and never a score where one of the judges has not answered.
 */
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Segment } from '../../src/contract/exchange.ts';
import type { ClassifierResult, ContentType } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { moderate, type Moderated } from '../../src/screen/moderations.ts';
import { compilePlan } from '../../src/screen/plan.ts';

const CATEGORIES = ['hate', 'sexual', 'violence'];

/** Scores a category by the number that stands after its name in the text: `hate=0.7`. `!` fails, `?` says that it cannot. */
function judge(id: string, categories: readonly string[], contentTypes: readonly ContentType[] = ['text'], directions: Classifier['directions'] = ['input', 'output']): Classifier {
  return {
    id, version: '1', categories: categories.map((category) => ({ id: category, definition: category })), directions, contentTypes, languages: ['*'], cost: 'fast', needsContext: false,
    classify({ content }): readonly ClassifierResult[] {
      if (content.includes(`${id}!`)) throw new Error('made to fail');
      return categories.flatMap((category): ClassifierResult[] => {
        const guess = new RegExp(`${id}\\.${category}\\?=([\\d.]+)`).exec(content)?.[1];
        if (guess !== undefined) return [{ classifier_id: id, category, unknown: true, reason: 'unsupported', guess: Number(guess), latency_ms: 0 }];
        if (content.includes(`${id}.${category}?`)) return [{ classifier_id: id, category, unknown: true, reason: 'unsupported', latency_ms: 0 }];
        const score = new RegExp(`${id}\\.${category}=([\\d.]+)`).exec(content)?.[1];
        return score === undefined ? [] : [{ classifier_id: id, category, score: Number(score), label: category, spans: [], latency_ms: 0 }];
      });
    },
  };
}

const plan = compilePlan(requirePolicy('policy: p\ndefault_action: block\nrules: []\n', 'p.yaml'), [judge('a', ['hate', 'violence']), judge('b', ['hate']), judge('eye', ['violence', 'made-up'], ['image']), judge('out', ['sexual'], ['text'], ['output'])], { file: 'p.yaml', deadlineMs: 5_000 });
const text = (content: string): Segment => ({ path: 'input', carrier: 'input', contentType: 'text', content, history: false });
const image = (content: string): Segment => ({ ...text(content), contentType: 'image', opaque: 'image' });
const ask = (...inputs: readonly (readonly Segment[])[]): Promise<Moderated> => moderate(inputs, plan, { categories: CATEGORIES, thresholds: { violence: 0.9 }, context: { tenant: 'default' } });
const asked = async (...segments: readonly Segment[]) => Object.fromEntries((await ask(segments)).results[0]!);

t.test('the highest score of all judges, against the threshold of the category', async (t) => {
  t.strictSame(await asked(text('a.hate=0.2 b.hate=0.5 a.violence=0.8')), { hate: { score: 0.5, flagged: true, judged: ['text'] }, sexual: { judged: [] }, violence: { score: 0.8, flagged: false, judged: ['text'] } });
  t.match(await asked(text('a.violence=0.9')), { violence: { score: 0.9, flagged: true } });
  t.strictSame((await asked(text('nothing'))).hate, { score: 0, flagged: false, judged: ['text'] }, 'who answered and found nothing scored 0');
  t.strictSame((await asked(text(''))).hate, { score: 0, flagged: false, judged: ['text'] }, 'so it is of an empty text');
});

t.test('a judge that has not answered leaves no score, unless another has flagged it', async (t) => {
  t.strictSame((await asked(text('a! b.hate=0.49'))).hate, { judged: [] });
  t.strictSame((await asked(text('a! b.hate=0.5'))).hate, { score: 0.5, flagged: true, judged: ['text'] });
  t.strictSame((await asked(text('a.hate? b.hate=0.1 a.violence=0.3'))).hate, { judged: [] });
  t.match(await asked(text('a.hate? a.violence=0.3')), { violence: { score: 0.3, judged: ['text'] } });
  const { missing } = await ask([text('a!')], [text('fine')]);
  t.same(missing, ['hate', 'sexual', 'violence'], 'one input is enough');
  t.same((await ask([text('fine')])).missing, ['sexual'], 'a judge of answers is none here');
});

t.test('where nobody trusts a score, the highest guess stands in its place, and the category is still missing', async (t) => {
  t.strictSame((await asked(text('a.hate?=0.2 b.hate?=0.7'))).hate, { guess: 0.7, flagged: true, judged: [] });
  t.strictSame((await asked(text('a.hate?=0.9 b.hate=0.6'))).hate, { score: 0.6, flagged: true, judged: ['text'] }, 'a score that flags counts');
  t.strictSame((await asked(text('a.hate?=0.9 b.hate=0.1'))).hate, { guess: 0.9, flagged: true, judged: [] });
  t.ok((await ask([text('a.hate?=0.2 b.hate?=0.7')])).missing.includes('hate'));
  t.strictSame((await asked(text('a.hate?=7'))).hate, { judged: [] }, 'a guess that is no score makes the answer worthless');
});

t.test('an image counts where somebody reads it, and the types tell what the score is about', async (t) => {
  t.strictSame(await asked(text('a.violence=0.3'), image('eye.violence=0.95')), { hate: { score: 0, flagged: false, judged: ['text'] }, sexual: { judged: [] }, violence: { score: 0.95, flagged: true, judged: ['text', 'image'] } });
  t.strictSame(await asked(image('eye.violence=0.2')), { hate: { judged: [] }, sexual: { judged: [] }, violence: { score: 0.2, flagged: false, judged: ['image'] } });
  t.strictSame((await asked(text('a.violence=0.3'), image('eye!'))).violence, { score: 0.3, flagged: false, judged: ['text'] });
  t.strictSame((await asked(text('a.violence=0.3'), text('a.violence=0.1'))).violence, { score: 0.3, flagged: false, judged: ['text'] });
  t.same((await ask([text('fine'), image('fine')])).missing, ['hate', 'sexual'], 'hate was judged for the text alone');
});

t.test('a combination judges the category of its name', async (t) => {
  const classifiers = [judge('a', ['spite']), judge('b', ['scorn'])];
  const ensemble = new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), deadlineMs: 5_000, combine: [{ category: 'hate', method: 'weighted', of: { 'a.spite': 1, 'b.scorn': 3 }, bias: 0, missing: 'unknown', quorum: 1 }] });
  const mixed = compilePlan(requirePolicy('policy: p\nrules: []\n', 'p.yaml'), classifiers, { file: 'p.yaml', ensemble });
  const hate = async (content: string) => (await moderate([[text(content)]], mixed, { categories: CATEGORIES, thresholds: {}, context: { tenant: 'default' } })).results[0]!.get('hate');
  const judged = await hate('a.spite=0.4 b.scorn=0.8');
  t.match([judged, Math.round(judged!.score! * 1000)], [{ flagged: true, judged: ['text'] }, 700]);
  t.strictSame(await hate('a! b.scorn=0.8'), { judged: [] });
});

t.test('the record says who judged what, and nothing of the text', async (t) => {
  const { record, results } = await ask([text('a.hate=0.9 SECRET'), image('eye.violence=0.2')], [text('b!')]);
  t.equal(results.length, 2);
  t.match(record, { action: 'allow', triggered_rules: [], degraded: [], redactions: 0, coverage: { screened: ['input'], opaque: [] } });
  t.match(record.classifier_results.find((line) => line.classifier_id === 'a'), { category: 'hate', score: 0.9 });
  t.match(record.classifier_results.find((line) => line.classifier_id === 'b'), { category: 'hate', unknown: 'error' });
  t.notMatch(JSON.stringify(record), /SECRET/);
  t.match((await ask([image('eye!')])).record.coverage, { screened: [], opaque: [{ carrier: 'input', kind: 'image', treatment: 'pass' }], nothing_to_screen: true });
});
