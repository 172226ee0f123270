/**
 * Models of texts: what the shipped toxicity model costs by the length of a text, a second model of the same size that
 * shares its reading, the reading alone, and opening the file. No text follows itself, since a text that was just read is
 * not read again. What is timed is checked first.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Grams } from '../../../src/model/grams.ts';
import { readModel } from '../../../src/model/text-model.ts';
import type { Row, Table } from '../report.ts';
import { timeCases, type Case, type Effort } from '../rounds.ts';
import { textOf, type TextKind } from '../texts.ts';

const CHARS = 4_096;
const TEXTS = 16;
const KINDS: readonly TextKind[] = ['prose', 'code', 'json', 'all-hostile'];

export function measureModel(effort: Effort): readonly Table[] {
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
  const timings = timeCases('model', cases, effort);
  const rows = cases.map(({ name, work }, i): Row => {
    const { medianNs, minNs, maxNs } = timings[i];
    return { cells: [name, (medianNs * work) / 1e3, medianNs, minNs, maxNs], timing: timings[i] };
  });
  return [{ title: `Scoring a text of ${CHARS.toLocaleString('en-US')} characters`, columns: ['', 'µs', 'ns/char', 'min', 'max'], rows }];
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
