/**
 * Stored policies as a command sees them: the newest of the store at this moment. What is not there, or cannot be a
 * policy here, leaves the files as they are. A store that does not answer leaves its policies undecided to whoever starts
 * or checks, and stops whoever works on them.
 */
import { existsSync } from 'node:fs';
import type { ReadStored } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { WrittenPolicy } from '../config/snapshot.ts';
import { WeirError } from '../contract/errors.ts';
import type { PolicyRevision } from '../contract/policy.ts';
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

/** The store does not tell which policies count. The message says what to do. */
export class StoreSilent extends Error {
  constructor(what: string) {
    super(`${what}, so nobody can say which policies count; repair it, or name policy files, which need no store`);
    this.name = 'StoreSilent';
  }
}

/** Texts of the store, as the proxy would take them. Each throws StoreSilent. */
export interface StoredTexts {
  /** The newest of each policy that is not retired. */
  newest(): Promise<readonly (PolicyRevision & { readonly source: string })[]>;
  revision(policy: string, number: number): Promise<PolicyRevision | undefined>;
  close(): Promise<void>;
}

/** Without a store there is nothing in it. Throws StoreSilent where it is that of another process. */
export function openStored(config: Config): StoredTexts {
  const { store: { url }, roles, redis } = config;
  const isOurs = !url.startsWith('sqlite:') || roles.includes('control');
  if (!isOurs && redis !== undefined) throw new StoreSilent('policies come through redis from the store of another process');
  const store = isOurs ? openToRead(config) : undefined;
  const ask = async <T>(question: Promise<T>): Promise<T> => {
    try {
      return await question;
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      throw new StoreSilent('the store that store.url names does not answer');
    }
  };
  return {
    async newest() {
      const known = store === undefined ? [] : await ask(store.list());
      const revisions = await Promise.all(known.filter(({ retired }) => !retired).map(({ policy, number }) => ask(store!.get(policy, number))));
      return revisions.map((revision) => ({ ...revision!, source: revision!.source! }));
    },
    revision: async (policy, number) => store && ask(store.get(policy, number)),
    close: async () => store?.close(),
  };
}

/** Undefined: there is none yet. */
function openToRead({ store: { url }, data_dir: dataDir }: Config): PolicyStore | undefined {
  if (!url.startsWith('sqlite:')) return new PostgresPolicyStore(url);
  const file = sqliteFile(url, dataDir);
  return existsSync(file) ? readSqlite(file) : undefined;
}
