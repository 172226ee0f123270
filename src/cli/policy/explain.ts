/**
 * `weir policy explain`: what a policy decides on a text, on scores that are given, or on a recorded exchange, and why:
 * every rule with its state and reason, and every part of its condition with what was compared.
 */
import { text as readText } from 'node:stream/consumers';
import { readSources } from '../../config/load.ts';
import { ConfigError } from '../../contract/errors.ts';
import { newestExchanges } from '../../audit/exchanges.ts';
import type { ExchangeRecord } from '../../contract/exchange.ts';
import { FAIL_MODES, type FailMode } from '../../contract/policy.ts';
import { DIRECTIONS, type Context, type Direction } from '../../contract/screening.ts';
import { policyKey } from '../../policy/source.ts';
import { explanationJson, type Explanation } from '../../policy/explain.ts';
import { explainedJson, explainRecorded, type ExplainedRecord } from '../../policy/explained.ts';
import { recordedDecisions } from '../../policy/recorded.ts';
import { explainOn } from '../../rehearsal.ts';
import { ClassifierPool } from '../../runtime.ts';
import type { ScreeningPlan } from '../../screen/plan.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { readContextOption } from '../screen.ts';
import { explanationLines } from './trace.ts';
import { nameOf, takePolicy, withRevision } from './workbench.ts';

const OPTIONS = { policy: 'value', direction: 'value', revision: 'value', score: 'list', context: 'list', 'fail-mode': 'value', request: 'value', json: 'flag', config: 'value' } as const;

export async function explainPolicy(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, OPTIONS, 1);
  const [operand] = operands;
  const failMode = readChoice('fail-mode', options['fail-mode'], FAIL_MODES);
  const direction = readChoice('direction', options.direction, DIRECTIONS);
  const pool = new ClassifierPool();
  try {
    const place = { config: options.config, failMode };
    if (options.request !== undefined) {
      if (operand !== undefined || options.score.length + options.context.length > 0) throw new UsageError('a recorded decision has its own scores; leave out the text, --score and --context');
      return await explainRequest(options.request, { ...place, named: options.policy && withRevision(options.policy, options.revision), direction, json: options.json }, io, pool);
    }
    const scores = Object.fromEntries(options.score.map(readScore));
    if (operand === undefined && options.score.length === 0) throw new UsageError('give a text, - for stdin, or scores with --score');
    const named = options.policy ?? (await tenantsPolicy(place, options.revision, io));
    const plan = await takePolicy(withRevision(named, options.revision), place, io, pool);
    const context = Object.fromEntries(options.context.map(readContextOption)) as Context;
    const explanation = await explainOn(plan, { text: operand === '-' ? await readText(io.stdin) : operand, scores, direction: direction ?? 'input', context });
    io.stdout(options.json ? `${JSON.stringify(explanationJson(plan.policy, explanation))}\n` : textOf(plan, explanation));
    return 0;
  } finally {
    await pool.close();
  }
}

/** With the revision at which the tenant stays, where the call names none. */
async function tenantsPolicy({ config: file }: { readonly config: string | undefined }, revision: string | undefined, io: Io): Promise<string> {
  const { config, issues } = await readSources(file, io.env);
  if (config === undefined) throw new ConfigError(issues);
  const [tenant] = config.tenants;
  if (config.tenants.length > 1) throw new UsageError('there are several tenants; name a policy with --policy');
  return policyKey(tenant!.policy, revision === undefined ? tenant!.policy_revision : undefined);
}

function readScore(option: string): readonly [string, number | 'unknown'] {
  const [, name, score] = /^([A-Za-z0-9][A-Za-z0-9_-]*\.[^\s*=]{1,128})=(unknown|[01]?(?:\.\d+)?)$/.exec(option) ?? [];
  if (name === undefined || score === undefined || score === '' || Number(score) > 1) throw new UsageError('--score takes CLASSIFIER.CATEGORY=SCORE, from 0 to 1 or unknown');
  return [name, score === 'unknown' ? score : Number(score)];
}

function readChoice<const W extends readonly string[]>(option: string, given: string | undefined, words: W): W[number] | undefined {
  if (given !== undefined && !words.includes(given)) throw new UsageError(`option --${option} takes ${words.join(' or ')}`);
  return given;
}

// Recorded decisions.

interface RequestOptions {
  readonly config: string | undefined;
  readonly failMode: FailMode | undefined;
  /** The policy that the call names. */
  readonly named: string | undefined;
  readonly direction: Direction | undefined;
  readonly json: boolean;
}

async function explainRequest(requestId: string, options: RequestOptions, io: Io, pool: ClassifierPool): Promise<number> {
  const { config, issues } = await readSources(options.config, io.env);
  if (config === undefined) throw new ConfigError(issues);
  const record = await findExchange(config.audit.dir, requestId);
  const fail = (message: string): number => {
    io.stderr(`weir policy explain: ${message}\n`);
    return 1;
  };
  if (record === undefined) return fail(`no exchange ${JSON.stringify(requestId)} in ${config.audit.dir}; check the id, and audit.dir of the configuration`);
  const decisions = recordedDecisions(record).filter((one) => options.direction === undefined || one.direction === options.direction);
  const [first] = decisions;
  if (first === undefined) return fail('no policy decided about this exchange');
  const failMode = options.failMode ?? config.tenants.find(({ id }) => id === record.tenant_id)?.fail_mode;
  const at = first.policy.lastIndexOf('@');
  // The store keeps every revision, files only the one that they hold.
  const decided = /^\d{1,9}$/.test(first.policy.slice(at + 1)) ? first.policy : first.policy.slice(0, at);
  const plan = await takePolicy(options.named ?? decided, { ...options, failMode }, io, pool);
  const name = nameOf(plan.policy);
  if (name !== first.policy) return fail(`the exchange was decided by ${first.policy}, and what is here is ${name}; name a file of that revision with --policy`);
  const explained = decisions.map((one) => explainRecorded(one, plan.policy, plan.failMode));
  if (options.json) io.stdout(`${JSON.stringify({ request_id: requestId, decisions: explained.map((one) => explainedJson(one, plan.policy)) })}\n`);
  else io.stdout(explained.map((one) => recordedText(one, plan)).join('\n'));
  return explained.some(({ problem }) => problem !== undefined) ? 1 : 0;
}

async function findExchange(dir: string, requestId: string): Promise<ExchangeRecord | undefined> {
  for await (const record of newestExchanges(dir)) if (record.request_id === requestId) return record;
  return undefined;
}

// Printing.

function textOf({ policy }: ScreeningPlan, explanation: Explanation): string {
  const { action, degraded } = explanation.decision;
  return `${[`policy   ${nameOf(policy)}`, `action   ${action}`, ...(degraded.length === 0 ? [] : [`degraded ${degraded.join(', ')}`]), ...explanationLines(explanation, true)].join('\n')}\n`;
}

function recordedText({ recorded, explanation, problem }: ExplainedRecord, plan: ScreeningPlan): string {
  const head = `${recorded.direction} of ${recorded.request_id}, ${recorded.time}: recorded ${recorded.action}, ${recorded.rules.join(', ') || 'no rule'}\n`;
  return `${head}${problem === undefined ? '' : `warning  ${problem}\n`}${explanation === undefined ? '' : textOf(plan, explanation)}`;
}
