/** Files to a snapshot: all or nothing, every issue, nothing that cannot be read goes unsaid. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildSnapshot, loadConfig, readSources, type LoadOptions } from '../../src/config/load.ts';
import { ConfigError, type ConfigIssue } from '../../src/contract/errors.ts';

const CONFIG = 'upstreams: { up: { url: https://api.example.com/v1 } }\ntenants:\n  - { id: one, policy: main, upstream: up }\n';
const POLICY = 'policy: main\nrules:\n  - { id: r, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }\n';
const PII = [{ id: 'pii', categories: [{ id: 'EMAIL' }] }];

/** Writes files below a fresh folder and returns it. */
function folder(t: Test, files: Readonly<Record<string, string | Buffer>>): string {
  const dir = t.testdir({});
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}

async function issuesOf(dir: string, options: LoadOptions = {}, file = 'weir.yaml'): Promise<readonly ConfigIssue[]> {
  try {
    await loadConfig(file, {}, { workingDir: dir, ...options });
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  throw new Error('was accepted');
}

function brief(issues: readonly ConfigIssue[]): readonly string[] {
  return issues.map(({ file, line, column, message, suggestion }) => `${file}:${line}:${column} ${message}${suggestion === undefined ? '' : ` (${suggestion})`}`);
}

t.test('a configuration with its policies becomes one frozen snapshot', async (t) => {
  const dir = folder(t, { 'weir.yaml': CONFIG, 'policies/main.yaml': POLICY, 'policies/other.yml': 'policy: other', 'policies/third.json': '{"policy":"third"}', 'policies/notes.md': '# no policy', 'policies/.hidden.yaml': 'no: policy' });
  const snapshot = await loadConfig('weir.yaml', {}, { workingDir: dir, classifiers: PII, now: () => new Date(0) });
  t.same([...snapshot.policies.keys()], ['main', 'other', 'third']);
  t.equal(snapshot.policyFiles.get('main'), 'policies/main.yaml');
  t.match(snapshot, { file: 'weir.yaml', hash: /^[0-9a-f]{12}$/, loadedAt: new Date(0), warnings: [] });
  t.equal(snapshot.config.data_dir, join(dir, 'data'));
  t.ok(Object.isFrozen(snapshot) && Object.isFrozen(snapshot.config) && Object.isFrozen(snapshot.policies.get('main')));
});

t.test('the hash is that of the contents, wherever the files are', async (t) => {
  const files = { 'weir.yaml': CONFIG, 'policies/main.yaml': POLICY };
  const one = await loadConfig('weir.yaml', {}, { workingDir: folder(t, files) });
  const two = await loadConfig(join(folder(t, { ...files }), 'weir.yaml'), {});
  const three = await loadConfig('weir.yaml', {}, { workingDir: folder(t, { ...files, 'policies/main.yaml': `${POLICY}# changed\n` }) });
  t.equal(one.hash, two.hash);
  t.not(one.hash, three.hash);
});

t.test('with no file named: config/weir.yaml, else the one that comes with Weir', async (t) => {
  const shipped = await loadConfig(undefined, {}, { workingDir: t.testdir({}) });
  t.match(shipped.config.upstreams.openai, { url: 'https://api.openai.com/v1', provider: 'openai' });
  t.equal(shipped.config.upstreams.openai.api_key, undefined);
  t.ok(shipped.policies.has('default'));
  const local = await loadConfig(undefined, {}, { workingDir: folder(t, { 'config/weir.yaml': CONFIG, 'config/policies/main.yaml': POLICY }) });
  t.equal(local.file, 'config/weir.yaml');
  const redirected = await loadConfig(undefined, { WEIR_UPSTREAM_URL: 'http://127.0.0.1:9/v1', OPENAI_API_KEY: 'made-up' }, { workingDir: t.testdir({}) });
  t.match(redirected.config.upstreams.openai, { url: 'http://127.0.0.1:9/v1', api_key: 'made-up' });
});

t.test('an object counts as a file', async (t) => {
  const dir = folder(t, { 'policies/main.yaml': POLICY });
  const config = { upstreams: { up: { url: 'http://127.0.0.1:9/v1', api_key: '${KEY:-}' } }, tenants: [{ id: 'one', policy: 'main', upstream: 'up' }], proxy: { port: 0 } };
  const snapshot = await loadConfig({ config, dir }, { KEY: 'made-up' });
  t.match(snapshot, { file: '(options)', config: { proxy: { port: 0 }, upstreams: { up: { api_key: 'made-up' } }, policies: [join(dir, 'policies')] } });
});

t.test('the classifiers may depend on the configuration, and refuse it with a place', async (t) => {
  const dir = folder(t, { 'weir.yaml': `${CONFIG}classifiers:\n  - { id: ours, plugin: our }\n`, 'policies/main.yaml': POLICY.replace('pii.EMAIL', 'ours.A') });
  const snapshot = await loadConfig('weir.yaml', {}, { workingDir: dir, classifiers: async ({ classifiers }) => classifiers.map(({ id }) => ({ id, categories: [{ id: 'A' }] })) });
  t.equal(snapshot.policies.size, 1);
  const refusal = new ConfigError([{ file: '(classifiers)', line: 1, column: 1, path: 'classifiers.ours', message: 'there is no plugin our', severity: 'error' }]);
  t.same(brief(await issuesOf(dir, { classifiers: () => Promise.reject(refusal) })), ['weir.yaml:5:25 there is no plugin our'], 'and nothing about the names it would have had');
  await t.rejects(issuesOf(dir, { classifiers: () => Promise.reject(new Error('a fault of ours')) }), { message: 'a fault of ours' });
});

const ONE = '  - { id: one, policy: main, upstream: up }';
const KEY = (id: string, digit: string) => `{ id: ${id}, sha256: "${digit.repeat(64)}" }`;

const refused: readonly (readonly [name: string, files: Readonly<Record<string, string | Buffer>>, issues: readonly string[]])[] = [
  ['no configuration file', {}, ['weir.yaml:1:1 no such file']],
  ['a configuration that is not UTF-8', { 'weir.yaml': Buffer.from([0x61, 0xff]) }, ['weir.yaml:1:1 the file is not valid UTF-8']],
  ['a configuration of ten megabytes', { 'weir.yaml': Buffer.alloc(10_485_760, 'a') }, ['weir.yaml:1:1 the file has 10485760 bytes, the limit is 1048576']],
  ['no policy file at all', { 'weir.yaml': `${CONFIG}policies: [elsewhere, ${'main.yaml'}]` }, ['weir.yaml:4:12 no such file or directory: elsewhere', 'weir.yaml:4:23 no such file or directory: main.yaml']],
  ['an empty policy folder', { 'weir.yaml': CONFIG, 'policies/README.md': '' }, ['weir.yaml:3:24 no policy main (no policy file was found)']],
  ['a policy that nobody has', { 'weir.yaml': CONFIG.replace('policy: main', 'policy: mian'), 'policies/main.yaml': POLICY }, ['weir.yaml:3:24 no policy mian (did you mean main?)']],
  ['a policy with quite another name', { 'weir.yaml': CONFIG.replace('policy: main', 'policy: zzz'), 'policies/main.yaml': POLICY }, ['weir.yaml:3:24 no policy zzz (there is main)']],
  ['an upstream that nobody has', { 'weir.yaml': CONFIG.replace('upstream: up', 'upstream: constructor'), 'policies/main.yaml': POLICY }, ['weir.yaml:3:40 no upstream constructor']],
  ['one policy in two files', { 'weir.yaml': CONFIG, 'policies/a.yaml': POLICY, 'policies/b.yaml': `# b\n${POLICY}` }, ['policies/b.yaml:2:9 a second policy main (the first is in policies/a.yaml)']],
  ['a policy file that is no YAML, and no follow-up about it', { 'weir.yaml': CONFIG, 'policies/main.yaml': 'policy: main\nrules: [\n' }, ['policies/main.yaml:3:1 deficient indentation']],
  ['a policy file of ten megabytes', { 'weir.yaml': CONFIG, 'policies/main.yaml': Buffer.alloc(10_485_760, 'a') }, ['policies/main.yaml:1:1 the file has 10485760 bytes, the limit is 8388608']],
  ['errors in both', { 'weir.yaml': CONFIG.replace('up }', 'pu }'), 'policies/main.yaml': POLICY.replace('redact', 'redcat') }, ['policies/main.yaml:3:60 expected one of allow, warn, redact, replace, block, escalate (did you mean redact?)', 'weir.yaml:3:40 no upstream pu (did you mean up?)']],
  ['a classifier that does not run', { 'weir.yaml': CONFIG, 'policies/main.yaml': POLICY.replace('pii.', 'pij.') }, ['policies/main.yaml:3:29 no classifier pij is configured (did you mean pii?)']],
  ['two tenants of one name, without keys', { 'weir.yaml': `${CONFIG}${ONE}\n`, 'policies/main.yaml': POLICY }, ['weir.yaml:4:11 a second tenant one', ...[3, 4].map((line) => `weir.yaml:${line}:5 tenant one has no keys, so its requests cannot be told from others (give every tenant keys, or set require_key where they are made with weir keys create, or keep a single tenant)`)]],
  ['keys given twice', { 'weir.yaml': CONFIG.replace('up }\n', `up, keys: [${KEY('a', '1')}, ${KEY('b', '1')}, ${KEY('a', '2')}] }\n`), 'policies/main.yaml': POLICY }, ['weir.yaml:3:155 a second key with this sha256', 'weir.yaml:3:231 a second key a']],
  ['two classifiers of one name', { 'weir.yaml': `${CONFIG}classifiers: [ { id: pii, plugin: pii }, { id: pii, plugin: pii } ]`, 'policies/main.yaml': POLICY }, ['weir.yaml:4:48 a second classifier pii']],
  ['a shadow that is not there', { 'weir.yaml': CONFIG, 'policies/main.yaml': `${POLICY}shadow: othr\n`, 'policies/other.yaml': 'policy: other\n' }, ['policies/main.yaml:4:9 no policy othr (did you mean other?)']],
  ['a canary that is not there', { 'weir.yaml': CONFIG, 'policies/main.yaml': `${POLICY}canary: { policy: zzz, share: 5% }\n` }, ['policies/main.yaml:4:19 no policy zzz']],
  ['a policy as its own shadow and canary', { 'weir.yaml': CONFIG, 'policies/main.yaml': `${POLICY}shadow: main\ncanary: { policy: main, share: 5% }\n` }, ['policies/main.yaml:4:9 a policy is not its own shadow (name another policy)', 'policies/main.yaml:5:19 a policy is not its own canary (name another policy)']],
  ['a shadow in a policy that nobody is under', { 'weir.yaml': CONFIG, 'policies/main.yaml': POLICY, 'policies/other.yaml': 'policy: other\nshadow: gone\n' }, ['policies/other.yaml:2:9 no policy gone']],
  ['context headers that are no names, known or named twice', { 'weir.yaml': CONFIG.replace('up }\n', 'up, context: { headers: [Surface, user_trust, tenant, plan], trusted: [plan] } }\n'), 'policies/main.yaml': POLICY }, [
    'weir.yaml:3:65 expected a name of lower-case letters, digits, `.` and `-`, since headers have no case', 'weir.yaml:3:74 expected a name of lower-case letters, digits, `.` and `-`, since headers have no case', 'weir.yaml:3:86 tenant is known without the caller (give the header another name)',
  ]],
  ['a context header named twice', { 'weir.yaml': CONFIG.replace('up }\n', 'up, context: { headers: [plan, plan], trusted: [age, plan] } }\n'), 'policies/main.yaml': POLICY }, ['weir.yaml:3:71 a second context header plan', 'weir.yaml:3:93 a second context header plan']],
  ['too many context headers', { 'weir.yaml': CONFIG.replace('up }\n', `up, context: { trusted: [${Array.from({ length: 65 }, (_, i) => `n${i}`).join(', ')}] } }\n`), 'policies/main.yaml': POLICY }, ['weir.yaml:3:64 65 entries, the limit is 64']],
  ['traces to nowhere', { 'weir.yaml': `${CONFIG}telemetry: { traces: { exporter: otlp } }`, 'policies/main.yaml': POLICY }, ['weir.yaml:4:34 exporter otlp needs an endpoint (add endpoint: http://127.0.0.1:4318/v1/traces, or set OTEL_EXPORTER_OTLP_ENDPOINT)']],
];

for (const [name, files, issues] of refused) {
  t.test(`refused: ${name}`, async (t) => t.same(brief(await issuesOf(folder(t, files), { classifiers: PII })), issues));
}

t.test('a folder in place of a file, and a link to nothing', async (t) => {
  const dir = folder(t, { 'weir.yaml': `${CONFIG}policies: [dangling.yaml, policies]`, 'policies/deeper.yaml/x': '', 'policies/main.yaml': POLICY, 'as/folder.yaml/x': '' });
  symlinkSync(join(dir, 'nowhere'), join(dir, 'dangling.yaml'));
  t.same(brief(await issuesOf(dir)), ['weir.yaml:4:12 no such file or directory: dangling.yaml', 'policies/deeper.yaml:1:1 not a file']);
  t.same(brief(await issuesOf(dir, {}, 'as/folder.yaml')), ['as/folder.yaml:1:1 not a file']);
});

t.test('files outside the working directory are named whole', async (t) => {
  const dir = folder(t, { 'weir.yaml': CONFIG, 'policies/main.yaml': POLICY, 'inner/x': '' });
  const snapshot = await loadConfig('../weir.yaml', {}, { workingDir: join(dir, 'inner') });
  t.equal(snapshot.file, join(dir, 'weir.yaml'));
});

t.test('several tenants with keys, and warnings that do not refuse', async (t) => {
  const tenants = ['a', 'b'].map((id, index) => `  - { id: ${id}, policy: main, upstream: up, keys: [${KEY('k', String(index))}] }`).join('\n');
  const dir = folder(t, { 'weir.yaml': `upstreams: { up: { url: https://api.example.com/v1 } }\ntenants:\n${tenants}\nproxy: { workers: 2 }\n`, 'policies/main.yaml': `${POLICY}shadow: other\n`, 'policies/other.yaml': 'policy: other\nshadow: main\n' });
  const snapshot = await loadConfig('weir.yaml', {}, { workingDir: dir });
  t.same(snapshot.warnings.map(({ path, severity }) => [path, severity]), [['proxy.workers', 'warning'], ['shadow', 'warning'], ['shadow', 'warning']]);
});

t.test('as many context headers as there may be', async (t) => {
  const names = Array.from({ length: 64 }, (_, i) => `n${i}`);
  const dir = folder(t, { 'weir.yaml': CONFIG.replace('up }\n', `up, context: { headers: [user.trust], trusted: [${names.join(', ')}] } }\n`), 'policies/main.yaml': POLICY });
  t.match((await loadConfig('weir.yaml', {}, { workingDir: dir })).config.tenants[0]!.context, { headers: ['user.trust'], trusted: names });
});

t.test('of policies that nobody is under, warnings are not told; descriptions for editors are no policies', async (t) => {
  const other = (id: string) => `policy: ${id}\nrules: [ { id: r, when: { score: toxicity.hate, gte: 0.5 }, action: block } ]\n`;
  const dir = folder(t, { 'weir.yaml': CONFIG, 'policies/main.yaml': `${POLICY}shadow: second\n`, 'policies/second.yaml': `${other('second')}canary: { policy: third, share: 1% }\n`, 'policies/third.yaml': other('third'), 'policies/unused.yaml': other('unused'), 'policies/policy.schema.json': '{}' });
  const snapshot = await loadConfig('weir.yaml', {}, { workingDir: dir, classifiers: PII });
  t.same([...snapshot.policies.keys()], ['main', 'second', 'third', 'unused']);
  t.same(snapshot.warnings.map(({ file, message }) => `${file} ${message}`).sort(), [
    'policies/main.yaml second has a canary of its own, which does not count where it is the shadow',
    'policies/second.yaml no classifier toxicity is configured', 'policies/third.yaml no classifier toxicity is configured',
  ]);
});

t.test('the fingerprint notices a link that moved although the text is the same', async (t) => {
  const dir = folder(t, { 'a/weir.yaml': CONFIG, 'b/weir.yaml': CONFIG, 'policies/main.yaml': POLICY });
  symlinkSync('a/weir.yaml', join(dir, 'one.yaml'));
  symlinkSync('b/weir.yaml', join(dir, 'two.yaml'));
  const [one, two, again] = [await readSources('one.yaml', {}, { workingDir: dir }), await readSources('two.yaml', {}, { workingDir: dir }), await readSources('one.yaml', {}, { workingDir: dir })];
  t.not(one.fingerprint, two.fingerprint);
  t.equal(one.fingerprint, again.fingerprint);
  t.equal((await buildSnapshot(one)).hash, (await buildSnapshot(two)).hash);
});

