/**
 * The door to HTTP for classifiers: POSTs JSON to one origin and reads JSON back. Guarantees: at most so many connections,
 * kept alive; nothing is retried and no redirect is followed; an aborted call ends its request; an answer is at most
 * `ANSWER_BYTES_MAX` bytes of strict UTF-8 and strict JSON (no NaN). Whatever else arrives is a ServiceError, whose
 * message never repeats what was sent or received.
 *
 * The content type of an answer is not looked at: small services often name a wrong one, and the JSON says it by itself.
 */
import { errors, Pool } from 'undici';
import type { UnknownReason } from '#contract/screening.ts';

/** No answer from a service, and why. */
export class ServiceError extends Error {
  readonly reason: UnknownReason;

  constructor(reason: UnknownReason, message: string) {
    super(message);
    this.name = 'ServiceError';
    this.reason = reason;
  }
}

export interface ServiceOptions {
  /** Requests go to its origin. */
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Most connections, and so most calls at a time; further calls wait within their deadline. */
  readonly connections: number;
}

/** A longer answer is refused. Parsing one of this size takes a few milliseconds. */
export const ANSWER_BYTES_MAX = 1_048_576;
const ANSWER_HEADER_BYTES_MAX = 16_384;
const CONNECT_TIMEOUT_MS = 2_000;
/** An idle connection is closed here before most servers close it there. */
const IDLE_CONNECTION_MS = 4_000;
/** For a caller that sets no deadline: no call outlives this. */
const SILENCE_MS = 60_000;

const OWN_HEADERS = { 'content-type': 'application/json', accept: 'application/json', 'accept-encoding': 'identity' };
const UTF8 = new TextDecoder('utf-8', { fatal: true });

export class JsonService {
  readonly #pool: Pool;
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ url, headers, connections }: ServiceOptions) {
    this.#headers = { ...headers, ...OWN_HEADERS };
    this.#pool = new Pool(url.origin, {
      connections,
      pipelining: 1,
      allowH2: false,
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      maxHeaderSize: ANSWER_HEADER_BYTES_MAX,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
  }

  /** `path` with its query. Throws ServiceError, at once when `signal` is aborted. */
  post(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(new ServiceError('timeout', 'the service did not answer in time'));
      if (signal.aborted) return onAbort();
      // undici hears of an abort only once the request has a connection.
      signal.addEventListener('abort', onAbort, { once: true });
      void this.#exchange(path, body, signal).then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    });
  }

  async #exchange(path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    try {
      const answer = await this.#pool.request({ method: 'POST', path, headers: this.#headers, body: JSON.stringify(body), signal });
      return readAnswer(answer.statusCode, await readBytes(answer.body));
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      throw new ServiceError(isProtocolError(error) ? 'error' : 'unavailable', 'the service cannot be reached, or broke off');
    }
  }

  /** Ends what is under way, since nobody waits for it any more. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

async function readBytes(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new ServiceError('error', `the service answered more than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readAnswer(status: number, bytes: Buffer): unknown {
  if (status >= 300 && status < 400) throw new ServiceError('error', `the service answered ${status}, and redirects are not followed`);
  if (status === 429 || status >= 500) throw new ServiceError('unavailable', `the service answered ${status}`);
  if (status !== 200) throw new ServiceError('error', `the service answered ${status}`);
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch {
    throw new ServiceError('error', 'the service answered something that is not JSON');
  }
}

/** It answered, but not as HTTP has it. */
function isProtocolError(error: unknown): boolean {
  return error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError;
}
