/**
 * The tables of the READMEs that say what the code says: each stands between `<!-- table:NAME -->` and `<!-- /table -->`
 * and is made here from the code's own lists; so are the JSON Schemas of the configuration and of
 * policies, and the reference in config/weir.yaml. `node test/helpers/docs.ts --write` writes them, `--check` tells which are stale; `test/docs.test.ts` keeps both sides equal.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { templateOf } from '../../src/admin/openapi.ts';
import { ADMIN_ROUTES } from '../../src/admin/server.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { REFERENCE_MARK, renderReference } from '../../src/config/reference.ts';
import { createPages } from '../../src/console/pages.ts';
import { CONFIG_KEYS, configSchema } from '../../src/config/schema.ts';
import { taxonomySchema } from '../../src/config/taxonomy.ts';
import { ERROR_CODES, type ErrorCode } from '../../src/contract/errors.ts';
import { PEOPLE_ROLES } from '../../src/contract/people.ts';
import { EXEMPT_REASONS, type LeafRules } from '../../src/dialect/walk.ts';
import { policySchema } from '../../src/policy/parse.ts';
import { outcomeOf } from '../../src/proxy/exchange.ts';
import { OWN_ENDPOINTS, SCREENED_ENDPOINTS, SOCKET_ENDPOINTS } from '../../src/proxy/route.ts';
import { faultOf } from '../../src/contract/fault.ts';
import { METRICS, type MetricDefinition } from '../../src/telemetry/metrics.ts';
import { prometheusName, SEMCONV_METRICS } from '../../src/telemetry/semconv-metrics.ts';
import { ALERTS } from './alerts.ts';

const ROOT = join(import.meta.dirname, '../..');
export const README = join(ROOT, 'README.md');

/** Own headers, with their meaning. Where the code sets them is `proxy/`; the test reads it. */
export const OWN_HEADERS: Readonly<Record<string, string>> = {
  'x-weir-session-id': 'on a request: the conversation it belongs to, 256 characters at most; reversible pseudonyms stay the same within it, a canary takes it or leaves it as a whole, and a late violation can bar it',
  'x-weir-request-id': 'id of the exchange, as in the audit log and traces',
  'x-weir-policy': 'the policy that decided, `id@revision`',
  'x-weir-action': 'the decision on the input',
  'x-weir-coverage': '`full`, or `partial` when something was exempt or opaque',
  'x-weir-degraded': 'the rules for which a fail mode decided; from `/v1/moderations` the categories that were not judged, or not for all of the input',
};

type Row = readonly string[];

/** Every table of README.md by name: its head and its rows. */
export async function tables(): Promise<Readonly<Record<string, readonly Row[]>>> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  return {
    commands: [['command', 'does'], ...commands.map(({ name, summary }) => [`\`weir ${name}\``, summary])],
    config: [
      ['key', 'type', 'default', 'meaning'],
      ...CONFIG_KEYS.map((key) => [`\`${key.path}\``, [key.type, key.unit].filter(Boolean).join(', '), key.required ? 'required' : key.default === undefined ? '' : `\`${key.default}\``, key.description]),
    ],
    errors: [
      ['code', 'status', 'meaning', 'what to do', 'fault'],
      ...(Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => [`\`${code}\``, String(ERROR_CODES[code].status), ERROR_CODES[code].meaning, ERROR_CODES[code].next, `\`${faultOf({ outcome: outcomeOf(code), error_code: code })}\``]),
    ],
    headers: [['header', 'meaning'], ...Object.entries(OWN_HEADERS).map(([name, meaning]) => [`\`${name}\``, meaning])],
    metrics: [
      ['metric', 'kind', 'labels', 'meaning'],
      ...(Object.entries(METRICS) as [string, MetricDefinition][]).map(([name, { kind, labels, help }]) => [`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(' '), help]),
    ],
    conventions: [
      ['metric', 'in the Prometheus text', 'kind, unit', 'attributes', 'meaning', '`telemetry.semconv`'],
      ...Object.entries(SEMCONV_METRICS).map(([name, doc]) => [`\`${name}\``, `\`${prometheusName(name, doc)}\``, `${doc.kind}, ${doc.unit}`, doc.labels.map((label) => `\`${label}\``).join(' '), doc.help, doc.edition ?? 'each']),
    ],
    pages: [
      ['page', 'shows or does', 'for the roles of'],
      ...createPages({ hasProvider: false, keys: async () => [] }).routes.filter(({ path }) => !path.startsWith('/assets/')).map(({ method, path, meaning, needs }) => [`\`${method === 'GET' ? '' : 'POST '}${templateOf(path)}\``, meaning, needs === 'open' ? 'everybody' : needs === 'people' ? 'who is logged in' : routeOf(needs)]),
    ],
    routes: [
      ['port', 'route', 'treatment'],
      ...SCREENED_ENDPOINTS.map(({ method, path, answeredHere }) => ['proxy', `\`${method} ${path}\``, answeredHere === undefined ? 'screened in both directions' : 'answered by weir, or as `proxy.moderations` says']),
      ...SOCKET_ENDPOINTS.map(({ path }) => ['proxy', `\`WebSocket ${path}\``, 'screened frame by frame, or as `proxy.websockets` says']),
      ...OWN_ENDPOINTS.map(({ method, path }) => ['proxy', `\`${method} ${path}\``, 'answered by weir']),
      ...ADMIN_ROUTES.map(({ method, path, meaning, access }) => ['admin', `\`${method} ${templateOf(path)}\``, `${meaning}${access === 'open' ? '' : `; for ${access.length === PEOPLE_ROLES.length ? 'every role but `shipper`' : access.map((role) => `\`${role}\``).join(', ')}`}`]),
    ],
  };
}

function routeOf(name: string): string {
  const { method, path } = ADMIN_ROUTES.find((route) => route.name === name)!;
  return `\`${method} ${templateOf(path)}\``;
}

/** The tables of src/dialect/README.md. */
export async function dialectTables(): Promise<Readonly<Record<string, readonly Row[]>>> {
  const all: readonly RuledDialect[] = [...SCREENED_ENDPOINTS, ...SOCKET_ENDPOINTS].flatMap(({ dialect }) => dialect ?? []);
  const byId = [...Map.groupBy(all, ({ id }) => id)].sort(([a], [b]) => a.localeCompare(b));
  return {
    reasons: [
      ['reason', 'what stands there'],
      ...Object.entries(EXEMPT_REASONS).map(([reason, meaning]) => [reason, meaning]),
      ['opaque', 'what cannot be read here; what becomes of it, the configuration says by kind'],
      ['dependent', 'repeats a text, and changes when that text does'],
    ],
    places: [['name', 'in a request', 'in an answer', 'dialects'], ...rowsOf(byId, placesOf)],
    exemptions: [['carrier', 'in a request', 'in an answer', 'dialects'], ...rowsOf(byId, explained)],
  };
}

/** A row for each name and what is said of it in both directions, with the dialects that say so. */
function rowsOf(byId: readonly (readonly [string, readonly RuledDialect[]])[], say: (rules: readonly LeafRules[]) => ReadonlyMap<string, string>): Row[] {
  const said = byId.flatMap(([id, dialects]) => {
    const [request, answer] = [say(dialects.map(({ requestRules }) => requestRules)), say(dialects.map(({ answerRules }) => answerRules))];
    return [...new Set([...request.keys(), ...answer.keys()])].map((name) => ({ id, cells: [`\`${name}\``, request.get(name) ?? '', answer.get(name) ?? ''] }));
  });
  const alike = [...Map.groupBy(said, ({ cells }) => cells.join('\n')).values()].map((same) => [...same[0]!.cells, same.map(({ id }) => id).join(', ')]);
  return alike.sort(([a], [b]) => (a! < b! ? -1 : a! > b! ? 1 : 0));
}

interface RuledDialect {
  readonly id: string;
  readonly requestRules: LeafRules;
  readonly answerRules: LeafRules;
}

/** Why a carrier is no text, by carrier. */
function explained(all: readonly LeafRules[]): ReadonlyMap<string, string> {
  return joined(all.flatMap(({ exempt, opaque = {}, opaqueWhen = {}, dependent = [] }) => [
    ...Object.entries(exempt), ...Object.entries(opaque).map(([carrier, kind]) => [carrier, `opaque: ${kind}`] as const),
    ...Object.keys(opaqueWhen).map((carrier) => [carrier, 'opaque by what stands beside it'] as const), ...dependent.map((carrier) => [carrier, 'dependent'] as const),
  ]));
}

/** Where the rules' own names stand. */
function placesOf(all: readonly LeafRules[]): ReadonlyMap<string, string> {
  return joined(all.flatMap(({ sameAs = [] }) => sameAs.map(([places, name]) => [name === '' ? ' ' : name, `\`${places.source}\``] as const)));
}

function joined(entries: readonly (readonly [string, string])[]): ReadonlyMap<string, string> {
  return new Map([...Map.groupBy(entries, ([name]) => name)].map(([name, alike]) => [name, [...new Set(alike.map(([, meaning]) => meaning))].join(', ')]));
}

/** Every document with tables, and what makes them. */
export const DOCUMENTS = [{ path: README, tables }, { path: join(ROOT, 'src/dialect/README.md'), tables: dialectTables }, { path: join(ROOT, 'config/prometheus/README.md'), tables: alertTables }] as const;

/** The runbook, from what the rules say themselves. */
async function alertTables(): Promise<Readonly<Record<string, readonly Row[]>>> {
  return { alerts: [['alert', 'severity', 'what it means', 'what to do'], ...ALERTS.map(({ alert, labels, annotations }) => [`\`${alert}\``, labels.severity, annotations.description, annotations.action])] };
}

/** Descriptions of files for editors, as JSON Schema. */
export const SCHEMAS = [
  { path: join(ROOT, 'config/weir.schema.json'), files: ['weir.yaml', 'container.yaml'], schema: configSchema },
  { path: join(ROOT, 'config/taxonomy.schema.json'), files: ['taxonomy.yaml'], schema: taxonomySchema },
  { path: join(ROOT, 'config/policies/policy.schema.json'), schema: policySchema },
] as const;

export function renderSchema(schema: object): string {
  return `${JSON.stringify(schema, null, 1)}\n`;
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
  const write = process.argv.includes('--write');
  const documents = DOCUMENTS.map(({ path, tables }) => ({ path, render: async (before: string) => withTables(before, await tables()) }));
  const schemas = SCHEMAS.map(({ path, schema }) => ({ path, render: () => renderSchema(schema()) }));
  const reference = { path: join(ROOT, 'config/weir.yaml'), render: (before: string) => before.slice(0, before.indexOf(REFERENCE_MARK)) + renderReference() };
  for (const { path, render } of [...documents, ...schemas, reference]) {
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const after = await render(before);
    if (write) writeFileSync(path, after);
    const name = relative(ROOT, path);
    process.stdout.write(before === after ? `${name} is up to date\n` : write ? `${name} is written\n` : `${name} is stale; run with --write\n`);
    if (before !== after && !write) process.exitCode = 1;
  }
}
