/** A condition in one line, as a person who looks at a decision reads it. Pure. */
import type { Condition, Operator, OperatorValue } from '../contract/policy.ts';

const SIGNS: Readonly<Partial<Record<Operator, string>>> = { gt: '>', gte: '≥', lt: '<', lte: '≤', eq: '=' };

/** `toxicity.hate ≥ 0.5 and not (user.trust = verified)`. */
export function conditionText(condition: Condition): string {
  switch (condition.kind) {
    case 'all': return condition.of.map(partText).join(' and ');
    case 'any': return condition.of.map(partText).join(' or ');
    case 'not': return `not (${conditionText(condition.of)})`;
    case 'score': return `${condition.classifier}.${condition.category} ${comparison(condition.operator, condition.value)}`;
    case 'context': return `${condition.key} ${comparison(condition.operator, condition.value)}`;
  }
}

function partText(condition: Condition): string {
  return condition.kind === 'all' || condition.kind === 'any' ? `(${conditionText(condition)})` : conditionText(condition);
}

function comparison(operator: Operator, value: OperatorValue): string {
  if (operator === 'exists') return value === false ? 'is absent' : 'is there';
  if (operator === 'between') return `from ${(value as readonly number[]).join(' to ')}`;
  return `${SIGNS[operator]} ${String(value)}`;
}
