/**
 * The Merkle tree of RFC 6962 (SHA-256) over the entries of the audit log: its root, and proofs that an entry is in it
 * (inclusion) and that a later tree only added to an earlier one (consistency). Pure; hashes are 64 hex digits. A tree
 * that grows is kept as its edge, the roots of the full subtrees at its right side: some forty hashes for any log.
 */
import { hash } from 'node:crypto';

/** A full subtree: 2^level leaves. */
export interface TreeNode {
  readonly level: number;
  readonly hash: string;
}

/** Half-open, in leaves. */
export interface LeafRange {
  readonly from: number;
  readonly to: number;
}

export const EMPTY_ROOT = hash('sha256', '', 'hex');
export const HASH_SHAPE = /^[0-9a-f]{64}$/;

const ENTRY = Buffer.from([0]);
/** 0x01, left, right. Hashing never yields to other work, so one buffer serves all. */
const PAIR = Buffer.alloc(65, 1);

export function leafHash(leaf: Buffer): string {
  return hash('sha256', Buffer.concat([ENTRY, leaf]), 'hex');
}

export function nodeHash(left: string, right: string): string {
  PAIR.write(left, 1, 'hex');
  PAIR.write(right, 33, 'hex');
  return hash('sha256', PAIR, 'hex');
}

/** A tree that grows at its right side; or, begun at `from`, the part of a tree from there on. */
export class TreeEdge {
  readonly #levels: number[] = [];
  readonly #hashes: string[] = [];
  /** Leaves before its end, those before `from` included. */
  #size: number;

  constructor(from = 0, nodes: readonly TreeNode[] = []) {
    this.#size = from;
    for (const { level, hash: digest } of nodes) this.push(level, digest);
  }

  get size(): number {
    return this.#size;
  }

  /** Left to right. */
  get nodes(): readonly TreeNode[] {
    return this.#levels.map((level, i) => ({ level, hash: this.#hashes[i]! }));
  }

  append(leaf: string): void {
    this.push(0, leaf);
  }

  /** Adds a full subtree that begins where this ends. Such a subtree begins at a multiple of its own size. */
  push(level: number, digest: string): void {
    this.#size += 2 ** level;
    // Two subtrees of one size become one where the left one begins at a multiple of twice that size.
    while (this.#levels.at(-1) === level && this.#size % 2 ** (level + 1) === 0) {
      digest = nodeHash(this.#hashes.pop()!, digest);
      this.#levels.pop();
      level++;
    }
    this.#levels.push(level);
    this.#hashes.push(digest);
  }

  /** Of a tree that begins at the first leaf, or of a subtree. */
  root(): string {
    return this.#hashes.length === 0 ? EMPTY_ROOT : this.#hashes.reduceRight((right, left) => nodeHash(left, right));
  }

  copy(): TreeEdge {
    return new TreeEdge(0, this.nodes);
  }
}

/** The subtrees whose roots prove that leaf `index` is in the tree of `size` leaves, from the leaf upwards. */
export function inclusionRanges(index: number, size: number): readonly LeafRange[] {
  const ranges: LeafRange[] = [];
  for (let [from, to] = [0, size]; to - from > 1; ) {
    const middle = from + splitOf(to - from);
    ranges.push(index < middle ? { from: middle, to } : { from, to: middle });
    [from, to] = index < middle ? [from, middle] : [middle, to];
  }
  return ranges.reverse();
}

/** The subtrees whose roots prove that the tree of `size` leaves begins with that of `oldSize`, which is not 0. */
export function consistencyRanges(oldSize: number, size: number): readonly LeafRange[] {
  const ranges: LeafRange[] = [];
  let [from, to, isOldTree] = [0, size, true];
  while (to !== oldSize) {
    const middle = from + splitOf(to - from);
    if (oldSize <= middle) {
      ranges.push({ from: middle, to });
      to = middle;
    } else {
      ranges.push({ from, to: middle });
      from = middle;
      isOldTree = false;
    }
  }
  if (!isOldTree) ranges.push({ from, to });
  return ranges.reverse();
}

/** The largest power of two below `leaves`. */
function splitOf(leaves: number): number {
  let split = 1;
  while (split * 2 < leaves) split *= 2;
  return split;
}

/** Takes all leaves in order, and gives the roots of some ranges of them: a proof out of one pass over the log. */
export class RangeRoots {
  readonly #ranges: readonly LeafRange[];
  readonly #edges: readonly TreeEdge[];
  /** Of the ranges by their beginning. */
  readonly #order: readonly number[];
  #at = 0;
  #size = 0;

  /** The ranges share no leaf. */
  constructor(ranges: readonly LeafRange[]) {
    this.#ranges = ranges;
    this.#edges = ranges.map(() => new TreeEdge());
    this.#order = ranges.map((_, i) => i).sort((a, b) => ranges[a]!.from - ranges[b]!.from);
  }

  append(leaf: string): void {
    this.push(0, leaf);
  }

  /** A full subtree, which lies in one range or outside all of them. */
  push(level: number, digest: string): void {
    const index = this.#size;
    this.#size += 2 ** level;
    while (this.#at < this.#order.length && this.#ranges[this.#order[this.#at]!]!.to <= index) this.#at++;
    const range = this.#order[this.#at];
    if (range !== undefined && this.#ranges[range]!.from <= index) this.#edges[range]!.push(level, digest);
  }

  /** In the order in which the ranges were given. */
  roots(): readonly string[] {
    return this.#edges.map((edge) => edge.root());
  }
}

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  /** Hash of the leaf. */
  readonly leaf: string;
  readonly proof: readonly string[];
}

/** The root that the proof leads to; undefined when the proof does not fit the tree. */
export function inclusionRoot({ index, size, leaf, proof }: Inclusion): string | undefined {
  if (!isCount(index) || !isCount(size) || index >= size || !proof.every((step) => HASH_SHAPE.test(step))) return undefined;
  let [at, last, root] = [index, size - 1, leaf];
  for (const step of proof) {
    if (last === 0) return undefined;
    if (at % 2 === 1 || at === last) {
      root = nodeHash(step, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else root = nodeHash(root, step);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 ? root : undefined;
}

export interface SizedRoot {
  readonly size: number;
  readonly root: string;
}

/** Whether the proof shows that the new tree begins with the old one. */
export function isConsistent(old: SizedRoot, now: SizedRoot, proof: readonly string[]): boolean {
  if (!isCount(old.size) || !isCount(now.size) || old.size > now.size || !proof.every((step) => HASH_SHAPE.test(step))) return false;
  if (old.size === now.size) return proof.length === 0 && old.root === now.root;
  if (old.size === 0) return proof.length === 0 && old.root === EMPTY_ROOT;
  let [at, last] = [old.size - 1, now.size - 1];
  while (at % 2 === 1) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  const steps = at === 0 ? [old.root, ...proof] : proof;
  if (steps.length === 0) return false;
  let [oldRoot, root] = [steps[0]!, steps[0]!];
  for (const step of steps.slice(1)) {
    if (last === 0) return false;
    if (at % 2 === 1 || at === last) {
      oldRoot = nodeHash(step, oldRoot);
      root = nodeHash(step, root);
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)];
    } else root = nodeHash(root, step);
    [at, last] = [Math.floor(at / 2), Math.floor(last / 2)];
  }
  return last === 0 && oldRoot === old.root && root === now.root;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
