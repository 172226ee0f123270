/**
 * The metrics of the learning loop: what stands in the store, which is the same in all processes and after restarts, and
 * what this process saw: trainings that it ran, and what it refused. Plugins are names of configured classifiers. Told by
 * the processes with the role control.
 */
import { SHADOW_SIDES, type LearningStanding, type LearningTold } from '../contract/channels.ts';

export const LEARNING_METRICS = {
  weir_learning_models: { kind: 'gauge', labels: ['plugin'], help: 'Trained models of a plugin that are not retired' },
  weir_learning_switches: { kind: 'gauge', labels: ['plugin', 'change'], help: 'How often a trained model was let work (promote) or the former brought back (rollback), and how often an admin overrode what stood against it (overridden), ever' },
  weir_learning_processes_behind: { kind: 'gauge', labels: ['plugin'], help: 'Processes seen in the last two minutes that have not carried out the newest of those switches' },
  weir_learning_shadow_texts: { kind: 'gauge', labels: ['plugin', 'outcome'], help: 'Texts that the model beside what works was asked about: scored, or why not; 0 where none runs' },
  weir_learning_shadow_compared: { kind: 'gauge', labels: ['plugin', 'side'], help: 'Scores of both on the same text: on one side of 0.5 (agree), or above it for what works alone (only_working) or for the model beside it alone (only_shadow)' },
  weir_learning_last_training_timestamp_seconds: { kind: 'gauge', labels: [], help: 'When the last weekly training ended well, in seconds since 1970; absent before the first, and where none is configured' },
  weir_learning_runs_total: { kind: 'counter', labels: ['state'], help: 'Weekly trainings that this process ended: done or failed' },
  weir_learning_refusals_total: { kind: 'counter', labels: ['reason'], help: 'Models that were to work, over the API, and were refused: gate is what stands against them' },
} as const;

type LearningMetric = keyof typeof LEARNING_METRICS;

export interface LearningCounters {
  count(name: 'weir_learning_runs_total' | 'weir_learning_refusals_total', amount: number, labels: Readonly<Record<string, string>>): void;
  /** Of a plugin, bounded. */
  plugin(name: string): string;
}

/** What was told last of each plugin: one that is gone is told as none, since a gauge once told is repeated. */
export class LearningSeries {
  readonly #to: LearningCounters;
  readonly #plugins = new Map<string, LearningStanding['plugins'][number]>();
  #lastTrainedMs: number | undefined;

  constructor(to: LearningCounters) {
    this.#to = to;
  }

  /** What came in a day needs a value before the first. */
  begin(): void {
    for (const state of ['done', 'failed']) this.#to.count('weir_learning_runs_total', 0, { state });
    this.#to.count('weir_learning_refusals_total', 0, { reason: 'gate' });
  }

  told(told: LearningTold): void {
    if (told.kind === 'trained') return this.#to.count('weir_learning_runs_total', 1, { state: told.state });
    if (told.kind === 'refused') return this.#to.count('weir_learning_refusals_total', 1, { reason: told.reason });
    const { lastTrained, plugins } = told.standing;
    this.#lastTrainedMs = lastTrained === null ? undefined : Date.parse(lastTrained);
    for (const [plugin, known] of this.#plugins) this.#plugins.set(plugin, { ...known, models: 0, behind: 0, texts: zeroes(known.texts), compared: { agree: 0, only_working: 0, only_shadow: 0 } });
    for (const one of plugins) {
      const plugin = this.#to.plugin(one.plugin);
      this.#plugins.set(plugin, { ...one, texts: { ...this.#plugins.get(plugin)?.texts, ...one.texts } });
    }
  }

  observe(name: LearningMetric, observe: (value: number, labels: Readonly<Record<string, string>>) => void): void {
    if (name === 'weir_learning_last_training_timestamp_seconds') return this.#lastTrainedMs === undefined ? undefined : observe(this.#lastTrainedMs / 1000, {});
    for (const [plugin, { models, behind, switches, texts, compared }] of this.#plugins) {
      if (name === 'weir_learning_models') observe(models, { plugin });
      else if (name === 'weir_learning_processes_behind') observe(behind, { plugin });
      else if (name === 'weir_learning_switches') for (const [change, value] of Object.entries(switches)) observe(value, { plugin, change });
      else if (name === 'weir_learning_shadow_texts') for (const [outcome, value] of Object.entries(texts)) observe(value, { plugin, outcome });
      else if (name === 'weir_learning_shadow_compared') for (const side of SHADOW_SIDES) observe(compared[side], { plugin, side });
    }
  }
}

function zeroes(counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.keys(counts).map((name) => [name, 0]));
}
