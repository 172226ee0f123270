/**
 * Who said it: `context: role`. A prompt holds texts of several roles, so a rule that asks is tried once for the texts
 * of each role, with their scores alone, and holds where it holds about one of them. To a rule that does not ask, all
 * texts are one. Pure.
 */
import type { Condition, Facts } from '../contract/policy.ts';
import type { ContentType } from '../contract/screening.ts';
import { factsFor } from './truth.ts';

export const ROLE = 'role';
/** The roles that the wire formats have. */
export const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const;

/** What a role looks like; anything else that stands in its place is text. */
const ROLE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;

/** The role that a text is of, where the wire format tells. */
export function roleName(told: string | undefined): string | undefined {
  return told !== undefined && ROLE_NAME.test(told) ? told : undefined;
}

export function readsRole(condition: Condition): boolean {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.some(readsRole);
  if (condition.kind === 'not') return readsRole(condition.of);
  return condition.kind === 'context' && condition.key === ROLE;
}

/** The facts as a rule sees them that asks for the role: those of each role by themselves. `role` is absent where all are one. */
export interface RoleView {
  readonly facts: Facts;
  readonly role?: string | undefined;
}

/** `asked`: content types that the rule names. */
export function viewsByRole({ roles, ...facts }: Facts, asked: readonly ContentType[]): readonly RoleView[] {
  if (roles === undefined) return [{ facts: factsFor(asked, facts) }];
  return roles.map(({ role, results, contentTypes }) => {
    const { [ROLE]: _, ...context } = facts.context;
    return { role, facts: factsFor(asked, { ...facts, results, contentTypes, context: role === undefined ? context : { ...context, [ROLE]: role } }) };
  });
}
