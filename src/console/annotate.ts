/**
 * Labelling for people: what is theirs, and one text after the other with the guide beside it, a key for every answer. A
 * page shows what the API tells whoever labels, and so nothing of scores, decisions, other people's labels, or of whether
 * an answer is known; the agreement of somebody with known answers is told in steps from which none can be read.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { Taxonomy } from '../config/taxonomy.ts';
import { CONFIDENCE_TIERS, SKIP_REASONS, type AnnotatorState } from '../contract/risk.ts';
import type { WellnessSettings } from '../contract/wellness.ts';
import { categoryNamed } from '../risk/guide.ts';
import type { Interval } from '../risk/intervals.ts';
import type { NOTHING_NEXT } from '../risk/labelling.ts';
import { guideBody, labelForm, skipForm, textBody, UNTYPED, type ShownAnnotation, type TypedLabel } from './annotate-parts.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { count, given, share, timeOf } from './parts.ts';
import { messageOf, refusalPage, take } from './refusal.ts';

interface Me {
  readonly state: AnnotatorState;
  readonly paused: { readonly at: string; readonly by: 'calibration' | 'person'; readonly reason: string | null } | null;
  readonly labels_today: number;
  readonly violations_today: number;
  readonly daily_max: number;
  readonly violations_daily_max: number;
  readonly batch: { readonly left: number; readonly done: number } | null;
  readonly agreement: { readonly n: number; readonly share: number; readonly interval: Interval } | null;
  readonly required_agreement: number;
  readonly disputes: number;
  readonly pace: { readonly n: number; readonly median_ms: number | null; readonly is_too_fast: boolean; readonly slowing: number | null; readonly is_slowing: boolean };
}

type Next = ({ readonly state: 'there'; readonly left: number; readonly done: number } & ShownAnnotation) | { readonly state: (typeof NOTHING_NEXT)[number] };

const HERE = '/risk/annotate';
const TASK = '/risk/annotate/task';

const WHY_NOT: Readonly<Record<string, Html>> = {
  none: html`<p role="status">Nothing waits for you now.</p>`,
  locked: html`<p class="fault" role="alert">What you have is sealed under a master key that this process has not. It stays yours; whoever runs it can bring the key.</p>`,
};

// What is mine.

async function mine(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const me = await take<Me>(api, request, 'readAnnotator');
  const may = (name: string): boolean => api.may(request.actor, name);
  return page(api, request, {
    title: 'Annotate', at: HERE, status, json: '/api/v1/risk/me',
    body: html`${told === '' ? whyNot(request.query.get('state')) : told}
${stateBody(me)}
<dl class="facts"><div><dt>Today</dt><dd>${count(me.labels_today)} of ${count(me.daily_max)} texts</dd></div><div><dt>Of them violations</dt><dd>${count(me.violations_today)} of ${count(me.violations_daily_max)}, then it is enough for a day</dd></div><div><dt>Agreement with known answers</dt><dd>${agreementOf(me)}</dd></div><div><dt>Pace</dt><dd>${paceOf(me)}</dd></div></dl>
${me.state === 'paused' ? '' : actions(me, request)}
${me.disputes === 0 ? '' : html`<p><a href="/risk/disputes">${count(me.disputes)} ${me.disputes === 1 ? 'text waits' : 'texts wait'} for somebody to decide</a>, since two people differ.</p>`}
<p class="quiet">Some texts have known answers, and look like any other. A cover and breaks are under <a href="/me">your settings</a>; what you do not want to be given there is told by scores, which nobody has here: skip such a text.${may('listRiskCampaigns') ? html` <a href="/risk">Campaigns</a>.` : ''}${may('listAnnotators') ? html` <a href="/risk/annotators">Annotators</a>.` : ''}${may('listCalibrationItems') ? html` <a href="/risk/calibration">Known answers</a>.` : ''}</p>
${guideBody(await take<Taxonomy>(api, request, 'readRiskGuide'))}`,
  });
}

function whyNot(state: string | null): Piece {
  return state !== null && Object.hasOwn(WHY_NOT, state) ? WHY_NOT[state] : '';
}

function stateBody({ state, paused, labels_today: labels, daily_max: most, violations_today: violations, violations_daily_max: violationsMost, pace }: Me): Piece {
  if (state === 'paused' && paused !== null) return html`<section class="fault" role="alert"><h2>You are paused</h2><p>Since ${timeOf(paused.at)} UTC. ${paused.by === 'calibration' ? 'Your labels agreed with known answers less often than is asked for. That happens to people who work well too; it says that the guide and you should meet again.' : html`Because: ${paused.reason}`}</p>
<p>What to do: read the guide below, go through its cases near the line, and ask whoever leads the campaign for a talk. They let you go on after it, and your count begins anew. Your labels since your agreement last held are made anew by others; nothing else is lost.</p></section>`;
  if (labels >= most) return html`<p class="good" role="status">You have labelled as many texts as one should on a day. Come back tomorrow (UTC).</p>`;
  if (violations >= violationsMost) return html`<p class="good" role="status">You have seen as many violations as one should on a day. Come back tomorrow (UTC).</p>`;
  if (pace.is_too_fast) return html`<p class="fault" role="alert">Many of your last labels took less than a second. Nobody is ranked by speed: take the time that a text needs.</p>`;
  return pace.is_slowing ? html`<p class="fault" role="alert">You take longer than when you began. That is how tiredness shows; <a href="/me">a break</a> may be due.</p>` : '';
}

function agreementOf({ agreement, required_agreement: required }: Me): Piece {
  if (agreement === null) return html`<span class="quiet">Not told yet: it comes in steps of fifty known answers, so that no label can be read from it.</span>`;
  return html`${share(agreement.share, 1)} of ${count(agreement.n)} (${(100 * agreement.interval.low).toFixed(1)}–${share(agreement.interval.high, 1)}); ${share(required, 1)} is asked for`;
}

function paceOf({ pace: { n, median_ms: ms } }: Me): Piece {
  return ms === null ? html`<span class="quiet">Nothing yet.</span>` : `${(ms / 1_000).toFixed(1)} s a text, of ${count(n)} in this sitting`;
}

function actions({ batch, labels_today: labels }: Me, request: PageRequest): Html {
  const begin = batch === null ? 'Take a batch' : `Go on: ${count(batch.done)} done, ${count(batch.left)} left`;
  return html`<div class="actions"><form method="post" action="${HERE}/next">${proofField(request)}<button data-press="t">${begin} <kbd>t</kbd></button></form>
${labels === 0 ? '' : undoForm(request)}
${batch === null ? '' : html`<form method="post" action="${HERE}/release">${proofField(request)}<button class="plain" data-press="r">Give the rest to others <kbd>r</kbd></button></form>`}</div>`;
}

function undoForm(request: PageRequest): Html {
  return html`<form method="post" action="${HERE}/undo">${proofField(request)}<button class="second" data-press="u">Take the last label back <kbd>u</kbd></button></form>`;
}

// One text.

async function task(api: Api, request: PageRequest, told: Piece = '', status = 200, typed = UNTYPED): Promise<DeskAnswer> {
  const answer = await api.call('readCurrentAnnotation', request);
  if (answer.status === 409) return toBreak(TASK);
  if (answer.status !== 200) return refusalPage(api, answer, request);
  const found = answer.body as Next;
  if (found.state !== 'there') return mine(api, request, told === '' ? (found.state === 'locked' ? whyNot('locked') : html`<p role="status">No text is before you.</p>`) : told, status);
  const [taxonomy, { settings }] = await Promise.all([take<Taxonomy>(api, request, 'readRiskGuide'), take<{ readonly settings: WellnessSettings }>(api, request, 'readWellness')]);
  const { annotation: { annotation_id: id }, left, done } = found;
  return page(api, request, {
    title: 'Label a text', at: HERE, status, json: '/api/v1/risk/current',
    body: html`${told}<p class="progress"><label for="batch">Text ${count(done + 1)} of ${count(done + left)}</label> <progress id="batch" max="${String(done + left)}" value="${String(done)}">${done}</progress></p>
<div class="desk"><div>${textBody(found, settings)}
${labelForm(`${HERE}/label`, request, id, taxonomy, typed)}
${skipForm(`${HERE}/skip`, request, id)}
<div class="actions">${done === 0 ? '' : undoForm(request)}<a href="${HERE}">What is mine</a></div></div>
${guideBody(taxonomy)}</div>`,
  });
}

export function toBreak(next: string): DeskAnswer {
  return redirect(`/me?next=${encodeURIComponent(next)}`);
}

// What forms do.

async function next(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const answer = await api.call('nextAnnotation', request);
  if (answer.status === 409) return toBreak(HERE);
  if (answer.status !== 200) return refusalPage(api, answer, request);
  const { state } = answer.body as Next;
  return redirect(state === 'there' ? TASK : Object.hasOwn(WHY_NOT, state) ? `${HERE}?state=${state}` : HERE);
}

async function label(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const sent = await sendLabel(api, request);
  return sent === undefined ? redirect(TASK) : task(api, request, html`<p class="fault" role="alert">${sent.message}</p>`, sent.status, sent.typed);
}

/** What was typed is kept where it is refused; undefined: it has its label. */
export async function sendLabel(api: Api, request: PageRequest): Promise<{ readonly message: string; readonly status: number; readonly typed: TypedLabel } | undefined> {
  const { form } = request;
  const typed: TypedLabel = { category: given(form, 'category') ?? '', note: form.get('note')?.slice(0, 2_000) ?? '', confidence: CONFIDENCE_TIERS.find((one) => one === form.get('confidence')) ?? 'high' };
  const isViolation = form.get('label') === 'violation';
  const category = isViolation ? categoryNamed(await take<Taxonomy>(api, request, 'readRiskGuide'), typed.category) : undefined;
  if (typeof category === 'string') return { message: category, status: 400, typed };
  const answer = await api.call('labelAnnotation', request, { names: { id: given(form, 'annotation') ?? 'none' }, body: { label: isViolation ? 'violation' : form.get('label') ?? '', ...(category === undefined ? {} : { category: category.id }), confidence: typed.confidence, note: typed.note } });
  if (answer.status === 200) return undefined;
  // What somebody else has, or has its label, is not before them any more.
  return { message: messageOf(answer), status: answer.status, typed: answer.status === 400 ? typed : UNTYPED };
}

async function skip(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const sent = await sendSkip(api, request);
  return sent === undefined ? redirect(TASK) : task(api, request, html`<p class="fault" role="alert">${sent.message}</p>`, sent.status);
}

export async function sendSkip(api: Api, request: PageRequest): Promise<{ readonly message: string; readonly status: number } | undefined> {
  const answer = await api.call('skipAnnotation', request, { names: { id: given(request.form, 'annotation') ?? 'none' }, body: { reason: SKIP_REASONS.find((one) => one === request.form.get('reason')) ?? '' } });
  return answer.status === 200 ? undefined : { message: messageOf(answer), status: answer.status };
}

async function undo(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const answer = await api.call('undoLabel', request);
  return answer.status === 200 ? redirect(TASK) : mine(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
}

async function release(api: Api, request: PageRequest): Promise<DeskAnswer> {
  await take(api, request, 'releaseAnnotations');
  return redirect(HERE);
}

export const ANNOTATE_PAGES: readonly Page[] = [
  { method: 'GET', path: HERE, needs: 'readAnnotator', meaning: 'labelling for campaigns: what is mine, how I stand, and the guide', run: (api, request) => mine(api, request) },
  { method: 'GET', path: TASK, needs: 'readCurrentAnnotation', meaning: 'the text that is to be labelled next, with the guide beside it', run: (api, request) => task(api, request) },
  { method: 'POST', path: `${HERE}/next`, needs: 'nextAnnotation', meaning: 'take a batch, or go on with it', run: next },
  { method: 'POST', path: `${HERE}/label`, needs: 'labelAnnotation', meaning: 'label a text, and come to the next', run: label },
  { method: 'POST', path: `${HERE}/skip`, needs: 'skipAnnotation', meaning: 'give a text back, and why', run: skip },
  { method: 'POST', path: `${HERE}/undo`, needs: 'undoLabel', meaning: 'take the last label back', run: undo },
  { method: 'POST', path: `${HERE}/release`, needs: 'releaseAnnotations', meaning: 'give the rest of the batch to others', run: release },
];
