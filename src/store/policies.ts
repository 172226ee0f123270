/**
 * The port to stored policies, and the driver that keeps them in memory. Drivers share the contract test, not code.
 *
 * Guarantees: a revision that was given out stays as it is; numbers of a policy are 1, 2, 3 … without gaps; of two
 * changes that name the same parent one is kept and the other refused; a change that was answered is durable, as far as
 * the driver is. Rejects with WeirError store_unavailable when the store does not answer; a change may have been made then.
 */
import type { PolicyRevision } from '../contract/policy.ts';

/** A revision without its text. */
export type RevisionSummary = Omit<PolicyRevision, 'source'> & { readonly retired: boolean };

export interface PolicyPut {
  /** The newest revision that there is; 0 for none. Another one refuses the change. */
  readonly parent: number;
  readonly policy: string;
  /** Null retires the policy. */
  readonly source: string | null;
  readonly sha256: string;
  readonly author: string;
  readonly comment: string;
  readonly created_at: string;
}

/** `current`: the number of the newest revision, which is not the parent that was named. */
export type PutReply = { readonly ok: true; readonly revision: PolicyRevision } | { readonly ok: false; readonly current: number };

export interface HistoryPage {
  /** Newest first; at most so many. */
  readonly limit: number;
  /** Only numbers below it. */
  readonly before?: number;
}

export interface PolicyStore {
  /** The number of the newest revision of each policy, retired ones too. */
  heads(): Promise<ReadonlyMap<string, number>>;
  /** The newest revision of each policy, by id. */
  list(): Promise<readonly RevisionSummary[]>;
  /** The newest, or that of the number. */
  get(policy: string, number?: number): Promise<PolicyRevision | undefined>;
  history(policy: string, page: HistoryPage): Promise<readonly RevisionSummary[]>;
  put(change: PolicyPut): Promise<PutReply>;
  close(): Promise<void>;
}

export class MemoryPolicyStore implements PolicyStore {
  readonly #revisions = new Map<string, PolicyRevision[]>();

  async heads(): Promise<ReadonlyMap<string, number>> {
    return new Map([...this.#revisions].map(([policy, all]) => [policy, all.length]));
  }

  async list(): Promise<readonly RevisionSummary[]> {
    return [...this.#revisions.keys()].sort().map((policy) => summaryOf(this.#revisions.get(policy)!.at(-1)!));
  }

  async get(policy: string, number?: number): Promise<PolicyRevision | undefined> {
    const all = this.#revisions.get(policy) ?? [];
    return number === undefined ? all.at(-1) : all[number - 1];
  }

  async history(policy: string, { limit, before = Infinity }: HistoryPage): Promise<readonly RevisionSummary[]> {
    return (this.#revisions.get(policy) ?? []).filter(({ number }) => number < before).reverse().slice(0, limit).map(summaryOf);
  }

  async put(change: PolicyPut): Promise<PutReply> {
    const all = this.#revisions.get(change.policy) ?? [];
    if (change.parent !== all.length) return { ok: false, current: all.length };
    const revision = Object.freeze({ ...change, number: all.length + 1 });
    this.#revisions.set(change.policy, [...all, revision]);
    return { ok: true, revision };
  }

  async close(): Promise<void> {}
}

function summaryOf({ source, ...revision }: PolicyRevision): RevisionSummary {
  return { ...revision, retired: source === null };
}
