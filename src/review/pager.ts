/**
 * Sends pages until they are taken: to PagerDuty (Events API v2) by an item's own key, so that a copy is no second alarm,
 * and that it is over once. What is refused or unanswered is tried again within seconds, whoever of several processes
 * comes first; a process that dies in between costs its claim's time. After each pass that came through it tells a
 * heartbeat address, so that its own silence is noticed elsewhere. Pages hold ids and names, never content.
 */
import { PartHealth } from '../contract/part-health.ts';
import type { DuePage, PageStore } from '../store/pages.ts';

/** A page that is claimed and not sent is another's after this. */
export const CLAIM_MS = 30_000;
const PAGES_AT_ONCE = 20;
const RETRY_MS = { first: 2_000, most: 30_000 } as const;
/** A page that is so late is told as a fault of ours. */
const LATE_MS = 60_000;

/** How an attempt ended; `retryMs` where the receiver said when to come again. `refused`: it never will be taken. */
export type Sent = { readonly end: 'taken' } | { readonly end: 'refused' | 'failed'; readonly detail: string; readonly retryMs?: number };

export interface PagerOptions {
  readonly store: PageStore;
  readonly send: (page: DuePage) => Promise<Sent>;
  /** Told after each pass in which nothing failed. */
  readonly heartbeat?: () => Promise<void>;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly random?: () => number;
}

export class Pager {
  readonly #options: Required<Omit<PagerOptions, 'heartbeat'>> & Pick<PagerOptions, 'heartbeat'>;
  readonly #health = new PartHealth('pager');

  constructor({ clock = Date.now, random = Math.random, ...options }: PagerOptions) {
    this.#options = { clock, random, ...options };
  }

  /** Sends what is due; how many were taken. Rejects where the store does not answer. */
  async pass(): Promise<number> {
    const { store, send, clock, heartbeat } = this.#options;
    const pages = await store.claimDue(iso(clock()), iso(clock() + CLAIM_MS), PAGES_AT_ONCE);
    let taken = 0;
    let fault: string | undefined;
    for (const page of pages) {
      const sent = await send(page).catch((): Sent => ({ end: 'failed', detail: 'cannot be reached' }));
      if (sent.end === 'failed') await store.putOff(page, iso(clock() + this.#pauseMs(page.attempts, sent.retryMs)));
      else await store.sent(page, iso(clock()));
      if (sent.end === 'taken') taken++;
      else fault = sent.detail;
    }
    await this.#tell(fault);
    if (fault === undefined) await heartbeat?.().catch(() => undefined);
    return taken;
  }

  /** Later and later, but soon enough; not all at one time. */
  #pauseMs(attempts: number, askedMs = 0): number {
    const usual = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(attempts, 10));
    return Math.min(RETRY_MS.most, Math.max(askedMs, usual * (0.5 + this.#options.random() / 2)));
  }

  async #tell(fault: string | undefined): Promise<void> {
    const { store, clock } = this.#options;
    const oldest = await store.oldestDue(iso(clock() - LATE_MS));
    if (fault === undefined && oldest === undefined) this.#health.well(() => 'pages are taken again');
    else this.#health.ill(fault ?? 'pages are late');
  }
}

/** PagerDuty's words for severities. */
const WORDS = { low: 'info', medium: 'warning', high: 'error', critical: 'critical' } as const;

/** A page as PagerDuty's Events API v2 takes it. `steps`: a routing key for each step; the last is asked for all later ones. */
export function pagerDutyEvent({ review_id, kind, step, severity, tenant_id, triggered_rules, item_created_at, item_due_at }: DuePage, steps: readonly string[], source: string): object {
  const event = { routing_key: steps[Math.min(step, steps.length - 1)], event_action: kind, dedup_key: `weir-review-${review_id}` };
  if (kind === 'resolve') return event;
  return {
    ...event,
    payload: {
      summary: `a ${severity} review of tenant ${tenant_id} waits for a person`, source, severity: WORDS[severity], timestamp: item_created_at, component: 'review queue', group: tenant_id,
      custom_details: { review_id, tenant_id, rules: triggered_rules, due_at: item_due_at, step },
    },
  };
}

/** What an HTTP answer to a page means. */
export function sentOf(status: number, retryAfter: string | null): Sent {
  if (status >= 200 && status < 300) return { end: 'taken' };
  const detail = `answered ${status}`;
  if (status === 429 || status >= 500 || status === 408) return { end: 'failed', detail, ...(Number(retryAfter) > 0 ? { retryMs: Number(retryAfter) * 1000 } : {}) };
  return { end: 'refused', detail };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
