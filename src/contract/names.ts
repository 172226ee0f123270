/**
 * Makes what callers call things safe to be kept in a record, and shown in a log line, a span or a metric: what looks like
 * a name stays as it is, anything else could be a prompt, or forge lines, and is told as another. Pure.
 */

/** What names of models, routes, tenants, policies and categories are made of. */
const NAME = /^[\p{L}\p{N}_.:/@+{}*-]+$/u;
export const NAME_CHARS_MAX = 128;
export const OTHER = 'other';

export function nameOf(value: string): string {
  return value.length <= NAME_CHARS_MAX && NAME.test(value) ? value : OTHER;
}

/** What names of fields are made of: words, and a number of few digits. */
const FIELD_NAME = /^[A-Za-z_$*-]*(?:\d{1,3}[A-Za-z_-]*)?$/;
const FIELD_NAME_CHARS_MAX = 40;

/** A carrier (`messages[].content[].text`): whoever writes a body can call a property what they like, so each step by itself. */
export function carrierName(carrier: string): string {
  return carrier.replaceAll(/[^.:[\]]+/g, (step) => (step.length <= FIELD_NAME_CHARS_MAX && FIELD_NAME.test(step) ? step : '*'));
}
