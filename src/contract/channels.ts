/**
 * The diagnostics channels on which the core tells what happens. Telemetry subscribes; nothing on the path imports it.
 * Publishing costs nothing when nobody listens.
 */
import { channel, type Channel } from 'node:diagnostics_channel';
import type { KeptTexts } from './content.ts';
import type { ExchangeRecord } from './exchange.ts';
import type { Part } from './health.ts';
import type { ErrorCode } from './errors.ts';
import type { HoldEndedBy } from './hold.ts';
import type { ReviewNotice } from './notification.ts';
import type { PolicyOrigin } from './policy.ts';
import type { ReviewOrigin } from './review.ts';
import type { AnnotatorState, ClaimState, SequentialDecision } from './risk.ts';
import type { Direction, Severity } from './screening.ts';
import type { UpstreamCall } from './upstream-call.ts';
import type { WeeklyOutcome } from './weekly.ts';

/** Stages in the order of the walk; the span names are `weir.<stage>`. */
export const STAGES = ['identify', 'read_request', 'screen_input', 'decide_input', 'hold', 'upstream', 'guard', 'audit'] as const;
export type Stage = (typeof STAGES)[number];

/** Where an exchange stands in a trace. Telemetry fills it in when it opens; it goes with what is told of it later. */
export interface TracePlace {
  traceId?: string;
  spanId?: string;
  /** Its spans go out, whatever becomes of it: what is gathered for them alone is not in vain. */
  sampled?: boolean;
}

export interface ExchangeOpened {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  /** The caller's `traceparent` and `tracestate`, if any. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly startedAtMs: number;
  /** Telemetry fills this in: the headers to send upstream so that the trace goes on. */
  readonly propagate: Record<string, string>;
  readonly trace: TracePlace;
}

export interface StageEnded {
  readonly requestId: string;
  readonly stage: Stage;
  /** `performance.now()` values. */
  readonly startMs: number;
  readonly endMs: number;
  readonly error?: string;
  /** Numbers and names only, never content; keys are attribute names. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** Of the stage `upstream`. */
  readonly call?: UpstreamCall;
  readonly trace?: TracePlace;
}

export interface ExchangeClosed {
  readonly record: ExchangeRecord;
  readonly trace?: TracePlace;
  /** As they went on, where the tenant lets them be traced: without what the policy took out, and nothing of what it stopped. */
  readonly texts?: Partial<Readonly<Record<Direction, KeptTexts>>>;
}

export const TELEMETRY_SIGNALS = ['traces', 'metrics'] as const;
export const TELEMETRY_LOSSES = ['queue_full', 'export_failed', 'too_many_kept'] as const;

/** Spans that did not go out, or a push of metrics: there was no room for more, nobody took them, or more were kept against the sampling than may be. */
export interface TelemetryDropped {
  readonly signal: (typeof TELEMETRY_SIGNALS)[number];
  readonly reason: (typeof TELEMETRY_LOSSES)[number];
  readonly count: number;
}

/** Something came to the proxy's port that became no exchange. Health checks are none of it. */
export interface TurnedAway {
  readonly code: TurnedAwayCode;
}

/** What is not HTTP, or whose head did not come whole; an upgrade to what is no socket here; a connection beyond what is accepted. */
export const TURNED_AWAY_CODES = ['bad_request', 'headers_too_large', 'body_too_large', 'body_timeout', 'upgrade_refused', 'overloaded'] as const satisfies readonly ErrorCode[];
export type TurnedAwayCode = (typeof TURNED_AWAY_CODES)[number];

/** Entries that the audit log was given and did not make durable. */
export interface AuditLost {
  readonly count: number;
  readonly kind: (typeof AUDIT_LOSSES)[number];
}

/** Of exchanges, or of changes. */
export const AUDIT_LOSSES = ['exchange', 'change'] as const;

export interface ConfigReloaded {
  readonly ok: boolean;
  readonly hash: string;
  readonly issues: number;
  readonly message?: string;
  /** Keys whose change was read and counts after a restart. */
  readonly waiting?: readonly string[];
}

/** A part works less well than configured, or well again, as it says itself at that moment. */
export interface HealthChanged {
  readonly part: Part;
  readonly healthy: boolean;
  readonly detail: string;
}

/** The same as people are told it, by log, page and gauge: ill at once, well when it lasts. */
export interface HealthTold extends HealthChanged {
  /** When it turned, in milliseconds since 1970. */
  readonly atMs: number;
}

export const CALL_OUTCOMES = ['ok', 'timeout', 'unavailable', 'error', 'unsupported', 'cached', 'late'] as const;
/** `cached`: remembered, so nobody was asked. `late`: an answer after the deadline, ignored; its call was told as `timeout` before. */
export type CallOutcome = (typeof CALL_OUTCOMES)[number];

/** A classifier was asked about one text, and how that ended. */
export interface ClassifierCalled {
  readonly requestId: string;
  readonly classifier: string;
  readonly outcome: CallOutcome;
  /** `performance.now()` values. */
  readonly startMs: number;
  readonly endMs: number;
}

export const BREAKER_STATES = ['closed', 'half_open', 'open'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

export interface BreakerChanged {
  readonly classifier: string;
  readonly state: BreakerState;
}

/** A stored policy as it is held now. */
export interface PolicyHeld {
  readonly policy: string;
  readonly origin: PolicyOrigin;
  readonly revision: number;
  /** When it was last known to be the newest, in milliseconds since 1970; undefined: it is pinned, and does not age. */
  readonly confirmedMs: number | undefined;
}

/** All that are held, after a change of any. */
export interface PoliciesHeld {
  readonly policies: readonly PolicyHeld[];
}

export const CONTENT_LOSSES = ['key', 'overflow', 'write', 'copy'] as const;

/** Content of exchanges that was to be kept and is not: without a key, too much at once, or because it could not be written; `copy`: that of an item of the review queue, for other processes. */
export interface ContentLost {
  readonly count: number;
  readonly reason: (typeof CONTENT_LOSSES)[number];
}

/** Something that was kept passed its retention and was removed. */
export interface RetentionApplied {
  readonly kind: 'audit' | 'audit_copies' | 'usage' | 'decisions' | 'counts' | 'review_content' | 'learning_content' | 'labels';
  /** Entries, or rows. */
  readonly removed: number;
  readonly detail: string;
}

/** How far the audit log is sent to another Weir. */
export interface AuditShipped {
  /** Entries that are not there yet. */
  readonly lag: number;
  /** Why something just failed: a code of ours. */
  readonly error?: string;
}

/** Something came of an audit log that is shipped here. */
export interface AuditReceived {
  /** Its name. */
  readonly log: string;
  /** Entries that were taken. */
  readonly entries: number;
  /** Entries that its sender has and that are not here yet. */
  readonly lag: number;
  /** Why it was not taken: a code of ours. */
  readonly refused?: string;
}

/** Entries of an audit log came into the store, to be searched. */
export interface DecisionsIndexed {
  /** Its name; empty: the own one. */
  readonly log: string;
  readonly taken: number;
  /** Entries of the own log that are still to come. */
  readonly lag: number;
}
/** Something came of the review queue: an item came in or did not, people decided one or not in time, somebody was told; and what waits. */
export type ReviewTold =
  | { readonly kind: 'admitted'; readonly tenant_id: string; readonly origin: ReviewOrigin; readonly admission: string }
  | { readonly kind: 'waiting'; readonly waiting: Readonly<Record<Severity, number>>; readonly overdue: Readonly<Record<Severity, number>> }
  | { readonly kind: 'resolved'; readonly notice: ReviewNotice }
  | { readonly kind: 'overdue'; readonly notice: ReviewNotice }
  | { readonly kind: 'notice'; readonly receiver: string; readonly outcome: 'taken' | 'failed' | 'given_up' };

/** Where a campaign stands. */
export interface CampaignTold {
  readonly campaign: string;
  /** Null before the first label. */
  readonly rate: number | null;
  readonly bounds: Readonly<Record<'low' | 'high' | 'peeking_low' | 'peeking_high', number>>;
  readonly texts: Readonly<Record<'waiting' | 'safe' | 'violation' | 'missing', number>>;
  /** Null: it has no claim. */
  readonly claim: ClaimState | null;
  /** Null: it has no such test. */
  readonly sequential: SequentialDecision | null;
  /** How many series rose beyond chance; null: it is being counted. */
  readonly risen: Readonly<Record<'all' | 'tenant' | 'category', number>> | null;
}

/** Where all configured campaigns stand, and how many people of each state label. */
export interface RiskTold {
  readonly campaigns: readonly CampaignTold[];
  readonly annotators: Readonly<Record<AnnotatorState, number>>;
}

/** What became of a tenant's weekly report that was due. */
export interface WeeklyReported {
  readonly tenant_id: string;
  /** `2030-W05` */
  readonly week: string;
  readonly outcome: WeeklyOutcome;
  readonly detail: string;
}

export const SHADOW_SIDES = ['agree', 'only_working', 'only_shadow'] as const;
/** On which side of 0.5 the scores of what works and of the model beside it lie. */
export type ShadowSide = (typeof SHADOW_SIDES)[number];

/** Where the learning loop stands, for each plugin that has a trained model. */
export interface LearningStanding {
  /** When the last weekly training ended well, as ISO 8601. */
  readonly lastTrained: string | null;
  readonly plugins: readonly {
    readonly plugin: string;
    readonly models: number;
    readonly switches: Readonly<Record<'promote' | 'rollback' | 'overridden', number>>;
    /** Processes that have not carried out the newest switch. */
    readonly behind: number;
    /** Of the model beside what works, by outcome; empty: none runs. */
    readonly texts: Readonly<Record<string, number>>;
    readonly compared: Readonly<Record<ShadowSide, number>>;
  }[];
}

/** Something came of the learning loop: where it stands, that a training ended here, or that a model was refused here. */
export type LearningTold =
  | { readonly kind: 'standing'; readonly standing: LearningStanding }
  | { readonly kind: 'trained'; readonly state: 'done' | 'failed'; readonly detail: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** What expires and is not meant to, and when, in milliseconds since 1970. */
export interface ExpiryTold {
  readonly ends: readonly { readonly kind: 'api_key' | 'admin_token' | 'certificate'; readonly tenant_id: string | null; readonly atMs: number }[];
}

/** The number of those that wait for a person has changed; `ended`: by the end of one, or because one could not wait. */
export interface HoldsChanged {
  readonly open: number;
  readonly ended?: { readonly direction: Direction; readonly endedBy: HoldEndedBy; readonly heldMs: number };
}

interface Payloads {
  'weir.exchange.opened': ExchangeOpened;
  'weir.stage.ended': StageEnded;
  'weir.exchange.closed': ExchangeClosed;
  'weir.request.turned_away': TurnedAway;
  'weir.config.reloaded': ConfigReloaded;
  'weir.health.changed': HealthChanged;
  'weir.health.told': HealthTold;
  'weir.classifier.called': ClassifierCalled;
  'weir.breaker.changed': BreakerChanged;
  'weir.policies.held': PoliciesHeld;
  'weir.content.lost': ContentLost;
  'weir.retention.applied': RetentionApplied;
  'weir.audit.lost': AuditLost;
  'weir.audit.shipped': AuditShipped;
  'weir.audit.received': AuditReceived;
  'weir.decisions.indexed': DecisionsIndexed;
  'weir.review.told': ReviewTold;
  'weir.risk.told': RiskTold;
  'weir.holds.changed': HoldsChanged;
  'weir.weekly.reported': WeeklyReported;
  'weir.telemetry.dropped': TelemetryDropped;
  'weir.learning.told': LearningTold;
  'weir.expiry.told': ExpiryTold;
}

export const CHANNELS = {
  exchangeOpened: channel('weir.exchange.opened') as Channel<unknown, Payloads['weir.exchange.opened']>,
  stageEnded: channel('weir.stage.ended') as Channel<unknown, Payloads['weir.stage.ended']>,
  exchangeClosed: channel('weir.exchange.closed') as Channel<unknown, Payloads['weir.exchange.closed']>,
  turnedAway: channel('weir.request.turned_away') as Channel<unknown, Payloads['weir.request.turned_away']>,
  configReloaded: channel('weir.config.reloaded') as Channel<unknown, Payloads['weir.config.reloaded']>,
  healthChanged: channel('weir.health.changed') as Channel<unknown, Payloads['weir.health.changed']>,
  healthTold: channel('weir.health.told') as Channel<unknown, Payloads['weir.health.told']>,
  classifierCalled: channel('weir.classifier.called') as Channel<unknown, Payloads['weir.classifier.called']>,
  breakerChanged: channel('weir.breaker.changed') as Channel<unknown, Payloads['weir.breaker.changed']>,
  policiesHeld: channel('weir.policies.held') as Channel<unknown, Payloads['weir.policies.held']>,
  contentLost: channel('weir.content.lost') as Channel<unknown, Payloads['weir.content.lost']>,
  retentionApplied: channel('weir.retention.applied') as Channel<unknown, Payloads['weir.retention.applied']>,
  auditLost: channel('weir.audit.lost') as Channel<unknown, Payloads['weir.audit.lost']>,
  auditShipped: channel('weir.audit.shipped') as Channel<unknown, Payloads['weir.audit.shipped']>,
  auditReceived: channel('weir.audit.received') as Channel<unknown, Payloads['weir.audit.received']>,
  decisionsIndexed: channel('weir.decisions.indexed') as Channel<unknown, Payloads['weir.decisions.indexed']>,
  reviewTold: channel('weir.review.told') as Channel<unknown, Payloads['weir.review.told']>,
  riskTold: channel('weir.risk.told') as Channel<unknown, Payloads['weir.risk.told']>,
  learningTold: channel('weir.learning.told') as Channel<unknown, Payloads['weir.learning.told']>,
  expiryTold: channel('weir.expiry.told') as Channel<unknown, Payloads['weir.expiry.told']>,
  holdsChanged: channel('weir.holds.changed') as Channel<unknown, Payloads['weir.holds.changed']>,
  weeklyReported: channel('weir.weekly.reported') as Channel<unknown, Payloads['weir.weekly.reported']>,
  telemetryDropped: channel('weir.telemetry.dropped') as Channel<unknown, Payloads['weir.telemetry.dropped']>,
} as const;

type ChannelName = keyof typeof CHANNELS;
export type MessageOf<K extends ChannelName> = (typeof CHANNELS)[K] extends Channel<unknown, infer Message> ? Message : never;
export type Listeners = { readonly [K in ChannelName]?: (message: MessageOf<K>) => void };

/** Each hears its channel until the function that is returned is called. */
export function listen(listeners: Listeners): () => void {
  const pairs = (Object.entries(listeners) as [ChannelName, (message: unknown) => void][]).map(([name, hear]) => [CHANNELS[name] as Channel, hear] as const);
  for (const [one, hear] of pairs) one.subscribe(hear);
  return () => {
    for (const [one, hear] of pairs) one.unsubscribe(hear);
  };
}
