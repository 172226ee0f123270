/**
 * The review queue in a running Weir: what is escalated is there with its text, who is on call is paged and hears of the
 * verdict, two people decide without each other, and verdicts stand in the audit log.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { ask, tokenFor } from './helpers/admin.ts';
import { openHouse, until, watching } from './helpers/house.ts';

t.setTimeout(300_000);

t.test('from an escalated prompt to a page, two verdicts and the end of the alarm', async (t) => {
  const events: { readonly event_action: string; readonly dedup_key: string; readonly routing_key: string }[] = [];
  let beats = 0;
  let refusals = 2;
  const pagerDuty = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => { body += part.toString(); }).on('end', () => {
      if (request.url === '/beat') beats++;
      else if (refusals-- > 0) return void response.writeHead(429, { 'retry-after': '1' }).end();
      else events.push(JSON.parse(body) as typeof events[number]);
      response.writeHead(202).end('{}');
    });
  });
  await new Promise<void>((resolve) => pagerDuty.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { pagerDuty.close(); pagerDuty.closeAllConnections(); });
  const url = `http://127.0.0.1:${(pagerDuty.address() as AddressInfo).port}`;
  const house = await openHouse(t, {
    config: { review: { pager: { routing_keys: ['first'], url: `${url}/enqueue`, heartbeat_url: `${url}/beat` } }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }] },
    files: { 'acme.yaml': watching('Fileword').replace('severity: low', 'severity: critical') },
  });
  t.equal(await house.chat('have you seen an Egret?'), 200, 'it is let go, and looked at after');
  const call = async (method: string, path: string, token = house.token, body?: object) => ask(house.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  await until(async () => (await call('GET', 'reviews')).body.waiting.critical === 1, 'the item');
  const [item] = (await call('GET', 'reviews')).body.items;
  t.match(item, { tenant_id: 'default', direction: 'input', severity: 'critical', status: 'pending', double_blind: true, covered: true, action: null, classifier_results: [], triggered_rules: ['look'] });
  await until(() => events.length === 1, 'the page, after two refusals');
  t.match(events, [{ event_action: 'trigger', routing_key: 'first', dedup_key: `weir-review-${item.review_id}` }]);
  t.notMatch(JSON.stringify(events), /Egret/, 'without content');
  t.ok(beats > 0, 'the heartbeat');

  const [ana, bob] = await Promise.all(['ana', 'bob'].map((name) => tokenFor(house.adminUrl, house.token, name, ['reviewer']))) as [string, string];
  const { body: { fence } } = await call('POST', 'reviews/next', ana);
  t.equal((await call('POST', `reviews/${item.review_id}/claim`, bob)).status, 409, 'it is hers');
  t.match((await call('GET', `reviews/${item.review_id}/content`, ana)).body, { state: 'there', texts: { texts: [{ text: 'have you seen an Egret?', spans: undefined }] } }, 'and no marks, while two decide without each other');
  t.match((await call('POST', `reviews/${item.review_id}/verdict`, ana, { fence, resolution: 'allow', notes: 'a bird' })).body, { status: 'pending', resolution: null, verdicts: [] });
  t.same((await call('GET', `reviews/${item.review_id}`, bob)).body.verdicts, [], 'he does not see hers');
  t.match((await call('POST', `reviews/${item.review_id}/claim`, ana)).body, { error: { code: 'already_decided' } });
  const second = await call('POST', 'reviews/next', bob);
  t.match((await call('POST', `reviews/${item.review_id}/verdict`, bob, { fence: second.body.fence, resolution: 'allow', categories: ['harassment'] })).body, { status: 'resolved', resolution: 'allow', covered: false, action: 'escalate', verdicts: [{ reviewer_id: 'ana' }, { reviewer_id: 'bob' }] });
  t.match((await call('GET', `reviews/${item.review_id}/content`, bob)).body, { texts: { texts: [{ spans: [{ start: 17, end: 22 }] }] } }, 'afterwards what was found is marked');
  await until(() => events.length === 2, 'the end of the alarm');
  t.match(events[1], { event_action: 'resolve', dedup_key: `weir-review-${item.review_id}` });
  t.same((await call('POST', 'reviews/next', ana)).body, { item: null, fence: null });
  t.match((await call('GET', 'agreement')).body, { verdicts: 2, agreement: { items: 1, raw: 1, alpha: null } });
  const { body: { entries } } = await call('GET', 'audit?kind=review');
  t.match(entries, [{ author: 'bob', change: 'verdict', resolved: 'allow', categories: ['harassment'] }, { author: 'ana', change: 'verdict', resolution: 'allow', resolved: null }]);
  t.notMatch(JSON.stringify(entries), /a bird|Egret/, 'neither notes nor content');
});
