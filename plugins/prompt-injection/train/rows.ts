/**
 * Rows to learn from besides the labelled ones of the task, made from them: what was hidden in the documents of BIPIA,
 * by itself, and rows cut and put together anew. Made when a model is made, never shipped.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export interface DataRow {
  readonly text: string;
  readonly label?: number;
  readonly source: string;
}

/** Shorter lines are cells and numbers. */
const LINE_CHARS_MIN = 15;
/** A document with more new lines than this is another document. */
const HIDDEN_LINES_MAX = 12;
/** Longer rows are left as they are. */
const SHORT_CHARS = 600;
const JOINTS: readonly string[] = [' ', ' ', '. ', '\n', '\n\n', '? ', '... '];
/** How often each short attack is put beside other texts, and how many parts are cut from a long one. */
const BURIED = 4;
const PARTS = 3;
const HARMLESS_JOINED = 4_000;
/** How many of each source of the toxicity data are read. */
const RUDE_ROWS: Readonly<Record<string, number>> = { convabuse: 1_000, 'jigsaw-robtest': 1_500, 'toxic-spans': 1_000, davidson: 500, germeval2018: 500, 'cssrs-reddit500': 300, realtoxicityprompts: 500 };

/** What a document with an attack has and no document without one. */
export async function hiddenTexts(dataFolder: string): Promise<readonly string[]> {
  const rows = (await rowsOf(dataFolder, 'injection')).filter(({ source }) => source === 'bipia');
  const known = new Set(rows.filter(({ label }) => label === 0).flatMap(({ text }) => linesOf(text)));
  return [...new Set(rows.filter(({ label }) => label === 1).flatMap(({ text }) => {
    const fresh = linesOf(text).filter((line) => !known.has(line));
    return fresh.length > 0 && fresh.length <= HIDDEN_LINES_MAX ? [fresh.join('\n')] : [];
  }))];
}

export interface MixedText {
  readonly text: string;
  readonly kind: 'injection' | 'jailbreak' | 'harmless';
}

/** Rows cut and put together anew: attacks behind, before and amid harmless rows, parts of long ones, harmless rows in a row. */
export async function mixedTexts(dataFolder: string, random: () => number): Promise<readonly MixedText[]> {
  return mixed(await rowsOf(dataFolder, 'injection'), random);
}

export function mixed(rows: readonly DataRow[], random: () => number): readonly MixedText[] {
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const harmless = rows.filter(({ label, source, text }) => label === 0 && source !== 'bipia' && source !== 'advbench' && text.length < SHORT_CHARS).map(({ text }) => text);
  const texts: MixedText[] = [];
  for (const { text, source, label } of rows) {
    if (label !== 1) continue;
    if (source === 'deepset' && text.length < SHORT_CHARS) for (let n = 0; n < BURIED; n += 1) texts.push({ kind: 'injection', text: one([`${one(harmless)}${one(JOINTS)}${text}`, `${one(harmless)}${one(JOINTS)}${text}`, `${text}${one(JOINTS)}${one(harmless)}`, `${one(harmless)}${one(JOINTS)}${text}${one(JOINTS)}${one(harmless)}`]) });
    if (source === 'in-the-wild') for (let n = 0; n < PARTS; n += 1) texts.push({ kind: 'jailbreak', text: partOf(text, random) });
  }
  for (let n = 0; n < HARMLESS_JOINED; n += 1) texts.push({ kind: 'harmless', text: Array.from({ length: 2 + Math.floor(3 * random()) }, () => one(harmless)).join(one(JOINTS)) });
  return texts;
}

/** From a third to two thirds of a text, from one of its sentences on. */
function partOf(text: string, random: () => number): string {
  const length = Math.floor(text.length * (1 / 3 + random() / 3));
  const from = Math.floor(random() * (text.length - length));
  const begin = from === 0 ? 0 : Math.max(0, text.slice(0, from + 1).search(/[.\n][^.\n]*$/) + 1);
  return text.slice(begin, begin + length).trim();
}

/** Comments of the toxicity data: rude is not an attack. Requests for what is forbidden are left out, they are near to one. */
export async function rudeTexts(dataFolder: string): Promise<readonly string[]> {
  const counts = new Map<string, number>();
  return (await rowsOf(dataFolder, 'toxicity')).filter(({ source }) => {
    const count = (counts.get(source) ?? 0) + 1;
    counts.set(source, count);
    return count <= (RUDE_ROWS[source] ?? 0);
  }).map(({ text }) => text);
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.trim().length >= LINE_CHARS_MIN);
}

async function rowsOf(dataFolder: string, task: string): Promise<readonly DataRow[]> {
  const lines = gunzipSync(await readFile(join(dataFolder, task, 'train.jsonl.gz'))).toString('utf8').split('\n');
  return lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as DataRow);
}
