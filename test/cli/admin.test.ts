/** `weir admin token`: tokens made, listed and revoked in the store, beside a running Weir or without one; printed once. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import { admin } from '../../src/cli/admin.ts';
import type { Io } from '../../src/cli/command.ts';
import { ask } from '../helpers/admin.ts';
import { blocking, freshFolder, openHouse, until } from '../helpers/house.ts';

t.setTimeout(300_000);

const FILES = { 'acme.yaml': blocking('Fileword') };

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await admin.run(['token', ...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

t.test('beside a running Weir: a token counts at once, is revoked at once, and both are entries of the log', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: FILES });
  t.match(await call(dir, 'list'), { code: 0, out: 'no tokens but the first\n' });
  const made = await call(dir, 'create', 'night-audit', '--role', 'auditor', '--expires', '90d');
  t.match(made, { code: 0, err: '', out: /^token {4}weir_admin_[\w-]{43}\nid {7}tok_[0-9a-f]{16}\nname {5}night-audit\nroles {4}auditor\nexpires {2}\d{4}-.*Z\n\nThe token is shown this once\.\n$/ });
  const [, token, id] = /^token +(\S+)\nid +(\S+)/.exec(made.out) as unknown as [string, string, string];
  t.match(await ask(house.adminUrl, '/api/v1/session', { token }), { status: 200, body: { name: 'night-audit', roles: ['auditor'] } });
  t.match(await call(dir, 'create', 'night-audit', '--role', 'admin'), { code: 1, err: /there is, or was, a token night-audit/ });
  const viewer = JSON.parse((await call(dir, 'create', 'a-viewer', '--role', 'tenant-viewer', '--role', 'tenant-viewer', '--tenant', 'default', '--json')).out) as Readonly<Record<string, unknown>>;
  t.match(viewer, { token: /^weir_admin_/, roles: ['tenant-viewer'], tenants: ['default'], created_by: /^cli/, expires_at: null });
  t.notOk('sha256' in viewer);
  t.match((await call(dir, 'list')).out, new RegExp(`^name +id +state +expires +roles +tenants\na-viewer +\\S+ +active +never +tenant-viewer +default\nnight-audit +${id} +active +\\d{4}\\S+ +auditor\n$`));
  t.match(await call(dir, 'revoke', id), { code: 0, out: new RegExp(`^night-audit \\(${id}\\) is revoked since \\d`) });
  t.equal((await ask(house.adminUrl, '/api/v1/session', { token })).status, 401);
  t.match(await call(dir, 'revoke', id), { code: 1, err: /no such token, or it is revoked already/ });
  t.match((await call(dir, 'list', '--json')).out, /"state":"revoked"/);
  const changes = async (): Promise<readonly Record<string, unknown>[]> => (await ask(house.adminUrl, '/api/v1/audit?kind=access_change', { token: house.token })).body.entries as Record<string, unknown>[];
  await until(async () => (await changes()).length === 3, 'the changes in the log');
  t.match([...(await changes())].reverse(), [{ change: 'token_created', name: 'night-audit', author: /^cli/, id }, { change: 'token_created', name: 'a-viewer', tenants: ['default'] }, { change: 'token_revoked', name: 'night-audit', author: /^cli/, id }]);
  await house.app.close();
  const bytes = readdirSync(join(dir, 'data'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('');
  t.notOk(bytes.includes(token) || bytes.includes(viewer['token'] as string), 'no token is on disk');
});

t.test('without a running Weir: the next one knows the token, and writes the entry', async (t) => {
  const dir = freshFolder(t);
  await (await openHouse(t, { dir, files: FILES })).app.close();
  const { token } = JSON.parse((await call(dir, 'create', 'early', '--role', 'policy', '--json')).out) as { readonly token: string };
  const house = await openHouse(t, { dir, files: FILES });
  t.equal((await ask(house.adminUrl, '/api/v1/session', { token })).status, 200);
  await until(async () => (await ask(house.adminUrl, '/api/v1/audit?kind=access_change', { token: house.token })).body.entries.length === 1, 'the entry');
  await house.app.close();
  const again = await openHouse(t, { dir, files: FILES });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.equal((await ask(again.adminUrl, '/api/v1/audit?kind=access_change', { token: again.token })).body.entries.length, 1, 'once');
});

t.test('wrong calls', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: FILES });
  const calls: readonly (readonly [readonly string[], RegExp])[] = [
    [['create'], /name of the token is missing/], [['create', 'x'], /--role: admin, policy/], [['create', 'x', '--role', 'root'], /roles is a list/], [['create', 'a b', '--role', 'admin'], /name is 1 to 64/], [['create', 'admin', '--role', 'admin'], /first token/],
    [['create', 'x', '--role', 'tenant-viewer'], /needs the ids/], [['create', 'x', '--role', 'tenant-viewer', '--tenant', 'nobody'], /not in the configuration/], [['create', 'x', '--role', 'admin', '--expires', 'soon'], /--expires takes a time/],
    [['revoke'], /id of the token is missing/], [['lst'], /did you mean list/], [['create', 'x', 'y', '--role', 'admin'], /unexpected argument/],
  ];
  for (const [args, message] of calls) await t.rejects(call(dir, ...args), { name: 'UsageError', message }, args.join(' '));
  for (const args of [[], ['tokn'], ['token']]) await t.rejects(admin.run(args, {} as Io), { name: 'UsageError' });
  t.match((await call(dir, 'list')).out, /no tokens/, 'none of them made one');
  await house.app.close();
  const proxy = await openHouse(t, { dir, files: FILES, config: { roles: ['proxy'] } });
  t.match(await call(dir, 'list'), { code: 1, err: /role control/ });
  await proxy.app.close();
  const away = freshFolder(t);
  const broken = await openHouse(t, { dir: away, files: FILES, config: { store: { url: 'postgres://postgres@127.0.0.1:9/none' } } });
  t.match(await call(away, 'list'), { code: 1, err: /the Postgres store failed/ });
  await broken.app.close();
});
