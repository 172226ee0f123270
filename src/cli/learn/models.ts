/**
 * `weir learn` after training: candidates become models of the store, are let work, brought back and retired. It works on
 * the store itself, beside running processes, which follow within seconds, or without one; one that runs writes the
 * entries of the audit log. Who may run it with the store's configuration is an admin.
 */
import { join } from 'node:path';
import type { ModelsAtWork } from '../../config/plugins.ts';
import type { Config } from '../../config/schema.ts';
import type { Policy } from '../../contract/policy.ts';
import type { Candidate } from '../../learn/candidate.ts';
import { readCandidate } from '../../learn/candidate-files.ts';
import type { TrainedCandidate } from '../../learn/candidates.ts';
import { onProjectTexts } from '../../learn/gate.ts';
import { promote, rollback, shadowModel, standingAgainst, type PromotionParts } from '../../learn/promotion.ts';
import { isRefusal, leftOf, ModelRegistry, type ModelRefusal } from '../../learn/registry.ts';
import { promotionParts } from '../../learning.ts';
import { digestOf } from '../../proving.ts';
import { ClassifierPool } from '../../runtime.ts';
import { SqlModelStore, type ModelSwitch } from '../../store/models.ts';
import { SqlShadowStore, type ShadowCount } from '../../store/shadows.ts';
import { wilson } from '../../risk/intervals.ts';
import { author, readConfig, tableText, withStore } from '../beside.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { openBench } from '../policy/workbench.ts';

const OPTIONS = { share: 'value', stop: 'flag', override: 'flag', shipped: 'flag', reason: 'value', json: 'flag', config: 'value' } as const;

interface Place {
  readonly config: Config;
  readonly registry: ModelRegistry;
  readonly shadows: SqlShadowStore;
  readonly parts: () => Promise<PromotionParts>;
}

/** The models, what works, and who has followed. */
export function listModels(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, OPTIONS, 0);
  return onModels(options.config, io, async ({ registry }) => {
    const [models, heads] = [await registry.list(), await registry.heads()];
    const working = [...heads.values()].map(({ plugin, number, model_id }) => ({ plugin, number, model_id }));
    if (options.json) io.stdout(`${JSON.stringify({ working, models: models.map(({ evaluation: _, ...model }) => model) })}\n`);
    else {
      io.stdout(models.length === 0 ? 'there are no models; weir learn train --dataset makes one; weir learn register takes in one from elsewhere\n' : tableText([['model', 'plugin', 'state', 'data set', 'trained', 'by'], ...models.map((one) => [one.model_id, one.plugin, heads.get(one.plugin)?.model_id === one.model_id ? 'works' : one.retired_at === null ? 'waits' : 'retired', one.dataset, one.trained_at, one.registered_by])]));
      for (const { plugin, model_id: id, number } of working) io.stdout(`${plugin}: ${id ?? 'what is shipped'} works, by switch ${number}\n`);
    }
    return 0;
  });
}

/** A candidate of data_dir/candidates, or a folder. */
export function registerModel(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [name] } = parseCall(args, OPTIONS, 1);
  if (name === undefined) throw new UsageError('which candidate is missing: an id of data_dir/candidates, or a folder');
  return onModels(options.config, io, async ({ config, registry }) => {
    const candidate = registrable(await readCandidate(name.includes('/') ? name : join(config.data_dir, 'candidates', name)));
    try {
      await digestOf(candidate.plugin, { config, models: new Map([[candidate.plugin, { id: candidate.model_id, bytes: candidate.bytes }]]) });
    } catch (error) {
      return told({ refused: 'not_a_model', message: (error as Error).message }, options.json, io);
    }
    const reply = await registry.register(candidate, author());
    if (typeof reply === 'object') return told(reply, options.json, io);
    io.stdout(options.json ? `${JSON.stringify({ model_id: candidate.model_id, added: reply === 'added' })}\n` : `${candidate.model_id} ${reply === 'added' ? 'is taken in, and does nothing yet' : 'was there already'}\n`);
    return 0;
  });
}

/** What it is worth on texts of the project counts as much as on rows of verdicts. */
export function registrable({ regression, evaluation, ...candidate }: TrainedCandidate): Candidate {
  return { ...candidate, evaluation: [...evaluation.map(plain), ...regression.map((one) => ({ ...plain(one), category: onProjectTexts(one.category) }))] };
}

function plain({ category, n, positives, base, candidate, recall_change, false_positive_change }: Candidate['evaluation'][number]): Candidate['evaluation'][number] {
  return { category, n, positives, base, candidate, recall_change, false_positive_change };
}

/** What stands against a model. */
export function gateModel(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, OPTIONS, 1);
  if (id === undefined) throw new UsageError('which model is missing; weir learn models lists them');
  return onModels(options.config, io, async ({ parts }) => {
    const against = await standingAgainst(await parts(), id);
    if ('refused' in against) return told(against, options.json, io);
    io.stdout(options.json ? `${JSON.stringify({ model_id: id, against })}\n` : against.length === 0 ? `nothing stands against ${id}\n` : against.map((reason) => `${reason}\n`).join(''));
    return against.length === 0 ? 0 : 1;
  });
}

export function promoteModel(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, OPTIONS, 2);
  const id = operands.at(-1);
  if (id === undefined) throw new UsageError('which model is missing; weir learn models lists them');
  if (options.override !== (options.reason !== undefined)) throw new UsageError('--override and --reason go together');
  return onModels(options.config, io, async ({ registry, parts }) => {
    const model = await registry.show(id);
    if (operands.length === 2 && !isRefusal(model) && model.plugin !== operands[0]) throw new UsageError(`${id} is a model of ${model.plugin}, not of ${operands[0]}`);
    return made(await promote(await parts(), { modelId: id, author: author(), override: options.reason }), options.json, io);
  });
}

export function rollbackModel(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [plugin] } = parseCall(args, OPTIONS, 1);
  if (plugin === undefined) throw new UsageError('which plugin is missing; weir learn models tells what works');
  return onModels(options.config, io, async ({ parts }) => made(await rollback(await parts(), { plugin, author: author(), reason: options.reason, toShipped: options.shipped }), options.json, io));
}

/** Lets a model score live traffic beside what works, ends that, or tells what came of it. */
export function shadowModels(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [plugin, id] } = parseCall(args, OPTIONS, 2);
  if (plugin === undefined) throw new UsageError('which plugin is missing; weir learn models tells what works');
  const share = options.share === undefined ? undefined : Number(options.share) / 100;
  if (share !== undefined && !(share > 0 && share <= 1)) throw new UsageError('--share takes a percentage above 0 and at most 100');
  if (options.stop && id !== undefined) throw new UsageError('--stop takes the plugin alone');
  return onModels(options.config, io, async ({ config, registry, shadows }) => {
    const [now, json] = [(): Date => new Date(), options.json];
    if (options.stop) {
      const ended = await shadows.end(plugin, now().toISOString(), leftOf({ kind: 'model_change', change: 'shadow', author: author(), plugin, model_id: null }));
      if (!ended) return told({ refused: 'no_model', message: `no model runs beside what works in ${plugin}` }, json, io);
      io.stdout(json ? `${JSON.stringify({ plugin, running: null })}\n` : `nothing runs beside what works in ${plugin} any more; what came of it stays\n`);
      return 0;
    }
    const running = (await shadows.shadows()).find((one) => one.plugin === plugin);
    if (id === undefined) return shadowTold(running?.model_id, shadows, json, io);
    const model = await registry.show(id);
    if (!isRefusal(model) && model.plugin !== plugin) throw new UsageError(`${id} is a model of ${model.plugin}, not of ${plugin}`);
    if (running?.model_id === id && share === undefined) return shadowTold(id, shadows, json, io);
    const refused = await shadowModel({ registry, shadows, now }, { modelId: id, share: share ?? config.learn.shadow.share_percent / 100, author: author() });
    if (refused !== undefined) return told(refused, json, io);
    io.stdout(json ? `${JSON.stringify({ plugin, running: id })}\n` : `${id} scores live traffic beside what works within seconds, and decides nothing\n`);
    return 0;
  });
}

async function shadowTold(id: string | undefined, shadows: SqlShadowStore, json: boolean, io: Io): Promise<number> {
  const sums = id === undefined ? { counts: [], texts: [] } : await shadows.sums(id);
  const share = (count: number, { total }: ShadowCount): string => {
    const { low, high } = wilson(count, total);
    return `${count} (${(100 * low).toFixed(2)}–${(100 * high).toFixed(2)} %)`;
  };
  if (json) io.stdout(`${JSON.stringify({ model_id: id ?? null, ...sums })}\n`);
  else if (id === undefined) io.stdout('no model runs beside what works\n');
  else io.stdout(`${id}: ${sums.texts.map(({ outcome, total }) => `${total} ${outcome}`).join(', ') || 'nothing yet'}\n${sums.counts.length === 0 ? '' : tableText([['category', 'policy', 'threshold', 'texts', 'only what works', 'only the other'], ...sums.counts.map((one) => [`${one.classifier_id}.${one.category}`, one.policy || '-', String(one.threshold), String(one.total), share(one.only_working, one), share(one.only_shadow, one)])])}`);
  return 0;
}

export function retireModel(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, OPTIONS, 1);
  if (id === undefined) throw new UsageError('which model is missing; weir learn models lists them');
  return onModels(options.config, io, async ({ registry }) => {
    const found = await registry.retire(id, author());
    if (isRefusal(found)) return told(found, options.json, io);
    io.stdout(options.json ? `${JSON.stringify({ model_id: id, retired_at: found.retired_at })}\n` : `${id} is retired; its file is gone\n`);
    return 0;
  });
}

async function onModels(file: string | undefined, io: Io, work: (place: Place) => Promise<number>): Promise<number> {
  const { config } = await readConfig(file, io);
  return withStore('learn', config, io, async (database) => {
    const registry = new ModelRegistry(new SqlModelStore(database), () => new Date());
    const parts = async (): Promise<PromotionParts> => {
      const [models, policies] = [await modelsOf(registry), await policiesOf(file, io)];
      return promotionParts(registry, { config: () => config, policies: () => policies, models: () => models });
    };
    return work({ config, registry, shadows: new SqlShadowStore(database), parts });
  });
}

async function modelsOf(registry: ModelRegistry): Promise<ModelsAtWork> {
  const found = new Map();
  for (const { plugin, model_id: id } of (await registry.heads()).values()) {
    const model = id === null ? undefined : await registry.read(id);
    if (model !== undefined && !isRefusal(model)) found.set(plugin, model);
  }
  return found;
}

/** As they would run now. */
async function policiesOf(file: string | undefined, io: Io): Promise<readonly Policy[]> {
  const pool = new ClassifierPool();
  try {
    return (await openBench({ config: file }, io, pool)).policies.flatMap(({ plan }) => plan?.policy ?? []);
  } finally {
    await pool.close();
  }
}

function made(done: ModelSwitch | ModelRefusal, json: boolean, io: Io): number {
  if (isRefusal(done)) return told(done, json, io);
  const { plugin, number, model_id: id, from_model_id: from, against } = done;
  io.stdout(json ? `${JSON.stringify({ plugin, number, model_id: id, from_model_id: from, against })}\n` : `${id ?? `what ${plugin} ships`} works from now on in place of ${from ?? 'what is shipped'}, by switch ${number}${against.length === 0 ? '' : `, although ${against.length} ${against.length === 1 ? 'reason stands' : 'reasons stand'} against it`}; running processes follow within seconds\n`);
  return 0;
}

function told({ refused, message, against = [] }: ModelRefusal, json: boolean, io: Io): number {
  if (json) io.stdout(`${JSON.stringify({ refused, message, against })}\n`);
  else io.stderr(`weir learn: ${message}\n${against.map((reason) => `  ${reason}\n`).join('')}`);
  return 1;
}
