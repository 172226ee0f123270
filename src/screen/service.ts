/**
 * One screening on its own: a ScreeningRequest in, a ScreeningDecision out, through the same plan as traffic. Behind
 * `POST /weir/v1/screen` and `weir screen`. What no classifier reads (an image, mostly) is answered with unknown results, and
 * the policy decides. Reads what it is given strictly: an unknown or ill-typed field is refused,
 * since a misspelt `direction` must not screen the wrong way.
 */
import { WeirError } from '../contract/errors.ts';
import type { Segment } from '../contract/exchange.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import { CONTENT_TYPES, DIRECTIONS, type ClassifierResult, type Context, type ContextValue, type ScreeningDecision, type ScreeningRequest, type Unread } from '../contract/screening.ts';
import { applyEdits } from '../text/edits.ts';
import { coverageOf, isMedia, partOf } from './coverage.ts';
import type { ScreeningPlan } from './plan.ts';

/** What the caller may leave out. */
export interface ScreeningDefaults {
  readonly requestId: string;
  /** The tenant that the caller's credential names; another one in the body is refused. */
  readonly tenantId: string;
  readonly now: Date;
}

const FIELDS: Readonly<Record<keyof ScreeningRequest, 'string' | 'context'>> = {
  request_id: 'string', tenant_id: 'string', direction: 'string', content: 'string', content_type: 'string', user_id: 'string',
  session_id: 'string', context: 'context', policy_set_id: 'string', created_at: 'string',
};
const ID_CHARS_MAX = 256;
const CONTEXT_KEYS_MAX = 64;

/** Reads the JSON value of a body. Throws WeirError invalid_request. */
export function readScreeningRequest(value: unknown, defaults: ScreeningDefaults): ScreeningRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refused('the body is not a JSON object');
  const fields = value as Record<string, unknown>;
  for (const [name, field] of Object.entries(fields)) checkField(name, field);
  const given = fields as Partial<ScreeningRequest>;
  if (given.content === undefined) throw refused('content is missing');
  if (given.direction === undefined) throw refused('direction is missing');
  if (!DIRECTIONS.includes(given.direction)) throw refused('direction is neither input nor output');
  if (given.content_type !== undefined && !CONTENT_TYPES.includes(given.content_type)) throw refused(`content_type is not one of ${CONTENT_TYPES.join(', ')}`);
  if (given.tenant_id !== undefined && given.tenant_id !== defaults.tenantId) throw refused('tenant_id is not the tenant of the credential');
  return {
    ...given,
    request_id: given.request_id ?? defaults.requestId,
    tenant_id: defaults.tenantId,
    direction: given.direction,
    content: given.content,
    content_type: given.content_type ?? 'text',
    created_at: given.created_at ?? defaults.now.toISOString(),
  };
}

function checkField(name: string, field: unknown): void {
  const type = Object.hasOwn(FIELDS, name) ? FIELDS[name as keyof ScreeningRequest] : undefined;
  if (type === undefined) throw refused(`an unknown field; known are ${Object.keys(FIELDS).join(', ')}`);
  if (type === 'context') return checkContext(field);
  if (typeof field !== 'string') throw refused(`${name} is not a string`);
  if (name !== 'content' && (field === '' || field.length > ID_CHARS_MAX)) throw refused(`${name} is empty or longer than ${ID_CHARS_MAX} characters`);
}

function checkContext(context: unknown): void {
  if (typeof context !== 'object' || context === null || Array.isArray(context)) throw refused('context is not an object');
  const entries = Object.entries(context as Record<string, unknown>);
  if (entries.length > CONTEXT_KEYS_MAX) throw refused(`context has more than ${CONTEXT_KEYS_MAX} keys`);
  if (entries.some(([, value]) => !isContextValue(value))) throw refused('a value of context is neither string, number nor boolean');
}

function isContextValue(value: unknown): value is ContextValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function refused(detail: string): WeirError {
  return new WeirError('invalid_request', detail);
}

/** Screens and decides. `now` stamps the decision. */
export async function screenOnce(request: ScreeningRequest, plan: ScreeningPlan, now: Date, signal?: AbortSignal): Promise<ScreeningDecision> {
  const { direction, content } = request;
  const segment: Segment = { path: 'content', carrier: 'content', contentType: request.content_type, content, history: false };
  const context = screeningContext(request);
  const screened = await plan.screen(content === '' ? [] : [segment], direction, context, signal);
  const decision = plan.decide(screened, direction, context);
  const results = screened.segments.flatMap(({ results: own, unsupported = [] }) => [...own, ...unsupported]);
  const modified = modifiedContent(plan, decision, results, segment);
  const unread = screened.segments.filter(({ judged }) => isMedia(segment) && judged !== true).map((): Unread => ({ ...partOf(segment), treatment: 'pass' }));
  return {
    request_id: request.request_id,
    action: decision.action,
    triggered_rules: decision.triggered_rules,
    classifier_results: results,
    ...(modified === undefined ? {} : { modified_content: modified }),
    decision_latency_ms: screened.latencyMs,
    policy: plan.policyName,
    coverage: coverageOf(screened.segments, unread, screened.segments),
    ...(decision.degraded.length === 0 ? {} : { degraded: decision.degraded }),
    created_at: now.toISOString(),
  };
}

/** The facts about the caller win over the context it gives. */
function screeningContext(request: ScreeningRequest): Context {
  return {
    ...request.context,
    tenant: request.tenant_id,
    direction: request.direction,
    content_type: request.content_type,
    ...(request.user_id === undefined ? {} : { user: request.user_id }),
    ...(request.session_id === undefined ? {} : { session: request.session_id }),
  };
}

function modifiedContent(plan: ScreeningPlan, decision: PolicyDecision, results: readonly ClassifierResult[], segment: Segment): string | undefined {
  const { action } = decision;
  if (action === 'replace') return decision.rule?.message ?? plan.policy.message ?? '';
  if (action !== 'redact' || isMedia(segment)) return undefined;
  return applyEdits(segment.content, plan.edits(results, decision, segment));
}
