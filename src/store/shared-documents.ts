/**
 * Sealed documents in Redis, for replicas that do not reach the store, or not so fast: the newest of each under its id,
 * the numbers of all in one hash, and a message for each change. An older one never replaces a newer one. What stands
 * there is sealed by who puts it there; whoever reads it opens the seal. A value of the wrong type is no value.
 */
import { redisScript, type RedisDoor, type RedisReply } from './redis.ts';

/** Where documents of one kind stand. */
export interface SharedPlace {
  /** Messages on it are `id number`. */
  readonly channel: string;
  readonly numbersKey: string;
  keyOf(id: string): string;
}

export const SHARED_POLICIES: SharedPlace = { channel: 'weir:policies', numbersKey: '{weir}:policy-numbers', keyOf: (key) => `{weir}:policy:${key}` };
/** Keys of tenants, by tenant; the number is that of the newest change of any of them. */
export const SHARED_KEYS: SharedPlace = { channel: 'weir:keys', numbersKey: '{weir}:key-numbers', keyOf: (tenant) => `{weir}:keys:${tenant}` };

/** Ids of one question; Lua's stack holds a few thousand. */
const IDS_AT_ONCE = 1_000;

const READ = redisScript(`
local text = redis.pcall('GET', KEYS[1])
if type(text) ~= 'string' then return false end
return text
`);

const NUMBERS = redisScript(`
local numbers = redis.pcall('HMGET', KEYS[1], unpack(ARGV))
if numbers.err then return {} end
return numbers
`);

const WRITE = redisScript(`
local known = redis.pcall('HGET', KEYS[2], ARGV[1])
if type(known) == 'table' then
  redis.call('DEL', KEYS[2])
  known = false
end
known = known and tonumber(known) or 0
local number = tonumber(ARGV[2])
if number < known then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], number)
if number > known then redis.call('PUBLISH', ARGV[4], ARGV[1] .. ' ' .. number) end
return 1
`);

export class RedisDocuments {
  readonly #redis: () => Pick<RedisDoor, 'run' | 'call'> | undefined;
  readonly #place: SharedPlace;

  constructor(redis: () => Pick<RedisDoor, 'run' | 'call'> | undefined, place: SharedPlace) {
    this.#redis = redis;
    this.#place = place;
  }

  /** The sealed text of `id` or `id@number`; undefined: there is none. */
  async read(key: string): Promise<RedisReply<string | undefined>> {
    const reply = await this.#redis()?.run<string | null>(READ, [this.#place.keyOf(key)], []);
    return reply?.ok ? { ok: true, value: reply.value ?? undefined } : { ok: false };
  }

  /** The newest one. Tells everybody where it is newer than what stood there. */
  async write(id: string, number: number, sealed: string): Promise<boolean> {
    const reply = await this.#redis()?.run(WRITE, [this.#place.keyOf(id), this.#place.numbersKey], [id, number, sealed, this.#place.channel]);
    return reply?.ok === true;
  }

  /** One that somebody stays at. */
  async writePinned(key: string, sealed: string): Promise<void> {
    await this.#redis()?.call('SET', [this.#place.keyOf(key), sealed]);
  }

  /** The numbers of those that stand there. */
  async numbers(ids: readonly string[]): Promise<RedisReply<ReadonlyMap<string, number>>> {
    const numbers = new Map<string, number>();
    for (let from = 0; from < ids.length; from += IDS_AT_ONCE) {
      const asked = ids.slice(from, from + IDS_AT_ONCE);
      const reply = await this.#redis()?.run<readonly (string | null)[]>(NUMBERS, [this.#place.numbersKey], asked);
      if (!reply?.ok) return { ok: false };
      for (const [index, number] of reply.value.entries()) if (/^\d{1,9}$/.test(number ?? '')) numbers.set(asked[index]!, Number(number));
    }
    return { ok: true, value: numbers };
  }
}

/** Undefined for what is no message of ours. */
export function readDocumentMessage(text: string): { readonly id: string; readonly number: number } | undefined {
  const [, id, number] = /^([A-Za-z0-9._-]{1,64}) (\d{1,9})$/.exec(text) ?? [];
  return id === undefined ? undefined : { id, number: Number(number) };
}
