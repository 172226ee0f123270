/**
 * `weir risk plan`: how many labels a claim takes, and, where there is an audit log, which campaign recent traffic asks for:
 * its strata with their probabilities, the labels that they make, and the days until the claim can come out.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { listSegments } from '../../audit/segments.ts';
import { readSources } from '../../config/load.ts';
import type { PlannedCampaign } from '../../config/risk.ts';
import type { Config } from '../../config/schema.ts';
import { decisionPlace } from '../../distribution.ts';
import { populationOf } from '../../population.ts';
import { claimPlans, precisionSize } from '../../risk/plan.ts';
import { campaignYaml, plannedCampaign, proposalOf, type Foresight, type Population } from '../../risk/proposal.ts';
import { openDecisionStore } from '../../store/open-decisions.ts';
import { tableText } from '../beside.ts';
import { parseCall, UsageError, type Io } from '../command.ts';

const OPTIONS = { below: 'value', confidence: 'value', errors: 'value', precision: 'value', 'labels-per-week': 'value', tenant: 'list', json: 'flag', config: 'value' } as const;
const LABELS_PER_WEEK = { default: 100, max: 1_000_000 } as const;
const NEW_CAMPAIGN = 'new-campaign';
/** Entries that are read of recent traffic. */
const ENTRIES_MAX = 20_000;

export async function planCampaign(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, OPTIONS, 0);
  const [below, confidence, errors] = [percentOf('--below', options.below, 2), percentOf('--confidence', options.confidence, 95), Number(options.errors ?? 7)];
  if (!Number.isInteger(errors) || errors < 0 || errors > 50) throw new UsageError('--errors takes a whole number from 0 to 50');
  const labels = Number(options['labels-per-week'] ?? LABELS_PER_WEEK.default);
  if (!Number.isInteger(labels) || labels < 1 || labels > LABELS_PER_WEEK.max) throw new UsageError(`--labels-per-week takes a whole number from 1 to ${LABELS_PER_WEEK.max}`);
  if (options.precision !== undefined) {
    const half = percentOf('--precision', options.precision, 1);
    const needed = precisionSize(below, half, { confidence });
    io.stdout(options.json ? `${JSON.stringify({ rate: below, half_width: half, confidence, labels: needed })}\n` : `${needed} labels for a rate near ${percent(below)} to within ${percent(half)} at ${percent(confidence)}\n`);
    return 0;
  }
  const plans = claimPlans(below, errors, confidence);
  const proposed = await proposalFor(options, io, labels, { below, confidence });
  if (typeof proposed === 'string') {
    io.stderr(`weir risk plan: ${proposed}\n`);
    return 1;
  }
  if (options.json) io.stdout(`${JSON.stringify({ below, confidence, plans, proposal: proposed === undefined ? null : { campaign: proposed.yaml, traffic: proposed.traffic, ...proposed.foresight } })}\n`);
  else {
    const [first] = plans;
    io.stdout(`labels of equal weight to claim a rate below ${percent(below)} at one-sided ${percent(confidence)}, and the chance that it comes out if the rate is …\n`);
    io.stdout(tableText([['violations allowed', 'labels', ...first!.power.map(({ rate }) => percent(rate))], ...plans.map(({ errors: allowed, n, power }) => [String(allowed), String(n), ...power.map(({ chance }) => percent(chance))])]));
    io.stdout(proposed === undefined ? '\nno traffic is recorded yet; with an audit log it is proposed what to draw\n' : `\n${foresightText(proposed.traffic, proposed.foresight)}\n${proposed.yaml}`);
  }
  return 0;
}

interface Proposed {
  readonly traffic: Population;
  readonly foresight: Foresight;
  readonly yaml: string;
}

/** Undefined: there is no traffic. A text: why there can be none. */
async function proposalFor({ config: file, tenant }: { readonly config?: string | undefined; readonly tenant: readonly string[] }, io: Io, labels: number, claim: { readonly below: number; readonly confidence: number }): Promise<Proposed | string | undefined> {
  const { config } = await readSources(file, io.env);
  if (config === undefined) return 'the configuration is not usable; weir check says why';
  const unknown = tenant.find((id) => !config.tenants.some((one) => one.id === id));
  if (unknown !== undefined) return `there is no tenant ${unknown}`;
  const campaign = plannedCampaign(NEW_CAMPAIGN, tenant.length === 0 ? undefined : tenant);
  const traffic = await recentPopulation(campaign, config);
  if (!traffic.strata.some(({ per_week: texts }) => texts > 0)) return undefined;
  const foresight = proposalOf(traffic.strata, labels, claim);
  return { traffic, foresight, yaml: campaignYaml(campaign, foresight, claim) };
}

/** Of the logs that lie with this configuration: the own one, and those that are shipped here. */
export async function recentPopulation(campaign: PlannedCampaign, config: Config): Promise<Population> {
  const origins = join(config.data_dir, 'origins');
  const all = [config.audit.dir, ...(await readdir(origins).catch(() => [])).map((name) => join(origins, name))];
  const logs: string[] = [];
  for (const dir of all) if ((await listSegments(dir)).length > 0) logs.push(dir);
  return populationOf(campaign, { logs, tenants: config.tenants, nowMs: Date.now(), entriesMax: ENTRIES_MAX, counted: (tenants, sinceMs) => counted(config, tenants, sinceMs) });
}

/** Undefined where nobody counts, or the store does not answer. */
async function counted(config: Config, tenants: readonly string[], sinceMs: number): Promise<number | undefined> {
  const place = decisionPlace(config);
  if (place === undefined || (place.kind === 'sqlite' && !existsSync(place.file))) return undefined;
  const { store, close } = openDecisionStore(place);
  try {
    const untilMs = Date.now();
    const { totals } = await store.counts({ span: 'hour', tenants, fromMs: sinceMs, untilMs, stepMs: untilMs - sinceMs });
    return totals.find(({ direction, measure }) => direction === '' && measure === 'exchanges')?.total;
  } catch {
    return undefined;
  } finally {
    await close();
  }
}

function foresightText({ exchanges, since, is_part: isPart }: Population, { strata, labels_per_week: perWeek, design_effect: effect, days_at_least: least, outlook }: Foresight): string {
  const lines = [
    `from ${exchanges} exchanges since ${since}${isPart ? ', the newest of the week' : ''}: some ${perWeek.toFixed(0)} labels a week${effect > 1.005 ? `, of which ${effect.toFixed(2)} count as one of equal weight` : ''}\n`,
    tableText([['stratum', 'texts a week', 'drawn', 'labels a week'], ...strata.map(({ stratum, per_week: texts, probability, labels_per_week: labels }) => [stratum, texts.toFixed(0), percent(probability), labels.toFixed(1)])]),
    `the claim takes ${least} days at least\n`,
    ...outlook.map(({ rate, labels, days }) => (labels === null || days === null ? `if the rate is ${percent(rate)}: more labels than anybody makes\n` : `if the rate is ${percent(rate)}: ${labels} labels, ${days} days, in four of five cases\n`)),
  ];
  return lines.join('');
}

export function percentOf(option: string, given: string | undefined, otherwise: number): number {
  const value = Number(given ?? otherwise);
  if (!(value >= 0.001 && value < 100)) throw new UsageError(`${option} takes a percentage from 0.001 to below 100`);
  return value / 100;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
