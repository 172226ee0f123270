/**
 * The weekly training: when it is due, once over all processes and restarts, taken up where a process died, what fails
 * told and the rest done; and its steps as real child processes, broken off when they take too long.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ATTEMPTS_MAX, dueAt, Weekly, type WeeklyOptions } from '../../src/learn/weekly.ts';
import { SqlLearnRuns } from '../../src/store/learn-runs.ts';
import { learnStep } from '../../src/training.ts';
import { ask } from '../helpers/admin.ts';
import { openHouse, until } from '../helpers/house.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

t.test('due is the newest such hour of such a day', async (t) => {
  const at = (day: number, hour: number, now: string): string => dueAt({ day, hour }, new Date(now));
  t.equal(at(0, 3, '2030-01-09T12:00:00Z'), '2030-01-06T03:00:00.000Z', 'a Wednesday: last Sunday');
  t.equal(at(3, 12, '2030-01-09T12:00:00Z'), '2030-01-09T12:00:00.000Z', 'at the hour');
  t.equal(at(3, 12, '2030-01-09T11:59:59.999Z'), '2030-01-02T12:00:00.000Z', 'before it');
  t.equal(at(4, 0, '2030-01-09T23:59:59Z'), '2030-01-03T00:00:00.000Z');
  t.equal(at(4, 0, '2030-01-10T00:00:00Z'), '2030-01-10T00:00:00.000Z');
  for (let hour = 0; hour < 400; hour += 7) for (const day of [0, 3, 6]) {
    const now = new Date(Date.UTC(2028, 1, 26, hour));
    const due = new Date(at(day, 5, now.toISOString()));
    t.ok(due <= now && now.getTime() - due.getTime() < 7 * 86_400_000 && due.getUTCDay() === day && due.getUTCHours() === 5);
  }
});

for (const { name, skip, place } of STORE_DRIVERS.filter((driver) => driver.name !== 'memory')) {
  t.test(`${name}: once a week over all processes`, { skip }, async (t) => {
    const { database } = await place(t);
    let nowMs = Date.parse('2030-01-09T12:00:00Z');
    const told: (readonly [string, string])[] = [];
    const done: string[] = [];
    const open = (owner: string, more: Partial<WeeklyOptions> = {}): Weekly => new Weekly({
      runs: new SqlLearnRuns(database!()), owner, now: () => new Date(nowMs), leaseMs: 60_000, settings: () => ({ day: 0, hour: 3, plugins: ['a', 'b'] }),
      collect: async () => 'ds-1', train: async (plugin) => { done.push(`train ${plugin}`); return `${plugin}-1`; }, shadow: async (id) => void done.push(`shadow ${id}`), tell: (state, detail) => void told.push([state, detail]), ...more,
    });
    const fleet = ['one', 'two', 'three'].map((owner) => open(owner));
    const looked = async (all: readonly Weekly[]): Promise<void> => { for (const one of all) { await one.look(); await one.settled(); } };
    await Promise.all(fleet.map((one) => one.look()));
    await Promise.all(fleet.map((one) => one.settled()));
    await looked([...fleet, open('after a restart')]);
    t.same(done.splice(0), ['train a', 'shadow a-1', 'train b', 'shadow b-1'], 'once');
    t.same(told.splice(0), [['done', 'ds-1; a-1 runs beside what works; b-1 runs beside what works']]);
    t.match(await new SqlLearnRuns(database!()).newest(), { due: '2030-01-06T03:00:00.000Z', state: 'done', attempts: 1 });

    nowMs += 7 * 86_400_000;
    await looked([open('fails', { train: async (plugin) => { if (plugin === 'a') throw new Error('too few rows'); return 'b-2'; } }), ...fleet]);
    t.same([done.splice(0), told.splice(0)], [['shadow b-2'], [['failed', 'ds-1; a: too few rows; b-2 runs beside what works']]], 'one that fails does not keep the other from running, and nobody tries again that week');
    nowMs += 7 * 86_400_000;
    await looked([open('nothing', { collect: async () => { throw new Error('no tenant lets it learn'); } })]);
    t.same([done.splice(0), told.splice(0)], [[], [['failed', 'no tenant lets it learn']]]);
    await looked([open('none', { settings: () => undefined })]);

    nowMs += 7 * 86_400_000;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const dies = open(`dies ${attempt}`, { train: (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('broken off')))) });
      await dies.look();
      await looked(fleet);
      t.same(done, [], 'somebody has it');
      await dies.close();
      nowMs += 61_000;
      if (attempt === ATTEMPTS_MAX - 1) break;
    }
    await looked(fleet);
    t.same(done.splice(0), ['train a', 'shadow a-1', 'train b', 'shadow b-1'], 'taken up after its lease');
    t.match(await new SqlLearnRuns(database!()).newest(), { state: 'done', attempts: ATTEMPTS_MAX });
    nowMs += 7 * 86_400_000;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX + 1; attempt += 1) {
      const dies = open(`dies again ${attempt}`, { train: (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('broken off')))) });
      await dies.look();
      await dies.close();
      nowMs += 61_000;
    }
    await looked(fleet);
    t.same([done, told.splice(0).length], [[], 1], 'after so many it is left alone');
  });
}

t.test('a step is a process: its answer, its complaint, its end when it takes too long', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-step-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'policies/p.yaml'), 'policy: p\nrules: []\n');
  const config = join(dir, 'weir.yaml');
  writeFileSync(config, JSON.stringify({ data_dir: 'data', upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }] }));
  const signal = new AbortController().signal;
  t.match(await learnStep(['models'], { config, timeoutMs: 60_000, signal }), { models: [] });
  await t.rejects(learnStep(['train', 'toxicity', '--dataset', 'latest'], { config, timeoutMs: 60_000, signal }), /there is no version latest/);
  await t.rejects(learnStep(['models'], { config, timeoutMs: 1, signal }), /took longer than/);
  const stop = new AbortController();
  const asked = learnStep(['models'], { config, timeoutMs: 60_000, signal: stop.signal });
  stop.abort();
  await t.rejects(asked, /broken off/);
});

t.test('a running Weir begins what is due, and tells what came of it', async (t) => {
  const house = await openHouse(t, { config: { learn: { weekly: { plugins: ['toxicity'] } } }, files: { 'acme.yaml': 'policy: acme\nrules: []\n' } });
  const weekly = async (): Promise<{ readonly state: string; readonly detail: string } | null> => (await ask(house.adminUrl, '/api/v1/learn/models', { token: house.token })).body.weekly;
  await until(async () => ['done', 'failed'].includes((await weekly())?.state ?? ''), 'the training');
  t.match(await weekly(), { state: 'failed' }, 'nobody has decided anything here');
  t.ok((await weekly())!.detail.length > 5);
  t.comment((await weekly())!.detail);
  t.ok(house.log.some((line) => /weekly training/.test(line)));
});
