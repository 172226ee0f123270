/**
 * Objections over the API and, of a tenant's own callers, over the proxy port: to an item of the
 * review queue, or to what was done with a request, by its id, also where nobody ever looked at it. A tenant-viewer objects about their tenants; of others there is nothing. Each is an entry of
 * the audit log; what was written is shown with the item, and nowhere else.
 */
import type { ReviewRecord } from '../audit/entry.ts';
import { WeirError } from '../contract/errors.ts';
import { sees, seesAll } from '../contract/people.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';
import { appealTo, objectTo, REASON_CHARS_MAX, type AppealDesk, type Appealed } from '../review/appeals.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { recordOf, shown, type ReviewDesk } from './reviews.ts';
import { ref } from './schemas.ts';

const APPELLANTS = ['admin', 'tenant-viewer'] as const;
const BAD = { 400: { meaning: 'the body cannot be used, and why' } } as const;
const BEYOND = { 429: { meaning: 'the tenant has objected as often as it may in an hour' } } as const;

export const APPEAL_ROUTES: readonly Route<ReviewDesk & AppealDesk>[] = [
  {
    method: 'POST', path: '/api/v1/appeals', name: 'appealRequest', access: APPELLANTS, meaning: 'object to what was done with a request, by its id: its item is decided again, by others, or it becomes one',
    body: { schema: ref('RequestAppeal'), types: ['application/json'] }, answers: { 200: { meaning: 'it waits for people', schema: ref('Appealed') }, ...BAD, 404: { meaning: 'there is no such request in a log that can be read here, or not for the caller' }, ...BEYOND }, run: appealRequest,
  },
  {
    method: 'POST', path: '/api/v1/reviews/:id/appeal', name: 'appealReview', access: APPELLANTS, meaning: 'object to a resolution: the item is decided again, by others',
    body: { schema: ref('NewAppeal'), types: ['application/json'] }, answers: { 200: { meaning: 'it waits again', schema: ref('Review') }, ...BAD, 404: { meaning: 'there is no such review, or not for the caller' }, 409: { meaning: 'it is not resolved' }, ...BEYOND }, run: appealReview,
  },
];

async function appealRequest(desk: ReviewDesk & AppealDesk, { text, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readAppeal(parsed(text));
  if (typeof wanted === 'string') return invalid(wanted);
  const appealed = await appealTo(desk, { ...wanted, author, tenants: seesAll(actor) ? undefined : actor.tenants });
  if (appealed.item === undefined) return refusal(appealed, `there is no request ${wanted.requestId} for you to object about`);
  await desk.audit(appealRecord(appealed, author));
  const { body } = await shown(desk, appealed.item, actor);
  return { status: 200, body: { outcome: appealed.outcome, review: body } };
}

/** `POST /weir/v1/appeals`: an objection about a request of the caller's own tenant. Throws WeirError. */
export async function answerAppeal(desk: ReviewDesk & AppealDesk, body: unknown, { tenantId, keyId }: { readonly tenantId: string; readonly keyId?: string | undefined }): Promise<object> {
  const wanted = readAppeal(body);
  if (typeof wanted === 'string') throw new WeirError('invalid_request', wanted);
  const author = `tenant ${tenantId}${keyId === undefined ? '' : `, key ${keyId}`}`;
  const appealed = await appealTo(desk, { ...wanted, author, tenantId, tenants: [tenantId] });
  if (appealed.outcome === 'beyond') throw new WeirError('rate_limited', 'the tenant has objected as often as it may in an hour (review.appeals_per_hour_max)');
  if (appealed.item === undefined) throw new WeirError('unknown_request');
  await desk.audit(appealRecord(appealed, author));
  const { review_id, status, due_at } = appealed.item;
  return { outcome: appealed.outcome, review_id, status, due_at };
}

async function appealReview(desk: ReviewDesk & AppealDesk, { names, text, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const reason = reasonOf((parsed(text) ?? {}) as { readonly reason?: unknown });
  if (reason === undefined) return invalid(NO_REASON);
  const item = await desk.store.item(names['id']!);
  if (item === undefined || !sees(actor, item.tenant_id)) return missing(`there is no review ${names['id']} for you to see`);
  if (item.status !== 'resolved') return { status: 409, body: fault('not_resolved', `review ${item.review_id} is not resolved; it can be objected to when it is`) };
  const appealed = await objectTo(desk, item, { author, reason });
  if (appealed.item === undefined) return refusal(appealed, '');
  await desk.audit(appealRecord(appealed, author));
  return shown(desk, appealed.item, actor);
}

const NO_REASON = `reason is a text of at most ${REASON_CHARS_MAX} characters`;

/** What a body says, or what is wrong with it. */
function readAppeal(value: unknown): { readonly requestId: string; readonly direction?: Direction; readonly reason: string } | string {
  const { request_id: requestId, direction, reason } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof requestId !== 'string' || requestId === '' || requestId.length > 200) return 'request_id is the id of a request, as x-weir-request-id told it';
  const found = DIRECTIONS.find((one) => one === direction);
  if (direction !== undefined && found === undefined) return `direction is one of ${DIRECTIONS.join(', ')}`;
  const said = reasonOf({ reason });
  return said === undefined ? NO_REASON : { requestId, ...(found === undefined ? {} : { direction: found }), reason: said };
}

function reasonOf({ reason }: { readonly reason?: unknown }): string | undefined {
  return typeof reason === 'string' && reason.trim() !== '' && reason.length <= REASON_CHARS_MAX ? reason : undefined;
}

function appealRecord({ item }: Appealed & { readonly item: object }, author: string): ReviewRecord {
  return { ...recordOf(item), kind: 'review', change: 'appeal', author, resolved: null };
}

function refusal({ outcome }: Appealed, none: string): DeskAnswer {
  return outcome === 'beyond' ? { status: 429, body: fault('too_many_appeals', 'the tenant has objected as often as it may in an hour (review.appeals_per_hour_max); send it again in the next') } : missing(none);
}
