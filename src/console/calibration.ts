/**
 * Items with known answers, for who answers for them: which categories they cover, how those who were given them did, new
 * ones, typed in or made of texts on which people have settled, and old ones retired. Texts are not listed: one is opened
 * alone, and whoever opens it is never given it.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { Taxonomy } from '../config/taxonomy.ts';
import type { HumanLabel, ItemCandidate, ToldItem } from '../contract/risk.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import { categoryNamed } from '../risk/guide.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField } from './layout.ts';
import { choice, count, given, link, share, shortId, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

interface Counts {
  readonly items: readonly { readonly campaign: string; readonly label: HumanLabel; readonly total: number }[];
  readonly coverage: readonly { readonly label: HumanLabel; readonly category: string | null; readonly total: number }[];
}

const HERE = '/risk/calibration';
const ROWS_MAX = 50;

async function show(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const before = given(request.query, 'before');
  const [counts, { items, next }, { candidates }, taxonomy] = await Promise.all([
    take<Counts>(api, request, 'countCalibrationItems'), take<{ readonly items: readonly ToldItem[]; readonly next: string | null }>(api, request, 'listCalibrationItems', { query: { before, limit: ROWS_MAX } }),
    take<{ readonly candidates: readonly ItemCandidate[] }>(api, request, 'listItemCandidates'), take<Taxonomy>(api, request, 'readRiskGuide'),
  ]);
  const mayChange = api.may(request.actor, 'addCalibrationItems');
  return page(api, request, {
    title: 'Known answers', at: api.may(request.actor, 'readAnnotator') ? '/risk/annotate' : '/risk', status, json: link('/api/v1/risk/calibration/items', new URLSearchParams(), { before, limit: ROWS_MAX }),
    body: html`${told}
<p>They come among drawn texts and look like them, never twice to one person, and never to who wrote, opened or labelled them. Write them so that they read like the traffic.</p>
${coverageBody(counts, taxonomy)}
<h2>Items</h2>${items.length === 0 ? html`<p>There are none${before === undefined ? '' : ' that are older'}.</p>` : table(items, mayChange, request)}
${next === null ? '' : html`<p><a class="button" rel="next" href="${link(HERE, request.query, { before: next })}">Older</a></p>`}
${mayChange ? addForm(request, taxonomy) : ''}
<h2>From texts on which people settled</h2>${candidatesBody(candidates, mayChange, request)}`,
  });
}

function coverageBody({ items, coverage }: Counts, { categories }: Taxonomy): Html {
  const of = (label: HumanLabel): number => items.reduce((sum, one) => (one.label === label ? sum + one.total : sum), 0);
  const totals = new Map(coverage.flatMap(({ category, total }) => (category === null ? [] : [[category, total] as const])));
  const bare = categories.filter(({ id }) => !totals.has(id));
  return html`<dl class="facts"><div><dt>Violations</dt><dd>${count(of('violation'))}</dd></div><div><dt>Safe</dt><dd>${count(of('safe'))}</dd></div><div><dt>Categories covered</dt><dd>${count(categories.length - bare.length)} of ${count(categories.length)}</dd></div></dl>
<details><summary>By category</summary><div class="scroll" tabindex="0" role="region" aria-label="By category"><table class="narrow"><thead><tr><th scope="col">Category</th><th scope="col" class="number">Items</th></tr></thead><tbody>${categories.map(({ id }) => html`<tr><th scope="row"><code>${id}</code></th><td class="number">${count(totals.get(id) ?? 0)}</td></tr>`)}</tbody></table></div></details>`;
}

function table(items: readonly ToldItem[], mayChange: boolean, request: PageRequest): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Items"><table class="rows"><thead><tr><th scope="col">Made (UTC)</th><th scope="col">Item</th><th scope="col">Answer</th><th scope="col">Campaign</th><th scope="col">Of</th><th scope="col">By</th><th scope="col" class="number">Given</th><th scope="col" class="number">Answered so</th><th scope="col"><span class="sr">What to do</span></th></tr></thead><tbody>${items.map((one) => html`
<tr data-row><td>${timeOf(one.created_at)}</td><td>${shortId(one.item_id, 12)}</td><td>${one.label}${one.category === null ? '' : html` <code>${one.category}</code>`}</td><td>${one.campaign === '' ? 'any' : one.campaign}</td><td>${one.direction}, ${one.modality}</td><td><bdi>${one.author}</bdi>${one.source_task === null ? '' : html` <span class="quiet">from a drawn text</span>`}</td><td class="number">${count(one.given)}</td><td class="number">${one.answered === 0 ? '–' : html`${count(one.right)} of ${count(one.answered)} (${share(one.right, one.answered)})`}</td><td>${one.retired ? html`<span class="quiet">retired</span>` : mayChange ? html`<form method="post" action="${HERE}/items/${one.item_id}/text">${proofField(request)}<button class="plain">Open</button></form><form method="post" action="${HERE}/items/${one.item_id}/retire">${proofField(request)}<button class="danger">Retire</button></form>` : ''}</td></tr>`)}
</tbody></table></div>`;
}

function addForm(request: PageRequest, { categories }: Taxonomy): Html {
  const { form } = request;
  return html`<h2>Add one</h2><form method="post" action="${HERE}/add" class="stack">${proofField(request)}
<label for="f-text">Text</label><textarea id="f-text" name="text" rows="4" required maxlength="20000" spellcheck="false"></textarea>
<div class="filter">${choice('Answer', 'label', [['safe', 'safe'], ['violation', 'violation']], form.get('label'))}<div class="field"><label for="f-category">Category, of a violation</label><input id="f-category" name="category" list="categories" maxlength="193" autocomplete="off" value="${form.get('category') ?? ''}"><datalist id="categories">${categories.map(({ id, name }) => html`<option value="${id}">${name}</option>`)}</datalist></div>${choice('Direction', 'direction', DIRECTIONS.map((one) => [one, one] as const), form.get('direction') ?? 'output')}${choice('Modality', 'modality', CONTENT_TYPES.map((one) => [one, one] as const), form.get('modality') ?? 'text')}<div class="field"><label for="f-campaign">Campaign (empty: any)</label><input id="f-campaign" name="campaign" maxlength="64" autocomplete="off" value="${form.get('campaign') ?? ''}"></div></div>
<button>Add</button></form>`;
}

function candidatesBody(candidates: readonly ItemCandidate[], mayChange: boolean, request: PageRequest): Html {
  if (candidates.length === 0) return html`<p>There are none: where two people differ and a third decides, the text comes here.</p>`;
  return html`<p>Such a text stays where it is and goes when it is erased or its days are over; who labelled it is never given it.</p><div class="scroll" tabindex="0" role="region" aria-label="Texts on which people settled"><table class="rows"><thead><tr><th scope="col">Settled (UTC)</th><th scope="col">Text</th><th scope="col">Answer</th><th scope="col">Campaign</th><th scope="col"><span class="sr">What to do</span></th></tr></thead><tbody>${candidates.map((one) => html`
<tr data-row><td>${timeOf(one.settled_at)}</td><td>${shortId(one.task_id, 12)}</td><td>${one.human_label}${one.violation_category === null ? '' : html` <code>${one.violation_category}</code>`}</td><td>${one.campaign}</td><td>${mayChange ? html`<form method="post" action="${HERE}/candidates/${one.task_id}">${proofField(request)}<button class="second">Make it an item</button></form>` : ''}</td></tr>`)}
</tbody></table></div>`;
}

// What forms do.

async function add(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const label = form.get('label');
  const category = label === 'violation' ? categoryNamed(await take<Taxonomy>(api, request, 'readRiskGuide'), form.get('category') ?? '') : undefined;
  if (typeof category === 'string') return refused(api, request, category, 400);
  const campaign = given(form, 'campaign');
  const item = { text: (form.get('text') ?? '').replaceAll('\r\n', '\n'), label, direction: form.get('direction'), modality: form.get('modality'), ...(category === undefined ? {} : { category: category.id }), ...(campaign === undefined ? {} : { campaign }) };
  const answer = await api.call('addCalibrationItems', request, { body: { items: [item] } });
  if (answer.status !== 200) return refused(api, request, messageOf(answer), answer.status);
  return done(api, request, (answer.body as { readonly added: number }).added === 1 ? 'It is taken in, sealed.' : 'It was there already.');
}

async function adopt(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { added } = await take<{ readonly added: number }>(api, request, 'adoptCandidate', { names: { id: request.names['id']! } });
  return done(api, request, added === 1 ? 'It is an item.' : 'It was one already.');
}

async function retire(api: Api, request: PageRequest): Promise<DeskAnswer> {
  await take(api, request, 'retireCalibrationItem', { names: { id: request.names['id']! } });
  return done(api, request, 'It is given to nobody any more.');
}

async function open(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { text, label, category } = await take<{ readonly text: string; readonly label: HumanLabel; readonly category: string | null }>(api, request, 'openCalibrationItem', { names: { id: request.names['id']! } });
  return page(api, request, {
    title: 'A known answer', at: '/risk/annotate', json: '/api/v1/risk/calibration/items',
    body: html`<p><strong>${label}</strong>${category === null ? '' : html`, <code>${category}</code>`}</p><details class="told"><summary data-press="v">Show or hide it <kbd>v</kbd></summary><pre class="text" dir="auto" tabindex="0"><bdi>${text}</bdi></pre></details><p class="quiet">You are never given it to label.</p><p><a href="${HERE}">Known answers</a></p>`,
  });
}

function done(api: Api, request: PageRequest, words: string): Promise<DeskAnswer> {
  return show(api, { ...request, form: new URLSearchParams() }, html`<p class="good" role="status">${words}</p>`);
}

function refused(api: Api, request: PageRequest, words: string, status: number): Promise<DeskAnswer> {
  return show(api, request, html`<p class="fault" role="alert">${words}</p>`, status);
}

export const CALIBRATION_PAGES: readonly Page[] = [
  { method: 'GET', path: HERE, needs: 'listCalibrationItems', meaning: 'items with known answers: what they cover, and how those who were given them did', run: (api, request) => show(api, request) },
  { method: 'POST', path: `${HERE}/add`, needs: 'addCalibrationItems', meaning: 'take an item in', run: add },
  { method: 'POST', path: `${HERE}/candidates/:id`, needs: 'adoptCandidate', meaning: 'make a drawn text an item', run: adopt },
  { method: 'POST', path: `${HERE}/items/:id/text`, needs: 'openCalibrationItem', meaning: 'the text of an item', run: open },
  { method: 'POST', path: `${HERE}/items/:id/retire`, needs: 'retireCalibrationItem', meaning: 'retire an item', run: retire },
];
