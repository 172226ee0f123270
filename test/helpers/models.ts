/** Models for tests of what becomes of candidates: shipped ones, changed so that it shows, with candidates around them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ATTACK_SIGNS } from '../../plugins/prompt-injection/signs.ts';
import type { Candidate, CandidateCategory } from '../../src/learn/candidate.ts';
import { promote, shadowModel } from '../../src/learn/promotion.ts';
import { isRefusal, modelIdOf, ModelRegistry, sha256Of } from '../../src/learn/registry.ts';
import { NO_SIGNS } from '../../src/model/signs.ts';
import { readModel, writeModel } from '../../src/model/text-model.ts';
import { SqlModelStore } from '../../src/store/models.ts';
import { SqlShadowStore } from '../../src/store/shadows.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';

export function modelFile(plugin: string): string {
  return join(import.meta.dirname, '../../plugins', plugin, 'model.bin');
}

/** The shipped model of texts with this much more in the log-odds of each category. */
export function shiftedModel(plugin: 'toxicity' | 'prompt-injection', by: number): Uint8Array {
  const { parts } = readModel(readFileSync(modelFile(plugin)), plugin === 'prompt-injection' ? ATTACK_SIGNS : NO_SIGNS);
  return writeModel({ ...parts, weights: { ...parts.weights, biases: parts.weights.biases.map((bias) => bias + by) } });
}

const NONE = { value: 0, low: -0.005, high: 0.005 };
const MEASURES = { auprc: { value: 0.9, low: 0.85, high: 0.95 }, recall: { value: 0.8, low: 0.7, high: 0.9 }, false_positive_rate: { value: 0.01, low: 0.005, high: 0.02 } };

/** Measured on so many rows that a gate lets it through, and no worse in anything. */
export function measured(category: string, more: Partial<CandidateCategory> = {}): CandidateCategory {
  return { category, n: 5_000, positives: 500, base: MEASURES, candidate: MEASURES, recall_change: NONE, false_positive_change: NONE, ...more };
}

export function candidateOf(plugin: string, bytes: Uint8Array, more: Partial<Candidate> = {}): Candidate {
  const sha256 = sha256Of(bytes);
  return { plugin, model_id: modelIdOf(plugin, sha256), sha256, bytes, base_sha256: sha256Of(readFileSync(modelFile(plugin))), dataset: 'ds-test', seed: 1, trained_at: '2030-01-01T00:00:00.000Z', evaluation: [measured('injection')], ...more };
}

/** Trained models of a house with a store of its own, as its commands would bring them. */
export interface TrainedModels {
  /** A new model that nothing stands against; its id. */
  fresh(): Promise<string>;
  /** One that works, so that there is something to go back from. */
  working(): Promise<string>;
  /** One that runs beside what works. */
  shadow(): Promise<string>;
  close(): Promise<void>;
}

const RULES = { gate: () => ({ margin: 0.01, rowsMin: 1, positivesMin: 1 }), prove: async () => ({ against: [] }), fit: async () => undefined };

export function trainedModels(dir: string): TrainedModels {
  const database = openSqliteDatabase(join(dir, 'data/weir.db'));
  const now = (): Date => new Date();
  const registry = new ModelRegistry(new SqlModelStore(database), now);
  let made = 0;
  const fresh = async (): Promise<string> => {
    // Room for one more.
    for (const { model_id: id, retired_at: retired } of await registry.list()) if (retired === null) await registry.retire(id, 'ana');
    const base = (await registry.heads()).get('prompt-injection')?.sha256;
    const candidate = candidateOf('prompt-injection', shiftedModel('prompt-injection', (made += 1) * -1e-3), base === undefined ? {} : { base_sha256: base });
    await registry.register(candidate, 'ana');
    return candidate.model_id;
  };
  return {
    fresh,
    working: async () => {
      const modelId = await fresh();
      const done = await promote({ registry, ...RULES, shipped: async () => candidateOf('prompt-injection', new Uint8Array()).base_sha256, now }, { modelId, author: 'ana' });
      if (isRefusal(done)) throw new Error(done.message);
      return modelId;
    },
    shadow: async () => {
      const modelId = await fresh();
      await shadowModel({ registry, shadows: new SqlShadowStore(database), now }, { modelId, share: 1, author: 'ana' });
      return modelId;
    },
    close: () => database.close(),
  };
}
