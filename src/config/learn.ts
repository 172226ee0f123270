/**
 * The configuration of the learning loop: how long rows are kept that models learn from, and what errors cost. Declared
 * here as in schema; what costs mean is for learn/costs.
 */
import { list, mapping, name, number, text, whole } from './shape.ts';

export const LEARN = mapping('The learning loop: what people decided becomes rows that the embedded classifiers learn from, of tenants with data.learning alone.', {
  keep_days: whole('Days for which the text of a row is kept, sealed, counted from its exchange; labels stay.', { default: 180, min: 1, max: 3650, unit: 'days' }),
  costs: list('What errors cost, for thresholds that weir learn evaluate proposes; nothing is changed by them. Of several that fit, the first counts.', mapping('The costs of one category.', {
    category: text('Category of a model as evaluations name it; absent: any.', { lengthMax: 200, example: 'attack' }),
    tenant: name('Only of rows of this tenant; absent: of all.', { example: 'acme' }),
    miss: number('Cost of a violation that is not found.', { required: true, min: 0, max: 1e9, example: 20 }),
    false_alarm: number('Cost of a harmless text that is flagged, in the same unit.', { required: true, min: 0, max: 1e9, example: 1 }),
    violation_percent: number('How many of the texts are violations, as risk campaigns estimate it; absent: as many as of the rows, of which people chose some because they looked like one.', { min: 0, max: 100, example: 0.5 }),
  }), { default: [], countMax: 200 }),
}, { default: {} });
