/** What the routes about residual risk answer and take, as JSON Schema; part of the document's components. */
import type { JsonSchema } from '../config/shape.ts';
import { ANNOTATOR_STATES, CONFIDENCE_TIERS, HUMAN_LABELS, SAMPLED_DECISIONS } from '../contract/risk.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import { CORRECTIONS } from '../risk/calibrate.ts';
import { NOTHING_NEXT } from '../risk/labelling.ts';
import { CLAIM_STATES } from '../risk/status.ts';

const text: JsonSchema = { type: 'string' };
const whole: JsonSchema = { type: 'integer', minimum: 0 };
const number: JsonSchema = { type: 'number' };
const flag: JsonSchema = { type: 'boolean' };
const time: JsonSchema = { type: 'string', format: 'date-time' };
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const orNull = (type: string): JsonSchema => ({ type: [type, 'null'] });
const object = (properties: Readonly<Record<string, JsonSchema>>, optional: Readonly<Record<string, JsonSchema>> = {}): JsonSchema => ({ type: 'object', properties: { ...properties, ...optional }, required: Object.keys(properties), additionalProperties: false });
const component = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

const interval = (description: string): JsonSchema => ({ ...object({ low: number, high: number }), description });
const share = object({ n: whole, rate: orNull('number'), interval: interval('Of the share.') });
const counts: Readonly<Record<string, JsonSchema>> = { drawn: whole, labelled: whole, waiting: whole, missing: whole, violations: whole };
const estimate: JsonSchema = object({
  name: text, ...counts, rate: { ...orNull('number'), description: 'Null where nothing is labelled.' },
  interval: interval('Two-sided, for a plan that was fixed before and is read once.'), peeking: interval('Two-sided, valid however often and whenever it is looked at.'),
  upper: { ...number, description: 'One-sided, with the confidence of the claim.' }, effective_size: { ...number, description: 'The labels count as so many of equal weight.' }, response_share: { ...number, description: 'Of what was drawn, by weight, the share that is labelled.' },
  bounds: interval('The rate if all without a label were safe, and if it were violations.'),
});
const estimates = listOf(component('RiskEstimate'));
const probability: JsonSchema = { type: 'number', exclusiveMinimum: 0, maximum: 1 };

export const RISK_SCHEMAS = {
  RiskEstimate: estimate,
  RiskCampaignList: object({ campaigns: listOf(object({
    id: text, state: { enum: ['planned', 'running', 'ended', 'removed'], description: 'removed: it is not configured any more.' }, from: { ...orNull('string'), format: 'date-time' }, until: { ...orNull('string'), format: 'date-time' },
    directions: listOf({ enum: DIRECTIONS }), decisions: listOf({ enum: SAMPLED_DECISIONS }), strata: listOf(object({ id: text, probability })), claim: { oneOf: [{ type: 'null' }, object({ below: number, confidence: number })] }, ...counts,
  })) }),
  RiskStatus: object({
    campaign: text, as_of: time, total: component('RiskEstimate'), strata: estimates, tenants: estimates, products: estimates, modalities: estimates, directions: estimates, decisions: estimates, categories: { ...estimates, description: 'Violations of a category among everything.' },
    corrected: { ...object({ correction: { enum: CORRECTIONS }, observed: orNull('number'), rate: orNull('number'), formula: orNull('number'), interval: interval('Of the corrected rate.'), sensitivity: share, specificity: share }), description: 'For the errors of those who label, as items with known answers show them.' },
    claim: { oneOf: [{ type: 'null' }, object({ below: number, confidence: number, state: { enum: CLAIM_STATES }, met_under_peeking: flag, met_at_worst: { ...flag, description: 'Also if all that nobody labelled were violations.' }, labels_needed: orNull('integer'), labels_needed_with_one_more: orNull('integer') })] },
    precision: { oneOf: [{ type: 'null' }, object({ half_width: number, reached: flag, labels_needed: whole })] },
    agreement: { oneOf: [{ type: 'null' }, object({ items: whole, raters: whole, raw: number, alpha: orNull('number') })], description: 'Of those who labelled the same without seeing each other.' },
  }),
  RiskPlan: object({ below: number, confidence: number, plans: listOf(object({ errors: whole, n: whole, power: listOf(object({ rate: number, chance: number })) })) }),
  RiskNext: object({
    state: { enum: ['there', ...NOTHING_NEXT], description: 'locked: what the caller has is sealed under a master key that this process has not.' }, left: { ...whole, description: 'Of the batch, with this one.' },
    annotation: { oneOf: [{ type: 'null' }, object({ annotation_id: text, batch_id: text, campaign: text, direction: { enum: DIRECTIONS }, modality: { enum: CONTENT_TYPES }, claimed_until: time })] },
    texts: listOf(object({ place: text, text }, { role: text })),
  }),
  NewAnnotation: object({ label: { enum: HUMAN_LABELS } }, { category: { ...text, maxLength: 193, description: 'Of a violation: as the taxonomy names it.' }, confidence: { enum: CONFIDENCE_TIERS } }),
  RiskDone: object({ done: { const: true } }),
  RiskRenewed: object({ claimed_until: time }),
  RiskReleased: object({ released: whole }),
  RiskMe: object({ state: { enum: ANNOTATOR_STATES }, labels_today: whole, violations_today: whole, daily_max: whole, violations_daily_max: whole, open: whole }),
  RiskAnnotators: object({ annotators: listOf(object({
    annotator_id: text, state: { enum: ANNOTATOR_STATES }, reason: text, changed_by: text, changed_at: time, since: { ...time, description: 'Of the training that counts.' },
    calibration: object({ n: whole, agreement: orNull('number'), interval: interval('Of the agreement.'), state: { enum: ['active', 'provisional', 'paused'] } }),
    drift: object({ is_drift: flag, cusum: number, limit: number }), pace: object({ n: whole, median_ms: orNull('number'), too_fast_share: number, is_too_fast: flag, slowing: orNull('number'), is_slowing: flag }),
    labels_today: whole, violations_today: whole,
  })) }),
  RiskReason: object({ reason: { ...text, minLength: 1, maxLength: 1_000 } }),
  RiskAnnotator: object({ annotator_id: text, state: { enum: ANNOTATOR_STATES } }),
  RiskItems: object({ items: listOf(object({ campaign: { ...text, description: 'Empty: for any.' }, label: { enum: HUMAN_LABELS }, total: whole })) }),
  NewRiskItems: object({ items: { ...listOf(object({ text: { ...text, minLength: 1, maxLength: 20_000 }, label: { enum: HUMAN_LABELS } }, { category: text, campaign: text, direction: { enum: DIRECTIONS }, modality: { enum: CONTENT_TYPES } })), minItems: 1, maxItems: 1_000 } }),
  RiskAdded: object({ added: whole, known: whole }),
  RiskExport: object({ format: text, data: text, rows: whole, next: { ...orNull('string'), description: 'For `?after=`. Null: these are all.' } }),
  RiskImport: object({ format: { enum: ['jsonl', 'csv', 'label-studio'] }, data: text }),
  RiskGuide: { type: 'object', required: ['version', 'language', 'categories'], properties: { version: whole, language: text, categories: listOf({ type: 'object' }) }, description: 'The taxonomy, in words that people who label can apply.' },
} as const satisfies Readonly<Record<string, JsonSchema>>;
