/**
 * A marked text in every text of every recorded answer, and of every recorded request: it leaves nowhere, whatever
 * carries it and however it is cut, and all else is as it was. The recordings are of many providers, whose fields no
 * type names.
 */
import t, { type Test } from 'tap';
import { WeirError } from '../src/contract/errors.ts';
import { OPAQUE_KINDS } from '../src/contract/exchange.ts';
import type { Dialect, RequestReading } from '../src/dialect/dialect.ts';
import { readJson, type JsonDocument } from '../src/dialect/json.ts';
import { realtime } from '../src/dialect/realtime.ts';
import { isExempt, isObject, opaqueFinder, placeOf, type LeafRules } from '../src/dialect/walk.ts';
import { decidePrompt, screenPrompt, type OpaqueTreatments } from '../src/proxy/prompt.ts';
import { SCREENED_ENDPOINTS, type ScreenedEndpoint } from '../src/proxy/route.ts';
import { cutBytes, guarded } from './helpers/guarded.ts';
import { Framed } from './helpers/framed.ts';
import { framesOf, LABEL, MARK, MARK_POLICY, marked, partOf, partsOf, placesOf, senseOf, tokensLeft, withoutPureFragments, type Marked, type Part, type Place } from './helpers/marked.ts';
import { planOf } from './helpers/plans.ts';
import { recordings, skipReason, type Recording } from './helpers/recordings.ts';
import { randomOf, runs, seed } from './helpers/runs.ts';
import { SdkHouse } from './helpers/sdk.ts';
import { LAST_CHUNK, chunk, head } from './helpers/upstream.ts';

/** Where an API of the recordings is served. */
const PATHS: Readonly<Record<string, string>> = {
  chat: '/v1/chat/completions', responses: '/v1/responses', messages: '/v1/messages', completions: '/v1/completions', embeddings: '/v1/embeddings',
  images: '/v1/images/generations', moderations: '/v1/moderations', audio: '/v1/audio/transcriptions', conversations: '/v1/conversations',
};
t.setTimeout(300_000);

const plan = planOf(MARK_POLICY);
const endpointOf = (api: string): ScreenedEndpoint | undefined => SCREENED_ENDPOINTS.find(({ method, path }) => method === 'POST' && path === PATHS[api]);

function each(what: string, run: (t: Test, endpoint: ScreenedEndpoint, recordings: readonly Recording[]) => Promise<void>): void {
  for (const api of Object.keys(PATHS)) {
    const endpoint = endpointOf(api);
    t.test(`${what}, ${api}`, { skip: skipReason !== false ? skipReason : endpoint === undefined ? 'not screened' : false }, (t) => run(t, endpoint!, recordings(api).filter((one) => speaks(api, one))));
  }
}

/** Some recorded answers of an API are chunks of another. */
function speaks(api: string, { bytes, stream }: Recording): boolean {
  return !stream || (api !== 'responses' && api !== 'messages') || partsOf(bytes, stream).some(({ event }) => isObject(event) && typeof event.type === 'string');
}

// Choosing.

/** Carriers tried in one recording, where more do not come in fragments. */
const MARKS_MAX = runs(10);

/** One string for each carrier, chosen by chance: of all texts in fragments, and of some others. */
function chosen(places: readonly Place[], random: () => number): Place[] {
  const all = [...Map.groupBy(places, ({ carrier }) => carrier).values()].map((alike) => alike[Math.floor(random() * alike.length)]!);
  const [fragments, others] = [all.filter(({ fragment }) => fragment), all.filter(({ fragment }) => !fragment)];
  while (others.length > 0 && fragments.length + others.length > MARKS_MAX) others.splice(Math.floor(random() * others.length), 1);
  return [...fragments, ...others];
}

const pathOf = ({ carrier }: Place): string => carrier.replace(/^.* /, '');

/** Carriers of an answer with a mark in them. */
function* markedAnswers({ dialect }: ScreenedEndpoint, recording: Recording, random: () => number): Generator<{ readonly place: Place; readonly one: Marked }> {
  const parts = partsOf(recording.bytes, recording.stream);
  const places = placesOf(parts, recording.stream);
  for (const place of chosen(places, random)) {
    const one = marked(parts, places, place, recording.stream, random);
    if (one !== undefined && !isUnread(dialect, place, one)) yield { place, one };
  }
}

/** Exempt whatever stands there, or an address whatever it says; in the place of an id a sentence is a text. */
function isAnything(rules: LeafRules, carrier: string, text: string): boolean {
  const place = placeOf(rules, carrier);
  const reason = Object.hasOwn(rules.exempt, place) ? rules.exempt[place] : undefined;
  return reason === 'secret' || reason === 'padding' || (reason === 'url' && /^https?:\S+$/.test(text));
}

/** What no one reads, by a rule that says so: opaque, exempt whatever stands there, or changed with the text that it repeats. */
function isUnread({ answerRules: rules }: { readonly answerRules: LeafRules }, place: Place, { parts }: Marked): boolean {
  const { event } = parts[place.part]!;
  const text = place.path.reduce<unknown>((value, step) => (value as Record<string | number, unknown>)[step], event) as string;
  return isAnything(rules, pathOf(place), text) || opaqueFinder(rules)(event, JSON.stringify(event)).some(({ carrier }) => carrier === pathOf(place)) || rules.dependent?.some((holder) => pathOf(place).startsWith(holder)) === true;
}

/** Where rules expect a word or an id, a sentence is no less held back, but what becomes of it is no promise. */
const isNamed = ({ answerRules: rules }: { readonly answerRules: LeafRules }, place: Place): boolean => isExempt(rules, pathOf(place), 'word');

/** The provider takes back what it signed only as it was. */
const MAY_BLOCK = /thinking$/;

// Answers.

const mediaOf = ({ stream }: Recording): string => (stream ? 'text/event-stream' : 'application/json');

function through(dialect: Dialect, recording: Recording, { bytes }: { readonly bytes: Buffer }, cutSeed: number): ReturnType<typeof guarded> {
  const { stream, status } = recording;
  return guarded(plan, cutBytes(bytes, cutSeed, [5, 60, 2000][cutSeed % 3]!), { dialect, status, mediaType: mediaOf(recording), request: { segments: [], opaque: [], parameters: {}, stream } });
}

/** Some recordings end in the middle of an event: what came of it never leaves. */
function isBroken(dialect: Dialect, recording: Recording): boolean {
  try {
    through(dialect, recording, recording, 2);
    return false;
  } catch (error) {
    if (error instanceof WeirError && error.code === 'upstream_unreachable') return true;
    throw error;
  }
}

/** An error that no client would read is written as an event (mend.test.ts). */
const hasErrorField = ({ bytes }: Recording): boolean => /^error:/m.test(bytes.toString());

/** Lists of words and times, which are emptied when the text that they repeat changes. */
const EMPTIED = /^(?:words|segments)\[\]/;

function answerFault(dialect: Dialect, recording: Recording, place: Place, one: Marked, cutSeed: number): string | undefined {
  const { stream } = recording;
  const { bytes: out, blocked } = through(dialect, recording, one, cutSeed);
  if (out.includes(MARK)) return 'the mark left';
  const left = partsOf(out, stream);
  if (/qzx|xjv|vkw/.test(tokensLeft(left))) return 'tokens of the mark left';
  if (isNamed(dialect, place)) return undefined;
  if (blocked) return MAY_BLOCK.test(place.carrier) ? undefined : 'blocked';
  if (!out.includes(LABEL) && !EMPTIED.test(place.carrier)) return 'no label stands for the mark';
  // An error in a field that no SDK reads leaves as an event.
  return /^error:/m.test(one.bytes.toString()) ? undefined : difference(one.parts, left, stream);
}

function difference(given: readonly Part[], left: readonly Part[], stream: boolean): string | undefined {
  const [wanted, got] = [senseOf(given, stream, true), senseOf(left, stream, false)];
  for (const key of new Set([...Object.keys(wanted.texts), ...Object.keys(got.texts)])) {
    if (JSON.stringify(wanted.texts[key]) !== JSON.stringify(got.texts[key])) return `${key} is ${JSON.stringify(got.texts[key])?.slice(-300)} and not ${JSON.stringify(wanted.texts[key])?.slice(-300)}`;
  }
  const [wantedRest, gotRest] = wanted.rest.length === got.rest.length ? [wanted.rest, got.rest] : [withoutPureFragments(wanted.rest), withoutPureFragments(got.rest)];
  const other = wantedRest.findIndex((one, i) => one.trimEnd() !== gotRest[i]?.trimEnd());
  return other < 0 && wantedRest.length === gotRest.length ? undefined : `part ${other} of ${wantedRest.length} and ${gotRest.length} is ${gotRest[other]?.slice(0, 600)} and not ${wantedRest[other]?.slice(0, 600)}`;
}

each('answers', async (t, endpoint, all) => {
  const faults: Record<string, string> = {};
  let tried = 0;
  for (const [i, recording] of all.entries()) {
    const random = randomOf(seed + i);
    if (isBroken(endpoint.dialect, recording) || hasErrorField(recording)) continue;
    for (const { place, one } of markedAnswers(endpoint, recording, random)) {
      tried += 1;
      const fault = answerFault(endpoint.dialect, recording, place, one, Math.floor(random() * 1e6));
      if (fault !== undefined) faults[`${place.carrier} in ${recording.file}`] = fault;
    }
  }
  t.same(faults, {}, `${tried} marks, seed ${seed}`);
});

// Requests.

const TREATMENTS = Object.fromEntries(OPAQUE_KINDS.map((kind) => [kind, 'pass'])) as OpaqueTreatments;

const LIMITS = { depthMax: 100, itemsMax: 100_000 };

async function requestFault(rules: LeafRules, read: (document: JsonDocument) => RequestReading, place: Place, { parts, bytes }: Pick<Marked, 'parts' | 'bytes'>): Promise<string | undefined> {
  const document = readJson(bytes, LIMITS);
  const reading = read(document);
  const prompt = await screenPrompt(plan, { document, reading }, {}, TREATMENTS, new AbortController().signal);
  const verdict = decidePrompt(plan, prompt, {});
  if (verdict.kind !== 'forward') return verdict.kind === 'blocked' && MAY_BLOCK.test(place.carrier) ? undefined : verdict.kind;
  const forwarded = verdict.request.body.toString();
  if (reading.observed === true) return reading.segments.some(({ content }) => content.includes(MARK)) && forwarded === bytes.toString() ? undefined : 'what is only observed is changed, or not seen';
  if (forwarded.includes(MARK)) return prompt.opaque.some(({ carrier }) => carrier === place.carrier) || isAnything(rules, place.carrier, MARK) ? undefined : 'the mark left';
  return difference(parts, partsOf(Buffer.from(forwarded), false), false);
}

/** Some recordings are of servers that name the fields of an endpoint otherwise. */
function isRefused(dialect: Dialect, request: Buffer): boolean {
  try {
    dialect.readRequest(readJson(request, LIMITS));
    return false;
  } catch (error) {
    if (error instanceof WeirError && error.code === 'invalid_request') return true;
    throw error;
  }
}

each('requests', async (t, { dialect }, all) => {
  const faults: Record<string, string> = {};
  const tried = new Map<string, number>();
  for (const [i, { request, file }] of all.entries()) {
    if (request === undefined) continue;
    const random = randomOf(seed + i);
    const parts = partsOf(request, false);
    if (isRefused(dialect, request)) continue;
    const places = placesOf(parts, false);
    for (const place of chosen(places, random)) {
      const one = marked(parts, places, place, false, random);
      if (one === undefined) continue;
      tried.set(place.carrier, (tried.get(place.carrier) ?? 0) + 1);
      const fault = await requestFault(dialect.requestRules, (document) => dialect.readRequest(document), place, one);
      if (fault !== undefined) faults[`${place.carrier} in ${file}`] = fault;
    }
  }
  t.same(faults, {}, `${[...tried.values()].reduce((sum, times) => sum + times, 0)} marks in ${tried.size} carriers, seed ${seed}`);
});

// WebSockets.

t.test('answers, realtime', { skip: skipReason }, async (t) => {
  const faults: Record<string, string> = {};
  let tried = 0;
  for (const [i, { bytes, file }] of recordings('realtime-ws').entries()) {
    const random = randomOf(seed + i);
    const parts = framesOf(bytes, 'received');
    const places = placesOf(parts, true);
    for (const place of chosen(places, random)) {
      const one = marked(parts, places, place, true, random);
      if (one === undefined || isUnread(realtime, place, one)) continue;
      tried += 1;
      const { frames } = new Framed(plan).feed(...one.parts.map(({ event }) => event as object)).end();
      const left = frames.map(partOf);
      const fault = frames.some((frame) => frame.includes(MARK)) ? 'the mark left' : /qzx|xjv|vkw/.test(tokensLeft(left)) ? 'tokens of the mark left' : isNamed(realtime, place) ? undefined : difference(one.parts, left, true);
      if (fault !== undefined) faults[`${place.carrier} in ${file}`] = fault;
    }
  }
  t.same(faults, {}, `${tried} marks, seed ${seed}`);
});

t.test('requests, realtime', { skip: skipReason }, async (t) => {
  const faults: Record<string, string> = {};
  let tried = 0;
  for (const [i, { bytes, file }] of recordings('realtime-ws').entries()) {
    const random = randomOf(seed + i);
    for (const { event } of framesOf(bytes, 'sent')) {
      const parts = partsOf(Buffer.from(JSON.stringify(event)), false);
      const places = placesOf(parts, false);
      for (const place of chosen(places, random)) {
        const one = marked(parts, places, place, false, random);
        if (one === undefined) continue;
        tried += 1;
        const fault = await requestFault(realtime.requestRules, (document) => realtime.readClientEvent(document), place, one);
        if (fault !== undefined) faults[`${place.carrier} in ${file}`] = fault;
      }
    }
  }
  t.same(faults, {}, `${tried} marks, seed ${seed}`);
});

// Through the whole proxy.

/** So many recordings of each API, of different providers and forms. */
const SAMPLE = 12;

each('through the proxy', async (t, endpoint, all) => {
  if (endpoint.answeredHere !== undefined) return void t.comment('answered here by the default configuration');
  const house = await SdkHouse.open(t, MARK_POLICY);
  const random = randomOf(seed);
  const fit = all.filter((recording) => !isBroken(endpoint.dialect, recording) && (recording.request === undefined || !isRefused(endpoint.dialect, recording.request)));
  const asked = [...Map.groupBy(fit, ({ file, stream }) => `${file.replace(/^.*\/|--.*/g, '')} ${stream}`).values()].map(([first]) => first!).slice(0, SAMPLE);
  for (const recording of asked) {
    const answers = [...markedAnswers(endpoint, recording, random)];
    const one = answers[Math.floor(random() * answers.length)]?.one ?? recording;
    const body = recording.request ?? Buffer.from(JSON.stringify({ model: 'm', messages: [], input: 'fine', prompt: 'fine', stream: recording.stream }));
    house.upstream.received.length = 0;
    house.upstream.script = (socket) => {
      socket.write(head(recording.status, { 'content-type': mediaOf(recording), 'transfer-encoding': 'chunked' }));
      for (const piece of cutBytes(one.bytes, 3, 500)) socket.write(chunk(piece));
      socket.write(LAST_CHUNK);
    };
    const answer = await fetch(house.weirUrl.replace(/\/v1$/, endpoint.path), { method: 'POST', headers: { 'content-type': 'application/json' }, body: new Uint8Array(body) });
    const expected = through(endpoint.dialect, recording, one, 1);
    t.equal(await answer.text(), expected.bytes.toString(), recording.file);
    t.equal(answer.status, recording.status);
    t.ok(house.upstream.received[0]?.body.equals(body), 'the provider has the request as it was');
  }
  t.equal((await house.takeClosed(asked.length)).length, asked.length);
});
