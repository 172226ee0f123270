/** A thread that scores texts with a model that does not work: takes `{ id, request }`, answers with the results and how long they took. */
import { parentPort, workerData } from 'node:worker_threads';
import { provisionPlugin } from './config/plugins.ts';
import type { ClassifierConfig } from './config/schema.ts';
import type { GivenModel } from './contract/classifier.ts';
import type { ScreeningRequest } from './contract/screening.ts';
import { Ensemble } from './screen/ensemble.ts';

const { entries, models } = workerData as { readonly entries: readonly ClassifierConfig[]; readonly models: readonly (readonly [string, GivenModel])[] };
/** Nobody waits for it. */
const DEADLINE_MS = 10_000;

const classifiers = await Promise.all(entries.map((entry) => provisionPlugin(entry, new Map(models))));
const ensemble = new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), deadlineMs: DEADLINE_MS });

parentPort!.on('message', ({ id, request }: { readonly id: number; readonly request: ScreeningRequest }) => {
  const startMs = performance.now();
  ensemble.ask(request).then((results) => parentPort!.postMessage({ id, results, ms: performance.now() - startMs }), () => parentPort!.postMessage({ id }));
});
parentPort!.postMessage({ ready: true });
