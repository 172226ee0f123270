/**
 * How many items of the review queue nobody has decided, by severity, of all tenants or of some; or of them those that were
 * due before a time. Each count is one stretch of an index: a fifth of what grouping them costs, and a long queue is counted
 * while exchanges wait.
 */
import type { ReviewStatus } from '../contract/review.ts';
import { SEVERITIES, type Severity } from '../contract/screening.ts';
import type { SqlQuery, SqlValue } from './sql.ts';

export type Depth = Readonly<Record<Severity, number>>;

const OPEN = ['pending', 'in_review'] as const satisfies readonly ReviewStatus[];

export async function countOpen(query: SqlQuery, { tenants, dueBefore }: { readonly tenants?: readonly string[] | undefined; readonly dueBefore?: string } = {}): Promise<Depth> {
  const values: SqlValue[] = dueBefore === undefined ? [] : [dueBefore];
  const among = tenants === undefined ? '' : tenants.length === 0 ? 'and 1 = 0' : `and tenant_id in (${tenants.map((id) => `$${values.push(id)}`).join(', ')})`;
  const stretch = (severity: Severity): string => (dueBefore === undefined ? `severity = '${severity}'` : `severity_rank = ${SEVERITIES.indexOf(severity)} and due_at < $1`);
  const [row] = await query<Readonly<Record<string, SqlValue>>>(`select ${SEVERITIES.flatMap((severity) => OPEN.map((status) => `(select count(*) from review_items where status = '${status}' and ${stretch(severity)} ${among}) as ${severity}_${status}`)).join(', ')}`, ...values);
  const of = (severity: Severity): number => OPEN.reduce((sum, status) => sum + Number(row![`${severity}_${status}`]), 0);
  return { low: of('low'), medium: of('medium'), high: of('high'), critical: of('critical') };
}
