/**
 * plugins/README.md does what it says: its example is written where it says, loaded from its own configuration, and
 * screens by its own rule; what such a plugin can get wrong is told with its place.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { screen } from '../../src/cli/screen.ts';
import { ConfigError } from '../../src/contract/errors.ts';
import { ClassifierPool, loadRuntime } from '../../src/runtime.ts';
import type { Io } from '../../src/cli/command.ts';
import type { ScreeningDecision } from '../../src/contract/screening.ts';

const README = readFileSync(join(import.meta.dirname, '../../plugins/README.md'), 'utf8');
const BASE = 'data_dir: data\nupstreams: { up: { url: https://api.example.com/v1 } }\ntenants: [ { id: default, policy: default, upstream: up } ]\n';

/** Code blocks of a language, in order. */
function blocks(language: string): readonly string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map((match) => match[1]!);
}

const [code, configuration, policy, combinations] = [blocks('ts')[0]!, ...blocks('yaml')];

function folder(t: Test, plugin = code, config = BASE + configuration): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-plugin-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'shouting'));
  mkdirSync(join(dir, 'policies'));
  writeFileSync(join(dir, 'shouting/index.ts'), plugin);
  writeFileSync(join(dir, 'weir.yaml'), config);
  writeFileSync(join(dir, 'policies/default.yaml'), policy!);
  return dir;
}

async function screened(dir: string, text: string): Promise<ScreeningDecision> {
  let out = '';
  const io = { stdout: (line: string) => void (out += line), stderr: () => undefined, env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  const code = await screen.run([text, '--config', join(dir, 'weir.yaml'), '--json'], io);
  if (code !== 0) throw new Error(`exit code ${code}`);
  return JSON.parse(out) as ScreeningDecision;
}

async function issueOf(dir: string): Promise<string> {
  const pool = new ClassifierPool();
  try {
    await loadRuntime(join(dir, 'weir.yaml'), {}, pool);
  } catch (error) {
    if (error instanceof ConfigError) return error.issues.map(({ line, column, message }) => `${line}:${column} ${message}`).join('\n');
    throw error;
  } finally {
    await pool.close();
  }
  return '';
}

t.test('the example screens as it says', async (t) => {
  const dir = folder(t);
  const decision = await screened(dir, 'please DO NOT SHOUT AT ME');
  t.match(decision, { action: 'redact', triggered_rules: ['calm'], modified_content: 'please [SHOUTING]' });
  const [loud] = decision.classifier_results.filter((result) => result.classifier_id === 'loud');
  t.match(loud, { category: 'SHOUTING', label: 'SHOUTING', spans: [{ start: 7, end: 25 }] });
  t.match(await screened(dir, 'a calm word or two'), { action: 'allow' });
  t.match(await screened(dir, 'HI'), { action: 'block', degraded: ['calm'] }, 'too short to tell is unknown, and the tenant fails closed');
});

t.test('what its options and its file get wrong is told at its entry', async (t) => {
  t.match(await issueOf(folder(t, code, BASE + configuration!.replace('letters_min: 10', 'letters_mni: 10'))), /^6:25 the plugin .*shouting\/index\.ts cannot work as configured: unknown option letters_mni; known is letters_min$/);
  t.match(await issueOf(folder(t, code, BASE + configuration!.replace('./shouting', './shuoting'))), /there is no plugin .*shuoting\/index\.ts/);
  t.match(await issueOf(folder(t, 'export default 7;')), /has no default export that makes a classifier/);
  t.match(await issueOf(folder(t, 'export default () => {')), /cannot be loaded: /);
  t.match(await issueOf(folder(t, 'import "./missing.ts";')), /cannot be loaded: /);
  t.match(await issueOf(folder(t, code, BASE + configuration!.replace('plugin: ./shouting/index.ts', 'plugin: "shouting index"'))), /expected a plugin name .* or a path such as/);
});

t.test('what it says about itself is checked when it is loaded', async (t) => {
  for (const [from, to, message] of [
    ['    id,\n', "    id: 'other',\n", /its id is not the one it was given/], ["version: '1.0.0'", 'version: 1', /it has no version/], ["categories: [{ id: 'SHOUTING'", "categories: [{ name: 'SHOUTING'", /its categories are not a list of \{ id, definition \}/],
    ["directions: ['input', 'output']", "directions: ['in']", /its directions is not of input, output/], ["contentTypes: ['text']", "contentTypes: 'text'", /its contentTypes is not of text, image, audio/], ["languages: ['*']", 'languages: undefined', /its languages are not a list of tags/],
    ["cost: 'fast'", "cost: 'cheap'", /its cost is not of fast, slow/], ['classify({ content })', 'judge({ content })', /it has neither classify nor patterns/],
    ["cost: 'fast'", "cost: 'fast', async provision() { throw new Error('no weights'); }, async close() { throw new Error('nothing to close'); }", /cannot work as configured: no weights/],
    ["cost: 'fast'", "cost: 'fast', validate() { throw new Error('no url'); }", /cannot work as configured: no url/],
  ] as const) t.match(await issueOf(folder(t, code.replace(from, to))), message);
});

t.test('the combinations of the example are read, and what they name is checked at its place', async (t) => {
  t.match(await issueOf(folder(t, code, BASE + configuration + combinations)), /^9:\d+ no classifier toxicity\n9:\d+ no classifier vendor\n/m);
  const own = 'screening: { combine: [ { category: noise, method: max, of: [loud.SHOUTING] } ] }\n';
  const dir = folder(t, code, BASE + configuration + own);
  writeFileSync(join(dir, 'policies/default.yaml'), policy!.replace('loud.SHOUTING', 'ensemble.noise'));
  t.match(await screened(dir, 'please DO NOT SHOUT AT ME'), { action: 'redact', modified_content: 'please [NOISE]' });
  t.match(await issueOf(folder(t, code, BASE + configuration!.replace('id: loud', 'id: ensemble'))), /ensemble is a name of Weir's own/);
});

t.test('over reloads: kept while its entry stays, closed a reload after it went', async (t) => {
  const noted = code.replace("version: '1.0.0'", "version: '1.0.0', async provision() { globalThis.shouting.push('provision ' + lettersMin); }, async close() { globalThis.shouting.push('close ' + lettersMin); }");
  const events: string[] = [];
  Object.assign(globalThis, { shouting: events });
  const dir = folder(t, noted);
  const pool = new ClassifierPool();
  const load = (lettersMin: number) => {
    writeFileSync(join(dir, 'weir.yaml'), BASE + configuration!.replace('letters_min: 10', `letters_min: ${lettersMin}`));
    return loadRuntime(join(dir, 'weir.yaml'), {}, pool);
  };
  const first = await load(10);
  const again = await load(10);
  t.equal(again.classifiers[1], first.classifiers[1]);
  await load(11);
  t.same(events, ['provision 10', 'provision 11'], 'calls of the former may still be under way');
  await t.rejects(load(-1));
  t.same(events, ['provision 10', 'provision 11'], 'a refused configuration ends nothing');
  await load(12);
  t.same(events, ['provision 10', 'provision 11', 'provision 12', 'close 10']);
  await pool.close();
  t.same(events.slice(4).sort(), ['close 11', 'close 12']);
});
