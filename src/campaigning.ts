/**
 * Residual-risk campaigns in a running process: what was drawn comes out of the audit logs, the own one and those that are
 * shipped here, and becomes tasks that people label. The log is the source: how far it is looked through is kept with the
 * tasks, so a crash, a restart or a store that is away loses nothing and doubles nothing. Where others share the store, a
 * task of the own log comes with a sealed copy of its text, so that people read it at any of them. Exchanges never wait for it.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import type { RiskDesk } from './admin/risk.ts';
import type { AnnotationRecord, CampaignRecord } from './audit/entry.ts';
import { LogFollower, type PlacedEntry } from './audit/follow.ts';
import { publishedKeys } from './audit/recovery.ts';
import type { ContentVault, ReadContent } from './audit/vault.ts';
import type { CampaignConfig } from './config/risk.ts';
import type { Config } from './config/schema.ts';
import type { Taxonomy } from './config/taxonomy.ts';
import { CHANNELS, type AuditReceived, type CampaignTold, type ExchangeClosed } from './contract/channels.ts';
import type { ExchangeRecord } from './contract/exchange.ts';
import { PartHealth } from './contract/part-health.ts';
import type { AnnotationTask, CampaignDeclaration } from './contract/risk.ts';
import { Reports, type ReportsOptions } from './report/campaign/reports.ts';
import { agreementOf } from './review/agreement.ts';
import { textOf, type ContentItem, type ReviewContents } from './review/contents.ts';
import { nearestOf, tasksOf } from './risk/intake.ts';
import { ItemSeal } from './risk/items.ts';
import { Labelling, type TaskContent } from './risk/labelling.ts';
import type { Course, CourseSeries } from './risk/course.ts';
import { CampaignLook } from './risk/look.ts';
import { Overview } from './risk/overview.ts';
import { summaryOf } from './risk/status.ts';
import { isDeclaration, PopulationCounter } from './screen/population.ts';
import { SqlAnnotationChecks } from './store/annotation-checks.ts';
import { SqlAnnotationCourse } from './store/annotation-course.ts';
import type { NewTask, TaskCell } from './store/annotation-tasks.ts';
import { SqlAnnotationStore } from './store/annotations.ts';
import { SqlRiskReports } from './store/risk-reports.ts';
import type { StoreDatabase } from './store/sql.ts';

export interface CampaigningOptions {
  readonly database: StoreDatabase;
  readonly config: () => Config;
  readonly audit: { append(record: AnnotationRecord | CampaignRecord, durability: 'strict'): Promise<void> };
  readonly content: Pick<ContentVault, 'read'>;
  /** Texts for other processes, and theirs; absent: no other process shares the store. */
  readonly contents?: Pick<ReviewContents, 'lay' | 'read'> | undefined;
  readonly taxonomy: Taxonomy;
  /** A secret of the installation: decides what two people label, and seals what has a known answer. */
  readonly master: Buffer;
  /** The closing entry of an exchange, of whatever log can be read here. */
  exchangeOf(requestId: string): Promise<ExchangeRecord | undefined>;
  /** Folder of the own log. */
  readonly own: string;
  /** Logs that are shipped here, and the folder of each. */
  shipped?(): Promise<readonly string[]>;
  dirOf?(log: string): string;
  readonly population: RiskDesk['population'];
  readonly report: Pick<ReportsOptions, 'signer' | 'software' | 'page'>;
  readonly lookMs?: number;
  readonly tellMs?: number;
}

const BATCH_ENTRIES = 256;
/** The same where their texts are laid into the store first. */
const LAID_ENTRIES = 64;
/** What comes within it is looked at together. */
const LOOK_MS = 500;
const RETRY_MS = 1_000;
/** Logs are looked at though nobody said that something came: an entry may be on disk after its exchange was told. */
const SWEEP_MS = 2_000;
/** Where campaigns stand is told so often. */
const TELL_MS = 15_000;

export class Campaigning {
  readonly desk: RiskDesk;
  readonly #options: CampaigningOptions;
  readonly #store: SqlAnnotationStore;
  readonly #health = new PartHealth('campaigns');
  readonly #keys = new PartHealth('campaign texts');
  readonly #followers = new Map<string, LogFollower>();
  readonly #stop = new AbortController();
  readonly #onExchange = (message: unknown): void => { if (((message as ExchangeClosed).record.samples?.length ?? 0) > 0) this.#soon(); };
  readonly #onReceived = (message: unknown): void => { if ((message as AuditReceived).entries > 0) this.#soon(); };
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #telling: Promise<void> | undefined;

  constructor(options: CampaigningOptions) {
    const { database, config, audit, master, taxonomy } = options;
    this.#options = options;
    const [store, checks, seal, now] = [new SqlAnnotationStore(database), new SqlAnnotationChecks(database), new ItemSeal(master), () => new Date()];
    this.#store = store;
    const write = (record: AnnotationRecord): Promise<void> => audit.append(record, 'strict');
    const labelling = createLabelling({ database, config, master, content: (task) => this.#textOf(task), audit: write });
    const course = new SqlAnnotationCourse(database);
    const look = new CampaignLook({ course, exchangeOf: options.exchangeOf, now });
    const overview = new Overview({ store, checks, course, now, agreement: (ratings) => {
      const found = agreementOf(ratings, Math.random, 0);
      return found && { items: found.items, raters: found.raters, raw: found.raw, alpha: found.alpha ?? null };
    } });
    const reports = new Reports({
      ...options.report, store: new SqlRiskReports(database), annotations: store, taxonomy, key: master, now, audit: (record) => audit.append(record, 'strict'),
      configured: (id) => config().risk.campaigns.find((campaign) => campaign.id === id),
      logs: async () => [options.own, ...((await options.shipped?.()) ?? []).map((log) => options.dirOf!(log))],
    });
    this.desk = { reports, store, checks, labelling, overview, look, taxonomy, seal: (item) => seal.seal(item), risk: () => config().risk, population: options.population, audit: write, now };
  }

  start(): void {
    if (this.#options.config().roles.includes('control')) this.#telling = this.#tellOn();
    CHANNELS.exchangeClosed.subscribe(this.#onExchange);
    if (this.#options.dirOf !== undefined) CHANNELS.auditReceived.subscribe(this.#onReceived);
    this.#soon();
  }

  /** What is on disk is taken if the store takes it at once. */
  async close(): Promise<void> {
    CHANNELS.exchangeClosed.unsubscribe(this.#onExchange);
    CHANNELS.auditReceived.unsubscribe(this.#onReceived);
    clearTimeout(this.#timer);
    this.#stop.abort();
    await Promise.all([this.#looking, this.#telling]);
    if (this.#isNeeded()) await this.#own().catch(() => undefined);
  }

  #soon(ms = this.#options.lookMs ?? LOOK_MS): void {
    if (this.#stop.signal.aborted || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#looking !== undefined) return this.#soon();
      this.#looking = this.#look().finally(() => { this.#looking = undefined; });
    }, ms).unref();
  }

  /** Without a campaign there is nothing to find. */
  #isNeeded(): boolean {
    return this.#options.config().risk.campaigns.length > 0;
  }

  async #look(): Promise<void> {
    if (this.#isNeeded()) {
      try {
        await this.#own();
        for (const log of (await this.#options.shipped?.()) ?? []) await this.#follow(log, this.#options.dirOf!(log));
        this.#health.well(() => 'what was drawn becomes tasks again');
      } catch (error) {
        this.#health.ill(`what was drawn does not become tasks now (${(error as NodeJS.ErrnoException).code ?? (error as Error).name}); it waits in the audit log`, ['store']);
        return this.#soon(RETRY_MS);
      }
    }
    this.#soon(SWEEP_MS);
  }

  /** Where campaigns stand, for metrics. The store is told to be ill by who asks it for more. */
  async #tellOn(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (this.#isNeeded()) await this.#tell().catch(() => undefined);
      await sleep(this.#options.tellMs ?? TELL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #tell(): Promise<void> {
    const { overview, look, risk, store } = this.desk;
    const cells = await overview.cells(undefined);
    const campaigns: CampaignTold[] = [];
    for (const config of risk().campaigns) {
      campaigns.push(toldOf(config, cells.get(config.id) ?? [], (await look.course(config.id, cells.get(config.id) ?? [], undefined, { by: 'day' })).value));
      await breathe();
    }
    const states = (await store.annotators()).map(({ state }) => state);
    CHANNELS.riskTold.publish({ campaigns, annotators: { active: states.filter((state) => state === 'active').length, paused: states.filter((state) => state === 'paused').length } });
  }

  #own(): Promise<void> {
    return this.#follow('', this.#options.own);
  }

  async #textOf(task: AnnotationTask): Promise<TaskContent> {
    const found = await taskText(this.#options, task);
    if (found.state === 'there') this.#keys.well(() => 'texts that were drawn are read again');
    if (found.state !== 'locked') return found;
    this.#keys.ill(`texts that were drawn cannot be read here: ${found.detail}`, ['key']);
    return { state: 'locked' };
  }

  /** All that is on disk of a log. Begins anew where the log is not the one that was looked through: what comes twice is one. */
  async #follow(name: string, dir: string): Promise<void> {
    const [key] = await publishedKeys(dir);
    if (key === undefined) return; // it has no entry yet
    const isOwn = name === '';
    // Its own process may share the store, and lays the texts as it goes.
    const log = `${isOwn ? '' : 'shipped '}${key.name}+${key.id}`;
    let follower = this.#followers.get(log);
    if (follower === undefined) this.#followers.set(log, (follower = new LogFollower(dir)));
    let { next, head } = (await this.#store.cursor(log)) ?? { next: 0, head: '' };
    if (next > 0 && !(await isThere(follower, next - 1, head, !isOwn))) [next, head] = [0, ''];
    const before = next === 0 ? [] : await this.#store.declarations(log);
    const population = new PopulationCounter(before.map(({ declared }) => ({ kind: 'campaign', change: declared.sha256 === '' ? 'withdrawn' : 'in_force', ...declared })));
    for (let more = true; more; ) {
      const read = await follower.read(next, isOwn && this.#options.contents !== undefined ? LAID_ENTRIES : BATCH_ENTRIES);
      more = read.more && read.next > next;
      if (read.next === next) return;
      const taken = read.entries.map((entry) => ({ entry, tasks: tasksOf(entry, this.#intake()) }));
      for (const entry of read.entries) population.take(entry);
      const counted = {
        from: next, population: population.drain(), nearest: taken.flatMap(({ entry, tasks }) => nearestOf(entry, tasks)),
        declarations: read.entries.filter(isDeclaration).map((entry) => ({ position: entry.index, declared: declarationOf(entry) })),
      };
      [next, head] = [read.next, read.entries.at(-1)?.hash ?? head];
      const tasks = taken.flatMap((one) => one.tasks);
      await this.#store.add(tasks, { log, next, head }, counted, isOwn ? await this.#laid(tasks) : []);
      await breathe();
    }
  }

  /** Of these the tasks whose text lies in the store now. */
  async #laid(tasks: readonly NewTask[]): Promise<readonly string[]> {
    return this.#options.contents?.lay(tasks.filter(({ modality }) => modality === 'text').map(itemOf)) ?? [];
  }

  #intake(): Parameters<typeof tasksOf>[1] {
    const { tenants, risk } = this.#options.config();
    return {
      drawKey: this.#options.master,
      productOf: (id) => tenants.find((tenant) => tenant.id === id)?.product ?? '',
      doubleBlindShare: (id) => (risk.campaigns.find((campaign) => campaign.id === id)?.double_blind_percent ?? 0) / 100,
    };
  }
}

export interface LabellingParts extends Pick<CampaigningOptions, 'database' | 'config' | 'master'> {
  content(task: AnnotationTask): Promise<TaskContent>;
  audit(record: AnnotationRecord): Promise<void>;
}

/** By the rules of the configuration as it is at each step. */
export function createLabelling({ database, config, content, master, audit }: LabellingParts): Labelling {
  const seal = new ItemSeal(master);
  return new Labelling({
    store: new SqlAnnotationStore(database), checks: new SqlAnnotationChecks(database), now: () => new Date(), random: Math.random, newId: () => `ann_${randomUUID()}`, openItem: (item) => seal.open(item), content,
    settings: () => labellingSettings(config()),
    paused: (annotator, { agreement, n }, { flagged, requeued }) => audit({ kind: 'annotation', change: 'paused', author: 'calibration', annotator_id: annotator, agreement, answers: n, flagged, requeued }),
  });
}

/** Nobody reads what is of a tenant that takes no part any more, whether it is erased everywhere yet or not. */
export async function taskText({ config, content, contents }: Pick<CampaigningOptions, 'config' | 'content' | 'contents'>, task: AnnotationTask): Promise<ReadContent> {
  const isOut = config().tenants.some(({ id, data }) => id === task.tenant_id && !data.campaigns);
  return isOut ? { state: 'erased' } : textOf(content, contents, itemOf(task));
}

function toldOf(config: CampaignConfig, cells: readonly TaskCell[], course: Course | undefined): CampaignTold {
  const { total, claim } = summaryOf(cells, config);
  const risen = (kind: CourseSeries['kind']): number => course!.series.filter((one) => one.kind === kind && one.is_spike).length;
  return {
    campaign: config.id, rate: total.rate, bounds: { low: total.interval.low, high: total.interval.high, peeking_low: total.peeking.low, peeking_high: total.peeking.high },
    texts: { waiting: total.waiting, safe: total.labelled - total.violations, violation: total.violations, missing: total.missing },
    claim: claim?.state ?? null, sequential: claim?.sequential?.decision ?? null, risen: course === undefined ? null : { all: risen('all'), tenant: risen('tenant'), category: risen('category') },
  };
}

/** Its text, by the task. */
function itemOf({ task_id, request_id, tenant_id, direction, started_at }: NewTask): ContentItem {
  return { review_id: task_id, request_id, tenant_id, direction, started_at, purpose: 'campaigns' };
}

/** What passed its retention cannot be asked any more, and a copy may be behind; both count as there. */
async function isThere(follower: LogFollower, index: number, head: string, isCopy: boolean): Promise<boolean> {
  const { entries: [entry], next } = await follower.read(index, 1);
  if (entry?.index === index) return entry.hash === head;
  return entry !== undefined || next > index || isCopy;
}

/** As the entry says it; of a campaign that was withdrawn when that was. */
function declarationOf(entry: PlacedEntry): CampaignDeclaration {
  const { campaign, in_force_at, sha256 = '', seed_commitment = '', definition, tenants } = entry as unknown as CampaignDeclaration;
  return { campaign, in_force_at, sha256, seed_commitment, ...(definition === undefined ? {} : { definition }), ...(tenants === undefined ? {} : { tenants }) };
}

function labellingSettings({ risk: { annotation, campaigns } }: Config): ReturnType<ConstructorParameters<typeof Labelling>[0]['settings']> {
  return {
    leaseMs: annotation.lease_ms, batchItems: annotation.batch_items, dailyMax: annotation.daily_max, violationsDailyMax: annotation.violations_daily_max, agreement: annotation.agreement_percent / 100, checksMin: annotation.calibration_checks_min,
    calibrationShare: (id) => (campaigns.find((campaign) => campaign.id === id)?.calibration_percent ?? 5) / 100,
  };
}
