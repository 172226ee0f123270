/**
 * The automaton against the oracle: all small patterns, all strings over a tiny alphabet, all cuts; then random
 * patterns and realistic text. Also what the boundary promises: nothing before it changes, nothing after it is final.
 */
import fc from 'fast-check';
import t from 'tap';
import type { PatternDefinition } from '../../src/contract/classifier.ts';
import { Scan, type Component } from '../../src/match/scan.ts';
import type { PatternSet } from '../../src/match/compiled.ts';
import { compilePatterns, scanSteps, scanText } from '../../src/match/set.ts';
import { lengthOf, parsePattern, holdOf } from '../../src/match/pattern.ts';
import { naiveSpans } from '../helpers/naive.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';
import { PII } from '../bench/detectors.ts';
import { textOf } from '../bench/texts.ts';

function setOf(definitions: readonly PatternDefinition[], options = {}): PatternSet {
  return compilePatterns(definitions.map((definition) => ({ classifier: 'test', definition, holds: true })), options);
}

function pattern(regex: string, more: Partial<PatternDefinition> = {}): PatternDefinition {
  return { id: regex, category: regex, label: 'X', regex, ...more };
}

function scanPieces(set: PatternSet, pieces: readonly string[]): readonly Component[] {
  const scan = new Scan(set);
  const out: Component[] = [];
  for (const piece of pieces) {
    scan.feed(piece);
    out.push(...scan.take());
  }
  scan.flush();
  out.push(...scan.take());
  return out;
}

/** What a text's characters look like after redaction: parts of a long component count as one. */
function covered(components: readonly Component[]): string {
  const spans: [number, number][] = [];
  for (const c of components) {
    const last = spans[spans.length - 1];
    if (c.continued && last !== undefined && last[1] === c.start) last[1] = c.end;
    else spans.push([c.start, c.end]);
  }
  return spans.map((s) => s.join('-')).join(' ');
}

function allStrings(alphabet: string, lengthMax: number): string[] {
  let level = [''];
  const out = [''];
  for (let i = 0; i < lengthMax; i += 1) {
    level = level.flatMap((s) => [...alphabet].map((c) => s + c));
    out.push(...level);
  }
  return out;
}

function allCuts(text: string): string[][] {
  return Array.from({ length: 2 ** Math.max(0, text.length - 1) }, (_, mask) => {
    const pieces: string[] = [];
    let start = 0;
    for (let i = 1; i < text.length; i += 1) {
      if (mask & (1 << (i - 1))) {
        pieces.push(text.slice(start, i));
        start = i;
      }
    }
    return [...pieces, text.slice(start)];
  });
}

function usable(regex: string): boolean {
  const node = parsePattern(regex);
  return lengthOf(node).min > 0 && holdOf(node) !== undefined;
}

const ATOMS = ['a', 'b', '[ab]', '.'];
const QUANTIFIERS = ['', '?', '{2}', '{1,2}'];
const LOOKS = ['', '^', '$', '\\b', '(?<!a)', '(?<=a)', '(?!a)', '(?=b)'];

t.test('all small patterns, all strings over two letters, as the oracle says', async (t) => {
  const patterns: string[] = [];
  for (const a of ATOMS) for (const q of QUANTIFIERS) for (const b of ATOMS) for (const r of [...QUANTIFIERS, '*', '+']) patterns.push(`${a}${q}${b}${r}`, `(?:${a}${q}|${b}b)a?`);
  const texts = allStrings('ab', 5);
  patterns.push('a|aba', 'b|bab|aabb', 'a|b|aab');
  let cases = 0;
  for (const regex of [...new Set(patterns)].filter(usable)) {
    const definition = pattern(regex);
    const set = setOf([definition]);
    for (const text of texts) {
      const found = scanText(set, text).map(({ start, end }) => ({ start, end }));
      cases += 1;
      const expected = naiveSpans(definition, text);
      if (JSON.stringify(found) !== JSON.stringify(expected)) t.same(found, expected, `${regex} on ${text}`);
    }
  }
  t.ok(cases > 10_000, `${cases} cases`);
});

t.test('look-around at every place', async (t) => {
  const texts = allStrings('ab ', 4);
  for (const before of LOOKS) {
    for (const core of ['a', 'ab', 'a{1,2}', '[ab]{2}', 'a|bb']) {
      for (const middle of LOOKS) {
        const definition = pattern(`${before}(?:${core})${middle}b?`);
        const set = setOf([definition]);
        for (const text of texts) {
          const found = scanText(set, text).map(({ start, end }) => ({ start, end }));
          const expected = naiveSpans(definition, text);
          if (JSON.stringify(found) !== JSON.stringify(expected)) t.same(found, expected, `${definition.regex} on ${JSON.stringify(text)}`);
        }
      }
    }
  }
});

t.test('every cut of every text gives the same components', async (t) => {
  const sets = [['a{2,3}b'], ['ab', 'ba'], ['a[ab]{1,3}b', 'bb'], ['aa'], ['ab+'], ['(?<!b)a{1,2}(?!a)'], ['a.b', '^b', 'a$'], ['a|aba', 'b|bab|aabb']].map((regexes) => setOf(regexes.map((r) => pattern(r))));
  for (const set of sets) {
    for (const text of allStrings('ab', 7)) {
      const whole = covered(scanPieces(set, [text]));
      for (const pieces of allCuts(text)) {
        const cut = covered(scanPieces(set, pieces));
        if (cut !== whole) t.equal(cut, whole, `${set.patterns.map((p) => p.definition.id).join()} on ${pieces.join('|')}`);
      }
    }
  }
});

const regexArbitrary = fc.letrec<{ node: string; atom: string }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('atom'),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie('atom'), fc.constantFrom('?', '{1,3}', '{2}', '{0,2}')).map(([a, q]) => a + q),
    fc.tuple(fc.constantFrom('\\b', '(?<![a-c])', '(?!1)', '(?=b)', '(?<=a)'), tie('node')).map(([l, n]) => l + n),
  ),
  atom: fc.constantFrom('a', 'b', 'c', '1', '\\d', '\\w', '[ab1]', '[^a]', '.', '\\.', '\\p{L}', 'é', '😀', '[😀-😂x]', '(?:ab|ba)'),
})).node;

const textArbitrary = fc.array(fc.constantFrom('a', 'b', 'c', '1', '2', ' ', '.', 'é', '😀', '😁', 'ab', 'A'), { maxLength: 14 }).map((parts) => parts.join(''));

t.test('random patterns and texts, as the oracle says, with any cut and a tiny table', async (t) => {
  fc.assert(
    fc.property(fc.array(regexArbitrary.filter(usable), { minLength: 1, maxLength: 3 }), textArbitrary, fc.integer(), fc.boolean(), (regexes, text, cutSeed, validated) => {
      const validate = validated ? ({ text: found, before }: { text: string; before: string }): boolean => (found.length + before.length) % 3 !== 0 : undefined;
      const definitions = regexes.map((regex, i) => pattern(regex, { id: `${i}`, ...(validate === undefined ? {} : { validate }) }));
      const set = setOf(definitions, { stateBytesMax: 1 });
      const components = scanPieces(set, cutsOf(text, cutSeed));
      for (const [i, definition] of definitions.entries()) {
        const expected = naiveSpans(definition, text);
        const inside = (start: number, end: number): boolean => components.some((c) => c.start <= start && c.end >= end);
        const found = scanText(set, text).filter((f) => f.pattern.index === i).map(({ start, end }) => ({ start, end }));
        if (JSON.stringify(found) !== JSON.stringify(expected)) return false;
        if (!expected.every(({ start, end }) => inside(start, end) || components.some((c) => c.continued))) return false;
      }
      return true;
    }),
    { numRuns: runs(6_000), seed },
  );
  t.pass(`seed ${seed}`);
});

t.test('an age limit in place of bounds: as the oracle says, with any cut and a tiny table', async (t) => {
  const loops = fc.constantFrom('a+b', 'a[ab]*c', '(?<!a)[ab]+(?!b)', '\\w+\\.', '[^a]*a+', '(?:ab)+c?', 'x*1+', 'a+', '\\b\\w+1\\w*\\b');
  fc.assert(
    fc.property(fc.array(fc.tuple(loops, fc.integer({ min: 3, max: 7 }), fc.boolean()), { minLength: 1, maxLength: 3 }), textArbitrary, fc.integer(), (given, text, cutSeed) => {
      const definitions = given.map(([regex, maxChars, validated], i) => pattern(regex, { id: `${i}`, maxChars, ...(validated ? { validate: ({ text: found }: { text: string }) => found.length % 2 === 1 } : {}) }));
      const set = setOf(definitions, { stateBytesMax: 1 });
      const cut = scanPieces(set, cutsOf(text, cutSeed));
      if (covered(cut) !== covered(scanPieces(set, [text]))) return false;
      return definitions.every((definition, i) => JSON.stringify(scanText(set, text).filter((f) => f.pattern.index === i).map(({ start, end }) => ({ start, end }))) === JSON.stringify(naiveSpans(definition, text)));
    }),
    { numRuns: runs(3_000), seed },
  );
  const endless = setOf([pattern('a[ab]*c', { maxChars: 20 })]);
  const scan = new Scan(endless);
  scan.feed('a'.repeat(10_000));
  t.ok(scan.position - scan.boundary <= 21, 'what is too old is let go');
});

t.test('a pattern that begins once: no match begins inside one under way', async (t) => {
  const spans = (definition: PatternDefinition, text: string): string => scanText(setOf([definition]), text).map((f) => `${f.start}-${f.end}`).join(' ');
  const run = pattern('\\d(?: ?\\d)*', { maxChars: 12, once: true, validate: ({ text }) => !text.startsWith('1') });
  t.equal(spans(run, '1 23 x 23 4'), '7-11', 'the run that begins with 1 is one candidate, and refused');
  t.equal(spans({ ...run, once: false }, '1 23 x 23 4'), '2-4 7-11');
  t.equal(spans(pattern('a[ab]{0,3}c', { once: true }), 'aabcabac'), '0-4 4-8', 'when one is over, the next may begin');
});

t.test('the boundary: nothing before it is found later, and it is as far as it can be', async (t) => {
  fc.assert(
    fc.property(regexArbitrary.filter(usable), textArbitrary, textArbitrary, (regex, head, tail) => {
      const set = setOf([pattern(regex)]);
      const scan = new Scan(set);
      scan.feed(head);
      const { boundary } = scan;
      const early = scan.take();
      scan.feed(tail);
      scan.flush();
      return [...early].every((c) => c.end <= boundary) && scan.take().every((c) => c.start >= boundary);
    }),
    { numRuns: runs(2_000), seed },
  );
  const exact = setOf([pattern('ab{1,2}c'), pattern('\\bx@')]);
  for (const [text, boundary] of [['za', 1], ['zab', 1], ['zabb', 1], ['zabbb', 5], ['zabc', 4], ['zab x', 4], ['zx', 2], ['', 0]] as const) {
    const scan = new Scan(exact);
    scan.feed(text);
    t.equal(scan.boundary, boundary, `${JSON.stringify(text)} is decided up to ${boundary}`);
  }
});

t.test('a component longer than any match is handed out in parts, and nothing of it is released', async (t) => {
  const set = setOf([pattern('aa'), pattern('x[yz]+')]);
  for (const unit of ['a', 'xyz']) {
    const text = `b${unit === 'a' ? 'a'.repeat(500) : `x${'yz'.repeat(250)}`} b`;
    const scan = new Scan(set);
    let waiting = 0;
    const components: Component[] = [];
    for (const c of text) {
      scan.feed(c);
      components.push(...scan.take());
      waiting = Math.max(waiting, scan.position - scan.boundary);
    }
    scan.flush();
    components.push(...scan.take());
    t.equal(covered(components), `1-${text.length - 2}`);
    t.ok(components.length > 1, `${components.length} parts`);
    t.ok(waiting <= 2 * set.holdChars + 2, `${waiting} characters wait at most`);
  }
});

t.test('a full table is emptied, counted, and changes nothing', async (t) => {
  const definitions = [pattern('a[ab]{1,12}c'), pattern('b[ab]{3,9}a')];
  const small = setOf(definitions, { stateBytesMax: 1 });
  const large = setOf(definitions);
  const text = Array.from({ length: 2_000 }, (_, i) => 'abc'[(i * i * 7 + (i >> 3)) % 3]).join('');
  t.same(covered(scanPieces(small, cutsOf(text, 5))), covered(scanPieces(large, [text])));
  t.ok(small.automaton.resets.states > 0 && small.automaton.resets.threads > 0, JSON.stringify(small.automaton.resets));
  t.same(large.automaton.resets, { states: 0, threads: 0 });
  t.ok(small.automaton.stateCount <= 18 && small.automaton.threadCount <= 50);
});

t.test('a crowd of starts, and more combinations of them than states may be made for: the same matches, with any cut', async (t) => {
  const definitions = [pattern('[ab]{1,60}c'), pattern('(?:a{1,9}b?){1,9}!'), pattern('b[ab]{2,}'), pattern('[ab]{40}a', { validate: ({ text }) => text.startsWith('ab') })];
  const text = Array.from({ length: 700 }, (_, i) => ((i * i * 7 + (i >> 3)) % 331 === 0 ? 'c!' : 'ab'[(i * i * 31 + (i >> 2)) % 7 >> 2])).join('');
  const set = setOf(definitions);
  for (const [i, definition] of definitions.entries()) {
    t.same(scanText(set, text).filter((f) => f.pattern.index === i).map(({ start, end }) => ({ start, end })), naiveSpans(definition, text), definition.id);
  }
  const hostile = textOf('all-hostile', 30_000);
  const shipped = setOf(PII);
  const expected = covered(scanPieces(setOf(PII, { stateBytesMax: 1e9 }), [hostile]));
  for (const seed of [1, 2]) t.equal(covered(scanPieces(shipped, cutsOf(hostile, seed))), expected);
  const { stateCount } = shipped.automaton;
  scanText(shipped, textOf('digits', 50_000));
  t.ok(shipped.automaton.stateCount < stateCount + 4_000, `${shipped.automaton.stateCount} states`);
});

t.test('a younger start keeps what an older one does not have', async (t) => {
  const definitions = [pattern('a[ab]+'), pattern('(?<=b)a[ab]+')];
  const found = scanText(setOf(definitions), 'abab-ab').map((f) => `${f.pattern.index}:${f.start}-${f.end}`);
  t.same(found.sort(), ['0:0-4', '0:5-7', '1:2-4']);
});

t.test('what is alive does not grow with the text', async (t) => {
  for (const [regex, unit] of [['a[ab]{2,}', 'ab'], ['(?:a{1,30}){1,30}x', 'a'], ['\\b\\w{1,20}(?:-\\w{1,20}){1,20}!', 'a-'], ['(?:sk-|b)[a-z\\-]{5,}', 'sk-']] as const) {
    const set = setOf([pattern(regex)]);
    const counts = [1_500, 6_000].map((chars) => {
      const scan = new Scan(set);
      scan.feed(unit.repeat(chars / unit.length));
      return [set.automaton.front.count, set.automaton.threadCount];
    });
    t.same(counts[0], counts[1], `${regex}: live and distinct threads`);
  }
});

t.test('in steps a text is scanned as at once, and a short one in none', async (t) => {
  const set = setOf(PII);
  for (const kind of ['prose', 'dense', 'all-hostile'] as const) {
    const steps = (chars: number): { readonly count: number; readonly found: unknown } => {
      const scan = scanSteps(set, textOf(kind, chars));
      let count = 0;
      let result = scan.next();
      for (; result.done !== true; result = scan.next()) count += 1;
      return { count, found: result.value };
    };
    const [short, long] = [steps(16_384), steps(100_000)];
    t.same([short.count, long.count], [0, 7]);
    t.same(short.found, scanText(set, textOf(kind, 16_384)));
    t.same(long.found, scanText(set, textOf(kind, 100_000)), kind);
  }
});

t.test('a candidate that waits for its validator holds its text, where its pattern holds', async (t) => {
  const valid = { validate: (): boolean => true };
  const set = compilePatterns([
    { classifier: 'test', holds: true, definition: pattern('ab', valid) },
    { classifier: 'test', holds: false, definition: pattern('[ab]{2}z?', { id: 'seen', ...valid }) },
    { classifier: 'test', holds: false, definition: pattern('ab?[xy]{0,9}', { id: 'long', ...valid }) },
    { classifier: 'test', holds: true, definition: pattern('-[abxy]{9}', { id: 'held' }) },
  ]);
  const at = (text: string): number => {
    const scan = new Scan(set);
    scan.feed(text);
    return scan.boundary;
  };
  t.equal(at('.ab'), 1, 'another match from there may come, so the candidate is not judged yet');
  t.equal(at('.bb'), 3, 'an observed one holds nothing');
  t.equal(at('-ab'), 0, 'an older start holds more');
  t.same(scanText(set, '.abx -ab').map((f) => `${f.pattern.definition.id}:${f.start}-${f.end}`).sort(), ['ab:1-3', 'ab:6-8', 'long:1-4', 'long:6-8', 'seen:1-3', 'seen:6-8']);
});

t.test('what a validator refuses behind its context is asked once for a start', async (t) => {
  const asked: string[] = [];
  const judged: string[] = [];
  const behind = (before: string): boolean => { asked.push(before); return before.endsWith('='); };
  const validate = Object.assign(({ text, before }: { text: string; before: string }): boolean => { judged.push(text); return before.endsWith('=') && text.length === 3; }, { behind });
  const set = setOf([pattern('\\d[\\dx]{0,5}', { once: true, validate })]);
  for (const pieces of [['1234 =123 '], ['1', '2', '3', '4', ' =1', '23 ']]) {
    asked.length = judged.length = 0;
    t.equal(covered(scanPieces(set, pieces)), '6-9');
    t.same(asked, ['', '1234 =']);
    t.same(judged, ['123']);
  }
  // More refusals than are remembered, all alive: asked again, and refused again.
  const nested = setOf([pattern('\\d{1,30}x?', { validate })]);
  t.equal(covered(scanPieces(nested, ['1'.repeat(30)])), '');
  t.same(judged.slice(-1), ['123']);
});

t.test('a validator sees what stands before its candidate, however long ago the text began', async (t) => {
  const seen: string[] = [];
  const set = setOf([pattern('[0-9]{3}', { validate: ({ text, before }) => { seen.push(`${before.slice(-4)}|${text}`); return true; } }), pattern('x[ab]{1,50}y')]);
  const scan = new Scan(set);
  for (let i = 0; i < 3_000; i += 1) scan.feed(i === 2_999 ? `n${String(123)}` : i % 700 === 0 ? 'xab' : 'wo ');
  scan.feed('456');
  scan.flush();
  scan.feed('789');
  scan.flush();
  t.same(seen, ['wo n|123', 'o n1|234', ' n12|345', 'n123|456', '|789'], 'a new text has nothing before it');
});
