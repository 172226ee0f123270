/**
 * Brings the exchanges of one audit log into the store, a batch at a time, from where the store says the log stands. The log
 * is the source: what is lost in the store comes again from it, and what the log turns out not to have any more (it was
 * restored from an older copy, or a crash took its end) is taken back from the store first. A log that begins later than
 * where it stands, since older entries passed their retention, goes on there.
 */
import { decisionRow, markOf, type DecisionRow, type ExchangeEntry } from '../store/decision-rows.ts';
import type { DecisionStore, LogPosition } from '../store/decisions.ts';
import { LogFollower, type PlacedEntry } from './follow.ts';
import { publishedKeys } from './recovery.ts';

export interface IndexedLog {
  readonly dir: string;
  /** Of a log that is shipped here; the own one is called as the key that signed it first. */
  readonly name?: string | undefined;
  readonly shipped: boolean;
}

export interface Step {
  /** Entries that are taken, of every kind. */
  readonly taken: number;
  /** There is more to take. */
  readonly more: boolean;
}

const NOTHING: Step = { taken: 0, more: false };

export class LogIndexer {
  readonly #log: IndexedLog;
  readonly #store: DecisionStore;
  readonly #follower: LogFollower;
  /** Where the store said that the log stands; asked again after anything went wrong. */
  #at: LogPosition | undefined;
  /** The log has the entry that the store stands at. */
  #isKnown = false;

  constructor(log: IndexedLog, store: DecisionStore) {
    this.#log = log;
    this.#store = store;
    this.#follower = new LogFollower(log.dir);
  }

  /** Entries before it are taken; undefined: not known yet. */
  get next(): number | undefined {
    return this.#at?.next;
  }

  /** One batch. Rejects as the store does, or with the system's error; the next step begins anew. */
  async step(): Promise<Step> {
    try {
      return await this.#step();
    } catch (error) {
      this.#at = undefined;
      this.#isKnown = false;
      throw error;
    }
  }

  async #step(): Promise<Step> {
    const at = (this.#at ??= await this.#position());
    if (at === undefined) return NOTHING;
    if (!this.#isKnown) {
      this.#isKnown = !(await this.#lacksEnd(at)) && !(at.begun !== undefined && (await this.#lacksEnd(at.begun)));
      if (!this.#isKnown) return this.#mend(at);
    }
    const { entries, next, more } = await this.#follower.read(at.next, this.#store.batchEntries);
    const [first] = entries;
    if (first !== undefined && first.index === at.next && at.head !== '' && first.prev !== at.head) {
      return this.#mend(at);
    }
    if (next === at.next) return { taken: 0, more };
    this.#at = await this.#store.take(at, entries.flatMap((entry) => rowOf(entry, at)), next, entries.at(-1)?.hash ?? '');
    return { taken: this.#at === undefined ? 0 : entries.length, more: more || this.#at === undefined };
  }

  /** Undefined: the log has no key yet, and so no entry. */
  async #position(): Promise<LogPosition | undefined> {
    const [key] = await publishedKeys(this.#log.dir);
    if (key === undefined) return undefined;
    return this.#store.position({ log: `${key.name}+${key.id}`, name: this.#log.name ?? key.name, shipped: this.#log.shipped });
  }

  /** Whether the last of what was taken is not the log's any more. */
  async #lacksEnd({ next, head }: Pick<LogPosition, 'next' | 'head'>): Promise<boolean> {
    return next > 0 && head !== '' && this.#lacks(next - 1, (entry) => entry.hash === head);
  }

  /** Whether the log has another entry in this place, or ended before it. What passed its retention cannot be asked any more. */
  async #lacks(index: number, isThat: (entry: PlacedEntry) => boolean): Promise<boolean> {
    const { entries: [entry], next } = await this.#follower.read(index, 1);
    if (entry?.index === index) return !isThat(entry);
    // The copy of a log that is also indexed where it is written may be behind.
    return entry === undefined && next <= index && !this.#log.shipped;
  }

  /** Takes back what the log does not have any more: all after the newest row found that it has, looked for in doubling steps. */
  async #mend(at: LogPosition): Promise<Step> {
    let [below, distance, good] = [at.begun?.next ?? at.next, 1, -1];
    for (;;) {
      const marks = await this.#store.marks(at.logId, below, distance);
      const last = marks.at(-1);
      if (last === undefined) break;
      if (!(await this.#lacks(last.index, ({ hash }) => markOf(hash) === last.mark))) {
        good = last.index;
        break;
      }
      below = last.index;
      distance *= 2;
    }
    const { entries: [entry] } = good < 0 ? { entries: [] } : await this.#follower.read(good, 1);
    const head = entry?.index === good ? entry.hash : '';
    const { batchEntries } = this.#store;
    while ((await this.#store.takeBack(at, good + 1, head, batchEntries)) === batchEntries);
    this.#at = undefined;
    return { taken: 0, more: true };
  }
}

/** None where it is no exchange, or one that says less than any does. */
function rowOf(entry: PlacedEntry, { logId, shipped }: LogPosition): readonly DecisionRow[] {
  if (entry.kind !== 'exchange' || typeof entry['request_id'] !== 'string' || typeof entry['tenant_id'] !== 'string' || typeof entry.hash !== 'string') return [];
  try {
    return [decisionRow(entry as unknown as ExchangeEntry, logId, shipped)];
  } catch {
    return []; // written by something else: the log keeps it, and there is nothing to search it by
  }
}
