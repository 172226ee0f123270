/**
 * Reports in a folder: one folder for each tenant, files named after tenant and week, whole or not there, and for their
 * owner's eyes. A report of the same name is replaced.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../audit/segments.ts';
import { WeirError } from '../../contract/errors.ts';

/** Ids of tenants, which stand in paths. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** `name`: of the week, or the hours. Resolves to the paths. Rejects with the system's error, or with WeirError for what is no name of a file. */
export async function writeReport(directory: string, { tenantId, name }: { readonly tenantId: string; readonly name: string }, files: readonly (readonly [ending: string, text: string | Buffer])[]): Promise<readonly string[]> {
  if (!PLAIN.test(tenantId) || !PLAIN.test(name)) throw new WeirError('invalid_request', `a report of ${JSON.stringify(tenantId)} has no name that a file can have`);
  const folder = join(directory, tenantId);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const paths: string[] = [];
  for (const [ending, text] of files) {
    const path = join(folder, `${tenantId}-${name}.${ending}`);
    await replaceFile(path, text);
    paths.push(path);
  }
  return paths;
}
