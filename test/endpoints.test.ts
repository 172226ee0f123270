/**
 * No endpoint is a way around the screen: every path of OpenAI's API and of its neighbours, with every method, in odd
 * spellings, is screened or refused. A word that the policy blocks stands in every request and in every answer; it
 * reaches the upstream, or the client, only where the configuration hands a route over.
 */
import { Agent, request } from 'node:http';
import t, { type Test } from 'tap';
import { SCREENED_ENDPOINTS } from '../src/proxy/route.ts';
import { wireTable } from './helpers/recordings.ts';
import { SdkHouse } from './helpers/sdk.ts';
import { json } from './helpers/upstream.ts';

const WORD = 'Bluebird';
const POLICY = `policy: p
default_action: allow
patterns:
  - { id: codename, label: CODENAME, literal: [${WORD}] }
rules:
  - { id: codename, priority: 1, direction: both, when: { score: patterns.codename, gte: 1 }, action: block }
`;

/** The word where each API has its text, and where none has. */
const REQUEST = JSON.stringify({
  model: 'm', max_tokens: 1, messages: [{ role: 'user', content: `about ${WORD}` }], input: `about ${WORD}`, prompt: `about ${WORD}`, instructions: WORD, items: [{ type: 'message', role: 'user', content: WORD }],
  name: WORD, description: WORD, query: WORD, metadata: { note: WORD }, made_up: { deep: [WORD] },
});
const FORM_BOUNDARY = 'made-up-boundary';
const FORM = ['model', 'prompt', 'made_up'].map((name) => `--${FORM_BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\nabout ${WORD}\r\n`).join('')
  + `--${FORM_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nmade up\r\n--${FORM_BOUNDARY}--\r\n`;
const ANSWER = {
  id: 'a', object: 'list', status: 'completed', model: 'm', role: 'assistant', type: 'message', text: WORD, made_up: { deep: [WORD] },
  choices: [{ index: 0, message: { role: 'assistant', content: WORD }, text: WORD, finish_reason: 'stop' }], content: [{ type: 'text', text: WORD }],
  output: [{ type: 'message', id: 'b', role: 'assistant', content: [{ type: 'output_text', text: WORD, annotations: [] }] }],
  data: [{ id: 'c', object: 'message', role: 'user', revised_prompt: WORD, text: WORD, content: [{ type: 'text', text: { value: WORD } }], messages: [{ content: WORD }] }],
};

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;
const REFUSALS: ReadonlySet<number> = new Set([400, 404, 405, 415, 426, 501]);
/** What the default configuration hands over. */
const HANDED_OVER = /^GET \/v1\/models(?:\/[^/].*)?$/;

/** Known without any table: what is screened, what OpenAI's neighbours serve, what once was. */
const PATHS = [
  ...SCREENED_ENDPOINTS.map(({ path }) => path), '/v1/models', '/v1/models/{model}', '/v1/files', '/v1/files/{id}/content', '/v1/batches', '/v1/uploads', '/v1/uploads/{id}/parts', '/v1/vector_stores/{id}/search', '/v1/containers/{id}/files/{file}/content',
  '/v1/assistants', '/v1/threads', '/v1/threads/runs', '/v1/threads/{id}/messages', '/v1/threads/{id}/runs/{run}/submit_tool_outputs', '/v1/evals/{id}/runs/{run}/output_items', '/v1/fine_tuning/jobs', '/v1/realtime/sessions', '/v1/realtime/client_secrets', '/v1/realtime/calls', '/v1/videos', '/v1/videos/{id}/remix', '/v1/chatkit/threads/{id}/items',
  '/v1/edits', '/v1/answers', '/v1/search', '/v1/classifications', '/v1/engines/{id}/completions', '/v1/engines/{id}/embeddings', '/v1/messages/batches', '/v1/messages/batches/{id}/results', '/v1/complete', '/v1/rerank', '/v1/score', '/v1/pooling', '/v1/classify', '/v1/tokenize', '/v1/detokenize', '/v1/fim/completions', '/v1/agents/completions', '/v1/conversations',
  '/chat/completions', '/completions', '/completion', '/embeddings', '/responses', '/messages', '/infill', '/tokenize', '/detokenize', '/apply-template', '/generate', '/api/chat', '/api/generate', '/api/embed', '/api/v1/chat/completions', '/v2/chat/completions', '/v1beta/models/{model}:generateContent', '/v1beta/openai/chat/completions',
  '/openai/deployments/{name}/chat/completions', '/openai/deployments/{name}/extensions/chat/completions', '/openai/v1/chat/completions', '/openai/v1/responses', '/openai/assistants', '/anthropic/v1/messages', '/v1', '/v1/', '/', '/openai', '/weir', '/weir/', '/weir/v1', '/metrics', '/admin', '/health', '/v1/unknown', '/v1/chat', '/v1/chat/', '/v1/audio', '/v1/images',
];

/** Of a path with its parameters filled in. */
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => `${path}/`, (path) => `${path}.`, (path) => `/${path}`, (path) => `${path}//`, (path) => path.replace('/v1/', '/v1//'), (path) => path.replace('/v1/', '/v1/./'), (path) => path.replace('/v1/', '/v1/models/../'), (path) => path.replace('/v1/', '/v1/models/%2e%2e/'), (path) => path.replace('/v1/', '/V1/'), (path) => path.toUpperCase(),
  (path) => path.replace(/\/([^/]+)$/, '%2f$1'), (path) => path.replace(/\/([^/]+)$/, '%252f$1'), (path) => path.replace(/\/([^/]+)$/, '\\$1'), (path) => path.replace(/([a-z])([^/]*)$/, (_, first: string, rest: string) => `%${first.charCodeAt(0).toString(16)}${rest}`), (path) => `${path};a=b`, (path) => path.replace('/v1/', '/v1;a=b/'), (path) => `${path}%20`, (path) => `${path}%00`, (path) => `${path}%0a`, (path) => `${path}/..`, (path) => `${path}.json`, (path) => `${path}?a=b`, (path) => `/x/..${path}`, (path) => `/v1/models/..${path}`, (path) => `/v1/models/..;${path}`, (path) => `http://a.example.com${path}`, (path) => `${path}/x`, (path) => path.replace('/v1', ''),
];

const filled = (path: string): string => path.replace(/\{[^}]*\}/g, 'made-up-1');

const ON_THE_TABLE = SCREENED_ENDPOINTS.map(({ method, path }) => new RegExp(`^${method} ${path.replace(/\{[^}]*\}/g, '[\\w.~-]+')}$`));

interface Tried {
  readonly what: string;
  readonly status: number;
  readonly body: string;
}

/** Sends everything that is asked of it, a few at a time, on kept connections. */
async function tryAll(house: SdkHouse, calls: readonly (readonly [method: string, path: string, form: boolean])[]): Promise<Tried[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const port = Number(new URL(house.weirUrl).port);
  const tried = await Promise.all(calls.map(([method, path, form]) => new Promise<Tried>((resolve, reject) => {
    const body = method === 'GET' || method === 'HEAD' ? '' : form ? FORM : REQUEST;
    const type = form ? `multipart/form-data; boundary=${FORM_BOUNDARY}` : 'application/json';
    const call = request({ agent, port, method, path, headers: { ...(body === '' ? {} : { 'content-type': type }), 'content-length': Buffer.byteLength(body) } }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve({ what: `${method} ${path}`, status: res.statusCode!, body: Buffer.concat(chunks).toString() }));
    });
    call.on('error', reject).end(body);
  })));
  agent.destroy();
  return tried;
}

async function check(t: Test, house: SdkHouse, calls: readonly (readonly [method: string, path: string, form: boolean])[]): Promise<void> {
  house.upstream.received.length = 0;
  const tried = await tryAll(house, calls);
  const leaked = tried.filter(({ what, body }) => body.includes(WORD) && !HANDED_OVER.test(what)).map(({ what }) => what);
  t.strictSame(leaked, [], `${tried.length} calls: the word reaches no client`);
  t.strictSame(house.upstream.received.filter(({ body, path }) => body.includes(WORD) || path.includes(WORD)).map(({ method, path }) => `${method} ${path}`), [], 'nor the upstream');
  const screened = (method: string, path: string): boolean => ON_THE_TABLE.some((endpoint) => endpoint.test(`${method} ${path.split('?', 1)[0]}`));
  const passed = house.upstream.received.map(({ method, path }) => [method, path] as const).filter(([method, path]) => !screened(method, path) && !HANDED_OVER.test(`${method} ${path.split('?', 1)[0]}`));
  t.strictSame(passed, [], 'what the upstream hears of is on the table of what is screened, or handed over');
  const odd = tried.filter(({ what, status }) => !REFUSALS.has(status) && !HANDED_OVER.test(what) && !(status === 200 && screened(...(what.split(' ') as [string, string])))).map(({ what, status }) => `${what}: ${status}`);
  t.strictSame(odd, [], 'the rest is a 4xx or 501');
}

async function open(t: Test): Promise<SdkHouse> {
  const house = await SdkHouse.open(t, POLICY);
  house.upstream.script = json(200, ANSWER);
  return house;
}

t.test('known paths, every method', async (t) => {
  const house = await open(t);
  await check(t, house, [...new Set(PATHS.map(filled))].flatMap((path) => METHODS.map((method) => [method, path, false] as const)));
  await check(t, house, [...new Set(PATHS.map(filled))].map((path) => ['POST', path, true] as const));
});

const table = wireTable<Record<string, unknown>>('openapi-string-paths.json');

t.test('every path of the API as published', { skip: table === undefined ? 'no table of the wire: set WEIR_TEST_DATA' : false }, async (t) => {
  const house = await open(t);
  const calls = new Set(Object.keys(table!).flatMap((key) => {
    const [method, path] = key.split(' ') as [string, string];
    return [method, 'GET', 'POST'].map((one) => `${one} ${filled(`/v1${path}`)}`);
  }));
  t.ok(calls.size > 300, `${calls.size} calls`);
  await check(t, house, [...calls].map((call) => [...(call.split(' ') as [string, string]), false] as const));
});

t.test('odd spellings of what is screened', async (t) => {
  const house = await open(t);
  const paths = [...new Map(SCREENED_ENDPOINTS.map(({ dialect, path }) => [dialect.id, filled(path)])).values(), '/v1/chat/completions', '/v1/responses'];
  const calls = paths.flatMap((path) => SPELLINGS.map((spell) => ['POST', spell(path), false] as const));
  await check(t, house, calls);
});
