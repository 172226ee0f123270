/**
 * What a classifier answers when it is offered as a service: its patterns scanned, in the text and in its views, and its
 * model asked through the same ensemble as in the proxy, so that limits and checks are the same. Guarantees an answer
 * for every category that was asked for: a score, 0 where it found nothing, or unknown with its reason.
 */
import type { ClassifierConfig } from '../../config/schema.ts';
import type { Classifier } from '../../contract/classifier.ts';
import { CONTENT_TYPES, DIRECTIONS, type ClassifierResult, type ContentType, type ScreeningRequest } from '../../contract/screening.ts';
import { compilePatterns } from '../../match/set.ts';
import { contentTypeName, directionName, readContext, resultMessage, type ClassifyRequestMessage } from '../../../plugins/grpc/wire.ts';
import { memberOf } from '../../runtime.ts';
import { Ensemble } from '../../screen/ensemble.ts';
import { resultsOf } from '../../screen/results.ts';
import { TextScan, Turns } from '../../screen/scan.ts';
import type { ViewOptions } from '../../text/views.ts';
import { Refusal, type ServedMethods } from './server.ts';

/** A caller has its own deadline and says so by giving up; no call outlives this. */
const CALL_MS_MAX = 60_000;

export function judgeWith(classifier: Classifier, entry: ClassifierConfig, views: ViewOptions): ServedMethods {
  const ensemble = new Ensemble({ classifiers: [memberOf(classifier, entry)], deadlineMs: CALL_MS_MAX });
  const { id, patterns = [] } = classifier;
  const textScan = new TextScan({ patterns: compilePatterns(patterns.map((definition) => ({ classifier: id, definition, holds: false }))) }, views);
  const scan = async (content: string): Promise<readonly ClassifierResult[]> => {
    const startMs = performance.now();
    const findings = await new Turns().run(textScan.findings({ content }));
    return resultsOf(findings, performance.now() - startMs);
  };
  return {
    describe: () => description(classifier),
    async classify(message, signal) {
      const request = readRequest(message);
      const reads = classifier.directions.includes(request.direction) && classifier.contentTypes.includes(request.content_type);
      const scores = ensemble.ask(request, { signal });
      const found = reads && request.content_type === 'text' ? await scan(request.content) : [];
      const results = [...found, ...(await scores)];
      const asked = message.categories.length > 0 ? [...new Set(message.categories)] : classifier.categories.map((category) => category.id);
      return { results: asked.flatMap((category) => answersFor(classifier, category, results, reads)).map(resultMessage) };
    },
  };
}

function answersFor({ id, categories }: Classifier, category: string, results: readonly ClassifierResult[], reads: boolean): readonly ClassifierResult[] {
  const own = results.filter((result) => result.category === category);
  if (own.length > 0) return own;
  const judges = reads && categories.some((known) => known.id === category);
  return [judges ? { classifier_id: id, category, score: 0, label: category, spans: [], latency_ms: 0 } : { classifier_id: id, category, unknown: true, reason: 'unsupported', latency_ms: 0 }];
}

/** A direction left out must not be screened the wrong way; content is text unless it says otherwise. */
function readRequest(message: ClassifyRequestMessage): ScreeningRequest {
  const direction = DIRECTIONS.find((one) => directionName(one) === message.direction);
  if (direction === undefined) throw new Refusal(`direction is not one of ${DIRECTIONS.map(directionName).join(', ')}`);
  const types: readonly (readonly [string, ContentType])[] = [['CONTENT_TYPE_UNSPECIFIED', 'text'], ...CONTENT_TYPES.map((type) => [contentTypeName(type), type] as const)];
  const type = types.find(([name]) => name === message.content_type)?.[1];
  if (type === undefined) throw new Refusal(`content_type is not one of ${CONTENT_TYPES.map(contentTypeName).join(', ')}`);
  const { request_id, tenant_id, content } = message;
  return { request_id, tenant_id, direction, content, content_type: type, context: readContext(message.context), created_at: new Date().toISOString() };
}

function description({ id, version, categories, directions, contentTypes, languages, needsContext }: Classifier): object {
  return { id, version, categories, directions: directions.map(directionName), content_types: contentTypes.map(contentTypeName), languages, needs_context: needsContext };
}
