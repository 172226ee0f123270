/**
 * One entry of the audit log: a record with its place in the chain, as one line of canonical JSON (sorted keys, no
 * blanks) that ends with its own hash. The hash is SHA-256 over the line without its `hash` member, so a verifier needs
 * the bytes and nothing else. Pure. Entries hold decisions and commitments, never content; that is their maker's duty.
 */
import { hash } from 'node:crypto';
import type { ExchangeRecord } from '../contract/exchange.ts';

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

export type AuditRecord = ExchangeRecord | PolicyChangeRecord | RecoveredRecord | LostRecord;

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

/** `,"hash":"` + 64 hex digits + `"}` */
const SEAL_CHARS = 9 + 64 + 2;
const CLOSE = Buffer.from('}');

export function sealEntry(link: Link, record: AuditRecord): SealedEntry {
  const body = canonicalJson({ ...record, index: link.index, time: link.time, origin: link.origin, prev: link.prev });
  const digest = hash('sha256', body, 'hex');
  return { line: `${body.slice(0, -1)},"hash":"${digest}"}`, hash: digest };
}

/** What the chain needs of an entry. */
export interface OpenedEntry {
  readonly index: number;
  readonly prev: string;
  readonly hash: string;
}

/** Checks a line against its own hash. Takes bytes: decoding first could map two different lines to one text. */
export function openEntry(line: Buffer): OpenedEntry | { readonly fault: string } {
  const cut = line.length - SEAL_CHARS;
  const seal = cut > 0 ? /^,"hash":"([0-9a-f]{64})"\}$/.exec(line.toString('latin1', cut)) : null;
  if (seal === null) return { fault: 'the line does not end with its hash' };
  const digest = hash('sha256', Buffer.concat([line.subarray(0, cut), CLOSE]), 'hex');
  if (digest !== seal[1]) return { fault: 'the line does not match its hash' };
  // The hash held, so this is what some writer wrote; whether that was us is what the chain and the types below tell.
  const entry = parseObject(line);
  if (entry === undefined || typeof entry.index !== 'number' || typeof entry.prev !== 'string') return { fault: 'the line is no entry' };
  return { index: entry.index, prev: entry.prev, hash: digest };
}

function parseObject(line: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
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
