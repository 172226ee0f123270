/**
 * The metrics that OpenTelemetry's conventions name: of calls of upstreams (GenAI, by the edition that is chosen) and of the
 * exchanges of the proxy (HTTP, stable). Every one stands in `SEMCONV_METRICS`, from which README's table is made. Names of
 * models come from outside, so only so many different ones are told.
 */
import { listen, type ExchangeClosed, type StageEnded } from '../contract/channels.ts';
import { CHUNK_BOUNDS_SECONDS, type UpstreamCall } from '../contract/upstream-call.ts';
import { nameOf } from '../contract/names.ts';
import { callError, count } from './call-attributes.ts';
import { BoundedLabel } from './label.ts';
import { EDITIONS, NAMES, type SemconvEdition } from './names.ts';
import { providerOf } from './providers.ts';
import { SeriesTable, type Series, type SeriesAttributes, type SeriesDefinition } from './series.ts';

const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const TOKENS = Array.from({ length: 14 }, (_, i) => 4 ** i);

const seconds = (help: string): SeriesDefinition => ({ kind: 'histogram', unit: 's', help, buckets: CHUNK_BOUNDS_SECONDS });
const tokenCounter = (help: string): SeriesDefinition => ({ kind: 'counter', unit: '{token}', help });
const tokenHistogram = (help: string): SeriesDefinition => ({ kind: 'histogram', unit: '{token}', help, buckets: TOKENS });

const CALL_LABELS = [NAMES.operation, NAMES.provider, NAMES.requestModel, NAMES.responseModel, NAMES.serverAddress, NAMES.serverPort] as const;

const OLD = EDITIONS['v1.41'].metrics;
const NEXT = EDITIONS['genai-next'].metrics;

export const CALL_METRICS: Readonly<Record<SemconvEdition, Readonly<Record<string, SeriesDefinition>>>> = {
  'v1.41': {
    [OLD.duration]: seconds('Time that a call of an upstream took'),
    [OLD.timeToFirstChunk]: seconds('Time from a call to the first chunk of its streamed answer'),
    [OLD.timePerOutputChunk]: seconds('Time between two chunks of a streamed answer'),
    [OLD.tokenUsage]: tokenHistogram('Tokens of a call, as the upstream counted them'),
  },
  'genai-next': {
    [NEXT.duration]: seconds('Time that a call of an upstream took'),
    [NEXT.timeToFirstChunk]: seconds('Time from a call to the first chunk of its streamed answer'),
    [NEXT.timePerOutputChunk]: seconds('Time between two chunks of a streamed answer'),
    [NEXT.inputTokens]: tokenCounter('Tokens that upstreams were sent'),
    [NEXT.outputTokens]: tokenCounter('Tokens that upstreams answered'),
    [NEXT.cacheReadTokens]: tokenCounter('Tokens that upstreams were sent and had cached'),
    [NEXT.cacheWriteTokens]: tokenCounter('Tokens that upstreams were sent and cached'),
    [NEXT.reasoningTokens]: tokenCounter('Tokens of answers that were reasoning'),
    [NEXT.operationInputTokens]: tokenHistogram('Tokens that a call sent'),
    [NEXT.operationOutputTokens]: tokenHistogram('Tokens that a call answered'),
  },
};

const HTTP_DURATION = 'http.server.request.duration';
const HTTP_METRICS = { [HTTP_DURATION]: { kind: 'histogram', unit: 's', help: 'Time that an exchange took, from the first byte of its request to the last of its answer', buckets: HTTP_SECONDS } } as const satisfies Readonly<Record<string, SeriesDefinition>>;

export interface SemconvMetricDoc extends SeriesDefinition {
  readonly labels: readonly string[];
  /** Absent: in each. */
  readonly edition?: SemconvEdition;
}

/** By their names in OpenTelemetry. */
export const SEMCONV_METRICS: Readonly<Record<string, SemconvMetricDoc>> = {
  [HTTP_DURATION]: { ...HTTP_METRICS[HTTP_DURATION], labels: [NAMES.method, NAMES.route, NAMES.scheme, NAMES.status, NAMES.errorType] },
  ...Object.fromEntries((['v1.41', 'genai-next'] as const).flatMap((edition) => Object.entries(CALL_METRICS[edition]).map(([name, definition]) => [name, { ...definition, edition, labels: labelsOf(name) }]))),
};

function labelsOf(name: string): readonly string[] {
  if (name === OLD.tokenUsage) return [...CALL_LABELS, NAMES.tokenType];
  return name === OLD.duration || name === NEXT.duration ? [...CALL_LABELS, NAMES.errorType] : CALL_LABELS;
}

/** As they stand in the Prometheus text: the exporter replaces dots, and ends counters. */
export function prometheusName(name: string, { kind }: Pick<SeriesDefinition, 'kind'>): string {
  return name.replaceAll('.', '_') + (kind === 'counter' ? '_total' : '');
}

const MODELS_MAX = 200;
const ROUTES_MAX = 64;
const METHODS: ReadonlySet<string> = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE']);

/** Counts what the channels tell, until it is closed. */
export class SemconvRecorder {
  readonly tables: readonly SeriesTable[];
  readonly #edition: SemconvEdition;
  readonly #calls: SeriesTable;
  readonly #http = new SeriesTable(HTTP_METRICS);
  readonly #models = new BoundedLabel(MODELS_MAX);
  readonly #answerModels = new BoundedLabel(MODELS_MAX);
  readonly #routes = new BoundedLabel(ROUTES_MAX);
  readonly #unsubscribe: () => void;

  constructor(edition: SemconvEdition) {
    this.#edition = edition;
    this.#calls = new SeriesTable(CALL_METRICS[edition]);
    this.tables = [this.#calls, this.#http];
    this.#unsubscribe = listen({ stageEnded: (stage) => { if (stage.call !== undefined) this.#called(stage, stage.call); }, exchangeClosed: (closed) => this.#closed(closed) });
  }

  close(): void {
    this.#unsubscribe();
  }

  #called(stage: StageEnded, call: UpstreamCall): void {
    const labels = this.#labelsOf(call);
    const plain = this.#series(call, labels, '', {});
    const error = callError(stage);
    const timed = error === undefined ? plain : this.#series(call, labels, `e ${error}`, { [NAMES.errorType]: error });
    const names = EDITIONS[this.#edition].metrics;
    timed.add(names.duration, (stage.endMs - stage.startMs) / 1000);
    if (call.stream && call.firstChunkMs !== undefined) plain.add(names.timeToFirstChunk, call.firstChunkMs / 1000);
    if (call.gaps !== undefined) plain.addCounted(names.timePerOutputChunk, call.gaps);
    if (call.usage !== undefined) this.#tokens(call, labels, plain);
  }

  #tokens(call: UpstreamCall, labels: Labels, plain: Series): void {
    const [input, output, cacheRead, cacheWrite, reasoning] = [call.usage!.inputTokens, call.usage!.outputTokens, call.usage!.cacheReadTokens, call.usage!.cacheWriteTokens, call.usage!.reasoningTokens].map(count);
    if (this.#edition === 'v1.41') {
      if (input !== undefined) this.#series(call, labels, 'i', { [NAMES.tokenType]: 'input' }).add(OLD.tokenUsage, input);
      if (output !== undefined) this.#series(call, labels, 'o', { [NAMES.tokenType]: 'output' }).add(OLD.tokenUsage, output);
      return;
    }
    for (const [name, tokens] of [[NEXT.inputTokens, input], [NEXT.outputTokens, output], [NEXT.cacheReadTokens, cacheRead], [NEXT.cacheWriteTokens, cacheWrite], [NEXT.reasoningTokens, reasoning], [NEXT.operationInputTokens, input], [NEXT.operationOutputTokens, output]] as const) {
      if (tokens !== undefined) plain.add(name, tokens);
    }
  }

  #labelsOf(call: UpstreamCall): Labels {
    return { provider: providerOf(call), model: call.model === undefined ? '' : this.#models.of(call.model), answered: call.facts?.model === undefined ? '' : this.#answerModels.of(call.facts.model) };
  }

  /** No name has a space. */
  #series(call: UpstreamCall, { provider, model, answered }: Labels, more: string, attributes: SeriesAttributes): Series {
    return this.#calls.of(`${call.operation} ${provider} ${model} ${answered} ${call.address} ${call.port} ${more}`, () => ({
      [NAMES.operation]: call.operation, [NAMES.provider]: provider, ...(model === '' ? {} : { [NAMES.requestModel]: model }), ...(answered === '' ? {} : { [NAMES.responseModel]: answered }),
      [NAMES.serverAddress]: call.address, [NAMES.serverPort]: call.port, ...attributes,
    }));
  }

  #closed({ record }: ExchangeClosed): void {
    const method = METHODS.has(record.method) ? record.method : '_OTHER';
    const route = this.#routes.of(record.route);
    const error = record.error_code ?? (record.outcome === 'client_left' ? 'client_left' : record.status >= 500 ? String(record.status) : undefined);
    this.#http.of(`${method} ${route} ${record.status} ${error ?? ''}`, () => ({
      [NAMES.method]: method, [NAMES.route]: route, [NAMES.scheme]: 'http', ...(record.status === 0 ? {} : { [NAMES.status]: record.status }), ...(error === undefined ? {} : { [NAMES.errorType]: nameOf(error) }),
    })).add(HTTP_DURATION, record.duration_ms / 1000);
  }
}

interface Labels {
  readonly provider: string;
  readonly model: string;
  readonly answered: string;
}
