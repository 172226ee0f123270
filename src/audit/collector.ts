/**
 * The audit logs of other Weirs that are shipped here: each in a folder of its own under `origins`, in the form of any log,
 * so that what verifies one verifies these. Batches of one log are taken one after the other, and few wait. The first that
 * comes of a log pins its key; that, and when a log begins to be refused or is taken again, is an entry of the own log.
 */
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CHANNELS } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import { LOG_NAME } from '../contract/log-name.ts';
import type { NoteKey } from './checkpoint.ts';
import { countOf, newestNote, writtenMs } from './copy-summary.ts';
import { newestEntries, type AuditEntry, type EntryFilter } from './entries.ts';
import type { ShippedLogRecord } from './entry.ts';
import { OriginCopy } from './origin.ts';
import { ShipRefusal, type ShipBatch, type ShipPosition } from './shipment.ts';
import { EMPTY_HEAD } from './verify.ts';

export interface CollectorOptions {
  /** Holds the folders. */
  readonly dir: string;
  /** Resolves when the entry is on disk. */
  audit(record: ShippedLogRecord): Promise<void>;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Default 10,000. */
  readonly logsMax?: number;
}

/** Who sent a batch: a log's name, and the name of the token. */
export interface Sender {
  readonly log: string;
  readonly author: string;
}

/** Members are named as in JSON. */
export interface LogSummary {
  readonly log: string;
  readonly entries: number;
  /** Entries that its sender had when it was last heard of and that are not here; null: it was not heard of since the start. */
  readonly lag: number | null;
  /** When it was last heard of; after a start, when something last came of it. */
  readonly seen_at: string | null;
  /** The newest, a signed note. */
  readonly checkpoint: string | null;
  /** Why its batches are not taken: a code of refusals, or `unavailable` where the copy cannot be read or written. */
  readonly refused: { readonly code: string; readonly reason: string } | null;
}

/** What is known of a log in memory. */
interface Known {
  copy?: OriginCopy;
  /** Batches are taken one after the other. */
  last: Promise<unknown>;
  waiting: number;
  seenMs?: number;
  size?: number;
  /** Why the last batch was not taken. */
  refused?: NonNullable<LogSummary['refused']>;
  /** When what was last recorded. */
  readonly recordedMs: Map<string, number>;
}

const LOGS_MAX = 10_000;
const WAITING_MAX = 3;
/** Of one log the same is recorded once in this time, so that two that contend for a name do not fill the own log. */
const RECORD_MS = 600_000;
const UNAVAILABLE = 'unavailable';
const NOWHERE: ShipPosition = { entries: 0, hash: EMPTY_HEAD.hash, signed: -1 };

export class Collector {
  readonly #options: Required<CollectorOptions>;
  readonly #known = new Map<string, Known>();

  constructor(options: CollectorOptions) {
    this.#options = { logsMax: LOGS_MAX, ...options };
  }

  /** Resolves when what the batch brought is synced. Throws ShipRefusal, and WeirError when the copy cannot be read or written. */
  async take(sender: Sender, batch: ShipBatch): Promise<ShipPosition> {
    const { log } = sender;
    if (!this.#known.has(log) && !(await isThere(this.dirOf(log)))) {
      if (isQuestion(batch)) return NOWHERE;
      if ((await this.#names()).length >= this.#options.logsMax) throw new ShipRefusal('too_many_logs', `${this.#options.logsMax} logs are here already`);
    }
    const known = this.#knownOf(log);
    if (known.waiting >= WAITING_MAX) throw new ShipRefusal('busy', `${WAITING_MAX} batches of ${log} wait already`);
    return this.#inTurn(known, () => this.#take(known, sender, batch));
  }

  /** Of all that are here, by name. Reads the files, but not all of them. */
  async list(): Promise<readonly LogSummary[]> {
    const names = await this.names();
    const summaries: LogSummary[] = [];
    for (const log of names) summaries.push(await this.#summary(log));
    return summaries;
  }

  /** Newest first; undefined: there is no such log here. */
  async entries(log: string, filter: EntryFilter): Promise<AsyncIterable<AuditEntry> | undefined> {
    return LOG_NAME.test(log) && (await isThere(this.dirOf(log))) ? newestEntries(this.dirOf(log), filter) : undefined;
  }

  /** Its copy, while nothing else works on it. Where the work rejects, the copy is read anew from its files the next time. */
  async withCopy<T>(log: string, work: (copy: OriginCopy) => Promise<T>): Promise<T> {
    const known = this.#knownOf(log);
    const wasOpen = known.copy !== undefined;
    return this.#inTurn(known, async () => {
      let isWell = false;
      try {
        known.copy ??= await this.#open(log);
        const done = await work(known.copy);
        isWell = true;
        return done;
      } finally {
        if (!isWell || !wasOpen) {
          known.copy?.close();
          delete known.copy;
        }
        if (known.seenMs === undefined && known.waiting === 1) this.#known.delete(log);
      }
    });
  }

  /** Names of the logs that are here. */
  async names(): Promise<readonly string[]> {
    return [...(await this.#names())].sort();
  }

  /** Its folder; `log` is one of LOG_NAME. */
  dirOf(log: string): string {
    return join(this.#options.dir, encodeURIComponent(log));
  }

  async close(): Promise<void> {
    for (const known of this.#known.values()) {
      await known.last;
      known.copy?.close();
    }
  }

  #knownOf(log: string): Known {
    const known = this.#known.get(log) ?? { last: Promise.resolve(), waiting: 0, recordedMs: new Map<string, number>() };
    this.#known.set(log, known);
    return known;
  }

  #inTurn<T>(known: Known, work: () => Promise<T>): Promise<T> {
    known.waiting += 1;
    const done = known.last.then(work).finally(() => void (known.waiting -= 1));
    known.last = done.catch(() => undefined);
    return done;
  }

  async #take(known: Known, sender: Sender, batch: ShipBatch): Promise<ShipPosition> {
    const { log } = sender;
    let before = 0;
    try {
      known.copy ??= await this.#open(log);
      before = known.copy.position.entries;
      known.seenMs = this.#options.clock();
      known.size = batch.size;
      if (!isQuestion(batch)) {
        await known.copy.take(batch, (key) => this.#pinned(sender, key));
        await this.#accepted(known, sender);
      }
      const { position } = known.copy;
      CHANNELS.auditReceived.publish({ log, entries: position.entries - before, lag: Math.max(0, batch.size - position.entries) });
      return position;
    } catch (error) {
      const refusal = error instanceof ShipRefusal ? error : undefined;
      if (refusal === undefined) this.#drop(known, log, error);
      else if (refusal.code !== 'gap') await this.#refuse(known, sender, refusal);
      CHANNELS.auditReceived.publish({ log, entries: 0, lag: Math.max(0, batch.size - before), refused: refusal?.code ?? UNAVAILABLE });
      if (known.waiting === 1 && !(await isThere(this.dirOf(log)))) this.#known.delete(log);
      throw refusal ?? new WeirError('audit_unavailable', `the copy of the audit log ${log} cannot be read or written`, { cause: error });
    }
  }

  async #open(log: string): Promise<OriginCopy> {
    await mkdir(this.#options.dir, { recursive: true, mode: 0o700 });
    return OriginCopy.open(this.dirOf(log), log);
  }

  /** What is in memory may not be what is on disk any more: the next batch reads it again. */
  #drop(known: Known, log: string, error: unknown): void {
    known.copy?.close();
    delete known.copy;
    const why = error instanceof WeirError ? error.message : (error as NodeJS.ErrnoException).code ?? 'unknown error';
    this.#complain(known, log, { code: UNAVAILABLE, reason: `the copy cannot be read or written (${why}); where it is damaged, move its folder away, and the log is shipped again from its beginning` });
  }

  #complain(known: Known, log: string, refused: NonNullable<LogSummary['refused']>): void {
    if (known.refused?.code !== refused.code) CHANNELS.healthChanged.publish({ part: `audit:${log}`, healthy: false, detail: refused.reason });
    known.refused = refused;
  }

  async #pinned({ log, author }: Sender, key: NoteKey): Promise<void> {
    await this.#options.audit({ kind: 'shipped_log', change: 'pinned', log, author, entries: 0, key: key.text });
  }

  /** Of a log that is not here nothing is recorded: anybody with a token could fill the own log. */
  async #refuse(known: Known, { log, author }: Sender, { code, message: reason }: ShipRefusal): Promise<void> {
    if (!(await isThere(this.dirOf(log)))) return;
    this.#complain(known, log, { code, reason });
    if (this.#isDue(known, code)) await this.#options.audit({ kind: 'shipped_log', change: 'refused', log, author, entries: known.copy!.position.entries, code, reason });
  }

  async #accepted(known: Known, { log, author }: Sender): Promise<void> {
    if (known.refused === undefined) return;
    const { code } = known.refused;
    delete known.refused;
    CHANNELS.healthChanged.publish({ part: `audit:${log}`, healthy: true, detail: 'its entries are taken again' });
    if (code !== UNAVAILABLE && this.#isDue(known, 'resumed')) await this.#options.audit({ kind: 'shipped_log', change: 'resumed', log, author, entries: known.copy!.position.entries });
  }

  #isDue({ recordedMs }: Known, what: string): boolean {
    const nowMs = this.#options.clock();
    if (nowMs - (recordedMs.get(what) ?? -Infinity) < RECORD_MS) return false;
    recordedMs.set(what, nowMs);
    return true;
  }

  async #summary(log: string): Promise<LogSummary> {
    const dir = this.dirOf(log);
    const known = this.#known.get(log);
    const entries = await countOf(dir);
    const seenMs = known?.seenMs ?? (await writtenMs(dir));
    return {
      log, entries,
      lag: known?.size === undefined ? null : Math.max(0, known.size - entries),
      seen_at: seenMs === undefined ? null : new Date(seenMs).toISOString(),
      checkpoint: await newestNote(dir),
      refused: known?.refused ?? null,
    };
  }

  async #names(): Promise<readonly string[]> {
    try {
      return (await readdir(this.#options.dir, { withFileTypes: true })).flatMap((entry) => (entry.isDirectory() ? logOf(entry.name) : []));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new WeirError('audit_unavailable', `the folder ${this.#options.dir} cannot be read`, { cause: error });
    }
  }
}

/** It brings nothing: its sender wants to know what is here. */
function isQuestion({ size, from, entries, checkpoints }: ShipBatch): boolean {
  return entries.length === 0 && checkpoints.length === 0 && from <= size;
}

/** None for a folder that is not one of ours. */
function logOf(folder: string): readonly string[] {
  const log = folder.replaceAll('%2F', '/');
  return LOG_NAME.test(log) ? [log] : [];
}

async function isThere(dir: string): Promise<boolean> {
  return (await stat(dir).catch(() => undefined)) !== undefined;
}
