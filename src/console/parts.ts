/** Pieces that several pages have: times, numbers, badges of actions, scores as bars, lists of names, fields of forms. Pure. */
import { ACTIONS, type Action } from '../contract/screening.ts';
import { html, type Html, type Piece } from './html.ts';

export function timeOf(at: string | null | undefined): Piece {
  return at === null || at === undefined ? '–' : html`<time datetime="${at}">${at.replace('T', ' ').replace(/(?:\.\d+)?Z$/, '')}</time>`;
}

/** Its first parts, whole when it is pointed at or read aloud. */
export function shortId(id: string, chars = 8): Html {
  return id.length <= chars + 1 ? html`<code>${id}</code>` : html`<code title="${id}">${id.slice(0, chars)}…</code>`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function share(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}

/** With three digits, so that what is just below a threshold does not look like it. */
export function percent(share: number): string {
  return `${Number((100 * share).toPrecision(3))} %`;
}

export function rangeOf(low: number, high: number): string {
  return `${Number((100 * low).toPrecision(3))}–${percent(high)}`;
}

/** Colour never says it alone: the word stands in it. */
export function actionBadge(action: string): Html {
  return html`<span class="badge a-${(ACTIONS as readonly string[]).includes(action) ? action : 'other'}">${action}</span>`;
}

export function names(list: readonly string[], none = 'none'): Piece {
  return list.length === 0 ? html`<span class="quiet">${none}</span>` : list.map((name, index) => html`${index === 0 ? '' : ', '}<code>${name}</code>`);
}

export interface ScoreLine {
  readonly name: string;
  /** Absent: unknown. */
  readonly score?: number;
  readonly unknown?: string;
  readonly note?: string;
}

/** Lower ones are folded away. */
const SHOWN_FROM = 0.05;

/** Highest first; what is unknown before all, since it is the one that may be anything. */
export function scoreBars(lines: readonly ScoreLine[]): Piece {
  if (lines.length === 0) return html`<p class="quiet">No classifier found anything.</p>`;
  const sorted = [...lines].sort((a, b) => (b.score ?? 2) - (a.score ?? 2));
  const shown = sorted.filter(({ score }) => score === undefined || score >= SHOWN_FROM);
  const low = sorted.slice(shown.length);
  return html`${shown.length === 0 ? '' : scoreTable(shown)}${low.length === 0 ? '' : html`<details><summary>${shown.length === 0 ? 'All' : 'The other'} ${low.length} scores are below ${SHOWN_FROM}</summary>${scoreTable(low)}</details>`}`;
}

function scoreTable(lines: readonly ScoreLine[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Scores"><table class="scores"><thead><tr><th scope="col">Category</th><th scope="col">Score</th><th scope="col"><span class="sr">Bar</span></th><th scope="col"><span class="sr">Note</span></th></tr></thead><tbody>${lines.map(({ name, score, unknown, note }) => html`
<tr><th scope="row"><code>${name}</code></th><td class="number">${score === undefined ? html`<strong>unknown</strong>` : score.toFixed(3)}</td><td>${score === undefined ? '' : html`<meter min="0" max="1" value="${score.toFixed(4)}" aria-label="${name}">${score.toFixed(3)}</meter>`}</td><td class="quiet">${unknown ?? note ?? ''}</td></tr>`)}
</tbody></table></div>`;
}

export function field(label: string, name: string, value: string | null | undefined, extra: Piece = ''): Html {
  return html`<div class="field"><label for="f-${name}">${label}</label><input id="f-${name}" name="${name}" value="${value ?? ''}" autocomplete="off" spellcheck="false"${extra}></div>`;
}

export function choice(label: string, name: string, options: readonly (readonly [string, string])[], chosen: string | null | undefined): Html {
  return html`<div class="field"><label for="f-${name}">${label}</label><select id="f-${name}" name="${name}">${options.map(([value, text]) => html`<option value="${value}"${value === (chosen ?? '') ? html` selected` : ''}>${text}</option>`)}</select></div>`;
}

export const ACTION_OPTIONS: readonly (readonly [string, string])[] = [['', 'any'], ...ACTIONS.map((action: Action) => [action, action] as const)];

/** What the query had, with some of it changed; empty values are left out. */
export function link(path: string, query: URLSearchParams, changed: Readonly<Record<string, string | number | undefined>> = {}): string {
  const all = new Map([...query].filter(([name]) => name !== 'csrf'));
  for (const [name, value] of Object.entries(changed)) if (value === undefined) all.delete(name); else all.set(name, String(value));
  const text = new URLSearchParams([...all].filter(([, value]) => value !== '')).toString();
  return text === '' ? path : `${path}?${text}`;
}

/** A value of a query or a form; undefined for none, or one that is longer than any that is meant. */
export function given(query: URLSearchParams, name: string, charsMax = 200): string | undefined {
  const value = query.get(name)?.trim();
  return value === undefined || value === '' || value.length > charsMax ? undefined : value;
}

/** Of a revision no more than nine digits; an index of the log has up to fifteen. */
export function givenNumber(query: URLSearchParams, name: string, digitsMax = 9): number | undefined {
  const value = query.get(name);
  return value !== null && value.length <= digitsMax && /^\d+$/.test(value) ? Number(value) : undefined;
}
