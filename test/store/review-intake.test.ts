/** What comes into a queue with bounds, over SQLite and a real Postgres: by example, and under several writers at once. */
import t, { type Test } from 'tap';
import { BATCH_LISTED_MAX, hourOf, SqlReviewIntake, type IntakeBounds } from '../../src/store/review-intake.ts';
import { SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import { standingOf } from '../../src/review/stage.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();
const HOUR = at(0);
const WIDE: IntakeBounds = { openMax: 1_000, tenantOpenMax: 1_000 };

function item(id: string, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: `req ${id}`, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: ['rule'], classifier_results: [],
    action: 'escalate', double_blind: false, created_at: at(1), due_at: at(60), hold_until: null, hold_then: null, ...more,
  };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  const opened = async (t: Test) => {
    const database = (await place(t)).database!();
    return { database, intake: new SqlReviewIntake(database), store: new SqlReviewStore(database) };
  };

  t.test(`${name}: an item enters once, with what it was drawn for`, { skip }, async (t) => {
    const { intake, store } = await opened(t);
    t.equal(await intake.admit(item('a', { origin: 'uncertain', near_rules: ['ünï'], inclusion_probability: 0.25 }), [], WIDE), 'new');
    t.equal(await intake.admit(item('a', { review_id: 'rev_again' }), [], WIDE), 'known');
    t.match(await store.item('rev_a'), { near_rules: ['ünï'], inclusion_probability: 0.25, batched: 0, status: 'pending' });
    await intake.admit(item('b'), [{ step: 0, kind: 'trigger', due_at: at(2) }], WIDE);
    t.match(await store.item('rev_b'), { near_rules: [], inclusion_probability: null });
    t.same(await intake.counts(HOUR, undefined, 10), [{ name: 'uncertain', tenant_id: 'acme', hour: HOUR, count: 1 }]);
  });

  t.test(`${name}: drawn ones have a number for the hour: within it they come in, beyond it they are counted`, { skip }, async (t) => {
    const { intake, store } = await opened(t);
    const bounds = { ...WIDE, hourMax: 2 };
    const drawn = (id: string, more: Partial<NewReviewItem> = {}) => intake.admit(item(id, { origin: 'sample', ...more }), [], bounds);
    t.same([await drawn('a'), await drawn('b'), await drawn('c'), await drawn('d')], ['new', 'new', 'beyond', 'beyond']);
    t.equal(await drawn('e', { tenant_id: 'other' }), 'new', 'each tenant has its own');
    t.equal(await drawn('f', { origin: 'uncertain' }), 'new', 'and each origin');
    t.equal(await drawn('g', { created_at: at(3600) }), 'new', 'the next hour');
    t.equal(await intake.admit(item('h'), [], bounds), 'new', 'what a rule asks for has none');
    t.equal(await store.item('rev_c'), undefined);
    t.same((await intake.counts(HOUR, ['acme'], 10)).map(({ name, hour, count }) => [name, hour, count]), [['sample', at(3600), 1], ['sample', HOUR, 2], ['sample_beyond', HOUR, 2], ['uncertain', HOUR, 1]]);
    t.equal(await intake.total('sample', HOUR), 4);
    t.equal(await intake.total('sample', at(3600)), 1);
    t.same(await intake.counts(HOUR, [], 10), [], 'of no tenant there is nothing');
    await intake.forgetCounts(at(3600));
    t.equal(await intake.total('sample', HOUR), 1);
  });

  t.test(`${name}: a full queue takes critical ones and those that somebody waits for; others stand by one alike; drawn ones stay out`, { skip }, async (t) => {
    const { intake, store } = await opened(t);
    const bounds: IntakeBounds = { openMax: 1_000, tenantOpenMax: 2, hourMax: 100 };
    const admit = (id: string, more: Partial<NewReviewItem> = {}) => intake.admit(item(id, more), [], bounds);
    t.same([await admit('a'), await admit('b')], ['new', 'new'], 'within');
    t.equal(await admit('c', { created_at: at(9) }), 'batched', 'beyond');
    t.equal(await admit('c'), 'known', 'the same exchange again');
    t.match(await store.item('rev_b'), { batched: 1 }, 'the newest alike stands for it');
    t.same(await intake.batched('rev_b'), [{ request_id: 'req c', direction: 'input', created_at: at(9) }]);
    t.equal(await intake.standsFor('req c', 'input'), 'rev_b');
    t.equal(await intake.standsFor('req c', 'output'), undefined);
    t.equal(await admit('d', { severity: 'critical' }), 'new');
    t.equal(await admit('e', { hold_until: at(30) }), 'new');
    t.equal(await admit('f', { triggered_rules: ['other'] }), 'new', 'the first of its kind');
    t.equal(await admit('g', { triggered_rules: ['other'] }), 'batched');
    t.equal(await admit('h', { origin: 'sample' }), 'full');
    t.equal(await admit('i', { origin: 'uncertain' }), 'full');
    t.equal(await admit('j', { tenant_id: 'calm' }), 'new', 'another tenant has room');
    t.same((await intake.counts(HOUR, undefined, 10)).map(({ name, count }) => [name, count]), [['batched', 2], ['sample_full', 1], ['uncertain_full', 1]]);
    const { fence } = await store.claim('rev_b', { id: 'ana' }, at(10), at(99)) as Claim;
    t.equal(await admit('k'), 'batched');
    t.match(await store.item('rev_a'), { batched: 1 }, 'not to one that somebody looks at');
    await store.decide('rev_b', fence, { reviewer_id: 'ana', resolution: 'allow', categories: [], notes: '', created_at: at(11) }, standingOf);
    t.equal(await intake.admit(item('l'), [], { openMax: 5, tenantOpenMax: 1_000 }), 'batched', 'five wait, and that is all that may');
    t.equal(await intake.admit(item('m'), [], { openMax: 6, tenantOpenMax: 1_000 }), 'new');
  });

  t.test(`${name}: an item stands for any number; so many are listed`, { skip }, async (t) => {
    const { intake, store } = await opened(t);
    const bounds: IntakeBounds = { openMax: 1, tenantOpenMax: 1 };
    await intake.admit(item('head'), [], bounds);
    for (let i = 0; i <= BATCH_LISTED_MAX; i++) t.equal(await intake.admit(item(`b${i}`, { created_at: at(i) }), [], bounds), 'batched');
    t.match(await store.item('rev_head'), { batched: BATCH_LISTED_MAX + 1 });
    t.equal((await intake.batched('rev_head')).length, BATCH_LISTED_MAX);
    t.equal(await intake.standsFor(`req b${BATCH_LISTED_MAX - 1}`, 'input'), 'rev_head', 'the last that is listed');
    t.equal(await intake.standsFor(`req b${BATCH_LISTED_MAX}`, 'input'), undefined, 'the first that is not');
  });

  t.test(`${name}: several writers at once: nothing is lost and nothing counted twice`, { skip }, async (t) => {
    const { open } = await place(t).then(({ database }) => ({ open: database! }));
    const writers = Array.from({ length: 4 }, () => new SqlReviewIntake(open()));
    const bounds: IntakeBounds = { openMax: 1_000, tenantOpenMax: 5, hourMax: 3 };
    // As a process does: one after the other.
    const escalated = (await Promise.all(writers.map(async (writer, which) => {
      const admitted: string[] = [];
      for (let i = which; i < 30; i += 4) admitted.push(await writer.admit(item(`e${i}`), [], bounds));
      return admitted;
    }))).flat();
    const counted = (of: readonly string[], word: string): number => of.filter((one) => one === word).length;
    const store = new SqlReviewStore(open());
    const items = await store.items({ limit: 100 });
    t.equal(items.length, counted(escalated, 'new'));
    t.ok(items.length >= 5 && items.length <= 8, `${items.length}: the bound, and as many more as write at once`);
    t.equal(items.reduce((sum, { batched }) => sum + batched, 0), counted(escalated, 'batched'));
    t.equal(counted(escalated, 'new') + counted(escalated, 'batched'), 30, 'each request once');
    for (let i = 0; i < 10; i++) t.equal(await writers[i % 4]!.admit(item(`e${i}`), [], bounds), 'known', 'said again, since the store may have taken what it did not confirm');
    const drawn = await Promise.all(Array.from({ length: 20 }, (_, i) => writers[i % 4]!.admit(item(`s${i}`, { origin: 'sample', tenant_id: 'calm' }), [], bounds)));
    t.same([counted(drawn, 'new'), counted(drawn, 'beyond')], [3, 17]);
    t.same((await writers[0]!.counts(HOUR, ['calm'], 10)).map(({ name, count }) => [name, count]), [['sample', 3], ['sample_beyond', 17]]);
  });
}

t.test('hours begin where they do', async (t) => {
  t.equal(hourOf('2030-01-31T23:59:59.999Z'), '2030-01-31T23:00:00.000Z');
});
