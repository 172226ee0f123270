/**
 * The audit log's one writer. Entries get their place in the chain in the order of `append`, and reach the disk in
 * groups: `strict` resolves when its group is synced, `relaxed` at once, and is written within 100 ms or 256 entries.
 * A write that fails ends the log until the next start: after a failed sync the kernel may call lost pages clean, so
 * trying again would claim what is not there. Strict appends then reject, relaxed ones are counted as lost and told.
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CHANNELS } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import { sealEntry, type AuditRecord } from './entry.ts';
import { lockFolder } from './lock.ts';
import { listSegments, readSegment, segmentName, syncFolder } from './segments.ts';
import { EMPTY_HEAD, verifySegment, type Head } from './verify.ts';

export type Durability = 'strict' | 'relaxed';

export interface AuditLogOptions {
  readonly dir: string;
  /** Who writes: `<cluster>/<instance>`. */
  readonly origin: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** A segment that reached this size is followed by a new one. Default 64 MiB. */
  readonly segmentBytesMax?: number;
  /** Entries that wait for the disk; beyond it the log turns entries away rather than fill the memory. Default 65,536. */
  readonly pendingMax?: number;
}

export interface AuditLog {
  /** Rejects with WeirError audit_unavailable in strict durability when the entry cannot be made durable. */
  append(record: AuditRecord, durability: Durability): Promise<void>;
  /** The newest entry that `append` placed; index -1 when there is none. */
  head(): Head;
  /** All that was appended before this call is synced. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

const RELAXED_DELAY_MS = 100;
const RELAXED_ENTRIES_MAX = 256;

/** Opens the log in `dir`, which it creates, and repairs an unfinished last line. Throws when the log is damaged. */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const unlock = lockFolder(options.dir);
  try {
    const { head, file, bytes, tornBytes } = await recover(options.dir);
    const log = new SegmentedLog(options, unlock, head, file, bytes);
    if (tornBytes > 0) await log.append({ kind: 'recovered', bytes: tornBytes }, 'strict');
    return log;
  } catch (error) {
    unlock();
    throw error;
  }
}

interface Recovered {
  readonly head: Head;
  readonly file?: FileHandle;
  readonly bytes: number;
  readonly tornBytes: number;
}

/** Verifies the newest segment and its joint to the one before; `weir audit verify` reads them all. */
async function recover(dir: string): Promise<Recovered> {
  const segments = await listSegments(dir);
  const last = segments.at(-1);
  if (last === undefined) return { head: EMPTY_HEAD, bytes: 0, tornBytes: 0 };
  const before = segments.at(-2);
  const start = before === undefined ? EMPTY_HEAD : await headOf(dir, before);
  const content = await readSegment(dir, last);
  const { head, damage, tornBytes } = verifySegment(last, content, start);
  if (damage !== undefined) throw damaged(`${damage.segment} line ${damage.line}: ${damage.reason}`);
  const file = await open(join(dir, last), 'a', 0o600);
  const bytes = content.length - tornBytes;
  if (tornBytes > 0) {
    await file.truncate(bytes);
    await file.datasync();
  }
  return { head, file, bytes, tornBytes };
}

async function headOf(dir: string, segment: string): Promise<Head> {
  const content = await readSegment(dir, segment);
  const firstIndex = Number.parseInt(segment, 10);
  const firstPrev = /"prev":"([0-9a-f]{64})"/.exec(content.toString('latin1', 0, Math.max(0, content.indexOf(0x0a))))?.[1] ?? '';
  const { head, damage, tornBytes } = verifySegment(segment, content, { index: firstIndex - 1, hash: firstPrev });
  if (damage !== undefined) throw damaged(`${segment} line ${damage.line}: ${damage.reason}`);
  if (tornBytes > 0) throw damaged(`${segment} ends with an unfinished line and another segment follows`);
  return head;
}

function damaged(place: string): WeirError {
  return new WeirError('audit_unavailable', `the audit log is damaged: ${place}`);
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class SegmentedLog implements AuditLog {
  readonly #options: Required<AuditLogOptions>;
  readonly #unlock: () => void;
  /** The newest entry that has a place, on disk or not. */
  #head: Head;
  /** The newest segment; absent before the first entry. */
  #file: FileHandle | undefined;
  /** Its size as written. */
  #fileBytes: number;
  /** Lines that have a place and wait for the disk. */
  #pending: string[] = [];
  /** Index of the first line in `#pending`: names the segment it may begin. */
  #pendingFrom: number;
  /** Who waits for the sync of `#pending`. */
  #waiters: Waiter[] = [];
  /** Runs while relaxed entries wait for company. */
  #timer: NodeJS.Timeout | undefined;
  /** The group being written, one at a time. */
  #writing: Promise<void> | undefined;
  /** Why nothing can be written any more. */
  #dead: WeirError | undefined;
  /** Entries turned away since the last `lost` entry. */
  #lost = 0;
  #closed = false;

  constructor(options: AuditLogOptions, unlock: () => void, head: Head, file: FileHandle | undefined, fileBytes: number) {
    this.#options = { segmentBytesMax: 64 * 1024 * 1024, pendingMax: 65_536, ...options };
    this.#unlock = unlock;
    this.#head = head;
    this.#file = file;
    this.#fileBytes = fileBytes;
    this.#pendingFrom = head.index + 1;
  }

  append(record: AuditRecord, durability: Durability): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#lost++;
      return durability === 'strict' ? Promise.reject(refusal) : Promise.resolve();
    }
    if (this.#lost > 0) this.#tellLost();
    this.#place(record);
    if (durability === 'strict') return this.#synced();
    if (this.#pending.length >= RELAXED_ENTRIES_MAX) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), RELAXED_DELAY_MS);
    return Promise.resolve();
  }

  head(): Head {
    return this.#head;
  }

  async flush(): Promise<void> {
    if (this.#dead !== undefined) throw this.#dead;
    await this.#synced();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#dead === undefined) await this.#synced();
    } finally {
      clearTimeout(this.#timer);
      await this.#file?.close().catch(() => undefined);
      this.#unlock();
    }
  }

  #refusal(): WeirError | undefined {
    if (this.#dead !== undefined) return this.#dead;
    if (this.#closed) return new WeirError('audit_unavailable', 'the audit log is closed');
    if (this.#pending.length < this.#options.pendingMax) return undefined;
    if (this.#lost === 0) CHANNELS.healthChanged.publish({ part: 'audit', healthy: false, detail: `${this.#pending.length} entries wait for the disk, no more are taken` });
    return new WeirError('audit_unavailable', 'the audit log is slower than the traffic');
  }

  #tellLost(): void {
    const count = this.#lost;
    this.#lost = 0;
    CHANNELS.healthChanged.publish({ part: 'audit', healthy: true, detail: `entries are taken again, ${count} were lost` });
    this.#place({ kind: 'lost', count });
  }

  #place(record: AuditRecord): void {
    const link = { index: this.#head.index + 1, time: new Date(this.#options.clock()).toISOString(), origin: this.#options.origin, prev: this.#head.hash };
    const entry = sealEntry(link, record);
    this.#head = { index: link.index, hash: entry.hash };
    this.#pending.push(`${entry.line}\n`);
  }

  /** Resolves when all that has a place now is synced. One turn of the loop lets the appends of other exchanges join the group. */
  #synced(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#waiters.length === 1) setImmediate(() => this.#write());
    });
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing !== undefined || (this.#pending.length === 0 && this.#waiters.length === 0)) return;
    const lines = this.#pending;
    const waiters = this.#waiters;
    const from = this.#pendingFrom;
    this.#pending = [];
    this.#waiters = [];
    this.#pendingFrom = from + lines.length;
    this.#writing = this.#writeGroup(lines, from, waiters.length > 0).then(
      () => this.#written(waiters),
      (error: unknown) => this.#failed(error, lines.length, waiters),
    );
  }

  async #writeGroup(lines: readonly string[], from: number, sync: boolean): Promise<void> {
    if (lines.length > 0) {
      const bytes = Buffer.from(lines.join(''), 'utf8');
      if (this.#file === undefined || this.#fileBytes >= this.#options.segmentBytesMax) await this.#nextSegment(from);
      for (let at = 0; at < bytes.length; ) at += (await this.#file!.write(bytes, at, bytes.length - at)).bytesWritten;
      this.#fileBytes += bytes.length;
    }
    if (sync) await this.#file?.datasync();
  }

  async #nextSegment(from: number): Promise<void> {
    await this.#file?.datasync();
    await this.#file?.close();
    this.#file = await open(join(this.#options.dir, segmentName(from)), 'ax', 0o600);
    this.#fileBytes = 0;
    await syncFolder(this.#options.dir);
  }

  #written(waiters: readonly Waiter[]): void {
    this.#writing = undefined;
    for (const { resolve } of waiters) resolve();
    if (this.#waiters.length > 0 || this.#pending.length >= RELAXED_ENTRIES_MAX) this.#write();
    else if (this.#pending.length > 0 && !this.#closed) this.#timer ??= setTimeout(() => this.#write(), RELAXED_DELAY_MS);
  }

  #failed(cause: unknown, linesInGroup: number, waiters: readonly Waiter[]): void {
    this.#writing = undefined;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    this.#dead = new WeirError('audit_unavailable', `the audit log could not be written (${code})`, { cause });
    this.#lost += linesInGroup + this.#pending.length;
    this.#pending = [];
    CHANNELS.healthChanged.publish({ part: 'audit', healthy: false, detail: `write failed (${code}); nothing more is recorded until weir starts again` });
    for (const { reject } of [...waiters, ...this.#waiters]) reject(this.#dead);
    this.#waiters = [];
  }
}
