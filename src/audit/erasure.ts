/** What may be asked to be erased: a tenant, and at most one narrower thing. Pure. */

export interface ErasureScope {
  readonly tenantId: string;
  /** Exchanges that began before this day, in UTC: `2030-01-31`. */
  readonly before?: string | undefined;
  readonly requestId?: string | undefined;
  readonly sessionId?: string | undefined;
}

/** Why it cannot be meant; undefined: it can. */
export function scopeFault({ before, requestId, sessionId }: ErasureScope): string | undefined {
  if ([before, requestId, sessionId].filter((one) => one !== undefined).length > 1) return 'give one of before, request and session, or none for all of the tenant';
  if (requestId === '' || sessionId === '') return 'an empty name is nobody\'s';
  return before === undefined || isDay(before) ? undefined : 'before is a day such as 2030-01-31';
}

/** A day of the calendar. */
function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text);
}
