/**
 * Carries the frames of one WebSocket between a client and its upstream. Every event of the client is screened like a
 * prompt before it is forwarded, one after the other; every event of the upstream passes the frame guard. A refused or
 * blocked event is answered with an error event and the connection goes on. Guarantees: nothing of the client is sent
 * that screening did not make; a side that reads slowly pauses the other; when one side goes the other follows within a
 * second; what broke never ends with a clean code.
 */
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { DecisionRecord, Screened } from '../contract/exchange.ts';
import type { HoldPort } from '../contract/hold.ts';
import type { Context } from '../contract/screening.ts';
import { readJson, type JsonLimits } from '../dialect/json.ts';
import type { SocketDialect } from '../dialect/socket.ts';
import type { OutputPlan } from '../screen/output.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import { PseudonymVault, type Pseudonyms } from '../screen/pseudonyms.ts';
import { createFrameGuard, type FrameGuard } from '../stream/frames.ts';
import { estimateTokens } from '../tenant/limits.ts';
import { actedOn, decideInSession, decidePrompt, screenPrompt, type HeldPrompt, type OpaqueTreatments, type PromptVerdict, type ScreenedPrompt, type ScreenedRequest, type SettledPrompt } from './prompt.ts';
import { waitForPerson, withHold } from './hold.ts';
import { ClientLeft, type OpenExchange } from './opened.ts';
import { RecordTally } from './record-tally.ts';
import type { ReadRequest } from './request.ts';
import { BROKEN, NO_CODE, type SocketClosed, type SocketPeer, type SocketTaker } from './socket.ts';

/** How frames are looked at; without it they are handed over as they come. */
export interface SessionScreen {
  readonly dialect: SocketDialect;
  readonly plan: ScreeningPlan;
  /** What a rule may read of every event, without direction and model. */
  readonly context: Context;
  readonly opaque: OpaqueTreatments;
  readonly json: JsonLimits;
  /** Keeps the pseudonyms of the session that the client named. */
  readonly vault: PseudonymVault | undefined;
  /** Waits for people: one event of the client may wait, and what it sends after waits behind it. */
  readonly holds: HoldPort | undefined;
}

export interface SessionOptions {
  readonly exchange: OpenExchange;
  readonly client: SocketPeer;
  readonly upstream: SocketPeer;
  readonly screen: SessionScreen | undefined;
  readonly idleMs: number;
  readonly waitingBytesMax: number;
  /** Whether the client's key still opens anything; asked at each of its frames, since a connection may outlive its key. */
  readonly mayGoOn: () => boolean;
}

/** An open connection, for whoever shuts the server down. */
export interface OpenSession {
  /** Ends it as soon as no answer is under way. */
  drain(): void;
}

/** How many frames of a client may wait to be screened before it is read no further. */
const INBOX_MAX = 16;
/** After this long a side whose closing handshake hangs is given up. */
const END_MS = 1_500;

const GOING_AWAY = 1001;
const UNSUPPORTED = 1003;
const POLICY = 1008;
const FAULT = 1011;
const BAD_GATEWAY = 1014;

/** What the client is told by the code alone. */
const CLOSE_CODES: Partial<Record<ErrorCode, number>> = {
  draining: GOING_AWAY, content_filter: POLICY, unsupported_media_type: UNSUPPORTED, bad_request: 1002, invalid_utf8: 1007, body_too_large: 1009, overloaded: 1013, no_policy: POLICY, policy_stale: POLICY, invalid_api_key: POLICY,
  upstream_unreachable: BAD_GATEWAY, upstream_protocol: BAD_GATEWAY, upstream_timeout: BAD_GATEWAY, response_too_large: BAD_GATEWAY,
};

const UPSTREAM_FAULTS: ReadonlySet<ErrorCode> = new Set(['upstream_unreachable', 'upstream_protocol', 'upstream_timeout', 'response_too_large']);
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set(['internal', 'draining']);

/** Relays until both sides are gone; `exchange.facts` then say how it went. */
export class Session implements OpenSession {
  readonly #options: SessionOptions;
  readonly #exchange: OpenExchange;
  readonly #input = new RecordTally();
  readonly #guard: FrameGuard | undefined;
  /** Pseudonyms of the newest event that had any: they know those of all before. */
  #pseudonyms: Pseudonyms | undefined;
  readonly #ownVault = new PseudonymVault();
  /** Frames of the client that wait to be screened. */
  readonly #inbox: Buffer[] = [];
  #screening = false;
  /** An event of the client waits for a person. */
  #holding = false;
  /** Why the client is not read: its inbox is full, or the upstream is behind. */
  readonly #clientHeld = new Set<'inbox' | 'upstream'>();
  #blockedInputs = 0;
  /** Types of events that were refused for what cannot be read in them. */
  readonly #opaqueTold = new Set<string>();
  #draining = false;
  /** The first end that was seen: nothing is relayed after it. */
  #over = false;
  #clientGone = false;
  #upstreamGone = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #resolve: () => void = () => {};
  readonly #onAbort = (): void => this.#stopped(this.#exchange.signal.reason);

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#exchange = options.exchange;
    if (options.screen !== undefined) this.#exchange.keepContent();
    this.#guard = options.screen && this.#createGuard(options.screen);
  }

  run(): Promise<void> {
    const { client, upstream, exchange } = this.#options;
    return new Promise<void>((resolve) => {
      this.#resolve = resolve;
      exchange.facts.outcome = 'completed';
      if (exchange.signal.aborted) return this.#stopped(exchange.signal.reason);
      exchange.signal.addEventListener('abort', this.#onAbort, { once: true });
      exchange.afterwards?.onViolation(() => this.#cut());
      this.#live();
      client.read(this.#taker((data, isBinary) => this.#onClientFrame(data, isBinary), (blocked) => (blocked ? upstream.pause() : upstream.resume()), (closed) => this.#onClientClosed(closed)));
      upstream.read(this.#taker((data, isBinary) => this.#onUpstreamFrame(data, isBinary), (blocked) => this.#holdClient('upstream', blocked), (closed) => this.#onUpstreamClosed(closed)));
    });
  }

  drain(): void {
    this.#draining = true;
    if (!this.#over && this.#guard?.answering !== true && !this.#screening) this.#end(GOING_AWAY, 'draining');
  }

  #taker(onFrame: SocketTaker['onFrame'], onPressure: (blocked: boolean) => void, onClosed: (closed: SocketClosed) => void): SocketTaker {
    return {
      onFrame: (data, isBinary) => {
        this.#live();
        if (!this.#over) onFrame(data, isBinary);
      },
      onLife: () => this.#live(),
      onPressure: (blocked) => { if (!this.#over) onPressure(blocked); },
      onClosed,
    };
  }

  /** A sign of life of either side. */
  #live(): void {
    if (this.#holding) return;
    if (this.#idleTimer !== undefined) return void this.#idleTimer.refresh();
    this.#idleTimer = setTimeout(() => { if (!this.#over) this.#end(GOING_AWAY, 'nothing was sent for proxy.timeouts.socket_idle_ms'); }, this.#options.idleMs);
  }

  // From the client.

  #onClientFrame(data: Buffer, isBinary: boolean): void {
    const { screen, upstream } = this.#options;
    this.#exchange.facts.requestBytes += data.length;
    if (!this.#options.mayGoOn()) return this.#fail(new WeirError('invalid_api_key'));
    if (screen === undefined) return upstream.send(data, isBinary);
    if (isBinary) return this.#fail(new WeirError('unsupported_media_type', 'a binary frame, which cannot be screened'));
    this.#inbox.push(data);
    if (this.#inbox.length >= INBOX_MAX) this.#holdClient('inbox', true);
    if (!this.#screening) void this.#screenInbox(screen);
  }

  /** One after the other, so that events arrive in order. */
  async #screenInbox(screen: SessionScreen): Promise<void> {
    this.#screening = true;
    try {
      for (let frame = this.#inbox.shift(); frame !== undefined && !this.#over; frame = this.#inbox.shift()) {
        await this.#screenFrame(frame, screen);
        if (this.#inbox.length === 0) this.#holdClient('inbox', false);
      }
    } catch (error) {
      this.#fail(error instanceof WeirError ? error : new WeirError('internal', undefined, { cause: error }));
    }
    this.#screening = false;
    if (this.#draining) this.drain();
  }

  async #screenFrame(frame: Buffer, { dialect, plan, context, opaque, json, vault, holds }: SessionScreen): Promise<void> {
    const { exchange, upstream } = this.#options;
    let eventId: string | undefined;
    try {
      const document = readJson(frame, json);
      const reading = dialect.readClientEvent(document);
      eventId = reading.eventId;
      exchange.kept?.promptCame(reading.segments);
      if (reading.asks) {
        await exchange.admission?.takeRequest();
        await exchange.admission?.takeTokens(frame.length);
      }
      if (reading.model !== undefined) exchange.facts.model = reading.model;
      const own: Context = { ...context, direction: 'input', time: new Date(exchange.now()).toISOString(), ...(exchange.facts.model === undefined ? {} : { model: exchange.facts.model }) };
      const { verdict: decided, prompt } = await this.#decide(plan, { document, reading }, own, opaque, vault);
      const verdict = decided.kind === 'held' ? await this.#hold(decided, holds) : decided;
      this.#input.add(verdict.record);
      if (this.#over) return;
      if (verdict.kind === 'forward') {
        exchange.kept?.promptLeaves(reading.segments, verdict.edits);
        this.#hear(plan, prompt.screened, own);
        if (verdict.request.body === frame) for (const { content, contentType } of reading.segments) if (contentType === 'text') this.#guard!.know(content);
        return this.#forward(upstream, verdict.request);
      }
      if (verdict.kind === 'blocked' && verdict.code === 'opaque_refused') return this.#refuseOpaque(reading.type, eventId);
      this.#blockedInputs += 1;
      if (verdict.kind === 'blocked') this.#tellError(verdict.code, verdict.message, eventId);
      else if (dialect.answerInstead === undefined) this.#tellError('content_filter', verdict.message, eventId);
      else for (const own of dialect.answerInstead(reading, verdict.message, `${exchange.requestId}_${this.#blockedInputs}`, exchange.now())) this.#sendClient(own);
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      if (!this.#over) this.#tellError(error.code, error.message, eventId);
    }
  }

  /** That nothing is sent meanwhile is nobody's fault. Throws draining. */
  async #hold({ decision, record, after }: HeldPrompt, holds: HoldPort | undefined): Promise<SettledPrompt> {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    this.#holding = true;
    const { release, record: hold } = await waitForPerson(this.#exchange, holds, { direction: 'input', decision, results: record.classifier_results });
    this.#holding = false;
    this.#exchange.facts.inputHold ??= hold;
    if (!this.#over) this.#live();
    if (release === undefined) throw new WeirError('draining');
    return { ...after[release], record: withHold(after[release].record, hold) };
  }

  /** What is heard of it after the fact. */
  #hear(plan: ScreeningPlan, screened: Screened, context: Context): void {
    const { afterwards } = this.#exchange;
    if (screened.segments.length > 0) afterwards?.watch('input', plan.complete(actedOn(plan, screened), 'input', context, afterwards.signal));
  }

  /** Nothing tells a client of a socket which of its answers was meant, so the connection ends. */
  #cut(): boolean {
    if (this.#over) return false;
    this.#fail(new WeirError('content_filter', 'the policy found a violation after the fact'));
    return true;
  }

  async #decide(plan: ScreeningPlan, request: ReadRequest, context: Context, opaque: OpaqueTreatments, vault: PseudonymVault | undefined): Promise<{ readonly verdict: PromptVerdict; readonly prompt: ScreenedPrompt }> {
    const { signal, facts, requestId } = this.#exchange;
    const prompt = await screenPrompt(plan, request, context, opaque, signal);
    // Sound comes many times a second, and says no word that a pseudonym could stand for.
    if (!request.reading.segments.some(({ contentType }) => contentType === 'text')) return { verdict: decidePrompt(plan, prompt, context), prompt };
    const session = { tenantId: facts.tenant!.id, sessionId: facts.sessionId ?? requestId, vault: facts.sessionId === undefined ? this.#ownVault : vault ?? this.#ownVault };
    const { verdict, pseudonyms } = await decideInSession(plan, prompt, context, session);
    this.#pseudonyms = pseudonyms ?? this.#pseudonyms;
    return { verdict, prompt };
  }

  /** Sound comes many times a second: that it is refused is told once. */
  #refuseOpaque(type: string, eventId: string | undefined): void {
    if (this.#opaqueTold.has(type)) return;
    if (this.#opaqueTold.size < INBOX_MAX) this.#opaqueTold.add(type);
    this.#tellError('opaque_refused', undefined, eventId);
  }

  #forward(upstream: SocketPeer, request: ScreenedRequest): void {
    upstream.send(request.body);
  }

  #holdClient(why: 'inbox' | 'upstream', hold: boolean): void {
    const { client } = this.#options;
    const before = this.#clientHeld.size;
    if (hold) this.#clientHeld.add(why);
    else this.#clientHeld.delete(why);
    if (before === 0 && this.#clientHeld.size > 0) client.pause();
    if (before > 0 && this.#clientHeld.size === 0) client.resume();
  }

  // From the upstream.

  #onUpstreamFrame(data: Buffer, isBinary: boolean): void {
    if (this.#guard === undefined) return this.#sendClient(data, isBinary);
    if (isBinary) return this.#fail(new WeirError('upstream_protocol', 'the upstream sent a binary frame, which cannot be screened'));
    try {
      this.#guard.feed(data);
    } catch (error) {
      this.#fail(error instanceof WeirError ? error : new WeirError('internal', undefined, { cause: error }));
    }
  }

  #createGuard({ dialect, plan, context, opaque }: SessionScreen): FrameGuard {
    const output = plan.forOutput({ ...context, direction: 'output', time: new Date(this.#exchange.now()).toISOString() }, undefined, this.#exchange.afterwards);
    // Tokens are issued while the connection lives.
    const live: OutputPlan = plan.pseudonymKey === undefined ? output : { ...output, restore: (token) => this.#pseudonyms?.valueOf(token) };
    return createFrameGuard({
      reader: dialect.createReader(),
      plan: live,
      opaque,
      bytesMax: this.#options.waitingBytesMax,
      witness: this.#exchange.kept,
      onFrame: (frame) => this.#sendClient(frame),
      onUpstream: (frame) => this.#options.upstream.send(frame),
      onRefused: (kind) => this.#tellError('opaque_refused', `an answer holds ${kind}, which cannot be screened here and was left out`),
      onAnswerEnd: (tokens) => this.#onAnswerEnd(tokens),
      onDone: (reason) => void this.#closeClient(reason),
    });
  }

  #onAnswerEnd(tokens: number | undefined): void {
    if (tokens !== undefined) this.#exchange.admission?.settleTokens(tokens);
    if (this.#draining) setImmediate(() => this.drain()); // after the event that ends it
  }

  #sendClient(frame: Buffer, isBinary = false): void {
    const { facts } = this.#exchange;
    facts.responseBytes += frame.length;
    facts.firstByteMs ??= performance.now();
    this.#options.client.send(frame, isBinary);
  }

  /** `message` holds no user text. */
  #tellError(code: ErrorCode, message: string | undefined, eventId?: string): void {
    const { screen } = this.#options;
    if (screen !== undefined) this.#sendClient(screen.dialect.errorEvent(code, message ?? new WeirError(code).message, eventId));
  }

  // How it ends.

  #onClientClosed({ code, fault }: SocketClosed): void {
    this.#clientGone = true;
    if (!this.#over) {
      const { facts } = this.#exchange;
      if (fault !== undefined) {
        facts.outcome = 'refused';
        facts.errorCode = fault.code;
      } else if (code === BROKEN) facts.outcome = 'client_left';
      this.#finish();
      this.#options.upstream.close(code === BROKEN ? GOING_AWAY : code);
    }
    this.#settleIfGone();
  }

  #onUpstreamClosed({ code, reason, fault }: SocketClosed): void {
    this.#upstreamGone = true;
    if (this.#over) return this.#settleIfGone();
    if (fault !== undefined) return this.#fail(fault);
    if (code === BROKEN) return this.#fail(new WeirError('upstream_unreachable', 'the upstream broke the connection'));
    if (code !== 1000 && code !== GOING_AWAY && code !== NO_CODE && code < 3000) {
      this.#exchange.facts.outcome = 'upstream_failed';
      this.#exchange.facts.errorCode = 'upstream_unreachable';
    }
    this.#closeCode = code;
    if (this.#guard === undefined) void this.#closeClient(reason);
    else this.#guard.end(reason);
  }

  /** The upstream's, for the client, once all that it said has left. */
  #closeCode = NO_CODE;

  async #closeClient(reason: string): Promise<void> {
    if (this.#over) return;
    this.#finish();
    const recorded = await this.#recorded();
    this.#options.client.close(recorded ? this.#closeCode : FAULT, reason);
    this.#settleIfGone();
  }

  /** Under strict durability a clean end waits for its entry. */
  async #recorded(): Promise<boolean> {
    if (this.#exchange.durability !== 'strict') return true;
    try {
      await this.#exchange.settle();
      return true;
    } catch {
      return false;
    }
  }

  /** The server stops, or what the client sent before broke. */
  #stopped(reason: unknown): void {
    if (reason instanceof ClientLeft) return; // its socket says so itself
    this.#fail(reason as WeirError);
  }

  #fail(error: WeirError): void {
    if (this.#over) return;
    const { facts } = this.#exchange;
    facts.errorCode = error.code;
    facts.outcome = error.code === 'content_filter' ? 'blocked' : UPSTREAM_FAULTS.has(error.code) ? 'upstream_failed' : OWN_FAULTS.has(error.code) ? 'failed' : 'refused';
    this.#tellError(error.code, error.message);
    this.#end(CLOSE_CODES[error.code] ?? FAULT, '');
  }

  /** We end it. */
  #end(code: number, reason: string): void {
    const { client, upstream } = this.#options;
    this.#finish();
    client.close(code, reason);
    if (!this.#upstreamGone) upstream.close(GOING_AWAY);
    this.#settleIfGone();
  }

  /** Nothing is relayed any more: the record is complete. */
  #finish(): void {
    this.#over = true;
    clearTimeout(this.#idleTimer);
    this.#exchange.signal.removeEventListener('abort', this.#onAbort);
    this.#inbox.length = 0;
    this.#guard?.stop();
    this.#note();
    setTimeout(this.#resolve, END_MS).unref();
  }

  #note(): void {
    const { facts } = this.#exchange;
    const summary = this.#guard?.summary();
    if (summary === undefined) return;
    const input = this.#input.record() ?? NOTHING_SAID;
    facts.input = facts.inputHold === undefined ? input : { ...input, hold: facts.inputHold };
    facts.output = summary.decision;
    facts.heldCharsMax = summary.heldCharsMax;
    facts.heldMsTotal = summary.heldMsTotal;
    facts.model = summary.facts.model ?? facts.model;
    const { usage, textChars } = summary;
    // Of what clients send much is sound, of which nobody here can tell how many tokens it is.
    facts.usage = usage === undefined && textChars > 0 ? { prompt_tokens: 0, completion_tokens: estimateTokens(textChars), estimated: true } : { prompt_tokens: usage?.inputTokens ?? 0, completion_tokens: usage?.outputTokens ?? 0 };
    if (facts.outcome === 'completed' && this.#blockedInputs + this.#guard!.cuts > 0) facts.outcome = 'blocked';
  }

  #settleIfGone(): void {
    if (this.#clientGone && this.#upstreamGone) this.#resolve();
  }
}

const NOTHING_SAID: DecisionRecord = { action: 'allow', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [], nothing_to_screen: true }, degraded: [], redactions: 0, latency_ms: 0 };
