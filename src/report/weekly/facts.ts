/**
 * What a tenant's weekly report is made of, as the stores tell it: counts of its decisions in the time and in four as long
 * before it, what became of its reviews and objections, its campaigns, and what was changed. Numbers and names, no content.
 */
import type { CampaignConfig } from '../../config/risk.ts';
import type { DayCell } from '../../store/annotation-course.ts';
import type { TaskCell } from '../../store/annotation-tasks.ts';
import type { Counts } from '../../store/decisions.ts';
import type { AppealRow, ModelChangeRow, OpenedRow, PolicyChangeRow, ResolvedRow } from '../../store/report-facts.ts';
import type { OutcomeRow } from '../../store/review-outcomes.ts';
import type { ReportRange } from './weeks.ts';

/** `all`: of every audit log that the store knows, those of other Weirs too; `own`: of those alone that no other Weir sent here. */
export const REPORT_SCOPES = ['all', 'own'] as const;
export type ReportScope = (typeof REPORT_SCOPES)[number];

export interface ReportedTenant {
  readonly id: string;
  readonly product: string | null;
  /** Null: it is not configured any more. */
  readonly policy: string | null;
}

/** What people did of the queue within a time. */
export interface ReviewFacts {
  readonly opened: readonly OpenedRow[];
  readonly resolved: number;
  /** Of the newest of those. */
  readonly times: readonly ResolvedRow[];
  readonly overdue: number;
  readonly openAtEnd: number;
  readonly outcomes: readonly OutcomeRow[];
  readonly appealsMade: number;
  readonly appealsDecided: readonly AppealRow[];
  readonly appealTimes: readonly Pick<ResolvedRow, 'since' | 'resolved_at'>[];
}

export interface CampaignFacts {
  readonly campaign: string;
  /** Undefined: it is not configured any more. */
  readonly config: Pick<CampaignConfig, 'claim' | 'precision_percent'> | undefined;
  /** Of this tenant: all that was drawn, and what was drawn on days of the time. */
  readonly cells: readonly TaskCell[];
  readonly days: readonly DayCell[];
}

/** A time as long, and what is known of it. */
export interface CountedRange {
  readonly fromMs: number;
  readonly untilMs: number;
  /** Hours of it that passed their retention. */
  readonly missingHours: number;
  readonly counts: Counts;
}

export interface WeeklyFacts {
  readonly tenant: ReportedTenant;
  readonly range: ReportRange;
  /** Nothing comes to it any more: its last hour has ended. */
  readonly isOver: boolean;
  readonly scope: ReportScope;
  /** The range as far as it is over, and before it the same hours of four as long, the nearest first. */
  readonly counted: CountedRange;
  readonly before: readonly CountedRange[];
  /** In the range, and in the one before it. */
  readonly reviews: readonly [ReviewFacts, ReviewFacts];
  readonly campaigns: readonly CampaignFacts[];
  readonly policies: readonly PolicyChangeRow[];
  readonly models: readonly ModelChangeRow[];
}
