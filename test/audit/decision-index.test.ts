/**
 * Decisions in a running Weir: those of a log that was there before come into the store on the first start, traffic goes
 * on while the store is away and nothing is lost by it, a thread that dies is replaced, logs that are shipped here are told
 * apart, and the API and the overview count every exchange.
 */
import { mkdirSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DecisionIndex } from '../../src/audit/decision-index.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { CHANNELS, type DecisionsIndexed, type HealthChanged } from '../../src/contract/channels.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { exchangeRecord, logFolder, logOptions, writeLog } from '../helpers/audit.ts';
import { visit } from '../helpers/console.ts';
import { blocking, freshFolder, openHouse, until, type House } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { openCollector, shipAll } from '../helpers/shipping.ts';

t.setTimeout(300_000);

interface Listed {
  readonly decisions: readonly { readonly request_id: string; readonly tenant_id: string; readonly action: string; readonly index: number; readonly log: string; readonly is_own: boolean; readonly shipped: boolean }[];
  readonly next: string | null;
}

async function listed({ adminUrl, token }: House, query = '', as = token): Promise<Listed> {
  const { status, body, text } = await ask(adminUrl, `/api/v1/decisions?limit=500${query}`, { token: as });
  if (status !== 200) throw new Error(text);
  return body as Listed;
}

async function exchanges({ adminUrl, token }: House): Promise<readonly (readonly [number, string])[]> {
  const { body } = await ask(adminUrl, '/api/v1/audit?kind=exchange&limit=1000', { token });
  return (body.entries as readonly { readonly index: number; readonly request_id: string }[]).map(({ index, request_id: id }) => [index, id] as const);
}

/** What the store has is what the log has. */
async function isWhole(house: House, count: number): Promise<boolean> {
  const [log, { decisions }] = [await exchanges(house), await listed(house)];
  return log.length === count && JSON.stringify(log) === JSON.stringify(decisions.map(({ index, request_id: id }) => [index, id]));
}

async function totalsOf({ adminUrl, token }: House, as = token): Promise<Readonly<Record<string, number>>> {
  const { body } = await ask(adminUrl, '/api/v1/decisions/counts', { token: as });
  return Object.fromEntries((body.counts as readonly { readonly direction: string | null; readonly measure: string; readonly name: string | null; readonly total: number }[]).filter(({ direction }) => direction === null).map(({ measure, name, total }) => [`${measure} ${name ?? ''}`, total]));
}

t.test('a log that was there before is indexed on the first start, and what the store lost comes again', async (t) => {
  const dir = freshFolder(t);
  const before = await openHouse(t, { dir, files: { 'acme.yaml': blocking('Fileword') } });
  for (let i = 0; i < 12; i++) await before.chat(i % 3 === 0 ? 'Fileword' : 'fine');
  await until(() => isWhole(before, 12), 'twelve decisions');
  t.match(await totalsOf(before), { 'exchanges ': 12, 'action block': 4, 'action allow': 8, 'rule word': 4, 'outcome blocked': 4 });
  await before.app.close();
  t.ok(readdirSync(join(dir, 'data')).includes('weir-decisions.db'));
  for (const name of readdirSync(join(dir, 'data')).filter((one) => one.startsWith('weir-decisions.db'))) rmSync(join(dir, 'data', name));
  const after = await openHouse(t, { dir });
  await until(() => isWhole(after, 12), 'all of them again');
  await after.chat('Fileword');
  await until(() => isWhole(after, 13), 'and the newest');
  t.match(await totalsOf(after), { 'exchanges ': 13, 'action block': 5 });
  const admin = await visit(after.adminUrl, after.token);
  for (const hours of ['1', '24', '168']) t.match((await admin.get(`/?hours=${hours}`)).text, /<dt>Exchanges<\/dt><dd><strong>13<.*<dt>Acted on<\/dt><dd><strong>5</s, `${hours} hours`);
  t.match(await after.metrics(), /weir_decisions_index_lag_entries(?:\{[^}]*\})? \d/);
});

t.test('traffic goes on while the store is away, and what it missed comes when it is back', { skip: POSTGRES_MISSING }, async (t) => {
  const direct = new URL(await openPostgresSchema(t));
  const wire = await openWire(t, Number(direct.port || 5432), direct.hostname);
  const url = new URL(direct);
  url.port = String(wire.port);
  const house = await openHouse(t, { config: { store: { url: url.href }, review: {} }, files: { 'acme.yaml': blocking('Fileword') } });
  await house.chat('fine');
  await until(() => isWhole(house, 1).catch(() => false), 'the first');
  wire.cut(true);
  for (let i = 0; i < 5; i++) t.equal(await house.chat('fine'), 200);
  const away = await ask(house.adminUrl, '/api/v1/decisions', { token: house.token });
  t.ok([401, 503].includes(away.status), `${away.status}`);
  wire.cut(false);
  await until(() => isWhole(house, 6).catch(() => false), 'all six');
  t.match(await totalsOf(house), { 'exchanges ': 6 });
});

t.test('a thread that cannot open its store is told, and another takes its place', async (t) => {
  const own = logFolder(t);
  await writeLog(own, 3);
  const health: HealthChanged[] = [];
  const onHealth = (message: unknown): void => { if ((message as HealthChanged).part === 'decisions') health.push(message as HealthChanged); };
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(onHealth));
  const file = join(own, '../decisions.db');
  mkdirSync(file);
  const index = new DecisionIndex({ store: { kind: 'sqlite', file }, own, size: () => 3 });
  t.teardown(() => index.close());
  index.start();
  await t.rejects(index.queries.search({ limit: 1 }), { code: 'store_unavailable' });
  t.match(health, [{ healthy: false, detail: /another takes its place/ }]);
  rmdirSync(file);
  await until(async () => (await index.queries.search({ limit: 5 }).catch(() => undefined))?.rows.length === 3, 'its entries');
  t.equal((await index.queries.search({ limit: 5 })).rows.length, 3);
  await index.close();
  await t.rejects(index.queries.search({ limit: 1 }), { code: 'store_unavailable' });
});

t.test('logs that are shipped here are found by name, by those who see all', async (t) => {
  const dir = freshFolder(t);
  const far = logFolder(t);
  await writeLog(far, 4);
  const log = await openAuditLog(logOptions(far));
  await log.append({ ...exchangeRecord('request-of-default'), tenant_id: 'default' }, 'strict');
  await log.close();
  const desk = openCollector(join(dir, 'data/origins'));
  await shipAll(far, 5, desk, 'test/one');
  await desk.collector.close();
  const indexed: DecisionsIndexed[] = [];
  const onIndexed = (message: unknown): void => void indexed.push(message as DecisionsIndexed);
  CHANNELS.decisionsIndexed.subscribe(onIndexed);
  t.teardown(() => CHANNELS.decisionsIndexed.unsubscribe(onIndexed));
  const house = await openHouse(t, { dir, files: { 'acme.yaml': blocking('Fileword') } });
  await house.chat('fine');
  await until(async () => (await listed(house)).decisions.length === 6, 'both logs');
  t.ok(indexed.some(({ log: name, taken }) => name === 'test/one' && taken === 5));
  const [own, ...others] = [...(await listed(house)).decisions].sort((a, b) => Number(a.shipped) - Number(b.shipped));
  t.match(own, { is_own: true, shipped: false, tenant_id: 'default' });
  t.equal(others.filter(({ log: name, is_own: isOwn, shipped }) => name === 'test/one' && !isOwn && shipped).length, 5);
  t.equal((await listed(house, '&origin=test%2Fone')).decisions.length, 5);
  t.equal((await listed(house, '&origin=none')).decisions.length, 0);
  const viewer = await tokenFor(house.adminUrl, house.token, 'viewer', ['tenant-viewer'], ['default']);
  t.same((await listed(house, '', viewer)).decisions.map(({ request_id: id }) => id), [own!.request_id], 'a tenant-viewer sees none of them, though the tenants have one name');
  const since = `&since=${encodeURIComponent('2020-01-01T00:00:00Z')}`;
  t.same((await listed(house, `${since}&tenant=acme&origin=test%2Fone`, viewer)).decisions, []);
  t.equal((await totalsOf(house, viewer))['exchanges '], 1);
  const admin = await visit(house.adminUrl, house.token);
  const page = (await admin.get('/exchanges?origin=test%2Fone')).text;
  const [, path] = /<a href="(\/exchanges\/\d+\?origin=test%2Fone)" data-open>/.exec(page) ?? [];
  t.match(await admin.get(path ?? ''), { status: 200, text: /Entry \d+ of <code>test\/one/ });
});

t.test('a question that is too wide, or none, is told how it is asked', async (t) => {
  const { adminUrl, token } = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const of = async (query: string): Promise<number> => (await ask(adminUrl, `/api/v1/decisions${query}`, { token })).status;
  t.same([await of('?request_id=abcd'), await of('?request_id=abc')], [200, 400], 'four characters');
  const from = Date.UTC(2030, 0, 1);
  const hours = (count: number): string => `/counts?span=hour&since=${new Date(from).toISOString()}&until=${new Date(from + count * 3_600_000).toISOString()}`;
  t.same([await of(hours(3_000)), await of(hours(3_001))], [200, 400], '3,000 hours');
  t.match((await ask(adminUrl, `/api/v1/decisions${hours(3_001)}`, { token })).body, { error: { code: 'invalid_request', message: /3001 hours, and at most 3000.*shorter/ } });
  for (const query of ['?limit=501', '?limit=0', '?action=none', '?before=1', '?before=9-99999999999999999', '?since=then', '/counts?span=day', '/counts?columns_ms=1']) t.equal(await of(query), 400, query);
  for (const query of ['?limit=500', '?before=1-1', '?rule=%00', '?tenant=%27%3B--', `?rule=${'x'.repeat(200)}`]) t.equal(await of(query), 200, query);
});

/** A wire to a port that can be cut, with what runs over it. */
async function openWire(t: Test, port: number, host: string): Promise<{ readonly port: number; cut(isCut: boolean): void }> {
  let isCut = false;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, host);
    for (const [one, other] of [[near, far], [far, near]] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => { sockets.delete(one); other.destroy(); }).pipe(other);
    }
    if (isCut) near.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (wanted: boolean): void => {
    isCut = wanted;
    if (wanted) for (const socket of sockets) socket.destroy();
  };
  t.teardown(() => { cut(true); server.close(); });
  return { port: (server.address() as AddressInfo).port, cut };
}
