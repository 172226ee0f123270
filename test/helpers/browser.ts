/**
 * A real browser without a window, where the machine has Chromium: pages that note what the browser itself complains of,
 * and axe-core, which looks for what keeps people out.
 */
import { existsSync } from 'node:fs';
import axe from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import root, { type Test } from 'tap';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const chromiumPath = PLACES.find((place) => existsSync(place));

/** Why tests are skipped that need one; false: they need not be. */
export const NO_BROWSER: string | false = chromiumPath === undefined ? 'no Chromium here (apt-get install chromium)' : false;

let opened: Promise<Browser> | undefined;

/** One for all tests of a file, since its start is the dearest part of many: what they share of it is nothing, each window has its own context. */
export async function openBrowser(): Promise<Browser> {
  if (opened === undefined) root.teardown(async () => (await opened)!.close());
  if (opened === undefined || !(await opened).isConnected()) opened = launch();
  return opened;
}

function launch(): Promise<Browser> {
  // Its sandbox does not start as root, and what it visits is ours.
  return chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
}

export interface Look {
  readonly width: number;
  readonly scheme: 'light' | 'dark';
  /** Default: true. */
  readonly javaScriptEnabled?: boolean;
}

/** A window of its own. `complaints`: what the browser logged as an error, threw, or kept back by the page's policy. */
export async function openWindow(t: Test, browser: Browser, baseURL: string, { width, scheme, javaScriptEnabled = true }: Look): Promise<{ readonly page: Page; readonly complaints: string[] }> {
  const context = await browser.newContext({ baseURL, viewport: { width, height: 800 }, colorScheme: scheme, javaScriptEnabled });
  t.teardown(() => context.close());
  const complaints: string[] = [];
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(`${new URL(page.url()).pathname}: ${message.text()}`)));
  page.on('pageerror', (error) => void complaints.push(`${page.url()}: ${error.message}`));
  page.on('request', (request) => void (new URL(request.url()).origin !== new URL(baseURL).origin && request.url().startsWith('http') && complaints.push(`asked elsewhere: ${request.url()}`)));
  return { page, complaints };
}

/** What axe-core finds that is serious or worse: the rule, and where. */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found = (await page.evaluate(`axe.run(document, { resultTypes: ['violations'] })`)) as { readonly violations: readonly { readonly id: string; readonly impact: string; readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[] }[] };
  return found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${(node.failureSummary ?? '').split('\n').at(1)?.trim().slice(0, 160) ?? ''}`));
}

/** Pixels by which the page is wider than its window. */
export async function overflow(page: Page): Promise<number> {
  return (await page.evaluate('Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)')) as number;
}
