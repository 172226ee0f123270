/**
 * Words and phrases by their hashes, each with a class: what a text is about can be counted without a list of such
 * words in clear text. An open-addressing table of at most half its places, so that looking up costs one or two reads.
 */

/** Most entries of a lexicon. */
export const LEXICON_ENTRIES_MAX = 65_536;

export class Lexicon {
  readonly classes: readonly string[];
  readonly #hashes: Int32Array;
  readonly #classOf: Int8Array;
  readonly #mask: number;

  /** `entries`: hash and class in turn. Of two entries with one hash the first counts. */
  constructor(classes: readonly string[], entries: Int32Array) {
    const count = entries.length / 2;
    if (!Number.isInteger(count) || count > LEXICON_ENTRIES_MAX) throw new Error(`a lexicon has at most ${LEXICON_ENTRIES_MAX} whole entries, this one ${count}`);
    if (classes.length > 127) throw new Error(`a lexicon has at most 127 classes, this one ${classes.length}`);
    let size = 16;
    while (size < 2 * count) size *= 2;
    this.classes = classes;
    this.#mask = size - 1;
    this.#hashes = new Int32Array(size);
    this.#classOf = new Int8Array(size).fill(-1);
    for (let at = 0; at < entries.length; at += 2) {
      const one = entries[at + 1];
      if (one < 0 || one >= classes.length) throw new Error(`a lexicon entry has class ${one}; there are ${classes.length}`);
      const place = this.#placeOf(entries[at]);
      if (this.#classOf[place] >= 0) continue;
      this.#hashes[place] = entries[at];
      this.#classOf[place] = one;
    }
  }

  /** The class of a word or phrase, or -1. */
  classOf(hash: number): number {
    return this.#classOf[this.#placeOf(hash)];
  }

  /** Where a hash stands, or the free place where it would. */
  #placeOf(hash: number): number {
    let place = (hash ^ (hash >>> 16)) & this.#mask;
    while (this.#classOf[place] >= 0 && this.#hashes[place] !== hash) place = (place + 1) & this.#mask;
    return place;
  }
}
