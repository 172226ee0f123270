/** Models that run beside, over both stores: one for each plugin, sums that grow with what every process brings, and their end. */
import t from 'tap';
import { SqlModelStore, type NewModel } from '../../src/store/models.ts';
import { SqlShadowStore, type ShadowSums } from '../../src/store/shadows.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

const AT = '2030-01-01T00:00:00.000Z';
const model = (id: string): NewModel => ({ model_id: id, plugin: 'p', sha256: 'a'.repeat(64), size: 1, base_sha256: 'b'.repeat(64), dataset: 'd', seed: 1, trained_at: AT, evaluation: '[]', registered_by: 'ana', registered_at: AT });
let lefts = 0;
const left = () => ({ change_id: `c${lefts++}`, record: '{}' });
const SUMS: ShadowSums = {
  counts: [{ classifier_id: 'x', category: 'a', policy: 'p', threshold: 0.35, total: 10, only_working: 1, only_shadow: 2, in_both: 3, difference: -0.5, distance: 1.5 }, { classifier_id: 'x', category: 'a', policy: '', threshold: 0.5, total: 1, only_working: 0, only_shadow: 0, in_both: 0, difference: 0, distance: 0 }],
  texts: [{ outcome: 'scored', total: 11, working_ms: 5.5, shadow_ms: 6.5 }, { outcome: 'full', total: 2, working_ms: 0, shadow_ms: 0 }],
};

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: shadows and their sums`, { skip }, async (t) => {
    const { database } = await place(t);
    const [one, other] = [new SqlShadowStore(database!()), new SqlShadowStore(database!())];
    const models = new SqlModelStore(database!());
    for (const id of ['m1', 'm2']) await models.add(model(id), ['AA=='], 20);
    t.equal(await one.begin({ plugin: 'p', model_id: 'none', share: 1, author: 'ana', started_at: AT }, left()), false);
    t.equal(await one.begin({ plugin: 'p', model_id: 'm1', share: 0.25, author: 'ana', started_at: AT }, left()), true);
    t.equal(await other.begin({ plugin: 'p', model_id: 'm2', share: 1, author: 'ben', started_at: AT }, left()), true);
    t.same((await one.shadows()).map((row) => ({ ...row })), [{ plugin: 'p', model_id: 'm2', share: 1, author: 'ben', started_at: AT }], 'the last one, alone');
    t.equal(await models.retire('m2', 'ana', AT, left()), 'kept');
    t.equal(await models.retire('m1', 'ana', AT, left()), 'retired');
    t.equal(await one.begin({ plugin: 'p', model_id: 'm1', share: 1, author: 'ana', started_at: AT }, left()), false, 'a retired one');
    await Promise.all([one.add('m2', SUMS), other.add('m2', SUMS), one.add('m3', SUMS)]);
    t.match(await other.sums('m2'), {
      counts: [{ policy: '', threshold: 0.5, total: 2 }, { policy: 'p', threshold: 0.35, total: 20, only_working: 2, only_shadow: 4, in_both: 6, difference: -1, distance: 3 }],
      texts: [{ outcome: 'full', total: 4 }, { outcome: 'scored', total: 22, working_ms: 11, shadow_ms: 13 }],
    });
    t.same(await one.sums('none'), { counts: [], texts: [] });
    t.equal(await one.end('p', AT, left()), true);
    t.equal(await one.end('p', AT, left()), false);
    t.same(await one.shadows(), []);
    t.equal((await database!().query('select 1 as one from admin_changes')).length, 4, 'what was done, and nothing of what was not');
  });
}
