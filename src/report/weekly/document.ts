/**
 * A weekly report as a document that can be kept: canonical JSON with what it rests on in the audit logs, and a signed note
 * over the bytes of each of its forms. Guarantees: the same findings on the same checkpoints, made at the same time, are the
 * same bytes; the hash of the findings alone tells whether two reports say the same; what is altered by one byte does not
 * verify. The note is one as checkpoints are, and can be taken for none. Pure.
 */
import { createHash } from 'node:crypto';
import { isSignedBy, readNote, signNote, type NoteKey, type Signer } from '../../audit/checkpoint.ts';
import { canonicalJson } from '../../audit/entry.ts';
import type { Mapping, Method } from '../campaign/methods.ts';
import type { WeeklyFindings } from './findings.ts';
import { WEEKLY_LIMITS, WEEKLY_MAPPING_NOTE, WEEKLY_MAPPINGS, WEEKLY_METHODS } from './methods.ts';

/** An audit log that the report rests on, with its newest checkpoint. */
export interface WeeklyBasis {
  /** `name+id of its first key` */
  readonly log: string;
  /** As notes write it. */
  readonly key: string;
  /** Entries that the checkpoint covers. */
  readonly entries: number;
  /** A signed note; empty: there is none yet. */
  readonly checkpoint: string;
}

export const WEEKLY_FORMAT = 'weir-weekly-report/1';

export interface WeeklyDocument {
  readonly format: typeof WEEKLY_FORMAT;
  readonly tenant_id: string;
  /** Null: it is of no week. */
  readonly week: string | null;
  readonly made_at: string;
  readonly software: { readonly name: 'weir'; readonly version: string };
  readonly findings_sha256: string;
  readonly findings: WeeklyFindings;
  readonly basis: readonly WeeklyBasis[];
  readonly methods: readonly Method[];
  readonly limits: readonly string[];
  readonly mapping: { readonly note: string; readonly rows: readonly Mapping[] };
}

export function weeklyDocument({ madeAt, software, findings, basis }: { readonly madeAt: string; readonly software: string; readonly findings: WeeklyFindings; readonly basis: readonly WeeklyBasis[] }): WeeklyDocument {
  return {
    format: WEEKLY_FORMAT, tenant_id: findings.tenant.id, week: findings.period.week, made_at: madeAt, software: { name: 'weir', version: software }, findings_sha256: digest(canonicalJson(findings)), findings, basis,
    methods: WEEKLY_METHODS, limits: WEEKLY_LIMITS, mapping: { note: WEEKLY_MAPPING_NOTE, rows: WEEKLY_MAPPINGS },
  };
}

/** As it is signed and kept. */
export function weeklyText(document: WeeklyDocument): string {
  return `${canonicalJson(document)}\n`;
}

export function digest(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Undefined for what is none. */
export function readWeeklyDocument(json: Buffer | string): WeeklyDocument | undefined {
  try {
    const document = JSON.parse(String(json)) as WeeklyDocument | null;
    return document?.format === WEEKLY_FORMAT && typeof document.tenant_id === 'string' && typeof document.findings === 'object' && document.findings !== null ? document : undefined;
  } catch {
    return undefined;
  }
}

// The note.

const NOTE_TITLE = 'weir weekly report';

/** Files by the ending that each has beside the report's name. */
export type WeeklyFiles = Readonly<Record<string, string | Buffer>>;

export function sealWeekly({ tenant_id: tenant, findings: { period } }: WeeklyDocument, files: WeeklyFiles, signer: Signer): string {
  const lines = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1)).map(([ending, text]) => `${ending} sha256 ${digest(text)}\n`);
  return signNote(`${NOTE_TITLE}\ntenant ${tenant}\nperiod ${period.from}/${period.until}\n${lines.join('')}`, [signer]);
}

export interface WeeklySealCheck {
  /** What does not hold; empty: all does. */
  readonly faults: readonly string[];
  /** Endings of the files that were held against the note. */
  readonly checked: readonly string[];
  /** Who signed; undefined: none of the keys. */
  readonly key?: NoteKey;
  readonly document?: WeeklyDocument;
}

/** Holds the files that are at hand against the note; the JSON has to be among them. */
export function checkWeeklySeal({ files, note, keys }: { readonly files: WeeklyFiles; readonly note: string; readonly keys: readonly NoteKey[] }): WeeklySealCheck {
  const read = readNote(note);
  const [title, tenant, period, ...lines] = read?.text.trimEnd().split('\n') ?? [];
  if (read === undefined || title !== NOTE_TITLE) return { faults: ['the note is none of a weekly report'], checked: [] };
  const faults: string[] = [];
  const key = keys.find((one) => isSignedBy(read, one));
  if (key === undefined) faults.push(`the note is signed with ${read.signatures.map((one) => `${one.name}+${one.id}`).join(', ')}, and by none of the keys that count`);
  for (const [ending, text] of Object.entries(files)) if (!lines.includes(`${ending} sha256 ${digest(text)}`)) faults.push(`${ending} is not what was signed`);
  const document = readWeeklyDocument(files['json'] ?? '');
  if (document === undefined) faults.push('the JSON is no weekly report');
  else if (tenant !== `tenant ${document.tenant_id}` || period !== `period ${document.findings.period.from}/${document.findings.period.until}`) faults.push('the note is of another report');
  else if (digest(canonicalJson(document.findings)) !== document.findings_sha256) faults.push('the findings are not those that the report names');
  return { faults, checked: Object.keys(files).sort(), ...(key === undefined ? {} : { key }), ...(document === undefined ? {} : { document }) };
}
