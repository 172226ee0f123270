/** Strict JSON: what is refused though JSON.parse takes it, what passes, and splicing that leaves all else alone. */
import fc from 'fast-check';
import t from 'tap';
import { readJson, spliceJson, spliceText, type JsonPath } from '../../src/dialect/json.ts';
import { runs, seed } from '../helpers/runs.ts';

const limits = { depthMax: 64, itemsMax: 1000 };
const read = (text: string | Buffer) => readJson(Buffer.from(text as string), limits);

t.test('refuses what two readers could read differently', async (t) => {
  const cases: readonly [string | Buffer, string][] = [
    ['{"a":1,"a":2}', 'duplicate_key'], ['{"content":1,"c\\u006fntent":2}', 'duplicate_key'], ['[{"x":{"a":1,"b":[],"a" : 2}}]', 'duplicate_key'], ['{"__proto__":1,"__proto__":2}', 'duplicate_key'],
    [Buffer.from([0x22, 0xff, 0x22]), 'invalid_utf8'], [Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'invalid_utf8'], [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'invalid_utf8'], ['\uFEFF{}', 'invalid_utf8'], [Buffer.from('{}', 'utf16le'), 'invalid_json'],
    ['"\\ud800"', 'invalid_utf8'], ['"\\udc00\\ud800"', 'invalid_utf8'], ['{"\\ud83d":1}', 'invalid_utf8'],
    ['1e400', 'invalid_json'], ['[-1E+999]', 'invalid_json'], ['{"a":1.5e3000}', 'invalid_json'],
    ['{"a":1}x', 'invalid_json'], ['{"a":1,}', 'invalid_json'], ["{'a':1}", 'invalid_json'], ['// c\n{}', 'invalid_json'], ['', 'invalid_json'], ['{"a":"\n"}', 'invalid_json'], ['"a', 'invalid_json'], ['{"a":NaN}', 'invalid_json'], ['"\\ud83', 'invalid_json'], ['{"a', 'invalid_json'], ['"\\', 'invalid_json'],
    [`${'['.repeat(65)}${']'.repeat(65)}`, 'json_too_deep'], ['{"a":'.repeat(70), 'json_too_deep'], [`[${'['.repeat(1e6)}`, 'json_too_deep'], [`[${'1,'.repeat(1000)}1]`, 'json_too_many_keys'], [`[${'{},'.repeat(501)}1]`, 'json_too_many_keys'],
  ];
  for (const [text, code] of cases) t.throws(() => read(text), { code }, String(text).slice(0, 40));
  t.match((() => { try { return read('{"a":1 2}'); } catch (error) { return (error as Error).message; } })(), /at character \d+/);
});

t.test('passes what is within the limits', async (t) => {
  for (const text of ['{"a":1,"b":{"a":2}}', '"\\ud83d\\ude00"', `${'['.repeat(64)}${']'.repeat(64)}`, `[${'1,'.repeat(998)}1]`, ' {"e":1e5,"f":true,"E":"1e999"} ', '9007199254740993', '"\\\\ud800"', '{"a":"x\\"y:","b":"\\\\"}']) {
    t.same(read(text).value, JSON.parse(text), text.slice(0, 30));
  }
});

t.test('splices strings and leaves every other byte', async (t) => {
  const document = read('{ "a" : "x" , "b":[1, "y\\u0041" ,{"c":"z","\\u0064":null}], "e":{}, "f":[[],[ "q" ]] }');
  t.equal(spliceJson(document, []), document.bytes);
  t.equal(spliceJson(document, [{ path: ['b', 2, 'd'], text: 'new "d"' }, { path: ['a'], text: 'é' }, { path: ['b', 1], text: null }]).toString(), '{ "a" : "é" , "b":[1, null ,{"c":"z","\\u0064":"new \\"d\\""}], "e":{}, "f":[[],[ "q" ]] }');
  t.equal(spliceText('[["a"],["b"]]', [{ path: [1], text: null }]), '[["a"],null]');
  t.equal(spliceText('{"a":1,"a":"x"}', [{ path: ['a'], text: 'y' }]), '{"a":1,"a":"y"}');
  t.equal(spliceText('"x"', [{ path: [], text: 'y' }]), '"y"');
  t.equal(spliceText('12', [{ path: [], text: 'y' }]), '"y"');
  for (const path of [['zz'], ['a', 'b'], ['b', 9], ['a', 0], ['e', 'x'], ['f', 0, 0]] as JsonPath[]) t.throws(() => spliceJson(document, [{ path, text: '' }]), /in the JSON text/);
});

function leaves(value: unknown, path: (string | number)[] = []): (string | number)[][] {
  if (typeof value === 'string') return [path];
  if (Array.isArray(value)) return value.flatMap((element, i) => leaves(element, [...path, i]));
  if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([key, member]) => leaves(member, [...path, key]));
  return [];
}

t.test('splicing any string leaf is the same as changing the value', async (t) => {
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), fc.string(), fc.nat(), fc.boolean(), (compact, text, pick, spaced) => {
    const source = spaced ? JSON.stringify(JSON.parse(compact), null, 2) : compact;
    const paths = leaves(JSON.parse(source));
    if (paths.length === 0) return true;
    const path = paths[pick % paths.length] as (string | number)[];
    const expected = JSON.parse(source);
    if (path.length === 0) return JSON.parse(spliceText(source, [{ path, text }])) === text;
    const holder = path.slice(0, -1).reduce((at: any, step) => at[step], expected);
    Object.defineProperty(holder, path.at(-1) as string, { value: text, enumerable: true, writable: true, configurable: true });
    return JSON.stringify(JSON.parse(spliceText(source, [{ path, text }]))) === JSON.stringify(expected);
  }), { numRuns: runs(2_000), seed });
  t.pass(`seed ${seed}`);
});
