/**
 * Reads the request: a bounded body, then the strict JSON scan, then the dialect. Guarantees that never more than
 * `bodyBytesMax` bytes of a body are held and that a body which does not arrive in time is a named error. Reads the body
 * once; what is screened and what is forwarded are the same bytes.
 */
import type { IncomingMessage } from 'node:http';
import { WeirError } from '../contract/errors.ts';
import type { Dialect, RequestReading } from '../dialect/dialect.ts';
import { readJson, type JsonDocument, type JsonLimits } from '../dialect/json.ts';
import { checkJsonType } from './headers.ts';

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly timeoutMs: number;
}

/** A request that was read and not yet screened. */
export interface ReadRequest {
  readonly document: JsonDocument;
  readonly reading: RequestReading;
}

/** Throws the reading errors of the closed list, or the signal's reason. */
export async function readRequest(req: IncomingMessage, dialect: Dialect, limits: BodyLimits & JsonLimits, signal: AbortSignal): Promise<ReadRequest> {
  checkJsonType(req.rawHeaders);
  const document = readJson(await readBody(req, limits, signal), limits);
  return { document, reading: dialect.readRequest(document) };
}

/** The whole body. `signal` ends the wait: the client left, or its framing broke; its reason is what is thrown. */
export function readBody(req: IncomingMessage, limits: BodyLimits, signal: AbortSignal): Promise<Buffer> {
  const announced = Number(req.headers['content-length'] ?? 0);
  if (announced > limits.bodyBytesMax) return Promise.reject(new WeirError('body_too_large', `the body has ${announced} bytes`));
  signal.throwIfAborted();
  return new Promise<Buffer>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => settle(new WeirError('body_timeout')), limits.timeoutMs);
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limits.bodyBytesMax) return settle(new WeirError('body_too_large', `the body has more than ${limits.bodyBytesMax} bytes`));
      chunks.push(chunk);
    };
    const onEnd = (): void => settle();
    const onAbort = (): void => settle(signal.reason);
    const settle = (error?: unknown): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      req.off('data', onData).off('end', onEnd);
      if (error === undefined) return resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes));
      req.pause();
      reject(error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    req.on('data', onData).on('end', onEnd);
  });
}
