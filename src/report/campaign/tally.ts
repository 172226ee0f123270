/**
 * Drawn texts and their labels, summed for a report as they come, page by page and in any order: what comes out is the same
 * for the same tasks. What happened after the moment that the report is of counts as not happened. Pure.
 */
import { createHash } from 'node:crypto';
import { MISSING_REASONS, type HumanLabel, type MissingReason } from '../../contract/risk.ts';
import type { TaskCell, TaskOutcome } from '../../store/annotation-tasks.ts';
import type { ReportedTask } from '../../store/risk-reports.ts';

/** So many of one day. */
export interface DayCell {
  readonly day: string;
  readonly stratum: string;
  readonly inclusion_probability: number;
  readonly outcome: TaskOutcome;
  readonly total: number;
}

/** So many with the same highest score, in tenths; null: without one. */
export interface NearestCell {
  readonly classifier: string | null;
  readonly tenth: number | null;
  readonly stratum: string;
  readonly inclusion_probability: number;
  readonly outcome: TaskOutcome;
  readonly total: number;
}

export interface AnnotatorSums {
  readonly annotator: string;
  readonly labels: number;
  readonly violations: number;
  /** Labels that count no more. */
  readonly flagged: number;
  readonly answers: readonly { readonly known: HumanLabel; readonly given: HumanLabel; readonly at: string }[];
}

export interface Sums {
  readonly cells: readonly TaskCell[];
  readonly days: readonly DayCell[];
  readonly nearest: readonly NearestCell[];
  readonly missing: Readonly<Record<MissingReason, number>>;
  readonly annotators: readonly AnnotatorSums[];
  /** Labels of tasks that several people labelled. */
  readonly ratings: readonly { readonly item: string; readonly rater: string; readonly label: string }[];
  readonly firstLabelAt: string | null;
  /** First and last time at which an exchange began. */
  readonly first: string | null;
  readonly last: string | null;
  /** Over the tasks and what became of them. */
  readonly sha256: string;
}

const TENTHS = 10;

export class Tally {
  readonly #campaign: string;
  readonly #asOf: string;
  readonly #cells = new Map<string, number>();
  readonly #days = new Map<string, number>();
  readonly #nearest = new Map<string, number>();
  readonly #missing = Object.fromEntries(MISSING_REASONS.map((reason) => [reason, 0])) as Record<MissingReason, number>;
  readonly #annotators = new Map<string, { labels: number; violations: number; flagged: number; answers: { known: HumanLabel; given: HumanLabel; at: string }[] }>();
  readonly #ratings: { item: string; rater: string; label: string }[] = [];
  readonly #lines: string[] = [];
  #firstLabelAt: string | null = null;
  #first: string | null = null;
  #last: string | null = null;

  constructor(campaign: string, asOf: string) {
    this.#campaign = campaign;
    this.#asOf = asOf;
  }

  take(tasks: readonly ReportedTask[]): void {
    for (const task of tasks) this.#take(task);
  }

  sums(): Sums {
    const digest = createHash('sha256');
    for (const line of this.#lines.sort()) digest.update(`${line}\n`);
    return {
      cells: [...this.#cells].sort(byKey).map(([key, total]) => cellOf(this.#campaign, key, total)),
      days: [...this.#days].sort(byKey).map(([key, total]) => {
        const [day, stratum, inclusion_probability, outcome] = JSON.parse(key) as [string, string, number, TaskOutcome];
        return { day, stratum, inclusion_probability, outcome, total };
      }),
      nearest: [...this.#nearest].sort(byKey).map(([key, total]) => {
        const [classifier, tenth, stratum, inclusion_probability, outcome] = JSON.parse(key) as [string | null, number | null, string, number, TaskOutcome];
        return { classifier, tenth, stratum, inclusion_probability, outcome, total };
      }),
      missing: this.#missing,
      annotators: [...this.#annotators].sort(byKey).map(([annotator, one]) => ({ annotator, ...one, answers: one.answers.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)) })),
      ratings: this.#ratings.sort((a, b) => (a.item < b.item ? -1 : a.item > b.item ? 1 : a.rater < b.rater ? -1 : 1)),
      firstLabelAt: this.#firstLabelAt, first: this.#first, last: this.#last, sha256: digest.digest('hex'),
    };
  }

  #take(task: ReportedTask): void {
    const { stratum, inclusion_probability: probability, started_at: startedAt, nearest, score } = task;
    const outcome = this.#outcomeOf(task);
    const category = outcome === 'violation' ? (task.violation_category ?? '') : '';
    add(this.#cells, [task.tenant_id, task.product, task.direction, task.modality, stratum, probability, task.automated_filter_result, outcome, category]);
    add(this.#days, [startedAt.slice(0, 10), stratum, probability, outcome]);
    add(this.#nearest, [nearest, score === null ? null : Math.min(TENTHS - 1, Math.floor(score * TENTHS)), stratum, probability, outcome]);
    if (outcome === 'missing' && task.missing_reason !== null) this.#missing[task.missing_reason]++;
    if (this.#first === null || startedAt < this.#first) this.#first = startedAt;
    if (this.#last === null || startedAt > this.#last) this.#last = startedAt;
    this.#lines.push(JSON.stringify([task.task_id, stratum, probability, outcome, category]));
    this.#takeLabels(task);
  }

  #takeLabels({ task_id: item, labels }: ReportedTask): void {
    const given = labels.filter(({ at }) => at <= this.#asOf);
    for (const { annotator, status, label, known, at } of given) {
      let sums = this.#annotators.get(annotator);
      if (sums === undefined) this.#annotators.set(annotator, (sums = { labels: 0, violations: 0, flagged: 0, answers: [] }));
      if (known !== null) {
        sums.answers.push({ known, given: label, at });
        continue;
      }
      if (this.#firstLabelAt === null || at < this.#firstLabelAt) this.#firstLabelAt = at;
      if (status === 'flagged') sums.flagged++;
      else [sums.labels, sums.violations] = [sums.labels + 1, sums.violations + (label === 'violation' ? 1 : 0)];
    }
    const counting = given.filter(({ status, known }) => status === 'labelled' && known === null);
    if (counting.length > 1) for (const { annotator: rater, label } of counting) this.#ratings.push({ item, rater, label });
  }

  #outcomeOf({ status, human_label: label, settled_at: settledAt }: ReportedTask): TaskOutcome {
    if (status === 'waiting' || (settledAt !== null && settledAt > this.#asOf)) return 'waiting';
    return status === 'missing' || label === null ? 'missing' : label;
  }
}

function add(sums: Map<string, number>, key: readonly unknown[]): void {
  const text = JSON.stringify(key);
  sums.set(text, (sums.get(text) ?? 0) + 1);
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;
}

function cellOf(campaign: string, key: string, total: number): TaskCell {
  const [tenant_id, product, direction, modality, stratum, inclusion_probability, automated_filter_result, outcome, category] = JSON.parse(key) as readonly never[];
  return { campaign, tenant_id: tenant_id!, product: product!, direction: direction!, modality: modality!, stratum: stratum!, inclusion_probability: inclusion_probability!, automated_filter_result: automated_filter_result!, outcome: outcome!, category: category!, total };
}
