/**
 * `weir admin`: tokens of the admin port in the store: made, listed and revoked. It works on the store itself, beside a
 * running Weir or without one: a change counts for the next request, and a running process writes it to its audit log. A
 * token is printed once, when it is made.
 */
import { readWantedToken, endToken, makeToken } from '../admin/people.ts';
import { WeirError } from '../contract/errors.ts';
import { ROLE_MEANINGS, ROLES } from '../contract/people.ts';
import { SqlAdminStore, type AdminTokenRow } from '../store/admins.ts';
import { didYouMean, parseCall, UsageError, type CliCommand, type Io } from './command.ts';
import { readIsoTime } from './time.ts';
import { author, readConfig, tableText, withStore } from './beside.ts';

const VERBS = { create, list, revoke } as const;

export const admin: CliCommand = {
  name: 'admin',
  summary: 'make, list and revoke tokens of the admin port',
  help: `usage: weir admin token create NAME --role ROLE... [--tenant ID...] [--expires TIME] [--json] [--config FILE]
       weir admin token list [--json] [--config FILE]
       weir admin token revoke TOKEN-ID [--json] [--config FILE]

create prints a new token, this once; the store keeps its SHA-256. NAME is written beside every change that is made with
the token, and is given to no other one, ever.

  --role ROLE      may be repeated:
${ROLES.map((role) => `                     ${role.padEnd(14)} ${ROLE_MEANINGS[role]}`).join('\n')}
  --tenant ID      for tenant-viewer: a tenant that is seen; may be repeated
  --expires TIME   an ISO 8601 time, or an age from now such as 12h or 90d; default: never

revoke ends a token, and every session that it opened, for the next request. The first token, which the first start
prints, is in no store: delete admin.json in data_dir and start again to get another one.

Every change is in the audit log of a process that runs with this store, or of the next that does.

  --json         print one JSON object
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 done, 1 the store does not answer, the name is taken, or there is no such token, 2 wrong call
`,
  async run(args, io) {
    const [thing, verb, ...rest] = args;
    if (thing !== 'token') throw new UsageError(thing === undefined ? 'what to work on is missing; there is token' : `unknown word ${JSON.stringify(thing)}; there is token`);
    if (verb === undefined) throw new UsageError('what to do is missing; there is create, list and revoke');
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(`unknown verb ${JSON.stringify(verb)}${didYouMean(verb, Object.keys(VERBS)) || '; there is create, list and revoke'}`);
    try {
      return await VERBS[verb as keyof typeof VERBS](rest, io);
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      io.stderr(`weir admin token ${verb}: ${error.message}\n`);
      return 1;
    }
  },
};

const now = (): Date => new Date();

async function create(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [name] } = parseCall(args, { role: 'list', tenant: 'list', expires: 'value', json: 'flag', config: 'value' }, 1);
  if (name === undefined) throw new UsageError('the name of the token is missing');
  if (options.role.length === 0) throw new UsageError(`give it a role with --role: ${ROLES.join(', ')}`);
  const { config } = await readConfig(options.config, io);
  const wanted = readWantedToken({ name, roles: options.role, tenants: options.tenant, ...(options.expires === undefined ? {} : { expires_at: readIsoTime('expires', options.expires, now().getTime(), 'future') }) }, { tenants: config.tenants.map(({ id }) => id), now: now() });
  if (typeof wanted === 'string') throw new UsageError(wanted);
  return withStore('admin', config, io, async (database) => {
    const store = new SqlAdminStore(database);
    const made = await makeToken(wanted, author(), { store, now });
    if (made === undefined) {
      io.stderr(`weir admin token create: there is, or was, a token ${name}; names stand in histories, so choose another one\n`);
      return 1;
    }
    const { token, row } = made;
    io.stdout(options.json
      ? `${JSON.stringify({ ...row, token })}\n`
      : `token    ${token}\nid       ${row.token_id}\nname     ${name}\nroles    ${row.roles.join(', ')}\n${row.tenants.length === 0 ? '' : `tenants  ${row.tenants.join(', ')}\n`}expires  ${row.expires_at ?? 'never'}\n\nThe token is shown this once.\n`);
    return 0;
  });
}

async function list(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { json: 'flag', config: 'value' }, 0);
  const { config } = await readConfig(options.config, io);
  return withStore('admin', config, io, async (database) => {
    const store = new SqlAdminStore(database);
    const tokens = (await store.tokens()).map((row) => ({ ...row, state: stateOf(row, now()) }));
    if (options.json) io.stdout(`${JSON.stringify({ tokens })}\n`);
    else io.stdout(tokens.length === 0 ? 'no tokens but the first\n' : tableText([['name', 'id', 'state', 'expires', 'roles', 'tenants'], ...tokens.map(({ name, token_id: id, state, expires_at, roles, tenants }) => [name, id, state, expires_at ?? 'never', roles.join(', '), tenants.join(', ')])]));
    return 0;
  });
}

async function revoke(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, { json: 'flag', config: 'value' }, 1);
  if (id === undefined) throw new UsageError('the id of the token is missing; weir admin token list shows it');
  const { config } = await readConfig(options.config, io);
  return withStore('admin', config, io, async (database) => {
    const store = new SqlAdminStore(database);
    const row = await endToken(id, author(), { store, now });
    if (row === undefined) {
      io.stderr('weir admin token revoke: there is no such token, or it is revoked already; weir admin token list shows them\n');
      return 1;
    }
    io.stdout(options.json ? `${JSON.stringify({ ...row, state: 'revoked' })}\n` : `${row.name} (${id}) is revoked since ${row.revoked_at}\n`);
    return 0;
  });
}

function stateOf({ revoked_at: revokedAt, expires_at: expiresAt }: AdminTokenRow, at: Date): 'active' | 'expired' | 'revoked' {
  if (revokedAt !== null) return 'revoked';
  return expiresAt !== null && Date.parse(expiresAt) <= at.getTime() ? 'expired' : 'active';
}
