/**
 * Pattern files to pattern definitions: `config/patterns/*.yaml`, which come with Weir, and files of the operator's own in
 * the same form. The README there describes it.
 *
 * Guarantees: a set that is returned has unique ids, known validators and declared categories, and every regular
 * expression can be read; every finding has its line and column, inside a regular expression too. Shipped files are read
 * once in a process, and their examples are tests; `verifyPatterns` holds other files to theirs.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Candidate, CategoryDefinition, PatternDefinition, Validator } from '../contract/classifier.ts';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import { ContextWords } from '../match/context.ts';
import { parsePattern, PatternError } from '../match/pattern.ts';
import { CONTEXT_CHARS } from '../match/scan.ts';
import { failingExamples, PatternSetError } from '../match/set.ts';
import { VALIDATORS } from '../match/validators.ts';
import { choice, custom, flag, kindOf, list, mapping, meant, name, number, readShape, record, text, whole, type Site, type TypeOf } from './shape.ts';
import { readYaml, YAML_LIMITS, type Path, type YamlDocument, type YamlLimits } from './yaml.ts';

/** The sets that come with Weir, by the name under which a configuration or a policy asks for them. */
export const SHIPPED_SETS = ['contact', 'finance', 'identity', 'network', 'crypto', 'secrets', 'exfiltration'] as const;
export const SHIPPED_DIR = join(import.meta.dirname, '../../config/patterns');
export const PATTERN_FILE_LIMITS: YamlLimits = { ...YAML_LIMITS, bytesMax: 8 * 1024 * 1024 };

export interface PatternFile {
  readonly name: string;
  readonly categories: readonly CategoryDefinition[];
  readonly patterns: readonly PatternDefinition[];
}

export interface ParsedPatterns {
  /** Undefined when any issue is an error. */
  readonly file: PatternFile | undefined;
  readonly issues: readonly ConfigIssue[];
}

export type Validators = Readonly<Record<string, Validator>>;

/** Letters of the scripts that put spaces between words, digits and `_`: what may not stand next to a match. */
const WORD = '0-9_A-Za-z\\u00C0-\\u024F\\u0370-\\u052F';
const BUILT_IN_PARTS: Readonly<Record<string, string>> = { word: WORD };

/** A shipped set. Throws ConfigError when it names a validator that neither Weir nor `extra` has. */
export function shippedSet(set: (typeof SHIPPED_SETS)[number], extra: Validators = {}): PatternFile {
  const known = shipped.get(set) ?? readYaml(readFileSync(join(SHIPPED_DIR, `${set}.yaml`), 'utf8'), `config/patterns/${set}.yaml`, PATTERN_FILE_LIMITS);
  shipped.set(set, known);
  const { file, issues } = parseDocument(known, extra);
  if (file === undefined) throw new ConfigError(issues);
  return file;
}

const shipped = new Map<string, YamlDocument>();

export function isShippedSet(set: string): set is (typeof SHIPPED_SETS)[number] {
  return (SHIPPED_SETS as readonly string[]).includes(set);
}

/** Reads a pattern file's text. `extra`: validators that a plugin brings along. */
export function parsePatterns(source: string, file: string, extra: Validators = {}): ParsedPatterns {
  return parseDocument(readYaml(source, file, PATTERN_FILE_LIMITS), extra, source);
}

/** As `parsePatterns`, and compiles each pattern and tries its examples. */
export function verifyPatterns(source: string, file: string, extra: Validators = {}): ParsedPatterns {
  const document = readYaml(source, file, PATTERN_FILE_LIMITS);
  const parsed = parseDocument(document, extra, source);
  if (parsed.file === undefined) return parsed;
  const issues = parsed.file.patterns.flatMap((definition, index) => examine(definition).map((message): ConfigIssue => ({
    file, ...document.at(['patterns', index]), path: `patterns[${index}]`, message, severity: 'error',
  })));
  return issues.length === 0 ? parsed : { file: undefined, issues: [...parsed.issues, ...issues] };
}

function examine(definition: PatternDefinition): readonly string[] {
  try {
    return failingExamples([{ classifier: '', definition, holds: true }]).map((issue) => issue.message);
  } catch (error) {
    if (!(error instanceof PatternSetError)) throw error;
    return error.issues.map((issue) => issue.message);
  }
}

// The form of a file.

const PATTERNS_MAX = 20_000;
const PART = /(?<!\\[pPu])\{([a-z][a-z0-9_]*)\}/g;
const neighbours = (description: string) => text(description, { lengthMax: 200 });
const examples = list('Texts that the check tries.', text('', { lengthMax: 10_000 }), { default: [], countMax: 1000 });

const words = list('Words, one of which must stand before the match.', text('', { lengthMax: 100 }), { required: true, countMax: 500, countMin: 1 });

function namesOf(value: unknown, site: Site): readonly string[] | undefined {
  if (typeof value === 'string') return [value];
  return list('', text('', { lengthMax: 64 }), { countMax: 20, countMin: 1, required: true }).read(value, site);
}

function textsOf(value: unknown, site: Site): readonly string[] | undefined {
  if (typeof value === 'string' && value !== '') return [value];
  if (!Array.isArray(value)) return site.refuse(`expected a text or a list of texts, got ${kindOf(value)}`);
  return list('', text('', { lengthMax: 1000 }), { countMax: 200_000, countMin: 1, required: true }).read(value, site);
}

const PATTERN = mapping('One pattern.', {
  id: name('Name in errors and, in a policy, in scores.', { required: true }),
  category: name('The category it scores.', { required: true }),
  label: text('What a redaction writes in brackets.', { required: true, lengthMax: 64, pattern: /^[^\s[\]]+$/, patternMeaning: 'a label without spaces and brackets' }),
  description: text('What it finds, in a sentence.', { required: true, lengthMax: 500 }),
  regex: text('In the language of src/match, with {parts}.', { lengthMax: 10_000 }),
  literal: custom('text or list of texts', 'Texts to match.', textsOf),
  ignore_case: flag('Whether case matters not.', { default: false }),
  max_chars: whole('Most characters of a match; repetitions in its regex need no upper bound then.', { min: 1, max: 4096 }),
  once: flag('Whether no match begins while an earlier beginning of the pattern is alive, so that a run is one candidate.', { default: false }),
  boundary: choice('Where no letter, digit or `_` may stand next to the match.', ['word', 'before', 'none'] as const, { default: 'word' }),
  not_before: neighbours('Further characters, as inside a class, that may not stand before it.'),
  not_after: neighbours('Further characters, as inside a class, that may not stand behind it.'),
  validate: custom('name or list of names', 'Validators that must all accept the match.', namesOf),
  context: mapping('Words that must stand before the match.', {
    before: words,
    chars: whole('How far before it they may begin.', { default: CONTEXT_CHARS, min: 1, max: CONTEXT_CHARS }),
  }),
  score: number('What a match scores.', { min: 0, max: 1 }),
  matches: examples,
  ignores: examples,
});

const FILE = mapping('A pattern file.', {
  set: name('Name of the set.', { required: true }),
  description: text('For people.', { lengthMax: 1000 }),
  categories: record('What each category means.', text('', { lengthMax: 300, required: true }), { required: true, countMax: 1000, countMin: 1 }),
  parts: record('Pieces of regular expressions, written {name} in them.', text('', { lengthMax: 4000, required: true }), { default: {}, countMax: 200 }),
  patterns: list('The patterns.', PATTERN, { required: true, countMax: PATTERNS_MAX }),
});

type ReadFile = NonNullable<TypeOf<typeof FILE>>;
type ReadPattern = ReadFile['patterns'][number];

function parseDocument(document: YamlDocument, extra: Validators, source?: string): ParsedPatterns {
  const { value, issues } = readShape(FILE, document);
  if (value === undefined) return { file: undefined, issues };
  const reader = new DefinitionReader(value, document, { ...VALIDATORS, ...extra }, source);
  const patterns = value.patterns.map((pattern, index) => reader.read(pattern, index));
  const found = [...issues, ...reader.issues];
  if (found.some((issue) => issue.severity === 'error')) return { file: undefined, issues: found };
  const categories = Object.entries(value.categories).map(([id, definition]): CategoryDefinition => ({ id, definition }));
  return { file: Object.freeze({ name: value.set, categories, patterns: Object.freeze(patterns) }), issues: found };
}

/** From an entry to a definition: parts put in, boundaries added, validators and context joined to one function. */
class DefinitionReader {
  readonly issues: ConfigIssue[] = [];
  readonly #file: ReadFile;
  readonly #document: YamlDocument;
  readonly #validators: Validators;
  readonly #parts: Readonly<Record<string, string>>;
  /** The file's lines, where an error inside a regular expression is to be located. Shipped files need none. */
  readonly #lines: readonly string[] | undefined;
  readonly #ids = new Map<string, number>();
  readonly #contextWords = new ContextWords();

  constructor(file: ReadFile, document: YamlDocument, validators: Validators, source: string | undefined) {
    this.#file = file;
    this.#document = document;
    this.#validators = validators;
    this.#parts = expandParts({ ...BUILT_IN_PARTS, ...file.parts });
    this.#lines = source?.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  }

  read(pattern: ReadPattern, index: number): PatternDefinition {
    const path = ['patterns', index];
    const first = this.#ids.get(pattern.id);
    if (first !== undefined) this.#refuse([...path, 'id'], `a second pattern ${pattern.id}`, `the first is pattern number ${first + 1}`);
    else this.#ids.set(pattern.id, index);
    if (!Object.hasOwn(this.#file.categories, pattern.category)) this.#refuse([...path, 'category'], `no category ${pattern.category} under categories`, meant(pattern.category, Object.keys(this.#file.categories)));
    if ((pattern.regex === undefined) === (pattern.literal === undefined)) this.#refuse(path, 'expected either regex: or literal:');
    const validate = this.#validatorOf(pattern, path);
    const regex = pattern.regex === undefined ? undefined : this.#regexOf(pattern, pattern.regex, path);
    return Object.freeze<PatternDefinition>({
      id: pattern.id, category: pattern.category, label: pattern.label, ignoreCase: pattern.ignore_case, once: pattern.once, ...(pattern.max_chars === undefined ? {} : { maxChars: pattern.max_chars }), matches: pattern.matches.map(joined), ignores: pattern.ignores.map(joined),
      ...(regex === undefined ? {} : { regex }),
      ...(pattern.literal === undefined ? {} : { literal: pattern.literal }),
      ...(validate === undefined ? {} : { validate }),
      ...(pattern.score === undefined ? {} : { score: pattern.score }),
    });
  }

  #regexOf(pattern: ReadPattern, written: string, path: Path): string {
    const here = [...path, 'regex'];
    const pieces: Piece[] = [];
    let expanded = '';
    let read = 0;
    const add = (text: string, start: number, part: boolean): void => {
      pieces.push({ from: expanded.length, start, part });
      expanded += text;
    };
    for (const match of written.matchAll(PART)) {
      const part = this.#parts[match[1] as string];
      if (part === undefined) this.#refuseAt(here, match.index, `no part ${match[1]}`, meant(match[1] as string, Object.keys(this.#parts)));
      add(written.slice(read, match.index), read, false);
      add(part ?? '', match.index, true);
      read = match.index + match[0].length;
    }
    add(written.slice(read), read, false);
    const { boundary } = pattern;
    const behind = boundary === 'none' ? pattern.not_before : `${WORD}${pattern.not_before ?? ''}`;
    const ahead = boundary === 'word' ? `${WORD}${pattern.not_after ?? ''}` : pattern.not_after;
    if (this.#lines !== undefined) this.#check(expanded, pattern.ignore_case, (position) => writtenAt(pieces, position, written.length), here);
    return `${behind === undefined ? '' : `(?<![${behind}])`}(?:${expanded})${ahead === undefined ? '' : `(?![${ahead}])`}`;
  }

  #check(regex: string, ignoreCase: boolean, place: (position: number) => number, path: Path): void {
    try {
      parsePattern(regex, { ignoreCase });
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      this.#refuseAt(path, place(error.position), error.message);
    }
  }

  #validatorOf({ validate, context }: ReadPattern, path: Path): Validator | undefined {
    const all: Validator[] = [];
    for (const wanted of validate ?? []) {
      const known = Object.hasOwn(this.#validators, wanted) ? this.#validators[wanted] : undefined;
      if (known === undefined) this.#refuse([...path, 'validate'], `no validator ${wanted.slice(0, 80)}`, meant(wanted, Object.keys(this.#validators)));
      else all.push(known);
    }
    if (context === undefined && all.length < 2) return all[0];
    const accepts = (candidate: Candidate): boolean => all.every((one) => one(candidate));
    const behinds = all.flatMap(({ behind }) => behind ?? []);
    if (context === undefined) return Object.assign(accepts, { behind: (before: string) => behinds.every((behind) => behind(before)) });
    // The words first: all lengths of a candidate and all patterns of the file ask about one context.
    const isBehind = this.#contextWords.add(context.before, context.chars);
    const behind = (before: string): boolean => isBehind(before) && behinds.every((one) => one(before));
    return Object.assign((candidate: Candidate): boolean => isBehind(candidate.before) && accepts(candidate), { behind });
  }

  #refuse(path: Path, message: string, suggestion?: string): void {
    this.#report(this.#document.at(path), path, message, suggestion);
  }

  /** `offset` counts characters of the text at `path`; where it is quoted or broken in a way that hides them, the text's start is named. */
  #refuseAt(path: Path, offset: number, message: string, suggestion?: string): void {
    const place = this.#document.at(path);
    const rest = this.#lines?.[place.line - 1]?.slice(place.column - 1) ?? '';
    this.#report({ line: place.line, column: place.column + columnsTo(rest, offset) }, path, message, suggestion);
  }

  #report(place: { readonly line: number; readonly column: number }, path: Path, message: string, suggestion: string | undefined): void {
    const { file } = this.#document;
    this.issues.push({ file, ...place, path: path.reduce<string>((out, step) => (typeof step === 'number' ? `${out}[${step}]` : out === '' ? step : `${out}.${step}`), ''), message, severity: 'error', ...(suggestion === undefined ? {} : { suggestion }) });
  }
}

/** An example may be cut by `{+}`, so that no file holds a text that a code host's scanner takes for a live key. */
function joined(example: string): string {
  return example.replaceAll('{+}', '');
}

/** Parts may use those above them. */
function expandParts(parts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const expanded: Record<string, string> = Object.create(null);
  for (const [part, regex] of Object.entries(parts)) expanded[part] = regex.replaceAll(PART, (unknown, used: string) => expanded[used] ?? unknown);
  return expanded;
}

/** A stretch of an expanded regular expression: from its `from`-th character on, as written from `start` on or, of a part, at `start`. */
interface Piece {
  readonly from: number;
  readonly start: number;
  readonly part: boolean;
}

/** Where in what was written the character at `position` of the expansion comes from. */
function writtenAt(pieces: readonly Piece[], position: number, length: number): number {
  const piece = pieces.findLast(({ from }) => from <= position) ?? pieces[0]!;
  return Math.min(length, piece.part ? piece.start : piece.start + Math.max(0, position - piece.from));
}

/** Columns from the start of a YAML scalar to its `offset`-th character. */
function columnsTo(scalar: string, offset: number): number {
  if (/^["|>]/.test(scalar)) return 0;
  if (!scalar.startsWith("'")) return offset;
  let column = 1;
  for (let i = 0; i < offset; i += 1) column += scalar.startsWith("''", column) ? 2 : 1;
  return column;
}

// Sets for a classifier.

/** `files` without the patterns whose id or category is in `disable`, and without the categories that are then empty. Returns the words of `disable` that name nothing. */
export function withoutDisabled(files: readonly PatternFile[], disable: readonly string[]): { readonly files: readonly PatternFile[]; readonly unknown: readonly string[] } {
  const named = new Set(files.flatMap((file) => file.patterns.flatMap(({ id, category }) => [id, category])));
  const off = new Set(disable);
  const kept = files.map(({ name: set, categories, patterns }): PatternFile => {
    const left = patterns.filter(({ id, category }) => !off.has(id) && !off.has(category));
    return { name: set, categories: categories.filter(({ id }) => left.some((pattern) => pattern.category === id)), patterns: left };
  });
  return { files: kept, unknown: disable.filter((word) => !named.has(word)) };
}
