/**
 * The tables of README.md that say what the code says: each stands between `<!-- table:NAME -->` and `<!-- /table -->`
 * and is made here from the code's own lists. `node test/helpers/docs.ts --write` writes them, `--check` tells which are
 * stale; `test/docs.test.ts` keeps both sides equal.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_ROUTES } from '../../src/admin/server.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { CONFIG_KEYS } from '../../src/config/schema.ts';
import { ERROR_CODES } from '../../src/contract/errors.ts';
import { OWN_ENDPOINTS, SCREENED_ENDPOINTS } from '../../src/proxy/route.ts';
import { METRICS, type MetricDefinition } from '../../src/telemetry/metrics.ts';

export const README = join(import.meta.dirname, '../../README.md');

/** Own headers, with their meaning. Where the code sets them is `proxy/`; the test reads it. */
export const OWN_HEADERS: Readonly<Record<string, string>> = {
  'x-weir-session-id': 'on a request: the conversation it belongs to, 256 characters at most; reversible pseudonyms stay the same within it',
  'x-weir-request-id': 'id of the exchange, as in the audit log and traces',
  'x-weir-policy': 'the policy that decided, `id@revision`',
  'x-weir-action': 'the decision on the input',
  'x-weir-coverage': '`full`, or `partial` when something was exempt or opaque',
  'x-weir-degraded': 'the rules for which a fail mode decided',
};

type Row = readonly string[];

/** Every table by name: its head and its rows. */
export async function tables(): Promise<Readonly<Record<string, readonly Row[]>>> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  return {
    commands: [['command', 'does'], ...commands.map(({ name, summary }) => [`\`weir ${name}\``, summary])],
    config: [
      ['key', 'type', 'default', 'meaning'],
      ...CONFIG_KEYS.map((key) => [`\`${key.path}\``, [key.type, key.unit].filter(Boolean).join(', '), key.required ? 'required' : key.default === undefined ? '' : `\`${key.default}\``, key.description]),
    ],
    errors: [['code', 'status', 'meaning', 'what to do'], ...Object.entries(ERROR_CODES).map(([code, { status, meaning, next }]) => [`\`${code}\``, String(status), meaning, next])],
    headers: [['header', 'meaning'], ...Object.entries(OWN_HEADERS).map(([name, meaning]) => [`\`${name}\``, meaning])],
    metrics: [
      ['metric', 'kind', 'labels', 'meaning'],
      ...(Object.entries(METRICS) as [string, MetricDefinition][]).map(([name, { kind, labels, help }]) => [`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(' '), help]),
    ],
    routes: [
      ['port', 'route', 'treatment'],
      ...SCREENED_ENDPOINTS.map(({ method, path }) => ['proxy', `\`${method} ${path}\``, 'screened in both directions']),
      ...OWN_ENDPOINTS.map(({ method, path }) => ['proxy', `\`${method} ${path}\``, 'answered by weir']),
      ...ADMIN_ROUTES.map(({ method, path, meaning }) => ['admin', `\`${method} ${path}\``, meaning]),
    ],
  };
}

export function renderTable([head, ...rows]: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const MARKED = /<!-- table:([a-z]+) -->\n([\s\S]*?)<!-- \/table -->/g;

/** What stands between the marks, by name. */
export function markedTables(markdown: string): ReadonlyMap<string, string> {
  return new Map([...markdown.matchAll(MARKED)].map(([, name, body]) => [name, body.trim()]));
}

/** Replaces every marked table; an unknown name is an error. */
export function withTables(markdown: string, all: Readonly<Record<string, readonly Row[]>>): string {
  return markdown.replace(MARKED, (_whole, name: string) => {
    if (!Object.hasOwn(all, name)) throw new RangeError(`README marks a table ${name}; known are ${Object.keys(all).join(', ')}`);
    return `<!-- table:${name} -->\n${renderTable(all[name])}\n<!-- /table -->`;
  });
}

if (import.meta.main) {
  const before = readFileSync(README, 'utf8');
  const after = withTables(before, await tables());
  if (process.argv.includes('--write')) writeFileSync(README, after);
  process.stdout.write(before === after ? 'README.md is up to date\n' : process.argv.includes('--write') ? 'README.md is written\n' : 'README.md is stale; run with --write\n');
  process.exitCode = before === after || process.argv.includes('--write') ? 0 : 1;
}
