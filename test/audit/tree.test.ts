/**
 * The Merkle tree against the plain recursive definition, for every size and every pair of sizes up to a few dozen, and
 * against roots that another program computed.
 */
import { hash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { consistencyRanges, EMPTY_ROOT, inclusionRanges, inclusionRoot, isConsistent, leafHash, nodeHash, RangeRoots, TreeEdge } from '../../src/audit/tree.ts';
import { runs, seed } from '../helpers/runs.ts';

const SIZE_MAX = 40;
const LEAVES = Array.from({ length: SIZE_MAX }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));

/** RFC 6962, section 2.1, word for word. */
function naiveRoot(leaves: readonly string[]): string {
  if (leaves.length === 0) return hash('sha256', '', 'hex');
  if (leaves.length === 1) return leaves[0]!;
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return hash('sha256', Buffer.from(`01${naiveRoot(leaves.slice(0, split))}${naiveRoot(leaves.slice(split))}`, 'hex'), 'hex');
}

const ROOTS = Array.from({ length: SIZE_MAX + 1 }, (_, size) => naiveRoot(LEAVES.slice(0, size)));

function rootsOf(ranges: ReturnType<typeof inclusionRanges>, size: number): readonly string[] {
  const roots = new RangeRoots(ranges);
  for (const leaf of LEAVES.slice(0, size)) roots.append(leaf);
  return roots.roots();
}

t.test('roots of the usual test leaves, as Python\'s hashlib computes them', async (t) => {
  const leaves = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const roots = [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77', 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7', '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef', 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c', '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ];
  const edge = new TreeEdge();
  t.equal(edge.root(), EMPTY_ROOT);
  for (const [size, root] of roots.entries()) {
    t.equal(edge.root(), root);
    if (size < leaves.length) edge.append(leafHash(Buffer.from(leaves[size]!, 'hex')));
  }
});

t.test('the edge has the root of every size, and goes on from its nodes', async (t) => {
  const edge = new TreeEdge();
  for (let size = 0; size <= SIZE_MAX; size++) {
    t.equal(edge.size, size);
    t.equal(edge.root(), ROOTS[size]);
    const copy = edge.copy();
    for (const leaf of LEAVES.slice(size)) copy.append(leaf);
    t.equal(copy.root(), ROOTS[SIZE_MAX], 'a copy grows by itself');
    t.equal(edge.size, size);
    if (size < SIZE_MAX) edge.append(LEAVES[size]!);
  }
});

t.test('parts that begin anywhere join to the tree', async (t) => {
  for (let from = 0; from <= SIZE_MAX; from++) {
    for (let to = from; to <= SIZE_MAX; to++) {
      const edge = new TreeEdge();
      for (const leaf of LEAVES.slice(0, from)) edge.append(leaf);
      const part = new TreeEdge(from);
      for (const leaf of LEAVES.slice(from, to)) part.append(leaf);
      for (const { level, hash: digest } of part.nodes) edge.push(level, digest);
      if (edge.root() !== ROOTS[to] || edge.size !== to) t.fail(`${from} to ${to}`);
      if (part.nodes.length > 2 * Math.ceil(Math.log2(SIZE_MAX + 1))) t.fail(`${from} to ${to} has ${part.nodes.length} nodes`);
    }
  }
});

t.test('every entry of every tree has a proof, and no other leaf, place, size or root has that proof', async (t) => {
  for (let size = 1; size <= SIZE_MAX; size++) {
    for (let index = 0; index < size; index++) {
      const proof = rootsOf(inclusionRanges(index, size), size);
      const of = (change: object): string | undefined => inclusionRoot({ index, size, leaf: LEAVES[index]!, proof, ...change });
      if (of({}) !== ROOTS[size]) t.fail(`${index} of ${size}`);
      if (of({ leaf: LEAVES[(index + 1) % SIZE_MAX] }) === ROOTS[size]) t.fail(`another leaf, ${index} of ${size}`);
      for (let other = 0; other < size; other++) if (other !== index && of({ index: other }) === ROOTS[size]) t.fail(`${index} as ${other} of ${size}`);
      const wrong = [[...proof, LEAVES[0]!], ...(proof.length > 0 ? [proof.slice(1), proof.slice(0, -1), [ROOTS[0]!, ...proof.slice(1)]] : [])];
      if (wrong.some((steps) => of({ proof: steps }) === ROOTS[size])) t.fail(`another proof, ${index} of ${size}`);
    }
  }
  for (const wrong of [{ index: 3 }, { index: -1 }, { index: 0.5 }, { size: 0 }, { size: -2 }, { size: 2 ** 60 }, { proof: ['x'] }]) t.equal(inclusionRoot({ index: 0, size: 3, leaf: LEAVES[0]!, proof: [], ...wrong }), undefined);
});

t.test('every tree is proven to begin with every smaller one, and with nothing else', async (t) => {
  for (let size = 0; size <= SIZE_MAX; size++) {
    for (let old = 0; old <= size; old++) {
      const proof = old === 0 || old === size ? [] : rootsOf(consistencyRanges(old, size), size);
      const holds = (oldSize: number, oldRoot: string, root = ROOTS[size]!, steps = proof): boolean => isConsistent({ size: oldSize, root: oldRoot }, { size, root }, steps);
      if (!holds(old, ROOTS[old]!)) t.fail(`${old} in ${size}`);
      if (holds(old, nodeHash(ROOTS[old]!, ROOTS[old]!))) t.fail(`another old root, ${old} in ${size}`);
      if (old !== 0 && holds(old, ROOTS[old]!, ROOTS[(size + 1) % SIZE_MAX])) t.fail(`another root, ${old} in ${size}`);
      for (let other = 0; other <= size; other++) if (other !== old && holds(other, ROOTS[old]!)) t.fail(`${old} as ${other} in ${size}`);
      if (holds(old, ROOTS[old]!, ROOTS[size], [...proof, LEAVES[0]!])) t.fail(`a longer proof, ${old} in ${size}`);
      if (proof.length > 0 && holds(old, ROOTS[old]!, ROOTS[size], proof.slice(1))) t.fail(`a shorter proof, ${old} in ${size}`);
    }
  }
  const [old, now] = [{ size: 3, root: ROOTS[3]! }, { size: 7, root: ROOTS[7]! }];
  t.notOk(isConsistent(now, old, []));
  t.notOk(isConsistent(old, now, ['not a hash']));
  t.notOk(isConsistent(old, now, []));
  t.notOk(isConsistent({ ...old, size: -1 }, now, []));
});

t.test('large trees: ranges cover each leaf but the one that is proven, once', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (size, share) => {
    const index = Math.floor(size * share);
    const ranges = [...inclusionRanges(index, size)].sort((a, b) => a.from - b.from);
    let at = 0;
    for (const { from, to } of ranges) {
      if (from !== at && !(from === index + 1 && at === index)) return false;
      at = to;
    }
    return ranges.length <= 41 && (at === size || at === index);
  }), { numRuns: runs(500), seed });
});
