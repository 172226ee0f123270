/**
 * What training leaves behind before anybody lets it work: a model, what it was made from, and what it is worth beside
 * the one that it began from, on rows that neither learnt. The seam between training and the registry of models. Types
 * only.
 */
import type { Estimate } from './evaluate.ts';

/** A model that was trained here and is not (yet) at work. */
export interface Candidate {
  /** Folder of plugins/ whose recipe made it, such as `prompt-injection`. */
  readonly plugin: string;
  /** `<plugin>-<first 12 hex of sha256>`. */
  readonly model_id: string;
  /** Of the model file. */
  readonly sha256: string;
  readonly bytes: Uint8Array;
  /** Of the model that it began from. */
  readonly base_sha256: string;
  /** Id of the version of the data set that it was trained on. */
  readonly dataset: string;
  readonly seed: number;
  /** ISO 8601. */
  readonly trained_at: string;
  /** On held-out rows, candidate beside base. */
  readonly evaluation: readonly CandidateCategory[];
}

/** Both models on the same rows; intervals of 95 %. */
export interface CandidateCategory {
  readonly category: string;
  readonly n: number;
  readonly positives: number;
  readonly base: CandidateMeasures;
  readonly candidate: CandidateMeasures;
  /** Candidate minus base in recall, at the same threshold rule, paired. */
  readonly recall_change: Estimate;
  readonly false_positive_change: Estimate;
}

export interface CandidateMeasures {
  readonly auprc: Estimate;
  readonly recall: Estimate;
  readonly false_positive_rate: Estimate;
}
