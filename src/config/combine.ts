/**
 * `screening.combine`: how its entries are read, and what they may name. What no entry can be wrong about alone (the
 * classifiers and their categories) is checked when the classifiers stand. Pure.
 */
import type { ConfigIssue } from '../contract/errors.ts';
import { choice, custom, isMapping, kindOf, mapping, meant, number, text, whole, type Shape, type Site, type TypeOf } from './shape.ts';

const METHODS = ['max', 'weighted', 'calibrated'] as const;
const MISSING = ['unknown', 'ignore'] as const;
const MEMBERS_MAX = 100;

const fields = mapping('One combination.', {
  category: text('Its scores are `ensemble.<category>`.', {
    required: true, pattern: /^[A-Za-z0-9][A-Za-z0-9._/-]*$/, patternMeaning: 'a category of letters, digits, `.`, `_`, `/` and `-`', lengthMax: 64, example: 'personal',
  }),
  method: choice('max: the highest score; weighted: the mean by weights; calibrated: a logistic function of the log-odds.', METHODS, { required: true, example: 'max' }),
  of: custom('list or mapping', 'Its members as `classifier.category`: a list, or each with its weight, or under calibrated with its coefficient.', readMembers, { required: true, example: { 'pii.EMAIL': 1 }, schema: { type: ['array', 'object'], items: { type: 'string' }, additionalProperties: { type: 'number' } } }),
  bias: number('Added to the weighted log-odds under calibrated.', { default: 0, min: -100, max: 100 }),
  missing: choice('What a member without a score does: makes the combination unknown, or is left out.', MISSING, { default: 'unknown' }),
  quorum: whole('Members that must have a score where missing ones are left out.', { default: 1, min: 1, max: MEMBERS_MAX }),
});

type ReadCombination = NonNullable<TypeOf<typeof fields>>;

export const combination: Shape<ReadCombination | undefined> = {
  ...fields,
  read(value, site) {
    const read = fields.read(value, site);
    if (read?.of === undefined) return undefined;
    const { method, of, quorum, bias } = read;
    for (const [member, weight] of Object.entries(of)) {
      const at = site.child('of').child(member);
      if (method === 'calibrated' && weight === undefined) at.refuse('a calibrated combination needs a coefficient for each member', 'write `classifier.category: 1.5`');
      else if (method !== 'calibrated' && weight !== undefined && weight <= 0) at.refuse(`a weight is a number above 0, got ${weight}`);
    }
    if (method !== 'calibrated' && bias !== 0) site.child('bias').refuse('only a calibrated combination has a bias');
    if (quorum > Object.keys(of).length) site.child('quorum').refuse(`more than the ${Object.keys(of).length} members`);
    return read;
  },
};

/** Members with their weights; undefined where none is given. */
function readMembers(value: unknown, site: Site): Readonly<Record<string, number | undefined>> | undefined {
  if (!Array.isArray(value) && !isMapping(value)) return site.refuse(`expected a list of classifier.category, or a mapping of them to weights, got ${kindOf(value)}`);
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(value) ? value.map((member) => [member, undefined]) : Object.entries(value);
  if (entries.length === 0 || entries.length > MEMBERS_MAX) return site.refuse(`${entries.length} members; there may be 1 to ${MEMBERS_MAX}`);
  const members: Record<string, number | undefined> = Object.create(null);
  for (const [index, [member, weight]] of entries.entries()) {
    const at = site.child(Array.isArray(value) ? index : String(member));
    if (typeof member !== 'string' || !/^[^.]+\../.test(member)) at.refuse('expected classifier.category', undefined, Array.isArray(value) ? 'value' : 'key');
    else if (member in members) at.refuse(`a second member ${member}`);
    else if (weight !== undefined && (typeof weight !== 'number' || !Number.isFinite(weight))) at.refuse(`expected a number, got ${kindOf(weight)}`);
    else members[member] = weight as number | undefined;
  }
  return Object.freeze(members);
}

/** A classifier that may be a member. */
interface Scorer {
  readonly id: string;
  readonly categories: readonly { readonly id: string }[];
  /** Whether its scores come from being asked; those of patterns do not. */
  readonly isAsked: boolean;
}

/** What the combinations name that is not there. `file` is what messages name until the place is known. */
export function combinationIssues(combinations: readonly ReadCombination[], scorers: readonly Scorer[], file: string): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const report = (index: number, message: string, suggestion?: string): void => {
    issues.push({ file, line: 1, column: 1, path: `screening.combine[${index}]`, message, ...(suggestion === undefined ? {} : { suggestion }), severity: 'error' });
  };
  for (const [index, { category, of }] of combinations.entries()) {
    if (combinations.findIndex((other) => other.category === category) < index) report(index, `a second combination ${category}`);
    for (const member of Object.keys(of)) {
      const dot = member.indexOf('.');
      const scorer = scorers.find(({ id }) => id === member.slice(0, dot));
      const wanted = member.slice(dot + 1);
      if (scorer === undefined) report(index, `no classifier ${member.slice(0, dot)}`, meant(member.slice(0, dot), scorers.map(({ id }) => id)));
      else if (!scorer.isAsked) report(index, `${scorer.id} finds patterns and is not asked, so it cannot be a member`, 'a rule can combine it by all and any');
      else if (!scorer.categories.some(({ id }) => id === wanted)) report(index, `${scorer.id} has no category ${wanted}`, meant(wanted, scorer.categories.map(({ id }) => id)));
    }
  }
  return issues;
}
