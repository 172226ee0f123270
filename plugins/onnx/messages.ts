/** What the classifier and the process that holds its model say to each other. */
import type { Activation } from './tokens.ts';

/** The first message to the process. Paths are absolute. */
export interface ModelTerms {
  readonly model: string;
  readonly tokenizer: string;
  /** How many outputs the model must have. */
  readonly labels: number;
  readonly activation: Activation;
  readonly tokensMax: number;
  readonly overlap: number;
  readonly windowsMax: number;
  readonly threads: number;
}

/** Every further message to it. */
export interface Question {
  readonly job: number;
  readonly text: string;
}

/** What comes back: once how the start went, then one answer to each question. */
export type Reply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly message: string }
  | { readonly kind: 'scores'; readonly job: number; readonly scores: readonly number[] }
  | { readonly kind: 'too_long'; readonly job: number }
  | { readonly kind: 'failed'; readonly job: number };

/** A longer text is not tokenized. */
export const TEXT_CHARS_MAX = 1_000_000;
/** The version that the tests run with. */
export const RUNTIME = 'onnxruntime-node@1.30.0';
