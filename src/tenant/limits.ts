/**
 * Rate and concurrency limits of tenants. Rates are counted in Redis when there is one, so that replicas share them, and
 * in this process, at the full limit, while there is none or it does not answer: then each replica admits that much, and
 * no more. What Redis admits is counted here too, so that its loss is not a fresh start. Concurrency is per process.
 * Guarantees: no call to Redis for a tenant without rates, and never an error because of Redis.
 */
import type { TenantConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { redisScript, type RedisDoor } from '../store/redis.ts';
import { charge, isEmpty, PERIOD_MS, ROUNDING_MS, take, type Bucket, type LimitDecision, type RateLimit } from './gcra.ts';

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

export interface LimitOptions {
  /** The connection as it is now; undefined when none is configured. */
  readonly redis?: () => SharedCounter | undefined;
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

const UNLIMITED: Admission = Object.freeze({ takeRequest: async () => {}, takeTokens: async () => {}, settleTokens: () => {}, release: () => {} });

export class TenantLimits {
  readonly #redis: () => SharedCounter | undefined;
  readonly #clock: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #open = new Map<string, number>();

  constructor({ redis = () => undefined, clock = () => performance.now() }: LimitOptions = {}) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** Lets one request in, or throws RateLimited. The admission must be released. */
  async admit({ id, limits }: TenantConfig): Promise<Admission> {
    if (limits === undefined) return UNLIMITED;
    const { requests_per_minute: requests, tokens_per_minute: tokens, concurrent } = limits;
    const release = concurrent === undefined ? () => {} : this.#enter(id, concurrent);
    const takeRequest = async (): Promise<void> => {
      if (requests === undefined) return;
      const decision = await this.take(requestCounter(id), { perMinute: requests, debtMs: 0 }, 1);
      if (!decision.allowed) throw new RateLimited('requests a minute', decision);
    };
    try {
      await takeRequest();
    } catch (refusal) {
      release();
      throw refusal;
    }
    return tokens === undefined ? { ...UNLIMITED, takeRequest, release } : new TokenAdmission(this, tokenCounter(id), { perMinute: tokens, debtMs: TOKEN_DEBT_MS }, takeRequest, release);
  }

  /** Asks the shared counter, or the local one when it does not answer. */
  async take(counter: string, limit: RateLimit, amount: number): Promise<LimitDecision> {
    const shared = await this.#takeShared(counter, limit, amount);
    if (shared === undefined) return this.#takeLocal(counter, limit, amount);
    if (shared.allowed) this.#chargeLocal(counter, limit, Math.min(amount, limit.perMinute));
    return shared;
  }

  /** Counts what was used beyond what was taken. Waits for nothing. */
  charge(counter: string, limit: RateLimit, amount: number): void {
    if (amount === 0) return;
    this.#chargeLocal(counter, limit, amount);
    void this.#redis()?.run(CHARGE, [counter], scriptArguments(limit, amount));
  }

  async #takeShared(counter: string, limit: RateLimit, amount: number): Promise<LimitDecision | undefined> {
    const redis = this.#redis();
    if (redis === undefined || !redis.admits) return undefined;
    const reply = await redis.run(TAKE, [counter], scriptArguments(limit, Math.min(amount, limit.perMinute)));
    return reply.ok ? readDecision(reply.value, limit.perMinute) : undefined;
  }

  #takeLocal(counter: string, limit: RateLimit, amount: number): LimitDecision {
    const { bucket, decision } = take(limit, this.#buckets.get(counter), this.#clock(), amount);
    this.#keep(counter, bucket);
    return decision;
  }

  #chargeLocal(counter: string, limit: RateLimit, amount: number): void {
    this.#keep(counter, charge(limit, this.#buckets.get(counter), this.#clock(), amount));
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
  readonly #counter: string;
  readonly #limit: RateLimit;
  /** What was taken and not yet put right. */
  #taken: number | undefined;

  constructor(limits: TenantLimits, counter: string, limit: RateLimit, takeRequest: () => Promise<void>, release: () => void) {
    this.#limits = limits;
    this.#counter = counter;
    this.#limit = limit;
    this.takeRequest = takeRequest;
    this.release = release;
  }

  async takeTokens(requestBytes: number): Promise<void> {
    const estimate = Math.min(Math.ceil(requestBytes / BYTES_PER_TOKEN), this.#limit.perMinute);
    const decision = await this.#limits.take(this.#counter, this.#limit, estimate);
    if (!decision.allowed) throw new RateLimited('tokens a minute', decision);
    this.#taken = (this.#taken ?? 0) + estimate;
  }

  settleTokens(used: number): void {
    if (this.#taken === undefined) return;
    this.#limits.charge(this.#counter, this.#limit, used - this.#taken);
    this.#taken = undefined;
  }
}

// Redis. The braces keep all counters of a tenant on one node of a cluster.

function requestCounter(tenantId: string): string {
  return `{${tenantId}}:rl:requests`;
}

function tokenCounter(tenantId: string): string {
  return `{${tenantId}}:rl:tokens`;
}

function scriptArguments(limit: RateLimit, amount: number): readonly number[] {
  return [limit.perMinute, limit.debtMs, amount];
}

/** `gcra.ts` in Lua, by the server's clock, which all replicas share. A value that is no bucket counts as an empty one. */
const BUCKET = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local per_minute, debt, amount = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local step = ${PERIOD_MS} / per_minute
local stored = redis.pcall('GET', KEYS[1])
local backlog, at = string.match(type(stored) == 'string' and stored or '', '^([%d.e+-]+) ([%d.e+-]+)$')
backlog, at = tonumber(backlog or 0) or 0, tonumber(at or now) or now
backlog = math.min(math.max(backlog - math.max(now - at, 0), 0), ${PERIOD_MS} + debt)
local function keep(filled)
  if filled > 0 then redis.call('SET', KEYS[1], string.format('%.17g %.17g', filled, now), 'PX', math.ceil(filled))
  else redis.call('DEL', KEYS[1]) end
end
`;

const TAKE = redisScript(`${BUCKET}
local filled = backlog + amount * step
local over = filled - ${PERIOD_MS}
local allowed = over <= ${ROUNDING_MS}
local kept = allowed and filled or backlog
if allowed or now < at then keep(kept) end
return { allowed and 1 or 0, allowed and 0 or math.ceil(over - ${ROUNDING_MS}), math.max(0, math.floor((${PERIOD_MS + ROUNDING_MS} - kept) / step)) }
`);

const CHARGE = redisScript(`${BUCKET}
keep(math.min(backlog + amount * step, ${PERIOD_MS} + debt))
return 1
`);

/** Undefined when it is not what the script returns. */
function readDecision(value: unknown, limit: number): LimitDecision | undefined {
  if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite)) return undefined;
  const [allowed, retryAfterMs, remaining] = value as [number, number, number];
  return { allowed: allowed === 1, retryAfterMs, limit, remaining };
}
