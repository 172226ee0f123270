/**
 * The texts of one exchange on their way into the vault, where its tenant asks for that: gathered as they come or as they
 * go on, bounded, and sealed with its closing entry. Nothing waits for it, and nothing is written here.
 */
import type { TenantConfig } from '../config/schema.ts';
import { CONTENT_CHARS_MAX, type AnswerWitness, type ContentMode, type KeptText, type KeptTexts } from '../contract/content.ts';
import type { ExchangeRecord, Segment } from '../contract/exchange.ts';
import type { Action, Direction } from '../contract/screening.ts';
import { applyEdits } from '../text/edits.ts';
import type { SegmentEdits } from './prompt.ts';

/** Hears the texts of an exchange. */
export interface TextWitness extends AnswerWitness {
  /** A prompt that has come, whatever becomes of it. */
  promptCame(segments: readonly Segment[]): void;
  /** A prompt goes on, with these changes. */
  promptLeaves(segments: readonly Segment[], edits: readonly SegmentEdits[]): void;
}

export class KeptExchange implements TextWitness {
  readonly #mode: Exclude<ContentMode, 'none'>;
  readonly #charsMax: number;
  #forgetsAnswer = false;
  #prompt: KeptText[] = [];
  #promptChars = 0;
  #promptCut = 0;
  /** By channel. */
  readonly #answer = new Map<string, string>();
  #answerChars = 0;
  #answerCut = 0;

  constructor(mode: Exclude<ContentMode, 'none'>, charsMax = CONTENT_CHARS_MAX) {
    this.#mode = mode;
    this.#charsMax = charsMax;
  }

  promptCame(segments: readonly Segment[]): void {
    if (this.#mode === 'original') this.#addPrompt(segments, []);
  }

  promptLeaves(segments: readonly Segment[], edits: readonly SegmentEdits[]): void {
    if (this.#mode === 'redacted') this.#addPrompt(segments, edits);
  }

  came(key: string, text: string): void {
    if (this.#mode === 'original') this.#add(key, text);
  }

  cameAgain(key: string): void {
    if (this.#mode === 'original') this.#drop(key);
  }

  left(key: string, text: string): void {
    if (this.#mode === 'redacted') this.#add(key, text);
  }

  leftAgain(key: string): void {
    if (this.#mode === 'redacted') this.#drop(key);
  }

  /** Nothing of the answer is kept. */
  forgetAnswer(): void {
    this.#forgetsAnswer = true;
    this.#answer.clear();
  }

  get texts(): { readonly input: KeptTexts; readonly output: KeptTexts } {
    return {
      input: { texts: this.#prompt, cut: this.#promptCut },
      output: { texts: [...this.#answer].map(([place, text]) => ({ place, text })), cut: this.#answerCut },
    };
  }

  /** The newest texts matter most: the oldest make room. */
  #addPrompt(segments: readonly Segment[], edits: readonly SegmentEdits[]): void {
    const changed = new Map(edits.map((entry) => [entry.segment, entry.edits]));
    for (const segment of segments) {
      if (segment.contentType !== 'text') continue;
      const { path: place, role, content } = segment;
      const all = changed.has(segment) ? applyEdits(content, changed.get(segment)!) : content;
      const text = all.slice(-this.#charsMax);
      this.#promptCut += all.length - text.length;
      this.#prompt.push({ place, ...(role === undefined ? {} : { role }), text });
      this.#promptChars += text.length;
    }
    let dropped = 0;
    for (; this.#promptChars > this.#charsMax; dropped++) {
      this.#promptChars -= this.#prompt[dropped]!.text.length;
      this.#promptCut += this.#prompt[dropped]!.text.length;
    }
    this.#prompt.splice(0, dropped);
  }

  #add(key: string, text: string): void {
    const fitting = text.slice(0, this.#charsMax - this.#answerChars);
    this.#answerCut += text.length - fitting.length;
    if (fitting === '' || this.#forgetsAnswer) return;
    this.#answerChars += fitting.length;
    this.#answer.set(key, (this.#answer.get(key) ?? '') + fitting);
  }

  #drop(key: string): void {
    this.#answerChars -= this.#answer.get(key)?.length ?? 0;
    this.#answer.delete(key);
  }
}

/** Of what was kept as it went on: nothing of a direction that the policy stopped, at once or after the fact. */
export function tracedTexts({ input, output, late, outcome, upstream_status: status }: ExchangeRecord, { texts }: KeptExchange): Partial<Record<Direction, KeptTexts>> {
  const stopped = (decision: { readonly action: Action } | undefined): boolean => decision === undefined || decision.action === 'block' || decision.action === 'replace';
  const isLate = (direction: Direction): boolean => late?.direction === direction && stopped(late);
  return {
    ...(stopped(input) || status === undefined || isLate('input') ? {} : { input: texts.input }),
    ...(stopped(output) || outcome === 'blocked' || isLate('output') ? {} : { output: texts.output }),
  };
}

/** Undefined where the tenant keeps no content. */
export function keptOf(tenant: TenantConfig | undefined): KeptExchange | undefined {
  const mode = tenant?.data?.content ?? 'none';
  return mode === 'none' ? undefined : new KeptExchange(mode);
}

/** What hears is told to each of them. */
export function heardBy(all: readonly TextWitness[]): TextWitness | undefined {
  if (all.length < 2) return all[0];
  return {
    promptCame: (...said) => all.forEach((one) => one.promptCame(...said)),
    promptLeaves: (...said) => all.forEach((one) => one.promptLeaves(...said)),
    came: (...said) => all.forEach((one) => one.came(...said)),
    left: (...said) => all.forEach((one) => one.left(...said)),
    cameAgain: (key) => all.forEach((one) => one.cameAgain(key)),
    leftAgain: (key) => all.forEach((one) => one.leftAgain(key)),
  };
}
