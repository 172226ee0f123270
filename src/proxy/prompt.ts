/**
 * The prompt's way through the screen. `ScreenedRequest` is what `upstream.send` takes, and its constructor never
 * leaves this file: a request that was not screened and allowed cannot be sent.
 * Unmodified means the same bytes; a redaction changes the string literals it must and nothing else.
 */
import type { DecisionRecord, OpaquePart, Screened, Segment, SegmentResults } from '../contract/exchange.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { Context, Coverage } from '../contract/screening.ts';
import { spliceJson } from '../dialect/json.ts';
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

/** What screening said about a prompt, before the policy was asked. */
export interface ScreenedPrompt {
  readonly request: ReadRequest;
  readonly screened: Screened;
}

export type PromptVerdict =
  /** To be sent, as it came or redacted. */
  | { readonly kind: 'forward'; readonly request: ScreenedRequest; readonly record: DecisionRecord }
  | { readonly kind: 'blocked'; readonly code: ErrorCode; readonly message?: string; readonly record: DecisionRecord }
  /** Answered here with a text of the policy. */
  | { readonly kind: 'answered'; readonly message: string; readonly record: DecisionRecord };

/** Throws opaque_refused. */
export async function screenPrompt(plan: ScreeningPlan, request: ReadRequest, context: Context, signal: AbortSignal): Promise<ScreenedPrompt> {
  const refused = request.reading.opaque.find((part) => part.treatment === 'refuse');
  if (refused !== undefined) throw new WeirError('opaque_refused', `${refused.carrier} cannot be screened here`);
  return { request, screened: await plan.screen(request.reading.segments, 'input', context, signal) };
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
  if (key === undefined) return { verdict: decidePrompt(plan, prompt, context) };
  const literal = literalTokens(prompt.request.reading.segments);
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
  const { policy } = plan;
  const latestOnly = policy.history === 'latest';
  const acted = latestOnly ? withSegments(prompt.screened, (segment) => !segment.history) : prompt.screened;
  const decision = plan.decide(acted, 'input', context);
  const record = (redactions = 0): DecisionRecord => decisionRecord(decision, prompt, redactions);
  switch (decision.action) {
    case 'block': {
      const message = decision.rule?.message ?? policy.message;
      if (policy.onBlock === 'fallback' && message !== undefined) return { kind: 'answered', message, record: record() };
      return { kind: 'blocked', code: failedClosed(decision) ? 'screening_failed' : 'content_filter', message: decision.rule?.message, record: record() };
    }
    case 'replace':
      return { kind: 'answered', message: decision.rule?.message ?? policy.message ?? '', record: record() };
    default: {
      // In the order of the conversation, so that earlier turns keep the numbers of their pseudonyms.
      const edits = prompt.screened.segments.flatMap((entry) => {
        if (latestOnly && entry.segment.history) return historyEdits(plan, prompt.screened, entry, context, pseudonyms);
        return decision.action === 'redact' ? segmentEdits(plan, entry, decision, pseudonyms) : [];
      });
      const body = spliceJson(prompt.request.document, edits.map((edit) => ({ path: edit.segment.jsonPath!, text: applyEdits(edit.segment.content, edit.edits) })));
      return { kind: 'forward', request: new ScreenedRequest(body), record: record(edits.reduce((sum, edit) => sum + edit.edits.length, 0)) };
    }
  }
}

/** True when the deciding rule blocked because a score was missing, not because of one. */
function failedClosed({ rule, degraded }: PolicyDecision): boolean {
  return rule !== undefined && degraded.includes(rule.id);
}

interface SegmentEdits {
  readonly segment: Segment;
  readonly edits: readonly TextEdit[];
}

function segmentEdits(plan: ScreeningPlan, { segment, results }: SegmentResults, decision: PolicyDecision, pseudonyms: Pseudonyms | undefined): SegmentEdits[] {
  const edits = plan.edits(results, decision, segment, pseudonyms);
  return edits.length === 0 ? [] : [{ segment, edits }];
}

/** An earlier turn by itself: only redaction acts. */
function historyEdits(plan: ScreeningPlan, screened: Screened, entry: SegmentResults, context: Context, pseudonyms: Pseudonyms | undefined): SegmentEdits[] {
  if (entry.results.length === 0) return [];
  const decision = plan.decide({ ...screened, segments: [entry] }, 'input', context);
  return decision.action === 'redact' ? segmentEdits(plan, entry, decision, pseudonyms) : [];
}

function withSegments(screened: Screened, keep: (segment: Segment) => boolean): Screened {
  return { ...screened, segments: screened.segments.filter(({ segment }) => keep(segment)) };
}

/** Decisions and commitments, never content: one line per classifier and category, with the highest score. */
export function decisionRecord(decision: PolicyDecision, prompt: ScreenedPrompt, redactions: number): DecisionRecord {
  const { screened, request } = prompt;
  const tally = new ResultTally();
  for (const { results } of screened.segments) tally.add(results);
  return {
    action: decision.action,
    triggered_rules: decision.triggered_rules,
    classifier_results: tally.summary(),
    coverage: inputCoverage(screened.segments.map(({ segment }) => segment), request.reading.opaque),
    degraded: decision.degraded,
    redactions,
    latency_ms: screened.latencyMs,
  };
}

function inputCoverage(segments: readonly Segment[], opaque: readonly OpaquePart[]): Coverage {
  return {
    screened: [...new Set(segments.map((segment) => segment.carrier))],
    exempt: [],
    opaque: opaque.map(({ carrier, treatment }) => ({ carrier, treatment })),
  };
}
