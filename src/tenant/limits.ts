/**
 * Rate and concurrency limits of tenants and of their keys. Rates are counted in Redis when there is one, so that
 * replicas share them; what Redis admits is counted here too, so that its loss is not a fresh start. While it does not
 * answer each replica admits its share: the limit divided by the replicas that there were last. Without a Redis that is
 * the whole limit. Concurrency is per process. Guarantees: no call to Redis for who has no rates, one for all limits of
 * a request, of which all are taken or none; and never an error because of Redis.
 */
import type { TenantConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { redisScript, type RedisDoor } from '../store/redis.ts';
import { charge, isEmpty, PERIOD_MS, ROUNDING_MS, take, type Bucket, type LimitDecision, type RateLimit } from './gcra.ts';
import type { KeyLimits } from './stored-keys.ts';

/** A refusal that says when to come again. */
export class RateLimited extends WeirError {
  readonly retryAfterMs: number;

  constructor(noun: 'requests a minute' | 'tokens a minute' | 'open requests', decision: LimitDecision) {
    super('rate_limited', `the limit of ${decision.limit} ${noun} is reached`);
    this.retryAfterMs = decision.retryAfterMs;
  }
}

/** One exchange that was let in. */
export interface Admission {
  /** Counts another request of what was let in: a turn on a connection that has many. Throws RateLimited. */
  takeRequest(): Promise<void>;
  /** Throws RateLimited. The estimate that goes by the size of the request. */
  takeTokens(requestBytes: number): Promise<void>;
  /** What the upstream counted; puts the estimates since the last time right. Without an estimate it counts nothing. */
  settleTokens(used: number): void;
  /** The exchange has ended. May be called more than once. */
  release(): void;
}

/** What is asked of Redis. */
export type SharedCounter = Pick<RedisDoor, 'admits' | 'run'>;

/** A limit and where it is counted. */
export interface CountedLimit {
  readonly counter: string;
  readonly limit: RateLimit;
}

export interface LimitOptions {
  /** The connection as it is now; undefined when none is configured. */
  readonly redis?: () => SharedCounter | undefined;
  /** Processes that share the limits; default 1. */
  readonly replicas?: () => number;
  /** Milliseconds that never go back; default `performance.now`. */
  readonly clock?: () => number;
}

const BYTES_PER_TOKEN = 4;
/** A place comes free when an answer ends, and nobody knows when. */
const CONCURRENT_RETRY_MS = 1_000;
/** Answers much longer than their estimate bring a tenant into debt; after so long it is forgiven. */
const TOKEN_DEBT_MS = 5 * PERIOD_MS;
/** Local buckets above which empty ones are dropped. */
const BUCKETS_KEPT = 10_000;

const ADMITTED: LimitDecision = Object.freeze({ allowed: true, retryAfterMs: 0, limit: Infinity, remaining: Infinity });
const UNLIMITED: Admission = Object.freeze({ takeRequest: async () => {}, takeTokens: async () => {}, settleTokens: () => {}, release: () => {} });

export class TenantLimits {
  readonly #redis: () => SharedCounter | undefined;
  readonly #replicas: () => number;
  readonly #clock: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #open = new Map<string, number>();

  constructor({ redis = () => undefined, replicas = () => 1, clock = () => performance.now() }: LimitOptions = {}) {
    this.#redis = redis;
    this.#replicas = replicas;
    this.#clock = clock;
  }

  /** Lets one request in, or throws RateLimited. The admission must be released. `key`: the one that was used, with its own limits. */
  async admit({ id, limits }: TenantConfig, key?: { readonly keyId: string; readonly limits: KeyLimits }): Promise<Admission> {
    const requests = countedLimits(id, 'requests', limits?.requests_per_minute, key?.keyId, key?.limits.requests_per_minute);
    const tokens = countedLimits(id, 'tokens', limits?.tokens_per_minute, key?.keyId, key?.limits.tokens_per_minute);
    const concurrent = limits?.concurrent;
    if (requests.length === 0 && tokens.length === 0 && concurrent === undefined) return UNLIMITED;
    const release = concurrent === undefined ? () => {} : this.#enter(id, concurrent);
    const takeRequest = async (): Promise<void> => {
      const decision = await this.take(requests, 1);
      if (!decision.allowed) throw new RateLimited('requests a minute', decision);
    };
    try {
      await takeRequest();
    } catch (refusal) {
      release();
      throw refusal;
    }
    return tokens.length === 0 ? { ...UNLIMITED, takeRequest, release } : new TokenAdmission(this, tokens, takeRequest, release);
  }

  /** Asks the shared counters, or the local ones when they do not answer. Where one refuses none is counted, and the longest wait is told. */
  async take(limits: readonly CountedLimit[], amount: number): Promise<LimitDecision> {
    if (limits.length === 0) return ADMITTED;
    const shared = await this.#takeShared(limits, amount);
    if (shared === undefined) return this.#takeLocal(limits, amount);
    if (shared.allowed) for (const one of limits) this.#chargeLocal(one, Math.min(amount, one.limit.perMinute));
    return shared;
  }

  /** Counts what was used beyond what was taken. Waits for nothing. */
  charge(one: CountedLimit, amount: number): void {
    if (amount === 0) return;
    this.#chargeLocal(one, amount);
    void this.#redis()?.run(CHARGE, [one.counter], scriptArguments([one], amount));
  }

  async #takeShared(limits: readonly CountedLimit[], amount: number): Promise<LimitDecision | undefined> {
    const redis = this.#redis();
    if (redis === undefined || !redis.admits) return undefined;
    const reply = await redis.run(TAKE, limits.map(({ counter }) => counter), scriptArguments(limits, amount));
    return reply.ok ? readDecision(reply.value, limits) : undefined;
  }

  #takeLocal(limits: readonly CountedLimit[], amount: number): LimitDecision {
    const nowMs = this.#clock();
    const taken = limits.map(({ counter, limit }) => ({ counter, limit: limit.perMinute, ...take(this.#share(limit), this.#buckets.get(counter), nowMs, amount) }));
    const allowed = taken.every(({ decision }) => decision.allowed);
    // A bucket that refused is as it was; of those that would have admitted nothing is kept.
    for (const { counter, bucket, decision } of taken) if (allowed || !decision.allowed) this.#keep(counter, bucket);
    const telling = taken.reduce((worst, one) => (one.decision.retryAfterMs > worst.decision.retryAfterMs ? one : worst));
    return { ...telling.decision, limit: telling.limit };
  }

  #chargeLocal({ counter, limit }: CountedLimit, amount: number): void {
    this.#keep(counter, charge(this.#share(limit), this.#buckets.get(counter), this.#clock(), amount));
  }

  /** What this process may admit alone. */
  #share({ perMinute, debtMs }: RateLimit): RateLimit {
    return { perMinute: perMinute / Math.max(1, this.#redis() === undefined ? 1 : this.#replicas()), debtMs };
  }

  #keep(counter: string, bucket: Bucket): void {
    if (this.#buckets.size >= BUCKETS_KEPT && !this.#buckets.has(counter)) this.#dropEmpty();
    this.#buckets.set(counter, bucket);
  }

  #dropEmpty(): void {
    const nowMs = this.#clock();
    for (const [counter, bucket] of this.#buckets) if (isEmpty(bucket, nowMs)) this.#buckets.delete(counter);
  }

  #enter(id: string, concurrent: number): () => void {
    const open = this.#open.get(id) ?? 0;
    if (open >= concurrent) throw new RateLimited('open requests', { allowed: false, retryAfterMs: CONCURRENT_RETRY_MS, limit: concurrent, remaining: 0 });
    this.#open.set(id, open + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const others = this.#open.get(id)! - 1;
      if (others === 0) this.#open.delete(id);
      else this.#open.set(id, others);
    };
  }
}

class TokenAdmission implements Admission {
  readonly takeRequest: () => Promise<void>;
  readonly release: () => void;
  readonly #limits: TenantLimits;
  readonly #counted: readonly CountedLimit[];
  /** What was estimated and not yet put right. */
  readonly #estimates: number[] = [];

  constructor(limits: TenantLimits, counted: readonly CountedLimit[], takeRequest: () => Promise<void>, release: () => void) {
    this.#limits = limits;
    this.#counted = counted;
    this.takeRequest = takeRequest;
    this.release = release;
  }

  async takeTokens(requestBytes: number): Promise<void> {
    const estimate = estimateTokens(requestBytes);
    const decision = await this.#limits.take(this.#counted, estimate);
    if (!decision.allowed) throw new RateLimited('tokens a minute', decision);
    this.#estimates.push(estimate);
  }

  settleTokens(used: number): void {
    if (this.#estimates.length === 0) return;
    for (const one of this.#counted) {
      const taken = this.#estimates.reduce((sum, estimate) => sum + Math.min(estimate, one.limit.perMinute), 0);
      this.#limits.charge(one, used - taken);
    }
    this.#estimates.length = 0;
  }
}

/** Of text, by its size: what is counted where nobody tells how many tokens it was. */
export function estimateTokens(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

// Redis. The braces keep all counters of a tenant on one node of a cluster.

function countedLimits(tenantId: string, noun: 'requests' | 'tokens', ofTenant: number | undefined, keyId: string | undefined, ofKey: number | undefined): readonly CountedLimit[] {
  const debtMs = noun === 'tokens' ? TOKEN_DEBT_MS : 0;
  const counted: CountedLimit[] = [];
  if (ofTenant !== undefined) counted.push({ counter: `{${tenantId}}:rl:${noun}`, limit: { perMinute: ofTenant, debtMs } });
  if (ofKey !== undefined) counted.push({ counter: `{${tenantId}}:rl:key:${keyId}:${noun}`, limit: { perMinute: ofKey, debtMs } });
  return counted;
}

function scriptArguments(limits: readonly CountedLimit[], amount: number): readonly number[] {
  return [amount, ...limits.flatMap(({ limit: { perMinute, debtMs } }) => [perMinute, debtMs])];
}

/** `gcra.ts` in Lua, by the server's clock, which all replicas share. A value that is no bucket counts as an empty one. */
const BUCKET = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local amount = tonumber(ARGV[1])
local function bucket(i)
  local per_minute, debt = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local stored = redis.pcall('GET', KEYS[i])
  local backlog, at = string.match(type(stored) == 'string' and stored or '', '^([%d.e+-]+) ([%d.e+-]+)$')
  backlog, at = tonumber(backlog or 0) or 0, tonumber(at or now) or now
  if backlog - backlog ~= 0 or at - at ~= 0 then backlog, at = 0, now end -- no number that counts
  backlog = math.min(math.max(backlog - math.max(now - at, 0), 0), ${PERIOD_MS} + debt)
  return { key = KEYS[i], backlog = backlog, at = at, debt = debt, per_minute = per_minute, step = ${PERIOD_MS} / per_minute }
end
local function keep(key, filled)
  if filled > 0 then redis.call('SET', key, string.format('%.17g %.17g', filled, now), 'PX', math.ceil(filled))
  else redis.call('DEL', key) end
end
`;

/** `{allowed, retry after, remaining, which limit}`. */
const TAKE = redisScript(`${BUCKET}
local all, over, telling = {}, 0, 1
for i = 1, #KEYS do
  local one = bucket(i)
  one.filled = one.backlog + math.min(amount, one.per_minute) * one.step
  one.over = one.filled - ${PERIOD_MS}
  if one.over > over and one.over > ${ROUNDING_MS} then over, telling = one.over, i end
  all[i] = one
end
local allowed = over <= ${ROUNDING_MS}
for _, one in ipairs(all) do
  if allowed then keep(one.key, one.filled) elseif now < one.at then keep(one.key, one.backlog) end
end
local told = all[telling]
local kept = allowed and told.filled or told.backlog
return { allowed and 1 or 0, allowed and 0 or math.ceil(over - ${ROUNDING_MS}), math.max(0, math.floor((${PERIOD_MS + ROUNDING_MS} - kept) / told.step)), telling }
`);

const CHARGE = redisScript(`${BUCKET}
local one = bucket(1)
keep(one.key, math.min(one.backlog + amount * one.step, ${PERIOD_MS} + one.debt))
return 1
`);

/** Undefined when it is not what the script returns. */
function readDecision(value: unknown, limits: readonly CountedLimit[]): LimitDecision | undefined {
  if (!Array.isArray(value) || value.length !== 4 || !value.every(Number.isFinite)) return undefined;
  const [allowed, retryAfterMs, remaining, telling] = value as [number, number, number, number];
  const told = limits[telling - 1];
  return told && { allowed: allowed === 1, retryAfterMs, limit: told.limit.perMinute, remaining };
}
