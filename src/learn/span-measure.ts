/**
 * What a tagger is worth on labelled rows, for each type and source: strict (the same type, start and end) and by type
 * only (the same type on more than half of the shorter of the two; what lies on a span of another type is not counted as
 * wrong), with n, 95 % intervals by drawing rows again, and what becomes of it at each threshold. Pure but for the
 * progress it tells.
 */
import type { SpansRow } from '../model/recipe.ts';
import type { NamedSpan, Tagger } from '../model/tagger.ts';
import { randomOf } from './measure.ts';
import type { Estimate } from './evaluate.ts';
import type { Progress } from './task.ts';

const DRAWS = 200;
const THRESHOLDS: readonly number[] = Array.from({ length: 20 }, (_, at) => at / 20);

/** Of one row: labelled, found of those, right and wrong among what was claimed; strict and by type. */
export interface SpanCounts {
  readonly labelled: number;
  readonly claimed: number;
  readonly strict: number;
  readonly found: number;
  readonly wrong: number;
}

export interface SpanReport {
  readonly type: string;
  readonly source: string;
  readonly rows: number;
  readonly labelled: number;
  readonly claimed: number;
  readonly strictPrecision: number;
  readonly strictRecall: number;
  readonly strictF1: Estimate;
  readonly recall: number;
  readonly precision: number;
  readonly f1: number;
  readonly f2: Estimate;
  readonly curve: readonly { readonly threshold: number; readonly strictF1: number; readonly precision: number; readonly recall: number; readonly f2: number }[];
}

interface ReadRow extends SpansRow {
  readonly claims: readonly NamedSpan[];
}

export interface JudgedSpan {
  readonly type: string;
  readonly score: number;
  readonly right: boolean;
}

/** Every span that the tagger claims, and whether one of its type is there. */
export function judgedSpans(tagger: Tagger, rows: readonly SpansRow[]): readonly JudgedSpan[] {
  return rows.flatMap(({ text, spans }) => tagger.open().feed(text).spans.map((claim) => ({ type: claim.type, score: claim.score, right: spans.some((span) => span.type === claim.type && isOver(span, claim)) })));
}

export function evaluateSpans(tagger: Tagger, rows: readonly SpansRow[], seed: number, progress: Progress): readonly SpanReport[] {
  const read = rows.map((row, at): ReadRow => {
    if ((at & 255) === 0) progress('tag', at, rows.length);
    return { ...row, claims: tagger.open().feed(row.text).spans };
  });
  progress('tag', rows.length, rows.length);
  const random = randomOf(seed);
  const bySource = [['all', read] as const, ...Map.groupBy(read, ({ source }) => source)];
  return tagger.parts.types.flatMap(({ type }) => bySource.filter(([, own]) => own.some(({ spans }) => spans.some((span) => span.type === type))).map(([source, own]) => reportOf(type, source, own, random)));
}

function reportOf(type: string, source: string, rows: readonly ReadRow[], random: () => number): SpanReport {
  const counts = rows.map((row) => countsOf(type, row, 0));
  const all = sum(counts);
  const estimate = (measure: (counts: SpanCounts) => number): Estimate => {
    const values = Array.from({ length: DRAWS }, () => measure(sum(counts.map(() => counts[Math.floor(random() * counts.length)])))).sort((a, b) => a - b);
    return { value: measure(all), low: values[Math.floor(0.025 * DRAWS)], high: values[Math.ceil(0.975 * DRAWS) - 1] };
  };
  return {
    type, source, rows: rows.length, labelled: all.labelled, claimed: all.claimed,
    strictPrecision: all.strict / Math.max(1, all.claimed), strictRecall: all.strict / Math.max(1, all.labelled), strictF1: estimate(strictF1Of),
    recall: all.found / Math.max(1, all.labelled), precision: all.found / Math.max(1, all.found + all.wrong), f1: fOf(1, all), f2: estimate((drawn) => fOf(2, drawn)),
    curve: THRESHOLDS.map((threshold) => {
      const at = sum(rows.map((row) => countsOf(type, row, threshold)));
      return { threshold, strictF1: strictF1Of(at), precision: at.found / Math.max(1, at.found + at.wrong), recall: at.found / Math.max(1, at.labelled), f2: fOf(2, at) };
    }),
  };
}

export function countsOf(type: string, { spans, claims }: Pick<ReadRow, 'spans' | 'claims'>, threshold: number): SpanCounts {
  const labelled = spans.filter((span) => span.type === type);
  const claimed = claims.filter((claim) => claim.type === type && claim.score >= threshold);
  return {
    labelled: labelled.length, claimed: claimed.length,
    strict: labelled.filter(({ start, end }) => claimed.some((claim) => claim.start === start && claim.end === end)).length,
    found: labelled.filter((span) => claimed.some((claim) => isOver(span, claim))).length,
    wrong: claimed.filter((claim) => !spans.some((span) => isOver(span, claim))).length,
  };
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

function isOver(a: Stretch, b: Stretch): boolean {
  return Math.min(a.end, b.end) - Math.max(a.start, b.start) > 0.5 * Math.min(a.end - a.start, b.end - b.start);
}

function sum(counts: readonly SpanCounts[]): SpanCounts {
  const all = { labelled: 0, claimed: 0, strict: 0, found: 0, wrong: 0 };
  for (const one of counts) {
    all.labelled += one.labelled;
    all.claimed += one.claimed;
    all.strict += one.strict;
    all.found += one.found;
    all.wrong += one.wrong;
  }
  return all;
}

function strictF1Of({ labelled, claimed, strict }: SpanCounts): number {
  return (2 * strict) / Math.max(1, labelled + claimed);
}

function fOf(beta: number, { labelled, found, wrong }: SpanCounts): number {
  const weight = beta * beta;
  return ((1 + weight) * found) / Math.max(1, (1 + weight) * found + weight * (labelled - found) + wrong);
}

export function tableOfSpans(title: string, reports: readonly SpanReport[]): string {
  const cell = ({ value, low, high }: Estimate): string => `${value.toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`;
  const lines = reports.map((one) => `${one.type.padEnd(13)} ${one.source.padEnd(16)} ${String(one.labelled).padStart(6)} in ${String(one.rows).padEnd(6)} ${cell(one.strictF1).padEnd(20)} ${one.strictPrecision.toFixed(3)}  ${one.strictRecall.toFixed(3)}  ${cell(one.f2).padEnd(20)} ${one.precision.toFixed(3)}  ${one.recall.toFixed(3)}  ${one.f1.toFixed(3)}`);
  return `${title}\n${'type'.padEnd(13)} ${'source'.padEnd(16)} ${'labelled in rows'.padEnd(16)} ${'strict F1'.padEnd(20)} ${'prec.'.padEnd(6)} ${'rec.'.padEnd(6)} ${'type-only F2'.padEnd(20)} ${'prec.'.padEnd(6)} ${'rec.'.padEnd(6)} F1\n${lines.join('\n')}\n`;
}

const SIDE = 220;
const MARGIN = 28;

/** One file, no script, nothing fetched. */
export function renderSpans(title: string, reports: readonly SpanReport[]): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:15px system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}pre{overflow:auto}path{fill:none;stroke:#0a58ca;stroke-width:2}path.other{stroke:#b35900}line{stroke:#bbb}text{font-size:11px;fill:#555}</style>
<h1>${escaped(title)}</h1>
<p>In parentheses the middle 95 % of the values over rows drawn again.</p>
<pre>${escaped(tableOfSpans(title, reports))}</pre>
${reports.map(({ type, source, curve }) => `<h2>${escaped(type)}, ${escaped(source)}</h2>
${chart('recall', 'precision', [curve.map(({ recall, precision }) => [recall, precision] as const)])}${chart('threshold', 'strict F1 (blue), F2 (brown)', [curve.map(({ threshold, strictF1 }) => [threshold, strictF1] as const), curve.map(({ threshold, f2 }) => [threshold, f2] as const)])}`).join('\n')}
</html>
`;
}

function chart(across: string, up: string, lines: readonly (readonly (readonly [number, number])[])[]): string {
  const whole = SIDE + 2 * MARGIN;
  const place = ([x, y]: readonly [number, number]): string => `${(MARGIN + x * SIDE).toFixed(1)} ${(MARGIN + (1 - y) * SIDE).toFixed(1)}`;
  const drawn = lines.map((points, at) => `<path${at === 0 ? '' : ' class="other"'} d="${points.map((point, first) => `${first === 0 ? 'M' : 'L'}${place(point)}`).join('')}"/>`).join('');
  return `<svg width="${whole}" height="${whole}" role="img" aria-label="${up} over ${across}"><line x1="${MARGIN}" y1="${MARGIN + SIDE}" x2="${MARGIN + SIDE}" y2="${MARGIN + SIDE}"/><line x1="${MARGIN}" y1="${MARGIN}" x2="${MARGIN}" y2="${MARGIN + SIDE}"/>${drawn}<text x="${whole / 2}" y="${whole - 8}">${across}</text><text x="2" y="${MARGIN - 10}">${up}</text></svg>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
