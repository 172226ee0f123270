/**
 * Erasures in a fleet of real processes: a control plane and two proxies over one Postgres, a sidecar that has nothing but
 * the connection it ships through. What is asked for at one is carried out by all, also by one that was killed, or whose
 * control plane was; nothing of another tenant is touched, and each log says so and verifies.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { checkContent } from '../../src/audit/content-check.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { ContentVault } from '../../src/audit/vault.ts';
import { ask as askAdmin, tokenFor } from '../helpers/admin.ts';
import { linesOf } from '../helpers/audit.ts';
import { until } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { runWeir, type WeirProcess } from '../helpers/process.ts';
import { openProvider } from '../helpers/replicas.ts';

t.setTimeout(600_000);

interface Place {
  readonly dir: string;
  readonly origin: string;
}

function placeOf(t: Test, upstream: string, origin: string, more: Readonly<Record<string, unknown>>, audit: object = {}): Place {
  const dir = mkdtempSync(join(tmpdir(), 'weir-erasures-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\npatterns: [{ id: seen, label: SEEN, literal: [Egret] }]\nrules: [{ id: look, priority: 1, direction: input, when: { score: patterns.seen, gte: 1 }, action: escalate, severity: low }]\n');
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: upstream } }, classifiers: [], telemetry: { log_level: 'warn' },
    tenants: ['acme', 'bravo'].map((id) => ({ id, policy: 'p', upstream: 'local', data: { content: 'original' }, keys: [{ id: `k-${id}`, sha256: id.charCodeAt(0).toString(16).padStart(64, 'a') }] })), audit: { durability: 'strict', origin, ...audit }, ...more,
  }));
  return { dir, origin };
}

/** An exchange with this text. Returns its id. */
async function chat({ port }: WeirProcess, key: string, content: string, session: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}`, 'x-weir-session-id': session }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  await response.arrayBuffer();
  return response.headers.get('x-weir-request-id')!;
}

/** What becomes of a text, as its files tell. */
async function stateOf({ dir }: Place, tenantId: string, requestId: string): Promise<string> {
  const vault = new ContentVault({ dir: join(dir, 'data/content'), keyFile: join(dir, 'data/keys/content.key'), clock: Date.now, audit: async () => {} });
  return (await vault.read({ tenantId, requestId }, 'input')).state;
}

const isThere = (place: Place, tenant: string, id: string) => until(async () => (await stateOf(place, tenant, id)) === 'there', `${id} is kept`);
const isErased = (place: Place, tenant: string, id: string) => until(async () => (await stateOf(place, tenant, id)) === 'erased', `${id} is erased at ${place.origin}`);

const erasuresIn = ({ dir }: Place): readonly any[] => linesOf(join(dir, 'data/audit')).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'erasure');

async function standing({ adminUrl }: WeirProcess, token: string, tenant: string): Promise<readonly { readonly number: number; readonly confirmed: readonly string[]; readonly waiting: readonly string[] }[]> {
  const { body } = await askAdmin(adminUrl, `/api/v1/tenants/${tenant}/erasures`, { token });
  const origins = (keepers: readonly { readonly origin: string }[]): readonly string[] => keepers.map(({ origin }) => origin).sort();
  return body.erasures.map(({ number, confirmed, waiting }: any) => ({ number, confirmed: origins(confirmed), waiting: origins(waiting) }));
}

const keyFor = async ({ adminUrl }: WeirProcess, token: string, tenant: string): Promise<string> => (await askAdmin(adminUrl, `/api/v1/tenants/${tenant}/keys`, { method: 'POST', token, body: { name: 'test' } })).body.key;
const erase = async ({ adminUrl }: WeirProcess, token: string, tenant: string, body: object): Promise<any> => (await askAdmin(adminUrl, `/api/v1/tenants/${tenant}/erasures`, { method: 'POST', token, body })).body;

async function sound(t: Test, { dir, origin }: Place): Promise<void> {
  const audit = join(dir, 'data/audit');
  t.equal((await checkLog({ dir: audit, keys: await publishedKeys(audit), threads: 1 })).damage, undefined, `the log of ${origin}`);
  t.match(await checkContent(audit, join(dir, 'data/content')), { altered: 0, missing: 0 }, `the content of ${origin}`);
}

t.test('one Postgres: asked for at one, carried out by all, and by who was killed when it starts', { skip: POSTGRES_MISSING }, async (t) => {
  const [upstream, store] = [await openProvider(t), { url: await openPostgresSchema(t) }];
  const places = ['hub/control', 'eu/a', 'eu/b'].map((origin, i) => placeOf(t, upstream, origin, { store, roles: i === 0 ? ['control', 'proxy'] : ['proxy'] }));
  const [home, a, b] = places as [Place, Place, Place];
  const control = await runWeir(t, home.dir);
  const token = control.adminToken!;
  const [acme, bravo] = [await keyFor(control, token, 'acme'), await keyFor(control, token, 'bravo')];
  const first = await runWeir(t, a.dir);
  let second = await runWeir(t, b.dir);
  const processes = [control, first, second];
  const ids: { readonly place: Place; readonly mine: string; readonly other: string; readonly foreign: string }[] = [];
  for (const [i, place] of places.entries()) {
    await until(() => chat(processes[i]!, acme, 'hello', 's0').then(() => true, () => false), 'the key is known');
    ids.push({ place, mine: await chat(processes[i]!, acme, 'an Egret', 's1'), other: await chat(processes[i]!, acme, 'two', 's2'), foreign: await chat(processes[i]!, bravo, 'three', 's1') });
  }
  for (const { place, mine, other, foreign } of ids) for (const [tenant, id] of [['acme', mine], ['acme', other], ['bravo', foreign]] as const) await isThere(place, tenant, id);
  await second.kill();
  t.match(await erase(control, token, 'acme', { session_id: 's1' }), { number: 1, destroyed: 1, gone: 0 });
  await isErased(a, 'acme', ids[1]!.mine);
  await until(async () => (await standing(control, token, 'acme'))[0]!.confirmed.length === 2, 'the first has confirmed');
  t.same(await standing(control, token, 'acme'), [{ number: 1, confirmed: ['eu/a', 'hub/control'], waiting: ['eu/b'] }]);
  t.equal(await stateOf(b, 'acme', ids[2]!.mine), 'there', 'nobody runs there');
  t.equal((await askAdmin(control.adminUrl, `/api/v1/reviews/rev_${ids[0]!.mine}.input/content`, { token })).body.state, 'erased');

  second = await runWeir(t, b.dir);
  t.equal(await stateOf(b, 'acme', ids[2]!.mine), 'erased', 'when it listens, it is erased');
  await until(async () => (await standing(control, token, 'acme'))[0]!.waiting.length === 0, 'all have confirmed');
  for (const { place, other, foreign } of ids) t.same([await stateOf(place, 'acme', other), await stateOf(place, 'bravo', foreign)], ['there', 'there'], `of others at ${place.origin}`);
  t.same(await standing(control, token, 'bravo'), []);
  const own = erasuresIn(home)[0];
  for (const place of places) t.match(erasuresIn(place), [{ author: 'admin', tenant_id: 'acme', session_id: 's1', destroyed: 1, erasure_id: own.erasure_id, origin: place.origin }]);

  // Killed again and again while erasures come: each is carried out.
  const more: string[] = [];
  for (let i = 0; i < 6; i++) more.push(await chat(second, acme, `text ${i}`, `more-${i}`));
  for (const id of more) await isThere(b, 'acme', id);
  for (let i = 0; i < 6; i++) {
    await Promise.all([erase(control, token, 'acme', { session_id: `more-${i}` }), i % 2 === 0 ? second.kill() : undefined]);
    if (i % 2 === 0) second = await runWeir(t, b.dir);
  }
  for (const id of more) await isErased(b, 'acme', id);
  await until(async () => (await standing(control, token, 'acme')).every(({ waiting }) => waiting.length === 0), 'all have confirmed all');
  const later = await chat(second, acme, 'later', 's1');
  await isThere(b, 'acme', later);
  t.equal((await askAdmin(control.adminUrl, '/api/v1/tenants/acme/erasures', { token: await tokenFor(control.adminUrl, token, 'r', ['reviewer']) })).status, 403);
  for (const process of [control, first, second]) await process.stop();
  t.equal(await stateOf(b, 'acme', later), 'there', 'what was kept afterwards stays');
  for (const place of places) await sound(t, place);
});

t.test('a sidecar without the store hears of it through what it ships, and its log confirms it', async (t) => {
  const upstream = await openProvider(t);
  const home = placeOf(t, upstream, 'hub/control', {});
  let control = await runWeir(t, home.dir);
  const token = control.adminToken!;
  const port = Number(new URL(control.adminUrl).port);
  writeFileSync(join(home.dir, 'weir.yaml'), JSON.stringify({ ...JSON.parse(readFileSync(join(home.dir, 'weir.yaml'), 'utf8')), admin: { port } }));
  const side = placeOf(t, upstream, 'eu/side', { roles: ['proxy'], tenants: [{ id: 'acme', policy: 'p', upstream: 'local', data: { content: 'original' } }] }, { ship: { url: control.adminUrl, token: await tokenFor(control.adminUrl, token, 'side', ['shipper']) } });
  let sidecar = await runWeir(t, side.dir);
  const key = 'sk-made-up';
  const [mine, other] = [await chat(sidecar, key, 'one', 's1'), await chat(sidecar, key, 'two', 's2')];
  for (const id of [mine, other]) await isThere(side, 'acme', id);
  await until(async () => {
    await erase(control, token, 'bravo', { session_id: 'nobody' });
    return (await standing(control, token, 'bravo'))[0]!.waiting.includes('eu/side') || (await standing(control, token, 'bravo'))[0]!.confirmed.includes('eu/side');
  }, 'the sidecar is heard of');
  t.match(await erase(control, token, 'acme', { session_id: 's1' }), { destroyed: 0 });
  await chat(sidecar, key, 'three', 's3'); // what is shipped brings the answer sooner than the greeting
  await isErased(side, 'acme', mine);
  t.equal(await stateOf(side, 'acme', other), 'there');
  await until(async () => (await standing(control, token, 'acme'))[0]!.confirmed.includes('eu/side'), 'it has confirmed');

  // Both are killed: the control plane after it was asked, the sidecar before it heard.
  await sidecar.kill();
  await erase(control, token, 'acme', { session_id: 's2' });
  await control.kill();
  sidecar = await runWeir(t, side.dir);
  await chat(sidecar, key, 'four', 's4');
  t.equal(await stateOf(side, 'acme', other), 'there', 'nobody told it');
  control = await runWeir(t, home.dir);
  t.same((await standing(control, token, 'acme'))[0]!.waiting, ['eu/side']);
  await isErased(side, 'acme', other);
  await until(async () => (await standing(control, token, 'acme')).every(({ waiting }) => waiting.length === 0), 'all is confirmed');
  t.match(erasuresIn(side).filter(({ tenant_id: tenant }) => tenant === 'acme'), [{ session_id: 's1', destroyed: 1, author: 'admin' }, { session_id: 's2', destroyed: 1 }]);
  t.equal((await askAdmin(sidecar.adminUrl, '/api/v1/tenants/acme/erasures', { token: sidecar.adminToken ?? '' })).status, 401, 'its own port has its own token');
  await Promise.all([sidecar.stop(), control.stop()]);
  for (const place of [home, side]) await sound(t, place);
});
