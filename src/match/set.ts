/**
 * A set of patterns, checked and compiled to one automaton: what a policy's detectors become. Guarantees that matching
 * is linear, and knows for every pattern how many characters it can make a stream wait (`holdChars`). Also the one-shot
 * form, `scanText`. Pure.
 */
import type { PatternDefinition } from '../contract/classifier.ts';
import { Automaton } from './automaton.ts';
import type { CompiledPattern, PatternSet } from './compiled.ts';
import { foldCase, type CharSet } from './charset.ts';
import { holdOf, lengthOf, parsePattern, widthOf, type Node, type PatternError } from './pattern.ts';
import { compileProgram, type PatternInput, type ProgramTooLargeError } from './program.ts';
import { Scan, type Component, type Finding } from './scan.ts';

/** Characters that one pattern may hold back, and literals that one set may have. */
export const HOLD_CHARS_MAX = 4_096;
export const LITERALS_MAX = 200_000;
/**
 * Places in a pattern at one moment, times the characters of its hold: what the beginnings that are alive at once can take,
 * in instructions.
 */
export const LIVE_MAX = 5_000_000;
/** Patterns of one set that begin once: each has its bit in a thread. */
export const ONCE_MAX = 31;
const STATE_BYTES_MAX = 16 * 1024 * 1024;

export interface PatternSource {
  readonly classifier: string;
  readonly definition: PatternDefinition;
  readonly holds: boolean;
}

/** What is wrong with which pattern. `position` counts code units in its regex, where known. */
export interface PatternIssue {
  readonly classifier: string;
  readonly id: string;
  readonly message: string;
  readonly position?: number;
}

/** Patterns that were refused, all of them. */
export class PatternSetError extends Error {
  readonly issues: readonly PatternIssue[];

  constructor(issues: readonly PatternIssue[]) {
    super(issues.map((issue) => `${issue.classifier}.${issue.id}: ${issue.message}`).join('\n'));
    this.name = 'PatternSetError';
    this.issues = issues;
  }
}

export interface CompileOptions {
  /** Bytes that the automaton's table may take. */
  readonly stateBytesMax?: number;
  /** Instructions that all patterns together may need. */
  readonly instructionsMax?: number;
}

/** Compiles patterns. Throws PatternSetError with every issue found, also when an example does not behave as stated. */
export function compilePatterns(sources: readonly PatternSource[], options: CompileOptions = {}): PatternSet {
  const issues: PatternIssue[] = [];
  const read = sources.map((source) => readPattern(source, issues));
  const literals = read.reduce((n, r) => n + (r?.input.literals?.length ?? 0), 0);
  if (literals > LITERALS_MAX) issues.push({ classifier: '', id: '', message: `the set has ${literals} literals; ${LITERALS_MAX} is the most` });
  const once = sources.filter(({ definition }) => definition.once === true && definition.regex !== undefined).length;
  if (once > ONCE_MAX) issues.push({ classifier: '', id: '', message: `${once} patterns of the set begin once; ${ONCE_MAX} is the most` });
  if (issues.length > 0) throw new PatternSetError(issues);
  const patterns = sources.map((source, index): CompiledPattern => ({
    index,
    definition: source.definition,
    classifier: source.classifier,
    holds: source.holds,
    holdChars: read[index]!.holdChars,
    validate: source.definition.validate,
    behind: source.definition.validate?.behind,
    maxChars: source.definition.maxChars ?? Infinity,
  }));
  const set: PatternSet = {
    patterns,
    automaton: new Automaton(programOf(sources, read.map((r) => r!.input), options.instructionsMax), options.stateBytesMax ?? STATE_BYTES_MAX),
    holdChars: Math.max(0, ...patterns.filter((p) => p.holds).map((p) => p.holdChars)),
    ageMin: Math.min(Infinity, ...patterns.map((p) => p.maxChars)),
  };
  return set;
}

/** Every component in a whole text. */
export function scanComponents(set: PatternSet, text: string): readonly Component[] {
  const scan = new Scan(set);
  scan.feed(text);
  scan.flush();
  return scan.take();
}

/** Every finding in a whole text, by start. */
export function scanText(set: PatternSet, text: string): readonly Finding[] {
  return joinParts(scanComponents(set, text).flatMap((component) => component.findings));
}

/** Characters of a step of `scanSteps`: a fraction of a millisecond, also where the text is hostile. */
const STEP_CHARS = 16_384;

/** As `scanText`, in steps, for one who has other work between them. */
export function* scanSteps(set: PatternSet, text: string): Generator<void, readonly Finding[]> {
  if (text.length <= STEP_CHARS) return scanText(set, text);
  const scan = new Scan(set);
  const components: Component[] = [];
  for (let at = 0; at < text.length; at += STEP_CHARS) {
    scan.feed(text.slice(at, at + STEP_CHARS));
    for (const component of scan.take()) components.push(component);
    yield;
  }
  scan.flush();
  return joinParts([...components, ...scan.take()].flatMap(({ findings }) => findings));
}

/** Findings by start; those of one pattern that overlap, because their component was handed out in parts, are one. */
function joinParts(findings: readonly Finding[]): readonly Finding[] {
  const last = new Map<CompiledPattern, { pattern: CompiledPattern; start: number; end: number }>();
  const joined: Finding[] = [];
  for (const finding of [...findings].sort((a, b) => a.start - b.start || a.end - b.end)) {
    const before = last.get(finding.pattern);
    if (before !== undefined && finding.start < before.end) before.end = Math.max(before.end, finding.end);
    else {
      const copy = { ...finding };
      last.set(finding.pattern, copy);
      joined.push(copy);
    }
  }
  return joined;
}

/** Examples of `definitions` that do not behave as stated: a `matches` without a match, an `ignores` with one. */
export function failingExamples(sources: readonly PatternSource[]): readonly PatternIssue[] {
  return sources.flatMap(({ classifier, definition }) => {
    const set = compilePatterns([{ classifier, definition, holds: true }]);
    const found = (text: string): boolean => scanText(set, text).length > 0;
    const missed = (definition.matches ?? []).filter((text) => !found(text));
    const wrong = (definition.ignores ?? []).filter(found);
    return [
      ...missed.map((text) => ({ classifier, id: definition.id, message: `the example ${JSON.stringify(text)} under matches is not matched` })),
      ...wrong.map((text) => ({ classifier, id: definition.id, message: `the example ${JSON.stringify(text)} under ignores is matched` })),
    ];
  });
}

interface ReadPattern {
  readonly input: PatternInput;
  readonly holdChars: number;
}

function readPattern(source: PatternSource, issues: PatternIssue[]): ReadPattern | undefined {
  const { definition, classifier, holds } = source;
  const refuse = (message: string, position?: number): undefined => {
    issues.push({ classifier, id: definition.id, message, ...(position === undefined ? {} : { position }) });
    return undefined;
  };
  if ((definition.regex === undefined) === (definition.literal === undefined)) return refuse('a pattern has either regex or literal');
  const validated = definition.validate !== undefined;
  if (definition.literal !== undefined) {
    if (definition.literal.length === 0) return refuse('the list of literals is empty');
    if (definition.literal.some((text) => text === '')) return refuse('an empty literal would match everywhere');
    if (definition.literal.some((text) => !text.isWellFormed())) return refuse('a literal holds half a surrogate pair');
    const holdChars = definition.literal.reduce((longest, text) => Math.max(longest, text.length), 0);
    if (holdChars > HOLD_CHARS_MAX) return refuse(`a literal is longer than ${HOLD_CHARS_MAX} characters`);
    return { input: { literals: definition.literal.map((text) => literalSets(text, definition.ignoreCase === true)), holds, validated }, holdChars };
  }
  let node: Node;
  try {
    node = parsePattern(definition.regex as string, { ignoreCase: definition.ignoreCase === true });
  } catch (error) {
    const { message, position } = error as PatternError;
    return refuse(message, position);
  }
  const length = lengthOf(node);
  if (length.min === 0) return refuse('the pattern matches the empty text; make some part of it required');
  const { maxChars } = definition;
  if (maxChars !== undefined && (!Number.isInteger(maxChars) || maxChars < length.min)) return refuse(`the most characters of a match must be a whole number, at least ${length.min}`);
  const holdChars = maxChars ?? holdOf(node);
  if (holdChars === undefined) return refuse('a repetition without an upper bound may stand only at the very end of a pattern; write {n,m}, or say how many characters a match may have');
  if (validated && maxChars === undefined && length.max === Infinity) return refuse('a pattern with a validator needs an upper bound on its length');
  if (holdChars > HOLD_CHARS_MAX) return refuse(`the pattern could hold back ${holdChars} characters; ${HOLD_CHARS_MAX} is the most`);
  const width = widthOf(node);
  if (width * holdChars > LIVE_MAX) return refuse(`a match could be at ${width} places of the pattern at once, over ${holdChars} characters; at most ${LIVE_MAX} in all: shorten repetitions, or nest fewer of them`);
  return { input: { node, holds, validated, once: definition.once === true, maxChars }, holdChars };
}

const sets = new Map<string, CharSet>();

function literalSets(text: string, ignoreCase: boolean): CharSet[] {
  return Array.from(text, (character) => {
    const key = `${ignoreCase ? 'i' : ''}${character}`;
    let set = sets.get(key);
    if (set === undefined) {
      const codePoint = character.codePointAt(0) as number;
      set = ignoreCase ? foldCase([[codePoint, codePoint]]) : [[codePoint, codePoint]];
      sets.set(key, set);
    }
    return set;
  });
}

function programOf(sources: readonly PatternSource[], inputs: readonly PatternInput[], instructionsMax: number | undefined): ReturnType<typeof compileProgram> {
  try {
    return compileProgram(inputs, instructionsMax);
  } catch (error) {
    const { pattern, message } = error as ProgramTooLargeError;
    const source = sources[pattern] as PatternSource;
    throw new PatternSetError([{ classifier: source.classifier, id: source.definition.id, message }]);
  }
}
