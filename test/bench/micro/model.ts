/**
 * Models of texts: what each embedded classifier and all of them together cost for a prompt, what the shipped toxicity model costs by the length of a text, a second model of the same size that
 * shares its reading, the reading alone, and opening the file. No text follows itself, since a text that was just read is
 * not read again. What is timed is checked first.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Classifier, CreateClassifier } from '../../../src/contract/classifier.ts';
import type { ClassifierResult } from '../../../src/contract/screening.ts';
import { Grams } from '../../../src/model/grams.ts';
import { readModel } from '../../../src/model/text-model.ts';
import { readingsOf } from '../../../src/screen/readings.ts';
import { testPii } from '../../helpers/pii.ts';
import type { Row, Table } from '../report.ts';
import { timeCases, type Case, type Effort, type Timing } from '../rounds.ts';
import { textOf, type TextKind } from '../texts.ts';

const CHARS = 4_096;
const TEXTS = 16;
const KINDS: readonly TextKind[] = ['prose', 'code', 'json', 'all-hostile'];

export async function measureModel(effort: Effort): Promise<readonly Table[]> {
  return [await measureClassifiers(effort), measureToxicity(effort)];
}

/** Those that read prompts, as they come. Their own work: asking them is in the suite `ensemble`. */
async function measureClassifiers(effort: Effort): Promise<Table> {
  const scorers = [testPii('pii', true), ...(await Promise.all(['prompt-injection', 'jailbreak', 'toxicity', 'brand-safety'].map(async (id) => ((await import(`../../../plugins/${id}/index.ts`)) as { readonly default: CreateClassifier }).default({ id }))))];
  const { signal } = new AbortController();
  const score = (asked: readonly Classifier[], content: string): number => {
    const request = { request_id: '', tenant_id: '', direction: 'input', content, content_type: 'text', context: {}, created_at: '' } as const;
    const readings = readingsOf(request);
    return asked.reduce((sum, classifier) => sum + (classifier.classify!(request, signal, readings) as readonly ClassifierResult[]).length, 0);
  };
  assert.ok(score(scorers, textOf('prose', CHARS)) > 0);
  const alone = scorers.map((classifier) => over(`prose, ${classifier.id === 'pii' ? 'pii, names' : classifier.id} alone`, textsOf('prose', CHARS), (text) => score([classifier], text)));
  const together = KINDS.map((kind) => over(`${kind}, all`, textsOf(kind, CHARS), (text) => score(scorers, text)));
  const cases = [...alone, ...together, over('prose of 512 characters, all', textsOf('prose', 512), (text) => score(scorers, text))];
  return { title: `Embedded classifiers, a prompt of ${CHARS.toLocaleString('en-US')} characters`, columns: ['', 'µs', 'ns/char', 'min', 'max'], rows: rowsOf(cases, timeCases('classifiers', cases, effort)), note: 'What several share (views, language, the reading of a text) is in the figure of each alone and once in that of all.' };
}

function measureToxicity(effort: Effort): Table {
  const file = readFileSync(join(import.meta.dirname, '../../../plugins/toxicity/model.bin'));
  const [model, second] = [readModel(file), readModel(file)];
  const grams = new Grams(model.parts.buckets);
  assert.deepEqual(model.scores(textOf('prose', CHARS)), second.scores(textOf('prose', CHARS)));
  const cases: readonly Case[] = [
    ...KINDS.map((kind) => over(`${kind}, one model`, textsOf(kind, CHARS), (text) => model.scores(text))),
    over('prose of 512 characters, one model', textsOf('prose', 512), (text) => model.scores(text)),
    over('prose, two models that share a reading', textsOf('prose', CHARS), (text) => [model.scores(text), second.scores(text)]),
    over('prose, the reading alone', textsOf('prose', CHARS), (text) => grams.read(text)),
    { name: 'opening the file, per byte', work: file.length, run: () => readModel(file).parts.version },
  ];
  return { title: `Scoring a text of ${CHARS.toLocaleString('en-US')} characters`, columns: ['', 'µs', 'ns/char', 'min', 'max'], rows: rowsOf(cases, timeCases('model', cases, effort)) };
}

function rowsOf(cases: readonly Case[], timings: readonly Timing[]): readonly Row[] {
  return cases.map(({ name, work }, i): Row => {
    const { medianNs, minNs, maxNs } = timings[i];
    return { cells: [name, (medianNs * work) / 1e3, medianNs, minNs, maxNs], timing: timings[i] };
  });
}

/** Several texts of one kind, each begun elsewhere. */
function textsOf(kind: TextKind, chars: number): readonly string[] {
  const whole = textOf(kind, chars * 2);
  return Array.from({ length: TEXTS }, (_, n) => whole.slice(n * 7, n * 7 + chars));
}

function over(name: string, texts: readonly string[], run: (text: string) => unknown): Case {
  let turn = 0;
  return { name, work: texts[0].length, run: () => run(texts[(turn += 1) % texts.length]) };
}
