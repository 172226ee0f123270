/**
 * Pattern files: every shipped pattern does what its examples say, and every mistake in a file is found at its line and
 * column. Also what goes on from there: sets and literal files in policies, files of one's own for a classifier.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { patternSets, validators } from '../../plugins/pii/index.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parsePatterns, SHIPPED_DIR, SHIPPED_SETS, shippedSet, verifyPatterns, withoutDisabled, type ParsedPatterns } from '../../src/config/patterns.ts';
import { ConfigError } from '../../src/contract/errors.ts';
import { compilePatterns, failingExamples, scanText } from '../../src/match/set.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { ClassifierPool, loadRuntime } from '../../src/runtime.ts';
import { compilePlan } from '../../src/screen/plan.ts';

t.test('shipped sets', async (t) => {
  t.same(readdirSync(SHIPPED_DIR).filter((file) => file.endsWith('.yaml')).sort(), SHIPPED_SETS.map((set) => `${set}.yaml`).sort());
  const ids = new Set<string>();
  for (const set of SHIPPED_SETS) {
    const source = readFileSync(join(SHIPPED_DIR, `${set}.yaml`), 'utf8');
    const { file, issues } = parsePatterns(source, set, validators);
    t.same(issues, [], set);
    t.equal(file?.name, set);
    t.same(new Set(file?.patterns.map(({ category }) => category)), new Set(file?.categories.map(({ id }) => id)), `${set}: every category has a pattern`);
    for (const definition of file?.patterns ?? []) {
      t.notOk(ids.has(definition.id), `${definition.id} is there once`);
      ids.add(definition.id);
      t.ok((definition.matches?.length ?? 0) > 0 && (definition.ignores?.length ?? 0) > 0, `${definition.id} has examples`);
    }
    t.same(failingExamples((file?.patterns ?? []).map((definition) => ({ classifier: set, definition, holds: true }))), [], `${set}: examples`);
  }
});

const HEAD = "set: own\ncategories: { A: a thing }\nparts: { num: '\\d{2}' }\npatterns:\n  - { id: a, category: A, label: A, description: d, ";

/** The rest of an entry, and `line:column message (suggestion)`. */
const MISTAKES: readonly (readonly [entry: string, finding: string])[] = [
  ["regex: 'x', colour: red }", '5:65 unknown key colour'],
  ["regex: 'x', boundry: none }", '5:65 unknown key boundry (did you mean boundary?)'],
  ["regex: 'x', validate: lunh }", '5:75 no validator lunh (did you mean luhn?)'],
  ["regex: 'x{nun}' }", '5:62 no part nun (did you mean num?)'],
  ["regex: 'x{num}(a' }", '5:67 this group is not closed'],
  ["regex: '''{num}(?<=ab)' }", '5:68 a look-around sees exactly one character: a character, a class, $ or ^, or alternatives of these'],
  ["regex: 'x{num}a**' }", '5:69 a quantifier cannot follow a quantifier; put the first in a group (?:…)'],
  ['regex: "x\\u0028" }', '5:60 this group is not closed'],
  ["regex: 'a)|(b' }", '5:62 this closing parenthesis has no opening one; write \\) for the character'],
  ['literal: x, regex: x }', '5:5 expected either regex: or literal:'],
  ['literal: 3 }', '5:62 expected a text or a list of texts, got a number'],
  ["regex: 'x', boundary: wrod }", '5:75 expected one of word, before, none (did you mean word?)'],
  ["regex: 'x', context: { before: [], chars: 10 } }", '5:84 expected at least 1 entry'],
  ["regex: 'x', context: { before: [a], chars: 65 } }", '5:96 expected a whole number from 1 to 64, got 65'],
  ["regex: 'x' }\n  - { id: a, category: A, label: A, description: d, regex: 'y' }", '6:11 a second pattern a (the first is pattern number 1)'],
  ["regex: 'x' }\n  - { id: b, category: B, label: A, description: d, regex: 'y' }", '6:24 no category B under categories (did you mean A?)'],
];

const brief = ({ issues }: ParsedPatterns): readonly string[] => issues.map(({ line, column, message, suggestion }) => `${line}:${column} ${message}${suggestion === undefined ? '' : ` (${suggestion})`}`);

t.test('every mistake is found at its place', async (t) => {
  for (const [entry, finding] of MISTAKES) {
    const parsed = parsePatterns(HEAD + entry, 'own.yaml');
    t.same([brief(parsed), parsed.file], [[finding], undefined], entry);
  }
  t.match(brief(parsePatterns('set: own', 'own.yaml')).join('; '), /categories is missing.*patterns is missing/);
});

t.test('a file of one’s own is held to its examples', async (t) => {
  const verify = (entry: string): readonly string[] => brief(verifyPatterns(HEAD + entry, 'own.yaml'));
  t.same(verify("regex: 'x{num}', matches: [x12], ignores: [x1, x123, ax12] }"), []);
  t.match(verify("regex: 'x{num}', matches: [x1] }"), [/^5:5 the example "x1" under matches is not matched$/]);
  t.match(verify("regex: 'x*y' }"), [/^5:5 a repetition without an upper bound/]);
});

t.test('boundaries, context and several validators', async (t) => {
  const found = (entry: string, text: string): readonly string[] => {
    const { file, issues } = parsePatterns(HEAD + entry, 'own.yaml');
    if (file === undefined) throw new ConfigError(issues);
    const set = compilePatterns(file.patterns.map((definition) => ({ classifier: 'own', definition, holds: true })));
    return scanText(set, text).map(({ start, end }) => text.slice(start, end));
  };
  t.same(found("regex: '{num}|ab' }", '12 x34 5a 78, _90 电12话 ab abc'), ['12', '78', '12', 'ab'], 'a Han character is no neighbour that counts');
  t.same(found("regex: '{num}', boundary: before }", '12 x34 56a'), ['12', '56']);
  t.same(found("regex: '{num}', boundary: none }", 'x34'), ['34']);
  t.same(found("regex: '{num}', not_before: '.-', not_after: '%' }", '.12 -34 56% 78'), ['78']);
  t.same(found("regex: '{num}', context: { before: [id no, '番号'] } }", '12, ID no. 34'), ['34']);
  t.same(found("regex: '{num}', context: { before: [id no] } }", 'grid no 12, id node 34, ID-NO: 56'), ['56']);
  t.same(found("regex: '{num}', context: { before: [id], chars: 4 } }", `id 12 id ${'.'.repeat(4)}34 grid 56`), ['12']);
  t.same(found("regex: '{num}', context: { before: ['番号'] } }", '個人番号12'), ['12'], 'a script without spaces needs no boundary');
  t.same(found("regex: '{num}{num}', validate: [luhn, digit] }", '1230 1231'), ['1230']);
});

t.test('what is disabled is left out with its category', async (t) => {
  const files = patternSets.map((set) => shippedSet(set, validators));
  const { files: kept, unknown } = withoutDisabled(files, ['EMAIL', 'bic', 'nope']);
  t.same(unknown, ['nope']);
  const patterns = kept.flatMap((file) => file.patterns.map(({ id }) => id));
  t.notOk(patterns.includes('email') || patterns.includes('bic'));
  t.notOk(kept.flatMap((file) => file.categories).some(({ id }) => id === 'EMAIL'));
  t.ok(kept.flatMap((file) => file.categories).some(({ id }) => id === 'BANK_ACCOUNT'));
  t.throws(() => shippedSet('contact'), ConfigError, 'telephone numbers need the validators of pii');
});

/** Writes files below a fresh folder and returns it. */
function folder(t: Test, files: Readonly<Record<string, string>>): string {
  const dir = t.testdir({});
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}

const OWN = "set: own\ncategories: { TICKET: A ticket. }\npatterns:\n  - { id: ticket, category: TICKET, label: TICKET, regex: 'TCK-\\d{6}', description: A ticket., matches: [TCK-123456], ignores: [TCK-12] }\n";
const configOf = (classifier: string): string => `upstreams: { up: { url: https://api.example.com/v1 } }\ntenants:\n  - { id: one, policy: main, upstream: up }\nclassifiers:\n  - { id: pii, plugin: pii, ${classifier} }\n`;

async function runtimeOf(t: Test, classifier: string, files: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const dir = folder(t, { 'weir.yaml': configOf(classifier), 'policies/main.yaml': 'policy: main\n', 'own.yaml': OWN, ...files });
  const pool = new ClassifierPool();
  try {
    return (await loadRuntime(join(dir, 'weir.yaml'), {}, pool)).classifiers.flatMap(({ categories }) => categories.map(({ id }) => id));
  } catch (error) {
    if (error instanceof ConfigError) return error.issues.map(({ line, column, message }) => `${line}:${column} ${message}`);
    throw error;
  } finally {
    await pool.close();
  }
}

t.test('the configuration says which patterns a classifier has', async (t) => {
  t.same(await runtimeOf(t, 'patterns: [contact, ./own.yaml], disable: [PHONE_NUMBER], names: false'), ['EMAIL', 'TICKET']);
  t.ok((await runtimeOf(t, 'disable: [EMAIL]')).includes('NATIONAL_ID'), 'the shipped sets unless named otherwise');
  t.match(await runtimeOf(t, 'patterns: [contcat]'), [/^5:\d+ contcat: no such/]);
  t.match(await runtimeOf(t, 'patterns: [none.yaml]'), [/^5:\d+ .*none\.yaml: no such file$/]);
  t.match(await runtimeOf(t, 'disable: [EMIAL]'), [/disable: no pattern or category EMIAL$/]);
  t.match(await runtimeOf(t, 'patterns: [own.yaml, own2.yaml]', { 'own2.yaml': OWN }), [/two of the pattern files have a pattern ticket$/]);
  t.match(await runtimeOf(t, 'patterns: [own.yaml]', { 'own.yaml': OWN.replace('\\d{6}', '(') }), [/^4:\d+ this group is not closed$/]);
});

const redacted = (source: string, text: string): readonly string[] => scanText(compilePlan(requirePolicy(source, 'p.yaml'), [], { file: 'p.yaml' }).patterns, text).map(({ pattern, start, end }) => `${pattern.definition.category} ${text.slice(start, end)}`);

t.test('a policy may name a shipped set and allow hosts', async (t) => {
  const policy = "policy: p\npattern_sets: [exfiltration]\nallow_hosts: [Example.com]\nrules: [ { id: r, when: { score: patterns.markdown-image, gte: 0.5 }, action: redact } ]\n";
  t.same(redacted(policy, 'a ![x](https://img.example.com/?d=secret) b'), []);
  t.same(redacted(policy, 'a ![x](https://example.net/?d=secret "t") b'), ['markdown-image ![x](https://example.net/?d=secret "t")', 'markdown-link [x](https://example.net/?d=secret "t")']);
  t.same(redacted(policy.replace('allow_hosts: [Example.com]\n', ''), '<https://example.com/?d=secret>'), ['autolink <https://example.com/?d=secret>']);
  t.throws(() => requirePolicy('policy: p\nallow_hosts: [example.com]', 'p'), /allow_hosts belongs to the set exfiltration/);
  t.throws(() => requirePolicy('policy: p\npattern_sets: [exfiltratoin]', 'p'), /did you mean exfiltration/);
  t.throws(() => requirePolicy('policy: p\npattern_sets: [contact]', 'p'), /needs validators of the plugin pii/);
  t.throws(() => requirePolicy('policy: p\npattern_sets: [exfiltration]\npatterns: [ { id: autolink, literal: x } ]', 'p'), /a pattern autolink is in one of the pattern_sets/);
  t.throws(() => requirePolicy('policy: p\npattern_sets: [exfiltration]\nallow_hosts: ["https://example.com"]', 'p'), /a host name without scheme/);
});

t.test('a pattern’s literals may stand in a file, one per line', async (t) => {
  const words = Array.from({ length: 10_000 }, (_, i) => `word${i}x`);
  const policy = 'policy: main\npatterns: [ { id: listed, literal_file: lists/blocked.txt, ignore_case: true } ]\n';
  const files = { 'weir.yaml': configOf('patterns: [own.yaml]'), 'own.yaml': OWN, 'policies/main.yaml': policy };
  const load = (dir: string) => loadConfig('weir.yaml', {}, { workingDir: dir });
  const dir = folder(t, { ...files, 'policies/lists/blocked.txt': `# names\r\n\r\n${words.join('\r\n')}\r\n` });
  const first = await load(dir);
  t.same(first.policies.get('main')?.patterns[0]?.literal, words);
  writeFileSync(join(dir, 'policies/lists/blocked.txt'), 'another\n');
  const second = await load(dir);
  t.not(second.hash, first.hash, 'a changed list is a change of the configuration');
  t.not(second.policies.get('main')?.revision, first.policies.get('main')?.revision, 'and of the policy');
  await t.rejects(load(folder(t, files)), /no such file/);
  await t.rejects(load(folder(t, { ...files, 'policies/lists/blocked.txt': '# nothing\n' })), /holds no literals/);
  await t.rejects(load(folder(t, { ...files, 'policies/lists/blocked.txt': 'x'.repeat(1001) })), /longer than 1000 characters/);
  for (const path of ['/etc/hosts', '../weir.yaml', 'a/../../b', 'C:x']) t.throws(() => requirePolicy(policy.replace('lists/blocked.txt', path), 'p'), /in the folder of the policy or below it/, path);
  t.throws(() => requirePolicy(policy, 'p'), /for policies in files only/);
  t.throws(() => requirePolicy(policy.replace('ignore_case: true', 'regex: x'), 'p'), /stands alone/);
});
