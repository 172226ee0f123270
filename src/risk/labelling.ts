/**
 * What a person who labels is given, and what becomes of their label. Guarantees: an item with a known answer is given as
 * any other, by the same steps, and its answer is judged only between two batches, so that neither an answer nor how long
 * it takes tells which it was, nor what they are told of themselves; who falls below the agreement that is asked for is paused, and what they said since it last
 * held is labelled anew by others; nobody labels more on a day than they should. What cannot be read counts as missing.
 */
import type { KeptText, KeptTexts } from '../contract/content.ts';
import type { AnnotationTask, ConfidenceTier, DisputedLabel, HumanLabel, MissingReason, OpenAnnotation, SkipReason } from '../contract/risk.ts';
import type { Answer, SqlAnnotationChecks, StoredItem } from '../store/annotation-checks.ts';
import { calibrationOf, type Calibration } from './quality.ts';
import type { GivenAnnotation, LabelRefusal, Paused, SqlAnnotationStore } from '../store/annotations.ts';

export interface LabellingSettings {
  readonly leaseMs: number;
  readonly batchItems: number;
  readonly dailyMax: number;
  readonly violationsDailyMax: number;
  /** From 0 to 1. */
  readonly agreement: number;
  readonly checksMin: number;
  calibrationShare(campaign: string): number;
}

/** `locked`: it is there, for who has the master key. */
export type TaskContent = { readonly state: 'there'; readonly texts: KeptTexts } | { readonly state: 'erased' | 'absent' | 'damaged' | 'locked' };

export const NOTHING_NEXT = ['none', 'paused', 'daily_limit', 'exposure_limit', 'locked'] as const;

export interface LabellingPorts {
  readonly store: SqlAnnotationStore;
  readonly checks: SqlAnnotationChecks;
  settings(): LabellingSettings;
  /** What was kept of a drawn text. */
  content(task: AnnotationTask): Promise<TaskContent>;
  /** The text of an item; undefined where it cannot be opened. */
  openItem(item: StoredItem): string | undefined;
  /** Told when somebody was paused. Resolves when the entry is on disk. */
  paused(annotator: string, found: Calibration, done: Paused): Promise<void>;
  now(): Date;
  /** In [0, 1). */
  random(): number;
  newId(): string;
}

/** `none`: nothing waits for this person. `locked`: what they have is sealed under a master key that this process has not. The others: why nothing is given to them. */
export type NextAnnotation =
  | { readonly state: 'there'; readonly annotation: OpenAnnotation; readonly texts: readonly KeptText[]; /** Characters that were not kept. */ readonly cut: number; /** Of its batch, with it. */ readonly left: number; /** Of its batch. */ readonly done: number }
  | { readonly state: (typeof NOTHING_NEXT)[number] };

interface ShownTexts {
  readonly texts: readonly KeptText[];
  readonly cut: number;
}

/** A text of which two say different things. */
export type NextDispute =
  | { readonly state: 'there'; readonly annotation: OpenAnnotation; readonly texts: readonly KeptText[]; readonly cut: number; readonly labels: readonly DisputedLabel[] }
  | { readonly state: (typeof NOTHING_NEXT)[number] };

export interface GivenVerdict {
  readonly label: HumanLabel;
  readonly category: string | null;
  readonly tier: ConfidenceTier;
  readonly note?: string;
}

/** Answers that a person is judged by: the newest. */
export const CHECKED_ANSWERS = 100;
/** A person's own agreement is told in steps of so many answers, of batches before the last: no label of theirs moves it. */
export const TOLD_ANSWERS = 50;
/** Years of labels: the steps begin at the first. */
const TOLD_ANSWERS_MAX = 20_000;
/** Drawn texts that one request may find missing. */
const MISSING_AT_ONCE = 50;
/** Where an item stands when the text in whose place it comes is gone. */
const FALLBACK: Readonly<Record<AnnotationTask['direction'], Omit<KeptText, 'text'>>> = { input: { place: 'messages[0].content', role: 'user' }, output: { place: 'choices[0].content' } };

export class Labelling {
  readonly #ports: LabellingPorts;

  constructor(ports: LabellingPorts) {
    this.#ports = ports;
  }

  async next(annotator: string): Promise<NextAnnotation> {
    const { store } = this.#ports;
    if ((await store.open(annotator)).length === 0) await this.check(annotator);
    return this.#first(annotator, () => this.#batch(annotator));
  }

  /** What the person has before them; nothing new is given. */
  current(annotator: string): Promise<NextAnnotation> {
    return this.#first(annotator, () => this.#ports.store.open(annotator));
  }

  async #first(annotator: string, batchOf: () => Promise<readonly GivenAnnotation[]>): Promise<NextAnnotation> {
    const { store } = this.#ports;
    const refused = await this.#refusal(annotator);
    if (refused !== undefined) return { state: refused };
    for (let missing = 0; missing < MISSING_AT_ONCE; missing++) {
      const batch = await batchOf();
      if (batch.length === 0) return { state: 'none' };
      const found = await this.#firstOf(batch);
      if (found === undefined) return { state: 'locked' };
      const { given, shown } = found;
      if (typeof shown === 'object') {
        await store.shown(given.annotation_id, this.#iso());
        return { state: 'there', annotation: openOf(given), ...shown, left: batch.length, done: await store.doneOf(given.batch_id) };
      }
      if (given.item_id === null) await store.missing(given.task.task_id, shown, this.#iso());
      else await this.#lostItem(given.annotation_id, given.item_id, shown);
    }
    return { state: 'none' };
  }

  /** A text of which two say different things: the one that the person has, or the next. */
  async nextDispute(annotator: string): Promise<NextDispute> {
    const { store, newId } = this.#ports;
    await store.meet(annotator, this.#iso());
    return this.#dispute(annotator, () => store.dispute({ annotator, now: this.#iso(), until: this.#until(), newId }));
  }

  currentDispute(annotator: string): Promise<NextDispute> {
    return this.#dispute(annotator, () => this.#ports.store.disputeOf(annotator));
  }

  async #dispute(annotator: string, found: () => ReturnType<SqlAnnotationStore['disputeOf']>): Promise<NextDispute> {
    const { store } = this.#ports;
    const refused = await this.#refusal(annotator);
    if (refused !== undefined) return { state: refused };
    for (let missing = 0; missing < MISSING_AT_ONCE; missing++) {
      const one = await found();
      if (one === undefined) return { state: 'none' };
      const shown = await this.#shown(one.annotation);
      if (shown === 'locked') return { state: 'locked' };
      if (typeof shown === 'object') {
        await store.shown(one.annotation.annotation_id, this.#iso());
        return { state: 'there', annotation: openOf(one.annotation), ...shown, labels: one.labels };
      }
      await store.missing(one.annotation.task.task_id, shown, this.#iso());
    }
    return { state: 'none' };
  }

  /** Given back by who has it: for others, or where it is unreadable for nobody. */
  async skip(annotationId: string, annotator: string, reason: SkipReason): Promise<LabelRefusal | undefined> {
    const done = await this.#ports.store.skip(annotationId, annotator, reason, this.#iso());
    return done === 'skipped' ? undefined : done;
  }

  /** The newest label is taken back. */
  undo(annotator: string): Promise<'undone' | 'none'> {
    return this.#ports.store.undo(annotator, this.#iso(), this.#until());
  }

  async label(annotationId: string, annotator: string, { label, category, tier, note }: GivenVerdict): Promise<{ readonly campaign: string } | LabelRefusal> {
    const { agreement } = await this.calibrationOf(annotator);
    return this.#ports.store.label(annotationId, annotator, { label, category, tier, note, calibration: agreement ?? null, at: this.#iso() });
  }

  /** Until when, where there is anything to keep. */
  async renew(annotator: string): Promise<string | undefined> {
    const until = this.#until();
    return (await this.#ports.store.renew(annotator, until)) > 0 ? until : undefined;
  }

  giveBack(annotator: string): Promise<number> {
    return this.#ports.store.giveBack(annotator);
  }

  /** By the newest answers since the last training. */
  async calibrationOf(annotator: string): Promise<Calibration> {
    const { store, checks } = this.#ports;
    const row = await store.annotator(annotator);
    const { agreement: agreementMin, checksMin: itemsMin } = this.#ports.settings();
    const answers = await checks.answers({ annotator, since: row?.since ?? '', limit: CHECKED_ANSWERS });
    return calibrationOf(answers.map(isRight), { agreementMin, itemsMin });
  }

  /** What a person may know of their own agreement; undefined before the first step. */
  async toldAgreement(annotator: string): Promise<Calibration | undefined> {
    const { store, checks, settings } = this.#ports;
    const [row, exceptBatch] = await Promise.all([store.annotator(annotator), store.newestBatch(annotator)]);
    const answers = await checks.answers({ annotator, since: row?.since ?? '', exceptBatch, limit: TOLD_ANSWERS_MAX });
    const told = answers.slice(0, answers.length - (answers.length % TOLD_ANSWERS));
    return told.length === 0 ? undefined : calibrationOf(told.map(isRight), { agreementMin: settings().agreement, itemsMin: settings().checksMin });
  }

  /** The text of an item, for who answers for it. Undefined where it is gone. */
  async itemText(item: StoredItem): Promise<string | undefined> {
    if (item.source_task === null) return this.#ports.openItem(item);
    const source = await this.#ports.store.task(item.source_task);
    const kept = source && (await this.#ports.content(source));
    return kept?.state === 'there' ? judgedOf(source!, kept.texts).map(({ text }) => text).join('\n\n') : undefined;
  }

  /** Judges somebody by what they answered; who falls below is paused. */
  async check(annotator: string): Promise<void> {
    const { store, paused } = this.#ports;
    const row = await store.meet(annotator, this.#iso());
    if (row.state === 'paused') return;
    const found = await this.calibrationOf(annotator);
    if (found.state === 'active') return store.good(annotator, this.#iso());
    if (found.state === 'provisional') return;
    const done = await store.pause(annotator, this.#iso(), 'calibration', `agreement ${(found.agreement! * 100).toFixed(1)} % with ${found.n} known answers`);
    if (done !== undefined) await paused(annotator, found, done);
  }

  async #refusal(annotator: string): Promise<'paused' | 'daily_limit' | 'exposure_limit' | undefined> {
    const { store, checks, settings } = this.#ports;
    const { dailyMax, violationsDailyMax } = settings();
    if ((await store.annotator(annotator))?.state === 'paused') return 'paused';
    const [today] = await checks.activity(`${this.#iso().slice(0, 10)}T00:00:00.000Z`, annotator);
    if ((today?.labels ?? 0) >= dailyMax) return 'daily_limit';
    return (today?.violations ?? 0) >= violationsDailyMax ? 'exposure_limit' : undefined;
  }

  #batch(annotator: string): Promise<readonly GivenAnnotation[]> {
    const { store, settings, random, newId } = this.#ports;
    const { batchItems, calibrationShare } = settings();
    return store.batch({ annotator, now: this.#iso(), until: this.#until(), itemsMax: batchItems, calibrationShare, random, newId });
  }

  /** What is locked here stays in the batch: somebody may bring the key. */
  async #firstOf(batch: readonly GivenAnnotation[]): Promise<{ readonly given: GivenAnnotation; readonly shown: ShownTexts | MissingReason } | undefined> {
    for (const given of batch) {
      const shown = await this.#shown(given);
      if (shown !== 'locked') return { given, shown };
    }
    return undefined;
  }

  /** Or why there is nothing. An item stands where the text of its task would, or is a drawn text itself; whichever it is, as much is looked for. */
  async #shown({ annotation_id: id, item_id: itemId, task }: GivenAnnotation): Promise<ShownTexts | MissingReason | 'locked'> {
    const { store, checks, content, openItem } = this.#ports;
    const item = await checks.item(itemId ?? id);
    const source = (await store.task(item?.source_task ?? task.task_id)) ?? task;
    const kept = await content(source);
    if (kept.state === 'locked') return 'locked';
    const own = kept.state === 'there' ? judgedOf(source, kept.texts) : [];
    if (itemId === null || item?.source_task != null) return kept.state !== 'there' ? kept.state : own.length === 0 ? 'absent' : { texts: own, cut: kept.texts.cut };
    const text = item && openItem(item);
    return text === undefined ? 'damaged' : { texts: [{ ...(own[0] ?? FALLBACK[task.direction]), text }], cut: 0 };
  }

  /** Of a known answer: what is erased serves no more; what is not here may be elsewhere. */
  async #lostItem(annotationId: string, itemId: string, why: MissingReason): Promise<void> {
    if (why === 'erased') await this.#ports.checks.retire(itemId);
    await this.#ports.store.missingItem(annotationId);
  }

  #iso(): string {
    return this.#ports.now().toISOString();
  }

  #until(): string {
    return new Date(this.#ports.now().getTime() + this.#ports.settings().leaseMs).toISOString();
  }
}

export function isRight({ known, given }: Pick<Answer, 'known' | 'given'>): boolean {
  return known === given;
}

/** Of a prompt what is judged is its newest text, as policies do; of an answer all of it. Pictures and sounds are not kept, and nobody can judge them by the words beside them. */
function judgedOf({ direction, modality }: AnnotationTask, { texts }: KeptTexts): readonly KeptText[] {
  if (modality !== 'text') return [];
  return direction === 'input' ? texts.slice(-1) : texts;
}

/** Without what would tell where it comes from. */
function openOf({ annotation_id, batch_id, claimed_until, task: { campaign, direction, modality } }: GivenAnnotation): OpenAnnotation {
  return { annotation_id, batch_id, campaign, direction, modality, claimed_until };
}
