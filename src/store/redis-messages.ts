/**
 * Messages on Redis channels, over a connection of its own, since one that listens can do nothing else. It connects
 * for ever. What is said while it is not connected is lost: who listens is told when it hears again, and asks what it missed.
 */
import { Redis } from 'ioredis';
import { redisOptions } from './redis.ts';

export interface MessageListener {
  /** It hears from now on, for the first time or again. */
  onHearing(): void;
  onMessage(text: string, channel: string): void;
}

export class RedisMessages {
  readonly #client: Redis;

  constructor(url: string, channels: readonly string[], listener: MessageListener) {
    this.#client = new Redis({ ...redisOptions(url), connectionName: 'weir-messages', autoResubscribe: false, keepAlive: 10_000 });
    this.#client.on('error', () => {}); // told by the door, which loses its connection too
    this.#client.on('message', (channel: string, text: string) => listener.onMessage(text, channel));
    this.#client.on('ready', () => void this.#client.subscribe(...channels).then(() => listener.onHearing(), () => this.#client.disconnect(true)));
    this.#client.connect().catch(() => {});
  }

  close(): void {
    this.#client.disconnect();
  }
}
