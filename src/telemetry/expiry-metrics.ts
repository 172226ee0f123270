/**
 * The metric of what expires. Keys of tenants and tokens of people that were made for less than four weeks are meant to
 * end, so they are left out: what is told is what somebody has forgotten.
 */
import type { ExpiryTold } from '../contract/channels.ts';

export const EXPIRY_METRICS = {
  weir_expiry_timestamp_seconds: { kind: 'gauge', labels: ['kind', 'tenant'], help: 'When the next of its kind ends, in seconds since 1970: a key of a tenant (api_key) or a token of a person (admin_token) that was made for four weeks or more, or the certificate of the admin port (certificate), which is told when it has ended, too; +Inf where none does any more' },
} as const;

export class ExpirySeries {
  readonly #tenantOf: (id: string) => string;
  /** By kind and tenant: what was told once is repeated, so it ends with +Inf. */
  readonly #next = new Map<string, { readonly kind: string; readonly tenant: string; atMs: number }>();

  constructor(tenantOf: (id: string) => string) {
    this.#tenantOf = tenantOf;
  }

  told({ ends }: ExpiryTold): void {
    for (const known of this.#next.values()) known.atMs = Infinity;
    for (const { kind, tenant_id: id, atMs } of ends) {
      const tenant = id === null ? '' : this.#tenantOf(id);
      const known = this.#next.get(`${kind} ${tenant}`) ?? { kind, tenant, atMs: Infinity };
      known.atMs = Math.min(known.atMs, atMs);
      this.#next.set(`${kind} ${tenant}`, known);
    }
  }

  observe(observe: (value: number, labels: Readonly<Record<string, string>>) => void): void {
    for (const { kind, tenant, atMs } of this.#next.values()) observe(atMs / 1000, { kind, ...(tenant === '' ? {} : { tenant }) });
  }
}
