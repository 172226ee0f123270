/**
 * The walk of a WebSocket upgrade, from its head to its one closing entry: identified, admitted and routed as a request
 * is, then connected. The client's handshake is answered only when the upstream has accepted; until then every refusal,
 * the upstream's too, is an ordinary HTTP answer. What frames say is the session's business.
 */
import { ServerResponse, STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WeirError } from '../contract/errors.ts';
import type { Context } from '../contract/screening.ts';
import { openaiChat } from '../dialect/openai-chat.ts';
import type { OutputPlan } from '../screen/output.ts';
import { createGuard } from '../stream/guard.ts';
import { identify, isStillKnown, requireScope, type Identified } from '../tenant/identify.ts';
import { planOfCaller, readCallerContext } from './caller.ts';
import { directoryOf, forwardOptions, keyLimits, outcomeOf, sessionOf, upstreamOf, type ExchangeSite } from './exchange.ts';
import { announcesBody, checkRequestHeaders, fieldValue, forwardedAnswerHeaders, forwardedRequestHeaders, mediaType, type RawHeaders } from './headers.ts';
import { keepUntilWritten, openAfterwards, refuseBarred, writeEntry } from './late.ts';
import { ClientLeft, OpenExchange } from './opened.ts';
import { errorAnswer, type OwnAnswer } from './respond.ts';
import { readTarget, socketEndpointAt, type SocketEndpoint, type Target } from './route.ts';
import { Session, type OpenSession, type SessionScreen } from './session.ts';
import { acceptClient, checkHandshake, connectUpstream, type Connected, type SocketLimits, type SocketPeer } from './socket.ts';
import { joinPath } from './upstream.ts';

export interface SocketSite extends ExchangeSite {
  /** Connections that were accepted and are open. */
  readonly sessions: Set<OpenSession>;
}

/** Begins an exchange for an upgrade to a path on the table of sockets; it ends when the connection has. */
export function openSocket(req: IncomingMessage, socket: Socket, head: Buffer, site: SocketSite): OpenExchange {
  // Never written to: an upgrade has no answer in the sense of node:http, and what is answered here is written by hand.
  const exchange = new OpenExchange(req, new ServerResponse(req), site.dependencies);
  socket.on('error', () => {}); // a write that met a closed connection; the exchange learns of it from the socket
  socket.setTimeout(0);
  const client = new WaitingClient(socket, head, () => exchange.stop(new ClientLeft()));
  const written = run(exchange, client, site);
  site.open.set(exchange, written);
  keepUntilWritten(written, site);
  return exchange;
}

async function run(exchange: OpenExchange, client: WaitingClient, site: SocketSite): Promise<void> {
  try {
    await walk(exchange, client, site);
  } catch (error) {
    await answerError(exchange, client, error);
  } finally {
    await writeEntry(exchange, site);
  }
}

async function walk(exchange: OpenExchange, client: WaitingClient, site: SocketSite): Promise<void> {
  const { req, snapshot, facts } = exchange;
  const { proxy } = snapshot.config;
  if (site.draining) throw new WeirError('draining');
  if (site.open.size >= proxy.limits.connections_max) throw new WeirError('overloaded');
  checkRequestHeaders(req.rawHeaders, req.httpVersion, proxy.limits.headers_max);
  if (announcesBody(req.rawHeaders)) throw new WeirError('bad_request', 'an upgrade with a body');
  const target = readTarget(req.url!, proxy.limits.url_bytes_max);
  const endpoint = socketEndpointAt(target.path)!;
  facts.route = endpoint.path;
  facts.stream = true;
  const fault = checkHandshake(req);
  if (fault !== undefined) throw fault;
  const offered = readOffer(req.rawHeaders);
  const identified = await exchange.stage('identify', async () => {
    const found = identify(offered.fields, target.query, directoryOf(snapshot, site.dependencies), exchange.now());
    facts.tenant = found.tenant;
    facts.keyId = found.keyId;
    exchange.admission = await site.limits.admit(found.tenant, keyLimits(found));
    return found;
  });
  requireScope(identified, proxy.websockets === 'pass' ? 'pass_through' : 'models');
  const screen = screenOf(exchange, site, identified, endpoint, target);
  if (screen !== undefined) {
    await refuseBarred(exchange, site, screen.plan);
    exchange.afterwards = openAfterwards(exchange, site, screen.plan);
  }
  const startMs = performance.now();
  try {
    const connected = await connect(exchange, site, identified, target, offered);
    facts.upstreamStatus = connected.kind === 'accepted' ? 101 : connected.status;
    if (connected.kind === 'refused') return await passRefusal(exchange, client, connected, screen?.plan.forOutput({ ...screen.context, direction: 'output' }));
    await relay(exchange, client, connected, screen, site, identified);
  } finally {
    exchange.stageEnded({ stage: 'upstream', startMs, error: facts.errorCode });
  }
}

/** How its frames are looked at; undefined where the configuration hands them over. Throws upgrade_refused, no_policy. */
function screenOf(exchange: OpenExchange, site: SocketSite, identified: Identified, { path, dialect }: SocketEndpoint, { query }: Target): SessionScreen | undefined {
  const { facts, snapshot: { config: { proxy } } } = exchange;
  if (proxy.websockets === 'pass') return undefined;
  if (proxy.websockets === 'refuse') throw new WeirError('upgrade_refused');
  const base = site.dependencies.plan(identified.tenant.id);
  if (base === undefined) throw new WeirError('no_policy');
  facts.policy = base.policyName;
  facts.sessionId = sessionOf(exchange);
  const said = readCallerContext(exchange.req.rawHeaders, identified.tenant);
  const plan = planOfCaller(base, { sessionId: facts.sessionId, keyId: identified.keyId, requestId: exchange.requestId }, said);
  facts.policy = plan.policyName;
  facts.models = plan.models;
  const parameters = new URLSearchParams(query);
  facts.model = parameters.get('model') ?? parameters.get('deployment') ?? undefined;
  const context: Context = { ...said.trusted, tenant: identified.tenant.id, endpoint: path, stream: true, ...(facts.sessionId === undefined ? {} : { session: facts.sessionId }) };
  return { dialect, plan, context, opaque: proxy.opaque, json: { depthMax: proxy.limits.json_depth_max, itemsMax: proxy.limits.json_items_max }, vault: site.dependencies.pseudonyms, holds: site.dependencies.holds };
}

// What the client offers.

interface Offer {
  /** Without those of the handshake; a key among the protocols is an authorization. */
  readonly fields: RawHeaders;
  readonly protocols: readonly string[];
}

/** Browsers can send no header of their own, so a key may stand among the protocols: it is a credential like any other. */
const PROTOCOL_KEY = 'openai-insecure-api-key.';
const PROTOCOL = /^[!#$%&'*+.^_`|~\w-]+$/;

/** Throws bad_request. */
function readOffer(raw: RawHeaders): Offer {
  const fields: string[] = [];
  const protocols: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (!name.startsWith('sec-websocket-')) fields.push(raw[i], raw[i + 1]);
    if (name !== 'sec-websocket-protocol') continue;
    for (const protocol of raw[i + 1].split(',').map((token) => token.trim())) {
      if (!PROTOCOL.test(protocol) || protocols.includes(protocol)) throw new WeirError('bad_request', 'the sec-websocket-protocol header is not a list of different names');
      if (protocol.startsWith(PROTOCOL_KEY)) fields.push('authorization', `Bearer ${protocol.slice(PROTOCOL_KEY.length)}`);
      else protocols.push(protocol);
    }
  }
  return { fields, protocols };
}

// The upstream.

function connect(exchange: OpenExchange, site: SocketSite, identified: Identified, target: Target, { fields, protocols }: Offer): Promise<Connected> {
  const { config } = upstreamOf(exchange, site, identified);
  const { limits } = exchange.snapshot.config.proxy;
  const base = new URL(config.url);
  return connectUpstream({
    url: new URL(joinPath(base, target), base.origin),
    fields: forwardedRequestHeaders(fields, forwardOptions(exchange, identified, config)),
    protocols,
    timeoutMs: config.timeouts.connect_ms,
    signal: exchange.signal,
    limits: {
      frameBytesMax: limits.event_bytes_max, queueBytesMax: limits.queue_bytes_max, stuckMs: config.timeouts.idle_ms,
      tooLarge: ['response_too_large', 'a frame of the upstream is larger than proxy.limits.event_bytes_max'], violation: 'upstream_protocol',
    },
  });
}

async function relay(exchange: OpenExchange, waiting: WaitingClient, { peer: upstream, protocol, headers }: Connected & { kind: 'accepted' }, screen: SessionScreen | undefined, site: SocketSite, identified: Identified): Promise<void> {
  const { req, facts, snapshot: { config: { proxy: { limits, timeouts } } } } = exchange;
  const clientLimits: SocketLimits = {
    frameBytesMax: limits.body_bytes_max, queueBytesMax: limits.queue_bytes_max, stuckMs: timeouts.client_idle_ms,
    tooLarge: ['body_too_large', 'a frame is larger than proxy.limits.body_bytes_max'], violation: 'bad_request',
  };
  const client: SocketPeer | undefined = exchange.signal.aborted ? undefined : acceptClient(req, waiting.socket, waiting.take(), protocol, [...withoutHandshake(forwardedAnswerHeaders(headers, { bodyMayChange: true, decoded: false })), ...exchange.ownHeaders()], clientLimits);
  if (client === undefined) {
    upstream.close(1001);
    throw exchange.signal.aborted ? exchange.signal.reason : new ClientLeft();
  }
  facts.status = 101;
  if (screen === undefined) facts.input = facts.output = HANDED_OVER;
  const session = new Session({ exchange, client, upstream, screen, idleMs: timeouts.socket_idle_ms, waitingBytesMax: limits.response_bytes_max, mayGoOn: () => isStillKnown(directoryOf(site.dependencies.snapshot(), site.dependencies), identified, exchange.now()) });
  site.sessions.add(session);
  await session.run();
  site.sessions.delete(session);
}

/** Coverage is what this record is for: nothing was looked at. */
const HANDED_OVER = { action: 'allow', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [{ carrier: 'frames', kind: 'pass_through', treatment: 'pass' }] }, degraded: [], redactions: 0, latency_ms: 0 } as const;

function withoutHandshake(fields: readonly string[]): string[] {
  return fields.filter((_, i) => !fields[i - (i % 2)]!.toLowerCase().startsWith('sec-websocket-'));
}

/** The upstream's refusal, as it came; error messages may quote, so they are screened like any answer. */
async function passRefusal(exchange: OpenExchange, client: WaitingClient, { status, statusText, headers, body }: Connected & { kind: 'refused' }, plan: OutputPlan | undefined): Promise<void> {
  const encoding = fieldValue(headers, 'content-encoding') ?? 'identity';
  if (encoding !== 'identity') throw new WeirError('upstream_protocol', 'the upstream refused in a content-encoding');
  const screened = plan === undefined ? body : await screenRefusal(exchange, status, headers, body, plan);
  exchange.facts.outcome = 'completed';
  await answer(exchange, client, status, statusText, withoutHandshake(forwardedAnswerHeaders(headers, { bodyMayChange: true, decoded: false })), screened);
}

function screenRefusal(exchange: OpenExchange, status: number, headers: RawHeaders, body: Buffer, plan: OutputPlan): Promise<Buffer> {
  const { limits } = exchange.snapshot.config.proxy;
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const guard = createGuard({
      dialect: openaiChat, request: { segments: [], opaque: [], stream: false, parameters: {} }, plan, requestId: exchange.requestId, status, mediaType: mediaType(headers),
      limits: { eventBytesMax: limits.event_bytes_max, responseBytesMax: limits.response_bytes_max },
      onBytes: (bytes) => out.push(bytes),
      onDone: ({ error }) => {
        exchange.facts.output = guard.summary().decision;
        if (error === undefined) resolve(Buffer.concat(out));
        else reject(error);
      },
    });
    guard.feed(body);
    guard.end();
  });
}

// Answers of our own.

/** The one error exit. */
async function answerError(exchange: OpenExchange, client: WaitingClient, error: unknown): Promise<void> {
  const { facts } = exchange;
  if (error instanceof ClientLeft || exchange.clientLeft) {
    facts.outcome = 'client_left';
    return void client.socket.destroy();
  }
  const fault = error instanceof WeirError ? error : new WeirError('internal', undefined, { cause: error });
  facts.errorCode = fault.code;
  facts.outcome = outcomeOf(fault.code);
  const own: OwnAnswer = errorAnswer(fault, exchange.requestId);
  try {
    await answer(exchange, client, own.status, '', Object.entries(own.headers).flat(), own.body);
  } catch {
    client.socket.destroy(); // strict, and the entry cannot be written
  }
}

/** Under strict durability the entry comes first. */
async function answer(exchange: OpenExchange, { socket }: WaitingClient, status: number, statusText: string, fields: readonly string[], body: Buffer): Promise<void> {
  const { facts } = exchange;
  facts.status = status;
  facts.responseBytes = body.length;
  facts.firstByteMs = performance.now();
  if (exchange.durability === 'strict') await exchange.settle();
  if (!socket.writable) return void socket.destroy();
  const all = [...fields, 'content-length', String(body.length), 'connection', 'close', ...exchange.ownHeaders()];
  const lines = all.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${all[i + 1]}\r\n`] : [])).join('');
  const reason = REASON_PHRASE.test(statusText) ? statusText : STATUS_CODES[status] ?? 'Refused';
  socket.setTimeout(exchange.snapshot.config.proxy.timeouts.client_idle_ms, () => socket.destroy());
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${reason}\r\n${lines}\r\n`, 'latin1'), body]), () => socket.destroy());
  });
}

const REASON_PHRASE = /^[\t\x20-\x7e\x80-\xff]+$/;

/** What a hasty client sends before it is answered is kept up to this. */
const EARLY_BYTES_MAX = 65_536;

/** A client whose handshake is not answered yet: read, so that its leaving is seen, and what it sends is kept. */
class WaitingClient {
  readonly socket: Socket;
  readonly #early: Buffer[];
  readonly #onLeft: () => void;
  readonly #onData = (chunk: Buffer): void => this.#keep(chunk);

  constructor(socket: Socket, head: Buffer, onLeft: () => void) {
    this.socket = socket;
    this.#early = [head];
    this.#onLeft = onLeft;
    socket.on('data', this.#onData).once('end', onLeft);
  }

  /** What it has sent; from here on the socket is someone else's. */
  take(): Buffer {
    this.socket.off('data', this.#onData).off('end', this.#onLeft);
    return Buffer.concat(this.#early);
  }

  #keep(chunk: Buffer): void {
    this.#early.push(chunk);
    if (this.#early.reduce((sum, { length }) => sum + length, 0) > EARLY_BYTES_MAX) this.socket.pause();
  }
}
