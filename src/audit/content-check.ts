/**
 * Kept content held against the log, without any key: every commitment of an entry against the bytes that lie sealed.
 * What is altered is named; what is erased, or not there, is counted: a crash may have cost it, and a copy of the log
 * may come without it. Whether the entries themselves hold is for `checkLog` to say.
 */
import type { ContentCommitments } from '../contract/content.ts';
import { DIRECTIONS } from '../contract/screening.ts';
import { isDayErased, readSealed, slotsOf } from './content-files.ts';
import { newestEntries } from './entries.ts';
import { commitmentOf, digestOf, isErased, readSlot, type SlotPlace } from './sealed-content.ts';

export interface ContentCheck {
  /** Texts whose sealed bytes are those of their entry. */
  readonly sound: number;
  readonly erased: number;
  readonly missing: number;
  readonly altered: number;
  /** The newest that is altered. */
  readonly firstAltered?: { readonly index: number; readonly requestId: string };
}

/** Days whose slots are held at once. */
const DAYS_MAX = 8;

/** `contentDir`: the folder of the content; `dir`: of the log. */
export async function checkContent(dir: string, contentDir: string): Promise<ContentCheck> {
  const counts = { sound: 0, erased: 0, missing: 0, altered: 0 };
  let firstAltered: ContentCheck['firstAltered'];
  const days = new Days(contentDir);
  for await (const { kind, index, content, ...entry } of newestEntries(dir)) {
    if (kind !== 'exchange' || content === undefined) continue;
    const { tenant_id: tenantId, request_id: requestId, started_at: startedAt } = entry as unknown as Readonly<Record<'tenant_id' | 'request_id' | 'started_at', string>>;
    const place = { tenantId, day: startedAt.slice(0, 10) };
    const day = await days.of(place);
    const slot = day.slots.get(digestOf(requestId).toString('latin1'));
    for (const direction of DIRECTIONS) {
      const wanted = (content as ContentCommitments)[direction];
      if (wanted === undefined) continue;
      const sealed = slot && (await readSealed(contentDir, place, readSlot(slot).extents[direction]));
      const found = slot === undefined ? (day.isErased ? 'erased' : 'missing') : isErased(slot) ? 'erased' : sealed !== undefined && commitmentOf(sealed) === wanted ? 'sound' : 'altered';
      counts[found]++;
      if (found === 'altered') firstAltered ??= { index, requestId };
    }
  }
  return { ...counts, ...(firstAltered === undefined ? {} : { firstAltered }) };
}

interface Day {
  readonly isErased: boolean;
  /** By digest of the request. */
  readonly slots: ReadonlyMap<string, Buffer>;
}

/** The days that entries name, the latest used kept. */
class Days {
  readonly #dir: string;
  readonly #days = new Map<string, Day>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  async of(place: SlotPlace): Promise<Day> {
    const name = `${place.tenantId}/${place.day}`;
    const day = this.#days.get(name) ?? (await this.#read(place));
    this.#days.delete(name);
    this.#days.set(name, day);
    if (this.#days.size > DAYS_MAX) this.#days.delete(this.#days.keys().next().value!);
    return day;
  }

  async #read(place: SlotPlace): Promise<Day> {
    const slots = new Map<string, Buffer>();
    for await (const { slot, bytes } of slotsOf(this.#dir, place)) slots.set(slot.request.toString('latin1'), bytes);
    return { isErased: await isDayErased(this.#dir, place), slots };
  }
}
