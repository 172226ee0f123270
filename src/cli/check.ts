/**
 * `weir check`: reads configuration, policies, patterns and plugins as `start` would, and prints every finding with its
 * place, the line it is in and what was probably meant. Starts nothing. Values of keys that hold secrets are not shown.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import type { Treatment } from '../contract/screening.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { readYaml } from '../config/yaml.ts';
import { POLICY_LIMITS } from '../policy/parse.ts';
import { ClassifierPool, loadRuntime } from '../runtime.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import { campaignNeeds, type CampaignNeeds } from './campaign-needs.ts';
import { UsageError, parseCall, type CliCommand, type Io } from './command.ts';
import { readStored } from './stored.ts';

export const check: CliCommand = {
  name: 'check',
  summary: 'validate configuration, policies, patterns and plugins',
  help: `usage: weir check [config] [--config FILE] [--patterns] [--json]

Reads the configuration (by default config/weir.yaml, else the one that comes with Weir) and all its policies, and
prints every finding as file:line:column with the line it is in and a suggestion where there is one. For each policy
it says how many characters its patterns can hold back on a stream; for images and recordings, who reads them, or what
becomes of them when nobody does. Of each campaign of residual risk it says how many labels recent traffic makes, and what it
lacks. A policy that the store holds counts in place of a file, and is named.

  --config FILE  the configuration to check, as for every command
  --patterns     list each policy's patterns with what each can hold back
  --json         print one JSON object: ok, file, errors, warnings, issues, patterns, media, campaigns

exit code: 0 no error (warnings may be printed), 1 errors, 2 wrong call
`,
  async run(args, io) {
    const { options, operands } = parseCall(args, { config: 'value', patterns: 'flag', json: 'flag', help: 'flag' }, 1);
    if (options.config !== undefined && operands.length > 0) throw new UsageError('the configuration is given twice');
    const file = options.config ?? operands[0];
    const { snapshot, issues, policies, media, campaigns } = await examine(file, io);
    const ok = snapshot !== undefined;
    if (options.json) io.stdout(`${JSON.stringify({ ...reportOf(ok, snapshot, issues), patterns: Object.fromEntries(policies.map(({ policy, patterns }) => [policy, patterns])), media: Object.fromEntries(media.map(({ type, ...rest }) => [type, rest])), campaigns })}\n`);
    else {
      await printIssues(ok, snapshot, issues, io);
      for (const costs of policies) printCosts(costs, options.patterns === true, io);
      for (const one of media) printMedia(one, io);
      for (const one of campaigns) printCampaign(one, io);
    }
    return ok ? 0 : 1;
  },
};

interface Examination {
  readonly snapshot?: Snapshot;
  readonly issues: readonly ConfigIssue[];
  readonly policies: readonly PolicyCosts[];
  readonly media: readonly MediaReaders[];
  readonly campaigns: readonly CampaignNeeds[];
}

/** Who scores what is no text, and what becomes of it in a prompt when nobody does. */
interface MediaReaders {
  readonly type: 'image' | 'audio';
  readonly read_by: readonly string[];
  readonly otherwise: Treatment;
}

/** What a pattern costs: the most characters it can make a stream wait; 0 where the policy only observes it. */
interface PatternCost {
  readonly pattern: string;
  readonly label: string;
  readonly hold_chars: number;
  readonly validated: boolean;
}

interface PolicyCosts {
  readonly policy: string;
  readonly patterns: readonly PatternCost[];
}

/** The path `start` takes, up to the point where something would listen. */
async function examine(file: string | undefined, io: Io): Promise<Examination> {
  const pool = new ClassifierPool();
  try {
    const { snapshot, plans, classifiers } = await loadRuntime(file, io.env, pool, readStored(pool));
    const media = (['image', 'audio'] as const).map((type): MediaReaders => ({
      type, read_by: classifiers.filter((one) => one.classify !== undefined && one.contentTypes.includes(type)).map(({ id }) => id), otherwise: snapshot.config.proxy.opaque[type],
    }));
    return { snapshot, issues: snapshot.warnings, policies: costsOf([...plans.values()].flatMap((plan) => (plan.canary === undefined ? [plan] : [plan, plan.canary.plan]))), media, campaigns: await campaignNeeds(snapshot.config) };
  } catch (error) {
    if (error instanceof ConfigError) return { issues: await Promise.all(error.issues.map(withPatternPlace)), policies: [], media: [], campaigns: [] };
    throw error;
  } finally {
    await pool.close();
  }
}

function costsOf(plans: readonly ScreeningPlan[]): readonly PolicyCosts[] {
  const byPolicy = new Map(plans.map((plan) => [plan.policy.id, plan]));
  return [...byPolicy].map(([policy, { patterns }]) => ({
    policy,
    patterns: patterns.patterns
      .map(({ classifier, definition, holds, holdChars, validate }) => ({ pattern: `${classifier}.${definition.id}`, label: definition.label, hold_chars: holds ? holdChars : 0, validated: validate !== undefined }))
      .sort((a, b) => b.hold_chars - a.hold_chars),
  }));
}

/** The matching engine knows a pattern by its id; this finds its line. */
async function withPatternPlace(issue: ConfigIssue): Promise<ConfigIssue> {
  const id = /^patterns\.([^[]+)$/.exec(issue.path)?.[1];
  if (id === undefined) return issue;
  const document = readYaml(await readFile(resolve(issue.file), 'utf8').catch(() => ''), issue.file, POLICY_LIMITS);
  const patterns = (document.value as { readonly patterns?: readonly { readonly id?: unknown; readonly regex?: unknown }[] } | undefined)?.patterns ?? [];
  const index = patterns.findIndex((pattern) => pattern.id === id);
  if (index < 0) return issue;
  const key = patterns[index].regex === undefined ? 'literal' : 'regex';
  return { ...issue, ...document.at(['patterns', index, key]), path: `patterns[${index}].${key}` };
}

// Printing.

function reportOf(ok: boolean, snapshot: Snapshot | undefined, issues: readonly ConfigIssue[]): object {
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const parts = snapshot ? { file: snapshot.file, hash: snapshot.hash, tenants: snapshot.config.tenants.length, policies: [...snapshot.policies.keys()] } : {};
  return { ok, ...parts, errors, warnings: issues.length - errors, issues };
}

async function printIssues(ok: boolean, snapshot: Snapshot | undefined, issues: readonly ConfigIssue[], io: Io): Promise<void> {
  const paint = (code: number, text: string): string => (io.color ? `\x1b[${code}m${text}\x1b[0m` : text);
  const lines = new SourceLines();
  for (const issue of issues) {
    const tone = issue.severity === 'error' ? paint(31, 'error') : paint(33, 'warning');
    io.stdout(`${visible(issue.file)}:${issue.line}:${issue.column} ${tone} ${visible(issue.message)}\n`);
    const excerpt = excerptOf(await lines.at(issue.file, issue.line), issue.column, io.columns);
    if (excerpt) io.stdout(`    ${excerpt.text}\n    ${' '.repeat(excerpt.caret)}${paint(36, '^')}\n`);
    if (issue.suggestion !== undefined) io.stdout(`    ${visible(issue.suggestion)}\n`);
  }
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const counts = [count(errors, 'error'), count(issues.length - errors, 'warning')].join(', ');
  if (ok && snapshot) io.stdout(`${visible(snapshot.file)} ${paint(32, 'ok')}: ${count(snapshot.config.tenants.length, 'tenant')}, ${count(snapshot.policies.size, 'polic', 'y', 'ies')}, ${counts}\n`);
  else io.stdout(`${paint(31, 'not usable')}: ${counts}\n`);
  for (const [id, place] of snapshot?.policyFiles ?? []) {
    const file = snapshot!.written.get(id)?.file;
    if (place.startsWith('store:')) io.stdout(`policy ${visible(id)}: revision ${place.slice(place.indexOf('@') + 1)} of the store counts${file === undefined ? '' : `, in place of ${visible(file)}`}\n`);
  }
}

function printCosts({ policy, patterns }: PolicyCosts, each: boolean, io: Io): void {
  const holding = patterns.filter((pattern) => pattern.hold_chars > 0);
  const most = holding[0] === undefined ? 'text never waits for them' : `an answer's text waits for at most ${holding[0].hold_chars} characters (${visible(holding[0].pattern)})`;
  io.stdout(`policy ${visible(policy)}: ${count(patterns.length, 'pattern')}; ${most}\n`);
  if (!each) return;
  const width = Math.max(7, ...patterns.map(({ pattern }) => pattern.length));
  io.stdout(`  ${'pattern'.padEnd(width)}  holds  checked  label\n`);
  for (const { pattern, hold_chars: held, validated, label } of patterns) io.stdout(`  ${visible(pattern).padEnd(width)}  ${String(held).padStart(5)}  ${validated ? 'yes    ' : 'no     '}  ${visible(label)}\n`);
}

function printMedia({ type, read_by: readers, otherwise }: MediaReaders, io: Io): void {
  const noun = type === 'image' ? 'images' : 'recordings';
  const fate = otherwise === 'pass' ? 'pass unread, and the record says so' : 'are refused';
  if (readers.length > 0) io.stdout(`${noun}: read by ${readers.map(visible).join(', ')}; those not judged in time ${fate} (proxy.opaque.${type})\n`);
  else io.stdout(`${noun}: no classifier reads them; they ${fate} (proxy.opaque.${type})\n`);
}

function printCampaign({ campaign, labels_per_week: labels, days_at_least: days, lacks }: CampaignNeeds, io: Io): void {
  const made = labels === null ? 'no traffic of it is recorded yet' : `recent traffic makes some ${Math.round(labels)} labels a week${days === null ? '' : `, and its claim takes ${count(days, 'day')} at least`}`;
  io.stdout(`campaign ${visible(campaign)}: ${made}\n${lacks.map((one) => `  it lacks: ${visible(one)}\n`).join('')}`);
}

function count(number: number, noun: string, one = '', many = 's'): string {
  return `${number} ${noun}${number === 1 ? one : many}`;
}

/** Lines of the files that issues stand in, each file read once. */
class SourceLines {
  readonly #files = new Map<string, readonly string[]>();

  async at(file: string, line: number): Promise<string> {
    let lines = this.#files.get(file);
    if (!lines) {
      const text = await readFile(resolve(file), 'utf8').catch(() => '');
      this.#files.set(file, (lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)));
    }
    return lines[line - 1] ?? '';
  }
}

/** The part of a line around a column that fits the terminal, or undefined where there is nothing to show. */
function excerptOf(line: string, column: number, columns: number): { readonly text: string; readonly caret: number } | undefined {
  if (line.trim() === '') return undefined;
  const width = Math.max(20, columns - 4);
  const start = column > width ? column - Math.floor(width / 2) : 0;
  return { text: visible(withoutSecrets(line)).slice(start, start + width), caret: column - 1 - start };
}

/** Values of keys that hold secrets, and credentials in URLs, at their length so that the caret stays right. */
function withoutSecrets(line: string): string {
  return line
    .replaceAll(/((?:api_key|sha256|secret|token|password)["']?\s*:\s*)(?!\$\{)("[^"]*"|'[^']*'|[^\s,}#]+)/gi, (_, key: string, value: string) => key + '*'.repeat(value.length))
    .replaceAll(/(:\/\/)([^\s/@]+)@/g, (_, slashes: string, userinfo: string) => `${slashes}${'*'.repeat(userinfo.length)}@`);
}

/** Control characters would move the cursor or forge lines. */
function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
