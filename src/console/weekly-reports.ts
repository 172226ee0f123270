/**
 * Weekly reports of tenants: the last weeks of one, each to be read, printed or kept, and what became of those that were due by
 * themselves. A report itself stands alone, as the API gives it.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { seesAll } from '../contract/people.ts';
import { DSA_PARTS, type DsaPart } from '../report/weekly/dsa.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { choice, count, field, given, share, timeOf } from './parts.ts';
import { take } from './refusal.ts';

interface Week {
  readonly week: string;
  readonly from: string;
  readonly until: string;
  readonly is_over: boolean;
  readonly exchanges: number;
  readonly acted_on: number;
  readonly due: { readonly state: string; readonly written_at: string | null; readonly sent_at: string | null; readonly attempts: number; readonly detail: string } | null;
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const known = seesAll(request.actor) ? (await take<{ readonly tenants: readonly { readonly id: string }[] }>(api, request, 'listTenants')).tenants.map(({ id }) => id) : request.actor.tenants;
  const tenant = given(request.query, 'tenant') ?? known[0] ?? '';
  const { weeks } = await take<{ readonly weeks: readonly Week[] }>(api, request, 'listWeeklyReports', { query: { tenant } });
  const path = `/api/v1/reports?tenant=${encodeURIComponent(tenant)}`;
  return page(api, request, {
    title: 'Weekly reports', at: '/reports', json: path,
    body: html`<p class="quiet">A safety report of one tenant and one week, from Monday to Monday in UTC, made when it is asked for: what came, what was found and done, what was not screened, how people judged, what got through, and the checkpoints of the audit log that it rests on. Keep it: it tells by its hash whether anything in it has changed since.</p>
<form class="filter" method="get" action="/reports">${known.length > 1 ? choice('Tenant', 'tenant', known.map((id) => [id, id] as const), tenant) : field('Tenant', 'tenant', tenant)}<div class="field"><button>Show</button></div></form>
<h2>Weeks of ${tenant}</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Weeks"><table class="rows"><thead><tr><th scope="col">Week</th><th scope="col">Days (UTC)</th><th scope="col" class="number">Exchanges</th><th scope="col" class="number">Acted on</th><th scope="col">As a file</th><th scope="col">Went out</th></tr></thead><tbody>${weeks.map((week) => weekRow(tenant, week))}
</tbody></table></div>
<h2>Another time</h2>
<form class="filter" method="get" action="/api/v1/reports/weekly.html"><input type="hidden" name="tenant" value="${tenant}">${field('From (UTC)', 'from', undefined, html` required placeholder="2030-01-01" maxlength="20"`)}${field('Up to, not including', 'until', undefined, html` required placeholder="2030-02-01" maxlength="20"`)}<div class="field"><button>Read</button></div></form>
<p class="quiet">Whole hours, at most 31 days. DSA: tables in the columns of Implementing Regulation (EU) 2024/2835. <code>weir report weekly</code> writes the same files, with a signature; <code>reports.weekly</code> in the configuration has them made and sent each week.</p>`,
  });
}

function weekRow(tenant: string, { week, from, until, is_over: isOver, exchanges, acted_on: acted, due }: Week): Html {
  const path = (form: string, more = ''): string => `/api/v1/reports/weekly${form}?tenant=${encodeURIComponent(tenant)}&week=${week}${more}`;
  return html`
<tr data-row><th scope="row"><a href="${path('.html')}" data-open>${week}</a>${isOver ? '' : html` <span class="quiet">so far</span>`}</th><td>${from.slice(0, 10)} to ${new Date(Date.parse(until) - 86_400_000).toISOString().slice(0, 10)}</td><td class="number">${count(exchanges)}</td><td class="number">${count(acted)} <span class="quiet">${share(acted, exchanges)}</span></td><td>${fileLinks(week, [['JSON', path('')], ['CSV', path('.csv')], ...DSA_PARTS.map((part) => [DSA_LABELS[part], path('.dsa', `&part=${part}`)] as const)])}</td><td>${dueText(due)}</td></tr>`;
}

/** By the number of the template’s table. */
const DSA_LABELS = { own_initiative: 'DSA 6', complaints: 'DSA 7', automated_means: 'DSA 8', notes: 'DSA notes' } as const satisfies Readonly<Record<DsaPart, string>>;

function fileLinks(week: string, links: readonly (readonly [label: string, path: string])[]): Piece {
  return links.map(([label, path], at) => html`${at === 0 ? '' : ' · '}<a href="${path}" download aria-label="report of ${week} as ${label}">${label}</a>`);
}

const STATES: Readonly<Record<string, string>> = { running: 'is being made', waiting: 'is tried again', done: 'yes', failed: 'no: it was given up' };

function dueText(due: Week['due']): Piece {
  if (due === null) return html`<span class="quiet">–</span>`;
  return html`${STATES[due.state] ?? due.state}${due.written_at === null ? '' : html`, written ${timeOf(due.written_at)}`}${due.sent_at === null ? '' : html`, sent ${timeOf(due.sent_at)}`}${due.detail === '' ? '' : html` <span class="quiet">${due.detail}</span>`}`;
}

export const WEEKLY_PAGE: Page = { method: 'GET', path: '/reports', needs: 'listWeeklyReports', meaning: 'the last weeks of a tenant, with its safety report of each to read, print or keep; `?tenant=`', run: show };
