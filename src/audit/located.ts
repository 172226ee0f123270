/**
 * One exchange by its request id, wherever it closed: the store's index of decisions tells in which log its entry stands,
 * and it is read from there, of the own log or of a copy that is shipped here. Where the index does not answer, or does
 * not have all of the own log yet, the newest entries of that are looked through.
 *
 * Who looks for the requests of some tenants finds none of others, and none of logs that are shipped here: tenants of
 * another Weir may have the names of ours.
 */
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { DecisionStore, FoundDecision } from '../store/decisions.ts';
import { newestEntries, type AuditEntry, type EntryFilter } from './entries.ts';
import { newestExchange } from './exchanges.ts';

export interface ExchangePlaces {
  /** Of the own log. */
  readonly dir: string;
  readonly log: string;
  /** Absent: nothing is indexed. */
  readonly index?: Pick<DecisionStore, 'search'> & { isBehind(): boolean };
  /** Entries of a log that is shipped here; undefined: it is not. */
  copy?(log: string, filter: EntryFilter): Promise<AsyncIterable<AuditEntry> | undefined>;
}

/** Rows of one id that are looked at: copies of its log, and longer ids that begin with it. */
const ROWS_MAX = 20;

/** `tenants`: whose it is to be; undefined: anybody's, and also of logs that are shipped here. Throws WeirError overloaded where others look through the log already. */
export async function locatedExchange({ dir, log, index, copy }: ExchangePlaces, requestId: string, tenants?: readonly string[]): Promise<ExchangeRecord | undefined> {
  const isTheirs = (tenantId: string): boolean => tenants === undefined || tenants.includes(tenantId);
  const rows = index === undefined || tenants?.length === 0 ? [] : await index.search({ requestId, limit: ROWS_MAX, ...(tenants === undefined ? {} : { tenants, ownOnly: true }) }).then((page) => page.rows, () => undefined);
  for (const row of ownFirst(rows ?? []).filter(({ request_id: id }) => id === requestId)) {
    const entries = row.log === log && !row.shipped ? newestEntries(dir, { before: row.index + 1 }) : await copy?.(row.log, { before: row.index + 1 });
    const record = entries && (await recordAt(entries, row.index));
    // An index is a hint: what counts is what is written.
    if (record?.request_id === requestId && isTheirs(record.tenant_id)) return record;
  }
  if (rows !== undefined && index?.isBehind() === false) return undefined;
  const record = await newestExchange(dir, requestId);
  return record !== undefined && isTheirs(record.tenant_id) ? record : undefined;
}

function ownFirst(rows: readonly FoundDecision[]): readonly FoundDecision[] {
  return [...rows].sort((a, b) => Number(a.shipped) - Number(b.shipped));
}

async function recordAt(entries: AsyncIterable<AuditEntry>, index: number): Promise<ExchangeRecord | undefined> {
  for await (const entry of entries) return entry.index === index && entry.kind === 'exchange' ? (entry as unknown as ExchangeRecord) : undefined;
  return undefined;
}
