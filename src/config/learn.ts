/**
 * The configuration of the learning loop after training: what a candidate must not do worse, how much of the machine a
 * model that runs beside may have, and the weekly run. Declared here as in schema; what it means is in src/learn.
 */
import { choice, list, mapping, number, text, whole, type TypeOf } from './shape.ts';

export const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

export const LEARN = mapping('The learning loop: when models that were trained on what people decided may work.', {
  gate: mapping('What is held against a candidate, on rows that it did not learn. An admin may let it work all the same, with a reason.', {
    margin_percent: number('A category got worse when recall fell, or false positives rose, by more than so many percentage points, with the whole interval of 95 % beyond them.', { default: 1, min: 0, max: 50 }),
    rows_min: whole('Least rows of a category that tell anything.', { default: 200, min: 1, max: 10_000_000 }),
    positives_min: whole('Least violations among them.', { default: 30, min: 1, max: 10_000_000 }),
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
