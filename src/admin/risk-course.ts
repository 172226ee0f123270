/**
 * More of a campaign over the API: its course over time, where violations concentrate and which classifier came nearest, and
 * what a claim would take from here. What is counted from many rows is told as far as it is known, with its time. To a
 * tenant-viewer of its tenants alone.
 */
import type { CampaignConfig } from '../config/risk.ts';
import { seesAll } from '../contract/people.ts';
import { COURSE_STEPS, type CourseStep } from '../risk/course.ts';
import { claimNeeds } from '../risk/status.ts';
import type { TaskCell } from '../store/annotation-tasks.ts';
import { invalid, missing, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ESTIMATES, isShown, NO_CAMPAIGN, tenantsOf, type RiskDesk } from './risk.ts';
import { ref } from './schemas.ts';

const percent = (exclusiveMaximum: number) => ({ type: 'number', exclusiveMinimum: 0, exclusiveMaximum }) as const;

export const RISK_COURSE_ROUTES: readonly Route<RiskDesk>[] = [
  {
    method: 'GET', path: '/api/v1/risk/campaigns/:id/course', name: 'readRiskCourse', access: ESTIMATES, meaning: 'how the rate of a campaign went: each day or week (`?by=`) with its interval, whether the newer half differs from the older, and what has just risen beyond chance',
    query: { by: { enum: COURSE_STEPS } }, answers: { 200: { meaning: 'the course, or that it is being counted', schema: ref('RiskCourse') }, ...NO_CAMPAIGN }, run: course,
  },
  {
    method: 'GET', path: '/api/v1/risk/campaigns/:id/near-misses', name: 'readRiskMisses', access: ESTIMATES, meaning: 'in which score bands, strata, models and policies the newest violations concentrate, and which classifier came nearest, from the audit log; without content',
    answers: { 200: { meaning: 'the groups, or that they are being looked up', schema: ref('RiskMisses') }, ...NO_CAMPAIGN }, run: nearMisses,
  },
  {
    method: 'GET', path: '/api/v1/risk/campaigns/:id/needs', name: 'readRiskNeeds', access: ESTIMATES, meaning: 'what it would take, from where the campaign stands, to claim a rate `?below_percent=` with `?confidence_percent=` (default: those of its claim): labels, and days at the pace of late',
    query: { below_percent: percent(100), confidence_percent: percent(100) }, answers: { 200: { meaning: 'by violations found in the end', schema: ref('RiskNeeds') }, 400: { meaning: 'such a claim would take too many labels' }, ...NO_CAMPAIGN }, run: needs,
  },
];

interface Found {
  readonly campaign: CampaignConfig | undefined;
  /** Of all tenants, and of those that the caller sees. */
  readonly all: readonly TaskCell[];
  readonly cells: readonly TaskCell[];
}

/** Undefined: there is none for the caller. */
async function found({ overview, risk }: RiskDesk, { id, actor }: DeskRequest): Promise<Found | undefined> {
  const campaign = risk().campaigns.find((one) => one.id === id);
  const all = (await overview.cells(undefined, id)).get(id) ?? [];
  const tenants = tenantsOf(actor);
  const cells = tenants === undefined ? all : all.filter((cell) => tenants.includes(cell.tenant_id));
  return cells.length > 0 || (campaign !== undefined && isShown(campaign, actor)) ? { campaign, all, cells } : undefined;
}

async function course(desk: RiskDesk, request: DeskRequest): Promise<DeskAnswer> {
  const { id, query, actor } = request;
  const of = await found(desk, request);
  if (of === undefined) return absent(id);
  const by = query['by'] as CourseStep | undefined;
  const { value, as_of } = await desk.look.course(id, of.all, tenantsOf(actor), { by });
  return { status: 200, body: { campaign: id, as_of, ...(value ?? { by: by ?? 'day', periods: [], change: null, looked_at: null, series: [] }) } };
}

async function nearMisses(desk: RiskDesk, request: DeskRequest): Promise<DeskAnswer> {
  const { id, actor } = request;
  const of = await found(desk, request);
  if (of === undefined) return absent(id);
  const { value, as_of } = await desk.look.nearMisses(id, of.all, tenantsOf(actor));
  return { status: 200, body: { campaign: id, as_of, ...(value ?? { violations: 0, safe: 0, not_found: 0, from: null, until: null, groups: [], categories: [] }) } };
}

async function needs(desk: RiskDesk, request: DeskRequest): Promise<DeskAnswer> {
  const { id, query, actor } = request;
  const of = await found(desk, request);
  if (of === undefined) return absent(id);
  const { below_percent: below = of.campaign?.claim.below_percent ?? 2, confidence_percent: confidence = of.campaign?.claim.confidence_percent ?? 95 } = query as Readonly<Record<string, number | undefined>>;
  const pace = seesAll(actor) ? await desk.overview.pace(id) : null;
  try {
    const { rows, ...told } = claimNeeds(of.cells, below / 100, confidence / 100);
    return { status: 200, body: { campaign: id, below: below / 100, confidence: confidence / 100, ...told, pace, rows: rows.map((row) => ({ ...row, days: row.more === null || pace === null || pace.labels_a_day === 0 ? null : row.more / pace.labels_a_day })) } };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return invalid(error.message);
  }
}

function absent(id: string): DeskAnswer {
  return missing(`there is no campaign ${id} for you to see`);
}
