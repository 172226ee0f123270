/** The dashboards for Grafana as they are written: version 38 of its schema, that of Grafana 10. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const FOLDER = join(import.meta.dirname, '../../config/grafana');
export const SCHEMA_VERSION = 38;

interface Source {
  readonly type: string;
  readonly uid: string;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: Source;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly fieldConfig: { readonly defaults: { readonly unit: string; readonly thresholds: { readonly mode: string; readonly steps: readonly { readonly color: string; readonly value: number | null }[] } } };
  readonly options: object;
  readonly targets: readonly { readonly refId: string; readonly datasource: Source; readonly expr: string; readonly legendFormat: string }[];
}

export interface Dashboard {
  readonly file: string;
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly query: unknown; readonly definition?: string; readonly allValue?: string }[] };
  readonly panels: readonly Panel[];
}

export const DASHBOARDS: readonly Dashboard[] = readdirSync(FOLDER).filter((file) => file.endsWith('.json')).sort().map((file) => ({ file, ...(JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Omit<Dashboard, 'file'>) }));

/** As Grafana asks it: with its variables filled in. */
export function asked(expr: string, rateInterval: string, tenant = '.*'): string {
  return expr.replaceAll('$__rate_interval', rateInterval).replaceAll('$tenant', tenant);
}
