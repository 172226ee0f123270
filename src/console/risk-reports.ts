/**
 * Reports of a campaign: those that were issued, with what each may be fetched as, what was recorded about them, and forms
 * that issue one or record what was wrong. A report itself stands alone, to be printed, as the API gives it.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { field, given, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

interface Issued {
  readonly version: number;
  readonly from: string | null;
  readonly until: string | null;
  readonly issued_at: string;
  readonly author: string;
  readonly sha256: string;
}

interface Told {
  readonly reports: readonly Issued[];
  readonly corrections: readonly { readonly made_at: string; readonly author: string; readonly reason: string }[];
}

async function show(api: Api, request: PageRequest, fault?: DeskAnswer): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const { reports, corrections } = await take<Told>(api, request, 'listRiskReports', { names: { id } });
  const at = `/risk/${encodeURIComponent(id)}/report`;
  const json = `/api/v1/risk/campaigns/${encodeURIComponent(id)}/report`;
  const mayIssue = api.may(request.actor, 'issueRiskReport');
  return page(api, request, {
    title: `Reports: ${id}`, at: '/risk', json: `${json}s`, ...(fault === undefined ? {} : { status: fault.status }),
    body: html`<p class="quiet"><a href="/risk/${encodeURIComponent(id)}">The campaign</a>. A report is a document to be kept: numbered, signed with the key of the audit log, and given again as long as nothing that it tells has changed.</p>
${fault === undefined ? '' : html`<p class="fault" role="alert">${messageOf(fault)}</p>`}
<p><a class="button" href="${json}?format=html">As it stands now, a draft</a></p>
<h2>Issued</h2>${reports.length === 0 ? html`<p>None was issued yet.</p>` : reportTable(reports, json)}
${mayIssue ? html`<form method="post" action="${at}" class="filter">${proofField(request)}${field('From (day, UTC; empty: the whole campaign)', 'from', request.form.get('from'), html` placeholder="2030-01-01" maxlength="10"`)}${field('Up to, not including', 'until', request.form.get('until'), html` placeholder="2030-04-01" maxlength="10"`)}<div class="field"><button>Issue a report</button></div></form>` : ''}
<h2>Corrections</h2>${corrections.length === 0 ? html`<p>Nobody has recorded one.</p>` : correctionTable(corrections)}
${mayIssue ? html`<form method="post" action="${at}/correct">${proofField(request)}<div class="field"><label for="f-reason">What was wrong with an earlier report, and why</label><textarea id="f-reason" name="reason" rows="3" required maxlength="1000">${request.form.get('reason') ?? ''}</textarea></div><p class="quiet">It is an entry of the audit log, and every later report says it.</p><button>Record it</button></form>` : ''}
<h2>Verify one yourself</h2><p>Keep the JSON, the page and the note together under one name: <code>weir risk report --verify FILE --key KEY</code>. Beside the audit log it also counts the population anew.</p>`,
  });
}

function reportTable(reports: readonly Issued[], json: string): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Reports"><table class="rows"><thead><tr><th scope="col" class="number">Number</th><th scope="col">Days (UTC)</th><th scope="col">Issued (UTC)</th><th scope="col">By</th><th scope="col">As a file</th><th scope="col">SHA-256 of the JSON</th></tr></thead><tbody>${reports.map(({ version, from, until, issued_at: issuedAt, author, sha256 }) => html`
<tr data-row><td class="number"><a href="${json}?version=${version}&amp;format=html" data-open>${version}</a></td><td>${from === null && until === null ? 'the whole campaign' : `${from ?? 'from the beginning'} to ${until ?? 'the end'}`}</td><td>${timeOf(issuedAt)}</td><td>${author}</td><td>${fileLinks(json, version)}</td><td><code title="${sha256}">${sha256.slice(0, 16)}…</code></td></tr>`)}
</tbody></table></div>`;
}

function fileLinks(json: string, version: number): Piece {
  return (['json', 'note'] as const).map((format, index) => html`${index === 0 ? '' : ' · '}<a href="${json}?version=${version}&amp;format=${format}" aria-label="report ${version} as ${format}">${format}</a>`);
}

function correctionTable(corrections: Told['corrections']): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Corrections"><table class="rows"><thead><tr><th scope="col">When (UTC)</th><th scope="col">By</th><th scope="col">Why</th></tr></thead><tbody>${corrections.map(({ made_at: at, author, reason }) => html`
<tr><td>${timeOf(at)}</td><td>${author}</td><td>${reason}</td></tr>`)}
</tbody></table></div>`;
}

async function issue(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { names, form } = request;
  const answer = await api.call('issueRiskReport', request, { names, body: { from: given(form, 'from') ?? null, until: given(form, 'until') ?? null } });
  return answer.status >= 300 ? show(api, request, answer) : redirect(`/risk/${encodeURIComponent(names['id']!)}/report`);
}

async function correct(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { names, form } = request;
  const answer = await api.call('correctRiskReport', request, { names, body: { reason: form.get('reason') ?? '' } });
  return answer.status >= 300 ? show(api, request, answer) : redirect(`/risk/${encodeURIComponent(names['id']!)}/report`);
}

export const RISK_REPORT_PAGES: readonly Page[] = [
  { method: 'GET', path: '/risk/:id/report', needs: 'listRiskReports', meaning: 'reports of a campaign that were issued, and forms that issue one or record what was wrong', run: (api, request) => show(api, request) },
  { method: 'POST', path: '/risk/:id/report', needs: 'issueRiskReport', meaning: 'issues a report', run: issue },
  { method: 'POST', path: '/risk/:id/report/correct', needs: 'correctRiskReport', meaning: 'records what was wrong with earlier reports', run: correct },
];
