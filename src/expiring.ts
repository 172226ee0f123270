/**
 * Tells what expires and is not meant to: keys of tenants, from files and the store, tokens of people, the certificate of
 * the admin port. Looks each minute; the store that does not answer is told by others, and what was known last stays.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Config } from './config/schema.ts';
import { CHANNELS, type ExpiryTold } from './contract/channels.ts';
import { expiringAfter } from './store/expiries.ts';
import type { StoreDatabase } from './store/sql.ts';

const LOOK_MS = 60_000;
/** What was made for less is meant to end. */
export const MEANT_TO_LAST_MS = 28 * 86_400_000;

export interface ExpiringOptions {
  /** Undefined: this process has none. */
  readonly database: StoreDatabase | undefined;
  readonly config: () => Config;
  readonly now: () => Date;
}

export class Expiring {
  readonly #options: ExpiringOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ExpiringOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
    void this.look();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects. */
  async look(): Promise<void> {
    const { database, config, now } = this.#options;
    const at = now();
    try {
      const stored = database === undefined ? [] : await expiringAfter(database, at.toISOString());
      const lasting = stored.filter(({ created_at: from, expires_at: until }) => Date.parse(until) - Date.parse(from) >= MEANT_TO_LAST_MS);
      const ends: ExpiryTold['ends'] = [
        ...lasting.map(({ tenant_id, expires_at }) => ({ kind: tenant_id === null ? 'admin_token' as const : 'api_key' as const, tenant_id, atMs: Date.parse(expires_at) })),
        ...writtenKeys(config(), at.getTime()),
        ...(await certificate(config())),
      ];
      CHANNELS.expiryTold.publish({ ends });
    } catch {
      // The store says itself that it does not answer.
    }
  }
}

/** Of keys in files nobody knows when they were made. */
function writtenKeys({ tenants }: Config, nowMs: number): ExpiryTold['ends'] {
  return tenants.flatMap(({ id, keys }) => keys.flatMap(({ expires_at: until }) => (until === undefined || Date.parse(until) <= nowMs ? [] : [{ kind: 'api_key' as const, tenant_id: id, atMs: Date.parse(until) }])));
}

async function certificate({ admin: { tls } }: Config): Promise<ExpiryTold['ends']> {
  if (tls?.cert_file === undefined) return [];
  const pem = await readFile(tls.cert_file).catch(() => undefined);
  return pem === undefined ? [] : [{ kind: 'certificate', tenant_id: null, atMs: new X509Certificate(pem).validToDate.getTime() }];
}
