/**
 * Screens one answer as it flows: bytes of the upstream in, bytes for the client out. A whole answer is one event whose
 * texts all end with it, so unary and streamed answers take the same path.
 *
 * Guarantees: an event leaves as soon as nothing in it can still become part of a match; an event that nothing changed
 * leaves as the bytes it came in, in its place; no character of a match leaves, in any channel, however the provider
 * cuts. Held is at most what the patterns need, and never more than the limits. No I/O.
 */
import { isUtf8 } from 'node:buffer';
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import type { AnswerWitness } from '../contract/content.ts';
import type { DecisionRecord, OpaqueKind, OpaquePart } from '../contract/exchange.ts';
import { WeirError } from '../contract/errors.ts';
import type { Release } from '../contract/hold.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { Treatment } from '../contract/screening.ts';
import type { Dialect, EventReading, RequestReading, ResponseReader } from '../dialect/dialect.ts';
import { opaqueFinder, type OpaqueFinder } from '../dialect/walk.ts';
import { unheld, type OutputPlan } from '../screen/output.ts';
import { mended } from './mend.ts';
import { EventQueue } from './queue.ts';
import { SseFramer, type Frame } from './sse.ts';
import { Tally } from './tally.ts';

export interface GuardLimits {
  readonly eventBytesMax: number;
  readonly responseBytesMax: number;
  /** Bytes that may be there while a person is waited for, before no more is wanted; default: the limit of the answer. */
  readonly waitingBytesMax?: number;
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
  /** What becomes of an answer that is media; default: it passes. */
  readonly opaque?: Readonly<Partial<Record<OpaqueKind, Treatment>>>;
  /** Hears the texts, where they are kept. */
  readonly witness?: AnswerWitness | undefined;
  /** Waits for a person, once; resolves to undefined where nobody wants to know any more. Absent: a rule's `then` is taken at once. */
  readonly hold?: (decision: PolicyDecision) => Promise<Release | undefined>;
  /** No more is to be fed (true), until it may be again. What is fed all the same is taken. */
  readonly onPressure?: (blocked: boolean) => void;
  /** Bytes for the client, in order; called from within `feed` and `end`, and later when scores arrive. */
  readonly onBytes: (bytes: Buffer) => void;
  /**
   * The answer is complete, or the policy cut it: the last bytes were given to `onBytes`; stop the upstream if it still runs.
   * `error`: the answer is blocked and its endpoint has no body that could say so, so none was given.
   */
  readonly onDone: (end: { readonly blocked: boolean; readonly error?: WeirError }) => void;
}

export interface GuardSummary {
  readonly decision: DecisionRecord;
  readonly heldCharsMax: number;
  readonly heldMsTotal: number;
  /** Of all texts of the answer. */
  readonly textChars: number;
  readonly usage?: AnswerUsage;
  readonly facts: AnswerFacts;
}

export type FailureCode = 'upstream_unreachable' | 'upstream_timeout' | 'response_too_large' | 'upstream_protocol';

export interface Guard {
  /** Throws WeirError response_too_large, upstream_protocol or opaque_refused. */
  feed(chunk: Buffer): void;
  /** The upstream ended cleanly: what is held is decided and leaves; then `onDone`. Throws upstream_protocol, upstream_unreachable. */
  end(): void;
  /** After the fact the policy has decided that no more of the answer leaves: it ends as a blocked one does, unless it has ended. */
  cut(decision: PolicyDecision): void;
  /** The upstream died: nothing held leaves. Returns an error frame when a stream has begun, else undefined. */
  fail(code: FailureCode, message: string): Buffer | undefined;
  summary(): GuardSummary;
}

export function createGuard(options: GuardOptions): Guard {
  return new AnswerGuard(options);
}

class AnswerGuard implements Guard {
  readonly #options: GuardOptions;
  readonly #reader: ResponseReader;
  readonly #tally: Tally;
  readonly #findOpaque: OpaqueFinder;
  readonly #queue: EventQueue;
  /** Channel prefixes that an event which has left closed. */
  readonly #ended = new Set<string>();
  /** Undefined until the first byte that is not white space tells what the answer is. */
  #form: 'events' | 'json' | 'text' | 'media' | undefined;
  /** Bytes before the form is known, then the body of a whole answer. */
  #body: Buffer[] = [];
  #bodyBytes = 0;
  /** A whole answer that is JSON, once it is all there. */
  #answer: unknown;
  readonly #framer: SseFramer;
  /** Bytes to give out at the end of this call, in order. */
  #out: Buffer[] = [];
  #started = false;
  /** The upstream has ended; what is left waits for scores. */
  #ending = false;
  #done = false;
  /** All of the answer was read, to its end. */
  #whole = false;
  #pressed = false;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#reader = options.dialect.createReader(options.request);
    this.#framer = new SseFramer(options.limits.eventBytesMax);
    this.#tally = new Tally(options.plan);
    this.#findOpaque = opaqueFinder(options.dialect.answerRules);
    this.#queue = new EventQueue({
      reader: this.#reader,
      repeats: options.dialect.repeats === true,
      plan: options.plan,
      tally: this.#tally,
      witness: options.witness,
      onEvent: (bytes, closes) => {
        for (const prefix of closes) this.#ended.add(prefix);
        this.#out.push(bytes);
      },
      onScores: (_key, allowed) => this.#onScores(allowed),
      hold: options.hold,
    });
  }

  feed(chunk: Buffer): void {
    if (this.#done || chunk.length === 0) return;
    if (this.#form === undefined) this.#recognise(chunk);
    else if (this.#form === 'events') this.#feedEvents(chunk);
    else if (this.#form === 'media') this.#passMedia(chunk);
    else this.#feedBody(chunk);
    this.#giveOut();
    this.#press();
  }

  end(): void {
    if (this.#done) return;
    this.#ending = true;
    if (this.#form === 'events') this.#endEvents();
    else if (this.#bodyBytes > 0 && this.#form !== 'media') this.#endBody();
    this.#finishIfDone();
  }

  /** Scores that text waited for, or that follow text that has left. */
  #onScores(allowed: boolean): void {
    if (!allowed) this.#block();
    else {
      this.#queue.drain();
      this.#finishIfDone();
    }
    this.#giveOut();
    this.#press();
  }

  #press(): void {
    const { limits: { waitingBytesMax = Infinity }, onPressure } = this.#options;
    const pressed = !this.#done && this.#queue.waits && this.#queue.bytes >= waitingBytesMax;
    if (pressed === this.#pressed) return;
    this.#pressed = pressed;
    onPressure?.(pressed);
  }

  #finishIfDone(): void {
    if (this.#ending && !this.#done && this.#queue.idle) this.#finish(false);
  }

  cut(decision: PolicyDecision): void {
    if (this.#done) return;
    // Its head says that a stream comes, and nothing of it has.
    if (this.#options.mediaType === 'text/event-stream') this.#form ??= 'events';
    this.#block(decision);
    this.#giveOut();
  }

  fail(code: FailureCode, message: string): Buffer | undefined {
    if (this.#done) return undefined;
    this.#stop();
    return this.#form === 'events' || this.#started ? this.#reader.errorEvent(code, message, this.#options.requestId) : undefined;
  }

  summary(): GuardSummary {
    return {
      decision: this.#tally.record(this.#queue.replaced, this.#whole),
      heldCharsMax: this.#tally.heldCharsMax,
      heldMsTotal: this.#tally.heldMsTotal,
      textChars: this.#tally.textChars,
      usage: this.#reader.usage(),
      facts: this.#reader.facts(),
    };
  }

  /** A stream may come with a JSON media type, and a whole answer to a stream request: the first byte decides. */
  #recognise(chunk: Buffer): void {
    const media = mediaOf(this.#options);
    if (media !== undefined) return this.#beginMedia(media, chunk);
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
    const { initial } = this.#options.plan;
    if (this.#form !== 'events' || (initial.action !== 'block' && initial.action !== 'replace' && this.#queue.holdWhole(initial))) return false;
    this.#block();
    return true;
  }

  // Streams.

  #feedEvents(chunk: Buffer): void {
    for (const frame of this.#framer.feed(chunk)) {
      this.#takeFrame(frame);
      if (this.#done) return;
    }
    this.#queue.drain();
  }

  #endEvents(): void {
    const last = this.#framer.flush();
    if (last !== undefined && isBrokenOff(last)) throw new WeirError('upstream_unreachable', 'the upstream ended in the middle of an event');
    if (last !== undefined) this.#takeFrame(last);
    if (this.#done) return;
    if (!this.#queue.close('')) return this.#block();
    this.#queue.drain();
  }

  #takeFrame(given: Frame): void {
    const frame = mended(given);
    if (frame === undefined) return;
    const { data } = frame;
    if (data === undefined && frame.stray === '') this.#enqueue(frame, '', undefined, NO_TEXT);
    else if (data === '[DONE]') this.#enqueue(frame, '', undefined, ALL_DONE);
    else {
      const event = data === undefined ? undefined : parseJson(data);
      if (event === undefined) this.#enqueue(frame, '', undefined, wholeText(data === undefined ? frame.stray : `${data}\n${frame.stray}`));
      else this.#enqueue(frame, data as string, event, this.#reader.readEvent(event));
    }
    if (this.#done || !this.#queue.crowded) return;
    this.#queue.drain();
    if (this.#queue.bytes > this.#options.limits.responseBytesMax) throw new WeirError('response_too_large', 'more of the answer waits for its scores than proxy.limits.response_bytes_max');
  }

  #enqueue(frame: Frame, json: string, event: unknown, reading: EventReading): void {
    if (!this.#admits(event, json) || !this.#queue.enqueue({ raw: frame.raw, frame, json, event, scope: '' }, reading)) this.#block();
  }

  /** Notes what nothing reads; false when the policy blocks an answer that holds it. */
  #admits(event: unknown, json: string): boolean {
    for (const { of, ...part } of this.#findOpaque(event, json)) {
      if (!this.#admitsPart(part, of)) return false;
    }
    return true;
  }

  #admitsPart(part: OpaquePart, of: OpaqueKind): boolean {
    const { dialect, opaque, plan } = this.#options;
    const treatment = (of === dialect.media ? opaque?.[of] : undefined) ?? 'pass';
    this.#tally.unread(part, treatment);
    if (treatment === 'refuse') throw new WeirError('opaque_refused', `the answer holds ${of}, which cannot be screened here`);
    if (of !== 'image' && of !== 'audio') return true;
    const decision = plan.meets(of);
    this.#tally.decided(decision);
    return decision.action !== 'block' && decision.action !== 'replace';
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
    if (event === undefined && (!isUtf8(raw) || raw.includes(0))) throw new WeirError('upstream_protocol', 'the upstream answered with something that is neither text nor known media');
    const inText = event === undefined ? this.#reader.readText?.(json) : undefined;
    const reading = inText ?? (event === undefined ? wholeText(json) : this.#reader.readBody(event));
    this.#answer = event;
    const { action } = this.#options.plan.initial;
    const whole = { pieces: reading.pieces.map((piece) => ({ ...piece, whole: piece.gap === undefined })), closes: [''] };
    const arrived = { raw, frame: undefined, json: event === undefined ? '' : json, text: inText && json, event, scope: '' };
    if (action === 'block' || action === 'replace' || !this.#admits(event, json) || !this.#queue.enqueue(arrived, whole) || !this.#queue.holdWhole(this.#options.plan.initial)) this.#block();
    else this.#queue.drain();
  }

  // Media.

  #beginMedia(kind: OpaqueKind, chunk: Buffer): void {
    this.#form = 'media';
    const { action } = unheld(this.#options.plan.initial); // it leaves as it comes
    if (!this.#admitsPart({ carrier: 'body', kind }, kind) || action === 'block' || action === 'replace') this.#block();
    else this.#passMedia(chunk);
  }

  #passMedia(chunk: Buffer): void {
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > this.#options.limits.responseBytesMax) throw new WeirError('response_too_large');
    this.#out.push(chunk);
  }

  // Ends.

  /** What is decided leaves, then the end of a blocked answer; what is held never leaves. */
  #block(decision = this.#tally.worst): void {
    const message = this.#blockMessage(decision);
    if (this.#form !== 'events') return this.#blockBody(message);
    this.#queue.cut('');
    this.#out.push(this.#reader.blockedStream(message, this.#ended));
    this.#finish(true);
  }

  #blockBody(message: string | undefined): void {
    try {
      this.#out.push(this.#reader.blockedBody(this.#answer, message));
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      this.#stop();
      return this.#options.onDone({ blocked: true, error });
    }
    this.#finish(true);
  }

  #blockMessage({ action, rule }: PolicyDecision): string | undefined {
    const { policy } = this.#options.plan;
    return action === 'replace' || policy.onBlock === 'fallback' ? (rule?.message ?? policy.message) : undefined;
  }

  #finish(blocked: boolean): void {
    this.#whole = !blocked;
    this.#giveOut();
    this.#stop();
    this.#options.onDone({ blocked });
  }

  #stop(): void {
    this.#done = true;
    this.#queue.stop();
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

/** The kind of an answer that is all media, from an endpoint that may answer so; anything else is read as text. */
export function mediaOf({ dialect, status, mediaType }: Pick<GuardOptions, 'dialect' | 'status' | 'mediaType'>): OpaqueKind | undefined {
  if (dialect.media === undefined || status >= 300) return undefined;
  if (mediaType === 'application/octet-stream') return dialect.media;
  return /^(?:audio|image|video)(?=\/)/.exec(mediaType)?.[0] as OpaqueKind | undefined;
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

/** The last event, without its empty line and with half of its JSON. */
function isBrokenOff({ data }: Frame): boolean {
  return data !== undefined && data !== '[DONE]' && /^\s*[{[]/.test(data) && parseJson(data) === undefined;
}

/** Undefined where it is no JSON, and where it is a number: a text may be all digits, and a card number is. */
function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'number' ? undefined : value;
  } catch {
    return undefined;
  }
}
