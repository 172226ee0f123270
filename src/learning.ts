/**
 * The learning loop in a running process: the models that the store names work here within seconds of the switch, each
 * tried first, and those who answer for it see, let work and bring back what there is. Exchanges never wait for it, and
 * end under the models that they began with.
 */
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { LearnDesk } from './admin/learn.ts';
import { shippedModel } from './config/plugin-cases.ts';
import type { ModelsAtWork } from './config/plugins.ts';
import { WEEKDAYS } from './config/learn.ts';
import type { Config } from './config/schema.ts';
import { CHANNELS } from './contract/channels.ts';
import { PartHealth } from './contract/part-health.ts';
import type { Policy } from './contract/policy.ts';
import type { GateSettings } from './learn/gate.ts';
import { shadowModel, type PromotionParts } from './learn/promotion.ts';
import { ModelRegistry } from './learn/registry.ts';
import { ModelWatch } from './learn/watch.ts';
import { Weekly } from './learn/weekly.ts';
import { digestOf, prove } from './proving.ts';
import { Shadowing } from './shadowing.ts';
import { learnStep } from './training.ts';
import type { ClassifierResult, ScreeningRequest } from './contract/screening.ts';
import { learningStanding } from './store/learn-standing.ts';
import { SqlLearnRuns } from './store/learn-runs.ts';
import { SqlModelStore } from './store/models.ts';
import { SqlShadowStore } from './store/shadows.ts';
import type { StoreDatabase } from './store/sql.ts';

export interface LearningOptions {
  readonly database: StoreDatabase;
  readonly config: () => Config;
  /** Its file; undefined where it was given otherwise. */
  readonly file: () => string | undefined;
  /** As they run now. */
  readonly policies: () => readonly Policy[];
  /** Runs these from now on. Rejects where that fails; the former run on. */
  readonly use: (models: ModelsAtWork) => Promise<void>;
  /** The policy that a tenant is under now. */
  readonly policyOf: (tenantId: string) => Policy | undefined;
}

/** Who was not seen for so long is gone. */
const GONE_MS = 120_000;
/** Between two looks for a weekly training that is due. */
const WEEKLY_LOOK_MS = 30_000;
const MINUTE_MS = 60_000;

export class Learning {
  readonly desk: LearnDesk;
  readonly #watch: ModelWatch;
  readonly #store: SqlModelStore;
  readonly #shadowing: Shadowing;
  readonly #weekly: Weekly;
  readonly #weeklyHealth = new PartHealth('weekly training');
  readonly #database: StoreDatabase;
  readonly #config: () => Config;
  #timer: NodeJS.Timeout | undefined;

  constructor({ database, config, file, policies, use, policyOf }: LearningOptions) {
    this.#database = database;
    this.#config = config;
    this.#store = new SqlModelStore(database);
    const registry = new ModelRegistry(this.#store, now);
    const { data_dir: dataDir, audit: { origin } } = config();
    this.#watch = new ModelWatch({
      registry, store: this.#store, origin, use,
      copies: database.messages === undefined ? undefined : join(dataDir, 'models'),
      fit: (plugin, model) => digestOf(plugin, { config: config(), models: new Map([...this.#watch.models].filter(([name]) => name !== plugin)).set(plugin, model) }),
    });
    const shadows = new SqlShadowStore(database);
    this.#shadowing = new Shadowing({ store: shadows, registry, config, models: () => this.#watch.models, policyOf });
    const runs = new SqlLearnRuns(database);
    this.#weekly = this.#openWeekly({ runs, registry, shadows, config, file });
    this.desk = {
      ...promotionParts(registry, { config, policies, models: () => this.#watch.models }),
      followers: () => this.#store.followers(new Date(Date.now() - GONE_MS).toISOString()),
      // Who switched sees it work here when the answer comes.
      switched: () => this.#watch.look(),
      shadows,
      shadowShare: () => config().learn.shadow.share_percent / 100,
      shadowed: () => this.#shadowing.look(),
      weekly: () => runs.newest(),
    };
  }

  /** What works, to begin with. */
  first(): Promise<ModelsAtWork> {
    return this.#watch.first();
  }

  /** A text, with what was said of it. Returns at once. */
  hear(request: ScreeningRequest, results: readonly ClassifierResult[]): void {
    this.#shadowing.hear(request, results);
  }

  start(): void {
    this.#watch.start();
    this.#shadowing.start();
    this.#lookWeekly();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    await this.#shadowing.close();
    clearTimeout(this.#timer);
    await this.#weekly.close();
  }

  #lookWeekly(): void {
    void Promise.all([this.#weekly.look(), this.#tellStanding()]).catch(() => undefined); // the store says itself that it does not answer
    this.#timer = setTimeout(() => this.#lookWeekly(), WEEKLY_LOOK_MS).unref();
  }

  async #tellStanding(): Promise<void> {
    const { roles, learn: { weekly } } = this.#config();
    if (!roles.includes('control')) return;
    const standing = await learningStanding(this.#database, new Date(Date.now() - GONE_MS).toISOString());
    CHANNELS.learningTold.publish({ kind: 'standing', standing: weekly === undefined ? { ...standing, lastTrained: null } : standing });
  }

  #openWeekly({ runs, registry, shadows, config, file }: Pick<LearningOptions, 'config' | 'file'> & { readonly runs: SqlLearnRuns; readonly registry: ModelRegistry; readonly shadows: SqlShadowStore }): Weekly {
    const step = (args: readonly string[], signal: AbortSignal): ReturnType<typeof learnStep> => {
      const path = file();
      if (path === undefined) return Promise.reject(new Error('the configuration is no file, which a training needs'));
      return learnStep(args, { config: path, timeoutMs: (config().learn.weekly?.minutes_max ?? 1) * MINUTE_MS, signal });
    };
    return new Weekly({
      runs, owner: randomUUID(), now,
      settings: () => {
        const { learn: { weekly }, roles } = config();
        return weekly === undefined || !roles.includes('control') ? undefined : { day: WEEKDAYS.indexOf(weekly.day), hour: weekly.hour, plugins: weekly.plugins };
      },
      collect: async (signal) => String((await step(['collect'], signal))['dataset_id']),
      train: async (plugin, signal) => String((await step(['train', plugin, '--dataset', 'latest'], signal))['model_id']),
      shadow: async (modelId) => {
        const refused = await shadowModel({ registry, shadows, now }, { modelId, share: config().learn.shadow.share_percent / 100, author: 'weekly' });
        if (refused !== undefined) throw new Error(refused.message);
      },
      tell: (state, detail) => {
        CHANNELS.learningTold.publish({ kind: 'trained', state, detail });
        if (state === 'failed') this.#weeklyHealth.ill(detail);
        else this.#weeklyHealth.well(() => detail);
      },
    });
  }
}

/** What letting a model work takes, in a running process or beside one. */
export function promotionParts(registry: ModelRegistry, { config, policies, models }: Pick<LearningOptions, 'config' | 'policies'> & { readonly models: () => ModelsAtWork }): PromotionParts {
  return {
    registry, shipped: shippedModel, now,
    gate: () => gateOf(config()),
    prove: (plugin, model) => prove(plugin, model, { config: config(), models: models(), policies: policies() }),
    fit: (plugin, model) => prove(plugin, model, { config: config(), models: models(), policies: [] }),
  };
}

function gateOf({ learn: { gate } }: Config): GateSettings {
  return { margin: gate.margin_percent / 100, rowsMin: gate.rows_min, positivesMin: gate.positives_min };
}

function now(): Date {
  return new Date();
}
