/**
 * How far people who label the same things agree: raw agreement, Cohen's kappa of two, Krippendorff's alpha of any number
 * with labels missing, each for labels without an order (nominal). Intervals by resampling the items. Raw agreement is
 * always told beside the others, which collapse where one label is rare. Pure.
 *
 * Sources: Cohen, "A coefficient of agreement for nominal scales" (1960); Krippendorff, "Computing Krippendorff's
 * alpha-reliability" (2011), nominal data by the matrix of coincidences.
 */

/** One person's label of one thing; a person labels a thing once. */
export interface Rating {
  readonly item: string;
  readonly rater: string;
  readonly label: string;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Agreement {
  /** Things that two or more people labelled. */
  readonly items: number;
  readonly raters: number;
  /** Share of pairs of labels of one thing that are the same, each thing counting alike. */
  readonly raw: number;
  /** 1: always the same; 0: as by chance; below: less than that. Undefined where only one label was given at all. */
  readonly alpha: number | undefined;
  /** 95 %, of `alpha`; undefined where there are too few things to resample. */
  readonly interval: Interval | undefined;
  /** Of each label: of the pairs in which one gave it, the share in which both did. */
  readonly byLabel: readonly { readonly label: string; readonly pairs: number; readonly agreement: number }[];
}

/** With fewer things an interval says nothing. */
const RESAMPLED_ITEMS_MIN = 5;
const RESAMPLES = 1_000;

/** Undefined where nothing was labelled twice. `random` in [0, 1). `resamples` 0: without an interval, which takes long where there are many. */
export function agreementOf(ratings: readonly Rating[], random: () => number, resamples: 0 | typeof RESAMPLES = RESAMPLES): Agreement | undefined {
  const items = [...grouped(ratings).values()].filter((labels) => labels.length > 1);
  if (items.length === 0) return undefined;
  const raters = new Set(ratings.map(({ rater }) => rater)).size;
  return { items: items.length, raters, raw: mean(items.map(rawOf)), alpha: alphaOf(items), interval: resamples === 0 ? undefined : intervalOf(items, random), byLabel: byLabel(items) };
}

/** Cohen's kappa over what both labelled; undefined where that is nothing, or both gave one label throughout. */
export function cohensKappa(ratings: readonly Rating[], first: string, second: string): { readonly items: number; readonly kappa: number } | undefined {
  const of = (rater: string): ReadonlyMap<string, string> => new Map(ratings.filter((rating) => rating.rater === rater).map(({ item, label }) => [item, label]));
  const [a, b] = [of(first), of(second)];
  const pairs = [...a].flatMap(([item, label]) => (b.has(item) ? [[label, b.get(item)!] as const] : []));
  if (pairs.length === 0) return undefined;
  const share = (isSo: (pair: readonly [string, string]) => boolean): number => pairs.filter(isSo).length / pairs.length;
  const chance = [...new Set(pairs.flat())].reduce((sum, label) => sum + share(([x]) => x === label) * share(([, y]) => y === label), 0);
  return chance === 1 ? undefined : { items: pairs.length, kappa: (share(([x, y]) => x === y) - chance) / (1 - chance) };
}

/** Labels by item. */
function grouped(ratings: readonly Rating[]): ReadonlyMap<string, readonly string[]> {
  const items = new Map<string, string[]>();
  for (const { item, label } of ratings) {
    const labels = items.get(item);
    if (labels === undefined) items.set(item, [label]);
    else labels.push(label);
  }
  return items;
}

function countsOf(labels: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

function rawOf(labels: readonly string[]): number {
  const same = [...countsOf(labels).values()].reduce((sum, count) => sum + count * (count - 1), 0);
  return same / (labels.length * (labels.length - 1));
}

/** One less the ratio of observed to expected disagreement. `times`: how often each item counts; default once. */
function alphaOf(items: readonly (readonly string[])[], times?: Uint32Array): number | undefined {
  const totals = new Map<string, number>();
  let values = 0;
  let coincident = 0;
  for (const [at, labels] of items.entries()) {
    const often = times?.[at] ?? 1;
    values += often * labels.length;
    for (const [label, count] of countsOf(labels)) {
      totals.set(label, (totals.get(label) ?? 0) + often * count);
      coincident += (often * (count * (count - 1))) / (labels.length - 1);
    }
  }
  const byChance = [...totals.values()].reduce((sum, total) => sum + total * (total - 1), 0) / (values - 1);
  return byChance === values ? undefined : 1 - (values - coincident) / (values - byChance);
}

/** Percentiles of alpha over resampled items; those that drew one label alone tell nothing and are left out. Items that were labelled alike count as one kind, however many they are. */
function intervalOf(items: readonly (readonly string[])[], random: () => number): Interval | undefined {
  if (items.length < RESAMPLED_ITEMS_MIN) return undefined;
  const kinds = [...Map.groupBy(items.keys(), (at) => JSON.stringify([...items[at]!].sort())).values()];
  const kindOf = new Uint32Array(items.length);
  kinds.forEach((alike, kind) => alike.forEach((at) => (kindOf[at] = kind)));
  const alphas: number[] = [];
  for (let i = 0; i < RESAMPLES; i++) {
    const drawn = new Uint32Array(kinds.length);
    for (let k = 0; k < items.length; k++) drawn[kindOf[Math.floor(random() * items.length)]!]!++;
    const alpha = alphaOf(kinds.map(([first]) => items[first!]!), drawn);
    if (alpha !== undefined) alphas.push(alpha);
  }
  if (alphas.length < RESAMPLES / 2) return undefined;
  alphas.sort((a, b) => a - b);
  const at = (share: number): number => alphas[Math.min(alphas.length - 1, Math.floor(share * alphas.length))]!;
  return { low: at(0.025), high: at(0.975) };
}

function byLabel(items: readonly (readonly string[])[]): Agreement['byLabel'] {
  const pairs = new Map<string, { any: number; both: number }>();
  for (const labels of items) {
    const counts = countsOf(labels);
    for (const [label, count] of counts) {
      const found = pairs.get(label) ?? { any: 0, both: 0 };
      const both = (count * (count - 1)) / 2;
      found.both += both;
      found.any += both + count * (labels.length - count);
      pairs.set(label, found);
    }
  }
  return [...pairs].map(([label, { any, both }]) => ({ label, pairs: any, agreement: both / any })).sort((a, b) => b.pairs - a.pairs || (a.label < b.label ? -1 : 1));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
