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

  /** Characters `[start, end)`, none of them forgotten. */
  slice(start: number, end: number): string {
    this.#joinTo(end);
    return (this.#pieces[this.#first] ?? '').slice(start - this.#firstStart, end - this.#firstStart);
  }

  /** Makes one piece of all that begin before `end`: who asks for a part asks for others near it. */
  #joinTo(end: number): void {
    let last = this.#first;
    let at = this.#firstStart + (this.#pieces[last] ?? '').length;
    while (at < end) at += (this.#pieces[(last += 1)] as string).length;
    if (last === this.#first) return;
    // What was forgotten of the first piece must not be carried on from join to join.
    const first = (this.#pieces[this.#first] as string).slice(Math.max(0, this.#forgotten - this.#firstStart));
    this.#firstStart = Math.max(this.#firstStart, this.#forgotten);
    this.#pieces.splice(0, last + 1, first + this.#pieces.slice(this.#first + 1, last + 1).join(''));
    this.#first = 0;
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
