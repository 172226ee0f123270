/**
 * Where violations that got through concentrate, and which classifier came nearest to them: labelled texts with what the
 * machine knew of them, violations beside safe ones, by score band, nearest score, missing score, stratum, tenant, model and
 * policy. Shares are of what was labelled and not of the traffic, since strata are drawn unlike; a group stands out where its
 * share among violations is above that among safe texts beyond chance, all groups looked at together. Names and numbers, never
 * content. Pure.
 *
 * Sources: `trend.ts` for the comparison of two shares; Bonferroni for many.
 */
import { midP, type Interval } from './intervals.ts';
import { changeBetween } from './trend.ts';

/** What was known of a labelled text. */
export interface JudgedFacts {
  readonly label: 'safe' | 'violation';
  /** Of a violation, as people call it. */
  readonly category: string | null;
  readonly tenant_id: string;
  readonly stratum: string;
  readonly started_at: string;
  readonly model: string | null;
  /** `id@revision` */
  readonly policy: string | null;
  readonly results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number | undefined; readonly unknown?: unknown }[];
}

export const MISS_DIMENSIONS = ['score', 'nearest', 'missing', 'stratum', 'tenant', 'model', 'policy'] as const;
export type MissDimension = (typeof MISS_DIMENSIONS)[number];

export interface MissShare {
  readonly of: number;
  readonly share: number;
  readonly interval: Interval;
}

export interface MissGroup {
  readonly dimension: MissDimension;
  readonly name: string;
  /** Of all violations that were looked at, and of all safe texts. */
  readonly violations: MissShare;
  readonly safe: MissShare;
  /** Share among violations over share among safe texts; null: none of those. */
  readonly ratio: number | null;
  /** Of all groups together. */
  readonly p: number;
  readonly stands_out: boolean;
}

/** Which score was the highest where people found this. */
export interface NearestScore {
  readonly category: string;
  readonly violations: number;
  /** `classifier.category`, the most frequent first. */
  readonly nearest: readonly { readonly name: string; readonly texts: number; readonly median_score: number }[];
}

export interface NearMisses {
  readonly violations: number;
  readonly safe: number;
  /** When the first and the last of them were decided. */
  readonly from: string | null;
  readonly until: string | null;
  /** The most violations first within each dimension. */
  readonly groups: readonly MissGroup[];
  readonly categories: readonly NearestScore[];
}

/** Where bands begin. */
export const SCORE_BANDS: readonly number[] = [0, 0.1, 0.3, 0.5, 0.7, 0.9];
const GROUPS_MAX = 10;
const NEAREST_MAX = 3;
const ALPHA = 0.05;
const NONE = 'none';

export function nearMissesOf(facts: readonly JudgedFacts[]): NearMisses {
  const [violations, safe] = [facts.filter(({ label }) => label === 'violation'), facts.filter(({ label }) => label === 'safe')];
  const times = facts.map((one) => one.started_at).sort();
  const found = MISS_DIMENSIONS.flatMap((dimension) => groupsOf(dimension, violations, safe));
  return {
    violations: violations.length, safe: safe.length, from: times[0] ?? null, until: times.at(-1) ?? null,
    groups: found.map((group) => {
      const p = Math.min(1, group.p * found.length);
      return { ...group, p, stands_out: p <= ALPHA && (group.ratio === null || group.ratio > 1) };
    }),
    categories: [...Map.groupBy(violations, ({ category }) => category ?? NONE)].map(([category, part]) => ({ category, violations: part.length, nearest: nearestOf(part) })).sort((a, b) => b.violations - a.violations || (a.category < b.category ? -1 : 1)),
  };
}

function groupsOf(dimension: MissDimension, violations: readonly JudgedFacts[], safe: readonly JudgedFacts[]): readonly Omit<MissGroup, 'stands_out'>[] {
  const names = NAMES[dimension];
  const [found, other] = [countsOf(violations, names), countsOf(safe, names)];
  const all = [...new Set([...found.keys(), ...other.keys()])].sort((a, b) => (found.get(b) ?? 0) - (found.get(a) ?? 0) || (a < b ? -1 : 1)).slice(0, GROUPS_MAX);
  return all.map((name) => {
    const [of, among] = [found.get(name) ?? 0, other.get(name) ?? 0];
    const change = changeBetween({ start: '', events: among, n: safe.length }, { start: '', events: of, n: violations.length });
    return { dimension, name, violations: shareOf(of, violations.length), safe: shareOf(among, safe.length), ratio: change?.ratio ?? null, p: change?.p ?? 1 };
  });
}

/** A text may be in several groups of one dimension. */
const NAMES: Readonly<Record<MissDimension, (facts: JudgedFacts) => readonly string[]>> = {
  score: (facts) => [bandOf(highest(facts)?.score ?? 0)],
  nearest: (facts) => [highest(facts)?.name ?? NONE],
  missing: ({ results }) => {
    const missing = [...new Set(results.flatMap(({ classifier_id: id, unknown }) => (unknown === undefined ? [] : [id])))];
    return missing.length === 0 ? [NONE] : missing;
  },
  stratum: ({ stratum }) => [stratum],
  tenant: ({ tenant_id: id }) => [id],
  model: ({ model }) => [model ?? NONE],
  policy: ({ policy }) => [policy ?? NONE],
};

function countsOf(facts: readonly JudgedFacts[], names: (facts: JudgedFacts) => readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const one of facts) for (const name of names(one)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** Undefined where nothing scored above 0. */
function highest({ results }: JudgedFacts): { readonly name: string; readonly score: number } | undefined {
  let best: { readonly name: string; readonly score: number } | undefined;
  for (const { classifier_id: id, category, score = 0 } of results) if (score > (best?.score ?? 0)) best = { name: `${id}.${category}`, score };
  return best;
}

export function bandOf(score: number): string {
  const at = SCORE_BANDS.findLastIndex((from) => score >= from);
  return `${SCORE_BANDS[at]!.toFixed(1)} to ${(SCORE_BANDS[at + 1] ?? 1).toFixed(1)}`;
}

function shareOf(of: number, n: number): MissShare {
  return { of, share: n === 0 ? 0 : of / n, interval: n === 0 ? { low: 0, high: 1 } : midP(of, n) };
}

function nearestOf(violations: readonly JudgedFacts[]): NearestScore['nearest'] {
  const scores = Map.groupBy(violations.map((one) => highest(one) ?? { name: NONE, score: 0 }), ({ name }) => name);
  return [...scores].map(([name, part]) => ({ name, texts: part.length, median_score: part.map(({ score }) => score).sort((a, b) => a - b)[Math.floor(part.length / 2)]! })).sort((a, b) => b.texts - a.texts || (a.name < b.name ? -1 : 1)).slice(0, NEAREST_MAX);
}
