/**
 * How a revision is written where others could write too: in Redis, and as a copy on disk. One line of HMAC-SHA256 in
 * hex, one line of JSON. What does not carry our seal, or is not what the seal was made for, is not opened. Replicas
 * read each other's where they have the same key. It does not hide the text. Pure.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { PolicyRevision } from '../contract/policy.ts';

export interface SealedRevision {
  readonly revision: PolicyRevision;
  /** When it was last known to be the newest, in milliseconds since 1970. */
  readonly confirmedMs: number;
}

const MAC_CHARS = 64;

export class PolicySeal {
  readonly #key: Buffer;

  /** `master`: the key of the data folder. */
  constructor(master: Buffer) {
    this.#key = createHmac('sha256', master).update('policy revisions').digest();
  }

  close(sealed: SealedRevision): string {
    const body = JSON.stringify(sealed);
    return `${this.#mac(body)}\n${body}`;
  }

  /** Undefined when the text is not one that `close` gave for this policy. */
  open(text: string, policy: string): SealedRevision | undefined {
    const body = text.slice(MAC_CHARS + 1);
    const given = Buffer.from(text.slice(0, MAC_CHARS + 1));
    const wanted = Buffer.from(`${this.#mac(body)}\n`);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    const sealed = JSON.parse(body) as SealedRevision; // the seal held, so this is what some replica wrote
    return sealed.revision.policy === policy ? sealed : undefined;
  }

  #mac(body: string): string {
    return createHmac('sha256', this.#key).update(body).digest('hex');
  }
}

/** Of a revision's source. */
export function sourceHash(source: string | null): string {
  return createHash('sha256').update(source ?? '').digest('hex');
}
