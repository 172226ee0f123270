/** From decisions to a rate, with the real draw: many campaigns over the same traffic, whose true rate is known by counting. */
import { createHmac } from 'node:crypto';
import t from 'tap';
import { estimateByDomain, estimateRate, type SampledItem } from '../../src/risk/estimate.ts';
import { allocate } from '../../src/risk/plan.ts';
import { Sampler } from '../../src/screen/sampler.ts';
import { campaigns as read, exchange, scored, tenant } from '../helpers/campaigns.ts';
import { monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs } from '../helpers/runs.ts';

const campaigns = runs(1) > 1 ? 2_000 : 60;
/** Where bands of scores part, and about what each is thought to hold. */
const BANDS = [{ from: 0, below: 0.3, rate: 0.005 }, { from: 0.3, below: 0.7, rate: 0.02 }, { from: 0.7, rate: 0.1 }];

interface Served {
  readonly id: string;
  readonly product: string;
  readonly score: number;
  readonly isViolation: boolean;
}

/** Two products; violations more frequent where the score was higher. */
function traffic(count: number): readonly Served[] {
  const random = randomOf(21);
  return Array.from({ length: count }, (_, i) => {
    const score = random() ** 4;
    return { id: `request-${i}`, product: random() < 0.7 ? 'support' : 'search', score, isViolation: random() < 0.004 + 0.15 * score ** 3 };
  });
}

t.test('campaigns planned by Neyman, drawn by the hash, estimated: the intervals hold the rate that counting everything gives', async (t) => {
  const served = traffic(8_000);
  const strata = ['support', 'search'].flatMap((product) => BANDS.map((band, at) => ({ id: `${product}-${at}`, product, ...band })));
  const fits = ({ product, score }: Served, one: (typeof strata)[number]): boolean => product === one.product && score >= one.from && score < (one.below ?? Infinity);
  const population = new Map(strata.map((one) => [one.id, served.filter((unit) => fits(unit, one)).length]));
  const shares = allocate({ n: 1_500, method: 'neyman', stratumMin: 100, strata: strata.map(({ id, rate }) => ({ stratum: id, population: population.get(id)!, rate })) });
  const config = read({ id: 'c', directions: ['output'], strata: strata.map(({ id, product, from, below }) => ({ id, products: [product], score_from: from, ...(below === undefined ? {} : { score_below: below }), probability_percent: 100 * shares.find(({ stratum }) => stratum === id)!.inclusion_probability })) });
  const truth = served.filter(({ isViolation }) => isViolation).length / served.length;
  const [search, all] = [served.filter(({ product }) => product === 'search'), { held: 0, mean: 0, inSearch: 0, below: 0 }];
  const inSearch = search.filter(({ isViolation }) => isViolation).length / search.length;
  for (let campaign = 0; campaign < campaigns; campaign++) {
    const sampler = new Sampler(config, () => createHmac('sha256', 'campaign').update(String(campaign)).digest());
    const items = served.flatMap(({ id, product, score, isViolation }): (SampledItem & { readonly product: string })[] =>
      sampler.draw(tenant({ product }), exchange(id, { input: undefined, output: scored(score) })).map(({ stratum, probability }) => ({ stratum, inclusion_probability: probability, product, label: isViolation ? 'violation' : 'safe' })));
    const found = estimateRate(items, { population });
    const domain = estimateByDomain(items, ({ product }) => product, { population }).get('search')!;
    all.mean += found.rate! / campaigns;
    if (found.interval.low <= truth && truth <= found.interval.high) all.held++;
    if (found.upper < truth) all.below++;
    if (domain.interval.low <= inSearch && inSearch <= domain.interval.high) all.inSearch++;
    if (campaign === 0) t.equal(domain.population, search.length, 'the population of a product is counted, not estimated');
  }
  const error = monteCarloError(0.95, campaigns);
  t.comment(`truth ${(100 * truth).toFixed(3)} %, mean estimate ${(100 * all.mean).toFixed(3)} %; coverage ${((100 * all.held) / campaigns).toFixed(2)} %, of one product ${((100 * all.inSearch) / campaigns).toFixed(2)} %, ± ${(100 * error).toFixed(2)}; limit too low in ${((100 * all.below) / campaigns).toFixed(2)} %`);
  t.ok(Math.abs(all.mean - truth) < 0.15 * truth, 'the mean is the truth');
  // A good part of the traffic is labelled, and no finite-population correction made: never less than 95 %, often more.
  t.ok(all.held / campaigns >= 0.95 - 2 * error && all.inSearch / campaigns >= 0.95 - 2 * error, `${all.held} and ${all.inSearch} of ${campaigns}`);
  t.ok(all.below / campaigns <= 0.05 + 2 * error, `${all.below}`);
});
