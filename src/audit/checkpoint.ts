/**
 * Checkpoints of the audit log: "the first N entries have this root", signed. The text is that of C2SP tlog-checkpoint,
 * the envelope its signed note with Ed25519 signatures, so that other verifiers read them too. Pure: keys are given, and
 * files are elsewhere. A note says what its key's holder claims; whether the log fits is for the verifier.
 */
import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';
import { HASH_SHAPE, type SizedRoot } from './tree.ts';

export interface Checkpoint extends SizedRoot {
  /** The log's name. */
  readonly origin: string;
}

/** A public key as signed notes write it: `name+id+base64`. */
export interface NoteKey {
  readonly name: string;
  /** 8 hex digits, of name and key. */
  readonly id: string;
  readonly text: string;
  readonly key: KeyObject;
}

export interface Signer {
  readonly public: NoteKey;
  readonly private: KeyObject;
}

export interface NoteSignature {
  readonly name: string;
  readonly id: string;
  readonly signature: Buffer;
}

export interface Note {
  /** With its last line end. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface SignedCheckpoint extends Checkpoint {
  /** As it stands in the file. */
  readonly note: string;
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** The algorithm's number in signed notes. */
const ED25519 = Buffer.from([1]);
const SIGNATURES_BEGIN = '\n\n\u2014 ';
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;

export function noteKey(name: string, raw: Buffer): NoteKey {
  const typed = Buffer.concat([ED25519, raw]);
  const id = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'hex').slice(0, 8);
  return { name, id, text: `${name}+${id}+${typed.toString('base64')}`, key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' }) };
}

/** Undefined when it is no Ed25519 key in the form of notes. */
export function readNoteKey(text: string): NoteKey | undefined {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text.trim()) ?? [];
  const typed = Buffer.from(encoded ?? '', 'base64');
  if (name === undefined || typed.length !== 33 || typed[0] !== ED25519[0]) return undefined;
  const key = noteKey(name, typed.subarray(1));
  return key.id === id ? key : undefined;
}

/** One to a line; lines that are none are left out. */
export function readNoteKeys(text: string): readonly NoteKey[] {
  return text.split('\n').map(readNoteKey).filter((key) => key !== undefined);
}

/** What a name of a log or key may not hold is replaced. */
export function noteName(name: string): string {
  return name.replaceAll(/[\s+\p{Cc}]/gu, '-');
}

export function signNote(text: string, signers: readonly Signer[]): string {
  const lines = signers.map((signer) => {
    const signature = Buffer.concat([Buffer.from(signer.public.id, 'hex'), sign(null, Buffer.from(text), signer.private)]);
    return `\u2014 ${signer.public.name} ${signature.toString('base64')}\n`;
  });
  return `${text}\n${lines.join('')}`;
}

/** Undefined when it is no signed note. */
export function readNote(note: string): Note | undefined {
  const cut = note.lastIndexOf('\n\n');
  if (cut === -1 || !note.endsWith('\n')) return undefined;
  const signatures = note.slice(cut + 2, -1).split('\n').map(readSignature);
  return signatures.every((signature) => signature !== undefined) ? { text: note.slice(0, cut + 1), signatures } : undefined;
}

function readSignature(line: string): NoteSignature | undefined {
  const [, name, encoded] = SIGNATURE_LINE.exec(line) ?? [];
  const bytes = Buffer.from(encoded ?? '', 'base64');
  return name === undefined || bytes.length < 5 || bytes.toString('base64') !== encoded ? undefined : { name, id: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) };
}

export function isSignedBy({ text, signatures }: Note, key: NoteKey): boolean {
  return signatures.some(({ name, id, signature }) => name === key.name && id === key.id && verify(null, Buffer.from(text), key.key, signature));
}

/** The same, on the threads that Node keeps for such work: a log has a checkpoint for every second of it. */
export async function isSignedByApart({ text, signatures }: Note, key: NoteKey): Promise<boolean> {
  const own = signatures.filter(({ name, id }) => name === key.name && id === key.id);
  const holds = await Promise.all(own.map(({ signature }) => new Promise((resolve, reject) => verify(null, Buffer.from(text), key.key, signature, (error, result) => (error === null ? resolve(result) : reject(error))))));
  return holds.includes(true);
}

export function signCheckpoint({ origin, size, root }: Checkpoint, signer: Signer): string {
  return signNote(`${origin}\n${size}\n${Buffer.from(root, 'hex').toString('base64')}\n`, [signer]);
}

/** Undefined when it is no checkpoint. Its signatures are not looked at. */
export function readCheckpoint(note: string): SignedCheckpoint | undefined {
  const read = readNote(note);
  const [origin, count, encoded] = read?.text.split('\n') ?? [];
  const root = Buffer.from(encoded ?? '', 'base64').toString('hex');
  if (read === undefined || !origin || !/^(?:0|[1-9]\d{0,15})$/.test(count ?? '') || !HASH_SHAPE.test(root)) return undefined;
  return { origin, size: Number(count), root, note, text: read.text, signatures: read.signatures };
}

export interface CheckpointFile {
  readonly checkpoints: readonly SignedCheckpoint[];
  /** Bytes of an unfinished note at the end. */
  readonly tornBytes: number;
  /** Number of the note that is none, from 1. */
  readonly faultAt?: number;
}

/** The notes of a file, each followed by an empty line. */
export function readCheckpoints(bytes: Buffer): CheckpointFile {
  const checkpoints: SignedCheckpoint[] = [];
  let at = 0;
  for (;;) {
    const signatures = bytes.indexOf('\n\n', at);
    const end = signatures === -1 ? -1 : bytes.indexOf('\n\n', signatures + 2);
    if (end === -1) return isBegun(bytes.toString('latin1', at)) ? { checkpoints, tornBytes: bytes.length - at } : { checkpoints, tornBytes: 0, faultAt: checkpoints.length + 1 };
    const checkpoint = readCheckpoint(bytes.toString('utf8', at, end + 1));
    if (checkpoint === undefined) return { checkpoints, tornBytes: 0, faultAt: checkpoints.length + 1 };
    checkpoints.push(checkpoint);
    at = end + 2;
  }
}

/** Where in bytes from the middle of a file the first note begins; -1: in none of them. */
export function firstNoteAt(bytes: Buffer): number {
  const signatures = bytes.indexOf(SIGNATURES_BEGIN);
  const end = signatures === -1 ? -1 : bytes.indexOf('\n\n', signatures + 2);
  return end === -1 ? -1 : end + 2;
}

/** What a crash leaves of a note is its beginning: three lines, then an empty one. */
function isBegun(rest: string): boolean {
  const [, , , fourth = ''] = rest.split('\n', 4);
  return fourth === '';
}

/** What a rotation entry says: from entry `index` of the log on, the second key signs in place of the first. Signed with both. */
export function rotationText(origin: string, index: number, from: NoteKey, to: NoteKey): string {
  return `weir audit key rotation\n${origin}\n${index}\n${from.text}\n${to.text}\n`;
}

/** The two keys, when the note is about entry `index` and both have signed it. */
export function readRotation(note: string, index: number): { readonly from: NoteKey; readonly to: NoteKey } | undefined {
  const read = readNote(note);
  const [title, origin, at, first, second] = read?.text.split('\n') ?? [];
  const [from, to] = [readNoteKey(first ?? ''), readNoteKey(second ?? '')];
  if (read === undefined || origin === undefined || title !== 'weir audit key rotation' || at !== String(index) || from === undefined || to === undefined) return undefined;
  return isSignedBy(read, from) && isSignedBy(read, to) ? { from, to } : undefined;
}
