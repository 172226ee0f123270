/**
 * One text made from another, piece by piece and in order, with the map back. INVARIANT: `spanOf` of a range of the new
 * text is a range of the old one that covers everything the range was made from: of characters that each stand for one
 * just these, of a piece that was written the whole of what it stands for. What was left out belongs to no piece, except
 * where it lies between two of the range. Pure.
 */
import type { Span } from '../contract/screening.ts';

export interface Rewritten {
  readonly text: string;
  /** Where the non-empty range `[start, end)` of `text` came from. */
  spanOf(start: number, end: number): Span;
}

export class Rewriting {
  readonly #source: string;
  readonly #parts: string[] = [];
  /** Pieces: where each begins in the new text and in the old one, and where it ends there; -1 for one that is as long here as there. */
  readonly #starts: number[] = [];
  readonly #from: number[] = [];
  readonly #to: number[] = [];
  #length = 0;
  /** The piece under way of characters that each stand for one, which the next may continue; -1 when there is none. */
  #copyStart = -1;
  #copyEnd = -1;
  /** What of it is not in `#parts` yet begins here. */
  #partStart = 0;
  #changed = false;

  constructor(source: string) {
    this.#source = source;
  }

  /** Characters made so far. */
  get length(): number {
    return this.#length + this.#copyEnd - this.#copyStart;
  }

  /** The characters `[start, end)` of the old text as they stand. */
  copy(start: number, end: number): void {
    if (start === end) return;
    if (start !== this.#copyEnd) this.#beginCopy(start);
    this.#copyEnd = end;
  }

  /** `text` stands for the characters `[start, end)` as a whole; an empty one leaves them out. */
  write(text: string, start: number, end: number): void {
    this.#changed = true;
    if (text === '') return;
    if (text.length === 1 && end - start === 1) {
      if (start !== this.#copyEnd) this.#beginCopy(start);
      if (this.#partStart < start) this.#parts.push(this.#source.slice(this.#partStart, start));
      this.#parts.push(text);
      this.#copyEnd = this.#partStart = end;
      return;
    }
    this.#endCopy();
    this.#parts.push(text);
    this.#add(text.length, start, end);
  }

  /** The new text, or undefined where it is the old one. */
  done(): Rewritten | undefined {
    this.#endCopy();
    if (!this.#changed && this.#length === this.#source.length) return undefined;
    const text = this.#parts.join('');
    const [starts, from, to] = [this.#starts, this.#from, this.#to];
    return text === this.#source ? undefined : { text, spanOf: (start, end) => spanIn(starts, from, to, start, end) };
  }

  #beginCopy(start: number): void {
    this.#endCopy();
    this.#copyStart = this.#copyEnd = this.#partStart = start;
  }

  #endCopy(): void {
    if (this.#copyStart < 0) return;
    if (this.#partStart < this.#copyEnd) this.#parts.push(this.#source.slice(this.#partStart, this.#copyEnd));
    this.#add(this.#copyEnd - this.#copyStart, this.#copyStart, -1);
    this.#copyStart = this.#copyEnd = -1;
  }

  #add(length: number, from: number, to: number): void {
    this.#starts.push(this.#length);
    this.#from.push(from);
    this.#to.push(to);
    this.#length += length;
  }
}

function spanIn(starts: readonly number[], from: readonly number[], to: readonly number[], start: number, end: number): Span {
  const first = pieceAt(starts, start);
  const last = pieceAt(starts, end - 1);
  return {
    start: to[first] === -1 ? (from[first] as number) + start - (starts[first] as number) : (from[first] as number),
    end: to[last] === -1 ? (from[last] as number) + end - (starts[last] as number) : (to[last] as number),
  };
}

/** The last piece that begins at or before `offset`. */
function pieceAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
