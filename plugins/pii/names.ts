/**
 * Names of people, addresses and places: what the trained tagger finds in a text, as results with spans. One model for
 * the process, read when it is first asked. Text in scripts that it has not learnt is unknown (unsupported), not 0. A
 * text that comes window by window gets what the whole would.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CategoryDefinition, ClassifierFeed } from '#contract/classifier.ts';
import type { ClassifierResult, Span } from '#contract/screening.ts';
import { readTagger, type NamedSpan, type ReadPiece, type Tagger } from '#model/tagger.ts';

export const NAME_CATEGORIES: readonly CategoryDefinition[] = Object.freeze([
  { id: 'PERSON', definition: 'The name of a person.', named: true },
  { id: 'ADDRESS', definition: 'A postal address, or a part of one that leads to a door: street, flat, postcode, post box.', named: true },
  { id: 'LOCATION', definition: 'A town, region, country or other named place.', named: true },
]);

/** Spans whose scores differ by less are one result. */
const SCORE_STEPS = 100;

/** One reading for the process: the model has no state of a classifier. */
let shipped: Tagger | undefined;

export class Names {
  readonly #id: string;
  readonly #tagger: Tagger;

  /** `model`: in place of the shipped one. */
  constructor(id: string, model?: Uint8Array) {
    this.#id = id;
    this.#tagger = model === undefined ? (shipped ??= readTagger(readFileSync(join(import.meta.dirname, 'model.bin')))) : readTagger(model);
  }

  read(text: string): readonly ClassifierResult[] {
    return this.open().feed(text);
  }

  open(): ClassifierFeed {
    const reading = this.#tagger.open();
    return { feed: (text) => this.#results(reading.feed(text)) };
  }

  #results({ spans, isForeign }: ReadPiece): readonly ClassifierResult[] {
    const common = { classifier_id: this.#id, latency_ms: 0 };
    if (isForeign) return NAME_CATEGORIES.map(({ id: category }) => ({ ...common, category, unknown: true, reason: 'unsupported' }));
    return NAME_CATEGORIES.flatMap(({ id: category }) => [...byScore(spans.filter(({ type }) => type === category))].map(([score, own]) => ({ ...common, category, score, label: category, spans: own })));
  }
}

function byScore(spans: readonly NamedSpan[]): ReadonlyMap<number, readonly Span[]> {
  const groups = new Map<number, Span[]>();
  for (const { start, end, score } of spans) {
    const rounded = Math.round(score * SCORE_STEPS) / SCORE_STEPS;
    const group = groups.get(rounded);
    if (group === undefined) groups.set(rounded, [{ start, end }]);
    else group.push({ start, end });
  }
  return groups;
}
