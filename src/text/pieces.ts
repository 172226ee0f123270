/**
 * The latest part of a text that arrives in pieces, by offset. Appending and forgetting cost nothing that grows with
 * what is kept: no string is built until one is asked for. Pure.
 */

/** Forgotten pieces at the front that are worth moving the others for. */
const SPARE_MAX = 64;

export class Pieces {
  #pieces: string[] = [];
  /** Index of the first piece that is kept, and its offset in the text. */
  #first = 0;
  #firstStart = 0;
  #end = 0;

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
    let at = this.#firstStart;
    let out = '';
    for (let i = this.#first; at < end; i += 1) {
      const piece = this.#pieces[i] as string;
      const next = at + piece.length;
      if (next > start) out += at >= start && next <= end ? piece : piece.slice(Math.max(0, start - at), end - at);
      at = next;
    }
    return out;
  }

  /** Drops pieces that end at or before `offset`. */
  forget(offset: number): void {
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
