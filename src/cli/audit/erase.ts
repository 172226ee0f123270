/**
 * `weir audit erase`: destroys keys of kept content, while the proxy is stopped; a running one does it over its API. With a
 * store all other processes of the fleet are to do the same.
 */
import { scopeFault } from '../../audit/erasure.ts';
import { openAuditLog } from '../../audit/log.ts';
import { ContentVault } from '../../audit/vault.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { author } from '../beside.ts';
import { orFail } from './mend.ts';
import { openDatabase } from '../../distribution.ts';
import { Erasing, type ErasureResult } from '../../erasing.ts';
import { SqlErasureStore } from '../../store/erasures.ts';
import { configured, contentPlace, logOptions } from './place.ts';

const OPTIONS = { tenant: 'value', before: 'value', request: 'value', session: 'value', json: 'flag', config: 'value' } as const;

export async function eraseContent(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, OPTIONS, 0);
  const { tenant: tenantId, before, request: requestId, session: sessionId } = options;
  if (tenantId === undefined) throw new UsageError('name a tenant with --tenant');
  const scope = { tenantId, before, requestId, sessionId };
  const fault = scopeFault(scope);
  if (fault !== undefined) throw new UsageError(fault);
  return orFail(io, 'erase', async () => {
    const place = await contentPlace(options, io);
    const log = await openAuditLog(await logOptions(options, io));
    try {
      const vault = new ContentVault({ ...place, clock: Date.now, audit: (record) => log.append(record, 'strict') });
      const { number, destroyed, gone } = await eraseEverywhere(vault, place.dir, options.config, io, (erasing) => erasing.erase(scope, author()));
      io.stdout(options.json ? `${JSON.stringify({ number, destroyed, gone })}\n` : `the keys of ${destroyed} exchanges are destroyed${gone === 0 ? '' : `, ${gone} were gone before`}; an entry says so${number === undefined ? '' : `; other processes hear of it as erasure ${number}`}\n`);
      return 0;
    } finally {
      await log.close();
    }
  });
}

/** Through the store of the configuration, where this process has one. */
async function eraseEverywhere(vault: ContentVault, dir: string, file: string | undefined, io: Io, erase: (erasing: Erasing) => Promise<ErasureResult>): Promise<ErasureResult> {
  const config = await configured({ config: file }, io);
  const database = openDatabase(config);
  const erasing = new Erasing({ vault, dir, origin: config.audit.origin, store: database && new SqlErasureStore(database), keeps: () => config.tenants.some(({ data }) => data.content !== 'none') });
  try {
    await erasing.start({ once: true });
    return await erase(erasing);
  } finally {
    await erasing.close();
    await database?.close();
  }
}
