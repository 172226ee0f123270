/**
 * The prompt's way through the screen. `ScreenedRequest` is what `upstream.send` takes, and its constructor never
 * leaves this file: a request that was not screened and allowed cannot be sent.
 * Unmodified means the same bytes; a redaction changes the string literals it must and nothing else.
 */
import type { DecisionRecord, OpaquePart, Screened, Segment } from '../contract/exchange.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { Context, Coverage } from '../contract/screening.ts';
import { spliceJson } from '../dialect/json.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
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

/**
 * The decision, and the bytes to forward where it allows them. Under `history: latest` earlier turns decide nothing:
 * what was allowed once is not refused for it again. What a policy redacts is redacted there too, since the client
 * sends its own unredacted copy of them every time.
 */
export function decidePrompt(plan: ScreeningPlan, prompt: ScreenedPrompt, context: Context): PromptVerdict {
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
      const edits = decision.action === 'redact' ? segmentEdits(plan, acted, decision) : [];
      if (latestOnly) edits.push(...historyEdits(plan, prompt.screened, context));
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

function segmentEdits(plan: ScreeningPlan, screened: Screened, decision: PolicyDecision): SegmentEdits[] {
  return screened.segments
    .map(({ segment, results }) => ({ segment, edits: plan.edits(results, decision, segment) }))
    .filter(({ edits }) => edits.length > 0);
}

/** Each earlier turn by itself: only redaction acts. */
function historyEdits(plan: ScreeningPlan, screened: Screened, context: Context): SegmentEdits[] {
  return screened.segments.flatMap((entry) => {
    if (!entry.segment.history || entry.results.length === 0) return [];
    const alone = { ...screened, segments: [entry] };
    const decision = plan.decide(alone, 'input', context);
    return decision.action === 'redact' ? segmentEdits(plan, alone, decision) : [];
  });
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
