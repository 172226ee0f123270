/**
 * Header rules in both directions, on the fields as they stood on the wire (order, case, repetitions kept).
 * Guarantees: no hop-by-hop field crosses (RFC 9110 7.6.1, names listed in `Connection` included), an ambiguous request
 * is refused before anything reads it, and the framing of what is sent on is always ours. Pure.
 * Does not decide who the caller is (tenant/identify) and never looks into a body.
 */
import { WeirError } from '../contract/errors.ts';

/** Fields in wire order: name, value, name, value …, names in the case they came in. */
export type RawHeaders = readonly string[];

/** Connection-level fields: each hop has its own (RFC 9110 7.6.1), with the proxy fields of RFC 9110 11.7. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'proxy-authentication-info',
  'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings',
]);

/** Fields that two readers could read differently when they come twice. */
const SINGULAR: ReadonlySet<string> = new Set([
  'host', 'authorization', 'content-type', 'content-length', 'content-encoding', 'transfer-encoding', 'x-api-key', 'api-key', 'x-goog-api-key',
]);

/** Name another method or target than the request line: a server that honours one would do what nobody screened. */
const OVERRIDES: ReadonlySet<string> = new Set(['x-http-method-override', 'x-http-method', 'x-method-override', 'x-original-url', 'x-original-uri', 'x-rewrite-url']);

/** Where a caller can put a key. tenant/identify reads them; a configured upstream key replaces them all. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'api-key', 'x-api-key', 'x-goog-api-key']);

/** Recomputed for the upstream: `expect` is answered here, compression is refused so that the answer can be screened. */
const RECOMPUTED: ReadonlySet<string> = new Set(['host', 'content-length', 'expect', 'accept-encoding']);

/** Point past the proxy or speak for a listener that is not the upstream's. */
const NOT_FOR_CLIENTS: ReadonlySet<string> = new Set(['alt-svc', 'strict-transport-security']);

/** True for the whole body only; a screened body may change after its head has left. */
const WHOLE_BODY: ReadonlySet<string> = new Set(['content-length', 'etag', 'content-md5', 'digest', 'content-digest', 'repr-digest']);

const OWN_PREFIX = 'x-weir-';
const JSON_TYPE = /^application\/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*$/i;
const FORM_TYPE = /^multipart\/form-data;[ \t]*boundary=(?:([\w'+.-]{1,70})|"([\w'()+,./:=?-]{1,70})")(?:;[ \t]*charset=(?:utf-8|"utf-8"))?[ \t]*$/i;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** The first value of a field; `name` in lower case. */
export function fieldValue(raw: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < raw.length; i += 2) if (raw[i].toLowerCase() === name) return raw[i + 1];
  return undefined;
}

/** A name or an address, and a port. */
const HOST = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])(?::\d{1,5})?$/i;

/** All values of a field as one list, as a reader that joins them has it; undefined when there is none. */
export function fieldList(raw: RawHeaders, name: string): string | undefined {
  const values = raw.filter((_, at) => at % 2 === 1 && raw[at - 1].toLowerCase() === name);
  return values.length === 0 ? undefined : values.join(', ');
}

/** The one expectation that is met here. */
const MET = /^[ \t]*100-continue[ \t]*$/i;

/** Node's parser takes 0.9 and 2.0 in a request line too, which others refuse. */
const SPOKEN: ReadonlySet<string> = new Set(['1.0', '1.1']);

/** Refuses what two readers could read two ways. Throws bad_request, headers_too_large, unsupported_encoding. */
export function checkRequestHeaders(raw: RawHeaders, httpVersion: string, headersMax: number): void {
  if (!SPOKEN.has(httpVersion)) throw new WeirError('bad_request', 'the request line is of another version of http; 1.0 and 1.1 are spoken here');
  if (raw.length / 2 > headersMax) throw new WeirError('headers_too_large', `the request has ${raw.length / 2} header fields`);
  const seen = new Set<string>();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    // Servers that hand headers on as environment variables read `_` as `-`.
    if (name.includes('_') && isDecisive(name.replaceAll('_', '-'))) throw new WeirError('bad_request', 'the name of a header is one that decides how the request is read, but for an underscore');
    if (OVERRIDES.has(name)) throw new WeirError('bad_request', `the header ${name} names another method or target`);
    if (name === 'connection' || name === 'proxy-connection') checkConnection(raw[i + 1]);
    if (name === 'expect' && !MET.test(raw[i + 1])) throw new WeirError('bad_request', 'the expect header asks for something else than 100-continue');
    if (!SINGULAR.has(name)) continue;
    if (seen.has(name)) throw new WeirError('bad_request', `the request has two ${name} headers`);
    seen.add(name);
    if (name === 'host' && !HOST.test(raw[i + 1])) throw new WeirError('bad_request', 'the host header is not a name or an address');
    if (name === 'transfer-encoding') checkTransferEncoding(raw[i + 1], httpVersion);
    if (name === 'content-encoding' && raw[i + 1].trim().toLowerCase() !== 'identity') throw new WeirError('unsupported_encoding');
  }
  if (!seen.has('host') && httpVersion !== '1.0') throw new WeirError('bad_request', 'the request has no host header');
  if (seen.has('transfer-encoding') && seen.has('content-length')) throw new WeirError('bad_request', 'the request has both content-length and transfer-encoding');
}

/** A field that decides how a request is read, by whom and for whom. */
function isDecisive(name: string): boolean {
  return SINGULAR.has(name) || HOP_BY_HOP.has(name) || OVERRIDES.has(name);
}

/** What `connection` names is dropped; a field that the next server must see cannot be (RFC 9110 7.6.1). */
function checkConnection(value: string): void {
  for (const token of value.split(',')) {
    if (SINGULAR.has(token.trim().toLowerCase())) throw new WeirError('bad_request', 'the connection header names a field that is not of the connection');
  }
}

function checkTransferEncoding(value: string, httpVersion: string): void {
  if (httpVersion !== '1.1') throw new WeirError('bad_request', 'transfer-encoding needs http/1.1');
  if (value.trim().toLowerCase() !== 'chunked') throw new WeirError('bad_request', 'the transfer-encoding is not exactly chunked');
}

/** Throws unsupported_media_type unless the body is declared as JSON in UTF-8. */
export function checkJsonType(raw: RawHeaders): void {
  const value = fieldValue(raw, 'content-type');
  if (value === undefined) throw new WeirError('unsupported_media_type', 'the request has no content-type');
  if (!JSON_TYPE.test(value)) throw new WeirError('unsupported_media_type');
}

/** The boundary of a body that is declared as a form in a way that can be read one way only; undefined for any other. */
export function formBoundary(raw: RawHeaders): string | undefined {
  const [, plain, quoted] = FORM_TYPE.exec(fieldValue(raw, 'content-type') ?? '') ?? [];
  return plain ?? quoted;
}

/** True when a body follows the head, however it is framed. */
export function announcesBody(raw: RawHeaders): boolean {
  if (fieldValue(raw, 'transfer-encoding') !== undefined) return true;
  const length = fieldValue(raw, 'content-length');
  return length !== undefined && Number(length) > 0;
}

export interface ForwardOptions {
  /** Header field and value of the upstream's own key. Absent: the caller's credential passes through. */
  readonly credential?: readonly [name: string, value: string];
  /** The caller's credential is one of ours: it must not leave even when the upstream has no key. */
  readonly dropCredential: boolean;
  /** Trace headers; they replace the caller's, and an empty one only takes its away. */
  readonly propagate: Readonly<Record<string, string>>;
}

/** The fields to send upstream, without host, framing and compression, which the sender sets. */
export function forwardedRequestHeaders(raw: RawHeaders, options: ForwardOptions): string[] {
  const named = namedInConnection(raw);
  const dropCredential = options.dropCredential || options.credential !== undefined;
  const out: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (HOP_BY_HOP.has(name) || RECOMPUTED.has(name) || named.has(name) || name.startsWith(OWN_PREFIX)) continue;
    if (dropCredential && CREDENTIALS.has(name)) continue;
    if (Object.hasOwn(options.propagate, name)) continue;
    out.push(raw[i], raw[i + 1]);
  }
  if (options.credential !== undefined) out.push(options.credential[0], options.credential[1]);
  for (const name of Object.keys(options.propagate)) if (options.propagate[name] !== '') out.push(name, options.propagate[name]);
  return out;
}

export interface AnswerHeaderOptions {
  /** The body may change on its way: fields that describe it as a whole are dropped. */
  readonly bodyMayChange: boolean;
  /** The body was decompressed here. */
  readonly decoded: boolean;
}

/** The fields of an upstream's answer that go to the client. */
export function forwardedAnswerHeaders(raw: RawHeaders, options: AnswerHeaderOptions): string[] {
  const named = namedInConnection(raw);
  const out: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (HOP_BY_HOP.has(name) || NOT_FOR_CLIENTS.has(name) || named.has(name) || name.startsWith(OWN_PREFIX)) continue;
    if (options.bodyMayChange && WHOLE_BODY.has(name)) continue;
    if (options.decoded && name === 'content-encoding') continue;
    if (FIELD_VALUE.test(raw[i + 1])) out.push(raw[i], raw[i + 1]);
  }
  return out;
}

/** Adds what keeps intermediaries from buffering a stream; what the upstream said itself stays. */
export function addStreamHeaders(fields: string[]): void {
  if (fieldValue(fields, 'cache-control') === undefined) fields.push('cache-control', 'no-cache');
  if (fieldValue(fields, 'x-accel-buffering') === undefined) fields.push('x-accel-buffering', 'no');
}

/** Lower-case media type without parameters; empty when there is none. */
export function mediaType(raw: RawHeaders): string {
  return (fieldValue(raw, 'content-type') ?? '').split(';', 1)[0].trim().toLowerCase();
}

/** Makes text that comes from configuration fit for a header value. */
export function headerSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 256);
}

const NONE: ReadonlySet<string> = new Set();

function namedInConnection(raw: RawHeaders): ReadonlySet<string> {
  let named: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const field = raw[i].toLowerCase();
    if (field !== 'connection' && field !== 'proxy-connection') continue;
    named ??= new Set();
    for (const token of raw[i + 1].split(',')) named.add(token.trim().toLowerCase());
  }
  return named ?? NONE;
}
