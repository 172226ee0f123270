/**
 * The latest part of a text that arrives in pieces, by offset. Appending and forgetting cost nothing that grows with
 * what is kept: no string is built until a part is asked for. Pure.
 */

/** Forgotten pieces at the front that are worth moving the others for. */
const SPARE_MAX = 64;

export class Pieces {
  #pieces: string[] = [];
  /** Index of the first piece that is kept, and its offset in the text. */
  #first = 0;
  #firstStart = 0;
  #end = 0;
  /** Nothing before it is asked for. */
  #forgotten = 0;

  /** Offset after the last character. */
  get end(): number {
    return this.#end;
  }

  append(text: string): void {
    this.#pieces.push(text);
    this.#end += text.length;
  }

  /** Characters `[start, end)`, without those whose piece was dropped. */
  slice(from: number, end: number): string {
    const start = Math.max(from, this.#firstStart);
    if (start >= end) return '';
    const pieces = this.#pieces;
    // What is asked for stands near the end.
    let last = pieces.length - 1;
    let at = this.#end - (pieces[last] as string).length;
    while (at >= end) at -= (pieces[(last -= 1)] as string).length;
    let first = last;
    while (at > start) at -= (pieces[(first -= 1)] as string).length;
    if (first < last) at += this.#join(first, last, this.#forgotten - at);
    return (pieces[first] as string).slice(start - at, end - at);
  }

  /**
   * Makes one piece of those from `first` to `last`: who asks for a part asks for others near it. Without what is forgotten of
   * it, which must not be carried on from join to join; the characters left out.
   */
  #join(first: number, last: number, forgotten: number): number {
    const pieces = this.#pieces;
    const cut = Math.max(0, forgotten);
    let joined = cut === 0 ? pieces[first] as string : (pieces[first] as string).slice(cut);
    for (let i = first + 1; i <= last; i += 1) joined += pieces[i] as string;
    pieces[first] = joined;
    if (last < pieces.length - 1) pieces.splice(first + 1, last - first);
    else for (let i = first; i < last; i += 1) pieces.pop();
    if (cut > 0) this.#firstStart += cut;
    return cut;
  }

  /** Nothing before `offset` is asked for any more: drops pieces that end there or before. */
  forget(offset: number): void {
    if (offset > this.#forgotten) this.#forgotten = offset;
    while (this.#first < this.#pieces.length) {
      const next = this.#firstStart + (this.#pieces[this.#first] as string).length;
      if (next > offset) break;
      this.#firstStart = next;
      this.#first += 1;
    }
    if (this.#first === this.#pieces.length) {
      this.#pieces.length = 0;
      this.#first = 0;
    } else if (this.#first > SPARE_MAX) {
      this.#pieces.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** The text goes on without a character of it being kept: `length` more are forgotten. */
  skip(length: number): void {
    this.forget(this.#end);
    this.#end += length;
    this.#firstStart = this.#end;
  }
}
