/**
 * What routes of the admin port share: what they are given, what they answer, and how they refuse. Each route is
 * declared once, with who may use it and what it takes and answers; the listener, what it lets through and the OpenAPI
 * document are made from that.
 */
import type { PolicyChangeRecord } from '../audit/entry.ts';
import type { JsonSchema } from '../config/shape.ts';
import type { WrittenPolicy } from '../config/snapshot.ts';
import { WeirError, type ConfigIssue } from '../contract/errors.ts';
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { Actor, Role } from '../contract/people.ts';
import type { FailMode, Policy } from '../contract/policy.ts';
import type { Action, Context, Direction } from '../contract/screening.ts';
import type { AssumedScores, CaseStage } from '../policy/cases.ts';
import type { Explanation } from '../policy/explain.ts';
import type { ParsedPolicy } from '../policy/parse.ts';
import type { PolicyPut, PolicyStore, PutReply } from '../store/policies.ts';

/** What the routes are given. */
export interface PolicyDesk {
  /** Absent where another process has the store. */
  readonly store: PolicyStore | undefined;
  /** Resolves when the change counts in this process. */
  put(change: PolicyPut): Promise<PutReply>;
  judge(source: string, id: string): Promise<ParsedPolicy>;
  /** Compiles a policy as a proxy does, to be tried; it enforces nothing. */
  trial(policy: TriedPolicy, failMode: FailMode): Promise<Trial>;
  /** The policies of files, by id. */
  written(): ReadonlyMap<string, WrittenPolicy>;
  /** Ids of the tenants under a policy. */
  tenantsOf(id: string): readonly string[];
  /** As it runs now. */
  counting(id: string): Policy | undefined;
  /** Ids of the policies that have it as their shadow or canary. */
  besides(id: string): readonly string[];
  /** Undefined: there is no such tenant. */
  failModeOf(tenantId: string): FailMode | undefined;
  /** The exchanges of the audit log, newest first. */
  exchanges(): AsyncIterable<ExchangeRecord>;
  /** Resolves when the entry is on disk. */
  audit(record: PolicyChangeRecord): Promise<void>;
  now(): Date;
}

/** A text, with the number that the store gave it, or a policy that is here already. */
export type TriedPolicy =
  | { readonly file: string; readonly text: string; readonly revision?: number }
  | { readonly file: string; readonly policy: Policy };

export interface Trial {
  readonly file: string;
  readonly issues: readonly ConfigIssue[];
  /** Absent where an issue is an error. */
  readonly stage?: TrialStage;
}

export interface TrialStage extends CaseStage {
  /** Without a text nothing but the scores that are given was found. */
  explain(on: { readonly text?: string | undefined; readonly scores?: AssumedScores | undefined; readonly direction: Direction; readonly context: Context }): Promise<Explanation>;
  /** What leaves of an answer that comes one character after the other. */
  stream(text: string, context: Context): Promise<{ readonly action: Action; readonly rules: readonly string[]; readonly releases: readonly { readonly after: number; readonly text: string }[]; readonly waited_chars_max: number }>;
  /** What the text says to who sees through a disguise or an encoding. */
  views(text: string): readonly { readonly name: string; readonly text: string; readonly cut: boolean }[];
}

export interface DeskRequest {
  /** What stands for `:id`, or empty. */
  readonly id: string;
  /** What stands in the path, by name. */
  readonly names: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | number | undefined>>;
  /** As it was sent. */
  readonly text: string;
  readonly isJson: boolean;
  /** Who asks. On an open route nobody. */
  readonly actor: Actor;
  /** The actor's name. */
  readonly author: string;
  readonly visit: Visit;
}

/** What a browser brings. */
export interface Visit {
  readonly cookies: ReadonlyMap<string, string>;
  /** Scheme and host as the caller named them; the host is one of ours. */
  readonly origin: string;
  /** With its query, as it was sent. */
  readonly path: string;
  /** The session in whose name it is asked. */
  readonly sessionId?: string;
}

export interface DeskAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Default: JSON. */
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

/** A route of the admin port, as documents tell it. */
export interface RouteDoc {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** With `:name` for what varies. */
  readonly path: string;
  /** The operation's id. */
  readonly name: string;
  readonly meaning: string;
  /** The roles of which one is needed, or `open`: it holds no secrets, or is how one comes in, and asks for no credential. */
  readonly access: 'open' | readonly Role[];
  /** JSON Schema of the query; what is not in it is refused. */
  readonly query?: Readonly<Record<string, JsonSchema>>;
  /** Browsers are led here: where one asks for a page, a refusal is a page. */
  readonly isVisited?: true;
  /** Somebody else makes the query, and may put more into it. */
  readonly isQueryOpen?: true;
  readonly body?: { readonly schema: JsonSchema; readonly types: readonly string[]; readonly isOptional?: true; /** Default 64 KiB. */ readonly bytesMax?: number };
  readonly answers: Readonly<Record<number, RouteAnswer>>;
}

export interface RouteAnswer {
  readonly meaning: string;
  /** Default: the errors'. */
  readonly schema?: JsonSchema;
  /** Default: JSON. */
  readonly type?: string;
}

/** A route with what answers it. */
export interface Route<Desk> extends RouteDoc {
  readonly run: (desk: Desk, request: DeskRequest) => Promise<DeskAnswer>;
}

/** A route about policies. */
export interface DeskRoute extends RouteDoc {
  readonly query: Readonly<Record<string, JsonSchema>>;
  readonly run: (desk: PolicyDesk, store: PolicyStore, request: DeskRequest) => Promise<DeskAnswer>;
}

/** A route that has its desk. */
export interface BoundRoute {
  readonly route: RouteDoc;
  /** Throws what is no WeirError. */
  answer(request: DeskRequest): Promise<DeskAnswer>;
}

/** Without a desk this process has no store, and says so. */
export function bindRoutes<Desk>(routes: readonly Route<Desk>[], desk: Desk | undefined): readonly BoundRoute[] {
  return routes.map((route) => ({ route, answer: (request) => (desk === undefined ? Promise.resolve(NO_STORE) : answered(() => route.run(desk, request))) }));
}

export function bindPolicyRoutes(routes: readonly DeskRoute[], desk: PolicyDesk): readonly BoundRoute[] {
  return routes.map((route) => ({ route, answer: (request) => (desk.store === undefined ? Promise.resolve(NO_STORE) : answered(() => route.run(desk, desk.store!, request))) }));
}

async function answered(run: () => Promise<DeskAnswer>): Promise<DeskAnswer> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof WeirError)) throw error;
    return { status: error.status, body: fault(error.code, error.message) };
  }
}

const NO_STORE: DeskAnswer = { status: 501, body: fault('no_store', 'this process has no store; ask the one with the role control') };

export function fault(code: string, message: string): { readonly error: { readonly code: string; readonly message: string } } {
  return { error: { code, message } };
}

/** A body as JSON; undefined for what is none. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is wrong with the query, the path or the body. */
export function invalid(message: string): DeskAnswer {
  return { status: 400, body: fault('invalid_request', message) };
}

export function missing(message: string): DeskAnswer {
  return { status: 404, body: fault('not_found', message) };
}

/** A policy that cannot be used, with every reason. */
export function refused(issues: readonly ConfigIssue[]): DeskAnswer {
  const errors = issues.filter(({ severity }) => severity === 'error');
  return { status: 422, body: { ...fault('invalid_policy', `${errors.length} ${errors.length === 1 ? 'error' : 'errors'} in the policy; the first: ${errors[0]?.message}`), issues: issues.map(issueOf) } };
}

export function issueOf({ line, column, path, message, suggestion, severity }: ConfigIssue): object {
  return { line, column, path, message, ...(suggestion === undefined ? {} : { suggestion }), severity };
}
