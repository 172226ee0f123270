/**
 * What no single key of a campaign can be wrong about alone: who takes part, whether its strata can be reached in their
 * order and leave nothing out, and whether what is drawn can be read when people come to label it. Strata are held against
 * every kind of text that they can tell apart, so what is said of them is certain and not a sample. Pure.
 */
import { SAMPLED_DECISIONS } from '../contract/risk.ts';
import { CONTENT_TYPES } from '../contract/screening.ts';
import type { CampaignConfig, StratumConfig } from './risk.ts';
import type { Config } from './schema.ts';
import { meant } from './shape.ts';
import type { Path } from './yaml.ts';

export interface CampaignFinding {
  readonly path: Path;
  readonly message: string;
  readonly suggestion?: string | undefined;
  readonly severity: 'error' | 'warning';
}

type Report = (path: Path, message: string, suggestion?: string, severity?: CampaignFinding['severity']) => void;

/** A kind of text as strata see it. */
interface Kind {
  readonly tenant: string;
  readonly product: string;
  readonly decision: string;
  readonly modality: string;
  /** By the classifiers that some stratum reads: the least highest score of its band, and whether one was missing. */
  readonly scores: ReadonlyMap<string, { readonly from: number; readonly below: number; readonly unknown: boolean }>;
}

/** What it decides on unless it says another; as the draw has it. */
const SERVED: readonly string[] = ['passed', 'redacted'];
/** Kinds that are looked through; a campaign that tells more apart is not checked for what it leaves out. */
const KINDS_MAX = 100_000;
const DAY_MS = 86_400_000;

export function checkCampaigns(config: Config): readonly CampaignFinding[] {
  const findings: CampaignFinding[] = [];
  const report: Report = (path, message, suggestion, severity = 'warning') => void findings.push({ path, message, severity, ...(suggestion === undefined ? {} : { suggestion }) });
  for (const [index, campaign] of config.risk.campaigns.entries()) {
    const at: Path = ['risk', 'campaigns', index];
    checkNames(campaign, config, at, report);
    const taking = config.tenants.filter(({ id, product, data }) => data.campaigns && (campaign.tenants?.includes(id) ?? true) && (campaign.products?.includes(product ?? '') ?? true));
    const isNamed = campaign.tenants !== undefined && !config.tenants.some(({ id, data }) => data.campaigns && campaign.tenants!.includes(id));
    if (isNamed) continue; // told by name
    if (taking.length === 0) report([...at, 'id'], `nobody takes part in campaign ${campaign.id}, so nothing is drawn for it`, 'set data.campaigns: true of a tenant that agrees and that the campaign names, or names none');
    else checkStrata(campaign, taking, at, report);
    checkReading(campaign, config, at, report);
  }
  return findings;
}

function checkNames(campaign: CampaignConfig, { tenants, classifiers }: Config, at: Path, report: Report): void {
  const ids = tenants.map(({ id }) => id);
  const products = tenants.flatMap(({ product }) => product ?? []);
  for (const [position, id] of (campaign.tenants ?? []).entries()) {
    const named = tenants.find((tenant) => tenant.id === id);
    if (named === undefined) report([...at, 'tenants', position], `no tenant ${id}`, meant(id, ids), 'error');
    else if (!named.data.campaigns) report([...at, 'tenants', position], `tenant ${id} takes no part in campaigns, so nothing of it is drawn`, 'set data.campaigns: true where the tenant agrees');
  }
  for (const [position, name] of (campaign.products ?? []).entries()) if (!products.includes(name)) report([...at, 'products', position], `no tenant has the product ${name}`, meant(name, products));
  for (const [number, stratum] of campaign.strata.entries()) {
    const place = [...at, 'strata', number];
    for (const [position, id] of (stratum.tenants ?? []).entries()) if (!ids.includes(id)) report([...place, 'tenants', position], `no tenant ${id}`, meant(id, ids), 'error');
    for (const [position, name] of (stratum.products ?? []).entries()) if (!products.includes(name)) report([...place, 'products', position], `no tenant has the product ${name}`, meant(name, products));
    const scoring = [...classifiers.map(({ id }) => id), 'patterns', 'ensemble'];
    for (const [position, id] of (stratum.classifiers ?? []).entries()) if (!scoring.includes(id)) report([...place, 'classifiers', position], `no classifier ${id}`, meant(id, scoring), 'error');
    if (stratum.classifiers !== undefined && !readsScores(stratum)) report([...place, 'classifiers'], `stratum ${stratum.id} names classifiers and reads no score`, 'add score_from, score_below or unknown, or leave classifiers out');
  }
}

/** The first stratum that fits takes a text: which are never reached, and what is left over? */
function checkStrata(campaign: CampaignConfig, taking: Config['tenants'], at: Path, report: Report): void {
  const kinds = kindsOf(campaign, taking);
  if (kinds === undefined) return;
  const reached = new Set<number>();
  let left: Kind | undefined;
  for (const kind of kinds) {
    const first = campaign.strata.findIndex((stratum) => fits(stratum, kind));
    if (first >= 0) reached.add(first);
    else left ??= kind;
  }
  for (const [number, stratum] of campaign.strata.entries()) {
    if (reached.has(number)) continue;
    const before = campaign.strata.find((other, earlier) => earlier < number && kinds.some((kind) => fits(stratum, kind) && fits(other, kind)));
    if (before === undefined) report([...at, 'strata', number, 'id'], `nothing of campaign ${campaign.id} fits stratum ${stratum.id}`, 'what it asks for is not among the tenants, products, decisions or modalities of the campaign');
    else report([...at, 'strata', number, 'id'], `stratum ${stratum.id} is never reached: what fits it is taken by ${before.id} before it`, `put ${stratum.id} above ${before.id}`);
  }
  if (left !== undefined) report([...at, 'strata'], `some of campaign ${campaign.id} is in no stratum and never drawn: ${told(left)}`, 'add a last stratum without conditions, or leave it so: the report calls it not covered');
}

/** One of each that strata can tell apart; undefined: there are too many. */
function kindsOf(campaign: CampaignConfig, taking: Config['tenants']): readonly Kind[] | undefined {
  const named = new Set(campaign.strata.flatMap((stratum) => stratum.tenants ?? []));
  // Of tenants and products that nothing names one stands for all.
  const others = new Set<string>();
  const whose = taking.filter(({ id, product = '' }) => {
    const key = named.has(id) ? `tenant ${id}` : `product ${campaign.strata.some((stratum) => stratum.products?.includes(product)) ? product : ''}`;
    return !others.has(key) && others.add(key);
  });
  const readers = Map.groupBy(campaign.strata.filter(readsScores), classifiersKey);
  const bands = [...readers].map(([key, strata]) => bandsOf(strata).map((band) => [key, band] as const));
  const [decisions, modalities] = [campaign.decisions ?? SERVED, campaign.modalities ?? CONTENT_TYPES];
  if (bands.reduce((count, list) => count * list.length, whose.length * decisions.length * modalities.length) > KINDS_MAX) return undefined;
  const scores = product(bands).filter(canBe);
  return whose.flatMap(({ id: tenant, product: name = '' }) => decisions.flatMap((decision) => modalities.flatMap((modality) => scores.map((all): Kind => ({ tenant, product: name, decision, modality, scores: new Map(all) })))));
}

function readsScores({ score_from: from, score_below: below, unknown }: StratumConfig): boolean {
  return from !== undefined || below !== undefined || unknown !== undefined;
}

function classifiersKey({ classifiers }: StratumConfig): string {
  return JSON.stringify(classifiers === undefined ? null : [...new Set(classifiers)].sort());
}

/** The highest score lies between two ends that some stratum names; 1 is a band of its own where one begins there. */
function bandsOf(strata: readonly StratumConfig[]): readonly { readonly from: number; readonly below: number; readonly unknown: boolean }[] {
  const ends = [...new Set([0, ...strata.flatMap(({ score_from: from, score_below: below }) => [from, below].flatMap((end) => end ?? []))])].sort((a, b) => a - b);
  return ends.flatMap((from, at) => [true, false].map((unknown) => ({ from, below: ends[at + 1] ?? Infinity, unknown })));
}

function fits(stratum: StratumConfig, { tenant, product: name, decision, modality, scores }: Kind): boolean {
  const { tenants, products, decisions, modalities, score_from: from = 0, score_below: below = Infinity, unknown } = stratum;
  if (tenants?.includes(tenant) === false || products?.includes(name) === false || decisions?.some((one) => one === decision) === false || modalities?.some((one) => one === modality) === false) return false;
  if (!readsScores(stratum)) return true;
  const band = scores.get(classifiersKey(stratum))!;
  return band.from >= from && band.from < below && (unknown === undefined || unknown === band.unknown);
}

function told({ tenant, decision, modality, scores }: Kind): string {
  const bands = [...scores].map(([key, { from, below, unknown }]) => `${key === 'null' ? 'the highest score' : `that of ${(JSON.parse(key) as readonly string[]).join(', ')}`} ${below === Infinity ? `from ${from}` : `from ${from} to below ${below}`}, ${unknown ? 'one missing' : 'none missing'}`);
  return [`${modality === 'text' ? 'a text' : modality === 'image' ? 'an image' : 'a recording'} of tenant ${tenant} that ${SAMPLED_DECISIONS.some((one) => one === decision) && decision === 'passed' ? 'passed' : `was ${decision}`}`, ...bands].join('; ');
}

/** Every choice of one of each; one, of nothing, where there is nothing to choose from. */
function product<T>(lists: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return lists.reduce<readonly (readonly T[])[]>((all, list) => all.flatMap((some) => list.map((one) => [...some, one])), [[]]);
}

/** The highest score of some is no higher than that of all, and what is missing among some is missing among all. */
function canBe(scores: readonly (readonly [string, { readonly from: number; readonly below: number; readonly unknown: boolean }])[]): boolean {
  const isPart = (key: string, of: string): boolean => of === 'null' || (key !== 'null' && (JSON.parse(key) as readonly string[]).every((id) => (JSON.parse(of) as readonly string[]).includes(id)));
  return scores.every(([key, one]) => scores.every(([of, all]) => !isPart(key, of) || (one.from < all.below && (!one.unknown || all.unknown))));
}

/** Whether people will find the texts. */
function checkReading(campaign: CampaignConfig, { roles, store, audit }: Config, at: Path, report: Report): void {
  const { id, from, until, keep_days: days, modalities } = campaign;
  const length = from === undefined || until === undefined ? 0 : (Date.parse(until) - Date.parse(from)) / DAY_MS;
  if (length > days) report([...at, 'keep_days'], `campaign ${id} takes ${Math.ceil(length)} days, and what is drawn first is gone after ${days}`, `label within ${days} days of the draw, or set keep_days: ${Math.min(3650, Math.ceil(length) + 30)}`);
  if (modalities?.includes('text') === false) report([...at, 'modalities'], `of ${modalities.join(' and ')} nothing is kept that people could label, so all of campaign ${id} counts as missing`, 'add text');
  const isShared = !store.url.startsWith('sqlite:');
  if (!isShared && !roles.includes('control')) report([...at, 'id'], `this process has no store, so nobody can read what it draws for campaign ${id}: its tasks count as missing where its log is shipped to`, 'give it the Postgres store of the control plane by store.url');
  if (isShared && audit.master_key === undefined && audit.master_key_file.endsWith('/keys/content.key')) report([...at, 'id'], `what is drawn for campaign ${id} is sealed under a master key that this process makes for itself, and other processes of the store cannot read it`, 'give all of them the same audit.master_key or audit.master_key_file, unless this is the only one');
}
