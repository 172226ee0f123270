/** `weir learn train PLUGIN --dataset` and `weir learn evaluate PLUGIN --candidate`: a candidate, and what it is worth beside the model that works. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CandidateCategory } from '../../learn/candidate.ts';
import { readCandidate, writeCandidate } from '../../learn/candidate-files.ts';
import { regressionRows, taughtOf, THRESHOLD, trainCandidate, type TrainedCandidate } from '../../learn/candidates.ts';
import { compareModels, type ComparedCategory } from '../../learn/compare.ts';
import { renderComparison } from '../../learn/compared-page.ts';
import { costCurve, costFor, type CostCurve } from '../../learn/costs.ts';
import type { Estimate } from '../../learn/evaluate.ts';
import { randomOf } from '../../learn/measure.ts';
import { isRefusal, ModelRegistry } from '../../learn/registry.ts';
import { rowsFor } from '../../learn/rows.ts';
import { readModel } from '../../model/text-model.ts';
import { SqlModelStore } from '../../store/models.ts';
import { author, tableText } from '../beside.ts';
import type { Io } from '../command.ts';
import { registrable } from './models.ts';
import { baseModel, goneText, onPlace, recipeOf, rowsOfVersion, textsRecipe } from './place.ts';
import { bars } from './progress.ts';

export interface TrainCall {
  readonly plugin: string;
  readonly dataset: string;
  /** People whose verdicts do not count. */
  readonly without: readonly string[];
  readonly model: string | undefined;
  readonly out: string | undefined;
  readonly seed: number;
  readonly json: boolean;
  readonly config: string | undefined;
}

export function trainOnVerdicts({ plugin, dataset: id, without, model, out, seed, json, config: file }: TrainCall, io: Io): Promise<number> {
  return onPlace(file, io, async (place) => {
    const recipe = textsRecipe(plugin, await recipeOf(plugin));
    const base = await baseModel(place, plugin, model);
    const { dataset, rows: all, gone } = await rowsOfVersion(place, id);
    const rows = all.filter(({ people }) => !people.every((person) => without.includes(person)));
    const candidate = trainCandidate({ plugin, recipe, base, dataset: dataset.dataset_id, rows, seed, trainedAt: new Date().toISOString(), progress: bars(io) });
    const folder = out ?? join(place.config.data_dir, 'candidates', candidate.model_id);
    await writeCandidate(folder, candidate);
    const reply = await new ModelRegistry(new SqlModelStore(place.database), () => new Date()).register(registrable(candidate), author());
    if (typeof reply === 'object' && isRefusal(reply)) throw new RangeError(`${reply.message}; the candidate is in ${folder}`);
    await place.audit({ change: 'trained', author: author(), dataset: dataset.dataset_id, sha256: dataset.sha256, count: candidate.trained_on, model_id: candidate.model_id });
    const { bytes: _, ...about } = candidate;
    io.stdout(json ? `${JSON.stringify({ ...about, folder, gone })}\n` : `${candidate.model_id}: learnt from ${candidate.trained_on} rows of ${dataset.dataset_id}${goneText(gone)}; measured on ${candidate.held_out} that were held out\n${changesText('held-out rows', candidate.evaluation)}${changesText('texts of the project', candidate.regression)}${contradictionsText(candidate)}it is in ${folder} and does nothing yet\n`);
    return 0;
  });
}

export interface CompareCall extends Omit<TrainCall, 'out' | 'without'> {
  readonly candidate: string;
  readonly threshold: number | undefined;
  readonly html: string | undefined;
}

export function evaluateCandidate({ plugin, candidate: name, dataset: id, model, seed, threshold = THRESHOLD, html, json, config: file }: CompareCall, io: Io): Promise<number> {
  return onPlace(file, io, async (place) => {
    const recipe = textsRecipe(plugin, await recipeOf(plugin));
    const candidate = await readCandidate(name.includes('/') ? name : join(place.config.data_dir, 'candidates', name));
    if (candidate.plugin !== plugin) throw new RangeError(`${candidate.model_id} was made for ${candidate.plugin}, not for ${plugin}`);
    const [base, tuned] = [await baseModel(place, plugin, model), candidate.bytes].map((bytes) => readModel(bytes, recipe.signs));
    const { dataset, rows, gone } = await rowsOfVersion(place, id);
    const options = { threshold, seed, progress: bars(io) };
    const of = (tenant?: string): readonly ComparedCategory[] => compareModels(base!, tuned!, rowsFor(rows.filter((row) => tenant === undefined || row.tenant_id === tenant), 'held_out', taughtOf(recipe), base!.parts.languages), options);
    const heldOut = of();
    const regression = compareModels(base!, tuned!, regressionRows(recipe, seed), options);
    const { costs } = place.config.learn;
    const tenants = [...new Set(costs.flatMap(({ tenant }) => (tenant === undefined ? [] : [tenant])))];
    const proposals = [...proposalsOf(heldOut, undefined), ...tenants.flatMap((tenant) => proposalsOf(of(tenant), tenant))];
    const title = `${candidate.model_id} beside the model that works, on ${dataset.dataset_id}`;
    if (html !== undefined) {
      await mkdir(dirname(html), { recursive: true });
      await writeFile(html, renderComparison({ title, threshold, heldOut, regression, proposals }));
    }
    const plain = (all: readonly ComparedCategory[]): readonly object[] => all.map(({ judged: _, ...category }) => category);
    io.stdout(json ? `${JSON.stringify({ model_id: candidate.model_id, dataset: dataset.dataset_id, gone, threshold, held_out: plain(heldOut), regression: plain(regression), proposals })}\n` : `${title}${goneText(gone)}\n${changesText('held-out rows', heldOut)}${changesText('texts of the project', regression)}${proposals.map(proposalText).join('')}`);
    return 0;

    function proposalsOf(compared: readonly ComparedCategory[], tenant: string | undefined): readonly Proposal[] {
      return compared.flatMap(({ category, judged }) => {
        const cost = costFor(costs, category, tenant);
        const curve = cost === undefined || (tenant !== undefined && cost.tenant !== tenant) ? undefined : costCurve(judged, 'candidate', cost, randomOf(seed));
        return curve === undefined ? [] : [{ category, tenant, ...curve }];
      });
    }
  });
}

export interface Proposal extends CostCurve {
  readonly category: string;
  readonly tenant: string | undefined;
}

/** What moved, base to candidate, with its 95 % intervals. */
export function changesText(of: string, categories: readonly CandidateCategory[]): string {
  if (categories.length === 0) return `${of}: none says anything of this model's categories\n`;
  const cell = (before: Estimate, after: Estimate): string => (Number.isFinite(after.value) ? `${shown(before.value)} → ${changeText(after)}` : '–');
  return `${of}:\n${tableText([['  category', 'n', 'violations', 'AUPRC', 'recall', 'false positives', 'change of recall', 'of false positives'], ...categories.map(({ category, n, positives, base, candidate, recall_change, false_positive_change }) => [`  ${category}`, String(n), String(positives), cell(base.auprc, candidate.auprc), cell(base.recall, candidate.recall), cell(base.false_positive_rate, candidate.false_positive_rate), changeText(recall_change), changeText(false_positive_change)])])}`;
}

function changeText({ value, low, high }: Estimate): string {
  return Number.isFinite(value) ? `${shown(value)} (${shown(low)}–${shown(high)})` : '–';
}

function shown(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : '–';
}

function contradictionsText({ contradictions }: TrainedCandidate): string {
  return contradictions.filter(({ called_safe: safe }) => safe > 0).map(({ person, sure, called_safe: safe }) => `${person} called ${safe} of ${sure} texts safe of which the model is sure; look at them before it learns this\n`).join('');
}

function proposalText({ category, tenant, best, violation_share: share, is_share_given: isGiven }: Proposal): string {
  return `${category}${tenant === undefined ? '' : ` of ${tenant}`}: costs least from a threshold of ${changeText(best.threshold)}: ${changeText(best.cost)} for 1,000 texts, ${(100 * share).toFixed(1)} % of them violations${isGiven ? '' : ', as of these rows'}; nothing is changed\n`;
}

