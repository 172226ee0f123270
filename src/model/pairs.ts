/**
 * A trained model of answers and their sources: for each category a calibrated score from 0 to 1 for each sentence of an
 * answer. What is measured of a sentence is the plugin's own (`EvidenceReader`); what that is worth together is learnt: one
 * forest for each category, and how rare words are, as a table of their hashes.
 *
 * INVARIANT: a score depends on the sentence, the sources and the model alone. Pure.
 */
import { calibrated, type Calibration } from './calibration.ts';
import { logitOf, type Forest } from './pairs-trees.ts';
import { readTables, writeTables } from './tables.ts';

/** Buckets of the table of rarities; a power of two. */
export const RARITY_BUCKETS = 32_768;

/** How rare a word is, by its hash: from 0 for the commonest to 1. */
export type Rarity = (stem: number) => number;

/** What a plugin measures of a sentence against sources. */
export interface EvidenceReader {
  /** Names of what is measured, in order: a model serves only the reader that it was taught with. */
  readonly names: readonly string[];
  /** Hashes of the words of a text, for the table of rarities. */
  stemsOf(text: string): Iterable<number>;
  /** Reads sources once. The reader that comes back gives undefined for a sentence that claims nothing. */
  open(sources: string, rarity: Rarity): (sentence: string) => Float64Array | undefined;
}

export interface PairsHead {
  readonly category: string;
  readonly calibration: Calibration;
  readonly forest: Forest;
}

export interface PairsParts {
  readonly id: string;
  readonly version: string;
  readonly languages: readonly string[];
  readonly evidence: readonly string[];
  readonly heads: readonly PairsHead[];
  /** By bucket of the stem's hash, 255 for the rarest. */
  readonly rarities: Uint8Array;
}

export class PairsModel {
  readonly parts: PairsParts;
  readonly #reader: EvidenceReader;
  readonly #rarity: Rarity;

  constructor(parts: PairsParts, reader: EvidenceReader) {
    if (parts.evidence.join() !== reader.names.join()) throw new Error('the model was taught with other evidence than this program measures; train it again');
    this.parts = parts;
    this.#reader = reader;
    this.#rarity = (stem) => parts.rarities[rarityBucket(stem)] / 255;
  }

  /** The scores of one sentence after the other, in the order of the heads; undefined for one that claims nothing. */
  open(sources: string): (sentence: string) => Float64Array | undefined {
    const read = this.#reader.open(sources, this.#rarity);
    return (sentence) => {
      const evidence = read(sentence);
      return evidence === undefined ? undefined : Float64Array.from(this.parts.heads, ({ forest, calibration }) => calibrated(logitOf(forest, evidence), calibration));
    };
  }
}

export function rarityBucket(stem: number): number {
  return (stem ^ (stem >>> 15)) & (RARITY_BUCKETS - 1);
}

/** From in how many of all texts a bucket's words occur. */
export function raritiesOf(counts: Uint32Array, all: number): Uint8Array {
  return Uint8Array.from(counts, (count) => Math.round(255 * (1 - Math.log(1 + count) / Math.log(2 + all))));
}

export function writePairs({ heads, rarities, ...about }: PairsParts): Buffer {
  const tables = new Map<string, Uint8Array>();
  tables.set('about', Buffer.from(JSON.stringify({ kind: 'pairs', ...about, heads: heads.map(({ category, calibration, forest: { depth, bias } }) => ({ category, calibration, depth, bias })) })));
  tables.set('rarities', rarities);
  for (const [at, { forest }] of heads.entries()) {
    for (const name of FOREST_TABLES) tables.set(`${name}${at}`, bytesOf(forest[name]));
  }
  return writeTables(tables);
}

const FOREST_TABLES = ['features', 'thresholds', 'leaves'] as const;

interface About extends Omit<PairsParts, 'heads' | 'rarities'> {
  readonly kind?: unknown;
  readonly heads: readonly { readonly category: string; readonly calibration: Calibration; readonly depth: number; readonly bias: number }[];
}

/** Throws an Error that says what is wrong with the file. */
export function readPairs(file: Uint8Array, reader: EvidenceReader): PairsModel {
  const tables = readTables(file);
  const table = (name: string): Uint8Array => {
    const bytes = tables.get(name);
    if (bytes === undefined) throw new Error(`the model file has no table ${name}; train it again`);
    return bytes;
  };
  const { kind, heads, ...about } = JSON.parse(Buffer.from(table('about')).toString()) as About;
  if (kind !== 'pairs') throw new Error('the model file is not one of answers and sources; train it again');
  const forests = heads.map(({ category, calibration, depth, bias }, at): PairsHead => {
    const [features, thresholds, leaves] = FOREST_TABLES.map((name) => table(`${name}${at}`));
    const forest = { depth, bias, features: new Int16Array(features.buffer, features.byteOffset, features.length / 2), thresholds: floatsOf(thresholds), leaves: floatsOf(leaves) };
    return { category, calibration, forest };
  });
  return new PairsModel({ ...about, heads: forests, rarities: table('rarities') }, reader);
}

function floatsOf({ buffer, byteOffset, length }: Uint8Array): Float32Array {
  return new Float32Array(buffer as ArrayBuffer, byteOffset, length / 4);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
