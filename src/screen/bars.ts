/**
 * Sessions that are refused for a time, because an exchange of theirs was found to violate the policy after it had gone
 * through. Kept in this process and, where there is a Redis, there, so that replicas refuse them too; without an answer
 * from it what this process knows counts. A session's own name is shown to nobody. Bounded: the bars that end first go first.
 */
import { createHmac } from 'node:crypto';
import type { SharedText } from './pseudonyms.ts';

export interface BarredSession {
  readonly tenantId: string;
  readonly sessionId: string;
  /** The tenant's: `ScreeningPlan.barKey`. */
  readonly key: Buffer;
}

export interface SessionBarsOptions {
  readonly shared?: SharedText;
  /** Bars in this process. */
  readonly countMax?: number;
  /** Milliseconds since 1970, which replicas agree about. */
  readonly clock?: () => number;
}

export const BARS_MAX = 100_000;
/** How often a bar gives way to replicas that bar the same session at the same time. */
const ATTEMPTS = 5;

export class SessionBars {
  readonly #shared: SharedText | undefined;
  readonly #countMax: number;
  readonly #clock: () => number;
  /** When each ends. */
  readonly #ends = new Map<string, number>();

  constructor({ shared, countMax = BARS_MAX, clock = Date.now }: SessionBarsOptions = {}) {
    this.#shared = shared;
    this.#countMax = countMax;
    this.#clock = clock;
  }

  /** Refuses the session for `barMs`, or for as long as it is refused already. In this process at once. */
  async bar(session: BarredSession, barMs: number): Promise<void> {
    const id = idOf(session);
    const end = this.#clock() + barMs;
    this.#keep(id, end);
    for (let attempt = 1; this.#shared !== undefined && attempt <= ATTEMPTS; attempt += 1) {
      const known = await this.#shared.read(id, barMs);
      if (!known.ok || endOf(known.value) >= end) return;
      const replaced = await this.#shared.replace(id, known.value, String(end), barMs);
      if (!replaced.ok || replaced.value) return;
    }
  }

  /** `barMs`: the longest bar there is. */
  async isBarred(session: BarredSession, barMs: number): Promise<boolean> {
    const id = idOf(session);
    const now = this.#clock();
    if ((this.#ends.get(id) ?? 0) > now) return true;
    const shared = await this.#shared?.read(id, barMs);
    if (shared?.ok !== true || endOf(shared.value) <= now) return false;
    this.#keep(id, endOf(shared.value));
    return true;
  }

  #keep(id: string, end: number): void {
    const longest = Math.max(end, this.#ends.get(id) ?? 0);
    this.#ends.delete(id);
    this.#ends.set(id, longest);
    if (this.#ends.size > this.#countMax) this.#dropFirst();
  }

  /** Those that are over, or else the one that is over first. Rare, and then once through all. */
  #dropFirst(): void {
    const now = this.#clock();
    let first: string | undefined;
    for (const [id, end] of this.#ends) {
      if (end <= now) this.#ends.delete(id);
      else if (first === undefined || end < this.#ends.get(first)!) first = id;
    }
    if (this.#ends.size > this.#countMax) this.#ends.delete(first!);
  }
}

function endOf(text: string | undefined): number {
  return text === undefined ? 0 : Number(text) || 0;
}

/** The braces keep what a tenant has on one node of a cluster. */
function idOf({ tenantId, sessionId, key }: BarredSession): string {
  return `{${tenantId}}:barred:${createHmac('sha256', key).update(`session ${sessionId}`).digest('base64url')}`;
}
