/**
 * A thread that has the decisions of the store for itself: it brings audit logs into it and answers searches, since a
 * statement over millions of rows, or a batch of them in SQLite, takes longer than a proxy has. Between two batches it
 * answers what was asked; before it answers, it takes what is on disk of the own log, one batch at most.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { setTimeout as pause } from 'node:timers/promises';
import { openDecisionStore } from '../store/open-decisions.ts';
import type { DecisionTask, DecisionTold, IndexPlace } from './decision-index.ts';
import { LogIndexer } from './log-indexer.ts';

const { store: place, own } = workerData as IndexPlace;
const port = parentPort!;
const RETRY_MS = 1_000;
/** The own log is looked at though nobody said that something came. */
const SWEEP_MS = 2_000;

const { store, close } = openDecisionStore(place);
const ownIndexer = new LogIndexer({ dir: own, shipped: false }, store);
const shipped = new Map<string, LogIndexer>();
/** Logs of which something came: `''` is the own one. */
const waiting = new Set<string>(['']);
let closing = false;
let wake = Promise.withResolvers<void>();
/** One batch is taken after the other. */
let last: Promise<unknown> = Promise.resolve();

const tell = (told: DecisionTold): void => port.postMessage(told);

function step(indexer: LogIndexer): Promise<{ readonly taken: number; readonly more: boolean }> {
  const done = last.then(() => indexer.step());
  last = done.catch(() => undefined);
  return done;
}

async function index(name: string): Promise<void> {
  const indexer = name === '' ? ownIndexer : shipped.get(name);
  if (indexer === undefined) return;
  const { taken, more } = await step(indexer);
  if (more) waiting.add(name);
  tellIndexed(name, indexer, taken, more);
}

/** How far the own log is indexed is told once at the least, also where nothing was to be done. */
let isTold = false;

function tellIndexed(name: string, { next }: LogIndexer, taken: number, more: boolean): void {
  if (taken === 0 && (name !== '' || isTold || next === undefined)) return;
  if (name === '') isTold = true;
  tell({ kind: 'indexed', log: name, taken, next: next ?? 0, more });
}

/** It failed when something was last taken: who asks does not wait for another try. */
let wasIll = false;

async function rounds(): Promise<void> {
  while (!closing) {
    const [name] = waiting;
    if (name === undefined) {
      await Promise.race([wake.promise, pause(SWEEP_MS, undefined, { ref: false })]);
      wake = Promise.withResolvers();
      waiting.add('');
      continue;
    }
    waiting.delete(name);
    try {
      await index(name);
      if (wasIll) tell({ kind: 'well' });
      wasIll = false;
    } catch (error) {
      waiting.add(name); // behind the others
      wasIll = true;
      tell({ kind: 'ill', reason: reasonOf(error) });
      await pause(RETRY_MS);
    }
  }
}

function reasonOf(error: unknown): string {
  const { name, message, code } = error as { readonly name?: string; readonly message?: string; readonly code?: string };
  return name === 'WeirError' || name === 'RangeError' ? String(message) : String(code ?? name);
}

async function answer({ id, call, args }: Extract<DecisionTask, { readonly kind: 'call' }>): Promise<void> {
  try {
    if (!wasIll && (call === 'search' || call === 'counts')) await step(ownIndexer).then(({ taken, more }) => tellIndexed('', ownIndexer, taken, more)).catch(() => undefined); // it is told by the rounds
    const value = await (store[call] as (...values: readonly unknown[]) => Promise<unknown>).apply(store, [...args]);
    tell({ kind: 'answer', id, value });
  } catch (error) {
    tell({ kind: 'failed', id, isRange: error instanceof RangeError, message: (error as Error).message });
  }
}

port.on('message', (task: DecisionTask) => {
  if (task.kind === 'call') return void answer(task);
  if (task.kind === 'came') {
    if (task.log !== '' && !shipped.has(task.log)) shipped.set(task.log, new LogIndexer({ dir: task.dir, name: task.log, shipped: true }, store));
    waiting.add(task.log);
    return wake.resolve();
  }
  closing = true;
  wake.resolve();
  return undefined;
});

await rounds();
await last;
await step(ownIndexer).catch(() => undefined);
await close();
port.close();
