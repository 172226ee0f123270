/**
 * Waits over SQLite and a real Postgres: one outcome for all who ask, verdicts that count only in time, and the same
 * request again, which waits for the item that is there.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Resolution } from '../../src/contract/review.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlHoldStore } from '../../src/store/holds.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';

t.setTimeout(300_000);

const drivers: readonly { readonly name: string; readonly skip?: string | false; readonly place: (t: Test) => Promise<() => StoreDatabase> }[] = [
  { name: 'sqlite', place: async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-holds-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    return () => openSqliteDatabase(join(dir, 'weir.db'));
  } },
  { name: 'postgres', skip: POSTGRES_MISSING, place: async (t) => { const url = await openPostgresSchema(t); return () => new PostgresDatabase(url); } },
];

const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();

/** Waits from then for half a minute. */
function item(id: string, from = 0, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: ['r'], classifier_results: [],
    action: 'escalate', double_blind: false, created_at: at(from), due_at: at(from + 60), hold_until: at(from + 30), hold_then: 'block', ...more,
  };
}

for (const { name, skip = false, place } of drivers) {
  const opened = async (t: Test) => {
    const database = (await place(t))();
    t.teardown(() => database.close());
    const [reviews, holds] = [new SqlReviewStore(database), new SqlHoldStore(database)];
    const decide = async (id: string, reviewer: string, resolution: Resolution, seconds: number) => {
      const claim = await reviews.claim(`rev_${id}`, { id: reviewer }, at(seconds), at(seconds + 600)) as Claim;
      return reviews.decide(`rev_${id}`, claim.fence, { reviewer_id: reviewer, resolution, categories: [], notes: '', created_at: at(seconds) }, standingOf);
    };
    const open = (one: NewReviewItem, key?: string) => holds.open({ item: one, pages: [], ...(key === undefined ? {} : { again: { key, since: at(-900) } }) });
    return { reviews, holds, decide, open };
  };

  t.test(`${name}: a wait comes to one outcome`, { skip }, async (t) => {
    const { reviews, holds, decide, open } = await opened(t);
    for (const id of ['a', 'b']) t.match(await open(item(id)), { reviewId: `rev_${id}`, until: at(30) });
    await reviews.add({ ...item('c'), hold_until: null, hold_then: null });
    t.match(await decide('a', 'ana', 'allow', 5), { hold_outcome: 'allow', hold_then: 'block' });
    t.equal(await holds.settle('rev_a', 'timeout'), 'allow', 'a person was quicker');
    t.equal(await holds.settle('rev_b', 'timeout'), 'timeout');
    t.match(await decide('b', 'ana', 'allow', 6), { resolution: 'allow', hold_outcome: 'timeout' }, 'too late for the request');
    t.equal(await holds.settle('rev_c', 'timeout'), null, 'nobody waits');
    t.equal(await holds.settle('rev_none', 'timeout'), undefined);
    await open(item('raced'));
    const outcomes = await Promise.all(['timeout', 'allow', 'block', 'timeout'].map((outcome) => holds.settle('rev_raced', outcome as 'timeout')));
    t.equal(new Set(outcomes).size, 1, 'one for all who ask');
    t.same([...(await holds.outcomes(['rev_a', 'rev_b', 'rev_c', 'rev_none']))].sort(), [['rev_a', 'allow'], ['rev_b', 'timeout']]);
    t.same([...(await holds.outcomes([]))], []);
  });

  t.test(`${name}: a verdict counts until the wait is over, and never after, though nobody was there to say so`, { skip }, async (t) => {
    const { decide, open } = await opened(t);
    for (const id of ['soon', 'just', 'late']) await open(item(id));
    t.match(await decide('soon', 'ana', 'block', 29.999), { resolution: 'block', hold_outcome: 'block' });
    t.match(await decide('just', 'ana', 'allow', 30), { resolution: 'allow', hold_outcome: 'timeout' });
    t.match(await decide('late', 'ana', 'allow', 31), { resolution: 'allow', hold_outcome: 'timeout' });
  });

  t.test(`${name}: of two people one stops what waits, and both let it go`, { skip }, async (t) => {
    const { decide, open } = await opened(t);
    for (const id of ['stop', 'go', 'differ', 'alone']) await open(item(id, 0, { double_blind: true }));
    t.match(await decide('stop', 'ana', 'escalate_legal', 1), { status: 'pending', resolution: null, hold_outcome: 'escalate_legal' });
    t.match(await decide('stop', 'bob', 'allow', 2), { status: 'pending', hold_outcome: 'escalate_legal' });
    t.match(await decide('stop', 'cleo', 'allow', 3), { resolution: 'allow', hold_outcome: 'escalate_legal' }, 'what the item ends with is another matter');
    t.match(await decide('go', 'ana', 'allow', 1), { hold_outcome: null });
    t.match(await decide('go', 'bob', 'allow', 2), { resolution: 'allow', hold_outcome: 'allow' });
    t.match(await decide('differ', 'ana', 'allow', 1), { hold_outcome: null });
    t.match(await decide('differ', 'bob', 'block', 2), { status: 'pending', hold_outcome: 'block' });
    t.match(await decide('alone', 'ana', 'allow', 1), { hold_outcome: null });
    t.match(await decide('alone', 'bob', 'allow', 31), { resolution: 'allow', hold_outcome: 'timeout' }, 'the second came too late');
  });

  t.test(`${name}: the same request again waits for the item that is there`, { skip }, async (t) => {
    const { reviews, holds, decide, open } = await opened(t);
    await open(item('first'), 'same');
    t.same(await open(item('again', 10), 'same'), { reviewId: 'rev_first', until: at(30) }, 'as long as the first');
    t.equal(await reviews.item('rev_again'), undefined, 'and is no item of its own');
    t.match(await open(item('other', 10), 'another'), { reviewId: 'rev_other' });
    await holds.leave('rev_first', 'client_left');
    t.match(await reviews.item('rev_first'), { hold_outcome: null }, 'the other one still waits');
    await holds.leave('rev_first', 'client_left');
    t.match(await reviews.item('rev_first'), { hold_outcome: 'client_left' });
    t.same(await open(item('third', 20), 'same'), { reviewId: 'rev_first', until: at(50) }, 'anew, since nobody waited');
    t.match(await reviews.item('rev_first'), { hold_outcome: null, hold_until: at(50) });
    await holds.leave('rev_first', 'client_left');
    t.match(await decide('first', 'ana', 'allow', 25), { hold_outcome: 'client_left', resolution: 'allow' });
    t.match(await open(item('fourth', 26), 'same'), { reviewId: 'rev_first', resolution: 'allow' }, 'a person has decided about it');
    t.match(await open(item('fifth', 2_000), 'same'), { reviewId: 'rev_first', resolution: 'allow' });
    t.match(await holds.open({ item: item('old', 2_000), pages: [], again: { key: 'same', since: at(1_000) } }), { reviewId: 'rev_old' }, 'too long ago');
  });

  t.test(`${name}: again after its time, and after one of two has stopped it`, { skip }, async (t) => {
    const { holds, decide, open } = await opened(t);
    await open(item('over'), 'over');
    t.match(await open(item('next', 31), 'over'), { reviewId: 'rev_next' }, 'whoever held the first is gone');
    await holds.settle('rev_next', 'timeout');
    t.match(await open(item('more', 40), 'over'), { reviewId: 'rev_more' });
    await open(item('blind', 0, { double_blind: true }), 'blind');
    await holds.leave('rev_blind', 'draining');
    await decide('blind', 'ana', 'block', 5);
    t.match(await open(item('blinder', 6), 'blind'), { reviewId: 'rev_blind', resolution: 'block' });
  });

  t.test(`${name}: whoever takes the next gets what waits first, and lists have it first`, { skip }, async (t) => {
    const { reviews, open } = await opened(t);
    await reviews.add({ ...item('critical', 0, { severity: 'critical' }), hold_until: null, hold_then: null });
    await open(item('later', 5, { severity: 'low' }));
    await open(item('sooner', 0, { severity: 'low' }));
    t.same((await reviews.items({ limit: 9, holdingAt: at(6) })).map(({ review_id: id }) => id), ['rev_sooner', 'rev_later']);
    t.same((await reviews.items({ limit: 9, holdingAt: at(31) })).map(({ review_id: id }) => id), ['rev_later']);
    const taken: (string | undefined)[] = [];
    for (const id of ['ana', 'bob', 'cleo', 'dora']) taken.push((await reviews.claimNext({ id }, at(6), at(600)))?.item.review_id);
    t.same(taken, ['rev_sooner', 'rev_later', 'rev_critical', undefined]);
  });
}
