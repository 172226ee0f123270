/**
 * What a classifier plugin is. The host provisions and validates it once, then asks it for every text; it checks the
 * answers at run time (scores finite and in 0–1, spans inside the text, categories declared) and treats anything else
 * as unknown. A plugin never decides: it scores.
 */
import type { ClassifierResult, ContentType, Direction, ScreeningRequest, Span } from './screening.ts';

export const COST_CLASSES = ['fast', 'slow'] as const;
export type CostClass = (typeof COST_CLASSES)[number];

/** A candidate that the automaton found, for a validator to accept or refuse. */
export interface Candidate {
  /** The matched text. */
  readonly text: string;
  /** Up to `CONTEXT_CHARS` characters that precede it in the same text. */
  readonly before: string;
}

/** Accepts (true) or refuses a candidate. Pure and bounded by the candidate's length. */
export interface Validator {
  (candidate: Candidate): boolean;
  /** Whether it may accept anything behind `before`. Where present it is asked first, once for all candidates of one start. */
  readonly behind?: (before: string) => boolean;
}

/** One pattern of a classifier or a tenant, in the language of `src/match/README.md`. Exactly one of `regex`, `literal`. */
export interface PatternDefinition {
  /** Unique within its classifier. */
  readonly id: string;
  /** The category it scores; several patterns may share one. */
  readonly category: string;
  /** What a redaction writes between brackets. */
  readonly label: string;
  readonly regex?: string;
  readonly literal?: readonly string[];
  readonly ignoreCase?: boolean;
  /** Begins once: while one start of it is alive no other begins, so a run of its characters is one candidate. Regex only. */
  readonly once?: boolean;
  /** Most characters of a match, at most HOLD_CHARS_MAX. Repetitions inside need no upper bound then. Regex only. */
  readonly maxChars?: number;
  readonly validate?: Validator;
  /** False: found in the text as it stands only, not in its views (src/text/README.md). */
  readonly views?: boolean;
  /** The score a match gets, 0–1; default 1. */
  readonly score?: number;
  readonly matches?: readonly string[];
  readonly ignores?: readonly string[];
}

export interface CategoryDefinition {
  readonly id: string;
  readonly definition: string;
  /** Reached only by rules that name it, never by `*`. */
  readonly named?: true;
}

/**
 * Reads one growing text (a channel of an answer) and keeps what it needs of the text before, so that nothing is read
 * twice. Synchronous: for classifiers of cost `fast`. Spans are offsets in the piece that was fed last.
 */
export interface ClassifierFeed {
  /** The next window of the text; results for it. */
  feed(text: string): readonly ClassifierResult[];
}

/** The text as it reads to one who sees through a disguise or an encoding (src/text/README.md). */
export interface TextView {
  readonly text: string;
  /** The span of the text that the non-empty range `[start, end)` of the view was made from. */
  spanOf(start: number, end: number): Span;
}

/** Made by the host once for a text and all classifiers that are asked about it, when the first of them wants it. */
export interface Readings {
  /** Every view that differs from the text; ordinary text has none. */
  views(): readonly TextView[];
  /** BCP 47 primary tag or `und`, and from 0 to 1 how sure that is. */
  language(): { readonly tag: string; readonly confidence: number };
}

/** A classifier plugin. Life cycle: create → provision → validate → classify … → close. */
export interface Classifier {
  /** `classifier_id` in results and the name before the dot in `score:`. */
  readonly id: string;
  readonly version: string;
  readonly categories: readonly CategoryDefinition[];
  readonly directions: readonly Direction[];
  readonly contentTypes: readonly ContentType[];
  /** BCP 47 primary tags, or `*` for any. */
  readonly languages: readonly string[];
  readonly cost: CostClass;
  /**
   * Its answer depends on the request's context, not on the content alone. It gets the prompt's sources with an answer, as
   * `context.sources`, and is not asked about an answer where there are none.
   */
  readonly needsContext: boolean;
  /** Asking twice does no harm and gives the same answer: the host may retry once within the deadline. Default false. */
  readonly idempotent?: boolean;
  /** Patterns that join the tenant's in one automaton. Their results come from the scan, not from `classify`. */
  readonly patterns?: readonly PatternDefinition[];
  /** Loads weights, opens connections. */
  provision?(): Promise<void>;
  /** Throws when the plugin cannot work as configured. */
  validate?(): void;
  /** May answer at once or later; must give up when `signal` is aborted. What it throws makes its scores unknown (error). */
  classify?(request: ScreeningRequest, signal: AbortSignal, readings: Readings): readonly ClassifierResult[] | Promise<readonly ClassifierResult[]>;
  /** Asked for each text of an answer, in place of `classify` for each of its windows. `request` is the first window's. */
  stream?(request: ScreeningRequest): ClassifierFeed;
  close?(): Promise<void>;
}

/** A model that the host gives a plugin in place of the one it ships with. */
export interface GivenModel {
  /** Names it in the classifier's version. */
  readonly id: string;
  /** One object for all who are given this model. */
  readonly bytes: Uint8Array;
}

/** By the folder of plugins/ that ships the model: the option `models` of a plugin that exports `models`. */
export type GivenModels = Readonly<Record<string, GivenModel | undefined>>;

/** The default export of a plugin's `index.ts`: makes the classifier from its configuration entry. */
export type CreateClassifier = (options: Readonly<Record<string, unknown>> & { readonly id: string }) => Classifier;
