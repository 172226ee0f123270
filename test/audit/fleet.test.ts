/**
 * A fleet of real processes: three sidecars that ship to one control plane under load, while it is killed and started
 * again, a sidecar is killed, and the network between them is cut within batches. In the end each copy equals its log byte
 * for byte and verifies offline. `WEIR_TEST_RUNS` multiplies the rounds.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer as createNetServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { ask as askAdmin, tokenFor } from '../helpers/admin.ts';
import { linesOf, segmentsOf } from '../helpers/audit.ts';
import { until } from '../helpers/house.ts';
import { runWeir, type WeirProcess } from '../helpers/process.ts';
import { openProvider } from '../helpers/replicas.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';
import { filesOf } from '../helpers/shipping.ts';

t.setTimeout(600_000);

const PROMPT = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-fleet-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function configure(dir: string, upstream: string, more: object): void {
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\nrules: []\n');
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: upstream } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], classifiers: [{ id: 'pii', plugin: 'pii' }], telemetry: { log_level: 'warn' }, ...more }));
}

/** A wire that carries bytes to a port, and can be cut: at once, or after so many bytes of each connection. */
class Wire {
  /** Where it leads. */
  port = 0;
  /** Bytes of a connection after which it is cut. */
  limit = Infinity;
  cuts = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server = createNetServer((near) => this.#carry(near));

  static async open(t: Test): Promise<Wire> {
    const wire = new Wire();
    await once(wire.#server.listen(0, '127.0.0.1'), 'listening');
    t.teardown(() => {
      wire.cut();
      wire.#server.close();
    });
    return wire;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(near: Socket): void {
    const far = connect(this.port, '127.0.0.1');
    let carried = 0;
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (bytes: Buffer) => {
      carried += bytes.length;
      if (carried <= this.limit) return void far.write(bytes);
      this.cuts += 1;
      far.write(bytes.subarray(0, Math.max(0, bytes.length - (carried - this.limit))), () => near.destroy());
    });
    far.on('data', (bytes: Buffer) => void near.write(bytes));
  }
}

/** Resolves when the answer is there, or there is none. */
async function chat(port: number): Promise<void> {
  await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: PROMPT, signal: AbortSignal.timeout(20_000) }).then((answer) => answer.arrayBuffer()).catch(() => undefined);
}

interface Origin {
  readonly log: string;
  readonly entries: number;
  readonly lag: number | null;
  readonly refused: { readonly code: string; readonly reason: string } | null;
}

async function origins(control: WeirProcess, token: string): Promise<readonly Origin[]> {
  return (await askAdmin(control.adminUrl, '/api/v1/origins', { token })).body.origins as readonly Origin[];
}

function bytesIn(dir: string): number {
  return existsSync(dir) ? segmentsOf(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0) : 0;
}

/** Waits until the copy has all that the log has. Both may go on. */
async function complete(dir: string, copy: string): Promise<void> {
  // Reading both costs more than waiting: it is done where they are as long.
  const isAsLong = (): boolean => bytesIn(copy) === bytesIn(dir);
  await until(() => isAsLong() && JSON.stringify(filesOf(copy)) === JSON.stringify(filesOf(dir)) && linesOf(copy).length > 0, `${copy} has all`);
}

const metricOf = async ({ adminUrl }: WeirProcess, name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{.*\\})? ([\\d.]+)$`, 'm').exec((await askAdmin(adminUrl, '/metrics')).text)?.[1] ?? Number.NaN);

t.test('each copy equals its log after kills of either and a network that breaks within batches', async (t) => {
  const upstream = await openProvider(t);
  const home = folder(t);
  configure(home, upstream, {});
  let control = await runWeir(t, home);
  const token = control.adminToken!;
  const wire = await Wire.open(t);
  wire.port = Number(new URL(control.adminUrl).port);
  const names = ['eu-1/a', 'eu-1/b', 'us-1/a'];
  const dirs = names.map(() => folder(t));
  for (const [i, name] of names.entries()) configure(dirs[i]!, upstream, { roles: ['proxy'], audit: { durability: i === 1 ? 'strict' : 'relaxed', origin: name, ship: { url: wire.url, token: await tokenFor(control.adminUrl, token, `sidecar-${i}`, ['shipper']) } } });
  const sidecars = await Promise.all(dirs.map((dir) => runWeir(t, dir)));
  let isOver = false;
  const load = Promise.all(sidecars.map(async (_, i) => {
    // Enough that batches are under way whenever something breaks; more would only keep the machine busy.
    for (; !isOver; await sleep(50)) await Promise.all(Array.from({ length: 8 }, () => chat(sidecars[i]!.port)));
  }));

  await until(async () => (await origins(control, token)).filter(({ entries }) => entries > 0).length === 3, 'all are heard of');
  const random = randomOf(seed);
  for (let round = 0; round < runs(2); round++) {
    await control.kill();
    await sleep(300 + random() * 1_000);
    control = await runWeir(t, home);
    wire.port = Number(new URL(control.adminUrl).port);
    wire.cut();
    wire.limit = 2_000 + random() * 60_000;
    const cuts = wire.cuts;
    await until(() => wire.cuts >= cuts + 3, 'cuts within batches');
    wire.limit = Infinity;
    const victim = round % sidecars.length;
    await sidecars[victim]!.kill();
    sidecars[victim] = await runWeir(t, dirs[victim]!);
    await sleep(500);
  }
  isOver = true;
  await load;
  const copies = names.map((name) => join(home, 'data/origins', encodeURIComponent(name)));
  for (const [i, dir] of dirs.entries()) await complete(join(dir, 'data/audit'), copies[i]!);
  for (const [i, copy] of copies.entries()) {
    const check = await checkLog({ dir: copy, keys: await publishedKeys(join(dirs[i]!, 'data/audit')), threads: 1 });
    t.match(check, { damage: undefined, tornBytes: 0, tornNoteBytes: 0 }, `${names[i]} verifies with ${check.entries} entries, seed ${seed}`);
    t.ok(check.entries > 20);
    t.equal(await metricOf(sidecars[i]!, 'weir_audit_ship_lag_entries'), 0);
  }
  const verified = await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), 'audit', 'verify', '--json', '--dir', copies[0]!, '--key', join(dirs[0]!, 'data/audit/key.pub')]);
  t.match(JSON.parse(verified.stdout), { ok: true }, 'weir audit verify reads it');
  t.match(await origins(control, token), names.toSorted().map((log) => ({ log, lag: 0, refused: null })));
  const { body: { entries } } = await askAdmin(control.adminUrl, '/api/v1/audit?kind=shipped_log&limit=100', { token });
  t.same(entries.map(({ log, change, author }: Record<string, string>) => [log, change, author]).sort(), names.map((log, i) => [log, 'pinned', `sidecar-${i}`]).sort(), 'nothing else was told');
  const listed = await askAdmin(control.adminUrl, `/api/v1/audit?origin=${encodeURIComponent(names[2]!)}&kind=exchange&limit=5`, { token });
  t.match(listed.body.entries, Array.from({ length: 5 }, () => ({ origin: names[2], kind: 'exchange' })));
  t.equal((await askAdmin(control.adminUrl, '/api/v1/audit?origin=eu-1%2Fc', { token })).status, 404);
});

t.test('a sidecar that was restored from a backup is refused, and says so', async (t) => {
  const upstream = await openProvider(t);
  const [home, dir] = [folder(t), folder(t)];
  configure(home, upstream, {});
  const control = await runWeir(t, home);
  const token = control.adminToken!;
  configure(dir, upstream, { roles: ['proxy'], audit: { durability: 'strict', origin: 'eu-1/a', ship: { url: control.adminUrl, token: await tokenFor(control.adminUrl, token, 'sidecar', ['shipper']) } } });
  const [audit, copy] = [join(dir, 'data/audit'), join(home, 'data/origins/eu-1%2Fa')];
  let sidecar = await runWeir(t, dir);
  await chat(sidecar.port);
  await complete(audit, copy);
  await sidecar.kill();
  cpSync(join(dir, 'data'), join(dir, 'backup'), { recursive: true });
  sidecar = await runWeir(t, dir);
  for (let i = 0; i < 6; i++) await chat(sidecar.port);
  await complete(audit, copy);
  const before = filesOf(copy);
  await sidecar.kill();
  rmSync(join(dir, 'data'), { recursive: true });
  cpSync(join(dir, 'backup'), join(dir, 'data'), { recursive: true });

  sidecar = await runWeir(t, dir);
  await until(() => sidecar.log.some((line) => /restored from an older copy/.test(line)), 'it is told at the sidecar');
  t.match(sidecar.log.find((line) => /audit_ship/.test(line)), /the audit log is not shipped, 0 entries wait: the log holds \d entries, and \d of it are here: it was cut short, or restored from an older copy/);
  for (let i = 0; i < 12; i++) await chat(sidecar.port);
  await until(async () => (await origins(control, token))[0]!.refused?.code === 'fork', 'the fork');
  t.match((await origins(control, token))[0]!.refused!.reason, /^entry \d+ of this log is another one here: the log was restored from an older copy and went on, or two logs have one name and one key/);
  t.same(filesOf(copy), before);
  const { body: { entries } } = await askAdmin(control.adminUrl, '/api/v1/audit?kind=shipped_log', { token });
  t.match(entries, [{ change: 'refused', code: 'fork', log: 'eu-1/a', author: 'sidecar' }, { change: 'refused', code: 'rolled_back' }, { change: 'pinned' }]);
  t.match((await askAdmin(control.adminUrl, '/metrics')).text, /weir_audit_refused_total\{log="eu-1\/a",reason="fork"\} [1-9]/);
  t.match((await askAdmin(sidecar.adminUrl, '/metrics')).text, /weir_audit_ship_errors_total\{reason="fork"\} [1-9][^]*|weir_healthy\{part="audit_ship"\} 0/);
  t.equal(await metricOf(control, 'weir_healthy\\{part="audit:eu-1/a"\\}'), 0);
  t.ok(readFileSync(join(dir, 'data/audit/checkpoints')).length > 0);
});

t.test('a wrong token is told at once, and traffic goes on', async (t) => {
  const upstream = await openProvider(t);
  const [home, dir] = [folder(t), folder(t)];
  configure(home, upstream, {});
  const control = await runWeir(t, home);
  const auditor = await tokenFor(control.adminUrl, control.adminToken!, 'auditor', ['auditor']);
  configure(dir, upstream, { roles: ['proxy'], audit: { durability: 'strict', ship: { url: control.adminUrl, token: auditor } } });
  const sidecar = await runWeir(t, dir);
  await until(() => sidecar.log.some((line) => /audit_ship/.test(line)), 'it is told');
  t.match(sidecar.log.find((line) => /audit_ship/.test(line)), /not shipped, \d+ entries wait: it answered 403 forbidden/);
  t.notMatch(sidecar.log.join('\n'), auditor);
  await chat(sidecar.port);
  await until(async () => (await metricOf(sidecar, 'weir_audit_ship_lag_entries')) > 0, 'the lag');
  t.same(await origins(control, control.adminToken!), []);
  t.equal((await askAdmin(sidecar.adminUrl, '/api/v1/origins', { token: sidecar.adminToken! })).status, 501, 'a sidecar collects nothing');
});
