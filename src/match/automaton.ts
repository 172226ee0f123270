/**
 * One deterministic automaton for a whole program, built as texts ask for it: a state is a whole front, so that most
 * characters cost one look-up. The scan keeps the start positions, the automaton says how they move.
 *
 * A text that is made to be costly meets a new combination of threads at nearly every character. States for these would
 * be made, kept and never met again. So an entry is made when it is asked for a second time, and how many entries and states
 * may be made grows with the characters read (`CHARS_PER_STATE`); otherwise the scan steps the threads one by one, with
 * the same results. States take a quarter of `stateBytesMax` and threads the rest; a full table is emptied and filled again.
 */
import type { Program } from './program.ts';
import { Front, Threads, type Thread } from './threads.ts';

export interface State {
  readonly threads: readonly Thread[];
  /** Which look-behinds the character before satisfies. */
  readonly behind: number;
  /** Index of the oldest thread that can still complete a holding pattern, or -1. */
  readonly firstHolding: number;
  /** Where its row begins in the table of `epoch`; meaningless in another epoch, as of a state that has no row. */
  readonly row: number;
  readonly epoch: number;
}

/** A transition that does more than change the state. */
export interface Transition {
  readonly next: State;
  /** For each thread of the next state: the thread it was, or -1 for a start at the character read. */
  readonly from: readonly number[];
  /** As in Front. */
  readonly matches: readonly number[];
}

/**
 * A table entry is UNKNOWN; or the next row with a move above it, an index into MOVES; or, where something has matched or
 * the threads are too many for a move, SPECIAL less the index of a Transition. Text without matches meets the moves STAY
 * and STARTS only: the threads stay as they are, or none is left; or one is left, which starts at the character read.
 */
export const UNKNOWN = -1;
export const SPECIAL = -2;
export const MOVE_BIT = 26;
export const ROW_MASK = (1 << MOVE_BIT) - 1;
const STAY = 0;
/** A move says of each of the first four threads which of four it was, in three bits; HERE where it starts at the character read. */
const MOVED_MAX = 4;
export const HERE = 7;
export const MOVES: Int32Array = everyMove();

/** Bytes that a state takes beside its row, and each thread in it; and a transition. */
const STATE_BYTES = 300;
const STATE_THREAD_BYTES = 16;
const TRANSITION_BYTES = 200;
/** For so many characters read one state of several threads, or one entry, may be made; so many may be saved up. */
const CHARS_PER_STATE = 256;
const CHARS_PER_ENTRY = 32;
const CHARS_SAVED = 1 << 18;
/** Entries that were asked for once and are remembered, at most. */
const MET_MASK = (1 << 13) - 1;
/** So many states are kept whatever they take. */
const STATES_MIN = 16;
const NO_EPOCH = -1;

export class Automaton {
  readonly program: Program;
  readonly stride: number;
  /** Scratch: the threads that are being stepped. */
  readonly front = new Front();
  /** Scratch: which thread before `advance` each was, or -1 where it begins at the character read. */
  readonly #from: number[] = [];
  /** Entries that were asked for and not made, each in its place. */
  readonly #met = new Int32Array(MET_MASK + 1).fill(UNKNOWN);
  readonly #threads: Threads;
  /** `table[state.row + class]`: an entry as above. Read it again after `advance`. */
  table: Int32Array;
  #states: State[] = [];
  /** States without thread, by look-behind kind; of one, by the thread's id; of several, by their ids. */
  #empty: (State | undefined)[] = [];
  #single: (State | undefined)[] = [];
  #several = new Map<string, State>();
  #transitions: Transition[] = [];
  /** Characters read that no state and no entry has been made for. */
  #credit = CHARS_SAVED;
  readonly #bytesMax: number;
  /** What states and transitions take. */
  #bytes = 0;
  #epoch = 0;
  #threadsEpoch = 0;

  constructor(program: Program, stateBytesMax: number) {
    this.program = program;
    this.stride = program.classes + 1;
    this.#bytesMax = Math.min(stateBytesMax / 4, 4 * ROW_MASK);
    this.#threads = new Threads(program, (stateBytesMax * 3) / 4);
    this.table = new Int32Array(this.stride * 64).fill(UNKNOWN);
  }

  get stateCount(): number {
    return this.#states.length;
  }

  get threadCount(): number {
    return this.#threads.count;
  }

  /** How often the table of states was emptied, and how often that of threads. */
  get resets(): { readonly states: number; readonly threads: number } {
    return { states: this.#epoch, threads: this.#threads.epoch };
  }

  /** The state at the start of a text. */
  start(): State {
    this.#makeRoom();
    return this.#stateWithout(this.program.behindKind[this.program.classes] as number);
  }

  stateAt(row: number): State {
    return this.#states[row / this.stride] as State;
  }

  /** The transition behind a SPECIAL entry. */
  transition(entry: number): Transition {
    return this.#transitions[SPECIAL - entry] as Transition;
  }

  /** `chars` more characters are about to be read. */
  allow(chars: number): void {
    this.#credit = Math.min(this.#credit + chars, CHARS_SAVED);
  }

  /**
   * The entry for `state`, which has a row, and `cls`, filled. UNKNOWN where it may not be made: then the threads are to be
   * stepped. May empty the table: read `table` again, and rows of before mean nothing.
   */
  advance(state: State, cls: number): number {
    if (!this.#recurs(state.row + cls)) return UNKNOWN;
    this.#credit -= CHARS_PER_ENTRY;
    this.load(state);
    for (let g = 0; g < state.threads.length; g += 1) this.#from[g] = g;
    this.step(cls, this.#from, -1);
    const epoch = this.#epoch;
    const next = this.present();
    if (next === undefined) return UNKNOWN;
    const entry = this.#entryTo(next);
    if (this.has(state) && epoch === this.#epoch) this.table[state.row + cls] = entry;
    return entry;
  }

  /** An entry is worth making: it was asked for before, not long ago, and not too many were made of late. */
  #recurs(entry: number): boolean {
    if (this.#credit < CHARS_PER_ENTRY) return false;
    const at = entry & MET_MASK;
    if (this.#met[at] === entry) return true;
    this.#met[at] = entry;
    return false;
  }

  /** Makes `front` the threads of `state`. */
  load({ threads, behind }: State): void {
    const { front } = this;
    front.behind = behind;
    front.count = 0;
    for (let i = 0; i < threads.length; i += 1) {
      front.withRoom().ids[i] = this.#threads.idOf(threads[i] as Thread);
      front.count = i + 1;
    }
  }

  /** Moves `front` over the character of class `cls` at `position`, and `starts` with it. May empty the table. */
  step(cls: number, starts: number[], position: number): void {
    if (this.#threads.isFull) this.#resetThreads();
    this.#threads.advance(this.front, cls, starts, position);
  }

  /** Drops from `front` what is too old at `position`: of each thread the patterns whose limit is less than its age. Moves `starts` with it. */
  dropOld(starts: number[], position: number): void {
    const { front } = this;
    const { ids, count } = front;
    let kept = 0;
    for (let g = 0; g < count; g += 1) {
      const start = starts[g] as number;
      const thread = this.#threads.at(ids[g] as number);
      const id = position - start > thread.ageMax ? this.#threads.withoutOld(thread, position - start) : thread.id;
      if (id === 0) continue;
      ids[kept] = id;
      starts[kept] = start;
      kept += 1;
    }
    front.count = kept;
  }

  /** Index of the oldest thread of `front` that can still complete a holding pattern, or -1. */
  firstHolding(): number {
    const { ids, count } = this.front;
    for (let g = 0; g < count; g += 1) if (this.#threads.at(ids[g] as number).holds) return g;
    return -1;
  }

  /** The age at which the `thread`-th thread of `front` loses something. */
  ageMaxOf(thread: number): number {
    return this.#threads.at(this.front.ids[thread] as number).ageMax;
  }

  /** The state with a row that `front` is, or undefined where none may be made. */
  present(): State | undefined {
    const { ids, count, behind } = this.front;
    this.#makeRoom();
    if (count === 0) return this.#stateWithout(behind);
    if (count === 1) return (this.#single[ids[0] as number] ??= this.#make(this.#alive(), behind));
    if (this.#credit < CHARS_PER_STATE) return undefined;
    const key = ids.subarray(0, count).join();
    let state = this.#several.get(key);
    if (state === undefined) {
      this.#credit -= CHARS_PER_STATE;
      this.#several.set(key, (state = this.#make(this.#alive(), behind)));
    }
    return state;
  }

  /** `front` as a state to keep, which may have no row. */
  keep(): State {
    return this.present() ?? stateOf(this.#alive(), this.front.behind, 0, NO_EPOCH);
  }

  /** `state` has a row in the present table. */
  has(state: State): boolean {
    return state.epoch === this.#epoch;
  }

  #alive(): readonly Thread[] {
    const { ids, count } = this.front;
    return Array.from({ length: count }, (_, g) => this.#threads.at(ids[g] as number));
  }

  #stateWithout(behind: number): State {
    return (this.#empty[behind] ??= this.#make([], behind));
  }

  #make(threads: readonly Thread[], behind: number): State {
    const row = this.#states.length * this.stride;
    const state = stateOf(threads, behind, row, this.#epoch);
    if (row + this.stride > this.table.length) {
      const grown = new Int32Array(this.table.length * 2).fill(UNKNOWN);
      grown.set(this.table);
      this.table = grown;
    }
    this.#states.push(state);
    this.#bytes += STATE_BYTES + this.stride * 4 + threads.length * STATE_THREAD_BYTES;
    return state;
  }

  /** What `front` did on its last step, as an entry. */
  #entryTo(next: State): number {
    const { front } = this;
    const move = front.matched > 0 ? -1 : front.isSilent && !front.isNew ? STAY : MOVES.indexOf(moveOf(this.#from, front.count));
    if (move >= 0) return (move << MOVE_BIT) | next.row;
    this.#bytes += TRANSITION_BYTES;
    return SPECIAL - this.#transitions.push({ next, from: this.#from.slice(0, front.count), matches: front.matches.slice(0, front.matched) }) + 1;
  }

  /** Empties the table of states where it is full, or where its threads are of another epoch. */
  #makeRoom(): void {
    const full = this.#bytes > this.#bytesMax && this.#states.length > STATES_MIN;
    if (!full && this.#threadsEpoch === this.#threads.epoch) return;
    this.#epoch += 1;
    this.#threadsEpoch = this.#threads.epoch;
    this.#bytes = 0;
    this.#states = [];
    this.#empty = [];
    this.#single = [];
    this.#several = new Map();
    this.#transitions = [];
    this.table.fill(UNKNOWN);
  }

  #resetThreads(): void {
    const alive = this.#alive();
    this.#threads.reset();
    alive.forEach((thread, g) => { this.front.ids[g] = this.#threads.idOf(thread); });
  }
}

function stateOf(threads: readonly Thread[], behind: number, row: number, epoch: number): State {
  return { threads, behind, firstHolding: threads.findIndex(({ holds }) => holds), row, epoch };
}

/** STAY and STARTS first. */
function everyMove(): Int32Array {
  const moves = new Set([moveOf([], 0), moveOf([-1], 1)]);
  for (let kept = 0; kept < 1 << MOVED_MAX; kept += 1) {
    const from = [0, 1, 2, 3].filter((thread) => (kept & (1 << thread)) !== 0);
    moves.add(moveOf(from, from.length));
    if (from.length < MOVED_MAX) moves.add(moveOf([...from, -1], from.length + 1));
  }
  return Int32Array.from(moves);
}

/** The move that brings `count` threads from where `from` says. More than four, or from farther, and it is in no list. */
function moveOf(from: readonly number[], count: number): number {
  let move = 0;
  for (let i = 0; i < Math.max(count, MOVED_MAX); i += 1) {
    const source = i < count ? from[i] as number : i;
    if (i >= MOVED_MAX || source >= MOVED_MAX) return -1;
    move |= (source < 0 ? HERE : source) << (3 * i);
  }
  return move;
}
