/**
 * The classifier contract in Protocol Buffers: loads config/proto and turns our records into its messages and back, for
 * the client here and for `weir classifier serve`. It checks the form alone; whether an answer may say what it says
 * (scores in 0–1, spans inside the text, categories declared) is the host's to judge.
 */
import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import type { ClassifierResult, Context, ContextValue, Direction, ContentType, ScreeningRequest, Span, UnknownReason } from '#contract/screening.ts';

export type { MethodDefinition, PackageDefinition, ServiceDefinition };

/** A message with the names of its file; what was not sent has its default. */
export interface ClassifyRequestMessage {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly direction: string | number;
  readonly content: string;
  readonly content_type: string | number;
  readonly context: Readonly<Record<string, ContextValueMessage>>;
  readonly categories: readonly string[];
}

interface ContextValueMessage {
  readonly text?: string;
  readonly number?: number;
  readonly flag?: boolean;
}

export interface ClassifyResponseMessage {
  readonly results: readonly ResultMessage[];
}

interface ResultMessage {
  readonly classifier_id: string;
  readonly category: string;
  readonly score?: number;
  /** A name of UnknownReason, or the number of one that this version does not know. */
  readonly unknown?: string | number;
  readonly label: string;
  readonly spans: readonly Span[];
  readonly latency_ms: number;
}

const ROOT = fileURLToPath(new URL('../../config/proto/', import.meta.url));

/** A file below config/proto. Fields keep the names they have there. */
export function loadProto(file: string): PackageDefinition {
  return loadSync(ROOT + file, { keepCase: true, enums: String, longs: Number, defaults: true, oneofs: true });
}

export const CLASSIFIER_SERVICE = 'weir.classifier.v1.Classifier';
export const CLASSIFIER_PROTO: PackageDefinition = loadProto('weir/classifier/v1/classifier.proto');

type Method<Request, Response> = MethodDefinition<Request, Response, Request, Response>;

export const CLASSIFY = (CLASSIFIER_PROTO[CLASSIFIER_SERVICE] as ServiceDefinition).Classify as unknown as Method<ClassifyRequestMessage, ClassifyResponseMessage>;

/** Names of an enum here and there: `input` is `DIRECTION_INPUT`. */
export const directionName = (direction: Direction): string => `DIRECTION_${direction.toUpperCase()}`;
export const contentTypeName = (type: ContentType): string => `CONTENT_TYPE_${type.toUpperCase()}`;
const reasonName = (reason: UnknownReason): string => `UNKNOWN_REASON_${reason.toUpperCase()}`;

const REASONS: ReadonlyMap<string | number, UnknownReason> = new Map((['timeout', 'unavailable', 'error', 'unsupported'] as const).map((reason) => [reasonName(reason), reason]));

export function requestMessage(request: ScreeningRequest, categories: readonly string[]): ClassifyRequestMessage {
  return {
    request_id: request.request_id,
    tenant_id: request.tenant_id,
    direction: directionName(request.direction),
    // Half of a surrogate pair is no UTF-8, and strict readers refuse it; U+FFFD is as long, so spans stay right.
    content: request.content.toWellFormed(),
    content_type: contentTypeName(request.content_type),
    context: Object.fromEntries(Object.entries(request.context ?? {}).map(([key, value]) => [key.toWellFormed(), contextMessage(value)])),
    categories,
  };
}

function contextMessage(value: ContextValue): ContextValueMessage {
  if (typeof value === 'string') return { text: value.toWellFormed() };
  return typeof value === 'number' ? { number: value } : { flag: value };
}

/** The context of a request; a value that names none of its kinds is left out. */
export function readContext(context: ClassifyRequestMessage['context']): Context {
  return Object.fromEntries(Object.entries(context).flatMap(([key, { text, number, flag }]): [string, ContextValue][] => {
    const value = text ?? number ?? flag;
    return value === undefined ? [] : [[key, value]];
  }));
}

export function resultMessage(result: ClassifierResult): Partial<ResultMessage> {
  const { classifier_id, category, latency_ms } = result;
  if ('unknown' in result) return { classifier_id, category, latency_ms, unknown: reasonName(result.reason) };
  return { classifier_id, category, latency_ms, score: result.score, label: result.label, spans: result.spans };
}

/** Results under the name of the caller's configuration. Throws where one has neither score nor reason. */
export function readResults(classifierId: string, { results }: ClassifyResponseMessage): readonly ClassifierResult[] {
  return results.map(({ category, score, unknown, label, spans, latency_ms }): ClassifierResult => {
    const own = { classifier_id: classifierId, category, latency_ms };
    if (unknown !== undefined) return { ...own, unknown: true, reason: REASONS.get(unknown) ?? 'error' };
    if (score === undefined) throw new Error('a result has neither a score nor a reason why there is none');
    return { ...own, score, label: label === '' ? category : label, spans };
  });
}
