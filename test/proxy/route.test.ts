/** The route table matches letter for letter; nothing that an upstream could read as a screened path is passed on. */
import fc from 'fast-check';
import t from 'tap';
import type { Config } from '../../src/config/schema.ts';
import { WeirError } from '../../src/contract/errors.ts';
import { MethodError, matchRoute, readTarget } from '../../src/proxy/route.ts';
import { joinPath } from '../../src/proxy/upstream.ts';

const proxy = (unknown_endpoints: 'refuse' | 'pass'): Config['proxy'] => ({ unknown_endpoints, pass_through: ['GET /v1/models', 'GET /v1/models/*', 'DELETE /v1/models/*', '/v1/files'] }) as unknown as Config['proxy'];

function route(method: string, url: string, unknown: 'refuse' | 'pass' = 'refuse'): string {
  try {
    const matched = matchRoute(method, readTarget(url, 1000), proxy(unknown));
    return `${matched.kind} ${matched.name}`;
  } catch (error) {
    if (error instanceof MethodError) return `405 ${error.allow}`;
    if (error instanceof WeirError) return error.code;
    throw error;
  }
}

const CASES: readonly (readonly [method: string, url: string, expected: string])[] = [
  ['POST', '/v1/chat/completions', 'screened /v1/chat/completions'],
  ['POST', '/v1/chat/completions?beta=true', 'screened /v1/chat/completions'],
  ['GET', '/v1/chat/completions', '405 POST'],
  ['GET', '/v1/chat/completions/chatcmpl-1', 'screened /v1/chat/completions/{id}'],
  ['GET', '/v1/chat/completions/chatcmpl-1/messages', 'screened /v1/chat/completions/{id}/messages'],
  ['POST', '/v1/chat/completions/chatcmpl-1', '405 GET, DELETE'],
  ['POST', '/v1/responses', 'screened /v1/responses'],
  ['POST', '/v1/responses/compact', 'screened /v1/responses/compact'],
  ['POST', '/v1/responses/input_tokens', 'screened /v1/responses/input_tokens'],
  ['GET', '/v1/responses/resp_1?stream=true', 'screened /v1/responses/{id}'],
  ['DELETE', '/v1/responses/resp_1', 'screened /v1/responses/{id}'],
  ['POST', '/v1/responses/resp_1', '405 GET, DELETE'],
  ['POST', '/v1/responses/resp_1/cancel', 'screened /v1/responses/{id}/cancel'],
  ['GET', '/v1/responses/resp_1/input_items', 'screened /v1/responses/{id}/input_items'],
  ['GET', '/v1/responses/resp_1/other', 'unknown_endpoint'],
  ['POST', '/v1/conversations', 'screened /v1/conversations'],
  ['POST', '/v1/conversations/conv_1', 'screened /v1/conversations/{id}'],
  ['GET', '/v1/conversations/conv_1/items', 'screened /v1/conversations/{id}/items'],
  ['GET', '/v1/conversations/conv_1/items/msg_1', 'screened /v1/conversations/{id}/items/{item}'],
  ['PUT', '/v1/conversations/conv_1/items', '405 POST, GET'],
  ['GET', '/v1/models', 'pass_through /v1/models'],
  ['POST', '/v1/models', '405 GET'],
  ['PUT', '/v1/models/m', '405 GET, DELETE'],
  ['GET', '/v1/models/org/name:free', 'pass_through /v1/models/*'],
  ['GET', '/v1/models/', 'unknown_endpoint'],
  ['GET', '/v1/models/..', 'unknown_endpoint'],
  ['GET', '/v1/models/../files', 'unknown_endpoint'],
  ['GET', '/v1/models/./a', 'unknown_endpoint'],
  ['GET', '/v1/models//a', 'unknown_endpoint'],
  ['GET', '/v1/models/a%2Fb', 'unknown_endpoint'],
  ['GET', '/v1/models/a%5cb', 'unknown_endpoint'],
  ['GET', '/v1/models/%2e%2E/files', 'unknown_endpoint'],
  ['GET', '/v1/models/%252e', 'unknown_endpoint'],
  ['GET', '/v1/models/a%00', 'unknown_endpoint'],
  ['GET', '/v1/models/a\\b', 'bad_request'],
  ['GET', '/v1/models/a#b', 'bad_request'],
  ['GET', '/v1/models?a=#b', 'bad_request'],
  ['GET', 'http://b.example.com/v1/models', 'bad_request'],
  ['GET', '*', 'bad_request'],
  ['GET', '', 'bad_request'],
  ['GET', '/v1/models/é', 'bad_request'],
  ['PATCH', '/v1/files', 'pass_through /v1/files'],
  ['POST', '/weir/v1/screen', 'screening_service /weir/v1/screen'],
  ['POST', '/weir/v1/appeals', 'appeals /weir/v1/appeals'],
  ['GET', '/weir/v1/screen', '405 POST'],
  ['GET', '/weir/admin', 'unknown_endpoint'],
  ['POST', '/v1/rerank', 'unknown_endpoint'],
  ['POST', '/v1/completions', 'screened /v1/completions'],
  ['POST', '/v1/embeddings', 'screened /v1/embeddings'],
  ['POST', '/v1/images/generations', 'screened /v1/images/generations'],
  ['POST', '/openai/deployments/gpt-4.1_a/chat/completions?api-version=2024-10-21', 'screened /openai/deployments/{name}/chat/completions'],
  ['POST', '/openai/deployments/a/embeddings', 'screened /openai/deployments/{name}/embeddings'],
  ['POST', '/openai/v1/chat/completions', 'screened /openai/v1/chat/completions'],
  ['POST', '/openai/responses?api-version=2025-03-01-preview', 'screened /openai/responses'],
  ['GET', '/openai/v1/responses/resp_1', 'screened /openai/v1/responses/{id}'],
  ['POST', '/openai/responses/resp_1', '405 GET, DELETE'],
  ['GET', '/openai/deployments/a/chat/completions', '405 POST'],
  ['POST', '/openai/deployments/../chat/completions', 'unknown_endpoint'],
  ['POST', '/openai/deployments/a%2Fb/chat/completions', 'unknown_endpoint'],
  ['POST', '/openai/deployments//chat/completions', 'unknown_endpoint'],
  ['POST', '/openai/deployments/a/chat', 'unknown_endpoint'],
  ['GET', `/v1/models?${'a'.repeat(1000)}`, 'url_too_long'],
  ['GET', '/v1/realtime', 'upgrade_required'],
  ['POST', '/openai/realtime', 'upgrade_required'],
  ['POST', '/v1/realtime/calls', 'unknown_endpoint'],
];

t.test('the table', (t) => {
  for (const [method, url, expected] of CASES) t.equal(route(method, url), expected, `${method} ${url.slice(0, 60)}`);
  t.equal(route('POST', '/v1/rerank', 'pass'), 'pass_through unknown');
  t.equal(route('POST', '/openai/deployments/a/extensions/chat/completions', 'pass'), 'unknown_endpoint', 'nothing below a screened path is passed on');
  t.end();
});

t.test('moderations are answered here, and forwarded where the configuration says so', (t) => {
  const target = readTarget('/v1/moderations', 1000);
  t.match(matchRoute('POST', target, { ...proxy('refuse'), moderations: 'forward' }), { kind: 'screened', name: '/v1/moderations' });
  for (const unknown of ['refuse', 'pass'] as const) t.same(matchRoute('POST', target, { ...proxy(unknown), moderations: 'local' }), { kind: 'moderations', name: '/v1/moderations' });
  t.throws(() => matchRoute('GET', target, { ...proxy('pass'), moderations: 'local' }), { code: 'method_not_allowed' });
  t.end();
});

t.test('unknown endpoints passed on never reach a screened one, however an upstream reads paths', (t) => {
  const part = fc.constantFrom('/v1', '/chat', '/completions', '/', '//', '/.', '/..', '/x', '%2f', '%2F', '%2e', '%252f', '\\', 'V1', '/CHAT', ';a', 'c', 'h', 'a', 't', '?', '#');
  const decode = (path: string): string => {
    try {
      return decodeURIComponent(path);
    } catch {
      return path;
    }
  };
  fc.assert(fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
    const url = `/v1${parts.join('')}`;
    if (!route('POST', url, 'pass').startsWith('pass_through')) return true;
    const path = url.split('?')[0];
    return [path, decode(path), decode(decode(path))].every((read) => {
      const normal = new URL(read.replaceAll('\\', '/').replace(/\/+/g, '/'), 'http://a').pathname.toLowerCase().replace(/\/$/, '');
      return normal !== '/v1/chat/completions';
    });
  }), { numRuns: 2000 });
  t.end();
});

t.test('the upstream path: the base stands for /v1', (t) => {
  const join = (base: string, path: string, query = ''): string => joinPath(new URL(base), { path, query });
  t.equal(join('https://a.example.com/v1', '/v1/chat/completions', '?b=c'), '/v1/chat/completions?b=c');
  t.equal(join('https://a.example.com/v1/', '/v1/models'), '/v1/models');
  t.equal(join('https://a.example.com/openai/v1', '/v1/models'), '/openai/v1/models');
  t.equal(join('https://a.example.com', '/v1/models'), '/models');
  t.equal(join('https://a.example.com/v1', '/other'), '/other');
  t.end();
});
