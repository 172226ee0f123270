/**
 * The weekly training: once for each time at which it is due, by whichever process of the fleet is first, whatever
 * restarts in between; where its process dies another takes it up. It makes a data set, trains a candidate for each
 * plugin, and runs them beside what works. It never lets one work. What a step does is its caller's.
 */
import type { SqlLearnRuns } from '../store/learn-runs.ts';

export interface WeeklySettings {
  /** 0 is Sunday. */
  readonly day: number;
  /** UTC. */
  readonly hour: number;
  readonly plugins: readonly string[];
}

export interface WeeklyOptions {
  readonly runs: Pick<SqlLearnRuns, 'claim' | 'renew' | 'end'>;
  /** Undefined: none is configured. */
  readonly settings: () => WeeklySettings | undefined;
  /** Tells this process from others. */
  readonly owner: string;
  /** Makes a version of the data set; what it was, in words. Rejects where there is nothing to learn from. */
  readonly collect: (signal: AbortSignal) => Promise<string>;
  /** Trains and registers a candidate; its id. Undefined: it is the model that there was. */
  readonly train: (plugin: string, signal: AbortSignal) => Promise<string>;
  /** Runs it beside what works. */
  readonly shadow: (modelId: string) => Promise<void>;
  /** What came of it. */
  readonly tell: (state: 'done' | 'failed', detail: string) => void;
  readonly now: () => Date;
  readonly leaseMs?: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LEASE_MS = 60_000;
export const ATTEMPTS_MAX = 3;
const DETAIL_CHARS_MAX = 2_000;

/** The newest time at which a training was due, as ISO 8601. */
export function dueAt({ day, hour }: Pick<WeeklySettings, 'day' | 'hour'>, now: Date): string {
  const midnight = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  const today = midnight - ((now.getUTCDay() - day + 7) % 7) * DAY_MS + hour * HOUR_MS;
  return new Date(today > now.getTime() ? today - 7 * DAY_MS : today).toISOString();
}

export class Weekly {
  readonly #options: Required<WeeklyOptions>;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** What was found to be begun by somebody, so that it is asked for once. */
  #isBusy = false;

  constructor(options: WeeklyOptions) {
    this.#options = { leaseMs: LEASE_MS, ...options };
  }

  /** Begins what is due, if nobody has. Resolves when that is known; rejects where the store does not answer. */
  async look(): Promise<void> {
    const { runs, settings, owner, now, leaseMs } = this.#options;
    const wanted = settings();
    if (wanted === undefined || this.#isBusy || this.#stop.signal.aborted) return;
    const due = dueAt(wanted, now());
    const at = now().getTime();
    if (!(await runs.claim({ due, owner, now: new Date(at).toISOString(), until: new Date(at + leaseMs).toISOString(), attemptsMax: ATTEMPTS_MAX }))) return;
    this.#isBusy = true;
    this.#running = this.#run(due, wanted).finally(() => void (this.#isBusy = false));
  }

  /** What is under way is broken off, for another process, or the next start. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    return this.#running;
  }

  async #run(due: string, { plugins }: WeeklySettings): Promise<void> {
    const { runs, owner, collect, train, shadow, tell, now, leaseMs } = this.#options;
    const lost = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, lost.signal]);
    const renewing = setInterval(() => void runs.renew(due, owner, new Date(now().getTime() + leaseMs).toISOString()).then((isOurs) => { if (!isOurs) lost.abort(); }, () => undefined), leaseMs / 3);
    const told: string[] = [];
    let state: 'done' | 'failed' = 'done';
    try {
      told.push(await collect(signal));
      for (const plugin of plugins) {
        try {
          const modelId = await train(plugin, signal);
          await shadow(modelId);
          told.push(`${modelId} runs beside what works`);
        } catch (error) {
          if (signal.aborted) throw error;
          [state] = ['failed'];
          told.push(`${plugin}: ${(error as Error).message}`);
        }
      }
    } catch (error) {
      if (!signal.aborted) [state] = ['failed'];
      told.push((error as Error).message);
    } finally {
      clearInterval(renewing);
    }
    // Broken off, it stays to be taken up.
    if (signal.aborted) return;
    const detail = told.join('; ').slice(0, DETAIL_CHARS_MAX);
    tell(state, detail);
    await runs.end(due, owner, state, now().toISOString(), detail).catch(() => undefined);
  }
}
