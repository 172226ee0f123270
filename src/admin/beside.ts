/**
 * What a policy's shadow and canary came to, over the API: told from the newest records, as `weir policy diff` reads them,
 * beside traffic and one after the other. Counts and ids of exchanges; records hold no content, and neither do answers.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { BesideTally } from '../policy/beside.ts';
import type { Policy } from '../contract/policy.ts';
import { missing, type DeskAnswer, type DeskRequest, type DeskRoute, type PolicyDesk } from './desk.ts';
import type { PolicyStore } from '../store/policies.ts';
import { ref } from './schemas.ts';
import { oneByOne } from './trials.ts';

const LIMIT = { default: 10_000, max: 50_000 } as const;
/** Entries of the log that are looked at, and after how many others have their turn. */
const ENTRIES_MAX = 50_000;
const ENTRIES_AT_ONCE = 100;

export const BESIDE_ROUTES: readonly DeskRoute[] = [
  {
    method: 'GET', path: '/api/v1/policies/:id/beside', name: 'readBeside', access: ['admin', 'policy', 'auditor'], meaning: 'what its shadow would have decided and what its canary decided, from the newest records; `?since=`, `?limit=` (exchanges)',
    query: { since: { type: 'string', format: 'date-time', maxLength: 40 }, limit: { type: 'integer', minimum: 1, maximum: LIMIT.max } },
    answers: { 200: { meaning: 'counts, shares with intervals, and examples', schema: ref('Beside') }, 404: { meaning: 'no such policy counts here' }, 429: { meaning: 'too many trials wait already' } },
    run: (desk, store, request) => oneByOne(desk, () => read(desk, store, request)),
  },
];

async function read(desk: PolicyDesk, _: PolicyStore, { id, query }: DeskRequest): Promise<DeskAnswer> {
  const policy = desk.counting(id);
  if (policy === undefined) return missing(`no policy ${id} counts here`);
  const { limit = LIMIT.default, since } = query;
  const other: Policy | undefined = policy.canary === undefined ? undefined : desk.counting(policy.canary.policy);
  const tenants = new Set(desk.tenantsOf(id));
  const tally = new BesideTally({ policy, isUnder: (tenant) => tenants.has(tenant), failModeOf: (tenant) => desk.failModeOf(tenant) ?? 'closed', ...(other === undefined ? {} : { canary: { policy: other, share: policy.canary!.share } }) });
  const sinceMs = since === undefined ? -Infinity : Date.parse(String(since));
  let [entries, exchanges, isCut] = [0, 0, false];
  for await (const record of desk.exchanges()) {
    if (Date.parse(record.started_at) < sinceMs || exchanges >= (limit as number)) break;
    if (++entries > ENTRIES_MAX) {
      isCut = true;
      break;
    }
    if (entries % ENTRIES_AT_ONCE === 0) await turn();
    if (tally.add(record)) exchanges += 1;
  }
  return { status: 200, body: { policy: `${policy.id}@${policy.revision}`, shadow_of: policy.shadow ?? null, canary_of: policy.canary?.policy ?? null, ...tally.result(), ...(isCut ? { truncated: true } : {}) } };
}
