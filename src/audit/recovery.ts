/**
 * What a log's folder holds when it is opened, brought into order: an unfinished last line and an unfinished last note
 * are what a crash leaves and are cut off; anything else that does not fit is damage, and the log does not open. Entries
 * after the newest checkpoint are written once more: a sync that failed may have left them in memory only. Verified are
 * the two newest segments and what the newest checkpoint says of the tree; `weir audit verify` reads everything.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { WeirError } from '../contract/errors.ts';
import { newestCheckpoint } from './checkpoint-file.ts';
import { isSignedBy, readNoteKeys, readRotation, type NoteKey, type SignedCheckpoint, type Signer } from './checkpoint.ts';
import { adoptNextKey, createSigner, dropNextKey, nextKeyFile, readSigner } from './key.ts';
import { keeperKeys, requireStart, type LogStart } from './pruned.ts';
import { beginOf, CHECKPOINTS_FILE, cutFile, EDGE_FILE, firstIndexOf, listSegments, prevOf, PUBLIC_KEYS_FILE, readIfThere, readSegment, replaceFile, segmentName, writeAt } from './segments.ts';
import { TreeEdge, type TreeNode } from './tree.ts';
import { EMPTY_HEAD, verifySegment, type Head } from './verify.ts';

export interface LogPlace {
  readonly dir: string;
  /** Who writes: `<cluster>/<instance>`. */
  readonly origin: string;
  /** Private key of the checkpoints; made when it is missing and nothing was signed yet. */
  readonly keyFile: string;
  /** Go on with the key in the file, or a new one, although another signed the log so far. */
  readonly acceptKey?: boolean;
}

export interface Recovered {
  readonly head: Head;
  /** Over all entries. */
  readonly edge: TreeEdge;
  /** The newest segment; absent before the first entry. */
  readonly segment?: string;
  /** Time of its first entry, in milliseconds since 1970. */
  readonly segmentBeganMs: number | undefined;
  /** Its whole lines. */
  readonly segmentBytes: number;
  readonly tornBytes: number;
  /** The newest. */
  readonly checkpoint?: SignedCheckpoint;
  readonly checkpointBytes: number;
  readonly signer: Signer;
}

/** What a copy of another log holds, whose key is not here. */
export interface RecoveredCopy extends Omit<Recovered, 'signer'> {
  /** Entries before it are not there. */
  readonly first: number;
  /** The tree as far as the newest checkpoint covers it, and the leaves after. */
  readonly signedEdge: TreeEdge;
  readonly unsigned: readonly string[];
  /** Whom the newest rotation among the entries after names. */
  readonly rotatedTo?: NoteKey;
}

/** Throws WeirError audit_unavailable when the log is damaged, or its key is not there. */
export async function recoverLog(place: LogPlace): Promise<Recovered> {
  const read = await readLog(place.dir, await knownKeys(place));
  const { tail, checkpoint } = read;
  const signer = await requireSigner(place, checkpoint, tail.signedBy);
  await mendLog(place.dir, read);
  return { ...recoveredOf(read), signer };
}

/** The same without a key: entries are written on by another log, and come from there. */
export async function recoverCopy(dir: string): Promise<RecoveredCopy> {
  const read = await readLog(dir, await publishedKeys(dir), await keeperKeys(dir));
  await mendLog(dir, read);
  const { signedEdge, unsigned, signedBy } = read.tail;
  return { ...recoveredOf(read), first: read.first, signedEdge, unsigned, ...(signedBy === undefined ? {} : { rotatedTo: signedBy }) };
}

interface ReadLog {
  readonly first: number;
  readonly segment: string | undefined;
  readonly tail: Tail;
  readonly checkpoint?: SignedCheckpoint;
  readonly checkpointBytes: number;
}

async function readLog(dir: string, keys: readonly NoteKey[], keepers?: readonly NoteKey[]): Promise<ReadLog> {
  const { checkpoint, checkpointBytes } = await recoverCheckpoints(dir);
  const start = await requireStart(dir, keys, keepers);
  const segments = await listSegments(dir, start.first); // what an unfinished pruning left is not looked at
  const cached = checkpoint && (await readEdge(dir, checkpoint.size));
  const tail = (await readTail(dir, segments, start, cached, checkpoint)) ?? (await readTail(dir, segments, start, undefined, checkpoint))!;
  return { first: start.first, segment: segments.at(-1), tail, checkpoint, checkpointBytes };
}

async function mendLog(dir: string, { segment, tail, checkpoint }: ReadLog): Promise<void> {
  if (segment !== undefined) await mendSegment(join(dir, segment), tail, checkpoint !== undefined && tail.head.index + 1 > checkpoint.size);
}

function recoveredOf({ segment, tail, checkpoint, checkpointBytes }: ReadLog): Omit<Recovered, 'signer'> {
  return { head: tail.head, edge: tail.edge, segment, segmentBeganMs: beginOf(tail.content), segmentBytes: tail.content.length - tail.tornBytes, tornBytes: tail.tornBytes, checkpoint, checkpointBytes };
}

/** The newest checkpoint. A note that a crash left unfinished is cut off. */
async function recoverCheckpoints(dir: string): Promise<{ readonly checkpoint?: SignedCheckpoint; readonly checkpointBytes: number }> {
  const newest = await newestCheckpoint(dir).catch((error: unknown) => {
    throw error instanceof RangeError ? damaged(error.message) : error;
  });
  if (newest.size > newest.end) await cutFile(join(dir, CHECKPOINTS_FILE), newest.end);
  return { checkpoint: newest.checkpoint, checkpointBytes: newest.end };
}

/** The tree as it was kept, when it is not newer than the checkpoint that it will be held against. */
async function readEdge(dir: string, sizeMax: number): Promise<TreeEdge | undefined> {
  const bytes = await readIfThere(join(dir, EDGE_FILE));
  try {
    const edge = new TreeEdge(0, JSON.parse(bytes!.toString('utf8')) as readonly TreeNode[]);
    return edge.size > 0 && edge.size <= sizeMax ? edge : undefined;
  } catch {
    return undefined;
  }
}

interface Tail {
  readonly head: Head;
  readonly edge: TreeEdge;
  /** Of the newest segment. */
  readonly content: Buffer;
  readonly tornBytes: number;
  /** Where in it the entries begin that no checkpoint covers. */
  readonly unsignedAt: number;
  /** Whom the newest rotation among those entries names. */
  readonly signedBy?: NoteKey;
  /** Over those that the newest checkpoint covers, and the leaves of the others. */
  readonly signedEdge: TreeEdge;
  readonly unsigned: readonly string[];
}

/** Reads on from the segment where `guess` ends, or from the start. Undefined when the guess does not lead to the checkpoint. */
async function readTail(dir: string, segments: readonly string[], { first, nodes }: LogStart, guess: TreeEdge | undefined, checkpoint: SignedCheckpoint | undefined): Promise<Tail | undefined> {
  if (segments[0] !== segmentName(first) && (first > 0 || segments.length > 0)) throw damaged(`the log begins at entry ${first}, and ${segmentName(first)} is not there`);
  const edge = guess ?? new TreeEdge(0, nodes);
  const signedSize = checkpoint?.size ?? 0;
  const from = Math.max(0, Math.min(segments.length - 2, segments.findLastIndex((name) => firstIndexOf(name) <= edge.size)));
  let [head, content, tornBytes, unsignedAt]: [Head | undefined, Buffer, number, number] = [from === 0 && first === 0 ? EMPTY_HEAD : undefined, Buffer.alloc(0), 0, 0];
  let signedBy: NoteKey | undefined;
  let signedEdge = edge.size === signedSize ? edge.copy() : undefined;
  const unsigned: string[] = [];
  for (const [i, name] of segments.slice(from).entries()) {
    content = await readSegment(dir, name);
    head ??= { index: firstIndexOf(name) - 1, hash: prevOf(content) };
    unsignedAt = head.index + 1 >= signedSize ? 0 : content.length;
    const report = verifySegment(name, content, head, (index, leaf, start, end) => {
      if (index === edge.size) edge.append(leaf);
      if (edge.size === signedSize && index < edge.size) signedEdge ??= edge.copy();
      if (index >= signedSize) unsigned.push(leaf);
      if (index === signedSize - 1) unsignedAt = end + 1;
      if (index >= signedSize) signedBy = rotatedTo(content, start, end, index) ?? signedBy;
    });
    if (report.damage !== undefined) throw damaged(`${name} line ${report.damage.line} (entry ${report.damage.index}): ${report.damage.reason}`);
    if (report.tornBytes > 0 && from + i < segments.length - 1) throw damaged(`${name} ends with an unfinished line and another segment follows`);
    ({ head, tornBytes } = report);
  }
  head ??= EMPTY_HEAD;
  if (head.index + 1 < signedSize) throw damaged(`the newest checkpoint is of ${signedSize} entries, and the files hold ${head.index + 1}`);
  if (checkpoint !== undefined && signedEdge?.root() !== checkpoint.root) {
    if (guess !== undefined) return undefined;
    throw damaged(`the first ${signedSize} entries are not those that the newest checkpoint was signed for`);
  }
  return { head, edge, signedEdge: signedEdge ?? new TreeEdge(), unsigned, content, tornBytes, unsignedAt: Math.min(unsignedAt, content.length - tornBytes), signedBy };
}

function rotatedTo(content: Buffer, start: number, end: number, index: number): NoteKey | undefined {
  const line = content.toString('utf8', start, end);
  if (!line.includes('"kind":"key_rotation"')) return undefined;
  const { kind, note } = JSON.parse(line) as { readonly kind?: unknown; readonly note?: unknown };
  return kind === 'key_rotation' && typeof note === 'string' ? readRotation(note, index)?.to : undefined;
}

/** Cuts the unfinished line off, and writes what no checkpoint covers again where it stands. */
async function mendSegment(path: string, { content, tornBytes, unsignedAt }: Tail, isUnsigned: boolean): Promise<void> {
  if (tornBytes === 0 && !isUnsigned) return;
  const end = content.length - tornBytes;
  const file = await open(path, 'r+');
  try {
    if (tornBytes > 0) await file.truncate(end);
    if (isUnsigned) await writeAt(file, content.subarray(unsignedAt, end), unsignedAt);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** The key that the log says signs now, and its public half beside the log. */
async function requireSigner({ dir, keyFile, origin, acceptKey = false }: LogPlace, checkpoint: SignedCheckpoint | undefined, rotatedTo: NoteKey | undefined): Promise<Signer> {
  const [own, next] = [await readSigner(keyFile, origin), await readSigner(nextKeyFile(keyFile), origin)];
  const known = [...(await publishedKeys(dir)), own?.public, next?.public].filter((key) => key !== undefined);
  const expected = rotatedTo ?? known.findLast((key) => checkpoint !== undefined && isSignedBy(checkpoint, key));
  const isNext = next !== undefined && next.public.text === expected?.text;
  if (next !== undefined) await (isNext ? adoptNextKey(keyFile) : dropNextKey(keyFile));
  const found = isNext ? next : own;
  if (checkpoint !== undefined && !acceptKey && (found === undefined || found.public.text !== expected?.text)) throw wrongKey(keyFile, found, checkpoint);
  const signer = found ?? (await createSigner(keyFile, origin));
  await publishKey(dir, signer.public);
  return signer;
}

function wrongKey(keyFile: string, found: Signer | undefined, { signatures: [signature] }: SignedCheckpoint): WeirError {
  const key = found === undefined ? 'is missing' : `is ${found.public.name}+${found.public.id}`;
  return new WeirError('audit_unavailable', `the key ${keyFile} ${key}, and the audit log was signed with ${signature!.name}+${signature!.id}; put that one back, or accept its loss with weir audit accept-loss --key-lost`);
}

/** Published ones, and the own. */
async function knownKeys({ dir, keyFile, origin }: LogPlace): Promise<readonly NoteKey[]> {
  const own = await readSigner(keyFile, origin).catch(() => undefined); // what is wrong with it is told when it has to sign
  return [...(await publishedKeys(dir)), ...(own === undefined ? [] : [own.public])];
}

export async function publishedKeys(dir: string): Promise<readonly NoteKey[]> {
  return readNoteKeys((await readIfThere(join(dir, PUBLIC_KEYS_FILE)))?.toString('utf8') ?? '');
}

/** Public, so that whoever checks the log needs nothing else; a checker who must not trust this folder brings a copy. */
export async function publishKey(dir: string, key: NoteKey): Promise<void> {
  const keys = (await publishedKeys(dir)).map(({ text }) => text);
  if (!keys.includes(key.text)) await replaceFile(join(dir, PUBLIC_KEYS_FILE), [...keys, key.text, ''].join('\n'), 0o644);
}

function damaged(place: string): WeirError {
  return new WeirError('audit_unavailable', `the audit log is damaged: ${place}; weir audit accept-loss goes on without what is lost`);
}
