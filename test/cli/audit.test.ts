/**
 * `weir audit`: what an auditor does with files and a key, what an operator does to a log, and how each ends where it
 * cannot be done. Reads logs that the writer wrote; the configuration only says where they are.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { openAuditLog } from '../../src/audit/log.ts';
import type { EntryProof } from '../../src/audit/proof-check.ts';
import { proveEntryApart } from '../../src/audit/proof.ts';
import { ContentVault } from '../../src/audit/vault.ts';
import { audit } from '../../src/cli/audit.ts';
import type { Io } from '../../src/cli/command.ts';
import { exchangeRecord, linesOf, logOptions, segmentsOf, writeLog } from '../helpers/audit.ts';

interface Called {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function call(args: readonly string[], io: Partial<Io> = {}): Promise<Called> {
  let [out, err] = ['', ''];
  const outside = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false, ...io } as unknown as Io;
  return { code: await audit.run(args, outside), out, err };
}

/** A folder with a configuration, and a log of two tenants. */
async function house(t: Test): Promise<{ readonly dir: string; readonly config: string; readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-cli-audit-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'weir.yaml'), JSON.stringify({ data_dir: 'data', policies: ['p.yaml'], upstreams: { local: { url: 'http://127.0.0.1:9' } }, tenants: [{ id: 'acme', policy: 'p', upstream: 'local' }] }));
  writeFileSync(join(folder, 'p.yaml'), 'policy: p\nrules: []\n');
  const dir = join(folder, 'data/audit');
  let now = Date.parse('2026-01-01T00:00:00Z');
  const log = await openAuditLog(logOptions(dir, { clock: () => (now += 60_000) }));
  for (let i = 0; i < 10; i++) await log.append({ ...exchangeRecord(`request-${i}`), tenant_id: i % 2 === 0 ? 'acme' : 'other' }, 'strict');
  await log.append({ kind: 'policy_change', change: 'put', policy_id: 'p', revision: 1, parent: 0, author: 'admin', sha256: 'ab'.repeat(32) }, 'strict');
  await log.close();
  return { dir, config: join(folder, 'weir.yaml'), folder };
}

function newestNote(dir: string): string {
  return `${readFileSync(join(dir, 'checkpoints'), 'utf8').split('\n\n').slice(-3, -1).join('\n\n')}\n`;
}

t.test('verify: sound, from the configuration or from a copy with a key', async (t) => {
  const { dir, config, folder } = await house(t);
  t.match(await call(['verify', '--config', config]), { code: 0, err: '', out: /11 entries, [23] checkpoints, [\d.]+ s\nsound; 11 entries are signed, root [0-9a-f]{64}\n$/ });
  const copy = join(folder, 'copy');
  cpSync(dir, copy, { recursive: true });
  rmSync(join(copy, 'key.pub'));
  const key = join(folder, 'auditor.pub');
  cpSync(join(dir, 'key.pub'), key);
  t.match(await call(['verify', '--dir', copy]), { code: 1, out: /DAMAGED at checkpoints note 1, entry 0: .*none of the keys that count/ });
  t.match(await call(['verify', '--dir', copy, '--key', key]), { code: 0 });
  t.match(JSON.parse((await call(['verify', '--dir', copy, '--key', readFileSync(key, 'utf8').trim(), '--json'])).out), { ok: true, entries: 11, signed_entries: 11, torn_bytes: 0, head: { index: 10 } });
  writeFileSync(join(copy, segmentsOf(copy)[0]!), `${readFileSync(join(copy, segmentsOf(copy)[0]!), 'utf8')}{"half`);
  writeFileSync(join(copy, 'checkpoints'), `${readFileSync(join(copy, 'checkpoints'), 'utf8')}test`);
  t.match(await call(['verify', '--dir', copy, '--key', key]), { code: 0, out: /the last line is unfinished \(6 bytes\), as a crash leaves it\nthe last checkpoint is unfinished \(4 bytes\)/ });
  rmSync(join(copy, 'checkpoints'));
  t.match(await call(['verify', '--dir', copy]), { code: 0, out: /no checkpoint is there, so nothing is signed/ });
  t.match(await call(['verify', '--dir', copy, '--key', key]), { code: 1, out: /NOT SOUND: no checkpoint is there/ });
  t.match(await call(['verify', '--dir', join(folder, 'nowhere')]), { code: 0, out: /0 entries/ });
  let shown = '';
  await call(['verify', '--config', config], { isTerminal: true, stderr: (text) => void (shown += text) });
  t.notMatch(shown, /NaN/);
});

t.test('verify: damage with its place, and a log that was put back', async (t) => {
  const { dir, config, folder } = await house(t);
  const backup = join(folder, 'backup');
  cpSync(dir, backup, { recursive: true });
  await writeLog(dir, 2);
  const note = join(folder, 'kept.note');
  writeFileSync(note, newestNote(dir));
  t.match(await call(['verify', '--config', config, '--since', note]), { code: 0, out: /sound; 13 entries/ });
  t.match(await call(['verify', '--dir', backup, '--since', note]), { code: 1, out: /entries are missing at the end: the kept checkpoint covers 13, the files hold 11/ });
  const path = join(dir, segmentsOf(dir)[0]!);
  const whole = readFileSync(path);
  writeFileSync(path, Buffer.from(whole).fill('x', whole.indexOf('request-3'), whole.indexOf('request-3') + 1));
  t.match(await call(['verify', '--config', config]), { code: 1, out: /DAMAGED at 000000000000\.jsonl line 4, entry 3: the line does not match its hash/ });
  t.match(JSON.parse((await call(['verify', '--config', config, '--json'])).out), { ok: false, entries: 3, damage: { segment: '000000000000.jsonl', line: 4, index: 3 } });
  t.match(await call(['prove', '1', '--config', config]), { code: 1, err: /line 4 \(entry 3\)/ });
});

t.test('prove: a proof that holds without the log, and no other does', async (t) => {
  const { dir, config, folder } = await house(t);
  const byIndex = await call(['prove', '4', '--config', config]);
  t.match(byIndex, { code: 0, err: '' });
  t.equal((await call(['prove', 'request-4', '--dir', dir])).out, byIndex.out);
  const proof = JSON.parse(byIndex.out) as EntryProof;
  t.same([proof.index, proof.entry, proof.checkpoint], [4, linesOf(dir)[4], newestNote(dir)]);
  t.same(await proveEntryApart(dir, 4, newestNote(dir)), proof, 'in a thread of its own');
  const file = join(folder, 'proof.json');
  const holds = async (changed: unknown): Promise<Called> => {
    writeFileSync(file, typeof changed === 'string' ? changed : JSON.stringify(changed));
    return call(['verify', '--proof', file, '--config', config]);
  };
  t.match(await holds(proof), { code: 0, out: /it holds/ });
  t.match(await holds({ ...proof, entry: proof.entry.replace('acme', 'acne') }), { code: 1, out: /the entry is not in the tree/ });
  t.match(await holds({ ...proof, index: 5 }), { code: 1, out: /does not say that it has index 5/ });
  t.match(await holds({ ...proof, proof: proof.proof.slice(1) }), { code: 1, out: /not in the tree/ });
  t.match(await holds({ ...proof, proof: ['x'] }), { code: 1, out: /a step of it is no hash/ });
  t.match(await holds({ ...proof, checkpoint: proof.checkpoint.replace('\n11\n', '\n12\n') }), { code: 1 });
  t.match(await holds({ ...proof, checkpoint: proof.checkpoint.replace(/.(?=.{8}\n$)/, (c) => (c === 'A' ? 'B' : 'A')) }), { code: 1, out: /none of the keys/ });
  t.match(await holds('no JSON'), { code: 1, out: /it is no proof/ });
  const json = await call(['verify', '--proof', file, '--config', config, '--json']);
  t.match(JSON.parse(json.out), { ok: false, reason: /no proof/ });
  t.match(await call(['prove', '11', '--config', config]), { code: 1, err: /none of the 11 entries that the checkpoint covers is "11"/ });
  t.match(await call(['prove', 'request-99', '--config', config]), { code: 1, err: /none of the 11 entries/ });
  mkdirSync(join(folder, 'empty'));
  t.match(await call(['prove', '0', '--dir', join(folder, 'empty')]), { code: 1, err: /there is no checkpoint/ });
});

t.test('consistency: of two checkpoints of this log, and of others', async (t) => {
  const { dir, config, folder } = await house(t);
  const note = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const old = note('old.note', newestNote(dir));
  await writeLog(dir, 3);
  const now = note('now.note', newestNote(dir));
  t.match(await call(['consistency', old, now, '--config', config]), { code: 0, out: 'consistent: the 14 entries begin with the 11\n' });
  t.match(await call(['consistency', old, old, '--config', config]), { code: 0 });
  t.match(JSON.parse((await call(['consistency', old, now, '--config', config, '--json'])).out), { ok: true, old_size: 11, new_size: 14, proof: [/^[0-9a-f]{64}$/] });
  t.match(await call(['consistency', now, old, '--config', config]), { code: 1, out: /NOT consistent/ });
  const other = await house(t);
  await writeLog(other.dir, 9);
  const foreign = note('foreign.note', newestNote(other.dir));
  t.match(await call(['consistency', old, foreign, '--config', config]), { code: 1, err: /foreign\.note is signed with none of the keys/ });
  t.match(await call(['consistency', old, foreign, '--config', config, '--key', note('both.pub', readFileSync(join(dir, 'key.pub'), 'utf8') + readFileSync(join(other.dir, 'key.pub'), 'utf8'))]), { code: 1, err: /covers 20 entries, and the files hold 14/ });
  await t.rejects(call(['consistency', old, note('x', 'x'), '--config', config]), { name: 'UsageError', message: /holds no checkpoint/ });
  await t.rejects(call(['consistency', old, join(folder, 'none'), '--config', config]), { name: 'UsageError', message: /cannot be read \(ENOENT\)/ });
});

t.test('export: every entry as it stands, or those of a tenant, a kind, a time', async (t) => {
  const { dir, config } = await house(t);
  const exported = async (...args: readonly string[]): Promise<readonly string[]> => (await call(['export', '--json', '--config', config, ...args])).out.split('\n').slice(0, -1);
  t.same(await exported(), linesOf(dir));
  t.same((await exported('--tenant', 'acme')).map((line) => (JSON.parse(line) as { readonly request_id: string }).request_id), [0, 2, 4, 6, 8].map((i) => `request-${i}`));
  t.equal((await exported('--kind', 'policy_change')).length, 1);
  t.equal((await exported('--since', '2026-01-01T00:03:00Z', '--until', '2026-01-01T00:05:00Z')).length, 2);
  t.equal((await exported('--since', '1s')).length, 0);
  t.match(await call(['export', '--config', config]), { code: 0, out: /^ {8}0 {2}2026-01-01T00:01:00\.000Z {2}exchange {8}acme {2}request-0 {2}completed\n/ });
  const path = join(dir, segmentsOf(dir)[0]!);
  writeFileSync(path, `${readFileSync(path, 'utf8')}no entry\n[1]\n{"torn`);
  t.match(await call(['export', '--json', '--config', config]), { code: 1, out: /^(?:\{.*\}\n){11}$/, err: /2 lines are no entries and were left out/ });
});

t.test('rotate-key and accept-loss, and that they leave a running log alone', async (t) => {
  const { dir, config } = await house(t);
  const log = await openAuditLog(logOptions(dir));
  for (const verb of ['rotate-key', 'accept-loss']) t.match(await call([verb, '--config', config]), { code: 1, err: /process \d+ already writes to the audit log/ });
  await log.close();
  t.match(await call(['rotate-key', '--config', config]), { code: 0, out: /^entry 11 says that test\/one\+[0-9a-f]{8} signs in place of test\/one\+[0-9a-f]{8}\npublic key {2}test\/one\+/ });
  t.match(JSON.parse((await call(['rotate-key', '--config', config, '--json'])).out), { index: 12, from: /^test\/one/, to: /^test\/one/ });
  t.match(await call(['verify', '--config', config]), { code: 0, out: /13 entries[^]*2 key rotations/ });
  t.match(await call(['accept-loss', '--config', config]), { code: 0, out: /nothing is lost/ });
  t.match(JSON.parse((await call(['accept-loss', '--config', config, '--json'])).out), { accepted: false });
  const newest = join(dir, segmentsOf(dir).at(-1)!);
  writeFileSync(newest, readFileSync(newest).subarray(0, -1));
  t.match(await call(['accept-loss', '--config', config]), { code: 0, out: /accepted: .*missing at the end[^]*12 entries are kept, 1 that were signed are lost; an entry says so\nthe files as they were are in set-aside-/ });
  t.match(await call(['verify', '--config', config]), { code: 0, out: /entry 12: an operator accepted a loss of 1 entries or more/ });
  rmSync(join(dir, '../keys/audit.key'));
  t.match(await call(['accept-loss', '--config', config]), { code: 0, out: /nothing is lost/ }, 'the log is sound; only its key is not');
  t.match(JSON.parse((await call(['accept-loss', '--key-lost', '--config', config, '--json'])).out), { accepted: true, reason: 'the signing key was lost', kept: 13, count: 0 });
  t.match(await call(['verify', '--config', config]), { code: 0 });
});

t.test('erase, and verify with the content', async (t) => {
  const { dir, config, folder } = await house(t);
  const content = join(folder, 'data/content');
  const log = await openAuditLog(logOptions(dir));
  const vault = new ContentVault({ dir: content, keyFile: join(folder, 'data/keys/content.key'), clock: Date.now, audit: async () => {} });
  for (const id of ['a', 'b', 'c', 'd']) {
    const record = exchangeRecord(id);
    const commitments = vault.put({ tenantId: 'acme', requestId: id, sessionId: id === 'b' ? 's' : undefined, startedAt: record.started_at, texts: { input: { texts: [{ place: 'x', text: 'y' }], cut: 0 } } });
    await log.append({ ...record, content: commitments }, 'strict');
  }
  await vault.close();
  t.match(await call(['erase', '--tenant', 'acme', '--request', 'a', '--config', config]), { code: 1, err: /process \d+ already writes to the audit log/ });
  await log.close();
  t.match(await call(['verify', '--config', config, '--content', content]), { code: 0, out: /content: 4 texts are those of their entries, 0 erased, 0 not there\n$/ });
  t.match(await call(['erase', '--tenant', 'acme', '--request', 'a', '--config', config]), { code: 0, out: 'the keys of 1 exchanges are destroyed; an entry says so; other processes hear of it as erasure 1\n' });
  rmSync(join(folder, 'data/keys/content.key'));
  t.same(JSON.parse((await call(['erase', '--tenant', 'acme', '--session', 's', '--json', '--config', config])).out), { number: 2, destroyed: 1, gone: 0 });
  t.match(JSON.parse((await call(['verify', '--config', config, '--content', content, '--json'])).out), { ok: true, content: { sound: 2, erased: 2, missing: 0, altered: 0 } });
  const sealed = join(content, 'acme/2026-01-02.content');
  const bytes = readFileSync(sealed);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(sealed, bytes);
  t.match(await call(['verify', '--config', config, '--content', content]), { code: 1, out: /ALTERED: 1 texts are not those of their entries, the newest of entry 14\n$/ });
  t.match(await call(['verify', '--config', config, '--content', join(folder, 'none')]), { code: 0, out: /content: 0 texts .* 4 not there/ });
  t.same(JSON.parse((await call(['erase', '--tenant', 'acme', '--before', '2026-01-02', '--json', '--config', config])).out), { number: 3, destroyed: 0, gone: 0 });
  t.match(await call(['erase', '--tenant', 'acme', '--config', config]), { code: 0, out: /2 exchanges are destroyed, 2 were gone before/ });
  t.match(await call(['verify', '--config', config, '--content', content]), { code: 0, out: /0 texts are those of their entries, 4 erased/ });
  t.match(await call(['export', '--kind', 'erasure', '--json', '--config', config]), { out: /"author":"cli[^"]*","destroyed":1,"erasure_id":"[^"]+","gone":0,.*"request_id":"a"/ });
  for (const [args, message] of [[[], /name a tenant/], [['--tenant', 'acme', '--before', 'then'], /a day such as/], [['--tenant', 'acme', '--request', 'a', '--session', 's'], /give one of/], [['--tenant', 'acme', '--request', ''], /nobody's/]] as const) await t.rejects(call(['erase', ...args, '--config', config]), { name: 'UsageError', message });
});

t.test('wrong calls', async (t) => {
  const { config } = await house(t);
  for (const [args, message] of [
    [[], /say what to do: verify, prove/], [['verfy'], /unknown verb "verfy"; did you mean verify\?/], [['prove'], /by its index or its request id/], [['consistency', 'a'], /name two checkpoint files/],
    [['verify', '--key', 'none', '--config', config], /none cannot be read/], [['verify', '--key', config, '--config', config], /--key takes a public key as in .*key\.pub/], [['verify', '--since', config, '--config', config], /holds no checkpoint/],
    [['export', '--since', 'x', '--config', config], /takes a time/], [['export', '--since', '1h', '--until', '2h', '--config', config], /--since is not before --until/], [['verify', 'x'], /unexpected argument/],
  ] as const) await t.rejects(call(args), { name: 'UsageError', message }, args.join(' '));
  writeFileSync(config, 'nonsense: 1\n');
  await t.rejects(call(['verify', '--config', config]), { name: 'ConfigError' });
});
