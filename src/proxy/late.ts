/**
 * What of an exchange is still to come when its answer has left, or is about to: late verdicts, the bar of its session,
 * and its closing entry, which is one however late it is. For the tenant's limits, the connection and the next request
 * the exchange is over before; a server that stops waits for its entry.
 */
import { WeirError } from '../contract/errors.ts';
import { nameOf } from '../contract/names.ts';
import { Afterwards } from '../screen/afterwards.ts';
import type { ScreeningPlan } from '../screen/plan.ts';
import type { ExchangeSite } from './exchange.ts';
import type { OpenExchange } from './opened.ts';

/** Throws session_barred. */
export async function refuseBarred({ facts: { sessionId, tenant } }: OpenExchange, { dependencies: { bars } }: ExchangeSite, { policy, barKey: key }: ScreeningPlan): Promise<void> {
  const barMs = policy.screening?.barSessionMs;
  if (barMs === undefined || key === undefined || sessionId === undefined) return;
  if (await bars?.isBarred({ tenantId: tenant!.id, sessionId, key }, barMs)) throw new WeirError('session_barred');
}

/** Undefined where the policy waits for every score. */
export function openAfterwards(exchange: OpenExchange, { dependencies: { bars, notify } }: ExchangeSite, { policy, defers, barKey: key }: ScreeningPlan): Afterwards | undefined {
  if (!defers) return undefined;
  const { facts, requestId: request_id } = exchange;
  return new Afterwards({
    policy,
    bar() {
      const barMs = policy.screening?.barSessionMs;
      if (barMs === undefined || key === undefined || facts.sessionId === undefined || bars === undefined) return false;
      void bars.bar({ tenantId: facts.tenant!.id, sessionId: facts.sessionId, key }, barMs);
      return true;
    },
    tell: (late) => notify?.({ event: 'late_violation', request_id, tenant_id: facts.tenant!.id, session_id: facts.sessionId && nameOf(facts.sessionId), policy: facts.policy, late, created_at: new Date(exchange.now()).toISOString() }),
  });
}

/** Sends until a late verdict forbids it: undefined then. From there on others say what is to be cut. */
export async function unlessCut<T extends { abort(): void }>(afterwards: Afterwards | undefined, signal: AbortSignal, send: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
  if (afterwards === undefined) return send(signal);
  const cut = new AbortController();
  afterwards.onViolation(() => {
    cut.abort(new WeirError('content_filter'));
    return true;
  });
  const answer = await send(AbortSignal.any([signal, cut.signal])).catch((error: unknown) => {
    if (cut.signal.aborted && !signal.aborted) return undefined;
    afterwards.onViolation(() => false);
    throw error;
  });
  if (!cut.signal.aborted) return answer;
  answer?.abort();
  return undefined;
}

// How it ends.

/** Whoever shuts the server down waits for it. */
export function keepUntilWritten(written: Promise<void>, { unwritten }: ExchangeSite): void {
  unwritten.add(written);
  void written.then(() => unwritten.delete(written));
}

/**
 * The last phase: the closing entry, and nothing of the exchange is left. What is still to be learnt of it is waited for
 * by the entry alone: for the tenant's limits, the connection and the next request the exchange is over before.
 */
export async function writeEntry(exchange: OpenExchange, site: ExchangeSite, onOver: () => void = () => {}): Promise<void> {
  const { afterwards } = exchange;
  const isLate = afterwards?.pending === true;
  if (!isLate) await exchange.settle().catch(() => {}); // strict: the client has been told, or could not be
  exchange.release();
  site.open.delete(exchange);
  onOver();
  if (!isLate) return;
  const isCut = site.draining && exchange.signal.aborted;
  if (isCut || site.late.size >= exchange.snapshot.config.proxy.limits.connections_max) afterwards.close();
  site.late.add(exchange);
  await afterwards.settled();
  site.late.delete(exchange);
  await exchange.settle().catch(() => {});
}
