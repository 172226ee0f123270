/**
 * The audit log: how fast a whole log is verified, on one thread and on all; what an entry costs the process in relaxed
 * durability; how long a strict entry waits, beside a bare write and sync of the same bytes on the same disk. Entries are
 * those of an exchange with both decisions. What is timed is checked: the log that was verified is sound and complete.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkLog } from '../../../src/audit/check.ts';
import { noteKey, signCheckpoint } from '../../../src/audit/checkpoint.ts';
import { sealEntry } from '../../../src/audit/entry.ts';
import { openAuditLog } from '../../../src/audit/log.ts';
import { segmentName } from '../../../src/audit/segments.ts';
import { TreeEdge } from '../../../src/audit/tree.ts';
import { EMPTY_HEAD, type Head } from '../../../src/audit/verify.ts';
import type { DecisionRecord, ExchangeRecord } from '../../../src/contract/exchange.ts';
import type { Table } from '../report.ts';
import { progress, type Effort } from '../rounds.ts';

const decision: DecisionRecord = {
  action: 'allow', triggered_rules: [], classifier_results: [{ classifier_id: 'toxicity', category: 'hate', score: 0.021, count: 1 }, { classifier_id: 'prompt-injection', category: 'injection', score: 0.104, count: 1 }],
  coverage: { screened: ['messages[].content'], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 3.21, facts: { classifiers: ['pii', 'toxicity', 'prompt-injection', 'jailbreak'], content_types: ['text'] },
};

function exchange(i: number): ExchangeRecord {
  return {
    kind: 'exchange', request_id: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, tenant_id: 'acme', policy: 'default@3f2a9c0b7d11', method: 'POST', route: '/v1/chat/completions', model: 'example-model', stream: true, outcome: 'completed', status: 200,
    upstream_status: 200, input: decision, output: decision, held_chars_max: 12, held_ms_total: 4.5, request_bytes: 812, response_bytes: 5_120, started_at: '2026-01-02T03:04:05.000Z', duration_ms: 812.5, time_to_first_byte_ms: 211.3,
  };
}

export async function measureAudit(effort: Effort): Promise<readonly Table[]> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-audit-'));
  try {
    return [await verifying(join(folder, 'verify'), effort), await relaxed(folder, effort), await strict(folder, effort)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Written as the log writes it, without waiting for a disk; a checkpoint for every 1,000 entries. */
function makeLog(dir: string, count: number): ReturnType<typeof noteKey> {
  mkdirSync(dir, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const key = noteKey('bench', Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url'));
  const [edge, notes]: [TreeEdge, string[]] = [new TreeEdge(), []];
  let head: Head = EMPTY_HEAD;
  for (let from = 0; from < count; from += 50_000) {
    const lines: string[] = [];
    for (let index = from; index < Math.min(count, from + 50_000); index++) {
      const { line, hash } = sealEntry({ index, time: '2026-01-02T03:04:05.000Z', origin: 'weir/bench', prev: head.hash }, exchange(index));
      head = { index, hash };
      edge.append(hash);
      lines.push(`${line}\n`);
      if ((index + 1) % 1_000 === 0) notes.push(`${signCheckpoint({ origin: 'bench', size: index + 1, root: edge.root() }, { public: key, private: privateKey })}\n`);
    }
    writeFileSync(join(dir, segmentName(from)), lines.join(''));
    progress(`audit: writing a log of ${count} entries`);
  }
  writeFileSync(join(dir, 'checkpoints'), notes.join(''));
  return key;
}

async function verifying(dir: string, effort: Effort): Promise<Table> {
  const count = effort.quick ? 100_000 : 600_000;
  const key = makeLog(dir, count);
  const threads = [...new Set([1, availableParallelism()])];
  const seconds = new Map<number, number[]>(threads.map((n) => [n, []]));
  let bytes = 0;
  for (let round = 0; round < effort.rounds; round++) {
    for (const n of round % 2 === 0 ? threads : threads.toReversed()) {
      progress(`audit: verifying, round ${round + 1} of ${effort.rounds}`);
      const began = performance.now();
      const check = await checkLog({ dir, keys: [key], threads: n });
      seconds.get(n)!.push((performance.now() - began) / 1e3);
      assert.equal(check.damage, undefined);
      assert.equal(check.entries, count);
      bytes = check.bytes;
    }
  }
  return {
    title: `Verifying ${count.toLocaleString('en-US')} entries of ${Math.round(bytes / count)} bytes, ${count / 1_000} checkpoints`,
    columns: ['threads', 'entries/s', 'slowest', 'fastest', 'MB/s'],
    note: 'Chain, tree, every checkpoint and its signature; the files are in the page cache.',
    rows: threads.map((n) => {
      const all = seconds.get(n)!;
      return { cells: [String(n), count / median(all), count / Math.max(...all), count / Math.min(...all), bytes / 1e6 / median(all)] };
    }),
  };
}

async function relaxed(folder: string, effort: Effort): Promise<Table> {
  const count = effort.quick ? 10_000 : 50_000;
  const [rates, cpu]: [number[], number[]] = [[], []];
  for (let round = 0; round < effort.rounds; round++) {
    progress(`audit: appending, round ${round + 1} of ${effort.rounds}`);
    const dir = join(folder, `relaxed-${round}`);
    const log = await openAuditLog({ dir, keyFile: join(folder, 'audit.key'), origin: 'weir/bench', clock: Date.now });
    const [began, before] = [performance.now(), process.cpuUsage()];
    for (let i = 0; i < count; i++) {
      void log.append(exchange(i), 'relaxed');
      if (i % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
      if (i % 20_000 === 19_999) await log.flush();
    }
    await log.close();
    rates.push(count / ((performance.now() - began) / 1e3));
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / count);
    assert.equal(log.head().index, count - 1);
    rmSync(dir, { recursive: true });
  }
  return {
    title: `Appending ${count.toLocaleString('en-US')} entries in relaxed durability, as fast as one process can`,
    columns: ['', 'entries/s', 'slowest', 'fastest', 'µs of CPU an entry'],
    rows: [{ cells: ['relaxed', median(rates), Math.min(...rates), Math.max(...rates), median(cpu)] }],
    note: 'With checkpoints, their signatures and syncs, to the close of the log.',
  };
}

async function strict(folder: string, effort: Effort): Promise<Table> {
  const count = effort.quick ? 300 : 2_000;
  const dir = join(folder, 'strict');
  const log = await openAuditLog({ dir, keyFile: join(folder, 'audit.key'), origin: 'weir/bench', clock: Date.now });
  const bare = await open(join(folder, 'bare'), 'w');
  const line = Buffer.from(`${sealEntry({ index: 0, time: '2026-01-02T03:04:05.000Z', origin: 'weir/bench', prev: EMPTY_HEAD.hash }, exchange(0)).line}\n`);
  const times: Record<'one' | 'bare' | 'hundred', number[]> = { one: [], bare: [], hundred: [] };
  for (let i = 0; i < count; i++) {
    if (i % 100 === 0) progress(`audit: strict, ${i} of ${count}`);
    let began = performance.now();
    await bare.write(line, 0, line.length, i * line.length);
    await bare.datasync();
    times.bare.push(performance.now() - began);
    began = performance.now();
    await log.append(exchange(i), 'strict');
    times.one.push(performance.now() - began);
    if (i % 20 !== 0) continue;
    began = performance.now();
    await Promise.all(Array.from({ length: 100 }, (_, j) => log.append(exchange(j), 'strict')));
    times.hundred.push(performance.now() - began);
  }
  await Promise.all([log.close(), bare.close()]);
  const names = { bare: 'a bare write and sync', one: 'one strict entry', hundred: '100 strict entries at once' } as const;
  return {
    title: `Waiting for a strict entry, ${count.toLocaleString('en-US')} times`,
    columns: ['', 'ms, median', 'p99', 'n'],
    rows: (Object.keys(names) as (keyof typeof names)[]).map((name) => ({ cells: [names[name], median(times[name]), times[name].toSorted((a, b) => a - b)[Math.floor(times[name].length * 0.99)]!, times[name].length] })),
    note: 'One entry after the other, the bare write in turn with them.',
  };
}
