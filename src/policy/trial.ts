/**
 * What the API is asked about a policy before it decides anything: to explain a decision, to run cases, to compare it
 * with another over recorded decisions. Reads bodies strictly, each finding with its place, and says in JSON Schema what
 * it reads. Pure.
 *
 * Each names the policy in one of three ways: as it counts, as a stored `revision`, or as a `source` that is not stored.
 */
import { choice, list, mapping, readShape, text, whole, type JsonSchema, type Shape, type TypeOf } from '../config/shape.ts';
import { schemaOf } from '../config/json-schema.ts';
import { readYaml, type YamlDocument } from '../config/yaml.ts';
import type { ConfigIssue } from '../contract/errors.ts';
import { FAIL_MODES } from '../contract/policy.ts';
import { DIRECTIONS } from '../contract/screening.ts';
import { assumedContext, assumedScores, caseShape, POLICY_LIMITS, withCheck } from './parse.ts';

/** Characters of a text that is explained; a prompt is rarely longer, and it is screened beside traffic. */
const TEXT_CHARS_MAX = 1_000_000;
/** Cases of one call: they run beside traffic. A command takes more. */
export const CASES_RUN_MAX = 500;
/** Exchanges of one comparison. */
export const EXCHANGES_MAX = 10_000;
const EXCHANGES_DEFAULT = 1_000;

const revision = whole('Revision of the store in place of the copy that counts.', { min: 1, max: 1_000_000_000 });
const source = text('A policy that is not stored, as YAML or the same as JSON.', { lengthMax: POLICY_LIMITS.bytesMax });
const failMode = choice('For rules and policies that do not say on_unknown.', FAIL_MODES, { default: 'closed' });

const explainShape = withCheck(
  mapping('A decision to explain: on a text, on scores, or on a text with scores in place of their classifiers’.', {
    direction: choice('Which rules are asked.', DIRECTIONS, { default: 'input' }),
    text: text('What is screened.', { lengthMax: TEXT_CHARS_MAX }),
    scores: assumedScores,
    context: assumedContext,
    fail_mode: failMode,
    revision,
    source,
  }),
  (asked, site) => {
    if (asked.text === undefined && asked.scores === undefined) site.refuse('expected text or scores');
    if (asked.revision !== undefined && asked.source !== undefined) site.refuse('expected revision or source, not both');
  },
);

const testShape = withCheck(
  mapping('Cases to run.', {
    filter: text('Only cases whose policy and name hold these words.', { lengthMax: 300 }),
    cases: list('In place of the cases of the policy.', caseShape, { countMax: CASES_RUN_MAX, countMin: 1 }),
    fail_mode: failMode,
    revision,
    source,
  }),
  (asked, site) => {
    if (asked.revision !== undefined && asked.source !== undefined) site.refuse('expected revision or source, not both');
  },
);

const TIME = { lengthMax: 40, pattern: /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/, patternMeaning: 'a day, or a time with its zone such as 2030-01-31T00:00:00Z' } as const;

const compareShape = withCheck(
  mapping('Recorded decisions to decide again, by the policy as it counts and by another text of it.', {
    from: whole('Revision of the store in place of the copy that counts.', { min: 1, max: 1_000_000_000 }),
    to: whole('Revision of the store to compare it with.', { min: 1, max: 1_000_000_000 }),
    source: text('A policy that is not stored, to compare it with.', { lengthMax: POLICY_LIMITS.bytesMax }),
    tenant: text('Only exchanges of this tenant.', { lengthMax: 64 }),
    since: text('Only exchanges from this time on.', TIME),
    until: text('Only exchanges before this time.', TIME),
    limit: whole('At most the newest so many exchanges.', { default: EXCHANGES_DEFAULT, min: 1, max: EXCHANGES_MAX }),
  }),
  (asked, site) => {
    if ((asked.to === undefined) === (asked.source === undefined)) site.refuse('expected to or source, one of them');
    for (const key of ['since', 'until'] as const) if (asked[key] !== undefined && Number.isNaN(Date.parse(asked[key]))) site.child(key).refuse('no such time');
  },
);

/** Characters of a text whose way through both policies is followed. */
export const STREAMED_CHARS_MAX = 4_000;

const side = (what: string) => withCheck(
  mapping(what, { policy: text('Its id.', { required: true, lengthMax: 64, pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, patternMeaning: 'the id of a policy' }), revision, source }),
  (asked, site) => {
    if (asked.revision !== undefined && asked.source !== undefined) site.refuse('expected revision or source, not both');
  },
);

const sidesShape = mapping('One text under two policies, or two texts of one.', {
  text: text('What is screened.', { required: true, lengthMax: TEXT_CHARS_MAX }),
  direction: choice('Which rules are asked.', DIRECTIONS, { default: 'input' }),
  context: assumedContext,
  fail_mode: failMode,
  left: side('The one.'),
  right: side('The other.'),
});

export type SidesTrial = NonNullable<TypeOf<typeof sidesShape>>;

export type ExplainTrial = NonNullable<TypeOf<typeof explainShape>>;
export type TestTrial = NonNullable<TypeOf<typeof testShape>>;
export type CompareTrial = NonNullable<TypeOf<typeof compareShape>>;

export interface ReadTrial<T> {
  /** Undefined when any issue is an error. */
  readonly asked: T | undefined;
  readonly issues: readonly ConfigIssue[];
}

/** JSON as it is: a text that is tried may hold what YAML does not take. Places are told as those of YAML. */
function documentOf(body: string): YamlDocument {
  const asYaml = (): YamlDocument => readYaml(body, '(body)', POLICY_LIMITS);
  try {
    return { file: '(body)', value: JSON.parse(body) as unknown, issues: [], at: (path, part) => asYaml().at(path, part) };
  } catch {
    return asYaml();
  }
}

/** JSON, or the same as YAML. An empty body asks for nothing in particular. */
function readerOf<T>(shape: Shape<T>): (body: string) => ReadTrial<NonNullable<T>> {
  return (body) => {
    const { value, issues } = readShape(shape, documentOf(body.trim() === '' ? '{}' : body));
    return { asked: value as NonNullable<T> | undefined, issues };
  };
}

export const readExplain = readerOf(explainShape);
export const readTest = readerOf(testShape);
export const readCompare = readerOf(compareShape);
export const readSides = readerOf(sidesShape);

/** Each body as JSON Schema. */
export const TRIAL_SCHEMAS: Readonly<Record<'explain' | 'test' | 'compare' | 'sides', JsonSchema>> = {
  explain: schemaOf(explainShape as Shape<unknown>, { title: 'ExplainTrial' }),
  test: schemaOf(testShape as Shape<unknown>, { title: 'TestTrial' }),
  compare: schemaOf(compareShape as Shape<unknown>, { title: 'CompareTrial' }),
  sides: schemaOf(sidesShape as Shape<unknown>, { title: 'SidesTrial' }),
};
