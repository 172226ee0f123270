/**
 * Items with known answers as they come in, and how they lie: sealed under a key of the installation, so that the store and
 * its copies tell no text. An item is known by what it says; one that comes twice is one. Pure.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import { HUMAN_LABELS, type AnnotationTask, type CalibrationItem } from '../contract/risk.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import type { StoredItem } from '../store/annotation-checks.ts';

export const ITEMS_AT_ONCE_MAX = 1_000;
export const ITEM_CHARS_MAX = 20_000;
export type SealedItem = Omit<StoredItem, 'author' | 'created_at'>;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What is wrong, with its place, where they are none. */
export function readItems(value: unknown, categories: ReadonlySet<string>): readonly CalibrationItem[] | string {
  if (!Array.isArray(value) || value.length === 0 || value.length > ITEMS_AT_ONCE_MAX) return `items is a list of 1 to ${ITEMS_AT_ONCE_MAX}`;
  const items: CalibrationItem[] = [];
  for (const [at, one] of value.entries()) {
    const item = readItem(one, categories);
    if (typeof item === 'string') return `item ${at + 1}: ${item}`;
    items.push(item);
  }
  return items;
}

function readItem(value: unknown, categories: ReadonlySet<string>): CalibrationItem | string {
  const { text, label, category, campaign, direction = 'output', modality = 'text', ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  if (Object.keys(rest).length > 0) return 'it has text, label, category, campaign, direction and modality, and nothing else';
  if (typeof text !== 'string' || text.trim() === '' || text.length > ITEM_CHARS_MAX) return `text has 1 to ${ITEM_CHARS_MAX} characters`;
  const [known, to, kind] = [HUMAN_LABELS.find((one) => one === label), DIRECTIONS.find((one) => one === direction), CONTENT_TYPES.find((one) => one === modality)];
  if (known === undefined) return `label is one of ${HUMAN_LABELS.join(', ')}`;
  if (to === undefined || kind === undefined) return `direction is one of ${DIRECTIONS.join(', ')}, modality one of ${CONTENT_TYPES.join(', ')}`;
  if (known === 'safe' ? category !== undefined : typeof category !== 'string' || !categories.has(category)) return 'a violation has a category of the taxonomy, and what is safe has none';
  if (campaign !== undefined && (typeof campaign !== 'string' || !NAME.test(campaign))) return 'campaign is the id of one';
  return { text, label: known, direction: to, modality: kind, ...(campaign === undefined ? {} : { campaign: campaign as string }), ...(category === undefined ? {} : { category: category as string }) };
}

/** A drawn text as people settled it, as an item: known by its task, whose text is read where it lies, and goes when that goes. */
export function itemOf({ task_id: taskId, direction, modality, human_label: label, violation_category: category }: AnnotationTask & { readonly human_label: NonNullable<AnnotationTask['human_label']> }): SealedItem {
  return { item_id: `item_${createHash('sha256').update(`task ${taskId}`).digest('hex').slice(0, 32)}`, campaign: '', direction, modality, sealed: '', label, category, source_task: taskId };
}

/** What may seal and open items. */
export class ItemSeal {
  readonly #key: Buffer;

  /** `master`: a secret of the installation. */
  constructor(master: Buffer) {
    this.#key = createHmac('sha256', master).update('weir calibration items').digest();
  }

  seal({ text, label, category, campaign = '', direction, modality }: CalibrationItem): SealedItem {
    const itemId = `item_${createHmac('sha256', this.#key).update(JSON.stringify([campaign, direction, modality, text])).digest('hex').slice(0, 32)}`;
    // By the text and the id alone, so that the same item is sealed alike, and no nonce serves two texts.
    const nonce = createHash('sha256').update(`nonce ${itemId}`).update(createHmac('sha256', this.#key).update(text).digest()).digest().subarray(0, NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(itemId));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
    return { item_id: itemId, campaign, direction, modality, sealed, label, category: category ?? null, source_task: null };
  }

  /** Undefined where it was sealed by another installation, or changed. */
  open({ item_id: itemId, sealed }: Pick<StoredItem, 'item_id' | 'sealed'>): string | undefined {
    const bytes = Buffer.from(sealed, 'base64');
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES }).setAAD(Buffer.from(itemId)).setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
  }
}
