/**
 * The texts of a call of the screening service on their way into the vault, where its tenant asks for that: as they came or
 * as they may go on. Bounded for each direction of a call as those of any exchange, what a person is to look at first. Texts of
 * one session are sealed together and apart from those of others, so that a session is erased, and nothing else. Pure.
 */
import { CONTENT_CHARS_MAX, type ContentMode, type KeptText, type KeptTexts } from '../contract/content.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';
import type { ServiceText } from '../screen/service.ts';

/** What one key is for. */
export interface KeptGroup {
  readonly sessionId: string | undefined;
  readonly texts: Readonly<Record<Direction, KeptTexts>>;
}

/** In order of their first text; none where nothing is kept. */
export function keptScreenings(mode: Exclude<ContentMode, 'none'>, texts: readonly ServiceText[]): readonly KeptGroup[] {
  const kept = new Map(DIRECTIONS.flatMap((direction) => bounded(mode, texts.filter((one) => one.direction === direction))));
  return [...Map.groupBy(texts.filter((one) => kept.has(one)), ({ sessionId }) => sessionId)].map(([sessionId, group]) => ({
    sessionId, texts: { input: joined(group.filter(({ direction }) => direction === 'input'), kept), output: joined(group.filter(({ direction }) => direction === 'output'), kept) },
  }));
}

interface Bounded {
  readonly text: string;
  readonly cut: number;
}

/** Of each text of a direction what is kept: of a prompt its end, of an answer its beginning. */
function bounded(mode: Exclude<ContentMode, 'none'>, texts: readonly ServiceText[]): readonly (readonly [ServiceText, Bounded])[] {
  let free = CONTENT_CHARS_MAX;
  return [...texts].sort((a, b) => Number(b.isEscalated) - Number(a.isEscalated)).flatMap((one) => {
    const all = mode === 'original' ? one.came : one.left;
    if (all === undefined) return [];
    const chars = Math.min(free, all.length);
    free -= chars;
    const text = one.direction === 'input' ? all.slice(all.length - chars) : all.slice(0, chars);
    return [[one, { text, cut: all.length - chars }] as const];
  });
}

function joined(group: readonly ServiceText[], kept: ReadonlyMap<ServiceText, Bounded>): KeptTexts {
  const texts = group.flatMap((one): KeptText[] => {
    const { text } = kept.get(one)!;
    return text === '' ? [] : [{ place: one.place, text }];
  });
  return { texts, cut: group.reduce((sum, one) => sum + kept.get(one)!.cut, 0) };
}
