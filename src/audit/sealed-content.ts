/**
 * How content is sealed: AES-256-GCM under a key of the exchange alone, which lies wrapped under the tenant's key in a
 * slot of its own. Every sealed text is bound to its tenant, request and direction, every slot to its tenant and day and
 * to all that it says. So a changed byte, or a text in another's place, does not open; and a slot whose key is
 * overwritten has lost its texts for good, wherever they were copied. No I/O.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { ContentPurpose, KeptTexts } from '../contract/content.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';

/** Where a sealed text stands in the day's file; no bytes: there is none. */
export interface Extent {
  readonly offset: number;
  readonly bytes: number;
}

export interface Slot {
  /** Digests of the request's id and of its session's; all zero without a session. */
  readonly request: Buffer;
  readonly session: Buffer;
  readonly extents: Readonly<Record<Direction, Extent>>;
}

/** A day's content for a purpose lies in files of its own, which sort behind those of the day and before those of the next. */
export function dayNameOf(startedAt: string, purpose?: ContentPurpose): string {
  return `${startedAt.slice(0, 10)}${purpose === undefined ? '' : `+${purpose}`}`;
}

export const DATA_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const DIGEST_BYTES = 16;
const EXTENT_BYTES = 6 + 4;
/** What a slot says in clear; behind it stands the wrapped key. */
const HEAD_BYTES = 2 * DIGEST_BYTES + 2 * EXTENT_BYTES;
const WRAPPED_BYTES = NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES;
export const SLOT_BYTES = HEAD_BYTES + WRAPPED_BYTES;
/** What takes the place of a wrapped key, and where. */
export const NO_KEY: Buffer = Buffer.alloc(WRAPPED_BYTES);
export const KEY_OFFSET = HEAD_BYTES;

export function digestOf(id: string | undefined): Buffer {
  return id === undefined ? Buffer.alloc(DIGEST_BYTES) : createHash('sha256').update(id).digest().subarray(0, DIGEST_BYTES);
}

/** Nonce, ciphertext, tag. */
function seal(key: Buffer, bound: Buffer, plain: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(bound);
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined where it was not sealed with this key for this place. */
function unseal(key: Buffer, bound: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES }).setAAD(bound).setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** The text of one direction of one exchange. */
export interface TextPlace {
  readonly tenantId: string;
  readonly requestId: string;
  readonly direction: Direction;
}

function boundTo({ tenantId, requestId, direction }: TextPlace): Buffer {
  return Buffer.from(JSON.stringify(['weir content', tenantId, requestId, direction]));
}

export function sealTexts(key: Buffer, place: TextPlace, texts: KeptTexts): Buffer {
  return seal(key, boundTo(place), Buffer.from(JSON.stringify(texts)));
}

export function openTexts(key: Buffer, place: TextPlace, sealed: Buffer): KeptTexts | undefined {
  const plain = unseal(key, boundTo(place), sealed);
  return plain && (JSON.parse(plain.toString('utf8')) as KeptTexts);
}

/** What an entry of the log says of a sealed text; it tells nothing of the text. */
export function commitmentOf(sealed: Buffer): string {
  return createHash('sha256').update(sealed).digest('hex');
}

export function writeSlot(slot: Slot, dataKey: Buffer, tenantKey: Buffer, place: SlotPlace): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  slot.request.copy(head, 0);
  slot.session.copy(head, DIGEST_BYTES);
  for (const [i, direction] of DIRECTIONS.entries()) {
    const at = 2 * DIGEST_BYTES + i * EXTENT_BYTES;
    head.writeUIntBE(slot.extents[direction].offset, at, 6);
    head.writeUInt32BE(slot.extents[direction].bytes, at + 6);
  }
  return Buffer.concat([head, seal(tenantKey, slotBoundTo(place, head), dataKey)]);
}

/** Whose slot it is. */
export interface SlotPlace {
  readonly tenantId: string;
  /** `2030-01-31` */
  readonly day: string;
}

function slotBoundTo({ tenantId, day }: SlotPlace, head: Buffer): Buffer {
  return Buffer.concat([Buffer.from(JSON.stringify(['weir content key', tenantId, day])), head]);
}

export function readSlot(bytes: Buffer): Slot {
  const extent = (i: number): Extent => {
    const at = 2 * DIGEST_BYTES + i * EXTENT_BYTES;
    return { offset: bytes.readUIntBE(at, 6), bytes: bytes.readUInt32BE(at + 6) };
  };
  return {
    request: bytes.subarray(0, DIGEST_BYTES),
    session: bytes.subarray(DIGEST_BYTES, 2 * DIGEST_BYTES),
    extents: Object.fromEntries(DIRECTIONS.map((direction, i) => [direction, extent(i)])) as Record<Direction, Extent>,
  };
}

export function isErased(slot: Buffer): boolean {
  return slot.subarray(KEY_OFFSET).equals(NO_KEY);
}

/** The same slot, its key under another tenant's key. */
export function wrapAgain(slot: Buffer, dataKey: Buffer, tenantKey: Buffer, place: SlotPlace): Buffer {
  const head = slot.subarray(0, HEAD_BYTES);
  return Buffer.concat([head, seal(tenantKey, slotBoundTo(place, head), dataKey)]);
}

/** Undefined where the slot was changed, or is of another tenant, day or master key. */
export function unwrapKey(slot: Buffer, tenantKey: Buffer, place: SlotPlace): Buffer | undefined {
  return unseal(tenantKey, slotBoundTo(place, slot.subarray(0, HEAD_BYTES)), slot.subarray(KEY_OFFSET));
}
