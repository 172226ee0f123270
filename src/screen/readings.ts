/**
 * What all classifiers of a text share: its views and its language, each made when the first of them asks and then kept
 * as long as the question is. Nothing is kept beyond it.
 */
import type { Readings } from '../contract/classifier.ts';
import type { ScreeningRequest } from '../contract/screening.ts';
import { languageOf } from '../text/language.ts';
import { viewsOf } from '../text/views.ts';

const NONE: readonly never[] = [];
const UNTOLD = { tag: 'und', confidence: 0 } as const;

export function readingsOf({ content, content_type: type }: Pick<ScreeningRequest, 'content' | 'content_type'>): Readings {
  let views: ReturnType<Readings['views']> | undefined;
  let language: ReturnType<Readings['language']> | undefined;
  return {
    views: () => (views ??= type === 'text' ? viewsOf(content) : NONE),
    language: () => (language ??= type === 'text' ? languageOf(content) : UNTOLD),
  };
}
