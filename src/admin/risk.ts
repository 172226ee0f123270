/**
 * Residual-risk campaigns over the API. Who labels is given one text after the other, with nothing that tells where it comes
 * from or whether its answer is known, and hears nothing of how others, or they themselves, did; who answers for the campaign
 * sees estimates and the people; a tenant-viewer sees estimates of its own tenants alone. Changes are entries of the audit log.
 */
import type { AnnotationRecord } from '../audit/entry.ts';
import type { CampaignConfig, RiskConfig } from '../config/risk.ts';
import type { Taxonomy } from '../config/taxonomy.ts';
import { seesAll, type Actor } from '../contract/people.ts';
import { CONFIDENCE_TIERS, HUMAN_LABELS, type CalibrationItem, type CampaignDefinition, type ConfidenceTier, type HumanLabel } from '../contract/risk.ts';
import type { SealedItem } from '../risk/items.ts';
import type { Labelling } from '../risk/labelling.ts';
import type { CampaignLook } from '../risk/look.ts';
import type { Overview } from '../risk/overview.ts';
import { claimPlans } from '../risk/plan.ts';
import type { SqlAnnotationChecks } from '../store/annotation-checks.ts';
import type { LabelRefusal, SqlAnnotationStore } from '../store/annotations.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

/** What the routes about residual risk are given. */
export interface RiskDesk {
  readonly store: SqlAnnotationStore;
  readonly checks: SqlAnnotationChecks;
  readonly labelling: Labelling;
  readonly overview: Overview;
  readonly look: CampaignLook;
  readonly taxonomy: Taxonomy;
  seal(item: CalibrationItem): SealedItem;
  risk(): RiskConfig;
  /** Resolves when the entry is on disk. */
  audit(record: AnnotationRecord): Promise<void>;
  now(): Date;
}

export const ESTIMATES = ['admin', 'policy', 'auditor', 'tenant-viewer'] as const;
const LABELLERS = ['admin', 'reviewer'] as const;

export const NO_CAMPAIGN = { 404: { meaning: 'nothing was ever drawn for such a campaign, and none is configured, or not for the caller' } } as const;
const BAD = { 400: { meaning: 'the query or the body cannot be used, and why' } } as const;
const LOST = { 404: { meaning: 'the caller has no such annotation' }, 409: { meaning: 'the annotation is somebody else’s by now, or has its label' } } as const;
const percent = { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 100 } as const;
const json = ['application/json'] as const;
const DONE: DeskAnswer = { status: 200, body: { done: true } };
const PLAN_ERRORS = { default: 7, max: 50 } as const;

export const RISK_ROUTES: readonly Route<RiskDesk>[] = [
  { method: 'GET', path: '/api/v1/risk/campaigns', name: 'listRiskCampaigns', access: ESTIMATES, meaning: 'residual-risk campaigns: how much of each is drawn and labelled, the rate with its intervals and whether the claim is met; to a tenant-viewer those of its tenants', answers: { 200: { meaning: 'the campaigns', schema: ref('RiskCampaignList') } }, run: list },
  { method: 'GET', path: '/api/v1/risk/campaigns/:id', name: 'readRiskCampaign', access: ESTIMATES, meaning: 'where a campaign stands: the rate of violations with its intervals, as a whole and by stratum, product, modality and category, and whether its claim is met; to a tenant-viewer of its tenants alone', answers: { 200: { meaning: 'the estimates', schema: ref('RiskStatus') }, ...NO_CAMPAIGN }, run: status },
  {
    method: 'GET', path: '/api/v1/risk/plan', name: 'planRisk', access: ['admin', 'policy', 'auditor', 'reviewer'], meaning: 'how many labels a claim takes; `?below_percent=` (default 2), `?confidence_percent=` (default 95), `?errors=` (default 7)',
    query: { below_percent: percent, confidence_percent: percent, errors: { type: 'integer', minimum: 0, maximum: PLAN_ERRORS.max } }, answers: { 200: { meaning: 'by violations allowed', schema: ref('RiskPlan') }, ...BAD }, run: plan,
  },
  { method: 'GET', path: '/api/v1/risk/guide', name: 'readRiskGuide', access: ['admin', 'policy', 'auditor', 'reviewer'], meaning: 'the taxonomy by which people label', answers: { 200: { meaning: 'its categories', schema: ref('RiskGuide') } }, run: async ({ taxonomy }) => ({ status: 200, body: taxonomy }) },
  { method: 'POST', path: '/api/v1/risk/next', name: 'nextAnnotation', access: LABELLERS, meaning: 'the next text to label, of the caller’s batch or of a new one; or why there is none', answers: { 200: { meaning: 'the text', schema: ref('RiskNext') } }, run: next },
  { method: 'POST', path: '/api/v1/risk/annotations/:id/label', name: 'labelAnnotation', access: LABELLERS, meaning: 'label a text that the caller was given', body: { schema: ref('NewAnnotation'), types: json }, answers: { 200: { meaning: 'it has its label', schema: ref('RiskDone') }, ...BAD, ...LOST }, run: label },
  { method: 'POST', path: '/api/v1/risk/annotations/:id/unreadable', name: 'setAnnotationAside', access: LABELLERS, meaning: 'a text that the caller was given cannot be judged by anybody; it counts as missing', answers: { 200: { meaning: 'it is set aside', schema: ref('RiskDone') }, ...LOST }, run: unreadable },
  { method: 'POST', path: '/api/v1/risk/renew', name: 'renewAnnotations', access: LABELLERS, meaning: 'keep the caller’s batch', answers: { 200: { meaning: 'until when it is theirs', schema: ref('RiskRenewed') }, 409: { meaning: 'the caller has none' } }, run: renew },
  { method: 'POST', path: '/api/v1/risk/release', name: 'releaseAnnotations', access: LABELLERS, meaning: 'give the rest of the caller’s batch to others; the caller is not given it again', answers: { 200: { meaning: 'how much that was', schema: ref('RiskReleased') } }, run: release },
  { method: 'GET', path: '/api/v1/risk/me', name: 'readAnnotator', access: LABELLERS, meaning: 'how much the caller labelled today, and how much they may', answers: { 200: { meaning: 'the counts', schema: ref('RiskMe') } }, run: me },
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

// Labelling.

async function next({ labelling }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  const found = await labelling.next(author);
  return { status: 200, body: found.state === 'there' ? found : { state: found.state, left: 0, annotation: null, texts: [] } };
}

async function label(desk: RiskDesk, { id, text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readLabel(parsed(text), desk.taxonomy);
  if (typeof wanted === 'string') return invalid(wanted);
  const done = await desk.labelling.label(id, author, wanted);
  return typeof done === 'string' ? refusal(done, id) : DONE;
}

async function unreadable({ labelling }: RiskDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  const refused = await labelling.unreadable(id, author);
  return refused === undefined ? DONE : refusal(refused, id);
}

async function renew({ labelling }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  const until = await labelling.renew(author);
  return until === undefined ? { status: 409, body: fault('claim_lost', 'you have no batch; ask for the next text') } : { status: 200, body: { claimed_until: until } };
}

async function release({ labelling }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  return { status: 200, body: { released: await labelling.giveBack(author) } };
}

async function me({ store, checks, risk, now }: RiskDesk, { author }: DeskRequest): Promise<DeskAnswer> {
  const [row, [today], open] = await Promise.all([store.annotator(author), checks.activity(`${now().toISOString().slice(0, 10)}T00:00:00.000Z`, author), store.open(author)]);
  const { daily_max: dailyMax, violations_daily_max: violationsMax } = risk().annotation;
  return { status: 200, body: { state: row?.state ?? 'active', labels_today: today?.labels ?? 0, violations_today: today?.violations ?? 0, daily_max: dailyMax, violations_daily_max: violationsMax, open: open.length } };
}

/** What is wrong with it, where it is none. */
function readLabel(value: unknown, { categories }: Taxonomy): { readonly label: HumanLabel; readonly category: string | null; readonly tier: ConfidenceTier } | string {
  const { label, category = null, confidence = 'high', ...rest } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const tier = CONFIDENCE_TIERS.find((one) => one === confidence);
  const wanted = HUMAN_LABELS.find((one) => one === label);
  if (Object.keys(rest).length > 0) return 'the body has label, category and confidence, and nothing else';
  if (wanted === undefined) return `label is one of ${HUMAN_LABELS.join(', ')}`;
  if (tier === undefined) return `confidence is one of ${CONFIDENCE_TIERS.join(', ')}`;
  if (wanted === 'safe') return category === null ? { label: wanted, category: null, tier } : 'what is safe has no category';
  return typeof category === 'string' && categories.some(({ id }) => id === category) ? { label: wanted, category, tier } : 'a violation has a category of the taxonomy; GET /api/v1/risk/guide lists them';
}

function refusal(why: LabelRefusal, id: string): DeskAnswer {
  if (why === 'none') return missing(`you were not given an annotation ${id}`);
  return { status: 409, body: fault(why === 'decided' ? 'already_decided' : 'claim_lost', why === 'decided' ? `annotation ${id} has its label` : `annotation ${id} is not yours any more; take the next`) };
}
