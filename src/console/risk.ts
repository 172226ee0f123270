/**
 * Residual risk of all campaigns that the caller sees: of each the rate of violations in what was drawn, with its interval
 * and number of labels, whether its claim is shown, how far it is, and what is missing. `?live=1` keeps it fresh.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { freshLink, freshPlace } from './fresh.ts';
import { html, type Html } from './html.ts';
import { page } from './layout.ts';
import { count, percent, timeOf } from './parts.ts';
import { take } from './refusal.ts';
import { datesOf, goalOf, goalState, missingOf, populationOf, progress, rateTold, type CampaignRow } from './risk-parts.ts';

async function list(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { campaigns } = await take<{ readonly campaigns: readonly CampaignRow[] }>(api, request, 'listRiskCampaigns');
  const isLive = request.query.get('live') !== null;
  return page(api, request, {
    title: 'Residual risk', at: '/risk', json: '/api/v1/risk/campaigns',
    body: html`<p>What got through: some of the traffic is drawn by chance, people label it, and from the labels follows the rate of violations. Intervals are for a plan that was fixed before, two-sided, with the confidence of the claim; each campaign’s page has those that hold however often one looks.</p>
<div class="actions">${freshLink('/risk', request.query, isLive)}${api.may(request.actor, 'nextAnnotation') ? html`<a class="button" href="/risk/annotate">Label texts</a>` : ''}</div>
${freshPlace(isLive, html`${campaigns.length === 0 ? html`<p>There is no campaign. <code>risk.campaigns</code> in the configuration makes one.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Campaigns"><table class="rows"><thead><tr><th scope="col">Campaign</th><th scope="col">Violations</th><th scope="col">Claim</th><th scope="col">On the way to it</th><th scope="col" class="number">Labelled of drawn</th><th scope="col">Runs (UTC)</th><th scope="col">Missing</th></tr></thead><tbody>${campaigns.map(row)}</tbody></table></div>`}`)}`,
  });
}

function row(campaign: CampaignRow): Html {
  const { id, state, from, until, total, claim, drawn_between: between } = campaign;
  const missing = missingOf({ total, strata: [], claim });
  return html`
<tr data-row><td><a href="/risk/${id}" data-open>${id}</a><br><span class="quiet">${state}; ${populationOf(campaign)}</span></td><td class="told">${rateTold(total, between)}</td><td>${goalState(campaign)}</td><td>${progress(total.labelled, goalOf(campaign), `${id}: labels of those that its goal takes`)}</td><td class="number">${count(total.labelled)} of ${count(total.drawn)}${total.drawn === 0 ? '' : html`<br><span class="quiet">${percent(total.labelled / total.drawn)}</span>`}</td><td>${from === null ? 'from the start' : timeOf(from)}<br>${until === null ? 'no end' : html`to ${timeOf(until)}`}<br><span class="quiet">${datesOf(between)}</span></td><td class="told">${missing.length === 0 ? 'nothing' : missing.join('; ')}</td></tr>`;
}

export const RISK_PAGE: Page = { method: 'GET', path: '/risk', needs: 'listRiskCampaigns', meaning: 'residual-risk campaigns: rates with their intervals, claims, how far each is; `?live=1` keeps it fresh', run: list };
