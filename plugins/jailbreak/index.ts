/**
 * The jailbreak classifier: texts that talk a model out of its rules, by personas without limits, invented modes, games,
 * fictions and claims. The higher of two judges: the linear model of prompt-injection, which reads a text once for both
 * (MODEL_CARD.md there), and nearness to a library of jailbreaks of the project's own, kept as vectors. No download, no
 * network, no spans.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CreateClassifier, GivenModels, Readings } from '#contract/classifier.ts';
import { readNearest, type NearestModel } from '#model/nearest.ts';
import { attackReader, attackResult } from '../prompt-injection/reading.ts';

const CATEGORY = 'jailbreak';

/** One for the process: the library has no state of a classifier. */
let shipped: NearestModel | undefined;

/** What the host may give in place of what is shipped. */
export const models = ['prompt-injection', 'jailbreak'] as const;

const createJailbreak: CreateClassifier = ({ id, models: others, ...options }) => {
  const [unknown] = Object.keys(options);
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; this classifier has none`);
  const given = others as GivenModels | undefined;
  const own = given?.['jailbreak'];
  const reader = attackReader(given?.['prompt-injection']);
  const library = own === undefined ? (shipped ??= readNearest(readFileSync(join(import.meta.dirname, 'model.bin')))) : readNearest(own.bytes);
  return {
    id,
    version: [reader.version, library.parts.version, ...(own === undefined ? [] : [own.id])].join('+'),
    categories: [{ id: CATEGORY, definition: 'talks the model out of its rules: personas without limits, invented modes, fictions, claims' }],
    directions: ['input', 'output'],
    contentTypes: ['text'],
    languages: ['*'],
    cost: 'fast',
    needsContext: false,
    idempotent: true,

    classify({ content }, _signal, readings) {
      const { scores, foreign } = reader.read(content, readings);
      const score = Math.max(scores.jailbreak, nearestOf(library, content, readings));
      return [attackResult(id, CATEGORY, score, foreign)];
    },
  };
};

export default createJailbreak;

function nearestOf(library: NearestModel, content: string, readings: Readings): number {
  return Math.max(...[content, ...readings.views().map(({ text }) => text)].map((text) => library.score(text)));
}
