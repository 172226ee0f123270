/**
 * Reads what a weekly report is made of, through the ports alone, so that it is the same over every store. One of these
 * serves the reports of many tenants after each other: what is of all tenants is read once. Between what it asks, others
 * have their turn.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Config, TenantConfig } from '../../config/schema.ts';
import type { DayCell, SqlAnnotationCourse } from '../../store/annotation-course.ts';
import type { TaskCell } from '../../store/annotation-tasks.ts';
import type { SqlAnnotationStore } from '../../store/annotations.ts';
import type { DecisionStore } from '../../store/decisions.ts';
import type { FactsPeriod, SqlReportFacts } from '../../store/report-facts.ts';
import type { CampaignFacts, CountedRange, ReportScope, ReviewFacts, WeeklyFacts } from './facts.ts';
import { CountTally } from './tally.ts';
import { BASELINE_RANGES, DAY_MS, HOUR_MS, rangeBefore, type ReportRange } from './weeks.ts';

export interface WeeklySources {
  readonly decisions: Pick<DecisionStore, 'counts'>;
  readonly facts: SqlReportFacts;
  readonly annotations: Pick<SqlAnnotationStore, 'cells'>;
  readonly course: Pick<SqlAnnotationCourse, 'days'>;
  readonly config: () => Pick<Config, 'tenants' | 'retention' | 'risk'>;
}

export interface WeeklyQuestion {
  readonly tenantId: string;
  readonly range: ReportRange;
  readonly scope: ReportScope;
  readonly nowMs: number;
}

export class WeeklyQueries {
  readonly #sources: WeeklySources;
  readonly #days = new Map<string, Promise<readonly DayCell[]>>();
  #cells: Promise<readonly TaskCell[]> | undefined;

  constructor(sources: WeeklySources) {
    this.#sources = sources;
  }

  /** Undefined: the tenant is not configured, and nothing is known of it in this time and those before it. */
  async facts({ tenantId, range, scope, nowMs }: WeeklyQuestion): Promise<WeeklyFacts | undefined> {
    const { config, facts } = this.#sources;
    const { tenants, retention } = config();
    const tenant = tenants.find(({ id }) => id === tenantId);
    const keptDays = tenant?.retention.decision_counts_days ?? retention.decision_counts_days;
    const keptFromMs = keptDays === undefined ? -Infinity : Math.ceil((nowMs - keptDays * DAY_MS) / HOUR_MS) * HOUR_MS;
    const over = { fromMs: range.fromMs, untilMs: Math.min(range.untilMs, Math.max(range.fromMs, Math.ceil(nowMs / HOUR_MS) * HOUR_MS)) };
    const lengthMs = range.untilMs - range.fromMs;
    const counted: CountedRange[] = [];
    for (let times = 0; times <= BASELINE_RANGES; times++) {
      counted.push(await this.#counted(tenantId, rangeBefore(over, lengthMs, times), keptFromMs, scope));
      await breathe();
    }
    const [now, ...before] = counted as [CountedRange, ...CountedRange[]];
    if (tenant === undefined && counted.every(({ counts }) => new CountTally(counts).exchanges === 0)) return undefined;
    const [period, last] = [periodOf(over), periodOf(before[0]!)];
    const policies = [...new Set([...(tenant === undefined ? [] : [tenant.policy]), ...[now, before[0]!].flatMap(({ counts }) => [...new CountTally(counts).names('', 'policy').keys()].map((name) => name.slice(0, name.lastIndexOf('@'))))])].filter((policy) => policy !== '').sort();
    return {
      tenant: { id: tenantId, product: tenant?.product ?? null, policy: tenant?.policy ?? null }, range, isOver: range.untilMs <= nowMs, scope, counted: now, before,
      reviews: [await this.#reviews(tenantId, period), await this.#reviews(tenantId, last)],
      campaigns: await this.#campaigns(tenantId, tenant, over),
      policies: await facts.policyChanges(policies, period), models: await facts.modelChanges(period),
    };
  }

  async #counted(tenantId: string, { fromMs, untilMs }: Pick<ReportRange, 'fromMs' | 'untilMs'>, keptFromMs: number, scope: ReportScope): Promise<CountedRange> {
    const knownMs = Math.min(untilMs, Math.max(fromMs, keptFromMs));
    const counts = knownMs >= untilMs ? { totals: [], series: [] } : await this.#sources.decisions.counts({ span: 'hour', tenants: [tenantId], ownOnly: scope === 'own', fromMs: knownMs, untilMs, stepMs: HOUR_MS });
    return { fromMs, untilMs, missingHours: (knownMs - fromMs) / HOUR_MS, counts };
  }

  async #reviews(tenantId: string, period: FactsPeriod): Promise<ReviewFacts> {
    const { facts } = this.#sources;
    const found = {
      opened: await facts.opened(tenantId, period), resolved: await facts.resolvedCount(tenantId, period), times: await facts.resolved(tenantId, period), overdue: await facts.overdue(tenantId, period), openAtEnd: await facts.openAt(tenantId, period.until),
      outcomes: await facts.outcomes(tenantId, period), appealsMade: await facts.appealsMade(tenantId, period), appealsDecided: await facts.appealsDecided(tenantId, period), appealTimes: await facts.appealTimes(tenantId, period),
    };
    await breathe();
    return found;
  }

  /** Those that draw from the tenant, and those that drew from it. */
  async #campaigns(tenantId: string, tenant: TenantConfig | undefined, { fromMs, untilMs }: Pick<ReportRange, 'fromMs' | 'untilMs'>): Promise<readonly CampaignFacts[]> {
    const { config, annotations } = this.#sources;
    const configured = config().risk.campaigns;
    const own = Map.groupBy((await (this.#cells ??= annotations.cells())).filter(({ tenant_id: id }) => id === tenantId), ({ campaign }) => campaign);
    const covering = configured.filter((one) => tenant?.data.campaigns === true && (one.tenants?.includes(tenantId) ?? true) && (one.products?.includes(tenant.product ?? '') ?? true));
    const [from, last] = [dayOf(fromMs), dayOf(untilMs - 1)];
    const found: CampaignFacts[] = [];
    for (const campaign of [...new Set([...covering.map(({ id }) => id), ...own.keys()])].sort()) {
      const days = own.has(campaign) ? await this.#daysOf(campaign) : [];
      found.push({ campaign, config: configured.find(({ id }) => id === campaign), cells: own.get(campaign) ?? [], days: days.filter(({ tenant_id: id, day }) => id === tenantId && day >= from && day <= last) });
    }
    return found;
  }

  #daysOf(campaign: string): Promise<readonly DayCell[]> {
    const known = this.#days.get(campaign);
    if (known !== undefined) return known;
    const read = (async () => {
      const cells: DayCell[] = [];
      for await (const piece of this.#sources.course.days(campaign)) {
        cells.push(...piece);
        await breathe();
      }
      return cells;
    })();
    this.#days.set(campaign, read);
    return read;
  }
}

function periodOf({ fromMs, untilMs }: Pick<ReportRange, 'fromMs' | 'untilMs'>): FactsPeriod {
  return { from: new Date(fromMs).toISOString(), until: new Date(untilMs).toISOString() };
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
