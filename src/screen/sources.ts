/**
 * What an answer is to be held against: the texts of a prompt that its author gave the model to go by. Which those are is
 * said by places: carriers, or beginnings of them, with the role of the message where one list holds all roles. They reach
 * classifiers that need context as `context.sources`, one text, the newest first, bounded. Pure.
 */
import type { Classifier } from '../contract/classifier.ts';
import type { Segment } from '../contract/exchange.ts';
import type { ScreeningRequest } from '../contract/screening.ts';

/** Longest `context.sources`; of what does not fit the oldest goes. */
export const SOURCES_CHARS_MAX = 65_536;
/** Stands between two sources. */
export const SOURCE_BREAK = '\n\n---\n\n';

/**
 * Where sources stand when the configuration does not say: instructions, results of tools and searches, documents. Each
 * dialect has some of them.
 */
export const DEFAULT_SOURCES: readonly string[] = [
  'messages[role=system]', 'messages[role=developer]', 'messages[role=tool]', 'messages[role=function]', 'messages[].content[].source', 'messages[].content[].title', 'messages[].content[].context',
  'documents', 'system', 'instructions', 'input[role=system]', 'input[role=developer]', 'input[role=tool]', 'input[].output', 'input[].outputs', 'input[].results',
];

interface Place {
  readonly carrier: string;
  readonly role: string | undefined;
}

/** Reads the sources out of a prompt's texts: undefined where there are none. */
export type SourceReader = (segments: readonly Segment[]) => string | undefined;

export function sourceReader(places: readonly string[] = DEFAULT_SOURCES): SourceReader {
  const parsed = places.map((place): Place => ({ carrier: place.replace(/\[role=[a-z_]+\]/g, '[]'), role: /\[role=([a-z_]+)\]/.exec(place)?.[1] }));
  return (segments) => {
    const found = segments.filter((segment) => isSource(segment, parsed)).map(({ content }) => content);
    return found.length === 0 ? undefined : joinSources(found.reverse());
  };
}

/** A place names what stands there and all that stands below it. */
function isSource({ carrier, contentType, key, role }: Segment, places: readonly Place[]): boolean {
  if (contentType !== 'text' || key === true) return false;
  return places.some((place) => (place.role === undefined || place.role === role) && carrier.startsWith(place.carrier) && /^(?:$|[.[])/.test(carrier.slice(place.carrier.length)));
}

/**
 * The request as a classifier gets it: sources go only to those that need context, and one that needs them cannot say
 * anything about an answer without: undefined.
 */
export function requestFor({ needsContext }: Classifier, request: ScreeningRequest): ScreeningRequest | undefined {
  const { direction, context } = request;
  if (needsContext) return direction === 'output' && context?.['sources'] === undefined ? undefined : request;
  if (context?.['sources'] === undefined) return request;
  const { sources: _, ...others } = context;
  return { ...request, context: others };
}

/** One text of them all; what begins beyond `charsMax` is left out, and the last is cut there. */
export function joinSources(texts: readonly string[], charsMax = SOURCES_CHARS_MAX): string {
  return texts.join(SOURCE_BREAK).slice(0, charsMax);
}
