/**
 * The last good documents as files in a folder of the data folder, one for each key, so that a start needs nobody. A file is
 * replaced whole or stays as it was; what a crash or a hand made of it, the seal of its text tells its reader. A copy
 * that cannot be written is told once and is no fault of what it holds.
 */
import { mkdirSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHANNELS } from '../contract/channels.ts';

export class SealedCopies {
  readonly #dir: string;
  readonly #what: string;
  #writable = true;
  #writes = 0;

  /** `what`: the name of the folder, and of what is in it. */
  constructor(dataDir: string, what: string) {
    this.#dir = join(dataDir, what);
    this.#what = what;
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
      this.#tell(true, `copies of ${this.#what} are written again`);
    } catch (error) {
      this.#tell(false, `copies of ${this.#what} cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  #tell(writable: boolean, detail: string): void {
    if (writable === this.#writable) return;
    this.#writable = writable;
    CHANNELS.healthChanged.publish({ part: `copies of ${this.#what}`, healthy: writable, detail });
  }

  #file(key: string): string {
    return join(this.#dir, `${key}.sealed`);
  }
}
