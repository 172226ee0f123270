/** YAML reading: places, and every hostile file refused with a line and a column. */
import t from 'tap';
import { YAML_LIMITS, formatPath, readYaml, type Path } from '../../src/config/yaml.ts';

const PLACED = `# a comment
proxy:
  port: 1
"b c": [1, "two", {k: v}]
list:
  - name: x
  -
text: |
  block
ref: &r {a: 1}
same: *r
`;

const places: readonly (readonly [path: Path, value: string, key: string])[] = [
  [[], '2:1', '2:1'],
  [['proxy'], '3:3', '2:1'],
  [['proxy', 'port'], '3:9', '3:3'],
  [['b c'], '4:8', '4:1'],
  [['b c', 1], '4:12', '4:12'],
  [['b c', 2, 'k'], '4:23', '4:20'],
  [['list', 0, 'name'], '6:11', '6:5'],
  [['text'], '9:1', '8:1'],
  [['same'], '11:7', '11:1'],
  [['same', 'a'], '10:13', '10:10'],
  [['proxy', 'nothing'], '2:1', '2:1'],
  [['nothing'], '2:1', '2:1'],
];

t.test('every key, value and element has its place', async (t) => {
  for (const source of [PLACED, PLACED.replaceAll('\n', '\r\n'), `\uFEFF${PLACED}`]) {
    const document = readYaml(source, 'x.yaml');
    t.same(document.issues, []);
    for (const [path, value, key] of places) {
      t.equal(show(document.at(path)), value, `${formatPath(path)} value`);
      t.equal(show(document.at(path, 'key')), key, `${formatPath(path)} key`);
    }
  }
});

t.test('JSON is YAML, and core types are those of YAML 1.2', async (t) => {
  t.same(readYaml('{"a":1,"b":[true,null,"x"]}', 'x').value, { a: 1, b: [true, null, 'x'] });
  t.same(readYaml('a: yes\nb: 010\nc: 0x10\nd: 2030-01-31', 'x').value, { a: 'yes', b: 10, c: 16, d: '2030-01-31' });
});

t.test('an empty file has no value and no issue', async (t) => {
  for (const source of ['', '\n\n', '# only a comment\n']) {
    const document = readYaml(source, 'x');
    t.equal(document.value, undefined);
    t.same(document.issues, []);
    t.equal(show(document.at(['a', 0])), '1:1');
  }
});

t.test('a key named __proto__ is an ordinary key', async (t) => {
  const { value } = readYaml('__proto__: {polluted: true}\na: 1', 'x') as { value: object };
  t.same(Object.keys(value), ['__proto__', 'a']);
  t.equal(({} as Record<string, unknown>).polluted, undefined);
});

const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`)].join('\n');

const refused: readonly (readonly [name: string, source: string, place: string, message: RegExp])[] = [
  ['a tab as indentation', 'a:\n\t- b', '2:1', /tab/],
  ['an unclosed list', 'a: [1', '1:6', /unexpected end/],
  ['a duplicate key', 'a: 1\nb: 2\na: 3', '3:1', /key a is given twice/],
  ['a nested duplicate key', 'a:\n  b: {c: 1, c: 2}', '2:13', /key c is given twice/],
  ['a quoted duplicate key', 'a: 1\n"a": 2', '2:1', /key a is given twice/],
  ['a key that is a list', '? [a]\n: 1', '1:3', /plain text/],
  ['an unknown alias', 'a: *zz', '1:4', /zz/],
  ['an alias of its own parent', 'a: &a [*a]', '1:8', /inside what it names/],
  ['an anchor bomb', bomb, '6:30', /more than 500000 values/],
  ['too many aliases', `a: &a 1\nb: [${Array(101).fill('*a').join(', ')}]`, '2:405', /more than 100 aliases/],
  ['too deep', `${'['.repeat(200)}${']'.repeat(200)}`, '1:128', /nesting/],
  ['an unknown tag', 'a: !!js/function "x"', '1:4', /tag/],
  ['a second document', 'a: 1\n---\nb: 2', '3:1', /second document/],
  ['a NUL', 'a: \0', '1:4', /null byte/],
  ['ten megabytes', `a: ${'x'.repeat(10 * 1024 * 1024)}`, '1:1', /10485763 bytes, the limit is 1048576/],
];

for (const [name, source, place, message] of refused) {
  t.test(`refused: ${name}`, async (t) => {
    const started = performance.now();
    const { value, issues, at } = readYaml(source, 'x.yaml');
    t.ok(performance.now() - started < 1000, 'at once');
    t.equal(value, undefined);
    t.equal(show(issues[0]), place);
    t.match(issues[0].message, message);
    t.match(issues[0], { file: 'x.yaml', severity: 'error' });
    t.equal(show(at(['a'])), '1:1', 'asking for a place is harmless');
  });
}

t.test('all duplicate keys are reported at once', async (t) => {
  const { issues } = readYaml('a: 1\na: 2\nb: 1\nb: 2', 'x');
  t.same(issues.map(show), ['2:1', '4:1']);
});

t.test('the limits are those given', async (t) => {
  t.match(readYaml('a: [1, 2, 3]', 'x', { ...YAML_LIMITS, nodesMax: 3 }).issues[0].message, /more than 3 values/);
  t.same(readYaml('a: [1, 2, 3]', 'x', { ...YAML_LIMITS, nodesMax: 5 }).issues, []);
  t.same(readYaml('aaaa', 'x', { ...YAML_LIMITS, bytesMax: 4 }).issues, []);
  t.match(readYaml('aaaaa', 'x', { ...YAML_LIMITS, bytesMax: 4 }).issues[0].message, /5 bytes/);
});

function show({ line, column }: { readonly line: number; readonly column: number }): string {
  return `${line}:${column}`;
}
