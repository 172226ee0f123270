/**
 * One pass over one text that arrives in pieces. After each `feed` the scan knows `boundary`: no match that is complete
 * or may still complete contains a character before it, except the matches that `take` hands out. Cutting the text
 * elsewhere gives the same matches and, at the same place, the same boundary.
 *
 * Matches that overlap form one component, handed out when no live start lies inside it any more, so that one decision
 * and one replacement covers it. INVARIANT: what is handed out is final. No I/O; time is linear in the text.
 */
import { MOVES, MOVES_BIT, ROW_MASK, STARTS, STARTS_BIT, UNKNOWN, type Automaton, type State, type Transition } from './automaton.ts';
import { Pieces } from '../text/pieces.ts';
import type { CompiledPattern, PatternSet } from './compiled.ts';

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

export class Scan {
  readonly #set: PatternSet;
  readonly #automaton: Automaton;
  #state: State;
  /** Start of each group of the state; entries beyond its groups mean nothing. */
  readonly #starts: number[] = [];
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
    const automaton = this.#automaton;
    const { classOf } = automaton.program;
    const base = this.#position;
    const length = text.length;
    const starts = this.#starts;
    let table = automaton.table;
    let row = automaton.revive(this.#state).row;
    // Where the one group of a STARTS entry began. Kept without a branch: where words begin cannot be foretold.
    let begun = -1;
    let checkAt = this.#checkAt - base;
    for (let i = 0; i < length; i += 1) {
      if (i === checkAt) {
        if (begun >= 0) starts[0] = base + begun;
        begun = -1;
        row = this.#dropOld(automaton.stateAt(row), base + i).row;
        table = automaton.table;
        checkAt = this.#checkAt - base;
      }
      const cls = classOf[text.charCodeAt(i)] as number;
      let entry = table[row + cls] as number;
      if (entry >>> MOVES_BIT === 0) {
        const here = (entry << (31 - STARTS_BIT)) >> 31;
        begun = (begun & ~here) | (i & here);
        row = entry & ROW_MASK;
        continue;
      }
      if (begun >= 0) starts[0] = base + begun;
      begun = -1;
      if (entry === UNKNOWN) {
        entry = automaton.advance(automaton.stateAt(row), cls);
        table = automaton.table;
      }
      if (entry < MOVES) {
        row = entry & ROW_MASK;
        if (entry >= STARTS) begun = i;
      } else {
        const transition = automaton.transition(entry);
        this.#apply(transition, base + i);
        row = transition.next.row;
      }
    }
    if (begun >= 0) starts[0] = base + begun;
    this.#state = automaton.stateAt(row);
    this.#position = base + length;
    this.#settle();
  }

  /** The text ends here. Everything is decided; what is fed next is a new text, with offsets going on. */
  flush(): void {
    const automaton = this.#automaton;
    const state = automaton.revive(this.#state);
    const edge = automaton.program.classes;
    let entry = automaton.table[state.row + edge] as number;
    if (entry === UNKNOWN) entry = automaton.advance(state, edge);
    if (entry >= MOVES) this.#apply(automaton.transition(entry), this.#position);
    this.#state = automaton.start();
    this.#checkAt = this.#position + this.#set.ageMin + 1;
    this.#settle();
    this.#partEnd = -1;
    this.#textStart = this.#position;
  }

  /** Text of a component that was just taken, or that is not decided yet. */
  textOf(start: number, end: number): string {
    return this.#recent.slice(start, end);
  }

  /** The components decided since the last call, by start. */
  take(): readonly Component[] {
    if (this.#settled.length === 0) return NOTHING;
    const taken = this.#settled.sort((a, b) => a.start - b.start);
    this.#settled = [];
    return taken;
  }

  /** Does what a transition says at the character at `position`: matches first, then the starts move. */
  #apply(transition: Transition, position: number): void {
    const { before, after, from } = transition;
    const starts = this.#starts;
    for (let i = 0; i < before.length; i += 2) this.#accept(before[i] as number, position, position, before[i + 1] as number);
    for (let i = 0; i < after.length; i += 2) this.#accept(after[i] as number, position, position + 1, after[i + 1] as number);
    // Sources never decrease, and a group only moves down, so the starts can be moved in place.
    for (let i = 0; i < from.length; i += 1) {
      const source = from[i] as number;
      starts[i] = source < 0 ? position : (starts[source] as number);
    }
    if (this.#candidates.length > 0) this.#judgeDead(from.length);
    if (this.#open.length === 0) return;
    const tooLong = position + 1 - Math.max(this.#openStart, this.#partEnd) > this.#set.holdChars;
    if (tooLong || this.#open.length > this.#openMax) this.#handOut(transition.next, position + 1, tooLong);
  }

  /** Drops what is too old at `position`, and finds out where something may be next. */
  #dropOld(state: State, position: number): State {
    const starts = this.#starts;
    let checkAt = position + this.#set.ageMin + 1;
    let old = false;
    state.ages.forEach((age, g) => {
      const due = (starts[g] as number) + age + 1;
      if (due <= position) old = true;
      else if (due < checkAt) checkAt = due;
    });
    this.#checkAt = checkAt;
    if (!old) return state;
    const { next, from } = this.#automaton.withoutOld(state, state.groups.map((_, g) => position - (starts[g] as number)));
    from.forEach((source, g) => { starts[g] = starts[source] as number; });
    if (this.#candidates.length > 0) this.#judgeDead(from.length);
    // A group that lost a pattern may have another with a later limit.
    next.ages.forEach((age, g) => { this.#checkAt = Math.min(this.#checkAt, (starts[g] as number) + age + 1); });
    return next;
  }

  #firstHolding(state: State, position: number): number {
    return state.firstHolding < 0 ? position : (this.#starts[state.firstHolding] as number);
  }

  #accept(source: number, position: number, end: number, patternIndex: number): void {
    const start = source < 0 ? position : (this.#starts[source] as number);
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
    this.#candidates.push({ pattern, start, ends: [end] });
  }

  /** Has the candidates judged whose start is none of the first `groups` live ones. */
  #judgeDead(groups: number): void {
    let kept = 0;
    for (const candidate of this.#candidates) {
      let alive = false;
      for (let i = 0; i < groups && !alive; i += 1) alive = this.#starts[i] === candidate.start;
      if (alive) this.#candidates[kept++] = candidate;
      else this.#judge(candidate);
    }
    this.#candidates.length = kept;
  }

  /** The longest candidate that is valid is the match: the shorter ones of its start lie in it. */
  #judge({ pattern, start, ends }: OpenCandidate): void {
    const before = this.#recent.slice(Math.max(this.#textStart, start - CONTEXT_CHARS), start);
    for (let i = ends.length - 1; i >= 0; i -= 1) {
      const end = ends[i] as number;
      if (pattern.validate!({ text: this.#recent.slice(start, end), before })) {
        this.#add(pattern, start, end);
        return;
      }
    }
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
    if (this.#open.length === 0 && this.#candidates.length === 0 && this.#partEnd < 0) {
      this.#boundary = this.#firstHolding(this.#state, this.#position);
      return;
    }
    if (this.#candidates.length > 0) this.#judgeDead(this.#state.groups.length);
    if (this.#open.length > 0) this.#handOut(this.#state, this.#position, false);
    let undecided = Math.min(this.#firstHolding(this.#state, this.#position), this.#openStart);
    for (const { pattern, start } of this.#candidates) if (pattern.holds && start < undecided) undecided = start;
    this.#boundary = Math.max(undecided, this.#partEnd);
    if (this.#partEnd <= undecided) this.#partEnd = -1;
  }

  /**
   * Hands out what is final in `state`: observed findings that end before the oldest live start, and components that end
   * before the oldest live start of a holding pattern. With `part`, also the sure part of a component that has
   * grown longer than any single match can be; that depends on the text alone, so it is asked for while reading only.
   */
  #handOut(state: State, position: number, part: boolean): void {
    const holdStart = this.#firstHolding(state, position);
    const liveStart = state.groups.length === 0 ? position : (this.#starts[0] as number);
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
    const liveStart = this.#state.groups.length === 0 ? this.#position : (this.#starts[0] as number);
    this.#recent.forget(Math.min(liveStart, this.#boundary) - CONTEXT_CHARS);
  }
}
