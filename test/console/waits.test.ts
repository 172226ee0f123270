/**
 * Requests that wait for a person, in a real browser: seen, taken and let go by keys, and the provider then asked; what
 * nobody decides, whose time counts down; what others let go meanwhile; and the same without scripts.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { barriers, NO_BROWSER, openBrowser, openWindow, overflow, type Look } from '../helpers/browser.ts';
import { logIn, shots } from '../helpers/console-walk.ts';
import { holding, openHeld, waiting, type HeldHouse } from '../helpers/held.ts';
import { until } from '../helpers/house.ts';

t.setTimeout(600_000);

async function sitDown(t: Test, house: HeldHouse, look: Look) {
  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, look);
  await logIn(page, house.token);
  const check = async (name: string): Promise<void> => {
    if (shots !== undefined) await page.screenshot({ path: join(shots, `wait-${name}-${look.width}-${look.scheme}.png`), fullPage: true });
    t.same([await barriers(page), await overflow(page)], [[], 0], name);
  };
  return { page, complaints, check };
}

for (const width of [360, 768, 1280]) {
  for (const scheme of ['light', 'dark'] as const) {
    t.test(`at ${width} pixels, ${scheme}: a request is seen, taken and let go by keys`, { skip: NO_BROWSER }, async (t) => {
      const house = await openHeld(t, holding('block', '10m'));
      const answer = house.send('an Egret, please');
      const { review_id: id } = await waiting(house);
      const { page, complaints, check } = await sitDown(t, house, { width, scheme });
      await page.keyboard.press('g');
      await Promise.all([page.waitForURL('**/review'), page.keyboard.press('r')]);
      const left = page.locator('[data-wait] [data-left]');
      await page.locator('[data-left]', { hasText: /^\d+ min \d\d s left$/ }).waitFor();
      const first = await left.innerText();
      await until(async () => (await left.innerText()) !== first, 'the time to count down');
      await check('list');
      await Promise.all([page.waitForURL('**/review/rev_*'), page.keyboard.press('t')]);
      t.match(page.url(), id, 'what waits is taken first');
      await page.locator('[data-says] [data-left]', { hasText: /^\d+ min \d\d s left$/ }).waitFor();
      t.match(await page.locator('.facts').innerText(), /waits, \d+ min \d\d s left: until [\d:]{8} UTC, then block/);
      await check('item');
      t.equal(house.provider.prompts.length, 0, 'the provider is not asked yet');
      await Promise.all([page.waitForURL('**/review'), page.keyboard.press('a')]);
      t.match(await answer, { status: 200, text: /fine/ });
      t.match(house.provider.prompts, [/an Egret, please/], 'it is asked now');
      t.match(await page.locator('table.rows').innerText(), /waited, and was let go by a verdict: allow/);
      await check('let-go');
      t.same(complaints, []);
    });
  }
}

t.test('a queue that is kept fresh shows what comes to wait, and counts it down', { skip: NO_BROWSER }, async (t) => {
  const house = await openHeld(t, holding('block', '10m'));
  const { page, complaints, check } = await sitDown(t, house, { width: 360, scheme: 'dark' });
  await page.goto('/review');
  await Promise.all([page.waitForURL('**/review?live=1'), page.keyboard.press('f')]);
  t.equal(await page.locator('[data-wait]').count(), 0);
  const answer = house.send('an Egret, please');
  const { review_id: id } = await waiting(house);
  const left = page.locator('#fresh [data-left]', { hasText: /^\d+ min \d\d s left$/ });
  await left.waitFor();
  const first = await left.innerText();
  await until(async () => (await left.innerText()) !== first, 'the time to count down');
  await check('fresh');
  await Promise.all([page.waitForURL(`**/review/${id}?*`), page.keyboard.press('t')]);
  await page.keyboard.press('b');
  t.match(await answer, { status: 400 });
  t.same(complaints, []);
});

t.test('what nobody decides counts down, and turns to what was done', { skip: NO_BROWSER }, async (t) => {
  const house = await openHeld(t, holding('block', '14s'));
  const answer = house.send('an Egret');
  const { review_id: id } = await waiting(house);
  const { page, complaints, check } = await sitDown(t, house, { width: 1280, scheme: 'light' });
  await page.goto(`/review/${id}`);
  const place = page.locator(`#wait-${id.replaceAll('.', '\\.')}`);
  await place.filter({ hasText: 'nobody decided in time: block' }).waitFor();
  t.equal(await place.getAttribute('data-wait'), null);
  t.match(await page.locator('#wait-said').innerText(), /A request waited, and nobody decided in time: block/);
  t.equal(await page.locator('#wait-said').getAttribute('role'), 'status');
  t.match(await answer, { status: 400 });
  t.equal(house.provider.prompts.length, 0);
  await check('over');
  t.same(complaints, []);
});

t.test('the last seconds are told aloud once, and the rest of the time nothing', { skip: NO_BROWSER }, async (t) => {
  const house = await openHeld(t, holding('block', '10m'));
  house.send('an Egret').catch(() => undefined);
  const { review_id: id } = await waiting(house);
  const { page } = await sitDown(t, house, { width: 1280, scheme: 'dark' });
  // The clock of the page runs ahead of that of the house, as fast as it is told.
  await page.clock.install();
  await page.goto(`/review/${id}`);
  await page.evaluate(`globalThis.heard = []; new MutationObserver(() => heard.push(document.getElementById('wait-said').textContent)).observe(document.getElementById('wait-said'), { childList: true })`);
  for (let seconds = 0; seconds < 610; seconds += 2) await page.clock.runFor(2_000);
  const heard = (await page.evaluate('heard')) as string[];
  t.equal(heard.length, 3, heard.join());
  for (const [index, seconds] of [60, 30, 10].entries()) {
    const told = /^(?:(\d+) min )?(\d+) s left$/.exec(heard[index] ?? '');
    t.ok(told !== null && Math.abs(Number(told[1] ?? 0) * 60 + Number(told[2]) - seconds) <= 3, `${seconds}: ${heard[index]}`);
  }
  t.equal(await page.locator('[data-left]').innerText(), '0 s left', 'the house has not said that it is over');
});

t.test('what another lets go meanwhile is told where one looks, in the list as well', { skip: NO_BROWSER }, async (t) => {
  const house = await openHeld(t, holding('block', '10m'));
  const sent = house.send('an Egret');
  const { review_id: id } = await waiting(house);
  const list = await sitDown(t, house, { width: 768, scheme: 'light' });
  const one = await sitDown(t, house, { width: 360, scheme: 'dark' });
  await Promise.all([list.page.goto('/review?severity=low'), one.page.goto(`/review/${id}`)]);
  await list.page.keyboard.press('j');
  await house.decide(id, 'allow');
  t.match(await sent, { status: 200 });
  for (const { page, complaints } of [list, one]) {
    await page.locator(`#wait-${id.replaceAll('.', '\\.')}`).filter({ hasText: 'let go by a verdict: allow' }).waitFor();
    t.same(complaints, []);
  }
  t.ok(await list.page.evaluate(`document.activeElement.matches('a[data-open]')`), 'who is in a row stays there');
});

t.test('without scripts the text says from when it counts; the page of the wait says it anew', { skip: NO_BROWSER }, async (t) => {
  const house = await openHeld(t, holding('block', '10m'));
  house.send('an Egret').catch(() => undefined);
  const { review_id: id } = await waiting(house);
  const { page, complaints } = await sitDown(t, house, { width: 1280, scheme: 'light', javaScriptEnabled: false });
  for (const path of ['/review', `/review/${id}`, `/review/${id}/wait`]) {
    await page.goto(path);
    t.match(await page.locator('main').innerText(), /waits, \d+ s from when this page was made: until [\d:]{8} UTC, then block/, path);
  }
  await house.decide(id, 'block');
  await page.reload();
  t.match(await page.locator('main').innerText(), /waited, and was let go by a verdict: block/);
  t.equal((await page.goto('/review/none/wait'))!.status(), 404);
  t.same(complaints.filter((line) => !/status of 404/.test(line)), []);
});
