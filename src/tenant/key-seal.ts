/**
 * How keys of tenants are written where others could write too: in Redis, and as a copy on disk. One line of HMAC-SHA256
 * in hex, one line of JSON. What does not carry our seal, or was made for something else, is not opened. It does not
 * hide the text, which holds digests and nothing that opens anything. Pure.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SharedKey } from './stored-keys.ts';

/** What is sealed: the keys of a tenant, or all. */
export interface SealedKeys {
  /** A tenant, or empty for all. */
  readonly tenant: string;
  readonly keys: readonly SharedKey[];
}

const MAC_CHARS = 64;

export class KeySeal {
  readonly #key: Buffer;

  /** `master`: the key of the data folder. */
  constructor(master: Buffer) {
    this.#key = createHmac('sha256', master).update('tenant keys').digest();
  }

  close(sealed: SealedKeys): string {
    const body = JSON.stringify(sealed);
    return `${this.#mac(body)}\n${body}`;
  }

  /** Undefined when the text is not one that `close` gave for this tenant. */
  open(text: string, tenant: string): readonly SharedKey[] | undefined {
    const body = text.slice(MAC_CHARS + 1);
    const given = Buffer.from(text.slice(0, MAC_CHARS + 1));
    const wanted = Buffer.from(`${this.#mac(body)}\n`);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    const sealed = JSON.parse(body) as SealedKeys; // the seal held, so this is what some replica wrote
    return sealed.tenant === tenant ? sealed.keys : undefined;
  }

  #mac(body: string): string {
    return createHmac('sha256', this.#key).update(body).digest('hex');
  }
}
