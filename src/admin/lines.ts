/**
 * The difference of two texts by lines: what was taken away, what was added, and what stayed, in order. The shortest
 * one, but for texts whose middles are both very long: there the one is taken away whole and the other added. Pure.
 */

export interface DiffLine {
  readonly change: ' ' | '-' | '+';
  readonly line: string;
}

/** Cells of the table of common lines, 4 bytes each. */
const CELLS_MAX = 4_000_000;

export function diffLines(before: string, after: string): readonly DiffLine[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return [
    ...mark(' ', a.slice(0, head)),
    ...diffMiddle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...mark(' ', a.slice(a.length - tail)),
  ];
}

function diffMiddle(a: readonly string[], b: readonly string[]): readonly DiffLine[] {
  const width = b.length + 1;
  if ((a.length + 1) * width > CELLS_MAX) return [...mark('-', a), ...mark('+', b)];
  /** Lines that the rests from i and j have in common. */
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
  }
  const lines: DiffLine[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) lines.push({ change: ' ', line: a[i++]! }) && j++;
    else if (i < a.length && (j === b.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) lines.push({ change: '-', line: a[i++]! });
    else lines.push({ change: '+', line: b[j++]! });
  }
  return lines;
}

function linesOf(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function mark(change: DiffLine['change'], lines: readonly string[]): readonly DiffLine[] {
  return lines.map((line) => ({ change, line }));
}
