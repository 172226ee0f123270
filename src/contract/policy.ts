/**
 * A policy as the program holds it: parsed, checked, frozen. `policy/parse` makes it from YAML, `policy/decide`
 * evaluates it. The YAML shape is in the README of `config/policies`.
 */
import type { Validator } from './classifier.ts';
import type { Action, Context, ClassifierResult, ContentType, Direction, Severity, UnknownReason } from './screening.ts';

export const OPERATORS = ['gt', 'gte', 'lt', 'lte', 'eq', 'between', 'exists'] as const;
export type Operator = (typeof OPERATORS)[number];

export const REDACTION_STYLES = ['label', 'mask', 'hash', 'pseudonym'] as const;
export type RedactionStyle = (typeof REDACTION_STYLES)[number];

export const FAIL_MODES = ['closed', 'open'] as const;
export type FailMode = (typeof FAIL_MODES)[number];

export type OperatorValue = number | string | boolean | readonly [number, number];

export type Condition =
  | { readonly kind: 'all'; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  /** `classifier` and `category` may each be `*`. */
  | { readonly kind: 'score'; readonly classifier: string; readonly category: string; readonly operator: Operator; readonly value: OperatorValue }
  | { readonly kind: 'context'; readonly key: string; readonly operator: Operator; readonly value: OperatorValue };

export interface Redaction {
  readonly style: RedactionStyle;
  /** `mask` only: how many trailing characters stay. */
  readonly keepLast?: number;
}

export interface Hold {
  readonly forMs: number;
  readonly then: Action;
}

export interface Rule {
  readonly id: string;
  readonly name: string;
  readonly priority: number;
  readonly enabled: boolean;
  readonly direction: Direction | 'both';
  readonly when: Condition;
  readonly action: Action;
  /** Overrides the policy's `on_unknown`. */
  readonly onUnknown?: FailMode;
  readonly redact?: Redaction;
  readonly message?: string;
  readonly severity?: Severity;
  readonly hold?: Hold;
}

/** A tenant's own pattern, or one of a shipped set; `regex` or `literal`, never both. Its score is `patterns.<category or id>`. */
export interface PolicyPattern {
  readonly id: string;
  /** Given for a pattern of a set; the id otherwise. */
  readonly category?: string;
  readonly label: string;
  readonly regex?: string;
  readonly literal?: readonly string[];
  readonly ignoreCase: boolean;
  /** False: not looked for in views. */
  readonly views?: boolean;
  readonly validate?: Validator;
  readonly score?: number;
  readonly matches: readonly string[];
  readonly ignores: readonly string[];
}

export const STREAM_MODES = ['hold', 'trail'] as const;
export type StreamMode = (typeof STREAM_MODES)[number];

export const SCREENING_MODES = ['sync', 'hybrid', 'async'] as const;
/** When scored classifiers are heard: all in time; those of cost `slow` after the fact; all after the fact. Patterns always in time. */
export type ScreeningMode = (typeof SCREENING_MODES)[number];

/** How a policy screens what it does not wait for. */
export interface PolicyScreening {
  readonly mode: ScreeningMode;
  /** Time for scores that nobody waits for. */
  readonly lateDeadlineMs: number;
  /** For how long a session is refused in which a violation was found after the fact; absent: it is not. */
  readonly barSessionMs?: number;
}

export interface Policy {
  readonly id: string;
  /** First 12 hex digits of the SHA-256 of the source text, or a number given by the store. */
  readonly revision: string;
  readonly description: string;
  readonly defaultAction: Action;
  /** Absent: the tenant's fail mode. */
  readonly onUnknown?: FailMode;
  readonly onBlock: 'error' | 'fallback';
  readonly message?: string;
  readonly stream: { readonly mode: StreamMode; readonly window: 'sentence' | 'whole' | number };
  readonly history: 'latest' | 'all';
  /** Where `time.hour` and `time.weekday` are told; absent: UTC. */
  readonly timezone?: string;
  /** Absent: everything in time. */
  readonly screening?: PolicyScreening;
  readonly patterns: readonly PolicyPattern[];
  /** Hosts, with what is below them, whose links the patterns of `exfiltration` let pass. */
  readonly allowHosts?: readonly string[];
  /** Sorted by priority, then by position in the file. */
  readonly rules: readonly Rule[];
  /** A policy evaluated on the same scores that enforces nothing. */
  readonly shadow?: string;
  readonly canary?: Canary;
  readonly cases?: readonly PolicyCase[];
}

/** A policy that is enforced on a stable share (0–1) of sessions. */
export interface Canary {
  readonly policy: string;
  readonly share: number;
}

/** What a policy is expected to do with one text, or with given scores (`classifier.category` → 0–1, or `unknown`). */
export interface PolicyCase {
  readonly name: string;
  readonly direction: Direction;
  readonly text?: string;
  readonly scores?: Readonly<Record<string, number | 'unknown'>>;
  readonly context: Context;
  readonly expect: { readonly action: Action; readonly rules?: readonly string[]; readonly text?: string };
}

/** All that a decision may depend on. */
export interface Facts {
  readonly direction: Direction;
  readonly results: readonly ClassifierResult[];
  /**
   * Every classifier that was asked: `ok` means that a declared category without a result scored 0; a reason means
   * that all its categories are unknown. A classifier that is not in the map is unknown (unavailable).
   */
  readonly classifiers: ReadonlyMap<string, 'ok' | UnknownReason>;
  /** Classifiers that are heard after the fact: unknown, and a rule that is so for them alone waits and decides nothing now. */
  readonly deferred?: ReadonlySet<string>;
  readonly context: Context;
  /** The types of what is screened, for `context: content_type`. Absent: as the context says. */
  readonly contentTypes?: readonly ContentType[];
  /** The content types that each classifier reads; one that is not in the map reads all. */
  readonly reads?: ReadonlyMap<string, readonly ContentType[]>;
  /** The same by who said it, where several did and a rule asks (`context: role`). Absent: one did, and the context says who. */
  readonly roles?: readonly RoleFacts[];
}

/** What is known of the texts of one role. */
export interface RoleFacts {
  /** Undefined: of the texts of which nobody says whose they are. */
  readonly role: string | undefined;
  readonly results: readonly ClassifierResult[];
  readonly contentTypes: readonly ContentType[];
}

/** What a policy says about facts. Pure data: `policy/decide` returns the same decision for the same facts. */
export interface PolicyDecision {
  readonly action: Action;
  /** The rule that decided; absent when `default_action` did. */
  readonly rule?: Rule;
  /** Results that made score conditions of the deciding rule true: whose spans a redaction uses. */
  readonly matched: readonly ClassifierResult[];
  /** Of a rule that asks who said it, where several did: those about whose texts it holds. Only theirs are redacted. */
  readonly roles?: readonly (string | undefined)[];
  readonly triggered_rules: readonly string[];
  /** Rules that could not be evaluated: skipped (`open`), or the last one decided (`closed`). */
  readonly degraded: readonly string[];
  /** Of a decision that two were put together to: those of them that redact, and whose redactions are all made. */
  readonly redacting?: readonly PolicyDecision[];
}

/** One change of a stored policy, never altered. */
export interface PolicyRevision {
  readonly policy: string;
  /** 1, 2, 3 … */
  readonly number: number;
  /** The revision that the author had before them; 0: none. */
  readonly parent: number;
  /** YAML; null: the policy is retired, and a file of the same id counts again. */
  readonly source: string | null;
  /** Of the source, in hex; of a retired policy that of the empty text. */
  readonly sha256: string;
  readonly author: string;
  readonly comment: string;
  readonly created_at: string;
}

export const POLICY_ORIGINS = ['store', 'redis', 'disk'] as const;
/** Where the stored policy that is held was last read. */
export type PolicyOrigin = (typeof POLICY_ORIGINS)[number];
