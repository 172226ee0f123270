/**
 * What models learn from, over each database: what people decided comes in pages and whole, without answers to known
 * questions; a version is there with all its rows or not at all, once; losses are told apart.
 */
import t from 'tap';
import type { Dataset, DatasetRow } from '../../src/contract/learning.ts';
import { contentIdOf } from '../../src/contract/learning.ts';
import { digestOf } from '../../src/audit/sealed-content.ts';
import { SqlDatasetStore } from '../../src/store/datasets.ts';
import { SqlErasureStore } from '../../src/store/erasures.ts';
import { SqlReviewContents } from '../../src/store/review-contents.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

const row = (number: number, requestId: string, part: 'train' | 'held_out'): DatasetRow => ({ number, tenant_id: 'acme', request_id: requestId, direction: 'input', labels: { x: 1 }, source: 'verdict', weight: 1, from: ['r'], people: ['ana'], at: '2', near: '1', lang: 'en', part, group: number, content: 'c' });
const dataset = (id: string): Dataset => ({ dataset_id: id, sha256: id, about: { rows: 1 } as Dataset['about'], created_at: `2030-01-0${id.length}`, created_by: 'ana' });

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(name, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const store = new SqlDatasetStore(database);
    for (const [id, resolved] of [['a', true], ['b', true], ['c', false]] as const) {
      await database.query(
        `insert into review_items (review_id, request_id, tenant_id, direction, origin, severity, severity_rank, policy, triggered_rules, classifier_results, action, status, double_blind, round, fence, resolution, resolved_at, created_at, due_at, near_rules, alike, inclusion_probability)
         values ($1, $1, 'acme', 'input', 'escalate', 'low', 0, 'p@1', '[]', '[]', 'escalate', $2, 0, 2, 0, $3, $4, '1', '1', '[]', '', null)`, id, resolved ? 'resolved' : 'pending', resolved ? 'block' : null, resolved ? `2030-0${id === 'a' ? 1 : 2}` : null,
      );
      for (const [round, who] of [[1, 'ana'], [2, 'ben']] as const) await database.query(`insert into review_verdicts (review_id, round, reviewer_id, resolution, categories, notes, created_at) values ($1, $2, $3, 'block', '["x"]', '', '1')`, id, round, who);
    }
    t.match(await store.decided({ since: '', after: '', limit: 1 }), [{ review_id: 'a', round: 2, inclusion_probability: null, verdicts: [{ reviewer_id: 'ben', categories: ['x'] }] }], 'verdicts of the last round');
    t.same((await store.decided({ since: '', after: '', limit: 1 }))[0]!.verdicts.length, 1);
    t.same((await store.decided({ since: '', after: 'a', limit: 9 })).map(({ review_id: id }) => id), ['b']);
    t.same((await store.decided({ since: '2030-02', after: '', limit: 9 })).map(({ review_id: id }) => id), ['b']);

    for (const [id, status] of [['t1', 'labelled'], ['t2', 'waiting'], ['a', 'waiting']] as const) {
      await database.query(`insert into risk_tasks (task_id, campaign, tenant_id, product, request_id, started_at, direction, stratum, inclusion_probability, automated_filter_result, modality, wanted, given, status, human_label, created_at, settled_at) values ($1, 'c', 'acme', '', $1, '1', 'input', 's', 0.25, 'passed', 'text', 1, 1, $2, $3, '1', '5')`, id, status, status === 'labelled' ? 'safe' : null);
    }
    for (const [id, item, status] of [['n1', null, 'labelled'], ['n2', 'known', 'labelled'], ['n3', null, 'flagged']] as const) {
      await database.query(`insert into risk_annotations (annotation_id, task_id, item_id, annotator_id, batch_id, position, status, claimed_until, human_label, confidence_tier, annotator_calibration, labelled_at) values ($1, 't1', $2, $1, 'b', 0, $3, '', 'safe', 'high', 0.95, '4')`, id, item, status);
    }
    t.match(await store.labelled({ since: '', after: '', limit: 9 }), [{ task_id: 't1', inclusion_probability: 0.25, labels: [{ annotator_id: 'n1', label: 'safe', tier: 'high', calibration: 0.95 }] }]);
    t.same((await store.labelled({ since: '', after: '', limit: 9 }))[0]!.labels.length, 1, 'neither an answer to a known question nor one that counts no more');
    t.same((await store.unjudged(9)).map(({ task_id: id }) => id), ['t2'], 'not what is in the queue');

    t.equal(await store.put(dataset('d'), [row(0, 'q', 'train'), row(1, 'r', 'held_out'), row(2, 's', 'train')]), true);
    t.equal(await store.put(dataset('d'), [row(0, 'other', 'train')]), false);
    t.equal(await store.put(dataset('dd'), [row(0, 'r', 'train')]), true);
    await t.rejects(store.put(dataset('ddd'), [row(0, 'x', 'train'), row(0, 'y', 'train')]));
    t.same((await store.list(9)).map(({ dataset_id: id }) => id), ['dd', 'd'], 'all of a version, or none of it');
    t.match(await store.get('d'), { about: { rows: 1 } });
    t.same((await store.rows('d', 0, 1)).map(({ request_id: id }) => id), ['r']);
    t.same([...await store.partsOf(['q', 'r', 'none'].map((id) => contentIdOf(id, 'input')))].sort(), [[contentIdOf('q', 'input'), 'train'], [contentIdOf('r', 'input'), 'train']], 'what was learnt from once');

    const contents = new SqlReviewContents(database, 'learning_contents');
    const [review, erasures] = [new SqlReviewContents(database), new SqlErasureStore(database)];
    for (const id of ['q', 'r']) for (const place of [contents, review]) await place.put({ reviewId: contentIdOf(id, 'input'), tenantId: 'acme', keepUntil: '2031-01-01' }, [{ day: '2030-01-01', request: digestOf(id).toString('hex'), session: '00', keyId: 'k', slot: Buffer.from('slot'), sealed: Buffer.from('sealed') }], { number: 0, id: '' });
    t.same(await store.losses('d'), { erased: 0, expired: 1 });
    const order = { tenant_id: 'acme', before: null, request: { digest: digestOf('q').toString('hex'), name: 'q' }, session: null };
    const number = await erasures.ask({ ...order, erasure_id: 'e', author: 'ana', created_at: '1' });
    t.equal((await contents.of(contentIdOf('q', 'input')))[0]!.slot.length, 0, 'not read from the moment it stands');
    await erasures.empty({ number, ...order });
    t.same(await store.losses('d'), { erased: 1, expired: 1 });
    t.same((await database.query<{ readonly slot: string }>(`select slot from review_contents where slot = ''`)).length, 1, 'out of both tables');
    t.same((await contents.wrappedUnder('k', { reviewId: '', session: '' }, 9)).map(({ reviewId }) => reviewId), [contentIdOf('r', 'input')]);
  });
}
