/**
 * What a tenant's weekly report finds, from what the stores tell. Guarantees: the same facts give the same findings, to the
 * digit; every number stands with the same hours of the week before, or says that they are not known; every rate of a sample
 * has its n and interval; what is not measured is null and never 0. Keys are stable: they are only ever added to. Pure.
 */
import type { Resolution } from '../../contract/review.ts';
import { retroactiveActionOf, type ReviewOrigin } from '../../contract/review.ts';
import { DIRECTIONS, type Severity } from '../../contract/screening.ts';
import { overridesOf, type Overrides, type Rate, type RuleOverrides } from '../../review/overrides.ts';
import { estimateRate } from '../../risk/estimate.ts';
import { wilson, type Interval } from '../../risk/intervals.ts';
import { summaryOf, type ClaimStatus } from '../../risk/status.ts';
import { PARTS, type DecisionPart } from '../../store/decision-rows.ts';
import { quantileOfSteps } from '../../store/latency-quantiles.ts';
import type { CampaignFacts, CountedRange, ReportedTenant, ReportScope, ReviewFacts, WeeklyFacts } from './facts.ts';
import { namedFigures, rounded, shareOf, timesOf, type Figure, type NamedFigure, type Share, type Times } from './figures.ts';
import { CountTally } from './tally.ts';
import { trendsOf, type CategoryTrend, type FoundIn } from './trends.ts';
import { DAY_MS, HOUR_MS } from './weeks.ts';

export interface WeeklyFindings {
  readonly tenant: ReportedTenant;
  readonly scope: ReportScope;
  readonly period: {
    /** Null: it is no week. */
    readonly week: string | null;
    readonly from: string;
    readonly until: string;
    /** As far as it was over when the report was made. */
    readonly counted_until: string;
    readonly is_over: boolean;
    /** Hours that passed their retention, and from when on there are any; null: none did. */
    readonly missing: { readonly hours: number; readonly known_from: string } | null;
    /** What every number is held against. */
    readonly before: { readonly from: string; readonly until: string; readonly is_known: boolean };
    /** Weeks before that trends are held against, of four. */
    readonly weeks_known: number;
    readonly time_zone: 'UTC';
  };
  readonly volume: {
    readonly exchanges: Figure;
    /** Prompts and answers that were decided, and what was decided after the fact. */
    readonly decisions: Readonly<Record<DecisionPart, Figure>>;
    readonly outcomes: readonly NamedFigure[];
    readonly days: readonly { readonly from: string; readonly exchanges: number; readonly acted_on: number }[];
    /** How many of the exchanges the four below count: a former version counted none of them. */
    readonly detailed: number;
    readonly routes: readonly NamedFigure[];
    readonly statuses: readonly NamedFigure[];
    readonly errors: readonly NamedFigure[];
    readonly policies: readonly NamedFigure[];
  };
  readonly actions: {
    /** Exchanges by what did most of all that was decided; `none`: nothing was. */
    readonly exchanges: readonly NamedFigure[];
    readonly by_part: Readonly<Record<DecisionPart, readonly NamedFigure[]>>;
    /** An action that did something, with each category that was found; without one: none was. */
    readonly by_category: readonly (NamedFigure & { readonly action: string; readonly category: string | null })[];
    readonly redacted_spans: Readonly<Record<'input' | 'output', Figure>>;
  };
  readonly violations: readonly CategoryTrend[];
  readonly rules: readonly (NamedFigure & { readonly false_positives: Rate | null })[];
  readonly coverage: {
    /** Scores that were missing, by classifier and why; of prompts, answers and what was heard afterwards together. */
    readonly unknown: readonly (NamedFigure & { readonly part: DecisionPart; readonly classifier: string; readonly reason: string })[];
    /** A fail mode decided. */
    readonly degraded: Figure & { readonly share: number | null };
    /** Something was not screened: exempt by policy, or nothing that can be read. */
    readonly partial: Figure & { readonly share: number | null };
    readonly unscreened: readonly (NamedFigure & { readonly direction: 'input' | 'output'; readonly why: string })[];
  };
  readonly latency: readonly { readonly name: string; readonly n: number; readonly p50_ms: number | null; readonly p95_ms: number | null; readonly p99_ms: number | null; readonly before: { readonly n: number; readonly p50_ms: number | null; readonly p95_ms: number | null; readonly p99_ms: number | null } | null }[];
  readonly availability: {
    /** Answered as they should, or refused for a reason of the caller's or of policy; failed by our fault, by the upstream's, left by the caller. */
    readonly answered: Figure;
    readonly failed: Figure;
    readonly upstream_failed: Figure;
    readonly client: Figure;
    /** Of those answered and failed; null: nothing was counted. */
    readonly share: number | null;
    readonly share_before: number | null;
  };
  readonly reviews: {
    readonly opened: Figure;
    readonly opened_by: readonly { readonly origin: ReviewOrigin; readonly severity: Severity; readonly total: number }[];
    readonly resolved: Figure;
    readonly resolutions: readonly NamedFigure[];
    readonly time_to_resolution: Times & { readonly before: Times };
    readonly overdue: Figure;
    readonly open_at_end: Figure;
  };
  readonly overrides: Overrides & { readonly before: Rate | null };
  readonly appeals: {
    readonly made: Figure;
    readonly decided: Figure;
    readonly upheld: Figure;
    readonly reversed: Figure;
    readonly to_legal: Figure;
    readonly reversal_share: Share | null;
    readonly time_to_decision: Times;
  };
  /** Null where no campaign covers the tenant: then residual risk is not measured. */
  readonly residual_risk: readonly CampaignFinding[] | null;
  readonly changes: {
    readonly policies: readonly { readonly at: string; readonly policy: string; readonly revision: number; readonly change: 'stored' | 'retired'; readonly author: string }[];
    readonly models: readonly { readonly at: string; readonly plugin: string; readonly change: 'promote' | 'rollback'; readonly model_id: string | null; readonly from_model_id: string | null; readonly sha256: string }[];
    /** Revisions that decided in the time and in none of the week before; null: not all of that is known. */
    readonly new_revisions: readonly string[] | null;
  };
  /** Names that are left out of lists, as there are too many. */
  readonly left_out: number;
}

export interface RiskFigures {
  readonly drawn: number;
  readonly labelled: number;
  readonly violations: number;
  /** Null: nothing is labelled. */
  readonly rate: number | null;
  /** For who reads it once. */
  readonly interval: Interval | null;
}

export interface CampaignFinding {
  readonly campaign: string;
  readonly is_configured: boolean;
  /** Of this tenant, since the campaign began, as the labels stood when the report was made. */
  readonly so_far: RiskFigures & { readonly waiting: number; readonly missing: number; readonly peeking: Interval | null; readonly upper: number | null; readonly bounds: Interval | null };
  /** The same of what was drawn on days of the time. */
  readonly in_period: RiskFigures;
  readonly confidence: number;
  /** Null: it has none. */
  readonly claim: { readonly below: number; readonly confidence: number; readonly state: ClaimStatus['state']; readonly labels_needed: number | null } | null;
}

/** Names of one list. */
export const NAMES_MAX = 200;

export function findingsOf(facts: WeeklyFacts): WeeklyFindings {
  const { tenant, scope, counted, before: all } = facts;
  const last = all[0]?.missingHours === 0 ? all[0] : undefined;
  const [now, before] = [new CountTally(counted.counts), last && new CountTally(last.counts)];
  const lists = new Lists();
  return {
    tenant, scope, period: periodOf(facts),
    volume: volumeOf(now, before, facts, lists), actions: actionsOf(now, before, lists),
    violations: lists.take(trendsOf(foundIn(counted), all.filter(({ missingHours }) => missingHours === 0).map(foundIn), last && foundIn(last))),
    rules: rulesOf(now, before, facts.reviews[0], lists), coverage: coverageOf(now, before, lists), latency: latencyOf(now, before), availability: availabilityOf(now, before),
    reviews: reviewsOf(facts.reviews), overrides: { ...roundedOverrides(overridesOf(facts.reviews[0].outcomes), lists), before: roundedRate(overridesOf(facts.reviews[1].outcomes).all) }, appeals: appealsOf(facts.reviews),
    residual_risk: facts.campaigns.length === 0 ? null : facts.campaigns.map(campaignOf),
    changes: changesOf(facts, now, before),
    left_out: lists.leftOut,
  };
}

/** Keeps lists short, and counts what they leave out. */
class Lists {
  leftOut = 0;

  take<One>(all: readonly One[]): readonly One[] {
    this.leftOut += Math.max(0, all.length - NAMES_MAX);
    return all.slice(0, NAMES_MAX);
  }
}

function periodOf({ range, isOver, counted, before }: WeeklyFacts): WeeklyFindings['period'] {
  const last = before[0]!;
  return {
    week: range.week, from: iso(range.fromMs), until: iso(range.untilMs), counted_until: iso(counted.untilMs), is_over: isOver,
    missing: counted.missingHours === 0 ? null : { hours: counted.missingHours, known_from: iso(range.fromMs + counted.missingHours * HOUR_MS) },
    before: { from: iso(last.fromMs), until: iso(last.untilMs), is_known: last.missingHours === 0 }, weeks_known: before.filter(({ missingHours, counts }) => missingHours === 0 && new CountTally(counts).exchanges > 0).length, time_zone: 'UTC',
  };
}

function foundIn({ fromMs, counts }: CountedRange): FoundIn {
  const tally = new CountTally(counts);
  return { from: iso(fromMs), exchanges: tally.exchanges, found: tally.names('', 'category') };
}

function figure(now: number, before: number | undefined): Figure {
  return { total: now, before: before ?? null };
}

/** A day is twenty-four hours from where the range begins. */
function volumeOf(now: CountTally, before: CountTally | undefined, { counted }: WeeklyFacts, lists: Lists): WeeklyFindings['volume'] {
  const named = (measure: 'outcome' | 'route' | 'status' | 'error' | 'policy'): readonly NamedFigure[] => lists.take(namedFigures(now.names('', measure), before?.names('', measure)));
  const days = Map.groupBy(counted.counts.series, ({ fromMs }) => Math.floor((fromMs - counted.fromMs) / DAY_MS));
  return {
    exchanges: figure(now.exchanges, before?.exchanges),
    decisions: byPart((part) => figure(now.sum(part, 'action'), before?.sum(part, 'action'))),
    outcomes: named('outcome'),
    days: Array.from({ length: Math.ceil((counted.untilMs - counted.fromMs) / DAY_MS) }, (_, day) => {
      const columns = days.get(day) ?? [];
      return { from: iso(counted.fromMs + day * DAY_MS), exchanges: totalOf(columns), acted_on: totalOf(columns.filter(({ action }) => action !== 'allow' && action !== 'none')) };
    }),
    detailed: now.sum('', 'route'), routes: named('route'), statuses: named('status'), errors: named('error'), policies: named('policy'),
  };
}

function actionsOf(now: CountTally, before: CountTally | undefined, lists: Lists): WeeklyFindings['actions'] {
  const spans = (tally: CountTally, direction: 'input' | 'output'): number => [...tally.names(direction, 'redactions')].reduce((sum, [count, total]) => sum + Number(count) * total, 0);
  return {
    exchanges: namedFigures(now.names('', 'action'), before?.names('', 'action')),
    by_part: byPart((part) => namedFigures(now.names(part, 'action'), before?.names(part, 'action'))),
    by_category: lists.take(namedFigures(now.names('', 'acted'), before?.names('', 'acted'))).map((one) => {
      const at = one.name.indexOf(' ');
      return { ...one, action: at < 0 ? one.name : one.name.slice(0, at), category: at < 0 ? null : one.name.slice(at + 1) };
    }),
    redacted_spans: { input: figure(spans(now, 'input'), before && spans(before, 'input')), output: figure(spans(now, 'output'), before && spans(before, 'output')) },
  };
}

/** A rule has the name that it has in its policy; where several policies have one, both are counted. */
function rulesOf(now: CountTally, before: CountTally | undefined, { outcomes }: ReviewFacts, lists: Lists): WeeklyFindings['rules'] {
  const judged = Map.groupBy(overridesOf(outcomes).rules, ({ rule }) => rule);
  return lists.take(namedFigures(now.names('', 'rule'), before?.names('', 'rule'))).map((one) => ({ ...one, false_positives: together(judged.get(one.name) ?? []) }));
}

function together(rules: readonly RuleOverrides[]): Rate | null {
  const rates = rules.flatMap(({ false_positives: rate }) => rate ?? []);
  const [judged, of] = [rates.reduce((sum, rate) => sum + rate.judged, 0), rates.reduce((sum, rate) => sum + rate.of, 0)];
  return judged === 0 ? null : roundedRate({ judged, of, rate: of / judged, ...wilson(of, judged) });
}

function coverageOf(now: CountTally, before: CountTally | undefined, lists: Lists): WeeklyFindings['coverage'] {
  const some = (measure: 'degraded' | 'partial'): WeeklyFindings['coverage']['degraded'] => ({ ...figure(now.of('', measure), before?.of('', measure)), share: now.exchanges === 0 ? null : rounded(now.of('', measure) / now.exchanges) });
  return {
    unknown: lists.take(PARTS.flatMap((part) => namedFigures(now.names(part, 'unknown'), before?.names(part, 'unknown')).map((one) => {
      const at = one.name.lastIndexOf(' ');
      return { ...one, part, classifier: one.name.slice(0, Math.max(0, at)), reason: one.name.slice(at + 1) };
    })).sort((a, b) => b.total - a.total)),
    degraded: some('degraded'), partial: some('partial'),
    unscreened: DIRECTIONS.flatMap((direction) => namedFigures(now.names(direction, 'uncovered'), before?.names(direction, 'uncovered')).map((one) => ({ ...one, direction, why: one.name }))),
  };
}

const LATENCIES = [['screening_input', 'input', 'latency'], ['screening_output', 'output', 'latency'], ['first_byte', '', 'first_byte'], ['exchange', '', 'duration']] as const;

function latencyOf(now: CountTally, before: CountTally | undefined): WeeklyFindings['latency'] {
  return LATENCIES.map(([name, part, measure]) => {
    const of = (tally: CountTally) => {
      const steps = [...tally.names(part, measure)].map(([step, total]) => ({ name: step, total }));
      return { n: totalOf(steps), p50_ms: quantileOfSteps(steps, 0.5), p95_ms: quantileOfSteps(steps, 0.95), p99_ms: quantileOfSteps(steps, 0.99) };
    };
    return { name, ...of(now), before: before === undefined ? null : of(before) };
  });
}

function availabilityOf(now: CountTally, before: CountTally | undefined): WeeklyFindings['availability'] {
  const of = (fault: string): Figure => figure(now.of('', 'fault', fault), before?.of('', 'fault', fault));
  const share = (tally: CountTally): number | null => {
    const [answered, failed] = [tally.of('', 'fault', 'none'), tally.of('', 'fault', 'weir')];
    return answered + failed === 0 ? null : rounded(answered / (answered + failed));
  };
  return { answered: of('none'), failed: of('weir'), upstream_failed: of('upstream'), client: of('client'), share: share(now), share_before: before === undefined ? null : share(before) };
}

function reviewsOf([now, before]: WeeklyFacts['reviews']): WeeklyFindings['reviews'] {
  const resolutions = ({ outcomes }: ReviewFacts): ReadonlyMap<string, number> => new Map([...Map.groupBy(outcomes, ({ resolution }) => resolution as string)].map(([name, rows]) => [name, rows.reduce((sum, { count }) => sum + count, 0)]));
  return {
    opened: figure(totalOf(now.opened), totalOf(before.opened)), opened_by: now.opened,
    resolved: figure(now.resolved, before.resolved), resolutions: namedFigures(resolutions(now), resolutions(before)),
    time_to_resolution: { ...timesOf(now.times), before: timesOf(before.times) }, overdue: figure(now.overdue, before.overdue), open_at_end: figure(now.openAtEnd, before.openAtEnd),
  };
}

function appealsOf([now, before]: WeeklyFacts['reviews']): WeeklyFindings['appeals'] {
  const ended = ({ appealsDecided: rows }: ReviewFacts, is: (end: AppealEnd) => boolean): number => totalOf(rows.filter((row) => is(endOf(row))));
  const both = (is: (end: AppealEnd) => boolean): Figure => figure(ended(now, is), ended(before, is));
  const [upheld, reversed] = [both((end) => end === 'upheld'), both((end) => end === 'reversed')];
  return {
    made: figure(now.appealsMade, before.appealsMade), decided: both(() => true), upheld, reversed, to_legal: both((end) => end === 'to_legal'),
    reversal_share: shareOf(reversed.total, upheld.total + reversed.total, wilson), time_to_decision: timesOf(now.appealTimes),
  };
}

type AppealEnd = 'upheld' | 'reversed' | 'to_legal';

function endOf({ action, hold_outcome, hold_then, resolution, prior_resolution: prior }: ReviewFacts['appealsDecided'][number]): AppealEnd {
  if (resolution === ('escalate_legal' satisfies Resolution)) return 'to_legal';
  return retroactiveActionOf({ action, hold_outcome, hold_then }, resolution, prior) === undefined ? 'upheld' : 'reversed';
}

function campaignOf({ campaign, config, cells, days }: CampaignFacts): CampaignFinding {
  const { total, claim, confidence } = summaryOf(cells, config);
  const known = total.rate !== null;
  const week = estimateRate(days.map(({ stratum, inclusion_probability, outcome, category, total: count }) => ({ stratum, inclusion_probability, count, category, ...(outcome === 'safe' || outcome === 'violation' ? { label: outcome } : {}) })), { confidence });
  return {
    campaign, is_configured: config !== undefined, confidence,
    so_far: {
      drawn: total.drawn, labelled: total.labelled, violations: total.violations, waiting: total.waiting, missing: total.missing, rate: total.rate === null ? null : rounded(total.rate),
      interval: known ? roundedInterval(total.interval) : null, peeking: known ? roundedInterval(total.peeking) : null, upper: known ? rounded(total.upper) : null, bounds: known ? roundedInterval(total.bounds) : null,
    },
    in_period: { drawn: week.sampled, labelled: week.labelled, violations: week.violations, rate: week.rate === undefined ? null : rounded(week.rate), interval: week.rate === undefined ? null : roundedInterval(week.interval) },
    claim: claim && { below: claim.below, confidence: claim.confidence, state: claim.state, labels_needed: claim.labels_needed },
  };
}

function changesOf({ policies, models }: WeeklyFacts, now: CountTally, before: CountTally | undefined): WeeklyFindings['changes'] {
  return {
    policies: policies.map(({ policy, number, is_retired: isRetired, author, created_at: at }) => ({ at, policy, revision: number, change: isRetired ? 'retired' as const : 'stored' as const, author })),
    // Who switched models is for those who see them.
    models: models.map(({ plugin, change, model_id, from_model_id, sha256, created_at: at }) => ({ at, plugin, change, model_id, from_model_id, sha256 })),
    new_revisions: before === undefined ? null : [...now.names('', 'policy').keys()].filter((name) => !before.names('', 'policy').has(name)).sort().slice(0, NAMES_MAX),
  };
}

function roundedOverrides({ rules, all, sample }: Overrides, lists: Lists): Overrides {
  return {
    rules: lists.take(rules).map((one) => ({ ...one, false_positives: roundedRate(one.false_positives), near_misses: roundedRate(one.near_misses) })),
    all: roundedRate(all), sample: { withdraw: roundedRate(sample.withdraw), reinstate: roundedRate(sample.reinstate) },
  };
}

function roundedRate(rate: Rate | null): Rate | null {
  return rate && { judged: rate.judged, of: rate.of, rate: rounded(rate.rate), low: rounded(rate.low), high: rounded(rate.high) };
}

function roundedInterval({ low, high }: Interval): Interval {
  return { low: rounded(low), high: rounded(high) };
}

function byPart<T>(of: (part: DecisionPart) => T): Readonly<Record<DecisionPart, T>> {
  return { input: of('input'), output: of('output'), late: of('late') };
}

function totalOf(rows: readonly { readonly total: number }[]): number {
  return rows.reduce((sum, { total }) => sum + total, 0);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
