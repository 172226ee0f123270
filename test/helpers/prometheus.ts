/**
 * A real Prometheus and a real Alertmanager on free ports with folders of their own, for tests, under the configuration
 * that stands in config/prometheus with addresses of the test; daemons that may run on the machine are left alone. Where
 * they are not installed their tests are skipped, but in CI they fail.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { dump, load } from 'js-yaml';
import type { Test } from 'tap';
import { RULES_FILE } from './alerts.ts';
import { until } from './house.ts';
import { freePort } from './redis-server.ts';

const missing = ['prometheus', 'prometheus-alertmanager'].filter((program) => spawnSync(program, ['--version']).error !== undefined);
/** The reason to skip, or false. */
export const PROMETHEUS_MISSING = missing.length > 0 && !process.env.CI ? `${missing.join(' and ')} not installed` : false;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Prometheus {
  readonly url: string;
  query(expr: string): Promise<readonly Sample[]>;
  /** What its API answers under this path. */
  ask(path: string): Promise<any>;
}

/** What an alert must be true for, and Alertmanager waits for, in tests. */
const SHORT = '2s';

/** Scrapes these admin ports each second. The waits of the rules are shortened; their windows are not. */
export async function startPrometheus(t: Test, targets: readonly string[], alertmanager?: string): Promise<Prometheus> {
  const dir = t.testdir({ data: {} });
  const port = await freePort();
  const config = load(readFileSync(join(RULES_FILE, '../prometheus.yaml'), 'utf8')) as any;
  config.global = { scrape_interval: '1s', evaluation_interval: '1s' };
  config.scrape_configs[0].static_configs[0].targets = targets.map((url) => new URL(url).host);
  config.alerting = alertmanager === undefined ? {} : { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanager).host] }] }] };
  writeFileSync(join(dir, 'weir-rules.yaml'), readFileSync(RULES_FILE, 'utf8').replaceAll(/^( +for: ).*$/gm, `$1${SHORT}`));
  writeFileSync(join(dir, 'prometheus.yaml'), dump(config));
  const url = await run(t, 'prometheus', port, [`--config.file=${dir}/prometheus.yaml`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=error']);
  const ask = async (path: string): Promise<any> => ((await (await fetch(`${url}/api/v1/${path}`)).json()) as { readonly data: unknown }).data;
  return {
    url, ask,
    async query(expr) {
      const answer = (await (await fetch(`${url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expr }) })).json()) as { readonly status: string; readonly error?: string; readonly data: { readonly result: readonly { readonly metric: Sample['metric']; readonly value: readonly [number, string] }[] } };
      if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`);
      return answer.data.result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
  };
}

export interface Told {
  readonly status: 'firing' | 'resolved';
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Its address, and what it posts to a webhook. */
export async function startAlertmanager(t: Test): Promise<{ readonly url: string; readonly told: readonly Told[] }> {
  const told: Told[] = [];
  const receiver = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => void parts.push(part)).on('end', () => {
      const { alerts } = JSON.parse(Buffer.concat(parts).toString()) as { readonly alerts: readonly Omit<Told, 'alert'>[] };
      told.push(...alerts.map(({ status, labels, annotations }) => ({ status, alert: labels['alertname']!, labels, annotations })));
      response.end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    receiver.closeAllConnections();
    receiver.close();
  });
  const dir = t.testdir();
  const port = await freePort();
  const config = load(readFileSync(join(RULES_FILE, '../alertmanager.yaml'), 'utf8')) as any;
  Object.assign(config.route, { group_wait: SHORT, group_interval: SHORT });
  config.receivers[0].webhook_configs[0].url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  writeFileSync(join(dir, 'alertmanager.yaml'), dump(config));
  const url = await run(t, 'prometheus-alertmanager', port, [`--config.file=${dir}/alertmanager.yaml`, `--storage.path=${dir}`, `--web.listen-address=127.0.0.1:${port}`, '--cluster.listen-address=', '--log.level=error']);
  return { url, told };
}

/** Resolves when it is ready; killed at the end of the test, before its folder goes. */
async function run(t: Test, program: string, port: number, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let said = '';
  child.stderr.on('data', (text: Buffer) => { said += String(text); });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`);
    return fetch(`${url}/-/ready`).then(({ ok }) => ok, () => false);
  }, program);
  return url;
}
