/**
 * Turns offsets that a service counts in code points or in UTF-8 bytes into UTF-16 code units, which is how spans are
 * counted here. An offset outside the text, or inside a character, has no place. Pure; linear in the text, once.
 */

export const OFFSET_UNITS = ['utf16', 'code_points', 'bytes'] as const;
export type OffsetUnit = (typeof OFFSET_UNITS)[number];

/** Where an offset of `text` stands in UTF-16 code units; undefined where it stands nowhere. */
export function offsetsOf(text: string, unit: OffsetUnit): (offset: number) => number | undefined {
  const places = unit === 'utf16' || isSame(text, unit) ? undefined : placesOf(text, unit);
  const end = places === undefined ? text.length : places.length - 1;
  return (offset) => {
    if (!Number.isInteger(offset) || offset < 0 || offset > end) return undefined;
    if (places === undefined) return offset;
    return places[offset] === INSIDE ? undefined : places[offset];
  };
}

const INSIDE = 0xffff_ffff;

/** Every unit counts such a text alike. */
function isSame(text: string, unit: OffsetUnit): boolean {
  return unit === 'bytes' ? !/[^\x00-\x7f]/.test(text) : !/[\ud800-\udfff]/.test(text);
}

function placesOf(text: string, unit: OffsetUnit): Uint32Array {
  const places = new Uint32Array((unit === 'bytes' ? Buffer.byteLength(text) : text.length) + 1).fill(INSIDE);
  let at = 0;
  let offset = 0;
  for (const character of text) {
    places[offset] = at;
    at += character.length;
    offset += unit === 'bytes' ? Buffer.byteLength(character) : 1;
  }
  places[offset] = at;
  return places.subarray(0, offset + 1);
}
