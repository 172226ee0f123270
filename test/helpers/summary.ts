/**
 * The end of a CI run, from the TAP of the whole run on stdin: what failed, with what it said, and as the last line
 * `N passed, N failed` and, when there are any, `, N skipped`. A test is an entry of a test file; a file that ends
 * without one, or fails outside of them, counts as one failed test.
 */
import { text } from 'node:stream/consumers';

/** Lines shown of one failure, and of all. */
const DIAGNOSTIC_LINES = 40;
const FAILURE_LINES = 400;
const RESULT = /^( *)(not )?ok \d+(.*)$/;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export function countResults(tap: string): Counts {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  let file: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const line of tap.split('\n')) {
    const result = RESULT.exec(line);
    if (result === null) continue;
    const [, indent, not, rest] = result;
    const kind = /# (?:skip|todo)\b/i.test(rest) ? 'skipped' : not === undefined ? 'passed' : 'failed';
    if (indent.length === 4) file[kind]++;
    if (indent.length !== 0) continue;
    if (kind === 'failed' && file.failed === 0) file.failed++;
    if (kind !== 'failed' && file.passed + file.failed + file.skipped === 0) file[kind]++;
    total.passed += file.passed;
    total.failed += file.failed;
    total.skipped += file.skipped;
    file = { passed: 0, failed: 0, skipped: 0 };
  }
  return total;
}

export function summaryLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** What failed, each with the lines that say why, so that the end of a long log is enough to know. */
export function failures(tap: string): string {
  const lines = tap.split('\n');
  const parts: string[] = [];
  lines.forEach((line, at) => {
    if (!/^ *not ok /.test(line) || /# (?:skip|todo)\b/i.test(line)) return;
    const end = lines.findIndex((other, i) => i > at && /^ *(?:\.\.\.|(?:not )?ok |\d+\.\.\d+)/.test(other));
    parts.push(...lines.slice(at, Math.min(end === -1 ? at + 1 : end, at + DIAGNOSTIC_LINES)));
  });
  return parts.length === 0 ? '' : `\nFailed:\n${parts.slice(0, FAILURE_LINES).join('\n')}\n`;
}

if (import.meta.main) {
  const tap = await text(process.stdin);
  process.stdout.write(`${failures(tap)}${summaryLine(countResults(tap))}\n`);
}
