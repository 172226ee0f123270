/**
 * The cases of a plugin that ships a model: texts and how they must be scored, whatever model works in it. They stand in
 * `cases.json` beside the model, are few, and are no measure of how good a model is: they tell one that is broken, or
 * was taught the opposite. With them the digest of what is shipped.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';

const PLUGINS = join(import.meta.dirname, '../../plugins');
const NAME = /^[a-z][a-z0-9-]{0,63}$/;

export interface PluginCase {
  readonly name: string;
  readonly text: string;
  readonly direction: Direction;
  /** What an answer is held against. */
  readonly sources?: string;
  readonly category: string;
  /** The score is this at least. */
  readonly from?: number;
  /** The score is less than this. */
  readonly below?: number;
}

/** Throws an Error for a plugin without cases, or whose cases cannot be read. */
export async function pluginCases(plugin: string): Promise<readonly PluginCase[]> {
  const found: unknown = JSON.parse(await fileOf(plugin, 'cases.json').then((bytes) => bytes.toString('utf8')));
  if (!Array.isArray(found) || found.length === 0) throw new Error(`plugins/${plugin}/cases.json is no list of cases`);
  return found.map((one: Partial<PluginCase>, at) => {
    const { name, text, direction = 'input', category, from, below } = one;
    const isSound = typeof name === 'string' && typeof text === 'string' && typeof category === 'string' && DIRECTIONS.includes(direction) && (typeof from === 'number') !== (typeof below === 'number');
    if (!isSound) throw new Error(`plugins/${plugin}/cases.json: case ${at + 1} needs name, text, category, and one of from and below`);
    return { ...one, direction } as PluginCase;
  });
}

/** SHA-256 of the model that a plugin ships. Throws an Error for one that ships none. */
export async function shippedModel(plugin: string): Promise<string> {
  return createHash('sha256').update(await fileOf(plugin, 'model.bin')).digest('hex');
}

async function fileOf(plugin: string, name: string): Promise<Buffer> {
  if (!NAME.test(plugin)) throw new Error(`${JSON.stringify(plugin)} is no name of a plugin`);
  try {
    return await readFile(join(PLUGINS, plugin, name));
  } catch {
    throw new Error(`there is no plugins/${plugin}/${name}; name a plugin that ships a model`);
  }
}
