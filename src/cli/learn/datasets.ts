/** `weir learn collect`, `datasets` and `export`: versions of the data set from a terminal. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Dataset, DatasetLosses } from '../../contract/learning.ts';
import { collect } from '../../learn/collect.ts';
import { ensureHashKey, readHashKey } from '../../runtime.ts';
import { author, tableText } from '../beside.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { bars } from './progress.ts';
import { goneText, onPlace, rowsOfVersion, taxonomyNow } from './place.ts';

const LISTED = 50;

export async function collectRows(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { since: 'value', json: 'flag', config: 'value' }, 0);
  const since = options.since ?? '';
  if (since !== '' && Number.isNaN(Date.parse(since))) throw new UsageError(`--since takes a time such as 2030-01-31T00:00:00Z, got ${JSON.stringify(since)}`);
  return onPlace(options.config, io, async (place) => {
    const { taxonomy, sha256 } = taxonomyNow();
    ensureHashKey(place.config.data_dir);
    const { dataset, isNew } = await collect({ ...place, key: readHashKey(place.config.data_dir), progress: bars(io) }, {
      consent: place.consent, taxonomy: { version: taxonomy.version, sha256, categories: taxonomy.categories.map(({ id }) => id) }, software: softwareVersion(),
      since: since === '' ? '' : new Date(since).toISOString(), keepDays: place.config.learn.keep_days, author: author(), now: new Date(),
    });
    const { dataset_id: id, about } = dataset;
    if (isNew) await place.audit({ change: 'collected', author: author(), dataset: id, sha256: dataset.sha256, tenants: Object.keys(about.by_tenant), count: about.rows });
    io.stdout(options.json ? `${JSON.stringify({ ...dataset, is_new: isNew })}\n` : `${isNew ? '' : 'nothing new since it was made: '}${textOf(dataset)}`);
    return 0;
  });
}

export async function listDatasets(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { json: 'flag', config: 'value' }, 0);
  return onPlace(options.config, io, async ({ store }) => {
    const found: (Dataset & { readonly lost: DatasetLosses })[] = [];
    for (const dataset of await store.list(LISTED)) found.push({ ...dataset, lost: await store.losses(dataset.dataset_id) });
    if (options.json) io.stdout(`${JSON.stringify({ datasets: found })}\n`);
    else io.stdout(found.length === 0 ? 'there is none; weir learn collect makes one\n' : tableText([['version', 'made', 'by', 'rows', 'held out', 'tenants', 'erased', 'expired'], ...found.map(({ dataset_id: id, created_at: at, created_by: by, about, lost }) => [id, at.slice(0, 16), by, String(about.rows), String(about.parts.held_out), Object.keys(about.by_tenant).join(','), String(lost.erased), String(lost.expired)])]));
    return 0;
  });
}

export async function exportRows(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { dataset: 'value', out: 'value', config: 'value' }, 0);
  return onPlace(options.config, io, async (place) => {
    const { dataset, rows, gone } = await rowsOfVersion(place, options.dataset ?? 'latest');
    // The entry is there before the texts are.
    await place.audit({ change: 'exported', author: author(), dataset: dataset.dataset_id, sha256: dataset.sha256, tenants: [...new Set(rows.map(({ tenant_id: id }) => id))].sort(), count: rows.length });
    const lines = rows.map(({ tenant_id: tenant, content: _, number: __, near: ___, ...row }) => `${JSON.stringify({ ...row, tenant })}\n`).join('');
    if (options.out === undefined) io.stdout(lines);
    else await writeFile(options.out, lines, { mode: 0o600 });
    io.stderr(`${rows.length} rows of ${dataset.dataset_id}${goneText(gone)}${options.out === undefined ? '' : ` are in ${options.out}, in clear`}\n`);
    return 0;
  });
}

function textOf({ dataset_id: id, about: { rows, parts, by_tenant, by_source, by_category, people, left_out } }: Dataset): string {
  const counts = (of: Readonly<Record<string, number>>): string => Object.entries(of).map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
  const known = Object.entries(by_category).filter(([, { violations }]) => violations > 0).map(([category, { violations, safe }]) => `  ${category.padEnd(32)} ${violations} violations, ${safe} safe\n`);
  return `${id}: ${rows} rows, ${parts.held_out} of them held out\n  tenants: ${counts(by_tenant)}; from: ${counts(by_source)}\n  left out: ${counts(left_out as Readonly<Record<string, number>>)}\n${known.join('')}${people.map((one) => `  ${one.id.padEnd(32)} decided ${one.rows}, found ${one.violations} violations\n`).join('')}`;
}

function softwareVersion(): string {
  return (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { readonly version: string }).version;
}
