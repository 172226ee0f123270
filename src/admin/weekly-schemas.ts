/** What the routes about weekly reports answer, as JSON Schema; part of the document's components. Keys are only ever added. */
import type { JsonSchema } from '../config/shape.ts';
import { REVIEW_ORIGINS } from '../contract/review.ts';
import { CLAIM_STATES } from '../contract/risk.ts';
import { SEVERITIES } from '../contract/screening.ts';
import { WEEKLY_FORMAT } from '../report/weekly/document.ts';
import { REPORT_SCOPES } from '../report/weekly/facts.ts';
import { TREND_FINDINGS } from '../report/weekly/trends.ts';
import { PARTS } from '../store/decision-rows.ts';
import { WEEKLY_STATES } from '../store/weekly-reports.ts';

const text: JsonSchema = { type: 'string' };
const whole: JsonSchema = { type: 'integer', minimum: 0 };
const number: JsonSchema = { type: 'number' };
const flag: JsonSchema = { type: 'boolean' };
const time: JsonSchema = { type: 'string', format: 'date-time' };
const sha256: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const textOrNone: JsonSchema = { type: ['string', 'null'] };
const numberOrNone: JsonSchema = { type: ['number', 'null'] };
const timeOrNone: JsonSchema = { type: ['string', 'null'], format: 'date-time' };
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const object = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false });
const orNone = (schema: JsonSchema, description?: string): JsonSchema => ({ oneOf: [{ type: 'null' }, schema], ...(description === undefined ? {} : { description }) });
const component = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

const pair: Readonly<Record<string, JsonSchema>> = { total: whole, before: { type: ['integer', 'null'], minimum: 0, description: 'In the same hours of the week before; null: not all of them are known.' } };
const figure = component('WeeklyFigure');
const named: Readonly<Record<string, JsonSchema>> = { name: text, ...pair };
const figures = listOf(component('WeeklyNamed'));
const byPart = (schema: JsonSchema): JsonSchema => object(Object.fromEntries(PARTS.map((part) => [part, schema])));
const interval = object({ low: number, high: number });
const rate = orNone(object({ judged: whole, of: whole, rate: number, low: number, high: number }), 'Of so many that people judged; null: nothing was.');
const share = orNone(object({ value: number, low: number, high: number, of: whole }), 'With the Wilson interval at 95 %; null of nothing.');
const times: Readonly<Record<string, JsonSchema>> = { n: whole, median_minutes: numberOrNone, p90_minutes: numberOrNone };
const quantiles: Readonly<Record<string, JsonSchema>> = { n: whole, p50_ms: numberOrNone, p95_ms: numberOrNone, p99_ms: numberOrNone };
const risk: Readonly<Record<string, JsonSchema>> = { drawn: whole, labelled: whole, violations: whole, rate: { ...numberOrNone, description: 'Null: nothing is labelled.' }, interval: orNone(interval) };

const findings = object({
  tenant: object({ id: text, product: textOrNone, policy: { ...textOrNone, description: 'Null: it is not configured any more.' } }),
  scope: { enum: REPORT_SCOPES, description: 'all: of every audit log that the store knows; own: of those alone that no other Weir sent.' },
  period: object({
    week: textOrNone, from: time, until: time, counted_until: time, is_over: flag, missing: orNone(object({ hours: whole, known_from: time }), 'Hours that passed their retention.'),
    before: object({ from: time, until: time, is_known: flag }), weeks_known: whole, time_zone: { const: 'UTC' },
  }),
  volume: object({
    exchanges: figure, decisions: byPart(figure), outcomes: figures, days: listOf(object({ from: time, exchanges: whole, acted_on: whole })),
    detailed: { ...whole, description: 'How many of the exchanges the four that follow count.' }, routes: figures, statuses: figures, errors: figures, policies: figures,
  }),
  actions: object({ exchanges: figures, by_part: byPart(figures), by_category: listOf(object({ ...named, action: text, category: { ...textOrNone, description: 'Null: none was found.' } })), redacted_spans: object({ input: figure, output: figure }) }),
  violations: listOf(object({
    category: text, exchanges: whole, before: pair['before']!, share, weeks: listOf(object({ from: time, exchanges: whole, found: whole })), ratio: orNone(object({ value: numberOrNone, low: number, high: numberOrNone }), 'Against the four weeks before.'),
    p: { ...numberOrNone, description: 'Chance of such a difference where there is none, for all categories together.' }, unrest: number, finding: { enum: TREND_FINDINGS },
  })),
  rules: listOf(object({ ...named, false_positives: rate })),
  coverage: object({
    unknown: listOf(object({ ...named, part: { enum: PARTS }, classifier: text, reason: text })), degraded: object({ ...pair, share: numberOrNone }), partial: object({ ...pair, share: numberOrNone }),
    unscreened: listOf(object({ ...named, direction: { enum: ['input', 'output'] }, why: text })),
  }),
  latency: listOf(object({ name: text, ...quantiles, before: orNone(object(quantiles)) })),
  availability: object({ answered: figure, failed: figure, upstream_failed: figure, client: figure, share: numberOrNone, share_before: numberOrNone }),
  reviews: object({
    opened: figure, opened_by: listOf(object({ origin: { enum: REVIEW_ORIGINS }, severity: { enum: SEVERITIES }, total: whole })), resolved: figure, resolutions: figures, time_to_resolution: object({ ...times, before: object(times) }), overdue: figure, open_at_end: figure,
  }),
  overrides: object({ rules: listOf(object({ policy: text, rule: text, false_positives: rate, near_misses: rate })), all: rate, sample: object({ withdraw: rate, reinstate: rate }), before: rate }),
  appeals: object({ made: figure, decided: figure, upheld: figure, reversed: figure, to_legal: figure, reversal_share: share, time_to_decision: object(times) }),
  residual_risk: orNone(listOf(object({
    campaign: text, is_configured: flag, so_far: object({ ...risk, waiting: whole, missing: whole, peeking: orNone(interval), upper: numberOrNone, bounds: orNone(interval) }), in_period: object(risk), confidence: number,
    claim: orNone(object({ below: number, confidence: number, state: { enum: CLAIM_STATES }, labels_needed: { type: ['integer', 'null'], minimum: 0 } })),
  })), 'Null: no campaign covers the tenant, so it is not measured.'),
  changes: object({
    policies: listOf(object({ at: time, policy: text, revision: whole, change: { enum: ['stored', 'retired'] }, author: text })),
    models: listOf(object({ at: time, plugin: text, change: { enum: ['promote', 'rollback'] }, model_id: textOrNone, from_model_id: textOrNone, sha256: text })), new_revisions: orNone(listOf(text)),
  }),
  left_out: { ...whole, description: 'Names that lists leave out, as there are too many.' },
});

export const WEEKLY_SCHEMAS = {
  WeeklyFigure: object(pair),
  WeeklyNamed: object(named),
  WeeklyFindings: findings,
  WeeklyReport: {
    ...object({
      format: { const: WEEKLY_FORMAT }, tenant_id: text, week: textOrNone, made_at: time, software: object({ name: { const: 'weir' }, version: text }), findings_sha256: { ...sha256, description: 'Tells whether two reports say the same.' }, findings: component('WeeklyFindings'),
      basis: listOf(object({ log: text, key: text, entries: whole, checkpoint: text })), methods: listOf(object({ title: text, text })), limits: listOf(text), mapping: object({ note: text, rows: listOf(object({ framework: text, part: text, evidence: text })) }),
    }),
    description: 'Every number with the week before, every rate of a sample with its n and interval; canonical JSON.',
  },
  WeeklyReportList: object({
    tenant_id: text,
    weeks: listOf(object({
      week: text, from: time, until: time, is_over: flag, exchanges: whole, acted_on: whole,
      due: orNone(object({ state: { enum: WEEKLY_STATES }, written_at: timeOrNone, sent_at: timeOrNone, attempts: whole, findings_sha256: text, detail: text }), 'Null: none was due by itself.'),
    })),
  }),
  WeeklyReportFiles: object({ name: text, files: { type: 'object', additionalProperties: text } }),
} as const satisfies Readonly<Record<string, JsonSchema>>;
