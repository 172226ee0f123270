/**
 * `weir policy diff A B`: every exchange of the audit log decided by both policies on its recorded scores, and what
 * changes: counts by action and by rule, and examples by request id. Content is not needed, and not shown.
 */
import { newestExchanges } from '../../audit/exchanges.ts';
import { readSources } from '../../config/load.ts';
import { ConfigError } from '../../contract/errors.ts';
import { DiffTally, type PolicyDiff } from '../../policy/diff.ts';
import type { Gap } from '../../policy/recorded.ts';
import { ClassifierPool } from '../../runtime.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { readTimeRange } from '../time.ts';
import { nameOf, takePolicy, withRevision } from './workbench.ts';

const OPTIONS = { revision: 'value', since: 'value', until: 'value', tenant: 'value', limit: 'value', json: 'flag', config: 'value' } as const;
const PROGRESS_EVERY = 1_000;

export async function diffPolicies(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, OPTIONS, 2);
  const [a, b] = namesOf(operands, options.revision);
  const nowMs = Date.now();
  const { sinceMs, untilMs } = readTimeRange(options, nowMs);
  const limit = options.limit === undefined ? Infinity : Number(/^[1-9]\d{0,8}$/.exec(options.limit)?.[0] ?? NaN);
  if (Number.isNaN(limit)) throw new UsageError('option --limit takes a whole number from 1');
  const pool = new ClassifierPool();
  try {
    const { config, issues } = await readSources(options.config, io.env);
    if (config === undefined) throw new ConfigError(issues);
    if (options.tenant !== undefined && !config.tenants.some(({ id }) => id === options.tenant)) throw new UsageError(`there is no tenant ${JSON.stringify(options.tenant)}`);
    const [from, to] = [await takePolicy(a, options, io, pool), await takePolicy(b, options, io, pool)];
    const failModes = new Map(config.tenants.map(({ id, fail_mode: mode }) => [id, mode]));
    const tally = new DiffTally(from.policy, to.policy, (tenant) => failModes.get(tenant) ?? 'closed');
    let exchanges = 0;
    for await (const record of newestExchanges(config.audit.dir)) {
      const startedMs = Date.parse(record.started_at);
      if (startedMs < sinceMs || startedMs >= untilMs || (options.tenant !== undefined && record.tenant_id !== options.tenant)) continue;
      tally.add(record);
      exchanges += 1;
      if (io.isTerminal && exchanges % PROGRESS_EVERY === 0) io.stderr(`\r${exchanges} exchanges`);
      if (exchanges >= limit) break;
    }
    if (io.isTerminal) io.stderr('\r\u001b[K');
    const diff = tally.result();
    const names = { from: nameOf(from.policy), to: nameOf(to.policy) };
    io.stdout(options.json ? `${JSON.stringify({ ...names, exchanges, ...diff })}\n` : diffText(diff, names, exchanges, config.audit.dir));
    return 0;
  } finally {
    await pool.close();
  }
}

/** One id with `--revision`: that revision, against what counts now. */
function namesOf([a, b]: readonly string[], revision: string | undefined): readonly [string, string] {
  if (revision !== undefined && (a === undefined || b !== undefined)) throw new UsageError('option --revision goes with the id of one stored policy; for two write id@number');
  if (a !== undefined && revision !== undefined) return [withRevision(a, revision), a];
  if (a === undefined || b === undefined) throw new UsageError('two policies are needed: ids, id@number for a stored revision, or files');
  return [a, b];
}

const REASONS: Readonly<Record<Gap, string>> = {
  'no facts': 'the entry holds several decisions, or is older than this comparison',
  'several texts': 'the answer holds several texts, and the entry does not say whose the scores are',
  score: 'a score that a rule reads is not recorded',
  pattern: 'a rule reads patterns of its policy, and other patterns were looked for',
  context: 'a context value that a rule reads is not recorded',
  'other decision': 'the recorded decision was made on more than its entry holds',
};

const EXAMPLES_SHOWN = 3;

function diffText(diff: PolicyDiff, { from, to }: { readonly from: string; readonly to: string }, exchanges: number, dir: string): string {
  const { decisions, same, changed, not_comparable: not, actions, rules, reasons } = diff;
  const lines = [
    `${from} → ${to}`,
    `${exchanges} exchanges in ${dir}, ${decisions} decisions: ${same} the same, ${changed} changed, ${not} not comparable`,
    ...actions.flatMap(({ from: before, to: after, count, examples }) => [
      `  ${String(count).padStart(6)}  ${before} → ${after}`,
      ...examples.slice(0, EXAMPLES_SHOWN).map((one) => `          ${one.request_id} ${one.direction} ${one.time}: ${one.from_rules.join(', ') || 'no rule'} → ${one.to_rules.join(', ') || 'no rule'}`),
    ]),
    ...(rules.length === 0 ? [] : ['decided by another rule:']),
    ...rules.map(({ from: before, to: after, count }) => `  ${String(count).padStart(6)}  ${before ?? 'no rule'} → ${after ?? 'no rule'}`),
    ...(not === 0 ? [] : ['not comparable:']),
    ...(Object.entries(reasons) as [Gap, number][]).map(([gap, count]) => `  ${String(count).padStart(6)}  ${REASONS[gap]}`),
  ];
  return `${lines.join('\n')}\n`;
}
