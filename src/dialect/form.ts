/**
 * A multipart/form-data body read strictly, whole, and changed by splicing. Refused is whatever two parsers could read
 * differently (text outside the parts, the boundary inside one, line ends of LF alone, folded, repeated or unknown part
 * headers, `filename*`, nested multipart, encodings, character sets other than UTF-8), so that the text that was
 * screened is the text that is forwarded. Parsers differ most in what they take for a boundary, so its characters may
 * stand nowhere but in a delimiter. Pure.
 */
import { WeirError } from '../contract/errors.ts';
import type { JsonEdit, RequestDocument } from './json.ts';

export interface FormLimits {
  readonly partsMax: number;
  /** Bytes of one part's headers, the empty line after them not counted. */
  readonly partHeaderBytesMax: number;
}

export const FORM_LIMITS: FormLimits = { partsMax: 1_000, partHeaderBytesMax: 4_096 };

export interface FormPart {
  readonly name: string;
  /** As it was written between the quotes: `%22` is not decoded. */
  readonly filename?: string;
  /** In lower case, without parameters. */
  readonly contentType?: string;
  /** Where the value stands in the body's bytes. */
  readonly value: ByteRange;
}

/** Half-open, in bytes of the body. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Paths of its edits: `[2]` is the value of the third part, `[2, 'filename']` its file name. */
export interface FormDocument extends RequestDocument {
  readonly parts: readonly FormPart[];
  /** The value of a part as text. Throws WeirError: invalid_utf8, or invalid_form for a NUL, where some parsers end a text. */
  text(part: FormPart): string;
}

/** What a part's headers say. */
interface PartHeaders extends Omit<FormPart, 'value'> {
  /** Where the file name stands, quotes included, and the digits of a Content-Length. */
  readonly filenameAt?: ByteRange;
  readonly lengthAt?: ByteRange;
  readonly length?: number;
}

type PlacedPart = PartHeaders & FormPart;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const CRLF = '\r\n';

/** Throws WeirError: invalid_form, form_too_large, duplicate_key, invalid_utf8. */
export function readForm(bytes: Buffer, boundary: string, limits: FormLimits = FORM_LIMITS): FormDocument {
  const parts: PlacedPart[] = [];
  let delimiter = bytes.indexOf(boundary);
  if (delimiter !== 2 || !standsAt(bytes, 0, '--')) throw malformed('does not begin with its boundary');
  for (let at = delimiter + boundary.length; !standsAt(bytes, at, '--'); at = delimiter + boundary.length) {
    if (!standsAt(bytes, at, CRLF)) throw malformed('has a boundary that does not end its line with CR LF');
    if (parts.length === limits.partsMax) throw new WeirError('form_too_large', `the form has more than ${limits.partsMax} parts`);
    delimiter = bytes.indexOf(boundary, at);
    if (delimiter < 0) throw malformed('has no final boundary');
    if (!standsAt(bytes, delimiter - 4, `${CRLF}--`)) throw malformed('has its boundary inside a part');
    parts.push(readPart(bytes, { start: at + 2, end: delimiter - 4 }, limits));
  }
  const end = delimiter + boundary.length + 2;
  if (!/^(?:\r\n){0,2}$/.test(bytes.toString('latin1', end, end + 5))) throw malformed('goes on after its final boundary');
  checkNames(parts);
  return { bytes, parts, text: ({ value }) => decodeText(bytes.subarray(value.start, value.end)), splice: (edits) => splice(bytes, boundary, parts, edits) };
}

function malformed(what: string): WeirError {
  return new WeirError('invalid_form', `the form ${what}`);
}

function standsAt(bytes: Buffer, at: number, text: string): boolean {
  return at >= 0 && bytes.toString('latin1', at, at + text.length) === text;
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new WeirError('invalid_utf8', 'a field or a header of the form is not valid UTF-8');
  }
}

function decodeText(bytes: Buffer): string {
  if (bytes.includes(0)) throw malformed('has a NUL in a text');
  return decode(bytes);
}

/** `bytes[start, end)` is a part: headers, an empty line, the value. */
function readPart(bytes: Buffer, { start, end }: ByteRange, { partHeaderBytesMax }: FormLimits): PlacedPart {
  const head = bytes.subarray(start, Math.min(end, start + partHeaderBytesMax + 4));
  const headEnd = head.indexOf(`${CRLF}${CRLF}`);
  if (headEnd < 0 && head.length > partHeaderBytesMax) throw new WeirError('form_too_large', `the headers of a part are longer than ${partHeaderBytesMax} bytes`);
  if (headEnd < 0) throw malformed('has a part without an empty line after its headers');
  const headers = readHeaders(decode(head.subarray(0, headEnd)), start);
  const value = { start: start + headEnd + 4, end };
  if (headers.length !== undefined && headers.length !== value.end - value.start) throw malformed('has a part whose Content-Length is not its length');
  return { ...headers, value };
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const FIELD_NAME = new RegExp(`^${TOKEN}$`);
const CONTROL = /[\0-\x08\n-\x1f\x7f]/;
/** Encodings that change nothing. */
const IDENTITY = /^(?:7bit|8bit|binary)$/i;

function readHeaders(head: string, start: number): PartHeaders {
  const seen = new Map<string, { readonly value: string; readonly at: number }>();
  let at = 0;
  for (const line of head.split(CRLF)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (CONTROL.test(line) || !FIELD_NAME.test(name)) throw malformed('has a part header that is none');
    if (seen.has(name)) throw malformed('has a part with the same header twice');
    let [from, to] = [colon + 1, line.length];
    while (isSpace(line, from)) from += 1;
    while (to > from && isSpace(line, to - 1)) to -= 1;
    seen.set(name, { value: line.slice(from, to), at: start + Buffer.byteLength(head.slice(0, at + from)) });
    at += line.length + 2;
  }
  const { 'content-disposition': disposition, 'content-type': type, 'content-length': length, 'content-transfer-encoding': encoding, ...others } = Object.fromEntries(seen);
  if (Object.keys(others).length > 0) throw malformed('has a part header other than Content-Disposition, Content-Type and Content-Length');
  if (disposition === undefined) throw malformed('has a part without Content-Disposition');
  if (encoding !== undefined && !IDENTITY.test(encoding.value)) throw malformed('has a part in a transfer encoding');
  return {
    ...readDisposition(disposition.value, disposition.at),
    ...(type === undefined ? {} : { contentType: readType(type.value) }),
    ...(length === undefined ? {} : { length: readLength(length.value), lengthAt: { start: length.at, end: length.at + length.value.length } }),
  };
}

function isSpace(line: string, at: number): boolean {
  return line[at] === ' ' || line[at] === '\t';
}

const PARAMETER = new RegExp(`;[ \\t]*(name|filename)=("[^"\\\\]*"|${TOKEN})`, 'g');
const DISPOSITION = new RegExp(`^form-data(?:${PARAMETER.source})+$`);
/** Names of fields, with the brackets of lists and records: `keywords[]`, `chunking_strategy[type]`. */
const NAME = /^[\w.-]+(?:\[[\w.-]*\])*$/;

function readDisposition(value: string, at: number): Pick<PartHeaders, 'name' | 'filename' | 'filenameAt'> {
  if (!DISPOSITION.test(value)) throw malformed('has a Content-Disposition that is not form-data with a name and at most a filename');
  const given = new Map<string, { readonly text: string; readonly at: ByteRange }>();
  for (const match of value.matchAll(PARAMETER)) {
    const [whole, key, written] = match as unknown as [string, string, string];
    if (given.has(key)) throw malformed('has a Content-Disposition with the same parameter twice');
    const start = at + Buffer.byteLength(value.slice(0, match.index + whole.length - written.length));
    given.set(key, { text: written.replace(/^"|"$/g, ''), at: { start, end: start + Buffer.byteLength(written) } });
  }
  const name = given.get('name')?.text ?? '';
  const file = given.get('filename');
  if (!NAME.test(name)) throw malformed('has a part without a plain name');
  // It would name the character set of all others.
  if (name.toLowerCase() === '_charset_') throw malformed('names a character set');
  return { name, ...(file === undefined ? {} : { filename: file.text, filenameAt: file.at }) };
}

const TYPE_PARAMETER = new RegExp(`;[ \\t]*(${TOKEN})=("[\\w.,+ -]{0,64}"|[\\w.,+-]{1,64})`, 'g');
const TYPE = new RegExp(`^(${TOKEN}/${TOKEN})((?:${TYPE_PARAMETER.source})*)$`);

function readType(value: string): string {
  const [, type, parameters] = TYPE.exec(value) ?? [];
  if (type === undefined || /^(?:multipart|message)\//i.test(type)) throw malformed('has a part whose Content-Type is none for a field');
  const keys = [...parameters!.matchAll(TYPE_PARAMETER)].map(([, key, written]) => {
    const lower = key!.toLowerCase();
    if (lower === 'charset' && written!.replaceAll('"', '').toLowerCase() !== 'utf-8') throw malformed('has a part in a character set other than UTF-8');
    return lower;
  });
  if (new Set(keys).size < keys.length) throw malformed('has a Content-Type with the same parameter twice');
  return type.toLowerCase();
}

function readLength(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw malformed('has a part whose Content-Length is no number');
  return Number(value);
}

/** Which of two values with one name counts differs; where the name says that it is a list, or with files, all do. */
function checkNames(parts: readonly FormPart[]): void {
  const seen = new Set<string>();
  for (const { name, filename } of parts) {
    if (seen.has(name) && filename === undefined && !name.endsWith('[]')) throw new WeirError('duplicate_key', 'the form names a field twice');
    seen.add(name);
  }
}

interface Cut extends ByteRange {
  readonly text: string;
}

function splice(bytes: Buffer, boundary: string, parts: readonly PlacedPart[], edits: readonly JsonEdit[]): Buffer {
  if (edits.length === 0) return bytes;
  const cuts = edits.flatMap((edit) => cutsOf(parts, edit)).sort((a, b) => a.start - b.start);
  if (cuts.some(({ text }) => text.includes(boundary))) throw malformed('would hold its boundary inside a part once it is redacted');
  const out: Buffer[] = [];
  let at = 0;
  for (const { start, end, text } of cuts) {
    out.push(bytes.subarray(at, start), Buffer.from(text));
    at = end;
  }
  out.push(bytes.subarray(at));
  return Buffer.concat(out);
}

function cutsOf(parts: readonly PlacedPart[], { path: [index, field], value }: JsonEdit): readonly Cut[] {
  const part = parts[index as number];
  if (typeof value === 'string' && part !== undefined) {
    if (field === undefined) {
      const length = part.lengthAt === undefined ? [] : [{ ...part.lengthAt, text: String(Buffer.byteLength(value)) }];
      return [...length, { ...part.value, text: value }];
    }
    if (field === 'filename' && part.filenameAt !== undefined) return [{ ...part.filenameAt, text: `"${value.replace(/["\\\0-\x1f\x7f]/g, '_')}"` }];
  }
  throw new Error(`no text at ${JSON.stringify([index, field])} of the form`);
}
