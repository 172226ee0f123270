/**
 * The two hashes that features and lexicons are made with. Not for security: a reader of a model may try words against
 * them. They hide a word list from a glance, no more. Pure.
 */

/** A word's hash with one more character. Never 0 for a word that is not empty, in practice. */
export function wordHash(hash: number, code: number): number {
  return Math.imul((hash ^ code) + 0x9e3779b9 | 0, 0x01000193);
}

/** Two hashes as one; the order counts. */
export function mix(hash: number, other: number): number {
  const turned = (hash << 5) | (hash >>> 27);
  return Math.imul(turned ^ other, 0x9e3779b1);
}
