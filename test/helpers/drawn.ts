/**
 * Dashboards drawn as they are written, in Chromium, from a real Prometheus: places on the grid of 24 columns, titles, units,
 * legends, lines, numbers and thresholds, so that people see what overlaps, is empty, has the wrong unit or a legend that
 * nobody can read. It is no Grafana: colours and type are its own. One picture for each dashboard.
 */
import { join } from 'node:path';
import { openBrowser } from './browser.ts';
import { asked, DASHBOARDS, type Dashboard, type Panel } from './dashboards.ts';
import type { Prometheus } from './prometheus.ts';

const [COLUMN, ROW, SPAN_S, STEP_S] = [60, 32, 300, 5];
const COLOURS = ['#7eb26d', '#eab839', '#6ed0e0', '#ef843c', '#e24d42', '#1f78c1', '#ba43a9', '#705da0', '#508642', '#cca300'];

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [s: number, value: number])[];
}

export async function drawDashboards(prometheus: Prometheus, folder: string): Promise<void> {
  const page = await (await openBrowser()).newPage({ viewport: { width: 24 * COLUMN + 20, height: 800 } });
  for (const dashboard of DASHBOARDS) {
    const panels = await Promise.all(dashboard.panels.map(async (panel) => drawn(panel, await linesOf(panel, prometheus))));
    await page.setContent(`<style>body{margin:0;background:#111217;color:#ccccdc;font:12px sans-serif;position:relative}section{position:absolute;background:#181b1f;border:1px solid #333;overflow:hidden;box-sizing:border-box;padding:4px 8px}h2{font-size:13px;margin:0}.legend{position:absolute;bottom:2px;left:8px;right:8px;line-height:14px;max-height:56px;overflow:hidden}.big{display:flex;flex-wrap:wrap;gap:10px;align-items:center;justify-content:space-around;height:80%}.big b{font-size:28px;display:block}</style><h1 style="height:32px;margin:4px 8px;font-size:18px">${dashboard.title}</h1>${panels.join('')}<div style="height:${heightOf(dashboard)}px"></div>`);
    await page.screenshot({ path: join(folder, `grafana-${dashboard.uid}.png`), fullPage: true });
  }
}

function heightOf({ panels }: Dashboard): number {
  return Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * ROW;
}

async function linesOf({ targets }: Panel, prometheus: Prometheus): Promise<readonly Line[]> {
  const end = Math.floor(Date.now() / 1000);
  const found = await Promise.all(targets.map(async ({ expr, legendFormat }) => {
    const { result } = await prometheus.ask(`query_range?${new URLSearchParams({ query: asked(expr, '1m'), start: String(end - SPAN_S), end: String(end), step: String(STEP_S) })}`) as { readonly result: readonly { readonly metric: Readonly<Record<string, string>>; readonly values: readonly (readonly [number, string])[] }[] };
    return result.map(({ metric, values }) => ({ name: legendFormat === '__auto' ? JSON.stringify(metric) : legendFormat.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''), points: values.map(([s, value]) => [s - end + SPAN_S, Number(value)] as const).filter(([, value]) => Number.isFinite(value)) }));
  }));
  return found.flat().filter(({ points }) => points.length > 0);
}

function drawn({ title, type, gridPos: { x, y, w, h }, fieldConfig: { defaults: { unit, thresholds } } }: Panel, lines: readonly Line[]): string {
  const [width, height] = [w * COLUMN - 8, h * ROW - 8];
  const inner = lines.length === 0 ? '<p>No data</p>' : type === 'stat' ? numbers(lines, unit) : chart(lines, { unit, width: width - 18, height: height - 90, steps: thresholds.steps.flatMap(({ value }) => value ?? []) });
  return `<section style="left:${x * COLUMN + 8}px;top:${y * ROW + 40}px;width:${width}px;height:${height}px"><h2>${title}</h2>${inner}</section>`;
}

function numbers(lines: readonly Line[], unit: string): string {
  return `<div class="big">${lines.map(({ name, points }) => `<span>${name.startsWith('{') ? '' : name}<b>${told(points.at(-1)![1], unit)}</b></span>`).join('')}</div>`;
}

function chart(lines: readonly Line[], { unit, width, height, steps }: { readonly unit: string; readonly width: number; readonly height: number; readonly steps: readonly number[] }): string {
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const [low, high] = [Math.min(0, ...values), Math.max(...values, 1e-9) * 1.05];
  const atY = (value: number): number => height - ((value - low) / (high - low)) * height;
  const paths = lines.map(({ points }, at) => `<path fill="none" stroke="${COLOURS[at % COLOURS.length]}" d="${points.map(([s, value], i) => `${i === 0 || s - points[i - 1]![0] > STEP_S ? 'M' : 'L'}${50 + (s / SPAN_S) * (width - 50)} ${atY(value)}`).join('')}"/>`);
  const axis = [0, 0.5, 1].map((part) => `<text x="0" y="${Math.max(10, atY(low + part * (high - low)))}" fill="#999" font-size="11">${told(low + part * (high - low), unit)}</text>`);
  const marks = steps.filter((step) => step > low && step < high).map((step) => `<line x1="50" x2="${width}" y1="${atY(step)}" y2="${atY(step)}" stroke="#e24d42" stroke-dasharray="4"/>`);
  return `<svg width="${width}" height="${height}">${axis.join('')}${marks.join('')}${paths.join('')}</svg><div class="legend">${lines.map(({ name }, at) => `<span style="color:${COLOURS[at % COLOURS.length]}">━</span> ${name} &nbsp;`).join('')}</div>`;
}

/** Nearly as Grafana writes it. */
function told(value: number, unit: string): string {
  const short = (one: number): string => String(Number(one.toPrecision(3)));
  if (unit === 'percentunit') return `${short(value * 100)}%`;
  if (unit !== 's') return short(value) + ({ ops: ' ops/s', reqps: ' req/s' }[unit] ?? '');
  for (const [size, word] of [[86_400, 'days'], [3_600, 'hours'], [60, 'mins'], [1, 's'], [1e-3, 'ms']] as const) if (Math.abs(value) >= size) return `${short(value / size)} ${word}`;
  return `${short(value * 1e6)} µs`;
}
