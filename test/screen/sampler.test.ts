/**
 * What is drawn for residual-risk campaigns: as often as its probability says over 100,000 ids, the same at every asking,
 * independent between campaigns and directions, and nothing outside of a campaign's population.
 */
import { createHmac } from 'node:crypto';
import t from 'tap';
import { RISK, type PlannedCampaign } from '../../src/config/risk.ts';
import { readShape } from '../../src/config/shape.ts';
import { estimateRate } from '../../src/risk/estimate.ts';
import { probabilityOf, Sampler, type SampledExchange } from '../../src/screen/sampler.ts';
import { campaigns, exchange, record, scored, tenant } from '../helpers/campaigns.ts';

t.setTimeout(300_000);

const SEED = Buffer.alloc(32, 3);
const seedOf = ({ id }: PlannedCampaign): Buffer => createHmac('sha256', SEED).update(id).digest();
const all = { id: 'rest', probability_percent: 1 };

t.test('over 100,000 ids each stratum is drawn as often as its probability says', async (t) => {
  const sampler = new Sampler(campaigns({ id: 'q', directions: ['input', 'output'], strata: [{ id: 'high', score_from: 0.5, probability_percent: 40 }, { id: 'known', unknown: false, score_from: 0.2, total: 50, expected: 1000 }, all] }), seedOf);
  const N = 100_000;
  for (const [output, stratum, p] of [[scored(0.7), 'high', 0.4], [scored(0.3), 'known', 0.05], [scored(0.1), 'rest', 0.01]] as const) {
    let [drawn, both, inputs] = [0, 0, 0];
    for (let i = 0; i < N; i++) {
      const samples = sampler.draw(tenant(), exchange(`${stratum}-${i}`, { output }));
      const own = samples.find(({ direction }) => direction === 'output');
      if (samples.some(({ direction }) => direction === 'input')) inputs++;
      if (own === undefined) continue;
      drawn++;
      if (samples.length === 2) both++;
      if (own.stratum !== stratum || own.probability !== p || own.campaign !== 'q') t.fail(JSON.stringify(own));
    }
    // 4.5 standard deviations: one run in 100,000 fails by chance; the ids are the same in every run.
    t.ok(Math.abs(drawn - N * p) < 4.5 * Math.sqrt(N * p * (1 - p)), `${stratum}: ${drawn} of ${N} at ${p}`);
    t.ok(Math.abs(inputs - N * 0.01) < 4.5 * Math.sqrt(N * 0.01), `prompts: ${inputs}`);
    t.ok(Math.abs(both - N * p * 0.01) < 4.5 * Math.sqrt(N * p * 0.01) + 5, `prompt and answer are drawn independently: ${both}`);
  }
});

t.test('a higher probability only adds to what is drawn', async (t) => {
  const drawnAt = (percent: number): readonly string[] => {
    const sampler = new Sampler(campaigns({ id: 'q', directions: ['output'], strata: [{ id: 'rest', probability_percent: percent }] }), seedOf);
    return Array.from({ length: 5_000 }, (_, i) => `id-${i}`).filter((id) => sampler.draw(tenant(), exchange(id)).length > 0);
  };
  for (const [low, high] of [[1, 3], [3, 40], [40, 100]] as const) {
    const more = new Set(drawnAt(high));
    t.ok(drawnAt(low).every((id) => more.has(id)), `${low} % within ${high} %`);
  }
  t.equal(drawnAt(100).length, 5_000);
});

t.test('a draw is the same at every asking, and campaigns draw apart', async (t) => {
  const given = campaigns({ id: 'a', strata: [{ id: 'all', probability_percent: 30 }] }, { id: 'b', strata: [{ id: 'all', probability_percent: 30 }] });
  const [one, other, foreign] = [new Sampler(given, seedOf), new Sampler(given, seedOf), new Sampler(given, () => Buffer.alloc(32, 9))];
  let [both, differs] = [0, 0];
  for (let i = 0; i < 20_000; i++) {
    const drawn = one.draw(tenant(), exchange(`id ${i}`));
    if (JSON.stringify(drawn) !== JSON.stringify(other.draw(tenant(), exchange(`id ${i}`)))) t.fail('another process draws another');
    if (drawn.length > 0 && one.mayBeDrawn(tenant(), `id ${i}`, Date.parse('2030-01-10')) !== 'redacted') t.fail('drawn, though its texts were not gathered');
    if (drawn.length === 2) both++;
    if (JSON.stringify(drawn) !== JSON.stringify(foreign.draw(tenant(), exchange(`id ${i}`)))) differs++;
  }
  t.ok(Math.abs(both - 20_000 * 0.09) < 4.5 * Math.sqrt(20_000 * 0.09), `both: ${both}`);
  t.ok(differs > 5_000, 'another seed draws others');
});

t.test('nothing outside of the population is drawn', async (t) => {
  const certain = { id: 'all', probability_percent: 100 };
  const drawn = (config: object, one: SampledExchange = exchange('x'), who = tenant()) => new Sampler(campaigns({ id: 'q', strata: [certain], ...config }), seedOf).draw(who, one).map(({ direction, decision, modality }) => `${direction} ${decision} ${modality}`);
  t.same(drawn({}), ['output passed text'], 'answers that were served');
  t.same(drawn({}, exchange('x', { output: record('redact') })), ['output redacted text']);
  for (const action of ['block', 'replace'] as const) {
    t.same(drawn({}, exchange('x', { output: record(action) })), [], action);
    t.same(drawn({ decisions: ['blocked'] }, exchange('x', { output: record(action) })), ['output blocked text']);
  }
  t.same(drawn({}, exchange('x', { output: undefined })), [], 'no answer');
  t.same(drawn({}, exchange('x', { output: record('allow', { coverage: { screened: [], exempt: [], opaque: [], nothing_to_screen: true } }) })), [], 'nothing to decide on');
  t.same(drawn({ decisions: ['blocked'] }, exchange('x', { late: { direction: 'output', action: 'block', triggered_rules: [], classifier_results: [], degraded: [], acted: ['cut'], latency_ms: 1 } })), ['output blocked text'], 'cut late');
  t.same(drawn({}, exchange('x'), tenant({ data: { content: 'original', keep_days: 30, campaigns: false, traces: 'none' as const, learning: false } })), [], 'the tenant takes no part');
  t.same(drawn({ tenants: ['other'] }), []);
  t.same(drawn({ products: ['Shop'] }), []);
  t.same(drawn({ products: ['Help centre'] }).length, 1);
  t.same(drawn({ modalities: ['image'] }), []);
  t.same(drawn({ from: '2030-01-10T00:00:00Z' }).length, 1, 'the first moment belongs to it');
  t.same(drawn({ from: '2030-01-10T00:00:01Z' }), []);
  t.same(drawn({ until: '2030-01-10T00:00:00Z' }), [], 'the last does not');
  t.same(drawn({ until: '2030-01-10T00:00:01Z' }).length, 1);
  t.same(drawn({ strata: [{ id: 's', score_from: 0.5, probability_percent: 100 }] }, exchange('x', { output: scored(0.499) })), [], 'in no stratum');
  t.same(drawn({ strata: [{ id: 's', score_from: 0.5, probability_percent: 100 }] }, exchange('x', { output: scored(0.5) })).length, 1);
  t.same(drawn({ strata: [{ id: 's', score_below: 0.5, probability_percent: 100 }] }, exchange('x', { output: scored(0.5) })), []);
  t.same(drawn({ strata: [{ id: 's', score_from: 0.1, classifiers: ['pii'], probability_percent: 100 }] }, exchange('x', { output: scored(0.5) })), []);
});

t.test('where nothing can be drawn nothing is gathered', async (t) => {
  const at = Date.parse('2030-01-10');
  const may = (given: readonly object[], who = tenant()) => new Sampler(campaigns(...given), seedOf).mayBeDrawn(who, 'x', at);
  const certain = { id: 'all', probability_percent: 100 };
  t.equal(may([]), undefined);
  t.equal(may([{ id: 'q', strata: [certain] }]), 'redacted');
  t.equal(may([{ id: 'q', decisions: ['passed', 'blocked'], strata: [certain] }]), 'original', 'what was blocked never went on');
  t.equal(may([{ id: 'q', strata: [certain] }], tenant({ data: { content: 'original', keep_days: 1, campaigns: false, traces: 'none' as const, learning: false } })), undefined);
  t.equal(may([{ id: 'q', until: '2029-01-01T00:00:00Z', strata: [certain] }]), undefined);
});

t.test('a campaign that cannot be meant is refused with its place', async (t) => {
  const refused = (config: object): string => {
    const { issues } = readShape(RISK, { file: 'c.yaml', value: { campaigns: [{ id: 'q', strata: [all], ...config }] }, issues: [], at: () => ({ line: 1, column: 1 }) });
    return issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
  };
  t.match(refused({ strata: [{ id: 'a' }] }), /strata\[0\]: a stratum needs probability_percent, or total/);
  t.equal(refused({ strata: [{ id: 'a', probability_percent: 1, total: 5, expected: 9 }] }), '', 'the percentage is the most');
  t.match(refused({ strata: [{ id: 'a', probability_percent: 1, expected: 9 }] }), /go together/);
  t.match(refused({ strata: [{ id: 'a', probability_percent: 1, score_from: 0.5, score_below: 0.5 }] }), /not below/);
  t.match(refused({ strata: [all, all] }), /a second stratum rest/);
  t.match(refused({ from: '2030-01-02T00:00:00Z', until: '2030-01-02T00:00:00Z' }), /ends before it begins/);
  t.match(refused({ strata: [{ id: 'a', probability_percent: 0 }] }), /from 0.0001 to 100/);
  t.match(refused({ strata: [{ id: 'a', probability_percent: 0.000_099 }] }), /from 0.0001 to 100/);
  t.equal(refused({ strata: [{ id: 'a', probability_percent: 0.0001 }] }), '');
  t.match(refused({ strata: [{ id: 'a', total: 2, expected: 2_000_001 }] }), /strata\[0\]: total of expected is a probability of 9\.9\d*e-7, and the least is 0\.000001: 3 or more of 2000001/);
  t.equal(refused({ strata: [{ id: 'a', total: 2, expected: 2_000_000 }] }), '');
  for (const least of [{ probability_percent: 0.0001 }, { total: 2, expected: 2_000_000 }]) {
    t.doesNotThrow(() => estimateRate([{ stratum: 'a', inclusion_probability: probabilityOf(campaigns({ id: 'q', strata: [{ id: 'a', ...least }] })[0]!.strata[0]!), label: 'safe' }]), 'what is let in can be estimated');
  }
  t.equal(refused({ strata: [{ id: 'a', probability_percent: 100 }] }), '');
  t.match(refused({ strata: [{ id: 'a', probability_percent: 100.1 }] }), /100/);
});
