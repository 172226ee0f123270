/**
 * `weir policy diff A B`: every exchange of the audit log decided by both policies on its recorded scores, and what
 * changes: counts by action and by rule, and examples by request id. Content is not needed, and not shown.
 */
import { DiffTally, type PolicyDiff } from '../../policy/diff.ts';
import type { Gap } from '../../policy/recorded.ts';
import { ClassifierPool } from '../../runtime.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { newestExchanges } from './records.ts';
import { nameOf, openBench, takePolicy } from './workbench.ts';

const OPTIONS = { since: 'value', until: 'value', tenant: 'value', limit: 'value', json: 'flag', config: 'value' } as const;
const PROGRESS_EVERY = 1_000;

export async function diffPolicies(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, OPTIONS, 2);
  const [a, b] = operands;
  if (a === undefined || b === undefined) throw new UsageError('two policies are needed: ids or files');
  const nowMs = Date.now();
  const [sinceMs, untilMs] = [readTime('since', options.since, nowMs) ?? -Infinity, readTime('until', options.until, nowMs) ?? Infinity];
  const limit = options.limit === undefined ? Infinity : Number(/^[1-9]\d{0,8}$/.exec(options.limit)?.[0] ?? NaN);
  if (Number.isNaN(limit)) throw new UsageError('option --limit takes a whole number from 1');
  const pool = new ClassifierPool();
  try {
    const { config } = await openBench({ config: options.config }, io, pool);
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

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time, or an age before now. */
function readTime(option: string, given: string | undefined, nowMs: number): number | undefined {
  if (given === undefined) return undefined;
  const age = /^(\d{1,6})([smhd])$/.exec(given);
  const at = age === null ? (/^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(given) : NaN) : nowMs - Number(age[1]) * UNITS[age[2]!]!;
  if (Number.isNaN(at)) throw new UsageError(`option --${option} takes a time such as 2030-01-31T00:00:00Z, or an age such as 24h`);
  return at;
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
