/**
 * Stored policies over the API: list, read, change, roll back, retire, compare. A change is judged whole before it is
 * stored, names the revision that its author had before them, and is written to the audit log, without its text. A
 * rollback and a retirement are changes too: nothing is ever removed.
 */
import type { PolicyChangeRecord } from '../audit/entry.ts';
import type { ConfigIssue } from '../contract/errors.ts';
import { PEOPLE_ROLES, sees, seesAll, type Actor } from '../contract/people.ts';
import type { PolicyRevision } from '../contract/policy.ts';
import { POLICY_LIMITS } from '../policy/parse.ts';
import { policyFromRules, ruleInFile } from '../policy/rules.ts';
import { sourceHash } from '../policy/seal.ts';
import type { PolicyStore, RevisionSummary } from '../store/policies.ts';
import { fault, issueOf, missing, refused, type DeskAnswer, type DeskRequest, type DeskRoute, type PolicyDesk } from './desk.ts';
import { diffLines } from './lines.ts';
import { ref } from './schemas.ts';

export const POLICY_BYTES_MAX = POLICY_LIMITS.bytesMax;
/** The types in which a policy may be sent. */
export const POLICY_TYPES = ['application/json', 'application/yaml', 'application/x-yaml', 'text/yaml', 'text/plain'] as const;
const HISTORY_MAX = 1_000;
const COMMENT_CHARS_MAX = 1_000;

const READERS = PEOPLE_ROLES;
const CHANGERS = ['admin', 'policy'] as const;

const number = { type: 'integer', minimum: 0, maximum: 1_000_000_000 } as const;
const comment = { type: 'string', maxLength: COMMENT_CHARS_MAX } as const;

const MISSING = { 404: { meaning: 'there is no such policy or revision' } } as const;
const CONFLICT = { 409: { meaning: 'somebody else has changed it; `current` is the newest revision' } } as const;
const INVALID = { 422: { meaning: 'the policy cannot be used, with every reason' } } as const;
const CHANGED = { 200: { meaning: 'the new revision, which counts', schema: ref('Changed') } } as const;

export const POLICY_ROUTES: readonly DeskRoute[] = [
  { method: 'GET', path: '/api/v1/policies', name: 'listPolicies', access: READERS, meaning: 'all policies, of store and files', query: {}, answers: { 200: { meaning: 'the newest of each', schema: ref('PolicyList') } }, run: list },
  { method: 'GET', path: '/api/v1/policies/:id', name: 'readPolicy', access: READERS, meaning: 'a stored policy with its text; `?revision=` for an earlier one', query: { revision: number }, answers: { 200: { meaning: 'the revision', schema: ref('Revision') }, ...MISSING }, run: read },
  {
    method: 'PUT', path: '/api/v1/policies/:id', name: 'storePolicy', access: CHANGERS, meaning: 'store a policy: YAML, the same as JSON, or a list of rules; `?parent=` names the revision it follows, `?comment=` says why', query: { parent: number, comment },
    body: { schema: { oneOf: [ref('Policy'), ref('Rules')] }, types: POLICY_TYPES, bytesMax: POLICY_BYTES_MAX }, answers: { ...CHANGED, 201: { meaning: 'the first revision, which counts', schema: ref('Changed') }, ...CONFLICT, ...INVALID }, run: put,
  },
  { method: 'DELETE', path: '/api/v1/policies/:id', name: 'retirePolicy', access: CHANGERS, meaning: 'retire a stored policy; a file of the same id counts again; `?parent=`, `?comment=`', query: { parent: number, comment }, answers: { ...CHANGED, ...MISSING, 409: { meaning: 'somebody else has changed it, or tenants would be without a policy, or policies without their shadow or canary' } }, run: retire },
  { method: 'POST', path: '/api/v1/policies/:id/rollback', name: 'rollBackPolicy', access: CHANGERS, meaning: 'store the text of an earlier revision again: `?revision=`; `?parent=`, `?comment=`', query: { revision: number, parent: number, comment }, answers: { ...CHANGED, ...MISSING, ...CONFLICT, ...INVALID }, run: rollBack },
  { method: 'GET', path: '/api/v1/policies/:id/history', name: 'listRevisions', access: READERS, meaning: 'revisions, newest first; `?limit=`, `?before=`', query: { limit: { ...number, minimum: 1, maximum: HISTORY_MAX }, before: number }, answers: { 200: { meaning: 'without their texts', schema: ref('History') }, ...MISSING }, run: history },
  { method: 'GET', path: '/api/v1/policies/:id/diff', name: 'diffRevisions', access: READERS, meaning: 'the difference of two revisions by lines; `?from=`, `?to=`', query: { from: number, to: number }, answers: { 200: { meaning: 'by default what the newest changed', schema: ref('LineDiff') }, ...MISSING }, run: compare },
];

async function list(desk: PolicyDesk, store: PolicyStore, { actor }: DeskRequest): Promise<DeskAnswer> {
  const { written } = desk;
  const tenantsOf = (policy: string): readonly string[] => desk.tenantsOf(policy).filter((tenant) => sees(actor, tenant));
  const stored = (await store.list()).filter(({ policy }) => isSeen(desk, policy, actor));
  const counting = new Set(stored.filter(({ retired }) => !retired).map(({ policy }) => policy));
  const files = [...written()].filter(([policy]) => isSeen(desk, policy, actor)).map(([policy, { file }]) => ({ policy, from: 'file', file, overruled: counting.has(policy), tenants: counting.has(policy) ? [] : tenantsOf(policy) }));
  return { status: 200, body: { policies: [...stored.map((summary) => ({ from: 'store', ...summary, tenants: summary.retired ? [] : tenantsOf(summary.policy) })), ...files] } };
}

/** A tenant-viewer sees the policies that tenants of theirs are under. */
function isSeen({ tenantsOf }: PolicyDesk, policy: string, actor: Actor): boolean {
  return seesAll(actor) || tenantsOf(policy).some((tenant) => sees(actor, tenant));
}

/** The same for a policy that is not theirs and for one that nobody has. */
function unseen(id: string): DeskAnswer {
  return missing(`no policy ${id} is yours to see`);
}

async function read(desk: PolicyDesk, store: PolicyStore, { id, query, actor }: DeskRequest): Promise<DeskAnswer> {
  if (!isSeen(desk, id, actor)) return unseen(id);
  const { written } = desk;
  const revision = await store.get(id, query.revision as number | undefined);
  if (revision !== undefined) return { status: 200, body: revision };
  const file = written().get(id)?.file;
  return missing(file === undefined ? `no such revision of policy ${id} in the store` : `policy ${id} is the file ${file}; the store has no such revision`);
}

async function put(desk: PolicyDesk, _: PolicyStore, { id, query, text, isJson, author }: DeskRequest): Promise<DeskAnswer> {
  const { source, issues: inRules } = isJson ? sourceOfJson(text, id, desk) : { source: text, issues: [] };
  if (source === undefined) return refused(inRules);
  const { policy, issues } = await desk.judge(source, id);
  if (policy === undefined) return refused(issues);
  return change(desk, 'put', { id, source, parent: (query.parent as number | undefined) ?? 0, comment: commentOf(query), author }, issues);
}

async function rollBack(desk: PolicyDesk, store: PolicyStore, { id, query, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = query.revision as number | undefined;
  if (wanted === undefined) return { status: 400, body: fault('invalid_request', 'revision is missing; send ?revision= with the number to go back to') };
  const [former, newest] = [await store.get(id, wanted), await store.get(id)];
  if (former === undefined) return missing(`policy ${id} has no revision ${wanted}`);
  if (former.source === null) return { status: 422, body: fault('invalid_policy', `revision ${wanted} is a retirement; DELETE retires a policy`) };
  const { policy, issues } = await desk.judge(former.source, id);
  if (policy === undefined) return refused(issues);
  const parent = (query.parent as number | undefined) ?? newest!.number;
  return change(desk, 'rollback', { id, source: former.source, parent, comment: commentOf(query) || `back to revision ${wanted}`, author }, issues);
}

async function retire(desk: PolicyDesk, store: PolicyStore, { id, query, author }: DeskRequest): Promise<DeskAnswer> {
  const newest = await store.get(id);
  if (newest === undefined || newest.source === null) return missing(`the store has no policy ${id}, or has retired it`);
  const tenants = desk.tenantsOf(id);
  if (tenants.length > 0 && !desk.written().has(id)) return { status: 409, body: fault('policy_in_use', `${tenants.length} tenants are under policy ${id} and no file holds it; give them another policy first`) };
  const besides = desk.besides(id).filter((other) => other !== id);
  if (besides.length > 0 && !desk.written().has(id)) return { status: 409, body: fault('policy_in_use', `policy ${id} is the shadow or canary of ${besides.join(', ')} and no file holds it; change that first`) };
  return change(desk, 'retire', { id, source: null, parent: (query.parent as number | undefined) ?? newest.number, comment: commentOf(query), author }, []);
}

async function history(desk: PolicyDesk, store: PolicyStore, { id, query: { limit = 100, before }, actor }: DeskRequest): Promise<DeskAnswer> {
  if (!isSeen(desk, id, actor)) return unseen(id);
  const revisions: readonly RevisionSummary[] = await store.history(id, { limit: limit as number, before: before as number | undefined });
  return { status: 200, body: { policy: id, revisions } };
}

async function compare(desk: PolicyDesk, store: PolicyStore, { id, query, actor }: DeskRequest): Promise<DeskAnswer> {
  if (!isSeen(desk, id, actor)) return unseen(id);
  const to = await store.get(id, query.to as number | undefined);
  const from = to && await store.get(id, (query.from as number | undefined) ?? to.parent);
  if (to === undefined || (from === undefined && query.from !== undefined)) return missing(`policy ${id} has no such revision`);
  const lines = diffLines(from?.source ?? '', to.source ?? '');
  return { status: 200, body: { policy: id, from: from?.number ?? 0, to: to.number, added: lines.filter((one) => one.change === '+').length, removed: lines.filter((one) => one.change === '-').length, diff: lines.map((one) => `${one.change}${one.line}\n`).join('') } };
}

// Changing.

interface Change {
  readonly id: string;
  readonly source: string | null;
  readonly parent: number;
  readonly comment: string;
  readonly author: string;
}

async function change(desk: PolicyDesk, kind: PolicyChangeRecord['change'], { id, source, parent, comment: why, author }: Change, warnings: readonly ConfigIssue[]): Promise<DeskAnswer> {
  const sha256 = sourceHash(source);
  const reply = await desk.put({ policy: id, parent, source, sha256, author, comment: why, created_at: desk.now().toISOString() });
  if (!reply.ok) return { status: 409, body: { ...fault('revision_conflict', `the newest revision of ${id} is ${reply.current}, not ${parent}; look at it, then send ?parent=${reply.current}`), current: reply.current } };
  const { number: revision } = reply.revision;
  await desk.audit({ kind: 'policy_change', change: kind, policy_id: id, revision, parent, author, sha256 });
  return { status: parent === 0 ? 201 : 200, body: { ...summaryOf(reply.revision), warnings: warnings.map(issueOf) } };
}

/** A tree, which is stored as it was sent, or rules as the API has them, which become one. */
function sourceOfJson(text: string, id: string, desk: PolicyDesk): { readonly source: string | undefined; readonly issues: readonly ConfigIssue[] } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { source: text, issues: [] }; // its place is told as that of YAML
  }
  const flat = Array.isArray(value) ? { rules: value } : (value as Readonly<Record<string, unknown>> | null);
  if (typeof flat !== 'object' || flat === null || 'policy' in flat || !Array.isArray(flat.rules)) return { source: text, issues: [] };
  const [named] = flat.rules.map((rule: { readonly tenant_id?: unknown } | null) => rule?.tenant_id).filter((tenant) => typeof tenant === 'string');
  if (named !== undefined && !desk.tenantsOf(id).includes(named)) return { source: undefined, issues: [issue('[0].tenant_id', `no tenant ${named} is under policy ${id}`)] };
  const { policy, issues } = policyFromRules(flat.rules, { policyId: id, tenantId: named ?? '', ...(typeof flat.message === 'string' ? { message: flat.message } : {}) });
  if (policy === undefined) return { source: undefined, issues };
  return { source: `${JSON.stringify({ policy: id, ...flat, rules: flat.rules.map(ruleInFile) }, null, 2)}\n`, issues };
}

function commentOf({ comment: why }: DeskRequest['query']): string {
  return typeof why === 'string' ? why : '';
}

function summaryOf({ source, ...revision }: PolicyRevision): RevisionSummary {
  return { ...revision, retired: source === null };
}

function issue(path: string, message: string): ConfigIssue {
  return { file: '(rules)', line: 1, column: 1, path, message, severity: 'error' };
}
