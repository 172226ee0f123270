/**
 * An exchange by its id: through the index, in the own log and in copies; without the index, or while it is behind, in the
 * newest of the own log. Whoever looks for the requests of some tenants never learns of another's.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { newestEntries } from '../../src/audit/entries.ts';
import { locatedExchange, type ExchangePlaces } from '../../src/audit/located.ts';
import type { DecisionQuestion, FoundDecision } from '../../src/store/decisions.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { openHouse, until, watching } from '../helpers/house.ts';

t.setTimeout(300_000);

/** A log of lines that are entries as far as they are read here. */
function logOf(t: Test, exchanges: readonly (readonly [requestId: string, tenantId: string])[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-located-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'log'));
  writeFileSync(join(dir, 'log/000000000000.jsonl'), exchanges.map(([request_id, tenant_id], index) => `${JSON.stringify({ index, time: '2030-01-01T00:00:00.000Z', origin: 'x', kind: 'exchange', request_id, tenant_id })}\n`).join(''));
  return join(dir, 'log');
}

t.test('own first, then copies; what is written counts, not the index', async (t) => {
  const own = logOf(t, [['one', 'acme'], ['two', 'other']]);
  const far = logOf(t, [['zero', 'acme'], ['three', 'acme'], ['one', 'other']]);
  if ((await Array.fromAsync(newestEntries(own))).length !== 2) throw new Error('the log of the test is not read');
  const rows = [['far', 2, 'one', true], ['own', 0, 'one', false], ['own', 1, 'two', false], ['far', 1, 'three', true], ['own', 0, 'lies', false], ['gone', 0, 'lost', true], ['own', 7, 'pruned', false]].map(([log, index, request_id, shipped]) => ({ log, index, request_id, shipped, tenant_id: 'acme' }) as FoundDecision);
  const asked: DecisionQuestion[] = [];
  const places = (isBehind: boolean, fails = false): ExchangePlaces => ({
    dir: own, log: 'own', copy: async (log, filter) => (log === 'far' ? newestEntries(far, filter) : undefined),
    index: { isBehind: () => isBehind, search: async (question) => {
      asked.push(question);
      if (fails) throw new Error('ill');
      return { rows: rows.filter(({ request_id: id, shipped }) => id === question.requestId && !(question.ownOnly === true && shipped)), looked: 0 };
    } },
  });
  const found = async (id: string, tenants?: readonly string[], behind = false, fails = false) => (await locatedExchange(places(behind, fails), id, tenants))?.tenant_id;
  t.same([await found('one'), await found('three'), await found('two', ['other'])], ['acme', 'acme', 'other']);
  t.same([await found('three', ['acme']), await found('two', ['acme']), await found('one', ['other']), await found('one', [])], [undefined, undefined, undefined, undefined], 'of others, and of copies for who does not see all, there is nothing');
  t.same([await found('lies'), await found('lost'), await found('pruned'), await found('nobody')], [undefined, undefined, undefined, undefined]);
  t.same(asked.filter(({ tenants }) => tenants !== undefined).map(({ ownOnly }) => ownOnly), [true, true, true, true], 'and they are not even asked for');
  rows.length = 0;
  t.equal(await found('one'), undefined, 'an index that has all of the log is believed');
  t.same([await found('one', undefined, true), await found('one', ['acme'], false, true), await found('one', ['other'], true)], ['acme', 'acme', undefined], 'one that is behind, or does not answer, is not');
  t.equal((await locatedExchange({ dir: own, log: 'own' }, 'two'))?.tenant_id, 'other');
});

t.test('over both ports: an exchange of another process is objected to by who sees all; an old one of the own log by its tenant', async (t) => {
  const keys = { heron: generateKey(), osprey: generateKey() };
  const tenants = Object.entries(keys).map(([id, key]) => ({ id, policy: 'acme', upstream: 'local', keys: [{ id: 'k', sha256: keyDigest(key) }] }));
  const files = { 'acme.yaml': watching('Fileword') };
  const main = await openHouse(t, { files, config: { tenants, review: { double_blind_percent: 0, appeals_per_hour_max: 6 } } });
  const shipper = await tokenFor(main.adminUrl, main.token, 'edge', ['shipper'], []);
  const edge = await openHouse(t, { files, config: { tenants, roles: ['proxy'], audit: { origin: 'edge', ship: { url: main.adminUrl, token: shipper } } } });
  const chat = async (port: number, key: string, text: string): Promise<string> => String((await ask(`http://127.0.0.1:${port}`, '/v1/chat/completions', { method: 'POST', token: key, body: { model: 'm', messages: [{ role: 'user', content: text }] } })).headers['x-weir-request-id']);
  const far = await chat(edge.port, keys.heron, 'Fileword');
  const [near, foreign] = [await chat(main.port, keys.heron, 'Fileword'), await chat(main.port, keys.osprey, 'Fileword')];
  const item = await chat(main.port, keys.osprey, 'an Egret');
  const call = (path: string, token: string, body?: object) => ask(main.adminUrl, `/api/v1/${path}`, { token, ...(body === undefined ? {} : { method: 'POST', body }) });
  await until(async () => (await call(`decisions?request_id=${far}`, main.token)).body.decisions?.length === 1, 'the shipped exchange in the index');
  await until(async () => (await call('reviews', main.token)).body.items.length === 1, 'the item of another tenant');
  const viewer = await tokenFor(main.adminUrl, main.token, 'viewer', ['tenant-viewer'], ['heron']);
  const object = (id: string, token: string) => call('appeals', token, { request_id: id, reason: 'meant otherwise' });
  const proxied = (id: string) => ask(`http://127.0.0.1:${main.port}`, '/weir/v1/appeals', { method: 'POST', token: keys.heron, body: { request_id: id, reason: 'a user says so' } });

  for (const id of [far, foreign, item]) t.same([(await object(id, viewer)).text.replaceAll(id, 'X'), (await object('none', viewer)).text.replaceAll('none', 'X')].map((text) => text.includes('X') && JSON.parse(text).error.code), ['not_found', 'not_found'], 'of others there is nothing');
  t.match(await object(far, main.token), { status: 200, body: { outcome: 'entered', review: { request_id: far, tenant_id: 'heron', triggered_rules: ['word'], action: 'block' } } }, 'from the copy that was shipped');
  t.match(await proxied(near), { status: 200, body: { outcome: 'entered' } });
  const codes: string[] = [];
  for (const id of [foreign, item, 'none', item, foreign, item, 'none']) codes.push((await proxied(id)).body.error?.code);
  const first = codes.indexOf('rate_limited');
  t.ok(first > 0, codes.join());
  t.ok(codes.every((code, index) => code === (index < first ? 'unknown_request' : 'rate_limited')), `an item of others counts as what is nothing: ${codes.join()}`);
});
