/**
 * Writing a policy: a form with its text. What is sent is judged, its cases are run, and only then it is stored as the
 * revision that follows the one its author began from. What is wrong is told at its lines, and the text is kept.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { POLICY_BYTES_MAX } from '../admin/policies.ts';
import type { PolicyRevision } from '../contract/policy.ts';
import { exact, html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { given, givenNumber, names } from './parts.ts';
import { messageOf, refusalPage } from './refusal.ts';

interface Issue {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly suggestion?: string;
  readonly severity: string;
}

interface CaseReport {
  readonly ok: boolean;
  readonly policies: readonly { readonly cases?: readonly { readonly name: string; readonly state: string; readonly problems: readonly string[] }[]; readonly uncovered?: readonly string[] }[];
}

interface Draft {
  readonly id: string;
  readonly text: string;
  readonly parent: number;
  readonly comment: string;
}

/** Written in a form, a character takes up to three times its bytes. */
const FORM_BYTES_MAX = 3 * POLICY_BYTES_MAX + 16_384;

async function edit(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id'] ?? given(request.query, 'id', 64) ?? '';
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) return refusalPage(api, { status: 400, body: { error: { message: 'the id of a policy is 1 to 64 letters, digits, `.`, `_` and `-`' } } }, request);
  const [stored, newest] = await Promise.all([{ revision: givenNumber(request.query, 'revision') }, {}].map((query) => api.call('readPolicy', request, { names: { id }, query })));
  if (newest!.status !== 200 && newest!.status !== 404) return refusalPage(api, newest!, request);
  const text = stored!.status === 200 ? ((stored!.body as PolicyRevision).source ?? starter(id)) : starter(id);
  return form(api, request, { id, text, parent: newest!.status === 200 ? (newest!.body as PolicyRevision).number : 0, comment: '' });
}

function starter(id: string): string {
  return `policy: ${id}\ndescription: What it is for.\ndefault_action: allow\non_unknown: closed\nrules:\n  - id: pii-out\n    priority: 10\n    direction: output\n    when: { score: pii.*, gte: 0.5 }\n    action: redact\ncases:\n  - name: an e-mail address in an answer is redacted\n    direction: output\n    text: write to ana@example.com today\n    expect: { action: redact, rules: [pii-out], text: 'write to [EMAIL] today' }\n`;
}

function form(api: Api, request: PageRequest, { id, text, parent, comment }: Draft, status = 200, found: Piece = '', mayInsist = false): DeskAnswer {
  return page(api, request, {
    title: parent === 0 ? `New policy ${id}` : `Edit policy ${id}`, at: '/policies', status, json: `/api/v1/policies/${id}`,
    body: html`${found}
<form method="post" action="/policies/${id}/edit" class="stack">${proofField(request)}<input type="hidden" name="parent" value="${parent}">
<label for="f-text">Text, as YAML</label><div class="editor"><textarea id="f-text" name="text" rows="28" spellcheck="false" autocomplete="off" wrap="off" aria-describedby="live" required data-check="/api/v1/policies/${id}/test">
${exact(text)}</textarea></div>
<div id="live" class="live" role="status" aria-live="polite"></div>
<label for="f-comment">Why</label><input id="f-comment" name="comment" maxlength="1000" value="${exact(comment)}" autocomplete="off">
${mayInsist ? html`<p><input type="checkbox" id="f-insist" name="insist" value="yes"><label for="f-insist"> Store it although cases fail</label></p>` : ''}
<p class="actions"><button name="do" value="store">Store as revision ${parent + 1}</button> <button name="do" value="check" class="second">Check, and run its cases</button> <a href="/policies/${id}">Leave it</a></p></form>`,
  });
}

async function send(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form: fields, names: { id } } = request;
  // Browsers send line ends of their own.
  const draft: Draft = { id: id!, text: (fields.get('text') ?? '').replaceAll('\r\n', '\n'), parent: givenNumber(fields, 'parent') ?? 0, comment: fields.get('comment')?.slice(0, 1_000) ?? '' };
  const tested = await api.call('testPolicy', request, { names: { id: draft.id }, body: { source: draft.text } });
  if (tested.status !== 200) return form(api, request, draft, tested.status, findings(tested));
  const report = tested.body as CaseReport;
  const wantsStore = fields.get('do') === 'store';
  if (!wantsStore || (!report.ok && fields.get('insist') !== 'yes')) return form(api, request, draft, wantsStore ? 422 : 200, caseResults(report), !report.ok);
  const stored = await api.call('storePolicy', request, { names: { id: draft.id }, query: { parent: draft.parent, ...(draft.comment === '' ? {} : { comment: draft.comment }) }, body: draft.text });
  if (stored.status >= 300) return form(api, request, draft, stored.status, findings(stored));
  return redirect(`/policies/${draft.id}`);
}

function findings(answer: DeskAnswer): Html {
  const { issues = [], current } = answer.body as { readonly issues?: readonly Issue[]; readonly current?: number };
  return html`<div class="fault" role="alert"><p>${messageOf(answer)}</p>${issues.length === 0 ? '' : html`<ul>${issues.map(({ line, column, path, message, suggestion, severity }) => html`<li><button type="button" class="plain" data-line="${line}">line ${line}, column ${column}</button> <code>${path}</code>: ${message}${suggestion === undefined ? '' : html` (${suggestion})`}${severity === 'warning' ? ' (a warning)' : ''}</li>`)}</ul>`}${current === undefined ? '' : html`<p>Your text is kept below. Look at <a href="?">the newest revision</a>, and bring both together.</p>`}</div>`;
}

export function caseResults({ ok, policies: [tested] }: CaseReport): Html {
  const { cases = [], uncovered = [] } = tested ?? {};
  if (cases.length === 0) return html`<p class="good" role="status">The policy can be used. It has no cases.</p>`;
  const failed = cases.filter(({ state }) => state !== 'PASS');
  return html`<div class="${ok ? 'good' : 'fault'}" role="${ok ? 'status' : 'alert'}"><p>The policy can be used. ${cases.length - failed.length} of ${cases.length} cases pass.</p>
${failed.length === 0 ? '' : html`<ul>${failed.map(({ name, state, problems }) => html`<li><strong>${state}</strong> ${name}${problems.map((problem) => html`<br>${problem}`)}</li>`)}</ul>`}${uncovered.length === 0 ? '' : html`<p>No case makes these rules decide: ${names(uncovered)}.</p>`}</div>`;
}

export const POLICY_EDIT_PAGES: readonly Page[] = [
  { method: 'GET', path: '/new-policy', needs: 'storePolicy', meaning: 'write a new policy', run: edit },
  { method: 'GET', path: '/policies/:id/edit', needs: 'storePolicy', meaning: 'write the next revision of a policy', run: edit },
  { method: 'POST', path: '/policies/:id/edit', needs: 'storePolicy', meaning: 'check a policy, run its cases, store it', bytesMax: FORM_BYTES_MAX, run: send },
];
