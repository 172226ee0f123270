/** What people who review ask for themselves, over SQLite and a real Postgres: it is theirs alone, counted once, and kept from the queue's next. */
import t, { type Test } from 'tap';
import { subjectsOf, SUBJECTS, WELLNESS_DEFAULTS, type Pace, type Subject } from '../../src/contract/wellness.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlReviewStore, type Claim, type NewReviewItem } from '../../src/store/reviews.ts';
import { SqlWellnessStore } from '../../src/store/wellness.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

const NOW = '2030-01-01T00:00:00.000Z';
const SOON = '2030-01-01T01:00:00.000Z';
const [DAY, NEXT_DAY] = ['2030-01-01', '2030-01-02'];

function item(id: string, category: string, score: number, more: Partial<NewReviewItem> = {}): NewReviewItem {
  return {
    review_id: `rev_${id}`, request_id: id, tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'medium', policy: 'p@1', triggered_rules: [], classifier_results: [{ classifier_id: 'toxicity', category, score }],
    action: 'escalate', double_blind: false, created_at: NOW, due_at: SOON, hold_until: null, hold_then: null, ...more,
  };
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  const opened = async (t: Test): Promise<{ readonly database: StoreDatabase; readonly reviews: SqlReviewStore; readonly wellness: SqlWellnessStore }> => {
    const database = (await place(t)).database!();
    return { database, reviews: new SqlReviewStore(database), wellness: new SqlWellnessStore(database) };
  };

  t.test(`${name}: settings are one person's, and the defaults where there are none`, { skip }, async (t) => {
    const { database, wellness } = await opened(t);
    t.same(await wellness.settings('ana@example.com'), WELLNESS_DEFAULTS);
    const hers = { ...WELLNESS_DEFAULTS, greyscale: true, opt_out: ['sexual'] as readonly Subject[], break_after_minutes: 20 };
    await wellness.saveSettings('ana@example.com', { ...hers, cover: false }, NOW);
    await wellness.saveSettings('ana@example.com', hers, SOON);
    t.same([await wellness.settings('ana@example.com'), await wellness.settings('ana')], [hers, WELLNESS_DEFAULTS]);
    await database.query(`update reviewer_settings set settings = '{"opt_out":["sexual","of a later version"]}'`);
    t.same(await wellness.settings('ana@example.com'), { ...WELLNESS_DEFAULTS, opt_out: ['sexual'] });
  });

  t.test(`${name}: a pace is moved by one at a time`, { skip }, async (t) => {
    const { wellness } = await opened(t);
    t.equal(await wellness.pace('ana'), undefined);
    const count = (pace: Pace | undefined): Pace => ({ sinceMs: 1, seenMs: 2, severe: (pace?.severe ?? 0) + 1, breakUntilMs: null });
    await Promise.all(Array.from({ length: 20 }, () => wellness.movePace('ana', count)));
    t.same(await wellness.pace('ana'), { sinceMs: 1, seenMs: 2, severe: 20, breakUntilMs: null });
    t.equal(await wellness.pace('bob'), undefined);
  });

  t.test(`${name}: what was opened counts once a day, for who opened it, and is gone the day after`, { skip }, async (t) => {
    const { reviews, wellness } = await opened(t);
    await reviews.add(item('blind', 'sexual', 0.9, { double_blind: true }));
    const open = (who: string, day: string, id: string, severe: boolean, subjects: readonly Subject[]) => wellness.opened(who, day, { review_id: `rev_${id}`, severe, subjects });
    t.same([await open('ana', DAY, 'a', true, ['violence', 'hate']), await open('ana', DAY, 'a', true, ['violence', 'hate']), await open('ana', DAY, 'b', false, ['hate']), await open('ana', DAY, 'blind', true, ['sexual']), await open('bob', DAY, 'a', true, ['violence'])], [true, false, true, true, true]);
    t.same(await wellness.exposure('ana', DAY), { opened: 3, severe: 1, subjects: { violence: 1, hate: 2 }, undisclosed: 1 }, 'what two people still decide is not told');
    const claim = async (who: string): Promise<void> => {
      const { fence } = await reviews.claim('rev_blind', { id: who }, NOW, SOON) as Claim;
      await reviews.decide('rev_blind', fence, { reviewer_id: who, resolution: 'block', categories: [], notes: '', created_at: NOW }, standingOf);
    };
    await claim('ana');
    await claim('bob');
    t.same(await wellness.exposure('ana', DAY), { opened: 3, severe: 2, subjects: { violence: 1, hate: 2, sexual: 1 }, undisclosed: 0 }, 'until it is decided');
    t.same(await wellness.exposure('ana', NEXT_DAY), { opened: 0, severe: 0, subjects: {}, undisclosed: 0 });
    await open('ana', NEXT_DAY, 'a', false, []);
    t.same([(await wellness.exposure('ana', DAY)).opened, (await wellness.exposure('bob', DAY)).opened], [0, 0], 'whoever opens first on the next day');
  });

  t.test(`${name}: who does not want a kind of content is not offered it, others are, and a claim by id is one's own choice`, { skip }, async (t) => {
    const { database, reviews } = await opened(t);
    await reviews.add(item('sex', 'sexual/minors', 0.4, { severity: 'critical' }));
    await reviews.add(item('fight', 'violence', 0.2, { severity: 'high' }));
    await reviews.add(item('calm', 'violence', 0.199));
    await reviews.add(item('old', 'sexual', 1, { severity: 'high' }));
    await database.query(`delete from review_subjects where review_id = 'rev_old'`); // as one that was stored before
    const next = async (id: string, avoids: readonly Subject[]): Promise<string | undefined> => (await reviews.claimNext({ id, avoids }, NOW, SOON))?.item.review_id;
    t.equal(await next('ana', ['sexual', 'violence']), 'rev_calm', 'below what counts');
    t.equal(await next('ana', ['sexual', 'violence']), undefined);
    t.equal(await next('bob', ['sexual']), 'rev_fight');
    t.equal(await next('cem', []), 'rev_sex', 'it waits for others');
    t.match(await reviews.claim('rev_old', { id: 'ana' }, NOW, SOON), { item: { review_id: 'rev_old' } });
    t.match(await database.query(`select subject from review_subjects where review_id = 'rev_old'`), [{ subject: 'sexual' }], 'and what it is about is known now');
  });

  t.test(`${name}: many old items that are left out do not hide the one that is not`, { skip }, async (t) => {
    const { database, reviews } = await opened(t);
    for (let i = 0; i < 60; i++) await reviews.add(item(`old-${i}`, 'sexual', 1, { severity: 'high' }));
    await reviews.add(item('one', 'hate', 1));
    await database.query('delete from review_subjects');
    t.equal((await reviews.claimNext({ id: 'ana', avoids: ['sexual'] }, NOW, SOON))?.item.review_id, 'rev_one');
  });
}

t.test('what an item may be about, by the names of categories that classifiers have', async (t) => {
  const of = (category: string, score = 0.5) => subjectsOf([{ classifier_id: 'c', category, score }]);
  const known: Readonly<Record<string, readonly Subject[]>> = {
    'sexual': ['sexual'], 'sexual/minors': ['sexual'], 'sex-crimes': ['sexual', 'illicit'], 'child-exploitation': ['sexual'], 'violence/graphic': ['violence'], 'harassment/threatening': ['violence', 'harassment'], 'hate/threatening': ['violence', 'hate'], 'illicit/violent': ['violence', 'illicit'],
    'violent-crimes': ['violence', 'illicit'], 'indiscriminate-weapons': ['violence'], 'dangerous-content': ['violence'], 'self-harm/intent': ['self-harm'], 'self_harm': ['self-harm'], 'hate': ['hate'], 'harassment': ['harassment'], 'toxic': ['harassment'], 'illicit': ['illicit'], 'profanity': ['profanity'],
    'EMAIL': [], 'injection': [], 'jailbreak': [], 'unsupported': [], 'HARASSMENT': ['harassment'],
  };
  for (const [category, subjects] of Object.entries(known)) t.same(of(category), subjects, category);
  t.same([of('sexual', 0.199), of('sexual', 0.2), subjectsOf([{ classifier_id: 'c', category: 'sexual', unknown: 'timeout' }])], [[], ['sexual'], []]);
  t.same([of('self-harm', 0.099), of('self-harm', 0.1), of('hate', 0.399), of('hate', 0.4)], [[], ['self-harm'], [], ['hate']], 'each from its own score');
  t.equal(new Set(SUBJECTS).size, 7);
});
