/**
 * What the commands of the learning loop work on: the store of a configuration, the texts that are kept beside it, and the
 * recipes and models of the plugins. Texts are opened here, in memory, with the master key of this installation.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ContentKeyError } from '../../audit/content-key.ts';
import type { LearningRecord } from '../../audit/entry.ts';
import { NO_ERASURE, readErasureState } from '../../audit/erasure-cursor.ts';
import { contentFolder, ContentVault } from '../../audit/vault.ts';
import type { Config } from '../../config/schema.ts';
import { shippedTaxonomy, type Taxonomy } from '../../config/taxonomy.ts';
import type { Dataset } from '../../contract/learning.ts';
import { reviewIdOf } from '../../contract/review.ts';
import type { OpenedText, TextPorts } from '../../learn/collect.ts';
import { isRefusal, ModelRegistry } from '../../learn/registry.ts';
import { textRows, type RowPorts, type RowsGone, type TextRow } from '../../learn/rows.ts';
import type { NearestRecipe, PairsRecipe, Recipe, SpansRecipe } from '../../model/recipe.ts';
import { SqlAdminStore } from '../../store/admins.ts';
import { SqlDatasetStore } from '../../store/datasets.ts';
import { SqlErasureStore } from '../../store/erasures.ts';
import { SqlModelStore } from '../../store/models.ts';
import { SqlReviewContents, type CopyMark } from '../../store/review-contents.ts';
import type { StoreDatabase } from '../../store/sql.ts';
import { readConfig, withStore } from '../beside.ts';
import { UsageError, type Io } from '../command.ts';

export const PLUGINS = join(import.meta.dirname, '../../../plugins');

export type AnyRecipe = NearestRecipe | Recipe | SpansRecipe | PairsRecipe;

export interface LearningPlace extends TextPorts {
  readonly config: Config;
  readonly database: StoreDatabase;
  readonly store: SqlDatasetStore;
  readonly contents: SqlReviewContents;
  readonly vault: ContentVault;
  /** Tenants that let it learn. */
  readonly consent: readonly string[];
  /** Resolves when a process that runs with this store will write the entry. */
  audit(record: Omit<LearningRecord, 'kind'>): Promise<void>;
}

export async function onPlace(file: string | undefined, io: Io, work: (place: LearningPlace) => Promise<number>): Promise<number> {
  const { config } = await readConfig(file, io);
  return withStore('learn', config, io, (database) => work(placeOf(config, database)));
}

function placeOf(config: Config, database: StoreDatabase): LearningPlace {
  const { audit: { master_key: key, master_key_file: keyFile }, data_dir: dataDir, tenants } = config;
  const dir = contentFolder(dataDir);
  const vault = new ContentVault({ dir, keyFile, key, clock: Date.now, audit: () => Promise.reject(new Error('nothing is erased here')) });
  const [queue, erasures] = [new SqlReviewContents(database), new SqlErasureStore(database)];
  return {
    config, database, vault, store: new SqlDatasetStore(database), contents: new SqlReviewContents(database, 'learning_contents'), consent: tenants.filter(({ data }) => data.learning).map(({ id }) => id),
    async sealed({ tenant_id: tenantId, request_id: requestId, direction, near, from }) {
      const mark = (await readErasureState(dir)).mark ?? NO_ERASURE; // before the text is looked for: what is carried out later covers the copy
      for (const purpose of [undefined, 'campaigns'] as const) for (const startedAt of [near, undefined]) {
        const copies = await vault.sealed({ tenantId, requestId, startedAt, purpose }, direction);
        if (copies.length > 0) return { copies, mark };
      }
      const head = await newestErasure(erasures);
      for (const id of [reviewIdOf(requestId, direction), ...from]) {
        const copies = await queue.of(id);
        if (copies.length > 0) return { copies, mark: head };
      }
      return { copies: [], mark: head };
    },
    async open(copies, { tenant_id: tenantId, request_id: requestId, direction }): Promise<OpenedText> {
      try {
        return await vault.open(copies, { tenantId, requestId }, direction);
      } catch (error) {
        if (!(error instanceof ContentKeyError)) throw error;
        return { state: 'locked', detail: error.message };
      }
    },
    audit: (record) => new SqlAdminStore(database).addChange({ change_id: randomUUID(), record: JSON.stringify({ kind: 'learning', ...record } satisfies LearningRecord), created_at: new Date().toISOString() }),
  };
}

/** What the store hands out has nothing that this one covers. */
async function newestErasure(erasures: SqlErasureStore): Promise<CopyMark> {
  const number = await erasures.head();
  const [found] = number === 0 ? [] : await erasures.after(number - 1, 1);
  return found === undefined ? NO_ERASURE : { number, id: found.erasure_id };
}

/** What is opened of a version, and the version: the newest for `latest`. Throws RangeError where there is none. */
export async function rowsOfVersion(place: LearningPlace, id: string): Promise<{ readonly dataset: Dataset; readonly rows: readonly TextRow[]; readonly gone: RowsGone }> {
  const dataset = id === 'latest' ? (await place.store.list(1))[0] : await place.store.get(id);
  if (dataset === undefined) throw new RangeError(`there is no version ${id} of the data set; weir learn datasets shows them, weir learn collect makes one`);
  return { dataset, ...(await textRows(place satisfies RowPorts, dataset.dataset_id)) };
}

/** Says what a version has lost since it was made; empty where it lost nothing. */
export function goneText(gone: RowsGone): string {
  const lost = Object.entries(gone).filter(([, count]) => count > 0).map(([why, count]) => `${count} ${why}`);
  return lost.length === 0 ? '' : `, without ${lost.join(', ')}`;
}

export function taxonomyNow(): { readonly taxonomy: Taxonomy; readonly sha256: string } {
  const taxonomy = shippedTaxonomy();
  return { taxonomy, sha256: createHash('sha256').update(JSON.stringify(taxonomy)).digest('hex') };
}

export function namedPlugin(plugin: string | undefined): string {
  if (plugin === undefined || !/^[a-z0-9-]+$/.test(plugin) || !existsSync(join(PLUGINS, plugin, 'train/recipe.ts'))) throw new UsageError(`no plugin with a recipe: ${plugin ?? 'none was named'}; name a folder of plugins/ that has train/recipe.ts`);
  return plugin;
}

export async function recipeOf(plugin: string): Promise<AnyRecipe> {
  return ((await import(pathToFileURL(join(PLUGINS, plugin, 'train/recipe.ts')).href)) as { readonly recipe: AnyRecipe }).recipe;
}

/** The model that works: a file that is named, else the one that was promoted, else the one that the plugin ships. Throws RangeError where it is damaged. */
export async function baseModel({ database }: LearningPlace, plugin: string, file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return readFile(file);
  const registry = new ModelRegistry(new SqlModelStore(database), () => new Date());
  const id = (await registry.heads()).get(plugin)?.model_id ?? null;
  if (id === null) return readFile(join(PLUGINS, plugin, 'model.bin'));
  const promoted = await registry.read(id);
  if (isRefusal(promoted)) throw new RangeError(promoted.message);
  return promoted.bytes;
}

const OTHERWISE: Readonly<Record<Exclude<AnyRecipe['kind'], 'texts'>, string>> = {
  nearest: 'its library holds texts of the project alone, none of any user; the model beside it is that of prompt-injection, which learns verdicts of both: name prompt-injection',
  spans: 'verdicts say whether a text is one, not where; train it from rows with spans with --data',
  pairs: 'verdicts have no sources to hold an answer against; train it from rows with --data',
};

/** Throws RangeError for a kind that cannot learn from verdicts, and why. */
export function textsRecipe(plugin: string, recipe: AnyRecipe): Recipe {
  if (recipe.kind !== 'texts') throw new RangeError(`${plugin} does not learn from verdicts: ${OTHERWISE[recipe.kind]}`);
  return recipe;
}

