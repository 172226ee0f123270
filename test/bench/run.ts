/**
 * `npm run bench [-- match] [stream] [views] [ensemble] [policy] [model] [audit] [prompt] [decisions] [reports] [weekly] [telemetry] [--quick] [--record]`: runs the benchmarks, prints tables, and with --record
 * writes each suite's figures to `record/DATE-SUITE.json` with what they depend on. README.md says how to read them.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAudit } from './micro/audit.ts';
import { measureEnsemble } from './micro/ensemble.ts';
import { measureMatch } from './micro/match.ts';
import { measureModel } from './micro/model.ts';
import { measurePolicy } from './micro/policy.ts';
import { measureStream } from './micro/stream.ts';
import { measureViews } from './micro/views.ts';
import { measureDecisions } from './whole/decisions.ts';
import { measureReports } from './whole/reports.ts';
import { measurePrompt } from './whole/prompt.ts';
import { measureTelemetry } from './whole/telemetry.ts';
import { measureWeekly } from './whole/weekly.ts';
import { renderTable, type Table } from './report.ts';
import { progress, type Effort } from './rounds.ts';

const SUITES: Readonly<Record<string, (effort: Effort) => readonly Table[] | Promise<readonly Table[]>>> = { match: measureMatch, stream: measureStream, views: measureViews, ensemble: measureEnsemble, policy: measurePolicy, model: measureModel, audit: measureAudit, prompt: measurePrompt, decisions: measureDecisions, reports: measureReports, weekly: measureWeekly, telemetry: measureTelemetry };

const FULL: Effort = { rounds: 10, sampleMs: 30, caseMs: 2_000, quick: false };
const QUICK: Effort = { rounds: 3, sampleMs: 8, caseMs: 300, quick: true };

const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: 'boolean' }, record: { type: 'boolean' } } });
const wanted = positionals.length === 0 ? Object.keys(SUITES) : positionals;
const unknown = wanted.find((name) => SUITES[name] === undefined);

if (unknown !== undefined) {
  process.stderr.write(`there is no suite ${unknown}; there are: ${Object.keys(SUITES).join(', ')}\n`);
  process.exitCode = 2;
} else for (const suite of wanted) await runSuite(suite, values.quick === true ? QUICK : FULL);

async function runSuite(suite: string, effort: Effort): Promise<void> {
  const loadBefore = loadavg()[0];
  const began = performance.now();
  const tables = await SUITES[suite](effort);
  progress('');
  for (const table of tables) process.stdout.write(renderTable(table));
  process.stdout.write(`\n${suite}: ${effort.rounds} rounds, medians, ${((performance.now() - began) / 1e3).toFixed(0)} s; load ${loadBefore.toFixed(1)} before, on ${cpus().length} cores of ${cpus()[0].model}\n`);
  if (values.record === true) record(suite, effort, tables, loadBefore);
}

function record(suite: string, effort: Effort, tables: readonly Table[], loadBefore: number): void {
  const date = new Date().toISOString();
  const path = join(import.meta.dirname, 'record', `${date.slice(0, 10)}-${suite}.json`);
  const machine = { cpu: cpus()[0].model, cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30), system: `${platform()} ${release()}`, loadBefore };
  writeFileSync(path, `${JSON.stringify({ suite, date, ...effort, node: process.version, v8: process.versions.v8, ...revision(), machine, tables }, null, 1)}\n`);
  process.stdout.write(`written: ${path}\n`);
}

/** The commit, and whether the code that was measured differs from it. */
function revision(): { readonly commit: string; readonly modified: boolean } {
  const git = (...parts: string[]): string => execFileSync('git', parts, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  return { commit: git('rev-parse', '--short', 'HEAD'), modified: git('status', '--porcelain', '--', ':/src', ':/plugins') !== '' };
}
