/**
 * What a campaign still lacks that no configuration tells: people who label, and traffic enough for its claim within its
 * dates. Read from the store and the audit logs where they are there; what cannot be read is said and is no error.
 */
import { existsSync } from 'node:fs';
import type { CampaignConfig } from '../config/risk.ts';
import type { Config } from '../config/schema.ts';
import { openDatabase, sqliteFile } from '../distribution.ts';
import { claimSize } from '../risk/plan.ts';
import { foresightOf } from '../risk/proposal.ts';
import { probabilityOf } from '../screen/sampler.ts';
import { SqlAdminStore } from '../store/admins.ts';
import { recentPopulation } from './risk/plan.ts';

export interface CampaignNeeds {
  readonly campaign: string;
  /** By recent traffic; null: there is none. */
  readonly labels_per_week: number | null;
  readonly days_at_least: number | null;
  readonly lacks: readonly string[];
}

const DAY_MS = 86_400_000;

export async function campaignNeeds(config: Config): Promise<readonly CampaignNeeds[]> {
  const { campaigns } = config.risk;
  if (campaigns.length === 0) return [];
  const people = await peopleLack(config);
  const nowMs = Date.now();
  return Promise.all(campaigns.filter(({ until }) => until === undefined || Date.parse(until) > nowMs).map(async (campaign) => {
    const { strata } = await recentPopulation(campaign, config);
    const drawn = strata.map((one) => ({ ...one, probability: probabilityOf(campaign.strata.find(({ id }) => id === one.stratum)!) }));
    const { labels_per_week: labels, days_at_least: days } = foresightOf(drawn, claimOf(campaign));
    const isSeen = strata.some(({ per_week: texts }) => texts > 0);
    return { campaign: campaign.id, labels_per_week: isSeen ? labels : null, days_at_least: isSeen && campaign.precision_percent === undefined ? days : null, lacks: [...people, ...(isSeen ? claimLack(campaign, labels, days, nowMs) : [])] };
  }));
}

function claimOf({ claim }: CampaignConfig): { readonly below: number; readonly confidence: number } {
  return { below: claim.below_percent / 100, confidence: claim.confidence_percent / 100 };
}

/** With the traffic of now, from its beginning to its end. */
function claimLack(campaign: CampaignConfig, labels: number, days: number | null, nowMs: number): readonly string[] {
  const { from, until, claim, precision_percent: precision } = campaign;
  if (until === undefined || precision !== undefined) return [];
  const length = (Date.parse(until) - (from === undefined ? nowMs : Date.parse(from))) / DAY_MS;
  if (days !== null && days <= length) return [];
  const { below, confidence } = claimOf(campaign);
  return [`with the traffic of now some ${Math.round((labels / 7) * length)} labels come of it until ${until}, and a rate below ${claim.below_percent} % takes ${claimSize(below, 0, confidence)} of equal weight at least; raise its probabilities, as weir risk plan proposes them, or end it later`];
}

async function peopleLack(config: Config): Promise<readonly string[]> {
  if (!config.roles.includes('control')) return [];
  if (config.admin.oidc?.roles.some(({ role }) => role === 'reviewer')) return [];
  const nobody = ['nobody has the role reviewer, so nobody labels; make a token with it, or map a group to it in admin.oidc.roles'];
  if (config.store.url.startsWith('sqlite:') && !existsSync(sqliteFile(config.store.url, config.data_dir))) return nobody;
  const database = openDatabase(config)!;
  try {
    const now = new Date().toISOString();
    const tokens = await new SqlAdminStore(database).tokens();
    return tokens.some(({ roles, revoked_at: revoked, expires_at: ends }) => roles.includes('reviewer') && revoked === null && (ends === null || ends > now)) ? [] : nobody;
  } catch {
    return ['the store does not answer, so nobody can say who labels'];
  } finally {
    await database.close();
  }
}
