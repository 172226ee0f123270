/**
 * A store filled with as many decisions and review items as are asked for, the same ones each time: 200 tenants of very
 * different sizes, ninety days or as many as are asked for, rules and findings on one in twelve exchanges. Made in the database by arithmetic over
 * numbers, in the SQL that SQLite and Postgres both take; indexes are made after the rows. Counts are made for every
 * tenant and hour, and for the minutes of eight days of all together, as large as those of so many exchanges would be.
 */
import { allMigrations } from '../../src/store/migrations.ts';
import { decisionId } from '../../src/store/decision-rows.ts';
import { insertMany } from '../../src/store/insert-many.ts';
import type { SqlQuery, SqlValue } from '../../src/store/sql.ts';

export const TENANTS = 200;
const DAYS = 90;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const SLICE_DIGITS = 6;

export interface Filling {
  readonly query: SqlQuery;
  readonly kind: 'sqlite' | 'postgres';
  readonly decisions: number;
  /** The newest. */
  readonly untilMs: number;
  progress(what: string): void;
  /** Rows of one statement are ten to the power of this, so that each ends in time. Default 6. */
  readonly sliceDigits?: number;
  /** Tenants that have counts. Default: all. */
  readonly countedTenants?: number;
  /** Over how many days. Default 90. */
  readonly days?: number;
}

const indexesOf = (table: string): readonly string[] => allMigrations().flatMap(({ sql }) => sql.match(/create index [^;]+;/g) ?? []).filter((statement) => statement.includes(` on ${table} (`));

/** Rows, labels and counts. */
export async function fillDecisions({ query, kind, decisions, untilMs, progress, sliceDigits = SLICE_DIGITS, countedTenants = TENANTS, days = DAYS }: Filling): Promise<void> {
  const hex = (value: string): string => (kind === 'sqlite' ? `printf('%013x', ${value})` : `lpad(to_hex(${value}), 13, '0')`);
  for (const table of ['decisions', 'decision_labels']) for (const statement of indexesOf(table)) await query(`drop index ${/create index (\w+)/.exec(statement)![1]!}`);
  await query('create table bench_digits (d bigint not null)');
  await query('insert into bench_digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)');
  await query(`insert into decision_logs (log_id, log, name, shipped, next_index, head) values (1, 'bench+1', 'bench', 0, ${decisions}, '')`);
  const powers = Array.from({ length: sliceDigits }, (_, power) => power);
  const digits = powers.map((power) => `bench_digits p${power}`).join(', ');
  const stepMs = Math.max(1, Math.floor((days * DAY_MS) / decisions));
  for (let from = 0; from < decisions; from += 10 ** sliceDigits) {
    progress(`${kind}: ${from / 1e6} of ${decisions / 1e6} million rows`);
    const number = `${from} + ${powers.map((power) => `${10 ** power} * p${power}.d`).join(' + ')}`;
    // h: spread over 0 … 999,982; every tenant's share falls with its number.
    await query(`
      insert into decisions (decision_id, at_ms, mark, request_key, request_id, tenant_id, shipped, session_id, policy_id, policy_revision, model, route, outcome, error_code, status, action, input_action, output_action, late_action, is_partial, is_degraded, started_ms, duration_ms, first_byte_ms, detail)
      select ${decisionId(1, 0)} + n, ${untilMs} - (${decisions - 1} - n) * ${stepMs}, n, k, substr(x, 1, 8) || '-' || substr(x, 9, 4) || '-' || substr(x, 13, 1) || '000-8000-000000000000', 'tenant-' || t, 0, null, 'policy-' || (t % 60), '1', 'model-' || (h % 12), '/v1/chat/completions', case when action = 'block' then 'blocked' else 'completed' end, null,
        case when action = 'block' then 400 else 200 end, action, action, 'allow', null, 0, case when h % 500 = 0 then 1 else 0 end, ${untilMs} - (${decisions - 1} - n) * ${stepMs} - 900, 100 + h % 2000, 50 + h % 900,
        '{"input":{"action":"' || action || '","rules":[' || case when action = 'allow' then '' else '"rule-' || ((h / 100) % 40) || '"' end || '],"found":[' || case when h % 12 = 0 then '"pii.CATEGORY-' || ((h / 12) % 30) || '"' else '' end || '],"unknown":[],"degraded":[],"latency_ms":' || (1 + h % 7) || ',"exempt":0,"opaque":0,"redactions":0},"output":{"action":"allow","rules":[],"found":[],"unknown":[],"degraded":[],"latency_ms":' || (1 + h % 9) || ',"exempt":0,"opaque":0,"redactions":0}}'
      from (select n, h, k, ${hex('k')} as x, (h % ${TENANTS}) * ((h / ${TENANTS}) % ${TENANTS}) / ${TENANTS} as t,
          case when h % 100 < 92 then 'allow' when h % 100 < 96 then 'redact' when h % 100 < 98 then 'block' when h % 100 < 99 then 'warn' else 'escalate' end as action
        from (select n, (n * 7919) % 999983 as h, (n * 611953000003) % 4503599627370496 as k from (select ${number} as n from ${digits}) numbers where n < ${decisions}) hashed) drawn`);
  }
  progress(`${kind}: labels`);
  for (const label of [`'action:' || action from decisions where action <> 'allow'`, `'rule:rule-' || ((((mark * 7919) % 999983) / 100) % 40) from decisions where action <> 'allow'`, `'category:pii.CATEGORY-' || ((((mark * 7919) % 999983) / 12) % 30) from decisions where ((mark * 7919) % 999983) % 12 = 0`]) await query(`insert into decision_labels (decision_id, tenant_id, at_ms, label) select decision_id, tenant_id, at_ms, ${label}`);
  for (const table of ['decisions', 'decision_labels']) {
    for (const statement of indexesOf(table)) {
      progress(`${kind}: ${/create index (\w+)/.exec(statement)![1]!}`);
      await query(statement);
    }
  }
  await query('drop table bench_digits');
  progress(`${kind}: counts`);
  await fillCounts(query, decisions, untilMs, countedTenants, days);
}

async function fillCounts(query: SqlQuery, decisions: number, untilMs: number, tenants: number, days: number): Promise<void> {
  const lastMs = Math.floor(untilMs / HOUR_MS) * HOUR_MS;
  for (let tenant = -1; tenant < tenants; tenant++) {
    const rows: SqlValue[][] = [];
    const perHour = Math.ceil(decisions / (days * 24) / (tenant < 0 ? 1 : TENANTS));
    for (let hour = 0; hour < days * 24; hour++) rows.push(['hour', 0, tenant < 0 ? '' : `tenant-${tenant}`, lastMs - hour * HOUR_MS, countsText(perHour, hour)]);
    for (let minute = 0; tenant < 0 && minute < 8 * 24 * 60; minute++) rows.push(['minute', 0, '', Math.floor(untilMs / 60_000) * 60_000 - minute * 60_000, countsText(Math.ceil(perHour / 60), minute)]);
    await insertMany(query, 'decision_counts', ['span', 'shipped', 'tenant_id', 'bucket_ms', 'counts'], rows, 'on conflict do nothing');
  }
}

/** Forty rules, thirty categories and four latencies, as far as so many exchanges would have them. */
function countsText(exchanges: number, seed: number): string {
  const counts: Record<string, number> = { '|exchanges|': exchanges, '|outcome|completed': exchanges };
  const add = (name: string, total: number): void => { counts[name] = (counts[name] ?? 0) + total; };
  for (const [action, percent] of [['allow', 92], ['redact', 4], ['block', 2], ['warn', 1], ['escalate', 1]] as const) for (const direction of ['', 'input']) if (exchanges * percent >= 100) add(`${direction}|action|${action}`, Math.floor((exchanges * percent) / 100));
  for (let i = 0; i < Math.min(40, exchanges / 12); i++) for (const direction of ['', 'input']) add(`${direction}|rule|rule-${(i + seed) % 40}`, Math.ceil(exchanges / 500));
  for (let i = 0; i < Math.min(30, exchanges / 12); i++) for (const direction of ['', 'input']) add(`${direction}|category|pii.CATEGORY-${(i + seed) % 30}`, Math.ceil(exchanges / 360));
  for (const measure of ['input|latency', 'output|latency', '|duration', '|first_byte']) for (let i = 0; i < Math.min(24, exchanges); i++) add(`${measure}|${30 + ((i * 7 + seed) % 24)}`, Math.ceil(exchanges / 24));
  return JSON.stringify(counts);
}

/** Of which so many wait for a person and the others are decided. */
export async function fillReviews(query: SqlQuery, items: number, waiting: number, untilMs: number): Promise<void> {
  const rows = Array.from({ length: items }, (_, n) => {
    const severity = ['low', 'medium', 'high', 'critical'][(n * 7919) % 101 % 4]!;
    const created = new Date(untilMs - (items - n) * 60_000).toISOString();
    const isWaiting = n % items < waiting;
    return [`rev_${n}`, `request ${n}`, `tenant-${(n * 31) % TENANTS}`, 'input', 'escalate', severity, ['low', 'medium', 'high', 'critical'].indexOf(severity), 'policy-1@1', '["rule-1"]', '[]', 'escalate', isWaiting ? 'pending' : 'resolved', 0, 1, 0, null, null, isWaiting ? null : 'allow', isWaiting ? null : created, created, created, null, null];
  });
  await insertMany(query, 'review_items', ['review_id', 'request_id', 'tenant_id', 'direction', 'origin', 'severity', 'severity_rank', 'policy', 'triggered_rules', 'classifier_results', 'action', 'status', 'double_blind', 'round', 'fence', 'reviewer_id', 'claimed_until', 'resolution', 'resolved_at', 'created_at', 'due_at', 'hold_until', 'hold_outcome'], rows);
}
