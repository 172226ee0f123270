/** The page of health, and the route that it stands on: a part that goes is told with what to do, and that it came again. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ADVICE, adviceOn } from '../../src/admin/health.ts';
import { PART_FAMILIES, PARTS } from '../../src/contract/health.ts';
import { ask } from '../helpers/admin.ts';
import { barriers, openBrowser, openWindow, overflow } from '../helpers/browser.ts';
import { visit } from '../helpers/console.ts';
import { logIn, shots } from '../helpers/console-walk.ts';
import { control, until } from '../helpers/house.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';

const SRC = join(import.meta.dirname, '../../src');

t.test('Redis goes and comes again', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const redis = await startRedis(t, port);
  const house = await control(t, port);
  const read = async (): Promise<any> => (await ask(house.adminUrl, '/api/v1/health/parts', { token: house.token })).body;
  const visitor = await visit(house.adminUrl, house.token);
  await until(async () => (await read()).healthy, 'a start in which nothing is missing');
  t.match((await visitor.get('/health')).text, /role="status">.*All parts of this process work as configured/);
  t.equal((await ask(house.adminUrl, '/api/v1/health/parts')).status, 401, 'who is nobody is told nothing');
  t.equal((await ask(house.adminUrl, '/api/v1/health')).status, 200, 'and that it runs is open');

  const beforeMs = Date.now();
  redis.kill('SIGKILL');
  await until(async () => (await read()).parts.some(({ part }: any) => part === 'redis'), 'the fault');
  const ill = (await read()).parts.find(({ part }: any) => part === 'redis');
  t.match(ill, { healthy: false, detail: /.+/, meaning: /Traffic goes on/, next: /^Repair Redis/ });
  t.ok(Date.parse(ill.since) >= beforeMs && Date.parse(ill.since) <= Date.now(), 'since when');
  const { text } = await visitor.get('/health');
  t.match(text, /degraded.*less well than configured/);
  t.match(text, /<bdi>redis<\/bdi>[^]*Repair Redis; it is found again within seconds/);

  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 390, scheme: 'dark' });
  await page.goto('/login');
  await logIn(page, house.token);
  await Promise.all([page.waitForURL('**/health'), page.keyboard.press('g').then(() => page.keyboard.press('h'))]);
  await page.locator('[role=status] .a-block').waitFor();
  t.same(await barriers(page), [], 'nothing keeps people out');
  t.equal(await overflow(page), 0, 'it is not wider than the window');
  if (shots !== undefined) await page.screenshot({ path: join(shots, 'health-degraded.png'), fullPage: true });
  await page.keyboard.press('f');
  await page.waitForURL('**/health?live=1');

  await startRedis(t, port);
  await until(async () => (await read()).parts.find(({ part }: any) => part === 'redis')?.healthy === true, 'the end');
  t.same((await read()).history.filter(({ part }: any) => part === 'redis').map(({ healthy }: any) => healthy).slice(0, 2), [true, false], 'the newest first');
  await page.locator('[role=status] .a-allow').waitFor({ timeout: 30_000 });
  t.same(complaints, []);
});

/** Of parts whose name is put together: how it may end. */
const ENDS: Readonly<Record<string, readonly string[]>> = { 'copies of ': ['policies', 'tenant-keys'], 'export of ': ['metrics', 'traces'] };

t.test('every part that there is has its meaning, and no other', async (t) => {
  const named = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => /^(?!cli|config|contract)[^]*\.ts$/.test(name)).flatMap((name) => [...readFileSync(join(SRC, name), 'utf8').matchAll(/(?:new PartHealth\(|\bpart: )(?:'([a-z][\w .:]*)'|`([a-z][\w .:]*)\$\{)/g)].map(([, whole, beginning]) => whole ?? (ENDS[beginning!]?.map((end) => `${beginning}${end}`) ?? beginning!)).flat());
  t.same([...new Set(named)].sort(), [...PARTS, ...PART_FAMILIES].sort(), 'what is told in src is what is listed');
  t.same(Object.keys(ADVICE).sort(), [...PARTS, ...PART_FAMILIES].sort());
  for (const [part, { meaning, next }] of Object.entries(ADVICE)) t.ok([meaning, next].every((text) => text.length > 10 && text.endsWith('.')), part);
  for (const [part, kind] of [['classifier.x', 'classifier.'], ['audit:eu-1/a', 'audit:'], ['audit', 'audit'], ['policy p', 'policy '], ['policies', 'policies']] as const) t.equal(adviceOn(part), ADVICE[kind]);
});
