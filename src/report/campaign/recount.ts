/**
 * Holds what a report says of an audit log against the log itself, where it is at hand: that the log holds and begins with
 * what the report's checkpoint covers, and that the population and what was drawn come out the same when they
 * are counted anew. What was pruned since cannot be looked at any more, and is told.
 */
import { checkLog } from '../../audit/check.ts';
import { readCheckpoint, type NoteKey } from '../../audit/checkpoint.ts';
import { LogFollower } from '../../audit/follow.ts';
import { keeperKeys } from '../../audit/pruned.ts';
import { PopulationCounter } from '../../screen/population.ts';
import { isWithin, type ReportPeriod } from '../../store/risk-reports.ts';
import type { LogBasis } from './document.ts';

export interface Recount {
  readonly log: string;
  /** What does not hold; empty: all that could be looked at does. */
  readonly faults: readonly string[];
  /** What could not be looked at, and why. */
  readonly unchecked: readonly string[];
}

const BATCH_ENTRIES = 1_024;

/** `keys`: who may have signed the log. */
export async function recount(dir: string, campaign: string, period: ReportPeriod, basis: LogBasis, keys: readonly NoteKey[]): Promise<Recount> {
  const [faults, unchecked]: [string[], string[]] = [[], []];
  const checkpoint = readCheckpoint(basis.checkpoint);
  if (checkpoint === undefined) unchecked.push('no checkpoint covers it');
  else if (checkpoint.size < basis.entries) unchecked.push(`its checkpoint covers ${checkpoint.size} of the ${basis.entries} entries`);
  const { damage, first } = await checkLog({ dir, keys, keepers: await keeperKeys(dir), ...(checkpoint === undefined ? {} : { since: checkpoint }) });
  if (damage !== undefined) (checkpoint !== undefined && checkpoint.size < first ? unchecked : faults).push(`${damage.segment}${damage.line === 0 ? '' : ` line ${damage.line}`} (entry ${damage.index}): ${damage.reason}`);
  const counted = await countAnew(dir, campaign, period, basis.entries);
  if (typeof counted === 'string') unchecked.push(counted);
  else {
    if (counted.head !== basis.head) faults.push(`entry ${basis.entries - 1} is another than the report names`);
    if (textOf(counted.counts) !== textOf(basis.counts)) faults.push('the population or what was drawn comes out otherwise when it is counted anew');
  }
  return { log: basis.log, faults, unchecked };
}

async function countAnew(dir: string, campaign: string, { from, until }: ReportPeriod, entriesMax: number): Promise<{ readonly counts: LogBasis['counts']; readonly head: string } | string> {
  const [follower, counter] = [new LogFollower(dir), new PopulationCounter()];
  const sums = new Map<string, { definition: string; stratum: string; probability: number; total: number; drawn: number }>();
  let head = '';
  for (let next = 0; next < entriesMax; ) {
    const read = await follower.read(next, Math.min(BATCH_ENTRIES, entriesMax - next));
    const [first] = read.entries;
    if (first === undefined || first.index !== next) return `entry ${next} is not there, so nothing is counted anew`;
    for (const entry of read.entries) counter.take(entry);
    for (const { campaign: of, day, definition, stratum, probability, total, drawn } of counter.drain()) {
      if (of !== campaign || !isWithin(day, from, until)) continue;
      const key = JSON.stringify([definition, stratum, probability]);
      const known = sums.get(key);
      if (known === undefined) sums.set(key, { definition, stratum, probability, total, drawn });
      else [known.total, known.drawn] = [known.total + total, known.drawn + drawn];
    }
    [next, head] = [read.next, read.entries.at(-1)!.hash];
  }
  return { counts: [...sums.values()], head };
}

/** In one order. */
function textOf(counts: LogBasis['counts']): string {
  return counts.map(({ definition, stratum, probability, total, drawn }) => JSON.stringify([definition, stratum, probability, total, drawn])).sort().join('\n');
}
