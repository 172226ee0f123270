/**
 * What of a prompt was looked at, for its record: carriers of text, images and recordings that a classifier judged, and
 * what nothing read. Pure.
 */
import type { OpaquePart, Segment, SegmentResults } from '../contract/exchange.ts';
import { carrierName } from '../contract/names.ts';
import type { Coverage, Unread } from '../contract/screening.ts';

export function isMedia(segment: Segment): boolean {
  return segment.contentType !== 'text';
}

/** An image or a recording as what it is where nothing reads it. */
export function partOf({ carrier, opaque, contentType }: Segment): OpaquePart {
  return { carrier, kind: opaque ?? (contentType === 'audio' ? 'audio' : 'image') };
}

/** `acted`: what the policy decided on; absent where it did not decide. */
export function coverageOf(segments: readonly SegmentResults[], unread: readonly Unread[], acted?: readonly SegmentResults[]): Coverage {
  const screened = segments.filter(wasScreened);
  const nothing = acted !== undefined && !acted.some((entry) => wasScreened(entry) && (isMedia(entry.segment) || /\S/.test(entry.segment.content)));
  return {
    screened: namesOf(screened.map(({ segment }) => segment.carrier)),
    exempt: [],
    opaque: [...new Map(unread.map((part) => [`${part.kind} ${carrierName(part.carrier)}`, { ...part, carrier: carrierName(part.carrier) }])).values()],
    ...(nothing ? { nothing_to_screen: true } : {}),
  };
}

/** Each once. A body may hold thousands of texts of a few carriers. */
function namesOf(carriers: readonly string[]): readonly string[] {
  return [...new Set([...new Set(carriers)].map(carrierName))];
}

function wasScreened({ segment, judged }: SegmentResults): boolean {
  return !isMedia(segment) || judged === true;
}
