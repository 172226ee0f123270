/**
 * Screening on its own: a ScreeningRequest in, a ScreeningDecision out, through the same plan as traffic; or a batch of
 * them, screened together, each with a decision or an error of its own. Behind `POST /weir/v1/screen` and `weir screen`.
 * What no classifier reads (an image, mostly) is answered with unknown results, and the policy decides. Reads what it is
 * given strictly: an unknown or ill-typed field is refused, since a misspelt `direction` must not screen the wrong way.
 */
import { WeirError } from '../contract/errors.ts';
import type { DecisionRecord, Segment } from '../contract/exchange.ts';
import { reviewIdOf } from '../contract/review.ts';
import { CONTENT_TYPES, DIRECTIONS, type Context, type ContextValue, type Direction, type ScreeningDecision, type ScreeningRequest, type Unread } from '../contract/screening.ts';
import { holdOf } from '../policy/decide.ts';
import { applyEdits } from '../text/edits.ts';
import { planUnder } from './canary.ts';
import { coverageOf, isMedia, partOf } from './coverage.ts';
import type { ScreeningPlan } from './plan.ts';
import { ResultTally } from './results.ts';
import { joinSources, SOURCES_CHARS_MAX } from './sources.ts';

/** What the caller may leave out. */
export interface ScreeningDefaults {
  readonly requestId: string;
  /** The tenant that the caller's credential names; another one in the body is refused. */
  readonly tenantId: string;
  /** The tenant's key that was used. */
  readonly keyId?: string | undefined;
  readonly now: Date;
  /** What is escalated comes into the review queue. */
  readonly queued?: boolean;
}

const FIELDS: Readonly<Record<keyof ScreeningRequest, 'string' | 'context'>> = {
  request_id: 'string', tenant_id: 'string', direction: 'string', content: 'string', content_type: 'string', user_id: 'string',
  session_id: 'string', context: 'context', policy_set_id: 'string', created_at: 'string',
};
const ID_CHARS_MAX = 256;
const CONTEXT_KEYS_MAX = 64;
/** Requests of one batch. */
export const BATCH_MAX = 100;

// Many at once.

/** What a call of the service is answered, and what its closing entry says of it. */
export interface ServiceAnswer {
  /** A ScreeningDecision, or `{ decisions }` in the order of the requests. */
  readonly body: unknown;
  readonly records: readonly ServiceRecord[];
  /** What was screened, for a tenant that keeps content. */
  readonly texts: readonly ServiceText[];
}

/** The text of one screening. */
export interface ServiceText {
  /** `content`, or `requests[2].content` of a batch. */
  readonly place: string;
  readonly direction: Direction;
  readonly sessionId: string | undefined;
  readonly came: string;
  /** As it may go on; undefined: nothing of it may. */
  readonly left: string | undefined;
  readonly isEscalated: boolean;
}

export interface ServiceRecord {
  readonly direction: ScreeningRequest['direction'];
  readonly policy: string;
  readonly models?: readonly string[];
  readonly record: DecisionRecord;
}

/** An item of a batch that was refused: the body that it would have got alone. */
interface RefusedItem {
  readonly error: { readonly message: string; readonly type: string; readonly param: null; readonly code: string };
}

/**
 * Answers the JSON value of a body: one request, or `{ requests: [...] }`, whose items are screened together. `planFor`
 * gives the plan of the policy that a request names, or throws. Throws WeirError for a request alone, and for a batch that is none.
 */
export async function answerScreening(body: unknown, defaults: ScreeningDefaults, planFor: (policyId: string | undefined) => ScreeningPlan, signal?: AbortSignal): Promise<ServiceAnswer> {
  const requests = requestsOf(body);
  if (requests === undefined) {
    const { decision, record, text } = await screenValue(body, defaults, planFor, signal);
    return { body: withReviewIds([decision], [record], defaults)[0], records: [record], texts: text === undefined ? [] : [text] };
  }
  const answers = await Promise.all(requests.map((request, index) => screenItem(request, { ...defaults, requestId: `${defaults.requestId}-${index}` }, planFor, signal)));
  const records = answers.flatMap((answer) => ('error' in answer ? [] : [answer.record]));
  return {
    body: { decisions: withReviewIds(answers.map((answer) => ('error' in answer ? answer : answer.decision)), records, defaults) },
    records,
    texts: answers.flatMap((answer, i) => ('error' in answer || answer.text === undefined ? [] : [{ ...answer.text, place: `requests[${i}].content` }])),
  };
}

/** A call is one exchange: what of a direction is escalated in it is one item. */
function withReviewIds<T extends object>(answers: readonly T[], records: readonly ServiceRecord[], { requestId, queued = false }: ScreeningDefaults): readonly T[] {
  if (!queued) return answers;
  let at = 0;
  return answers.map((answer) => {
    if ('error' in answer) return answer;
    const { direction, record: { action } } = records[at++]!;
    return action === 'escalate' ? { ...answer, review_queue_id: reviewIdOf(requestId, direction) } : answer;
  });
}

/** Undefined where the body is no batch. Throws invalid_request. */
function requestsOf(body: unknown): readonly unknown[] | undefined {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, 'requests')) return undefined;
  const { requests } = body as { readonly requests: unknown };
  if (Object.keys(body).length > 1) throw refused('a batch has no field but requests');
  if (!Array.isArray(requests) || requests.length === 0) throw refused('requests is not a list with anything in it');
  if (requests.length > BATCH_MAX) throw refused(`a batch of ${requests.length} requests, the limit is ${BATCH_MAX}`);
  return requests;
}

interface Screening {
  readonly decision: ScreeningDecision;
  readonly record: ServiceRecord;
  readonly text: ServiceText | undefined;
}

async function screenItem(...[value, ...rest]: Parameters<typeof screenValue>): Promise<Screening | RefusedItem> {
  try {
    return await screenValue(value, ...rest);
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return { error: { message: error.message, type: error.type, param: null, code: error.code } };
  }
}

async function screenValue(value: unknown, defaults: ScreeningDefaults, planFor: (policyId: string | undefined) => ScreeningPlan, signal: AbortSignal | undefined): Promise<Screening> {
  const request = readScreeningRequest(value, defaults);
  const plan = planUnder(planFor(request.policy_set_id), { sessionId: request.session_id, userId: request.user_id, keyId: defaults.keyId, requestId: request.request_id });
  const { decision, redactions, ...recorded } = await screenAndCount(request, plan, defaults.now, signal);
  return { decision, record: { direction: request.direction, policy: decision.policy, ...(decision.models === undefined ? {} : { models: decision.models }), record: { ...recordOf(decision, redactions), ...recorded } }, text: textOf(request, decision) };
}

/** Undefined where there is no text. */
function textOf({ direction, content, content_type: type, session_id: sessionId }: ScreeningRequest, { action, modified_content: modified }: ScreeningDecision): ServiceText | undefined {
  if (type !== 'text' || content === '') return undefined;
  const left = action === 'block' || action === 'replace' ? undefined : modified ?? content;
  return { place: 'content', direction, sessionId, came: content, left, isEscalated: action === 'escalate' };
}

/** The decision as a closing entry says it: without content, without spans. */
function recordOf({ action, triggered_rules, classifier_results, coverage, degraded = [], decision_latency_ms }: ScreeningDecision, redactions: number): DecisionRecord {
  const tally = new ResultTally();
  tally.add(classifier_results);
  return { action, triggered_rules, classifier_results: tally.summary(), coverage, degraded, redactions, latency_ms: decision_latency_ms };
}

// One.

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
    ...(given.context === undefined ? {} : { context: readContext(given.context) }),
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
  const sources = (context as Record<string, unknown>).sources;
  if (sources !== undefined) checkSources(sources);
  if (entries.some(([key, value]) => key !== 'sources' && !isContextValue(value))) throw refused('a value of context is neither string, number nor boolean');
}

/** What an answer is to be held against: a text, or a list of texts, the most important first. */
function checkSources(sources: unknown): void {
  const texts = Array.isArray(sources) ? sources : [sources];
  if (texts.some((text) => typeof text !== 'string')) throw refused('context.sources is neither a text nor a list of texts');
  if (joinSources(texts as string[], Infinity).length > SOURCES_CHARS_MAX) throw refused(`context.sources has more than ${SOURCES_CHARS_MAX} characters`);
}

function readContext(context: Context): Context {
  const { sources } = context as { readonly sources?: ContextValue | readonly string[] };
  return Array.isArray(sources) ? { ...context, sources: joinSources(sources as readonly string[]) } : context;
}

function isContextValue(value: unknown): value is ContextValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function refused(detail: string): WeirError {
  return new WeirError('invalid_request', detail);
}

/** Screens and decides. `now` stamps the decision. */
export async function screenOnce(request: ScreeningRequest, plan: ScreeningPlan, now: Date, signal?: AbortSignal): Promise<ScreeningDecision> {
  return (await screenAndCount(request, plan, now, signal)).decision;
}

async function screenAndCount(request: ScreeningRequest, plan: ScreeningPlan, now: Date, signal?: AbortSignal): Promise<{ readonly decision: ScreeningDecision; readonly redactions: number } & Pick<DecisionRecord, 'facts' | 'shadow'>> {
  const { direction, content } = request;
  const segment: Segment = { path: 'content', carrier: 'content', contentType: request.content_type, content, history: false };
  const context = screeningContext(request, now);
  const screened = await plan.screen(content === '' ? [] : [segment], direction, context, signal, 'tell');
  const decision = plan.decide(screened, direction, context);
  const hold = holdOf(decision);
  const results = screened.segments.flatMap(({ results: own, unsupported = [] }) => [...own, ...unsupported]);
  const edits = decision.action === 'redact' && !isMedia(segment) ? plan.edits(results, decision, segment) : undefined;
  const modified = decision.action === 'replace' ? decision.rule?.message ?? plan.policy.message ?? '' : edits && applyEdits(content, edits);
  const unread = screened.segments.filter(({ judged }) => isMedia(segment) && judged !== true).map((): Unread => ({ ...partOf(segment), treatment: 'pass' }));
  const answer: ScreeningDecision = {
    request_id: request.request_id,
    action: decision.action,
    triggered_rules: decision.triggered_rules,
    ...(hold === undefined ? {} : { hold: { for_ms: hold.forMs, then: hold.then } }),
    classifier_results: results,
    ...(modified === undefined ? {} : { modified_content: modified }),
    decision_latency_ms: screened.latencyMs,
    policy: plan.policyName,
    ...(plan.models === undefined ? {} : { models: plan.models }),
    coverage: coverageOf(screened.segments, unread, screened.segments),
    ...(decision.degraded.length === 0 ? {} : { degraded: decision.degraded }),
    created_at: now.toISOString(),
  };
  const shadow = plan.shadowed?.(screened, direction, context);
  return { decision: answer, redactions: edits?.length ?? 0, facts: plan.recordFacts(screened, direction, context), ...(shadow === undefined ? {} : { shadow }) };
}

/** The facts about the caller win over the context it gives. */
function screeningContext(request: ScreeningRequest, now: Date): Context {
  return {
    ...request.context,
    request_id: request.request_id,
    tenant: request.tenant_id,
    direction: request.direction,
    content_type: request.content_type,
    time: now.toISOString(),
    ...(request.user_id === undefined ? {} : { user: request.user_id }),
    ...(request.session_id === undefined ? {} : { session: request.session_id }),
  };
}
