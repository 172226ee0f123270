/**
 * A schema of its own in a real Postgres for one test: WEIR_TEST_POSTGRES names the server, by default one on this
 * machine. Where none answers its tests are skipped, but in CI they fail.
 */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import type { Test } from 'tap';

const SERVER = process.env.WEIR_TEST_POSTGRES ?? 'postgres://postgres@127.0.0.1:5432/test';

/** The reason to skip, or false. */
export const POSTGRES_MISSING = await withClient(async () => undefined).then(() => false as const, () => (process.env.CI ? false as const : 'no Postgres answers'));

/** The URL of a new, empty schema, which is dropped at the end of the test. */
export async function openPostgresSchema(t: Test): Promise<string> {
  const schema = `weir_${randomBytes(6).toString('hex')}`;
  await withClient((client) => client.query(`create schema ${schema}`));
  t.teardown(() => withClient((client) => client.query(`drop schema ${schema} cascade`)));
  const url = new URL(SERVER);
  url.searchParams.set('options', `-c search_path=${schema}`);
  return url.href;
}

async function withClient<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: SERVER, connectionTimeoutMillis: 2_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
