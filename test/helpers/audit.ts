/** Audit logs for tests: a folder for each, with its key beside it, and records that mean nothing. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { openAuditLog, type AuditLogOptions } from '../../src/audit/log.ts';
import { verifyLog, type LogReport } from '../../src/audit/verify.ts';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';

export function exchangeRecord(id: string): ExchangeRecord {
  return {
    kind: 'exchange', request_id: id, tenant_id: 'acme', method: 'POST', route: '/v1/chat/completions', stream: false, outcome: 'completed', status: 200,
    held_chars_max: 0, held_ms_total: 0, request_bytes: 10, response_bytes: 20, started_at: '2026-01-02T03:04:05.000Z', duration_ms: 1.5,
  };
}

/** The log's folder, in one of its own that is gone after the test. */
export function logFolder(t: Test): string {
  const parent = mkdtempSync(join(tmpdir(), 'weir-audit-'));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  return join(parent, 'audit');
}

/** Of a log in `dir`, its key beside it. */
export function logOptions(dir: string, more: Partial<AuditLogOptions> = {}): AuditLogOptions {
  return { dir, keyFile: join(dir, '../keys/audit.key'), origin: 'test/one', clock: () => 1_767_322_800_000, ...more };
}

export async function writeLog(dir: string, count: number, more: Partial<AuditLogOptions> = {}): Promise<void> {
  const log = await openAuditLog(logOptions(dir, more));
  for (let i = 0; i < count; i++) await log.append(exchangeRecord(`request-${i}`), 'strict');
  await log.close();
}

export function segmentsOf(dir: string): string[] {
  return readdirSync(dir).filter((name) => /^\d{12}\.jsonl$/.test(name)).sort();
}

/** Without their line ends. */
export function linesOf(dir: string): string[] {
  return segmentsOf(dir).flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\n').slice(0, -1));
}

/** The chain alone. */
export function verifyFolder(dir: string): LogReport {
  return verifyLog(segmentsOf(dir).map((name) => ({ name, bytes: readFileSync(join(dir, name)) })));
}
