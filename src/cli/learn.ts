/**
 * `weir learn`: train a text model by the recipe of a plugin, and measure one. Deterministic for a seed; progress goes to
 * stderr, results to stdout and to the files that were asked for. Rows are read, never printed or kept.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pairs } from '../learn/pairs.ts';
import { nearest } from '../learn/nearest.ts';
import type { LearningTask } from '../learn/task.ts';
import { spans } from '../learn/spans.ts';
import { texts } from '../learn/texts.ts';
import type { NearestRecipe, PairsRecipe, Recipe, SpansRecipe } from '../model/recipe.ts';
import { parseCall, UsageError, type CliCommand, type Io } from './command.ts';

const PLUGINS = join(import.meta.dirname, '../../plugins');
const OPTIONS = { data: 'value', part: 'value', model: 'value', out: 'value', html: 'value', seed: 'value', fpr: 'value', json: 'flag' } as const;
const DEFAULTS = { part: 'dev', seed: 1, fpr: 0.01 } as const;
const BAR_CHARS = 24;

export const learn: CliCommand = {
  name: 'learn',
  summary: 'train an embedded classifier, or measure one on labelled texts',
  help: `usage: weir learn train PLUGIN [--data DIR] [--out FILE] [--seed N] [--json]
       weir learn evaluate PLUGIN [--data DIR] [--part PART] [--model FILE] [--fpr RATE] [--seed N] [--html FILE] [--json]

train reads the rows in DIR by the recipe in plugins/PLUGIN/train, learns from the part train, calibrates on the part
dev, and writes the model. The same rows and seed give the same file. evaluate measures a model on a part: areas under
the curves, recall at 1 % false positives, calibration error, with n and 95 % intervals, and for each category the
threshold at which at most RATE of the negatives are flagged.

  --data DIR    folder with <task>/<part>.jsonl or .jsonl.gz; default $WEIR_TEST_DATA/data
  --out FILE    where the model goes; default plugins/PLUGIN/model.bin
  --model FILE  the model to measure; default plugins/PLUGIN/model.bin
  --part PART   default ${DEFAULTS.part}
  --fpr RATE    target false-positive rate for the thresholds; default ${DEFAULTS.fpr}
  --seed N      default ${DEFAULTS.seed}
  --html FILE   also write a page with the curves
  --json        print one JSON object

exit code: 0 done, 1 the data or the model cannot be read, 2 wrong call
`,
  async run(args, io) {
    const { options, operands } = parseCall(args, OPTIONS, 2);
    const [verb, plugin] = operands;
    if (verb !== 'train' && verb !== 'evaluate') throw new UsageError(`expected train or evaluate, got ${verb === undefined ? 'nothing' : JSON.stringify(verb)}`);
    if (plugin === undefined || !/^[a-z0-9-]+$/.test(plugin) || !existsSync(join(PLUGINS, plugin, 'train/recipe.ts'))) throw new UsageError(`no plugin with a recipe: ${plugin ?? 'none was named'}; name a folder of plugins/ that has train/recipe.ts`);
    const data = options.data ?? (io.env.WEIR_TEST_DATA === undefined ? undefined : join(io.env.WEIR_TEST_DATA, 'data'));
    if (data === undefined) throw new UsageError('give the folder of the rows with --data');
    const seed = numberOf('seed', options.seed ?? String(DEFAULTS.seed), (value) => Number.isSafeInteger(value) && value >= 0, 'a whole number from 0');
    const rate = numberOf('fpr', options.fpr ?? String(DEFAULTS.fpr), (value) => value > 0 && value < 1, 'a number between 0 and 1');
    try {
      const { recipe } = (await import(pathToFileURL(join(PLUGINS, plugin, 'train/recipe.ts')).href)) as { readonly recipe: AnyRecipe };
      const file = join(PLUGINS, plugin, 'model.bin');
      if (verb === 'train') await train(recipe, { data, out: options.out ?? file, seed, json: options.json }, io);
      else await evaluate(recipe, { data, part: options.part ?? DEFAULTS.part, model: options.model ?? file, rate, seed, html: options.html, json: options.json }, io);
      return 0;
    } catch (error) {
      if (!(error instanceof Error) || error instanceof TypeError) throw error;
      io.stderr(`weir learn: ${error.message}\n`);
      return 1;
    }
  },
};

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

type AnyRecipe = NearestRecipe | Recipe | SpansRecipe | PairsRecipe;

/** By kind of recipe. */
const TASKS = { nearest, texts, spans, pairs } as const;

function taskOf(recipe: AnyRecipe): LearningTask<AnyRecipe> {
  return TASKS[recipe.kind as keyof typeof TASKS] as LearningTask<AnyRecipe>;
}

/** A bar for each step on a terminal; a line for each step where there is none. */
function bars(io: Io): (step: string, done: number, all: number) => void {
  let last = '';
  return (step, done, all) => {
    const share = all === 0 ? 1 : done / all;
    const filled = Math.round(share * BAR_CHARS);
    const line = `${step.padEnd(10)} ${'█'.repeat(filled)}${'░'.repeat(BAR_CHARS - filled)} ${Math.round(share * 100)} %`;
    if (line === last) return;
    last = line;
    if (io.isTerminal) io.stderr(`\r${line}${done === all ? '\n' : ''}`);
    else if (done === all) io.stderr(`${line}\n`);
  };
}

function numberOf(name: string, text: string, valid: (value: number) => boolean, what: string): number {
  const value = Number(text);
  if (text.trim() === '' || !valid(value)) throw new UsageError(`--${name} is ${what}, got ${JSON.stringify(text)}`);
  return value;
}
