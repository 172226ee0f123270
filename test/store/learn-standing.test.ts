/** Where the learning loop stands and what expires, over both stores: the sums that metrics are made of. */
import t from 'tap';
import { expiringAfter } from '../../src/store/expiries.ts';
import { SqlLearnRuns } from '../../src/store/learn-runs.ts';
import { learningStanding } from '../../src/store/learn-standing.ts';
import { SqlModelStore, type ModelSwitch } from '../../src/store/models.ts';
import { SqlShadowStore } from '../../src/store/shadows.ts';
import { SqlKeyStore } from '../../src/store/sql-keys.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

const AT = '2030-01-01T00:00:00.000Z';
const LATER = '2030-01-02T00:00:00.000Z';
let lefts = 0;
const left = () => ({ change_id: `c${lefts++}`, record: '{}' });
const model = (id: string, plugin = 'p') => ({ model_id: id, plugin, sha256: 'a'.repeat(64), size: 1, base_sha256: 'b'.repeat(64), dataset: 'd', seed: 1, trained_at: AT, evaluation: '[]', registered_by: 'ana', registered_at: AT });
const made = (number: number, more: Partial<ModelSwitch> = {}): ModelSwitch => ({ plugin: 'p', number, change: 'promote', model_id: 'm1', sha256: 'a'.repeat(64), from_model_id: null, from_sha256: 'b'.repeat(64), back: number - 1, author: 'ana', reason: null, against: [], created_at: AT, ...more });

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: where the loop stands`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const [models, shadows, runs] = [new SqlModelStore(database), new SqlShadowStore(database), new SqlLearnRuns(database)];
    t.same(await learningStanding(database, AT), { lastTrained: null, plugins: [] });
    for (const id of ['m1', 'm2', 'm3']) await models.add(model(id), ['AA=='], 20);
    await models.add(model('q1', 'q'), ['AA=='], 20);
    await models.retire('m3', 'ana', AT, left());
    for (const one of [made(1), made(2, { model_id: 'm2', against: ['recall falls'], reason: 'a drill' }), made(3, { change: 'rollback', model_id: 'm1' })]) await models.switchTo(one, left());
    for (const [process, number, seen_at] of [['a', 3, LATER], ['b', 2, LATER], ['c', 1, AT]] as const) await models.meet({ process, plugin: 'p', origin: 'o', number, fault: null, seen_at });
    await shadows.begin({ plugin: 'p', model_id: 'm2', share: 1, author: 'ana', started_at: AT }, left());
    const count = { classifier_id: 'x', category: 'a', threshold: 0.5, in_both: 1, difference: 0, distance: 0 };
    await shadows.add('m2', { counts: [{ ...count, policy: '', total: 10, only_working: 1, only_shadow: 2 }, { ...count, category: 'b', policy: '', total: 10, only_working: 0, only_shadow: 3 }, { ...count, policy: 'acme', threshold: 0.3, total: 99, only_working: 9, only_shadow: 9 }], texts: [{ outcome: 'scored', total: 10, working_ms: 1, shadow_ms: 1 }, { outcome: 'full', total: 4, working_ms: 0, shadow_ms: 0 }] });
    for (const [due, state, at] of [['1', 'done', AT], ['2', 'failed', LATER]] as const) {
      await runs.claim({ due, owner: 'o', now: AT, until: AT, attemptsMax: 3 });
      await runs.end(due, 'o', state, at, 'why');
    }
    t.same(await learningStanding(database, LATER), { lastTrained: AT, plugins: [
      { plugin: 'p', models: 2, behind: 1, switches: { promote: 2, rollback: 1, overridden: 1 }, texts: { scored: 10, full: 4 }, compared: { only_working: 1, only_shadow: 5, agree: 14 } },
      { plugin: 'q', models: 1, behind: 0, switches: { promote: 0, rollback: 0, overridden: 0 }, texts: {}, compared: { only_working: 0, only_shadow: 0, agree: 0 } },
    ] }, 'who is gone is not behind; thresholds of policies are others than 0.5; a training that failed is none');
    await shadows.end('p', AT, left());
    t.match((await learningStanding(database, LATER)).plugins[0], { texts: {}, compared: { agree: 0 } });
  });

  t.test(`${name}: what expires`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const keys = new SqlKeyStore(database);
    const key = (id: string, expires_at: string | null) => ({ key_id: id, tenant_id: 'acme', name: id, sha256: id.padEnd(64, '0'), scopes: ['models'] as const, requests_per_minute: null, tokens_per_minute: null, expires_at, created_at: AT, created_by: 'ana' });
    for (const one of [key('a', '2030-03-01T00:00:00.000Z'), key('b', null), key('c', AT), key('d', '2030-02-01T00:00:00.000Z')]) await keys.create(one);
    await keys.revoke({ tenant_id: 'acme', key_id: 'd', revoked_at: AT, revoked_by: 'ana' });
    await database.query('insert into admin_tokens (token_id, sha256, name, roles, tenants, created_by, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)', 't', 'e'.repeat(64), 'pia', '[]', '[]', 'ana', AT, '2030-04-01T00:00:00.000Z');
    t.same((await expiringAfter(database, AT)).map((row) => ({ ...row })), [{ tenant_id: 'acme', created_at: AT, expires_at: '2030-03-01T00:00:00.000Z' }, { tenant_id: null, created_at: AT, expires_at: '2030-04-01T00:00:00.000Z' }], 'what never ends, has ended, or was revoked is left out');
  });
}
