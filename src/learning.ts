/**
 * The learning loop in a running process: the models that the store names work here within seconds of the switch, each
 * tried first, and those who answer for it see, let work and bring back what there is. Exchanges never wait for it, and
 * end under the models that they began with.
 */
import { join } from 'node:path';
import type { LearnDesk } from './admin/learn.ts';
import { shippedModel } from './config/plugin-cases.ts';
import type { ModelsAtWork } from './config/plugins.ts';
import type { Config } from './config/schema.ts';
import type { Policy } from './contract/policy.ts';
import type { GateSettings } from './learn/gate.ts';
import type { PromotionParts } from './learn/promotion.ts';
import { ModelRegistry } from './learn/registry.ts';
import { ModelWatch } from './learn/watch.ts';
import { digestOf, prove } from './proving.ts';
import { Shadowing } from './shadowing.ts';
import type { ClassifierResult, ScreeningRequest } from './contract/screening.ts';
import { SqlModelStore } from './store/models.ts';
import { SqlShadowStore } from './store/shadows.ts';
import type { StoreDatabase } from './store/sql.ts';

export interface LearningOptions {
  readonly database: StoreDatabase;
  readonly config: () => Config;
  /** As they run now. */
  readonly policies: () => readonly Policy[];
  /** Runs these from now on. Rejects where that fails; the former run on. */
  readonly use: (models: ModelsAtWork) => Promise<void>;
  /** The policy that a tenant is under now. */
  readonly policyOf: (tenantId: string) => Policy | undefined;
}

/** Who was not seen for so long is gone. */
const GONE_MS = 120_000;

export class Learning {
  readonly desk: LearnDesk;
  readonly #watch: ModelWatch;
  readonly #store: SqlModelStore;
  readonly #shadowing: Shadowing;

  constructor({ database, config, policies, use, policyOf }: LearningOptions) {
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
    this.desk = {
      ...promotionParts(registry, { config, policies, models: () => this.#watch.models }),
      followers: () => this.#store.followers(new Date(Date.now() - GONE_MS).toISOString()),
      // Who switched sees it work here when the answer comes.
      switched: () => this.#watch.look(),
      shadows,
      shadowShare: () => config().learn.shadow.share_percent / 100,
      shadowed: () => this.#shadowing.look(),
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
  }

  async close(): Promise<void> {
    await this.#watch.close();
    await this.#shadowing.close();
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
