/**
 * The request that waits for an item: until when, how long that is, what is done then, and what came of it. Where scripts
 * run, the time left counts down by the browser's own clock, from what was left when the page was made, so that a clock
 * that is wrong there does no harm; without them the text stays right. `/review/{id}/wait` tells it alone: looking there
 * opens no text.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { ReviewItem } from '../contract/review.ts';
import type { ShownHold } from '../review/held.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { count, shortId } from './parts.ts';
import { take } from './refusal.ts';

export type WaitedFor = Pick<ReviewItem, 'review_id' | 'hold_until' | 'hold_then'> & ShownHold;

/** `from`: the page that tells the same anew. `says`: the time left is told aloud, rarely. */
export interface WaitPlace {
  readonly from: string;
  readonly says?: boolean;
}

/** Nothing where no request ever waited. */
export function waitOf(item: WaitedFor, { from, says = false }: WaitPlace): Piece {
  if (item.hold_until === null) return '';
  return html`<span id="wait-${item.review_id}"${item.holding ? html` data-wait="${from}" data-left-ms="${leftMs(item)}"${says ? html` data-says` : ''}` : ''}>${item.holding ? waits(item) : waited(item)}</span>`;
}

export function waited({ hold_outcome: outcome, hold_then: then }: WaitedFor): string {
  switch (outcome) {
    case null: case 'timeout': return `waited, and nobody decided in time: ${then}`;
    case 'client_left': return 'waited; the caller has left';
    case 'draining': return 'waited; its process stopped';
    case 'no_store': return `could not wait: ${then}`;
    default: return `waited, and was let go by a verdict: ${outcome}`;
  }
}

function waits(item: WaitedFor): Html {
  const until = item.hold_until!;
  return html`waits, <strong data-left>${count(Math.ceil(leftMs(item) / 1000))} s from when this page was made</strong>: until <time datetime="${until}">${until.slice(11, 19)}</time> UTC, then ${item.hold_then}`;
}

function leftMs({ hold_until: until }: WaitedFor): number {
  return Math.max(0, Date.parse(until!) - Date.now());
}

async function wait(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const item = await take<WaitedFor>(api, request, 'readReview', { names: { id } });
  return page(api, request, {
    title: 'A request that waits', at: '/review', json: `/api/v1/reviews/${id}`,
    body: html`<p>For <a href="/review/${id}">${shortId(id, 16)}</a> a request ${item.hold_until === null ? 'never waited' : waitOf(item, { from: `/review/${id}/wait`, says: true })}.</p>`,
  });
}

export const WAIT_PAGE: Page = { method: 'GET', path: '/review/:id/wait', needs: 'readReview', meaning: 'whether a request waits for an item, and what came of it', run: wait };
