/**
 * `weir screen`: one text through the policy of a tenant, as `POST /weir/v1/screen` would take it, and the decision with
 * its reasons. The text itself is printed only as the policy would let it through.
 */
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { ClassifierPool, loadRuntime, planOf } from '../runtime.ts';
import { WeirError } from '../contract/errors.ts';
import type { ClassifierResult, Context, ContextValue, Coverage, ScoredResult, ScreeningDecision, UnknownResult } from '../contract/screening.ts';
import { readScreeningRequest, screenOnce } from '../screen/service.ts';
import { parseCall, UsageError, type CliCommand, type Io } from './command.ts';
import { readStored } from './stored.ts';

export const screen: CliCommand = {
  name: 'screen',
  summary: 'screen one text and print the decision with its reasons',
  help: `usage: weir screen [text or -] [--direction input|output] [--content-type text|image|audio] [--tenant ID]
                   [--context KEY=VALUE]... [--config FILE] [--json]

Screens the text, or what comes on stdin when there is none or it is -, and prints the decision: the action, the rules
that fired, the scores and where they stand, and what nothing could read. Nothing is stored.

  --direction D        input (default) or output
  --content-type T     text (default), image or audio; an image or a recording is given as URL, data URL or base64
  --tenant ID          whose policy; default: the only tenant
  --context KEY=VALUE  a context value for the policy; true, false and numbers are read as such; may be repeated
  --config FILE        default: config/weir.yaml in the working directory, else the one that comes with weir
  --json               print the ScreeningDecision

exit code: 0 there is a decision, whatever it is, 1 screening failed, 2 wrong call
`,
  async run(args, io) {
    const { options, operands } = parseCall(args, { direction: 'value', 'content-type': 'value', tenant: 'value', context: 'list', config: 'value', json: 'flag' }, 1);
    const context = Object.fromEntries(options.context.map(readContextOption)) as Context;
    const content = operands[0] === undefined || operands[0] === '-' ? await text(io.stdin) : operands[0];
    const pool = new ClassifierPool();
    try {
      const runtime = await loadRuntime(options.config, io.env, pool, readStored(pool));
      const tenantId = chooseTenant(runtime.snapshot.config.tenants.map(({ id }) => id), options.tenant);
      const type = options['content-type'] ?? 'text';
      const request = readScreeningRequest({ direction: options.direction ?? 'input', content_type: type, content: type === 'text' ? content : content.trim(), context }, { requestId: randomUUID(), tenantId, now: new Date() });
      const decision = await screenOnce(request, planOf(runtime, tenantId), new Date());
      io.stdout(options.json ? `${JSON.stringify(decision)}\n` : decisionText(decision, io));
      return 0;
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      if (error.code === 'invalid_request') throw new UsageError(error.message.split(';')[0]);
      io.stderr(`weir screen: ${error.message}\n`);
      return 1;
    } finally {
      await pool.close();
    }
  },
};

/** `KEY=VALUE`; true, false and numbers are read as such. */
export function readContextOption(option: string): readonly [string, ContextValue] {
  const at = option.indexOf('=');
  if (at < 1) throw new UsageError('--context takes KEY=VALUE');
  const value = option.slice(at + 1);
  if (value === 'true' || value === 'false') return [option.slice(0, at), value === 'true'];
  return [option.slice(0, at), /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value];
}

/** The tenant asked for, or the only one there is. */
export function chooseTenant(ids: readonly string[], asked: string | undefined): string {
  if (asked === undefined && ids.length === 1) return ids[0];
  if (asked === undefined) throw new UsageError(`there are ${ids.length} tenants; name one with --tenant`);
  if (!ids.includes(asked)) throw new UsageError(`there is no tenant ${JSON.stringify(asked)}`);
  return asked;
}

function decisionText(decision: ScreeningDecision, io: Io): string {
  const bold = (word: string): string => (io.color ? `\u001b[1m${word}\u001b[22m` : word);
  const lines = [
    `action   ${bold(decision.action)}`,
    `policy   ${decision.policy}`,
    `rules    ${decision.triggered_rules.join(', ') || 'none: the default action'}`,
    ...(decision.degraded === undefined ? [] : [`degraded ${decision.degraded.join(', ')}`]),
    ...coverageLines(decision.coverage),
    `took     ${decision.decision_latency_ms.toFixed(2)} ms`,
    ...resultLines(decision.classifier_results).map((line, index) => `${index === 0 ? 'results ' : '        '} ${line}`),
    ...(decision.modified_content === undefined ? [] : ['', decision.modified_content]),
  ];
  return `${lines.join('\n')}\n`;
}

/** Nothing to say where all was screened. */
function coverageLines({ opaque, nothing_to_screen: nothing }: Coverage): readonly string[] {
  const unread = opaque.map(({ kind }) => `${kind} not read by any classifier`);
  return [...unread, ...(nothing === true ? ['nothing to screen'] : [])].map((line) => `coverage ${line}`);
}

/** The highest first; what is hardly there, and what nobody could judge, in one line each. */
function resultLines(results: readonly ClassifierResult[]): readonly string[] {
  const scored = results.filter((result) => 'score' in result);
  const told = scored.filter(({ score }) => score >= SCORE_TOLD).sort((a, b) => b.score - a.score);
  const low = scored.filter(({ score }) => score < SCORE_TOLD);
  const unknown = results.filter((result) => 'unknown' in result);
  return [
    ...told.map(resultText),
    ...(unknown.length === 0 ? [] : [`unknown: ${unknownText(unknown)}`]),
    ...(low.length === 0 ? [] : [`${low.length} below ${SCORE_TOLD} (--json has them)`]),
  ];
}

const SCORE_TOLD = 0.1;

/** `13 of toxicity (unsupported)` */
function unknownText(results: readonly UnknownResult[]): string {
  const counts = Map.groupBy(results, ({ classifier_id: id, reason }) => `${id} (${reason})`);
  return [...counts].map(([name, own]) => `${own.length} of ${name}`).join(', ');
}

function resultText({ classifier_id: id, category, score, spans }: ScoredResult): string {
  return `${id}.${category} ${score.toFixed(2)}${spans.length === 0 ? '' : ` at ${spans.map(({ start, end }) => `${start}–${end}`).join(' ')}`}`;
}
