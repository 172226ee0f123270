/**
 * The classifiers: whether each is asked, how long it took, what did not arrive, and how good it was when it was measured,
 * with counts and intervals as its model card has them. What is told of this process begins with its start.
 */
import { fault, type DeskAnswer } from '../admin/desk.ts';
import type { ClassifierSummary } from '../admin/classifiers.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { CardTable, ModelCard } from '../contract/model-card.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { count, names, timeOf } from './parts.ts';
import { Refused, take } from './refusal.ts';

interface Listed {
  readonly since: string;
  readonly classifiers: readonly ClassifierSummary[];
}

const STATES = { closed: 'asked', half_open: 'tried again', open: 'left alone' } as const;
const STATE_BADGES = { closed: 'a-allow', half_open: 'a-warn', open: 'a-block' } as const;

async function list(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { since, classifiers } = await take<Listed>(api, request, 'listClassifiers');
  return page(api, request, {
    title: 'Classifiers', at: '/classifiers', json: '/api/v1/classifiers',
    body: html`<p class="quiet">Latencies and counts are of this process, since ${timeOf(since)} UTC; metrics have them for all. The last column is one figure of the model card, with the count and the interval of 95 % that it has there; the others stand on each page.</p>
${classifiers.length === 0 ? html`<p>None is configured.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Classifiers"><table class="rows"><thead><tr><th scope="col">Classifier</th><th scope="col">Version</th><th scope="col">State</th><th scope="col">Cost</th><th scope="col" class="number">Answers</th><th scope="col" class="number">p50 ms</th><th scope="col" class="number">p95 ms</th><th scope="col" class="number">p99 ms</th><th scope="col" class="number">Timeouts</th><th scope="col" class="number">Unknown</th><th scope="col">Measured</th></tr></thead><tbody>${classifiers.map((one) => html`
<tr data-row><td><a href="/classifiers/${one.id}" data-open>${one.id}</a></td><td>${one.version}</td><td>${stateBadge(one)}</td><td>${one.cost}</td>${figureCells(one)}<td class="told">${headline(one.card)}</td></tr>`)}
</tbody></table></div>`}`,
  });
}

function stateBadge({ state }: ClassifierSummary): Html {
  return html`<span class="badge ${STATE_BADGES[state]}">${STATES[state]}</span>`;
}

/** Timeouts have a column of their own; the others are told together. */
function unknownOf({ outcomes: { unavailable, error, unsupported } }: ClassifierSummary): number {
  return unavailable + error + unsupported;
}

function figureCells(one: ClassifierSummary): Html {
  const { outcomes: { ok, cached, timeout }, latency_ms: latency } = one;
  return html`<td class="number">${count(ok + cached)}</td>${(['p50', 'p95', 'p99'] as const).map((name) => html`<td class="number">${latency === null ? '–' : latency[name].toFixed(2)}</td>`)}<td class="number">${count(timeout)}</td><td class="number">${count(unknownOf(one))}</td>`;
}

function headline(card: ModelCard | null): Piece {
  if (card === null) return html`<span class="quiet">no model card</span>`;
  const rows = card.measured.reduce((sum, { rows: all }) => sum + all.length, 0);
  const first = firstFigure(card);
  return first === undefined ? html`<span class="quiet">in words</span>` : html`${first} <span class="quiet">(of ${rows} rows)</span>`;
}

/** An interval in brackets behind a figure. */
const WITH_INTERVAL = /\d[^(]*\([^)]*\d\s*–\s*[\d.]+[^)]*\)/;
const COUNT_HEAD = /^(?:n|positives of n|texts)$/i;

/** The first figure that has an interval, not of what was learnt from, with the count that it rests on. */
function firstFigure({ measured }: ModelCard): string | undefined {
  for (const { head, rows } of measured) {
    for (const row of rows) {
      const at = row.findIndex((cell, index) => index > 0 && WITH_INTERVAL.test(cell));
      if (at < 0 || /^train/i.test(row[0]!)) continue;
      const counted = head.findIndex((cell, index) => index !== at && COUNT_HEAD.test(cell));
      return `${row[0]}: ${head[at]} ${row[at]}${counted < 1 ? '' : `, ${row[counted]}`}`;
    }
  }
  return undefined;
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const { since, classifiers } = await take<Listed>(api, request, 'listClassifiers');
  const one = classifiers.find((classifier) => classifier.id === id);
  if (one === undefined) throw new Refused({ status: 404, body: fault('not_found', `there is no classifier ${id}`) });
  const { outcomes: { ok, cached, timeout, unavailable, error, unsupported, late }, latency_ms: latency } = one;
  return page(api, request, {
    title: `Classifier ${id}`, at: '/classifiers', json: '/api/v1/classifiers',
    body: html`<dl class="facts"><div><dt>Version</dt><dd>${one.version}</dd></div><div><dt>Plugin</dt><dd><code>${one.plugin}</code></dd></div><div><dt>State</dt><dd>${stateBadge(one)}${one.state === 'open' ? ' after failures; what it would have said is unknown meanwhile' : ''}</dd></div><div><dt>Cost</dt><dd>${one.cost}</dd></div><div><dt>Directions</dt><dd>${names(one.directions)}</dd></div><div><dt>Reads</dt><dd>${names(one.content_types)}</dd></div><div><dt>Languages</dt><dd>${one.languages.includes('*') ? 'any' : names(one.languages)}</dd></div></dl>
<h2>In this process</h2><p class="quiet">Since ${timeOf(since)} UTC.</p>
<dl class="facts"><div><dt>Answered</dt><dd>${count(ok)}, and ${count(cached)} from memory</dd></div><div><dt>Latency${latency === null ? '' : ` of the newest ${count(latency.n)}`}</dt><dd>${latency === null ? 'nothing yet' : `p50 ${latency.p50.toFixed(2)} ms, p95 ${latency.p95.toFixed(2)} ms, p99 ${latency.p99.toFixed(2)} ms`}</dd></div><div><dt>Timeouts</dt><dd>${count(timeout)}${late === 0 ? '' : `; ${count(late)} answered later`}</dd></div><div><dt>Unavailable</dt><dd>${count(unavailable)}</dd></div><div><dt>Errors</dt><dd>${count(error)}</dd></div><div><dt>Unsupported</dt><dd>${count(unsupported)}</dd></div></dl>
<h2>Categories</h2><div class="scroll" tabindex="0" role="region" aria-label="Categories"><table><thead><tr><th scope="col">Category</th><th scope="col">What it is</th></tr></thead><tbody>${one.categories.map(({ id: category, definition }) => html`<tr><th scope="row"><code>${category}</code></th><td>${definition}</td></tr>`)}</tbody></table></div>
${cardBody(one.card)}`,
  });
}

function cardBody(card: ModelCard | null): Html {
  if (card === null) return html`<h2>How good it is</h2><p>It has no model card: nothing is known here of how often it is wrong.</p>`;
  return html`<h2>How good it is</h2><p>${card.about}</p>${card.measured.length === 0 ? html`<p>Its card has no table of figures; what was measured stands there in words.</p>` : card.measured.map(measured)}`;
}

function measured({ heading, caption, head, rows }: CardTable): Html {
  return html`<figure><figcaption>${/^measured/i.test(heading) ? 'Measured' : heading}${caption === '' ? '' : html`: <span class="quiet">${caption}</span>`}</figcaption><div class="scroll" tabindex="0" role="region" aria-label="${caption === '' ? heading : caption}"><table class="rows"><thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead><tbody>${rows.map((row) => html`
<tr>${row.map((cell, index) => (index === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}</tr>`)}</tbody></table></div></figure>`;
}

export const CLASSIFIER_PAGES: readonly Page[] = [
  { method: 'GET', path: '/classifiers', needs: 'listClassifiers', meaning: 'classifiers: state, latency, what did not arrive', run: list },
  { method: 'GET', path: '/classifiers/:id', needs: 'listClassifiers', meaning: 'one classifier, and what its model card measured', run: show },
];
