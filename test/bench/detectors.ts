/**
 * The sets of patterns that are timed. Twenty detectors are written in what our language, V8's and RE2's have in
 * common, and without validators, so that every engine does the same work and finds the same (ours with a limit where
 * a repetition has none, as it asks for); two hundred are these and
 * what a large tenant would add: ticket formats, key formats, names. The sets of the pii plugin are the ones that ship.
 */
import type { PatternSet } from '../../src/match/compiled.ts';
import { compilePatterns } from '../../src/match/set.ts';
import type { PatternDefinition } from '../../src/contract/classifier.ts';
import { testPii } from '../helpers/pii.ts';

const FORMS: readonly (readonly [label: string, regex: string])[] = [
  ['EMAIL', '\\b[A-Za-z0-9._%+\\-]+@[A-Za-z0-9.\\-]+\\.[A-Za-z]{2,24}\\b'],
  ['PHONE_NUMBER', '\\b\\d{3}[ .\\-]\\d{3}[ .\\-]\\d{4}\\b'],
  ['PHONE_NUMBER', '\\+[1-9](?:[ .\\-]?\\d){6,14}\\b'],
  ['CREDIT_CARD', '\\b\\d{4}[ \\-]?\\d{4}[ \\-]?\\d{4}[ \\-]?\\d{4}\\b'],
  ['CREDIT_CARD', '\\b3\\d{3}[ \\-]?\\d{6}[ \\-]?\\d{5}\\b'],
  ['IBAN', '\\b[A-Z]{2}\\d{2}[A-Z0-9]{11,30}\\b'],
  ['US_SSN', '\\b\\d{3}-\\d{2}-\\d{4}\\b'],
  ['IP_ADDRESS', '\\b\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\b'],
  ['IP_ADDRESS', '\\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\\b'],
  ['API_KEY', '\\bsk-ant-[a-z0-9]{3,8}-[A-Za-z0-9_\\-]{20,200}'],
  ['API_KEY', '\\bsk-proj-[A-Za-z0-9_\\-]{20,240}'],
  ['API_KEY', '\\bAKIA[A-Z2-7]{16}\\b'],
  ['API_KEY', '\\bgh[pousr]_[A-Za-z0-9]{36,200}\\b'],
  ['API_KEY', '\\bxox[abeprs]-[A-Za-z0-9\\-]{20,240}'],
  ['API_KEY', '\\bAIza[A-Za-z0-9_\\-]{35}\\b'],
  ['API_KEY', '\\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,128}\\b'],
  ['API_KEY', '\\bglpat-[A-Za-z0-9_\\-]{20,64}'],
  ['API_KEY', '\\bhf_[A-Za-z0-9]{30,64}\\b'],
  ['API_KEY', '\\bnpm_[A-Za-z0-9]{36}\\b'],
  ['PRIVATE_KEY', '-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----'],
];

export const TWENTY: readonly PatternDefinition[] = FORMS.map(([label, regex], i) => ({ id: `form-${i}`, category: label, label, regex, ...(regex.includes(']+@') ? { maxChars: 254, once: true } : {}) }));

const letters = (i: number): string => `${String.fromCharCode(65 + (i % 26))}${String.fromCharCode(65 + ((i * 7) % 26))}${String.fromCharCode(65 + ((i * 11 + Math.trunc(i / 26)) % 26))}`;

export const TWO_HUNDRED: readonly PatternDefinition[] = [
  ...TWENTY,
  ...Array.from({ length: 60 }, (_, i): PatternDefinition => ({ id: `ticket-${i}`, category: 'TICKET', label: 'TICKET', regex: `\\b${letters(i)}-\\d{4,8}\\b` })),
  ...Array.from({ length: 60 }, (_, i): PatternDefinition => ({ id: `key-${i}`, category: 'API_KEY', label: 'API_KEY', regex: `\\b${letters(i).toLowerCase()}\\d_[A-Za-z0-9]{24,64}\\b` })),
  ...Array.from({ length: 60 }, (_, i): PatternDefinition => ({ id: `name-${i}`, category: 'NAME', label: 'NAME', literal: [`Project ${letters(i)}`, `operation ${letters(i + 60).toLowerCase()}`], ignoreCase: true })),
];

/** What the pii plugin is given where a configuration names nothing else. */
export const PII: readonly PatternDefinition[] = testPii().patterns ?? [];

/** What begins with a digit or with a literal only: nothing in ordinary prose may be its beginning. */
export const DIGIT_OR_LITERAL: readonly PatternDefinition[] = TWENTY.filter(({ regex }) => !/^\\b\[[A-Za-z]/.test(regex as string));

/** Patterns that take exponential or high polynomial time in an engine that backtracks, each with a text that shows it. */
export const BACKTRACKING: readonly { readonly regex: string; readonly hostile: (chars: number) => string }[] = [
  { regex: '(?:a{1,30}){1,30}\\d', hostile: (chars) => 'a'.repeat(chars) },
  { regex: '(?:a|a){1,60}\\d', hostile: (chars) => 'a'.repeat(chars) },
  { regex: '(?:a|aa){1,60}\\d', hostile: (chars) => 'a'.repeat(chars) },
  { regex: '(?:\\w{1,20}\\s?){1,20}$', hostile: (chars) => `${'word'.repeat(Math.ceil(chars / 4)).slice(0, chars - 1)}!` },
  { regex: '(?:.{0,20},){11}P', hostile: (chars) => '1,'.repeat(Math.ceil(chars / 2)).slice(0, chars) },
  { regex: '(?:x{1,20}x{1,20}){1,10}y', hostile: (chars) => 'x'.repeat(chars) },
];

/** A set of its own, every pattern holding, as a policy that redacts compiles it. */
export function setOf(definitions: readonly PatternDefinition[]): PatternSet {
  return compilePatterns(definitions.map((definition) => ({ classifier: 'pii', definition, holds: true })));
}
