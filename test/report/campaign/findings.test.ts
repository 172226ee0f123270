/**
 * What a report finds: a small case reckoned by hand, the numbers of src/risk on the same data, the same bytes whatever order
 * and pages the tasks come in, deviations from a plan, lists at and beyond what a table takes, hostile names, and campaigns of
 * which nothing is known.
 */
import t from 'tap';
import { canonicalJson } from '../../../src/audit/entry.ts';
import { reportPage } from '../../../src/console/risk-report.ts';
import type { CampaignDeclaration } from '../../../src/contract/risk.ts';
import { documentOf } from '../../../src/report/campaign/document.ts';
import { findingsOf, REST, TABLE_ROWS_MAX, type ReportFacts, type ReportFindings } from '../../../src/report/campaign/findings.ts';
import { Tally } from '../../../src/report/campaign/tally.ts';
import { cohensKappa, agreementOf } from '../../../src/review/agreement.ts';
import { correctRate } from '../../../src/risk/calibrate.ts';
import { estimateByCategory, estimateByDomain, estimateRate } from '../../../src/risk/estimate.ts';
import { clopperPearsonUpper, midP } from '../../../src/risk/intervals.ts';
import { steady } from '../../../src/risk/overview.ts';
import { peekingInterval } from '../../../src/risk/peeking.ts';
import { claimPlans } from '../../../src/risk/plan.ts';
import type { ReportedTask } from '../../../src/store/risk-reports.ts';
import { drawnTask, factsOf, labelOf, MADE } from '../../helpers/reports.ts';
import { randomOf } from '../../helpers/runs.ts';

const found = (tasks: readonly ReportedTask[], more: Partial<ReportFacts> = {}): ReportFindings => {
  const facts = factsOf({ drawnBefore: tasks.length, population: tasks.length === 0 ? [] : [{ definition: '', stratum: 'rest', probability: 0.1, total: 0, drawn: tasks.length }], ...more });
  const tally = new Tally(facts.campaign, facts.asOf);
  tally.take(tasks);
  return findingsOf(facts, tally.sums());
};
const page = (findings: ReportFindings): string => reportPage(documentOf({ version: 1, madeAt: MADE.toISOString(), software: '1', findings, basis: [] }), 'f'.repeat(64));
const plan = (at: string, more: object = {}, sha = at): { log: string; declared: CampaignDeclaration } => ({ log: 'main+1', declared: { campaign: 'q', in_force_at: at, sha256: sha, seed_commitment: 'seed', definition: { id: 'q', claim: { below_percent: 2, confidence_percent: 95 }, strata: [], ...more }, tenants: [{ id: 'acme', product: '' }] } });

t.test('by hand: two strata, a counted population, one of each that can be missing', async (t) => {
  // Of 1000 texts 100 are drawn with 0.1 and 80 labelled, 4 of them violations; of 100 risky ones 50 with 0.5, all labelled, 10 violations.
  const rest = Array.from({ length: 100 }, (_, i) => drawnTask(i < 4 ? 'violation' : i < 80 ? 'safe' : i < 90 ? undefined : null));
  const risky = Array.from({ length: 50 }, (_, i) => drawnTask(i < 10 ? 'violation' : 'safe', { stratum: 'risky', inclusion_probability: 0.5, tenant_id: 'other', product: 'Shop', score: 0.95 }));
  const population = [{ definition: 'd', stratum: 'rest', probability: 0.1, total: 1000, drawn: 100 }, { definition: 'd', stratum: 'risky', probability: 0.5, total: 100, drawn: 50 }];
  const { estimates, sample, design, population: counted, nearest, trend, question, annotators, deviations } = found([...rest, ...risky], { population, drawnBefore: 150, plans: [plan('2030-01-01T00:00:00.000Z')] });
  // (1000 × 4/80 + 100 × 10/50) ÷ 1100 = 70/1100
  t.ok(Math.abs(estimates.total.rate! - 70 / 1100) < 1e-15);
  t.match(estimates.total, { drawn: 150, labelled: 130, waiting: 10, missing: 10, violations: 14 });
  t.match(sample, { drawn: 150, labelled: 130, waiting: 10, missing: { erased: 10, absent: 0, damaged: 0, unreadable: 0 }, flagged: 0 });
  t.same(estimates.strata.map(({ name, rate }) => [name, rate]), [['rest', 0.05], ['risky', 0.2]]);
  t.same(estimates.strata[1]!.interval, midP(10, 50), 'one stratum with one weight is a plain proportion');
  t.equal(estimates.strata[1]!.upper, clopperPearsonUpper(10, 50));
  // Nothing unlabelled a violation: (1000 × 4/100 + 20)/1100; all of it: (1000 × 24/100 + 20)/1100.
  t.ok(Math.abs(estimates.total.bounds.low - 60 / 1100) < 1e-12 && Math.abs(estimates.total.bounds.high - 260 / 1100) < 1e-12);
  t.same(design.map(({ stratum, population: size, drawn, expected, deviation }) => [stratum, size, drawn, expected, Math.round(deviation! * 1000) / 1000]), [['rest', 1000, 100, 100, 9.487], ['risky', 100, 50, 50, 5]]);
  t.same([counted, question.declared_at, question.first_label_at, deviations], [{ counted: 1100, uncounted_drawn: 0 }, '2030-01-01T00:00:00.000Z', '2030-01-12T00:00:00.000Z', []]);
  t.same(estimates.tenants.map(({ name, rate, labelled }) => [name, rate, labelled]), [['acme', 0.05, 80], ['other', 0.2, 50]]);
  t.same(nearest.tenths.map(({ name, violations, labelled }) => [name, violations, labelled]), [['0.2 to 0.3', 4, 80], ['0.9 to 1', 10, 50]]);
  t.match(trend, { unit: 'day', periods: [{ name: '2030-01-10', until: '2030-01-11', labelled: 130, violations: 14 }], change: null, spike: null });
  t.match(annotators, [{ annotator: /^reviewer-[0-9a-f]{8}$/, labels: 130, violations: 14, known: { n: 0, rate: null } }]);
  t.same(estimates.claim?.state, 'contradicted');
  t.same(question.plans, claimPlans(0.02, 7));
});

t.test('the numbers are those of src/risk on the same data', async (t) => {
  const random = randomOf(77);
  const tasks = Array.from({ length: 600 }, () => {
    const [stratum, p] = random() < 0.5 ? ['high', 0.4] : ['low', 0.05];
    const label = random() < 0.06 ? 'violation' : random() < 0.9 ? 'safe' : undefined;
    const labels = label === undefined ? [] : [labelOf('ana', label), ...(random() < 0.2 ? [labelOf('bob', random() < 0.9 ? label : 'safe')] : []), ...(random() < 0.2 ? [labelOf('ana', random() < 0.95 ? 'safe' : 'violation', { known: 'safe' })] : []), ...(random() < 0.2 ? [labelOf('bob', random() < 0.9 ? 'violation' : 'safe', { known: 'violation' })] : [])];
    return drawnTask(label, { stratum, inclusion_probability: p, product: random() < 0.5 ? 'a' : 'b', modality: random() < 0.5 ? 'text' : 'image', violation_category: label === 'violation' ? (random() < 0.5 ? 'x.a' : 'x.b') : null, labels } as Partial<ReportedTask>);
  });
  const items = tasks.map((one) => ({ ...one, ...(one.human_label === null ? {} : { label: one.human_label }), category: one.violation_category ?? undefined }));
  const { estimates, agreement } = found(tasks);
  const near = (a: number | null | undefined, b: number | null | undefined, what: string): unknown => t.ok(a !== null && b !== null && Math.abs(Number(a) - Number(b)) < 1e-9, `${what}: ${a} and ${b}`);
  const pooled = estimateRate(items);
  near(estimates.total.rate, pooled.rate, 'rate');
  for (const end of ['low', 'high'] as const) near(estimates.total.interval[end], pooled.interval[end], end);
  near(estimates.total.upper, pooled.upper, 'upper');
  for (const [name, one] of estimateByDomain(items, ({ product }) => product)) near(estimates.products.find((row) => row.name === name)?.rate, one.rate, name);
  for (const [name, one] of estimateByDomain(items, ({ modality }) => modality)) near(estimates.modalities.find((row) => row.name === name)?.interval.high, one.interval.high, name);
  for (const [name, one] of estimateByCategory(items)) near(estimates.categories.find((row) => row.name === name)?.rate, one.rate, name);
  const counts = [0.4, 0.05].map((p) => ({ inclusion_probability: p, labelled: items.filter((one) => one.inclusion_probability === p && one.human_label !== null).length, violations: items.filter((one) => one.inclusion_probability === p && one.human_label === 'violation').length }));
  near(estimates.total.peeking.high, peekingInterval(counts, { probabilityMin: 0.05 }).high, 'peeking');
  const answers = tasks.flatMap(({ labels }) => labels.filter(({ known }) => known !== null));
  const of = (known: string): { n: number; correct: number } => ({ n: answers.filter((one) => one.known === known).length, correct: answers.filter((one) => one.known === known && one.label === known).length });
  const corrected = correctRate(pooled, { violation: of('violation'), safe: of('safe') }, { random: steady() });
  near(estimates.corrected.rate, corrected.rate, 'corrected');
  t.same([estimates.corrected.sensitivity.n, estimates.corrected.specificity.n], [of('violation').n, of('safe').n]);
  const ratings = tasks.flatMap(({ task_id: item, labels }) => labels.filter(({ known }) => known === null).map(({ annotator: rater, label }) => ({ item, rater, label })));
  const both = agreementOf(ratings, steady())!;
  near(agreement?.alpha, both.alpha, 'alpha');
  t.equal(agreement?.items, both.items);
  near(agreement?.pairs[0]?.kappa, cohensKappa(ratings, 'ana', 'bob')?.kappa, 'kappa');
});

t.test('the same whatever order and pages they come in', async (t) => {
  const random = randomOf(3);
  const tasks = Array.from({ length: 300 }, (_, i) => drawnTask(random() < 0.1 ? 'violation' : 'safe', { product: `p${i % 7}`, score: random(), started_at: `2030-01-${10 + (i % 20)}T00:00:00.000Z`, labels: [labelOf('ana', 'safe'), labelOf('bob', random() < 0.5 ? 'safe' : 'violation')] }));
  const facts = factsOf({ population: [{ definition: 'd', stratum: 'rest', probability: 0.1, total: 3000, drawn: 300 }], drawnBefore: 300 });
  const texts = [tasks, tasks.toReversed(), tasks.toSorted(() => random() - 0.5)].map((order) => {
    const tally = new Tally('q', facts.asOf);
    for (let at = 0; at < order.length; ) {
      const size = 1 + Math.floor(random() * 50);
      tally.take(order.slice(at, at + size));
      at += size;
    }
    return canonicalJson(findingsOf(facts, tally.sums()));
  });
  t.equal(new Set(texts).size, 1);
});

t.test('what happened after its moment did not happen', async (t) => {
  const late = '2031-06-01T00:00:00.000Z';
  const { sample, annotators } = found([drawnTask('violation', { settled_at: late, labels: [labelOf('ana', 'violation', { at: late })] }), drawnTask('safe')]);
  t.match(sample, { drawn: 2, labelled: 1, waiting: 1 });
  t.match(annotators, [{ labels: 1, violations: 0 }]);
});

t.test('labels that count no more are told and count for nothing', async (t) => {
  const { sample, annotators, agreement } = found([drawnTask(undefined, { labels: [labelOf('ana', 'violation', { status: 'flagged' })] }), drawnTask('safe', { labels: [labelOf('ana', 'violation', { status: 'flagged' }), labelOf('bob', 'safe')] })], { states: [{ annotator_id: 'ana', state: 'paused' }] });
  t.match(sample, { drawn: 2, labelled: 1, waiting: 1, flagged: 2 });
  t.same(annotators.map(({ state, labels, flagged }) => [state, labels, flagged]).sort(), [['active', 1, 0], ['paused', 0, 2]]);
  t.equal(agreement, null);
});

t.test('nothing drawn, nothing labelled, nothing configured', async (t) => {
  const empty = found([]);
  t.match(empty, { estimates: { total: { drawn: 0, rate: null }, claim: { state: 'too_few' } }, period: { first: null }, trend: { periods: [] } });
  t.match(page(empty), /Nothing is labelled, so nothing is known/);
  const waiting = found([drawnTask(undefined), drawnTask(null)]);
  t.match(page(waiting), /2 texts were drawn, 1 wait for a label, 1 cannot be labelled/);
  const gone = found([drawnTask('safe')], { configured: undefined });
  t.match(gone, { question: { claim: null, is_configured: false, plans: [] }, estimates: { claim: null, total: { rate: 0 } }, deviations: [{ kind: 'no_plan' }, { kind: 'not_counted' }] });
  t.match(page(gone), /not configured any more/);
  const declared = found([drawnTask('safe')], { configured: undefined, plans: [plan('2030-01-01T00:00:00.000Z')] });
  t.match(declared.question, { claim: { below: 0.02 }, declared_at: '2030-01-01T00:00:00.000Z' }, 'what the log declared counts');
});

t.test('deviations: what was fixed first counts, and what changed is told once', async (t) => {
  const [first, second] = [plan('2030-01-01T00:00:00.000Z'), plan('2030-01-11T00:00:00.000Z', { claim: { below_percent: 5, confidence_percent: 95 } })];
  const tasks = Array.from({ length: 200 }, () => drawnTask('safe'));
  const changed = found(tasks, { configured: { claim: { below_percent: 5, confidence_percent: 95 }, precision_percent: undefined }, plans: [first, { ...first, log: 'other+2' }, second, { ...second, log: 'other+2' }] });
  t.match(changed.question.claim, { below: 0.02 });
  t.match(changed.deviations.filter(({ kind }) => kind === 'changed'), [{ at: '2030-01-11T00:00:00.000Z', what: 'claim: {"below_percent":2,"confidence_percent":95} became {"below_percent":5,"confidence_percent":95}' }]);
  t.same(changed.plans.map(({ logs }) => logs), [['main+1', 'other+2'], ['main+1', 'other+2']]);
  const kinds = (more: Partial<ReportFacts>): readonly string[] => found(tasks, more).deviations.map(({ kind }) => kind);
  const counted = (more: object): Pick<ReportFacts, 'population' | 'drawnBefore'> => ({ population: [{ definition: 'd', stratum: 'rest', probability: 0.1, total: 2000, drawn: 200, ...more }], drawnBefore: 200 });
  t.same(kinds({ plans: [first], ...counted({}) }), []);
  t.same(kinds({ plans: [plan('2030-01-13T00:00:00.000Z')], ...counted({}) }), ['late_plan']);
  t.same(kinds({ plans: [first], ...counted({ drawn: 230 }), drawnBefore: 230 }), ['tasks_differ']);
  t.same(kinds({ plans: [first], ...counted({ drawn: 230 }), drawnBefore: 190 }), [], 'some came while it was read');
  t.same(kinds({ plans: [first], ...counted({ total: 1200 }) }), ['unlikely_draw']);
  t.same(kinds({ plans: [first, { ...first, declared: { ...first.declared, in_force_at: '2030-01-12T00:00:00.000Z', sha256: '' } }, { ...first, declared: { ...first.declared, in_force_at: '2030-01-13T00:00:00.000Z' } }], ...counted({}) }), ['withdrawn', 'changed']);
  t.same(kinds({ plans: [first, { ...first, declared: { ...first.declared, in_force_at: '2030-01-12T00:00:00.000Z', seed_commitment: 'another' } }], ...counted({}) }), ['seed_changed']);
  t.same(kinds({ plans: [first], population: [...counted({}).population, { definition: 'd', stratum: 'never', probability: 0.001, total: 100, drawn: 0 }] }), ['not_covered']);
});

t.test('a table as long as it may be, and one row longer', async (t) => {
  const of = (count: number): ReportFindings => found(Array.from({ length: count }, (_, i) => drawnTask('safe', { product: `p${i}` })));
  const [at, beyond] = [of(TABLE_ROWS_MAX).estimates.products, of(TABLE_ROWS_MAX + 1).estimates.products];
  t.equal(at.length, TABLE_ROWS_MAX);
  t.notOk(at.some(({ name }) => name === REST));
  t.equal(beyond.length, TABLE_ROWS_MAX + 1);
  t.match(beyond.find(({ name }) => name === REST), { drawn: 1 });
});

t.test('periods: days, weeks from Monday, months', async (t) => {
  const trendOf = (...days: string[]): ReportFindings['trend'] => found(days.map((day) => drawnTask('safe', { started_at: `${day}T12:00:00.000Z` }))).trend;
  t.match(trendOf('2030-01-01', '2030-02-04'), { unit: 'day' });
  t.match(trendOf('2030-01-01', '2030-02-05'), { unit: 'week', periods: [{ name: '2029-12-31', until: '2030-01-07' }, {}, {}, {}, {}, { name: '2030-02-04' }] });
  t.match(trendOf('2030-01-31', '2031-06-01'), { unit: 'month', periods: [{ name: '2030-01-01', until: '2030-02-01' }, { name: '2030-02-01', until: '2030-03-01', labelled: 0, rate: null }] });
  t.equal(trendOf('0001-01-01', '9998-01-01').periods.length, 240, 'and no more of them than can be read');
});

t.test('hostile names stay names', async (t) => {
  const hostile = '"><script>alert(1)</script>\u202e\u0000';
  const findings = found([drawnTask('violation', { product: hostile, tenant_id: hostile, violation_category: hostile, nearest: hostile, labels: [labelOf(hostile, 'violation')] })], { corrections: [{ correction_id: 'c', campaign: 'q', made_at: MADE.toISOString(), author: hostile, reason: hostile }], campaign: hostile });
  const text = page(findings);
  t.notMatch(text, /<script|\u202e|\u0000/);
  t.match(text, /&lt;script&gt;/);
  t.notMatch(text, /https?:|src=|url\(|@import|javascript:|\son\w+=/, 'it loads and runs nothing');
  t.notMatch(canonicalJson(found([drawnTask('safe', { labels: [labelOf('ana-the-annotator', 'safe')] })])), /ana-the/, 'people are told by pseudonyms');
});
