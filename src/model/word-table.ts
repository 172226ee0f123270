/**
 * What is known of single words: for the hash of each, the classes that it is in (twenty at most, as bits) and the
 * cluster of words that stand where it stands (0 where none is known). A hash hides a word from a glance, no more. Pure.
 */

export const CLASSES_MAX = 20;
export const CLUSTERS_MAX = 4_096;
/** Words of one table. */
export const WORDS_MAX = 262_144;

export class WordTable {
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** Hash and value in turn; a value is `wordValue(classes, cluster)`. */
  constructor(entries: Int32Array) {
    if (entries.length > 2 * WORDS_MAX) throw new Error(`a table of words has at most ${WORDS_MAX}, this one ${entries.length / 2}`);
    let slots = 16;
    while (slots < entries.length) slots *= 2;
    this.#slots = new Int32Array(2 * slots);
    this.#mask = slots - 1;
    for (let at = 0; at + 1 < entries.length; at += 2) if (entries[at + 1] !== 0) this.#put(entries[at], entries[at + 1]);
  }

  /** 0 for a word that is not known. */
  valueOf(word: number): number {
    for (let slot = spread(word) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const value = this.#slots[2 * slot + 1];
      if (value === 0 || this.#slots[2 * slot] === word) return value;
    }
  }

  #put(word: number, value: number): void {
    let slot = spread(word) & this.#mask;
    while (this.#slots[2 * slot + 1] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[2 * slot] = word;
    this.#slots[2 * slot + 1] = value;
  }
}

export function wordValue(classes: number, cluster: number): number {
  return (cluster << CLASSES_MAX) | classes;
}

export const classesOf = (value: number): number => value & ((1 << CLASSES_MAX) - 1);
export const clusterOf = (value: number): number => value >>> CLASSES_MAX;

function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return mixed ^ (mixed >>> 13);
}
