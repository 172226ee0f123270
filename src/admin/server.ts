/**
 * The admin listener: metrics, health, and the state of the configuration, on a port of its own, so that what operators
 * see is never reachable through the port that applications call. `/metrics` and health hold no secrets and are open;
 * everything else asks for the admin token.
 */
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { AdminToken } from './token.ts';

export interface AdminDependencies {
  readonly version: string;
  readonly token: AdminToken;
  /** Absent: `/metrics` is not served. */
  metricsText?(): Promise<string>;
  status(): AdminStatus;
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
] as const;

const BODY_BYTES_MAX = 64 * 1024;

export function createAdminServer(dependencies: AdminDependencies): FastifyInstance {
  const server = fastify({ logger: false, bodyLimit: BODY_BYTES_MAX, requestTimeout: 10_000, forceCloseConnections: true });
  server.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  server.setNotFoundHandler((_request, reply) => reply.code(404).send(fault('not_found', 'no such page')));
  server.setErrorHandler((_error, _request, reply) => reply.code(500).send(fault('internal', 'a fault in weir itself')));

  server.get('/metrics', async (_request, reply) => {
    if (dependencies.metricsText === undefined) return reply.code(404).send(fault('not_found', 'metrics are switched off by telemetry.metrics.prometheus'));
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(await dependencies.metricsText());
  });
  server.get('/api/v1/health', async () => ({ status: 'ok', version: dependencies.version }));
  server.get('/api/v1/status', async (request, reply) => {
    if (!isAdmin(request, dependencies.token)) return reply.code(401).header('www-authenticate', 'Bearer').send(fault('unauthorized', 'send Authorization: Bearer <admin token>'));
    return { version: dependencies.version, ...statusBody(dependencies.status()) };
  });
  return server;
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
