/**
 * How full the review queue is and what comes of it, over the API: what waits of each tenant, what may, and hour by hour
 * what was drawn for people, what stayed out, and what stands by an item alike; how people keep up, and how often they judge
 * otherwise than rules and machine did. A tenant-viewer is told of their tenants alone.
 */
import { seesAll, type Actor } from '../contract/people.ts';
import type { ReviewCountRow } from '../contract/review.ts';
import { weekOf } from '../review/drawn.ts';
import { overridesOf, rateOf } from '../review/overrides.ts';
import { medianOf } from '../risk/quality.ts';
import { hourOf, type SqlReviewIntake } from '../store/review-intake.ts';
import type { SqlOutcomeStore } from '../store/review-outcomes.ts';
import { invalid, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface QueueDesk {
  readonly intake: Pick<SqlReviewIntake, 'counts' | 'open' | 'total'>;
  readonly outcomes: Pick<SqlOutcomeStore, 'outcomes' | 'pace'>;
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
/** Decided items that one answer is told from. */
const DECIDED_MAX = 1_000;
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
  {
    method: 'GET', path: '/api/v1/queue/pace', name: 'readQueuePace', access: READERS, meaning: `how people keep up: items that wait and that are overdue, and of those decided from \`?since=\` (by default the last day) up to \`?until=\`, the newest ${DECIDED_MAX}, how long they took, how many were late, and how many people let through, with its interval; \`?tenant=\``,
    query: { since, until: since, tenant: { type: 'string', minLength: 1, maxLength: 200 } },
    answers: { 200: { meaning: 'the counts', schema: ref('QueuePace') }, 400: { meaning: 'since or until is no time' } }, run: readPace,
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
  const outcomes = await desk.outcomes.outcomes(from, tenantsOf(actor, query['tenant']), OUTCOMES_MAX);
  return { status: 200, body: { since: from, ...overridesOf(outcomes), truncated: outcomes.length === OUTCOMES_MAX } };
}

async function readPace(desk: QueueDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const nowMs = desk.now().getTime();
  const [from, to] = [sinceOf(query, nowMs - DAY_MS), sinceOf({ since: query['until'] }, nowMs)];
  if (from === undefined || to === undefined) return NO_TIME;
  const { waiting, overdue, decided } = await desk.outcomes.pace({ tenants: tenantsOf(actor, query['tenant']), since: from, until: to, now: new Date(nowMs).toISOString(), limit: DECIDED_MAX });
  const minutes = decided.map(({ created_at: made, resolved_at: at }) => (Date.parse(at) - Date.parse(made)) / 60_000);
  return {
    status: 200,
    body: {
      since: from, until: to, waiting, overdue, decided: decided.length, late: decided.filter(({ due_at: due, resolved_at: at }) => at > due).length, median_minutes: medianOf(minutes) ?? null,
      allowed: rateOf(decided.map(({ resolution }) => ({ resolution, count: 1 })), ({ resolution }) => resolution === 'allow'), truncated: decided.length === DECIDED_MAX,
    },
  };
}

/** Undefined where it is no time. */
function sinceOf(query: DeskRequest['query'], otherwiseMs: number): string | undefined {
  const ms = query['since'] === undefined ? otherwiseMs : Date.parse(String(query['since']));
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

/** Undefined: all. `asked`: only of this one. */
function tenantsOf(actor: Actor, asked?: DeskRequest['query'][string]): readonly string[] | undefined {
  const seen = seesAll(actor) ? undefined : actor.tenants;
  return asked === undefined ? seen : (seen ?? [String(asked)]).filter((id) => id === asked);
}
