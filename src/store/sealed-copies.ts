/**
 * The last good documents as files in a folder of the data folder, one for each key, so that a start needs nobody. A file is
 * replaced whole or stays as it was; what a crash or a hand made of it, the seal of its text tells its reader. A copy
 * that cannot be written is told once and is no fault of what it holds.
 */
import { mkdirSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PartHealth } from '../contract/part-health.ts';

export type CopyName = 'policies' | 'tenant-keys';

export class SealedCopies {
  readonly #dir: string;
  readonly #what: CopyName;
  readonly #health: PartHealth;
  #writes = 0;

  /** `what`: the name of the folder, and of what is in it. */
  constructor(dataDir: string, what: CopyName) {
    this.#dir = join(dataDir, what);
    this.#what = what;
    this.#health = new PartHealth(`copies of ${what}`);
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
      this.#health.well(() => `copies of ${this.#what} are written again`);
    } catch (error) {
      this.#health.ill(`copies of ${this.#what} cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  #file(key: string): string {
    return join(this.#dir, `${key}.sealed`);
  }
}
