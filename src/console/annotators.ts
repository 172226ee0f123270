/**
 * Who labels, for who answers for it: agreement with known answers and how sure that is, what changed lately, how much today,
 * what became of their labels; whoever is paused can be let go on after training. Signs are for a talk, and rank nobody:
 * names stand in the order of the alphabet.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { SKIP_REASONS, type AnnotatorState, type SkipReason } from '../contract/risk.ts';
import type { Interval } from '../risk/intervals.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { count, given, share, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

interface Annotator {
  readonly annotator_id: string;
  readonly state: AnnotatorState;
  readonly reason: string;
  readonly changed_by: string;
  readonly changed_at: string;
  readonly since: string;
  readonly calibration: { readonly n: number; readonly agreement: number | null; readonly interval: Interval; readonly state: string };
  readonly drift: { readonly is_drift: boolean };
  readonly pace: { readonly median_ms: number | null; readonly is_too_fast: boolean; readonly is_slowing: boolean; readonly slowing: number | null };
  readonly labels_today: number;
  readonly violations_today: number;
  readonly flagged: number;
  readonly relabelled: number;
  readonly skipped: Readonly<Record<SkipReason, number>>;
}

async function show(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const { annotators } = await take<{ readonly annotators: readonly Annotator[] }>(api, request, 'listAnnotators');
  const paused = annotators.filter(({ state }) => state === 'paused');
  return page(api, request, {
    title: 'Annotators', at: api.may(request.actor, 'readAnnotator') ? '/risk/annotate' : '/risk', status, json: '/api/v1/risk/annotators',
    body: html`${told}
${annotators.length === 0 ? html`<p>Nobody has labelled yet.</p>` : table(annotators)}
${paused.map((one) => pausedBody(one, api, request))}
${annotators.length === paused.length || !api.may(request.actor, 'pauseAnnotator') ? '' : pauseForm(annotators.filter(({ state }) => state === 'active'), request)}
<p class="quiet">Below the agreement that is asked for, somebody is paused by itself, between two batches, and what they said since it last held is made anew by others. The interval tells how little some tens of known answers say. ${api.may(request.actor, 'listCalibrationItems') ? html`<a href="/risk/calibration">Known answers</a>` : ''}</p>`,
  });
}

function table(annotators: readonly Annotator[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Annotators"><table class="rows"><thead><tr><th scope="col">Who</th><th scope="col">State</th><th scope="col">Agreement (95 %)</th><th scope="col" class="number">Known answers</th><th scope="col">Signs</th><th scope="col" class="number">Today</th><th scope="col" class="number">Violations</th><th scope="col">Made anew</th><th scope="col">Skipped</th></tr></thead><tbody>${annotators.map((one) => html`
<tr data-row><th scope="row"><bdi>${one.annotator_id}</bdi></th><td>${one.state === 'paused' ? html`<strong>paused</strong>` : one.calibration.state === 'provisional' ? 'active, few answers yet' : 'active'}</td><td>${one.calibration.agreement === null ? '–' : html`${share(one.calibration.agreement, 1)} <span class="quiet">(${(100 * one.calibration.interval.low).toFixed(1)}–${(100 * one.calibration.interval.high).toFixed(1)})</span>`}</td><td class="number">${count(one.calibration.n)}</td><td>${signs(one)}</td><td class="number">${count(one.labels_today)}</td><td class="number">${count(one.violations_today)}</td><td>${one.flagged === 0 ? '–' : html`${count(one.relabelled)} of ${count(one.flagged)}`}</td><td>${skips(one.skipped)}</td></tr>`)}
</tbody></table></div>`;
}

function signs({ drift, pace }: Annotator): Piece {
  const found = [...(drift.is_drift ? ['agreement has got worse'] : []), ...(pace.is_slowing ? [`${pace.slowing!.toFixed(1)} times as slow as at first`] : []), ...(pace.is_too_fast ? ['too fast to have read'] : [])];
  return found.length === 0 ? html`<span class="quiet">none</span>` : found.join(', ');
}

function skips(skipped: Annotator['skipped']): Piece {
  const found = SKIP_REASONS.filter((reason) => skipped[reason] > 0).map((reason) => `${count(skipped[reason])} ${reason}`);
  return found.length === 0 ? '–' : found.join(', ');
}

function pausedBody({ annotator_id: id, changed_at: at, changed_by: by, reason, flagged, relabelled }: Annotator, api: Api, request: PageRequest): Html {
  return html`<section class="fault"><h2><bdi>${id}</bdi> is paused</h2><p>Since ${timeOf(at)} UTC, by <bdi>${by}</bdi>: ${reason}. ${flagged === 0 ? '' : html`Of ${count(flagged)} labels that count no more, ${count(relabelled)} are made anew.`}</p>
${api.may(request.actor, 'resumeAnnotator') ? html`<form method="post" action="/risk/annotators/resume" class="filter">${proofField(request)}<input type="hidden" name="annotator" value="${id}"><div class="field"><label for="f-resume-${id}">What was done (training, a talk)</label><input id="f-resume-${id}" name="reason" required maxlength="1000" autocomplete="off"></div><div class="field"><button>Let them go on</button></div></form>` : html`<p class="quiet">Somebody with the role admin lets them go on after training.</p>`}</section>`;
}

function pauseForm(active: readonly Annotator[], request: PageRequest): Html {
  return html`<h2>Pause somebody</h2><form method="post" action="/risk/annotators/pause" class="filter">${proofField(request)}<div class="field"><label for="f-annotator">Who</label><select id="f-annotator" name="annotator">${active.map(({ annotator_id: id }) => html`<option value="${id}">${id}</option>`)}</select></div><div class="field"><label for="f-reason">Why</label><input id="f-reason" name="reason" required maxlength="1000" autocomplete="off"></div><div class="field"><button class="danger">Pause, and have their labels made anew</button></div></form>`;
}

async function change(api: Api, request: PageRequest, name: 'pauseAnnotator' | 'resumeAnnotator'): Promise<DeskAnswer> {
  const answer = await api.call(name, request, { names: { annotator: given(request.form, 'annotator') ?? ' ' }, body: { reason: request.form.get('reason') ?? '' } });
  return answer.status === 200 ? redirect('/risk/annotators') : show(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
}

export const ANNOTATOR_PAGES: readonly Page[] = [
  { method: 'GET', path: '/risk/annotators', needs: 'listAnnotators', meaning: 'who labels: agreement with its interval, signs of drift and tiredness, what is made anew', run: (api, request) => show(api, request) },
  { method: 'POST', path: '/risk/annotators/pause', needs: 'pauseAnnotator', meaning: 'pause somebody', run: (api, request) => change(api, request, 'pauseAnnotator') },
  { method: 'POST', path: '/risk/annotators/resume', needs: 'resumeAnnotator', meaning: 'let somebody go on after training', run: (api, request) => change(api, request, 'resumeAnnotator') },
];
