/**
 * One page of health: what of this process works less well than configured, since when, what that means and what to do;
 * how far audit logs are behind, what turned in the last hours, and of what nothing was heard. Metrics and alerts have it
 * for all processes.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { HealthReport } from '../admin/health.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { freshLink, freshPlace } from './fresh.ts';
import { html, type Html, type Piece } from './html.ts';
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

function told(report: HealthReport): Html {
  const { parts, replicas, since } = report;
  const ill = parts.filter(({ healthy }) => !healthy);
  return html`<p role="status">${ill.length === 0 ? html`<span class="badge a-allow">well</span> All parts of this process work as configured.` : html`<span class="badge a-block">degraded</span> ${count(ill.length)} ${ill.length === 1 ? 'part works' : 'parts work'} less well than configured.`}</p>
<p class="quiet">Told by this process alone, since it started (${timeOf(since)} UTC). ${replicas === null || replicas < 2 ? 'Each other process tells of itself on its own page' : `${count(replicas)} processes share the limits; each tells of itself on its own page`}, and <code>weir_healthy</code> tells of all by <code>instance</code>.</p>
${illTable(ill)}${lagTable(report.lags)}${turnTable(report.history)}
<h2>Of what nothing was heard</h2><details><summary>${count(report.unheard.length)} parts have told no fault since the start: they are well, or not in use here</summary><dl class="parts">${report.unheard.map(({ part, meaning }) => html`<dt>${part}</dt><dd class="quiet">If it is ill: ${meaning}</dd>`)}</dl></details>`;
}

function illTable(ill: HealthReport['parts']): Piece {
  if (ill.length === 0) return '';
  return html`<h2>What is degraded</h2><table class="rows stacks"><thead><tr><th scope="col">Part</th><th scope="col">Since (UTC)</th><th scope="col">What is the matter</th><th scope="col">What it means</th><th scope="col">What to do</th></tr></thead><tbody>${ill.map(({ part, since, detail, meaning, next }) => html`
<tr data-row><th scope="row"><bdi>${part}</bdi></th><td data-name="Since">${timeOf(since)}</td><td data-name="What is the matter"><bdi>${detail}</bdi></td><td data-name="What it means">${meaning}</td><td data-name="What to do">${next}</td></tr>`)}</tbody></table>`;
}

function lagTable(lags: HealthReport['lags']): Piece {
  if (lags.length === 0) return '';
  return html`<h2>How far audit logs are behind</h2><table class="rows stacks"><thead><tr><th scope="col">Part</th><th scope="col" class="number">Entries</th><th scope="col">Behind since (UTC)</th><th scope="col">Which</th></tr></thead><tbody>${lags.map(({ part, entries, since, meaning }) => html`
<tr data-row><th scope="row"><bdi>${part}</bdi></th><td class="number" data-name="Entries">${count(entries)}</td><td data-name="Behind since">${since === null ? 'not behind' : timeOf(since)}</td><td data-name="Which">${meaning}</td></tr>`)}</tbody></table>`;
}

function turnTable(history: HealthReport['history']): Html {
  return html`<h2>What turned in the last 24 hours</h2>${history.length === 0 ? html`<p class="quiet">Nothing did.</p>` : html`<table class="rows stacks"><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Part</th><th scope="col">Turned</th><th scope="col">Detail</th></tr></thead><tbody>${history.map(({ at, part, healthy, detail }) => html`
<tr data-row><td data-name="Time">${timeOf(at)}</td><th scope="row"><bdi>${part}</bdi></th><td data-name="Turned"><span class="badge ${healthy ? 'a-allow' : 'a-block'}">${healthy ? 'well' : 'degraded'}</span></td><td data-name="Detail"><bdi>${detail}</bdi></td></tr>`)}</tbody></table>`}`;
}

export const HEALTH_PAGE: Page = { method: 'GET', path: '/health', needs: 'readHealth', meaning: 'parts that work less well than configured, since when, what that means and what to do, how far audit logs are behind, and what turned in the last 24 hours; `?live=1` keeps it fresh', run: show };
