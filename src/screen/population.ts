/**
 * How many there were of what a campaign draws from, counted in the entries of an audit log by what that log itself says
 * was in force: so whoever has the log counts the same. An exchange counts under the declaration that was in force when it
 * began; what was drawn counts where its entry says that it stood. What comes before the first declaration is counted as
 * drawn alone, under none. Reads entries as they stand, which may be of another version. Pure.
 */
import type { CampaignConfig } from '../config/risk.ts';
import type { CampaignDeclaration, PopulationCell, SampleRecord } from '../contract/risk.ts';
import { Sampler, type SampledExchange } from './sampler.ts';

interface Declared {
  readonly fromMs: number;
  readonly sha256: string;
  /** Absent: it draws no more, or by what the log does not say. */
  readonly sampler?: Sampler;
  readonly products: ReadonlyMap<string, string>;
}

/** Declarations of a campaign that are held against an exchange: it began under one of the newest. */
const DECLARED_KEPT = 8;
/** A seed that draws nothing here: places alone are asked for. */
const NO_SEED = Buffer.alloc(16);

export class PopulationCounter {
  readonly #declared = new Map<string, readonly Declared[]>();
  readonly #cells = new Map<string, { -readonly [member in keyof PopulationCell]: PopulationCell[member] }>();

  /** What was declared in the log before, oldest first. */
  constructor(declarations: readonly Readonly<Record<string, unknown>>[] = []) {
    for (const one of declarations) this.take(one);
  }

  take(entry: Readonly<Record<string, unknown>>): void {
    if (isDeclaration(entry)) this.#declare(entry as unknown as CampaignDeclaration);
    else if (entry['kind'] === 'exchange') this.#count(entry);
  }

  /** What was counted since it was last asked. */
  drain(): readonly PopulationCell[] {
    const cells = [...this.#cells.values()];
    this.#cells.clear();
    return cells;
  }

  #declare({ campaign, in_force_at: at, sha256, definition, tenants }: CampaignDeclaration): void {
    const sampler = definition === undefined ? undefined : samplerOf(definition);
    const one: Declared = { fromMs: Date.parse(at), sha256: sha256 ?? '', ...(sampler === undefined ? {} : { sampler }), products: new Map((tenants ?? []).map(({ id, product }) => [id, product])) };
    this.#declared.set(campaign, [...(this.#declared.get(campaign) ?? []), one].slice(-DECLARED_KEPT));
  }

  #count(entry: Readonly<Record<string, unknown>>): void {
    const startedAt = String(entry['started_at']);
    const ms = Date.parse(startedAt);
    if (Number.isNaN(ms)) return;
    const samples = Array.isArray(entry['samples']) ? (entry['samples'] as readonly SampleRecord[]) : [];
    const [tenantId, counted] = [String(entry['tenant_id']), new Set<SampleRecord>()];
    const day = new Date(ms).toISOString().slice(0, 10);
    if (isDrawnFrom(entry)) {
      for (const declared of this.#declared.values()) {
        const inForce = declared.findLast(({ fromMs }) => fromMs <= ms);
        const product = inForce?.products.get(tenantId);
        if (inForce?.sampler === undefined || product === undefined) continue;
        for (const { sample: unit } of inForce.sampler.population({ id: tenantId, product, data: { campaigns: true } } as never, entry as unknown as SampledExchange)) {
          const sample = samples.find(({ campaign, direction }) => campaign === unit.campaign && direction === unit.direction);
          if (sample !== undefined) counted.add(sample);
          this.#add(sample ?? unit, inForce.sha256, day, 1, sample === undefined ? 0 : 1);
        }
      }
    }
    for (const sample of samples) if (!counted.has(sample)) this.#add(sample, '', day, 0, 1);
  }

  #add({ campaign, stratum, probability }: SampleRecord, definition: string, day: string, total: number, drawn: number): void {
    const key = JSON.stringify([campaign, definition, day, stratum, probability]);
    const cell = this.#cells.get(key);
    if (cell === undefined) this.#cells.set(key, { campaign, definition, day, stratum, probability, total, drawn });
    else [cell.total, cell.drawn] = [cell.total + total, cell.drawn + drawn];
  }
}

/** Of a campaign that came into force, or was withdrawn. */
export function isDeclaration({ kind, change, campaign, in_force_at: at }: Readonly<Record<string, unknown>>): boolean {
  return kind === 'campaign' && (change === 'in_force' || change === 'withdrawn') && typeof campaign === 'string' && typeof at === 'string' && !Number.isNaN(Date.parse(at));
}

/** Undefined for what no campaign can be made of. */
function samplerOf(definition: object): Sampler | undefined {
  try {
    return new Sampler([definition as CampaignConfig], () => NO_SEED);
  } catch {
    return undefined;
  }
}

const UNDRAWN_ROUTES: readonly unknown[] = ['/weir/v1/screen', '/v1/moderations'];

/** Exchanges of screened endpoints whose records can be read; what was handed on unread is none. */
export function isDrawnFrom({ policy, route, input, output }: Readonly<Record<string, unknown>>): boolean {
  return typeof policy === 'string' && !UNDRAWN_ROUTES.includes(route) && [input, output].every((record) => record === undefined || isRead(record));
}

function isRead(record: unknown): boolean {
  const { coverage, classifier_results: results } = (record ?? {}) as { readonly coverage?: { readonly opaque?: readonly { readonly kind?: unknown }[] }; readonly classifier_results?: unknown };
  return Array.isArray(results) && Array.isArray(coverage?.opaque) && !coverage.opaque.some(({ kind }) => kind === 'pass_through');
}
