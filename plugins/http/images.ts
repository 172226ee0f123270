/**
 * An image as the services want it: an address, or a data URL. The content of an image segment is a data URL, an
 * address, or bare base64, whose kind is told by its first bytes.
 */
import { readCount, type Given } from './options.ts';

const KINDS: readonly (readonly [beginning: string, type: string])[] = [['iVBORw0KGgo', 'png'], ['/9j/', 'jpeg'], ['R0lGOD', 'gif'], ['UklGR', 'webp']];

/** The services take images of up to 20 MB; base64 is a third longer. */
export const IMAGE_CHARS_MAX = 27_000_000;

/** `image_chars_max`: a longer image is not sent, and its scores are unknown (unsupported). */
export function readImageLimit(given: Given): number {
  return readCount(given, 'image_chars_max', { min: 1, max: IMAGE_CHARS_MAX, fallback: IMAGE_CHARS_MAX });
}

/** Undefined where it is none of these, or too long. */
export function imageUrl(content: string, charsMax: number): string | undefined {
  if (content.length > charsMax) return undefined;
  if (/^(?:https?:\/\/|data:image\/)/i.test(content)) return content;
  const kind = KINDS.find(([beginning]) => content.startsWith(beginning));
  return kind && `data:image/${kind[1]};base64,${content}`;
}
