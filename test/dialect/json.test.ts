/** Strict JSON: what is refused though JSON.parse takes it, what passes, and splicing that leaves all else alone. */
import fc from 'fast-check';
import t from 'tap';
import { readJson, spliceText, type JsonPath } from '../../src/dialect/json.ts';
import { runs, seed } from '../helpers/runs.ts';

const limits = { depthMax: 64, itemsMax: 1000 };
const read = (text: string | Buffer) => readJson(Buffer.from(text as string), limits);

t.test('refuses what two readers could read differently', async (t) => {
  const cases: readonly [string | Buffer, string][] = [
    ['{"a":1,"a":2}', 'duplicate_key'], ['{"content":1,"c\\u006fntent":2}', 'duplicate_key'], ['[{"x":{"a":1,"b":[],"a" : 2}}]', 'duplicate_key'], ['{"__proto__":1,"__proto__":2}', 'duplicate_key'],
    [Buffer.from([0x22, 0xff, 0x22]), 'invalid_utf8'], [Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'invalid_utf8'], [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'invalid_utf8'], ['\uFEFF{}', 'invalid_utf8'], [Buffer.from('{}', 'utf16le'), 'invalid_json'],
    ['"\\ud800"', 'invalid_utf8'], ['"\\udc00\\ud800"', 'invalid_utf8'], ['{"\\ud83d":1}', 'invalid_utf8'],
    ['1e400', 'invalid_json'], [`[1${'0'.repeat(400)}]`, 'invalid_json'], ['[1e1e1]', 'invalid_json'], ['[-1E+999]', 'invalid_json'], ['{"a":1.5e3000}', 'invalid_json'],
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
  t.equal(document.splice([]), document.bytes);
  t.equal(document.splice([{ path: ['b', 2, 'd'], value: 'new "d"' }, { path: ['a'], value: 'é' }, { path: ['b', 1], value: null }]).toString(), '{ "a" : "é" , "b":[1, null ,{"c":"z","\\u0064":"new \\"d\\""}], "e":{}, "f":[[],[ "q" ]] }');
  t.equal(spliceText('[["a"],["b"]]', [{ path: [1], value: null }]), '[["a"],null]');
  t.equal(spliceText('{"a":1,"a":"x"}', [{ path: ['a'], value: 'y' }]), '{"a":1,"a":"y"}');
  t.equal(spliceText('"x"', [{ path: [], value: 'y' }]), '"y"');
  t.equal(spliceText('12', [{ path: [], value: 'y' }]), '"y"');
  for (const path of [['zz'], ['a', 'b'], ['b', 9], ['a', 0], ['e', 'x'], ['f', 0, 0]] as JsonPath[]) t.throws(() => document.splice([{ path, value: '' }]), /in the JSON text/);
});

t.test('splices names, many places at once, and leaves out what stands in a value that is replaced', async (t) => {
  t.equal(spliceText('{"a":{"b":"c"}, "d\\u0061":1}', [{ path: ['a', 'b'], value: 'x' }, { path: ['a'], value: 'y', key: true }, { path: ['da'], value: 'z', key: true }]), '{"y":{"b":"x"}, "z":1}');
  t.equal(spliceText('{"a":{"b":"c"},"d":1}', [{ path: ['a', 'b'], value: 'x' }, { path: ['a'], value: null }]), '{"a":null,"d":1}');
  t.equal(spliceText('{"a":1,"a":{"b":2}}', [{ path: ['a', 'b'], value: 3 }]), '{"a":1,"a":{"b":3}}', 'of two names the last one counts');
  t.equal(spliceText('[ [1 , 2], [ ] ,3]', [{ path: [2], value: [] }, { path: [0, 1], value: 'x' }]), '[ [1 , "x"], [ ] ,[]]');
});

t.test('takes time in proportion to the size, whatever is written', async (t) => {
  const large = { depthMax: 64, itemsMax: 200_000 };
  const CALLS_MS = 8_000; // a tenth of that on an idle machine; what is not in proportion takes minutes
  const repeat = (unit: string, bytes: number): string => unit.repeat(Math.ceil(bytes / unit.length));
  const bodies: Readonly<Record<string, string>> = {
    'strings without a backslash': `[${Array.from({ length: 190_000 }, () => '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"').join(',')}]`, 'a backslash at the end': `[${Array.from({ length: 190_000 }, () => '"xxxxxxxx"').join(',')},"\\n"]`, 'escaped quotes': `["${repeat('\\"', 4_000_000)}"]`, 'exponents in a row': `[${repeat('1e', 5_000_000)}]`,
    'backslashes': `["${repeat('\\', 5_000_000)}`, 'digits': `[${repeat('1', 5_000_000)}]`, 'white space': `[${repeat(' ', 5_000_000)}]`, 'names': `{${Array.from({ length: 190_000 }, (_, i) => `"k${i}":0`).join(',')}}`, 'surrogates': `["${repeat('\\ud83d\\ude00', 4_000_000)}"]`,
  };
  for (const [what, text] of Object.entries(bodies)) {
    const startMs = performance.now();
    try {
      readJson(Buffer.from(text), large);
    } catch {}
    t.ok(performance.now() - startMs < CALLS_MS, `${what}: ${Math.round(performance.now() - startMs)} ms`);
  }
  const messages = Array.from({ length: 60_000 }, () => ({ content: 'a@b.co' }));
  const startMs = performance.now();
  const spliced = spliceText(JSON.stringify({ messages }), messages.map((_, i) => ({ path: ['messages', i, 'content'], value: 'x' })));
  t.ok(performance.now() - startMs < CALLS_MS, `60,000 places: ${Math.round(performance.now() - startMs)} ms`);
  t.equal(spliced, JSON.stringify({ messages: messages.map(() => ({ content: 'x' })) }));
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
    if (path.length === 0) return JSON.parse(spliceText(source, [{ path, value: text }])) === text;
    const holder = path.slice(0, -1).reduce((at: any, step) => at[step], expected);
    Object.defineProperty(holder, path.at(-1) as string, { value: text, enumerable: true, writable: true, configurable: true });
    return JSON.stringify(JSON.parse(spliceText(source, [{ path, value: text }]))) === JSON.stringify(expected);
  }), { numRuns: runs(2_000), seed });
  t.pass(`seed ${seed}`);
});

t.test('a value that is replaced whole is not changed inside, in whatever order the edits come', async (t) => {
  const inner = { path: ['a', 0], value: 'x' } as const;
  const outer = { path: ['a'], value: null } as const;
  t.equal(spliceText('{"a":["b","c"]}', [inner, outer]), '{"a":null}');
  t.equal(spliceText('{"a":["b","c"]}', [outer, inner]), '{"a":null}');
  t.equal(spliceText('"b"', [{ path: [], value: 'x' }, { path: [], value: 'x' }]), '"x"');
});
