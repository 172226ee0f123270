/**
 * Every shipped pattern on realistic text, as the oracle says: examples of all patterns, cut, joined and changed a little,
 * in sentences. Patterns that begin once are left to their own test, since the oracle knows every beginning.
 */
import fc from 'fast-check';
import t from 'tap';
import type { PatternSet } from '../../src/match/compiled.ts';
import { compilePatterns, scanText } from '../../src/match/set.ts';
import { naiveSpans } from '../helpers/naive.ts';
import { testPii } from '../helpers/pii.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const TEXT_CHARS_MAX = 70;
const WORDS = ['the', 'order', 'no.', 'call', 'ssn', 'card', 'is', '14', '3 of 5', 'v1.2.3', '2024-01-15', '(', ')', ',', ':', '=', '"', '\n', 'é', '日本', '😀', '-', '@', '.'];

const definitions = (testPii().patterns ?? []).filter((definition) => definition.once !== true);
const examples = definitions.flatMap(({ matches = [], ignores = [] }) => [...matches, ...ignores]);
const sets = new Map<string, PatternSet>();

function setOf(index: number): PatternSet {
  const definition = definitions[index]!;
  let set = sets.get(definition.id);
  if (set === undefined) sets.set(definition.id, (set = compilePatterns([{ classifier: 'pii', definition, holds: true }])));
  return set;
}

function realistic(random: () => number, index: number): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const own = [...(definitions[index]!.matches ?? []), ...(definitions[index]!.ignores ?? [])];
  const parts = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
    const part = random() < 0.5 ? pick(own.length > 0 ? own : examples) : random() < 0.4 ? pick(examples) : pick(WORDS);
    const from = random() < 0.2 ? Math.floor(random() * part.length) : 0;
    const changed = random() < 0.2 ? part.slice(0, from) + pick(WORDS) + part.slice(from + 1) : part.slice(from);
    return random() < 0.1 ? changed.slice(0, -1) : changed;
  });
  return parts.join(pick([' ', ' ', ', ', '', ' - '])).slice(0, TEXT_CHARS_MAX);
}

t.test('what the automaton finds is what there is', async (t) => {
  let found = 0;
  fc.assert(
    fc.property(fc.nat({ max: definitions.length - 1 }), fc.integer(), (index, textSeed) => {
      const text = realistic(randomOf(textSeed), index);
      const spans = scanText(setOf(index), text).map(({ start, end }) => ({ start, end }));
      found += spans.length;
      return JSON.stringify(spans) === JSON.stringify(naiveSpans(definitions[index]!, text));
    }),
    { numRuns: runs(100_000), seed },
  );
  t.ok(found > runs(100_000) / 10, `${found} matches in ${runs(100_000)} texts, seed ${seed}`);
});
