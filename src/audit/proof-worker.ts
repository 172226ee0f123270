/** A thread that makes one proof, since reading a long log takes seconds that a proxy does not have. */
import { parentPort, workerData } from 'node:worker_threads';
import { readCheckpoint } from './checkpoint.ts';
import { proveEntry, type Wanted } from './proof.ts';

const { dir, wanted, note } = workerData as { readonly dir: string; readonly wanted: Wanted; readonly note: string };

const checkpoint = readCheckpoint(note);
parentPort!.postMessage(checkpoint && (await proveEntry(dir, wanted, checkpoint)));
