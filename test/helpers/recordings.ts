/**
 * Recorded provider answers and tables of the wire, where they are: `WEIR_TEST_DATA`, or `../shared` beside the
 * checkout. Tests that use them skip with a reason where there are none.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Recording {
  readonly file: string;
  readonly api: string;
  readonly stream: boolean;
  readonly status: number;
  readonly bytes: Buffer;
  /** The JSON body that asked for it, where that was recorded too. */
  readonly request?: Buffer;
}

const root = process.env.WEIR_TEST_DATA ?? join(import.meta.dirname, '..', '..', '..', 'shared');
const index = join(root, 'fixtures', 'index.json');

export const skipReason: string | false = existsSync(index) ? false : 'no recorded answers: set WEIR_TEST_DATA to a folder that holds fixtures/index.json';

/** Recordings of one API, those marked as doubtful left out. */
export function recordings(api: string): Recording[] {
  if (skipReason !== false) return [];
  const { entries } = JSON.parse(readFileSync(index, 'utf8')) as { entries: readonly { file: string; api: string; stream: boolean; suspect: unknown; http_status: unknown; request_file: string | null }[] };
  return entries
    .filter((entry) => entry.api === api && !entry.suspect)
    .map((entry) => ({ file: entry.file, api, stream: entry.stream, status: parseInt(String(entry.http_status ?? 200), 10), bytes: readFileSync(join(root, 'fixtures', entry.file)), request: entry.request_file === null ? undefined : readFileSync(join(root, 'fixtures', entry.request_file)) }));
}

/** A table of the wire, `design/NAME`; undefined where it is not there. */
export function wireTable<Table>(name: string): Table | undefined {
  const file = join(root, 'design', name);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Table) : undefined;
}
