/**
 * Rules as the API takes and shows them: flat objects with `rule_id`, `tenant_id`, `name`, `direction`, `condition`,
 * `action`, `priority` and `enabled`, and with the further keys of a rule in a file. They become the rules of a policy,
 * the same tree that a file gives, and back. Pure.
 *
 * A condition is a tree as in a file, or `{classifier, category, operator, threshold}`. Findings name the API's keys.
 */
import { createHash } from 'node:crypto';
import { isMapping, list, readShape, type Site } from '../config/shape.ts';
import type { ConfigIssue } from '../contract/errors.ts';
import type { Condition, Policy, Rule } from '../contract/policy.ts';
import type { ScoreReference } from './condition.ts';
import { checkReferences, freezeRule, ruleShape, RULES_MAX, type KnownClassifier, type ParsedPolicy } from './parse.ts';

/** What of a policy its rules do not say. */
export interface RulesOwner extends Partial<Pick<Policy, 'description' | 'defaultAction' | 'onUnknown' | 'message'>> {
  readonly policyId: string;
  /** Rules of another tenant are refused. */
  readonly tenantId: string;
}

/** As files name a key, and as the API does. */
const API_KEYS: Readonly<Record<string, string>> = { id: 'rule_id', when: 'condition' };

/** Issues have line and column 1: `path` says where. */
export function policyFromRules(rules: unknown, { policyId, tenantId, ...owner }: RulesOwner, classifiers?: readonly KnownClassifier[]): ParsedPolicy {
  const references: ScoreReference[] = [];
  const shape = list('Rules.', ruleShape(references), { countMax: RULES_MAX });
  const document = { file: '(rules)', value: Array.isArray(rules) ? rules.map(ruleInFile) : rules, issues: [], at: () => ({ line: 1, column: 1 }) };
  const { value, issues } = readShape({ ...shape, read: readRules }, document);
  const told = issues.map(inApiWords);
  if (value === undefined) return { policy: undefined, issues: told };
  return { policy: Object.freeze<Policy>({
    id: policyId,
    revision: createHash('sha256').update(JSON.stringify([owner, rules])).digest('hex').slice(0, 12),
    description: '', defaultAction: 'allow', ...owner,
    onBlock: 'error', stream: Object.freeze({ mode: 'hold', window: 'sentence' }), history: 'latest', patterns: Object.freeze([]), cases: Object.freeze([]),
    rules: Object.freeze(value.map(freezeRule).sort((a, b) => a.priority - b.priority)),
  }), issues: told };

  function readRules(given: unknown, site: Site): ReturnType<typeof shape.read> {
    const read = shape.read(given, site);
    const seen = new Set<string>();
    read?.forEach((rule: Partial<NonNullable<(typeof read)[number]>> | undefined, index) => {
      const at = site.child(index);
      const { tenant_id: tenant = tenantId } = ((rules as readonly unknown[])[index] ?? {}) as { readonly tenant_id?: unknown };
      if (tenant !== tenantId) at.child('tenant_id').refuse('a rule of another tenant');
      if (rule?.id === undefined) return;
      if (seen.has(rule.id)) at.child('id').refuse(`a second rule ${rule.id}`);
      seen.add(rule.id);
      if (rule.action === 'replace' && rule.message === undefined && owner.message === undefined) at.refuse('action replace needs a message', 'add message to the rule');
    });
    checkReferences(references, [], classifiers);
    return read;
  }
}

/** With the keys of a file. A file's name for a key is none of the API's, and is marked so that it is not taken for one. */
export function ruleInFile(rule: unknown): unknown {
  if (!isMapping(rule)) return rule;
  const { rule_id: id, condition: when, tenant_id: _, ...rest } = rule;
  const others = Object.fromEntries(Object.entries(rest).map(([key, value]) => [Object.hasOwn(API_KEYS, key) ? `?${key}` : key, value]));
  return { ...others, ...(id === undefined ? {} : { id }), ...(when === undefined ? {} : { when }) };
}

function inApiWords({ path, message, suggestion, ...issue }: ConfigIssue): ConfigIssue {
  const apiKey = (_: string, before: string, key: string): string => before + API_KEYS[key]!;
  return {
    ...issue,
    path: path.replace(/^(\[\d+\]\.)(id|when)\b/, apiKey).replace('.?', '.'),
    message: message.replace(/^()(id|when)(?= is missing$)/, apiKey).replace('unknown key ?', 'unknown key '),
    ...(suggestion === undefined ? {} : { suggestion: suggestion.replace(/^(did you mean )(id|when)(?=\?$)/, apiKey) }),
  };
}

/** A rule as the API shows it; `policyFromRules` makes the same rule of it. */
export function ruleToApi({ id, name, direction, when, action, priority, enabled, onUnknown, redact, message, severity, hold }: Rule, tenantId: string): Readonly<Record<string, unknown>> {
  return {
    rule_id: id, tenant_id: tenantId, name, direction, condition: conditionToApi(when), action, priority, enabled,
    ...(onUnknown === undefined ? {} : { on_unknown: onUnknown }),
    ...(redact === undefined ? {} : { redact: { style: redact.style, ...(redact.keepLast === undefined ? {} : { keep_last: redact.keepLast }) } }),
    ...(message === undefined ? {} : { message }),
    ...(severity === undefined ? {} : { severity }),
    ...(hold === undefined ? {} : { hold: { for: `${hold.forMs}ms`, then: hold.then } }),
  };
}

function conditionToApi(condition: Condition): Readonly<Record<string, unknown>> {
  switch (condition.kind) {
    case 'all': case 'any': return { [condition.kind]: condition.of.map(conditionToApi) };
    case 'not': return { not: conditionToApi(condition.of) };
    case 'score': return { classifier: condition.classifier, category: condition.category, operator: condition.operator, threshold: condition.value };
    case 'context': return { context: condition.key, [condition.operator]: condition.value };
  }
}
