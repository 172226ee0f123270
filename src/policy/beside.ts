/**
 * A policy and the two that may run beside it, over recorded exchanges: what its shadow would have decided on the same
 * scores, decision by decision, and what its canary decided on its own share, with an interval for each share and with
 * both policies decided again on the records of either. Takes records one by one, keeps counts and few examples. Pure.
 */
import type { DecisionRecord, ExchangeRecord } from '../contract/exchange.ts';
import type { FailMode, Policy } from '../contract/policy.ts';
import { ACTION_WEIGHT, ACTIONS, DIRECTIONS, type Action, type Direction } from '../contract/screening.ts';
import { DiffTally, type PolicyDiff } from './diff.ts';

/** Pairs of revisions that are told, the newest. */
export const PAIRS_MAX = 10;
const EXAMPLES_MAX = 5;
/** Of a share, two-sided. */
const Z_95 = 1.959_964;

export interface BesideExample {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly time: string;
  readonly direction: Direction;
  readonly rules: readonly string[];
  readonly shadow_rules: readonly string[];
}

/** One revision of the policy with one of its shadow. */
export interface ShadowPair {
  readonly policy: string;
  readonly shadow: string;
  readonly decisions: number;
  readonly same: number;
  readonly first: string;
  readonly last: string;
  readonly actions: readonly { readonly action: Action; readonly shadow_action: Action; readonly count: number; readonly examples: readonly BesideExample[] }[];
}

export interface Share {
  readonly count: number;
  readonly share: number;
  readonly low: number;
  readonly high: number;
}

/** What was decided on one side of a canary, by exchanges and what did most in them. */
export interface CanarySide {
  readonly policy: string;
  readonly exchanges: number;
  readonly actions: readonly ({ readonly action: Action } & Share)[];
  /** Which did more than let it through. */
  readonly acted: Share;
}

export interface CanaryResult {
  readonly configured_share: number;
  readonly own: CanarySide;
  readonly canary: CanarySide;
  /** Both policies, as they count now, on the records of either. */
  readonly again: PolicyDiff;
}

export interface BesideResult {
  readonly exchanges: number;
  readonly shadow: readonly ShadowPair[];
  readonly canary: CanaryResult | null;
}

export interface BesideQuestion {
  readonly policy: Policy;
  /** As it counts now; absent where the policy has none. */
  readonly canary?: { readonly policy: Policy; readonly share: number } | undefined;
  /** Of the tenant's exchanges both policies decide. */
  readonly isUnder: (tenantId: string) => boolean;
  readonly failModeOf: (tenantId: string) => FailMode;
}

type Pair = { -readonly [K in Exclude<keyof ShadowPair, 'actions'>]: ShadowPair[K] } & { readonly actions: Map<string, { action: Action; shadow_action: Action; count: number; examples: BesideExample[] }> };

export class BesideTally {
  readonly #asked: BesideQuestion;
  readonly #pairs = new Map<string, Pair>();
  readonly #own = new Map<Action, number>();
  readonly #canary = new Map<Action, number>();
  readonly #again: DiffTally | undefined;
  #exchanges = 0;

  constructor(asked: BesideQuestion) {
    this.#asked = asked;
    this.#again = asked.canary && new DiffTally(asked.policy, asked.canary.policy, asked.failModeOf);
  }

  /** Newest first. True where the record was of the policy, or of its canary. */
  add(record: ExchangeRecord): boolean {
    const { policy, canary, isUnder } = this.#asked;
    const id = idOf(record.policy);
    const isOwn = id === policy.id;
    if (id === undefined || !isUnder(record.tenant_id) || (!isOwn && id !== canary?.policy.id)) return false;
    this.#exchanges += 1;
    if (isOwn) for (const direction of DIRECTIONS) if (record[direction]?.shadow !== undefined) this.#compare(record, direction, record[direction]);
    if (canary === undefined) return true;
    const side = isOwn ? this.#own : this.#canary;
    const action = strongest(record);
    side.set(action, (side.get(action) ?? 0) + 1);
    this.#again!.add(record);
    return true;
  }

  result(): BesideResult {
    const { policy, canary } = this.#asked;
    return {
      exchanges: this.#exchanges,
      shadow: [...this.#pairs.values()].map((pair) => ({ ...pair, actions: [...pair.actions.values()].sort((a, b) => b.count - a.count) })),
      canary: canary === undefined ? null : { configured_share: canary.share, own: sideOf(policy, this.#own), canary: sideOf(canary.policy, this.#canary), again: this.#again!.result() },
    };
  }

  #compare({ policy, request_id, tenant_id, started_at: time }: ExchangeRecord, direction: Direction, { action, triggered_rules: rules, shadow }: DecisionRecord): void {
    const key = `${policy} ${shadow!.policy}`;
    let pair = this.#pairs.get(key);
    if (pair === undefined) {
      if (this.#pairs.size >= PAIRS_MAX) return;
      this.#pairs.set(key, (pair = { policy: policy!, shadow: shadow!.policy, decisions: 0, same: 0, first: time, last: time, actions: new Map() }));
    }
    pair.decisions += 1;
    pair.first = time < pair.first ? time : pair.first;
    pair.last = time > pair.last ? time : pair.last;
    if (action === shadow!.action) pair.same += 1;
    const change = `${action} ${shadow!.action}`;
    const cell = pair.actions.get(change) ?? { action, shadow_action: shadow!.action, count: 0, examples: [] };
    pair.actions.set(change, cell);
    cell.count += 1;
    if (action !== shadow!.action && cell.examples.length < EXAMPLES_MAX) cell.examples.push({ request_id, tenant_id, time, direction, rules, shadow_rules: shadow!.triggered_rules });
  }
}

function idOf(policy: string | undefined): string | undefined {
  return policy?.slice(0, policy.lastIndexOf('@'));
}

function strongest({ input, output, late }: ExchangeRecord): Action {
  return [input, output, late].reduce<Action>((most, decision) => (decision !== undefined && ACTION_WEIGHT[decision.action] > ACTION_WEIGHT[most] ? decision.action : most), 'allow');
}

function sideOf({ id }: Policy, counts: ReadonlyMap<Action, number>): CanarySide {
  const exchanges = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    policy: id, exchanges, acted: shareOf(exchanges - (counts.get('allow') ?? 0), exchanges),
    actions: ACTIONS.filter((action) => counts.has(action)).map((action) => ({ action, ...shareOf(counts.get(action)!, exchanges) })),
  };
}

/** With Wilson's interval of 95 %. Of nothing, anything from 0 to 1. */
export function shareOf(count: number, of: number): Share {
  if (of === 0) return { count, share: 0, low: 0, high: 1 };
  const share = count / of;
  const [z2, scale] = [Z_95 ** 2, 1 + Z_95 ** 2 / of];
  const [middle, half] = [(share + z2 / (2 * of)) / scale, (Z_95 * Math.sqrt((share * (1 - share)) / of + z2 / (4 * of * of))) / scale];
  return { count, share, low: count === 0 ? 0 : Math.max(0, middle - half), high: count === of ? 1 : Math.min(1, middle + half) };
}
