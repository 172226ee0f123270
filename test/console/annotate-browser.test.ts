/**
 * Labelling in a real browser: sixty texts by keys alone, at both widths and in both schemes nothing keeps people out, and
 * all of it without JavaScript. With WEIR_TEST_SCREENSHOTS it leaves pictures in that folder.
 */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import t from 'tap';
import { barriers, NO_BROWSER, openBrowser, openWindow, overflow } from '../helpers/browser.ts';
import { logIn, shots } from '../helpers/console-walk.ts';
import { knownItems, openCampaign } from '../helpers/labelling.ts';

t.setTimeout(600_000);

t.test('sixty texts are labelled by keys alone', { skip: NO_BROWSER }, async (t) => {
  const texts = Array.from({ length: 60 }, (_, i) => `text ${i} says <b>hello</b> \u202Eolleh`);
  const { house, call, person } = await openCampaign(t, texts, {}, { batch_items: 20 });
  const token = await person('ana');
  const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width: 1280, scheme: 'light' });
  await logIn(page, token);
  await page.keyboard.press('g');
  await Promise.all([page.waitForURL('**/risk/annotate'), page.keyboard.press('l')]);
  const arrive = async (...keys: readonly string[]): Promise<void> => {
    for (const key of keys.slice(0, -1)) await page.keyboard.press(key);
    const left = page.waitForEvent('framenavigated');
    await page.keyboard.press(keys.at(-1)!);
    await left;
    await page.waitForLoadState();
  };
  await arrive('t');
  t.equal(await page.locator('pre.text:visible').count(), 0, 'the text is covered');
  await page.keyboard.press('v');
  t.match(await page.locator('pre.text').innerText(), /text \d+ says <b>hello<\/b> ⟨202E⟩olleh/, 'and shown as it is written');
  await page.keyboard.press('v');
  const startMs = performance.now();
  for (let i = 0; i < texts.length; i++) {
    if (i > 0 && i % 20 === 0) await arrive('t');
    await page.keyboard.press('v');
    if (i % 10 === 4) {
      await page.keyboard.press('m');
      await page.keyboard.press('x');
      await page.keyboard.type('hate');
      await arrive('Enter');
    } else await arrive('s');
  }
  const eachMs = (performance.now() - startMs) / texts.length;
  t.comment(`${eachMs.toFixed(0)} ms for each of ${texts.length} texts, opened and labelled: ${(60_000 / eachMs).toFixed(0)} a minute`);
  t.match((await call('GET', 'risk/campaigns/q')).body.total, { drawn: 60, labelled: 60, violations: 6 });
  t.match((await call('GET', 'risk/labels?limit=500')).body.data, /"human_label":"violation","violation_category":"toxicity.hate","confidence_tier":"medium"/);
  await arrive('u');
  t.match(await page.locator('.progress').innerText(), /Text 20 of 20/, 'the last is taken back');
  await page.keyboard.press('/');
  await page.keyboard.type('s in a note labels nothing');
  await page.keyboard.press('Escape');
  await arrive('o');
  t.match((await call('GET', 'risk/campaigns/q')).body.total, { labelled: 59, waiting: 1 }, 'what is skipped waits for others');
  t.same(complaints, []);
});

/** Every page of labelling, as it is in use. */
async function walk(page: Page, look: (name: string) => Promise<void>, lead: () => Promise<void>): Promise<void> {
  await page.goto('/risk/annotate');
  await look('mine');
  await Promise.all([page.waitForURL('**/risk/annotate/task'), page.getByRole('button', { name: /^Take a batch/ }).click()]);
  await page.locator('summary').first().click();
  await page.locator('.guide summary').nth(2).click();
  await look('task');
  await page.locator('#f-category').fill('tox');
  await page.locator('#f-category').press('Enter');
  await page.locator('.fault').waitFor();
  await look('task-wrong');
  await page.goto('/risk/disputes');
  await page.getByRole('button', { name: /Take the next/ }).click();
  await page.locator('.said').first().waitFor();
  await page.locator('summary').first().click();
  await look('dispute');
  await lead();
  await page.goto('/risk/annotators');
  await look('annotators');
  await page.goto('/risk/calibration');
  await page.locator('main summary').first().click();
  await look('calibration');
  await page.goto('/risk/annotate');
  await look('paused');
}

for (const [width, scheme, javaScriptEnabled] of [[1280, 'light', true], [360, 'dark', true], [360, 'light', false], [1280, 'dark', true]] as const) {
  t.test(`${width} px, ${scheme}${javaScriptEnabled ? '' : ', without JavaScript'}: nothing keeps people out`, { skip: NO_BROWSER }, async (t) => {
    const { house, call, person, labelNext } = await openCampaign(t, ['is this so? it is a longer text, and has a word of some length: Donaudampfschifffahrtsgesellschaftskapitänsmützenknopf', 'two'], { double_blind_percent: 100 }, { batch_items: 1 });
    await call('POST', 'risk/calibration', { items: [...knownItems(3), ...knownItems(3, 'violation')] });
    for (const [name, body] of [['ana', { label: 'safe', note: 'it is quoted' }], ['bob', { label: 'violation', category: 'toxicity.hate', note: 'a slur' }]] as const) await labelNext(await person(name), () => body);
    const { page, complaints } = await openWindow(t, await openBrowser(), house.adminUrl, { width, scheme, javaScriptEnabled });
    await page.goto('/login');
    await page.locator('#token').fill(house.token);
    await page.locator('#token').press('Enter');
    await page.waitForURL((url) => url.pathname !== '/login');
    await walk(page, async (name) => {
      // What looks for barriers is a script.
      if (javaScriptEnabled) t.same(await barriers(page), [], `${name}: nothing keeps people out`);
      if (javaScriptEnabled) t.equal(await overflow(page), 0, `${name}: it is not wider than the window`);
      if (shots !== undefined) await page.screenshot({ path: join(shots, `annotate-${width}-${scheme}-${name}.png`), fullPage: true });
    }, async () => {
      await call('POST', 'risk/annotators/ana/pause', { reason: 'a talk' });
      await call('POST', 'risk/annotators/admin/pause', { reason: 'a rest' });
    });
    t.match(await page.locator('main').innerText(), /You are paused/);
    t.same(complaints.filter((line) => !/status of 400/.test(line)), []);
  });
}
