/**
 * Which revision of each stored policy is held, how sure that is, and when to ask again. Pure: asking is the caller's,
 * who takes the questions that are due and brings back the replies, in any order and as late as it likes.
 *
 * INVARIANT: what is held never goes back to an older number; a reply that was asked for before the policy was called
 * out of date is not taken; nothing that is held is given up because nobody answers. A key is a policy's id, or
 * `id@number` for one that stays at that revision.
 */
import type { PolicyOrigin, PolicyRevision } from '../contract/policy.ts';

/** How long what is held counts as the newest without asking, and by how much this differs from policy to policy. */
export const FRESH_MS = 60_000;
const FRESH_JITTER = 0.1;
/** Time after which is asked again when there was no policy, or no answer. */
export const ABSENT_MS = 2_000;
export const RETRY_MS = 1_000;
/** The same where nothing is held, and requests are refused meanwhile. */
export const RETRY_SOON_MS = 200;
/** All that are asked anew at once, after a lost connection, are so spread. */
export const SPREAD_MS = 500;

export interface PolicyQuestion {
  readonly key: string;
  /** Older numbers are no answer to it. */
  readonly leastNumber: number;
  readonly generation: number;
}

/** `absent`: who was asked would know of it. `none`: who was asked does not know of it. `failed`: nobody answered. */
export type PolicyReply =
  | { readonly kind: 'found'; readonly revision: PolicyRevision; readonly origin: PolicyOrigin }
  | { readonly kind: 'absent' | 'none' | 'failed' };

export interface PolicyState {
  readonly key: string;
  readonly revision: PolicyRevision | undefined;
  readonly origin: PolicyOrigin | undefined;
  /** When what is held was last known to be the newest; undefined: nothing is held. */
  readonly confirmedMs: number | undefined;
  /** How the last question ended; undefined before the first. */
  readonly last: PolicyReply['kind'] | undefined;
}

interface Entry {
  revision: PolicyRevision | undefined;
  origin: PolicyOrigin | undefined;
  confirmedMs: number | undefined;
  last: PolicyReply['kind'] | undefined;
  dueMs: number;
  /** Counts the times that it was called out of date. */
  generation: number;
  /** The highest number that somebody told of. */
  leastNumber: number;
  /** A question is under way. */
  asked: boolean;
}

export class PolicySource {
  readonly #entries = new Map<string, Entry>();
  readonly #random: () => number;

  /** `random` in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** From now on these keys, too. */
  follow(keys: Iterable<string>): void {
    for (const key of keys) {
      if (this.#entries.has(key)) continue;
      this.#entries.set(key, { revision: undefined, origin: undefined, confirmedMs: undefined, last: undefined, dueMs: -Infinity, generation: 0, leastNumber: 0, asked: false });
    }
  }

  /** No others than these any more. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) if (!keys.has(key)) this.#entries.delete(key);
  }

  get keys(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** A copy from an earlier run, where nothing is held yet. */
  restore(key: string, revision: PolicyRevision, confirmedMs: number): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined && entry.revision === undefined) Object.assign(entry, { revision, origin: 'disk', confirmedMs });
  }

  /** What is to be asked now. Each is given once, until its reply was brought. */
  due(nowMs: number): readonly PolicyQuestion[] {
    const questions: PolicyQuestion[] = [];
    for (const [key, entry] of this.#entries) {
      if (entry.asked || entry.dueMs > nowMs) continue;
      entry.asked = true;
      questions.push({ key, leastNumber: entry.leastNumber, generation: entry.generation });
    }
    return questions;
  }

  /** True when another revision is held now. */
  answer({ key, generation }: PolicyQuestion, reply: PolicyReply, nowMs: number): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined || !entry.asked) return false;
    entry.asked = false;
    if (generation !== entry.generation) return false; // it is due already
    const judged = judge(entry, reply);
    entry.last = judged.kind;
    entry.dueMs = nowMs + (judged.kind === 'failed' && entry.revision === undefined ? RETRY_SOON_MS : this.#pauseMs(key, judged.kind));
    if (judged.kind !== 'found') return false;
    const changed = entry.revision?.number !== judged.revision.number;
    Object.assign(entry, { revision: judged.revision, origin: judged.origin, confirmedMs: nowMs, leastNumber: judged.revision.number });
    return changed;
  }

  /** Somebody changed the policy. */
  invalidate(key: string, number: number, nowMs: number): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || number <= entry.leastNumber) return;
    entry.leastNumber = number;
    entry.generation++;
    entry.dueMs = nowMs;
  }

  /** Changes may have been missed. */
  suspectAll(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (pinnedNumber(key) !== undefined && entry.last === 'found') continue;
      entry.generation++;
      entry.dueMs = Math.min(entry.dueMs, nowMs + SPREAD_MS * this.#random());
    }
  }

  /** Somebody answers again: those who had no answer are asked anew, at once where what is held is known to be old. */
  retry(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.last !== 'failed') continue;
      const isOld = entry.leastNumber > (entry.revision?.number ?? 0);
      entry.dueMs = Math.min(entry.dueMs, isOld ? nowMs : nowMs + SPREAD_MS * this.#random());
    }
  }

  states(): readonly PolicyState[] {
    return [...this.#entries].map(([key, { revision, origin, confirmedMs, last }]) => ({ key, revision, origin, confirmedMs, last }));
  }

  /** Since when what is held is not known to be the newest; undefined for what is not held, or cannot change. */
  confirmedMs(key: string): number | undefined {
    return pinnedNumber(key) === undefined ? this.#entries.get(key)?.confirmedMs : undefined;
  }

  #pauseMs(key: string, kind: PolicyReply['kind']): number {
    if (kind === 'failed') return RETRY_MS;
    if (kind !== 'found') return ABSENT_MS;
    return pinnedNumber(key) === undefined ? FRESH_MS * (1 - FRESH_JITTER + 2 * FRESH_JITTER * this.#random()) : Infinity;
  }
}

/** Who has the store knows better than who told of a number. Nothing held is given up for an answer that it is not there. */
function judge({ revision: held, leastNumber }: Entry, reply: PolicyReply): PolicyReply {
  if (reply.kind !== 'found') return held === undefined ? reply : { kind: 'failed' };
  const { revision: { number, sha256 }, origin } = reply;
  const least = origin === 'store' ? 0 : leastNumber;
  if (number < Math.max(least, held?.number ?? 0)) return { kind: 'failed' };
  return number === held?.number && sha256 !== held.sha256 ? { kind: 'failed' } : reply;
}

/** `id`, or `id@number`. Ids hold no `@`. */
export function policyKey(policy: string, pinned?: number): string {
  return pinned === undefined ? policy : `${policy}@${pinned}`;
}

export function policyOfKey(key: string): string {
  return key.split('@', 1)[0]!;
}

export function pinnedNumber(key: string): number | undefined {
  const at = key.indexOf('@');
  return at < 0 ? undefined : Number(key.slice(at + 1));
}
