/**
 * Competitors as patterns for the host's automaton: each name as whole words, with any white space or hyphen between its
 * parts. A name in capitals of up to four letters is found in capitals only: in small letters it may be a word.
 */
import type { PatternDefinition } from '#contract/classifier.ts';
import type { Competitor } from './options.ts';

const CAPITALS_MAX = 4;

export function competitorPatterns(competitors: readonly Competitor[]): readonly PatternDefinition[] {
  const names = [...new Set(competitors.flatMap(({ name, aliases }) => [name, ...aliases]))];
  return names.map((name, at) => ({ id: `competitor-${at + 1}`, category: 'competitor', label: 'COMPETITOR', regex: regexOf(name), ignoreCase: !isInitials(name) }));
}

function isInitials(name: string): boolean {
  return name.length <= CAPITALS_MAX && name === name.toUpperCase() && name !== name.toLowerCase();
}

function regexOf(name: string): string {
  const words = name.split(/[\s-]+/).filter((word) => word !== '').map((word) => word.replaceAll(/[^\p{L}\p{N}]/gu, (one) => `\\u{${one.codePointAt(0)!.toString(16)}}`));
  const [first, last] = [words[0], words.at(-1)!];
  return `${/^[\p{L}\p{N}]/u.test(first) ? '\\b' : ''}${words.join('[\\s\\-]{1,3}')}${/[\p{L}\p{N}]$/u.test(last) ? '\\b' : ''}`;
}
