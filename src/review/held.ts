/**
 * How a wait is shown to people: whether a request still waits, until when, and whether verdicts let it go. While two
 * people decide an item without each other, neither sees that the other has ended the wait. Pure.
 */
import { RESOLUTIONS, type ReviewItem } from '../contract/review.ts';
import { isCovered } from './stage.ts';

export interface ShownHold {
  /** A request waits for this item now. */
  readonly holding: boolean;
  readonly hold_outcome: ReviewItem['hold_outcome'];
  /** Whether verdicts ended the wait: false where they came too late for that. Null: nothing waited, or it is not told yet. */
  readonly released: boolean | null;
}

export function shownHold(item: ReviewItem, now: Date): ShownHold {
  const { hold_until: until, hold_outcome: outcome, status } = item;
  const byPeople = RESOLUTIONS.some((one) => one === outcome);
  const told = isCovered(item) && byPeople ? null : outcome;
  const holding = until !== null && told === null && until > now.toISOString();
  return { holding, hold_outcome: told, released: until === null || status !== 'resolved' ? null : byPeople };
}

/** Those that wait before all others, each once. */
export function heldFirst(held: readonly ReviewItem[], items: readonly ReviewItem[]): readonly ReviewItem[] {
  const first = new Set(held.map(({ review_id: id }) => id));
  return [...held, ...items.filter(({ review_id: id }) => !first.has(id))];
}

/** Of an item that is or was waited for, in words; empty for others. */
export function holdText(item: ReviewItem, now: Date): string {
  const { hold_until: until, hold_then: then } = item;
  if (until === null) return '';
  const { holding, hold_outcome: outcome } = shownHold(item, now);
  if (holding) return `a request waits until ${until}, then ${then}`;
  switch (outcome) {
    case null: case 'timeout': return `nobody decided by ${until}: ${then}`;
    case 'client_left': return 'the caller has left';
    case 'draining': return 'the process that held it stopped';
    case 'no_store': return `it could not wait: ${then}`;
    default: return `released: ${outcome}`;
  }
}
