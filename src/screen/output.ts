/**
 * How an answer is judged while it streams: what is known of a component, of a window with its scores, and of scores that
 * came after the fact. Results add up over a channel, so a stream is decided as the whole text would be. Pure but for the
 * shadow that listens.
 */
import type { RecordedFacts, ShadowRecord } from '../contract/exchange.ts';
import type { Release } from '../contract/hold.ts';
import type { Policy, PolicyDecision } from '../contract/policy.ts';
import type { ClassifierResult, ContentType, Direction, ScoredResult } from '../contract/screening.ts';
import type { PatternSet } from '../match/compiled.ts';
import type { Component } from '../match/scan.ts';
import { holdOf } from '../policy/decide.ts';
import { withoutHold } from '../policy/hold.ts';
import { redactionsOf } from '../policy/stricter.ts';
import type { TextEdit } from '../text/edits.ts';
import type { TextWindow, WindowRule } from '../text/windows.ts';
import { joinedEdits, redactionEdits, type LabelledSpan } from './redaction.ts';
import { isScored, merged, resultsOf, type ResultTally } from './results.ts';
import { splitFound, type ShadowText } from './shadow.ts';

/** What is decided about a part of an answer, and by nobody any more. */
export type SettledRuling =
  | { readonly blocked: true; readonly decision: PolicyDecision }
  | { readonly blocked: false; readonly decision: PolicyDecision; readonly edits: readonly TextEdit[] };

/** To wait for a person; `after`: what is done then, by how the wait ends. */
export interface HeldRuling {
  readonly decision: PolicyDecision;
  readonly after: Readonly<Record<Release, SettledRuling>>;
}

/** What is known of a component while the answer still streams. */
export type OutputRuling = SettledRuling | HeldRuling;

/** Judges one channel of one answer. Results add up over the channel, so a stream is decided as the whole text would be. */
export interface ChannelJudge {
  /** `tally` is told what was found. */
  judge(component: Component, text: string | undefined, tally?: ResultTally): OutputRuling;
  /** One decision for a window: its scores, and the components that end in it. */
  judgeWindow(window: TextWindow, results: readonly ClassifierResult[], components: readonly Component[], textOf: (component: Component) => string | undefined, tally?: ResultTally): OutputRuling;
  /** What the policy says with scores that came after the fact. */
  judgeLate(results: readonly ClassifierResult[]): LateVerdict;
}

/** A decision on all scores together, and those of them that came late. */
export interface LateVerdict {
  readonly decision: PolicyDecision;
  /** It is not what was decided in time already. */
  readonly isNews: boolean;
  readonly results: readonly ClassifierResult[];
}

/** Takes what is decided after the fact. `signal`: nobody wants to know any more. */
export interface LateVerdicts {
  readonly signal: AbortSignal;
  /** `verdict` does not reject. */
  watch(direction: Direction, verdict: Promise<LateVerdict>): void;
}

/** How an answer's text is looked at after the fact. Nothing waits for it. */
export interface LateScoring {
  readonly window: WindowRule;
  /** For one text, whose windows are given in order. */
  open(judge: ChannelJudge): (window: TextWindow) => void;
}

/** How an answer's text is given to scored classifiers: present only where a rule could use their scores. */
export interface OutputScoring {
  readonly window: WindowRule;
  readonly mode: 'hold' | 'trail';
  /** For one text. Its windows are scored in order; that never rejects and answers within the deadline. */
  open(): (window: TextWindow) => Promise<readonly ClassifierResult[]>;
}

/** What the guard needs to screen one answer. */
export interface OutputPlan {
  readonly patterns: PatternSet;
  /** The decision before any text: a rule on context alone, or the default. */
  readonly initial: PolicyDecision;
  readonly policy: Policy;
  readonly scoring?: OutputScoring;
  readonly late?: LateScoring;
  /** What the answer's pseudonyms stand for; absent where the prompt left with none. */
  readonly restore?: (token: string) => string | undefined;
  openChannel(): ChannelJudge;
  /** The answer holds content of this type, which nothing reads here; the decision on that alone, which waits for nobody. Rules see it from now on. */
  meets(contentType: ContentType): PolicyDecision;
  /** What a record keeps of what rules read besides scores. */
  recordFacts(): RecordedFacts;
  /** What the shadow has decided by now; absent where the policy has none. */
  shadowed?(): ShadowRecord;
}

/** Whether the decision waits for a person. */
export function asksPerson(decision: PolicyDecision): boolean {
  return holdOf(decision) !== undefined;
}

/** The decision where nobody can be waited for. */
export function unheld(decision: PolicyDecision): PolicyDecision {
  return withoutHold(decision);
}

export type DecideOn = (results: readonly ClassifierResult[]) => PolicyDecision;

/** One channel of one answer. */
export class OutputChannel implements ChannelJudge {
  readonly #decide: DecideOn;
  readonly #decideLate: DecideOn;
  readonly #hashKey: Buffer;
  readonly #shadow: ShadowText | undefined;
  #results: ScoredResult[] = [];
  /** Those that came after the fact; what was found in time counts with them, never the other way round. */
  #late: ScoredResult[] = [];

  constructor(decideOn: DecideOn, decideLate: DecideOn, hashKey: Buffer, shadow: ShadowText | undefined) {
    this.#decide = decideOn;
    this.#decideLate = decideLate;
    this.#hashKey = hashKey;
    this.#shadow = shadow;
  }

  judgeLate(results: readonly ClassifierResult[]): LateVerdict {
    this.#late = merged(this.#late, results.filter(isScored));
    const decision = this.#decideLate([...this.#results, ...this.#late, ...results.filter((result) => !isScored(result))]);
    return verdictOf(decision, this.#decide(this.#results), results);
  }

  judge(component: Component, text: string | undefined, tally?: ResultTally): OutputRuling {
    return this.#decideOn([], [component], undefined, () => text, tally);
  }

  judgeWindow(window: TextWindow, results: readonly ClassifierResult[], components: readonly Component[], textOf: (component: Component) => string | undefined, tally?: ResultTally): OutputRuling {
    tally?.add(results);
    return this.#decideOn(results, components, window, textOf, tally);
  }

  #decideOn(scores: readonly ClassifierResult[], components: readonly Component[], window: TextWindow | undefined, textOf: (component: Component) => string | undefined, tally: ResultTally | undefined): OutputRuling {
    const all = components.map((component) => ({ component, ...splitFound(resultsOf(component.findings, 0)) }));
    this.#shadow?.take(all.flatMap(({ own, observed }) => [...own, ...observed]), scores);
    const found = all.map(({ component, own }) => ({ component, results: own }));
    for (const { component, results } of found) if (!component.continued) tally?.add(results);
    this.#results = merged(this.#results, [...found.flatMap(({ results }) => results), ...scores.filter(isScored)]);
    // What one window does not know, the next may: an unknown result counts for its window alone.
    const decision = this.#decide([...this.#results, ...scores.filter((result) => !isScored(result))]);
    const settled = (decided: PolicyDecision): SettledRuling => (decided.action === 'block' || decided.action === 'replace' ? { blocked: true, decision: decided } : { blocked: false, decision: decided, edits: editsOf(decided) });
    const editsOf = (decided: PolicyDecision): readonly TextEdit[] => redactionsOf(decided).map((redacting) => {
      const patternEdits = found.flatMap(({ component, results }) => this.#componentEdits(component, results, redacting, textOf(component)));
      const scoreEdits = window === undefined ? [] : this.#windowEdits(window, scores, redacting);
      return scoreEdits.length === 0 ? patternEdits : withoutOverlap([...patternEdits, ...scoreEdits]);
    }).reduce(joinedEdits, []);
    if (holdOf(decision) === undefined) return settled(decision);
    return { decision, after: { allowed: settled(decision), refused: { blocked: true, decision: { ...decision, action: 'block' } }, then: settled(withoutHold(decision)) } };
  }

  #componentEdits(component: Component, results: readonly ScoredResult[], decision: PolicyDecision, text: string | undefined): readonly TextEdit[] {
    const spans = results.filter((result) => isMatched(result, decision.matched)).flatMap((result, rank) => spansOf(result, rank));
    const clipped = spans.map((span) => ({ ...span, start: Math.max(span.start, component.start) })).filter((span) => span.start < span.end);
    const edits = redactionEdits(clipped, decision.rule?.redact, this.#hashKey, (start, end) => text?.slice(start - component.start, end - component.start));
    return component.continued ? edits.map((edit) => ({ ...edit, text: '' })) : edits;
  }

  /** Spans of matched scores; a score without spans stands for its whole window. */
  #windowEdits(window: TextWindow, scores: readonly ClassifierResult[], decision: PolicyDecision): readonly TextEdit[] {
    const spans = scores.filter((result) => isMatched(result, decision.matched)).flatMap((result, rank): LabelledSpan[] => {
      const whole: LabelledSpan = { start: 0, end: window.text.length, label: result.label, rank };
      return result.spans.length === 0 ? [whole] : spansOf(result, rank);
    });
    const placed = spans.map((span) => ({ ...span, start: span.start + window.start, end: span.end + window.start }));
    return redactionEdits(placed, decision.rule?.redact, this.#hashKey, (start, end) => window.text.slice(start - window.start, end - window.start));
  }
}

/** Edits of patterns and of scores may overlap: the first keeps its text and covers both. */
function withoutOverlap(edits: readonly TextEdit[]): readonly TextEdit[] {
  const out: { start: number; end: number; text: string }[] = [];
  for (const edit of [...edits].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = out[out.length - 1];
    if (last !== undefined && edit.start < last.end) last.end = Math.max(last.end, edit.end);
    else out.push({ ...edit });
  }
  return out;
}

/** The verdict of `decision`, where `inTime` was decided before. What has gone on waits for nobody: a rule's `then` is taken at once. */
export function verdictOf(late: PolicyDecision, before: PolicyDecision, results: readonly ClassifierResult[]): LateVerdict {
  const [decision, inTime] = [withoutHold(late), withoutHold(before)];
  return { decision, results, isNews: decision.action !== inTime.action || decision.rule?.id !== inTime.rule?.id };
}

/** A result that made the deciding rule true: its spans are what the rule redacts. */
export function isMatched(result: ClassifierResult, matched: readonly ClassifierResult[]): result is ScoredResult {
  return isScored(result) && matched.some((m) => isScored(m) && m.classifier_id === result.classifier_id && m.category === result.category && m.score === result.score);
}

export function spansOf(result: ScoredResult, rank: number): LabelledSpan[] {
  return result.spans.map(({ start, end }) => ({ start, end, label: result.label, rank }));
}
