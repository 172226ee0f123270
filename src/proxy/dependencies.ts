/**
 * What the proxy is given by the composition root. Everything it needs from outside stands here; it reads no file, no
 * environment and no global.
 */
import type { Snapshot } from '../config/snapshot.ts';
import type { ContentCommitments, NewContent } from '../contract/content.ts';
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { HoldPort } from '../contract/hold.ts';
import type { LateViolation } from '../contract/notification.ts';
import type { SessionBars } from '../screen/bars.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import type { PseudonymVault } from '../screen/pseudonyms.ts';
import type { Sampler } from '../screen/sampler.ts';
import type { ServiceAnswer } from '../screen/service.ts';
import type { Guard, GuardOptions } from '../stream/guard.ts';
import type { TenantLimits } from '../tenant/limits.ts';
import type { StoredKeys } from '../tenant/stored-keys.ts';

/** Takes the one closing entry of each exchange. */
export interface AuditPort {
  /** `strict`: resolves when the entry is durable; rejects when it cannot be. */
  append(record: ExchangeRecord, durability: 'strict' | 'relaxed'): Promise<void> | void;
}

/** Whose screening it is. `signal` is aborted when the caller leaves. */
export interface ScreeningCaller {
  readonly tenantId: string;
  /** The tenant's key that was used. */
  readonly keyId?: string | undefined;
  readonly requestId: string;
  readonly signal: AbortSignal;
}

/** `POST /weir/v1/screen`: the parsed body in, a value for JSON out, with what the closing entry says of it. May throw WeirError. */
export type ScreeningService = (body: unknown, caller: ScreeningCaller) => Promise<ServiceAnswer>;

/** `POST /weir/v1/appeals`: the parsed body in, a value for JSON out. May throw WeirError. */
export type AppealService = (body: unknown, caller: Pick<ScreeningCaller, 'tenantId' | 'keyId'>) => Promise<object>;

/** Takes the texts of an exchange whose tenant keeps content; what it returns stands in the entry. Returns at once, and never throws. */
export interface ContentPort {
  put(content: NewContent): ContentCommitments | undefined;
}

export interface ProxyDependencies {
  /** The current snapshot. An exchange asks once and keeps what it got. */
  snapshot(): Snapshot;
  /** The compiled plan of a tenant of the current snapshot; undefined when there is none, and then nothing is allowed. */
  plan(tenantId: string): ScreeningPlan | undefined;
  readonly audit: AuditPort;
  /** Without it no content is kept. */
  readonly content?: ContentPort;
  /** What is drawn for residual-risk campaigns, as it is configured now; without it nothing is. */
  readonly sampler?: () => Sampler;
  readonly screeningService: ScreeningService;
  /** Absent where there is no review queue. */
  readonly appealService?: AppealService | undefined;
  /** Keys of tenants beside those of the configuration; they change by themselves. */
  readonly storedKeys?: StoredKeys;
  /** Default: limits counted in this process. */
  readonly limits?: TenantLimits;
  /** Keeps the pseudonyms of sessions; without it they last for one exchange. */
  readonly pseudonyms?: PseudonymVault;
  /** Remembers the sessions that are refused; without it none is. */
  readonly bars?: SessionBars;
  /** Waits for people; without it a rule with a hold takes its `then` at once. */
  readonly holds?: HoldPort;
  /** Takes what was found after the fact, to tell somebody. Returns at once. */
  readonly notify?: (found: LateViolation) => void;
  /** Milliseconds since 1970; default `Date.now`. */
  readonly clock?: () => number;
  /** Request ids; default random UUIDs. */
  readonly idSource?: () => string;
  /** Default: stream/guard. */
  readonly createGuard?: (options: GuardOptions) => Guard;
}
