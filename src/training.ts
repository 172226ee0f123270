/**
 * The steps of the weekly training as child processes of this program, `weir learn collect` and `weir learn train`, one
 * after the other and at the lowest priority: what they compute takes nothing of the event loop, and what a training
 * does to its memory ends with it. A step that takes too long, or is not wanted any more, is ended.
 */
import { spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, 'main.ts');
const OUTPUT_CHARS_MAX = 4_194_304;
const ERROR_CHARS = 500;

export interface StepOptions {
  /** The configuration file of this process. */
  readonly config: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What `weir learn …args --json` prints. Rejects with what it complained of. */
export function learnStep(args: readonly string[], { config, timeoutMs, signal }: StepOptions): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, MAIN, 'learn', ...args, '--json', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'], signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]), killSignal: 'SIGKILL' });
    if (child.pid !== undefined) try { setPriority(child.pid, constants.priority.PRIORITY_LOW); } catch { /* it ended already */ }
    let [out, err] = ['', ''];
    child.stdout.on('data', (text: Buffer) => { if (out.length < OUTPUT_CHARS_MAX) out += text.toString(); });
    child.stderr.on('data', (text: Buffer) => { err = `${err}${text.toString()}`.slice(-ERROR_CHARS); });
    child.once('error', (error) => reject(error.name === 'AbortError' ? new Error(signal.aborted ? 'it was broken off' : `weir learn ${args[0]} took longer than ${Math.round(timeoutMs / 60_000)} minutes`) : error));
    child.once('close', (code) => {
      try {
        if (code !== 0) throw new Error(err.trim().split('\n').at(-1)?.replace(/^weir learn: /, '') || `weir learn ${args[0]} ended with ${code}`);
        resolve(JSON.parse(out) as Readonly<Record<string, unknown>>);
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}
