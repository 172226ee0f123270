/** An explanation as lines of text: each rule with its state, its reason and, below it, what was compared. */
import { actionText } from '../../policy/hold.ts';
import type { Explanation, RuleTrace, Trace } from '../../policy/explain.ts';

/** `all`: rules that were not tried too. */
export function explanationLines({ rules, decision }: Explanation, all: boolean): readonly string[] {
  const shown = rules.filter(({ trace }) => all || trace !== undefined);
  const width = Math.max(0, ...shown.map(({ rule }) => rule.id.length));
  const lines = shown.flatMap((traced) => ruleLines(traced, width, decision.rule === traced.rule ? actionText(decision) : undefined));
  return decision.rule === undefined ? [...lines, `no rule decides: the default action ${decision.action}`] : lines;
}

/** `decided`: of the rule that decides. */
function ruleLines({ rule, state, reason, trace }: RuleTrace, width: number, decided: string | undefined): readonly string[] {
  const head = `${decided === undefined ? ' ' : '▶'} ${rule.id.padEnd(width)}  ${state.replaceAll('_', ' ').padEnd(7)}  ${reason}${decided === undefined ? '' : `: ${decided}`}`;
  return trace === undefined ? [head] : [head, ...traceLines(trace, '      ')];
}

function traceLines(trace: Trace, indent: string): readonly string[] {
  if (trace.kind === 'score') {
    const known = trace.scores.length === 0 ? (trace.missing ? 'no score' : 'nothing that it reads') : `${trace.scores.map((score) => String(score)).join(', ')}${trace.missing ? ', more missing' : ''}`;
    const unread = trace.unread === undefined ? '' : `, does not read ${trace.unread.join(' and ')}`;
    return [`${indent}${trace.value.padEnd(7)}  ${trace.test}  (${known}${unread})`];
  }
  if (trace.kind === 'context') return [`${indent}${trace.value.padEnd(7)}  context ${trace.test}  (${trace.actual === undefined ? 'absent' : JSON.stringify(trace.actual)})`];
  return [`${indent}${trace.value.padEnd(7)}  ${trace.kind}`, ...trace.of.flatMap((part) => traceLines(part, `${indent}  `))];
}
