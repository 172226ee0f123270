/** The configuration schema: defaults, every kind of wrong value with its place, and the reference that derives from it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readWithEnvironment } from '../../src/config/environment.ts';
import { nearestWord } from '../../src/config/nearest.ts';
import { REFERENCE_MARK, renderReference } from '../../src/config/reference.ts';
import { CONFIG, CONFIG_KEYS, resolveConfig } from '../../src/config/schema.ts';
import { readShape } from '../../src/config/shape.ts';

const BASE = 'upstreams: { up: { url: https://api.example.com/v1 } }\ntenants: [ { id: one, policy: p, upstream: up } ]\n';

function read(source: string, env: Record<string, string> = {}) {
  return readShape(CONFIG, readWithEnvironment(source, 'weir.yaml', env));
}

t.test('the smallest file gives every default', async (t) => {
  const { value, issues } = read(BASE);
  t.same(issues, []);
  t.match(value, { roles: ['proxy', 'control'], proxy: { port: 8080, limits: { body_bytes_max: 10_485_760 }, timeouts: { drain_ms: 30_000 }, pass_through: ['GET /v1/models', 'GET /v1/models/*'] }, tenants: [{ fail_mode: 'closed', keys: [] }], screening: { deadline_ms: 80 } });
  t.ok(Object.isFrozen(value!.proxy.limits) && Object.isFrozen(value!.tenants) && Object.isFrozen(value!.tenants[0]));
});

const refused: readonly (readonly [added: string, place: string, path: string, message: string | RegExp, suggestion?: string])[] = [
  ['proxi: {}', '3:1', 'proxi', 'unknown key proxi', 'did you mean proxy?'],
  ['screening: { moderation_thresholds: [1] }', '3:37', 'screening.moderation_thresholds', 'expected category: score, got a list'],
  ['screening: { moderation_thresholds: { hat: 0.5 } }', '3:39', 'screening.moderation_thresholds.hat', 'no category hat', 'did you mean hate?'],
  ['screening: { moderation_thresholds: { hate: 0 } }', '3:45', 'screening.moderation_thresholds.hate', 'a threshold is a number above 0 and at most 1'],
  ['screening: { moderation_thresholds: { hate: 1.1 } }', '3:45', 'screening.moderation_thresholds.hate', 'a threshold is a number above 0 and at most 1'],
  ['screening: { sources: ["messages[0]"] }', '3:24', 'screening.sources[0]', 'expected a carrier such as documents or messages[role=tool].content'],
  ['notifications: { webhook: { url: "https://hooks.example.com" } }', '3:18', 'notifications.webhook', 'secret is missing'],
  ['notifications: { webhook: { url: "https://hooks.example.com", secret: short } }', '3:71', 'notifications.webhook.secret', 'expected a secret of 16 characters or more, without spaces'],
  ['notifications: { webhook: { url: "ftp://hooks.example.com", secret: 0123456789abcdef } }', '3:34', 'notifications.webhook.url', /https?/],
  ['audit: { ship: { url: "https://weir.example.com:8081" } }', '3:10', 'audit.ship', 'token is missing'],
  ['audit: { ship: { url: "https://weir.example.com/?a=1", token: x } }', '3:23', 'audit.ship.url', 'a base URL has no query'],
  ['audit: { ship: { url: "ftp://weir.example.com", token: x } }', '3:23', 'audit.ship.url', /https?/],
  ['audit: { origin: ../etc }', '3:18', 'audit.origin', 'expected names of letters, digits, `.`, `_` and `-`, with `/` between them'],
  ['audit: { origin: "a/.." }', '3:18', 'audit.origin', /names of letters/],
  ['proxy: { prot: 1 }', '3:10', 'proxy.prot', 'unknown key prot', 'did you mean port?'],
  ['__proto__: { port: 1 }', '3:1', '__proto__', 'unknown key __proto__'],
  ['constructor: 1', '3:1', 'constructor', 'unknown key constructor'],
  ['proxy: 7', '3:8', 'proxy', 'expected a mapping, got a number'],
  ['proxy: { port: 70000 }', '3:16', 'proxy.port', 'expected a whole number from 0 to 65535, got 70000'],
  ['proxy: { port: "80" }', '3:16', 'proxy.port', 'expected a whole number, got text'],
  ['proxy: { port: 1.5 }', '3:16', 'proxy.port', /from 0 to 65535, got 1.5/],
  ['proxy: { port: .nan }', '3:16', 'proxy.port', /from 0 to 65535, got NaN/],
  ['proxy: { limits: { body_bytes_max: -1 } }', '3:36', 'proxy.limits.body_bytes_max', /from 1024 to 1073741824, got -1/],
  ['proxy: { workers: 0 }', '3:19', 'proxy.workers', /from 1 to 256, got 0/],
  ['proxy: { host: "a b" }', '3:16', 'proxy.host', 'expected an address or a host name'],
  ['proxy: { unknown_endpoints: pas }', '3:29', 'proxy.unknown_endpoints', 'expected one of refuse, pass', 'did you mean pass?'],
  ['proxy: { unknown_endpoints: true }', '3:29', 'proxy.unknown_endpoints', 'expected one of refuse, pass; got true or false'],
  ['proxy: { pass_through: ["GET v1"] }', '3:25', 'proxy.pass_through[0]', /expected \/path or METHOD \/path/],
  ['proxy: { pass_through: /v1/models }', '3:24', 'proxy.pass_through', 'expected a list, got text', 'write [value] or one `- value` per line'],
  ['roles: []', '3:8', 'roles', 'expected at least 1 entry'],
  ['roles: [proxy, proxy, proxy]', '3:8', 'roles', '3 entries, the limit is 2'],
  ['data_dir: ""', '3:11', 'data_dir', 'expected text, got an empty one'],
  ['data_dir: 5', '3:11', 'data_dir', 'expected text, got a number', 'put it in quotes'],
  ['policies: 5', '3:11', 'policies', 'expected a path or a list of paths, got a number'],
  ['policies: ""', '3:11', 'policies', 'expected text, got an empty one'],
  ['telemetry: { traces: { sample_ratio: 2 } }', '3:38', 'telemetry.traces.sample_ratio', 'expected a number from 0 to 1, got 2'],
  ['telemetry: { traces: { sample_ratio: much } }', '3:38', 'telemetry.traces.sample_ratio', 'expected a number, got text'],
  ['telemetry: { metrics: { prometheus: 1 } }', '3:37', 'telemetry.metrics.prometheus', 'expected true or false, got a number'],
  ['telemetry: { traces: { endpoint: "ftp://example.com" } }', '3:34', 'telemetry.traces.endpoint', 'expected a URL that begins with http: or https:'],
  ['telemetry: { traces: { endpoint: [] } }', '3:34', 'telemetry.traces.endpoint', 'expected a URL, got a list'],
  ['telemetry: { traces: { endpoint: "http://u:p@example.com" } }', '3:34', 'telemetry.traces.endpoint', 'a URL here holds no credentials', 'put them in api_key'],
  ['telemetry: { traces: { endpoint: "http://example.com/#x" } }', '3:34', 'telemetry.traces.endpoint', 'a URL here has no fragment', 'remove # and what follows'],
  ['telemetry: { service_name: {} }', '3:28', 'telemetry.service_name', 'expected text, got a mapping'],
  ['classifiers: [ { id: a b, plugin: pii } ]', '3:22', 'classifiers[0].id', /expected a name of letters/],
  ['classifiers: [ { id: pii } ]', '3:16', 'classifiers[0]', 'plugin is missing'],
  ['classifiers: [ 7 ]', '3:16', 'classifiers[0]', 'expected a mapping, got a number'],
  ['redis: { }', '3:1', 'redis', 'url is missing'],
  ['review: [1]', '3:9', 'review', 'expected a mapping, got a list'],
];

for (const [added, place, path, message, suggestion] of refused) {
  t.test(`refused: ${added}`, async (t) => {
    const { value, issues } = read(BASE + added);
    const [issue] = issues.filter(({ severity }) => severity === 'error');
    t.equal(value, undefined);
    t.equal(`${issue.line}:${issue.column} ${issue.path}`, `${place} ${path}`);
    t.match(issue.message, message);
    t.equal(issue.suggestion, suggestion);
  });
}

const inside: readonly (readonly [source: string, place: string, message: string | RegExp])[] = [
  ['', '1:1', 'expected a mapping, the file is empty'],
  ['[]', '1:1', 'expected a mapping, got a list'],
  ['upstreams: {}\ntenants: []', '1:12', 'expected at least one entry'],
  ['upstreams: []\ntenants: []', '1:12', 'expected a mapping, got a list'],
  ['upstreams: { __proto__: { url: "http://127.0.0.1" } }\ntenants: []', '1:14', /expected a name of letters/],
  ['upstreams: { a: { url: "http://127.0.0.1/?x" } }\ntenants: []', '1:24', 'a base URL has no query'],
  ['upstreams: { a: { url: 127.0.0.1 } }\ntenants: []', '1:24', /begins with http/],
  ['upstreams: { a: { url: "http://127.0.0.1", api_key: "a b" } }\ntenants: []', '1:53', 'expected a key without spaces or line ends'],
  ['upstreams: { a: { url: "http://127.0.0.1" } }\ntenants: [ { id: a, policy: p } ]', '2:12', 'upstream is missing'],
  ['upstreams: { a: { url: "http://127.0.0.1" } }\ntenants: [ { id: a, policy: p, upstream: a, keys: [ { id: k, sha256: ABC } ] } ]', '2:70', 'expected 64 lower-case hex digits'],
  [`upstreams: { a: { url: "http://127.0.0.1", provider: ${'x'.repeat(65)} } }\ntenants: []`, '1:54', 'longer than 64 characters'],
];

for (const [source, place, message] of inside) {
  t.test(`refused: ${source}`, async (t) => {
    const { issues } = read(source);
    t.equal(`${issues[0].line}:${issues[0].column}`, place);
    t.match(issues[0].message, message);
  });
}

t.test('every wrong key is reported, not only the first', async (t) => {
  const { issues } = read(`${BASE}proxy: { port: x, hst: 1 }\nadmin: { port: -1 }`);
  t.same(issues.map(({ path }) => path), ['proxy.hst', 'proxy.port', 'admin.port']);
});

t.test('a message never quotes a value that may be a secret', async (t) => {
  const { issues } = read('upstreams: { a: { url: "hunter2secret", api_key: [hunter2secret] } }\ntenants: [ { id: "hunter2 secret", policy: p, upstream: a } ]');
  t.equal(issues.length, 3);
  t.notMatch(JSON.stringify(issues), /hunter2/);
});

t.test('variables may stand for numbers and booleans; empty ones count as absent', async (t) => {
  const env = { PORT: '0', RATIO: '0.25', PROM: 'false', NONE: '' };
  const { value, issues } = read(`${BASE}proxy: { port: \${PORT} }\nadmin: { port: \${NONE} }\ntelemetry: { traces: { sample_ratio: \${RATIO} }, metrics: { prometheus: \${PROM} } }`, env);
  t.same(issues, []);
  t.match(value, { proxy: { port: 0 }, admin: { port: 8081 }, telemetry: { traces: { sample_ratio: 0.25 }, metrics: { prometheus: false } } });
  t.match(read(`${BASE}proxy: { port: \${PORT} }`, { PORT: 'x' }).issues, [{ message: 'expected a whole number, got text' }]);
});

t.test('keys whose machinery is not built yet are warned about', async (t) => {
  const { value, issues } = read(`${BASE}redis: { url: "redis://:pw@127.0.0.1:6379" }\nproxy: { workers: 2 }`);
  t.ok(value);
  t.same(issues.map(({ severity, path, message }) => [severity, path, message]), [
    ['warning', 'proxy.workers', 'more than one worker is not available yet'],
  ]);
  t.ok(issues.every(({ suggestion }) => suggestion !== undefined));
});

t.test('analytics: one password, and no parameters', async (t) => {
  const { value, issues } = read(`${BASE}analytics: { url: "clickhouse://weir@db.example.com:8123", password_file: ./pw, ttl_days: 90 }`);
  t.same(issues, []);
  t.match(value?.analytics, { url: 'clickhouse://weir@db.example.com:8123', database: 'weir', password_file: './pw', ttl_days: 90 });
  t.match(read(`${BASE}analytics: { url: "https://weir:x@db.example.com", password_file: ./pw }`).issues, [{ path: 'analytics.password_file', message: 'the password is given twice' }]);
  t.match(read(`${BASE}analytics: { url: "https://db.example.com/?database=other" }`).issues, [{ path: 'analytics.url', message: 'the URL of ClickHouse has no parameters here' }]);
  t.match(read(`${BASE}analytics: { url: "tcp://db.example.com:9000" }`).issues, [{ path: 'analytics.url', message: /^expected a URL that begins with http/ }]);
  t.match(read(`${BASE}analytics: { url: "http://db.example.com", database: "a;b" }`).issues, [{ path: 'analytics.database' }]);
  t.match(read(`${BASE}analytics: { database: weir }`).issues, [{ path: 'analytics' }]);
});

t.test('what depends on the place of the file is resolved', async (t) => {
  const source = `upstreams:\n  a: { url: "https://x.openai.azure.com/openai/v1//" }\n  b: { url: "http://127.0.0.1:9/v1" }\n  c: { url: "https://api.groq.com/v1", provider: mine }\ntenants: [ { id: t, policy: p, upstream: a } ]\n`;
  const { value } = read(`${source}data_dir: ../d\npolicies: [p.yaml, /abs]`);
  const config = resolveConfig(value!, '/etc/weir', '/work');
  t.same([config.data_dir, config.audit.dir, config.audit.key_file, config.policies], ['/etc/d', '/etc/d/audit', '/etc/d/keys/audit.key', ['/etc/weir/p.yaml', '/abs']]);
  t.same(Object.values(config.upstreams).map(({ url, provider }) => [url, provider]), [['https://x.openai.azure.com/openai/v1', 'azure.ai.openai'], ['http://127.0.0.1:9/v1', 'openai'], ['https://api.groq.com/v1', 'mine']]);
  const plain = resolveConfig(read(`${source}audit: { dir: log, key_file: ../k }\npolicies: only.yaml`).value!, '/etc/weir', '/work');
  t.same([plain.data_dir, plain.audit.dir, plain.audit.key_file, plain.policies], ['/work/data', '/etc/weir/log', '/etc/k', ['/etc/weir/only.yaml']]);
  t.equal(Object.getPrototypeOf(plain.upstreams), null, 'no upstream named constructor by accident');
  t.same(plain.classifiers.map(({ id }) => id), ['pii', 'toxicity', 'prompt-injection', 'jailbreak', 'grounding', 'brand-safety']);
  const options = { address: '127.0.0.1:1', model: './m.onnx', tls: { ca: '../ca.pem' }, more: ['./x', 'x/y', '.', 7] };
  const own = resolveConfig(read(`${source}classifiers: [${JSON.stringify({ id: 'ours', plugin: 'grpc', ...options })}]`).value!, '/etc/weir', '/work');
  t.same(own.classifiers[0].options, { id: 'ours', address: '127.0.0.1:1', model: '/etc/weir/m.onnx', tls: { ca: '/etc/ca.pem' }, more: ['/etc/weir/x', 'x/y', '.', 7] });
});

t.test('a classifier entry keeps its own options', async (t) => {
  const { value } = read(`${BASE}classifiers: [ { id: ours, plugin: http, url: "http://127.0.0.1:9100", categories: [toxic], deadline_ms: 60, breaker: { failures: 2 } } ]`);
  const host = { deadline_ms: 60, concurrency: 64, retry: true, breaker: { failures: 2, open_ms: 5_000 }, weight: 1 };
  t.same(value!.classifiers, [{ id: 'ours', plugin: 'http', ...host, options: { id: 'ours', url: 'http://127.0.0.1:9100', categories: ['toxic'] } }], 'the host reads its keys, the plugin the rest');
});

t.test('where a log is shipped to, and under which name', async (t) => {
  const shipTo = (url: string) => read(`${BASE}audit: { ship: { url: "${url}", token: weir_admin_made-up } }`);
  t.match(shipTo('https://weir.example.com:8081/'), { value: { audit: { ship: { url: 'https://weir.example.com:8081' } } }, issues: [] });
  for (const url of ['http://127.0.0.1:8081', 'http://localhost:8081', 'http://[::1]:8081']) t.same(shipTo(url).issues, [], url);
  t.match(shipTo('http://weir.example.com:8081').issues, [{ severity: 'warning', message: 'the token is sent by plain HTTP to another machine' }]);
  t.match(resolveConfig(read(BASE).value!, '/', '/').audit.origin, /^weir\/./);
  t.equal(resolveConfig(read(`${BASE}audit: { origin: eu-1/a }`).value!, '/', '/').audit.origin, 'eu-1/a');
});

t.test('config/weir.yaml holds the reference, and the reference is a valid configuration', async (t) => {
  const file = readFileSync(join(import.meta.dirname, '../../config/weir.yaml'), 'utf8');
  t.equal(file.slice(file.indexOf(REFERENCE_MARK)), renderReference(), 'the reference in config/weir.yaml is what the schema says');
  for (const { path } of CONFIG_KEYS) t.match(renderReference(), new RegExp(`^# .*\\b${path.split('.').at(-1)!}:`, 'm'), path);
  const uncommented = renderReference().replaceAll(/^# ?/gm, '');
  const { value, issues } = read(uncommented.slice(REFERENCE_MARK.length), { OPENAI_API_KEY: 'made-up', WEIR_WEBHOOK_SECRET: 'made-up-secret-0123', WEIR_SHIP_TOKEN: 'weir_admin_made-up', PAGERDUTY_KEY: 'made-up' });
  t.same(issues.filter(({ severity }) => severity === 'error'), []);
  const defaults = read(BASE).value!;
  t.same({ ...value!.proxy, moderations: 'local' }, defaults.proxy, 'what the reference shows as defaults are the defaults');
  t.match(value!.screening, defaults.screening, 'and so are those of screening, where there are any');
});

t.test('every key has a sentence, and a default or an example unless it is a mapping', async (t) => {
  for (const row of CONFIG_KEYS) {
    t.match(row.description, /^[A-Za-z`].*\.$/s, row.path);
    if (!row.type.includes('mapping')) t.ok(row.default ?? row.example, row.path);
  }
});

t.test('the nearest word', async (t) => {
  const words = ['proxy', 'port', 'policies', 'tenants'];
  for (const [word, near] of [['proxi', 'proxy'], ['prot', 'port'], ['polices', 'policies'], ['TENANTS', 'tenants'], ['tennats', 'tenants'], ['xyz', undefined], ['', undefined], ['p'.repeat(1_000_000), undefined]] as const) t.equal(nearestWord(word, words), near, word.slice(0, 20));
});

t.test('when a break is asked for has bounds, which nobody can set aside', async (t) => {
  const breaks = (text: string) => read(`${BASE}review: { breaks: { ${text} } }\n`);
  t.match(read(BASE).value, { review: { breaks: { after_minutes: 60, after_severe_items: 25, minutes: 10 } } });
  for (const [key, min, max] of [['after_minutes', 10, 120], ['after_severe_items', 5, 200], ['minutes', 5, 60]] as const) {
    for (const within of [min, max]) t.same(breaks(`${key}: ${within}`).issues, [], `${key} ${within}`);
    for (const beyond of [min - 1, max + 1, 0]) t.match(breaks(`${key}: ${beyond}`).issues, [{ path: `review.breaks.${key}` }], `${key} ${beyond}`);
  }
  t.match(breaks('enabled: false').issues, [{ message: 'unknown key enabled' }], 'it is not switched off');
});
