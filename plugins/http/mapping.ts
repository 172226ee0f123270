/**
 * Speaks with services that have a shape of their own: a template says what is sent, paths say where scores stand in
 * the answer. Both are compiled once and checked then, with their place, so that traffic meets no surprise. A path that
 * leads nowhere in an answer is an error of that answer, never a score.
 */
import type { ContextValue, ScreeningRequest, Span } from '#contract/screening.ts';
import { ServiceError } from './client.ts';
import { OFFSET_UNITS, offsetsOf, type OffsetUnit } from './offsets.ts';
import { isMapping, kindOf, readChoice, refuseUnknown, type Given } from './options.ts';
import { FINDINGS_MAX, OMITTED, type Finding, type Omitted } from './results.ts';

/** The body for a request. */
export type Template = (request: ScreeningRequest) => unknown;

/** What an answer says, and what it means when it leaves a category out. */
export interface AnswerReader {
  readonly omitted: Omitted;
  read(answer: unknown, content: string): readonly Finding[];
}

export const TEMPLATE_DEPTH_MAX = 16;
export const PATH_STEPS_MAX = 16;

// What is sent.

const PLACEHOLDERS = ['$content', '$content_type', '$direction', '$categories', '$context'] as const;

/** `value` is any JSON; texts that are placeholders stand for parts of the request, `$$` begins a text with a dollar. */
export function compileTemplate(value: unknown, categories: readonly string[]): Template {
  let sendsContent = false;
  const compile = (part: unknown, place: string, depth: number): Template => {
    if (depth > TEMPLATE_DEPTH_MAX) throw new Error(`${place}: nested deeper than ${TEMPLATE_DEPTH_MAX}`);
    if (Array.isArray(part)) {
      const items = part.map((item, index) => compile(item, `${place}[${index}]`, depth + 1));
      return (request) => items.map((item) => item(request));
    }
    if (isMapping(part)) {
      const fields = Object.entries(part).map(([key, field]) => [key, compile(field, `${place}.${key}`, depth + 1)] as const);
      return (request) => Object.fromEntries(fields.map(([key, field]) => [key, field(request)]));
    }
    if (typeof part !== 'string' || !part.startsWith('$')) return () => part;
    sendsContent ||= part === '$content';
    return placeholder(part, place, categories);
  };
  const template = compile(value, 'request', 1);
  if (!sendsContent) throw new Error('request: expected the text $content somewhere, since without it the service sees no text');
  return template;
}

function placeholder(text: string, place: string, categories: readonly string[]): Template {
  if (text.startsWith('$$')) return () => text.slice(1);
  const key = /^\$context\.([A-Za-z][A-Za-z0-9._-]{0,127})$/.exec(text)?.[1];
  if (key !== undefined) return ({ context = {} }): ContextValue | null => (Object.hasOwn(context, key) ? context[key] : null);
  switch (text) {
    case '$content': return ({ content }) => content;
    case '$content_type': return ({ content_type }) => content_type;
    case '$direction': return ({ direction }) => direction;
    case '$categories': return () => categories;
    case '$context': return ({ context = {} }) => context;
    default: throw new Error(`${place}: ${text.slice(0, 40)} is no placeholder; known are ${PLACEHOLDERS.join(', ')} and $context.key; write $$ for a dollar`);
  }
}

// What comes back.

type Step = string | number;

const SCORES_KEYS = ['scores', 'score_max', 'omitted'] as const;
const RESULTS_KEYS = ['results', 'category', 'score', 'spans', 'start', 'end', 'offsets', 'names', 'score_max', 'omitted'] as const;

/** `answer:` of the configuration: either `scores`, a path for each category, or `results`, the path of a list. */
export function compileAnswer(value: unknown, categories: readonly string[]): AnswerReader {
  if (!isMapping(value)) throw new Error(`answer: expected a mapping, got ${kindOf(value)}`);
  if ((value.scores === undefined) === (value.results === undefined)) throw new Error('answer: expected either scores, a path for each category, or results, the path of a list');
  refuseUnknown(value, value.scores === undefined ? RESULTS_KEYS : SCORES_KEYS, 'answer.');
  const scoreMax = value.score_max ?? 1;
  if (typeof scoreMax !== 'number' || !(scoreMax > 0 && Number.isFinite(scoreMax))) throw new Error('answer.score_max: expected the number that the highest score has');
  const omitted = within('answer', () => readChoice(value, 'omitted', OMITTED, 'unknown'));
  const read = value.scores === undefined ? listReader(value, categories, scoreMax) : scoresReader(value.scores, categories, scoreMax, omitted);
  return { omitted, read };
}

function scoresReader(scores: unknown, categories: readonly string[], scoreMax: number, omitted: Omitted): AnswerReader['read'] {
  if (!isMapping(scores)) throw new Error(`answer.scores: expected a path for each category, got ${kindOf(scores)}`);
  refuseUnknown(scores, categories, 'answer.scores.');
  const without = categories.find((category) => !Object.hasOwn(scores, category));
  if (without !== undefined) throw new Error(`answer.scores: no path for the category ${without}`);
  const paths = categories.map((category) => [category, compilePath(scores[category], `answer.scores.${category}`)] as const);
  return (answer) => paths.flatMap(([category, path]): readonly Finding[] => {
    const found = follow(answer, path);
    return found === undefined && omitted === 'zero' ? [] : [{ category, score: scoreOf(found, scoreMax) }];
  });
}

function listReader(value: Given, categories: readonly string[], scoreMax: number): AnswerReader['read'] {
  const list = compilePath(value.results, 'answer.results');
  const category = compilePath(value.category ?? 'category', 'answer.category');
  const score = compilePath(value.score ?? 'score', 'answer.score');
  const names = readNames(value.names, categories);
  const spansOf = spansReader(value);
  return (answer, content) => {
    const items = follow(answer, list);
    if (!Array.isArray(items)) throw new ServiceError('error', 'the answer has no list at the path answer.results');
    if (items.length > FINDINGS_MAX) throw new ServiceError('error', `the service answered ${items.length} results, the limit is ${FINDINGS_MAX}`);
    const spans = spansOf(content);
    return items.flatMap((item): readonly Finding[] => {
      const theirs = follow(item, category);
      if (typeof theirs !== 'string') throw new ServiceError('error', 'a result has no name at the path answer.category');
      const ours = names.get(theirs);
      // It may score more than was asked for.
      return ours === undefined ? [] : [{ category: ours, score: scoreOf(follow(item, score), scoreMax), ...spans(item) }];
    });
  };
}

/** Their names to ours; ours stand for themselves where nothing is said. */
function readNames(value: unknown, categories: readonly string[]): ReadonlyMap<string, string> {
  if (value === undefined) return new Map(categories.map((category) => [category, category]));
  if (!isMapping(value)) throw new Error(`answer.names: expected their name: ours, got ${kindOf(value)}`);
  for (const [theirs, ours] of Object.entries(value)) {
    if (!categories.includes(ours as string)) throw new Error(`answer.names.${theirs}: is none of the categories ${categories.join(', ')}`);
  }
  const unnamed = categories.find((category) => !Object.values(value).includes(category));
  if (unnamed !== undefined) throw new Error(`answer.names: no name stands for the category ${unnamed}`);
  return new Map(Object.entries(value) as [string, string][]);
}

type SpansOf = (content: string) => (item: unknown) => { readonly spans?: readonly Span[] };

/** `spans` is the path of a list of {start, end}; `start` and `end` are paths where a result is a span itself. */
function spansReader(value: Given): SpansOf {
  const unit = within('answer', () => readChoice(value, 'offsets', OFFSET_UNITS, 'utf16'));
  const own = value.start !== undefined || value.end !== undefined;
  if (own && value.spans !== undefined) throw new Error('answer: spans, or start and end, not both');
  if (!own && value.spans === undefined) return () => () => ({});
  const start = compilePath(value.start ?? (own ? undefined : 'start'), 'answer.start');
  const end = compilePath(value.end ?? (own ? undefined : 'end'), 'answer.end');
  const list = own ? undefined : compilePath(value.spans, 'answer.spans');
  return (content) => {
    const place = spanPlacer(content, unit);
    const spanAt = (item: unknown): Span => place(follow(item, start), follow(item, end));
    if (list === undefined) return (item) => ({ spans: [spanAt(item)] });
    return (item) => {
      const spans = follow(item, list);
      if (!Array.isArray(spans) || spans.length > FINDINGS_MAX) throw new ServiceError('error', 'a result has no list, or one too long, at the path answer.spans');
      return { spans: spans.map(spanAt) };
    };
  };
}

/** Spans of `content` from a service's own counting. */
export function spanPlacer(content: string, unit: OffsetUnit): (start: unknown, end: unknown) => Span {
  const place = offsetsOf(content, unit);
  return (start, end) => {
    const span = { start: place(start as number), end: place(end as number) };
    if (span.start === undefined || span.end === undefined || span.start >= span.end) throw new ServiceError('error', 'the service answered a span that is not inside the text');
    return span as Span;
  };
}

function scoreOf(value: unknown, scoreMax: number): number {
  if (typeof value !== 'number') throw new ServiceError('error', 'the answer has no number where a score stands');
  return value / scoreMax;
}

// Paths.

const STEP = /\.?([A-Za-z_][A-Za-z0-9_-]*)|\[(\d{1,9})\]|\[("(?:[^"\\]|\\["\\])*")\]/y;

/** `labels[0].score`, `["a.b"].c`; `$` alone is the whole, and may stand before the first step. */
function compilePath(value: unknown, place: string): readonly Step[] {
  if (typeof value !== 'string' || value === '') throw new Error(`${place}: expected a path such as labels[0].score, got ${kindOf(value)}`);
  const steps: Step[] = [];
  STEP.lastIndex = value.startsWith('$') ? 1 : 0;
  while (STEP.lastIndex < value.length) {
    const at = STEP.lastIndex;
    const [, name, index, quoted] = STEP.exec(value) ?? [];
    // A name follows a dot, except at the beginning.
    const misplaced = name !== undefined && (value[at] === '.') === (at === 0);
    if (STEP.lastIndex === 0 || misplaced) throw new Error(`${place}: expected a name, [number] or ["name"] at character ${at + 1} of ${value.slice(0, 80)}`);
    steps.push(name ?? (index === undefined ? JSON.parse(quoted) as string : Number(index)));
  }
  if (steps.length > PATH_STEPS_MAX) throw new Error(`${place}: ${steps.length} steps, the limit is ${PATH_STEPS_MAX}`);
  return steps;
}

/** Undefined where the path leads nowhere. */
function follow(value: unknown, path: readonly Step[]): unknown {
  let here = value;
  for (const step of path) {
    const inside = typeof step === 'number' ? Array.isArray(here) : isMapping(here);
    if (!inside || !Object.hasOwn(here as object, step)) return undefined;
    here = (here as Record<Step, unknown>)[step];
  }
  return here;
}

/** Puts the key that a reader's message begins with under its parent. */
function within<Read>(parent: string, read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    throw new Error(`${parent}.${(error as Error).message}`);
  }
}
