/**
 * Content beside the log: texts of exchanges whose tenant asks for it, sealed, each under a key of its own, and erased by
 * destroying keys. The closing entry holds the SHA-256 of what was sealed, so the log verifies without the vault, and the
 * vault can be held against the log.
 *
 * `put` seals and returns; files are written within a quarter of a second, and nobody waits for them. What cannot be
 * kept is counted and told, and costs no decision. A crash may cost what was not written; its entry stands.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CHANNELS } from '../contract/channels.ts';
import type { ContentCommitments, ContentPurpose, KeptTexts, NewContent, SealedCopy } from '../contract/content.ts';
import { PartHealth } from '../contract/part-health.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';
import { daysOf, DayWriter, destroyDay, destroyKeys, findSlots, isDayErased, listDays, readSealed, readSlotAt, type DestroyedKeys, type FoundSlot } from './content-files.ts';
import { ContentKeyError, openMasterKey, sealedWith, type MasterKey, type MasterKeyPlace } from './content-key.ts';
import type { ErasureRecord } from './entry.ts';
import { orderOf, type ErasureOrder, type ErasureScope } from './erasure.ts';
import { commitmentOf, DATA_KEY_BYTES, dayNameOf, digestOf, isErased, openTexts, sealTexts, unwrapKey, writeSlot, type Extent, type SlotPlace } from './sealed-content.ts';
import { isGone, joined, newestBySession, ONE_KEY, openCopy } from './sealed-copy.ts';

export interface VaultOptions extends MasterKeyPlace {
  /** Resolves when the entry is on disk, with its index where that is known. */
  readonly audit: (record: ErasureRecord) => Promise<number | void>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Sealed bytes that may wait for the disk; what comes beyond is not kept. Default 64 MiB. */
  readonly pendingBytesMax?: number;
}

/** Which text is read. `startedAt` as in its entry spares the search. */
export interface ContentPlace {
  readonly tenantId: string;
  readonly requestId: string;
  readonly startedAt?: string | undefined;
  readonly purpose?: ContentPurpose | undefined;
}

/** `absent`: nothing was kept. `damaged`: what lies there is not what was sealed. `locked`: for whoever has the master key; `detail` says which, and no key. */
export type ReadContent = { readonly state: 'there'; readonly texts: KeptTexts } | { readonly state: 'locked'; readonly detail: string } | { readonly state: 'erased' | 'absent' | 'damaged' };

interface Pending {
  readonly place: SlotPlace;
  readonly content: NewContent;
  readonly key: Buffer;
  readonly sealed: Partial<Record<Direction, Buffer>>;
}

const WRITE_DELAY_MS = 250;
/** Exchanges that are wrapped and written at once; in between the event loop is free for others. */
const GROUP = 64;
/** After a key was looked for in vain, until it is looked for again. */
const KEY_RETRY_MS = 5_000;
/** Exchanges of which it is remembered where they lie. */
const RECENT_MAX = 4_096;

export class ContentVault {
  readonly #options: VaultOptions;
  readonly #pendingBytesMax: number;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What works on the files, one after the other. */
  #working: Promise<unknown> = Promise.resolve();
  /** Slots of the newest exchanges, since whoever asks for one of them soon need not look through a day. */
  readonly #recent = new Map<string, { readonly place: SlotPlace; readonly index: number }[]>();
  #key: MasterKey | undefined;
  /** When a key was looked for in vain: nothing is sealed until there is one. */
  #keylessSinceMs: number | undefined;
  readonly #health = new PartHealth('content');

  constructor(options: VaultOptions) {
    this.#options = options;
    this.#pendingBytesMax = options.pendingBytesMax ?? 64 * 1024 * 1024;
  }

  /** Makes sure of the key, so that a fault is told before there is content; never throws. */
  async prepare(): Promise<void> {
    await this.#writingKey().catch(() => undefined);
  }

  /** Seals; undefined where there is nothing to keep, or it cannot be kept. */
  put(content: NewContent): ContentCommitments | undefined {
    const directions = DIRECTIONS.filter((direction) => (content.texts[direction]?.texts.length ?? 0) > 0);
    if (directions.length === 0) return undefined;
    if (this.#keylessSinceMs !== undefined) return void this.#loseForKey(this.#keylessSinceMs);
    if (this.#pendingBytes >= this.#pendingBytesMax) return void this.#lose(1, 'overflow');
    const { tenantId, requestId } = content;
    const key = randomBytes(DATA_KEY_BYTES);
    const sealed: Partial<Record<Direction, Buffer>> = {};
    const commitments: Partial<Record<Direction, string>> = {};
    for (const direction of directions) {
      const bytes = sealed[direction] = sealTexts(key, { tenantId, requestId, direction }, content.texts[direction]!);
      commitments[direction] = commitmentOf(bytes);
      this.#pendingBytes += bytes.length;
    }
    this.#pending.push({ place: { tenantId, day: dayNameOf(content.startedAt, content.purpose) }, content: { ...content, texts: {} }, key, sealed });
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_DELAY_MS);
    return commitments;
  }

  /** Resolves when what was put before is on disk, or lost. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    return this.#inTurn(() => this.#write());
  }

  async close(): Promise<void> {
    await this.flush();
  }

  /** Throws ContentKeyError where the master key is not there. */
  async read({ tenantId, requestId, startedAt, purpose }: ContentPlace, direction: Direction): Promise<ReadContent> {
    await this.flush();
    const { dir } = this.#options;
    const days = startedAt === undefined ? [...(await listDays(dir, tenantId))].filter((day) => isFor(day, purpose)).reverse() : [dayNameOf(startedAt, purpose)];
    let isErasedWhole = false;
    for (const day of days) {
      const place = { tenantId, day };
      const found = await findSlots(dir, place, requestId);
      isErasedWhole ||= await isDayErased(dir, place);
      if (found.length === 0) continue;
      return joined(await Promise.all(newestBySession(found, direction).map((slot) => this.#open(slot, place, requestId, direction))));
    }
    return { state: isErasedWhole ? 'erased' : 'absent' };
  }

  /** As it lies here, for elsewhere; none where nothing is kept, or it is erased. Needs no master key. */
  async sealed({ tenantId, requestId, startedAt, purpose }: ContentPlace, direction: Direction): Promise<readonly SealedCopy[]> {
    await (this.#pending.some(({ content }) => content.requestId === requestId) ? this.flush() : this.#working);
    const { dir } = this.#options;
    const keyId = await sealedWith(dir);
    const { place, found } = (await this.#lately(tenantId, requestId, purpose)) ?? (await this.#search(tenantId, requestId, startedAt, purpose));
    const copies = newestBySession(found, direction).filter(({ bytes, slot }) => !isErased(bytes) && slot.extents[direction].bytes > 0).map(async ({ bytes, slot }) => {
      const sealed = await readSealed(dir, place, slot.extents[direction]);
      return keyId === undefined || sealed === undefined ? [] : [{ day: place.day, request: slot.request.toString('hex'), session: slot.session.toString('hex'), keyId, slot: bytes, sealed }];
    });
    return (await Promise.all(copies)).flat();
  }

  /** What `sealed` gave, here or in another process, at least one. Throws ContentKeyError where this process has no master key, or another. */
  async open(copies: readonly SealedCopy[], of: ContentPlace, direction: Direction): Promise<ReadContent> {
    if (copies.every(({ slot }) => isGone(slot))) return { state: 'erased' };
    const key = this.#key ??= await openMasterKey(this.#options, { make: false }).catch((error: unknown) => {
      throw error instanceof ContentKeyError ? new ContentKeyError(`${error.message}; ${ONE_KEY}`) : error;
    });
    return joined(copies.map((copy) => openCopy(copy, key, of, direction)));
  }

  async #lately(tenantId: string, requestId: string, purpose: ContentPurpose | undefined): Promise<{ readonly place: SlotPlace; readonly found: readonly FoundSlot[] } | undefined> {
    const places = (this.#recent.get(requestId) ?? []).filter(({ place: { day } }) => isFor(day, purpose));
    const found = (await Promise.all(places.map(({ place, index }) => readSlotAt(this.#options.dir, place, index, requestId)))).filter((one) => one !== undefined);
    const place = places.at(-1)?.place;
    return place?.tenantId === tenantId && found.length > 0 && found.length === places.length ? { place, found } : undefined;
  }

  async #search(tenantId: string, requestId: string, startedAt: string | undefined, purpose: ContentPurpose | undefined): Promise<{ readonly place: SlotPlace; readonly found: readonly FoundSlot[] }> {
    const { dir } = this.#options;
    for (const day of startedAt === undefined ? [...(await listDays(dir, tenantId, 'kept'))].filter((day) => isFor(day, purpose)).reverse() : [dayNameOf(startedAt, purpose)]) {
      const found = await findSlots(dir, { tenantId, day }, requestId);
      if (found.length > 0) return { place: { tenantId, day }, found };
    }
    return { place: { tenantId, day: '' }, found: [] };
  }

  #noteRecent(group: readonly Pending[], first: number): void {
    for (const [i, { place, content: { requestId } }] of group.entries()) {
      const known = this.#recent.get(requestId) ?? [];
      this.#recent.delete(requestId);
      this.#recent.set(requestId, [...known, { place, index: first + i }]);
    }
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= RECENT_MAX) return;
      this.#recent.delete(oldest);
    }
  }

  async #open({ bytes, slot }: FoundSlot, place: SlotPlace, requestId: string, direction: Direction): Promise<ReadContent> {
    const { tenantId } = place;
    if (isErased(bytes)) return { state: 'erased' };
    this.#key ??= await openMasterKey(this.#options, { make: false });
    const key = unwrapKey(bytes, this.#key.forTenant(tenantId), place);
    if (key === undefined) return { state: 'damaged' };
    const extent = slot.extents[direction];
    if (extent.bytes === 0) return { state: 'absent' };
    const sealed = await readSealed(this.#options.dir, place, extent);
    const texts = sealed && openTexts(key, { tenantId, requestId, direction }, sealed);
    return texts === undefined ? { state: 'damaged' } : { state: 'there', texts };
  }

  /** Destroys keys, and when that is on disk appends the entry that says so. Needs no master key. */
  async erase(scope: ErasureScope, author: string): Promise<DestroyedKeys> {
    const { destroyed, gone } = await this.carryOut(orderOf(scope, author));
    return { destroyed, gone };
  }

  /** The same of an order; `erasureId`: of one of the fleet. Also gives the index of the entry, where it is known. */
  async carryOut(order: ErasureOrder, erasureId?: string, isMeant: (day: string) => boolean = () => true): Promise<DestroyedKeys & { readonly entry: number | undefined }> {
    await this.flush();
    const { destroyed, gone } = await this.#inTurn(() => this.#destroy(order, isMeant));
    const { author, tenant_id, before, request, session } = order;
    const entry = await this.#options.audit({ kind: 'erasure', author, tenant_id, before: before ?? undefined, request_id: request?.name, session_id: session?.name, erasure_id: erasureId, destroyed, gone });
    return { destroyed, gone, entry: entry ?? undefined };
  }

  /** Erases the days of that purpose that are older than their tenant keeps them, by number of days; below 0: all of them, since the tenant keeps none any more. What is of no such tenant stays. */
  async sweep(keepDays: ReadonlyMap<string, number>, purpose?: ContentPurpose): Promise<void> {
    const firstKept = (tenantId: string): string => dayOf(this.#options.clock() - keepDays.get(tenantId)! * DAY_MS);
    const tenants = new Set((await daysOf(this.#options.dir)).filter(({ tenantId, day }) => keepDays.has(tenantId) && isFor(day, purpose) && day < firstKept(tenantId)).map(({ tenantId }) => tenantId));
    for (const tenantId of tenants) await this.carryOut(orderOf({ tenantId, before: firstKept(tenantId) }, purpose === undefined ? 'retention' : keepDays.get(tenantId)! < 0 ? `withdrawal from ${purpose}` : `retention of ${purpose}`), undefined, (day) => isFor(day, purpose));
  }

  async #destroy({ tenant_id: tenantId, before, request: wanted, session: wantedSession }: ErasureOrder, isMeant: (day: string) => boolean): Promise<DestroyedKeys> {
    const { dir } = this.#options;
    const [one, session] = [wanted, wantedSession].map((name) => (name === null ? undefined : Buffer.from(name.digest, 'hex')));
    const isWhole = one === undefined && session === undefined;
    let [destroyed, gone] = [0, 0];
    for (const day of await listDays(dir, tenantId, 'kept')) {
      if ((before !== null && day >= before) || !isMeant(day)) continue;
      const place = { tenantId, day };
      const done = isWhole ? await destroyDay(dir, place) : await destroyKeys(dir, place, (slot) => (one === undefined || slot.request.equals(one)) && (session === undefined || slot.session.equals(session)));
      destroyed += done.destroyed;
      gone += done.gone;
    }
    return { destroyed, gone };
  }

  async #write(): Promise<void> {
    const batch = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (batch.length === 0) return;
    const key = await this.#writingKey().catch(() => undefined);
    if (key === undefined) return this.#lose(batch.length, 'key');
    for (const day of Map.groupBy(batch, ({ place }) => `${place.tenantId}/${place.day}`).values()) {
      try {
        await this.#writeDay(day, key);
        this.#health.well(() => 'content is kept again');
      } catch (error) {
        this.#health.ill(`content cannot be written (${(error as NodeJS.ErrnoException).code ?? (error as Error).name})`);
        this.#lose(day.length, 'write');
      }
    }
  }

  async #writeDay(batch: readonly Pending[], master: MasterKey): Promise<void> {
    const writer = await DayWriter.open(this.#options.dir, batch[0]!.place);
    try {
      for (let at = 0; at < batch.length; at += GROUP) await this.#writeGroup(batch.slice(at, at + GROUP), writer, master);
    } finally {
      await writer.close();
    }
  }

  async #writeGroup(group: readonly Pending[], writer: DayWriter, master: MasterKey): Promise<void> {
    let offset = writer.end;
    const texts: Buffer[] = [];
    const place = (sealed: Buffer | undefined): Extent => {
      if (sealed === undefined) return { offset: 0, bytes: 0 };
      texts.push(sealed);
      offset += sealed.length;
      return { offset: offset - sealed.length, bytes: sealed.length };
    };
    const slots = group.map(({ place: day, content: { requestId, sessionId }, key, sealed: { input, output } }) => {
      const slot = writeSlot({ request: digestOf(requestId), session: digestOf(sessionId), extents: { input: place(input), output: place(output) } }, key, master.forTenant(day.tenantId), day);
      key.fill(0);
      return slot;
    });
    const first = writer.slots;
    await writer.append(Buffer.concat(texts), Buffer.concat(slots));
    this.#noteRecent(group, first);
  }

  async #writingKey(): Promise<MasterKey> {
    try {
      this.#key = await openMasterKey(this.#options, { make: true });
      this.#keylessSinceMs = undefined;
      return this.#key;
    } catch (error) {
      this.#keylessSinceMs = performance.now();
      this.#health.ill(`${(error as Error).message}; no content is kept without it`);
      throw error;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }

  #loseForKey(sinceMs: number): void {
    this.#lose(1, 'key');
    if (performance.now() - sinceMs < KEY_RETRY_MS) return;
    this.#keylessSinceMs = performance.now();
    void this.prepare();
  }

  #lose(count: number, reason: 'key' | 'overflow' | 'write'): void {
    CHANNELS.contentLost.publish({ count, reason });
  }
}

const DAY_MS = 86_400_000;

function isFor(day: string, purpose: ContentPurpose | undefined): boolean {
  return day === dayNameOf(day, purpose);
}

export function contentFolder(dataDir: string): string {
  return join(dataDir, 'content');
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
