/**
 * Text that replicas share in Redis, each for a limited time: read, and replaced only by who has read the newest.
 * Whoever uses it seals what is not for Redis to read, and goes on without it when Redis does not answer.
 */
import { redisScript, type RedisDoor, type RedisReply } from './redis.ts';

const READ = redisScript(`
local text = redis.call('GET', KEYS[1])
if text then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return text
`);

const REPLACE = redisScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`);

const REFUSED = Object.freeze({ ok: false });

export class RedisText {
  readonly #redis: () => Pick<RedisDoor, 'run'> | undefined;

  /** `redis` gives the connection as it is now; undefined when none is configured. */
  constructor(redis: () => Pick<RedisDoor, 'run'> | undefined) {
    this.#redis = redis;
  }

  /** Undefined when there is none. What is read is kept for another `ttlMs`. */
  async read(key: string, ttlMs: number): Promise<RedisReply<string | undefined>> {
    const reply = await this.#redis()?.run<string | null>(READ, [key], [ttlMs]);
    return reply?.ok ? { ok: true, value: reply.value ?? undefined } : REFUSED;
  }

  /** False when it is no longer `former`. */
  async replace(key: string, former: string | undefined, next: string, ttlMs: number): Promise<RedisReply<boolean>> {
    const reply = await this.#redis()?.run<number>(REPLACE, [key], [former ?? '', next, ttlMs]);
    return reply?.ok ? { ok: true, value: reply.value === 1 } : REFUSED;
  }
}
