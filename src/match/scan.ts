/**
 * One pass over one text that arrives in pieces. After each `feed` the scan knows `boundary`: no match that is complete
 * or may still complete contains a character before it, except the matches that `take` hands out. Cutting the text
 * elsewhere gives the same matches and, at the same place, the same boundary.
 *
 * Matches that overlap form one component, handed out when no live start lies inside it any more, so that one decision
 * and one replacement covers it. INVARIANT: what is handed out is final. No I/O; time is linear in the text.
 */
import { HERE, MOVE_BIT, MOVES, ROW_MASK, UNKNOWN, type Automaton, type State } from './automaton.ts';
import { Pieces } from '../text/pieces.ts';
import type { CompiledPattern, PatternSet } from './compiled.ts';
import type { Validator } from '../contract/classifier.ts';
import type { Thread } from './threads.ts';

/** A match; offsets in UTF-16 code units from where the scan began. Overlapping matches of one pattern are joined. */
export interface Finding {
  readonly pattern: CompiledPattern;
  readonly start: number;
  readonly end: number;
}

/** Overlapping findings of holding patterns, or one finding of a pattern that only observes. */
export interface Component {
  readonly start: number;
  readonly end: number;
  readonly findings: readonly Finding[];
  readonly holds: boolean;
  /** It goes on where the component before it ended: one that was too long to hold was handed out in parts. */
  readonly continued: boolean;
}

interface OpenFinding {
  readonly pattern: CompiledPattern;
  start: number;
  end: number;
}

/** What a validator will judge when its start is dead: the ends that one start has reached, in order. */
interface OpenCandidate {
  readonly pattern: CompiledPattern;
  readonly start: number;
  readonly ends: number[];
}

/** Characters before a candidate that a validator may look at. */
export const CONTEXT_CHARS = 64;
const NOTHING: readonly Component[] = [];
const FORGET_EVERY = 64;
/** Fewer open findings than this are not sorted out while reading. */
const OPEN_FINDINGS_MAX = 16;
/** Refusals that are remembered. */
const REFUSED_MAX = 8;
/** So often it is asked whether several threads have a state again. */
const PRESENT_EVERY = 64;
/** So many characters are read as moves after the last that was one. */
const MOVING_CHARS = 3;

export class Scan {
  readonly #set: PatternSet;
  readonly #automaton: Automaton;
  #state: State;
  /** Start of each thread of the state; entries beyond its threads mean nothing. */
  readonly #starts: number[] = new Array<number>(HERE + 1).fill(0);
  /** Characters fed so far. */
  #position = 0;
  /** Findings that a live start may still touch. */
  #open: OpenFinding[] = [];
  /** Above so many open findings they are sorted out; twice what the last time left, so that each is looked at a few times. */
  #openMax = OPEN_FINDINGS_MAX;
  /** Smallest start of an open finding that holds; Infinity when there is none. */
  #openStart = Infinity;
  /** Candidates whose start is alive: a longer one may come, and the longest that is valid covers the others. */
  #candidates: OpenCandidate[] = [];
  /** The latest refusals of all that begins at one place: the patterns, and where; the next takes the place of the oldest. */
  readonly #refused: CompiledPattern[] = [];
  readonly #refusedStarts: number[] = [];
  #refusedNext = 0;
  #settled: Component[] = [];
  /** Where a component that was handed out in parts has ended so far; -1 when there is none. */
  #partEnd = -1;
  #boundary = 0;
  /** The latest text: what a validator or a judge may still ask for. */
  readonly #recent = new Pieces();
  /** Pieces since it was last seen what can be forgotten. */
  #remembered = 0;
  /** Where to look for starts that are too old; no start can grow too old before. Infinity where no pattern has an age limit. */
  #checkAt: number;
  #context = '';
  #contextStart = -1;
  /** Where the present text began: nothing before it is context. */
  #textStart = 0;

  constructor(set: PatternSet) {
    this.#set = set;
    this.#automaton = set.automaton;
    this.#state = this.#automaton.start();
    this.#checkAt = set.ageMin + 1;
  }

  /** Characters fed so far. */
  get position(): number {
    return this.#position;
  }

  /** Everything before it is decided: it may leave, with the components handed out replaced. */
  get boundary(): number {
    return this.#boundary;
  }

  /** Components wait to be taken. */
  get hasSettled(): boolean {
    return this.#settled.length > 0;
  }

  /** Reads on. */
  feed(text: string): void {
    if (text.length === 0) return;
    this.#remember(text);
    this.#automaton.allow(text.length);
    this.#read(text);
    this.#position += text.length;
    this.#settle();
  }

  /** A method of its own, that ends with its loop: V8 throws the code away that it made for a loop when unseen code follows. */
  #read(text: string): void {
    for (let i = this.#automaton.has(this.#state) ? 0 : this.#walk(text, 0); i < text.length;) i = this.#run(text, i);
  }

  /** Reads on from the `from`-th character by the table of states, to the end or past a character without one; where it stopped. */
  #run(text: string, from: number): number {
    const automaton = this.#automaton;
    const { classOf } = automaton.program;
    const base = this.#position;
    const length = text.length;
    const starts = this.#starts;
    let { row } = this.#state;
    // Where the one thread of a STARTS entry began. Kept without a branch: where words begin cannot be foretold.
    let begun = -1;
    const checkAt = this.#checkAt - base;
    const end = checkAt >= from && checkAt < length ? checkAt : length;
    for (let i = from; i < end; i += 1) {
      // Most characters pass here: V8 makes the quickest code for a loop that changes nothing else.
      const { table } = automaton;
      let entry = UNKNOWN;
      let cls = 0;
      for (; i < end; i += 1) {
        cls = classOf[text.charCodeAt(i)] as number;
        entry = table[row + cls] as number;
        // Neither STAY nor STARTS.
        if (entry >>> (MOVE_BIT + 1) !== 0) break;
        const here = (entry << (31 - MOVE_BIT)) >> 31;
        begun = (begun & ~here) | (i & here);
        row = entry & ROW_MASK;
      }
      if (begun >= 0) starts[0] = base + begun;
      begun = -1;
      if (i === end) break;
      if (entry === UNKNOWN) {
        entry = automaton.advance(automaton.stateAt(row), cls);
        if (entry === UNKNOWN) {
          this.#state = automaton.stateAt(row);
          return this.#walk(text, i);
        }
      }
      if (entry < 0) {
        const { next, from: sources, matches } = automaton.transition(entry);
        this.#apply(matches, matches.length, sources, sources.length, base + i);
        if (this.#open.length > 0) this.#handOutLong(next.firstHolding, sources.length, base + i + 1);
        row = next.row;
      } else {
        const due = this.#dueAt() - base;
        if (i >= due) {
          move(starts, entry, base + i);
          row = entry & ROW_MASK;
          const { threads, firstHolding } = automaton.stateAt(row);
          if (this.#candidates.length > 0) this.#judgeDead(threads.length);
          if (this.#open.length > 0) this.#handOutLong(firstHolding, threads.length, base + i + 1);
          continue;
        }
        // Where threads move there are more moves to come: for a while all entries are taken as moves, and none needs a branch.
        const { table: moving } = automaton;
        const stop = Math.min(end, due) | 0;
        for (let last = i; ;) {
          move(starts, entry, base + i);
          row = entry & ROW_MASK;
          const moves = -(entry >>> (MOVE_BIT + 1)) >> 31;
          last = (last & ~moves) | (i & moves);
          if (i + 1 >= stop || i - last >= MOVING_CHARS) break;
          entry = moving[row + (classOf[text.charCodeAt(i + 1)] as number)] as number;
          if (entry < 0) break;
          i += 1;
        }
      }
    }
    this.#state = automaton.stateAt(row);
    return end < length && this.#isTooOld(base + end) ? this.#walk(text, end) : end;
  }

  /** Reads on from the `from`-th character, thread by thread, one character or more, until a state has a row again; where it stopped. */
  #walk(text: string, from: number): number {
    const automaton = this.#automaton;
    const { front, program: { classOf } } = automaton;
    const base = this.#position;
    const starts = this.#starts;
    automaton.load(this.#state);
    for (let i = from; i < text.length;) {
      if (base + i === this.#checkAt) this.#dropOld(base + i);
      automaton.step(classOf[text.charCodeAt(i)] as number, starts, base + i);
      if (!front.isSilent) this.#moved(base + i);
      i += 1;
      if (front.count > 1 && (base + i) % PRESENT_EVERY !== 0) continue;
      const state = automaton.present();
      if (state === undefined) continue;
      this.#state = state;
      return i;
    }
    this.#state = automaton.keep();
    return text.length;
  }

  /** Notes what matched in the last step of `front`, at the character at `position`. */
  #moved(position: number): void {
    const { front } = this.#automaton;
    const { matches, matched } = front;
    for (let i = 0; i < matched; i += 3) this.#accept(matches[i] as number, position + (matches[i + 2] as number), matches[i + 1] as number);
    if (this.#candidates.length > 0) this.#judgeDead(front.count);
    if (this.#open.length > 0) this.#handOutLong(this.#automaton.firstHolding(), front.count, position + 1);
  }

  /** The text ends here. Everything is decided; what is fed next is a new text, with offsets going on. */
  flush(): void {
    const automaton = this.#automaton;
    automaton.load(this.#state);
    automaton.step(automaton.program.classes, this.#starts, this.#position);
    if (!automaton.front.isSilent) this.#moved(this.#position);
    this.#state = automaton.start();
    this.#checkAt = this.#position + this.#set.ageMin + 1;
    this.#settle();
    this.#partEnd = -1;
    this.#textStart = this.#position;
    this.#contextStart = -1;
  }

  /** Text of a component that was just taken, or that is not decided yet. */
  textOf(start: number, end: number): string {
    return this.#recent.slice(start, end);
  }

  /** The components decided since the last call, by start. */
  take(): readonly Component[] {
    if (this.#settled.length === 0) return NOTHING;
    const taken = this.#settled;
    this.#settled = [];
    // One is the usual number, and sorting it would cost as much as finding it.
    return taken.length === 1 ? taken : taken.sort((a, b) => a.start - b.start);
  }

  /** At the character at `position`: what matches is noted, then the starts move. */
  #apply(matches: readonly number[], matched: number, from: readonly number[], count: number, position: number): void {
    const starts = this.#starts;
    for (let i = 0; i < matched; i += 3) {
      const source = matches[i] as number;
      this.#accept(source < 0 ? position : (starts[source] as number), position + (matches[i + 2] as number), matches[i + 1] as number);
    }
    // Sources never decrease, and a thread only moves down, so the starts can be moved in place.
    for (let i = 0; i < count; i += 1) {
      const source = from[i] as number;
      starts[i] = source < 0 ? position : (starts[source] as number);
    }
    if (this.#candidates.length > 0) this.#judgeDead(count);
  }

  /** Where a move may have more to do than to move the starts. */
  #dueAt(): number {
    if (this.#candidates.length > 0 || this.#open.length > this.#openMax) return 0;
    return this.#open.length === 0 ? Infinity : Math.max(this.#openStart, this.#partEnd) + this.#set.holdChars;
  }

  /** What is open is sorted out when it is much, or longer than any match. Asked where something matches or moves only, so by the text alone. */
  #handOutLong(firstHolding: number, count: number, position: number): void {
    const tooLong = position - Math.max(this.#openStart, this.#partEnd) > this.#set.holdChars;
    if (tooLong || this.#open.length > this.#openMax) this.#handOut(this.#startOr(firstHolding, position), this.#startOr(count === 0 ? -1 : 0, position), position, tooLong);
  }

  /** Whether something in the state is too old at `position`; where not, finds out where something may be next. */
  #isTooOld(position: number): boolean {
    const { threads } = this.#state;
    let at = position + this.#set.ageMin + 1;
    for (let i = 0; i < threads.length; i += 1) at = Math.min(at, (this.#starts[i] as number) + (threads[i] as Thread).ageMax + 1);
    if (at <= position) return true;
    this.#checkAt = at;
    return false;
  }

  /** Drops what is too old at `position`, and finds out where something may be next. */
  #dropOld(position: number): void {
    const automaton = this.#automaton;
    const starts = this.#starts;
    automaton.dropOld(starts, position);
    const { count } = automaton.front;
    if (this.#candidates.length > 0) this.#judgeDead(count);
    this.#checkAt = position + this.#set.ageMin + 1;
    for (let i = 0; i < count; i += 1) this.#checkAt = Math.min(this.#checkAt, (starts[i] as number) + automaton.ageMaxOf(i) + 1);
  }

  /** Where the `thread`-th thread began; `position` for -1, where there is none. */
  #startOr(thread: number, position: number): number {
    return thread < 0 ? position : (this.#starts[thread] as number);
  }

  #accept(start: number, end: number, patternIndex: number): void {
    const pattern = this.#set.patterns[patternIndex] as CompiledPattern;
    if (end - start > pattern.maxChars) return;
    if (pattern.validate === undefined) this.#add(pattern, start, end);
    else this.#addCandidate(pattern, start, end);
  }

  #addCandidate(pattern: CompiledPattern, start: number, end: number): void {
    for (let i = this.#candidates.length - 1; i >= 0; i -= 1) {
      const other = this.#candidates[i] as OpenCandidate;
      if (other.pattern !== pattern || other.start !== start) continue;
      if (other.ends[other.ends.length - 1] !== end) other.ends.push(end);
      return;
    }
    if (pattern.behind === undefined || !this.#isRefused(pattern, start)) this.#candidates.push({ pattern, start, ends: [end] });
  }

  /** Whether no end of a match of `pattern` from `start` can be accepted: asked once, as long as few others were refused since. */
  #isRefused(pattern: CompiledPattern, start: number): boolean {
    const refused = this.#refused;
    for (let i = 0; i < refused.length; i += 1) if (refused[i] === pattern && this.#refusedStarts[i] === start) return true;
    if ((pattern.behind as NonNullable<Validator['behind']>)(this.#contextOf(start))) return false;
    refused[this.#refusedNext] = pattern;
    this.#refusedStarts[this.#refusedNext] = start;
    this.#refusedNext = (this.#refusedNext + 1) % REFUSED_MAX;
    return true;
  }

  /** Has the candidates judged whose start is none of the first `count` live ones. */
  #judgeDead(count: number): void {
    let kept = 0;
    for (const candidate of this.#candidates) {
      let alive = false;
      for (let i = 0; i < count && !alive; i += 1) alive = this.#starts[i] === candidate.start;
      if (alive) this.#candidates[kept++] = candidate;
      else this.#judge(candidate);
    }
    while (this.#candidates.length > kept) this.#candidates.pop();
  }

  /** The longest candidate that is valid is the match: the shorter ones of its start lie in it. */
  #judge({ pattern, start, ends }: OpenCandidate): void {
    const before = this.#contextOf(start);
    for (let i = ends.length - 1; i >= 0; i -= 1) {
      const end = ends[i] as number;
      if (pattern.validate!({ text: this.#recent.slice(start, end), before })) {
        this.#add(pattern, start, end);
        return;
      }
    }
  }

  /** What stands before `start`: the same string for all candidates of one start, which validators remember. */
  #contextOf(start: number): string {
    if (this.#contextStart !== start) {
      this.#context = this.#recent.slice(Math.max(this.#textStart, start - CONTEXT_CHARS), start);
      this.#contextStart = start;
    }
    return this.#context;
  }

  /** Adds a match, joined with those of the same pattern that it overlaps. */
  #add(pattern: CompiledPattern, start: number, end: number): void {
    const open = this.#open;
    let joined: OpenFinding | undefined;
    for (let i = open.length - 1; i >= 0; i -= 1) {
      const other = open[i] as OpenFinding;
      if (other.pattern !== pattern || other.end <= start || other.start >= end) continue;
      if (joined === undefined) {
        other.start = Math.min(other.start, start);
        other.end = Math.max(other.end, end);
        joined = other;
      } else {
        joined.start = Math.min(other.start, joined.start);
        joined.end = Math.max(other.end, joined.end);
        open.splice(i, 1);
      }
    }
    if (joined === undefined) open.push({ pattern, start, end });
    if (pattern.holds && start < this.#openStart) this.#openStart = start;
  }

  #settle(): void {
    const holdStart = this.#startOr(this.#state.firstHolding, this.#position);
    if (this.#open.length === 0 && this.#candidates.length === 0 && this.#partEnd < 0) {
      this.#boundary = holdStart;
      return;
    }
    if (this.#candidates.length > 0) this.#judgeDead(this.#state.threads.length);
    if (this.#open.length > 0) this.#handOut(holdStart, this.#startOr(this.#state.threads.length === 0 ? -1 : 0, this.#position), this.#position, false);
    let undecided = Math.min(holdStart, this.#openStart);
    for (const { pattern, start } of this.#candidates) if (pattern.holds && start < undecided) undecided = start;
    this.#boundary = Math.max(undecided, this.#partEnd);
    if (this.#partEnd <= undecided) this.#partEnd = -1;
  }

  /**
   * Hands out what is final: observed findings that end before the oldest live start, and components that end before the
   * oldest live start of a holding pattern. With `part`, also the sure part of a component that has
   * grown longer than any single match can be; that depends on the text alone, so it is asked for while reading only.
   */
  #handOut(holdStart: number, liveStart: number, position: number, part: boolean): void {
    if (this.#open.length === 1 && !part) return this.#handOutOne(this.#open[0] as OpenFinding, holdStart, liveStart);
    const holding: OpenFinding[] = [];
    const kept: OpenFinding[] = [];
    for (const finding of this.#open) {
      if (finding.pattern.holds) holding.push(finding);
      else if (finding.end <= liveStart) this.#settled.push({ start: finding.start, end: finding.end, findings: [finding], holds: false, continued: false });
      else kept.push(finding);
    }
    this.#open = kept;
    this.#openStart = Infinity;
    holding.sort((a, b) => a.start - b.start);
    for (let i = 0; i < holding.length;) {
      const { start } = holding[i] as OpenFinding;
      let end = (holding[i] as OpenFinding).end;
      let j = i + 1;
      while (j < holding.length && (holding[j] as OpenFinding).start < end) end = Math.max(end, (holding[j++] as OpenFinding).end);
      const members = holding.slice(i, j);
      const final = end <= holdStart;
      if (final || (part && position - Math.max(start, this.#partEnd) > this.#set.holdChars)) this.#emit(members, start, end, final);
      else {
        kept.push(...members);
        this.#openStart = Math.min(this.#openStart, start);
      }
      i = j;
    }
    this.#openMax = Math.max(OPEN_FINDINGS_MAX, 2 * kept.length);
  }

  /** The usual case: one finding is open. */
  #handOutOne(finding: OpenFinding, holdStart: number, liveStart: number): void {
    const { start, end, pattern } = finding;
    if (end > (pattern.holds ? holdStart : liveStart)) return;
    if (pattern.holds) this.#emit([finding], start, end, true);
    else this.#settled.push({ start, end, findings: [finding], holds: false, continued: false });
    this.#open = [];
    this.#openStart = Infinity;
  }

  #emit(findings: readonly Finding[], start: number, end: number, final: boolean): void {
    const continued = start < this.#partEnd;
    const from = continued ? this.#partEnd : start;
    // A finding inside the part that was handed out changes no text, but is told all the same.
    this.#settled.push({ start: from, end: Math.max(from, end), findings, holds: true, continued });
    if (continued || !final) this.#partEnd = Math.max(this.#partEnd, end);
  }

  /** Keeps text back to what is undecided or alive, and the context before it; looks only now and then. */
  #remember(text: string): void {
    this.#recent.append(text);
    this.#remembered += 1;
    if (this.#remembered < FORGET_EVERY) return;
    this.#remembered = 0;
    const liveStart = this.#state.threads.length === 0 ? this.#position : (this.#starts[0] as number);
    this.#recent.forget(Math.min(liveStart, this.#boundary) - CONTEXT_CHARS);
  }
}

/** Moves the first threads as `entry` says, at the character at `position`. Without a branch: how threads move cannot be foretold. */
function move(starts: number[], entry: number, position: number): void {
  const sources = MOVES[entry >> MOVE_BIT] as number;
  starts[HERE] = position;
  const first = starts[sources & 7] as number;
  const second = starts[(sources >> 3) & 7] as number;
  const third = starts[(sources >> 6) & 7] as number;
  const fourth = starts[sources >> 9] as number;
  starts[0] = first;
  starts[1] = second;
  starts[2] = third;
  starts[3] = fourth;
}
