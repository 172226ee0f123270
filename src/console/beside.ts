/**
 * A policy and those that run beside it: on how many decisions its shadow agrees, where the two differ, and what the canary
 * does on its share, each share with the interval that so few or so many exchanges allow. Side by side, with the exchanges.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { BesideExample, BesideResult, CanaryResult, CanarySide, Share, ShadowPair } from '../policy/beside.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { actionBadge, count, names, share, shortId, timeOf } from './parts.ts';
import { take } from './refusal.ts';

interface Beside extends BesideResult {
  readonly policy: string;
  readonly shadow_of: string | null;
  readonly canary_of: string | null;
  readonly truncated?: true;
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const found = await take<Beside>(api, request, 'readBeside', { names: { id } });
  const { shadow_of: shadowOf, canary_of: canaryOf, exchanges, shadow, canary, truncated } = found;
  return page(api, request, {
    title: `Policy ${id}: shadow and canary`, at: '/policies', json: `/api/v1/policies/${id}/beside`,
    body: html`<p><a href="/policies/${id}">Policy ${id}</a>, from the newest ${count(exchanges)} exchanges of its tenants${truncated === true ? '; the log has older ones' : ''}.</p>
<h2>Shadow</h2>${shadow.length > 0 ? shadow.map((pair) => pairBody(pair, api, request)) : html`<p>${shadowOf === null ? html`It has none. With <code>shadow: other-policy</code> in its text another policy decides beside it and enforces nothing.` : html`<code>${shadowOf}</code> decides beside it; no exchange is recorded yet.`}</p>`}
<h2>Canary</h2>${canary === null ? html`<p>${canaryOf === null ? html`It has none. With <code>${'canary: { policy: other, share: 5% }'}</code> another policy is enforced on that share of sessions.` : html`<code>${canaryOf}</code> is its canary, and does not count here.`}</p>` : canaryBody(canary)}`,
  });
}

function pairBody({ policy, shadow, decisions, same, first, last, actions }: ShadowPair, api: Api, request: PageRequest): Html {
  const differing = actions.filter(({ action, shadow_action: other }) => action !== other);
  return html`<section class="beside"><h3><code>${policy}</code> and <code>${shadow}</code></h3>
<p>On ${count(decisions)} ${decisions === 1 ? 'decision' : 'decisions'} from ${timeOf(first)} to ${timeOf(last)} UTC they agree ${count(same)} times (${share(same, decisions)})${differing.length === 0 ? ', and nowhere differ' : ''}.</p>
<div class="scroll" tabindex="0" role="region" aria-label="What ${policy} and ${shadow} decided"><table><thead><tr><th scope="col">${policy} did</th><th scope="col">${shadow} would have</th><th scope="col" class="number">Decisions</th><th scope="col" class="number">Share</th></tr></thead><tbody>${actions.map(({ action, shadow_action: other, count: times }) => html`
<tr${action === other ? '' : html` class="differs"`}><td>${actionBadge(action)}</td><td>${actionBadge(other)}${action === other ? '' : html` <span class="quiet">differs</span>`}</td><td class="number">${count(times)}</td><td class="number">${share(times, decisions)}</td></tr>`)}</tbody></table></div>
${differing.length === 0 ? '' : html`<details open><summary>Where they differ: the newest</summary>${examples(differing.flatMap((cell) => cell.examples), api, request)}</details>`}</section>`;
}

function examples(found: readonly BesideExample[], api: Api, request: PageRequest): Html {
  const mayOpen = api.may(request.actor, 'listAuditEntries');
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Exchanges where they differ"><table class="rows"><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Exchange</th><th scope="col">Tenant</th><th scope="col">Direction</th><th scope="col">Rules</th><th scope="col">Of the shadow</th></tr></thead><tbody>${found.map(({ request_id: id, tenant_id: tenant, time, direction, rules, shadow_rules: others }) => html`
<tr data-row><td>${timeOf(time)}</td><td>${mayOpen ? html`<a href="/exchanges?request_id=${encodeURIComponent(id)}" data-open>${shortId(id)}</a>` : shortId(id)}</td><td>${tenant}</td><td>${direction}</td><td>${names(rules)}</td><td>${names(others)}</td></tr>`)}</tbody></table></div>`;
}

function canaryBody({ configured_share: configured, own, canary, again }: CanaryResult): Html {
  const total = own.exchanges + canary.exchanges;
  const apart = own.acted.low > canary.acted.high || canary.acted.low > own.acted.high;
  return html`<section class="beside"><p><code>${canary.policy}</code> decides for ${share(configured, 1)} of sessions, and decided ${count(canary.exchanges)} of ${count(total)} exchanges (${share(canary.exchanges, total)}).</p>
<div class="pair">${sideBody(own)}${sideBody(canary)}</div>
<p>${own.exchanges === 0 || canary.exchanges === 0 ? 'One of the two has decided nothing yet, so nothing can be said.' : apart ? 'They act on different shares of what they see: the intervals do not meet.' : 'So few exchanges cannot tell them apart: the intervals meet.'} A session stays with one of them, so the two see different people.</p>
<h3>Both on the same records</h3><p>Of ${count(again.decisions)} recorded decisions of either, decided again by both: the same ${count(again.same)}, another action ${count(again.changed)}${again.not_comparable === 0 ? '' : `, not told by the record ${count(again.not_comparable)}`}.</p>
${again.actions.length === 0 ? '' : html`<div class="scroll" tabindex="0" role="region" aria-label="What changes"><table><thead><tr><th scope="col">${own.policy}</th><th scope="col">${canary.policy}</th><th scope="col" class="number">Decisions</th></tr></thead><tbody>${again.actions.map(({ from, to, count: times }) => html`<tr><td>${actionBadge(from)}</td><td>${actionBadge(to)}</td><td class="number">${count(times)}</td></tr>`)}</tbody></table></div>`}</section>`;
}

function sideBody({ policy, exchanges, actions, acted }: CanarySide): Html {
  return html`<div><h3><code>${policy}</code>: ${count(exchanges)} ${exchanges === 1 ? 'exchange' : 'exchanges'}</h3>${exchanges === 0 ? html`<p class="quiet">None yet.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="What ${policy} decided"><table><thead><tr><th scope="col">Action</th><th scope="col" class="number">Exchanges</th><th scope="col" class="number">Share (95 %)</th></tr></thead><tbody>${actions.map(({ action, ...one }) => html`<tr><td>${actionBadge(action)}</td>${shareCells(one)}</tr>`)}<tr class="sum"><th scope="row">Acted on</th>${shareCells(acted)}</tr></tbody></table></div>`}</div>`;
}

function shareCells({ count: times, share: part, low, high }: Share): Piece {
  return html`<td class="number">${count(times)}</td><td class="number">${share(part, 1)} <span class="quiet">(${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})</span></td>`;
}

export const BESIDE_PAGES: readonly Page[] = [
  { method: 'GET', path: '/policies/:id/beside', needs: 'readBeside', meaning: 'what its shadow and its canary came to, beside what it decided', run: show },
];
