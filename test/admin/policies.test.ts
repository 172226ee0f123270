/** Stored policies over the API of a running Weir: every route, every refusal, what becomes of traffic and of the audit log. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { diffLines } from '../../src/admin/lines.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { check } from '../../src/cli/check.ts';
import type { CliCommand, Io } from '../../src/cli/command.ts';
import { screen } from '../../src/cli/screen.ts';
import { blocking, freshFolder, openHouse } from '../helpers/house.ts';
import { runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

t.test('from a file to the store, through changes, back, and to the file again', async (t) => {
  const dir = freshFolder(t);
  const files = { 'acme.yaml': blocking('FILEWORD') };
  const house = await openHouse(t, { dir, files });
  t.same([await house.chat('FILEWORD'), await house.chat('Heron')], [400, 200]);
  t.match(await house.api('GET', ''), { status: 200, body: { policies: [{ policy: 'acme', from: 'file', overruled: false, tenants: ['default'] }] } });
  t.match(await house.api('GET', '/acme'), { status: 404, body: { error: { message: /^policy acme is the file .*acme\.yaml; the store has no such revision$/ } } });

  t.match(await house.api('PUT', '/acme?comment=first', blocking('Heron')), { status: 201, body: { policy: 'acme', number: 1, parent: 0, author: 'admin', comment: 'first', retired: false, warnings: [] } });
  t.same([await house.chat('FILEWORD'), await house.chat('Heron')], [200, 400], 'it counts when the answer is there, and the file does not');
  t.match(await house.api('PUT', '/acme', blocking('Osprey')), { status: 409, body: { current: 1, error: { code: 'revision_conflict', message: /send \?parent=1$/ } } });
  t.match(await house.api('PUT', '/acme?parent=1', blocking('Osprey')), { status: 200, body: { number: 2, parent: 1 } });
  t.same([await house.chat('Heron'), await house.chat('Osprey')], [200, 400]);

  t.match(await house.api('GET', '/acme'), { status: 200, body: { number: 2, source: blocking('Osprey') } });
  t.match(await house.api('GET', '/acme?revision=1'), { status: 200, body: { number: 1, source: blocking('Heron') } });
  t.equal((await house.api('GET', '/acme?revision=9')).status, 404);
  t.match(await house.api('GET', '/acme/diff?from=1&to=2'), { body: { from: 1, to: 2, added: 1, removed: 1, diff: /^-.*Heron.*\n\+.*Osprey/m } });
  t.match(await house.api('GET', '/acme/diff'), { body: { from: 1, to: 2 } }, 'by default what the newest changed');
  t.match(await house.api('GET', '/acme/diff?to=1'), { body: { from: 0, to: 1, removed: 0 } });
  t.match(await house.api('GET', '/acme/diff?from=2&to=2'), { body: { added: 0, removed: 0 } }, 'with itself it is empty');
  t.equal((await house.api('GET', '/acme/diff?from=7&to=2')).status, 404);

  t.match(await house.api('POST', '/acme/rollback?revision=1'), { status: 200, body: { number: 3, parent: 2, comment: 'back to revision 1' } });
  t.same([await house.chat('Heron'), await house.chat('Osprey')], [400, 200]);
  t.equal((await house.api('POST', '/acme/rollback')).status, 400);
  t.equal((await house.api('POST', '/acme/rollback?revision=8')).status, 404);
  t.equal((await house.api('POST', '/acme/rollback?revision=1&parent=2')).status, 409);

  t.match(await house.api('DELETE', '/acme'), { status: 200, body: { number: 4, retired: true } });
  t.same([await house.chat('FILEWORD'), await house.chat('Heron')], [400, 200], 'the file counts again');
  t.equal((await house.api('DELETE', '/acme')).status, 404, 'once');
  t.equal((await house.api('POST', '/acme/rollback?revision=4')).status, 422, 'a retirement is nothing to go back to');
  t.same((await house.api('GET', '/acme/history')).body.revisions.map(({ number, retired }: { number: number; retired: boolean }) => [number, retired]), [[4, true], [3, false], [2, false], [1, false]]);
  t.same((await house.api('GET', '/acme/history?limit=1&before=3')).body.revisions.map(({ number }: { number: number }) => number), [2]);
  await house.api('POST', '/acme/rollback?revision=2');
  await house.app.close();

  const folder = join(dir, 'data/audit');
  const bytes = readFileSync(join(folder, readdirSync(folder).find((name) => name.endsWith('.jsonl'))!));
  t.match(verifyLog([{ name: '0', bytes }]), { damage: undefined });
  const changes = bytes.toString().split('\n').filter((line) => line.includes('"kind":"policy_change"')).map((line) => JSON.parse(line) as Record<string, unknown>);
  t.same(changes.map(({ change, revision, author, policy_id: id }) => [change, revision, author, id]), [['put', 1, 'admin', 'acme'], ['put', 2, 'admin', 'acme'], ['rollback', 3, 'admin', 'acme'], ['retire', 4, 'admin', 'acme'], ['rollback', 5, 'admin', 'acme']]);
  t.equal(changes[0]!.sha256, changes[2]!.sha256);
  t.notMatch(bytes.toString(), /Heron|Osprey/, 'no text');

  const again = await openHouse(t, { dir, files });
  t.same([await again.chat('FILEWORD'), await again.chat('Osprey')], [200, 400], 'kept over a restart');
  t.match(await again.metrics(), /weir_config_info/);
});

t.test('what is no policy is refused with its places, and changes nothing', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') } });
  const refusals: readonly (readonly [text: string, type: string, issue: object])[] = [
    [blocking('x').replace('action: block', 'action: blok'), 'application/yaml', { line: 5, column: /\d+/, path: 'rules[0].action', suggestion: 'did you mean block?' }],
    [blocking('x', 'other'), 'application/yaml', { message: /of policy other, not of acme/ }],
    ['', 'application/yaml', { line: 1 }],
    ['{"policy": "acme", "rules": [}', 'application/json', { line: 1, column: 30 }],
    ['[1]', 'application/json', { path: '[0]' }],
    ['"text"', 'application/json', { line: 1 }],
    ['null', 'application/json', { line: 1 }],
    [blocking('x').replace('literal: [x]', "regex: '(a+'"), 'text/yaml', { severity: 'error' }],
    [blocking('x').replace('literal: [x]', 'literal_file: words.txt'), 'text/yaml', { severity: 'error' }],
    ['[{"rule_id": "r", "condition": {"classifier": "pii", "category": "EMAIL", "operator": "gte", "threshold": 0.5}, "action": "blok", "priority": 1, "direction": "input"}]', 'application/json', { path: '[0].action' }],
    ['[{"rule_id": "r", "tenant_id": "stranger"}]', 'application/json', { path: '[0].tenant_id' }],
  ];
  for (const [text, type, issue] of refusals) {
    const { status, body } = await house.api('PUT', '/acme', text, type);
    t.match([status, body.error?.code], [422, 'invalid_policy'], text.slice(0, 40));
    t.match(body.issues[0], issue, text.slice(0, 40));
  }
  t.same((await house.api('GET', '/acme/history')).body.revisions, []);
  t.equal((await house.api('PUT', '/acme', 'x', 'image/png')).status, 415);
  t.equal((await house.api('PUT', '/acme', `# ${'x'.repeat(8 * 1024 * 1024)}`)).status, 413, 'above the limit');
  t.equal((await house.api('PUT', '/acme', `${blocking('Osprey')}# ${'x'.repeat(8 * 1024 * 1024 - blocking('Osprey').length - 2)}`)).status, 201, 'at the limit');
  t.equal((await house.api('PUT', '/acme?parent=-1', blocking('x'))).status, 400);
  t.equal((await house.api('PUT', '/acme?parent=one', blocking('x'))).status, 400);
  t.equal((await house.api('PUT', `/acme?comment=${'x'.repeat(1001)}`, blocking('x'))).status, 400);
  t.equal((await house.api('GET', '/..%2fetc')).status, 400);
  for (const method of ['GET', 'PUT', 'DELETE']) t.match(await house.api(method, '/acme', method === 'PUT' ? blocking('x') : undefined, 'application/yaml', 'weir_admin_wrong'), { status: 401, body: { error: { code: 'unauthorized' } } });
});

t.test('rules as the API has them become a policy of the same tree', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') } });
  const rule = { rule_id: 'mail', tenant_id: 'default', name: 'no mail', direction: 'input', condition: { classifier: 'pii', category: 'EMAIL', operator: 'gte', threshold: 0.5 }, action: 'block', priority: 1, enabled: true };
  t.match(await house.api('PUT', '/acme', JSON.stringify([rule]), 'application/json'), { status: 201 });
  t.same([await house.chat('write to ana@example.com'), await house.chat('Heron')], [400, 200]);
  t.match(await house.api('PUT', '/acme?parent=1', JSON.stringify({ description: 'flat', message: 'no', rules: [{ ...rule, action: 'replace' }] }), 'application/json'), { status: 200 });
  t.match(await house.api('PUT', '/acme?parent=2', JSON.stringify({ policy: 'acme', rules: [] }), 'application/json'), { status: 200 }, 'a tree as JSON');
  t.match((await house.api('GET', '/acme?revision=2')).body.source, /"policy": "acme"[\s\S]*"id": "mail"/);
});

t.test('a policy that nobody is under, one that would leave tenants without, and a tenant that stays where it is', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: { 'acme.yaml': blocking('Heron') } });
  t.equal((await house.api('PUT', '/other', blocking('x', 'other'))).status, 201);
  t.equal((await house.api('DELETE', '/other')).status, 200);
  await house.api('PUT', '/acme', blocking('Osprey'));
  await house.api('PUT', '/acme?parent=1', blocking('Egret'));
  await house.app.close();
  const tenants = [{ id: 'stays', policy: 'acme', policy_revision: 1, upstream: 'local' }];
  const pinned = await openHouse(t, { dir, config: { tenants }, files: { 'acme.yaml': blocking('Heron') } });
  t.same([await pinned.chat('Osprey'), await pinned.chat('Egret')], [400, 200]);
  await pinned.api('PUT', '/acme?parent=2', blocking('Plover'));
  t.same([await pinned.chat('Osprey'), await pinned.chat('Plover')], [400, 200]);
  await pinned.app.close();
  await t.rejects(openHouse(t, { dir, config: { tenants: [{ ...tenants[0], policy_revision: 9 }] } }), { message: /no policy acme@9/ });
});

t.test('a store alone, without a file', async (t) => {
  const dir = freshFolder(t);
  await t.rejects(openHouse(t, { dir }), { message: /no policy acme/ }, 'a tenant without a policy does not start');
  const first = await openHouse(t, { dir, files: { 'other.yaml': blocking('x', 'other') }, config: { tenants: [{ id: 'default', policy: 'other', upstream: 'local' }] } });
  await first.api('PUT', '/acme', blocking('Heron'));
  await first.app.close();
  const house = await openHouse(t, { dir });
  t.equal(await house.chat('Heron'), 400);
  t.match(await house.api('DELETE', '/acme'), { status: 409, body: { error: { code: 'policy_in_use' } } });
  t.equal(await house.chat('Heron'), 400);
});

t.test('commands read the store too, and weir check says which policies are from there', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: { 'acme.yaml': blocking('Fileword') } });
  await house.api('PUT', '/acme', blocking('Heron'));
  const run = async (command: CliCommand, ...args: string[]): Promise<{ code: number; out: string }> => {
    let out = '';
    const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (out += text), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
    return { code: await command.run(args, io), out };
  };
  const file = join(dir, 'weir.yaml');
  t.match(await run(check, file), { code: 0, out: /^policy acme: revision 1 of the store counts, in place of .*acme\.yaml$/m }, 'while it is open');
  await house.app.close();
  rmSync(join(dir, 'policies/acme.yaml'));
  t.match(await run(check, file), { code: 0, out: /^policy acme: revision 1 of the store counts$/m });
  t.match(await run(screen, '--config', file, '--direction', 'input', 'a Heron'), { out: /block[^]*acme@1/ });
  rmSync(join(dir, 'data/weir.db'));
  t.match(await run(check, file), { code: 1, out: /no policy acme/ });
  writeFileSync(file, readFileSync(file, 'utf8').replace('{', '{"store":{"url":"postgres://postgres@127.0.0.1:9/none"},'));
  t.match(await run(check, file), { code: 0, out: /warning the store that may hold policy acme does not answer/ });
});

t.test('the difference of two texts leads from one to the other, and is empty for the same', async (t) => {
  const text = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 12 }).map((lines) => lines.map((line) => `${line}\n`).join(''));
  fc.assert(fc.property(text, text, (before, after) => {
    const lines = diffLines(before, after);
    const side = (drop: string): string => lines.filter(({ change }) => change !== drop).map(({ line }) => `${line}\n`).join('');
    return side('+') === before && side('-') === after && (before !== after || lines.every(({ change }) => change === ' '));
  }), { numRuns: runs(500), seed });
  const [long, other] = [Array.from({ length: 3000 }, (_, i) => `${i}`).join('\n'), Array.from({ length: 3000 }, (_, i) => `x${i}`).join('\n')];
  t.same([diffLines(long, other).length, diffLines('', 'a').length], [6000, 1]);
});
