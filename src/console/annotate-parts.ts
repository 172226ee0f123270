/**
 * What pages for labelling share: a drawn text under its cover, the guide beside it, and the fields of a label. Nothing here
 * knows where a text comes from; what may be asked of one is asked of all alike.
 */
import type { PageRequest } from '../admin/pages.ts';
import type { Taxonomy, TaxonomyCategory } from '../config/taxonomy.ts';
import type { KeptText } from '../contract/content.ts';
import { CONFIDENCE_TIERS, SKIP_REASONS, type ConfidenceTier, type HumanLabel, type OpenAnnotation, type SkipReason } from '../contract/risk.ts';
import type { WellnessSettings } from '../contract/wellness.ts';
import { html, type Html, type Piece } from './html.ts';
import { proofField } from './layout.ts';
import { count } from './parts.ts';

export interface ShownAnnotation {
  readonly annotation: OpenAnnotation;
  readonly texts: readonly KeptText[];
  readonly cut: number;
}

const NOT_KEPT: Readonly<Record<Exclude<OpenAnnotation['modality'], 'text'>, string>> = {
  image: 'This was an image, or came with one. The image is not kept: what is shown is its text. If it cannot be judged by that, skip it.',
  audio: 'This was sound. The sound is not kept: what is shown is its transcript. If it cannot be judged by that, skip it.',
};

export function textBody({ annotation: { modality, direction }, texts, cut }: ShownAnnotation, { cover, greyscale }: WellnessSettings): Html {
  return html`<section aria-labelledby="text"><h2 id="text">${direction === 'input' ? 'What somebody wrote' : 'What was answered'}</h2>
${modality === 'text' ? '' : html`<p class="quiet">${NOT_KEPT[modality]}</p>`}
<details class="told${greyscale ? ' grey' : ''}"${cover ? '' : html` open`}><summary data-press="v">Show or hide it <kbd>v</kbd></summary>${texts.map(({ place, role, text }) => html`<p class="quiet">${role === undefined ? '' : `${role}, `}<code>${place}</code></p><pre class="text" dir="auto" tabindex="0"><bdi>${text}</bdi></pre>`)}</details>
${cut === 0 ? '' : html`<p class="quiet">${count(cut)} characters were not kept.</p>`}</section>`;
}

export interface TypedLabel {
  readonly category: string;
  readonly note: string;
  readonly confidence: ConfidenceTier;
}

export const UNTYPED: TypedLabel = { category: '', note: '', confidence: 'high' };
const TIER_KEYS: Readonly<Record<ConfidenceTier, string>> = { low: 'l', medium: 'm', high: 'h' };

/** The category comes before the buttons, so that Enter in it says violation, and never safe. */
export function labelForm(to: string, request: PageRequest, id: string, { categories }: Taxonomy, typed: TypedLabel): Html {
  return html`<form method="post" action="${to}" class="labels">${proofField(request)}<input type="hidden" name="annotation" value="${id}">
<fieldset class="row"><legend>How sure</legend>${CONFIDENCE_TIERS.toReversed().map((tier) => html`<span><input type="radio" id="f-${tier}" name="confidence" value="${tier}" data-press="${TIER_KEYS[tier]}"${tier === typed.confidence ? html` checked` : ''}><label for="f-${tier}">${tier} <kbd>${TIER_KEYS[tier]}</kbd></label></span> `)}</fieldset>
<div class="field"><label for="f-note">Why (where two differ, who decides reads it)</label><input id="f-note" name="note" maxlength="2000" autocomplete="off" value="${typed.note}" data-search></div>
<div class="field"><label for="f-category">Category <kbd>x</kbd>: number, name or part of it</label><input id="f-category" name="category" maxlength="193" list="categories" autocomplete="off" spellcheck="false" value="${typed.category}" data-press="x"><datalist id="categories">${categories.map(({ id: value, name }) => html`<option value="${value}">${name}</option>`)}</datalist></div>
<div class="actions"><button name="label" value="violation">Violation <kbd>Enter</kbd></button> <button name="label" value="safe" data-press="s">Safe <kbd>s</kbd></button></div></form>`;
}

const SKIPS: Readonly<Record<SkipReason, { readonly label: string; readonly key: string }>> = {
  unreadable: { label: 'Nobody could judge it', key: 'b' }, language: { label: 'I do not read its language', key: 'o' }, unwilling: { label: 'I would rather not', key: 'w' },
};

export function skipForm(to: string, request: PageRequest, id: string): Html {
  return html`<form method="post" action="${to}" class="actions">${proofField(request)}<input type="hidden" name="annotation" value="${id}"><span class="quiet">Skip it:</span> ${SKIP_REASONS.map((reason) => html`<button class="second" name="reason" value="${reason}" data-press="${SKIPS[reason].key}">${SKIPS[reason].label} <kbd>${SKIPS[reason].key}</kbd></button> `)}</form>`;
}

export function guideBody({ version, language, categories }: Taxonomy): Html {
  return html`<aside class="guide" aria-labelledby="guide"><h2 id="guide">Guide <span class="quiet">version ${version}, ${language}</span></h2>
<p class="quiet">Label what the text is, by these words, whatever a machine may make of it. In doubt say so by how sure you are.</p>
${categories.map((category, at) => categoryBody(category, at + 1))}</aside>`;
}

function categoryBody({ id, name, definition, violates, allowed, boundary, norms }: TaxonomyCategory, number: number): Html {
  return html`<details><summary><span class="number">${number}</span> ${name}: <span class="quiet">${definition}</span></summary>
<p><code>${id}</code></p><h3>Belongs to it</h3>${list(violates)}<h3>Does not</h3>${list(allowed)}
${boundary.length === 0 ? '' : html`<h3>Near the line</h3><ul>${boundary.map(({ case: text, side, why }) => html`<li>${text}: <strong>${side}</strong>${why === undefined ? '' : html`, ${why}`}</li>`)}</ul>`}
${norms === undefined ? '' : html`<h3>Differs between cultures</h3><p>${norms}</p>`}</details>`;
}

function list(items: readonly string[]): Html {
  return html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

export function labelWords({ label, category, tier }: { readonly label: HumanLabel; readonly category: string | null; readonly tier: ConfidenceTier }): Piece {
  return html`<strong>${label}</strong>${category === null ? '' : html`, <code>${category}</code>`}, ${tier} confidence`;
}
