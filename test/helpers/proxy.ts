/**
 * The real proxy on a free port in front of a scripted upstream, with a plan that decides by plain words and a guard
 * that passes bytes through: what is tested is the proxy and not the screen. Limits and timers are given per test.
 */
import type { Config } from '../../src/config/schema.ts';
import type { Snapshot } from '../../src/config/snapshot.ts';
import { WeirError } from '../../src/contract/errors.ts';
import type { ExchangeRecord, RecordedFacts, Screened, Segment } from '../../src/contract/exchange.ts';
import type { Policy, PolicyDecision, Rule } from '../../src/contract/policy.ts';
import type { LateViolation } from '../../src/contract/notification.ts';
import type { Action, ClassifierResult } from '../../src/contract/screening.ts';
import type { AuditPort } from '../../src/proxy/exchange.ts';
import { ProxyServer } from '../../src/proxy/server.ts';
import type { SessionBars } from '../../src/screen/bars.ts';
import type { ScreeningPlan } from '../../src/screen/plan.ts';
import { answerScreening } from '../../src/screen/service.ts';
import type { TenantLimits } from '../../src/tenant/limits.ts';
import type { StoredKeys } from '../../src/tenant/stored-keys.ts';
import { createGuard, type Guard, type GuardOptions } from '../../src/stream/guard.ts';
import { ScriptedUpstream, until, type Script } from './upstream.ts';

export interface ProxyOptions {
  readonly script?: Script;
  readonly limits?: Partial<Config['proxy']['limits']>;
  readonly timeouts?: Partial<Config['proxy']['timeouts']>;
  readonly upstreamTimeouts?: Partial<Config['upstreams'][string]['timeouts']>;
  readonly upstreamUrl?: string;
  readonly apiKey?: string;
  readonly provider?: string;
  readonly proxy?: Partial<Pick<Config['proxy'], 'pass_through' | 'unknown_endpoints' | 'opaque' | 'websockets'>>;
  readonly screening?: Partial<Config['screening']>;
  readonly tenants?: readonly Partial<Config['tenants'][number]>[];
  readonly policy?: Partial<Policy>;
  readonly audit?: AuditPort;
  readonly bars?: SessionBars;
  readonly tenantLimits?: TenantLimits;
  readonly storedKeys?: StoredKeys;
  readonly notify?: (found: LateViolation) => void;
  readonly createGuard?: (options: GuardOptions) => Guard;
  /** A compiled plan in place of plain words; then the guard and the screening service are the real ones too. */
  readonly plan?: ScreeningPlan;
}

export class ProxyUnderTest {
  readonly upstream: ScriptedUpstream;
  readonly server: ProxyServer;
  readonly records: ExchangeRecord[];
  port = 0;

  private constructor(upstream: ScriptedUpstream, server: ProxyServer, records: ExchangeRecord[]) {
    this.upstream = upstream;
    this.server = server;
    this.records = records;
  }

  static async start(options: ProxyOptions = {}): Promise<ProxyUnderTest> {
    const upstream = new ScriptedUpstream(options.script ?? (() => {}));
    const url = options.upstreamUrl ?? await upstream.listen();
    const snapshot = snapshotOf(options, url);
    const records: ExchangeRecord[] = [];
    const server = new ProxyServer({
      snapshot: () => snapshot,
      plan: (tenantId) => (snapshot.config.tenants.find(({ id }) => id === tenantId)?.policy === 'missing' ? undefined : options.plan ?? wordPlan(options.policy)),
      bars: options.bars,
      ...(options.tenantLimits === undefined ? {} : { limits: options.tenantLimits }),
      ...(options.storedKeys === undefined ? {} : { storedKeys: options.storedKeys }),
      notify: options.notify,
      audit: options.audit ?? { append: (record) => void records.push(record) },
      screeningService: async (body, caller) => (options.plan === undefined ? { body: { echoed: body, tenant: caller.tenantId }, records: [], texts: [] } : answerScreening(body, { ...caller, now: new Date(0) }, () => options.plan!, caller.signal)),
      createGuard: options.createGuard ?? (options.plan === undefined ? passGuard : createGuard),
    });
    const proxy = new ProxyUnderTest(upstream, server, records);
    proxy.port = (await server.listen()).port;
    return proxy;
  }

  /** The closing entry number `count`, which is written after the client has its answer. */
  async record(count = 1): Promise<ExchangeRecord> {
    await until(() => this.records.length >= count && this.server.openExchanges === 0, 20_000, `${count} closing entries`);
    return this.records[count - 1];
  }

  async close(): Promise<void> {
    await this.server.drain(100);
    await this.upstream.close();
  }
}

const LIMITS = {
  body_bytes_max: 1_000_000, json_depth_max: 64, json_items_max: 10_000, url_bytes_max: 2048, header_bytes_max: 16_384, headers_max: 40,
  connections_max: 1000, event_bytes_max: 1_000_000, response_bytes_max: 100_000_000, queue_bytes_max: 1_000_000,
};
const OPAQUE = { image: 'pass', audio: 'pass', video: 'pass', file: 'pass', remote_url: 'pass', reference: 'pass', encrypted: 'pass', tokens: 'refuse', background: 'refuse' } as const;
const TIMEOUTS = { headers_ms: 20_000, request_ms: 20_000, keep_alive_ms: 20_000, client_idle_ms: 20_000, stream_silence_ms: 20_000, socket_idle_ms: 20_000, drain_ms: 1000 };

function snapshotOf(options: ProxyOptions, url: string): Snapshot {
  const upstream = { url, provider: options.provider ?? 'openai', connections: 256, api_key: options.apiKey, timeouts: { connect_ms: 20_000, headers_ms: 20_000, idle_ms: 20_000, total_ms: 0, ...options.upstreamTimeouts } };
  const tenants = (options.tenants ?? [{}]).map((tenant) => ({ id: 'default', policy: 'default', upstream: 'local', keys: [], fail_mode: 'closed', audit: {}, ...tenant }));
  const proxy = { host: '127.0.0.1', port: 0, unknown_endpoints: 'refuse', websockets: 'screen', opaque: OPAQUE, pass_through: ['GET /v1/models', 'GET /v1/models/*', 'DELETE /v1/files/*', '/v1/files'], ...options.proxy, limits: { ...LIMITS, ...options.limits }, timeouts: { ...TIMEOUTS, ...options.timeouts } };
  const config = { proxy, screening: { deadline_ms: 80, moderation_thresholds: {}, ...options.screening }, audit: { durability: 'relaxed', dir: '' }, upstreams: { local: upstream }, tenants } as unknown as Config;
  return { config, policies: new Map(), policyFiles: new Map(), written: new Map(), hash: 'test', file: '[test]', loadedAt: new Date(0), warnings: [] };
}

const RULES: readonly (readonly [word: string, action: Action])[] = [
  ['WARNME', 'warn'], ['BLOCKME', 'block'], ['REPLACEME', 'replace'], ['REDACTME', 'redact'], ['UNKNOWNME', 'block'],
];

const WORD_FACTS: RecordedFacts = { classifiers: ['words'], content_types: ['text'] };

/** One rule per word: the first word that occurs decides; `UNKNOWNME` is a rule that failed closed. Results carry the span of the word. */
export function wordPlan(overrides: Partial<Policy> = {}): ScreeningPlan {
  const rules = RULES.map(([word, action], at): Rule => ({
    id: `word-${action}-${at}`, name: word, priority: at, enabled: true, direction: 'both', action,
    when: { kind: 'score', classifier: 'words', category: word, operator: 'gte', value: 1 },
    message: action === 'replace' ? 'A safe answer.' : undefined,
  }));
  const policy: Policy = { id: 'default', revision: '1', description: '', defaultAction: 'allow', onBlock: 'error', stream: { mode: 'hold', window: 'sentence' }, history: 'latest', patterns: [], rules, ...overrides };
  return {
    policy,
    policyName: 'default@1',
    reads: () => false,
    async screen(segments: readonly Segment[]) {
      const screened = segments.map((segment) => ({
        segment,
        results: RULES.flatMap(([word]) => {
          const start = segment.content.indexOf(word);
          return start === -1 ? [] : [{ classifier_id: 'words', category: word, score: 1, label: word, spans: [{ start, end: start + word.length }], latency_ms: 0 }];
        }),
      }));
      return { segments: screened, classifiers: new Map([['words', 'ok' as const]]), latencyMs: 1 };
    },
    decide(screened: Screened): PolicyDecision {
      const results = screened.segments.flatMap((segment) => segment.results);
      const rule = rules.find((candidate) => results.some((result) => result.category === candidate.name));
      if (rule === undefined) return { action: 'allow', matched: [], triggered_rules: [], degraded: [] };
      return { action: rule.action, rule, matched: results, triggered_rules: [rule.id], degraded: rule.name === 'UNKNOWNME' ? [rule.id] : [] };
    },
    edits: (results: readonly ClassifierResult[]) => results.flatMap((result) => ('spans' in result && result.category === 'REDACTME' ? result.spans.map((span) => ({ ...span, text: '[WORD]' })) : [])),
    recordFacts: () => WORD_FACTS,
    forOutput: () => ({ recordFacts: () => WORD_FACTS }),
  } as unknown as ScreeningPlan;
}

/** Passes every byte; whole answers when they are whole, events as they come. `CUTME` in an event is a block. */
export function passGuard(options: GuardOptions): Guard {
  const held: Buffer[] = [];
  let bytes = 0;
  return {
    feed(chunk) {
      bytes += chunk.length;
      if (bytes > options.limits.responseBytesMax) throw new WeirError('response_too_large');
      if (chunk.includes('CUTME')) {
        options.onBytes(Buffer.from('data: {"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}\n\ndata: [DONE]\n\n'));
        return options.onDone({ blocked: true });
      }
      if (options.mediaType === 'text/event-stream') options.onBytes(chunk);
      else held.push(chunk);
    },
    end() {
      for (const chunk of held) options.onBytes(chunk);
      options.onDone({ blocked: false });
    },
    cut: () => options.onDone({ blocked: true }),
    fail: (code, message) => (options.mediaType === 'text/event-stream' && options.status < 300 ? Buffer.from(`data: {"error":{"code":"${code}","message":"${message}"}}\n\n`) : undefined),
    summary: () => ({
      decision: { action: 'allow', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 0 },
      heldCharsMax: 0, heldMsTotal: 0, textChars: 0, facts: { finishReasons: [] },
    }),
  };
}
