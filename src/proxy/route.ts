/**
 * Where a request goes: an exact-match table. Nothing is normalised: a path that is not on the table letter for letter
 * is not the path of an endpoint, so no spelling of a screened endpoint (`//`, `%2f`, dot segments, another case) gets
 * past the screen. Pure; looks at method and target only.
 */
import type { Config } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import type { Dialect } from '../dialect/dialect.ts';
import { openaiChat } from '../dialect/openai-chat.ts';

/** An endpoint whose texts are screened in both directions. */
export interface ScreenedEndpoint {
  readonly method: string;
  readonly path: string;
  readonly dialect: Dialect;
}

export const SCREENED_ENDPOINTS: readonly ScreenedEndpoint[] = [
  { method: 'POST', path: '/v1/chat/completions', dialect: openaiChat },
];

/** Endpoints answered here. */
export const OWN_ENDPOINTS = [
  { method: 'GET', path: '/weir/healthz' },
  { method: 'GET', path: '/weir/readyz' },
  { method: 'POST', path: '/weir/v1/screen' },
] as const;

export interface ScreenedRoute {
  readonly kind: 'screened';
  /** As it stands on the table, never as it was called: fit for records and metrics. */
  readonly name: string;
  readonly dialect: Dialect;
  readonly target: Target;
}

export interface PassThroughRoute {
  readonly kind: 'pass_through';
  readonly name: string;
  readonly target: Target;
}

export type Route = ScreenedRoute | PassThroughRoute | { readonly kind: 'screening_service'; readonly name: string };

/** A request target that is safe to compare and to forward: printable ASCII, no second reading. */
export interface Target {
  readonly path: string;
  /** With its `?`, or empty; forwarded as it came. */
  readonly query: string;
}

/** A wrong method also says which are right. */
export class MethodError extends WeirError {
  readonly allow: string;

  constructor(allow: string) {
    super('method_not_allowed');
    this.allow = allow;
  }
}

const PRINTABLE = /^[!-~]+$/;
/** Encoded separators, dots and control characters: an upstream that decodes first would see another path. */
const ENCODED_TROUBLE = /%(?:2f|5c|2e|25|[01][0-9a-f]|7f)/i;
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;

/** Throws bad_request, url_too_long. */
export function readTarget(url: string, urlBytesMax: number): Target {
  if (url.length > urlBytesMax) throw new WeirError('url_too_long');
  if (url[0] !== '/' || !PRINTABLE.test(url)) throw new WeirError('bad_request', 'the request target is not a plain path');
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  if (url.includes('#') || path.includes('\\')) throw new WeirError('bad_request', 'the request target is not a plain path');
  return { path, query: mark === -1 ? '' : url.slice(mark) };
}

/** Throws unknown_endpoint, method_not_allowed. */
export function matchRoute(method: string, target: Target, proxy: Config['proxy']): Route {
  const { path } = target;
  for (const endpoint of SCREENED_ENDPOINTS) {
    if (endpoint.path !== path) continue;
    if (endpoint.method !== method) throw new MethodError(endpoint.method);
    return { kind: 'screened', name: endpoint.path, dialect: endpoint.dialect, target };
  }
  if (path.startsWith('/weir/')) return matchOwn(method, path);
  if (path.includes('//') || ENCODED_TROUBLE.test(path) || DOT_SEGMENT.test(path) || resemblesScreened(path)) throw new WeirError('unknown_endpoint');
  return matchPassThrough(method, target, proxy);
}

function matchOwn(method: string, path: string): Route {
  const own = OWN_ENDPOINTS.find((endpoint) => endpoint.path === path);
  if (own === undefined) throw new WeirError('unknown_endpoint');
  if (own.method !== method) throw new MethodError(own.method);
  return { kind: 'screening_service', name: own.path };
}

/** A spelling or a child of a screened endpoint: what the upstream makes of it is not known, so it is never passed on. */
function resemblesScreened(path: string): boolean {
  const lower = path.toLowerCase();
  return SCREENED_ENDPOINTS.some((endpoint) => lower.startsWith(endpoint.path));
}

function matchPassThrough(method: string, target: Target, proxy: Config['proxy']): Route {
  const allow: string[] = [];
  for (const entry of proxy.pass_through) {
    const space = entry.indexOf(' ');
    const pattern = space === -1 ? entry : entry.slice(space + 1);
    if (!matchesPattern(target.path, pattern)) continue;
    if (space === -1 || entry.slice(0, space) === method) return { kind: 'pass_through', name: pattern, target };
    allow.push(entry.slice(0, space));
  }
  if (allow.length > 0) throw new MethodError(allow.join(', '));
  if (proxy.unknown_endpoints === 'pass') return { kind: 'pass_through', name: 'unknown', target };
  throw new WeirError('unknown_endpoint');
}

function matchesPattern(path: string, pattern: string): boolean {
  return pattern.endsWith('*') ? path.length >= pattern.length && path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
