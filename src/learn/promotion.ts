/**
 * Lets a candidate work, or brings back what worked before it. A model is tried beside what works before anything
 * changes; what stands against it is told, and it is not let work unless somebody who may overrides that with a reason.
 * What the plugin does not take, or what scores no numbers, nobody can let work. The switch and its entry for the audit
 * log are one transaction; every process follows by itself.
 */
import type { GivenModel } from '../contract/classifier.ts';
import type { ModelSwitch } from '../store/models.ts';
import type { SqlShadowStore } from '../store/shadows.ts';
import type { CandidateCategory } from './candidate.ts';
import type { Estimate } from './evaluate.ts';
import { against, type GateSettings } from './gate.ts';
import { isRefusal, leftOf, type ModelRefusal, type ModelRegistry } from './registry.ts';

export interface PromotionParts {
  readonly registry: ModelRegistry;
  readonly gate: () => GateSettings;
  /** SHA-256 of the model that a plugin ships. Rejects for one that ships none. */
  readonly shipped: (plugin: string) => Promise<string>;
  /** Reasons that stand against a model (undefined: what is shipped). Rejects where it cannot work at all. */
  readonly prove: (plugin: string, model: GivenModel | undefined) => Promise<{ readonly against: readonly string[] }>;
  /** Rejects where a model cannot work at all. */
  readonly fit: (plugin: string, model: GivenModel | undefined) => Promise<unknown>;
  readonly now: () => Date;
}

export interface Promotion {
  readonly modelId: string;
  readonly author: string;
  /** Why it is to work although something stands against it. */
  readonly override?: string | undefined;
}

export interface Rollback {
  readonly plugin: string;
  readonly author: string;
  readonly reason?: string | undefined;
  /** To what the plugin ships, whatever was between. */
  readonly toShipped?: boolean | undefined;
}

/** What stands against a model now. Rejects as `prove` does. */
export async function standingAgainst({ registry, gate, shipped, prove }: PromotionParts, modelId: string): Promise<readonly string[] | ModelRefusal> {
  const [model, file] = [await registry.show(modelId), await registry.read(modelId)];
  if (isRefusal(model)) return model;
  if (isRefusal(file)) return file;
  const working = (await registry.heads()).get(model.plugin)?.sha256 ?? (await shipped(model.plugin));
  try {
    return [...against(model, working, gate()), ...(await prove(model.plugin, file)).against];
  } catch (error) {
    return { refused: 'unfit', message: `the model ${modelId} cannot work: ${(error as Error).message}` };
  }
}

export async function promote(parts: PromotionParts, { modelId, author, override }: Promotion): Promise<ModelSwitch | ModelRefusal> {
  const { registry, shipped, now } = parts;
  const model = await registry.show(modelId);
  if (isRefusal(model)) return model;
  const { plugin, sha256, dataset, evaluation } = model;
  const head = (await registry.heads()).get(plugin);
  if (head?.model_id === modelId) return { refused: 'at_work', message: `the model ${modelId} works already` };
  const reasons = await standingAgainst(parts, modelId);
  if ('refused' in reasons) return reasons;
  if (reasons.length > 0 && override === undefined) return { refused: 'gate', message: `${reasons.length} ${reasons.length === 1 ? 'reason stands' : 'reasons stand'} against ${modelId}: ${reasons[0]}`, against: reasons };
  const from = { from_model_id: head?.model_id ?? null, from_sha256: head?.sha256 ?? (await shipped(plugin)) };
  const reason = reasons.length > 0 ? override! : null;
  const made: ModelSwitch = { plugin, number: (head?.number ?? 0) + 1, change: 'promote', model_id: modelId, sha256, ...from, back: head?.number ?? 0, author, reason, against: reasons, created_at: now().toISOString() };
  return registry.switchTo(made, {
    kind: 'model_change', change: 'promote', author, plugin, number: made.number, model_id: modelId, sha256, ...from, dataset, evaluation: evaluation.map(summaryOf),
    gate: reasons.length > 0 ? 'overridden' : 'passed', ...(reasons.length > 0 ? { against: reasons, reason: override } : {}),
  });
}

export async function rollback({ registry, shipped, fit, now }: PromotionParts, { plugin, author, reason, toShipped = false }: Rollback): Promise<ModelSwitch | ModelRefusal> {
  const head = (await registry.heads()).get(plugin);
  const before = toShipped && head !== undefined && head.model_id !== null ? { model_id: null, back: 0 } : await registry.before(head);
  if (head === undefined || before === undefined) return { refused: 'nothing_before', message: `${plugin} works with what it ships; nothing was before` };
  const file = before.model_id === null ? undefined : await registry.read(before.model_id);
  if (file !== undefined && isRefusal(file)) return { ...file, message: `${file.message}; weir learn rollback ${plugin} --shipped brings back what the plugin ships` };
  const sha256 = before.model_id === null ? await shipped(plugin) : (await registry.show(before.model_id) as { readonly sha256: string }).sha256;
  try {
    await fit(plugin, file);
  } catch (error) {
    return { refused: 'unfit', message: `${before.model_id ?? 'what is shipped'} cannot work: ${(error as Error).message}` };
  }
  const from = { from_model_id: head.model_id, from_sha256: head.sha256 };
  const made: ModelSwitch = { plugin, number: head.number + 1, change: 'rollback', model_id: before.model_id, sha256, ...from, back: before.back, author, reason: reason ?? null, against: [], created_at: now().toISOString() };
  return registry.switchTo(made, { kind: 'model_change', change: 'rollback', author, plugin, number: made.number, model_id: made.model_id, sha256, ...from, ...(reason === undefined ? {} : { reason }) });
}

/** Lets a model score live traffic beside what works; undefined: it does from now on. */
export async function shadowModel({ registry, shadows, now }: Pick<PromotionParts, 'registry' | 'now'> & { readonly shadows: Pick<SqlShadowStore, 'begin'> }, { modelId, share, author }: { readonly modelId: string; readonly share: number; readonly author: string }): Promise<ModelRefusal | undefined> {
  const [found, heads] = [await registry.show(modelId), await registry.heads()];
  if (isRefusal(found)) return found;
  const { plugin, sha256, dataset } = found;
  if (heads.get(plugin)?.model_id === modelId) return { refused: 'at_work', message: `the model ${modelId} works already; beside itself it tells nothing` };
  const isThere = await shadows.begin({ plugin, model_id: modelId, share, author, started_at: now().toISOString() }, leftOf({ kind: 'model_change', change: 'shadow', author, plugin, model_id: modelId, sha256, dataset, share }));
  return isThere ? undefined : { refused: 'no_model', message: `the model ${modelId} is retired; choose another` };
}

function summaryOf({ category, n, positives, recall_change: recall, false_positive_change: alarms }: CandidateCategory): object {
  const three = ({ value, low, high }: Estimate): readonly number[] => [value, low, high];
  return { category, n, positives, recall_change: three(recall), false_positive_change: three(alarms) };
}
