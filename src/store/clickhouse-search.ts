/**
 * Searching what was decided in ClickHouse, newest first: rows lie in the order of time, so a stretch of time is looked
 * through, then a longer one, for what is asked, until there is enough or one search has looked at so many rows. Within a
 * stretch the index of labels leaves out what cannot have one. A row that was written twice is told once.
 */
import type { ClickHouse, ClickHouseValue } from './clickhouse.ts';
import { DECISION_COLUMNS, decisionId, readRow, type DecisionRow, type StoredRow } from './decision-rows.ts';
import { cursorOf, isNewer, NEWEST, policyOf, requestRange, type Search } from './decision-search.ts';
import type { DecisionCursor, DecisionQuestion } from './decisions.ts';

/** How much longer each next stretch is. */
const TIMES = 4;

interface Conditions {
  readonly texts: readonly string[];
  readonly values: Readonly<Record<string, ClickHouseValue>>;
  /** So few rows fit that all of time is looked through at once. */
  readonly isExact: boolean;
}

export async function searchClickHouse(door: ClickHouse, question: DecisionQuestion, logId: number | undefined, { lookedMax, stretch }: { readonly lookedMax: number; readonly stretch: number }): Promise<Search> {
  const { limit, before = NEWEST, sinceMs, untilMs } = question;
  const conditions = conditionsOf(question, logId);
  let cursor: DecisionCursor = untilMs !== undefined && isNewer(before, [untilMs, 0]) ? [untilMs, 0] : before;
  const rows: DecisionRow[] = [];
  for (let [looked, next] = [0, stretch]; ; next *= TIMES) {
    const length = Math.min(next, lookedMax - looked);
    const floor = conditions.isExact ? undefined : await floorOf(door, sinceMs, cursor, length);
    rows.push(...(await rowsOf(door, conditions, sinceMs, cursor, floor, limit - rows.length)));
    if (rows.length === limit) return { rows, next: cursorOf(rows.at(-1)!), looked };
    if (floor === undefined) return { rows, next: undefined, looked };
    looked += length;
    cursor = floor;
    if (looked >= lookedMax) return { rows, next: cursor, looked };
  }
}

function conditionsOf({ requestId, tenants, ownOnly, action, rule, category, policy }: DecisionQuestion, logId: number | undefined): Conditions {
  const texts: string[] = [];
  const values: Record<string, ClickHouseValue> = {};
  const add = (text: string, more: Readonly<Record<string, ClickHouseValue>>): void => {
    texts.push(text);
    Object.assign(values, more);
  };
  if (requestId !== undefined) {
    const range = requestRange(requestId);
    range.forEach(([condition, value], at) => add(`${condition} {key${at}:UInt64}`, { [`key${at}`]: value }));
    add('startsWith(lower(request_id), {requestId:String})', { requestId: requestId.toLowerCase() });
  }
  if (tenants !== undefined) add('tenant_id in {tenants:Array(String)}', { tenants });
  if (ownOnly === true) add('shipped = 0', {});
  if (action !== undefined) add('has(labels, {action:String})', { action: `action:${action}` });
  if (rule !== undefined) add('has(labels, {rule:String})', { rule: `rule:${rule}` });
  if (category !== undefined) add('has(labels, {category:String})', { category: `category:${category}` });
  const [policyId, revision] = policyOf(policy);
  if (policyId !== undefined) add('policy_id = {policyId:String}', { policyId });
  if (revision !== undefined) add('policy_revision = {revision:String}', { revision });
  if (logId !== undefined) add('decision_id >= {firstId:UInt64} and decision_id < {lastId:UInt64}', { firstId: decisionId(logId, 0), lastId: decisionId(logId + 1, 0) });
  return { texts, values, isExact: requestId !== undefined };
}

/** The same said twice: of the time alone, which the order of the table knows, and of rows of one time. */
function within(sinceMs: number | undefined, [atMs, id]: DecisionCursor, floor?: DecisionCursor): Conditions {
  return {
    texts: [
      'at_ms <= {atMs:Int64} and (at_ms, decision_id) < ({atMs:Int64}, {id:UInt64})', ...(sinceMs === undefined ? [] : ['at_ms >= {sinceMs:Int64}']),
      ...(floor === undefined ? [] : ['at_ms >= {floorMs:Int64} and (at_ms, decision_id) >= ({floorMs:Int64}, {floorId:UInt64})']),
    ],
    values: { atMs, id, ...(sinceMs === undefined ? {} : { sinceMs }), ...(floor === undefined ? {} : { floorMs: floor[0], floorId: floor[1] }) },
    isExact: true,
  };
}

/** The last candidate of a stretch; undefined: there are not so many. */
async function floorOf(door: ClickHouse, sinceMs: number | undefined, cursor: DecisionCursor, length: number): Promise<DecisionCursor | undefined> {
  const { texts, values } = within(sinceMs, cursor);
  const [row] = await door.query<Readonly<Record<'at_ms' | 'decision_id', string>>>(`select at_ms, decision_id from ${door.database}.decisions where ${texts.join(' and ')} order by at_ms desc, decision_id desc limit 1 offset ${Math.trunc(length) - 1}`, values);
  return row && [Number(row.at_ms), Number(row.decision_id)];
}

async function rowsOf(door: ClickHouse, asked: Conditions, sinceMs: number | undefined, cursor: DecisionCursor, floor: DecisionCursor | undefined, limit: number): Promise<readonly DecisionRow[]> {
  const { texts, values } = within(sinceMs, cursor, floor);
  const found = await door.query<StoredRow>(
    `select ${DECISION_COLUMNS.join(', ')} from ${door.database}.decisions where ${[...texts, ...asked.texts].join(' and ')} order by at_ms desc, decision_id desc limit 1 by at_ms, decision_id limit ${Math.trunc(limit)}`, { ...values, ...asked.values },
  );
  return found.map(readRow);
}
