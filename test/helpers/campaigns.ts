/** Residual-risk campaigns for tests: read as configuration is, with tenants and closed exchanges to draw from. */
import { RISK, type CampaignConfig } from '../../src/config/risk.ts';
import type { TenantConfig } from '../../src/config/schema.ts';
import { readShape } from '../../src/config/shape.ts';
import type { DecisionRecord } from '../../src/contract/exchange.ts';
import type { Action } from '../../src/contract/screening.ts';
import type { SampledExchange } from '../../src/screen/sampler.ts';

export const tenant = (more: Partial<TenantConfig> = {}): TenantConfig => ({ id: 'acme', product: 'Help centre', data: { content: 'none', keep_days: 30, campaigns: true }, ...more } as TenantConfig);
export const record = (action: Action = 'allow', more: Partial<DecisionRecord> = {}): DecisionRecord => ({ action, triggered_rules: [], classifier_results: [], coverage: { screened: ['x'], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 1, ...more });
export const scored = (score: number) => record('allow', { classifier_results: [{ classifier_id: 'toxicity', category: 'hate', score, count: 1 }] });
export const exchange = (id: string, more: Partial<SampledExchange> = {}): SampledExchange => ({ request_id: id, started_at: '2030-01-10T00:00:00.000Z', input: record(), output: record(), ...more });

export function campaigns(...given: readonly object[]): readonly CampaignConfig[] {
  const { value, issues } = readShape(RISK, { file: 'c.yaml', value: { campaigns: given }, issues: [], at: () => ({ line: 1, column: 1 }) });
  if (value === undefined) throw new Error(issues.map(({ message }) => message).join());
  return value.campaigns;
}
