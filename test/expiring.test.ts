/** What expires, in a running Weir: keys of files and of the store, tokens of people, the certificate; and what is meant to end. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Expiring, MEANT_TO_LAST_MS } from '../src/expiring.ts';
import { CHANNELS, type ExpiryTold } from '../src/contract/channels.ts';
import type { Config } from '../src/config/schema.ts';
import { keyDigest, generateKey } from '../src/tenant/keys.ts';
import { ask } from './helpers/admin.ts';
import { makeCertificate } from './helpers/certificate.ts';
import { freshFolder, openHouse, until } from './helpers/house.ts';

const DAY_MS = 86_400_000;
const inDays = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();

t.test('keys and tokens that were meant to last are told, and others not', async (t) => {
  const written = inDays(3);
  const dir = freshFolder(t);
  const config = { tenants: [{ id: 'default', policy: 'p', upstream: 'local', keys: [{ id: 'file', sha256: keyDigest(generateKey()), expires_at: written }] }] };
  const files = { 'p.yaml': 'policy: p\nrules: []\n' };
  const first = await openHouse(t, { dir, config, files });
  const lasting = inDays(MEANT_TO_LAST_MS / DAY_MS + 5);
  for (const [path, body] of [['tenants/default/keys', { expires_at: inDays(1) }], ['tenants/default/keys', { expires_at: lasting }], ['tokens', { name: 'pia', roles: ['auditor'], expires_at: lasting }], ['tokens', { name: 'bot', roles: ['auditor'], expires_at: inDays(0.5) }]] as const) t.match(await ask(first.adminUrl, `/api/v1/${path}`, { method: 'POST', token: first.token, body }), { status: 201 });
  await first.app.close();
  const house = await openHouse(t, { dir, config, files });
  await until(async () => (await house.metrics()).includes('kind="admin_token"'), 'the first look');
  const told = (await house.metrics()).split('\n').filter((line) => line.startsWith('weir_expiry'));
  t.same(told.sort(), [`weir_expiry_timestamp_seconds{kind="admin_token"} ${Date.parse(lasting) / 1000}`, `weir_expiry_timestamp_seconds{kind="api_key",tenant="default"} ${Date.parse(written) / 1000}`]);
});

t.test('a look tells of each kind what there is, and keeps quiet where the store does not answer', async (t) => {
  const { cert } = makeCertificate();
  const file = join(t.testdir(), 'admin.crt');
  writeFileSync(file, cert);
  const rows = [{ tenant_id: 'acme', created_at: inDays(-1), expires_at: inDays(30) }, { tenant_id: 'acme', created_at: inDays(-1), expires_at: inDays(2) }, { tenant_id: null, created_at: inDays(-40), expires_at: inDays(1) }];
  let answers = true;
  const query = async (text: string): Promise<any> => {
    if (!answers) throw new Error('the store does not answer');
    return rows.filter(({ tenant_id: tenant }) => (tenant === null) === text.includes('admin_tokens'));
  };
  const told: ExpiryTold[] = [];
  const onTold = (message: unknown): void => void told.push(message as ExpiryTold);
  CHANNELS.expiryTold.subscribe(onTold);
  t.teardown(() => CHANNELS.expiryTold.unsubscribe(onTold));
  const config = { tenants: [{ id: 'b', keys: [{ id: 'past', sha256: '', expires_at: inDays(-1) }, { id: 'none', sha256: '' }] }], admin: { tls: { cert_file: file, key_file: file } } } as unknown as Config;
  const expiring = new Expiring({ database: { query } as never, config: () => config, now: () => new Date() });
  await expiring.look();
  answers = false;
  await expiring.look();
  expiring.close();
  t.equal(told.length, 1);
  t.same(told[0]!.ends.map(({ kind, tenant_id: tenant }) => [kind, tenant]), [['api_key', 'acme'], ['admin_token', null], ['certificate', null]], 'one that was made for days, and one that has ended, are left out');
  t.ok(Math.abs(told[0]!.ends[2]!.atMs - Date.now() - DAY_MS) < 60_000, 'the day for which it is valid');
});
