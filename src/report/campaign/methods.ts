/** What every report of a campaign says of its methods, and what it may be evidence for. Data; src/risk/README.md is the whole of it. */

export interface Method {
  readonly title: string;
  readonly text: string;
}

export const METHODS: readonly Method[] = [
  { title: 'Unit and population', text: 'The unit is a prompt or a completion that was decided; the population all of them in the period that the plan names. They are counted in the audit logs, by the plan that the log itself declared to be in force when the exchange began. Where a log declares none, the population of a stratum is estimated by the sum of one over the probabilities of what was drawn.' },
  { title: 'Draw', text: 'u = HMAC-SHA256(seed, request id and direction), its first 48 bits as a number from 0 to below 1; drawn where u is below the probability of the stratum. Every unit is drawn independently of every other (Poisson sampling). The seed is secret while the campaign runs; its SHA-256 is declared beforehand, so that the seed can be shown afterwards and the draw repeated.' },
  { title: 'Labelling', text: 'People label by the written taxonomy whose version and hash are given. Some texts two people label without seeing each other, and a third where they differ; the majority counts. Some of what they are given has a known answer and cannot be told from the rest; whoever agrees too rarely is paused, and what they said since their calibration last held is labelled anew by others.' },
  { title: 'Rates', text: 'Within a stratum the labels are weighted by one over their probability (Hájek); strata are weighted by their population. A category is told as its violations among everything. Where a product, tenant or modality cuts through a stratum, its part of the population is estimated by the sample. Intervals are for the process behind the period, without a finite-population correction.' },
  { title: 'Intervals', text: 'Two-sided intervals are mid-P, one-sided limits for claims exact, both by the method of Fay and Feuer (1997) on a beta distribution; with one probability in one stratum they are the mid-P interval and that of Clopper and Pearson. They hold for a plan that was fixed before the first label and is read once. The interval under peeking is a betting confidence sequence (Waudby-Smith and Ramdas 2024): it holds however often it is looked at.' },
  { title: 'What nobody labelled', text: 'For the rate it is taken as the labelled of its stratum. The worst-case bounds take all of it as safe, and all of it as violations (Manski 2003): there is no chance in them.' },
  { title: 'Errors of those who label', text: 'The corrected rate is that of Rogan and Gladen (1978), with sensitivity and specificity from texts with known answers, and an interval by parametric bootstrap that carries the doubt about all three. "noise": false reports alone could make up what was seen. "no_information": too few known answers, or answers no better than chance. Assumed: people err on known texts as on others, and alike in every stratum.' },
  { title: 'Agreement', text: 'Raw agreement is told for each label, because chance-corrected figures collapse where one label is rare. Krippendorff’s alpha (nominal) over all who labelled the same, with a bootstrap interval over the texts; Cohen’s kappa for pairs of people.' },
  { title: 'Course', text: 'Each period by itself. A change is the exact test of two counts given their sum; a spike the last period against those before it, with the unrest of the series itself taken into account.' },
  { title: 'Not claimed', text: 'Nothing about violations that people who follow the taxonomy would not see; nothing about strata that were not drawn. One user’s many requests may be alike: no correction is made for such clusters, so intervals are too narrow where one session makes a large part of the violations. A rate below a threshold is evidence for the period and the traffic it is of, no promise for the next.' },
];

export interface Mapping {
  readonly framework: string;
  readonly part: string;
  /** Which part of the report is evidence for it. */
  readonly evidence: string;
}

export const MAPPING_NOTE = 'What this report can be evidence for. It does not say that anybody complies with anything; that is for who audits.';

export const MAPPINGS: readonly Mapping[] = [
  { framework: 'NIST AI RMF 1.0', part: 'GOVERN 1.2, 1.4: policies and processes are documented and transparent', evidence: 'the question and its plan, declared in the audit log; the taxonomy with its version' },
  { framework: 'NIST AI RMF 1.0', part: 'MAP 2.3: scientific integrity and test considerations', evidence: 'sampling design, methods, what is not claimed' },
  { framework: 'NIST AI RMF 1.0', part: 'MEASURE 1.1, 2.1: metrics, test sets and tools are documented', evidence: 'estimates with their numbers and intervals; the version of the software' },
  { framework: 'NIST AI RMF 1.0', part: 'MEASURE 2.6, 2.7, 2.11: safety, security and bias are evaluated', evidence: 'rates by category, product, tenant and modality, as far as the taxonomy names such violations' },
  { framework: 'NIST AI RMF 1.0', part: 'MEASURE 2.13, 4.2: the measures themselves are evaluated', evidence: 'agreement, known answers, correction for the errors of those who label' },
  { framework: 'NIST AI RMF 1.0', part: 'MANAGE 4.1: monitoring after deployment', evidence: 'the course over time, deviations from the plan, corrections' },
  { framework: 'ISO/IEC 42001:2023', part: '9.1 Monitoring, measurement, analysis and evaluation', evidence: 'what was measured, how, when, and with what result' },
  { framework: 'ISO/IEC 42001:2023', part: '7.5 Documented information', evidence: 'versions of this report, its signature, the checkpoints of the audit logs' },
  { framework: 'ISO/IEC 42001:2023', part: 'A.6.2.6 AI system operation and monitoring; A.6.2.8 Recording of event logs', evidence: 'the population, counted in logs that nobody can alter unnoticed' },
];
