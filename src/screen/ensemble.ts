/**
 * Asks scored classifiers about one text, all at once, under one deadline. Guarantees: answers by the deadline whatever
 * a classifier does; what is missing, late or malformed is an unknown result with its reason, never a score; one
 * classifier's fault costs only its own scores. What is known already is not asked again, and when the process is
 * overloaded the slow tier is not asked at all. Made once for a configuration; state outlives it through `former`.
 */
import { createHash } from 'node:crypto';
import { CHANNELS, type CallOutcome } from '../contract/channels.ts';
import type { Classifier, ClassifierFeed, Readings } from '../contract/classifier.ts';
import type { ClassifierResult, ScreeningRequest, UnknownReason } from '../contract/screening.ts';
import { LANGUAGE_SURE, languageOf } from '../text/language.ts';
import { viewsOf } from '../text/views.ts';
import { unknowns } from './answer.ts';
import type { VerdictMemory } from './cache.ts';
import { ClassifierCalls, type CallSettings, type Classify } from './call.ts';
import { combined, isMember, type Combination } from './combine.ts';
import { joinedParts, PART_CHARS_MAX, partsOf, type TextPart } from './parts.ts';
import { readingsOf } from './readings.ts';
import { requestFor } from './sources.ts';

export interface EnsembleMember {
  readonly classifier: Classifier;
  readonly settings?: CallSettings;
  /** Tells one configuration of a classifier from another in what is remembered; by default its id and version do. */
  readonly fingerprint?: string;
}

export interface EnsembleOptions {
  readonly classifiers: readonly EnsembleMember[];
  /** For all scores of one text; default 80. */
  readonly deadlineMs?: number;
  readonly combine?: readonly Combination[];
  readonly memory?: VerdictMemory;
  /** True while classifiers of cost `slow` are not asked. */
  readonly overloaded?: () => boolean;
  /** Milliseconds that only grow. */
  readonly clock?: () => number;
  /** The ensemble before a reload: where a classifier is still the same object, its places and its breaker are kept. */
  readonly former?: Ensemble;
  /** Told what was said of each text that classifiers were asked about by themselves; returns at once. */
  readonly told?: (request: ScreeningRequest, results: readonly ClassifierResult[]) => void;
}

export interface AskOptions {
  /** Leaves out the classifiers for which it is false. */
  readonly only?: (classifier: Classifier) => boolean;
  /** Leaves out the combinations for which it is false. */
  readonly combine?: (combination: Combination) => boolean;
  /** In place of the common one. */
  readonly deadlineMs?: number;
  /** Aborted when nobody wants the answer any more. */
  readonly signal?: AbortSignal;
}

/** Windows of one text, in order. */
export interface EnsembleFeed {
  ask(window: ScreeningRequest, options?: AskOptions): Promise<readonly ClassifierResult[]>;
}

export const DEADLINE_MS = 80;
/** So much of a text is looked at for disguises that would change its language. */
const DISGUISE_CHARS_MAX = 16_384;
/** A classifier of this process has so much time for a first part, whenever its turn comes. */
const FAST_MS = 20;
/** Shared memory is asked only where this is left after its own longest wait. */
const SHARED_LEFT_MS = 50;

export class Ensemble {
  readonly deadlineMs: number;
  readonly combinations: readonly Combination[];
  readonly memory: VerdictMemory | undefined;
  readonly #members: readonly Member[];
  readonly #overloaded: () => boolean;
  readonly #clock: () => number;
  readonly #told: EnsembleOptions['told'];

  constructor({ classifiers, deadlineMs = DEADLINE_MS, combine = [], memory, overloaded = () => false, clock = () => performance.now(), former, told }: EnsembleOptions) {
    this.deadlineMs = deadlineMs;
    this.combinations = combine;
    this.#members = classifiers.filter(({ classifier }) => classifier.classify !== undefined).map(({ classifier, settings, fingerprint }) => ({
      classifier,
      calls: former?.callsOf(classifier) ?? new ClassifierCalls(classifier, settings, clock),
      name: createHash('sha256').update(JSON.stringify([classifier.id, classifier.version, fingerprint ?? ''])).digest('base64url'),
      anyLanguage: classifier.languages.includes('*'),
    }));
    this.memory = memory;
    this.#overloaded = overloaded;
    this.#clock = clock;
    this.#told = told;
  }

  /** Those that it asks. */
  get classifiers(): readonly Classifier[] {
    return this.#members.map(({ classifier }) => classifier);
  }

  callsOf(classifier: Classifier): ClassifierCalls | undefined {
    return this.#members.find((member) => member.classifier === classifier)?.calls;
  }

  /**
   * One result for each category that a classifier answered for, an unknown one for each that it owes, and one for each
   * combination of classifiers that read such a text. Never rejects.
   */
  ask(request: ScreeningRequest, options: AskOptions = {}): Promise<readonly ClassifierResult[]> {
    return this.#ask(request, options, undefined);
  }

  /** For a text that comes in windows: those that can keep what they read of it. */
  open(): EnsembleFeed {
    const feeds = new Map<Classifier, Feed>();
    return { ask: (window, options = {}) => this.#ask(window, options, feeds) };
  }

  async #ask(request: ScreeningRequest, options: AskOptions, feeds: Map<Classifier, Feed> | undefined): Promise<readonly ClassifierResult[]> {
    const { only, combine = () => true, deadlineMs = this.deadlineMs, signal } = options;
    const asked = only === undefined ? this.#members : this.#members.filter(({ classifier }) => only(classifier));
    const startMs = this.#clock();
    const terms: Terms = { request, signal, startMs, deadlineAtMs: startMs + deadlineMs, usualMs: this.deadlineMs, ...toldOf(request), textKey: textKeyOf(request) };
    // The slow first: they work while the fast ones take this process.
    const answers = new Map(slowFirst(asked).map((member) => [member, this.#askOne(member, terms, feeds)]));
    const results = (await Promise.all(asked.map((member) => answers.get(member)!))).flat();
    // Who keeps what it read before says of a window what nobody else could.
    this.#told?.(request, feeds === undefined || feeds.size === 0 ? results : results.filter(({ classifier_id: id }) => ![...feeds.keys()].some((one) => one.id === id)));
    const wanted = this.combinations.filter((combination) => combine(combination) && this.#isAbout(combination, request));
    if (wanted.length === 0) return results;
    const ids = new Set(asked.map(({ classifier }) => classifier.id));
    return [...results, ...wanted.map((combination) => combined(combination, results, ids))];
  }

  /** Whether any of its members reads such a text. */
  #isAbout(combination: Combination, { content_type: type, direction }: ScreeningRequest): boolean {
    return this.#members.some(({ classifier }) => isMember(combination, classifier.id) && classifier.contentTypes.includes(type) && classifier.directions.includes(direction));
  }

  #askOne(member: Member, all: Terms, feeds: Map<Classifier, Feed> | undefined): Promise<readonly ClassifierResult[]> | readonly ClassifierResult[] {
    const { classifier, calls, anyLanguage } = member;
    const request = requestFor(classifier, all.request);
    if (request === undefined || !classifier.directions.includes(request.direction) || !classifier.contentTypes.includes(request.content_type)) return unknowns(classifier, 'unsupported', 0);
    const terms: Terms = { ...all, request };
    if (!anyLanguage && !speaks(classifier, terms.language())) return this.#missing(classifier, terms, 'unsupported');
    const feed = feeds === undefined || classifier.stream === undefined ? undefined : feedOf(feeds, classifier);
    if (feed?.isWhole === true) return feed.take(calls.ask(request, classifier.cost === 'fast' ? this.#inTurn(terms) : terms, feed.classify));
    // A window of an answer hardly ever comes again, and a fast classifier takes little more than a look into memory.
    const isWorthIt = classifier.cost === 'slow' || request.direction === 'input';
    return isWorthIt && this.memory?.isOn === true ? this.#remembered(member, terms, this.memory) : this.#fresh(member, terms);
  }

  /** What was said before, or what is said now. Only what a slow classifier says is worth a question to the replicas' store. */
  #remembered(member: Member, terms: Terms, memory: VerdictMemory): Promise<readonly ClassifierResult[]> | readonly ClassifierResult[] {
    const { classifier, name } = member;
    const { request } = terms;
    const { tenant_id: tenant } = request;
    const key = [name, terms.textKey(memory), ...(classifier.needsContext ? [memory.keyOf(tenant, [contextOf(request)])] : [])].join('.');
    const own = memory.recall(tenant, key);
    if (own !== undefined) return this.#cached(classifier, terms, own);
    if (classifier.cost === 'fast') return this.#fresh(member, terms).then((results) => (memory.remember(tenant, key, results), results));
    const ask = async (): Promise<readonly ClassifierResult[]> => {
      const shared = terms.deadlineAtMs - this.#clock() > SHARED_LEFT_MS ? await memory.recallShared(tenant, key) : undefined;
      if (shared !== undefined) return this.#cached(classifier, terms, shared);
      const results = await this.#fresh(member, terms);
      memory.share(tenant, key, results);
      return results;
    };
    return ask();
  }

  async #fresh({ classifier, calls }: Member, terms: Terms): Promise<readonly ClassifierResult[]> {
    if (classifier.cost === 'slow') return this.#overloaded() ? this.#missing(classifier, terms, 'unavailable') : calls.ask(terms.request, terms);
    const { request } = terms;
    if (request.content_type !== 'text' || request.content.length <= PART_CHARS_MAX) return calls.ask(request, this.#inTurn(terms));
    const answers: { readonly start: number; readonly results: readonly ClassifierResult[] }[] = [];
    for (const { start, text, readings } of terms.parts()) {
      if (start > 0) await new Promise(setImmediate);
      answers.push({ start, results: await calls.ask({ ...request, content: text }, { ...(start === 0 ? this.#inTurn(terms) : terms), readings }) });
    }
    return joinedParts(answers);
  }

  /** Its turn may come late in a process that is busy, and it takes less time than is lost by not asking it. */
  #inTurn(terms: Terms): Terms {
    return { ...terms, deadlineAtMs: Math.max(terms.deadlineAtMs, this.#clock() + FAST_MS) };
  }

  #cached(classifier: Classifier, terms: Terms, results: readonly ClassifierResult[]): readonly ClassifierResult[] {
    this.#publish(classifier, terms, 'cached');
    return results;
  }

  #missing(classifier: Classifier, terms: Terms, reason: UnknownReason): readonly ClassifierResult[] {
    this.#publish(classifier, terms, reason);
    return unknowns(classifier, reason, this.#clock() - terms.startMs);
  }

  #publish({ id }: Classifier, { request, startMs }: Terms, outcome: CallOutcome): void {
    CHANNELS.classifierCalled.publish({ requestId: request.request_id, classifier: id, outcome, startMs, endMs: this.#clock() });
  }
}

interface Member {
  readonly classifier: Classifier;
  readonly calls: ClassifierCalls;
  /** Of what its answers depend on besides the text. */
  readonly name: string;
  readonly anyLanguage: boolean;
}

function slowFirst(members: readonly Member[]): readonly Member[] {
  const isFast = ({ classifier }: Member): boolean => classifier.cost === 'fast';
  return [...members.filter((member) => !isFast(member)), ...members.filter(isFast)];
}

/** One text, and the terms on which it is asked about. */
interface Terms {
  readonly request: ScreeningRequest;
  readonly signal?: AbortSignal;
  readonly startMs: number;
  readonly deadlineAtMs: number;
  readonly usualMs: number;
  /** Primary tag; undefined where it is not told with confidence. Detected once, and only where somebody needs it. */
  readonly language: () => string | undefined;
  readonly readings: Readings;
  /** A long text in parts, with what the classifiers of each share. */
  readonly parts: () => readonly Part[];
  /** What it is remembered by. */
  readonly textKey: (memory: VerdictMemory) => string;
}

interface Part extends TextPart {
  readonly readings: Readings;
}

function toldOf(request: ScreeningRequest): Pick<Terms, 'language' | 'readings' | 'parts'> {
  const readings = readingsOf(request);
  let found: { readonly language: string | undefined } | undefined;
  let parts: readonly Part[] | undefined;
  const cut = (): readonly Part[] => partsOf(request.content).map((part) => ({ ...part, readings: readingsOf({ content: part.text, content_type: 'text' }) }));
  return { readings, parts: () => (parts ??= cut()), language: () => (found ??= { language: confidentLanguage(request.content, readings) }).language };
}

/** A text in disguise has no language that would excuse a classifier from reading it. */
function confidentLanguage(content: string, readings: Readings): string | undefined {
  const { tag, confidence } = readings.language();
  if (tag === 'und' || confidence < LANGUAGE_SURE) return undefined;
  const disguised = viewsOf(content, { names: ['plain', 'folded'], charsMax: DISGUISE_CHARS_MAX }).some(({ text }) => languageOf(text).tag !== tag);
  return disguised ? undefined : primaryTag(tag);
}

function speaks({ languages }: Classifier, language: string | undefined): boolean {
  return language === undefined || languages.some((tag) => primaryTag(tag) === language);
}

/** `pt-BR` is `pt`. */
function primaryTag(tag: string): string {
  return tag.split('-', 1)[0]!.toLowerCase();
}

/** The text and what precedes it, hashed once for all classifiers. */
function textKeyOf({ tenant_id: tenant, direction, content_type: type, content, context }: ScreeningRequest): (memory: VerdictMemory) => string {
  let key: string | undefined;
  return (memory) => (key ??= memory.keyOf(tenant, [direction, type, String(context?.['text_before'] ?? ''), content]));
}

/** All else that an answer may depend on; not which request it is, and when. */
function contextOf({ request_id: _id, created_at: _at, tenant_id: _tenant, content: _content, ...rest }: ScreeningRequest): string {
  return JSON.stringify({ ...rest, context: { ...rest.context, request_id: '', time: '' } });
}

/** A feed must read every window: one that missed any is given up, and its classifier is asked window by window. */
class Feed {
  readonly #classifier: Classifier;
  #feed: ClassifierFeed | undefined;
  /** Windows that it was asked about, and those that it has read. */
  #asked = 0;
  #read = 0;
  #isWhole = true;

  constructor(classifier: Classifier) {
    this.#classifier = classifier;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** What waited while another was missed is asked by itself. */
  readonly classify: Classify = (request, signal) => {
    if (!this.#isWhole) return this.#classifier.classify!(request, signal, readingsOf(request));
    const results = (this.#feed ??= this.#classifier.stream!(request)).feed(request.content);
    this.#read += 1;
    return results;
  };

  async take(answer: Promise<readonly ClassifierResult[]>): Promise<readonly ClassifierResult[]> {
    const asked = (this.#asked += 1);
    const results = await answer;
    if (this.#read < asked) this.#isWhole = false;
    return results;
  }
}

function feedOf(feeds: Map<Classifier, Feed>, classifier: Classifier): Feed {
  const feed = feeds.get(classifier) ?? new Feed(classifier);
  feeds.set(classifier, feed);
  return feed;
}
