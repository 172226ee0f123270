/**
 * One exchange: what was decided in each direction and why, on which scores, under which revision, what was looked at
 * and what was not, and where its entry stands in the log. Its proof is made and checked when it is asked for, since that
 * reads the log from its beginning.
 */
import { fault, type DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { NoteKey } from '../audit/checkpoint.ts';
import type { AuditEntry } from '../audit/entries.ts';
import { proofFault, type EntryProof } from '../audit/proof-check.ts';
import type { DecisionRecord, LateRecord } from '../contract/exchange.ts';
import { strongest } from '../contract/screening.ts';
import type { ExplainedRecordJson } from '../policy/explained.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField } from './layout.ts';
import type { ExchangeEntry } from './exchanges.ts';
import { actionBadge, count, names, scoreBars, timeOf, type ScoreLine } from './parts.ts';
import { messageOf, Refused, take } from './refusal.ts';
import { ruleTraces } from './trace.ts';

export interface ExchangeParts {
  /** Public keys whose signatures of checkpoints count. */
  keys(): Promise<readonly NoteKey[]>;
}

export function exchangePages({ keys }: ExchangeParts): readonly Page[] {
  const show = async (api: Api, request: PageRequest): Promise<DeskAnswer> => {
    const index = request.names['index']!;
    const origin = request.query.get('origin');
    const entry = origin === null ? await take<AuditEntry>(api, request, 'readAuditEntry', { names: { index } }) : await shippedEntry(api, request, Number(index), origin);
    const proof = origin === null && request.query.get('proof') !== null ? await proven(api, request, index, keys) : undefined;
    const isExchange = entry.kind === 'exchange';
    const why = isExchange && origin === null ? await api.call('explainAuditEntry', request, { names: { index } }) : undefined;
    return page(api, request, {
      title: isExchange ? 'Exchange' : `Entry ${index}`, at: isExchange ? '/exchanges' : '/audit', json: origin === null ? `/api/v1/audit/${index}` : `/api/v1/audit?origin=${encodeURIComponent(origin)}&before=${Number(index) + 1}&limit=1`,
      body: html`${isExchange ? exchangeBody(entry as ExchangeEntry, why, api, request) : ''}
<section aria-labelledby="entry"><h2 id="entry">Entry ${index}${origin === null ? '' : html` of <code>${origin}</code>`}</h2>
${proof ?? (origin === null ? html`<p><a class="button" href="/exchanges/${index}?proof=1#entry">Verify that it is in the log</a></p>` : html`<p class="quiet">It was verified when it was taken; <code>weir audit verify</code> does so again beside the copy.</p>`)}
<details${isExchange ? '' : html` open`}><summary>As it was written</summary><pre class="text" tabindex="0">${JSON.stringify(entry, null, 2)}</pre></details></section>`,
    });
  };
  return [{ method: 'GET', path: '/exchanges/:index', needs: 'readAuditEntry', meaning: 'one exchange explained, or another entry; `?proof=1` verifies that it is in the log', run: show }];
}

async function shippedEntry(api: Api, request: PageRequest, index: number, origin: string): Promise<AuditEntry> {
  const { entries } = await take<{ readonly entries: readonly AuditEntry[] }>(api, request, 'listAuditEntries', { query: { origin, before: index + 1, limit: 1 } });
  if (entries[0]?.index !== index) throw new Refused({ status: 404, body: fault('not_found', `the log has no entry ${index} here`) });
  return entries[0];
}

async function proven(api: Api, request: PageRequest, index: string, keys: ExchangeParts['keys']): Promise<Html> {
  const answer = await api.call('proveAuditEntry', request, { names: { index } });
  if (answer.status >= 300) return html`<p class="fault" role="alert">Not proven: ${messageOf(answer)}</p>`;
  const proof = answer.body as EntryProof;
  const wrong = proofFault(proof, await keys());
  if (wrong !== undefined) return html`<p class="fault" role="alert">The proof does not hold: ${wrong}.</p>`;
  const [origin, size] = proof.checkpoint.split('\n', 2);
  return html`<p class="good" role="status">✓ Verified: the entry is in the log of ${origin} that the signed checkpoint of ${count(Number(size))} entries covers, ${proof.proof.length} hashes away from its root. <a href="/api/v1/audit/${index}/proof">The proof</a></p>`;
}

function exchangeBody(entry: ExchangeEntry, why: DeskAnswer | undefined, api: Api, request: PageRequest): Html {
  const action = strongest([entry.input, entry.output, entry.late].flatMap((one) => (one === undefined ? [] : [one.action])));
  const reasons = why?.status === 200 ? (why.body as { readonly decisions: readonly ExplainedRecordJson[] }).decisions : [];
  return html`
<p class="lead">${action === undefined ? '' : html`${actionBadge(action)} `}${sentence(entry)}</p>
<dl class="facts">
<div><dt>Request</dt><dd><code>${entry.request_id}</code></dd></div><div><dt>Time (UTC)</dt><dd>${timeOf(entry.started_at)}</dd></div><div><dt>Tenant</dt><dd><a href="/tenants/${entry.tenant_id}">${entry.tenant_id}</a>${entry.key_id === undefined ? '' : html`, key <code>${entry.key_id}</code>`}</dd></div>
<div><dt>Policy</dt><dd>${policyLink(entry.policy, api, request)}</dd></div><div><dt>Model</dt><dd>${entry.model ?? '–'}</dd></div><div><dt>Endpoint</dt><dd><code>${entry.method} ${entry.route}</code>${entry.stream ? ', streamed' : ''}</dd></div>
<div><dt>Answered</dt><dd>${entry.status}${entry.error_code === undefined ? '' : html` <code>${entry.error_code}</code>`}${entry.upstream_status === undefined ? '' : html`, upstream ${entry.upstream_status}`}</dd></div><div><dt>Took</dt><dd>${Math.round(entry.duration_ms)} ms${entry.time_to_first_byte_ms === undefined ? '' : html`, first byte after ${Math.round(entry.time_to_first_byte_ms)} ms`}</dd></div>
<div><dt>Held</dt><dd>at most ${count(entry.held_chars_max)} characters, ${Math.round(entry.held_ms_total)} ms in all</dd></div>${entry.session_id === undefined ? '' : html`<div><dt>Session</dt><dd><code>${entry.session_id}</code></dd></div>`}
</dl>
${why === undefined || why.status === 200 ? '' : html`<p class="quiet">Its reasons cannot be told rule by rule: ${messageOf(why)}.</p>`}
${decision('Prompt', entry.input, reasons.find(({ direction }) => direction === 'input'))}${decision('Answer', entry.output, reasons.find(({ direction }) => direction === 'output'))}${lateDecision(entry.late)}${appealForm(entry, api, request)}`;
}

/** Of an entry of this log: what is shipped here was done elsewhere. */
function appealForm({ request_id: id, input, output }: ExchangeEntry, api: Api, request: PageRequest): Piece {
  if (!api.may(request.actor, 'appealRequest') || (input ?? output) === undefined || request.query.get('origin') !== null) return '';
  return html`
<form method="post" action="/appeals" class="filter">${proofField(request)}<input type="hidden" name="request_id" value="${id}"><div class="field"><label for="f-reason">Object to what was done, because</label><input id="f-reason" name="reason" required maxlength="4000" autocomplete="off"></div><div class="field"><button>Have people look at it</button></div></form>`;
}

function sentence({ outcome, input, output, error_code: code }: ExchangeEntry): Piece {
  const rules = [...(input?.triggered_rules ?? []), ...(output?.triggered_rules ?? [])];
  return html`${outcome === 'completed' ? 'It went through' : outcome === 'blocked' ? 'It was blocked' : html`It ended as <strong>${outcome}</strong>${code === undefined ? '' : html` (<code>${code}</code>)`}`}${rules.length === 0 ? ', and no rule fired.' : html`; what decided: ${names([...new Set(rules)])}.`}`;
}

function policyLink(policy: string | undefined, api: Api, request: PageRequest): Piece {
  if (policy === undefined) return '–';
  const at = policy.lastIndexOf('@');
  const [id, revision] = [policy.slice(0, at), policy.slice(at + 1)];
  if (!api.may(request.actor, 'readPolicy')) return html`<code>${policy}</code>`;
  return html`<a href="/policies/${id}${/^\d{1,9}$/.test(revision) ? `?revision=${revision}` : ''}"><code>${policy}</code></a>`;
}

function decision(title: string, made: DecisionRecord | undefined, why: ExplainedRecordJson | undefined): Piece {
  if (made === undefined) return '';
  const { action, triggered_rules: rules, classifier_results: results, coverage, degraded, redactions, latency_ms: latencyMs, facts, shadow } = made;
  return html`<section><h2>${title} ${actionBadge(action)}</h2>
<dl class="facts"><div><dt>Rules that decided</dt><dd>${names(rules, 'none: the default')}</dd></div>${degraded.length === 0 ? '' : html`<div><dt>A fail mode decided for</dt><dd>${names(degraded)}</dd></div>`}<div><dt>Redactions</dt><dd>${count(redactions)}</dd></div><div><dt>Decided in</dt><dd>${latencyMs.toFixed(1)} ms</dd></div>
${facts?.context === undefined ? '' : html`<div><dt>Context that rules read</dt><dd>${Object.entries(facts.context).map(([key, value]) => html`<code>${key}</code> ${value === null ? html`<span class="quiet">none</span>` : String(value)} `)}</dd></div>`}
<div><dt>Looked at</dt><dd>${names(coverage.screened, coverage.nothing_to_screen === true ? 'there was nothing' : 'nothing')}</dd></div>${coverage.exempt.length === 0 ? '' : html`<div><dt>Exempt</dt><dd>${coverage.exempt.map(({ carrier, rule }) => html`<code>${carrier}</code> by ${rule} `)}</dd></div>`}${coverage.opaque.length === 0 ? '' : html`<div><dt>Not readable</dt><dd>${coverage.opaque.map(({ carrier, kind, treatment }) => html`<code>${carrier}</code> ${kind}: ${treatment} `)}</dd></div>`}
${shadow === undefined ? '' : html`<div><dt>Shadow <code>${shadow.policy}</code></dt><dd>would have: ${actionBadge(shadow.action)} ${names(shadow.triggered_rules)}</dd></div>`}</dl>
${reasonsBody(why)}<h3>Scores</h3>${scoreBars(linesOf(results))}</section>`;
}

function reasonsBody(why: ExplainedRecordJson | undefined): Piece {
  if (why === undefined) return '';
  return html`<h3>Why</h3>${why.problem === undefined ? '' : html`<p class="quiet">${why.problem}</p>`}${why.rules === undefined ? '' : ruleTraces(why.triggered_rules ?? [], why.rules)}`;
}

function lateDecision(late: LateRecord | undefined): Piece {
  if (late === undefined) return '';
  return html`<section><h2>Heard afterwards ${actionBadge(late.action)}</h2><dl class="facts"><div><dt>About the</dt><dd>${late.direction}</dd></div><div><dt>Rules</dt><dd>${names(late.triggered_rules)}</dd></div><div><dt>Done</dt><dd>${names(late.acted, 'nothing')}</dd></div><div><dt>After</dt><dd>${late.latency_ms.toFixed(0)} ms</dd></div></dl>${scoreBars(linesOf(late.classifier_results))}</section>`;
}

function linesOf(results: DecisionRecord['classifier_results']): readonly ScoreLine[] {
  return results.map(({ classifier_id: id, category, score, unknown, count: places }) => ({ name: `${id}.${category}`, score, unknown, note: places > 1 ? `in ${places} places` : '' }));
}
