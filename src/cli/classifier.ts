/**
 * `weir classifier serve ID`: one classifier of the configuration as a gRPC microservice, for a model that needs a machine
 * of its own or several proxies that share one. Prints where it listens and what to write to call it; runs until it is
 * told to stop.
 */
import { stat } from 'node:fs/promises';
import { loadConfig } from '../config/load.ts';
import type { ClassifierConfig } from '../config/schema.ts';
import type { Classifier } from '../contract/classifier.ts';
import { ClassifierPool } from '../runtime.ts';
import type { ClassifierServer, ServerOptions } from './classifier/server.ts';
import { didYouMean, parseCall, UsageError, type CliCommand, type Io } from './command.ts';

const MIB = 1024 * 1024;
const OPTIONS = { host: 'value', port: 'value', 'message-mib': 'value', 'tls-cert': 'value', 'tls-key': 'value', 'tls-ca': 'value', config: 'value', json: 'flag' } as const;
const DEFAULTS = { host: '127.0.0.1', port: 50_051, messageMib: 4, drainMs: 10_000 } as const;

export const classifier: CliCommand = {
  name: 'classifier',
  summary: 'offer one classifier as a gRPC microservice',
  help: `usage: weir classifier serve ID [--host HOST] [--port PORT] [--message-mib N]
                       [--tls-cert FILE --tls-key FILE [--tls-ca FILE]] [--config FILE] [--json]

Offers the classifier ID of the configuration under weir.classifier.v1.Classifier (config/proto), with
grpc.health.v1.Health and server reflection. Call it from another Weir with plugin: grpc, or from any gRPC client.
At most as many calls are under way as the classifier's entry says under concurrency; one more is refused with
RESOURCE_EXHAUSTED. Runs until SIGINT or SIGTERM; open calls then have ${DEFAULTS.drainMs / 1000} seconds to end. A second signal ends it at once.

  --host HOST      address to listen on; default ${DEFAULTS.host}. Who reaches it can ask it: use TLS beyond this machine
  --port PORT      default ${DEFAULTS.port}; 0 picks a free one
  --message-mib N  longest message in MiB, default ${DEFAULTS.messageMib}; a longer one is refused with RESOURCE_EXHAUSTED
  --tls-cert FILE  certificate and --tls-key FILE its key, in PEM: encrypt
  --tls-ca FILE    and admit only callers whose certificate this authority has signed
  --config FILE    default: config/weir.yaml in the working directory, else the one that comes with weir
  --json           print one JSON object when it runs: classifier, version, address, port, categories

exit code: 0 stopped in good order, 1 could not start, 2 wrong call
`,
  async run(args, io) {
    const { options, operands } = parseCall(args, OPTIONS, 2);
    const [verb, id] = operands;
    if (verb !== 'serve') throw new UsageError(verb === undefined ? 'what to do is missing; there is serve' : `unknown verb ${JSON.stringify(verb)}${didYouMean(verb, ['serve'])}`);
    if (id === undefined) throw new UsageError('the id of the classifier is missing');
    const place = { host: options.host ?? DEFAULTS.host, port: readCount('port', options.port, 0, 65_535, DEFAULTS.port) };
    const messageBytesMax = MIB * readCount('message-mib', options['message-mib'], 1, 1024, DEFAULTS.messageMib);
    const tls = await readTls(options['tls-cert'], options['tls-key'], options['tls-ca']);
    const stop = io.stopSignal();
    const { config } = await loadConfig(options.config, io.env);
    const entry = chooseEntry(config.classifiers, id);
    const { names, chars_max: charsMax } = config.screening.views;
    const pool = new ClassifierPool();
    try {
      const [provisioned] = await pool.provision({ classifiers: [entry] });
      const { judgeWith } = await import('./classifier/judge.ts');
      const { serveClassifier } = await import('./classifier/server.ts');
      const server = await listen(() => serveClassifier({ ...place, tls, messageBytesMax, callsMax: entry.concurrency, ...judgeWith(provisioned, entry, { names, charsMax }) }), place, io);
      if (server === undefined) return 1;
      io.stdout(options.json ? startedJson(provisioned, place.host, server.port) : banner(provisioned, entry, place.host, server.port, io));
      if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
      await server.close(DEFAULTS.drainMs);
      return 0;
    } finally {
      await pool.close();
    }
  },
};

function readCount(option: string, given: string | undefined, min: number, max: number, otherwise: number): number {
  if (given === undefined) return otherwise;
  const count = /^\d{1,6}$/.test(given) ? Number(given) : NaN;
  if (!(count >= min && count <= max)) throw new UsageError(`option --${option} takes a whole number from ${min} to ${max}`);
  return count;
}

async function readTls(cert: string | undefined, key: string | undefined, ca: string | undefined): Promise<ServerOptions['tls']> {
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  if (cert === undefined || key === undefined) throw new UsageError('--tls-cert and --tls-key go together');
  for (const [option, file] of [['tls-cert', cert], ['tls-key', key], ['tls-ca', ca]] as const) {
    if (file !== undefined && !(await stat(file).catch(() => undefined))?.isFile()) throw new UsageError(`--${option}: there is no such file`);
  }
  return { cert, key, ca };
}

function chooseEntry(entries: readonly ClassifierConfig[], id: string): ClassifierConfig {
  const entry = entries.find((one) => one.id === id);
  const ids = entries.map((one) => one.id);
  if (entry === undefined) throw new UsageError(`there is no classifier ${JSON.stringify(id)}${didYouMean(id, ids) || `; there is ${ids.join(', ')}`}`);
  return entry;
}

/** Undefined, with a message, where the place cannot be had. */
async function listen(serve: () => Promise<ClassifierServer>, { host, port }: { readonly host: string; readonly port: number }, io: Io): Promise<ClassifierServer | undefined> {
  try {
    return await serve();
  } catch (error) {
    const code = /\b(EADDRINUSE|EACCES|EADDRNOTAVAIL)\b/.exec((error as Error).message)?.[1];
    const faults: Readonly<Record<string, string>> = {
      EADDRINUSE: 'is taken; stop what listens there, or choose another --port (0 picks a free one)',
      EACCES: 'may not be used by this user; choose a --port above 1023',
      EADDRNOTAVAIL: 'is no address of this machine; correct --host',
    };
    io.stderr(`weir classifier: ${host} port ${port} ${faults[code ?? ''] ?? 'cannot be listened on; check --host, --port and the TLS files'}\n`);
    return undefined;
  }
}

function startedJson({ id, version, categories }: Classifier, host: string, port: number): string {
  return `${JSON.stringify({ classifier: id, version, address: addressOf(host, port), port, categories: categories.map((category) => category.id) })}\n`;
}

function banner({ id, version, categories }: Classifier, entry: ClassifierConfig, host: string, port: number, io: Io): string {
  const bold = (text: string): string => (io.color ? `\u001b[1m${text}\u001b[22m` : text);
  const call = `- { id: ${id}, plugin: grpc, address: '${addressOf(host, port)}', categories: [${categories.map((category) => category.id).join(', ')}] }`;
  return `\n  ${bold(`weir classifier ${id}`)} (${entry.plugin} ${version})\n\n  gRPC  ${bold(addressOf(host, port))}\n\n  Call it from another Weir, under classifiers:\n\n    ${call}\n\n`;
}

/** As one writes it to call it: a server on all addresses is reached on this machine's own, among others. */
function addressOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
