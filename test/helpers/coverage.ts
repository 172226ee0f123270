/**
 * The coverage gate: after a whole test run with coverage, every file of the folders below must have each line and each
 * branch run by some test of those in coverage-map.ts. Reads what `tap report json` wrote; prints what is missing and ends with 1.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** Pure engines, where an untested branch is an unknown behaviour. */
const FULL: readonly string[] = ['src/match/', 'src/stream/', 'src/policy/', 'src/dialect/'];
const REPORT = '.tap/report/coverage-final.json';

/** The part of istanbul's report that is read here. */
interface FileCoverage {
  readonly statementMap: Readonly<Record<string, { readonly start: { readonly line: number } }>>;
  readonly s: Readonly<Record<string, number>>;
  readonly branchMap: Readonly<Record<string, { readonly loc: { readonly start: { readonly line: number } } }>>;
  readonly b: Readonly<Record<string, readonly number[]>>;
}

const report = JSON.parse(readFileSync(REPORT, 'utf8')) as Record<string, FileCoverage>;
const files = Object.entries(report)
  .map(([path, coverage]) => ({ path: relative(process.cwd(), path), coverage }))
  .filter(({ path }) => FULL.some((folder) => path.startsWith(folder)));

const gaps = files.flatMap(({ path, coverage }) => {
  const lines = Object.keys(coverage.s).filter((id) => coverage.s[id] === 0).map((id) => coverage.statementMap[id].start.line);
  const branches = Object.keys(coverage.b).filter((id) => coverage.b[id].includes(0)).map((id) => coverage.branchMap[id].loc.start.line);
  return lines.length + branches.length === 0 ? [] : [`${path}: lines ${ranges(lines) || 'all'}; branches ${branches.length === 0 ? 'all' : `not at ${ranges(branches)}`}`];
});

// A file that no test loads is in no report; files of types alone have nothing to run.
const code = /^(?:export )?(?:async )?(?:function|class|const|let)\b/m;
const unloaded = FULL.flatMap((folder) => readdirSync(folder).filter((name) => name.endsWith('.ts')).map((name) => folder + name))
  .filter((path) => !files.some((file) => file.path === path) && code.test(readFileSync(path, 'utf8')));
gaps.push(...unloaded.map((path) => `${path}: no test loads it`));

if (gaps.length > 0) {
  process.stdout.write(`coverage is not full where it must be (test/helpers/coverage-map.ts says which tests count):\n${gaps.map((gap) => `  ${gap}\n`).join('')}`);
  process.exitCode = 1;
} else process.stdout.write(`coverage: every line and branch of ${files.length} files in ${FULL.join(', ')}\n`);

function ranges(lines: readonly number[]): string {
  const sorted = [...new Set(lines)].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length; ) {
    let j = i;
    while (sorted[j + 1] === sorted[j] + 1) j++;
    parts.push(i === j ? `${sorted[i]}` : `${sorted[i]}-${sorted[j]}`);
    i = j + 1;
  }
  return parts.length > 20 ? `${parts.slice(0, 20).join(' ')} …` : parts.join(' ');
}
