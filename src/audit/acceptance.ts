/**
 * Goes on with a damaged log on an operator's word: what holds stays, everything as it was is copied to a folder beside
 * it, and an entry tells what was lost. It hides nothing: a checkpoint that covers what is lost, kept elsewhere, fits the
 * log no more, and the copy can be looked at.
 */
import { copyFile, mkdir, open, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { WeirError } from '../contract/errors.ts';
import { checkLog, type LogCheck } from './check.ts';
import { checkpointPieces, openCheckpoints } from './checkpoint-file.ts';
import type { LossAcceptedRecord } from './entry.ts';
import { readSigner } from './key.ts';
import { lockFolder } from './lock.ts';
import { openAuditLog, type AuditLogOptions } from './log.ts';
import { publishedKeys } from './recovery.ts';
import { CHECKPOINTS_FILE, cutFile, EDGE_FILE, firstIndexOf, ignoreMissing, listSegments, PRUNED_FILE, readSegment, syncFolder } from './segments.ts';
import type { Damage } from './verify.ts';

export interface Acceptance {
  readonly reason: string;
  /** Entries that are still there. */
  readonly kept: number;
  readonly count: number;
  readonly setAside?: string;
}

/** Undefined when there is nothing to accept. `keyLost`: another key may sign from now on. */
export async function acceptLoss(options: AuditLogOptions, keyLost: boolean): Promise<Acceptance | undefined> {
  const { dir } = options;
  const unlock = lockFolder(dir);
  let accepted: Acceptance;
  let check: LogCheck;
  let isOwnKeyKnown = false;
  try {
    const own = await readSigner(options.keyFile, options.origin).catch(() => undefined);
    const published = await publishedKeys(dir);
    isOwnKeyKnown = published.some(({ text }) => text === own?.public.text);
    check = await checkLog({ dir, keys: [...published, ...(own === undefined ? [] : [own.public])] });
    if (check.damage === undefined && !keyLost) return undefined;
    const [begin] = await listSegments(dir, check.first);
    // Going on from entry 0 would cut all that is there off.
    if (check.damage !== undefined && begin !== undefined && (check.damage.segment === PRUNED_FILE || check.damage.index < firstIndexOf(begin))) throw new WeirError('audit_unavailable', `the beginning of the audit log is lost, and ${begin} is there; put what is missing back, or the file ${PRUNED_FILE}, from a copy, or move the folder away to begin another log`);
    const { damage, newest, entries } = check;
    const kept = damage === undefined || damage.segment === CHECKPOINTS_FILE && damage.line > 0 ? entries : damage.index;
    const count = Math.max(0, (newest?.size ?? 0) - kept);
    accepted = damage === undefined ? { reason: 'the signing key was lost', kept, count } : { reason: placed(damage), kept, count, setAside: await cutLog(dir, damage, kept, new Date(options.clock())) };
  } finally {
    unlock();
  }
  const record: LossAcceptedRecord = { kind: 'loss_accepted', reason: accepted.reason, count: accepted.count, checkpoint: check.newest?.note, set_aside: accepted.setAside };
  // The entry that named the key may be among the lost.
  const log = await openAuditLog({ ...options, acceptKey: keyLost || (check.damage !== undefined && isOwnKeyKnown) });
  try {
    await log.append(record, 'strict');
  } finally {
    await log.close();
  }
  return accepted;
}

function placed({ segment, line, reason }: Damage): string {
  return line === 0 ? reason : `${segment} ${segment === CHECKPOINTS_FILE ? 'note' : 'line'} ${line}: ${reason}`;
}

/** Leaves `kept` entries and the checkpoints that fit them. Returns the folder of the copies. */
async function cutLog(dir: string, damage: Damage, kept: number, now: Date): Promise<string> {
  const name = `set-aside-${now.toISOString().replaceAll(/[:.]/g, '-')}`;
  const aside = join(dir, name);
  await mkdir(aside, { mode: 0o700 });
  const segments = await listSegments(dir);
  const cut = segments.slice(Math.max(0, segments.findLastIndex((segment) => firstIndexOf(segment) <= kept)));
  const hasNotes = (await stat(join(dir, CHECKPOINTS_FILE)).catch(ignoreMissing)) !== undefined;
  for (const file of [...cut, ...(hasNotes ? [CHECKPOINTS_FILE] : [])]) await copyDurably(join(dir, file), join(aside, file));
  await syncFolder(aside);
  // Checkpoints first: cut short here, the log is still one that does not open, and this is done again.
  const faultyNote = damage.segment === CHECKPOINTS_FILE && damage.line > 0 ? damage.line : Infinity;
  await cutCheckpoints(dir, kept, faultyNote);
  await rm(join(dir, EDGE_FILE), { force: true });
  for (const segment of [...cut].reverse()) await cutSegment(dir, segment, kept);
  await syncFolder(dir);
  return name;
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const file = await open(to, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Leaves the checkpoints before the first that covers more than `kept` entries, or is the faulty one. They grow from one to the next. */
async function cutCheckpoints(dir: string, kept: number, faultyNote: number): Promise<void> {
  const file = await openCheckpoints(dir);
  if (file === undefined) return;
  try {
    await cutFile(join(dir, CHECKPOINTS_FILE), await fittingBytes(file, kept, faultyNote));
  } finally {
    await file.close();
  }
}

async function fittingBytes(file: FileHandle, kept: number, faultyNote: number): Promise<number> {
  let [count, end] = [0, 0];
  for await (const { checkpoints, from } of checkpointPieces(file, (await file.stat()).size)) {
    end = from;
    for (const { size, note } of checkpoints) {
      if (size > kept || ++count >= faultyNote) return end;
      end += Buffer.byteLength(note) + 1;
    }
  }
  return end;
}

/** Leaves the entries below `kept`, and no file without any. */
async function cutSegment(dir: string, segment: string, kept: number): Promise<void> {
  const lines = kept - firstIndexOf(segment);
  if (lines <= 0) return rm(join(dir, segment));
  const bytes = await readSegment(dir, segment);
  let end = 0;
  for (let line = 0; line < lines; line++) end = bytes.indexOf(0x0a, end) + 1;
  await cutFile(join(dir, segment), end);
}
