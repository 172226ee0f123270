/** Reload: a good change is adopted whole, a bad one leaves the last good snapshot in force and says so once. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { watchConfig, type WatchOptions } from '../../src/config/watch.ts';
import { CHANNELS, type ConfigReloaded } from '../../src/contract/channels.ts';

const CONFIG = 'upstreams: { up: { url: https://api.example.com/v1 } }\ntenants: [ { id: one, policy: main, upstream: up } ]\n';
const POLICY = 'policy: main\nrules: []\n';

/** A watched folder whose looks are made by hand. */
async function watched(t: Test, overrides: Partial<WatchOptions> = {}, file = 'weir.yaml', prepare?: (dir: string) => void) {
  const dir = t.testdir({});
  if (prepare) prepare(dir);
  else {
    mkdirSync(join(dir, 'policies'));
    writeFileSync(join(dir, 'weir.yaml'), CONFIG);
    writeFileSync(join(dir, 'policies/main.yaml'), POLICY);
  }
  const snapshot = await loadConfig(file, {}, { workingDir: dir });
  const published: ConfigReloaded[] = [];
  const adopted: string[] = [];
  const listener = (message: ConfigReloaded) => void published.push(message);
  CHANNELS.configReloaded.subscribe(listener as (message: unknown) => void);
  const watch = watchConfig({ file, env: {}, workingDir: dir, snapshot, intervalMs: 3_600_000, onSnapshot: (next) => void adopted.push(next.hash), ...overrides });
  t.teardown(async () => {
    CHANNELS.configReloaded.unsubscribe(listener as (message: unknown) => void);
    await watch.close();
  });
  const look = async () => {
    await watch.check();
    await watch.check();
  };
  await look();
  t.same([published, adopted], [[], []], 'nothing has changed yet');
  return { dir, watch, published, adopted, look, first: snapshot };
}

t.test('a good change is adopted, once', async (t) => {
  const { dir, watch, published, adopted, look, first } = await watched(t);
  writeFileSync(join(dir, 'policies/main.yaml'), `${POLICY}description: changed\n`);
  await watch.check();
  t.same(adopted, [], 'the first look only notes it');
  await look();
  await look();
  t.equal(adopted.length, 1);
  t.same(published, [{ ok: true, hash: adopted[0], issues: 0 }]);
  t.equal(watch.current().hash, adopted[0]);
  t.not(watch.current().hash, first.hash);
  t.equal(watch.current().policies.get('main')?.description, 'changed');
});

t.test('a new policy file and a removed one are changes', async (t) => {
  const { dir, watch, look } = await watched(t);
  writeFileSync(join(dir, 'policies/second.yaml'), 'policy: second\n');
  await look();
  t.same([...watch.current().policies.keys()], ['main', 'second']);
  rmSync(join(dir, 'policies/second.yaml'));
  await look();
  t.same([...watch.current().policies.keys()], ['main']);
});

const bad: readonly (readonly [name: string, spoil: (dir: string) => void, message: RegExp])[] = [
  ['half-written', (dir) => writeFileSync(join(dir, 'weir.yaml'), CONFIG.slice(0, 40)), /^weir\.yaml:1:\d+ unexpected end/],
  ['with two errors', (dir) => writeFileSync(join(dir, 'weir.yaml'), `${CONFIG}a: 1\nb: 2\n`), /^weir\.yaml:3:1 unknown key a \(and 1 more\)$/],
  ['emptied', (dir) => writeFileSync(join(dir, 'weir.yaml'), ''), /the file is empty/],
  ['deleted', (dir) => rmSync(join(dir, 'weir.yaml')), /^weir\.yaml:1:1 no such file/],
  ['without its policies', (dir) => rmSync(join(dir, 'policies'), { recursive: true }), /no such file or directory: policies/],
];

for (const [name, spoil, message] of bad) {
  t.test(`a configuration ${name} leaves the last good one, until it is good again`, async (t) => {
    const refused: number[] = [];
    const { dir, watch, published, adopted, look, first } = await watched(t, { onRefused: (issues) => void refused.push(issues.length) });
    spoil(dir);
    await look();
    await look();
    t.equal(watch.current(), first);
    t.same(adopted, []);
    t.equal(published.length, 1, 'judged once');
    t.match(published[0], { ok: false, hash: first.hash, message });
    t.same(refused, [published[0].issues]);
    mkdirSync(join(dir, 'policies'), { recursive: true });
    writeFileSync(join(dir, 'weir.yaml'), CONFIG);
    writeFileSync(join(dir, 'policies/main.yaml'), POLICY);
    await look();
    t.match(published[1], { ok: true, hash: first.hash });
    t.same(adopted, [], 'the same contents need no new snapshot');
  });
}

t.test('a file that stops changing between two looks is adopted, one that goes on changing is not', async (t) => {
  const { dir, watch, adopted } = await watched(t);
  for (const step of [1, 2, 3]) {
    writeFileSync(join(dir, 'policies/main.yaml'), `${POLICY}description: step ${step}\n`);
    await watch.check();
  }
  t.same(adopted, []);
  await watch.check();
  t.equal(watch.current().policies.get('main')?.description, 'step 3');
});

t.test('a ConfigMap is swapped by moving its ..data link', async (t) => {
  const version = (dir: string, name: string, policy: string) => {
    mkdirSync(join(dir, name, 'policies'), { recursive: true });
    writeFileSync(join(dir, name, 'weir.yaml'), CONFIG);
    writeFileSync(join(dir, name, 'policies/main.yaml'), policy);
  };
  const { dir, watch, look, first } = await watched(t, {}, '..data/weir.yaml', (dir) => {
    version(dir, '..1', POLICY);
    symlinkSync('..1', join(dir, '..data'));
  });
  version(dir, '..2', `${POLICY}description: second\n`);
  symlinkSync('..2', join(dir, '..tmp'));
  renameSync(join(dir, '..tmp'), join(dir, '..data'));
  rmSync(join(dir, '..1'), { recursive: true });
  await look();
  t.equal(watch.current().policies.get('main')?.description, 'second');
  t.not(watch.current().hash, first.hash);
});

t.test('a link that is swapped to what is no configuration, or to nothing, leaves the last good one until it is swapped again', async (t) => {
  const version = (dir: string, name: string, config: string, policy: string): void => {
    mkdirSync(join(dir, name, 'policies'), { recursive: true });
    writeFileSync(join(dir, name, 'weir.yaml'), config);
    writeFileSync(join(dir, name, 'policies/main.yaml'), policy);
  };
  const { dir, watch, published, adopted, look, first } = await watched(t, {}, '..data/weir.yaml', (folder) => {
    version(folder, '..1', CONFIG, POLICY);
    symlinkSync('..1', join(folder, '..data'));
  });
  const swapTo = async (name: string): Promise<void> => {
    symlinkSync(name, join(dir, '..tmp'));
    renameSync(join(dir, '..tmp'), join(dir, '..data'));
    await look();
    await look();
  };
  version(dir, '..2', `${CONFIG}surprise: 1\n`, POLICY);
  version(dir, '..3', CONFIG, 'policy: main\nrules: [ { id: half');
  version(dir, '..4', CONFIG, `${POLICY}description: fourth\n`);
  await swapTo('..2');
  await swapTo('..3');
  await swapTo('..gone');
  t.equal(watch.current(), first);
  t.same([adopted, published.map(({ ok, hash }) => [ok, hash])], [[], [[false, first.hash], [false, first.hash], [false, first.hash]]], 'each is judged once');
  await swapTo('..4');
  t.equal(watch.current().policies.get('main')?.description, 'fourth');
  await swapTo('..1');
  t.equal(watch.current().hash, first.hash, 'and back');
  t.same(published.map(({ ok }) => ok), [false, false, false, true, true]);
});

t.test('a policy file that is half-written, deleted, unreadable as text or a folder leaves the last good one', async (t) => {
  const spoilers: readonly (readonly [string, (file: string) => void])[] = [
    ['half-written', (file) => writeFileSync(file, 'policy: main\nrules:\n  - { id: a, when: { sc')],
    ['deleted', (file) => rmSync(file)],
    ['no text', (file) => writeFileSync(file, Buffer.from([0xff, 0xfe, 0x80]))],
    ['a folder', (file) => { rmSync(file); mkdirSync(file); }],
  ];
  for (const [name, spoil] of spoilers) {
    const { dir, watch, published, look, first } = await watched(t);
    const file = join(dir, 'policies/main.yaml');
    spoil(file);
    await look();
    await look();
    t.same([watch.current() === first, published.map(({ ok }) => ok)], [true, [false]], name);
    rmSync(file, { recursive: true, force: true });
    writeFileSync(file, `${POLICY}description: mended\n`);
    await look();
    t.equal(watch.current().policies.get('main')?.description, 'mended', name);
  }
});

t.test('what cannot be provisioned is not adopted', async (t) => {
  for (const thrown of [new Error('pattern ticket cannot be compiled\nsecond line'), 'odd']) {
    const { dir, watch, published, look, first } = await watched(t, { onSnapshot: () => Promise.reject(thrown) });
    writeFileSync(join(dir, 'policies/main.yaml'), `${POLICY}description: changed\n`);
    await look();
    t.equal(watch.current(), first);
    t.same(published, [{ ok: false, hash: first.hash, issues: 0, message: thrown instanceof Error ? 'pattern ticket cannot be compiled' : 'the new configuration was refused' }]);
  }
});

t.test('the timer looks by itself, and not after close', async (t) => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const alive = setInterval(() => {}, 1000); // the watch's own timer does not keep the process running
  t.teardown(() => clearInterval(alive));
  const { dir, watch, adopted } = await watched(t, { intervalMs: 5, onSnapshot: (next) => resolve(next.hash) });
  writeFileSync(join(dir, 'policies/main.yaml'), `${POLICY}description: changed\n`);
  await promise;
  await watch.close();
  const last = watch.current();
  writeFileSync(join(dir, 'policies/main.yaml'), POLICY);
  await watch.check();
  await watch.check();
  t.equal(watch.current(), last);
  t.same(adopted, []);
});
