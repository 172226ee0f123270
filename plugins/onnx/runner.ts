/**
 * A model in a process of its own, as seen from here: texts in, scores out, one after the other. Guarantees: this
 * process never computes and never waits for native code; a text whose signal is aborted is not begun; a model that
 * crashes, or computes longer than `JOB_MS_MAX`, costs the text it was at, and is started again.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { UnknownReason } from '#contract/screening.ts';
import type { ModelTerms, Reply } from './messages.ts';

/** A text that takes longer is nobody's any more; its process is ended. */
export const JOB_MS_MAX = 30_000;
/** Loading a model of a gigabyte from a slow disk. */
const LOAD_MS_MAX = 120_000;
/** A model that ends as soon as it starts is not started more often. */
const RESTART_MS = 1_000;

export type Verdict = { readonly scores: readonly number[] } | { readonly unknown: UnknownReason };

interface Job {
  readonly text: string;
  readonly signal: AbortSignal;
  readonly settle: (verdict: Verdict) => void;
}

export class ModelRunner {
  readonly #terms: ModelTerms;
  readonly #jobMsMax: number;
  #process: ChildProcess | undefined;
  /** While it loads, the process takes no text. */
  #isReady = false;
  #startedMs = -Infinity;
  #isClosed = false;
  /** The text that the model is at, and those that wait. */
  #running: (Job & { readonly number: number; readonly watchdog: NodeJS.Timeout }) | undefined;
  readonly #waiting = new Set<Job>();
  #jobs = 0;

  constructor(terms: ModelTerms, jobMsMax = JOB_MS_MAX) {
    this.#terms = terms;
    this.#jobMsMax = jobMsMax;
  }

  /** Resolves when the model is loaded; rejects with what the operator must correct. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => this.#launch((fault) => (fault === undefined ? resolve() : reject(new Error(fault)))));
  }

  ask(text: string, signal: AbortSignal): Promise<Verdict> {
    if (signal.aborted) return Promise.resolve({ unknown: 'timeout' });
    if (this.#process === undefined && !this.#restart()) return Promise.resolve({ unknown: 'unavailable' });
    return new Promise((resolve) => {
      const onAbort = (): void => job.settle({ unknown: 'timeout' });
      const job: Job = {
        text,
        signal,
        settle: (verdict) => {
          signal.removeEventListener('abort', onAbort);
          this.#waiting.delete(job);
          resolve(verdict);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(job);
      this.#next();
    });
  }

  /** Ends the process, and with it what it was at. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const model = this.#process;
    if (model === undefined) return;
    const ended = new Promise((resolve) => model.once('close', resolve));
    model.kill('SIGKILL');
    await ended;
  }

  #restart(): boolean {
    if (this.#isClosed || performance.now() - this.#startedMs < RESTART_MS) return false;
    this.#launch(() => {});
    return true;
  }

  #launch(loaded: (fault?: string) => void): void {
    this.#startedMs = performance.now();
    // No environment but what a loader of shared libraries reads: the process needs none, and keys are in it.
    const env = process.env.LD_LIBRARY_PATH === undefined ? {} : { LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH };
    const model = fork(fileURLToPath(new URL('./inference.ts', import.meta.url)), { env, execArgv: [], serialization: 'advanced', stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    this.#process = model;
    const patience = setTimeout(() => model.kill('SIGKILL'), LOAD_MS_MAX);
    model.on('message', (reply: Reply) => {
      if (reply.kind === 'refused' || reply.kind === 'ready') {
        clearTimeout(patience);
        this.#isReady = reply.kind === 'ready';
        loaded(reply.kind === 'ready' ? undefined : reply.message);
        if (reply.kind === 'refused') model.kill('SIGKILL');
        else this.#next();
      } else if (reply.job === this.#running?.number) this.#finish(verdictOf(reply));
    });
    // A message that could not be sent, or a process that could not be made: `exit` or the watchdog follows, or `close` does.
    model.on('error', () => model.kill('SIGKILL'));
    model.once('close', () => {
      clearTimeout(patience);
      this.#process = undefined;
      this.#isReady = false;
      loaded('the process of the model ended while it was loading');
      if (this.#running !== undefined) this.#finish({ unknown: 'error' });
      for (const job of [...this.#waiting]) job.settle({ unknown: 'unavailable' });
    });
    model.send(this.#terms);
  }

  #next(): void {
    if (this.#running !== undefined || !this.#isReady) return;
    const [job] = this.#waiting;
    if (job === undefined) return;
    this.#waiting.delete(job);
    const watchdog = setTimeout(() => this.#process?.kill('SIGKILL'), this.#jobMsMax);
    this.#running = { ...job, number: (this.#jobs += 1), watchdog };
    this.#process!.send({ job: this.#jobs, text: job.text });
  }

  #finish(verdict: Verdict): void {
    const { settle, watchdog } = this.#running!;
    clearTimeout(watchdog);
    this.#running = undefined;
    settle(verdict);
    this.#next();
  }
}

function verdictOf(reply: Exclude<Reply, { readonly kind: 'ready' | 'refused' }>): Verdict {
  if (reply.kind === 'scores') return { scores: reply.scores };
  return { unknown: reply.kind === 'too_long' ? 'unsupported' : 'error' };
}
