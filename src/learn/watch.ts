/**
 * Keeps the models of this process as the store has them: looks at the newest switch of each plugin every second, reads
 * what it names, tries it, and hands it to who runs it. Guarantees: no request waits for it; what is damaged, or cannot
 * work here, never counts, and what counted before stays, which is told; a model is handed over whole. Without the store
 * the last known models count, from a copy that is held against its digest. What this process has carried out, and what
 * keeps it from more, stands in the store, so that who lags behind is seen.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GivenModel } from '../contract/classifier.ts';
import { PartHealth } from '../contract/part-health.ts';
import type { ModelFollower, ModelStore, ModelSwitch } from '../store/models.ts';
import { isRefusal, sha256Of, type ModelRegistry } from './registry.ts';

/** Between two looks, with jitter. */
const LOOK_MS = 1_000;
/** How long a start waits for the first look. */
const START_MS = 5_000;
/** What could not be carried out is tried again after this. */
const AGAIN_MS = 10_000;
/** The process is said to be there this often. */
const SEEN_MS = 30_000;

export type Models = ReadonlyMap<string, GivenModel>;

export interface ModelWatchOptions {
  readonly registry: ModelRegistry;
  readonly store: Pick<ModelStore, 'meet'>;
  /** Folder of the copies; absent: the store is as near. */
  readonly copies?: string | undefined;
  /** Named with what it carried out. */
  readonly origin: string;
  /** Rejects where a model cannot work here. */
  readonly fit: (plugin: string, model: GivenModel) => Promise<unknown>;
  /** Runs these from now on. Rejects where that fails; the former run on. */
  readonly use: (models: Models) => Promise<void>;
  readonly now?: () => Date;
  readonly lookMs?: number;
}

/** What this process has carried out of a plugin's switches. */
interface Done {
  readonly number: number;
  readonly fault: string | null;
  /** Of a fault. */
  readonly atMs: number;
  /** The switch that is not carried out. */
  readonly wanted: number;
}

export class ModelWatch {
  readonly #options: ModelWatchOptions;
  readonly #process = randomUUID();
  readonly #now: () => Date;
  readonly #health = new PartHealth('models');
  readonly #done = new Map<string, Done>();
  #models: Models = new Map();
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #seenMs = -Infinity;
  #closed = false;

  constructor(options: ModelWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  get models(): Models {
    return this.#models;
  }

  /** The models as the store has them, or, where it does not answer, as they were last. Nothing is handed over. */
  async first(): Promise<Models> {
    const late = new Promise<'late'>((resolve) => void setTimeout(resolve, START_MS, 'late').unref());
    const heads = await Promise.race([this.#options.registry.heads().catch(() => 'late' as const), late]);
    if (heads === 'late') {
      this.#models = await this.#copied();
      this.#health.ill(`the store does not tell which models work; ${this.#models.size === 0 ? 'those that are shipped' : 'the last known ones'} do`, ['store']);
      return this.#models;
    }
    for (const head of heads.values()) await this.#follow(head, async () => undefined);
    await this.#meet();
    this.#tell();
    return this.#models;
  }

  /** Follows from now on. */
  start(): void {
    if (this.#closed) return;
    const { lookMs = LOOK_MS } = this.#options;
    this.#timer = setTimeout(() => void this.look().then(() => this.start()), lookMs * (0.8 + 0.4 * Math.random())).unref();
  }

  /** Looks now. After it, what was switched before counts here, if that is possible. Never rejects. */
  look(): Promise<void> {
    return (this.#looking = this.#looking.then(() => this.#look()).then(() => this.#tell(), () => this.#health.ill('the store does not tell which models work; the last known ones do', ['store'])));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    let changed = false;
    for (const head of (await this.#options.registry.heads()).values()) {
      if (!this.#isDue(head)) continue;
      changed = true;
      await this.#follow(head, this.#options.use);
    }
    if (changed || performance.now() - this.#seenMs > SEEN_MS) await this.#meet();
  }

  /** Rejects where the store does not answer. */
  async #follow(head: ModelSwitch, use: ModelWatchOptions['use']): Promise<void> {
    const { plugin, number } = head;
    const found = await this.#modelOf(head);
    const fault = typeof found === 'string' ? found : await use(this.#with(plugin, found.model)).then(() => null, (error: Error) => `the configuration cannot run with it: ${error.message.split('\n', 1)[0]}`);
    if (fault !== null || typeof found === 'string') {
      this.#done.set(plugin, { number: this.#done.get(plugin)?.number ?? 0, fault, atMs: performance.now(), wanted: number });
      return;
    }
    this.#models = this.#with(plugin, found.model);
    this.#done.set(plugin, { number, fault: null, atMs: 0, wanted: number });
    await this.#copy(plugin, found.model);
  }

  #with(plugin: string, model: GivenModel | undefined): Models {
    return new Map([...[...this.#models].filter(([name]) => name !== plugin), ...(model === undefined ? [] : [[plugin, model] as const])]);
  }

  #isDue({ plugin, number }: ModelSwitch): boolean {
    const done = this.#done.get(plugin);
    if (done === undefined || done.number === number) return done === undefined;
    return done.fault === null || done.wanted !== number || performance.now() - done.atMs > AGAIN_MS;
  }

  /** What a switch names, tried; or why it cannot work here. */
  async #modelOf({ plugin, model_id: id, sha256 }: ModelSwitch): Promise<{ readonly model: GivenModel | undefined } | string> {
    if (id === null) return { model: undefined };
    const model = await this.#options.registry.read(id);
    if (isRefusal(model)) return model.message;
    if (sha256Of(model.bytes) !== sha256) return `the file of ${id} is not the one that was let work`;
    return this.#options.fit(plugin, model).then(() => ({ model }), (error: Error) => error.message);
  }

  async #meet(): Promise<void> {
    const seen = { process: this.#process, origin: this.#options.origin, seen_at: this.#now().toISOString() };
    for (const [plugin, { number, fault }] of this.#done) await this.#options.store.meet({ ...seen, plugin, number, fault } satisfies ModelFollower);
    this.#seenMs = performance.now();
  }

  #tell(): void {
    const faults = [...this.#done].flatMap(([plugin, { fault, wanted }]) => (fault === null ? [] : [`${plugin}: switch ${wanted} is not carried out here, what worked before does: ${fault}`]));
    if (faults.length > 0) this.#health.ill(faults.join('; '), ['lag']);
    else this.#health.well(() => 'the models work that the store names');
  }

  // The copy: a file for each plugin, `<id> <sha256>` in a line and the bytes.

  async #copy(plugin: string, model: GivenModel | undefined): Promise<void> {
    const { copies } = this.#options;
    if (copies === undefined) return;
    const file = join(copies, `${plugin}.model`);
    const fresh = `${file}.${this.#process}.tmp`;
    try {
      await mkdir(copies, { recursive: true, mode: 0o700 });
      await writeFile(fresh, model === undefined ? '' : Buffer.concat([Buffer.from(`${model.id} ${sha256Of(model.bytes)}\n`), model.bytes]), { mode: 0o600 });
      await rename(fresh, file);
    } catch {
      // Without a copy a start needs the store, as it says then.
    }
  }

  async #copied(): Promise<Models> {
    const { copies, fit } = this.#options;
    const found = new Map<string, GivenModel>();
    if (copies === undefined) return found;
    for (const plugin of await readCopies(copies)) {
      const bytes = await readFile(join(copies, `${plugin}.model`)).catch(() => Buffer.alloc(0));
      const end = bytes.indexOf('\n');
      const [id, sha256] = bytes.subarray(0, Math.max(0, end)).toString('latin1').split(' ');
      const model = { id: id!, bytes: Uint8Array.from(bytes.subarray(end + 1)) };
      if (end > 0 && sha256Of(model.bytes) === sha256 && (await fit(plugin, model).then(() => true, () => false))) found.set(plugin, model);
    }
    return found;
  }
}

async function readCopies(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(() => [])).flatMap((name) => /^([a-z][a-z0-9-]*)\.model$/.exec(name)?.[1] ?? []);
}
