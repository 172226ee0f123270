/**
 * `weir learn next`: which texts people should judge next. Of the review queue those that wait are named in that order; of
 * what was drawn for campaigns, what is picked can be offered to the queue as items of their own. A task of a campaign stays
 * as it is and is labelled in its own order, so that no estimate knows of it.
 */
import { readFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { reviewIdOf } from '../../contract/review.ts';
import type { SampledDecision } from '../../contract/risk.ts';
import type { Action, Direction } from '../../contract/screening.ts';
import type { TextOf } from '../../learn/collect.ts';
import { judgedText } from '../../learn/labels.ts';
import { disagreementOf, NEXT_MAX, pickNext, POOL_MAX, type Picked, type PoolText } from '../../learn/next.ts';
import { readModel, type TextModel } from '../../model/text-model.ts';
import { SqlReviewStore, type NewReviewItem } from '../../store/reviews.ts';
import { author, tableText } from '../beside.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { onPlace, PLUGINS, recipeOf, type LearningPlace } from './place.ts';
import { bars } from './progress.ts';

interface Candidate extends TextOf {
  readonly id: string;
  /** It is in the queue already. */
  readonly queued: boolean;
  readonly results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number }[];
  readonly action: Action;
}

const DONE: Readonly<Record<SampledDecision, Action>> = { passed: 'allow', redacted: 'redact', blocked: 'block' };

export async function nextToLabel(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { limit: 'value', offer: 'flag', json: 'flag', config: 'value' }, 0);
  const limit = Number(options.limit ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > NEXT_MAX) throw new UsageError(`--limit takes a whole number from 1 to ${NEXT_MAX}`);
  return onPlace(options.config, io, async (place) => {
    const picked = pickNext(await poolOf(place, io), limit);
    const offered = options.offer ? await offer(place, picked) : 0;
    const shown = picked.map(({ of: { id, queued, tenant_id, request_id, direction }, why, worth }) => ({ id, queued, tenant_id, request_id, direction, why, worth }));
    if (options.json) io.stdout(`${JSON.stringify({ texts: shown, offered })}\n`);
    else io.stdout(`${shown.length === 0 ? 'nothing waits of which the text is kept and the tenant lets it learn\n' : tableText([['id', 'tenant', 'direction', 'in the queue', 'why', 'worth'], ...shown.map((one) => [one.id, one.tenant_id, one.direction, one.queued ? 'yes' : 'no', one.why, one.worth.toFixed(2)])])}${options.offer ? `${offered} are offered to the review queue\n` : ''}`);
    return 0;
  });
}

async function poolOf(place: LearningPlace, io: Io): Promise<readonly PoolText<Candidate>[]> {
  const progress = bars(io);
  const models = await modelsOf();
  const candidates = (await waiting(place)).filter(({ tenant_id: id }) => place.consent.includes(id)).slice(0, POOL_MAX);
  const pool: PoolText<Candidate>[] = [];
  for (const [at, of] of candidates.entries()) {
    progress('read', at + 1, candidates.length);
    const { copies } = await place.sealed(of);
    const opened = copies.length === 0 ? { state: 'absent' as const } : await place.open(copies, of);
    if (opened.state === 'locked') throw new RangeError(`texts cannot be opened: ${opened.detail}`);
    if (opened.state !== 'there') continue;
    const text = judgedText(of.direction, opened.texts);
    pool.push({ of, text, disagreement: disagreementOf(of.results), scores: models.flatMap(({ plugin, model }) => [...model.scores(text)].map((score, head) => ({ name: `${plugin}.${model.parts.heads[head]!.category}`, score }))) });
  }
  return pool;
}

async function waiting({ store, database }: LearningPlace): Promise<readonly Candidate[]> {
  const queue = await new SqlReviewStore(database).items({ statuses: ['pending'], limit: POOL_MAX / 2 });
  const drawn = await store.unjudged(POOL_MAX / 2);
  return [
    // Who decides without seeing the scores is told nothing by them here either.
    ...queue.filter(({ double_blind: blind }) => !blind).map((item): Candidate => ({ id: item.review_id, queued: true, tenant_id: item.tenant_id, request_id: item.request_id, direction: item.direction, near: item.created_at, from: [item.review_id], results: item.classifier_results, action: item.action })),
    ...drawn.map(({ task_id, tenant_id, request_id, direction, started_at: near, automated_filter_result: done }): Candidate => ({ id: reviewIdOf(request_id, direction as Direction), queued: false, tenant_id, request_id, direction: direction as Direction, near, from: [task_id], results: [], action: DONE[done] })),
  ];
}

/** Those that learn from verdicts. */
async function modelsOf(): Promise<readonly { readonly plugin: string; readonly model: TextModel }[]> {
  const models: { readonly plugin: string; readonly model: TextModel }[] = [];
  for (const plugin of readdirSync(PLUGINS).sort().filter((name) => existsSync(join(PLUGINS, name, 'train/recipe.ts')))) {
    const recipe = await recipeOf(plugin);
    if (recipe.kind === 'texts' && recipe.taught !== undefined) models.push({ plugin, model: readModel(await readFile(join(PLUGINS, plugin, 'model.bin')), recipe.signs) });
  }
  return models;
}

/** As many as the queue has room for. */
async function offer({ config: { review }, database, audit }: LearningPlace, picked: readonly Picked<Candidate>[]): Promise<number> {
  const store = new SqlReviewStore(database);
  const room = review.capacity.open_max - Object.values(await store.depth()).reduce((sum, count) => sum + count, 0);
  const now = Date.now();
  const tenants = new Set<string>();
  let offered = 0;
  for (const { of } of picked.filter(({ of: { queued } }) => !queued).slice(0, Math.max(0, room))) {
    const item: NewReviewItem = {
      review_id: of.id, request_id: of.request_id, tenant_id: of.tenant_id, direction: of.direction, origin: 'learning', severity: 'low', policy: '', triggered_rules: [], classifier_results: [], action: of.action, double_blind: false,
      created_at: new Date(now).toISOString(), due_at: new Date(now + review.deadlines.low_ms).toISOString(), hold_until: null, hold_then: null,
    };
    if (!(await store.add(item))) continue;
    tenants.add(of.tenant_id);
    offered++;
  }
  if (offered > 0) await audit({ change: 'offered', author: author(), tenants: [...tenants].sort(), count: offered });
  return offered;
}
