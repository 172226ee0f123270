/**
 * Who labels, over the API: each person's agreement with known answers, drift and pace, what became of their labels; pausing
 * and resuming; labels taken elsewhere and brought back. Every change is an entry of the audit log.
 */
import { SKIP_REASONS } from '../contract/risk.ts';
import { isRight } from '../risk/labelling.ts';
import { IMPORT_ROWS_MAX, LABEL_FORMATS, LabelsFault, readLabels, writeLabels, type LabelFormat } from '../risk/formats.ts';
import { calibrationOf, driftOf, lastSitting, paceOf } from '../risk/quality.ts';
import type { AnnotatorRow } from '../store/annotations.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import type { RiskDesk } from './risk.ts';
import { ref } from './schemas.ts';

const OVERSEERS = ['admin', 'policy', 'auditor'] as const;
const BAD = { 400: { meaning: 'the query or the body cannot be used, and why' } } as const;
const NOBODY = { 404: { meaning: 'nobody of that name has labelled' } } as const;
const json = ['application/json'] as const;
const word = { type: 'string', minLength: 1, maxLength: 200 } as const;
const REASON_CHARS_MAX = 1_000;
const EXPORT = { default: 1_000, max: 5_000 } as const;
/** Of texts that come in at once. */
const BYTES_MAX = 8 * 1024 * 1024;
/** Answers, and labels, that a person is described by. */
const LOOKED_AT = 500;

export const RISK_PEOPLE_ROUTES: readonly Route<RiskDesk>[] = [
  { method: 'GET', path: '/api/v1/risk/annotators', name: 'listAnnotators', access: OVERSEERS, meaning: 'who labels: agreement with known answers, drift, pace, and how much today', answers: { 200: { meaning: 'everybody who has labelled', schema: ref('RiskAnnotators') } }, run: annotators },
  { method: 'POST', path: '/api/v1/risk/annotators/:annotator/pause', name: 'pauseAnnotator', access: ['admin'], meaning: 'give somebody nothing more; what they said since their calibration last held is labelled anew by others', body: { schema: ref('RiskReason'), types: json }, answers: { 200: { meaning: 'they are paused', schema: ref('RiskAnnotator') }, ...BAD, ...NOBODY }, run: pause },
  { method: 'POST', path: '/api/v1/risk/annotators/:annotator/resume', name: 'resumeAnnotator', access: ['admin'], meaning: 'let somebody label again, after training; their calibration begins anew', body: { schema: ref('RiskReason'), types: json }, answers: { 200: { meaning: 'they are not paused any more', schema: ref('RiskAnnotator') }, ...BAD, ...NOBODY }, run: resume },
  {
    method: 'GET', path: '/api/v1/risk/labels', name: 'exportLabels', access: ['admin', 'auditor'], meaning: 'labels of drawn texts, oldest first, without content; `?format=` jsonl, csv or label-studio, `?campaign=`, `?after=` (as `next` says), `?limit=`',
    query: { format: { enum: LABEL_FORMATS }, campaign: word, after: { ...word, maxLength: 400 }, limit: { type: 'integer', minimum: 1, maximum: EXPORT.max } }, answers: { 200: { meaning: 'the labels, as a text of that format', schema: ref('RiskExport') }, ...BAD }, run: exportLabels,
  },
  { method: 'POST', path: '/api/v1/risk/labels', name: 'importLabels', access: ['admin'], meaning: `take in labels that were made or kept elsewhere, at most ${IMPORT_ROWS_MAX}; a person has one label of a text`, body: { schema: ref('RiskImport'), types: json, bytesMax: BYTES_MAX }, answers: { 200: { meaning: 'how many were new', schema: ref('RiskAdded') }, ...BAD }, run: importLabels },
];

async function annotators({ store, checks, risk, now }: RiskDesk): Promise<DeskAnswer> {
  const today = new Map((await checks.activity(`${now().toISOString().slice(0, 10)}T00:00:00.000Z`)).map((one) => [one.annotator_id, one]));
  const { agreement_percent: percent, calibration_checks_min: itemsMin } = risk().annotation;
  const body = [];
  for (const row of await store.annotators()) {
    const right = (await checks.answers({ annotator: row.annotator_id, since: row.since, limit: LOOKED_AT })).map(isRight);
    const calibration = calibrationOf(right, { agreementMin: percent / 100, itemsMin });
    const { isDrift, cusum, limit } = driftOf(right);
    const { n, medianMs, tooFastShare, isTooFast, slowing, isSlowing } = paceOf(lastSitting(await checks.paces(row.annotator_id, LOOKED_AT)));
    const { labels = 0, violations = 0 } = today.get(row.annotator_id) ?? {};
    const { flagged, relabelled, skipped } = await store.leavings(row.annotator_id);
    body.push({
      annotator_id: row.annotator_id, state: row.state, reason: row.reason, changed_by: row.changed_by, changed_at: row.changed_at, since: row.since, calibration: { ...calibration, agreement: calibration.agreement ?? null },
      drift: { is_drift: isDrift, cusum, limit }, pace: { n, median_ms: medianMs ?? null, too_fast_share: tooFastShare, is_too_fast: isTooFast, slowing: slowing ?? null, is_slowing: isSlowing }, labels_today: labels, violations_today: violations,
      flagged, relabelled, skipped: Object.fromEntries(SKIP_REASONS.map((reason) => [reason, skipped[reason] ?? 0])),
    });
  }
  return { status: 200, body: { annotators: body } };
}

async function pause(desk: RiskDesk, request: DeskRequest): Promise<DeskAnswer> {
  return changed(desk, request, async (row, at, reason) => {
    const done = await desk.store.pause(row.annotator_id, at, request.author, reason);
    if (done !== undefined) await desk.audit({ kind: 'annotation', change: 'paused', author: request.author, annotator_id: row.annotator_id, flagged: done.flagged, requeued: done.requeued, reason });
    return 'paused';
  });
}

async function resume(desk: RiskDesk, request: DeskRequest): Promise<DeskAnswer> {
  return changed(desk, request, async (row, at, reason) => {
    if (await desk.store.resume(row.annotator_id, at, request.author, reason)) await desk.audit({ kind: 'annotation', change: 'resumed', author: request.author, annotator_id: row.annotator_id, reason });
    return 'active';
  });
}

async function changed(desk: RiskDesk, { names, text }: DeskRequest, change: (row: AnnotatorRow, at: string, reason: string) => Promise<AnnotatorRow['state']>): Promise<DeskAnswer> {
  const { reason } = (parsed(text) ?? {}) as { readonly reason?: unknown };
  if (typeof reason !== 'string' || reason.trim() === '' || reason.length > REASON_CHARS_MAX) return invalid(`reason is a text of at most ${REASON_CHARS_MAX} characters`);
  const row = await desk.store.annotator(names['annotator']!);
  if (row === undefined) return missing(`nobody called ${names['annotator']} has labelled`);
  return { status: 200, body: { annotator_id: row.annotator_id, state: await change(row, desk.now().toISOString(), reason) } };
}

async function exportLabels({ checks, audit }: RiskDesk, { query, author }: DeskRequest): Promise<DeskAnswer> {
  const { format = 'jsonl', campaign, after, limit = EXPORT.default } = query as { readonly format?: LabelFormat; readonly campaign?: string; readonly after?: string; readonly limit?: number };
  const cursor = after?.split(' ');
  if (cursor !== undefined && cursor.length !== 2) return invalid('after is what next said');
  const rows = await checks.labels({ campaign, limit, after: cursor as [string, string] | undefined });
  const last = rows.length === limit ? rows.at(-1) : undefined;
  await audit({ kind: 'annotation', change: 'exported', author, count: rows.length, ...(campaign === undefined ? {} : { campaign }) });
  return { status: 200, body: { format, data: writeLabels(format, rows), rows: rows.length, next: last === undefined ? null : `${last.labelled_at} ${last.annotation_id}` } };
}

async function importLabels({ checks, audit }: RiskDesk, { text, author }: DeskRequest): Promise<DeskAnswer> {
  const { format, data } = (parsed(text) ?? {}) as { readonly format?: unknown; readonly data?: unknown };
  const known = LABEL_FORMATS.find((one) => one === format);
  if (known === undefined || typeof data !== 'string') return invalid(`the body has format, one of ${LABEL_FORMATS.join(', ')}, and data, a text`);
  try {
    const rows = readLabels(known, data);
    const added = await checks.takeIn(rows);
    await audit({ kind: 'annotation', change: 'imported', author, count: added });
    return { status: 200, body: { added, known: rows.length - added } };
  } catch (error) {
    if (!(error instanceof LabelsFault)) throw error;
    return { status: 400, body: fault('invalid_labels', error.message) };
  }
}
