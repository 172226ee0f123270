/**
 * `weir policy` as a user meets it: cases that pass, fail and cannot be run, what CI reads, running again on change;
 * explanations of texts, scores and recorded exchanges; and the difference between two policies over a real audit log.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { createApp } from '../../src/app.ts';
import type { Io } from '../../src/cli/command.ts';
import { policy } from '../../src/cli/policy.ts';

interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `onOut` is told all that was printed so far. */
async function call(args: readonly string[], more: Partial<Io> = {}, onOut: (out: string) => void = () => undefined): Promise<Called> {
  let [out, err] = ['', ''];
  const io: Io = {
    stdout: (text) => onOut((out += text)), stderr: (text) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false,
    stopSignal: () => new AbortController().signal, ...more,
  };
  return { code: await policy.run(args, io), out, err };
}

const BOT = `policy: bot
message: Sorry.
rules:
  - { id: bird, priority: 1, direction: output, when: { score: patterns.bird, eq: 1 }, action: block }
  - { id: mail, priority: 2, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }
  - { id: kids, priority: 3, when: { context: surface, eq: kids }, action: warn }
patterns: [ { id: bird, literal: Bluebird } ]
`;
const CASES = `cases:
  - { name: a mail & more, direction: output, text: 'to ana@example.com', expect: { action: redact, rules: [mail], text: 'to [EMAIL]' } }
  - { name: a bird, direction: output, text: see Bluebird, expect: { action: block, rules: [bird] } }
`;

function folder(t: Test, policies: Readonly<Record<string, string>>, more: object = {}): string {
  const dir = t.testdir({});
  mkdirSync(join(dir, 'policies'));
  for (const [name, text] of Object.entries(policies)) writeFileSync(join(dir, 'policies', name), text);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', upstreams: { up: { url: 'https://api.example.com/v1' } }, tenants: [{ id: 'one', policy: 'bot', upstream: 'up' }], ...more }));
  return dir;
}

/** Paths as from the folder. */
const short = (text: string): string => text.replaceAll(/[^\s"(]*\/(?=policies\/|data\/)/g, '');

t.test('cases that pass, and a rule that none makes decide', async (t) => {
  const config = ['--config', join(folder(t, { 'bot.yaml': BOT + CASES }), 'weir.yaml')];
  const { code, out, err } = await call(['test', ...config]);
  t.same([code, err], [0, '']);
  t.equal(short(out), 'policy bot (policies/bot.yaml)\n  PASS  a mail & more\n  PASS  a bird\n  no case makes these rules decide: kids\n2 cases: 2 passed, 0 failed, 0 could not be run; rules without a case: 1\n');
  t.equal((await call(['test', '--coverage', ...config])).code, 1, 'a finding where it is asked for');
  const filtered = await call(['test', '--filter', 'a bird', ...config]);
  t.same([filtered.code, short(filtered.out)], [0, 'policy bot (policies/bot.yaml)\n  PASS  a bird\n1 case: 1 passed, 0 failed, 0 could not be run; rules without a case: 0\n']);
  const seen = await call(['test', ...config], { isTerminal: true, color: true });
  t.match(seen.err, /^\r1\/2 cases\r/);
  t.match(seen.out, '\u001b[32mPASS \u001b[0m');
});

t.test('a case that fails is told with its explanation; the right action by the wrong rule fails', async (t) => {
  const dir = folder(t, { 'bot.yaml': `${BOT}cases:\n  - { name: wrong rule, direction: output, text: 'ana@example.com', expect: { action: redact, rules: [kids] } }\n` });
  const junit = join(dir, 'report.xml');
  const { code, out } = await call(['test', '--junit', junit, '--config', join(dir, 'weir.yaml')]);
  t.equal(code, 1);
  t.equal(short(out), `policy bot (policies/bot.yaml)
  FAIL  wrong rule
        rules: expected kids, got mail
          bird  false    its condition does not hold
              false    patterns.bird eq 1  (0)
        ▶ mail  true     its condition holds: redact
              true     pii.EMAIL gte 0.5  (1)
  no case makes these rules decide: bird, kids
1 case: 0 passed, 1 failed, 0 could not be run; rules without a case: 2
`);
  t.match(readFileSync(junit, 'utf8'), /<testsuite name="bot" tests="1" failures="1" errors="0">\n {4}<testcase classname="bot" name="wrong rule" time="\d+\.\d{3}"><failure message="rules: expected kids, got mail">rules: expected kids, got mail<\/failure><\/testcase>\n/);
  const json = JSON.parse((await call(['test', '--json', '--config', join(dir, 'weir.yaml')])).out);
  t.match(json, { ok: false, policies: [{ policy: 'bot', uncovered: ['bird', 'kids'], cases: [{ name: 'wrong rule', state: 'FAIL', rules: ['mail'], explanation: [{ rule: 'bird', state: 'false' }, { rule: 'mail', state: 'true', trace: { scores: [1] } }] }] }] });
});

t.test('a policy that cannot be used is told with its place and keeps no other from being run', async (t) => {
  const dir = folder(t, { 'bot.yaml': BOT + CASES, 'broken.yaml': 'policy: broken\nrulez: []\n', 'pattern.yaml': 'policy: pattern\npatterns: [ { id: a, regex: "a(" } ]\n' });
  const junit = join(dir, 'report.xml');
  const { code, out } = await call(['test', '--junit', junit, '--config', join(dir, 'weir.yaml')]);
  t.equal(code, 1);
  t.match(short(out), /PASS {2}a bird\n.*\npolicy \(policies\/broken\.yaml\)\n {2}error 2:1 unknown key rulez; did you mean rules\?\npolicy \(policies\/pattern\.yaml\)\n {2}error 1:1 pattern a, character/);
  t.match(out, /2 policies refused; rules without a case: 1\n$/);
  const xml = readFileSync(junit, 'utf8');
  t.match(xml, 'name="a mail &amp; more"');
  t.match(short(xml), /<testsuite name="policies\/broken\.yaml" tests="1" failures="0" errors="1">/);
  const named = await call(['test', join(dir, 'policies/bot.yaml'), '--config', join(dir, 'weir.yaml')]);
  t.equal(named.code, 0, 'a file that is named alone is run alone');
  t.match(await call(['test', join(dir, 'nowhere.yaml'), '--config', join(dir, 'weir.yaml')]), { code: 1, out: /error 1:1 no such file/ });
});

t.test('a classifier that is not configured is a warning, and its rules are as the policy says', async (t) => {
  const source = 'policy: bot\nrules:\n  - { id: r, when: { score: vendor.hate, gte: 0.5 }, action: block }\ncases:\n  - { name: closed, direction: input, text: hello, expect: { action: block, rules: [r] } }\n';
  const dir = folder(t, { 'bot.yaml': source });
  const { code, out } = await call(['test', '--coverage', '--config', join(dir, 'weir.yaml')]);
  t.equal(code, 0);
  t.match(out, '  warning 3:22 no classifier vendor is configured; its scores are unknown until then, and on_unknown decides\n  PASS  closed\n');
});

t.test('runs again when a file has changed, until it is told to stop', async (t) => {
  const dir = folder(t, { 'bot.yaml': BOT + CASES });
  const stop = new AbortController();
  const file = join(dir, 'policies/bot.yaml');
  let step = 0;
  const { code, out } = await call(['test', '--watch', '--config', join(dir, 'weir.yaml')], { stopSignal: () => stop.signal }, (all) => {
    const runs = all.match(/could not be run/g)?.length ?? 0;
    if (runs === 1 && step === 0) {
      step = 1;
      writeFileSync(file, BOT + CASES.replaceAll('[EMAIL]', '[MAIL]'));
    }
    if (runs === 2 && step === 1) {
      step = 2;
      writeFileSync(file, BOT + CASES);
    }
    if (runs === 3) stop.abort();
  });
  t.equal(code, 0, 'the code of the last run');
  t.same(out.match(/\d passed/g), ['2 passed', '1 passed', '2 passed']);
  t.match(out, /text: expected "to \[MAIL\]", got "to \[EMAIL\]"/);
});

t.test('explain: a text, scores, both, and the context', async (t) => {
  const dir = folder(t, { 'bot.yaml': BOT + CASES });
  const config = ['--config', join(dir, 'weir.yaml')];
  const told = async (...args: string[]): Promise<string> => (await call(['explain', ...args, ...config])).out.replace(/@[0-9a-f]{12}/, '@1');
  t.equal(await told('to ana@example.com'), `policy   bot@1
action   redact
  bird  other direction  the rule looks at output
▶ mail  true     its condition holds: redact
      true     pii.EMAIL gte 0.5  (1)
  kids  not reached  an earlier rule decided
`);
  t.equal(await told('--policy', 'bot', '--direction', 'output', '--score', 'pii.EMAIL=0.2', '--context', 'surface=shop'), `policy   bot@1
action   allow
  bird  false    its condition does not hold
      false    patterns.bird eq 1  (0)
  mail  false    its condition does not hold
      false    pii.EMAIL gte 0.5  (0.2)
  kids  false    its condition does not hold
      false    context surface eq kids  ("shop")
no rule decides: the default action allow
`);
  t.match(await told('--score', 'pii.EMAIL=unknown'), /action {3}block\ndegraded mail\n.*\n▶ mail {2}unknown {2}a score is missing and the rule fails closed: block\n {6}unknown {2}pii\.EMAIL gte 0\.5 {2}\(no score\)/);
  t.match(await told('--score', 'pii.EMAIL=unknown', '--fail-mode', 'open'), /action {3}allow\ndegraded mail/);
  t.match(await told('to ana@example.com', '--score', 'pii.IBAN=1'), /action {3}allow/, 'given scores stand in place of their classifier\'s');
  const piped = await call(['explain', '-', '--json', '--policy', join(dir, 'policies/bot.yaml'), ...config], { stdin: Readable.from([Buffer.from('to ana@'), Buffer.from('example.com')]) });
  t.match(JSON.parse(piped.out), { policy: /^bot@/, action: 'redact', triggered_rules: ['mail'], rules: [{ rule: 'bird', state: 'other_direction' }, { rule: 'mail', trace: { kind: 'score' } }, {}] });
});

t.test('wrong calls are wrong calls', async (t) => {
  const dir = folder(t, { 'bot.yaml': BOT }, { tenants: ['one', 'two'].map((id, index) => ({ id, policy: 'bot', upstream: 'up', keys: [{ id: 'k', sha256: String(index).repeat(64) }] })) });
  const config = ['--config', join(dir, 'weir.yaml')];
  for (const [args, message] of [
    [['tets'], /unknown verb "tets"; did you mean test\?/], [['zzzzz'], /unknown verb "zzzzz"; there is test, explain and diff/],
    [['test', '--coverage', '--filter', 'x'], /--coverage needs all cases/], [['explain'], /give a text/], [['explain', 'x'], /several tenants/], [['explain', 'x', '--policy', 'bat'], /there is no policy "bat"; there is bot/],
    [['explain', 'x', '--direction', 'inward'], /--direction takes input or output/], [['explain', '--score', 'pii=1'], /--score takes/], [['explain', '--score', 'pii.A=2'], /--score takes/], [['explain', '--score', 'pii.A='], /--score takes/],
    [['explain', 'x', '--request', 'r'], /has its own scores/], [['diff', 'bot'], /two policies/], [['diff', 'bot', 'bot', '--limit', '0'], /--limit/], [['diff', 'bot', 'bot', '--since', 'yesterday'], /--since takes a time/],
    [['diff', 'bot', 'bot', '--tenant', 'three'], /no tenant "three"/],
  ] as const) await t.rejects(call([...args, ...config]), { name: 'UsageError', message });
  await t.rejects(call([]), { name: 'UsageError', message: /what to do is missing/ });
  writeFileSync(join(dir, 'policies/bot.yaml'), 'policy: bot\nrulez: 1\n');
  await t.rejects(call(['explain', 'x', '--policy', 'bot', ...config]), { name: 'ConfigError', message: /rulez/ });
  await t.rejects(call(['explain', 'x', '--policy', join(dir, 'policies/bot.yaml'), ...config]), { name: 'ConfigError', message: /rulez/ });
  await t.rejects(call(['test', '--config', join(dir, 'nowhere.yaml')]), { name: 'ConfigError' });
});

t.test('a recorded exchange is explained, and two policies are compared over the audit log', async (t) => {
  const upstream = createServer((req, res) => {
    req.resume().on('end', () => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'ask ben@example.com' }, finish_reason: 'stop' }] })));
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const other = `policy: other\nrules:\n  - { id: hate, when: { score: toxicity.hate, gte: 0.5 }, action: block }\n  - { id: all, when: { score: pii.*, gte: 0.5 }, action: block }\n`;
  const open = other.replace('policy: other', 'policy: open').replace('toxicity.hate', 'pii.IBAN');
  const dir = folder(t, { 'bot.yaml': BOT + CASES, 'other.yaml': other, 'open.yaml': open }, {
    proxy: { port: 0 }, admin: { port: 0 }, telemetry: { log_level: 'silent' }, upstreams: { up: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1` } },
    tenants: [{ id: 'one', policy: 'bot', upstream: 'up', audit: { durability: 'strict' } }],
  });
  const config = ['--config', join(dir, 'weir.yaml')];
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, log: { write: () => undefined } });
  const { proxyUrl } = await app.start();
  const chat = async (...contents: string[]): Promise<string> => {
    const messages = contents.map((content, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content }));
    const response = await fetch(`${proxyUrl}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages }) });
    await response.arrayBuffer();
    return response.headers.get('x-weir-request-id')!;
  };
  const mail = await chat('I am ana@example.com');
  const later = await chat('I am ana@example.com', 'Hello.', 'And now?');
  const plain = await chat('Hello.');
  const screened = await fetch(`${proxyUrl}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ requests: ['a', 'b'].map((content) => ({ direction: 'input', content })) }) });
  await screened.arrayBuffer();
  t.teardown(async () => {
    await app.close();
    upstream.closeAllConnections();
    upstream.close();
  });

  const explained = await call(['explain', '--request', mail, ...config]);
  t.same([explained.code, explained.err], [0, '']);
  t.match(explained.out, new RegExp(`^input of ${mail}, .*: recorded redact, mail\\npolicy {3}bot@.*\\naction {3}redact\\n.*\\n▶ mail {2}true .*\\n {6}true {5}pii\\.EMAIL gte 0\\.5 {2}\\(1\\)\\n[^]*\\n\\noutput of ${mail}, .*: recorded redact, mail\\n`));
  const turn = await call(['explain', '--request', later, '--direction', 'input', '--json', ...config]);
  t.match(JSON.parse(turn.out), { request_id: later, decisions: [{ direction: 'input', recorded: { action: 'allow', rules: [] }, action: 'allow' }] }, 'what was found in an earlier turn was not decided on');
  t.match(await call(['explain', '--request', 'nobody', ...config]), { code: 1, err: /no exchange "nobody" in / });
  t.match(await call(['explain', '--request', screened.headers.get('x-weir-request-id')!, ...config]), { code: 1, out: /warning {2}the entry holds several decisions/ });

  const diff = await call(['diff', 'bot', 'open', '--tenant', 'one', '--since', '1h', ...config]);
  t.equal(diff.code, 0);
  t.match(short(diff.out), /^bot@[0-9a-f]{12} → open@[0-9a-f]{12}\n4 exchanges in data\/audit, 7 decisions: /);
  const counts = JSON.parse((await call(['diff', 'bot', join(dir, 'policies/open.yaml'), '--json', ...config])).out);
  t.match(counts, { exchanges: 4, decisions: 7, reasons: { 'no facts': 1 }, actions: [{ from: 'redact', to: 'block' }], rules: [{ from: 'mail', to: 'all' }] });
  t.ok(counts.actions[0].examples.some((one: { request_id: string; direction: string }) => one.request_id === mail && one.direction === 'input'));
  t.ok(counts.same >= 1 && !counts.actions[0].examples.some((one: { request_id: string; direction: string }) => one.request_id === plain && one.direction === 'input'));
  t.match(JSON.parse((await call(['diff', 'bot', 'bot', '--json', ...config])).out), { changed: 0, rules: [] }, 'a policy differs from itself in nothing');
  t.match(JSON.parse((await call(['diff', 'bot', 'other', '--json', ...config])).out).reasons, { score: Number }, 'scores of who was not asked are not guessed');
  t.match(JSON.parse((await call(['diff', 'bot', 'open', '--limit', '1', '--json', ...config])).out), { exchanges: 1 });
  t.match(JSON.parse((await call(['diff', 'bot', 'open', '--until', '2020-01-01', '--json', ...config])).out), { exchanges: 0, decisions: 0 });
  t.match(await call(['diff', 'bot', 'open', '--json', ...config], { isTerminal: true }), { err: '\r\u001b[K' });

  writeFileSync(join(dir, 'old.yaml'), BOT + CASES);
  writeFileSync(join(dir, 'policies/bot.yaml'), BOT);
  t.match(await call(['explain', '--request', mail, ...config]), { code: 1, err: /was decided by bot@[0-9a-f]{12}, and what is here is bot@[0-9a-f]{12}; name a file of that revision with --policy/ });
  t.equal((await call(['explain', '--request', mail, '--policy', join(dir, 'old.yaml'), ...config])).code, 0);
  rmSync(join(dir, 'old.yaml'));
});
