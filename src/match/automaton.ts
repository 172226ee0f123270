/**
 * One deterministic automaton for a whole program, built state by state as texts ask for it. A state is what a scan must
 * remember: for every start from which a match may still complete (a group), the instructions it has reached. Groups
 * are ordered, oldest start first; the scan keeps the start positions, the automaton says how they move.
 *
 * INVARIANT: where a pattern has no validator, an instruction stands only in the oldest group that reaches it: whatever a
 * younger start would match from there, the older one matches too, and covers it. So the number of groups, and with it
 * the work for each character, does not depend on the length of the text.
 *
 * The table of transitions is bounded (`stateBytesMax`): when it is full it is emptied and filled again, counted in
 * `resets`. A scan holds the State object, which survives that.
 */
import { ACCEPT, AHEAD, BEHIND, CHAR, SPLIT, type Program } from './program.ts';

/** The instructions that one start has reached: CHAR and AHEAD only, sorted. */
type Group = readonly number[];

export interface State {
  readonly groups: readonly Group[];
  /** Which look-behinds the character before satisfies. */
  readonly behind: number;
  /** Index of the oldest group that can still complete a holding pattern, or -1. */
  readonly firstHolding: number;
  /** For each group: the least age at which some of its instructions are dropped, or Infinity. */
  readonly ages: readonly number[];
  /** Where its row begins in the table of `epoch`. */
  row: number;
  epoch: number;
}

/** A transition that does more than change the state. */
export interface Transition {
  readonly next: State;
  /** For each group of the next state: the group it comes from, or -1 for a start at the character read. */
  readonly from: Int16Array;
  /** Pairs (source group or -1, pattern): matches that end before the character read. */
  readonly before: readonly number[];
  /** The same for matches that end after it. */
  readonly after: readonly number[];
}

/**
 * A table entry is UNKNOWN, or the next row with flags above it. No flag: the groups stay as they are, or none is left.
 * STARTS: one group is left, which starts at the character read. MOVES: the rest is the index of a Transition, which says
 * how the groups move and what has matched. Text without matches meets the first two only.
 */
export const UNKNOWN = -1;
export const STARTS_BIT = 29;
export const MOVES_BIT = 30;
export const ROW_MASK = (1 << 28) - 1;
export const STARTS = 1 << STARTS_BIT;
export const MOVES = 1 << MOVES_BIT;

/** Bytes that a state takes beside its row: the object, its key, and each instruction of its groups. */
const STATE_BYTES = 400;
const ITEM_BYTES = 24;
/** So many states are kept whatever they take: fewer would be made again at every character. */
const STATES_MIN = 16;

const NO_AGES: readonly number[] = [];

export class Automaton {
  readonly program: Program;
  readonly stride: number;
  readonly #statesMax: number;
  readonly #bytesMax: number;
  /** What the states and transitions take beside the table. */
  #bytes = 0;
  /** `table[state.row + class]`: an entry as above. Read it again after `advance`. */
  table: Int32Array;
  epoch = 0;
  resets = 0;
  #states: State[] = [];
  #index = new Map<string, State>();
  #transitions: Transition[] = [];
  /** Stamps against visiting an instruction twice, in one group and in all older groups. */
  readonly #inGroup: Int32Array;
  readonly #inOlder: Int32Array;
  #groupStamp = 0;
  /** By pattern: stamped in the transition in which an older start of it goes on. */
  readonly #alive: Int32Array;
  readonly #anyOnce: boolean;
  readonly #limited: boolean;
  #aliveStamp = 0;
  #olderStamp = 0;
  /** For each kind of look-behind: one class that is of this kind. */
  readonly #classOfKind: readonly number[];
  /** By look-behind kind and class: what a start at this character reaches. The same for every state. */
  readonly #startReach = new Map<number, readonly number[]>();

  constructor(program: Program, stateBytesMax: number) {
    this.program = program;
    this.stride = program.classes + 1;
    this.#statesMax = Math.min(Math.max(STATES_MIN, Math.floor(stateBytesMax / (this.stride * 4))), Math.floor(ROW_MASK / this.stride) - 1);
    this.#bytesMax = stateBytesMax;
    this.table = new Int32Array(this.stride * Math.min(64, this.#statesMax)).fill(UNKNOWN);
    this.#inGroup = new Int32Array(program.kind.length).fill(-1);
    this.#inOlder = new Int32Array(program.kind.length).fill(-1);
    this.#alive = new Int32Array(program.once.length);
    this.#anyOnce = program.once.includes(1);
    this.#limited = program.maxChars.some((limit) => limit > 0);
    const classOfKind: number[] = [];
    program.behindKind.forEach((kind, cls) => { classOfKind[kind] = cls; });
    this.#classOfKind = classOfKind;
  }

  get stateCount(): number {
    return this.#states.length;
  }

  /** The state at the start of a text. */
  start(): State {
    return this.#intern([], this.program.behindKind[this.program.classes] as number);
  }

  /** `state`, with a row in the present table. */
  revive(state: State): State {
    return state.epoch === this.epoch ? state : this.#intern(state.groups, state.behind);
  }

  stateAt(row: number): State {
    return this.#states[row / this.stride] as State;
  }

  /** The transition behind an entry with MOVES. */
  transition(entry: number): Transition {
    return this.#transitions[entry & ROW_MASK] as Transition;
  }

  /** Fills the entry for `state` and `cls` and returns it. May empty the table: revive states and read `table` again. */
  advance(state: State, cls: number): number {
    state = this.#withRoom(state);
    const made = this.#compute(state, cls);
    const entry = this.#entryOf(made, state.groups.length);
    this.table[state.row + cls] = entry;
    return entry;
  }

  /**
   * `state` without what is too old: of each group, the patterns whose age limit is less than its age. `from` says which
   * groups are left. May empty the table, as `advance`.
   */
  withoutOld(state: State, ages: readonly number[]): { readonly next: State; readonly from: readonly number[] } {
    const { patternOf, maxChars } = this.program;
    const from: number[] = [];
    const groups: Group[] = [];
    state.groups.forEach((group, g) => {
      const young = group.filter((item) => {
        const limit = maxChars[patternOf[item] as number] as number;
        return limit === 0 || (ages[g] as number) <= limit;
      });
      if (young.length === 0) return;
      groups.push(young.length === group.length ? group : young);
      from.push(g);
    });
    return { next: this.#intern(groups, this.#withRoom(state).behind), from };
  }

  /** `state`, after making room for another where the table is full. */
  #withRoom(state: State): State {
    if (this.#states.length < this.#statesMax && (this.#bytes <= this.#bytesMax || this.#states.length < STATES_MIN)) return state;
    this.#reset();
    return this.revive(state);
  }

  #entryOf(made: Transition, groups: number): number {
    const { from, next } = made;
    if (made.before.length === 0 && made.after.length === 0) {
      if (from.length === groups && from.every((source, i) => source === i)) return next.row;
      if (from.length === 0) return next.row;
      if (from.length === 1 && from[0] === -1) return STARTS | next.row;
    }
    this.#bytes += STATE_BYTES / 2;
    return MOVES | (this.#transitions.push(made) - 1);
  }

  #reset(): void {
    this.epoch += 1;
    this.resets += 1;
    this.#states = [];
    this.#index = new Map();
    this.#transitions = [];
    this.#bytes = 0;
    this.table.fill(UNKNOWN);
  }

  #compute(state: State, cls: number): Transition {
    const { behindKind } = this.program;
    const behind = behindKind[cls] as number;
    const groups: Group[] = [];
    const from: number[] = [];
    const before: number[] = [];
    const after: number[] = [];
    this.#olderStamp += 2;
    this.#aliveStamp += 1;
    for (let g = 0; g <= state.groups.length; g += 1) {
      const group = state.groups[g];
      const source = group === undefined ? -1 : g;
      const reached = group === undefined ? this.#mayBegin(this.#reachOfStart(state.behind, cls)) : this.#resolve(group, state.behind, cls, (pattern) => before.push(source, pattern));
      const items = this.#consume(reached, cls, behind, (pattern) => after.push(source, pattern));
      if (items.length === 0) continue;
      if (source >= 0) this.#markAlive(items);
      groups.push(items);
      from.push(source);
    }
    return { next: this.#intern(groups, behind), from: Int16Array.from(from), before, after };
  }

  #markAlive(items: Group): void {
    const { patternOf, once } = this.program;
    for (const item of items) if (once[patternOf[item] as number] === 1) this.#alive[patternOf[item] as number] = this.#aliveStamp;
  }

  /** Without the beginnings of patterns that begin once and are under way. */
  #mayBegin(reach: readonly number[]): readonly number[] {
    const { patternOf } = this.program;
    return this.#anyOnce ? reach.filter((item) => this.#alive[patternOf[item] as number] !== this.#aliveStamp) : reach;
  }

  /** The CHAR instructions that a match starting at a character of class `cls` begins with, of those that take it. */
  #reachOfStart(behind: number, cls: number): readonly number[] {
    const key = behind * this.stride + cls;
    let reach = this.#startReach.get(key);
    if (reach === undefined) {
      const { operand, members } = this.program;
      this.#groupStamp += 1;
      const reached: number[] = [];
      // No pattern matches the empty text, so nothing is accepted here.
      this.#close(this.program.start, behind, cls, reached, () => undefined, 1);
      reach = reached.filter((item) => members[operand[item] as number]![cls] === 1);
      this.#startReach.set(key, reach);
    }
    return reach;
  }

  /** The CHAR instructions that `items` reach before a character of class `cls`; look-aheads are decided by it. */
  #resolve(items: Group, behind: number, cls: number, accept: (pattern: number) => void): readonly number[] {
    const { kind, operand, next, members } = this.program;
    this.#groupStamp += 1;
    const reached: number[] = [];
    for (const item of items) {
      if (kind[item] === CHAR) reached.push(item);
      else if (members[operand[item] as number]![cls] === 1) this.#close(next[item] as number, behind, cls, reached, accept, 1);
    }
    return reached;
  }

  /** The items after reading `cls` from `reached`, without those that an older group has. */
  #consume(reached: readonly number[], cls: number, behind: number, accept: (pattern: number) => void): Group {
    const { operand, next, members } = this.program;
    this.#groupStamp += 1;
    const items: number[] = [];
    for (const item of reached) {
      if (members[operand[item] as number]![cls] === 1) this.#close(next[item] as number, behind, UNKNOWN, items, accept, 0);
    }
    return inOrder(items);
  }

  /**
   * Follows everything that reads no character, from `first`. With `ahead` known, look-aheads are decided; otherwise they
   * are items. `phase` 1 is before the character, 0 after it: the two keep separate stamps of what older groups hold.
   */
  #close(first: number, behind: number, ahead: number, items: number[], accept: (pattern: number) => void, phase: 0 | 1): void {
    const { kind, operand, next, splits, members } = this.program;
    const stack = [first];
    while (stack.length > 0) {
      const at = stack.pop() as number;
      if (this.#inGroup[at] === this.#groupStamp) continue;
      this.#inGroup[at] = this.#groupStamp;
      switch (kind[at]) {
        case SPLIT: {
          const outs = splits[operand[at] as number] as Int32Array;
          for (let i = outs.length - 1; i >= 0; i -= 1) stack.push(outs[i] as number);
          break;
        }
        case BEHIND:
          if (this.#behindHolds(operand[at] as number, behind)) stack.push(next[at] as number);
          break;
        case AHEAD:
          if (ahead === UNKNOWN) this.#keep(at, items, phase);
          else if (members[operand[at] as number]![ahead] === 1) stack.push(next[at] as number);
          break;
        case ACCEPT:
          if (this.#claim(at, phase)) accept(operand[at] as number);
          break;
        default:
          if (phase === 1) items.push(at);
          else this.#keep(at, items, phase);
      }
    }
  }

  #keep(at: number, items: number[], phase: 0 | 1): void {
    if (this.#claim(at, phase)) items.push(at);
  }

  /** False when an older group has the instruction and its pattern needs no validator. */
  #claim(at: number, phase: 0 | 1): boolean {
    if (this.program.validated[at] === 1) return true;
    const stamp = this.#olderStamp + phase;
    if (this.#inOlder[at] === stamp) return false;
    this.#inOlder[at] = stamp;
    return true;
  }

  #behindHolds(set: number, behind: number): boolean {
    return this.program.members[set]![this.#classOfKind[behind] as number] === 1;
  }

  #intern(groups: readonly Group[], behind: number): State {
    const key = keyOf(groups, behind);
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const row = this.#states.length * this.stride;
    const { holds, maxChars, patternOf } = this.program;
    const ageOf = (group: Group): number => group.reduce((least, item) => Math.min(least, maxChars[patternOf[item] as number] || Infinity), Infinity);
    const state: State = {
      ages: this.#limited ? groups.map(ageOf) : NO_AGES,
      groups, behind, firstHolding: groups.findIndex((group) => group.some((item) => holds[item] === 1)), row, epoch: this.epoch };
    if (row + this.stride > this.table.length) {
      const grown = new Int32Array(Math.min(this.table.length * 2, this.stride * (this.#statesMax + 2))).fill(UNKNOWN);
      grown.set(this.table);
      this.table = grown;
    }
    this.#states.push(state);
    this.#index.set(key, state);
    this.#bytes += STATE_BYTES + this.stride * 4 + groups.reduce((sum, group) => sum + group.length * ITEM_BYTES, 0);
    return state;
  }
}

/** Instructions in ascending order, so that one set is one group. */
function inOrder(items: number[]): Group {
  for (let i = 1; i < items.length; i += 1) {
    // Instructions come nearly sorted, so moving each to its place costs little.
    const item = items[i] as number;
    let at = i;
    for (; at > 0 && (items[at - 1] as number) > item; at -= 1) items[at] = items[at - 1] as number;
    items[at] = item;
  }
  return items;
}

/** A short key: two characters for each instruction, one between groups that no instruction has. */
function keyOf(groups: readonly Group[], behind: number): string {
  const codes: number[] = [behind];
  for (const group of groups) {
    codes.push(0xffff);
    for (const item of group) codes.push(item & 0x7fff, item >> 15);
  }
  return String.fromCharCode.apply(null, codes);
}
