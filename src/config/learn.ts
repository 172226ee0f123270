/**
 * The configuration of the learning loop: how long rows are kept that models learn from, and what errors cost; what a
 * candidate must not do worse, how much of the machine a model that runs beside may have, and the weekly run. Declared
 * here as in schema; what costs mean is for learn/costs, the rest for learn/gate, shadow and weekly.
 */
import { choice, list, mapping, name, number, text, whole, type TypeOf } from './shape.ts';

export const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

export const LEARN = mapping('The learning loop: what people decided becomes rows that the embedded classifiers learn from, of tenants with data.learning alone; and when models that did may work.', {
  keep_days: whole('Days for which the text of a row is kept, sealed, counted from its exchange; labels stay.', { default: 180, min: 1, max: 3650, unit: 'days' }),
  costs: list('What errors cost, for thresholds that weir learn evaluate proposes; nothing is changed by them. Of several that fit, the first counts.', mapping('The costs of one category.', {
    category: text('Category of a model as evaluations name it; absent: any.', { lengthMax: 200, example: 'attack' }),
    tenant: name('Only of rows of this tenant; absent: of all.', { example: 'acme' }),
    miss: number('Cost of a violation that is not found.', { required: true, min: 0, max: 1e9, example: 20 }),
    false_alarm: number('Cost of a harmless text that is flagged, in the same unit.', { required: true, min: 0, max: 1e9, example: 1 }),
    violation_percent: number('How many of the texts are violations, as risk campaigns estimate it; absent: as many as of the rows, of which people chose some because they looked like one.', { min: 0, max: 100, example: 0.5 }),
  }), { default: [], countMax: 200 }),
  gate: mapping('What is held against a candidate, on rows that it did not learn. An admin may let it work all the same, with a reason.', {
    margin_percent: number('A category got worse when recall fell, or false positives rose, by more than so many percentage points, with the whole interval of 95 % beyond them.', { default: 1, min: 0, max: 50 }),
    rows_min: whole('Least rows of a category that tell anything.', { default: 50, min: 1, max: 10_000_000 }),
    positives_min: whole('Least violations among them; of a category with fewer, texts of the project tell.', { default: 10, min: 1, max: 10_000_000 }),
  }, { default: {} }),
  shadow: mapping('A candidate that scores live traffic beside what works, and decides nothing.', {
    share_percent: number('Of exchanges whose texts it scores, where nobody says otherwise.', { default: 100, min: 0.01, max: 100 }),
    cpu_percent: number('Of the time of one core that it may take in each process; what is beyond is left out, and counted.', { default: 10, min: 0.1, max: 100 }),
    queue_max: whole('Texts that wait for it at once; those beyond are left out, and counted.', { default: 64, min: 1, max: 10_000 }),
  }, { default: {} }),
  weekly: mapping('Each week a data set is made, candidates are trained and measured, and run beside what works. Nothing is let work by it; absent: nobody trains by himself.', {
    day: choice('The day, in UTC.', WEEKDAYS, { default: 'sunday' }),
    hour: whole('The hour from which on, in UTC; where nothing ran then, as soon as something does.', { default: 3, min: 0, max: 23 }),
    plugins: list('Whose models are trained.', text('A folder of plugins/ with a recipe.', { lengthMax: 64, pattern: /^[a-z][a-z0-9-]*$/, patternMeaning: 'the name of a plugin' }), { default: ['toxicity', 'prompt-injection'], countMin: 1, countMax: 20 }),
    minutes_max: whole('After so long a training is ended, and told to have failed.', { default: 60, min: 1, max: 1440, unit: 'minutes' }),
  }),
}, { default: {} });

export type LearnConfig = NonNullable<TypeOf<typeof LEARN>>;
