/**
 * What the API answers, as JSON Schema: the components of the OpenAPI document. A test holds every answer against them.
 */
import type { JsonSchema } from '../config/shape.ts';
import { ROLES } from '../contract/people.ts';
import { REDACTION_STYLES } from '../contract/policy.ts';
import { RESOLUTIONS, REVIEW_ORIGINS, REVIEW_STATUSES } from '../contract/review.ts';
import { ACTIONS, CONTENT_TYPES, DIRECTIONS, SEVERITIES, UNKNOWN_REASONS } from '../contract/screening.ts';
import { CASE_STATES } from '../policy/cases.ts';
import { RULE_STATES } from '../policy/explain.ts';
import { policySchema } from '../policy/parse.ts';
import { TRIAL_SCHEMAS } from '../policy/trial.ts';
import { KEY_SCOPES } from '../store/keys.ts';
import { USAGE_COUNTS } from '../store/usage.ts';
import { KEY_STATES } from '../tenant/issue.ts';
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
const rateOrNone: JsonSchema = { type: ['integer', 'null'], minimum: 1 };
const wantedKey: Readonly<Record<string, JsonSchema>> = { name: text, scopes: { ...listOf({ enum: KEY_SCOPES }), description: 'Default: all.' }, requests_per_minute: rateOrNone, tokens_per_minute: rateOrNone, expires_at: timeOrNone };
const keyRow: Readonly<Record<string, JsonSchema>> = { key_id: text, tenant_id: text, state: { enum: KEY_STATES }, ...wantedKey, created_at: time, created_by: text, revoked_at: timeOrNone, revoked_by: textOrNone };
const usageCounts: Readonly<Record<string, JsonSchema>> = Object.fromEntries(USAGE_COUNTS.map((count) => [count, whole]));
const component = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });
const number: JsonSchema = { type: 'number' };
const judged: Readonly<Record<string, JsonSchema>> = { classifier_id: text, category: text, latency_ms: number };
const explanation: Readonly<Record<string, JsonSchema>> = { policy: text, action: { enum: ACTIONS }, triggered_rules: listOf(text), degraded: listOf(text), rules: listOf(object({ ...traced, action: { enum: ACTIONS } }, { trace: component('Trace') })) };
const shipped: Readonly<Record<string, JsonSchema>> = { entries: whole, hash: { type: 'string', pattern: '^[0-9a-f]{64}$' }, signed: { type: 'integer', minimum: -1, description: 'Entries that the newest checkpoint here covers; -1: there is none.' } };

const reviewItem: Readonly<Record<string, JsonSchema>> = {
  review_id: text, request_id: text, tenant_id: text, direction: { enum: DIRECTIONS }, origin: { enum: REVIEW_ORIGINS }, severity: { enum: SEVERITIES }, policy: text, triggered_rules: listOf(text),
  classifier_results: listOf(object({ classifier_id: text, category: text }, { score: number, unknown: text })), action: { ...textOrNone, description: 'Null while it is covered.' }, status: { enum: REVIEW_STATUSES }, double_blind: flag, round: { ...whole, minimum: 1 },
  reviewer_id: textOrNone, claimed_until: timeOrNone, resolution: { enum: [...RESOLUTIONS, null] }, resolved_at: timeOrNone, created_at: time, due_at: time, covered: { ...flag, description: 'Two people decide it without each other, so scores and action are not shown.' },
};

export const SCHEMAS = {
  Error: object(fault, { issues: listOf(component('Issue')), current: { ...whole, description: 'Of a conflict: the number of the newest revision.' } }),
  Issue: object(issue, { file: text, suggestion: text }),
  Health: object({ status: { const: 'ok' }, version: text }),
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
  Explanation: object(explanation),
  ExplainedEntry: object({ request_id: text, decisions: listOf(object({ direction: { enum: DIRECTIONS }, recorded: object({ action: { enum: ACTIONS }, rules: listOf(text) }) }, { problem: { ...text, description: 'What keeps it from being the whole of the reasons.' }, ...explanation })) }),
  ScreenedText: object({ ...explanation, results: listOf(component('ClassifierResult')) }, { text: { ...text, description: 'What comes out; absent where that depends on how it arrives.' } }),
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
  Erasure: object({ destroyed: { ...whole, description: 'Exchanges whose key was destroyed.' }, gone: { ...whole, description: 'Those found without, destroyed before.' } }),
  AuditEntry: { type: 'object', required: ['index', 'time', 'origin', 'prev', 'hash', 'kind'], properties: { index: whole, time, origin: text, prev: text, hash: text, kind: text }, description: 'An entry as it is written: decisions and commitments, no content. The other properties are those of its kind.' },
  EntryProof: object({ index: whole, entry: { ...text, description: 'The line as it stands in the log.' }, proof: listOf({ type: 'string', pattern: '^[0-9a-f]{64}$' }), checkpoint: { ...text, description: 'A signed note.' } }),
  AuditPage: object({ entries: listOf(component('AuditEntry')), next: { type: ['integer', 'null'], description: 'For `?before=`: older entries that may match. Null: there are none.' } }),
  ReviewPage: object({ items: listOf(component('ReviewItem')), waiting: { oneOf: [{ type: 'null' }, object(Object.fromEntries(SEVERITIES.map((severity) => [severity, whole])))], description: 'How many wait for a person, by severity; null for a tenant-viewer.' }, next: { ...textOrNone, description: 'For `?before=`. Null: there are no older ones.' } }),
  ReviewItem: object(reviewItem),
  Review: object({ ...reviewItem, verdicts: listOf(object({ review_id: text, round: whole, reviewer_id: text, resolution: { enum: RESOLUTIONS }, categories: listOf(text), notes: text, created_at: time })) }),
  ReviewClaim: object({ item: { oneOf: [{ type: 'null' }, component('ReviewItem')] }, fence: { type: ['integer', 'null'], minimum: 0, description: 'Names the claim in every later word about it.' } }),
  ReviewContent: object({ state: { enum: ['there', 'erased', 'absent', 'damaged'] } }, { texts: object({ texts: listOf(object({ place: text, text }, { role: text })), cut: { ...whole, description: 'Characters that were not kept.' } }) }),
  Fence: object({ fence: whole }),
  Renewed: object({ claimed_until: time }),
  NewVerdict: object({ fence: whole, resolution: { enum: RESOLUTIONS } }, { categories: listOf(text), notes: { ...text, maxLength: 4_000 } }),
  NewAppeal: object({ reason: { ...text, minLength: 1, maxLength: 4_000 } }),
  Agreement: object({ verdicts: whole, agreement: { oneOf: [{ type: 'null' }, object({
    items: whole, raters: whole, raw: number, alpha: { type: ['number', 'null'] }, interval: { oneOf: [{ type: 'null' }, object({ low: number, high: number })] }, byLabel: listOf(object({ label: text, pairs: whole, agreement: number })),
  })] } }),
  ShipBatch: object({
    size: { ...whole, description: 'Entries that the log holds.' }, from: { ...whole, description: 'Index of the first entry.' }, segment: { ...whole, description: 'Index of the first entry of its segment.' },
    entries: { ...listOf(text), description: 'Lines as they stand in the log.' }, checkpoints: { ...listOf(text), description: 'Signed notes; the last covers all entries.' },
    rest: { ...listOf(object({ level: whole, hash: { type: 'string', pattern: '^[0-9a-f]{64}$' } })), description: 'Subtrees of the entries that it covers besides.' },
  }, { key: { ...text, description: 'The first public key of the log, as notes write it.' } }),
  ShipPosition: object(shipped),
  ShipRefusal: object(fault, { position: component('ShipPosition') }),
  OriginList: object({ origins: listOf(object({
    log: text, entries: whole, lag: { type: ['integer', 'null'], minimum: 0, description: 'Entries that its sender had when it was last heard of and that are not here.' }, seen_at: timeOrNone, checkpoint: { ...textOrNone, description: 'The newest, a signed note.' },
    refused: { oneOf: [{ type: 'null' }, object({ code: text, reason: text })] },
  })) }),
  ExplainTrial: TRIAL_SCHEMAS.explain,
  TestTrial: TRIAL_SCHEMAS.test,
  CompareTrial: TRIAL_SCHEMAS.compare,
  Policy: policySchema(),
} as const satisfies Readonly<Record<string, JsonSchema>>;
