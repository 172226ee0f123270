/**
 * Policies: what a decision costs, by the number of rules, by what was found, and by where the rule stands that decides;
 * what the first decision of a policy costs, which compiles it; and what an explanation costs beside it. Every figure is
 * of decisions that were checked against the naive reading of the rules before anything was timed.
 */
import assert from 'node:assert/strict';
import type { Facts, Policy } from '../../../src/contract/policy.ts';
import type { ClassifierResult, Direction } from '../../../src/contract/screening.ts';
import { decide } from '../../../src/policy/decide.ts';
import { explain } from '../../../src/policy/explain.ts';
import { requirePolicy } from '../../../src/policy/parse.ts';
import { TRUE, truthOf } from '../../../src/policy/truth.ts';
import type { Row, Table } from '../report.ts';
import { timeCases, type Case, type Effort } from '../rounds.ts';

const CLASSIFIERS = 4;
const SCORES = 40;

export function measurePolicy(effort: Effort): readonly Table[] {
  return [rules(effort), other(effort)];
}

/** Three leaves in two levels for each rule; thresholds differ from rule to rule, so few leaves are shared. */
function policyOf(count: number, decidesAt: number | undefined, direction = 'both'): Policy {
  const lines = Array.from({ length: count }, (_, i) => {
    const name = `c${i % CLASSIFIERS}.k${i % 10}`;
    const low = i === decidesAt ? 0.0001 : 0.9;
    return `  - { id: r${i}, direction: ${direction}, when: { any: [ { all: [ { score: ${name}, gte: ${(low + (i % 1000) / 20_000).toFixed(5)} }, { not: { context: surface, eq: s${i % 7} } } ] }, { score: c${i % CLASSIFIERS}.*, gt: ${(0.95 + (i % 1000) / 30_000).toFixed(5)} } ] }, action: block }`;
  });
  return requirePolicy(`policy: p\nrules:\n${lines.join('\n')}\n`, 'bench.yaml');
}

/** Every score is reached, and the context is another: each rule has to be tried. */
function tryingPolicy(count: number): Policy {
  const lines = Array.from({ length: count }, (_, i) => `  - { id: r${i}, when: { all: [ { any: [ { score: c${i % CLASSIFIERS}.k${i % 10}, gte: ${(i / 100_000).toFixed(5)} }, { score: c${i % CLASSIFIERS}.*, gt: ${(i / 90_000).toFixed(5)} } ] }, { context: n${i}, eq: 1 } ] }, action: block }`);
  return requirePolicy(`policy: p\nrules:\n${lines.join('\n')}\n`, 'bench.yaml');
}

function factsOf(found: number, direction: Direction = 'input'): Facts {
  const results = Array.from({ length: found }, (_, i): ClassifierResult => ({ classifier_id: `c${i % CLASSIFIERS}`, category: `k${i >> 2}`, score: 0.1 + i / 60, label: 'x', spans: [], latency_ms: 1 }));
  return { direction, results, classifiers: new Map(Array.from({ length: CLASSIFIERS }, (_, i) => [`c${i}`, 'ok'])), context: { surface: 's9' }, contentTypes: ['text'] };
}

function checked(policy: Policy, facts: Facts): void {
  const first = policy.rules.find((rule) => (rule.direction === 'both' || rule.direction === facts.direction) && truthOf(rule.when, facts) === TRUE);
  assert.equal(decide(policy, facts, 'closed').rule?.id, first?.id);
}

function table(title: string, cases: readonly Case[], effort: Effort, note: string): Table {
  const timings = timeCases(title, cases, effort);
  return { title, columns: ['rules, facts', 'µs/decision', 'min', 'max'], note, rows: cases.map(({ name }, i): Row => ({ cells: [name, timings[i]!.medianNs / 1e3, timings[i]!.minNs / 1e3, timings[i]!.maxNs / 1e3], timing: timings[i]! })) };
}

function rules(effort: Effort): Table {
  const ways: readonly (readonly [name: string, policy: Policy, facts: Facts])[] = [
    ...[10, 100, 1_000, 10_000].map((count) => [`${count} rules, ${SCORES} scores, none decides`, policyOf(count, undefined), factsOf(SCORES)] as const),
    [`1000 rules, ${SCORES} scores, all matter, none decides`, tryingPolicy(1_000), factsOf(SCORES)],
    ['1000 rules, nothing found, none decides', policyOf(1_000, undefined), factsOf(0)],
    ['1000 rules, the first decides', policyOf(1_000, 0), factsOf(SCORES)],
    ['1000 rules, the 500th decides', policyOf(1_000, 500), factsOf(SCORES)],
    ['1000 rules on answers, a prompt', policyOf(1_000, undefined, 'output'), factsOf(SCORES)],
  ];
  const cases = ways.map(([name, policy, facts]): Case => {
    checked(policy, facts);
    return { name, work: 1, run: () => decide(policy, facts, 'closed') };
  });
  return table('Decisions', cases, effort, 'Each rule has three leaves in two levels, and thresholds of its own.');
}

function other(effort: Effort): Table {
  const [policy, facts] = [policyOf(1_000, 500), factsOf(SCORES)];
  const cases: readonly Case[] = [
    { name: 'the first decision of 1000 rules', work: 1, run: () => decide({ ...policy }, facts, 'closed') },
    { name: 'an explanation of 1000 rules', work: 1, run: () => explain(policy, facts, 'closed') },
  ];
  return table('Beside decisions', cases, effort, 'A policy is compiled when it decides for the first time.');
}
