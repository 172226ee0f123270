/**
 * The copy of a log that is shipped here, in files like its own: what is taken was signed for by the key that is known of
 * it, continues what is there, and is synced before `take` resolves. What is there already changes nothing; what differs
 * from it is refused, and so is what leaves entries out. One batch at a time is its caller's duty.
 */
import { mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesOfLast, hashOf, readEntries, type ReadEntries } from './batch-entries.ts';
import { isSignedBy, readCheckpoint, readNoteKey, type NoteKey, type SignedCheckpoint } from './checkpoint.ts';
import { newestEntries } from './entries.ts';
import { GENESIS, type PrunedCopyRecord, type PrunedRecord } from './entry.ts';
import { lockFolder } from './lock.ts';
import { NoteFile } from './notes.ts';
import type { EntryProof } from './proof-check.ts';
import { pruneLog, type PrunableLog, type Pruning } from './prune.ts';
import { keeperKeys } from './pruned.ts';
import { publishedKeys, publishKey, recoverCopy, type RecoveredCopy } from './recovery.ts';
import type { AuditRetention } from './retention.ts';
import { CHECKPOINTS_FILE, EDGE_FILE, firstIndexOf, KEEPER_KEYS_FILE, replaceFile, segmentName, syncFolder, writeAt } from './segments.ts';
import { ShipRefusal, type ShipBatch, type ShipPosition } from './shipment.ts';
import { TreeEdge } from './tree.ts';
import { EMPTY_HEAD, type Head } from './verify.ts';

const NOTHING: Omit<RecoveredCopy, 'tornBytes'> = { first: 0, head: EMPTY_HEAD, edge: new TreeEdge(), segmentBytes: 0, segmentBeganMs: undefined, checkpointBytes: 0, signedEdge: new TreeEdge(), unsigned: [] };

export class OriginCopy {
  readonly #dir: string;
  /** The log's name. */
  readonly #origin: string;
  #unlock: (() => void) | undefined;
  #head: Head;
  /** Entries before it passed their retention here. */
  #first: number;
  /** Over the entries that a checkpoint here covers, and the leaves of those after. */
  #signedEdge: TreeEdge;
  #leaves: readonly string[];
  /** Entries that the newest checkpoint here covers; -1: there is none. */
  #signed: number;
  #checkpointBytes: number;
  /** The newest segment, and its size. */
  #segment: string | undefined;
  #segmentBytes: number;

  private constructor(dir: string, origin: string, found: Omit<RecoveredCopy, 'tornBytes'>, unlock: (() => void) | undefined) {
    this.#dir = dir;
    this.#origin = origin;
    this.#unlock = unlock;
    this.#head = found.head;
    this.#first = found.first;
    this.#signedEdge = found.signedEdge.copy();
    this.#leaves = found.unsigned;
    this.#signed = found.checkpoint?.size ?? -1;
    this.#checkpointBytes = found.checkpointBytes;
    this.#segment = found.segment;
    this.#segmentBytes = found.segmentBytes;
  }

  /** What a crash left unfinished is cut off. Throws WeirError audit_unavailable when the copy is damaged. */
  static async open(dir: string, origin: string): Promise<OriginCopy> {
    if ((await stat(dir).catch(() => undefined)) === undefined) return new OriginCopy(dir, origin, NOTHING, undefined);
    const unlock = lockFolder(dir);
    try {
      const found = await recoverCopy(dir);
      if (found.rotatedTo !== undefined) await publishKey(dir, found.rotatedTo);
      return new OriginCopy(dir, origin, found, unlock);
    } catch (error) {
      unlock();
      throw error;
    }
  }

  get position(): ShipPosition {
    return { entries: this.#entries, hash: this.#head.hash, signed: this.#signed };
  }

  /** `pin` resolves when it is recorded that this key counts for the log from now on. Throws ShipRefusal. */
  async take(batch: ShipBatch, pin: (key: NoteKey) => Promise<void>): Promise<void> {
    const held = this.#entries;
    if (batch.size < batch.from && batch.size < held) throw new ShipRefusal('rolled_back', `the log holds ${batch.size} entries, and ${held} of it are here: it was cut short, or restored from an older copy`);
    if (batch.from > held) throw new ShipRefusal('gap', `the batch begins with entry ${batch.from}, and the next here is ${held}`, this.position);
    const entries = readEntries(batch);
    const to = batch.from + batch.entries.length;
    const known = await publishedKeys(this.#dir);
    const key = known.at(-1) ?? (held === 0 ? readNoteKey(batch.key ?? '') : undefined);
    if (key === undefined) throw new ShipRefusal('wrong_key', 'no key is known of this log, and none is sent with it');
    const checkpoints = this.#readCheckpoints(batch);
    const newer = checkpoints.filter(({ size }) => size > this.#signed);
    for (const checkpoint of newer) this.#requireSignature(checkpoint, key, entries);
    if (batch.entries.length > 0) this.#requireCover(checkpoints.at(-1), to, [key, ...known]);
    await this.#requireContinuity(batch, entries, held);
    const fresh = Math.max(0, to - held);
    const leaves = [...this.#leaves, ...entries.leaves.slice(entries.leaves.length - fresh)];
    // What covers more than is here is looked at for the sake of the entries, which came before where nothing follows.
    const taken = this.#requireRoots(newer.filter(({ size }) => size <= held || to >= held), leaves, batch, Math.max(held, to));
    if (fresh === 0 && taken.length === 0) return;
    const isNewSegment = fresh > 0 && this.#requireSegment(batch, held);
    if (this.#unlock === undefined) await this.#create();
    if (known.length === 0) {
      await pin(key);
      await publishKey(this.#dir, key);
    }
    if (fresh > 0) await this.#writeEntries(batch.segment, bytesOfLast(entries.bytes, batch.entries, fresh), isNewSegment);
    this.#leaves = leaves;
    if (fresh > 0) this.#head = { index: to - 1, hash: hashOf(batch.entries.at(-1)!) };
    for (const rotation of entries.rotations) if (rotation.index >= held) await publishKey(this.#dir, rotation.to); // before what it signed
    if (taken.length > 0) await this.#writeCheckpoints(taken);
  }

  /** Removes what passed its retention. `vouch` resolves with the proof that it stands in the keeper's log, whose keys are `keepers`. What rejects leaves this object unusable. */
  async prune(retention: AuditRetention, nowMs: number, vouch: (record: PrunedCopyRecord) => Promise<EntryProof>, keepers: () => Promise<readonly NoteKey[]>): Promise<Pruning | undefined> {
    const appendProven = async (record: PrunedRecord): Promise<EntryProof> => {
      const proof = await vouch({ ...record, kind: 'pruned_copy', log: this.#origin });
      // Former keys stay: the file `pruned` may still bear the word of one.
      const keys = new Set([...(await keeperKeys(this.#dir)), ...(await keepers())].map(({ text }) => text));
      await replaceFile(join(this.#dir, KEEPER_KEYS_FILE), [...keys, ''].join('\n'), 0o644);
      return proof;
    };
    const log: PrunableLog = { appendProven: (record) => appendProven(record as PrunedRecord), dropCheckpoints: (bytes) => this.#dropCheckpoints(bytes) };
    // What a checkpoint here covers, and not the last entry, to which the next one is chained.
    const done = await pruneLog(log, this.#dir, retention, nowMs, { before: Math.min(this.#signed, this.#head.index), isCopy: true });
    this.#first = done?.first ?? this.#first;
    return done;
  }

  async #dropCheckpoints(bytes: number): Promise<void> {
    if (bytes === 0) return;
    const notes = await NoteFile.open(this.#dir, this.#checkpointBytes);
    try {
      await notes.dropFirst(bytes, (error) => {
        throw error;
      });
      this.#checkpointBytes -= bytes;
    } finally {
      await notes.close();
    }
  }

  close(): void {
    this.#unlock?.();
    this.#unlock = undefined;
  }

  get #entries(): number {
    return this.#head.index + 1;
  }

  #readCheckpoints({ checkpoints }: ShipBatch): readonly SignedCheckpoint[] {
    let size = -1;
    return checkpoints.map((note) => {
      const checkpoint = readCheckpoint(note);
      if (checkpoint === undefined || checkpoint.size < size) throw new ShipRefusal('altered', 'a checkpoint is none, or covers less than the one before it');
      if (checkpoint.origin !== this.#origin) throw new ShipRefusal('wrong_log', `a checkpoint is of the log ${checkpoint.origin}, and they are sent as those of ${this.#origin}`);
      ({ size } = checkpoint);
      return checkpoint;
    });
  }

  /** By the key that the entries before its end leave in force. */
  #requireSignature(checkpoint: SignedCheckpoint, pinned: NoteKey, { rotations }: ReadEntries): void {
    let key = pinned;
    for (const { index, from, to } of rotations) {
      if (index < this.#entries || index >= checkpoint.size) continue;
      if (from.text !== key.text) throw new ShipRefusal('wrong_key', `entry ${index} replaces the key ${from.name}+${from.id}, and ${key.name}+${key.id} signs`);
      key = to;
    }
    if (!isSignedBy(checkpoint, key)) throw wrongKey(checkpoint, key);
  }

  /** One that is here already may have been signed by a key before. */
  #requireCover(last: SignedCheckpoint | undefined, to: number, keys: readonly NoteKey[]): void {
    if (last === undefined || last.size < to) throw new ShipRefusal('altered', `no checkpoint of the batch covers entry ${to - 1}`);
    if (last.size <= this.#signed && !keys.some((key) => isSignedBy(last, key))) throw wrongKey(last, keys[0]!);
  }

  async #requireContinuity({ from, entries }: ShipBatch, { prev }: ReadEntries, held: number): Promise<void> {
    if (entries.length === 0) return;
    if (from === 0 && prev !== GENESIS) throw new ShipRefusal('altered', 'entry 0 names an entry before it');
    if (from === held && from > 0 && prev !== this.#head.hash) throw fork(held - 1);
    const last = Math.min(from + entries.length, held) - 1;
    if (last < from || last < this.#first) return; // what is gone cannot be held against it, and nothing of it is taken
    const here = last === this.#head.index ? this.#head.hash : await this.#hashAt(last);
    if (hashOf(entries[last - from]!) !== here) throw fork(last);
  }

  async #hashAt(index: number): Promise<unknown> {
    for await (const entry of newestEntries(this.#dir, { before: index + 1 })) return entry.index === index ? entry['hash'] : undefined;
    return undefined;
  }

  /** The checkpoints of those to take that are covered by the entries, each with the tree that it was signed for. */
  #requireRoots(newer: readonly SignedCheckpoint[], leaves: readonly string[], { rest }: ShipBatch, entries: number): readonly SignedCheckpoint[] {
    const edge = this.#signedEdge.copy();
    let at = 0;
    const growTo = (size: number): void => {
      while (edge.size < size) edge.append(leaves[at++]!);
    };
    for (const checkpoint of newer) {
      if (checkpoint.size <= entries) growTo(checkpoint.size);
      else if (checkpoint === newer.at(-1)) {
        growTo(entries);
        for (const { level, hash } of rest) if (edge.size % 2 ** level === 0 && edge.size < checkpoint.size) edge.push(level, hash);
      }
      if (edge.size !== checkpoint.size || edge.root() !== checkpoint.root) throw new ShipRefusal('altered', `the first ${checkpoint.size} entries are not those that the checkpoint was signed for`);
    }
    return newer.filter(({ size }) => size <= entries);
  }

  /** Whether the entries begin a segment. */
  #requireSegment({ segment, from }: ShipBatch, held: number): boolean {
    if (this.#segment !== undefined && segment === firstIndexOf(this.#segment)) return false;
    if (segment === held && from === held) return true;
    throw new ShipRefusal('altered', `entry ${held} is sent as one of segment ${segment}, and the segment here is ${this.#segment ?? 'none'}`);
  }

  async #create(): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    this.#unlock = lockFolder(this.#dir);
    for (const above of ['..', '../..']) await syncFolder(join(this.#dir, above));
  }

  async #writeEntries(segment: number, lines: Buffer, isNew: boolean): Promise<void> {
    const name = segmentName(segment);
    if (isNew) await replaceFile(join(this.#dir, EDGE_FILE), JSON.stringify(this.#edge().nodes));
    const file = await open(join(this.#dir, name), isNew ? 'wx' : 'r+', 0o600);
    try {
      if (isNew) [this.#segment, this.#segmentBytes] = [name, 0];
      this.#segmentBytes = await writeAt(file, lines, this.#segmentBytes);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (isNew) await syncFolder(this.#dir);
  }

  async #writeCheckpoints(taken: readonly SignedCheckpoint[]): Promise<void> {
    const isFirst = this.#checkpointBytes === 0;
    const file = await open(join(this.#dir, CHECKPOINTS_FILE), isFirst ? 'w' : 'r+', 0o600);
    try {
      this.#checkpointBytes = await writeAt(file, Buffer.from(taken.map(({ note }) => `${note}\n`).join('')), this.#checkpointBytes);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (isFirst) await syncFolder(this.#dir);
    const { size } = taken.at(-1)!;
    const leaves = this.#leaves.slice(0, size - this.#signedEdge.size);
    this.#leaves = this.#leaves.slice(leaves.length);
    for (const leaf of leaves) this.#signedEdge.append(leaf);
    this.#signed = size;
  }

  /** Over all entries. */
  #edge(): TreeEdge {
    const edge = this.#signedEdge.copy();
    for (const leaf of this.#leaves) edge.append(leaf);
    return edge;
  }
}

function wrongKey({ signatures }: SignedCheckpoint, { name, id }: NoteKey): ShipRefusal {
  return new ShipRefusal('wrong_key', `a checkpoint is signed with ${signatures.map((one) => `${one.name}+${one.id}`).join(', ')}, and the key that counts is ${name}+${id}`);
}

function fork(index: number): ShipRefusal {
  return new ShipRefusal('fork', `entry ${index} of this log is another one here: the log was restored from an older copy and went on, or two logs have one name and one key`);
}
