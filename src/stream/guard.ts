/**
 * Screens one answer as it flows: bytes of the upstream in, bytes for the client out. A whole answer is one event whose
 * texts all end with it, so unary and streamed answers take the same path.
 *
 * Guarantees: an event leaves as soon as nothing in it can still become part of a match; an event that nothing changed
 * leaves as the bytes it came in, in its place; no character of a match leaves, in any channel, however the provider
 * cuts. Held is at most what the patterns need, and never more than the limits. No I/O.
 */
import type { DecisionRecord } from '../contract/exchange.ts';
import { WeirError } from '../contract/errors.ts';
import type { Dialect, EventReading, Piece, RequestReading, ResponseReader } from '../dialect/dialect.ts';
import { spliceText, type JsonEdit } from '../dialect/json.ts';
import type { OutputPlan } from '../screen/plan.ts';
import { sliceEdited } from '../text/edits.ts';
import { Lane } from './lane.ts';
import { SseFramer, withData, type Frame } from './sse.ts';
import { Tally } from './tally.ts';

export interface GuardLimits {
  readonly eventBytesMax: number;
  readonly responseBytesMax: number;
}

export interface GuardOptions {
  readonly dialect: Dialect;
  readonly request: RequestReading;
  readonly plan: OutputPlan;
  readonly requestId: string;
  /** The upstream's status and media type (lower case, without parameters). */
  readonly status: number;
  readonly mediaType: string;
  readonly limits: GuardLimits;
  /** Bytes for the client, in order; called from within `feed` and `end`, and later when scores arrive. */
  readonly onBytes: (bytes: Buffer) => void;
  /** The answer is complete, or the policy cut it: the last bytes were given to `onBytes`; stop the upstream if it still runs. */
  readonly onDone: (end: { readonly blocked: boolean }) => void;
}

export interface GuardSummary {
  readonly decision: DecisionRecord;
  readonly heldCharsMax: number;
  readonly heldMsTotal: number;
  readonly usage?: { readonly inputTokens?: number; readonly outputTokens?: number };
  readonly facts: { readonly responseId?: string; readonly model?: string; readonly finishReasons: readonly string[] };
}

export type FailureCode = 'upstream_unreachable' | 'upstream_timeout' | 'response_too_large' | 'upstream_protocol';

export interface Guard {
  /** Throws WeirError response_too_large or upstream_protocol. */
  feed(chunk: Buffer): void;
  /** The upstream ended cleanly: what is held is decided and leaves; then `onDone`. */
  end(): void;
  /** The upstream died: nothing held leaves. Returns an error frame when a stream has begun, else undefined. */
  fail(code: FailureCode, message: string): Buffer | undefined;
  summary(): GuardSummary;
}

export function createGuard(options: GuardOptions): Guard {
  return new AnswerGuard(options);
}

/** Events, for each choice that has begun, that may queue behind a held one before it is sent in two parts. */
const QUEUED_EVENTS_PER_CHOICE = 8;

/** A text of an event, and where it stands in its channel. */
interface PlacedPiece {
  readonly piece: Piece;
  readonly lane: Lane;
  /** Offsets in the lane's text. A carry from an event that was sent in part begins earlier. */
  start: number;
  readonly end: number;
  /** The text of `[start, end)`. */
  text: string;
}

/** An event that waits its turn. */
interface QueuedEvent {
  readonly raw: Buffer;
  /** Undefined for a whole body, whose JSON is all of it. */
  readonly frame: Frame | undefined;
  readonly json: string;
  readonly event: unknown;
  readonly placed: readonly PlacedPiece[];
  readonly closes: readonly string[];
  readonly queuedMs: number;
}

class AnswerGuard implements Guard {
  readonly #options: GuardOptions;
  readonly #reader: ResponseReader;
  readonly #tally: Tally;
  readonly #lanes = new Map<string, Lane>();
  readonly #choices = new Set<string>();
  #queuedMax = QUEUED_EVENTS_PER_CHOICE;
  /** Events that have not left, in the order in which they came. */
  #queue: QueuedEvent[] = [];
  /** Channel prefixes that an event which has left closed. */
  readonly #ended = new Set<string>();
  /** Choices of which an event left changed, each with one of its keys: what repeats their text goes from there on. */
  readonly #changed = new Map<string, string>();
  /** Bytes of the queued events that the upstream sent. */
  #queuedBytes = 0;
  /** Undefined until the first byte that is not white space tells what the answer is. */
  #form: 'events' | 'json' | 'text' | undefined;
  /** Bytes before the form is known, then the body of a whole answer. */
  #body: Buffer[] = [];
  #bodyBytes = 0;
  readonly #framer: SseFramer;
  /** Bytes to give out at the end of this call, in order. */
  #out: Buffer[] = [];
  #started = false;
  /** The upstream has ended; what is left waits for scores. */
  #ending = false;
  #done = false;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#reader = options.dialect.createReader(options.request);
    this.#framer = new SseFramer(options.limits.eventBytesMax);
    this.#tally = new Tally(options.plan.initial);
  }

  feed(chunk: Buffer): void {
    if (this.#done || chunk.length === 0) return;
    if (this.#form === undefined) this.#recognise(chunk);
    else if (this.#form === 'events') this.#feedEvents(chunk);
    else this.#feedBody(chunk);
    this.#giveOut();
  }

  end(): void {
    if (this.#done) return;
    this.#ending = true;
    if (this.#form === 'events') this.#endEvents();
    else if (this.#bodyBytes > 0) this.#endBody();
    this.#finishIfDone();
  }

  /** Scores that text waited for, or that follow text that has left. */
  #onScores(lane: Lane): void {
    if (!lane.channel.settle()) this.#block();
    else {
      this.#drain();
      this.#finishIfDone();
    }
    this.#giveOut();
  }

  #finishIfDone(): void {
    if (!this.#ending || this.#done || this.#queue.length > 0) return;
    for (const { channel } of this.#lanes.values()) if (channel.scoresDue) return;
    this.#finish(false);
  }

  fail(code: FailureCode, message: string): Buffer | undefined {
    if (this.#done) return undefined;
    this.#stop();
    return this.#form === 'events' || this.#started ? this.#reader.errorEvent(code, message, this.#options.requestId) : undefined;
  }

  summary(): GuardSummary {
    return {
      decision: this.#tally.record([...this.#lanes.values()].reduce((sum, { channel }) => sum + channel.replaced, 0)),
      heldCharsMax: this.#tally.heldCharsMax,
      heldMsTotal: this.#tally.heldMsTotal,
      usage: this.#reader.usage(),
      facts: this.#reader.facts(),
    };
  }

  /** A stream may come with a JSON media type, and a whole answer to a stream request: the first byte decides. */
  #recognise(chunk: Buffer): void {
    const first = chunk.findIndex((byte) => byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09);
    if (first < 0) {
      this.#feedBody(chunk);
      return;
    }
    const { mediaType, request } = this.#options;
    const byte = chunk[first];
    if (byte === 0x7b || byte === 0x5b) this.#form = 'json';
    else this.#form = mediaType === 'text/event-stream' || (request.stream && this.#options.status < 300) ? 'events' : 'text';
    if (this.#blockedAtOnce()) return;
    if (this.#form !== 'events') this.#feedBody(chunk);
    else {
      const before = this.#body;
      this.#body = [];
      this.#feedEvents(before.length === 0 ? chunk : Buffer.concat([...before, chunk]));
    }
  }

  /** A rule that needs no text (on context alone, or the default action) decides before any text leaves. */
  #blockedAtOnce(): boolean {
    const { action } = this.#options.plan.initial;
    if ((action !== 'block' && action !== 'replace') || this.#form !== 'events') return false;
    this.#block();
    return true;
  }

  // Streams.

  #feedEvents(chunk: Buffer): void {
    for (const frame of this.#framer.feed(chunk)) {
      this.#takeFrame(frame);
      if (this.#done) return;
    }
    this.#drain();
  }

  #endEvents(): void {
    const last = this.#framer.flush();
    if (last !== undefined) this.#takeFrame(last);
    if (this.#done) return;
    if (!this.#closeLanes('')) return this.#block();
    this.#drain();
  }

  #takeFrame(frame: Frame): void {
    const { data } = frame;
    if (data === undefined && frame.stray === '') this.#enqueue(frame, '', undefined, NO_TEXT);
    else if (data === '[DONE]') this.#enqueue(frame, '', undefined, ALL_DONE);
    else {
      const event = data === undefined ? undefined : parseJson(data);
      if (event === undefined) this.#enqueue(frame, '', undefined, wholeText(data === undefined ? frame.stray : `${data}\n${frame.stray}`));
      else this.#enqueue(frame, data as string, event, this.#reader.readEvent(event));
    }
    if (this.#done || this.#queue.length <= this.#queuedMax) return;
    this.#drain();
    if (this.#queuedBytes > this.#options.limits.responseBytesMax) throw new WeirError('response_too_large', 'more of the answer waits for its scores than proxy.limits.response_bytes_max');
  }

  #enqueue(frame: Frame, json: string, event: unknown, { pieces, closes }: EventReading): void {
    const placed: PlacedPiece[] = [];
    let allowed = pieces.every((piece) => this.#take(piece, placed));
    for (const prefix of closes) allowed = allowed && this.#closeLanes(prefix);
    if (allowed && closes.length > 0) this.#sendCarries(closes);
    this.#push({ raw: frame.raw, frame, json, event, placed, closes, queuedMs: performance.now() });
    if (!allowed) this.#block();
  }

  #push(event: QueuedEvent): void {
    this.#queue.push(event);
    this.#queuedBytes += event.raw.length;
  }

  /** Feeds a piece to its channel and places it; false when the policy blocks. */
  #take(piece: Piece, placed: PlacedPiece[]): boolean {
    let lane = this.#lanes.get(piece.key);
    if (lane === undefined) {
      const own: Lane = (lane = new Lane(piece.key, piece.kind, this.#options.plan, this.#tally, () => this.#onScores(own)));
      this.#lanes.set(piece.key, lane);
      this.#choices.add(choiceOf(piece.key));
      this.#queuedMax = this.#choices.size * QUEUED_EVENTS_PER_CHOICE;
    }
    this.#tally.carriers.add(piece.carrier);
    const { channel, carry } = lane;
    const start = channel.position;
    const allowed = channel.feed(piece.text) && (piece.whole !== true || channel.close());
    lane.carry = undefined;
    this.#tally.held(channel.position - channel.released);
    placed.push({ piece, lane, start: carry?.start ?? start, end: channel.position, text: (carry?.text ?? '') + piece.text });
    return allowed;
  }

  #closeLanes(prefix: string): boolean {
    for (const lane of this.#lanes.values()) {
      if (lane.key.startsWith(prefix) && !lane.channel.close()) return false;
    }
    return true;
  }

  /** Sends every event, in order, whose texts are decided. */
  #drain(): void {
    let sent = 0;
    for (; sent < this.#queue.length; sent += 1) {
      const event = this.#queue[sent] as QueuedEvent;
      if (!event.placed.every((p) => p.end <= p.lane.channel.released)) break;
      this.#send(event);
    }
    if (sent > 0) this.#queue.splice(0, sent);
    if (this.#queue.length > this.#queuedMax) this.#splitHead();
  }

  #send(event: QueuedEvent): void {
    const bytes = this.#bytesOf(event);
    this.#queuedBytes -= event.raw.length;
    this.#tally.heldMsTotal += performance.now() - event.queuedMs;
    for (const { lane, end } of event.placed) lane.channel.forget(end);
    for (const prefix of event.closes) this.#ended.add(prefix);
    this.#out.push(bytes);
  }

  /** The event's own bytes, or with its texts replaced. */
  #bytesOf(event: QueuedEvent): Buffer {
    const edits: JsonEdit[] = [];
    for (const placed of event.placed) {
      const text = leaving(placed, placed.end);
      if (text === placed.piece.text) continue;
      edits.push({ path: placed.piece.path, text });
      this.#changed.set(choiceOf(placed.lane.key), placed.lane.key);
    }
    for (const key of this.#changed.values()) {
      for (const { path, replacement } of this.#reader.dependents(event.event, key)) edits.push({ path, text: replacement });
    }
    if (edits.length === 0) return event.raw;
    if (event.json === '') return withText(event.frame, (edits[0] as JsonEdit).text as string);
    const json = spliceText(event.json, edits);
    return event.frame === undefined ? Buffer.from(json) : withData(event.frame, json);
  }

  /**
   * The first event waits for more text of its channel while others queue behind it. What is decided of it leaves now;
   * the rest leaves with the channel's next event, or in one of its own when the channel ends.
   */
  #splitHead(): void {
    const head = this.#queue[0] as QueuedEvent;
    const waiting = head.placed.filter((p) => p.end > p.lane.channel.released);
    if (!waiting.every(({ lane }) => this.#reader.canCarry(lane.key))) return;
    if (this.#queue.some((event, i) => i > 0 && event.placed.some((p) => waiting.some((w) => w.lane === p.lane)))) return;
    const edits = head.placed.map((placed): JsonEdit => {
      const until = Math.min(placed.end, Math.max(placed.lane.channel.released, placed.start));
      if (until < placed.end) placed.lane.carry = { start: until, text: placed.text.slice(until - placed.start) };
      return { path: placed.piece.path, text: leaving(placed, until) };
    });
    // What repeats the texts of the event whole, such as log-probabilities, would show what stays behind.
    for (const key of new Map(head.placed.map(({ lane }) => [choiceOf(lane.key), lane.key])).values()) {
      for (const { path, replacement } of this.#reader.dependents(head.event, key)) edits.push({ path, text: replacement });
    }
    this.#out.push(withData(head.frame as Frame, spliceText(head.json, edits)));
    this.#queue.shift();
    this.#queuedBytes -= head.raw.length;
    this.#drain();
  }

  /** Texts that no further event of their channel will carry. */
  #sendCarries(prefixes: readonly string[]): void {
    for (const lane of this.#lanes.values()) {
      if (lane.carry === undefined || !prefixes.some((prefix) => lane.key.startsWith(prefix))) continue;
      const { start, text } = lane.carry;
      const end = start + text.length;
      const event = this.#reader.textEvent(lane.key, sliceEdited(text, start, start, end, lane.channel.edits));
      lane.carry = undefined;
      this.#push({ raw: event, frame: undefined, json: '', event: undefined, placed: [], closes: [], queuedMs: performance.now() });
    }
  }

  // Whole answers.

  #feedBody(chunk: Buffer): void {
    this.#body.push(chunk);
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > this.#options.limits.responseBytesMax) throw new WeirError('response_too_large');
  }

  #endBody(): void {
    const raw = Buffer.concat(this.#body);
    this.#body = [];
    const json = raw.toString('utf8');
    const event = parseJson(json);
    const reading = event === undefined ? wholeText(json) : this.#reader.readBody(event);
    const { action } = this.#options.plan.initial;
    const placed: PlacedPiece[] = [];
    if (action === 'block' || action === 'replace' || !reading.pieces.every((piece) => this.#take({ ...piece, whole: true }, placed))) {
      this.#push({ raw, frame: undefined, json: '', event, placed: [], closes: [], queuedMs: performance.now() });
      this.#block();
      return;
    }
    this.#push({ raw, frame: undefined, json: event === undefined ? '' : json, event, placed, closes: [], queuedMs: performance.now() });
    this.#drain();
  }

  // Ends.

  /** What is decided leaves, then the end of a blocked answer; what is held never leaves. */
  #block(): void {
    if (this.#form !== 'events') {
      this.#out.push(this.#reader.blockedBody(this.#queue[0]?.event, this.#blockMessage()));
      this.#finish(true);
      return;
    }
    this.#drain();
    for (const { placed } of this.#queue) {
      for (const one of placed) {
        const until = Math.min(one.end, one.lane.channel.released);
        const text = until > one.start ? leaving(one, until) : '';
        if (text !== '' && this.#reader.canCarry(one.lane.key)) this.#out.push(this.#reader.textEvent(one.lane.key, text));
      }
    }
    this.#queue = [];
    this.#out.push(this.#reader.blockedStream(this.#blockMessage(), this.#ended));
    this.#finish(true);
  }

  #blockMessage(): string | undefined {
    const { policy } = this.#options.plan;
    const { action, rule } = this.#tally.worst;
    return action === 'replace' || policy.onBlock === 'fallback' ? (rule?.message ?? policy.message) : undefined;
  }

  #finish(blocked: boolean): void {
    this.#giveOut();
    this.#stop();
    this.#options.onDone({ blocked });
  }

  #stop(): void {
    this.#done = true;
    this.#queue = [];
    for (const { channel } of this.#lanes.values()) channel.abandon();
  }

  /** Hands over what this call produced, neighbouring frames of one chunk as one piece. */
  #giveOut(): void {
    if (this.#out.length === 0) return;
    const out = this.#out;
    this.#out = [];
    this.#started = true;
    for (let i = 0; i < out.length;) {
      let joined = out[i] as Buffer;
      for (i += 1; i < out.length && follows(joined, out[i] as Buffer); i += 1) {
        joined = Buffer.from(joined.buffer, joined.byteOffset, joined.length + (out[i] as Buffer).length);
      }
      this.#options.onBytes(joined);
    }
  }
}

/** `0/content` → `0`. */
function choiceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function follows(a: Buffer, b: Buffer): boolean {
  return a.buffer === b.buffer && a.byteOffset + a.length === b.byteOffset;
}

const NO_TEXT: EventReading = { pieces: [], closes: [] };
const ALL_DONE: EventReading = { pieces: [], closes: [''] };

/** What no dialect can read: all of it is one text. */
function wholeText(text: string): EventReading {
  return { pieces: [{ key: 'text/', carrier: 'text', kind: 'text', path: [], text, whole: true }], closes: [] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The part of a piece up to `until` as it leaves. */
function leaving(placed: PlacedPiece, until: number): string {
  const { edits } = placed.lane.channel;
  if (edits.length === 0 && until === placed.end) return placed.text;
  return sliceEdited(placed.text, placed.start, placed.start, until, edits);
}

function withText(frame: Frame | undefined, text: string): Buffer {
  if (frame === undefined) return Buffer.from(text);
  return Buffer.from(`${text.trimEnd().split('\n').map((line) => `data: ${line}`).join('\n')}\n\n`);
}
