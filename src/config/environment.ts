/**
 * `${NAME}` and `${NAME:-default}` in configuration values. A default is taken when the variable is unset or empty, as
 * a shell does; a variable that is unset and has no default is an error with its place.
 *
 * References are masked before the YAML parser sees them, because `{`, `}` and `:` mean something in YAML; the mask has
 * the same length, so places stay right. What a variable holds is put in after parsing and can never become YAML.
 */
import type { ConfigIssue } from '../contract/errors.ts';
import { formatPath, placeOf, readYaml, type Path, type YamlDocument } from './yaml.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ExpandedDocument extends YamlDocument {
  /** True where the text came from a variable: such text may stand for a number or a boolean. */
  isExpanded(path: Path): boolean;
}

const REFERENCE = /\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}\r\n]*)?\}/g;
const MASKED_REFERENCE = /\uE024\uE07B[^\uE07D]*\uE07D/g;

/** A masked character is its ASCII code above U+E000, a private area that the source itself may not use. */
const MASK_BASE = 0xe000;

/** Reads a configuration file's text with its variables put in. */
export function readWithEnvironment(source: string, file: string, environment: Environment): ExpandedDocument {
  const conflict = source.search(/[\uE000-\uE07F]/);
  if (conflict < 0) return expandReferences(readYaml(maskReferences(source), file), environment);
  const place = placeOf(source, conflict);
  const issue: ConfigIssue = { file, ...place, path: '', message: 'a character of the private use area cannot stand in a configuration', severity: 'error' };
  return { file, value: undefined, issues: [issue], at: () => place, isExpanded: () => false };
}

/** Same length as the source. */
function maskReferences(source: string): string {
  return source.replaceAll(REFERENCE, (reference) => reference.replaceAll(/[\x20-\x7e]/g, (c) => String.fromCharCode(MASK_BASE + c.charCodeAt(0))));
}

/** Puts the variables in; a missing one is an issue. */
function expandReferences(document: YamlDocument, environment: Environment): ExpandedDocument {
  const issues: ConfigIssue[] = [...document.issues];
  const expanded = new Set<string>();

  const refuse = (path: Path, part: 'key' | 'value', message: string, suggestion?: string): void => {
    issues.push({ file: document.file, ...document.at(path, part), path: formatPath(path), message, suggestion, severity: 'error' });
  };

  const expandText = (text: string, path: Path): string =>
    text.replaceAll(MASKED_REFERENCE, (masked) => {
      const [name, fallback] = split(unmask(masked));
      const value = environment[name];
      if (value !== undefined && (value !== '' || fallback === undefined)) return value;
      if (fallback === undefined) refuse(path, 'value', `environment variable ${name} is not set`, `set it, or write \${${name}:-} for an empty default`);
      return fallback ?? '';
    });

  const expand = (value: unknown, path: Path): unknown => {
    if (typeof value === 'string') {
      const text = expandText(value, path);
      if (text !== value) expanded.add(formatPath(path));
      return text;
    }
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((item, index) => expand(item, [...path, index]));
    const mapping: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(value)) {
      if (unmask(key) !== key) refuse([...path, key], 'key', 'a variable cannot stand in a key');
      mapping[key] = expand(item, [...path, key]);
    }
    return mapping;
  };

  const value = expand(document.value, []);
  return { ...document, value, issues, isExpanded: (path) => expanded.has(formatPath(path)) };
}

function split(reference: string): readonly [name: string, fallback: string | undefined] {
  const inner = reference.slice(2, -1);
  const at = inner.indexOf(':-');
  return at < 0 ? [inner, undefined] : [inner.slice(0, at), inner.slice(at + 2)];
}

function unmask(text: string): string {
  return text.replaceAll(/[\uE000-\uE07F]/g, (c) => String.fromCharCode(c.charCodeAt(0) - MASK_BASE));
}
