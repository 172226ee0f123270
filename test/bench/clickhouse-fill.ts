/**
 * ClickHouse filled with as many decisions as are asked for, the same ones each time: ten thousand shapes of decisions, whose labels and counts are
 * those that the store's own code makes of them, each as often as the others, spread evenly over so many days in one log. Rows are made in the database; counts
 * are those of the rows, tenant by tenant and hour by hour, and for all together also by minute of the last eight days.
 */
import { strongest } from '../../src/contract/screening.ts';
import type { ClickHouse } from '../../src/store/clickhouse.ts';
import { ClickHouseDecisionStore } from '../../src/store/clickhouse-decisions.ts';
import { stampOf } from '../../src/store/clickhouse-standing.ts';
import { namesOf } from '../../src/store/decision-counts.ts';
import { decisionId, labelsOf, type DecisionDetail, type DecisionRow } from '../../src/store/decision-rows.ts';
import { SPAN_MS } from '../../src/store/decisions.ts';
import { TENANTS } from './decisions-fill.ts';

export interface ClickHouseFilling {
  readonly door: ClickHouse;
  readonly decisions: number;
  readonly days: number;
  /** The newest. */
  readonly untilMs: number;
  progress(what: string): void;
}

const SHAPES = 10_000;
/** Each statement ends within what the door waits. */
const SLICE = 250_000;
const SLICE_DAYS = 7;
/** Of a statement that took too long beside others; done twice it is there once. */
const TRIES = 5;
const DAY_MS = 86_400_000;
const MINUTE_DAYS = 8;

export async function fillClickHouse({ door, decisions, days, untilMs, progress }: ClickHouseFilling): Promise<void> {
  const { database } = door;
  const { logId } = await new ClickHouseDecisionStore(door).position({ log: 'bench+1', name: 'bench', shipped: false });
  const stepMs = Math.max(1, Math.floor((days * DAY_MS) / decisions));
  await door.command(`create table ${database}.bench_shapes (k UInt32, tenant_id String, policy_id String, model String, outcome String, status UInt16, action String, labels Array(String), detail String, duration_ms Float64, first_byte_ms Float64, is_partial UInt8, names Array(String)) engine = MergeTree order by k`);
  await door.insert('bench_shapes', Array.from({ length: SHAPES }, (_, k) => shapeOf(k)));
  for (let from = 0; from < decisions; from += SLICE) {
    progress(`clickhouse: ${from / 1e6} of ${decisions / 1e6} million rows`);
    await told(door, `
      insert into ${database}.decisions (decision_id, at_ms, epoch, mark, request_key, request_id, tenant_id, shipped, session_id, policy_id, policy_revision, model, route, outcome, error_code, status, action, is_partial, is_degraded, started_ms, duration_ms, first_byte_ms, labels, detail)
      select ${decisionId(logId, 0)} + n, ${untilMs} - (${decisions - 1} - n) * ${stepMs} as at, 0, n, bitShiftRight(cityHash64(n), 12), concat(substring(lower(leftPad(hex(cityHash64(n)), 16, '0')) as x, 1, 8), '-', substring(x, 9, 4), '-', substring(x, 13, 4), '-8000-', leftPad(toString(n), 12, '0')), s.tenant_id, 0, null, s.policy_id, '1', s.model, '/v1/chat/completions', s.outcome, null, s.status, s.action, s.is_partial, 0, at - 900, s.duration_ms, s.first_byte_ms, s.labels, s.detail
      from (select number as n, toUInt32(cityHash64(number, 1) % ${SHAPES}) as k from numbers(${from}, ${Math.min(SLICE, decisions - from)})) rows inner join ${database}.bench_shapes s on s.k = rows.k`);
  }
  const spans = [['hour', untilMs - days * DAY_MS], ['minute', untilMs - MINUTE_DAYS * DAY_MS]] as const;
  for (const [span, sinceMs] of spans) {
    for (const tenant of span === 'hour' ? [`arrayJoin(['', s.tenant_id])`] : [`''`]) {
      for (let from = Math.floor(sinceMs / DAY_MS) * DAY_MS; from <= untilMs; from += SLICE_DAYS * DAY_MS) {
        progress(`clickhouse: counts by ${span} from ${new Date(from).toISOString().slice(0, 10)}`);
        await told(door, `
          insert into ${database}.decision_counts (span, shipped, tenant_id, bucket_ms, log_id, stamp, epoch, upto, counts)
          select '${span}', 0, tenant, bucket, ${logId}, ${stampOf(0, 'on', decisions)}, 0, ${decisions}, mapFromArrays(groupArray(name), groupArray(total)) from (
            select tenant, bucket, arrayJoin(s.names) as name, toInt64(sum(times)) as total from (
              select ${tenant} as tenant, intDiv(d.at_ms, ${SPAN_MS[span]}) * ${SPAN_MS[span]} as bucket, s.k as k, count() as times
              from ${database}.decisions d inner join ${database}.bench_shapes s on s.k = toUInt32(cityHash64(d.mark, 1) % ${SHAPES}) where d.at_ms >= ${from} and d.at_ms < ${from + SLICE_DAYS * DAY_MS} group by tenant, bucket, k
            ) shaped inner join ${database}.bench_shapes s on s.k = shaped.k group by tenant, bucket, name
          ) group by tenant, bucket`);
      }
    }
  }
  await door.insert('decision_tenants', Array.from({ length: TENANTS }, (_, n) => ({ tenant_id: `tenant-${n}` })));
  await door.insert('decision_logs', [{ log_id: logId, kind: 'at', stamp: stampOf(0, 'on', decisions), epoch: 0, next: decisions, head: '' }]);
  await door.command(`drop table ${database}.bench_shapes sync`);
}

async function told(door: ClickHouse, statement: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await door.command(statement);
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

/** Tenants of very different sizes; rules and findings on one in twelve. */
function shapeOf(k: number): object {
  const h = (k * 7919) % 999_983;
  const percent = h % 100;
  const action = percent < 92 ? 'allow' : percent < 96 ? 'redact' : percent < 98 ? 'block' : percent < 99 ? 'warn' : 'escalate';
  const input: DecisionDetail = { action, rules: action === 'allow' ? [] : [`rule-${Math.floor(h / 100) % 40}`], found: h % 12 === 0 ? [`pii.CATEGORY-${Math.floor(h / 12) % 30}`] : [], unknown: [], degraded: [], latency_ms: 1 + (h % 7), exempt: 0, opaque: 0, redactions: action === 'redact' ? 1 : 0 };
  const output: DecisionDetail = { action: 'allow', rules: [], found: [], unknown: [], degraded: [], latency_ms: 1 + (h % 9), exempt: 0, opaque: 0, redactions: 0 };
  const tenant = `tenant-${Math.floor(((h % TENANTS) * (Math.floor(h / TENANTS) % TENANTS)) / TENANTS)}`;
  const row: DecisionRow = {
    decision_id: 0, at_ms: 0, mark: 0, request_id: '', tenant_id: tenant, shipped: false, session_id: null, policy_id: `policy-${h % 60}`, policy_revision: '1', model: `model-${h % 12}`, route: '/v1/chat/completions', outcome: action === 'block' ? 'blocked' : 'completed', error_code: null,
    status: action === 'block' ? 400 : 200, action: strongest([action, 'allow'])!, is_partial: false, is_degraded: false, started_ms: 0, duration_ms: 100 + (h % 2_000), first_byte_ms: 50 + (h % 900), detail: { input, output },
  };
  return {
    k, tenant_id: tenant, policy_id: row.policy_id, model: row.model, outcome: row.outcome, status: row.status, action: row.action, labels: [...labelsOf(row), 'action:allow'], detail: JSON.stringify(row.detail), duration_ms: row.duration_ms, first_byte_ms: row.first_byte_ms,
    is_partial: 0, names: namesOf(row),
  };
}
