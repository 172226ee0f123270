/**
 * Residual-risk campaigns over the API, as those see them who answer for them: what is drawn and labelled, estimates, and
 * what a claim takes; a tenant-viewer sees estimates of its own tenants alone. Who labels has routes of their own.
 */
import type { AnnotationRecord } from '../audit/entry.ts';
import type { CampaignConfig, PlannedCampaign, RiskConfig } from '../config/risk.ts';
import type { Taxonomy } from '../config/taxonomy.ts';
import { seesAll, type Actor } from '../contract/people.ts';
import type { CalibrationItem, CampaignDefinition } from '../contract/risk.ts';
import type { Reports } from '../report/campaign/reports.ts';
import type { SealedItem } from '../risk/items.ts';
import type { Labelling } from '../risk/labelling.ts';
import type { CampaignLook } from '../risk/look.ts';
import type { Overview } from '../risk/overview.ts';
import { claimPlans } from '../risk/plan.ts';
import { campaignYaml, plannedCampaign, proposalOf, type Population } from '../risk/proposal.ts';
import type { SqlAnnotationChecks } from '../store/annotation-checks.ts';
import type { SqlAnnotationStore } from '../store/annotations.ts';
import { invalid, missing, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';
import type { WellnessDesk } from './wellness.ts';

/** What the routes about residual risk are given. */
export interface RiskDesk {
  readonly store: SqlAnnotationStore;
  readonly checks: SqlAnnotationChecks;
  readonly labelling: Labelling;
  readonly overview: Overview;
  readonly reports: Reports;
  readonly look: CampaignLook;
  readonly taxonomy: Taxonomy;
  seal(item: CalibrationItem): SealedItem;
  risk(): RiskConfig;
  /** Texts of recent traffic that such a campaign is of. */
  population(campaign: PlannedCampaign): Promise<Population>;
  /** Resolves when the entry is on disk. */
  audit(record: AnnotationRecord): Promise<void>;
  now(): Date;
  /** Of the breaks of those who label. */
  readonly wellness?: WellnessDesk | undefined;
}

export const ESTIMATES = ['admin', 'policy', 'auditor', 'tenant-viewer'] as const;

export const NO_CAMPAIGN = { 404: { meaning: 'nothing was ever drawn for such a campaign, and none is configured, or not for the caller' } } as const;
const BAD = { 400: { meaning: 'the query or the body cannot be used, and why' } } as const;
const percent = { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 100 } as const;
const PLAN_ERRORS = { default: 7, max: 50 } as const;
const LABELS_PER_WEEK = { default: 100, max: 1_000_000 } as const;

export const RISK_ROUTES: readonly Route<RiskDesk>[] = [
  { method: 'GET', path: '/api/v1/risk/campaigns', name: 'listRiskCampaigns', access: ESTIMATES, meaning: 'residual-risk campaigns: how much of each is drawn and labelled, the rate with its intervals and whether the claim is met; to a tenant-viewer those of its tenants', answers: { 200: { meaning: 'the campaigns', schema: ref('RiskCampaignList') } }, run: list },
  { method: 'GET', path: '/api/v1/risk/campaigns/:id', name: 'readRiskCampaign', access: ESTIMATES, meaning: 'where a campaign stands: the rate of violations with its intervals, as a whole and by stratum, product, modality and category, and whether its claim is met; to a tenant-viewer of its tenants alone', answers: { 200: { meaning: 'the estimates', schema: ref('RiskStatus') }, ...NO_CAMPAIGN }, run: status },
  {
    method: 'GET', path: '/api/v1/risk/plan', name: 'planRisk', access: ['admin', 'policy', 'auditor', 'reviewer'], meaning: 'how many labels a claim takes; `?below_percent=` (default 2), `?confidence_percent=` (default 95), `?errors=` (default 7)',
    query: { below_percent: percent, confidence_percent: percent, errors: { type: 'integer', minimum: 0, maximum: PLAN_ERRORS.max } }, answers: { 200: { meaning: 'by violations allowed', schema: ref('RiskPlan') }, ...BAD }, run: plan,
  },
  {
    method: 'GET', path: '/api/v1/risk/proposal', name: 'proposeRiskCampaign', access: ['admin', 'policy', 'auditor'], meaning: 'a campaign for the traffic of the last week: strata, probabilities, labels a week, and the days until its claim can come out; `?below_percent=` (default 2), `?confidence_percent=` (default 95), `?labels_per_week=` (default 100), `?tenant=` (default: all)',
    query: { below_percent: percent, confidence_percent: percent, labels_per_week: { type: 'integer', minimum: 1, maximum: LABELS_PER_WEEK.max }, tenant: { type: 'string', minLength: 1, maxLength: 200 } }, answers: { 200: { meaning: 'the campaign, as YAML and in figures', schema: ref('RiskProposal') }, ...BAD }, run: propose,
  },
];

// Estimates.

async function list(desk: RiskDesk, { actor }: DeskRequest): Promise<DeskAnswer> {
  const cells = await desk.overview.cells(tenantsOf(actor));
  const { campaigns } = desk.risk();
  const removed = [...cells.keys()].filter((id) => !campaigns.some((one) => one.id === id));
  const told = async (id: string, own: CampaignDefinition, campaign?: CampaignConfig): Promise<object> => ({ ...own, ...desk.overview.countsOf(cells.get(id) ?? []), ...(await desk.overview.summary(id, cells.get(id) ?? [], campaign)) });
  return { status: 200, body: { campaigns: [
    ...(await Promise.all(campaigns.filter((one) => isShown(one, actor)).map((one) => told(one.id, campaignBody(one, desk.now()), one)))),
    ...(await Promise.all(removed.map((id) => told(id, { id, state: 'removed', from: null, until: null, directions: [], decisions: [], strata: [] })))),
  ] } };
}

async function status(desk: RiskDesk, { id, actor }: DeskRequest): Promise<DeskAnswer> {
  const campaign = desk.risk().campaigns.find((one) => one.id === id);
  const found = await desk.overview.status(id, campaign, tenantsOf(actor));
  if (found === undefined && (campaign === undefined || !isShown(campaign, actor))) return missing(`there is no campaign ${id} for you to see`);
  return { status: 200, body: { ...(found ?? (await desk.overview.empty(id, campaign))), definition: campaign === undefined ? null : campaignBody(campaign, desk.now()) } };
}

async function plan(_desk: RiskDesk, { query }: DeskRequest): Promise<DeskAnswer> {
  const { below_percent: below = 2, confidence_percent: confidence = 95, errors = PLAN_ERRORS.default } = query as Readonly<Record<string, number | undefined>>;
  try {
    return { status: 200, body: { below: below / 100, confidence: confidence / 100, plans: claimPlans(below / 100, errors, confidence / 100) } };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return invalid(error.message);
  }
}

async function propose({ population }: RiskDesk, { query }: DeskRequest): Promise<DeskAnswer> {
  const { below_percent: below = 2, confidence_percent: confidence = 95, labels_per_week: labels = LABELS_PER_WEEK.default, tenant } = query as { readonly below_percent?: number; readonly confidence_percent?: number; readonly labels_per_week?: number; readonly tenant?: string };
  const claim = { below: below / 100, confidence: confidence / 100 };
  const campaign = plannedCampaign('new-campaign', tenant === undefined ? undefined : [tenant]);
  const traffic = await population(campaign);
  try {
    const foresight = proposalOf(traffic.strata, labels, claim);
    return { status: 200, body: { campaign: foresight.labels_per_week === 0 ? null : campaignYaml(campaign, foresight, claim), traffic, ...foresight } };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return invalid(error.message);
  }
}

/** Undefined: all. */
export function tenantsOf(actor: Actor): readonly string[] | undefined {
  return seesAll(actor) ? undefined : actor.tenants;
}

export function isShown({ tenants }: CampaignConfig, actor: Actor): boolean {
  return seesAll(actor) || tenants === undefined || tenants.some((id) => actor.tenants.includes(id));
}

function campaignBody({ id, from, until, directions, decisions, strata }: CampaignConfig, now: Date): CampaignDefinition {
  const state = from !== undefined && Date.parse(from) > now.getTime() ? 'planned' : until !== undefined && Date.parse(until) <= now.getTime() ? 'ended' : 'running';
  return {
    id, state, from: from ?? null, until: until ?? null, directions, decisions: decisions ?? ['passed', 'redacted'],
    strata: strata.map((one) => ({ id: one.id, probability: Math.min((one.probability_percent ?? 100) / 100, one.total === undefined ? 1 : one.total / one.expected!) })),
  };
}
