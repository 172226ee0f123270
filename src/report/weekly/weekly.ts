/**
 * Weekly reports of tenants, in all of their forms: made of what the stores hold, signed with the key of the audit log where
 * it is at hand, and never kept here. Guarantees: the same data at the same time give the same bytes; a report that is made
 * again later tells by the hash of its findings whether anything that it says has changed; no text of any exchange is read.
 * One is made after the other, and others have their turn between the steps of each.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { newestCheckpoint } from '../../audit/checkpoint-file.ts';
import type { Signer } from '../../audit/checkpoint.ts';
import { publishedKeys } from '../../audit/recovery.ts';
import { WeirError } from '../../contract/errors.ts';
import type { WeeklyForm } from '../../contract/weekly.ts';
import { weeklyCsv } from './csv.ts';
import { digest, sealWeekly, weeklyDocument, weeklyText, type WeeklyBasis, type WeeklyDocument, type WeeklyFiles } from './document.ts';
import { DSA_ENDINGS, DSA_PARTS, dsaTables } from './dsa.ts';
import type { ReportScope } from './facts.ts';
import { findingsOf } from './findings.ts';
import { WeeklyQueries, type WeeklySources } from './queries.ts';
import type { ReportRange } from './weeks.ts';

export interface WeeklyOptions extends WeeklySources {
  /** Folders of the own log and of those that are shipped here. */
  logs(): Promise<readonly string[]>;
  /** Undefined: its key is not there, and reports are not signed. */
  signer(): Promise<Signer | undefined>;
  /** The version of Weir. */
  readonly software: string;
  /** As a page that stands alone; `sha256`: of the JSON. */
  page(document: WeeklyDocument, sha256: string): string;
  now(): Date;
}

export interface WrittenWeekly {
  readonly document: WeeklyDocument;
  /** All of its files, by the ending that each has beside the report's name. */
  readonly files: WeeklyFiles;
}

/** Reports that may wait for the one that is being made. */
export const WEEKLY_WAITING_MAX = 16;

export class WeeklyReports {
  readonly #options: WeeklyOptions;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: WeeklyOptions) {
    this.#options = options;
  }

  /** Undefined: nothing is known of the tenant. Rejects with WeirError overloaded where too many wait for theirs. */
  make(tenantId: string, range: ReportRange, scope: ReportScope, queries = this.queries()): Promise<WrittenWeekly | undefined> {
    if (this.#waiting > WEEKLY_WAITING_MAX) return Promise.reject(new WeirError('overloaded', `${WEEKLY_WAITING_MAX} reports wait already; ask again in a while`));
    this.#waiting++;
    const made = this.#last.then(() => this.#make(tenantId, range, scope, queries)).finally(() => void this.#waiting--);
    this.#last = made.catch(() => undefined);
    return made;
  }

  /** What several reports that are made after each other may share. */
  queries(): WeeklyQueries {
    return new WeeklyQueries(this.#options);
  }

  async #make(tenantId: string, range: ReportRange, scope: ReportScope, queries: WeeklyQueries): Promise<WrittenWeekly | undefined> {
    const { now, software, page, signer } = this.#options;
    const madeAt = now();
    const facts = await queries.facts({ tenantId, range, scope, nowMs: madeAt.getTime() });
    if (facts === undefined) return undefined;
    const findings = findingsOf(facts);
    await breathe();
    const document = weeklyDocument({ madeAt: madeAt.toISOString(), software, findings, basis: await this.#basis() });
    const json = weeklyText(document);
    const html = page(document, digest(json));
    await breathe();
    const dsa = dsaTables(document);
    const files: WeeklyFiles = { json, html, csv: weeklyCsv(document), ...Object.fromEntries(DSA_PARTS.map((part) => [DSA_ENDINGS[part], dsa[part]])) };
    const key = await signer();
    return { document, files: key === undefined ? files : { ...files, note: sealWeekly(document, files, key) } };
  }

  async #basis(): Promise<readonly WeeklyBasis[]> {
    const basis: WeeklyBasis[] = [];
    for (const dir of await this.#options.logs()) {
      const [key] = await publishedKeys(dir);
      if (key === undefined) continue;
      const { checkpoint } = await newestCheckpoint(dir);
      basis.push({ log: `${key.name}+${key.id}`, key: key.text, entries: checkpoint?.size ?? 0, checkpoint: checkpoint?.note ?? '' });
    }
    return basis.sort((a, b) => (a.log < b.log ? -1 : 1));
  }
}

/** Endings of the files of some forms, and of the signature where there is one. */
export function endingsOf(forms: readonly WeeklyForm[], files: WeeklyFiles): readonly string[] {
  const wanted = forms.flatMap((form) => (form === 'dsa' ? DSA_PARTS.map((part) => DSA_ENDINGS[part]) : [form]));
  return [...wanted, 'note'].filter((ending) => files[ending] !== undefined);
}
