/**
 * A policy that is enforced on a share of sessions in place of another. Which ones a keyed hash tells, of the tenant (whose
 * the key is), the policy and the session: so a session stays where it is over restarts, reloads and replicas that have the
 * same key, a larger share only adds sessions, and nobody without the key can compute which. Without a session the user
 * counts, then the API key, then the request by itself.
 */
import { createHmac } from 'node:crypto';
import type { Policy } from '../contract/policy.ts';
import type { ScreeningPlan, TenantOwn } from './plan.ts';

/** The plan of the canary, and its share of sessions, 0–1. */
export interface CanaryPlan {
  readonly plan: ScreeningPlan;
  readonly share: number;
}

/** Who asks, as far as it is known. */
export interface Caller {
  readonly sessionId?: string | undefined;
  readonly userId?: string | undefined;
  /** Of the tenant's API key. */
  readonly keyId?: string | undefined;
  readonly requestId: string;
}

export interface Canary {
  readonly plan: ScreeningPlan;
  takes(caller: Caller): boolean;
}

const HASH_BYTES = 6;

/** The plan that decides for this caller. */
export function planUnder(plan: ScreeningPlan, caller: Caller): ScreeningPlan {
  return plan.canary?.takes(caller) === true ? plan.canary.plan : plan;
}

export function canaryOf({ id }: Policy, { plan, share }: CanaryPlan, { failMode, hashKey }: TenantOwn): Canary {
  const key = createHmac('sha256', hashKey).update('canary').digest();
  return {
    plan: plan.forTenant({ failMode, hashKey }),
    takes: (caller) => createHmac('sha256', key).update(JSON.stringify([id, ...whoOf(caller)])).digest().readUIntBE(0, HASH_BYTES) / 2 ** (8 * HASH_BYTES) < share,
  };
}

/** The first that is known, with its kind, so that a user is no session of the same name. */
function whoOf({ sessionId, userId, keyId, requestId }: Caller): readonly [kind: string, id: string] {
  if (sessionId !== undefined) return ['session', sessionId];
  if (userId !== undefined) return ['user', userId];
  return keyId === undefined ? ['request', requestId] : ['key', keyId];
}
