/**
 * Pages that are kept fresh: what stands in the place is made anew while somebody looks at it and is not at work in it.
 * Without scripts the page says when it was made. Forms stand outside of the place.
 */
import { html, type Html, type Piece } from './html.ts';
import { link, timeOf } from './parts.ts';

/** Milliseconds between two looks. */
const LIVE_MS = 10_000;

/** Begins or ends it, as `?live=1` of the same page. */
export function freshLink(path: string, query: URLSearchParams, isLive: boolean): Html {
  return isLive ? html`<a href="${link(path, query, { live: undefined })}">Stop</a>` : html`<a href="${link(path, query, { live: 1 })}" data-press="f">Keep fresh <kbd>f</kbd></a>`;
}

export function freshPlace(isLive: boolean, body: Piece): Html {
  return html`<div id="fresh"${isLive ? html` data-live="${String(LIVE_MS)}"` : ''}>${isLive ? html`<p class="quiet">As of ${timeOf(new Date().toISOString())} UTC, made anew every ${LIVE_MS / 1_000} seconds while the page is looked at; without scripts, load it again.</p>` : ''}
${body}</div>`;
}
