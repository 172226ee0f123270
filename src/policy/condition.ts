/**
 * Reads the `when:` of a rule: all/any/not, `score:`, `context:`, and the flat form of the API. Every finding has its
 * place. Bounded in depth. Which classifiers and patterns exist is checked later, over the references collected here.
 */
import { OPERATORS, type Condition, type Operator, type OperatorValue } from '../contract/policy.ts';
import { CONTENT_TYPES, type ContentType } from '../contract/screening.ts';
import { isMapping, kindOf, meant, type JsonSchema, type Site } from '../config/shape.ts';
import { ROLE, ROLES } from './roles.ts';
import { TIME_WEEKDAY, WEEKDAYS } from './time.ts';
import { CONTENT_TYPE } from './truth.ts';

export const CONDITION_DEPTH_MAX = 32;
const BRANCHES_MAX = 1000;

/** A `score:` as written, to be checked against what exists. */
export interface ScoreReference {
  readonly classifier: string;
  readonly category: string;
  readonly site: Site;
  /** Content types that its rule names. */
  readonly asked?: readonly ContentType[];
}

const KINDS = ['all', 'any', 'not', 'score', 'context', 'classifier'] as const;
const FLAT_KEYS = ['classifier', 'category', 'operator', 'threshold'] as const;
const CONTEXT_KEY = /^[A-Za-z][A-Za-z0-9._-]{0,127}$/;

/** Undefined when an issue was reported. References are added to `references`. */
export function readCondition(value: unknown, site: Site, references: ScoreReference[], depth = 1): Condition | undefined {
  if (!isMapping(value)) return site.refuse(`expected a condition, got ${kindOf(value)}`, 'write { score: classifier.category, gte: 0.5 }');
  if (depth > CONDITION_DEPTH_MAX) return site.refuse(`nested deeper than ${CONDITION_DEPTH_MAX} conditions`);
  const kinds = KINDS.filter((kind) => Object.hasOwn(value, kind));
  if (kinds.length === 0) {
    const [first = ''] = Object.keys(value);
    return site.refuse(`expected a condition with one of ${KINDS.slice(0, 5).join(', ')}`, meant(first, KINDS));
  }
  if (kinds.length > 1) return site.refuse(`expected one of ${kinds.join(', ')} in one condition, not ${kinds.length}`, 'nest them under all or any');
  switch (kinds[0]) {
    case 'all':
    case 'any':
      return readBranches(value, kinds[0], site, references, depth);
    case 'not': {
      refuseOthers(value, ['not'], site);
      const of = readCondition(value.not, site.child('not'), references, depth + 1);
      return of && Object.freeze({ kind: 'not', of });
    }
    case 'score':
      return readScore(value, site, references);
    case 'context':
      return readContext(value, site);
    case 'classifier':
      return readFlat(value, site, references);
  }
}

function readBranches(value: Readonly<Record<string, unknown>>, kind: 'all' | 'any', site: Site, references: ScoreReference[], depth: number): Condition | undefined {
  refuseOthers(value, [kind], site);
  const branches = value[kind];
  const here = site.child(kind);
  if (!Array.isArray(branches)) return here.refuse(`expected a list of conditions, got ${kindOf(branches)}`);
  if (branches.length === 0) return here.refuse(`${kind} of nothing has no sense`, 'name at least one condition');
  if (branches.length > BRANCHES_MAX) return here.refuse(`${branches.length} conditions, the limit is ${BRANCHES_MAX}`);
  const of = branches.map((branch, index) => readCondition(branch, here.child(index), references, depth + 1));
  return of.every((branch) => branch !== undefined) ? Object.freeze({ kind, of: Object.freeze(of) }) : undefined;
}

function readScore(value: Readonly<Record<string, unknown>>, site: Site, references: ScoreReference[]): Condition | undefined {
  refuseOthers(value, ['score', ...OPERATORS], site);
  const here = site.child('score');
  if (typeof value.score !== 'string') return here.refuse(`expected classifier.category, got ${kindOf(value.score)}`);
  const dot = value.score.indexOf('.');
  if (dot < 0) return here.refuse('expected classifier.category', 'write classifier.* for any category');
  const named = readName(value.score.slice(0, dot), value.score.slice(dot + 1), here, references);
  const test = readTest(value, site, readScoreValue);
  return named && test && Object.freeze({ kind: 'score', ...named, ...test });
}

function readFlat(value: Readonly<Record<string, unknown>>, site: Site, references: ScoreReference[]): Condition | undefined {
  refuseOthers(value, FLAT_KEYS, site);
  const { classifier, category, operator, threshold } = value;
  if (typeof classifier !== 'string' || typeof category !== 'string') return site.refuse('classifier and category must both be text');
  const named = readName(classifier, category, site.child('classifier'), references);
  if (!isOperator(operator)) return site.child('operator').refuse(`expected one of ${OPERATORS.join(', ')}`, typeof operator === 'string' ? meant(operator, OPERATORS) : undefined);
  const read = readScoreValue(operator, threshold, site.child('threshold'));
  return named && read !== undefined ? Object.freeze({ kind: 'score', ...named, operator, value: read }) : undefined;
}

function readName(classifier: string, category: string, site: Site, references: ScoreReference[]): { readonly classifier: string; readonly category: string } | undefined {
  if (!/^(?:\*|[A-Za-z0-9][A-Za-z0-9_-]*)$/.test(classifier)) return site.refuse('expected a classifier of letters, digits, `-` and `_`, or * for any');
  if (!/^(?:\*|[^\s*]{1,128})$/.test(category)) return site.refuse('expected a category without spaces, or * for any', category.includes('*') ? '* stands for a whole name, not for a part of one' : undefined);
  references.push({ classifier, category, site });
  return { classifier, category };
}

function readContext(value: Readonly<Record<string, unknown>>, site: Site): Condition | undefined {
  refuseOthers(value, ['context', ...OPERATORS], site);
  const key = value.context;
  const named = typeof key === 'string' && CONTEXT_KEY.test(key);
  if (!named) site.child('context').refuse('expected a context key such as surface or user.trust');
  const test = readTest(value, site, (named ? READ_CONTEXT[key] : undefined) ?? readContextValue);
  return named && test ? Object.freeze({ kind: 'context', key, ...test }) : undefined;
}

type ReadValue = (operator: Operator, value: unknown, site: Site) => OperatorValue | undefined;

/** The one operator of a leaf, and its value. */
function readTest(value: Readonly<Record<string, unknown>>, site: Site, readValue: ReadValue): { readonly operator: Operator; readonly value: OperatorValue } | undefined {
  const operators = OPERATORS.filter((operator) => Object.hasOwn(value, operator));
  if (operators.length === 0) return site.refuse(`expected an operator, one of ${OPERATORS.join(', ')}`);
  if (operators.length > 1) return site.refuse(`expected one operator, got ${operators.join(' and ')}`, 'use between, or two conditions under all');
  const [operator] = operators;
  const read = readValue(operator, value[operator], site.child(operator));
  return read === undefined ? undefined : { operator, value: read };
}

function readScoreValue(operator: Operator, value: unknown, site: Site): OperatorValue | undefined {
  if (operator === 'exists') return readFlag(value, site);
  if (operator === 'between') return readRange(value, site, 0, 1);
  if (typeof value !== 'number') return site.refuse(`expected a score from 0 to 1, got ${kindOf(value)}`);
  return value >= 0 && value <= 1 ? value : site.refuse(`a score is from 0 to 1, got ${value}`);
}

function readContextValue(operator: Operator, value: unknown, site: Site): OperatorValue | undefined {
  if (operator === 'exists') return readFlag(value, site);
  if (operator === 'between') return readRange(value, site, -Number.MAX_VALUE, Number.MAX_VALUE);
  if (typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))) return value;
  if (operator === 'eq' && typeof value === 'boolean') return value;
  return site.refuse(`expected text${operator === 'eq' ? ', a number, true or false' : ' or a number'}, got ${kindOf(value)}`);
}

function readContentType(operator: Operator, value: unknown, site: Site): OperatorValue | undefined {
  if (operator === 'exists') return readFlag(value, site);
  if (operator !== 'eq') return site.refuse(`${CONTENT_TYPE} is compared by eq, or by exists`, undefined, 'key');
  const type = CONTENT_TYPES.find((one) => one === value);
  return type ?? site.refuse(`expected one of ${CONTENT_TYPES.join(', ')}`, typeof value === 'string' ? meant(value, CONTENT_TYPES) : undefined);
}

/** A dialect may have other roles, so one that is not known is only warned of. */
function readRole(operator: Operator, value: unknown, site: Site): OperatorValue | undefined {
  if (operator === 'exists') return readFlag(value, site);
  if (operator !== 'eq') return site.refuse(`${ROLE} is compared by eq, or by exists`, undefined, 'key');
  if (typeof value !== 'string') return site.refuse(`expected a role such as ${ROLES.join(', ')}, got ${kindOf(value)}`);
  if (!ROLES.some((role) => role === value)) site.warn('a role that no wire format here has', meant(value, ROLES));
  return value;
}

/** Days by name or by number. */
function readWeekday(operator: Operator, value: unknown, site: Site): OperatorValue | undefined {
  const numbered = (day: unknown): unknown => (typeof day === 'string' ? WEEKDAYS.findIndex((name) => name === day) + 1 || day : day);
  const days = Array.isArray(value) ? value.map(numbered) : numbered(value);
  const unknown = operator === 'exists' ? undefined : [days].flat().find((day) => typeof day !== 'number' || !Number.isInteger(day) || day < 1 || day > 7);
  if (unknown !== undefined) return site.refuse('expected a day, monday to sunday or 1 to 7', typeof unknown === 'string' ? meant(unknown, WEEKDAYS) : undefined);
  return readContextValue(operator, days, site);
}

/** Context keys whose values are not any text or number. */
const READ_CONTEXT: Readonly<Record<string, ReadValue>> = Object.assign(Object.create(null), { [CONTENT_TYPE]: readContentType, [ROLE]: readRole, [TIME_WEEKDAY]: readWeekday });

function readFlag(value: unknown, site: Site): boolean | undefined {
  return typeof value === 'boolean' ? value : site.refuse(`expected true or false, got ${kindOf(value)}`);
}

function readRange(value: unknown, site: Site, min: number, max: number): readonly [number, number] | undefined {
  if (!Array.isArray(value) || value.length !== 2 || !value.every((end) => typeof end === 'number' && !Number.isNaN(end))) return site.refuse('expected [low, high]');
  const [low, high] = value as [number, number];
  if (low < min || high > max) return site.refuse(`expected numbers from ${min} to ${max}, got ${low} and ${high}`);
  return low <= high ? Object.freeze([low, high] as const) : site.refuse(`low is above high: ${low} and ${high}`, `write [${high}, ${low}]`);
}

function isOperator(value: unknown): value is Operator {
  return OPERATORS.some((operator) => operator === value);
}

function refuseOthers(value: Readonly<Record<string, unknown>>, allowed: readonly string[], site: Site): void {
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) site.child(key).refuse(`unknown key ${key.slice(0, 80)}`, meant(key, allowed), 'key');
  }
}

// For editors.

const score = { type: 'number', minimum: 0, maximum: 1 };
const value = { type: ['string', 'number', 'boolean'] };
const pair = (items: JsonSchema): JsonSchema => ({ type: 'array', items, minItems: 2, maxItems: 2 });
/** A leaf has one operator: its own key and one more. */
const leaf = (own: Readonly<Record<string, JsonSchema>>, operand: JsonSchema): JsonSchema => ({
  type: 'object',
  properties: { ...own, ...Object.fromEntries(OPERATORS.map((operator) => [operator, operator === 'exists' ? { type: 'boolean' } : operator === 'between' ? pair(operand) : operand])) },
  required: Object.keys(own),
  minProperties: 2,
  maxProperties: 2,
  additionalProperties: false,
});
const branches: JsonSchema = { type: 'array', minItems: 1, maxItems: BRANCHES_MAX, items: { $ref: '#/definitions/condition' } };
const alone = (properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false });

/** `definitions/condition` of the policy's JSON Schema. */
export const CONDITION_SCHEMA: JsonSchema = {
  description: 'all, any, not, a score or a context value.',
  anyOf: [
    alone({ all: branches }),
    alone({ any: branches }),
    alone({ not: { $ref: '#/definitions/condition' } }),
    leaf({ score: { type: 'string', pattern: '^(\\*|[A-Za-z0-9][A-Za-z0-9_-]*)\\.(\\*|[^\\s*]{1,128})$', description: 'classifier.category; either part may be *.' } }, score),
    leaf({ context: { type: 'string', pattern: CONTEXT_KEY.source, description: 'What is known about the exchange.' } }, value),
    alone({ classifier: { type: 'string' }, category: { type: 'string' }, operator: { enum: OPERATORS }, threshold: {} }),
  ],
};
