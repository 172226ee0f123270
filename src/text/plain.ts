/**
 * The view without what cannot be seen: default ignorables (zero width, bidirectional controls, variation selectors,
 * tags, soft hyphens) and control characters left out, compatibility forms as what they stand for (NFKC: full width,
 * mathematical letters, ligatures), marks piled up on letters taken off where they make no letter of their own. Of
 * Hebrew, Arabic or Indic words no mark is lost. Pure.
 */
import { COMPATIBLE, IGNORED, kindOf, KINDS_KNOWN, MARK, STUFFING, UNSEEN } from './characters.ts';
import type { Rewriting } from './rewriting.ts';

/** Most characters of one letter with its marks; more piled-up marks are left out unread. */
export const CLUSTER_CHARS_MAX = 32;

const CHANGED = IGNORED | MARK | COMPATIBLE;
const JOINED = IGNORED | MARK;

type WriteForm = (form: string, start: number, end: number) => void;

/**
 * Writes the characters `[from, to)`. `charsMax`: compatibility forms that would make the view longer stay as they stand;
 * true when some did.
 */
export function writePlain(text: string, from: number, to: number, out: Rewriting, charsMax: number): boolean {
  let cut = false;
  const write: WriteForm = (form, start, end) => {
    if (form.length <= end - start || out.length + form.length + to - end <= charsMax) out.write(form, start, end);
    else {
      cut = true;
      out.copy(start, end);
    }
  };
  /** Behind what is written. */
  let done = from;
  let marksMet = false;
  for (let i = from; i < to;) {
    const unit = text.charCodeAt(i);
    if ((KINDS_KNOWN[unit] as number) !== 0 && ((KINDS_KNOWN[unit] as number) & CHANGED) === 0 && (unit & 0xf800) !== 0xd800) {
      i += 1;
      continue;
    }
    const point = text.codePointAt(i) as number;
    const next = i + widthOf(point);
    const kind = kindOf(point);
    if ((kind & CHANGED) === 0) i = next;
    else if ((kind & MARK) === 0 && !isJoined(text, next, to)) {
      out.copy(done, i);
      if ((kind & IGNORED) === 0) write(formOf(point), i, next);
      i = done = next;
    } else {
      // Words of many scripts are written with marks that change nothing.
      if (!marksMet && isPlain(text.slice(done, to))) break;
      marksMet = true;
      // The letter of the marks is the character before them.
      const start = (kind & JOINED) === 0 || done === i ? i : i - (done < i - 1 && isLowSurrogate(text, i - 1) ? 2 : 1);
      out.copy(done, start);
      i = done = writeCluster(text, start, to, out, write);
    }
  }
  out.copy(done, to);
  return cut;
}

/** Writes the character at `from` with the marks that follow it; returns where it stopped, behind what is left out with them. */
function writeCluster(text: string, from: number, to: number, out: Rewriting, write: WriteForm): number {
  let cluster = '';
  let start = from;
  let end = from;
  let i = from;
  while (i < to) {
    const point = text.codePointAt(i) as number;
    const kind = kindOf(point);
    const next = i + widthOf(point);
    if (i > from && (kind & JOINED) === 0) break;
    if ((kind & IGNORED) === 0) {
      const char = text.slice(i, next);
      if (cluster.length < CLUSTER_CHARS_MAX) {
        if (cluster === '') start = i;
        cluster += char;
      } else if (char.search(STUFFING) < 0) break;
      end = next;
    }
    i = next;
  }
  const form = formOfCluster(cluster);
  if (form === cluster && end - start === cluster.length) out.copy(start, end);
  else write(form, start, end);
  return i;
}

const forms = new Map<number, string>();

/** Of one character; there are some thousands that have one. */
function formOf(point: number): string {
  let form = forms.get(point);
  if (form === undefined) forms.set(point, (form = formOfCluster(String.fromCodePoint(point))));
  return form;
}

function formOfCluster(cluster: string): string {
  return cluster.normalize('NFKC').replace(STUFFING, '');
}

function isPlain(text: string): boolean {
  return !UNSEEN.test(text) && text.normalize('NFKC') === text;
}

function isJoined(text: string, at: number, to: number): boolean {
  return at < to && (kindOf(text.codePointAt(at) as number) & JOINED) !== 0;
}

function widthOf(point: number): number {
  return point > 0xffff ? 2 : 1;
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff;
}
