/** `weir audit export`: the entries of the log, one to a line, for other tools. It does not verify them. */
import { join } from 'node:path';
import { listSegments, readIfThere } from '../../audit/segments.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { readTimeRange } from '../time.ts';
import { logFolder } from './place.ts';

const OPTIONS = { since: 'value', until: 'value', tenant: 'value', kind: 'value', dir: 'value', json: 'flag', config: 'value' } as const;

interface Entry {
  readonly index: number;
  readonly time: string;
  readonly kind: string;
  readonly tenant_id?: string;
  readonly request_id?: string;
  readonly outcome?: string;
}

export async function exportAudit(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, OPTIONS, 0);
  const dir = await logFolder(options, io);
  const nowMs = Date.now();
  const { sinceMs, untilMs } = readTimeRange(options, nowMs);
  if (sinceMs >= untilMs) throw new UsageError('--since is not before --until');
  const isWanted = ({ time, kind, tenant_id: tenant }: Entry): boolean => {
    const at = Date.parse(time);
    return at >= sinceMs && at < untilMs && (options.kind === undefined || kind === options.kind) && (options.tenant === undefined || tenant === options.tenant);
  };
  let strange = 0;
  for (const name of await listSegments(dir)) {
    const bytes = (await readIfThere(join(dir, name))) ?? Buffer.alloc(0); // pruned meanwhile
    for (let at = 0, end = bytes.indexOf(0x0a); end !== -1; at = end + 1, end = bytes.indexOf(0x0a, at)) {
      const line = bytes.toString('utf8', at, end);
      const entry = entryOf(line);
      if (entry === undefined) strange++;
      else if (isWanted(entry)) io.stdout(options.json ? `${line}\n` : row(entry));
    }
  }
  if (strange === 0) return 0;
  io.stderr(`weir audit export: ${strange} lines are no entries and were left out; weir audit verify tells the first place\n`);
  return 1;
}

function entryOf(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<Entry> | null;
    return typeof entry?.index === 'number' && typeof entry.time === 'string' && typeof entry.kind === 'string' ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
}

function row({ index, time, kind, tenant_id: tenant = '-', request_id: request = '-', outcome = '-' }: Entry): string {
  return `${String(index).padStart(9)}  ${time}  ${kind.padEnd(14)}  ${tenant}  ${request}  ${outcome}\n`;
}
