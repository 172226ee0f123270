/**
 * The configuration of reports that are made by themselves: when those of tenants are, in which forms, and where they go.
 * Declared here as in schema; what a report tells is for report/weekly.
 */
import { WEEKLY_FORMS } from '../contract/weekly.ts';
import { WEEKDAYS } from './learn.ts';
import { choice, list, mapping, name, text, url, whole, type TypeOf } from './shape.ts';
import { webhookSecret } from './webhook.ts';

const weeklyFields = mapping('Each week a safety report of each tenant, of the week before (ISO 8601, UTC), once however many processes share the store; weeks that were missed are made up for, eight at most. Absent: reports are made by who asks for one.', {
  day: choice('The day from which on they are made, in UTC.', WEEKDAYS, { default: 'monday' }),
  hour: whole('The hour, in UTC; where nothing ran then, as soon as something does.', { default: 6, min: 0, max: 23 }),
  tenants: list('Of these tenants; absent: of all.', name('A tenant.'), { countMin: 1, countMax: 100_000, example: ['acme'] }),
  formats: list('Forms that are written to the directory; the JSON goes to the webhook in any case.', choice('A form: html is a page to print, csv a table of numbers, dsa tables in the columns of Implementing Regulation (EU) 2024/2835.', WEEKLY_FORMS), { default: ['html', 'json', 'csv'], countMin: 1, countMax: WEEKLY_FORMS.length }),
  directory: text('A folder, with one for each tenant in it.', { lengthMax: 4096, pattern: /^[^\0]+$/, patternMeaning: 'a path', example: './reports' }),
  webhook: mapping('Takes each report as signed JSON; sent again until it is taken, for three days.', {
    url: url('Where they are posted.', { schemes: ['http', 'https'], required: true, example: 'https://hooks.example.com/reports' }),
    secret: webhookSecret(),
  }),
});

const weekly: typeof weeklyFields = {
  ...weeklyFields,
  read(value, site) {
    const fields = weeklyFields.read(value, site);
    if (fields !== undefined && fields.directory === undefined && fields.webhook === undefined) site.refuse('weekly reports go nowhere', 'name a directory, a webhook, or both');
    return fields;
  },
};

export const REPORTS = mapping('Reports that are made by themselves.', { weekly }, { default: {} });

export type WeeklyConfig = NonNullable<NonNullable<TypeOf<typeof REPORTS>>['weekly']>;
