/**
 * Resolving many items of the review queue at once, over the API: those that are named, or all that are alike to one:
 * of the same tenant, direction, origin, severity and rules. Each has its own entry of the audit log and its own result
 * in the answer; what the caller may not decide is left out and said. An objection undoes each by itself.
 */
import type { ReviewItem } from '../contract/review.ts';
import { sees } from '../contract/people.ts';
import { BULK_ITEMS_MAX, resolveAll } from '../review/bulk.ts';
import { invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { readVerdict, recordOf, reviewerOf, REVIEWERS, untilOf, type ReviewDesk } from './reviews.ts';
import { ref } from './schemas.ts';

export const BULK_ROUTES: readonly Route<ReviewDesk>[] = [
  {
    method: 'POST', path: '/api/v1/reviews/resolve', name: 'resolveReviews', access: REVIEWERS, meaning: `decide many items with one verdict: those named in \`ids\`, ${BULK_ITEMS_MAX} at most, or the most urgent that are alike to \`like\``,
    body: { schema: ref('BulkVerdict'), types: ['application/json'] }, answers: { 200: { meaning: 'what came of each', schema: ref('BulkResults') }, 400: { meaning: 'the body cannot be used, and why' }, 404: { meaning: 'there is no such review, or not for the caller' } }, run: resolve,
  },
];

async function resolve(desk: ReviewDesk, { text, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const body = (parsed(text) ?? {}) as Readonly<Record<string, unknown>>;
  const verdict = readVerdict({ ...body, fence: 0 });
  if (typeof verdict === 'string') return invalid(verdict);
  const { like, ids } = body;
  if ((like === undefined) === (ids === undefined)) return invalid('the body names ids, or one item as like');
  const chosen = like === undefined ? idsOf(ids) : await alikeTo(desk, like, (item) => sees(actor, item.tenant_id));
  if ('status' in chosen) return chosen;
  const now = desk.now();
  const results = await resolveAll(desk.store, chosen.ids, { resolution: verdict.resolution, categories: verdict.categories, notes: verdict.notes, reviewer: reviewerOf(actor, author), now: now.toISOString(), until: untilOf(desk, now) }, async (item) => {
    if (item.hold_until !== null) desk.decided(item.review_id);
    await desk.audit({ ...recordOf(item), kind: 'review', change: 'verdict', author, resolution: verdict.resolution, categories: verdict.categories, resolved: item.resolution });
  });
  return { status: 200, body: { results, resolved: results.filter(({ outcome }) => outcome === 'resolved').length, more: chosen.more } };
}

interface Chosen {
  readonly ids: readonly string[];
  /** There are more alike. */
  readonly more: boolean;
}

function idsOf(ids: unknown): Chosen | DeskAnswer {
  if (!Array.isArray(ids) || ids.length === 0 || !ids.every((id) => typeof id === 'string')) return invalid('ids is a list of ids of reviews');
  return ids.length > BULK_ITEMS_MAX ? invalid(`${ids.length} ids, the limit is ${BULK_ITEMS_MAX}`) : { ids: ids as readonly string[], more: false };
}

async function alikeTo({ store }: ReviewDesk, like: unknown, isSeen: (item: ReviewItem) => boolean): Promise<Chosen | DeskAnswer> {
  const item = typeof like === 'string' ? await store.item(like) : undefined;
  if (item === undefined || !isSeen(item)) return missing('there is no such review for you to see');
  const alike = await store.alike(item.review_id, BULK_ITEMS_MAX + 1);
  return { ids: alike.slice(0, BULK_ITEMS_MAX).map(({ review_id: id }) => id), more: alike.length > BULK_ITEMS_MAX };
}
