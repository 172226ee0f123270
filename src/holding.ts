/**
 * Waiting for a person in a running process: connects what waits (review/holds) with the configuration, the store, and
 * the messages by which a verdict given elsewhere is heard of at once: those of Postgres, those of Redis, both where both
 * are there. Messages hold an item's id alone, and are a reason to look and nothing more: the store says what it came to.
 */
import type { Config } from './config/schema.ts';
import type { HoldPort } from './contract/hold.ts';
import type { Policy } from './contract/policy.ts';
import type { ReviewContents } from './review/contents.ts';
import { Holds } from './review/holds.ts';
import { heldIntake } from './review/intake.ts';
import { intakeSettings } from './reviewing.ts';
import { HOLDS_CHANNEL, SqlHoldStore } from './store/holds.ts';
import type { RedisDoor } from './store/redis.ts';
import type { StoreDatabase } from './store/sql.ts';

export interface HoldingOptions {
  readonly database: StoreDatabase;
  readonly config: () => Config;
  /** By `id@revision`, as it runs now. */
  readonly policyOf: (name: string) => Policy | undefined;
  /** Decides which items two people decide, and hides what is the same request. */
  readonly key: Buffer;
  /** The connection as it is now. */
  readonly redis: () => RedisDoor | undefined;
  /** Takes what other processes show of an item's text; absent: there are none. */
  readonly contents?: ReviewContents | undefined;
}

export class Holding {
  readonly port: HoldPort;
  readonly #options: HoldingOptions;
  readonly #holds: Holds;
  readonly #stopListening: (() => void) | undefined;

  constructor(options: HoldingOptions) {
    const { database, config, policyOf, key, contents } = options;
    this.#options = options;
    this.#holds = this.port = new Holds({
      store: new SqlHoldStore(database),
      intake: (wanted, nowMs) => heldIntake(wanted, nowMs, intakeSettings(config(), key), policyOf),
      limits: (tenantId) => {
        const { review, tenants } = config();
        return { most: review.holds_max, ofTenant: tenants.find(({ id }) => id === tenantId)?.hold?.waiting_max ?? review.holds_max };
      },
      key,
      entered: (item) => contents?.want(item),
    });
    this.#stopListening = database.messages?.listen(HOLDS_CHANNEL, (text) => this.heard(text));
  }

  /** A message; without a text it is heard from now on, and some may have been missed. */
  heard(text?: string): void {
    this.#holds.heard(text);
  }

  /** A person decided an item for which somebody may wait, here or in another process. */
  tell(reviewId: string): void {
    this.#holds.heard(reviewId);
    void this.#options.database.messages?.say(HOLDS_CHANNEL, reviewId).catch(() => {}); // who misses it looks by itself
    void this.#options.redis()?.call('PUBLISH', [HOLDS_CHANNEL, reviewId]);
  }

  close(): void {
    this.#holds.close();
    this.#stopListening?.();
  }
}
