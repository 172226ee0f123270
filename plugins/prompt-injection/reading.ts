/**
 * One reading of a text for both plugins, prompt-injection and jailbreak: how sure it is that the text attacks, and what
 * kind of attack it would be. The text and each of its views are read by themselves; the worst counts. A text that both
 * plugins are asked about at once is read once; nothing is kept beyond the host's question.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GivenModel, Readings } from '#contract/classifier.ts';
import type { ClassifierResult } from '#contract/screening.ts';
import { readModel, type TextModel } from '#model/text-model.ts';
import { LANGUAGE_SURE, languageOf } from '#text/language.ts';
import { ATTACK_SIGNS } from './signs.ts';

export const KINDS = ['injection', 'indirect', 'prompt_leak', 'jailbreak'] as const;
export type AttackKind = (typeof KINDS)[number];

export interface AttackReading {
  /** By kind, 0–1. The likeliest kind has the score of the attack, the others their part of it. */
  readonly scores: Readonly<Record<AttackKind, number>>;
  /** The text is surely in a language that was not learnt, and so is each view of it. */
  readonly foreign: boolean;
}

/** One model, for both plugins. */
export class AttackReader {
  readonly version: string;
  readonly #model: TextModel;
  readonly #heads: readonly number[];
  readonly #read = new WeakMap<Readings, AttackReading>();

  constructor(model: TextModel, id?: string) {
    const names = model.parts.heads.map(({ category }) => category);
    this.version = id === undefined ? model.parts.version : `${model.parts.version}+${id}`;
    this.#model = model;
    this.#heads = ['attack', ...KINDS].map((name) => names.indexOf(name));
  }

  /** `readings` are those of `content`. */
  read(content: string, readings: Readings): AttackReading {
    const known = this.#read.get(readings);
    if (known !== undefined) return known;
    const views = readings.views().map(({ text }) => text);
    const scores: Record<AttackKind, number> = { injection: 0, indirect: 0, prompt_leak: 0, jailbreak: 0 };
    for (const text of [content, ...views]) this.#addScores(text, scores);
    const reading = { scores, foreign: this.#isForeign(readings.language()) && views.every((text) => this.#isForeign(languageOf(text))) };
    this.#read.set(readings, reading);
    return reading;
  }

  #addScores(text: string, worst: Record<AttackKind, number>): void {
    const scores = this.#model.scores(text);
    const [attack, ...kinds] = this.#heads.map((head) => scores[head]!);
    const likeliest = Math.max(...kinds);
    for (const [at, kind] of KINDS.entries()) worst[kind] = Math.max(worst[kind], likeliest === 0 ? 0 : attack! * (kinds[at]! / likeliest));
  }

  #isForeign({ tag, confidence }: { readonly tag: string; readonly confidence: number }): boolean {
    return tag !== 'und' && confidence >= LANGUAGE_SURE && !this.#model.parts.languages.includes(tag);
  }
}

let shipped: AttackReader | undefined;
const others = new WeakMap<Uint8Array, AttackReader>();

/** The one of the process for the shipped model, or for another that the host gives both plugins. */
export function attackReader(given?: GivenModel): AttackReader {
  if (given === undefined) return (shipped ??= new AttackReader(readModel(readFileSync(join(import.meta.dirname, 'model.bin')), ATTACK_SIGNS)));
  const reader = others.get(given.bytes) ?? new AttackReader(readModel(given.bytes, ATTACK_SIGNS), given.id);
  others.set(given.bytes, reader);
  return reader;
}

/** In a language that was not learnt only what is found is told. */
const FOUND = 0.5;

/** What is said of a category. */
export function attackResult(classifierId: string, category: AttackKind, score: number, foreign: boolean): ClassifierResult {
  const common = { classifier_id: classifierId, category, latency_ms: 0 };
  return foreign && score < FOUND ? { ...common, unknown: true, reason: 'unsupported' } : { ...common, score, label: category.toUpperCase(), spans: [] };
}
