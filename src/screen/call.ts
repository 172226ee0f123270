/**
 * One classifier's door: how many calls may run and wait, when it is left alone, when it is asked again, and how long
 * an answer counts. Guarantees: `ask` never rejects and answers by the deadline by its own timer; an answer after the
 * deadline is ignored and counted, also when this process was too busy to notice the deadline (but not of a classifier of
 * this process that answers at once: its time is spent, and its answer is here); what the classifier
 * throws, now or later, stays here. Kept as long as the classifier is, so that its state outlives a reload.
 */
import { CHANNELS, type BreakerState, type CallOutcome } from '../contract/channels.ts';
import type { Classifier, Readings } from '../contract/classifier.ts';
import type { ClassifierResult, ScreeningRequest, UnknownReason, UnknownResult } from '../contract/screening.ts';
import { checkedAnswer, unknowns } from './answer.ts';
import { Breaker, type BreakerSettings, type CallEnd, type Pass } from './breaker.ts';
import { readingsOf } from './readings.ts';

export interface CallSettings {
  /** Its own time for one text, within the common one. */
  readonly deadlineMs?: number;
  /** Calls that run at once; others wait. */
  readonly concurrency?: number;
  /** Whether one that is idempotent is asked again when it failed fast. */
  readonly retry?: boolean;
  readonly breaker?: BreakerSettings;
  /** Its weight in combinations that give none. */
  readonly weight?: number;
}

export const CALL_DEFAULTS = { concurrency: 64, retry: true, breaker: { failures: 5, openMs: 5_000 }, weight: 1 } as const;

/** Calls that wait for each one that may run; a longer line could not be served within any deadline. */
export const WAITING_PER_CALL = 4;

export interface CallOptions {
  /** On the clock of the calls. */
  readonly deadlineAtMs: number;
  /** What a text usually has. A timeout after less than half of it says nothing about the classifier. */
  readonly usualMs?: number;
  /** Nobody wants the answer any more. */
  readonly signal?: AbortSignal;
  /** Those of the text, where others share them. */
  readonly readings?: Readings;
}

/** How one attempt ended. `late`: nothing came in time, and what comes then is ignored. */
type Attempt = { readonly end: 'answer'; readonly answer: unknown } | { readonly end: 'threw' | 'late' | 'aborted' };

export type Classify = (request: ScreeningRequest, signal: AbortSignal) => unknown;

export class ClassifierCalls {
  readonly classifier: Classifier;
  readonly #settings: typeof CALL_DEFAULTS & CallSettings;
  readonly #clock: () => number;
  readonly #breaker: Breaker;
  /** As it was last told. */
  #breakerState: BreakerState = 'closed';
  /** Places taken. */
  #running = 0;
  /** Those that wait for one of `concurrency` places, first come first served. */
  readonly #line: (() => void)[] = [];

  constructor(classifier: Classifier, settings: CallSettings = {}, clock: () => number = () => performance.now()) {
    this.classifier = classifier;
    this.#settings = { ...CALL_DEFAULTS, ...settings } as typeof CALL_DEFAULTS & CallSettings;
    this.#clock = clock;
    this.#breaker = new Breaker(this.#settings.breaker);
  }

  get weight(): number {
    return this.#settings.weight;
  }

  /** What it says about the text, or an unknown result for each of its categories. `classify`: what is asked in place of its own. */
  async ask(request: ScreeningRequest, { deadlineAtMs, usualMs = 0, signal, readings }: CallOptions, classify?: Classify): Promise<readonly ClassifierResult[]> {
    const call = new Call(this.classifier, request, { clock: this.#clock, deadlineAtMs: Math.min(deadlineAtMs, this.#clock() + (this.#settings.deadlineMs ?? Infinity)), signal, readings, classify });
    if (signal?.aborted === true || !this.#breaker.admits(call.startMs)) return call.missing('unavailable');
    if (call.leftMs <= 0) return call.missing('timeout');
    const place = this.#running < this.#settings.concurrency ? this.#take() : await this.#wait(call);
    if (place !== 'taken') return call.missing(place);
    try {
      const pass = this.#breaker.enter(this.#clock());
      if (pass === undefined) return call.missing('unavailable');
      const hadTime = call.leftMs >= Math.min(usualMs, this.#settings.deadlineMs ?? usualMs) / 2;
      return await this.#run(call, pass, { hadTime, mayRepeat: this.classifier.idempotent === true && this.#settings.retry && !pass.probe && classify === undefined });
    } finally {
      this.#giveBack();
    }
  }

  /** `hadTime`: enough to be blamed for a timeout. */
  async #run(call: Call, pass: Pass, { hadTime, mayRepeat }: { readonly hadTime: boolean; readonly mayRepeat: boolean }): Promise<readonly ClassifierResult[]> {
    if (pass.probe) this.#tell('half_open', '');
    let ended = await call.attempt();
    if (mayRepeat && call.failedFast && (ended.end === 'threw' || (ended.end === 'answer' && isFailure(call.checked(ended.answer))))) ended = await call.attempt();
    const results = ended.end === 'answer' ? call.checked(ended.answer) : undefined;
    this.#leave(pass, ended.end === 'aborted' || (ended.end === 'late' && !hadTime) ? 'abandoned' : isFailure(results) ? 'failed' : 'answered');
    if (results !== undefined) return call.answered(results);
    return call.missing(MISSING[ended.end]);
  }

  #leave(pass: Pass, end: CallEnd): void {
    const nowMs = this.#clock();
    this.#breaker.leave(pass, end, nowMs);
    const state = this.#breaker.state(nowMs);
    if (state === 'open') this.#tell('open', pass.probe ? 'a probe failed' : `${this.#settings.breaker.failures} calls in a row failed`);
    else if (state === 'closed') this.#tell('closed', 'answers again');
  }

  #tell(state: BreakerState, detail: string): void {
    const former = this.#breakerState;
    if (state === former) return;
    this.#breakerState = state;
    const { id } = this.classifier;
    CHANNELS.breakerChanged.publish({ classifier: id, state });
    if (former === 'closed' || state === 'closed') CHANNELS.healthChanged.publish({ part: `classifier.${id}`, healthy: state === 'closed', detail });
  }

  // Places.

  #take(): 'taken' {
    this.#running += 1;
    return 'taken';
  }

  /** The place passes to the first in the line, so that nobody can come in between. */
  #giveBack(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }

  #wait({ leftMs, signal }: Call): Promise<'taken' | UnknownReason> {
    if (this.#line.length >= this.#settings.concurrency * WAITING_PER_CALL) return Promise.resolve('unavailable');
    return new Promise((resolve) => {
      const settle = (how: 'taken' | UnknownReason): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        resolve(how);
      };
      const turn = (): void => settle('taken');
      const leave = (reason: UnknownReason): void => {
        this.#line.splice(this.#line.indexOf(turn), 1);
        settle(reason);
      };
      const onAbort = (): void => leave('unavailable');
      const timer = setTimeout(leave, leftMs, 'timeout');
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#line.push(turn);
    });
  }
}

const MISSING = { answer: 'error', threw: 'error', late: 'timeout', aborted: 'unavailable' } as const satisfies Record<Attempt['end'], UnknownReason>;

/** Malformed, or an answer that says of everything that there is none because of a fault. */
function isFailure(results: readonly ClassifierResult[] | undefined): boolean {
  return results === undefined || (results.length > 0 && results.every((result) => 'unknown' in result && result.reason !== 'unsupported'));
}

interface CallTerms extends CallOptions {
  readonly clock: () => number;
  readonly classify?: Classify;
}

/** One classifier and one text, from the question to the one answer that counts. */
class Call {
  readonly startMs: number;
  readonly signal: AbortSignal | undefined;
  readonly #classifier: Classifier;
  readonly #request: ScreeningRequest;
  readonly #terms: CallTerms;

  constructor(classifier: Classifier, request: ScreeningRequest, terms: CallTerms) {
    this.#classifier = classifier;
    this.#request = request;
    this.#terms = terms;
    this.signal = terms.signal;
    this.startMs = terms.clock();
  }

  get leftMs(): number {
    return this.#terms.deadlineAtMs - this.#terms.clock();
  }

  /** There is as much time left as was spent. */
  get failedFast(): boolean {
    return this.leftMs > this.#terms.clock() - this.startMs;
  }

  checked(answer: unknown): readonly ClassifierResult[] | undefined {
    return checkedAnswer(this.#classifier, this.#request.content.length, answer, this.#terms.clock() - this.startMs);
  }

  answered(results: readonly ClassifierResult[]): readonly ClassifierResult[] {
    const [first] = results;
    this.#publish(first !== undefined && results.every((result) => 'unknown' in result) ? (first as UnknownResult).reason : 'ok');
    return results;
  }

  missing(reason: UnknownReason): readonly ClassifierResult[] {
    this.#publish(reason);
    return unknowns(this.#classifier, reason, this.#terms.clock() - this.startMs);
  }

  async attempt(): Promise<Attempt> {
    const stop = new AbortController();
    const classify: Classify = this.#terms.classify ?? ((request, signal) => this.#classifier.classify!(request, signal, this.#terms.readings ?? readingsOf(request)));
    let answer: unknown;
    try {
      answer = classify(this.#request, stop.signal);
      if (!Array.isArray(answer)) return await this.#awaited(answer, stop);
    } catch {
      return this.leftMs < 0 ? { end: 'late' } : { end: 'threw' };
    }
    // Of a classifier of this process the time is spent, and the answer is here.
    return this.#classifier.cost === 'fast' ? { end: 'answer', answer } : this.#inTime(answer);
  }

  /** Resolves once; what comes later is counted and dropped, an error too. */
  #awaited(answer: unknown, stop: AbortController): Promise<Attempt> {
    return new Promise((resolve) => {
      let over = false;
      const settle = (attempt: Attempt): void => {
        over = true;
        clearTimeout(timer);
        this.signal?.removeEventListener('abort', onAbort);
        if (attempt.end !== 'answer') stop.abort();
        resolve(attempt);
      };
      const onAbort = (): void => settle({ end: 'aborted' });
      const timer = setTimeout(settle, Math.max(0, this.leftMs), { end: 'late' });
      this.signal?.addEventListener('abort', onAbort, { once: true });
      Promise.resolve(answer).then(
        (value) => (over ? this.#publish('late') : settle(this.#inTime(value))),
        () => over || settle({ end: this.leftMs < 0 ? 'late' : 'threw' }),
      );
    });
  }

  /** The clock decides, since a timer fires late where the process is busy. */
  #inTime(answer: unknown): Attempt {
    if (this.leftMs >= 0) return { end: 'answer', answer };
    this.#publish('late');
    return { end: 'late' };
  }

  #publish(outcome: CallOutcome): void {
    CHANNELS.classifierCalled.publish({ requestId: this.#request.request_id, classifier: this.#classifier.id, outcome, startMs: this.startMs, endMs: this.#terms.clock() });
  }
}
