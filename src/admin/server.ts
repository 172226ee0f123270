/**
 * The admin listener: metrics, health, and the state of the configuration, on a port of its own, so that what operators
 * see is never reachable through the port that applications call. `/metrics` and health hold no secrets and are open;
 * everything else asks for the admin token.
 */
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { answerPolicies, POLICY_BYTES_MAX, POLICY_ROUTES, type PolicyDesk } from './policies.ts';
import { ADMIN_NAME, type AdminToken } from './token.ts';

export interface AdminDependencies {
  readonly version: string;
  readonly token: AdminToken;
  /** Absent: `/metrics` is not served. */
  metricsText?(): Promise<string>;
  status(): AdminStatus;
  readonly policies: PolicyDesk;
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
}

/** Own routes of the admin port, for the documentation. */
export const ADMIN_ROUTES = [
  { method: 'GET', path: '/metrics', meaning: 'metrics in the Prometheus text format' },
  { method: 'GET', path: '/api/v1/health', meaning: 'liveness as JSON' },
  { method: 'GET', path: '/api/v1/status', meaning: 'configuration, policies, classifiers and the head of the audit log; asks for the admin token' },
  ...POLICY_ROUTES.map(({ method, path, meaning }) => ({ method, path: path.replace(':id', '{id}'), meaning: `${meaning}; asks for the admin token` })),
] as const;

const BODY_BYTES_MAX = 64 * 1024;

export function createAdminServer(dependencies: AdminDependencies): FastifyInstance {
  const server = fastify({ logger: false, bodyLimit: BODY_BYTES_MAX, requestTimeout: 10_000, forceCloseConnections: true });
  server.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send(fault('not_found', 'no such page')));
  server.setErrorHandler((error: Partial<FastifyError>, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) return reply.code(500).send(fault('internal', 'a fault in weir itself'));
    return reply.code(status).send(fault(CLIENT_FAULTS[status] ?? 'invalid_request', error.validation === undefined ? 'the request cannot be read' : `the query ${error.message}`));
  });

  server.get('/metrics', async (_request, reply) => {
    if (dependencies.metricsText === undefined) return reply.code(404).send(fault('not_found', 'metrics are switched off by telemetry.metrics.prometheus'));
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await dependencies.metricsText());
  });
  server.get('/api/v1/health', async () => ({ status: 'ok', version: dependencies.version }));
  server.get('/api/v1/status', async (request, reply) => {
    if (!isAdmin(request, dependencies.token)) return unauthorized(reply);
    return { version: dependencies.version, ...statusBody(dependencies.status()) };
  });
  server.register(async (scope) => mountPolicies(scope, dependencies));
  return server;
}

const CLIENT_FAULTS: Readonly<Record<number, string>> = { 413: 'body_too_large', 415: 'unsupported_media_type' };

/** Bodies reach the routes as they were sent, so that errors have their places. */
function mountPolicies(scope: FastifyInstance, { token, policies }: AdminDependencies): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(['application/json', 'application/yaml', 'application/x-yaml', 'text/yaml', 'text/plain'], { parseAs: 'string', bodyLimit: POLICY_BYTES_MAX }, (_request, body, done) => done(null, body));
  for (const route of POLICY_ROUTES) {
    scope.route<{ Params: { id: string }; Querystring: Record<string, string | number> }>({
      method: route.method,
      url: route.path,
      bodyLimit: POLICY_BYTES_MAX,
      schema: { querystring: { type: 'object', properties: route.query }, params: { type: 'object', properties: { id: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' } } } },
      // Before the body is read.
      onRequest: async (request, reply) => (isAdmin(request, token) ? undefined : unauthorized(reply)),
      handler: async (request, reply) => {
        const { status, body } = await answerPolicies(route, policies, {
          id: request.params.id, query: request.query, text: typeof request.body === 'string' ? request.body : '', isJson: request.headers['content-type']?.startsWith('application/json') === true, author: ADMIN_NAME,
        });
        return reply.code(status).send(body);
      },
    });
  }
}

function unauthorized(reply: FastifyReply): FastifyReply {
  return reply.code(401).header('www-authenticate', 'Bearer').send(fault('unauthorized', 'send Authorization: Bearer <admin token>'));
}

function fault(code: string, message: string): { readonly error: { readonly code: string; readonly message: string } } {
  return { error: { code, message } };
}

function isAdmin(request: FastifyRequest, token: AdminToken): boolean {
  const given = /^Bearer (\S{1,200})$/.exec(request.headers.authorization ?? '')?.[1];
  return given !== undefined && token.matches(given);
}

function statusBody(status: AdminStatus): Record<string, unknown> {
  return {
    config: { hash: status.configHash, file: status.configFile, loaded_at: status.loadedAt, warnings: status.warnings },
    tenants: status.tenants,
    policies: status.policies,
    classifiers: status.classifiers,
    audit_head: status.auditHead,
  };
}
