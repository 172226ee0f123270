/**
 * Everything compiled for one policy: one automaton over the patterns of all classifiers and of the policy, the
 * decision, and the redaction. Made once when the configuration is loaded, immutable, shared by all exchanges.
 *
 * A pattern's text is held back on streams only where the policy could act on it; where it would at most allow or warn,
 * matches are observed and nothing waits.
 *
 * Images and recordings are given to the classifiers that read them; to all others they are unknown, which decides only
 * about rules that ask for them (policy/truth). What cannot be redacted is blocked: a matched image has no text to replace.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Classifier, PatternDefinition } from '../contract/classifier.ts';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import type { Screened, Segment, SegmentResults } from '../contract/exchange.ts';
import type { Condition, FailMode, Policy, PolicyDecision } from '../contract/policy.ts';
import type { ClassifierResult, ContentType, Context, Direction, ScoredResult, ScreeningRequest, UnknownReason } from '../contract/screening.ts';
import type { Component, Finding } from '../match/scan.ts';
import type { PatternSet } from '../match/compiled.ts';
import { compilePatterns, failingExamples, PatternSetError, scanText, type PatternSource } from '../match/set.ts';
import { exceptHosts } from '../match/validators.ts';
import { inStringAt, JsonText, writtenInJson } from '../text/json-text.ts';
import { decide } from '../policy/decide.ts';
import type { TextEdit } from '../text/edits.ts';
import type { TextWindow, WindowRule } from '../text/windows.ts';
import { askAll, unknowns } from './ensemble.ts';
import { literalTokens, Pseudonyms } from './pseudonyms.ts';
import { redactionEdits, type LabelledSpan } from './redaction.ts';
import { resultsOf, type ResultTally } from './results.ts';

/** What is known of a component while the answer still streams. */
export type OutputRuling =
  | { readonly blocked: true; readonly decision: PolicyDecision }
  | { readonly blocked: false; readonly decision: PolicyDecision; readonly edits: readonly TextEdit[] };

/** Judges one channel of one answer. Results add up over the channel, so a stream is decided as the whole text would be. */
export interface ChannelJudge {
  /** `tally` is told what was found. */
  judge(component: Component, text: string | undefined, tally?: ResultTally): OutputRuling;
  /** One decision for a window: its scores, and the components that end in it. */
  judgeWindow(window: TextWindow, results: readonly ClassifierResult[], components: readonly Component[], textOf: (component: Component) => string | undefined, tally?: ResultTally): OutputRuling;
}

/** How an answer's text is given to scored classifiers: present only where a rule could use their scores. */
export interface OutputScoring {
  readonly window: WindowRule;
  readonly mode: 'hold' | 'trail';
  /** Never rejects; answers within the deadline. */
  score(window: TextWindow): Promise<readonly ClassifierResult[]>;
}

/** What the guard needs to screen one answer. */
export interface OutputPlan {
  readonly patterns: PatternSet;
  /** The decision before any text: a rule on context alone, or the default. */
  readonly initial: PolicyDecision;
  readonly policy: Policy;
  readonly scoring?: OutputScoring;
  /** What the answer's pseudonyms stand for; absent where the prompt left with none. */
  readonly restore?: (token: string) => string | undefined;
  openChannel(): ChannelJudge;
  /** The answer holds content of this type, which nothing reads here; the decision on that alone. Rules see it from now on. */
  meets(contentType: ContentType): PolicyDecision;
}

export interface ScreeningPlan {
  readonly policy: Policy;
  /** `id@revision` */
  readonly policyName: string;
  readonly patterns: PatternSet;
  /** Seals the tenant's pseudonyms; absent where no rule writes any. */
  readonly pseudonymKey?: Buffer;
  /** Whether a classifier scores content of this type in prompts. */
  reads(contentType: ContentType): boolean;
  screen(segments: readonly Segment[], direction: Direction, context: Context, signal?: AbortSignal): Promise<Screened>;
  decide(screened: Screened, direction: Direction, context: Context): PolicyDecision;
  /**
   * Replacements for those of one text's results that made the deciding rule true: sorted, not overlapping. Without
   * `pseudonyms` the text is one by itself, and nothing restores what it says.
   */
  edits(results: readonly ClassifierResult[], decision: PolicyDecision, segment: Pick<Segment, 'content' | 'json'>, pseudonyms?: Pseudonyms): readonly TextEdit[];
  forOutput(context: Context, pseudonyms?: Pseudonyms): OutputPlan;
  /** The same plan, everything compiled shared, with what is a tenant's own. */
  forTenant(own: TenantOwn): ScreeningPlan;
}

export interface TenantOwn {
  /** For rules and policies that do not say `on_unknown`. */
  readonly failMode: FailMode;
  /** Keys the `hash` style: a value keeps its hash while the key stays the same. */
  readonly hashKey: Buffer;
}

export interface PlanOptions extends Partial<TenantOwn> {
  /** The policy's file, for errors. */
  readonly file: string;
  /** For all scored classifiers of one text together. */
  readonly deadlineMs?: number;
}

const DEADLINE_MS = 80;

/** `classifier_id` of the policy's own patterns. */
export const POLICY_PATTERNS = 'patterns';

/** Throws ConfigError when a pattern cannot be compiled or an example does not behave as stated. */
export function compilePlan(policy: Policy, classifiers: readonly Classifier[], options: PlanOptions): ScreeningPlan {
  return new Plan(policy, compileSet(policy, classifiers, options.file), classifiers, options.deadlineMs ?? DEADLINE_MS, { failMode: options.failMode ?? 'closed', hashKey: options.hashKey ?? randomBytes(32) });
}

class Plan implements ScreeningPlan {
  readonly policy: Policy;
  readonly policyName: string;
  readonly patterns: PatternSet;
  readonly #all: readonly Classifier[];
  /** Those that score texts by `classify`. */
  readonly #scoring: readonly Classifier[];
  readonly #classifiers: ReadonlyMap<string, 'ok' | UnknownReason>;
  /** What those say of a content type that do not read it. */
  readonly #unsupported: Readonly<Record<ContentType, readonly ClassifierResult[]>>;
  /** What each of them reads. */
  readonly #reads: ReadonlyMap<string, readonly ContentType[]>;
  readonly #deadlineMs: number;
  readonly #own: TenantOwn;
  readonly pseudonymKey: Buffer | undefined;

  constructor(policy: Policy, patterns: PatternSet, classifiers: readonly Classifier[], deadlineMs: number, own: TenantOwn) {
    this.policy = policy;
    this.policyName = `${policy.id}@${policy.revision}`;
    this.patterns = patterns;
    this.#all = classifiers;
    this.#scoring = classifiers.filter((classifier) => classifier.classify !== undefined);
    this.#classifiers = new Map([...classifiers.map((c) => c.id), POLICY_PATTERNS].map((id) => [id, 'ok']));
    const missing = (type: ContentType): readonly ClassifierResult[] => classifiers.filter(({ contentTypes }) => !contentTypes.includes(type)).flatMap((classifier) => unknowns(classifier, 'unsupported', 0));
    this.#unsupported = { text: missing('text'), image: missing('image'), audio: missing('audio') };
    this.#reads = new Map([...classifiers.map((c) => [c.id, c.contentTypes] as const), [POLICY_PATTERNS, ['text']]]);
    this.#deadlineMs = deadlineMs;
    this.#own = own;
    const reversible = policy.rules.some((rule) => rule.enabled && rule.redact?.style === 'pseudonym');
    this.pseudonymKey = reversible ? createHmac('sha256', own.hashKey).update('pseudonyms').digest() : undefined;
  }

  forTenant(own: TenantOwn): ScreeningPlan {
    return new Plan(this.policy, this.patterns, this.#all, this.#deadlineMs, own);
  }

  reads(contentType: ContentType): boolean {
    return this.#scoring.some((classifier) => classifier.contentTypes.includes(contentType) && classifier.directions.includes('input'));
  }

  async screen(segments: readonly Segment[], direction: Direction, context: Context, signal?: AbortSignal): Promise<Screened> {
    const started = performance.now();
    const scores = this.#scoring.length === 0 ? [] : await Promise.all(segments.map((segment) => this.#score(segment, direction, context, signal)));
    const screened = segments.map((segment, i): SegmentResults => {
      const { contentType } = segment;
      const scored = scores[i] ?? [];
      const unsupported = this.#unsupported[contentType];
      if (contentType === 'text') return { segment, results: [...this.#scan(segment), ...scored], unsupported };
      return { segment, results: scored, unsupported, judged: this.#isJudged(contentType, direction, scored) };
    });
    return { segments: screened, classifiers: this.#classifiers, latencyMs: performance.now() - started };
  }

  decide(screened: Screened, direction: Direction, context: Context): PolicyDecision {
    const contentTypes = [...new Set(screened.segments.map(({ segment }) => segment.contentType))];
    const results = screened.segments.flatMap((entry) => entry.results);
    const decision = decide(this.policy, { direction, results, classifiers: screened.classifiers, context, contentTypes, reads: this.#reads }, this.#own.failMode);
    const cannot = decision.action === 'redact' && screened.segments.some(({ segment, results: own }) => segment.contentType !== 'text' && own.some((result) => decision.matched.includes(result)));
    return cannot ? { ...decision, action: 'block' } : decision;
  }

  edits(results: readonly ClassifierResult[], decision: PolicyDecision, segment: Pick<Segment, 'content' | 'json'>, pseudonyms?: Pseudonyms): readonly TextEdit[] {
    const { content } = segment;
    const spans = results.filter((result) => isMatched(result, decision)).flatMap((result, rank) => spansOf(result, rank));
    const textOf = (start: number, end: number): string => (segment.json === true ? decodedJson(content.slice(start, end)) : content.slice(start, end));
    const known = pseudonyms ?? (decision.rule?.redact?.style === 'pseudonym' ? new Pseudonyms(literalTokens([segment])) : undefined);
    const edits = redactionEdits(spans, decision.rule?.redact, this.#own.hashKey, textOf, known);
    if (segment.json !== true) return edits;
    const inString = inStringAt(content);
    return edits.map((edit) => writtenInJson(edit, inString(edit.start), content.slice(edit.start, edit.end), (back) => content[edit.start - back] ?? ''));
  }

  forOutput(context: Context, pseudonyms?: Pseudonyms): OutputPlan {
    let contentTypes: readonly ContentType[] = ['text'];
    const decideOn = (results: readonly ClassifierResult[]): PolicyDecision => decide(this.policy, { direction: 'output', results, classifiers: this.#classifiers, context, contentTypes, reads: this.#reads }, this.#own.failMode);
    return {
      patterns: this.patterns,
      initial: decideOn([]),
      policy: this.policy,
      ...this.#outputScoring(context),
      ...(pseudonyms === undefined || pseudonyms.size === 0 ? {} : { restore: (token) => pseudonyms.valueOf(token) }),
      openChannel: () => new OutputChannel(decideOn, this.#own.hashKey),
      meets: (contentType) => {
        if (!contentTypes.includes(contentType)) contentTypes = [...contentTypes, contentType];
        return decideOn([]);
      },
    };
  }

  /** Scored classifiers are asked about answers when a rule could use it; text waits only where a rule could act on it. */
  #outputScoring(context: Context): { readonly scoring?: OutputScoring } {
    const read = this.#scoring.filter((classifier) => classifier.contentTypes.includes('text') && classifier.categories.some(({ id }) => this.policy.rules.some((rule) => rule.enabled && rule.direction !== 'input' && reads(rule.when, classifier.id, id))));
    if (read.length === 0) return {};
    const acts = read.some((classifier) => classifier.categories.some(({ id }) => mayAct(this.policy, classifier.id, id)));
    const mode = acts ? this.policy.stream.mode : 'trail';
    return { scoring: { window: this.policy.stream.window, mode, score: (window) => this.#ask(read, window.text, 'text', 'output', { ...context, text_before: window.before }) } };
  }

  #score(segment: Segment, direction: Direction, context: Context, signal: AbortSignal | undefined): readonly ClassifierResult[] | Promise<readonly ClassifierResult[]> {
    const readers = this.#scoring.filter(({ contentTypes }) => contentTypes.includes(segment.contentType));
    // A form's file is encoded only where somebody reads it.
    return readers.length === 0 ? NO_RESULTS : this.#ask(readers, segment.content, segment.contentType, direction, context, signal);
  }

  #ask(classifiers: readonly Classifier[], content: string, contentType: ContentType, direction: Direction, context: Context, signal?: AbortSignal): Promise<readonly ClassifierResult[]> {
    const request: ScreeningRequest = {
      request_id: String(context.request_id ?? ''), tenant_id: String(context.tenant ?? ''), direction, content, content_type: contentType, context, created_at: new Date().toISOString(),
    };
    return askAll(classifiers, request, this.#deadlineMs, signal);
  }

  /** A classifier that reads it has answered for it. */
  #isJudged(contentType: ContentType, direction: Direction, results: readonly ClassifierResult[]): boolean {
    return this.#scoring.some(({ id, contentTypes, directions }) => {
      if (!contentTypes.includes(contentType) || !directions.includes(direction)) return false;
      const own = results.filter((result) => result.classifier_id === id);
      return own.length === 0 || own.some(isScored);
    });
  }

  #scan(segment: Segment): readonly ClassifierResult[] {
    if (segment.content.length === 0) return [];
    const started = performance.now();
    const findings = segment.json === true ? jsonFindings(this.patterns, segment.content) : scanText(this.patterns, segment.content);
    return resultsOf(findings, performance.now() - started);
  }
}

const NO_RESULTS: readonly ClassifierResult[] = [];

class OutputChannel implements ChannelJudge {
  readonly #decide: (results: readonly ClassifierResult[]) => PolicyDecision;
  readonly #hashKey: Buffer;
  #results: ScoredResult[] = [];

  constructor(decideOn: (results: readonly ClassifierResult[]) => PolicyDecision, hashKey: Buffer) {
    this.#decide = decideOn;
    this.#hashKey = hashKey;
  }

  judge(component: Component, text: string | undefined, tally?: ResultTally): OutputRuling {
    return this.#decideOn([], [component], undefined, () => text, tally);
  }

  judgeWindow(window: TextWindow, results: readonly ClassifierResult[], components: readonly Component[], textOf: (component: Component) => string | undefined, tally?: ResultTally): OutputRuling {
    tally?.add(results);
    return this.#decideOn(results, components, window, textOf, tally);
  }

  #decideOn(scores: readonly ClassifierResult[], components: readonly Component[], window: TextWindow | undefined, textOf: (component: Component) => string | undefined, tally: ResultTally | undefined): OutputRuling {
    const found = components.map((component) => ({ component, results: resultsOf(component.findings, 0) }));
    for (const { component, results } of found) if (!component.continued) tally?.add(results);
    this.#results = merged(this.#results, [...found.flatMap(({ results }) => results), ...scores.filter(isScored)]);
    // What one window does not know, the next may: an unknown result counts for its window alone.
    const decision = this.#decide([...this.#results, ...scores.filter((result) => !isScored(result))]);
    if (decision.action === 'block' || decision.action === 'replace') return { blocked: true, decision };
    if (decision.action !== 'redact') return { blocked: false, decision, edits: [] };
    const patternEdits = found.flatMap(({ component, results }) => this.#componentEdits(component, results, decision, textOf(component)));
    const scoreEdits = window === undefined ? [] : this.#windowEdits(window, scores, decision);
    return { blocked: false, decision, edits: scoreEdits.length === 0 ? patternEdits : withoutOverlap([...patternEdits, ...scoreEdits]) };
  }

  #componentEdits(component: Component, results: readonly ScoredResult[], decision: PolicyDecision, text: string | undefined): readonly TextEdit[] {
    const spans = results.filter((result) => isMatched(result, decision)).flatMap((result, rank) => spansOf(result, rank));
    const clipped = spans.map((span) => ({ ...span, start: Math.max(span.start, component.start) })).filter((span) => span.start < span.end);
    const edits = redactionEdits(clipped, decision.rule?.redact, this.#hashKey, (start, end) => text?.slice(start - component.start, end - component.start));
    return component.continued ? edits.map((edit) => ({ ...edit, text: '' })) : edits;
  }

  /** Spans of matched scores; a score without spans stands for its whole window. */
  #windowEdits(window: TextWindow, scores: readonly ClassifierResult[], decision: PolicyDecision): readonly TextEdit[] {
    const spans = scores.filter((result) => isMatched(result, decision)).flatMap((result, rank): LabelledSpan[] => {
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

function isScored(result: ClassifierResult): result is ScoredResult {
  return !('unknown' in result);
}

function compileSet(policy: Policy, classifiers: readonly Classifier[], file: string): PatternSet {
  const own = policy.patterns.map((pattern): PatternDefinition => ({
    id: pattern.id,
    category: pattern.category ?? pattern.id,
    label: pattern.label,
    ignoreCase: pattern.ignoreCase,
    // Only what validates knows hosts, and only links lead to one.
    ...(pattern.validate === undefined ? {} : { validate: policy.allowHosts?.length ? exceptHosts(pattern.validate, policy.allowHosts) : pattern.validate }),
    ...(pattern.score === undefined ? {} : { score: pattern.score }),
    matches: pattern.matches,
    ignores: pattern.ignores,
    ...(pattern.regex === undefined ? { literal: pattern.literal ?? [] } : { regex: pattern.regex }),
  }));
  const source = (classifier: string, definition: PatternDefinition): PatternSource => ({ classifier, definition, holds: mayAct(policy, classifier, definition.category) });
  const ownSources = own.map((definition) => source(POLICY_PATTERNS, definition));
  try {
    const set = compilePatterns([...classifiers.flatMap((c) => (c.patterns ?? []).map((definition) => source(c.id, definition))), ...ownSources]);
    // Each is compiled by itself for this, so only those that state something.
    const failing = failingExamples(ownSources.filter(({ definition: { matches = [], ignores = [] } }) => matches.length + ignores.length > 0));
    if (failing.length > 0) throw new PatternSetError(failing);
    return set;
  } catch (error) {
    if (!(error instanceof PatternSetError)) throw error;
    throw new ConfigError(error.issues.map((issue): ConfigIssue => ({
      file, line: 1, column: 1, severity: 'error',
      path: issue.classifier === POLICY_PATTERNS ? `patterns.${issue.id}` : `${issue.classifier}.${issue.id}`,
      message: issue.position === undefined ? `pattern ${issue.id}: ${issue.message}` : `pattern ${issue.id}, character ${issue.position + 1}: ${issue.message}`,
    })));
  }
}

/** Whether the policy could do more about an output's score than allow or warn. */
function mayAct(policy: Policy, classifier: string, category: string): boolean {
  const acts = (action: string): boolean => action !== 'allow' && action !== 'warn';
  if (acts(policy.defaultAction)) return true;
  return policy.rules.some((rule) => rule.enabled && rule.direction !== 'input' && acts(rule.hold?.then ?? (rule.action === 'escalate' ? 'allow' : rule.action)) && reads(rule.when, classifier, category));
}

function reads(condition: Condition, classifier: string, category: string): boolean {
  switch (condition.kind) {
    case 'all': case 'any': return condition.of.some((part) => reads(part, classifier, category));
    case 'not': return reads(condition.of, classifier, category);
    case 'context': return false;
    case 'score': return names(condition.classifier, classifier) && names(condition.category, category);
  }
}

const names = (wanted: string, actual: string): boolean => wanted === '*' || wanted === actual;

/** A result that made the deciding rule true: its spans are what the rule redacts. */
function isMatched(result: ClassifierResult, decision: PolicyDecision): result is ScoredResult {
  return isScored(result) && decision.matched.some((m) => isScored(m) && m.classifier_id === result.classifier_id && m.category === result.category && m.score === result.score);
}

function spansOf(result: ScoredResult, rank: number): LabelledSpan[] {
  return result.spans.map(({ start, end }) => ({ start, end, label: result.label, rank }));
}

/** Results of a channel so far: scores and labels once, spans not kept, so that long answers cost no memory. */
function merged(known: readonly ScoredResult[], found: readonly ScoredResult[]): ScoredResult[] {
  const out = [...known];
  for (const result of found) {
    if (!out.some((r) => r.classifier_id === result.classifier_id && r.category === result.category && r.score === result.score)) out.push({ ...result, spans: [] });
  }
  return out;
}

/** Findings in JSON text, in raw offsets. */
function jsonFindings(set: PatternSet, text: string): readonly Finding[] {
  const found: Finding[] = [];
  let part = '';
  let partStart = 0;
  const json: JsonText = new JsonText({
    text: (decoded) => { part += decoded; },
    boundary: () => {
      for (const finding of scanText(set, part)) found.push({ pattern: finding.pattern, ...json.rawRange(partStart + finding.start, partStart + finding.end) });
      partStart += part.length;
      part = '';
    },
  });
  json.feed(text);
  json.close();
  return found;
}

/** A stretch of JSON text as it reads: a value is the same value however its letters are escaped. */
function decodedJson(raw: string): string {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw;
  }
}
