/**
 * The file of signed checkpoints as its one writer has it: notes are added at the end, and whole notes at the beginning
 * can be dropped, by putting a new file in place. One call at a time.
 */
import { open, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKPOINTS_FILE, readRange, syncFolder, writeAt } from './segments.ts';

const COPY_BYTES = 1024 * 1024;

export class NoteFile {
  readonly #dir: string;
  #file: FileHandle;
  /** Where the whole notes end. */
  #bytes: number;

  private constructor(dir: string, file: FileHandle, bytes: number) {
    this.#dir = dir;
    this.#file = file;
    this.#bytes = bytes;
  }

  static async open(dir: string, bytes: number): Promise<NoteFile> {
    return new NoteFile(dir, await open(join(dir, CHECKPOINTS_FILE), bytes === 0 ? 'w+' : 'r+', 0o600), bytes);
  }

  /** Durable when it resolves. */
  async append(note: string): Promise<void> {
    this.#bytes = await writeAt(this.#file, Buffer.from(`${note}\n`), this.#bytes);
    await this.#file.datasync();
  }

  /** Drops so many bytes, which are whole notes. Rejects with the former file still in place, or calls `end` where nobody can say which is. */
  async dropFirst(bytes: number, end: (error: unknown) => void): Promise<void> {
    const path = join(this.#dir, CHECKPOINTS_FILE);
    const fresh = await open(`${path}.tmp`, 'w+', 0o600);
    try {
      for (let at = bytes; at < this.#bytes; at += COPY_BYTES) await writeAt(fresh, await this.#read(at, Math.min(COPY_BYTES, this.#bytes - at)), at - bytes);
      await fresh.sync();
      await rename(`${path}.tmp`, path);
    } catch (error) {
      await fresh.close();
      throw error;
    }
    const former = this.#file;
    [this.#file, this.#bytes] = [fresh, this.#bytes - bytes];
    await former.close().then(() => syncFolder(this.#dir)).catch(end);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #read(from: number, length: number): Promise<Buffer> {
    const bytes = await readRange(this.#file, from, length);
    if (bytes.length < length) throw new RangeError('the checkpoints end before their end');
    return bytes;
  }
}
