/** What tenants call somebody who reviews: a name that stays the same within a tenant, tells nobody who it is, and is another for every tenant. Pure. */
import { createHmac } from 'node:crypto';

const DIGITS = 8;

export function pseudonymOf(key: Buffer, tenantId: string, reviewerId: string): string {
  return `reviewer-${createHmac('sha256', key).update(`reviewer\n${tenantId}\n${reviewerId}`).digest('hex').slice(0, DIGITS)}`;
}
