/**
 * Which rows are learnt from and which are kept to measure by: by a hash of where a group of rows began, so that the same
 * row falls alike in every version, whatever comes to it. Rows that say the same, and rows of one exchange or session,
 * are one group; a group of which something was once learnt from is never measured by. Pure.
 */
import type { RowPart } from '../contract/learning.ts';

/** One in five. */
export const HELD_OUT_SHARE = 0.2;

export interface Placeable {
  readonly request_id: string;
  readonly at: string;
  /** What it is alike to, each under a name that tells the kind. */
  readonly marks: readonly string[];
  /** Where it was in an earlier version. */
  readonly before: RowPart | undefined;
}

export interface Placed {
  /** Number of its group. */
  readonly group: number;
  readonly part: RowPart;
}

/** `chanceOf`: from 0 to below 1, the same for the same text, as nobody can choose. */
export function partsFor(rows: readonly Placeable[], chanceOf: (id: string) => number): readonly Placed[] {
  const groups = groupsOf(rows);
  const parts = new Map([...Map.groupBy(rows.keys(), (at) => groups[at]!)].map(([group, members]) => [group, partOf(members.map((at) => rows[at]!), chanceOf)]));
  return groups.map((group) => ({ group, part: parts.get(group)! }));
}

function partOf(members: readonly Placeable[], chanceOf: (id: string) => number): RowPart {
  if (members.some(({ before }) => before === 'train')) return 'train';
  if (members.some(({ before }) => before === 'held_out')) return 'held_out';
  const first = members.reduce((one, other) => (other.at < one.at || (other.at === one.at && other.request_id < one.request_id) ? other : one));
  return chanceOf(first.request_id) < HELD_OUT_SHARE ? 'held_out' : 'train';
}

/** Of each row the number of the first row that it hangs together with. */
function groupsOf(rows: readonly Placeable[]): readonly number[] {
  const heads = rows.map((_, at) => at);
  const headOf = (at: number): number => {
    while (heads[at] !== at) at = heads[at] = heads[heads[at]!]!;
    return at;
  };
  const first = new Map<string, number>();
  for (const [at, { marks, request_id: id }] of rows.entries()) {
    for (const mark of [...marks, `request ${id}`]) {
      const other = first.get(mark);
      if (other === undefined) first.set(mark, at);
      else {
        const [a, b] = [headOf(at), headOf(other)];
        heads[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
  return rows.map((_, at) => headOf(at));
}
