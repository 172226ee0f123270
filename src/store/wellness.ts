/**
 * The port to what people who review ask for themselves, over a database of either kind.
 *
 * Guarantees: everything is one person's, by the name that they review under, and read under no other; a pace is changed
 * by one at a time; an item counts once a day as opened. Openings of earlier days, whoever's, are removed when somebody opens
 * something, so nobody's history grows here. Rejects with WeirError store_unavailable. No clock: days are UTC, given by the caller.
 */
import { SUBJECTS, WELLNESS_DEFAULTS, type Pace, type Subject, type WellnessSettings } from '../contract/wellness.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

export interface Opening {
  readonly review_id: string;
  readonly severe: boolean;
  readonly subjects: readonly Subject[];
}

/** What one person opened on one day. */
export interface Exposure {
  readonly opened: number;
  readonly severe: number;
  /** An item may be of several. */
  readonly subjects: Readonly<Partial<Record<Subject, number>>>;
  /** Items that two people are still deciding without each other, whose kinds are not told. */
  readonly undisclosed: number;
}

export interface WellnessStore {
  /** The defaults where nothing was set. */
  settings(reviewerId: string): Promise<WellnessSettings>;
  saveSettings(reviewerId: string, settings: WellnessSettings, at: string): Promise<void>;
  /** What `change` makes of the pace. */
  movePace(reviewerId: string, change: (pace: Pace | undefined) => Pace): Promise<Pace>;
  pace(reviewerId: string): Promise<Pace | undefined>;
  /** True where it had not been opened that day. */
  opened(reviewerId: string, day: string, opening: Opening): Promise<boolean>;
  exposure(reviewerId: string, day: string): Promise<Exposure>;
}

export class SqlWellnessStore implements WellnessStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async settings(reviewerId: string): Promise<WellnessSettings> {
    const [row] = await this.#database.query<{ readonly settings: string }>('select settings from reviewer_settings where reviewer_id = $1', reviewerId);
    return row === undefined ? WELLNESS_DEFAULTS : readSettings(row.settings);
  }

  async saveSettings(reviewerId: string, settings: WellnessSettings, at: string): Promise<void> {
    await this.#database.query('insert into reviewer_settings (reviewer_id, settings, updated_at) values ($1, $2, $3) on conflict (reviewer_id) do update set settings = excluded.settings, updated_at = excluded.updated_at', reviewerId, JSON.stringify(settings), at);
  }

  async pace(reviewerId: string): Promise<Pace | undefined> {
    return (await this.#database.query<{ readonly pace: string }>('select pace from reviewer_pace where reviewer_id = $1', reviewerId)).map(readPace)[0];
  }

  async movePace(reviewerId: string, change: (pace: Pace | undefined) => Pace): Promise<Pace> {
    return this.#database.transaction(async (query) => {
      // The row is this transaction's from here on.
      await query(`insert into reviewer_pace (reviewer_id, pace) values ($1, '') on conflict do nothing`, reviewerId);
      const [held] = await query<{ readonly pace: string }>('update reviewer_pace set pace = pace where reviewer_id = $1 returning pace', reviewerId);
      const pace = change(held === undefined ? undefined : readPace(held));
      await query('update reviewer_pace set pace = $2 where reviewer_id = $1', reviewerId, JSON.stringify(pace));
      return pace;
    });
  }

  async opened(reviewerId: string, day: string, { review_id: reviewId, severe, subjects }: Opening): Promise<boolean> {
    await this.#database.query('delete from reviewer_openings where day < $1', day);
    const rows = await this.#database.query('insert into reviewer_openings (reviewer_id, day, review_id, severe, subjects) values ($1, $2, $3, $4, $5) on conflict do nothing returning review_id', reviewerId, day, reviewId, severe ? 1 : 0, JSON.stringify(subjects));
    return rows.length === 1;
  }

  async exposure(reviewerId: string, day: string): Promise<Exposure> {
    const rows = await this.#database.query<{ readonly severe: SqlValue; readonly subjects: string; readonly covered: SqlValue }>(
      `select o.severe, o.subjects, case when i.double_blind = 1 and i.status <> 'resolved' then 1 else 0 end as covered from reviewer_openings o left join review_items i on i.review_id = o.review_id where o.reviewer_id = $1 and o.day = $2`,
      reviewerId, day,
    );
    const told = rows.filter(({ covered }) => Number(covered) === 0);
    const counts: Partial<Record<Subject, number>> = {};
    for (const { subjects } of told) for (const subject of JSON.parse(subjects) as Subject[]) counts[subject] = (counts[subject] ?? 0) + 1;
    return { opened: rows.length, severe: told.filter(({ severe }) => Number(severe) === 1).length, subjects: counts, undisclosed: rows.length - told.length };
  }
}

/** In the transaction that stores the item, or later for one that was stored before this was asked. */
export async function insertSubjects(query: SqlQuery, reviewId: string, subjects: readonly Subject[]): Promise<void> {
  for (const subject of subjects) await query('insert into review_subjects (review_id, subject) values ($1, $2) on conflict do nothing', reviewId, subject);
}

/** What a later version wrote and this one does not know is left out. */
function readSettings(text: string): WellnessSettings {
  const settings = { ...WELLNESS_DEFAULTS, ...(JSON.parse(text) as WellnessSettings) };
  return { ...settings, opt_out: settings.opt_out.filter((subject) => SUBJECTS.includes(subject)) };
}

function readPace({ pace }: { readonly pace: string }): Pace | undefined {
  return pace === '' ? undefined : (JSON.parse(pace) as Pace);
}
