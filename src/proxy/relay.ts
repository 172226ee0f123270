/**
 * Carries an answer from the upstream through the guard to the client: the thin part around stream/guard. Unary and
 * streamed answers take this one path, and media too. Guarantees: an upstream that breaks off is never a clean end; a client that
 * leaves ends the upstream's work; under strict durability the last bytes of an answer wait for its audit entry.
 */
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { HoldRecord, Outcome, TokenUsage } from '../contract/exchange.ts';
import type { HoldPort, Release } from '../contract/hold.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { Dialect, RequestReading } from '../dialect/dialect.ts';
import type { OutputPlan } from '../screen/output.ts';
import { mediaOf, type Guard, type GuardOptions, type GuardSummary } from '../stream/guard.ts';
import { estimateTokens } from '../tenant/limits.ts';
import { Client } from './client.ts';
import { addStreamHeaders, forwardedAnswerHeaders, mediaType } from './headers.ts';
import { waitForPerson, withHold } from './hold.ts';
import type { OpenExchange } from './opened.ts';
import type { BodyTaker, UpstreamAnswer } from './upstream.ts';
import type { CallWatch } from './upstream-call.ts';

export interface RelayOptions {
  readonly exchange: OpenExchange;
  readonly answer: UpstreamAnswer;
  readonly dialect: Dialect;
  readonly request: RequestReading;
  readonly plan: OutputPlan;
  readonly createGuard: (options: GuardOptions) => Guard;
  /** Waits for people. */
  readonly holds: HoldPort | undefined;
  /** Told how it went, where somebody listens. */
  readonly call: CallWatch | undefined;
}

/**
 * Resolves when the answer has left or the client has; `exchange.facts` then say how it went. Throws a WeirError when
 * the answer failed before any of it had left: the caller can still answer with an error.
 */
export async function relayAnswer(options: RelayOptions): Promise<void> {
  let relay: Relay | undefined;
  try {
    await new Promise<void>((resolve, reject) => (relay = new Relay(options, resolve, reject)).start());
  } catch (error) {
    options.answer.abort();
    options.call?.failed(error);
    throw error;
  } finally {
    await relay?.endHold();
  }
}

const STREAM_ENDS = ['[DONE]'];
const GUARD_CODES: ReadonlySet<ErrorCode> = new Set(['upstream_unreachable', 'upstream_timeout', 'response_too_large', 'upstream_protocol']);
/** What the policy or the configuration does not let pass is nobody's failure. */
const REFUSALS: Partial<Record<ErrorCode, Outcome>> = { content_filter: 'blocked', opaque_refused: 'refused' };
type GuardCode = Parameters<Guard['fail']>[0];

class Relay implements BodyTaker {
  readonly #exchange: OpenExchange;
  readonly #options: RelayOptions;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #guard: Guard;
  readonly #client: Client;
  readonly #isStream: boolean;
  /** The answer is a recording or a picture, and leaves as it comes. */
  readonly #isMedia: boolean;
  readonly #strict: boolean;
  readonly #onAbort = (): void => this.#onClientLeft();
  readonly #onFinish = (): void => this.#finish();
  readonly #startMs = performance.now();
  /** Strict durability: bytes that leave only after the audit entry. */
  readonly #last: Buffer[] = [];
  /** The end marker of the stream has been given out: whoever leaves now leaves a complete answer. */
  #complete = false;
  /** Strict durability: all but the last bytes has left, and what is still to be learnt is waited for. */
  #lastWaits = false;
  /** Why the upstream is not read: the client is behind, or a person is waited for and enough is there. */
  readonly #paused = new Set<'client' | 'hold'>();
  /** Ends the wait for a person when nobody wants the answer any more. */
  #holdOver: AbortController | undefined;
  /** The wait that goes on. */
  #holding: Promise<Release | undefined> | undefined;
  #heldRecord: HoldRecord | undefined;
  /** The guard is done, or the exchange has failed or lost its client. Nothing is fed any more. */
  #over = false;

  constructor(options: RelayOptions, resolve: () => void, reject: (error: unknown) => void) {
    const { exchange, answer } = options;
    this.#exchange = exchange;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#strict = exchange.durability === 'strict';
    const media = mediaType(answer.headers);
    this.#isStream = media === 'text/event-stream';
    this.#isMedia = mediaOf({ dialect: options.dialect, status: answer.status, mediaType: media }) !== undefined;
    const { limits, timeouts, opaque } = exchange.snapshot.config.proxy;
    this.#guard = options.createGuard({
      dialect: options.dialect,
      request: options.request,
      plan: options.plan,
      requestId: exchange.requestId,
      status: answer.status,
      mediaType: media,
      limits: { eventBytesMax: limits.event_bytes_max, responseBytesMax: limits.response_bytes_max, waitingBytesMax: limits.queue_bytes_max },
      opaque,
      witness: exchange.kept,
      hold: (decision) => this.#hold(decision),
      onPressure: (blocked) => this.#pause('hold', blocked),
      onBytes: (bytes) => this.#onBytes(bytes),
      onDone: ({ blocked, error }) => (error === undefined ? void this.#onDone(blocked) : this.#fail(error)),
    });
    this.#client = new Client(exchange.res, { status: answer.status, statusText: answer.statusText, fields: this.#fields() }, {
      idleMs: timeouts.client_idle_ms,
      queueBytesMax: limits.queue_bytes_max,
      silenceMs: timeouts.stream_silence_ms,
      onPressure: (blocked) => this.#pause('client', blocked),
    });
  }

  start(): void {
    const { exchange, answer } = this.#options;
    exchange.signal.throwIfAborted();
    exchange.facts.status = answer.status;
    exchange.facts.outcome = 'completed';
    exchange.signal.addEventListener('abort', this.#onAbort, { once: true });
    exchange.res.once('finish', this.#onFinish).once('close', this.#onFinish);
    exchange.afterwards?.onViolation((decision) => this.#cut(decision));
    if (this.#isStream) this.#client.flushHead();
    answer.read(this);
  }

  // What the upstream sends.

  onChunk(chunk: Buffer): void {
    if (this.#over) return;
    this.#options.call?.chunk();
    try {
      this.#guard.feed(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  onEnd(): void {
    if (this.#over) return;
    try {
      this.#guard.end();
    } catch (error) {
      this.#fail(error);
    }
  }

  onFailure(error: WeirError): void {
    if (this.#over) return;
    if (this.#complete) return void this.#onDone(false);
    this.#fail(error);
  }

  // What the guard gives out.

  #onBytes(bytes: Buffer): void {
    if (this.#isStream && !this.#complete) this.#complete = (this.#options.dialect.streamEnds ?? STREAM_ENDS).some((word) => hasLine(bytes, word));
    if (this.#complete) this.#client.stopComments();
    // Of media only the newest bytes wait: that they are missing shows that the answer is not complete.
    if (this.#isMedia) for (const before of this.#last.splice(0)) this.#client.write(before);
    if (this.#strict && (this.#complete || !this.#isStream)) this.#last.push(bytes);
    else this.#client.write(bytes);
  }

  #pause(why: 'client' | 'hold', blocked: boolean): void {
    const before = this.#paused.size;
    if (blocked) this.#paused.add(why);
    else this.#paused.delete(why);
    if (before === 0 && this.#paused.size > 0) this.#options.answer.pause();
    if (before > 0 && this.#paused.size === 0) this.#options.answer.resume();
  }

  #hold(decision: PolicyDecision): Promise<Release | undefined> {
    const { exchange, holds } = this.#options;
    const { facts } = exchange;
    const over = this.#holdOver = new AbortController();
    const waiting = waitForPerson(exchange, holds, { direction: 'output', decision, results: this.#guard.summary().decision.classifier_results }, AbortSignal.any([exchange.signal, over.signal]));
    this.#holding = waiting.then(({ release, record }) => {
      this.#holding = undefined;
      this.#heldRecord = record;
      if (facts.output !== undefined) facts.output = withHold(facts.output, record);
      // The upstream, which would tell that it is to stop, may have ended long ago.
      if (release === undefined && !this.#over && !exchange.clientLeft) this.#fail(new WeirError('draining'));
      return release;
    });
    return this.#holding;
  }

  /** Nobody wants to know any more; resolves when what came of the wait is in the facts. */
  async endHold(): Promise<void> {
    this.#holdOver?.abort();
    await this.#holding;
  }

  async #onDone(blocked: boolean): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    if (this.#holding !== undefined) await this.endHold();
    if (blocked) this.#options.answer.abort();
    else this.#options.answer.discard();
    this.#exchange.facts.outcome = blocked ? 'blocked' : 'completed';
    this.#takeSummary();
    if (this.#strict && !(await this.#recorded())) return;
    for (const bytes of this.#last) this.#client.write(bytes);
    this.#client.end();
  }

  /** After the fact the policy wants no more of the answer to leave; false where all of it has. */
  #cut(decision: PolicyDecision): boolean {
    if (this.#over) return this.#lastWaits;
    // The client has the end of the stream, or will have it once the entry is written.
    if (this.#complete && !this.#strict) return false;
    try {
      if (this.#complete) throw new WeirError('content_filter');
      this.#guard.cut(decision);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  /** Strict: false when the entry could not be written, or what came to be known forbids the end; then the answer does not end well. */
  async #recorded(): Promise<boolean> {
    const { afterwards, facts } = this.#exchange;
    try {
      this.#lastWaits = true;
      await afterwards?.settled();
      this.#lastWaits = false;
      if (afterwards?.record.acted.includes('cut') && facts.outcome === 'completed') {
        facts.outcome = 'blocked';
        throw new WeirError('content_filter');
      }
      this.#exchange.facts.responseBytes = this.#last.reduce((sum, bytes) => sum + bytes.length, this.#client.bytes);
      await this.#exchange.settle();
      return true;
    } catch (error) {
      this.#breakOff(error as WeirError);
      return false;
    }
  }

  // How it goes wrong.

  #onClientLeft(): void {
    if (!this.#exchange.clientLeft) return; // any other reason reaches `onFailure` through the upstream
    this.#options.answer.abort();
    if (!this.#over) {
      this.#over = true;
      this.#guard.fail('upstream_unreachable', 'nobody waits for the answer');
      this.#exchange.facts.outcome = this.#complete ? 'completed' : 'client_left';
      this.#takeSummary();
    }
    this.#finish();
  }

  #finish(): void {
    const { facts } = this.#exchange;
    facts.responseBytes = this.#client.bytes;
    facts.firstByteMs = this.#client.firstByteMs;
    this.#resolve();
  }

  #fail(error: unknown): void {
    this.#over = true;
    this.#options.answer.abort();
    const fault = error instanceof WeirError ? error : new WeirError('internal', undefined, { cause: error });
    this.#exchange.facts.errorCode = fault.code;
    this.#exchange.facts.outcome = GUARD_CODES.has(fault.code) ? 'upstream_failed' : REFUSALS[fault.code] ?? 'failed';
    const guardCode = GUARD_CODES.has(fault.code) ? fault.code as GuardCode : 'upstream_unreachable';
    const frame = this.#guard.fail(guardCode, fault.message);
    this.#takeSummary();
    this.#breakOff(fault, guardCode === fault.code ? frame : undefined);
  }

  /** Before the head has left, an error answer; after it, an error frame and a connection that does not end cleanly. */
  #breakOff(fault: WeirError, frame?: Buffer): void {
    const { exchange, dialect, request } = this.#options;
    exchange.facts.errorCode = fault.code;
    if (!this.#client.begun) return this.#reject(fault);
    if (!this.#isStream) return this.#client.cut();
    this.#client.cut(frame ?? dialect.createReader(request).errorEvent(fault.code, fault.message, exchange.requestId));
  }

  /** After every end: what the guard saw goes into the closing entry. */
  #takeSummary(): void {
    const { exchange } = this.#options;
    const { facts } = exchange;
    const summary = this.#guard.summary();
    facts.output = withHold({ ...summary.decision, facts: this.#options.plan.recordFacts() }, this.#heldRecord);
    facts.heldCharsMax = summary.heldCharsMax;
    facts.heldMsTotal = summary.heldMsTotal;
    facts.usage = usageOf(exchange, summary);
    exchange.admission?.settleTokens(facts.usage.prompt_tokens + facts.usage.completion_tokens);
    this.#options.call?.end(summary, facts.errorCode ?? (facts.outcome === 'client_left' ? 'client_left' : undefined));
    exchange.stageEnded({ stage: 'guard', startMs: this.#startMs, attributes: { 'weir.held_characters': summary.heldCharsMax } });
  }

  #fields(): string[] {
    const { exchange, answer } = this.#options;
    const fields = forwardedAnswerHeaders(answer.headers, { bodyMayChange: true, decoded: answer.decoded });
    if (this.#isStream) addStreamHeaders(fields);
    return [...fields, ...exchange.ownHeaders(this.#isMedia)];
  }
}

/** As the upstream counted; an answer that tells nothing is reckoned by its length, and one that refuses costs nothing. */
function usageOf({ facts: { requestBytes, upstreamStatus = 0 } }: OpenExchange, { usage, textChars }: GuardSummary): TokenUsage {
  if (usage !== undefined) return { prompt_tokens: usage.inputTokens ?? 0, completion_tokens: usage.outputTokens ?? 0 };
  if (upstreamStatus >= 400) return { prompt_tokens: 0, completion_tokens: 0 };
  return { prompt_tokens: estimateTokens(requestBytes), completion_tokens: estimateTokens(textChars), estimated: true };
}

const LINE_BEGINS = /(?:^|[\r\n])(?:data|event): ?$/;

/** Whether an event there is called `word`, or says nothing else. */
function hasLine(bytes: Buffer, word: string): boolean {
  for (let at = bytes.indexOf(word); at >= 0; at = bytes.indexOf(word, at + 1)) {
    if (LINE_BEGINS.test(bytes.toString('latin1', Math.max(0, at - '\nevent: '.length), at))) return true;
  }
  return false;
}
