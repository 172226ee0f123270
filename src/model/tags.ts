/**
 * The tags of tokens: nothing, and for each type that one begins and that it goes on. Which may follow which: what goes
 * on must have begun. Spans from chances: a token is of a type where that is likely enough, and a span ends where another
 * is likelier to begin than this one to go on. Pure.
 */

export const OUTSIDE = 0;
export const beginOf = (type: number): number => 1 + 2 * type;
export const insideOf = (type: number): number => 2 + 2 * type;
export const tagCount = (types: number): number => 1 + 2 * types;

export function mayFollow(tag: number, next: number): boolean {
  return next === OUTSIDE || next % 2 === 1 || tag === next || tag === next - 1;
}

/** Tokens `[first, last]` of one type, and how sure that is in log-odds, on average over its tokens. */
export interface TaggedRun {
  readonly type: number;
  readonly first: number;
  readonly last: number;
  readonly logit: number;
}

const SURE = 1e-6;

/** Of the tokens `[from, to)`. `chances`: for each token those of its tags, in a row. `floors`: by type, how likely a token must be of it. */
export function runsOf(chances: Float64Array, from: number, to: number, floors: readonly number[]): readonly TaggedRun[] {
  const types = floors.length;
  const tags = tagCount(types);
  const runs: TaggedRun[] = [];
  let type = -1, first = 0, sum = 0;
  const end = (last: number): void => {
    if (type >= 0) runs.push({ type, first, last, logit: sum / (last - first + 1) });
    type = -1;
  };
  for (let token = from; token < to; token += 1) {
    const row = token * tags;
    let best = -1, most = 0;
    for (let one = 0; one < types; one += 1) {
      const chance = chances[row + beginOf(one)] + chances[row + insideOf(one)];
      if (chance >= floors[one] && chance > most) {
        best = one;
        most = chance;
      }
    }
    if (best !== type || (best >= 0 && chances[row + beginOf(best)] > chances[row + insideOf(best)])) {
      end(token - 1);
      if (best >= 0) [type, first, sum] = [best, token, 0];
    }
    if (best >= 0) sum += Math.log(Math.max(SURE, most) / Math.max(SURE, 1 - most));
  }
  end(to - 1);
  return runs;
}
