/**
 * The port to models that score live traffic beside what works: which does, and what came of it, summed over processes.
 * One for each plugin; sums only grow. Nothing of a text is here. Rejects with WeirError store_unavailable.
 */
import type { LeftRecord } from './models.ts';
import type { StoreDatabase } from './sql.ts';

export interface Shadow {
  readonly plugin: string;
  readonly model_id: string;
  /** Of exchanges, 0–1. */
  readonly share: number;
  readonly author: string;
  readonly started_at: string;
}

/** Why texts were left out, and `scored`. */
export const SHADOW_OUTCOMES = ['scored', 'full', 'too_long', 'unknown', 'failed'] as const;
export type ShadowOutcome = (typeof SHADOW_OUTCOMES)[number];

/** Both on the same texts. */
export interface ShadowCount {
  readonly classifier_id: string;
  readonly category: string;
  /** Empty: of no policy, at 0.5. */
  readonly policy: string;
  readonly threshold: number;
  readonly total: number;
  readonly only_working: number;
  readonly only_shadow: number;
  readonly in_both: number;
  /** Sums. */
  readonly difference: number;
  readonly distance: number;
}

export interface ShadowTexts {
  readonly outcome: ShadowOutcome;
  readonly total: number;
  readonly working_ms: number;
  readonly shadow_ms: number;
}

export interface ShadowSums {
  readonly counts: readonly ShadowCount[];
  readonly texts: readonly ShadowTexts[];
}

/** Rows of one model that are told. */
const ROWS_MAX = 5_000;

export class SqlShadowStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async shadows(): Promise<readonly Shadow[]> {
    return this.#database.query<Shadow>('select plugin, model_id, share, author, started_at from learn_shadows order by plugin');
  }

  /** In place of the one that ran. False: the model is not there, or retired. */
  async begin({ plugin, model_id, share, author, started_at }: Shadow, left: LeftRecord): Promise<boolean> {
    return this.#database.transaction(async (query) => {
      if ((await query('update learn_models set plugin = plugin where model_id = $1 and retired_at is null returning model_id', model_id)).length === 0) return false;
      await query(
        `insert into learn_shadows (plugin, model_id, share, author, started_at) values ($1, $2, $3, $4, $5)
         on conflict (plugin) do update set model_id = excluded.model_id, share = excluded.share, author = excluded.author, started_at = excluded.started_at`, plugin, model_id, share, author, started_at,
      );
      await query('insert into admin_changes (change_id, record, created_at) values ($1, $2, $3)', left.change_id, left.record, started_at);
      return true;
    });
  }

  /** False: none ran. */
  async end(plugin: string, at: string, left: LeftRecord): Promise<boolean> {
    return this.#database.transaction(async (query) => {
      if ((await query('delete from learn_shadows where plugin = $1 returning plugin', plugin)).length === 0) return false;
      await query('insert into admin_changes (change_id, record, created_at) values ($1, $2, $3)', left.change_id, left.record, at);
      return true;
    });
  }

  /** Adds to the sums: all of it or nothing. */
  async add(modelId: string, { counts, texts }: ShadowSums): Promise<void> {
    await this.#database.transaction(async (query) => {
      for (const { outcome, total, working_ms, shadow_ms } of texts) {
        await query(
          `insert into learn_shadow_texts (model_id, outcome, total, working_ms, shadow_ms) values ($1, $2, $3, $4, $5)
           on conflict (model_id, outcome) do update set total = learn_shadow_texts.total + excluded.total, working_ms = learn_shadow_texts.working_ms + excluded.working_ms, shadow_ms = learn_shadow_texts.shadow_ms + excluded.shadow_ms`,
          modelId, outcome, total, working_ms, shadow_ms,
        );
      }
      for (const { classifier_id, category, policy, threshold, total, only_working, only_shadow, in_both, difference, distance } of counts) {
        await query(
          `insert into learn_shadow_counts as c (model_id, classifier_id, category, policy, threshold, total, only_working, only_shadow, in_both, difference, distance) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           on conflict (model_id, classifier_id, category, policy, threshold) do update set total = c.total + excluded.total, only_working = c.only_working + excluded.only_working, only_shadow = c.only_shadow + excluded.only_shadow,
           in_both = c.in_both + excluded.in_both, difference = c.difference + excluded.difference, distance = c.distance + excluded.distance`,
          modelId, classifier_id, category, policy, threshold, total, only_working, only_shadow, in_both, difference, distance,
        );
      }
    });
  }

  async sums(modelId: string): Promise<ShadowSums> {
    const [counts, texts] = await Promise.all([
      this.#database.query<ShadowCount>(`select classifier_id, category, policy, threshold, total, only_working, only_shadow, in_both, difference, distance from learn_shadow_counts where model_id = $1 order by classifier_id, category, policy, threshold limit ${ROWS_MAX}`, modelId),
      this.#database.query<ShadowTexts>('select outcome, total, working_ms, shadow_ms from learn_shadow_texts where model_id = $1 order by outcome', modelId),
    ]);
    return {
      counts: counts.map((row) => ({ ...row, total: Number(row.total), only_working: Number(row.only_working), only_shadow: Number(row.only_shadow), in_both: Number(row.in_both) })),
      texts: texts.map((row) => ({ ...row, total: Number(row.total) })),
    };
  }
}
