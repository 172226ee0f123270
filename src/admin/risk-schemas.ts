/** What the routes about residual risk answer and take, as JSON Schema; part of the document's components. */
import type { JsonSchema } from '../config/shape.ts';
import { ANNOTATOR_STATES, CAMPAIGN_STATES, CLAIM_STATES, CONFIDENCE_TIERS, HUMAN_LABELS, SAMPLED_DECISIONS, SEQUENTIAL_DECISIONS, SKIP_REASONS } from '../contract/risk.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import { CORRECTIONS } from '../risk/calibrate.ts';
import { COURSE_STEPS } from '../risk/course.ts';
import { NOTHING_NEXT } from '../risk/labelling.ts';
import { MISS_DIMENSIONS } from '../risk/nearest.ts';

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
const given: JsonSchema = object({ annotation_id: text, batch_id: text, campaign: text, direction: { enum: DIRECTIONS }, modality: { enum: CONTENT_TYPES }, claimed_until: time });
const shown: Readonly<Record<string, JsonSchema>> = {
  state: { enum: ['there', ...NOTHING_NEXT], description: 'locked: what the caller has is sealed under a master key that this process has not.' }, annotation: { oneOf: [{ type: 'null' }, given] },
  texts: listOf(object({ place: text, text }, { role: text })), cut: { ...whole, description: 'Characters that were not kept.' },
};
const label: Readonly<Record<string, JsonSchema>> = { label: { enum: HUMAN_LABELS }, category: orNull('string'), tier: { enum: CONFIDENCE_TIERS }, note: text };
const progress: Readonly<Record<string, JsonSchema>> = { left: { ...whole, description: 'Of the batch, with this one.' }, done: { ...whole, description: 'Of the batch.' } };
const day: JsonSchema = { type: 'string', format: 'date' };
const between: JsonSchema = { oneOf: [{ type: 'null' }, object({ from: time, until: time })], description: 'When the first and the last text were drawn.' };
const probability: JsonSchema = { type: 'number', exclusiveMinimum: 0, maximum: 1 };

const issued: JsonSchema = object({ version: whole, from: orNull('string'), until: orNull('string'), issued_at: time, author: text, sha256: { ...text, description: 'Of the JSON.' }, findings_sha256: { ...text, description: 'Of what it found, without when and on which checkpoints.' } });
const confidence: JsonSchema = { ...number, description: 'Of all intervals.' };
const definition = {
  id: text, state: { enum: CAMPAIGN_STATES, description: 'removed: it is not configured any more.' }, from: { ...orNull('string'), format: 'date-time' }, until: { ...orNull('string'), format: 'date-time' },
  directions: listOf({ enum: DIRECTIONS }), decisions: listOf({ enum: SAMPLED_DECISIONS }), strata: listOf(object({ id: text, probability })),
};
const period = { from: day, until: { ...day, description: 'The first day after it.' }, drawn: whole, labelled: whole, violations: whole, rate: orNull('number'), interval: interval('Two-sided.') };
const missShare = object({ of: whole, share: number, interval: interval('Of the share.') });

export const RISK_SCHEMAS = {
  RiskEstimate: estimate,
  RiskClaim: { oneOf: [{ type: 'null' }, object({
    below: number, confidence: number, state: { enum: CLAIM_STATES }, met_under_peeking: flag, met_at_worst: { ...flag, description: 'Also if all that nobody labelled were violations.' }, labels_needed: orNull('integer'), labels_needed_with_one_more: orNull('integer'),
    sequential: { oneOf: [{ type: 'null' }, object({ good: number, decision: { enum: SEQUENTIAL_DECISIONS }, evidence: number, limit: number, labels_if_good: whole, labels_if_bad: whole })], description: 'Wald’s test, valid at any time; null where texts were drawn with several probabilities.' },
  })], description: 'Null where the campaign is for a precision, or is not configured any more.' },
  RiskPrecision: { oneOf: [{ type: 'null' }, object({ half_width: number, reached: flag, labels_needed: whole })] },
  RiskNeeds: object({
    campaign: text, below: number, confidence: number, state: { enum: CLAIM_STATES }, labelled: whole, upper: number, pace: { oneOf: [{ type: 'null' }, object({ since: time, labels: whole, labels_a_day: number })] },
    rows: listOf(object({ violations: { ...whole, description: 'In the end: as many as there are, and some more.' }, labels: { ...orNull('integer'), description: 'In all. Null: it is far from met.' }, more: orNull('integer'), days: { ...orNull('number'), description: 'At the pace of late.' } })),
  }),
  RiskCourse: object({
    campaign: text, as_of: { ...orNull('string'), format: 'date-time', description: 'Null: it is being counted; ask again in a moment.' }, by: { enum: COURSE_STEPS }, periods: listOf(object(period)),
    change: { oneOf: [{ type: 'null' }, object({ before: object(period), after: object(period), ratio: orNull('number'), ratio_interval: object({ low: number, high: orNull('number') }), p: number, is_change: flag })], description: 'The older half of the periods with labels, and the newer.' },
    looked_at: { ...orNull('string'), description: 'First day of the last period with a label, which series are about.' },
    series: listOf(object({ kind: { enum: ['all', 'tenant', 'category'] }, name: text, rate: orNull('number'), baseline: orNull('number'), baseline_periods: whole, unrest: number, p: { ...orNull('number'), description: 'Of all series together. Null: there is too little history.' }, is_spike: flag })),
  }),
  RiskMisses: object({
    campaign: text, as_of: { ...orNull('string'), format: 'date-time', description: 'Null: it is being looked up; ask again in a moment.' }, violations: whole, safe: whole, not_found: { ...whole, description: 'Labelled texts whose entry cannot be found.' }, from: orNull('string'), until: orNull('string'),
    groups: listOf(object({ dimension: { enum: MISS_DIMENSIONS }, name: text, violations: missShare, safe: missShare, ratio: orNull('number'), p: { ...number, description: 'Of all groups together.' }, stands_out: flag })),
    categories: listOf(object({ category: text, violations: whole, nearest: listOf(object({ name: text, texts: whole, median_score: number })) })),
  }),
  RiskDefinition: object(definition),
  RiskCampaignList: object({ campaigns: listOf(object({
    ...definition, ...counts, confidence, total: component('RiskEstimate'), claim: component('RiskClaim'), precision: component('RiskPrecision'), drawn_between: between,
  })) }),
  RiskStatus: object({
    campaign: text, as_of: time, definition: { oneOf: [{ type: 'null' }, component('RiskDefinition')], description: 'Null: it is not configured any more.' }, confidence, total: component('RiskEstimate'), strata: estimates, tenants: estimates, products: estimates, modalities: estimates, directions: estimates, decisions: estimates, categories: { ...estimates, description: 'Violations of a category among everything.' },
    corrected: { ...object({ correction: { enum: CORRECTIONS }, observed: orNull('number'), rate: orNull('number'), formula: orNull('number'), interval: interval('Of the corrected rate.'), sensitivity: share, specificity: share }), description: 'For the errors of those who label, as items with known answers show them.' },
    claim: component('RiskClaim'), precision: component('RiskPrecision'), drawn_between: between, pace: { oneOf: [{ type: 'null' }, object({ since: time, labels: whole, labels_a_day: number })], description: 'Labels of late; null to a tenant-viewer.' },
    agreement: { oneOf: [{ type: 'null' }, object({ items: whole, raters: whole, raw: number, alpha: orNull('number') })], description: 'Of those who labelled the same without seeing each other.' },
  }),
  RiskPlan: object({ below: number, confidence: number, plans: listOf(object({ errors: whole, n: whole, power: listOf(object({ rate: number, chance: number })) })) }),
  RiskProposal: object({
    campaign: { ...orNull('string'), description: 'YAML to paste; null where there is no traffic.' },
    traffic: object({ exchanges: whole, since: { ...orNull('string'), format: 'date-time' }, is_part: { ...flag, description: 'Not all of the week was read.' }, strata: listOf(object({ stratum: text, per_week: number })), uncovered_per_week: number }),
    strata: listOf(object({ stratum: text, per_week: number, probability, labels_per_week: number })), labels_per_week: number, design_effect: { ...number, description: 'Labels that count as one of equal weight.' },
    days_at_least: { ...orNull('integer'), description: 'Until the claim could hold, without a violation.' }, outlook: { ...listOf(object({ rate: number, labels: orNull('integer'), days: orNull('integer') })), description: 'If that is the rate, what it takes in four of five cases; null: more than anybody labels.' },
  }),
  RiskNext: object({ ...shown, ...progress }),
  RiskDispute: object({ ...shown, labels: { ...listOf(object(label)), description: 'What others said, without who they are, in no order.' } }),
  NewAnnotation: object({ label: { enum: HUMAN_LABELS } }, { category: { ...text, maxLength: 193, description: 'Of a violation: as the taxonomy names it.' }, confidence: { enum: CONFIDENCE_TIERS }, note: { ...text, maxLength: 2_000, description: 'Why; shown to who decides where two differ.' } }),
  RiskSkip: object({ reason: { enum: SKIP_REASONS } }),
  RiskDone: object({ done: { const: true } }),
  RiskRenewed: object({ claimed_until: time }),
  RiskReleased: object({ released: whole }),
  RiskMe: object({
    state: { enum: ANNOTATOR_STATES }, paused: { oneOf: [{ type: 'null' }, object({ at: time, by: { enum: ['calibration', 'person'] }, reason: orNull('string') })] },
    labels_today: whole, violations_today: whole, daily_max: whole, violations_daily_max: whole, open: whole, batch: { oneOf: [{ type: 'null' }, object(progress)] },
    agreement: { oneOf: [{ type: 'null' }, object({ n: whole, share: number, interval: interval('Of the share.') })], description: 'With known answers, in steps of fifty, of batches before the last; null before the first step.' }, required_agreement: number,
    disputes: { ...whole, description: 'Texts on which two differ, that the caller may decide.' }, pace: object({ n: whole, median_ms: orNull('number'), is_too_fast: flag, slowing: orNull('number'), is_slowing: flag }),
  }),
  RiskAnnotators: object({ annotators: listOf(object({
    annotator_id: text, state: { enum: ANNOTATOR_STATES }, reason: text, changed_by: text, changed_at: time, since: { ...time, description: 'Of the training that counts.' },
    calibration: object({ n: whole, agreement: orNull('number'), interval: interval('Of the agreement.'), state: { enum: ['active', 'provisional', 'paused'] } }),
    drift: object({ is_drift: flag, cusum: number, limit: number }), pace: object({ n: whole, median_ms: orNull('number'), too_fast_share: number, is_too_fast: flag, slowing: orNull('number'), is_slowing: flag }),
    labels_today: whole, violations_today: whole, flagged: { ...whole, description: 'Labels that count no more.' }, relabelled: { ...whole, description: 'Of them those whose texts others have labelled since.' }, skipped: object(Object.fromEntries(SKIP_REASONS.map((reason) => [reason, whole]))),
  })) }),
  RiskReport: { type: 'object', required: ['format', 'campaign', 'version', 'made_at', 'software', 'findings_sha256', 'findings', 'changes', 'basis', 'methods', 'mapping'], properties: { format: text, campaign: text, version: { ...orNull('integer'), description: 'Null: it was not issued.' }, made_at: time, findings_sha256: text, findings: { type: 'object' }, basis: listOf({ type: 'object' }) }, description: 'Every rate with the number it is of, its interval and dates; canonical JSON, byte for byte as it is signed.' },
  NewRiskReport: object({}, { from: { ...orNull('string'), description: 'A day in UTC.' }, until: { ...orNull('string'), description: 'The first day that is not in it.' } }),
  RiskReportIssued: issued,
  RiskReportList: object({ reports: listOf(issued), corrections: listOf(object({ made_at: time, author: text, reason: text })) }),
  RiskReason: object({ reason: { ...text, minLength: 1, maxLength: 1_000 } }),
  RiskAnnotator: object({ annotator_id: text, state: { enum: ANNOTATOR_STATES } }),
  RiskItems: object({ items: listOf(object({ campaign: { ...text, description: 'Empty: for any.' }, label: { enum: HUMAN_LABELS }, total: whole })), coverage: listOf(object({ label: { enum: HUMAN_LABELS }, category: orNull('string'), total: whole })) }),
  RiskItemList: object({ items: listOf(object({
    item_id: text, campaign: { ...text, description: 'Empty: for any.' }, direction: { enum: DIRECTIONS }, modality: { enum: CONTENT_TYPES }, label: { enum: HUMAN_LABELS }, category: orNull('string'), author: text, created_at: time,
    source_task: { ...orNull('string'), description: 'The drawn text that it is.' }, retired: flag, given: whole, answered: whole, right: whole,
  })), next: { ...orNull('string'), description: 'For `?before=`.' } }),
  RiskCandidates: object({ candidates: listOf(object({ task_id: text, campaign: text, direction: { enum: DIRECTIONS }, modality: { enum: CONTENT_TYPES }, human_label: { enum: HUMAN_LABELS }, violation_category: orNull('string'), settled_at: time })) }),
  RiskItemText: object({ item_id: text, label: { enum: HUMAN_LABELS }, category: orNull('string'), text }),
  NewRiskItems: object({ items: { ...listOf(object({ text: { ...text, minLength: 1, maxLength: 20_000 }, label: { enum: HUMAN_LABELS } }, { category: text, campaign: text, direction: { enum: DIRECTIONS }, modality: { enum: CONTENT_TYPES } })), minItems: 1, maxItems: 1_000 } }),
  RiskAdded: object({ added: whole, known: whole }),
  RiskExport: object({ format: text, data: text, rows: whole, next: { ...orNull('string'), description: 'For `?after=`. Null: these are all.' } }),
  RiskImport: object({ format: { enum: ['jsonl', 'csv', 'label-studio'] }, data: text }),
  RiskGuide: { type: 'object', required: ['version', 'language', 'categories'], properties: { version: whole, language: text, categories: listOf({ type: 'object' }) }, description: 'The taxonomy, in words that people who label can apply.' },
} as const satisfies Readonly<Record<string, JsonSchema>>;
