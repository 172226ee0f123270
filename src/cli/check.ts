/**
 * `weir check`: reads configuration, policies, patterns and plugins as `start` would, and prints every finding with its
 * place, the line it is in and what was probably meant. Starts nothing. Values of keys that hold secrets are not shown.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { readYaml } from '../config/yaml.ts';
import { POLICY_LIMITS } from '../policy/parse.ts';
import { ClassifierPool, loadRuntime } from '../runtime.ts';
import { UsageError, parseCall, type CliCommand, type Io } from './command.ts';

export const check: CliCommand = {
  name: 'check',
  summary: 'validate configuration, policies, patterns and plugins',
  help: `usage: weir check [config] [--config FILE] [--json]

Reads the configuration (by default config/weir.yaml, else the one that comes with Weir) and all its policies, and
prints every finding as file:line:column with the line it is in and a suggestion where there is one.

  --config FILE  the configuration to check, as for every command
  --json         print one JSON object: ok, file, errors, warnings, issues

exit code: 0 no error (warnings may be printed), 1 errors, 2 wrong call
`,
  async run(args, io) {
    const { options, operands } = parseCall(args, { config: 'value', json: 'flag', help: 'flag' }, 1);
    if (options.config !== undefined && operands.length > 0) throw new UsageError('the configuration is given twice');
    const file = options.config ?? operands[0];
    const { snapshot, issues } = await examine(file, io);
    const ok = snapshot !== undefined;
    if (options.json) io.stdout(`${JSON.stringify(reportOf(ok, snapshot, issues))}\n`);
    else await printIssues(ok, snapshot, issues, io);
    return ok ? 0 : 1;
  },
};

interface Examination {
  readonly snapshot?: Snapshot;
  readonly issues: readonly ConfigIssue[];
}

/** The path `start` takes, up to the point where something would listen. */
async function examine(file: string | undefined, io: Io): Promise<Examination> {
  const pool = new ClassifierPool();
  try {
    const { snapshot } = await loadRuntime(file, io.env, pool);
    return { snapshot, issues: snapshot.warnings };
  } catch (error) {
    if (error instanceof ConfigError) return { issues: await Promise.all(error.issues.map(withPatternPlace)) };
    throw error;
  } finally {
    await pool.close();
  }
}

/** The matching engine knows a pattern by its id; this finds its line. */
async function withPatternPlace(issue: ConfigIssue): Promise<ConfigIssue> {
  const id = /^patterns\.([^[]+)$/.exec(issue.path)?.[1];
  if (id === undefined) return issue;
  const document = readYaml(await readFile(resolve(issue.file), 'utf8').catch(() => ''), issue.file, POLICY_LIMITS);
  const patterns = (document.value as { readonly patterns?: readonly { readonly id?: unknown; readonly regex?: unknown }[] } | undefined)?.patterns ?? [];
  const index = patterns.findIndex((pattern) => pattern.id === id);
  if (index < 0) return issue;
  const key = patterns[index].regex === undefined ? 'literal' : 'regex';
  return { ...issue, ...document.at(['patterns', index, key]), path: `patterns[${index}].${key}` };
}

// Printing.

function reportOf(ok: boolean, snapshot: Snapshot | undefined, issues: readonly ConfigIssue[]): object {
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const parts = snapshot ? { file: snapshot.file, hash: snapshot.hash, tenants: snapshot.config.tenants.length, policies: [...snapshot.policies.keys()] } : {};
  return { ok, ...parts, errors, warnings: issues.length - errors, issues };
}

async function printIssues(ok: boolean, snapshot: Snapshot | undefined, issues: readonly ConfigIssue[], io: Io): Promise<void> {
  const paint = (code: number, text: string): string => (io.color ? `\x1b[${code}m${text}\x1b[0m` : text);
  const lines = new SourceLines();
  for (const issue of issues) {
    const tone = issue.severity === 'error' ? paint(31, 'error') : paint(33, 'warning');
    io.stdout(`${visible(issue.file)}:${issue.line}:${issue.column} ${tone} ${visible(issue.message)}\n`);
    const excerpt = excerptOf(await lines.at(issue.file, issue.line), issue.column, io.columns);
    if (excerpt) io.stdout(`    ${excerpt.text}\n    ${' '.repeat(excerpt.caret)}${paint(36, '^')}\n`);
    if (issue.suggestion !== undefined) io.stdout(`    ${visible(issue.suggestion)}\n`);
  }
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const counts = [count(errors, 'error'), count(issues.length - errors, 'warning')].join(', ');
  if (ok && snapshot) io.stdout(`${visible(snapshot.file)} ${paint(32, 'ok')}: ${count(snapshot.config.tenants.length, 'tenant')}, ${count(snapshot.policies.size, 'polic', 'y', 'ies')}, ${counts}\n`);
  else io.stdout(`${paint(31, 'not usable')}: ${counts}\n`);
}

function count(number: number, noun: string, one = '', many = 's'): string {
  return `${number} ${noun}${number === 1 ? one : many}`;
}

/** Lines of the files that issues stand in, each file read once. */
class SourceLines {
  readonly #files = new Map<string, readonly string[]>();

  async at(file: string, line: number): Promise<string> {
    let lines = this.#files.get(file);
    if (!lines) {
      const text = await readFile(resolve(file), 'utf8').catch(() => '');
      this.#files.set(file, (lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)));
    }
    return lines[line - 1] ?? '';
  }
}

/** The part of a line around a column that fits the terminal, or undefined where there is nothing to show. */
function excerptOf(line: string, column: number, columns: number): { readonly text: string; readonly caret: number } | undefined {
  if (line.trim() === '') return undefined;
  const width = Math.max(20, columns - 4);
  const start = column > width ? column - Math.floor(width / 2) : 0;
  return { text: visible(withoutSecrets(line)).slice(start, start + width), caret: column - 1 - start };
}

/** Values of keys that hold secrets, and credentials in URLs, at their length so that the caret stays right. */
function withoutSecrets(line: string): string {
  return line
    .replaceAll(/((?:api_key|sha256|secret|token|password)["']?\s*:\s*)(?!\$\{)("[^"]*"|'[^']*'|[^\s,}#]+)/gi, (_, key: string, value: string) => key + '*'.repeat(value.length))
    .replaceAll(/(:\/\/)([^\s/@]+)@/g, (_, slashes: string, userinfo: string) => `${slashes}${'*'.repeat(userinfo.length)}@`);
}

/** Control characters would move the cursor or forge lines. */
function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
