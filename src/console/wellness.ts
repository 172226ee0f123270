/**
 * What somebody who reviews asks for themselves: the cover, greyscale, what they are not given, when they are asked to have
 * a break; and what they opened today, which nobody else sees. The page says what each does and promises no more than that.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import { safeNext } from '../admin/login.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { BREAK_BOUNDS, SUBJECTS, type Subject, type WellnessSettings } from '../contract/wellness.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { count, given, names, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

interface Wellness {
  readonly reviewer: string;
  readonly settings: WellnessSettings;
  readonly breaks: { readonly after_minutes: number; readonly after_severe_items: number; readonly minutes: number; readonly state: 'working' | 'due' | 'break'; readonly since: string; readonly until: string | null };
  readonly today: { readonly day: string; readonly opened: number; readonly severe: number; readonly undisclosed: number; readonly subjects: readonly { readonly subject: Subject; readonly opened: number }[] };
}

async function show(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const own = await take<Wellness>(api, request, 'readWellness');
  return page(api, request, {
    title: 'My settings', at: '/me', status, json: '/api/v1/me/wellness',
    body: html`${told}${breakBody(own, request)}
${settingsForm(own, request)}
<h2>What you opened today</h2>${exposureBody(own.today)}`,
  });
}

function breakBody({ breaks: { state, after_minutes: minutes, after_severe_items: items, minutes: length, since, until } }: Wellness, request: PageRequest): Html {
  const back = html`<input type="hidden" name="next" value="${request.query.get('next') ?? ''}">`;
  const goOn = (label: string): Html => html`<form method="post" action="/me/break">${proofField(request)}${back}<button name="take" value="false" class="second" data-press="w">${label} <kbd>w</kbd></button></form>`;
  if (state === 'break') return html`<section class="good" role="status"><h2>You have a break</h2><p>Until ${timeOf(until)} UTC you are given no next item.</p><div class="actions">${goOn('End it now')}</div></section>`;
  const takeOne = html`<form method="post" action="/me/break">${proofField(request)}<button name="take" value="true"${state === 'due' ? '' : html` class="second"`} data-press="x">Have a break of ${length} minutes <kbd>x</kbd></button></form>`;
  if (state === 'due') return html`<section class="fault" role="alert"><h2>Time for a break</h2><p>You have been at it since ${timeOf(since)} UTC. Before the next item, choose.</p><div class="actions">${takeOne}${goOn('Go on')}</div></section>`;
  return html`<h2>Breaks</h2><p>You are asked after ${minutes} minutes at it, or ${items} severe items opened; doing nothing for ${length} minutes is a break too. The count began at ${timeOf(since)} UTC.</p>${takeOne}`;
}

function settingsForm({ settings, breaks }: Wellness, request: PageRequest): Html {
  const { cover, greyscale, opt_out: optOut, break_after_minutes: minutes, break_after_items: items } = settings;
  return html`<h2>How items come</h2><p class="quiet">These settings are yours: nobody else is shown them, no log holds them, and nobody asks why.</p>
<form method="post" action="/me" class="stack">${proofField(request)}
${tick('cover', 'Texts stay under a cover until I open them', cover, 'Without it a text opens with its item, unless it may be violent or sexual: that never opens by itself.')}
${tick('greyscale', 'Show what I open without colours', greyscale, 'A matter of taste: no benefit of it is known.')}
<fieldset><legend>Do not give me items that may be about</legend><div class="ticks">${SUBJECTS.map((subject) => html`<span><input type="checkbox" id="f-not-${subject}" name="not" value="${subject}"${optOut.includes(subject) ? html` checked` : ''}><label for="f-not-${subject}">${subject}</label></span>`)}</div><p class="quiet">Told by scores, so now and then one comes all the same; give it back. What you open by its address is yours to open.</p></fieldset>
<div class="filter">${sooner('minutes', 'Ask me after minutes (empty: as configured)', minutes, BREAK_BOUNDS.afterMinutes.min, breaks.after_minutes)}${sooner('items', 'or after severe items', items, BREAK_BOUNDS.afterItems.min, breaks.after_severe_items)}</div>
<button>Keep these</button></form>`;
}

function tick(name: string, label: string, isOn: boolean, note: string): Html {
  return html`<p class="tick"><input type="checkbox" id="f-${name}" name="${name}" value="yes" aria-describedby="n-${name}"${isOn ? html` checked` : ''}><label for="f-${name}">${label}</label><br><span class="quiet" id="n-${name}">${note}</span></p>`;
}

function sooner(name: string, label: string, value: number | null, min: number, counts: number): Html {
  return html`<div class="field"><label for="f-${name}">${label}</label><input id="f-${name}" name="${name}" type="number" inputmode="numeric" min="${min}" step="1" value="${value === null ? '' : String(value)}" placeholder="${counts}" autocomplete="off"></div>`;
}

function exposureBody({ day, opened, severe, undisclosed, subjects }: Wellness['today']): Html {
  if (opened === 0) return html`<p>Nothing yet (${day}, UTC).</p>`;
  return html`<p>${count(opened)} ${opened === 1 ? 'item' : 'items'} on ${day} (UTC), ${count(severe)} of them severe.${undisclosed === 0 ? '' : html` ${count(undisclosed)} are still being decided by two people, so their kinds are not told.`}</p>
${subjects.length === 0 ? '' : html`<div class="scroll" tabindex="0" role="region" aria-label="Opened today"><table class="narrow"><thead><tr><th scope="col">May be about</th><th scope="col" class="number">Opened</th></tr></thead><tbody>${subjects.map(({ subject, opened: times }) => html`<tr><th scope="row">${names([subject])}</th><td class="number">${count(times)}</td></tr>`)}</tbody></table></div>`}
<p class="quiet">Nobody but you sees this, and tomorrow it is gone.</p>`;
}

async function save(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const number = (name: string): number | null => (given(form, name) === undefined ? null : Number(given(form, name)));
  const wanted = { cover: form.get('cover') === 'yes', greyscale: form.get('greyscale') === 'yes', opt_out: form.getAll('not'), break_after_minutes: number('minutes'), break_after_items: number('items') };
  const answer = await api.call('saveWellness', request, { body: wanted });
  return answer.status === 200 ? show(api, request, html`<p class="good" role="status">Kept.</p>`) : show(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
}

/** Who goes on is led back to where they were asked, or to the queue. */
async function answerBreak(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const takesBreak = request.form.get('take') === 'true';
  await take(api, request, 'answerBreak', { body: { take: takesBreak } });
  const next = safeNext(request.form.get('next'));
  return redirect(takesBreak ? '/me' : next === '/' ? '/review' : next);
}

export const WELLNESS_PAGES: readonly Page[] = [
  { method: 'GET', path: '/me', needs: 'readWellness', meaning: 'one’s own settings for reviewing, what one opened today, and breaks', run: (api, request) => show(api, request) },
  { method: 'POST', path: '/me', needs: 'saveWellness', meaning: 'set one’s own settings', run: save },
  { method: 'POST', path: '/me/break', needs: 'answerBreak', meaning: 'have a break, or go on', run: answerBreak },
];
