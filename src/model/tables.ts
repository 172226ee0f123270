/**
 * The file of a model: named tables of bytes behind a magic, a version and a checksum. Little-endian:
 *
 *     "WEIRMODL" · version u16 · tables u16 · SHA-256 of all else (32)
 *     for each table: length of its name u8 · name in ASCII · its length in bytes u32
 *     the tables' bytes, each begun at a multiple of eight
 *
 * INVARIANT: what is read is what was written, or an error that says what is wrong; there is no half of a model. Pure.
 */
import { createHash } from 'node:crypto';

export const TABLES_VERSION = 1;
/** Bytes of one model file. */
export const MODEL_BYTES_MAX = 67_108_864;

const MAGIC = Buffer.from('WEIRMODL', 'latin1');
const HEAD_BYTES = MAGIC.length + 4 + 32;

export type Tables = ReadonlyMap<string, Uint8Array>;

export function writeTables(tables: Tables): Buffer {
  const directory = [...tables].map(([name, bytes]) => {
    const entry = Buffer.alloc(5 + name.length);
    entry.writeUInt8(name.length, 0);
    entry.write(name, 1, 'latin1');
    entry.writeUInt32LE(bytes.length, 1 + name.length);
    return entry;
  });
  const parts: Uint8Array[] = [...directory];
  let at = HEAD_BYTES + directory.reduce((sum, { length }) => sum + length, 0);
  for (const bytes of tables.values()) {
    const gap = Buffer.alloc(-at & 7);
    parts.push(gap, bytes);
    at += gap.length + bytes.length;
  }
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt16LE(TABLES_VERSION, 8);
  head.writeUInt16LE(tables.size, 10);
  createHash('sha256').update(head.subarray(0, 12)).update(body).digest().copy(head, 12);
  return Buffer.concat([head, body]);
}

/** The tables, as views of copied bytes. Throws an Error that says what is wrong with the file. */
export function readTables(file: Uint8Array): Tables {
  if (file.length > MODEL_BYTES_MAX) throw new Error(`a model file has at most ${MODEL_BYTES_MAX} bytes, this one ${file.length}`);
  // A copy of its own, so that tables of wider numbers begin where they must.
  const bytes = Buffer.from(new Uint8Array(file).buffer);
  if (bytes.length < HEAD_BYTES || !bytes.subarray(0, 8).equals(MAGIC)) throw new Error('this is no model file; give one that weir learn train wrote');
  const version = bytes.readUInt16LE(8);
  if (version !== TABLES_VERSION) throw new Error(`the model file has version ${version}, this program reads ${TABLES_VERSION}; train it again`);
  if (!createHash('sha256').update(bytes.subarray(0, 12)).update(bytes.subarray(HEAD_BYTES)).digest().equals(bytes.subarray(12, HEAD_BYTES))) throw new Error('the model file is damaged: its checksum does not fit; fetch or train it again');
  const tables = new Map<string, Uint8Array>();
  const sizes: (readonly [string, number])[] = [];
  let at = HEAD_BYTES;
  for (let count = bytes.readUInt16LE(10); count > 0; count -= 1) {
    const end = at + 1 + bytes.readUInt8(at);
    sizes.push([bytes.toString('latin1', at + 1, end), bytes.readUInt32LE(end)]);
    at = end + 4;
  }
  for (const [name, size] of sizes) {
    at += -at & 7;
    tables.set(name, new Uint8Array(bytes.buffer, at, size));
    at += size;
  }
  return tables;
}
