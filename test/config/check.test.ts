/** `weir check` as a user meets it: places, excerpts, suggestions, exit codes; no secret and no control character. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { check } from '../../src/cli/check.ts';
import { UsageError, type Io } from '../../src/cli/command.ts';

const CONFIG = 'upstreams: { up: { url: https://api.example.com/v1 } }\ntenants: [ { id: one, policy: main, upstream: up } ]\n';
const POLICY = 'policy: main\nrules: [ { id: r, when: { score: pii.EMAIL, gte: 0.5 }, action: redact } ]\n';

async function run(t: Test, config: string, policy: string, args: readonly string[] = [], overrides: Partial<Io> = {}) {
  const dir = t.testdir({});
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'weir.yaml'), config);
  writeFileSync(join(dir, 'policies/main.yaml'), policy);
  let out = '';
  const io: Io = { stdout: (text) => void (out += text), stderr: (text) => void (out += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false, stopSignal: () => new AbortController().signal, ...overrides };
  const code = await check.run([...args, join(dir, 'weir.yaml')], io);
  // The test folder is below the working directory, so files are named from there.
  return { code, out: out.replaceAll(/[^\s"]*\/(?=weir\.yaml|policies\/)/g, '') };
}

t.test('a good configuration', async (t) => {
  const { code, out } = await run(t, CONFIG, POLICY);
  t.equal(code, 0);
  t.match(out, /^weir\.yaml ok: 1 tenant, 1 policy, 0 errors, 0 warnings\npolicy main: \d+ patterns; (?:text never waits|an answer's text waits for at most \d+ characters \([\w.-]+\))/);
});

t.test('what becomes of images and recordings, and a rule that asks for what nobody reads', async (t) => {
  const { out } = await run(t, `${CONFIG}proxy: { opaque: { audio: refuse } }\n`, POLICY);
  t.match(out, '\nimages: no classifier reads them; they pass unread, and the record says so (proxy.opaque.image)\nrecordings: no classifier reads them; they are refused (proxy.opaque.audio)\n');
  const asking = await run(t, CONFIG, 'policy: main\nrules: [ { id: r, when: { all: [ { context: content_type, eq: image }, { score: pii.EMAIL, gte: 0.5 } ] }, action: block } ]\n');
  t.equal(asking.code, 0);
  t.match(asking.out, /^policies\/main\.yaml:2:\d+ warning pii does not read image, which this rule asks for\n.*\n *\^\n    where there is one, the score is unknown, and on_unknown decides\n/);
});

t.test('errors in several files, each with its line, a caret and what was meant', async (t) => {
  const { code, out } = await run(t, `${CONFIG}proxi: { port: 1 }\n`, POLICY.replace('redact', 'redcat'));
  t.equal(code, 1);
  t.equal(out, 'weir.yaml:3:1 error unknown key proxi\n    proxi: { port: 1 }\n    ^\n    did you mean proxy?\nnot usable: 1 error, 0 warnings\n');
  const second = await run(t, CONFIG, `${POLICY}rulez: 1\n`);
  t.equal(second.out, 'policies/main.yaml:3:1 error unknown key rulez\n    rulez: 1\n    ^\n    did you mean rules?\nnot usable: 1 error, 0 warnings\n');
});

t.test('what only the matching engine and the plugins can tell has its place too', async (t) => {
  const pattern = await run(t, CONFIG, `${POLICY}patterns:\n  - { id: fine, literal: a }\n  - { id: broken, regex: "a(" }\n`);
  t.equal(pattern.code, 1);
  t.match(pattern.out, /^policies\/main\.yaml:5:26 error pattern broken.*\n {6}- \{ id: broken, regex: "a\(" \}\n {29}\^\n/);
  const example = await run(t, CONFIG, `${POLICY}patterns: [ { id: word, literal: a, matches: [b] } ]\n`);
  t.match(example.out, /^policies\/main\.yaml:3:34 error /);
  const plugin = await run(t, `${CONFIG}classifiers: [ { id: pii, plugin: pij } ]\n`, POLICY);
  t.match(plugin.out, /^weir\.yaml:3:35 error there is no plugin pij\n/);
  const category = await run(t, CONFIG, POLICY.replace('EMAIL', 'EMIAL'));
  t.match(category.out, /^policies\/main\.yaml:2:34 error pii has no category EMIAL\n.*\n.*\n    did you mean EMAIL\?\n/);
});

t.test('warnings leave it usable', async (t) => {
  const { code, out } = await run(t, `${CONFIG}proxy: { workers: 2 }\n`, POLICY);
  t.equal(code, 0);
  t.match(out, /weir\.yaml:3:\d+ warning more than one worker is not available yet\n/);
  t.match(out, /ok: 1 tenant, 1 policy, 0 errors, 1 warning\n/);
});

t.test('--json', async (t) => {
  const good = await run(t, CONFIG, POLICY, ['--json']);
  t.match(JSON.parse(good.out), { ok: true, hash: /^[0-9a-f]{12}$/, tenants: 1, policies: ['main'], errors: 0, warnings: 0, issues: [], patterns: { main: Array }, media: { image: { read_by: [], otherwise: 'pass' }, audio: { read_by: [], otherwise: 'pass' } } });
  const bad = await run(t, `${CONFIG}proxi: 1\n`, POLICY, ['--json']);
  t.equal(bad.code, 1);
  t.match(JSON.parse(bad.out), { ok: false, errors: 1, warnings: 0, issues: [{ line: 3, column: 1, path: 'proxi', suggestion: 'did you mean proxy?' }] });
});

t.test('secrets are covered, and the caret stays right', async (t) => {
  const { out } = await run(t, `upstreams: { up: { url: "https://user:hunter2@api.example.com", api_key: "hunter2hunter2", conections: 1 } }\ntenants: [ { id: one, policy: main, upstream: up } ]\n`, POLICY, [], { columns: 200 });
  t.notMatch(out, /hunter2/);
  const lines = out.split('\n');
  for (const [message, named] of [['unknown key', 'conections'], ['holds no credentials', '"https']] as const) {
    const at = lines.findIndex((text) => text.includes(message));
    t.ok(at >= 0);
    t.equal(lines[at + 1].indexOf(named), lines[at + 2].indexOf('^'), named);
  }
});

t.test('control characters are not passed on, long lines are cut around the place', async (t) => {
  const { out } = await run(t, `${CONFIG}"a\\e[31m": 1\n`, POLICY);
  t.notMatch(out, /\x1b/);
  const long = await run(t, `${CONFIG}proxy: { host: ${'h'.repeat(300)}, prot: 1 }\n`, POLICY);
  const lines = long.out.split('\n');
  const at = lines.findIndex((text) => text.includes('unknown key prot'));
  t.ok(lines[at + 1].length <= 80);
  t.equal(lines[at + 1].indexOf('prot'), lines[at + 2].indexOf('^'));
});

t.test('colour only when asked for', async (t) => {
  t.match((await run(t, `${CONFIG}proxi: 1\n`, POLICY, [], { color: true })).out, /\x1b\[31merror\x1b\[0m/);
});

t.test('a wrong call', async (t) => {
  await t.rejects(run(t, CONFIG, POLICY, ['--config', 'x']), UsageError);
  await t.rejects(run(t, CONFIG, POLICY, ['--jsno']), UsageError);
  await t.rejects(run(t, CONFIG, POLICY, ['one']), UsageError);
});

t.test('a file that is not there', async (t) => {
  let out = '';
  const code = await check.run(['/nonexistent/weir.yaml'], { stdout: (text) => void (out += text), stderr: () => {}, stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false, stopSignal: () => new AbortController().signal });
  t.equal(code, 1);
  t.equal(out, '/nonexistent/weir.yaml:1:1 error no such file\nnot usable: 1 error, 0 warnings\n');
});

t.test('what each pattern can hold back', async (t) => {
  const policy = "policy: main\ndefault_action: allow\npatterns:\n  - { id: code, label: CODE, regex: 'TCK-[0-9]{4,40}' }\n  - { id: seen, label: SEEN, literal: [Bluebird] }\nrules:\n  - { id: a, priority: 1, direction: output, when: { score: patterns.code, gte: 1 }, action: redact }\n  - { id: b, priority: 2, direction: output, when: { score: patterns.seen, gte: 1 }, action: warn }\n";
  const { out } = await run(t, CONFIG, policy, ['--json']);
  const { main } = JSON.parse(out).patterns as Record<string, { pattern: string; hold_chars: number }[]>;
  t.equal(main?.find((p) => p.pattern === 'patterns.code')?.hold_chars, 44);
  t.equal(main?.find((p) => p.pattern === 'patterns.seen')?.hold_chars, 0, 'only observed');
  t.match((await run(t, CONFIG, policy)).out, /waits for at most 44 characters \(patterns\.code\)/);
});
