/**
 * Sends the log to another Weir as it grows, from its files: never in the way of an append, one batch at a time, within
 * the bounds of src/audit/shipment.ts. The other side says how much it has, so a restart of either loses nothing and sends
 * nothing for long that is there already. What fails is tried again, later and later; what stays behind is told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CHANNELS } from '../contract/channels.ts';
import { Outbox, UnshippableLog } from './outbox.ts';
import { readNews, readPosition, SHIP_REFUSALS, type ErasureClaim, type ErasureNews, type ShipBatch, type ShipPosition } from './shipment.ts';

export interface ShipperOptions {
  /** The log's folder. */
  readonly dir: string;
  /** Entries that the log holds now. */
  readonly size: () => number;
  readonly url: string;
  readonly token: string;
  /** Erasures that come with the answers. Absent: they come another way. */
  readonly erasing?: { readonly claim: () => Promise<ErasureClaim | undefined>; readonly told: (claim: ErasureClaim, news: ErasureNews) => void } | undefined;
  /** How often the other side hears of a log in which nothing happens. */
  readonly greetMs?: number;
  /** How often it is looked whether there is something to ship. Default 1 s, as often as checkpoints are signed. */
  readonly pollMs?: number;
  /** Time for one batch. */
  readonly timeoutMs?: number;
  /** Before the next attempt: at first, and at most. */
  readonly retryMs?: { readonly min: number; readonly max: number };
  /** Entries wait for so long before that is told. */
  readonly lateMs?: number;
  /** From 0 to 1. */
  readonly random?: () => number;
}

/** Why something failed: the label of the metric. */
export const SHIP_ERRORS = [...(Object.keys(SHIP_REFUSALS) as (keyof typeof SHIP_REFUSALS)[]), 'unauthorized', 'unreachable', 'timeout', 'unshippable', 'other'] as const;
type ShipErrorCode = (typeof SHIP_ERRORS)[number];

const POLL_MS = 1_000;
/** Between two batches of a log that is behind: what it takes to catch up is not taken from the traffic. */
const PAUSE_MS = 10;
const TIMEOUT_MS = 10_000;
const RETRY_MS = { min: 500, max: 10_000 } as const;
const LATE_MS = 30_000;
const GREET_MS = 30_000;
/** Of an answer; a longer one is none of ours. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** Told at once: waiting does not mend these. */
const LASTING: readonly ShipErrorCode[] = ['fork', 'rolled_back', 'altered', 'wrong_key', 'wrong_log', 'unauthorized', 'unshippable'];

interface Failure {
  readonly error: ShipErrorCode;
  readonly detail: string;
  /** What is there, where the answer says it. */
  readonly position?: ShipPosition;
}

export class Shipper {
  readonly #options: Required<Omit<ShipperOptions, 'erasing'>> & Pick<ShipperOptions, 'erasing'>;
  readonly #outbox: Outbox;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  /** What the other side has; undefined: it is to be asked. */
  #position: ShipPosition | undefined;
  /** Attempts that failed since the last that did not. */
  #failures = 0;
  /** The last failure. */
  #failure: Failure | undefined;
  /** When all that could be shipped was last there. */
  #caughtUpMs = performance.now();
  #heardMs = -Infinity;
  /** What was told to be wrong. */
  #told: ShipErrorCode | 'slow' | undefined;

  constructor(options: ShipperOptions) {
    this.#options = { pollMs: POLL_MS, timeoutMs: TIMEOUT_MS, retryMs: RETRY_MS, lateMs: LATE_MS, greetMs: GREET_MS, random: Math.random, ...options };
    this.#outbox = new Outbox(options.dir);
    this.#timer = setInterval(() => this.#tell(), this.#options.pollMs).unref();
    this.#running = this.#run();
  }

  /** Entries that the other side does not have, as far as is known. */
  get lag(): number {
    return Math.max(0, this.#options.size() - (this.#position?.entries ?? 0));
  }

  /** Entries that the other side has, as far as it was heard. */
  get shipped(): number {
    return this.#position?.entries ?? 0;
  }

  /** What is not there yet is shipped after the next start. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const pauseMs = await this.#step();
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Returns the time until the next. */
  async #step(): Promise<number> {
    const outcome = await this.#ship().catch((error: unknown): Failure => ({ error: error instanceof UnshippableLog ? 'unshippable' : 'other', detail: error instanceof UnshippableLog ? error.message : `the audit log cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})` }));
    if (this.#closing.signal.aborted) return 0;
    if (typeof outcome === 'string') {
      [this.#failures, this.#failure] = [0, undefined];
      if (outcome === 'nothing') this.#caughtUpMs = performance.now();
      this.#tell();
      return outcome === 'sent' ? PAUSE_MS : this.#options.pollMs;
    }
    this.#failures += 1;
    this.#failure = outcome;
    this.#position = outcome.position ?? this.#position;
    CHANNELS.auditShipped.publish({ lag: this.lag, error: outcome.error });
    this.#tell();
    const { min, max } = this.#options.retryMs;
    return Math.min(max, min * 2 ** Math.min(this.#failures - 1, 16)) * (0.5 + this.#options.random() / 2);
  }

  async #ship(): Promise<Failure | 'sent' | 'nothing'> {
    const name = await this.#outbox.name();
    if (name === undefined) return 'nothing';
    const size = this.#options.size();
    const question = { size, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] };
    if (this.#position === undefined) return this.#send(name, question);
    // Whoever was restored from an older copy says so itself: the other side has entries that are not here.
    if (this.#position.entries > size) return this.#send(name, { ...question, from: this.#position.entries });
    const batch = await this.#outbox.next(this.#position, size, this.#failures);
    if (batch !== undefined) return this.#send(name, batch);
    const greeted = performance.now() - this.#heardMs > this.#options.greetMs ? await this.#send(name, question) : 'nothing';
    return greeted === 'sent' ? 'nothing' : greeted;
  }

  async #send(name: string, batch: ShipBatch): Promise<Failure | 'sent'> {
    const { url, token, timeoutMs, erasing } = this.#options;
    const erased = await erasing?.claim().catch(() => undefined);
    const timeout = AbortSignal.timeout(timeoutMs);
    let answer: Response;
    let body: unknown;
    try {
      answer = await fetch(`${url}/api/v1/ship/${encodeURIComponent(name)}`, {
        method: 'POST', body: JSON.stringify(erased === undefined ? batch : { ...batch, erased }), redirect: 'manual', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, signal: AbortSignal.any([timeout, this.#closing.signal]),
      });
      body = await readAnswer(answer);
    } catch {
      return timeout.aborted ? { error: 'timeout', detail: `no answer within ${timeoutMs} ms` } : { error: 'unreachable', detail: 'it cannot be reached' };
    }
    const position = readPosition(answer.ok ? body : (body as { readonly position?: unknown } | undefined)?.position);
    if (!answer.ok || position === undefined) return failureOf(answer.status, body, position);
    this.#heardMs = performance.now();
    const news = erased && readNews(body);
    if (news !== undefined) erasing!.told(erased!, news);
    // Without this an answer that is always the same would be asked for without a pause.
    if (batch.checkpoints.length > 0 && JSON.stringify(position) === JSON.stringify(this.#position)) return { error: 'other', detail: 'it answers that nothing came of a batch' };
    if (position.entries === batch.from + batch.entries.length) this.#outbox.sent(batch);
    this.#position = position;
    return 'sent';
  }

  /** Lag and health. */
  #tell(): void {
    const { lag } = this;
    CHANNELS.auditShipped.publish({ lag });
    const failure = this.#failure;
    const isLate = performance.now() - this.#caughtUpMs > this.#options.lateMs;
    const complaint = failure !== undefined && (isLate || LASTING.includes(failure.error)) ? failure.error : isLate ? 'slow' : undefined;
    if (complaint === this.#told) return;
    this.#told = complaint;
    const detail = complaint === undefined ? 'the audit log is shipped' : `the audit log is not shipped, ${lag} entries wait: ${failure?.detail ?? 'more come than can be sent'}`;
    CHANNELS.healthChanged.publish({ part: 'audit_ship', healthy: complaint === undefined, detail });
  }
}

async function readAnswer(answer: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body ?? []) {
    size += part.length;
    if (size > ANSWER_BYTES_MAX) throw new RangeError('the answer is none of a Weir');
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
  } catch {
    return undefined;
  }
}

function failureOf(status: number, body: unknown, position: ShipPosition | undefined): Failure {
  const { code, message } = (body as { readonly error?: { readonly code?: unknown; readonly message?: unknown } } | undefined)?.error ?? {};
  if (typeof code === 'string' && Object.hasOwn(SHIP_REFUSALS, code)) return { error: code as ShipErrorCode, detail: plain(message), ...(position === undefined ? {} : { position }) };
  return { error: status === 401 || status === 403 ? 'unauthorized' : 'other', detail: status === 401 ? 'the token opens nothing there' : `it answered ${status}${typeof code === 'string' ? ` ${plain(code)}` : ''}` };
}

/** For a log line. */
function plain(text: unknown): string {
  return String(text).replaceAll(/[^\x20-\x7e]/g, ' ').slice(0, 400);
}
