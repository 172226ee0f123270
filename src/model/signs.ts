/**
 * Signs: what a plugin sees in a text that its words do not say, such as a marker of a role or a run of base64. Named,
 * so that a model and the program that reads it agree; each is there or not. Pure.
 */
export interface Signs {
  readonly names: readonly string[];
  /** Indices into `names`, each at most once. */
  of(text: string): readonly number[];
}

export const NO_SIGNS: Signs = Object.freeze({ names: [], of: () => [] });
