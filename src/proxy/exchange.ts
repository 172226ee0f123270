/**
 * The hallway: one exchange from its head to its closing entry, and the one file that branches. Each stage takes what
 * the stage before returned; nothing is forwarded that screening did not make. Guarantees exactly one closing entry,
 * whatever happens, and one error exit. What a stage does is in the stage's file.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { UpstreamConfig } from '../config/schema.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Outcome } from '../contract/exchange.ts';
import { MODERATION_CATEGORIES, type Context } from '../contract/screening.ts';
import { readJson, type JsonDocument, type JsonLimits } from '../dialect/json.ts';
import { moderationAnswer, readModeration } from '../dialect/openai-moderations.ts';
import { moderate } from '../screen/moderations.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import type { ServiceRecord } from '../screen/service.ts';
import { sourceReader, type SourceReader } from '../screen/sources.ts';
import { createGuard } from '../stream/guard.ts';
import { createDirectory, identify, requireScope, type Identified, type TenantDirectory } from '../tenant/identify.ts';
import type { TenantLimits } from '../tenant/limits.ts';
import type { KeyLimits } from '../tenant/stored-keys.ts';
import { planOfCaller, readCallerContext } from './caller.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { checkJsonType, checkRequestHeaders, fieldValue, forwardedRequestHeaders, headerSafe, type ForwardOptions } from './headers.ts';
import { waitForPerson, withHold } from './hold.ts';
import { keepUntilWritten, openAfterwards, refuseBarred, unlessCut, writeEntry } from './late.ts';
import { ClientLeft, OpenExchange } from './opened.ts';
import { actedOn, decideInSession, refuse, screenPrompt, type HeldPrompt, type SettledPrompt } from './prompt.ts';
import { RecordTally } from './record-tally.ts';
import { relayAnswer } from './relay.ts';
import { readBody, readRequest, type BodyLimits, type ReadRequest } from './request.ts';
import { errorAnswer, jsonAnswer, respond, type OwnAnswer } from './respond.ts';
import { dialectAt, matchRoute, readTarget, type PassThroughRoute, type ScreenedRoute } from './route.ts';
import { upstreamCredential } from './upstream.ts';
import { watchCall } from './upstream-call.ts';
import type { Upstreams } from './upstreams.ts';

export type { AuditPort, ProxyDependencies, ScreeningCaller, ScreeningService } from './dependencies.ts';

/** What all exchanges of a server share. */
export interface ExchangeSite {
  readonly dependencies: ProxyDependencies;
  readonly upstreams: Upstreams;
  readonly limits: TenantLimits;
  readonly open: Map<OpenExchange, Promise<void>>;
  /** Those that are over but for what is learnt of them after the fact: only their entries are still to come. */
  readonly late: Set<OpenExchange>;
  /** One for each exchange that was begun and whose entry is not written. */
  readonly unwritten: Set<Promise<void>>;
  /** Open exchanges by connection. */
  readonly pipelined: WeakMap<Socket, number>;
  readonly draining: boolean;
}

/** Requests of one connection that may wait behind one another; no known client sends a second before its answer. */
const PIPELINED_MAX = 16;

/** Begins an exchange and returns it; `finished` resolves when its entry is written and its answer has left. */
export function openExchange(req: IncomingMessage, res: ServerResponse, site: ExchangeSite): OpenExchange {
  const exchange = new OpenExchange(req, res, site.dependencies);
  if (site.draining) res.shouldKeepAlive = false;
  site.pipelined.set(req.socket, (site.pipelined.get(req.socket) ?? 0) + 1);
  const written = run(exchange, site);
  site.open.set(exchange, written);
  keepUntilWritten(written, site);
  return exchange;
}

async function run(exchange: OpenExchange, site: ExchangeSite): Promise<void> {
  try {
    await walk(exchange, site);
  } catch (error) {
    await answerError(exchange, error);
  } finally {
    await writeEntry(exchange, site, () => void site.pipelined.set(exchange.req.socket, site.pipelined.get(exchange.req.socket)! - 1));
  }
}

async function walk(exchange: OpenExchange, site: ExchangeSite): Promise<void> {
  const { req, snapshot, facts } = exchange;
  const { proxy } = snapshot.config;
  if (site.draining) throw new WeirError('draining');
  if (site.open.size >= proxy.limits.connections_max) throw new WeirError('overloaded');
  if (site.pipelined.get(req.socket)! > PIPELINED_MAX) {
    exchange.res.shouldKeepAlive = false;
    throw new WeirError('bad_request', `more than ${PIPELINED_MAX} requests wait on one connection`);
  }
  checkRequestHeaders(req.rawHeaders, req.httpVersion, proxy.limits.headers_max);
  const target = readTarget(req.url!, proxy.limits.url_bytes_max);
  const identified = await exchange.stage('identify', async () => {
    const found = identify(req.rawHeaders, target.query, directoryOf(snapshot, site.dependencies), exchange.now());
    facts.tenant = found.tenant;
    facts.keyId = found.keyId;
    exchange.admission = await site.limits.admit(found.tenant, keyLimits(found));
    return found;
  });
  const route = matchRoute(req.method!, target, proxy);
  facts.route = route.name;
  requireScope(identified, SCOPES[route.kind]);
  switch (route.kind) {
    case 'screened': return screenedRoute(exchange, site, identified, route);
    case 'pass_through': return passThroughRoute(exchange, site, identified, route);
    case 'screening_service': return screeningRoute(exchange, site, identified);
    case 'appeals': return appealRoute(exchange, site, identified);
    case 'moderations': return moderationRoute(exchange, site, identified);
  }
}

/** What a key must be for, by kind of route. */
const SCOPES = { screened: 'models', pass_through: 'pass_through', screening_service: 'screening', appeals: 'screening', moderations: 'screening' } as const;

async function screenedRoute(exchange: OpenExchange, site: ExchangeSite, identified: Identified, route: ScreenedRoute): Promise<void> {
  const { req, facts, signal, snapshot: { config: { proxy } } } = exchange;
  const base = site.dependencies.plan(identified.tenant.id);
  if (base === undefined) throw new WeirError('no_policy');
  facts.policy = base.policyName;
  const said = readCallerContext(req.rawHeaders, identified.tenant);
  const request = await exchange.stage('read_request', () => readRequest(req, route, requestLimits(exchange), signal));
  noteRequest(exchange, request);
  exchange.keepContent();
  exchange.kept?.promptCame(request.reading.segments);
  const plan = planOfCaller(base, { sessionId: facts.sessionId, userId: request.reading.userId, keyId: identified.keyId, requestId: exchange.requestId }, said);
  facts.policy = plan.policyName;
  facts.models = plan.models;
  await exchange.admission?.takeTokens(facts.requestBytes);
  await refuseBarred(exchange, site, plan);
  const context: Context = { ...said.trusted, ...contextOf(exchange, identified, route, request) };
  const prompt = await exchange.stage('screen_input', () => screenPrompt(plan, request, context, proxy.opaque, signal));
  const session = { tenantId: identified.tenant.id, sessionId: facts.sessionId, vault: site.dependencies.pseudonyms };
  const { verdict, pseudonyms } = await exchange.stage('decide_input', () => decideInSession(plan, prompt, context, session));
  const settled = verdict.kind === 'held' ? await holdPrompt(exchange, site, request, verdict) : verdict;
  facts.input = withHold(settled.record, facts.input?.hold);
  if (settled.kind !== 'forward') return answerRefused(exchange, route, request, settled);
  if (verdict.kind !== 'held') exchange.kept?.promptLeaves(request.reading.segments, settled.edits);

  const { config, screened } = upstreamOf(exchange, site, identified);
  const afterwards = exchange.afterwards = request.reading.observed === true ? undefined : openAfterwards(exchange, site, plan);
  afterwards?.watch('input', plan.complete(actedOn(plan, prompt.screened), 'input', context, afterwards.signal));
  const call = watchCall(exchange, { dialect: route.endpoint.dialect, reading: request.reading, upstream: screened });
  const answer = await unlessCut(afterwards, signal, (uncut) => screened.send(settled.request, {
    method: route.endpoint.method,
    target: route.target,
    headers: forwardedRequestHeaders(req.rawHeaders, forwardOptions(exchange, identified, config)),
    responseBytesMax: exchange.snapshot.config.proxy.limits.response_bytes_max,
    signal: uncut,
  })).catch((error: unknown) => {
    call?.failed(error);
    throw error;
  });
  if (answer === undefined) call?.failed(new WeirError('content_filter'));
  if (answer === undefined) return answerRefused(exchange, route, request, refuse(plan, afterwards!.violation!, facts.input!));
  facts.upstreamStatus = answer.status;
  if (pseudonyms !== undefined && pseudonyms.size > 0) exchange.forgetTraced();
  await relayAnswer({
    exchange, answer, call, dialect: route.endpoint.dialect, request: request.reading,
    plan: plan.forOutput({ ...context, ...sourcesOf(exchange.snapshot, plan, request), direction: 'output' }, pseudonyms, afterwards), createGuard: site.dependencies.createGuard ?? createGuard, holds: site.dependencies.holds,
  });
}

/** Until a person has decided, or nobody has in time: nothing of the prompt leaves. */
async function holdPrompt(exchange: OpenExchange, site: ExchangeSite, { reading, document }: ReadRequest, { decision, record, remember, after }: HeldPrompt): Promise<SettledPrompt> {
  const { facts, kept, signal } = exchange;
  // What goes on where nobody decides, if anything does: of what the tenant keeps, the person sees that.
  const shown = after.then.kind === 'forward' ? after.then : after.allowed;
  if (shown.kind === 'forward') kept?.promptLeaves(reading.segments, shown.edits);
  facts.input = record;
  const { release, record: hold } = await waitForPerson(exchange, site.dependencies.holds, { direction: 'input', decision, results: record.classifier_results, body: document.bytes });
  facts.input = withHold(record, hold);
  signal.throwIfAborted();
  if (release === undefined) throw new WeirError('draining');
  if (release === 'allowed') remember();
  return after[release];
}

async function passThroughRoute(exchange: OpenExchange, site: ExchangeSite, identified: Identified, route: PassThroughRoute): Promise<void> {
  const { config, passThrough } = upstreamOf(exchange, site, identified);
  const startMs = performance.now();
  await passThrough.send(exchange, route.target, forwardOptions(exchange, identified, config));
  exchange.stageEnded({ stage: 'upstream', startMs, error: exchange.facts.errorCode });
}

async function screeningRoute(exchange: OpenExchange, site: ExchangeSite, identified: Identified): Promise<void> {
  const document = await readOwnRequest(exchange);
  const caller = { tenantId: identified.tenant.id, keyId: identified.keyId, requestId: exchange.requestId, signal: exchange.signal };
  const { body, records, texts } = await exchange.stage('screen_input', () => site.dependencies.screeningService(document.value, caller));
  noteService(exchange, records);
  exchange.keepScreenings(texts);
  await conclude(exchange, 'completed', jsonAnswer(200, body));
}

/** Somebody objects to what was done with a request of the tenant. */
async function appealRoute(exchange: OpenExchange, site: ExchangeSite, identified: Identified): Promise<void> {
  const { appealService } = site.dependencies;
  if (appealService === undefined) throw new WeirError('unknown_endpoint', 'this process has no review queue; send it to one that has the store');
  const document = await readOwnRequest(exchange);
  await conclude(exchange, 'completed', jsonAnswer(200, await appealService(document.value, { tenantId: identified.tenant.id, keyId: identified.keyId })));
}

/** Answered by the classifiers, whatever the policy says of such a text. */
async function moderationRoute(exchange: OpenExchange, site: ExchangeSite, identified: Identified): Promise<void> {
  const { facts, signal, snapshot: { config: { screening } } } = exchange;
  const plan = site.dependencies.plan(identified.tenant.id);
  if (plan === undefined) throw new WeirError('no_policy');
  const document = await readOwnRequest(exchange);
  const { inputs, model } = readModeration(document);
  facts.model = model;
  facts.models = plan.models;
  const context: Context = { tenant: identified.tenant.id, endpoint: facts.route, direction: 'input' };
  const { results, missing, record } = await exchange.stage('screen_input', () => moderate(inputs, plan, { categories: MODERATION_CATEGORIES, thresholds: screening.moderation_thresholds, context, signal }));
  facts.input = record;
  const { status, headers, body } = jsonAnswer(200, moderationAnswer(exchange.requestId, results));
  await conclude(exchange, 'completed', { status, body, headers: missing.length === 0 ? headers : { ...headers, 'x-weir-degraded': headerSafe(missing.join(',')) } });
}

async function readOwnRequest(exchange: OpenExchange): Promise<JsonDocument> {
  const { req, facts, signal } = exchange;
  const limits = requestLimits(exchange);
  const document = await exchange.stage('read_request', async () => {
    checkJsonType(req.rawHeaders);
    return readJson(await readBody(req, limits, signal), limits);
  });
  facts.requestBytes = document.bytes.length;
  return document;
}

/** Decisions of one call in the closing entry, put together by direction. */
function noteService({ facts }: OpenExchange, records: readonly ServiceRecord[]): void {
  const tallies = { input: new RecordTally(), output: new RecordTally() };
  for (const { direction, record } of records) tallies[direction].add(record);
  facts.policy = records[0]?.policy;
  facts.models = records[0]?.models;
  facts.input = tallies.input.record();
  facts.output = tallies.output.record();
}

// Answers of our own.

function answerRefused(exchange: OpenExchange, route: ScreenedRoute, request: ReadRequest, verdict: Exclude<SettledPrompt, { readonly kind: 'forward' }>): Promise<void> {
  return verdict.kind === 'blocked' ? answerBlocked(exchange, route, verdict) : answerInstead(exchange, route, request, verdict.message);
}

function answerBlocked(exchange: OpenExchange, route: ScreenedRoute, verdict: SettledPrompt & { kind: 'blocked' }): Promise<void> {
  const error = new WeirError(verdict.code);
  exchange.facts.errorCode = error.code;
  return conclude(exchange, verdict.code === 'opaque_refused' ? 'refused' : 'blocked', errorAnswer(error, exchange.requestId, route.endpoint.dialect, verdict.message));
}

function answerInstead(exchange: OpenExchange, route: ScreenedRoute, request: ReadRequest, message: string): Promise<void> {
  const { contentType, body } = route.endpoint.dialect.fallback(request.reading, message, exchange.requestId, exchange.now());
  return conclude(exchange, 'blocked', { status: 200, headers: { 'content-type': contentType }, body });
}

/** An answer of our own: under strict durability its entry comes first. */
async function conclude(exchange: OpenExchange, outcome: Outcome, answer: OwnAnswer): Promise<void> {
  exchange.facts.outcome = outcome;
  exchange.facts.status = answer.status;
  exchange.facts.responseBytes = answer.body.length;
  if (exchange.durability === 'strict') {
    await exchange.afterwards?.settled();
    await exchange.settle();
  }
  await respond(exchange, answer);
}

/** The one error exit. */
async function answerError(exchange: OpenExchange, error: unknown): Promise<void> {
  const { facts, req, res } = exchange;
  if (error instanceof ClientLeft || exchange.clientLeft) {
    facts.outcome = 'client_left';
    return;
  }
  const fault = error instanceof WeirError ? error : new WeirError('internal', undefined, { cause: error });
  facts.errorCode = fault.code;
  if (res.headersSent) return void res.destroy();
  const answer = errorAnswer(fault, exchange.requestId, dialectAt(req.url!));
  try {
    await conclude(exchange, outcomeOf(fault.code), answer);
  } catch (unwritten) {
    if (!res.headersSent && unwritten instanceof WeirError) await respond(exchange, errorAnswer(unwritten, exchange.requestId, dialectAt(req.url!)));
  }
}

const UPSTREAM_CODES: ReadonlySet<ErrorCode> = new Set(['upstream_unreachable', 'upstream_timeout', 'upstream_protocol', 'response_too_large']);
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set(['internal', 'audit_unavailable']);

export function outcomeOf(code: ErrorCode): Outcome {
  if (code === 'content_filter') return 'blocked';
  if (UPSTREAM_CODES.has(code)) return 'upstream_failed';
  return OWN_FAULTS.has(code) ? 'failed' : 'refused';
}

// What the stages are given.

const sourceReaders = new WeakMap<Snapshot, SourceReader>();

/** What the answer is to be held against, where a classifier does that. */
function sourcesOf(snapshot: Snapshot, { needsSources }: ScreeningPlan, { reading }: ReadRequest): { readonly sources?: string } {
  if (!needsSources) return {};
  let read = sourceReaders.get(snapshot);
  if (read === undefined) sourceReaders.set(snapshot, read = sourceReader(snapshot.config.screening.sources));
  const sources = read(reading.segments);
  return sources === undefined ? {} : { sources };
}

const SESSION_HEADER = 'x-weir-session-id';
const SESSION_CHARS_MAX = 256;

const directories = new WeakMap<Snapshot, TenantDirectory>();

/** With the keys of the store, which change while a snapshot stays. */
export function directoryOf(snapshot: Snapshot, { storedKeys }: Pick<ProxyDependencies, 'storedKeys'>): TenantDirectory {
  let directory = directories.get(snapshot);
  if (directory === undefined) directories.set(snapshot, directory = createDirectory(snapshot.config.tenants, storedKeys));
  return directory;
}

/** The limits that the key has beside its tenant's. */
export function keyLimits({ keyId, key }: Identified): { readonly keyId: string; readonly limits: KeyLimits } | undefined {
  return keyId === undefined || key === undefined ? undefined : { keyId, limits: key.limits };
}

export function upstreamOf(exchange: OpenExchange, site: ExchangeSite, identified: Identified): ReturnType<Upstreams['of']> {
  const id = identified.tenant.upstream;
  return site.upstreams.of(id, exchange.snapshot.config.upstreams[id]);
}

/** A key of ours never leaves; a key of the upstream replaces what the caller sent. */
export function forwardOptions(exchange: OpenExchange, identified: Identified, config: UpstreamConfig): ForwardOptions {
  return { credential: upstreamCredential(config), dropCredential: identified.keyId !== undefined, propagate: exchange.propagate };
}

function requestLimits(exchange: OpenExchange): BodyLimits & JsonLimits {
  const { limits, timeouts } = exchange.snapshot.config.proxy;
  return { bodyBytesMax: limits.body_bytes_max, timeoutMs: timeouts.request_ms, depthMax: limits.json_depth_max, itemsMax: limits.json_items_max };
}

function noteRequest(exchange: OpenExchange, { document, reading }: ReadRequest): void {
  const { facts } = exchange;
  facts.requestBytes = document.bytes.length;
  facts.stream = reading.stream;
  facts.model = reading.model;
  facts.sessionId = sessionOf(exchange) ?? reading.sessionId;
}

/** The session that the caller names. Throws bad_request. */
export function sessionOf({ req }: OpenExchange): string | undefined {
  const name = fieldValue(req.rawHeaders, SESSION_HEADER)?.trim();
  if (name !== undefined && (name === '' || name.length > SESSION_CHARS_MAX)) throw new WeirError('bad_request', `${SESSION_HEADER} is empty or longer than ${SESSION_CHARS_MAX} characters`);
  return name;
}

/** What is known of a request. User, model and session are the caller's word. */
function contextOf(exchange: OpenExchange, identified: Identified, route: ScreenedRoute, { reading }: ReadRequest): Context {
  const context: Record<string, string | number | boolean> = {
    request_id: exchange.requestId, tenant: identified.tenant.id, endpoint: route.name, direction: 'input', stream: reading.stream, time: new Date(exchange.startedAtMs).toISOString(),
  };
  if (reading.model !== undefined) context.model = reading.model;
  if (reading.userId !== undefined) context.user = reading.userId;
  if (exchange.facts.sessionId !== undefined) context.session = exchange.facts.sessionId;
  return context;
}
