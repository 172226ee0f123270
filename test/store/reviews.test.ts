/**
 * The review queue over SQLite and a real Postgres: what the port promises, by example and as a model in which several
 * people claim, lose, decide and object in any order.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Resolution } from '../../src/contract/review.ts';
import type { Severity } from '../../src/contract/screening.ts';
import { standingOf } from '../../src/review/stage.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { nextStatement, SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

const drivers: readonly { readonly name: string; readonly skip?: string | false; readonly place: (t: Test) => Promise<() => StoreDatabase> }[] = [
  { name: 'sqlite', place: async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-reviews-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    return () => openSqliteDatabase(join(dir, 'weir.db'));
  } },
  { name: 'postgres', skip: POSTGRES_MISSING, place: async (t) => { const url = await openPostgresSchema(t); return () => new PostgresDatabase(url); } },
];

/** `2030-01-01T00:00:00.000Z` and so many seconds. */
const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();
const NOW = at(0);
const SOON = at(60);

function item(id: string, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: ['ünï'], classifier_results: [{ classifier_id: 'pii', category: 'EMAIL', score: 0.5 }],
    action: 'escalate', double_blind: false, created_at: NOW, due_at: SOON, hold_until: null, hold_then: null, ...more,
  };
}

const verdict = (reviewer_id: string, resolution: Resolution, created_at = NOW) => ({ reviewer_id, resolution, categories: ['harassment'], notes: 'seen', created_at });

for (const { name, skip = false, place } of drivers) {
  const opened = async (t: Test): Promise<SqlReviewStore> => {
    const database = (await place(t))();
    t.teardown(() => database.close());
    return new SqlReviewStore(database);
  };

  t.test(`${name}: an item is in the queue once, claimed by one, decided once`, { skip }, async (t) => {
    const store = await opened(t);
    t.equal(await store.add(item('a')), true);
    t.equal(await store.add({ ...item('again'), request_id: 'req a' }), false, 'the same request and direction');
    t.equal(await store.add({ ...item('b', { direction: 'output' }), request_id: 'req a' }), true);
    t.match(await store.item('rev_a'), { ...item('a'), status: 'pending', round: 1, reviewer_id: null, resolution: null });
    t.match(await store.itemOf('req a', 'output'), { review_id: 'rev_b' });
    const claim = await store.claim('rev_a', { id: 'ana' }, NOW, SOON) as Claim;
    t.match(claim, { item: { status: 'in_review', reviewer_id: 'ana', claimed_until: SOON } });
    t.equal(await store.claim('rev_a', { id: 'bob' }, NOW, SOON), 'stale', 'it is hers');
    t.equal(await store.claim('rev_none', { id: 'bob' }, NOW, SOON), 'none');
    t.equal(await store.claim('rev_b', { id: 'bob', tenants: ['other'] }, NOW, SOON), 'none', 'of another tenant there is nothing');
    t.equal(await store.decide('rev_a', claim.fence, verdict('bob', 'allow'), standingOf), 'stale');
    t.match(await store.decide('rev_a', claim.fence, verdict('ana', 'block'), standingOf), { status: 'resolved', resolution: 'block', resolved_at: NOW });
    t.equal(await store.decide('rev_a', claim.fence, verdict('ana', 'allow'), standingOf), 'stale', 'a second click');
    t.same((await store.verdicts('rev_a')).map(({ reviewer_id, resolution, categories, round }) => [reviewer_id, resolution, categories, round]), [['ana', 'block', ['harassment'], 1]]);
    t.equal((await store.verdictsSince(NOW, 10)).length, 1);
    t.same(await store.depth(), { low: 0, medium: 1, high: 0, critical: 0 });
  });

  t.test(`${name}: a claim that ran out is another's, and then its holder is too late`, { skip }, async (t) => {
    const store = await opened(t);
    await store.add(item('a'));
    const ana = await store.claimNext({ id: 'ana' }, NOW, SOON) as Claim;
    t.equal(await store.claimNext({ id: 'bob' }, NOW, SOON), undefined, 'it is hers');
    t.equal(await store.renew('rev_a', 'ana', ana.fence, at(90)), true);
    const bob = await store.claimNext({ id: 'bob' }, at(91), at(200)) as Claim;
    t.equal(bob.item.reviewer_id, 'bob');
    t.equal(await store.renew('rev_a', 'ana', ana.fence, at(300)), false);
    t.equal(await store.giveBack('rev_a', 'ana', ana.fence), false);
    t.equal(await store.decide('rev_a', ana.fence, verdict('ana', 'allow'), standingOf), 'stale');
    t.equal(await store.giveBack('rev_a', 'ana', bob.fence), false, 'of another');
    t.equal(await store.giveBack('rev_a', 'bob', bob.fence), true);
    t.match(await store.item('rev_a'), { status: 'pending', reviewer_id: null });
    const late = await store.claimNext({ id: 'bob' }, at(300), at(301)) as Claim;
    t.match(await store.decide('rev_a', late.fence, verdict('bob', 'allow', at(400)), standingOf), { resolution: 'allow' }, 'late, and nobody else has come');
  });

  t.test(`${name}: the most urgent first, and of several people each another one`, { skip }, async (t) => {
    const store = await opened(t);
    const order: readonly (readonly [string, Severity, number])[] = [['d', 'low', 1], ['b', 'high', 9], ['c', 'medium', 2], ['a', 'critical', 5], ['e', 'low', 3]];
    for (const [id, severity, due] of order) await store.add(item(id, { severity, due_at: at(due), tenant_id: id === 'e' ? 'other' : 'acme' }));
    const claims = await Promise.all(['p', 'q', 'r'].map((id) => store.claimNext({ id }, NOW, SOON)));
    t.same(claims.map((claim) => claim?.item.review_id).sort(), ['rev_a', 'rev_b', 'rev_c'], 'each another');
    t.equal((await store.claimNext({ id: 's', tenants: ['other'] }, NOW, SOON))?.item.review_id, 'rev_e');
    t.equal((await store.claimNext({ id: 's', tenants: [] }, NOW, SOON)), undefined);
    t.same((await store.items({ limit: 10, statuses: ['pending'] })).map(({ review_id: id }) => id), ['rev_d']);
    t.same((await store.items({ limit: 2 })).map(({ review_id: id }) => id), ['rev_e', 'rev_d']);
    t.same((await store.items({ limit: 2, before: [NOW, 'rev_d'], tenants: ['acme'] })).map(({ review_id: id }) => id), ['rev_c', 'rev_b']);
    t.same((await store.items({ limit: 9, severity: 'critical' })).map(({ review_id: id }) => id), ['rev_a']);
  });

  t.test(`${name}: double-blind, a third where two differ; objections go to others`, { skip }, async (t) => {
    const store = await opened(t);
    await store.add(item('a', { double_blind: true }));
    const decide = async (reviewer: string, resolution: Resolution) => {
      const claim = await store.claim('rev_a', { id: reviewer }, NOW, SOON);
      return typeof claim === 'string' ? claim : store.decide('rev_a', claim.fence, verdict(reviewer, resolution, at((await store.verdicts('rev_a')).length)), standingOf);
    };
    t.match(await decide('ana', 'allow'), { status: 'pending', resolution: null, reviewer_id: null });
    t.equal(await decide('ana', 'allow'), 'decided', 'nobody is two people');
    t.equal(await store.claimNext({ id: 'ana' }, NOW, SOON), undefined);
    t.match(await decide('bob', 'block'), { status: 'pending' });
    t.match(await decide('cleo', 'escalate_legal'), { status: 'resolved', resolution: 'escalate_legal' });
    t.equal(await decide('dora', 'allow'), 'stale', 'it has ended');
    t.equal(await store.reopen('rev_a', at(500)), true);
    t.equal(await store.reopen('rev_a', at(500)), false);
    t.match(await store.item('rev_a'), { status: 'pending', origin: 'appeal', round: 2, due_at: at(500), resolution: null });
    t.equal(await decide('bob', 'allow'), 'decided');
    await decide('dora', 'allow');
    t.match(await decide('emil', 'allow'), { status: 'resolved', resolution: 'allow', round: 2 });
    t.same((await store.verdicts('rev_a')).map(({ round }) => round), [1, 1, 1, 2, 2]);
  });

  t.test(`${name}: model: whoever claims, comes late, clicks twice or crashes, each round ends once and by the right people`, { skip }, async (t) => {
    const database = (await place(t))();
    t.teardown(() => database.close());
    const store = new SqlReviewStore(database);
    const random = randomOf(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
    const people = ['ana', 'bob', 'cleo', 'dora', 'emil', 'fay'];
    for (let round = 0; round < runs(8); round++) {
      const blind = random() < 0.5;
      const id = `rev_m${round}`;
      await store.add(item(`m${round}`, { review_id: id, double_blind: blind, hold_until: random() < 0.5 ? at(50) : null }));
      /** Claims that somebody once had; some are lost. */
      const held: { readonly by: string; readonly claim: Claim }[] = [];
      let nowS = 0;
      let ends = 0;
      for (let step = 0; step < 40; step++) {
        nowS += Math.floor(random() * 40);
        const before = (await store.item(id))!;
        if (random() < 0.45) {
          const by = pick(people);
          const claim = await store.claim(id, { id: by }, at(nowS), at(nowS + 30));
          if (typeof claim !== 'string') {
            if (before.status === 'in_review' && before.reviewer_id !== by && before.claimed_until! >= at(nowS)) throw new Error('two have it');
            if ((await store.verdicts(id)).some(({ reviewer_id: other }) => other === by)) throw new Error('who decided has it again');
            held.push({ by, claim });
          }
        } else if (held.length > 0) {
          const { by, claim } = pick(held);
          const [first] = await Promise.all([0, 1].slice(0, 1 + Math.floor(random() * 2)).map(() => store.decide(id, claim.fence, verdict(by, pick(['allow', 'block'] as const), at(nowS)), standingOf)));
          if (typeof first === 'object' && first.status === 'resolved') ends++;
        }
        const verdicts = (await store.verdicts(id)).filter(({ round: own }) => own === 1);
        const after = (await store.item(id))!;
        const standing = standingOf(blind, verdicts);
        if (new Set(verdicts.map(({ reviewer_id: by }) => by)).size !== verdicts.length) throw new Error('one person twice');
        if (standing.resolution !== (after.resolution ?? undefined)) throw new Error(`${after.resolution} after ${verdicts.map(({ resolution }) => resolution).join()}`);
        if ((after.status === 'resolved') !== (after.resolution !== null)) throw new Error('ended, or not');
      }
      t.ok(ends <= 1, 'it ended once');
    }
  });
}

t.test('a hundred thousand items: the next one is found in the order of an index', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-reviews-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const database = openSqliteDatabase(join(dir, 'weir.db'));
  t.teardown(() => database.close());
  const store = new SqlReviewStore(database);
  await store.add(item('a', { severity: 'low', due_at: at(0) }));
  await database.query(`insert into review_items (review_id, request_id, tenant_id, direction, origin, severity, severity_rank, policy, triggered_rules, classifier_results, action, status, double_blind, round, fence, created_at, due_at)
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select 'rev_' || i, 'req ' || i, 'acme', 'input', 'escalate', 'low', 0, 'p@1', '[]', '[]', 'escalate', 'pending', 0, 1, 0, '${NOW}', '${SOON}' from n`);
  const { sql, values } = nextStatement({ id: 'ana' });
  const plan = (await database.query<{ detail: string }>(`explain query plan ${sql}`, ...values)).map(({ detail }) => detail).join('; ');
  t.match(plan, /review_items_queue/);
  t.notMatch(plan, /TEMP B-TREE/, 'nothing is sorted');
  for (let i = 0; i < 20; i++) {
    const claim = await store.claimNext({ id: 'ana' }, NOW, SOON) as Claim;
    if (i === 0) t.equal(claim.item.review_id, 'rev_a');
    t.match(await store.decide(claim.item.review_id, claim.fence, verdict('ana', 'allow'), standingOf), { status: 'resolved' });
  }
  t.equal((await store.depth()).low, 100_001 - 20);
});
