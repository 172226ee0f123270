/**
 * The metrics of residual risk, as campaigns were last told of: rates with their bounds, texts by outcome, whether a claim is
 * shown, what a test that may be looked at any time says, what has just risen, and annotators by state. Labels are names of
 * configured campaigns and words of ours. Told by the processes with the role control.
 */
import type { CampaignTold, RiskTold } from '../contract/channels.ts';
import { CLAIM_STATES, SEQUENTIAL_DECISIONS } from '../contract/risk.ts';

export const RISK_METRICS = {
  weir_risk_rate: { kind: 'gauge', labels: ['campaign'], help: 'Rate of violations in what a campaign draws from, as labels tell; absent before the first' },
  weir_risk_rate_bound: { kind: 'gauge', labels: ['campaign', 'bound'], help: 'Ends of the interval of that rate for a plan that was fixed before (low, high), and of the one that holds however often it is looked at (peeking_low, peeking_high)' },
  weir_risk_texts: { kind: 'gauge', labels: ['campaign', 'outcome'], help: 'Drawn texts of a campaign: waiting for a label, labelled safe or violation, missing' },
  weir_risk_claim: { kind: 'gauge', labels: ['campaign', 'state'], help: '1 for the state of a campaign\'s claim that its rate is below a threshold: met, open, contradicted, too_few; 0 for the others' },
  weir_risk_sequential: { kind: 'gauge', labels: ['campaign', 'decision'], help: '1 for what the sequential test of the claim says, which holds at any time: open, good (below), bad (not below); 0 for the others; absent where texts are drawn with several probabilities' },
  weir_risk_risen: { kind: 'gauge', labels: ['campaign', 'series'], help: 'Series that rose beyond chance in the newest day with labels: the whole (all), tenants, categories; at most one false alarm in twenty looks' },
  weir_risk_annotators: { kind: 'gauge', labels: ['state'], help: 'People who label, by state; paused: below the agreement with known answers, or by an admin' },
} as const;

type Observe = (value: number, labels: Readonly<Record<string, string>>) => void;

/** `nameOf`: of a campaign, bounded. */
export function observeRisk(name: string, { campaigns, annotators }: RiskTold, nameOf: (campaign: string) => string, observe: Observe): void {
  if (name === 'weir_risk_annotators') for (const [state, value] of Object.entries(annotators)) observe(value, { state });
  else for (const told of campaigns) observeCampaign(name, told, nameOf(told.campaign), observe);
}

function observeCampaign(name: string, { rate, bounds, texts, claim, sequential, risen }: CampaignTold, campaign: string, observe: Observe): void {
  const each = (values: Readonly<Record<string, number>>, label: string): void => { for (const [word, value] of Object.entries(values)) observe(value, { campaign, [label]: word }); };
  const oneOf = (words: readonly string[], current: string | null, label: string): void => { if (current !== null) for (const word of words) observe(word === current ? 1 : 0, { campaign, [label]: word }); };
  if (name === 'weir_risk_texts') each(texts, 'outcome');
  else if (name === 'weir_risk_claim') oneOf(CLAIM_STATES, claim, 'state');
  else if (name === 'weir_risk_sequential') oneOf(SEQUENTIAL_DECISIONS, sequential, 'decision');
  else if (name === 'weir_risk_risen' && risen !== null) each(risen, 'series');
  else if (name === 'weir_risk_rate' && rate !== null) observe(rate, { campaign });
  else if (name === 'weir_risk_rate_bound' && rate !== null) each(bounds, 'bound');
}
