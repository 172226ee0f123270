/**
 * What is counted as an audit log is looked through for what campaigns drew: declarations, how many there were to draw
 * from, which score came nearest. Guarantees: an entry is counted once, since the counts move with the log's place and only
 * from the place that they go on from; a log that is looked through anew is counted anew. Statements alone.
 */
import type { CampaignDeclaration, PopulationCell } from '../contract/risk.ts';
import { moveCursor, type LogCursor } from './annotation-tasks.ts';
import { insertMany } from './insert-many.ts';
import type { SqlQuery, SqlValue } from './sql.ts';

/** Of a drawn text: the highest score, and whose it was. */
export interface NearestScore {
  readonly task_id: string;
  readonly classifier_id: string;
  readonly category: string;
  readonly score: number;
}

/** A declaration with the place of its entry. */
export interface PlacedDeclaration {
  readonly position: number;
  readonly declared: CampaignDeclaration;
}

/** Of the entries between two places of a log. */
export interface LogCounts {
  /** Where they begin; 0 counts the log anew. */
  readonly from: number;
  readonly declarations: readonly PlacedDeclaration[];
  readonly population: readonly PopulationCell[];
  readonly nearest: readonly NearestScore[];
}

const POPULATION = ['log', 'campaign', 'definition', 'day', 'stratum', 'probability', 'total', 'drawn'] as const;

/** Nothing where somebody else has counted on from there. */
export async function count(query: SqlQuery, cursor: LogCursor, { from, declarations, population, nearest }: LogCounts): Promise<void> {
  const { log, next, head } = cursor;
  await insertMany(query, 'risk_nearest', ['task_id', 'classifier_id', 'category', 'score'], nearest.map(({ task_id, classifier_id, category, score }): SqlValue[] => [task_id, classifier_id, category, score]), 'on conflict do nothing');
  if (from === 0) {
    for (const table of ['risk_declarations', 'risk_population']) await query(`delete from ${table} where log = $1`, log);
    await moveCursor(query, cursor);
  } else if ((await query('update risk_cursors set next = $2, head = $3 where log = $1 and next = $4 returning log', log, next, head, from)).length === 0) return;
  await insertMany(query, 'risk_declarations', ['log', 'position', 'campaign', 'in_force_at', 'declared'], declarations.map(({ position, declared }): SqlValue[] => [log, position, declared.campaign, declared.in_force_at, JSON.stringify(declared)]), 'on conflict do nothing');
  await insertMany(query, 'risk_population', POPULATION, population.map((one): SqlValue[] => [log, one.campaign, one.definition, one.day, one.stratum, one.probability, one.total, one.drawn]), `on conflict (${POPULATION.slice(0, 6).join(', ')}) do update set total = risk_population.total + excluded.total, drawn = risk_population.drawn + excluded.drawn`);
}

/** Of a log, or of all about a campaign, oldest first. */
export async function readDeclarations(query: SqlQuery, of: { readonly log: string } | { readonly campaign: string }): Promise<readonly (PlacedDeclaration & { readonly log: string })[]> {
  const [column, value] = 'log' in of ? ['log', of.log] : ['campaign', of.campaign];
  const rows = await query<{ readonly log: string; readonly position: SqlValue; readonly declared: string }>(`select log, position, declared from risk_declarations where ${column} = $1 order by in_force_at, log, position`, value);
  return rows.map(({ log, position, declared }) => ({ log, position: Number(position), declared: JSON.parse(declared) as CampaignDeclaration }));
}
