/**
 * What the patterns of a plan find in one text of a prompt: in the text as it stands, and in its views, where the
 * patterns of classifiers read `plain` and `decoded`, a policy's own all of them. Findings are in spans of the text; one
 * in a view that says no more than one of the text is left out. A long text is scanned in steps, so that one prompt
 * does not keep the others waiting. Answers that stream are not scanned here (src/stream).
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PatternDefinition } from '../contract/classifier.ts';
import type { Segment } from '../contract/exchange.ts';
import { VIEWS, type ViewName } from '../contract/screening.ts';
import type { PatternSet } from '../match/compiled.ts';
import type { Finding } from '../match/scan.ts';
import { scanSteps } from '../match/set.ts';
import { JsonText } from '../text/json-text.ts';
import { viewSteps, type View, type ViewOptions } from '../text/views.ts';

/** What scans: all patterns, and the policy's own as views of disguised words are scanned for them. */
export interface ScanSets {
  readonly patterns: PatternSet;
  /** Absent where the policy has none of its own. */
  readonly disguised?: PatternSet;
  /** The literals among those, as `uprightText` writes them. */
  readonly upright?: PatternSet;
}

/** Characters of JSON that are read at once. */
const JSON_STEP_CHARS = 65_536;

/** Views in which words are not as they stand: numbers and addresses are not looked for there. */
const WORD_VIEWS: readonly ViewName[] = ['folded', 'spelled'];

export class TextScan {
  readonly #sets: ScanSets;
  readonly #views: ViewOptions;

  constructor(sets: ScanSets, { names = VIEWS, ...options }: ViewOptions = {}) {
    this.#sets = sets;
    this.#views = { ...options, names: sets.disguised === undefined ? names.filter((name) => !WORD_VIEWS.includes(name)) : names };
  }

  /** Findings in raw offsets of the segment, by start. */
  *findings({ content, json }: Pick<Segment, 'content' | 'json'>): Generator<void, readonly Finding[]> {
    if (content.length === 0 || this.#sets.patterns.patterns.length === 0) return NONE;
    return json === true ? yield* this.#inJson(content) : yield* this.#inText(content);
  }

  *#inText(text: string): Generator<void, readonly Finding[]> {
    const raw = yield* scanSteps(this.#sets.patterns, text);
    const views = yield* viewSteps(text, this.#views);
    if (views.length === 0) return raw;
    const viewed: Finding[] = [];
    for (const view of views) {
      for (const { pattern, start, end } of yield* this.#inView(view)) if (pattern.definition.views !== false) viewed.push({ pattern, ...view.spanOf(start, end) });
    }
    return viewed.length === 0 ? raw : withViewed(raw, viewed);
  }

  *#inView({ name, text }: View): Generator<void, readonly Finding[]> {
    const { patterns, disguised, upright } = this.#sets;
    if (disguised === undefined || !WORD_VIEWS.includes(name)) return yield* scanSteps(patterns, text);
    const found = yield* scanSteps(disguised, text);
    return name === 'spelled' && upright !== undefined ? [...found, ...(yield* scanSteps(upright, uprightText(text)))] : found;
  }

  /** Each string of a JSON text is a text of its own, and so is what stands between strings. */
  *#inJson(content: string): Generator<void, readonly Finding[]> {
    const parts: { readonly start: number; readonly text: string }[] = [];
    let part = '';
    let partStart = 0;
    const json = new JsonText({
      text: (decoded) => { part += decoded; },
      boundary: () => {
        if (part !== '') parts.push({ start: partStart, text: part });
        partStart += part.length;
        part = '';
      },
    });
    for (let at = 0; at < content.length; at += JSON_STEP_CHARS) {
      json.feed(content.slice(at, at + JSON_STEP_CHARS));
      yield;
    }
    json.close();
    const found: Finding[] = [];
    for (const { start, text } of parts) {
      for (const finding of yield* this.#inText(text)) found.push({ pattern: finding.pattern, ...json.rawRange(start + finding.start, start + finding.end) });
      yield;
    }
    return found;
  }
}

const NONE: readonly Finding[] = [];

/** A literal of several words is looked for written as one, too, where that has so many characters. */
const JOINED_CHARS_MIN = 6;

/**
 * The literals of a definition for the spelled view: whether a figure stands for `i` or for `l` cannot be told, and where
 * the gaps between words were is lost where all letters stand alike apart. Undefined where it has no literals.
 */
export function uprightLiterals(definition: PatternDefinition): PatternDefinition | undefined {
  if (definition.literal === undefined) return undefined;
  const joined = definition.literal.filter((text) => /\s/.test(text)).map((text) => text.replace(/\s+/g, '')).filter((text) => text.length >= JOINED_CHARS_MIN);
  return { ...definition, literal: [...definition.literal, ...joined].map(uprightText) };
}

/** With one letter for all that are written as one upright stroke; as long as it was. */
function uprightText(text: string): string {
  return text.replace(/[iIlL1!|]/g, 'l');
}

/** Both, by start, without those of views that lie in another of their category with no less a score. */
function withViewed(raw: readonly Finding[], viewed: readonly Finding[]): readonly Finding[] {
  const own = new Set(raw);
  const all = [...raw, ...viewed].sort((a, b) => a.start - b.start || b.end - a.end || scoreOf(b) - scoreOf(a) || Number(own.has(b)) - Number(own.has(a)));
  /** Of each category and score, how far its findings reach. */
  const reach = new Map<string, Map<number, number>>();
  return all.filter((finding) => {
    const key = `${finding.pattern.classifier}\n${finding.pattern.definition.category}`;
    const ends = reach.get(key) ?? new Map<number, number>();
    const score = scoreOf(finding);
    const isCovered = [...ends].some(([other, end]) => other >= score && end >= finding.end);
    if (isCovered && !own.has(finding)) return false;
    reach.set(key, ends.set(score, Math.max(ends.get(score) ?? 0, finding.end)));
    return true;
  });
}

function scoreOf({ pattern }: Finding): number {
  return pattern.definition.score ?? 1;
}

/** How long one prompt may keep the event loop. */
const TURN_MS = 5;

/** Runs steps one after another; after each turn of `TURN_MS` the event loop has its own. */
export class Turns {
  #startMs = performance.now();

  async run<T>(steps: Generator<void, T>): Promise<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done === true) return value;
      if (performance.now() - this.#startMs < TURN_MS) continue;
      await nextTurn();
      this.#startMs = performance.now();
    }
  }
}
