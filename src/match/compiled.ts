/** What a scan reads of compiled patterns. Made by `set`, read-only, shared by all scans. */
import type { PatternDefinition, Validator } from '../contract/classifier.ts';
import type { Automaton } from './automaton.ts';

export interface CompiledPattern {
  readonly index: number;
  readonly definition: PatternDefinition;
  /** Classifier that the pattern belongs to, as given. */
  readonly classifier: string;
  /** Text that may belong to a match is held back; otherwise matches are only observed. */
  readonly holds: boolean;
  /** Most characters that can be undecided because of it. */
  readonly holdChars: number;
  readonly validate: Validator | undefined;
  /** What the validator says to all candidates of a start at once. */
  readonly behind: Validator['behind'];
  /** Most characters of a match; Infinity where only the pattern itself says. */
  readonly maxChars: number;
}

export interface PatternSet {
  readonly patterns: readonly CompiledPattern[];
  readonly automaton: Automaton;
  /** Upper bound on undecided characters, over the holding patterns. */
  readonly holdChars: number;
  /** The least age limit of a pattern, or Infinity. */
  readonly ageMin: number;
}
