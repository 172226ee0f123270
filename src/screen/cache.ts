/**
 * Verdict memory: what was once said about a text is not asked again. A key is an HMAC under the tenant's own key, so
 * neither content nor anything it could be guessed from is kept, and no tenant can meet another's entry. Bounded for
 * each tenant and in all. Only whole answers are remembered: an unknown is asked again. Entries may be shared through
 * Redis, sealed; it may be gone at any time.
 *
 * Entries live in two generations: what is used moves to the young one, and when that is half of what is allowed, the old
 * one is dropped whole. So what was used lately stays, and no entry costs more than its own time: a map in order of use
 * is slow where many entries come and go.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { ClassifierResult, ScoredResult } from '../contract/screening.ts';
import type { SharedText } from './pseudonyms.ts';

export interface MemoryLimits {
  /** Entries of one tenant; 0 remembers nothing. */
  readonly entriesMax: number;
  /** Bytes of one tenant's entries, as estimated by `bytesOf`. */
  readonly bytesMax: number;
  /** Of all tenants together. */
  readonly totalBytesMax: number;
  readonly ttlMs: number;
  /** Whether replicas share them, where there is something to share them through. */
  readonly shared: boolean;
}

export const MEMORY_DEFAULTS: MemoryLimits = { entriesMax: 20_000, bytesMax: 16 * 1024 * 1024, totalBytesMax: 256 * 1024 * 1024, ttlMs: 3_600_000, shared: true };

export interface VerdictMemoryOptions {
  /** Tenants' keys derive from it. Replicas that share entries have the same. */
  readonly key: Buffer;
  readonly limits?: Partial<MemoryLimits>;
  readonly shared?: SharedText;
  /** Milliseconds that never go back. */
  readonly clock?: () => number;
  /** Milliseconds since 1970, for what is shared. */
  readonly now?: () => number;
}

interface Entry {
  readonly results: readonly ClassifierResult[];
  readonly bytes: number;
  readonly expiresAtMs: number;
}

class Generation {
  readonly entries = new Map<string, Entry>();
  bytes = 0;

  add(key: string, entry: Entry): void {
    this.entries.set(key, entry);
    this.bytes += entry.bytes;
  }

  take(key: string): Entry | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.bytes -= entry.bytes;
    return entry;
  }
}

interface TenantMemory {
  readonly key: Buffer;
  young: Generation;
  old: Generation;
}

export class VerdictMemory {
  readonly #masterKey: Buffer;
  readonly #shared: SharedText | undefined;
  readonly #clock: () => number;
  readonly #now: () => number;
  #limits: MemoryLimits;
  readonly #tenants = new Map<string, TenantMemory>();
  /** Of all generations. */
  #bytes = 0;

  constructor({ key, limits, shared, clock = () => performance.now(), now = Date.now }: VerdictMemoryOptions) {
    this.#masterKey = key;
    this.#limits = { ...MEMORY_DEFAULTS, ...limits };
    this.#shared = shared;
    this.#clock = clock;
    this.#now = now;
  }

  /** From the next entry on. */
  set limits(limits: Partial<MemoryLimits>) {
    this.#limits = { ...MEMORY_DEFAULTS, ...limits };
    if (this.#limits.entriesMax === 0) this.clear();
  }

  get isOn(): boolean {
    return this.#limits.entriesMax > 0;
  }

  get size(): number {
    return [...this.#tenants.values()].reduce((sum, tenant) => sum + sizeOf(tenant), 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The name of what `parts` say together; each part stands apart from its neighbours. */
  keyOf(tenantId: string, parts: readonly string[]): string {
    const hmac = createHmac('sha256', this.#tenant(tenantId).key);
    // UTF-8 would write all lone surrogates alike.
    for (const part of parts) hmac.update(`${part.length}:`).update(part, part.isWellFormed() ? 'utf8' : 'utf16le');
    return hmac.digest('base64url');
  }

  recall(tenantId: string, key: string): readonly ClassifierResult[] | undefined {
    const tenant = this.#tenant(tenantId);
    const entry = tenant.young.entries.get(key) ?? tenant.old.entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAtMs <= this.#clock()) {
      this.#take(tenant, key);
      return undefined;
    }
    if (!tenant.young.entries.has(key)) {
      this.#take(tenant, key);
      this.#add(tenant, key, entry);
    }
    return entry.results;
  }

  /** Keeps them where every category is known. */
  remember(tenantId: string, key: string, results: readonly ClassifierResult[]): void {
    const bytes = bytesOf(results);
    if (!this.isOn || !results.every(isScored) || bytes > this.#limits.bytesMax) return;
    const tenant = this.#tenant(tenantId);
    this.#take(tenant, key);
    this.#add(tenant, key, { results: results.map((result) => ({ ...result, latency_ms: 0 })), bytes, expiresAtMs: this.#clock() + this.#limits.ttlMs });
    // Everybody forgets what they used least: twice, where that was not enough.
    for (let age = 0; age < 2 && this.#bytes > this.#limits.totalBytesMax; age += 1) for (const one of this.#tenants.values()) this.#age(one);
  }

  /** As `recall`, and where that knows nothing from the other replicas. Takes no longer than their store's own limit. */
  async recallShared(tenantId: string, key: string): Promise<readonly ClassifierResult[] | undefined> {
    const own = this.recall(tenantId, key);
    if (own !== undefined || this.#shared === undefined || !this.#limits.shared) return own;
    const name = this.#sharedName(tenantId, key);
    const stored = await this.#shared.read(name, this.#limits.ttlMs);
    const results = stored.ok ? unseal(stored.value, name, this.#tenant(tenantId).key) : undefined;
    if (results !== undefined) this.remember(tenantId, key, results);
    return results;
  }

  /** As `remember`, for the other replicas too; nobody waits for that. */
  share(tenantId: string, key: string, results: readonly ClassifierResult[]): void {
    this.remember(tenantId, key, results);
    if (this.#shared === undefined || !this.#limits.shared || !this.isOn || !results.every(isScored)) return;
    const name = this.#sharedName(tenantId, key);
    void this.#shared.replace(name, undefined, seal(results, name, this.#tenant(tenantId).key), this.#limits.ttlMs);
  }

  clear(): void {
    this.#tenants.clear();
    this.#bytes = 0;
  }

  /** Reading keeps an entry alive, so its age is in its name. The braces keep what a tenant has on one node of a cluster. */
  #sharedName(tenantId: string, key: string): string {
    return `{${tenantId}}:verdict:${Math.floor(this.#now() / this.#limits.ttlMs)}:${key}`;
  }

  #tenant(id: string): TenantMemory {
    let tenant = this.#tenants.get(id);
    if (tenant === undefined) {
      tenant = { key: createHmac('sha256', this.#masterKey).update(`verdicts ${id}`).digest(), young: new Generation(), old: new Generation() };
      this.#tenants.set(id, tenant);
    }
    return tenant;
  }

  #add(tenant: TenantMemory, key: string, entry: Entry): void {
    const { entriesMax, bytesMax } = this.#limits;
    const { young } = tenant;
    if (young.entries.size + 1 > Math.ceil(entriesMax / 2) || young.bytes + entry.bytes > bytesMax / 2) this.#age(tenant);
    tenant.young.add(key, entry);
    this.#bytes += entry.bytes;
    if (sizeOf(tenant) > entriesMax || tenant.young.bytes + tenant.old.bytes > bytesMax) this.#drop(tenant);
  }

  #take(tenant: TenantMemory, key: string): void {
    this.#bytes -= (tenant.young.take(key) ?? tenant.old.take(key))?.bytes ?? 0;
  }

  /** The young generation is the old one from now on. */
  #age(tenant: TenantMemory): void {
    this.#drop(tenant);
    tenant.old = tenant.young;
    tenant.young = new Generation();
  }

  /** Forgets the old generation. */
  #drop(tenant: TenantMemory): void {
    this.#bytes -= tenant.old.bytes;
    tenant.old = new Generation();
  }
}

function sizeOf({ young, old }: TenantMemory): number {
  return young.entries.size + old.entries.size;
}

function isScored(result: ClassifierResult): result is ScoredResult {
  return !('unknown' in result);
}

/** Of one entry with its key: what the objects take, roughly. */
export function bytesOf(results: readonly ClassifierResult[]): number {
  return results.reduce((sum, result) => sum + RESULT_BYTES + ('spans' in result ? result.spans.length * SPAN_BYTES : 0), ENTRY_BYTES);
}

const ENTRY_BYTES = 256;
const RESULT_BYTES = 160;
const SPAN_BYTES = 48;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Sealed, not for secrecy alone: who can write to Redis must not be able to say that a text is harmless. */
function seal(results: readonly ClassifierResult[], name: string, key: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
  return Buffer.concat([nonce, cipher.update(JSON.stringify(results), 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

function unseal(sealed: string | undefined, name: string, key: Buffer): readonly ClassifierResult[] | undefined {
  if (sealed === undefined) return undefined;
  const bytes = Buffer.from(sealed, 'base64');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES }).setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-TAG_BYTES));
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString()) as readonly ClassifierResult[];
  } catch {
    return undefined;
  }
}
