/** A thread that verifies blocks of the log: takes a Block, answers with its VerifiedBlock or the reading's error. */
import { parentPort, workerData } from 'node:worker_threads';
import { verifyFileBlock, type Block } from './blocks.ts';

const { sizes } = workerData as { readonly sizes: Float64Array };

parentPort!.on('message', (block: Block) => {
  try {
    parentPort!.postMessage({ block: verifyFileBlock(block, sizes) });
  } catch (error) {
    parentPort!.postMessage({ error });
  }
});
