/**
 * How the parts of this process are, since when, and what turned in the last hours: in memory, bounded, from the channels
 * that metrics and the log are made of. A part that was always well is not told. A restart begins anew.
 */
import { CHANNELS, type ConfigReloaded, type HealthChanged, type PoliciesHeld, type ReviewTold } from '../contract/channels.ts';

/** Parts are named by configuration and code, so they are few; logs that are shipped here are not. */
export const PARTS_MAX = 300;
export const TURNS_MAX = 500;
export const KEPT_MS = 24 * 3_600_000;
/** As `weir_policy_stale` says it. */
const STALE_MS = 120_000;

export interface Turn {
  readonly part: string;
  readonly healthy: boolean;
  readonly detail: string;
  readonly atMs: number;
}

export class HealthHistory {
  readonly since: Date;
  readonly #clock: () => number;
  /** How each part is, from when it turned. */
  readonly #parts = new Map<string, Turn>();
  /** The newest last. */
  #turns: Turn[] = [];
  #policies: PoliciesHeld['policies'] = [];
  readonly #onHealth = (message: unknown): void => this.#note(message as HealthChanged);
  readonly #onConfig = (message: unknown): void => this.#configured(message as ConfigReloaded);
  readonly #onReview = (message: unknown): void => this.#reviewed(message as ReviewTold);
  readonly #onHeld = (message: unknown): void => { this.#policies = (message as PoliciesHeld).policies; };

  constructor(clock: () => number) {
    this.#clock = clock;
    this.since = new Date(clock());
    CHANNELS.healthChanged.subscribe(this.#onHealth);
    CHANNELS.configReloaded.subscribe(this.#onConfig);
    CHANNELS.reviewTold.subscribe(this.#onReview);
    CHANNELS.policiesHeld.subscribe(this.#onHeld);
  }

  close(): void {
    CHANNELS.healthChanged.unsubscribe(this.#onHealth);
    CHANNELS.configReloaded.unsubscribe(this.#onConfig);
    CHANNELS.reviewTold.unsubscribe(this.#onReview);
    CHANNELS.policiesHeld.unsubscribe(this.#onHeld);
  }

  /** What is ill first, the longest ill before the others. */
  parts(): readonly Turn[] {
    return [...this.#parts.values(), ...this.#stale()].sort((a, b) => Number(a.healthy) - Number(b.healthy) || a.atMs - b.atMs);
  }

  /** The newest first. */
  turns(): readonly Turn[] {
    const from = this.#clock() - KEPT_MS;
    return this.#turns.filter(({ atMs }) => atMs >= from).reverse();
  }

  #note({ part, healthy, detail }: HealthChanged): void {
    const known = this.#parts.get(part);
    if (known === undefined && (healthy || this.#parts.size >= PARTS_MAX)) return;
    const hasTurned = known?.healthy !== healthy;
    const turn = { part, healthy, detail, atMs: hasTurned ? this.#clock() : known.atMs };
    this.#parts.set(part, turn);
    if (hasTurned) this.#turns = [...this.#turns, turn].slice(-TURNS_MAX);
  }

  #configured({ ok, issues }: ConfigReloaded): void {
    this.#note({ part: 'configuration', healthy: ok, detail: ok ? 'the newest configuration runs' : `it was refused for ${issues} ${issues === 1 ? 'issue' : 'issues'}, which the log names` });
  }

  #reviewed(told: ReviewTold): void {
    if (told.kind !== 'waiting') return;
    const overdue = Object.values(told.overdue).reduce((sum, many) => sum + many, 0);
    this.#note({ part: 'review deadlines', healthy: overdue === 0, detail: overdue === 0 ? 'nothing is overdue' : `${overdue} items are overdue` });
  }

  /** Age comes by itself, without anybody telling it. */
  #stale(): readonly Turn[] {
    const now = this.#clock();
    return this.#policies.flatMap(({ policy, revision, confirmedMs }) => (confirmedMs === undefined || now - confirmedMs <= STALE_MS ? [] : [{ part: `policy ${policy}`, healthy: false, detail: `nobody has confirmed since then that revision ${revision} is the newest`, atMs: confirmedMs }]));
  }
}
