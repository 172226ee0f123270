/** A thread that tells once what of a log may go, since reading segments takes seconds that a proxy does not have. */
import { parentPort, workerData } from 'node:worker_threads';
import { publishedKeys } from './recovery.ts';
import { oldNoteBytes, planPruning } from './retention.ts';
import type { Asked } from './prune.ts';

const asked = workerData as Asked;

parentPort!.postMessage(asked.what === 'plan' ? await planPruning(asked.dir, await publishedKeys(asked.dir), asked.retention, asked.nowMs, asked.before) : oldNoteBytes(asked.dir, asked.size));
