/**
 * Texts of items of the review queue, and of what campaigns draw, for the other processes that share the store: as an item
 * comes in, its sealed text is copied there out of this process's vault, beside the traffic, one after the other; and what
 * another process copied is read. Guarantees: nothing waits for it; what waits is a list of names, bounded; a copy that the store does not take is
 * given up after `TRIES` and counted, and the item stands; what is erased is neither copied nor read.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ContentKeyError } from '../audit/content-key.ts';
import type { ContentPlace, ContentVault, ReadContent } from '../audit/vault.ts';
import { CHANNELS } from '../contract/channels.ts';
import type { ContentPurpose } from '../contract/content.ts';
import { WeirError } from '../contract/errors.ts';
import { PartHealth } from '../contract/part-health.ts';
import type { Direction } from '../contract/screening.ts';
import type { CopyMark, NewCopies, SqlReviewContents } from '../store/review-contents.ts';

export interface ReviewContentsOptions {
  readonly store: SqlReviewContents;
  readonly vault: Pick<ContentVault, 'sealed' | 'open'>;
  /** The newest erasure that is carried out in the vault; undefined: nobody can tell yet. */
  readonly mark: () => CopyMark | undefined;
  /** Undefined: the tenant keeps none. */
  readonly keepDays: (tenantId: string, purpose?: ContentPurpose) => number | undefined;
  readonly tryAgainMs?: number;
}

/** Whose text is meant. */
export interface ContentItem {
  /** Of a task of a campaign its own. */
  readonly review_id: string;
  readonly request_id: string;
  readonly tenant_id: string;
  readonly direction: Direction;
  /** As in its entry, where that is known. */
  readonly started_at?: string | undefined;
  readonly purpose?: ContentPurpose | undefined;
}

/** The text of an item: what is kept here, else what another process laid into the store. */
export async function textOf(own: Pick<ContentVault, 'read'>, shared: Pick<ReviewContents, 'read'> | undefined, item: ContentItem): Promise<ReadContent> {
  try {
    const here = await own.read(placeOf(item), item.direction);
    if (shared === undefined || here.state === 'there' || here.state === 'erased') return here;
    const there = await shared.read(item);
    return there.state === 'absent' ? here : there;
  } catch (error) {
    if (!(error instanceof ContentKeyError)) throw error;
    return { state: 'locked', detail: error.message };
  }
}

/** Items that wait for their copy. */
export const COPIES_WAITING_MAX = 1_000;
export const TRIES = 5;
/** Texts that one statement lays, with up to some 700 kB each. */
const LAID_AT_ONCE = 16;
const TRY_AGAIN_MS = 1_000;
const DAY_MS = 86_400_000;

export class ReviewContents {
  readonly #options: ReviewContentsOptions;
  readonly #waiting: ContentItem[] = [];
  readonly #health = new PartHealth('review content');
  readonly #stop = new AbortController();
  #copying: Promise<void> | undefined;

  constructor(options: ReviewContentsOptions) {
    this.#options = options;
  }

  /** An item has come in, or more of its text is kept. */
  want(item: ContentItem, startedAt?: string): void {
    const { review_id, request_id, tenant_id, direction } = item;
    if (this.#options.keepDays(tenant_id) === undefined) return;
    if (this.#waiting.length >= COPIES_WAITING_MAX) return this.#lose(`more than ${COPIES_WAITING_MAX} texts wait to be copied`);
    this.#waiting.push({ review_id, request_id, tenant_id, direction, started_at: startedAt });
    this.#copying ??= this.#copyAll();
  }

  /** Resolves when all that is kept of these lies in the store: to the ids of those of which there is something. Rejects with WeirError store_unavailable where the store does not take it now. */
  async lay(items: readonly ContentItem[]): Promise<readonly string[]> {
    const { store, mark } = this.#options;
    const carriedOut = mark(); // before the texts are read, as below
    if (carriedOut === undefined) throw new WeirError('store_unavailable', 'which erasures there are is not known now');
    const laid: string[] = [];
    let batch: NewCopies[] = [];
    const put = async (): Promise<void> => {
      if (!(await store.putAll(batch, carriedOut))) throw new WeirError('store_unavailable', 'the store does not hold the erasures that were carried out here');
      laid.push(...batch.map(({ reviewId }) => reviewId));
      batch = [];
    };
    for (const item of items) {
      try {
        batch.push(...(await this.#copiesOf(item)));
      } catch {
        this.#lose('texts cannot be read');
      }
      if (batch.length === LAID_AT_ONCE) await put();
    }
    if (batch.length > 0) await put();
    return laid;
  }

  /** What another process laid there. Throws ContentKeyError where this one has another master key, or none. */
  async read({ review_id: reviewId, request_id: requestId, tenant_id: tenantId, direction }: ContentItem): Promise<ReadContent> {
    const copies = await this.#options.store.of(reviewId);
    return copies.length === 0 ? { state: 'absent' } : this.#options.vault.open(copies, { tenantId, requestId }, direction);
  }

  /** What waits is copied if it can be at once. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#copying;
  }

  async #copyAll(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (await this.#copied(next)) this.#health.well(() => 'texts of items are copied to the store again');
      else this.#lose('the store does not take texts of items, or they cannot be read');
      this.#waiting.shift();
    }
    this.#copying = undefined;
  }

  async #copied(wanted: ContentItem): Promise<boolean> {
    for (let tried = 1; ; tried++) {
      const isLast = tried === TRIES || this.#stop.signal.aborted;
      if (await this.#copy(wanted).catch(() => false)) return true;
      if (isLast) return false;
      await sleep(this.#options.tryAgainMs ?? TRY_AGAIN_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined);
    }
  }

  /** False: what is erased is not known now. */
  async #copy(item: ContentItem): Promise<boolean> {
    const { store, mark } = this.#options;
    const carriedOut = mark(); // before the text is read: what is carried out later covers the copy
    if (carriedOut === undefined) return false;
    const copies = await this.#copiesOf(item);
    return copies.length === 0 || store.putAll(copies, carriedOut);
  }

  /** None, or one. */
  async #copiesOf(item: ContentItem): Promise<readonly NewCopies[]> {
    const { review_id: reviewId, tenant_id: tenantId, direction, purpose } = item;
    const copies = await this.#options.vault.sealed(placeOf(item), direction);
    const days = this.#options.keepDays(tenantId, purpose);
    if (copies.length === 0 || days === undefined) return [];
    return [{ reviewId, tenantId, keepUntil: new Date(Date.parse(copies[0]!.day.slice(0, 10)) + days * DAY_MS).toISOString().slice(0, 10), copies }];
  }

  #lose(why: string): void {
    CHANNELS.contentLost.publish({ count: 1, reason: 'copy' });
    this.#health.ill(`${why}; their items are there, and other processes show no text for them`, ['lost']);
  }
}

function placeOf({ tenant_id: tenantId, request_id: requestId, started_at: startedAt, purpose }: ContentItem): ContentPlace {
  return { tenantId, requestId, startedAt, purpose };
}
