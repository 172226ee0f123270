/**
 * Who may do what on the admin port: the roles, and what an authenticated caller is. A caller may have several roles;
 * only `tenant-viewer` is bound to tenants, every other role is about all of them; `shipper` is for machines, and sees none.
 */

/** What every token of the admin port begins with, so that scanners find it and the proxy port refuses it. */
export const ADMIN_TOKEN_PREFIX = 'weir_admin_';

export const PEOPLE_ROLES = ['admin', 'policy', 'reviewer', 'auditor', 'tenant-viewer'] as const;
export const ROLES = [...PEOPLE_ROLES, 'shipper'] as const;
export type Role = (typeof ROLES)[number];

export const ROLE_MEANINGS: Readonly<Record<Role, string>> = {
  'admin': 'everything, and alone tokens, sessions and keys',
  'policy': 'reads and changes policies, and tries them',
  'reviewer': 'reads policies; decides what waits for a person',
  'auditor': 'reads policies, and every entry of the audit log with its proof; changes nothing',
  'tenant-viewer': 'reads what belongs to its tenants',
  'shipper': 'another Weir that sends its audit log here; nothing else',
};

/** What a person or a token may do. */
export interface Grant {
  readonly roles: readonly Role[];
  /** Ids of the tenants that a tenant-viewer sees. */
  readonly tenants: readonly string[];
}

/** Who sent a request, with those of their roles that let them in. `name` is written to histories and to the audit log. */
export interface Actor extends Grant {
  readonly name: string;
}

/** Whether a role of the actor is about all tenants. */
export function seesAll({ roles }: Grant): boolean {
  return roles.some((role) => role !== 'tenant-viewer' && role !== 'shipper');
}

export function sees(actor: Grant, tenantId: string): boolean {
  return seesAll(actor) || actor.tenants.includes(tenantId);
}
