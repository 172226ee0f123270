/**
 * The exchanges of an audit log, newest first, read segment by segment. Lines that are no entries are left out: whether
 * the log is whole is for its verifier to say.
 */
import { join } from 'node:path';
import { WeirError } from '../contract/errors.ts';
import type { ExchangeRecord } from '../contract/exchange.ts';
import { newestEntriesWith } from './entries.ts';
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

/** Entries that are looked at for one exchange, and how many may be looked for. */
export const SCAN_MAX = 50_000;
export const LOOKS_MAX = 8;
/** By log: one is looked for after the other, so that many who ask do not read it all at once. */
const looking = new Map<string, { last: Promise<unknown>; waiting: number }>();

/** One exchange, if it is among the newest entries. Throws WeirError overloaded where others are looked for already. */
export async function newestExchange(dir: string, requestId: string): Promise<ExchangeRecord | undefined> {
  const line = looking.get(dir) ?? { last: Promise.resolve(), waiting: 0 };
  looking.set(dir, line);
  if (line.waiting >= LOOKS_MAX) throw new WeirError('overloaded', `${LOOKS_MAX} requests are looked for in the audit log already; send it again in a while`);
  line.waiting++;
  const found = line.last.then(() => lookFor(dir, requestId)).finally(() => void line.waiting--);
  line.last = found.catch(() => undefined);
  return found;
}

async function lookFor(dir: string, requestId: string): Promise<ExchangeRecord | undefined> {
  for await (const entry of newestEntriesWith(dir, JSON.stringify(requestId), SCAN_MAX)) if (entry.kind === 'exchange' && entry['request_id'] === requestId) return entry as unknown as ExchangeRecord;
  return undefined;
}

function exchangeOf(line: string): ExchangeRecord | undefined {
  try {
    const entry = JSON.parse(line) as Partial<ExchangeRecord> | null;
    return entry?.kind === 'exchange' && typeof entry.request_id === 'string' ? (entry as ExchangeRecord) : undefined;
  } catch {
    return undefined;
  }
}
