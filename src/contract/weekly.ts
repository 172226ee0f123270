/** Words of weekly reports of tenants that configuration, routes and the reports themselves share. */

/** Forms of a report; `dsa` is several files. */
export const WEEKLY_FORMS = ['html', 'json', 'csv', 'dsa'] as const;
export type WeeklyForm = (typeof WEEKLY_FORMS)[number];

/** How a report that was due went out, or did not. */
export const WEEKLY_OUTCOMES = ['delivered', 'put_off', 'given_up'] as const;
export type WeeklyOutcome = (typeof WEEKLY_OUTCOMES)[number];
