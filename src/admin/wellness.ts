/**
 * What people who review ask for themselves over the API: each their own and nobody else's, whatever their role. Nothing
 * of it is in the audit log, and no reason is asked for. How long somebody has been at it, and what they opened today, is
 * told to them alone; the question whether to have a break is asked before the next item, and is theirs to answer.
 */
import type { ReviewItem } from '../contract/review.ts';
import { BREAK_BOUNDS, GUARDED_SUBJECTS, isSevere, SUBJECTS, subjectsOf, WELLNESS_DEFAULTS, type BreakLimits, type Subject, type WellnessSettings } from '../contract/wellness.ts';
import { answered, limitsFor, paceAt, stateOf, workedAt } from '../review/pace.ts';
import type { WellnessStore } from '../store/wellness.ts';
import { fault, invalid, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

/** What the routes about people's own settings are given. */
export interface WellnessDesk {
  readonly store: WellnessStore;
  /** As the configuration asks. */
  limits(): BreakLimits;
  now(): Date;
}

const REVIEWERS = ['admin', 'reviewer'] as const;
const JSON_BODY = ['application/json'] as const;
const OWN = { 200: { meaning: 'as it stands then', schema: ref('Wellness') } } as const;
const BAD = { 400: { meaning: 'the body cannot be used, and why' } } as const;

export const WELLNESS_ROUTES: readonly Route<WellnessDesk>[] = [
  { method: 'GET', path: '/api/v1/me/wellness', name: 'readWellness', access: REVIEWERS, meaning: 'one’s own settings for reviewing, what one opened today, and when a break is asked for', answers: { 200: { meaning: 'the caller’s own', schema: ref('Wellness') } }, run: async (desk, { author }) => ({ status: 200, body: await ownOf(desk, author) }) },
  { method: 'PUT', path: '/api/v1/me/wellness', name: 'saveWellness', access: REVIEWERS, meaning: 'set one’s own settings for reviewing; what is left out is as at first', body: { schema: ref('NewWellness'), types: JSON_BODY }, answers: { ...OWN, ...BAD }, run: save },
  { method: 'POST', path: '/api/v1/me/break', name: 'answerBreak', access: REVIEWERS, meaning: 'have a break (`take: true`), or go on', body: { schema: ref('BreakAnswer'), types: JSON_BODY }, answers: { ...OWN, ...BAD }, run: answer },
];

async function ownOf({ store, limits, now }: WellnessDesk, reviewer: string): Promise<object> {
  const at = now();
  const settings = await store.settings(reviewer);
  const own = limitsFor(limits(), settings);
  const pace = paceAt(await store.pace(reviewer), at.getTime(), own);
  const { opened, severe, subjects, undisclosed } = await store.exposure(reviewer, dayOf(at));
  const state = stateOf(pace, at.getTime(), own);
  return {
    reviewer, settings,
    breaks: { after_minutes: own.afterMinutes, after_severe_items: own.afterItems, minutes: own.minutes, state, since: new Date(pace.sinceMs).toISOString(), until: state === 'break' ? new Date(pace.breakUntilMs!).toISOString() : null },
    today: { day: dayOf(at), opened, severe, undisclosed, subjects: SUBJECTS.flatMap((subject) => (subjects[subject] === undefined ? [] : [{ subject, opened: subjects[subject] }])) },
  };
}

async function save(desk: WellnessDesk, { text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readSettings(parsed(text), desk.limits());
  if (typeof wanted === 'string') return invalid(wanted);
  await desk.store.saveSettings(author, wanted, desk.now().toISOString());
  return { status: 200, body: await ownOf(desk, author) };
}

async function answer(desk: WellnessDesk, { text, author }: DeskRequest): Promise<DeskAnswer> {
  const { take } = (parsed(text) ?? {}) as { readonly take?: unknown };
  if (typeof take !== 'boolean') return invalid('send {"take": true} to have a break, or {"take": false} to go on');
  await desk.store.movePace(author, () => answered(take, desk.now().getTime(), desk.limits()));
  return { status: 200, body: await ownOf(desk, author) };
}

/** What somebody asks for, checked, or what is wrong with it. */
function readSettings(value: unknown, limits: BreakLimits): WellnessSettings | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `send an object with some of ${Object.keys(WELLNESS_DEFAULTS).join(', ')}`;
  const { cover, greyscale, opt_out: optOut, break_after_minutes: minutes, break_after_items: items, ...others } = { ...WELLNESS_DEFAULTS, ...(value as Readonly<Record<string, unknown>>) };
  const [strange] = Object.keys(others);
  if (strange !== undefined) return `unknown key ${strange.slice(0, 80)}; there is ${Object.keys(WELLNESS_DEFAULTS).join(', ')}`;
  if (typeof cover !== 'boolean' || typeof greyscale !== 'boolean') return 'cover and greyscale are true or false';
  if (!Array.isArray(optOut) || !optOut.every((subject) => (SUBJECTS as readonly unknown[]).includes(subject))) return `opt_out is a list of some of ${SUBJECTS.join(', ')}`;
  const late = tooLate('break_after_minutes', minutes, BREAK_BOUNDS.afterMinutes.min, limits.afterMinutes) ?? tooLate('break_after_items', items, BREAK_BOUNDS.afterItems.min, limits.afterItems);
  return late ?? { cover, greyscale, opt_out: SUBJECTS.filter((subject) => (optOut as readonly Subject[]).includes(subject)), break_after_minutes: minutes as number | null, break_after_items: items as number | null };
}

function tooLate(name: string, value: unknown, min: number, max: number): string | undefined {
  return value === null || (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) ? undefined : `${name} is null, or a whole number from ${min} to ${max}, which is what is configured`;
}

// While somebody reviews.

/** Before the next item: whether a break is due or goes on. Otherwise it counts as being at it. */
export async function breakRefusal({ store, limits, now }: WellnessDesk, reviewer: string, settings: WellnessSettings): Promise<DeskAnswer | undefined> {
  const nowMs = now().getTime();
  const own = limitsFor(limits(), settings);
  const pace = await store.movePace(reviewer, (before) => workedUnlessAsked(paceAt(before, nowMs, own), nowMs, own));
  const state = stateOf(pace, nowMs, own);
  if (state === 'working') return undefined;
  const message = state === 'break' ? `your break lasts until ${new Date(pace.breakUntilMs!).toISOString()}; POST /api/v1/me/break with {"take": false} ends it` : 'a break is due; POST /api/v1/me/break with {"take": true}, or {"take": false} to go on';
  return { status: 409, body: fault(state === 'break' ? 'on_break' : 'break_due', message) };
}

function workedUnlessAsked(pace: ReturnType<typeof paceAt>, nowMs: number, own: BreakLimits): ReturnType<typeof paceAt> {
  return stateOf(pace, nowMs, own) === 'working' ? workedAt(pace, nowMs, undefined) : pace;
}

/** The text of an item was opened. */
export async function noteOpening({ store, limits, now }: WellnessDesk, reviewer: string, item: ReviewItem): Promise<void> {
  const at = now();
  const severe = isSevere(item);
  const isFirst = await store.opened(reviewer, dayOf(at), { review_id: item.review_id, severe, subjects: subjectsOf(item.classifier_results) });
  if (isFirst) await store.movePace(reviewer, (before) => workedAt(paceAt(before, at.getTime(), limits()), at.getTime(), { severe }));
}

/** A text was labelled; what its label says it was about counts, and nothing that a machine says. */
export async function noteLabel({ store, limits, now }: WellnessDesk, annotator: string, category: string | null): Promise<void> {
  const nowMs = now().getTime();
  const severe = category !== null && subjectsOf([{ classifier_id: '', category, score: 1 }]).some((subject) => GUARDED_SUBJECTS.includes(subject));
  await store.movePace(annotator, (before) => workedAt(paceAt(before, nowMs, limits()), nowMs, { severe }));
}

function dayOf(at: Date): string {
  return at.toISOString().slice(0, 10);
}
