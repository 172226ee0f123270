/**
 * Stored policies as a command sees them: the newest of the store at this moment. What is not there, or cannot be a
 * policy here, leaves the files as they are; a store that does not answer leaves its policies undecided.
 */
import { existsSync } from 'node:fs';
import type { ReadStored } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { WrittenPolicy } from '../config/snapshot.ts';
import { WeirError } from '../contract/errors.ts';
import { sqliteFile, wantedKeys } from '../distribution.ts';
import { pinnedNumber, policyOfKey } from '../policy/source.ts';
import { judgePolicy, type ClassifierPool } from '../runtime.ts';
import type { PolicyStore } from '../store/policies.ts';
import { PostgresPolicyStore } from '../store/postgres.ts';
import { readSqlite } from '../store/sqlite.ts';

export function readStored(pool: ClassifierPool): ReadStored {
  return async (config, written) => {
    const policies = new Map<string, WrittenPolicy>();
    const undecided = new Set<string>();
    const store = openToRead(config);
    const keysNow = (): ReadonlySet<string> => wantedKeys(config, (key) => policies.get(key)?.policy ?? written.get(key));
    const asked = new Set<string>();
    for (let keys = keysNow(); keys.size > asked.size; keys = keysNow()) {
      for (const key of keys) {
        if (asked.has(key)) continue;
        asked.add(key);
        const found = await readOne(key, store, config, pool);
        if (found === 'undecided') undecided.add(key);
        else if (found !== undefined) policies.set(key, found);
      }
    }
    await store?.close();
    return { policies, undecided };
  };
}

async function readOne(key: string, store: PolicyStore | undefined, config: Config, pool: ClassifierPool): Promise<WrittenPolicy | 'undecided' | undefined> {
  // A proxy may have its policies from elsewhere.
  if (store === undefined) return config.roles.includes('control') ? undefined : 'undecided';
  const id = policyOfKey(key);
  try {
    const revision = await store.get(id, pinnedNumber(key));
    if (revision === undefined || revision.source === null) return undefined;
    const file = `store:${id}@${revision.number}`;
    const { policy } = await judgePolicy(revision.source, { id, place: file }, config, pool);
    return policy && { policy: Object.freeze({ ...policy, revision: String(revision.number) }), file };
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return 'undecided';
  }
}

/** Undefined: there is none yet. */
function openToRead({ store: { url }, data_dir: dataDir }: Config): PolicyStore | undefined {
  if (!url.startsWith('sqlite:')) return new PostgresPolicyStore(url);
  const file = sqliteFile(url, dataDir);
  return existsSync(file) ? readSqlite(file) : undefined;
}
