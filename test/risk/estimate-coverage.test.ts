/**
 * Simulated traffic with a known rate, drawn, labelled in part and estimated: 95 % intervals hold the truth in 94 to 96 % of
 * worlds wherever the labels hold some twenty violations, and not less often where they hold fewer. 2,000 worlds with
 * `WEIR_TEST_RUNS=10` or more, a tenth of that otherwise. Seeded, so that a result does not depend on luck.
 */
import t from 'tap';
import { estimateRate, type SampledItem } from '../../src/risk/estimate.ts';
import { drawBinomial, monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs } from '../helpers/runs.ts';

const worlds = runs(1) > 1 ? 2_000 : 100;

/** Parts of the traffic: its share, its rate and its inclusion probability against the others', and how many labels come back. */
interface Part {
  readonly share: number;
  readonly rate: number;
  readonly draw: number;
  readonly response: number;
}

const TRAFFIC = 400_000;
const DESIGNS: Readonly<Record<string, readonly Part[]>> = {
  'simple random': [{ share: 1, rate: 1, draw: 1, response: 1 }],
  'bands, drawn alike': [{ share: 0.9, rate: 1, draw: 1, response: 1 }, { share: 0.08, rate: 5, draw: 1, response: 1 }, { share: 0.02, rate: 20, draw: 1, response: 1 }],
  'bands, the risky drawn more, some silent': [{ share: 0.9, rate: 1, draw: 0.6, response: 0.9 }, { share: 0.08, rate: 5, draw: 3, response: 0.8 }, { share: 0.02, rate: 20, draw: 10, response: 0.7 }],
  'one part hardly drawn': [{ share: 0.7, rate: 1, draw: 0.3, response: 1 }, { share: 0.3, rate: 1, draw: 2, response: 0.9 }],
};

interface Drawn {
  readonly stratum: string;
  readonly size: number;
  readonly rate: number;
  readonly probability: number;
  readonly response: number;
}

for (const [design, parts] of Object.entries(DESIGNS)) {
  t.test(design, async (t) => {
    const random = randomOf(20_260_101);
    for (const [rate, labels] of [[0.002, 6_000], [0.005, 6_000], [0.01, 3_000], [0.02, 3_000], [0.05, 3_000], [0.1, 3_000]] as const) {
      const strata = drawnOf(parts, rate, labels);
      const truth = strata.reduce((sum, { size, rate: own }) => sum + (size / TRAFFIC) * own, 0);
      const found = simulated(strata, truth, random);
      const error = monteCarloError(found.coverage, worlds);
      t.comment(`rate ${(100 * truth).toFixed(2)} %, ${labels} drawn, violations seen ${found.violations.toFixed(0)}, effective ${found.effective.toFixed(1)}: coverage ${(100 * found.coverage).toFixed(2)} ± ${(100 * error).toFixed(2)} %, below ${(100 * found.below).toFixed(2)}, above ${(100 * found.above).toFixed(2)}; one-sided limit too low ${(100 * found.missed).toFixed(2)} %`);
      t.ok(found.coverage >= 0.94 - 2 * error, `holds the truth: ${found.coverage}`);
      if (found.effective >= 20) t.ok(found.coverage <= 0.96 + 2 * error, `and is no wider than that: ${found.coverage}`);
      t.ok(found.missed <= 0.05 + 2 * monteCarloError(0.05, worlds), `a claim at 95 % is wrong in at most 5 %: ${found.missed}`);
    }
  });
}

function drawnOf(parts: readonly Part[], rate: number, labels: number): readonly Drawn[] {
  const [rates, draws] = [parts.reduce((sum, { share, rate: own }) => sum + share * own, 0), parts.reduce((sum, { share, draw }) => sum + share * draw, 0)];
  return parts.map((part, i) => ({ stratum: String(i), size: Math.round(part.share * TRAFFIC), rate: Math.min(0.9, (rate * part.rate) / rates), probability: Math.min(1, ((part.draw / draws) * labels) / TRAFFIC), response: part.response }));
}

function simulated(strata: readonly Drawn[], truth: number, random: () => number): Readonly<Record<'coverage' | 'below' | 'above' | 'missed' | 'violations' | 'effective', number>> {
  const population = new Map(strata.map(({ stratum, size }) => [stratum, size]));
  let [below, above, missed, violations, effective] = [0, 0, 0, 0, 0];
  for (let world = 0; world < worlds; world++) {
    const found = estimateRate(strata.flatMap((one) => itemsOf(one, random)), { population });
    if (found.interval.high < truth) below++;
    if (found.interval.low > truth) above++;
    if (found.upper < truth) missed++;
    violations += found.violations / worlds;
    effective += (found.effectiveSize * truth) / worlds;
  }
  return { coverage: 1 - (below + above) / worlds, below: below / worlds, above: above / worlds, missed: missed / worlds, violations, effective };
}

function itemsOf({ stratum, size, rate, probability, response }: Drawn, random: () => number): SampledItem[] {
  const drawn = drawBinomial(random, size, probability);
  const labelled = drawBinomial(random, drawn, response);
  const violating = drawBinomial(random, labelled, rate);
  const items = (count: number, label?: 'safe' | 'violation'): SampledItem[] => Array<SampledItem>(count).fill({ stratum, inclusion_probability: probability, label });
  return [...items(violating, 'violation'), ...items(labelled - violating, 'safe'), ...items(drawn - labelled)];
}
