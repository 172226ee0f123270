/**
 * A draw held against the log: what an entry says was drawn, and what is drawn of it when it is asked again, by whoever has
 * the seed and the configuration that was in force. Tells what is not in the entry and should be, what is and should not,
 * and what is there otherwise; and counts the population of each stratum, drawn or not. Reads entries as they stand in a
 * log, which may be another's. Pure.
 */
import type { TenantConfig } from '../config/schema.ts';
import type { DecisionRecord } from '../contract/exchange.ts';
import type { SampleRecord } from '../contract/risk.ts';
import type { SampledExchange, Sampler } from './sampler.ts';

/** `missing`: it is drawn and not recorded. `extra`: it is recorded and not drawn. `different`: it is drawn and recorded with something else. */
export const DRAW_FAULTS = ['missing', 'extra', 'different'] as const;

export interface DrawFault {
  readonly fault: (typeof DRAW_FAULTS)[number];
  readonly index: number;
  readonly request_id: string;
  readonly campaign: string;
  readonly direction: string;
  readonly recorded: Partial<SampleRecord> | null;
  readonly expected: SampleRecord | null;
}

export interface StratumTally {
  readonly campaign: string;
  readonly stratum: string;
  readonly probability: number;
  /** Texts that could be drawn, and those that the log says were. */
  population: number;
  drawn: number;
}

export interface RedrawOptions {
  readonly sampler: Pick<Sampler, 'population'>;
  readonly tenantOf: (id: string) => TenantConfig | undefined;
  /** Of others nothing is told. */
  readonly isMeant: (campaign: string) => boolean;
}

interface LoggedEntry {
  readonly index: number;
  readonly kind: string;
  readonly [member: string]: unknown;
}

type Logged = SampledExchange & { readonly tenant_id: string; readonly samples?: unknown };

/** By campaign and stratum. */
export type Tallies = Map<string, StratumTally>;

/** What is wrong with the draws of an entry; its population is added to `tallies`. */
export function redraw(entry: LoggedEntry, { sampler, tenantOf, isMeant }: RedrawOptions, tallies: Tallies): readonly DrawFault[] {
  if (entry.kind !== 'exchange') return [];
  const exchange = entry as LoggedEntry & Logged;
  const tenant = tenantOf(exchange.tenant_id);
  const places = tenant === undefined || !isScreened(exchange) ? [] : sampler.population(tenant, exchange).filter(({ sample }) => isMeant(sample.campaign));
  const recorded = samplesOf(exchange).filter(({ campaign }) => isMeant(String(campaign)));
  const expected = places.filter((place) => place.isDrawn()).map(({ sample }) => sample);
  for (const { sample } of places) tally(sample, recorded.some((one) => isSame(one, sample)), tallies);
  const told = (fault: DrawFault['fault'], { campaign, direction }: Partial<SampleRecord>, was: Partial<SampleRecord> | null, is: SampleRecord | null): DrawFault =>
    ({ fault, index: entry.index, request_id: exchange.request_id, campaign: String(campaign), direction: String(direction), recorded: was, expected: is });
  return [
    ...expected.flatMap((one) => {
      const found = recorded.find((other) => isOfSame(other, one));
      return found === undefined ? [told('missing', one, null, one)] : isSame(found, one) ? [] : [told('different', one, found, one)];
    }),
    ...recorded.filter((one, at) => !expected.some((other) => isOfSame(one, other)) || recorded.findIndex((other) => isOfSame(other, one)) < at).map((one) => told('extra', one, one, null)),
  ];
}

/** What is screened can be drawn: what was handed over, or only asked about, is not. */
function isScreened({ route, policy, input, output }: LoggedEntry & Logged): boolean {
  if (typeof policy !== 'string' || typeof route !== 'string' || route.startsWith('/weir/')) return false;
  return [input, output].every((record) => record === undefined || isDecision(record));
}

function isDecision({ action, coverage, classifier_results: results }: DecisionRecord): boolean {
  return typeof action === 'string' && Array.isArray(coverage?.opaque) && Array.isArray(results);
}

function samplesOf({ samples }: Logged): readonly Partial<SampleRecord>[] {
  return Array.isArray(samples) ? samples.filter((one): one is Partial<SampleRecord> => typeof one === 'object' && one !== null) : [];
}

function isOfSame(a: Partial<SampleRecord>, b: Partial<SampleRecord>): boolean {
  return a.campaign === b.campaign && a.direction === b.direction;
}

function isSame(a: Partial<SampleRecord>, b: SampleRecord): boolean {
  return isOfSame(a, b) && a.stratum === b.stratum && a.probability === b.probability && a.decision === b.decision && a.modality === b.modality;
}

function tally({ campaign, stratum, probability }: SampleRecord, isDrawn: boolean, tallies: Tallies): void {
  const key = JSON.stringify([campaign, stratum]);
  const known = tallies.get(key) ?? { campaign, stratum, probability, population: 0, drawn: 0 };
  known.population++;
  if (isDrawn) known.drawn++;
  tallies.set(key, known);
}
