/**
 * What people who review ask for themselves, over the API of a running Weir: each gets their own, the audit log nothing,
 * tenants no names; the question whether to have a break comes before the next item and is theirs to answer.
 */
import t, { type Test } from 'tap';
import { WELLNESS_DEFAULTS } from '../../src/contract/wellness.ts';
import { ask, tokenFor, type Answered } from '../helpers/admin.ts';
import { visit } from '../helpers/console.ts';
import { openHouse, until, type House } from '../helpers/house.ts';

t.setTimeout(300_000);

const POLICY = `policy: acme
patterns:
  - { id: look, label: LOOK, literal: [Egret] }
  - { id: violence, label: VIOLENCE, literal: [Shrike] }
  - { id: sexual, label: SEXUAL, literal: [Godwit] }
rules:
  - { id: violence, priority: 1, direction: input, when: { score: patterns.violence, gte: 1 }, action: escalate, severity: high }
  - { id: sexual, priority: 2, direction: input, when: { score: patterns.sexual, gte: 1 }, action: escalate, severity: medium }
  - { id: look, priority: 5, direction: input, when: { score: patterns.look, gte: 1 }, action: escalate, severity: low }
`;

interface Person {
  readonly token: string;
  call(method: string, path: string, body?: object | string): Promise<Answered>;
}

async function waiting(t: Test, texts: readonly string[], review: object = {}): Promise<{ readonly house: House; readonly person: (name: string, role?: string) => Promise<Person> }> {
  const house = await openHouse(t, { config: { review: { double_blind_percent: 0, ...review }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }] }, files: { 'acme.yaml': POLICY } });
  for (const text of texts) await house.chat(text);
  await until(async () => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.items.length === texts.length, 'the items');
  return { house, person: async (name, role = 'reviewer') => {
    const token = await tokenFor(house.adminUrl, house.token, name, [role], role === 'tenant-viewer' ? ['default'] : []);
    return { token, call: (method, path, body) => ask(house.adminUrl, path, { method, token, ...(body === undefined ? {} : { body }) }) };
  } };
}

t.test('settings are each person\'s own, checked, and in no log', async (t) => {
  const { house, person } = await waiting(t, []);
  const [ana, bob] = [await person('ana'), await person('bob')];
  t.match(await ana.call('GET', '/api/v1/me/wellness'), { status: 200, body: { reviewer: 'ana', settings: WELLNESS_DEFAULTS, breaks: { after_minutes: 60, after_severe_items: 25, minutes: 10, state: 'working', until: null }, today: { opened: 0, subjects: [] } } });
  const before = (await ask(house.adminUrl, '/api/v1/audit', { token: house.token })).body.entries.length;
  const hers = { cover: false, greyscale: true, opt_out: ['violence', 'sexual', 'violence'], break_after_minutes: 10, break_after_items: 5 };
  t.match(await ana.call('PUT', '/api/v1/me/wellness', hers), { status: 200, body: { settings: { ...hers, opt_out: ['sexual', 'violence'] }, breaks: { after_minutes: 10, after_severe_items: 5 } } });
  t.match((await bob.call('GET', '/api/v1/me/wellness')).body.settings, WELLNESS_DEFAULTS);
  const wrong: readonly (object | string)[] = ['', '7', '[]', 'null', { colour: true }, { cover: 'yes' }, { opt_out: ['work'] }, { opt_out: 'sexual' }, { break_after_minutes: 9 }, { break_after_minutes: 61 }, { break_after_minutes: 20.5 }, { break_after_items: 4 }, { break_after_items: 26 }, { break_after_items: '7' }, { reason: 'none of yours' }];
  for (const body of wrong) t.match(await ana.call('PUT', '/api/v1/me/wellness', body), { status: 400, body: { error: { code: 'invalid_request' } } }, JSON.stringify(body));
  for (const body of [{ break_after_minutes: 10, break_after_items: 5 }, { break_after_minutes: 60, break_after_items: 25 }]) t.equal((await ana.call('PUT', '/api/v1/me/wellness', body)).status, 200, 'at both ends');
  t.match((await ana.call('GET', '/api/v1/me/wellness')).body.settings, { cover: true, opt_out: [] }, 'what is left out is as at first');
  for (const body of ['', {}, { take: 'yes' }]) t.equal((await ana.call('POST', '/api/v1/me/break', body)).status, 400);
  t.equal((await ask(house.adminUrl, '/api/v1/audit', { token: house.token })).body.entries.length, before, 'no entry says so');
  t.notMatch(house.log.join('\n'), /opt_out|greyscale|violence/);
  for (const role of ['auditor', 'policy', 'tenant-viewer']) t.equal((await (await person(`a-${role}`, role)).call('GET', '/api/v1/me/wellness')).status, 403, role);
});

t.test('who left a kind out is not given it; others are', async (t) => {
  const { person } = await waiting(t, ['a Godwit', 'a Shrike', 'an Egret']);
  const [ana, bob] = [await person('ana'), await person('bob')];
  await ana.call('PUT', '/api/v1/me/wellness', { opt_out: ['violence', 'sexual'] });
  const rule = async ({ call }: Person): Promise<unknown> => (await call('POST', '/api/v1/reviews/next')).body.item?.triggered_rules[0];
  t.same([await rule(ana), await rule(ana), await rule(bob), await rule(bob), await rule(bob)], ['look', undefined, 'violence', 'sexual', undefined]);
});

t.test('what is opened is counted for who opened it, once, and only when there is something to read', async (t) => {
  const { person } = await waiting(t, ['a Shrike and a Godwit']);
  const [ana, bob] = [await person('ana'), await person('bob')];
  const { item: { review_id: id } } = (await ana.call('POST', '/api/v1/reviews/next')).body;
  t.match(await ana.call('GET', `/api/v1/reviews/${id}/content?only=state`), { status: 200, body: { state: 'there', texts: undefined } });
  t.equal((await ana.call('GET', `/api/v1/reviews/${id}/content?only=all`)).status, 400);
  t.match((await ana.call('GET', '/api/v1/me/wellness')).body.today, { opened: 0 }, 'to ask whether there is a text opens nothing');
  for (const _ of ['once', 'again']) t.match((await ana.call('GET', `/api/v1/reviews/${id}/content`)).body, { state: 'there', texts: { texts: [{ text: 'a Shrike and a Godwit' }] } });
  t.match((await ana.call('GET', '/api/v1/me/wellness')).body.today, { opened: 1, severe: 1, undisclosed: 0, subjects: [{ subject: 'sexual', opened: 1 }, { subject: 'violence', opened: 1 }] });
  t.match((await bob.call('GET', '/api/v1/me/wellness')).body.today, { opened: 0, subjects: [] });
});

t.test('a break is asked for before the next item, cannot be switched off, and is answered as one likes', async (t) => {
  const { person } = await waiting(t, Array.from({ length: 7 }, (_, i) => `the ${i}. Shrike`), { breaks: { after_severe_items: 5, minutes: 5 } });
  const ana = await person('ana');
  await ana.call('PUT', '/api/v1/me/wellness', { break_after_items: 5 });
  const open = async (): Promise<Answered> => {
    const given = await ana.call('POST', '/api/v1/reviews/next');
    if (given.status === 200) await ana.call('GET', `/api/v1/reviews/${given.body.item.review_id}/content`);
    return given;
  };
  for (let i = 0; i < 5; i++) t.equal((await open()).status, 200, `${i}`);
  t.match(await open(), { status: 409, body: { error: { code: 'break_due', message: /api\/v1\/me\/break/ } } });
  t.match((await ana.call('GET', '/api/v1/me/wellness')).body.breaks, { state: 'due' });
  t.equal((await open()).status, 409, 'as long as it is not answered');
  const [free] = (await ana.call('GET', '/api/v1/reviews?status=pending')).body.items;
  t.equal((await ana.call('POST', `/api/v1/reviews/${free.review_id}/claim`)).status, 200, 'an item that is chosen can be had all the same');
  t.match(await ana.call('POST', '/api/v1/me/break', { take: true }), { status: 200, body: { breaks: { state: 'break', until: /^20/ } } });
  t.match(await open(), { status: 409, body: { error: { code: 'on_break' } } });
  t.match(await ana.call('POST', '/api/v1/me/break', { take: false }), { status: 200, body: { breaks: { state: 'working', until: null } } });
  t.equal((await open()).status, 200);
  t.equal((await (await person('bob')).call('POST', '/api/v1/reviews/next')).status, 200, 'nobody else was asked');
});

t.test('a tenant is not told who reviews, only that it is the same person', async (t) => {
  const { house, person } = await waiting(t, ['an Egret', 'another Egret', 'a third Egret']);
  const [ana, bob, viewer] = [await person('ana.reviews'), await person('bob.reviews'), await person('theirs', 'tenant-viewer')];
  const decide = async ({ call }: Person): Promise<string> => {
    const { item, fence } = (await call('POST', '/api/v1/reviews/next')).body;
    t.equal((await call('POST', `/api/v1/reviews/${item.review_id}/verdict`, { fence, resolution: 'allow' })).status, 200);
    return item.review_id as string;
  };
  const [first, second] = [await decide(ana), await decide(ana)];
  const { item: { review_id: third } } = (await bob.call('POST', '/api/v1/reviews/next')).body;
  const browser = await visit(house.adminUrl, viewer.token);
  const seen = [await viewer.call('GET', '/api/v1/reviews'), ...(await Promise.all([first, second, third].flatMap((id) => [viewer.call('GET', `/api/v1/reviews/${id}`), browser.get(`/review/${id}`)]))), await browser.get('/review'), await viewer.call('POST', `/api/v1/reviews/${first}/appeal`, { reason: 'why' }), await viewer.call('GET', '/api/v1/audit')];
  for (const { status, text } of seen) {
    t.equal(status, 200);
    t.notMatch(text, /ana\.reviews|bob\.reviews/);
  }
  const nameIn = async (id: string): Promise<string> => (await viewer.call('GET', `/api/v1/reviews/${id}`)).body.verdicts[0].reviewer_id;
  const [one, same] = [await nameIn(second), await nameIn(first)];
  t.match(one, /^reviewer-[0-9a-f]{8}$/);
  t.equal(one, same);
  t.not((await viewer.call('GET', `/api/v1/reviews/${third}`)).body.reviewer_id, one, 'another person has another');
  t.equal((await ana.call('GET', `/api/v1/reviews/${second}`)).body.verdicts[0].reviewer_id, 'ana.reviews', 'who sees all tenants is told');
});

t.test('the text is under its cover until it is opened; what may be violent or sexual always is', async (t) => {
  const { house, person } = await waiting(t, ['an Egret <b>x</b>', 'a Shrike <b>y</b>']);
  const ana = await person('ana');
  const browser = await visit(house.adminUrl, ana.token);
  const { items } = (await ana.call('GET', '/api/v1/reviews')).body as { readonly items: readonly { readonly review_id: string; readonly triggered_rules: readonly string[] }[] };
  const [calm, violent] = ['look', 'violence'].map((rule) => items.find((item) => item.triggered_rules[0] === rule)!.review_id);
  const shown = async (id: string, query = ''): Promise<string> => (await browser.get(`/review/${id}${query}`)).text;
  for (const id of [calm!, violent!]) t.match(await shown(id), /class="cover".*Show the text/s);
  t.match(await shown(violent!), /Severity <strong>high<\/strong>\. It may be about: <code>violence<\/code>/);
  t.notMatch(await shown(violent!), /&lt;b&gt;/);
  t.match(await shown(violent!, '?open=1&fence=3'), /<details open>.*a <mark[^>]*>Shrike<.*<\/mark> &lt;b&gt;y/s);
  t.match((await browser.get('/me')).text, /1 item on .*, 1 of them severe.*<code>violence<\/code>/s);
  t.match(await browser.post('/me', { greyscale: 'yes', not: 'hate', minutes: '30', items: '' }), { status: 200, text: /Kept\..*30 minutes at it/s });
  t.match((await ana.call('GET', '/api/v1/me/wellness')).body.settings, { cover: false, greyscale: true, opt_out: ['hate'], break_after_minutes: 30, break_after_items: null });
  t.match(await shown(calm!), /<details open class="grey">.*an <mark[^>]*>Egret<.*<\/mark> &lt;b&gt;x/s, 'who does not want the cover has none');
  t.match(await shown(violent!), /class="cover"/, 'but here');
  t.match(await browser.post('/me', { minutes: '7' }), { status: 400, text: /break_after_minutes is null, or a whole number from 10 to 60/ });
  t.match(await browser.post('/me/break', { take: 'true' }), { status: 303, headers: { location: '/me' } });
  t.match(await browser.post('/review/next', {}), { status: 303, headers: { location: '/me' } });
  t.match((await browser.get('/me')).text, /You have a break/);
  t.match(await browser.post('/me/break', { take: 'false' }), { status: 303, headers: { location: '/review' } });
  t.match(await browser.post('/review/next', {}), { status: 303, headers: { location: /^\/review\/rev_/ } });
});
