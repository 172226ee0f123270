/** Reports of residual-risk campaigns for tests: tasks as the store gives them, facts, and a whole campaign in a store with its audit log. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { CampaignRecord } from '../../src/audit/entry.ts';
import { LogFollower } from '../../src/audit/follow.ts';
import { readSigner } from '../../src/audit/key.ts';
import { openAuditLog, type AuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import type { CampaignConfig } from '../../src/config/risk.ts';
import { shippedTaxonomy } from '../../src/config/taxonomy.ts';
import { reportPage } from '../../src/console/risk-report.ts';
import { declarationsOf } from '../../src/declaring.ts';
import type { ReportFacts } from '../../src/report/campaign/findings.ts';
import { Reports, type ReportsOptions } from '../../src/report/campaign/reports.ts';
import { nearestOf, tasksOf } from '../../src/risk/intake.ts';
import { isDeclaration, PopulationCounter } from '../../src/screen/population.ts';
import { Sampler } from '../../src/screen/sampler.ts';
import { SqlAnnotationStore } from '../../src/store/annotations.ts';
import { SqlRiskReports, type ReportedLabel, type ReportedTask } from '../../src/store/risk-reports.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { exchange, record, tenant } from './campaigns.ts';

export const MADE = new Date('2031-01-01T00:00:00.000Z');
export const SEED = Buffer.alloc(32, 3);

let tasks = 0;

/** `label`: undefined waits, null is missing. */
export function drawnTask(label: 'safe' | 'violation' | null | undefined, more: Partial<ReportedTask> = {}): ReportedTask {
  return {
    task_id: `task_${String(tasks++).padStart(6, '0')}`, tenant_id: 'acme', product: 'Help centre', direction: 'output', stratum: 'rest', inclusion_probability: 0.1, automated_filter_result: 'passed', modality: 'text',
    status: label === undefined ? 'waiting' : label === null ? 'missing' : 'labelled', human_label: label ?? null, violation_category: label === 'violation' ? 'toxicity.hate' : null, missing_reason: label === null ? 'erased' : null,
    started_at: '2030-01-10T00:00:00.000Z', settled_at: label === undefined ? null : '2030-01-12T00:00:00.000Z', nearest: 'toxicity.hate', score: 0.25, labels: label === undefined || label === null ? [] : [labelOf('ana', label)], ...more,
  };
}

export function labelOf(annotator: string, label: 'safe' | 'violation', more: Partial<ReportedLabel> = {}): ReportedLabel {
  return { annotator, status: 'labelled', label, known: null, at: '2030-01-12T00:00:00.000Z', ...more };
}

export function factsOf(more: Partial<ReportFacts> = {}): ReportFacts {
  return {
    campaign: 'q', period: { from: null, until: null }, asOf: MADE.toISOString(), configured: { claim: { below_percent: 2, confidence_percent: 95 }, precision_percent: undefined }, plans: [], population: [], drawnBefore: 0, states: [], corrections: [],
    taxonomy: { version: 1, language: 'en', sha256: 'x' }, key: Buffer.alloc(32, 1), ...more,
  };
}

export interface Campaign {
  readonly reports: Reports;
  readonly log: AuditLog;
  readonly dir: string;
  readonly store: SqlAnnotationStore;
  readonly written: CampaignRecord[];
  /** Exchanges that end now, looked through at once. */
  serve(count: number, from?: number): Promise<void>;
  declare(campaign: CampaignConfig, at: string): Promise<void>;
  /** Of everything that waits, every so-manieth is a violation. */
  label(annotator: string, every: number): Promise<void>;
}

/** A campaign in a store, with an audit log of its own that tells of its exchanges. */
export async function openCampaign(t: Test, database: StoreDatabase, campaign: CampaignConfig, options: Partial<ReportsOptions> = {}): Promise<Campaign> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-report-'));
  const [dir, keyFile] = [join(folder, 'audit'), join(folder, 'audit.key')];
  const log = await openAuditLog({ dir, keyFile, origin: 'main', clock: () => Date.parse('2030-01-10T00:00:00.000Z') });
  t.teardown(async () => {
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const [store, written] = [new SqlAnnotationStore(database), [] as CampaignRecord[]];
  let current = campaign;
  const sampler = (): Sampler => new Sampler([current], () => SEED);
  const look = async (): Promise<void> => {
    const [key] = await publishedKeys(dir);
    const name = `${key!.name}+${key!.id}`;
    const { next = 0 } = (await store.cursor(name)) ?? {};
    const { entries, next: to } = await new LogFollower(dir).read(next, 100_000);
    const counter = new PopulationCounter((await store.declarations(name)).map(({ declared }) => ({ kind: 'campaign', change: 'in_force', ...declared })));
    for (const entry of entries) counter.take(entry);
    const taken = entries.map((entry) => ({ entry, tasks: tasksOf(entry, { productOf: () => 'Help centre', doubleBlindShare: () => 0, drawKey: SEED }) }));
    await store.add(taken.flatMap((one) => one.tasks), { log: name, next: to, head: entries.at(-1)?.hash ?? '' }, {
      from: next, population: counter.drain(), nearest: taken.flatMap(({ entry, tasks: own }) => nearestOf(entry, own)),
      declarations: entries.filter(isDeclaration).map((entry) => ({ position: entry.index, declared: entry as never })),
    });
  };
  const reports = new Reports({
    store: new SqlRiskReports(database), annotations: store, logs: async () => [dir], signer: () => readSigner(keyFile, 'main'), configured: (id) => (id === current.id ? current : undefined), taxonomy: shippedTaxonomy(), key: SEED,
    software: '1.2.3', page: reportPage, audit: async (one) => void written.push(one), now: () => MADE, ...options,
  });
  return {
    reports, log, dir, store, written,
    serve: async (count, from = 0) => {
      for (let i = from; i < from + count; i++) {
        const one = exchange(`r${i}`, { started_at: `2030-01-${String(10 + (i % 5)).padStart(2, '0')}T00:00:00.000Z`, output: record('allow', { classifier_results: [{ classifier_id: 'toxicity', category: 'hate', score: (i % 10) / 10, count: 1 }] }) });
        await log.append({ kind: 'exchange', route: '/v1/chat/completions', policy: 'p@1', tenant_id: 'acme', ...one, samples: sampler().draw(tenant(), one) } as never, 'relaxed');
      }
      await log.flush();
      await look();
    },
    declare: async (next, at) => {
      current = next;
      for (const one of declarationsOf({ risk: { campaigns: [next] }, tenants: [tenant()] } as never, sampler(), at)) await log.append({ kind: 'campaign', change: 'in_force', author: 'weir', ...one }, 'strict');
      await look();
    },
    label: async (annotator, every) => {
      for (let i = 0; ; ) {
        const batch = await store.batch({ annotator, now: '2030-01-20T00:00:00.000Z', until: '2030-01-21T00:00:00.000Z', itemsMax: 200, calibrationShare: () => 0, random: () => 0.5, newId: () => `ann_${Math.random()}` });
        if (batch.length === 0) return;
        for (const { annotation_id: id } of batch) {
          const label = i++ % every === 0 ? 'violation' : 'safe';
          await store.label(id, annotator, { label, category: label === 'violation' ? 'toxicity.hate' : null, tier: 'high', calibration: null, at: '2030-01-20T00:00:00.000Z' });
        }
      }
    },
  };
}
