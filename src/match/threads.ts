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
  /** Which of the threads of `epoch` it is. */
  readonly id: number;
  readonly epoch: number;
}

/** A step on which something matches. */
interface Step {
  /** The entry without SPECIAL. */
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

/**
 * A table entry is UNKNOWN, or the next thread's id, NOWHERE where the thread ends. SPECIAL: the rest is the index of a
 * Step; where something begins, of a Birth. Both are told from the others by one comparison.
 */
const UNKNOWN = -1;
const NOWHERE = 0;
/** The next thread has endless loops. */
const LOOPS_BIT = 28;
const ID_MASK = (1 << LOOPS_BIT) - 1;
const SPECIAL_BIT = 29;
const SPECIAL = 1 << SPECIAL_BIT;

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
  /** Entries of a thread: one for each class, and the edge. */
  readonly width: number;
  readonly #bytesMax: number;
  #table: Int32Array;
  #threads: (Thread | undefined)[] = [undefined];
  /** By thread: the bits of the patterns in it that begin once. */
  #onceOf = new Int32Array(THREADS_MIN);
  #index = new Map<string, Thread>();
  #steps: Step[] = [];
  /** By look-behind kind and class: what begins, as an entry. SPECIAL where something matches at once or begins once. */
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
    this.width = program.classes + 1;
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

  at(id: number): Thread {
    return this.#threads[id] as Thread;
  }

  /** The id of `thread` in the present table. */
  idOf(thread: Thread): number {
    return thread.epoch === this.epoch ? thread.id : this.#intern(thread.items, thread.behind).id;
  }

  /**
   * Moves `front` over the character of class `cls` at `position`, and `starts` with it, where its threads began. May not
   * be full. What most threads do at most characters takes no branch: where they end cannot be foretold.
   */
  advance(front: Front, cls: number, starts: number[], position: number): void {
    const { ids, count } = front.withRoom();
    const { width } = this;
    let table = this.#table;
    let kept = 0;
    let loops = 0;
    front.matched = 0;
    for (let g = 0; g < count; g += 1) {
      const start = starts[g] as number;
      let entry = table[(ids[g] as number) * width + cls] as number;
      if (entry >>> SPECIAL_BIT !== 0) {
        entry = this.#unusual(front, start, ids[g] as number, cls, entry);
        table = this.#table;
      }
      ids[kept] = entry & ID_MASK;
      starts[kept] = start;
      loops += entry >> LOOPS_BIT;
      // One more, unless it is NOWHERE.
      kept -= -entry >> 31;
    }
    const key = front.behind * width + cls;
    let born = this.#birthTable[key] as number;
    if (born !== NOWHERE) {
      if (born >>> SPECIAL_BIT !== 0) born = this.#begin(front, kept, key, born, position);
      ids[kept] = born & ID_MASK;
      starts[kept] = position;
      loops += born >> LOOPS_BIT;
      kept -= -born >> 31;
    }
    front.behind = this.program.behindKind[cls] as number;
    if (loops > 1) kept = this.#claim(front, kept, starts);
    front.count = kept;
    front.isBorn = kept > 0 && starts[kept - 1] === position;
    front.isFewer = kept < count + (front.isBorn ? 1 : 0);
  }

  /** `thread`, which is `age` characters old, without the patterns whose age limit is less: its id, or NOWHERE. */
  withoutOld(thread: Thread, age: number): number {
    const { patternOf, maxChars } = this.program;
    const young = thread.items.filter((item) => {
      const limit = maxChars[patternOf[item] as number] as number;
      return limit === 0 || age <= limit;
    });
    return young.length === 0 ? NOWHERE : this.#intern(young, thread.behind).id;
  }

  /** Does what an UNKNOWN or SPECIAL entry stands for; the entry without it. */
  #unusual(front: Front, start: number, id: number, cls: number, known: number): number {
    const special = known === UNKNOWN ? this.#step(id, cls) : known;
    if (special < SPECIAL) return special;
    const { entry, before, after } = this.#steps[special - SPECIAL] as Step;
    front.note(start, before, 0);
    front.note(start, after, 1);
    return entry;
  }

  /** The same for what begins at a character, when `count` threads are alive. */
  #begin(front: Front, count: number, key: number, known: number, position: number): number {
    const special = known === UNKNOWN ? this.#birthAt(key) : known;
    if (special < SPECIAL) return special;
    let birth = this.#births[special - SPECIAL] as Birth;
    if (birth.once !== 0) {
      let once = 0;
      for (let g = 0; g < count; g += 1) once |= this.#onceOf[front.ids[g] as number] as number;
      if ((birth.once & once) !== 0) birth = this.#birthAmid(key, birth.once & once);
    }
    front.note(position, birth.after, 1);
    return birth.entry;
  }

  /** Takes from each thread the endless loops that an older one stands in too. */
  #claim(front: Front, count: number, starts: number[]): number {
    const { ids } = front;
    const { loops } = this.program;
    this.#stamp += 1;
    let kept = 0;
    for (let g = 0; g < count; g += 1) {
      const { items, behind, id } = this.at(ids[g] as number);
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
      ids[kept] = left === undefined ? id : this.#intern(left, behind).id;
      starts[kept] = starts[g] as number;
      kept += 1;
    }
    return kept;
  }

  #step(id: number, cls: number): number {
    const { items, behind } = this.at(id);
    const before: number[] = [];
    const after: number[] = [];
    const reached = this.#resolve(items, behind, cls, before);
    let entry = this.#enter(this.#consume(reached, cls, after), cls);
    if (before.length > 0 || after.length > 0) {
      entry = SPECIAL + this.#steps.push({ entry, before, after }) - 1;
      this.#bytes += MEMO_BYTES;
    }
    this.#table[id * this.width + cls] = entry;
    return entry;
  }

  /** The entry for a thread that has reached `items` after a character of class `cls`. */
  #enter(items: readonly number[], cls: number): number {
    if (items.length === 0) return NOWHERE;
    const { loops, behindKind } = this.program;
    const { id } = this.#intern(items, behindKind[cls] as number);
    return items.some((item) => loops[item] === 1) ? id + (1 << LOOPS_BIT) : id;
  }

  #birthAt(key: number): number {
    const birth = this.#makeBirth(key, 0);
    const entry = birth.once === 0 && birth.after.length === 0 ? birth.entry : SPECIAL + this.#births.push(birth) - 1;
    this.#birthTable[key] = entry;
    return entry;
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
    const id = this.#threads.length;
    const thread: Thread = {
      items, behind, id, epoch: this.epoch,
      holds: items.some((item) => holds[item] === 1),
      ageMax: items.reduce((least, item) => Math.min(least, maxChars[patternOf[item] as number] || Infinity), Infinity),
    };
    if ((id + 1) * this.width > this.#table.length) {
      this.#table = grownTo(new Int32Array(this.#table.length * 2).fill(UNKNOWN), this.#table);
      this.#onceOf = grownTo(new Int32Array(this.#onceOf.length * 2), this.#onceOf);
    }
    this.#onceOf[id] = items.reduce((bits, item) => bits | (this.#onceBit[patternOf[item] as number] as number), 0);
    this.#threads.push(thread);
    this.#index.set(key, thread);
    this.#bytes += THREAD_BYTES + this.width * 4 + items.length * ITEM_BYTES;
    return thread;
  }
}

/** The threads that are alive after a character, oldest first, and what the last step did to them. */
export class Front {
  count = 0;
  /** The threads, by id. */
  ids = new Int32Array(THREADS_MIN);
  /** Triples of what matched: where it began, the pattern, and 0 where it ends before the character, 1 where after. */
  readonly matches: number[] = [];
  /** Numbers in `matches` that count: the array is never cut, since that costs more than all the rest of a step. */
  matched = 0;
  behind = 0;
  /** The last thread begins at the character read. */
  isBorn = false;
  /** A thread of before the step is gone. */
  isFewer = false;

  /** One thread is alive, which began at the character read. */
  get isNew(): boolean {
    return this.count === 1 && this.isBorn;
  }

  /** Nothing matched, and the starts need no moving: the threads are the same, none is left, or a new one alone. */
  get isSilent(): boolean {
    return this.matched === 0 && (this.count === 0 || (this.isBorn ? this.count === 1 : !this.isFewer));
  }

  /** Itself, with room for one thread more. */
  withRoom(): this {
    if (this.count >= this.ids.length) this.ids = grownTo(new Int32Array(this.ids.length * 2), this.ids);
    return this;
  }

  note(start: number, patterns: readonly number[], after: 0 | 1): void {
    const { matches } = this;
    for (let i = 0; i < patterns.length; i += 1) {
      const at = this.matched;
      matches[at] = start;
      matches[at + 1] = patterns[i] as number;
      matches[at + 2] = after;
      this.matched = at + 3;
    }
  }
}

function grownTo(larger: Int32Array<ArrayBuffer>, table: Int32Array): Int32Array<ArrayBuffer> {
  larger.set(table);
  return larger;
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
