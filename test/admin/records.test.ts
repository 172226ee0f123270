/**
 * The audit log over the API of a running Weir: pages and filters over several segments, one entry, its proof, which the
 * files and the public key alone confirm, and the reader beneath, which reads from the end block by block.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { newestEntries } from '../../src/audit/entries.ts';
import { proofFault } from '../../src/audit/proof-check.ts';
import { readNoteKeys } from '../../src/audit/checkpoint.ts';
import { segmentName } from '../../src/audit/segments.ts';
import { ask } from '../helpers/admin.ts';
import { blocking, openHouse, until } from '../helpers/house.ts';
import { runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

t.test('entries, newest first, by kind, tenant, author, request and time, page by page', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const { adminUrl, token } = house;
  for (let i = 0; i < 5; i++) await house.chat(i % 2 ? 'Fileword' : 'fine');
  await house.api('PUT', '/acme', blocking('Heron'));
  const list = async (query = ''): Promise<{ entries: Record<string, any>[]; next: number | null }> => {
    const { status, body, text } = await ask(adminUrl, `/api/v1/audit${query}`, { token });
    if (status !== 200) throw new Error(text);
    return body;
  };
  await until(async () => (await list()).entries.filter(({ kind }) => kind === 'exchange').length === 5, 'the entries on disk');
  const all = await list();
  t.same(all.entries.map(({ index }) => index), all.entries.map((_, i) => all.entries.length - 1 - i), 'newest first, without a gap');
  t.equal(all.next, null);
  t.match(all.entries.find(({ kind }) => kind === 'policy_change'), { change: 'put', author: 'admin', policy_id: 'acme' });
  t.notMatch(JSON.stringify(all), /Fileword|Heron|fine/, 'no content');

  const exchanges = await list('?kind=exchange');
  t.equal(exchanges.entries.length, 5);
  const { request_id: id, time } = exchanges.entries[2]!;
  t.same((await list(`?request_id=${id}`)).entries.map(({ request_id: one }) => one), [id]);
  const paths = [`?kind=exchange&request_id=${id}`, `?kind=exchange&request_id=${id}&before=${exchanges.entries[2]!.index}`, `?kind=exchange&request_id=${id}&tenant=nobody`, '?kind=exchange&request_id=none', `?kind=policy_change&request_id=${id}`];
  t.same(await Promise.all(paths.map(async (path) => (await list(path)).entries.map(({ request_id: one }) => one))), [[id], [], [], [], []]);
  t.same((await list('?author=admin')).entries.map(({ kind }) => kind), ['policy_change']);
  t.same((await list('?tenant=nobody')).entries, []);
  t.equal((await list('?tenant=default')).entries.length, 5);
  t.same((await list(`?until=${time}`)).entries.filter((entry) => entry.time >= time), []);
  t.same((await list(`?since=${time}`)).entries.filter((entry) => entry.time < time), []);
  t.equal((await list(`?since=${time}`)).entries.length + (await list(`?until=${time}`)).entries.length, all.entries.length, 'half-open');

  const paged: unknown[] = [];
  for (let before = ''; ;) {
    const page = await list(`?kind=exchange&limit=2${before}`);
    paged.push(...page.entries);
    if (page.next === null) break;
    before = `&before=${page.next}`;
  }
  t.same(paged, exchanges.entries, 'pages are the whole');

  for (const wrong of ['?limit=0', '?limit=1001', '?since=then', '?before=-1', '?kind=', '?knd=exchange']) t.equal((await ask(adminUrl, `/api/v1/audit${wrong}`, { token })).status, 400, wrong);
  t.same((await ask(adminUrl, `/api/v1/audit/${exchanges.entries[0]!.index}`, { token })).body, exchanges.entries[0]);
  for (const [path, status] of [['999', 404], ['-1', 400], ['x', 400], ['1.5', 400], ['1e3', 400]] as const) t.equal((await ask(adminUrl, `/api/v1/audit/${path}`, { token })).status, status, path);
});

t.test('an entry is proved by nothing but the proof and the public key', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  for (let i = 0; i < 6; i++) await house.chat('fine');
  const prove = (index: number) => ask(house.adminUrl, `/api/v1/audit/${index}/proof`, { token: house.token });
  await until(async () => (await prove(5)).status === 200, 'a checkpoint over all');
  const keys = readNoteKeys(readFileSync(join(house.dir, 'data/audit/key.pub'), 'utf8'));
  for (const index of [0, 3, 5]) {
    const { body } = await prove(index);
    t.equal(proofFault(body, keys), undefined, `entry ${index}`);
    t.same(JSON.parse(body.entry), (await ask(house.adminUrl, `/api/v1/audit/${index}`, { token: house.token })).body);
    t.type(proofFault({ ...body, entry: body.entry.replace('fine', 'fime').replace('"allow"', '"block"') }, keys), 'string', 'an altered entry is not');
  }
  t.equal((await prove(999)).status, 404);
  const checkpoint = await ask(house.adminUrl, '/api/v1/audit/checkpoint', { token: house.token });
  t.match([checkpoint.status, checkpoint.headers['content-type'], checkpoint.text], [200, /^text\/plain/, /^weir\/[^\n]+\n\d+\n[A-Za-z0-9+/=]{44}\n\n— /]);
  const answers = await Promise.all(Array.from({ length: 40 }, () => prove(2)));
  t.same([...new Set(answers.map(({ status }) => status))].sort(), [200, 429], 'few wait');
  t.equal((await prove(2)).status, 200, 'and those after them have their turn');
});

t.test('the reader gives every line once, newest first, however the blocks cut them', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-entries-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const line = (index: number, chars: number): string => JSON.stringify({ index, time: '2030-01-01T00:00:00.000Z', origin: 'o', kind: 'x', filler: 'é'.repeat(chars) });
  const lengths = fc.array(fc.oneof({ weight: 5, arbitrary: fc.nat(200) }, { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 300_000 }) }), { minLength: 1, maxLength: 30 });
  await fc.assert(fc.asyncProperty(lengths, fc.nat(30), fc.constantFrom('', '\n', '{"index":1', '\n\n'), fc.option(fc.nat(31), { nil: undefined }), async (chars, cut, end, before) => {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir);
    const at = Math.min(cut, chars.length);
    const lines = chars.map((count, index) => line(index, count));
    const write = (from: number, part: readonly string[], last: string): void => writeFileSync(join(dir, segmentName(from)), part.map((one) => `${one}\n`).join('') + last);
    if (at > 0) write(0, lines.slice(0, at), at === chars.length ? end : '');
    if (at < chars.length) write(at, lines.slice(at), end);
    const found: number[] = [];
    for await (const { index } of newestEntries(dir, { before })) found.push(index);
    t.same(found, lines.map((_, index) => index).reverse().filter((index) => before === undefined || index < before));
  }), { numRuns: runs(40), seed });
  const none: unknown[] = [];
  for await (const entry of newestEntries(join(dir, 'nothing'))) none.push(entry);
  t.same(none, []);
});
