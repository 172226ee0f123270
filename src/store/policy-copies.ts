/**
 * The last good revisions as files in the data folder, one for each key, so that a start needs nobody. A file is
 * replaced whole or stays as it was; what a crash or a hand made of it, the seal of its text tells its reader. A copy
 * that cannot be written is told once and is no fault of the policy.
 */
import { mkdirSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHANNELS } from '../contract/channels.ts';

export class PolicyCopies {
  readonly #dir: string;
  #writable = true;
  #writes = 0;

  constructor(dataDir: string) {
    this.#dir = join(dataDir, 'policies');
  }

  async read(key: string): Promise<string | undefined> {
    return readFile(this.#file(key), 'utf8').catch(() => undefined);
  }

  async write(key: string, text: string): Promise<void> {
    const file = this.#file(key);
    const fresh = `${file}.${process.pid}.${this.#writes++}.tmp`;
    try {
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      await writeFile(fresh, text, { mode: 0o600 });
      await rename(fresh, file);
      this.#tell(true, 'copies of policies are written again');
    } catch (error) {
      this.#tell(false, `copies of policies cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  #tell(writable: boolean, detail: string): void {
    if (writable === this.#writable) return;
    this.#writable = writable;
    CHANNELS.healthChanged.publish({ part: 'policy copies', healthy: writable, detail });
  }

  #file(key: string): string {
    return join(this.#dir, `${key}.sealed`);
  }
}
