/**
 * The word that was probably meant: the nearest of a closed list by edit distance (insert, delete, replace, swap of
 * neighbours), or none when every word is too far. Pure; a long misspelling costs no more than its length.
 */

/** Distance allowed: one for short words, a third of the length for longer ones. Of equals, the one of the same length. */
export function nearestWord(word: string, words: Iterable<string>): string | undefined {
  const distanceMax = Math.max(1, Math.floor(word.length / 3));
  let best: string | undefined;
  let bestRank = Infinity;
  for (const candidate of words) {
    const lengthGap = Math.abs(candidate.length - word.length);
    if (lengthGap > distanceMax) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    const rank = distance + (lengthGap > 0 ? 0.5 : 0);
    if (distance <= distanceMax && rank < bestRank) [best, bestRank] = [candidate, rank];
  }
  return best;
}

/** Optimal string alignment, three rows at a time. */
function editDistance(a: string, b: string): number {
  let twoAbove: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let distance = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) distance = Math.min(distance, twoAbove[j - 2] + 1);
      row.push(distance);
    }
    [twoAbove, above] = [above, row];
  }
  return above[b.length];
}
