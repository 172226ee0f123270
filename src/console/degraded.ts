/**
 * One page of health: what of this process works less well than configured, since when, what that means and what to do;
 * and what turned in the last hours. Metrics and alerts have it for all processes.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { HealthReport } from '../admin/health.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { freshLink, freshPlace } from './fresh.ts';
import { html, type Html } from './html.ts';
import { page } from './layout.ts';
import { count, timeOf } from './parts.ts';
import { take } from './refusal.ts';

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const report = await take<HealthReport>(api, request, 'readHealth');
  const isLive = request.query.get('live') === '1';
  return page(api, request, {
    title: 'Health', at: '/health', json: '/api/v1/health/parts',
    body: html`<p class="tools">${freshLink('/health', request.query, isLive)}</p>${freshPlace(isLive, told(report))}`,
  });
}

function told({ since, parts, history }: HealthReport): Html {
  const ill = parts.filter(({ healthy }) => !healthy);
  return html`<p role="status">${ill.length === 0 ? html`<span class="badge a-allow">well</span> All parts of this process work as configured.` : html`<span class="badge a-block">degraded</span> ${count(ill.length)} ${ill.length === 1 ? 'part works' : 'parts work'} less well than configured.`} <span class="quiet">Since ${timeOf(since)} UTC, in this process; metrics have it for all.</span></p>
${ill.length === 0 ? '' : html`<h2>What is degraded</h2><div class="scroll" tabindex="0" role="region" aria-label="What is degraded"><table class="rows"><thead><tr><th scope="col">Part</th><th scope="col">Since (UTC)</th><th scope="col">What is the matter</th><th scope="col">What it means</th><th scope="col">What to do</th></tr></thead><tbody>${ill.map(({ part, since: from, detail, meaning, next }) => html`
<tr data-row><th scope="row"><bdi>${part}</bdi></th><td>${timeOf(from)}</td><td class="told"><bdi>${detail}</bdi></td><td class="told">${meaning}</td><td class="told">${next}</td></tr>`)}</tbody></table></div>`}
<h2>What turned in the last 24 hours</h2>${history.length === 0 ? html`<p class="quiet">Nothing did.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="What turned"><table class="rows"><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Part</th><th scope="col">Turned</th><th scope="col">Detail</th></tr></thead><tbody>${history.map(({ at, part, healthy, detail }) => html`
<tr data-row><td>${timeOf(at)}</td><th scope="row"><bdi>${part}</bdi></th><td><span class="badge ${healthy ? 'a-allow' : 'a-block'}">${healthy ? 'well' : 'degraded'}</span></td><td class="told"><bdi>${detail}</bdi></td></tr>`)}</tbody></table></div>`}`;
}

export const HEALTH_PAGE: Page = { method: 'GET', path: '/health', needs: 'readHealth', meaning: 'parts that work less well than configured, since when, what that means and what to do, and what turned in the last 24 hours; `?live=1` keeps it fresh', run: show };
