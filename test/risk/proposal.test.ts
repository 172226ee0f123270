/** Proposals against sums of their own: sizes by trying every number of violations, days and weights by hand, and campaigns that are drawn as foreseen. */
import { load } from 'js-yaml';
import t from 'tap';
import { campaignYaml, foresightOf, likelySize, OUTLOOK_AT, plannedCampaign, proposalOf } from '../../src/risk/proposal.ts';
import { claimSize } from '../../src/risk/plan.ts';
import { binomialCdf } from '../../src/risk/special.ts';
import { campaigns } from '../helpers/campaigns.ts';
import { randomOf, seed } from '../helpers/runs.ts';

const CLAIM = { below: 0.02, confidence: 0.95 };

t.test('labels with which a claim likely comes out are the least, by trying all', async (t) => {
  for (const below of [0.01, 0.02, 0.05]) {
    for (const share of OUTLOOK_AT) {
      let errors = 0;
      while (binomialCdf(errors, claimSize(below, errors), share * below) < 0.8) errors++;
      t.equal(likelySize(below, share * below), claimSize(below, errors), `${share} of ${below}: ${errors} violations`);
    }
  }
  t.equal(likelySize(0.02, 0.0000001), claimSize(0.02, 0));
  t.equal(likelySize(0.02, 0.01999), undefined, 'so near the threshold nobody labels enough');
  t.throws(() => likelySize(0.02, 0.02), { message: /lies between 0 and 0\.02/ });
});

t.test('drawn alike, each label counts as one, and days follow from labels a week', async (t) => {
  const found = proposalOf([{ stratum: 'rest', per_week: 70_000 }], 70, CLAIM);
  t.match(found, { strata: [{ stratum: 'rest', probability: 0.001, labels_per_week: 70 }], labels_per_week: 70, days_at_least: Math.ceil(149 / 10) });
  t.ok(Math.abs(found.design_effect - 1) < 1e-12);
  t.same(found.outlook.map(({ rate }) => rate), OUTLOOK_AT.map((share) => share * 0.02));
  for (const { rate, labels, days } of found.outlook) t.same([labels, days], [likelySize(0.02, rate), Math.ceil(likelySize(0.02, rate)! / 10)]);
});

t.test('small strata have a tenth of the labels, those without traffic the share of all, and what is less than a label is drawn whole', async (t) => {
  const { strata, labels_per_week: labels, design_effect: effect } = proposalOf([{ stratum: 'doubtful', per_week: 1_000 }, { stratum: 'unscored', per_week: 0 }, { stratum: 'odd', per_week: 0.4 }, { stratum: 'rest', per_week: 99_000 }], 100, CLAIM);
  t.same(strata.map(({ stratum }) => stratum), ['doubtful', 'unscored', 'odd', 'rest']);
  t.match(strata, [{ probability: 0.01, labels_per_week: 10 }, { probability: 0.001, labels_per_week: 0 }, { probability: 1 }, { probability: 0.000909 }]);
  const seen = strata.filter(({ per_week: texts }) => texts > 0);
  const [n, populations] = [seen.map((one) => one.labels_per_week), seen.map((one) => one.per_week)];
  const weights = populations.map((population, at) => population / n[at]!);
  const by = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  t.ok(Math.abs(effect - (by(n) * by(n.map((count, at) => count * weights[at]! ** 2))) / by(n.map((count, at) => count * weights[at]!)) ** 2) < 1e-9);
  t.ok(effect > 1 && effect < 1.15 && Math.abs(labels - 100.4) < 1, `${effect}`);
  t.match(proposalOf([{ stratum: 'rest', per_week: 40 }], 100, CLAIM), { strata: [{ probability: 1, labels_per_week: 40 }] }, 'no more than there is');
  t.match(foresightOf([], CLAIM), { labels_per_week: 0, design_effect: 1, days_at_least: null, outlook: [{ days: null }, { days: null }, { days: null }] });
  for (const wrong of [0, 1.5, -1]) t.throws(() => proposalOf([], wrong, CLAIM), { message: /whole number from 1/ });
});

t.test('a week that is drawn as proposed has as many labels as foreseen, over 2,000 weeks', async (t) => {
  const random = randomOf(seed);
  const { strata, labels_per_week: foreseen } = proposalOf([{ stratum: 'doubtful', per_week: 60 }, { stratum: 'rest', per_week: 700 }], 50, CLAIM);
  const weeks = 2_000;
  let drawn = 0;
  for (let week = 0; week < weeks; week++) for (const { per_week: texts, probability } of strata) for (let i = 0; i < texts; i++) if (random() < probability) drawn++;
  t.ok(Math.abs(drawn / weeks - foreseen) < 5 * Math.sqrt(foreseen / weeks), `${drawn / weeks} of ${foreseen}, seed ${seed}`);
});

t.test('the YAML is a campaign that the configuration takes', async (t) => {
  const campaign = plannedCampaign('new-campaign', ['one']);
  const foresight = proposalOf([{ stratum: 'doubtful', per_week: 1_000 }, { stratum: 'unscored', per_week: 20 }, { stratum: 'rest', per_week: 50_000_000 }], 100, { below: 0.005, confidence: 0.99 });
  const text = campaignYaml(campaign, foresight, { below: 0.005, confidence: 0.99 });
  t.notMatch(text, /e-\d/, 'no exponents');
  const { risk } = load(text) as { readonly risk: { readonly campaigns: readonly object[] } };
  const [read] = campaigns(...risk.campaigns);
  t.match(read, { id: 'new-campaign', tenants: ['one'], strata: [{ id: 'doubtful', score_from: 0.3 }, { id: 'unscored', unknown: true }, { id: 'rest' }], claim: { below_percent: 0.5, confidence_percent: 99 } });
  t.same(read!.strata.map(({ probability_percent: percent }) => Number((percent! / 100).toPrecision(3))), foresight.strata.map(({ probability }) => probability));
});
