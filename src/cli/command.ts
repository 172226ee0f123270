/**
 * What a command of the `weir` program is, and the parsing that all of them share. A command gets its arguments and an
 * `Io`, and answers with an exit code: 0 done, 1 a finding or a failure, 2 a wrong call. It never touches `process`, so
 * that tests run it in-process.
 */
import { parseArgs } from 'node:util';
import type { Readable } from 'node:stream';
import { nearestWord } from '../config/nearest.ts';

/** The outside of a command: streams, environment, and what the terminal can do. */
export interface Io {
  stdout(text: string): void;
  stderr(text: string): void;
  readonly stdin: Readable;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True when stdout is a terminal. */
  readonly isTerminal: boolean;
  /** Width of the terminal in characters; 80 when there is none. */
  readonly columns: number;
  /** True when ANSI colours may be written: a terminal, without `NO_COLOR`. */
  readonly color: boolean;
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. Asking installs the signal traps. */
  stopSignal(): AbortSignal;
}

export interface CliCommand {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Printed by `--help`: usage, options, exit codes. */
  readonly help: string;
  run(args: readonly string[], io: Io): Promise<number>;
}

/** A wrong call: the program prints the message and exits with 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** One of these, or UsageError with the nearest of them. */
export function verbOf<const T extends object>(verb: string | undefined, verbs: T): keyof T & string {
  const names = Object.keys(verbs);
  if (verb === undefined) throw new UsageError(`what to do is missing; there is ${names.join(', ')}`);
  if (!Object.hasOwn(verbs, verb)) throw new UsageError(`unknown verb ${JSON.stringify(verb)}${didYouMean(verb, names) || `; there is ${names.join(', ')}`}`);
  return verb as keyof T & string;
}

/** `value`: the option takes a value; `list`: it may be given several times; `flag`: it takes none. */
export type OptionKind = 'value' | 'list' | 'flag';
export type OptionTable = Readonly<Record<string, OptionKind>>;

type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends 'flag' ? boolean : T[K] extends 'list' ? readonly string[] : string | undefined;
};

export interface Call<T extends OptionTable> {
  readonly options: OptionValues<T>;
  readonly operands: readonly string[];
}

/** Reads arguments against a table of options. Throws UsageError, with the nearest name for an unknown option. */
export function parseCall<const T extends OptionTable>(args: readonly string[], table: T, operandsMax: number): Call<T> {
  const { tokens, positionals } = parseArgs({ args: [...args], options: parserOptions(table), strict: false, allowPositionals: true, tokens: true });
  const options: Record<string, boolean | string | string[] | undefined> = {};
  for (const [name, kind] of Object.entries(table)) options[name] = kind === 'flag' ? false : kind === 'list' ? [] : undefined;
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const kind = Object.hasOwn(table, token.name) ? table[token.name] : undefined;
    if (kind === undefined) throw new UsageError(`unknown option ${token.rawName}${didYouMean(token.name, Object.keys(table), '--')}`);
    if (kind === 'flag') {
      if (token.value !== undefined) throw new UsageError(`option ${token.rawName} takes no value`);
      options[token.name] = true;
      continue;
    }
    const value = token.value;
    const missing = value === undefined || (!token.inlineValue && value.length > 1 && value.startsWith('-'));
    if (missing) throw new UsageError(`option ${token.rawName} needs a value`);
    if (kind === 'list') (options[token.name] as string[]).push(value);
    else if (options[token.name] !== undefined) throw new UsageError(`option ${token.rawName} is given twice`);
    else options[token.name] = value;
  }
  if (positionals.length > operandsMax) throw new UsageError(`unexpected argument ${JSON.stringify(positionals[operandsMax])}`);
  return { options: options as OptionValues<T>, operands: positionals };
}

function parserOptions(table: OptionTable): Record<string, { type: 'string' | 'boolean'; multiple: boolean }> {
  return Object.fromEntries(Object.entries(table).map(([name, kind]) => [name, { type: kind === 'flag' ? 'boolean' : 'string', multiple: true }]));
}

/** `; did you mean --config?`, or nothing when no name is near. */
export function didYouMean(name: string, known: readonly string[], prefix = ''): string {
  const nearest = nearestWord(name, known);
  return nearest === undefined ? '' : `; did you mean ${prefix}${nearest}?`;
}
