/**
 * The rules for Prometheus, each tried by `promtool` on series of its own: it fires, it does not just below, and it ends.
 * Every metric and label that they name is one of Weir's. Where no promtool is installed the rules are not tried, but in
 * CI that fails.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PARTS } from '../../src/contract/health.ts';
import { METRICS, type MetricDefinition } from '../../src/telemetry/metrics.ts';
import { ALERTS, labelsIn, metricOf, metricsIn, RECORDS, RULES_FILE } from '../helpers/alerts.ts';

const PROMTOOL_MISSING = spawnSync('promtool', ['--version']).error !== undefined && !process.env.CI ? 'promtool is not installed' : false;

/** Of a gauge its value, of a counter what comes in a minute. */
interface Level {
  readonly firing: number;
  /** Just not. */
  readonly below: number;
  /** Afterwards. */
  readonly ended: number;
}

interface Case {
  readonly alert: string;
  readonly series: Readonly<Record<string, Level>>;
  /** For how long it is so. */
  readonly minutes: number;
  /** When it has ended after that. */
  readonly endsAfter: number;
  /** Between two samples, and two evaluations. */
  readonly everyMinutes?: number;
}

const at = (firing: number, below: number, ended = below): Level => ({ firing, below, ended });
const always = (value: number): Level => at(value, value);
/** A gauge that says that something is well; `what` more it is told of. */
const part = (alert: string, name: string, minutes: number): Case => ({ alert, series: { [`weir_healthy{part="${name}"}`]: at(0, 1) }, minutes, endsAfter: 2 });
/** Of 100,000 answers in a minute so many fail by a fault of ours. */
const answers = (firing: number, below: number): Case['series'] => ({ 'weir_answers_total{fault="weir"}': at(firing, below, 0), 'weir_answers_total{fault="none"}': at(100_000 - firing, 100_000 - below, 100_000), 'weir_answers_total{fault="client"}': always(50_000), 'weir_answers_total{fault="upstream"}': always(4_000) });
/** Of 1,000 values in a minute so many are no more than `bound`, and all are no more than twice that. */
const histogram = (name: string, labels: string, bound: number, firing: number, below: number): Case['series'] => ({ [`${name}_bucket{${labels},le="${bound / 2}"}`]: always(0), [`${name}_bucket{${labels},le="${bound}"}`]: at(firing, below, 1_000), [`${name}_bucket{${labels},le="${bound * 2}"}`]: always(1_000), [`${name}_bucket{${labels},le="+Inf"}`]: always(1_000) });

const CASES: readonly Case[] = [
  { alert: 'WeirErrorBudgetBurnFast', series: answers(1_445, 1_435), minutes: 70, endsAfter: 6 },
  { alert: 'WeirErrorBudgetBurnMedium', series: answers(605, 595), minutes: 400, endsAfter: 35, everyMinutes: 5 },
  { alert: 'WeirErrorBudgetBurnSlow', series: answers(101, 99), minutes: 4_400, endsAfter: 390, everyMinutes: 10 },
  { alert: 'WeirDown', series: { 'up{job="weir"}': at(0, 1) }, minutes: 3, endsAfter: 1 },
  { alert: 'WeirUpstreamFails', series: { 'weir_answers_total{fault="upstream"}': at(51, 49, 0), 'weir_answers_total{fault="none"}': at(949, 951) }, minutes: 20, endsAfter: 12 },
  // A day at one in fifty goes before; see `before`.
  { alert: 'WeirViolationSpike', series: { 'weir_decisions_total{tenant="acme",direction="input",action="block"}': at(62, 58, 20), 'weir_decisions_total{tenant="acme",direction="input",action="allow"}': at(938, 942, 980) }, minutes: 25, endsAfter: 15, everyMinutes: 5 },
  { alert: 'WeirClassifierDown', series: { 'weir_classifier_breaker_state{classifier="vendor"}': at(2, 0) }, minutes: 5, endsAfter: 1 },
  { alert: 'WeirClassifierSlow', series: histogram('weir_classifier_latency_seconds', 'classifier="vendor"', 0.08, 940, 951), minutes: 25, endsAfter: 12 },
  { alert: 'WeirClassifierUnknown', series: { 'weir_classifier_results_total{classifier="vendor",outcome="timeout"}': at(51, 49, 0), 'weir_classifier_results_total{classifier="vendor",outcome="ok"}': at(949, 951, 1_000), 'weir_classifier_results_total{classifier="vendor",outcome="unsupported"}': always(9_000) }, minutes: 25, endsAfter: 12 },
  part('WeirScreeningOverloaded', 'screening', 4),
  { alert: 'WeirUnscreenedForwarded', series: { 'weir_unscreened_forwarded_total{tenant="acme",reason="skipped_rule"}': at(51, 49, 0), 'weir_unscreened_forwarded_total{tenant="acme",reason="opaque"}': always(900), 'weir_exchanges_total{tenant="acme",action="allow",outcome="completed"}': always(1_000) }, minutes: 20, endsAfter: 12 },
  part('WeirRedisDown', 'redis', 3),
  part('WeirStoreDown', 'usage', 4),
  part('WeirStoreDown', 'policies', 4),
  part('WeirPartUnwell', 'webhook', 20),
  // Time begins at 0 there.
  { alert: 'WeirExpiresSoon', series: { 'weir_expiry_timestamp_seconds{kind="api_key",tenant="acme"}': at(604_700, 606_000), 'weir_expiry_timestamp_seconds{kind="admin_token"}': always(Infinity) }, minutes: 8, endsAfter: 1 },
  { alert: 'WeirConfigRefused', series: { weir_config_last_reload_success: at(0, 1) }, minutes: 3, endsAfter: 1 },
  { alert: 'WeirPolicyStale', series: { 'weir_policy_stale{policy="acme"}': at(1, 0) }, minutes: 4, endsAfter: 1 },
  { alert: 'WeirEventLoopDelay', series: { 'weir_event_loop_delay_seconds{quantile="0.99"}': at(0.11, 0.1), 'weir_event_loop_delay_seconds{quantile="1"}': always(3) }, minutes: 7, endsAfter: 1 },
  part('WeirAuditBroken', 'audit', 1),
  { alert: 'WeirContentLost', series: { 'weir_content_lost_total{reason="write"}': at(1, 0) }, minutes: 5, endsAfter: 16 },
  { alert: 'WeirAuditLag', series: histogram('weir_stage_duration_seconds', 'stage="audit"', 0.25, 980, 991), minutes: 20, endsAfter: 12 },
  { alert: 'WeirAuditShippingLag', series: { weir_audit_ship_lag_entries: at(10_001, 10_000) }, minutes: 12, endsAfter: 1 },
  part('WeirAuditShippingFails', 'audit_ship', 7),
  part('WeirAuditShippingFails', 'audit:eu-1/a', 7),
  { alert: 'WeirAuditReceivedLag', series: { 'weir_audit_received_lag_entries{log="eu-1/a"}': at(10_001, 10_000) }, minutes: 12, endsAfter: 1 },
  { alert: 'WeirDecisionIndexLag', series: { weir_decisions_index_lag_entries: at(50_001, 50_000) }, minutes: 17, endsAfter: 1 },
  { alert: 'WeirReviewOverdueUrgent', series: { 'weir_review_overdue{severity="high"}': at(1, 0), 'weir_review_overdue{severity="low"}': always(7) }, minutes: 3, endsAfter: 1 },
  { alert: 'WeirReviewOverdue', series: { 'weir_review_overdue{severity="medium"}': at(1, 0), 'weir_review_overdue{severity="critical"}': always(7) }, minutes: 17, endsAfter: 1 },
  part('WeirPagerDown', 'pager', 4),
  { alert: 'WeirTrainingOverdue', series: { weir_learning_last_training_timestamp_seconds: at(-691_300, -688_000) }, minutes: 35, endsAfter: 1 },
  { alert: 'WeirModelsDiffer', series: { 'weir_learning_processes_behind{plugin="toxicity"}': at(1, 0) }, minutes: 12, endsAfter: 1 },
  { alert: 'WeirRiskClaimContradicted', series: { 'weir_risk_claim{campaign="q",state="contradicted"}': at(1, 0), 'weir_risk_claim{campaign="q",state="open"}': at(0, 1) }, minutes: 12, endsAfter: 1 },
];

/** What an alert compares with, in minutes: a day as it is when it has ended. */
const BEFORE: Readonly<Record<string, number>> = { WeirViolationSpike: 1_450 };

/** The samples of a counter rise; of a gauge they are what they are. */
function samples(series: string, phases: readonly (readonly [level: number, minutes: number])[], everyMinutes: number): string {
  const counts = /_(?:total|bucket|count|sum)\b/.test(series);
  let value = 0;
  return phases.flatMap(([level, minutes]) => Array.from({ length: minutes / everyMinutes }, () => (counts ? (value += level * everyMinutes) : level))).join(' ').replaceAll('Infinity', '+Inf');
}

function testsOf({ alert, series, minutes, endsAfter, everyMinutes = 1 }: Case): readonly object[] {
  const before = BEFORE[alert] ?? 0;
  const input = (level: 'firing' | 'below'): object[] => Object.entries(series).map(([name, levels]) => ({ series: placed(name), values: samples(name, [[levels.ended, before], [levels[level], minutes], [levels.ended, endsAfter + everyMinutes]], everyMinutes) }));
  const expects = (minute: number, value: 0 | 1): object => ({ expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`, eval_time: `${before + minute}m`, exp_samples: [{ labels: '{}', value }] });
  const last = minutes - everyMinutes;
  return [
    { name: `${alert} fires and ends`, interval: `${everyMinutes}m`, input_series: input('firing'), promql_expr_test: [expects(last, 1), expects(last + endsAfter + everyMinutes, 0)] },
    { name: `${alert} does not fire just below`, interval: `${everyMinutes}m`, input_series: input('below'), promql_expr_test: [expects(last, 0)] },
  ];
}

/** As it stands in a Prometheus: with where it was scraped. */
function placed(series: string): string {
  const [name, labels] = /^([^{]+)(?:\{(.*)\})?$/.exec(series)!.slice(1);
  return `${name}{${[labels, ...(labels?.includes('job=') ? [] : ['job="weir"']), 'instance="a:8081"'].filter(Boolean).join(',')}}`;
}

function promtool(t: Test, tests: readonly object[], everyMinutes = 1): { readonly status: number | null; readonly output: string } {
  const file = join(t.testdir(), 'tests.yaml');
  writeFileSync(file, JSON.stringify({ rule_files: [RULES_FILE], evaluation_interval: `${everyMinutes}m`, tests }));
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

t.test('every rule can be read', { skip: PROMTOOL_MISSING }, async (t) => {
  t.match(execFileSync('promtool', ['check', 'rules', RULES_FILE], { encoding: 'utf8' }), `SUCCESS: ${ALERTS.length + RECORDS.length} rules found`);
  for (const { alert, labels, annotations: { summary, description, action } } of ALERTS) {
    t.match(labels.severity, /^(?:critical|warning)$/, alert);
    t.ok([summary, description, action].every((text) => text.length > 15 && !text.includes('\n')) && description.endsWith('.') && action.endsWith('.'), alert);
  }
});

t.test('every alert has a case, and every case an alert', async (t) => t.same([...new Set(CASES.map(({ alert }) => alert))], ALERTS.map(({ alert }) => alert)));

t.test('every part of a process is watched by an alert', async (t) => {
  const selectors = [...ALERTS.map(({ expr }) => expr).join('\n').matchAll(/weir_healthy\{part(=~|!~|=)"([^"]+)"\}/g)].map(([, sign, pattern]) => ({ isNot: sign === '!~', pattern: new RegExp(`^(?:${pattern})$`) }));
  const tests = (name: string): number => selectors.filter(({ isNot, pattern }) => pattern.test(name) !== isNot).length;
  // These have metrics of their own.
  for (const part of PARTS.filter((name) => name !== 'configuration' && name !== 'review deadlines')) t.ok(tests(part.replaceAll(' ', '_')) > 0, part);
  t.ok(tests('audit:eu-1/a') > 0);
  t.match(ALERTS.find(({ alert }) => alert === 'WeirClassifierDown'), { expr: /weir_classifier_breaker_state/ }, 'classifiers by their breakers');
});

t.test('rules name metrics of Weir with their labels', async (t) => {
  for (const { expr, ...rule } of [...ALERTS, ...RECORDS]) {
    const name = 'alert' in rule ? rule.alert : rule.record;
    const known = metricsIn(expr).map(metricOf);
    t.ok(known.every((metric) => metric !== undefined), `${name}: ${metricsIn(expr).join(', ')}`);
    const recorded = [...expr.matchAll(/\bweir:[a-z0-9_:]+/g)].map(([one]) => one);
    t.ok(recorded.every((one) => RECORDS.some(({ record }) => record === one)), `${name}: ${recorded.join(', ')}`);
    const labels = new Set(known.flatMap((metric) => [...(metric as MetricDefinition).labels]));
    if (recorded.length === 0) t.same(labelsIn(expr).filter((label) => !labels.has(label)), [], `${name}: its labels`);
  }
  t.ok(RECORDS.every(({ record }) => ALERTS.some(({ expr }) => expr.includes(record))), 'what is recorded is asked for');
  t.ok(Object.keys(METRICS).includes('weir_answers_total'));
  t.same([metricOf('weir_hold_seconds'), metricOf('weir_hold_seconds_total'), metricOf('weir_open_exchanges_count')], [undefined, undefined, undefined], 'a histogram has parts, and a gauge none');
});

t.test('every alert fires, does not just below, and ends', { skip: PROMTOOL_MISSING }, async (t) => {
  for (const [every, cases] of Map.groupBy(CASES, ({ everyMinutes = 1 }) => everyMinutes)) {
    const { status, output } = promtool(t, cases.flatMap(testsOf), every);
    t.equal(status, 0, output);
  }
});

t.test('what an alert says is filled in', { skip: PROMTOOL_MISSING }, async (t) => {
  // Those of days take long, and say the same.
  const cases = CASES.filter(({ everyMinutes }) => everyMinutes === undefined);
  // What is expected is wrong on purpose: promtool prints what came instead.
  const { output } = promtool(t, cases.map((one) => {
    const [{ promql_expr_test: [fires], ...input }] = testsOf(one) as readonly [{ readonly promql_expr_test: readonly [{ readonly eval_time: string }] }];
    return { ...input, alert_rule_test: [{ eval_time: fires.eval_time, alertname: one.alert, exp_alerts: [] }] };
  }));
  for (const { alert } of cases) {
    const told = new RegExp(`alertname="${alert}"[^]*?Annotations:\\{(.*)\\}`).exec(output)?.[1] ?? '';
    const [, summary = ''] = /summary="((?:[^"\\]|\\.)*)"/.exec(told) ?? [];
    t.ok(summary.length > 15 && !/\{\{|<no value>|NaN|error|%!|\s\s|\s$/.test(summary), `${alert}: ${summary || output.slice(0, 2_000)}`);
  }
});

t.test('with Redis alone gone, the store is not told to be', { skip: PROMTOOL_MISSING }, async (t) => {
  const gone = (name: string): object => ({ series: placed(`weir_healthy{part="${name}"}`), values: '0 0 0 0 0' });
  const { status, output } = promtool(t, [{ interval: '1m', input_series: ['redis', 'policies', 'tenant_keys'].map(gone), promql_expr_test: [{ expr: 'ALERTS{alertstate="firing"}', eval_time: '4m', exp_samples: [{ labels: 'ALERTS{alertname="WeirRedisDown",alertstate="firing",instance="a:8081",job="weir",severity="critical"}', value: 1 }] }] }]);
  t.equal(status, 0, output);
});

t.test('a case that does not hold is found', { skip: PROMTOOL_MISSING }, async (t) => {
  t.not(promtool(t, testsOf({ ...part('WeirRedisDown', 'redis', 3), series: { 'weir_healthy{part="redis"}': always(1) } })).status, 0);
  t.not(promtool(t, testsOf({ ...part('WeirRedisDown', 'redis', 3), series: { 'weir_healthy{part="redis"}': always(0) } })).status, 0);
});
