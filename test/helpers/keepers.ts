/** Processes that keep content, in the store of a house, as of another process that was seen some time ago. */
import { join } from 'node:path';
import { GONE_AFTER_MS } from '../../src/erasing.ts';
import { SqlErasureStore } from '../../src/store/erasures.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';

export async function meetKeeper(houseDir: string, keeper: string, origin: string, agoMs: number = GONE_AFTER_MS): Promise<string> {
  const database = openSqliteDatabase(join(houseDir, 'data/weir.db'));
  await new SqlErasureStore(database).meet({ keeper, origin, done: 0, seen_at: new Date(Date.now() - agoMs).toISOString() });
  await database.close();
  return keeper;
}
