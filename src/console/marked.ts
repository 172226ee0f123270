/** Texts with what was found in them marked where it stands. */
import type { ClassifierResult } from '../contract/screening.ts';
import { html, type Html, type Piece } from './html.ts';

/** Half-open, in UTF-16 code units. */
export interface LabelledSpan {
  readonly start: number;
  readonly end: number;
  readonly label: string;
}

export function spansOf(results: readonly ClassifierResult[]): readonly LabelledSpan[] {
  return results.flatMap((result) => ('unknown' in result ? [] : result.spans.map(({ start, end }) => ({ start, end, label: result.label || result.category }))));
}

/** The text with what was found in it; where finds overlap, the mark names all of them. */
export function marked(text: string, spans: readonly LabelledSpan[]): Piece {
  const edges = [...new Set([0, text.length, ...spans.flatMap(({ start, end }) => [start, end])])].filter((at) => at >= 0 && at <= text.length).sort((a, b) => a - b);
  const sorted = spans.toSorted((a, b) => a.start - b.start);
  const pieces: Html[] = [];
  let [open, next]: [LabelledSpan[], number] = [[], 0];
  for (const [index, start] of edges.slice(0, -1).entries()) {
    while (next < sorted.length && sorted[next]!.start <= start) open.push(sorted[next++]!);
    open = open.filter(({ end }) => end > start);
    const part = text.slice(start, edges[index + 1]);
    const labels = [...new Set(open.map(({ label }) => label))].join(', ');
    pieces.push(labels === '' ? html`${part}` : html`<mark title="${labels}">${part}<span class="sr"> (${labels})</span></mark>`);
  }
  return pieces;
}
