/**
 * The shipper against a server that answers wrong in every way, and then right: nothing is lost or asked for without a
 * pause, errors are counted under their names, health tells what lasts, and traffic's own log is never waited for.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openAuditLog } from '../../src/audit/log.ts';
import { readBatch, ShipRefusal, SHIP_REFUSALS } from '../../src/audit/shipment.ts';
import { SHIP_ERRORS, Shipper, type ShipperOptions } from '../../src/audit/shipper.ts';
import { CHANNELS, type AuditShipped, type HealthChanged } from '../../src/contract/channels.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, writeLog } from '../helpers/audit.ts';
import { until } from '../helpers/house.ts';
import { filesOf, openCollector } from '../helpers/shipping.ts';

t.setTimeout(120_000);

type Answer = (received: IncomingMessage, answer: ServerResponse, body: string) => void | Promise<void>;

async function serve(t: Test, answer: Answer): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((received, response) => {
    let body = '';
    received.on('data', (part: Buffer) => void (body += part.toString())).on('end', () => void answer(received, response, body));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** Answers as a collector does. */
function collecting(t: Test, dir: string): Answer & { readonly copy: string } {
  const { collector } = openCollector(join(dir, '../origins'));
  t.teardown(() => collector.close());
  const answer: Answer = async (_received, response, body) => {
    try {
      const position = await collector.take({ log: 'test/one', author: 'tester' }, readBatch(JSON.parse(body))!);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(position));
    } catch (error) {
      if (!(error instanceof ShipRefusal)) throw error;
      response.writeHead(SHIP_REFUSALS[error.code].status).end(JSON.stringify({ error: { code: error.code, message: error.message }, position: error.position }));
    }
  };
  return Object.assign(answer, { copy: collector.dirOf('test/one') });
}

interface Told {
  readonly errors: string[];
  readonly health: HealthChanged[];
  lag: number | undefined;
}

function listen(t: Test): Told {
  const told: Told = { errors: [], health: [], lag: undefined };
  const onShipped = (message: unknown): void => {
    const { lag, error } = message as AuditShipped;
    told.lag = lag;
    if (error !== undefined) told.errors.push(error);
  };
  const onHealth = (message: unknown): void => void ((message as HealthChanged).part === 'audit_ship' && told.health.push(message as HealthChanged));
  CHANNELS.auditShipped.subscribe(onShipped);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => {
    CHANNELS.auditShipped.unsubscribe(onShipped);
    CHANNELS.healthChanged.unsubscribe(onHealth);
  });
  return told;
}

function ship(t: Test, dir: string, url: string, more: Partial<ShipperOptions> = {}): Shipper {
  const shipper = new Shipper({ dir, url, token: 'weir_admin_made-up', size: () => linesOf(dir).length, pollMs: 20, retryMs: { min: 5, max: 20 }, ...more });
  t.teardown(() => shipper.close());
  return shipper;
}

t.test('whatever it is answered, it goes on when it is answered right', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 20, { segmentBytesMax: 2_000 });
  const right = collecting(t, dir);
  const position = JSON.stringify({ entries: 0, hash: '0'.repeat(64), signed: -1 });
  const wrong: readonly (readonly [string, Answer])[] = [
    ['other', (_, answer) => void answer.writeHead(500).end('oops')],
    ['other', (_, answer) => void answer.writeHead(200).end('no JSON')],
    ['other', (_, answer) => void answer.writeHead(200).end('{"entries":-1}')],
    ['other', (_, answer) => void answer.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()],
    ['unreachable', (_, answer) => void answer.writeHead(200).end('x'.repeat(100_000))],
    ['unreachable', (_, answer) => void answer.destroy()],
    ['unreachable', (_, answer) => void answer.writeHead(200, { 'content-length': '100' }).write('{', () => answer.destroy())],
    ['timeout', () => undefined],
    ['unauthorized', (_, answer) => void answer.writeHead(401).end('{"error":{"code":"unauthorized"}}')],
    ['fork', (_, answer) => void answer.writeHead(409).end(JSON.stringify({ error: { code: 'fork', message: 'a line\nof a log \u001b[31m' } }))],
    ['other', (_, answer) => void answer.writeHead(200).end(position)],
  ];
  const told = listen(t);
  let at = 0;
  const tokens = new Set<string | undefined>();
  const { url } = await serve(t, (received, answer, body) => {
    tokens.add(received.headers.authorization);
    const isQuestion = (JSON.parse(body) as { readonly checkpoints: readonly string[] }).checkpoints.length === 0;
    return isQuestion || at >= wrong.length ? right(received, answer, body) : wrong[at++]![1](received, answer, body);
  });
  ship(t, dir, url, { timeoutMs: 300 });
  await until(() => told.lag === 0, 'all is there');
  t.same(filesOf(right.copy), filesOf(dir));
  t.same(told.errors, wrong.map(([error]) => error));
  t.same(told.health.map(({ healthy }) => healthy), [false, false, true], 'what lasts is told, and that it is well again');
  t.match(told.health.map(({ detail }) => detail), [/20 entries wait: the token opens nothing there$/, /20 entries wait: a line of a log {2}\[31m$/, /shipped$/]);
  t.same([...tokens], ['Bearer weir_admin_made-up']);
  t.same(told.errors.filter((error) => !(SHIP_ERRORS as readonly string[]).includes(error)), []);
});

t.test('an answer that is always the same is asked for with pauses', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 20);
  let asked = 0;
  const { url } = await serve(t, (_, answer) => {
    asked++;
    answer.writeHead(200).end(JSON.stringify({ entries: 0, hash: '0'.repeat(64), signed: -1 }));
  });
  const told = listen(t);
  const shipper = ship(t, dir, url, { retryMs: { min: 40, max: 10_000 }, random: () => 1 });
  await until(() => told.errors.length >= 4, 'a few attempts');
  await shipper.close();
  t.ok(asked <= 6, `${asked} requests for ${told.errors.length} attempts`);
});

t.test('nobody there: the lag is told, then that it lasts; appends do not wait', async (t) => {
  const dir = logFolder(t);
  const log = await openAuditLog(logOptions(dir));
  t.teardown(() => log.close());
  const told = listen(t);
  const { url, server } = await serve(t, () => undefined);
  server.close();
  const shipper = ship(t, dir, url, { lateMs: 200, size: () => log.head().index + 1 });
  for (let i = 0; i < 50; i++) await log.append(exchangeRecord(`r-${i}`), 'strict');
  await until(() => told.health.length > 0, 'it is told');
  t.match(told.health, [{ healthy: false, detail: /the audit log is not shipped, \d+ entries wait: it cannot be reached/ }]);
  await until(() => told.lag === 50, 'the lag');
  t.equal(shipper.lag, 50);
});

t.test('it takes what is appended, a segment after the other, also from a copy that was set back', async (t) => {
  const dir = logFolder(t);
  const log = await openAuditLog(logOptions(dir, { segmentBytesMax: 3_000 }));
  t.teardown(() => log.close());
  const told = listen(t);
  const first = collecting(t, dir);
  let answer: Answer = first;
  const { url } = await serve(t, (...all) => answer(...all));
  ship(t, dir, url, { size: () => log.head().index + 1 });
  for (let i = 0; i < 30; i++) await log.append(exchangeRecord(`r-${i}`), 'strict');
  await until(() => JSON.stringify(filesOf(first.copy)) === JSON.stringify(filesOf(dir)), 'the first copy');
  const second = collecting(t, join(logFolder(t), '../two/audit'));
  answer = second;
  for (let i = 0; i < 3; i++) await log.append(exchangeRecord(`s-${i}`), 'strict');
  await until(() => JSON.stringify(filesOf(second.copy)) === JSON.stringify(filesOf(dir)), 'a copy that begins anew');
  t.same([...new Set(told.errors)], ['gap'], 'which says so with a gap');
  t.same(told.health, []);
});
