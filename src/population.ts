/**
 * How many texts of recent traffic each stratum of a campaign has, whether it runs or is only thought of: the newest
 * entries of audit logs, placed as the draw would place them, and told for a week. Bounded: of a busy log the newest part is
 * read, and what was counted of the whole week makes up for the rest. Reads beside the traffic; draws nothing.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { newestEntries } from './audit/entries.ts';
import type { PlannedCampaign } from './config/risk.ts';
import type { TenantConfig } from './config/schema.ts';
import type { Population } from './risk/proposal.ts';
import { placesBy, type LoggedEntry } from './screen/redraw.ts';
import { Sampler, type Place } from './screen/sampler.ts';

export interface PopulationOptions {
  /** Folders of logs. */
  readonly logs: readonly string[];
  readonly tenants: readonly TenantConfig[];
  readonly nowMs: number;
  /** Exchanges of these tenants since then, by what was counted; undefined: nobody counts. */
  readonly counted?: ((tenants: readonly string[], sinceMs: number) => Promise<number | undefined>) | undefined;
  /** Entries that are read at most, of all logs. */
  readonly entriesMax?: number;
}

const WEEK_MS = 7 * 86_400_000;
/** A shorter time says nothing of a week. */
const COVERED_MIN_MS = 3_600_000;
const ENTRIES_MAX = 5_000;
const ENTRIES_AT_ONCE = 100;
/** Takes what no stratum does. */
const REST = '-';

export async function populationOf(campaign: PlannedCampaign, { logs, tenants, nowMs, counted, entriesMax = ENTRIES_MAX }: PopulationOptions): Promise<Population> {
  // Who agrees is another question.
  const known = tenants.filter(({ id }) => campaign.tenants?.includes(id) ?? true).map(({ id, product }) => ({ id, product, data: { campaigns: true } }));
  const whole: PlannedCampaign = { ...campaign, from: undefined, until: undefined, strata: [...campaign.strata, { id: REST, probability_percent: 100 }] };
  const options = { places: placesBy(new Sampler([whole], () => Buffer.alloc(0)), known), ids: new Set(known.map(({ id }) => id)) };
  const perWeek = new Map<string, number>();
  let [exchanges, weekly, sinceMs, isPart] = [0, 0, Infinity, false];
  for (const dir of logs) {
    const read = await readLog(dir, { ...options, fromMs: nowMs - WEEK_MS, entriesMax: Math.ceil(entriesMax / logs.length) });
    if (read.exchanges === 0) continue;
    const times = WEEK_MS / Math.min(WEEK_MS, Math.max(COVERED_MIN_MS, nowMs - read.oldestMs));
    for (const [stratum, texts] of read.texts) perWeek.set(stratum, (perWeek.get(stratum) ?? 0) + texts * times);
    exchanges += read.exchanges;
    weekly += read.exchanges * times;
    sinceMs = Math.min(sinceMs, read.oldestMs);
    isPart ||= read.isPart;
  }
  const counts = isPart ? await counted?.(known.map(({ id }) => id), nowMs - WEEK_MS) : undefined;
  const scale = counts === undefined || counts === 0 || weekly === 0 ? 1 : counts / weekly;
  return {
    exchanges, since: Number.isFinite(sinceMs) ? new Date(sinceMs).toISOString() : null, is_part: isPart,
    strata: campaign.strata.map(({ id }) => ({ stratum: id, per_week: (perWeek.get(id) ?? 0) * scale })), uncovered_per_week: (perWeek.get(REST) ?? 0) * scale,
  };
}

interface Read {
  /** By stratum. */
  readonly texts: ReadonlyMap<string, number>;
  readonly exchanges: number;
  readonly oldestMs: number;
  readonly isPart: boolean;
}

async function readLog(dir: string, { fromMs, entriesMax, places, ids }: { readonly fromMs: number; readonly entriesMax: number; readonly places: (entry: LoggedEntry) => readonly Place[]; readonly ids: ReadonlySet<string> }): Promise<Read> {
  const texts = new Map<string, number>();
  let [exchanges, looked, oldestMs] = [0, 0, Infinity];
  for await (const entry of newestEntries(dir)) {
    const startedMs = Date.parse(String(entry['started_at'] ?? entry.time));
    if (startedMs < fromMs) return { texts, exchanges, oldestMs: fromMs, isPart: false };
    if (looked === entriesMax) return { texts, exchanges, oldestMs, isPart: true };
    if (++looked % ENTRIES_AT_ONCE === 0) await breathe();
    if (entry.kind !== 'exchange' || !ids.has(String(entry['tenant_id']))) continue;
    for (const { sample: { stratum } } of places(entry)) texts.set(stratum, (texts.get(stratum) ?? 0) + 1);
    exchanges++;
    if (startedMs < oldestMs) oldestMs = startedMs;
  }
  return { texts, exchanges, oldestMs, isPart: false };
}
