/**
 * How often property tests run, and with which seed: `WEIR_TEST_RUNS` multiplies, `WEIR_TEST_SEED` repeats a failure.
 * Also deterministic cuts of a text.
 */

const factor = Number(process.env.WEIR_TEST_RUNS ?? 1);

/** The seed of this run's property tests; printed by every failing one. */
export const seed = Number(process.env.WEIR_TEST_SEED ?? Math.trunc(Date.now() % 2 ** 31));

export function runs(count: number): number {
  return Math.max(1, Math.round(count * factor));
}

/** A small deterministic generator of numbers in [0, 1). */
export function randomOf(seedValue: number): () => number {
  let state = seedValue >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `text` in pieces of mostly a few code units, at places that `seedValue` decides. */
export function cutsOf(text: string, seedValue: number, meanChars = 3): string[] {
  const random = randomOf(seedValue);
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = Math.max(1, Math.round(-Math.log(1 - random()) * meanChars));
    pieces.push(text.slice(at, at + size));
    at += size;
  }
  return pieces;
}
