/** A thread that tells once what of a log may go, since reading segments takes seconds that a proxy does not have. */
import { parentPort, workerData } from 'node:worker_threads';
import { keeperKeys } from './pruned.ts';
import { publishedKeys } from './recovery.ts';
import { oldNoteBytes, planPruning } from './retention.ts';
import type { Asked } from './prune.ts';

const asked = workerData as Asked;

async function answer(): Promise<unknown> {
  if (asked.what === 'notes') return oldNoteBytes(asked.dir, asked.size);
  const { dir, retention, nowMs, before, isCopy } = asked;
  return planPruning(dir, { keys: await publishedKeys(dir), keepers: isCopy ? await keeperKeys(dir) : [] }, retention, nowMs, before);
}

parentPort!.postMessage(await answer());
