/** `weir audit verify`: the whole log, or one proof, against the public key. */
import { checkLog, type LogCheck } from '../../audit/check.ts';
import { checkContent, type ContentCheck } from '../../audit/content-check.ts';
import { proofFault } from '../../audit/proof-check.ts';
import { CHECKPOINTS_FILE } from '../../audit/segments.ts';
import { parseCall, type Io } from '../command.ts';
import { countingKeepers, countingKeys, logFolder, readNamed, readNoteFile } from './place.ts';

const OPTIONS = { since: 'value', key: 'value', keeper: 'value', proof: 'value', content: 'value', dir: 'value', json: 'flag', config: 'value' } as const;
const PROGRESS_MS = 250;

export async function verifyAudit(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, OPTIONS, 0);
  const dir = await logFolder(options, io);
  const keys = await countingKeys(options.key, dir);
  if (options.proof !== undefined) {
    const fault = proofFault(parsed(await readNamed(options.proof)), keys);
    io.stdout(options.json ? `${JSON.stringify({ ok: fault === undefined, reason: fault })}\n` : `${options.proof}: ${fault ?? 'it holds'}\n`);
    return fault === undefined ? 0 : 1;
  }
  const since = options.since === undefined ? undefined : await readNoteFile(options.since);
  const began = performance.now();
  const check = await checkLog({ dir, keys, keepers: await countingKeepers(options, dir), since, progress: progressOf(io) });
  const seconds = (performance.now() - began) / 1e3;
  const fault = check.damage === undefined ? unsignedFault(check, options.key) : undefined;
  const content = options.content === undefined ? undefined : await checkContent(dir, options.content);
  const ok = check.damage === undefined && fault === undefined && (content?.altered ?? 0) === 0;
  io.stdout(options.json ? `${JSON.stringify({ ...resultOf(check, dir), ok, reason: fault, content: content && contentResultOf(content), seconds: Number(seconds.toFixed(3)) })}\n` : textOf(check, dir, fault, seconds) + (content === undefined ? '' : contentTextOf(content)));
  return ok ? 0 : 1;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whoever names a key expects signatures. Without one, a log of a time before checkpoints is only told to have none. */
function unsignedFault({ newest, entries }: LogCheck, key: string | undefined): string | undefined {
  return key !== undefined && newest === undefined && entries > 0 ? 'no checkpoint is there, so nothing is signed' : undefined;
}

function progressOf(io: Io): (bytes: number, total: number) => void {
  let told = performance.now();
  return (bytes, total) => {
    if (!io.isTerminal || performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    io.stderr(bytes === total ? '\r\u001b[K' : `\r${Math.floor((bytes / total) * 100)} % of ${Math.ceil(total / 1e6)} MB\u001b[K`);
  };
}

function resultOf({ entries, first, pruned, bytes, head, root, checkpoints, newest, tornBytes, tornNoteBytes, losses, rotations, damage }: LogCheck, dir: string): Record<string, unknown> {
  return { dir, entries, first_entry: first, pruned, bytes, head, root, checkpoints, signed_entries: newest?.size ?? 0, torn_bytes: tornBytes, torn_note_bytes: tornNoteBytes, losses, rotations, damage };
}

function contentResultOf({ sound, erased, missing, altered, firstAltered }: ContentCheck): Record<string, unknown> {
  return { sound, erased, missing, altered, first_altered: firstAltered && { index: firstAltered.index, request_id: firstAltered.requestId } };
}

function contentTextOf({ sound, erased, missing, altered, firstAltered }: ContentCheck): string {
  const counts = `content: ${sound} texts are those of their entries, ${erased} erased, ${missing} not there\n`;
  return altered === 0 ? counts : `${counts}ALTERED: ${altered} texts are not those of their entries, the newest of entry ${firstAltered!.index}\n`;
}

function textOf(check: LogCheck, dir: string, fault: string | undefined, seconds: number): string {
  const { entries, first, pruned, damage, newest, tornBytes, tornNoteBytes, losses, rotations } = check;
  const lines = [`${dir}: ${entries} entries, ${check.checkpoints} checkpoints, ${seconds.toFixed(1)} s`];
  if (damage !== undefined) {
    const place = damage.line === 0 ? damage.segment : `${damage.segment} ${damage.segment === CHECKPOINTS_FILE ? 'note' : 'line'} ${damage.line}`;
    lines.push(`DAMAGED at ${place}, entry ${damage.index}: ${damage.reason}`);
  } else if (fault !== undefined) lines.push(`NOT SOUND: ${fault}`);
  else lines.push(newest === undefined ? 'sound as far as it can be told: no checkpoint is there, so nothing is signed' : `sound; ${newest.size} entries are signed, root ${newest.root}`);
  if (damage === undefined && newest !== undefined && entries > newest.size) lines.push(`${entries - newest.size} entries after the newest checkpoint are chained and not signed yet`);
  if (pruned !== undefined) lines.push(`it begins at entry ${first}: the entries before it had passed their retention and were pruned, as entry ${pruned.index}${pruned.keeper === undefined ? '' : ` of the log ${pruned.keeper}, whose copy this is,`} of ${pruned.time} says; nothing can be verified before it`);
  if (tornBytes > 0) lines.push(`the last line is unfinished (${tornBytes} bytes), as a crash leaves it`);
  if (tornNoteBytes > 0) lines.push(`the last checkpoint is unfinished (${tornNoteBytes} bytes), as a crash leaves it`);
  if (rotations > 0) lines.push(`${rotations} key ${rotations === 1 ? 'rotation' : 'rotations'}`);
  for (const { index, reason, count } of losses) lines.push(`entry ${index}: an operator accepted a loss of ${count} entries or more: ${reason}`);
  return `${lines.join('\n')}\n`;
}
