/**
 * Where a campaign left its plan, or its records do not fit one another: told by comparing what the audit logs declared, what
 * was counted there, and what was drawn. A report lists them; it judges none of them. Pure.
 */
import type { CampaignDeclaration } from '../../contract/risk.ts';

export const DEVIATIONS = ['changed', 'withdrawn', 'seed_changed', 'late_plan', 'no_plan', 'not_counted', 'tasks_differ', 'unlikely_draw', 'not_covered'] as const;

export interface Deviation {
  readonly kind: (typeof DEVIATIONS)[number];
  /** When; null: it is of the whole period. */
  readonly at: string | null;
  readonly what: string;
}

/** A declaration with the logs that have it. */
export interface PlacedPlan {
  readonly log: string;
  readonly declared: CampaignDeclaration;
}

/** What was drawn of a stratum with one probability. */
export interface DesignRow {
  readonly stratum: string;
  readonly probability: number;
  /** Counted in the logs; null: not all of it is. */
  readonly population: number | null;
  readonly drawn: number;
  readonly expected: number | null;
  /** Standard deviation of what is drawn of so many. */
  readonly deviation: number | null;
}

/** So far from what was to be expected comes by chance in one of 15,000 draws. */
export const UNLIKELY_DEVIATIONS = 4;
const VALUE_CHARS_MAX = 200;

/** Of plans, oldest first: each log against what it declared before. The same change in several logs is one. */
export function planChanges(plans: readonly PlacedPlan[]): readonly Deviation[] {
  const last = new Map<string, CampaignDeclaration>();
  const told = new Set<string>();
  return plans.flatMap(({ log, declared }) => {
    const before = last.get(log);
    last.set(log, declared);
    if (before === undefined || (before.sha256 === declared.sha256 && before.seed_commitment === declared.seed_commitment)) return [];
    const key = JSON.stringify([before.sha256, declared.sha256, before.seed_commitment, declared.seed_commitment]);
    if (told.has(key)) return [];
    told.add(key);
    return changesBetween(before, declared);
  });
}

function changesBetween(before: CampaignDeclaration, now: CampaignDeclaration): readonly Deviation[] {
  const at = now.in_force_at;
  if (now.sha256 === '') return [{ kind: 'withdrawn', at, what: 'the campaign was taken out of the configuration; nothing was drawn until it came back' }];
  if (before.sha256 === '') return [{ kind: 'changed', at, what: 'the campaign came back into the configuration' }];
  const seed: readonly Deviation[] = before.seed_commitment === now.seed_commitment ? [] : [{ kind: 'seed_changed', at, what: 'the seed of the draws is another' }];
  if (before.sha256 === now.sha256) return seed;
  if (before.definition === undefined || now.definition === undefined) return [...seed, { kind: 'changed', at, what: 'the definition is another; it is too long for an entry, so its hash alone tells' }];
  const [was, is] = [{ ...before.definition, 'tenants that take part': before.tenants }, { ...now.definition, 'tenants that take part': now.tenants }] as readonly Readonly<Record<string, unknown>>[];
  const names = [...new Set([...Object.keys(was!), ...Object.keys(is!)])].sort().filter((name) => JSON.stringify(was![name]) !== JSON.stringify(is![name]));
  return [...seed, ...names.map((name): Deviation => ({ kind: 'changed', at, what: `${name}: ${short(was![name])} became ${short(is![name])}` }))];
}

function short(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > VALUE_CHARS_MAX ? `${text.slice(0, VALUE_CHARS_MAX)}… (${text.length} characters)` : text;
}

/** What the records of a period do not bear out. */
export function recordFaults({ planAt, firstLabelAt, design, counted, tasks, uncounted, uncovered }: {
  readonly planAt: string | null; readonly firstLabelAt: string | null; readonly design: readonly DesignRow[];
  /** Drawn, as the logs said before and after the tasks were read; and tasks that there are. */
  readonly counted: readonly [before: number, after: number]; readonly tasks: number;
  /** Drawn where no declaration was known. */
  readonly uncounted: number;
  /** Share of the population in strata without a label. */
  readonly uncovered: number;
}): readonly Deviation[] {
  const found: Deviation[] = [];
  const tell = (kind: Deviation['kind'], what: string): void => void found.push({ kind, at: null, what });
  if (planAt === null) tell('no_plan', 'no log that was looked through declares the campaign, so nothing shows that its claim was fixed before the first label');
  else if (firstLabelAt !== null && planAt > firstLabelAt) tell('late_plan', `the plan is declared since ${planAt}, and the first label is of ${firstLabelAt}`);
  if (uncounted > 0) tell('not_counted', `${uncounted} texts were drawn where no declaration was known; the population of their strata is estimated from the sample`);
  if (tasks < counted[0] || tasks > counted[1]) tell('tasks_differ', `the logs say that ${counted[1]} texts were drawn, and there are ${tasks} tasks: labels that were brought from elsewhere, a log that is not looked through, or tasks that passed their retention`);
  for (const { stratum, probability, population, drawn, expected, deviation } of design) {
    if (population !== null && expected !== null && deviation !== null && Math.abs(drawn - expected) > UNLIKELY_DEVIATIONS * deviation + 0.5) tell('unlikely_draw', `of stratum ${stratum} ${drawn} of ${population} were drawn with probability ${probability}: chance alone hardly does that`);
  }
  if (uncovered > 0) tell('not_covered', `${(uncovered * 100).toPrecision(3)} % of the population is in strata without any label; the rate is that of the others`);
  return found;
}
