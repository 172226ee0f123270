/** A thread that sums the tasks of one report as they come, and finds what is to be found: that takes longer than a proxy has. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ReportedTask } from '../../store/risk-reports.ts';
import { findingsOf, type ReportFacts } from './findings.ts';
import { Tally } from './tally.ts';

/** Tasks, and at the end what else is known. */
export type ReportMessage = { readonly tasks: readonly ReportedTask[] } | { readonly facts: ReportFacts };

const { campaign, asOf } = workerData as Pick<ReportFacts, 'campaign' | 'asOf'>;
const tally = new Tally(campaign, asOf);

parentPort!.on('message', (message: ReportMessage) => {
  if ('tasks' in message) return tally.take(message.tasks);
  const { facts } = message;
  parentPort!.postMessage(findingsOf({ ...facts, key: Buffer.from(facts.key) }, tally.sums())); // a buffer comes as plain bytes
  parentPort!.close();
});
