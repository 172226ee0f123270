/**
 * Where two who labelled the same text differ, a third decides, who sees what both said and why, and not who they are. The
 * order of the two tells nothing. Whoever labelled the text is not given it.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { Taxonomy } from '../config/taxonomy.ts';
import type { DisputedLabel } from '../contract/risk.ts';
import type { WellnessSettings } from '../contract/wellness.ts';
import type { NOTHING_NEXT } from '../risk/labelling.ts';
import { sendLabel, sendSkip, toBreak } from './annotate.ts';
import { guideBody, labelForm, labelWords, skipForm, textBody, UNTYPED, type ShownAnnotation } from './annotate-parts.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { count } from './parts.ts';
import { refusalPage, take } from './refusal.ts';

type Next = ({ readonly state: 'there'; readonly labels: readonly DisputedLabel[] } & ShownAnnotation) | { readonly state: (typeof NOTHING_NEXT)[number] };

const HERE = '/risk/disputes';
const WHY: Readonly<Record<Exclude<Next['state'], 'there' | 'none'>, string>> = { paused: 'You are paused.', daily_limit: 'You have labelled as many texts as one should on a day.', exposure_limit: 'You have seen as many violations as one should on a day.', locked: 'The text is sealed under a master key that this process has not.' };

async function show(api: Api, request: PageRequest, told: Piece = '', status = 200, typed = UNTYPED): Promise<DeskAnswer> {
  const answer = await api.call('readCurrentDispute', request);
  if (answer.status === 409) return toBreak(HERE);
  if (answer.status !== 200) return refusalPage(api, answer, request);
  const found = answer.body as Next;
  if (found.state !== 'there') return waiting(api, request, found.state, told, status);
  const [taxonomy, { settings }] = await Promise.all([take<Taxonomy>(api, request, 'readRiskGuide'), take<{ readonly settings: WellnessSettings }>(api, request, 'readWellness')]);
  return page(api, request, {
    title: 'Decide between two labels', at: '/risk/annotate', status, json: '/api/v1/risk/disputes/current',
    body: html`${told}<div class="desk"><div>${textBody(found, settings)}
<h2>What two people say</h2>${found.labels.map(sideBody)}
<p class="quiet">Your label decides.</p>
${labelForm(`${HERE}/label`, request, found.annotation.annotation_id, taxonomy, typed)}
${skipForm(`${HERE}/skip`, request, found.annotation.annotation_id)}</div>
${guideBody(taxonomy)}</div>`,
  });
}

function sideBody(label: DisputedLabel): Html {
  return html`<section class="said"><p>${labelWords(label)}</p>${label.note === '' ? html`<p class="quiet">No reason is given.</p>` : html`<p dir="auto"><bdi>${label.note}</bdi></p>`}</section>`;
}

async function waiting(api: Api, request: PageRequest, state: Exclude<Next['state'], 'there'>, told: Piece, status: number): Promise<DeskAnswer> {
  const { disputes } = await take<{ readonly disputes: number }>(api, request, 'readAnnotator');
  return page(api, request, {
    title: 'Decide between two labels', at: '/risk/annotate', status, json: '/api/v1/risk/disputes/current',
    body: html`${told}${state === 'none' ? '' : html`<p class="fault" role="alert">${WHY[state]}</p>`}
<p>${disputes === 0 ? 'Nowhere do two people differ whose text you have not labelled yourself.' : html`${count(disputes)} ${disputes === 1 ? 'text waits' : 'texts wait'} on which two people differ.`}</p>
${disputes === 0 || state !== 'none' ? '' : html`<form method="post" action="${HERE}/next">${proofField(request)}<button data-press="t">Take the next <kbd>t</kbd></button></form>`}
<p><a href="/risk/annotate">What is mine</a></p>`,
  });
}

async function next(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const answer = await api.call('nextDispute', request);
  if (answer.status === 409) return toBreak(HERE);
  return answer.status === 200 ? redirect(HERE) : refusalPage(api, answer, request);
}

async function label(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const sent = await sendLabel(api, request);
  return sent === undefined ? next(api, request) : show(api, request, html`<p class="fault" role="alert">${sent.message}</p>`, sent.status, sent.typed);
}

async function skip(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const sent = await sendSkip(api, request);
  return sent === undefined ? next(api, request) : show(api, request, html`<p class="fault" role="alert">${sent.message}</p>`, sent.status);
}

export const DISPUTE_PAGES: readonly Page[] = [
  { method: 'GET', path: HERE, needs: 'readCurrentDispute', meaning: 'a text on which two people differ, with what both say and without who they are', run: (api, request) => show(api, request) },
  { method: 'POST', path: `${HERE}/next`, needs: 'nextDispute', meaning: 'take the next on which two differ', run: next },
  { method: 'POST', path: `${HERE}/label`, needs: 'labelAnnotation', meaning: 'decide it, and come to the next', run: label },
  { method: 'POST', path: `${HERE}/skip`, needs: 'skipAnnotation', meaning: 'leave it to others, and why', run: skip },
];
