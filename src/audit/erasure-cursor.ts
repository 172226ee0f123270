/**
 * How far this process has carried out the erasures of its fleet: a small file beside the content, so that content that is
 * put back from an older copy comes with the place from which its erasures are carried out again. Replaced whole.
 */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { daysOf } from './content-files.ts';
import { readIfThere, replaceFile } from './segments.ts';

/** The newest that was carried out; `number` 0: none was. */
export interface ErasureMark {
  readonly number: number;
  readonly id: string;
  /** Index of the entry that says so; absent: it came before this process. */
  readonly entry?: number | undefined;
}

export interface ErasureState {
  /** Names this folder, wherever it lies. */
  readonly keeper: string;
  /** Absent: it has not heard of any fleet yet. */
  readonly mark?: ErasureMark | undefined;
}

export const NO_ERASURE: ErasureMark = { number: 0, id: '' };

/** No tenant can have this name. */
const STATE_FILE = '.erasures.json';

/** What cannot be read counts as none: then all are carried out again. */
export async function readErasureState(contentDir: string): Promise<ErasureState> {
  const text = (await readIfThere(join(contentDir, STATE_FILE)))?.toString('utf8');
  if (text === undefined) return { keeper: randomUUID() };
  try {
    const { keeper, mark } = JSON.parse(text) as ErasureState;
    if (typeof keeper === 'string' && keeper !== '' && (mark === undefined || (Number.isSafeInteger(mark.number) && typeof mark.id === 'string'))) return { keeper, mark };
  } catch {
    // as below
  }
  return { keeper: randomUUID(), mark: NO_ERASURE };
}

export async function writeErasureState(contentDir: string, state: ErasureState): Promise<void> {
  await mkdir(contentDir, { recursive: true, mode: 0o700 });
  await replaceFile(join(contentDir, STATE_FILE), `${JSON.stringify(state)}\n`);
}

/** Whether anything is kept there. */
export async function hasContent(contentDir: string): Promise<boolean> {
  return (await daysOf(contentDir)).length > 0;
}
