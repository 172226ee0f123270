/**
 * What of the traffic is drawn for residual-risk campaigns: each direction of an exchange by itself, with the probability
 * of its stratum, as `u = HMAC(seed, request id)` says, `u < p`. So a draw can be checked by whoever has the seed, comes
 * out the same however often it is asked, and depends on nothing that a caller can choose. Where no campaign is on
 * nothing is reckoned. Pure.
 *
 * INVARIANT: what is drawn is decided by the id and the stratum alone; `mayBeDrawn` is true of all that is.
 */
import { createHash, createHmac } from 'node:crypto';
import type { PlannedCampaign, PlannedStratum } from '../config/risk.ts';
import type { TenantConfig } from '../config/schema.ts';
import type { DecisionRecord, LateRecord } from '../contract/exchange.ts';
import type { SampledDecision, SampleRecord } from '../contract/risk.ts';
import { DIRECTIONS, type Action, type ContentType, type Direction } from '../contract/screening.ts';

/** Of a closing entry, what a draw reads. */
export interface SampledExchange {
  readonly request_id: string;
  readonly started_at: string;
  readonly input?: DecisionRecord | undefined;
  readonly output?: DecisionRecord | undefined;
  readonly late?: LateRecord | undefined;
}

/** One direction of an exchange, as strata see it. */
interface Unit {
  readonly tenant: string;
  readonly product: string;
  readonly decision: SampledDecision;
  readonly modality: ContentType;
  readonly record: DecisionRecord;
}

interface Stratum {
  readonly config: PlannedStratum;
  readonly probability: number;
}

interface Campaign {
  readonly config: PlannedCampaign;
  readonly seed: Buffer;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly strata: readonly Stratum[];
  readonly probabilityMax: number;
}

/** Its population, unless it says another: what was served. */
export const SERVED: readonly SampledDecision[] = ['passed', 'redacted'];

export class Sampler {
  readonly #campaigns: readonly Campaign[];

  /** `seedOf`: of a campaign; 16 bytes at least. */
  constructor(campaigns: readonly PlannedCampaign[], seedOf: (campaign: PlannedCampaign) => Buffer) {
    this.#campaigns = campaigns.map((config) => {
      const strata = config.strata.map((one): Stratum => ({ config: one, probability: probabilityOf(one) }));
      return {
        config, seed: createHmac('sha256', seedOf(config)).update(`weir campaign ${config.id}`).digest(), strata, probabilityMax: Math.max(...strata.map(({ probability }) => probability)),
        fromMs: config.from === undefined ? -Infinity : Date.parse(config.from), untilMs: config.until === undefined ? Infinity : Date.parse(config.until),
      };
    });
  }

  /** How its texts are to be gathered, in case they are drawn; undefined: they cannot be. */
  mayBeDrawn(tenant: TenantConfig, requestId: string, startedAtMs: number): 'redacted' | 'original' | undefined {
    if (this.#campaigns.length === 0) return undefined;
    const open = this.#campaigns.filter((one) => isOn(one, tenant, startedAtMs) && one.config.directions.some((direction) => chanceOf(one.seed, requestId, direction) < one.probabilityMax));
    if (open.length === 0) return undefined;
    return open.some(({ config }) => config.decisions?.includes('blocked') === true) ? 'original' : 'redacted';
  }

  /** What is drawn of an exchange that has ended, in order of the campaigns. */
  draw(tenant: TenantConfig, exchange: SampledExchange): readonly SampleRecord[] {
    if (this.#campaigns.length === 0) return [];
    return this.population(tenant, exchange).flatMap(({ sample, isDrawn }) => (isDrawn() ? [sample] : []));
  }

  /** What of it could be drawn, with the probability of each, and whether it is: the population. */
  population(tenant: Pick<TenantConfig, 'id' | 'product' | 'data'>, exchange: SampledExchange): readonly Place[] {
    const startedAtMs = Date.parse(exchange.started_at);
    return this.#campaigns.filter((one) => isOn(one, tenant, startedAtMs)).flatMap((one) => DIRECTIONS.flatMap((direction) => placeOf(one, unitOf(tenant, exchange, direction), exchange.request_id, direction) ?? []));
  }

  /** Of a campaign: whoever is shown the seed later can tell that it was the one. Throws RangeError where there is no such campaign. */
  commitmentOf(id: string): string {
    const found = this.#campaigns.find(({ config }) => config.id === id);
    if (found === undefined) throw new RangeError(`there is no campaign ${id}`);
    return createHash('sha256').update(found.seed).digest('hex');
  }
}

/** One direction of an exchange in a stratum. */
export interface Place {
  /** What the entry says where it is drawn. */
  readonly sample: SampleRecord;
  isDrawn(): boolean;
}

/** With which a text of it is drawn: above 0, at most 1. */
export function probabilityOf({ probability_percent: percent = 100, total, expected }: PlannedStratum): number {
  return Math.min(percent / 100, total === undefined ? 1 : total / expected!);
}

/** In [0, 1), of 48 bits. */
export function chanceOf(seed: Buffer, requestId: string, direction: Direction): number {
  return createHmac('sha256', seed).update(`${requestId}.${direction}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

function isOn({ config, fromMs, untilMs }: Campaign, tenant: Pick<TenantConfig, 'id' | 'product' | 'data'>, ms: number): boolean {
  return tenant.data.campaigns && ms >= fromMs && ms < untilMs && (config.tenants?.includes(tenant.id) ?? true) && (config.products?.includes(tenant.product ?? '') ?? true);
}

function placeOf({ config, seed, strata }: Campaign, unit: Unit | undefined, requestId: string, direction: Direction): Place | undefined {
  if (unit === undefined || !config.directions.includes(direction) || !(config.decisions ?? SERVED).includes(unit.decision) || config.modalities?.includes(unit.modality) === false) return undefined;
  const stratum = strata.find((one) => fits(one.config, unit));
  if (stratum === undefined) return undefined;
  return {
    sample: { campaign: config.id, direction, stratum: stratum.config.id, probability: stratum.probability, decision: unit.decision, modality: unit.modality },
    isDrawn: () => chanceOf(seed, requestId, direction) < stratum.probability,
  };
}

/** Undefined where nothing was decided, or there was nothing to decide on. */
function unitOf(tenant: Pick<TenantConfig, 'id' | 'product'>, exchange: SampledExchange, direction: Direction): Unit | undefined {
  const record = exchange[direction];
  if (record === undefined || record.coverage.nothing_to_screen === true) return undefined;
  const isCut = exchange.late?.direction === direction && exchange.late.acted.includes('cut');
  return { tenant: tenant.id, product: tenant.product ?? '', decision: isCut ? 'blocked' : DECISION_OF[record.action], modality: modalityOf(record), record };
}

const DECISION_OF: Readonly<Record<Action, SampledDecision>> = { allow: 'passed', warn: 'passed', escalate: 'passed', redact: 'redacted', replace: 'blocked', block: 'blocked' };

/** What is no text names it: that is what a person would have to look at. */
function modalityOf({ facts, coverage }: DecisionRecord): ContentType {
  const types = new Set<string>([...(facts?.content_types ?? []), ...coverage.opaque.map(({ kind }) => kind)]);
  return types.has('image') ? 'image' : types.has('audio') ? 'audio' : 'text';
}

function fits(config: PlannedStratum, { tenant, product, decision, modality, record }: Unit): boolean {
  if (config.decisions?.includes(decision) === false || config.tenants?.includes(tenant) === false || config.products?.includes(product) === false || config.modalities?.includes(modality) === false) return false;
  if (config.score_from === undefined && config.score_below === undefined && config.unknown === undefined) return true;
  const results = record.classifier_results.filter(({ classifier_id: id }) => config.classifiers?.includes(id) ?? true);
  const highest = results.reduce((most, { score = 0 }) => Math.max(most, score), 0);
  if (highest < (config.score_from ?? 0) || highest >= (config.score_below ?? Infinity)) return false;
  return config.unknown === undefined || config.unknown === results.some(({ unknown }) => unknown !== undefined);
}
