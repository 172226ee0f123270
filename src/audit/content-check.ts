/**
 * Kept content held against the log, without any key: every commitment of an entry against the bytes that lie sealed.
 * What is altered is named; what is erased, or not there, is counted: a crash may have cost it, and a copy of the log
 * may come without it. Whether the entries themselves hold is for `checkLog` to say.
 */
import type { ContentCommitments, ExchangeCommitments } from '../contract/content.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';
import { isDayErased, readSealed, slotsOf } from './content-files.ts';
import { newestEntries } from './entries.ts';
import { commitmentOf, dayNameOf, digestOf, isErased, readSlot, type Slot, type SlotPlace } from './sealed-content.ts';

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
  for await (const { kind, index, content, sample_content: sampled, ...entry } of newestEntries(dir)) {
    if (kind !== 'exchange') continue;
    const { tenant_id: tenantId, request_id: requestId, started_at: startedAt } = entry as unknown as Readonly<Record<'tenant_id' | 'request_id' | 'started_at', string>>;
    for (const [kept, purpose] of [[content, undefined], [sampled, 'campaigns']] as const) {
      if (kept === undefined) continue;
      const place = { tenantId, day: dayNameOf(startedAt, purpose) };
      const day = await days.of(place);
      const slots = day.slots.get(digestOf(requestId).toString('latin1')) ?? [];
      const { others = [], ...first } = kept as ExchangeCommitments;
      for (const direction of DIRECTIONS) {
        const found = await compare([first, ...others], slots, direction, ({ extents }) => readSealed(contentDir, place, extents[direction]));
        counts.sound += found.sound;
        counts.altered += found.altered;
        counts.erased += found.erased + (day.isErased ? found.missing : 0);
        counts.missing += day.isErased ? 0 : found.missing;
        if (found.altered > 0) firstAltered ??= { index, requestId };
      }
    }
  }
  return { ...counts, ...(firstAltered === undefined ? {} : { firstAltered }) };
}

type Compared = Readonly<Record<'sound' | 'erased' | 'missing' | 'altered', number>>;

/** The texts of one direction of an exchange: what is not that of any slot is altered where one is left that is not that of any text. */
async function compare(commitments: readonly ContentCommitments[], slots: readonly Buffer[], direction: Direction, read: (slot: Slot) => Promise<Buffer | undefined>): Promise<Compared> {
  const wanted = new Set(commitments.flatMap((one) => one[direction] ?? []));
  const none = commitments.filter((one) => one[direction] === undefined).length;
  let [sound, empty, other] = [0, 0, 0];
  for (const slot of slots.filter((bytes) => !isErased(bytes)).map(readSlot)) {
    const sealed = slot.extents[direction].bytes === 0 ? undefined : await read(slot);
    if (sealed !== undefined && wanted.delete(commitmentOf(sealed))) sound++;
    else if (slot.extents[direction].bytes === 0) empty++;
    else other++;
  }
  const altered = Math.min(wanted.size, other + Math.max(0, empty - none));
  const erased = Math.min(wanted.size - altered, slots.filter(isErased).length);
  return { sound, altered, erased, missing: wanted.size - altered - erased };
}

interface Day {
  readonly isErased: boolean;
  /** By digest of the request. */
  readonly slots: ReadonlyMap<string, readonly Buffer[]>;
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
    const slots = new Map<string, Buffer[]>();
    for await (const { slot, bytes } of slotsOf(this.#dir, place)) {
      const request = slot.request.toString('latin1');
      const known = slots.get(request);
      if (known === undefined) slots.set(request, [bytes]);
      else known.push(bytes);
    }
    return { isErased: await isDayErased(this.#dir, place), slots };
  }
}
