/** The audit log itself: its newest checkpoint, who signs it, entries of every kind, logs that are shipped here, and how to verify all of it without us. */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { LogSummary } from '../audit/collector.ts';
import type { AuditEntry } from '../audit/entries.ts';
import type { ExchangeParts } from './exchange.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { choice, count, field, given, givenNumber, link, shortId, timeOf } from './parts.ts';
import { take } from './refusal.ts';

const ROWS_MAX = 50;
const KINDS: readonly (readonly [string, string])[] = [
  ['', 'all'],
  ['exchange', 'exchanges'],
  ['review', 'verdicts and objections'],
  ['policy_change', 'changes of policies'],
  ['key_change', 'changes of keys'],
  ['access_change', 'access'],
  ['campaign', 'campaigns'],
  ['annotation', 'labelling'],
  ['model_change', 'changes of models'],
  ['erasure', 'erasures'],
  ['keeper_gone', 'processes that are gone'],
  ['pruned', 'retention'],
  ['key_rotation', 'new signing keys'],
  ['content_key_rotation', 'new content keys'],
  ['shipped_log', 'logs shipped here'],
  ['recovered', 'recoveries'],
  ['lost', 'losses'],
  ['loss_accepted', 'accepted losses'],
];

export function auditPages({ keys }: Pick<ExchangeParts, 'keys'>): readonly Page[] {
  const show = async (api: Api, request: PageRequest): Promise<DeskAnswer> => {
    const { query } = request;
    const asked = { kind: given(query, 'kind'), author: given(query, 'author'), origin: given(query, 'origin'), before: givenNumber(query, 'before', 15), limit: ROWS_MAX };
    const note = await take<string>(api, request, 'readCheckpoint');
    const { entries, next } = await take<{ readonly entries: readonly AuditEntry[]; readonly next: number | null }>(api, request, 'listAuditEntries', { query: asked });
    const origins = api.may(request.actor, 'listOrigins') ? await api.call('listOrigins', request) : undefined;
    return page(api, request, {
      title: 'Audit log', at: '/audit', json: link('/api/v1/audit', new URLSearchParams(), asked),
      body: html`
<form method="get" class="filter" role="search">${choice('Kind', 'kind', KINDS, query.get('kind'))}${field('By', 'author', query.get('author'), html` data-search`)}${field('Log (empty: this one)', 'origin', query.get('origin'))}<div class="field"><button>Show</button></div></form>
${entries.length === 0 ? html`<p>No entry is like that.</p>` : entryTable(entries, asked.origin)}
${next === null ? html`<p class="quiet">These are all.</p>` : html`<p><a class="button" rel="next" href="${link('/audit', query, { before: next })}">Older</a></p>`}
${checkpointBody(note)}
${api.may(request.actor, 'listAuditEntries') ? html`<h2>Erasures</h2><p><a class="button" href="/audit/erasures">What was erased of kept content</a></p>` : ''}
<h2>Verify it yourself</h2>
<p>Beside the log: <code>weir audit verify</code>. One entry, without the log: <code>weir audit verify --proof FILE --key KEY</code>. Whoever keeps a checkpoint can show later, with <code>weir audit consistency</code>, that nothing before it was changed. Public keys of this log:</p>
<pre class="text" tabindex="0">${(await keys()).map(({ text }) => text).join('\n') || 'none is published yet'}</pre>
${origins?.status === 200 ? originTable((origins.body as { readonly origins: readonly LogSummary[] }).origins) : ''}`,
    });
  };
  return [{ method: 'GET', path: '/audit', needs: 'readCheckpoint', meaning: 'entries of every kind, the newest checkpoint, logs that are shipped here', run: show }];
}

function checkpointBody(note: string): Piece {
  const [origin, size, root] = note.split('\n', 3);
  return html`<h2>Newest checkpoint</h2>${note.trim() === '' ? html`<p>There is none yet.</p>` : html`<p>Of <code>${origin}</code>: ${count(Number(size))} entries, root <code>${root}</code></p><details><summary>The signed note</summary><pre class="text" tabindex="0">${note}</pre></details>`}`;
}

function entryTable(entries: readonly AuditEntry[], origin: string | undefined): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Entries"><table class="rows"><thead><tr><th scope="col" class="number">Entry</th><th scope="col">Time (UTC)</th><th scope="col">Kind</th><th scope="col">By</th><th scope="col">About</th></tr></thead><tbody>${entries.map((entry) => html`
<tr data-row><td class="number"><a href="${link(`/exchanges/${entry.index}`, new URLSearchParams(), { origin })}" data-open>${entry.index}</a></td><td>${timeOf(entry.time)}</td><td>${entry.kind}${typeof entry['change'] === 'string' ? html`: ${entry['change']}` : ''}</td><td>${typeof entry['author'] === 'string' ? entry['author'] : '–'}</td><td>${aboutOf(entry)}</td></tr>`)}
</tbody></table></div>`;
}

function aboutOf({ kind, ...entry }: AuditEntry): Piece {
  if (kind === 'exchange') return html`tenant ${String(entry['tenant_id'])}, request ${shortId(String(entry['request_id']))}`;
  if (typeof entry['policy_id'] === 'string') return html`policy ${entry['policy_id']}, revision ${String(entry['revision'])}`;
  return ['name', 'key_id', 'tenant_id', 'id'].flatMap((member) => (typeof entry[member] === 'string' ? [entry[member]] : [])).slice(0, 2).join(', ');
}

function originTable(origins: readonly LogSummary[]): Piece {
  if (origins.length === 0) return '';
  return html`<h2>Logs shipped here</h2><div class="scroll" tabindex="0" role="region" aria-label="Logs shipped here"><table class="rows"><thead><tr><th scope="col">Log</th><th scope="col" class="number">Entries</th><th scope="col" class="number">Behind</th><th scope="col">Heard of (UTC)</th><th scope="col">State</th></tr></thead><tbody>${origins.map(({ log, entries, lag, seen_at: at, refused }) => html`
<tr data-row><td><a href="${link('/audit', new URLSearchParams(), { origin: log })}" data-open>${log}</a></td><td class="number">${count(entries)}</td><td class="number">${lag === null ? '–' : count(lag)}</td><td>${timeOf(at)}</td><td>${refused === null ? 'taken' : html`<strong>refused</strong>: ${refused.reason}`}</td></tr>`)}
</tbody></table></div>`;
}
