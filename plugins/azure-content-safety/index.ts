/**
 * The azure-content-safety classifier: Azure AI Content Safety over REST. `check: text` scores hate, sexual, violence and
 * self-harm, severity 0–7 as 0–1; `check: prompt_shields` tells attacks in prompts, and `check: groundedness` what of an
 * answer its sources do not say, 0 or 1. Long texts go in windows, and the worst counts. One entry of the configuration
 * makes one check.
 */
import type { CategoryDefinition, CreateClassifier } from '#contract/classifier.ts';
import { DIRECTIONS, type Direction, type ScreeningRequest, type Span } from '#contract/screening.ts';
import { JsonService, ServiceError } from '../http/client.ts';
import { isMapping, readChoice, readCount, readLanguages, readList, readService, readText, readUrl, refuseUnknown, type Given } from '../http/options.ts';
import { resultsFrom, resultsOrUnknown, unknownResults, type ScoredFinding } from '../http/results.ts';
import { cutWindows, worstOf } from '../http/windows.ts';

const OPTIONS = ['endpoint', 'api_key', 'headers', 'check', 'api_version', 'directions', 'languages', 'window_chars', 'connections'] as const;

/** The service counts code points, of which a text has no more than UTF-16 code units. */
export const SERVICE_CHARS_MAX = 10_000;
/** The same for an answer that is held against its sources, and for all of those. */
export const ANSWER_CHARS_MAX = 7_500;
export const SOURCES_CHARS_MAX = 55_000;
const API_VERSION = '2024-09-01';
/** Groundedness is a preview. */
const PREVIEW_VERSION = '2024-09-15-preview';
const SEVERITY_MAX = 7;

interface Check {
  readonly operation: string;
  readonly version: string;
  readonly categories: readonly CategoryDefinition[];
  readonly directions: readonly Direction[];
  readonly needsContext: boolean;
  /** The texts to send, or undefined where the service takes no such content. */
  bodies(request: ScreeningRequest, windowChars: number): readonly unknown[] | undefined;
  read(answer: unknown): readonly ScoredFinding[];
}

const HARMS: readonly (readonly [theirs: string, ours: CategoryDefinition])[] = [
  ['Hate', { id: 'hate', definition: 'Attacks on people for what they are, and fairness at large.' }],
  ['Sexual', { id: 'sexual', definition: 'Sexual acts, bodies, services and abuse.' }],
  ['Violence', { id: 'violence', definition: 'Harm to people, weapons and the like.' }],
  ['SelfHarm', { id: 'self-harm', definition: 'Harm to oneself.' }],
];

const CHECKS: Readonly<Record<'text' | 'prompt_shields' | 'groundedness', Check>> = {
  text: {
    operation: 'text:analyze',
    version: API_VERSION,
    needsContext: false,
    categories: HARMS.map(([, ours]) => ours),
    directions: DIRECTIONS,
    bodies: ({ content }, windowChars) => cutWindows(content, windowChars)?.map((text) => ({ text, categories: HARMS.map(([theirs]) => theirs), outputType: 'EightSeverityLevels' })),
    read: (answer) => {
      const analysis = isMapping(answer) && Array.isArray(answer.categoriesAnalysis) ? answer.categoriesAnalysis.filter(isMapping) : [];
      return HARMS.map(([theirs, { id }]) => ({ category: id, score: severityOf(analysis.find(({ category }) => category === theirs)) / SEVERITY_MAX }));
    },
  },
  prompt_shields: {
    operation: 'text:shieldPrompt',
    version: API_VERSION,
    needsContext: false,
    categories: [
      { id: 'jailbreak', definition: 'Read as a user’s prompt, the text attacks the assistant’s rules.' },
      { id: 'injection', definition: 'Read as a document, the text holds instructions to the assistant.' },
    ],
    directions: ['input'],
    // Prompts and documents are not told apart in what is screened, so that each text is judged as both.
    bodies: ({ content }, windowChars) => cutWindows(content, windowChars)?.map((text) => ({ userPrompt: text, documents: [text] })),
    read: (answer) => {
      const { userPromptAnalysis: prompt, documentsAnalysis: documents } = isMapping(answer) ? answer : {};
      return [{ category: 'jailbreak', score: attackIn(prompt) }, { category: 'injection', score: attackIn(Array.isArray(documents) && documents.length === 1 ? documents[0] : undefined) }];
    },
  },
  groundedness: {
    operation: 'text:detectGroundedness',
    version: PREVIEW_VERSION,
    needsContext: true,
    categories: [{ id: 'unsupported', definition: 'The answer says what its sources do not.' }],
    directions: ['output'],
    bodies: ({ content, context }) => {
      const sources = context?.sources;
      const fits = typeof sources === 'string' && sources.length <= SOURCES_CHARS_MAX && content.length <= ANSWER_CHARS_MAX;
      return fits ? [{ domain: 'Generic', task: 'Summarization', text: content, groundingSources: [sources], reasoning: false }] : undefined;
    },
    read: (answer) => {
      const { ungroundedDetected: detected, ungroundedDetails: details } = isMapping(answer) ? answer : {};
      if (typeof detected !== 'boolean') throw new ServiceError('error', 'the service did not say whether the answer is grounded');
      return [{ category: 'unsupported', score: Number(detected), spans: detected && Array.isArray(details) ? spansIn(details) : [] }];
    },
  },
};

const createAzureContentSafety: CreateClassifier = (given) => {
  refuseUnknown(given, OPTIONS);
  const { id } = given;
  const url = readUrl(given, 'endpoint');
  const check = CHECKS[readChoice(given, 'check', Object.keys(CHECKS) as (keyof typeof CHECKS)[], 'text')];
  const { categories } = check;
  const path = operationPath(url, check, given);
  const windowChars = readCount(given, 'window_chars', { min: 500, max: SERVICE_CHARS_MAX, fallback: SERVICE_CHARS_MAX });
  const service = new JsonService(readService(given, url, ['ocp-apim-subscription-key']));
  return {
    id,
    version: path,
    categories,
    directions: readList(given, 'directions', check.directions, check.directions),
    contentTypes: ['text'],
    languages: readLanguages(given, ['*']),
    cost: 'slow',
    needsContext: check.needsContext,
    idempotent: true,
    classify: async (request, signal) => {
      const bodies = check.bodies(request, windowChars);
      if (bodies === undefined) return unknownResults({ id, categories }, 'unsupported');
      return resultsOrUnknown({ id, categories }, async () => {
        const findings = await Promise.all(bodies.map(async (body) => check.read(await service.post(path, body, signal))));
        return resultsFrom({ id, categories }, worstOf(findings), 'unknown');
      });
    },
    close: () => service.close(),
  };
};

export default createAzureContentSafety;

/** `https://name.cognitiveservices.azure.com` → `/contentsafety/text:analyze?api-version=…`. */
function operationPath(endpoint: URL, { operation, version: usual }: Check, given: Given): string {
  if (endpoint.search !== '') throw new Error('endpoint: expected an address without a query; the version is api_version');
  const version = readText(given, 'api_version') ?? usual;
  if (!/^\d{4}-\d{2}-\d{2}(?:-preview)?$/.test(version)) throw new Error(`api_version: expected a date such as ${API_VERSION}`);
  return `${endpoint.pathname.replace(/\/$/, '')}/contentsafety/${operation}?api-version=${version}`;
}

function severityOf(analysis: Given | undefined): number {
  const severity = analysis?.severity;
  const isSeverity = typeof severity === 'number' && Number.isInteger(severity) && severity >= 0 && severity <= SEVERITY_MAX;
  if (!isSeverity) throw new ServiceError('error', `the service answered no severity from 0 to ${SEVERITY_MAX} for a category`);
  return severity;
}

function attackIn(analysis: unknown): number {
  if (!isMapping(analysis) || typeof analysis.attackDetected !== 'boolean') throw new ServiceError('error', 'the service did not say whether it detected an attack');
  return analysis.attackDetected ? 1 : 0;
}

/** Where it says so; an answer whose places are not told is unsupported as a whole. */
function spansIn(details: readonly unknown[]): readonly Span[] {
  return details.flatMap((detail): readonly Span[] => {
    const { offset, length } = isMapping(detail) ? detail : {};
    if (!isMapping(offset) || !isMapping(length) || typeof offset.utf16 !== 'number' || typeof length.utf16 !== 'number') return [];
    return [{ start: offset.utf16, end: offset.utf16 + length.utf16 }];
  });
}
