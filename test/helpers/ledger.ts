/**
 * The sums of the accounting: what callers noted, what the audit log, the metrics and the store say, each read from where
 * anybody can read it. Where they differ, the difference is named.
 */
import { join } from 'node:path';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';
import { FAULTS, faultOf } from '../../src/contract/fault.ts';
import { ask } from './admin.ts';
import { linesOf } from './audit.ts';
import type { Note } from './callers.ts';

export type Sums = Readonly<Record<string, number>>;

/** Closing entries in the order of the log. */
export function entriesOf(dir: string): readonly ExchangeRecord[] {
  return linesOf(join(dir, 'data/audit')).map((line) => JSON.parse(line) as ExchangeRecord).filter(({ kind }) => kind === 'exchange');
}

/** Values of one metric by one of its labels, or all together under ''. */
export function readMetric(text: string, name: string, label?: string): Sums {
  const sums: Record<string, number> = {};
  for (const [, labels = '', value] of text.matchAll(new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)`, 'gm'))) {
    const key = label === undefined ? '' : new RegExp(`${label}="([^"]*)"`).exec(labels)?.[1] ?? '';
    sums[key] = (sums[key] ?? 0) + Number(value);
  }
  return sums;
}

export function total(sums: Sums): number {
  return Object.values(sums).reduce((sum, value) => sum + value, 0);
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string | undefined): Sums {
  return Object.fromEntries([...Map.groupBy(items, keyOf)].flatMap(([key, of]) => (key === undefined ? [] : [[key, of.length] as const])));
}

/** Without what is 0. */
export const counted = (sums: Sums): Sums => Object.fromEntries(Object.entries(sums).filter(([, value]) => value !== 0).sort(([a], [b]) => (a < b ? -1 : 1)));

/** What the metrics of a process must say of these entries. */
export function expected(entries: readonly ExchangeRecord[]): { readonly outcomes: Sums; readonly faults: Sums; readonly codes: Sums } {
  return { outcomes: counted(countBy(entries, ({ outcome }) => outcome)), faults: counted(countBy(entries, faultOf)), codes: counted(countBy(entries, ({ error_code: code }) => code)) };
}

/** What they say. */
export function measured(text: string): ReturnType<typeof expected> {
  const faults = readMetric(text, 'weir_answers_total', 'fault');
  if (Object.keys(faults).length !== FAULTS.length) throw new Error('a fault is not told');
  return { outcomes: counted(readMetric(text, 'weir_exchanges_total', 'outcome')), faults: counted(faults), codes: counted(readMetric(text, 'weir_errors_total', 'code')) };
}

/** Rows and counts of the store, over the API. */
export async function storedOf(adminUrl: string, token: string, sinceMs: number): Promise<{ readonly ids: readonly string[]; readonly counts: number; readonly outcomes: Sums }> {
  const ids: string[] = [];
  for (let before = ''; ;) {
    const { status, body, text } = await ask(adminUrl, `/api/v1/decisions?limit=500${before === '' ? '' : `&before=${before}`}`, { token });
    if (status !== 200) throw new Error(text);
    ids.push(...body.decisions.map(({ request_id: id }: { readonly request_id: string }) => id));
    if (body.next === null) break;
    before = body.next;
  }
  const { status, body, text } = await ask(adminUrl, `/api/v1/decisions/counts?span=minute&since=${new Date(sinceMs - 60_000).toISOString()}&until=${new Date(Date.now() + 60_000).toISOString()}`, { token });
  if (status !== 200) throw new Error(text);
  const of = (measure: string): readonly { readonly name: string | null; readonly total: number }[] => body.counts.filter((one: { readonly direction: string | null; readonly measure: string }) => one.direction === null && one.measure === measure);
  return { ids, counts: of('exchanges').reduce((sum, { total: more }) => sum + more, 0), outcomes: counted(Object.fromEntries(of('outcome').map(({ name, total: more }) => [name ?? '', more]))) };
}

/** How a process ended after these requests. */
export type End = 'none' | 'killed' | 'stopped';

/**
 * Requests that must have an entry, and those of which nobody can tell: what was under way when the process was killed, and
 * what it never accepted before it stopped.
 */
export function reckon(notes: readonly Note[], end: End): { readonly certain: readonly Note[]; readonly unsure: readonly Note[] } {
  const asked = notes.filter(({ becomes }) => becomes === 'exchange');
  const isSure = ({ id, isWhole, isRelaxed }: Note): boolean => end === 'none' || (id !== undefined && (end === 'stopped' || (isWhole && !isRelaxed)));
  return { certain: asked.filter(isSure), unsure: asked.filter((note) => !isSure(note)) };
}
