/**
 * Counts what tenants use, from the closing entries of exchanges, by tenant, key and hour, and brings it to the store in
 * batches. A batch that may have arrived is sent again as it was, under the same number, so it counts once. Guarantees:
 * no exchange waits for it; what a crash costs is bounded by `FLUSH_MS` and stands in the audit log all the same; memory
 * is bounded by tenants, keys and hours, not by traffic. What is of no known tenant is not counted.
 */
import { randomUUID } from 'node:crypto';
import type { ExchangeRecord } from '../contract/exchange.ts';
import { PartHealth } from '../contract/part-health.ts';
import { sumOf, type UsageBatch, type UsageRow, type UsageStore } from '../store/usage.ts';

export interface UsageMeterOptions {
  /** Absent where the store is that of another process: nothing is counted then. */
  readonly store: UsageStore | undefined;
  /** Ids that are no tenants. */
  readonly isTenant: (tenantId: string) => boolean;
  readonly flushMs?: number;
  readonly clock?: () => number;
}

const FLUSH_MS = 2_000;
/** Rows of one batch: a transaction of that many lines. */
const ROWS_MAX = 1_000;
const HOUR_CHARS = '2030-01-31T13'.length;

export class UsageMeter {
  readonly #store: UsageStore | undefined;
  readonly #isTenant: (tenantId: string) => boolean;
  readonly #flushMs: number;
  readonly #clock: () => number;
  readonly #health = new PartHealth('usage');
  readonly #process = randomUUID();
  /** What no batch has yet. */
  readonly #rows = new Map<string, UsageRow>();
  /** The newest batch, until the store has it. */
  #batch: UsageBatch | undefined;
  #sequence = 0;
  #flushing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor({ store, isTenant, flushMs = FLUSH_MS, clock = Date.now }: UsageMeterOptions) {
    this.#store = store;
    this.#isTenant = isTenant;
    this.#flushMs = flushMs;
    this.#clock = clock;
  }

  count(record: ExchangeRecord): void {
    if (this.#store === undefined || !this.#isTenant(record.tenant_id)) return;
    const row = rowOf(record);
    const key = JSON.stringify([row.tenant_id, row.key_id, row.hour]);
    this.#rows.set(key, sumOf(this.#rows.get(key), row));
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.flush();
    }, this.#flushMs).unref();
  }

  /** Resolves when the store has all that was counted before, or does not answer. Never rejects. */
  flush(): Promise<void> {
    return (this.#flushing = this.#flushing.then(() => this.#flush()));
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.flush();
    clearTimeout(this.#timer);
  }

  async #flush(): Promise<void> {
    for (this.#batch ??= this.#nextBatch(); this.#batch !== undefined; this.#batch = this.#nextBatch()) {
      try {
        await this.#store!.add(this.#batch, new Date(this.#clock()).toISOString());
        this.#health.well(() => 'usage reaches the store again');
      } catch {
        this.#health.ill('the store takes no usage; it is kept here until it does');
        this.#timer ??= setTimeout(() => {
          this.#timer = undefined;
          void this.flush();
        }, this.#flushMs).unref();
        return;
      }
    }
  }

  #nextBatch(): UsageBatch | undefined {
    const taken = [...this.#rows].slice(0, ROWS_MAX);
    if (taken.length === 0) return undefined;
    for (const [key] of taken) this.#rows.delete(key);
    return { process: this.#process, sequence: ++this.#sequence, rows: taken.map(([, row]) => row) };
  }
}

function rowOf({ tenant_id, key_id = '', started_at, outcome, input, output, usage }: ExchangeRecord): UsageRow {
  return {
    tenant_id,
    key_id,
    hour: `${started_at.slice(0, HOUR_CHARS)}:00:00Z`,
    requests: 1,
    refused: outcome === 'refused' ? 1 : 0,
    blocked: outcome === 'blocked' ? 1 : 0,
    redacted: (input?.redactions ?? 0) + (output?.redactions ?? 0) > 0 ? 1 : 0,
    prompt_tokens: usage?.prompt_tokens ?? 0,
    completion_tokens: usage?.completion_tokens ?? 0,
    estimated: usage?.estimated === true ? 1 : 0,
  };
}
