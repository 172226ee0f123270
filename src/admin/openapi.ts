/**
 * The API as an OpenAPI 3.1 document, made from the declarations that the listener mounts: every route with its query,
 * body and answers, the roles of which it asks for one, and the errors that all have in common. Pure.
 */
import type { JsonSchema } from '../config/shape.ts';
import { LOG_NAME, LOG_NAME_CHARS_MAX } from '../contract/log-name.ts';
import { ROLE_MEANINGS } from '../contract/people.ts';
import type { RouteAnswer, RouteDoc } from './desk.ts';
import { ref, SCHEMAS } from './schemas.ts';

/** What a name in a path may be. */
export const PATH_NAMES: Readonly<Record<string, JsonSchema>> = {
  id: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
  annotator: { type: 'string', minLength: 1, maxLength: 200 },
  index: { type: 'string', pattern: '^[0-9]{1,15}$' },
  log: { type: 'string', pattern: LOG_NAME.source, maxLength: LOG_NAME_CHARS_MAX },
  tenant: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' },
};

/** `/policies/{id}` of `/policies/:id`. */
export function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}');
}

export function openApiDocument(routes: readonly RouteDoc[], version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) (paths[templateOf(route.path)] ??= {})[route.method.toLowerCase()] = operationOf(route);
  return {
    openapi: '3.1.0',
    info: { title: 'Weir', version, description: 'The admin API of a transparent safety proxy for LLM traffic.', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/', description: 'the admin port' }],
    paths,
    components: { schemas: componentsOf(SCHEMAS), securitySchemes: {
      adminToken: { type: 'http', scheme: 'bearer', description: `The admin token, which the first start prints, or one that \`weir admin token create\` made. Roles: ${Object.entries(ROLE_MEANINGS).map(([role, meaning]) => `${role}: ${meaning}`).join('; ')}.` },
      session: { type: 'apiKey', in: 'cookie', name: 'weir-session', description: 'What a login gave; by https the name is __Host-weir-session. Changes also take x-csrf-token, which GET /api/v1/session tells.' },
    } },
    security: [{ adminToken: [] }, { session: [] }],
  };
}

/** What may become of any request, and of those that ask for more. */
const UNAUTHORIZED: RouteAnswer = { meaning: 'no credential that counts' };
const FORBIDDEN: RouteAnswer = { meaning: 'none of the roles that this asks for, or a session without its proof' };
/** Tokens are in the store, but for the first one. */
const OF_ALL: Readonly<Record<number, RouteAnswer>> = { 401: UNAUTHORIZED, 403: FORBIDDEN, 503: { meaning: 'the store does not answer' } };
const NONE: Readonly<Record<number, RouteAnswer>> = {};
const INVALID: RouteAnswer = { meaning: 'the query, the path or the body cannot be read' };
const OF_BODIES: Readonly<Record<number, RouteAnswer>> = { 413: { meaning: 'the body is too large' }, 415: { meaning: 'the body is of another type' } };
const OF_STORE: Readonly<Record<number, RouteAnswer>> = { 501: { meaning: 'another process has the store' } };
const MISDIRECTED: RouteAnswer = { meaning: 'the Host field names no host of ours; see admin.hosts' };

/** Answered without a store. */
const STORELESS: readonly string[] = ['/api/v1/classifiers', '/metrics', '/api/v1/health', '/api/v1/health/parts', '/api/v1/openapi.json', '/api/v1/status', '/api/v1/tenants'];

function operationOf({ path, name, meaning, access, query = {}, body, answers }: RouteDoc): object {
  const isOpen = access === 'open';
  const names = [...path.matchAll(/:(\w+)/g)].map(([, named]) => named!);
  const takes = names.length > 0 || Object.keys(query).length > 0;
  const all: Readonly<Record<number, RouteAnswer>> = {
    ...(isOpen ? NONE : OF_ALL), ...(takes ? { 400: INVALID } : NONE), ...(body === undefined ? NONE : OF_BODIES), ...(STORELESS.includes(path) ? NONE : OF_STORE), 421: MISDIRECTED, ...answers,
  };
  return {
    operationId: name,
    summary: `${meaning[0]!.toUpperCase()}${meaning.slice(1)}.`,
    ...(isOpen ? { security: [] } : { 'x-weir-roles': access }),
    ...(takes ? { parameters: [
      ...names.map((named) => ({ name: named, in: 'path', required: true, schema: PATH_NAMES[named] })),
      ...Object.entries(query).map(([key, schema]) => ({ name: key, in: 'query', required: false, schema })),
    ] } : {}),
    ...(body === undefined ? {} : { requestBody: { required: body.isOptional !== true, content: Object.fromEntries(body.types.map((type) => [type, { schema: body.schema }])) } }),
    responses: Object.fromEntries(Object.entries(all).map(([status, answer]) => [status, answerOf(answer)])),
  };
}

function answerOf({ meaning, schema = ref('Error'), type = 'application/json' }: RouteAnswer): object {
  return { description: meaning, content: { [type]: { schema } } };
}

/** A schema of its own, with what it defines, as components of one document. */
function componentsOf(schemas: Readonly<Record<string, JsonSchema>>): Readonly<Record<string, unknown>> {
  const components: Record<string, unknown> = {};
  for (const [name, { $schema: _, definitions = {}, ...schema }] of Object.entries(schemas)) {
    components[name] = moved(schema);
    for (const [defined, part] of Object.entries(definitions as Readonly<Record<string, unknown>>)) components[defined] = moved(part);
  }
  return components;
}

/** References to definitions as references to components. */
function moved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(moved);
  if (typeof value !== 'object' || value === null) return typeof value === 'string' && value.startsWith('#/definitions/') ? value.replace('#/definitions/', '#/components/schemas/') : value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, moved(part)]));
}
