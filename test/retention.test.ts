/**
 * Retention over a real store and a real log: each tenant's usage and entries stay as long as it says, the rest as long
 * as the general word says, and what the configuration says nothing about stays.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkLog } from '../src/audit/check.ts';
import { Collector } from '../src/audit/collector.ts';
import { openAuditLog } from '../src/audit/log.ts';
import { publishedKeys } from '../src/audit/recovery.ts';
import { loadConfig } from '../src/config/load.ts';
import type { Config } from '../src/config/schema.ts';
import { CHANNELS, type HealthChanged, type RetentionApplied } from '../src/contract/channels.ts';
import { Retention } from '../src/retention.ts';
import { taskIdOf, type NewTask } from '../src/store/annotation-tasks.ts';
import { SqlAnnotationStore } from '../src/store/annotations.ts';
import { decisionRow } from '../src/store/decision-rows.ts';
import { SqlReviewContents } from '../src/store/review-contents.ts';
import { SqlDecisionStore } from '../src/store/sql-decisions.ts';
import type { UsageRow } from '../src/store/usage.ts';
import { exchangeRecord, linesOf, logFolder, logOptions } from './helpers/audit.ts';
import { shipAll } from './helpers/shipping.ts';
import { STORE_DRIVERS } from './helpers/stores.ts';
import { until } from './helpers/house.ts';

t.setTimeout(300_000);

const NOW = new Date('2030-03-01T00:30:00Z');
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * 86_400_000);

async function configOf(retention: object, own: Readonly<Record<string, object>>, more: object = {}, keepDays: Readonly<Record<string, number>> = {}): Promise<Config> {
  const tenants = ['acme', 'bravo', 'other'].map((id) => ({ id, policy: 'default', upstream: 'up', keys: [{ id: `k-${id}`, sha256: id.charCodeAt(0).toString(16).padStart(64, 'a') }], retention: own[id] ?? {}, ...(keepDays[id] === undefined ? {} : { data: { content: 'original', keep_days: keepDays[id] } }) }));
  return (await loadConfig({ config: { upstreams: { up: { url: 'https://api.example.com/v1' } }, tenants, retention, ...more }, dir: join(import.meta.dirname, '../config') }, {})).config;
}

function heard(t: Test): { readonly applied: RetentionApplied[]; readonly health: HealthChanged[] } {
  const [applied, health]: [RetentionApplied[], HealthChanged[]] = [[], []];
  const onApplied = (message: unknown): void => void applied.push(message as RetentionApplied);
  const onHealth = (message: unknown): void => void health.push(message as HealthChanged);
  CHANNELS.retentionApplied.subscribe(onApplied);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => {
    CHANNELS.retentionApplied.unsubscribe(onApplied);
    CHANNELS.healthChanged.unsubscribe(onHealth);
  });
  return { applied, health };
}

async function openLog(t: Test, tenantsByDay: Readonly<Record<number, string>>) {
  const dir = logFolder(t);
  let now = NOW;
  const log = await openAuditLog(logOptions(dir, { clock: () => now.getTime() }));
  t.teardown(() => log.close());
  for (const [days, tenant_id] of Object.entries(tenantsByDay).sort(([a], [b]) => Number(b) - Number(a))) {
    now = daysAgo(Number(days));
    await log.append({ ...exchangeRecord(`${tenant_id}-${days}`), tenant_id }, 'strict');
  }
  now = NOW;
  return { log, dir };
}

const usageRow = (tenant_id: string, days: number): UsageRow => ({ tenant_id, key_id: '', hour: `${daysAgo(days).toISOString().slice(0, 13)}:00:00Z`, requests: 1, refused: 0, blocked: 0, redacted: 0, prompt_tokens: 0, completion_tokens: 0, estimated: 0 });

for (const { name, skip, place } of STORE_DRIVERS) {
  t.test(`${name}: labels of campaigns that ended`, { skip: name === 'memory' ? 'campaigns are in a database' : skip }, async (t) => {
    const database = (await place(t)).database!();
    const [annotations, { log, dir }] = [new SqlAnnotationStore(database), await openLog(t, {})];
    const task = (campaign: string, i: number, days: number): NewTask => ({
      task_id: taskIdOf(campaign, `r${i}`, 'output'), campaign, tenant_id: 'acme', product: '', request_id: `r${i}`, started_at: daysAgo(days).toISOString(), direction: 'output', stratum: 's', inclusion_probability: 0.5, automated_filter_result: 'passed', modality: 'text', wanted: 1, created_at: daysAgo(days).toISOString(),
    });
    await annotations.add([...Array.from({ length: 600 }, (_, i) => task('ended', i, 40)), task('running', 0, 400), task('later', 0, 40), task('removed', 0, 31), task('removed-lately', 0, 400), task('removed-lately', 1, 29)]);
    for (let done = 0; done < 40; done++) {
      const [one] = await annotations.batch({ annotator: 'ana', now: NOW.toISOString(), until: daysAgo(-1).toISOString(), itemsMax: 1, calibrationShare: () => 0, random: () => 0, newId: () => `ann_${done}` });
      await annotations.label(one!.annotation_id, 'ana', { label: done % 2 === 0 ? 'safe' : 'violation', category: done % 2 === 0 ? null : 'toxicity.hate', tier: 'high', calibration: null, at: NOW.toISOString() });
    }
    const left = async (): Promise<Record<string, number>> => Object.fromEntries([...Map.groupBy(await annotations.cells(), ({ campaign }) => campaign)].map(([campaign, cells]) => [campaign, cells.reduce((sum, { total }) => sum + total, 0)]).sort());
    const { applied, health } = heard(t);
    const strata = [{ id: 's', probability_percent: 50 }];
    const risk = { campaigns: [{ id: 'ended', strata, until: daysAgo(30).toISOString() }, { id: 'later', strata, until: daysAgo(29).toISOString() }, { id: 'running', strata }] };
    let config = await configOf({}, {}, { risk });
    const retention = new Retention({ config: () => config, log, dir, annotations, now: () => NOW });
    t.teardown(() => retention.close());
    const all = { ended: 600, later: 1, removed: 1, 'removed-lately': 2, running: 1 };
    await retention.run();
    t.same(await left(), all, 'nothing is said, nothing goes');
    config = await configOf({ labels_days: 30 }, {}, { risk });
    await retention.run();
    t.same(await left(), { ended: 600, later: 1, 'removed-lately': 2, running: 1 }, 'at its days it stays, one that is not configured goes with its last text');
    config = await configOf({ labels_days: 29 }, {}, { risk });
    await retention.run();
    t.same(await left(), { later: 1, 'removed-lately': 2, running: 1 }, 'beyond them it goes');
    t.same(applied.map(({ kind, removed }) => [kind, removed]), [['labels', 1], ['labels', 600]]);
    const [{ tasks }] = await database.query<{ readonly tasks: number }>(`select count(*) as tasks from risk_annotations a where not exists (select 1 from risk_tasks t where t.task_id = a.task_id)`) as [{ readonly tasks: number }];
    t.equal(Number(tasks), 0, 'no label is left without its text');
    t.same(health, []);
  });

  t.test(`${name}: usage, sessions and entries`, { skip }, async (t) => {
    const stores = await place(t);
    const [usage, admins] = [stores.usage(), stores.admins()];
    const { log, dir } = await openLog(t, { 90: 'acme', 80: 'other', 70: 'bravo', 60: 'acme', 5: 'other', 0: 'acme' });
    const days = Array.from({ length: 1_200 }, (_, day) => day / 12);
    await usage.add({ process: 'p', sequence: 1, rows: ['acme', 'bravo', 'other', 'former'].flatMap((tenant) => days.map((day) => usageRow(tenant, day))) }, daysAgo(1).toISOString());
    for (const [id, seen] of [['fresh', 0], ['ended', 3]] as const) {
      await admins.addSession({ session_id: id, sha256: id, name: 'ana@example.com', roles: ['auditor'], tenants: [], via: 'oidc', token_id: null, created_at: daysAgo(seen).toISOString(), seen_at: daysAgo(seen).toISOString(), expires_at: daysAgo(seen - 1).toISOString() });
    }
    const { applied, health } = heard(t);
    let config = await configOf({}, {});
    const retention = new Retention({ config: () => config, log, dir, usage, admins, now: () => NOW });
    t.teardown(() => retention.close());
    await retention.run();
    t.same([applied, (await usage.read({ limit: 9_999 })).length], [[], 4_800], 'nothing is said, nothing goes');
    t.same((await admins.sessions()).map(({ session_id: id }) => id), ['fresh']);

    config = await configOf({ usage_days: 30 }, { acme: { usage_days: 90 }, bravo: { audit_days: 20 } }, { roles: ['proxy'] });
    await retention.run();
    t.same([applied, (await usage.read({ limit: 9_999 })).length], [[], 4_800], 'the store is for the role control');

    config = await configOf({ usage_days: 30, audit_days: 50 }, { acme: { usage_days: 90 }, bravo: { audit_days: 75 } });
    await retention.run();
    const oldest = async (tenantId: string): Promise<string> => (await usage.read({ tenantId, limit: 9_999 })).at(-1)!.hour;
    for (const [tenant, kept] of [['acme', 90], ['bravo', 30], ['other', 30], ['former', 30]] as const) {
      const hour = await oldest(tenant);
      t.ok(hour >= daysAgo(kept).toISOString() && hour <= daysAgo(kept - 1).toISOString(), `${tenant}: ${hour}`);
    }
    t.same(linesOf(dir).map((line) => JSON.parse(line) as { readonly kind: string; readonly request_id?: string }).map(({ kind, request_id: id }) => id ?? kind), ['bravo-70', 'acme-60', 'other-5', 'acme-0', 'pruned'], 'bravo keeps its entry, and what is after it');
    t.match(await checkLog({ dir, keys: await publishedKeys(dir) }), { damage: undefined, first: 2 });
    t.same(applied.map(({ kind, removed }) => [kind, removed]).sort(), [['audit', 2], ['usage', 120], ['usage', 840], ['usage', 840], ['usage', 840]].sort());
    await retention.run();
    t.equal(applied.length, 5, 'once');
    t.same(health, []);
  });
}

for (const { name, skip, place } of STORE_DRIVERS.filter(({ lasts }) => lasts)) {
  t.test(`${name}: decisions and their counts`, { skip }, async (t) => {
    const decisions = new SqlDecisionStore((await place(t)).database!());
    const at = await decisions.position({ log: 'own+1', name: 'own', shipped: false });
    const tenants = ['acme', 'bravo', 'former', 'other'];
    // Every day at noon for 40 days, oldest first.
    const entries = Array.from({ length: 40 * tenants.length }, (_, i) => ({ ...exchangeRecord(`request ${i}`), index: i, tenant_id: tenants[i % tenants.length]!, time: new Date(NOW.getTime() - (40 - Math.floor(i / tenants.length)) * 86_400_000 + 3_600_000).toISOString(), hash: 'a'.repeat(64) }));
    await decisions.take(at, entries.map((entry) => decisionRow(entry, at.logId, false)), entries.length, 'h');
    const { log, dir } = await openLog(t, {});
    const { applied, health } = heard(t);
    let config = await configOf({}, {});
    const retention = new Retention({ config: () => config, log, dir, decisions, now: () => NOW });
    t.teardown(() => retention.close());
    const daysOf = async (tenant: string): Promise<number> => (await decisions.search({ tenants: [tenant], limit: 500 })).rows.length;
    const counted = async (span: 'minute' | 'hour', tenant?: string): Promise<number> => (await decisions.counts({ span, tenants: tenant === undefined ? undefined : [tenant], fromMs: 0, untilMs: 2 ** 42, stepMs: 3_600_000 })).totals.find(({ measure }) => measure === 'exchanges')?.total ?? 0;
    await retention.run();
    t.same([await Promise.all(tenants.map(daysOf)), await counted('hour')], [[40, 40, 40, 40], 160], 'nothing is said: all stay');
    t.same([await counted('minute'), await counted('minute', 'acme')], [32, 8], 'but minutes');
    config = await configOf({ decisions_days: 20, audit_days: 35, decision_counts_days: 30 }, { acme: { decisions_days: 5 }, bravo: { audit_days: 25, decision_counts_days: 3 } }, { roles: ['proxy'] });
    await retention.run();
    t.same(await Promise.all(tenants.map(daysOf)), [40, 40, 40, 40], 'the store is for the role control');
    config = await configOf({ decisions_days: 20, audit_days: 35, decision_counts_days: 30 }, { acme: { decisions_days: 5 }, bravo: { audit_days: 25, decision_counts_days: 3 } });
    await retention.run();
    t.same(await Promise.all(tenants.map(daysOf)), [5, 25, 20, 20], 'each as long as it says, else as its entries, else as all');
    t.same(await Promise.all(['acme', 'bravo', 'former'].map((tenant) => counted('hour', tenant))), [30, 3, 30]);
    t.same([await counted('hour'), await counted('minute', 'bravo')], [120, 3]);
    config = await configOf({ audit_days: 10 }, {});
    await retention.run();
    t.same(await Promise.all(tenants.map(daysOf)), [5, 10, 10, 10], 'by default as entries of the log');
    const told = applied.filter(({ kind }) => kind === 'decisions').reduce((sum, { removed }) => sum + removed, 0);
    t.equal(told, 160 - 35);
    t.same(health, []);
  });
}

t.test('what fails is told and keeps nothing else from going', async (t) => {
  const stores = await STORE_DRIVERS[0]!.place(t);
  const { log, dir } = await openLog(t, { 90: 'acme', 80: 'acme', 0: 'acme' });
  writeFileSync(join(dir, 'pruned'), 'nonsense');
  const { health } = heard(t);
  const config = await configOf({ audit_days: 1, usage_days: 1 }, {});
  await stores.usage().add({ process: 'p', sequence: 1, rows: [usageRow('acme', 9)] }, NOW.toISOString());
  const retention = new Retention({ config: () => config, log, dir, usage: stores.usage(), now: () => NOW, firstMs: 1, everyMs: 10 });
  retention.start();
  await until(() => health.some(({ part, healthy }) => part === 'retention' && !healthy), 'the fault');
  t.match(health[0]!.detail, /could not be removed from the audit log \(the audit log is damaged: the file pruned: it does not say where the log begins; put it back from a copy/);
  await until(async () => (await stores.usage().read({ limit: 9 })).length === 0, 'usage');
  t.equal(linesOf(dir).length, 3, 'of the log nothing went');
  await retention.close();
});

t.test('copies of shipped logs follow the same words, and a round tells what went', async (t) => {
  const source = await openLog(t, { 90: 'acme', 80: 'other', 70: 'bravo', 60: 'acme', 5: 'other' });
  const { log, dir } = await openLog(t, {});
  const collector = new Collector({ dir: join(dir, '../origins'), audit: (record) => log.append(record, 'strict'), clock: () => NOW.getTime() });
  t.teardown(() => collector.close());
  await source.log.close();
  await shipAll(source.dir, linesOf(source.dir).length, { collector, records: [] }, 'test/one');
  const { applied, health } = heard(t);
  let config = await configOf({}, {});
  const retention = new Retention({ config: () => config, log, dir, collector, now: () => NOW });
  t.teardown(() => retention.close());
  await retention.run();
  t.same(applied, [], 'nothing is said, nothing goes');
  config = await configOf({ audit_days: 50 }, { bravo: { audit_days: 75 } });
  await retention.run();
  t.match(applied, [{ kind: 'audit_copies', removed: 2, detail: /^the copy of the audit log test\/one begins at entry 2; 2 segments are gone, \d+ bytes$/ }]);
  config = await configOf({ audit_days: 50 }, {});
  await retention.run();
  t.match(applied[1], { removed: 2 });
  t.match(await checkLog({ dir: collector.dirOf('test/one'), keys: await publishedKeys(source.dir), keepers: await publishedKeys(dir), threads: 1 }), { damage: undefined, first: 4, entries: 5 });
  t.same(health, []);
});

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: texts of the review queue`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const contents = new SqlReviewContents(database);
    const day = (ago: number): string => daysAgo(ago).toISOString().slice(0, 10);
    const lay = (tenantId: string, ago: number, keepDays: number) => contents.put({ reviewId: `${tenantId} ${ago} ${keepDays}`, tenantId, keepUntil: day(ago - keepDays) }, [{ day: day(ago), request: 'r', session: 's', keyId: 'k', slot: Buffer.from('slot'), sealed: Buffer.from('sealed') }], { number: 0, id: '' });
    for (const [tenant, ago, days] of [['acme', 10, 10], ['acme', 11, 10], ['acme', 11, 30], ['bravo', 30, 30], ['bravo', 31, 31], ['former', 40, 40], ['former', 40, 39]] as const) await lay(tenant, ago, days);
    for (let i = 0; i < 120; i++) await lay('other', 50 + i, 1);
    const { log, dir } = await openLog(t, {});
    const { applied } = heard(t);
    const left = async (): Promise<readonly string[]> => (await database.query<{ readonly review_id: string }>('select review_id from review_contents order by review_id')).map(({ review_id: id }) => id);
    const proxy = new Retention({ config: () => ({ ...config, roles: ['proxy'] }), log, dir, contents, now: () => NOW });
    const config = await configOf({}, {}, {}, { acme: 10, bravo: 30 });
    await proxy.run();
    t.equal((await left()).length, 127, 'only the role control looks at the store');
    const retention = new Retention({ config: () => config, log, dir, contents, now: () => NOW });
    t.teardown(() => Promise.all([retention.close(), proxy.close()]));
    await retention.run();
    t.same(await left(), ['acme 10 10', 'bravo 30 30', 'former 40 40'], 'as long as it was to be kept, and as it is to be by now');
    t.same(applied.map(({ kind, removed }) => [kind, removed]), [['review_content', 122], ['review_content', 1], ['review_content', 1]]);
  });
}

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: texts that models learn from`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    const learning = new SqlReviewContents(database, 'learning_contents');
    const day = (ago: number): string => daysAgo(ago).toISOString().slice(0, 10);
    const lay = (tenantId: string, ago: number, keepDays: number) => learning.put({ reviewId: `${tenantId} ${ago} ${keepDays}`, tenantId, keepUntil: day(ago - keepDays) }, [{ day: day(ago), request: 'r', session: 's', keyId: 'k', slot: Buffer.from('slot'), sealed: Buffer.from('sealed') }], { number: 0, id: '' });
    for (const [tenant, ago, days] of [['acme', 20, 20], ['acme', 21, 20], ['acme', 21, 30], ['bravo', 1, 20], ['former', 1, 20]] as const) await lay(tenant, ago, days);
    const { log, dir } = await openLog(t, {});
    const { applied } = heard(t);
    const left = async (): Promise<readonly string[]> => (await database.query<{ readonly review_id: string }>('select review_id from learning_contents order by review_id')).map(({ review_id: id }) => id);
    const read = await configOf({}, {}, { learn: { keep_days: 20 } });
    const agreeing = (...ids: readonly string[]): Config => ({ ...read, tenants: read.tenants.map((tenant) => ({ ...tenant, data: { ...tenant.data, learning: ids.includes(tenant.id) } })) });
    let config = agreeing('acme', 'bravo');
    const retention = new Retention({ config: () => config, log, dir, learning, now: () => NOW });
    t.teardown(() => retention.close());
    await retention.run();
    t.same(await left(), ['acme 20 20', 'bravo 1 20'], 'as long as they are to be kept, and of who agrees alone');
    config = agreeing('acme');
    await retention.run();
    t.same(await left(), ['acme 20 20'], 'who no longer agrees has nothing there');
    config = agreeing();
    await retention.run();
    t.same(await left(), []);
    t.ok(applied.every(({ kind }) => kind === 'learning_content'));
  });
}
