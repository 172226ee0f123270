/**
 * Searching what was decided, newest first. One condition leads, and its index gives candidates in order: a request id,
 * else a rule, a category or an action (with the tenant where one is named), else a tenant, a policy, or time alone. The
 * others are asked of the candidates, a stretch at a time, and no more than so many of them in one search.
 * Of several tenants each is searched by itself, and the newest of all are told.
 */
import { DECISION_COLUMNS, decisionId, readRow, REQUEST_KEY_DIGITS, requestKey, type DecisionRow, type StoredRow } from './decision-rows.ts';
import type { DecisionCursor, DecisionQuestion } from './decisions.ts';
import type { SqlQuery, SqlValue } from './sql.ts';
import { Where } from './where.ts';

export interface Search {
  readonly rows: readonly DecisionRow[];
  readonly next: DecisionCursor | undefined;
  readonly looked: number;
}

/** Candidates of the first stretch, and how much longer each next one is. */
const STRETCH = { first: 500, times: 4 } as const;
/** A candidate of a label is looked up in another table, at so many times the cost: as many fewer are looked at. */
const LABEL_COST = 5;
export const NEWEST: DecisionCursor = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

export async function searchDecisions(query: SqlQuery, question: DecisionQuestion, logId: number | undefined, lookedMax: number): Promise<Search> {
  const { tenants, limit } = question;
  if (tenants === undefined || tenants.length === 1) return searchOne(query, question, logId, lookedMax);
  const found: Search[] = [];
  for (const tenant of tenants) found.push(await searchOne(query, { ...question, tenants: [tenant] }, logId, Math.ceil(lookedMax / tenants.length)));
  return newestOf(found, limit);
}

/** What lies below the place where one of them stopped is not known yet. */
function newestOf(found: readonly Search[], limit: number): Search {
  const stops = found.flatMap(({ next }) => (next === undefined ? [] : [next]));
  const floor = stops.length === 0 ? undefined : stops.reduce((a, b) => (isNewer(a, b) ? a : b));
  const rows = found.flatMap((one) => one.rows).filter((row) => floor === undefined || !isNewer(floor, cursorOf(row))).sort((a, b) => (isNewer(cursorOf(a), cursorOf(b)) ? -1 : 1));
  const shown = rows.slice(0, limit);
  return { rows: shown, next: rows.length > limit ? cursorOf(shown.at(-1)!) : floor, looked: found.reduce((sum, { looked }) => sum + looked, 0) };
}

async function searchOne(query: SqlQuery, question: DecisionQuestion, logId: number | undefined, costMax: number): Promise<Search> {
  const { limit, before = NEWEST, untilMs } = question;
  const plan = planOf(question, logId);
  const lookedMax = Math.ceil(costMax / (plan.source.endsWith(' l') ? LABEL_COST : 1));
  let cursor: DecisionCursor = untilMs !== undefined && isNewer(before, [untilMs, 0]) ? [untilMs, 0] : before;
  const rows: DecisionRow[] = [];
  for (let [looked, stretch] = [0, STRETCH.first as number]; ; stretch *= STRETCH.times) {
    const length = Math.min(stretch, lookedMax - looked);
    const floor = plan.isExact ? undefined : await floorOf(query, plan, cursor, length);
    rows.push(...(await rowsOf(query, plan, cursor, floor, limit - rows.length)));
    if (rows.length === limit) return { rows, next: cursorOf(rows.at(-1)!), looked };
    if (floor === undefined) return { rows, next: undefined, looked };
    looked += length;
    cursor = floor;
    if (looked >= lookedMax) return { rows, next: cursor, looked };
  }
}

/** How one search is asked: the source whose index leads, and what is asked of its candidates. */
export interface SearchPlan {
  /** Table and its short name, which has `at_ms` and `decision_id`. */
  readonly source: string;
  readonly lead: (where: Where) => void;
  readonly rest: (where: Where) => void;
  /** Nothing is asked of candidates, so none is looked at in vain. */
  readonly isExact: boolean;
}

export function planOf(question: DecisionQuestion, logId: number | undefined): SearchPlan {
  const { requestId, tenants, ownOnly, action, rule, category, policy, sinceMs } = question;
  const [tenant] = tenants ?? [];
  const labels = [...(rule === undefined ? [] : [`rule:${rule}`]), ...(category === undefined ? [] : [`category:${category}`]), ...(action === undefined || action === 'allow' ? [] : [`action:${action}`])];
  const lead: Condition[] = sinceMs === undefined ? [] : [['at_ms >=', sinceMs]];
  const rest: ((where: Where) => void)[] = [];
  const isByLabel = requestId === undefined && labels.length > 0;
  const alias = isByLabel ? 'l' : 'd';
  const [policyId, revision] = policyOf(policy);
  if (requestId !== undefined) {
    lead.push(...requestRange(requestId));
    rest.push((where) => where.add((next) => `lower(substr(d.request_id, 1, ${requestId.length})) = ${next(requestId.toLowerCase())}`));
  } else if (isByLabel) lead.push(['label =', labels.shift()!]);
  if (tenant !== undefined && requestId === undefined) lead.push(['tenant_id =', tenant]);
  else if (tenants !== undefined) rest.push((where) => where.among('d.tenant_id', tenants));
  if (policyId !== undefined && requestId === undefined && !isByLabel && tenant === undefined) lead.push(['policy_id =', policyId]);
  else if (policyId !== undefined) rest.push((where) => where.among('d.policy_id', [policyId]));
  if (revision !== undefined) rest.push((where) => where.among('d.policy_revision', [revision]));
  for (const label of labels) rest.push((where) => where.add((next) => `exists (select 1 from decision_labels x where x.decision_id = d.decision_id and x.label = ${next(label)})`));
  if (action === 'allow') rest.push((where) => where.add(() => `(d.input_action = 'allow' or d.output_action = 'allow' or d.late_action = 'allow')`));
  if (ownOnly === true) rest.push((where) => where.add(() => 'd.shipped = 0'));
  if (logId !== undefined) rest.push((where) => where.add((next) => `d.decision_id >= ${next(decisionId(logId, 0))} and d.decision_id < ${next(decisionId(logId + 1, 0))}`));
  return {
    source: isByLabel ? 'decision_labels l' : 'decisions d',
    lead: (where) => { for (const [condition, value] of lead) where.add((next) => `${alias}.${condition} ${next(value)}`); },
    rest: (where) => { for (const add of rest) add(where); },
    isExact: rest.length === 0 || requestId !== undefined,
  };
}

type Condition = readonly [columnAndOperator: string, value: SqlValue];

/** A UUID, or the beginning of one, is a range of keys; anything else one key. */
export function requestRange(requestId: string): readonly Condition[] {
  const digits = requestId.replaceAll('-', '').toLowerCase();
  if (!/^[0-9a-f]{1,32}$/.test(digits)) return [['request_key =', requestKey(requestId)]];
  const known = digits.slice(0, REQUEST_KEY_DIGITS);
  const width = 16 ** (REQUEST_KEY_DIGITS - known.length);
  const first = Number.parseInt(known, 16) * width;
  return [['request_key >=', first], ['request_key <', first + width]];
}

export function policyOf(policy: string | undefined): readonly [id?: string, revision?: string] {
  const at = policy?.lastIndexOf('@') ?? -1;
  return policy === undefined ? [] : at < 0 ? [policy] : [policy.slice(0, at), policy.slice(at + 1)];
}

function within(plan: SearchPlan, alias: string, [atMs, id]: DecisionCursor, floor?: DecisionCursor): Where {
  const where = new Where();
  plan.lead(where);
  where.add((next) => `(${alias}.at_ms, ${alias}.decision_id) < (${next(atMs)}, ${next(id)})`);
  if (floor !== undefined) where.add((next) => `(${alias}.at_ms, ${alias}.decision_id) >= (${next(floor[0])}, ${next(floor[1])})`);
  return where;
}

export function floorStatement(plan: SearchPlan, cursor: DecisionCursor, length: number): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const alias = plan.source.at(-1)!;
  const where = within(plan, alias, cursor);
  return { sql: `select at_ms, decision_id from ${plan.source} ${where.text} order by ${alias}.at_ms desc, ${alias}.decision_id desc limit 1 offset ${Math.trunc(length) - 1}`, values: where.values };
}

export function rowsStatement(plan: SearchPlan, cursor: DecisionCursor, floor: DecisionCursor | undefined, limit: number): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const alias = plan.source.at(-1)!;
  const where = within(plan, alias, cursor, floor);
  plan.rest(where);
  const joined = alias === 'd' ? plan.source : `${plan.source} join decisions d on d.decision_id = l.decision_id`;
  return { sql: `select ${DECISION_COLUMNS.map((column) => `d.${column}`).join(', ')} from ${joined} ${where.text} order by ${alias}.at_ms desc, ${alias}.decision_id desc limit ${Math.trunc(limit)}`, values: where.values };
}

/** The last candidate of a stretch; undefined: there are not so many. */
async function floorOf(query: SqlQuery, plan: SearchPlan, cursor: DecisionCursor, length: number): Promise<DecisionCursor | undefined> {
  const { sql, values } = floorStatement(plan, cursor, length);
  const [row] = await query<Readonly<Record<'at_ms' | 'decision_id', SqlValue>>>(sql, ...values);
  return row && [Number(row.at_ms), Number(row.decision_id)];
}

async function rowsOf(query: SqlQuery, plan: SearchPlan, cursor: DecisionCursor, floor: DecisionCursor | undefined, limit: number): Promise<readonly DecisionRow[]> {
  const { sql, values } = rowsStatement(plan, cursor, floor, limit);
  return (await query<StoredRow>(sql, ...values)).map(readRow);
}

export function cursorOf({ at_ms: atMs, decision_id: id }: Pick<DecisionRow, 'at_ms' | 'decision_id'>): DecisionCursor {
  return [atMs, id];
}

export function isNewer([aMs, aId]: DecisionCursor, [bMs, bId]: DecisionCursor): boolean {
  return aMs > bMs || (aMs === bMs && aId > bId);
}
