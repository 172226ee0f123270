/** Logs that are shipped, for tests: two folders held against each other, and batches carried from one to the other by hand. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Collector } from '../../src/audit/collector.ts';
import type { ShippedLogRecord } from '../../src/audit/entry.ts';
import { Outbox, type Bounds } from '../../src/audit/outbox.ts';
import type { ShipBatch, ShipPosition } from '../../src/audit/shipment.ts';

/** Every file of a log by name; none where there is no folder. */
export function filesOf(dir: string): Readonly<Record<string, string>> {
  if (!existsSync(dir)) return {};
  return Object.fromEntries(readdirSync(dir).filter((name) => name !== 'lock' && !name.endsWith('.tmp')).sort().map((name) => [name, readFileSync(join(dir, name), 'latin1')]));
}

export const SMALL: Bounds = { entriesMax: 3, checkpointsMax: 2, bytes: 2_000 };
export const NOWHERE: ShipPosition = { entries: 0, hash: '0'.repeat(64), signed: -1 };

export interface Desk {
  readonly collector: Collector;
  readonly records: readonly ShippedLogRecord[];
}

export function openCollector(dir: string, logsMax?: number): Desk {
  const records: ShippedLogRecord[] = [];
  const collector = new Collector({ dir, audit: async (record) => void records.push(record), clock: () => 1_767_322_800_000, ...(logsMax === undefined ? {} : { logsMax }) });
  return { collector, records };
}

/** Every batch of a log from a position on. */
export async function* batchesOf(dir: string, size: number, take: (batch: ShipBatch) => Promise<ShipPosition>, bounds: Bounds = SMALL, from: ShipPosition = NOWHERE): AsyncGenerator<ShipBatch> {
  const outbox = new Outbox(dir, bounds);
  for (let position = from; ; ) {
    const batch = await outbox.next(position, size);
    if (batch === undefined) return;
    yield batch;
    position = await take(batch);
    if (position.entries === batch.from + batch.entries.length) outbox.sent(batch);
  }
}

/** Ships all, and returns how many batches it took. */
export async function shipAll(dir: string, size: number, { collector }: Desk, log: string, bounds: Bounds = SMALL): Promise<number> {
  let count = 0;
  const sender = { log, author: 'tester' };
  const question = { size, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] };
  for await (const _ of batchesOf(dir, size, (batch) => collector.take(sender, batch), bounds, await collector.take(sender, question))) count++;
  return count;
}
