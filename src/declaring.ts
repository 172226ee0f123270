/**
 * Says in the audit log what each campaign draws by, from when on, and from which tenants, with a commitment to its seed:
 * at every start, and where it changes. So a report can tell whether the plan stood before the first label, and whoever has
 * the log can count what was drawn from. Only what screens traffic declares; what is too long for an entry is declared by
 * its hash.
 */
import { createHash } from 'node:crypto';
import { canonicalJson, type CampaignRecord } from './audit/entry.ts';
import type { CampaignConfig } from './config/risk.ts';
import type { Config } from './config/schema.ts';
import type { CampaignDeclaration } from './contract/risk.ts';
import type { Sampler } from './screen/sampler.ts';

/** Definition and tenants of one campaign, as canonical JSON. */
export const DECLARATION_CHARS_MAX = 48 * 1024;

export interface DeclaringOptions {
  config(): Config;
  sampler(): Pick<Sampler, 'commitmentOf'>;
  /** Resolves when the entry is on disk. */
  audit(record: CampaignRecord): Promise<void>;
  now(): Date;
}

export class Declaring {
  readonly #options: DeclaringOptions;
  /** What this process declared last, by campaign. */
  #declared: ReadonlyMap<string, string> = new Map();

  constructor(options: DeclaringOptions) {
    this.#options = options;
  }

  /** What has changed since the last time. Rejects when it cannot be written; it is declared anew the next time. */
  async declare(): Promise<void> {
    const { config, sampler, audit, now } = this.#options;
    if (!config().roles.includes('proxy')) return;
    const at = now().toISOString();
    const found = declarationsOf(config(), sampler(), at);
    const before = this.#declared;
    for (const one of found) if (before.get(one.campaign) !== one.sha256 + one.seed_commitment) await audit({ kind: 'campaign', change: 'in_force', author: 'weir', ...one });
    for (const campaign of before.keys()) if (!found.some((one) => one.campaign === campaign)) await audit({ kind: 'campaign', change: 'withdrawn', author: 'weir', campaign, in_force_at: at });
    this.#declared = new Map(found.map(({ campaign, sha256, seed_commitment: seed }) => [campaign, sha256 + seed]));
  }
}

export function declarationsOf({ risk, tenants }: Pick<Config, 'risk' | 'tenants'>, sampler: Pick<Sampler, 'commitmentOf'>, at: string): readonly CampaignDeclaration[] {
  return risk.campaigns.map((campaign) => {
    const { seed_file: _, ...definition } = campaign;
    const own = { definition, tenants: tenants.filter((tenant) => takesPart(campaign, tenant)).map(({ id, product = '' }) => ({ id, product })) };
    const text = canonicalJson(own);
    return { campaign: campaign.id, in_force_at: at, sha256: createHash('sha256').update(text).digest('hex'), seed_commitment: sampler.commitmentOf(campaign.id), ...(text.length > DECLARATION_CHARS_MAX ? {} : own) };
  });
}

function takesPart(campaign: CampaignConfig, { id, product = '', data }: Config['tenants'][number]): boolean {
  return data.campaigns && (campaign.tenants?.includes(id) ?? true) && (campaign.products?.includes(product) ?? true);
}
