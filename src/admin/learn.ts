/**
 * Trained models over the API: what there is, how each was measured beside what it began from, what stands against it,
 * which works and which process has followed; letting one work, bringing back what worked before, retiring one. What
 * stands against a model is overridden by an admin alone, with a reason. Each switch is an entry of the audit log.
 */
import { CHANNELS } from '../contract/channels.ts';
import { promote, rollback, shadowModel, standingAgainst, type PromotionParts } from '../learn/promotion.ts';
import { isRefusal, leftOf, type ModelRefusal, type RegisteredModel } from '../learn/registry.ts';
import { wilson } from '../risk/intervals.ts';
import type { LearnRun } from '../store/learn-runs.ts';
import type { ModelFollower, ModelSwitch } from '../store/models.ts';
import { SHADOW_OUTCOMES, type ShadowCount, type SqlShadowStore } from '../store/shadows.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

/** What the routes about trained models are given. */
export interface LearnDesk extends PromotionParts {
  /** Processes that were seen lately. */
  followers(): Promise<readonly ModelFollower[]>;
  /** Resolves when this process has followed, or says why not. */
  switched(): Promise<void>;
  readonly shadows: SqlShadowStore;
  /** Of exchanges, 0–1, where nobody says otherwise. */
  shadowShare(): number;
  /** Resolves when this process does as the store says. */
  shadowed(): Promise<void>;
  /** The newest weekly training. */
  weekly(): Promise<LearnRun | undefined>;
}

/** As the API tells it. */
export interface FollowerTold extends ModelFollower {
  readonly lags: boolean;
}

const SEES = ['admin', 'policy', 'auditor'] as const;
const SWITCHES = ['admin', 'policy'] as const;
const json = ['application/json'] as const;
const UNKNOWN = { 404: { meaning: 'there is no such model, or its file is gone' } } as const;
const REFUSED = { 400: { meaning: 'the body cannot be used, and why' }, 409: { meaning: 'it works already, somebody else switched meanwhile, or nothing was before' }, 422: { meaning: 'what stands against it, or why it cannot work', schema: ref('LearnRefusal') } } as const;
const SWITCHES_LISTED = 100;

export const LEARN_ROUTES: readonly Route<LearnDesk>[] = [
  { method: 'GET', path: '/api/v1/learn/models', name: 'listModels', access: SEES, meaning: 'trained models with how they were measured, which works in which plugin, and which process has followed', answers: { 200: { meaning: 'newest first', schema: ref('LearnModelList') } }, run: list },
  { method: 'GET', path: '/api/v1/learn/models/:id', name: 'readModel', access: SEES, meaning: 'one trained model, with how it was measured', answers: { 200: { meaning: 'the model', schema: ref('LearnModel') }, ...UNKNOWN }, run: show },
  { method: 'GET', path: '/api/v1/learn/models/:id/gate', name: 'readModelGate', access: SEES, meaning: 'what stands against letting a model work now: the model is tried for it', answers: { 200: { meaning: 'the reasons', schema: ref('LearnGate') }, ...UNKNOWN, 422: REFUSED[422] }, run: gate },
  { method: 'POST', path: '/api/v1/learn/models/:id/promote', name: 'promoteModel', access: SWITCHES, meaning: 'let a model work in place of what works now, in every process within seconds', body: { schema: ref('NewPromotion'), types: json, isOptional: true }, answers: { 200: { meaning: 'the switch; this process has made it', schema: ref('LearnSwitch') }, ...UNKNOWN, ...REFUSED }, run: promoted },
  { method: 'POST', path: '/api/v1/learn/models/:id/retire', name: 'retireModel', access: SWITCHES, meaning: 'retire a model: its file goes, what is known of it stays', answers: { 200: { meaning: 'it is retired', schema: ref('LearnModel') }, ...UNKNOWN, 409: { meaning: 'it works, or would again after a rollback' } }, run: retire },
  { method: 'GET', path: '/api/v1/learn/models/:id/shadow', name: 'readShadow', access: SEES, meaning: 'what came of a model that scores live traffic beside what works: on which side of each threshold both scores lie, and what was left out', answers: { 200: { meaning: 'sums over all processes', schema: ref('LearnShadow') }, ...UNKNOWN }, run: readShadow },
  { method: 'POST', path: '/api/v1/learn/models/:id/shadow', name: 'beginShadow', access: SWITCHES, meaning: 'let a model score live traffic beside what works, in place of another of its plugin; it decides nothing', body: { schema: ref('NewShadow'), types: json, isOptional: true }, answers: { 200: { meaning: 'it runs in every process within seconds', schema: ref('LearnShadow') }, 400: REFUSED[400], 409: { meaning: 'it works already' }, ...UNKNOWN }, run: beginShadow },
  { method: 'DELETE', path: '/api/v1/learn/plugins/:id/shadow', name: 'endShadow', access: SWITCHES, meaning: 'end what scores beside what works in a plugin; what came of it stays', answers: { 200: { meaning: 'it ends in every process within seconds', schema: ref('LearnDone') }, 404: { meaning: 'none runs' } }, run: endShadow },
  { method: 'POST', path: '/api/v1/learn/plugins/:id/rollback', name: 'rollbackModel', access: SWITCHES, meaning: 'bring back what worked in a plugin before', body: { schema: ref('NewRollback'), types: json, isOptional: true }, answers: { 200: { meaning: 'the switch; this process has made it', schema: ref('LearnSwitch') }, ...UNKNOWN, ...REFUSED }, run: rolledBack },
  { method: 'GET', path: '/api/v1/learn/plugins/:id/switches', name: 'listModelSwitches', access: SEES, meaning: 'which models worked in a plugin, by whom they were let work and why, the newest hundred', answers: { 200: { meaning: 'newest first', schema: ref('LearnSwitchList') } }, run: switches },
];

async function list({ registry, shipped, followers, weekly, shadows }: LearnDesk): Promise<DeskAnswer> {
  const [models, heads, seen, run, running] = await Promise.all([registry.list(), registry.heads(), followers(), weekly(), shadows.shadows()]);
  const plugins = [...new Set([...heads.keys(), ...models.map(({ plugin }) => plugin)])].sort();
  return { status: 200, body: {
    plugins: await Promise.all(plugins.map(async (plugin) => {
      const head = heads.get(plugin);
      const before = await registry.before(head);
      return { plugin, working: head?.model_id ?? null, sha256: head?.sha256 ?? (await shipped(plugin)), switch: head?.number ?? 0, before: before?.model_id ?? null, can_roll_back: before !== undefined, beside: running.find((one) => one.plugin === plugin)?.model_id ?? null };
    })),
    models: models.map((model) => modelBody(model, heads)),
    processes: seen.map((one): FollowerTold => ({ ...one, lags: one.number !== (heads.get(one.plugin)?.number ?? 0) })),
    weekly: run === undefined ? null : { due: run.due, state: run.state, attempts: run.attempts, started_at: run.started_at, ended_at: run.ended_at, detail: run.detail },
  } };
}

async function show({ registry }: LearnDesk, { id }: DeskRequest): Promise<DeskAnswer> {
  const found = await registry.show(id);
  return isRefusal(found) ? refusal(found) : { status: 200, body: modelBody(found, await registry.heads()) };
}

async function gate(desk: LearnDesk, { id }: DeskRequest): Promise<DeskAnswer> {
  const against = await standingAgainst(desk, id);
  return 'refused' in against ? refusal(against) : { status: 200, body: { model_id: id, against } };
}

async function promoted(desk: LearnDesk, { id, text, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readBody(text, { override: 'boolean', reason: 'string' });
  if (wanted === undefined) return invalid('the body is an object with override (true or false) and reason (text), or there is none');
  const { override = false, reason } = wanted as { readonly override?: boolean; readonly reason?: string };
  if (override && !actor.roles.includes('admin')) return { status: 403, body: fault('forbidden', `to override what stands against a model asks for the role admin; ${actor.name} has ${actor.roles.join(' and ')}`) };
  if (override && (reason === undefined || reason.trim() === '')) return invalid('to override what stands against a model takes a reason');
  const made = await promote(desk, { modelId: id, author, ...(override ? { override: reason } : {}) });
  if (isRefusal(made)) CHANNELS.learningTold.publish({ kind: 'refused', reason: made.refused });
  return settled(desk, made);
}

async function rolledBack(desk: LearnDesk, { id, text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readBody(text, { to_shipped: 'boolean', reason: 'string' });
  if (wanted === undefined) return invalid('the body is an object with to_shipped (true or false) and reason (text), or there is none');
  const { to_shipped: toShipped, reason } = wanted as { readonly to_shipped?: boolean; readonly reason?: string };
  return settled(desk, await rollback(desk, { plugin: id, author, reason, toShipped }));
}

async function retire({ registry }: LearnDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  const found = await registry.retire(id, author);
  return isRefusal(found) ? refusal(found) : { status: 200, body: modelBody(found, await registry.heads()) };
}

async function readShadow({ registry, shadows }: LearnDesk, { id }: DeskRequest): Promise<DeskAnswer> {
  const found = await registry.show(id);
  if (isRefusal(found)) return refusal(found);
  const [running, { counts, texts }] = [(await shadows.shadows()).find(({ model_id: model }) => model === id), await shadows.sums(id)];
  const scored = texts.find(({ outcome }) => outcome === 'scored');
  return { status: 200, body: {
    model_id: id, running: running === undefined ? null : { share: running.share, author: running.author, started_at: running.started_at },
    texts: Object.fromEntries(SHADOW_OUTCOMES.map((outcome) => [outcome, texts.find((one) => one.outcome === outcome)?.total ?? 0])),
    latency_ms: scored === undefined ? null : { n: scored.total, working: scored.working_ms / scored.total, shadow: scored.shadow_ms / scored.total },
    compared: counts.map(comparedBody),
  } };
}

function comparedBody({ classifier_id, category, policy, threshold, total: n, in_both: both, only_working: lost, only_shadow: gained, difference, distance }: ShadowCount): object {
  const part = (count: number): object => ({ count, rate: count / n, ...wilson(count, n) });
  return { classifier_id, category, policy, threshold, n, both, only_working: part(lost), only_shadow: part(gained), agreement: part(n - lost - gained), difference: difference / n, distance: distance / n };
}

async function beginShadow(desk: LearnDesk, asked: DeskRequest): Promise<DeskAnswer> {
  const { id, text, author } = asked;
  const wanted = readBody(text, { share_percent: 'number' }) as { readonly share_percent?: number } | undefined;
  const share = wanted?.share_percent === undefined ? desk.shadowShare() : wanted.share_percent / 100;
  if (wanted === undefined || !(share > 0 && share <= 1)) return invalid('the body is an object with share_percent, above 0 and at most 100, or there is none');
  const begun = await shadowModel(desk, { modelId: id, share, author });
  if (begun !== undefined) return refusal(begun);
  await desk.shadowed();
  return readShadow(desk, asked);
}

async function endShadow(desk: LearnDesk, { id: plugin, author }: DeskRequest): Promise<DeskAnswer> {
  const ended = await desk.shadows.end(plugin, desk.now().toISOString(), leftOf({ kind: 'model_change', change: 'shadow', author, plugin, model_id: null }));
  if (!ended) return missing(`no model runs beside what works in ${plugin}`);
  await desk.shadowed();
  return { status: 200, body: { done: true } };
}

async function switches({ registry }: LearnDesk, { id }: DeskRequest): Promise<DeskAnswer> {
  return { status: 200, body: { switches: (await registry.switches(id, SWITCHES_LISTED)).map(switchBody) } };
}

async function settled(desk: LearnDesk, made: ModelSwitch | ModelRefusal): Promise<DeskAnswer> {
  if (isRefusal(made)) return refusal(made);
  await desk.switched();
  return { status: 200, body: switchBody(made) };
}

function modelBody(model: RegisteredModel, heads: ReadonlyMap<string, ModelSwitch>): object {
  return { ...model, works: heads.get(model.plugin)?.model_id === model.model_id };
}

/** As the API tells it. */
export type SwitchTold = Omit<ModelSwitch, 'back'>;

function switchBody({ back: _, ...made }: ModelSwitch): SwitchTold {
  return made;
}

const STATUS: Readonly<Record<ModelRefusal['refused'], number>> = { no_model: 404, not_a_model: 422, damaged: 422, too_large: 422, too_many: 409, at_work: 409, switched_meanwhile: 409, nothing_before: 409, gate: 422, unfit: 422 };

function refusal({ refused, message, against }: ModelRefusal): DeskAnswer {
  return { status: STATUS[refused], body: { ...fault(refused, message), ...(against === undefined ? {} : { against }) } };
}

/** An object with these members and no others, none for an empty body; undefined for anything else. */
function readBody(text: string, members: Readonly<Record<string, 'boolean' | 'number' | 'string'>>): Readonly<Record<string, unknown>> | undefined {
  const value = text.trim() === '' ? {} : parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.entries(value).every(([name, member]) => Object.hasOwn(members, name) && typeof member === members[name]) ? (value as Readonly<Record<string, unknown>>) : undefined;
}
