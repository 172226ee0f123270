/**
 * Who said what is screened, for rules that ask (`context: role`): the role that the wire format tells of each text. An
 * answer is the assistant's; a text that is screened by itself is of the role that the context names.
 */
import type { SegmentResults } from '../contract/exchange.ts';
import type { Facts, Policy } from '../contract/policy.ts';
import type { Context, Direction } from '../contract/screening.ts';
import { readsContext } from '../policy/recorded.ts';
import { ROLE, roleName } from '../policy/roles.ts';

/** Who an answer is of. */
export const ANSWERING = 'assistant';

/** The context with the role of the texts, or what was found by role where there are several. */
export function spokenBy(policy: Policy, segments: readonly SegmentResults[], direction: Direction, context: Context): Pick<Facts, 'context' | 'roles'> {
  if (!readsContext(policy, ROLE)) return { context };
  const byRole = Map.groupBy(segments, ({ segment }) => roleName(segment.role));
  if (byRole.size > 1) {
    return { context, roles: [...byRole].map(([role, own]) => ({ role, results: own.flatMap(({ results }) => results), contentTypes: [...new Set(own.map(({ segment }) => segment.contentType))] })) };
  }
  const [told] = byRole.keys();
  const role = told ?? context[ROLE] ?? (direction === 'output' ? ANSWERING : undefined);
  return { context: role === undefined ? context : { ...context, [ROLE]: role } };
}
