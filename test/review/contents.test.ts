/**
 * Texts of the review queue in a shared store: what an erasure covers is never read, whatever comes first; a changed byte,
 * or a row in another's place, does not open; a store that fails costs the copy, counted, and nothing else; another master
 * key is a rotation away. Over SQLite and a real Postgres, with real vaults.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { nextMasterFile } from '../../src/audit/content-key.ts';
import { rotateMasterKey } from '../../src/audit/content-rotation.ts';
import { orderOf } from '../../src/audit/erasure.ts';
import { digestOf } from '../../src/audit/sealed-content.ts';
import { ContentVault } from '../../src/audit/vault.ts';
import { CHANNELS, type ContentLost } from '../../src/contract/channels.ts';
import type { SealedCopy } from '../../src/contract/content.ts';
import { COPIES_WAITING_MAX, ReviewContents, textOf, TRIES, type ReviewContentsOptions } from '../../src/review/contents.ts';
import { SqlErasureStore } from '../../src/store/erasures.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { SqlReviewContents, type CopyMark } from '../../src/store/review-contents.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { until } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { freePort } from '../helpers/redis-server.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const DAY = '2030-01-02';
const NONE: CopyMark = { number: 0, id: '' };

interface Place {
  readonly dir: string;
  readonly keyFile: string;
  readonly vault: ContentVault;
}

function open(t: Test, key?: string, dir = mkdtempSync(join(tmpdir(), 'weir-contents-'))): Place {
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const keyFile = join(dir, 'keys/content.key');
  const vault = new ContentVault({ dir: join(dir, 'content'), keyFile, key, clock: () => Date.parse(`${DAY}T12:00:00Z`), audit: async () => {} });
  t.teardown(() => vault.close());
  return { dir, keyFile, vault };
}

function keep({ vault }: Place, requestId: string, { sessionId, input = `asked in ${requestId}`, output }: { readonly sessionId?: string; readonly input?: string; readonly output?: string } = {}): void {
  const texts = (text: string) => ({ texts: [{ place: 'messages[0].content', role: 'user', text }], cut: 0 });
  vault.put({ tenantId: 'acme', requestId, sessionId, startedAt: `${DAY}T03:04:05.000Z`, texts: { input: texts(input), ...(output === undefined ? {} : { output: texts(output) }) } });
}

const item = (requestId: string, direction: 'input' | 'output' = 'input') => ({ review_id: `rev_${requestId}.${direction}`, request_id: requestId, tenant_id: 'acme', direction });
const said = (found: any): string => found.state === 'there' ? found.texts.texts.map(({ text }: any) => text).join('|') : found.state;

function sharing(t: Test, database: StoreDatabase, { vault }: Place, more: Partial<ReviewContentsOptions> = {}): ReviewContents {
  const contents = new ReviewContents({ store: new SqlReviewContents(database), vault, mark: () => NONE, keepDays: () => 30, tryAgainMs: 1, ...more });
  t.teardown(() => contents.close());
  return contents;
}

function losses(t: Test): ContentLost[] {
  const lost: ContentLost[] = [];
  const onLost = (message: unknown): void => void lost.push(message as ContentLost);
  CHANNELS.contentLost.subscribe(onLost);
  t.teardown(() => CHANNELS.contentLost.unsubscribe(onLost));
  return lost;
}

const bare = (session: string, request = 'r'): SealedCopy => ({ day: DAY, request: digestOf(request).toString('hex'), session: digestOf(session).toString('hex'), keyId: 'k', slot: Buffer.from('slot'), sealed: Buffer.from('sealed') });

/** An erasure, asked for and taken out; resolves to its mark. */
async function erase(erasures: SqlErasureStore, scope: { readonly before?: string; readonly requestId?: string; readonly sessionId?: string }, id: string, tenantId = 'acme'): Promise<CopyMark> {
  const order = orderOf({ tenantId, ...scope }, 'ana');
  const number = await erasures.ask({ ...order, erasure_id: id, created_at: `${DAY}T00:00:00.000Z` });
  await erasures.empty({ number, ...order });
  return { number, id };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: what one process copied another reads, as long as it is kept`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const a = open(t);
    await a.vault.prepare();
    const [b, c] = [open(t, readFileSync(a.keyFile, 'utf8').trim()), open(t)];
    const [from, to] = [sharing(t, database, a), sharing(t, database, b)];
    keep(a, 'one', { output: 'answered' });
    from.want(item('one'), `${DAY}T03:04:05.000Z`);
    from.want(item('one', 'output'));
    from.want(item('nothing'));
    await until(async () => said(await to.read(item('one', 'output'))) === 'answered', 'the copy');
    t.equal(said(await textOf(b.vault, to, item('one'))), 'asked in one');
    t.equal(said(await textOf(a.vault, from, item('one'))), 'asked in one');
    t.equal(said(await textOf(b.vault, to, item('nothing'))), 'absent');
    t.match(await textOf(c.vault, sharing(t, database, c), item('one')), { state: 'locked', detail: /is missing; .*audit\.master_key/ }, 'who has no key');
    await c.vault.prepare();
    t.match(await textOf(c.vault, sharing(t, database, c), item('one')), { state: 'locked', detail: /sealed under the master key [0-9a-f]{32}, and this process has [0-9a-f]{32}/ }, 'who has another');

    const store = new SqlReviewContents(database);
    t.equal(await store.dropEnded('2030-02-01', 10), 0, 'on its last day');
    t.equal(await store.dropBefore('acme', DAY, 10), 0);
    t.equal(await store.dropBefore('other', '2031-01-01', 10), 0, 'another tenant’s');
    t.equal(await store.dropEnded('2030-02-02', 1), 1, 'a batch');
    t.equal(await store.dropBefore('acme', '2030-01-03', 10), 1, 'kept for fewer days by now');
    t.equal(said(await to.read(item('one'))), 'absent');
  });

  t.test(`${name}: what was kept while it waited is replaced by what was kept when it closed`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const a = open(t);
    const contents = sharing(t, database, a);
    keep(a, 'one', { input: 'so far', sessionId: 's' });
    contents.want(item('one'));
    await until(async () => said(await contents.read(item('one'))) === 'so far', 'the first');
    keep(a, 'one', { input: 'the whole', sessionId: 's' });
    contents.want(item('one'));
    await until(async () => said(await contents.read(item('one'))) === 'the whole', 'the second');
    const again = open(t, undefined, a.dir);
    t.equal((await again.vault.sealed({ tenantId: 'acme', requestId: 'one' }, 'input')).length, 1, 'found after a restart');
    t.same(await again.vault.sealed({ tenantId: 'other', requestId: 'one' }, 'input'), [], 'not for another tenant');
    await a.vault.erase({ tenantId: 'acme', requestId: 'one' }, 'ana');
    t.same(await a.vault.sealed({ tenantId: 'acme', requestId: 'one' }, 'input'), [], 'nothing of what is erased');
  });

  t.test(`${name}: an erasure that came after the copy was taken covers it, and no other`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const [store, erasures] = [new SqlReviewContents(database), new SqlErasureStore(database)];
    const put = (id: string, mark: CopyMark, copy: SealedCopy, tenantId = 'acme') => store.put({ reviewId: id, tenantId, keepUntil: DAY }, [copy], mark);
    const isThere = async (id: string): Promise<boolean> => (await store.of(id)).some(({ slot, sealed }) => slot.length > 0 && sealed.length > 0);
    const first = await erase(erasures, { sessionId: 's1' }, 'e1');
    for (const [id, session] of [['a', 's1'], ['b', 's2']] as const) await put(id, NONE, bare(session));
    t.same([await isThere('a'), await isThere('b')], [false, true], 'laid after it, taken before it');
    await put('a', first, bare('s1'));
    t.ok(await isThere('a'), 'taken after it');
    await put('c', first, bare('s1'), 'other');
    await erase(erasures, { before: DAY }, 'e2');
    t.ok(await isThere('a'), 'its day is not before that day');
    await erase(erasures, { requestId: 'q' }, 'e3');
    t.ok(await isThere('a'), 'another request');
    const last = await erase(erasures, {}, 'e4');
    t.same([await isThere('a'), await isThere('b'), await isThere('c')], [false, false, true], 'all of a tenant');
    t.equal(await put('a', { ...last, id: 'of another store' }, bare('s1')), false);
    t.equal(await put('a', { number: 99, id: 'e99' }, bare('s1')), false, 'one that is not there');
    t.notOk(await isThere('a'));
    t.equal((await store.of('a')).length, 1, 'that there was something is known');
  });

  t.test(`${name}: erasures and copies in any order: what is covered is not read`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const [store, erasures] = [new SqlReviewContents(database), new SqlErasureStore(database)];
    const marks: CopyMark[] = [NONE];
    const scopes: { readonly sessionId?: string; readonly requestId?: string }[] = [];
    let [round, count] = [0, 0];
    const step = fc.oneof(
      fc.record({ kind: fc.constant('put' as const), who: fc.nat(2), late: fc.nat(3) }),
      fc.record({ kind: fc.constant('erase' as const), who: fc.nat(2), by: fc.constantFrom('session', 'request', 'all'), at: fc.constantFrom('once', 'later') }),
    );
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      round++;
      const taken = new Map<number, number>();
      for (const one of steps) {
        const [session, request] = [`s${one.who}.${round}`, `r${one.who}.${round}`];
        if (one.kind === 'put') {
          const mark = marks[Math.max(0, marks.length - 1 - one.late)]!;
          await store.put({ reviewId: `rev${one.who}.${round}`, tenantId: 'acme', keepUntil: DAY }, [bare(session, request)], mark);
          taken.set(one.who, mark.number);
        } else {
          const scope = one.by === 'session' ? { sessionId: session } : one.by === 'request' ? { requestId: request } : {};
          const order = orderOf({ tenantId: 'acme', ...scope }, 'ana');
          const number = await erasures.ask({ ...order, erasure_id: `e${count++}`, created_at: DAY });
          marks.push({ number, id: `e${count - 1}` });
          scopes.push(scope);
          if (one.at === 'once') await erasures.empty({ number, ...order });
        }
        for (const [who, number] of taken) {
          const isCovered = scopes.slice(number).some(({ sessionId, requestId }) => (sessionId ?? `s${who}.${round}`) === `s${who}.${round}` && (requestId ?? `r${who}.${round}`) === `r${who}.${round}`);
          const [copy] = await store.of(`rev${who}.${round}`);
          if (copy === undefined || (copy.slot.length === 0) !== isCovered) return false;
        }
      }
      return true;
    }), { numRuns: runs(25), seed });
  });
}

t.test('an erasure of more than one batch takes out all of it, and nothing of others', { skip: POSTGRES_MISSING }, async (t) => {
  const database = new PostgresDatabase(await openPostgresSchema(t));
  t.teardown(() => database.close());
  const [store, erasures] = [new SqlReviewContents(database), new SqlErasureStore(database)];
  for (let i = 0; i < 401; i++) await store.put({ reviewId: `rev${i}`, tenantId: i < 400 ? 'acme' : 'other', keepUntil: DAY }, [bare('s')], NONE);
  await erase(erasures, {}, 'e');
  t.same(await database.query(`select tenant_id from review_contents where slot <> '' or sealed <> ''`), [{ tenant_id: 'other' }]);
  t.equal(await store.dropEnded('2030-01-03', 300), 300);
  t.equal(await store.dropEnded('2030-01-03', 300), 101);
});

t.test('copies and erasures at once, by several: nothing covered is left, without anybody sweeping', { skip: POSTGRES_MISSING }, async (t) => {
  const url = await openPostgresSchema(t);
  const databases = Array.from({ length: 3 }, () => new PostgresDatabase(url));
  t.teardown(() => Promise.all(databases.map((database) => database.close())));
  await databases[0]!.query('select 1');
  const random = randomOf(seed);
  let current: CopyMark = NONE;
  let isOver = false;
  const laid: string[] = [];
  const copying = databases.slice(0, 2).map(async (database, who) => {
    const store = new SqlReviewContents(database);
    for (let i = 0; !isOver; i++) {
      const mark = current;
      laid.push(`rev${who}.${i}`);
      await store.put({ reviewId: `rev${who}.${i}`, tenantId: 'acme', keepUntil: DAY }, [bare(`s${i % 4}`)], mark); // nobody erases the fourth
    }
  });
  const erasures = new SqlErasureStore(databases[2]!);
  for (let i = 0; i < runs(60); i++) {
    const mark = await erase(erasures, { sessionId: `s${Math.trunc(random() * 3)}` }, `e${i}`);
    if (random() < 0.5) current = mark;
  }
  isOver = true;
  await Promise.all(copying);
  const [{ left, whole }] = await databases[0]!.query<any>(`select count(*) filter (where exists (select 1 from erasures e where e.number > c.after_erasure and e.session_digest = c.session_digest))::int as left, count(*)::int as whole from review_contents c where slot <> ''`) as [any];
  t.comment(`${laid.length} copies, ${whole} of them are there, seed ${seed}`);
  t.equal(left, 0);
  t.ok(whole > 0);
});

t.test('what is found without a search and what is not is the same', async (t) => {
  const a = open(t);
  keep(a, 'first');
  await a.vault.flush();
  for (let i = 0; i < 4_096; i++) keep(a, `x${i}`);
  await a.vault.flush();
  for (const id of ['first', 'x0', 'x4095']) t.equal(said(await a.vault.open(await a.vault.sealed({ tenantId: 'acme', requestId: id }, 'input'), { tenantId: 'acme', requestId: id }, 'input')), `asked in ${id}`);
  await a.vault.erase({ tenantId: 'acme' }, 'ana');
  keep(a, 'x0', { input: 'asked anew' });
  t.equal(said(await a.vault.open(await a.vault.sealed({ tenantId: 'acme', requestId: 'x0' }, 'input'), { tenantId: 'acme', requestId: 'x0' }, 'input')), 'asked anew', 'its day was destroyed and begun anew');
  t.same(await a.vault.sealed({ tenantId: 'acme', requestId: 'x4095' }, 'input'), []);
});

t.test('a changed byte, or a row in another’s place, does not open', async (t) => {
  const a = open(t);
  for (const id of ['one', 'two']) keep(a, id);
  const of = { tenantId: 'acme', requestId: 'one' };
  const [[one], [two]] = await Promise.all(['one', 'two'].map((requestId) => a.vault.sealed({ tenantId: 'acme', requestId }, 'input'))) as [SealedCopy[], SealedCopy[]];
  t.equal(said(await a.vault.open([one!], of, 'input')), 'asked in one');
  t.equal(said(await a.vault.open([two!], of, 'input')), 'damaged', 'of another exchange');
  t.equal(said(await a.vault.open([{ ...one!, slot: two!.slot }], of, 'input')), 'damaged');
  t.equal(said(await a.vault.open([one!], { ...of, tenantId: 'other' }, 'input')), 'damaged');
  t.equal(said(await a.vault.open([one!], of, 'output')), 'damaged');
  t.equal(said(await a.vault.open([{ ...one!, day: '2030-01-03' }], of, 'input')), 'damaged');
  t.equal(said(await a.vault.open([{ ...one!, sealed: Buffer.alloc(0) }], of, 'input')), 'damaged');
  await fc.assert(fc.asyncProperty(fc.constantFrom('slot' as const, 'sealed' as const), fc.nat(10_000), fc.integer({ min: 1, max: 255 }), async (which, at, flip) => {
    const changed = Buffer.from(one![which]);
    changed[at % changed.length]! ^= flip;
    return said(await a.vault.open([{ ...one!, [which]: changed }], of, 'input')) === 'damaged';
  }), { numRuns: runs(200), seed });
});

t.test('a store that does not answer costs the copy, and it is counted; so is what is more than may wait', { skip: POSTGRES_MISSING }, async (t) => {
  const a = open(t);
  keep(a, 'one');
  const lost = losses(t);
  const dead = new PostgresDatabase(`postgres://postgres@127.0.0.1:${await freePort()}/test`);
  t.teardown(() => dead.close());
  let tries = 0;
  const contents = sharing(t, dead, a, { mark: () => { tries++; return NONE; } });
  contents.want(item('one'));
  await until(() => lost.length === 1, 'the loss');
  t.same([lost, tries], [[{ count: 1, reason: 'copy' }], TRIES]);

  const database = new PostgresDatabase(await openPostgresSchema(t));
  t.teardown(() => database.close());
  const store = new SqlReviewContents(database);
  let mark: CopyMark | undefined;
  const later = sharing(t, database, a, { mark: () => mark, tryAgainMs: 60_000 });
  later.want(item('one'));
  for (let i = 1; i < COPIES_WAITING_MAX; i++) later.want(item(`absent ${i}`));
  t.equal(lost.length, 1, 'as many as may wait');
  later.want(item('beyond'));
  t.equal(lost.length, 2, 'and one more');
  mark = NONE;
  await later.close();
  t.equal(lost.length, 2, 'what waits at the end is copied if it can be');
  t.equal((await store.of('rev_one.input')).length, 1);

  const none = sharing(t, dead, a, { keepDays: () => undefined });
  none.want(item('one'));
  await none.close();
  t.equal(lost.length, 2, 'of a tenant that keeps nothing nothing is copied');
});

t.test('another master key: rows of all processes under the former are under the next, and a store that fails keeps the former', { skip: POSTGRES_MISSING }, async (t) => {
  const url = await openPostgresSchema(t);
  const database = new PostgresDatabase(url);
  t.teardown(() => database.close());
  const store = new SqlReviewContents(database);
  const [a, other] = [open(t), open(t)];
  for (const [place, id] of [[a, 'one'], [a, 'two'], [other, 'theirs']] as const) {
    keep(place, id);
    await store.put({ reviewId: `rev_${id}.input`, tenantId: 'acme', keepUntil: DAY }, await place.vault.sealed({ tenantId: 'acme', requestId: id }, 'input'), NONE);
  }
  await Promise.all([a.vault.close(), other.vault.close()]);
  const placeOf = ({ dir, keyFile }: Place) => ({ dir: join(dir, 'content'), keyFile });
  const dead = new PostgresDatabase(`postgres://postgres@127.0.0.1:${await freePort()}/test`);
  t.teardown(() => dead.close());
  await t.rejects(rotateMasterKey(placeOf(a), 'ana', async () => {}, [new SqlReviewContents(dead)]), { code: 'store_unavailable' });
  const next = readFileSync(nextMasterFile(a.keyFile), 'utf8');
  t.same(await rotateMasterKey(placeOf(a), 'ana', async () => {}, [store]), { rewrapped: 2, damaged: 0 }, 'the slots were rewrapped before');
  const [mine, theirs] = [sharing(t, database, open(t, undefined, a.dir)), sharing(t, database, open(t, undefined, other.dir))];
  for (const id of ['one', 'two']) t.equal(said(await mine.read(item(id))), `asked in ${id}`);
  t.equal(said(await theirs.read(item('theirs'))), 'asked in theirs', 'under a key of its own');
  await t.rejects(theirs.read(item('one')), /sealed under the master key/);

  await store.put({ reviewId: 'rev_bent.input', tenantId: 'acme', keepUntil: DAY }, (await store.of('rev_theirs.input')).map((copy) => ({ ...copy, day: '2030-01-03' })), NONE);
  writeFileSync(nextMasterFile(other.keyFile), next);
  t.same(await rotateMasterKey(placeOf(other), 'ana', async () => {}, [store]), { rewrapped: 2, damaged: 1 }, 'one key for both; what does not open stays as it is');
  const again = sharing(t, database, open(t, undefined, other.dir));
  for (const id of ['one', 'two', 'theirs']) t.equal(said(await again.read(item(id))), `asked in ${id}`);
});
