/**
 * What the process runs on: one frozen object, made whole from configuration and policy files and replaced whole.
 * Nothing in it changes; who needs a consistent view keeps the snapshot it began with.
 */
import type { ConfigIssue } from '../contract/errors.ts';
import type { Policy } from '../contract/policy.ts';
import type { Config } from './schema.ts';

export interface WrittenPolicy {
  readonly policy: Policy;
  /** A file, or `store:id@number`, for messages. */
  readonly file: string;
}

/** What a store or its copies hold, by `id` or `id@number`, judged to be usable here. */
export interface StoredPolicies {
  readonly policies: ReadonlyMap<string, WrittenPolicy>;
  /** Whether there is one could not be told now: nobody who would know has answered. */
  readonly undecided: ReadonlySet<string>;
}

export interface Snapshot {
  readonly config: Config;
  /** By id, and `id@number` for revisions at which a tenant stays. */
  readonly policies: ReadonlyMap<string, Policy>;
  /** Where each stands, for messages. */
  readonly policyFiles: ReadonlyMap<string, string>;
  /** The policies of files alone, whether one of the store counts in place of them or not. */
  readonly written: ReadonlyMap<string, WrittenPolicy>;
  /** First 12 hex digits of the SHA-256 over the names and contents of all files read. */
  readonly hash: string;
  /** The configuration file, or a name in brackets when it was given as text. */
  readonly file: string;
  readonly loadedAt: Date;
  /** What works less than it says; never an error. */
  readonly warnings: readonly ConfigIssue[];
}
