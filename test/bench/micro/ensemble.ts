/**
 * Screening as a prompt waits for it: what asking costs beside what the classifiers do, what memory costs and saves, and
 * how long a prompt waits where a classifier is frozen. Percentiles of single runs, since what counts is the slowest.
 */
import assert from 'node:assert/strict';
import type { Classifier } from '../../../src/contract/classifier.ts';
import { requirePolicy } from '../../../src/policy/parse.ts';
import { VerdictMemory } from '../../../src/screen/cache.ts';
import { Ensemble } from '../../../src/screen/ensemble.ts';
import { compilePlan, type ScreeningPlan } from '../../../src/screen/plan.ts';
import { classifierOf, requestOf, said, scored } from '../../helpers/classifiers.ts';
import { testPii } from '../../helpers/pii.ts';
import type { Row, Table } from '../report.ts';
import { progress, type Effort } from '../rounds.ts';
import { textOf } from '../texts.ts';

const PROMPT_CHARS = 4_096;
const DEADLINE_MS = 80;
const POLICY = requirePolicy('policy: bench\nrules: [ { id: pii, when: { score: pii.*, gte: 0.5 }, action: redact } ]', 'bench.yaml');

export async function measureEnsemble(effort: Effort): Promise<readonly Table[]> {
  return [await asking(effort), await frozen(effort)];
}

function six(): readonly Classifier[] {
  return ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => classifierOf(id, () => [scored(id, 0.1)], { cost: 'fast' }));
}

function ensembleOf(classifiers: readonly Classifier[], memory?: VerdictMemory): Ensemble {
  return new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), memory, deadlineMs: 60_000 });
}

async function asking(effort: Effort): Promise<Table> {
  const text = textOf('prose', PROMPT_CHARS);
  const memory = (): VerdictMemory => new VerdictMemory({ key: Buffer.alloc(32, 1) });
  const [plain, kept] = [ensembleOf(six()), ensembleOf(six(), memory())];
  const plans = [undefined, memory()].map((own) => compilePlan(POLICY, [testPii()], { file: 'bench.yaml', ensemble: ensembleOf([], own) }));
  const screen = (plan: ScreeningPlan, content: string): Promise<unknown> => plan.screen([{ path: 'm', carrier: 'm', contentType: 'text', content, history: false }], 'input', { tenant: 'bench' });
  let count = 0;
  /** Another text each time, by letters at its end: digits would be candidates for patterns. */
  const fresh = (): string => `${text} ${[...String(count++)].map((digit) => 'abcdefghij'[Number(digit)]).join('')}`;
  const cases: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['six classifiers that answer at once, no memory', () => plain.ask(requestOf(fresh()))],
    ['… with memory, a new text', () => kept.ask(requestOf(fresh()))],
    ['… with memory, a known text', () => kept.ask(requestOf(text))],
    ['patterns of pii and views, no memory', () => screen(plans[0]!, fresh())],
    ['… with memory, a new text', () => screen(plans[1]!, fresh())],
    ['… with memory, a known text', () => screen(plans[1]!, text)],
  ];
  const rows: Row[] = [];
  for (const [name, run] of cases) {
    progress(`asking: ${name}`);
    const runs = effort.quick ? 300 : 5_000;
    for (let i = 0; i < runs / 5; i += 1) await run();
    const times: number[] = [];
    for (let i = 0; i < runs; i += 1) times.push(await timed(run));
    rows.push({ cells: [name, 1e3 * percentile(times, 0.5), 1e3 * percentile(times, 0.99), runs] });
  }
  return { title: `Screening a prompt of ${PROMPT_CHARS} characters, µs`, columns: ['', 'p50', 'p99', 'runs'], rows };
}

async function frozen(effort: Effort): Promise<Table> {
  const [well] = six();
  const rows: Row[] = [];
  for (const together of [1, 50]) {
    progress(`frozen: ${together} together`);
    const ensemble = new Ensemble({ deadlineMs: DEADLINE_MS, classifiers: [{ classifier: well! }, { classifier: classifierOf('frozen', () => new Promise(() => {})), settings: { concurrency: 1_000, breaker: { failures: 1e5, openMs: 1 } } }] });
    const times: number[] = [];
    for (let round = 0; round < (effort.quick ? 5 : together === 1 ? 100 : 20); round += 1) {
      await Promise.all(Array.from({ length: together }, async () => times.push(await timed(async () => assert.deepEqual(said(await ensemble.ask(requestOf('x'))), [0.1, 'timeout'])))));
    }
    rows.push({ cells: [`${together} at a time`, percentile(times, 0.5), percentile(times, 0.99), Math.max(...times), times.length] });
  }
  return { title: `A classifier that never answers, deadline ${DEADLINE_MS} ms: how long a text waits, ms`, columns: ['', 'p50', 'p99', 'worst', 'texts'], rows, note: 'The breaker is kept from opening: with it, only one text in five seconds would wait at all.' };
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return performance.now() - started;
}

function percentile(times: readonly number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))]!;
}
