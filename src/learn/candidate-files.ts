/**
 * A candidate as a folder: `model.bin`, which is a model file like any other, and `candidate.json`, which says all else.
 * What is read is held against the hash that it names, so that a model never goes with the numbers of another one.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CandidateCategory } from './candidate.ts';
import type { TrainedCandidate } from './candidates.ts';

export const MODEL_FILE = 'model.bin';
export const CANDIDATE_FILE = 'candidate.json';

export async function writeCandidate(folder: string, { bytes, ...about }: TrainedCandidate): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, MODEL_FILE), bytes);
  await writeFile(join(folder, CANDIDATE_FILE), `${JSON.stringify(about, undefined, 2)}\n`);
}

/** Throws Error that says what is wrong with the folder. */
export async function readCandidate(folder: string): Promise<TrainedCandidate> {
  const [bytes, text] = await Promise.all([MODEL_FILE, CANDIDATE_FILE].map((name) => readFile(join(folder, name)).catch(() => {
    throw new Error(`${folder} has no ${name}; give a folder that weir learn train --dataset wrote`);
  })));
  let about: Omit<TrainedCandidate, 'bytes'>;
  try {
    about = JSON.parse(text!.toString('utf8')) as Omit<TrainedCandidate, 'bytes'>;
  } catch {
    throw new Error(`${join(folder, CANDIDATE_FILE)} is no JSON; train the candidate again`);
  }
  if (createHash('sha256').update(bytes!).digest('hex') !== about.sha256) throw new Error(`${join(folder, MODEL_FILE)} is not the model that ${CANDIDATE_FILE} tells of; train the candidate again`);
  return { ...about, bytes: bytes!, evaluation: about.evaluation.map(withNaN), regression: about.regression.map(withNaN) };
}

/** JSON has no NaN: what nothing can be said of is null there. */
function withNaN(category: CandidateCategory): CandidateCategory {
  return JSON.parse(JSON.stringify(category), (key, value: unknown) => (value === null && ['value', 'low', 'high'].includes(key) ? NaN : value)) as CandidateCategory;
}
