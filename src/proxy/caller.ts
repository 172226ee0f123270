/**
 * What a request says of who sends it: context values by the headers `x-weir-context-<name>` that the tenant allows, and
 * the plan that it is under. A value that the tenant does not trust is kept apart from what is known, as a claim: it can
 * make a decision stricter and nothing else. Headers that the tenant does not name are ignored; none is forwarded.
 */
import type { TenantConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import type { Context, ContextValue } from '../contract/screening.ts';
import { planUnder, type Caller } from '../screen/canary.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import type { RawHeaders } from './headers.ts';

export interface CallerContext {
  readonly trusted: Context;
  /** Absent where there are none. */
  readonly claims?: Context;
}

const HEADER_PREFIX = 'x-weir-context-';
/** Characters of one value. How many there may be, the tenant's names say. */
export const CONTEXT_VALUE_CHARS_MAX = 256;

/** Throws bad_request. */
export function readCallerContext(raw: RawHeaders, { context }: Pick<TenantConfig, 'context'>): CallerContext {
  if (context === undefined) return NOTHING;
  const said = new Map<string, ContextValue>();
  for (let i = 0; i < raw.length; i += 2) {
    const header = raw[i].toLowerCase();
    if (!header.startsWith(HEADER_PREFIX)) continue;
    const name = header.slice(HEADER_PREFIX.length);
    if (!context.headers.includes(name) && !context.trusted.includes(name)) continue;
    if (said.has(name)) throw new WeirError('bad_request', `the request has two ${header} headers`);
    said.set(name, readValue(header, raw[i + 1].trim()));
  }
  const of = (names: readonly string[]): Context => Object.fromEntries([...said].filter(([name]) => names.includes(name)));
  const claims = of(context.headers);
  return { trusted: of(context.trusted), ...(Object.keys(claims).length === 0 ? {} : { claims }) };
}

const NOTHING: CallerContext = { trusted: {} };

/** true, false and decimal numbers are read as such. */
function readValue(header: string, value: string): ContextValue {
  if (value === '' || value.length > CONTEXT_VALUE_CHARS_MAX) throw new WeirError('bad_request', `${header} is empty or longer than ${CONTEXT_VALUE_CHARS_MAX} characters`);
  if (!/^[\x20-\x7e]+$/.test(value)) throw new WeirError('bad_request', `${header} holds more than printable ASCII`);
  if (value === 'true' || value === 'false') return value === 'true';
  return /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(value) ? Number(value) : value;
}

/** The canary's plan for its share of callers, else the policy's; under what the caller claims. */
export function planOfCaller(plan: ScreeningPlan, caller: Caller, { claims }: CallerContext): ScreeningPlan {
  const enforced = planUnder(plan, caller);
  return claims === undefined ? enforced : enforced.withClaims(claims);
}
