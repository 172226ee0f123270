/**
 * `weir audit`: look at the audit log from its files and the public key alone, and mend it on an operator's word. Each
 * verb is a file under src/cli/audit.
 */
import { didYouMean, UsageError, type CliCommand } from './command.ts';
import { eraseContent } from './audit/erase.ts';
import { exportAudit } from './audit/export.ts';
import { acceptAuditLoss, rotateAuditKey, rotateContentKey } from './audit/mend.ts';
import { proveAudit, proveAuditConsistency } from './audit/prove.ts';
import { verifyAudit } from './audit/verify.ts';

const VERBS = { verify: verifyAudit, prove: proveAudit, consistency: proveAuditConsistency, export: exportAudit, erase: eraseContent, 'rotate-key': rotateAuditKey, 'rotate-master-key': rotateContentKey, 'accept-loss': acceptAuditLoss } as const;

export const audit: CliCommand = {
  name: 'audit',
  summary: 'verify the audit log, prove entries, export it, erase kept content',
  help: `usage: weir audit verify [--since NOTE] [--key KEY] [--keeper KEY] [--content DIR] [--dir DIR] [--json] [--config FILE]
       weir audit verify --proof FILE [--key KEY] [--dir DIR] [--json] [--config FILE]
       weir audit prove INDEX|REQUEST-ID [--checkpoint NOTE] [--dir DIR] [--config FILE]
       weir audit consistency OLD-NOTE NEW-NOTE [--key KEY] [--dir DIR] [--json] [--config FILE]
       weir audit export [--json] [--since TIME] [--until TIME] [--tenant ID] [--kind KIND] [--dir DIR] [--config FILE]
       weir audit erase --tenant ID [--before DAY | --request ID | --session ID] [--json] [--config FILE]
       weir audit rotate-key [--json] [--config FILE]
       weir audit rotate-master-key [--json] [--config FILE]
       weir audit accept-loss [--key-lost] [--json] [--config FILE]

verify reads the whole log: every entry against its hash, the entry before it and the signed tree, every checkpoint
against its key. It names the first place that does not hold. What a crash leaves unfinished at the end is told and is
no damage. It may run beside the proxy. Of a log of which entries were pruned it says where it begins: nothing before
that can be verified any more, nor against a checkpoint of fewer entries.

  --since NOTE  a file with a checkpoint that you kept: the log must still begin with what it covers
  --key KEY     the public key, or a file of keys, that you trust; default: key.pub beside the log, which whoever
                can write the log can also write
  --keeper KEY  of a copy in data_dir/origins: the key of the log of who keeps it, on whose word entries were removed
                there; with --key it is needed, without it is keeper.pub beside the copy
  --content DIR hold kept content (data_dir/content) against the log as well; its key is not needed
  --proof FILE  verify one proof instead; the log is not needed then
  --dir DIR     the log's folder, or a copy of it; no configuration is read then

prove prints a proof, as one JSON object, that an entry is in what a checkpoint covers: the newest, or that in NOTE.
consistency tells whether the newer of two checkpoints only added to the older.
export prints entries as they stand in the log, one to a line; without --json a short row for each. TIME is a time such
as 2030-01-31T00:00:00Z, or an age such as 24h.

The proxy must be stopped for these; a running one erases through POST /api/v1/tenants/ID/erasures:
erase destroys the keys of what was kept of a tenant's exchanges: of all, of those that began before a day (UTC), of one
exchange, or of one session. Their texts are gone then, in every copy whose keys are not elsewhere: let backups of
data_dir/content expire. The log stays as it is and verifies; an entry says what was erased, and who did it. Where
there is a store, all other processes of the fleet do the same within seconds, or when they start.
rotate-key makes a new signing key. An entry names it, signed with both; the former private key is gone then.
rotate-master-key makes a new master key of kept content in audit.master_key_file, wraps all keys anew, also those of texts
of the review queue in a store that processes share, and destroys the former; cut short, it is run again. A new key that lies
beside the file already, with .next after its name, is taken: so the processes of a fleet go on with one key.
accept-loss goes on with a damaged log: what holds stays, the files are copied as they were, an entry tells what is lost.

  --key-lost    the signing key is gone or another: let the one in audit.key_file, or a new one, sign from now on

exit code: 0 sound, proven, done; 1 damage, no proof, or failed; 2 wrong call
`,
  async run(args, io) {
    const [verb, ...rest] = args;
    if (verb === undefined) throw new UsageError(`say what to do: ${Object.keys(VERBS).join(', ')}`);
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(`unknown verb ${JSON.stringify(verb)}${didYouMean(verb, Object.keys(VERBS))}`);
    return VERBS[verb as keyof typeof VERBS](rest, io);
  },
};
