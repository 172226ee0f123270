/**
 * The verifier of a whole log, from its files and public keys alone: every entry against its hash, its predecessor and
 * the tree; every checkpoint against the tree and its key; keys against their rotations. Reads in blocks, on several
 * threads, so a log of any size. The first thing that does not hold is named with its place. It may run beside the
 * writer: what is written after it began is not looked at.
 */
import { stat, type FileHandle } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { verifyFileBlock, type Block, type Landmark, type VerifiedBlock } from './blocks.ts';
import { checkpointPieces, indexCheckpoints, openCheckpoints, type CheckpointIndex } from './checkpoint-file.ts';
import { isSignedByApart, readRotation, type NoteKey, type SignedCheckpoint } from './checkpoint.ts';
import { readStart, startFault, type LogStart } from './pruned.ts';
import { CHECKPOINTS_FILE, listSegments, PRUNED_FILE, readIfThere } from './segments.ts';
import { EMPTY_ROOT, TreeEdge } from './tree.ts';
import { chainFault, EMPTY_HEAD, type Damage, type Head } from './verify.ts';

export interface CheckOptions {
  readonly dir: string;
  /** Who may have signed. Keys that rotations in the log bind to these count too. */
  readonly keys: readonly NoteKey[];
  /** Of a copy: whose word counts that its beginning passed its retention. They sign no checkpoint of it. */
  readonly keepers?: readonly NoteKey[];
  /** A checkpoint that was kept elsewhere: the log must begin with what it covers. */
  readonly since?: SignedCheckpoint;
  /** Threads; default as many as there are processors, 8 at most. */
  readonly threads?: number;
  readonly blockBytes?: number;
  progress?(bytes: number, total: number): void;
}

export interface LogCheck {
  /** Those that were pruned included. */
  readonly entries: number;
  /** The first that is there; above 0 the log was pruned, which `pruned` says. */
  readonly first: number;
  readonly pruned?: { readonly index: number; readonly time: string; /** Of a copy: the log of its keeper, whose entry it is. */ readonly keeper?: string };
  readonly bytes: number;
  readonly head: Head;
  readonly root: string;
  /** How many checkpoints hold, up to the damage. */
  readonly checkpoints: number;
  readonly newest?: SignedCheckpoint;
  /** Unfinished bytes at the end of the newest segment and of the checkpoints: what a crash leaves. */
  readonly tornBytes: number;
  readonly tornNoteBytes: number;
  /** Entries that say that others were lost and that an operator accepted it. */
  readonly losses: readonly { readonly index: number; readonly reason: string; readonly count: number }[];
  readonly rotations: number;
  /** `line` 0: a range that the reason names. In `checkpoints` it is the number of a note. */
  readonly damage?: Damage;
}

const BLOCK_BYTES = 2 * 1024 * 1024;
const THREADS_MAX = 8;

export async function checkLog(options: CheckOptions): Promise<LogCheck> {
  for (let attempt = 1; ; attempt++) {
    const began = await readIfThere(join(options.dir, PRUNED_FILE));
    const isOther = async (): Promise<boolean> => attempt < ATTEMPTS_MAX && String(await readIfThere(join(options.dir, PRUNED_FILE))) !== String(began);
    try {
      const check = await checkOnce(options);
      if (check.damage === undefined || !(await isOther())) return check;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !(await isOther())) throw error;
    }
  }
}

/** A log that is pruned meanwhile is looked at anew. */
const ATTEMPTS_MAX = 4;

async function checkOnce(options: CheckOptions): Promise<LogCheck> {
  const file = await openCheckpoints(options.dir); // one file for both readings, though another be put in its place
  try {
    return await checkWith(file, options);
  } finally {
    await file?.close();
  }
}

async function checkWith(file: FileHandle | undefined, options: CheckOptions): Promise<LogCheck> {
  const { dir } = options;
  const start = await readStart(dir);
  if (start === undefined) return unreadable({ segment: PRUNED_FILE, line: 1, index: 0, reason: 'it does not say where the log begins' });
  const { first, entry: pruned } = start;
  const notes = await indexCheckpoints(file); // before the segments, which may grow
  const names = await listSegments(dir, first); // what an unfinished pruning left is no part of the log
  const segments = await Promise.all(names.map(async (name) => ({ name, size: (await stat(join(dir, name))).size })));
  const pass = new Pass(start, notes, options.since);
  const total = segments.reduce((sum, { size }) => sum + size, 0);
  const blocks = segments.flatMap(({ name, size }) => blocksOf(join(dir, name), name, size, options.blockBytes ?? BLOCK_BYTES));
  const threads = blocks.length < 4 ? 0 : Math.min(THREADS_MAX, options.threads ?? availableParallelism());
  let bytes = 0;
  for await (const { block, verified } of verifiedInOrder(blocks, pass.sizes, threads)) {
    pass.take(block, verified);
    if (pass.damage !== undefined) break;
    bytes += block.to - block.from;
    options.progress?.(bytes, total);
  }
  const damage = pass.damage ?? pass.finish(segments) ?? (notes.fault && noteDamage(notes.fault.number, notes.fault.index, notes.fault.reason)) ?? (await signatureDamage(file, start, notes, options, pass.landmarks, options.since));
  return {
    entries: pass.entries, first, ...(pruned === undefined ? {} : { pruned: { index: pruned.index, time: pruned.time, ...(pruned.copyOf === undefined ? {} : { keeper: pruned.checkpoint.origin }) } }), bytes, head: pass.head, root: pass.edge.root(), checkpoints: damage === undefined ? notes.sizes.length : pass.marked, newest: notes.newest,
    tornBytes: pass.tornBytes, tornNoteBytes: notes.tornBytes, losses: pass.landmarks.flatMap(lossOf), rotations: pass.landmarks.filter(({ index, line }) => rotationOf(index, line) !== undefined).length, damage,
  };
}

/** Of a log that nobody can begin to read. */
function unreadable(damage: Damage): LogCheck {
  return { entries: 0, first: 0, bytes: 0, head: EMPTY_HEAD, root: EMPTY_ROOT, checkpoints: 0, tornBytes: 0, tornNoteBytes: 0, losses: [], rotations: 0, damage };
}

interface NamedBlock extends Block {
  readonly name: string;
}

function blocksOf(path: string, name: string, size: number, blockBytes: number): readonly NamedBlock[] {
  return Array.from({ length: Math.max(1, Math.ceil(size / blockBytes)) }, (_, i) => ({ path, name, size, from: i * blockBytes, to: Math.min(size, (i + 1) * blockBytes) }));
}

/** Joins blocks in order: links, tree, checkpoints on the way. */
class Pass {
  head: Head;
  entries: number;
  edge: TreeEdge;
  tornBytes = 0;
  /** Checkpoints whose root was met. */
  marked = 0;
  damage: Damage | undefined;
  readonly landmarks: Landmark[] = [];
  readonly #first: number;
  readonly #wanted: WantedRoots;
  /** The newest checkpoint that holds. */
  #held: number;
  /** Lines of the segment before the block, and where they end. */
  #segment = '';
  #lines = 0;
  #end = 0;
  #size = 0;

  constructor({ first, nodes }: LogStart, checkpoints: CheckpointIndex, since: SignedCheckpoint | undefined) {
    [this.#first, this.#held, this.entries, this.edge, this.head] = [first, first, first, new TreeEdge(0, nodes), { ...EMPTY_HEAD, index: first - 1 }];
    this.#wanted = new WantedRoots(first, checkpoints, since);
    this.#compare(first, this.edge);
  }

  get sizes(): Float64Array {
    return this.#wanted.sizes;
  }

  take({ name, size }: NamedBlock, block: VerifiedBlock): void {
    if (name !== this.#segment && !this.#enter(name, size)) return;
    // Of the first entry after those that were pruned, the signed tree alone tells that it is the right one.
    const head = block.first !== undefined && this.#first > 0 && this.entries === this.#first ? { ...this.head, hash: block.first.prev } : this.head;
    const fault = block.first && chainFault(block.first, head);
    if (fault !== undefined) return this.#fail(this.#lines + 1, fault);
    const before = this.edge.nodes;
    for (const mark of block.marks) {
      const edge = new TreeEdge(0, before);
      for (const node of mark.nodes) edge.push(node.level, node.hash);
      if (!this.#compare(mark.size, edge)) return;
    }
    for (const node of block.nodes) this.edge.push(node.level, node.hash);
    this.entries += block.entries;
    this.#lines += block.entries;
    this.head = block.head ?? this.head;
    this.#end = block.end ?? this.#end;
    this.landmarks.push(...block.landmarks);
    if (block.fault !== undefined) this.#fail(this.#lines + 1, block.fault);
  }

  /** What only shows at the end. */
  finish(segments: readonly unknown[]): Damage | undefined {
    this.tornBytes = segments.length === 0 ? 0 : this.#size - this.#end;
    const missing = this.#wanted.next;
    return missing && { segment: this.#segment, line: this.#lines + 1, index: this.entries, reason: `entries are missing at the end: ${missing.name} covers ${missing.size}, the files hold ${this.entries}` };
  }

  /** False when the segment before ends in an unfinished line. */
  #enter(name: string, size: number): boolean {
    if (this.#end < this.#size) {
      this.#fail(this.#lines + 1, 'the line is unfinished and another segment follows');
      return false;
    }
    [this.#segment, this.#size, this.#lines, this.#end] = [name, size, 0, 0];
    return true;
  }

  #fail(line: number, reason: string): void {
    this.damage = { segment: this.#segment, line, index: this.head.index + 1, reason };
  }

  /** Holds the tree against the checkpoints of its size. */
  #compare(size: number, edge: TreeEdge): boolean {
    for (let { next } = this.#wanted; next?.size === size; { next } = this.#wanted) {
      const { root, name } = next;
      if (root !== edge.root()) {
        this.damage = { segment: this.#segment || CHECKPOINTS_FILE, line: 0, index: this.#held, reason: `entries ${this.#held} to ${size - 1} hold among themselves and are not those that were signed: the tree of ${size} entries is not that of ${name}` };
        return false;
      }
      this.#held = size;
      this.marked++;
      this.#wanted.pass();
    }
    return true;
  }
}

/** In order, and shared between threads as those are. */
function withSize(sizes: Float64Array, size: number): Float64Array {
  const all = new Float64Array(new SharedArrayBuffer((sizes.length + 1) * Float64Array.BYTES_PER_ELEMENT));
  all.set(sizes);
  all[sizes.length] = size;
  return all.sort();
}

/** Roots that the tree is held against, by size, from that of the first entry on: those before it are for their signatures alone. */
class WantedRoots {
  readonly sizes: Float64Array;
  readonly #own: CheckpointIndex;
  readonly #since: SignedCheckpoint | undefined;
  /** The next of the own, and whether the kept one was passed. */
  #at: number;
  #isSincePast: boolean;

  constructor(first: number, own: CheckpointIndex, since: SignedCheckpoint | undefined) {
    [this.#own, this.#since] = [own, since];
    this.#at = own.sizes.findIndex((size) => size >= first);
    if (this.#at === -1) this.#at = own.sizes.length;
    this.#isSincePast = since === undefined || since.size < first;
    this.sizes = since === undefined ? own.sizes : withSize(own.sizes, since.size);
  }

  get next(): { readonly size: number; readonly root: string; readonly name: string } | undefined {
    const size = this.#own.sizes[this.#at];
    if (this.#isSinceNext(size)) return { ...this.#since!, name: 'the kept checkpoint' };
    return size === undefined ? undefined : { size, root: this.#own.root(this.#at), name: `${CHECKPOINTS_FILE}, note ${this.#at + 1}` };
  }

  pass(): void {
    if (this.#isSinceNext(this.#own.sizes[this.#at])) this.#isSincePast = true;
    else this.#at++;
  }

  #isSinceNext(size: number | undefined): boolean {
    return !this.#isSincePast && (size === undefined || this.#since!.size < size);
  }
}

/** Blocks in order, verified beside each other. */
async function* verifiedInOrder(blocks: readonly NamedBlock[], sizes: Float64Array, threads: number): AsyncGenerator<{ readonly block: NamedBlock; readonly verified: VerifiedBlock }> {
  if (threads < 2) {
    for (const block of blocks) yield { block, verified: verifyFileBlock(block, sizes) };
    return;
  }
  const workers = Array.from({ length: threads }, () => new Worker(new URL('./block-worker.ts', import.meta.url), { workerData: { sizes } }));
  try {
    // Each worker has its own share, every n-th block, and one block ahead of what is joined.
    const asked = blocks.slice(0, threads * 2).map((block, i) => ask(workers[i % threads]!, block));
    for (const [i, block] of blocks.entries()) {
      const verified = await asked.shift()!;
      const next = i + threads * 2;
      if (next < blocks.length) asked.push(ask(workers[next % threads]!, blocks[next]!));
      yield { block, verified };
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

const WAITING = new WeakMap<Worker, ((answer: { readonly block?: VerifiedBlock; readonly error?: Error }) => void)[]>();

/** A worker answers in the order in which it was asked. */
function ask(worker: Worker, block: Block): Promise<VerifiedBlock> {
  let waiting = WAITING.get(worker);
  if (waiting === undefined) {
    const queue: ((answer: { readonly block?: VerifiedBlock; readonly error?: Error }) => void)[] = [];
    WAITING.set(worker, (waiting = queue));
    worker.on('message', (answer: { readonly block?: VerifiedBlock; readonly error?: Error }) => queue.shift()!(answer));
    worker.on('error', (error: Error) => queue.splice(0).forEach((take) => take({ error })));
  }
  const { promise, resolve, reject } = Promise.withResolvers<VerifiedBlock>();
  waiting.push(({ block: verified, error }) => (verified === undefined ? reject(error) : resolve(verified)));
  promise.catch(() => undefined); // a block beyond the first damage is asked for and not awaited
  worker.postMessage({ path: block.path, from: block.from, to: block.to, size: block.size });
  return promise;
}

/** The keys of an entry that replaces one by another. */
export function rotationOf(index: number, line: string): ReturnType<typeof readRotation> {
  const { kind, note } = JSON.parse(line) as { readonly kind?: unknown; readonly note?: unknown };
  return kind === 'key_rotation' && typeof note === 'string' ? readRotation(note, index) : undefined;
}

function lossOf({ index, line }: Landmark): LogCheck['losses'] {
  const { kind, reason, count } = JSON.parse(line) as { readonly kind?: unknown; readonly reason?: unknown; readonly count?: unknown };
  return kind === 'loss_accepted' ? [{ index, reason: String(reason), count: Number(count) }] : [];
}

/** Checkpoints whose signatures are checked beside each other. */
const SIGNATURES_AT_ONCE = 256;

/** The first checkpoint that no key signed which could. */
async function signatureDamage(file: FileHandle | undefined, start: LogStart, checkpoints: CheckpointIndex, { keys: given, keepers = [] }: CheckOptions, landmarks: readonly Landmark[], since: SignedCheckpoint | undefined): Promise<Damage | undefined> {
  const earlier = start.rotations.map(({ index, note }) => ({ index, rotation: readRotation(note, index) }));
  const rotations = [...earlier, ...landmarks.map(({ index, line }) => ({ index, rotation: rotationOf(index, line) }))].flatMap(({ index, rotation }) => (rotation === undefined ? [] : [{ index, ...rotation }]));
  const keys = boundKeys(given, rotations);
  const startReason = startFault(start, [...keys.values()], keepers, checkpoints.newest?.origin);
  if (startReason !== undefined) return { segment: PRUNED_FILE, line: 1, index: start.first, reason: startReason };
  let number = 0;
  for await (const group of groupsOf(file, checkpoints)) {
    const faults = await Promise.all(group.map((checkpoint) => keyFault(checkpoint, keys, rotations)));
    const at = faults.findIndex((fault) => fault !== undefined);
    if (at !== -1) return noteDamage(number + at + 1, group[at]!.size, faults[at]!);
    number += group.length;
  }
  const fault = since && ((await keyFault(since, keys, rotations)) ?? (since.size < start.first ? `it covers ${since.size} entries, and those before entry ${start.first} were pruned, so the log cannot be held against it any more` : undefined));
  return fault === undefined ? undefined : { segment: 'the kept checkpoint', line: 0, index: since!.size, reason: fault };
}

/** Those of the index, read once more: it does not keep their signatures. */
async function* groupsOf(file: FileHandle | undefined, { bytes }: CheckpointIndex): AsyncGenerator<readonly SignedCheckpoint[]> {
  for await (const { checkpoints } of file === undefined ? [] : checkpointPieces(file, bytes)) {
    for (let from = 0; from < checkpoints.length; from += SIGNATURES_AT_ONCE) yield checkpoints.slice(from, from + SIGNATURES_AT_ONCE);
  }
}

type Rotation = { readonly index: number; readonly from: NoteKey; readonly to: NoteKey };

/** The given keys, and those that rotations bind to them. */
function boundKeys(given: readonly NoteKey[], rotations: readonly Rotation[]): ReadonlyMap<string, NoteKey> {
  const keys = new Map(given.map((key) => [key.text, key]));
  for (let before = -1; before < keys.size; ) {
    before = keys.size;
    for (const { from, to } of rotations) if (keys.has(from.text) || keys.has(to.text)) keys.set(from.text, from).set(to.text, to);
  }
  return keys;
}

async function keyFault(checkpoint: SignedCheckpoint, keys: ReadonlyMap<string, NoteKey>, rotations: readonly Rotation[]): Promise<string | undefined> {
  const candidates = [...keys.values()].filter(({ id }) => checkpoint.signatures.some((signature) => signature.id === id));
  if (candidates.length === 0) return `it is signed with ${checkpoint.signatures.map(({ name, id }) => `${name}+${id}`).join(', ')}, which is none of the keys that count`;
  const holds = await Promise.all(candidates.map((candidate) => isSignedByApart(checkpoint, candidate)));
  const key = candidates[holds.indexOf(true)];
  if (key === undefined) return 'its signature does not hold';
  const replaced = rotations.find(({ index, from }) => from.text === key.text && index < checkpoint.size);
  return replaced && `it is signed with ${key.name}+${key.id}, which entry ${replaced.index} replaced`;
}

function noteDamage(number: number, index: number, reason: string): Damage {
  return { segment: CHECKPOINTS_FILE, line: number, index, reason };
}
