/**
 * Patterns compiled to one nondeterministic program, and the alphabet reduced to classes of code units that no pattern
 * tells apart. Literals of all patterns share their prefixes in a trie, so ten thousand of them cost no more at each
 * character than their distinct first letters. Pure; made once per pattern set, then read-only.
 */
import { toUnits, type CharSet } from './charset.ts';
import type { Node } from './pattern.ts';

export const CHAR = 0;
export const SPLIT = 1;
export const BEHIND = 2;
export const AHEAD = 3;
export const ACCEPT = 4;

/** Instructions that one pattern, and one set of patterns, may have. */
export const PATTERN_INSTRUCTIONS_MAX = 20_000;
export const PROGRAM_INSTRUCTIONS_MAX = 2_000_000;

/** A pattern too large, by the number of instructions it needs. */
export class ProgramTooLargeError extends Error {
  readonly pattern: number;

  constructor(pattern: number, limit: number) {
    super(`the pattern, or all patterns up to it, need more than ${limit} instructions; shorten repetitions`);
    this.name = 'ProgramTooLargeError';
    this.pattern = pattern;
  }
}

/** What the program needs to know of each pattern. */
export interface PatternInput {
  /** The tree, or literal texts as lists of one-character sets. */
  readonly node?: Node;
  readonly literals?: readonly (readonly CharSet[])[];
  /** Text that may belong to a match is held back. */
  readonly holds: boolean;
  /** A validator will judge each candidate, so candidates with different starts must stay apart. */
  readonly validated: boolean;
  /** While a start of the pattern is alive, no other begins: a run is one candidate, whatever stands in it. */
  readonly once?: boolean;
  /** A start that has grown older than so many characters is dropped. */
  readonly maxChars?: number;
}

export interface Program {
  /** Per instruction: CHAR, SPLIT, BEHIND, AHEAD or ACCEPT. */
  readonly kind: Uint8Array;
  /** CHAR, BEHIND, AHEAD: index into `members`; SPLIT: index into `splits`; ACCEPT: the pattern. */
  readonly operand: Int32Array;
  /** The next instruction, except for SPLIT and ACCEPT. */
  readonly next: Int32Array;
  readonly splits: readonly Int32Array[];
  readonly holds: Uint8Array;
  /** Per instruction: 1 in an endless loop, where a younger start that stands there too can be forgotten. */
  readonly loops: Uint8Array;
  /** The pattern that an instruction belongs to; literals share theirs, which is then the first one's. */
  readonly patternOf: Int32Array;
  /** Per pattern: 1 where it begins once. */
  readonly once: Uint8Array;
  /** Per pattern: the age at which its starts are dropped, or 0. */
  readonly maxChars: Int32Array;
  readonly start: number;
  /** Class of each code unit. */
  readonly classOf: Uint16Array;
  /** Number of classes, without the edge. The class with this number is the edge: no character, start or end of text. */
  readonly classes: number;
  /** Per distinct set: 1 for each class (and the edge, last) that it contains. */
  readonly members: readonly Uint8Array[];
  /** For each class and the edge: which look-behinds it satisfies, as a small number. */
  readonly behindKind: Uint16Array;
}

/** Throws ProgramTooLargeError. */
export function compileProgram(patterns: readonly PatternInput[], instructionsMax = PROGRAM_INSTRUCTIONS_MAX): Program {
  return new ProgramBuilder(instructionsMax).build(patterns);
}

/** A set of code units, and whether the edge belongs to it. */
interface EdgedSet {
  readonly units: CharSet;
  readonly edge: boolean;
}

class ProgramBuilder {
  readonly #instructionsMax: number;
  readonly #kind: number[] = [];
  readonly #operand: number[] = [];
  readonly #next: number[] = [];
  readonly #holds: number[] = [];
  readonly #loops: number[] = [];
  readonly #patternOf: number[] = [];
  readonly #splits: number[][] = [];
  readonly #sets: EdgedSet[] = [];
  readonly #setIndex = new Map<string, number>();
  /** The same for sets without an edge, by identity: repetitions ask for one set many times. */
  readonly #setIndexByIdentity = new WeakMap<CharSet, number>();
  /** Attributes of the instructions being made. */
  #pattern = 0;
  #patternStart = 0;
  #holding = 0;
  /** An older start may be refused or dropped, so that a younger one must not rely on it. */
  #apart = false;

  constructor(instructionsMax: number) {
    this.#instructionsMax = instructionsMax;
  }

  build(patterns: readonly PatternInput[]): Program {
    const entries: number[] = [];
    const tries = new Map<boolean, number>();
    patterns.forEach((pattern, index) => {
      this.#begin(index, pattern);
      if (pattern.node !== undefined) entries.push(this.#compile(pattern.node, this.#add(ACCEPT, index, -1)));
      for (const literal of pattern.literals ?? []) this.#addLiteral(tries, entries, literal, index);
    });
    const start = this.#addSplit(entries);
    const alphabet = classify(this.#sets);
    return {
      kind: Uint8Array.from(this.#kind),
      operand: Int32Array.from(this.#operand),
      next: Int32Array.from(this.#next),
      splits: this.#splits.map((outs) => Int32Array.from(outs)),
      holds: Uint8Array.from(this.#holds),
      loops: Uint8Array.from(this.#loops),
      patternOf: Int32Array.from(this.#patternOf),
      maxChars: Int32Array.from(patterns, (pattern) => pattern.maxChars ?? 0),
      once: Uint8Array.from(patterns, (pattern) => (pattern.once === true && pattern.node !== undefined ? 1 : 0)),
      start,
      ...alphabet,
      behindKind: this.#behindKinds(alphabet),
    };
  }

  #begin(pattern: number, input: PatternInput): void {
    this.#pattern = pattern;
    this.#patternStart = this.#kind.length;
    this.#apart = input.validated || (input.maxChars !== undefined && input.once !== true);
    this.#holding = input.holds ? 1 : 0;
  }

  /** Literals that need no validator share one trie per holding behaviour. */
  #addLiteral(tries: Map<boolean, number>, entries: number[], literal: readonly CharSet[], pattern: number): void {
    this.#patternStart = this.#kind.length;
    const shared = !this.#apart;
    let node = shared ? tries.get(this.#holding === 1) : undefined;
    if (node === undefined) {
      node = this.#addSplit([]);
      entries.push(node);
      if (shared) tries.set(this.#holding === 1, node);
    }
    for (const set of literal) node = this.#trieStep(node, set);
    this.#outsOf(node).push(this.#add(ACCEPT, pattern, -1));
  }

  #trieStep(node: number, set: CharSet): number {
    const { units, pairs } = toUnits(set);
    // A character above U+FFFF is two steps; a set that mixes both kinds is rare (case folding never crosses planes).
    const steps = pairs.length > 0 ? [pairs[0]!.high, pairs[0]!.low].map((range): CharSet => [range]) : [units];
    for (const step of steps) node = this.#trieEdge(node, this.#internSet(step, false));
    return node;
  }

  #trieEdge(node: number, set: number): number {
    const outs = this.#outsOf(node);
    const known = outs.find((out) => this.#kind[out] === CHAR && this.#operand[out] === set);
    if (known !== undefined) return this.#next[known] as number;
    const target = this.#addSplit([]);
    outs.push(this.#add(CHAR, set, target));
    return target;
  }

  #outsOf(split: number): number[] {
    return this.#splits[this.#operand[split] as number] as number[];
  }

  /** Instructions that match `node` and then go on at `next`; returns the first. */
  #compile(node: Node, next: number): number {
    switch (node.type) {
      case 'empty': return next;
      case 'set': return this.#compileSet(node.set, next);
      case 'look': return this.#add(node.ahead ? AHEAD : BEHIND, this.#internSet(toUnits(node.set).units, node.edge), next);
      case 'concat': return node.parts.reduceRight((after, part) => this.#compile(part, after), next);
      case 'alt': return this.#addSplit(node.parts.map((part) => this.#compile(part, next)));
      case 'repeat': return this.#compileRepeat(node.of, node.min, node.max, next);
    }
  }

  #compileSet(set: CharSet, next: number): number {
    const { units, pairs } = toUnits(set);
    const outs: number[] = units.length > 0 ? [this.#add(CHAR, this.#internSet(units, false), next)] : [];
    for (const { high, low } of pairs) {
      const second = this.#add(CHAR, this.#internSet([low], false), next);
      outs.push(this.#add(CHAR, this.#internSet([high], false), second));
    }
    return outs.length === 1 ? (outs[0] as number) : this.#addSplit(outs);
  }

  #compileRepeat(of: Node, min: number, max: number, next: number): number {
    let entry = next;
    if (max === Infinity) {
      const loop = this.#addSplit([]);
      const first = this.#kind.length;
      this.#outsOf(loop).push(this.#compile(of, loop), next);
      if (!this.#apart) this.#loops.fill(1, first);
      entry = loop;
    } else {
      for (let i = min; i < max; i += 1) entry = this.#addSplit([this.#compile(of, entry), next]);
    }
    for (let i = 0; i < min; i += 1) entry = this.#compile(of, entry);
    return entry;
  }

  #add(kind: number, operand: number, next: number): number {
    if (this.#kind.length - this.#patternStart >= PATTERN_INSTRUCTIONS_MAX) throw new ProgramTooLargeError(this.#pattern, PATTERN_INSTRUCTIONS_MAX);
    if (this.#kind.length >= this.#instructionsMax) throw new ProgramTooLargeError(this.#pattern, this.#instructionsMax);
    this.#kind.push(kind);
    this.#operand.push(operand);
    this.#next.push(next);
    this.#holds.push(this.#holding);
    this.#loops.push(0);
    this.#patternOf.push(this.#pattern);
    return this.#kind.length - 1;
  }

  #addSplit(outs: number[]): number {
    this.#splits.push(outs);
    return this.#add(SPLIT, this.#splits.length - 1, -1);
  }

  #internSet(units: CharSet, edge: boolean): number {
    const known = edge ? undefined : this.#setIndexByIdentity.get(units);
    if (known !== undefined) return known;
    const index = this.#internNew(units, edge);
    if (!edge) this.#setIndexByIdentity.set(units, index);
    return index;
  }

  #internNew(units: CharSet, edge: boolean): number {
    const key = `${units.map(([from, to]) => `${from}-${to}`).join()}${edge ? '$' : ''}`;
    let index = this.#setIndex.get(key);
    if (index === undefined) {
      index = this.#sets.length;
      this.#sets.push({ units, edge });
      this.#setIndex.set(key, index);
    }
    return index;
  }

  #behindKinds(alphabet: { readonly classes: number; readonly members: readonly Uint8Array[] }): Uint16Array {
    const looks = new Set<number>();
    this.#kind.forEach((kind, i) => kind === BEHIND && looks.add(this.#operand[i] as number));
    const kinds = new Map<string, number>();
    return Uint16Array.from({ length: alphabet.classes + 1 }, (_, cls) => {
      const signature = [...looks].map((look) => alphabet.members[look]![cls]).join('');
      if (!kinds.has(signature)) kinds.set(signature, kinds.size);
      return kinds.get(signature) as number;
    });
  }
}

/** Splits the code units into classes: two units share a class when no set tells them apart. */
function classify(sets: readonly EdgedSet[]): { classOf: Uint16Array; classes: number; members: Uint8Array[] } {
  const toggles = new Map<number, number[]>();
  sets.forEach((set, index) => {
    for (const [from, to] of set.units) {
      toggle(toggles, from, index);
      toggle(toggles, to + 1, index);
    }
  });
  const cuts = [...new Set([0, ...toggles.keys()])].filter((cut) => cut <= 0xffff).sort((a, b) => a - b);
  const classBySignature = new Map<string, number>();
  const setsOfClass: number[][] = [];
  const active = new Set<number>();
  const wide = new Uint16Array(0x10000);
  cuts.forEach((cut, i) => {
    for (const index of toggles.get(cut) ?? []) if (!active.delete(index)) active.add(index);
    const inside = [...active].sort((a, b) => a - b);
    const signature = inside.join();
    let cls = classBySignature.get(signature);
    if (cls === undefined) {
      cls = setsOfClass.push(inside) - 1;
      classBySignature.set(signature, cls);
    }
    wide.fill(cls, cut, cuts[i + 1] ?? 0x10000);
  });
  const classes = setsOfClass.length;
  const members = sets.map((set) => {
    const flags = new Uint8Array(classes + 1);
    flags[classes] = set.edge ? 1 : 0;
    return flags;
  });
  setsOfClass.forEach((inside, cls) => inside.forEach((index) => { members[index]![cls] = 1; }));
  return { classOf: wide, classes, members };
}

function toggle(toggles: Map<number, number[]>, at: number, set: number): void {
  const list = toggles.get(at);
  if (list === undefined) toggles.set(at, [set]);
  else list.push(set);
}
