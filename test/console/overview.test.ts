/** The overview of a running Weir: what is counted for a direction, a tenant and a time, how classifiers and people keep up. */
import t from 'tap';
import { ask, tokenFor } from '../helpers/admin.ts';
import { visit } from '../helpers/console.ts';
import { openHouse, until } from '../helpers/house.ts';

t.setTimeout(300_000);

const POLICY = 'policy: acme\npatterns:\n  - { id: seen, label: SEEN, literal: [Egret] }\n  - { id: fine, label: FINE, literal: [fine] }\nrules:\n  - { id: look, priority: 1, direction: input, when: { score: patterns.seen, gte: 1 }, action: escalate, severity: high }\n  - { id: fine-out, priority: 2, direction: output, when: { score: patterns.fine, gte: 1 }, action: redact }\n';

t.test('each number is of the direction, the tenant and the time that are asked for', async (t) => {
  const house = await openHouse(t, { config: { review: { double_blind_percent: 0 } }, files: { 'acme.yaml': POLICY } });
  for (const text of ['an Egret', 'an Egret', 'hello', 'you are an idiot and I hate you']) await house.chat(text);
  await until(async () => (await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token })).body.entries.length === 4, 'the exchanges');
  await until(async () => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items.length === 2, 'the items');
  const { fence, item: { review_id: id } } = (await ask(house.adminUrl, '/api/v1/reviews/next', { method: 'POST', token: house.token })).body;
  await ask(house.adminUrl, `/api/v1/reviews/${id}/verdict`, { method: 'POST', token: house.token, body: { fence, resolution: 'allow' } });
  const admin = await visit(house.adminUrl, house.token);
  const shown = async (query = ''): Promise<string> => (await admin.get(`/${query}`)).text;
  const tile = (text: string, name: string): string | undefined => new RegExp(`<dt>${name}</dt><dd><strong>([^<]*)</strong>`).exec(text)?.[1];
  await until(async () => tile(await shown(), 'Exchanges') === '4', 'the counts');
  const all = await shown();
  t.same([tile(all, 'Exchanges'), tile(all, 'Acted on')], ['4', '4'], 'every answer is redacted');
  const [input, output] = [await shown('?direction=input'), await shown('?direction=output')];
  t.same([tile(input, 'Acted on'), tile(output, 'Acted on')], ['2', '4']);
  t.match(input, /Rules that decided.*<code>look<\/code>/s);
  t.notMatch(input, /<code>fine-out<\/code><\/th>/);
  t.match(output, /<code>fine-out<\/code><\/th>/);
  t.match(input, /<code>toxicity\.harassment<\/code>/, 'what was found, by category');
  t.match(all, /<a href="\/classifiers\/toxicity">toxicity<\/a><\/th><td class="number">[\d.]+<\/td>/, 'latency of each classifier');
  t.same([tile(all, 'Waiting for people'), tile(all, 'Overdue'), tile(all, 'Decided in this time'), tile(all, 'Overridden: people let it through')], ['1', '0', '1', '100 %']);
  t.match(all, /1 of 1 \(21–100 %\)/, 'with the interval that one verdict allows');
  t.match(await shown('?tenant=nobody'), /No exchange in this time/);
  t.match(await shown('?since=2000-01-01&until=2000-01-02'), /No exchange in this time/);
  const yesterday = new Date(Date.now() - 30 * 3_600_000).toISOString();
  t.equal(tile(await shown(`?since=${yesterday}`), 'Exchanges'), '4');
  t.equal(tile(await shown(`?since=${yesterday.slice(0, 10)}&direction=output`), 'Acted on'), '4');
  t.match(await admin.get('/?since=2000-01-01'), { status: 400, text: /at most 3000 are counted at once/ });
  t.match(await admin.get('/?since=never'), { status: 400, text: /times such as/ });
  t.match(await shown('?live=1'), /id="fresh" data-live="10000"/);
  t.notMatch(await shown(`?since=${yesterday}&live=1`), /data-live/, 'what is over is not made anew');
  const auditor = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'looks', ['auditor']));
  t.match((await auditor.get('/')).text, /Waiting for people/);
  const viewer = await visit(house.adminUrl, await tokenFor(house.adminUrl, house.token, 'theirs', ['tenant-viewer'], ['default']));
  t.match((await viewer.get('/')).text, /<th scope="row"><code>grounding<\/code><\/th><td class="number">–/, 'who may not see classifiers sees what is counted');
});
