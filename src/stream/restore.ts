/**
 * Puts values back where an answer says their pseudonyms, before anything else reads it: a channel around a channel.
 * The outer one takes what the upstream sent and holds only what may become a token; the inner one, with the output
 * rules, reads the restored text. What it decides is told in offsets of what the upstream sent, so that the events
 * around stay as they came. INVARIANT: restored text leaves only when the inner channel has decided all of a value.
 *
 * In JSON the value is escaped: in tool arguments always, in other text when all of it is JSON (it opens as an object or
 * a list). JSON inside a fence or inside a string of JSON is not looked into.
 */
import type { Release } from '../contract/hold.ts';
import type { Component } from '../match/scan.ts';
import { TOKENS } from '../screen/pseudonyms.ts';
import { sliceEdited, type TextEdit } from '../text/edits.ts';
import { JsonChannel, TextChannel, type Channel, type Ruling } from './channel.ts';

/** The value of a token as it was written; undefined leaves it as it stands. */
export type Restore = (token: string) => string | undefined;

/** A token at `[start, end)` of what came, and its value at `at` of the restored text. */
interface Swap {
  readonly start: number;
  readonly end: number;
  readonly at: number;
  readonly value: string;
}

const OPENS_JSON = /^\s*(?:\{\s*"|\[\s*[{["])/;
/** Characters in which a text must open as JSON. */
const OPENING_CHARS = 64;

export class RestoringChannel implements Channel {
  readonly #restore: Restore;
  readonly #finder: Channel;
  readonly #inner: Channel;
  /** What came and was not passed on; `#passed` is the offset of its first character. */
  #held = '';
  #passed = 0;
  /** Tokens that `forget` has left, in order. */
  #swaps: Swap[] = [];
  /** Restored offset less offset in what came, before the first swap. */
  #shift = 0;
  /** How the present text begins. */
  #opening = '';

  constructor(kind: 'text' | 'json', restore: Restore, inner: Channel) {
    const Kind = kind === 'json' ? JsonChannel : TextChannel;
    this.#restore = restore;
    this.#inner = inner;
    // No two tokens overlap, so none is longer than TOKENS holds, and the text is always there.
    this.#finder = new Kind({ set: TOKENS, judge: (component, text) => this.#judge(component, text as string) });
  }

  feed(text: string): boolean {
    if (this.#opening.length < OPENING_CHARS) this.#opening = (this.#opening + text).slice(0, OPENING_CHARS);
    this.#held += text;
    this.#finder.feed(text);
    return this.#passOn();
  }

  close(): boolean {
    this.#finder.close();
    this.#opening = '';
    return this.#passOn() && this.#inner.close();
  }

  settle(): boolean {
    return this.#inner.settle();
  }

  abandon(): void {
    this.#inner.abandon();
  }

  get scoresDue(): boolean {
    return this.#inner.scoresDue;
  }

  get held(): boolean {
    return this.#inner.held;
  }

  release(release: Release): void {
    this.#inner.release(release);
  }

  get position(): number {
    return this.#finder.position;
  }

  get replaced(): number {
    return this.#inner.replaced;
  }

  get released(): number {
    const { released } = this.#inner;
    let shift = this.#shift;
    for (const swap of this.#swaps) {
      if (released < endOf(swap)) return Math.min(released - shift, swap.start);
      shift = endOf(swap) - swap.end;
    }
    return released - shift;
  }

  /** One edit for each token, with what the inner channel left of its value, and the inner edits between them. */
  get edits(): readonly TextEdit[] {
    const inner = this.#inner.edits;
    if (this.#swaps.length === 0 && (inner.length === 0 || this.#shift === 0)) return inner;
    const edits: TextEdit[] = [];
    let from = -Infinity;
    let shift = this.#shift;
    for (const swap of this.#swaps) {
      placeEdits(inner, from, swap.start, shift, edits);
      edits.push({ start: swap.start, end: swap.end, text: sliceEdited(swap.value, swap.at, swap.at, endOf(swap), inner) });
      from = swap.end;
      shift = endOf(swap) - swap.end;
    }
    placeEdits(inner, from, Infinity, shift, edits);
    return edits;
  }

  forget(offset: number): void {
    let restored = offset + this.#shift;
    while (this.#swaps.length > 0) {
      const swap = this.#swaps[0] as Swap;
      if (swap.end > offset) {
        restored = Math.min(restored, swap.at);
        break;
      }
      this.#swaps.shift();
      this.#shift = endOf(swap) - swap.end;
      restored = offset + this.#shift;
    }
    this.#inner.forget(restored);
  }

  #judge({ start, end }: Component, token: string): Ruling {
    const value = this.#restore(token);
    if (value === undefined) return LEFT;
    return { blocked: false, edits: [{ start, end, text: this.#isJsonText ? JSON.stringify(value).slice(1, -1) : value }] };
  }

  /** A JSON channel escapes by itself. */
  get #isJsonText(): boolean {
    return this.#finder instanceof TextChannel && OPENS_JSON.test(this.#opening);
  }

  /** Gives the inner channel what can be no token any more, and the values of those that were. */
  #passOn(): boolean {
    const { released, edits } = this.#finder;
    if (released === this.#passed) return true;
    const start = this.#passed;
    let at = this.#inner.position;
    let from = start;
    for (const edit of edits) {
      at += edit.start - from;
      this.#swaps.push({ start: edit.start, end: edit.end, at, value: edit.text });
      at += edit.text.length;
      from = edit.end;
    }
    const restored = sliceEdited(this.#held, start, start, released, edits);
    this.#held = this.#held.slice(released - start);
    this.#passed = released;
    this.#finder.forget(released);
    return this.#inner.feed(restored);
  }
}

const LEFT: Ruling = { blocked: false, edits: [] };

function endOf(swap: Swap): number {
  return swap.at + swap.value.length;
}

/** Edits of the restored text in `[from, to)` of what came, where nothing was restored. One that began before has said its text there. */
function placeEdits(inner: readonly TextEdit[], from: number, to: number, shift: number, out: TextEdit[]): void {
  for (const edit of inner) {
    const start = Math.max(edit.start - shift, from);
    const end = Math.min(edit.end - shift, to);
    if (start < end) out.push({ start, end, text: edit.start - shift < from ? '' : edit.text });
  }
}
