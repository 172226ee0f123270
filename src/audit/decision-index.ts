/**
 * The decisions of the store beside a running Weir: a thread indexes the own audit log, and logs that are shipped here, as
 * they grow, and answers searches. Exchanges never wait for it, and nothing is held for it in memory: what the store does
 * not take now, the log still has. A thread that died is replaced. How far it is behind is told.
 */
import { Worker } from 'node:worker_threads';
import { CHANNELS, type AuditReceived } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import { PartHealth } from '../contract/part-health.ts';
import type { DecisionPlace, DecisionStore } from '../store/decisions.ts';

/** What is asked of the thread by others. */
export type DecisionQueries = Pick<DecisionStore, 'search' | 'counts' | 'tenantAfter' | 'drop' | 'dropCounts'>;

export interface IndexPlace {
  readonly store: DecisionPlace;
  /** Folder of the own log. */
  readonly own: string;
}

export interface DecisionIndexOptions extends IndexPlace {
  /** Entries that the own log has. */
  size(): number;
  /** Logs that are shipped here, and the folder of each. */
  shipped?(): Promise<readonly string[]>;
  dirOf?(log: string): string;
  /** Time between what came and a look at it. */
  readonly lookMs?: number;
}

export type DecisionTask =
  | { readonly kind: 'call'; readonly id: number; readonly call: keyof DecisionQueries; readonly args: readonly unknown[] }
  /** Something came of a log; `''` is the own one. */
  | { readonly kind: 'came'; readonly log: string; readonly dir: string }
  | { readonly kind: 'close' };

export type DecisionTold =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly isRange: boolean; readonly message: string }
  | { readonly kind: 'indexed'; readonly log: string; readonly taken: number; readonly next: number; readonly more: boolean }
  | { readonly kind: 'ill'; readonly reason: string }
  | { readonly kind: 'well' };

/** What comes within it shares a batch. Who asks meanwhile is answered with all that is on disk. */
const LOOK_MS = 2_000;
/** The thread is started with the first that comes, or then at the latest, so that a start does not wait for it. */
const START_MS = 3_000;
/** It makes much garbage of short life, and holds little. */
const THREAD = { maxYoungGenerationSizeMb: 8 } as const;
const CALL_MS = 10_000;
const RESTART_MS = 1_000;

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

export class DecisionIndex {
  readonly queries: DecisionQueries;
  readonly #options: DecisionIndexOptions;
  readonly #health = new PartHealth('decisions');
  readonly #waiters = new Map<number, Waiter>();
  /** Logs of which something came since the last look. */
  readonly #came = new Set<string>();
  readonly #onClosed = (): void => this.#note('');
  readonly #onReceived = (message: unknown): void => { if ((message as AuditReceived).entries > 0) this.#note((message as AuditReceived).log); };
  #calls = 0;
  /** Entries of the own log that are indexed, as far as it is known. */
  #indexed = 0;
  #thread: Worker | undefined;
  #look: NodeJS.Timeout | undefined;
  #begin: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: DecisionIndexOptions) {
    this.#options = options;
    this.queries = {
      search: (...args) => this.#call('search', args), counts: (...args) => this.#call('counts', args), tenantAfter: (...args) => this.#call('tenantAfter', args),
      drop: (...args) => this.#call('drop', args), dropCounts: (...args) => this.#call('dropCounts', args),
    };
  }

  start(): void {
    CHANNELS.exchangeClosed.subscribe(this.#onClosed);
    if (this.#options.dirOf !== undefined) CHANNELS.auditReceived.subscribe(this.#onReceived);
    this.#begin = setTimeout(() => void this.#all(), START_MS).unref();
  }

  /** Whether entries of the own log are not in the store yet, as far as it is known. */
  isBehind(): boolean {
    return this.#indexed < this.#options.size();
  }

  /** What is on disk is taken if the store takes it at once. */
  async close(): Promise<void> {
    this.#closed = true;
    CHANNELS.exchangeClosed.unsubscribe(this.#onClosed);
    CHANNELS.auditReceived.unsubscribe(this.#onReceived);
    clearTimeout(this.#look);
    clearTimeout(this.#begin);
    const thread = this.#thread;
    if (thread !== undefined) {
      const ended = new Promise((resolve) => thread.once('exit', resolve));
      thread.postMessage({ kind: 'close' } satisfies DecisionTask);
      const late = setTimeout(() => void thread.terminate(), CALL_MS);
      await ended;
      clearTimeout(late);
    }
  }

  /** Logs that are here already may have grown while nobody looked. */
  async #all(): Promise<void> {
    this.#note('');
    for (const log of (await this.#options.shipped?.().catch(() => [])) ?? []) this.#note(log);
  }

  #note(log: string): void {
    this.#came.add(log);
    if (this.#closed) return;
    this.#look ??= setTimeout(() => {
      this.#look = undefined;
      const { own, dirOf } = this.#options;
      for (const one of this.#came) this.#send({ kind: 'came', log: one, dir: one === '' ? own : dirOf!(one) });
      this.#came.clear();
    }, this.#options.lookMs ?? LOOK_MS).unref();
  }

  #send(task: DecisionTask): void {
    (this.#thread ??= this.#open()).postMessage(task);
  }

  #call<T>(call: keyof DecisionQueries, args: readonly unknown[]): Promise<T> {
    if (this.#closed) return Promise.reject(new WeirError('store_unavailable', 'weir is shutting down'));
    const id = ++this.#calls;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, ({ reject: fail }) => fail(new WeirError('store_unavailable', `the decisions were not read within ${CALL_MS / 1000} s; ask for less at once: a tenant, a shorter time`))), CALL_MS);
      this.#waiters.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      this.#send({ kind: 'call', id, call, args });
    });
  }

  #settle(id: number, end: (waiter: Waiter) => void): void {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return;
    this.#waiters.delete(id);
    clearTimeout(waiter.timer);
    end(waiter);
  }

  #open(): Worker {
    const { store, own } = this.#options;
    const thread = new Worker(new URL('./decision-worker.ts', import.meta.url), { workerData: { store, own } satisfies IndexPlace, resourceLimits: THREAD });
    thread.unref();
    thread.on('message', (told: DecisionTold) => this.#hear(told));
    thread.on('error', (error: unknown) => this.#health.ill(`the thread that indexes decisions ended (${(error as Error).name}); another takes its place`, ['thread']));
    thread.on('exit', () => this.#ended(thread));
    return thread;
  }

  #ended(thread: Worker): void {
    if (this.#thread === thread) this.#thread = undefined;
    for (const id of [...this.#waiters.keys()]) this.#settle(id, ({ reject }) => reject(new WeirError('store_unavailable', 'the thread that reads decisions ended')));
    if (!this.#closed) this.#begin = setTimeout(() => void this.#all(), RESTART_MS).unref();
  }

  #hear(told: DecisionTold): void {
    switch (told.kind) {
      case 'answer': return this.#settle(told.id, ({ resolve }) => resolve(told.value));
      case 'failed': return this.#settle(told.id, ({ reject }) => reject(told.isRange ? new RangeError(told.message) : new WeirError('store_unavailable', 'the decisions could not be read', { cause: told.message })));
      case 'ill': {
        // With every try, so that it is seen how much waits.
        CHANNELS.decisionsIndexed.publish({ log: '', taken: 0, lag: Math.max(0, this.#options.size() - this.#indexed) });
        return this.#health.ill(`audit logs are not indexed (${told.reason}); they wait on disk, and it is tried again`, ['store']);
      }
      case 'well': return this.#health.well(() => 'audit logs are indexed again');
      case 'indexed': {
        const { log, taken, next } = told;
        if (log === '') this.#indexed = next;
        this.#health.well(() => 'audit logs are indexed again');
        CHANNELS.decisionsIndexed.publish({ log, taken, lag: log === '' ? Math.max(0, this.#options.size() - next) : told.more ? 1 : 0 });
      }
    }
  }
}
