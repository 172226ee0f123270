/**
 * `weir policy test`: the cases of policies, through the plans that a proxy would run. Prints what failed with its
 * explanation, which rules no case makes decide, and on request a JUnit report; `--watch` runs again on every change.
 */
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { PolicyCase } from '../../contract/policy.ts';
import { hasFindings, runCases, testJson, type CaseResult, type PolicyTest } from '../../policy/cases.ts';
import { stageOf } from '../../rehearsal.ts';
import { ClassifierPool } from '../../runtime.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { junitXml } from './junit.ts';
import { explanationLines } from './trace.ts';
import { openBench, withRevision, type Bench } from './workbench.ts';

export const TEST_OPTIONS = { config: 'value', revision: 'value', filter: 'value', coverage: 'flag', watch: 'flag', json: 'flag', junit: 'value' } as const;
const WATCH_INTERVAL_MS = 500;
const FILES_MAX = 1_000;

export async function testPolicies(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, TEST_OPTIONS, FILES_MAX);
  const { filter, junit } = options;
  if (options.coverage && filter !== undefined) throw new UsageError('--coverage needs all cases, and --filter leaves some out');
  if (options.revision !== undefined && operands.length !== 1) throw new UsageError('option --revision goes with the id of one stored policy');
  const names = operands.map((named) => withRevision(named, options.revision));
  const pool = new ClassifierPool();
  const run = async (bench: Bench): Promise<number> => {
    const tests = await testAll(bench, filter, io);
    if (junit !== undefined) await writeFile(junit, junitXml(tests));
    io.stdout(options.json ? `${JSON.stringify(testJson(tests, options.coverage))}\n` : textOf(tests, io));
    return hasFindings(tests, options.coverage) ? 1 : 0;
  };
  try {
    const stop = options.watch ? io.stopSignal() : undefined;
    let bench = await openBench({ config: options.config, names }, io, pool);
    let code = await run(bench);
    while (stop?.aborted === false) {
      await delay(WATCH_INTERVAL_MS, undefined, { signal: stop }).catch(() => undefined);
      if (stop.aborted) break;
      // A file that is being written may not be there for a moment; it is looked at again.
      const fresh = await openBench({ config: options.config, names }, io, pool).catch(() => bench);
      if (fresh.fingerprint === bench.fingerprint) continue;
      bench = fresh;
      code = await run(bench);
    }
    return code;
  } finally {
    await pool.close();
  }
}

async function testAll({ policies }: Bench, filter: string | undefined, io: Io): Promise<readonly PolicyTest[]> {
  const total = policies.reduce((sum, { plan }) => sum + (plan?.policy.cases?.length ?? 0), 0);
  let done = 0;
  const progress = (): void => {
    done += 1;
    if (io.isTerminal) io.stderr(done < total ? `\r${done}/${total} cases` : '\r\u001b[K');
  };
  const tests: PolicyTest[] = [];
  for (const { file, issues, plan } of policies) {
    const only = (entry: PolicyCase): boolean => filter === undefined || `${plan!.policy.id} ${entry.name}`.includes(filter);
    tests.push({ file, issues, ...(plan === undefined ? {} : { report: await runCases(stageOf(plan), { only, onResult: progress, clock: () => performance.now() }) }) });
  }
  if (io.isTerminal) io.stderr('\r\u001b[K');
  return tests;
}

function textOf(tests: readonly PolicyTest[], io: Io): string {
  const paint = (code: number, text: string): string => (io.color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const lines = tests.flatMap(({ file, issues, report }) => [
    `${report === undefined ? 'policy' : `policy ${report.policy}`} (${file})`,
    ...issues.map(({ severity, line, column, message, suggestion }) => `  ${severity} ${line}:${column} ${message}${suggestion === undefined ? '' : `; ${suggestion}`}`),
    ...(report?.cases ?? []).flatMap((result) => caseLines(result, paint)),
    ...(report?.uncovered?.length ? [`  ${paint(33, 'no case makes these rules decide')}: ${report.uncovered.join(', ')}`] : []),
  ]);
  const all = tests.flatMap(({ report }) => report?.cases ?? []);
  const count = (wanted: CaseResult['state']): number => all.filter(({ state }) => state === wanted).length;
  const refused = tests.filter(({ report }) => report === undefined).length;
  const uncovered = tests.reduce((sum, { report }) => sum + (report?.uncovered?.length ?? 0), 0);
  const counts = [`${all.length} ${all.length === 1 ? 'case' : 'cases'}: ${count('PASS')} passed, ${count('FAIL')} failed, ${count('ERROR')} could not be run`,
    ...(refused > 0 ? [`${refused} ${refused === 1 ? 'policy' : 'policies'} refused`] : []), `rules without a case: ${uncovered}`];
  return `${[...lines, counts.join('; ')].join('\n')}\n`;
}

function caseLines({ name, state, problems, explanation }: CaseResult, paint: (code: number, text: string) => string): readonly string[] {
  return [
    `  ${paint(state === 'PASS' ? 32 : 31, state.padEnd(5))} ${name}`,
    ...problems.map((problem) => `        ${problem}`),
    ...(explanation === undefined ? [] : explanationLines(explanation, false).map((line) => `        ${line}`)),
  ];
}
