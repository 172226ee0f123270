/**
 * One deterministic automaton for a whole program, built as texts ask for it: a state is a whole front, so that most
 * characters cost one look-up. The scan keeps the start positions, the automaton says how they move.
 *
 * A text that is made to be costly meets a new combination of threads at nearly every character. States for these would
 * be made, kept and never met again. So the number of states that may be made grows with the characters read
 * (`CHARS_PER_STATE`); beyond it the scan steps the threads one by one, with the same results. States take a quarter
 * of `stateBytesMax` and threads the rest; a full table is emptied and filled again.
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
 * A table entry is UNKNOWN, or the next row with flags above it. No flag: the threads stay as they are, or none is left.
 * STARTS: one thread is left, which starts at the character read. MOVES: the rest is the index of a Transition, which says
 * how the threads move and what has matched. Text without matches meets the first two only.
 */
export const UNKNOWN = -1;
export const STARTS_BIT = 29;
export const MOVES_BIT = 30;
export const ROW_MASK = (1 << 28) - 1;
export const STARTS = 1 << STARTS_BIT;
export const MOVES = 1 << MOVES_BIT;

/** Bytes that a state takes beside its row, and each thread in it; and a transition. */
const STATE_BYTES = 300;
const STATE_THREAD_BYTES = 16;
const TRANSITION_BYTES = 200;
/** One state of several threads may be made for so many characters read, and so many may be saved up. */
const CHARS_PER_STATE = 256;
const STATES_SAVED = 1024;
/** So many states are kept whatever they take. */
const STATES_MIN = 16;
const NO_EPOCH = -1;

export class Automaton {
  readonly program: Program;
  readonly stride: number;
  /** Scratch: the threads that are being stepped. */
  readonly front = new Front();
  readonly #threads: Threads;
  /** `table[state.row + class]`: an entry as above. Read it again after `advance`. */
  table: Int32Array;
  #states: State[] = [];
  /** States without thread, by look-behind kind; of one, by the thread's row; of several, by their rows. */
  #empty: (State | undefined)[] = [];
  #single = new Map<number, State>();
  #several = new Map<string, State>();
  #transitions: Transition[] = [];
  /** Characters read that no state has been made for. */
  #credit = STATES_SAVED * CHARS_PER_STATE;
  readonly #bytesMax: number;
  /** What states and transitions take. */
  #bytes = 0;
  #epoch = 0;
  #threadsEpoch = 0;

  constructor(program: Program, stateBytesMax: number) {
    this.program = program;
    this.stride = program.classes + 1;
    this.#bytesMax = stateBytesMax / 4;
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

  /** The transition behind an entry with MOVES. */
  transition(entry: number): Transition {
    return this.#transitions[entry & ROW_MASK] as Transition;
  }

  /** `chars` more characters are about to be read. */
  allow(chars: number): void {
    this.#credit = Math.min(this.#credit + chars, STATES_SAVED * CHARS_PER_STATE);
  }

  /**
   * The entry for `state` and `cls`, filled. UNKNOWN where no state may be made for what follows: then `front` has made
   * the step. May empty the table: read `table` again, and rows of before mean nothing.
   */
  advance(state: State, cls: number): number {
    this.load(state);
    this.step(cls);
    const epoch = this.#epoch;
    const next = this.present();
    if (next === undefined) return UNKNOWN;
    const entry = this.#entryTo(next);
    if (this.has(state) && epoch === this.#epoch) this.table[state.row + cls] = entry;
    return entry;
  }

  /** Makes `front` the threads of `state`. */
  load({ threads, behind }: State): void {
    const { front } = this;
    front.behind = behind;
    front.count = threads.length;
    for (let i = 0; i < threads.length; i += 1) front.rows[i] = this.#threads.rowOf(threads[i] as Thread);
  }

  /** Moves `front` over a character of class `cls`. May empty the table. */
  step(cls: number): void {
    if (this.#threads.isFull) this.#resetThreads();
    this.#threads.advance(this.front, cls);
  }

  /**
   * Drops from `front` what is too old: of each thread, `age(thread)` characters old, the patterns whose limit is less. Sets
   * `from` as a step does.
   */
  dropOld(age: (thread: number) => number): void {
    const { front } = this;
    let kept = 0;
    for (let g = 0; g < front.count; g += 1) {
      const thread = this.#threads.at(front.rows[g] as number);
      const row = age(g) > thread.ageMax ? this.#threads.withoutOld(thread, age(g)) : front.rows[g] as number;
      if (row === 0) continue;
      front.rows[kept] = row;
      front.from[kept] = g;
      kept += 1;
    }
    front.was = front.count;
    front.count = kept;
  }

  /** Index of the oldest thread of `front` that can still complete a holding pattern, or -1. */
  firstHolding(): number {
    const { rows, count } = this.front;
    for (let g = 0; g < count; g += 1) if (this.#threads.at(rows[g] as number).holds) return g;
    return -1;
  }

  /** The age at which the `thread`-th thread of `front` loses something. */
  ageMaxOf(thread: number): number {
    return this.#threads.at(this.front.rows[thread] as number).ageMax;
  }

  /** The state with a row that `front` is, or undefined where none may be made. */
  present(): State | undefined {
    const { rows, count, behind } = this.front;
    this.#makeRoom();
    if (count === 0) return this.#stateWithout(behind);
    if (count === 1) {
      const row = rows[0] as number;
      let state = this.#single.get(row);
      if (state === undefined) this.#single.set(row, (state = this.#make(this.#alive(), behind)));
      return state;
    }
    if (this.#credit < CHARS_PER_STATE) return undefined;
    const key = rows.slice(0, count).join();
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
    const { rows, count } = this.front;
    return Array.from({ length: count }, (_, g) => this.#threads.at(rows[g] as number));
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
    if (front.isSilent) return front.isNew ? STARTS | next.row : next.row;
    this.#bytes += TRANSITION_BYTES;
    return MOVES | (this.#transitions.push({ next, from: front.from.slice(0, front.count), matches: front.matches.slice(0, front.matched) }) - 1);
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
    this.#single = new Map();
    this.#several = new Map();
    this.#transitions = [];
    this.table.fill(UNKNOWN);
  }

  #resetThreads(): void {
    const alive = this.#alive();
    this.#threads.reset();
    alive.forEach((thread, g) => { this.front.rows[g] = this.#threads.rowOf(thread); });
  }
}

function stateOf(threads: readonly Thread[], behind: number, row: number, epoch: number): State {
  return { threads, behind, firstHolding: threads.findIndex(({ holds }) => holds), row, epoch };
}
