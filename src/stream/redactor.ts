/**
 * Plain text in, redacted text out, as it flows: `feed` returns what may leave now, `flush` the rest. Holds back only
 * what may still become part of a match. The same engine as the proxy's, without the wire around it.
 */
import { sliceEdited } from '../text/edits.ts';
import { Pieces } from '../text/pieces.ts';
import { TextChannel, type Judge } from './channel.ts';
import type { PatternSet } from '../match/set.ts';

export class Redactor {
  readonly #channel: TextChannel;
  /** Text that was fed and has not left. */
  readonly #held = new Pieces();
  /** Offset of the first character that has not left. */
  #left = 0;
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
    return this.#held.end - this.#left;
  }

  get replaced(): number {
    return this.#channel.replaced;
  }

  feed(text: string): string {
    if (this.#blocked) return '';
    const channel = this.#channel;
    this.#blocked = !channel.feed(text);
    if (!this.#blocked && this.#left === this.#held.end && channel.released === channel.position && channel.edits.length === 0) {
      this.#held.skip(text.length);
      this.#left = this.#held.end;
      return text;
    }
    this.#held.append(text);
    return this.#leave();
  }

  flush(): string {
    if (this.#blocked) return '';
    this.#blocked = !this.#channel.close();
    return this.#leave();
  }

  #leave(): string {
    const { released, edits } = this.#channel;
    if (released <= this.#left) return '';
    const text = this.#held.slice(this.#left, released);
    const out = edits.length === 0 ? text : sliceEdited(text, this.#left, this.#left, released, edits);
    this.#held.forget(released);
    this.#left = released;
    this.#channel.forget(released);
    return out;
  }
}
