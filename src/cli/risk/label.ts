/**
 * `weir risk label` in a terminal: one text after the other, a key for every answer, the guide on demand. It works on the
 * store itself, by the same rules as the console, so that nothing tells whose answer is known. Each label is kept at once:
 * whatever ends it, nothing is lost, and what is left of the batch is its person's until their claim runs out. A text that
 * is not here to be read is left alone, since another machine may have it.
 */
import { contentFolder, ContentVault } from '../../audit/vault.ts';
import { breakRefusal, noteLabel, type WellnessDesk } from '../../admin/wellness.ts';
import type { AnnotationRecord } from '../../audit/entry.ts';
import { createLabelling, taskText } from '../../campaigning.ts';
import type { Config } from '../../config/schema.ts';
import { shippedTaxonomy, type Taxonomy } from '../../config/taxonomy.ts';
import { visible } from '../../console/html.ts';
import type { AnnotationTask, ConfidenceTier, SkipReason } from '../../contract/risk.ts';
import { ReviewContents } from '../../review/contents.ts';
import { answered } from '../../review/pace.ts';
import { categoryNamed } from '../../risk/guide.ts';
import type { Labelling, NextAnnotation, TaskContent } from '../../risk/labelling.ts';
import { ensureHashKey, readHashKey } from '../../runtime.ts';
import type { StoreDatabase } from '../../store/sql.ts';
import { SqlReviewContents } from '../../store/review-contents.ts';
import { SqlWellnessStore } from '../../store/wellness.ts';
import type { Io } from '../command.ts';
import { Keyboard, STOP } from '../keyboard.ts';

export interface LabelSession {
  readonly database: StoreDatabase;
  readonly config: Config;
  readonly annotator: string;
  leave(record: AnnotationRecord): Promise<void>;
}

type There = Extract<NextAnnotation, { readonly state: 'there' }>;
const WHY: Readonly<Record<Exclude<NextAnnotation['state'], 'there'>, string>> = {
  none: 'nothing waits for you', paused: 'you are paused: your labels agreed too rarely with known answers, or somebody paused you. Read the guide, and ask whoever leads the campaign; they let you go on',
  daily_limit: 'you have labelled as many texts as one should on a day', exposure_limit: 'you have seen as many violations as one should on a day', locked: 'what you have is sealed under a master key that is not here; it stays yours',
};
const SKIP_KEYS: Readonly<Record<string, SkipReason>> = { b: 'unreadable', o: 'language', w: 'unwilling' };
const TIER_KEYS: Readonly<Record<string, ConfidenceTier>> = { l: 'low', m: 'medium', h: 'high' };

/** A text that another machine may have. */
class NotHere extends Error {}

export async function labelByKeys(session: LabelSession, io: Io): Promise<number> {
  const desk = openDesk(session);
  const keyboard = new Keyboard(io.stdin, io.stdout, io.stopSignal());
  try {
    return await new Sitting(desk, keyboard, io).run();
  } catch (error) {
    if (!(error instanceof NotHere)) throw error;
    io.stderr('weir risk label: the next text is not in data_dir, or its key is another; label where it is, or in the console\n');
    return 1;
  } finally {
    keyboard.close();
  }
}

interface Desk {
  readonly labelling: Labelling;
  readonly wellness: WellnessDesk;
  readonly taxonomy: Taxonomy;
  readonly annotator: string;
}

function openDesk({ database, config, annotator, leave }: LabelSession): Desk {
  const { data_dir: dataDir, audit: { master_key: key, master_key_file: keyFile }, review: { breaks } } = config;
  ensureHashKey(dataDir);
  const vault = new ContentVault({ dir: contentFolder(dataDir), keyFile, key, clock: Date.now, audit: async () => undefined });
  const contents = new ReviewContents({ store: new SqlReviewContents(database), vault, mark: () => undefined, keepDays: () => undefined });
  const content = async (task: AnnotationTask): Promise<TaskContent> => {
    const found = await taskText({ config: () => config, content: vault, contents }, task);
    if (found.state === 'absent' || found.state === 'damaged') throw new NotHere();
    return found.state === 'locked' ? { state: 'locked' } : found;
  };
  const now = (): Date => new Date();
  return {
    labelling: createLabelling({ database, config: () => config, content, master: readHashKey(dataDir), audit: leave }), taxonomy: shippedTaxonomy(), annotator,
    wellness: { store: new SqlWellnessStore(database), limits: () => ({ afterMinutes: breaks.after_minutes, afterItems: breaks.after_severe_items, minutes: breaks.minutes }), now },
  };
}

/** From the first text to the last key. */
class Sitting {
  readonly #desk: Desk;
  readonly #keyboard: Keyboard;
  readonly #io: Io;
  #labelled = 0;
  #tier: ConfidenceTier = 'high';
  #note = '';

  constructor(desk: Desk, keyboard: Keyboard, io: Io) {
    [this.#desk, this.#keyboard, this.#io] = [desk, keyboard, io];
  }

  async run(): Promise<number> {
    const { labelling, annotator } = this.#desk;
    // A batch that was left is gone on with; what began by itself ends by a key.
    let found = await labelling.next(annotator);
    for (;;) {
      if (found.state !== 'there') {
        this.#say(`${WHY[found.state]}.`);
        return found.state === 'none' || this.#labelled > 0 ? this.#leave(undefined) : 1;
      }
      if (!(await this.#mayGoOn()) || !(await this.#one(found))) return this.#leave(found);
      [this.#tier, this.#note] = ['high', ''];
      found = await labelling.current(annotator);
      if (found.state !== 'none') continue;
      this.#say('\nThe batch is done.  t another   u take the last label back   q stop');
      const key = await this.#oneOf('tuq');
      if (key === 'u') await this.#undo();
      if (key === 'q' || key === STOP) return this.#leave(undefined);
      found = await labelling.next(annotator);
    }
  }

  /** True when it is labelled, skipped, or another is before them; false to stop. */
  async #one(there: There): Promise<boolean> {
    const { labelling, wellness, annotator, taxonomy } = this.#desk;
    const { annotation: { annotation_id: id }, done } = there;
    const { cover } = await wellness.store.settings(annotator);
    this.#head(there);
    if (!cover) this.#show(there);
    for (;;) {
      this.#say(`\n${cover ? 'v show  ' : ''}s safe  x violation  h/m/l how sure: ${this.#tier}  n why  k skip  ${done > 0 ? 'u undo  ' : ''}? guide  q stop`);
      const key = await this.#oneOf('vsxhmlnku?q');
      if (key === 'q' || key === STOP) return false;
      if (key === 'v') this.#show(there);
      else if (key === '?') await this.#guide();
      else if (key === 'n') this.#note = (await this.#keyboard.line('why: ')) ?? this.#note;
      else if (key in TIER_KEYS) this.#tier = TIER_KEYS[key]!;
      else if (key === 'u') {
        if (await this.#undo()) return true;
      } else if (key === 'k') {
        const reason = await this.#skipReason();
        if (reason !== undefined) return this.#told(await labelling.skip(id, annotator, reason), 'skipped');
      } else {
        const category = key === 'x' ? await this.#category() : null;
        if (category === undefined) continue;
        const answer = await labelling.label(id, annotator, { label: key === 'x' ? 'violation' : 'safe', category, tier: this.#tier, note: this.#note });
        if (typeof answer !== 'string') await noteLabel(wellness, annotator, category);
        this.#labelled += typeof answer === 'string' ? 0 : 1;
        return this.#told(typeof answer === 'string' ? answer : undefined, category === null ? 'safe' : `violation, ${taxonomy.categories.find((one) => one.id === category)!.name}`);
      }
    }
  }

  #told(refused: string | undefined, words: string): true {
    this.#say(refused === undefined ? words : 'it is not yours any more; the next');
    return true;
  }

  #head({ annotation: { direction, modality }, left, done }: There): void {
    this.#say(`\n${'─'.repeat(Math.min(this.#io.columns, 72))}\ntext ${done + 1} of ${done + left}: what ${direction === 'input' ? 'somebody wrote' : 'was answered'}${modality === 'text' ? '' : `; the ${modality} itself is not kept, this is its text`}`);
  }

  #show({ texts, cut }: There): void {
    for (const { place, role, text } of texts) this.#say(`\n${role === undefined ? '' : `${visible(role)}, `}${visible(place)}\n${visible(text).replaceAll('\t', '    ')}`);
    if (cut > 0) this.#say(`\n${cut} characters were not kept`);
  }

  async #undo(): Promise<boolean> {
    const isBack = (await this.#desk.labelling.undo(this.#desk.annotator)) === 'undone';
    if (isBack) this.#labelled--;
    this.#say(isBack ? 'taken back' : 'there is no label that can be taken back');
    return isBack;
  }

  async #category(): Promise<string | undefined> {
    for (;;) {
      const typed = await this.#keyboard.line('category (number, name or part of it; Esc: back): ');
      if (typed === undefined) return undefined;
      const category = categoryNamed(this.#desk.taxonomy, typed);
      if (typeof category === 'object') return category.id;
      this.#say(`${category}; ? in place of a label opens the guide`);
    }
  }

  async #skipReason(): Promise<SkipReason | undefined> {
    this.#say('skip it: b nobody could judge it  o I do not read its language  w I would rather not  Esc back');
    return SKIP_KEYS[await this.#oneOf('bow\u001b')];
  }

  async #guide(): Promise<void> {
    const { version, language, categories } = this.#desk.taxonomy;
    this.#say(`\nguide, version ${version}, ${language}\n${categories.map(({ name, definition }, at) => `${String(at + 1).padStart(3)}  ${name}: ${definition}`).join('\n')}`);
    for (;;) {
      const typed = await this.#keyboard.line('more of (Enter: back): ');
      if (typed === undefined || typed === '') return;
      const found = categoryNamed(this.#desk.taxonomy, typed);
      this.#say(typeof found === 'string' ? found : [
        `\n${found.name} (${found.id}): ${found.definition}`, 'belongs to it:', ...found.violates.map((one) => `  - ${one}`), 'does not:', ...found.allowed.map((one) => `  - ${one}`),
        ...(found.boundary.length === 0 ? [] : ['near the line:', ...found.boundary.map(({ case: text, side, why }) => `  - ${text}: ${side}${why === undefined ? '' : `, ${why}`}`)]), ...(found.norms === undefined ? [] : [`differs between cultures: ${found.norms}`]),
      ].join('\n'));
    }
  }

  /** A break that is due is asked for, and is theirs to have. */
  async #mayGoOn(): Promise<boolean> {
    const { wellness, annotator } = this.#desk;
    const refused = await breakRefusal(wellness, annotator, await wellness.store.settings(annotator));
    if (refused === undefined) return true;
    this.#say('\nTime for a break.  b have one   w go on   q stop');
    const key = await this.#oneOf('bwq');
    if (key !== 'b' && key !== 'w') return false;
    await wellness.store.movePace(annotator, () => answered(key === 'b', wellness.now().getTime(), wellness.limits()));
    return key === 'w';
  }

  async #oneOf(keys: string): Promise<string> {
    for (;;) {
      const key = await this.#keyboard.next();
      if (key === STOP || keys.includes(key)) return key;
    }
  }

  #leave(found: There | undefined): number {
    this.#say(`\n${this.#labelled} labelled.${found === undefined ? '' : ` What is left of the batch (${found.left}) is yours until ${found.annotation.claimed_until}; weir risk label goes on with it.`}`);
    return 0;
  }

  #say(text: string): void {
    this.#io.stdout(`${text}\n`);
  }
}
