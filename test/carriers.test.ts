/**
 * No carrier is forgotten: a text at any string of any screened endpoint, in requests, bodies and events, is read as a
 * text, or is opaque, or changes with the text that it repeats, or is exempt by a named rule. First from the dialects'
 * own rules; then for every string of the published wire format, where its table is there (see helpers/recordings.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { placeOf, type ExemptReason, type LeafRules } from '../src/dialect/walk.ts';
import { answerFault, askedEndpoints, askedRules, built, faultsOf, isAt, MARKER, requestFault, shapeOf, spotOf, type Asked, type Json } from './helpers/carriers.ts';
import { wireTable } from './helpers/recordings.ts';
import { randomOf, runs, seed } from './helpers/runs.ts';
import { NAME, wireLeaves, type WireForm, type WireLeaf } from './helpers/wire.ts';

t.setTimeout(300_000);

const ENDPOINTS = askedEndpoints();
const WIRE = wireLeaves();
const typedForms = ({ path }: Asked): ReadonlyMap<WireForm, readonly WireLeaf[]> | undefined => [...WIRE].find(([typed]) => shapeOf(typed) === shapeOf(path))?.[1];

// From the rules.

/** A string that looks like what it is exempt for. */
const LOOKS: Readonly<Record<ExemptReason, string>> = {
  id: 'call_1-a', enum: 'made_up.word', setting: 'vendor/model-1:2', number: '12.5', secret: 'a b c', padding: 'x y z', ciphertext: 'QUJD+/==', signature: 'QUJD-_', media: 'QUJDRA==', url: 'https://media.example.com/a.png?sig=b%3D&to=9',
};

/** Where the wire has what a rule names: the carrier itself, or those that the rules call by its name. */
function placesOf({ dialect }: Asked, rules: LeafRules, name: string): readonly string[] {
  if (rules.sameAs === undefined) return [name];
  const typed = ENDPOINTS.filter((one) => one.dialect === dialect).flatMap((one) => [...typedForms(one)?.values() ?? []].flat());
  const renamed = typed.map(({ carrier }) => [carrier, placeOf(rules, carrier)] as const).filter(([carrier, place]) => place !== carrier);
  const candidates = new Set(renamed.flatMap(([carrier, place]) => {
    const shared = sharedEnd(carrier, place);
    return name.startsWith(place.slice(0, place.length - shared)) ? [carrier.slice(0, carrier.length - shared) + name.slice(place.length - shared)] : [];
  }));
  return [name, ...[...candidates].filter((carrier) => placeOf(rules, carrier) === name)];
}

function sharedEnd(a: string, b: string): number {
  let shared = 0;
  while (shared < Math.min(a.length, b.length) && a[a.length - 1 - shared] === b[b.length - 1 - shared]) shared += 1;
  return shared;
}

for (const asked of askedRules()) {
  const { requestRules, answerRules } = asked.dialect;

  t.test(`${asked.name}: a request's exemptions are what they say, and hold for nothing else`, { skip: asked.read === undefined && 'it has no body' }, async (t) => {
    const names = Object.entries(requestRules.exempt);
    const exempts = (carrier: string, text: string): boolean => {
      const body = built(carrier, text);
      const spot = spotOf(body, text)!;
      return !asked.read!(body).segments.some(({ jsonPath, key }) => isAt(spot, jsonPath!, key));
    };
    t.same(names.filter(([name, reason]) => !placesOf(asked, requestRules, name).some((carrier) => exempts(carrier, LOOKS[reason]))).map(([name]) => name), [], 'a rule exempts something');
    const places = [...names.map(([name]) => name), ...Object.keys(requestRules.opaque ?? {})].flatMap((name) => placesOf(asked, requestRules, name));
    const unread = (carrier: string): boolean => requestFault(asked, built(carrier, MARKER), carrier) !== undefined;
    t.same(places.filter(unread), [], 'and nothing that is no such thing');
    t.same([...places, 'messages[].content', 'input[].content', NAME].flatMap(beside).filter(unread), [], 'fields that nobody knows are text');
  });

  t.test(`${asked.name}: an answer's exemptions are what they say, and hold for nothing else`, async (t) => {
    const names = Object.entries(answerRules.exempt);
    const exempts = (carrier: string, text: string): boolean => {
      const event = built(carrier, text);
      const spot = spotOf(event, text)!;
      return asked.forms.some((form) => !asked.answer(event, form).pieces.some(({ path, inKey }) => isAt(spot, path, inKey)));
    };
    t.same(names.filter(([name, reason]) => !placesOf(asked, answerRules, name).some((carrier) => exempts(carrier, LOOKS[reason]))).map(([name]) => name), [], 'a rule exempts something');
    const places = names.flatMap(([name]) => placesOf(asked, answerRules, name));
    for (const form of asked.forms) {
      const unread = (carrier: string): boolean => answerFault(asked, built(carrier, MARKER), carrier, form) !== undefined;
      t.same(places.filter(unread), [], `${form}: and nothing that is no such thing`);
      t.same([...places, NAME].flatMap(beside).filter(unread), [], `${form}: fields that nobody knows are text`);
    }
  });
}

/** Fields near a carrier that no wire format has. */
function beside(carrier: string): string[] {
  const parent = carrier.slice(0, Math.max(0, carrier.lastIndexOf('.')));
  const below = parent === '' ? NAME : `${parent}.${NAME}`;
  return [below, `${below}.${NAME}`, `${below}[]`, `${below}[].${NAME}`];
}

// From the published wire format.

t.test('every string that the official SDKs type', async (t) => {
  let strings = 0;
  for (const asked of ENDPOINTS) {
    const forms = typedForms(asked);
    if (forms === undefined) t.comment(`${asked.name}: no SDK types it`);
    for (const [form, leaves] of forms ?? []) {
      if (form === 'request' ? asked.read === undefined : !asked.forms.includes(form)) continue;
      strings += leaves.length;
      t.same(faultsOf(asked, form, leaves), {}, `${asked.name}, ${form}: ${leaves.length} strings`);
    }
  }
  t.comment(`${strings} strings of ${ENDPOINTS.length} endpoints`);
});

/** Below a delta, and whole in one event. */
const WHOLE = /\.(?:id|name)$|\.audio\.data$|delta\.(?:citation|container|stop_details)\.|delta\.stop_sequence$/;

t.test('what a client adds up is read as fragments of one text', async (t) => {
  const fragments = new Map<string, boolean>();
  for (const asked of ENDPOINTS) {
    for (const { carrier, holding } of typedForms(asked)?.get('event') ?? []) {
      if (WHOLE.test(carrier) || !/(?:^|\.)delta(?:\.[a-z_]+(?:\[\])?)*$/.test(carrier)) continue;
      const event = holding(MARKER) as Json;
      const piece = asked.answer(event, 'event').pieces.find(({ text }) => text === MARKER);
      if (piece !== undefined) fragments.set(`${asked.dialect.id} ${String(event.type ?? '')} ${carrier}`, piece.whole !== true);
    }
  }
  t.same([...fragments].filter(([, fragment]) => !fragment).map(([carrier]) => carrier), [], `${fragments.size} carriers`);
});

/** For each `METHOD path (REQ|RES status) media-type`, the kinds of every string by carrier. */
type WireTable = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

const table = wireTable<WireTable>('openapi-string-paths.json');
const eventNames = Object.keys(wireTable<Record<string, unknown>>('responses-events.json') ?? {});
const skip = table === undefined ? 'no table of the wire format: set WEIR_TEST_DATA to a folder that holds design/openapi-string-paths.json' : false;

interface TableEntry {
  readonly name: string;
  readonly asked: Asked;
  readonly form: WireForm;
  readonly leaves: readonly WireLeaf[];
}

/** The table does not tell which strings stand together, so each stands in objects of several types, chosen by chance. */
function tableEntries(wire: WireTable): TableEntry[] {
  const random = randomOf(seed);
  const any = (words: readonly string[]): string => words[Math.floor(random() * words.length)]!;
  return ENDPOINTS.flatMap((asked) => {
    const tried = new Set<string>();
    const words = wordsOf(asked);
    return Object.entries(wire).flatMap(([name, carriers]): TableEntry[] => {
      const [, method, path, direction, media] = /^(\w+) (\S+) (REQ|RES \d+) (\S+)$/.exec(name)!;
      if (method !== asked.method || shapeOf(path!.replace(/\?.*/, '')) !== shapeOf(asked.path) || media === 'application/octet-stream') return [];
      if (direction === 'REQ' && (asked.read === undefined || (media === 'multipart/form-data') !== asked.name.endsWith('form'))) return [];
      const form = direction === 'REQ' ? 'request' : media === 'text/event-stream' ? 'event' : 'body';
      const fresh = Object.entries(carriers).filter(([carrier, kinds]) => !kinds.includes('binary') && !tried.has(`${form} ${carrier}`));
      for (const [carrier] of fresh) tried.add(`${form} ${carrier}`);
      const leaves = fresh.flatMap(([carrier, kinds]) => withFreeForms(carrier, kinds)).flatMap((carrier) => Array.from({ length: runs(8) }, (_, i): WireLeaf => {
        const [outer, inner] = i === 0 ? [] : [form === 'event' ? any([...words, ...eventNames]) : undefined, any(words)];
        return { carrier, holding: (text) => built(carrier, text, outer, inner) };
      }));
      return fresh.length === 0 ? [] : [{ name: `${asked.name}: ${name}: ${fresh.length} strings`, asked, form, leaves }];
    });
  });
}

/** What is of any kind may also be an object or a list. */
function withFreeForms(carrier: string, kinds: readonly string[]): string[] {
  return kinds.some((kind) => kind !== 'string' && kind !== 'uri' && kind !== 'date') ? [carrier, `${carrier}.${NAME}`, `${carrier}[]`] : [carrier];
}

/** Words that the dialect compares with: what may be the `type` of something. */
function wordsOf({ dialect: { id } }: Asked): string[] {
  const folder = join(import.meta.dirname, '../src/dialect');
  const sources = readdirSync(folder).filter((name) => name.startsWith(id.replace(/-[a-z]+$/, '')) && name.endsWith('.ts')).map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
  return [...new Set([...sources.matchAll(/'([a-z][a-z_]*(?:\.[a-z_]+)*)'/g)].map((match) => match[1]!))];
}

t.test('every string of the published wire format', { skip }, async (t) => {
  for (const { name, asked, form, leaves } of tableEntries(table!)) t.same(faultsOf(asked, form, leaves), {}, `${name} in ${leaves.length} values, seed ${seed}`);
});
