/**
 * The patterns of a policy and of its classifiers, compiled: one automaton for all, and one more for the disguises of the
 * policy's own words. A pattern's text waits on streams only where the policy could do more about it than allow or warn;
 * elsewhere matches are observed and nothing waits. Faults are told as findings of the policy's file.
 */
import type { Classifier, PatternDefinition } from '../contract/classifier.ts';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import type { Condition, Policy } from '../contract/policy.ts';
import type { PatternSet } from '../match/compiled.ts';
import { compilePatterns, failingExamples, PatternSetError, type PatternSource } from '../match/set.ts';
import { exceptHosts } from '../match/validators.ts';
import { uprightLiterals, type ScanSets } from './scan.ts';
import { POLICY_PATTERNS, SHADOW_PATTERNS } from './shadow.ts';

export function compileSets(policy: Policy, shadow: Policy | undefined, classifiers: readonly Classifier[], file: string): ScanSets {
  const source = (classifier: string, definition: PatternDefinition): PatternSource => ({ classifier, definition, holds: mayAct(policy, classifier, definition.category) });
  const ownSources = definitionsOf(policy).map((definition) => source(POLICY_PATTERNS, definition));
  // The shadow's only observe: nothing waits for them.
  const shadowSources = shadow === undefined ? [] : definitionsOf(shadow).map((definition): PatternSource => ({ classifier: SHADOW_PATTERNS, definition, holds: false }));
  const viewed = (sources: readonly PatternSource[], { patterns }: Policy): readonly PatternSource[] => sources.filter((_, index) => patterns[index]!.category === undefined && patterns[index]!.views !== false);
  try {
    const set = compilePatterns([...classifiers.flatMap((c) => (c.patterns ?? []).map((definition) => source(c.id, definition))), ...ownSources, ...shadowSources]);
    // Each is compiled by itself for this, so only those that state something.
    const failing = failingExamples(ownSources.filter(({ definition: { matches = [], ignores = [] } }) => matches.length + ignores.length > 0));
    if (failing.length > 0) throw new PatternSetError(failing);
    return { patterns: set, ...disguisedSets([...viewed(ownSources, policy), ...(shadow === undefined ? [] : viewed(shadowSources, shadow))]) };
  } catch (error) {
    if (!(error instanceof PatternSetError)) throw error;
    throw new ConfigError(error.issues.map((issue): ConfigIssue => ({
      file, line: 1, column: 1, severity: 'error',
      path: issue.classifier === POLICY_PATTERNS ? `patterns.${issue.id}` : `${issue.classifier}.${issue.id}`,
      message: issue.position === undefined ? `pattern ${issue.id}: ${issue.message}` : `pattern ${issue.id}, character ${issue.position + 1}: ${issue.message}`,
    })));
  }
}

/** A policy's own patterns as they are compiled. */
function definitionsOf(policy: Policy): readonly PatternDefinition[] {
  return policy.patterns.map((pattern): PatternDefinition => ({
    id: pattern.id,
    category: pattern.category ?? pattern.id,
    label: pattern.label,
    ignoreCase: pattern.ignoreCase,
    // Only what validates knows hosts, and only links lead to one.
    ...(pattern.validate === undefined ? {} : { validate: policy.allowHosts?.length ? exceptHosts(pattern.validate, policy.allowHosts) : pattern.validate }),
    ...(pattern.score === undefined ? {} : { score: pattern.score }),
    ...(pattern.views === undefined ? {} : { views: pattern.views }),
    matches: pattern.matches,
    ignores: pattern.ignores,
    ...(pattern.regex === undefined ? { literal: pattern.literal ?? [] } : { regex: pattern.regex }),
  }));
}

/** Policies' own patterns for views in which words are disguised, and their literals as such words may be written. */
function disguisedSets(sources: readonly PatternSource[]): Omit<ScanSets, 'patterns'> {
  if (sources.length === 0) return {};
  const upright = sources.flatMap((source): readonly PatternSource[] => {
    const definition = uprightLiterals(source.definition);
    return definition === undefined ? [] : [{ ...source, definition }];
  });
  const set = compiledIfFits(upright);
  return { disguised: compilePatterns(sources), ...(set === undefined ? {} : { upright: set }) };
}

/** Undefined where there is nothing to compile, or more than a set may have. */
function compiledIfFits(sources: readonly PatternSource[]): PatternSet | undefined {
  if (sources.length === 0) return undefined;
  try {
    return compilePatterns(sources);
  } catch (error) {
    if (error instanceof PatternSetError) return undefined;
    throw error;
  }
}

/** Whether the policy could do more about an output's score than allow or warn; to wait for a person is more. */
export function mayAct(policy: Policy, classifier: string, category: string, named?: true): boolean {
  const acts = (action: string): boolean => action !== 'allow' && action !== 'warn';
  if (acts(policy.defaultAction)) return true;
  return policy.rules.some((rule) => rule.enabled && rule.direction !== 'input' && (rule.hold !== undefined || (rule.action !== 'escalate' && acts(rule.action))) && reads(rule.when, classifier, category, named));
}

/** Whether the condition asks for the score. */
export function reads(condition: Condition, classifier: string, category: string, named?: true): boolean {
  switch (condition.kind) {
    case 'all': case 'any': return condition.of.some((part) => reads(part, classifier, category, named));
    case 'not': return reads(condition.of, classifier, category, named);
    case 'context': return false;
    case 'score': return names(condition.classifier, classifier) && (condition.category === '*' ? named !== true : condition.category === category);
  }
}

const names = (wanted: string, actual: string): boolean => wanted === '*' || wanted === actual;
