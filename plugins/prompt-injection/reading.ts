/**
 * One reading of a text for both plugins, prompt-injection and jailbreak: how sure it is that the text attacks, and what
 * kind of attack it would be. The text and each of its views are read by themselves; the worst counts. A text that both
 * plugins are asked about at once is read once; nothing is kept beyond the host's question.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readings } from '#contract/classifier.ts';
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

let shipped: TextModel | undefined;
let heads: readonly number[] = [];
const read = new WeakMap<Readings, AttackReading>();

/** One for the process: the model has no state of a classifier. */
export function attackModel(): TextModel {
  if (shipped === undefined) {
    shipped = readModel(readFileSync(join(import.meta.dirname, 'model.bin')), ATTACK_SIGNS);
    const names = shipped.parts.heads.map(({ category }) => category);
    heads = ['attack', ...KINDS].map((name) => names.indexOf(name));
  }
  return shipped;
}

/** `readings` are those of `content`. */
export function attackReadingOf(content: string, readings: Readings): AttackReading {
  const known = read.get(readings);
  if (known !== undefined) return known;
  const views = readings.views().map(({ text }) => text);
  const scores: Record<AttackKind, number> = { injection: 0, indirect: 0, prompt_leak: 0, jailbreak: 0 };
  for (const text of [content, ...views]) addScores(text, scores);
  const reading = { scores, foreign: isForeign(readings.language()) && views.every((text) => isForeign(languageOf(text))) };
  read.set(readings, reading);
  return reading;
}

function addScores(text: string, worst: Record<AttackKind, number>): void {
  const model = attackModel();
  const scores = model.scores(text);
  const [attack, ...kinds] = heads.map((head) => scores[head]!);
  const likeliest = Math.max(...kinds);
  for (const [at, kind] of KINDS.entries()) worst[kind] = Math.max(worst[kind], likeliest === 0 ? 0 : attack! * (kinds[at]! / likeliest));
}

function isForeign({ tag, confidence }: { readonly tag: string; readonly confidence: number }): boolean {
  return tag !== 'und' && confidence >= LANGUAGE_SURE && !attackModel().parts.languages.includes(tag);
}

/** In a language that was not learnt only what is found is told. */
const FOUND = 0.5;

/** What is said of a category. */
export function attackResult(classifierId: string, category: AttackKind, score: number, foreign: boolean): ClassifierResult {
  const common = { classifier_id: classifierId, category, latency_ms: 0 };
  return foreign && score < FOUND ? { ...common, unknown: true, reason: 'unsupported' } : { ...common, score, label: category.toUpperCase(), spans: [] };
}
