/**
 * Matching over whole texts: what a character costs, for sets of patterns, kinds of text and lengths; what the first
 * pass costs, which builds the automaton's states; other engines on the same text; patterns that backtracking engines
 * cannot afford. Every engine's findings are compared before any is timed.
 */
import assert from 'node:assert/strict';
import type { PatternDefinition } from '../../../src/contract/classifier.ts';
import type { PatternSet } from '../../../src/match/compiled.ts';
import { scanText } from '../../../src/match/set.ts';
import { BACKTRACKING, PII, setOf, TWENTY, TWO_HUNDRED } from '../detectors.ts';
import { re2Separate, re2Set, v8Alternation, v8Separate } from '../engines.ts';
import { millionsPerSecond, type Row, type Table } from '../report.ts';
import { timeCases, type Case, type Effort, type Timing } from '../rounds.ts';
import { piecesOf, TEXT_KINDS, textOf, type TextKind } from '../texts.ts';

const SETS: readonly (readonly [name: string, definitions: readonly PatternDefinition[]])[] = [['20 detectors', TWENTY], ['200 patterns', TWO_HUNDRED], ['pii plugin', PII]];
const CLEAN: readonly TextKind[] = ['prose', 'two-byte', 'code', 'json', 'same-letter'];

export function measureMatch(effort: Effort): readonly Table[] {
  return [...kindsOfText(effort), lengths(effort), others(effort), backtracking(effort)];
}

interface FirstPass {
  readonly ns: number;
  readonly states: number;
  readonly threads: number;
  readonly resets: number;
}

/** One automaton for each set and kind, so that its states are those of this kind alone. */
function kindsOfText(effort: Effort): readonly Table[] {
  const chars = effort.quick ? 100_000 : 300_000;
  return SETS.map(([name, definitions]) => {
    const firstPasses: FirstPass[] = [];
    const cases = TEXT_KINDS.map((kind): Case => {
      const text = textOf(kind, chars);
      const set = setOf(definitions);
      firstPasses.push(firstPass(set, text));
      const found = scanText(set, text).length;
      if (CLEAN.includes(kind)) assert.equal(found, 0, `${name} finds something in ${kind}`);
      else assert.ok(found > 0, `${name} finds nothing in ${kind}`);
      return { name: kind, work: text.length, run: () => scanText(set, text).length };
    });
    const timings = timeCases(name, cases, effort);
    const prose = timings[0].medianNs;
    return {
      title: `A whole text of ${chars.toLocaleString('en-US')} characters, ${name}`,
      columns: ['text', 'MB/s', 'ns/char', 'min', 'max', 'of prose', 'first pass ns/char', 'states', 'threads', 'resets'],
      rows: cases.map(({ name: kind }, i): Row => {
        const { medianNs, minNs, maxNs } = timings[i];
        const first = firstPasses[i];
        return { cells: [kind, millionsPerSecond(medianNs), medianNs, minNs, maxNs, `${(medianNs / prose).toFixed(1)}×`, first.ns, first.states, first.threads, first.resets], timing: timings[i] };
      }),
      note: 'MB/s: million characters a second. The first pass builds the states and threads; resets: how often a table was full during it.',
    };
  });
}

function firstPass(set: PatternSet, text: string): FirstPass {
  const start = performance.now();
  scanText(set, text);
  const ns = ((performance.now() - start) * 1e6) / text.length;
  const { stateCount, threadCount, resets } = set.automaton;
  return { ns, states: stateCount, threads: threadCount, resets: resets.states + resets.threads };
}

/** The same characters, as texts of different lengths: the cost of one must not depend on how many come before it. */
function lengths(effort: Effort): Table {
  const most = effort.quick ? 1_000_000 : 10_000_000;
  const sizes = [1_000, 10_000, 100_000, 1_000_000, 10_000_000].filter((size) => size <= most);
  const rows: Row[] = [];
  for (const [name, definitions] of SETS) {
    for (const kind of ['prose', 'dense', 'digits'] as const) {
      const set = setOf(definitions);
      // Costly texts are cut from less text, so that a round stays short.
      const base = kind === 'digits' && definitions === PII ? most / 10 : most;
      const cases = sizes.filter((size) => size <= base).map((size): Case => {
        const texts = piecesOf(textOf(kind, Math.max(size, base / 10)), size);
        const work = texts.reduce((n, text) => n + text.length, 0);
        return { name: `${kind} ${size}`, work, run: () => texts.reduce((n, text) => n + scanText(set, text).length, 0) };
      });
      const timings = timeCases(`${name}, ${kind}`, cases, { ...effort, rounds: Math.ceil(effort.rounds / 2) });
      const medians = timings.map(({ medianNs }) => medianNs);
      rows.push({ cells: [`${name}, ${kind}`, ...sizes.map((_, i) => medians[i]), `${(Math.max(...medians) / Math.min(...medians)).toFixed(2)}×`] });
    }
  }
  return { title: 'Nanoseconds for a character, by length of the text', columns: ['set, text', ...sizes.map((size) => (size >= 1e6 ? `${size / 1e6} MB` : `${size / 1e3} KB`)), 'max/min'], rows };
}

/** The same twenty patterns on the same text. */
function others(effort: Effort): Table {
  const rows: Row[] = [];
  for (const kind of ['prose', 'dense', 'near-misses'] as const) {
    const text = textOf(kind, 4_096);
    const set = setOf(TWENTY);
    const [separate, alternation, re2, re2Which] = [v8Separate(TWENTY), v8Alternation(TWENTY), re2Separate(TWENTY), re2Set(TWENTY)];
    // On texts that people write, all find the same; near-misses overlap, and there only we find every match.
    if (kind !== 'near-misses') for (const find of [separate, alternation, re2]) assert.deepEqual(find(text).map(({ start, end }) => [start, end]), coveredBy(set, text));
    const cases: readonly Case[] = [
      { name: 'weir', work: 1, run: () => scanText(set, text) },
      { name: 'V8, 20 regexes', work: 1, run: () => separate(text) },
      { name: 'V8, one alternation', work: 1, run: () => alternation(text) },
      { name: 're2js, 20 regexes', work: 1, run: () => re2(text) },
      { name: 're2js, set (which, not where)', work: 1, run: () => re2Which(text) },
    ];
    const timings = timeCases(`engines, ${kind}`, cases, effort);
    cases.forEach(({ name }, i) => {
      const { medianNs, minNs, maxNs } = timings[i];
      rows.push({ cells: [`${kind}: ${name}`, medianNs / 1e3, minNs / 1e3, maxNs / 1e3, 4_096e3 / medianNs, `${(medianNs / timings[0].medianNs).toFixed(1)}×`], timing: timings[i] });
    });
  }
  return { title: 'Engines side by side: 20 patterns over 4 KB, µs for each text', columns: ['text: engine', 'µs', 'min', 'max', 'MB/s', 'of weir'], rows };
}

function coveredBy(set: PatternSet, text: string): readonly (readonly [number, number])[] {
  const out: [number, number][] = [];
  for (const { start, end } of scanText(set, text)) {
    const last = out[out.length - 1];
    if (last !== undefined && start < last[1]) last[1] = Math.max(last[1], end);
    else out.push([start, end]);
  }
  return out;
}

const BACKTRACKING_LIMIT_MS = 250;

function backtracking(effort: Effort): Table {
  const rows = BACKTRACKING.map(({ regex, hostile }): Row => {
    const set = setOf([{ id: 'x', category: 'x', label: 'X', regex }]);
    const [short, long] = [hostile(1_000), hostile(100_000)];
    const [one, many] = timeCases(regex, [
      { name: '1 KB', work: short.length, run: () => scanText(set, short) },
      { name: '100 KB', work: long.length, run: () => scanText(set, long) },
    ], { ...effort, rounds: 3 }) as readonly [Timing, Timing];
    const v8 = v8Limit(regex, hostile);
    return { cells: [regex, one.medianNs, many.medianNs, `${(many.medianNs / one.medianNs).toFixed(2)}×`, v8.chars, v8.ms], timing: many };
  });
  return {
    title: 'Patterns that take exponential or high polynomial time to backtrack, on text without a match',
    columns: ['pattern', 'weir 1 KB ns/char', '100 KB', 'ratio', 'V8 chars', 'V8 ms'],
    rows,
    note: `V8: the first length, growing by a tenth, at which it needs more than ${BACKTRACKING_LIMIT_MS} ms, or 100,000 characters.`,
  };
}

function v8Limit(regex: string, hostile: (chars: number) => string): { readonly chars: number; readonly ms: number } {
  const pattern = new RegExp(regex);
  for (let chars = 8; ; chars = Math.ceil(chars * 1.1)) {
    const text = hostile(chars);
    const start = performance.now();
    pattern.test(text);
    const ms = performance.now() - start;
    if (ms > BACKTRACKING_LIMIT_MS || chars >= 100_000) return { chars, ms };
  }
}
