/**
 * The text of an item under its cover: what kind it may be and how severe stands outside, and it is opened by a key, which
 * counts as opened. It opens by itself only for who asked for that, and never where it may be violent or sexual, or where
 * that is not told because two people decide without each other.
 */
import type { Api, PageRequest } from '../admin/pages.ts';
import type { ReviewItem } from '../contract/review.ts';
import { GUARDED_SUBJECTS, subjectsOf, type WellnessSettings } from '../contract/wellness.ts';
import { html, type Html, type Piece } from './html.ts';
import { marked, type LabelledSpan } from './marked.ts';
import { count, givenNumber, link, names } from './parts.ts';
import { take } from './refusal.ts';

interface Content {
  readonly state: 'there' | 'erased' | 'absent' | 'damaged' | 'locked';
  /** Of `locked`: which master key it is for. */
  readonly detail?: string;
  readonly texts?: { readonly texts: readonly { readonly place: string; readonly role?: string; readonly text: string; readonly spans?: readonly LabelledSpan[] }[]; readonly cut: number };
}

type Shown = Pick<ReviewItem, 'review_id' | 'severity' | 'classifier_results'> & { readonly covered: boolean };

const WITHOUT_TEXT: Readonly<Record<Exclude<Content['state'], 'there' | 'locked'>, string>> = { absent: 'No text was kept: its tenant does not ask for it (data.content).', erased: 'The text was erased.', damaged: 'What lies there is not what was sealed.' };

/** Nothing for who may not read texts. */
export async function textSection(api: Api, request: PageRequest, item: Shown): Promise<Piece> {
  if (!api.may(request.actor, 'readReviewContent')) return '';
  const names = { id: item.review_id };
  const { settings } = await take<{ readonly settings: WellnessSettings }>(api, request, 'readWellness');
  if (request.query.get('open') === null && !opensItself(item, settings)) {
    const { state, detail } = await take<Content>(api, request, 'readReviewContent', { names, query: { only: 'state' } });
    return section(state === 'there' ? cover(item, request) : withoutText(state, detail));
  }
  const { state, texts, detail } = await take<Content>(api, request, 'readReviewContent', { names });
  return section(state === 'there' && texts !== undefined ? html`<details open${settings.greyscale ? html` class="grey"` : ''}><summary data-press="v">Hide or show it <kbd>v</kbd></summary>${textsOf(texts)}</details>` : withoutText(state as Exclude<Content['state'], 'there'>, detail));
}

function opensItself({ covered, classifier_results: results }: Shown, { cover: wantsCover }: WellnessSettings): boolean {
  return !wantsCover && !covered && !subjectsOf(results).some((subject) => GUARDED_SUBJECTS.includes(subject));
}

function cover({ severity, covered, classifier_results: results, review_id: id }: Shown, request: PageRequest): Html {
  const subjects = subjectsOf(results);
  const fence = givenNumber(request.query, 'fence') ?? givenNumber(request.form, 'fence');
  return html`<div class="cover"><p>Severity <strong>${severity}</strong>. ${covered ? 'What it may be about is not told, since two people decide it without each other.' : subjects.length === 0 ? 'Scores tell no kind that one may want to be warned of.' : html`It may be about: ${names(subjects)}.`}</p>
<p><a class="button" href="${link(`/review/${id}`, new URLSearchParams(), { fence, open: 1 })}#text" data-press="v">Show the text <kbd>v</kbd></a></p></div>`;
}

function section(body: Html): Html {
  return html`<section aria-labelledby="text"><h2 id="text">Text</h2>${body}</section>`;
}

function withoutText(state: Exclude<Content['state'], 'there'>, detail = ''): Html {
  return html`<p class="quiet">${state === 'locked' ? `The text was sealed, and cannot be opened here: ${detail}.` : WITHOUT_TEXT[state]}</p>`;
}

function textsOf({ texts, cut }: NonNullable<Content['texts']>): Html {
  return html`${texts.map(({ place, role, text, spans = [] }) => html`<p class="quiet">${role === undefined ? '' : `${role}, `}<code>${place}</code></p><pre class="text" dir="auto" tabindex="0"><bdi>${marked(text, spans)}</bdi></pre>`)}${cut === 0 ? '' : html`<p class="quiet">${count(cut)} characters were not kept.</p>`}`;
}
