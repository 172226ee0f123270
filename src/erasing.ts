/**
 * Erasures of kept content across a fleet. What is asked for anywhere is put into the store, and every process carries it
 * out in its own files, in the order of the numbers: those with the store look there each second, those without are told
 * in the answers to what they ship. Each carrying-out is an entry of that process's log, and with it a confirmation: of a
 * process without the store it counts once that entry is in the copy of its log, which the log has signed.
 *
 * Guarantees: none is left out, whoever was away meanwhile; one that is carried out again after a crash destroys nothing
 * but what it names; content is shown only by who has carried out all that the store holds. Nothing of traffic waits for it.
 */
import { randomUUID } from 'node:crypto';
import { orderOf, type ErasureOrder, type ErasureScope, type FleetErasure } from './audit/erasure.ts';
import { hasContent, NO_ERASURE, readErasureState, writeErasureState, type ErasureMark, type ErasureState } from './audit/erasure-cursor.ts';
import type { DestroyedKeys } from './audit/content-files.ts';
import type { AuditEntry } from './audit/entries.ts';
import { NEWS_MAX, type ErasureClaim, type ErasureNews } from './audit/shipment.ts';
import type { ContentVault } from './audit/vault.ts';
import type { KeeperGoneRecord } from './audit/entry.ts';
import { WeirError } from './contract/errors.ts';
import { PartHealth } from './contract/part-health.ts';
import type { ErasureKeeper, ErasureStore, StoredErasure } from './store/erasures.ts';

export interface ErasingOptions {
  readonly vault: ContentVault;
  /** Its folder. */
  readonly dir: string;
  /** Named with what it confirmed. */
  readonly origin: string;
  /** Absent where the store is that of another process. */
  readonly store?: ErasureStore | undefined;
  /** Writes an entry of the log, on disk when it resolves; absent: nobody is said to be gone here. */
  readonly record?: (record: KeeperGoneRecord) => Promise<void>;
  /** Content is kept as it is configured now. */
  readonly keeps: () => boolean;
  /** The newest entries of the copy of a log that is shipped here, from before an index on. */
  readonly copied?: (log: string, before: number) => Promise<AsyncIterable<AuditEntry> | undefined>;
  readonly now?: () => Date;
  /** Between two looks. */
  readonly lookMs?: number;
}

/** An erasure with who carried it out and who did not. */
export interface ErasureStanding extends Omit<StoredErasure, 'tenant_id'> {
  readonly confirmed: readonly Keeper[];
  readonly waiting: readonly Keeper[];
  /** Who had not when an operator said that it is gone with what it kept. */
  readonly gone: readonly Keeper[];
}

/** What came of saying that a keeper is gone: `alive`, it was seen just now. */
export type Parting = 'gone' | 'unknown' | 'alive';

type Keeper = Pick<ErasureKeeper, 'keeper' | 'origin' | 'seen_at'>;

export interface ErasureResult extends DestroyedKeys {
  /** Absent where there is no store, and it was carried out here alone. */
  readonly number?: number;
}

const LOOK_MS = 1_000;
/** How long a start waits for the first look. */
const START_MS = 2_500;
/** A keeper is said to have been seen this often. */
const SEEN_MS = 60_000;
/** Who was not seen for so long may be said to be gone. */
export const GONE_AFTER_MS = 10 * SEEN_MS;
/** Erasures that are listed, the newest. */
const LISTED_MAX = 100;
/** Read at once. */
const ROWS_MAX = 100;

export class Erasing {
  readonly #options: ErasingOptions;
  readonly #now: () => Date;
  readonly #health = new PartHealth('erasures');
  #state: ErasureState | undefined;
  /** What changes the state, one after the other. */
  #working: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Of the store, at the last look; `NaN`: there was none. */
  #head = Number.NaN;
  #seenMs = -Infinity;
  /** What the store was last told. */
  #confirmed = -1;
  /** What was carried out for who waits for it, by number. */
  readonly #wanted = new Map<number, DestroyedKeys | undefined>();
  /** Logs that are shipped here: what they claimed last that was found to be so, and when the store heard of it. */
  readonly #claimed = new Map<string, { readonly number: number; readonly id: string; readonly seenMs: number }>();

  constructor(options: ErasingOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  /** Resolves when all that was asked for is carried out here, or the store does not answer. `once`: for one erasure, without looking for others by itself. */
  async start({ once = false } = {}): Promise<void> {
    this.#state = await readErasureState(this.#options.dir);
    if (this.#options.store === undefined) return;
    const late = new Promise<void>((resolve) => void setTimeout(resolve, START_MS).unref());
    if (once) return;
    await Promise.race([this.#look().catch(() => undefined), late]);
    this.#schedule();
  }

  /** Records it for all, and carries it out here. Without a store it is carried out here alone. */
  async erase(scope: ErasureScope, author: string): Promise<ErasureResult> {
    const { store, vault } = this.#options;
    if (store === undefined) return vault.erase(scope, author);
    const [order, id] = [orderOf(scope, author), randomUUID()];
    const number = await store.ask({ ...order, erasure_id: id, created_at: this.#now().toISOString() });
    this.#wanted.set(number, undefined);
    try {
      await this.#look();
      await store.empty({ number, ...order });
      const { destroyed, gone } = this.#wanted.get(number) ?? (await vault.carryOut(order, id)); // who keeps nothing still has the entry of who asked
      return { number, destroyed, gone };
    } finally {
      this.#wanted.delete(number);
    }
  }

  /** Newest first; undefined where there is no store. */
  async list(tenantId: string): Promise<readonly ErasureStanding[] | undefined> {
    const { store } = this.#options;
    if (store === undefined) return undefined;
    const [erasures, keepers] = [await store.list(tenantId, LISTED_MAX), await store.keepers()];
    return erasures.map(({ tenant_id: _, ...erasure }) => {
      const concerned = keepers.filter(({ since }) => since < erasure.number);
      const of = (standing: 'confirmed' | 'waiting' | 'gone'): readonly Keeper[] => concerned.filter(({ done, gone_at: gone }) => standing === (done >= erasure.number ? 'confirmed' : gone === null ? 'waiting' : 'gone')).map(({ keeper, origin, seen_at }) => ({ keeper, origin, seen_at }));
      return { ...erasure, confirmed: of('confirmed'), waiting: of('waiting'), gone: of('gone') };
    });
  }

  /** Erasures wait no more for a keeper whose folder is destroyed; the entry that says so is written first. Undefined where there is no store. Comes it back, it carries out all that it missed. */
  async part(keeper: string, reason: string, author: string): Promise<Parting | undefined> {
    const { store, record } = this.#options;
    if (store === undefined || record === undefined) return undefined;
    const found = await store.keeper(keeper);
    if (found === undefined) return 'unknown';
    const now = this.#now();
    if (keeper === this.#state?.keeper || now.getTime() - Date.parse(found.seen_at) < GONE_AFTER_MS) return 'alive';
    if (found.gone_at !== null) return 'gone';
    await record({ kind: 'keeper_gone', author, keeper, log: found.origin, seen_at: found.seen_at, waiting: (await store.head()) - found.done, reason });
    return (await store.part(keeper, found.seen_at, now.toISOString())) ? 'gone' : 'alive';
  }

  /** Before content is shown: all that the store holds now is carried out here. Rejects where that cannot be told. */
  async current(): Promise<void> {
    if (this.#options.store !== undefined) await this.#look();
  }

  /** The newest that is carried out here; undefined: what the store holds is not known yet. */
  get carriedOut(): ErasureMark | undefined {
    return this.#state?.mark;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#working;
  }

  // With the store.

  #schedule(): void {
    if (this.#closed) return;
    const { lookMs = LOOK_MS } = this.#options;
    this.#timer = setTimeout(() => void this.#look().catch(() => undefined).then(() => this.#schedule()), lookMs * (0.8 + 0.4 * Math.random())).unref();
  }

  /** Carries out what the store holds by then. Rejects where it does not answer, or something cannot be erased. */
  #look(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#carryOutAll(this.#options.store!);
        this.#health.well(() => 'erasures that are asked for anywhere are carried out again');
      } catch (error) {
        const detail = error instanceof WeirError ? error.message : (error as NodeJS.ErrnoException).code ?? (error as Error).name;
        this.#health.ill(`erasures that are asked for elsewhere are not carried out now (${detail}); they will be`, ['look']);
        throw error;
      }
    });
  }

  async #carryOutAll(store: ErasureStore): Promise<void> {
    const head = await store.head();
    const isFirst = Number.isNaN(this.#head);
    this.#head = head;
    if (!(await this.#isKeeper())) return;
    let mark = this.#state!.mark ?? (await this.#begin(store, head));
    if (isFirst || head !== mark.number) mark = await this.#held(store, mark, head);
    while (mark.number < head) {
      for (const erasure of await store.after(mark.number, ROWS_MAX)) mark = await this.#carryOut(erasure);
    }
    const nowMs = performance.now();
    if (nowMs - this.#seenMs < SEEN_MS && mark.number === this.#confirmed) return;
    await store.meet({ keeper: this.#state!.keeper, origin: this.#options.origin, done: mark.number, seen_at: this.#now().toISOString() });
    [this.#seenMs, this.#confirmed] = [nowMs, mark.number];
  }

  async #isKeeper(): Promise<boolean> {
    return this.#state!.mark !== undefined || this.#options.keeps() || hasContent(this.#options.dir);
  }

  /** Also what is not written yet. */
  async #hasContent(): Promise<boolean> {
    await this.#options.vault.flush();
    return hasContent(this.#options.dir);
  }

  /** Who keeps nothing yet has nothing to erase of what was asked for before. */
  async #begin(store: ErasureStore, head: number): Promise<ErasureMark> {
    const { done } = await store.meet({ keeper: this.#state!.keeper, origin: this.#options.origin, done: (await this.#hasContent()) ? 0 : head, seen_at: this.#now().toISOString() });
    return this.#remember(await markAt(store, done));
  }

  /** Another store, or one that was put back from a copy, has other erasures under these numbers: all of its are carried out. */
  async #held(store: ErasureStore, mark: ErasureMark, head: number): Promise<ErasureMark> {
    return mark.number === 0 || (mark.number <= head && (await markAt(store, mark.number)).id === mark.id) ? mark : this.#remember(NO_ERASURE);
  }

  async #carryOut({ number, erasure_id: id, ...order }: FleetErasure): Promise<ErasureMark> {
    const { destroyed, gone, entry } = await this.#options.vault.carryOut(order satisfies ErasureOrder, id);
    if (this.#wanted.has(number)) this.#wanted.set(number, { destroyed, gone });
    await this.#options.store?.empty({ number, ...order });
    return this.#remember({ number, id, entry });
  }

  async #remember(mark: ErasureMark): Promise<ErasureMark> {
    this.#state = { ...this.#state!, mark };
    await writeErasureState(this.#options.dir, this.#state);
    return mark;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#working.then(work);
    this.#working = done.catch(() => undefined);
    return done;
  }

  // Without the store: by shipping.

  /** What goes with what is shipped; undefined: nothing is kept here. */
  async claim(): Promise<ErasureClaim | undefined> {
    const { mark } = this.#state!;
    if (!(await this.#isKeeper())) return undefined;
    return { kept: mark !== undefined || (await this.#hasContent()), ...(mark === undefined ? {} : { number: mark.number, id: mark.id, ...(mark.entry === undefined ? {} : { entry: mark.entry }) }) };
  }

  /** What came back. Never rejects; what fails comes again with the next answer. */
  told(claim: ErasureClaim, news: ErasureNews): void {
    void this.#inTurn(async () => {
      let { mark } = this.#state!;
      if (news.claimed?.number !== claim.number || news.claimed?.id !== claim.id) return;
      const isOther = news.from !== claim.number || news.id !== claim.id;
      if (isOther && mark?.number === claim.number && mark?.id === claim.id) mark = await this.#remember(await this.#beginWith(claim, news));
      for (const erasure of news.erasures) if (erasure.number === (mark?.number ?? Number.NaN) + 1) mark = await this.#carryOut(erasure);
      this.#health.well(() => 'erasures that are asked for elsewhere are carried out again');
    }).catch((error: unknown) => this.#health.ill(`erasures that are asked for elsewhere are not carried out now (${(error as NodeJS.ErrnoException).code ?? (error as Error).name}); they will be`, ['told']));
  }

  /** What is kept since it was claimed that nothing is may be older than what was asked for. */
  async #beginWith(claim: ErasureClaim, { from: number, id }: ErasureNews): Promise<ErasureMark> {
    return claim.number === undefined && !claim.kept && (await this.#hasContent()) ? NO_ERASURE : { number, id };
  }

  /** For a log that is shipped here and holds `entries` here: what its process is to carry out. Never rejects; undefined: nothing new, or it cannot be told now. */
  async answer(log: string, claim: ErasureClaim | undefined, entries: number): Promise<ErasureNews | undefined> {
    const { store } = this.#options;
    if (store === undefined || claim === undefined || Number.isNaN(this.#head)) return undefined;
    const known = this.#claimed.get(log);
    if (known !== undefined && known.number === claim.number && known.id === claim.id && known.number === this.#head && performance.now() - known.seenMs < SEEN_MS) return undefined;
    return this.#news(store, log, claim, entries).catch(() => undefined);
  }

  async #news(store: ErasureStore, log: string, claim: ErasureClaim, entries: number): Promise<ErasureNews | undefined> {
    const me = { keeper: `log ${log}`, origin: log, seen_at: this.#now().toISOString() };
    const known = (await store.keeper(me.keeper)) ?? (await store.meet({ ...me, done: claim.number !== undefined || claim.kept ? 0 : await store.head() }));
    const own = claim.number === undefined ? undefined : { number: claim.number, id: claim.id! };
    const holds = own !== undefined && (own.number === 0 || (await markAt(store, own.number)).id === own.id);
    const mark = own === undefined ? await markAt(store, known.done) : holds ? own : NO_ERASURE;
    const isProven = holds && (own.number <= known.done || (await this.#isCopied(log, claim, entries)));
    if (isProven) {
      await store.meet({ ...me, done: own.number });
      this.#claimed.set(log, { ...own, seenMs: performance.now() });
    }
    const erasures = await store.after(mark.number, NEWS_MAX);
    return erasures.length === 0 && holds ? undefined : { claimed: own ?? null, from: mark.number, id: mark.id, erasures };
  }

  /** The entry that the process names is in the copy of its log, and says what it claims. */
  async #isCopied(log: string, { entry, id }: ErasureClaim, entries: number): Promise<boolean> {
    if (entry === undefined || entry >= entries) return false;
    for await (const found of (await this.#options.copied?.(log, entry + 1)) ?? []) return found.index === entry && found.kind === 'erasure' && found['erasure_id'] === id;
    return false;
  }
}

async function markAt(store: ErasureStore, number: number): Promise<ErasureMark> {
  const [found] = number === 0 ? [] : await store.after(number - 1, 1);
  return found?.number === number ? { number, id: found.erasure_id } : NO_ERASURE;
}
