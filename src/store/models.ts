/**
 * The port to models that were trained here: their files, which of them works in place of what its plugin ships, and which
 * process has followed. Guarantees: a file is stored whole with its model or not at all; switches of a plugin are numbered
 * 1, 2, 3 … without gaps, and of two that name the same number one is kept; the entry for the audit log is left with the
 * switch, or there is neither; what works, or would again after a rollback, is never retired. Rejects with WeirError
 * store_unavailable. Times are ISO 8601 in UTC.
 */
import { isTaken, type SqlQuery, type StoreDatabase } from './sql.ts';

export const MODEL_CHANGES = ['promote', 'rollback'] as const;
export type ModelChange = (typeof MODEL_CHANGES)[number];

/** A model without its file. */
export interface StoredModel {
  readonly model_id: string;
  readonly plugin: string;
  readonly sha256: string;
  /** Bytes of the file. */
  readonly size: number;
  readonly base_sha256: string;
  readonly dataset: string;
  readonly seed: number;
  readonly trained_at: string;
  /** JSON. */
  readonly evaluation: string;
  readonly registered_by: string;
  readonly registered_at: string;
  readonly retired_by: string | null;
  readonly retired_at: string | null;
}

export type NewModel = Omit<StoredModel, 'retired_by' | 'retired_at'>;

export interface ModelSwitch {
  readonly plugin: string;
  readonly number: number;
  readonly change: ModelChange;
  /** Null: what the plugin ships. */
  readonly model_id: string | null;
  readonly sha256: string;
  readonly from_model_id: string | null;
  readonly from_sha256: string;
  /** The switch whose model a rollback brings again; 0: what is shipped. */
  readonly back: number;
  readonly author: string;
  readonly reason: string | null;
  /** What stood against it and was overridden. */
  readonly against: readonly string[];
  readonly created_at: string;
}

export interface ModelFollower {
  /** Made up anew by each start. */
  readonly process: string;
  readonly plugin: string;
  readonly origin: string;
  /** The switch that it has carried out; 0: none. */
  readonly number: number;
  /** What keeps it from a later one. */
  readonly fault: string | null;
  readonly seen_at: string;
}

/** A change of this process, for the audit log of one that has it open. */
export interface LeftRecord {
  readonly change_id: string;
  /** JSON. */
  readonly record: string;
}

export type AddReply = 'added' | 'known' | 'full';
/** `kept`: it works, runs beside, or a rollback would bring it again. */
export type RetireReply = 'retired' | 'unknown' | 'kept';
/** `taken`: somebody else switched meanwhile. `gone`: the model is not there, or retired. */
export type SwitchReply = 'switched' | 'taken' | 'gone';

export interface ModelStore {
  /** `pieces`: the file. `full`: there are `max` of the plugin that are not retired. */
  add(model: NewModel, pieces: readonly string[], max: number): Promise<AddReply>;
  model(modelId: string): Promise<StoredModel | undefined>;
  /** Newest first. */
  models(limit: number): Promise<readonly StoredModel[]>;
  /** The file's pieces in order; none: it is not there. */
  pieces(modelId: string): Promise<readonly string[]>;
  retire(modelId: string, author: string, at: string, left: LeftRecord): Promise<RetireReply>;
  /** The newest switch of each plugin. */
  heads(): Promise<readonly ModelSwitch[]>;
  /** Of a plugin, newest first. */
  switches(plugin: string, limit: number): Promise<readonly ModelSwitch[]>;
  switchOf(plugin: string, number: number): Promise<ModelSwitch | undefined>;
  switchTo(made: ModelSwitch, left: LeftRecord): Promise<SwitchReply>;
  meet(follower: ModelFollower): Promise<void>;
  /** Seen since then. */
  followers(since: string): Promise<readonly ModelFollower[]>;
}

const MODEL = 'model_id, plugin, sha256, size, base_sha256, dataset, seed, trained_at, evaluation, registered_by, registered_at, retired_by, retired_at';
const SWITCH = 'plugin, number, change, model_id, sha256, from_model_id, from_sha256, back, author, reason, against, created_at';

export class SqlModelStore implements ModelStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async add(model: NewModel, pieces: readonly string[], max: number): Promise<AddReply> {
    try {
      return await this.#database.transaction(async (query) => {
        const [{ total }] = await query<{ readonly total: number | string }>('select count(*) as total from learn_models where plugin = $1 and retired_at is null', model.plugin) as readonly [{ readonly total: number | string }];
        if ((await modelOf(query, model.model_id)) !== undefined) return 'known';
        if (Number(total) >= max) return 'full';
        const { model_id, plugin, sha256, size, base_sha256, dataset, seed, trained_at, evaluation, registered_by, registered_at } = model;
        await query(`insert into learn_models (${MODEL}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, null, null)`, model_id, plugin, sha256, size, base_sha256, dataset, seed, trained_at, evaluation, registered_by, registered_at);
        for (const [piece, content] of pieces.entries()) await query('insert into learn_model_pieces (model_id, piece, content) values ($1, $2, $3)', model_id, piece, content);
        return 'added';
      });
    } catch (error) {
      if (isTaken(error)) return 'known';
      throw error;
    }
  }

  async model(modelId: string): Promise<StoredModel | undefined> {
    return modelOf(this.#database.query, modelId);
  }

  async models(limit: number): Promise<readonly StoredModel[]> {
    return (await this.#database.query<StoredModel>(`select ${MODEL} from learn_models order by registered_at desc, model_id limit ${Math.trunc(limit)}`)).map(withNumbers);
  }

  async pieces(modelId: string): Promise<readonly string[]> {
    return (await this.#database.query<{ readonly content: string }>('select content from learn_model_pieces where model_id = $1 order by piece', modelId)).map(({ content }) => content);
  }

  async retire(modelId: string, author: string, at: string, left: LeftRecord): Promise<RetireReply> {
    return this.#database.transaction(async (query) => {
      const plugin = await heldModel(query, modelId);
      if (plugin === undefined) return 'unknown';
      if ((await standing(query, plugin)).has(modelId) || (await query('select plugin from learn_shadows where model_id = $1', modelId)).length > 0) return 'kept';
      await query('update learn_models set retired_by = $2, retired_at = $3 where model_id = $1', modelId, author, at);
      await query('delete from learn_model_pieces where model_id = $1', modelId);
      await leave(query, left, at);
      return 'retired';
    });
  }

  async heads(): Promise<readonly ModelSwitch[]> {
    return (await this.#database.query<SwitchRow>(`select ${SWITCH} from learn_switches s where number = (select max(number) from learn_switches where plugin = s.plugin) order by plugin`)).map(switchOf);
  }

  async switches(plugin: string, limit: number): Promise<readonly ModelSwitch[]> {
    return (await this.#database.query<SwitchRow>(`select ${SWITCH} from learn_switches where plugin = $1 order by number desc limit ${Math.trunc(limit)}`, plugin)).map(switchOf);
  }

  async switchOf(plugin: string, number: number): Promise<ModelSwitch | undefined> {
    const [row] = await this.#database.query<SwitchRow>(`select ${SWITCH} from learn_switches where plugin = $1 and number = $2`, plugin, number);
    return row && switchOf(row);
  }

  async switchTo({ plugin, number, change, model_id, sha256, from_model_id, from_sha256, back, author, reason, against, created_at }: ModelSwitch, left: LeftRecord): Promise<SwitchReply> {
    try {
      return await this.#database.transaction(async (query) => {
        if (model_id !== null && (await heldModel(query, model_id)) === undefined) return 'gone';
        const made = await query(
          `insert into learn_switches (${SWITCH}) select cast($1 as text), cast($2 as integer), cast($3 as text), cast($4 as text), cast($5 as text), cast($6 as text), cast($7 as text), cast($8 as integer), cast($9 as text), cast($10 as text), cast($11 as text), cast($12 as text)
           where cast($2 as integer) = (select coalesce(max(number), 0) + 1 from learn_switches where plugin = cast($1 as text)) returning number`,
          plugin, number, change, model_id, sha256, from_model_id, from_sha256, back, author, reason, JSON.stringify(against), created_at,
        );
        if (made.length === 0) return 'taken';
        await query('delete from learn_shadows where model_id = $1', model_id ?? '');
        await leave(query, left, created_at);
        return 'switched';
      });
    } catch (error) {
      if (isTaken(error)) return 'taken';
      throw error;
    }
  }

  async meet({ process, plugin, origin, number, fault, seen_at }: ModelFollower): Promise<void> {
    await this.#database.query(
      `insert into learn_followers (process, plugin, origin, number, fault, seen_at) values ($1, $2, $3, $4, $5, $6)
       on conflict (process, plugin) do update set number = excluded.number, fault = excluded.fault, seen_at = excluded.seen_at`, process, plugin, origin, number, fault, seen_at,
    );
  }

  async followers(since: string): Promise<readonly ModelFollower[]> {
    return this.#database.query<ModelFollower>('select process, plugin, origin, number, fault, seen_at from learn_followers where seen_at >= $1 order by origin, process, plugin', since);
  }
}

interface SwitchRow extends Omit<ModelSwitch, 'against'> {
  readonly against: string;
}

function switchOf({ against, ...row }: SwitchRow): ModelSwitch {
  return { ...row, against: JSON.parse(against) as readonly string[] };
}

async function modelOf(query: SqlQuery, modelId: string): Promise<StoredModel | undefined> {
  const [row] = await query<StoredModel>(`select ${MODEL} from learn_models where model_id = $1`, modelId);
  return row && withNumbers(row);
}

function withNumbers(row: StoredModel): StoredModel {
  return { ...row, seed: Number(row.seed) };
}

/** The plugin of a model that is not retired; until the transaction ends nobody retires it, or switches to it. */
async function heldModel(query: SqlQuery, modelId: string): Promise<string | undefined> {
  const [row] = await query<{ readonly plugin: string }>('update learn_models set plugin = plugin where model_id = $1 and retired_at is null returning plugin', modelId);
  return row?.plugin;
}

/** What works now, and what rollbacks would bring again, one after the other. */
async function standing(query: SqlQuery, plugin: string): Promise<ReadonlySet<string>> {
  const all = new Map((await query<{ readonly number: number; readonly model_id: string | null; readonly back: number }>('select number, model_id, back from learn_switches where plugin = $1', plugin)).map((row) => [row.number, row]));
  const found = new Set<string>();
  for (let row = all.get(Math.max(0, ...all.keys())); row !== undefined; row = all.get(row.back)) if (row.model_id !== null) found.add(row.model_id);
  return found;
}

async function leave(query: SqlQuery, { change_id: id, record }: LeftRecord, at: string): Promise<void> {
  await query('insert into admin_changes (change_id, record, created_at) values ($1, $2, $3)', id, record, at);
}
