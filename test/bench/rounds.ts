/**
 * Times cases against each other. All cases run once in every round, forwards and backwards in turn, so that what else
 * the machine does hits all alike; a case's figure is the median of its rounds. Each case is warmed up first, and runs
 * as often within a round as a sample needs to be long enough to time.
 */

import type { Row } from './report.ts';

export interface Case {
  readonly name: string;
  /** What one run does, in the unit of the figure: characters, deltas, events. */
  readonly work: number;
  readonly run: () => unknown;
}

/** Nanoseconds for each unit of work. */
export interface Timing {
  readonly medianNs: number;
  readonly minNs: number;
  readonly maxNs: number;
  readonly rounds: number;
}

export interface Effort {
  readonly rounds: number;
  /** Shortest sample. */
  readonly sampleMs: number;
  /** What all rounds of one case may take; a case that is slower gets fewer of them. */
  readonly caseMs: number;
  readonly quick: boolean;
}

/** Keeps results alive, so that no engine may skip the work. */
export let sink: unknown;

/** Timings in the order of `cases`. */
export function timeCases(title: string, cases: readonly Case[], effort: Effort): readonly Timing[] {
  const paces = cases.map((one, i) => {
    progress(`${title}: warming up ${i + 1}/${cases.length} ${one.name}`);
    return warmUp(one, effort);
  });
  const samples: number[][] = cases.map(() => []);
  for (let round = 0; round < effort.rounds; round += 1) {
    for (let i = 0; i < cases.length; i += 1) {
      const at = round % 2 === 0 ? i : cases.length - 1 - i;
      const { repeats, rounds } = paces[at];
      if (round >= rounds) continue;
      progress(`${title}: round ${round + 1}/${effort.rounds}, ${cases[at].name}`);
      samples[at].push(sampleNs(cases[at], repeats));
    }
  }
  return samples.map(timingOf);
}

/** Overwrites one line of the terminal; nothing where nobody looks. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text.slice(0, 100)}`);
}

interface Pace {
  /** Runs in one sample. */
  readonly repeats: number;
  readonly rounds: number;
}

/** Runs the case until V8 has settled; how long that takes says how often it can be run. */
function warmUp(one: Case, { rounds, sampleMs, caseMs }: Effort): Pace {
  const began = performance.now();
  let fastestMs = Infinity;
  do {
    const start = performance.now();
    sink = one.run();
    fastestMs = Math.min(fastestMs, performance.now() - start);
  } while (performance.now() - began < 2 * sampleMs);
  const repeats = Math.max(1, Math.round(sampleMs / fastestMs));
  return { repeats, rounds: Math.min(rounds, Math.max(1, Math.floor(caseMs / (repeats * fastestMs)))) };
}

function sampleNs({ run, work }: Case, repeats: number): number {
  const start = performance.now();
  for (let i = 0; i < repeats; i += 1) sink = run();
  return ((performance.now() - start) * 1e6) / (repeats * work);
}

function timingOf(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const medianNs = sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return { medianNs, minNs: sorted[0], maxNs: sorted[sorted.length - 1], rounds: sorted.length };
}

/** The half, the twentieth from the top, and the largest. */
export function quantiles(samples: readonly number[]): readonly number[] {
  const sorted = [...samples].sort((a, b) => a - b);
  return [0.5, 0.95, 1].map((share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!);
}

/** A row of a table: what `run` told first, which warms up and is not counted, and its times in milliseconds over so many repeats. */
export async function timedRow(name: string, run: () => Promise<readonly [told: number, more?: number]>, repeats: number): Promise<Row> {
  const told = await run();
  const samples: number[] = [];
  for (let i = 0; i < repeats; i++) {
    progress(name);
    const start = performance.now();
    await run();
    samples.push(performance.now() - start);
  }
  return { cells: [name, ...quantiles(samples), told[0], told[1]] };
}
