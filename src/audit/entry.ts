/**
 * One entry of the audit log: a record with its place in the chain, as one line of canonical JSON (sorted keys, no
 * blanks) that ends with its own hash. The hash is SHA-256 over a zero byte and the line without its `hash` member, which
 * is also its leaf hash in the Merkle tree: one hash serves the chain and the tree. Entries of older logs leave the zero
 * byte out. Pure. Entries hold decisions and commitments, never content; that is their maker's duty.
 */
import { hash } from 'node:crypto';
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { LEARNING_CHANGES } from '../contract/learning.ts';
import type { CampaignDeclaration } from '../contract/risk.ts';
import type { Resolution } from '../contract/review.ts';
import type { Direction } from '../contract/screening.ts';

/** Written by the log itself after a crash: how many bytes of an unfinished line were cut off. */
export interface RecoveredRecord {
  readonly kind: 'recovered';
  readonly bytes: number;
}

/** Written by the log itself when it could take entries again: how many it had to turn away. */
export interface LostRecord {
  readonly kind: 'lost';
  readonly count: number;
}

export const POLICY_CHANGES = ['put', 'rollback', 'retire'] as const;

/** Somebody changed a stored policy; its text is in the store. */
export interface PolicyChangeRecord {
  readonly kind: 'policy_change';
  readonly change: (typeof POLICY_CHANGES)[number];
  readonly policy_id: string;
  readonly revision: number;
  readonly parent: number;
  readonly author: string;
  /** Of the source; of a retired policy that of the empty text. */
  readonly sha256: string;
}

export const ACCESS_CHANGES = ['token_created', 'token_revoked', 'session_opened', 'session_ended', 'session_revoked', 'login_refused'] as const;

/** Somebody gave or took access to the admin port, or used it to come in. */
export interface AccessChangeRecord {
  readonly kind: 'access_change';
  readonly change: (typeof ACCESS_CHANGES)[number];
  /** Who did it. */
  readonly author: string;
  /** Of the token, or the person. */
  readonly name: string;
  /** Of the token or the session. */
  readonly id?: string;
  readonly roles: readonly string[];
  readonly tenants: readonly string[];
  /** How somebody came in. */
  readonly via?: 'token' | 'oidc';
}

/** Somebody made or revoked a tenant's key. Nothing of the key is here. */
export interface KeyChangeRecord {
  readonly kind: 'key_change';
  readonly change: 'create' | 'revoke';
  /** The change's number in the store: where an entry is there twice, it is one change. */
  readonly number: number;
  readonly tenant_id: string;
  readonly key_id: string;
  readonly author: string;
  /** When it was made; the entry may be later. */
  readonly created_at: string;
}

/** A person decided an item of the review queue, or objected to how it was decided, or nobody did in time. What they wrote is not here. */
export interface ReviewRecord {
  readonly kind: 'review';
  readonly change: 'verdict' | 'appeal' | 'overdue';
  /** `weir` where nobody did. */
  readonly author: string;
  readonly review_id: string;
  readonly request_id: string;
  readonly tenant_id: string;
  readonly direction: Direction;
  readonly round: number;
  /** Of a verdict. */
  readonly resolution?: Resolution;
  readonly categories?: readonly string[];
  /** How the item ended by it; null: it goes on. */
  readonly resolved: Resolution | null;
}

export const ANNOTATION_CHANGES = ['paused', 'resumed', 'calibration', 'retired', 'opened', 'imported', 'exported'] as const;

/** Of those who label for residual-risk campaigns somebody was paused or resumed; known answers or labels were taken in; a known answer was retired, or its text opened; labels were given out. */
export interface AnnotationRecord {
  readonly kind: 'annotation';
  readonly change: (typeof ANNOTATION_CHANGES)[number];
  /** Who did it; `calibration`: the agreement with known answers was too low. */
  readonly author: string;
  readonly annotator_id?: string;
  readonly campaign?: string;
  /** Of whoever was paused: their agreement, and with how many known answers. */
  readonly agreement?: number;
  readonly answers?: number;
  /** Labels that count no more, and drawn texts that wait for others. */
  readonly flagged?: number;
  readonly requeued?: number;
  /** Items or labels. */
  readonly count?: number;
  /** In a person's words, about a person's work. */
  readonly reason?: string;
}

/** Of what models learn from a version was made, or given out; a model was trained on it; texts were offered to the review queue. No text is here. */
export interface LearningRecord {
  readonly kind: 'learning';
  readonly change: (typeof LEARNING_CHANGES)[number];
  readonly author: string;
  /** The version, and its hash. */
  readonly dataset?: string;
  readonly sha256?: string;
  readonly tenants?: readonly string[];
  /** Rows, or texts. */
  readonly count: number;
  /** Of a model that was trained. */
  readonly model_id?: string;
}

export const CAMPAIGN_CHANGES = ['in_force', 'withdrawn', 'corrected', 'reported'] as const;

/** A campaign draws by this from now on, or no more; a report of it was issued; somebody says what was wrong with one. */
export interface CampaignRecord extends Partial<Omit<CampaignDeclaration, 'campaign'>> {
  readonly kind: 'campaign';
  readonly change: (typeof CAMPAIGN_CHANGES)[number];
  /** Who did it; `weir`: its configuration. */
  readonly author: string;
  readonly campaign: string;
  /** Of a report: its number, its days, the SHA-256 of its JSON. */
  readonly version?: number;
  readonly from?: string | null;
  readonly until?: string | null;
  readonly report_sha256?: string;
  /** Of a correction, in a person's words. */
  readonly reason?: string;
}

export const MODEL_RECORD_CHANGES = ['promote', 'rollback', 'retire', 'shadow'] as const;

/** Another model works from now on in place of what a plugin ships, or of another; or one is retired, or runs beside. */
export interface ModelChangeRecord {
  readonly kind: 'model_change';
  readonly change: (typeof MODEL_RECORD_CHANGES)[number];
  readonly author: string;
  /** Folder of plugins/. */
  readonly plugin: string;
  /** Of the switch; absent: nothing was switched. */
  readonly number?: number;
  /** Null: what the plugin ships; of `shadow`: none any more. */
  readonly model_id: string | null;
  readonly sha256?: string;
  readonly from_model_id?: string | null;
  readonly from_sha256?: string;
  /** What it was trained on. */
  readonly dataset?: string;
  /** On held-out rows, candidate less base: value and 95 % interval. */
  readonly evaluation?: readonly { readonly category: string; readonly n: number; readonly positives: number; readonly recall_change: readonly [value: number, low: number, high: number]; readonly false_positive_change: readonly [value: number, low: number, high: number] }[];
  /** Of a promotion: what stood against it. Overridden where there is any. */
  readonly gate?: 'passed' | 'overridden';
  readonly against?: readonly string[];
  readonly reason?: string;
  /** Of texts that are scored beside. */
  readonly share?: number;
}

/** The log is signed with another key from this entry on. */
export interface KeyRotationRecord {
  readonly kind: 'key_rotation';
  /** Says so, signed with both keys. */
  readonly note: string;
}

/** Written on an operator's word: the log goes on although entries are missing, or the key was lost. */
export interface LossAcceptedRecord {
  readonly kind: 'loss_accepted';
  /** What was found, with its place. */
  readonly reason: string;
  /** Entries of the newest checkpoint that are not in the log any more, this one's index being the first. */
  readonly count: number;
  /** That checkpoint, as it was signed; absent: there was none. */
  readonly checkpoint?: string;
  /** Folder beside the log that keeps the files as they were; absent: they are unchanged. */
  readonly set_aside?: string;
}

/** Keys of kept content were destroyed: of a tenant, of its days before one, of one exchange, of one session. */
export interface ErasureRecord {
  readonly kind: 'erasure';
  /** Who asked for it; `retention`: it was older than the tenant keeps it. */
  readonly author: string;
  readonly tenant_id: string;
  /** A day in UTC. */
  readonly before?: string | undefined;
  readonly request_id?: string | undefined;
  readonly session_id?: string | undefined;
  /** Of one that was asked for in a fleet: which. Each process that carries it out has an entry. */
  readonly erasure_id?: string | undefined;
  /** Exchanges whose key was destroyed now, and those found without: destroyed before, perhaps by an erasure that a crash cut short. */
  readonly destroyed: number;
  readonly gone: number;
}

/** A process is gone with the content that it kept, on an operator's word: what it had not erased is erased nowhere else. */
export interface KeeperGoneRecord {
  readonly kind: 'keeper_gone';
  readonly author: string;
  readonly keeper: string;
  /** The log of the process. */
  readonly log: string;
  readonly seen_at: string;
  /** Erasures that were asked for and that it had not carried out. */
  readonly waiting: number;
  readonly reason: string;
}

/** Kept content has another master key from here on; keys by their ids, which open nothing. */
export interface ContentKeyRotationRecord {
  readonly kind: 'content_key_rotation';
  readonly author: string;
  /** Absent: the former was destroyed already, by a rotation that was cut short. */
  readonly from?: string;
  readonly to: string;
  readonly rewrapped: number;
  readonly damaged: number;
}

/** Entries before `first` passed their retention and are removed, all of which this log had and had verified. */
export interface PrunedRecord {
  readonly kind: 'pruned';
  /** Index of the first entry that stays. */
  readonly first: number;
  /** Where the log began before. */
  readonly from: number;
  /** Time of the newest entry that is removed. */
  readonly newest: string;
  /** Roots of the full subtrees of the tree over the entries before `first`, left to right. */
  readonly edge: readonly string[];
  /** Notes of the key rotations among them, with the index of each: who trusts an old key can follow. */
  readonly rotations: readonly { readonly index: number; readonly note: string }[];
}

/** The same of the copy of another log: who keeps it removed what passed its retention here, since nobody else may write to that log. */
export interface PrunedCopyRecord extends Omit<PrunedRecord, 'kind'> {
  readonly kind: 'pruned_copy';
  /** Its name. */
  readonly log: string;
}

export const SHIPPED_LOG_CHANGES = ['pinned', 'refused', 'resumed'] as const;

/** Another log, which is shipped here: its key is known from now on, or its entries are not taken, or taken again. */
export interface ShippedLogRecord {
  readonly kind: 'shipped_log';
  readonly change: (typeof SHIPPED_LOG_CHANGES)[number];
  /** Its name. */
  readonly log: string;
  /** Name of the token. */
  readonly author: string;
  /** Entries of it that are here. */
  readonly entries: number;
  /** As notes write it. */
  readonly key?: string;
  /** Why it is refused. */
  readonly code?: string;
  readonly reason?: string;
}

export type AuditRecord = ExchangeRecord | PolicyChangeRecord | AccessChangeRecord | KeyChangeRecord | KeyRotationRecord | LossAcceptedRecord | ErasureRecord | KeeperGoneRecord | ContentKeyRotationRecord | PrunedRecord | PrunedCopyRecord | ReviewRecord | AnnotationRecord | CampaignRecord | LearningRecord | ModelChangeRecord | ShippedLogRecord | RecoveredRecord | LostRecord;

/** Where an entry stands. `prev` is the hash of the entry before it, `GENESIS` for the first. */
export interface Link {
  readonly index: number;
  readonly time: string;
  readonly origin: string;
  readonly prev: string;
}

/** 64 hex digits of SHA-256, lower case. */
export interface SealedEntry {
  /** The line without its line end. */
  readonly line: string;
  readonly hash: string;
}

export const GENESIS = '0'.repeat(64);

/** What a line ends with: `,"hash":"`, 64 hex digits, `"}`. */
export const SEAL_CHARS = 9 + 64 + 2;

export function sealEntry(link: Link, record: AuditRecord): SealedEntry {
  const body = canonicalJson({ ...record, index: link.index, time: link.time, origin: link.origin, prev: link.prev });
  const digest = hash('sha256', `\0${body}`, 'hex');
  return { line: `${body.slice(0, -1)},"hash":"${digest}"}`, hash: digest };
}

/** JSON with keys in code-unit order and without blanks; members that are undefined are left out. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item === undefined ? null : item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const object = value as Record<string, unknown>;
  let members = '';
  for (const key of Object.keys(object).sort()) {
    if (object[key] === undefined) continue;
    members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(object[key])}`;
  }
  return `{${members}}`;
}
