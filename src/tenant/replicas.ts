/**
 * How many processes share the limits: each tells Redis that it is there, and learns how many did so lately. What was
 * learnt last counts while Redis does not answer: too many after a roll-out, and then too little is admitted for a while.
 */
import { randomUUID } from 'node:crypto';
import { redisScript, type RedisDoor } from '../store/redis.ts';

const BEAT_MS = 3_000;
/** A process that was silent for so long is gone. */
const GONE_MS = 12_000;
const REPLICAS_KEY = '{weir}:replicas';

/** By the server's clock. */
const BEAT = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`);

export class Replicas {
  readonly #redis: () => Pick<RedisDoor, 'run' | 'call'> | undefined;
  readonly #id = randomUUID();
  #count = 1;
  #timer: NodeJS.Timeout | undefined;

  constructor(redis: () => Pick<RedisDoor, 'run' | 'call'> | undefined) {
    this.#redis = redis;
  }

  /** At least this process itself. */
  get count(): number {
    return this.#count;
  }

  /** Not at once: a process that starts is busy, and a late answer would count as none. */
  start(): void {
    this.#timer = setInterval(() => void this.beat(), BEAT_MS).unref();
  }

  async beat(): Promise<void> {
    const reply = await this.#redis()?.run<number>(BEAT, [REPLICAS_KEY], [this.#id, GONE_MS]);
    if (reply?.ok && Number.isInteger(reply.value)) this.#count = Math.max(1, reply.value);
  }

  /** The others count without this one from now on. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#redis()?.call('ZREM', [REPLICAS_KEY, this.#id]);
  }
}
