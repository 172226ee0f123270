/**
 * Reports of a campaign on the console and on paper: issued and corrected by forms, opened as a page that loads and runs
 * nothing, readable narrow and wide and by whom a screen reader reads to, and printed on A4 with the heads of tables again on
 * each sheet. With WEIR_TEST_SCREENSHOTS it leaves pictures in that folder.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { reportPage } from '../../src/console/risk-report.ts';
import { documentOf } from '../../src/report/campaign/document.ts';
import { findingsOf } from '../../src/report/campaign/findings.ts';
import { Tally } from '../../src/report/campaign/tally.ts';
import { tokenFor } from '../helpers/admin.ts';
import { barriers, NO_BROWSER, openBrowser, openWindow, overflow } from '../helpers/browser.ts';
import { logIn, shots } from '../helpers/console-walk.ts';
import { visit } from '../helpers/console.ts';
import { openHouse } from '../helpers/house.ts';
import { drawnTask, factsOf, labelOf, MADE } from '../helpers/reports.ts';

t.setTimeout(300_000);

const HOSTILE = '"><img src=x onerror=alert(1)>\u202Egnp';
const house = (t: Parameters<typeof openHouse>[0]) => openHouse(t, { config: { risk: { campaigns: [{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }] }] }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', product: HOSTILE, data: { campaigns: true } }] }, files: { 'acme.yaml': 'policy: acme\nrules: []\n' } });

/** One with much in it: every table is longer than a sheet, or as long as it gets. */
function longReport(): string {
  const tally = new Tally('q', MADE.toISOString());
  tally.take(Array.from({ length: 3_000 }, (_, i) => drawnTask(i % 50 === 0 ? 'violation' : i % 7 === 0 ? undefined : 'safe', {
    product: i % 9 === 0 ? HOSTILE : `product ${i % 120}`, tenant_id: `tenant-${i % 130}`, stratum: i % 3 === 0 ? 'high' : 'rest', score: (i % 100) / 100, started_at: `2030-0${1 + (i % 6)}-${String(1 + (i % 28)).padStart(2, '0')}T00:00:00.000Z`,
    labels: i % 7 === 0 ? [] : [labelOf(`p${i % 12}`, i % 50 === 0 ? 'violation' : 'safe'), ...(i % 10 === 0 ? [labelOf(`p${(i + 1) % 12}`, 'safe')] : []), ...(i % 11 === 0 ? [labelOf(`p${i % 12}`, i % 2 === 0 ? 'violation' : 'safe', { known: i % 2 === 0 ? 'violation' : 'safe' })] : [])],
  })));
  const findings = findingsOf(factsOf({ corrections: [{ correction_id: 'c', campaign: 'q', made_at: MADE.toISOString(), author: 'ana', reason: HOSTILE }] }), tally.sums());
  return reportPage(documentOf({ version: 3, madeAt: MADE.toISOString(), software: '1.2.3', findings, basis: [{ log: 'main+1', key: 'k'.repeat(60), entries: 5, head: 'f'.repeat(64), checkpoint: 'main\n5\nroot\n\n— main signature\n', counts: [] }] }), 'a'.repeat(64));
}

t.test('issued, corrected and fetched', async (t) => {
  const { adminUrl, token } = await house(t);
  const admin = await visit(adminUrl, token);
  t.match((await admin.get('/risk/q/report')).text, /None was issued yet.*Nobody has recorded one/s);
  t.match(await admin.post('/risk/q/report', { from: '', until: '' }), { status: 303, headers: { location: '/risk/q/report' } });
  t.match(await admin.post('/risk/q/report', { from: '2030-02-02', until: 'then' }), { status: 400, text: /until is a day in UTC/ });
  t.equal((await admin.post('/risk/q/report/correct', { reason: HOSTILE })).status, 303);
  t.match(await admin.post('/risk/q/report/correct', { reason: ' ' }), { status: 400, text: /a reason of 1 to 1000 characters/ });
  const { text } = await admin.get('/risk/q/report');
  t.match(text, /version=1&amp;format=html" data-open>1</);
  t.notMatch(text, /<img|\u202E/, 'what others wrote does nothing');
  const document = await admin.get('/api/v1/risk/campaigns/q/report?version=1&format=html');
  t.match(document, { status: 200, headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': /^default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'/ }, text: /Residual risk: q/ });
  t.match(await admin.get('/api/v1/risk/campaigns/q/report?version=1&format=note'), { status: 200, headers: { 'content-disposition': 'attachment; filename="q-v1.note"' }, text: /^weir risk report\ncampaign q\nversion 1\n/ });
  t.equal((await admin.get('/risk/none/report')).status, 404);
  const auditor = await visit(adminUrl, await tokenFor(adminUrl, token, 'aud', ['auditor']));
  t.match((await auditor.get('/risk/q/report')).text, /Issue a report/);
  const author = await visit(adminUrl, await tokenFor(adminUrl, token, 'pol', ['policy']));
  t.notMatch((await author.get('/risk/q/report')).text, /Issue a report|Record it/, 'who may not issue one is not asked to');
});

t.test('the console’s page, in a browser', { skip: NO_BROWSER }, async (t) => {
  const { adminUrl, token } = await house(t);
  for (const [width, scheme] of [[1280, 'light'], [360, 'dark']] as const) {
    const { page, complaints } = await openWindow(t, await openBrowser(), adminUrl, { width, scheme });
    await logIn(page, token);
    await page.goto('/risk/q/report');
    await page.locator('#f-reason').fill('it was misread');
    await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Record it' }).press('Enter')]);
    await Promise.all([page.waitForNavigation(), page.getByRole('button', { name: 'Issue a report' }).press('Enter')]);
    t.same([await barriers(page), await overflow(page)], [[], 0]);
    if (shots !== undefined) await page.screenshot({ path: join(shots, `reports-${width}.png`), fullPage: true });
    await Promise.all([page.waitForURL('**/api/v1/risk/campaigns/q/report?**'), page.locator('a[data-open]').first().press('Enter')]);
    t.match(await page.locator('h1').innerText(), 'Residual risk: q');
    t.equal(await page.evaluate(`getComputedStyle(document.querySelector('.answer')).borderTopWidth`), '2px', 'its style is let through');
    t.same(complaints, []);
  }
});

t.test('the document, narrow, wide and printed', { skip: NO_BROWSER }, async (t) => {
  const html = longReport();
  const browser = await openBrowser();
  for (const width of [360, 1280]) {
    const { page } = await openWindow(t, browser, 'http://127.0.0.1', { width, scheme: 'dark' });
    await page.setContent(html);
    t.same([await barriers(page), await overflow(page)], [[], 0], `${width} px`);
    if (shots !== undefined) await page.screenshot({ path: join(shots, `report-${width}.png`), fullPage: true });
  }
  const { page } = await openWindow(t, browser, 'http://127.0.0.1', { width: 680, scheme: 'light' });
  await page.setContent(html);
  await page.emulateMedia({ media: 'print' });
  const wide = (await page.evaluate(`[...document.querySelectorAll('table')].filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((one) => one.parentElement.getAttribute('aria-label'))`)) as readonly string[];
  t.same(wide, [], 'no table is cut at the edge of the sheet (A4 within its margins is 680 px)');
  t.same(await page.evaluate(`[...new Set([...document.querySelectorAll('thead')].map((one) => getComputedStyle(one).display))]`), ['table-header-group'], 'heads come again on each sheet');
  t.same(await page.evaluate(`[...new Set([...document.querySelectorAll('tr')].map((one) => getComputedStyle(one).breakInside))]`), ['avoid'], 'no row is torn');
  const pdf = await page.pdf({ preferCSSPageSize: true, printBackground: true });
  const sheets = (pdf.toString('latin1').match(/\/Type \/Page\b/g) ?? []).length;
  t.match(pdf.toString('latin1'), /\/MediaBox \[0 0 59[45](?:\.\d+)? 84[12]/, 'A4');
  t.ok(sheets >= 8 && sheets <= 60, `${sheets} sheets`);
  if (shots !== undefined) writeFileSync(join(shots, 'report.pdf'), pdf);
});
