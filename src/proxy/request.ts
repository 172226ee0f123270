/**
 * Reads the request: a bounded body, then the strict scan of JSON or of a form, then the dialect. Guarantees that never more than
 * `bodyBytesMax` bytes of a body are held and that a body which does not arrive in time is a named error. Reads the body
 * once; what is screened and what is forwarded are the same bytes.
 */
import type { IncomingMessage } from 'node:http';
import { WeirError } from '../contract/errors.ts';
import type { RequestReading } from '../dialect/dialect.ts';
import { readForm } from '../dialect/form.ts';
import { readJson, type JsonLimits, type RequestDocument } from '../dialect/json.ts';
import { checkJsonType, formBoundary } from './headers.ts';
import type { ScreenedRoute } from './route.ts';

export interface BodyLimits {
  readonly bodyBytesMax: number;
  readonly timeoutMs: number;
}

/** A request that was read and not yet screened. */
export interface ReadRequest {
  readonly document: RequestDocument;
  readonly reading: RequestReading;
}

/** Throws the reading errors of the closed list, or the signal's reason. */
export async function readRequest(req: IncomingMessage, { endpoint: { dialect, body }, target }: ScreenedRoute, limits: BodyLimits & JsonLimits, signal: AbortSignal): Promise<ReadRequest> {
  if (body === 'none') checkQuery(target.query);
  if (body === 'none') return { document: await readNothing(req, limits, signal), reading: { segments: [], opaque: [], parameters: {}, stream: STREAM_QUERY.test(target.query) } };
  const boundary = body === 'form' ? formBoundary(req.rawHeaders) : undefined;
  if (boundary !== undefined && dialect.readForm !== undefined) {
    const form = readForm(await readBody(req, limits, signal), boundary);
    return { document: form, reading: dialect.readForm(form) };
  }
  checkJsonType(req.rawHeaders);
  const document = readJson(await readBody(req, limits, signal), limits);
  return { document, reading: dialect.readRequest(document) };
}

const STREAM_QUERY = /[?&]stream=true(?:&|$)/;

/** What would begin in the middle of a text cannot be screened: its beginning decides. Throws invalid_request. */
function checkQuery(query: string): void {
  if (new URLSearchParams(query).has('starting_after')) throw new WeirError('invalid_request', 'starting_after would begin in the middle of a text, so ask for all of the stream');
}

/** A body where none belongs could say what was not screened. Throws invalid_request. */
async function readNothing(req: IncomingMessage, limits: BodyLimits, signal: AbortSignal): Promise<RequestDocument> {
  const bytes = await readBody(req, limits, signal);
  if (bytes.length > 0) throw new WeirError('invalid_request', 'a body where none belongs');
  return { bytes, splice: () => bytes };
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
