/**
 * Two policies over recorded exchanges: what the second would have decided otherwise on the same scores. Takes records
 * one by one, keeps counts and a bounded number of examples. What the log does not tell is counted as not comparable, by
 * reason, and never guessed. Pure.
 *
 * A blocked answer is known up to where it was blocked, and no further; what was decided after the fact is not compared.
 */
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { FailMode, Policy, PolicyDecision } from '../contract/policy.ts';
import type { Action, Direction } from '../contract/screening.ts';
import { recordedDecisions, redecide, type Gap, type RecordedDecision } from './recorded.ts';

/** Examples of each change of action. */
export const EXAMPLES_MAX = 10;

export interface DiffExample {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly time: string;
  readonly direction: Direction;
  readonly from_rules: readonly string[];
  readonly to_rules: readonly string[];
}

export interface ActionChange {
  readonly from: Action;
  readonly to: Action;
  readonly count: number;
  readonly examples: readonly DiffExample[];
}

export interface RuleChange {
  /** The rule that decided; null where none did. */
  readonly from: string | null;
  readonly to: string | null;
  readonly count: number;
}

export interface PolicyDiff {
  readonly decisions: number;
  readonly same: number;
  /** Another action. */
  readonly changed: number;
  readonly not_comparable: number;
  readonly actions: readonly ActionChange[];
  /** Which rules decide where another one did, with another action or the same. */
  readonly rules: readonly RuleChange[];
  readonly reasons: Readonly<Partial<Record<Gap, number>>>;
}

export class DiffTally {
  readonly #from: Policy;
  readonly #to: Policy;
  readonly #failModeOf: (tenantId: string) => FailMode;
  #same = 0;
  readonly #actions = new Map<string, { -readonly [K in keyof ActionChange]: ActionChange[K] } & { examples: DiffExample[] }>();
  readonly #rules = new Map<string, { -readonly [K in keyof RuleChange]: RuleChange[K] }>();
  readonly #reasons = new Map<Gap, number>();

  constructor(from: Policy, to: Policy, failModeOf: (tenantId: string) => FailMode) {
    this.#from = from;
    this.#to = to;
    this.#failModeOf = failModeOf;
  }

  /** Both directions of one exchange. */
  add(record: ExchangeRecord): void {
    for (const recorded of recordedDecisions(record)) this.#compare(recorded);
  }

  result(): PolicyDiff {
    const actions = sorted(this.#actions);
    const changed = total(actions.map(({ count }) => count));
    const notComparable = total([...this.#reasons.values()]);
    return {
      decisions: this.#same + changed + notComparable, same: this.#same, changed, not_comparable: notComparable,
      actions, rules: sorted(this.#rules), reasons: Object.fromEntries(this.#reasons),
    };
  }

  #compare(recorded: RecordedDecision): void {
    const failMode = this.#failModeOf(recorded.tenant_id);
    const [from, to] = [this.#from, this.#to].map((policy) => redecide(policy, recorded, [this.#from, this.#to], failMode));
    const gap = from!.gap ?? to!.gap;
    if (gap !== undefined) this.#reasons.set(gap, (this.#reasons.get(gap) ?? 0) + 1);
    else this.#count(recorded, from!.decision!, to!.decision!);
  }

  #count({ request_id, tenant_id, time, direction }: RecordedDecision, from: PolicyDecision, to: PolicyDecision): void {
    const [fromRule, toRule] = [from.rule?.id ?? null, to.rule?.id ?? null];
    if (from.action === to.action) this.#same += 1;
    else {
      const change = entryOf(this.#actions, `${from.action} ${to.action}`, () => ({ from: from.action, to: to.action, count: 0, examples: [] }));
      change.count += 1;
      if (change.examples.length < EXAMPLES_MAX) change.examples.push({ request_id, tenant_id, time, direction, from_rules: from.triggered_rules, to_rules: to.triggered_rules });
    }
    if (fromRule !== toRule) entryOf(this.#rules, JSON.stringify([fromRule, toRule]), () => ({ from: fromRule, to: toRule, count: 0 })).count += 1;
  }
}

function entryOf<T>(entries: Map<string, T>, key: string, create: () => T): T {
  let entry = entries.get(key);
  if (entry === undefined) entries.set(key, (entry = create()));
  return entry;
}

function sorted<T extends { readonly count: number }>(entries: ReadonlyMap<string, T>): readonly T[] {
  return [...entries.values()].sort((a, b) => b.count - a.count);
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
