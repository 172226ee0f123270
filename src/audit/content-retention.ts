/**
 * Kept content does not grow old: at the start, with every new configuration and every hour the days that are older than their tenant keeps them are
 * erased like any other, with an entry. Where that fails it is told, and tried again an hour later.
 */
import type { Config } from '../config/schema.ts';
import { CHANNELS } from '../contract/channels.ts';
import type { ContentPurpose } from '../contract/content.ts';
import { PartHealth } from '../contract/part-health.ts';
import type { ContentVault } from './vault.ts';

const SWEEP_MS = 3_600_000;

/** `keepDays`: by tenant, as it is at that moment, of what is kept for `purpose`. Returns the function that ends it. */
export function keepWithin(vault: ContentVault, keepDays: () => ReadonlyMap<string, number>, purpose?: ContentPurpose): () => Promise<void> {
  const health = new PartHealth('content retention');
  const sweep = (): Promise<void> => vault.sweep(keepDays(), purpose).then(
    () => health.well(() => 'old content is erased again'),
    (error: unknown) => health.ill(`old content could not be erased (${(error as NodeJS.ErrnoException).code ?? (error as Error).name})`),
  );
  let sweeping = sweep();
  const again = (): void => void (sweeping = sweeping.then(sweep));
  const timer = setInterval(again, SWEEP_MS).unref();
  CHANNELS.configReloaded.subscribe(again);
  return () => {
    clearInterval(timer);
    CHANNELS.configReloaded.unsubscribe(again);
    return sweeping;
  };
}

/** Of what was drawn for a campaign that is not configured any more. */
const ENDED_DAYS = 30;
/** Of a tenant that takes no part, or no more: not even what is of today. */
const WITHDRAWN_DAYS = -1;

/** For how long what was drawn of a tenant is kept: as the longest of its campaigns says. */
export function campaignDays({ risk, tenants }: Pick<Config, 'risk' | 'tenants'>): ReadonlyMap<string, number> {
  return new Map(tenants.map(({ id, data }) => {
    if (!data.campaigns) return [id, WITHDRAWN_DAYS];
    const own = risk.campaigns.filter((campaign) => campaign.tenants?.includes(id) ?? true).map(({ keep_days: days }) => days);
    return [id, own.length === 0 ? ENDED_DAYS : Math.max(...own)];
  }));
}
