/** What every weekly report says of its methods, of what its numbers are not, and of what it may be evidence for. Data. */
import type { Mapping, Method } from '../campaign/methods.ts';

export const WEEKLY_METHODS: readonly Method[] = [
  { title: 'Time', text: 'All times are in UTC. A week is that of ISO 8601, from Monday 00:00 to the next. An exchange is of the hour in which its entry was written to the audit log, which is when it ended. Of a week that is not over, the hours up to the report are counted, and held against the same hours of the week before.' },
  { title: 'Counts', text: 'Exchanges and decisions are counted from the closing entries of the audit log: all of them, no sample, so these numbers have no interval. A category counts once for each exchange in which a classifier gave it a score of 0.5 or more, whatever was then done; an exchange with two categories counts in both.' },
  { title: 'Trends', text: 'The share of exchanges with a category is held against the four weeks before it. The ratio and its 95 % interval, and the chance p of so large a difference where there is none, are the exact test of two counts given their sum (Przyborowski and Wilenski 1940), two-sided, times the number of categories (Bonferroni). “Rose” is said where p is at most 0.05 and the rise is also beyond how much these weeks varied among themselves; “fell” where p is at most 0.05 and the share lies below each of the four; “varies” where p is at most 0.05 and neither holds. With fewer than four weeks of traffic, or fewer than five exchanges with the category in all of them, nothing is said.' },
  { title: 'Time of screening', text: 'Latencies are counted in steps of a fifth, so a quantile is within a tenth of the truth. It is the time from the text to its scores and decision, without the upstream; for streams the sum over their windows.' },
  { title: 'Availability', text: 'Exchanges that were answered as they should have been, or refused for a reason of policy or of the caller, among these and those that failed by a fault of Weir’s. Where a score was missing and the policy fails closed, the refusal counts as a fault. What the upstream failed, and what callers left, counts for nobody. What did not reach Weir at all is not in it.' },
  { title: 'Reviews', text: 'An item is opened when it comes to the queue and resolved when people have decided it; times run from the one to the other, of an objection from the objection. The median and the nine-tenths are of the items resolved in the week. Overdue is what nobody had decided when it was due. An item that is objected to later stands as it stands now.' },
  { title: 'False positives', text: 'Of items that people judged, those on which they judged otherwise than was done, with the Wilson interval at 95 %; of a rule, those on which it fired and that people allow. Items that a rule escalated are no sample of its traffic: their rate is that of what people were asked. The rates of checks are of items that were drawn from everything.' },
  { title: 'Residual risk', text: 'Of campaigns that draw from what was served and have people label it: the share of violations, weighted by one over the probability of the draw, with the mid-P interval by the method of Fay and Feuer (1997). Of this tenant alone; the claim of a campaign over several tenants is judged in the campaign’s own report. “In the week” is what was drawn on its days. Where no campaign covers the tenant, residual risk is not measured.' },
];

export const WEEKLY_LIMITS: readonly string[] = [
  'A found category is what a classifier said, not what a person judged; how often it is wrong is told by false positives and residual risk, as far as people looked.',
  'Interval and chance are those of independent exchanges. A few callers who send much that is alike make them too narrow.',
  'What a policy exempts, what no classifier reads, and scores that were missing are told as such, and are in no count of what was found.',
  'Changes of the configuration file are in no store, so they are not listed; a policy from a file shows as a revision that decided.',
  'Reviews, objections and labels are told as they stood when the report was made. A later verdict changes a report that is made again, and its hash tells so.',
  'The report tells what this system decided. It does not say that anybody complies with anything.',
];

export const WEEKLY_MAPPING_NOTE = 'What this report can be evidence for. It does not say that anybody complies with anything; that is for who audits.';

export const WEEKLY_MAPPINGS: readonly Mapping[] = [
  { framework: 'Regulation (EU) 2024/1689 (AI Act)', part: 'Art. 12: record-keeping', evidence: 'volumes and actions counted from the audit log, and the checkpoints that it rests on' },
  { framework: 'Regulation (EU) 2024/1689 (AI Act)', part: 'Art. 14: human oversight', evidence: 'reviews, their time to resolution, overdue items, overrides and objections' },
  { framework: 'Regulation (EU) 2024/1689 (AI Act)', part: 'Art. 19 and 26(6): logs are kept', evidence: 'checkpoints of the audit logs; hours that passed their retention' },
  { framework: 'Regulation (EU) 2024/1689 (AI Act)', part: 'Art. 26(5): monitoring by who deploys', evidence: 'violations by category with their trend; residual risk; what was not screened' },
  { framework: 'Regulation (EU) 2022/2065 (DSA)', part: 'Art. 15(1)(c) to (e): own-initiative moderation, complaints, automated means and their error', evidence: 'actions by category, objections and reversals, override rates with their intervals; the DSA form of this report' },
  { framework: 'NIST AI RMF 1.0', part: 'GOVERN 1.4, 4.3: risk management is documented and incidents are communicated', evidence: 'changes of policies and models; the report itself, each week' },
  { framework: 'NIST AI RMF 1.0', part: 'MEASURE 2.4, 2.6, 4.2: behaviour in production is monitored, measures are evaluated', evidence: 'trends, false positives, residual risk, availability' },
  { framework: 'NIST AI RMF 1.0', part: 'MANAGE 4.1: monitoring after deployment, appeal and override', evidence: 'reviews, overrides, objections and reversals' },
];
