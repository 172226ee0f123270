/**
 * Erasures of a fleet over real stores, real vaults and real logs: each process carries out each once, in order, whoever
 * asked and whoever was away; through the store, or through what it ships; and nothing of another tenant.
 */
import { cpSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Collector } from '../src/audit/collector.ts';
import { readFleetErasure } from '../src/audit/erasure.ts';
import { openAuditLog, type AuditLog } from '../src/audit/log.ts';
import { NEWS_MAX, readBatch, readNews, type ErasureClaim, type ErasureNews } from '../src/audit/shipment.ts';
import { ContentVault, type ReadContent } from '../src/audit/vault.ts';
import { CHANNELS, type HealthChanged } from '../src/contract/channels.ts';
import { Erasing, GONE_AFTER_MS } from '../src/erasing.ts';
import { SqlErasureStore } from '../src/store/erasures.ts';
import type { StoreDatabase } from '../src/store/sql.ts';
import { linesOf, logFolder, logOptions } from './helpers/audit.ts';
import { until } from './helpers/house.ts';
import { runs } from './helpers/runs.ts';
import { shipAll } from './helpers/shipping.ts';
import { STORE_DRIVERS } from './helpers/stores.ts';

t.setTimeout(300_000);

const DAY = '2030-01-02';
const place = (tenantId: string, requestId: string) => ({ tenantId, requestId, startedAt: `${DAY}T00:00:00.000Z` });

/** One process with its content and its log; the database is what it shares with others, and may be absent. */
class Member {
  readonly home: string;
  readonly origin: string;
  log!: AuditLog;
  vault!: ContentVault;
  erasing!: Erasing;
  readonly #database: (() => StoreDatabase) | undefined;
  #opened: StoreDatabase | undefined;
  collector: Collector | undefined;
  isBroken = false;
  /** Where its clock stands; absent: it runs. */
  at: number | undefined;

  constructor(t: Test, origin: string, database: (() => StoreDatabase) | undefined) {
    [this.home, this.origin, this.#database] = [join(logFolder(t), '..'), origin, database];
    t.teardown(() => this.stop());
  }

  get content(): string {
    return join(this.home, 'content');
  }

  async start(): Promise<this> {
    this.#stopped = false;
    this.log = await openAuditLog(logOptions(join(this.home, 'audit'), { origin: this.origin }));
    const audit = async (record: Parameters<AuditLog['append']>[0]): Promise<number> => {
      if (this.isBroken) throw new Error('the disk is gone');
      const done = this.log.append(record, 'strict');
      const { index } = this.log.head();
      await done;
      return index;
    };
    this.vault = new ContentVault({ dir: this.content, keyFile: join(this.home, 'keys/content.key'), clock: Date.now, audit });
    this.collector = new Collector({ dir: join(this.home, 'origins'), audit: (record) => this.log.append(record, 'strict'), clock: Date.now });
    this.#opened = this.#database?.();
    this.erasing = new Erasing({ vault: this.vault, dir: this.content, origin: this.origin, keeps: () => true, store: this.#opened && new SqlErasureStore(this.#opened), copied: async (log, before) => this.collector!.entries(log, { before }), record: async (record) => void (await audit(record)), now: () => new Date(this.at ?? Date.now()), lookMs: 3_600_000 });
    await this.erasing.start();
    return this;
  }

  #stopped = false;

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.erasing?.close();
    await this.collector?.close();
    await this.vault?.close();
    await this.log?.close();
    await this.#opened?.close();
  }

  keep(tenantId: string, requestId: string, sessionId?: string): void {
    this.vault.put({ ...place(tenantId, requestId), sessionId, texts: { input: { texts: [{ place: 'p', text: `made up ${requestId}` }], cut: 0 } } });
  }

  async state(tenantId: string, requestId: string): Promise<ReadContent['state']> {
    return (await this.vault.read(place(tenantId, requestId), 'input')).state;
  }

  /** What its log says was carried out, by author. */
  get carriedOut(): readonly string[] {
    return linesOf(join(this.home, 'audit')).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'erasure').map(({ author, tenant_id, destroyed }) => `${author} ${tenant_id} ${destroyed}`);
  }

  /** One answer of `to` to what it ships, with all entries before it. */
  async ship(to: Member): Promise<ErasureNews | undefined> {
    await this.log.flush();
    // A checkpoint has to cover them.
    await until(() => this.log.checkpoint().split('\n')[1] === String(this.log.head().index + 1), 'a checkpoint');
    const claim = await this.erasing.claim();
    await shipAll(join(this.home, 'audit'), this.log.head().index + 1, { collector: to.collector!, records: [] }, this.log.checkpoint().split('\n')[0]!);
    const news = await to.erasing.answer(this.log.checkpoint().split('\n')[0]!, claim, this.log.head().index + 1);
    const read = readNews(JSON.parse(JSON.stringify({ erasures: news })));
    if (read !== undefined) this.erasing.told(claim!, read);
    return read;
  }
}

const originsOf = async (member: Member, tenant: string): Promise<readonly { number: number; confirmed: readonly string[]; waiting: readonly string[] }[]> =>
  (await member.erasing.list(tenant))!.map(({ number, confirmed, waiting }) => ({ number, confirmed: confirmed.map(({ origin }) => origin), waiting: waiting.map(({ origin }) => origin) }));

for (const { name, skip, place: placeOf } of STORE_DRIVERS.filter(({ lasts }) => lasts)) {
  t.test(`${name}: asked for anywhere, carried out everywhere`, { skip }, async (t) => {
    const { database } = await placeOf(t);
    const [a, b, c] = await Promise.all(['eu/a', 'eu/b', 'eu/c'].map((origin) => new Member(t, origin, database).start())) as [Member, Member, Member];
    for (const [i, one] of [a, b, c].entries()) {
      one.keep('acme', `r${i}`, 'session-1');
      one.keep('acme', `other${i}`, 'session-2');
      one.keep('bravo', `b${i}`, 'session-1');
    }
    t.same(await a.erasing.erase({ tenantId: 'acme', sessionId: 'session-1' }, 'ana'), { number: 1, destroyed: 1, gone: 0 });
    t.same(await originsOf(a, 'acme'), [{ number: 1, confirmed: ['eu/a'], waiting: ['eu/b', 'eu/c'] }]);
    t.same(await a.erasing.list('bravo'), [], 'nothing of another tenant is told');
    await b.erasing.current();
    t.same([await b.state('acme', 'r1'), await b.state('acme', 'other1'), await b.state('bravo', 'b1')], ['erased', 'there', 'there']);
    await c.stop();
    await b.erasing.erase({ tenantId: 'acme', requestId: 'other0' }, 'bob');
    await b.erasing.erase({ tenantId: 'bravo' }, 'bob');
    await a.erasing.current();
    t.same([await a.state('acme', 'other0'), await a.state('bravo', 'b0'), await b.state('acme', 'other1')], ['erased', 'erased', 'there']);
    await c.start();
    t.same([await c.state('acme', 'r2'), await c.state('acme', 'other2'), await c.state('bravo', 'b2')], ['erased', 'there', 'erased'], 'who was away carries it out at the start');
    t.same(c.carriedOut, ['ana acme 1', 'bob acme 0', 'bob bravo 1'], 'each an entry of its own');
    t.same(await originsOf(c, 'acme'), [2, 1].map((number) => ({ number, confirmed: ['eu/a', 'eu/b', 'eu/c'], waiting: [] })));
    const entries = a.carriedOut.length;
    for (let i = 0; i < 3; i++) await a.erasing.current();
    await a.stop();
    await a.start();
    t.equal(a.carriedOut.length, entries, 'nothing is carried out twice');
    a.keep('bravo', 'later');
    await a.erasing.current();
    t.equal(await a.state('bravo', 'later'), 'there', 'what was kept afterwards stays');
  });

  t.test(`${name}: who joins, who is put back from a copy, and another store`, { skip }, async (t) => {
    const { database } = await placeOf(t);
    const a = await new Member(t, 'eu/a', database).start();
    a.keep('acme', 'old');
    await a.vault.flush();
    await a.stop();
    cpSync(a.content, join(a.home, 'snapshot'), { recursive: true });
    await a.start();
    t.match(await a.erasing.erase({ tenantId: 'acme' }, 'ana'), { destroyed: 1 });
    const fresh = await new Member(t, 'eu/new', database).start();
    t.same(fresh.carriedOut, [], 'who keeps nothing yet has nothing to erase');
    t.same(await originsOf(fresh, 'acme'), [{ number: 1, confirmed: ['eu/a'], waiting: [] }], 'and nobody waits for it');
    const former = new Member(t, 'eu/former', database);
    cpSync(join(a.home, 'snapshot'), former.content, { recursive: true });
    rmSync(join(former.content, '.erasures.json'), { force: true });
    cpSync(join(a.home, 'keys'), join(former.home, 'keys'), { recursive: true });
    rmSync(join(former.home, 'keys/audit.key'));
    await former.start();
    t.equal(await former.state('acme', 'old'), 'erased', 'who has content and heard of none carries out all');

    await a.stop();
    rmSync(a.content, { recursive: true });
    cpSync(join(a.home, 'snapshot'), a.content, { recursive: true });
    await a.start();
    t.equal(await a.state('acme', 'old'), 'erased', 'content that was put back is erased again');

    await a.stop();
    const other = (await placeOf(t)).database;
    const b = await new Member(t, 'us/b', other).start();
    b.keep('acme', 'x');
    await b.erasing.erase({ tenantId: 'acme', requestId: 'x' }, 'bob');
    const moved = new Member(t, 'eu/moved', other);
    cpSync(a.home, moved.home, { recursive: true });
    rmSync(join(moved.home, 'audit'), { recursive: true });
    rmSync(join(moved.home, 'keys/audit.key'));
    await moved.start();
    t.same(moved.carriedOut, ['bob acme 0'], 'the numbers of another store are others');
    writeFileSync(join(moved.content, '.erasures.json'), '{');
    await moved.stop();
    await moved.start();
    t.equal(moved.carriedOut.length, 2, 'a state that cannot be read counts as none');
  });

  t.test(`${name}: many at once get numbers without gaps, and each is carried out once by each`, { skip }, async (t) => {
    const { database } = await placeOf(t);
    const members = await Promise.all(['eu/a', 'eu/b'].map((origin) => new Member(t, origin, database).start()));
    for (const member of members) for (let i = 0; i < 12; i++) member.keep('acme', `r${i}`);
    const numbers = await Promise.all(Array.from({ length: 12 }, (_, i) => members[i % 2]!.erasing.erase({ tenantId: 'acme', requestId: `r${i}` }, 'ana').then(({ number }) => number!)));
    t.same(numbers.sort((x, y) => x - y), Array.from({ length: 12 }, (_, i) => i + 1));
    for (const member of members) {
      await member.erasing.current();
      t.equal(member.carriedOut.length, 12);
      for (let i = 0; i < 12; i++) t.equal(await member.state('acme', `r${i}`), 'erased');
    }
  });

  t.test(`${name}: through what is shipped, and only on the word of the log itself`, { skip }, async (t) => {
    const { database } = await placeOf(t);
    const control = await new Member(t, 'hub/one', database).start();
    const side = await new Member(t, 'eu/side', undefined).start();
    side.keep('acme', 'r1', 's1');
    side.keep('bravo', 'r2', 's1');
    await control.erasing.current();
    t.same(await side.ship(control), { claimed: null, from: 0, id: '', erasures: [] }, 'it is heard of');
    await until(async () => (await side.erasing.claim())?.number === 0, 'its place');
    await control.erasing.erase({ tenantId: 'acme', sessionId: 's1' }, 'ana');
    t.same(await originsOf(control, 'acme'), [{ number: 1, confirmed: ['hub/one'], waiting: ['eu/side'] }]);
    const first = await side.ship(control);
    t.match(first, { from: 0, erasures: [{ number: 1, tenant_id: 'acme', author: 'ana' }] });
    t.notMatch(JSON.stringify(first), /"s1"[^}]*"digest":"s1"/);
    await until(async () => (await side.erasing.claim())?.number === 1, 'it is carried out');
    t.same([await side.state('acme', 'r1'), await side.state('bravo', 'r2')], ['erased', 'there']);
    const claim = (await side.erasing.claim())!;
    t.match(claim, { number: 1, entry: side.log.head().index });

    // What is claimed without the entry in the copy counts nothing.
    const entries = side.log.head().index + 1;
    for (const lie of [claim, { ...claim, entry: undefined }, { ...claim, entry: 0 }]) {
      await control.erasing.answer('eu/side', lie as ErasureClaim, entries);
      t.same((await originsOf(control, 'acme'))[0]!.waiting, ['eu/side']);
    }
    t.equal(await side.ship(control), undefined, 'nothing more to do');
    t.same(await originsOf(control, 'acme'), [{ number: 1, confirmed: ['hub/one', 'eu/side'].sort(), waiting: [] }]);

    // An answer that comes again changes nothing.
    const before = side.carriedOut.length;
    side.erasing.told({ kept: true, number: 0, id: '' }, first!);
    side.erasing.told(claim, first!);
    side.erasing.told({ kept: false }, { claimed: null, from: 0, id: '', erasures: first!.erasures });
    side.keep('acme', 'r3', 's1');
    await side.erasing.close();
    t.equal(side.carriedOut.length, before, 'a replay');
    t.equal(await side.state('acme', 'r3'), 'there');
  });

  t.test(`${name}: a process that is gone is waited for no more, and carries out what it missed when it comes back`, { skip }, async (t) => {
    const { database } = await placeOf(t);
    const [here, there] = [await new Member(t, 'eu/here', database).start(), await new Member(t, 'eu/there', database).start()];
    there.keep('acme', 'r1');
    await there.vault.flush();
    await there.stop();
    await here.erasing.erase({ tenantId: 'acme' }, 'admin');
    const [{ waiting: [gone] }] = (await here.erasing.list('acme')) as unknown as [{ waiting: [{ keeper: string; seen_at: string }] }];
    here.at = Date.parse(gone.seen_at) + GONE_AFTER_MS - 1;
    t.equal(await here.erasing.part(gone.keeper, 'its disk is gone', 'admin'), 'alive', 'it was seen lately');
    t.equal(await here.erasing.part('log of/nobody', 'x', 'admin'), 'unknown');
    here.at += 1;
    const own = (await here.erasing.list('acme'))![0]!.confirmed[0]!;
    t.equal(await here.erasing.part(own.keeper, 'x', 'admin'), 'alive', 'nobody says so of themselves');
    t.equal(await here.erasing.part(gone.keeper, 'its disk is gone', 'admin'), 'gone');
    t.equal(await here.erasing.part(gone.keeper, 'its disk is gone', 'admin'), 'gone', 'and once more');
    t.match(await here.erasing.list('acme'), [{ confirmed: [{ origin: 'eu/here' }], waiting: [], gone: [{ origin: 'eu/there' }] }]);
    const told = linesOf(join(here.home, 'audit')).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'keeper_gone');
    t.match(told, [{ author: 'admin', log: 'eu/there', waiting: 1, reason: 'its disk is gone' }], 'one entry');
    here.isBroken = true;
    await there.start();
    t.match(await here.erasing.list('acme'), [{ confirmed: [{ origin: 'eu/here' }, { origin: 'eu/there' }], waiting: [], gone: [] }], 'it was there after all');
    t.equal(await there.state('acme', 'r1'), 'erased');
  });

  t.test(`${name}: more than one answer holds, and a sidecar that is away`, { skip }, async (t) => {
    const { database } = await placeOf(t);
    const control = await new Member(t, 'hub/one', database).start();
    const side = await new Member(t, 'eu/side', undefined).start();
    const count = NEWS_MAX + 5;
    for (let i = 0; i < count; i++) side.keep('acme', `r${i}`);
    await control.erasing.current();
    await side.ship(control);
    await side.stop();
    for (let i = 0; i < count; i++) await control.erasing.erase({ tenantId: 'acme', requestId: `r${i}` }, 'ana');
    await side.start();
    t.equal((await side.ship(control))!.erasures.length, NEWS_MAX);
    await until(async () => (await side.erasing.claim())?.number === NEWS_MAX, 'the first');
    t.equal((await side.ship(control))!.erasures.length, 5);
    await until(async () => (await side.erasing.claim())?.number === count, 'the rest');
    t.equal(await side.state('acme', `r${count - 1}`), 'erased');
    await side.ship(control);
    t.ok((await originsOf(control, 'acme')).every(({ waiting }) => waiting.length === 0));
  });
}

t.test('what cannot be erased now is tried again, told, and holds content back', async (t) => {
  const { database } = await STORE_DRIVERS.find(({ name }) => name === 'sqlite')!.place(t);
  const [a, b] = await Promise.all(['eu/a', 'eu/b'].map((origin) => new Member(t, origin, database).start())) as [Member, Member];
  b.keep('acme', 'r');
  const health: HealthChanged[] = [];
  const onHealth = (message: unknown): void => void health.push(message as HealthChanged);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(onHealth));
  await a.erasing.erase({ tenantId: 'acme' }, 'ana');
  b.isBroken = true;
  await t.rejects(b.erasing.current(), { message: 'the disk is gone' }, 'nobody is shown content meanwhile');
  t.match(health, [{ part: 'erasures', healthy: false, detail: /are not carried out now \(Error\)/ }]);
  t.same(await originsOf(a, 'acme'), [{ number: 1, confirmed: ['eu/a'], waiting: ['eu/b'] }]);
  b.isBroken = false;
  await b.erasing.current();
  t.same(await originsOf(a, 'acme'), [{ number: 1, confirmed: ['eu/a', 'eu/b'], waiting: [] }]);
});

t.test('without a store, or content, it is done here alone, and leaves nothing behind', async (t) => {
  const alone = await new Member(t, 'eu/a', undefined).start();
  alone.keep('acme', 'r');
  t.same(await alone.erasing.erase({ tenantId: 'acme' }, 'ana'), { destroyed: 1, gone: 0 });
  t.equal(await alone.erasing.list('acme'), undefined);
  const { database } = await STORE_DRIVERS.find(({ name }) => name === 'sqlite')!.place(t);
  const home = join(logFolder(t), '..');
  const opened = database!();
  const entries: unknown[] = [];
  const vault = new ContentVault({ dir: join(home, 'content'), keyFile: join(home, 'k'), clock: Date.now, audit: async (record) => void entries.push(record) });
  const empty = new Erasing({ vault, dir: join(home, 'content'), origin: 'eu/empty', keeps: () => false, store: new SqlErasureStore(opened) });
  await empty.start();
  t.match(await empty.erase({ tenantId: 'acme' }, 'ana'), { number: 1, destroyed: 0 });
  t.match(entries, [{ kind: 'erasure', author: 'ana' }], 'who asked is recorded all the same');
  t.equal(await empty.claim(), undefined);
  t.same((await empty.list('acme'))![0], { ...(await empty.list('acme'))![0], confirmed: [], waiting: [] });
  t.notOk(existsSync(join(home, 'content')));
  await empty.close();
});

t.test('what another process says is read strictly', async (t) => {
  const good = { number: 1, erasure_id: 'e', tenant_id: 'acme', before: null, request: null, session: { digest: 'a'.repeat(32), name: 's' }, author: 'ana' };
  t.same(readFleetErasure(good), good);
  const bad = [{ number: 0 }, { number: 1.5 }, { tenant_id: '' }, { tenant_id: '../acme' }, { tenant_id: 'a'.repeat(65) }, { before: '2030-02-30' }, { session: { digest: 'a', name: 's' } }, { session: 's' }, { author: '' }, { erasure_id: 'e'.repeat(257) }, { before: '2030-02-03' }, { request: { digest: 'a'.repeat(32), name: 'r' } }];
  for (const change of bad) t.equal(readFleetErasure({ ...good, ...change }), undefined, JSON.stringify(change));
  t.ok(readFleetErasure({ ...good, erasure_id: 'e'.repeat(256), tenant_id: 'a'.repeat(64) }), 'just within');
  const news = (count: number) => readNews({ erasures: { from: 0, id: '', erasures: Array.from({ length: count }, () => good) } });
  t.ok(news(NEWS_MAX));
  t.equal(news(NEWS_MAX + 1), undefined);
  t.equal(readNews({ erasures: { from: 0, id: '', erasures: [good, {}] } }), undefined, 'all or none');
  const batch = { size: 1, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] };
  t.match(readBatch({ ...batch, erased: { kept: true, number: 2, id: 'e', entry: 3 } }), { erased: { kept: true, number: 2, id: 'e', entry: 3 } });
  for (const erased of [1, {}, { kept: 1 }, { kept: true, number: -1 }, { kept: true, number: 1, id: 2 }, { kept: true, entry: 'x' }]) t.equal(readBatch({ ...batch, erased }), undefined, JSON.stringify(erased));
  fc.assert(fc.property(fc.anything(), (value) => {
    const read = readFleetErasure(value);
    return read === undefined || /^[A-Za-z0-9]/.test(read.tenant_id);
  }), { numRuns: 500 });
});

t.test('whatever happens in whatever order: in the end all is erased that was asked for, everywhere, and nothing of others', async (t) => {
  const { place: placeOf } = STORE_DRIVERS.find(({ name }) => name === 'sqlite')!;
  const step = fc.oneof(
    fc.record({ do: fc.constant('keep' as const), at: fc.nat(2), tenant: fc.constantFrom('acme', 'bravo'), session: fc.constantFrom('s1', 's2') }),
    fc.record({ do: fc.constant('erase' as const), at: fc.nat(1), tenant: fc.constantFrom('acme', 'bravo'), session: fc.constantFrom('s1', 's2', undefined) }),
    fc.record({ do: fc.constantFrom('look' as const, 'restart' as const), at: fc.nat(2) }),
  );
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
    const { database } = await placeOf(t);
    const members = [await new Member(t, 'hub/one', database).start(), await new Member(t, 'eu/b', database).start(), await new Member(t, 'eu/side', undefined).start()];
    /** When what was kept where, and what was asked for when. */
    const kept: { readonly at: number; readonly tenant: string; readonly session: string; readonly id: string; readonly when: number }[] = [];
    const asked: { readonly tenant: string; readonly session: string | undefined; readonly when: number }[] = [];
    const look = async (at: number): Promise<void> => {
      if (at < 2) return members[at]!.erasing.current();
      await members[0]!.erasing.current();
      await members[2]!.ship(members[0]!);
    };
    for (const member of members) member.keep('acme', 'first', 'none');
    await look(2);
    for (const [when, one] of steps.entries()) {
      if (one.do === 'keep') {
        kept.push({ ...one, id: `r${when}`, when });
        members[one.at]!.keep(one.tenant, `r${when}`, one.session);
      } else if (one.do === 'erase') {
        asked.push({ ...one, when });
        await members[one.at]!.erasing.erase({ tenantId: one.tenant, sessionId: one.session }, 'ana');
      } else if (one.do === 'look') await look(one.at);
      else {
        await members[one.at]!.stop();
        await members[one.at]!.start();
      }
    }
    await until(async () => {
      for (const at of [0, 1, 2]) await look(at);
      const standing = [...(await members[0]!.erasing.list('acme'))!, ...(await members[0]!.erasing.list('bravo'))!];
      return standing.every(({ waiting }) => waiting.length === 0);
    }, 'all is confirmed');
    let isRight = true;
    for (const { at, tenant, session, id, when } of kept) {
      const found = await members[at]!.state(tenant, id);
      const fitting = asked.filter((one) => one.tenant === tenant && (one.session === undefined || one.session === session));
      if (fitting.some((one) => one.when > when)) isRight &&= found === 'erased';
      if (fitting.length === 0) isRight &&= found === 'there';
    }
    for (const member of members) await member.stop();
    return isRight;
  }), { numRuns: runs(12) });
  t.pass('all hold');
});

