/**
 * What people do in the console in a real browser: decide item after item, write policies, do what cannot be undone, all
 * by keyboard; and all of it without JavaScript. With WEIR_TEST_SCREENSHOTS it leaves pictures in that folder.
 */
import { join } from 'node:path';
import t from 'tap';
import { ask } from '../helpers/admin.ts';
import { barriers, NO_BROWSER, openBrowser, openWindow, overflow } from '../helpers/browser.ts';
import { furnished, logIn, POLICY, shots } from '../helpers/console-walk.ts';
import { blocking, openHouse, until, watching } from '../helpers/house.ts';
import { trainedModels } from '../helpers/models.ts';

t.setTimeout(600_000);

t.test('a reviewer decides item after item by keys alone', { skip: NO_BROWSER }, async (t) => {
  const house = await openHouse(t, {
    config: { review: { double_blind_percent: 0 }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }] }, files: { 'acme.yaml': watching('Fileword') },
  });
  const items = 60;
  for (let i = 0; i < items; i++) await house.chat(`the ${i}. Egret says <b>hello</b> \u202Eolleh`);
  const waiting = async (): Promise<number> => (await ask(house.adminUrl, '/api/v1/reviews', { token: house.token })).body.waiting.low as number;
  await until(async () => (await waiting()) === items, 'the items');
  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 1280, scheme: 'light' });
  await logIn(page, house.token);
  const picture = async (name: string): Promise<void> => { if (shots !== undefined) await page.screenshot({ path: join(shots, `review-${name}.png`), fullPage: true }); };
  await page.keyboard.press('g');
  await Promise.all([page.waitForURL('**/review'), page.keyboard.press('r')]);
  await picture('queue');
  t.same([await barriers(page), await overflow(page)], [[], 0]);
  await Promise.all([page.waitForURL('**/review/rev_*'), page.keyboard.press('t')]);
  await page.waitForLoadState();
  t.equal(await page.locator('details[open] pre').count(), 0, 'the text is covered');
  await page.keyboard.press('v');
  t.match(await page.locator('details[open] pre').innerText(), /Egret\s+\(SEEN\)\s+says <b>hello<\/b>/, 'and shown as it is written, with what was found marked');
  await picture('item');
  t.same([await barriers(page), await overflow(page)], [[], 0]);
  await page.keyboard.press('/');
  await page.keyboard.type('a bird, seen');
  await page.keyboard.press('Escape');
  const startMs = performance.now();
  for (let i = 0; i < items; i++) {
    // Each text lies under its cover, as it does without settings, and is opened.
    if (i > 0) await Promise.all([page.waitForURL('**open=1**'), page.keyboard.press('v')]);
    const before = page.url();
    await Promise.all([page.waitForURL((url) => url.href !== before), page.keyboard.press(i % 5 === 4 ? 'b' : 'a')]);
    await page.waitForLoadState();
  }
  const eachMs = (performance.now() - startMs) / items;
  t.comment(`${eachMs.toFixed(0)} ms for each of ${items} items, opened and decided: ${(60_000 / eachMs).toFixed(0)} a minute`);
  t.equal(new URL(page.url()).pathname, '/review', 'nothing is left');
  t.equal(await waiting(), 0);
  const { body: { items: decided } } = await ask(house.adminUrl, '/api/v1/reviews', { token: house.token });
  t.same([decided.filter(({ resolution }: { resolution: string }) => resolution === 'block').length, decided.length], [12, items]);
  t.same(complaints, []);
});

t.test('a policy is judged while it is typed: at its line, in words, once typing rests', { skip: NO_BROWSER }, async (t) => {
  const house = await furnished(t);
  for (const [width, scheme] of [[1280, 'light'], [360, 'dark']] as const) {
    const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width, scheme });
    await logIn(page, house.token);
    await page.goto('/policies/acme/edit');
    await page.locator('#f-text').focus();
    await page.keyboard.press('Control+End');
    const lines = (await page.locator('#f-text').inputValue()).split('\n').length;
    await page.keyboard.type('rulez: []\n\nextra\u202E: 1\n');
    const live = page.locator('#live.fault');
    await live.waitFor();
    t.match(await live.innerText(), new RegExp(`line ${lines}, column 1 rulez: unknown key rulez`));
    t.match(await live.innerText(), /⟨202E⟩/, 'what cannot be seen is written out');
    t.equal(await page.locator('#live').getAttribute('aria-live'), 'polite');
    t.equal(await page.locator('#f-text').getAttribute('aria-invalid'), 'true');
    const mark = page.locator('.gutter .found.error').first();
    t.equal(await mark.innerText(), `▸${lines}`);
    const [at, area] = [await mark.boundingBox(), await page.locator('#f-text').boundingBox()];
    t.ok(at!.y >= area!.y - 2 && at!.y < area!.y + area!.height, 'beside the text');
    if (width === 1280) t.match(await page.locator('.notes .error').first().innerText(), /^1: unknown key rulez/);
    t.same([await barriers(page), await overflow(page)], [[], 0]);
    if (shots !== undefined) await page.screenshot({ path: join(shots, `typed-${width}.png`), fullPage: true });
    await page.locator('#live button[data-line]').first().press('Enter');
    t.match(await page.evaluate('document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)'), 'rulez: []');
    await page.locator('#f-text').fill(POLICY);
    await page.locator('#live.good').waitFor();
    t.match(await page.locator('#live').innerText(), /can be used/);
    t.equal(await page.locator('.gutter .found').count(), 0);
    await page.locator('#f-text').fill(`# ${'x'.repeat(300_000)}`);
    await page.locator('#live.fault').waitFor();
    t.equal(await overflow(page), 0, 'a line of any length');
    t.equal((await house.api('GET', '/acme')).body.number, 2, 'nothing was stored');
    t.same(complaints.filter((line) => !/status of 4(?:00|13|22)/.test(line)), []);
  }
});

t.test('the overview is kept fresh while it is looked at, and left alone while it is worked in', { skip: NO_BROWSER }, async (t) => {
  const house = await furnished(t);
  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 1280, scheme: 'light' });
  await logIn(page, house.token);
  const seen = async (): Promise<number> => Number(await page.locator('.tiles strong').first().innerText().catch(() => '0'));
  await until(async () => (await page.goto('/?live=1')) !== null && (await page.locator('.tiles').count()) > 0 && (await seen()) === 7, 'the counts');
  t.same([await barriers(page), await overflow(page)], [[], 0]);
  if (shots !== undefined) await page.screenshot({ path: join(shots, 'overview-live.png'), fullPage: true });
  await page.locator('#f-tenant').focus();
  await page.keyboard.type('def');
  await house.chat('one more');
  await until(async () => (await seen()) === 8, 'the newest number');
  t.equal(await page.locator('#f-tenant').inputValue(), 'def', 'what is typed stays');
  t.equal(await page.evaluate('document.activeElement.id'), 'f-tenant');
  t.same(complaints, []);
});

t.test('what cannot be undone is done by keys, after its name was typed', { skip: NO_BROWSER }, async (t) => {
  const house = await furnished(t);
  await house.api('PUT', '/spare', blocking('Heron', 'spare'));
  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 360, scheme: 'dark' });
  await logIn(page, house.token);
  const type = async (...texts: readonly string[]): Promise<void> => {
    for (const text of texts) {
      await page.keyboard.type(text);
      await page.keyboard.press('Tab');
    }
  };
  await page.goto('/policies/spare');
  await page.locator('#f-confirm').focus();
  await type('spare', 'not needed');
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  t.match(await page.locator('main').innerText(), /It retires the policy/);
  const { body: { entries: [newest] } } = await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token });
  await page.goto('/audit/erasures');
  await page.locator('#f-of').focus();
  await type('default', '', newest.request_id, 'defalt');
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  t.match(await page.locator('.fault').innerText(), /two names differ/);
  t.equal(await page.locator('#f-value').inputValue(), newest.request_id, 'what was written is kept');
  await page.locator('#f-confirm').focus();
  await type('default');
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
  t.match(await page.locator('.good').innerText(), /The keys of 1 exchange are destroyed/);
  t.same([await barriers(page), await overflow(page)], [[], 0]);
  t.same(complaints.filter((line) => !/status of 400/.test(line)), []);
});

t.test('a link of another site finds who is logged in', { skip: NO_BROWSER }, async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const { page } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 1280, scheme: 'light' });
  await logIn(page, house.token);
  // Another name is another site.
  const elsewhere = house.adminUrl.replace('127.0.0.1', 'localhost');
  await page.route(`${elsewhere}/elsewhere`, (route) => route.fulfill({ contentType: 'text/html', body: `<a href="${house.adminUrl}/tenants/default">there</a>` }));
  await page.goto(`${elsewhere}/elsewhere`);
  await page.click('a');
  await page.getByRole('heading', { name: 'Tenant default' }).waitFor();
  t.equal(new URL(page.url()).pathname, '/tenants/default');
});

for (const [width, scheme, javaScriptEnabled] of [[360, 'dark', true], [1280, 'light', false]] as const) {
  t.test(`a model is let work, and the former brought back, after its name was typed: ${width} pixels, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, { skip: NO_BROWSER }, async (t) => {
    const house = await furnished(t);
    const trained = trainedModels(house.dir);
    t.teardown(() => trained.close());
    const model = await trained.fresh();
    const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width, scheme, javaScriptEnabled });
    await page.goto('/login');
    await page.locator('#token').fill(house.token);
    await Promise.all([page.waitForNavigation(), page.locator('#token').press('Enter')]);
    // What looks for barriers is a script.
    const look = async (): Promise<void> => void (javaScriptEnabled && t.same([await barriers(page), await overflow(page)], [[], 0]));
    const send = async (fields: Readonly<Record<string, string>>, button: string): Promise<string> => {
      for (const [name, value] of Object.entries(fields)) await page.locator(`#f-${name}`).fill(value);
      await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: button }).press('Enter')]);
      await look();
      return page.locator('[role=alert], [role=status]').first().innerText();
    };
    await page.goto(`/learn/${model}`);
    t.match(await send({ share: '50' }, 'Run it beside'), /scores live traffic/);
    t.match(await send({}, 'End it beside'), /runs beside no more/);
    t.match(await send({ confirm: 'another' }, 'Let it work'), /Nothing was switched/);
    t.match(await send({ confirm: model }, 'Let it work'), new RegExp(`${model} works from now on in place of what is shipped`));
    if (shots !== undefined) await page.screenshot({ path: join(shots, `model-works-${width}.png`), fullPage: true });
    await page.goto('/learn');
    t.match(await page.locator('main').innerText(), /1 follows/);
    t.match(await send({ plugin: 'prompt-injection', confirm: 'toxicity' }, 'Roll back'), /Nothing was switched/);
    t.match(await send({ plugin: 'prompt-injection', confirm: 'prompt-injection', reason: 'a try' }, 'Roll back'), /what is shipped works from now on/);
    await page.goto(`/learn/${model}`);
    t.match(await send({ gone: model }, 'Remove its file'), /its file is gone/);
    await page.goto('/learn/history/prompt-injection');
    await look();
    t.match(await page.locator('main').innerText(), /rollback[\s\S]*a try[\s\S]*promote/);
    t.same(complaints.filter((line) => !/status of 4(?:00|09|22)/.test(line)), []);
  });
}

t.test('without JavaScript', { skip: NO_BROWSER }, async (t) => {
  const house = await furnished(t);
  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 1280, scheme: 'light', javaScriptEnabled: false });
  await logIn(page, house.token);
  await page.click('tbody a');
  await page.click('text=Edit');
  await page.fill('#f-text', POLICY.replaceAll('Bluebird', 'Wren'));
  await page.fill('#f-comment', 'wrens');
  await page.click('text=Store as revision 3');
  await page.waitForURL('**/policies/acme');
  t.match(await page.locator('main').innerText(), /Revision 3, the newest[\s\S]*wrens/);
  await page.click('text=Log out');
  await page.waitForURL('**/login');
  await page.goto('/policies');
  t.match(page.url(), /\/login\?next=%2Fpolicies$/);
  t.same(complaints, []);
});
