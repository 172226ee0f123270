/**
 * What a match that began at one place has reached: a thread. Threads step from character to character on their own, so
 * there are as many as one beginning can tell apart, however many beginnings a text makes live at once. They are made
 * when a text first needs them and kept in a table of bounded size (`bytesMax`); when it is full it is emptied and
 * filled again, which costs time and changes no result. A Thread object survives that.
 *
 * A front is all threads of one moment, oldest first. INVARIANT: an instruction in an endless loop of a pattern without
 * validator stands only in the oldest thread that reaches it, since whatever a younger one matches from there, the older
 * matches too, and covers it. All other instructions are bounded by the length of a match. So the number of threads does
 * not depend on the length of the text.
 */
import { ACCEPT, AHEAD, BEHIND, CHAR, SPLIT, type Program } from './program.ts';

export interface Thread {
  /** The instructions reached, CHAR and AHEAD only, ascending. */
  readonly items: readonly number[];
  /** Which look-behinds the character before satisfies. */
  readonly behind: number;
  /** It can still complete a pattern that holds. */
  readonly holds: boolean;
  /** The least age at which some of its instructions are dropped, or Infinity. */
  readonly ageMax: number;
  /** Where its row begins in the table of `epoch`. */
  readonly row: number;
  readonly epoch: number;
}

/** A step on which something matches. */
interface Step {
  /** The entry without MATCHES. */
  readonly entry: number;
  /** Patterns that end before the character read, and those that end after it. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** What begins at a character. */
interface Birth {
  readonly entry: number;
  /** Patterns of one character, which are complete. */
  readonly after: readonly number[];
  /** Bits of the patterns in it that begin once. */
  readonly once: number;
}

/** A table entry is UNKNOWN, or the next row, NOWHERE where the thread ends. MATCHES: the rest is the index of a Step. */
const UNKNOWN = -1;
const NOWHERE = 0;
/** The next thread has endless loops. */
const LOOPS_BIT = 28;
const ROW_MASK = (1 << LOOPS_BIT) - 1;
const MATCHES = 1 << 29;

/** Bytes that a thread takes beside its row: the object and its key; each instruction in it; a remembered answer. */
const THREAD_BYTES = 400;
const ITEM_BYTES = 12;
const MEMO_BYTES = 80;
/** So many threads are kept whatever they take: fewer would be made again at every character. */
const THREADS_MIN = 16;
/** One call takes so many arguments at most. */
const KEY_ITEMS = 4096;

export class Threads {
  readonly program: Program;
  /** Entries in a row: one for each class, the edge, and the bits of the patterns in it that begin once. */
  readonly width: number;
  readonly #bytesMax: number;
  #table: Int32Array;
  #threads: (Thread | undefined)[] = [undefined];
  #index = new Map<string, Thread>();
  #steps: Step[] = [];
  /** By look-behind kind and class: index of a birth, 0 where nothing begins. */
  readonly #birthTable: Int32Array;
  #births: Birth[] = [];
  #birthsAmid = new Map<number, Birth>();
  /** What everything takes that `reset` gives back. */
  #bytes = 0;
  /** How often the table was emptied. */
  epoch = 0;
  /** Stamps against visiting an instruction twice. */
  readonly #seen: Int32Array;
  #stamp = 0;
  /** By pattern: its bit, 0 where it begins anywhere. */
  readonly #onceBit: Int32Array;
  /** For each kind of look-behind: one class that is of this kind. */
  readonly #classOfKind: readonly number[];
  /** By look-behind kind and class: what a start at this character reaches. */
  readonly #startReach = new Map<number, readonly number[]>();

  constructor(program: Program, bytesMax: number) {
    this.program = program;
    this.width = program.classes + 2;
    this.#bytesMax = bytesMax;
    this.#table = new Int32Array(this.width * THREADS_MIN).fill(UNKNOWN);
    this.#seen = new Int32Array(program.kind.length).fill(-1);
    let bit = 1;
    this.#onceBit = Int32Array.from(program.once, (once) => {
      if (once === 0) return 0;
      const own = bit;
      bit <<= 1;
      return own;
    });
    const classOfKind: number[] = [];
    program.behindKind.forEach((kind, cls) => { classOfKind[kind] = cls; });
    this.#classOfKind = classOfKind;
    this.#birthTable = new Int32Array(classOfKind.length * this.width).fill(UNKNOWN);
  }

  get count(): number {
    return this.#threads.length - 1;
  }

  get isFull(): boolean {
    return this.#bytes > this.#bytesMax && this.count > THREADS_MIN;
  }

  reset(): void {
    this.epoch += 1;
    this.#threads = [undefined];
    this.#index = new Map();
    this.#steps = [];
    this.#births = [];
    this.#birthsAmid = new Map();
    this.#birthTable.fill(UNKNOWN);
    this.#table.fill(UNKNOWN);
    this.#bytes = 0;
  }

  at(row: number): Thread {
    return this.#threads[row / this.width] as Thread;
  }

  /** The row of `thread` in the present table. */
  rowOf(thread: Thread): number {
    return thread.epoch === this.epoch ? thread.row : this.#intern(thread.items, thread.behind).row;
  }

  /** Moves `front` over a character of class `cls`. May not be full. */
  advance(front: Front, cls: number): void {
    let table = this.#table;
    const { rows, from } = front;
    const onceSlot = this.width - 1;
    let kept = 0;
    let loops = 0;
    let once = 0;
    front.matched = 0;
    for (let g = 0; g < front.count; g += 1) {
      const row = rows[g] as number;
      let entry = table[row + cls] as number;
      if (entry === UNKNOWN) {
        entry = this.#step(row, cls);
        table = this.#table;
      }
      if (entry >= MATCHES) entry = this.#matched(front, g, this.#steps[entry - MATCHES] as Step);
      if (entry === NOWHERE) continue;
      const next = entry & ROW_MASK;
      loops += entry >> LOOPS_BIT;
      once |= table[next + onceSlot] as number;
      rows[kept] = next;
      from[kept] = g;
      kept += 1;
    }
    const key = front.behind * this.width + cls;
    let born = this.#birthTable[key] as number;
    if (born === UNKNOWN) {
      born = this.#birthAt(key);
      table = this.#table;
    }
    if (born !== 0) {
      let birth = this.#births[born - 1] as Birth;
      if ((birth.once & once) !== 0) birth = this.#birthAmid(key, birth.once & once);
      this.#note(front, -1, birth.after, 1);
      if (birth.entry !== NOWHERE) {
        rows[kept] = birth.entry & ROW_MASK;
        from[kept] = -1;
        kept += 1;
        loops += birth.entry >> LOOPS_BIT;
      }
    }
    front.behind = this.program.behindKind[cls] as number;
    if (loops > 1) kept = this.#claim(front, kept);
    front.was = front.count;
    front.count = kept;
  }

  /** `thread`, which is `age` characters old, without the patterns whose age limit is less: its row, or NOWHERE. */
  withoutOld(thread: Thread, age: number): number {
    const { patternOf, maxChars } = this.program;
    const young = thread.items.filter((item) => {
      const limit = maxChars[patternOf[item] as number] as number;
      return limit === 0 || age <= limit;
    });
    return young.length === 0 ? NOWHERE : this.#intern(young, thread.behind).row;
  }

  #matched(front: Front, source: number, { entry, before, after }: Step): number {
    this.#note(front, source, before, 0);
    this.#note(front, source, after, 1);
    return entry;
  }

  #note(front: Front, source: number, patterns: readonly number[], after: 0 | 1): void {
    const { matches } = front;
    for (let i = 0; i < patterns.length; i += 1) {
      const at = front.matched;
      matches[at] = source;
      matches[at + 1] = patterns[i] as number;
      matches[at + 2] = after;
      front.matched = at + 3;
    }
  }

  /** Takes from each thread the endless loops that an older one stands in too. */
  #claim(front: Front, count: number): number {
    const { rows, from } = front;
    const { loops } = this.program;
    this.#stamp += 1;
    let kept = 0;
    for (let g = 0; g < count; g += 1) {
      const { items, behind, row } = this.at(rows[g] as number);
      let left: number[] | undefined;
      for (let i = 0; i < items.length; i += 1) {
        const item = items[i] as number;
        if (loops[item] === 0) left?.push(item);
        else if (this.#seen[item] === this.#stamp) left ??= items.slice(0, i);
        else {
          this.#seen[item] = this.#stamp;
          left?.push(item);
        }
      }
      if (left?.length === 0) continue;
      rows[kept] = left === undefined ? row : this.#intern(left, behind).row;
      from[kept] = from[g] as number;
      kept += 1;
    }
    return kept;
  }

  #step(row: number, cls: number): number {
    const { items, behind } = this.at(row);
    const before: number[] = [];
    const after: number[] = [];
    const reached = this.#resolve(items, behind, cls, before);
    let entry = this.#enter(this.#consume(reached, cls, after), cls);
    if (before.length > 0 || after.length > 0) {
      entry = MATCHES + this.#steps.push({ entry, before, after }) - 1;
      this.#bytes += MEMO_BYTES;
    }
    this.#table[row + cls] = entry;
    return entry;
  }

  /** The entry for a thread that has reached `items` after a character of class `cls`. */
  #enter(items: readonly number[], cls: number): number {
    if (items.length === 0) return NOWHERE;
    const { loops, behindKind } = this.program;
    const { row } = this.#intern(items, behindKind[cls] as number);
    return items.some((item) => loops[item] === 1) ? row + (1 << LOOPS_BIT) : row;
  }

  #birthAt(key: number): number {
    const birth = this.#makeBirth(key, 0);
    const known = birth.entry === NOWHERE && birth.after.length === 0 ? 0 : this.#births.push(birth);
    this.#birthTable[key] = known;
    return known;
  }

  /** The birth at `key` without the patterns of `under way`, which begin once. */
  #birthAmid(key: number, underWay: number): Birth {
    const memo = underWay * this.#birthTable.length + key;
    let birth = this.#birthsAmid.get(memo);
    if (birth === undefined) {
      birth = this.#makeBirth(key, underWay);
      this.#birthsAmid.set(memo, birth);
      this.#bytes += MEMO_BYTES;
    }
    return birth;
  }

  #makeBirth(key: number, underWay: number): Birth {
    const { patternOf } = this.program;
    const bitOf = (item: number): number => this.#onceBit[patternOf[item] as number] as number;
    const cls = key % this.width;
    const reach = this.#reachOfStart((key - cls) / this.width, cls).filter((item) => (bitOf(item) & underWay) === 0);
    const after: number[] = [];
    const entry = this.#enter(this.#consume(reach, cls, after), cls);
    return { entry, after, once: reach.reduce((bits, item) => bits | bitOf(item), 0) };
  }

  /** The CHAR instructions that a match starting at a character of class `cls` begins with, of those that take it. */
  #reachOfStart(behind: number, cls: number): readonly number[] {
    const key = behind * this.width + cls;
    let reach = this.#startReach.get(key);
    if (reach === undefined) {
      const { operand, members, start } = this.program;
      this.#stamp += 1;
      const reached: number[] = [];
      // No pattern matches the empty text, so nothing is accepted here.
      this.#close(start, behind, cls, reached, []);
      reach = reached.filter((item) => members[operand[item] as number]![cls] === 1);
      this.#startReach.set(key, reach);
    }
    return reach;
  }

  /** The CHAR instructions that `items` reach before a character of class `cls`; look-aheads are decided by it. */
  #resolve(items: readonly number[], behind: number, cls: number, accepted: number[]): readonly number[] {
    const { kind, operand, next, members } = this.program;
    this.#stamp += 1;
    const reached: number[] = [];
    for (const item of items) {
      if (kind[item] === CHAR) reached.push(item);
      else if (members[operand[item] as number]![cls] === 1) this.#close(next[item] as number, behind, cls, reached, accepted);
    }
    return reached;
  }

  /** The items after reading a character of class `cls` from `reached`. */
  #consume(reached: readonly number[], cls: number, accepted: number[]): readonly number[] {
    const { operand, next, members, behindKind } = this.program;
    this.#stamp += 1;
    const items: number[] = [];
    for (const item of reached) {
      if (members[operand[item] as number]![cls] === 1) this.#close(next[item] as number, behindKind[cls] as number, UNKNOWN, items, accepted);
    }
    return inOrder(items);
  }

  /** Follows everything that reads no character, from `first`. With `ahead` known, look-aheads are decided; otherwise they are items. */
  #close(first: number, behind: number, ahead: number, items: number[], accepted: number[]): void {
    const { kind, operand, next, splits, members } = this.program;
    const stack = [first];
    while (stack.length > 0) {
      const at = stack.pop() as number;
      if (this.#seen[at] === this.#stamp) continue;
      this.#seen[at] = this.#stamp;
      switch (kind[at]) {
        case SPLIT: {
          const outs = splits[operand[at] as number] as Int32Array;
          for (let i = outs.length - 1; i >= 0; i -= 1) stack.push(outs[i] as number);
          break;
        }
        case BEHIND:
          if (members[operand[at] as number]![this.#classOfKind[behind] as number] === 1) stack.push(next[at] as number);
          break;
        case AHEAD:
          if (ahead === UNKNOWN) items.push(at);
          else if (members[operand[at] as number]![ahead] === 1) stack.push(next[at] as number);
          break;
        case ACCEPT:
          accepted.push(operand[at] as number);
          break;
        default:
          items.push(at);
      }
    }
  }

  #intern(items: readonly number[], behind: number): Thread {
    const key = keyOf(items, behind);
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const { holds, maxChars, patternOf } = this.program;
    const row = this.#threads.length * this.width;
    const thread: Thread = {
      items, behind, row, epoch: this.epoch,
      holds: items.some((item) => holds[item] === 1),
      ageMax: items.reduce((least, item) => Math.min(least, maxChars[patternOf[item] as number] || Infinity), Infinity),
    };
    if (row + this.width > this.#table.length) {
      const grown = new Int32Array(this.#table.length * 2).fill(UNKNOWN);
      grown.set(this.#table);
      this.#table = grown;
    }
    this.#table[row + this.width - 1] = items.reduce((bits, item) => bits | (this.#onceBit[patternOf[item] as number] as number), 0);
    this.#threads.push(thread);
    this.#index.set(key, thread);
    this.#bytes += THREAD_BYTES + this.width * 4 + items.length * ITEM_BYTES;
    return thread;
  }
}

/** The threads that are alive after a character, oldest first, and what the last step did to them. */
export class Front {
  count = 0;
  /** Before the last step. */
  was = 0;
  /** Rows of the threads. */
  readonly rows: number[] = [];
  /** For each: which thread before the step it was, or -1 where it begins at the character read. */
  readonly from: number[] = [];
  /** Triples of what matched: the source as in `from`, the pattern, and 0 where it ends before the character, 1 where after. */
  readonly matches: number[] = [];
  /** Numbers in `matches` that count: the array is never cut, since that costs more than all the rest of a step. */
  matched = 0;
  behind = 0;

  /** One thread is alive, which began at the character read. */
  get isNew(): boolean {
    return this.count === 1 && this.from[0] === -1;
  }

  /** Nothing matched, and the starts need no moving: the threads are the same, none is left, or a new one alone. */
  get isSilent(): boolean {
    if (this.matched > 0) return false;
    return this.count === 0 || this.isNew || (this.count === this.was && this.from[this.count - 1] === this.count - 1);
  }
}

/** Instructions in ascending order, so that one set is one thread. */
function inOrder(items: number[]): readonly number[] {
  for (let i = 1; i < items.length; i += 1) {
    // Instructions come nearly sorted, so moving each to its place costs little.
    const item = items[i] as number;
    let at = i;
    for (; at > 0 && (items[at - 1] as number) > item; at -= 1) items[at] = items[at - 1] as number;
    items[at] = item;
  }
  return items;
}

/** Two characters for each instruction. */
function keyOf(items: readonly number[], behind: number): string {
  let key = String.fromCharCode(behind);
  for (let i = 0; i < items.length; i += KEY_ITEMS) key += String.fromCharCode.apply(null, items.slice(i, i + KEY_ITEMS).flatMap((item) => [item & 0x7fff, item >> 15]));
  return key;
}
