/** `weir learn` after training, beside a running Weir: candidates taken in, let work, brought back, retired; its audit log says so. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { learn } from '../../src/cli/learn.ts';
import type { Candidate } from '../../src/learn/candidate.ts';
import { ask } from '../helpers/admin.ts';
import { openHouse, until } from '../helpers/house.ts';
import { candidateOf, measured, shiftedModel } from '../helpers/models.ts';

t.setTimeout(300_000);

const POLICY = 'policy: acme\nrules:\n  - { id: injection, priority: 1, direction: input, when: { score: prompt-injection.injection, gte: 0.5 }, action: block }\n';
const HARMLESS = 'What can I cook with two eggs and a leek?';

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await learn.run([...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

/** As `weir learn train --dataset` leaves it. */
function left(dir: string, { bytes, ...about }: Candidate): string {
  const folder = join(dir, 'data/candidates', about.model_id);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.bin'), bytes);
  writeFileSync(join(folder, 'candidate.json'), JSON.stringify({ ...about, regression: [measured('attack')], trained_on: 100, held_out: 20, contradictions: [] }));
  return about.model_id;
}

t.test('from a candidate to work and back', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': POLICY } });
  t.match(await call(house.dir, 'models'), { code: 0, out: /there are no models/ });
  const calm = left(house.dir, candidateOf('prompt-injection', shiftedModel('prompt-injection', -0.05)));
  const eager = left(house.dir, candidateOf('prompt-injection', shiftedModel('prompt-injection', 6), { evaluation: [measured('injection', { n: 3 })] }));
  const broken = left(house.dir, candidateOf('prompt-injection', new Uint8Array([1, 2, 3])));
  t.match(await call(house.dir, 'register', calm), { code: 0, out: `${calm} is taken in, and does nothing yet\n` });
  t.match(await call(house.dir, 'register', join(house.dir, 'data/candidates', calm)), { code: 0, out: `${calm} was there already\n` });
  t.match(await call(house.dir, 'register', eager), { code: 0 });
  t.match(await call(house.dir, 'register', broken), { code: 1, err: /this is no model file/ });
  t.match(await call(house.dir, 'register', 'none'), { code: 1, err: /has no model.bin/ });
  t.match(await call(house.dir, 'gate', calm), { code: 0, out: `nothing stands against ${calm}\n` });
  t.match(await call(house.dir, 'gate', eager), { code: 1, out: /injection: 3 rows with 500 positives are too few[\s\S]*case of prompt-injection/ });
  t.match(await call(house.dir, 'promote', 'prompt-injection', eager), { code: 1, err: /reasons stand against/ });
  await t.rejects(call(house.dir, 'promote', eager, '--override'), /--override and --reason go together/);
  await t.rejects(call(house.dir, 'promote', 'toxicity', eager), /is a model of prompt-injection, not of toxicity/);
  t.match(await call(house.dir, 'promote', eager, '--override', '--reason', 'a drill'), { code: 0, out: new RegExp(`${eager} works from now on in place of what is shipped, by switch 1, although \\d+ reasons stand against it`) });
  await until(async () => (await house.chat(HARMLESS)) === 400, 'the switch in the running process');
  t.match((await call(house.dir, 'models')).out, new RegExp(`${eager} +prompt-injection +works[\\s\\S]*prompt-injection: ${eager} works, by switch 1\n$`));
  t.match(await call(house.dir, 'retire', eager), { code: 1, err: /works, runs beside, or would again/ });
  t.match(await call(house.dir, 'rollback', 'prompt-injection', '--reason', 'over'), { code: 0, out: /what prompt-injection ships works from now on in place of/ });
  await until(async () => (await house.chat(HARMLESS)) === 200, 'the rollback in the running process');
  t.match(await call(house.dir, 'rollback', 'prompt-injection'), { code: 1, err: /nothing was before/ });
  t.match(await call(house.dir, 'retire', eager), { code: 0, out: /its file is gone/ });
  t.match(await call(house.dir, 'promote', eager), { code: 1, err: /was retired/ });
  t.match(JSON.parse((await call(house.dir, 'models', '--json')).out), { working: [{ plugin: 'prompt-injection', number: 2, model_id: null }] });
  const entries = async (): Promise<readonly object[]> => (await ask(house.adminUrl, '/api/v1/audit?kind=model_change', { token: house.token })).body.entries as readonly object[];
  await until(async () => (await entries()).length === 3, 'the entries');
  t.match(await entries(), [{ change: 'retire', author: /^cli/ }, { change: 'rollback', author: /^cli/, reason: 'over' }, { change: 'promote', gate: 'overridden', reason: 'a drill', model_id: eager }]);
  for (const verb of ['register', 'gate', 'promote', 'rollback', 'retire']) await t.rejects(call(house.dir, verb), /is missing/);
});
