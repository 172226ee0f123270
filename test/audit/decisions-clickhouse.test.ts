/**
 * A running Weir whose decisions are in ClickHouse: what was there before comes from the audit log; API, overview and exchanges are as
 * over any store; and while its engine is frozen, or killed and started again, traffic goes on, it is told, and in the end each entry is there
 * once and counts are those of the rows.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { DecisionIndex } from '../../src/audit/decision-index.ts';
import { CHANNELS, type HealthChanged } from '../../src/contract/channels.ts';
import { ask } from '../helpers/admin.ts';
import { logFolder, writeLog } from '../helpers/audit.ts';
import { CLICKHOUSE_MISSING, startClickHouse, type ClickHouse } from '../helpers/clickhouse.ts';
import { visit } from '../helpers/console.ts';
import { blocking, freshFolder, openHouse, until, type House } from '../helpers/house.ts';

t.setTimeout(300_000);

interface Entry {
  readonly index: number;
  readonly request_id: string;
}

const placesOf = (entries: readonly Entry[]): string => JSON.stringify(entries.map(({ index, request_id: id }) => [index, id]));

async function listed({ adminUrl, token }: House, query = ''): Promise<readonly Entry[]> {
  const { status, body, text } = await ask(adminUrl, `/api/v1/decisions?limit=500${query}`, { token });
  if (status !== 200) throw new Error(text);
  return (body as { readonly decisions: readonly Entry[] }).decisions;
}

/** What ClickHouse has is what the log has, and is counted once. */
async function isWhole(house: House, count: number): Promise<boolean> {
  const { body } = await ask(house.adminUrl, '/api/v1/audit?kind=exchange&limit=1000', { token: house.token });
  const entries = body.entries as readonly Entry[];
  if (entries.length !== count || placesOf(entries) !== placesOf(await listed(house).catch(() => []))) return false;
  const counted = (await ask(house.adminUrl, '/api/v1/decisions/counts', { token: house.token })).body.counts as readonly { readonly direction: string | null; readonly measure: string; readonly total: number }[];
  return counted.find(({ direction, measure }) => direction === null && measure === 'exchanges')?.total === count;
}

async function partsOf({ adminUrl, token }: House): Promise<readonly { readonly part: string; readonly healthy: boolean; readonly detail: string; readonly meaning: string; readonly next: string }[]> {
  return (await ask(adminUrl, '/api/v1/health/parts', { token })).body.parts;
}

const lagOf = async (house: House): Promise<number> => Number(/^weir_decisions_index_lag_entries(?:\{[^}]*\})? (\d+)/m.exec(await house.metrics())?.[1] ?? -1);

async function openWithClickHouse(t: Test, engine: ClickHouse, dir: string): Promise<House> {
  return openHouse(t, { dir, config: { analytics: { url: engine.url, database: engine.database() } }, files: { 'acme.yaml': blocking('Fileword') } });
}

t.test('an installation that had SQLite goes on in ClickHouse, and nothing is missing', { skip: CLICKHOUSE_MISSING }, async (t) => {
  const dir = freshFolder(t);
  const before = await openHouse(t, { dir, files: { 'acme.yaml': blocking('Fileword') } });
  for (let i = 0; i < 9; i++) await before.chat(i % 3 === 0 ? 'Fileword' : 'fine');
  await until(() => isWhole(before, 9), 'nine in SQLite');
  await before.app.close();
  const house = await openWithClickHouse(t, await startClickHouse(t), dir);
  await house.chat('Fileword');
  await until(() => isWhole(house, 10), 'ten in ClickHouse');
  const [newest] = await listed(house);
  t.same(await Promise.all(['&action=block', '&action=allow', '&rule=word', '&rule=none', '&policy=acme', `&request_id=${newest!.request_id.slice(0, 9)}`].map(async (query) => (await listed(house, query)).length)), [4, 6, 4, 0, 10, 1]);
  const admin = await visit(house.adminUrl, house.token);
  t.match((await admin.get('/')).text, /<dt>Exchanges<\/dt><dd><strong>10<.*<dt>Acted on<\/dt><dd><strong>4</s);
  const page = (await admin.get('/exchanges?action=block')).text;
  const [, path] = /<a href="(\/exchanges\/\d+[^"]*)" data-open>/.exec(page) ?? [];
  t.match(await admin.get(path ?? ''), { status: 200, text: /Entry \d+/ });
  t.equal(await lagOf(house), 0);
});

t.test('ClickHouse frozen, and killed, under load', { skip: CLICKHOUSE_MISSING }, async (t) => {
  const engine = await startClickHouse(t);
  const house = await openWithClickHouse(t, engine, freshFolder(t));
  let sent = 0;
  const answers = new Set<number>();
  const send = async (count: number): Promise<void> => {
    for (const status of await Promise.all(Array.from({ length: count }, () => house.chat('fine')))) answers.add(status);
    sent += count;
  };
  const trickle = async (meanwhile: () => Promise<unknown>): Promise<void> => {
    let isOver = false;
    const over = meanwhile().finally(() => { isOver = true; });
    while (!isOver) await Promise.all([send(3), pause(50)]);
    await over;
  };
  await send(5);
  await until(() => isWhole(house, sent), 'the first');
  for (let round = 0; round < 2; round++) {
    engine.freeze();
    await send(40);
    t.ok(await ask(house.adminUrl, '/api/v1/audit?kind=exchange&limit=1', { token: house.token }), 'the log is read as ever');
    engine.thaw();
    await send(5);
    await trickle(() => engine.kill());
    await trickle(() => until(async () => (await partsOf(house)).some(({ part, healthy }) => part === 'decisions' && !healthy), 'it is told'));
    t.match((await partsOf(house)).find(({ part }) => part === 'decisions'), { healthy: false, detail: /ECONN/, meaning: /nothing is lost/, next: /ClickHouse/ });
    await send(20);
    await until(async () => (await lagOf(house)) >= 20, 'what waits is counted');
    t.equal((await ask(house.adminUrl, '/api/v1/decisions', { token: house.token })).status, 503);
    await trickle(() => engine.start());
    await until(() => isWhole(house, sent), `all ${sent}`);
  }
  await until(async () => (await lagOf(house)) === 0 && (await partsOf(house)).every(({ part, healthy }) => part !== 'decisions' || healthy), 'it is told that it is well');
  t.same([...answers], [200], 'traffic went on');
});

t.test('a password from a file, and one that is wrong', { skip: CLICKHOUSE_MISSING }, async (t) => {
  const engine = await startClickHouse(t, { password: 'made up' });
  const own = logFolder(t);
  await writeLog(own, 3);
  const told: HealthChanged[] = [];
  const onHealth = (message: unknown): void => { if ((message as HealthChanged).part === 'decisions') told.push(message as HealthChanged); };
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(onHealth));
  const url = engine.url.replace('//', '//weir:wrong%20one@');
  const wrong = new DecisionIndex({ store: { kind: 'clickhouse', url, database: engine.database() }, own, size: () => 3 });
  wrong.start();
  await until(() => told.length > 0, 'it is told');
  t.match(told, [{ healthy: false, detail: /AUTHENTICATION_FAILED/ }]);
  t.notMatch(JSON.stringify(told), /wrong|made up/, 'without the password');
  await wrong.close();
  const passwordFile = join(own, '../clickhouse-password');
  writeFileSync(passwordFile, 'made up\n');
  const right = new DecisionIndex({ store: { kind: 'clickhouse', url: url.replace(':wrong%20one', ''), passwordFile, database: engine.database() }, own, size: () => 3 });
  t.teardown(() => right.close());
  right.start();
  await until(async () => (await right.queries.search({ limit: 5 }).catch(() => undefined))?.rows.length === 3, 'its entries');
});
