/**
 * Plain text in, redacted text out, as it flows: `feed` returns what may leave now, `flush` the rest. Holds back only
 * what may still become part of a match. The same engine as the proxy's, without the wire around it.
 */
import { sliceEdited } from '../text/edits.ts';
import { TextChannel, type Judge } from './channel.ts';
import type { PatternSet } from '../match/set.ts';

export class Redactor {
  readonly #channel: TextChannel;
  /** Text that was fed and has not left. */
  #held = '';
  /** Offset of the first character of `#held`. */
  #heldStart = 0;
  #blocked = false;

  constructor(set: PatternSet, judge: Judge) {
    this.#channel = new TextChannel({ set, judge });
  }

  /** The policy blocked: what stood before the match has left, nothing more will. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Characters that wait. */
  get heldChars(): number {
    return this.#held.length;
  }

  get replaced(): number {
    return this.#channel.replaced;
  }

  feed(text: string): string {
    if (this.#blocked) return '';
    this.#blocked = !this.#channel.feed(text);
    if (!this.#blocked && this.#held.length === 0 && this.#channel.released === this.#channel.position && this.#channel.edits.length === 0) {
      this.#heldStart = this.#channel.position;
      return text;
    }
    this.#held += text;
    return this.#leave();
  }

  flush(): string {
    if (this.#blocked) return '';
    this.#blocked = !this.#channel.close();
    return this.#leave();
  }

  #leave(): string {
    const { released } = this.#channel;
    const out = sliceEdited(this.#held, this.#heldStart, this.#heldStart, released, this.#channel.edits);
    this.#held = this.#held.slice(released - this.#heldStart);
    this.#heldStart = released;
    this.#channel.forget(released);
    return out;
  }
}
