/**
 * YAML text to a frozen `Policy`, or to every reason why not, each with its place. Pure. The grammar is in
 * config/policies/README.md.
 *
 * Guarantees: a policy that is returned can be decided: ids are unique, thresholds are in range, every rule has what its
 * action needs, and (when the classifiers are given) every score it names can exist. It does not compile patterns: the
 * matching engine does that when the screening plan is made, and refuses there what it cannot do.
 */
import { createHash } from 'node:crypto';
import { isShippedSet, SHIPPED_SETS, shippedSet } from '../config/patterns.ts';
import { choice, custom, duration, flag, isMapping, kindOf, list, mapping, meant, name, readShape, text, whole, type JsonSchema, type Shape, type Site } from '../config/shape.ts';
import { schemaOf } from '../config/json-schema.ts';
import { YAML_LIMITS, readYaml, type YamlLimits } from '../config/yaml.ts';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import { FAIL_MODES, REDACTION_STYLES, SCREENING_MODES, STREAM_MODES, type Condition, type Policy, type PolicyCase, type PolicyPattern, type PolicyScreening, type Rule } from '../contract/policy.ts';
import { ACTIONS, DIRECTIONS, SEVERITIES, type ContentType, type Context, type ContextValue } from '../contract/screening.ts';
import { CONDITION_SCHEMA, readCondition, type ScoreReference } from './condition.ts';
import { isTimezone } from './time.ts';
import { askedTypes } from './truth.ts';

export const RULES_MAX = 10_000;
export const PATTERNS_MAX = 20_000;
export const CASES_MAX = 10_000;
const HOLD_MAX_MS = 24 * 3_600_000;
const WINDOW_CHARS_MAX = 100_000;

/** Ten thousand rules written out are larger than a configuration may be. */
export const POLICY_LIMITS: YamlLimits = { ...YAML_LIMITS, bytesMax: 8 * 1024 * 1024, nodesMax: 1_000_000 };

/** What a `score:` may name. A `Classifier` is one. */
export interface KnownClassifier {
  readonly id: string;
  readonly categories: readonly { readonly id: string }[];
  /** Absent: not known, and not checked. */
  readonly contentTypes?: readonly ContentType[];
}

export interface ParsedPolicy {
  /** Undefined when any issue is an error. */
  readonly policy: Policy | undefined;
  readonly issues: readonly ConfigIssue[];
}

/** A file that `literal_file:` names, as it was read. */
export interface LiteralFile {
  readonly text: string | undefined;
  readonly problem?: string;
}

/** A policy as JSON Schema, for editors. */
export function policySchema(): JsonSchema {
  return schemaOf(policyShape([], undefined, new Map()) as Shape<unknown>, { title: 'A policy of Weir', definitions: { condition: CONDITION_SCHEMA } });
}

/** Without `classifiers`, the names in `score:` are not checked against what runs. `literalFiles`: by what `literal_file:` says. */
export function parsePolicy(source: string, file: string, classifiers?: readonly KnownClassifier[], literalFiles: ReadonlyMap<string, LiteralFile> = new Map()): ParsedPolicy {
  const references: ScoreReference[] = [];
  const shape = policyShape(references, classifiers, literalFiles);
  const { value, issues } = readShape(shape, readYaml(source, file, POLICY_LIMITS));
  const content = [source, ...[...literalFiles.values()].map(({ text: literal }) => literal ?? '')].join('\0');
  return { policy: value && freezePolicy(value, content), issues };
}

/** As `parsePolicy`, for one who has no use for the issues of a refused policy. Throws ConfigError. */
export function requirePolicy(source: string, file: string, classifiers?: readonly KnownClassifier[]): Policy {
  const { policy, issues } = parsePolicy(source, file, classifiers);
  if (!policy) throw new ConfigError(issues);
  return policy;
}

const DEFAULT_ACTIONS = ['allow', 'warn', 'block', 'escalate'] as const;
const HOLD_ACTIONS = ['allow', 'warn', 'redact', 'block'] as const;

type ReadPolicy = NonNullable<ReturnType<ReturnType<typeof policyShape>['read']>>;

function policyShape(references: ScoreReference[], classifiers: readonly KnownClassifier[] | undefined, literalFiles: ReadonlyMap<string, LiteralFile>) {
  const fields = mapping('A policy.', {
    policy: name('Name that tenants refer to.', { required: true }),
    description: text('For people.', { lengthMax: 2000 }),
    default_action: choice('When no rule decides.', DEFAULT_ACTIONS, { default: 'allow' }),
    on_unknown: choice('When a rule cannot be evaluated.', FAIL_MODES),
    on_block: choice('What the client of a blocked exchange gets.', ['error', 'fallback'] as const, { default: 'error' }),
    message: text('What is said in place of a blocked or replaced text.', { lengthMax: 4000 }),
    stream: mapping('How text that waits for scores is held.', {
      mode: choice('hold: text waits for the scores of its window; trail: it leaves, and a violation cuts the stream.', STREAM_MODES, { default: 'hold' }),
      window: custom('sentence, whole, or a number of characters', 'How much is scored at once.', readWindow, { default: 'sentence', schema: { anyOf: [{ enum: ['sentence', 'whole'] }, { type: 'integer', minimum: 1, maximum: WINDOW_CHARS_MAX }] } }),
    }, { default: {} }),
    timezone: text('Where time.hour and time.weekday are told.', { default: 'UTC', lengthMax: 64, pattern: TIMEZONE, patternMeaning: 'a time zone such as Europe/Berlin' }),
    history: choice('Whether earlier turns are acted on.', ['latest', 'all'] as const, { default: 'latest' }),
    screening: screeningShape,
    shadow: name('A policy that decides on the same scores and enforces nothing.'),
    canary: mapping('A policy that is enforced on a share of sessions.', {
      policy: name('Its name.', { required: true }),
      share: custom('share', 'Of sessions.', readShare, { required: true, schema: { anyOf: [{ type: 'string', pattern: '^\\d{1,3}(\\.\\d{1,6})?%$' }, { type: 'number', minimum: 0, maximum: 1 }] } }),
    }),
    pattern_sets: list('Sets of patterns that come with Weir.', custom('set', 'A set.', readPatternSet, { schema: { enum: SHIPPED_SETS } }), { default: [], countMax: SHIPPED_SETS.length }),
    allow_hosts: list('Hosts that links may lead to, with what is below them; for the set exfiltration.', text('A host.', { lengthMax: 253, pattern: /^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, patternMeaning: 'a host name without scheme, port and path' }), { countMax: 10_000 }),
    patterns: list('The tenant’s own patterns.', patternShape(literalFiles), { default: [], countMax: PATTERNS_MAX }),
    rules: list('What decides, in the order of priority.', ruleShape(references), { default: [], countMax: RULES_MAX }),
    cases: list('Tests of this policy.', caseShape, { default: [], countMax: CASES_MAX }),
  });
  return withCheck(fields, (policy, site) => {
    refuseTwice(policy.patterns, 'pattern', site.child('patterns'), (pattern) => pattern.id);
    refuseSetIds(policy, site);
    if (policy.allow_hosts?.length && policy.pattern_sets?.every((set) => set !== undefined && set !== 'exfiltration')) site.child('allow_hosts').refuse('allow_hosts belongs to the set exfiltration', 'add pattern_sets: [exfiltration]', 'key');
    refuseTwice(policy.rules, 'rule', site.child('rules'), (rule) => rule.id);
    refuseTwice(policy.cases, 'case', site.child('cases'), (entry) => entry.name, 'name');
    if (policy.on_block === 'fallback' && policy.message === undefined) site.child('on_block').refuse('on_block: fallback needs a message', 'add message: with what to say');
    policy.rules?.forEach((rule, index) => {
      if (rule?.action === 'replace' && rule.message === undefined && policy.message === undefined) site.child('rules').child(index).refuse('action replace needs a message', 'add message: to the rule or the policy');
    });
    if (policy.timezone !== undefined && !isTimezone(policy.timezone)) site.child('timezone').refuse('no such time zone', 'write a name of the time zone database, such as Europe/Berlin');
    if (policy.rules) refuseUnknownRules(policy.cases ?? [], policy.rules, site.child('cases'));
    checkReferences(references, [...(policy.patterns ?? []), ...setPatterns(policy.pattern_sets ?? []).map(({ category }) => ({ id: category }))], classifiers);
  });
}

// Screening.

const LATE_DEADLINE_MS = { default: 5_000, min: 1, max: 60_000 } as const;
const BAR_MAX_MS = 30 * 24 * 3_600_000;

const screeningShape = withCheck(
  mapping('When classifiers are heard.', {
    mode: choice('sync: all in time; hybrid: slow ones after the fact; async: all after the fact.', SCREENING_MODES, { default: 'sync' }),
    late_deadline_ms: whole('Time for scores after the fact.', LATE_DEADLINE_MS),
    bar_session: duration('For how long a session is refused after a late violation.', { maxMs: BAR_MAX_MS }),
  }),
  (screening, site) => {
    if (screening.bar_session !== undefined && screening.mode === 'sync') site.child('bar_session').refuse('bar_session belongs to mode hybrid or async', 'add mode: hybrid', 'key');
  },
);

// Rules.

export function ruleShape(references: ScoreReference[]) {
  const fields = mapping('A rule.', {
    id: name('Name in decisions.', { required: true }),
    name: text('For people.', { lengthMax: 200 }),
    description: text('For people.', { lengthMax: 2000 }),
    priority: whole('Lower first.', { default: 100, min: -1_000_000, max: 1_000_000 }),
    enabled: flag('Whether it is evaluated.', { default: true }),
    direction: choice('What it looks at.', [...DIRECTIONS, 'both'] as const, { default: 'both' }),
    when: custom<Condition, { readonly required: true; readonly schema: JsonSchema }>('condition', 'When it decides.', (value, site) => readWhen(value, site, references), { required: true, schema: { $ref: '#/definitions/condition' } }),
    action: choice('What it decides.', ACTIONS, { required: true }),
    on_unknown: choice('When it cannot be evaluated.', FAIL_MODES),
    redact: mapping('How it redacts.', {
      style: choice('What stands in place of a match.', REDACTION_STYLES, { default: 'label' }),
      keep_last: whole('How many trailing characters a mask leaves.', { min: 0, max: 64 }),
    }),
    message: text('What is said instead.', { lengthMax: 4000 }),
    severity: choice('How urgent a review is.', SEVERITIES),
    hold: mapping('Waiting for a person.', {
      for: duration('How long.', { required: true, maxMs: HOLD_MAX_MS }),
      then: choice('What happens when nobody came.', HOLD_ACTIONS, { required: true }),
    }),
  });
  return withCheck(fields, (rule, site) => {
    const redacts = rule.action === 'redact' || rule.hold?.then === 'redact';
    if (redacts && rule.when && !readsScore(rule.when)) site.child('when').warn('the rule reads no score, so there is nothing that it redacts', 'name a score, or use block or replace');
    if (rule.redact && !redacts) site.child('redact').refuse('redact: stands without action redact', undefined, 'key');
    if (rule.redact?.style === 'pseudonym' && rule.direction !== 'input') site.child('redact').child('style').refuse('style pseudonym belongs to rules on input, whose values answers are to have again', 'write direction: input');
    if (rule.redact?.keep_last !== undefined && rule.redact.style !== 'mask') site.child('redact').child('keep_last').refuse('keep_last belongs to style mask', undefined, 'key');
    if (rule.severity && rule.action !== 'escalate') site.child('severity').refuse('severity belongs to action escalate', undefined, 'key');
    if (rule.hold && rule.action !== 'escalate') site.child('hold').refuse('hold belongs to action escalate', undefined, 'key');
  });
}

function readWhen(value: unknown, site: Site, references: ScoreReference[]): Condition | undefined {
  const own: ScoreReference[] = [];
  const condition = readCondition(value, site, own);
  const asked = condition === undefined ? [] : askedTypes(condition);
  references.push(...own.map((reference) => ({ ...reference, asked })));
  return condition;
}

function readsScore(condition: Condition): boolean {
  if (condition.kind === 'not') return readsScore(condition.of);
  return condition.kind === 'score' || (condition.kind !== 'context' && condition.of.some(readsScore));
}

// Patterns.

const literals = custom<readonly string[], {}>('text or list of texts', 'Texts to match.', (value, site) => (typeof value === 'string' ? readTexts([value], site) : readTexts(value, site)), { schema: { type: ['string', 'array'], items: { type: 'string', minLength: 1, maxLength: 1000 } } });

function readTexts(value: unknown, site: Site): readonly string[] | undefined {
  return list('', text('', { lengthMax: 1000 }), { countMax: PATTERNS_MAX, countMin: 1, required: true }).read(value, site);
}

const examples = list('Texts for the check when the policy is loaded.', text('', { lengthMax: 10_000 }), { default: [], countMax: 1000 });

export const LITERAL_FILE_BYTES_MAX = 16 * 1024 * 1024;
const LITERAL_CHARS_MAX = 1000;

/** Below the policy's folder, so that a policy can name no other file of the machine. */
export function isLiteralFile(named: unknown): named is string {
  return typeof named === 'string' && named.length <= 1000 && /^(?![/\\])[^\0:]+$/.test(named) && !named.split(/[/\\]/).includes('..');
}

/** One literal per line; empty lines and those that begin with `#` are left out. */
function literalLines(source: string): readonly string[] {
  return source.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/).map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

/** The lines of the file, none where it is refused: that the key stands there counts against the pattern's other keys. */
function readLiteralFile(value: unknown, site: Site, files: ReadonlyMap<string, LiteralFile>): readonly string[] {
  if (!isLiteralFile(value)) {
    site.refuse('expected the path of a file in the folder of the policy or below it');
    return [];
  }
  const file = files.get(value);
  const lines = literalLines(file?.text ?? '');
  if (file?.text === undefined) site.refuse(file?.problem ?? 'a literal_file can be read for policies in files only');
  else if (lines.length === 0) site.refuse('the file holds no literals');
  else if (lines.some((line) => line.length > LITERAL_CHARS_MAX)) site.refuse(`a line of the file is longer than ${LITERAL_CHARS_MAX} characters`);
  return Object.freeze(lines);
}

const patternShape = (literalFiles: ReadonlyMap<string, LiteralFile>) => withCheck(
  mapping('A pattern.', {
    id: name('Its score is patterns.<id>.', { required: true }),
    label: text('What a redaction writes in brackets.', { lengthMax: 64, pattern: /^[^\s[\]]+$/, patternMeaning: 'a label without spaces and brackets' }),
    regex: text('In the language of src/match/README.md.', { lengthMax: 4000 }),
    literal: literals,
    literal_file: custom('path', 'A file with one literal per line.', (value, site) => readLiteralFile(value, site, literalFiles), { schema: { type: 'string' } }),
    ignore_case: flag('Whether case matters not.', { default: false }),
    views: flag('Whether it is looked for in disguises, too: in the views of a text.', { default: true }),
    matches: examples,
    ignores: examples,
  }),
  (pattern, site) => {
    if (pattern.regex !== undefined && pattern.literal !== undefined) site.refuse('regex and literal in one pattern', 'make two patterns of it');
    else if (pattern.literal_file !== undefined && (pattern.regex ?? pattern.literal) !== undefined) site.refuse('literal_file stands alone in its pattern', 'make two patterns of it');
    if (pattern.regex === undefined && pattern.literal === undefined && pattern.literal_file === undefined) site.refuse('expected regex: or literal:');
  },
);

// Sets.

function readPatternSet(value: unknown, site: Site): (typeof SHIPPED_SETS)[number] | undefined {
  if (typeof value === 'string' && isShippedSet(value)) {
    try {
      shippedSet(value);
      return value;
    } catch {
      return site.refuse(`the set ${value} needs validators of the plugin pii`, 'let rules read score: pii.* instead');
    }
  }
  return site.refuse(`expected one of ${SHIPPED_SETS.join(', ')}`, typeof value === 'string' ? meant(value, SHIPPED_SETS) : undefined);
}

type SetPattern = PolicyPattern & { readonly category: string };

/** Their examples are tests of Weir, not of every policy. */
function setPatterns(sets: readonly (typeof SHIPPED_SETS)[number][]): readonly SetPattern[] {
  return sets.filter((set) => set !== undefined).flatMap((set) => shippedSet(set).patterns.map(({ ignoreCase, ...pattern }) => Object.freeze<SetPattern>({ ...pattern, ignoreCase: ignoreCase === true, matches: [], ignores: [] })));
}

function refuseSetIds({ patterns, pattern_sets: sets }: { readonly patterns?: readonly { readonly id?: string }[]; readonly pattern_sets?: readonly (typeof SHIPPED_SETS)[number][] }, site: Site): void {
  const taken = new Set(setPatterns(sets ?? []).flatMap(({ id, category }) => [id, category]));
  patterns?.forEach((pattern, index) => {
    if (pattern?.id !== undefined && taken.has(pattern.id)) site.child('patterns').child(index).child('id').refuse(`a pattern ${pattern.id} is in one of the pattern_sets`, 'give it another name');
  });
}

// Cases.

export const assumedScores = custom('mapping', 'Scores in place of the classifiers’.', readScores, { schema: { type: 'object', additionalProperties: { anyOf: [{ type: 'number', minimum: 0, maximum: 1 }, { const: 'unknown' }] } } });
export const assumedContext = custom('mapping', 'What context: reads.', readContextValues, { default: {} as Context, schema: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } } });

export const caseShape = withCheck(
  mapping('A case.', {
    name: text('For people.', { required: true, lengthMax: 300 }),
    direction: choice('What is screened.', DIRECTIONS, { required: true }),
    text: text('The text.', { lengthMax: 100_000 }),
    scores: assumedScores,
    context: assumedContext,
    expect: mapping('What must come out.', {
      action: choice('The action.', ACTIONS, { required: true }),
      rules: list('The rules that decided.', name(''), { countMax: RULES_MAX }),
      text: text('The text after redaction.', { lengthMax: 100_000 }),
    }, { required: true }),
  }),
  (entry, site) => {
    if (entry.text === undefined && entry.scores === undefined) site.refuse('expected text: or scores:');
  },
);

function readScores(value: unknown, site: Site): PolicyCase['scores'] {
  if (!isMapping(value)) return site.refuse(`expected classifier.category: score, got ${kindOf(value)}`);
  const scores: Record<string, number | 'unknown'> = Object.create(null);
  for (const [key, score] of Object.entries(value)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]*\.[^\s*]{1,128}$/.test(key)) site.child(key).refuse('expected classifier.category', undefined, 'key');
    if (score === 'unknown' || (typeof score === 'number' && score >= 0 && score <= 1)) scores[key] = score;
    else site.child(key).refuse('a score is a number from 0 to 1, or unknown');
  }
  return Object.freeze(scores);
}

function readContextValues(value: unknown, site: Site): Context | undefined {
  if (!isMapping(value)) return site.refuse(`expected key: value, got ${kindOf(value)}`);
  const context: Record<string, ContextValue> = Object.create(null);
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry === 'string' || typeof entry === 'number' || typeof entry === 'boolean') context[key] = entry;
    else site.child(key).refuse(`expected text, a number, true or false; got ${kindOf(entry)}`);
  }
  return Object.freeze(context);
}

// Single values.

const TIMEZONE = /^[A-Za-z][A-Za-z0-9_+/-]*$/;


function readWindow(value: unknown, site: Site): 'sentence' | 'whole' | number | undefined {
  if (value === 'sentence' || value === 'whole') return value;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= WINDOW_CHARS_MAX) return value;
  return site.refuse(`expected sentence, whole, or a number of characters up to ${WINDOW_CHARS_MAX}`, typeof value === 'string' ? meant(value, ['sentence', 'whole']) : undefined);
}

/** `5%` or 0.05. */
function readShare(value: unknown, site: Site): number | undefined {
  const percent = typeof value === 'string' ? /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(value) : null;
  const share = percent ? Number(percent[1]) / 100 : value;
  return typeof share === 'number' && share >= 0 && share <= 1 ? share : site.refuse('expected a share such as 5% or 0.05');
}

// Checks across keys.

/** A shape with one more check, run on what could be read even when parts were refused. */
export function withCheck<T extends object | undefined>(shape: Shape<T>, check: (value: Partial<NonNullable<T>>, site: Site) => void): Shape<T> {
  return {
    ...shape,
    read(value, site) {
      const read = shape.read(value, site);
      if (read) check(read, site);
      return read;
    },
  };
}

function refuseTwice<T>(entries: readonly T[] | undefined, noun: string, site: Site, keyOf: (entry: T) => string | undefined, field = 'id'): void {
  const seen = new Map<string, number>();
  entries?.forEach((entry, index) => {
    const key = entry && keyOf(entry);
    if (key === undefined) return;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else site.child(index).child(field).refuse(`a second ${noun} ${key}`, `the first is ${noun} number ${first + 1}`);
  });
}

function refuseUnknownRules(cases: readonly { readonly expect?: { readonly rules?: readonly string[] } }[], rules: readonly { readonly id?: string }[], site: Site): void {
  const ids = new Set(rules.flatMap((rule) => rule?.id ?? []));
  cases.forEach((entry, index) => {
    entry?.expect?.rules?.forEach((id, position) => {
      if (id !== undefined && !ids.has(id)) site.child(index).child('expect').child('rules').child(position).refuse(`no rule ${id}`, meant(id, ids));
    });
  });
}

/** The classifier under which a policy's own patterns score. */
export const PATTERNS_CLASSIFIER = 'patterns';

/** Reports what `score:` names and nothing gives. */
export function checkReferences(references: readonly ScoreReference[], patterns: readonly { readonly id?: string }[], classifiers: readonly KnownClassifier[] | undefined): void {
  const patternIds = new Set(patterns.flatMap((pattern) => pattern?.id ?? []));
  const known = new Map<string, ReadonlySet<string>>([[PATTERNS_CLASSIFIER, patternIds]]);
  for (const { id, categories } of classifiers ?? []) known.set(id, new Set(categories.map((category) => category.id)));
  const everywhere = new Set([...known.values()].flatMap((categories) => [...categories]));
  const warned = new Set<string>();
  for (const reference of references) {
    const { classifier, category, site } = reference;
    warnUnread(reference, classifiers ?? []);
    const categories = classifier === '*' ? everywhere : known.get(classifier);
    if (classifiers === undefined && classifier !== PATTERNS_CLASSIFIER) continue;
    if (!categories) reportMissing(site, `no classifier ${classifier} is configured`, meant(classifier, known.keys()), warned);
    else if (category === '*' || categories.has(category)) continue;
    else if (classifier === '*') reportMissing(site, `no classifier has a category ${category}`, meant(category, categories), warned);
    else site.refuse(`${classifier} has no category ${category}`, meant(category, categories));
  }
}

/** What is not configured may come to be, and a policy says what happens until then; what looks misspelt is refused. Each is said once. */
function reportMissing(site: Site, message: string, meaning: string | undefined, warned: Set<string>): void {
  if (meaning !== undefined) site.refuse(message, meaning);
  else if (!warned.has(message)) site.warn(`${message}`, 'its scores are unknown until then, and on_unknown decides');
  warned.add(message);
}

/** A rule that names a content type wants it judged; where nobody can, it is decided by on_unknown. */
function warnUnread({ classifier, site, asked = [] }: ScoreReference, classifiers: readonly KnownClassifier[]): void {
  const types = classifier === PATTERNS_CLASSIFIER || classifier === '*' ? TEXT_ONLY : classifiers.find(({ id }) => id === classifier)?.contentTypes;
  const unread = asked.filter((type) => types?.includes(type) === false);
  const who = classifier === '*' ? 'not every classifier reads' : `${classifier} does not read`;
  if (unread.length > 0) site.warn(`${who} ${unread.join(' and ')}, which this rule asks for`, 'where there is one, the score is unknown, and on_unknown decides');
}

/** What patterns read; `*` names them too. */
const TEXT_ONLY: readonly ContentType[] = ['text'];

// From what was read to what the program holds.

function freezePolicy(read: ReadPolicy, content: string): Policy {
  return Object.freeze<Policy>({
    id: read.policy,
    revision: createHash('sha256').update(content).digest('hex').slice(0, 12),
    description: read.description ?? '',
    defaultAction: read.default_action,
    ...(read.on_unknown === undefined ? {} : { onUnknown: read.on_unknown }),
    onBlock: read.on_block,
    ...(read.message === undefined ? {} : { message: read.message }),
    stream: read.stream,
    ...(read.timezone === 'UTC' ? {} : { timezone: read.timezone }),
    history: read.history,
    ...(read.screening === undefined ? {} : { screening: freezeScreening(read.screening) }),
    patterns: Object.freeze([...read.patterns.map(freezePattern), ...setPatterns(read.pattern_sets)]),
    ...(read.allow_hosts === undefined ? {} : { allowHosts: Object.freeze(read.allow_hosts.map((host) => host.toLowerCase())) }),
    // The sort is stable: rules of one priority keep the order of the file.
    rules: Object.freeze(read.rules.map(freezeRule).sort((a, b) => a.priority - b.priority)),
    ...(read.shadow === undefined ? {} : { shadow: read.shadow }),
    ...(read.canary === undefined ? {} : { canary: read.canary }),
    cases: read.cases as readonly PolicyCase[],
  });
}

function freezeScreening({ mode, late_deadline_ms: lateDeadlineMs, bar_session: barSessionMs }: NonNullable<ReadPolicy['screening']>): PolicyScreening {
  return Object.freeze<PolicyScreening>({ mode, lateDeadlineMs, ...(barSessionMs === undefined ? {} : { barSessionMs }) });
}

function freezePattern(read: ReadPolicy['patterns'][number]): PolicyPattern {
  const literal = read.literal_file ?? read.literal;
  return Object.freeze<PolicyPattern>({
    id: read.id,
    label: read.label ?? read.id.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_'),
    ...(read.regex === undefined ? {} : { regex: read.regex }),
    ...(literal === undefined ? {} : { literal }),
    ignoreCase: read.ignore_case,
    ...(read.views ? {} : { views: false }),
    matches: read.matches,
    ignores: read.ignores,
  });
}

export function freezeRule(read: ReadPolicy['rules'][number]): Rule {
  const redacts = read.action === 'redact' || read.hold?.then === 'redact';
  return Object.freeze<Rule>({
    id: read.id,
    name: read.name ?? read.id,
    priority: read.priority,
    enabled: read.enabled,
    direction: read.direction,
    when: read.when,
    action: read.action,
    ...(read.on_unknown === undefined ? {} : { onUnknown: read.on_unknown }),
    ...(redacts ? { redact: Object.freeze({ style: read.redact?.style ?? 'label', ...(read.redact?.keep_last === undefined ? {} : { keepLast: read.redact.keep_last }) }) } : {}),
    ...(read.message === undefined ? {} : { message: read.message }),
    ...(read.severity === undefined ? {} : { severity: read.severity }),
    ...(read.hold === undefined ? {} : { hold: Object.freeze({ forMs: read.hold.for, then: read.hold.then }) }),
  });
}
