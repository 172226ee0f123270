/** Environment variables in configuration values: what is taken, where, and what never happens. */
import t from 'tap';
import { readWithEnvironment } from '../../src/config/environment.ts';

const ENV = { NAME: 'value', EMPTY: '', PORT: '9000', EVIL: 'x }\nadmin: { host: 0.0.0.0', NEST: '${NAME}' };

const taken: readonly (readonly [source: string, value: unknown])[] = [
  ['a: ${NAME}', { a: 'value' }],
  ['a: x${NAME}y${PORT}', { a: 'xvaluey9000' }],
  ['{ a: ${NAME}, b: [ ${PORT} ] }', { a: 'value', b: ['9000'] }],
  ['a: ${NONE:-}', { a: '' }],
  ['a: ${EMPTY}', { a: '' }],
  ['a: ${EMPTY:-d}', { a: 'd' }],
  ['{ a: ${NONE:-https://example.com/v1?x=[1], #y}, b: 1 }', { a: 'https://example.com/v1?x=[1], #y', b: 1 }],
  ['a: "${NAME}"\nb: \'${NAME}\'\nc: |\n  ${NAME}\n', { a: 'value', b: 'value', c: 'value\n' }],
  ['a: ${NONE:-grün}', { a: 'grün' }],
  ['a: $NAME ${} ${1} $', { a: '$NAME ${} ${1} $' }],
  ['a: ${EVIL}', { a: ENV.EVIL }],
  ['a: ${NEST}', { a: '${NAME}' }],
  ['# ${NONE}\na: 1', { a: 1 }],
];

for (const [source, value] of taken) {
  t.test(JSON.stringify(source), async (t) => {
    const document = readWithEnvironment(source, 'x', ENV);
    t.same(document.issues, []);
    t.strictSame(plain(document.value), value);
  });
}

t.test('a variable that is not set is refused where it stands', async (t) => {
  const { issues } = readWithEnvironment('a: 1\nb:\n  - x: "${NONE} and ${ALSO}"', 'x', {});
  t.same(issues.map(({ line, column, path, message }) => [line, column, path, message]), [
    [3, 8, 'b[0].x', 'environment variable NONE is not set'],
    [3, 8, 'b[0].x', 'environment variable ALSO is not set'],
  ]);
  t.match(issues[0].suggestion, '${NONE:-}');
});

t.test('places are those of the file as written', async (t) => {
  const document = readWithEnvironment('{ a: ${NAME}, b: 2 }', 'x', ENV);
  t.same(document.at(['b']), { line: 1, column: 18 });
  t.equal(document.isExpanded(['a']), true);
  t.equal(document.isExpanded(['b']), false);
});

t.test('a variable in a key, and characters the mask needs, are refused', async (t) => {
  t.match(readWithEnvironment('a: 1\n${NAME}: 1', 'x', ENV).issues, [{ line: 2, column: 1, message: /cannot stand in a key/ }]);
  const reserved = readWithEnvironment('a: 1\nb: \uE041', 'x', ENV);
  t.match(reserved.issues, [{ line: 2, column: 4, message: /private use/ }]);
  t.equal(reserved.value, undefined);
  t.same([reserved.at([]), reserved.isExpanded([])], [{ line: 2, column: 4 }, false]);
});

t.test('a file that is no YAML keeps its issues', async (t) => {
  t.match(readWithEnvironment('a: [', 'x', ENV).issues, [{ line: 1 }]);
});

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
