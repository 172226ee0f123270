/**
 * Labelling over the API. Who labels is given one text after the other, with nothing that tells where it comes from, what
 * the machine made of it, or whether its answer is known; and hears nothing of how others did, and of themselves only what
 * no label of theirs can be read from. Who decides where two differ sees both labels, without names.
 */
import type { Taxonomy } from '../config/taxonomy.ts';
import { CONFIDENCE_TIERS, HUMAN_LABELS, SKIP_REASONS } from '../contract/risk.ts';
import type { GivenVerdict } from '../risk/labelling.ts';
import { lastSitting, paceOf } from '../risk/quality.ts';
import type { AnnotatorRow, LabelRefusal } from '../store/annotations.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import type { RiskDesk } from './risk.ts';
import { ref } from './schemas.ts';
import { breakRefusal, noteLabel } from './wellness.ts';

const LABELLERS = ['admin', 'reviewer'] as const;
const json = ['application/json'] as const;
const NOTE_CHARS_MAX = 2_000;
/** Of one's own labels, those that one's pace is told from. */
const PACED = 500;

const BAD = { 400: { meaning: 'the body cannot be used, and why' } } as const;
const LOST = { 404: { meaning: 'the caller has no such annotation' }, 409: { meaning: 'the annotation is somebody else’s by now, or has its label' } } as const;
const BREAK = { 409: { meaning: 'a break is due or goes on; `POST /api/v1/me/break` answers it' } } as const;
const DONE: DeskAnswer = { status: 200, body: { done: true } };

export const RISK_LABELLING_ROUTES: readonly Route<RiskDesk>[] = [
  { method: 'GET', path: '/api/v1/risk/guide', name: 'readRiskGuide', access: ['admin', 'policy', 'auditor', 'reviewer'], meaning: 'the taxonomy by which people label', answers: { 200: { meaning: 'its categories', schema: ref('RiskGuide') } }, run: async ({ taxonomy }) => ({ status: 200, body: taxonomy }) },
  { method: 'POST', path: '/api/v1/risk/next', name: 'nextAnnotation', access: LABELLERS, meaning: 'the next text to label, of the caller’s batch or of a new one; or why there is none', answers: { 200: { meaning: 'the text', schema: ref('RiskNext') }, ...BREAK }, run: (desk, request) => unlessBreak(desk, request, NO_TEXT, () => desk.labelling.next(request.author)) },
  { method: 'GET', path: '/api/v1/risk/current', name: 'readCurrentAnnotation', access: LABELLERS, meaning: 'the next text of the batch that the caller has; no new one is given', answers: { 200: { meaning: 'the text', schema: ref('RiskNext') }, ...BREAK }, run: (desk, request) => unlessBreak(desk, request, NO_TEXT, () => desk.labelling.current(request.author)) },
  { method: 'POST', path: '/api/v1/risk/annotations/:id/label', name: 'labelAnnotation', access: LABELLERS, meaning: 'label a text that the caller was given', body: { schema: ref('NewAnnotation'), types: json }, answers: { 200: { meaning: 'it has its label', schema: ref('RiskDone') }, ...BAD, ...LOST }, run: label },
  { method: 'POST', path: '/api/v1/risk/annotations/:id/skip', name: 'skipAnnotation', access: LABELLERS, meaning: 'give back a text that the caller was given, and why: others are given it; what is `unreadable` nobody, and it counts as missing', body: { schema: ref('RiskSkip'), types: json }, answers: { 200: { meaning: 'it is given back', schema: ref('RiskDone') }, ...BAD, ...LOST }, run: skip },
  { method: 'POST', path: '/api/v1/risk/undo', name: 'undoLabel', access: LABELLERS, meaning: 'take the caller’s newest label back, while no other batch was given since and the claim holds', answers: { 200: { meaning: 'the text is before them again', schema: ref('RiskDone') }, 409: { meaning: 'there is none that can be taken back' } }, run: undo },
  { method: 'POST', path: '/api/v1/risk/renew', name: 'renewAnnotations', access: LABELLERS, meaning: 'keep the caller’s batch', answers: { 200: { meaning: 'until when it is theirs', schema: ref('RiskRenewed') }, 409: { meaning: 'the caller has none' } }, run: renew },
  { method: 'POST', path: '/api/v1/risk/release', name: 'releaseAnnotations', access: LABELLERS, meaning: 'give the rest of the caller’s batch to others; the caller is not given it again', answers: { 200: { meaning: 'how much that was', schema: ref('RiskReleased') } }, run: release },
  { method: 'POST', path: '/api/v1/risk/disputes/next', name: 'nextDispute', access: LABELLERS, meaning: 'a text of which two say different things, with what they say and without who they are, for who has said nothing of it; its label decides', answers: { 200: { meaning: 'the text, and both labels', schema: ref('RiskDispute') }, ...BREAK }, run: (desk, request) => unlessBreak(desk, request, NO_DISPUTE, () => desk.labelling.nextDispute(request.author)) },
  { method: 'GET', path: '/api/v1/risk/disputes/current', name: 'readCurrentDispute', access: LABELLERS, meaning: 'the one that the caller has; no new one is given', answers: { 200: { meaning: 'the text, and both labels', schema: ref('RiskDispute') }, ...BREAK }, run: (desk, request) => unlessBreak(desk, request, NO_DISPUTE, () => desk.labelling.currentDispute(request.author)) },
  { method: 'GET', path: '/api/v1/risk/me', name: 'readAnnotator', access: LABELLERS, meaning: 'how the caller stands: how much they labelled today and may, their batch, their pace, their agreement in steps that no label can be read from', answers: { 200: { meaning: 'the counts', schema: ref('RiskMe') } }, run: me },
];

const NO_TEXT = { annotation: null, texts: [], cut: 0, left: 0, done: 0 } as const;
const NO_DISPUTE = { annotation: null, texts: [], cut: 0, labels: [] } as const;

async function unlessBreak(desk: RiskDesk, { author }: DeskRequest, nothing: object, find: () => Promise<{ readonly state: string }>): Promise<DeskAnswer> {
  const refused = desk.wellness && (await breakRefusal(desk.wellness, author, await desk.wellness.store.settings(author)));
  if (refused !== undefined) return refused;
  const found = await find();
  return { status: 200, body: found.state === 'there' ? found : { ...nothing, ...found } };
}

async function label(desk: RiskDesk, { id, text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readLabel(parsed(text), desk.taxonomy);
  if (typeof wanted === 'string') return invalid(wanted);
  const done = await desk.labelling.label(id, author, wanted);
  if (typeof done === 'string') return refusal(done, id);
  if (desk.wellness !== undefined) await noteLabel(desk.wellness, author, wanted.category);
  return DONE;
}

async function skip({ labelling }: RiskDesk, { id, text, author }: DeskRequest): Promise<DeskAnswer> {
  const { reason, ...rest } = (parsed(text) ?? {}) as Readonly<Record<string, unknown>>;
  const known = SKIP_REASONS.find((one) => one === reason);
  if (known === undefined || Object.keys(rest).length > 0) return invalid(`the body has reason, one of ${SKIP_REASONS.join(', ')}, and nothing else`);
  const refused = await labelling.skip(id, author, known);
  return refused === undefined ? DONE : refusal(refused, id);
}

async function undo({ labelling }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  return (await labelling.undo(author)) === 'undone' ? DONE : { status: 409, body: fault('nothing_to_undo', 'there is no label of yours that can be taken back: it is of an earlier batch, or too old') };
}

async function renew({ labelling }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  const until = await labelling.renew(author);
  return until === undefined ? { status: 409, body: fault('claim_lost', 'you have no batch; ask for the next text') } : { status: 200, body: { claimed_until: until } };
}

async function release({ labelling }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  return { status: 200, body: { released: await labelling.giveBack(author) } };
}

/** Drift is not among it, nor anything else that an answer moves before its step. */
async function me({ store, checks, labelling, risk, now }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  const [row, [today], open, told, paces, disputes] = await Promise.all([
    store.annotator(author), checks.activity(`${now().toISOString().slice(0, 10)}T00:00:00.000Z`, author), store.open(author), labelling.toldAgreement(author), checks.paces(author, PACED), store.disputes(author),
  ]);
  const { daily_max: dailyMax, violations_daily_max: violationsMax, agreement_percent: required } = risk().annotation;
  const { n, medianMs, isTooFast, slowing, isSlowing } = paceOf(lastSitting(paces));
  const batch = open[0] && { left: open.length, done: await store.doneOf(open[0].batch_id) };
  return { status: 200, body: {
    state: row?.state ?? 'active', paused: pausedBody(row), labels_today: today?.labels ?? 0, violations_today: today?.violations ?? 0, daily_max: dailyMax, violations_daily_max: violationsMax, open: open.length, batch: batch ?? null,
    agreement: told === undefined ? null : { n: told.n, share: told.agreement!, interval: told.interval }, required_agreement: required / 100, disputes,
    pace: { n, median_ms: medianMs ?? null, is_too_fast: isTooFast, slowing: slowing ?? null, is_slowing: isSlowing },
  } };
}

function pausedBody(row: AnnotatorRow | undefined): object | null {
  if (row?.state !== 'paused') return null;
  const isOwn = row.changed_by === 'calibration';
  return { at: row.changed_at, by: isOwn ? 'calibration' : 'person', reason: isOwn ? null : row.reason };
}

/** What is wrong with it, where it is none. */
function readLabel(value: unknown, { categories }: Taxonomy): GivenVerdict | string {
  const { label, category = null, confidence = 'high', note = '', ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const tier = CONFIDENCE_TIERS.find((one) => one === confidence);
  const wanted = HUMAN_LABELS.find((one) => one === label);
  if (Object.keys(rest).length > 0) return 'the body has label, category, confidence and note, and nothing else';
  if (wanted === undefined) return `label is one of ${HUMAN_LABELS.join(', ')}`;
  if (tier === undefined) return `confidence is one of ${CONFIDENCE_TIERS.join(', ')}`;
  if (typeof note !== 'string' || note.length > NOTE_CHARS_MAX) return `note is a text of at most ${NOTE_CHARS_MAX} characters`;
  if (wanted === 'safe') return category === null ? { label: wanted, category: null, tier, note } : 'what is safe has no category';
  return typeof category === 'string' && categories.some(({ id }) => id === category) ? { label: wanted, category, tier, note } : 'a violation has a category of the taxonomy; GET /api/v1/risk/guide lists them';
}

function refusal(why: LabelRefusal, id: string): DeskAnswer {
  if (why === 'none') return missing(`you were not given an annotation ${id}`);
  return { status: 409, body: fault(why === 'decided' ? 'already_decided' : 'claim_lost', why === 'decided' ? `annotation ${id} has its label` : `annotation ${id} is not yours any more; take the next`) };
}
