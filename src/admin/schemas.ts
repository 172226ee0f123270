/**
 * What the API answers, as JSON Schema: the components of the OpenAPI document. A test holds every answer against them.
 */
import type { JsonSchema } from '../config/shape.ts';
import { BREAKER_STATES, CALL_OUTCOMES } from '../contract/channels.ts';
import { ROLES } from '../contract/people.ts';
import { HOLD_OUTCOMES } from '../contract/hold.ts';
import { REDACTION_STYLES } from '../contract/policy.ts';
import { RESOLUTIONS, REVIEW_COUNTS, REVIEW_ORIGINS, REVIEW_STATUSES } from '../contract/review.ts';
import { ACTIONS, CONTENT_TYPES, DIRECTIONS, SEVERITIES, UNKNOWN_REASONS } from '../contract/screening.ts';
import { CASE_STATES } from '../policy/cases.ts';
import { RULE_STATES } from '../policy/explain.ts';
import { policySchema } from '../policy/parse.ts';
import { TRIAL_SCHEMAS } from '../policy/trial.ts';
import { MEASURES, PARTS } from '../store/decision-rows.ts';
import { SPANS } from '../store/decisions.ts';
import { BULK_ITEMS_MAX, BULK_OUTCOMES } from '../review/bulk.ts';
import { KEY_SCOPES } from '../store/keys.ts';
import { USAGE_COUNTS } from '../store/usage.ts';
import { KEY_STATES } from '../tenant/issue.ts';
import { SUBJECTS } from '../contract/wellness.ts';
import { LEARN_SCHEMAS } from './learn-schemas.ts';
import { RISK_SCHEMAS } from './risk-schemas.ts';
import { WEEKLY_SCHEMAS } from './weekly-schemas.ts';
import { SESSION_WAYS } from '../store/admins.ts';

export const ref = (name: keyof typeof SCHEMAS): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

const text: JsonSchema = { type: 'string' };
const whole: JsonSchema = { type: 'integer', minimum: 0 };
const flag: JsonSchema = { type: 'boolean' };
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
/** Every property is there, but those that are optional; no others are. */
const object = (properties: Readonly<Record<string, JsonSchema>>, optional: Readonly<Record<string, JsonSchema>> = {}): JsonSchema => ({
  type: 'object', properties: { ...properties, ...optional }, required: Object.keys(properties), additionalProperties: false,
});

const fault: Readonly<Record<string, JsonSchema>> = { error: object({ code: text, message: text }) };
const summary: Readonly<Record<string, JsonSchema>> = { policy: text, number: { ...whole, minimum: 1 }, parent: whole, sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' }, author: text, comment: text, created_at: { type: 'string', format: 'date-time' } };
const issue: Readonly<Record<string, JsonSchema>> = { line: whole, column: whole, path: text, message: text, severity: { enum: ['error', 'warning'] } };
const value: JsonSchema = { type: ['string', 'number', 'boolean'] };
const truth: JsonSchema = { enum: ['true', 'false', 'unknown'] };
const traced: Readonly<Record<string, JsonSchema>> = { rule: text, state: { enum: RULE_STATES }, reason: text };
const time: JsonSchema = { type: 'string', format: 'date-time' };
const timeOrNone: JsonSchema = { type: ['string', 'null'], format: 'date-time' };
const textOrNone: JsonSchema = { type: ['string', 'null'] };
const grant: Readonly<Record<string, JsonSchema>> = { name: text, roles: listOf({ enum: ROLES }), tenants: { ...listOf(text), description: 'Those that a tenant-viewer sees; empty for every other role.' } };
const madeToken: Readonly<Record<string, JsonSchema>> = { token_id: text, ...grant, created_by: text, created_at: time, expires_at: timeOrNone, revoked_by: textOrNone, revoked_at: timeOrNone };
const erasedName: JsonSchema = { oneOf: [{ type: 'null' }, object({ digest: text, name: text })] };
const rateOrNone: JsonSchema = { type: ['integer', 'null'], minimum: 1 };
const wantedKey: Readonly<Record<string, JsonSchema>> = { name: text, scopes: { ...listOf({ enum: KEY_SCOPES }), description: 'Default: all.' }, requests_per_minute: rateOrNone, tokens_per_minute: rateOrNone, expires_at: timeOrNone };
const keyRow: Readonly<Record<string, JsonSchema>> = { key_id: text, tenant_id: text, state: { enum: KEY_STATES }, ...wantedKey, created_at: time, created_by: text, revoked_at: timeOrNone, revoked_by: textOrNone };
const usageCounts: Readonly<Record<string, JsonSchema>> = Object.fromEntries(USAGE_COUNTS.map((count) => [count, whole]));
const component = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });
const number: JsonSchema = { type: 'number' };
const judged: Readonly<Record<string, JsonSchema>> = { classifier_id: text, category: text, latency_ms: number };
const explanation: Readonly<Record<string, JsonSchema>> = { policy: text, action: { enum: ACTIONS }, triggered_rules: listOf(text), degraded: listOf(text), rules: listOf(object({ ...traced, action: { enum: ACTIONS } }, { trace: component('Trace') })) };
const wouldHold: Readonly<Record<string, JsonSchema>> = { hold: { ...object({ for_ms: whole, then: { enum: ACTIONS } }), description: 'How it would wait for a person; nothing waits here.' } };
const shipped: Readonly<Record<string, JsonSchema>> = { entries: whole, hash: { type: 'string', pattern: '^[0-9a-f]{64}$' }, signed: { type: 'integer', minimum: -1, description: 'Entries that the newest checkpoint here covers; -1: there is none.' } };

const reviewItem: Readonly<Record<string, JsonSchema>> = {
  review_id: text, request_id: text, tenant_id: text, direction: { enum: DIRECTIONS }, origin: { enum: REVIEW_ORIGINS }, severity: { enum: SEVERITIES }, policy: text, triggered_rules: listOf(text),
  classifier_results: listOf(object({ classifier_id: text, category: text }, { score: number, unknown: text })), action: { ...textOrNone, description: 'Null while it is covered.' }, near_rules: { ...listOf(text), description: 'Rules that a slightly other score would have made decide, or not.' },
  inclusion_probability: { type: ['number', 'null'], minimum: 0, maximum: 1, description: 'With what probability it was drawn; null: nobody drew it.' }, batched: { ...whole, description: 'Further requests that it stands for.' }, status: { enum: REVIEW_STATUSES }, double_blind: flag, round: { ...whole, minimum: 1 },
  reviewer_id: textOrNone, claimed_until: timeOrNone, resolution: { enum: [...RESOLUTIONS, null] }, resolved_at: timeOrNone, created_at: time, due_at: time,
  hold_until: { ...timeOrNone, description: 'Until when a request waits for the item; null: none did.' }, hold_then: { enum: [...ACTIONS, null], description: 'What is done where nobody decides by then.' },
  hold_outcome: { enum: [...HOLD_OUTCOMES, null], description: 'What the wait came to; null while it lasts, while it is covered, or where nobody was there to say.' },
  holding: { ...flag, description: 'A request waits now.' }, released: { type: ['boolean', 'null'], description: 'Of a resolved item: whether the verdict let a request go; false where it came too late for that.' },
  covered: { ...flag, description: 'Two people decide it without each other, so scores and action are not shown.' },
};

const screenedSide: JsonSchema = object({ ...explanation, results: listOf(component('ClassifierResult')) }, {
  text: { ...text, description: 'What comes out; absent where that depends on how it arrives.' },
  stream: object({ action: { enum: ACTIONS }, rules: listOf(text), releases: listOf(object({ after: { ...whole, description: 'Characters that had come.' }, text })), waited_chars_max: { ...whole, description: 'Most characters that came while nothing left.' } }),
});
const sharePart: Readonly<Record<string, JsonSchema>> = { count: whole, share: number, low: { ...number, description: 'Of the interval of 95 %.' }, high: number };
const canarySide: JsonSchema = object({ policy: text, exchanges: whole, actions: listOf(object({ action: { enum: ACTIONS }, ...sharePart })), acted: object(sharePart) });
const wellness: Readonly<Record<string, JsonSchema>> = {
  cover: { ...flag, description: 'Texts lie under a cover until they are asked for. What may be violent or sexual always does.' }, greyscale: flag, opt_out: { ...listOf({ enum: SUBJECTS }), description: 'Not offered as the next item.' },
  break_after_minutes: { type: ['integer', 'null'], description: 'Sooner than configured; null: as configured.' }, break_after_items: { type: ['integer', 'null'], description: 'Severe items that were opened; null: as configured.' },
};
const decided: JsonSchema = object({ action: { enum: ACTIONS }, triggered_rules: listOf(text), found: { ...listOf(text), description: 'Categories with a score of 0.5 or more, as `classifier.category`.' }, unknown: { ...listOf(text), description: '`classifier reason`' }, degraded: listOf(text), latency_ms: number }, { exempt: whole, opaque: whole, redactions: whole });
const quantile: JsonSchema = { type: ['number', 'null'], minimum: 0 };

export const SCHEMAS = {
  Error: object(fault, { side: { enum: ['left', 'right'], description: 'Of two policies the one that is meant.' }, issues: listOf(component('Issue')), current: { ...whole, description: 'Of a conflict: the number of the newest revision.' } }),
  Issue: object(issue, { file: text, suggestion: text }),
  DecisionPage: object({ decisions: listOf(component('Decision')), next: { ...textOrNone, description: 'For older ones, as `before`; null: these are all.' }, looked: { ...whole, description: 'Of those that were looked at, some are not as asked.' } }),
  Decision: object({
    request_id: text, tenant_id: text, session_id: textOrNone, at: time, started_at: time, policy: textOrNone, model: textOrNone, route: text, outcome: text, error_code: textOrNone, status: whole, action: { enum: [...ACTIONS, null] }, triggered_rules: listOf(text),
    coverage: { enum: ['full', 'partial'] }, degraded: flag, duration_ms: number, first_byte_ms: { type: ['number', 'null'] }, log: { ...text, description: 'The audit log of its entry.' }, index: whole, is_own: { ...flag, description: 'The log is that of the process that answers.' }, shipped: { ...flag, description: 'The log is another Weir’s, and is shipped here.' },
  }, { input: decided, output: decided, late: decided }),
  DecisionCounts: object({
    span: { enum: SPANS }, from: time, until: time, column_ms: whole,
    counts: listOf(object({ direction: { enum: [...PARTS, null], description: 'Null: of the exchange.' }, measure: { enum: MEASURES }, name: textOrNone, total: whole })),
    latencies: { ...listOf(object({ name: text, p50: quantile, p95: quantile, p99: quantile })), description: 'In ms, within a tenth.' },
    columns: listOf(object({ from: time, actions: { type: 'object', additionalProperties: whole } })),
  }),
  Health: object({ status: { const: 'ok' }, version: text }),
  HealthReport: object({
    since: { ...time, description: 'Since when it is told, in this process.' }, healthy: flag,
    parts: listOf(object({ part: text, healthy: flag, since: time, detail: text, meaning: text, next: text })), history: listOf(object({ at: time, part: text, healthy: flag, detail: text })),
    lags: listOf(object({ part: text, entries: whole, since: { type: ['string', 'null'], format: 'date-time', description: 'Null: nothing is behind.' }, meaning: text })),
    unheard: { ...listOf(object({ part: text, meaning: text })), description: 'Parts that told no fault since the start: well, or not in use here.' }, replicas: { type: ['integer', 'null'], description: 'Processes that share the limits, with this one. Null: it shares none.' },
  }),
  Status: object({
    version: text, config: object({ hash: text, file: text, loaded_at: { type: 'string', format: 'date-time' }, warnings: whole }), tenants: whole, policies: listOf(text), classifiers: listOf(text),
    audit_head: object({ index: { type: 'integer' }, hash: text }),
    audit_checkpoint: { ...text, description: 'The newest checkpoint of the audit log, a signed note.' },
  }),
  RevisionSummary: object({ ...summary, retired: flag }),
  Revision: object({ ...summary, source: { type: ['string', 'null'], description: 'Null: the policy is retired.' } }),
  Changed: object({ ...summary, retired: flag, warnings: listOf(component('Issue')) }),
  PolicyList: object({ policies: listOf({ oneOf: [
    object({ from: { const: 'store' }, ...summary, retired: flag, tenants: listOf(text) }),
    object({ from: { const: 'file' }, policy: text, file: text, overruled: { ...flag, description: 'A stored policy of the same id counts in its place.' }, tenants: listOf(text) }),
  ] }) }),
  History: object({ policy: text, revisions: listOf(component('RevisionSummary')) }),
  LineDiff: object({ policy: text, from: whole, to: whole, added: whole, removed: whole, diff: text }),
  Rules: { type: 'array', items: component('Rule'), description: 'They become a policy with nothing but rules.' },
  Rule: {
    type: 'object', required: ['rule_id', 'condition', 'action'],
    properties: {
      rule_id: text, tenant_id: text, name: text, description: text, direction: { enum: [...DIRECTIONS, 'both'] }, condition: component('condition'), action: { enum: ACTIONS }, priority: { type: 'integer' }, enabled: flag,
      message: text, on_unknown: { enum: ['closed', 'open'] }, severity: text, redact: { type: 'object', properties: { style: { enum: REDACTION_STYLES } } }, hold: { type: 'object' },
    },
  },
  Trace: { oneOf: [
    object({ kind: { enum: ['all', 'any', 'not'] }, value: truth, of: listOf(component('Trace')) }),
    object({ kind: { const: 'score' }, value: truth, test: text, scores: listOf(number), missing: flag }, { unread: listOf({ enum: CONTENT_TYPES }) }),
    object({ kind: { const: 'context' }, value: truth, test: text }, { actual: value }),
  ] },
  Explanation: object(explanation, wouldHold),
  ExplainedEntry: object({ request_id: text, decisions: listOf(object({ direction: { enum: DIRECTIONS }, recorded: object({ action: { enum: ACTIONS }, rules: listOf(text) }) }, { problem: { ...text, description: 'What keeps it from being the whole of the reasons.' }, ...explanation, ...wouldHold })) }),
  ScreenedText: object({ ...explanation, results: listOf(component('ClassifierResult')) }, { ...wouldHold, text: { ...text, description: 'What comes out; absent where that depends on how it arrives.' } }),
  Sides: object({ direction: { enum: DIRECTIONS }, views: { ...listOf(object({ name: text, text, cut: flag })), description: 'What the text says to who sees through a disguise or an encoding.' }, left: screenedSide, right: screenedSide, same: object({ action: flag, rules: flag, text: flag }) }),
  ClassifierResult: { oneOf: [
    object({ ...judged, score: number, label: text, spans: listOf(object({ start: whole, end: whole })) }, { named: { const: true } }),
    object({ ...judged, unknown: { const: true }, reason: { enum: UNKNOWN_REASONS } }, { named: { const: true }, guess: number }),
  ] },
  CaseResult: object({ name: text, state: { enum: CASE_STATES }, problems: listOf(text), rules: listOf(text), took_ms: number }, { explanation: listOf(object(traced, { trace: component('Trace') })) }),
  CaseReport: object({ ok: flag, policies: listOf(object({ file: text, issues: listOf(component('Issue')) }, { policy: text, revision: text, cases: listOf(component('CaseResult')), uncovered: listOf(text) })) }),
  Comparison: object({
    from: text, to: text, exchanges: whole, decisions: whole, same: whole, changed: whole, not_comparable: whole, reasons: { type: 'object', additionalProperties: whole },
    actions: listOf(object({ from: { enum: ACTIONS }, to: { enum: ACTIONS }, count: whole, examples: listOf(object({ request_id: text, tenant_id: text, time: text, direction: { enum: DIRECTIONS }, from_rules: listOf(text), to_rules: listOf(text) })) })),
    rules: listOf(object({ from: { type: ['string', 'null'] }, to: { type: ['string', 'null'] }, count: whole })),
  }, { truncated: { const: true, description: 'More entries of the log were there than are looked at.' } }),
  Beside: object({
    policy: text, shadow_of: textOrNone, canary_of: textOrNone, exchanges: whole,
    shadow: listOf(object({ policy: text, shadow: text, decisions: whole, same: whole, first: time, last: time, actions: listOf(object({ action: { enum: ACTIONS }, shadow_action: { enum: ACTIONS }, count: whole, examples: listOf(object({ request_id: text, tenant_id: text, time, direction: { enum: DIRECTIONS }, rules: listOf(text), shadow_rules: listOf(text) })) })) })),
    canary: { oneOf: [{ type: 'null' }, object({ configured_share: number, own: canarySide, canary: canarySide, again: object({
      decisions: whole, same: whole, changed: whole, not_comparable: whole, reasons: { type: 'object', additionalProperties: whole },
      actions: listOf(object({ from: { enum: ACTIONS }, to: { enum: ACTIONS }, count: whole, examples: listOf({ type: 'object' }) })), rules: listOf(object({ from: textOrNone, to: textOrNone, count: whole })),
    }) })] },
  }, { truncated: { const: true, description: 'More entries of the log were there than are looked at.' } }),
  ClassifierList: object({ since: { ...time, description: 'Since when outcomes and latencies are counted, in this process.' }, classifiers: listOf(object({
    id: text, plugin: text, version: text, categories: listOf(object({ id: text, definition: text })), directions: listOf({ enum: DIRECTIONS }), content_types: listOf({ enum: CONTENT_TYPES }), languages: listOf(text), cost: text, state: { enum: BREAKER_STATES },
    outcomes: object(Object.fromEntries(CALL_OUTCOMES.map((outcome) => [outcome, whole]))), latency_ms: { oneOf: [{ type: 'null' }, object({ n: whole, p50: number, p95: number, p99: number })], description: 'Of the newest answers.' },
    card: { oneOf: [{ type: 'null' }, object({ title: text, about: text, measured: listOf(object({ heading: text, caption: text, head: listOf(text), rows: listOf(listOf(text)) })) })] },
  })) }),
  Login: object({ token: text }),
  Session: object(grant, { session_id: text, expires_at: time, csrf: { ...text, description: 'What x-csrf-token has to hold when this session changes something.' } }),
  Ended: object({ ended: flag }),
  SessionList: object({ sessions: listOf(object({ session_id: text, ...grant, via: { enum: SESSION_WAYS }, token_id: textOrNone, created_at: time, seen_at: time, expires_at: time })) }),
  NewToken: object({ name: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }, roles: { type: 'array', items: { enum: ROLES }, minItems: 1 } }, { tenants: listOf(text), expires_at: timeOrNone }),
  Token: object(madeToken),
  MadeToken: object({ ...madeToken, token: { ...text, description: 'Shown this once.' } }),
  TokenList: object({ tokens: listOf(component('Token')) }),
  TenantList: object({ tenants: listOf(object({ id: text, policy: text, upstream: text, fail_mode: text, keys: whole }, { product: text })) }),
  NewKey: object({}, wantedKey),
  Key: object(keyRow),
  MadeKey: object({ ...keyRow, key: { ...text, description: 'Shown this once.' } }),
  KeyList: object({ tenant: text, keys: listOf({ oneOf: [
    object({ from: { const: 'store' }, ...keyRow }),
    object({ from: { const: 'file' }, key_id: text, tenant_id: text, state: { enum: KEY_STATES }, expires_at: timeOrNone }),
  ] }) }),
  Usage: object({ rows: listOf(object({ tenant_id: text, key_id: { ...text, description: 'Empty: the tenant was known without a key.' }, hour: time, ...usageCounts })), total: object(usageCounts), truncated: { ...flag, description: 'There may be more rows than `?limit=`.' } }),
  NewErasure: object({}, { before: { ...text, format: 'date', description: 'A day in UTC: exchanges that began before it.' }, request_id: text, session_id: text, all: { const: true, description: 'All of the tenant.' } }),
  Erasure: object({ destroyed: { ...whole, description: 'Exchanges whose key was destroyed in this process.' }, gone: { ...whole, description: 'Those found without, destroyed before.' } }, { number: { ...whole, description: 'Of the erasure in the fleet; absent where there is no store, and no other process hears of it.' } }),
  ErasureList: object({ erasures: listOf(object({ number: whole, erasure_id: text, before: textOrNone, request_id: textOrNone, session_id: textOrNone, author: text, created_at: time, confirmed: listOf(component('ErasureKeeper')), waiting: listOf(component('ErasureKeeper')), gone: listOf(component('ErasureKeeper')) })) }),
  GoneKeeper: object({ keeper: { ...text, minLength: 1, maxLength: 300 }, reason: { ...text, minLength: 1, maxLength: 1_000, description: 'It stands in the audit log.' } }),
  Parted: object({ keeper: text, gone: { const: true } }),
  ErasureKeeper: object({ keeper: { ...text, description: 'Names a folder of content, or the log of a process that ships here.' }, origin: { ...text, description: 'The log of the process.' }, seen_at: time }),
  ErasureNews: object({ claimed: { oneOf: [{ type: 'null' }, object({ number: whole, id: text })], description: 'What the batch named.' }, from: { ...whole, description: 'The erasure that these follow.' }, id: text, erasures: listOf(object({ number: whole, erasure_id: text, tenant_id: text, before: textOrNone, request: erasedName, session: erasedName, author: text })) }),
  AuditEntry: { type: 'object', required: ['index', 'time', 'origin', 'prev', 'hash', 'kind'], properties: { index: whole, time, origin: text, prev: text, hash: text, kind: text }, description: 'An entry as it is written: decisions and commitments, no content. The other properties are those of its kind.' },
  EntryProof: object({ index: whole, entry: { ...text, description: 'The line as it stands in the log.' }, proof: listOf({ type: 'string', pattern: '^[0-9a-f]{64}$' }), checkpoint: { ...text, description: 'A signed note.' } }),
  AuditPage: object({ entries: listOf(component('AuditEntry')), next: { type: ['integer', 'null'], description: 'For `?before=`: older entries that may match. Null: there are none.' } }),
  ReviewPage: object({ items: listOf(component('ReviewItem')), waiting: { oneOf: [{ type: 'null' }, object(Object.fromEntries(SEVERITIES.map((severity) => [severity, whole])))], description: 'How many wait for a person, by severity; null for a tenant-viewer.' }, next: { ...textOrNone, description: 'For `?before=`. Null: there are no older ones.' } }),
  ReviewItem: object(reviewItem),
  Overrides: object({
    since: time, rules: listOf(object({ policy: text, rule: text, false_positives: component('RateOrNone'), near_misses: component('RateOrNone') })), all: component('RateOrNone'), sample: object({ withdraw: component('RateOrNone'), reinstate: component('RateOrNone') }), truncated: flag,
  }),
  QueuePace: object({
    since: time, until: time, waiting: object(Object.fromEntries(SEVERITIES.map((severity) => [severity, whole]))), overdue: whole, decided: whole, late: whole, median_minutes: { type: ['number', 'null'], description: 'From the exchange to the verdict.' },
    allowed: component('RateOrNone'), truncated: { ...flag, description: 'More were decided than are told of.' },
  }),
  RateOrNone: { oneOf: [{ type: 'null' }, object({ judged: whole, of: whole, rate: number, low: number, high: number })], description: 'Of so many that were judged, so many; with the interval at 95 %. Null: nothing was judged.' },
  Queue: object({
    open: { ...listOf(object({ tenant_id: text, open: whole })), description: 'Items that nobody has decided, the most first.' }, capacity: object({ open_max: whole, tenant_open_max: whole }),
    draws: { ...listOf({ enum: ['uncertain', 'sample'] }), description: 'What comes in besides what rules escalate.' }, without_content: { ...listOf(text), description: 'Tenants of which nothing is drawn for a check, since they keep no content.' },
    sampled_this_week: { type: ['integer', 'null'], minimum: 0, description: 'Since Monday, UTC; null for a tenant-viewer.' }, counts: listOf(object({ name: { enum: REVIEW_COUNTS }, tenant_id: text, hour: time, count: whole })), truncated: { ...flag, description: 'There may be more rows than are told.' },
  }),
  Review: object({ ...reviewItem, rules: { ...listOf(object({ rule_id: text, name: text, action: { enum: ACTIONS }, condition: text })), description: 'What the rules say, where the policy still runs as it was.' }, batch: { ...listOf(object({ request_id: text, direction: { enum: DIRECTIONS }, created_at: time })), description: 'Requests that it stands for, as far as they are listed.' }, alike: { ...whole, description: 'Items that wait and that one verdict could decide with it.' }, appeals: listOf(object({ round: whole, author: text, reason: text, created_at: time })), verdicts: listOf(object({ review_id: text, round: whole, reviewer_id: text, resolution: { enum: RESOLUTIONS }, categories: listOf(text), notes: text, created_at: time })) }),
  ReviewClaim: object({ item: { oneOf: [{ type: 'null' }, component('ReviewItem')] }, fence: { type: ['integer', 'null'], minimum: 0, description: 'Names the claim in every later word about it.' } }),
  ReviewContent: object({ state: { enum: ['there', 'erased', 'absent', 'damaged', 'locked'] } }, { detail: { ...text, description: 'Of locked: which master key it is for.' }, texts: object({ texts: listOf(object({ place: text, text }, { role: text, spans: { ...listOf(object({ start: whole, end: whole, label: text })), description: 'What is found there under the policy that decided, where it still runs; absent while the item is covered.' } })), cut: { ...whole, description: 'Characters that were not kept.' } }) }),
  Wellness: object({
    reviewer: text, settings: object(wellness), breaks: object({ after_minutes: whole, after_severe_items: whole, minutes: whole, state: { enum: ['working', 'due', 'break'] }, since: time, until: timeOrNone }),
    today: object({ day: { type: 'string', format: 'date' }, opened: whole, severe: whole, undisclosed: { ...whole, description: 'Of them, items that two people are still deciding without each other.' }, subjects: listOf(object({ subject: { enum: SUBJECTS }, opened: whole })) }),
  }),
  NewWellness: object({}, wellness),
  BreakAnswer: object({ take: { ...flag, description: 'False: go on.' } }),
  Fence: object({ fence: whole }),
  Renewed: object({ claimed_until: time }),
  NewVerdict: object({ fence: whole, resolution: { enum: RESOLUTIONS } }, { categories: listOf(text), notes: { ...text, maxLength: 4_000 } }),
  BulkVerdict: object({ resolution: { enum: RESOLUTIONS } }, { ids: { ...listOf(text), minItems: 1, maxItems: BULK_ITEMS_MAX }, like: { ...text, description: 'In place of ids: all that wait and are of the same tenant, direction, origin, severity and rules as this one.' }, categories: listOf(text), notes: { ...text, maxLength: 4_000 } }),
  BulkResults: object({ results: listOf(object({ review_id: text, outcome: { enum: BULK_OUTCOMES }, resolution: { enum: [...RESOLUTIONS, null] } })), resolved: whole, more: { ...flag, description: 'There are more alike.' } }),
  NewAppeal: object({ reason: { ...text, minLength: 1, maxLength: 4_000 } }),
  RequestAppeal: object({ request_id: { ...text, minLength: 1, maxLength: 200 }, reason: { ...text, minLength: 1, maxLength: 4_000 } }, { direction: { enum: DIRECTIONS, description: 'Default: where people decided, or where most was done.' } }),
  Appealed: object({ outcome: { enum: ['reopened', 'waiting', 'entered'], description: 'It was decided and waits again; it waits; it came in.' }, review: component('Review') }),
  Agreement: object({ verdicts: whole, agreement: { oneOf: [{ type: 'null' }, object({
    items: whole, raters: whole, raw: number, alpha: { type: ['number', 'null'] }, interval: { oneOf: [{ type: 'null' }, object({ low: number, high: number })] }, byLabel: listOf(object({ label: text, pairs: whole, agreement: number })),
  })] } }),
  ShipBatch: object({
    size: { ...whole, description: 'Entries that the log holds.' }, from: { ...whole, description: 'Index of the first entry.' }, segment: { ...whole, description: 'Index of the first entry of its segment.' },
    entries: { ...listOf(text), description: 'Lines as they stand in the log.' }, checkpoints: { ...listOf(text), description: 'Signed notes; the last covers all entries.' },
    rest: { ...listOf(object({ level: whole, hash: { type: 'string', pattern: '^[0-9a-f]{64}$' } })), description: 'Subtrees of the entries that it covers besides.' },
  }, { key: { ...text, description: 'The first public key of the log, as notes write it.' }, erased: { ...object({ kept: { type: 'boolean', description: 'Content is kept there already.' } }, { number: whole, id: text, entry: whole }), description: 'The newest erasure that its process has carried out, and the entry that says so.' } }),
  ShipPosition: object(shipped, { erasures: component('ErasureNews') }),
  ShipRefusal: object(fault, { position: component('ShipPosition') }),
  OriginList: object({ origins: listOf(object({
    log: text, entries: whole, lag: { type: ['integer', 'null'], minimum: 0, description: 'Entries that its sender had when it was last heard of and that are not here.' }, seen_at: timeOrNone, checkpoint: { ...textOrNone, description: 'The newest, a signed note.' },
    refused: { oneOf: [{ type: 'null' }, object({ code: text, reason: text })] },
  })) }),
  ExplainTrial: TRIAL_SCHEMAS.explain,
  TestTrial: TRIAL_SCHEMAS.test,
  CompareTrial: TRIAL_SCHEMAS.compare,
  SidesTrial: TRIAL_SCHEMAS.sides,
  ...RISK_SCHEMAS,
  ...WEEKLY_SCHEMAS,
  ...LEARN_SCHEMAS,
  Policy: policySchema(),
} as const satisfies Readonly<Record<string, JsonSchema>>;
