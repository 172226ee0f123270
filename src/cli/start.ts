/**
 * `weir start`: runs the proxy and the admin listener until it is told to stop. Prints where they listen and how to
 * point an SDK at the proxy; on the first start also the admin token, which is shown at no other time. Its words go to
 * stdout, the log to stderr.
 */
import { parseCall, type CliCommand, type Io } from './command.ts';
import type { Started } from '../app.ts';

export const start: CliCommand = {
  name: 'start',
  summary: 'run the proxy and the admin listener',
  help: `usage: weir start [--config FILE] [--json]

Runs until SIGINT or SIGTERM; open answers then have proxy.timeouts.drain_ms to end. A second signal ends it at once.

  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir
  --json         print one JSON object when it runs: proxy_url, admin_url, admin_token (first start only), config, warnings

The log goes to stderr, one JSON object per line.

exit code: 0 stopped in good order, 1 could not start, 2 wrong call
`,
  async run(args, io) {
    const { options } = parseCall(args, { config: 'value', json: 'flag' }, 0);
    const stop = io.stopSignal();
    const { createApp } = await import('../app.ts');
    const app = createApp({ config: options.config, env: io.env });
    let started: Started;
    try {
      started = await app.start();
    } catch (error) {
      const reason = listenFault(error);
      if (reason === undefined) throw error;
      io.stderr(`weir start: ${reason}\n`);
      return 1;
    }
    io.stdout(options.json ? startedJson(started) : banner(started, io));
    if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
    await app.close();
    return 0;
  },
};

function startedJson({ proxyUrl, adminUrl, adminToken, snapshot }: Started): string {
  return `${JSON.stringify({ proxy_url: proxyUrl, admin_url: adminUrl, admin_token: adminToken, config: snapshot.hash, warnings: snapshot.warnings.length })}\n`;
}

function banner({ proxyUrl, adminUrl, adminToken, snapshot }: Started, io: Io): string {
  const bold = (text: string): string => (io.color ? `\u001b[1m${text}\u001b[22m` : text);
  const dim = (text: string): string => (io.color ? `\u001b[2m${text}\u001b[22m` : text);
  const { config, warnings } = snapshot;
  const keyed = config.tenants.some((tenant) => tenant.keys.length > 0);
  const lines = [
    '',
    `  ${bold('weir')} ${dim(`configuration ${snapshot.hash} from ${snapshot.file}`)}`,
    '',
    `  proxy    ${bold(proxyUrl)}`,
    `  admin    ${bold(adminUrl)}  ${dim('/metrics, /api/v1/health')}`,
    '',
    `  Point an SDK at it:  ${bold(`export OPENAI_BASE_URL=${proxyUrl}/v1`)}`,
    '  Or try it with curl:',
    '',
    `    curl ${proxyUrl}/v1/chat/completions \\`,
    "      -H 'content-type: application/json' \\",
    `      -H "authorization: Bearer ${keyed ? '$WEIR_API_KEY' : '$OPENAI_API_KEY'}" \\`,
    `      -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hello"}]}'`,
    '',
  ];
  if (adminToken !== undefined) lines.push(`  Admin token, shown this once: ${bold(adminToken)}`, '');
  if (warnings.length > 0) lines.push(`  ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'} in the configuration; weir check shows them.`, '');
  return `${lines.join('\n')}\n`;
}

/** What to do about a port that cannot be had; undefined for every other error. */
function listenFault(error: unknown): string | undefined {
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & { readonly address?: string; readonly port?: number };
  if (syscall !== 'listen') return undefined;
  const place = `${address ?? 'the address'}${port === undefined ? '' : ` port ${port}`}`;
  if (code === 'EADDRINUSE') return `${place} is taken; stop what listens there, or set proxy.port or admin.port (0 picks a free port)`;
  if (code === 'EACCES') return `${place} may not be used by this user; choose a port above 1023`;
  if (code === 'EADDRNOTAVAIL') return `${place} is no address of this machine; correct proxy.host or admin.host`;
  return `${place} cannot be listened on (${code})`;
}
