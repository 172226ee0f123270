/**
 * Where a request goes: an exact-match table. Nothing is normalised: a path that is not on the table letter for letter
 * is not the path of an endpoint, so no spelling of a screened endpoint (`//`, `%2f`, dot segments, another case) gets
 * past the screen. Pure; looks at method and target only.
 */
import type { Config } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import type { Dialect } from '../dialect/dialect.ts';
import { anthropicMessages, anthropicTokenCount } from '../dialect/anthropic-messages.ts';
import { atAzure } from '../dialect/azure-openai.ts';
import { openaiSpeech, openaiTranscription } from '../dialect/openai-audio.ts';
import { openaiChat } from '../dialect/openai-chat.ts';
import { openaiCompletions } from '../dialect/openai-completions.ts';
import { openaiEmbeddings } from '../dialect/openai-embeddings.ts';
import { openaiImages } from '../dialect/openai-images.ts';
import { openaiModerations } from '../dialect/openai-moderations.ts';
import { responsesSocket } from '../dialect/openai-responses-socket.ts';
import { realtime } from '../dialect/realtime.ts';
import type { SocketDialect } from '../dialect/socket.ts';
import { openaiConversations, openaiResponses } from '../dialect/openai-responses.ts';

/** An endpoint whose texts are screened in both directions. */
export interface ScreenedEndpoint {
  readonly method: string;
  /** `{name}` stands for one segment: an id or the name of a deployment. */
  readonly path: string;
  readonly dialect: Dialect;
  /** What the body is: a form, where the content type says so, or the same fields as JSON; `none` where the request only names what shall be read. */
  readonly body: 'json' | 'form' | 'none';
  /** Whether the configuration has it answered here, and nothing is forwarded. */
  readonly answeredHere?: (proxy: Config['proxy']) => boolean;
}

export const SCREENED_ENDPOINTS: readonly ScreenedEndpoint[] = [
  { method: 'POST', path: '/v1/chat/completions', dialect: openaiChat, body: 'json' },
  { method: 'POST', path: '/v1/completions', dialect: openaiCompletions, body: 'json' },
  { method: 'POST', path: '/v1/embeddings', dialect: openaiEmbeddings, body: 'json' },
  { method: 'POST', path: '/v1/images/generations', dialect: openaiImages, body: 'json' },
  { method: 'POST', path: '/v1/images/edits', dialect: openaiImages, body: 'form' },
  { method: 'POST', path: '/v1/images/variations', dialect: openaiImages, body: 'form' },
  { method: 'POST', path: '/v1/audio/transcriptions', dialect: openaiTranscription, body: 'form' },
  { method: 'POST', path: '/v1/audio/translations', dialect: openaiTranscription, body: 'form' },
  { method: 'POST', path: '/v1/audio/speech', dialect: openaiSpeech, body: 'json' },
  { method: 'POST', path: '/v1/moderations', dialect: openaiModerations, body: 'json', answeredHere: ({ moderations }) => moderations !== 'forward' },
  ...atAzurePaths('/chat/completions', openaiChat),
  ...atAzurePaths('/completions', openaiCompletions),
  ...atAzurePaths('/embeddings', openaiEmbeddings),
  ...atAzurePaths('/images/generations', openaiImages),
  ...atAzurePaths('/images/edits', openaiImages, 'form'),
  ...atAzurePaths('/audio/transcriptions', openaiTranscription, 'form'),
  ...atAzurePaths('/audio/translations', openaiTranscription, 'form'),
  ...atAzurePaths('/audio/speech', openaiSpeech),
  { method: 'POST', path: '/v1/responses', dialect: openaiResponses, body: 'json' },
  { method: 'POST', path: '/v1/responses/compact', dialect: openaiConversations, body: 'json' },
  { method: 'POST', path: '/v1/responses/input_tokens', dialect: openaiConversations, body: 'json' },
  ...kept('/v1/responses/{id}', openaiResponses),
  { method: 'POST', path: '/v1/responses/{id}/cancel', dialect: openaiResponses, body: 'none' },
  { method: 'GET', path: '/v1/responses/{id}/input_items', dialect: openaiConversations, body: 'none' },
  { method: 'POST', path: '/v1/conversations', dialect: openaiConversations, body: 'json' },
  { method: 'POST', path: '/v1/conversations/{id}', dialect: openaiConversations, body: 'json' },
  ...kept('/v1/conversations/{id}', openaiConversations),
  { method: 'POST', path: '/v1/conversations/{id}/items', dialect: openaiConversations, body: 'json' },
  { method: 'GET', path: '/v1/conversations/{id}/items', dialect: openaiConversations, body: 'none' },
  ...kept('/v1/conversations/{id}/items/{item}', openaiConversations),
  ...kept('/v1/chat/completions/{id}', openaiChat),
  { method: 'GET', path: '/v1/chat/completions/{id}/messages', dialect: openaiChat, body: 'none' },
  ...atAzureResponses('/openai/v1'),
  ...atAzureResponses('/openai'),
  { method: 'POST', path: '/v1/messages', dialect: anthropicMessages, body: 'json' },
  { method: 'POST', path: '/v1/messages/count_tokens', dialect: anthropicTokenCount, body: 'json' },
];

/** What the provider keeps under an id, to be read again or deleted. */
function kept(path: string, dialect: Dialect): ScreenedEndpoint[] {
  return ['GET', 'DELETE'].map((method) => ({ method, path, dialect, body: 'none' }));
}

/** An endpoint that speaks WebSocket. */
export interface SocketEndpoint {
  readonly path: string;
  readonly dialect: SocketDialect;
}

export const SOCKET_ENDPOINTS: readonly SocketEndpoint[] = [
  { path: '/v1/realtime', dialect: realtime },
  { path: '/openai/v1/realtime', dialect: realtime },
  { path: '/openai/realtime', dialect: realtime },
  { path: '/v1/responses', dialect: responsesSocket },
  { path: '/openai/v1/responses', dialect: responsesSocket },
];

/** Below it an answer is arranged that does not come through here: calls, and keys for browsers. */
const MEDIA_PATH = /^\/(?:v1|openai(?:\/v1)?)\/realtime/i;

export function socketEndpointAt(path: string): SocketEndpoint | undefined {
  return SOCKET_ENDPOINTS.find((endpoint) => endpoint.path === path);
}

/** Azure's paths: with the name of a deployment, and in place of OpenAI's `/v1`. */
function atAzurePaths(path: string, dialect: Dialect, body: 'json' | 'form' = 'json'): ScreenedEndpoint[] {
  const azure = atAzure(dialect);
  return [`/openai/deployments/{name}${path}`, `/openai/v1${path}`].map((at) => ({ method: 'POST', path: at, dialect: azure, body }));
}

/** Responses belong to no deployment. */
function atAzureResponses(root: string): ScreenedEndpoint[] {
  const [responses, items] = [atAzure(openaiResponses), atAzure(openaiConversations)];
  return [
    { method: 'POST', path: `${root}/responses`, dialect: responses, body: 'json' },
    ...kept(`${root}/responses/{id}`, responses),
    { method: 'POST', path: `${root}/responses/{id}/cancel`, dialect: responses, body: 'none' },
    { method: 'GET', path: `${root}/responses/{id}/input_items`, dialect: items, body: 'none' },
  ];
}

/** Endpoints answered here. */
export const OWN_ENDPOINTS = [
  { method: 'GET', path: '/weir/healthz' },
  { method: 'GET', path: '/weir/readyz' },
  { method: 'POST', path: '/weir/v1/screen' },
  { method: 'POST', path: '/weir/v1/appeals' },
] as const;

export interface ScreenedRoute {
  readonly kind: 'screened';
  /** The path as it stands on the table, never as it was called: fit for records and metrics. */
  readonly name: string;
  readonly endpoint: ScreenedEndpoint;
  readonly target: Target;
}

export interface PassThroughRoute {
  readonly kind: 'pass_through';
  readonly name: string;
  readonly target: Target;
}

export type Route = ScreenedRoute | PassThroughRoute | { readonly kind: 'screening_service' | 'appeals' | 'moderations'; readonly name: string };

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
/** A `%` that encodes nothing. */
const STRAY_PERCENT = /%(?![\da-f]{2})/i;
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;

/** Throws bad_request, url_too_long. */
export function readTarget(url: string, urlBytesMax: number): Target {
  if (url.length > urlBytesMax) throw new WeirError('url_too_long');
  if (url[0] !== '/' || !PRINTABLE.test(url)) throw new WeirError('bad_request', 'the request target is not a plain path');
  const mark = url.indexOf('?');
  const path = mark === -1 ? url : url.slice(0, mark);
  if (url.includes('#') || path.includes('\\') || STRAY_PERCENT.test(path)) throw new WeirError('bad_request', 'the request target is not a plain path');
  return { path, query: mark === -1 ? '' : url.slice(mark) };
}

/** Throws bad_request, unknown_endpoint, method_not_allowed, upgrade_required. */
export function matchRoute(method: string, target: Target, proxy: Config['proxy']): Route {
  const { path } = target;
  if (method === 'TRACE') throw new WeirError('bad_request', 'TRACE would show what was added on the way');
  const endpoints = SCREENED_ENDPOINTS.filter((endpoint) => isAt(endpoint, path));
  const endpoint = endpoints.find((one) => one.method === method);
  if (endpoint?.answeredHere?.(proxy) === true) return { kind: 'moderations', name: endpoint.path };
  if (endpoint !== undefined) return { kind: 'screened', name: endpoint.path, endpoint, target };
  if (endpoints.length > 0) throw new MethodError(endpoints.map((one) => one.method).join(', '));
  if (socketEndpointAt(path) !== undefined) throw new WeirError('upgrade_required');
  if (path.startsWith('/weir/')) return matchOwn(method, path);
  if (path.includes('//') || ENCODED_TROUBLE.test(path) || DOT_SEGMENT.test(path) || resemblesScreened(path)) throw new WeirError('unknown_endpoint');
  return matchPassThrough(method, target, proxy);
}

function matchOwn(method: string, path: string): Route {
  const own = OWN_ENDPOINTS.find((endpoint) => endpoint.path === path);
  if (own === undefined) throw new WeirError('unknown_endpoint');
  if (own.method !== method) throw new MethodError(own.method);
  return { kind: own.path === '/weir/v1/appeals' ? 'appeals' : 'screening_service', name: own.path };
}

/** Whose errors the caller of `url` reads, whatever becomes of the call: those of the endpoint there, or of the one above it. */
export function dialectAt(url: string): Dialect | undefined {
  const path = url.split('?', 1)[0]!;
  return (SCREENED_ENDPOINTS.find((endpoint) => isAt(endpoint, path)) ?? SCREENED_ENDPOINTS.find((endpoint) => path.startsWith(`${endpoint.path}/`)))?.dialect;
}

/** A spelling or a child of a screened endpoint: what the upstream makes of it is not known, so it is never passed on. */
function resemblesScreened(path: string): boolean {
  const lower = path.toLowerCase();
  return SCREENED_ENDPOINTS.some((endpoint) => lower.startsWith(endpoint.path.replace(/\{.*/, '')));
}

const SEGMENT = /^[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,255}$/;

function isAt(endpoint: ScreenedEndpoint, path: string): boolean {
  if (!endpoint.path.includes('{')) return endpoint.path === path;
  const given = path.split('/');
  const wanted = endpoint.path.split('/');
  return given.length === wanted.length && wanted.every((segment, i) => (segment.startsWith('{') ? SEGMENT.test(given[i]!) : segment === given[i]));
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
  if (proxy.unknown_endpoints === 'pass' && !MEDIA_PATH.test(target.path)) return { kind: 'pass_through', name: 'unknown', target };
  throw new WeirError('unknown_endpoint');
}

function matchesPattern(path: string, pattern: string): boolean {
  return pattern.endsWith('*') ? path.length >= pattern.length && path.startsWith(pattern.slice(0, -1)) : path === pattern;
}
