/**
 * ClickHouse's own engine (chdb) behind as much of ClickHouse's HTTP interface as its official client speaks: a process of
 * its own, so that it can be frozen and killed, which keeps its files. `node clickhouse-engine.ts FOLDER PORT`, where the
 * package is found beside WEIR_TEST_CHDB or this file; WEIR_CHDB_PASSWORD is asked of `weir`. One statement runs after the other.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

interface Session {
  queryAsync(sql: string): Promise<{ bytes(): Uint8Array }>;
}

const [dir, port] = process.argv.slice(2) as [string, string];
const { WEIR_CHDB_PASSWORD: password } = process.env;
const chdb = createRequire(process.env.WEIR_TEST_CHDB === undefined ? import.meta.url : join(process.env.WEIR_TEST_CHDB, 'package.json'))('chdb') as { readonly Session: new (path: string) => Session };
const session = new chdb.Session(dir);

/** Parts of a request's address that are no settings of the engine. */
const NO_SETTINGS = ['query', 'query_id', 'database', 'user', 'password', 'session_id', 'session_timeout', 'enable_http_compression', 'default_format', 'role', 'wait_end_of_query', 'cancel_http_readonly_queries_on_client_close', 'http_write_exception_in_output_format'];
const STATUS: Readonly<Record<number, number>> = { 60: 404, 81: 404, 62: 400, 115: 400, 516: 403 };

// Whoever started it has ended, however that was.
process.stdin.on('end', () => process.exit()).resume();

let last: Promise<unknown> = Promise.resolve();
/** As they are set in the session now. */
let set: readonly string[] = [];
let used = '';

const server = createServer((request, response) => void answer(request, response));
server.listen(Number(port), '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, 'http://127.0.0.1');
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    return; // who asked has left before all was said
  }
  if (pathname === '/ping') return void response.end('Ok.\n');
  const bytes = Buffer.concat(parts);
  const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
  const query = searchParams.get('query');
  response.setHeader('x-clickhouse-query-id', searchParams.get('query_id') ?? '');
  if (!isKnown(request)) return fail(response, 516, 'Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)');
  const done = last.then(() => run(query === null ? body : `${query}\n${body}`, searchParams));
  last = done.catch(() => undefined);
  try {
    const result = await done;
    response.setHeader('x-clickhouse-summary', '{}');
    response.end(result);
  } catch (error) {
    const { clickhouseCode = 1002, message } = error as { readonly clickhouseCode?: number; readonly message: string };
    fail(response, clickhouseCode, message.replace(/^(?:Query failed: )?Code: \d+\. DB::Exception: /, ''));
  }
}

async function run(sql: string, asked: URLSearchParams): Promise<Buffer> {
  const database = asked.get('database') ?? 'default';
  const settings = [...asked].filter(([name]) => !NO_SETTINGS.includes(name) && !name.startsWith('param_'));
  if (database !== used) await session.queryAsync(`use \`${database}\``);
  used = database;
  const gone = set.filter((name) => !settings.some(([one]) => one === name));
  if (gone.length > 0) await session.queryAsync(`set ${gone.map((name) => `${name} = default`).join(', ')}`);
  set = [];
  if (settings.length > 0) await session.queryAsync(`set ${settings.map(([name, value]) => `${name} = ${/^\d+$/.test(value) ? value : literal(value)}`).join(', ')}`);
  set = settings.map(([name]) => name);
  for (const [name, value] of asked) if (name.startsWith('param_')) await session.queryAsync(`set ${name} = ${literal(value)}`);
  return Buffer.from((await session.queryAsync(sql)).bytes());
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function isKnown({ headers }: IncomingMessage): boolean {
  if (password === undefined) return true;
  const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1];
  const [user, key] = basic === undefined ? [headers['x-clickhouse-user'], headers['x-clickhouse-key']] : Buffer.from(basic, 'base64').toString().split(':');
  return user === 'weir' && key === password;
}

function fail(response: ServerResponse, code: number, message: string): void {
  response.writeHead(STATUS[code] ?? 500, { 'x-clickhouse-exception-code': String(code), 'content-type': 'text/plain' });
  response.end(`Code: ${code}. DB::Exception: ${message}\n`);
}
