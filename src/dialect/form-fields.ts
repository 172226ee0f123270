/**
 * The fields of a form as a dialect reads them: the same rules by carrier as for JSON (`walk.ts`), where `keywords[]` and
 * `chunking_strategy[type]` are the carriers `keywords[]` and `chunking_strategy.type`. A file is opaque where the rules
 * say so by its field; every other value is text, whether it comes as a file or not. Pure.
 */
import type { OpaqueKind, OpaquePart, Segment } from '../contract/exchange.ts';
import type { FormDocument, FormPart } from './form.ts';
import type { JsonPath } from './json.ts';
import { readLeaves, type Leaf, type LeafRules } from './walk.ts';

/** A form's texts and what is opaque in it. Throws WeirError: invalid_utf8, invalid_form. */
export function readFields(form: FormDocument, rules: LeafRules): { readonly segments: readonly Segment[]; readonly opaque: readonly OpaquePart[] } {
  const segments: Segment[] = [];
  const opaque: OpaquePart[] = [];
  const { opaque: media = {} } = rules;
  const counts = new Map<string, number>();
  form.parts.forEach((part, i) => {
    const carrier = carrierOf(part.name);
    const count = counts.get(carrier) ?? 0;
    counts.set(carrier, count + 1);
    const path = carrier.endsWith('[]') ? `${carrier.slice(0, -2)}[${count}]` : carrier;
    // Encoded only for a classifier that reads it.
    const takeMedia = (content: () => string, kind: OpaqueKind, treatedAs: OpaqueKind): void => {
      opaque.push({ carrier, kind: treatedAs });
      if (kind === 'image' || kind === 'audio') segments.push({ path, jsonPath: [i], carrier, contentType: kind, opaque: treatedAs, get content() { return content(); }, history: false });
    };
    const read = (text: string, jsonPath: JsonPath, path: string, carrier: string): void =>
      readLeaves(text, jsonPath, carrier, rules, (leaf) => segments.push(segmentOf(leaf, path)), (part, { kind, content }) => takeMedia(() => content, kind, part.kind));
    const kind = isFile(part) && Object.hasOwn(media, carrier) ? media[carrier] : undefined;
    if (kind === undefined) read(form.text(part), [i], path, carrier);
    else takeMedia(() => dataUrl(form, part), kind, kind);
    if (part.filename !== undefined) read(part.filename, [i, 'filename'], `${path}.filename`, `${carrier}.filename`);
  });
  return { segments, opaque };
}

/** The text of the one field that has this name. */
export function fieldOf(form: FormDocument, name: string): string | undefined {
  const part = form.parts.find((one) => one.name === name);
  return part && form.text(part);
}

/** As servers of forms read a flag. */
export function isTrue(text: string | undefined): boolean {
  return text !== undefined && /^(?:true|1|on|yes|t|y)$/i.test(text);
}

/** Those of `names` that are numbers. */
export function numbersOf(form: FormDocument, names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(names.flatMap((name) => {
    const text = fieldOf(form, name);
    return text !== undefined && /^-?\d{1,9}(?:\.\d{1,9})?$/.test(text) ? [[name, Number(text)]] : [];
  }));
}

/** Some parsers tell a file by its name, some by its type. */
function isFile({ filename, contentType = 'text/plain' }: FormPart): boolean {
  return filename !== undefined || !/^(?:text\/|application\/json$)/.test(contentType);
}

function carrierOf(name: string): string {
  return name.replace(/\[(\d*)\]/g, '[]').replace(/\[([^\]]+)\]/g, '.$1');
}

function segmentOf({ path: jsonPath, carrier, text }: Leaf, path: string): Segment {
  return { path, jsonPath, json: isJson(text), carrier, contentType: 'text', content: text, history: false };
}

/** Records may come as JSON in a field; read as JSON, a text says what its escapes stand for. */
function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function dataUrl(form: FormDocument, { contentType, value }: FormPart): string {
  return `data:${contentType ?? 'application/octet-stream'};base64,${form.bytes.toString('base64', value.start, value.end)}`;
}
