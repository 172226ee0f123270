/**
 * What comes into the review queue without a rule that asks for it: decisions that a score nearly made otherwise, and a
 * share of all that the machine decided by itself. Who is drawn follows from a key and the request's id, so that nobody
 * can choose, and a process that takes an exchange in twice draws the same. Items keep the probability with which they
 * were drawn, so that rates can be told from them. Pure.
 */
import { createHmac } from 'node:crypto';
import type { DecisionRecord, ExchangeRecord } from '../contract/exchange.ts';
import type { Policy } from '../contract/policy.ts';
import { DIRECTIONS, SEVERITIES, type Direction, type Severity } from '../contract/screening.ts';
import { nearRules, type Band } from '../policy/near.ts';
import { escalatedOf, recordedItem, severityOf, type Intake, type IntakeSettings } from './intake.ts';

export interface DrawSettings extends IntakeSettings {
  /** Absent: none is taken for being near a threshold. `share`: of those, from 0 to 1. */
  readonly uncertain?: Band & { readonly share: number };
  /** Of all decisions, from 0 to 1; 0: none is drawn. */
  readonly sampleShare: number;
}

/** `policyOf`: by `id@revision`, undefined where it is no longer known. */
export function drawnOf(record: ExchangeRecord, settings: DrawSettings, policyOf: (name: string) => Policy | undefined): readonly Intake[] {
  const escalated = new Set(escalatedOf(record).map(({ direction }) => direction));
  return DIRECTIONS.flatMap((direction): readonly Intake[] => {
    const decision = record[direction];
    if (decision === undefined || escalated.has(direction) || record.policy === undefined || decision.coverage.nothing_to_screen === true) return [];
    const policy = policyOf(record.policy);
    return uncertainOf(record, direction, decision, policy, settings) ?? sampledOf(record, direction, decision, settings) ?? [];
  });
}

function uncertainOf(record: ExchangeRecord, direction: Direction, decision: DecisionRecord, policy: Policy | undefined, settings: DrawSettings): readonly Intake[] | undefined {
  const { uncertain } = settings;
  // The draw is cheaper than the look at every rule.
  if (uncertain === undefined || policy === undefined || !isDrawn(settings.drawKey, `uncertain ${record.request_id}.${direction}`, uncertain.share)) return undefined;
  const near = nearRules(policy, record, direction, uncertain);
  if (near.length === 0) return undefined;
  const item = recordedItem(record, direction, decision, { origin: 'uncertain', severity: atMost('medium', severityOf(policy, near)) }, settings);
  return [{ item: { ...item, near_rules: near, inclusion_probability: uncertain.share }, pages: [] }];
}

/** Those whose text is kept: without it nobody can check them. Two people do, without each other. */
function sampledOf(record: ExchangeRecord, direction: Direction, decision: DecisionRecord, settings: DrawSettings): readonly Intake[] | undefined {
  const { sampleShare, drawKey } = settings;
  if (record.content?.[direction] === undefined || !isDrawn(drawKey, `sample ${record.request_id}.${direction}`, sampleShare)) return undefined;
  const item = recordedItem(record, direction, decision, { origin: 'sample', severity: 'low' }, settings);
  return [{ item: { ...item, double_blind: true, inclusion_probability: sampleShare }, pages: [] }];
}

export function isDrawn(key: Buffer, what: string, share: number): boolean {
  return createHmac('sha256', key).update(what).digest().readUInt32BE() / 2 ** 32 < share;
}

/** Nobody is called for what the machine let be. */
function atMost(most: Severity, severity: Severity): Severity {
  return SEVERITIES[Math.min(SEVERITIES.indexOf(most), SEVERITIES.indexOf(severity))]!;
}

// How many.

export const WEEK_MS = 7 * 86_400_000;
/** 1970-01-01 was a Thursday. */
const MONDAY_MS = 4 * 86_400_000;
/** The least of a week is reached when so much of it is over, so that a quiet Sunday does not miss it. */
const PACED_SHARE = 5 / 7;
/** Who is behind by so many takes every decision. */
const BEHIND_ALL = 10;

/** The Monday, at midnight UTC, on or before a time. */
export function weekOf(nowMs: number): number {
  return Math.floor((nowMs - MONDAY_MS) / WEEK_MS) * WEEK_MS + MONDAY_MS;
}

/**
 * With what probability a decision is drawn now: the share that is asked for, or more where fewer were taken this week
 * than its least number asks for by now.
 */
export function sampleShareAt(nowMs: number, taken: number, { share, weekMin }: { readonly share: number; readonly weekMin: number }): number {
  const over = (nowMs - weekOf(nowMs)) / WEEK_MS;
  const behind = Math.ceil(weekMin * Math.min(1, over / PACED_SHARE)) - taken;
  return Math.min(1, Math.max(share, behind / BEHIND_ALL));
}
