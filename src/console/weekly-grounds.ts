/** What a weekly report rests on: what was changed in its time, the checkpoints of the audit logs, methods and limits. Pure. */
import type { WeeklyDocument } from '../report/weekly/document.ts';
import type { WeeklyFindings } from '../report/weekly/findings.ts';
import { html, type Html } from './html.ts';
import { count } from './parts.ts';
import { dataTable, timeText } from './weekly-parts.ts';

export function changesSection({ changes: { policies, models, new_revisions: fresh } }: WeeklyFindings): Html {
  const names = models.map(({ plugin, change, model_id: id, from_model_id: from, at }) => [timeText(at), `Classifier ${plugin}`, `${change === 'promote' ? 'another model works' : 'brought back'}: ${id ?? 'what is shipped'} in place of ${from ?? 'what is shipped'}`, 'an operator']);
  const rows = [...policies.map(({ at, policy, revision, change, author }) => [timeText(at), `Policy ${policy}`, change === 'retired' ? `retired (revision ${revision})` : `revision ${revision} stored`, author]), ...names].sort(([a], [b]) => (a! < b! ? -1 : 1));
  return html`<section><h2>Changes</h2>
${rows.length === 0 ? html`<p>No stored policy of this tenant and no classifier’s model was changed.</p>` : dataTable('Policies and classifiers', ['When (UTC)', 'Of what', 'What', 'By'], rows)}
<p>${fresh === null ? 'Which revisions are new is not known.' : fresh.length === 0 ? 'No revision of a policy decided that had not decided the week before.' : html`Decided for the first time against the week before: ${fresh.map((name, at) => html`${at === 0 ? '' : ', '}<code>${name}</code>`)}.`}</p></section>`;
}

export function basisSection({ basis, findings_sha256: findingsSha256, tenant_id: tenant, findings: { volume, left_out: leftOut } }: WeeklyDocument, sha256: string): Html {
  return html`<section><h2>What it rests on</h2>
<p>Counts are made from the closing entries of the audit log; ${count(volume.exchanges.total)} of them are of this tenant and time. The checkpoints below are anchors: keep this report, and <code>weir audit verify</code> with one of them shows later that nothing before it was rewritten.${leftOut === 0 ? '' : ` ${count(leftOut)} names are left out of the lists above, as there are too many.`}</p>
<dl class="facts"><dt>SHA-256 of the JSON</dt><dd><code>${sha256}</code></dd><dt>SHA-256 of the findings</dt><dd><code>${findingsSha256}</code></dd><dt>Verify this report</dt><dd><code>weir report verify FILE --key KEY</code></dd><dt>Count the entries anew</dt><dd><code>weir audit export --json</code>, entries of kind <code>exchange</code> of tenant <code>${tenant}</code>, by their <code>time</code></dd></dl>
${basis.length === 0 ? html`<p>No audit log is at hand.</p>` : basis.map(({ log, entries, checkpoint, key }) => html`<h3>Log ${log}</h3><p class="small">${checkpoint === '' ? 'It has no checkpoint yet.' : `Its newest checkpoint covers ${count(entries)} entries.`} Key: <code>${key}</code></p>${checkpoint === '' ? '' : html`<pre tabindex="0">${checkpoint}</pre>`}`)}</section>`;
}

export function methodsSection({ methods, limits, mapping }: WeeklyDocument): Html {
  return html`<section class="small"><h2>Methods</h2>${methods.map(({ title, text }) => html`<h3>${title}</h3><p>${text}</p>`)}
<h2>What these numbers are not</h2><ul>${limits.map((text) => html`<li>${text}</li>`)}</ul>
<h2>Evidence for</h2><p>${mapping.note}</p>${dataTable('Frameworks', ['Framework', 'Part', 'What of this report'], mapping.rows.map(({ framework, part, evidence }) => [framework, part, evidence]))}</section>`;
}
