/**
 * The draws of a log held against the seed: what each entry says was drawn, and what is drawn of it when it is asked again, by
 * what the log itself declares was in force when its exchange began; before the first declaration, by the configuration. Tells
 * what is not in the entry and should be, what is and should not, what is there otherwise, and a seed that is not the one
 * that was declared; and counts the population of each stratum, drawn or not. Reads entries as they stand. Pure.
 */
import type { PlannedCampaign } from '../config/risk.ts';
import type { CampaignDeclaration, SampleRecord } from '../contract/risk.ts';
import { isDeclaration, isDrawnFrom } from './population.ts';
import { Sampler, type Place, type SampledExchange } from './sampler.ts';

/** `missing`: it is drawn and not recorded. `extra`: it is recorded and not drawn. `different`: it is drawn and recorded with something else. `other_seed`: the seed is not the one that was declared. */
export const DRAW_FAULTS = ['missing', 'extra', 'different', 'other_seed'] as const;

export interface DrawFault {
  readonly fault: (typeof DRAW_FAULTS)[number];
  readonly index: number;
  /** Of a declaration none, and no direction. */
  readonly request_id: string | null;
  readonly campaign: string;
  readonly direction: string | null;
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

export interface DrawnTenant {
  readonly id: string;
  readonly product?: string | undefined;
  readonly data: { readonly campaigns: boolean };
}

export interface DrawCheckOptions {
  /** Those that are checked. */
  readonly campaigns: readonly PlannedCampaign[];
  readonly tenants: readonly DrawnTenant[];
  seedOf(campaign: PlannedCampaign): Buffer;
}

export interface LoggedEntry {
  readonly index: number;
  readonly kind: string;
  readonly [member: string]: unknown;
}

/** What was in force from then on. */
interface InForce {
  readonly fromMs: number;
  places(entry: LoggedEntry): readonly Place[];
}

/** An exchange that began so near a change is drawn by what was in force when its body had come. */
const NEAR_MS = 60_000;

export class DrawCheck {
  readonly #options: DrawCheckOptions;
  /** By campaign, oldest first. */
  readonly #inForce: Map<string, InForce[]>;
  readonly #tallies = new Map<string, StratumTally>();

  constructor(options: DrawCheckOptions) {
    this.#options = options;
    this.#inForce = new Map(options.campaigns.map((one) => [one.id, [{ fromMs: -Infinity, places: placesBy(new Sampler([one], options.seedOf), options.tenants) }]]));
  }

  get strata(): readonly StratumTally[] {
    return [...this.#tallies.values()];
  }

  /** In the order of the log. A declaration counts for what began after it; it has no population. */
  take(entry: LoggedEntry): readonly DrawFault[] {
    if (isDeclaration(entry)) return this.#declare(entry as unknown as CampaignDeclaration & LoggedEntry);
    const startedMs = Date.parse(String(entry['started_at']));
    if (entry.kind !== 'exchange' || Number.isNaN(startedMs)) return [];
    const recorded = samplesOf(entry);
    return [...this.#inForce].flatMap(([campaign, all]) => {
      const own = recorded.filter((one) => one.campaign === campaign);
      const before = Math.max(0, all.findLastIndex(({ fromMs }) => fromMs <= startedMs - NEAR_MS));
      const near = all.filter(({ fromMs }, at) => at >= before && fromMs <= startedMs + NEAR_MS);
      const nominal = all.findLast(({ fromMs }) => fromMs <= startedMs)!;
      const found = [nominal, ...near].map((one) => ({ places: one.places(entry) })).map(({ places }) => ({ places, faults: faultsOf(entry, own, places) }));
      const { places, faults } = found.find((one) => one.faults.length === 0) ?? found[0]!;
      for (const { sample } of places) this.#tally(sample, own.some((one) => isSame(one, sample)));
      return faults;
    });
  }

  #declare({ index, campaign, in_force_at: at, sha256 = '', seed_commitment: commitment, definition, tenants = [] }: CampaignDeclaration & LoggedEntry): readonly DrawFault[] {
    const all = this.#inForce.get(campaign);
    const configured = this.#options.campaigns.find(({ id }) => id === campaign);
    if (all === undefined || configured === undefined) return [];
    const fromMs = Date.parse(at);
    if (sha256 === '') {
      all.push({ fromMs, places: () => [] });
      return [];
    }
    const declared = definition as PlannedCampaign | undefined;
    const sampler = new Sampler([declared ?? configured], () => this.#options.seedOf(configured));
    all.push({ fromMs, places: placesBy(sampler, declared === undefined ? this.#options.tenants : tenants.map((one) => ({ ...one, data: { campaigns: true } }))) });
    return sampler.commitmentOf(campaign) === commitment ? [] : [{ fault: 'other_seed', index, request_id: null, campaign, direction: null, recorded: null, expected: null }];
  }

  #tally({ campaign, stratum, probability }: SampleRecord, isDrawn: boolean): void {
    const key = JSON.stringify([campaign, stratum, probability]);
    const known = this.#tallies.get(key) ?? { campaign, stratum, probability, population: 0, drawn: 0 };
    known.population++;
    if (isDrawn) known.drawn++;
    this.#tallies.set(key, known);
  }
}

/** What of an entry could be drawn. What was handed on unread, or only asked about, could not. */
export function placesBy(sampler: Pick<Sampler, 'population'>, tenants: readonly DrawnTenant[]): (entry: LoggedEntry) => readonly Place[] {
  const known = new Map(tenants.map((one) => [one.id, one]));
  return (entry) => {
    const tenant = known.get(String(entry['tenant_id']));
    return tenant === undefined || !isDrawnFrom(entry) ? [] : sampler.population(tenant as never, entry as unknown as SampledExchange);
  };
}

function faultsOf(entry: LoggedEntry, recorded: readonly Partial<SampleRecord>[], places: readonly Place[]): readonly DrawFault[] {
  const expected = places.filter((place) => place.isDrawn()).map(({ sample }) => sample);
  const told = (fault: DrawFault['fault'], { campaign, direction }: Partial<SampleRecord>, was: Partial<SampleRecord> | null, is: SampleRecord | null): DrawFault =>
    ({ fault, index: entry.index, request_id: String(entry['request_id']), campaign: String(campaign), direction: String(direction), recorded: was, expected: is });
  return [
    ...expected.flatMap((one) => {
      const found = recorded.find((other) => isOfSame(other, one));
      return found === undefined ? [told('missing', one, null, one)] : isSame(found, one) ? [] : [told('different', one, found, one)];
    }),
    ...recorded.filter((one, at) => !expected.some((other) => isOfSame(one, other)) || recorded.findIndex((other) => isOfSame(other, one)) < at).map((one) => told('extra', one, one, null)),
  ];
}

function samplesOf({ samples }: LoggedEntry): readonly Partial<SampleRecord>[] {
  return Array.isArray(samples) ? samples.filter((one): one is Partial<SampleRecord> => typeof one === 'object' && one !== null) : [];
}

function isOfSame(a: Partial<SampleRecord>, b: Partial<SampleRecord>): boolean {
  return a.campaign === b.campaign && a.direction === b.direction;
}

function isSame(a: Partial<SampleRecord>, b: SampleRecord): boolean {
  return isOfSame(a, b) && a.stratum === b.stratum && a.probability === b.probability && a.decision === b.decision && a.modality === b.modality;
}
