/**
 * Makes text wait for scores. A gate cuts a channel's text into windows, asks for each window's scores at once, and
 * knows how far the text is scored: `reach`. Windows count in order, whatever order their scores arrive in, so what is
 * decided about a text does not depend on timing. In `trail` mode nothing waits: text leaves, scores follow. Whoever
 * looks at the text after the fact is told of the same windows, and nothing is heard from there.
 */
import type { ClassifierResult } from '../contract/screening.ts';
import { WindowCutter, type TextWindow, type WindowRule } from '../text/windows.ts';

/** Scores of one window. Never rejects: what is missing is an unknown result. */
export type ScoreWindow = (window: TextWindow) => Promise<readonly ClassifierResult[]>;

export interface GateOptions {
  readonly window: WindowRule;
  readonly mode: 'hold' | 'trail';
  /** Absent: nothing is asked for here. */
  readonly score?: ScoreWindow;
  /** Told of every window, in order, also of one that begins and never ends. */
  readonly follow?: (window: TextWindow) => void;
  /** Scores have arrived that move `reach`; called asynchronously. */
  readonly onScores: () => void;
}

export interface ScoredWindow {
  readonly window: TextWindow;
  readonly results: readonly ClassifierResult[];
}

interface Asked {
  readonly window: TextWindow;
  results: readonly ClassifierResult[] | undefined;
}

export class Gate {
  readonly #options: GateOptions;
  readonly #cutter: WindowCutter;
  /** Windows that are not handed out, in order. */
  #asked: Asked[] = [];
  #reach = 0;
  #closed = false;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#cutter = new WindowCutter(options.window);
  }

  /** Offset before which every window was handed out by `take`; text before it may leave. */
  get reach(): number {
    return this.#options.mode === 'trail' ? Infinity : this.#reach;
  }

  /** Windows wait for their scores. */
  get waiting(): boolean {
    return this.#asked.length > 0;
  }

  feed(text: string): void {
    for (const window of this.#cutter.feed(text)) this.#ask(window);
  }

  /** The text ends. */
  flush(): void {
    for (const window of this.#cutter.flush()) this.#ask(window);
  }

  /** No scores are wanted any more. */
  close(): void {
    const { follow } = this.#options;
    if (follow !== undefined && !this.#closed) for (const window of this.#cutter.flush()) follow(window);
    this.#closed = true;
    this.#asked = [];
  }

  /** The next window in order, if its scores have arrived and it ends at or before `limit`. */
  take(limit: number): ScoredWindow | undefined {
    const first = this.#asked[0];
    if (first?.results === undefined || first.window.end > limit) return undefined;
    this.#asked.shift();
    this.#reach = first.window.end;
    return { window: first.window, results: first.results };
  }

  #ask(window: TextWindow): void {
    const { score, follow } = this.#options;
    follow?.(window);
    if (score === undefined) return;
    const asked: Asked = { window, results: undefined };
    this.#asked.push(asked);
    void score(window).then((results) => {
      asked.results = results;
      if (!this.#closed) this.#options.onScores();
    });
  }
}
