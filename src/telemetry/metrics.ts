/**
 * Metrics from the diagnostics channels, as Prometheus text and over OTLP; one of the doors to
 * OpenTelemetry. Every metric stands in `METRICS`, from which README's table is made. Label values that come from
 * outside are bounded: a name, at most so many different ones, the rest `other`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Meter, ObservableResult } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider, PeriodicExportingMetricReader, type IMetricReader, type MetricProducer } from '@opentelemetry/sdk-metrics';
import { AUDIT_LOSSES, BREAKER_STATES, CHANNELS, CONTENT_LOSSES, TURNED_AWAY_CODES, type AuditLost, type AuditReceived, type AuditShipped, type BreakerChanged, type BreakerState, type ClassifierCalled, type ConfigReloaded, type ContentLost, type DecisionsIndexed, type ExchangeClosed, type ExpiryTold, type HealthChanged, type HealthTold, type HoldsChanged, type LearningTold, type PoliciesHeld, type PolicyHeld, type RetentionApplied, type ReviewTold, type RiskTold, type StageEnded, type TelemetryDropped, type TurnedAway, type WeeklyReported } from '../contract/channels.ts';
import type { DecisionRecord, ExchangeRecord } from '../contract/exchange.ts';
import { POLICY_ORIGINS } from '../contract/policy.ts';
import { ACTIONS, DIRECTIONS, type Action, type Direction } from '../contract/screening.ts';
import { WEEKLY_OUTCOMES } from '../contract/weekly.ts';
import { FAULTS, faultOf } from '../contract/fault.ts';
import { EXPIRY_METRICS, ExpirySeries } from './expiry-metrics.ts';
import { HEALTH_METRICS, HealthSeries } from './health-metrics.ts';
import { BoundedLabel } from './label.ts';
import { LEARNING_METRICS, LearningSeries } from './learning-metrics.ts';
import { SERVICE_NAME, type SemconvEdition } from './names.ts';
import { otlpMetricExporter, resourceOf, type OtlpMetricExporter, type OtlpTarget, type Service } from './otlp.ts';
import { countReview, REVIEW_METRICS } from './review-metrics.ts';
import { observeRisk, RISK_METRICS } from './risk-metrics.ts';
import { SemconvRecorder } from './semconv-metrics.ts';
import { producerOf, SeriesTable, type SeriesAttributes } from './series.ts';

export interface MetricDefinition {
  readonly kind: 'counter' | 'histogram' | 'gauge';
  readonly labels: readonly string[];
  readonly help: string;
  readonly buckets?: readonly number[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.5, 5, 10, 20, 40, 80, 160];
const SCREENING_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.16, 0.32, 1];
const WAIT_SECONDS = [0.1, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400];
const CHARACTERS = [0, 1, 4, 16, 64, 256, 1024, 4096, 16384, 65536];

export const METRICS = {
  weir_exchanges_total: { kind: 'counter', labels: ['tenant', 'action', 'outcome'], help: 'Exchanges that ended, by their strongest action: one for each request of which a whole head came, a handshake of a WebSocket too, with one entry in the audit log; not /weir/healthz, /weir/readyz, and what weir_turned_away_total counts' },
  weir_turned_away_total: { kind: 'counter', labels: ['code'], help: 'What came to the proxy\'s port and became no exchange: no HTTP or no whole head, an upgrade to what is no socket, a connection beyond what is accepted' },
  weir_answers_total: { kind: 'counter', labels: ['fault'], help: 'Exchanges that ended, by whose fault it is where one did not end as it should: none, client, upstream, weir; availability is what of none and weir together is none' },
  weir_errors_total: { kind: 'counter', labels: ['code'], help: 'Exchanges that ended with an error code' },
  weir_decisions_total: { kind: 'counter', labels: ['direction', 'tenant', 'action'], help: 'Decisions' },
  weir_shadow_decisions_total: { kind: 'counter', labels: ['policy', 'shadow', 'direction', 'action', 'shadow_action'], help: 'Decisions of policies with a shadow, and what the shadow would have decided' },
  weir_violations_total: { kind: 'counter', labels: ['category', 'direction'], help: 'Findings with a score of 0.5 or more' },
  weir_unknown_scores_total: { kind: 'counter', labels: ['classifier', 'reason'], help: 'Scores that did not arrive, once for each category of an exchange' },
  weir_late_verdicts_total: { kind: 'counter', labels: ['tenant', 'act'], help: 'Exchanges that were judged after the fact, by what was done about them: cut, barred, flagged, none' },
  weir_unscreened_forwarded_total: { kind: 'counter', labels: ['tenant', 'reason'], help: 'Exchanges let through with a part that nothing screened, as the configuration allows, or with a rule skipped because its score was missing' },
  weir_opaque_carriers_total: { kind: 'counter', labels: ['direction', 'kind', 'treatment'], help: 'Carriers that nothing read, once for each exchange: images, files, ids of what the provider keeps, bodies passed through' },
  weir_redactions_total: { kind: 'counter', labels: ['direction', 'tenant'], help: 'Redacted spans' },
  weir_exchange_duration_seconds: { kind: 'histogram', labels: ['outcome'], help: 'From the first byte of a request to the last of its answer', buckets: SECONDS },
  weir_screening_duration_seconds: { kind: 'histogram', labels: ['direction'], help: 'Time that screening took', buckets: SCREENING_SECONDS },
  weir_stage_duration_seconds: { kind: 'histogram', labels: ['stage'], help: 'Time that a stage took', buckets: SECONDS },
  weir_hold_seconds: { kind: 'histogram', labels: [], help: 'Time for which an answer\'s text was held back, summed over its events', buckets: SECONDS },
  weir_waiting_for_people: { kind: 'gauge', labels: [], help: 'Requests and answers that wait for a person' },
  weir_person_waits_total: { kind: 'counter', labels: ['direction', 'ended_by'], help: 'Waits for a person, by what ended them: verdict, timeout, client_left, draining, no_store, too_many' },
  weir_person_wait_seconds: { kind: 'histogram', labels: ['ended_by'], help: 'Time for which something waited for a person', buckets: WAIT_SECONDS },
  weir_held_characters: { kind: 'histogram', labels: [], help: 'Most characters of an answer held back at once', buckets: CHARACTERS },
  weir_classifier_latency_seconds: { kind: 'histogram', labels: ['classifier'], help: 'Time that a classifier took for one text, or was given', buckets: SCREENING_SECONDS },
  weir_classifier_results_total: { kind: 'counter', labels: ['classifier', 'outcome'], help: 'How questions to a classifier about one text ended: ok, cached, or why there is no score' },
  weir_classifier_late_total: { kind: 'counter', labels: ['classifier'], help: 'Answers that came after the deadline and were ignored' },
  weir_classifier_breaker_state: { kind: 'gauge', labels: ['classifier'], help: '0 while a classifier is asked, 2 while it is left alone after failures, 1 while one text tries it again' },
  weir_open_exchanges: { kind: 'gauge', labels: [], help: 'Exchanges under way' },
  weir_config_info: { kind: 'gauge', labels: ['hash'], help: '1 for the configuration that runs, 0 for earlier ones of this process' },
  weir_config_last_reload_success: { kind: 'gauge', labels: [], help: '1 when the last configuration was taken, 0 when it was refused' },
  ...HEALTH_METRICS,
  weir_policy_source: { kind: 'gauge', labels: ['policy', 'source'], help: 'Revision of a stored policy, by where it was last read: store, redis or disk; 0 for the others' },
  weir_policy_age_seconds: { kind: 'gauge', labels: ['policy'], help: 'Time since a stored policy was known to be the newest' },
  weir_policy_stale: { kind: 'gauge', labels: ['policy'], help: '1 while nobody has confirmed a stored policy for two minutes' },
  weir_content_lost_total: { kind: 'counter', labels: ['reason'], help: 'Exchanges whose content was to be kept and is not: key, overflow, write; copy: a text of the review queue for other processes' },
  weir_weekly_reports_total: { kind: 'counter', labels: ['outcome'], help: 'Weekly reports of tenants that were due, by what came of an attempt: delivered, put_off to be tried again, given_up' },
  weir_retention_removed_total: { kind: 'counter', labels: ['kind'], help: 'Entries of the audit log and of copies of others, hours of usage, decisions and their counts, texts of the review queue, drawn texts with their labels that were removed after their retention' },
  weir_audit_lost_total: { kind: 'counter', labels: ['kind'], help: 'Entries that the audit log could not make durable, of exchanges and of changes; those of which only the sync failed may be there all the same' },
  weir_decisions_indexed_total: { kind: 'counter', labels: [], help: 'Entries of audit logs that came into the store, to be searched' },
  weir_decisions_index_lag_entries: { kind: 'gauge', labels: [], help: 'Entries of the own audit log that the store did not have yet when it last took some, or was to' },
  weir_audit_ship_lag_entries: { kind: 'gauge', labels: [], help: 'Entries of the audit log that the Weir of audit.ship does not have yet' },
  weir_audit_ship_errors_total: { kind: 'counter', labels: ['reason'], help: 'Batches of the audit log that did not arrive or were refused' },
  weir_audit_received_entries_total: { kind: 'counter', labels: ['log'], help: 'Entries taken of audit logs that are shipped here' },
  weir_audit_received_lag_entries: { kind: 'gauge', labels: ['log'], help: 'Entries that the sender of an audit log had when it was last heard of and that are not here' },
  weir_audit_refused_total: { kind: 'counter', labels: ['log', 'reason'], help: 'Batches of audit logs that were not taken' },
  ...REVIEW_METRICS,
  ...RISK_METRICS,
  weir_telemetry_dropped_total: { kind: 'counter', labels: ['signal', 'reason'], help: 'Spans, and pushes of metrics, that did not go out: queue_full, nobody took them in time; export_failed, the collector did not take them; too_many_kept, more exchanges in a second than are recorded beside the sampling' },
  ...LEARNING_METRICS,
  ...EXPIRY_METRICS,
  weir_event_loop_delay_seconds: { kind: 'gauge', labels: ['quantile'], help: 'Delay of the event loop since the last reading' },
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof METRICS;

export interface MetricOptions extends Service {
  /** OTLP/HTTP besides the Prometheus text. */
  readonly otlp?: (OtlpTarget & { readonly intervalMs: number }) | undefined;
  readonly edition?: SemconvEdition | undefined;
}

export interface Metrics {
  /** The Prometheus text format, version 0.0.4. */
  prometheusText(): Promise<string>;
  close(): Promise<void>;
}

const TENANTS_MAX = 200;
const CATEGORIES_MAX = 200;
const CLASSIFIERS_MAX = 50;
const LOGS_MAX = 1_000;
const CAMPAIGNS_MAX = 200;
const POLICIES_MAX = 1_000;
const RULES_MAX = 1_000;
/** Configurations that ran in one process. */
const CONFIGS_MAX = 500;
/** Twice what is usual at most. */
const STALE_SECONDS = 120;
/** A collector that does not answer must not keep the process from ending. */
const CLOSE_MS = 3_000;
const VIOLATION_SCORE = 0.5;
/** Series per metric, above what the labels together can make by design; beyond it OpenTelemetry folds into one. */
const SERIES_MAX = 10_000;

export function startMetrics(options: MetricOptions): Metrics {
  const semconv = new SemconvRecorder(options.edition ?? 'v1.41');
  let recorder: Recorder | undefined;
  const metricProducers = [producerOf({ name: SERVICE_NAME, version: options.version }, () => [...(recorder?.tables ?? []), ...semconv.tables])];
  const exporter = options.otlp && otlpMetricExporter(options.otlp);
  const scrape = new PrometheusExporter({ preventServerStart: true, metricProducers });
  const provider = new MeterProvider({
    resource: resourceOf(options),
    readers: [scrape, ...pushReaders(options, exporter, metricProducers)],
    views: [{ instrumentName: '*', aggregationCardinalityLimit: SERIES_MAX }],
  });
  recorder = new Recorder(provider.getMeter(SERVICE_NAME, options.version));
  const serializer = new PrometheusSerializer('', false, undefined, true, true);
  return {
    prometheusText: async () => serializer.serialize((await scrape.collect()).resourceMetrics),
    async close() {
      recorder.close();
      semconv.close();
      await Promise.race([provider.shutdown(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())]).catch(() => undefined);
      exporter?.abandon();
    },
  };
}

function pushReaders({ otlp }: MetricOptions, exporter: OtlpMetricExporter | undefined, metricProducers: MetricProducer[]): IMetricReader[] {
  if (otlp === undefined || exporter === undefined) return [];
  return [new PeriodicExportingMetricReader({ exporter, metricProducers, exportIntervalMillis: otlp.intervalMs, exportTimeoutMillis: Math.min(otlp.intervalMs, 10_000) })];
}

/** Turns what the channels tell into instruments. */
class Recorder {
  /** Counters and histograms; gauges are asked for when they are read. */
  readonly #tables = new Map<MetricName, SeriesTable>();
  readonly #tenants = new BoundedLabel(TENANTS_MAX);
  readonly #policies = new BoundedLabel(POLICIES_MAX);
  readonly #categories = new BoundedLabel(CATEGORIES_MAX);
  readonly #classifiers = new BoundedLabel(CLASSIFIERS_MAX);
  readonly #logs = new BoundedLabel(LOGS_MAX);
  readonly #campaigns = new BoundedLabel(CAMPAIGNS_MAX);
  readonly #health = new HealthSeries();
  readonly #rules = new BoundedLabel(RULES_MAX);
  /** Items of the review queue, by severity. */
  readonly #waiting = new Map<string, number>();
  /** Those that nobody decided in time. */
  readonly #overdue = new Map<string, number>();
  /** Where campaigns stand. */
  #risk: RiskTold | undefined;
  readonly #learning = new LearningSeries({ count: (name, amount, labels) => this.#count(name, amount, labels), plugin: (name) => this.#classifiers.of(name) });
  readonly #expiries = new ExpirySeries((id) => this.#tenants.of(id));
  #shipLag: number | undefined;
  #indexLag: number | undefined;
  /** By label. */
  readonly #receivedLags = new Map<string, number>();
  #held: readonly PolicyHeld[] = [];
  /** By label. */
  readonly #breakers = new Map<string, BreakerState>();
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  readonly #unsubscribe: () => void;
  #openExchanges = 0;
  /** Requests that wait for a person. */
  #heldRequests = 0;
  #config: ConfigReloaded | undefined;
  /** Every configuration that ran, the one that runs last. A gauge once told is repeated for ever, so old ones are set to 0. */
  readonly #configHashes = new Set<string>();
  readonly #hashes = new BoundedLabel(CONFIGS_MAX);

  constructor(meter: Meter) {
    for (const [name, definition] of Object.entries(METRICS) as [MetricName, MetricDefinition][]) this.#create(meter, name, definition);
    // A rate needs a value before the first fault.
    for (const fault of FAULTS) this.#count('weir_answers_total', 0, { fault });
    for (const outcome of WEEKLY_OUTCOMES) this.#count('weir_weekly_reports_total', 0, { outcome });
    for (const reason of CONTENT_LOSSES) this.#count('weir_content_lost_total', 0, { reason });
    for (const code of TURNED_AWAY_CODES) this.#count('weir_turned_away_total', 0, { code });
    for (const kind of AUDIT_LOSSES) this.#count('weir_audit_lost_total', 0, { kind });
    this.#learning.begin();
    this.#loop.enable();
    this.#unsubscribe = this.#subscribe();
  }

  get tables(): readonly SeriesTable[] {
    return [...this.#tables.values()];
  }

  close(): void {
    this.#unsubscribe();
    this.#loop.disable();
  }

  #create(meter: Meter, name: MetricName, { kind, help, buckets }: MetricDefinition): void {
    if (kind !== 'gauge') this.#tables.set(name, new SeriesTable({ [name]: { kind, help, unit: '', ...(buckets === undefined ? {} : { buckets }) } }, SERIES_MAX));
    else meter.createObservableGauge(name, { description: help }).addCallback((result) => this.#observe(name, result));
  }

  #subscribe(): () => void {
    const onOpened = (): void => void this.#openExchanges++;
    const onStage = (message: unknown): void => this.#stage(message as StageEnded);
    const onClosed = (message: unknown): void => this.#exchange((message as ExchangeClosed).record);
    const onConfig = (message: unknown): void => this.#reloaded(message as ConfigReloaded);
    const onHealth = (message: unknown): void => this.#fell(this.#health.changed(message as HealthChanged));
    const onTold = (message: unknown): void => this.#health.told(message as HealthTold);
    const onCalled = (message: unknown): void => this.#called(message as ClassifierCalled);
    const onBreaker = (message: unknown): void => void this.#breakers.set(this.#classifiers.of((message as BreakerChanged).classifier), (message as BreakerChanged).state);
    const onHeld = (message: unknown): void => void (this.#held = (message as PoliciesHeld).policies);
    const onLost = (message: unknown): void => this.#count('weir_content_lost_total', (message as ContentLost).count, { reason: (message as ContentLost).reason });
    CHANNELS.contentLost.subscribe(onLost);
    const onTurnedAway = (message: unknown): void => this.#count('weir_turned_away_total', 1, { code: (message as TurnedAway).code });
    CHANNELS.turnedAway.subscribe(onTurnedAway);
    const onAuditLost = (message: unknown): void => this.#count('weir_audit_lost_total', (message as AuditLost).count, { kind: (message as AuditLost).kind });
    CHANNELS.auditLost.subscribe(onAuditLost);
    const onRetention = (message: unknown): void => this.#count('weir_retention_removed_total', (message as RetentionApplied).removed, { kind: (message as RetentionApplied).kind });
    CHANNELS.retentionApplied.subscribe(onRetention);
    const onWeekly = (message: unknown): void => this.#count('weir_weekly_reports_total', 1, { outcome: (message as WeeklyReported).outcome });
    CHANNELS.weeklyReported.subscribe(onWeekly);
    const onShipped = (message: unknown): void => this.#shipped(message as AuditShipped);
    const onReceived = (message: unknown): void => this.#received(message as AuditReceived);
    CHANNELS.auditShipped.subscribe(onShipped);
    CHANNELS.auditReceived.subscribe(onReceived);
    const onIndexed = (message: unknown): void => this.#indexed(message as DecisionsIndexed);
    CHANNELS.decisionsIndexed.subscribe(onIndexed);
    const onReview = (message: unknown): void => this.#review(message as ReviewTold);
    CHANNELS.reviewTold.subscribe(onReview);
    const onRisk = (message: unknown): void => { this.#risk = message as RiskTold; };
    CHANNELS.riskTold.subscribe(onRisk);
    const onDropped = (message: unknown): void => this.#count('weir_telemetry_dropped_total', (message as TelemetryDropped).count, { signal: (message as TelemetryDropped).signal, reason: (message as TelemetryDropped).reason });
    CHANNELS.telemetryDropped.subscribe(onDropped);
    const onLearning = (message: unknown): void => this.#learning.told(message as LearningTold);
    CHANNELS.learningTold.subscribe(onLearning);
    const onExpiry = (message: unknown): void => this.#expiries.told(message as ExpiryTold);
    CHANNELS.expiryTold.subscribe(onExpiry);
    const onHolds = (message: unknown): void => this.#holds(message as HoldsChanged);
    CHANNELS.holdsChanged.subscribe(onHolds);
    CHANNELS.policiesHeld.subscribe(onHeld);
    CHANNELS.exchangeOpened.subscribe(onOpened);
    CHANNELS.stageEnded.subscribe(onStage);
    CHANNELS.exchangeClosed.subscribe(onClosed);
    CHANNELS.configReloaded.subscribe(onConfig);
    CHANNELS.healthChanged.subscribe(onHealth);
    CHANNELS.healthTold.subscribe(onTold);
    CHANNELS.classifierCalled.subscribe(onCalled);
    CHANNELS.breakerChanged.subscribe(onBreaker);
    return () => {
      CHANNELS.telemetryDropped.unsubscribe(onDropped);
      CHANNELS.contentLost.unsubscribe(onLost);
      CHANNELS.turnedAway.unsubscribe(onTurnedAway);
      CHANNELS.auditLost.unsubscribe(onAuditLost);
      CHANNELS.retentionApplied.unsubscribe(onRetention);
      CHANNELS.weeklyReported.unsubscribe(onWeekly);
      CHANNELS.auditShipped.unsubscribe(onShipped);
      CHANNELS.auditReceived.unsubscribe(onReceived);
      CHANNELS.decisionsIndexed.unsubscribe(onIndexed);
      CHANNELS.reviewTold.unsubscribe(onReview);
      CHANNELS.riskTold.unsubscribe(onRisk);
      CHANNELS.learningTold.unsubscribe(onLearning);
      CHANNELS.expiryTold.unsubscribe(onExpiry);
      CHANNELS.holdsChanged.unsubscribe(onHolds);
      CHANNELS.policiesHeld.unsubscribe(onHeld);
      CHANNELS.exchangeOpened.unsubscribe(onOpened);
      CHANNELS.stageEnded.unsubscribe(onStage);
      CHANNELS.exchangeClosed.unsubscribe(onClosed);
      CHANNELS.configReloaded.unsubscribe(onConfig);
      CHANNELS.healthChanged.unsubscribe(onHealth);
      CHANNELS.healthTold.unsubscribe(onTold);
      CHANNELS.classifierCalled.unsubscribe(onCalled);
      CHANNELS.breakerChanged.unsubscribe(onBreaker);
    };
  }

  #observe(name: MetricName, result: ObservableResult): void {
    if (name === 'weir_open_exchanges') result.observe(this.#openExchanges);
    else if (name === 'weir_waiting_for_people') result.observe(this.#heldRequests);
    else if (name === 'weir_config_info') this.#observeConfig(result);
    else if (name === 'weir_config_last_reload_success' && this.#config !== undefined) result.observe(this.#config.ok ? 1 : 0);
    else if (name === 'weir_healthy') this.#health.observe((value, labels) => result.observe(value, labels));
    else if (name === 'weir_classifier_breaker_state') for (const [classifier, state] of this.#breakers) result.observe(BREAKER_STATES.indexOf(state), { classifier });
    else if (name === 'weir_review_waiting') for (const [severity, value] of this.#waiting) result.observe(value, { severity });
    else if (name === 'weir_review_overdue') for (const [severity, value] of this.#overdue) result.observe(value, { severity });
    else if (name.startsWith('weir_risk_') && this.#risk !== undefined) observeRisk(name, this.#risk, (campaign) => this.#campaigns.of(campaign), (value, labels) => result.observe(value, labels));
    else if (Object.hasOwn(LEARNING_METRICS, name)) this.#learning.observe(name as keyof typeof LEARNING_METRICS, (value, labels) => result.observe(value, labels));
    else if (name === 'weir_expiry_timestamp_seconds') this.#expiries.observe((value, labels) => result.observe(value, labels));
    else if (name === 'weir_audit_ship_lag_entries' && this.#shipLag !== undefined) result.observe(this.#shipLag);
    else if (name === 'weir_decisions_index_lag_entries' && this.#indexLag !== undefined) result.observe(this.#indexLag);
    else if (name === 'weir_audit_received_lag_entries') for (const [log, lag] of this.#receivedLags) result.observe(lag, { log });
    else if (name.startsWith('weir_policy_')) this.#observePolicies(name, result);
    else if (name === 'weir_event_loop_delay_seconds') this.#observeLoop(result);
  }

  #fell(part: string | undefined): void {
    if (part !== undefined) this.#count('weir_health_faults_total', 1, { part });
  }

  #indexed({ log, taken, lag }: DecisionsIndexed): void {
    this.#count('weir_decisions_indexed_total', taken, {});
    if (log === '') this.#indexLag = lag;
  }

  #observePolicies(name: MetricName, result: ObservableResult): void {
    for (const { policy: key, origin, revision, confirmedMs } of this.#held) {
      const policy = this.#policies.of(key);
      const ageSeconds = confirmedMs === undefined ? 0 : Math.max(0, (Date.now() - confirmedMs) / 1000);
      if (name === 'weir_policy_source') for (const source of POLICY_ORIGINS) result.observe(source === origin ? revision : 0, { policy, source });
      else result.observe(name === 'weir_policy_age_seconds' ? ageSeconds : ageSeconds > STALE_SECONDS ? 1 : 0, { policy });
    }
  }

  #observeConfig(result: ObservableResult): void {
    const current = [...this.#configHashes].at(-1);
    for (const hash of this.#configHashes) result.observe(hash === current ? 1 : 0, { hash });
  }

  #observeLoop(result: ObservableResult): void {
    for (const quantile of [50, 99, 100]) result.observe(loopDelaySeconds(this.#loop.percentile(quantile)), { quantile: String(quantile / 100) });
    this.#loop.reset();
  }

  #reloaded(event: ConfigReloaded): void {
    this.#config = event;
    if (!event.ok) return;
    const hash = this.#hashes.of(event.hash);
    this.#configHashes.delete(hash);
    this.#configHashes.add(hash);
  }

  #holds({ open, ended }: HoldsChanged): void {
    this.#heldRequests = open;
    if (ended === undefined) return;
    this.#count('weir_person_waits_total', 1, { direction: ended.direction, ended_by: ended.endedBy });
    this.#record('weir_person_wait_seconds', ended.heldMs / 1000, { ended_by: ended.endedBy });
  }

  #shipped({ lag, error }: AuditShipped): void {
    this.#shipLag = lag;
    if (error !== undefined) this.#count('weir_audit_ship_errors_total', 1, { reason: error });
  }

  #received({ log: name, entries, lag, refused }: AuditReceived): void {
    const log = this.#logs.of(name);
    this.#receivedLags.set(log, lag);
    if (entries > 0) this.#count('weir_audit_received_entries_total', entries, { log });
    if (refused !== undefined) this.#count('weir_audit_refused_total', 1, { log, reason: refused });
  }

  #review(told: ReviewTold): void {
    countReview(told, {
      count: (name, amount, labels) => this.#count(name, amount, labels), record: (name, value, labels) => this.#record(name, value, labels), waiting: ({ severity }, value) => void this.#waiting.set(severity, value), overdue: ({ severity }, value) => void this.#overdue.set(severity, value),
      tenant: (id) => this.#tenants.of(id), policy: (id) => this.#policies.of(id), rule: (id) => this.#rules.of(id),
    });
  }

  #stage(stage: StageEnded): void {
    this.#record('weir_stage_duration_seconds', (stage.endMs - stage.startMs) / 1000, { stage: stage.stage });
  }

  /** A late answer ends nothing: its question was counted as `timeout`. */
  #called({ classifier: id, outcome, startMs, endMs }: ClassifierCalled): void {
    const classifier = this.#classifiers.of(id);
    if (!this.#breakers.has(classifier)) this.#breakers.set(classifier, 'closed');
    if (outcome === 'late') return this.#count('weir_classifier_late_total', 1, { classifier });
    this.#count('weir_classifier_results_total', 1, { classifier, outcome });
    if (outcome === 'ok' || outcome === 'timeout' || outcome === 'error') this.#record('weir_classifier_latency_seconds', (endMs - startMs) / 1000, { classifier });
  }

  #exchange(record: ExchangeRecord): void {
    this.#openExchanges--;
    const tenant = this.#tenants.of(record.tenant_id);
    this.#count('weir_exchanges_total', 1, { tenant, action: strongestAction(record), outcome: record.outcome });
    this.#count('weir_answers_total', 1, { fault: faultOf(record) });
    if (record.error_code !== undefined) this.#count('weir_errors_total', 1, { code: record.error_code });
    this.#record('weir_exchange_duration_seconds', record.duration_ms / 1000, { outcome: record.outcome });
    if (record.input !== undefined) this.#decision('input', tenant, record.input);
    for (const direction of DIRECTIONS) this.#shadow(direction, record);
    if (record.output !== undefined) {
      this.#decision('output', tenant, record.output);
      this.#record('weir_hold_seconds', record.held_ms_total / 1000, {});
      this.#record('weir_held_characters', record.held_chars_max, {});
    }
    if (record.late !== undefined) for (const act of record.late.acted.length === 0 ? ['none'] : record.late.acted) this.#count('weir_late_verdicts_total', 1, { tenant, act });
    const reason = unscreenedReason(record);
    if (reason !== undefined) this.#count('weir_unscreened_forwarded_total', 1, { tenant, reason });
  }

  #decision(direction: Direction, tenant: string, decision: DecisionRecord): void {
    this.#count('weir_decisions_total', 1, { direction, tenant, action: decision.action });
    this.#record('weir_screening_duration_seconds', decision.latency_ms / 1000, { direction });
    if (decision.redactions > 0) this.#count('weir_redactions_total', decision.redactions, { direction, tenant });
    for (const { kind, treatment } of decision.coverage.opaque) this.#count('weir_opaque_carriers_total', 1, { direction, kind, treatment });
    for (const result of decision.classifier_results) {
      const classifier = this.#classifiers.of(result.classifier_id);
      if (result.unknown !== undefined) this.#count('weir_unknown_scores_total', 1, { classifier, reason: result.unknown });
      if ((result.score ?? 0) >= VIOLATION_SCORE) this.#count('weir_violations_total', result.count, { category: this.#categories.of(`${result.classifier_id}.${result.category}`), direction });
    }
  }

  #shadow(direction: Direction, { policy, [direction]: decision }: ExchangeRecord): void {
    if (policy === undefined || decision?.shadow === undefined) return;
    const { action, shadow } = decision;
    this.#count('weir_shadow_decisions_total', 1, { policy: this.#policies.of(idOf(policy)), shadow: this.#policies.of(idOf(shadow.policy)), direction, action, shadow_action: shadow.action });
  }

  #count(name: MetricName, amount: number, attributes: SeriesAttributes): void {
    this.#add(name, amount, attributes);
  }

  #record(name: MetricName, value: number, attributes: SeriesAttributes): void {
    this.#add(name, value, attributes);
  }

  /** No value of a label has a line feed. */
  #add(name: MetricName, value: number, attributes: SeriesAttributes): void {
    let key = '';
    for (const label of METRICS[name].labels) key += `${attributes[label] ?? ''}\n`;
    this.#tables.get(name)!.of(key, () => attributes).add(name, value);
  }
}

/** Of `id@revision`: every change of a policy would be a series of its own. */
function idOf(policy: string): string {
  return policy.slice(0, policy.lastIndexOf('@'));
}

const LOOP_RESOLUTION_MS = 10;

/** The histogram holds the time between two ticks of a timer; what exceeds the timer's own period is delay. */
function loopDelaySeconds(betweenTicksNs: number): number {
  return Math.max(0, betweenTicksNs / 1e9 - LOOP_RESOLUTION_MS / 1000);
}

/** `ACTIONS` from the mildest to the strongest, as an exchange's one label. */
const STRENGTH: readonly Action[] = ['allow', 'warn', 'redact', 'escalate', 'replace', 'block'] satisfies readonly (typeof ACTIONS)[number][];

function strongestAction(record: ExchangeRecord): Action | 'none' {
  const taken = [record.input?.action, record.output?.action].filter((action) => action !== undefined);
  return taken.sort((a, b) => STRENGTH.indexOf(b) - STRENGTH.indexOf(a))[0] ?? 'none';
}

/** Nothing was let through: a rule that could not be evaluated decided, or another one stopped what it had let pass. */
const STOPPED: readonly Action[] = ['block', 'replace'];

function unscreenedReason(record: ExchangeRecord): 'pass_through' | 'opaque' | 'skipped_rule' | undefined {
  if (record.upstream_status === undefined) return undefined;
  if (record.input === undefined || record.input.coverage.opaque.some(({ kind }) => kind === 'pass_through')) return 'pass_through';
  if ([record.input, record.output, record.late].some((decision) => decision !== undefined && decision.degraded.length > 0 && !STOPPED.includes(decision.action))) return 'skipped_rule';
  return record.input.coverage.opaque.some((part) => part.treatment === 'pass') ? 'opaque' : undefined;
}
