/**
 * Keeps a second process of this machine from writing to the same audit log, which would break its chain. The lock is a
 * file that names its holder; a holder that is gone, or whose process id now belongs to another process, holds nothing.
 * It does not guard a folder that two machines share.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WeirError } from '../contract/errors.ts';

/** Takes the lock or throws WeirError audit_unavailable. Returns the function that gives it back. */
export function lockFolder(dir: string): () => void {
  const file = join(dir, 'lock');
  const own = `${process.pid} ${startOf(process.pid)}\n`;
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, own, { flag: 'wx', mode: 0o600 });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 3) throw error;
    }
    const [pid, start] = readHolder(file);
    if (pid !== undefined && isAlive(pid) && startOf(pid) === start) throw new WeirError('audit_unavailable', `process ${pid} already writes to the audit log in ${dir}`);
    rmSync(file, { force: true });
  }
}

function readHolder(file: string): readonly [number | undefined, string] {
  try {
    const [pid, start = ''] = readFileSync(file, 'utf8').trim().split(' ');
    return [Number(pid) > 0 ? Number(pid) : undefined, start];
  } catch {
    return [undefined, ''];
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When the process started, in clock ticks since boot; tells a reused process id apart. Empty where there is no /proc. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return '';
  }
}
