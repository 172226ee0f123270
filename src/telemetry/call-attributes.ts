/**
 * A call of an upstream in the words of the GenAI conventions, for spans and metrics alike. Guarantees: numbers are numbers
 * that a count or a setting can be, names look like names or are `other`, and words of a closed set are of that set. Pure.
 */
import { nameOf, OTHER } from '../contract/names.ts';
import type { StageEnded } from '../contract/channels.ts';
import type { UpstreamCall } from '../contract/upstream-call.ts';
import { EDITIONS, NAMES, type SemconvEdition } from './names.ts';
import { providerOf } from './providers.ts';
import type { SpanAttributes } from './spans.ts';

const FINISH_REASONS_MAX = 16;
const TIERS: ReadonlySet<string> = new Set(['auto', 'batch', 'default', 'flex', 'on_demand', 'performance', 'priority', 'scale', 'standard', 'standard_only']);
const OPENAI_APIS: Readonly<Record<string, string>> = { 'openai-chat': 'chat_completions', 'openai-responses': 'responses' };
const OPENAI_PROVIDERS: ReadonlySet<string> = new Set(['openai', 'azure.ai.openai']);

/** Why a call is no success, in few words: an error of ours, or the upstream's status. */
export function callError({ error, call }: Pick<StageEnded, 'error' | 'call'>): string | undefined {
  if (error !== undefined) return nameOf(error);
  return call?.status !== undefined && call.status >= 400 ? String(call.status) : undefined;
}

export function callAttributes(stage: StageEnded, call: UpstreamCall, edition: SemconvEdition): SpanAttributes {
  const { parameters, facts, usage } = call;
  const { n } = parameters;
  return {
    [NAMES.operation]: call.operation,
    [NAMES.provider]: providerOf(call),
    [NAMES.serverAddress]: call.address,
    [NAMES.serverPort]: call.port,
    [NAMES.status]: call.status,
    [NAMES.errorType]: callError({ error: stage.error, call }),
    [NAMES.requestModel]: call.model === undefined ? undefined : nameOf(call.model),
    // Where it is no stream the convention has nothing.
    [NAMES.requestStream]: call.stream || undefined,
    [NAMES.choiceCount]: n === 1 ? undefined : number(n),
    [NAMES.seed]: number(parameters.seed),
    [NAMES.temperature]: number(parameters.temperature),
    [NAMES.topP]: number(parameters.top_p),
    [NAMES.topK]: number(parameters.top_k),
    [NAMES.maxTokens]: number(parameters.max_tokens ?? parameters.max_completion_tokens ?? parameters.max_output_tokens),
    [NAMES.frequencyPenalty]: number(parameters.frequency_penalty),
    [NAMES.presencePenalty]: number(parameters.presence_penalty),
    [NAMES.responseId]: facts?.responseId === undefined ? undefined : nameOf(facts.responseId),
    [NAMES.responseModel]: facts?.model === undefined ? undefined : nameOf(facts.model),
    [NAMES.finishReasons]: facts === undefined || facts.finishReasons.length === 0 ? undefined : facts.finishReasons.slice(0, FINISH_REASONS_MAX).map(nameOf),
    [NAMES.timeToFirstChunk]: call.stream && call.firstChunkMs !== undefined ? call.firstChunkMs / 1000 : undefined,
    [NAMES.inputTokens]: count(usage?.inputTokens),
    [NAMES.outputTokens]: count(usage?.outputTokens),
    [NAMES.cacheReadTokens]: count(usage?.cacheReadTokens),
    [EDITIONS[edition].cacheWriteTokens]: count(usage?.cacheWriteTokens),
    [NAMES.reasoningTokens]: count(usage?.reasoningTokens),
    ...openaiAttributes(call),
  };
}

function openaiAttributes(call: UpstreamCall): SpanAttributes {
  const provider = providerOf(call);
  if (!OPENAI_PROVIDERS.has(provider)) return {};
  return {
    [NAMES.openaiApi]: OPENAI_APIS[call.dialect],
    [NAMES.openaiRequestTier]: tier(call.serviceTier),
    [NAMES.openaiResponseTier]: tier(call.facts?.serviceTier),
    [NAMES.openaiFingerprint]: call.facts?.fingerprint === undefined ? undefined : nameOf(call.facts.fingerprint),
    [NAMES.azureNamespace]: provider === 'openai' ? undefined : 'Microsoft.CognitiveServices',
  };
}

function tier(word: string | undefined): string | undefined {
  return word === undefined || TIERS.has(word) ? word : OTHER;
}

function number(value: number | boolean | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** Tokens, as an upstream counted them. */
export function count(value: number | undefined): number | undefined {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
