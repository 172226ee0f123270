/**
 * Audit logs of other Weirs that are shipped here: the route that takes them, for machines with the role shipper alone,
 * and the list of them. What is not taken is answered with the reason.
 */
import type { LogSummary, Sender } from '../audit/collector.ts';
import { BATCH, readBatch, SHIP_REFUSALS, ShipRefusal, type ErasureNews, type ShipBatch, type ShipPosition, type ShipRefusalCode } from '../audit/shipment.ts';
import { fault, invalid, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface OriginDesk {
  /** Throws ShipRefusal. `erasures`: what its process is to erase. */
  take(sender: Sender, batch: ShipBatch): Promise<ShipPosition & { readonly erasures?: ErasureNews }>;
  list(): Promise<readonly LogSummary[]>;
}

/** The refusals of a status. */
const told = (status: number): { readonly meaning: string; readonly schema: ReturnType<typeof ref> } => ({
  meaning: Object.entries(SHIP_REFUSALS).filter(([, refusal]) => refusal.status === status).map(([code, { meaning }]) => `${code}: ${meaning}`).join('; '), schema: ref('ShipRefusal'),
});

export const ORIGIN_ROUTES: readonly Route<OriginDesk>[] = [
  {
    method: 'POST', path: '/api/v1/ship/:log', name: 'shipAuditEntries', access: ['shipper'], meaning: 'take entries and checkpoints of the audit log of another Weir (`audit.ship`)',
    body: { schema: ref('ShipBatch'), types: ['application/json'], bytesMax: BATCH.bodyBytesMax },
    answers: {
      200: { meaning: 'how much of the log is here, on disk', schema: ref('ShipPosition') }, 403: { ...told(403), meaning: `not the role shipper, or ${told(403).meaning}` }, 409: told(409), 422: told(422), 429: told(429),
      503: { meaning: 'the copy cannot be read or written, or the store does not answer, or no further log is taken', schema: ref('ShipRefusal') },
    }, run: take,
  },
  { method: 'GET', path: '/api/v1/origins', name: 'listOrigins', access: ['admin', 'auditor'], meaning: 'audit logs of other Weirs that are shipped here: how much, how far behind, when last', answers: { 200: { meaning: 'by name', schema: ref('OriginList') } }, run: async (desk) => ({ status: 200, body: { origins: await desk.list() } }) },
];

async function take(desk: OriginDesk, { names, text, author }: DeskRequest): Promise<DeskAnswer> {
  const batch = readBatch(parsed(text));
  if (batch === undefined) return invalid(`the body is no batch: size, from, segment, at most ${BATCH.entriesMax} entries, checkpoints and rest are needed`);
  try {
    return { status: 200, body: await desk.take({ log: names['log']!, author }, batch) };
  } catch (error) {
    if (!(error instanceof ShipRefusal)) throw error;
    const { code, message, position } = error;
    return { status: statusOf(code), body: { ...fault(code, message), ...(position === undefined ? {} : { position }) } };
  }
}

function statusOf(code: ShipRefusalCode): number {
  return SHIP_REFUSALS[code].status;
}
