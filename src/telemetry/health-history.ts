/**
 * How the parts of this process are, since when, what turned in the last hours, and how far logs are behind: in memory,
 * bounded, from the channels that metrics and the log are made of. A part that was never ill is not told to be well, since
 * it may not be in use. A restart begins anew.
 */
import { listen, type ConfigReloaded, type HealthTold, type PoliciesHeld, type ReviewTold } from '../contract/channels.ts';
import { PARTS, type Part } from '../contract/health.ts';

/** Parts are named by configuration and code, so they are few; logs that are shipped here are not. */
export const PARTS_MAX = 300;
export const TURNS_MAX = 500;
export const KEPT_MS = 24 * 3_600_000;
/** As `weir_policy_stale` says it. */
const STALE_MS = 120_000;

export type Turn = HealthTold;

/** Entries of an audit log that are not yet where they are to come: at `audit_ship`, in the index `decisions`, or here from `audit:<log>`. */
export interface Lag {
  readonly part: Part;
  readonly entries: number;
  /** When nothing was behind for the last time; undefined: nothing is. */
  readonly sinceMs: number | undefined;
}

export class HealthHistory {
  readonly since: Date;
  readonly #clock: () => number;
  /** How each part is, from when it turned. */
  readonly #parts = new Map<string, Turn>();
  /** The newest last. */
  #turns: Turn[] = [];
  readonly #lags = new Map<Part, Lag>();
  #policies: PoliciesHeld['policies'] = [];
  readonly #unsubscribe: () => void;

  constructor(clock: () => number) {
    this.#clock = clock;
    this.since = new Date(clock());
    this.#unsubscribe = listen({
      healthTold: (told) => this.#note(told),
      auditShipped: ({ lag }) => this.#behind('audit_ship', lag),
      auditReceived: ({ log, lag }) => this.#behind(`audit:${log}`, lag),
      decisionsIndexed: ({ log, lag }) => { if (log === '') this.#behind('decisions', lag); },
      configReloaded: (reloaded) => this.#configured(reloaded),
      reviewTold: (told) => this.#reviewed(told),
      policiesHeld: ({ policies }) => { this.#policies = policies; },
    });
  }

  close(): void {
    this.#unsubscribe();
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

  /** Those that this process has to do with; what is furthest behind first. */
  lags(): readonly Lag[] {
    return [...this.#lags.values()].sort((a, b) => b.entries - a.entries);
  }

  /** Of those with a name of their own: nothing was heard since the start, so they are well or not in use. */
  unheard(): readonly Part[] {
    return PARTS.filter((part) => !this.#parts.has(part));
  }

  #note({ part, healthy, detail, atMs }: HealthTold): void {
    const known = this.#parts.get(part);
    if (known === undefined && (healthy || this.#parts.size >= PARTS_MAX)) return;
    const hasTurned = known?.healthy !== healthy;
    const turn = { part, healthy, detail, atMs: hasTurned ? atMs : known.atMs };
    this.#parts.set(part, turn);
    if (hasTurned) this.#turns = [...this.#turns, turn].slice(-TURNS_MAX);
  }

  #behind(part: Part, entries: number): void {
    const known = this.#lags.get(part);
    if (known === undefined && this.#lags.size >= PARTS_MAX) return;
    this.#lags.set(part, { part, entries, sinceMs: entries === 0 ? undefined : known?.sinceMs ?? this.#clock() });
  }

  #configured({ ok, issues }: ConfigReloaded): void {
    this.#note({ part: 'configuration', atMs: this.#clock(), healthy: ok, detail: ok ? 'the newest configuration runs' : `it was refused for ${issues} ${issues === 1 ? 'issue' : 'issues'}, which the log names` });
  }

  #reviewed(told: ReviewTold): void {
    if (told.kind !== 'waiting') return;
    const overdue = Object.values(told.overdue).reduce((sum, many) => sum + many, 0);
    this.#note({ part: 'review deadlines', atMs: this.#clock(), healthy: overdue === 0, detail: overdue === 0 ? 'nothing is overdue' : `${overdue} items are overdue` });
  }

  /** Age comes by itself, without anybody telling it. */
  #stale(): readonly Turn[] {
    const now = this.#clock();
    return this.#policies.flatMap(({ policy, revision, confirmedMs }) => (confirmedMs === undefined || now - confirmedMs <= STALE_MS ? [] : [{ part: `policy ${policy}` as const, healthy: false, detail: `nobody has confirmed since then that revision ${revision} is the newest`, atMs: confirmedMs }]));
  }
}
