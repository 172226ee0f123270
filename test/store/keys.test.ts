/** What every driver of tenants' keys and of usage guarantees, over each of them. */
import t, { type Test } from 'tap';
import { CLAIMS_MAX, KEY_SCOPES, type KeyStore, type NewKey } from '../../src/store/keys.ts';
import type { UsageRow, UsageStore } from '../../src/store/usage.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

const at = (second: number): string => `2030-01-02T03:04:${String(second).padStart(2, '0')}.000Z`;

function newKey(id: string, tenant: string, more: Partial<NewKey> = {}): NewKey {
  return { key_id: id, tenant_id: tenant, name: `für ${id} "x"`, sha256: id.charCodeAt(id.length - 1).toString(16).padStart(64, 'a'), scopes: KEY_SCOPES, requests_per_minute: null, tokens_per_minute: null, expires_at: null, created_at: at(1), created_by: 'admin', ...more };
}

for (const { name, skip, place: placeOf } of STORE_DRIVERS) {
  const place = async (t: Test): Promise<() => { readonly keys: KeyStore; readonly usage: UsageStore }> => {
    const { keys, usage } = await placeOf(t);
    return () => ({ keys: keys(), usage: usage() });
  };

  t.test(`${name}: keys are made, listed and revoked, and every change has a number`, { skip }, async (t) => {
    const { keys } = (await place(t))();
    t.same([await keys.head(), await keys.changedSince(0), await keys.list('acme'), await keys.tenantOf('k1')], [0, [], [], undefined], 'empty');
    const limited = newKey('k2', 'acme', { scopes: ['models'], requests_per_minute: 600, tokens_per_minute: 9_000_000_000, expires_at: '2031-01-01T00:00:00.000Z', created_at: at(2) });
    t.same([await keys.create(newKey('k1', 'acme')), await keys.create(limited), await keys.create(newKey('k3', 'other'))], [true, true, true]);
    t.same(await keys.list('acme'), [{ ...newKey('k1', 'acme'), revoked_at: null, revoked_by: null, change: 1 }, { ...limited, revoked_at: null, revoked_by: null, change: 2 }]);
    t.equal(await keys.create(newKey('k1', 'acme', { sha256: 'b'.repeat(64) })), false, 'an id is given once');
    t.equal(await keys.create(newKey('k9', 'other', { sha256: newKey('k1', 'acme').sha256 })), false, 'and a digest is of one key');
    t.equal(await keys.head(), 3, 'what was refused is no change');
    t.equal(await keys.tenantOf('k3'), 'other');

    t.equal(await keys.revoke({ tenant_id: 'other', key_id: 'k1', revoked_at: at(3), revoked_by: 'eve' }), undefined, 'a key of another tenant is not there');
    t.equal(await keys.revoke({ tenant_id: 'acme', key_id: 'nobody', revoked_at: at(3), revoked_by: 'eve' }), undefined);
    const revoked = { ...newKey('k1', 'acme'), revoked_at: at(4), revoked_by: 'ana', change: 4 };
    t.same(await keys.revoke({ tenant_id: 'acme', key_id: 'k1', revoked_at: at(4), revoked_by: 'ana' }), revoked);
    t.same(await keys.revoke({ tenant_id: 'acme', key_id: 'k1', revoked_at: at(5), revoked_by: 'bob' }), revoked, 'the second time changes nothing');
    t.equal(await keys.head(), 4);
    t.same((await keys.changedSince(2)).map(({ key_id, change, revoked_at }) => [key_id, change, revoked_at]), [['k3', 3, null], ['k1', 4, at(4)]]);
    t.same(await keys.changedSince(4), []);
  });

  t.test(`${name}: each change is claimed for an audit log once, and again where nobody wrote it`, { skip }, async (t) => {
    const { keys } = (await place(t))();
    await keys.create(newKey('k1', 'acme'));
    await keys.revoke({ tenant_id: 'acme', key_id: 'k1', revoked_at: at(2), revoked_by: 'ana' });
    const first = await keys.claimChanges(at(10), at(0));
    t.same(first, [
      { number: 1, change: 'create', tenant_id: 'acme', key_id: 'k1', author: 'admin', created_at: at(1) },
      { number: 2, change: 'revoke', tenant_id: 'acme', key_id: 'k1', author: 'ana', created_at: at(2) },
    ]);
    t.same(await keys.claimChanges(at(11), at(0)), [], 'somebody writes them');
    await keys.settleChanges([1], at(12));
    t.same((await keys.claimChanges(at(40), at(20))).map(({ number }) => number), [2], 'one was never written');
    await keys.settleChanges([2], at(41));
    t.same(await keys.claimChanges(at(59), at(58)), []);
    for (let i = 0; i <= CLAIMS_MAX; i++) await keys.create(newKey(`m${i}`, 'acme', { sha256: String(i).padStart(64, 'c') }));
    t.same([(await keys.claimChanges(at(50), at(0))).length, (await keys.claimChanges(at(50), at(0))).length], [CLAIMS_MAX, 1]);
  });

  t.test(`${name}: changes at once have numbers without gaps, and who reads up to one has missed none`, { skip }, async (t) => {
    const open = await place(t);
    const [one, two, reader] = [open().keys, open().keys, open().keys];
    const seen = new Set<string>();
    let head = 0;
    const follow = async (): Promise<void> => {
      for (const { key_id, change } of await reader.changedSince(head)) {
        seen.add(key_id);
        head = Math.max(head, change);
      }
    };
    let writing = true;
    const following = (async () => { while (writing) { await follow(); await new Promise(setImmediate); } })();
    const made = Array.from({ length: 24 }, (_, i) => newKey(`r${i}`, 'acme', { sha256: String(i).padStart(64, 'd') }));
    await Promise.all(made.map((key, i) => (i % 2 === 0 ? one : two).create(key)));
    writing = false;
    await following;
    await follow();
    t.same([seen.size, head, await reader.head()], [24, 24, 24]);
    t.same((await reader.list('acme')).map(({ change }) => change).sort((a, b) => a - b), made.map((_, i) => i + 1));
    const claimed = await Promise.all([one, two, one, two].map((keys) => keys.claimChanges(at(10), at(0))));
    const numbers = claimed.flat().map(({ number }) => number);
    t.same([numbers.length, new Set(numbers).size], [24, 24], 'two who claim at once get different ones');
  });

  t.test(`${name}: usage is summed by tenant, key and hour, and a batch counts once`, { skip }, async (t) => {
    const { usage } = (await place(t))();
    const row = (tenant_id: string, key_id: string, hour: number, requests: number): UsageRow => ({ tenant_id, key_id, hour: `2030-01-02T${String(hour).padStart(2, '0')}:00:00Z`, requests, refused: 1, blocked: 0, redacted: 2, prompt_tokens: 3_000_000_000, completion_tokens: 5, estimated: 0 });
    t.same(await usage.read({ limit: 10 }), []);
    const batch = { process: 'p1', sequence: 1, rows: [row('acme', 'k1', 3, 10), row('acme', 'k1', 4, 1), row('acme', '', 3, 7), row('other', 'k1', 3, 100)] };
    await usage.add(batch, at(1));
    await usage.add(batch, at(2));
    await usage.add({ process: 'p2', sequence: 1, rows: [row('acme', 'k1', 3, 5)] }, at(3));
    await usage.add({ process: 'p1', sequence: 2, rows: [row('acme', 'k1', 3, 2)] }, at(4));
    await usage.add(batch, at(5));
    t.same(await usage.read({ tenantId: 'acme', limit: 10 }), [
      row('acme', 'k1', 4, 1), row('acme', '', 3, 7), { ...row('acme', 'k1', 3, 17), refused: 3, redacted: 6, prompt_tokens: 9_000_000_000, completion_tokens: 15 },
    ]);
    const requests = async (question: Omit<Parameters<UsageStore['read']>[0], 'limit'>): Promise<readonly number[]> => (await usage.read({ limit: 10, ...question })).map((one) => one.requests);
    t.same(await requests({}), [1, 7, 17, 100]);
    t.same(await requests({ tenantId: 'acme', from: '2030-01-02T04:00:00Z' }), [1]);
    t.same(await requests({ tenantId: 'acme', to: '2030-01-02T04:00:00Z' }), [7, 17]);
    t.same(await requests({ tenantId: "acme' or 1=1 --" }), []);
    t.equal((await usage.read({ limit: 2 })).length, 2);
    t.same([await requests({ tenantId: 'OTHER' }), await requests({ tenantId: 'other' })], [[], [100]]);
  });

  t.test(`${name}: usage is dropped by tenant and hour, some rows at a time, and a process is forgotten`, { skip }, async (t) => {
    const { usage } = (await place(t))();
    const row = (tenant_id: string, hour: number): UsageRow => ({ tenant_id, key_id: `k${hour % 3}`, hour: `2030-01-02T${String(hour).padStart(2, '0')}:00:00Z`, requests: 1, refused: 0, blocked: 0, redacted: 0, prompt_tokens: 0, completion_tokens: 0, estimated: 0 });
    const batch = { process: 'p1', sequence: 1, rows: ['acme', 'b-2', 'other'].flatMap((tenant) => Array.from({ length: 9 }, (_, hour) => row(tenant, hour))) };
    t.equal(await usage.tenantAfter(''), undefined);
    await usage.add(batch, at(1));
    const tenants: string[] = [];
    for (let id = await usage.tenantAfter(''); id !== undefined; id = await usage.tenantAfter(id)) tenants.push(id);
    t.same(tenants.sort(), ['acme', 'b-2', 'other']);
    const before = '2030-01-02T05:30:00.000Z';
    t.same([await usage.drop('acme', before, 4), await usage.drop('acme', before, 4), await usage.drop('acme', before, 4)], [4, 2, 0]);
    t.same((await usage.read({ tenantId: 'acme', limit: 99 })).map(({ hour }) => hour.slice(11, 13)), ['08', '07', '06'], 'an hour that began before goes, even where it ended after');
    t.equal((await usage.read({ limit: 99 })).length, 21, 'others keep theirs');
    await usage.forgetProcesses(at(1));
    await usage.add(batch, at(2));
    t.equal((await usage.read({ tenantId: 'acme', limit: 99 })).length, 3, 'a process is known as long as it was heard');
    await usage.forgetProcesses(at(3));
    await usage.add(batch, at(4));
    t.equal((await usage.read({ tenantId: 'acme', limit: 99 })).length, 9);
  });
}
