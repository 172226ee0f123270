/**
 * The models that were trained here: taken in, shown, read, retired, and which of them works. A file is held against its
 * SHA-256 whenever it is read, and one that does not hold is never handed out. What is refused is a value that says why
 * and what to do next. It switches nothing by itself: that a model may work is for its caller to have found out.
 */
import { createHash, randomUUID } from 'node:crypto';
import type { GivenModel } from '../contract/classifier.ts';
import { MODEL_BYTES_MAX } from '../model/tables.ts';
import type { LeftRecord, ModelStore, ModelSwitch, StoredModel } from '../store/models.ts';
import type { Candidate, CandidateCategory } from './candidate.ts';

/** Models of a plugin that are not retired. */
export const MODELS_MAX = 20;
/** Characters of an evaluation, as JSON. */
export const EVALUATION_CHARS_MAX = 1_000_000;
/** Of a piece of a file, before base64. */
const PIECE_BYTES = 196_608;
const LISTED_MAX = 500;

export const REFUSALS = ['no_model', 'not_a_model', 'damaged', 'too_large', 'too_many', 'at_work', 'switched_meanwhile', 'nothing_before', 'gate', 'unfit'] as const;

export interface ModelRefusal {
  readonly refused: (typeof REFUSALS)[number];
  readonly message: string;
  /** Of `gate` and `unfit`: each reason. */
  readonly against?: readonly string[];
}

export interface RegisteredModel extends Omit<StoredModel, 'evaluation'> {
  readonly evaluation: readonly CandidateCategory[];
}

export function isRefusal(value: object): value is ModelRefusal {
  return 'refused' in value;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function modelIdOf(plugin: string, sha256: string): string {
  return `${plugin}-${sha256.slice(0, 12)}`;
}

export class ModelRegistry {
  readonly #store: ModelStore;
  readonly #now: () => Date;

  constructor(store: ModelStore, now: () => Date) {
    this.#store = store;
    this.#now = now;
  }

  /** `known`: it is there already. That its bytes are a model of the plugin is for the caller to have tried. */
  async register(candidate: Candidate, author: string): Promise<'added' | 'known' | ModelRefusal> {
    const { plugin, model_id: id, sha256, bytes, base_sha256, dataset, seed, trained_at, evaluation } = candidate;
    if (bytes.length > MODEL_BYTES_MAX) return { refused: 'too_large', message: `a model file has at most ${MODEL_BYTES_MAX} bytes, this one ${bytes.length}; train it with fewer buckets` };
    if (sha256Of(bytes) !== sha256 || modelIdOf(plugin, sha256) !== id) return { refused: 'damaged', message: `the file is not the model ${id}: its SHA-256 differs; fetch or train it again` };
    const told = JSON.stringify(evaluation);
    if (told.length > EVALUATION_CHARS_MAX) return { refused: 'too_large', message: `an evaluation has at most ${EVALUATION_CHARS_MAX} characters, this one ${told.length}; evaluate fewer categories` };
    const pieces = Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, at) => Buffer.from(bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES)).toString('base64'));
    const reply = await this.#store.add({ model_id: id, plugin, sha256, size: bytes.length, base_sha256, dataset, seed, trained_at, evaluation: told, registered_by: author, registered_at: this.#now().toISOString() }, pieces, MODELS_MAX);
    return reply === 'full' ? { refused: 'too_many', message: `${plugin} has ${MODELS_MAX} models that are not retired; retire one with weir learn retire` } : reply;
  }

  /** Newest first. */
  async list(): Promise<readonly RegisteredModel[]> {
    return (await this.#store.models(LISTED_MAX)).map(registered);
  }

  async show(modelId: string): Promise<RegisteredModel | ModelRefusal> {
    const found = await this.#store.model(modelId);
    return found === undefined ? noModel(modelId) : registered(found);
  }

  /** The file of a model that is not retired, verified. */
  async read(modelId: string): Promise<GivenModel | ModelRefusal> {
    const found = await this.#store.model(modelId);
    if (found === undefined) return noModel(modelId);
    if (found.retired_at !== null) return { refused: 'no_model', message: `the model ${modelId} was retired at ${found.retired_at}, and its file is gone; train it again` };
    const bytes = Uint8Array.from(Buffer.concat((await this.#store.pieces(modelId)).map((piece) => Buffer.from(piece, 'base64'))));
    if (sha256Of(bytes) !== found.sha256) return { refused: 'damaged', message: `the stored file of ${modelId} is damaged: its SHA-256 differs; what works stays, register the model again under a new training` };
    return { id: modelId, bytes };
  }

  async retire(modelId: string, author: string): Promise<RegisteredModel | ModelRefusal> {
    const found = await this.show(modelId);
    if (isRefusal(found)) return found;
    const record = { kind: 'model_change', change: 'retire', author, plugin: found.plugin, model_id: modelId, sha256: found.sha256, dataset: found.dataset };
    const reply = await this.#store.retire(modelId, author, this.#now().toISOString(), leftOf(record));
    if (reply === 'unknown') return { refused: 'no_model', message: `the model ${modelId} is retired already` };
    if (reply === 'kept') return { refused: 'at_work', message: `the model ${modelId} works, runs beside, or would again after a rollback; switch to another first` };
    return this.show(modelId);
  }

  /** What works in place of what plugins ship: the newest switch of each. */
  async heads(): Promise<ReadonlyMap<string, ModelSwitch>> {
    return new Map((await this.#store.heads()).map((head) => [head.plugin, head]));
  }

  /** Newest first. */
  switches(plugin: string, limit = LISTED_MAX): Promise<readonly ModelSwitch[]> {
    return this.#store.switches(plugin, limit);
  }

  /** What a rollback of this switch brings again; undefined where nothing was before it. */
  async before(head: ModelSwitch | undefined): Promise<Pick<ModelSwitch, 'model_id' | 'back'> | undefined> {
    if (head === undefined || head.model_id === null) return undefined;
    if (head.back === 0) return { model_id: null, back: 0 };
    const found = await this.#store.switchOf(head.plugin, head.back);
    return found && { model_id: found.model_id, back: found.back };
  }

  /** Makes the next switch, with its entry for the audit log; from then on every process follows. */
  async switchTo(made: ModelSwitch, record: object): Promise<ModelSwitch | ModelRefusal> {
    const reply = await this.#store.switchTo(made, leftOf(record));
    if (reply === 'switched') return made;
    if (reply === 'gone') return { refused: 'no_model', message: `the model ${made.model_id} was retired meanwhile; choose another` };
    return { refused: 'switched_meanwhile', message: `somebody else switched ${made.plugin} meanwhile; look at what works now, and decide again` };
  }
}

export function leftOf(record: object): LeftRecord {
  return { change_id: randomUUID(), record: JSON.stringify(record) };
}

function noModel(modelId: string): ModelRefusal {
  return { refused: 'no_model', message: `there is no model ${modelId}; weir learn models lists them` };
}

function registered({ evaluation, ...row }: StoredModel): RegisteredModel {
  return { ...row, evaluation: JSON.parse(evaluation) as readonly CandidateCategory[] };
}
