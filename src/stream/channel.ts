/**
 * One text of an answer as it arrives: scanned, decided, and told how far it may leave. `released` grows to where
 * nothing can change any more; `edits` says what is replaced before it. The text itself is kept only while it waits.
 *
 * INVARIANT: what has been released never changes, and is the same for every cut of the text.
 * A JSON channel reads JSON that arrives as text (tool arguments): strings are matched on their decoded values and
 * rewritten so that the JSON stays valid.
 */
import { Scan, type Component } from '../match/scan.ts';
import type { Release } from '../contract/hold.ts';
import type { PatternSet } from '../match/compiled.ts';
import type { TextEdit } from '../text/edits.ts';
import { JsonText } from '../text/json-text.ts';
import { Pieces } from '../text/pieces.ts';
import type { Gate, ScoredWindow } from './gate.ts';

/** Edits are in offsets of the scanned text. */
export type SettledRuling = { readonly blocked: true } | { readonly blocked: false; readonly edits: readonly TextEdit[] };

/** What to do about matches that belong together; with `after` nothing, until `release` says which of these. */
export type Ruling = SettledRuling | { readonly after: Readonly<Record<Release, SettledRuling>> };

/** Judges a component; `text` is its text, or undefined when it is too long to be kept. */
export type Judge = (component: Component, text: string | undefined) => Ruling;

/** Judges a window of the text with its scores, and the components that end in it. */
export type JudgeWindow = (scored: ScoredWindow, components: readonly Component[], textOf: (component: Component) => string | undefined) => Ruling;

export interface ChannelOptions {
  readonly set: PatternSet;
  readonly judge: Judge;
  /** Present where scores of classifiers can change what happens: text then waits for its window. */
  readonly gate?: Gate;
  readonly judgeWindow?: JudgeWindow;
}

export interface Channel {
  /** Takes the next piece. Returns false when the policy blocks: nothing more may leave. */
  feed(text: string): boolean;
  /** The text is complete: everything is decided. A later piece begins a new text, offsets going on. */
  close(): boolean;
  /** Characters taken. */
  readonly position: number;
  /** Everything before it is decided. */
  readonly released: number;
  /** Replacements that reach beyond `forget`, sorted, not overlapping. */
  readonly edits: readonly TextEdit[];
  /** Replacements made so far. */
  readonly replaced: number;
  /** Drops edits that end at or before `offset`. */
  forget(offset: number): void;
  /** Scores have arrived: decides what they allow. Returns false when the policy blocks. */
  settle(): boolean;
  /** Scores are still to come for text that was taken. */
  readonly scoresDue: boolean;
  /** No scores are wanted any more. */
  abandon(): void;
  /** A ruling waits for a person: nothing from its place on leaves, and nothing after it is judged. */
  readonly held: boolean;
  /** The wait is over, where it is `held`; `settle` goes on with what came to be. */
  release(release: Release): void;
}

const NO_EDITS: TextEdit[] = [];

interface Unjudged {
  readonly component: Component;
  readonly text: string | undefined;
}

interface HeldPlace {
  readonly after: Readonly<Record<Release, SettledRuling>>;
  readonly start: number;
  /** Nothing from here on leaves. */
  readonly from: number;
  release?: Release;
}

abstract class ScanningChannel {
  protected readonly scan: Scan;
  /** Scanned text that waits for more than the scan: for scores, or for the end of a number. */
  protected readonly waiting = new Pieces();
  readonly #options: ChannelOptions;
  /** Components that wait for the scores of their window. */
  #pending: Component[] = [];
  #edits: TextEdit[] = NO_EDITS;
  #replaced = 0;
  /** Where no gate holds them: components that are to be judged when what is held before them is let go, with their texts. */
  readonly #unjudged: Unjudged[] = [];
  #held: HeldPlace | undefined;
  /** Where the match begins that the policy blocked, or -1. */
  #blockedAt = -1;

  constructor(options: ChannelOptions) {
    this.scan = new Scan(options.set);
    this.#options = options;
  }

  get scoresDue(): boolean {
    return this.#options.gate?.waiting === true || this.held;
  }

  get held(): boolean {
    return this.#held !== undefined;
  }

  release(release: Release): void {
    (this.#held as HeldPlace).release = release;
  }

  abandon(): void {
    this.#options.gate?.close();
  }

  get edits(): readonly TextEdit[] {
    return this.#edits;
  }

  get replaced(): number {
    return this.#replaced;
  }

  forget(offset: number): void {
    const edits = this.#edits;
    if (edits.length === 0 || (edits[0] as TextEdit).end > offset) return;
    this.#edits = (edits[edits.length - 1] as TextEdit).end <= offset ? NO_EDITS : edits.filter((edit) => edit.end > offset);
  }

  /** Offset in scanned text before which everything is decided; what the policy blocked stays back for ever. */
  protected get decided(): number {
    if (this.#blockedAt >= 0) return this.#blockedAt;
    const { gate } = this.#options;
    return Math.min(this.#held?.from ?? Infinity, gate === undefined ? this.scan.boundary : Math.min(this.scan.boundary, gate.reach, this.#pending.find(({ holds }) => holds)?.start ?? Infinity));
  }

  protected get allowed(): boolean {
    return this.#blockedAt < 0;
  }

  protected get gate(): Gate | undefined {
    return this.#options.gate;
  }

  /** Judges what the scan has settled, and what has its scores. `place` maps an edit to the channel's own offsets. */
  protected judgeSettled(textOf: (start: number, end: number) => string, place: (edit: TextEdit) => TextEdit): boolean {
    if (this.#blockedAt >= 0) return false;
    const { gate, judge, set } = this.#options;
    // A component too long to be held is replaced by its label alone, however it was cut.
    const kept = ({ continued, start, end }: Component): string | undefined => (continued || end - start > set.holdChars ? undefined : textOf(start, end));
    const isFree = gate === undefined || gate.reach === Infinity;
    for (const component of this.scan.take()) {
      if (isFree) this.#unjudged.push({ component, text: kept(component) });
      else this.#pending.push(component);
    }
    if (this.#held !== undefined && !this.#letGo(this.#held, place)) return false;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (!this.#rule(judge(next.component, next.text), next.component.start, next.component.start, place)) return false;
    }
    for (let scored = this.#nextScored(gate); scored !== undefined; scored = this.#nextScored(gate)) {
      const { window } = scored;
      const inside = this.#pending.filter((component) => component.end <= window.end);
      this.#pending.splice(0, inside.length);
      // A match that ends in the window may begin before it.
      const start = inside.reduce((least, component) => (component.holds ? Math.min(least, component.start) : least), window.start);
      // Where text does not wait for its scores, it has left up to here.
      if (!this.#rule(this.#options.judgeWindow!(scored, inside, kept), start, isFree ? this.scan.boundary : start, place)) return false;
    }
    return true;
  }

  /** What is judged after something that is held waits behind it. */
  #next(): Unjudged | undefined {
    return this.#held === undefined ? this.#unjudged.shift() : undefined;
  }

  #nextScored(gate: Gate | undefined): ScoredWindow | undefined {
    return this.#held === undefined ? gate?.take(this.scan.boundary) : undefined;
  }

  /** False where it was let go to be blocked. */
  #letGo({ after, start, release }: HeldPlace, place: (edit: TextEdit) => TextEdit): boolean {
    if (release === undefined) return true;
    this.#held = undefined;
    return this.#rule(after[release], start, start, place);
  }

  /** `from`: where it holds text back, should it be held. */
  #rule(ruling: Ruling, start: number, from: number, place: (edit: TextEdit) => TextEdit): boolean {
    if ('after' in ruling) {
      this.#held = { after: ruling.after, start, from };
      return true;
    }
    if (ruling.blocked) {
      this.#blockedAt = start;
      return false;
    }
    for (const edit of ruling.edits) {
      if (this.#edits.length === 0) this.#edits = [];
      this.#edits.push(place(edit));
      if (edit.text !== '') this.#replaced += 1;
    }
    return true;
  }
}

const unchanged = (edit: TextEdit): TextEdit => edit;

/** A channel of plain text. */
export class TextChannel extends ScanningChannel implements Channel {
  /** Behind a gate text waits longer than the scan keeps it. */
  readonly #textOf = (start: number, end: number): string => (this.gate === undefined ? this.scan.textOf(start, end) : this.waiting.slice(start, end));

  get position(): number {
    return this.scan.position;
  }

  get released(): number {
    return this.decided;
  }

  feed(text: string): boolean {
    this.scan.feed(text);
    if (this.gate === undefined) return this.scan.hasSettled ? this.settle() : this.allowed;
    this.waiting.append(text);
    this.gate.feed(text);
    return this.settle();
  }

  close(): boolean {
    this.scan.flush();
    this.gate?.flush();
    return this.settle();
  }

  settle(): boolean {
    const allowed = this.judgeSettled(this.#textOf, unchanged);
    if (this.gate !== undefined) this.waiting.forget(this.decided);
    return allowed;
  }
}

/** A channel of JSON text. Strings are matched decoded, each on its own; replacements keep the JSON valid. */
export class JsonChannel extends ScanningChannel implements Channel {
  readonly #json: JsonText;
  /** Raw characters taken. */
  #position = 0;

  constructor(options: ChannelOptions) {
    super(options);
    this.#json = new JsonText({
      text: (decoded) => {
        this.scan.feed(decoded);
        this.gate?.feed(decoded);
        this.waiting.append(decoded);
      },
      boundary: () => this.#endText(),
    });
  }

  get position(): number {
    return this.#position;
  }

  get released(): number {
    return this.#json.releasedBefore(this.decided);
  }

  feed(text: string): boolean {
    this.#position += text.length;
    this.#json.feed(text);
    return this.settle();
  }

  close(): boolean {
    this.#json.close();
    this.gate?.flush();
    return this.settle();
  }

  #endText(): void {
    this.scan.flush();
    this.settle();
  }

  settle(): boolean {
    const { waiting } = this;
    const allowed = this.judgeSettled(
      (start, end) => waiting.slice(start, end),
      (edit) => this.#json.place(edit.start, edit.end, edit.text, (start, end) => waiting.slice(start, end)),
    );
    if (!this.#json.inNumber) waiting.forget(this.decided);
    this.#json.forget(this.decided);
    return allowed;
  }
}
