/**
 * How classifiers and people keep up: latency of each classifier in this process, scores that did not arrive in the window,
 * what waits for people, how long they take, and how often they let through what was escalated. Nothing of it says who.
 */
import type { ClassifierSummary } from '../admin/classifiers.ts';
import type { Api, PageRequest } from '../admin/pages.ts';
import { SEVERITIES, type Severity } from '../contract/screening.ts';
import type { Overrides, Rate } from '../review/overrides.ts';
import { html, type Piece } from './html.ts';
import { count, share } from './parts.ts';

/** Decisions in which scores of a classifier did not arrive; what it does not judge is not counted. */
export interface Missing {
  readonly timeouts: number;
  readonly others: number;
}

export interface HealthQuestion {
  readonly missing: ReadonlyMap<string, Missing>;
  /** Decisions in the window. */
  readonly decisions: number;
  readonly tenant: string | undefined;
  readonly since: string;
  readonly until: string;
}

// Classifiers.

export async function classifierHealth(api: Api, request: PageRequest, { missing, decisions }: HealthQuestion): Promise<Piece> {
  const answer = api.may(request.actor, 'listClassifiers') ? await api.call('listClassifiers', request) : undefined;
  const running = answer?.status === 200 ? (answer.body as { readonly classifiers: readonly ClassifierSummary[] }).classifiers : [];
  const ids = [...new Set([...running.map(({ id }) => id), ...[...missing.keys()].filter((id) => id !== 'patterns')])];
  if (ids.length === 0) return '';
  return html`<figure><figcaption>Classifiers <span class="quiet">latency in this process; timeouts and other unknown scores in ${count(decisions)} decisions of the window</span></figcaption><div class="scroll" tabindex="0" role="region" aria-label="Classifiers"><table><thead><tr><th scope="col">Classifier</th><th scope="col" class="number">p50 ms</th><th scope="col" class="number">p95 ms</th><th scope="col" class="number">p99 ms</th><th scope="col" class="number">Timeouts</th><th scope="col" class="number">Unknown</th></tr></thead><tbody>${ids.map((id) => {
    const latency = running.find((one) => one.id === id)?.latency_ms ?? null;
    const { timeouts, others } = missing.get(id) ?? { timeouts: 0, others: 0 };
    return html`<tr><th scope="row">${running.length === 0 ? html`<code>${id}</code>` : html`<a href="/classifiers/${id}">${id}</a>`}</th>${(['p50', 'p95', 'p99'] as const).map((name) => html`<td class="number">${latency === null ? '–' : latency[name].toFixed(2)}</td>`)}<td class="number">${count(timeouts)}</td><td class="number">${count(others)}</td></tr>`;
  })}</tbody></table></div></figure>`;
}

// People.

interface QueuePace {
  readonly waiting: Readonly<Record<Severity, number>>;
  readonly overdue: number;
  readonly decided: number;
  readonly late: number;
  readonly median_minutes: number | null;
  readonly allowed: Rate | null;
  readonly truncated: boolean;
}

export async function reviewHealth(api: Api, request: PageRequest, { tenant, since, until }: HealthQuestion): Promise<Piece> {
  const answer = api.may(request.actor, 'readQueuePace') ? await api.call('readQueuePace', request, { query: { tenant, since, until } }) : NOTHING;
  if (answer.status !== 200) return '';
  const { waiting, overdue, decided, late, median_minutes: minutes, allowed, truncated } = answer.body as QueuePace;
  const bySeverity = [...SEVERITIES].reverse().map((severity) => [severity, waiting[severity]] as const).filter(([, many]) => many > 0);
  const percent = (value: number): string => (100 * value).toFixed(0);
  return html`<h2>Review</h2><dl class="tiles">
<div><dt>Waiting for people</dt><dd><strong>${count(bySeverity.reduce((sum, [, many]) => sum + many, 0))}</strong> <span class="quiet">${bySeverity.map(([severity, many]) => `${count(many)} ${severity}`).join(', ')}</span></dd></div>
<div><dt>Overdue</dt><dd><strong>${count(overdue)}</strong> <span class="quiet">${late === 0 ? '' : `${count(late)} decided late`}</span></dd></div>
<div><dt>Decided in this time</dt><dd><strong>${count(decided)}${truncated ? '+' : ''}</strong> <span class="quiet">${minutes === null ? '' : `half within ${minutesTold(minutes)}`}</span></dd></div>
<div><dt>Overridden: people let it through</dt><dd><strong>${allowed === null ? '–' : `${percent(allowed.rate)} %`}</strong> <span class="quiet">${allowed === null ? '' : `${count(allowed.of)} of ${count(allowed.judged)} (${percent(allowed.low)}–${percent(allowed.high)} %)`}</span></dd></div></dl>`;
}

function minutesTold(minutes: number): string {
  if (minutes < 1) return `${Math.max(1, Math.round(minutes * 60))} s`;
  return minutes < 120 ? `${Math.round(minutes)} min` : `${Math.round(minutes / 60)} h`;
}

/** What people said of what rules found, of thirty days. */
export async function judgedOtherwise(api: Api, request: PageRequest, tenant: string | undefined): Promise<Piece> {
  const { status, body } = api.may(request.actor, 'readOverrides') ? await api.call('readOverrides', request, { query: { tenant } }) : NOTHING;
  const { rules = [] } = (status === 200 ? body : {}) as Partial<Overrides>;
  if (rules.length === 0) return '';
  const told = (rate: Rate | null): Piece => (rate === null ? '–' : html`${share(rate.of, rate.judged)} <span class="quiet">of ${count(rate.judged)}, ${share(rate.low, 1)} to ${share(rate.high, 1)}</span>`);
  return html`<figure><figcaption>What people judged otherwise than rules, in 30 days</figcaption><div class="scroll" tabindex="0" role="region" aria-label="What people judged otherwise"><table><thead><tr><th scope="col">Rule</th><th scope="col">Fired, and people allow it</th><th scope="col">Nearly fired, and people block it</th></tr></thead><tbody>${rules.slice(0, RULES_MAX).map(({ policy, rule, false_positives: fired, near_misses: near }) => html`<tr><th scope="row"><code>${policy}</code> <code>${rule}</code></th><td>${told(fired)}</td><td>${told(near)}</td></tr>`)}</tbody></table></div></figure>`;
}

const NOTHING = { status: 404, body: undefined } as const;
const RULES_MAX = 12;
