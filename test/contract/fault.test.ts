/**
 * Whose fault it is that an exchange did not end as it should: by code, by what the policy decided for want of a score, and
 * that every closing entry has exactly one, whatever it says.
 */
import fc from 'fast-check';
import t from 'tap';
import { ERROR_CODES, type ErrorCode } from '../../src/contract/errors.ts';
import { OUTCOMES, type DecisionRecord, type LateAct, type LateRecord } from '../../src/contract/exchange.ts';
import { ACTIONS } from '../../src/contract/screening.ts';
import { outcomeOf } from '../../src/proxy/exchange.ts';
import { FAULTS, faultOf } from '../../src/contract/fault.ts';
import { runs, seed } from '../helpers/runs.ts';

function decision(more: Partial<DecisionRecord> = {}): DecisionRecord {
  return { action: 'allow', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 2, ...more };
}

t.test('whose fault it is, by outcome and code', (t) => {
  const cases = [
    ['completed', undefined, 'none'], ['blocked', 'content_filter', 'none'], ['client_left', undefined, 'client'], ['refused', 'invalid_json', 'client'], ['refused', 'rate_limited', 'client'], ['refused', 'upgrade_refused', 'client'], ['refused', 'session_barred', 'none'], ['refused', 'opaque_refused', 'none'], ['refused', 'draining', 'weir'], ['failed', 'draining', 'weir'],
    ['refused', undefined, 'client'], ['refused', 'overloaded', 'weir'], ['refused', 'no_policy', 'weir'], ['refused', 'store_unavailable', 'weir'], ['blocked', 'screening_failed', 'weir'], ['refused', 'screening_failed', 'weir'],
    ['failed', 'internal', 'weir'], ['failed', 'audit_unavailable', 'weir'], ['upstream_failed', 'upstream_timeout', 'upstream'], ['upstream_failed', undefined, 'upstream'],
  ] as const;
  for (const [outcome, code, fault] of cases) t.equal(faultOf({ outcome, ...(code === undefined ? {} : { error_code: code }) }), fault, `${outcome} ${code}`);
  for (const [code, { status }] of Object.entries(ERROR_CODES)) if (status < 500 && code !== 'screening_failed') t.equal(faultOf({ outcome: outcomeOf(code as ErrorCode), error_code: code }) === 'weir', false, `${code} does not spend the error budget`);
  t.end();
});

t.test('what is blocked because a score was missing is ours', (t) => {
  const closed = decision({ action: 'block', triggered_rules: ['hate'], degraded: ['hate'] });
  const skipped = decision({ action: 'block', triggered_rules: ['pii'], degraded: ['hate'] });
  const late = (acted: readonly LateAct[]): LateRecord => ({ ...closed, direction: 'output', acted });
  const blocked = [
    [{ output: closed }, 'weir', 'an answer that is cut'], [{ input: closed }, 'weir', 'a safe message in place of an answer'], [{ output: skipped }, 'none', 'another rule decided'],
    [{ output: decision({ action: 'redact', triggered_rules: ['hate'], degraded: ['hate'] }) }, 'none', 'it did not block'], [{ late: late(['cut']) }, 'weir', 'after the fact'], [{ late: late(['flagged']) }, 'none', 'nothing came of it'],
  ] as const;
  for (const [more, fault, why] of blocked) t.equal(faultOf({ outcome: 'blocked', ...more }), fault, why);
  t.equal(faultOf({ outcome: 'completed', output: closed }), 'none', 'what was not blocked was answered');
  t.end();
});

t.test('every closing entry has one fault, whatever it says', (t) => {
  const part = fc.option(fc.record({ action: fc.constantFrom(...ACTIONS), triggered_rules: fc.subarray(['a', 'b', 'c']), degraded: fc.subarray(['a', 'b', 'c']) }).map((more) => decision(more)), { nil: undefined });
  const said = fc.record({ outcome: fc.constantFrom(...OUTCOMES), error_code: fc.constantFrom(undefined, 'no code of ours', ...Object.keys(ERROR_CODES)), input: part, output: part });
  fc.assert(fc.property(said, (entry) => {
    const fault = faultOf(entry);
    const failed = entry.error_code === 'screening_failed' || [entry.input, entry.output].some((one) => one?.action === 'block' && one.triggered_rules.some((rule) => one.degraded.includes(rule)));
    if (!FAULTS.includes(fault)) return false;
    if (entry.error_code === 'screening_failed') return fault === 'weir';
    if (entry.outcome === 'completed' || entry.outcome === 'client_left' || entry.outcome === 'upstream_failed') return fault === { completed: 'none', client_left: 'client', upstream_failed: 'upstream' }[entry.outcome];
    if (entry.outcome === 'failed') return fault === 'weir';
    return entry.outcome === 'blocked' ? fault === (failed ? 'weir' : 'none') : fault !== 'upstream';
  }), { seed, numRuns: runs(2_000) });
  t.end();
});
