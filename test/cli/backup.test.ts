/**
 * `weir backup`: taken while Weir runs and others write, the copy is consistent and verifies; put back, Weir starts on it
 * and serves what was stored; what is wrong with a copy is named.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { createApp } from '../../src/app.ts';
import { checkLog } from '../../src/audit/check.ts';
import { copyLog } from '../../src/audit/copy.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { backup } from '../../src/cli/backup.ts';
import type { Manifest } from '../../src/cli/backup/manifest.ts';
import type { Io } from '../../src/cli/command.ts';
import { keys } from '../../src/cli/keys.ts';
import { PostgresPolicyStore } from '../../src/store/postgres.ts';
import { backupSqlite, openSqlite, openSqliteDatabase, sqliteFault } from '../../src/store/sqlite.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, writeLog } from '../helpers/audit.ts';
import { blocking, openHouse, until } from '../helpers/house.ts';
import { openCollector, shipAll } from '../helpers/shipping.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';

t.setTimeout(300_000);

interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function call(args: readonly string[], { command = backup, ...io }: Partial<Io> & { readonly command?: typeof backup } = {}): Promise<Called> {
  let [out, err] = ['', ''];
  const outside = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false, ...io } as unknown as Io;
  return { code: await command.run(args, outside), out, err };
}

function freshDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-backup-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const manifestOf = (dir: string): Manifest => JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as Manifest;

/** Each file to where it was, below another folder. */
function restore(from: string, former: string, to: string): void {
  for (const { path, from: place } of manifestOf(from).files) {
    const target = place.replace(former, to);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(from, path), target);
  }
}

t.test('taken while it runs, put back, it serves the stored policies, keys and log', async (t) => {
  const list = { id: 'names', regex: 'TCK-[0-9]{6}', matches: ['TCK-123456'], ignores: ['TCK-12'] };
  const house = await openHouse(t, {
    files: { 'acme.yaml': blocking('Heron'), 'words.yaml': `policy: words\npatterns: [${JSON.stringify(list)}]\nrules: []\n` },
    config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', require_key: true }] },
  });
  const config = join(house.dir, 'weir.yaml');
  const made = JSON.parse((await call(['create', '--json', '--config', config], { command: keys })).out) as { readonly key: string; readonly key_id: string };
  const gone = JSON.parse((await call(['create', '--json', '--config', config], { command: keys })).out) as { readonly key: string; readonly key_id: string };
  await call(['revoke', gone.key_id, '--config', config], { command: keys });
  t.equal((await house.api('PUT', '/acme?parent=0', blocking('Stored'))).status, 201);
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  await until(async () => (await house.chat('Stored', bearer(made.key))) === 400 && (await house.chat('Heron', bearer(made.key))) === 200, 'the stored policy');

  const to = join(freshDir(t), 'copy');
  let isOver = false;
  const traffic = Promise.all([0, 1].map(async () => { while (!isOver) await house.chat('hello', bearer(made.key)); }));
  const taken = await call([to, '--with-keys', '--json', '--config', config]);
  isOver = true;
  await traffic;
  t.match(taken, { code: 0, err: '' });
  t.match(JSON.parse(taken.out), { ok: true, store: 'sqlite', with_keys: true, log: { first: 0 } });
  t.match(manifestOf(to).files.map(({ path }) => path), ['audit/000000000000.jsonl', 'audit/checkpoints', 'audit/key.pub', 'config/policies/acme.yaml', 'config/policies/words.yaml', 'config/weir.yaml', 'data/admin.json', 'keys/audit.key', 'keys/hash.key', 'store/weir.db']);
  t.match(await call(['--verify', to]), { code: 0, out: /holds: 10 files, \d+ bytes, of .*; with the store; \d+ entries of the audit log, root [0-9a-f]{64}\n$/ });
  t.equal(statSync(to).mode & 0o077, 0, 'nobody else reads it');
  await house.app.close();

  const dir = freshDir(t);
  restore(to, house.dir, dir);
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, log: { write: () => {} } });
  t.teardown(() => app.close());
  const { proxyUrl, adminUrl, adminToken } = await app.start();
  t.equal(adminToken, undefined, 'the first admin token still holds');
  const chat = async (text: string, key: string): Promise<number> => (await fetch(`${proxyUrl}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', ...bearer(key) }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }) })).status;
  t.same([await chat('hello', made.key), await chat('Stored', made.key), await chat('Heron', made.key), await chat('hello', gone.key), await chat('hello', 'weir_nobody')], [200, 400, 200, 401, 401]);
  const history = await fetch(`${adminUrl}/api/v1/policies/acme/history`, { headers: { authorization: `Bearer ${house.token}` } });
  t.match(await history.json(), { revisions: [{ number: 1 }] });
  await app.close();
  const audit = join(dir, 'data/audit');
  const { damage, entries } = await checkLog({ dir: audit, keys: await publishedKeys(audit) });
  const { log } = manifestOf(to);
  t.same([damage, entries > log!.entries], [undefined, true], 'the log goes on where the copy ended');
  t.ok(linesOf(audit).some((line) => line.includes('"kind":"key_change"')) && linesOf(audit).some((line) => line.includes('"kind":"policy_change"')), 'what the store takes for recorded is in the log');
});

t.test('logs that are shipped here are in it, kept content is not', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') }, config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }] } });
  await house.chat('made-up words');
  const other = logFolder(t);
  await writeLog(other, 4);
  const desk = openCollector(join(house.dir, 'data/origins'));
  await shipAll(other, 4, desk, 'test/one');
  desk.collector.close();
  const to = join(freshDir(t), 'copy');
  t.equal((await call([to, '--with-keys', '--config', join(house.dir, 'weir.yaml')])).code, 0);
  const files = manifestOf(to).files.map(({ path }) => path);
  const [shipped] = readdirSync(join(to, 'origins'));
  t.ok(files.includes(`origins/${shipped}/000000000000.jsonl`) && files.includes('keys/content.key'), files.join(', '));
  t.notOk(files.some((path) => path.endsWith('.content') || path.endsWith('.keys')), 'no kept content');
  t.equal(manifestOf(to).files.find(({ path }) => path === `origins/${shipped}/key.pub`)!.from, join(house.dir, 'data/origins', shipped!, 'key.pub'));
  const path = join(to, 'origins', shipped!, '000000000000.jsonl');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"acme"', '"ocme"'));
  t.match(await call(['--verify', to]), { code: 1, out: new RegExp(`origins/${shipped}: 000000000000\\.jsonl line 1, entry 0: the line does not match its hash`) });
});

t.test('without private keys the log is there to verify, and nobody goes on with it by mistake', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') } });
  const to = join(freshDir(t), 'copy');
  t.match(await call([to, '--config', join(house.dir, 'weir.yaml')]), { code: 0, out: /; verified\nThe private keys are not in it \(--with-keys\); without audit\.key nobody can go on signing this log\.\n$/ });
  await house.app.close();
  const bytes = manifestOf(to).files.map(({ path }) => readFileSync(join(to, path), 'latin1')).join('');
  t.notMatch(bytes, /PRIVATE KEY/);
  t.notOk(bytes.includes(house.token));
  const dir = freshDir(t);
  restore(to, house.dir, dir);
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, log: { write: () => {} } });
  await t.rejects(app.start(), { code: 'audit_unavailable', message: /audit\.key is missing, and the audit log was signed with .*; put that one back/ });
});

t.test('n writes meanwhile: the copy of the store is as it was at one moment', async (t) => {
  const dir = freshDir(t);
  const file = join(dir, 'weir.db');
  await openSqlite(file).close();
  // Another process; each transaction is two rows, and a third that counts them.
  const writer = spawn(process.execPath, ['--input-type=module', '-e', `
    import { openSqlite, openSqliteDatabase } from ${JSON.stringify(new URL('../../src/store/sqlite.ts', import.meta.url).href)};
    const [database, policies] = [openSqliteDatabase(${JSON.stringify(file)}), openSqlite(${JSON.stringify(file)})];
    for (let i = 1; ; i++) {
      await database.transaction(async (query) => {
        for (const half of ['a', 'b']) await query('insert into tenant_keys (key_id, tenant_id, name, sha256, scopes, created_at, created_by, change) values ($1, $2, $3, $1, $3, $3, $3, $4)', half + i, 'acme', 'x'.repeat(2000), i);
        await query('insert into tenant_key_changes (number, change, tenant_id, key_id, author, created_at) values ($1, $2, $2, $2, $2, $2)', i, 'create');
      });
      await policies.put({ policy: 'p', parent: i - 1, source: 'y'.repeat(2000), sha256: 'a', author: 'a', comment: '', created_at: '' });
      if (i === 50) process.stdout.write('on');
    }`], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => writer.kill('SIGKILL'));
  await new Promise((resolve) => writer.stdout.once('data', resolve));
  let newest = 0;
  for (let i = 0; i < 6; i++) {
    const copy = join(dir, `copy-${i}.db`);
    await backupSqlite(file, copy, () => {});
    t.equal(sqliteFault(copy), undefined);
    t.same(readdirSync(dir).filter((name) => name.startsWith(`copy-${i}`)), [`copy-${i}.db`], 'one file');
    const database = openSqliteDatabase(copy);
    const [counts] = await database.query<Record<string, number>>('select (select count(*) from tenant_keys) as keys, (select count(*) from tenant_key_changes) as changes, (select count(*) from policy_revisions) as revisions, (select max(number) from policy_revisions) as newest');
    await database.close();
    const { keys: rows, changes, revisions, newest: number } = counts!;
    t.equal(rows, changes! * 2, 'transactions are whole');
    t.ok(revisions === number && (changes === revisions || changes === revisions! + 1), `${changes} changes, ${revisions} revisions`);
    t.ok(number! >= newest);
    newest = number!;
  }
  t.ok(newest > 50);
});

t.test('the log is copied while it is written and pruned', async (t) => {
  const dir = logFolder(t);
  let now = Date.parse('2030-01-01T00:00:00Z');
  const log = await openAuditLog(logOptions(dir, { clock: () => now, segmentBytesMax: 20_000 }));
  t.teardown(() => log.close());
  let isOver = false;
  const writing = (async () => { for (let i = 0; !isOver; i++) { now += 60_000; await log.append(exchangeRecord(`request-${i}`), i % 5 === 0 ? 'strict' : 'relaxed'); } })();
  const pruning = (async () => { while (!isOver) { await pruneLog(log, dir, { days: 1, tenants: {} }, now); await new Promise((resolve) => void setTimeout(resolve, 100)); } })();
  await until(() => existsSync(join(dir, 'pruned')), 'a pruning');
  const starts = new Set<number>();
  for (let i = 0; i < 5; i++) {
    const to = join(dir, `../copy-${i}`);
    const before = log.head().index;
    await log.flush();
    const check = await copyLog(dir, to, () => {});
    t.ok(check!.entries > before, `${check!.first} to ${check!.entries}: all that was synced before`);
    t.equal(check!.newest!.size, check!.entries, 'and nothing that is not signed');
    starts.add(check!.first);
  }
  isOver = true;
  await Promise.all([writing, pruning]);
  t.ok(starts.size > 1, [...starts].join(', '));
});

t.test('what is wrong with a copy is named', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') }, config: { audit: { durability: 'strict' } } });
  await house.chat('hello');
  const config = join(house.dir, 'weir.yaml');
  const parent = freshDir(t);
  const to = join(parent, 'copy');
  t.equal((await call([to, '--config', config])).code, 0);
  await house.app.close();
  await t.rejects(call([to, '--config', config]), { name: 'UsageError', message: /is not empty; a backup begins with an empty folder/ });
  await t.rejects(call([config, '--config', config]), { name: 'UsageError', message: /is no folder/ });
  const flip = (name: string, at = 100) => (dir: string): void => {
    const bytes = readFileSync(join(dir, name));
    bytes[Math.min(at, bytes.length - 1)]! ^= 1;
    writeFileSync(join(dir, name), bytes);
  };
  const spoilt: readonly (readonly [string, (dir: string) => void, RegExp])[] = [
    ['no manifest', (dir) => rmSync(join(dir, 'manifest.json')), /there is no manifest\.json that can be read: the backup was not finished/],
    ['half a manifest', (dir) => writeFileSync(join(dir, 'manifest.json'), '{"format":1'), /there is no manifest\.json that can be read/],
    ['a manifest that leads out', (dir) => writeFileSync(join(dir, 'manifest.json'), readFileSync(join(dir, 'manifest.json'), 'utf8').replace('config/weir.yaml', '../weir.yaml')), /there is no manifest\.json that can be read/],
    ['a file gone', (dir) => rmSync(join(dir, 'config/policies/acme.yaml')), /^config\/policies\/acme\.yaml: it is missing/],
    ['a file more', (dir) => writeFileSync(join(dir, 'config/policies/more.yaml'), ''), /^config\/policies\/more\.yaml: it is not in the manifest/],
    ['a longer file', (dir) => writeFileSync(join(dir, 'config/weir.yaml'), `${readFileSync(join(dir, 'config/weir.yaml'), 'utf8')} `), /^config\/weir\.yaml: it has \d+ bytes, and had \d+/],
    ['a bit of the store', flip('store/weir.db', 5_000), /^store\/weir\.db: it is not as it was/],
    ['a bit of the log', flip('audit/000000000000.jsonl'), /audit\/000000000000\.jsonl: it is not as it was\naudit: 000000000000\.jsonl line 1, entry 0: the line does not match its hash/],
  ];
  for (const [name, spoil, fault] of spoilt) {
    const copy = join(parent, name);
    cpSync(to, copy, { recursive: true });
    spoil(copy);
    const { code, out } = await call(['--verify', copy]);
    t.equal(code, 1, name);
    t.match(out, fault);
    t.match(out, /does NOT hold\n$/);
    t.equal((JSON.parse((await call(['--verify', copy, '--json'])).out) as { readonly ok: boolean }).ok, false);
  }
  flip('data/audit/000000000000.jsonl')(house.dir);
  t.match(await call([join(parent, 'of-damage'), '--config', config]), { code: 1, out: '', err: /000000000000\.jsonl line 1 \(entry 0\): the line does not match its hash; .* is no backup, since it has no manifest/ });
  t.notOk(existsSync(join(parent, 'of-damage/manifest.json')));
  let shown = '';
  await call(['--verify', to], { isTerminal: true, stderr: (text) => void (shown += text) });
  t.notMatch(shown, /NaN|undefined/);
  for (const wrong of [[], ['--verify'], ['--verify', '--with-keys', to], [to, 'more']]) await t.rejects(call(wrong), { name: 'UsageError' });
});

t.test('a store in Postgres: the command that copies it, and the rest', { skip: POSTGRES_MISSING }, async (t) => {
  const url = new URL(await openPostgresSchema(t));
  url.password = 'made-up-password';
  const dir = freshDir(t);
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'policies/acme.yaml'), blocking('Heron'));
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', upstreams: { local: { url: 'http://127.0.0.1:9' } }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }], store: { url: '${STORE_URL}' } }));
  await writeLog(join(dir, 'data/audit'), 3);
  const store = new PostgresPolicyStore(url.href);
  await store.heads();
  await store.close();
  const to = join(dir, 'it is/here');
  const env = { STORE_URL: url.href };
  const { code, out } = await call([to, '--config', join(dir, 'weir.yaml')], { env });
  t.equal(code, 0);
  t.match(out, /The store is in Postgres and is NOT in this backup\. Copy it with\n {2}pg_dump --format=custom --exclude-table-data='\*\.review_contents' --exclude-table-data='\*\.learning_contents' --file='.*it is\/here\.dump' '?postgres:\/\/postgres@127\.0\.0\.1/);
  t.notMatch(out, /made-up-password/);
  t.notMatch(manifestOf(to).files.map(({ path }) => readFileSync(join(to, path), 'latin1')).join(''), /made-up-password/, 'what the environment says stays there');
  t.same(manifestOf(to).files.map(({ path }) => path), ['audit/000000000000.jsonl', 'audit/checkpoints', 'audit/key.pub', 'config/policies/acme.yaml', 'config/weir.yaml']);
  t.match(await call(['--verify', to]), { code: 0, out: /without a store; \d+ entries/ });
});
