/**
 * What travels when a log is shipped: a batch of entries and checkpoints, as they stand in the files, and the answer, which
 * says how much of the log is there. A batch says which signed checkpoint covers its entries, so nothing is taken on the
 * word of whoever sends it. Pure. Members are named as in JSON.
 */
import { readFleetErasure, type FleetErasure } from './erasure.ts';
import { HASH_SHAPE, type TreeNode } from './tree.ts';

export interface ShipBatch {
  /** Entries that the sender's log holds now. */
  readonly size: number;
  /** Index of the first entry of the batch, or of the next one where there is none. */
  readonly from: number;
  /** Index of the first entry of the segment that these are in. */
  readonly segment: number;
  /** Lines without their line ends. */
  readonly entries: readonly string[];
  /** Signed notes, oldest first. Where there are entries, the last covers them all; it may cover more. */
  readonly checkpoints: readonly string[];
  /** The subtrees of the entries that the last checkpoint covers and that are not sent yet. */
  readonly rest: readonly TreeNode[];
  /** The log's first public key, as notes write it; it counts where nothing is known of this log. */
  readonly key?: string;
  /** Of a sender whose erasures come this way. */
  readonly erased?: ErasureClaim;
}

/** How far a sender has carried erasures out. It counts where the entry is there that says so. */
export interface ErasureClaim {
  /** The newest that it carried out, 0 for none; absent: it has not heard of any. */
  readonly number?: number;
  readonly id?: string;
  /** Index of the entry in its log. */
  readonly entry?: number;
  /** Content is kept there already. */
  readonly kept: boolean;
}

/** Erasures that a sender is to carry out, which follow the one named. */
export interface ErasureNews {
  /** What the sender named, so that an old answer is not taken for that to another question; null: none. */
  readonly claimed: { readonly number: number; readonly id: string } | null;
  /** The one that it is to go on from: where it is another than the sender named, the sender's own counts no more. */
  readonly from: number;
  readonly id: string;
  readonly erasures: readonly FleetErasure[];
}

/** Erasures in one answer. */
export const NEWS_MAX = 20;

/** How much of a log is there. */
export interface ShipPosition {
  readonly entries: number;
  /** Of the last. */
  readonly hash: string;
  /** Entries that the newest checkpoint there covers; -1: there is none. */
  readonly signed: number;
}

/** Why a batch is not taken. */
export const SHIP_REFUSALS = {
  gap: { status: 409, meaning: 'entries before these are not there yet; the answer says which come next' },
  fork: { status: 409, meaning: 'other entries of this log are there already' },
  rolled_back: { status: 409, meaning: 'more entries of this log are there than the log holds' },
  altered: { status: 422, meaning: 'the entries or checkpoints do not hold' },
  wrong_key: { status: 403, meaning: 'the log is signed with another key than the one that is known' },
  wrong_log: { status: 403, meaning: 'the checkpoints are of another log' },
  too_many_logs: { status: 503, meaning: 'no further log is taken' },
  busy: { status: 429, meaning: 'other batches of this log wait' },
} as const satisfies Record<string, { status: number; meaning: string }>;

export type ShipRefusalCode = keyof typeof SHIP_REFUSALS;

export class ShipRefusal extends Error {
  readonly code: ShipRefusalCode;
  /** Of a gap: what is there. */
  readonly position: ShipPosition | undefined;

  constructor(code: ShipRefusalCode, message: string, position?: ShipPosition) {
    super(message);
    this.name = 'ShipRefusal';
    this.code = code;
    this.position = position;
  }
}

export const BATCH = { entriesMax: 1_000, checkpointsMax: 1_000, /** Of lines; one that is longer is sent alone. */ bytes: 256 * 1024, lineBytesMax: 1024 * 1024, bodyBytesMax: 4 * 1024 * 1024 } as const;

const ID_CHARS_MAX = 256;
/** More subtrees than this no rest has. */
const REST_MAX = 128;

/** Undefined when it is no batch. */
export function readBatch(value: unknown): ShipBatch | undefined {
  const { size, from, segment, entries, checkpoints, rest, key, erased } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof ShipBatch, unknown>>;
  if (!isCount(size) || !isCount(from) || !isCount(segment) || segment > from || (key !== undefined && typeof key !== 'string')) return undefined;
  if (!isListOf<string>(entries, BATCH.entriesMax, isText) || !isListOf<string>(checkpoints, BATCH.checkpointsMax + 1, isText) || !isListOf<TreeNode>(rest, REST_MAX, isNode)) return undefined;
  const claim = erased === undefined ? undefined : readClaim(erased);
  if (erased !== undefined && claim === undefined) return undefined;
  return { size, from, segment, entries, checkpoints, rest, ...(key === undefined ? {} : { key }), ...(claim === undefined ? {} : { erased: claim }) };
}

function readClaim(value: unknown): ErasureClaim | undefined {
  const { number, id, entry, kept } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof ErasureClaim, unknown>>;
  if (typeof kept !== 'boolean' || (number !== undefined && !isCount(number)) || (entry !== undefined && !isCount(entry)) || (id !== undefined && (typeof id !== 'string' || id.length > ID_CHARS_MAX))) return undefined;
  return { kept, ...(number === undefined ? {} : { number, id: id ?? '' }), ...(entry === undefined ? {} : { entry }) };
}

/** Of an answer; undefined: it brings none. */
export function readNews(value: unknown): ErasureNews | undefined {
  const { claimed = null, from, id, erasures } = ((value as { readonly erasures?: unknown } | undefined)?.erasures ?? {}) as Partial<Record<keyof ErasureNews, unknown>>;
  const { number: claimedNumber, id: claimedId } = (claimed ?? { number: 0, id: '' }) as Partial<NonNullable<ErasureNews['claimed']>>;
  if (!isCount(claimedNumber) || typeof claimedId !== 'string' || !isCount(from) || typeof id !== 'string' || !Array.isArray(erasures) || erasures.length > NEWS_MAX) return undefined;
  const read = erasures.map(readFleetErasure);
  return read.every((one) => one !== undefined) ? { claimed: claimed === null ? null : { number: claimedNumber, id: claimedId }, from, id, erasures: read } : undefined;
}

/** Undefined when it is none. */
export function readPosition(value: unknown): ShipPosition | undefined {
  const { entries, hash, signed } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof ShipPosition, unknown>>;
  if (!isCount(entries) || typeof hash !== 'string' || !HASH_SHAPE.test(hash) || !(signed === -1 || isCount(signed))) return undefined;
  return { entries, hash, signed };
}

function isListOf<Item>(value: unknown, countMax: number, isItem: (item: unknown) => boolean): value is readonly Item[] {
  return Array.isArray(value) && value.length <= countMax && value.every(isItem);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isNode(value: unknown): boolean {
  const { level, hash } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof TreeNode, unknown>>;
  return isCount(level) && level < 53 && typeof hash === 'string' && HASH_SHAPE.test(hash);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
