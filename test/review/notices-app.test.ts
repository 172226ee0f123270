/**
 * What a tenant hears of the queue of a running Weir: verdicts of people, made over the API or in a terminal, told over a
 * restart while its receiver was away; what nobody judged in time, told once; and the same in metrics, log and API.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { review } from '../../src/cli/review.ts';
import type { ReviewNotice } from '../../src/contract/notification.ts';
import { ask } from '../helpers/admin.ts';
import { freshFolder, openHouse, until, watching } from '../helpers/house.ts';

t.setTimeout(300_000);

const SECRET = 'made-up-secret-0123456789';

t.test('a verdict is told over a restart, a breach once, and both are counted', async (t) => {
  const got: { readonly path: string; readonly notice: ReviewNotice }[] = [];
  let isAway = true;
  const receiver = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => { text += part.toString(); }).on('end', () => {
      if (isAway) return void response.destroy();
      got.push({ path: request.url!, notice: JSON.parse(text) as ReviewNotice });
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { receiver.close(); receiver.closeAllConnections(); });
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const dir = freshFolder(t);
  const options = {
    dir, files: { 'acme.yaml': watching('Fileword') },
    config: {
      review: { double_blind_percent: 0, deadlines: { low_ms: 1_000 } }, notifications: { webhook: { url: `${url}/operator`, secret: SECRET } },
      tenants: [{ id: 'default', policy: 'acme', upstream: 'local', webhook: { url: `${url}/tenant`, secret: SECRET, events: ['override', 'resolved', 'overdue'] } }],
    },
  };
  const first = await openHouse(t, options);
  for (const _ of ['one', 'two']) t.equal(await first.chat('have you seen an Egret?'), 200);
  const reviews = async (house = first): Promise<readonly Record<string, any>[]> => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items;
  await until(async () => (await reviews()).length === 2, 'the items');
  const [{ review_id: second }, { review_id: one }] = await reviews() as [Record<string, string>, Record<string, string>];
  const { body: { fence } } = await ask(first.adminUrl, `/api/v1/reviews/${one}/claim`, { method: 'POST', token: first.token });
  await ask(first.adminUrl, `/api/v1/reviews/${one}/verdict`, { method: 'POST', token: first.token, body: { fence, resolution: 'block', categories: ['hate'], notes: 'not nice' } });
  await first.app.close();
  const io = { stdout: () => undefined, stderr: () => undefined, stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  t.equal(await review.run(['resolve', second!, 'allow', '--config', join(dir, 'weir.yaml')], io), 0, 'beside no Weir at all');
  t.equal(got.length, 0);

  isAway = false;
  const house = await openHouse(t, options);
  const of = (event: string) => got.filter(({ notice }) => notice.event === event);
  await until(() => of('review_override').length === 1 && of('review_resolved').length === 1, 'both verdicts');
  t.match(of('review_override'), [{ path: '/tenant', notice: { review_id: one, action: 'escalate', resolution: 'block', retroactive_action: 'withdraw', categories: ['hate'], notice_id: `${one}.1.resolved` } }]);
  t.match(of('review_resolved'), [{ path: '/tenant', notice: { review_id: second, resolution: 'allow', retroactive_action: null } }]);
  t.equal(await house.chat('another Egret'), 200);
  await until(() => of('review_overdue').filter(({ notice }) => notice.review_id !== one && notice.review_id !== second).length === 2, 'the breach');
  await until(async () => (await ask(house.adminUrl, '/api/v1/audit?kind=review', { token: house.token })).body.entries.some(({ change }: Record<string, string>) => change === 'overdue'), 'its entry');
  t.same([...new Set(of('review_overdue').map(({ path }) => path))].sort(), ['/operator', '/tenant']);
  t.notMatch(JSON.stringify(got), /Egret|not nice/, 'neither content nor notes');
  const { body: { entries } } = await ask(house.adminUrl, '/api/v1/audit?kind=review', { token: house.token });
  const late = entries.filter(({ change }: Record<string, string>) => change === 'overdue');
  t.equal(new Set(late.map(({ review_id: id, round }: Record<string, string>) => `${id} ${round}`)).size, late.length, 'each once');
  t.ok(late.every(({ author, resolved }: Record<string, unknown>) => author === 'weir' && resolved === null));
  t.ok(house.log.some((line) => /"review overdue"/.test(line) && /"severity":"low"/.test(line)));
  const metrics = await house.metrics();
  for (const line of [
    /weir_review_resolved_total\{tenant="default",origin="escalate",resolution="block"[^}]*\} 1\b/, /weir_review_overrides_total\{tenant="default",retroactive_action="withdraw"[^}]*\} 1\b/,
    /weir_review_judged_total\{policy="acme",rule="look",resolution="allow"[^}]*\} 1\b/, /weir_review_overdue_total\{tenant="default",severity="low"[^}]*\} \d/, /weir_review_notices_total\{receiver="operator",outcome="taken"[^}]*\} \d/,
    /weir_review_resolution_seconds_count\{severity="low"[^}]*\} 2\b/, /weir_review_items_total\{tenant="default",origin="escalate",admission="new"[^}]*\} 1\b/,
  ]) t.match(metrics, line);
  const { body: overrides } = await ask(house.adminUrl, '/api/v1/overrides', { token: house.token });
  t.match(overrides, { rules: [{ policy: 'acme', rule: 'look', false_positives: { judged: 2, of: 1, rate: 0.5 }, near_misses: null }], all: { judged: 2, of: 1 } });
  await until(async () => /weir_review_waiting\{severity="low"[^}]*\} 1\b/.test(await house.metrics()), 'what waits');
});
