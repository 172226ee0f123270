/** Numbers drawn at random for simulations of statistics, from a source in [0, 1) that the test seeds. */

/** How many of `n` happen that have chance `p`: by gaps, so that rare events cost little. */
export function drawBinomial(random: () => number, n: number, p: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - drawBinomial(random, n, 1 - p);
  const logMiss = Math.log1p(-p);
  let count = 0;
  for (let at = Math.floor(Math.log(1 - random()) / logMiss); at < n; at += 1 + Math.floor(Math.log(1 - random()) / logMiss)) count++;
  return count;
}

/** The standard error of a share found in so many worlds, for the message beside it. */
export function monteCarloError(share: number, worlds: number): number {
  return Math.sqrt((share * (1 - share)) / worlds);
}
