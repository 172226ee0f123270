/** A bounded load on one Weir, request after request on a few connections, and what came of it second by second. */
import { setTimeout as delay } from 'node:timers/promises';
import { spread, type Spread } from './spread.ts';

/** Asked over and over: the text of a chat, and the status that it must have. */
export interface Question {
  readonly ask: () => Promise<number>;
  readonly status: number;
}

export interface LoadResult extends Spread {
  /** Statuses other than the ones that must be, by how often they came. */
  readonly wrong: Readonly<Record<string, number>>;
  /** Of each second. */
  readonly seconds: readonly Spread[];
}

const CLIENTS = 2;

/** Asks until `isOver`, each client with a pause after each answer. Rejects where a request gets no answer. */
export async function load(questions: readonly Question[], isOver: () => boolean, pauseMs = 12): Promise<LoadResult> {
  const startMs = performance.now();
  const times: number[] = [];
  const bySecond: number[][] = [];
  const wrong: Record<string, number> = {};
  const client = async (first: number): Promise<void> => {
    for (let i = first; !isOver(); i++) {
      const { ask, status } = questions[i % questions.length]!;
      const askedMs = performance.now();
      const got = await ask();
      const ms = performance.now() - askedMs;
      times.push(ms);
      (bySecond[Math.floor((askedMs - startMs) / 1000)] ??= []).push(ms);
      if (got !== status) wrong[got] = (wrong[got] ?? 0) + 1;
      await delay(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
  return { ...spread(times), wrong, seconds: Object.values(bySecond).map(spread) };
}
