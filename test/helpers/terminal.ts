/** A program in a pseudo terminal of `script` (util-linux): what it writes, and keys that are pressed when it has said something. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Test } from 'tap';
import { until } from './house.ts';

/** Why tests are skipped that need one; false: they need not be. */
export const NO_TERMINAL: string | false = existsSync('/usr/bin/script') ? false : 'no script(1) here (apt-get install bsdutils)';

export interface Terminal {
  /** All that was written so far. */
  screen(): string;
  /** Waits until that is on the screen beyond what was seen before. */
  sees(words: RegExp): Promise<string>;
  press(keys: string): void;
  /** The exit code. */
  ended(): Promise<number>;
}

export function openTerminal(t: Test, words: readonly string[], env: Readonly<Record<string, string>> = {}): Terminal {
  const command = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  const child = spawn('/usr/bin/script', ['--quiet', '--return', '--command', command, '/dev/null'], { env: { ...process.env, ...env, TERM: 'xterm', COLUMNS: '80' }, stdio: ['pipe', 'pipe', 'inherit'] });
  let [screen, seen, code]: [string, number, number | undefined] = ['', 0, undefined];
  child.stdout.setEncoding('utf8').on('data', (text: string) => { screen += text; });
  child.on('exit', (status) => { code = status ?? -1; });
  t.teardown(() => void child.kill());
  return {
    screen: () => screen,
    press: (keys) => void child.stdin.write(keys),
    sees: async (pattern) => {
      await until(() => pattern.test(screen.slice(seen)), `${pattern} on the screen after ${JSON.stringify(screen.slice(-400))}`);
      const found = screen.slice(seen);
      const match = pattern.exec(found)!;
      seen += match.index + match[0].length;
      return found;
    },
    ended: async () => {
      await until(() => code !== undefined, `the end after ${JSON.stringify(screen.slice(-400))}`);
      return code!;
    },
  };
}
