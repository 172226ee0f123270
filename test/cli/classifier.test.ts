/**
 * `weir classifier serve`: a process that a generic client explores by reflection, asks, watches and stops. The client
 * knows nothing but what the server tells it about itself.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync, type PackageDefinition } from '@grpc/proto-loader';
import t, { type Test } from 'tap';
import { classifier } from '../../src/cli/classifier.ts';
import { serveClassifier as serve } from '../../src/cli/classifier/server.ts';
import { UsageError, type Io } from '../../src/cli/command.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { configFile, serveClassifier, startMisbehaving } from '../helpers/grpc.ts';
import { pause } from '../helpers/upstream.ts';

const ROOT = join(import.meta.dirname, '../..');
const READ = { keepCase: true, enums: String, defaults: true, oneofs: true } as const;
const HEALTH = loadSync(join(ROOT, 'config/proto/grpc/health/v1/health.proto'), READ);
const REFLECTION = loadSync(join(ROOT, 'config/proto/grpc/reflection/v1/reflection.proto'), READ);
const PATIENCE_MS = 20_000;

type Message = Record<string, unknown>;

/** Calls methods by their name, over the definitions that it was given. */
class GenericClient {
  readonly #client: grpc.Client;

  constructor(t: Test, address: string, credentials = grpc.credentials.createInsecure()) {
    this.#client = new grpc.Client(address, credentials);
    t.teardown(() => this.#client.close());
  }

  call(definitions: PackageDefinition, service: string, name: string, request: Message): Promise<Message> {
    const method = methodOf(definitions, service, name);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(method.path, method.requestSerialize, method.responseDeserialize, request, new grpc.Metadata(), { deadline: Date.now() + PATIENCE_MS }, (error, answer) => (error ? reject(error) : resolve(answer as Message)));
    });
  }

  stream(definitions: PackageDefinition, service: string, name: string, path = methodOf(definitions, service, name).path): grpc.ClientDuplexStream<Message, Message> {
    const method = methodOf(definitions, service, name);
    return this.#client.makeBidiStreamRequest(path, method.requestSerialize, method.responseDeserialize) as grpc.ClientDuplexStream<Message, Message>;
  }

  watch(definitions: PackageDefinition, service: string, name: string, request: Message): grpc.ClientReadableStream<Message> {
    const method = methodOf(definitions, service, name);
    return this.#client.makeServerStreamRequest(method.path, method.requestSerialize, method.responseDeserialize, request) as grpc.ClientReadableStream<Message>;
  }
}

function methodOf(definitions: PackageDefinition, service: string, name: string): grpc.MethodDefinition<unknown, unknown> {
  return (definitions[service] as unknown as grpc.ServiceDefinition)[name] as grpc.MethodDefinition<unknown, unknown>;
}

/** What the server describes of a symbol, read from its own descriptors. */
async function reflected(client: GenericClient, requests: readonly Message[], path?: string): Promise<readonly Message[]> {
  const stream = client.stream(REFLECTION, 'grpc.reflection.v1.ServerReflection', 'ServerReflectionInfo', path);
  for (const request of requests) stream.write(request);
  stream.end();
  return stream.toArray();
}

const calling = (address: string, more = {}) => ({ classifiers: [{ id: 'ours', plugin: 'grpc', address, categories: ['toxic'], ...more }] });

t.test('a generic client finds the service by reflection and asks it', async (t) => {
  const service = await serveClassifier(t, ['pii']);
  t.match(JSON.parse(service.said), { classifier: 'pii', version: /^\d/, address: service.address, categories: ['EMAIL', 'PHONE_NUMBER'] });
  const client = new GenericClient(t, service.address);

  const [list, file, method, absent, extension] = await reflected(client, [
    { list_services: '' }, { file_containing_symbol: 'weir.classifier.v1.Classifier' }, { file_containing_symbol: 'weir.classifier.v1.Classifier.Classify' }, { file_containing_symbol: 'weir.Other' }, { all_extension_numbers_of_type: 'weir.Other' },
  ]) as readonly Record<string, never>[];
  t.same((list.list_services_response['service'] as { name: string }[]).map(({ name }) => name), ['weir.classifier.v1.Classifier', 'grpc.health.v1.Health', 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection']);
  t.match([absent, extension], [{ error_response: { error_code: 5 } }, { error_response: { error_code: 12 } }]);
  t.same(method.file_descriptor_response, file.file_descriptor_response);
  const [bytes] = file.file_descriptor_response['file_descriptor_proto'] as Buffer[];
  t.match(await reflected(client, [{ file_by_filename: bytes.toString('utf8', 2, 2 + bytes[1]) }, { file_by_filename: 'other.proto' }], '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'), [{ file_descriptor_response: { file_descriptor_proto: [bytes] } }, { error_response: { error_code: 5 } }]);

  // From here on the client speaks from what it was told.
  // A FileDescriptorSet is its files, each as field 1 with its length.
  const told = loadFileDescriptorSetFromBuffer(Buffer.concat([Buffer.from([10, (bytes.length & 127) | 128, bytes.length >> 7]), bytes]), READ);
  t.ok(bytes.includes(Buffer.from('3a023801', 'hex')), 'the entries of the context are marked as those of a map, which this reader takes for a list; on the wire they are the same');
  const classify = (request: Message): Promise<Message> => client.call(told, 'weir.classifier.v1.Classifier', 'Classify', request);
  t.match(await client.call(told, 'weir.classifier.v1.Classifier', 'Describe', {}), { id: 'pii', directions: ['DIRECTION_INPUT', 'DIRECTION_OUTPUT'], content_types: ['CONTENT_TYPE_TEXT'], languages: ['*'], needs_context: false });
  const content = '\ud83d\udc4b write to ana@example.com';
  t.match(await classify({ direction: 'DIRECTION_INPUT', content, context: [{ key: 'a', value: { text: 'b' } }], categories: ['EMAIL', 'IBAN', 'nothing', 'EMAIL'] }), {
    results: [{ category: 'EMAIL', score: 1, label: 'EMAIL', spans: [{ start: 12, end: 27 }], outcome: 'score' }, { category: 'IBAN', score: 0, spans: [], outcome: 'score' }, { category: 'nothing', unknown: 'UNKNOWN_REASON_UNSUPPORTED', outcome: 'unknown' }],
  });
  t.match(await classify({ direction: 'DIRECTION_INPUT', content: 'ana&#64;example.com', categories: ['EMAIL'] }), { results: [{ score: 1, spans: [{ start: 0, end: 19 }] }] }, 'disguised, too');
  t.equal(((await classify({ direction: 'DIRECTION_OUTPUT', content: 'x' })).results as unknown[]).length, JSON.parse(service.said).categories.length, 'none named means all');
  t.match(await classify({ direction: 'DIRECTION_INPUT', content, content_type: 'CONTENT_TYPE_IMAGE', categories: ['EMAIL'] }), { results: [{ unknown: 'UNKNOWN_REASON_UNSUPPORTED' }] });
  await t.rejects(classify({ content }), { code: grpc.status.INVALID_ARGUMENT, details: 'direction is not one of DIRECTION_INPUT, DIRECTION_OUTPUT' });
  await t.rejects(classify({ content, direction: 'DIRECTION_INPUT', content_type: 9 }), { code: grpc.status.INVALID_ARGUMENT, details: /^content_type is not one of/ });
});

t.test('health: serving while it runs, not serving on the way out, and a stop in good order', async (t) => {
  const service = await serveClassifier(t, ['pii']);
  const client = new GenericClient(t, service.address);
  const check = (name: string): Promise<Message> => client.call(HEALTH, 'grpc.health.v1.Health', 'Check', { service: name });
  t.match([await check(''), await check('weir.classifier.v1.Classifier')], [{ status: 'SERVING' }, { status: 'SERVING' }]);
  await t.rejects(check('other'), { code: grpc.status.NOT_FOUND });
  const seen: unknown[] = [];
  const watch = client.watch(HEALTH, 'grpc.health.v1.Health', 'Watch', { service: '' });
  const other = client.watch(HEALTH, 'grpc.health.v1.Health', 'Watch', { service: 'other' });
  watch.on('data', ({ status }: Message) => seen.push(status));
  other.on('data', ({ status }: Message) => seen.push(status));
  const ended = Promise.all([watch, other].map((stream) => new Promise((resolve) => stream.on('end', resolve))));
  const end = performance.now() + PATIENCE_MS;
  while (seen.length < 2 && performance.now() < end) await pause(5);
  t.same(new Set(seen), new Set(['SERVING', 'SERVICE_UNKNOWN']));
  service.kill('SIGTERM');
  await ended;
  t.equal(seen.at(-1), 'NOT_SERVING');
  t.equal(await service.ended, 0);
});

t.test('a stop lets calls end; calls and messages are bounded, at the limit and above it', async (t) => {
  const behind = await startMisbehaving(t);
  const service = await serveClassifier(t, ['ours', '--message-mib', '1', '--config', configFile(t, calling(behind.address, { concurrency: 2, deadline_ms: 15_000 }))]);
  const client = new GenericClient(t, service.address);
  const definitions = loadSync(join(ROOT, 'config/proto/weir/classifier/v1/classifier.proto'), READ);
  const classify = (content: string): Promise<Message> => client.call(definitions, 'weir.classifier.v1.Classifier', 'Classify', { direction: 'DIRECTION_INPUT', content });

  t.match(await classify('score 0.25'), { results: [{ classifier_id: 'ours', category: 'toxic', score: 0.25 }] });
  t.match(await classify('score 1.7'), { results: [{ category: 'toxic', unknown: 'UNKNOWN_REASON_ERROR' }] });
  const overhead = methodOf(definitions, 'weir.classifier.v1.Classifier', 'Classify').requestSerialize({ direction: 'DIRECTION_INPUT', content: 'x'.repeat(1_000_000) }).length - 1_000_000;
  const most = `score 1${' '.repeat(1_048_576 - overhead - 7)}`;
  t.match(await classify(most), { results: [{ score: 1 }] });
  await t.rejects(classify(`${most} `), { code: grpc.status.RESOURCE_EXHAUSTED, details: /larger than max/ });

  const slow = [classify('slow 2000'), classify('slow 2000')];
  // Both are under way when a third is refused.
  const end = performance.now() + PATIENCE_MS;
  let refused: grpc.ServiceError | undefined;
  while (refused === undefined && performance.now() < end) await classify('score 0.5').catch((error: grpc.ServiceError) => (refused = error));
  t.match(refused, { code: grpc.status.RESOURCE_EXHAUSTED, details: '2 calls are under way, the limit is 2; raise its concurrency or start another server' });
  service.kill('SIGINT');
  t.match(await Promise.all(slow), [{ results: [{ score: 0.9 }] }, { results: [{ score: 0.9 }] }]);
  t.equal(await service.ended, 0);
});

t.test('calls that do not end are cut when the time to end is over; bytes that are no request harm nothing', async (t) => {
  let asked = 0;
  const given = new AbortController();
  const classify = (_: unknown, signal: AbortSignal): Promise<object> => {
    asked += 1;
    signal.addEventListener('abort', () => given.abort(), { once: true });
    return new Promise(() => {});
  };
  const server = await serve({ host: '127.0.0.1', port: 0, callsMax: 1, messageBytesMax: 1024, describe: () => ({ id: 'never' }), classify });
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
  t.teardown(() => client.close());
  const send = (bytes: Buffer): Promise<grpc.ServiceError | null> => new Promise((resolve) => client.makeUnaryRequest('/weir.classifier.v1.Classifier/Classify', (raw: Buffer) => raw, (raw) => raw, bytes, resolve));
  t.match(await send(Buffer.from('ff'.repeat(40), 'hex')), { code: grpc.status.INTERNAL });
  t.equal(asked, 0);
  const hanging = send(Buffer.alloc(0));
  const end = performance.now() + PATIENCE_MS;
  while (asked === 0 && performance.now() < end) await pause(5);
  await server.close(200);
  t.match(await hanging, { code: grpc.status.CANCELLED });
  t.ok(given.signal.aborted, 'the classifier is told');
});

t.test('encrypted, and for callers that its authority knows', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-serve-tls-'));
  const own = makeCertificate();
  writeFileSync(join(dir, 'cert.pem'), own.cert);
  writeFileSync(join(dir, 'key.pem'), own.key);
  const files = ['--tls-cert', join(dir, 'cert.pem'), '--tls-key', join(dir, 'key.pem'), '--tls-ca', join(dir, 'cert.pem')];
  const service = await serveClassifier(t, ['pii', ...files]);
  const tls = { ca: './cert.pem', cert: './cert.pem', key: './key.pem' };
  for (const [options, wanted] of [[{ tls }, { category: 'EMAIL', score: 1 }], [{ tls: { ca: './cert.pem' } }, { category: 'EMAIL', unknown: 'UNKNOWN_REASON_UNAVAILABLE' }]] as const) {
    // Through a second service, whose classifier is the first: paths beside the configuration.
    const front = await serveClassifier(t, ['ours', '--config', configFile(t, calling(service.address, { categories: ['EMAIL'], ...options }), dir)]);
    const definitions = loadSync(join(ROOT, 'config/proto/weir/classifier/v1/classifier.proto'), READ);
    const client = new GenericClient(t, front.address);
    t.match(await client.call(definitions, 'weir.classifier.v1.Classifier', 'Classify', { direction: 'DIRECTION_INPUT', content: 'ana@example.com' }), { results: [wanted] });
  }
});

const smallest = configFile(t);
const SILENT = { stdout: () => {}, stderr: () => {}, stdin: process.stdin, env: {}, isTerminal: true, columns: 80, color: false };

/** The command in this process; the exit code of a wrong call as the program gives it. */
async function call(args: readonly string[], stop = new AbortController()): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = '';
  let err = '';
  const onOut = (text: string): void => {
    out += text;
    // It runs: that was all it had to say.
    stop.abort();
  };
  const io: Io = { ...SILENT, stdout: onOut, stderr: (text) => void (err += text), stopSignal: () => stop.signal };
  try {
    return { code: await classifier.run(['serve', ...args, ...(args.includes('--config') ? [] : ['--config', smallest])], io), out, err };
  } catch (error) {
    return { code: error instanceof UsageError ? 2 : 1, out, err: (error as Error).message };
  }
}

t.test('wrong calls, and places that cannot be had', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const plain = join(mkdtempSync(join(tmpdir(), 'weir-serve-')), 'plain.txt');
  writeFileSync(plain, 'no certificate');
  t.teardown(() => rmSync(dirname(plain), { recursive: true }));
  const wrong: readonly (readonly [args: readonly string[], code: number, err: RegExp])[] = [
    [[], 2, /the id of the classifier is missing/], [['pi'], 2, /there is no classifier "pi"; did you mean pii\?/], [['something'], 2, /there is no classifier "something"; there is pii/], [['pii', 'more'], 2, /unexpected argument/], [['pii', '--port', '65536'], 2, /--port takes a whole number from 0 to 65535/],
    [['pii', '--message-mib', '0'], 2, /--message-mib takes/], [['pii', '--tls-key', 'a'], 2, /go together/], [['pii', '--tls-cert', '/nonexistent', '--tls-key', '/nonexistent'], 2, /--tls-cert: there is no such file/], [['pii', '--port', '0', '--tls-cert', plain, '--tls-key', plain], 1, /check --host, --port and the TLS files/],
    [['pii', '--port', String(port)], 1, /127\.0\.0\.1 port \d+ is taken/], [['pii', '--host', '192.0.2.1'], 1, /192\.0\.2\.1 port 50051 is no address of this machine/], [['ours', '--config', configFile(t, calling('nowhere'))], 1, /address: expected host:port/],
  ];
  for (const [verbs, message] of [[[], /what to do is missing; there is serve/], [['serv', 'pii'], /unknown verb "serv"; did you mean serve\?/]] as const) {
    await t.rejects(classifier.run(verbs, { ...SILENT, stopSignal: () => new AbortController().signal }), { name: 'UsageError', message });
  }
  for (const [args, code, err] of wrong) t.match(await call(args), { code, out: '', err }, args.join(' '));
});

t.test('on a terminal it says how to be called', async (t) => {
  const { code, out } = await call(['pii', '--port', '0']);
  t.equal(code, 0);
  t.match(out, /weir classifier pii \(pii \d+\.\d+\.\d+\)\n\n {2}gRPC {2}127\.0\.0\.1:\d+\n[^]*- \{ id: pii, plugin: grpc, address: '127\.0\.0\.1:\d+', categories: \[EMAIL, /);
  if (Object.values(networkInterfaces()).flat().some((one) => one?.address === '::1')) t.match((await call(['pii', '--port', '0', '--host', '::1'])).out, /gRPC {2}\[::1\]:\d+\n/);
});
