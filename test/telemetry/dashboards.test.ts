/**
 * The dashboards for Grafana: each panel says what it shows, in which unit, from a data source that is chosen where it is
 * looked at; every metric and label is one of Weir's, and every metric of Weir's is shown or watched somewhere, but for
 * those that are named here. Grafana itself does not run here: what its queries give is tried in prometheus.test.ts.
 */
import t, { type Test } from 'tap';
import { METRICS } from '../../src/telemetry/metrics.ts';
import { ALERTS, labelsIn, metricOf, metricsIn, RECORDS } from '../helpers/alerts.ts';
import { asked, DASHBOARDS, SCHEMA_VERSION, type Panel } from '../helpers/dashboards.ts';

const UNITS = ['short', 's', 'ops', 'reqps', 'percentunit'];
/** Neither shown nor watched: what was removed on purpose; answers that came too late were counted as timeouts; refusals are in the alert's runbook; a round that is over is in the gauge; that telemetry does not go out is watched as a part. */
const UNSHOWN = ['weir_retention_removed_total', 'weir_classifier_late_total', 'weir_audit_refused_total', 'weir_review_overdue_total', 'weir_telemetry_dropped_total'];

function touches({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

t.test('there are dashboards, each with an address of its own', async (t) => {
  t.same(DASHBOARDS.map(({ file }) => file), ['audit.json', 'learning.json', 'overview.json', 'review.json', 'risk.json', 'screening.json', 'streams.json', 'tenants.json']);
  t.same(DASHBOARDS.map(({ uid }) => uid), DASHBOARDS.map(({ file }) => `weir-${file.replace('.json', '')}`));
});

for (const { file, title, description, schemaVersion, templating, panels } of DASHBOARDS) {
  t.test(file, async (t) => {
    t.equal(schemaVersion, SCHEMA_VERSION);
    t.ok(title.startsWith('Weir: ') && description.endsWith('.'));
    const text = JSON.stringify(panels);
    t.match(templating.list[0], { name: 'datasource', type: 'datasource', query: 'prometheus' });
    for (const { name, type, definition } of templating.list) {
      t.ok(text.includes(`$${name}`) || text.includes(`\${${name}}`), `${name} is used`);
      if (type === 'query') t.ok(metricsIn(definition!).every((metric) => metricOf(metric) !== undefined), `${name} asks for a metric of ours`);
    }
    t.same([...new Set(text.match(/\$(?:\w+|\{\w+\})/g))].filter((name) => name !== '$__rate_interval' && !templating.list.some((one) => name === `$${one.name}` || name === `\${${one.name}}`)), [], 'no variable is missing');
    t.same([...new Set(panels.map(({ id }) => id))].length, panels.length, 'ids differ');
    for (const panel of panels) checkPanel(t, panel);
    t.same(panels.flatMap((a, i) => panels.slice(i + 1).filter((b) => touches(a, b)).map((b) => `${a.title} / ${b.title}`)), [], 'no panel lies over another');
  });
}

/** What version 38 of the schema knows, of each field that these dashboards set. */
const WORDS: Readonly<Record<string, readonly unknown[]>> = {
  'fieldConfig.defaults.color.mode': ['palette-classic', 'thresholds'], 'fieldConfig.defaults.thresholds.mode': ['absolute', 'percentage'], 'fieldConfig.defaults.custom.drawStyle': ['line', 'bars', 'points'], 'fieldConfig.defaults.custom.stacking.mode': ['none', 'normal', 'percent'],
  'fieldConfig.defaults.custom.thresholdsStyle.mode': ['off', 'line', 'dashed', 'area', 'line+area', 'dashed+area', 'series'], 'options.legend.displayMode': ['list', 'table', 'hidden'], 'options.legend.placement': ['bottom', 'right'], 'options.legend.showLegend': [true, false],
  'options.tooltip.mode': ['single', 'multi', 'none'], 'options.tooltip.sort': ['none', 'asc', 'desc'], 'options.colorMode': ['none', 'value', 'background', 'background_solid'], 'options.graphMode': ['none', 'line', 'area'], 'options.textMode': ['auto', 'value', 'value_and_name', 'name', 'none'],
  'options.reduceOptions.calcs.0': ['last', 'lastNotNull', 'mean', 'max', 'min', 'sum'], 'options.reduceOptions.values': [true, false], 'options.reduceOptions.fields': [''],
};
const NUMBERS = ['fieldConfig.defaults.decimals', 'fieldConfig.defaults.min', 'fieldConfig.defaults.custom.fillOpacity'];

/** Every leaf below, by its path. */
function leaves(value: unknown, path: string): readonly (readonly [path: string, leaf: unknown])[] {
  return typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([name, one]) => leaves(one, `${path}.${name}`)) : [[path, value]];
}

function checkPanel(t: Test, panel: Panel): void {
  const { type, title, description, datasource, gridPos, fieldConfig: { defaults }, targets } = panel;
  for (const [path, leaf] of [...leaves(panel.fieldConfig, 'fieldConfig'), ...leaves(panel.options, 'options')]) {
    if (path === 'fieldConfig.defaults.unit' || path.startsWith('fieldConfig.defaults.thresholds.steps.')) continue;
    t.ok(NUMBERS.includes(path) ? typeof leaf === 'number' : WORDS[path]?.includes(leaf), `${title}: ${path} ${String(leaf)}`);
  }
  for (const { expr } of targets) t.notOk([...expr.matchAll(/(?:rate|increase)\((weir_\w+)/g)].some(([, name]) => metricOf(name!)!.kind === 'gauge'), `${title}: no rate of a gauge`);
  t.match(type, /^(?:timeseries|stat)$/, title);
  t.ok(description.length > 10 && description.endsWith('.'), `${title} says what it shows`);
  t.ok(UNITS.includes(defaults.unit), `${title} has a unit`);
  t.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, `${title} fits`);
  const steps = defaults.thresholds.steps.map(({ value }) => value);
  t.ok(steps[0] === null && steps.slice(1).every((value, i) => value !== null && (i === 0 || value > steps[i]!)), `${title}: thresholds rise`);
  t.ok(targets.length > 0, title);
  for (const source of [datasource, ...targets.map((target) => target.datasource)]) t.same(source, { type: 'prometheus', uid: '${datasource}' }, `${title}: its source is chosen`);
  for (const { expr } of targets) {
    const known = metricsIn(expr).map(metricOf);
    t.ok(known.length > 0 && known.every((metric) => metric !== undefined), expr);
    const labels = known.flatMap((metric) => [...metric!.labels]);
    t.same(labelsIn(asked(expr, '1m')).filter((label) => !labels.includes(label)), [], `${expr}: its labels`);
  }
}


t.test('every metric is shown or watched', async (t) => {
  const exprs = [...ALERTS, ...RECORDS, ...DASHBOARDS.flatMap(({ panels }) => panels.flatMap(({ targets }) => targets))].map(({ expr }) => expr);
  const used = new Set(exprs.flatMap(metricsIn).map((name) => (Object.hasOwn(METRICS, name) ? name : name.replace(/_(?:bucket|sum|count)$/, ''))));
  t.same(Object.keys(METRICS).filter((name) => !used.has(name)).sort(), [...UNSHOWN].sort());
});
