/**
 * One text under two policies, or under two revisions of one, side by side: what each decides and why, what was found in
 * the text and in its views, what comes out, and of an answer what leaves while it comes, character by character. The text
 * is in no address and is kept nowhere. The same as JSON is a button of the form.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { DIRECTIONS, type ClassifierResult } from '../contract/screening.ts';
import type { ExplanationJson } from '../policy/explain.ts';
import { exact, html, type Html, type Piece } from './html.ts';
import { page, proofField } from './layout.ts';
import { choice, count, given, givenNumber, scoreBars } from './parts.ts';
import { marked, spansOf } from './marked.ts';
import { messageOf, take } from './refusal.ts';
import { explanationBody } from './trace.ts';

const FORM_BYTES_MAX = 4 * 1024 * 1024;

interface Release {
  readonly after: number;
  readonly text: string;
}

interface Side extends ExplanationJson {
  readonly results: readonly ClassifierResult[];
  readonly text?: string;
  readonly stream?: { readonly action: string; readonly releases: readonly Release[]; readonly waited_chars_max: number };
}

interface Sides {
  readonly direction: string;
  readonly views: readonly { readonly name: string; readonly text: string; readonly cut: boolean }[];
  readonly left: Side;
  readonly right: Side;
  readonly same: { readonly action: boolean; readonly rules: boolean; readonly text: boolean };
}

interface Wanted {
  readonly left: string;
  readonly right: string;
  readonly leftRevision: number | undefined;
  readonly rightRevision: number | undefined;
  readonly direction: string;
  readonly tenant: string | undefined;
  readonly text: string;
}

function wantedOf(from: URLSearchParams): Wanted {
  return {
    left: given(from, 'left', 64) ?? '', right: given(from, 'right', 64) ?? '', leftRevision: givenNumber(from, 'left_revision'), rightRevision: givenNumber(from, 'right_revision'), tenant: given(from, 'tenant', 64),
    direction: from.get('direction') === 'input' ? 'input' : 'output', text: (from.get('text') ?? '').replaceAll('\r\n', '\n'),
  };
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  return withForm(api, request, wantedOf(new URLSearchParams([...request.query].filter(([name]) => name !== 'text'))));
}

async function withForm(api: Api, request: PageRequest, wanted: Wanted, status = 200, outcome: Piece = ''): Promise<DeskAnswer> {
  const [{ policies }, { tenants }] = [await take<{ readonly policies: readonly { readonly policy: string; readonly retired?: boolean }[] }>(api, request, 'listPolicies'), await take<{ readonly tenants: readonly { readonly id: string }[] }>(api, request, 'listTenants')];
  const ids = [...new Set(policies.filter(({ retired }) => retired !== true).map(({ policy }) => policy))].map((id) => [id, id] as const);
  const revision = (name: string, label: string, value: number | undefined): Html => html`<div class="field"><label for="f-${name}">${label}</label><input id="f-${name}" name="${name}" inputmode="numeric" pattern="\\d{1,9}" value="${value === undefined ? '' : String(value)}" placeholder="what counts" autocomplete="off"></div>`;
  return page(api, request, {
    title: 'Compare two policies', at: '/playground', status, json: '/api/v1/openapi.json',
    body: html`<p><a href="/playground">One policy alone</a></p>
<form method="post" action="/playground/compare" class="stack">${proofField(request)}
<label for="f-text">Text</label><textarea id="f-text" name="text" rows="6" spellcheck="false" autocomplete="off" data-search required>
${exact(wanted.text)}</textarea>
<div class="filter">${choice('Left', 'left', ids, wanted.left)}${revision('left_revision', 'Its revision', wanted.leftRevision)}${choice('Right', 'right', ids, wanted.right || (ids.at(1)?.[0] ?? ''))}${revision('right_revision', 'Its revision', wanted.rightRevision)}</div>
<div class="filter">${choice('As a', 'direction', DIRECTIONS.map((direction) => [direction, direction === 'input' ? 'prompt' : 'answer'] as const), wanted.direction)}${choice('Tenant', 'tenant', [['', 'none'], ...tenants.map(({ id }) => [id, id] as const)], wanted.tenant)}<div class="field"><button>Compare</button> <button name="do" value="json" class="second">As JSON</button></div></div></form>
${outcome}`,
  });
}

async function compare(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const wanted = wantedOf(request.form);
  const { text, direction, left, right, leftRevision, rightRevision } = wanted;
  const { tenants } = await take<{ readonly tenants: readonly { readonly id: string; readonly fail_mode: string }[] }>(api, request, 'listTenants');
  const tenant = tenants.find(({ id }) => id === wanted.tenant);
  const side = (policy: string, revision: number | undefined): object => ({ policy, ...(revision === undefined ? {} : { revision }) });
  const answer = await api.call('screenBeside', request, { body: { text, direction, left: side(left, leftRevision), right: side(right, rightRevision), ...(tenant === undefined ? {} : { fail_mode: tenant.fail_mode, context: { tenant: tenant.id } }) } });
  if (request.form.get('do') === 'json') return answer;
  if (answer.status !== 200) {
    const { side: which } = answer.body as { readonly side?: string };
    return withForm(api, request, wanted, answer.status, html`<p class="fault" role="alert">${which === undefined ? '' : `The ${which} one: `}${messageOf(answer)}</p>`);
  }
  return withForm(api, request, wanted, 200, outcomeOf(answer.body as Sides, text));
}

function outcomeOf({ left, right, same, views, direction }: Sides, text: string): Html {
  const differing = [...(same.action ? [] : ['what is done']), ...(same.rules ? [] : ['which rules decide']), ...(same.text ? [] : ['what comes out'])];
  const isStreamed = left.stream !== undefined && right.stream !== undefined;
  return html`<section id="outcome" aria-labelledby="decided"><h2 id="decided">${differing.length === 0 ? 'The same under both' : `They differ in ${differing.join(', ')}`}</h2>
${isStreamed ? html`<div class="replay" data-replay><label for="f-came">Characters that came</label> <input type="range" id="f-came" min="0" max="${String(text.length)}" value="${String(text.length)}" step="1" hidden><output for="f-came" id="came">${count(text.length)} of ${count(text.length)}</output></div>` : ''}
<div class="pair">${sideBody('Left', left, text)}${sideBody('Right', right, text)}</div>
${viewsBody(views)}
${direction === 'output' && !isStreamed ? html`<p class="quiet">It is too long to be followed character by character.</p>` : ''}</section>`;
}

function sideBody(name: string, side: Side, text: string): Html {
  const { results, text: out, stream } = side;
  return html`<section aria-label="${name}: ${side.policy}"><h3>${name}: <code>${side.policy}</code></h3>${explanationBody(side)}
${stream === undefined ? html`<h4>What comes out</h4>${outText(out)}` : streamBody(name, stream, out)}
<h4>What was found</h4><pre class="text" dir="auto" tabindex="0">${marked(text, spansOf(results))}</pre>
${scoreBars(results.map((result) => ('unknown' in result ? { name: `${result.classifier_id}.${result.category}`, unknown: result.reason } : { name: `${result.classifier_id}.${result.category}`, score: result.score, note: result.spans.map(({ start, end }) => `${start}–${end}`).join(', ') })))}</section>`;
}

function outText(out: string | undefined): Html {
  return out === undefined ? html`<p class="quiet">How much of it leaves depends on how the text arrives.</p>` : out === '' ? html`<p>Nothing: an error, or the end of the answer.</p>` : html`<pre class="text" dir="auto" tabindex="0">${out}</pre>`;
}

/** What left, each piece with the number of characters that had come; a script can show it as it was at any of them. */
function streamBody(name: string, { releases, waited_chars_max: waited, action }: NonNullable<Side['stream']>, out: string | undefined): Html {
  return html`<h4>What leaves while it comes</h4>${releases.length === 0 ? outText(out === undefined ? undefined : '') : html`<pre class="text" dir="auto" tabindex="0" aria-label="${name}: what leaves">${releases.map(({ after, text }) => html`<span data-after="${String(after)}">${text}</span>`)}</pre>`}
<p class="quiet">${waited <= 1 ? 'Each character leaves as it comes.' : `At most ${count(waited)} characters came while nothing left.`}${action === 'block' || action === 'replace' ? ' Then it was cut off.' : ''}</p>${waitsOf(releases)}`;
}

const WAITS_MAX = 20;

/** The pieces that had to wait, in words. */
function waitsOf(releases: readonly Release[]): Piece {
  const waits = releases.flatMap(({ after, text }, index) => {
    const before = releases[index - 1]?.after ?? 0;
    return after - before > 1 ? [{ before, after, text }] : [];
  });
  if (waits.length === 0) return '';
  return html`<details><summary>What had to wait: ${count(waits.length)} ${waits.length === 1 ? 'piece' : 'pieces'}</summary><ol>${waits.slice(0, WAITS_MAX).map(({ before, after, text }) => html`<li>after ${count(before)} characters nothing, until ${count(after)} had come; then <bdi><code>${text}</code></bdi></li>`)}</ol>${waits.length > WAITS_MAX ? html`<p class="quiet">and ${count(waits.length - WAITS_MAX)} more</p>` : ''}</details>`;
}

function viewsBody(views: Sides['views']): Html {
  return html`<h3>Views</h3>${views.length === 0 ? html`<p class="quiet">It says what it looks like: there is no disguise and nothing encoded in it.</p>` : views.map(({ name, text, cut }) => html`<h4>${name}${cut ? ', as far as a limit' : ''}</h4><pre class="text" dir="auto" tabindex="0">${text}</pre>`)}`;
}

export const COMPARE_PAGES: readonly Page[] = [
  { method: 'GET', path: '/playground/compare', needs: 'screenBeside', meaning: 'try a text under two policies', run: show },
  { method: 'POST', path: '/playground/compare', needs: 'screenBeside', meaning: 'one text under two policies, side by side, or as JSON', bytesMax: FORM_BYTES_MAX, run: compare },
];
