/**
 * What of a log may go: whole segments from its beginning, of which every entry is older than its tenant wants it kept.
 * Reads and verifies what it gives up, some segments in one go, in a thread of its own (src/audit/retention-worker.ts).
 * It removes nothing. The newest segment stays.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { readCheckpoint, readRotation, type NoteKey } from './checkpoint.ts';
import { GENESIS, type PrunedRecord } from './entry.ts';
import { requireStart } from './pruned.ts';
import { CHECKPOINTS_FILE, firstIndexOf, listSegments, prevOf, readSegment } from './segments.ts';
import { TreeEdge } from './tree.ts';
import { verifySegment } from './verify.ts';

/** In days; absent: for ever. */
export interface AuditRetention {
  /** Of entries of no tenant, and of tenants that say nothing else. */
  readonly days?: number | undefined;
  readonly tenants: Readonly<Record<string, number>>;
}

/** Segments that are given up in one go. */
const SEGMENTS_MAX = 8;
const DAY_MS = 86_400_000;

/** Entries from `before` on stay. Undefined: nothing may go. Throws WeirError audit_unavailable or RangeError when what would go does not hold. */
export async function planPruning(dir: string, { keys, keepers }: { readonly keys: readonly NoteKey[]; readonly keepers: readonly NoteKey[] }, retention: AuditRetention, nowMs: number, before: number): Promise<PrunedRecord | undefined> {
  const start = await requireStart(dir, keys, keepers);
  const segments = await listSegments(dir, start.first);
  const edge = new TreeEdge(0, start.nodes);
  const rotations = [...start.rotations];
  let [first, newestMs] = [start.first, -Infinity];
  for (const [i, name] of segments.slice(0, Math.min(SEGMENTS_MAX, segments.length - 1)).entries()) {
    const bytes = await readSegment(dir, name);
    const [leaves, notes, keep] = [[] as string[], [] as PrunedRecord['rotations'][number][], new Newest()];
    const report = verifySegment(name, bytes, { index: first - 1, hash: first === 0 ? GENESIS : prevOf(bytes) }, (index, leaf, from, to) => {
      const entry = JSON.parse(bytes.toString('utf8', from, to)) as { readonly time: string; readonly tenant_id?: unknown; readonly kind: string; readonly note?: unknown };
      leaves.push(leaf);
      keep.take(typeof entry.tenant_id === 'string' ? entry.tenant_id : undefined, Date.parse(entry.time));
      if (entry.kind === 'key_rotation' && typeof entry.note === 'string' && readRotation(entry.note, index) !== undefined) notes.push({ index, note: entry.note });
    });
    const next = report.head.index + 1;
    if (report.damage !== undefined || report.tornBytes > 0 || next !== firstIndexOf(segments[i + 1]!)) throw new RangeError(`${name}: ${report.damage?.reason ?? 'it does not end where the next one begins'}`);
    if (next > before || !keep.hasPassed(retention, nowMs)) break;
    for (const leaf of leaves) edge.append(leaf);
    rotations.push(...notes);
    [first, newestMs] = [next, Math.max(newestMs, keep.ms)];
  }
  return first === start.first ? undefined : { kind: 'pruned', first, from: start.first, newest: new Date(newestMs).toISOString(), edge: edge.nodes.map(({ hash }) => hash), rotations };
}

/** The newest entry of each tenant. */
class Newest {
  ms = -Infinity;
  readonly #byTenant = new Map<string | undefined, number>();

  take(tenant: string | undefined, ms: number): void {
    this.#byTenant.set(tenant, Math.max(ms, this.#byTenant.get(tenant) ?? -Infinity));
    this.ms = Math.max(ms, this.ms);
  }

  /** A time that cannot be read never passes. */
  hasPassed({ days, tenants }: AuditRetention, nowMs: number): boolean {
    return [...this.#byTenant].every(([tenant, ms]) => {
      const kept = tenant !== undefined && Object.hasOwn(tenants, tenant) ? tenants[tenant] : days;
      return kept !== undefined && ms + kept * DAY_MS <= nowMs;
    });
  }
}

const NOTE_BYTES = 1024 * 1024;

/** Where in the file of checkpoints the first of at least so many entries begins: what is before it may go. */
export function oldNoteBytes(dir: string, size: number): number {
  const file = openSync(join(dir, CHECKPOINTS_FILE), 'r');
  try {
    let [bytes, offset] = [Buffer.alloc(0), 0];
    for (;;) {
      const signatures = bytes.indexOf('\n\n');
      const end = signatures === -1 ? -1 : bytes.indexOf('\n\n', signatures + 2);
      if (end === -1) {
        const more = Buffer.alloc(NOTE_BYTES);
        const count = readSync(file, more, 0, NOTE_BYTES, offset + bytes.length);
        if (count === 0) return 0; // nothing of at least that size is there: then nothing goes
        bytes = Buffer.concat([bytes, more.subarray(0, count)]);
        continue;
      }
      const note = readCheckpoint(bytes.toString('utf8', 0, end + 1));
      if (note === undefined || note.size >= size) return note === undefined ? 0 : offset;
      [bytes, offset] = [bytes.subarray(end + 2), offset + end + 2];
    }
  } finally {
    closeSync(file);
  }
}
