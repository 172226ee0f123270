/**
 * The pattern language: what it reads, what it refuses and where, and that V8's own engine agrees on the sublanguage
 * that both have. Then sets of patterns: limits, literals by the thousand, examples.
 */
import fc from 'fast-check';
import t from 'tap';
import type { PatternDefinition } from '../../src/contract/classifier.ts';
import { charSet, complementOf, contains, foldCase, toUnits, unicodeProperty } from '../../src/match/charset.ts';
import { GROUP_DEPTH_MAX, holdOf, widthOf, lengthOf, parsePattern, PATTERN_CHARS_MAX, PatternError } from '../../src/match/pattern.ts';
import { compilePatterns, failingExamples, HOLD_CHARS_MAX, LITERALS_MAX, ONCE_MAX, PatternSetError, scanText, type PatternSource } from '../../src/match/set.ts';
import { joinOverlapping } from '../helpers/naive.ts';
import { runs, seed } from '../helpers/runs.ts';

const source = (definition: Partial<PatternDefinition>, holds = true): PatternSource => ({ classifier: 'test', holds, definition: { id: 'p', category: 'c', label: 'L', ...definition } });
const matches = (definition: Partial<PatternDefinition>, text: string): string[] => scanText(compilePatterns([source(definition)]), text).map((f) => text.slice(f.start, f.end));

t.test('what is refused, where, and why', async (t) => {
  const cases: readonly [string, number, RegExp][] = [
    ['ab)', 2, /no opening one/], ['(ab', 0, /not closed/], ['a(?:b', 1, /not closed/], ['[ab', 0, /class is not closed/], ['[]', 0, /empty class/],
    ['*a', 0, /nothing stands before \*/], ['+', 0, /nothing stands/], ['?', 0, /nothing stands/], ['{2}', 0, /nothing stands before \{/],
    ['a{,2}', 1, /\{n\}, \{n,\} or \{n,m\}/], ['a{3,2}', 1, /wrong order/], ['a{2000}', 1, /count to 1000/], ['a{1,2000}', 1, /count to 1000/],
    ['a*?', 2, /lazy and possessive/], ['a++', 2, /lazy and possessive/], ['a{2}{3}', 4, /cannot follow/], ['a**', 2, /cannot follow/],
    ['(a)\\1', 3, /back-references/], ['\\k<a>', 0, /back-references/], ['\\y', 0, /means nothing/], ['a\\', 1, /ends in a backslash/], ['\\p{Nope}', 0, /Unicode property/], ['\\pL', 0, /Unicode property/],
    ['\\x4', 0, /character by number/], ['\\u{110000}', 0, /character by number/], ['[z-a]', 1, /wrong order/], ['[\\d-z]', 1, /single character at both ends/],
    ['(?<name>a)', 0, /of the groups/], ['(?>a)', 0, /of the groups/], ['(?=ab)', 0, /exactly one character/], ['(?<!a*)', 0, /exactly one character/], ['(?=a|bc)', 0, /exactly one character/],
    ['(?:^)*', 0, /assertion cannot be repeated/], ['\\b?', 0, /assertion cannot be repeated/], [`${'('.repeat(GROUP_DEPTH_MAX + 1)}a`, GROUP_DEPTH_MAX, /nested deeper/], ['a'.repeat(PATTERN_CHARS_MAX + 1), PATTERN_CHARS_MAX, /longer than/],
  ];
  for (const [regex, position, message] of cases) {
    t.throws(() => parsePattern(regex), { name: 'PatternError', position, message }, regex.slice(0, 40));
  }
  t.ok(parsePattern('a'.repeat(PATTERN_CHARS_MAX)), 'the longest pattern is read');
  t.ok(parsePattern(`${'('.repeat(GROUP_DEPTH_MAX)}a${')'.repeat(GROUP_DEPTH_MAX)}`), 'the deepest groups are read');
  t.ok(new PatternError('x', 3) instanceof Error);
});

t.test('what is read', async (t) => {
  t.same(matches({ regex: '\\x41\\u0042\\u{43}[\\t\\n\\x20-\\x21]' }, 'ABC ABC!ABC\t'), ['ABC ', 'ABC!', 'ABC\t']);
  t.same(matches({ regex: '[^\\d\\s]{2}' }, 'a1 bc 2'), ['bc']);
  t.same(matches({ regex: '[\\]\\-a]{3}' }, ']-a'), [']-a']);
  t.same(matches({ regex: '[-a]{2}[a-]' }, '-a-'), ['-a-']);
  t.same(matches({ regex: '[\\b]' }, 'a\bb'), ['\b']);
  t.same(matches({ regex: '\\D\\W\\S' }, '1a 2 '), ['a 2']);
  t.same(matches({ regex: '\\D\\W\\S' }, '1a!x'), ['a!x']);
  t.same(matches({ regex: '\\P{L}\\p{Lu}' }, 'a Éb'), [' É']);
  t.same(matches({ regex: '\\r\\n\\f\\v\\0' }, '\r\n\f\v\0'), ['\r\n\f\v\0']);
  t.same(matches({ regex: 'a.c' }, 'abc a\nc'), ['abc']);
  t.same(matches({ regex: 'x\\By' }, 'xy'), ['xy']);
  t.same(matches({ regex: '(?=a|b)[a-c]{1}' }, 'cab'), ['a', 'b']);
  t.same(matches({ regex: '(?<=^|,)a(?=$|,)' }, 'a,a,ba,ab,a'), ['a', 'a', 'a']);
  t.same(matches({ regex: '(?!\\.)\\w{2}(?![a-z])' }, 'abc de.'), ['bc', 'de']);
  t.same(matches({ regex: '(ab|)c' }, 'abc c'), ['abc', 'c']);
});

t.test('case folds across scripts, in literals and classes', async (t) => {
  t.same(matches({ literal: ['Straße', 'ΣΊΣΥΦΟΣ'], ignoreCase: true }, 'STRAßE σίσυφος σίσυφοσ'), ['STRAßE', 'σίσυφος', 'σίσυφοσ']);
  t.same(matches({ regex: '[a-c]k', ignoreCase: true }, 'AK b\u212A ck dK'), ['AK', 'b\u212A', 'ck']);
  t.same(foldCase([[0x31, 0x31]]), [[0x31, 0x31]]);
  t.same(matches({ regex: 'é' }, 'É'), []);
});

t.test('sets of characters', async (t) => {
  t.same(charSet([[5, 9], [1, 2], [3, 4], [20, 22], [21, 30]]), [[1, 9], [20, 30]]);
  t.same(complementOf([]), [[0, 0x10ffff]]);
  t.same(complementOf([[0, 0x10ffff]]), []);
  t.equal(unicodeProperty('Nope'), undefined);
  t.same(unicodeProperty('Any'), [[0, 0xd7ff], [0xe000, 0x10ffff]], 'half characters belong to nothing');
  for (const [codePoint, known] of [[0x40, false], [0x41, true], [0x10400, true], [0xd800, false], [0x1f600, false]] as const) t.equal(contains(unicodeProperty('L')!, codePoint), known);
  fc.assert(fc.property(fc.integer({ min: 0x10000, max: 0x10ffff }), fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0x10000, max: 0x10ffff }), (from, size, probe) => {
    const to = Math.min(0x10ffff, from + size);
    const text = String.fromCodePoint(probe);
    const inPairs = toUnits([[from, to]]).pairs.some(({ high, low }) => text.charCodeAt(0) >= high[0] && text.charCodeAt(0) <= high[1] && text.charCodeAt(1) >= low[0] && text.charCodeAt(1) <= low[1]);
    return inPairs === (probe >= from && probe <= to);
  }), { numRuns: runs(2_000), seed });
  t.same(toUnits([[0xff00, 0x10ffff]]).units, [[0xff00, 0xffff]]);
});

t.test('lengths and what a stream must hold', async (t) => {
  const hold = (regex: string): number | undefined => holdOf(parsePattern(regex));
  t.same(lengthOf(parsePattern('a(?:b|cd)?[😀x]{2}')), { min: 3, max: 7 });
  t.same(lengthOf(parsePattern('^$\\b')), { min: 0, max: 0 });
  t.same(lengthOf(parsePattern('(?:^)')), { min: 0, max: 0 });
  t.same(lengthOf(parsePattern('😀')), { min: 2, max: 2 });
  t.same(lengthOf(parsePattern('(?:)*')), { min: 0, max: 0 });
  t.same([hold('abc'), hold('ab+'), hold('a|b{2,}'), hold('a(?:bc){3,}'), hold('ab*(?:end)?'), hold('a(?:x|b*)')], [3, 3, 3, 9, 5, 2]);
  for (const regex of ['a+b', 'a*b*c', '(?:a+b)+', 'a+(?=b)', '(?:a|b+c)', 'ab*[cd]', '(?:ab*c|d)', 'a+(?:x|y)', 'a+b+']) t.equal(hold(regex), undefined, `${regex} has no bound`);
  const width = (regex: string): number => widthOf(parsePattern(regex));
  t.same(['a', 'a{3}-b{1,4}', 'a{1,9}b{3}', 'a|bb|c', '(?:ab){2,5}', '(?:a?b){2,5}', '(?:a?b){2,}', '\\bab$', '(?:a{1,30}){1,30}', 'a{1,2}(?:b|cd|)'].map(width), [1, 1, 4, 3, 1, 10, 6, 2, 900, 5]);
  t.same([hold('a+(?:b?|c)'), hold('a+(?:|bb)'), hold('a+(?:b?){2}'), hold('a+(?:b{1,2})?')], [3, 4, 4, 4]);
});

t.test('patterns that a set refuses', async (t) => {
  const refused = (definition: Partial<PatternDefinition>, message: RegExp): void => void t.throws(() => compilePatterns([source(definition)]), { message }, String(message));
  refused({}, /either regex or literal/);
  refused({ regex: 'a', literal: ['a'] }, /either regex or literal/);
  refused({ literal: [] }, /list of literals is empty/);
  refused({ literal: [''] }, /empty literal/);
  refused({ literal: ['\ud800'] }, /half a surrogate/);
  refused({ literal: ['a'.repeat(HOLD_CHARS_MAX + 1)] }, /longer than 4096/);
  refused({ regex: 'a*' }, /matches the empty text/);
  refused({ regex: 'a+b' }, /without an upper bound/);
  refused({ regex: 'a+', validate: () => true }, /validator needs an upper bound/);
  refused({ regex: 'aaa+', maxChars: 2 }, /at least 3/);
  refused({ regex: 'aaa+', maxChars: 5000 }, /hold back 5000/);
  refused({ regex: '(?:a{1,1000}){1,5}' }, /could hold back 5000/);
  refused({ regex: '\\p{L}{1,1000}' }, /more than 20000 instructions/);
  t.throws(() => compilePatterns([source({ literal: Array.from({ length: LITERALS_MAX + 1 }, (_, i) => `w${i}`) })]), { message: /200000 is the most/ });
  t.throws(() => compilePatterns([source({ id: 'first', regex: 'a{9}' }), source({ id: 'second', regex: 'b{9}' })], { instructionsMax: 15 }), { message: /test\.second: .* 15 instructions/ });
  refused({ regex: '(?:a{1,50}){1,50}x' }, /at 2501 places of the pattern at once, over 2501 characters; at most 5000000/);
  t.equal(scanText(compilePatterns([source({ regex: '(?:a{1,47}){1,47}x' })]), 'aaax').length, 1);
  const beginOnce = (count: number): PatternSource[] => Array.from({ length: count }, (_, i) => source({ id: `once-${i}`, regex: 'ab+', once: true }));
  t.equal(scanText(compilePatterns(beginOnce(ONCE_MAX)), 'abb').length, ONCE_MAX);
  t.throws(() => compilePatterns(beginOnce(ONCE_MAX + 1)), { message: /32 patterns of the set begin once; 31 is the most/ });
  const error = t.throws(() => compilePatterns([source({ id: 'a', regex: '(' }), source({ id: 'b', regex: 'x*' })])) as unknown as PatternSetError;
  t.same(error.issues.map(({ id, position }) => [id, position]), [['a', 0], ['b', undefined]]);
});

t.test('ten thousand literals are one trie', async (t) => {
  const literal = Array.from({ length: 10_000 }, (_, i) => `name${(i * 7919) % 10_000}😀`);
  const set = compilePatterns([source({ literal }), source({ id: 'q', literal: ['name1', 'me5'] }), source({ id: 'r', literal: ['name'] }, false), source({ id: 'v', literal: ['name12'], validate: ({ before }) => before.endsWith('!') })]);
  const text = 'a name77😀 and name9999😀name5!name12';
  t.same(scanText(set, text).map((f) => `${f.pattern.definition.id}:${text.slice(f.start, f.end)}`).sort(), ['p:name77😀', 'p:name9999😀', 'q:me5', 'q:name1', 'r:name', 'r:name', 'r:name', 'r:name', 'v:name12']);
  t.ok(set.automaton.program.kind.length < 200_000);
});

t.test('examples that do not behave as stated are found', async (t) => {
  const issues = failingExamples([source({ id: 'bad', regex: 'a{2}', matches: ['a', 'aa'], ignores: ['b', 'xaay'] }), source({ id: 'good', regex: 'b', matches: ['b'] }), source({ id: 'bare', regex: 'b', ignores: ['a'] })]);
  t.same(issues.map(({ id, message }) => [id, message]), [['bad', 'the example "a" under matches is not matched'], ['bad', 'the example "xaay" under ignores is matched']]);
});

t.test('V8 agrees where both have the language', async (t) => {
  const atom = fc.constantFrom('a', 'b', '\\d', '[ab1]', '[^a]', '.', '\\w', 'é', '(?:ab|b)', '(?<![ab])', '(?!1)', '(?<=b)', '(?=a)', '^', '$');
  const part = fc.tuple(atom, fc.constantFrom('', '', '?', '{2}', '{1,3}')).map(([a, q]) => (/^[\^$]|^\(\?[<=!]/.test(a) ? a : a + q));
  const regexes = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')).filter((r) => lengthOf(parsePattern(r)).min > 0);
  const texts = fc.array(fc.constantFrom('a', 'b', '1', ' ', 'é', '\n'), { maxLength: 10 }).map((parts) => parts.join(''));
  fc.assert(fc.property(regexes, texts, (regex, text) => {
    const spans: { start: number; end: number }[] = [];
    for (let start = 0; start < text.length; start += 1) {
      for (let end = start + 1; end <= text.length; end += 1) {
        // A match of exactly [start, end): the look-around still sees the whole text.
        const exact = new RegExp(`(?<=^[^]{${start}})(?:${regex})(?<=^[^]{${end}})`);
        if (exact.exec(text)?.index === start) spans.push({ start, end });
      }
    }
    const found = scanText(compilePatterns([source({ regex })]), text).map(({ start, end }) => ({ start, end }));
    return JSON.stringify(found) === JSON.stringify(joinOverlapping(spans));
  }), { numRuns: runs(1_500), seed });
  t.pass(`seed ${seed}`);
});
