/** What is kept of a runtime when stored policies change: plans whose policy, and whose shadow, are the same. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig, withStored } from '../src/config/load.ts';
import type { Segment } from '../src/contract/exchange.ts';
import { requirePolicy } from '../src/policy/parse.ts';
import { ClassifierPool, compileRuntime, type Runtime } from '../src/runtime.ts';

const says = (id: string, word: string, more = ''): string => `policy: ${id}\n${more}patterns:\n  - { id: word, literal: [${word}] }\nrules:\n  - { id: word, when: { score: patterns.word, gte: 0.5 }, action: block }\n`;

async function house(t: Test): Promise<{ readonly first: Runtime; after(id: string, source: string): Promise<Runtime> }> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-runtime-'));
  writeFileSync(join(dir, 'main.yaml'), says('main', 'alpha', 'shadow: next\ncanary: { policy: next, share: 100% }\n'));
  writeFileSync(join(dir, 'next.yaml'), says('next', 'beta'));
  writeFileSync(join(dir, 'other.yaml'), says('other', 'gamma'));
  const pool = new ClassifierPool();
  t.teardown(async () => {
    await pool.close();
    rmSync(dir, { recursive: true });
  });
  const config = { data_dir: dir, upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'acme', policy: 'main', upstream: 'local' }], policies: '.' };
  const snapshot = await loadConfig({ config, dir }, {}, { classifiers: (fresh) => pool.known(fresh) });
  const first = await compileRuntime(snapshot, pool);
  return {
    first,
    after: (id, source) => compileRuntime(withStored(snapshot, { policies: new Map([[id, { policy: requirePolicy(source, 'store'), file: 'store' }]]), undecided: new Set() }), pool, first),
  };
}

const PROMPT: Segment = { path: 'a', carrier: 'a', contentType: 'text', content: 'beta gamma', history: false };

async function shadowed(runtime: Runtime): Promise<string | undefined> {
  const plan = runtime.plans.get('acme')!;
  return plan.shadowed!(await plan.screen([PROMPT], 'input', {}), 'input', {}).action;
}

t.test('another policy changes: what is compiled is kept', async (t) => {
  const { first, after } = await house(t);
  const next = await after('other', says('other', 'delta'));
  const main = first.snapshot.policies.get('main')!;
  t.equal(next.compiled.get(main), first.compiled.get(main));
  t.equal(next.ensemble, first.ensemble);
});

t.test('its shadow changes: the plan that holds it is compiled again', async (t) => {
  const { first, after } = await house(t);
  t.equal(await shadowed(first), 'block');
  const next = await after('next', says('next', 'elsewhere'));
  const main = first.snapshot.policies.get('main')!;
  t.not(next.compiled.get(main), first.compiled.get(main));
  t.equal(await shadowed(next), 'allow');
  t.equal(next.snapshot.policies.get('main'), main);
});
