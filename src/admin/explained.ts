/**
 * Recorded decisions explained over the API: those of one exchange, by the revision that made them, on what its entry
 * holds. What comes out is what `weir policy explain --request` prints as JSON. A revision that is nowhere any more, as a
 * file's that was changed since, explains nothing, and that is said.
 */
import type { ExchangeRecord } from '../contract/exchange.ts';
import { explainRecorded, explainedJson } from '../policy/explained.ts';
import { recordedDecisions } from '../policy/recorded.ts';
import { bindRoutes, fault, missing, type BoundRoute, type DeskAnswer, type DeskRequest, type PolicyDesk, type Route, type TriedPolicy } from './desk.ts';
import { entryAt, type AuditDesk } from './records.ts';
import { ref } from './schemas.ts';
import { oneByOne } from './trials.ts';

interface ExplainedDesk {
  readonly policies: PolicyDesk;
  readonly records: AuditDesk;
}

export const EXPLAINED_ROUTES: readonly Route<ExplainedDesk>[] = [
  {
    method: 'GET', path: '/api/v1/audit/:index/explain', name: 'explainAuditEntry', access: ['admin', 'auditor', 'tenant-viewer'], meaning: 'the decisions of an exchange with their reasons, rule by rule, on what its entry holds, by the revision that made them',
    answers: { 200: { meaning: 'its decisions', schema: ref('ExplainedEntry') }, 404: { meaning: 'there is no such entry, or not for the caller' }, 409: { meaning: 'nothing was decided, or the revision that decided is not here' }, 429: { meaning: 'too many trials wait already' } },
    run: (desk, request) => oneByOne(desk.policies, () => explain(desk, request)),
  },
];

export function bindExplainedRoutes(policies: PolicyDesk, records: AuditDesk): readonly BoundRoute[] {
  return bindRoutes(EXPLAINED_ROUTES, policies.store === undefined ? undefined : { policies, records });
}

async function explain({ policies, records }: ExplainedDesk, { names, actor }: DeskRequest): Promise<DeskAnswer> {
  const index = Number(names['index']);
  const entry = await entryAt(records, index, actor);
  if (entry === undefined || entry.kind !== 'exchange') return missing(`there is no exchange ${index} for you to see`);
  const record = entry as unknown as ExchangeRecord;
  const decisions = recordedDecisions(record);
  const [first] = decisions;
  if (first === undefined) return { status: 409, body: fault('not_explained', 'no policy decided about this exchange') };
  const failMode = policies.failModeOf(record.tenant_id) ?? 'closed';
  const named = await policyOf(policies, first.policy);
  const stage = named && (await policies.trial(named, failMode)).stage;
  if (stage === undefined || `${stage.policy.id}@${stage.policy.revision}` !== first.policy) return { status: 409, body: fault('not_explained', `it was decided by ${first.policy}, and that revision is not here any more`) };
  return { status: 200, body: { request_id: record.request_id, decisions: decisions.map((one) => explainedJson(explainRecorded(one, stage.policy, stage.failMode), stage.policy)) } };
}

/** The store keeps every revision, files only the one that they hold. */
async function policyOf({ store, written }: PolicyDesk, name: string): Promise<TriedPolicy | undefined> {
  const at = name.lastIndexOf('@');
  const [id, revision] = [name.slice(0, at), name.slice(at + 1)];
  if (!/^\d{1,9}$/.test(revision)) return written().get(id);
  const stored = await store!.get(id, Number(revision));
  return stored?.source == null ? undefined : { file: `store:${name}`, text: stored.source, revision: stored.number };
}
