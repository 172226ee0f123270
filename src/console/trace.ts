/** Why a policy decided as it did, rule by rule: a tree of what each condition compared, and with what. Pure. */
import type { ExplanationJson, Trace } from '../policy/explain.ts';
import { html, type Html, type Piece } from './html.ts';
import { actionBadge, names } from './parts.ts';

const STATES: Readonly<Record<string, string>> = { 'true': 'holds', 'false': 'does not hold', 'unknown': 'unknown', 'not_reached': 'not reached', 'other_direction': 'other direction', 'disabled': 'switched off' };

export function explanationBody({ policy, action, triggered_rules: rules, degraded, rules: traced }: ExplanationJson): Html {
  return html`<p class="lead">${actionBadge(action)} by ${names(rules, 'the default, since no rule decided')}, policy <code>${policy}</code></p>
${degraded.length === 0 ? '' : html`<p class="fault">A fail mode decided for ${names(degraded)}.</p>`}
${ruleTraces(rules, traced)}`;
}

export function ruleTraces(decided: readonly string[], traced: ExplanationJson['rules']): Html {
  return html`<ol class="trace">${traced.map(({ rule, action: of, state, reason, trace }) => html`
<li class="s-${state}"><details${decided.includes(rule) ? html` open` : ''}><summary><code>${rule}</code> ${actionBadge(of)} <strong>${STATES[state] ?? state}</strong> <span class="quiet">${reason}</span></summary>${trace === undefined ? html`<p class="quiet">It was not tried.</p>` : html`<ul>${branch(trace)}</ul>`}</details></li>`)}
</ol>`;
}

function branch(trace: Trace): Piece {
  const state = html`<span class="t-${trace.value}">${trace.value}</span>`;
  switch (trace.kind) {
    case 'score':
      return html`<li>${state} score <code>${trace.test}</code>: ${trace.scores.length === 0 ? html`<span class="quiet">nothing was found</span>` : trace.scores.map((score) => score.toFixed(3)).join(', ')}${trace.missing ? html` <strong>a score is missing</strong>` : ''}${trace.unread === undefined ? '' : html` <span class="quiet">(${trace.unread.join(', ')} is not read)</span>`}</li>`;
    case 'context':
      return html`<li>${state} context <code>${trace.test}</code>: ${trace.actual === undefined ? html`<span class="quiet">none</span>` : String(trace.actual)}</li>`;
    default:
      return html`<li>${state} ${trace.kind}<ul>${trace.of.map(branch)}</ul></li>`;
  }
}
