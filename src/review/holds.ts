/**
 * What waits for a person in this process, and how it is let go. Guarantees: each wait ends exactly once, at `for` at the
 * latest and never more than `STORE_MS` after it, whatever the store does; an item is in the store before anybody waits
 * for it; who comes first, a person or the end of the time, is decided by the store. A message lets a wait end at once;
 * one that is lost costs `POLL_MS`. What waits holds a timer and its own bytes, and nothing else.
 */
import { createHmac } from 'node:crypto';
import { CHANNELS } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import type { HoldEnd, HoldOutcome, HoldPort, WantedHold } from '../contract/hold.ts';
import { RESOLUTIONS, type Resolution } from '../contract/review.ts';
import type { HoldStore, OpenedHold } from '../store/holds.ts';
import type { Intake } from './intake.ts';

/** Between two looks at what all that waits has come to. */
export const POLL_MS = 750;
/** How long the store is waited for: for the item before the wait, and for who came first at its end. */
export const STORE_MS = 800;
/** The same request within this time after its first is the same item, where nobody has decided it. */
export const SAME_MS = 900_000;

export interface HoldsOptions {
  readonly store: HoldStore;
  readonly intake: (wanted: WantedHold, nowMs: number) => Intake;
  /** How many may wait at once: in this process, and of a tenant. */
  readonly limits: (tenantId: string) => { readonly most: number; readonly ofTenant: number };
  /** Hides what is the same request. */
  readonly key: Buffer;
  /** An item is in the store. */
  readonly entered?: (item: Intake['item']) => void;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  /** Calls after so many milliseconds, unless what it returns is called before. */
  readonly after?: (ms: number, work: () => void) => () => void;
}

/** One that waits. */
interface Waiter {
  readonly tenantId: string;
  readonly reviewId: string;
  end(end: HoldEnd): void;
}

const isResolution = (outcome: HoldOutcome): outcome is Resolution => RESOLUTIONS.some((one) => one === outcome);

export class Holds implements HoldPort {
  readonly #options: Required<Omit<HoldsOptions, 'entered'>> & Pick<HoldsOptions, 'entered'>;
  readonly #waiters = new Set<Waiter>();
  /** Of each tenant, those that wait and those whose item is being stored. */
  readonly #open = new Map<string, number>();
  #openCount = 0;
  #looking = false;
  /** Something was heard while it was looked: it is looked again. */
  #again = false;
  #cancelPoll: (() => void) | undefined;

  constructor(options: HoldsOptions) {
    this.#options = { clock: Date.now, after: afterMs, ...options };
  }

  async wait(wanted: WantedHold, signal: AbortSignal): Promise<HoldEnd> {
    const { direction, tenantId } = wanted;
    const startMs = this.#options.clock();
    const { most, ofTenant } = this.#options.limits(tenantId);
    const ended = (end: HoldEnd): HoldEnd => {
      CHANNELS.holdsChanged.publish({ open: this.#openCount, ended: { direction, endedBy: end.endedBy, heldMs: this.#options.clock() - startMs } });
      return end;
    };
    if (this.#openCount >= most || (this.#open.get(tenantId) ?? 0) >= ofTenant) return ended({ endedBy: 'too_many' });
    this.#count(tenantId, 1);
    CHANNELS.holdsChanged.publish({ open: this.#openCount });
    const end = await this.#held(wanted, startMs, signal);
    this.#count(tenantId, -1);
    return ended(end);
  }

  /** Something may have come of the wait for this item; without an id, of any. */
  heard(reviewId?: string): void {
    if (reviewId === undefined || [...this.#waiters].some((waiter) => waiter.reviewId === reviewId)) void this.#look();
  }

  /** Nobody is to wait any more. */
  close(): void {
    for (const waiter of [...this.#waiters]) {
      void this.#leave(waiter.reviewId, 'draining');
      waiter.end({ endedBy: 'draining', reviewId: waiter.reviewId });
    }
    this.#cancelPoll?.();
  }

  async #held(wanted: WantedHold, startMs: number, signal: AbortSignal): Promise<HoldEnd> {
    const { store, intake, clock, entered } = this.#options;
    const { item, pages } = intake(wanted, startMs);
    const key = this.#keyOf(wanted);
    const opening = store.open({ item, pages, ...(key === undefined ? {} : { again: { key, since: iso(startMs - SAME_MS) } }) });
    void opening.then(({ reviewId }) => (reviewId === item.review_id ? entered?.(item) : undefined)).catch(() => undefined);
    const opened = await this.#within(STORE_MS, opening);
    if (opened === undefined) {
      // It may be stored all the same, and then nobody waits for it.
      void opening.then(({ reviewId, resolution }) => (resolution === undefined ? store.settle(reviewId, 'no_store') : undefined)).catch(() => undefined);
      return { endedBy: 'no_store' };
    }
    const { reviewId, resolution } = opened;
    if (resolution !== undefined) return { endedBy: 'verdict', resolution, reviewId };
    // Another process may have another clock; nobody waits for longer than the rule says.
    const untilMs = startMs + Math.min(wanted.hold.forMs, Math.max(0, Date.parse(opened.until) - startMs));
    return this.#untilDecided(opened, wanted.tenantId, untilMs - clock(), signal);
  }

  #untilDecided({ reviewId }: OpenedHold, tenantId: string, waitMs: number, signal: AbortSignal): Promise<HoldEnd> {
    return new Promise((resolve) => {
      const onAbort = (): void => {
        const endedBy = signal.reason instanceof WeirError && signal.reason.code === 'draining' ? 'draining' : 'client_left';
        void this.#leave(reviewId, endedBy);
        waiter.end({ endedBy, reviewId });
      };
      const waiter: Waiter = {
        tenantId, reviewId,
        end: (end) => {
          if (!this.#waiters.delete(waiter)) return;
          cancel();
          signal.removeEventListener('abort', onAbort);
          resolve(end);
        },
      };
      this.#waiters.add(waiter);
      const cancel = this.#options.after(Math.max(0, waitMs), () => void this.#timeOut(waiter));
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      this.#schedule();
    });
  }

  /** A person may have been quicker. */
  async #timeOut(waiter: Waiter): Promise<void> {
    const { reviewId } = waiter;
    const outcome = await this.#within(STORE_MS, this.#options.store.settle(reviewId, 'timeout'));
    waiter.end(outcome !== undefined && outcome !== null && isResolution(outcome) ? { endedBy: 'verdict', resolution: outcome, reviewId } : { endedBy: 'timeout', reviewId });
  }

  #leave(reviewId: string, outcome: 'client_left' | 'draining'): Promise<void> {
    return this.#options.store.leave(reviewId, outcome).catch(() => undefined); // then it is over at its time
  }

  // Hearing of verdicts.

  #schedule(): void {
    this.#cancelPoll ??= this.#options.after(POLL_MS, () => {
      this.#cancelPoll = undefined;
      void this.#look();
      if (this.#waiters.size > 0) this.#schedule();
    });
  }

  async #look(): Promise<void> {
    if (this.#looking) this.#again = true;
    if (this.#looking || this.#waiters.size === 0) return;
    this.#looking = true;
    const ids = [...new Set([...this.#waiters].map(({ reviewId }) => reviewId))];
    const outcomes = await this.#within(STORE_MS, this.#options.store.outcomes(ids)); // a store that does not answer is asked again soon
    this.#looking = false;
    for (const waiter of [...this.#waiters]) {
      const { reviewId } = waiter;
      const outcome = outcomes?.get(reviewId);
      if (outcome === 'timeout') waiter.end({ endedBy: 'timeout', reviewId });
      else if (outcome !== undefined && isResolution(outcome)) waiter.end({ endedBy: 'verdict', resolution: outcome, reviewId });
    }
    if (!this.#again) return;
    this.#again = false;
    void this.#look();
  }

  // Small things.

  /** Undefined where it is not there in time, or failed. */
  #within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve) => {
      const cancel = this.#options.after(ms, () => resolve(undefined));
      work.then((value) => { cancel(); resolve(value); }, () => { cancel(); resolve(undefined); });
    });
  }

  #keyOf({ tenantId, sessionId = '', policy, direction, digest }: WantedHold): string | undefined {
    return digest === undefined ? undefined : createHmac('sha256', this.#options.key).update(JSON.stringify(['held request', tenantId, sessionId, policy, direction, digest])).digest('base64url');
  }

  #count(tenantId: string, by: number): void {
    const open = (this.#open.get(tenantId) ?? 0) + by;
    if (open === 0) this.#open.delete(tenantId);
    else this.#open.set(tenantId, open);
    this.#openCount += by;
  }
}

function afterMs(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
