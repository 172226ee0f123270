/**
 * Screens what the upstream of a WebSocket sends: one JSON event a frame in, frames for the client out, in order. The
 * channels and the queue are those of HTTP answers (stream/queue); what differs is that a connection carries many answers:
 * one that the policy cuts ends for both sides while the others go on, and what is remembered of them is bounded, however
 * long the connection lives. No I/O.
 *
 * What was spoken cannot be unsaid: audio that left before its transcript was blocked stays with the client.
 */
import type { AnswerWitness } from '../contract/content.ts';
import type { OpaqueKind } from '../contract/exchange.ts';
import { WeirError } from '../contract/errors.ts';
import type { Treatment } from '../contract/screening.ts';
import { spliceText } from '../dialect/json.ts';
import type { OpaqueLeaf, SocketReader, SocketReading } from '../dialect/socket.ts';
import { unheld, type OutputPlan } from '../screen/output.ts';
import type { GuardSummary } from './guard.ts';
import { EventQueue } from './queue.ts';
import { Tally } from './tally.ts';

export interface FrameGuardOptions {
  readonly reader: SocketReader;
  readonly plan: OutputPlan;
  /** What becomes of what cannot be read. */
  readonly opaque: Readonly<Record<OpaqueKind, Treatment>>;
  /** Of the texts of one answer, and of what waits for scores. */
  readonly bytesMax: number;
  /** Hears the texts, where they are kept. */
  readonly witness?: AnswerWitness | undefined;
  readonly onFrame: (frame: Buffer) => void;
  /** For the upstream: the end of an answer that the policy cut. */
  readonly onUpstream: (frame: Buffer) => void;
  /** Something that the configuration refuses was left out; told once for each kind. */
  readonly onRefused: (kind: OpaqueKind) => void;
  /** An answer has ended, with the tokens that the upstream counted. */
  readonly onAnswerEnd: (tokens: number | undefined) => void;
  /** After `end`: all that may leave has left. `reason`: what may leave of the upstream's. */
  readonly onDone: (reason: string) => void;
}

export interface FrameGuard {
  /** One text frame. Throws WeirError response_too_large. */
  feed(raw: Buffer): void;
  /** A text of the client that was let pass as it is: where the upstream only repeats it to the client, no rule about answers is asked. */
  know(text: string): void;
  /** The upstream has closed, for a reason that it may give: what is held is decided and leaves; then `onDone`. */
  end(reason: string): void;
  /** Nothing more leaves. */
  stop(): void;
  /** An answer is under way. */
  readonly answering: boolean;
  /** Answers and events that the policy cut. */
  readonly cuts: number;
  summary(): GuardSummary;
}

export function createFrameGuard(options: FrameGuardOptions): FrameGuard {
  return new SocketGuard(options);
}

/** Frames that may wait behind a held one before it is sent in two parts: audio should not wait for long. */
const WAITING_FRAMES_MAX = 8;
/** Texts that are open or remembered; an upstream that says more at once is broken. */
const LANES_MAX = 16_384;
/** Answers and items, the latest used, whose texts are remembered because an event may repeat them; and all their characters. */
const SCOPES_MAX = 256;
const REMEMBERED_CHARS_MAX = 2 ** 21;
const KNOWN_CHARS_MAX = 2 ** 20;

/** The scope of the reason for which the upstream closed. */
const REASON = 'reason:';

class SocketGuard implements FrameGuard {
  cuts = 0;
  readonly #options: FrameGuardOptions;
  readonly #tally: Tally;
  readonly #queue: EventQueue;
  /** Answers that have begun and not ended. */
  readonly #answering = new Set<string>();
  /** Scopes whose channels are remembered, with the bytes of their events; the latest used last. */
  readonly #scopes = new Map<string, number>();
  /** Scopes of single events, to be forgotten once they have left. */
  #singles: string[] = [];
  /** Scopes that the policy cut: what the upstream still says there is not passed on. */
  readonly #cut = new Set<string>();
  readonly #refused = new Set<OpaqueKind>();
  /** Texts of the client, the newest last. */
  readonly #known = new Set<string>();
  #knownChars = 0;
  #reason = '';
  #ending = false;
  #done = false;

  constructor(options: FrameGuardOptions) {
    this.#options = options;
    this.#tally = new Tally(options.plan);
    this.#queue = new EventQueue({
      reader: options.reader,
      repeats: true,
      plan: options.plan,
      tally: this.#tally,
      witness: options.witness,
      waitingMax: WAITING_FRAMES_MAX,
      lanesMax: LANES_MAX,
      onEvent: (frame, closes) => {
        if (closes.includes(REASON)) this.#reason = frame.toString();
        else options.onFrame(frame);
      },
      onScores: (key, allowed) => this.#onScores(scopeOf(key), allowed),
    });
  }

  get answering(): boolean {
    return this.#answering.size > 0;
  }

  feed(raw: Buffer): void {
    if (this.#done) return;
    const json = raw.toString('utf8');
    const event = parseJson(json);
    const reading = event === undefined ? wholeText(json) : this.#unknown(this.#options.reader.readEvent(event, json));
    if (reading.ours === true) return;
    this.#noteAnswer(reading);
    if (!this.#cut.has(reading.scope)) this.#pass(raw, event === undefined ? '' : json, event, reading);
    if (reading.answer === 'ends') this.#options.onAnswerEnd(reading.tokens);
  }

  know(text: string): void {
    if (!this.#known.delete(text)) this.#knownChars += text.length;
    this.#known.add(text);
    for (const oldest of this.#known) {
      if (this.#knownChars <= KNOWN_CHARS_MAX) return;
      this.#known.delete(oldest);
      this.#knownChars -= oldest.length;
    }
  }

  end(reason: string): void {
    if (this.#done) return;
    this.#ending = true;
    if (!this.#queue.close('')) this.#cutScope('');
    else if (reason !== '' && !this.#queue.enqueue({ raw: Buffer.from(reason), json: '', event: undefined, frame: undefined, scope: REASON }, { ...wholeText(reason, REASON), closes: [REASON] })) this.#cutScope(REASON);
    this.#queue.drain();
    this.#finishIfDone();
  }

  stop(): void {
    this.#done = true;
    this.#queue.stop();
  }

  summary(): GuardSummary {
    const { reader } = this.#options;
    return {
      decision: this.#tally.record(this.#queue.replaced, false),
      heldCharsMax: this.#tally.heldCharsMax,
      heldMsTotal: this.#tally.heldMsTotal,
      textChars: this.#tally.textChars,
      usage: reader.usage(),
      facts: reader.facts(),
    };
  }

  #pass(raw: Buffer, json: string, event: unknown, reading: SocketReading): void {
    const { plan, bytesMax } = this.#options;
    const { scope } = reading;
    const initial = unheld(plan.initial); // on a connection of many answers none waits
    if ((initial.action === 'block' || initial.action === 'replace') && (reading.pieces.length > 0 || reading.answer === 'begins')) return this.#cutScope(scope);
    if (!this.#admits(reading)) return this.#cutScope(scope);
    const refused = reading.opaque.filter((leaf) => this.#treatmentOf(leaf) === 'refuse');
    for (const { kind } of refused) this.#tellRefused(kind);
    if (refused.some(({ alone }) => alone)) return;
    const left = refused.length === 0 ? json : spliceText(json, refused.map(({ path = [] }) => ({ path, value: '' })));
    const arrived = left === json ? { raw, json, event } : { raw: Buffer.from(left), json: left, event: JSON.parse(left) as unknown };
    this.#remember(reading, raw.length);
    if (!this.#queue.enqueue({ ...arrived, frame: undefined, scope }, reading)) return this.#cutScope(scope);
    this.#queue.drain();
    this.#forgetSingles();
    if (this.#queue.bytes > bytesMax) throw new WeirError('response_too_large', 'more of the answers waits for its scores than proxy.limits.response_bytes_max');
  }

  /** Notes what nothing reads; false when the policy blocks an answer that holds it. */
  #admits({ opaque }: SocketReading): boolean {
    for (const leaf of opaque) {
      const { carrier, kind } = leaf;
      this.#tally.unread({ carrier, kind }, this.#treatmentOf(leaf));
      if (kind !== 'image' && kind !== 'audio') continue;
      const decision = this.#options.plan.meets(kind);
      this.#tally.decided(decision);
      if (decision.action === 'block' || decision.action === 'replace') return false;
    }
    return true;
  }

  #treatmentOf({ path, kind }: OpaqueLeaf): Treatment {
    return path === undefined ? 'pass' : this.#options.opaque[kind];
  }

  #tellRefused(kind: OpaqueKind): void {
    if (this.#refused.has(kind)) return;
    this.#refused.add(kind);
    this.#options.onRefused(kind);
  }

  /** Without what only repeats the client's own words. */
  #unknown(reading: SocketReading): SocketReading {
    if (reading.echoes !== true || this.#known.size === 0) return reading;
    return { ...reading, pieces: reading.pieces.filter(({ text }) => !this.#known.has(text)) };
  }

  #noteAnswer({ answer, scope }: SocketReading): void {
    if (answer === 'begins') keepNewest(this.#answering, scope, SCOPES_MAX);
    if (answer === 'ends') this.#answering.delete(scope);
  }

  /** What is decided there leaves, then its end; what is held never leaves. */
  #cutScope(scope: string): void {
    const { policy } = this.#options.plan;
    const { action, rule } = this.#tally.blocking;
    const instead = action === 'replace' || policy.onBlock === 'fallback' ? (rule?.message ?? policy.message) : undefined;
    this.cuts += 1;
    this.#queue.cut(scope);
    const { toClient, toUpstream } = this.#options.reader.cut(scope, { message: instead ?? rule?.message ?? 'the policy blocked the answer', instead });
    this.#queue.forget(scope);
    this.#scopes.delete(scope);
    if (scope !== '') keepNewest(this.#cut, scope, SCOPES_MAX);
    for (const frame of toClient) this.#queue.append(frame);
    this.#queue.drain();
    for (const frame of toUpstream) this.#options.onUpstream(frame);
  }

  #onScores(scope: string, allowed: boolean): void {
    if (allowed) this.#queue.drain();
    else this.#cutScope(scope);
    this.#forgetSingles();
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (!this.#ending || this.#done || !this.#queue.idle) return;
    this.stop();
    this.#options.onDone(this.#reason);
  }

  #remember({ scope, single, pieces }: SocketReading, bytes: number): void {
    if (pieces.length === 0) return;
    if (single) return void this.#singles.push(scope);
    const before = this.#scopes.get(scope);
    const all = (before ?? 0) + bytes;
    if (all > this.#options.bytesMax) throw new WeirError('response_too_large');
    this.#scopes.delete(scope);
    this.#scopes.set(scope, all);
    if (before === undefined) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const scope of [...this.#scopes.keys()].slice(0, -1)) {
      if (this.#scopes.size <= SCOPES_MAX && this.#queue.rememberedChars <= REMEMBERED_CHARS_MAX) return;
      if (this.#queue.forget(scope)) this.#scopes.delete(scope);
    }
  }

  #forgetSingles(): void {
    if (this.#singles.length > 0) this.#singles = this.#singles.filter((scope) => !this.#queue.forget(scope));
  }
}

/** `r.resp_1:item_1/0/text` → `r.resp_1:`. */
function scopeOf(key: string): string {
  return key.slice(0, key.indexOf(':') + 1);
}

/** What no dialect can read: all of it is one text. */
function wholeText(text: string, scope = 'text:'): SocketReading {
  return { pieces: [{ key: `${scope}text/`, carrier: 'text', kind: 'text', path: [], text, whole: true }], closes: [], scope, single: true, opaque: [] };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function keepNewest(set: Set<string>, value: string, max: number): void {
  set.delete(value);
  set.add(value);
  if (set.size > max) set.delete(set.values().next().value as string);
}
