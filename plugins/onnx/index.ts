/**
 * The onnx classifier: a model for sequence classification from a local file, run by onnxruntime in a process of its own.
 * Long texts are read in overlapping windows, and the worst window counts. Nothing leaves the machine and nothing is
 * downloaded. It scores a text as a whole, without spans, and does not compare two texts.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DIRECTIONS } from '#contract/screening.ts';
import type { CreateClassifier } from '#contract/classifier.ts';
import { kindOf, readCategories, readChoice, readCount, readLanguages, readList, readText, refuseUnknown, requireText, type Given } from '../http/options.ts';
import { unknownResults } from '../http/results.ts';
import { ModelRunner } from './runner.ts';
import { ACTIVATIONS } from './tokens.ts';

const OPTIONS = ['model', 'tokenizer', 'labels', 'categories', 'activation', 'directions', 'languages', 'max_tokens', 'overlap_tokens', 'max_windows', 'threads'];
const LABELS_MAX = 1_000;

const createOnnx: CreateClassifier = (given) => {
  refuseUnknown(given, OPTIONS);
  const { id } = given;
  const model = requireText(given, 'model', './models/injection.onnx');
  const labels = readLabels(given);
  const categories = readCategories({ categories: given.categories ?? labels });
  const strange = categories.find((category) => !labels.includes(category.id));
  if (strange !== undefined) throw new Error(`categories: ${strange.id} is none of the labels ${labels.join(', ')}`);
  const activation = readChoice(given, 'activation', ACTIVATIONS, 'softmax');
  if (activation === 'softmax' && labels.length === 1) throw new Error('activation: softmax of one label is always 1; write sigmoid');
  const tokensMax = readCount(given, 'max_tokens', { min: 8, max: 32_768, fallback: 512 });
  const tokenizer = readText(given, 'tokenizer') ?? join(dirname(model), 'tokenizer.json');
  let digest = '';
  const runner = new ModelRunner({
    model,
    tokenizer,
    labels: labels.length,
    activation,
    tokensMax,
    overlap: readCount(given, 'overlap_tokens', { min: 0, max: Math.floor(tokensMax / 2), fallback: Math.floor(tokensMax / 8) }),
    windowsMax: readCount(given, 'max_windows', { min: 1, max: 10_000, fallback: 32 }),
    threads: readCount(given, 'threads', { min: 1, max: 256, fallback: 1 }),
  });
  return {
    id,
    // Scores are remembered by version, and other files are another model.
    get version() {
      return `1.0.0${digest}`;
    },
    categories,
    directions: readList(given, 'directions', DIRECTIONS, DIRECTIONS),
    contentTypes: ['text'],
    languages: readLanguages(given, ['*']),
    cost: 'slow',
    needsContext: false,
    async provision() {
      await runner.start();
      digest = `+${await digestOf(model, tokenizer)}`;
    },
    async classify({ content }, signal) {
      const verdict = await runner.ask(content, signal);
      if ('unknown' in verdict) return unknownResults({ id, categories }, verdict.unknown);
      return categories.map((category) => ({ classifier_id: id, category: category.id, score: verdict.scores[labels.indexOf(category.id)], label: category.id, spans: [], latency_ms: 0 }));
    },
    close: () => runner.close(),
  };
};

export default createOnnx;

async function digestOf(...files: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const file of files) await pipeline(createReadStream(file), hash, { end: false });
  return hash.digest('hex').slice(0, 12);
}

/** Names of the model's outputs, in its order. */
function readLabels(given: Given): readonly string[] {
  const { labels } = given;
  if (!Array.isArray(labels) || labels.length === 0 || labels.length > LABELS_MAX) {
    throw new Error(`labels: expected the names of the model's outputs in its order, for example [benign, injection], got ${kindOf(labels)}`);
  }
  const names = labels as readonly unknown[];
  if (names.some((name) => typeof name !== 'string' || name === '')) throw new Error('labels: a name is text');
  if (new Set(names).size < names.length) throw new Error('labels: a name stands there twice');
  return names as readonly string[];
}
