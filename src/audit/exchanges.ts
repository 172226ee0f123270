/**
 * The exchanges of an audit log, newest first, read segment by segment. Lines that are no entries are left out: whether
 * the log is whole is for its verifier to say.
 */
import { join } from 'node:path';
import type { ExchangeRecord } from '../contract/exchange.ts';
import { listSegments, readIfThere } from './segments.ts';

export async function* newestExchanges(dir: string): AsyncGenerator<ExchangeRecord> {
  for (const name of [...(await listSegments(dir))].reverse()) {
    const bytes = (await readIfThere(join(dir, name))) ?? Buffer.alloc(0); // pruned meanwhile
    for (let end = bytes.length; end > 0; ) {
      const start = bytes.lastIndexOf(0x0a, end - 1) + 1;
      const record = exchangeOf(bytes.toString('utf8', start, end));
      if (record !== undefined) yield record;
      end = start - 1;
    }
  }
}

function exchangeOf(line: string): ExchangeRecord | undefined {
  try {
    const entry = JSON.parse(line) as Partial<ExchangeRecord> | null;
    return entry?.kind === 'exchange' && typeof entry.request_id === 'string' ? (entry as ExchangeRecord) : undefined;
  } catch {
    return undefined;
  }
}
