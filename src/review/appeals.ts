/**
 * What becomes of an objection to what was done with a request, by its id: the item of the queue that stands for it is
 * opened again, or keeps what was said while it waits; where there is none, or one that stands for many, the request
 * becomes an item of its own, from its entry in the audit log. Whose request it is, is looked at before anything is said.
 */
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { Policy } from '../contract/policy.ts';
import type { ReviewItem } from '../contract/review.ts';
import { ACTION_WEIGHT, DIRECTIONS, type Direction, type Severity } from '../contract/screening.ts';
import type { Objection, SqlAppealStore } from '../store/review-appeals.ts';
import type { NewReviewItem, ReviewStore } from '../store/reviews.ts';
import { recordedItem, severityOf, type IntakeSettings } from './intake.ts';

export const REASON_CHARS_MAX = 4_000;

export interface AppealDesk {
  readonly store: Pick<ReviewStore, 'item' | 'itemOf'>;
  readonly appeals: SqlAppealStore;
  /** Of a tenant in an hour. */
  appealsHourMax(): number;
  deadlineMs(severity: Severity): number;
  /** The closing entry of an exchange, where a log has it that can be read here; `tenants`: whose it is to be. */
  exchangeOf(requestId: string, tenants?: readonly string[]): Promise<ExchangeRecord | undefined>;
  policyOf(name: string): Policy | undefined;
  /** An item is in the store. */
  entered?(item: NewReviewItem): void;
  intakeSettings(): Pick<IntakeSettings, 'deadlinesMs' | 'doubleBlindShare' | 'drawKey'>;
  now(): Date;
}

export interface WantedAppeal {
  readonly requestId: string;
  /** Absent: where people decided, or where most was done. */
  readonly direction?: Direction | undefined;
  readonly reason: string;
  readonly author: string;
  /** Whose caller it is, who need not be known: then asking counts, whatever is found. */
  readonly tenantId?: string;
  /** Whose requests the author may object about; undefined: anybody's. */
  readonly tenants?: readonly string[] | undefined;
}

/** `none`: there is no such request, or not for them. */
export type Appealed = { readonly outcome: Exclude<Objection, 'known'>; readonly item: ReviewItem } | { readonly outcome: 'none' | 'beyond'; readonly item?: undefined };

export async function appealTo(desk: AppealDesk, wanted: WantedAppeal): Promise<Appealed> {
  const found = await standing(desk, wanted);
  const { tenantId, tenants } = wanted;
  const isTheirs = (owner: string): boolean => tenants === undefined || tenants.includes(owner);
  // What is an item of others goes the way of what is nothing, so that neither an answer nor what it takes tells them apart.
  if (found !== undefined && isTheirs(found.tenant_id)) return objectTo(desk, found, wanted);
  if (tenantId !== undefined && !(await desk.appeals.count(tenantId, desk.now().toISOString(), desk.appealsHourMax()))) return { outcome: 'beyond' };
  const record = await desk.exchangeOf(wanted.requestId, tenants);
  const direction = record && directionOf(record, wanted.direction);
  if (record === undefined || direction === undefined || !isTheirs(record.tenant_id)) return { outcome: 'none' };
  return enter(desk, record, direction, wanted);
}

/** An objection to one item. */
export async function objectTo(desk: Pick<AppealDesk, 'appeals' | 'appealsHourMax' | 'deadlineMs' | 'now' | 'store'>, item: ReviewItem, { author, reason }: Pick<WantedAppeal, 'author' | 'reason'>): Promise<Appealed> {
  const now = desk.now();
  const outcome = await desk.appeals.object(item, { author, reason, created_at: now.toISOString() }, new Date(now.getTime() + desk.deadlineMs(item.severity)).toISOString(), desk.appealsHourMax());
  return outcome === 'beyond' ? { outcome } : { outcome, item: (await desk.store.item(item.review_id)) ?? item };
}

/** The item of the request itself: decided before one that waits. */
async function standing({ store }: AppealDesk, { requestId, direction }: WantedAppeal): Promise<ReviewItem | undefined> {
  const items = (await Promise.all((direction === undefined ? DIRECTIONS : [direction]).map((one) => store.itemOf(requestId, one)))).filter((item) => item !== undefined);
  return items.find(({ status }) => status === 'resolved') ?? items[0];
}

function directionOf(record: ExchangeRecord, wanted: Direction | undefined): Direction | undefined {
  const decided = (wanted === undefined ? DIRECTIONS : [wanted]).filter((direction) => record[direction] !== undefined);
  return decided.sort((a, b) => ACTION_WEIGHT[record[b]!.action] - ACTION_WEIGHT[record[a]!.action])[0];
}

async function enter(desk: AppealDesk, record: ExchangeRecord, direction: Direction, wanted: WantedAppeal): Promise<Appealed> {
  const decision = record[direction]!;
  const now = desk.now();
  const severity = severityOf(desk.policyOf(record.policy ?? ''), decision.triggered_rules);
  const settings = desk.intakeSettings();
  const item = { ...recordedItem(record, direction, decision, { origin: 'appeal', severity }, settings), created_at: now.toISOString(), due_at: new Date(now.getTime() + settings.deadlinesMs[severity]).toISOString() };
  const outcome = await desk.appeals.enter(item, { author: wanted.author, reason: wanted.reason, created_at: item.created_at }, wanted.tenantId === undefined ? desk.appealsHourMax() : undefined);
  if (outcome === 'beyond') return { outcome };
  if (outcome === 'entered') desk.entered?.(item);
  const entered = await desk.store.item(item.review_id);
  if (entered === undefined) return { outcome: 'none' };
  return outcome === 'known' ? objectTo(desk, entered, wanted) : { outcome, item: entered };
}
