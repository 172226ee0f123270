/**
 * A text in pieces that a tokenizer takes in linear time, its token ids in windows that a model can read, and what the
 * outputs mean as scores. Pure.
 */

/** Tokenizers of the Unigram kind take the square of a run without spaces: 2 ms for this many characters, minutes for a million. */
export const PIECE_CHARS_MAX = 2_048;

/** Pieces of at most so many code units, which together are the text: cut before white space, or else between characters. */
export function* textPieces(text: string, charsMax = PIECE_CHARS_MAX): Generator<string> {
  let start = 0;
  while (text.length - start > charsMax) {
    let end = start + charsMax;
    while (end > start && !/\s/.test(text[end])) end -= 1;
    if (end === start) end = start + charsMax - (isLeading(text.charCodeAt(start + charsMax - 1)) ? 1 : 0);
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

/** The first half of a surrogate pair. */
const isLeading = (unit: number): boolean => (unit & 0xfc00) === 0xd800;

export interface WindowTerms {
  /** What the model wants before and after each text, such as [CLS] and [SEP]. */
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
  /** Longest window, prefix and suffix included. */
  readonly tokensMax: number;
  /** Tokens that each window shares with the one before, so that nothing is seen only in two halves. */
  readonly overlap: number;
}

/** Windows in order, at least one; every token stands in one or more of them. */
export function tokenWindows(ids: readonly number[], { prefix, suffix, tokensMax, overlap }: WindowTerms): readonly (readonly number[])[] {
  const room = tokensMax - prefix.length - suffix.length;
  const windows: (readonly number[])[] = [];
  let start = 0;
  do {
    windows.push([...prefix, ...ids.slice(start, start + room), ...suffix]);
    start += room - overlap;
  } while (start + overlap < ids.length);
  return windows;
}

/** How many windows that makes, without making them. */
export function windowCount(tokens: number, { prefix, suffix, tokensMax, overlap }: WindowTerms): number {
  const room = tokensMax - prefix.length - suffix.length;
  return tokens <= room ? 1 : 1 + Math.ceil((tokens - room) / (room - overlap));
}

/** What surrounds a text's own tokens when the model's template is applied; undefined where they are not in one piece. */
export function surroundings(whole: readonly number[], own: readonly number[]): { readonly prefix: readonly number[]; readonly suffix: readonly number[] } | undefined {
  for (let at = 0; own.length > 0 && at + own.length <= whole.length; at += 1) {
    if (own.every((id, i) => whole[at + i] === id)) return { prefix: whole.slice(0, at), suffix: whole.slice(at + own.length) };
  }
  return undefined;
}

export const ACTIVATIONS = ['softmax', 'sigmoid', 'none'] as const;
/** `softmax`: one label applies; `sigmoid`: each by itself; `none`: the outputs are scores already. */
export type Activation = (typeof ACTIVATIONS)[number];

/** Scores of one row of outputs. */
export function scoresOf(outputs: readonly number[], activation: Activation): readonly number[] {
  if (activation === 'none') return outputs;
  if (activation === 'sigmoid') return outputs.map((x) => 1 / (1 + Math.exp(-x)));
  // The greatest is taken off first, so that no power overflows.
  const greatest = Math.max(...outputs);
  const powers = outputs.map((x) => Math.exp(x - greatest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** The worst of several windows counts, for each label. */
export function worstOf(windows: readonly (readonly number[])[]): readonly number[] {
  return windows[0].map((_, label) => Math.max(...windows.map((scores) => scores[label])));
}
