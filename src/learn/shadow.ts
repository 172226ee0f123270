/**
 * A model that scores live texts beside what works, and decides nothing. No exchange waits for it: texts are taken into a
 * short queue, scored elsewhere, and forgotten; what comes while the queue is full, or the share of a core that it may
 * take is used up, is left out and counted. What stays are sums: on which side of each threshold both scores lie.
 */
import { createHash } from 'node:crypto';
import type { ClassifierResult, ScreeningRequest } from '../contract/screening.ts';
import type { ShadowCount, ShadowOutcome, ShadowSums, ShadowTexts } from '../store/shadows.ts';

export interface ShadowSettings {
  /** Of exchanges, 0–1. */
  readonly share: number;
  /** Of one core, 0–1. */
  readonly cpu: number;
  readonly queueMax: number;
}

/** Of a policy: what a score is compared with. */
export interface Threshold {
  readonly policy: string;
  /** Either may be `*`. */
  readonly classifier: string;
  readonly category: string;
  readonly at: number;
}

export interface ShadowRunOptions {
  readonly modelId: string;
  readonly settings: () => ShadowSettings;
  /** Ids of the classifiers that the model is for. */
  readonly classifiers: ReadonlySet<string>;
  /** Those of the policy that the tenant is under. */
  readonly thresholds: (tenantId: string) => readonly Threshold[];
  /** What the model says, and how long it took. Rejects where it cannot be asked. */
  readonly score: (request: ScreeningRequest) => Promise<{ readonly results: readonly ClassifierResult[]; readonly ms: number }>;
  /** Milliseconds that only grow. */
  readonly clock: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

/** Characters of a text that is scored beside. */
export const SHADOW_CHARS_MAX = 65_536;
/** Where no policy compares the score with anything. */
const OTHERWISE = 0.5;
/** So much time of a core is saved up at most while nothing comes. */
const SAVED_MS_MAX = 1_000;
/** Sums of one flush. */
const SUMS_MAX = 2_000;

type Sum = { -readonly [K in keyof ShadowCount]: ShadowCount[K] };

export class ShadowRun {
  readonly modelId: string;
  readonly #options: ShadowRunOptions;
  readonly #queue: { readonly request: ScreeningRequest; readonly results: readonly ClassifierResult[] }[] = [];
  #counts = new Map<string, Sum>();
  #texts = new Map<ShadowOutcome, { total: number; working_ms: number; shadow_ms: number }>();
  /** Time of a core that it may take now. */
  #savedMs = SAVED_MS_MAX;
  #savedAtMs: number;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(options: ShadowRunOptions) {
    this.modelId = options.modelId;
    this.#options = options;
    this.#savedAtMs = options.clock();
  }

  /** A text with what the models that work said of it. Returns at once. */
  hear(request: ScreeningRequest, results: readonly ClassifierResult[]): void {
    const { classifiers, settings } = this.#options;
    const own = results.filter(({ classifier_id: id }) => classifiers.has(id));
    const { share, queueMax } = settings();
    if (this.#closed || own.length === 0 || request.content_type !== 'text' || !isDrawn(`${this.modelId} ${request.request_id}`, share)) return;
    if (request.content.length > SHADOW_CHARS_MAX) return this.#note('too_long');
    if (this.#queue.length >= queueMax) return this.#note('full');
    this.#queue.push({ request, results: own });
    this.#working ??= this.#work().finally(() => void (this.#working = undefined));
  }

  /** The sums since the last time. */
  take(): ShadowSums {
    const texts = [...this.#texts].map(([outcome, one]): ShadowTexts => ({ outcome, ...one }));
    const counts = [...this.#counts.values()];
    [this.#counts, this.#texts] = [new Map(), new Map()];
    return { counts, texts };
  }

  /** Sums that were taken and could not be stored: they are taken again with what came since. */
  giveBack({ counts, texts }: ShadowSums): void {
    for (const { total, in_both, only_working, only_shadow, difference, distance, ...place } of counts) {
      const sum = this.#sumOf(place);
      if (sum === undefined) continue;
      sum.total += total;
      sum.in_both += in_both;
      sum.only_working += only_working;
      sum.only_shadow += only_shadow;
      sum.difference += difference;
      sum.distance += distance;
    }
    for (const { outcome, total, working_ms, shadow_ms } of texts) this.#note(outcome, working_ms, shadow_ms, total);
  }

  /** What waits is forgotten; what is being scored is counted. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.length = 0;
    await this.#working;
  }

  async #work(): Promise<void> {
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      const owedMs = this.#owedMs();
      if (owedMs > 0) {
        await this.#options.wait(owedMs);
        continue;
      }
      this.#queue.shift();
      try {
        const { results, ms } = await this.#options.score(next.request);
        this.#savedMs -= ms;
        this.#compare(next.request.tenant_id, next.results, results, ms);
      } catch {
        this.#note('failed');
      }
    }
  }

  /** How long it must wait until it may take time again. */
  #owedMs(): number {
    const { settings, clock } = this.#options;
    const [{ cpu }, nowMs] = [settings(), clock()];
    this.#savedMs = Math.min(SAVED_MS_MAX, this.#savedMs + (nowMs - this.#savedAtMs) * cpu);
    this.#savedAtMs = nowMs;
    return this.#savedMs > 0 ? 0 : Math.ceil((1 - this.#savedMs) / cpu);
  }

  #compare(tenantId: string, working: readonly ClassifierResult[], shadow: readonly ClassifierResult[], ms: number): void {
    const [before, after] = [highest(working), highest(shadow)];
    const thresholds = this.#options.thresholds(tenantId);
    const known = [...before].filter(([name]) => after.has(name));
    if (known.length === 0) return this.#note('unknown');
    this.#note('scored', Math.max(0, ...working.map(({ latency_ms }) => latency_ms)), ms);
    for (const [name, { classifier, category, score }] of known) {
      const other = after.get(name)!.score;
      const fits = thresholds.filter((one) => (one.classifier === '*' || one.classifier === classifier) && (one.category === '*' || one.category === category));
      const compared = new Map(fits.map((one) => [`${one.policy} ${one.at}`, one]));
      for (const { policy, at } of compared.size > 0 ? compared.values() : [{ policy: '', at: OTHERWISE }]) this.#add({ classifier_id: classifier, category, policy, threshold: at }, score, other);
    }
  }

  #add(place: Pick<ShadowCount, 'classifier_id' | 'category' | 'policy' | 'threshold'>, score: number, other: number): void {
    const sum = this.#sumOf(place);
    if (sum === undefined) return;
    const [was, is] = [score >= place.threshold, other >= place.threshold];
    sum.total += 1;
    if (was && is) sum.in_both += 1;
    else if (was) sum.only_working += 1;
    else if (is) sum.only_shadow += 1;
    sum.difference += other - score;
    sum.distance += Math.abs(other - score);
  }

  /** Undefined: there are too many. */
  #sumOf({ classifier_id, category, policy, threshold }: Pick<ShadowCount, 'classifier_id' | 'category' | 'policy' | 'threshold'>): Sum | undefined {
    const key = JSON.stringify([classifier_id, category, policy, threshold]);
    const known = this.#counts.get(key);
    if (known !== undefined || this.#counts.size >= SUMS_MAX) return known;
    const sum = { classifier_id, category, policy, threshold, total: 0, only_working: 0, only_shadow: 0, in_both: 0, difference: 0, distance: 0 };
    this.#counts.set(key, sum);
    return sum;
  }

  #note(outcome: ShadowOutcome, workingMs = 0, shadowMs = 0, count = 1): void {
    const sum = this.#texts.get(outcome) ?? { total: 0, working_ms: 0, shadow_ms: 0 };
    this.#texts.set(outcome, { total: sum.total + count, working_ms: sum.working_ms + workingMs, shadow_ms: sum.shadow_ms + shadowMs });
  }
}

/** The highest score of each category; what is unknown is left out. */
function highest(results: readonly ClassifierResult[]): ReadonlyMap<string, { readonly classifier: string; readonly category: string; readonly score: number }> {
  const found = new Map<string, { readonly classifier: string; readonly category: string; readonly score: number }>();
  for (const result of results) {
    if ('unknown' in result) continue;
    const name = `${result.classifier_id}.${result.category}`;
    if (!((found.get(name)?.score ?? -1) >= result.score)) found.set(name, { classifier: result.classifier_id, category: result.category, score: result.score });
  }
  return found;
}

const HASH_BYTES = 6;

/** The same for every text of an exchange, in every process. */
function isDrawn(name: string, share: number): boolean {
  return share >= 1 || createHash('sha256').update(name).digest().readUIntBE(0, HASH_BYTES) / 2 ** (8 * HASH_BYTES) < share;
}
