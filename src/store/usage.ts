/**
 * The port to what tenants used, by key and hour, and the driver that keeps it in memory. Numbers only, never content.
 *
 * Guarantees: a batch counts once, however often it is added, as long as a process adds its batches in order; rows of a
 * batch count together or not at all. Rejects with WeirError store_unavailable; the batch may have been added then.
 */

export const USAGE_COUNTS = ['requests', 'refused', 'blocked', 'redacted', 'prompt_tokens', 'completion_tokens', 'estimated'] as const;

/**
 * `requests`: all, with those refused by an error and those blocked by a policy; `redacted`: requests of which a prompt
 * or an answer was; `estimated`: requests whose tokens are an estimate, since the upstream told none.
 */
export type UsageCounts = Readonly<Record<(typeof USAGE_COUNTS)[number], number>>;

export interface UsageRow extends UsageCounts {
  readonly tenant_id: string;
  /** Empty where the tenant was known without a key. */
  readonly key_id: string;
  /** When they began: `2030-01-31T13:00:00Z`. */
  readonly hour: string;
}

export interface UsageBatch {
  /** Random, for each start of a process. */
  readonly process: string;
  /** 1, 2, 3 … */
  readonly sequence: number;
  readonly rows: readonly UsageRow[];
}

export interface UsageQuestion {
  readonly tenantId?: string | undefined;
  /** ISO 8601 in UTC, rounded down to an hour by who asks: from it, and before the other. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly limit: number;
}

export interface UsageStore {
  add(batch: UsageBatch, now: string): Promise<void>;
  /** Newest hour first. */
  read(question: UsageQuestion): Promise<readonly UsageRow[]>;
  /** The next tenant of which there are rows, in the order of the store; `''` for the first. */
  tenantAfter(tenantId: string): Promise<string | undefined>;
  /** Removes rows of hours that began before, at most so many. Resolves to their number. */
  drop(tenantId: string, before: string, limit: number): Promise<number>;
  /** A batch of a process that added none since then would count again. */
  forgetProcesses(before: string): Promise<void>;
}

export class MemoryUsageStore implements UsageStore {
  readonly #rows = new Map<string, UsageRow>();
  readonly #newest = new Map<string, { readonly sequence: number; readonly now: string }>();

  async add({ process, sequence, rows }: UsageBatch, now: string): Promise<void> {
    if (sequence <= (this.#newest.get(process)?.sequence ?? 0)) return;
    this.#newest.set(process, { sequence, now });
    for (const row of rows) {
      const key = JSON.stringify([row.tenant_id, row.key_id, row.hour]);
      this.#rows.set(key, sumOf(this.#rows.get(key), row));
    }
  }

  async read({ tenantId, from = '', to = '9999', limit }: UsageQuestion): Promise<readonly UsageRow[]> {
    const rows = [...this.#rows.values()].filter(({ tenant_id, hour }) => (tenantId === undefined || tenant_id === tenantId) && hour >= from && hour < to);
    return rows.sort(newestFirst).slice(0, limit);
  }

  async tenantAfter(tenantId: string): Promise<string | undefined> {
    return [...this.#rows.values()].map(({ tenant_id }) => tenant_id).filter((id) => id > tenantId).sort()[0];
  }

  async drop(tenantId: string, before: string, limit: number): Promise<number> {
    const old = [...this.#rows].filter(([, { tenant_id, hour }]) => tenant_id === tenantId && hour < before).slice(0, limit);
    for (const [key] of old) this.#rows.delete(key);
    return old.length;
  }

  async forgetProcesses(before: string): Promise<void> {
    for (const [process, { now }] of this.#newest) if (now < before) this.#newest.delete(process);
  }
}

export function sumOf(known: UsageRow | undefined, more: UsageRow): UsageRow {
  return known === undefined ? more : { ...more, ...Object.fromEntries(USAGE_COUNTS.map((count) => [count, known[count] + more[count]])) };
}

function newestFirst(a: UsageRow, b: UsageRow): number {
  const [left, right] = [a, b].map(({ hour, tenant_id, key_id }) => [hour, tenant_id, key_id]);
  if (left![0] !== right![0]) return left![0]! > right![0]! ? -1 : 1;
  if (left![1] !== right![1]) return left![1]! < right![1]! ? -1 : 1;
  return left![2]! < right![2]! ? -1 : 1;
}
