/**
 * The review queue in a running process: what was escalated comes in as exchanges close, and pages go out. Exchanges never
 * wait for it: what the store does not take now is kept in memory, bounded, and tried again; what is lost is told, and
 * stands in the audit log all the same. Pages are sent by every process with the role control, each page once.
 */
import type { ReviewDesk } from './admin/reviews.ts';
import type { AuditLog } from './audit/log.ts';
import type { ContentVault } from './audit/vault.ts';
import type { Config } from './config/schema.ts';
import { CHANNELS, type ExchangeClosed } from './contract/channels.ts';
import type { Policy } from './contract/policy.ts';
import type { Severity } from './contract/screening.ts';
import { escalatedOf, intakeOf, type Intake } from './review/intake.ts';
import { Pager, pagerDutyEvent, sentOf, type Sent } from './review/pager.ts';
import { SqlPageStore, type DuePage } from './store/pages.ts';
import { SqlReviewStore } from './store/reviews.ts';
import type { StoreDatabase } from './store/sql.ts';
import { SteadyHealth } from './store/steady-health.ts';

export interface ReviewingOptions {
  readonly database: StoreDatabase;
  readonly config: () => Config;
  /** By `id@revision`, as it runs now. */
  readonly policyOf: (name: string) => Policy | undefined;
  readonly audit: AuditLog;
  readonly content: ContentVault;
  /** Decides which items two people decide. */
  readonly drawKey: Buffer;
  /** Named in pages. */
  readonly source: string;
}

/** Items that wait for the store. */
const WAITING_MAX = 10_000;
const RETRY_MS = 1_000;
const PAGES_EVERY_MS = 2_000;
const SEND_TIMEOUT_MS = 10_000;

export class Reviewing {
  readonly desk: ReviewDesk;
  readonly #options: ReviewingOptions;
  readonly #store: SqlReviewStore;
  readonly #health = new SteadyHealth('review queue');
  readonly #waiting: Intake[] = [];
  readonly #stop = new AbortController();
  readonly #onClosed = (message: unknown): void => this.#take(message as ExchangeClosed);
  #storing: Promise<void> | undefined;
  #paging: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReviewingOptions) {
    const { database, config, audit, content } = options;
    this.#options = options;
    this.#store = new SqlReviewStore(database);
    this.desk = {
      store: this.#store,
      content: ({ tenant_id: tenantId, request_id: requestId, direction }) => content.read({ tenantId, requestId }, direction),
      leaseMs: () => config().review.lease_ms,
      deadlineMs: (severity) => deadlinesOf(config())[severity],
      audit: (record) => audit.append(record, 'strict'),
      now: () => new Date(),
      random: Math.random,
    };
  }

  start(): void {
    CHANNELS.exchangeClosed.subscribe(this.#onClosed);
    if (!this.#options.config().roles.includes('control')) return;
    const pager = new Pager({ store: new SqlPageStore(this.#options.database), send: (page) => this.#send(page), heartbeat: () => this.#beat() });
    const round = async (): Promise<void> => {
      if (this.#options.config().review.pager !== undefined) await pager.pass().catch(() => undefined); // the store is told to be ill by who asks it for more
      if (!this.#stop.signal.aborted) this.#timer = setTimeout(() => { this.#paging = round(); }, PAGES_EVERY_MS).unref();
    };
    this.#paging = round();
  }

  /** What waits for the store is stored if it can be at once. */
  async close(): Promise<void> {
    CHANNELS.exchangeClosed.unsubscribe(this.#onClosed);
    this.#stop.abort();
    clearTimeout(this.#timer);
    await Promise.all([this.#storing, this.#paging]);
    this.#health.close();
  }

  #take({ record }: ExchangeClosed): void {
    if (escalatedOf(record).length === 0) return;
    const { config, drawKey, policyOf } = this.#options;
    const { review } = config();
    const settings = { deadlinesMs: deadlinesOf(config()), doubleBlindShare: review.double_blind_percent / 100, drawKey, escalateAfterMs: review.pager?.escalate_ms ?? 0, steps: review.pager?.routing_keys.length ?? 0 };
    for (const intake of intakeOf(record, settings, policyOf)) {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(intake);
      else this.#health.ill(`more than ${WAITING_MAX} items wait for the store; what comes beyond stands in the audit log only`, ['full']);
    }
    if (this.#waiting.length > 0) this.#storing ??= this.#storeAll();
  }

  /** In order, one after the other, until nothing waits. */
  async #storeAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        await this.#store.add(next.item, next.pages);
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

function deadlinesOf({ review: { deadlines } }: Config): Readonly<Record<Severity, number>> {
  return { low: deadlines.low_ms, medium: deadlines.medium_ms, high: deadlines.high_ms, critical: deadlines.critical_ms };
}
