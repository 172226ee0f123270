/**
 * Annotation over SQLite and a real Postgres: a drawn text is a task once, counts are those of the tasks, batches are one
 * person's, a text is labelled once by each, two that differ want a third, and whoever is paused leaves nothing behind.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ItemSeal } from '../../src/risk/items.ts';
import { readLabels, writeLabels, LABEL_FORMATS } from '../../src/risk/formats.ts';
import { SqlAnnotationChecks } from '../../src/store/annotation-checks.ts';
import { SqlAnnotationCourse } from '../../src/store/annotation-course.ts';
import { taskIdOf, type NewTask } from '../../src/store/annotation-tasks.ts';
import type { WantedBatch } from '../../src/store/annotation-batches.ts';
import { SqlAnnotationStore } from '../../src/store/annotations.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import type { SqlQuery, StoreDatabase } from '../../src/store/sql.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

const drivers: readonly { readonly name: string; readonly skip: string | false; readonly open: (t: Test) => Promise<() => StoreDatabase> }[] = [
  { name: 'sqlite', skip: false, open: async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'weir-annotations-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    return () => openSqliteDatabase(join(dir, 'weir.db'));
  } },
  { name: 'postgres', skip: POSTGRES_MISSING, open: async (t) => { const url = await openPostgresSchema(t); return () => new PostgresDatabase(url); } },
];

const at = (seconds: number): string => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();
const task = (i: number, more: Partial<NewTask> = {}): NewTask => ({
  task_id: taskIdOf('q', `r${i}`, 'output'), campaign: 'q', tenant_id: 'acme', product: 'Help "centre", ünï', request_id: `r${i}`, started_at: at(i), direction: 'output', stratum: 's', inclusion_probability: 0.25, automated_filter_result: 'passed', modality: 'text', wanted: 1, created_at: at(i), ...more,
});
const SAFE = { label: 'safe', category: null, tier: 'high', calibration: null } as const;
const BAD = { label: 'violation', category: 'toxicity.hate', tier: 'low', calibration: 0.95 } as const;
let ids = 0;

for (const { name, skip, open } of drivers) {
  const opened = async (t: Test): Promise<{ readonly store: SqlAnnotationStore; readonly checks: SqlAnnotationChecks; readonly again: () => SqlAnnotationStore; readonly database: StoreDatabase }> => {
    const make = await open(t);
    const connect = (): StoreDatabase => {
      const one = make();
      t.teardown(() => one.close());
      return one;
    };
    const database = connect();
    return { store: new SqlAnnotationStore(database), checks: new SqlAnnotationChecks(database), again: () => new SqlAnnotationStore(connect()), database };
  };
  const wanted = (annotator: string, now: number, more: Partial<WantedBatch> = {}): WantedBatch => ({ annotator, now: at(now), until: at(now + 60), itemsMax: 5, calibrationShare: () => 0, random: randomOf(seed), newId: () => `ann_${name}_${ids++}`, ...more });
  const totals = async (store: SqlAnnotationStore): Promise<Record<string, number>> => Object.fromEntries((await store.cells('q')).map(({ outcome, category, total }) => [`${outcome}${category === '' ? '' : ` ${category}`}`, total]));

  t.test(`${name}: counts by day are those of the tasks, in whatever pieces they are read`, { skip }, async (t) => {
    const { store, database } = await opened(t);
    const all = Array.from({ length: 23 }, (_, i) => task(i, { created_at: at((i % 7) * 40_000), tenant_id: i % 3 === 0 ? 'other' : 'acme', inclusion_probability: i % 2 === 0 ? 0.25 : 1 }));
    await store.add([...all, task(99, { campaign: 'another', task_id: taskIdOf('another', 'r99', 'output') })]);
    const [first, ...rest] = await store.batch(wanted('ana', 0, { itemsMax: 6 }));
    await store.label(first!.annotation_id, 'ana', { ...BAD, at: at(100) });
    for (const [i, { annotation_id: id }] of rest.slice(0, 3).entries()) await store.label(id, 'ana', { ...SAFE, at: at(101 + i) });
    await store.missing(rest[3]!.task.task_id, 'absent', at(200));
    const daysOf = async (pieceTasks?: number): Promise<{ readonly pieces: number; readonly cells: readonly string[] }> => {
      const cells = new Map<string, number>();
      let pieces = 0;
      for await (const piece of new SqlAnnotationCourse(database, pieceTasks === undefined ? {} : { pieceTasks }).days('q')) {
        pieces++;
        for (const { total, ...cell } of piece) cells.set(JSON.stringify(cell), (cells.get(JSON.stringify(cell)) ?? 0) + total);
      }
      return { pieces, cells: [...cells].map(([cell, total]) => `${cell} ${total}`).sort() };
    };
    const whole = await daysOf();
    t.same([whole.pieces, (await daysOf(1)).pieces, (await daysOf(22)).pieces, (await daysOf(23)).pieces], [1, 24, 2, 2]);
    for (const pieceTasks of [1, 2, 5, 22, 23, 24]) t.same((await daysOf(pieceTasks)).cells, whole.cells, `${pieceTasks} at a time`);
    const sum = (of: RegExp): number => whole.cells.filter((one) => of.test(one)).reduce((total, one) => total + Number(one.split(' ').at(-1)), 0);
    t.same([sum(/./), sum(/"toxicity.hate","outcome":"violation"/), sum(/"safe"/), sum(/"missing"/), sum(/"waiting"/), sum(/"day":"2030-01-03"/)], [23, 1, 3, 1, 18, 6]);
    const course = new SqlAnnotationCourse(database);
    t.same((await course.settled('q', 10)).map(({ at: time, isLabelled }) => `${time} ${isLabelled}`), [`${at(200)} false`, `${at(103)} true`, `${at(102)} true`, `${at(101)} true`, `${at(100)} true`]);
    t.equal((await course.settled('q', 2)).length, 2);
    t.same([(await course.judged('q', 'violation', 9)).map(({ task_id: id }) => id), (await course.judged('q', 'safe', 2)).map(({ task_id: id }) => id)], [[first!.task.task_id], [rest[2]!.task.task_id, rest[1]!.task.task_id]]);
    t.same(await course.drawnBetween('q'), { from: at(0), until: at(240_000) });
    t.equal(await course.drawnBetween('none'), undefined);
  });

  t.test(`${name}: what is drawn is a task once, with the place of its log`, { skip }, async (t) => {
    const { store, again } = await opened(t);
    t.equal(await store.add([task(1), task(2)], { log: 'l', next: 3, head: 'h' }), 2);
    t.equal(await again().add([task(2), task(3)], { log: 'l', next: 4, head: 'i' }), 1, 'a replay adds nothing');
    t.same(await store.cursor('l'), { log: 'l', next: 4, head: 'i' });
    t.same(await totals(store), { waiting: 3 });
    t.match(await store.task(task(1).task_id), { ...task(1), status: 'waiting', human_label: null });
  });

  t.test(`${name}: a batch is one person's until it runs out and somebody else asks`, { skip }, async (t) => {
    const { store } = await opened(t);
    await store.add([task(1), task(2), task(3)]);
    const ana = await store.batch(wanted('ana', 0, { itemsMax: 2 }));
    t.equal(ana.length, 2);
    t.same((await store.batch(wanted('ana', 10, { itemsMax: 2 }))).map(({ annotation_id: id }) => id), ana.map(({ annotation_id: id }) => id), 'she has it still, though she asks again');
    t.equal((await store.batch(wanted('bob', 20))).length, 1, 'he has the other');
    t.equal((await store.batch(wanted('cleo', 30))).length, 0);
    t.match(await store.label(ana[0]!.annotation_id, 'bob', { ...SAFE, at: at(31) }), 'none', 'it is not his');
    t.match(await store.label(ana[0]!.annotation_id, 'ana', { ...SAFE, at: at(31) }), { isBatchDone: false });
    t.equal(await store.label(ana[0]!.annotation_id, 'ana', { ...SAFE, at: at(32) }), 'decided');
    const cleo = await store.batch(wanted('cleo', 500));
    t.equal(cleo.length, 2, 'what ran out is for others');
    t.equal(await store.label(ana[1]!.annotation_id, 'ana', { ...SAFE, at: at(501) }), 'stale');
    t.equal((await store.batch(wanted('ana', 502))).length, 0, 'and is not given to her again');
    for (const { annotation_id: id } of cleo) await store.label(id, 'cleo', { ...BAD, at: at(503) });
    t.same(await totals(store), { safe: 1, 'violation toxicity.hate': 2 });
  });

  t.test(`${name}: two that differ want a third, and the majority counts`, { skip }, async (t) => {
    const { store } = await opened(t);
    await store.add([task(1, { wanted: 2 })]);
    for (const [who, label] of [['ana', SAFE], ['bob', BAD]] as const) {
      const [given] = await store.batch(wanted(who, 0));
      await store.label(given!.annotation_id, who, { ...label, ...(who === 'bob' ? { note: 'a slur' } : {}), at: at(1) });
    }
    t.match(await store.task(task(1).task_id), { status: 'waiting', wanted: 3 });
    for (const who of ['ana', 'bob']) t.same([(await store.batch(wanted(who, 2))).length, await store.dispute(wanted(who, 2)), await store.disputes(who)], [0, undefined, 0], 'not by those two');
    t.same([(await store.batch(wanted('cleo', 2))).length, await store.disputes('cleo')], [0, 1], 'not as any other');
    const { annotation: third, labels } = (await store.dispute(wanted('cleo', 2)))!;
    t.same([...labels].sort((a, b) => (a.label < b.label ? -1 : 1)), [{ label: 'safe', category: null, tier: 'high', note: '' }, { label: 'violation', category: 'toxicity.hate', tier: 'low', note: 'a slur' }], 'both, and no names');
    t.equal((await store.dispute(wanted('cleo', 3)))!.annotation.annotation_id, third.annotation_id, 'once');
    t.equal(await store.dispute(wanted('dan', 3)), undefined, 'of one person at a time');
    t.equal((await store.open('cleo')).length, 0, 'and apart from batches');
    await store.label(third.annotation_id, 'cleo', { ...BAD, at: at(3) });
    t.same((await store.ratings('q')).map(({ rater }) => rater).sort(), ['ana', 'bob'], 'agreement is of those who did not see each other');
    t.match(await store.task(task(1).task_id), { status: 'labelled', human_label: 'violation', violation_category: 'toxicity.hate' });
    t.same(await totals(store), { 'violation toxicity.hate': 1 });
  });

  t.test(`${name}: the newest label is taken back until another batch was given, and all is as if it had not been`, { skip }, async (t) => {
    const { store } = await opened(t);
    await store.add([task(1), task(2), task(3, { wanted: 2 }), task(4)]);
    const ana = await store.batch(wanted('ana', 0, { itemsMax: 3 }));
    t.equal(await store.undo('ana', at(1), at(90)), 'none', 'there is nothing yet');
    for (const { annotation_id: id } of ana) await store.label(id, 'ana', { ...BAD, note: 'why', at: at(2) });
    const counted = await totals(store);
    t.equal(await store.undo('ana', at(61), at(90)), 'none', 'not when the claim is over');
    t.equal(await store.undo('ana', at(3), at(90)), 'undone');
    t.same((await store.open('ana')).map(({ annotation_id: id }) => id), [ana[2]!.annotation_id], 'the last one');
    t.equal(await store.undo('ana', at(4), at(90)), 'undone');
    t.equal(await store.doneOf(ana[0]!.batch_id), 1);
    for (const { annotation_id: id } of await store.open('ana')) await store.label(id, 'ana', { ...BAD, at: at(5) });
    t.same(await totals(store), counted);
    const again = await store.batch(wanted('ana', 6));
    t.equal(await store.undo('ana', at(7), at(90)), 'none', 'not when another batch was given');
    await store.giveBack('ana');
    t.equal(await store.undo('ana', at(8), at(90)), 'none', 'also when it was given back');
    t.equal(again.length, 1);
    t.equal(await store.undo('bob', at(8), at(90)), 'none');
  });

  t.test(`${name}: of two that differ one is taken back, or counts no more, and nobody decides between what is gone`, { skip }, async (t) => {
    const { store } = await opened(t);
    await store.add([task(1, { wanted: 2 })]);
    const give = async (who: string, label: typeof SAFE | typeof BAD, now: number): Promise<void> => {
      const [given] = await store.batch(wanted(who, now));
      await store.label(given!.annotation_id, who, { ...label, at: at(now) });
    };
    await store.meet('ana', at(0));
    await give('ana', BAD, 1);
    await give('bob', SAFE, 1);
    const { annotation } = (await store.dispute(wanted('cleo', 2)))!;
    t.equal(await store.undo('bob', at(3), at(60)), 'undone');
    t.equal(await store.label(annotation.annotation_id, 'cleo', { ...SAFE, at: at(4) }), 'stale', 'she has seen what is taken back');
    t.match(await store.task(task(1).task_id), { status: 'waiting', wanted: 2 });
    await store.label((await store.open('bob'))[0]!.annotation_id, 'bob', { ...SAFE, at: at(5) });
    t.match([await store.task(task(1).task_id), await store.disputes('dan')], [{ status: 'waiting', wanted: 3 }, 1]);
    t.match(await store.pause('ana', at(6), 'admin', 'for a test'), { flagged: 1, requeued: 1 });
    t.match([await store.task(task(1).task_id), await store.disputes('dan')], [{ status: 'waiting', wanted: 2 }, 0]);
    t.same(await store.leavings('ana'), { flagged: 1, relabelled: 0, skipped: {} });
    await give('dan', SAFE, 7);
    t.match(await store.task(task(1).task_id), { status: 'labelled', human_label: 'safe' });
    t.same(await store.leavings('ana'), { flagged: 1, relabelled: 1, skipped: {} });
    t.same(await totals(store), { safe: 1 });
  });

  t.test(`${name}: what somebody skips is for others, and what is unreadable for nobody`, { skip }, async (t) => {
    const { store, checks } = await opened(t);
    const seal = new ItemSeal(Buffer.alloc(32, 1));
    await checks.addItems([{ ...seal.seal({ text: 'known', label: 'safe', direction: 'output', modality: 'text' }), author: 'lead', created_at: at(0) }]);
    await store.add([task(1), task(2)]);
    const ana = await store.batch(wanted('ana', 0, { calibrationShare: () => 0.99 }));
    t.equal(ana.filter(({ item_id: item }) => item !== null).length, 1);
    const [first, second] = ana.filter(({ item_id: item }) => item === null);
    t.equal(await store.skip(first!.annotation_id, 'bob', 'language', at(1)), 'none', 'it is not his');
    t.equal(await store.skip(first!.annotation_id, 'ana', 'language', at(1)), 'skipped');
    t.equal(await store.skip(first!.annotation_id, 'ana', 'language', at(1)), 'stale');
    t.equal(await store.skip(second!.annotation_id, 'ana', 'unreadable', at(1)), 'skipped');
    t.equal(await store.skip(ana.find(({ item_id: item }) => item !== null)!.annotation_id, 'ana', 'unreadable', at(1)), 'skipped');
    t.same(await totals(store), { waiting: 1, missing: 1 });
    t.same(await store.leavings('ana'), { flagged: 0, relabelled: 0, skipped: { language: 1, unreadable: 2 } });
    t.equal((await store.batch(wanted('ana', 2))).length, 0, 'not hers again');
    t.same((await store.batch(wanted('bob', 2))).map((one) => one.task.task_id), [first!.task.task_id]);
  });

  t.test(`${name}: to label, skip or take back costs the same statements whether the answer is known or not`, { skip }, async (t) => {
    const { database, store, checks } = await opened(t);
    const seal = new ItemSeal(Buffer.alloc(32, 1));
    await checks.addItems(Array.from({ length: 40 }, (_, i) => ({ ...seal.seal({ text: `known ${i}`, label: 'safe', direction: 'output', modality: 'text' }), author: 'lead', created_at: at(0) })));
    await store.add(Array.from({ length: 40 }, (_, i) => task(i, i % 4 === 0 ? { wanted: 2 } : {})));
    let said: string[] = [];
    const heard = (query: SqlQuery): SqlQuery => ((text, ...values) => { said.push(text); return query(text, ...values); }) as SqlQuery;
    const listening = new SqlAnnotationStore({ ...database, query: heard(database.query), transaction: (work) => database.transaction((query) => work(heard(query))) });
    const kinds = { known: new Set<string>(), drawn: new Set<string>() };
    for (let now = 1; now < 12; now++) {
      const batch = await store.batch(wanted('ana', now, { itemsMax: 8, calibrationShare: () => 0.5, random: randomOf(now) }));
      for (const [i, { annotation_id: id, item_id: item }] of batch.entries()) {
        said = [];
        if (i % 4 === 1) await listening.skip(id, 'ana', 'unwilling', at(now));
        else if (i % 4 === 2) await listening.skip(id, 'ana', 'unreadable', at(now));
        else for (const label of [SAFE, BAD]) {
          await listening.label(id, 'ana', { ...label, at: at(now) });
          if (label === SAFE) t.equal(await listening.undo('ana', at(now), at(now + 60)), 'undone');
        }
        kinds[item === null ? 'drawn' : 'known'].add(said.join('\n'));
      }
    }
    t.same([...kinds.known].sort(), [...kinds.drawn].sort());
    t.equal(kinds.known.size, 2, 'to skip, and to label and take back');
  });

  t.test(`${name}: known answers come once to a person, as many as they should; whoever is paused leaves nothing behind`, { skip }, async (t) => {
    const { store, checks } = await opened(t);
    const seal = new ItemSeal(Buffer.alloc(32, 1));
    const stored = Array.from({ length: 400 }, (_, i) => ({ ...seal.seal({ text: `known ${i}`, label: 'safe', direction: 'output', modality: 'text' }), author: 'lead', created_at: at(0) }));
    await checks.addItems([{ ...seal.seal({ text: 'her own', label: 'safe', direction: 'output', modality: 'text' }), author: 'ana', created_at: at(0) }]);
    const own = seal.seal({ text: 'her own', label: 'safe', direction: 'output', modality: 'text' }).item_id;
    t.equal(await checks.addItems(stored), 400);
    t.equal(await checks.addItems(stored), 0);
    t.notMatch(JSON.stringify(await checks.item(stored[7]!.item_id)), /known 7/, 'no text lies there');
    t.equal(seal.open((await checks.item(stored[7]!.item_id))!), 'known 7');
    t.equal(new ItemSeal(Buffer.alloc(32, 2)).open(stored[7]!), undefined);
    await store.add(Array.from({ length: 600 }, (_, i) => task(i)));
    await store.meet('ana', at(0));
    const random = randomOf(7);
    let [known, given] = [0, 0];
    const seen = new Set<string>();
    for (let now = 1; given < 500; now++) {
      const batch = await store.batch(wanted('ana', now, { itemsMax: 20, random, calibrationShare: () => 0.2 }));
      for (const { annotation_id: id, item_id: item } of batch) {
        given++;
        if (item !== null) {
          known++;
          if (seen.has(item) || item === own) t.fail(`${item} came twice, or is her own`);
          seen.add(item);
        }
        await store.label(id, 'ana', { ...BAD, at: at(now) });
      }
    }
    t.ok(Math.abs(known / given - 0.2) < 4.5 * Math.sqrt((0.2 * 0.8) / given), `${known} of ${given}`);
    t.equal((await checks.answers({ annotator: 'ana', limit: 10_000 })).length, known);
    await store.good('ana', at(5));
    const before = await totals(store);
    const paused = (await store.pause('ana', at(1000), 'calibration', 'too low'))!;
    t.equal(await store.pause('ana', at(1001), 'calibration', 'again'), undefined);
    const after = await totals(store);
    t.equal(paused.flagged, paused.requeued);
    t.equal(after['violation toxicity.hate'], before['violation toxicity.hate']! - paused.flagged, 'what came after the calibration last held counts no more');
    t.equal(Object.values(after).reduce((sum, one) => sum + one, 0), 600, 'and nothing is lost');
    t.ok((await store.batch(wanted('bob', 1002, { itemsMax: 200 }))).length > 100, 'others are given them');
    t.equal(await store.resume('ana', at(1003), 'admin', 'trained'), true);
    t.equal((await checks.answers({ annotator: 'ana', since: (await store.annotator('ana'))!.since, limit: 10 })).length, 0, 'her calibration begins anew');
  });

  t.test(`${name}: people who ask at once never share a text, and all is labelled once`, { skip }, async (t) => {
    const { store, again } = await opened(t);
    const N = runs(60);
    await store.add(Array.from({ length: N }, (_, i) => task(i)));
    const people = Array.from({ length: 4 }, (_, i) => ({ who: `p${i}`, own: again(), random: randomOf(seed + i) }));
    await Promise.all(people.map(async ({ who, own, random }) => {
      for (;;) {
        const batch = await own.batch(wanted(who, 0, { random }));
        if (batch.length === 0) return;
        for (const { annotation_id: id } of batch) await own.label(id, who, { ...(random() < 0.5 ? SAFE : BAD), at: at(1) });
      }
    }));
    const counts = await totals(store);
    t.equal((counts['safe'] ?? 0) + (counts['violation toxicity.hate'] ?? 0), N);
    t.equal(counts['waiting'], undefined);
  });

  t.test(`${name}: labels taken elsewhere and brought back are the same`, { skip }, async (t) => {
    const { store, checks } = await opened(t);
    await store.add([task(1, { wanted: 2 }), task(2), task(3)]);
    for (const who of ['ana', 'bob']) for (const { annotation_id: id } of await store.batch(wanted(who, 0))) await store.label(id, who, { ...(who === 'ana' ? BAD : { ...BAD, tier: 'high' as const }), at: at(1) });
    const rows = await checks.labels({ limit: 100 });
    t.equal(rows.length, 4);
    const cells = await totals(store);
    for (const format of LABEL_FORMATS) {
      const text = writeLabels(format, rows);
      const sorted = (of: typeof rows): typeof rows => [...of].sort((a, b) => (a.annotation_id < b.annotation_id ? -1 : 1));
      t.same(sorted(readLabels(format, text)), sorted(rows), format);
      const other = await opened(t);
      t.equal(await other.checks.takeIn(readLabels(format, text)), 4);
      t.equal(await other.checks.takeIn(readLabels(format, text)), 0, 'once');
      t.same(await totals(other.store), cells, 'and make the same of their texts');
    }
  });
}
