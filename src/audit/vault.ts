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
import type { ContentCommitments, KeptTexts, NewContent } from '../contract/content.ts';
import { nameOf } from '../contract/names.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';
import { daysOf, DayWriter, destroyDay, destroyKeys, findSlot, isDayErased, listDays, readSealed, type DestroyedKeys } from './content-files.ts';
import { openMasterKey, type MasterKey, type MasterKeyPlace } from './content-key.ts';
import type { ErasureRecord } from './entry.ts';
import type { ErasureScope } from './erasure.ts';
import { commitmentOf, DATA_KEY_BYTES, digestOf, isErased, openTexts, sealTexts, unwrapKey, writeSlot, type Extent, type SlotPlace } from './sealed-content.ts';

export interface VaultOptions extends MasterKeyPlace {
  /** Resolves when the entry is on disk. */
  readonly audit: (record: ErasureRecord) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Sealed bytes that may wait for the disk; what comes beyond is not kept. Default 64 MiB. */
  readonly pendingBytesMax?: number;
}

/** Which text is read. `startedAt` as in its entry spares the search. */
export interface ContentPlace {
  readonly tenantId: string;
  readonly requestId: string;
  readonly startedAt?: string;
}

/** `absent`: nothing was kept. `damaged`: what lies there is not what was sealed. */
export type ReadContent = { readonly state: 'there'; readonly texts: KeptTexts } | { readonly state: 'erased' | 'absent' | 'damaged' };

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

export class ContentVault {
  readonly #options: VaultOptions;
  readonly #pendingBytesMax: number;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** What works on the files, one after the other. */
  #working: Promise<unknown> = Promise.resolve();
  #key: MasterKey | undefined;
  /** When a key was looked for in vain: nothing is sealed until there is one. */
  #keylessSinceMs: number | undefined;
  #isWell = true;

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
    this.#pending.push({ place: { tenantId, day: content.startedAt.slice(0, 10) }, content: { ...content, texts: {} }, key, sealed });
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
  async read({ tenantId, requestId, startedAt }: ContentPlace, direction: Direction): Promise<ReadContent> {
    await this.flush();
    const { dir } = this.#options;
    const days = startedAt === undefined ? [...(await listDays(dir, tenantId))].reverse() : [startedAt.slice(0, 10)];
    let isErasedWhole = false;
    for (const day of days) {
      const place = { tenantId, day };
      const found = await findSlot(dir, place, requestId);
      isErasedWhole ||= await isDayErased(dir, place);
      if (found === undefined) continue;
      if (isErased(found.bytes)) return { state: 'erased' };
      this.#key ??= await openMasterKey(this.#options, { make: false });
      const key = unwrapKey(found.bytes, this.#key.forTenant(tenantId), place);
      if (key === undefined) return { state: 'damaged' };
      const extent = found.slot.extents[direction];
      if (extent.bytes === 0) return { state: 'absent' };
      const sealed = await readSealed(dir, place, extent);
      const texts = sealed && openTexts(key, { tenantId, requestId, direction }, sealed);
      return texts === undefined ? { state: 'damaged' } : { state: 'there', texts };
    }
    return { state: isErasedWhole ? 'erased' : 'absent' };
  }

  /** Destroys keys, and when that is on disk appends the entry that says so. Needs no master key. */
  async erase(scope: ErasureScope, author: string): Promise<DestroyedKeys> {
    await this.flush();
    const done = await this.#inTurn(() => this.#destroy(scope));
    const { tenantId, before, requestId, sessionId } = scope;
    await this.#options.audit({ kind: 'erasure', author, tenant_id: tenantId, before, request_id: requestId && nameOf(requestId), session_id: sessionId && nameOf(sessionId), destroyed: done.destroyed, gone: done.gone });
    return done;
  }

  /** Erases the days that are older than their tenant keeps them, by number of days. What is of no such tenant stays. */
  async sweep(keepDays: ReadonlyMap<string, number>): Promise<void> {
    const firstKept = (tenantId: string): string => dayOf(this.#options.clock() - keepDays.get(tenantId)! * DAY_MS);
    const tenants = new Set((await daysOf(this.#options.dir)).filter(({ tenantId, day }) => keepDays.has(tenantId) && day < firstKept(tenantId)).map(({ tenantId }) => tenantId));
    for (const tenantId of tenants) await this.erase({ tenantId, before: firstKept(tenantId) }, 'retention');
  }

  async #destroy({ tenantId, before, requestId, sessionId }: ErasureScope): Promise<DestroyedKeys> {
    const { dir } = this.#options;
    const one = requestId === undefined ? undefined : digestOf(requestId);
    const session = sessionId === undefined ? undefined : digestOf(sessionId);
    const isWhole = one === undefined && session === undefined;
    let [destroyed, gone] = [0, 0];
    for (const day of await listDays(dir, tenantId, 'kept')) {
      if (before !== undefined && day >= before) continue;
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
        this.#tell(true, 'content is kept again');
      } catch (error) {
        this.#tell(false, `content cannot be written (${(error as NodeJS.ErrnoException).code ?? (error as Error).name})`);
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
    await writer.append(Buffer.concat(texts), Buffer.concat(slots));
  }

  async #writingKey(): Promise<MasterKey> {
    try {
      this.#key = await openMasterKey(this.#options, { make: true });
      this.#keylessSinceMs = undefined;
      return this.#key;
    } catch (error) {
      this.#keylessSinceMs = performance.now();
      this.#tell(false, `${(error as Error).message}; no content is kept without it`);
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

  #tell(healthy: boolean, detail: string): void {
    if (healthy === this.#isWell) return;
    this.#isWell = healthy;
    CHANNELS.healthChanged.publish({ part: 'content', healthy, detail });
  }
}

const DAY_MS = 86_400_000;

export function contentFolder(dataDir: string): string {
  return join(dataDir, 'content');
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
