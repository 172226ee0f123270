/**
 * `weir policy` where policies are stored: the copy that counts for a proxy counts for the command, earlier revisions by
 * number, recorded exchanges under the revision that decided them; files that are named need no store, and a store that
 * does not answer is said, not guessed around.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { policy } from '../../src/cli/policy.ts';
import { blocking, openHouse, type House } from '../helpers/house.ts';

const withCase = (word: string, id = 'acme'): string => `${blocking(word, id)}cases:\n  - { name: ${word}, direction: input, text: a ${word}, expect: { action: block } }\n`;

async function call({ dir }: Pick<House, 'dir'>, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await policy.run([...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

t.test('the store counts in place of a file, as for the proxy, until the policy is retired', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': withCase('Fileword'), 'plain.yaml': withCase('Plain', 'plain') } });
  const explained = async (...args: string[]): Promise<string | undefined> => /^policy +(.*)\naction +(.*)$/m.exec((await call(house, 'explain', ...args)).out)?.slice(1).join(' ');
  t.match(await explained('a Fileword'), /^acme@[0-9a-f]{12} block$/);
  await house.api('PUT', '/acme', withCase('Heron'));
  await house.api('PUT', '/acme?parent=1', withCase('Osprey'));
  await house.api('PUT', '/other', withCase('Egret', 'other'));
  t.same([await explained('a Fileword'), await explained('a Heron'), await explained('an Osprey')], ['acme@2 allow', 'acme@2 allow', 'acme@2 block']);
  t.same([await explained('a Heron', '--revision', '1'), await explained('a Heron', '--policy', 'acme@1')], ['acme@1 block', 'acme@1 block']);
  t.same([await explained('an Egret', '--policy', 'other'), await explained('a Plain', '--policy', 'plain')], ['other@1 block', (await explained('a Plain', '--policy', join(house.dir, 'policies/plain.yaml')))]);
  t.match(await explained('a Fileword', '--policy', join(house.dir, 'policies/acme.yaml')), /^acme@[0-9a-f]{12} block$/, 'a file that is named is taken');

  const all = JSON.parse((await call(house, 'test', '--json')).out) as { readonly ok: boolean; readonly policies: readonly { readonly file: string; readonly policy: string; readonly revision: string }[] };
  t.same(all.policies.map(({ policy: id, revision, file }) => [id, /^\d$/.test(revision) ? revision : 'file', file.replace(/.*\//, '')]), [['plain', 'file', 'plain.yaml'], ['acme', '2', 'store:acme@2'], ['other', '1', 'store:other@1']]);
  t.equal(all.ok, true);
  t.match(await call(house, 'test', 'acme', '--revision', '1'), { code: 0, out: /^policy acme \(store:acme@1\)\n {2}PASS {2}Heron\n/ });
  t.match(await call(house, 'test', 'acme@1', 'other', join(house.dir, 'policies/plain.yaml')), { code: 0, out: /PASS {2}Heron[^]*PASS {2}Egret[^]*PASS {2}Plain/ });
  t.match(JSON.parse((await call(house, 'diff', 'acme@1', 'acme', '--json')).out), { from: 'acme@1', to: 'acme@2' });
  t.match(JSON.parse((await call(house, 'diff', 'acme', '--revision', '1', '--json')).out), { from: 'acme@1', to: 'acme@2' });

  await house.api('DELETE', '/acme');
  t.match(await explained('a Fileword'), /^acme@[0-9a-f]{12} block$/, 'the file counts again');
  for (const [args, message] of [
    [['explain', 'x', '--revision', '9'], /the store has no policy acme with revision 9/], [['explain', 'x', '--revision', '3'], /revision 3 of policy acme is its retirement/], [['explain', 'x', '--revision', 'one'], /--revision takes a whole number/],
    [['test', '--revision', '1'], /--revision goes with the id of one stored policy/], [['test', 'acme@1', '--revision', '1'], /goes with the id/], [['test', 'a.yaml', '--revision', '1'], /goes with the id/],
    [['diff', 'acme', 'other', '--revision', '1'], /for two write id@number/], [['diff', '--revision', '1'], /for two write id@number/], [['test', 'nobody'], /there is no policy "nobody"; there is acme, plain, other/],
  ] as const) await t.rejects(call(house, ...args), { name: 'UsageError', message }, args.join(' '));
});

t.test('a tenant stays at its revision, and a recorded exchange is explained under the one that decided it', async (t) => {
  const dir = t.testdir({});
  const house = await openHouse(t, { dir, files: { 'acme.yaml': withCase('Fileword') }, config: { audit: { durability: 'strict' } } });
  await house.api('PUT', '/acme', withCase('Heron'));
  t.equal(await house.chat('a Heron'), 400);
  await house.api('PUT', '/acme?parent=1', withCase('Osprey'));
  const folder = join(dir, 'data/audit');
  const entries = readdirSync(folder).filter((name) => name.endsWith('.jsonl')).flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n')).map((line) => JSON.parse(line) as { readonly kind: string; readonly request_id: string });
  const { request_id: id } = entries.find(({ kind }) => kind === 'exchange')!;
  t.match(await call(house, 'explain', '--request', id), { code: 0, err: '', out: /policy {3}acme@1\naction {3}block/ });
  await house.app.close();
  const pinned = await openHouse(t, { dir, config: { tenants: [{ id: 'default', policy: 'acme', policy_revision: 1, upstream: 'local' }] } });
  t.match((await call(pinned, 'explain', 'a Heron')).out, /policy {3}acme@1\naction {3}block/);
  t.match((await call(pinned, 'explain', 'a Heron', '--revision', '2')).out, /policy {3}acme@2\naction {3}allow/);
});

t.test('a store that does not tell is said, and files that are named need none', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': withCase('Fileword') } });
  await house.app.close();
  const file = join(house.dir, 'weir.yaml');
  const config = JSON.parse(readFileSync(file, 'utf8')) as object;
  const named = join(house.dir, 'policies/acme.yaml');
  for (const [change, message] of [
    [{ store: { url: 'postgres://postgres@127.0.0.1:9/none' } }, /the store that store\.url names does not answer, so nobody can say which policies count; repair it, or name policy files, which need no store\n$/],
    [{ roles: ['proxy'], redis: { url: 'redis://127.0.0.1:9' } }, /policies come through redis from the store of another process, so nobody can say/],
  ] as const) {
    writeFileSync(file, JSON.stringify({ ...config, ...change }));
    for (const args of [['test'], ['explain', 'a Fileword'], ['diff', 'acme', named]]) t.match(await call(house, ...args), { code: 1, out: '', err: message }, args.join(' '));
    t.match(await call(house, 'test', named), { code: 0, out: /PASS/ });
    t.match(await call(house, 'explain', 'a Fileword', '--policy', named), { code: 0, out: /action {3}block/ });
    t.equal((await call(house, 'diff', named, named)).code, 0);
  }
  writeFileSync(file, JSON.stringify({ ...config, roles: ['proxy'] }));
  t.match((await call(house, 'explain', 'a Fileword')).out, /action {3}block/, 'a proxy that has nobody has its files');
  writeFileSync(file, JSON.stringify(config));
  rmSync(join(house.dir, 'data'), { recursive: true });
  t.match((await call(house, 'explain', 'a Fileword')).out, /action {3}block/, 'before there is a store');
});
