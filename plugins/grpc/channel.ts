/**
 * The client's door to gRPC: unary calls to one server that end when their signal does. Guarantees: a call settles at once
 * when its signal is aborted, whatever the library does; messages are bounded both ways; the channel finds back by
 * itself to a server that was killed, frozen or lost, and leaves no connection behind.
 *
 * The library waits without limit for a server that accepts a connection and then says nothing (grpc-node 2785), never
 * notices a peer that is gone without a word, and does not close a connection that was never answered. So a connection
 * on which nothing was answered for `SILENCE_MS` of calls is replaced by a new one and cut. Pings would notice most of
 * that too, but many servers cut off who pings more than every five minutes.
 */
import { isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { CallCredentials, ChannelCredentials, Client, logVerbosity, Metadata, setLogVerbosity, status, type ClientOptions, type experimental, type ServiceError } from '@grpc/grpc-js';
import type { UnknownReason } from '#contract/screening.ts';
import type { MethodDefinition } from './wire.ts';

/** No answer, and why. The message repeats nothing of what was sent or received. */
export class CallError extends Error {
  readonly reason: UnknownReason;

  constructor(reason: UnknownReason, message: string) {
    super(message);
    this.name = 'CallError';
    this.reason = reason;
  }
}

export interface TlsFiles {
  /** PEM; absent: the authorities that Node trusts. */
  readonly ca?: Buffer;
  /** Our own, where the server asks for them; both or none. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface ChannelOptions {
  /** `host:port`, or another name that gRPC resolves. */
  readonly address: string;
  /** Absent: not encrypted. */
  readonly tls?: TlsFiles;
  /** Sent with every call. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Longest message, in either direction, after decompression. */
  readonly messageBytesMax: number;
}

export type Method<Request, Response> = Pick<MethodDefinition<Request, Response, Request, Response>, 'path' | 'requestSerialize' | 'responseDeserialize'>;

/** Calls without any answer for so long mean that the connection is dead, not slow. */
export const SILENCE_MS = 2_000;
/** A server that is started again is found after at most this, and a fifth for chance. */
const RECONNECT_MS = { first: 100, most: 2_000 } as const;

/** A classifier's server is one, and its failures are the host's to count and repeat. */
const OPTIONS: ClientOptions = {
  'grpc.initial_reconnect_backoff_ms': RECONNECT_MS.first,
  'grpc.max_reconnect_backoff_ms': RECONNECT_MS.most,
  'grpc.enable_retries': 0,
  'grpc.service_config_disable_resolution': 1,
  // A shared pool would give the connection that hangs to its replacement as well.
  'grpc.use_local_subchannel_pool': 1,
};

// What the library has to say goes into statuses; its log would name peers and addresses.
setLogVerbosity(logVerbosity.NONE);

export class CallChannel {
  readonly #options: ChannelOptions;
  readonly #metadata = new Metadata();
  #connection: Connection;
  /** When the first call began of those that ended unanswered since the last answer. */
  #silentSinceMs: number | undefined;

  /** Begins to connect, and does not wait for it. */
  constructor(options: ChannelOptions) {
    this.#options = options;
    for (const [name, value] of Object.entries(options.metadata)) this.#metadata.set(name, value);
    this.#connection = new Connection(options);
  }

  /** Rejects with CallError. */
  call<Request, Response>({ path, requestSerialize, responseDeserialize }: Method<Request, Response>, request: Request, signal: AbortSignal): Promise<Response> {
    const bytes = requestSerialize(request);
    const { messageBytesMax } = this.#options;
    if (bytes.length > messageBytesMax) return Promise.reject(new CallError('unsupported', `a message of ${bytes.length} bytes, the limit is ${messageBytesMax}`));
    if (signal.aborted) return Promise.reject(new CallError('timeout', 'no time was left'));
    const startMs = performance.now();
    const connection = this.#connection;
    return new Promise((resolve, reject) => {
      const call = connection.client.makeUnaryRequest(path, () => bytes, responseDeserialize, request, this.#metadata, (error: ServiceError | null, response?: Response) => {
        signal.removeEventListener('abort', onAbort);
        connection.leave();
        if (signal.aborted) return;
        this.#silentSinceMs = undefined;
        if (error === null) resolve(response as Response);
        else reject(new CallError(REASONS[error.code] ?? 'error', `the server answered ${status[error.code] ?? error.code}`));
      });
      connection.enter();
      const onAbort = (): void => {
        reject(new CallError('timeout', 'the server did not answer in time'));
        call.cancel();
        if (connection === this.#connection) this.#noticeSilence(startMs);
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Calls under way may end. */
  close(): void {
    this.#connection.retire();
  }

  #noticeSilence(startMs: number): void {
    this.#silentSinceMs ??= startMs;
    if (performance.now() - this.#silentSinceMs < SILENCE_MS) return;
    this.#silentSinceMs = undefined;
    this.#connection.retire();
    this.#connection = new Connection(this.#options);
  }
}

/** Every other status means that the server did not do its work. */
const REASONS: Partial<Record<status, UnknownReason>> = {
  [status.UNAVAILABLE]: 'unavailable',
  [status.RESOURCE_EXHAUSTED]: 'unavailable',
  [status.DEADLINE_EXCEEDED]: 'timeout',
  [status.CANCELLED]: 'unavailable',
};

/** A client with the sockets that it opened. Retired, it takes no calls, and is cut when the last one has ended. */
class Connection {
  readonly client: Client;
  readonly #sockets: OwnSockets;
  #underWay = 0;
  #retired = false;

  constructor({ address, tls, messageBytesMax }: ChannelOptions) {
    this.#sockets = new OwnSockets(address, tls);
    this.client = new Client(address, this.#sockets, { ...OPTIONS, 'grpc.max_send_message_length': messageBytesMax, 'grpc.max_receive_message_length': messageBytesMax });
    this.client.getChannel().getConnectivityState(true);
  }

  enter(): void {
    this.#underWay += 1;
  }

  leave(): void {
    this.#underWay -= 1;
    this.#cutIfDone();
  }

  retire(): void {
    this.#retired = true;
    this.client.close();
    this.#cutIfDone();
  }

  #cutIfDone(): void {
    if (this.#retired && this.#underWay === 0) this.#sockets.cut();
  }
}

type SecureConnector = experimental.SecureConnector;

/**
 * Credentials are where the library hands out each socket that it has connected, to be encrypted. It is done here, since
 * the library's own way names the server to itself even where the name is an address, which Node refuses.
 */
class OwnSockets extends ChannelCredentials {
  readonly #secured: ConnectionOptions | undefined;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  constructor(address: string, tls: TlsFiles | undefined) {
    super();
    const host = /^(?:dns:)?\[?(.+?)\]?:\d+$/.exec(address)?.[1] ?? 'localhost';
    this.#secured = tls && { ...tls, host, ...(isIP(host) === 0 ? { servername: host } : {}), ALPNProtocols: ['h2'] };
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  override _isSecure(): boolean {
    return this.#secured !== undefined;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: (socket) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        if (this.#isCut) socket.destroy();
        return this.#secured === undefined ? Promise.resolve({ socket, secure: false }) : encrypted({ socket, ...this.#secured });
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }
}

/** Rejects where the server cannot prove that it is who was called. */
function encrypted(options: ConnectionOptions): Promise<experimental.SecureConnectResult> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(options, () => resolve({ socket, secure: true }));
    socket.once('error', reject).once('close', () => reject(new Error('the connection was closed')));
  });
}
