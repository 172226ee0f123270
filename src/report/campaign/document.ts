/**
 * The report of a campaign as a document that can be kept: canonical JSON, with what it rests on in the audit logs, and a
 * signed note over its bytes and those of its page. Guarantees: the same findings on the same checkpoints are the same bytes,
 * but for the time they were made; what is altered by one byte does not verify. The note is one as checkpoints are, and can
 * be taken for none. Pure.
 */
import { createHash } from 'node:crypto';
import { isSignedBy, readNote, signNote, type NoteKey, type Signer } from '../../audit/checkpoint.ts';
import { canonicalJson } from '../../audit/entry.ts';
import type { ReportFindings } from './findings.ts';
import { MAPPING_NOTE, MAPPINGS, METHODS } from './methods.ts';

/** As far as a log was looked through, and a checkpoint that covers it. */
export interface LogBasis {
  readonly log: string;
  /** As notes write it. */
  readonly key: string;
  /** Entries that were looked through, and the hash of the last. */
  readonly entries: number;
  readonly head: string;
  /** A signed note. */
  readonly checkpoint: string;
  /** Of the campaign and the period, as they are counted in those entries. */
  readonly counts: readonly { readonly definition: string; readonly stratum: string; readonly probability: number; readonly total: number; readonly drawn: number }[];
}

/** What differs from the report before it. */
export interface ReportChanges {
  readonly version: number;
  readonly sha256: string;
  readonly differences: readonly { readonly what: string; readonly was: unknown; readonly is: unknown }[];
}

export interface ReportDocument {
  readonly format: typeof REPORT_FORMAT;
  readonly campaign: string;
  /** Null: it was not issued. */
  readonly version: number | null;
  readonly made_at: string;
  readonly software: { readonly name: 'weir'; readonly version: string };
  readonly findings_sha256: string;
  readonly findings: ReportFindings;
  /** Against the last that was issued of the same days; null: there is none. */
  readonly changes: ReportChanges | null;
  readonly basis: readonly LogBasis[];
  readonly methods: typeof METHODS;
  readonly mapping: { readonly note: string; readonly rows: typeof MAPPINGS };
}

export const REPORT_FORMAT = 'weir-risk-report/1';
/** For who serves the page: it has a style of its own, loads nothing and runs nothing. */
export const REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const NOTE_TITLE = 'weir risk report';

export function documentOf({ version, madeAt, software, findings, basis, before }: {
  readonly version: number | null; readonly madeAt: string; readonly software: string; readonly findings: ReportFindings; readonly basis: readonly LogBasis[];
  /** The last that was issued of the same days. */
  readonly before?: { readonly version: number; readonly sha256: string; readonly findings: ReportFindings; readonly software: string } | undefined;
}): ReportDocument {
  return {
    format: REPORT_FORMAT, campaign: findings.campaign, version, made_at: madeAt, software: { name: 'weir', version: software }, findings_sha256: sha256Of(canonicalJson(findings)), findings,
    changes: before === undefined ? null : { version: before.version, sha256: before.sha256, differences: differencesOf({ ...figuresOf(before.findings), software: before.software }, { ...figuresOf(findings), software }) },
    basis, methods: METHODS, mapping: { note: MAPPING_NOTE, rows: MAPPINGS },
  };
}

/** As it is signed and kept. */
export function documentText(document: ReportDocument): string {
  return `${canonicalJson(document)}\n`;
}

export function sha256Of(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What a reader of two reports holds against each other. */
function figuresOf({ sample, estimates: { total, claim, corrected }, population, question, taxonomy, corrections, deviations, agreement }: ReportFindings): Readonly<Record<string, unknown>> {
  return {
    drawn: sample.drawn, labelled: sample.labelled, waiting: sample.waiting, missing: Object.values(sample.missing).reduce((sum, one) => sum + one, 0), 'labels that count no more': sample.flagged, violations: total.violations, 'population, counted': population.counted,
    rate: total.rate, 'interval, low': total.interval.low, 'interval, high': total.interval.high, 'upper limit': total.upper, 'corrected rate': corrected.rate, 'texts that several labelled': agreement?.items ?? 0,
    claim: claim && `below ${claim.below} at ${claim.confidence}`, 'state of the claim': claim?.state ?? null, 'plan declared at': question.declared_at, 'version of the taxonomy': taxonomy.version, 'hash of the taxonomy': taxonomy.sha256, corrections: corrections.length, deviations: deviations.length, 'what became of each text, hashed': sample.sha256,
  };
}

function differencesOf(was: Readonly<Record<string, unknown>>, is: Readonly<Record<string, unknown>>): ReportChanges['differences'] {
  return Object.keys(is).filter((what) => was[what] !== is[what]).map((what) => ({ what, was: was[what], is: is[what] }));
}

// The note.

export interface ReportSeal {
  readonly campaign: string;
  readonly version: number | null;
  readonly json: string;
  readonly html: string;
}

export function sealReport({ campaign, version, json, html }: ReportSeal, signer: Signer): string {
  return signNote(`${NOTE_TITLE}\ncampaign ${campaign}\nversion ${version ?? 'draft'}\njson sha256 ${json}\nhtml sha256 ${html}\n`, [signer]);
}

export interface SealCheck {
  /** What does not hold; empty: all does. */
  readonly faults: readonly string[];
  /** Who signed; undefined: none of the keys. */
  readonly key?: NoteKey;
  readonly document?: ReportDocument;
}

/** Holds the bytes of a report against its note. Without the page, or without keys, that part is not looked at. */
export function checkSeal({ json, html, note, keys }: { readonly json: Buffer; readonly html?: Buffer | undefined; readonly note: string; readonly keys: readonly NoteKey[] }): SealCheck {
  const read = readNote(note);
  const [title, campaign, version, own, page] = read?.text.split('\n') ?? [];
  if (read === undefined || title !== NOTE_TITLE || campaign === undefined || version === undefined) return { faults: ['the note is none of a report'] };
  const faults: string[] = [];
  const key = keys.find((one) => isSignedBy(read, one));
  if (key === undefined) faults.push(`the note is signed with ${read.signatures.map((one) => `${one.name}+${one.id}`).join(', ')}, and by none of the keys that count`);
  if (own !== `json sha256 ${sha256Of(json)}`) faults.push('the JSON is not what was signed');
  if (html !== undefined && page !== `html sha256 ${sha256Of(html)}`) faults.push('the page is not what was signed');
  const document = readDocument(json);
  if (document === undefined) faults.push('the JSON is no report');
  else if (campaign !== `campaign ${document.campaign}` || version !== `version ${document.version ?? 'draft'}`) faults.push('the note is of another report');
  else if (sha256Of(canonicalJson(document.findings)) !== document.findings_sha256) faults.push('the findings are not those that the report names');
  return { faults, ...(key === undefined ? {} : { key }), ...(document === undefined ? {} : { document }) };
}

/** Undefined for what is none. */
export function readDocument(json: Buffer | string): ReportDocument | undefined {
  try {
    const document = JSON.parse(String(json)) as ReportDocument | null;
    return document?.format === REPORT_FORMAT && typeof document.campaign === 'string' && Array.isArray(document.basis) && typeof document.findings === 'object' && document.findings !== null ? document : undefined;
  } catch {
    return undefined;
  }
}
