/**
 * What is found out of a model before it works: the shipped models come out in all of their plugins' cases; one that was
 * taught nothing does not; a damaged one is not taken; policies' cases that came out and would not any more are told;
 * and the digest of all scores tells models apart, and is the same for the same.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../src/config/load.ts';
import { pluginCases, shippedModel } from '../src/config/plugin-cases.ts';
import { requirePolicy } from '../src/policy/parse.ts';
import { digestOf, prove } from '../src/proving.ts';
import { ClassifierPool } from '../src/runtime.ts';
import { sha256Of } from '../src/learn/registry.ts';
import { modelFile, shiftedModel } from './helpers/models.ts';

const MODELS = ['toxicity', 'prompt-injection', 'jailbreak', 'pii', 'grounding'] as const;

const NONE = { models: new Map(), policies: [] };
const { config } = await loadConfig({ config: { upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'a', policy: 'default', upstream: 'local' }], policies: [join(import.meta.dirname, '../config/policies')] }, dir: import.meta.dirname }, {}, { classifiers: (fresh) => new ClassifierPool().known(fresh) });

t.test('each shipped model comes out in the cases of its plugin', async (t) => {
  for (const plugin of MODELS) {
    t.same((await prove(plugin, undefined, { config, ...NONE })).against, [], plugin);
    t.equal(await shippedModel(plugin), sha256Of(readFileSync(modelFile(plugin))));
    t.ok((await pluginCases(plugin)).length >= 2);
  }
  await t.rejects(shippedModel('http'), /no plugins\/http\/model.bin/);
  await t.rejects(pluginCases('../config'), /no name of a plugin/);
});

t.test('the same bytes score the same, others do not, and what is broken is not taken', async (t) => {
  const shipped = readFileSync(modelFile('prompt-injection'));
  const given = (bytes: Uint8Array, id = 'prompt-injection-x'): { id: string; bytes: Uint8Array } => ({ id, bytes });
  const digest = await digestOf('prompt-injection', { config, models: new Map() });
  t.equal((await prove('prompt-injection', given(Buffer.from(shipped)), { config, ...NONE })).digest, digest);
  const shifted = shiftedModel('prompt-injection', 8);
  const { digest: other, against } = await prove('prompt-injection', given(shifted), { config, ...NONE });
  t.not(other, digest);
  t.match(against.join('\n'), /case of prompt-injection: .* less than 0.\d was expected/);
  t.match(against.join('\n'), /case of jailbreak: /, 'the other plugin that reads the model is tried with it');
  const broken = Buffer.from(shipped);
  broken[broken.length - 9]! ^= 1;
  for (const bytes of [broken, Buffer.alloc(0), readFileSync(modelFile('jailbreak'))]) await t.rejects(prove('prompt-injection', given(bytes), { config, ...NONE }), /cannot work as configured/);
  await t.rejects(prove('prompt-injection', given(shiftedModel('prompt-injection', NaN)), { config, ...NONE }), /is NaN, which is no number from 0 to 1/);
  t.equal(await digestOf('prompt-injection', { config, models: new Map() }), digest, 'nothing of it stays');
});

t.test('a policy whose cases came out and would not any more is told, and one that failed before is not', async (t) => {
  const policy = requirePolicy(`policy: p
rules:
  - { id: injection, priority: 1, direction: input, when: { score: prompt-injection.injection, gte: 0.5 }, action: block }
cases:
  - { name: a recipe is allowed, direction: input, text: What can I cook with two eggs and a leek?, expect: { action: allow } }
  - { name: a recipe is blocked, direction: input, text: What can I cook with two eggs and a leek?, expect: { action: block } }
`, 'p.yaml');
  const { against } = await prove('prompt-injection', { id: 'prompt-injection-x', bytes: shiftedModel('prompt-injection', 6) }, { config, models: new Map(), policies: [policy] });
  t.same(against.filter((one) => one.includes('policy')), ['case of the policy p: a recipe is allowed: action: expected allow, got block']);
});
