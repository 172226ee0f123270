/**
 * The words of residual-risk campaigns: what is drawn from the traffic with a known probability, and what people say of
 * it. A sample stands in the audit log with its probability; an annotation holds names and labels, never content.
 */
import type { ContentType, Direction } from './screening.ts';

/** With which a text is drawn at least: a label counts one over it, and what is rarer is worth none. */
export const INCLUSION_PROBABILITY_MIN = 1e-6;

export const SAMPLED_DECISIONS = ['passed', 'redacted', 'blocked'] as const;
/** What became of a text: it went on as it was; it went on changed; it did not go on, or something else did in its place. */
export type SampledDecision = (typeof SAMPLED_DECISIONS)[number];

/** One direction of an exchange was drawn for a campaign; what the closing entry says of it. */
export interface SampleRecord {
  readonly campaign: string;
  readonly direction: Direction;
  readonly stratum: string;
  /** With which any such text is drawn. Above 0, at most 1. */
  readonly probability: number;
  readonly decision: SampledDecision;
  readonly modality: ContentType;
}

/** So many units of a day, in UTC. */
export interface PopulationCell {
  readonly campaign: string;
  /** SHA-256 of the declaration; empty: none was known. */
  readonly definition: string;
  readonly day: string;
  readonly stratum: string;
  readonly probability: number;
  readonly total: number;
  /** Of them. Without a declaration only these are known, and `total` is 0. */
  readonly drawn: number;
}

/** `removed`: it is not configured any more; what was drawn for it is still there. */
export const CAMPAIGN_STATES = ['planned', 'running', 'ended', 'removed'] as const;
export type CampaignState = (typeof CAMPAIGN_STATES)[number];

/** A campaign as it is told. */
export interface CampaignDefinition {
  readonly id: string;
  readonly state: CampaignState;
  readonly from: string | null;
  readonly until: string | null;
  readonly directions: readonly Direction[];
  /** What became of the texts that it draws. */
  readonly decisions: readonly SampledDecision[];
  readonly strata: readonly { readonly id: string; readonly probability: number }[];
}

/** What a campaign draws by, as the audit log says it from the moment when it comes into force. */
export interface CampaignDeclaration {
  readonly campaign: string;
  readonly in_force_at: string;
  /** SHA-256 of definition and tenants as canonical JSON: the same where the same is drawn from the same tenants. */
  readonly sha256: string;
  /** SHA-256 of the seed of the draws. */
  readonly seed_commitment: string;
  /** As configured, without the path of the seed; absent, as `tenants` is, where both are too long for an entry. */
  readonly definition?: object;
  /** Those that take part. */
  readonly tenants?: readonly { readonly id: string; readonly product: string }[];
}

export const HUMAN_LABELS = ['safe', 'violation'] as const;
export type HumanLabel = (typeof HUMAN_LABELS)[number];

export const CONFIDENCE_TIERS = ['low', 'medium', 'high'] as const;
export type ConfidenceTier = (typeof CONFIDENCE_TIERS)[number];

/** `waiting`: it needs a label, or another. `labelled`: it has its label. `missing`: there is no text that could be labelled. */
export const TASK_STATES = ['waiting', 'labelled', 'missing'] as const;
export type TaskState = (typeof TASK_STATES)[number];

export const MISSING_REASONS = ['absent', 'erased', 'damaged', 'unreadable'] as const;
/** Why a drawn text cannot be labelled: nothing was kept, or it was erased; it does not open; a person could not tell. */
export type MissingReason = (typeof MISSING_REASONS)[number];

export const SKIP_REASONS = ['unreadable', 'language', 'unwilling'] as const;
/** Why a person gives a text back: nobody could tell what it is; they do not read its language; they would rather not. */
export type SkipReason = (typeof SKIP_REASONS)[number];

/** A drawn text that people are to label. */
export interface AnnotationTask {
  readonly task_id: string;
  readonly campaign: string;
  readonly tenant_id: string;
  readonly product: string;
  readonly request_id: string;
  readonly started_at: string;
  readonly direction: Direction;
  readonly stratum: string;
  readonly inclusion_probability: number;
  /** What the machine did with it. */
  readonly automated_filter_result: SampledDecision;
  readonly modality: ContentType;
  /** Labels that it needs; two of them are given without seeing each other, a third where those differ. */
  readonly wanted: number;
  readonly status: TaskState;
  readonly human_label: HumanLabel | null;
  readonly violation_category: string | null;
  readonly missing_reason: MissingReason | null;
  readonly created_at: string;
  readonly settled_at: string | null;
}

/** `open`: its annotator has it. `lost`: others have it since. `flagged`: given by somebody who has since failed the calibration, and counts no more. */
export const ANNOTATION_STATUSES = ['open', 'labelled', 'lost', 'flagged'] as const;
export type AnnotationStatus = (typeof ANNOTATION_STATUSES)[number];

/** What a person is given of an annotation: nothing that tells where it comes from, or whether its answer is known. */
export interface OpenAnnotation {
  readonly annotation_id: string;
  readonly batch_id: string;
  readonly campaign: string;
  readonly direction: Direction;
  readonly modality: ContentType;
  readonly claimed_until: string;
}

/** One label of one person. */
export interface Annotation {
  readonly annotation_id: string;
  readonly task_id: string;
  readonly campaign: string;
  readonly tenant_id: string;
  readonly request_id: string;
  readonly direction: Direction;
  readonly modality: ContentType;
  readonly stratum: string;
  readonly inclusion_probability: number;
  readonly automated_filter_result: SampledDecision;
  readonly human_label: HumanLabel;
  readonly violation_category: string | null;
  readonly confidence_tier: ConfidenceTier;
  readonly annotator_id: string;
  /** Of the annotator when it was told: the share of calibration items answered as known; null before the first. */
  readonly annotator_calibration: number | null;
  readonly calibration_seed: boolean;
  readonly batch_id: string;
  readonly status: AnnotationStatus;
  readonly labelled_at: string;
}

/** A text with a known answer. */
export interface CalibrationItem {
  /** Undefined: for any campaign. */
  readonly campaign?: string | undefined;
  readonly direction: Direction;
  readonly modality: ContentType;
  readonly text: string;
  readonly label: HumanLabel;
  readonly category?: string | undefined;
}

/** An item as those who answer for a campaign see it, without its text. */
export interface ToldItem extends Pick<CalibrationItem, 'direction' | 'modality' | 'label'> {
  readonly item_id: string;
  /** Empty: for any. */
  readonly campaign: string;
  readonly category: string | null;
  readonly author: string;
  readonly created_at: string;
  /** The drawn text that it is. */
  readonly source_task: string | null;
  readonly retired: boolean;
  /** People who were given it, who answered, and who answered as known. */
  readonly given: number;
  readonly answered: number;
  readonly right: number;
}

/** A drawn text that a third decided, and that could be an item. */
export type ItemCandidate = Pick<AnnotationTask, 'task_id' | 'campaign' | 'direction' | 'modality' | 'human_label' | 'violation_category' | 'settled_at'>;

/** What somebody says of a text on which two differ, without who they are. */
export interface DisputedLabel {
  readonly label: HumanLabel;
  readonly category: string | null;
  readonly tier: ConfidenceTier;
  readonly note: string;
}

export const REPORT_FORMATS = ['json', 'html', 'note'] as const;
/** Of a report: what it tells, the same to be read, and the signature over both. */
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** `paused`: below the agreement that is asked for; nothing is given to them until somebody with the role admin resumes them. */
export const ANNOTATOR_STATES = ['active', 'paused'] as const;
export type AnnotatorState = (typeof ANNOTATOR_STATES)[number];

/** `too_few`: no number of violations among so few labels could show it. `open`: it is neither shown nor contradicted. `contradicted`: the rate is above, surely. */
export const CLAIM_STATES = ['met', 'open', 'contradicted', 'too_few'] as const;
export type ClaimState = (typeof CLAIM_STATES)[number];

/** What a sequential test says of a claim. `good`: the rate is below. */
export const SEQUENTIAL_DECISIONS = ['open', 'good', 'bad'] as const;
export type SequentialDecision = (typeof SEQUENTIAL_DECISIONS)[number];
