/**
 * The client's side of an answer: writes once per tick, honours back-pressure, keeps a silent stream alive, and closes on
 * a client that stops reading. Guarantees that an answer which broke off never looks complete: `cut` closes the connection without the
 * terminating chunk. Decides nothing about what is written.
 */
import type { ServerResponse } from 'node:http';

export interface ClientOptions {
  /** How long a client may read nothing while bytes wait for it. */
  readonly idleMs: number;
  /** Bytes that may wait for a client that is already behind. */
  readonly queueBytesMax: number;
  /** The answer is a stream of events, and a comment is sent when it has been silent for so long; 0: none is. */
  readonly silenceMs: number;
  /** The client is behind (true), or has caught up. */
  readonly onPressure: (blocked: boolean) => void;
}

export interface AnswerHead {
  readonly status: number;
  readonly statusText: string;
  /** Name, value, name, value … */
  readonly fields: string[];
}

/** An event stream's way to say nothing: readers skip it, and timers between them and us start anew. */
const COMMENT = Buffer.from(': keep-alive\n\n');
const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]+$/;

export class Client {
  /** Bytes of the body that were to be sent, those that still wait included. */
  bytes = 0;
  /** `performance.now()` of the head or first body byte. */
  firstByteMs: number | undefined;

  readonly #res: ServerResponse;
  readonly #options: ClientOptions;
  /** Kept until the first body bytes or `flushHead`, so that a failure before them can still be an error answer. */
  #head: AnswerHead | undefined;
  /** Body bytes of this tick. */
  #pending: Buffer[] = [];
  #flushing = false;
  #blocked = false;
  #over = false;
  #silence: NodeJS.Timeout | undefined;

  constructor(res: ServerResponse, head: AnswerHead, options: ClientOptions) {
    this.#res = res;
    this.#head = head;
    this.#options = options;
    res.on('drain', () => this.#setBlocked(false));
    res.once('close', () => this.stopComments());
    closeWhenStuck(res, options.idleMs);
  }

  /** True once the status has left: an error can then no longer be an answer of its own. */
  get begun(): boolean {
    return this.#head === undefined;
  }

  /** Sends status and headers now. */
  flushHead(): void {
    this.#writeHead();
    this.#res.flushHeaders();
    if (this.#options.silenceMs > 0) this.#silence = setTimeout(() => this.#comment(), this.#options.silenceMs);
  }

  /** Nothing more is to come but the end. */
  stopComments(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }

  write(bytes: Buffer): void {
    if (this.#over || bytes.length === 0) return;
    this.#pending.push(bytes);
    this.bytes += bytes.length;
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(() => this.#flush());
  }

  /** A complete answer, in one go with what is pending. */
  end(): void {
    if (this.#over) return;
    const body = this.#take();
    if (this.#head !== undefined) this.#head.fields.push('content-length', String(body.length));
    this.#writeHead();
    this.#over = true;
    this.#res.end(body);
  }

  /** An answer that broke off: `frame` leaves, then the connection, without a clean end. */
  cut(frame?: Buffer): void {
    if (this.#over) return;
    if (frame !== undefined) this.#pending.push(frame);
    const body = this.#take();
    this.#writeHead();
    this.#over = true;
    const socket = this.#res.req.socket;
    // Before chunks, the end of the connection was the end of the answer: there only a reset says that it broke.
    const close = (): void => void (this.#res.req.httpVersion === '1.1' ? socket.destroySoon() : socket.resetAndDestroy());
    if (body.length > 0) this.#res.write(body, close);
    else close();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#over || this.#pending.length === 0) return;
    if (this.#blocked && this.#res.writableLength > this.#options.queueBytesMax) return void this.#res.req.socket.destroy();
    const body = this.#take();
    this.#writeHead();
    this.#silence?.refresh();
    if (!this.#res.write(body)) this.#setBlocked(true);
  }

  /** A client that has not taken what there is would not hear it, and must not look alive for it. */
  #comment(): void {
    if (this.#over) return;
    this.#silence?.refresh();
    if (this.#blocked || this.#res.writableLength > 0 || this.#res.req.socket.writableLength > 0) return;
    this.bytes += COMMENT.length;
    this.#res.write(COMMENT);
  }

  #take(): Buffer {
    const body = this.#pending.length === 1 ? this.#pending[0] : Buffer.concat(this.#pending);
    this.#pending = [];
    return body;
  }

  #writeHead(): void {
    if (this.#head === undefined) return;
    const { status, statusText, fields } = this.#head;
    this.#head = undefined;
    this.firstByteMs = performance.now();
    if (REASON_PHRASE.test(statusText)) this.#res.writeHead(status, statusText, fields);
    else this.#res.writeHead(status, fields);
  }

  #setBlocked(blocked: boolean): void {
    if (this.#blocked === blocked) return;
    this.#blocked = blocked;
    this.#options.onPressure(blocked);
  }
}

/**
 * Closes on a client that takes nothing for `idleMs` while bytes wait for it. The socket's timer starts anew with every
 * write and every byte taken; that nothing is there to write, because the upstream thinks, is not the client's fault.
 */
export function closeWhenStuck(res: ServerResponse, idleMs: number): void {
  const { socket } = res.req;
  res.on('timeout', () => {
    if (res.writableLength > 0 || socket.writableLength > 0) socket.destroy();
  });
  socket.setTimeout(idleMs);
}
