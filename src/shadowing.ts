/**
 * The models that score beside what works, in a running process: begins and ends them as the store says, each in a thread
 * of its own, so that no exchange waits for one, and brings what came of it to the store. A thread that dies is made
 * again after a while; what it had is counted as failed.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { modelsRead, type ModelsAtWork } from './config/plugins.ts';
import type { ClassifierConfig, Config } from './config/schema.ts';
import type { GivenModel } from './contract/classifier.ts';
import { PartHealth } from './contract/part-health.ts';
import type { Condition, Policy } from './contract/policy.ts';
import type { ClassifierResult, ScreeningRequest } from './contract/screening.ts';
import { isRefusal, type ModelRegistry } from './learn/registry.ts';
import { ShadowRun, type Threshold } from './learn/shadow.ts';
import type { Shadow, SqlShadowStore } from './store/shadows.ts';

export interface ShadowingOptions {
  readonly store: SqlShadowStore;
  readonly registry: ModelRegistry;
  readonly config: () => Config;
  readonly models: () => ModelsAtWork;
  /** The policy that a tenant is under. */
  readonly policyOf: (tenantId: string) => Policy | undefined;
  readonly lookMs?: number;
}

const LOOK_MS = 2_000;
/** What could not begin is tried again after this. */
const AGAIN_MS = 10_000;
const READY_MS = 30_000;
const THREAD = { maxOldGenerationSizeMb: 512 } as const;

interface Running {
  readonly shadow: Shadow;
  readonly run: ShadowRun;
  readonly thread: Thread;
}

export class Shadowing {
  readonly #options: ShadowingOptions;
  readonly #health = new PartHealth('shadow models');
  readonly #running = new Map<string, Running>();
  readonly #againMs = new Map<string, number>();
  readonly #thresholds = new WeakMap<Policy, readonly Threshold[]>();
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ShadowingOptions) {
    this.#options = options;
  }

  /** A text, with what was said of it. Returns at once. */
  hear(request: ScreeningRequest, results: readonly ClassifierResult[]): void {
    for (const { run } of this.#running.values()) run.hear(request, results);
  }

  start(): void {
    if (this.#closed) return;
    const { lookMs = LOOK_MS } = this.#options;
    this.#timer = setTimeout(() => void this.look().then(() => this.start()), lookMs * (0.8 + 0.4 * Math.random())).unref();
  }

  /** Never rejects. */
  look(): Promise<void> {
    return (this.#looking = this.#looking.then(() => this.#look()).then(() => this.#health.well(() => 'shadow models run again'), (error: Error) => this.#health.ill(`shadow models are not as the store says: ${error.message.split('\n', 1)[0]}`)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
    await Promise.all([...this.#running.keys()].map((plugin) => this.#end(plugin).catch(() => undefined)));
  }

  async #look(): Promise<void> {
    const wanted = new Map((await this.#options.store.shadows()).map((shadow) => [shadow.plugin, shadow]));
    for (const [plugin, { shadow, thread }] of this.#running) if (thread.isGone || JSON.stringify(wanted.get(plugin)) !== JSON.stringify(shadow)) await this.#end(plugin);
    for (const { run } of this.#running.values()) await this.#flush(run);
    for (const shadow of wanted.values()) if (!this.#running.has(shadow.plugin)) await this.#begin(shadow);
  }

  async #begin(shadow: Shadow): Promise<void> {
    if (performance.now() < (this.#againMs.get(shadow.plugin) ?? -Infinity)) return;
    this.#againMs.set(shadow.plugin, performance.now() + AGAIN_MS);
    const model = await this.#options.registry.read(shadow.model_id);
    if (isRefusal(model)) throw new Error(model.message);
    const entries: ClassifierConfig[] = [];
    for (const entry of this.#options.config().classifiers) if ((await modelsRead(entry)).includes(shadow.plugin)) entries.push(entry);
    const thread = await Thread.open(entries, new Map([...this.#options.models(), [shadow.plugin, model]]));
    const { learn: { shadow: settings } } = this.#options.config();
    const run = new ShadowRun({
      modelId: shadow.model_id, classifiers: new Set(entries.map(({ id }) => id)), clock: () => performance.now(), wait: (ms) => wait(ms, undefined, { ref: false }),
      settings: () => ({ share: shadow.share, cpu: settings.cpu_percent / 100, queueMax: settings.queue_max }),
      thresholds: (tenantId) => this.#thresholdsOf(this.#options.policyOf(tenantId)),
      score: (request) => thread.ask(request),
    });
    this.#running.set(shadow.plugin, { shadow, run, thread });
  }

  async #end(plugin: string): Promise<void> {
    const { run, thread } = this.#running.get(plugin)!;
    this.#running.delete(plugin);
    await thread.close();
    await run.close();
    await this.#flush(run);
  }

  async #flush(run: ShadowRun): Promise<void> {
    const sums = run.take();
    if (sums.texts.length === 0) return;
    try {
      await this.#options.store.add(run.modelId, sums);
    } catch (error) {
      run.giveBack(sums);
      throw error;
    }
  }

  #thresholdsOf(policy: Policy | undefined): readonly Threshold[] {
    if (policy === undefined) return [];
    const known = this.#thresholds.get(policy) ?? policy.rules.filter(({ enabled }) => enabled).flatMap(({ when }) => thresholdsIn(when, policy.id));
    this.#thresholds.set(policy, known);
    return known;
  }
}

function thresholdsIn(condition: Condition, policy: string): readonly Threshold[] {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.flatMap((part) => thresholdsIn(part, policy));
    case 'not':
      return thresholdsIn(condition.of, policy);
    case 'score': {
      const { classifier, category, value } = condition;
      return [value].flat().flatMap((at) => (typeof at === 'number' ? [{ policy, classifier, category, at }] : []));
    }
    case 'context':
      return [];
  }
}

/** One model in a thread of its own. */
class Thread {
  isGone = false;
  readonly #worker: Worker;
  readonly #asked = new Map<number, { resolve(answer: { readonly results: readonly ClassifierResult[]; readonly ms: number }): void; reject(error: Error): void }>();
  #next = 0;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', ({ id, results, ms }: { readonly id?: number; readonly results?: readonly ClassifierResult[]; readonly ms: number }) => {
      const asked = id === undefined ? undefined : this.#asked.get(id);
      if (asked === undefined) return;
      this.#asked.delete(id!);
      if (results === undefined) asked.reject(new Error('it could not be scored'));
      else asked.resolve({ results, ms });
    });
    worker.on('error', () => this.#gone());
    worker.on('exit', () => this.#gone());
  }

  /** Rejects where the model cannot work. */
  static async open(entries: readonly ClassifierConfig[], models: ReadonlyMap<string, GivenModel>): Promise<Thread> {
    const worker = new Worker(new URL('./shadow-worker.ts', import.meta.url), { workerData: { entries, models: [...models] }, resourceLimits: THREAD });
    worker.unref();
    try {
      await new Promise<void>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error('its thread did not begin in time')), READY_MS);
        worker.once('message', () => { clearTimeout(late); resolve(); }).once('error', reject).once('exit', () => reject(new Error('its thread ended')));
      });
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    return new Thread(worker);
  }

  ask(request: ScreeningRequest): Promise<{ readonly results: readonly ClassifierResult[]; readonly ms: number }> {
    if (this.isGone) return Promise.reject(new Error('its thread ended'));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request });
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
    this.#gone();
  }

  #gone(): void {
    this.isGone = true;
    for (const { reject } of this.#asked.values()) reject(new Error('its thread ended'));
    this.#asked.clear();
  }
}
