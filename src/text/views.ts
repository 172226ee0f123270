/**
 * The views of a text: what it says to one who cannot see what is hidden in it, or who reads what it looks like, or
 * decodes what it holds. Each has the map back, so that what is found in a view is a span of the text. Views are for
 * screening: what is forwarded is always the text.
 *
 * INVARIANT: a view that is listed differs from the text and from the other views; ordinary text has none, and finding
 * that out is one cheap pass. Every limit cuts the views, never the text: `cut` says where one did. Pure.
 */
import { VIEWS, type Span, type ViewName } from '../contract/screening.ts';
import { writeCarried, writeDecoded } from './decoded.ts';
import { writeFolded } from './folded.ts';
import { rotate } from './letters.ts';
import { writePlain } from './plain.ts';
import { Rewriting, type Rewritten } from './rewriting.ts';
import { CARRIED, DISGUISED, ENCODED, FIGURES, ODD, ROTATED, signsOf, SPACED } from './signs.ts';
import { writeJoined, writeLetterForms } from './spelled.ts';

export interface View {
  readonly name: ViewName;
  readonly text: string;
  /** Not all of the text is in it, or not all as it should be: a limit was reached. */
  readonly cut: boolean;
  /** The span of the text that the non-empty range `[start, end)` of the view was made from. */
  spanOf(start: number, end: number): Span;
}

export interface ViewOptions {
  /** Which are wanted. */
  readonly names?: readonly ViewName[];
  /** Characters of a text that are viewed; the rest is not. */
  readonly charsMax?: number;
}

/** Characters of a text that are viewed when nothing else is said. */
export const VIEW_CHARS_MAX = 1_048_576;
/** Compatibility forms make a view at most so many times as long as its text, and a little. */
export const GROWTH_MAX = 2;
const GROWTH_CHARS = 1_024;
/** How often what was decoded is decoded again. */
export const DECODE_DEPTH_MAX = 3;
/** Characters between two moments at which `viewSteps` can be left alone. */
const STEP_CHARS = 16_384;
/** A step ends at white space where there is some so near. */
const STEP_BACK_CHARS = 512;

/** Signs of the views that read a text otherwise, and of any. */
const READING = ODD | CARRIED | ENCODED | ROTATED;
const ANY = READING | DISGUISED | FIGURES | SPACED;

const NONE: readonly View[] = [];

/** Every view of a text that differs from it. */
export function viewsOf(text: string, options: ViewOptions = {}): readonly View[] {
  const steps = viewSteps(text, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same in steps of some milliseconds at most, for one who has other work. */
export function* viewSteps(text: string, { names = VIEWS, charsMax = VIEW_CHARS_MAX }: ViewOptions = {}): Generator<void, readonly View[]> {
  if (names.length === 0) return NONE;
  const seen = text.length <= charsMax ? text : text.slice(0, wholeCharacter(text, charsMax));
  const signs = signsOf(seen);
  const words = names.includes('folded') || names.includes('spelled');
  if ((signs & (words ? ANY : READING)) === 0) return NONE;
  if (seen.length > STEP_CHARS) yield;
  const made = new Made({ text: seen, signs, spanOf: (start, end) => ({ start, end }) }, seen.length < text.length);
  const plain = yield* made.plain(made.source);
  const decoded = words || names.includes('decoded') ? yield* made.decoded(plain) : [];
  const views: [ViewName, Layer][] = [['plain', plain], ...decoded.map((layer): [ViewName, Layer] => ['decoded', layer])];
  if (words) {
    for (const layer of [plain, ...decoded]) {
      const folded = yield* made.folded(layer);
      const joined = names.includes('spelled') ? yield* made.spelled(folded) : folded;
      views.push(['folded', folded], ['spelled', joined]);
    }
  }
  const texts = new Set([seen]);
  return views.filter(([name, layer]) => names.includes(name) && !texts.has(layer.text) && texts.add(layer.text))
    .map(([name, layer]): View => ({ name, text: layer.text, cut: made.cut, spanOf: (start, end) => layer.spanOf(start, end) }));
}

/** A text on the way to a view, and what it shows signs of. */
interface Layer extends Rewritten {
  readonly signs: number;
}

type Write = (text: string, from: number, to: number, out: Rewriting) => number | void;

/** The views of one text in the making. Each way gives back its layer where nothing differs. */
class Made {
  readonly source: Layer;
  cut: boolean;

  constructor(source: Layer, cut: boolean) {
    this.source = source;
    this.cut = cut;
  }

  *plain(layer: Layer): Generator<void, Layer> {
    if ((layer.signs & ODD) === 0) return layer;
    const charsMax = GROWTH_MAX * layer.text.length + GROWTH_CHARS;
    return yield* this.#rewrite(layer, (text, from, to, out) => {
      if (writePlain(text, from, to, out, charsMax)) this.cut = true;
    });
  }

  *folded(layer: Layer): Generator<void, Layer> {
    return (layer.signs & DISGUISED) === 0 ? layer : yield* this.#rewrite(layer, writeFolded);
  }

  *spelled(layer: Layer): Generator<void, Layer> {
    const joined = (layer.signs & SPACED) === 0 ? layer : yield* this.#rewrite(layer, writeJoined);
    return (joined.signs & FIGURES) === 0 ? joined : yield* this.#rewrite(joined, writeLetterForms);
  }

  /** What the text carries unseen, what it holds encoded, what that holds encoded, and so on; and the letters rotated. */
  *decoded(plain: Layer): Generator<void, readonly Layer[]> {
    const layers: Layer[] = [];
    let layer = plain;
    if ((this.source.signs & CARRIED) !== 0) {
      const carried = yield* this.#rewrite(this.source, writeCarried);
      if (carried !== this.source) layers.push((layer = yield* this.plain(carried)));
    }
    for (let depth = 0; (layer.signs & ENCODED) !== 0; depth += 1) {
      const next = yield* this.plain(yield* this.#rewrite(layer, writeDecoded));
      if (next.text === layer.text) break;
      if (depth === DECODE_DEPTH_MAX) {
        this.cut = true;
        break;
      }
      layers.push((layer = next));
    }
    const rotated = [plain, ...layers].filter(({ signs }) => (signs & ROTATED) !== 0).map((from): Layer => {
      const text = rotate(from.text);
      return { text, signs: signsOf(text), spanOf: (start, end) => from.spanOf(start, end) };
    });
    return [...layers, ...rotated];
  }

  *#rewrite(layer: Layer, write: Write): Generator<void, Layer> {
    const { text } = layer;
    const out = new Rewriting(text);
    for (let at = 0; at < text.length;) {
      const to = stepEnd(text, at);
      at = write(text, at, to, out) ?? to;
      if (at < text.length) yield;
    }
    const made = out.done();
    if (text.length > STEP_CHARS) yield;
    if (made === undefined) return layer;
    return {
      text: made.text,
      signs: signsOf(made.text),
      spanOf: (start, end) => {
        const span = made.spanOf(start, end);
        return layer.spanOf(span.start, span.end);
      },
    };
  }
}

/** Behind white space where there is some near the end of a step, so that no word is cut. */
function stepEnd(text: string, from: number): number {
  const end = from + STEP_CHARS;
  if (end >= text.length) return text.length;
  for (let at = end; at > end - STEP_BACK_CHARS; at -= 1) {
    const code = text.charCodeAt(at - 1);
    if (code === 0x20 || code === 0x0a) return at;
  }
  return wholeCharacter(text, end);
}

/** `end`, or one less where it would cut a character in two. */
function wholeCharacter(text: string, end: number): number {
  const code = text.charCodeAt(end - 1);
  return code >= 0xd800 && code <= 0xdbff ? end - 1 : end;
}
