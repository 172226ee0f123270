/**
 * The log: one JSON object per line on stderr, and the only door to `pino`. Lines hold ids, names and numbers; there is
 * no way to log an object, so no body and no header can slip in. One line per change of state, one per exchange.
 */
import pino from 'pino';
import { CHANNELS, type ConfigReloaded, type DecisionsIndexed, type ExchangeClosed, type HealthTold, type LearningTold, type RetentionApplied, type ReviewTold, type StageEnded, type TracePlace, type WeeklyReported } from '../contract/channels.ts';
import type { DecisionRecord, LateRecord, ShadowRecord } from '../contract/exchange.ts';
import { nameOf } from '../contract/names.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  isDebug(): boolean;
  /** Whether a line of this level is written; the fields of one that is not need not be gathered. */
  writes(level: Exclude<LogLevel, 'silent'>): boolean;
  /** Writes what still waits. */
  flush(): void;
}

const FIELD_CHARS_MAX = 512;

/** `destination` takes whole lines; by default they go to stderr, so that stdout stays with the command's own words. */
export function createLog(options: { readonly level: LogLevel; readonly destination?: { write(line: string): void } }): Log {
  const settings = {
    level: options.level,
    base: undefined,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: 'event',
  };
  const stderr = options.destination === undefined ? pino.destination({ dest: 2, sync: false }) : undefined;
  const logger = pino(settings, stderr ?? options.destination!);
  return {
    debug: (event, fields = {}) => logger.debug(safeFields(fields), event),
    info: (event, fields = {}) => logger.info(safeFields(fields), event),
    warn: (event, fields = {}) => logger.warn(safeFields(fields), event),
    error: (event, fields = {}) => logger.error(safeFields(fields), event),
    isDebug: () => logger.isLevelEnabled('debug'),
    writes: (level) => logger.isLevelEnabled(level),
    flush: () => stderr?.flushSync(),
  };
}

/** Writes what the core publishes. Returns the function that ends it. */
export function logChannels(log: Log): () => void {
  const onClosed = (message: unknown): void => logExchange(log, message as ExchangeClosed);
  const onStage = (message: unknown): void => logStage(log, message as StageEnded);
  const onConfig = (message: unknown): void => logConfig(log, message as ConfigReloaded);
  const onHealth = (message: unknown): void => logHealth(log, message as HealthTold);
  const onRetention = (message: unknown): void => logRetention(log, message as RetentionApplied);
  const onLearning = (message: unknown): void => logLearning(log, message as LearningTold);
  CHANNELS.learningTold.subscribe(onLearning);
  const onIndexed = indexingLog(log);
  CHANNELS.decisionsIndexed.subscribe(onIndexed);
  CHANNELS.retentionApplied.subscribe(onRetention);
  CHANNELS.exchangeClosed.subscribe(onClosed);
  CHANNELS.configReloaded.subscribe(onConfig);
  CHANNELS.healthTold.subscribe(onHealth);
  if (log.isDebug()) CHANNELS.stageEnded.subscribe(onStage);
  const onReview = (message: unknown): void => logReview(log, message as ReviewTold);
  CHANNELS.reviewTold.subscribe(onReview);
  const onWeekly = (message: unknown): void => logWeekly(log, message as WeeklyReported);
  CHANNELS.weeklyReported.subscribe(onWeekly);
  return () => {
    CHANNELS.weeklyReported.unsubscribe(onWeekly);
    CHANNELS.learningTold.unsubscribe(onLearning);
    CHANNELS.decisionsIndexed.unsubscribe(onIndexed);
    CHANNELS.reviewTold.unsubscribe(onReview);
    CHANNELS.retentionApplied.unsubscribe(onRetention);
    CHANNELS.exchangeClosed.unsubscribe(onClosed);
    CHANNELS.configReloaded.unsubscribe(onConfig);
    CHANNELS.healthTold.unsubscribe(onHealth);
    CHANNELS.stageEnded.unsubscribe(onStage);
  };
}

function logExchange(log: Log, { record, trace }: ExchangeClosed): void {
  const level = record.outcome === 'failed' ? 'error' : record.outcome === 'upstream_failed' ? 'warn' : 'info';
  if (!log.writes(level)) return;
  log[level]('exchange', {
    request_id: nameOf(record.request_id),
    tenant_id: nameOf(record.tenant_id),
    policy: record.policy && nameOf(record.policy),
    method: nameOf(record.method),
    route: nameOf(record.route),
    model: record.model && nameOf(record.model),
    stream: record.stream,
    outcome: record.outcome,
    error_code: record.error_code,
    status: record.status,
    upstream_status: record.upstream_status,
    ...decisionFields('input', record.input),
    ...decisionFields('output', record.output),
    ...lateFields(record.late),
    held_chars_max: record.held_chars_max,
    request_bytes: record.request_bytes,
    response_bytes: record.response_bytes,
    duration_ms: rounded(record.duration_ms),
    ...traceFields(trace),
  });
}

/** Under the names by which collectors of logs find the trace; absent when traces are off. */
function traceFields({ traceId, spanId, sampled }: TracePlace = {}): LogFields {
  return traceId === undefined ? {} : { trace_id: traceId, span_id: spanId, trace_sampled: sampled };
}

function decisionFields(direction: string, decision: DecisionRecord | undefined): LogFields {
  if (decision === undefined) return {};
  return {
    [`${direction}_action`]: decision.action,
    [`${direction}_rules`]: decision.triggered_rules.map(nameOf).join(',') || undefined,
    [`${direction}_redactions`]: decision.redactions || undefined,
    [`${direction}_degraded`]: decision.degraded.map(nameOf).join(',') || undefined,
    ...shadowFields(`${direction}_shadow`, decision.shadow),
  };
}

function shadowFields(name: string, shadow: ShadowRecord | undefined): LogFields {
  if (shadow === undefined) return {};
  return { [name]: nameOf(shadow.policy), [`${name}_action`]: shadow.action, [`${name}_rules`]: shadow.triggered_rules.map(nameOf).join(',') || undefined, [`${name}_degraded`]: shadow.degraded.map(nameOf).join(',') || undefined };
}

function lateFields(late: LateRecord | undefined): LogFields {
  if (late === undefined) return {};
  return { late_action: late.action, late_rules: late.triggered_rules.map(nameOf).join(',') || undefined, late_acted: late.acted.join(',') || undefined, late_degraded: late.degraded.map(nameOf).join(',') || undefined };
}

function logHealth(log: Log, { part, healthy, detail, atMs }: HealthTold): void {
  if (healthy) log.info('well again', { part, detail, since: new Date(atMs).toISOString() });
  else log.warn('works less well', { part, detail });
}

/** A training that failed is told as a part that is ill. */
function logLearning(log: Log, told: LearningTold): void {
  if (told.kind === 'trained' && told.state === 'done') log.info('weekly training done', { detail: told.detail });
}

function logRetention(log: Log, { kind, removed, detail }: RetentionApplied): void {
  log.info('retention', { kind, removed, detail });
}

function logWeekly(log: Log, { tenant_id, week, outcome, detail }: WeeklyReported): void {
  log[outcome === 'delivered' ? 'info' : outcome === 'put_off' ? 'warn' : 'error']('weekly report', { tenant_id: nameOf(tenant_id), week, outcome, detail });
}

/** Behind by more than this, catching up is told. */
const LAG_TOLD = 5_000;
const LAG_TOLD_MS = 5_000;

function indexingLog(log: Log): (message: unknown) => void {
  let [isBehind, toldMs] = [false, -Infinity];
  return (message) => {
    const { log: name, taken, lag } = message as DecisionsIndexed;
    // A store that takes nothing is told of as a part that is ill.
    if (name !== '' || (taken === 0 && lag > 0) || (lag <= LAG_TOLD && !(isBehind && lag === 0)) || (lag > 0 && performance.now() - toldMs < LAG_TOLD_MS)) return;
    [isBehind, toldMs] = [lag > 0, performance.now()];
    log.info(lag > 0 ? 'the audit log is being indexed' : 'the audit log is indexed', { entries_to_come: lag });
  };
}

function logReview(log: Log, told: ReviewTold): void {
  if (told.kind === 'overdue') log.warn('review overdue', { review_id: nameOf(told.notice.review_id), tenant_id: nameOf(told.notice.tenant_id), severity: told.notice.severity, due_at: told.notice.due_at });
  if (told.kind === 'notice' && told.outcome === 'given_up') log.error('notice given up', { receiver: told.receiver });
}

function logStage(log: Log, stage: StageEnded): void {
  log.debug('stage', { request_id: nameOf(stage.requestId), stage: stage.stage, duration_ms: rounded(stage.endMs - stage.startMs), error: stage.error && nameOf(stage.error), ...traceFields(stage.trace) });
}

function logConfig(log: Log, event: ConfigReloaded): void {
  if (event.ok) {
    log.info('configuration loaded', { hash: event.hash, issues: event.issues });
    logWaiting(log, event.waiting ?? []);
  } else log.error('configuration refused, the old one stays', { hash: event.hash, issues: event.issues, message: event.message });
}

function logWaiting(log: Log, keys: readonly string[]): void {
  if (keys.length > 0) log.warn('part of the configuration counts after a restart', { keys: keys.join(', ') });
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Caps strings and spells out what a terminal or a line reader would act on; JSON itself does not escape U+2028. */
function safeFields(fields: LogFields): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) safe[key] = typeof value === 'string' ? safeText(value) : value;
  return safe;
}

const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

function safeText(text: string): string {
  const short = text.length > FIELD_CHARS_MAX ? `${text.slice(0, FIELD_CHARS_MAX)}…` : text;
  return short.toWellFormed().replace(UNSAFE, (c) => `\\u{${c.charCodeAt(0).toString(16)}}`);
}
