/**
 * A text cut into windows for classifiers that score stretches of text: by sentences, by length, or whole. The cuts
 * depend on the text alone, never on the pieces in which it arrives, so a stream is scored as the whole text would be.
 * Pure.
 */

export type WindowRule = 'sentence' | 'whole' | number;

/** `[start, end)` of the text, and what it says. Windows follow each other without a gap. */
export interface TextWindow {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Up to `CONTEXT_BEFORE_CHARS` characters that precede it. */
  readonly before: string;
}

/** A sentence ends no sooner, so that "e.g." and "Mr." do not make windows of their own. */
export const SENTENCE_CHARS_MIN = 24;
/** A sentence without an end is cut here, at the last white space of its second half where there is one. */
export const SENTENCE_CHARS_MAX = 480;
export const CONTEXT_BEFORE_CHARS = 160;

const TERMINATORS = '.!?…';
const CLOSERS = '"\'”’)]*_';
const CLOSERS_MAX = 3;

/** Whether a sentence may end before `end`: after a line end, a full-width stop, or a stop, its closers and white space. */
function endsSentence(text: string, end: number): boolean {
  const last = text[end - 1] as string;
  if (last === '\n' || last === '。' || last === '！' || last === '？') return true;
  if (last !== ' ' && last !== '\t' && last !== '\r' && last !== '\u3000') return false;
  let at = end - 2;
  for (let closers = 0; closers < CLOSERS_MAX && at >= 0 && CLOSERS.includes(text[at] as string); closers += 1) at -= 1;
  return at >= 0 && TERMINATORS.includes(text[at] as string);
}

export class WindowCutter {
  readonly #rule: WindowRule;
  #start = 0;
  /** Text of the window under way, from `#start`. */
  #text = '';
  #before = '';

  constructor(rule: WindowRule) {
    this.#rule = rule;
  }

  /** The windows that `text` completes. */
  feed(text: string): readonly TextWindow[] {
    if (this.#rule === 'whole') {
      this.#text += text;
      return NONE;
    }
    const windows: TextWindow[] = [];
    let from = this.#text.length;
    this.#text += text;
    for (let end = this.#nextEnd(from); end >= 0; end = this.#nextEnd(from)) {
      windows.push(this.#take(end));
      from = 0;
    }
    return windows;
  }

  /** The text ends: what is left is the last window. What is fed next begins a new text, offsets going on. */
  flush(): readonly TextWindow[] {
    const last = this.#text.length === 0 ? NONE : [this.#take(this.#text.length)];
    this.#before = '';
    return last;
  }

  /** Length of the window under way if it is complete, else -1. Everything before `from` was looked at before. */
  #nextEnd(from: number): number {
    const { length } = this.#text;
    if (this.#rule !== 'sentence') return length < (this.#rule as number) ? -1 : wholeCharacters(this.#text, this.#rule as number);
    for (let end = Math.max(from, SENTENCE_CHARS_MIN - 1) + 1; end <= length; end += 1) {
      if (endsSentence(this.#text, end)) return end;
      if (end === SENTENCE_CHARS_MAX) return this.#cutLong();
    }
    return -1;
  }

  #cutLong(): number {
    for (let end = SENTENCE_CHARS_MAX; end > SENTENCE_CHARS_MAX / 2; end -= 1) if (/\s/.test(this.#text[end - 1] as string)) return end;
    return wholeCharacters(this.#text, SENTENCE_CHARS_MAX);
  }

  #take(length: number): TextWindow {
    const text = this.#text.slice(0, length);
    const window = { start: this.#start, end: this.#start + length, text, before: this.#before };
    this.#text = this.#text.slice(length);
    this.#start += length;
    this.#before = (this.#before + text).slice(-CONTEXT_BEFORE_CHARS);
    return window;
  }
}

const NONE: readonly TextWindow[] = [];

/** `end`, or one less where it would cut a character in two. */
function wholeCharacters(text: string, end: number): number {
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff && end > 1 ? end - 1 : end;
}
