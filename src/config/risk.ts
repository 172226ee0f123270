/**
 * The configuration of residual-risk campaigns: what is drawn from which traffic, with which probability, and how people
 * label it. Declared here as in schema; what a campaign means is for screen/sampler, and whether it suffices for risk/.
 */
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import { INCLUSION_PROBABILITY_MIN, SAMPLED_DECISIONS } from '../contract/risk.ts';
import { choice, flag, list, mapping, name, number, text, whole, type Shape, type TypeOf } from './shape.ts';

const DAY_MS = 86_400_000;
/** INCLUSION_PROBABILITY_MIN. */
const PERCENT_MIN = 0.0001;
const time = (description: string, example: string) => text(description, { pattern: /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/, patternMeaning: 'a time such as 2030-01-31T00:00:00Z', example });
const names = (description: string) => list(description, name('A name.'), { countMax: 1000, countMin: 1, example: ['default'] });
const products = (description: string) => list(description, text('As under tenants[].product.', { lengthMax: 200 }), { countMax: 1000, countMin: 1, example: ['Help centre'] });
const modalities = (description: string) => list(description, choice('A modality.', CONTENT_TYPES), { countMax: CONTENT_TYPES.length, countMin: 1, example: ['text'] });
const decisions = (description: string) => list(description, choice('A decision.', SAMPLED_DECISIONS), { countMax: SAMPLED_DECISIONS.length, countMin: 1, example: ['passed'] });

const stratum = mapping('A part of the population; a text belongs to the first that it fits.', {
  id: name('Name in records.', { required: true, example: 'likely' }),
  decisions: decisions('Only what became of the text; absent: any.'),
  tenants: names('Only of these tenants; absent: any.'),
  products: products('Only of these products; absent: any.'),
  modalities: modalities('Only these; absent: any.'),
  classifiers: names('Whose scores the two below read; absent: of all.'),
  score_from: number('Only where the highest score is at least this.', { min: 0, max: 1, example: 0.3 }),
  score_below: number('Only where the highest score is below this.', { min: 0, max: 1, example: 0.8 }),
  unknown: flag('Only where a score was missing (true), or none was (false); absent: either.', { example: true }),
  probability_percent: number('With which a text of it is drawn.', { min: PERCENT_MIN, max: 100, example: 1 }),
  total: whole('How many are to be drawn of the number below; probability_percent, where it is given too, is the most that this can make.', { min: 1, max: 1e9, example: 1000 }),
  expected: whole('How many texts the stratum is expected to have within the dates.', { min: 1, max: 1e12, example: 100_000 }),
});

const campaignFields = mapping('One campaign.', {
  id: name('Name in records.', { required: true, example: 'answers-2030' }),
  tenants: names('Its tenants; absent: all whose data.campaigns is true. Of a tenant where it is not, nothing is drawn.'),
  products: products('Its products; absent: all.'),
  directions: list('What is drawn.', choice('A direction.', DIRECTIONS), { default: ['output'], countMin: 1, countMax: 2 }),
  decisions: decisions('Its population by what became of the text; absent: what passed or was redacted, which is what was served.'),
  modalities: modalities('Its modalities; absent: all.'),
  strata: list('Its parts, each with a probability; what fits none is not drawn.', stratum, { required: true, countMin: 1, countMax: 100 }),
  claim: mapping('What is to be shown: that the rate of violations is below this.', {
    below_percent: number('The rate.', { default: 2, min: 0.001, max: 50 }),
    confidence_percent: number('One-sided confidence.', { default: 95, min: 50, max: 99.99 }),
  }, { default: {} }),
  precision_percent: number('Half the width that the interval of the rate is to have, in percentage points, in place of the claim.', { min: 0.001, max: 50, example: 0.5 }),
  from: time('When it begins; absent: at once.', '2030-01-01T00:00:00Z'),
  until: time('When it ends; absent: when it is taken out of the configuration.', '2030-04-01T00:00:00Z'),
  double_blind_percent: number('How much of it two people label without each other, and a third where they differ.', { default: 10, min: 0, max: 100 }),
  calibration_percent: number('How many of the items that people are given have a known answer.', { default: 5, min: 0, max: 50 }),
  keep_days: whole('Days for which what is drawn is kept, sealed; of several campaigns of a tenant the longest counts.', { default: 90, min: 1, max: 3650, unit: 'days' }),
  seed_file: text('A file whose bytes decide what is drawn, so that others can check it; absent: made of hash.key in data_dir.', { lengthMax: 4096, pattern: /^[^\0]+$/, patternMeaning: 'a path', example: './answers.seed' }),
});

export type CampaignConfig = NonNullable<TypeOf<typeof campaignFields>>;
export type StratumConfig = CampaignConfig['strata'][number];

/** What tells which texts a stratum, and a campaign, is of, whether it is configured or only thought of. Without dates it is always on. */
export type PlannedStratum = Pick<StratumConfig, 'id'> & Partial<StratumConfig>;
export type PlannedCampaign = Pick<CampaignConfig, 'id' | 'directions'> & Partial<Pick<CampaignConfig, 'tenants' | 'products' | 'decisions' | 'modalities' | 'from' | 'until' | 'seed_file'>> & { readonly strata: readonly PlannedStratum[] };

/** Pages of the console beside those of campaigns. */
export const NAMES_TAKEN: readonly string[] = ['annotate', 'annotators', 'calibration', 'disputes'];

const campaign: Shape<CampaignConfig | undefined> = {
  ...campaignFields,
  read(value, site) {
    const fields = campaignFields.read(value, site);
    if (fields === undefined) return undefined;
    const { id, strata = [], from, until } = fields;
    if (NAMES_TAKEN.includes(id)) site.child('id').refuse(`the console has a page of this name; give the campaign another, such as ${id}-1`);
    for (const [index, one] of strata.entries()) {
      const problem = stratumProblem(one);
      if (problem !== undefined) site.child('strata').child(index).refuse(problem);
      else if (strata.findIndex(({ id }) => id === one.id) < index) site.child('strata').child(index).child('id').refuse(`a second stratum ${one.id}`);
    }
    if (from !== undefined && until !== undefined && Date.parse(from) >= Date.parse(until)) site.child('until').refuse('it ends before it begins');
    return fields;
  },
};

function stratumProblem({ probability_percent: probability, total, expected, score_from: from, score_below: below }: StratumConfig): string | undefined {
  if (probability === undefined && total === undefined) return 'a stratum needs probability_percent, or total with expected';
  if ((total === undefined) !== (expected === undefined)) return 'total and expected go together';
  if (total !== undefined && total / expected! < INCLUSION_PROBABILITY_MIN) return `total of expected is a probability of ${total / expected!}, and the least is ${INCLUSION_PROBABILITY_MIN}: ${Math.ceil(expected! * INCLUSION_PROBABILITY_MIN)} or more of ${expected}`;
  return from !== undefined && below !== undefined && from >= below ? 'score_from is not below score_below' : undefined;
}

export const RISK = mapping('Residual-risk campaigns: some of the traffic is drawn with a known probability, and people label it.', {
  campaigns: list('The campaigns; each tenant that takes part says so by data.campaigns.', campaign, { default: [], countMax: 100 }),
  annotation: mapping('How people label.', {
    lease_ms: whole('How long a batch is its annotator’s alone without being renewed.', { default: 1_800_000, min: 10_000, max: DAY_MS, unit: 'ms' }),
    batch_items: whole('Items that one person is given at a time.', { default: 20, min: 1, max: 200 }),
    daily_max: whole('Items that one person labels on a day, in UTC.', { default: 400, min: 1, max: 100_000 }),
    violations_daily_max: whole('Of them those that they find to be violations, after which they are given no more that day.', { default: 100, min: 1, max: 100_000 }),
    agreement_percent: number('Agreement with known answers below which a person is paused.', { default: 92, min: 50, max: 99.9 }),
    calibration_checks_min: whole('Known answers from which on the share that is right decides; before, only proof that it is too low.', { default: 50, min: 5, max: 10_000 }),
  }, { default: {} }),
}, { default: {} });

export type RiskConfig = NonNullable<TypeOf<typeof RISK>>;
