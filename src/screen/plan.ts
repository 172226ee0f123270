/**
 * Everything compiled for one policy: one automaton over the patterns of all classifiers and of the policy, the
 * decision, and the redaction. Made once when the configuration is loaded, immutable, shared by all exchanges.
 *
 * A pattern's text is held back on streams only where the policy could act on it; where it would at most allow or warn,
 * matches are observed and nothing waits.
 *
 * Images and recordings are given to the classifiers that read them; to all others they are unknown, which decides only
 * about rules that ask for them (policy/truth). What cannot be redacted is blocked: a matched image has no text to replace.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { Classifier } from '../contract/classifier.ts';
import type { RecordedFacts, Screened, Segment, SegmentResults, ShadowRecord } from '../contract/exchange.ts';
import type { FailMode, Facts, Policy, PolicyDecision, RoleFacts } from '../contract/policy.ts';
import type { ClassifierResult, ContentType, Context, Direction, ScreeningRequest, UnknownReason } from '../contract/screening.ts';
import type { PatternSet } from '../match/compiled.ts';
import { languageOf } from '../text/language.ts';
import { inStringAt, writtenInJson } from '../text/json-text.ts';
import { readsContext, recordFacts } from '../policy/recorded.ts';
import { ROLE, roleName } from '../policy/roles.ts';
import { withoutHold } from '../policy/hold.ts';
import { decideWithClaims, redactionsOf } from '../policy/stricter.ts';
import type { TextEdit } from '../text/edits.ts';
import type { ViewOptions } from '../text/views.ts';
import type { TextWindow } from '../text/windows.ts';
import { askedCategories, unknowns } from './answer.ts';
import { Asked } from './asked.ts';
import { ENSEMBLE, ensembleOf } from './combine.ts';
import { Ensemble, type EnsembleFeed } from './ensemble.ts';
import { canaryOf, type Canary, type CanaryPlan } from './canary.ts';
import { deferralOf, type Deferral } from './deferral.ts';
import { isMatched, OutputChannel, spansOf, verdictOf, type ChannelJudge, type LateVerdict, type LateScoring, type LateVerdicts, type DecideOn, type OutputPlan, type OutputScoring } from './output.ts';
import { compileSets, mayAct } from './pattern-sets.ts';
import { literalTokens, Pseudonyms } from './pseudonyms.ts';
import { ANSWERING, spokenBy } from './roles.ts';
import { joinedEdits, redactionEdits } from './redaction.ts';
import { isScored, resultsOf, ResultTally } from './results.ts';
import { POLICY_PATTERNS, ShadowAnswer, shadowSees, splitFound } from './shadow.ts';
import { TextScan, Turns } from './scan.ts';

export interface ScreeningPlan {
  readonly policy: Policy;
  /** `id@revision` */
  readonly policyName: string;
  /** Ids of models that work in place of shipped ones; absent: none does. */
  readonly models?: readonly string[];
  readonly patterns: PatternSet;
  /** Seals the tenant's pseudonyms; absent where no rule writes any. */
  readonly pseudonymKey?: Buffer;
  /** Whether a classifier scores content of this type in prompts. */
  reads(contentType: ContentType): boolean;
  /** Whether only rules reach the category that name it. */
  isNamed(classifier: string, category: string): boolean;
  /** A classifier holds answers against the prompt's sources: `context.sources` of `forOutput`. */
  readonly needsSources: boolean;
  /** Who scores this category of a prompt's content of this type: ids of classifiers. */
  judges(category: string, contentType: ContentType): readonly string[];
  /** Classifiers are heard after the fact: `screen` for `let_go`, then `complete`. */
  readonly defers: boolean;
  /** Hides the names of barred sessions; absent where the policy bars none. */
  readonly barKey?: Buffer;
  /** `let_go`: without what is heard after the fact. `tell`: with the scores that no rule reaches, for who wants to see them. */
  screen(segments: readonly Segment[], direction: Direction, context: Context, signal?: AbortSignal, purpose?: Purpose): Promise<Screened>;
  /** What `screen` left out is heard, and all is decided together. Does not reject. */
  complete(screened: Screened, direction: Direction, context: Context, signal?: AbortSignal): Promise<LateVerdict>;
  decide(screened: Screened, direction: Direction, context: Context): PolicyDecision;
  /** A decision that waits for a person, where nobody came: its rule's `then`. */
  unheld(decision: PolicyDecision, screened: Screened): PolicyDecision;
  /** A person let this text go on, which this rule held: as an earlier turn it is not held for it again, while that is remembered. */
  rememberAllowed(rule: string, segment: Segment, context: Context): void;
  wasAllowed(rule: string, segment: Segment, context: Context): boolean;
  /** All that `decide` decides on: for who explains a decision. */
  factsOf(screened: Screened, direction: Direction, context: Context): Facts;
  /** What a record keeps of them. */
  recordFacts(screened: Screened, direction: Direction, context: Context): RecordedFacts;
  /** What the shadow decides on the same scores; absent where the policy has none. */
  shadowed?(screened: Screened, direction: Direction, context: Context): ShadowRecord;
  /** Decides for a share of sessions in this plan's place; absent where the policy has none. */
  readonly canary?: Canary;
  /** What decides where neither a rule nor the policy says. */
  readonly failMode: FailMode;
  /**
   * Replacements for those of one text's results that made the deciding rule true: sorted, not overlapping. Without
   * `pseudonyms` the text is one by itself, and nothing restores what it says.
   */
  edits(results: readonly ClassifierResult[], decision: PolicyDecision, segment: Pick<Segment, 'content' | 'json' | 'role'>, pseudonyms?: Pseudonyms): readonly TextEdit[];
  /** Without `late` nothing is put off. */
  forOutput(context: Context, pseudonyms?: Pseudonyms, late?: LateVerdicts): OutputPlan;
  /** The same plan, everything compiled shared, with what is a tenant's own. */
  forTenant(own: TenantOwn): ScreeningPlan;
  /** The same plan for one request, of which its caller claims these context values: they make it stricter or nothing. */
  withClaims(claims: Context): ScreeningPlan;
}

type Purpose = 'decide' | 'let_go' | 'tell';

export interface TenantOwn {
  /** For rules and policies that do not say `on_unknown`. */
  readonly failMode: FailMode;
  /** Keys the `hash` style: a value keeps its hash while the key stays the same. */
  readonly hashKey: Buffer;
  /** The canary of the tenant's policy. */
  readonly canary?: CanaryPlan;
}

export interface PlanOptions extends Partial<TenantOwn> {
  /** The policy's file, for errors. */
  readonly file: string;
  /** Decides on the same scores, and nothing comes of it. */
  readonly shadow?: Policy;
  /** Asks the classifiers, for all plans; by default one of the plan's own. */
  readonly ensemble?: Ensemble;
  /** Of the plan's own ensemble. */
  readonly deadlineMs?: number;
  /** Of the texts of prompts. */
  readonly views?: ViewOptions;
  /** Ids of models that classifiers work with in place of shipped ones. */
  readonly models?: readonly string[];
}

/** Throws ConfigError when a pattern cannot be compiled or an example does not behave as stated. */
export function compilePlan(policy: Policy, classifiers: readonly Classifier[], options: PlanOptions): ScreeningPlan {
  const ensemble = options.ensemble ?? new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), deadlineMs: options.deadlineMs });
  const { shadow, canary } = options;
  const sets = compileSets(policy, shadow, classifiers, options.file);
  const compiled: Compiled = { policy, shadow, patterns: sets.patterns, scan: new TextScan(sets, options.views), patternsId: randomUUID(), classifiers: [...classifiers, ...ensembleOf(ensemble.combinations, classifiers)], ensemble, asked: new Asked(policy, shadow, ensemble), models: options.models ?? [] };
  return new Plan(compiled, { failMode: options.failMode ?? 'closed', hashKey: options.hashKey ?? randomBytes(32), ...(canary === undefined ? {} : { canary }) });
}

/** What the plans of all tenants of a policy share. */
interface Compiled {
  readonly policy: Policy;
  readonly shadow: Policy | undefined;
  readonly patterns: PatternSet;
  readonly scan: TextScan;
  /** Tells what these patterns found from what others would find. */
  readonly patternsId: string;
  /** All that scores may come from, combinations too. */
  readonly classifiers: readonly Classifier[];
  readonly ensemble: Ensemble;
  readonly asked: Asked;
  readonly models: readonly string[];
}

/** Texts of one prompt that are asked about at once, so that a long conversation does not fill the line before everybody else's newest turns. */
const TEXTS_AT_ONCE = 16;

/** On what terms the texts of one prompt are asked about. */
interface ScoreTerms {
  readonly startedMs: number;
  readonly signal: AbortSignal | undefined;
  readonly deferral: Deferral | undefined;
  /** Not asked. */
  readonly unread: ReadonlySet<Classifier>;
  readonly turns: Turns;
}

/** A shorter text is scanned sooner than it is found in memory. */
const REMEMBERED_CHARS_MIN = 64;

class Plan implements ScreeningPlan {
  readonly policy: Policy;
  readonly policyName: string;
  readonly models?: readonly string[];
  readonly patterns: PatternSet;
  readonly #compiled: Compiled;
  readonly #ensemble: Ensemble;
  readonly #classifiers: ReadonlyMap<string, 'ok' | UnknownReason>;
  /** What those say of a content type that do not read it. */
  readonly #unsupported: Readonly<Record<ContentType, readonly ClassifierResult[]>>;
  /** What each of them reads. */
  readonly #reads: ReadonlyMap<string, readonly ContentType[]>;
  readonly #own: TenantOwn;
  /** The caller's own word; nobody but the policy hears of it, since what classifiers are told could lower a score. */
  readonly #claims: Context | undefined;
  readonly canary?: Canary;
  readonly shadowed?: (screened: Screened, direction: Direction, context: Context) => ShadowRecord;
  readonly pseudonymKey: Buffer | undefined;
  readonly barKey: Buffer | undefined;
  readonly #deferral: Deferral | undefined;
  readonly #asked: Asked;

  constructor(compiled: Compiled, own: TenantOwn, claims?: Context) {
    const { policy, shadow, patterns, classifiers, ensemble } = compiled;
    this.policy = policy;
    this.policyName = nameOf(policy);
    if (compiled.models.length > 0) this.models = compiled.models;
    this.patterns = patterns;
    this.#compiled = compiled;
    this.#ensemble = ensemble;
    this.#classifiers = new Map([...classifiers.map((c) => c.id), POLICY_PATTERNS].map((id) => [id, 'ok']));
    const missing = (type: ContentType): readonly ClassifierResult[] => classifiers.filter(({ contentTypes }) => !contentTypes.includes(type)).flatMap((classifier) => unknowns(classifier, 'unsupported', 0, classifier.categories));
    this.#unsupported = { text: missing('text'), image: missing('image'), audio: missing('audio') };
    this.#reads = new Map([...classifiers.map((c) => [c.id, c.contentTypes] as const), [POLICY_PATTERNS, ['text']]]);
    this.#own = own;
    this.#claims = claims;
    if (own.canary !== undefined) this.canary = canaryOf(policy, own.canary, own);
    if (shadow !== undefined) this.shadowed = (screened, direction, context) => this.#shadowed(shadow, screened, direction, context);
    const reversible = policy.rules.some((rule) => rule.enabled && rule.redact?.style === 'pseudonym');
    this.pseudonymKey = reversible ? createHmac('sha256', own.hashKey).update('pseudonyms').digest() : undefined;
    this.barKey = policy.screening?.barSessionMs === undefined ? undefined : createHmac('sha256', own.hashKey).update('barred sessions').digest();
    this.#deferral = deferralOf(policy, ensemble);
    this.#asked = compiled.asked;
  }

  forTenant(own: TenantOwn): ScreeningPlan {
    return new Plan(this.#compiled, own);
  }

  withClaims(claims: Context): ScreeningPlan {
    return new Plan(this.#compiled, this.#own, claims);
  }

  isNamed(classifier: string, category: string): boolean {
    return this.#ensemble.classifiers.some(({ id, categories }) => id === classifier && categories.some((one) => one.id === category && one.named === true));
  }

  reads(contentType: ContentType): boolean {
    return this.#ensemble.classifiers.some((classifier) => classifier.contentTypes.includes(contentType) && classifier.directions.includes('input'));
  }

  get defers(): boolean {
    return this.#deferral !== undefined;
  }

  get needsSources(): boolean {
    return this.#ensemble.classifiers.some(({ needsContext, directions }) => needsContext && directions.includes('output'));
  }

  judges(category: string, contentType: ContentType): readonly string[] {
    const judging = this.#compiled.classifiers.filter(({ categories, contentTypes, directions }) => categories.some(({ id }) => id === category) && contentTypes.includes(contentType) && directions.includes('input'));
    return judging.map(({ id }) => id);
  }

  async screen(segments: readonly Segment[], direction: Direction, context: Context, signal?: AbortSignal, purpose: Purpose = 'decide'): Promise<Screened> {
    const started = performance.now();
    const deferral = purpose === 'let_go' ? this.#deferral : undefined;
    const turns = new Turns();
    const unread = purpose === 'tell' ? NOBODY : this.#asked.unread;
    const scores = this.#scores(segments, direction, context, { startedMs: started, signal, deferral, unread, turns });
    // Patterns are looked for while the classifiers work.
    const found: (readonly ClassifierResult[])[] = [];
    for (const segment of segments) found.push(segment.contentType === 'text' ? await this.#remembered(segment, context, turns) : NO_RESULTS);
    const screened: SegmentResults[] = [];
    for (const [index, segment] of segments.entries()) {
      const { contentType } = segment;
      const all = await (scores.get(segment) ?? NO_RESULTS);
      const scored = deferral === undefined ? all : all.filter((result) => !deferral.isLate(result));
      const judged = contentType === 'text' ? {} : { judged: this.#isJudged(contentType, direction, scored, deferral) };
      const { own, observed } = splitFound(found[index]!);
      screened.push({ segment, results: [...own, ...scored], ...(observed.length === 0 ? {} : { observed }), unsupported: this.#unsupported[contentType], ...judged });
    }
    return { segments: screened, classifiers: this.#classifiers, ...(deferral === undefined ? {} : { deferred: deferral.deferred }), ...(unread.size === 0 ? {} : { unread: this.#asked.unreadScores }), latencyMs: performance.now() - started };
  }

  async complete(screened: Screened, direction: Direction, context: Context, signal?: AbortSignal): Promise<LateVerdict> {
    const { deferred: _, ...whole } = screened;
    const deferral = this.#deferral;
    const inTime = this.decide(screened, direction, context);
    if (deferral === undefined) return verdictOf(inTime, inTime, []);
    const deadlineAtMs = performance.now() + deferral.deadlineMs;
    const asked = inLanes(newestFirst(screened.segments.map(({ segment }) => segment)), ({ content, contentType }) =>
      this.#askLate(this.#ensemble, { ...deferral, deadlineMs: deadlineAtMs - performance.now() }, requestOf(content, contentType, direction, context), signal));
    const late = await Promise.all(screened.segments.map(({ segment }) => asked.get(segment)!));
    const segments = screened.segments.map((entry, i) => ({ ...entry, results: [...entry.results, ...late[i]!] }));
    return verdictOf(this.decide({ ...whole, segments }, direction, context), inTime, late.flat());
  }

  async #askLate(asked: Pick<Ensemble, 'ask'>, { deadlineMs, asksLate, isLate }: Deferral, request: ScreeningRequest, signal: AbortSignal | undefined, isRead: (classifier: Classifier) => boolean = () => true): Promise<readonly ClassifierResult[]> {
    const only = (classifier: Classifier): boolean => asksLate(classifier) && !this.#asked.unread.has(classifier) && classifier.contentTypes.includes(request.content_type) && isRead(classifier);
    return (await asked.ask(request, { only, deadlineMs, signal })).filter(isLate);
  }

  decide(screened: Screened, direction: Direction, context: Context): PolicyDecision {
    return this.#decideAs(this.policy, screened, this.factsOf(screened, direction, context));
  }

  unheld(decision: PolicyDecision, screened: Screened): PolicyDecision {
    return redactable(withoutHold(decision), screened);
  }

  rememberAllowed(rule: string, segment: Segment, context: Context): void {
    const { memory } = this.#compiled.ensemble;
    memory?.remember(tenantOf(context), memory.keyOf(tenantOf(context), this.#allowedParts(rule, segment, context)), []);
  }

  wasAllowed(rule: string, segment: Segment, context: Context): boolean {
    const { memory } = this.#compiled.ensemble;
    return memory?.recall(tenantOf(context), memory.keyOf(tenantOf(context), this.#allowedParts(rule, segment, context))) !== undefined;
  }

  /** A verdict is about this text in this session, under the rule that asked for it. */
  #allowedParts(rule: string, { content }: Segment, { session = '' }: Context): readonly string[] {
    return ['allowed by a person', this.policy.id, rule, String(session), content];
  }

  #decideAs(policy: Policy, screened: Screened, facts: Facts): PolicyDecision {
    return redactable(decideWithClaims(policy, facts, this.#own.failMode, this.#claims), screened);
  }

  #shadowed(shadow: Policy, whole: Screened, direction: Direction, context: Context): ShadowRecord {
    const segments = whole.segments.filter(({ segment }) => shadow.history === 'all' || !segment.history).map((entry) => ({ ...entry, results: shadowSees(entry) }));
    const screened = { ...whole, segments };
    const { action, triggered_rules, degraded } = this.#decideAs(shadow, screened, this.#factsFor(shadow, screened, direction, context));
    return { policy: nameOf(shadow), action, triggered_rules, degraded };
  }

  factsOf(screened: Screened, direction: Direction, context: Context): Facts {
    return this.#factsFor(this.policy, screened, direction, context);
  }

  #factsFor(policy: Policy, { segments, classifiers, deferred }: Screened, direction: Direction, context: Context): Facts {
    const contentTypes = [...new Set(segments.map(({ segment }) => segment.contentType))];
    const results = segments.flatMap((entry) => entry.results);
    return { direction, results, classifiers, deferred, ...spokenBy(policy, segments, direction, withLanguage(policy, segments, direction, context)), contentTypes, reads: this.#reads };
  }

  recordFacts(screened: Screened, direction: Direction, context: Context): RecordedFacts {
    const facts = this.factsOf(screened, direction, context);
    const recorded = recordFacts(this.policy, facts, { unread: screened.unread, claims: this.#claims });
    return facts.roles === undefined ? recorded : { ...recorded, roles: facts.roles.map(recordRole) };
  }

  get failMode(): FailMode {
    return this.#own.failMode;
  }

  edits(results: readonly ClassifierResult[], decision: PolicyDecision, segment: Pick<Segment, 'content' | 'json' | 'role'>, pseudonyms?: Pseudonyms): readonly TextEdit[] {
    const { content } = segment;
    const role = roleName(segment.role);
    const textOf = (start: number, end: number): string => (segment.json === true ? decodedJson(content.slice(start, end)) : content.slice(start, end));
    const edits = redactionsOf(decision).filter(({ roles }) => roles?.includes(role) !== false).map(({ matched, rule }) => {
      const spans = results.filter((result) => isMatched(result, matched)).flatMap((result, rank) => spansOf(result, rank));
      const known = pseudonyms ?? (rule?.redact?.style === 'pseudonym' ? new Pseudonyms(literalTokens([segment])) : undefined);
      return redactionEdits(spans, rule?.redact, this.#own.hashKey, textOf, known);
    }).reduce(joinedEdits, []);
    if (segment.json !== true) return edits;
    const inString = inStringAt(content);
    return edits.map((edit) => writtenInJson(edit, inString(edit.start), content.slice(edit.start, edit.end), (back) => content[edit.start - back] ?? ''));
  }

  forOutput(context: Context, pseudonyms?: Pseudonyms, late?: LateVerdicts): OutputPlan {
    let contentTypes: readonly ContentType[] = ['text'];
    let texts = 0;
    const said: Context = { [ROLE]: ANSWERING, ...context };
    const factsWith = (results: readonly ClassifierResult[], deferred?: ReadonlySet<string>): Facts => ({ direction: 'output', results, classifiers: this.#classifiers, deferred, context: said, contentTypes, reads: this.#reads });
    const decideWith = (results: readonly ClassifierResult[], deferred?: ReadonlySet<string>): PolicyDecision => decideWithClaims(this.policy, factsWith(results, deferred), this.#own.failMode, this.#claims);
    const deferred = late && this.#deferral?.deferred;
    const decideOn: DecideOn = (results) => decideWith(results, deferred);
    const shadow = this.#shadowOfOutput((results) => factsWith(results, deferred));
    return {
      patterns: this.patterns,
      initial: decideOn([]),
      policy: this.policy,
      ...this.#outputScoring(context, late),
      ...(pseudonyms === undefined || pseudonyms.size === 0 ? {} : { restore: (token) => pseudonyms.valueOf(token) }),
      openChannel: () => {
        texts += 1;
        return new OutputChannel(decideOn, (results) => decideWith(results), this.#own.hashKey, shadow?.open());
      },
      meets: (contentType) => {
        if (!contentTypes.includes(contentType)) contentTypes = [...contentTypes, contentType];
        shadow?.meets();
        return withoutHold(decideOn([]));
      },
      recordFacts: () => ({ ...recordFacts(this.policy, factsWith([], deferred), { asked: this.#asked.heardOfOutput(this.#classifiers.keys()), unread: this.#asked.unreadScoresOfOutput, claims: this.#claims }), ...(texts > 1 ? { texts } : {}) }),
      ...(shadow === undefined ? {} : { shadowed: () => shadow.record() }),
    };
  }

  /** The shadow decides when the policy does. What nobody asked for about answers is unknown to it. */
  #shadowOfOutput(factsWith: (results: readonly ClassifierResult[]) => Facts): ShadowAnswer | undefined {
    const { shadow } = this.#compiled;
    if (shadow === undefined) return undefined;
    const asked = this.#asked.heardOfOutput(this.#classifiers.keys());
    const combined = this.#asked.combinedOfOutput();
    const missing = this.#ensemble.combinations.filter((combination) => !combined.includes(combination))
      .map(({ category }): ClassifierResult => ({ classifier_id: ENSEMBLE, category, unknown: true, reason: 'unavailable', latency_ms: 0 }));
    const classifiers = new Map([...this.#classifiers.keys()].map((id) => [id, asked.includes(id) || id === ENSEMBLE ? 'ok' as const : 'unavailable' as const]));
    return new ShadowAnswer(nameOf(shadow), (results) => decideWithClaims(shadow, { ...factsWith([...results, ...missing]), classifiers }, this.#own.failMode, this.#claims));
  }

  /** Scored classifiers are asked about answers when a rule could use it; text waits only where a rule could act on it. */
  #outputScoring(context: Context, late: LateVerdicts | undefined): { readonly scoring?: OutputScoring; readonly late?: LateScoring } {
    const { classifiers, ensemble } = this.#compiled;
    const read = this.#asked.ofOutput;
    const combined = this.#asked.combinedOfOutput();
    const windowRequest = ({ text, before }: TextWindow): ScreeningRequest => requestOf(text, 'text', 'output', { ...context, text_before: before });
    const deferral = late && this.#deferral;
    const only = (classifier: Classifier): boolean => read.has(classifier) && deferral?.asksInTime(classifier) !== false;
    const scored = classifiers.filter((classifier) => only(classifier) || classifier.id === ENSEMBLE);
    const acts = scored.some((classifier) => askedCategories(classifier).some(({ id, named }) => mayAct(this.policy, classifier.id, id, named)));
    const open = (): ((window: TextWindow) => Promise<readonly ClassifierResult[]>) => {
      const feed: EnsembleFeed = ensemble.open();
      return async (window) => {
        const results = await feed.ask(windowRequest(window), { only, combine: (combination) => combined.includes(combination) });
        return deferral === undefined ? results : results.filter((result) => !deferral.isLate(result));
      };
    };
    const { window } = this.policy.stream;
    return {
      ...([...read].some(only) ? { scoring: { window, mode: acts ? this.policy.stream.mode : 'trail', open } } : {}),
      ...(late !== undefined && deferral !== undefined && [...read].some(deferral.asksLate) ? { late: { window, open: (judge) => this.#lateWindows(deferral, late, judge, windowRequest, read) } } : {}),
    };
  }

  #lateWindows(deferral: Deferral, late: LateVerdicts, judge: ChannelJudge, requestOf: (window: TextWindow) => ScreeningRequest, read: ReadonlySet<Classifier>): (window: TextWindow) => void {
    const feed: EnsembleFeed = this.#ensemble.open();
    const hear = async (window: TextWindow): Promise<LateVerdict> => {
      return judge.judgeLate(await this.#askLate(feed, deferral, requestOf(window), late.signal, (classifier) => read.has(classifier)));
    };
    return (window) => late.watch('output', hear(window));
  }

  #scores(segments: readonly Segment[], direction: Direction, context: Context, { startedMs, signal, deferral, unread, turns }: ScoreTerms): ReadonlyMap<Segment, Promise<readonly ClassifierResult[]>> {
    const ensemble = this.#ensemble;
    const onlyOf = ({ contentType }: Segment) => (classifier: Classifier): boolean => classifier.contentTypes.includes(contentType) && !unread.has(classifier) && deferral?.asksInTime(classifier) !== false;
    const ask = function* (segment: Segment): Generator<void, Promise<readonly ClassifierResult[]>> {
      const deadlineMs = ensemble.deadlineMs - (performance.now() - startedMs);
      const answer = ensemble.ask(requestOf(segment.content, segment.contentType, direction, context), { only: onlyOf(segment), signal, deadlineMs });
      yield;
      return answer;
    };
    // A form's file is encoded only where somebody reads it.
    const read = newestFirst(segments).filter((segment) => ensemble.classifiers.some(onlyOf(segment)));
    return inLanes(read, (segment) => turns.run(ask(segment)).then((answer) => answer));
  }

  /** A classifier that reads it has answered for it. */
  #isJudged(contentType: ContentType, direction: Direction, results: readonly ClassifierResult[], deferral: Deferral | undefined): boolean {
    return this.#ensemble.classifiers.some(({ id, contentTypes, directions }) => {
      if (!contentTypes.includes(contentType) || !directions.includes(direction) || deferral?.deferred.has(id)) return false;
      const own = results.filter((result) => result.classifier_id === id);
      return own.length === 0 || own.some(isScored);
    });
  }

  /** What the patterns find in it; of a turn that is sent again, what they found. */
  async #remembered(segment: Segment, context: Context, turns: Turns): Promise<readonly ClassifierResult[]> {
    const { ensemble: { memory }, patternsId } = this.#compiled;
    const { content, json } = segment;
    if (memory?.isOn !== true || content.length < REMEMBERED_CHARS_MIN) return this.#scan(segment, turns);
    const tenant = tenantOf(context);
    const key = memory.keyOf(tenant, [patternsId, json === true ? 'json' : 'text', content]);
    const known = memory.recall(tenant, key);
    if (known !== undefined) return known;
    const found = await this.#scan(segment, turns);
    memory.remember(tenant, key, found);
    return found;
  }

  async #scan(segment: Segment, turns: Turns): Promise<readonly ClassifierResult[]> {
    const started = performance.now();
    const findings = await turns.run(this.#compiled.scan.findings(segment));
    return resultsOf(findings, performance.now() - started);
  }
}

/** What cannot be redacted is blocked: a matched image has no text to replace. */
function redactable(decision: PolicyDecision, { segments }: Screened): PolicyDecision {
  const matched = redactionsOf(decision).flatMap((one) => one.matched);
  const cannot = decision.action !== 'replace' && matched.length > 0 && segments.some(({ segment, results: own }) => segment.contentType !== 'text' && own.some((result) => matched.includes(result)));
  return cannot ? { ...decision, action: 'block' } : decision;
}

function tenantOf({ tenant = '' }: Context): string {
  return String(tenant);
}

function recordRole({ role, results, contentTypes }: RoleFacts): NonNullable<RecordedFacts['roles']>[number] {
  const tally = new ResultTally();
  tally.add(results);
  return { ...(role === undefined ? {} : { role }), content_types: contentTypes, results: tally.summary() };
}

/** A context key that is told from the text. */
const LANGUAGE = 'language';

/** With the language of a prompt, that of its longest text, where a rule asks for it. */
function withLanguage(policy: Policy, segments: readonly SegmentResults[], direction: Direction, context: Context): Context {
  if (direction !== 'input' || Object.hasOwn(context, LANGUAGE) || !readsContext(policy, LANGUAGE)) return context;
  const texts = segments.filter(({ segment }) => segment.contentType === 'text').map(({ segment }) => segment.content);
  const longest = texts.reduce((a, b) => (b.length > a.length ? b : a), '');
  return { ...context, [LANGUAGE]: languageOf(longest).tag };
}

function nameOf({ id, revision }: Policy): string {
  return `${id}@${revision}`;
}

const NOBODY: ReadonlySet<Classifier> = new Set();
const NO_RESULTS: readonly ClassifierResult[] = [];

/** Where there is not time for everything, there is time for what is acted on. */
function newestFirst(segments: readonly Segment[]): readonly Segment[] {
  return [...segments.filter(({ history }) => !history), ...segments.filter(({ history }) => history)];
}

/** Begins in order, with `TEXTS_AT_ONCE` under way. `ask` never rejects. */
function inLanes(segments: readonly Segment[], ask: (segment: Segment) => Promise<readonly ClassifierResult[]>): ReadonlyMap<Segment, Promise<readonly ClassifierResult[]>> {
  const lanes: Promise<unknown>[] = [];
  return new Map(segments.map((segment, index) => {
    const lane = index % TEXTS_AT_ONCE;
    const answer = lanes[lane]?.then(() => ask(segment)) ?? ask(segment);
    lanes[lane] = answer;
    return [segment, answer];
  }));
}

function requestOf(content: string, contentType: ContentType, direction: Direction, context: Context): ScreeningRequest {
  return { request_id: String(context.request_id ?? ''), tenant_id: String(context.tenant ?? ''), direction, content, content_type: contentType, context, created_at: new Date().toISOString() };
}

/** A stretch of JSON text as it reads: a value is the same value however its letters are escaped. */
function decodedJson(raw: string): string {
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch {
    return raw;
  }
}
