/** Progress of long work: a bar for each step on a terminal; a line for each step where there is none. */
import type { Progress } from '../../learn/task.ts';
import type { Io } from '../command.ts';

const BAR_CHARS = 24;

export function bars(io: Io): Progress {
  let last = '';
  return (step, done, all) => {
    const share = all === 0 ? 1 : done / all;
    const filled = Math.round(share * BAR_CHARS);
    const line = `${step.padEnd(10)} ${'█'.repeat(filled)}${'░'.repeat(BAR_CHARS - filled)} ${Math.round(share * 100)} %`;
    if (line === last) return;
    last = line;
    if (io.isTerminal) io.stderr(`\r${line}${done === all ? '\n' : ''}`);
    else if (done === all) io.stderr(`${line}\n`);
  };
}
