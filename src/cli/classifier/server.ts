/**
 * The server's door to gRPC: offers one classifier under the contract of config/proto, with health checking and
 * reflection. Guarantees: at most so many calls under way and so many bytes in a message, each refused by name beyond
 * that; a call that its caller gives up is given up here; on the way out it says NOT_SERVING first, lets calls end, and
 * leaves no connection behind.
 */
import { readFile } from 'node:fs/promises';
import { logVerbosity, Server, ServerCredentials, setLogVerbosity, status } from '@grpc/grpc-js';
import type { sendUnaryData, ServerDuplexStream, ServerUnaryCall, ServerWritableStream, ServiceDefinition } from '@grpc/grpc-js';
import { CLASSIFIER_PROTO, CLASSIFIER_SERVICE, loadProto, type ClassifyRequestMessage, type PackageDefinition } from '../../../plugins/grpc/wire.ts';
import { Reflection, type ReflectionRequest } from './reflection.ts';

export interface ServedMethods {
  /** Messages of config/proto. Rejects with Refusal where the request is at fault. */
  readonly describe: () => object;
  readonly classify: (request: ClassifyRequestMessage, signal: AbortSignal) => Promise<object>;
}

/** A request that no classifier should be asked. */
export class Refusal extends Error {}

export interface ServerOptions extends ServedMethods {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** Calls under way; one more is RESOURCE_EXHAUSTED. */
  readonly callsMax: number;
  /** Longest message; a longer one is RESOURCE_EXHAUSTED. */
  readonly messageBytesMax: number;
}

export interface ClassifierServer {
  readonly port: number;
  /** Lets calls end for so long, then cuts them. */
  close(drainMs: number): Promise<void>;
}

const HEALTH_SERVICE = 'grpc.health.v1.Health';
const REFLECTION_SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'] as const;
/** Of one connection; further ones wait in the client. */
const STREAMS_MAX = 1_000;

// What the library has to say goes into statuses; its log would name peers and addresses.
setLogVerbosity(logVerbosity.NONE);

/** Rejects with the listener's error as the library words it. */
export async function serveClassifier(options: ServerOptions): Promise<ClassifierServer> {
  const { host, messageBytesMax } = options;
  const server = new Server({ 'grpc.max_receive_message_length': messageBytesMax, 'grpc.max_send_message_length': messageBytesMax, 'grpc.max_concurrent_streams': STREAMS_MAX });
  const health = new Health(['', CLASSIFIER_SERVICE]);
  const [healthProto, reflectionProto] = [loadProto('grpc/health/v1/health.proto'), loadProto('grpc/reflection/v1/reflection.proto')];
  const reflection = new Reflection([CLASSIFIER_PROTO, healthProto, reflectionProto], [CLASSIFIER_SERVICE, HEALTH_SERVICE, ...REFLECTION_SERVICES]);
  server.addService(serviceOf(CLASSIFIER_PROTO, CLASSIFIER_SERVICE), {
    Describe: (_call: unknown, reply: sendUnaryData<object>) => reply(null, options.describe()),
    Classify: classifyCall(options),
  });
  server.addService(serviceOf(healthProto, HEALTH_SERVICE), { Check: health.check, Watch: health.watch });
  for (const name of REFLECTION_SERVICES) server.addService(reflectionService(reflectionProto, name), { ServerReflectionInfo: reflectionCall(reflection) });
  const credentials = await credentialsOf(options.tls);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`${host.includes(':') ? `[${host}]` : host}:${options.port}`, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return {
    port,
    async close(drainMs) {
      health.stop();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => server.forceShutdown(), drainMs);
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

async function credentialsOf(tls: ServerOptions['tls']): Promise<ServerCredentials> {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const [cert, key, ca] = await Promise.all([readFile(tls.cert), readFile(tls.key), tls.ca === undefined ? null : readFile(tls.ca)]);
  return ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], ca !== null);
}

function serviceOf(definitions: PackageDefinition, name: string): ServiceDefinition {
  return definitions[name] as unknown as ServiceDefinition;
}

/** Both versions have the same messages; the name of the service is all that differs on the wire. */
function reflectionService(definitions: PackageDefinition, name: string): ServiceDefinition {
  const { ServerReflectionInfo: method } = serviceOf(definitions, REFLECTION_SERVICES[0]);
  return { ServerReflectionInfo: { ...method, path: `/${name}/ServerReflectionInfo` } };
}

function classifyCall({ classify, callsMax }: ServerOptions): (call: ServerUnaryCall<ClassifyRequestMessage, object>, reply: sendUnaryData<object>) => void {
  let underWay = 0;
  return (call, reply) => {
    if (underWay >= callsMax) return reply({ code: status.RESOURCE_EXHAUSTED, details: `${underWay} calls are under way, the limit is ${callsMax}; raise its concurrency or start another server` });
    underWay += 1;
    const stop = new AbortController();
    call.once('cancelled', () => stop.abort());
    classify(call.request, stop.signal).then(
      (response) => reply(null, response),
      // A fault of the program itself is not told to strangers.
      (error: unknown) => reply(error instanceof Refusal ? { code: status.INVALID_ARGUMENT, details: error.message } : { code: status.INTERNAL, details: 'the classifier failed' }),
    ).finally(() => {
      underWay -= 1;
    });
  };
}

function reflectionCall(reflection: Reflection): (call: ServerDuplexStream<ReflectionRequest, object>) => void {
  return (call) => {
    call.on('data', (request: ReflectionRequest) => call.write(reflection.answer(request)));
    call.on('end', () => call.end());
  };
}

interface HealthRequest {
  readonly service: string;
}

class Health {
  readonly #services: readonly string[];
  readonly #watchers = new Set<ServerWritableStream<HealthRequest, object>>();
  #status: 'SERVING' | 'NOT_SERVING' = 'SERVING';

  constructor(services: readonly string[]) {
    this.#services = services;
  }

  readonly check = ({ request }: ServerUnaryCall<HealthRequest, object>, reply: sendUnaryData<object>): void => {
    if (this.#services.includes(request.service)) reply(null, { status: this.#status });
    else reply({ code: status.NOT_FOUND, details: 'there is no such service here' });
  };

  readonly watch = (call: ServerWritableStream<HealthRequest, object>): void => {
    call.write({ status: this.#services.includes(call.request.service) ? this.#status : 'SERVICE_UNKNOWN' });
    this.#watchers.add(call);
    call.once('cancelled', () => this.#watchers.delete(call));
  };

  /** Tells those who watch, and ends their streams, which would keep the server open. */
  stop(): void {
    this.#status = 'NOT_SERVING';
    for (const call of this.#watchers) {
      if (this.#services.includes(call.request.service)) call.write({ status: this.#status });
      call.end();
    }
    this.#watchers.clear();
  }
}
