/**
 * Plain text in, redacted text out, as it flows: `feed` returns what may leave now, `flush` the rest. Holds back only
 * what may still become part of a match. The same engine as the proxy's, without the wire around it.
 */
import { sliceEdited } from '../text/edits.ts';
import { TextChannel, type Judge } from './channel.ts';
import type { PatternSet } from '../match/compiled.ts';

export class Redactor {
  readonly #channel: TextChannel;
  /** Text that was fed and has not left. */
  #held = '';
  /** Offset of its first character. */
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
    this.#held = this.#held === '' ? text : this.#held + text;
    return this.#leave();
  }

  flush(): string {
    if (this.#blocked) return '';
    this.#blocked = !this.#channel.close();
    return this.#leave();
  }

  #leave(): string {
    const { released, edits } = this.#channel;
    const count = released - this.#heldStart;
    if (count <= 0) return '';
    const held = this.#held;
    const start = this.#heldStart;
    this.#held = count === held.length ? '' : held.slice(count);
    this.#heldStart = released;
    if (edits.length === 0) return count === held.length ? held : held.slice(0, count);
    this.#channel.forget(released);
    return sliceEdited(held, start, start, released, edits);
  }
}
