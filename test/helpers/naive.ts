/**
 * The oracle of the matching engine: tries every start and every end by structural recursion over the syntax tree.
 * Slow, short, and shares nothing with the automaton but the parser.
 */
import { contains } from '../../src/match/charset.ts';
import { CONTEXT_CHARS } from '../../src/match/scan.ts';
import { parsePattern, type Node } from '../../src/match/pattern.ts';
import type { PatternDefinition } from '../../src/contract/classifier.ts';

export interface NaiveSpan {
  readonly start: number;
  readonly end: number;
}

/** All ends that `node` can reach in `text` from `start`. */
function endsOf(node: Node, text: string, start: number): Set<number> {
  switch (node.type) {
    case 'empty': return new Set([start]);
    case 'look': return holds(node, text, start) ? new Set([start]) : new Set();
    case 'set': {
      const codePoint = text.codePointAt(start);
      if (codePoint === undefined || (codePoint >= 0xd800 && codePoint <= 0xdfff) || !contains(node.set, codePoint)) return new Set();
      return new Set([start + (codePoint > 0xffff ? 2 : 1)]);
    }
    case 'concat': return node.parts.reduce((starts, part) => unionOver(starts, (at) => endsOf(part, text, at)), new Set([start]));
    case 'alt': return unionOver(node.parts, (part) => endsOf(part, text, start));
    case 'repeat': return repeatEnds(node, text, start);
  }
}

function repeatEnds(node: Extract<Node, { type: 'repeat' }>, text: string, start: number): Set<number> {
  let reached = new Set([start]);
  for (let i = 0; i < node.min; i += 1) reached = unionOver(reached, (at) => endsOf(node.of, text, at));
  const all = new Set(reached);
  for (let i = node.min; i < node.max && reached.size > 0 && i <= text.length + node.min; i += 1) {
    reached = unionOver(reached, (at) => endsOf(node.of, text, at));
    for (const end of reached) all.add(end);
  }
  return all;
}

/** A neighbour is one code unit; half a surrogate pair is in no set but a complement's rest. */
function holds(look: Extract<Node, { type: 'look' }>, text: string, at: number): boolean {
  const unit = text.charCodeAt(look.ahead ? at : at - 1);
  if (Number.isNaN(unit)) return look.edge;
  return (unit < 0xd800 || unit > 0xdfff) && contains(look.set, unit);
}

function unionOver<T>(items: Iterable<T>, of: (item: T) => Set<number>): Set<number> {
  const out = new Set<number>();
  for (const item of items) for (const value of of(item)) out.add(value);
  return out;
}

/** Every match of a pattern, joined where matches overlap; by start. */
export function naiveSpans(definition: PatternDefinition, text: string): readonly NaiveSpan[] {
  const nodes = definition.regex !== undefined ? [parsePattern(definition.regex, { ignoreCase: definition.ignoreCase === true })] : undefined;
  const matches: NaiveSpan[] = [];
  for (let start = 0; start < text.length; start += 1) {
    const ends = nodes !== undefined ? unionOver(nodes, (node) => endsOf(node, text, start)) : literalEnds(definition, text, start);
    for (const end of ends) {
      const candidate = { text: text.slice(start, end), before: text.slice(Math.max(0, start - CONTEXT_CHARS), start) };
      if (end > start && end - start <= (definition.maxChars ?? Infinity) && (definition.validate === undefined || definition.validate(candidate))) matches.push({ start, end });
    }
  }
  return joinOverlapping(matches);
}

function literalEnds(definition: PatternDefinition, text: string, start: number): Set<number> {
  const same = (a: string, b: string): boolean => (definition.ignoreCase === true ? a.toLowerCase() === b.toLowerCase() : a === b);
  return new Set((definition.literal ?? []).filter((literal) => same(text.slice(start, start + literal.length), literal)).map((literal) => start + literal.length));
}

export function joinOverlapping(spans: readonly NaiveSpan[]): readonly NaiveSpan[] {
  const joined: { start: number; end: number }[] = [];
  for (const span of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = joined[joined.length - 1];
    if (last !== undefined && span.start < last.end) last.end = Math.max(last.end, span.end);
    else joined.push({ ...span });
  }
  return joined;
}
