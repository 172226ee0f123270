/**
 * Every attribute and span name that Weir gives to OpenTelemetry, in one table, because the GenAI conventions
 * (semantic-conventions v1.41.1, status Development) still change their names. Names only; no OpenTelemetry import.
 */

export const NAMES = {
  // HTTP, stable
  method: 'http.request.method',
  route: 'http.route',
  status: 'http.response.status_code',
  errorType: 'error.type',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  // GenAI
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  requestStream: 'gen_ai.request.stream',
  conversation: 'gen_ai.conversation.id',
  responseId: 'gen_ai.response.id',
  responseModel: 'gen_ai.response.model',
  finishReasons: 'gen_ai.response.finish_reasons',
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  evaluationEvent: 'gen_ai.evaluation.result',
  evaluationName: 'gen_ai.evaluation.name',
  evaluationScore: 'gen_ai.evaluation.score.value',
  evaluationLabel: 'gen_ai.evaluation.score.label',
  // Weir's own
  requestId: 'weir.request_id',
  tenant: 'weir.tenant',
  policy: 'weir.policy',
  outcome: 'weir.outcome',
  direction: 'weir.direction',
  inputAction: 'weir.input.action',
  outputAction: 'weir.output.action',
  redactions: 'weir.redactions',
  coverage: 'weir.coverage',
  degraded: 'weir.degraded',
  classifier: 'weir.classifier',
  callOutcome: 'weir.classifier.outcome',
  heldCharacters: 'weir.held_characters',
} as const;

/** Spans of Weir's own stages are `weir.<stage>`. */
export const STAGE_SPAN_PREFIX = 'weir.';
export const CALL_SPAN = 'weir.classify';
export const SERVICE_NAME = 'weir';
