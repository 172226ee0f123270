/**
 * YAML (and so JSON) to a value with a place for every key and element; the only door to js-yaml.
 *
 * Guarantees: never throws for any source; one document; keys are plain text and given once; size, depth, aliases and
 * expanded nodes are bounded, so an anchor bomb is refused before it grows; every finding has a line and a column.
 * It does not know what the value means, and does not resolve merge keys or tags beyond the YAML 1.2 core schema.
 */
import { CORE_SCHEMA, EVENT_ID, SCALAR_STYLE, YAMLException, constructFromEvents, getScalarValue, parseEvents, type Event } from 'js-yaml';
import type { ConfigIssue } from '../contract/errors.ts';

/** Keys and indexes from the root. */
export type Path = readonly (string | number)[];

/** Lines and columns from 1; columns count UTF-16 code units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface YamlLimits {
  readonly bytesMax: number;
  /** Nested collections. */
  readonly depthMax: number;
  readonly aliasesMax: number;
  /** Keys, values and elements, counting what an alias stands for each time it is used. */
  readonly nodesMax: number;
}

export const YAML_LIMITS: YamlLimits = { bytesMax: 1024 * 1024, depthMax: 128, aliasesMax: 100, nodesMax: 500_000 };

export interface YamlDocument {
  readonly file: string;
  /** `undefined` when the document is empty or was refused; then `issues` says why. */
  readonly value: unknown;
  readonly issues: readonly ConfigIssue[];
  /** Where the value (or the key it belongs to) stands; for a path that is not there, the nearest parent that is. */
  at(path: Path, part?: 'value' | 'key'): Place;
}

/** `tenants[0].limits`; empty for the root. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`), '');
}

/** Where an offset stands in a text. */
export function placeOf(text: string, offset: number): Place {
  return new Places(text).at(offset);
}

export function readYaml(source: string, file: string, limits: YamlLimits = YAML_LIMITS): YamlDocument {
  const text = source.startsWith('\uFEFF') ? source.slice(1) : source;
  const places = new Places(text);
  const issues: ConfigIssue[] = [];
  const refuse = (offset: number, message: string, path: Path = []): void => {
    issues.push({ file, ...places.at(offset), path: formatPath(path), message, severity: 'error' });
  };
  const refused = (): YamlDocument => ({ file, value: undefined, issues, at: () => places.at(0) });

  const bytes = Buffer.byteLength(text);
  if (bytes > limits.bytesMax) {
    refuse(0, `the file has ${bytes} bytes, the limit is ${limits.bytesMax}`);
    return refused();
  }
  try {
    const events = parseEvents(text, { maxDepth: limits.depthMax });
    const root = outline(events, text, limits, refuse);
    if (issues.length > 0) return refused();
    const value = root && constructFromEvents(events, { source: text, schema: CORE_SCHEMA, maxAliases: limits.aliasesMax })[0];
    return { file, value, issues, at: (path, part = 'value') => places.at(root ? offsetOf(root, path, part) : 0) };
  } catch (error) {
    const known = error instanceof YAMLException;
    refuse(known ? (error.mark?.position ?? 0) : 0, known ? error.reason : 'the file cannot be read as YAML');
    return refused();
  }
}

/** One node and where it stands; an alias shares the node and keeps its own offsets. */
interface Entry {
  readonly keyOffset: number;
  readonly valueOffset: number;
  readonly node: OutlineNode;
}

interface OutlineNode {
  readonly children: Map<string | number, Entry>;
  /** Nodes below and including this one, aliases expanded. */
  size: number;
  open: boolean;
}

type Refuse = (offset: number, message: string, path: Path) => void;

/** Walks the events once: places, duplicate keys, aliases. Returns undefined for an empty document. */
function outline(events: readonly Event[], source: string, limits: YamlLimits, refuse: Refuse): Entry | undefined {
  const anchors = new Map<string, OutlineNode>();
  let index = 0;
  let aliases = 0;

  const leaf = (): OutlineNode => ({ children: new Map(), size: 1, open: false });

  const readNode = (keyOffset: number, path: Path): Entry => {
    const event = events[index++];
    if (event.type === EVENT_ID.ALIAS) return readAlias(event, keyOffset, path);
    const node = leaf();
    if (event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.POP) return { keyOffset, valueOffset: keyOffset, node };
    if (event.anchorStart >= 0) anchors.set(source.slice(event.anchorStart, event.anchorEnd), node);
    if (event.type === EVENT_ID.SCALAR) {
      const start = event.valueStart < 0 ? keyOffset : event.valueStart;
      // A quoted scalar's value starts after its quote, a block scalar's on the line below its indicator.
      const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED;
      return { keyOffset, valueOffset: quoted && event.valueStart > 0 ? start - 1 : start, node };
    }
    node.open = true;
    if (event.type === EVENT_ID.SEQUENCE) readItems(node, event.start, path);
    else readPairs(node, event.start, path);
    node.open = false;
    return { keyOffset: keyOffset < 0 ? event.start : keyOffset, valueOffset: event.start, node };
  };

  const readAlias = (event: Event & { type: typeof EVENT_ID.ALIAS }, keyOffset: number, path: Path): Entry => {
    const name = source.slice(event.anchorStart, event.anchorEnd);
    const valueOffset = event.anchorStart - 1;
    aliases += 1;
    const target = anchors.get(name);
    if (!target) refuse(valueOffset, `alias ${name} has no anchor before it`, path);
    else if (target.open) refuse(valueOffset, `alias ${name} stands inside what it names`, path);
    else if (aliases === limits.aliasesMax + 1) refuse(valueOffset, `more than ${limits.aliasesMax} aliases`, path);
    return { keyOffset: keyOffset < 0 ? valueOffset : keyOffset, valueOffset, node: target && !target.open ? target : leaf() };
  };

  const add = (parent: OutlineNode, key: string | number, entry: Entry, path: Path): void => {
    parent.children.set(key, entry);
    const before = parent.size;
    parent.size += entry.node.size;
    if (before <= limits.nodesMax && parent.size > limits.nodesMax) refuse(entry.valueOffset, `more than ${limits.nodesMax} values once aliases are expanded`, path);
  };

  const readItems = (node: OutlineNode, start: number, path: Path): void => {
    for (let item = 0; events[index].type !== EVENT_ID.POP; item++) {
      const here = [...path, item];
      const entry = readNode(start, here);
      add(node, item, { ...entry, keyOffset: entry.valueOffset }, here);
    }
    index += 1;
  };

  const readPairs = (node: OutlineNode, start: number, path: Path): void => {
    while (events[index].type !== EVENT_ID.POP) {
      const event = events[index];
      const keyEntry = readNode(start, path);
      const plain = event.type === EVENT_ID.SCALAR;
      const key = plain ? getScalarValue(source, event) : '?';
      const here = [...path, key];
      if (!plain) refuse(keyEntry.valueOffset, 'a key must be plain text', path);
      const earlier = node.children.get(key);
      if (plain && earlier) refuse(keyEntry.valueOffset, `key ${key} is given twice`, here);
      add(node, key, readNode(keyEntry.valueOffset, here), here);
    }
    index += 1;
  };

  const starts = events.flatMap((event, at) => (event.type === EVENT_ID.DOCUMENT ? [at] : []));
  if (starts.length === 0) return undefined;
  index = starts[0] + 1;
  const root = readNode(-1, []);
  if (starts.length > 1) {
    index = starts[1] + 1;
    refuse(readNode(source.length, []).valueOffset, 'a second document; one file holds one document', []);
  }
  return root;
}

function offsetOf(root: Entry, path: Path, part: 'value' | 'key'): number {
  let entry = root;
  for (const step of path) {
    const next = entry.node.children.get(step);
    if (!next) return entry === root ? root.valueOffset : entry.keyOffset;
    entry = next;
  }
  return part === 'key' ? entry.keyOffset : entry.valueOffset;
}

/** Offsets to lines and columns; -1, the offset of what has no text of its own, is the start. */
class Places {
  readonly #lineStarts: readonly number[];

  constructor(text: string) {
    const starts = [0];
    for (const match of text.matchAll(/\r\n|\r|\n/g)) starts.push(match.index + match[0].length);
    this.#lineStarts = starts;
  }

  at(offset: number): Place {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: Math.max(0, offset - this.#lineStarts[low]) + 1 };
  }
}
