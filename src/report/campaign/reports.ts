/**
 * Reports of residual-risk campaigns: made of what the store and the audit logs hold, issued under a number, signed with the
 * key of the log, and kept as they were signed. Guarantees: who asks for a report of the same days gets the same one as long as
 * nothing that it tells has changed; what has is told by the next, with the corrections that say why; no text of any exchange
 * is read. Tasks are read in pages and reckoned with in a thread of their own, one report after the other.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setImmediate as breathe, setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { newestCheckpoint } from '../../audit/checkpoint-file.ts';
import type { Signer } from '../../audit/checkpoint.ts';
import { canonicalJson, type CampaignRecord } from '../../audit/entry.ts';
import { publishedKeys } from '../../audit/recovery.ts';
import type { CampaignConfig } from '../../config/risk.ts';
import type { Taxonomy } from '../../config/taxonomy.ts';
import { WeirError } from '../../contract/errors.ts';
import type { SqlAnnotationStore } from '../../store/annotations.ts';
import type { Correction, IssuedReport, KeptReport, LogCount, ReportPeriod, SqlRiskReports, TaskPlace } from '../../store/risk-reports.ts';
import { documentOf, documentText, readDocument, sealReport, sha256Of, type LogBasis, type ReportDocument } from './document.ts';
import type { ReportMessage } from './findings-worker.ts';
import type { ReportFacts, ReportFindings } from './findings.ts';

export interface ReportsOptions {
  readonly store: SqlRiskReports;
  readonly annotations: Pick<SqlAnnotationStore, 'annotators'>;
  /** Folders of the own log and of those that are shipped here. */
  logs(): Promise<readonly string[]>;
  /** Undefined: its key is not there. */
  signer(): Promise<Signer | undefined>;
  configured(campaign: string): CampaignConfig | undefined;
  readonly taxonomy: Taxonomy;
  /** Of the installation: makes pseudonyms. */
  readonly key: Buffer;
  /** The version of Weir. */
  readonly software: string;
  page(document: ReportDocument, sha256: string): string;
  /** Resolves when the entry is on disk, or will be. */
  audit(record: CampaignRecord): Promise<void>;
  now(): Date;
}

/** As it is written, with its texts. */
export interface WrittenReport {
  readonly document: ReportDocument;
  readonly json: string;
  readonly html: string;
  readonly note: string;
}

/** Reports that may wait for the one that is being made. */
export const WAITING_MAX = 4;
/** For a checkpoint that covers what was looked through; the log signs every second. */
const CHECKPOINT_WAIT_MS = 3_000;
const CHECKPOINT_LOOK_MS = 100;
/** How often a number is tried where others issue reports too. */
const TRIES = 5;
export const REASON_CHARS_MAX = 1_000;

export class Reports {
  readonly #options: ReportsOptions;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: ReportsOptions) {
    this.#options = options;
  }

  /** As it stands now; it has no number and is not kept. Undefined: there is no such campaign. Rejects with WeirError overloaded where others wait for theirs. */
  draft(campaign: string, period: ReportPeriod): Promise<WrittenReport | undefined> {
    return this.#inTurn(async () => {
      const made = await this.#make(campaign, period);
      return made && this.#write(made, null, await this.#before(campaign, period));
    });
  }

  /** The newest of these days where nothing has changed since, else a new one. */
  issue(campaign: string, period: ReportPeriod, author: string): Promise<KeptReport | undefined> {
    return this.#inTurn(async () => {
      const { store, audit } = this.#options;
      const made = await this.#make(campaign, period);
      if (made === undefined) return undefined;
      for (let tried = 1; ; tried++) {
        const before = await this.#before(campaign, period);
        const version = ((await store.reports(campaign))[0]?.version ?? 0) + 1;
        const { document, json, html, note } = await this.#write(made, version, before);
        if (before?.findings_sha256 === document.findings_sha256) return before;
        const kept: KeptReport = { campaign, version, ...period, issued_at: document.made_at, author, sha256: sha256Of(json), findings_sha256: document.findings_sha256, document: json, page: html, note };
        if (await store.keep(kept)) {
          await audit({ kind: 'campaign', change: 'reported', author, campaign, version, ...period, report_sha256: kept.sha256 });
          return kept;
        }
        if (tried === TRIES) throw new WeirError('overloaded', 'others issue reports of this campaign; ask again');
      }
    });
  }

  issued(campaign: string): Promise<readonly IssuedReport[]> {
    return this.#options.store.reports(campaign);
  }

  read(campaign: string, version: number): Promise<KeptReport | undefined> {
    return this.#options.store.report(campaign, version);
  }

  corrections(campaign: string): Promise<readonly Correction[]> {
    return this.#options.store.corrections(campaign);
  }

  /** Stands in every later report. False: there is no such campaign. */
  async correct(campaign: string, author: string, reason: string): Promise<boolean> {
    const { store, audit, now } = this.#options;
    if (!(await this.isKnown(campaign))) return false;
    await store.correct({ correction_id: `cor_${randomUUID()}`, campaign, made_at: now().toISOString(), author, reason });
    await audit({ kind: 'campaign', change: 'corrected', author, campaign, reason });
    return true;
  }

  async isKnown(campaign: string): Promise<boolean> {
    return this.#options.configured(campaign) !== undefined || this.#options.store.isKnown(campaign);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting > WAITING_MAX) return Promise.reject(new WeirError('overloaded', `${WAITING_MAX} reports wait already; ask again in a while`));
    this.#waiting++;
    const done = this.#last.then(work).finally(() => void this.#waiting--);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** The newest that was issued of the same days. */
  async #before(campaign: string, { from, until }: ReportPeriod): Promise<KeptReport | undefined> {
    const { store } = this.#options;
    const found = (await store.reports(campaign)).find((one) => one.from === from && one.until === until);
    return found && store.report(campaign, found.version);
  }

  async #make(campaign: string, period: ReportPeriod): Promise<Made | undefined> {
    const { store, annotations, configured, taxonomy, key, now } = this.#options;
    if (!(await this.isKnown(campaign))) return undefined;
    const madeAt = now().toISOString();
    const before = drawnIn(await store.counts(campaign, period));
    const worker = new Worker(new URL('./findings-worker.ts', import.meta.url), { workerData: { campaign, asOf: madeAt } });
    try {
      const tell = (message: ReportMessage): void => worker.postMessage(message);
      const found = once(worker, 'message') as Promise<[ReportFindings]>;
      found.catch(() => undefined); // told below, where it is waited for
      for (let [more, after]: [boolean, TaskPlace | undefined] = [true, undefined]; more; ) {
        const { tasks, next } = await store.page(campaign, period, after, store.pageTasks);
        if (tasks.length > 0) tell({ tasks });
        [more, after] = [next !== undefined, next];
        await breathe(); // a store in this thread never waits, and others do
      }
      const logs = await store.counts(campaign, period);
      const facts: ReportFacts = {
        campaign, period, asOf: madeAt, configured: configured(campaign), plans: await store.declarations(campaign), population: logs.flatMap(({ counts }) => counts), drawnBefore: before,
        states: (await annotations.annotators()).map(({ annotator_id, state }) => ({ annotator_id, state })), corrections: await store.corrections(campaign),
        taxonomy: { version: taxonomy.version, language: taxonomy.language, sha256: sha256Of(canonicalJson(taxonomy)) }, key,
      };
      const basis = await this.#basis(logs);
      tell({ facts });
      const [findings] = await found;
      return { findings, basis, madeAt };
    } finally {
      await worker.terminate();
    }
  }

  async #write({ findings, basis, madeAt }: Made, version: number | null, before: KeptReport | undefined): Promise<WrittenReport> {
    const { signer, software, page } = this.#options;
    const key = await signer();
    if (key === undefined) throw new WeirError('audit_unavailable', 'the key that signs the audit log is not there, and a report is signed with it; start weir once, or name audit.key_file');
    const was = before && readDocument(before.document);
    const document = documentOf({ version, madeAt, software, findings, basis, before: was && { version: before.version, sha256: before.sha256, findings: was.findings, software: was.software.version } });
    const json = documentText(document);
    const sha256 = sha256Of(json);
    const html = page(document, sha256);
    return { document, json, html, note: sealReport({ campaign: document.campaign, version, json: sha256, html: sha256Of(html) }, key) };
  }

  /** Logs whose folders are here, as far as they were looked through. */
  async #basis(counted: readonly LogCount[]): Promise<readonly LogBasis[]> {
    const basis: LogBasis[] = [];
    for (const dir of await this.#options.logs()) {
      const [key] = await publishedKeys(dir);
      const known = key && counted.find(({ log }) => log === `${key.name}+${key.id}`);
      if (key === undefined || known === undefined) continue;
      basis.push({ log: known.log, key: key.text, entries: known.next, head: known.head, checkpoint: await coveringNote(dir, known.next), counts: known.counts });
    }
    return basis.sort((a, b) => (a.log < b.log ? -1 : 1));
  }
}

interface Made {
  readonly findings: ReportFindings;
  readonly basis: readonly LogBasis[];
  readonly madeAt: string;
}

function drawnIn(logs: readonly LogCount[]): number {
  return logs.reduce((sum, { counts }) => sum + counts.reduce((own, { drawn }) => own + drawn, 0), 0);
}

/** The newest, once it covers so many entries; of a log that nobody signs any more what there is. */
async function coveringNote(dir: string, entries: number): Promise<string> {
  for (let waitedMs = 0; ; waitedMs += CHECKPOINT_LOOK_MS) {
    const { checkpoint } = await newestCheckpoint(dir);
    if ((checkpoint !== undefined && checkpoint.size >= entries) || waitedMs >= CHECKPOINT_WAIT_MS) return checkpoint?.note ?? '';
    await pause(CHECKPOINT_LOOK_MS);
  }
}
