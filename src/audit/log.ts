/**
 * The audit log's one writer. Entries get their place in the chain in the order of `append`, and reach the disk in
 * groups: `strict` resolves when its group is synced, `relaxed` at once, and is written within 100 ms or 256 entries.
 * Every second or 1,000 entries a checkpoint of all that is synced is signed; strict never waits for it. A write that
 * fails ends the log until the next start: after a failed sync the kernel may call lost pages clean, so trying again
 * would claim what is not there. Strict appends then reject, relaxed ones are counted as lost and told.
 */
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CHANNELS, type AuditLost } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import { signCheckpoint, type Signer } from './checkpoint.ts';
import { sealEntry, type AuditRecord } from './entry.ts';
import { lockFolder } from './lock.ts';
import { NoteFile } from './notes.ts';
import type { EntryProof } from './proof-check.ts';
import { recoverLog, type LogPlace, type Recovered } from './recovery.ts';
import { EDGE_FILE, replaceFile, segmentName, syncFolder, writeAt } from './segments.ts';
import { TreeEdge } from './tree.ts';
import type { Head } from './verify.ts';

export type Durability = 'strict' | 'relaxed';

export interface AuditLogOptions extends LogPlace {
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** A segment that reached this size is followed by a new one. Default 64 MiB. */
  readonly segmentBytesMax?: number;
  /** So is one whose first entry is older, so that what passed its retention can go. Default a day. */
  readonly segmentMsMax?: number;
  /** Entries that wait for the disk; beyond it the log turns entries away rather than fill the memory. Default 65,536. */
  readonly pendingMax?: number;
}

export interface AuditLog {
  /** Rejects with WeirError audit_unavailable in strict durability when the entry cannot be made durable. */
  append(record: AuditRecord, durability: Durability): Promise<void>;
  /** The newest entry that `append` placed; index -1 when there is none. */
  head(): Head;
  /** The newest checkpoint, a signed note. */
  checkpoint(): string;
  /** Appends the rotation that names this key, and signs with it from that entry on. Nothing may be appended meanwhile. */
  rotate(note: string, signer: Signer): Promise<void>;
  /** Appends in strict durability, and signs a checkpoint of which the entry is the last: its proof. */
  appendProven(record: AuditRecord): Promise<EntryProof>;
  /** Drops the first bytes of the file of checkpoints, which are whole notes. The newest stays. */
  dropCheckpoints(bytes: number): Promise<void>;
  /** All that was appended before this call is synced. */
  flush(): Promise<void>;
  /** Syncs and signs what was appended. */
  close(): Promise<void>;
}

const RELAXED_DELAY_MS = 100;
const RELAXED_ENTRIES_MAX = 256;
const CHECKPOINT_DELAY_MS = 1_000;
const CHECKPOINT_ENTRIES_MAX = 1_000;

/** Opens the log in `dir`, which it creates, repairs an unfinished last line, and signs what is there. Throws when the log is damaged. */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 });
  const opened = new AsyncDisposableStack();
  opened.defer(lockFolder(options.dir));
  try {
    const recovered = await recoverLog(options);
    const { segment, tornBytes } = recovered;
    const notes = await NoteFile.open(options.dir, recovered.checkpointBytes);
    opened.defer(() => notes.close());
    await syncFolder(options.dir);
    const file = segment === undefined ? undefined : await open(join(options.dir, segment), 'r+');
    const log = new SegmentedLog(options, recovered, notes, file, opened);
    opened.defer(() => log.closeSegment());
    if (tornBytes > 0) await log.append({ kind: 'recovered', bytes: tornBytes }, 'strict');
    await log.signNow();
    return log;
  } catch (error) {
    await opened.disposeAsync().catch(() => undefined); // the first error is the one to tell
    throw error;
  }
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A line that has its place, and its leaf in the tree. */
interface PlacedLine {
  readonly line: string;
  readonly leaf: string;
  readonly timeMs: number;
  readonly kind: AuditLost['kind'];
}

class SegmentedLog implements AuditLog {
  readonly #options: Required<Omit<AuditLogOptions, 'acceptKey'>>;
  /** What is open: the lock, the files. */
  readonly #opened: AsyncDisposableStack;
  #signer: Signer;
  /** Of this log: the name of the key that signed it first. */
  readonly #origin: string;
  /** The newest entry that has a place, on disk or not. */
  #head: Head;
  /** The newest segment; absent before the first entry. */
  #file: FileHandle | undefined;
  /** Its size as written. */
  #fileBytes: number;
  /** Time of its first entry. */
  #fileBeganMs: number;
  readonly #notes: NoteFile;
  /** Over the entries that are written. */
  readonly #edge: TreeEdge;
  /** The newest checkpoint, and how many entries it covers; -1: there is none yet. */
  #note: string;
  #signedSize: number;
  /** The next group is synced and signed. */
  #isSignatureDue = false;
  /** Runs while there are entries that no checkpoint covers. */
  #signTimer: NodeJS.Timeout | undefined;
  /** The checkpoint being written, one at a time, beside the next group. */
  #signing: Promise<void> | undefined;
  /** Lines that wait for the disk. */
  #pending: PlacedLine[] = [];
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

  constructor(options: AuditLogOptions, recovered: Recovered, notes: NoteFile, file: FileHandle | undefined, opened: AsyncDisposableStack) {
    this.#options = { segmentBytesMax: 64 * 1024 * 1024, segmentMsMax: 86_400_000, pendingMax: 65_536, ...options };
    this.#opened = opened;
    this.#signer = recovered.signer;
    this.#origin = recovered.checkpoint?.origin ?? recovered.signer.public.name;
    this.#head = recovered.head;
    this.#file = file;
    this.#fileBytes = recovered.segmentBytes;
    this.#fileBeganMs = recovered.segmentBeganMs ?? 0;
    this.#notes = notes;
    this.#edge = recovered.edge;
    this.#note = recovered.checkpoint?.note ?? '';
    this.#signedSize = recovered.checkpoint?.size ?? -1;
    this.#pendingFrom = recovered.head.index + 1;
  }

  append(record: AuditRecord, durability: Durability): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      this.#lose([lossOf(record)]);
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

  checkpoint(): string {
    return this.#note;
  }

  async rotate(note: string, signer: Signer): Promise<void> {
    await this.signNow();
    this.#signer = signer;
    await this.append({ kind: 'key_rotation', note }, 'strict');
  }

  async appendProven(record: AuditRecord): Promise<EntryProof> {
    while (this.#writing !== undefined || this.#signing !== undefined) await (this.#writing ?? this.#signing);
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    // Nothing else is placed until the group is taken, so the entry is the last of it and of the checkpoint.
    const before = this.#edge.copy();
    for (const { leaf } of this.#pending) before.append(leaf);
    const { line, index } = this.#place(record);
    this.#isSignatureDue = true;
    this.#write();
    await this.#writing;
    await this.#signing;
    if (this.#dead !== undefined) throw this.#dead;
    return { index, entry: line, proof: before.nodes.map(({ hash }) => hash).reverse(), checkpoint: this.#note };
  }

  async dropCheckpoints(bytes: number): Promise<void> {
    while (this.#signing !== undefined) await this.#signing;
    if (this.#dead !== undefined || this.#closed || bytes === 0) return;
    let failure: unknown;
    await this.#whileSigning(this.#notes.dropFirst(bytes, (error) => this.#end(error)).catch((error: unknown) => void (failure = error)));
    if (failure !== undefined) throw failure;
  }

  /** A checkpoint of all that was appended, unless there is one. */
  async signNow(): Promise<void> {
    await this.flush();
    await this.#signing;
    if (this.#signedSize < this.#edge.size) await this.#sign(this.#edge.copy());
    if (this.#dead !== undefined) throw this.#dead;
  }

  async flush(): Promise<void> {
    if (this.#dead !== undefined) throw this.#dead;
    await this.#synced();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      if (this.#dead === undefined) await this.signNow();
    } finally {
      await this.#opened.disposeAsync();
    }
  }

  async closeSegment(): Promise<void> {
    clearTimeout(this.#timer);
    clearTimeout(this.#signTimer);
    await this.#writing;
    await this.#signing;
    await this.#file?.close();
  }

  #refusal(): WeirError | undefined {
    if (this.#dead !== undefined) return this.#dead;
    if (this.#closed) return new WeirError('audit_unavailable', 'the audit log is closed');
    if (this.#pending.length < this.#options.pendingMax) return undefined;
    if (this.#lost === 0) CHANNELS.healthChanged.publish({ part: 'audit', healthy: false, detail: `${this.#pending.length} entries wait for the disk, no more are taken` });
    return new WeirError('audit_unavailable', 'the audit log is slower than the traffic');
  }

  /** Of a group that was written and not synced, the disk may have kept some all the same. */
  #lose(kinds: readonly AuditLost['kind'][]): void {
    this.#lost += kinds.length;
    for (const [kind, { length: count }] of Map.groupBy(kinds, (kind) => kind)) CHANNELS.auditLost.publish({ count, kind });
  }

  #tellLost(): void {
    const count = this.#lost;
    this.#lost = 0;
    CHANNELS.healthChanged.publish({ part: 'audit', healthy: true, detail: `entries are taken again, ${count} were lost` });
    this.#place({ kind: 'lost', count });
  }

  #place(record: AuditRecord): { readonly line: string; readonly index: number } {
    const timeMs = this.#options.clock();
    const link = { index: this.#head.index + 1, time: new Date(timeMs).toISOString(), origin: this.#options.origin, prev: this.#head.hash };
    const entry = sealEntry(link, record);
    this.#head = { index: link.index, hash: entry.hash };
    this.#pending.push({ line: entry.line, leaf: entry.hash, timeMs, kind: lossOf(record) });
    this.#signTimer ??= setTimeout(() => this.#askSignature(), CHECKPOINT_DELAY_MS);
    return { line: entry.line, index: link.index };
  }

  #askSignature(): void {
    this.#signTimer = undefined;
    this.#isSignatureDue = true;
    this.#write();
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
    const isSigned = this.#signing === undefined && (this.#isSignatureDue || this.#pendingFrom + this.#pending.length - this.#signedSize >= CHECKPOINT_ENTRIES_MAX);
    if (this.#writing !== undefined || (this.#pending.length === 0 && this.#waiters.length === 0 && !isSigned)) return;
    const lines = this.#pending;
    const waiters = this.#waiters;
    const from = this.#pendingFrom;
    this.#pending = [];
    this.#waiters = [];
    this.#pendingFrom = from + lines.length;
    if (isSigned) this.#isSignatureDue = false;
    this.#writing = this.#writeGroup(lines, from, waiters.length > 0 || isSigned).then(
      () => this.#written(waiters, isSigned),
      (error: unknown) => this.#failed(error, lines, waiters),
    );
  }

  async #writeGroup(lines: readonly PlacedLine[], from: number, sync: boolean): Promise<void> {
    if (lines.length > 0) {
      const bytes = Buffer.from(lines.map(({ line }) => `${line}\n`).join(''), 'utf8');
      const { segmentBytesMax, segmentMsMax } = this.#options;
      const { timeMs } = lines[0]!;
      if (this.#file === undefined || this.#fileBytes >= segmentBytesMax || (this.#fileBytes > 0 && timeMs - this.#fileBeganMs >= segmentMsMax)) await this.#nextSegment(from);
      if (this.#fileBytes === 0) this.#fileBeganMs = timeMs;
      this.#fileBytes = await writeAt(this.#file!, bytes, this.#fileBytes);
      for (const { leaf } of lines) this.#edge.append(leaf);
    }
    if (sync) await this.#file?.datasync();
  }

  /** A segment begins with a checkpoint of all before it, and with the tree as it stands there. */
  async #nextSegment(from: number): Promise<void> {
    await this.#file?.datasync();
    await this.#file?.close();
    this.#file = undefined;
    await this.#signing;
    if (this.#signedSize < from) await this.#writeCheckpoint(this.#edge);
    await replaceFile(join(this.#options.dir, EDGE_FILE), JSON.stringify(this.#edge.nodes));
    this.#file = await open(join(this.#options.dir, segmentName(from)), 'wx', 0o600);
    this.#fileBytes = 0;
    await syncFolder(this.#options.dir);
  }

  /** Never rejects. */
  #sign(edge: TreeEdge): Promise<void> {
    return this.#whileSigning(this.#writeCheckpoint(edge));
  }

  /** Nothing else writes checkpoints meanwhile. Never rejects. */
  #whileSigning(work: Promise<void>): Promise<void> {
    this.#signing = work.then(
      () => {
        this.#signing = undefined;
        if (this.#isSignatureDue) this.#write();
      },
      (error: unknown) => {
        this.#signing = undefined;
        this.#end(error);
      },
    );
    return this.#signing;
  }

  async #writeCheckpoint(edge: TreeEdge): Promise<void> {
    const { size } = edge;
    const note = signCheckpoint({ origin: this.#origin, size, root: edge.root() }, this.#signer);
    await this.#notes.append(note);
    this.#note = note;
    this.#signedSize = size;
  }

  #written(waiters: readonly Waiter[], isSigned: boolean): void {
    this.#writing = undefined;
    for (const { resolve } of waiters) resolve();
    if (isSigned && this.#signedSize < this.#edge.size) void this.#sign(this.#edge.copy());
    if (this.#waiters.length > 0 || this.#pending.length >= RELAXED_ENTRIES_MAX || (this.#isSignatureDue && this.#signing === undefined)) this.#write();
    else if (this.#pending.length > 0 && !this.#closed) this.#timer ??= setTimeout(() => this.#write(), RELAXED_DELAY_MS);
  }

  #failed(cause: unknown, group: readonly PlacedLine[], waiters: readonly Waiter[]): void {
    this.#writing = undefined;
    this.#lose(group.map(({ kind }) => kind));
    this.#end(cause);
    for (const { reject } of waiters) reject(this.#dead);
  }

  /** Nothing is written any more; the cause that came first is told. */
  #end(cause: unknown): void {
    if (this.#dead !== undefined) return;
    clearTimeout(this.#signTimer);
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    this.#dead = new WeirError('audit_unavailable', `the audit log could not be written (${code})`, { cause });
    this.#lose(this.#pending.map(({ kind }) => kind));
    this.#pending = [];
    CHANNELS.healthChanged.publish({ part: 'audit', healthy: false, detail: `write failed (${code}); nothing more is recorded until weir starts again` });
    for (const { reject } of this.#waiters) reject(this.#dead);
    this.#waiters = [];
  }
}

function lossOf({ kind }: AuditRecord): AuditLost['kind'] {
  return kind === 'exchange' ? 'exchange' : 'change';
}
