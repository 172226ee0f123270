/**
 * How full the review queue is and what comes of it, over the API: what waits of each tenant, what may, and hour by hour
 * what was drawn for people, what stayed out, and what stands by an item alike; and how often people judge otherwise
 * than rules and machine did. A tenant-viewer is told of their tenants alone.
 */
import { seesAll, type Actor } from '../contract/people.ts';
import type { ReviewCountRow } from '../contract/review.ts';
import { weekOf } from '../review/drawn.ts';
import { overridesOf } from '../review/overrides.ts';
import { hourOf, type SqlReviewIntake } from '../store/review-intake.ts';
import type { SqlOutcomeStore } from '../store/review-outcomes.ts';
import { invalid, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface QueueDesk {
  readonly intake: Pick<SqlReviewIntake, 'counts' | 'open' | 'total'>;
  readonly outcomes: Pick<SqlOutcomeStore, 'outcomes'>;
  /** As it is configured now. */
  capacity(): QueueCapacity;
  now(): Date;
}

export interface QueueCapacity {
  readonly open_max: number;
  readonly tenant_open_max: number;
  /** What comes in besides what rules escalate. */
  readonly draws: readonly ('uncertain' | 'sample')[];
  /** Tenants of which nothing can be drawn for a check, since they keep no content. */
  readonly without_content: readonly string[];
}

const ROWS_MAX = 1_000;
/** Kinds of outcomes that rates are told from, the most frequent first. */
const OUTCOMES_MAX = 10_000;
const DAY_MS = 86_400_000;

const READERS = ['admin', 'reviewer', 'auditor', 'tenant-viewer'] as const;
const since = { type: 'string', minLength: 1, maxLength: 200, format: 'date-time' } as const;
const NO_TIME = invalid('since is a time such as 2030-01-31T00:00:00Z');

export const QUEUE_ROUTES: readonly Route<QueueDesk>[] = [
  {
    method: 'GET', path: '/api/v1/queue', name: 'readQueue', access: READERS, meaning: 'how full the review queue is: what waits by tenant, what may, and by the hour what was drawn, what stayed out and what stands by an item alike; `?since=`, by default the last day',
    query: { since },
    answers: { 200: { meaning: 'the state, and the newest counts', schema: ref('Queue') }, 400: { meaning: 'since is no time' } }, run: readQueue,
  },
  {
    method: 'GET', path: '/api/v1/overrides', name: 'readOverrides', access: READERS, meaning: 'how often people judge otherwise than rules and machine did, by rule, with intervals; `?since=`, by default thirty days, `?tenant=`',
    query: { since, tenant: { type: 'string', minLength: 1, maxLength: 200 } },
    answers: { 200: { meaning: 'the rates', schema: ref('Overrides') }, 400: { meaning: 'since is no time' } }, run: readOverrides,
  },
];

async function readQueue(desk: QueueDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const nowMs = desk.now().getTime();
  const from = sinceOf(query, nowMs - DAY_MS);
  if (from === undefined) return NO_TIME;
  const tenants = tenantsOf(actor);
  const { open_max, tenant_open_max, draws, without_content } = desk.capacity();
  const open = await desk.intake.open(tenants, ROWS_MAX);
  const counts: readonly ReviewCountRow[] = await desk.intake.counts(hourOf(from), tenants, ROWS_MAX);
  const isMine = (tenantId: string): boolean => tenants?.includes(tenantId) !== false;
  return {
    status: 200,
    body: {
      open, capacity: { open_max, tenant_open_max }, draws, without_content: without_content.filter(isMine).slice(0, ROWS_MAX),
      sampled_this_week: tenants === undefined ? await desk.intake.total('sample', new Date(weekOf(nowMs)).toISOString()) : null, counts, truncated: counts.length === ROWS_MAX || open.length === ROWS_MAX,
    },
  };
}

async function readOverrides(desk: QueueDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const from = sinceOf(query, desk.now().getTime() - 30 * DAY_MS);
  if (from === undefined) return NO_TIME;
  const [seen, asked] = [tenantsOf(actor), query['tenant'] as string | undefined];
  const outcomes = await desk.outcomes.outcomes(from, asked === undefined ? seen : (seen ?? [asked]).filter((id) => id === asked), OUTCOMES_MAX);
  return { status: 200, body: { since: from, ...overridesOf(outcomes), truncated: outcomes.length === OUTCOMES_MAX } };
}

/** Undefined where it is no time. */
function sinceOf(query: DeskRequest['query'], otherwiseMs: number): string | undefined {
  const ms = query['since'] === undefined ? otherwiseMs : Date.parse(String(query['since']));
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** Undefined: all. */
function tenantsOf(actor: Actor): readonly string[] | undefined {
  return seesAll(actor) ? undefined : actor.tenants;
}
