/**
 * Trained models: which work in place of what plugins ship, and who has followed; each with how it was measured beside
 * what it began from, drawn with intervals, what it came to beside live traffic, and what stands against it. Letting one
 * work, and bringing the former back, take its name typed; what stands against one is overridden with a reason alone.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { FollowerTold, SwitchTold } from '../admin/learn.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { CandidateCategory } from '../learn/candidate.ts';
import type { RegisteredModel } from '../learn/registry.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField } from './layout.ts';
import { count, field, share, shortId, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

type Model = RegisteredModel & { readonly works: boolean };

interface Listed {
  readonly plugins: readonly { readonly plugin: string; readonly working: string | null; readonly sha256: string; readonly switch: number; readonly before: string | null; readonly can_roll_back: boolean; readonly beside: string | null }[];
  readonly models: readonly Model[];
  readonly processes: readonly FollowerTold[];
  readonly weekly: { readonly due: string; readonly state: string; readonly ended_at: string | null; readonly detail: string } | null;
}

interface Part {
  readonly count: number;
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

interface Beside {
  readonly running: { readonly share: number; readonly author: string; readonly started_at: string } | null;
  readonly texts: Readonly<Record<'scored' | 'full' | 'too_long' | 'unknown' | 'failed', number>>;
  readonly latency_ms: { readonly n: number; readonly working: number; readonly shadow: number } | null;
  readonly compared: readonly { readonly classifier_id: string; readonly category: string; readonly policy: string; readonly threshold: number; readonly n: number; readonly only_working: Part; readonly only_shadow: Part; readonly agreement: Part }[];
}

/** As JSON tells it: null where nothing can be said. */
type Told = { readonly [K in keyof CandidateCategory['recall_change']]: number | null };

const SHIPPED = 'what is shipped';

async function list(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const { plugins, models, processes, weekly } = await take<Listed>(api, request, 'listModels');
  const mayRollBack = api.may(request.actor, 'rollbackModel');
  return page(api, request, {
    title: 'Learning', at: '/learn', status, json: '/api/v1/learn/models',
    body: html`<p class="quiet">Models that were trained on what people decided. A candidate does nothing until somebody lets it work; thresholds and policies stay as they are.</p>
${told}
<h2>What works</h2>${plugins.length === 0 ? html`<p>Every plugin works with the model that it ships. <code>weir learn collect</code> makes a data set of verdicts, <code>weir learn train --dataset latest</code> a candidate, which then stands here.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="What works"><table class="rows stacks"><thead><tr><th scope="col">Plugin</th><th scope="col">Works</th><th scope="col" class="number">Switch</th><th scope="col">A rollback brings</th><th scope="col">Processes</th></tr></thead><tbody>${plugins.map((one) => html`
<tr><th scope="row"><a href="/learn/history/${one.plugin}">${one.plugin}</a></th><td data-name="Works">${modelLink(one.working)}</td><td class="number" data-name="Switch">${one.switch}</td><td data-name="A rollback brings">${one.can_roll_back ? modelLink(one.before) : html`<span class="quiet">nothing</span>`}</td><td data-name="Processes">${followers(processes.filter(({ plugin }) => plugin === one.plugin))}</td></tr>`)}</tbody></table></div>`}
${mayRollBack && plugins.some((one) => one.can_roll_back) ? rollbackForm(request) : ''}
${weekly === null ? '' : html`<h2>The newest weekly training</h2><p>Due ${timeOf(weekly.due)} UTC: <span class="badge ${weekly.state === 'done' ? 'a-allow' : weekly.state === 'failed' ? 'a-block' : 'a-other'}">${weekly.state}</span>${weekly.ended_at === null ? '' : html`, ended ${timeOf(weekly.ended_at)} UTC`}${weekly.detail === '' ? '.' : html`: ${weekly.detail}`}</p>`}
<h2>Models</h2>${models.length === 0 ? html`<p>None was trained here.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Models"><table class="rows stacks"><thead><tr><th scope="col">Model</th><th scope="col">State</th><th scope="col">Data set</th><th scope="col">Trained (UTC)</th><th scope="col" class="number">Categories</th><th scope="col" class="number">KiB</th></tr></thead><tbody>${models.map((one) => html`
<tr data-row><th scope="row"><a href="/learn/${one.model_id}" data-open>${one.model_id}</a></th><td data-name="State">${stateBadge(one, plugins.some(({ beside }) => beside === one.model_id))}</td><td data-name="Data set">${one.dataset}</td><td data-name="Trained">${timeOf(one.trained_at)}</td><td class="number" data-name="Categories">${one.evaluation.length}</td><td class="number" data-name="KiB">${count(Math.ceil(one.size / 1024))}</td></tr>`)}</tbody></table></div>`}`,
  });
}

function modelLink(id: string | null): Piece {
  return id === null ? SHIPPED : html`<a href="/learn/${id}">${id}</a>`;
}

function stateBadge({ works, retired_at: retired }: Model, isBeside = false): Html {
  if (works) return html`<span class="badge a-allow">works</span>`;
  if (isBeside) return html`<span class="badge a-other">runs beside what works</span>`;
  return retired === null ? html`<span class="badge a-other">waits</span>` : html`<span class="badge a-warn">retired</span>`;
}

function followers(all: Listed['processes']): Piece {
  const lagging = all.filter(({ lags }) => lags);
  if (all.length === 0) return html`<span class="quiet">none has said so</span>`;
  if (lagging.length === 0) return html`<span class="badge a-allow">${all.length === 1 ? '1 follows' : `all ${all.length} follow`}</span>`;
  return lagging.map(({ origin, fault }) => html`<span class="badge a-block">lags</span> ${origin}${fault === null ? '' : html`: <span class="quiet">${fault}</span>`} `);
}

function rollbackForm(request: PageRequest): Html {
  return html`<h3>Bring back what worked before</h3><form method="post" action="/learn/rollback" class="filter">${proofField(request)}${field('Plugin', 'plugin', '', html` required maxlength="64"`)}${field('Its name once more', 'confirm', '', html` required`)}${field('Why', 'reason', '', html` maxlength="2000"`)}<div class="field"><button class="danger">Roll back</button></div></form>`;
}

async function rollBack(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const [plugin, reason] = [request.form.get('plugin')?.trim() ?? '', request.form.get('reason')?.trim() ?? ''];
  const refuse = (why: string, status = 400): Promise<DeskAnswer> => list(api, request, html`<p class="fault" role="alert">${why}</p>`, status);
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(plugin) || request.form.get('confirm')?.trim() !== plugin) return refuse('Write the name of the plugin into both fields. Nothing was switched.');
  const answer = await api.call('rollbackModel', request, { names: { id: plugin }, body: reason === '' ? {} : { reason } });
  if (answer.status !== 200) return refuse(messageOf(answer), answer.status);
  return list(api, request, switched(answer));
}

function switched({ body }: DeskAnswer): Html {
  const { model_id: id, from_model_id: from, number } = body as SwitchTold;
  return html`<p class="good" role="status">${id ?? SHIPPED} works from now on in place of ${from ?? SHIPPED}, by switch ${number}. Other processes follow within seconds; the audit log says so.</p>`;
}

// One model.

async function show(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const model = await take<Model>(api, request, 'readModel', { names: { id } });
  const beside = await take<Beside>(api, request, 'readShadow', { names: { id } });
  const isThere = model.retired_at === null;
  return page(api, request, {
    title: `Model ${id}`, at: '/learn', status, json: `/api/v1/learn/models/${id}`,
    body: html`${told}<dl class="facts"><div><dt>State</dt><dd>${stateBadge(model)}</dd></div><div><dt>Plugin</dt><dd><a href="/learn/history/${model.plugin}">${model.plugin}</a></dd></div><div><dt>Data set</dt><dd>${model.dataset}</dd></div><div><dt>Seed</dt><dd>${model.seed}</dd></div><div><dt>Trained</dt><dd>${timeOf(model.trained_at)} UTC</dd></div><div><dt>SHA-256</dt><dd>${shortId(model.sha256, 12)}</dd></div><div><dt>Began from</dt><dd>${shortId(model.base_sha256, 12)}</dd></div><div><dt>Taken in</dt><dd>${timeOf(model.registered_at)} UTC by ${model.registered_by}</dd></div></dl>
<h2>Measured beside what it began from</h2><p class="quiet">On the same rows, which neither had learnt from; intervals of 95 %. Recall should not fall, false positives should not rise.</p>
${model.evaluation.length === 0 ? html`<p>Nothing was measured.</p>` : evaluationBody(model.evaluation)}
<h2>What stands against it</h2>${isThere ? await gateBody(api, request, id) : html`<p>It is retired, and its file is gone.</p>`}
<h2>Beside live traffic</h2>${besideBody(beside)}
${isThere ? forms(api, request, model, beside) : ''}`,
  });
}

function evaluationBody(evaluation: readonly CandidateCategory[]): Html {
  const most = Math.max(0.01, ...evaluation.flatMap(({ recall_change: a, false_positive_change: b }) => [a.low, a.high, b.low, b.high].map((one) => Math.abs(Number(one)))));
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Measured"><table class="bars"><thead><tr><th scope="col">Category</th><th scope="col" class="number">Rows</th><th scope="col" class="number">Violations</th><th scope="col">AUPRC</th><th scope="col">Recall</th><th scope="col">False positives</th><th scope="col">Change of recall</th><th scope="col"><span class="sr">Drawn</span></th><th scope="col">Change of false positives</th><th scope="col"><span class="sr">Drawn</span></th></tr></thead><tbody>${evaluation.map(({ category, n, positives, base, candidate, recall_change: recall, false_positive_change: alarms }) => html`
<tr><th scope="row">${category}</th><td class="number">${count(n)}</td><td class="number">${count(positives)}</td>${(['auprc', 'recall', 'false_positive_rate'] as const).map((name) => html`<td class="estimate">${candidate[name].value === null ? '' : `${three(base[name].value)} → `}${estimate(candidate[name])}</td>`)}<td class="estimate">${estimate(recall)}</td><td class="wide">${strip(recall, most)}</td><td class="estimate">${estimate(alarms)}</td><td class="wide">${strip(alarms, most)}</td></tr>`)}</tbody></table></div><p class="quiet">The line in the middle of each drawing is no change, its ends ${three(most)} less and more.</p>`;
}

function three(value: number | null): string {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(3) : '–';
}

function estimate({ value, low, high }: Told): Piece {
  return value === null || !Number.isFinite(value) ? '–' : html`${three(value)} <span class="quiet">(${three(low)}–${three(high)})</span>`;
}

/** The interval on a line from `-most` to `most`; the numbers stand beside it. */
function strip({ value, low, high }: Told, most: number): Piece {
  if (![value, low, high].every((one) => typeof one === 'number' && Number.isFinite(one))) return '';
  const x = (one: number): number => 100 + (96 * one) / most;
  return html`<svg viewBox="0 0 200 12" class="strip" aria-hidden="true" preserveAspectRatio="none"><rect width="200" height="12" class="ground"/><rect x="${x(low!).toFixed(1)}" width="${Math.max(1, x(high!) - x(low!)).toFixed(1)}" y="3" height="6" class="bar"/><rect x="${(x(value!) - 1).toFixed(1)}" width="2" height="12" class="bar marked"/><line x1="100" x2="100" y1="0" y2="12" class="axis"/></svg>`;
}

/** To try a model takes a second or two, so that it is asked for. */
async function gateBody(api: Api, request: PageRequest, id: string): Promise<Html> {
  if (request.query.get('gate') === null) return html`<form method="get" action="/learn/${id}"><input type="hidden" name="gate" value="1"><button>Try it</button> <span class="quiet">against the rules of the gate, the cases of plugins and of policies</span></form>`;
  const answer = await api.call('readModelGate', request, { names: { id } });
  if (answer.status !== 200) return html`<p class="fault" role="alert">${messageOf(answer)}</p>`;
  const { against } = answer.body as { readonly against: readonly string[] };
  return against.length === 0 ? html`<p class="good" role="status">Nothing stands against it now.</p>` : html`<ul class="fault">${against.map((reason) => html`<li>${reason}</li>`)}</ul>`;
}

function besideBody({ running, texts, latency_ms: latency, compared }: Beside): Html {
  const leftOut = texts.full + texts.too_long + texts.failed;
  return html`<p>${running === null ? 'It does not run beside what works.' : html`It scores the texts of ${share(running.share, 1)} of exchanges since ${timeOf(running.started_at)} UTC, by ${running.author}, and decides nothing.`} ${texts.scored === 0 ? '' : html`${count(texts.scored)} texts were scored by both${latency === null ? '' : html`, in ${latency.shadow.toFixed(2)} ms on average against ${latency.working.toFixed(2)} ms`}.`} ${leftOut + texts.unknown === 0 ? '' : html`Left out: ${count(texts.full)} while it was busy, ${count(texts.too_long)} too long, ${count(texts.failed)} that failed, ${count(texts.unknown)} without two scores.`}</p>
${compared.length === 0 ? '' : html`<div class="scroll" tabindex="0" role="region" aria-label="Beside live traffic"><table><thead><tr><th scope="col">Category</th><th scope="col">Policy</th><th scope="col" class="number">Threshold</th><th scope="col" class="number">Texts</th><th scope="col">Same side</th><th scope="col">Only what works</th><th scope="col">Only this one</th></tr></thead><tbody>${compared.map((one) => html`
<tr><th scope="row"><code>${one.classifier_id}.${one.category}</code></th><td>${one.policy === '' ? html`<span class="quiet">none</span>` : one.policy}</td><td class="number">${one.threshold}</td><td class="number">${count(one.n)}</td>${[one.agreement, one.only_working, one.only_shadow].map(({ count: times, rate, low, high }) => html`<td>${count(times)}, ${share(rate, 1)} <span class="quiet">(${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})</span></td>`)}</tr>`)}</tbody></table></div>`}`;
}

function forms(api: Api, request: PageRequest, { model_id: id, plugin, works }: Model, { running }: Beside): Html {
  const may = (name: string): boolean => api.may(request.actor, name);
  const isAdmin = request.actor.roles.includes('admin');
  return html`${works || !may('beginShadow') ? '' : html`<form method="post" action="/learn/${id}/shadow" class="filter">${proofField(request)}${running === null ? field('Percent of exchanges', 'share', '100', html` inputmode="decimal" maxlength="6"`) : html`<input type="hidden" name="stop" value="${plugin}">`}<div class="field"><button>${running === null ? 'Run it beside' : 'End it beside'}</button></div></form>`}
${works || !may('promoteModel') ? '' : html`<h2>Let it work</h2><p>In place of what works in <code>${plugin}</code>, in every process within seconds; a rollback brings that back.</p><form method="post" action="/learn/${id}/promote" class="filter">${proofField(request)}${field('Its name', 'confirm', '', html` required placeholder="${id}"`)}${isAdmin ? field('Why, although something stands against it', 'reason', '', html` maxlength="2000"`) : ''}<div class="field"><button class="danger">Let it work</button></div></form>`}
${works || !may('retireModel') ? '' : html`<h2>Retire</h2><form method="post" action="/learn/${id}/retire" class="filter">${proofField(request)}${field('Its name to retire it', 'gone', '', html` required`)}<div class="field"><button class="danger">Remove its file</button></div></form>`}`;
}

async function promote(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const reason = request.form.get('reason')?.trim() ?? '';
  if (request.form.get('confirm')?.trim() !== id) return show(api, request, html`<p class="fault" role="alert">Write ${id} to let it work. Nothing was switched.</p>`, 400);
  const answer = await api.call('promoteModel', request, { names: { id }, body: reason === '' ? {} : { override: true, reason } });
  if (answer.status !== 200) {
    const { against = [] } = answer.body as { readonly against?: readonly string[] };
    return show(api, request, html`<div class="fault" role="alert"><p>${messageOf(answer)}</p>${against.length === 0 ? '' : html`<ul>${against.map((why) => html`<li>${why}</li>`)}</ul>`}</div>`, answer.status);
  }
  return show(api, request, switched(answer));
}

async function shadow(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const [stop, percent] = [request.form.get('stop'), Number(request.form.get('share'))];
  const answer = stop === null ? await api.call('beginShadow', request, { names: { id }, body: { share_percent: percent } }) : await api.call('endShadow', request, { names: { id: stop } });
  if (answer.status !== 200) return show(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
  return show(api, request, html`<p class="good" role="status">${stop === null ? 'It scores live traffic beside what works, and decides nothing.' : 'It runs beside no more; what came of it stays.'}</p>`);
}

async function retire(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  if (request.form.get('gone')?.trim() !== id) return show(api, request, html`<p class="fault" role="alert">Write ${id} to retire it. Nothing was removed.</p>`, 400);
  const answer = await api.call('retireModel', request, { names: { id } });
  if (answer.status !== 200) return show(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
  return show(api, request, html`<p class="good" role="status">It is retired, and its file is gone.</p>`);
}

async function history(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const plugin = request.names['id']!;
  const { switches } = await take<{ readonly switches: readonly SwitchTold[] }>(api, request, 'listModelSwitches', { names: { id: plugin } });
  return page(api, request, {
    title: `Models of ${plugin}`, at: '/learn', json: `/api/v1/learn/plugins/${plugin}/switches`,
    body: switches.length === 0 ? html`<p>It always worked with the model that it ships.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Switches"><table class="rows"><thead><tr><th scope="col" class="number">Switch</th><th scope="col">Time (UTC)</th><th scope="col">By</th><th scope="col">What</th><th scope="col">Works from then on</th><th scope="col">In place of</th><th scope="col">Why, and what stood against it</th></tr></thead><tbody>${switches.map((one) => html`
<tr data-row><td class="number">${one.number}</td><td>${timeOf(one.created_at)}</td><td>${one.author}</td><td>${one.change}</td><td>${modelLink(one.model_id)}</td><td>${modelLink(one.from_model_id)}</td><td class="told">${one.reason ?? ''}${one.against.length === 0 ? '' : html`<ul>${one.against.map((why) => html`<li>${why}</li>`)}</ul>`}</td></tr>`)}</tbody></table></div>`,
  });
}

export const LEARN_PAGES: readonly Page[] = [
  { method: 'GET', path: '/learn', needs: 'listModels', meaning: 'trained models: which work, and which process has followed', run: (api, request) => list(api, request) },
  { method: 'POST', path: '/learn/rollback', needs: 'rollbackModel', meaning: 'bring back what worked before, with the plugin’s name typed twice', run: rollBack },
  { method: 'GET', path: '/learn/history/:id', needs: 'listModelSwitches', meaning: 'which models worked in a plugin', run: history },
  { method: 'GET', path: '/learn/:id', needs: 'readModel', meaning: 'one model: how it was measured, and what it came to beside live traffic', run: (api, request) => show(api, request) },
  { method: 'POST', path: '/learn/:id/promote', needs: 'promoteModel', meaning: 'let a model work, with its name typed', run: promote },
  { method: 'POST', path: '/learn/:id/shadow', needs: 'beginShadow', meaning: 'run a model beside what works, or end that', run: shadow },
  { method: 'POST', path: '/learn/:id/retire', needs: 'retireModel', meaning: 'retire a model, with its name typed', run: retire },
];
