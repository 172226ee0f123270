/** `weir audit erase`: destroys keys of kept content, while the proxy is stopped; a running one does it over its API. */
import { scopeFault } from '../../audit/erasure.ts';
import { openAuditLog } from '../../audit/log.ts';
import { ContentVault } from '../../audit/vault.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { author } from '../beside.ts';
import { orFail } from './mend.ts';
import { contentPlace, logOptions } from './place.ts';

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
      const { destroyed, gone } = await vault.erase(scope, author());
      io.stdout(options.json ? `${JSON.stringify({ destroyed, gone })}\n` : `the keys of ${destroyed} exchanges are destroyed${gone === 0 ? '' : `, ${gone} were gone before`}; an entry says so\n`);
      return 0;
    } finally {
      await log.close();
    }
  });
}
