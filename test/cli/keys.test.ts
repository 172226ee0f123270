/** `weir keys`: keys made, listed and revoked in the store, beside a running Weir or without one; printed once. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { keys } from '../../src/cli/keys.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { blocking, freshFolder, openHouse, until } from '../helpers/house.ts';

t.setTimeout(120_000);

const FILE_KEY = { id: 'from-file', sha256: keyDigest('wk-made-up-file'), expires_at: '2020-01-01T00:00:00Z' };
const TENANTS = [{ id: 'acme', policy: 'acme', upstream: 'local', keys: [FILE_KEY] }, { id: 'bravo', policy: 'acme', upstream: 'local', require_key: true }];

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await keys.run([...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

function folder(t: Parameters<typeof freshFolder>[0], config: object = {}): string {
  const dir = freshFolder(t);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: TENANTS, ...config }));
  return dir;
}

t.test('without a running Weir: made, listed, revoked', async (t) => {
  const dir = folder(t);
  const made = await call(dir, 'create', '--tenant', 'acme', '--name', 'backend', '--expires', '90d', '--requests-per-minute', '600', '--scopes', 'models, screening');
  t.match(made, { code: 0, err: '', out: /^key {6}weir_[0-9A-Za-z]{49}\nid {7}key_[0-9a-f]{16}\ntenant {3}acme\nscopes {3}models, screening\nexpires {2}\d{4}-.*Z\n\nThe key is shown this once\.\n$/ });
  const [, key, id] = /^key +(\S+)\nid +(\S+)/.exec(made.out)!;
  t.notOk(readFileSync(join(dir, 'data/weir.db'), 'latin1').includes(key!), 'the store holds no key');
  const other = JSON.parse((await call(dir, 'create', '--tenant', 'bravo', '--json')).out) as Readonly<Record<string, unknown>>;
  t.match(other, { key: /^weir_/, tenant_id: 'bravo', scopes: ['models', 'pass_through', 'screening'], state: 'active', created_by: /^cli/ });
  t.notOk('sha256' in other);

  const listed = await call(dir, 'list');
  t.match(listed.out, new RegExp(`^tenant +id +state +expires +from +name\nacme +${id} +active +\\S+ +store +backend\nacme +from-file +expired +2020-01-01T00:00:00Z +file\nbravo +${String(other['key_id'])} +active +never +store\n$`));
  t.notOk(listed.out.includes(key!));
  t.match(JSON.parse((await call(dir, 'list', '--tenant', 'acme', '--json')).out), { keys: [{ from: 'store', key_id: id, requests_per_minute: 600 }, { from: 'file', key_id: 'from-file' }] });
  t.match(await call(dir, 'revoke', id!, '--tenant', 'bravo'), { code: 1, err: /the store has no such key/ });
  t.match(await call(dir, 'revoke', id!), { code: 0, out: new RegExp(`^${id} of tenant acme is revoked since \\d`) });
  t.match(await call(dir, 'revoke', id!, '--json'), { code: 0, out: /"state":"revoked"/ });
  t.match((await call(dir, 'list', '--tenant', 'acme')).out, new RegExp(`${id} +revoked`));
  t.match(await call(dir, 'revoke', 'from-file'), { code: 1, err: /in the configuration file; take it out there/ });
  t.match(await call(dir, 'revoke', 'key_0'), { code: 1, err: /weir keys list shows/ });
});

t.test('beside a running Weir: it counts there within a second, its use is told, and the audit log has the change', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') }, config: { tenants: TENANTS } });
  const { key, key_id: id } = JSON.parse((await call(house.dir, 'create', '--tenant', 'bravo', '--json')).out) as { readonly key: string; readonly key_id: string };
  const chat = (text: string): Promise<number> => house.chat(text, { authorization: `Bearer ${key}` });
  await until(async () => (await chat('hello')) === 200, 'the key');
  t.equal(await chat('Heron'), 400);
  const used = async (): Promise<any> => JSON.parse((await call(house.dir, 'list', '--usage', '--tenant', 'bravo', '--json')).out).usage;
  await until(async () => (await used()).length === 1 && (await used())[0].requests === 2, 'the usage');
  t.match(await used(), [{ tenant_id: 'bravo', key_id: id, requests: 2, blocked: 1, estimated: 1 }]);
  t.match((await call(house.dir, 'list', '--usage', '--since', '1h')).out, new RegExp(`\nbravo +${id} +2 +0 +1 `));
  t.match((await call(house.dir, 'list', '--usage', '--since', '2000-01-01T00:00:00Z', '--until', '2001-01-01T00:00:00Z')).out, /\nnothing was used\n$/);
  await call(house.dir, 'revoke', id);
  await until(async () => (await chat('hello')) === 401, 'the revocation');
  const folder = join(house.dir, 'data/audit');
  const log = (): string => readdirSync(folder).filter((name) => name.endsWith('.jsonl')).map((name) => readFileSync(join(folder, name), 'utf8')).join('');
  await until(() => (log().match(/"kind":"key_change"/g) ?? []).length === 2, 'the entries');
  t.match(log(), /"author":"cli[^"]*"[^\n]*"change":"revoke"/);
  t.notOk(log().includes(key));
});

t.test('wrong calls, and a store that is not ours', async (t) => {
  const dir = folder(t);
  for (const [args, message] of [
    [['make'], /unknown verb "make"/], [['creat'], /did you mean create/], [['create'], /there are 2 tenants; name one/], [['create', '--tenant', 'acm'], /there is no tenant "acm"; .*acme/],
    [['create', '--tenant', 'acme', '--expires', 'soon'], /--expires takes/], [['create', '--tenant', 'acme', '--expires', '2020-01-01T00:00:00Z'], /has passed/], [['create', '--tenant', 'acme', '--requests-per-minute', 'many'], /requests_per_minute is/],
    [['create', '--tenant', 'acme', '--scopes', 'all'], /scopes is/], [['create', 'x'], /unexpected argument/], [['list', '--since', '1h'], /go with --usage/], [['list', '--usage', '--since', 'then'], /--since takes/], [['revoke'], /id of the key is missing/],
  ] as const) await t.rejects(call(dir, ...args), { name: 'UsageError', message }, args.join(' '));
  t.match(await call(folder(t, { roles: ['proxy'] }), 'list'), { code: 1, err: /the process with the role control/ });
  t.match(await call(folder(t, { store: { url: 'postgres://postgres@127.0.0.1:9/none' } }), 'create', '--tenant', 'acme'), { code: 1, out: '', err: /^weir keys create: .*store failed/ });
  await t.rejects(keys.run([], {} as Io), { name: 'UsageError', message: /what to do is missing/ });
  t.match(keys.help, /usage: weir keys create/);
});
