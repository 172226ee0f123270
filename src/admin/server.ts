/**
 * The admin listener: metrics, health, and the API, on a port of its own, so that what operators see is never reachable
 * through the port that applications call. `/metrics`, health and the ways to log in are open; every other route names the
 * roles of which it asks for one, and nothing is read of a body before the caller is known to have it.
 */
import { readFileSync } from 'node:fs';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { WeirError } from '../contract/errors.ts';
import { PEOPLE_ROLES } from '../contract/people.ts';
import { bindPolicyRoutes, bindRoutes, fault, type BoundRoute, type DeskAnswer, type PolicyDesk, type RouteDoc } from './desk.ts';
import type { AppealDesk } from '../review/appeals.ts';
import { APPEAL_ROUTES } from './appeals.ts';
import { BULK_ROUTES } from './bulk.ts';
import type { Admitted, Door } from './door.ts';
import { DECISION_ROUTES, type DecisionDesk } from './decisions.ts';
import { bindExplainedRoutes, EXPLAINED_ROUTES } from './explained.ts';
import { CLASSIFIER_ROUTES, type ClassifierDesk } from './classifiers.ts';
import { ERASURE_ROUTES, type ErasureDesk } from './erasures.ts';
import { QUEUE_ROUTES, type QueueDesk } from './queue.ts';
import { REVIEW_ROUTES, type ReviewDesk } from './reviews.ts';
import { RISK_COURSE_ROUTES } from './risk-course.ts';
import { RISK_ITEM_ROUTES } from './risk-items.ts';
import { RISK_LABELLING_ROUTES } from './risk-labelling.ts';
import { RISK_PEOPLE_ROUTES } from './risk-people.ts';
import { RISK_REPORT_ROUTES } from './risk-reports.ts';
import { RISK_ROUTES, type RiskDesk } from './risk.ts';
import { KEY_ROUTES, type KeyDesk } from './keys.ts';
import { LEARN_ROUTES, type LearnDesk } from './learn.ts';
import { LOGIN_ROUTES } from './login.ts';
import { openApiDocument, PATH_NAMES } from './openapi.ts';
import { ORIGIN_ROUTES, type OriginDesk } from './origins.ts';
import { BESIDE_ROUTES } from './beside.ts';
import { Api, type Page, type PageRequest, type Pages } from './pages.ts';
import { PEOPLE_ROUTES, type PeopleDesk } from './people.ts';
import { POLICY_BYTES_MAX, POLICY_ROUTES, POLICY_TYPES } from './policies.ts';
import { AUDIT_ROUTES, type AuditDesk } from './records.ts';
import { ref } from './schemas.ts';
import { readCookies } from './sessions.ts';
import { TENANT_ROUTES, type TenantDesk } from './tenants.ts';
import { HEALTH_ROUTES, type HealthDesk } from './health.ts';
import { TRIAL_ROUTES } from './trials.ts';
import { WEEKLY_ROUTES, type WeeklyDesk } from './weekly-reports.ts';
import { WELLNESS_ROUTES } from './wellness.ts';

export interface AdminDependencies {
  readonly version: string;
  readonly door: Door;
  /** PEM files; absent: plain HTTP. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Absent: `/metrics` is not served. */
  metricsText?(): Promise<string>;
  status(): AdminStatus;
  readonly policies: PolicyDesk;
  /** Absent where this process has no store. */
  readonly people?: PeopleDesk;
  readonly tenants: TenantDesk;
  /** Absent where this process has no store. */
  readonly keys?: KeyDesk;
  readonly records: AuditDesk;
  readonly erasures: ErasureDesk;
  readonly classifiers: ClassifierDesk;
  readonly health: HealthDesk;
  /** Absent where this process has no store. */
  readonly decisions?: DecisionDesk;
  /** Absent where this process has no store. */
  readonly reviews?: ReviewDesk & QueueDesk & AppealDesk;
  readonly risk?: RiskDesk;
  readonly learn?: LearnDesk;
  readonly weekly?: WeeklyDesk;
  /** Absent where this process is no control plane. */
  readonly origins?: OriginDesk;
  /** For browsers. Absent: there is the API alone. */
  readonly pages?: Pages;
}

export interface AdminStatus {
  readonly configHash: string;
  readonly configFile: string;
  readonly loadedAt: string;
  readonly warnings: number;
  readonly tenants: number;
  readonly policies: readonly string[];
  readonly classifiers: readonly string[];
  readonly auditHead: { readonly index: number; readonly hash: string };
  /** The newest, a signed note. */
  readonly auditCheckpoint: string;
}

const METRICS: RouteDoc = { method: 'GET', path: '/metrics', name: 'metrics', access: 'open', meaning: 'metrics in the Prometheus text format', answers: { 200: { meaning: 'the metrics', schema: { type: 'string' }, type: 'text/plain' }, 404: { meaning: 'metrics are switched off' } } };
const HEALTH: RouteDoc = { method: 'GET', path: '/api/v1/health', name: 'health', access: 'open', meaning: 'liveness as JSON', answers: { 200: { meaning: 'it runs', schema: ref('Health') } } };
const OPENAPI: RouteDoc = { method: 'GET', path: '/api/v1/openapi.json', name: 'openapi', access: 'open', meaning: 'this API as an OpenAPI 3.1 document', answers: { 200: { meaning: 'the document', schema: { type: 'object' } } } };
const STATUS: RouteDoc = { method: 'GET', path: '/api/v1/status', name: 'status', access: ['admin', 'policy', 'reviewer', 'auditor'], meaning: 'configuration, policies, classifiers and the head of the audit log', answers: { 200: { meaning: 'the state', schema: ref('Status') } } };

/** All that is served here. The listener, the OpenAPI document and the README are made from it. */
export const ADMIN_ROUTES: readonly RouteDoc[] = [METRICS, HEALTH, OPENAPI, STATUS, ...POLICY_ROUTES, ...TRIAL_ROUTES, ...BESIDE_ROUTES, ...TENANT_ROUTES, ...KEY_ROUTES, ...DECISION_ROUTES, ...AUDIT_ROUTES, ...EXPLAINED_ROUTES, ...CLASSIFIER_ROUTES, ...HEALTH_ROUTES, ...ERASURE_ROUTES, ...REVIEW_ROUTES, ...BULK_ROUTES, ...APPEAL_ROUTES, ...QUEUE_ROUTES, ...WELLNESS_ROUTES, ...RISK_ROUTES, ...RISK_COURSE_ROUTES, ...RISK_LABELLING_ROUTES, ...RISK_ITEM_ROUTES, ...RISK_PEOPLE_ROUTES, ...RISK_REPORT_ROUTES, ...WEEKLY_ROUTES, ...LEARN_ROUTES, ...ORIGIN_ROUTES, ...LOGIN_ROUTES, ...PEOPLE_ROUTES];

function boundRoutes({ version, metricsText, status, policies, people, tenants, keys, records, decisions, erasures, classifiers, health, reviews, risk, learn, weekly, origins }: AdminDependencies): readonly BoundRoute[] {
  const document = openApiDocument(ADMIN_ROUTES, version);
  const metrics = async (): Promise<DeskAnswer> => (metricsText === undefined
    ? { status: 404, body: fault('not_found', 'metrics are switched off by telemetry.metrics.prometheus') }
    : { status: 200, body: await metricsText(), type: 'text/plain; version=0.0.4; charset=utf-8' });
  return [
    { route: METRICS, answer: metrics },
    { route: HEALTH, answer: async () => ({ status: 200, body: { status: 'ok', version } }) },
    { route: OPENAPI, answer: async () => ({ status: 200, body: document }) },
    { route: STATUS, answer: async () => ({ status: 200, body: { version, ...statusBody(status()) } }) },
    ...bindPolicyRoutes([...POLICY_ROUTES, ...TRIAL_ROUTES, ...BESIDE_ROUTES], policies),
    ...bindRoutes(TENANT_ROUTES, tenants),
    ...bindRoutes(KEY_ROUTES, keys),
    ...bindRoutes(DECISION_ROUTES, decisions),
    ...bindRoutes(AUDIT_ROUTES, records),
    ...bindExplainedRoutes(policies, records),
    ...bindRoutes(CLASSIFIER_ROUTES, classifiers),
    ...bindRoutes(HEALTH_ROUTES, health),
    ...bindRoutes(ERASURE_ROUTES, erasures),
    ...bindRoutes([...REVIEW_ROUTES, ...BULK_ROUTES], reviews),
    ...bindRoutes(APPEAL_ROUTES, reviews),
    ...bindRoutes(QUEUE_ROUTES, reviews),
    ...bindRoutes(WELLNESS_ROUTES, reviews?.wellness),
    ...bindRoutes([...RISK_ROUTES, ...RISK_COURSE_ROUTES, ...RISK_LABELLING_ROUTES, ...RISK_ITEM_ROUTES, ...RISK_PEOPLE_ROUTES, ...RISK_REPORT_ROUTES], risk && { ...risk, wellness: reviews?.wellness }),
    ...bindRoutes(WEEKLY_ROUTES, weekly),
    ...bindRoutes(LEARN_ROUTES, learn),
    ...bindRoutes(ORIGIN_ROUTES, origins),
    ...bindRoutes([...LOGIN_ROUTES, ...PEOPLE_ROUTES], people),
  ];
}

const BODY_BYTES_MAX = 64 * 1024;
/** Longer than any name in a path may be, so that its own pattern says so. */
const NAME_CHARS_MAX = 1_000;

/** What no page of ours needs; a page that needs more says so itself. */
const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
};

/** Throws when a file of `tls` cannot be read. */
export function createAdminServer(dependencies: AdminDependencies): FastifyInstance {
  const { door, tls } = dependencies;
  // An unknown key of a query is refused, not left out.
  const options = { logger: false, bodyLimit: BODY_BYTES_MAX, routerOptions: { maxParamLength: NAME_CHARS_MAX }, requestTimeout: 10_000, forceCloseConnections: true, ajv: { customOptions: { removeAdditional: false } } } as const;
  const https = tls && { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) };
  const server = fastify(https === undefined ? options : ({ ...options, https } as typeof options));
  server.addHook('onRequest', async (request, reply) => (door.originOf(request.raw) === undefined ? send(reply, MISDIRECTED) : undefined));
  server.addHook('onSend', async (_request, reply) => {
    for (const [name, value] of Object.entries(HEADERS)) if (!reply.hasHeader(name)) reply.header(name, value);
  });
  const { pages } = dependencies;
  const bound = boundRoutes(dependencies);
  server.setNotFoundHandler((request, reply) => send(reply, pages !== undefined && request.headers.accept?.includes('text/html') === true ? pages.refused(NOT_FOUND, request.url) : NOT_FOUND));
  server.setErrorHandler((error: Partial<FastifyError>, request, reply) => send(reply, shownTo(request, answerOf(error), bound.find(({ route }) => route.path === request.routeOptions.url)?.route, pages)));
  // Bodies reach the routes as they were sent, so that errors have their places.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser([...POLICY_TYPES], { parseAs: 'string', bodyLimit: POLICY_BYTES_MAX }, (_request, body, done) => done(null, body));
  // A route that is added elsewhere comes after the hooks.
  server.register(async (scope) => bound.forEach((one) => mount(scope, one, door, pages)));
  if (pages !== undefined) server.register(async (scope) => mountPages(scope, pages, new Api(bound), door));
  return server;
}

function answerOf(error: Partial<FastifyError>): DeskAnswer {
  if (error instanceof WeirError) return { status: error.status, body: fault(error.code, error.message) };
  const status = error.statusCode ?? 500;
  if (status >= 500) return { status: 500, body: fault('internal', 'a fault in weir itself') };
  return { status, body: fault(CLIENT_FAULTS[status] ?? 'invalid_request', error.validation === undefined ? 'the request cannot be read' : `the ${error.validationContext ?? 'query'} ${error.message}`) };
}

const CLIENT_FAULTS: Readonly<Record<number, string>> = { 413: 'body_too_large', 415: 'unsupported_media_type' };
const MISDIRECTED: DeskAnswer = { status: 421, body: fault('misdirected', 'the Host field names no host of ours; use an address, or list the name under admin.hosts') };
const CROSS_SITE: DeskAnswer = { status: 403, body: fault('cross_site', 'the request comes from a page of another origin') };
const NOT_FOUND: DeskAnswer = { status: 404, body: fault('not_found', 'no such page') };
const UNPROVEN: DeskAnswer = { status: 403, body: fault('csrf', 'the form is not one that this session was given; go back, load the page again, and send it again') };
const FORM = 'application/x-www-form-urlencoded';
const NOBODY: Admitted = { actor: { name: '', roles: [], tenants: [] } };

interface Shapes {
  readonly Params: Readonly<Record<string, string>>;
  readonly Querystring: Readonly<Record<string, string | number>>;
}

function mount(scope: FastifyInstance, { route, answer }: BoundRoute, door: Door, pages: Pages | undefined): void {
  const { access, query = {}, body } = route;
  const admitted = new WeakMap<object, Admitted>();
  scope.route<Shapes>({
    method: route.method,
    url: route.path,
    bodyLimit: body?.bytesMax ?? BODY_BYTES_MAX,
    schema: { querystring: { type: 'object', properties: query, additionalProperties: route.isQueryOpen === true }, params: { type: 'object', properties: PATH_NAMES } },
    // Before the body is read.
    onRequest: async (request, reply) => {
      const found = access === 'open' ? (door.isCrossSite(request.raw) ? CROSS_SITE : NOBODY) : await door.admit(request.raw, access);
      if ('status' in found) return send(reply, found);
      admitted.set(request, found);
      return isTaken(request, body?.types) ? undefined : send(reply, { status: 415, body: fault('unsupported_media_type', `send it as ${body?.types.join(' or ')}`) });
    },
    handler: async (request, reply) => {
      const { actor, sessionId } = admitted.get(request)!;
      const given = await answer({
        id: request.params['id'] ?? '', names: request.params, query: request.query, text: typeof request.body === 'string' ? request.body : '', isJson: mediaType(request) === 'application/json', actor, author: actor.name,
        visit: { cookies: readCookies(request.headers.cookie), origin: door.originOf(request.raw)!, path: request.url, ...(sessionId === undefined ? {} : { sessionId }) },
      });
      return send(reply, shownTo(request, given, route, pages));
    },
  });
}

/** To a browser that was led here, a refusal is a page. */
function shownTo(request: FastifyRequest<any>, answer: DeskAnswer, route: RouteDoc | undefined, pages: Pages | undefined): DeskAnswer {
  return pages !== undefined && route?.isVisited === true && answer.status >= 400 && request.headers.accept?.includes('text/html') === true ? pages.loginFailed(answer) : answer;
}

function mountPages(scope: FastifyInstance, pages: Pages, api: Api, door: Door): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(FORM, { parseAs: 'string' }, (_request, body, done) => done(null, body));
  scope.setErrorHandler((error: Partial<FastifyError>, request, reply) => send(reply, pages.refused(answerOf(error), request.url)));
  for (const page of pages.routes) mountPage(scope, page, pages, api, door);
}

function mountPage(scope: FastifyInstance, { method, path, needs, bytesMax = BODY_BYTES_MAX, run }: Page, pages: Pages, api: Api, door: Door): void {
  const admitted = new WeakMap<object, Admitted>();
  const requestOf = (request: FastifyRequest<Shapes>, { actor, sessionId }: Admitted): PageRequest => ({
    actor, names: request.params, query: new URLSearchParams(queryOf(request.url)), form: new URLSearchParams(typeof request.body === 'string' ? request.body : ''), csrf: sessionId === undefined ? '' : door.proof(request.raw),
    visit: { cookies: readCookies(request.headers.cookie), origin: door.originOf(request.raw)!, path: request.url, ...(sessionId === undefined ? {} : { sessionId }) },
  });
  const refusedTo = (request: PageRequest, answer: DeskAnswer): DeskAnswer => pages.refused(answer, request.visit.path, { api, request });
  scope.route<Shapes>({
    method, url: path, bodyLimit: bytesMax, schema: { params: { type: 'object', properties: PATH_NAMES } },
    // Before the body is read.
    onRequest: async (request, reply) => {
      const found = needs === 'open' ? (door.isCrossSite(request.raw) ? CROSS_SITE : NOBODY) : await door.admit(request.raw, PEOPLE_ROLES, 'form');
      // Browsers keep a strict cookie back from who follows a link of another site; from a page of ours it comes.
      if ('status' in found && found.status === 401 && method === 'GET' && request.headers['sec-fetch-site'] === 'cross-site') return send(reply, pages.again(request.url));
      if ('status' in found) return send(reply, pages.refused(found, request.url));
      admitted.set(request, found);
      if (!api.may(found.actor, needs)) return send(reply, refusedTo(requestOf(request, found), await api.call(needs, requestOf(request, found))));
      return undefined;
    },
    handler: async (request, reply) => {
      const found = admitted.get(request)!;
      const asked = requestOf(request, found);
      const isProven = method === 'GET' || found.sessionId === undefined || door.isProven(request.raw, asked.form.get('csrf'));
      return send(reply, isProven ? await run(api, asked) : refusedTo(asked, UNPROVEN));
    },
  });
}

function queryOf(url: string): string {
  const cut = url.indexOf('?');
  return cut < 0 ? '' : url.slice(cut + 1);
}

/** A body in a type that the route does not take is no body of it. A browser's page elsewhere may send some types unasked. */
function isTaken(request: FastifyRequest<any>, types: readonly string[] | undefined): boolean {
  const type = mediaType(request);
  return types === undefined || type === undefined || types.includes(type);
}

function mediaType(request: FastifyRequest<any>): string | undefined {
  return request.headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase();
}

function send(reply: FastifyReply, { status, body, type, headers = {} }: DeskAnswer): FastifyReply {
  for (const [name, value] of Object.entries(headers)) reply.header(name, value);
  if (type !== undefined) reply.type(type);
  return reply.code(status).send(body);
}

function statusBody(status: AdminStatus): Record<string, unknown> {
  return {
    config: { hash: status.configHash, file: status.configFile, loaded_at: status.loadedAt, warnings: status.warnings },
    tenants: status.tenants,
    policies: status.policies,
    classifiers: status.classifiers,
    audit_head: status.auditHead,
    audit_checkpoint: status.auditCheckpoint,
  };
}
