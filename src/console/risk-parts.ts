/**
 * What pages about residual risk say in words: what a rate is of, between which days, whether a claim is met, and which of
 * two intervals to trust when. No rate is told without its interval, its number of labels and its dates. Pure.
 */
import type { CampaignDefinition } from '../contract/risk.ts';
import type { DrawnBetween } from '../risk/overview.ts';
import type { ClaimStatus, Estimate } from '../risk/status.ts';
import { html, type Html, type Piece } from './html.ts';
import { count, percent, rangeOf } from './parts.ts';

/** As `listRiskCampaigns` tells a campaign. */
export type CampaignRow = CampaignDefinition & { readonly confidence: number; readonly total: Estimate; readonly claim: ClaimStatus | null; readonly precision: PrecisionTold | null; readonly drawn_between: DrawnBetween | null };

export interface PrecisionTold {
  readonly half_width: number;
  readonly reached: boolean;
  readonly labels_needed: number;
}

const CLAIM_WORDS: Readonly<Record<ClaimStatus['state'], readonly [word: string, badge: string]>> = { met: ['shown', 'a-allow'], open: ['not shown yet', 'a-warn'], contradicted: ['contradicted', 'a-block'], too_few: ['too few labels to show it', 'a-other'] };

export function claimBadge({ state, below }: Pick<ClaimStatus, 'state' | 'below'>): Html {
  const [word, badge] = CLAIM_WORDS[state];
  return html`<span class="nowrap">below ${percent(below)}:</span> <span class="badge ${badge}">${word}</span>`;
}

/** What the rate is a share of. */
export function populationOf(definition: Pick<CampaignDefinition, 'decisions' | 'directions'> | null): string {
  if (definition === null || definition.decisions.length === 0) return 'what was drawn';
  const kinds = definition.directions.length === 2 ? 'prompts and answers' : definition.directions[0] === 'input' ? 'prompts' : 'answers';
  const became = definition.decisions.map((decision) => DECISION_WORDS[decision]);
  return `${kinds} that ${became.length > 1 ? `${became.slice(0, -1).join(', ')} or ${became.at(-1)}` : became[0]}`;
}

const DECISION_WORDS = { passed: 'passed', redacted: 'were redacted', blocked: 'were blocked' } as const;

/** Days, in UTC. */
export function datesOf(between: DrawnBetween | null): string {
  if (between === null) return 'nothing drawn yet';
  const [from, until] = [between.from.slice(0, 10), between.until.slice(0, 10)];
  return from === until ? `drawn ${from}` : `drawn ${from} to ${until}`;
}

/** A rate with all that belongs to it. */
export function rateTold({ rate, interval, labelled }: Pick<Estimate, 'rate' | 'interval' | 'labelled'>, between: DrawnBetween | null): Piece {
  if (rate === null) return html`<span class="quiet">no label yet</span>`;
  return html`<strong>${percent(rate)}</strong> <span class="quiet">${rangeOf(interval.low, interval.high)}, n ${count(labelled)}, ${datesOf(between)}</span>`;
}

/** Labels that the goal takes, with the violations found so far; null: it has none, or is far from it. */
export function goalOf({ claim, precision }: Pick<CampaignRow, 'claim' | 'precision'>): number | null {
  return claim === null ? (precision?.labels_needed ?? null) : claim.labels_needed;
}

export function goalState({ claim, precision }: Pick<CampaignRow, 'claim' | 'precision'>): Piece {
  if (claim !== null) return claimBadge(claim);
  if (precision === null) return html`<span class="quiet">no claim</span>`;
  return html`<span class="nowrap">within ${percent(precision.half_width)}:</span> <span class="badge ${precision.reached ? 'a-allow' : 'a-warn'}">${precision.reached ? 'reached' : 'not reached yet'}</span>`;
}

export function progress(labelled: number, goal: number | null, what: string): Piece {
  if (goal === null) return html`<span class="quiet">–</span>`;
  const share = Math.min(1, labelled / Math.max(1, goal));
  return html`<meter min="0" max="1" value="${share.toFixed(4)}" aria-label="${what}">${percent(share)}</meter> <span class="quiet">${count(labelled)} of ${count(goal)}</span>`;
}

/** What keeps the answer from being as good as it could be, in words. */
export function missingOf({ total, strata, claim, corrected, agreement }: { readonly total: Estimate; readonly strata: readonly Estimate[]; readonly claim: ClaimStatus | null; readonly corrected?: { readonly correction: string }; readonly agreement?: unknown }): readonly string[] {
  const silent = strata.filter(({ labelled, drawn }) => labelled === 0 && drawn > 0).map(({ name }) => name);
  return [
    total.drawn === 0 ? 'nothing is drawn yet' : '', total.waiting === 0 ? '' : `${count(total.waiting)} drawn texts wait for a label`,
    total.missing === 0 ? '' : `${count(total.missing)} cannot be labelled: their texts are gone, or nobody could judge them`, silent.length === 0 ? '' : `no label in ${silent.length === 1 ? 'stratum' : 'strata'} ${silent.join(', ')}: the rate is that of the others`,
    corrected?.correction === 'no_information' ? 'no correction for annotators’ errors: too few answers to items with known answers, of either kind' : '', corrected?.correction === 'noise' ? 'annotators’ false reports alone could make up the violations seen' : '',
    agreement === null ? 'nothing is known of how far annotators agree: no text has two labels' : '', claim?.state === 'met' && !claim.met_at_worst ? 'what nobody labelled could still undo the claim, were all of it violations' : '',
  ].filter((text) => text !== '');
}
