/**
 * Every name that Weir gives to OpenTelemetry: attributes, spans, events and metrics. The GenAI conventions (status
 * Development) still change theirs, so each edition of them is a table of its own, and `telemetry.semconv` chooses one.
 * Names only; nothing of OpenTelemetry is imported.
 */

/** `v1.41`: semantic-conventions 1.41.1, the newest with a number. `genai-next`: what semantic-conventions-genai has changed since and not released. */
export const SEMCONV_EDITIONS = ['v1.41', 'genai-next'] as const;
export type SemconvEdition = (typeof SEMCONV_EDITIONS)[number];

/** The same in every edition. */
export const NAMES = {
  // HTTP and general, stable
  method: 'http.request.method',
  route: 'http.route',
  status: 'http.response.status_code',
  requestBytes: 'http.request.body.size',
  responseBytes: 'http.response.body.size',
  scheme: 'url.scheme',
  errorType: 'error.type',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  // GenAI
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  requestStream: 'gen_ai.request.stream',
  choiceCount: 'gen_ai.request.choice.count',
  seed: 'gen_ai.request.seed',
  temperature: 'gen_ai.request.temperature',
  topP: 'gen_ai.request.top_p',
  topK: 'gen_ai.request.top_k',
  maxTokens: 'gen_ai.request.max_tokens',
  frequencyPenalty: 'gen_ai.request.frequency_penalty',
  presencePenalty: 'gen_ai.request.presence_penalty',
  conversation: 'gen_ai.conversation.id',
  responseId: 'gen_ai.response.id',
  responseModel: 'gen_ai.response.model',
  finishReasons: 'gen_ai.response.finish_reasons',
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  reasoningTokens: 'gen_ai.usage.reasoning.output_tokens',
  tokenType: 'gen_ai.token.type',
  systemInstructions: 'gen_ai.system_instructions',
  inputMessages: 'gen_ai.input.messages',
  outputMessages: 'gen_ai.output.messages',
  evaluationEvent: 'gen_ai.evaluation.result',
  evaluationName: 'gen_ai.evaluation.name',
  evaluationScore: 'gen_ai.evaluation.score.value',
  evaluationLabel: 'gen_ai.evaluation.score.label',
  openaiApi: 'openai.api.type',
  openaiRequestTier: 'openai.request.service_tier',
  openaiResponseTier: 'openai.response.service_tier',
  openaiFingerprint: 'openai.response.system_fingerprint',
  azureNamespace: 'azure.resource_provider.namespace',
  // Weir's own: no convention for guardrails is agreed on
  requestId: 'weir.request_id',
  tenant: 'weir.tenant',
  key: 'weir.key',
  policyId: 'weir.policy.id',
  policyRevision: 'weir.policy.revision',
  outcome: 'weir.outcome',
  direction: 'weir.direction',
  inputAction: 'weir.input.action',
  inputRules: 'weir.input.rules',
  inputDegraded: 'weir.input.degraded',
  inputCoverage: 'weir.input.coverage',
  outputAction: 'weir.output.action',
  outputRules: 'weir.output.rules',
  outputDegraded: 'weir.output.degraded',
  outputCoverage: 'weir.output.coverage',
  lateAction: 'weir.late.action',
  redactions: 'weir.redactions',
  classifier: 'weir.classifier',
  category: 'weir.category',
  callOutcome: 'weir.classifier.outcome',
  heldCharacters: 'weir.held_characters',
  kept: 'weir.trace.kept',
} as const;

/** What the editions name differently. */
export const EDITIONS = {
  'v1.41': {
    cacheWriteTokens: 'gen_ai.usage.cache_creation.input_tokens',
    /** The messages of an answer say why each ended. */
    messageFinishReason: true,
    metrics: {
      duration: 'gen_ai.client.operation.duration',
      timeToFirstChunk: 'gen_ai.client.operation.time_to_first_chunk',
      timePerOutputChunk: 'gen_ai.client.operation.time_per_output_chunk',
      tokenUsage: 'gen_ai.client.token.usage',
    },
  },
  'genai-next': {
    cacheWriteTokens: 'gen_ai.usage.cache_write.input_tokens',
    messageFinishReason: false,
    metrics: {
      duration: 'gen_ai.client.inference.duration',
      timeToFirstChunk: 'gen_ai.client.inference.time_to_first_chunk',
      timePerOutputChunk: 'gen_ai.client.inference.time_per_output_chunk',
      inputTokens: 'gen_ai.client.inference.usage.input_tokens',
      outputTokens: 'gen_ai.client.inference.usage.output_tokens',
      cacheReadTokens: 'gen_ai.client.inference.usage.cache_read.input_tokens',
      cacheWriteTokens: 'gen_ai.client.inference.usage.cache_write.input_tokens',
      reasoningTokens: 'gen_ai.client.inference.usage.reasoning.output_tokens',
      operationInputTokens: 'gen_ai.client.inference.operation.input_tokens',
      operationOutputTokens: 'gen_ai.client.inference.operation.output_tokens',
    },
  },
} as const satisfies Readonly<Record<SemconvEdition, { readonly cacheWriteTokens: string; readonly messageFinishReason: boolean; readonly metrics: Readonly<Record<string, string>> }>>;

/** Spans of Weir's own stages are `weir.<stage>`. */
export const STAGE_SPAN_PREFIX = 'weir.';
export const CALL_SPAN = 'weir.classify';
export const SERVICE_NAME = 'weir';
