/**
 * Keeps a configured key out of what an upstream answers to a refusal: some repeat the credential that they refuse, and
 * the caller whose request was refused has no part in it. Masked with as many characters, so that lengths stay. Holds
 * back no more than what may still become the key. Pure.
 */
export class KeyShield {
  readonly #key: Buffer;
  readonly #mask: Buffer;
  /** The end of what was fed, where it is a beginning of the key. */
  #held: Buffer = Buffer.alloc(0);

  constructor(key: string) {
    this.#key = Buffer.from(key);
    this.#mask = Buffer.alloc(this.#key.length, '*');
  }

  /** What may leave. */
  feed(chunk: Buffer): Buffer {
    const bytes = Buffer.concat([this.#held, chunk]);
    let end = 0;
    for (let at = bytes.indexOf(this.#key); at >= 0; at = bytes.indexOf(this.#key, end)) {
      this.#mask.copy(bytes, at);
      end = at + this.#key.length;
    }
    const from = this.#begun(bytes, end);
    this.#held = bytes.subarray(from);
    return bytes.subarray(0, from);
  }

  /** The rest, which is no key. */
  flush(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  text(text: string): string {
    return text.replaceAll(this.#key.toString(), this.#mask.toString());
  }

  /** Where, behind `end`, a key may have begun that goes on. */
  #begun(bytes: Buffer, end: number): number {
    for (let from = Math.max(end, bytes.length - this.#key.length + 1); from < bytes.length; from++) {
      if (bytes.subarray(from).equals(this.#key.subarray(0, bytes.length - from))) return from;
    }
    return bytes.length;
  }
}
