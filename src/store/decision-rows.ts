/**
 * A closed exchange as a row to search and to count: who, when, what was done by which rules, what was found, how long it
 * took; names and numbers, never content. Its labels and its counts follow from the row alone, so that a row that is taken
 * away again takes exactly its counts with it. Pure.
 */
import { createHash } from 'node:crypto';
import { OUTCOMES, type DecisionRecord, type ExchangeRecord, type LateRecord, type Outcome } from '../contract/exchange.ts';
import { faultOf, type Fault } from '../contract/fault.ts';
import { ACTIONS, DIRECTIONS, strongest, type Action } from '../contract/screening.ts';
import type { SqlValue } from './sql.ts';

/** A score from which a category counts as found. */
export const FOUND_FROM = 0.5;

/** Of one direction, or of what was heard afterwards. */
export interface DecisionDetail {
  readonly action: Action;
  readonly rules: readonly string[];
  /** `classifier.category` with a score of `FOUND_FROM` or more. */
  readonly found: readonly string[];
  /** `classifier reason` */
  readonly unknown: readonly string[];
  readonly degraded: readonly string[];
  readonly latency_ms: number;
  /** Carriers that were not looked at, and spans that were redacted; absent of what was heard afterwards. */
  readonly exempt?: number;
  readonly opaque?: number;
  readonly redactions?: number;
  /** Of what was heard afterwards: the answer was cut for it. */
  readonly cut?: true;
}

export const PARTS = [...DIRECTIONS, 'late'] as const;
export type DecisionPart = (typeof PARTS)[number];
export type DecisionDetails = Readonly<Partial<Record<DecisionPart, DecisionDetail>>>;

/** Columns as they are stored, times in milliseconds since 1970. */
export interface DecisionRow {
  /** Of the log, and the entry's index in it: see `decisionId`. */
  readonly decision_id: number;
  /** When the entry was made. */
  readonly at_ms: number;
  /** The beginning of the entry's hash, to tell whether the log still has it. */
  readonly mark: number;
  readonly request_id: string;
  readonly tenant_id: string;
  /** Of a log that is shipped here: its tenants are another Weir's. */
  readonly shipped: boolean;
  readonly session_id: string | null;
  readonly policy_id: string;
  readonly policy_revision: string;
  readonly model: string | null;
  readonly route: string;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly status: number;
  /** What did most of all that was decided; null: nothing was. */
  readonly action: Action | null;
  /** Something was exempt or opaque. */
  readonly is_partial: boolean;
  /** A fail mode decided. */
  readonly is_degraded: boolean;
  readonly started_ms: number;
  readonly duration_ms: number;
  readonly first_byte_ms: number | null;
  readonly detail: DecisionDetails;
}

export const DECISION_COLUMNS = ['decision_id', 'at_ms', 'mark', 'request_id', 'tenant_id', 'shipped', 'session_id', 'policy_id', 'policy_revision', 'model', 'route', 'outcome', 'error_code', 'status', 'action', 'is_partial', 'is_degraded', 'started_ms', 'duration_ms', 'first_byte_ms', 'detail'] as const;

export type StoredRow = Readonly<Record<(typeof DECISION_COLUMNS)[number], SqlValue>>;

export function readRow(row: StoredRow): DecisionRow {
  return {
    ...row, decision_id: Number(row.decision_id), at_ms: Number(row.at_ms), mark: Number(row.mark), shipped: Number(row.shipped) === 1, status: Number(row.status), is_partial: Number(row.is_partial) === 1, is_degraded: Number(row.is_degraded) === 1,
    started_ms: Number(row.started_ms), duration_ms: Number(row.duration_ms), first_byte_ms: row.first_byte_ms === null ? null : Number(row.first_byte_ms), detail: JSON.parse(String(row.detail)),
  } as DecisionRow;
}

/** An entry of kind `exchange` with its place. */
export type ExchangeEntry = ExchangeRecord & { readonly index: number; readonly time: string; readonly hash: string };

/** A log has room for so many entries, and the store for so many logs that an id is exact as a number. */
const INDEXES = 2 ** 39;
export const LOGS_MAX = 2 ** 13;

export function decisionId(logId: number, index: number): number {
  return logId * INDEXES + index;
}

export function placeOf(decision: number): { readonly logId: number; readonly index: number } {
  return { logId: Math.floor(decision / INDEXES), index: decision % INDEXES };
}

export function markOf(hash: string): number {
  return Number.parseInt(hash.slice(0, 12), 16);
}

/** Throws TypeError for what no Weir writes: a log that is shipped here is its sender's word. */
export function decisionRow(entry: ExchangeEntry, logId: number, shipped: boolean): DecisionRow {
  if (!Number.isSafeInteger(entry.index) || entry.index < 0 || entry.index >= INDEXES || !/^[0-9a-f]{12}/.test(entry.hash)) throw new TypeError('it has no place in a log');
  const { input, output, late } = entry;
  const decided = [input, output].filter((one) => one !== undefined);
  const [policy, revision] = policyOf(entry.policy);
  return {
    decision_id: decisionId(logId, entry.index), at_ms: timeOf(entry.time), mark: markOf(entry.hash), request_id: plain(entry.request_id), tenant_id: plain(entry.tenant_id), shipped,
    session_id: entry.session_id === undefined ? null : plain(entry.session_id), policy_id: policy, policy_revision: revision, model: entry.model === undefined ? null : plain(entry.model), route: plain(entry.route),
    outcome: plain(entry.outcome), error_code: entry.error_code === undefined ? null : plain(entry.error_code), status: Math.min(999, Math.trunc(amount(entry.status))),
    action: strongest([input, output, late].flatMap((one) => (one === undefined ? [] : [knownAction(one.action)]))) ?? null,
    is_partial: decided.some(({ coverage }) => coverage.exempt.length > 0 || coverage.opaque.length > 0), is_degraded: [...decided, ...(late === undefined ? [] : [late])].some(({ degraded }) => degraded.length > 0),
    started_ms: timeOf(entry.started_at), duration_ms: amount(entry.duration_ms), first_byte_ms: entry.time_to_first_byte_ms === undefined ? null : amount(entry.time_to_first_byte_ms),
    detail: { ...(input && { input: detailOf(input) }), ...(output && { output: detailOf(output) }), ...(late && { late: detailOf(late) }) },
  };
}

export function partsOf({ detail }: Pick<DecisionRow, 'detail'>): readonly (readonly [DecisionPart, DecisionDetail])[] {
  return PARTS.flatMap((part) => (detail[part] === undefined ? [] : [[part, detail[part]] as const]));
}

export function rulesOf(row: Pick<DecisionRow, 'detail'>): readonly string[] {
  return [...new Set(partsOf(row).flatMap(([, { rules }]) => rules))];
}

/** What a row is found by besides its columns. An action other than allow, of any direction, is a label: allow is most of them. */
export function labelsOf(row: Pick<DecisionRow, 'detail'>): readonly string[] {
  const parts = partsOf(row).map(([, detail]) => detail);
  return [...new Set([...parts.flatMap(({ action }) => (action === 'allow' ? [] : [`action:${action}`])), ...parts.flatMap(({ rules }) => rules.map((rule) => `rule:${rule}`)), ...parts.flatMap(({ found }) => found.map((category) => `category:${category}`))])];
}

/** Text of a request id that is a UUID, and any beginning of it, stands for a range of these; of others the whole alone. */
export const REQUEST_KEY_DIGITS = 13;

export function requestKey(requestId: string): number {
  const digits = requestId.replaceAll('-', '').toLowerCase();
  return Number.parseInt((/^[0-9a-f]{32}$/.test(digits) ? digits : createHash('sha256').update(requestId).digest('hex')).slice(0, REQUEST_KEY_DIGITS), 16);
}

/**
 * What is counted, of a direction or, without one, of the exchange. A latency is counted by its step, redactions by how many
 * there were; `acted` is an action that did something, with each category that was found (`block pii.EMAIL`), and with none;
 * `uncovered` what had carriers that were `exempt` or `opaque`. Of exchanges that were counted before there was a measure it
 * is missing: `route` is of every exchange, so its sum tells of how many.
 */
export const MEASURES = ['exchanges', 'action', 'outcome', 'rule', 'category', 'unknown', 'degraded', 'partial', 'latency', 'duration', 'first_byte', 'route', 'status', 'error', 'policy', 'fault', 'acted', 'uncovered', 'redactions'] as const;
export type Measure = (typeof MEASURES)[number];

export interface Counted {
  readonly direction: DecisionPart | '';
  readonly measure: Measure;
  readonly name: string;
}

export function countsOf(row: DecisionRow): readonly Counted[] {
  const of = (direction: Counted['direction'], measure: Measure, names: readonly string[]): readonly Counted[] => [...new Set(names)].map((name) => ({ direction, measure, name }));
  const parts = partsOf(row);
  return [
    ...of('', 'exchanges', ['']), ...of('', 'action', [row.action ?? 'none']), ...of('', 'outcome', [row.outcome]), ...of('', 'rule', rulesOf(row)), ...of('', 'category', parts.flatMap(([, { found }]) => found)),
    ...of('', 'degraded', row.is_degraded ? [''] : []), ...of('', 'partial', row.is_partial ? [''] : []), ...of('', 'duration', [stepOf(row.duration_ms)]), ...of('', 'first_byte', row.first_byte_ms === null ? [] : [stepOf(row.first_byte_ms)]),
    ...of('', 'route', [row.route]), ...of('', 'status', [String(row.status)]), ...of('', 'error', row.error_code === null ? [] : [row.error_code]), ...of('', 'policy', row.policy_id === '' ? [] : [`${row.policy_id}@${row.policy_revision}`]), ...of('', 'fault', [faultIn(row)]),
    ...of('', 'acted', row.action === null || row.action === 'allow' ? [] : actedOf(row.action, parts.flatMap(([, { found }]) => found))),
    ...parts.flatMap(([part, { action, rules, found, unknown, latency_ms: ms, exempt = 0, opaque = 0, redactions = 0 }]) => [...of(part, 'action', [action]), ...of(part, 'rule', rules), ...of(part, 'category', found), ...of(part, 'unknown', unknown), ...of(part, 'latency', [stepOf(ms)]), ...of(part, 'uncovered', [...(exempt > 0 ? ['exempt'] : []), ...(opaque > 0 ? ['opaque'] : [])]), ...of(part, 'redactions', redactions > 0 ? [String(Math.min(REDACTIONS_MAX, Math.trunc(redactions)))] : [])]),
  ];
}

/** A log that was written elsewhere may tell of an end that we do not know. */
function faultIn({ outcome, error_code: code, detail: { input, output, late } }: DecisionRow): Fault {
  if (!OUTCOMES.includes(outcome as Outcome)) return 'none';
  const told = (decision: DecisionDetail | undefined) => decision && { ...decision, triggered_rules: decision.rules };
  return faultOf({ outcome: outcome as Outcome, error_code: code ?? undefined, input: told(input), output: told(output), late: late?.cut === true ? { ...told(late)!, acted: ['cut'] } : undefined });
}

/** More of one direction count as so many, so that there are not more names than these. */
const REDACTIONS_MAX = 1_000;

function actedOf(action: Action, found: readonly string[]): readonly string[] {
  return found.length === 0 ? [action] : found.map((category) => `${action} ${category}`);
}

/** Four steps to a doubling: the middle of a step is at most a tenth from any time in it. */
const STEPS_PER_DOUBLING = 4;
const STEP_MIN_MS = 0.01;

export function stepOf(ms: number): string {
  return String(ms <= STEP_MIN_MS || Number.isNaN(ms) ? 0 : Math.min(200, Math.ceil(STEPS_PER_DOUBLING * Math.log2(ms / STEP_MIN_MS))));
}

/** The middle of a step in milliseconds. */
export function stepMs(step: string): number {
  return STEP_MIN_MS * 2 ** ((Number(step) - 0.5) / STEPS_PER_DOUBLING);
}

function detailOf(decision: DecisionRecord | LateRecord): DecisionDetail {
  const { action, triggered_rules: rules, classifier_results: results, degraded, latency_ms } = decision;
  const nameOf = (result: (typeof results)[number]): string => plain(`${result.classifier_id}.${result.category}`);
  return {
    action: knownAction(action), rules: rules.map(plain), found: [...new Set(results.filter(({ score }) => score !== undefined && score >= FOUND_FROM).map(nameOf))],
    unknown: [...new Set(results.flatMap(({ classifier_id: id, unknown }) => (unknown === undefined ? [] : [plain(`${id} ${unknown}`)])))], degraded: degraded.map(plain), latency_ms: amount(latency_ms),
    ...('coverage' in decision ? { exempt: decision.coverage.exempt.length, opaque: decision.coverage.opaque.length, redactions: amount(decision.redactions) } : {}),
    ...('acted' in decision && Array.isArray(decision.acted) && decision.acted.includes('cut') ? { cut: true as const } : {}),
  };
}

function policyOf(policy = ''): readonly [id: string, revision: string] {
  const at = policy.lastIndexOf('@');
  return at < 0 ? [plain(policy), ''] : [plain(policy.slice(0, at)), plain(policy.slice(at + 1))];
}

/** Longer than any name that we write; an index takes no text of any length. */
const TEXT_CHARS_MAX = 400;

/** A store takes no NUL in a text, and no half of a character. */
function plain(text: string): string {
  if (typeof text !== 'string') throw new TypeError('it is no text');
  return (text.length > TEXT_CHARS_MAX ? text.slice(0, TEXT_CHARS_MAX) : text).replaceAll('\0', '\uFFFD').toWellFormed();
}

function amount(value: number): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw new TypeError('it is no amount');
  return value;
}

function knownAction(action: Action): Action {
  if (!ACTIONS.includes(action)) throw new TypeError('it is no action');
  return action;
}

/** A log that was written elsewhere may hold what is no time. */
function timeOf(time: string): number {
  const ms = Date.parse(time);
  return Number.isFinite(ms) && ms >= 0 && ms < 2 ** 43 ? ms : 0;
}
