/**
 * The prompt's way through the screen. `ScreenedRequest` is what `upstream.send` takes, and its constructor never
 * leaves this file: a request that was not screened and allowed cannot be sent.
 * Unmodified means the same bytes; a redaction changes the string literals it must and nothing else.
 */
import type { DecisionRecord, OpaqueKind, OpaquePart, RecordedFacts, Screened, Segment, SegmentResults } from '../contract/exchange.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Release } from '../contract/hold.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { Context, Treatment, Unread } from '../contract/screening.ts';
import type { RequestReading } from '../dialect/dialect.ts';
import { holdOf } from '../policy/decide.ts';
import { redactionsOf } from '../policy/stricter.ts';
import { coverageOf, isMedia, partOf } from '../screen/coverage.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import { literalTokens, Pseudonyms, type PseudonymVault } from '../screen/pseudonyms.ts';
import { ResultTally } from '../screen/results.ts';
import { applyEdits, type TextEdit } from '../text/edits.ts';
import type { ReadRequest } from './request.ts';

class ScreenedRequest {
  readonly #body: Buffer;

  constructor(body: Buffer) {
    this.#body = body;
  }

  get body(): Buffer {
    return this.#body;
  }
}

export type { ScreenedRequest };

/** What the configuration says about parts that cannot be read here. */
export type OpaqueTreatments = Readonly<Record<OpaqueKind, Treatment>>;

/** What screening said about a prompt, before the policy was asked. */
export interface ScreenedPrompt {
  readonly request: ReadRequest;
  readonly opaque: readonly Unread[];
  readonly screened: Screened;
  /** A part that nothing reads and the configuration refuses: the policy is not asked. */
  readonly refused?: Unread;
}

/** What is decided, and by nobody any more. */
export type SettledPrompt =
  /** To be sent, as it came or redacted. */
  | { readonly kind: 'forward'; readonly request: ScreenedRequest; readonly record: DecisionRecord; readonly edits: readonly SegmentEdits[] }
  | { readonly kind: 'blocked'; readonly code: ErrorCode; readonly message?: string; readonly record: DecisionRecord }
  /** Answered here with a text of the policy. */
  | { readonly kind: 'answered'; readonly message: string; readonly record: DecisionRecord };

/** To wait for a person; `after`: what is done then, by how the wait ends. */
export interface HeldPrompt {
  readonly kind: 'held';
  readonly decision: PolicyDecision;
  readonly record: DecisionRecord;
  /** It is let go: as an earlier turn it is not held for the same rule again. */
  readonly remember: () => void;
  readonly after: Readonly<Record<Release, SettledPrompt>>;
}

export type PromptVerdict = SettledPrompt | HeldPrompt;

/** What no classifier reads, or none has judged in time, gets the treatment of the configuration. */
export async function screenPrompt(plan: ScreeningPlan, request: ReadRequest, context: Context, treatments: OpaqueTreatments, signal: AbortSignal): Promise<ScreenedPrompt> {
  const { segments } = request.reading;
  const media = segments.filter(isMedia);
  const treated = (unjudged: readonly Segment[]): readonly Unread[] => [...opaqueAlone(request.reading, media), ...unjudged.map(partOf)].map((part) => ({ ...part, treatment: treatments[part.kind] }));
  const refusedOf = (parts: readonly Unread[]): Unread | undefined => parts.find(({ treatment }) => treatment === 'refuse');

  const before = treated(media.filter(({ contentType }) => !plan.reads(contentType)));
  if (refusedOf(before) !== undefined) return { request, opaque: before, screened: NOT_SCREENED, refused: refusedOf(before) };
  const screened = await plan.screen(segments, 'input', context, signal, 'let_go');
  const opaque = media.length === 0 ? before : treated(screened.segments.filter(({ segment, judged }) => isMedia(segment) && judged !== true).map(({ segment }) => segment));
  return { request, opaque, screened, refused: refusedOf(opaque) };
}

const NOT_SCREENED: Screened = { segments: [], classifiers: new Map(), latencyMs: 0 };

/** Parts that are not among `media` as well. */
function opaqueAlone({ opaque }: RequestReading, media: readonly Segment[]): readonly OpaquePart[] {
  const known = new Set(media.map(partOf).map(({ carrier, kind }) => `${kind} ${carrier}`));
  return opaque.filter(({ carrier, kind }) => !known.has(`${kind} ${carrier}`));
}

/** What an answer's pseudonyms are restored from, where the policy writes any. */
export interface DecidedPrompt {
  readonly verdict: PromptVerdict;
  readonly pseudonyms?: Pseudonyms;
}

/** Whose pseudonyms a prompt shares. Without a session they are its own. */
export interface PromptSession {
  readonly tenantId: string;
  readonly sessionId: string | undefined;
  readonly vault: PseudonymVault | undefined;
}

/** Decides with the pseudonyms of the session, which keep their numbers from turn to turn. */
export async function decideInSession(plan: ScreeningPlan, prompt: ScreenedPrompt, context: Context, { tenantId, sessionId, vault }: PromptSession): Promise<DecidedPrompt> {
  const { pseudonymKey: key } = plan;
  if (key === undefined || prompt.refused !== undefined) return { verdict: decidePrompt(plan, prompt, context) };
  // Signed text comes back as the provider wrote it, tokens included: they stand for what they stood for then.
  const literal = literalTokens(prompt.request.reading.segments.filter((segment) => segment.fixed !== true && !isMedia(segment)));
  if (vault === undefined || sessionId === undefined) {
    const pseudonyms = new Pseudonyms(literal);
    return { verdict: decidePrompt(plan, prompt, context, pseudonyms), pseudonyms };
  }
  const { result: verdict, pseudonyms } = await vault.use({ tenantId, sessionId, key }, literal, (known) => decidePrompt(plan, prompt, context, known));
  return { verdict, pseudonyms };
}

/**
 * The decision, and the bytes to forward where it allows them. Under `history: latest` earlier turns decide nothing:
 * what was allowed once is not refused for it again. What a policy redacts is redacted there too, since the client
 * sends its own unredacted copy of them every time.
 */
export function decidePrompt(plan: ScreeningPlan, prompt: ScreenedPrompt, context: Context, pseudonyms?: Pseudonyms): PromptVerdict {
  if (prompt.refused !== undefined) return refuseOpaque(prompt, prompt.refused);
  const { policy } = plan;
  const latestOnly = policy.history === 'latest';
  const acted = actedOn(plan, prompt.screened);
  const decision = decideActed(plan, acted, context);
  const shadow = plan.shadowed?.(prompt.screened, 'input', context);
  const record = (redactions = 0): DecisionRecord => ({ ...decisionRecord(decision, prompt, redactions, acted), facts: factsOf(plan, prompt, acted, context), ...(shadow === undefined ? {} : { shadow }) });
  if (prompt.request.reading.observed === true) return { kind: 'forward', request: new ScreenedRequest(prompt.request.document.splice([])), record: { ...record(), action: 'allow' }, edits: [] };
  const settled = (decided: PolicyDecision): SettledPrompt => {
    if (decided.action === 'block' || decided.action === 'replace') return refuse(plan, decided, record());
    // In the order of the conversation, so that earlier turns keep the numbers of their pseudonyms.
    const edits = prompt.screened.segments.flatMap((entry) => {
      if (latestOnly && entry.segment.history) return historyEdits(plan, prompt.screened, entry, context, pseudonyms);
      return segmentEdits(plan, entry, decided, pseudonyms);
    });
    const signed = edits.find(({ segment }) => segment.fixed === true);
    if (signed !== undefined) return refuseSigned(plan, signed.segment, decided, { ...record(), action: 'block' });
    const body = prompt.request.document.splice(edits.map((edit) => ({ path: edit.segment.jsonPath!, key: edit.segment.key, value: applyEdits(edit.segment.content, edit.edits) })));
    return { kind: 'forward', request: new ScreenedRequest(body), record: record(edits.reduce((sum, edit) => sum + edit.edits.length, 0)), edits };
  };
  const hold = holdOf(decision);
  if (hold === undefined) return settled(decision);
  const allowed = settled(decision);
  // Where nothing is redacted or blocked it is the same, and its bytes need to be there once.
  const then = hold.then === 'allow' || hold.then === 'warn' ? allowed : settled(plan.unheld(decision, acted));
  const remember = (): void => { for (const { segment } of acted.segments) plan.rememberAllowed(decision.rule!.id, segment, context); };
  return { kind: 'held', decision, record: record(), remember, after: { allowed, then, refused: refuse(plan, { ...decision, action: 'block' }, record()) } };
}

/** Earlier turns that a person has let go, and that are acted on again, are not held again for the same rule. */
function decideActed(plan: ScreeningPlan, acted: Screened, context: Context): PolicyDecision {
  const decision = plan.decide(acted, 'input', context);
  if (holdOf(decision) === undefined || !acted.segments.some(({ segment }) => segment.history)) return decision;
  const { id } = decision.rule!;
  return plan.decide(withSegments(acted, (segment) => !segment.history || !plan.wasAllowed(id, segment, context)), 'input', context);
}

/** What becomes of a prompt that the policy blocks or replaces. */
export function refuse({ policy }: ScreeningPlan, decision: PolicyDecision, record: DecisionRecord): Exclude<SettledPrompt, { readonly kind: 'forward' }> {
  const message = decision.rule?.message ?? policy.message;
  if (decision.action === 'replace') return { kind: 'answered', message: message ?? '', record };
  if (policy.onBlock === 'fallback' && message !== undefined) return { kind: 'answered', message, record };
  return { kind: 'blocked', code: failedClosed(decision) ? 'screening_failed' : 'content_filter', message: decision.rule?.message, record };
}

/** What the policy decides on: under `history: latest` the newest turn. */
export function actedOn({ policy }: ScreeningPlan, screened: Screened): Screened {
  return policy.history === 'latest' ? withSegments(screened, (segment) => !segment.history) : screened;
}

/** The scores that were decided on are told apart from those of earlier turns, where there are any. */
function factsOf(plan: ScreeningPlan, { screened }: ScreenedPrompt, acted: Screened, context: Context): RecordedFacts {
  const facts = plan.recordFacts(acted, 'input', context);
  if (!screened.segments.some(({ segment, results }) => segment.history && results.length > 0) || acted === screened) return facts;
  const tally = new ResultTally();
  for (const { results } of acted.segments) tally.add(results);
  return { ...facts, results: tally.summary() };
}

function refuseOpaque(prompt: ScreenedPrompt, { carrier }: Unread): SettledPrompt {
  const decision: PolicyDecision = { action: 'block', matched: [], triggered_rules: [], degraded: [] };
  const { message } = new WeirError('opaque_refused', `${carrier} cannot be screened here`);
  return { kind: 'blocked', code: 'opaque_refused', message, record: decisionRecord(decision, prompt, 0) };
}

/** A signed text passes whole or not at all, and the provider would refuse the conversation without its signature. */
function refuseSigned({ policy }: ScreeningPlan, { carrier }: Segment, { rule }: PolicyDecision, record: DecisionRecord): SettledPrompt {
  const message = rule?.message ?? policy.message;
  if (policy.onBlock === 'fallback' && message !== undefined) return { kind: 'answered', message, record };
  return { kind: 'blocked', code: 'content_filter', message: rule?.message ?? `${carrier} is signed and holds what the policy redacts; send the conversation without that block`, record };
}

/** True when the deciding rule blocked because a score was missing, not because of one. */
function failedClosed({ rule, degraded }: PolicyDecision): boolean {
  return rule !== undefined && degraded.includes(rule.id);
}

/** What changes in a text before it goes on. */
export interface SegmentEdits {
  readonly segment: Segment;
  readonly edits: readonly TextEdit[];
}

function segmentEdits(plan: ScreeningPlan, { segment, results }: SegmentResults, decision: PolicyDecision, pseudonyms: Pseudonyms | undefined): SegmentEdits[] {
  const edits = isMedia(segment) || redactionsOf(decision).length === 0 ? [] : plan.edits(results, decision, segment, pseudonyms);
  return edits.length === 0 ? [] : [{ segment, edits }];
}

/** An earlier turn by itself: only redaction acts. */
function historyEdits(plan: ScreeningPlan, screened: Screened, entry: SegmentResults, context: Context, pseudonyms: Pseudonyms | undefined): SegmentEdits[] {
  if (entry.results.length === 0) return [];
  const decision = plan.decide({ ...screened, segments: [entry] }, 'input', context);
  return segmentEdits(plan, entry, decision, pseudonyms);
}

function withSegments(screened: Screened, keep: (segment: Segment) => boolean): Screened {
  return { ...screened, segments: screened.segments.filter(({ segment }) => keep(segment)) };
}

/**
 * Decisions and commitments, never content: one line per classifier and category, with the highest score. `acted`: what the
 * policy decided on, where it did.
 */
function decisionRecord(decision: PolicyDecision, prompt: ScreenedPrompt, redactions: number, acted?: Screened): DecisionRecord {
  const { screened, opaque } = prompt;
  const tally = new ResultTally();
  for (const { results } of screened.segments) tally.add(results);
  return {
    action: decision.action,
    triggered_rules: decision.triggered_rules,
    classifier_results: tally.summary(),
    coverage: coverageOf(screened.segments, opaque, acted?.segments),
    degraded: decision.degraded,
    redactions,
    latency_ms: screened.latencyMs,
  };
}
