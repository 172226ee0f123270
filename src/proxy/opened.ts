/**
 * One open exchange: its id, its clock, the one abort signal that everything it starts listens to, and the facts that
 * its closing entry will hold. INVARIANT: `settle` appends exactly one entry, whoever calls it and however often.
 * Knows nothing of routes, bodies or bytes on the wire.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TenantConfig } from '../config/schema.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { CHANNELS, type ExchangeClosed, type Stage, type StageEnded, type TracePlace } from '../contract/channels.ts';
import { TRACED_CHARS_MAX, type ContentCommitments, type ExchangeCommitments } from '../contract/content.ts';
import { WeirError } from '../contract/errors.ts';
import type { DecisionRecord, ExchangeRecord, HoldRecord, Outcome, TokenUsage } from '../contract/exchange.ts';
import { nameOf } from '../contract/names.ts';
import { DIRECTIONS, type Direction } from '../contract/screening.ts';
import type { Afterwards } from '../screen/afterwards.ts';
import type { Sampler } from '../screen/sampler.ts';
import type { ServiceText } from '../screen/service.ts';
import type { Admission } from '../tenant/limits.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { fieldValue, headerSafe } from './headers.ts';
import { heardBy, KeptExchange, keptOf, tracedTexts, type TextWitness } from './kept.ts';
import { keptScreenings, type KeptGroup } from './kept-screenings.ts';

/** Why an exchange stopped when nothing was wrong with it: nobody waits for the answer. */
export class ClientLeft extends Error {
  constructor() {
    super('the client left');
    this.name = 'ClientLeft';
  }
}

/** What the closing entry says, filled in along the walk. */
export interface Facts {
  tenant?: TenantConfig;
  keyId?: string;
  policy?: string;
  models?: readonly string[];
  route: string;
  model?: string;
  sessionId?: string;
  stream: boolean;
  input?: DecisionRecord;
  /** Of a connection with many events: the one that waited. */
  inputHold?: HoldRecord;
  output?: DecisionRecord;
  outcome: Outcome;
  errorCode?: string;
  status: number;
  upstreamStatus?: number;
  heldCharsMax: number;
  heldMsTotal: number;
  usage?: TokenUsage;
  requestBytes: number;
  responseBytes: number;
  /** `performance.now()` of the first byte of the answer. */
  firstByteMs?: number;
}

/** Tenant of the record of a request whose tenant was never known. */
export const NO_TENANT = '-';

export class OpenExchange {
  readonly requestId: string;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly snapshot: Snapshot;
  readonly startMs = performance.now();
  readonly startedAtMs: number;
  /** Trace headers for the upstream; telemetry fills them in. */
  readonly propagate: Record<string, string> = {};
  /** Telemetry fills it in. */
  readonly trace: TracePlace = {};
  readonly facts: Facts = {
    route: 'unknown', stream: false, outcome: 'failed', status: 0, heldCharsMax: 0, heldMsTotal: 0, requestBytes: 0, responseBytes: 0,
  };

  /** The tenant's limits let it in; until `release` it counts as open. */
  admission?: Admission;
  /** What is still to be learnt of it, where it was let go on before all was known. */
  afterwards?: Afterwards;

  /** Hears its texts, where they are kept. */
  kept?: TextWitness;
  /** Its texts, where its tenant keeps content. */
  #own?: KeptExchange;
  /** The same for campaigns, where it may be drawn. */
  #sampled?: KeptExchange;
  /** The same for its trace, where the tenant lets texts into it. */
  #traced?: KeptExchange;
  /** As configured when its texts began to be gathered. */
  #sampler?: Sampler;
  /** The same of a call of the screening service. */
  #keptScreenings: readonly KeptGroup[] = [];
  /** Of what was kept while it waited. */
  readonly #keptEarlier: ContentCommitments[] = [];
  /** In these directions it has waited for a person, or was to. */
  readonly waited = new Set<Direction>();

  readonly #dependencies: ProxyDependencies;
  readonly #abort = new AbortController();
  readonly #onClose = (): void => this.stop(new ClientLeft());
  #settled: Promise<void> | undefined;
  /** `performance.now()` when its answer had left; the entry may come later. */
  #overMs: number | undefined;

  constructor(req: IncomingMessage, res: ServerResponse, dependencies: ProxyDependencies) {
    this.req = req;
    this.res = res;
    this.#dependencies = dependencies;
    this.snapshot = dependencies.snapshot();
    this.requestId = (dependencies.idSource ?? randomUUID)();
    this.startedAtMs = this.now();
    // The socket and not the answer: an answer that waits behind another on the same connection never sees it close.
    req.socket.once('close', this.#onClose);
    CHANNELS.exchangeOpened.publish({
      requestId: this.requestId,
      method: req.method!,
      path: pathOf(req.url!),
      traceparent: fieldValue(req.rawHeaders, 'traceparent'),
      tracestate: fieldValue(req.rawHeaders, 'tracestate'),
      startedAtMs: this.startedAtMs,
      propagate: this.propagate,
      trace: this.trace,
    });
  }

  /** Aborted when the client left (`ClientLeft`) or the exchange must end (`WeirError`). */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get clientLeft(): boolean {
    return this.signal.aborted && this.signal.reason instanceof ClientLeft;
  }

  get durability(): 'strict' | 'relaxed' {
    return this.facts.tenant?.audit.durability ?? this.snapshot.config.audit.durability;
  }

  now(): number {
    return (this.#dependencies.clock ?? Date.now)();
  }

  /** Its prompt is known to be read as texts: from here on they are kept, where the tenant asks for it. */
  keepContent(): void {
    const { facts: { tenant }, requestId } = this;
    this.#sampler = this.#dependencies.sampler?.();
    if (tenant === undefined) return;
    if (this.trace.sampled === true && tenant.data?.traces === 'redacted') this.#traced = new KeptExchange('redacted', TRACED_CHARS_MAX);
    if (this.#dependencies.content !== undefined) {
      this.#own = keptOf(tenant);
      const sampledAs = this.#sampler?.mayBeDrawn(tenant, requestId, this.startedAtMs);
      if (sampledAs !== undefined) this.#sampled = new KeptExchange(sampledAs);
    }
    this.kept = heardBy([this.#own, this.#sampled, this.#traced].flatMap((one) => one ?? []));
  }

  /** Its answer will hold what the policy keeps from others: no text of it is traced. */
  forgetTraced(): void {
    this.#traced?.forgetAnswer();
  }

  /** These were screened: they are kept, where the tenant asks for it. */
  keepScreenings(texts: readonly ServiceText[]): void {
    const mode = this.facts.tenant?.data?.content ?? 'none';
    if (this.#dependencies.content !== undefined && mode !== 'none') this.#keptScreenings = keptScreenings(mode, texts);
  }

  /** What is known by now is kept, so that a person can look at it while the exchange waits. At its close it is kept again, whole. */
  keepForReview(): void {
    this.#keptEarlier.push(...this.#putContent(new Date(this.startedAtMs).toISOString()));
  }

  stop(reason: ClientLeft | WeirError): void {
    this.#abort.abort(reason);
  }

  /** Own headers, as far as their values are known by now. `mediaAnswer`: nothing reads the answer. */
  ownHeaders(mediaAnswer = false): string[] {
    const { policy, input } = this.facts;
    const fields = ['x-weir-request-id', this.requestId];
    if (policy !== undefined) fields.push('x-weir-policy', headerSafe(policy));
    if (input === undefined) return fields;
    const full = !mediaAnswer && input.coverage.exempt.length === 0 && input.coverage.opaque.length === 0;
    fields.push('x-weir-action', input.action, 'x-weir-coverage', full ? 'full' : 'partial');
    if (input.degraded.length > 0) fields.push('x-weir-degraded', headerSafe(input.degraded.join(',')));
    return fields;
  }

  /** Runs one stage and tells how long it took. */
  async stage<T>(stage: Stage, work: () => T | Promise<T>): Promise<T> {
    const startMs = performance.now();
    try {
      const value = await work();
      this.signal.throwIfAborted();
      this.stageEnded({ stage, startMs });
      return value;
    } catch (error) {
      this.stageEnded({ stage, startMs, error: error instanceof WeirError ? error.code : (error as Error).name });
      throw error;
    }
  }

  stageEnded(ended: Omit<StageEnded, 'requestId' | 'endMs'>): void {
    if (CHANNELS.stageEnded.hasSubscribers) CHANNELS.stageEnded.publish({ requestId: this.requestId, endMs: performance.now(), trace: this.trace, ...ended });
  }

  /** Appends the closing entry and tells it. Throws audit_unavailable in strict durability when it cannot be written. */
  settle(): Promise<void> {
    this.#settled ??= this.#append(this.#record());
    return this.#settled;
  }

  /** After the last byte: nothing of this exchange listens or counts any more. */
  release(): void {
    this.#overMs ??= performance.now();
    this.req.socket.off('close', this.#onClose);
    this.admission?.release();
  }

  async #append(record: ExchangeRecord): Promise<void> {
    const startMs = performance.now();
    try {
      const appended = this.#dependencies.audit.append(record, this.durability);
      if (this.durability === 'strict') await appended;
      else if (appended !== undefined) appended.catch(() => {}); // the log itself tells that it is broken
      this.stageEnded({ stage: 'audit', startMs });
      CHANNELS.exchangeClosed.publish(this.#closed(record));
    } catch (cause) {
      this.stageEnded({ stage: 'audit', startMs, error: 'audit_unavailable' });
      CHANNELS.exchangeClosed.publish(this.#closed({ ...record, outcome: 'failed', error_code: 'audit_unavailable' }));
      if (this.durability === 'strict') throw cause instanceof WeirError ? cause : new WeirError('audit_unavailable', undefined, { cause });
    }
  }

  #closed(record: ExchangeRecord): ExchangeClosed {
    return { record, trace: this.trace, texts: this.#traced === undefined ? undefined : tracedTexts(record, this.#traced) };
  }

  /** What of it is drawn, with its texts sealed for that: of the directions that are, and no other. */
  #drawn(startedAt: string): Pick<ExchangeRecord, 'samples' | 'sample_content'> {
    const { facts: { tenant, sessionId, input, output }, requestId, afterwards } = this;
    const samples = tenant === undefined ? [] : (this.#sampler?.draw(tenant, { request_id: requestId, started_at: startedAt, input, output, late: afterwards?.record }) ?? []);
    if (samples.length === 0 || !this.#takesPart(tenant!.id)) return {};
    const kept = this.#sampled?.texts;
    const texts = kept && Object.fromEntries(DIRECTIONS.filter((one) => samples.some(({ direction }) => direction === one)).map((one) => [one, kept[one]]));
    return { samples, sample_content: texts && this.#dependencies.content!.put({ tenantId: tenant!.id, requestId, sessionId, startedAt, texts, purpose: 'campaigns' }) };
  }

  /** Still: who withdrew meanwhile is not drawn any more. */
  #takesPart(tenantId: string): boolean {
    return this.#dependencies.snapshot().config.tenants.some(({ id, data }) => id === tenantId && data.campaigns);
  }

  #putContent(startedAt: string): readonly ContentCommitments[] {
    const { facts: { tenant, sessionId } } = this;
    const groups = this.#own === undefined ? this.#keptScreenings : [{ sessionId, texts: this.#own.texts }];
    return groups.flatMap((group) => this.#dependencies.content!.put({ tenantId: tenant!.id, requestId: this.requestId, startedAt, ...group }) ?? []);
  }

  #commitments(startedAt: string): ExchangeCommitments | undefined {
    const [first, ...others] = [...this.#putContent(startedAt), ...this.#keptEarlier];
    return first && (others.length === 0 ? first : { ...first, others });
  }

  #record(): ExchangeRecord {
    const { facts } = this;
    const startedAt = new Date(this.startedAtMs).toISOString();
    return {
      kind: 'exchange',
      request_id: this.requestId,
      tenant_id: facts.tenant?.id ?? NO_TENANT,
      key_id: facts.keyId,
      session_id: facts.sessionId && nameOf(facts.sessionId),
      policy: facts.policy,
      models: facts.models,
      method: this.req.method!,
      route: facts.route,
      model: facts.model && nameOf(facts.model),
      stream: facts.stream,
      outcome: facts.outcome,
      error_code: facts.errorCode,
      status: facts.status,
      upstream_status: facts.upstreamStatus,
      input: facts.input,
      output: facts.output,
      late: this.afterwards?.record,
      held_chars_max: facts.heldCharsMax,
      held_ms_total: facts.heldMsTotal,
      usage: facts.usage,
      content: this.#commitments(startedAt),
      ...this.#drawn(startedAt),
      request_bytes: facts.requestBytes,
      response_bytes: facts.responseBytes,
      started_at: startedAt,
      duration_ms: (this.#overMs ?? performance.now()) - this.startMs,
      time_to_first_byte_ms: facts.firstByteMs === undefined ? undefined : facts.firstByteMs - this.startMs,
    };
  }
}

function pathOf(url: string): string {
  const mark = url.indexOf('?');
  return mark === -1 ? url : url.slice(0, mark);
}
