/** What tenants and the operator are told, over SQLite and a real Postgres: stored with what it tells, given to one, again until it is settled. */
import t, { type Test } from 'tap';
import type { Resolution } from '../../src/contract/review.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlAdminStore } from '../../src/store/admins.ts';
import { SqlReviewIntake } from '../../src/store/review-intake.ts';
import { SqlHoldStore } from '../../src/store/holds.ts';
import { AT_ONCE_MAX, SqlNoticeStore } from '../../src/store/review-notices.ts';
import { SqlOutcomeStore } from '../../src/store/review-outcomes.ts';
import { SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();

function item(id: string, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: ['rule'], classifier_results: [{ classifier_id: 'a', category: 'b', score: 0.5 }],
    action: 'escalate', double_blind: false, created_at: at(0), due_at: at(60), hold_until: null, hold_then: null, ...more,
  };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  const opened = async (t: Test) => {
    const open = (await place(t)).database!;
    const database = open();
    const store = new SqlReviewStore(database);
    const decide = async (id: string, reviewer: string, resolution: Resolution, when = at(10), categories: readonly string[] = []) => {
      const { fence } = await store.claim(`rev_${id}`, { id: reviewer }, when, at(9_999)) as Claim;
      return store.decide(`rev_${id}`, fence, { reviewer_id: reviewer, resolution, categories, notes: 'a note', created_at: when }, standingOf);
    };
    return { open, database, store, notices: new SqlNoticeStore(database), decide };
  };

  t.test(`${name}: a verdict that ends a round leaves one notice; what it says of what was done`, { skip }, async (t) => {
    const { store, notices, decide } = await opened(t);
    for (const [id, action] of [['passed', 'allow'], ['stopped', 'block'], ['two', 'escalate']] as const) await store.add(item(id, { action, double_blind: id === 'two' }));
    t.same(await notices.claimDue(at(1), at(2), 10), [], 'nothing was decided');
    await decide('passed', 'ana', 'block', at(10), ['hate', 'violence']);
    await decide('stopped', 'ana', 'block', at(11));
    await decide('two', 'ana', 'block', at(12), ['hate']);
    const [first, second, ...more] = await notices.claimDue(at(20), at(50), 10);
    t.same(more, [], 'the third waits for another person');
    t.match(first, { tenant_id: 'acme', receiver: 'tenant', attempts: 0, notice: { event: 'review_override', notice_id: 'rev_passed.1.resolved', review_id: 'rev_passed', request_id: 'req passed', action: 'allow', resolution: 'block', retroactive_action: 'withdraw', categories: ['hate', 'violence'], item_created_at: at(0), created_at: at(10), batch: [] } });
    t.match(second, { notice: { event: 'review_resolved', resolution: 'block', retroactive_action: null } });
    t.notMatch(JSON.stringify([first, second]), /a note|score/, 'neither notes nor scores');
    t.same(await notices.claimDue(at(20), at(50), 10), [], 'they are somebody’s');
    await notices.settle(first!.notice_id);
    await decide('two', 'bob', 'block', at(21), ['violence']);
    t.same((await notices.claimDue(at(51), at(90), 10)).map(({ notice }) => [notice.review_id, notice.categories]), [['rev_stopped', []], ['rev_two', ['hate', 'violence']]], 'who did not settle in time loses it');
  });

  t.test(`${name}: an objection that people grant says what is to be taken back then; a granted hold nothing`, { skip }, async (t) => {
    const { database, store, notices, decide } = await opened(t);
    await store.add(item('a', { action: 'allow' }));
    await decide('a', 'ana', 'block');
    await store.reopen('rev_a', at(100));
    await decide('a', 'bob', 'allow', at(30));
    await store.reopen('rev_a', at(200));
    await decide('a', 'cleo', 'allow', at(40));
    t.same((await notices.claimDue(at(50), at(90), 10)).map(({ notice: { notice_id: id, retroactive_action: back } }) => [id, back]), [['rev_a.1.resolved', 'withdraw'], ['rev_a.2.resolved', 'reinstate'], ['rev_a.3.resolved', null]]);
    await store.add(item('held', { hold_until: at(60), hold_then: 'allow' }));
    await decide('held', 'ana', 'block', at(55));
    t.match(await notices.claimDue(at(56), at(90), 10), [{ notice: { review_id: 'rev_held', event: 'review_resolved', retroactive_action: null } }], 'it never went on');
    await store.add(item('late', { hold_until: at(60), hold_then: 'allow' }));
    await new SqlHoldStore(database).settle('rev_late', 'timeout');
    await decide('late', 'ana', 'block', at(70));
    t.match(await notices.claimDue(at(71), at(90), 10), [{ notice: { review_id: 'rev_late', retroactive_action: 'withdraw' } }]);
  });

  t.test(`${name}: what stands for others says for which`, { skip }, async (t) => {
    const { database, notices, decide } = await opened(t);
    const intake = new SqlReviewIntake(database);
    for (const id of ['a', 'b', 'c']) await intake.admit(item(id), [], { openMax: 1, tenantOpenMax: 1 });
    await decide('a', 'ana', 'block');
    t.match(await notices.claimDue(at(20), at(50), 10), [{ notice: { review_id: 'rev_a', batched: 2, batch: [{ request_id: 'req b' }, { request_id: 'req c' }] } }]);
  });

  t.test(`${name}: overdue is noticed once in each round, by whoever comes first, with an entry for the log`, { skip }, async (t) => {
    const { open, store, decide } = await opened(t);
    for (let i = 0; i < 12; i++) await store.add(item(`i${i}`, { due_at: at(60 + i) }));
    await decide('i0', 'ana', 'allow');
    await store.claim('rev_i1', { id: 'ana' }, at(10), at(999));
    const stores = Array.from({ length: 3 }, () => new SqlNoticeStore(open()));
    t.same(await stores[0]!.noteOverdue(at(61), 10), [], 'due at that very moment is in time');
    const found = (await Promise.all(Array.from({ length: 9 }, (_, i) => stores[i % 3]!.noteOverdue(at(70), 3)))).flat();
    for (let more = await stores[0]!.noteOverdue(at(70), 3); more.length > 0; more = await stores[0]!.noteOverdue(at(70), 3)) found.push(...more); // who was not first finds them later
    t.same(found.map(({ review_id: id }) => id).sort(), Array.from({ length: 9 }, (_, i) => `rev_i${i + 1}`), 'also one that somebody has; none twice');
    t.match(found.find(({ review_id: id }) => id === 'rev_i1'), { event: 'review_overdue', resolution: null, retroactive_action: null, round: 1 });
    const changes = await new SqlAdminStore(open()).claimChanges(at(70), at(0));
    t.same(changes.map(({ record }) => JSON.parse(record) as { review_id: string; change: string; author: string }).filter(({ change, author }) => change === 'overdue' && author === 'weir').map(({ review_id: id }) => id).sort(), found.map(({ review_id: id }) => id).sort());
    const told = await stores[0]!.claimDue(at(71), at(99), 100);
    t.same(['tenant', 'operator'].map((who) => told.filter(({ receiver }) => receiver === who).length), [AT_ONCE_MAX, AT_ONCE_MAX], 'both are told');
    await decide('i1', 'ana', 'allow', at(80));
    await store.reopen('rev_i1', at(90));
    t.match(await stores[0]!.noteOverdue(at(91), 100), [{ notice_id: 'rev_i10.1.overdue' }, { notice_id: 'rev_i11.1.overdue' }, { notice_id: 'rev_i1.2.overdue' }]);
    t.same(await stores[0]!.noteOverdue(at(9_999), 100), []);
  });

  t.test(`${name}: who does not answer keeps nobody else waiting`, { skip }, async (t) => {
    const { store, notices, decide } = await opened(t);
    for (let i = 0; i < 20; i++) {
      await store.add(item(`d${i}`, { tenant_id: 'dead' }));
      await decide(`d${i}`, 'ana', 'block', at(10));
    }
    await store.add(item('l', { tenant_id: 'lively' }));
    await decide('l', 'ana', 'block', at(11));
    const first = await notices.claimDue(at(20), at(50), 100);
    t.same([first.filter(({ tenant_id: id }) => id === 'dead').length, first.filter(({ tenant_id: id }) => id === 'lively').length], [AT_ONCE_MAX, 1]);
    for (const one of first) if (one.tenant_id === 'dead') await notices.putOff(one, at(100)); else await notices.settle(one.notice_id);
    t.same(await notices.claimDue(at(60), at(90), 100), [], 'the rest of theirs waits as long');
    const again = await notices.claimDue(at(101), at(130), 100);
    t.equal(again.length, AT_ONCE_MAX);
    t.ok(again.every(({ attempts }) => attempts <= 1));
  });

  t.test(`${name}: how people judged is counted as it stands`, { skip }, async (t) => {
    const { open, store, decide } = await opened(t);
    for (const id of ['a', 'b', 'c']) await store.add(item(id));
    await store.add(item('o', { tenant_id: 'other', near_rules: ['n'], origin: 'uncertain' }));
    for (const id of ['a', 'b', 'o']) await decide(id, 'ana', id === 'o' ? 'block' : 'allow', at(10));
    const outcomes = new SqlOutcomeStore(open());
    t.same(await outcomes.outcomes(at(0), undefined, 10), [
      { policy: 'p@1', triggered_rules: ['rule'], near_rules: [], origin: 'escalate', action: 'escalate', resolution: 'allow', count: 2 },
      { policy: 'p@1', triggered_rules: ['rule'], near_rules: ['n'], origin: 'uncertain', action: 'escalate', resolution: 'block', count: 1 },
    ]);
    t.equal((await outcomes.outcomes(at(0), ['other'], 10)).length, 1);
    t.same([await outcomes.outcomes(at(0), [], 10), await outcomes.outcomes(at(11), undefined, 10)], [[], []]);
    const pace = (more: object = {}) => outcomes.pace({ tenants: undefined, since: at(0), until: at(60), now: at(1), limit: 10, ...more });
    const { waiting, overdue, decided } = await pace();
    t.same([Object.values(waiting), overdue, decided.map(({ resolution }) => resolution).sort()], [Object.values(await store.depth()), 0, ['allow', 'allow', 'block']]);
    t.equal((await pace({ now: '2999-01-01T00:00:00.000Z' })).overdue, 1);
    t.same([(await pace({ until: at(10) })).decided, (await pace({ since: at(11) })).decided, (await pace({ limit: 2 })).decided.length], [[], [], 2], 'from since up to until, the newest');
    t.match(await pace({ tenants: ['other'], now: '2999-01-01T00:00:00.000Z' }), { waiting: { low: 0, medium: 0, high: 0, critical: 0 }, overdue: 0, decided: [{ resolution: 'block' }] });
    t.match(await pace({ tenants: [] }), { overdue: 0, decided: [] });
  });
}
