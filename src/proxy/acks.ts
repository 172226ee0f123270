/**
 * Tells an upstream that waits for an acknowledgement in the middle of each answer: it writes head and body apart and
 * without TCP_NODELAY, so the body stays there until the head is acknowledged, and on a connection that has carried
 * requests the kernel here does so after 40 ms (RFC 896 meets RFC 1122, 4.2.3.2). A new connection acknowledges at once.
 * So for such an upstream each request gets one, for as long as that helps. Pure.
 */

/** Time between head and body that an acknowledgement takes; more or less is something else's. */
const ACK_MS_MIN = 30;
const ACK_MS_MAX = 70;
/** So many answers in a row are no chance. */
const IN_A_ROW = 4;
/** Where new connections did not help, it is tried again after this. */
const GIVEN_UP_MS = 600_000;

export class AckWatch {
  /** Whether the next request had better go on a connection of its own. */
  get isApart(): boolean {
    return this.#isApart;
  }

  #isApart = false;
  #inARow = 0;
  #againMs = -Infinity;

  /** An answer whose body began so long after its head. `apart`: on a connection of its own. */
  note(gapMs: number, apart: boolean, nowMs: number): void {
    if (apart !== this.#isApart) return; // begun before the change
    const waited = gapMs >= ACK_MS_MIN && gapMs <= ACK_MS_MAX;
    this.#inARow = waited ? this.#inARow + 1 : 0;
    if (this.#inARow < IN_A_ROW || (!apart && nowMs < this.#againMs)) return;
    this.#inARow = 0;
    this.#isApart = !apart;
    if (apart) this.#againMs = nowMs + GIVEN_UP_MS;
  }
}
