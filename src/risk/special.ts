/**
 * The functions behind the intervals: the beta and the normal distribution and their quantiles, for real parameters.
 * Guarantees 1e-10 for parameters from 0.01 to 1e9 (tested against reference values). Knows nothing of samples. Pure.
 *
 * Sources: Lanczos (1964) for small log gamma; Loader, "Fast and accurate computation of binomial probabilities" (2000) for the
 * density without cancellation; DLMF 8.17.22 for the continued fraction, by Lentz's method; Marsaglia, "Evaluating the normal
 * distribution" (2004).
 */

const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI);
const LANCZOS_G = 607 / 128;
const LANCZOS: readonly number[] = [
  0.99999999999999709182, 57.156235665862923517, -59.597960355475491248, 14.136097974741747174, -0.49191381609762019978, 0.33994649984811888699e-4, 0.46523628927048575665e-4,
  -0.98374475304879564677e-4, 0.15808870322491248884e-3, -0.21026444172410488319e-3, 0.2174396181152126432e-3, -0.16431810653676389022e-3, 0.84418223983852743293e-4, -0.2619083840158140867e-4,
  0.36899182659531622704e-5,
];
/** Beyond it the fraction, whose steps grow as the root of the larger parameter, would take too long. */
export const BETA_PARAMETER_MAX = 1e9;
const QUANTILE_STEPS_MAX = 2_000;

/** Of the binomial and of the standard normal distribution nothing is left beyond this many deviations. */
const NORMAL_MAX = 8.3;

/** Chance that a Beta(a, b) is at most `x`; a and b above 0. */
export function betaCdf(x: number, a: number, b: number): number {
  need(a > 0 && b > 0 && a <= BETA_PARAMETER_MAX && b <= BETA_PARAMETER_MAX, `a beta distribution has parameters above 0 up to ${BETA_PARAMETER_MAX}, not ${a} and ${b}`);
  need(!Number.isNaN(x), 'a chance is asked for at a number');
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  // The fraction converges fast below the mean only; above it the other tail is taken.
  return x < (a + 1) / (a + b + 2) ? lowerTail(x, a, b) : 1 - lowerTail(1 - x, b, a);
}

/** The `x` that a Beta(a, b) does not pass with chance `p`. */
export function betaQuantile(p: number, a: number, b: number): number {
  return quantileOf((x) => betaCdf(x, a, b), p);
}

/**
 * Where a continuous distribution on [0, 1] reaches `p`: bisection, which no shape of distribution can lead astray, to the last
 * digits also where the answer is tiny. `p` that the distribution has at 0 already gives 0.
 */
export function quantileOf(cdf: (x: number) => number, p: number): number {
  need(p >= 0 && p <= 1, `a chance lies between 0 and 1, not ${p}`);
  let [low, high] = [0, 1];
  for (let step = 0; step < QUANTILE_STEPS_MAX && high - low > 1e-15 * high; step++) {
    const middle = low > 0 ? (low + high) / 2 : high > 1e-3 ? high / 2 : high / 1024;
    if (middle < 1e-300) return 0;
    if (cdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Chance of at most `k` in `n` draws of chance `p`; also between whole numbers, where it goes on smoothly. */
export function binomialCdf(k: number, n: number, p: number): number {
  if (k < 0) return 0;
  return k >= n ? 1 : 1 - betaCdf(p, k + 1, n - k);
}

export function normalCdf(z: number): number {
  if (Math.abs(z) > NORMAL_MAX) return z > 0 ? 1 : 0;
  let [sum, term] = [z, z];
  for (let i = 3; Math.abs(term) > 1e-18 * Math.abs(sum); i += 2) {
    term *= (z * z) / i;
    sum += term;
  }
  return 0.5 + sum * Math.exp(-0.5 * z * z - HALF_LOG_TWO_PI);
}

/** The deviation that a standard normal number does not pass with chance `p`. */
export function normalQuantile(p: number): number {
  need(p > 0 && p < 1, `a normal quantile is asked for a chance between 0 and 1, not ${p}`);
  return 2 * NORMAL_MAX * quantileOf((x) => normalCdf(NORMAL_MAX * (2 * x - 1)), p) - NORMAL_MAX;
}

/** Log of the gamma function, above 0. */
export function logGamma(x: number): number {
  if (x >= 15) return stirlingError(x) + (x - 0.5) * Math.log(x) - x + HALF_LOG_TWO_PI;
  const base = x + LANCZOS_G + 0.5;
  const sum = LANCZOS.slice(1).reduce((total, coefficient, i) => total + coefficient / (x + i + 1), LANCZOS[0]);
  return (x + 0.5) * Math.log(base) - base + Math.log((2.5066282746310005024 * sum) / x);
}

/** Arguments that no caller may give; the sentence says what was given. */
export function need(isSo: boolean, message: string): void {
  if (!isSo) throw new RangeError(message);
}

/** The incomplete beta function at `x` below its mean. */
function lowerTail(x: number, a: number, b: number): number {
  return Math.exp(logKernel(x, a, b)) / (a * fraction(x, a, b));
}

/** Log of x^a (1-x)^b / B(a, b), from differences instead of large numbers. */
function logKernel(x: number, a: number, b: number): number {
  const n = a + b;
  return stirlingError(n) - stirlingError(a) - stirlingError(b) - deviance(a, n * x) - deviance(b, n * (1 - x)) + 0.5 * Math.log((a * b) / n) - HALF_LOG_TWO_PI;
}

/** What Stirling's formula for log x! lacks. */
function stirlingError(x: number): number {
  if (x < 15) return logGamma(x) + Math.log(x) - (x + 0.5) * Math.log(x) + x - HALF_LOG_TWO_PI;
  const square = x * x;
  return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - (1 / 1188 - 691 / 360360 / square) / square) / square) / square) / square) / x;
}

/** x log(x/mean) + mean - x, exact also where x is near the mean. */
function deviance(x: number, mean: number): number {
  if (Math.abs(x - mean) >= 0.1 * (x + mean)) return x * Math.log(x / mean) + mean - x;
  const v = (x - mean) / (x + mean);
  let sum = (x - mean) * v;
  let power = 2 * x * v;
  for (let i = 3; ; i += 2) {
    power *= v * v;
    const next = sum + power / i;
    if (next === sum) return next;
    sum = next;
  }
}

function fraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  let value = 1;
  let c = 1;
  let d = 0;
  for (let i = 1; ; i++) {
    const m = Math.floor(i / 2);
    const step = i % 2 === 0 ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)) : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonZero(1 + step * d, tiny);
    c = nonZero(1 + step / c, tiny);
    value *= c * d;
    // Rounding may leave the last digit of the factor going to and fro.
    if (Math.abs(c * d - 1) < 4e-16) return value;
  }
}

function nonZero(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}
