/**
 * Reversible pseudonyms: a value of a prompt leaves as a token, ⟨EMAIL_1⟩, and where the answer says the token the
 * client reads the value again. One value has one token in a session, or without a session in the conversation that
 * the request carries. A token that stands in the prompt as such is nobody's: it is neither issued nor restored.
 * The mapping of a session is kept sealed (AES-256-GCM under the tenant's key), in this process and, where there is a
 * Redis, there; it expires, and it is in no log, span or entry. Restored text goes through the output rules like any.
 *
 * Why this form. A word in capitals with a small number is copied faithfully by models and says what it stands for. The
 * mathematical angle brackets mean nothing to Markdown, HTML, JSON, URLs and shells, so nothing between here and the
 * model rewrites them, and ordinary text hardly ever holds them around such a word. What models make of it is read too:
 * another case, `\_` for `_`, and other brackets, ASCII ones included; that is safe because only what was issued
 * is restored.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { Segment } from '../contract/exchange.ts';
import type { PatternSet } from '../match/compiled.ts';
import { compilePatterns, scanText } from '../match/set.ts';

const BRACKETS: Readonly<Record<string, string>> = { '⟨': '⟩', '〈': '〉', '‹': '›', '<': '>', '[': ']' };
const LABEL_CHARS_MAX = 24;
/** Values of one session. Beyond, a value is replaced by its label for good. */
export const PSEUDONYMS_MAX = 4_096;
/** A longer value is replaced by its label for good. */
export const VALUE_CHARS_MAX = 4_096;

/** The one pattern of all tokens, of whatever session. */
export const TOKENS: PatternSet = compilePatterns([{
  classifier: 'pseudonyms',
  holds: true,
  definition: { id: 'token', category: 'token', label: 'TOKEN', ignoreCase: true, regex: String.raw`[⟨〈‹<\[][A-Z](?:[A-Z0-9]|\\?_){0,23}\\?_[1-9][0-9]{0,5}[⟩〉›>\]]` },
}]);

/** `EMAIL_1` for each way to write it; undefined where the brackets are no pair. */
function nameOf(token: string): string | undefined {
  if (BRACKETS[token[0] as string] !== token[token.length - 1]) return undefined;
  return token.slice(1, -1).replaceAll('\\', '').toUpperCase();
}

/** Names of the tokens that texts hold as such. */
export function literalTokens(segments: readonly Pick<Segment, 'content' | 'json'>[]): ReadonlySet<string> {
  const names = new Set<string>();
  const look = (text: string): void => {
    for (const { start, end } of scanText(TOKENS, text)) names.add(nameOf(text.slice(start, end)) ?? '');
  };
  for (const { content, json } of segments) {
    look(content);
    if (json === true && content.includes('\\u')) look(content.replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))));
  }
  return names;
}

/** A token's name and its value, in the order in which they were issued. */
export type Pseudonym = readonly [name: string, value: string];

/** The tokens of one exchange: those its session had, and those it issues. */
export class Pseudonyms {
  readonly #values = new Map<string, string>();
  readonly #names = new Map<string, string>();
  /** The last number of each label. */
  readonly #numbers = new Map<string, number>();
  readonly #literal: ReadonlySet<string>;

  constructor(literal: ReadonlySet<string> = new Set(), known: Iterable<Pseudonym> = []) {
    this.#literal = literal;
    for (const [name, value] of known) this.#add(name, value);
  }

  get size(): number {
    return this.#values.size;
  }

  get all(): readonly Pseudonym[] {
    return [...this.#values];
  }

  /** The token that stands for `value`; undefined when there are too many or it is too long. */
  tokenOf(label: string, value: string): string | undefined {
    const known = this.#names.get(value);
    if (known !== undefined && !this.#literal.has(known)) return `⟨${known}⟩`;
    if (this.#values.size >= PSEUDONYMS_MAX || value.length > VALUE_CHARS_MAX) return undefined;
    const word = wordOf(label);
    let number = (this.#numbers.get(word) ?? 0) + 1;
    while (this.#values.has(`${word}_${number}`) || this.#literal.has(`${word}_${number}`)) number += 1;
    this.#numbers.set(word, number);
    this.#add(`${word}_${number}`, value);
    return `⟨${word}_${number}⟩`;
  }

  /** The value of a token as a model wrote it; undefined for one that was not issued here. */
  valueOf(token: string): string | undefined {
    const name = nameOf(token);
    return name === undefined || this.#literal.has(name) ? undefined : this.#values.get(name);
  }

  #add(name: string, value: string): void {
    this.#values.set(name, value);
    this.#names.set(value, name);
  }
}

/** A label in the letters of a token. */
function wordOf(label: string): string {
  const word = label.toUpperCase().replace(/[^A-Z0-9_]+/g, '_').slice(0, LABEL_CHARS_MAX);
  return /^[A-Z]/.test(word) ? word : `X${word}`.slice(0, LABEL_CHARS_MAX);
}

// Sessions.

export interface PseudonymSession {
  readonly tenantId: string;
  readonly sessionId: string;
  /** The tenant's, 32 bytes: seals the mapping and hides the session's name. */
  readonly key: Buffer;
}

/** Text that replicas share. `ok: false`: it cannot be had now, and the copy in this process counts. */
export interface SharedText {
  /** Undefined when there is none. What is read is kept for another `ttlMs`. */
  read(key: string, ttlMs: number): Promise<{ readonly ok: true; readonly value: string | undefined } | { readonly ok: false }>;
  /** False when it is no longer `former`. */
  replace(key: string, former: string | undefined, next: string, ttlMs: number): Promise<{ readonly ok: true; readonly value: boolean } | { readonly ok: false }>;
}

export interface PseudonymVaultOptions {
  readonly shared?: SharedText;
  /** Since the last use. */
  readonly ttlMs?: number;
  /** Bytes of all sealed mappings in this process. */
  readonly bytesMax?: number;
  /** Milliseconds that never go back; default `performance.now`. */
  readonly clock?: () => number;
}

const TTL_MS = 24 * 60 * 60 * 1000;
const BYTES_MAX = 64 * 1024 * 1024;
/** How often an exchange gives way to replicas that write to its session at the same time. */
const ATTEMPTS = 5;

/** Keeps the mappings of sessions, the least recently used ones going first. */
export class PseudonymVault {
  readonly #shared: SharedText | undefined;
  readonly #ttlMs: number;
  readonly #bytesMax: number;
  readonly #clock: () => number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, { readonly sealed: string; readonly expiresAtMs: number }>();
  #bytes = 0;

  constructor({ shared, ttlMs = TTL_MS, bytesMax = BYTES_MAX, clock = () => performance.now() }: PseudonymVaultOptions = {}) {
    this.#shared = shared;
    this.#ttlMs = ttlMs;
    this.#bytesMax = bytesMax;
    this.#clock = clock;
  }

  /**
   * Does `work` with the session's pseudonyms and keeps what it issued. `work` is done again from the start when a
   * replica issued others meanwhile, so that no token of a session ever means two values to those who share it.
   */
  async use<T>(session: PseudonymSession, literal: ReadonlySet<string>, work: (pseudonyms: Pseudonyms) => T): Promise<{ readonly result: T; readonly pseudonyms: Pseudonyms }> {
    const id = idOf(session);
    for (let attempt = 1; ; attempt += 1) {
      const stored = await this.#shared?.read(id, this.#ttlMs);
      const shared = stored?.ok ? unseal(stored.value, id, session.key) : [];
      // From here to `#keep` nothing waits: exchanges of this process follow each other.
      const pseudonyms = new Pseudonyms(literal, merged(shared, this.#recall(id, session.key)));
      const result = work(pseudonyms);
      if (pseudonyms.size === 0) return { result, pseudonyms };
      const sealed = seal(pseudonyms.all, id, session.key);
      this.#keep(id, sealed);
      if (!stored?.ok || pseudonyms.size === shared.length || attempt === ATTEMPTS) return { result, pseudonyms };
      const replaced = await this.#shared!.replace(id, stored.value, sealed, this.#ttlMs);
      if (!replaced.ok || replaced.value) return { result, pseudonyms };
    }
  }

  #recall(id: string, key: Buffer): readonly Pseudonym[] {
    const kept = this.#kept.get(id);
    return kept === undefined || kept.expiresAtMs <= this.#clock() ? [] : unseal(kept.sealed, id, key);
  }

  #keep(id: string, sealed: string): void {
    this.#drop(id);
    this.#kept.set(id, { sealed, expiresAtMs: this.#clock() + this.#ttlMs });
    this.#bytes += sealed.length;
    // The oldest are also the first to expire.
    for (const [other, { expiresAtMs }] of this.#kept) {
      if (this.#bytes <= this.#bytesMax && expiresAtMs > this.#clock()) break;
      this.#drop(other);
    }
  }

  #drop(id: string): void {
    this.#bytes -= this.#kept.get(id)?.sealed.length ?? 0;
    this.#kept.delete(id);
  }
}

/** The session's own name is not shown; the braces keep what a tenant has on one node of a cluster. */
function idOf({ tenantId, sessionId, key }: PseudonymSession): string {
  return `{${tenantId}}:pseudonyms:${createHmac('sha256', key).update(`session ${sessionId}`).digest('base64url')}`;
}

/** What replicas share counts; of this process's own, what does not contradict it. */
function merged(shared: readonly Pseudonym[], own: readonly Pseudonym[]): readonly Pseudonym[] {
  if (shared.length === 0) return own;
  const names = new Set(shared.map(([name]) => name));
  return [...shared, ...own.filter(([name]) => !names.has(name))];
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Nonce, text, tag. Bound to `id`, so that one session's mapping cannot be put in the place of another's. */
function seal(pseudonyms: readonly Pseudonym[], id: string, key: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(id));
  return Buffer.concat([nonce, cipher.update(JSON.stringify(pseudonyms), 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** Nothing when it was not sealed with this key for this session. */
function unseal(sealed: string | undefined, id: string, key: Buffer): readonly Pseudonym[] {
  if (sealed === undefined) return [];
  const bytes = Buffer.from(sealed, 'base64');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES }).setAAD(Buffer.from(id)).setAuthTag(bytes.subarray(-TAG_BYTES));
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString()) as readonly Pseudonym[];
  } catch {
    return [];
  }
}
