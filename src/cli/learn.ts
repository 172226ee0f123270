/**
 * `weir learn`: rows of what people decided, models trained on them or on folders of rows, and what a model is worth.
 * Deterministic for a seed; progress goes to stderr, results to stdout and to the files that were asked for. Texts are
 * given out by export alone.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError } from '../contract/errors.ts';
import { pairs } from '../learn/pairs.ts';
import { nearest } from '../learn/nearest.ts';
import type { LearningTask } from '../learn/task.ts';
import { spans } from '../learn/spans.ts';
import { texts } from '../learn/texts.ts';
import { parseCall, UsageError, verbOf, type CliCommand, type Io } from './command.ts';
import { evaluateCandidate, trainOnVerdicts } from './learn/candidates.ts';
import { collectRows, exportRows, listDatasets } from './learn/datasets.ts';
import { gateModel, listModels, promoteModel, registerModel, retireModel, rollbackModel, shadowModels } from './learn/models.ts';
import { nextToLabel } from './learn/next.ts';
import { namedPlugin, PLUGINS, recipeOf, type AnyRecipe } from './learn/place.ts';
import { bars } from './learn/progress.ts';

const OPTIONS = { data: 'value', dataset: 'value', candidate: 'value', part: 'value', model: 'value', out: 'value', without: 'value', html: 'value', seed: 'value', fpr: 'value', threshold: 'value', json: 'flag', config: 'value' } as const;
const DEFAULTS = { part: 'dev', seed: 1, fpr: 0.01 } as const;
const VERBS = { collect: collectRows, datasets: listDatasets, export: exportRows, train: trainOrMeasure, evaluate: trainOrMeasure, next: nextToLabel, models: listModels, register: registerModel, gate: gateModel, shadow: shadowModels, promote: promoteModel, rollback: rollbackModel, retire: retireModel } as const;

export const learn: CliCommand = {
  name: 'learn',
  summary: 'make rows of what people decided, train an embedded classifier, measure one',
  help: `usage: weir learn collect [--since TIME] [--json] [--config FILE]
       weir learn datasets [--json] [--config FILE]
       weir learn export [--dataset ID] [--out FILE] [--config FILE]
       weir learn train PLUGIN --dataset ID [--without NAMES] [--model FILE] [--out DIR] [--seed N] [--json] [--config FILE]
       weir learn train PLUGIN [--data DIR] [--out FILE] [--seed N] [--json]
       weir learn evaluate PLUGIN --candidate ID|DIR --dataset ID [--model FILE] [--threshold N] [--html FILE] [--seed N] [--json] [--config FILE]
       weir learn evaluate PLUGIN [--data DIR] [--part PART] [--model FILE] [--fpr RATE] [--seed N] [--html FILE] [--json]
       weir learn next [--limit N] [--offer] [--json] [--config FILE]
       weir learn models | register ID|DIR | gate MODEL | retire MODEL [--json] [--config FILE]
       weir learn shadow PLUGIN [MODEL [--share PERCENT]] [--stop] [--json] [--config FILE]
       weir learn promote [PLUGIN] MODEL [--override --reason TEXT] [--json] [--config FILE]
       weir learn rollback PLUGIN [--shipped] [--reason TEXT] [--json] [--config FILE]

collect makes a version of the data set of what people decided: verdicts of the review queue, labels of risk campaigns, of
tenants with data.learning whose texts are kept. Texts stay sealed; a version is never altered, and says what it lost when
texts are erased. datasets lists the versions. export writes the texts of one in clear, as JSON lines; the audit log
says who did.

train with --dataset teaches the model that works what people decided, and keeps what it knew; it writes a candidate and
registers it, and it does nothing yet, with what it is worth on rows that were held out and on texts of the project. With --data it reads the
rows in DIR by the recipe in plugins/PLUGIN/train, learns from the part train, calibrates on the part dev, and writes the
model. The same rows and seed give the same file.

evaluate with --candidate measures a candidate beside the model that works, on the same rows, and proposes thresholds by
learn.costs; nothing is changed by it. Without, it measures a model on a part: areas under the curves, recall at 1 % false
positives, calibration error, with n and 95 % intervals, and for each category the threshold at which at most RATE of the
negatives are flagged.

next names kept texts that nobody has judged and that a model would learn most from; --offer puts them into the review
queue. They count in no estimate of a campaign.

register takes in a candidate that was trained elsewhere; models lists what is there and what works. gate tells what stands against a
model: a category that got worse beyond its interval, too few rows, a case of a plugin or a policy. shadow lets a model
score live traffic beside what works, deciding nothing, and tells what would change. promote lets a model
work in place of what works now, in every process with the store within seconds; what stands against it is overridden with
a reason alone. rollback brings back what worked before, --shipped what the plugin ships. retire removes a model's file.
The audit log says who did what.

  --dataset ID    a version, or latest, which export takes by itself
  --since TIME    only what was decided from then on
  --without NAMES leave out what these people alone decided, separated by commas
  --candidate ID  of data_dir/candidates, or a folder
  --threshold N   the score from which a text counts as found; default 0.5
  --limit N       default 20, at most 200
  --data DIR      folder with <task>/<part>.jsonl or .jsonl.gz; default $WEIR_TEST_DATA/data
  --out FILE      where the model goes; default plugins/PLUGIN/model.bin, of a candidate data_dir/candidates/ID;
                  of export default the terminal
  --model FILE    the model to measure or to begin from; default plugins/PLUGIN/model.bin
  --part PART     default ${DEFAULTS.part}
  --fpr RATE      target false-positive rate for the thresholds; default ${DEFAULTS.fpr}
  --seed N        default ${DEFAULTS.seed}
  --html FILE     also write a page with the curves
  --json          print one JSON object
  --config FILE   default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 done, 1 the data, the store or the model cannot be read, or there is nothing to learn from, 2 wrong call
`,
  async run(args, io) {
    const [asked, ...rest] = args;
    const verb = verbOf(asked, VERBS);
    try {
      return await VERBS[verb](rest, io, verb);
    } catch (error) {
      if (!(error instanceof Error) || error instanceof TypeError || error instanceof UsageError || error instanceof ConfigError) throw error;
      io.stderr(`weir learn: ${error.message}\n`);
      return 1;
    }
  },
};

async function trainOrMeasure(args: readonly string[], io: Io, verb: string): Promise<number> {
  const { options, operands } = parseCall(args, OPTIONS, 1);
  const plugin = namedPlugin(operands[0]);
  const seed = numberOf('seed', options.seed ?? String(DEFAULTS.seed), (value) => Number.isSafeInteger(value) && value >= 0, 'a whole number from 0');
  const { dataset, candidate, model, out, html, json, config } = options;
  if (candidate !== undefined && verb === 'evaluate') {
    const threshold = options.threshold === undefined ? undefined : numberOf('threshold', options.threshold, (value) => value > 0 && value < 1, 'a number between 0 and 1');
    return evaluateCandidate({ plugin, candidate, dataset: dataset ?? 'latest', model, threshold, html, seed, json, config }, io);
  }
  if (dataset !== undefined && verb === 'train') return trainOnVerdicts({ plugin, dataset, without: options.without?.split(',') ?? [], model, out, seed, json, config }, io);
  const data = options.data ?? (io.env.WEIR_TEST_DATA === undefined ? undefined : join(io.env.WEIR_TEST_DATA, 'data'));
  if (data === undefined) throw new UsageError(`give the folder of the rows with --data, or ${verb === 'train' ? 'a version of the data set with --dataset' : 'a candidate with --candidate'}`);
  const rate = numberOf('fpr', options.fpr ?? String(DEFAULTS.fpr), (value) => value > 0 && value < 1, 'a number between 0 and 1');
  const recipe = await recipeOf(plugin);
  const file = join(PLUGINS, plugin, 'model.bin');
  if (verb === 'train') await train(recipe, { data, out: out ?? file, seed, json }, io);
  else await evaluate(recipe, { data, part: options.part ?? DEFAULTS.part, model: model ?? file, rate, seed, html, json }, io);
  return 0;
}

async function train(recipe: AnyRecipe, { data, out, seed, json }: { readonly data: string; readonly out: string; readonly seed: number; readonly json: boolean }, io: Io): Promise<void> {
  const { bytes, rows, calibratedOn } = await taskOf(recipe).train(recipe, { data, seed, progress: bars(io) });
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, bytes);
  const told = { model: out, bytes: bytes.length, rows, calibrated_on: calibratedOn, seed };
  io.stdout(json ? `${JSON.stringify(told)}\n` : `${out}: ${(bytes.length / 1e6).toFixed(1)} MB from ${rows} rows, calibrated on ${calibratedOn}\n`);
}

async function evaluate(recipe: AnyRecipe, { model, html, json, ...options }: { readonly data: string; readonly part: string; readonly model: string; readonly rate: number; readonly seed: number; readonly html: string | undefined; readonly json: boolean }, io: Io): Promise<void> {
  const evaluation = await taskOf(recipe).evaluate(recipe, { ...options, model: await readFile(model), progress: bars(io) });
  if (html !== undefined) await writeFile(html, evaluation.html);
  io.stdout(json ? `${JSON.stringify(evaluation.json)}\n` : evaluation.table);
}

/** By kind of recipe. */
const TASKS = { nearest, texts, spans, pairs } as const;

function taskOf(recipe: AnyRecipe): LearningTask<AnyRecipe> {
  return TASKS[recipe.kind as keyof typeof TASKS] as LearningTask<AnyRecipe>;
}

function numberOf(name: string, text: string, valid: (value: number) => boolean, what: string): number {
  const value = Number(text);
  if (text.trim() === '' || !valid(value)) throw new UsageError(`--${name} is ${what}, got ${JSON.stringify(text)}`);
  return value;
}
