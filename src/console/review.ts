/**
 * The review queue for people: what waits, one item at a time, a key for every verdict. A text lies under a cover until
 * it is asked for. Whoever decides an item is given the next at once. The claim's fence goes with every form of an item.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { RESOLUTIONS, REVIEW_STATUSES, type Appeal, type BatchedRequest, type ReviewItem, type Verdict } from '../contract/review.ts';
import { SEVERITIES, type Severity, type Action } from '../contract/screening.ts';
import type { BulkResult } from '../review/bulk.ts';
import type { ShownHold } from '../review/held.ts';
import { freshLink, freshPlace } from './fresh.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { actionBadge, choice, count, given, givenNumber, link, names, scoreBars, shortId, timeOf } from './parts.ts';
import { messageOf, refusalPage, take } from './refusal.ts';
import { textSection } from './review-text.ts';
import { waited, waitOf, WAIT_PAGE } from './wait.ts';

type Shown = Omit<ReviewItem, 'action'> & ShownHold & { readonly action: string | null; readonly covered: boolean };

interface ReviewPage {
  readonly items: readonly Shown[];
  readonly waiting: Readonly<Record<Severity, number>> | null;
  readonly next: string | null;
}

interface Claim {
  readonly item: { readonly review_id: string } | null;
  readonly fence: number | null;
}

interface ToldRule {
  readonly rule_id: string;
  readonly name: string;
  readonly action: Action;
  readonly condition: string;
}

interface BulkAnswer {
  readonly results: readonly BulkResult[];
  readonly resolved: number;
  readonly more: boolean;
}

const ROWS_MAX = 50;
const REASONS: Readonly<Record<ReviewItem['origin'], string>> = { escalate: 'a rule asks for people', uncertain: 'a score nearly decided otherwise', sample: 'drawn for a check', appeal: 'somebody objected', learning: 'picked, so that the classifiers learn' };
/** A verdict, its button and its key. */
const VERDICTS = [{ resolution: 'allow', label: 'Allow', key: 'a' }, { resolution: 'block', label: 'Block', key: 'b' }, { resolution: 'escalate_legal', label: 'To legal', key: 'l' }] as const satisfies readonly { readonly resolution: (typeof RESOLUTIONS)[number]; readonly label: string; readonly key: string }[];

// The queue.

async function queue(api: Api, request: PageRequest, told: Piece = ''): Promise<DeskAnswer> {
  const { query } = request;
  const asked = { status: given(query, 'status'), severity: given(query, 'severity'), tenant: given(query, 'tenant'), before: given(query, 'before', 400), limit: ROWS_MAX };
  const { items, waiting, next } = await take<ReviewPage>(api, request, 'listReviews', { query: asked });
  const isLive = query.get('live') !== null && asked.before === undefined;
  const here = link('/review', new URLSearchParams(), { ...asked, limit: undefined });
  return page(api, request, {
    title: 'Review', at: '/review', json: link('/api/v1/reviews', new URLSearchParams(), asked),
    body: html`${told}
${api.may(request.actor, 'nextReview') ? html`<form method="post" action="/review/next">${proofField(request)}<button data-press="t">Take the next <kbd>t</kbd></button></form>` : ''}
<form method="get" class="filter" role="search">${choice('Status', 'status', [['', 'any'], ...REVIEW_STATUSES.map((word) => [word, word] as const)], query.get('status'))}${choice('Severity', 'severity', [['', 'any'], ...SEVERITIES.map((word) => [word, word] as const)], query.get('severity'))}<div class="field"><button>Show</button> ${asked.before === undefined ? freshLink('/review', query, isLive) : ''}</div></form>
${freshPlace(isLive, html`${waiting === null ? '' : html`<dl class="facts">${[...SEVERITIES].reverse().map((severity) => html`<div><dt>${severity}</dt><dd>${count(waiting[severity])} waiting</dd></div>`)}</dl>`}
${items.length === 0 ? html`<p>Nothing is there.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Items"><table class="rows"><thead><tr><th scope="col">Came (UTC)</th><th scope="col">A request</th><th scope="col">Severity</th><th scope="col">Status</th><th scope="col">Due (UTC)</th><th scope="col">Tenant</th><th scope="col">Rules</th><th scope="col">Resolution</th></tr></thead><tbody>${items.map((item) => html`
<tr data-row><td><a href="/review/${item.review_id}" data-open>${timeOf(item.created_at)}</a></td><td>${item.hold_until === null ? '–' : waitOf(item, { from: here })}</td><td>${item.severity}</td><td>${item.status.replace('_', ' ')}${item.reviewer_id === null || item.status === 'resolved' ? '' : html` <bdi>${item.reviewer_id}</bdi>`}</td><td>${timeOf(item.due_at)}</td><td>${item.tenant_id}</td><td>${names([...item.triggered_rules, ...item.near_rules.filter((rule) => !item.triggered_rules.includes(rule))], '–')}${item.batched === 0 ? '' : html` <span class="quiet">and ${count(item.batched)} more alike</span>`}</td><td>${item.resolution ?? '–'}</td></tr>`)}
</tbody></table></div>`}`)}
${next === null ? '' : html`<p><a class="button" rel="next" href="${link('/review', query, { before: next, live: undefined })}">Older</a></p>`}`,
  });
}

// One item.

async function item(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const found = await take<Shown & { readonly verdicts: readonly Verdict[]; readonly rules: readonly ToldRule[]; readonly batch: readonly BatchedRequest[]; readonly alike: number; readonly appeals: readonly Appeal[] }>(api, request, 'readReview', { names: { id } });
  const fence = givenNumber(request.query, 'fence') ?? givenNumber(request.form, 'fence');
  const isMine = fence !== undefined && found.status === 'in_review' && found.reviewer_id === request.actor.name;
  return page(api, request, {
    title: `Review: ${found.severity}`, at: '/review', status, json: `/api/v1/reviews/${id}`,
    body: html`${told}
<dl class="facts"><div><dt>Item</dt><dd>${shortId(found.review_id, 16)}</dd></div><div><dt>Tenant</dt><dd>${found.tenant_id}</dd></div><div><dt>Direction</dt><dd>${found.direction}</dd></div><div><dt>Status</dt><dd>${found.status.replace('_', ' ')}${found.reviewer_id === null || found.status === 'resolved' ? '' : html`, <bdi>${found.reviewer_id}</bdi>`}</dd></div><div><dt>Due (UTC)</dt><dd>${timeOf(found.due_at)}</dd></div>${found.hold_until === null ? '' : html`<div><dt>A request</dt><dd>${waitOf(found, { from: `/review/${id}/wait`, says: true })}</dd></div>`}<div><dt>Round</dt><dd>${found.round}${found.double_blind ? ', two people' : ''}</dd></div><div><dt>Rules</dt><dd>${names(found.triggered_rules)}</dd></div><div><dt>Policy</dt><dd>${found.policy}</dd></div><div><dt>Here since</dt><dd>${REASONS[found.origin]}</dd></div>${found.near_rules.length === 0 ? '' : html`<div><dt>Nearly</dt><dd>${names(found.near_rules)}</dd></div>`}${found.batched === 0 ? '' : html`<div><dt>Stands for</dt><dd>${count(found.batched)} more</dd></div>`}${found.action === null ? '' : html`<div><dt>Meanwhile</dt><dd>${actionBadge(found.action)}</dd></div>`}${found.resolution === null ? '' : html`<div><dt>Resolution</dt><dd><strong>${found.resolution}</strong></dd></div>`}</dl>
${isMine ? verdictForm(request, id, fence, found.alike) : claimForm(api, request, found)}
${await textSection(api, request, found)}
${found.rules.length === 0 ? '' : html`<h2>What the rules say</h2><ul>${found.rules.map(({ rule_id: rule, name, action, condition }) => html`<li><code>${rule}</code>${name === rule ? '' : html`, ${name}`}: ${actionBadge(action)} where <code>${condition}</code></li>`)}</ul>`}
<h2>Scores</h2>${found.covered ? html`<p class="quiet">Covered: two people decide this item without each other, and without the scores.</p>` : scoreBars(found.classifier_results.map(({ classifier_id: classifier, category, score, unknown }) => ({ name: `${classifier}.${category}`, ...(score === undefined ? {} : { score }), ...(unknown === undefined ? {} : { unknown }) })))}
${found.batch.length === 0 ? '' : html`<h2>Requests that it stands for</h2><ul>${found.batch.map(({ request_id: request, direction, created_at: at }) => html`<li><code>${request}</code>, ${direction}, ${timeOf(at)}</li>`)}</ul>${found.batch.length === found.batched ? '' : html`<p class="quiet">The first ${count(found.batch.length)} are listed; all stand in the audit log.</p>`}`}
${found.appeals.length === 0 ? '' : html`<h2>Objections</h2><ul>${found.appeals.map(({ round, author, reason, created_at: at }) => html`<li>Round ${round}, <bdi>${author}</bdi>, ${timeOf(at)}<p>${reason}</p></li>`)}</ul>`}
${found.verdicts.length === 0 ? '' : html`<h2>Verdicts</h2><ul>${found.verdicts.map(({ reviewer_id: by, resolution, created_at: at, notes, categories, round }) => html`<li>Round ${round}: <strong>${resolution}</strong> by <bdi>${by}</bdi>, ${timeOf(at)}${categories.length === 0 ? '' : html`: ${names(categories)}`}${notes === '' ? '' : html`<p>${notes}</p>`}</li>`)}</ul>`}
${found.status === 'resolved' && api.may(request.actor, 'appealReview') ? html`<form method="post" action="/review/${id}/appeal" class="filter">${proofField(request)}<div class="field"><label for="f-reason">Object, because</label><input id="f-reason" name="reason" required maxlength="4000" autocomplete="off"></div><div class="field"><button>Have others decide it</button></div></form>` : ''}`,
  });
}

function verdictForm(request: PageRequest, id: string, fence: number, alike: number): Html {
  return html`<form method="post" action="/review/${id}/verdict" class="filter">${proofField(request)}<input type="hidden" name="fence" value="${String(fence)}">
<div class="field"><label for="f-categories">Categories, with commas</label><input id="f-categories" name="categories" maxlength="2000" autocomplete="off" spellcheck="false"></div><div class="field"><label for="f-notes">Notes</label><input id="f-notes" name="notes" maxlength="4000" autocomplete="off" data-search></div>${alike === 0 ? '' : html`
<div class="field"><label for="f-alike">And ${count(alike)} alike that wait</label><select id="f-alike" name="alike"><option value="">no</option><option value="all">with the same verdict and note</option></select></div>`}
<div class="field">${VERDICTS.map(({ resolution, label, key }) => html`<button name="resolution" value="${resolution}" data-press="${key}">${label} <kbd>${key}</kbd></button> `)}</div></form>
<form method="post" action="/review/${id}/release">${proofField(request)}<input type="hidden" name="fence" value="${String(fence)}"><button class="plain" data-press="r">Give it back <kbd>r</kbd></button></form>`;
}

function claimForm(api: Api, request: PageRequest, { review_id: id, status }: Shown): Piece {
  if (status === 'resolved' || !api.may(request.actor, 'claimReview')) return '';
  return html`<form method="post" action="/review/${id}/claim">${proofField(request)}<button data-press="t">Take it <kbd>t</kbd></button></form>`;
}

// What forms do.

async function next(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const answer = await api.call('nextReview', request);
  // A break is due or goes on: one's own page asks.
  if (answer.status === 409) return redirect('/me');
  if (answer.status !== 200) return refusalPage(api, answer, request);
  const { item: found, fence } = answer.body as Claim;
  return redirect(found === null ? '/review' : `/review/${found.review_id}?fence=${fence}`);
}

async function claim(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const { fence } = await take<Claim>(api, request, 'claimReview', { names: { id } });
  return redirect(`/review/${id}?fence=${fence}`);
}

async function verdict(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form, names: { id } } = request;
  const categories = (given(form, 'categories', 2_000) ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '');
  const answer = await api.call('decideReview', request, { names: { id: id! }, body: { fence: givenNumber(form, 'fence'), resolution: given(form, 'resolution'), categories, notes: form.get('notes')?.slice(0, 4_000) ?? '' } });
  // Whoever comes too late for the request is told so, and stays.
  if (answer.status === 200 && (answer.body as Shown).released === false) return item(api, request, html`<p role="status">Your verdict is kept. It let no request go: ${waited(answer.body as Shown)}.</p>`);
  if (answer.status === 200 && form.get('alike') === 'all') return alike(api, request, categories);
  return answer.status === 200 ? next(api, request) : item(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
}

/** The same verdict over what is alike, and what came of each. */
async function alike(api: Api, request: PageRequest, categories: readonly string[]): Promise<DeskAnswer> {
  const { form, names: { id } } = request;
  const { results, resolved, more } = await take<BulkAnswer>(api, request, 'resolveReviews', { body: { like: id, resolution: given(form, 'resolution'), categories, notes: form.get('notes')?.slice(0, 4_000) ?? '' } });
  const left = results.filter(({ outcome }) => outcome !== 'resolved');
  return queue(api, request, html`<p class="good" role="status">${count(resolved + 1)} items are decided.${left.length === 0 ? '' : html` Left out: ${left.map(({ review_id: one, outcome }, index) => html`${index === 0 ? '' : ', '}<a href="/review/${one}">${shortId(one, 16)}</a> (${outcome.replace('_', ' ')})`)}.`}${more ? ' More are alike.' : ''}</p>`);
}

async function release(api: Api, request: PageRequest): Promise<DeskAnswer> {
  await take(api, request, 'releaseReview', { names: { id: request.names['id']! }, body: { fence: givenNumber(request.form, 'fence') } });
  return redirect('/review');
}

async function appeal(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  await take(api, request, 'appealReview', { names: { id }, body: { reason: request.form.get('reason') ?? '' } });
  return redirect(`/review/${id}`);
}

async function appealRequest(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const { review } = await take<{ readonly review: { readonly review_id: string } }>(api, request, 'appealRequest', { body: { request_id: form.get('request_id') ?? '', reason: form.get('reason') ?? '' } });
  return redirect(`/review/${review.review_id}`);
}

export const REVIEW_PAGES: readonly Page[] = [
  { method: 'GET', path: '/review', needs: 'listReviews', meaning: 'what waits for a person; `?live=1` keeps it fresh', run: (api, request) => queue(api, request) },
  { method: 'GET', path: '/review/:id', needs: 'readReview', meaning: 'one item of the review queue', run: (api, request) => item(api, request) },
  WAIT_PAGE,
  { method: 'POST', path: '/review/next', needs: 'nextReview', meaning: 'take the most urgent item', run: next },
  { method: 'POST', path: '/review/:id/claim', needs: 'claimReview', meaning: 'take an item', run: claim },
  { method: 'POST', path: '/review/:id/verdict', needs: 'decideReview', meaning: 'decide an item, and take the next', run: verdict },
  { method: 'POST', path: '/review/:id/release', needs: 'releaseReview', meaning: 'give an item back', run: release },
  { method: 'POST', path: '/review/:id/appeal', needs: 'appealReview', meaning: 'object to a resolution', run: appeal },
  { method: 'POST', path: '/appeals', needs: 'appealRequest', meaning: 'object to what was done with a request', run: appealRequest },
];
