/** The tenants of the configuration, as far as the caller sees them: without digests of keys. */
import { PEOPLE_ROLES, sees } from '../contract/people.ts';
import type { Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface TenantSummary {
  readonly id: string;
  readonly policy: string;
  readonly upstream: string;
  readonly fail_mode: string;
  /** Keys of the configuration. */
  readonly keys: number;
  readonly product?: string;
}

export interface TenantDesk {
  tenants(): readonly TenantSummary[];
}

export const TENANT_ROUTES: readonly Route<TenantDesk>[] = [
  {
    method: 'GET', path: '/api/v1/tenants', name: 'listTenants', access: PEOPLE_ROLES, meaning: 'tenants; a tenant-viewer sees their own', answers: { 200: { meaning: 'in the order of the configuration', schema: ref('TenantList') } },
    run: async ({ tenants }, { actor }) => ({ status: 200, body: { tenants: tenants().filter(({ id }) => sees(actor, id)) } }),
  },
];
