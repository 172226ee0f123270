/**
 * A plan as a stage for a policy's cases: prompts are screened, decided and redacted as the proxy does it; answers go
 * through the guard as a streamed chat completion, whole and in pieces, since a decision must not depend on how a
 * provider cuts. What a policy hears after the fact is heard in time here. Commands and the API try policies through it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Classifier } from './contract/classifier.ts';
import { ConfigError, type ConfigIssue } from './contract/errors.ts';
import { ACTION_WEIGHT, type ClassifierResult, type Context, type Direction } from './contract/screening.ts';
import type { Screened, Segment } from './contract/exchange.ts';
import type { FailMode, Policy, PolicyDecision } from './contract/policy.ts';
import { openaiChat } from './dialect/openai-chat.ts';
import { assumedFacts, assumedResults, withAssumed, type AssumedScores, type CaseOutcome, type CaseStage, type IsNamed } from './policy/cases.ts';
import { explain, type Explanation } from './policy/explain.ts';
import { parsePolicy, type LiteralFile } from './policy/parse.ts';
import type { Ensemble } from './screen/ensemble.ts';
import type { OutputPlan } from './screen/output.ts';
import { compilePlan, type ScreeningPlan } from './screen/plan.ts';
import { createGuard } from './stream/guard.ts';
import { applyEdits } from './text/edits.ts';
import { viewsOf, type View, type ViewOptions } from './text/views.ts';

/** Characters of a piece; a text is cut into no more pieces than this. */
const CUTS = [1, 3, 16];
const PIECES_MAX = 4_000;

/** What a policy is tried with. */
export interface RehearsalTools {
  readonly classifiers: readonly Classifier[];
  /** All that `score:` may name. */
  readonly known: readonly Classifier[];
  readonly ensemble: Ensemble;
  readonly views: ViewOptions;
}

export interface PolicyText {
  readonly text: string;
  /** For messages. */
  readonly file: string;
  /** A number that the store gave it. */
  readonly revision?: number;
  readonly literalFiles?: ReadonlyMap<string, LiteralFile>;
}

export interface Rehearsed {
  readonly file: string;
  readonly issues: readonly ConfigIssue[];
  /** Absent where an issue is an error. */
  readonly plan?: ScreeningPlan;
}

/** A policy compiled as a proxy compiles it. `failMode`: for rules and policies that do not say `on_unknown`. */
export function rehearse({ text, file, revision, literalFiles }: PolicyText, tools: RehearsalTools, failMode: FailMode): Rehearsed {
  const { policy, issues } = parsePolicy(text, file, tools.known, literalFiles);
  if (policy === undefined) return { file, issues };
  return rehearsePolicy(revision === undefined ? policy : Object.freeze({ ...policy, revision: String(revision) }), { file, issues }, tools, failMode);
}

export function rehearsePolicy(policy: Policy, { file, issues = [] }: { readonly file: string; readonly issues?: readonly ConfigIssue[] }, { classifiers, ensemble, views }: RehearsalTools, failMode: FailMode): Rehearsed {
  try {
    return { file, issues, plan: compilePlan(policy, classifiers, { file, ensemble, failMode, views }) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file, issues: [...issues, ...error.issues] };
  }
}

/** Without a text nothing but the scores that are given was found; with one, they stand in place of their classifiers'. */
export interface ExplainedOn {
  readonly text?: string | undefined;
  readonly scores?: AssumedScores | undefined;
  readonly direction: Direction;
  readonly context: Context;
}

export async function explainOn(plan: ScreeningPlan, { text, scores = {}, direction, context: given }: ExplainedOn): Promise<Explanation> {
  const isNamed: IsNamed = (classifier, category) => plan.isNamed(classifier, category);
  if (text === undefined) return explain(plan.policy, assumedFacts(plan.policy, scores, direction, given, isNamed), plan.failMode);
  const context: Context = { content_type: 'text', ...given, direction };
  const facts = plan.factsOf(await screenText(plan, text, direction, context, assumedResults(scores, isNamed)), direction, context);
  return explain(plan.policy, facts, plan.failMode);
}

export function stageOf(plan: ScreeningPlan): CaseStage {
  return {
    policy: plan.policy,
    failMode: plan.failMode,
    isNamed: (classifier, category) => plan.isNamed(classifier, category),
    async screen(text, direction, given, assumed) {
      const context: Context = { tenant: 'cases', request_id: 'case', content_type: 'text', ...given, direction };
      const screened = await screenText(plan, text, direction, context, assumed);
      const facts = plan.factsOf(screened, direction, context);
      const whole = decidedText(plan, text, screened, direction, context);
      // The guard asks the classifiers itself, and cannot be told what they say.
      if (direction === 'input' || assumed !== undefined) return { facts, outcomes: [whole] };
      const sizes = [...new Set([text.length, ...CUTS.map((size) => Math.max(size, Math.ceil(text.length / PIECES_MAX)))])].filter((size) => size <= text.length);
      const outcomes: CaseOutcome[] = [];
      for (const size of sizes) outcomes.push(await answerOutcome(plan, text, size, context));
      const [first = whole, ...others] = outcomes;
      return { facts, outcomes: [first, ...others] };
    },
  };
}

/** As a prompt, or an answer by itself, is screened. */
export async function screenText(plan: ScreeningPlan, text: string, direction: Direction, context: Context, assumed?: readonly ClassifierResult[]): Promise<Screened> {
  const segment: Segment = { path: 'content', carrier: 'content', contentType: 'text', content: text, history: false };
  const screened = await plan.screen(text === '' ? [] : [segment], direction, context);
  if (assumed === undefined) return screened;
  const [entry = { segment, results: [] }] = screened.segments;
  const classifiers = new Map([...screened.classifiers, ...assumed.map(({ classifier_id: id }) => [id, 'ok'] as const)]);
  return { ...screened, classifiers, segments: [{ ...entry, results: withAssumed(entry.results, assumed) }] };
}

function decidedText(plan: ScreeningPlan, text: string, screened: Screened, direction: Direction, context: Context): CaseOutcome {
  const decision = plan.decide(screened, direction, context);
  const { results, segment } = screened.segments[0] ?? { results: [], segment: { content: text } };
  const redacted = (): string => applyEdits(text, plan.edits(results, decision, segment));
  const out = decision.action === 'redact' ? redacted() : text;
  return { way: 'whole', action: decision.action, rules: decision.triggered_rules, text: refusal(plan, decision) ?? out };
}

/** What is said in place of a text that the policy blocks or replaces; undefined where it lets it through. */
function refusal({ policy }: ScreeningPlan, { action, rule }: Pick<PolicyDecision, 'action' | 'rule'>): string | undefined {
  const message = rule?.message ?? policy.message ?? '';
  if (action === 'replace') return message;
  return action === 'block' ? (policy.onBlock === 'fallback' ? message : '') : undefined;
}

/** What the text says to who sees through a disguise or an encoding. */
export function viewsIn(text: string, { views }: RehearsalTools): readonly View[] {
  return viewsOf(text, views);
}

// Answers.

/** What left of an answer while it came, one character after the other. `after`: characters that had come; the end comes after all. */
export interface Streamed {
  readonly action: PolicyDecision['action'];
  readonly rules: readonly string[];
  readonly releases: readonly { readonly after: number; readonly text: string }[];
  /** Most characters that came while nothing left. */
  readonly waited_chars_max: number;
}

/** As a provider would send it that sends each character by itself. A classifier that answers later releases later. */
export async function streamText(plan: ScreeningPlan, text: string, given: Context): Promise<Streamed> {
  const context: Context = { tenant: 'cases', request_id: 'case', content_type: 'text', ...given, direction: 'output' };
  const { guard, decisions, received, done } = openAnswer(plan.forOutput(context));
  const releases: { after: number; text: string }[] = [];
  let [after, since, waitedMax] = [0, 0, 0];
  let rest = Buffer.alloc(0);
  const note = (): void => {
    const bytes = Buffer.concat([rest, ...received.splice(0)]);
    const whole = bytes.lastIndexOf('\n\n') + 2;
    const out = whole < 2 ? '' : textOf(bytes.subarray(0, whole));
    rest = whole < 2 ? bytes : bytes.subarray(whole);
    if (out === '') return;
    releases.push({ after, text: out });
    [waitedMax, since] = [Math.max(waitedMax, after - since), after];
  };
  for (const character of text) {
    guard.feed(event({ content: character }, null));
    after += character.length;
    await turn();
    note();
  }
  guard.feed(Buffer.concat([event({}, 'stop'), Buffer.from('data: [DONE]\n\n')]));
  guard.end();
  await done;
  note();
  return { action: decisions.worst.action, rules: decisions.worst.triggered_rules, releases, waited_chars_max: Math.max(waitedMax, after - since) };
}

async function answerOutcome(plan: ScreeningPlan, text: string, pieceChars: number, context: Context): Promise<CaseOutcome> {
  const output = plan.forOutput(context);
  const { guard, decisions, received, done } = openAnswer(output);
  for (let at = 0; at < text.length; at += pieceChars) guard.feed(event({ content: text.slice(at, at + pieceChars) }, null));
  guard.feed(Buffer.concat([event({}, 'stop'), Buffer.from('data: [DONE]\n\n')]));
  guard.end();
  await done;
  const { worst } = decisions;
  const way = pieceChars >= text.length ? 'whole' : `in pieces of ${pieceChars} ${pieceChars === 1 ? 'character' : 'characters'}`;
  // Text that does not wait for its scores leaves as the cut has it.
  const certain = output.scoring?.mode !== 'trail';
  const out = refusal(plan, worst) ?? (certain ? textOf(Buffer.concat(received)) : undefined);
  return { way, action: worst.action, rules: worst.triggered_rules, ...(out === undefined ? {} : { text: out }) };
}

/** The guard of one answer; `received` is what a client would have by now. */
function openAnswer(output: OutputPlan) {
  const decisions = new Decisions(output);
  const received: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const guard = createGuard({
    dialect: openaiChat,
    request: { segments: [], opaque: [], stream: true, parameters: {} },
    plan: decisions.watched,
    requestId: 'case',
    status: 200,
    mediaType: 'text/event-stream',
    limits: { eventBytesMax: 1 << 22, responseBytesMax: 1 << 26 },
    hold: async () => 'allowed', // nothing waits here; that it would is in the decision
    onBytes: (bytes) => received.push(Buffer.from(bytes)),
    onDone: () => resolve(),
  });
  return { guard, decisions, received, done: promise };
}

/** Listens to what an answer is decided, to tell the decision that did most; of equal ones the last, which knew most. */
class Decisions {
  worst: PolicyDecision;
  readonly watched: OutputPlan;

  constructor(plan: OutputPlan) {
    this.worst = plan.initial;
    this.watched = {
      ...plan,
      openChannel: () => {
        const judge = plan.openChannel();
        return {
          judge: (...args) => this.#heard(judge.judge(...args)),
          judgeWindow: (...args) => this.#heard(judge.judgeWindow(...args)),
          judgeLate: (results) => judge.judgeLate(results),
        };
      },
    };
  }

  #heard<T extends { readonly decision: PolicyDecision }>(ruling: T): T {
    if (ACTION_WEIGHT[ruling.decision.action] >= ACTION_WEIGHT[this.worst.action]) this.worst = ruling.decision;
    return ruling;
  }
}

function event(delta: object, finish: string | null): Buffer {
  return Buffer.from(`data: ${JSON.stringify({ id: 'case', object: 'chat.completion.chunk', created: 0, model: 'case', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
}

/** What a client would have read. */
function textOf(bytes: Buffer): string {
  const events = bytes.toString('utf8').split('\n\n').filter((frame) => frame.startsWith('data: {')).map((frame) => JSON.parse(frame.slice('data: '.length)) as ChatEvent);
  return events.map(({ choices = [] }) => choices[0]?.delta?.content ?? '').join('');
}

interface ChatEvent {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
}
