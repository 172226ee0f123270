/**
 * Tells an address of the operator's that something was found after the fact. A notification is JSON without content,
 * signed: `weir-signature: t=<seconds>,v1=<hex>` is the HMAC-SHA256 of `<seconds>.<body>` under the shared secret, so that
 * the receiver knows who sent it, and when. Never in the way of traffic: `notify` returns at once, the queue is bounded,
 * what is refused or unanswered is tried again later and later, then given up and told. Redirects are not followed.
 */
import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LateViolation } from '../contract/notification.ts';
import { PartHealth } from '../contract/part-health.ts';

export interface WebhookSettings {
  readonly url: string;
  readonly secret: string;
}

export interface WebhookOptions {
  /** As the configuration names it now; undefined: nobody is told. */
  readonly settings: () => WebhookSettings | undefined;
  readonly queueMax?: number;
  /** Before each further attempt. */
  readonly delaysMs?: readonly number[];
  readonly timeoutMs?: number;
  /** How long `close` lets what waits be delivered. */
  readonly closeMs?: number;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

export const QUEUE_MAX = 1_000;
const DELAYS_MS: readonly number[] = [500, 2_000, 8_000, 30_000];
const TIMEOUT_MS = 5_000;
const CLOSE_MS = 2_000;
export const SIGNATURE_HEADER = 'weir-signature';

export class Webhook {
  readonly #options: Required<WebhookOptions>;
  readonly #queue: LateViolation[] = [];
  readonly #closing = new AbortController();
  /** Delivers one after the other while there is something to deliver. */
  #delivering: Promise<void> | undefined;
  /** What was last told about the address. */
  readonly #health = new PartHealth('webhook');
  /** Not taken since the queue was last empty. */
  #dropped = 0;

  constructor({ settings, queueMax = QUEUE_MAX, delaysMs = DELAYS_MS, timeoutMs = TIMEOUT_MS, closeMs = CLOSE_MS, clock = Date.now }: WebhookOptions) {
    this.#options = { settings, queueMax, delaysMs, timeoutMs, closeMs, clock };
  }

  /** False when the queue is full, and then nobody is told. */
  notify(notification: LateViolation): boolean {
    if (this.#options.settings() === undefined || this.#closing.signal.aborted) return false;
    if (this.#queue.length >= this.#options.queueMax) {
      this.#dropped += 1;
      this.#tell(false, 'the queue is full');
      return false;
    }
    this.#queue.push(notification);
    this.#delivering ??= this.#deliver();
    return true;
  }

  /** What waits is delivered if it can be at once. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(), this.#options.closeMs);
    await this.#delivering;
    clearTimeout(timer);
    this.#closing.abort();
  }

  async #deliver(): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined && !this.#closing.signal.aborted; next = this.#queue[0]) {
      await this.#deliverOne(next);
      this.#queue.shift();
    }
    this.#delivering = undefined;
  }

  /** `delaysMs` and one attempt; what the last of them does not deliver is given up. */
  async #deliverOne(notification: LateViolation): Promise<void> {
    const { delaysMs } = this.#options;
    for (let attempt = 0; !this.#closing.signal.aborted; attempt += 1) {
      const fault = await this.#post(notification);
      if (fault === undefined) return this.#tell(true, `takes notifications again; ${this.#dropped} were not taken meanwhile`);
      if (attempt === delaysMs.length) {
        this.#dropped += 1;
        return this.#tell(false, fault);
      }
      await sleep(delaysMs[attempt], undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  /** Undefined when it was taken; else why not, without what the receiver said. */
  async #post(notification: LateViolation): Promise<string | undefined> {
    const settings = this.#options.settings();
    if (settings === undefined) return undefined;
    return postSigned(settings, JSON.stringify(notification), { nowMs: this.#options.clock(), timeoutMs: this.#options.timeoutMs, signal: this.#closing.signal });
  }

  #tell(healthy: boolean, detail: string): void {
    if (!healthy) return this.#health.ill(detail);
    this.#health.well(() => detail);
    this.#dropped = 0;
  }
}

export interface PostOptions {
  readonly nowMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Undefined when it was taken; else why not, without what the receiver said. */
export async function postSigned({ url, secret }: WebhookSettings, body: string, { nowMs, timeoutMs, signal, headers = {} }: PostOptions): Promise<string | undefined> {
  const seconds = Math.floor(nowMs / 1000);
  try {
    const answer = await fetch(url, {
      method: 'POST', body, redirect: 'manual',
      headers: { 'content-type': 'application/json', ...headers, [SIGNATURE_HEADER]: `t=${seconds},v1=${signatureOf(secret, seconds, body)}` },
      signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]),
    });
    await answer.body?.cancel();
    return answer.ok ? undefined : `answered ${answer.status}`;
  } catch (error) {
    return (error as Error).name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : 'cannot be reached';
  }
}

export function signatureOf(secret: string, seconds: number, body: string): string {
  return createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
}
