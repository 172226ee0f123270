/**
 * The last line of a CI run: `N passed, N failed` and, when there are any, `, N skipped`, counted from the TAP of the
 * whole run on stdin. A test is an entry of a test file; a file that ends without one, or fails outside of them,
 * counts as one failed test.
 */
import { text } from 'node:stream/consumers';

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

if (import.meta.main) process.stdout.write(`${summaryLine(countResults(await text(process.stdin)))}\n`);
