/**
 * The review queue over the API: what waits is listed, claimed and decided. A claim comes with a fence, which
 * every later word about it names: who lost the claim is told so (409), and nothing of theirs counts. While two people
 * decide an item without each other, neither is shown scores, the action or the other's verdict; content is shown to
 * reviewers alone. Every verdict is an entry of the audit log.
 */
import type { ReviewRecord } from '../audit/entry.ts';
import type { ReadContent } from '../audit/vault.ts';
import type { KeptTexts } from '../contract/content.ts';
import { sees, seesAll, type Actor } from '../contract/people.ts';
import type { Policy } from '../contract/policy.ts';
import { RESOLUTIONS, REVIEW_STATUSES, type ReviewItem, type ReviewStatus, type Verdict } from '../contract/review.ts';
import { SEVERITIES, type ClassifierResult, type Direction, type Severity } from '../contract/screening.ts';
import { conditionText } from '../policy/told.ts';
import { agreementOf, type Rating } from '../review/agreement.ts';
import { BULK_ITEMS_MAX } from '../review/bulk.ts';
import { heldFirst, shownHold } from '../review/held.ts';
import { coveredItem, isCovered, standingOf } from '../review/stage.ts';
import { isResolution, type Claim, type Refusal, type Reviewer, type ReviewStore } from '../store/reviews.ts';
import type { SqlAppealStore } from '../store/review-appeals.ts';
import type { SqlReviewIntake } from '../store/review-intake.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';
import { breakRefusal, noteOpening, type WellnessDesk } from './wellness.ts';

/** What the routes about reviews are given. */
export interface ReviewDesk {
  readonly store: ReviewStore;
  readonly intake: Pick<SqlReviewIntake, 'batched'>;
  readonly appeals: Pick<SqlAppealStore, 'of'>;
  /** What was kept of the item's text. */
  content(item: ReviewItem): Promise<ReadContent>;
  readonly wellness: WellnessDesk;
  /** What a tenant calls a reviewer. */
  pseudonym(tenantId: string, reviewerId: string): string;
  /** How long a claim lasts without being renewed. */
  leaseMs(): number;
  /** By `id@revision`, as it runs now. */
  policyOf(name: string): Policy | undefined;
  /** What a text holds by the classifiers and patterns of that policy. */
  found(policy: Policy, direction: Direction, text: string): Promise<readonly ClassifierResult[]>;
  /** Somebody decided an item for which a request waits, or did. */
  decided(reviewId: string): void;
  /** Resolves when the entry is on disk. */
  audit(record: ReviewRecord): Promise<void>;
  now(): Date;
  /** In [0, 1). */
  random(): number;
}

const READERS = ['admin', 'reviewer', 'auditor', 'tenant-viewer'] as const;
export const REVIEWERS = ['admin', 'reviewer'] as const;
const LIMIT = { default: 100, max: 1_000 } as const;
/** Verdicts that agreement is told from at most, the oldest since then first. */
const VERDICTS_MAX = 100_000;
const NOTES_CHARS_MAX = 4_000;
const CATEGORIES_MAX = 50;

const NO_REVIEW = { 404: { meaning: 'there is no such review, or not for the caller' } } as const;
const LOST = { 409: { meaning: 'the claim is somebody else’s by now, or the caller has decided this item before' } } as const;
const BAD = { 400: { meaning: 'the body cannot be used, and why' } } as const;
const word = { type: 'string', minLength: 1, maxLength: 200 } as const;
const fenced = { schema: ref('Fence'), types: ['application/json'] } as const;

export const REVIEW_ROUTES: readonly Route<ReviewDesk>[] = [
  {
    method: 'GET', path: '/api/v1/reviews', name: 'listReviews', access: READERS, meaning: 'items of the review queue, those for which a request waits first, then the newest, and how many wait; `?status=`, `?severity=`, `?tenant=`, `?before=` (an item’s `created_at review_id`), `?limit=`',
    query: { status: { enum: REVIEW_STATUSES }, severity: { enum: SEVERITIES }, tenant: word, before: { type: 'string', minLength: 1, maxLength: 400 }, limit: { type: 'integer', minimum: 1, maximum: LIMIT.max } },
    answers: { 200: { meaning: 'the items', schema: ref('ReviewPage') } }, run: list,
  },
  { method: 'POST', path: '/api/v1/reviews/next', name: 'nextReview', access: REVIEWERS, meaning: 'claim the most urgent item that the caller has not decided, nobody has, and the caller’s settings do not leave out', answers: { 200: { meaning: 'the claim, or no item where nothing waits', schema: ref('ReviewClaim') }, 409: { meaning: 'a break is due, or goes on: see `POST /api/v1/me/break`' } }, run: next },
  { method: 'GET', path: '/api/v1/reviews/:id', name: 'readReview', access: READERS, meaning: 'one item with its verdicts; what two people decide without each other stays covered until it is decided', answers: { 200: { meaning: 'the item', schema: ref('Review') }, ...NO_REVIEW }, run: read },
  { method: 'GET', path: '/api/v1/reviews/:id/content', name: 'readReviewContent', access: REVIEWERS, meaning: 'the text of an item, where its tenant keeps content, which counts as opened by the caller; `?only=state` tells whether there is one', query: { only: { enum: ['state'] } }, answers: { 200: { meaning: 'the text, or why there is none', schema: ref('ReviewContent') }, ...NO_REVIEW }, run: content },
  { method: 'POST', path: '/api/v1/reviews/:id/claim', name: 'claimReview', access: REVIEWERS, meaning: 'claim an item', answers: { 200: { meaning: 'the claim', schema: ref('ReviewClaim') }, ...NO_REVIEW, ...LOST }, run: claim },
  { method: 'POST', path: '/api/v1/reviews/:id/renew', name: 'renewReview', access: REVIEWERS, meaning: 'keep a claim', body: fenced, answers: { 200: { meaning: 'until when it stands', schema: ref('Renewed') }, ...BAD, ...LOST }, run: renew },
  { method: 'POST', path: '/api/v1/reviews/:id/release', name: 'releaseReview', access: REVIEWERS, meaning: 'give a claim back', body: fenced, answers: { 200: { meaning: 'the item waits again', schema: ref('Review') }, ...BAD, ...LOST }, run: release },
  { method: 'POST', path: '/api/v1/reviews/:id/verdict', name: 'decideReview', access: REVIEWERS, meaning: 'decide a claimed item, and let go what waits for it', body: { schema: ref('NewVerdict'), types: ['application/json'] }, answers: { 200: { meaning: 'the item as it stands then', schema: ref('Review') }, ...BAD, ...LOST }, run: decide },
  { method: 'GET', path: '/api/v1/agreement', name: 'readAgreement', access: ['admin', 'reviewer', 'auditor'], meaning: 'how far reviewers agree on items that several decided; `?since=`', query: { since: { ...word, format: 'date-time' } }, answers: { 200: { meaning: 'raw agreement, Krippendorff’s alpha with its interval, by resolution', schema: ref('Agreement') }, ...BAD }, run: agreement },
];

// Reading.

async function list(desk: ReviewDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const { status, severity, tenant, before, limit = LIMIT.default } = query as { readonly status?: ReviewStatus; readonly severity?: Severity; readonly tenant?: string; readonly before?: string; readonly limit?: number };
  const seen = seesAll(actor) ? undefined : actor.tenants;
  const tenants = tenant === undefined ? seen : (seen ?? [tenant]).filter((id) => id === tenant);
  const cursor = before?.split(' ');
  if (cursor !== undefined && cursor.length !== 2) return invalid('before is the created_at and the review_id of an item, with a space between');
  const asked = { limit, tenants, ...(status === undefined ? {} : { statuses: [status] }), ...(severity === undefined ? {} : { severity }) };
  const items = await desk.store.items({ ...asked, ...(cursor === undefined ? {} : { before: cursor as [string, string] }) });
  const held = cursor === undefined ? await desk.store.items({ ...asked, holdingAt: desk.now().toISOString() }) : [];
  const last = items.length === limit ? items.at(-1) : undefined;
  return { status: 200, body: { items: heldFirst(held, items).map((item) => shownTo(actor, desk, item)), waiting: seen === undefined ? await desk.store.depth() : null, next: last === undefined ? null : `${last.created_at} ${last.review_id}` } };
}

async function read(desk: ReviewDesk, { names, actor }: DeskRequest): Promise<DeskAnswer> {
  const item = await itemOf(desk, names['id'], actor);
  return item === undefined ? noReview(names['id']) : shown(desk, item, actor);
}

async function content(desk: ReviewDesk, { names, query, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const item = await itemOf(desk, names['id'], actor);
  if (item === undefined) return noReview(names['id']);
  const found = await desk.content(item);
  if (query['only'] === 'state') return { status: 200, body: found.state === 'locked' ? found : { state: found.state } };
  if (found.state === 'there') await noteOpening(desk.wellness, author, item);
  return { status: 200, body: found.state === 'there' && !isCovered(item) ? { ...found, texts: await withSpans(desk, item, found.texts) } : found };
}

/** With what is found there under the policy that decided, where it still runs; records hold no places. */
async function withSpans(desk: ReviewDesk, { policy: name, direction }: ReviewItem, { texts, cut }: KeptTexts): Promise<object> {
  const policy = desk.policyOf(name);
  const told = async (text: string): Promise<readonly object[]> => (policy === undefined ? [] : (await desk.found(policy, direction, text)).flatMap((one) => ('unknown' in one ? [] : one.spans.map(({ start, end }) => ({ start, end, label: one.label || one.category })))));
  const marked: object[] = [];
  for (const one of texts) marked.push({ ...one, spans: await told(one.text) });
  return { texts: marked, cut };
}

async function agreement(desk: ReviewDesk, { query }: DeskRequest): Promise<DeskAnswer> {
  const sinceMs = query['since'] === undefined ? 0 : Date.parse(String(query['since']));
  if (Number.isNaN(sinceMs)) return invalid('since is a time such as 2030-01-31T00:00:00Z');
  const verdicts = await desk.store.verdictsSince(new Date(sinceMs).toISOString(), VERDICTS_MAX);
  const ratings = verdicts.map(({ review_id: item, reviewer_id: rater, resolution: label }): Rating => ({ item, rater, label }));
  const found = agreementOf(ratings, desk.random);
  return { status: 200, body: { verdicts: verdicts.length, agreement: found === undefined ? null : { ...found, alpha: found.alpha ?? null, interval: found.interval ?? null } } };
}

// Claims.

async function next(desk: ReviewDesk, { actor, author }: DeskRequest): Promise<DeskAnswer> {
  const settings = await desk.wellness.store.settings(author);
  const refused = await breakRefusal(desk.wellness, author, settings);
  if (refused !== undefined) return refused;
  const now = desk.now();
  const found = await desk.store.claimNext({ ...reviewerOf(actor, author), avoids: settings.opt_out }, now.toISOString(), untilOf(desk, now));
  return { status: 200, body: found === undefined ? { item: null, fence: null } : claimBody(found, now) };
}

async function claim(desk: ReviewDesk, { names, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const now = desk.now();
  const found = await desk.store.claim(names['id']!, reviewerOf(actor, author), now.toISOString(), untilOf(desk, now));
  return typeof found === 'string' ? refusal(found, names['id']) : { status: 200, body: claimBody(found, now) };
}

async function renew(desk: ReviewDesk, { names, text, author }: DeskRequest): Promise<DeskAnswer> {
  const fence = fenceOf(text);
  if (fence === undefined) return NO_FENCE;
  const until = untilOf(desk, desk.now());
  return (await desk.store.renew(names['id']!, author, fence, until)) ? { status: 200, body: { claimed_until: until } } : refusal('stale', names['id']);
}

async function release(desk: ReviewDesk, { names, text, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const fence = fenceOf(text);
  if (fence === undefined) return NO_FENCE;
  if (!(await desk.store.giveBack(names['id']!, author, fence))) return refusal('stale', names['id']);
  const item = await itemOf(desk, names['id'], actor);
  return item === undefined ? noReview(names['id']) : shown(desk, item, actor);
}

// Verdicts.

interface WantedVerdict {
  readonly fence: number;
  readonly resolution: Verdict['resolution'];
  readonly categories: readonly string[];
  readonly notes: string;
}

async function decide(desk: ReviewDesk, { names, text, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readVerdict(parsed(text));
  if (typeof wanted === 'string') return invalid(wanted);
  const { fence, ...verdict } = wanted;
  const item = await desk.store.decide(names['id']!, fence, { ...verdict, reviewer_id: author, created_at: desk.now().toISOString() }, standingOf);
  if (typeof item === 'string') return refusal(item, names['id']);
  if (item.hold_until !== null) desk.decided(item.review_id);
  await desk.audit({ ...recordOf(item), kind: 'review', change: 'verdict', author, resolution: verdict.resolution, categories: verdict.categories, resolved: item.resolution });
  return shown(desk, item, actor);
}

export function readVerdict(value: unknown): WantedVerdict | string {
  const { fence, resolution, categories = [], notes = '' } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (!Number.isSafeInteger(fence)) return 'fence is the number that the claim came with';
  if (!isResolution(resolution)) return `resolution is one of ${RESOLUTIONS.join(', ')}`;
  if (!Array.isArray(categories) || categories.length > CATEGORIES_MAX || !categories.every((one) => typeof one === 'string' && /^[A-Za-z0-9_./-]{1,64}$/.test(one))) return `categories is a list of at most ${CATEGORIES_MAX} names of categories`;
  if (typeof notes !== 'string' || notes.length > NOTES_CHARS_MAX) return `notes is a text of at most ${NOTES_CHARS_MAX} characters`;
  return { fence: fence as number, resolution, categories: categories as readonly string[], notes };
}

// What is shown.

export async function shown(desk: ReviewDesk, item: ReviewItem, actor: Actor): Promise<DeskAnswer> {
  const named = (id: string): string => nameTo(actor, desk, item, id);
  const verdicts = isCovered(item) ? [] : await desk.store.verdicts(item.review_id);
  const appeals = await desk.appeals.of(item.review_id);
  return {
    status: 200,
    body: {
      ...shownTo(actor, desk, item), rules: rulesOf(desk, item), batch: item.batched === 0 ? [] : await desk.intake.batched(item.review_id), alike: await alikeBeside(desk, item),
      appeals: appeals.map((one) => ({ ...one, author: isTenant(one.author) ? one.author : named(one.author) })), verdicts: verdicts.map((verdict) => ({ ...verdict, reviewer_id: named(verdict.reviewer_id) })),
    },
  };
}

/** How many wait that one verdict could decide with it; of what two people decide none. */
async function alikeBeside({ store }: ReviewDesk, item: ReviewItem): Promise<number> {
  if (item.double_blind) return 0;
  const alike = await store.alike(item.review_id, BULK_ITEMS_MAX + 1);
  return alike.filter(({ review_id: id, double_blind: isBlind, status }) => id !== item.review_id && !isBlind && status === 'pending').length;
}

/** What the rules say that are told of, as far as their policy still runs as it was. */
function rulesOf({ policyOf }: ReviewDesk, item: ReviewItem): readonly object[] {
  const { triggered_rules: fired, near_rules: near } = coveredItem(item);
  const rules = policyOf(item.policy)?.rules.filter(({ id }) => fired.includes(id) || near.includes(id)) ?? [];
  return rules.map(({ id, name, action, when }) => ({ rule_id: id, name, action, condition: conditionText(when) }));
}

/** An author that `answerAppeal` names. */
function isTenant(author: string): boolean {
  return author.startsWith('tenant ');
}

/** Tenants are not told who reviews, only whether it was the same person, or they themselves. */
function shownTo(actor: Actor, desk: ReviewDesk, item: ReviewItem): object {
  return { ...covered(item, desk.now()), reviewer_id: item.reviewer_id === null ? null : nameTo(actor, desk, item, item.reviewer_id) };
}

function nameTo(actor: Actor, { pseudonym }: ReviewDesk, { tenant_id: tenantId }: ReviewItem, reviewerId: string): string {
  return seesAll(actor) || reviewerId === actor.name ? reviewerId : pseudonym(tenantId, reviewerId);
}

/** Without what could lean a verdict. */
function covered(item: ReviewItem, now: Date): object {
  return { ...coveredItem(item), ...shownHold(item, now), covered: isCovered(item) };
}

function claimBody({ item, fence }: Claim, now: Date): object {
  return { item: covered(item, now), fence };
}

export function recordOf({ review_id, request_id, tenant_id, direction, round }: ReviewItem): Pick<ReviewRecord, 'review_id' | 'request_id' | 'tenant_id' | 'direction' | 'round'> {
  return { review_id, request_id, tenant_id, direction, round };
}

async function itemOf({ store }: ReviewDesk, id: string | undefined, actor: Actor): Promise<ReviewItem | undefined> {
  const item = id === undefined ? undefined : await store.item(id);
  return item !== undefined && sees(actor, item.tenant_id) ? item : undefined;
}

export function reviewerOf(actor: Actor, id: string): Reviewer {
  return { id, tenants: seesAll(actor) ? undefined : actor.tenants };
}

export function untilOf(desk: ReviewDesk, now: Date): string {
  return new Date(now.getTime() + desk.leaseMs()).toISOString();
}

function refusal(why: Refusal, id: string | undefined): DeskAnswer {
  if (why === 'none') return noReview(id);
  const message = why === 'decided' ? `you have decided review ${id} before; others decide it again` : `the claim on review ${id} is not yours any more; claim it again, or take the next`;
  return { status: 409, body: fault(why === 'decided' ? 'already_decided' : 'claim_lost', message) };
}

const NO_FENCE = invalid('the body is an object with fence, the number that the claim came with');

function noReview(id: string | undefined): DeskAnswer {
  return missing(`there is no review ${id} for you to see`);
}

function fenceOf(text: string): number | undefined {
  const { fence } = (parsed(text) ?? {}) as { readonly fence?: unknown };
  return Number.isSafeInteger(fence) ? (fence as number) : undefined;
}
