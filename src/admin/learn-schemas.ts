/** What the routes about trained models answer and take, as JSON Schema; part of the document's components. */
import type { JsonSchema } from '../config/shape.ts';
import { RUN_STATES } from '../store/learn-runs.ts';
import { MODEL_CHANGES } from '../store/models.ts';
import { SHADOW_OUTCOMES } from '../store/shadows.ts';

const text: JsonSchema = { type: 'string' };
const whole: JsonSchema = { type: 'integer', minimum: 0 };
const time: JsonSchema = { type: 'string', format: 'date-time' };
const digest: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const orNull = (type: string): JsonSchema => ({ type: [type, 'null'] });
const object = (properties: Readonly<Record<string, JsonSchema>>, optional: Readonly<Record<string, JsonSchema>> = {}): JsonSchema => ({ type: 'object', properties: { ...properties, ...optional }, required: Object.keys(properties), additionalProperties: false });
const component = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

const modelOrShipped: JsonSchema = { ...orNull('string'), description: 'Null: what the plugin ships.' };
const estimate: JsonSchema = { ...object({ value: orNull('number'), low: orNull('number'), high: orNull('number') }), description: 'With its interval of 95 %; null where it cannot be told.' };
const measures: JsonSchema = object({ auprc: estimate, recall: estimate, false_positive_rate: estimate });
const change: JsonSchema = object({ count: whole, rate: { type: 'number' }, low: { type: 'number', description: 'Of the interval of 95 %.' }, high: { type: 'number' } });
const model: Readonly<Record<string, JsonSchema>> = {
  model_id: text, plugin: text, sha256: digest, size: { ...whole, description: 'Bytes of the file.' }, base_sha256: { ...digest, description: 'Of the model that it began from.' }, dataset: { ...text, description: 'Version of the data set that it was trained on.' }, seed: whole, trained_at: time,
  registered_by: text, registered_at: time, retired_by: orNull('string'), retired_at: { ...orNull('string'), format: 'date-time' },
};

export const LEARN_SCHEMAS = {
  LearnModelList: object({
    plugins: listOf(object({ plugin: text, working: modelOrShipped, sha256: digest, switch: { ...whole, description: 'Number of the newest switch; 0: there was none.' }, before: { ...modelOrShipped, description: 'What a rollback brings again.' }, can_roll_back: { type: 'boolean' }, beside: { ...orNull('string'), description: 'The model that scores live traffic beside it; null: none does.' } })),
    models: listOf(component('LearnModel')),
    processes: { ...listOf(object({ process: text, origin: text, plugin: text, number: whole, lags: { type: 'boolean' }, fault: orNull('string'), seen_at: time })), description: 'Which switch each process has carried out.' },
    weekly: { oneOf: [{ type: 'null' }, object({ due: time, state: { enum: RUN_STATES }, attempts: whole, started_at: time, ended_at: { ...orNull('string'), format: 'date-time' }, detail: text })], description: 'The newest weekly training; null: there was none.' },
  }),
  LearnModel: object({ ...model, works: { type: 'boolean' }, evaluation: { ...listOf(object({ category: text, n: whole, positives: whole, base: measures, candidate: measures, recall_change: estimate, false_positive_change: estimate })), description: 'On the same held-out rows, beside the model that it began from.' } }),
  LearnGate: object({ model_id: text, against: { ...listOf(text), description: 'What stands against it now; empty: nothing.' } }),
  LearnRefusal: object({ error: object({ code: text, message: text }) }, { against: listOf(text) }),
  LearnSwitchList: object({ switches: listOf(component('LearnSwitch')) }),
  LearnSwitch: object({ plugin: text, number: whole, change: { enum: MODEL_CHANGES }, model_id: modelOrShipped, sha256: digest, from_model_id: modelOrShipped, from_sha256: digest, author: text, reason: orNull('string'), against: listOf(text), created_at: time }),
  LearnDone: object({ done: { const: true } }),
  NewShadow: object({}, { share_percent: { type: 'number', exclusiveMinimum: 0, maximum: 100, description: 'Of exchanges; default learn.shadow.share_percent.' } }),
  LearnShadow: object({
    model_id: text, running: { oneOf: [{ type: 'null' }, object({ share: { type: 'number' }, author: text, started_at: time })] },
    texts: { ...object(Object.fromEntries(SHADOW_OUTCOMES.map((outcome) => [outcome, whole]))), description: 'Scored beside, and left out, by why.' },
    latency_ms: { oneOf: [{ type: 'null' }, object({ n: whole, working: { type: 'number' }, shadow: { type: 'number' } })], description: 'On average; of what works the slowest classifier of each text.' },
    compared: { ...listOf(object({ classifier_id: text, category: text, policy: { ...text, description: 'Empty: no policy compares it with anything, and 0.5 stands for a threshold.' }, threshold: { type: 'number' }, n: whole, both: whole, only_working: change, only_shadow: change, agreement: change, difference: { type: 'number', description: 'Mean, shadow less working.' }, distance: { type: 'number', description: 'Mean of its size.' } })), description: 'At each threshold of the policies in force, on which side both scores lie. Of decisions that would be another only as far as this score alone makes them.' },
  }),
  NewPromotion: object({}, { override: { type: 'boolean', description: 'Let it work although something stands against it; for an admin, with a reason.' }, reason: { ...text, minLength: 1, maxLength: 2_000 } }),
  NewRollback: object({}, { to_shipped: { type: 'boolean', description: 'To what the plugin ships, whatever was between.' }, reason: { ...text, minLength: 1, maxLength: 2_000 } }),
} as const satisfies Readonly<Record<string, JsonSchema>>;
