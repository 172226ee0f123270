/**
 * Policies tried over the API of a running Weir: what is answered is what the commands print, for files, stored
 * revisions and texts that are not stored; what is refused; and that nothing of it touches traffic or the store.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { policy } from '../../src/cli/policy.ts';
import { CASES_RUN_MAX } from '../../src/policy/trial.ts';
import { ask } from '../helpers/admin.ts';
import { blocking, openHouse, until, type House } from '../helpers/house.ts';

t.setTimeout(300_000);

const FILE = `policy: acme
message: No.
rules:
  - { id: word, priority: 1, when: { score: patterns.word, gte: 1 }, action: block }
  - { id: mail, priority: 2, when: { all: [ { score: pii.EMAIL, gte: 0.5 }, { not: { context: role, eq: tool } } ] }, action: redact }
  - { id: kids, priority: 3, direction: input, when: { context: surface, eq: kids }, action: warn }
patterns: [ { id: word, label: WORD, literal: [Fileword] } ]
cases:
  - { name: a mail, direction: output, text: 'to ana@example.com', expect: { action: redact, rules: [mail], text: 'to [EMAIL]' } }
  - { name: a word, direction: input, text: a Fileword, expect: { action: allow } }
  - { name: a score, direction: input, scores: { pii.EMAIL: 0.9 }, expect: { action: redact, rules: [mail] } }
`;

async function printed(house: House, ...args: readonly string[]): Promise<any> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  await policy.run([...args, '--json', '--config', join(house.dir, 'weir.yaml')], io);
  if (err !== '') throw new Error(err);
  return JSON.parse(out);
}

const post = (house: House, path: string, body: object | string = ''): ReturnType<House['api']> => house.api('POST', path, typeof body === 'string' ? body : JSON.stringify(body), 'application/json');

/** Without what differs from run to run. */
function untimed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, part: unknown) => (key === 'took_ms' ? 0 : part)));
}

t.test('an explanation is what weir policy explain prints', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE } });
  const calls: readonly (readonly [object, readonly string[]])[] = [
    [{ text: 'a Fileword to ana@example.com' }, ['a Fileword to ana@example.com']],
    [{ text: 'to ana@example.com', direction: 'output' }, ['to ana@example.com', '--direction', 'output']],
    [{ text: 'to ana@example.com', context: { role: 'tool', surface: 'kids' } }, ['to ana@example.com', '--context', 'role=tool', '--context', 'surface=kids']],
    [{ scores: { 'pii.EMAIL': 0.7 } }, ['--score', 'pii.EMAIL=0.7']],
    [{ text: 'to ana@example.com', scores: { 'pii.EMAIL': 'unknown' } }, ['to ana@example.com', '--score', 'pii.EMAIL=unknown']],
    [{ scores: { 'pii.EMAIL': 'unknown' }, fail_mode: 'open', context: { age: 7, known: true } }, ['--score', 'pii.EMAIL=unknown', '--fail-mode', 'open', '--context', 'age=7', '--context', 'known=true']],
  ];
  const both = async (named: string, body: object, args: readonly string[]): Promise<void> => {
    const { status, body: answer } = await post(house, '/acme/explain', body);
    t.equal(status, 200, JSON.stringify(answer).slice(0, 200));
    t.same(answer, await printed(house, 'explain', ...args, '--policy', named), `${named}: ${args.join(' ')}`);
  };
  for (const [body, args] of calls) await both('acme', body, args);
  t.match((await post(house, '/acme/explain', calls[0]![0])).body, { policy: /^acme@[0-9a-f]{12}$/, action: 'block', triggered_rules: ['word'], rules: [{ rule: 'word', state: 'true', trace: { scores: [1] } }, { state: 'not_reached' }, {}] });

  await house.api('PUT', '/acme', FILE.replace('Fileword]', 'Heron]'));
  await house.api('PUT', '/acme?parent=1', FILE.replace('Fileword]', 'Osprey]'));
  for (const [body, args] of calls) await both('acme', body, args);
  const birds = 'Fileword, Heron, Osprey';
  t.match((await post(house, '/acme/explain', { text: birds, revision: 1 })).body, { policy: 'acme@1' });
  await both('acme@1', { text: birds, revision: 1 }, [birds]);
  t.same((await post(house, '/acme/explain', { text: 'a Heron', revision: 1 })).body.action, 'block');
  t.same((await post(house, '/acme/explain', { text: 'a Heron' })).body.action, 'allow', 'the newest counts');

  const source = FILE.replace('Fileword]', 'Plover]');
  writeFileSync(join(house.dir, 'unsaved.yaml'), source);
  await both(join(house.dir, 'unsaved.yaml'), { text: 'a Plover', source }, ['a Plover']);
  t.equal((await house.api('GET', '/acme')).body.number, 2, 'nothing is stored');
  t.equal(await house.chat('a Plover'), 200, 'and nothing enforced');
  const odd = 'a\u0085\u007f\ufffe \ud83d\ude00 Osprey';
  t.equal((await post(house, '/acme/explain', { text: odd })).body.action, 'block', 'a text may hold what YAML does not take');
});

t.test('a recorded exchange is explained as weir policy explain --request does, by the revision that decided', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE } });
  const { adminUrl, token } = house;
  await house.chat('a Fileword');
  await house.chat('to ana@example.com');
  await house.api('PUT', '/acme', FILE.replace('Fileword]', 'Heron]'));
  await house.chat('a Heron to ana@example.com');
  await house.api('PUT', '/acme?parent=1', FILE.replace('Fileword]', 'Osprey]'));
  const found = async (): Promise<readonly { readonly index: number; readonly request_id: string; readonly policy: string }[]> => (await ask(adminUrl, '/api/v1/audit?kind=exchange', { token })).body.entries;
  await until(async () => (await found()).length === 3, 'the exchanges on disk');
  const entries = await found();
  for (const { index, request_id: id, policy: decided } of entries) {
    const { status, body } = await ask(adminUrl, `/api/v1/audit/${index}/explain`, { token });
    t.equal(status, 200, JSON.stringify(body).slice(0, 200));
    t.same(body, await printed(house, 'explain', '--request', id, ...(decided === 'acme@1' ? [] : ['--policy', join(house.dir, 'policies/acme.yaml')])), decided);
  }
  t.match((await ask(adminUrl, `/api/v1/audit/${entries[0]!.index}/explain`, { token })).body.decisions, [{ direction: 'input', policy: 'acme@1', recorded: { action: 'block', rules: ['word'] }, action: 'block', problem: undefined, rules: [{ rule: 'word', state: 'true' }, {}, {}] }]);
  writeFileSync(join(house.dir, 'policies/acme.yaml'), FILE.replace('Fileword]', 'Kite]'));
  await until(async () => (await ask(adminUrl, `/api/v1/audit/${entries[2]!.index}/explain`, { token })).status === 409, 'the file is another one');
  t.match(await ask(adminUrl, `/api/v1/audit/${entries[2]!.index}/explain`, { token }), { body: { error: { code: 'not_explained', message: /that revision is not here any more/ } } });
  t.equal((await ask(adminUrl, `/api/v1/audit/${entries[0]!.index}/explain`, { token })).status, 200, 'the store keeps its own');
});

t.test('what becomes of a text: its explanation, what was found, what comes out', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE } });
  const { body } = await post(house, '/acme/screen', { text: 'to ana@example.com', direction: 'output' });
  const { results, text, ...explanation } = body;
  t.same(explanation, (await post(house, '/acme/explain', { text: 'to ana@example.com', direction: 'output' })).body);
  t.equal(text, 'to [EMAIL]');
  t.match(results.find(({ category }: { category: string }) => category === 'EMAIL'), { classifier_id: 'pii', label: 'EMAIL', spans: [{ start: 3, end: 18 }] });
  t.match(await post(house, '/acme/screen', { text: 'a Fileword' }), { status: 200, body: { action: 'block', text: '' } });
  t.match(await post(house, '/acme/screen', { scores: { 'pii.EMAIL': 1 } }), { status: 400, body: { error: { message: /text is missing/ } } });
});

t.test('cases are what weir policy test prints', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE } });
  const fromFile = (await post(house, '/acme/test')).body;
  t.match(fromFile, { ok: false, policies: [{ policy: 'acme', cases: [{ name: 'a mail', state: 'PASS' }, { name: 'a word', state: 'FAIL', explanation: [{ rule: 'word' }] }, { state: 'PASS' }], uncovered: ['kids'] }] });
  t.same(untimed(fromFile), untimed(await printed(house, 'test')));
  await house.api('PUT', '/acme', FILE.replace('expect: { action: allow }', 'expect: { action: block, rules: [word] }'));
  const stored = (await post(house, '/acme/test', {})).body;
  t.match(stored, { ok: true, policies: [{ file: 'store:acme@1', revision: '1' }] });
  t.same(untimed(stored), untimed(await printed(house, 'test')));
  t.same(untimed((await post(house, '/acme/test', { filter: 'a mail' })).body), untimed(await printed(house, 'test', '--filter', 'a mail')));
  await house.api('PUT', '/acme?parent=1', FILE);
  t.same(untimed((await post(house, '/acme/test', { revision: 1 })).body), untimed(stored));
  t.same(untimed(await printed(house, 'test', 'acme', '--revision', '1')), untimed(stored));
  t.match((await post(house, '/acme/test', { source: FILE, cases: [{ name: 'other', direction: 'input', text: 'a Fileword', expect: { action: 'block' } }] })).body, { ok: true, policies: [{ file: '(source)', cases: [{ name: 'other', state: 'PASS' }], uncovered: ['mail', 'kids'] }] });
  const many = `${blocking('x')}cases:\n${Array.from({ length: CASES_RUN_MAX + 1 }, (_, at) => `  - { name: c${at}, direction: input, scores: { patterns.word: 1 }, expect: { action: block } }\n`).join('')}`;
  t.match(await post(house, '/acme/test', { source: many }), { status: 400, body: { error: { code: 'invalid_request', message: /^501 cases, the limit is 500 here; choose some by filter/ } } });
  t.match((await post(house, '/acme/test', { source: many.replace(/ {2}- \{ name: c500.*\n/, '') })).body, { ok: true, policies: [{ cases: { length: CASES_RUN_MAX } }] }, 'at the limit');
});

t.test('recorded decisions are compared as weir policy diff does', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE }, config: { audit: { durability: 'strict' } } });
  for (const text of ['a Fileword', 'nothing', 'to ana@example.com', 'to ben@example.com']) await house.chat(text);
  const source = FILE.replace('action: redact', 'action: block');
  writeFileSync(join(house.dir, 'unsaved.yaml'), source);
  const { status, body } = await post(house, '/acme/compare', { source });
  t.equal(status, 200);
  t.same(body, await printed(house, 'diff', 'acme', join(house.dir, 'unsaved.yaml')));
  t.match(body, { exchanges: 4, changed: 2, actions: [{ from: 'redact', to: 'block', count: 2 }] });
  t.match((await post(house, '/acme/compare', { source, limit: 1 })).body, { exchanges: 1, decisions: 2 });
  t.match((await post(house, '/acme/compare', { source, until: '2020-01-01' })).body, { exchanges: 0 });
  t.match((await post(house, '/acme/compare', { source, since: '2020-01-01T00:00:00Z', tenant: 'default' })).body, { exchanges: 4 });
  t.match(await post(house, '/acme/compare', { source, tenant: 'stranger' }), { status: 400, body: { error: { message: /no such tenant/ } } });
  await house.api('PUT', '/acme', source);
  await house.api('PUT', '/acme?parent=1', FILE);
  t.match((await post(house, '/acme/compare', { from: 1, to: 2 })).body, { from: 'acme@1', to: 'acme@2', exchanges: 4 });
  t.same((await post(house, '/acme/compare', { from: 1, to: 2 })).body, await printed(house, 'diff', 'acme@1', 'acme@2'));
  t.same((await post(house, '/acme/compare', { from: 1, to: 2 })).body, await printed(house, 'diff', 'acme', '--revision', '1'));
  t.equal((await post(house, '/acme/compare', { to: 9 })).status, 404);
  t.equal((await post(house, '/acme/compare', { from: 9, to: 1 })).status, 404);
});

t.test('what cannot be tried is refused with its places', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE } });
  const refusals: readonly (readonly [path: string, body: object | string, status: number, issue: object | undefined])[] = [
    ['/acme/explain', '', 400, { message: 'expected text or scores' }],
    ['/acme/explain', '{"txet": "x"}', 400, { line: 1, column: 2, path: 'txet', suggestion: 'did you mean text?' }],
    ['/acme/explain', '{"text": "x", "direction": "inward"}', 400, { path: 'direction' }],
    ['/acme/explain', '{"text": "x", "scores": {"pii": 1}}', 400, { message: 'expected classifier.category' }],
    ['/acme/explain', '[', 400, { line: 1 }],
    ['/acme/explain', { text: 'x', revision: 1, source: FILE }, 400, { message: /not both/ }],
    ['/acme/explain', { text: 'x'.repeat(1_000_001) }, 400, { path: 'text' }],
    ['/acme/explain', { text: 'x', revision: 1 }, 404, undefined],
    ['/nobody/explain', { text: 'x' }, 404, undefined],
    ['/acme/explain', { text: 'x', source: 'policy: acme\nrulez: []\n' }, 422, { line: 2, path: 'rulez' }],
    ['/acme/explain', { text: 'x', source: blocking('x', 'other') }, 422, { message: 'the text is of policy other, not of acme' }],
    ['/acme/explain', { text: 'x', source: blocking('x').replace('literal: [x]', "regex: '(a+'") }, 422, { severity: 'error' }],
    ['/acme/test', { revision: 1, source: FILE }, 400, { message: /not both/ }],
    ['/acme/test', { cases: [] }, 400, { path: 'cases' }],
    ['/acme/test', { revision: 1 }, 404, undefined],
    ['/acme/compare', {}, 400, { message: 'expected to or source, one of them' }],
    ['/acme/compare', { to: 1, since: '2020-13-01' }, 400, { path: 'since', message: 'no such time' }],
    ['/acme/compare', { to: 1, since: 'yesterday' }, 400, { path: 'since' }],
  ];
  for (const [path, body, status, issue] of refusals) {
    const answer = await post(house, path, body);
    const what = `${path} ${JSON.stringify(body).slice(0, 60)}`;
    t.equal(answer.status, status, what);
    if (issue !== undefined) t.match(answer.body.issues[0], issue, what);
    t.notOk(JSON.stringify(answer.body).includes('xxxx'), 'no text');
  }
  await house.api('PUT', '/acme', FILE);
  await house.api('DELETE', '/acme');
  t.match(await post(house, '/acme/explain', { text: 'x', revision: 2 }), { status: 404, body: { error: { message: /is its retirement/ } } });
  t.equal((await post(house, '/acme/explain', { text: 'x' })).status, 200, 'the file counts again');
  t.equal((await house.api('POST', '/acme/explain', '{"text":"x"}', 'application/json', 'weir_admin_wrong')).status, 401);
});

t.test('trials wait for each other, and not too many', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE } });
  const many = `${blocking('x')}cases:\n${Array.from({ length: 400 }, (_, at) => `  - { name: c${at}, direction: output, text: 'a text of some length, cut in many ways', expect: { action: allow } }\n`).join('')}`;
  const statuses = await Promise.all(Array.from({ length: 12 }, async () => (await post(house, '/acme/test', { source: many })).status));
  t.same([...new Set(statuses)].sort(), [200, 429]);
  t.ok(statuses.filter((status) => status === 200).length >= 8);
  t.equal((await post(house, '/acme/explain', { text: 'x' })).status, 200, 'and then there is room again');
});

t.test('a process without the store sends one to the one that has it', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': FILE }, config: { roles: ['proxy'] } });
  t.match(await post(house, '/acme/explain', { text: 'x' }), { status: 501, body: { error: { code: 'no_store' } } });
});
