/**
 * The review queue in a running process: what was escalated or drawn comes in as exchanges close; pages and notices go
 * out. Exchanges never wait for it: what the store does not take now is kept in memory, bounded, and tried again; what is
 * lost is told, and stands in the audit log all the same. Pages and notices are sent by every process with the role
 * control, each by one at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { QueueCapacity, QueueDesk } from './admin/queue.ts';
import type { ReviewDesk } from './admin/reviews.ts';
import type { AuditLog } from './audit/log.ts';
import type { ContentVault } from './audit/vault.ts';
import type { Config } from './config/schema.ts';
import { CHANNELS, type ExchangeClosed } from './contract/channels.ts';
import type { ExchangeRecord } from './contract/exchange.ts';
import type { ReviewNotice } from './contract/notification.ts';
import { PartHealth } from './contract/part-health.ts';
import type { Policy } from './contract/policy.ts';
import type { ClassifierResult, Direction, Severity } from './contract/screening.ts';
import type { BreakLimits } from './contract/wellness.ts';
import { postSigned } from './notify/webhook.ts';
import type { AppealDesk } from './review/appeals.ts';
import { textOf, type ReviewContents } from './review/contents.ts';
import { Courier, type Delivered } from './review/courier.ts';
import { drawnOf, sampleShareAt, type DrawSettings } from './review/drawn.ts';
import { heldItems, intakeOf, type Intake, type IntakeSettings } from './review/intake.ts';
import { pseudonymOf } from './review/pseudonym.ts';
import { SampledOfWeek } from './review/sampled.ts';
import { Pager, pagerDutyEvent, sentOf, type Sent } from './review/pager.ts';
import { SqlPageStore, type DuePage } from './store/pages.ts';
import { hourOf, SqlReviewIntake, type IntakeBounds } from './store/review-intake.ts';
import { SqlNoticeStore, type Receiver } from './store/review-notices.ts';
import { SqlAppealStore } from './store/review-appeals.ts';
import { SqlOutcomeStore } from './store/review-outcomes.ts';
import { SqlReviewStore, type NewReviewItem } from './store/reviews.ts';
import { SqlWellnessStore } from './store/wellness.ts';
import type { StoreDatabase } from './store/sql.ts';

export interface ReviewingOptions {
  readonly database: StoreDatabase;
  readonly config: () => Config;
  /** By `id@revision`, as it runs now. */
  readonly policyOf: (name: string) => Policy | undefined;
  readonly found: (policy: Policy, direction: Direction, text: string) => Promise<readonly ClassifierResult[]>;
  readonly audit: AuditLog;
  readonly content: Pick<ContentVault, 'read'>;
  /** Texts of items for other processes, and theirs; absent: no other process shares the store. */
  readonly contents?: ReviewContents | undefined;
  /** Decides which items two people decide. */
  readonly drawKey: Buffer;
  /** Named in pages. */
  readonly source: string;
  readonly exchangeOf: AppealDesk['exchangeOf'];
  /** A person decided an item for which a request waits, or did. */
  readonly decided: (reviewId: string) => void;
}

/** Items that wait for the store. */
const WAITING_MAX = 10_000;
const RETRY_MS = 1_000;
const PAGES_EVERY_MS = 2_000;
const TOLD_EVERY_MS = 10_000;
const SEND_TIMEOUT_MS = 10_000;
/** For how long it is told what came in by the hour. */
const COUNTS_KEPT_MS = 90 * 86_400_000;

/** What comes in, and when its exchange began, where its text is kept. */
interface Arrival extends Intake {
  readonly keptAt?: string;
}

export class Reviewing {
  readonly desk: ReviewDesk & QueueDesk & AppealDesk;
  readonly #options: ReviewingOptions;
  readonly #intake: SqlReviewIntake;
  readonly #sampled: SampledOfWeek;
  readonly #health = new PartHealth('review queue');
  readonly #waiting: Arrival[] = [];
  readonly #stop = new AbortController();
  /** Exchanges that closed since the event loop last went round: their end does not wait for what is found in them. */
  #closed: ExchangeRecord[] = [];
  readonly #onClosed = (message: unknown): void => this.#hear(message as ExchangeClosed);
  #storing: Promise<void> | undefined;
  /** What is done over and over. */
  readonly #rounds: Promise<void>[] = [];

  constructor(options: ReviewingOptions) {
    const { database, config, audit, content, contents, decided, drawKey } = options;
    const now = (): Date => new Date();
    this.#options = options;
    this.#intake = new SqlReviewIntake(database);
    this.#sampled = new SampledOfWeek(this.#intake);
    this.desk = {
      store: new SqlReviewStore(database),
      intake: this.#intake,
      outcomes: new SqlOutcomeStore(database),
      appeals: new SqlAppealStore(database),
      appealsHourMax: () => config().review.appeals_per_hour_max,
      exchangeOf: options.exchangeOf,
      policyOf: options.policyOf,
      found: options.found,
      intakeSettings: () => this.#settings(),
      capacity: () => capacityOf(config()),
      content: (item) => textOf(content, contents, item),
      entered: (item) => contents?.want(item),
      leaseMs: () => config().review.lease_ms,
      deadlineMs: (severity) => deadlinesOf(config())[severity],
      decided,
      audit: (record) => audit.append(record, 'strict'),
      wellness: { store: new SqlWellnessStore(database), limits: () => breaksOf(config()), now },
      pseudonym: (tenantId, reviewerId) => pseudonymOf(drawKey, tenantId, reviewerId),
      now,
      random: Math.random,
    };
  }

  start(): void {
    CHANNELS.exchangeClosed.subscribe(this.#onClosed);
    if (!this.#options.config().roles.includes('control')) return;
    const { database, config } = this.#options;
    const pager = new Pager({ store: new SqlPageStore(database), send: (page) => this.#send(page), heartbeat: () => this.#beat() });
    const courier = new Courier({ store: new SqlNoticeStore(database), send: (notice, receiver, tenantId) => this.#deliver(notice, receiver, tenantId) });
    this.#every(PAGES_EVERY_MS, async () => (config().review.pager === undefined ? undefined : pager.pass()));
    this.#every(PAGES_EVERY_MS, () => courier.pass());
    this.#every(TOLD_EVERY_MS, async () => {
      const [waiting, overdue] = await Promise.all([this.desk.store.depth(), this.desk.store.depth(new Date().toISOString())]);
      CHANNELS.reviewTold.publish({ kind: 'waiting', waiting, overdue });
      await this.#intake.forgetCounts(hourOf(new Date(Date.now() - COUNTS_KEPT_MS).toISOString()));
    });
  }

  /** The store is told to be ill by who asks it for more. */
  #every(ms: number, work: () => Promise<unknown>): void {
    const { signal } = this.#stop;
    const rounds = async (): Promise<void> => {
      while (!signal.aborted) {
        await work().catch(() => undefined);
        await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined);
      }
    };
    this.#rounds.push(rounds());
  }

  /** What waits for the store is stored if it can be at once. */
  async close(): Promise<void> {
    CHANNELS.exchangeClosed.unsubscribe(this.#onClosed);
    this.#takeClosed();
    this.#stop.abort();
    await Promise.all([this.#storing, ...this.#rounds]);
  }

  #hear({ record }: ExchangeClosed): void {
    if (this.#closed.push(record) === 1) setImmediate(() => this.#takeClosed());
  }

  #takeClosed(): void {
    const closed = this.#closed;
    this.#closed = [];
    for (const record of closed) this.#take(record);
  }

  #take(record: ExchangeRecord): void {
    const { policyOf, contents } = this.#options;
    const settings = this.#settings();
    const kept = record.content === undefined ? {} : { keptAt: record.started_at };
    for (const intake of [...intakeOf(record, settings, policyOf), ...drawnOf(record, settings, policyOf)]) {
      if (intake.item.origin === 'sample') this.#sampled.drew();
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ ...intake, ...kept });
      else this.#health.ill(`more than ${WAITING_MAX} items wait for the store; what comes beyond stands in the audit log only`, ['full']);
    }
    if (this.#waiting.length > 0) this.#storing ??= this.#storeAll();
    // Since it waited more may have been said, and kept.
    if (record.content !== undefined) for (const item of heldItems(record)) contents?.want(item, record.started_at);
  }

  #settings(): DrawSettings {
    const { config, drawKey } = this.#options;
    const { uncertain, sample } = config().review;
    return {
      ...intakeSettings(config(), drawKey),
      ...(uncertain === undefined ? {} : { uncertain: { below: uncertain.below, above: uncertain.above, share: uncertain.percent / 100 } }),
      sampleShare: sample === undefined ? 0 : sampleShareAt(Date.now(), this.#sampled.count(Date.now()), { share: sample.percent / 100, weekMin: sample.per_week_min }),
    };
  }

  /** In order, one after the other, until nothing waits. */
  async #storeAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        const admission = await this.#intake.admit(next.item, next.pages, boundsOf(this.#options.config(), next.item));
        if (admission !== 'known') CHANNELS.reviewTold.publish({ kind: 'admitted', tenant_id: next.item.tenant_id, origin: next.item.origin, admission });
        if (admission === 'new' && next.keptAt !== undefined) this.#options.contents?.want(next.item, next.keptAt);
        this.#waiting.shift();
        this.#health.well(() => 'items are stored again');
      } catch {
        this.#health.ill('the store does not take items; they wait in memory', ['store']);
        if (this.#stop.signal.aborted) break;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      }
    }
    this.#storing = undefined;
  }

  async #send(page: DuePage): Promise<Sent> {
    const { config, source } = this.#options;
    const { pager } = config().review;
    if (pager === undefined) return { end: 'failed', detail: 'no pager is configured any more' };
    const answer = await this.#fetch(pager.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(pagerDutyEvent(page, pager.routing_keys, source)) });
    return sentOf(answer.status, answer.headers.get('retry-after'));
  }

  async #deliver(notice: ReviewNotice, receiver: Receiver, tenantId: string): Promise<Delivered> {
    const { notifications, tenants } = this.#options.config();
    const settings = receiver === 'operator' ? notifications?.webhook : tenants.find(({ id, webhook }) => id === tenantId && webhook?.events.some((event) => `review_${event}` === notice.event))?.webhook;
    if (settings === undefined) return { end: 'none' };
    const detail = await postSigned(settings, JSON.stringify(notice), { nowMs: Date.now(), timeoutMs: SEND_TIMEOUT_MS, signal: this.#stop.signal, headers: { 'idempotency-key': notice.notice_id } });
    return detail === undefined ? { end: 'taken' } : { end: 'failed', detail };
  }

  async #beat(): Promise<void> {
    const url = this.#options.config().review.pager?.heartbeat_url;
    if (url !== undefined) await this.#fetch(url, {});
  }

  async #fetch(url: string, request: RequestInit): Promise<Response> {
    const answer = await fetch(url, { ...request, redirect: 'manual', signal: AbortSignal.any([AbortSignal.timeout(SEND_TIMEOUT_MS), this.#stop.signal]) });
    await answer.body?.cancel();
    return answer;
  }
}

/** How items come into the queue under this configuration. */
export function intakeSettings(config: Config, drawKey: Buffer): IntakeSettings {
  const { pager, double_blind_percent: percent } = config.review;
  return { deadlinesMs: deadlinesOf(config), doubleBlindShare: percent / 100, drawKey, escalateAfterMs: pager?.escalate_ms ?? 0, steps: pager?.routing_keys.length ?? 0 };
}

function breaksOf({ review: { breaks } }: Config): BreakLimits {
  return { afterMinutes: breaks.after_minutes, afterItems: breaks.after_severe_items, minutes: breaks.minutes };
}

function deadlinesOf({ review: { deadlines } }: Config): Readonly<Record<Severity, number>> {
  return { low: deadlines.low_ms, medium: deadlines.medium_ms, high: deadlines.high_ms, critical: deadlines.critical_ms };
}

function boundsOf({ review: { capacity, uncertain, sample } }: Config, { origin }: NewReviewItem): IntakeBounds {
  const hourMax = origin === 'uncertain' ? uncertain?.per_hour_max : origin === 'sample' ? sample?.per_hour_max : undefined;
  return { openMax: capacity.open_max, tenantOpenMax: capacity.tenant_open_max, ...(hourMax === undefined ? {} : { hourMax }) };
}

function capacityOf({ review: { capacity, uncertain, sample }, tenants }: Config): QueueCapacity {
  return {
    ...capacity, draws: [...(uncertain === undefined ? [] : ['uncertain' as const]), ...(sample === undefined ? [] : ['sample' as const])],
    without_content: sample === undefined ? [] : tenants.filter(({ data }) => data.content === 'none').map(({ id }) => id),
  };
}
