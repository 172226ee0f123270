/**
 * `weir keys`: keys of tenants in the store: made, listed, revoked, and what was used with them. It works on the store
 * itself, beside a running Weir or without one; running processes follow within a second, and one of them writes the
 * change to its audit log. A key is printed once, when it is made.
 */
import { hourOf, totalOf } from '../admin/keys.ts';
import { meant } from '../config/shape.ts';
import type { Config, TenantConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { KEY_SCOPES, type StoredKey } from '../store/keys.ts';
import { SqlKeyStore } from '../store/sql-keys.ts';
import { SqlUsageStore } from '../store/sql-usage.ts';
import { USAGE_COUNTS, type UsageRow } from '../store/usage.ts';
import { issueKey, keyState, readWantedKey } from '../tenant/issue.ts';
import { author, readConfig, tableText, withStore } from './beside.ts';
import { didYouMean, parseCall, UsageError, type CliCommand, type Io } from './command.ts';
import { readIsoTime } from './time.ts';

export const keys: CliCommand = {
  name: 'keys',
  summary: 'make, list and revoke API keys of tenants, and tell what was used',
  help: `usage: weir keys create --tenant ID [--name TEXT] [--expires TIME] [--requests-per-minute N] [--tokens-per-minute N]
                        [--scopes LIST] [--json] [--config FILE]
       weir keys list [--tenant ID] [--usage] [--since TIME] [--until TIME] [--json] [--config FILE]
       weir keys revoke KEY-ID [--tenant ID] [--json] [--config FILE]

create prints a new key, this once; the store keeps its SHA-256. A tenant's only key ends the time when callers came in
without one, for good: a revoked key leaves the door closed.

  --tenant ID               default: the only tenant
  --name TEXT               a label for people
  --expires TIME            an ISO 8601 time, or an age from now such as 12h or 90d; default: never
  --requests-per-minute N   beside the limits of the tenant
  --tokens-per-minute N     as the provider counts them, or reckoned at four bytes of text each where it tells none
  --scopes LIST             ${KEY_SCOPES.join(', ')}, separated by commas; default: all

list shows keys of store and configuration file, revoked ones too; with --usage also requests and tokens since --since
(default: 24h) before --until, by whole hours.

revoke ends a key of the store: running processes refuse it within a second. A key of the configuration file is taken
out of the file.

Every change is in the audit log of a process that runs with this store, or of the next that does.

  --json         print one JSON object
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 done, 1 the store does not answer, or has no such key, 2 wrong call
`,
  async run(args, io) {
    const [verb, ...rest] = args;
    if (verb === undefined) throw new UsageError('what to do is missing; there is create, list and revoke');
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(`unknown verb ${JSON.stringify(verb)}${didYouMean(verb, Object.keys(VERBS)) || '; there is create, list and revoke'}`);
    try {
      return await VERBS[verb as keyof typeof VERBS](rest, io);
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      io.stderr(`weir keys ${verb}: ${error.message}\n`);
      return 1;
    }
  },
};

const VERBS = { create, list, revoke } as const;

async function create(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { tenant: 'value', name: 'value', expires: 'value', 'requests-per-minute': 'value', 'tokens-per-minute': 'value', scopes: 'value', json: 'flag', config: 'value' }, 0);
  const now = new Date();
  const wanted = readWantedKey({
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.expires === undefined ? {} : { expires_at: readIsoTime('expires', options.expires, now.getTime(), 'future') }),
    ...(options['requests-per-minute'] === undefined ? {} : { requests_per_minute: Number(options['requests-per-minute']) }),
    ...(options['tokens-per-minute'] === undefined ? {} : { tokens_per_minute: Number(options['tokens-per-minute']) }),
    ...(options.scopes === undefined ? {} : { scopes: options.scopes.split(',').map((scope) => scope.trim()) }),
  }, now);
  if (typeof wanted === 'string') throw new UsageError(wanted);
  const { config } = await readConfig(options.config, io);
  const { id } = chooseTenant(config, options.tenant);
  return withStore('keys', config, io, async (database) => {
    const { key, row } = await issueKey(new SqlKeyStore(database), id, wanted, author(), now);
    io.stdout(options.json ? `${JSON.stringify({ ...shown(row, now), key })}\n` : `key      ${key}\nid       ${row.key_id}\ntenant   ${id}\nscopes   ${row.scopes.join(', ')}\nexpires  ${row.expires_at ?? 'never'}\n\nThe key is shown this once.\n`);
    return 0;
  });
}

async function list(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { tenant: 'value', usage: 'flag', since: 'value', until: 'value', json: 'flag', config: 'value' }, 0);
  if (!options.usage && (options.since ?? options.until) !== undefined) throw new UsageError('--since and --until go with --usage');
  const now = new Date();
  const from = hourOf(readIsoTime('since', options.since ?? '24h', now.getTime(), 'past'))!;
  const to = options.until === undefined ? undefined : hourOf(readIsoTime('until', options.until, now.getTime(), 'past'))!;
  const { config } = await readConfig(options.config, io);
  const tenants = options.tenant === undefined ? config.tenants : [chooseTenant(config, options.tenant)];
  return withStore('keys', config, io, async (database) => {
    const store = new SqlKeyStore(database);
    const listed: Listed[] = [];
    for (const tenant of tenants) {
      for (const row of await store.list(tenant.id)) listed.push({ from: 'store', ...shown(row, now) });
      for (const { id, expires_at } of tenant.keys) listed.push({ from: 'file', key_id: id, tenant_id: tenant.id, name: '', state: keyState({ expires_at }, now), expires_at: expires_at ?? null });
    }
    const usage = options.usage ? await usageOf(new SqlUsageStore(database), tenants, { from, to }) : undefined;
    if (options.json) io.stdout(`${JSON.stringify({ keys: listed, ...(usage === undefined ? {} : { usage, since: from, until: to ?? null }) })}\n`);
    else io.stdout(listText(listed, usage));
    return 0;
  });
}

async function revoke(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, { tenant: 'value', json: 'flag', config: 'value' }, 1);
  if (id === undefined) throw new UsageError('the id of the key is missing; weir keys list shows it');
  const now = new Date();
  const { config } = await readConfig(options.config, io);
  const tenants = options.tenant === undefined ? config.tenants : [chooseTenant(config, options.tenant)];
  return withStore('keys', config, io, async (database) => {
    const store = new SqlKeyStore(database);
    const tenantId = options.tenant ?? (await store.tenantOf(id)) ?? '';
    const row = await store.revoke({ tenant_id: tenantId, key_id: id, revoked_at: now.toISOString(), revoked_by: author() });
    if (row === undefined) {
      const inFile = tenants.some((tenant) => tenant.keys.some((key) => key.id === id));
      io.stderr(`weir keys revoke: ${inFile ? 'the key is in the configuration file; take it out there' : 'the store has no such key; weir keys list shows those that there are'}\n`);
      return 1;
    }
    io.stdout(options.json ? `${JSON.stringify(shown(row, now))}\n` : `${id} of tenant ${tenantId} is revoked since ${row.revoked_at}\n`);
    return 0;
  });
}

// What the verbs share.

interface Listed {
  readonly from: 'store' | 'file';
  readonly key_id: string;
  readonly tenant_id: string;
  readonly name: string;
  readonly state: string;
  readonly expires_at: string | null;
}

/** All of it but the digest. */
function shown({ sha256: _, change: __, ...row }: StoredKey, now: Date): Omit<StoredKey, 'sha256' | 'change'> & { readonly state: string } {
  return { ...row, state: keyState(row, now) };
}

function chooseTenant({ tenants }: Config, id: string | undefined): TenantConfig {
  if (id === undefined && tenants.length > 1) throw new UsageError(`there are ${tenants.length} tenants; name one with --tenant`);
  const tenant = id === undefined ? tenants[0] : tenants.find((one) => one.id === id);
  if (tenant === undefined) throw new UsageError(`there is no tenant ${JSON.stringify(id)}; ${meant(id ?? '', tenants.map((one) => one.id)) ?? `there is ${tenants.slice(0, 5).map((one) => one.id).join(', ')}`}`);
  return tenant;
}

const ROWS_MAX = 1_000_000;

interface KeyUsage extends Pick<UsageRow, 'tenant_id' | 'key_id'>, ReturnType<typeof totalOf> {}

/** Over all hours, by tenant and key. */
async function usageOf(store: SqlUsageStore, tenants: readonly TenantConfig[], { from, to }: { readonly from: string; readonly to: string | undefined }): Promise<readonly KeyUsage[]> {
  const rows = (await Promise.all(tenants.map(({ id }) => store.read({ tenantId: id, from, to, limit: ROWS_MAX })))).flat();
  const byKey = Map.groupBy(rows, ({ tenant_id, key_id }) => JSON.stringify([tenant_id, key_id]));
  return [...byKey.values()].map((same) => ({ tenant_id: same[0]!.tenant_id, key_id: same[0]!.key_id, ...totalOf(same) }));
}

function listText(listed: readonly Listed[], usage: readonly KeyUsage[] | undefined): string {
  const keysText = listed.length === 0 ? 'no keys\n' : tableText([['tenant', 'id', 'state', 'expires', 'from', 'name'], ...listed.map(({ tenant_id, key_id, state, expires_at, from, name }) => [tenant_id, key_id, state, expires_at ?? 'never', from, name])]);
  if (usage === undefined) return keysText;
  return `${keysText}\n${usage.length === 0 ? 'nothing was used\n' : tableText([['tenant', 'key', ...USAGE_COUNTS], ...usage.map((row) => [row.tenant_id, row.key_id || '-', ...USAGE_COUNTS.map((count) => String(row[count]))])])}`;
}
